# release only
"""Steps that remember (`forward_fill`, `pivot`) on streams: the batch's values, in micro-batches of any size, from files
side by side, through restarts and kills; what is kept can be seen, and leaves memory; rows that come late."""

import json
import os
import os
import random

from freshet_testing import line
from preprocess_test import PreprocessTest

FILL = "forward_fill: {partition_by: [place, sensor], order_by: ts, column: temp, into: filled}"
SCHEMA = "id: bigint, ts: bigint, place: string, sensor: bigint, temp: double"
FAST = "checkpoint: {interval: 20 ms}\n"


def readings(rng, n, places=3):
    """Rows in the order of their times, many of which are alike."""
    ts, rows = 1700000000, []
    for i in range(n):
        ts += rng.choice((0, 0, 1, 5))
        rows.append({"id": i, "ts": ts, "place": rng.choice((None, "a long name of a place", "c", "d")[:places + 1]),
                     "sensor": rng.randrange(3), "temp": None if rng.random() < 0.6 else rng.randrange(1000) / 4})
    return rows


def filled(rows):
    """The naive twin: for each row the value of the last one of its partition that has one."""
    found = {}
    for i, row in enumerate(rows):
        before = [other["temp"] for other in rows[:i + 1] if (other["place"], other["sensor"]) ==
                  (row["place"], row["sensor"]) and other["temp"] is not None]
        found[row["id"]] = before[-1] if before else None
    return found


