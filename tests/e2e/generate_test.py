"""Generated rows: the same in each run, in batch and as a stream, through kills and restarts."""

import collections
import json
import signal

from freshet_testing import Case

SCHEMA = "{user: string, ts: timestamp, id: bigint, amount: double}"
SHOWN = "select id, \"user\", timestamp, amount from online_feature_store__clicks order by id"
ROWS = 20000


class GenerateTest(Case):

    def declare_rows(self, options="", *, stream=False, rows=ROWS, extra="", sink="- online: {debug: true}"):
        end = f"rows: {rows}, " if rows else ""
        return self.write("clicks.yaml", f"""\
version: 1
pipeline: clicks
source:
  readers:
    - id: clicks
      stream: {"true" if stream else "false"}
      generate: {{schema: {SCHEMA}, {end}{options or "keys: 50"}}}
  query: select * from clicks
feature_set:
  name: clicks
  entity: user
  deduplicate_rows: false
  keys: [{{name: user, type: string}}]
  timestamp: {{from: ts}}
  features: [{{name: id, type: bigint}}, {{name: amount, type: double}}]
sink:
  writers:
    {sink}
{extra}""")

    def rows(self, *args):
        out = self.good("run", "clicks.yaml", "--query", SHOWN, "--format", "json", "--progress", "none", *args)
        return [json.loads(text) for text in out.splitlines()]

    def test_batch_and_stream_give_the_same_rows(self):
        self.declare_rows("keys: 50, late: 10, lateness: 5 seconds, rate: 1000")
        batch = self.rows()
        self.assertEqual([row["id"] for row in batch], list(range(ROWS)))
        self.declare_rows("keys: 50, late: 10, lateness: 5 seconds, rate: 1000", stream=True)
        self.assertEqual(self.rows("--once"), batch)
        users = collections.Counter(row["user"] for row in batch)
        self.assertEqual(len(users), 50)
        self.assertTrue(all(200 < n < 600 for n in users.values()), users)
        self.assertTrue(all(0 <= row["amount"] < 1000 for row in batch))
        due = [f"2024-01-01T00:00:{i // 1000:02d}.{i % 1000:03d}000Z" for i in range(ROWS)]
        late = sum(row["timestamp"] < at for row, at in zip(batch, due))
        self.assertTrue(all(row["timestamp"] <= at for row, at in zip(batch, due)))
        self.assertTrue(0.08 * ROWS < late < 0.12 * ROWS, late)
        self.declare_rows("seed: 2, keys: 50, late: 10, lateness: 5 seconds, rate: 1000")
        self.assertNotEqual(self.rows(), batch)

    def test_a_killed_stream_goes_on_with_the_rows_that_were_to_come(self):
        history = "- history: {path: out}"
        self.declare_rows("keys: 50")
        batch = self.rows()
        self.declare_rows("keys: 50, rate: 20000, step: 1 ms", stream=True, sink=history,
                          extra="checkpoint: {interval: 20 ms}\n")
        for checkpoints in (3, 4, 5):
            run = self.start("run", "clicks.yaml", "--progress", "none")
            run.until_checkpoints(checkpoints, "clicks")
            run.signal(signal.SIGKILL)
            run.process.wait()
        self.good("run", "clicks.yaml", "--once", "--progress", "none")
        self.write("read.yaml", """\
version: 1
pipeline: reads
source:
  readers:
    - id: rows
      file: {path: "out/**/*.parquet", format: parquet}
  query: select * from rows
feature_set:
  name: clicks
  entity: user
  deduplicate_rows: false
  keys: [{name: user, type: string}]
  timestamp: {from: timestamp}
  features: [{name: id, type: bigint}, {name: amount, type: double}]
sink:
  writers:
    - online: {debug: true}
""")
        out = self.good("run", "read.yaml", "--query", SHOWN, "--format", "json", "--progress", "none")
        self.assertEqual([json.loads(text) for text in out.splitlines()], batch)

    def test_a_state_of_other_rows_is_refused(self):
        """Fewer rows than have come, or others: each says so, and the state stays as it was."""
        history = "- history: {path: out}"
        self.declare_rows(stream=True, rows=6000, sink=history)
        self.good("run", "clicks.yaml", "--once", "--progress", "none")
        for options, rows, said in (
                ("", 10, "the state has come to row 6000, which is behind the last one of rows: 10; say rows: 6000 or "
                         "more, or begin anew after `freshet state reset`, or name another folder by --state"),
                ("seed: 2", 6000, "the state is of other rows than these, which depend on schema, seed,")):
            self.declare_rows(options, stream=True, rows=rows, sink=history)
            for once in (["--once"], []):
                refused = self.freshet("run", "clicks.yaml", "--progress", "none", *once)
                self.assertEqual(refused.code, 78, refused.err)
                self.assertRegex(refused.err, r"clicks.yaml:\d+:\d+: ")
                self.assertIn(said, refused.err)
        self.declare_rows(stream=True, rows=6001, sink=history)
        self.assertIn("1 row", self.good_err("run", "clicks.yaml", "--once"))

    def good_err(self, *args):
        finished = self.freshet(*args)
        self.assertEqual(finished.code, 0, finished.err)
        return finished.err

    def test_mistakes_are_said(self):
        for options, said in (
                ("rate: -1", '"rate" cannot be "-1": it must be from 0 to 1000000'),
                ("key: who", '"key" is "who", which is no column of schema'),
                ("key: amount", '"key" is "amount", whose type must be integer, bigint or string'),
                ("late: 101", '"late" cannot be "101": it must be from 0 to 100'),
                ("start: noon", '"start" cannot be "noon": it must be a time such as 2024-01-01 00:00:00'),
                ("step: 1 day, rows: 1000000000000", "the last row's time is beyond all timestamps")):
            self.declare_rows(options, rows=0)
            finished = self.freshet("check", "clicks.yaml")
            self.assertEqual(finished.code, 78, finished.err)
            self.assertIn(said, finished.err)
        self.declare_rows(rows=0)
        self.assertIn('a batch must end: say by "rows" how many there are', self.freshet("check", "clicks.yaml").err)
        self.declare_rows(rows=0, stream=True)
        self.assertIn("a stream that runs once must end",
                      self.freshet("run", "clicks.yaml", "--once", "--progress", "none").err)
        self.write("clicks.yaml", self.read("clicks.yaml").replace("amount: double", "amount: duoble"))
        self.assertIn('"amount" cannot be "duoble"', self.freshet("check", "clicks.yaml").err)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

