"""How many threads share the work of a run: `workers:`, --workers, FRESHET_WORKERS, and the cores that the
process may use."""

import os
import unittest

from freshet_testing import Case, event, line

ONE = {"FRESHET_WORKERS": ""}


class WorkersTest(Case):

    def declare_workers(self, extra=""):
        self.write("in/1.jsonl", b"".join(line(event(i)) for i in range(10)))
        self.declare(extra=extra)

    def threads(self, *args, preexec=None, **env):
        """The names of the crew's threads in a run."""
        run = self.start_run("events.yaml", "--progress", "none", *args, env={**self.env, **ONE, **env},
                             preexec=preexec)
        folder = f"/proc/{run.process.pid}/task"
        names = []
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/comm", encoding="utf-8") as file:
                names.append(file.read().strip())
        run.stop()
        return sorted(name for name in names if name.startswith("freshet-"))

    def test_who_says_how_many(self):
        self.declare_workers("workers: 3\n")
        self.assertEqual(self.threads(), ["freshet-1", "freshet-2"])
        self.assertEqual(self.threads(FRESHET_WORKERS="2"), ["freshet-1"])
        self.assertEqual(self.threads("--workers", "4", FRESHET_WORKERS="2"),
                         ["freshet-1", "freshet-2", "freshet-3"])
        self.assertEqual(self.threads("--workers", "1"), [])

    def test_by_default_all_cores(self):
        self.declare_workers()
        cores = os.sched_getaffinity(0)
        one = min(cores)
        self.assertEqual(self.threads(preexec=lambda: os.sched_setaffinity(0, {one})), [])
        self.assertLess(len(self.threads()), len(cores))

    def test_what_is_no_number_of_workers(self):
        self.declare_workers("workers: 65\n")
        told = self.freshet("check", "events.yaml")
        self.assertEqual(told.code, 78)
        self.assertRegex(told.err, r"events.yaml:\d+:\d+: error: .*workers.*64")
        self.declare_workers()
        told = self.freshet("run", "events.yaml", "--once", "--workers", "65", env={**self.env, **ONE})
        self.assertEqual(told.code, 2)
        self.assertIn("64 workers at most", told.err)
        for wrong in ("0", "65", "two", "-1"):
            told = self.freshet("run", "events.yaml", "--once", env={**self.env, "FRESHET_WORKERS": wrong})
            self.assertEqual(told.code, 2, told.err)
            self.assertIn("FRESHET_WORKERS", told.err)


if __name__ == "__main__":
    unittest.main()