class StateTest(PreprocessTest):

    def declare_fill(self, stream=True, writer="history: {path: out}", before=(), extra=""):
        self.declare_steps(*before, FILL, stream=stream, schema=SCHEMA, writer=writer,
                           features=("{name: temp, type: double}", "{name: filled, type: double}"))
        self.append("steps.yaml", extra.encode())

    def in_files(self, rows, rng, n=3):
        """The rows of a time stay in one file: between files there is no order of these."""
        names, last = [f"in/{i}.jsonl" for i in range(n)], None
        for row in rows:
            if row["ts"] != last:
                name = rng.choice(names)
            last = row["ts"]
            self.append(name, line(row))

    def found(self, rows):
        return {row["id"]: row["filled"] for row in rows}

    def test_the_values_of_the_batch(self):
        rng = self.rng
        rows = readings(rng, 300)
        self.declare_fill()
        self.in_files(rows, rng)
        for arguments in ((), ("--step-rows", "1"), ("--step-rows", "7")):
            shown = self.rows(*arguments)
            self.assertEqual(len(shown), len(rows))
            self.assertEqual(self.found(shown), filled(rows), arguments)
        self.declare_fill(stream=False)
        self.assertEqual(self.found(self.rows()), filled(rows))

    def test_steps_before_and_behind(self):
        """Of rows that a filter has removed, and of those that fail, nothing is remembered."""
        rng = self.rng
        rows = readings(rng, 200)
        for row in rows:
            row["note"] = rng.choice(("use", "use", "no", "x"))
        good = [dict(row, temp=None if row["temp"] is None else row["temp"] * 2) for row in rows if row["note"] == "use"]
        for stream in (True, False):
            self.declare_steps(
                "filter: note <> 'no'", "sql: select * replace (temp * 2 as temp), (case note when 'x' then 'one' else '1' end)::int as n from events",
                FILL, "filter: filled is not null", "sql: select *, filled + 1 as more from events", stream=stream,
                schema=SCHEMA + ", note: string", features=("{name: filled, type: double}", "{name: more, type: double}"))
            if stream:
                self.in_files(rows, rng)
            shown = self.rows("--step-rows", "16")
            self.assertEqual(self.found(shown), {i: value for i, value in filled(good).items() if value is not None}, (stream, rows[:6]))
            self.assertTrue(all(row["more"] == row["filled"] + 1 for row in shown))
            self.assertEqual(sorted(json.loads(letter["raw"])["id"] for letter in self.dead_letters("steps")),
                             [row["id"] for row in rows if row["note"] == "x"])

    def test_restarts(self):
        rng = self.rng
        rows = readings(rng, 120)
        self.declare_fill()
        shown, at = {}, 0
        while at < len(rows):
            n = rng.randint(1, 40)
            self.give(*rows[at:at + n])
            shown.update(self.found(self.rows("--state", "state", "--step-rows", str(rng.choice((1, 3, 100))))))
            at += n
        self.assertEqual(shown, filled(rows))

    def test_kills(self):
        rng = self.rng
        rows = readings(rng, 3000)
        self.declare_fill(extra=FAST)
        at = 0
        for kill in range(6):
            process = self.start("run", "steps.yaml", "--progress", "none")
            while at < (kill + 1) * len(rows) // 6:
                n = rng.randint(1, 200)
                self.give(*rows[at:at + n])
                at += n
                process.until_checkpoints(1, "steps")
            process.process.kill()
            process.process.wait()
        self.good("run", "steps.yaml", "--once", "--progress", "none")
        shown = self.history({"filled": "double"}, keys="{name: id, type: bigint}")
        self.assertEqual(len(shown), len(rows))
        self.assertEqual(self.found(shown), filled(rows))

    def test_what_is_kept(self):
        self.declare_fill()
        self.give({"id": 1, "ts": 5, "place": "a", "sensor": 1, "temp": 2.5}, {"id": 2, "ts": 6, "place": "a", "sensor": 1},
                  {"id": 3, "ts": 7, "place": None, "sensor": 2, "temp": 4.0})
        self.good("run", "steps.yaml", "--once")
        self.assertRegex(self.good("state", "ls", "steps.yaml"), r"part forward_fill of events, step 1, 2 keys")
        inspected = self.good("state", "inspect", "steps.yaml", "--key", "place=a")
        self.assertEqual(json.loads(inspected), {"part": "forward_fill of events, step 1", "key": {"place": "a", "sensor": 1},
                                                 "ts": 5, "temp": 2.5})
        self.declare_steps(FILL.replace("temp,", "id,"), schema=SCHEMA, features=("{name: filled, type: double}",))
        finished = self.freshet("run", "steps.yaml", "--once")
        self.assertEqual(finished.code, 78)
        self.assertIn("for its forward_fill of events, step 1 it keeps", finished.err)

    def test_keys_that_are_cold_leave_memory(self):
        n = 12000
        self.declare_fill(extra="state: {memory: 1 MiB}\n" + FAST)
        self.give(*[{"id": i, "ts": 1700000000 + i, "place": "p" * 40, "sensor": i, "temp": i / 2} for i in range(n)])
        self.rows("--state", "state")
        self.give(*[{"id": n + i, "ts": 1700000000 + n + i, "place": "p" * 40, "sensor": i} for i in range(n)])
        shown = self.rows("--state", "state")
        self.assertEqual(self.found(shown), {n + i: i / 2 for i in range(n)})

    def test_rows_that_come_late(self):
        self.declare_fill()
        self.give(*[dict(zip(("id", "ts", "place", "sensor", "temp"), (i, ts, "a", 1, temp))) for i, (ts, temp) in enumerate(
            ((12, 18.5), (14, None), (13, 17.0), (11, None), (11, 16.5), (13, None), (None, 99.0), (15, None)))])
        self.assertEqual(self.found(self.rows()),
                         {0: 18.5, 1: 18.5, 2: 17.0, 3: None, 4: 16.5, 5: 17.0, 7: 17.0})

    def test_a_reader_that_is_looked_up_in(self):
        readers = """
    - id: temps
      file: {path: temps.jsonl, format: json, schema: {id: bigint, ts: bigint, sensor: bigint, temp: double}}
      preprocess:
        - filter: sensor < 9
        - forward_fill: {partition_by: [sensor], order_by: ts, column: temp}"""
        for stream in (True, False):
            self.declare_steps("filter: id > 0", stream=stream, readers=readers,
                               query="select e.id, e.ts, t.temp from events e join temps t using (id)",
                               features=("{name: temp, type: double}",))
            self.write("in/1.jsonl", b"")
            self.write("temps.jsonl", b"")
            self.give(*[{"id": i, "ts": i} for i in range(1, 6)])
            self.give({"id": 3, "ts": 3, "sensor": 1}, {"id": 1, "ts": 1, "sensor": 1, "temp": 2.5},
                      {"id": 2, "ts": 2, "sensor": 9, "temp": 7}, {"id": 4, "ts": 4, "sensor": 2}, name="temps.jsonl")
            self.assertEqual([(row["id"], row["temp"]) for row in self.rows()], [(1, 2.5), (3, 2.5), (4, None)])

    def test_a_reader_that_changes(self):
        """Its table is made anew, by the same steps."""
        self.declare_steps("filter: id > 0", query="select e.id, e.ts, t.temp from events e join temps t using (id)", readers="""
    - id: temps
      file: {path: temps.jsonl, format: json, schema: {id: bigint, ts: bigint, sensor: bigint, temp: double}}
      preprocess:
        - forward_fill: {partition_by: [sensor], order_by: ts, column: temp}""", features=("{name: temp, type: double}",))
        self.write("temps.jsonl", line({"id": 1, "ts": 1, "sensor": 1, "temp": 2.5}) + line({"id": 2, "ts": 2, "sensor": 1}))
        process = self.start_run("steps.yaml", "--debug", "--progress", "none", pipeline="steps")
        self.give({"id": 2, "ts": 1})
        self.until(lambda: self.value("select count(*) from online_feature_store__steps", "steps") == 1, "the first row", process)
        for n in (1, 2, 3):
            self.write("new", line({"id": 1, "ts": 1, "sensor": 1, "temp": n}) + line({"id": 2, "ts": 2, "sensor": 1}))
            os.replace(self.path("new"), self.path("temps.jsonl"))
            def is_new():
                self.give({"id": 2, "ts": 2})
                return self.value("select last(temp) from online_feature_store__steps", "steps") == n
            self.until(is_new, f"temperature {n}", process)
        process.stop()

    def test_mistakes(self):
        for step, text in (
                ("{partition_by: [plac], order_by: ts, column: temp}", '"partition_by" of forward_fill: there is no column "plac" before this step; did you mean "place"?'),
                ("{partition_by: [place], order_by: time, column: temp}", '"order_by" of forward_fill: there is no column "time"'),
                ("{partition_by: [place], order_by: ts, column: tempp}", 'did you mean "temp"?'),
                ("{partition_by: [list], order_by: ts, column: temp}", 'the column "list" is an array, and must be a single value'),
                ("{partition_by: [place], order_by: ts, column: s}", 'the column "s" is a struct: fill its fields'),
                ("{partition_by: [], order_by: ts, column: temp}", '"partition_by" needs at least one value'),
                ("{partition_by: [place], column: temp}", '"order_by" is missing in "forward_fill"')):
            self.declare_steps("forward_fill: " + step, schema=SCHEMA + ", list: array<bigint>, s: {a: bigint}")
            said = self.problems()
            self.assertIn(text, said)
            self.assertRegex(said, r"steps.yaml:9:\d+: error:")


