"""`incremental`: a batch over some days reads the rows of these, and what its windows need before them; folders of other
days are not opened; mistakes at their places."""

import glob
import json
import os
import shutil
import unittest

from freshet_testing import Case

DECLARATION = """version: 1
pipeline: days
source:
  readers:
    - id: events
      file: {path: "in/**/*.json", format: json, schema: SCHEMA}
      stream: STREAM
STEPS      incremental: INCREMENTAL
  query: QUERY
feature_set:
  name: days
  keys: [{name: id, type: bigint}]
  timestamp: {from: at}
  features:
    - {name: n, type: bigint}
FEATURES
sink: {writers: [jsonl: {path: out.jsonl}]}
"""
DAY = 86400000


class IncrementalTest(Case):

    def declare_days(self, incremental, *features, schema="{id: bigint, n: bigint, ts: timestamp, ms: bigint, s: string, d: date}",
                     query="select *, timestamp '2024-05-02 00:00:00' as at from events", stream=False, steps=""):
        text = DECLARATION
        for word, value in (("SCHEMA", schema), ("STREAM", str(stream).lower()), ("STEPS", steps), ("INCREMENTAL", incremental),
                            ("QUERY", query), ("FEATURES", "\n".join("    - " + feature for feature in features))):
            text = text.replace(word, value, 1)
        self.write("days.yaml", text)

    def change(self, old, new):
        with open(self.path("days.yaml")) as file:
            text = file.read()
        self.assertIn(old, text)
        self.write("days.yaml", text.replace(old, new))

    def give(self, name, *rows):
        self.write("in/" + name, "".join(json.dumps(row) + "\n" for row in rows))

    def run_it(self, *dates):
        if os.path.exists(self.path("out.jsonl")):
            os.remove(self.path("out.jsonl"))
        return self.freshet("run", "days.yaml", "--no-serve", "--progress", "none", *dates)

    def rows(self, *dates):
        finished = self.run_it(*dates)
        self.assertEqual(finished.code, 0, finished.err)
        return self.read_lines("out.jsonl")

    def ns(self, *dates):
        return sorted(row["n"] for row in self.rows(*dates))


