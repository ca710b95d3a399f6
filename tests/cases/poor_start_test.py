"""A start in a poor place: descriptors 0 to 2 closed, little address space. Nothing that is meant for people
lands in a file of ours, and nothing is aborted: one sentence, exit code 75."""

import os
import resource
import unittest

from freshet_testing import PRESET, Case, lines


def close_standard():
    for fd in range(3):
        os.close(fd)


class PoorStartTest(Case):

    def test_closed_descriptors(self):
        self.declare(sink="- history: {path: out}\n    - jsonl: {path: out.jsonl}")
        self.write("in/0.jsonl", lines(0, 100) + b"nonsense\n")
        run = self.start("run", "events.yaml", preexec=close_standard)
        self.until(lambda: len(self.read_lines("out.jsonl")) == 100, "all rows")
        self.until(lambda: len(self.dead_letters()) == 1, "the dead letter")
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{run.pid}/fd/{fd}"), "/dev/null")
        with open(self.path("events.state/lock"), encoding="ascii") as lock:
            self.assertEqual(lock.read().strip(), str(run.pid))
        run.stop()
        self.assertEqual(sorted(row["id"] for row in self.read_lines("out.jsonl")), list(range(100)))

    @unittest.skipIf(PRESET in ("asan", "tsan"), "sanitizers want all the address space there is")
    def test_little_address_space(self):
        """From too little to begin with to enough: it runs, or says in one sentence why not."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        codes = set()
        for mib in (*range(120, 700, 40), 1500, 3000):
            def limit(size=mib << 20):
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
            finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", "--state",
                                    self.path(f"state{mib}"), preexec=limit)
            codes.add(finished.code)
            self.assertIn(finished.code, (0, 1, 75), f"{mib} MiB: {finished}")
            self.assertEqual(len(finished.err.splitlines()), 1, f"{mib} MiB: {finished.err}")
        self.assertIn(75, codes)
        self.assertIn(0, codes)


if __name__ == "__main__":
    unittest.main()