PIVOT = ("pivot: {group_by: [id, ts], column: kind, values: [a, \"null\", b], aggregate: {column: x, function: %s}, "
         "forward_fill: %s, keep_groups: %d}")
KINDS = ("a", None, "b")
CELLS = {
    "first": lambda values: values[0], "last": lambda values: values[-1], "count": lambda values: len(some(values)),
    "min": lambda values: min(some(values), default=None), "max": lambda values: max(some(values), default=None),
    "sum": lambda values: sum(some(values)) if some(values) else None,
    "avg": lambda values: sum(some(values)) / len(some(values)) if some(values) else None}


def some(values):
    return [value for value in values if value is not None]


def pivoted(rows, function, fills):
    """The naive twin: of each group a value for each kind; no row of a kind, no value."""
    found = {}
    for id, ts in sorted({(row["id"], row["ts"]) for row in rows}):
        group = found[id, ts] = []
        for i, kind in enumerate(KINDS):
            cell = [row["x"] for row in rows if (row["id"], row["ts"], row["kind"]) == (id, ts, kind)]
            value = CELLS[function](cell) if cell else None
            earlier = [of[i] for (of_id, of_ts), of in found.items() if of_id == id and of_ts < ts]
            group.append(earlier[-1] if value is None and fills and earlier else value)
    return found


SHOWN = {"a": "double", '"null"': "double", "b": "double", "seen": "bigint"}


