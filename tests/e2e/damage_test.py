"""A damaged state folder, end to end: files cut at each 4 KiB, bits flipped, files missing. The run that comes
after it either refuses and names the file, or goes on exactly: never a wrong number.

src/state/store_test.c does the same to every file of a state without a pipeline around it. FRESHET_KILLS says how many damages
are tried here (20; `make torture` asks for 100).
"""

import os
import shutil
import unittest

from freshet_testing import line
from restart_test import HISTORY, KILLS, TIME, WINDOWS, RestartCase, jittered

PAGE = 4096
OURS = ("events.state", "out")
LEFT_ALONE = ("LOG", "IDENTITY", "OPTIONS", "lock")  # what nobody reads


class DamageTest(RestartCase):

    def feed(self, first, last):
        data = b"".join(line(dict(jittered(i, self.rng), key=f"k{self.rng.randrange(4700)}"))
                        for i in range(first, last))
        self.append("in/a.jsonl", data)

    def keep(self):
        for name in OURS:
            shutil.copytree(self.path(name), self.path("kept", name))

    def put_back(self):
        for name in OURS:
            shutil.rmtree(self.path(name))
            shutil.copytree(self.path("kept", name), self.path(name))

    def damages(self):
        """All cuts and removals, and as many flips: (file below the folder, what, where)."""
        found = []
        root = self.path("kept", "events.state")
        for path, _, names in os.walk(root):
            for name in names:
                file = os.path.relpath(os.path.join(path, name), root)
                if name.startswith(LEFT_ALONE):
                    continue
                size = os.path.getsize(os.path.join(root, file))
                cuts = [(file, "cut", at) for at in range(0, size, PAGE)]
                found += cuts + [(file, "gone", 0)]
                found += [(file, "flipped", self.rng.randrange(size)) for _ in cuts if size > 0]
        return found

    def damage(self, file, what, at):
        path = self.path("events.state", file)
        if what == "gone":
            os.remove(path)
        elif what == "cut":
            os.truncate(path, at)
        else:
            with open(path, "r+b") as stream:
                stream.seek(at)
                byte = stream.read(1)
                stream.seek(at)
                stream.write(bytes([byte[0] ^ 1 << self.rng.randrange(8)]))

    def files(self):
        return sorted(os.path.join(path, name) for path, _, names in os.walk(self.path("out"))
                      for name in names if name.endswith(".parquet"))

    def test_damage(self):
        self.declare(features=WINDOWS, timestamp=TIME, sink=HISTORY)
        self.write("in/a.jsonl", b"")
        for first, last in ((0, 6000), (6000, 6300), (6300, 6900)):
            self.feed(first, last)
            self.run_once()
        self.keep()
        self.feed(6900, 9000)
        self.run_once()
        expected = self.history_lines()
        self.assertGreater(len(expected), 8000)
        self.forget()
        self.run_once()
        self.assertEqual(self.history_lines(), expected, "in one go it is the same")
        damages = self.damages()
        self.assertGreater(len(damages), 40)
        counts = {0: 0, 1: 0}
        for file, what, at in self.rng.sample(damages, min(KILLS, len(damages))):
            with self.subTest(file=file, what=what, at=at):
                self.put_back()
                self.damage(file, what, at)
                before = self.files()
                finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
                self.assertIn(finished.code, counts, finished.err)
                counts[finished.code] += 1
                if finished.code == 0:
                    self.assertEqual(self.history_lines(), expected)
                    continue
                self.assertIn("damaged", finished.err)
                if what != "gone":
                    self.assertIn(os.path.basename(file), finished.err)
                self.assertEqual(self.files(), before, "what is refused changes nothing")
        self.assertGreater(counts[1], 3)

    def test_an_older_copy(self):
        """A whole folder, but of before: its rows are in the history already, and do not come again."""
        self.declare(features=WINDOWS, timestamp=TIME, sink=HISTORY)
        self.write("in/a.jsonl", b"")
        self.feed(0, 500)
        self.run_once()
        shutil.copytree(self.path("events.state"), self.path("older"))
        self.feed(500, 1000)
        self.run_once()
        rows = self.history_lines()
        for older in ("older", None):  # None: the state is lost
            shutil.rmtree(self.path("events.state"))
            if older:
                shutil.copytree(self.path(older), self.path("events.state"))
            finished = self.run_once(code=78)
            self.assertIn("the history in out has rows up to checkpoint", finished.err)
            self.assertIn("these rows would be there twice", finished.err)
            self.assertEqual(self.history_lines(), rows)


if __name__ == "__main__":
    unittest.main()
