"""`freshet state export` and `import`: a state goes to another machine as one file, all of it or nothing."""

import os
import random
import shutil
import signal
import stat
import time
import unittest

import state_move_testing as moving
from freshet_testing import Case

TEXT = """version: 1
pipeline: flights
source:
  readers:
    - {{id: flights, stream: true, generate: {{schema: {{key: string, at: timestamp, value: double}}, seed: 7, rows: {rows}, keys: {keys}, key: key, step: 1 second}}}}
  query: select * from flights
feature_set:
  name: flights
  entity: flight
  keys: [{{name: key, type: string}}]
  timestamp: {{from: at}}
  features:
    - {{name: total, from: value, window: {{functions: [sum, count], over: [1 hour]}}}}
sink: {{writers: [{{jsonl: {{path: out.jsonl}}}}]}}
"""


class StateMoveTest(Case):

    def say(self, rows, keys=50):
        self.write("flights.yaml", TEXT.format(rows=rows, keys=keys))

    def run_it(self, rows, keys=50):
        self.say(rows, keys)
        self.good("run", "flights.yaml", "--once", "--progress", "none")

    def export(self, name="moved.jsonl"):
        return self.good("state", "export", "flights.yaml", "-o", name)

    def test_it_goes_on_elsewhere(self):
        """Here the first half, there the second: the same rows as in one run."""
        self.run_it(4000)
        whole = self.read_lines("out.jsonl")
        shutil.rmtree(self.path("flights.state"))
        os.remove(self.path("out.jsonl"))
        self.run_it(2000)
        self.assertRegex(self.export(), r"flights.state is exported to moved.jsonl: the state of flights, checkpoint \d+, \d+ entries\n$")
        self.assertFalse(os.path.exists(self.path("moved.jsonl.part")))
        shutil.rmtree(self.path("flights.state"))
        self.assertIn("is imported into ", self.good("state", "import", "flights.yaml", "moved.jsonl"))
        self.assertIn("is whole", self.good("state", "verify", "flights.yaml"))
        self.export("again.jsonl")
        self.assertEqual(moving.read(self.path("again.jsonl")), moving.read(self.path("moved.jsonl")))
        self.run_it(4000)
        self.assertEqual(self.read_lines("out.jsonl"), whole)

    def test_what_is_refused(self):
        self.run_it(300)
        self.assertEqual(self.freshet("state", "export", "flights.yaml").code, 2)  # no -o
        self.assertIn("needs FILE and IN", self.freshet("state", "import", "flights.yaml").err)
        self.assertIn('"c" is one too many', self.freshet("state", "import", "flights.yaml", "b", "c").err)
        os.mkfifo(self.path("pipe"))
        os.mkdir(self.path("folder"))
        for output, code, words in (("pipe", 2, '"pipe" is no file'), ("folder", 78, '"folder" is a folder; name a file'),
                                    ("", 2, '"" is no file'), ("none/x.jsonl", 78, 'there is no folder "none"'),
                                    ("flights.state/x.jsonl", 2, "this is in the state folder itself")):
            refused = self.freshet("state", "export", "flights.yaml", "-o", output)
            self.assertEqual(refused.code, code, refused.err)
            self.assertIn(words, refused.err)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("pipe")).st_mode))
        self.export()
        taken = self.freshet("state", "import", "flights.yaml", "moved.jsonl")
        self.assertEqual(taken.code, 2)
        self.assertIn("is not empty: nothing was imported", taken.err)
        # a run holds the folder
        self.say(10**9)
        run = self.start("run", "flights.yaml", "--progress", "none")
        self.assertTrue(run.until_checkpoints(1, "flights"))
        held = self.freshet("state", "export", "flights.yaml", "-o", "held.jsonl")
        self.assertEqual(held.code, 75, held.err)
        self.assertIn("is in use by process", held.err)
        self.assertFalse(os.path.exists(self.path("held.jsonl")))
        run.stop()
        shutil.rmtree(self.path("flights.state"))
        none = self.freshet("state", "export", "flights.yaml", "-o", "none.jsonl")
        self.assertEqual(none.code, 1)
        self.assertIn("there is no state in", none.err)
        self.assertFalse(os.path.exists(self.path("flights.state")))
        # another's
        self.write("others.yaml", TEXT.format(rows=1, keys=1).replace("pipeline: flights", "pipeline: others"))
        others = self.freshet("state", "import", "others.yaml", "moved.jsonl")
        self.assertEqual(others.code, 78)
        self.assertIn('this is the state of the pipeline "flights", and the declaration is of "others"', others.err)
        self.assertFalse(os.path.exists(self.path("others.state")))

    def test_damaged_files(self):
        """Cut anywhere, a byte changed, lines turned, more behind the end: refused, and nothing is there."""
        self.run_it(300, keys=5)
        self.export()
        shutil.rmtree(self.path("flights.state"))
        with open(self.path("moved.jsonl"), "rb") as file:
            good = file.read()
        rng = random.Random(5)
        lines = good.splitlines(keepends=True)
        bad = [good[:rng.randrange(len(good))] for _ in range(6)] + [good[:-1], b"", good + lines[3], b"".join(lines[:-1])]
        bad += [b"".join(lines[:4] + [lines[5], lines[4]] + lines[6:]), b"".join(lines[:4] + lines[5:])]
        for _ in range(6):
            at = rng.randrange(len(good) - 2)
            bad.append(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        for content in bad:
            self.write("bad.jsonl", content)
            refused = self.freshet("state", "import", "flights.yaml", "bad.jsonl")
            self.assertIn(refused.code, (1, 78), refused.err)
            self.assertEqual([name for name in os.listdir(self.folder) if "state" in name], [])
        self.good("state", "import", "flights.yaml", "moved.jsonl")

    def test_newer_versions(self):
        self.run_it(100, keys=5)
        self.export()
        shutil.rmtree(self.path("flights.state"))
        head, entries = moving.read(self.path("moved.jsonl"))
        moving.write(self.path("newer.jsonl"), dict(head, version=2), entries)
        refused = self.freshet("state", "import", "flights.yaml", "newer.jsonl")
        self.assertEqual(refused.code, 78, refused.err)
        self.assertIn("a newer Freshet has saved this state, by version 2 of its layout, and this one reads versions up to 1", refused.err)
        # a folder that a newer one has left
        for entry in entries:
            if entry[:2] == ["f", "version"]:
                self.assertEqual(entry[3], b"1")
                entry[3] = b"2"
        moving.write(self.path("newer.jsonl"), head, entries)
        self.good("state", "import", "flights.yaml", "newer.jsonl")
        for verb in (("run", "flights.yaml", "--once"), ("plan", "flights.yaml"),
                     ("state", "inspect", "flights.yaml")):
            refused = self.freshet(*verb)
            self.assertEqual(refused.code, 78, refused.err)
            self.assertIn("a newer Freshet has saved the state in", refused.err)
            self.assertIn("by version 2 of its layout, and this one reads versions up to 1: run the newer Freshet", refused.err)

    def test_files_of_the_last_checkpoint(self):
        """Those that a run may still have to show are told by both sides; rows that wait in the folder's own spool are no part of the file."""
        self.run_it(100, keys=5)
        self.export()
        shutil.rmtree(self.path("flights.state"))
        head, entries = moving.read(self.path("moved.jsonl"))
        entries.append(["h", "history", b"year=2024/month=1/day=1/part-1.parquet", b""])
        moving.write(self.path("listed.jsonl"), head, entries)
        self.good("state", "import", "flights.yaml", "listed.jsonl")
        told = self.export()
        self.assertIn("take along what the writers hold", told)
        self.assertIn("  history: year=2024/month=1/day=1/part-1.parquet\n", told)
        self.assertEqual(moving.read(self.path("moved.jsonl"))[0]["listed"], ["history: year=2024/month=1/day=1/part-1.parquet"])
        shutil.rmtree(self.path("flights.state"))
        self.assertIn("  history: year=2024/month=1/day=1/part-1.parquet\n", self.good("state", "import", "flights.yaml", "moved.jsonl"))
        shutil.rmtree(self.path("flights.state"))
        moving.write(self.path("listed.jsonl"), head, entries[:-1] + [["h", "kafka", b"spooled-1", b""]])
        self.good("state", "import", "flights.yaml", "listed.jsonl")
        self.write("flights.state/spool/spooled-1", "rows")
        waits = self.freshet("state", "export", "flights.yaml", "-o", "waits.jsonl")
        self.assertEqual(waits.code, 1, waits.out)
        self.assertIn('has rows of the writer "kafka" that are not sent yet: let the stream run once', waits.err)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("waits")], [])

    def test_killed(self):
        """An import that is killed at any moment has left no state; the next one is whole."""
        self.run_it(40000, keys=30000)
        self.export()
        os.rename(self.path("flights.state"), self.path("was"))
        rng = random.Random(11)
        begun = time.monotonic()
        self.good("state", "import", "flights.yaml", "moved.jsonl")
        took = time.monotonic() - begun
        n_killed = 0
        for _ in range(8):
            shutil.rmtree(self.path("flights.state"), ignore_errors=True)
            process = self.start("state", "import", "flights.yaml", "moved.jsonl")
            time.sleep(rng.random() * took)  # any moment will do
            process.signal(signal.SIGKILL)
            if process.wait().code == 0:
                continue
            n_killed += 1
            if os.path.exists(self.path("flights.state")):
                self.assertIn("is whole", self.good("state", "verify", "flights.yaml"))
                self.export("again.jsonl")
                self.assertEqual(moving.read(self.path("again.jsonl")), moving.read(self.path("moved.jsonl")))
        self.assertGreater(n_killed, 0)
        shutil.rmtree(self.path("flights.state"), ignore_errors=True)
        self.good("state", "import", "flights.yaml", "moved.jsonl")
        self.assertEqual([name for name in os.listdir(self.folder) if "import" in name], [])
        # an export that is killed leaves no file of that name
        os.remove(self.path("moved.jsonl"))
        for _ in range(4):
            process = self.start("state", "export", "flights.yaml", "-o", "killed.jsonl")
            time.sleep(rng.random() * took / 2)
            process.signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(self.path("killed.jsonl")):
                moving.read(self.path("killed.jsonl"))
                with open(self.path("killed.jsonl"), encoding="utf-8") as file:
                    self.assertTrue(file.read().endswith('"}\n'))
                os.remove(self.path("killed.jsonl"))
        self.assertIn("is whole", self.good("state", "verify", "flights.yaml"))


if __name__ == "__main__":
    unittest.main()
