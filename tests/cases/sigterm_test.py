"""SIGTERM ends a run wherever it is: in a join that takes for ever, in a function that asks nobody, in a batch's
query, among many files. What was under way is given up, and the next run begins where it should."""

import os
import signal
import unittest

from freshet_testing import EVENTS, PRESET, Case, line, lines

# Of one row after the other: 81 million letters, and each of them 9,000 times.
ENDLESS_SQL = ("length(replace(replace(replace(key || repeat(''k'', 9000), ''k'', repeat(''k'', 9000)), "
               "''k'', repeat(''k'', 90)), ''k'', ''y''))")
PAIRS = "- id: numbers\n  file: {path: numbers.csv, format: csv, schema: {n: bigint}}\n"


class SigtermTest(Case):

    def until_busy(self, run):
        """Until it has used so much of the processor that it must be in the middle of what takes long."""
        def seconds():
            with open(f"/proc/{run.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.until(lambda: run.handles(signal.SIGTERM), "signals are handled", run)
        before = seconds()
        self.until(lambda: seconds() > before + 1, "it is at work", run)

    def until_child(self, run):
        """Its process that is at work."""
        path = f"/proc/{run.pid}/task/{run.pid}/children"
        def children():
            with open(path, encoding="ascii") as file:
                return file.read().split()
        self.until(children, "it has a child", run)
        return children()[0]

    def stop_busy(self):
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until_busy(run)
        return run.stop().err

    def write_numbers(self, n):
        self.write("numbers.csv", "n\n" + "\n".join(str(i) for i in range(n)) + "\n")

    def test_a_join_on_a_stream(self):
        self.declare(query="select e.* from events e join numbers a on sin(a.n + e.id) > 2 or e.id = a.n",
                     readers=PAIRS, sink="- jsonl: {path: out.jsonl}")
        self.write_numbers(2000000)
        self.write("in/0.jsonl", lines(0, 16000))
        self.assertIn("stopped in the middle of a micro-batch: its rows are read again by the next run",
                      self.stop_busy())
        self.assertEqual(self.read_lines("out.jsonl"), [])
        self.write_numbers(10)
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(sorted(row["id"] for row in self.read_lines("out.jsonl")), list(range(10)))

    @unittest.skipIf(PRESET in ("asan", "tsan"), "there the query's plan is made with such texts, and takes minutes")
    def test_a_function_in_the_query(self):
        self.declare(query=f"select id, seen, value, {ENDLESS_SQL} as key from events".replace("''", "'"),
                     keys="{name: key, type: bigint}", sink="- jsonl: {path: out.jsonl}")
        self.write("in/0.jsonl", lines(0, 16000))
        self.assertIn("read again by the next run", self.stop_busy())

    @unittest.skipIf(PRESET in ("asan", "tsan"), "as above")
    def test_a_look_at_the_first_rows(self):
        """`check` gives it up after seconds, or much memory, and Ctrl-C ends it with its process at once."""
        slow = "levenshtein(key || repeat(''ab'', 30000), repeat(''ba'', 30000))"  # of one row: seconds
        for sql in (ENDLESS_SQL, slow):
            self.declare(query=f"select id, seen, value, {sql} as key from events".replace("''", "'"),
                         keys="{name: key, type: bigint}", sink="- jsonl: {path: out.jsonl}")
            self.write("in/0.jsonl", lines(0, 1000))
            checked = self.freshet("check", "events.yaml")
            self.assertEqual((checked.code, checked.err), (0, ""))
        for _ in range(5):  # unless the look is given up meanwhile, on a busy machine
            checked = self.start("check", "events.yaml")
            child = self.until_child(checked)
            checked.signal(signal.SIGTERM)  # as Ctrl-C, which a shell may have ignored for a test
            code = checked.wait().code
            self.until(lambda: not os.path.exists(f"/proc/{child}/cwd"), "its process is gone")
            if code != 0:
                break
        self.assertEqual(code, -signal.SIGTERM)

    def test_a_function_of_a_replay(self):
        def declare(value):
            self.declare(schema=dict(EVENTS, value=value), sink="- jsonl: {path: out.jsonl}",
                         features=["{name: id, type: bigint}",
                                   f"{{name: n, type: bigint, sql: 'case when id = 0 then 0 else {ENDLESS_SQL} end'}}"])
        declare("integer")
        self.write("in/0.jsonl", lines(0, 4))
        refused = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual((refused.code, len(self.dead_letters())), (0, 3), refused.err)
        declare("double")
        replay = self.start("replay", "events.yaml")
        self.until_busy(replay)
        self.assertIn("read again by the next run", replay.stop().err)
        self.assertEqual([row["id"] for row in self.read_lines("out.jsonl")], [0])

    def test_a_function_of_a_feature(self):
        self.declare(features=["{name: id, type: bigint}", f"{{name: n, type: bigint, sql: '{ENDLESS_SQL}'}}"],
                     sink="- jsonl: {path: out.jsonl}")
        self.write("in/0.jsonl", lines(0, 16000))
        self.assertIn("read again by the next run", self.stop_busy())
        self.declare(features=["{name: id, type: bigint}"], sink="- jsonl: {path: out.jsonl}")
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([row["id"] for row in self.read_lines("out.jsonl")], list(range(16000)))

    def test_the_query_of_a_batch(self):
        self.declare(stream=False, sink="- history: {path: out}",
                     query="select e.id, any_value(key) as key, max(seen) as seen, sum(a.n) as value from events e "
                           "join numbers a on sin(a.n + e.id) < 2 group by e.id order by e.id", readers=PAIRS)
        self.write_numbers(2000000)
        self.write("in/0.jsonl", lines(0, 16000))
        self.assertIn("stopped in the middle", self.stop_busy())
        self.assertEqual([name for name in os.listdir(self.path("out")) if not name.startswith(".")]
                         if os.path.isdir(self.path("out")) else [], [])

    def files(self):
        return sum(len(names) for _, _, names in os.walk(self.path("out")))

    def test_many_files(self):
        """Of a batch nothing stays; a stream goes on, and each row is there once."""
        for stream in (False, True):
            with self.subTest(stream=stream):
                name = f"p{int(stream)}"
                self.declare(f"{name}.yaml", stream=stream, pipeline=name, schema={"id": "bigint", "t": "bigint"},
                             keys="{name: id, type: bigint}", timestamp="{from: t, unit: s}",
                             features=["{name: id2, type: bigint, sql: id}"], sink="- history: {path: out}")
                self.write("in/0.jsonl", b"".join(line({"id": i, "t": i * 86400}) for i in range(600)))
                run = self.start("run", f"{name}.yaml", "--progress", "none")
                self.until(lambda: self.files() > 20, "it writes files", run)
                run.stop()
        run = self.start("run", "p1.yaml", "--progress", "none", "--once")
        self.assertEqual(run.wait().code, 0)
        self.declare("back.yaml", stream=False, pipeline="back", path="out/**/*.parquet", format="parquet",
                     schema=None, query="select id, timestamp as seen from events",
                     keys="{name: id, type: bigint}", features=["{name: n, type: bigint, sql: id}"])
        rows, _ = self.once("back.yaml", sql="select count(*) as n, count(distinct id) as d "
                            "from online_feature_store__back")
        self.assertEqual(rows, [{"n": 600, "d": 600}])
