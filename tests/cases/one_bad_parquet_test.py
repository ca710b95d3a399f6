"""One bad file among good ones: `on_bad_file: fail` ends a batch, which says that it wrote nothing; `skip` goes on
without it, and a dead letter names it. Damaged, cut off, without permission, gone, of every format."""

import gzip
import os
import shutil
import unittest

from freshet_testing import event, line, lines
from replaced_file_test import KnownFileCase


class BadFileTest(KnownFileCase):

    def declared(self, stream, on_bad_file, **named):
        return self.declare(stream=stream, path="in", sink="- history: {path: out}",
                            features=("{name: id, type: bigint}",), reader_extra=", on_bad_file: " + on_bad_file,
                            **named)

    def parquet(self, ids):
        """The bytes of a Parquet file with these ids."""
        self.write("for_parquet/a.jsonl", b"".join(line(event(i)) for i in ids))
        self.declare("make.yaml", stream=False, pipeline="make", path="for_parquet",
                     features=("{name: id, type: bigint}", "{name: seen, type: timestamp}"),
                     sink="- history: {path: made}")
        shutil.rmtree(self.path("made"), ignore_errors=True)
        self.good("run", "make.yaml", "--progress", "none")
        made, = [os.path.join(folder, name) for folder, _, names in os.walk(self.path("made"))
                 for name in names if name.endswith(".parquet")]
        with open(made, "rb") as file:
            return file.read()

    def a_folder(self, form):
        """Ids 0 to 9 and 20 to 29 in two good files, and a bad one between; gives the place up to which
        the bad one can be read, in rows."""
        shutil.rmtree(self.path("in"), ignore_errors=True)
        if form == "parquet":
            good = self.parquet(range(10)), self.parquet(range(20, 30))
            files = {"a.parquet": good[0], "b.parquet": good[0][:-20], "c.parquet": good[1]}
        elif form == "gzip":
            bad = gzip.compress(lines(1000, 30000)) + b"\x1f\x8b\xff" + bytes(200)
            files = {"a.jsonl": lines(0, 10), "b.jsonl.gz": bad, "c.jsonl": lines(20, 30)}
        elif form == "csv":
            rows = ["".join(f"{i},k,2024-01-01T00:00:{i:02d}Z,1\n" for i in ids) for ids in (range(10), range(20, 30))]
            files = {"a.csv": "id,key,seen,value\n" + rows[0], "b.csv": "what,ever\n1,2\n",
                     "c.csv": "id,key,seen,value\n" + rows[1]}
        else:
            files = {"a.jsonl": lines(0, 10), "b.jsonl": lines(1000, 1001), "c.jsonl": lines(20, 30)}
        for place, (name, data) in enumerate(files.items()):
            os.utime(self.write("in/" + name, data), (1700000000 + place,) * 2)

    FORMS = {"parquet": dict(format="parquet", schema=None), "gzip": dict(format="json"),
             "csv": dict(format="csv")}

    def test_fail(self):
        """The run says that nothing was written, and what to do; nothing is in the history."""
        for form, declared in self.FORMS.items():
            with self.subTest(form=form):
                self.a_folder(form)
                self.declared(False, "fail", **declared)
                finished = self.freshet("run", "events.yaml", "--progress", "none")
                self.assertNotEqual(finished.code, 0)
                self.assertIn("in/b.", finished.err)
                if form != "csv":  # which is told that the header does not fit
                    self.assertIn("on_bad_file: skip", finished.err)
                self.assertIn(" 0 written", finished.err)
                self.assertEqual([name for _, _, names in os.walk(self.path("out")) for name in names
                                  if name.endswith(".parquet")], [])

    def test_skip(self):
        for form, declared in self.FORMS.items():
            for stream in (False, True):
                with self.subTest(form=form, stream=stream):
                    for name in ("out", "events.state"):
                        shutil.rmtree(self.path(name), ignore_errors=True)
                    if os.path.exists(self.path("events.dead_letters.jsonl")):
                        os.remove(self.path("events.dead_letters.jsonl"))
                    self.a_folder(form)
                    self.declared(stream, "skip", **declared)
                    finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
                    self.assertEqual(finished.code, 0, finished.err)
                    letter, = [letter for letter in self.dead_letters() if letter["code"] == "bad_file"]
                    self.assertEqual(os.path.basename(letter["partition"])[:2], "b.")
                    self.assertIn(f"{len(self.dead_letters())} dead letter", finished.err)
                    ids = self.ids()
                    self.assertEqual([i for i in ids if i < 1000], list(range(10)) + list(range(20, 30)))
                    before = [i for i in ids if i >= 1000]
                    self.assertEqual(before, list(range(1000, 1000 + len(before))))
                    if form == "gzip":  # the rows before the damage stand, and the letter says up to where
                        self.assertEqual((letter["offset"], len(before)), (len(lines(1000, 30000)), 29000))
                    shown, = [text for text in finished.err.splitlines() if " written" in text]
                    self.assertIn(f"{len(ids):,} written", shown)

    def test_a_running_stream(self):
        """It goes on at once; the bad file is skipped when it stays so, and read when it was mended."""
        self.a_folder("parquet")
        mended = self.parquet(range(40, 45))
        self.declared(True, "skip", format="parquet", schema=None, extra="checkpoint: {interval: 20 ms}\n")
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: len(self.ids()) == 20, "the good files", run)
        self.until(lambda: len(self.dead_letters()) == 1, "the dead letter", run)
        os.rename(self.write("new", mended), self.path("in/b.parquet"))
        self.until(lambda: len(self.ids()) == 25, "the mended file", run)
        run.stop()
        self.assertEqual(len(self.dead_letters()), 1)
        self.assertEqual(self.ids(), sorted([*range(10), *range(20, 30), *range(40, 45)]))

    @unittest.skipIf(os.geteuid() == 0, "the superuser may read everything")
    def test_no_permission(self):
        self.a_folder("json")
        os.chmod(self.path("in/b.jsonl"), 0)
        self.declared(False, "skip")
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("Permission denied", self.dead_letters()[0]["reason"])

    def test_all_are_bad(self):
        """Nothing was written: the run does not end well."""
        self.declared(False, "skip")
        self.write("in/a.jsonl.gz", gzip.compress(lines(0, 10))[:20])
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertNotEqual(finished.code, 0, finished.err)
        self.assertIn("is not complete", self.dead_letters()[0]["reason"])


if __name__ == "__main__":
    unittest.main()
