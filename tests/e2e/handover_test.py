"""A batch that leaves a checkpoint, and the stream that goes on behind it: together they leave what one
uninterrupted stream leaves, row by row. The big form of it is handover_big_test.py; that from a topic is in
kafka_test.py."""

import json
import os
import re
import shutil
import time

from freshet_testing import Case, event, line, lines

WINDOWS = """
    - {name: v, from: value, type: double, window: {functions: [avg, count, min], over: [1 minute, 20 minutes]}}
    - {name: n, from: id, type: bigint, window: {functions: [sum], over: [7 events], mode: row_windows}}
"""
PLAIN = """
    - {name: value, type: double}
"""
AGGREGATED = """
    - {name: v, from: value, type: double, aggregate: {functions: [avg, count]}}
"""
FILL = "\n      preprocess: [{forward_fill: {partition_by: key, order_by: seen, column: value}}]"


class HandoverCase(Case):

    def declare_set(self, name="events.yaml", *, features=WINDOWS, query="select * from events", steps="", readers="",
                    extra="", set_extra="", sink="- history: {path: \"${OUT:out}\"}", id_feature=True):
        own = "    - {name: id, type: bigint}" if id_feature else ""
        self.write(name, f"""\
version: 1
pipeline: "${{PIPELINE:events}}"
source:
  readers:
    - id: events
      stream: ${{STREAM:false}}
      file: {{path: "in/*.jsonl", format: json, schema: {{id: bigint, key: string, seen: timestamp, value: double}}}}{steps}
{readers}  query: {query}
feature_set:
  name: events
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen, lateness: 2 minutes}}
{set_extra}  features:
{own}{features}
sink:
  writers:
    {sink}
{extra}""")
        os.makedirs(self.path("in"), exist_ok=True)
        return name

    def jittered(self, i):
        """The i-th event, up to three minutes late: some are refused, some change rows that went out."""
        record = event(i, keys=11)
        second = i // 4 - self.rng.choice((0, 0, 0, 30, 110, 180)) + 200
        record["seen"] = f"2024-01-{1 + second // 86400:02d}T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        if self.rng.random() < 0.2:
            record["value"] = None
        return record

    def fill(self, first, last, files):
        """Files of these events, in the order of time from one to the next, or side by side."""
        records = [line(self.jittered(i)) for i in range(first, last)]
        for k in range(files):
            self.write(f"in/{first}-{k}.jsonl", b"".join(records[k::files]))

    def run_with(self, *args, code=0, **variables):
        finished = self.freshet("run", "events.yaml", "--progress", "none", "--no-serve", *args,
                                env=dict(self.env, **variables))
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def rows(self, folder):
        features = [text.split() for text in self.good("show", "--schema", "events.yaml").splitlines()]
        columns = {name: kind for name, kind in features if name not in ("key", "timestamp")}
        rows = self.history(columns, folder, order="all")
        self.assertTrue(rows)
        return rows

    def letters(self, pipeline):
        return sorted((letter["partition"], letter["offset"], letter["reason"]) for letter in self.dead_letters(pipeline))