class PivotTest(PreprocessTest):

    def declare_pivot(self, function, fills, stream=True, keep=100, writer="history: {path: out}", extra="", step=None):
        self.declare_steps(step or PIVOT % (function, str(fills).lower(), keep), "sql: select *, ts as seen from events", stream=stream,
                           schema="id: bigint, ts: bigint, kind: string, x: integer", writer=writer,
                           features=("{name: a, type: double}", "{name: \"null\", type: double}", "{name: b, type: double}",
                                     "{name: seen, type: bigint}"))
        self.append("steps.yaml", extra.encode())

    def readings(self, n, jitter=0):
        rng = self.rng
        rows = [{"id": rng.randrange(3), "ts": 1700000000 + i // 6 - rng.randint(0, jitter), "kind": rng.choice(KINDS + ("other",)),
                 "x": rng.choice((None, rng.randrange(-50, 50)))} for i in range(n)]
        return rows

    def last_versions(self, rows):
        return {(row["id"], row["seen"]): [row["a"], row["null"], row["b"]] for row in rows}

    def test_the_values_of_the_batch(self):
        """Groups in any order: a row that changes one changes those that are filled from it."""
        rows = self.readings(150, jitter=3)
        self.write("in/1.jsonl", b"")
        self.give(*rows)
        for function in CELLS:
            fills = function in ("first", "max", "avg")
            expected = pivoted(rows, function, fills)
            self.declare_pivot(function, fills)
            shown = self.rows("--step-rows", self.rng.choice(("1", "10", "1000")))
            self.assertEqual(self.last_versions(shown), expected, function)
            self.declare_pivot(function, fills, stream=False)
            shown = self.rows()
            self.assertEqual(len(shown), len(expected))
            self.assertEqual(self.last_versions(shown), expected, function)

    def test_the_newest_row(self):
        """... of each key is the batch's, whatever changed last."""
        rows = self.readings(60, jitter=2)
        self.declare_pivot("last", True)
        os.makedirs(self.path("in"), exist_ok=True)
        self.give(*rows)
        finished = self.freshet("run", "steps.yaml", "--debug", "--once", "--no-serve", "--query",
                                "select * from online_feature_store__steps_latest", "--format", "json")
        expected = pivoted(rows, "last", True)
        newest = {id: max(ts for of, ts in expected if of == id) for id, _ in expected}
        self.assertEqual(self.last_versions(map(json.loads, finished.out.splitlines())),
                         {(id, ts): expected[id, ts] for id, ts in newest.items()})

    def test_kills(self):
        """With forward fill: the newest version of each row is the batch's, and each version is there once, as of a run that nobody killed."""
        rows = self.readings(900, jitter=2)

        def declare(folder, stream=True):
            os.makedirs(self.path(folder), exist_ok=True)
            self.declare_pivot("sum", True, stream=stream, extra=FAST,
                               writer="history: {path: %s/history}, jsonl: {path: %s/rows.jsonl}" % (folder, folder))

        def versions(folder):
            return sorted(self.read_history(SHOWN, folder + "/history", keys="{name: id, type: bigint}"))

        declare("killed")
        at = 0
        for kill in range(5):
            process = self.start("run", "steps.yaml", "--progress", "none", "--step-rows", "1")
            while at < (kill + 1) * len(rows) // 5:
                n = self.rng.randint(1, 60)
                self.give(*rows[at:at + n])
                at += n
                process.until_checkpoints(1, "steps")
            process.process.kill()
            process.process.wait()
        self.good("run", "steps.yaml", "--once", "--progress", "none", "--step-rows", "1")
        self.assertEqual(self.last_versions(self.read_lines("killed/rows.jsonl")), pivoted(rows, "sum", True))
        declare("whole")
        self.good("run", "steps.yaml", "--once", "--progress", "none", "--step-rows", "1", "--state", "other")
        self.assertEqual(versions("killed"), versions("whole"))
        declare("batch", stream=False)
        self.good("run", "steps.yaml", "--progress", "none")
        self.assertEqual(self.last_versions(self.read_lines("batch/rows.jsonl")), self.last_versions(self.read_lines("killed/rows.jsonl")))

    def test_restarts_and_groups_that_are_let_go(self):
        """What these would fill in stays."""
        rows = self.readings(200)
        expected, shown, at = pivoted(rows, "sum", True), {}, 0
        self.declare_pivot("sum", True, keep=2)
        while at < len(rows):
            n = self.rng.randint(1, 50)
            self.give(*rows[at:at + n])
            shown.update(self.last_versions(self.rows("--state", "state", "--step-rows", str(self.rng.choice((1, 3, 100))))))
            at += n
        self.assertEqual(shown, expected)
        self.assertEqual(self.dead_letters("steps"), [])
        oldest = min(row["ts"] for row in rows)
        self.give({"id": 1, "ts": oldest, "kind": "a", "x": 1})
        self.freshet("run", "steps.yaml", "--debug", "--once", "--state", "state")
        (letter,) = self.dead_letters("steps")
        self.assertEqual(letter["code"], "late")
        self.assertIn("its group is older than the 2 newest ones", letter["reason"])

    def test_what_is_kept(self):
        self.declare_pivot("avg", False)
        self.give({"id": 1, "ts": 1700000001, "kind": "a", "x": 2}, {"id": 1, "ts": 1700000001, "kind": "a", "x": 5},
                  {"id": 2, "ts": 1700000002, "kind": "b", "x": None})
        self.good("run", "steps.yaml", "--once")
        inspected = self.good("state", "inspect", "steps.yaml", "--key", "id=1")
        self.assertEqual(json.loads(inspected), {"part": "pivot of events, step 1", "key": {"id": 1}, "groups": [
            {"ts": 1700000001, "a": 3.5, "null": None, "b": None}]})

    def test_one_group_column_and_numbers_as_columns(self):
        for stream in (True, False):
            self.declare_pivot(None, None, stream=stream, step="pivot: {group_by: id, column: x, values: [1, 2, \"null\"], "
                               "aggregate: {column: ts, function: max}}")
            self.declare_steps("pivot: {group_by: id, column: x, values: [1, 2, \"null\"], aggregate: {column: ts, function: max}}",
                               stream=stream, schema="id: bigint, ts: bigint, x: integer", query="'select *, coalesce(\"1\", 9) as ts from events'",
                               features=("{name: one, from: \"1\", type: bigint}", "{name: none, from: \"null\", type: bigint}"))
            self.write("in/1.jsonl", b"")
            self.give({"id": 1, "ts": 3, "x": 1}, {"id": 1, "ts": 5, "x": 1}, {"id": 1, "ts": 4}, {"id": 2, "ts": 7, "x": 2})
            self.assertEqual({row["id"]: (row["one"], row["none"]) for row in self.rows()}, {1: (5, 4), 2: (None, None)})

    def test_a_sum_that_does_not_fit(self):
        self.declare_steps("pivot: {group_by: [id, ts], column: kind, values: [a], aggregate: {column: x, function: sum}}",
                           schema="id: bigint, ts: bigint, kind: string, x: bigint", features=("{name: a, type: bigint}",))
        most = 2 ** 63 - 1
        self.give(*[{"id": 1, "ts": 1700000001, "kind": "a", "x": x} for x in (most - 1, 2, 1)])
        self.assertEqual([row["a"] for row in self.rows()], [most - 1, most])
        (letter,) = self.dead_letters("steps")
        self.assertIn("the sum of a pivot does not fit bigint", letter["reason"])

    def test_mistakes(self):
        good = {"group_by": "[id, ts]", "column": "kind", "values": "[a]", "aggregate": "{column: x, function: first}"}
        for change, text in (
                ({"group_by": "[id, tss]"}, '"group_by" of pivot: there is no column "tss" before this step; did you mean "ts"?'),
                ({"column": "kin"}, 'did you mean "kind"?'),
                ({"values": "[]"}, '"values" needs at least one value'),
                ({"values": None}, '"values" is missing in "pivot"'),
                ({"values": "[a, a]"}, 'two columns named "a"'),
                ({"values": "[id]"}, 'two columns named "id"'),
                ({"column": "x", "values": "[one]"}, '"values" of pivot: "one" is no value of the type integer'),
                ({"aggregate": "{column: x, function: median}"}, '"function" of pivot cannot be "median"'),
                ({"aggregate": "{column: kind, function: sum}"}, "sum"),
                ({"aggregate": "{column: x}"}, '"function" is missing in "aggregate"'),
                ({"group_by": "id", "forward_fill": "true"}, '"forward_fill" of pivot needs two columns'),
                ({"mock_value": "many"}, '"mock_value" of pivot: "many" is no value of the type integer'),
                ({"mock_type": "string"}, '"mock_type" of pivot needs "mock_value"'),
                ({"keep_groups": "0"}, '"keep_groups"')):
            options = {name: value for name, value in dict(good, **change).items() if value is not None}
            self.declare_steps("pivot: {%s}" % ", ".join("%s: %s" % pair for pair in options.items()),
                               schema="id: bigint, ts: bigint, kind: string, x: integer")
            said = self.problems()
            self.assertIn(text, said)
            self.assertRegex(said, r"steps.yaml:9:\d+: error:")
        self.declare_steps(PIVOT % ("first", "false", 1), schema="id: bigint, ts: bigint, kind: string, x: integer",
                           features=("{name: a, type: integer, window: {functions: [count], over: [1 day]}}",))
        self.assertIn("on a stream a pivot gives the row of a group again with each change", self.problems())


if __name__ == "__main__":
    import unittest
    unittest.main()
