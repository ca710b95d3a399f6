"""Steps that remember (`forward_fill`, `pivot`) on streams: the batch's values, in micro-batches of any size, from files
side by side, through restarts and kills; what is kept can be seen, and leaves memory; rows that come late."""

import json
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

    def history(self):
        self.write("read.yaml", """version: 1
pipeline: reads
source:
  readers: [{id: rows, file: {path: "out/**/*.parquet", format: parquet}}]
  query: select * from rows
feature_set:
  name: reads
  keys: [{name: id, type: bigint}]
  timestamp: {from: timestamp}
  features: [{name: filled, type: double}]
sink: {writers: [{online: {debug: true}}]}
""")
        out = self.good("run", "read.yaml", "--query", "select id, filled from online_feature_store__reads", "--format", "json")
        return [json.loads(text) for text in out.splitlines()]

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
        shown = self.history()
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
        self.declare_steps(FILL.replace("temp,", "id,"), schema=SCHEMA, features=("{name: filled, type: bigint}",))
        finished = self.freshet("run", "steps.yaml", "--once")
        self.assertEqual(finished.code, 78)
        self.assertIn("for its forward_fill of events, step 1 it keeps", finished.err)

    def test_keys_that_are_cold_leave_memory(self):
        n = 30000
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


if __name__ == "__main__":
    import unittest
    unittest.main()
