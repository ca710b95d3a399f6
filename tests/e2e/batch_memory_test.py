"""A batch whose rows need more memory than `batch: {memory}`: they wait in a file, and nothing else changes."""

import os
import unittest

from freshet_testing import Case, event, limit_file_size, line

ROWS = 24000
FEATURES = ("{name: id, type: bigint}", "{name: kind, type: string}",
            "{name: value, window: {functions: [count, {sum: double}], over: [100 seconds, 1 hour]}}",
            "{name: n, from: id, type: bigint, window: {functions: [sum], over: [5 events], mode: row_windows}}")
SCHEMA = {"id": "bigint", "key": "string", "seen": "timestamp", "value": "double", "kind": "string"}


class BatchMemoryTest(Case):

    def rows(self):
        """Keys of many and of few rows; times that go back; some rows repeat in all but their id."""
        for i in range(ROWS):
            one = event(self.rng.randrange(ROWS))
            key = "hot" if i % 5 == 0 else f"a key of some length {self.rng.randrange(3000)}"
            yield line({"id": i, "key": key, "seen": one["seen"], "value": i % 3,
                        "kind": None if i % 11 == 0 else f"a kind that is longer than twelve {i % 4}"})

    def run_within(self, memory, *args, features=FEATURES, deduplicate=False):
        self.declare("batch.yaml", stream=False, schema=SCHEMA, features=features,
                     sink=f"- jsonl: {{path: {self.path('out.jsonl')}}}",
                     extra=f"batch: {{memory: {memory}, path: scratch}}\n")
        if deduplicate:
            with open(self.path("batch.yaml"), encoding="utf-8") as file:
                text = file.read().replace("  entity: key\n", "  entity: key\n  deduplicate_rows: true\n")
            self.write("batch.yaml", text)
        os.makedirs(self.path("scratch"), exist_ok=True)
        finished = self.freshet("run", "batch.yaml", "--progress", "none", "--no-serve", *args)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(os.listdir(self.path("scratch")), [])
        out = self.read_lines("out.jsonl")
        os.unlink(self.path("out.jsonl"))
        return out, finished.err

    def by_key(self, rows):
        """The rows of each key, in their order."""
        keys = {}
        for row in rows:
            keys.setdefault(row["key"], []).append(row)
        return keys

    def assert_same(self, one, other):
        """The first row that differs says enough."""
        one, other = self.by_key(one), self.by_key(other)
        self.assertTrue(one.keys() == other.keys(), "keys differ")
        for key, rows in one.items():
            self.assertEqual(len(rows), len(other[key]), key)
            for row, expected in zip(rows, other[key]):
                self.assertEqual(row, expected)

    def test_rows_are_the_same(self):
        self.write("in/a.jsonl", b"".join(self.rows()))
        for deduplicate in (False, True):
            features = FEATURES[1:2] if deduplicate else FEATURES
            whole, _ = self.run_within("1 GiB", "--workers", "1", features=features, deduplicate=deduplicate)
            self.assertTrue(deduplicate or len(whole) == ROWS)
            for workers in ("1", "2"):
                with self.subTest(deduplicate=deduplicate, workers=workers):
                    spread, _ = self.run_within("1 MiB", "--workers", workers, features=features,
                                                deduplicate=deduplicate)
                    self.assertTrue(spread != whole, "no row waited in a file")
                    self.assert_same(spread, whole)

    def test_windows_then_deduplicated(self):
        self.write("in/a.jsonl", b"".join(self.rows()))
        whole, _ = self.run_within("1 GiB", features=FEATURES[1:], deduplicate=True)
        spread, said = self.run_within("1 MiB", features=FEATURES[1:], deduplicate=True)
        self.assert_same(spread, whole)
        self.assertIn("a set of keys that must be in memory together", said)  # "hot"

    def test_no_room_on_disk(self):
        self.write("in/a.jsonl", b"".join(self.rows()))
        self.declare("batch.yaml", stream=False, schema=SCHEMA, features=FEATURES,
                     extra="batch: {memory: 1 MiB, path: scratch}\n")
        for verb in ("check", "run"):
            finished = self.freshet(verb, "batch.yaml")
            self.assertEqual(finished.code, 78, finished.err)
            self.assertRegex(finished.err, r"batch.yaml:\d+:\d+: error: batch.path: rows cannot wait in .*scratch: "
                                           "No such file or directory; make that folder, or")
        self.write("scratch", b"")
        self.assertIn("it is no folder", self.freshet("check", "batch.yaml").err)
        os.unlink(self.path("scratch"))
        os.makedirs(self.path("scratch"))
        self.assertEqual(self.freshet("check", "batch.yaml").code, 0)
        finished = self.freshet("run", "batch.yaml", "--no-serve", preexec=limit_file_size(8192))
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn("cannot write rows to a file in", finished.err)
        self.assertEqual(os.listdir(self.path("scratch")), [])


    def has_spilled(self, process):
        """Has it a file without a name in the folder, with rows in it?"""
        folder = f"/proc/{process.pid}/fd"
        try:
            files = [os.path.join(folder, name) for name in os.listdir(folder)]
            return any(os.readlink(file).startswith(self.path("scratch")) and os.stat(file).st_size > 0 for file in files)
        except OSError:  # one of them is closed by now
            return False

    def test_killed_with_rows_in_the_file(self):
        """Nothing of it stays, and the next run is whole."""
        self.write("in/a.jsonl", b"".join(self.rows()))
        whole, _ = self.run_within("1 MiB")
        self.declare("batch.yaml", stream=False, schema=SCHEMA, features=FEATURES,
                     sink=f"- jsonl: {{path: {self.path('out.jsonl')}}}",
                     extra="batch: {memory: 1 MiB, path: scratch}\n")
        for _ in range(20):  # until it is killed before its end
            process = self.start("run", "batch.yaml", "--progress", "none", "--no-serve")
            while process.is_running() and not self.has_spilled(process):
                pass
            process.end()
            if process.process.returncode == -9:
                break
        self.assertEqual(process.process.returncode, -9)
        self.assertEqual(os.listdir(self.path("scratch")), [])
        if os.path.exists(self.path("out.jsonl")):
            os.unlink(self.path("out.jsonl"))
        again, _ = self.run_within("1 MiB")
        self.assert_same(again, whole)


if __name__ == "__main__":
    unittest.main()
