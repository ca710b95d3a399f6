"""A user's query whose functions make large values of small ones, nested: it is ended by its limit of time or
of memory, SIGTERM ends the run while it is under way, and the run's own memory holds nothing of it."""

import os
import re
import signal

from freshet_testing import DEADLINE, Case, lines

GROWING = ("select sum(length(replace(replace(replace(x, 'e', x), 'e', x), 'e', x))) from "
           "(select repeat('the label of ' || key, 9000) as x from online_feature_store__events limit 2000)")
DOUBLING = "select key as x from online_feature_store__events limit 2000"
for _ in range(26):
    DOUBLING = f"select x || x as x from ({DOUBLING})"
DOUBLING = f"select max(length(x)) from ({DOUBLING})"


class GrowingQueryTest(Case):

    def setUp(self):
        super().setUp()
        self.declare()
        self.write("in/0.jsonl", lines(0, 5000))
        self.run_process = self.start_run("events.yaml", "--progress", "none")
        self.until_count(5000, self.run_process)

    def query_processes(self):
        """Those that the run has started and not ended."""
        own = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                    parent = stat.read().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if parent == str(self.run_process.pid):
                own.append(name)
        return own

    def start_growing(self):
        """A query that runs, and its processes. Where it grew too fast to be seen, another one."""
        query = None
        while True:
            if query is None or not query.is_running():
                query = self.start("query", "--timeout", f"{int(DEADLINE * 10)}s", GROWING)
            children = self.until(lambda: self.query_processes() or not query.is_running(), "the query runs")
            if children is not True:
                return query, children

    def highest_memory(self):
        with open(f"/proc/{self.run_process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1)) * 1024

    def test_time(self):
        before = self.highest_memory()
        for sql in (GROWING, DOUBLING):
            finished = self.freshet("query", "--timeout", "200ms", sql)
            self.assertEqual(finished.code, 1, finished.out)
            self.assertRegex(finished.err, "longer than its limit of 0.2 seconds|of memory")
            self.until(lambda: not self.query_processes(), "no query is left")
        self.assertEqual(self.count(), 5000)
        self.assertLess(self.highest_memory(), before + (256 << 20))
        self.run_process.stop()

    def test_memory(self):
        finished = self.freshet("query", "--timeout", f"{int(DEADLINE * 10)}s", GROWING)
        self.assertEqual(finished.code, 1, finished.out)
        self.assertIn("memory", finished.err)
        self.assertEqual(self.count(), 5000)
        self.run_process.stop()

    def test_sigterm(self):
        query, children = self.start_growing()
        finished = self.run_process.stop()
        self.assertIn("5,000 rows read", finished.err)
        self.assertEqual(query.wait().code, 1)
        for child in children:
            self.assertFalse(os.path.exists(f"/proc/{child}"), "the query's process is left")

    def test_killed(self):
        """What has lost its pipeline without a word holds neither its lock nor its socket."""
        _, children = self.start_growing()
        self.run_process.end()
        self.start_run("events.yaml", "--progress", "none").stop()
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