class SameTest(HandoverCase):

    def try_one(self, **declared):
        """In two goes as a batch and a stream; and in one, by a stream that runs all the time."""
        for name in ("in", "out", "whole", "events.state", "whole.state"):
            shutil.rmtree(self.path(name), ignore_errors=True)
        for name in ("events", "whole"):
            if os.path.exists(self.path(name + ".dead_letters.jsonl")):
                os.remove(self.path(name + ".dead_letters.jsonl"))
        self.declare_set(**declared)
        self.fill(0, 700, files=self.rng.choice((1, 3)))
        batch = self.run_with("--checkpoint", "--step-rows", str(self.rng.choice((7, 100, 5000))))
        self.assertIn("left checkpoint", batch.err)
        stream = self.start("run", "events.yaml", env=dict(self.env, STREAM="true", PIPELINE="whole", OUT="whole"))
        self.until_read(stream, 700)
        self.fill(700, 1000, files=1)
        self.run_with("--once", STREAM="true")
        self.until_read(stream, 1000)
        self.stop_behind_all(stream)
        self.assertEqual(self.rows("out"), self.rows("whole"))
        self.assertEqual(self.letters("events"), self.letters("whole"))
        kept = [sorted(self.freshet("state", "inspect", "events.yaml", "--limit", "1000",
                                    env=dict(self.env, STREAM="true", PIPELINE=name)).out.splitlines()) for name in ("events", "whole")]
        self.assertEqual(*kept)
        return batch

    def until_read(self, stream, n):
        def all_read():
            finished = self.freshet("status", "--pipeline", "whole")
            return finished.code in (0, 75) and finished.out and json.loads(finished.out).get("rows_read") == n
        self.until(all_read, f"{n} rows", stream)

    def stop_behind_all(self, stream):
        """A micro-batch that takes a slow machine over a second is left by SIGTERM, and done by the next run."""
        finished = stream.stop()
        if "read again by the next run" in finished.err:
            self.run_with("--once", STREAM="true", PIPELINE="whole", OUT="whole")

    def test_windows(self):
        self.try_one()

    def test_corrections(self):
        self.try_one(sink="- history: {path: \"${OUT:out}\", corrections: true}")

    def test_deduplicated(self):
        self.try_one(features=PLAIN, set_extra="  deduplicate: {on: [id], within: 1 day}\n")

    def test_groups_that_close(self):
        """Windows that are open at the end of the batch are closed by the stream."""
        self.try_one(features=AGGREGATED, id_feature=False,
                     set_extra="  aggregated: {windows: {over: [5 minutes], slide: 1 minute}}\n")

    def test_steps_that_remember(self):
        """As a batch by itself this runs as a whole; as one that hands over row by row."""
        self.try_one(steps=FILL)

    def test_joined(self):
        """Two readers that are joined within a bound: rows that wait for their partners are handed over, too."""
        reader = """\
    - id: {id}
      stream: ${{STREAM:false}}
      within: 10 minutes
      timestamp: {{from: {id}_at}}
      file: {{path: "{id}/*.jsonl", format: json, schema: {{id: bigint, {id}_at: timestamp, {id}_v: double}}}}
"""
        self.write("events.yaml", f"""\
version: 1
pipeline: "${{PIPELINE:events}}"
source:
  readers:
{reader.format(id="a")}{reader.format(id="b")}  query: select a.id as key, b_at as seen, a_v, b_v from a join b on a.id = b.id
feature_set:
  name: events
  keys: [{{name: key, type: bigint}}]
  timestamp: {{from: seen, lateness: 1 minute}}
  features: [{{name: a_v, type: double}}, {{name: b_v, type: double, window: {{functions: [count], over: [1 hour]}}}}]
sink: {{writers: [{{history: {{path: "${{OUT:out}}"}}}}]}}
""")

        def fill(name, first, last, behind):
            self.write(f"{name}/{first}.jsonl", b"".join(
                line({"id": i % 50, f"{name}_at": event(i * 7 + behind)["seen"], f"{name}_v": i}) for i in range(first, last)))
        fill("a", 0, 300, 0)
        fill("b", 0, 280, 30)
        said = self.run_with("--checkpoint").err
        n = re.search(r"(\d+) rows of the joined readers wait there for partners that may still come", said)
        self.assertIsNotNone(n, said)
        self.assertIn(int(n[1]), range(85, 200))  # of both, those of some ten minutes
        self.run_with("--once", STREAM="true", PIPELINE="whole", OUT="whole")
        fill("a", 300, 400, 0)
        fill("b", 280, 400, 30)
        self.run_with("--once", STREAM="true")
        self.run_with("--once", STREAM="true", PIPELINE="whole", OUT="whole")
        columns = {"a_v": "double", "b_v__count_over_1_hour_fixed_windows": "bigint"}
        found = [self.history(columns, folder, order="all", keys="{name: key, type: bigint}") for folder in ("out", "whole")]
        self.assertEqual(*found)
        self.assertGreater(len(found[0]), 500)

    def test_state_block_and_a_table_beside(self):
        self.write("names.csv", "key,name\nk0,zero\nk1,one\n")
        self.try_one(query="select e.*, n.name from events e left join names n on n.key = e.key",
                     readers="    - id: names\n      file: {path: names.csv, format: csv, schema: {key: string, name: string}}\n",
                     features=WINDOWS + "    - {name: name, type: string}\n", extra="state: {memory: 64 MiB}\n")


class KillTest(HandoverCase):

    def test_killed_anywhere(self):
        """A batch that is killed goes on, and then the stream: each row once, windows full."""
        slow = WINDOWS + "    - {name: slow, type: bigint, sql: \"list_sum(range(4000 + id % 2))\"}\n"
        self.declare_set(features=slow, extra="checkpoint: {interval: 20 ms}\n")
        self.fill(0, 3000, files=2)
        self.run_with("--checkpoint", "--step-rows", "50", PIPELINE="whole", OUT="whole")
        for _ in range(int(os.environ.get("FRESHET_KILLS", "8"))):
            run = self.start("run", "events.yaml", "--checkpoint", "--no-serve", "--step-rows", "50")
            end = time.monotonic() + self.rng.uniform(0.1, 1.0)
            while run.is_running() and time.monotonic() < end:
                time.sleep(0.002)
            run.end()
        self.run_with("--checkpoint")
        self.assertEqual(self.rows("out"), self.rows("whole"))
        self.fill(3000, 3100, files=1)
        for variables in ({}, {"PIPELINE": "whole", "OUT": "whole"}):
            self.run_with("--once", STREAM="true", **variables)
        self.assertEqual(self.rows("out"), self.rows("whole"))
        self.assertEqual(self.letters("events"), self.letters("whole"))

    def test_again(self):
        """A batch over the same state reads what is new, and nothing twice."""
        self.declare_set(extra="state: {}\n")
        self.write("in/a.jsonl", lines(0, 50))
        self.run_with()
        before = self.rows("out")
        said = self.run_with().err
        self.assertIn("goes on from checkpoint", said)
        self.assertIn(" 0 rows read", said)
        self.assertEqual(self.rows("out"), before)
        self.write("in/b.jsonl", lines(50, 60))
        self.run_with()
        self.assertEqual(len(self.rows("out")), len(before) + 10)


    def test_half_a_line(self):
        """What a stream would wait for, the batch leaves to it."""
        self.declare_set()
        self.write("in/a.jsonl", lines(0, 20)[:-10])
        self.assertIn("it is left for later", self.run_with("--checkpoint").err)
        self.assertEqual(len(self.rows("out")), 19)
        self.append("in/a.jsonl", lines(0, 20)[-10:] + lines(20, 22))
        self.run_with("--once", STREAM="true")
        self.assertEqual([row["id"] for row in self.rows("out")], sorted(range(22), key=lambda i: (f"k{i % 7}", i)))