class DaysTest(IncrementalTest):

    BOTH = ("--start-date", "2024-05-02", "--end-date", "2024-05-03")

    def test_whole_days_of_every_form(self):
        """All rows have the same feature time: it is the reader that leaves rows out. A row without a day is in none."""
        times = ("05-01T23:59:59.999999", "05-02T00:00:00", "05-03T23:59:59.999999", "05-04T00:00:00", None)
        first = 1714521600000  # 2024-05-01
        for n, time in enumerate(times):
            day = time and time[:5]
            self.give("%d.json" % n, {"id": n, "n": n, "ts": time and "2024-" + time, "d": day and "2024-" + day,
                                      "ms": time and first + (DAY - 1, DAY, 3 * DAY - 1, 3 * DAY)[n],
                                      "s": day and day[3:] + "." + day[:2] + ".2024"})
        self.give("5.json", {"id": 5, "n": 5, "s": "no day"})
        for incremental in ("{column: ts}", "{column: ms, from: ms}", "{column: s, from: string, mask: dd.MM.yyyy}", "{column: d}",
                            "{from: year_month_day, year: y, month: m, day: t}"):
            self.declare_days(incremental, steps="      preprocess: [sql: \"select *, '2024' as y, month(d)::text as m, day(d) as t from events\"]\n")
            self.assertEqual(self.ns(*self.BOTH), [1, 2], incremental)
            if "time" not in incremental:
                self.assertEqual(self.ns("--end-date", "2024-05-03"), [0, 1, 2], incremental)
            self.assertEqual(self.ns(), [0, 1, 2, 3, 4, 5], incremental)

    def test_what_windows_need_before_the_first_day(self):
        """Cut at the reader or only behind the features: the rows of the days are the same; fewer are read."""
        for i in range(40):
            self.give("%02d.json" % i, *[{"id": k, "n": i * 3 + k, "ts": "2024-%02d-%02dT%02d:00:00" % (4 + i // 30, i % 30 + 1, k * 7)}
                                         for k in range(3)])
        windows = ("{name: a, from: n, window: {functions: [sum, count], over: [3 days, 36 hours]}}",
                   "{name: b, from: n, window: {functions: [sum], over: [2 events], mode: row_windows}}")
        dates = ("--start-date", "2024-05-02", "--end-date", "2024-05-04")
        for features in (windows[:1], windows):
            self.declare_days("{column: ts}", *features, query="select *, ts as at from events")
            cut = self.rows(*dates)
            self.change("      incremental: {column: ts}\n", "")
            self.assertEqual(sorted(map(json.dumps, cut)), sorted(map(json.dumps, self.rows(*dates))))
            self.assertEqual(len(cut), 9)

    def test_folders_of_other_days_are_not_opened(self):
        """What lies in them is no JSON and may not be read; with a window, one day more is needed."""
        by_day = ("day=2024-%s/a.json", "{column: day}", "{id: bigint, n: bigint, day: date}")
        by_mask = ("day=2024%s/a.json", "{column: day, from: string, mask: yyyyMMdd}", "{id: bigint, n: bigint, day: string}")
        by_parts = ("year=2024/month=%s/a.json", "{from: year_month_day, day: d}", "{id: bigint, n: bigint, d: bigint, year: bigint, month: bigint}")
        for folder, incremental, schema in (by_day, by_mask, by_parts):
            for day in ("05-01", "05-02", "05-03"):
                of = day.replace("-", "" if "yyyyMMdd" in incremental else "-")
                name = folder % (of if "year=" not in folder else ("04", "05", "06")[int(day[3:]) - 1])
                self.give(name, {"id": 1, "n": int(day[3:]), "d": int(day[3:])})
                if day != "05-02":
                    self.write("in/" + name, "no json\n")
            dates = ("--start-date", "2024-05-02", "--end-date", "2024-05-02")
            self.declare_days(incremental, schema=schema)
            self.assertEqual(self.ns(*dates), [2], incremental)
            self.assertEqual(self.dead_letters("days"), [])
            self.rows()
            self.assertEqual(len(self.dead_letters("days")), 2)
            self.declare_days(incremental, "{name: a, from: n, window: {functions: [sum], over: [1 day]}}", schema=schema)
            self.rows(*dates)
            self.assertEqual(len(self.dead_letters("days")), 0 if "year=" in folder else 1)
            self.declare_days(incremental, schema=schema, steps="      preprocess: [sql: select * from events]\n")
            self.rows(*dates)
            self.assertEqual(len(self.dead_letters("days")), 2, "a step may make another day of it")
            self.remove_files()

    def test_parquet_in_folders_of_days(self):
        """What the history writer leaves, read by days: its own folders, `day=2024-05-02`, and the column in the files."""
        for day in (1, 2, 3):
            self.give("%d.json" % day, *[{"id": day * 10 + i, "n": day * 10 + i, "ts": "2024-05-%02dT%02d:00:00" % (day, i * 11)} for i in range(3)])
        self.declare_days("{column: ts}", query="select *, ts as at from events")
        self.change("jsonl: {path: out.jsonl}", "history: {path: lake}")
        self.assertEqual(self.run_it().code, 0)
        for day in (1, 2, 3):
            (name,) = os.listdir(self.path("lake/year=2024/month=5/day=%d" % day))
            for folder in ("other/d=2024-05-%02d" % day, "flat"):
                os.makedirs(self.path(folder), exist_ok=True)
                shutil.copy(self.path("lake/year=2024/month=5/day=%d" % day, name), self.path(folder, "%d.parquet" % day))
        window = "{name: a, from: n, window: {functions: [count], over: [1 day]}}"
        query = "select id, n, timestamp as at from events"
        for path, incremental, schema in (
                ("lake/*/*/*/*.parquet", "{from: year_month_day}", "year: bigint, month: bigint, day: bigint"),
                ("other/**/*.parquet", "{column: d}", "d: date"), ("flat/*.parquet", "{column: timestamp}", "")):
            columns = "{id: bigint, n: bigint, timestamp: timestamp" + (", " + schema if schema else "") + "}"

            def declare(*features):
                self.declare_days(incremental, *features, query=query, schema=columns)
                self.change('"in/**/*.json", format: json', '"%s", format: parquet' % path)

            declare()
            self.assertEqual(self.ns(*self.BOTH), [20, 21, 22, 30, 31, 32], path)
            self.assertEqual(self.ns(), [10, 11, 12, 20, 21, 22, 30, 31, 32], path)
            if path.startswith("flat"):
                continue
            for of in (1, 3):  # files that cannot be read show that they are not opened
                for name in glob.glob(self.path(path.split("/")[0], "**", "d*=*%d" % of, "*.parquet"), recursive=True):
                    os.rename(name, name + ".kept")
                    self.write(name, "no parquet")
            only = "--start-date", "2024-05-02", "--end-date", "2024-05-02"
            self.assertEqual(self.ns(*only), [20, 21, 22], path)
            self.assertNotEqual(self.run_it().code, 0, path)
            declare(window)
            self.assertNotEqual(self.run_it(*only).code, 0, "the window needs the day before: " + path)
            for name in glob.glob(self.path(path.split("/")[0], "**", "*.kept"), recursive=True):
                os.rename(name, name[:-len(".kept")])
            self.assertEqual(self.ns(*only), [20, 21, 22], path)

    def remove_files(self):
        shutil.rmtree(self.path("in"))

    def test_no_file_of_these_days(self):
        self.give("day=2024-05-01/a.json", {"id": 1, "n": 1})
        self.declare_days("{column: day}", schema="{id: bigint, n: bigint, day: date}")
        finished = self.run_it("--start-date", "2025-01-01", "--end-date", "2025-01-02")
        self.assertEqual((finished.code, self.dead_letters("days")), (0, []), finished.err)

    def test_a_stream_reads_everything(self):
        self.give("a.json", {"id": 1, "n": 1, "ts": "2024-05-01T00:00:00"}, {"id": 1, "n": 2})
        self.declare_days("{column: ts}", stream=True)
        finished = self.run_it("--once")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([row["n"] for row in self.read_lines("out.jsonl")], [1, 2])
        refused = self.run_it("--once", "--start-date", "2024-05-01")
        self.assertEqual(refused.code, 2, refused.err)
        self.assertIn("this pipeline is a stream", refused.err)


class MistakesTest(IncrementalTest):

    def test_mistakes(self):
        self.give("a.json", {"id": 1, "n": 1})
        for incremental, says in (
                ("{}", '8:20: error: "incremental" needs the "column" that tells the day of a row'),
                ("{column: tss}", '8:29: error: "column" of incremental: there is no column "tss" before this step; did you mean "ts"?'),
                ("{column: ms}", '8:29: error: "column" of incremental: the column "ms" is bigint, and its day is that of a timestamp, a date or a '
                                 'text: of a number of milliseconds say `from: ms`'),
                ("{column: ts, from: ms}", '8:29: error: "column" of incremental: the column "ts" is timestamp, and it must be a number'),
                ("{column: ms, from: string}", 'the column "ms" is bigint, and `from: string` reads the day out of a text'),
                ("{column: s, from: string, mask: dd.MM}", '8:52: error: incremental: '),
                ("{column: s, mask: dd.MM}", '8:38: error: "mask" is for `from: string`'),
                ("{column: s, from: year_month_day}", '8:29: error: with `from: year_month_day` the day is in the columns'),
                ("{from: year_month_day}", 'error: "year" of incremental: there is no column "year"'),
                ("{column: s, from: milliseconds}", '8:38: error: "from" cannot be "milliseconds"')):
            self.declare_days(incremental)
            finished = self.freshet("check", "days.yaml")
            self.assertEqual(finished.code, 78, incremental)
            self.assertIn(says, finished.err)


if __name__ == "__main__":
    unittest.main()
