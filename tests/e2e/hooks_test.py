"""Hooks: what is expected of the rows that pass, as SQL, and what becomes of rows that do not meet it."""

import glob
import json
import os
import random
import re
import shutil
import signal
import time
import unittest

from freshet_testing import Case, event, line, lines

KILLS = int(os.environ.get("FRESHET_KILLS", "20"))


class HooksTest(Case):

    def hooked(self, *, stream=False, reader="", source="", features="", sink="", writers="- jsonl: {path: out.jsonl}",
               preprocess="", query="select * from events", top="", name="events.yaml", extra="", more=""):
        """A declaration with hooks at the places that are given."""
        def of(hooks, indent):
            return f"{' ' * indent}hooks: {{{hooks}}}\n" if hooks else ""
        self.write(name, f"""\
version: 1
pipeline: events
{top}source:
  readers:
    - id: events
      stream: {str(stream).lower()}
      file: {{path: "in/*.jsonl", format: json, schema: {{id: bigint, key: string, seen: timestamp, value: double}}}}
{preprocess}{of(reader, 6)}  query: {query}
{of(source, 2)}feature_set:
  name: events
  entity: key
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen}}
  features: [{{name: id, type: bigint}}, {{name: value, type: double}}{more}]
{of(features, 2)}sink:
  writers:
    {writers}
{of(sink, 2)}{extra}""")
        return name

    def ids(self, name="out.jsonl"):
        return [row["id"] for row in self.read_lines(name)] if os.path.exists(self.path(name)) else []

    def clear(self, *names):
        for name in names or ("out.jsonl", "events.dead_letters.jsonl"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def given(self, n=10):
        os.makedirs(self.path("in"), exist_ok=True)
        self.write("in/a.jsonl", lines(0, n))

    def test_a_batch_is_written_as_a_whole_or_not_at_all(self):
        """At each place, of rows and of all rows; also where writers would show rows at once, and the last row is the bad one."""
        self.given(40000)
        two = "- jsonl: {path: out.jsonl}\n    - history: {path: out}"
        for place, hooks, said in (
                ("reader", '"before: [id < 39999]"', "1 of"),
                ("reader", "before: [max(id) < 39999]", 'found 39999, the first row is {"id":0}'),
                ("source", "after: [id < 39999]", "the query's rows"),
                ("features", "before: [count(*) filter (id >= 39998) = 0]", 'found 2, such as {"id":39998}'),
                ("features", "after: [count(*) between 1 and 10]", "found 40000"),
                ("sink", "before: [{expect: id <> 39999, name: no last one}]", '"no last one" (id <> 39999)'),
                ("features", "after: [value / (id - 39999) < 1e9]", 'such as {"key":"k1","timestamp"')):
            self.hooked(**{place: hooks.strip('"')}, writers=two)
            failed = self.freshet("run", "events.yaml")
            self.assertEqual(failed.code, 65, failed.err)
            self.assertIn(said, failed.err)
            self.assertRegex(failed.err, r"events.yaml:\d+:\d+: error: the hook .*: nothing of this batch is written")
            self.assertEqual(self.ids(), [])
            self.assertEqual(glob.glob(self.path("out/**/*.parquet"), recursive=True), [])
        self.hooked(features="after: [id < 40000, count(*) = 40000, count(distinct id) = 40000]", writers=two)
        self.good("run", "events.yaml")
        self.assertEqual(self.ids(), list(range(40000)))
        self.assertTrue(glob.glob(self.path("out/**/*.parquet"), recursive=True))

    def test_a_batch_without_rows_can_be_a_violation(self):
        self.given(0)
        for place in ("reader", "source", "features"):
            self.hooked(**{place: "after: [count(*) > 0]"})
            failed = self.freshet("run", "events.yaml")
            self.assertEqual(failed.code, 65, failed.err)
            self.assertIn("found 0", failed.err)

    def test_rows_to_the_dead_letters(self):
        """Just those rows, with place, record and reason; in batch and on a stream; null is not true."""
        os.makedirs(self.path("in"), exist_ok=True)
        self.write("in/a.jsonl", lines(0, 4) + b'{"id":4,"key":"k4","seen":"2024-01-01T00:00:04Z","value":null}\n' + lines(5, 8))
        letter = ", on_violation: dead_letter}]"
        for stream in (False, True):
            for place, hooks, who in (("reader", "before: [{expect: value >= 0.5", "events"),
                                      ("source", "after: [{expect: value >= 0.5", "events"),
                                      ("features", "before: [{expect: 'value >= 0.5', name: enough", "events"),
                                      ("features", "after: [{expect: value >= 0.5", None),
                                      ("sink", "before: [{expect: value >= 0.5", None)):
                self.hooked(stream=stream, **{place: hooks + letter}, extra="state: {path: state}\n" if stream else "")
                self.good("run", "events.yaml", *(["--once"] if stream else []))
                self.assertEqual(self.ids(), [2, 3, 5, 6, 7], place)
                letters = self.dead_letters()
                self.assertEqual([json.loads(each["raw"])["id"] for each in letters], [0, 1, 4])
                self.assertEqual({(each["code"], each["reader"]) for each in letters}, {("hook", who)})
                self.assertIn("value >= 0.5", letters[0]["reason"])
                if who:
                    self.assertEqual([each["offset"] for each in letters], [0, len(lines(0, 1)), len(lines(0, 4))])
                self.clear()
                shutil.rmtree(self.path("state"), ignore_errors=True)

    def test_a_writer_has_hooks_of_its_own(self):
        """Over its own columns; what it refuses the others get. Held rows of a batch, too."""
        self.given()
        for more in ("", "\n    - history: {path: out}\n      hooks: {before: [id < 10]}"):
            self.hooked(writers="""- jsonl: {path: out.jsonl}
      select: [id]
      hooks: {before: [{expect: id % 2 = 0, on_violation: dead_letter}]}
    - jsonl: {path: all.jsonl}""" + more)
            self.good("run", "events.yaml")
            self.assertEqual(self.ids(), [0, 2, 4, 6, 8])
            self.assertEqual(self.ids("all.jsonl"), list(range(10)))
            self.assertEqual([json.loads(each["raw"]) for each in self.dead_letters()], [{"id": i} for i in range(1, 10, 2)])
            self.clear("out.jsonl", "all.jsonl", "events.dead_letters.jsonl")

    def test_warnings_are_said_seldom_and_counted(self):
        self.given(100)
        for stream in (False, True):
            self.hooked(stream=stream, reader="before: [{expect: id < 90, on_violation: warn}, "
                        "{expect: count(*) < 10, on_violation: warn}]",
                        extra="state: {path: warned}\n" if stream else "")
            ran = self.freshet("run", "events.yaml", "--step-rows", "10", *(["--once"] if stream else []))
            self.assertEqual(ran.code, 0, ran.err)
            self.assertEqual(self.ids(), list(range(100)))
            self.assertEqual(ran.err.count("does not hold for 10 of 10 of the rows"), 1, ran.err)
            self.assertEqual(len(re.findall(r"found 10\b", ran.err)), stream, ran.err)  # of each micro-batch, or once of all
            self.assertEqual(len(re.findall(r"found 100\b", ran.err)), not stream)
            self.assertIn(f" {10 + (10 if stream else 1)} warnings of hooks", ran.err)
            self.clear()

    def test_a_running_stream_counts_them(self):
        self.given(3)
        self.hooked(stream=True, reader="before: [{expect: id < 2, on_violation: warn}]", writers="- online: {debug: true}")
        process = self.start_run("events.yaml")
        self.until_count(3, process)
        self.assertEqual(json.loads(self.good("status", "--pipeline", "events"))["hook_warnings"], 1)
        process.stop()

    def test_a_stream_fails_before_the_micro_batch_is_written(self):
        """What was written before stays; mended, it goes on where it was."""
        self.given(30)
        extra = "state: {path: state}\ncheckpoint: {interval: 1 ms}\n"
        self.hooked(stream=True, features="after: [max(id) < 25]", extra=extra, writers="- history: {path: out}")
        failed = self.freshet("run", "events.yaml", "--once", "--step-rows", "10")
        self.assertEqual(failed.code, 65, failed.err)
        self.assertIn("found 29", failed.err)
        self.assertIn("nothing of this micro-batch is written", failed.err)
        again = self.freshet("run", "events.yaml", "--once", "--step-rows", "10")
        self.assertEqual(again.code, 65, again.err)
        self.hooked(stream=True, features="after: [max(id) < 30]", extra=extra, writers="- history: {path: out}")
        self.good("run", "events.yaml", "--once", "--step-rows", "10")
        self.assertEqual(self.history_ids(), list(range(30)))

    def history_ids(self):
        return [row["id"] for row in self.history({"id": "bigint"})]

    def test_kills(self):
        """kill -9 at random moments: each good row once in the history, each refused one a letter once."""
        rng = random.Random("hooks")
        n = 20000
        os.makedirs(self.path("in"), exist_ok=True)
        for part in range(4):
            self.write(f"in/{part}.jsonl", b"".join(line(event(i)) for i in range(part, n, 4)))
        preprocess = "      preprocess: [{replace: {column: key, values: {k3: k4}}}]\n"
        self.hooked(stream=True, preprocess=preprocess,  # windows: files are merged by time, and rows wait for their turn
                    more=", {name: n, from: id, type: bigint, window: {functions: [count], over: [1 minute]}}",
                    reader="before: [{expect: id % 50 <> 7, on_violation: dead_letter}], "
                           "after: [{expect: key <> 'k4' or id % 3 <> 0, on_violation: dead_letter}]",
                    source="after: [{expect: id % 50 <> 9, on_violation: dead_letter}, count(*) < 100000]",
                    features="after: [{expect: id % 50 <> 11, on_violation: dead_letter}]",
                    extra="state: {path: state}\ncheckpoint: {interval: 5 ms}\n", writers="- history: {path: out}")
        for _ in range(KILLS):
            process = self.start("run", "events.yaml", "--once", "--step-rows", "200")
            time.sleep(rng.uniform(0.05, 0.6))  # no wait for a condition: any moment will do
            if process.is_running():
                process.signal(signal.SIGKILL)
            process.wait()
        self.good("run", "events.yaml", "--once", "--step-rows", "200")
        bad = {i for i in range(n) if i % 50 in (7, 9, 11) or (i % 7 in (3, 4) and i % 3 == 0)}
        self.assertEqual(self.history_ids(), sorted(set(range(n)) - bad))
        self.assertEqual(sorted(json.loads(each["raw"])["id"] for each in self.dead_letters()), sorted(bad))

    def test_behind_preprocess(self):
        """By rows, with steps that remember, in a reader that is loaded; the record is what is refused."""
        self.given(10)
        steps = "      preprocess: [{filter: id <> 3}, {replace: {column: key, values: {k1: one}}}]\n"
        fill = "      preprocess: [{forward_fill: {column: value, partition_by: [key], order_by: seen}}, {filter: id <> 3}]\n"
        for stream in (False, True):
            for preprocess in (steps, fill):
                once = ["--once"] if stream else []
                extra = "state: {path: state}\n" if stream else ""
                if stream or preprocess is steps:
                    self.hooked(stream=stream, preprocess=preprocess, extra=extra,
                                reader="before: [id >= 0], after: [{expect: 'id <> 3 and id <> 5', on_violation: dead_letter}]")
                    self.good("run", "events.yaml", *once)
                    self.assertEqual(self.ids(), [0, 1, 2, 4, 6, 7, 8, 9])
                    (letter,) = self.dead_letters()
                    self.assertEqual(json.loads(letter["raw"]), event(5))
                    self.assertEqual((letter["reader"], letter["offset"]), ("events", len(lines(0, 5))))
                    self.clear()
                shutil.rmtree(self.path("state"), ignore_errors=True)
                for hook, said in (("id <> 5", "1 of 9 of"), ("count(*) filter (id > 6) = 0", "found 3, such as"),
                                   ("key <> 'one' and key <> 'k0'", None)):
                    self.hooked(stream=stream, preprocess=preprocess, extra=extra, reader=f'after: ["{hook}"]')
                    failed = self.freshet("run", "events.yaml", *once)
                    self.assertEqual(failed.code, 65, failed.err)
                    self.assertIn(said or "behind `preprocess`", failed.err)
                    shutil.rmtree(self.path("state"), ignore_errors=True)
                    self.assertEqual(self.ids(), [])
        self.hooked(query="select key, max(seen) as seen, max(id) as id, max(value) as value from events group by key",
                    preprocess=steps, reader="after: [count(*) = 9, key is not null]", source="after: [count(*) = 6]")
        self.good("run", "events.yaml")
        self.assertEqual(len(self.ids()), 6)

    def test_readers_that_are_looked_up_in(self):
        """Asked of all rows of a load; a load whose hooks do not hold leaves what was there."""
        self.given(4)
        self.write("names.csv", "key,name\nk0,zero\nk1,one\nk2,two\nk3,\n")
        names = """\
    - id: names
      file: {path: names.csv, format: csv, schema: {key: string, name: string}}
      hooks: {before: [{expect: name is not null, on_violation: dead_letter}, count(*) > %d]}
"""
        for least, code in ((2, 0), (3, 65)):
            self.hooked(query="select e.*, n.name from events e join names n on n.key = e.key")
            with open(self.path("events.yaml"), encoding="utf-8") as file:
                declared = file.read()
            self.write("events.yaml", declared.replace("  query:", names % least + "  query:"))
            ran = self.freshet("run", "events.yaml")
            self.assertEqual(ran.code, code, ran.err)
            self.assertEqual(self.ids(), [0, 1, 2] if code == 0 else [])
            if code == 0:
                self.assertEqual(self.dead_letters()[0]["reader"], "names")
            self.clear()

    def test_a_load_that_fails_later_leaves_what_was_there(self):
        """A running stream whose looked-up file changes to what a hook refuses."""
        self.given(2)
        self.write("names.csv", "key,name\nk0,zero\nk1,one\n")
        self.hooked(stream=True, query="select e.*, n.name from events e join names n on n.key = e.key",
                    writers="- online: {debug: true}")
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            declared = file.read()
        self.write("events.yaml", declared.replace("  query:", """\
    - id: names
      file: {path: names.csv, format: csv, schema: {key: string, name: string}}
      hooks: {before: [count(*) > 1]}
  query:"""))
        process = self.start_run("events.yaml")
        self.until_count(2, process)
        self.write("names.csv", "key,name\nk0,nothing else\n")
        self.until(lambda: "the rows read before stay in use" in process.err(), "it says so", process)
        self.assertIn("does not hold for the rows of the reader \"names\": found 1", process.err())
        self.append("in/a.jsonl", line(event(8)))  # of k1
        self.until_count(3, process)
        process.stop()

    def test_letters_go_through_again(self):
        """Those of readers and the query, one of the rows that the query makes of a record; not those behind the features."""
        self.given(6)
        extra = "state: {path: state}\n"
        query = "select * from events union all select id + 100 as id, key, seen, value from events"
        letter = ", on_violation: dead_letter}]"
        self.hooked(stream=True, query=query, extra=extra, reader="before: [{expect: id <> 1" + letter,
                    source="after: [{expect: id <> 102" + letter, features="after: [{expect: id <> 3" + letter)
        self.good("run", "events.yaml", "--once")
        self.assertEqual(sorted(self.ids()), [0, 2, 4, 5, 100, 103, 104, 105])
        self.assertEqual([(each["reader"], json.loads(each["raw"])["id"]) for each in self.dead_letters()],
                         [("events", 1), ("events", 2), (None, 3)])
        self.hooked(stream=True, query=query, extra=extra, reader="before: [{expect: id <> 2" + letter)
        again = self.freshet("replay", "events.yaml")
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(sorted(self.ids()), [0, 1, 2, 4, 5, 100, 101, 103, 104, 105])
        self.hooked(stream=True, query=query, extra=extra)
        self.good("replay", "events.yaml")
        self.assertEqual(sorted(self.ids()), [0, 1, 2, 4, 5, 100, 101, 102, 103, 104, 105])
        self.assertEqual([each["reader"] for each in self.dead_letters()], [None])

    def test_a_join_of_streams(self):
        """At both readers, and behind the query, where a row is a pair."""
        self.given(12)
        self.write("b.jsonl", b"".join(line({"other": i, "sent": event(i)["seen"]}) for i in range(12)))
        for stream in (False, True):
            self.write("events.yaml", f"""\
version: 1
pipeline: events
source:
  readers:
    - id: a
      stream: {str(stream).lower()}
      timestamp: {{from: seen}}
      within: 1 minute
      file: {{path: in/a.jsonl, format: json, schema: {{id: bigint, key: string, seen: timestamp, value: double}}}}
      hooks: {{before: [{{expect: value <> 0.5, on_violation: dead_letter}}]}}
    - id: b
      stream: {str(stream).lower()}
      timestamp: {{from: sent}}
      within: 1 minute
      file: {{path: b.jsonl, format: json, schema: {{other: bigint, sent: timestamp}}}}
      hooks: {{after: [{{expect: sent <> timestamp '2024-01-01 00:00:04', on_violation: dead_letter}}]}}
  query: select a.id, a.key, a.seen from a join b on b.other = a.id
  hooks: {{after: [{{expect: id <> 6, on_violation: dead_letter}}, id < 12]}}
feature_set:
  name: events
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen}}
  features: [{{name: id, type: bigint}}]
sink: {{writers: [{{jsonl: {{path: out.jsonl}}}}]}}
{"state: {path: state}" if stream else ""}
""")
            self.good("run", "events.yaml", *(["--once", "--drain"] if stream else []))
            self.assertEqual(sorted(self.ids()), [0, 1, 3, 5, 7, 8, 9, 10, 11])
            letters = [(each["reader"], json.loads(each["raw"])) for each in self.dead_letters()]
            self.assertEqual(sorted((reader, raw.get("id", raw.get("other"))) for reader, raw in letters),
                             [("a", 2), ("b", 4), ("b", 6)])  # a pair's letter is that of the row which completed it
            self.clear()

    def test_dialect_and_macros(self):
        """Spark's meaning of a hook, a macro in it; the message has the text as it was written."""
        self.given(10)
        top = "dialect: spark\nmacros: [\"over_zero(x)\": \"x[0] > 0\"]\n"
        self.hooked(top=top, source="after: [\"count_if(id % 2 = 0) = 5\", \"over_zero(array(id + 1))\"]")
        self.good("run", "events.yaml")
        self.assertEqual(len(self.ids()), 10)
        self.clear()
        self.hooked(top=top, source="after: [\"over_zero(array(id))\"]")
        failed = self.freshet("run", "events.yaml")
        self.assertEqual(failed.code, 65, failed.err)
        self.assertIn('the hook "over_zero(array(id))" does not hold for 1 of 10', failed.err)

    def test_bad_hooks(self):
        """Each at its place, with what to write."""
        self.given(3)
        for place, hooks, column, said in (
                ("reader", "before: [vlaue > 0]", 24, 'have no column "vlaue"; did you mean "value"?'),
                ("source", "after: [ide + valeu > 0]", 19, 'have no column "ide"; did you mean "id"?'),
                ("features", "after: [seen is not null]", 19, 'no column "seen"; they have key, timestamp, id, value'),
                ("features", "after: [{expect: count(*) > 1, on_violation: dead_letter}]", 28,
                 "count(*) looks at many rows, and no single one breaks what is expected"),
                ("sink", "before: [id in (select 1)]", None, "a subquery cannot stand in a hook"),
                ("sink", 'before: ["sum(id) over () > 1"]', None, "a hook has one answer"),
                ("sink", "before: [id + 1]", 20, "gives a value of the type bigint, and not true or false"),
                ("sink", "before: [random() < 2]", 20, "a replayed row must give what it gave before"),
                ("sink", "before: [id > sum(value)]", None, "hook: "),
                ("sink", "before: [id >]", None, "hook: "),
                ("sink", "before: ['id > 0), (1']", None, "hook: "),
                ("sink", "before: [{expect: id > 0, on_violaton: warn}]", None, 'did you mean "on_violation"?'),
                ("sink", "before: [{expect: id > 0, on_violation: ignore}]", None, "dead_letter"),
                ("sink", "befor: [id > 0]", None, 'did you mean "before"?'),
                ("sink", "after: [id > 0]", 19, "write it under `before`"),
                ("source", "before: [id > 0]", 20, "under `hooks: {after: [...]}` of the reader")):
            self.hooked(**{place: hooks})
            refused = self.freshet("check", "events.yaml")
            self.assertEqual(refused.code, 78, (hooks, refused.out, refused.err))
            self.assertIn(said, refused.err)
            self.assertRegex(refused.err, r"events.yaml:\d+:" + (r"\d+" if column is None else str(column)) + ": error: ")
        self.hooked(query="select key, max(seen) as seen, 1 as id, 2 as value from events group by key",
                    preprocess="      preprocess: [{filter: id > 0}]\n",
                    reader="after: [{expect: id > 1, on_violation: dead_letter}]")
        refused = self.freshet("check", "events.yaml")
        self.assertEqual(refused.code, 78, refused.err)
        self.assertIn("write the hook under `before`", refused.err)


if __name__ == "__main__":
    unittest.main()