class RefusedTest(HandoverCase):

    def refused(self, says, *args, code=78, **variables):
        self.assertIn(says, self.run_with(*args, code=code, **variables).err)

    def test_without(self):
        """Without the hand-over the stream is refused, and told how to have one."""
        self.declare_set()
        self.write("in/a.jsonl", lines(0, 50))
        self.run_with()
        self.refused("run the batch once more with --checkpoint", "--once", STREAM="true")
        shutil.rmtree(self.path("out"))
        self.run_with("--checkpoint")
        self.refused("say --checkpoint")
        self.refused("leave the dates away and say --checkpoint", "--start-date", "2024-01-01")
        self.refused("leave the dates away and say --checkpoint", "--end-date", "2024-01-01")
        self.run_with("--once", STREAM="true")
        self.assertEqual(len(self.rows("out")), 50)

    def test_state_put_back(self):
        """A run that is refused leaves no folder in the way of the state that is put back."""
        self.declare_set(extra="state: {}\n")
        self.write("in/a.jsonl", lines(0, 50))
        self.run_with()
        os.rename(self.path("events.state"), self.path("kept"))
        self.refused("put back the state that belongs to it")
        self.refused("put back the state that belongs to it", "--once", STREAM="true")
        self.assertFalse(os.path.exists(self.path("events.state")))
        os.rename(self.path("kept"), self.path("events.state"))
        self.assertIn(" 0 rows read", self.run_with().err)

    def test_as_a_whole(self):
        """Where no stream can run the query, check says what to write."""
        self.declare_set(query="select * from events order by seen", extra="state: {}\n")
        self.write("in/a.jsonl", lines(0, 50))
        checked = self.freshet("check", "events.yaml")
        self.assertEqual(checked.code, 78)
        self.assertRegex(checked.err, r"events\.yaml:\d+:\d+: error: this batch is to leave a checkpoint.*ORDER BY.*take `state` out")
        self.declare_set(query="select key, seen, max(id) as id, max(value) as value from events group by all")
        self.refused("leave --checkpoint away, and it leaves none", "--checkpoint")
        self.run_with()

    def test_what_cannot_be(self):
        self.declare_set()
        self.write("in/a.jsonl", lines(0, 50))
        self.refused("leave the dates away", "--checkpoint", "--start-date", "2024-01-01", code=2)
        self.refused("leave --debug away", "--checkpoint", "--debug", code=2)
        self.refused("which makes checkpoints anyway", "--checkpoint", "--once", code=2, STREAM="true")
        self.refused("add --checkpoint", "--state", "mine", code=2)
        self.declare_set(sink="- online: {debug: true}")
        self.refused("no writer keeps the rows", "--checkpoint")

    def test_days_leave_none(self):
        """With dates a batch with a state block is one as before."""
        self.declare_set(extra="state: {}\n")
        self.write("in/a.jsonl", lines(0, 50))
        self.run_with("--start-date", "2024-01-01", "--end-date", "2024-01-01")
        self.assertFalse(os.path.exists(self.path("events.state")))
        self.assertIn("batch that leaves a checkpoint", self.good("check", "events.yaml"))

    def test_changed_meanings(self):
        """`stream`, where it lies and how often it is saved may differ; what windows are made of may not."""
        self.declare_set()
        self.write("in/a.jsonl", lines(0, 50))
        self.run_with("--checkpoint")
        self.declare_set(query="select id, key, seen, value * 2 as value from events")
        self.refused("changed from", "--once", STREAM="true")
        self.declare_set(extra="checkpoint: {interval: 3 seconds}\nstate: {memory: 64 MiB}\n")
        self.run_with("--once", STREAM="true")
        inspected = self.good("state", "inspect", "events.yaml", "--key", "key=k1")
        self.assertIn("k1", inspected)
        self.declare_set()
        self.assertEqual(self.good("state", "inspect", "events.yaml", "--key", "key=k1"), inspected)
