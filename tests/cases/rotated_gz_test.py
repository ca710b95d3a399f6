"""Files that are rotated, compressed, copied and cut in a followed folder: each row once, whether the stream
runs meanwhile or not."""

import gzip
import os
import shutil
import subprocess
import unittest

from freshet_testing import lines
from replaced_file_test import KnownFileCase


class RotatedTest(KnownFileCase):

    def setUp(self):
        super().setUp()
        self.follow()
        self.written = 0

    def log(self, n):
        """The program writes n rows to its log."""
        self.append("in/app.log", lines(self.written, self.written + n))
        self.written += n

    def rotate(self, keep=5):
        """logrotate with `compress`: app.log.2.gz becomes app.log.3.gz, app.log.1 app.log.2.gz ..."""
        for i in range(keep, 0, -1):
            name, next_name = self.path(f"in/app.log.{i}.gz"), self.path(f"in/app.log.{i + 1}.gz")
            if os.path.exists(name):
                os.rename(name, next_name)
        os.rename(self.path("in/app.log"), self.path("in/app.log.1"))
        self.compress("in/app.log.1")

    def compress(self, name):
        subprocess.run(["gzip", self.path(name)], check=True)

    def assert_all(self):
        self.assertEqual(self.ids(), list(range(self.written)))

    def test_while_it_is_stopped(self):
        for _ in range(4):
            self.log(50)
            self.assertNotIn("warning", self.run_once().err)
            self.log(10)
            self.rotate()
            self.log(1)
        self.run_once()
        self.assert_all()

    def test_while_it_runs(self):
        self.log(50)
        run = self.start("run", "events.yaml", "--progress", "none")
        for _ in range(4):
            self.until_ids(self.written, run)
            self.log(10)
            self.until_ids(self.written, run)
            self.rotate()
            self.log(5)
        self.until_ids(self.written, run)
        self.assertNotIn("are read again", run.stop().err)
        self.assert_all()

    def test_with_dates_in_their_names(self):
        """`dateext` with `extension .log`, and an archive beside."""
        self.declare(path="in/**", sink="- history: {path: out}", features=("{name: id, type: bigint}",))
        self.log(50)
        self.run_once()
        os.makedirs(self.path("in/archive"))
        os.rename(self.path("in/app.log"), self.path("in/archive/app-20240301.log"))
        self.compress("in/archive/app-20240301.log")
        self.log(7)
        self.run_once()
        self.assert_all()

    def test_copytruncate(self):
        for stopped in (True, False):
            with self.subTest(stopped=stopped):
                self.log(50)
                run = None if stopped else self.start("run", "events.yaml", "--progress", "none")
                if stopped:
                    self.run_once()
                else:
                    self.until_ids(self.written, run)
                shutil.copy(self.path("in/app.log"), self.path(f"in/app.log.{2 if stopped else 1}"))
                os.truncate(self.path("in/app.log"), 0)
                self.log(5)
                if stopped:
                    self.run_once()
                else:
                    self.until_ids(self.written, run)
                    self.assertNotIn("are read again", run.stop().err)
                self.assert_all()

    def test_a_compressed_copy_beside_it(self):
        self.log(50)
        self.run_once()
        subprocess.run(["gzip", "-k", self.path("in/app.log")], check=True)
        self.assertIn("app.log.gz holds the same text", self.run_once().err)
        self.assert_all()
        os.remove(self.path("in/app.log"))
        self.run_once()
        self.assert_all()

    def test_unpacked_again(self):
        with gzip.open(self.write("in/app.log.gz", ""), "wb") as file:
            file.write(lines(0, 30))
        self.written = 30
        self.run_once()
        subprocess.run(["gunzip", self.path("in/app.log.gz")], check=True)
        self.log(5)
        self.run_once()
        self.assert_all()

    def test_killed_while_it_catches_up(self):
        """Kills at any moment, rotation and compression between."""
        def deed():
            self.log(self.rng.randint(1, 2000))
            if self.rng.random() < 0.7:
                self.rotate(keep=30)
                self.log(self.rng.randint(1, 500))
        self.restarts(10, deed)
        self.run_once()
        self.assert_all()


if __name__ == "__main__":
    unittest.main()
