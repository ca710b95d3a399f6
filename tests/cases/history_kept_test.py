"""A history and who writes to it: other partitions, a backup put back, a batch and then a stream, a stream and then a batch."""

import os
import shutil
import unittest

from freshet_testing import Case, lines

HISTORY = "- history: {path: out%s}"


class HistoryKeptCase(Case):

    def setUp(self):
        super().setUp()
        self.write("in/0.jsonl", lines(0, 40))

    def declare_it(self, stream=True, options="", **declared):
        self.declare(stream=stream, sink=HISTORY % options, **declared)

    def run_it(self, *args):
        return self.freshet("run", "events.yaml", "--once", "--progress", "none", *args)

    def good_run(self, *args):
        finished = self.run_it(*args)
        self.assertEqual(finished.code, 0, finished.err)
        return finished.err

    def refused(self, *says):
        before = self.files()
        finished = self.run_it()
        self.assertEqual(finished.code, 78, finished.err)
        for text in says:
            self.assertIn(text, finished.err)
        self.assertEqual(self.files(), before)

    def files(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.path("out"))
                      for folder, _, names in os.walk(self.path("out")) for name in names if name.endswith(".parquet"))

    def ids(self):
        """Of the rows of the history; read by a pipeline of its own, without the columns of its folders."""
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None, path="out/**/*.parquet",
                     query="select id, key, \"timestamp\" as seen from events",
                     features=("{name: id, type: bigint}",))
        out = self.good("run", "read.yaml", "--query", "select id from online_feature_store__read order by id",
                        "--format", "json", "--progress", "none")
        return [int(text.split(":")[1].rstrip("}")) for text in out.splitlines()]


class PartitionsTest(HistoryKeptCase):

    def test_other_partitions(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                self.declare_it(stream)
                self.good_run()
                self.declare_it(stream, ", partition_by: [year, month]")
                self.refused("events.yaml:", "is divided by [year, month, day], and `partition_by` is [year, month] now",
                             "Say `partition_by: [year, month, day]`", "another path", "begin anew")
                self.declare_it(stream, ", partition_by: [year, month, day]")
                self.good_run()

    def test_deeper_ones(self):
        self.declare_it(False, ", partition_by: [year]")
        self.good_run()
        self.declare_it(False)
        self.refused("is divided by [year], and `partition_by` is [year, month, day] now")

    def test_an_empty_history(self):
        self.declare_it(True)
        self.write("in/0.jsonl", b"")
        self.good_run()
        self.declare_it(True, ", partition_by: [year]")
        self.write("in/0.jsonl", lines(0, 3))
        self.good_run()
        self.assertEqual(self.ids(), [0, 1, 2])


class BackupTest(HistoryKeptCase):

    def grow(self, *bounds):
        for first, last in zip(bounds, bounds[1:]):
            self.write(f"in/{first}.jsonl", lines(first, last))
            self.good_run()

    def test_an_older_history(self):
        self.declare_it()
        self.good_run()
        shutil.copytree(self.path("out"), self.path("backup"))
        self.grow(40, 60, 75)
        shutil.rmtree(self.path("out"))
        shutil.copytree(self.path("backup"), self.path("out"))
        self.write("in/75.jsonl", lines(75, 80))
        said = self.good_run()
        self.assertIn("warning: out: the history is older than the state: it ends with checkpoint", said)
        self.assertIn("with 35 rows", said)
        self.assertIn("put back the history that belongs to the state", said)
        self.assertEqual(self.ids(), [*range(40), *range(75, 80)])
        self.assertNotIn("warning", self.good_run(), "it is said once")

    def test_moved_files(self):
        """Old days that are moved away are no loss."""
        self.declare_it()
        self.good_run()
        self.grow(40, 60, 200000, 200010)
        shutil.rmtree(self.path("out", "year=2024", "month=1", "day=1"))
        self.write("in/x.jsonl", lines(200010, 200011))
        self.assertNotIn("warning", self.good_run())

    def test_a_history_without_its_notes(self):
        """Put back without the hidden folder, as some copies are: the newest file tells."""
        self.declare_it()
        self.good_run()
        shutil.copytree(self.path("out"), self.path("backup"), ignore=shutil.ignore_patterns(".*"))
        self.grow(40, 60)
        shutil.rmtree(self.path("out"))
        shutil.copytree(self.path("backup"), self.path("out"))
        said = self.good_run()
        self.assertIn("the history is older than the state: it notes no checkpoint", said)

    def test_the_whole_history_moved(self):
        self.declare_it()
        self.good_run()
        shutil.rmtree(self.path("out"))
        self.write("in/1.jsonl", lines(40, 42))
        self.assertIn("the history is older than the state", self.good_run())
        self.assertEqual(self.ids(), [40, 41])

    def test_the_newest_file_alone(self):
        self.declare_it()
        self.good_run()
        self.grow(40, 60)
        os.unlink(self.path("out", max(self.files(), key=os.path.basename)))
        self.assertIn("is not there: if it was moved or merged on purpose, all is well", self.good_run())

    def test_a_state_put_back(self):
        """The other way round: the state is older. Refused, with the way on."""
        self.declare_it()
        self.good_run()
        shutil.copytree(self.path("events.state"), self.path("backup"))
        self.grow(40, 60)
        shutil.rmtree(self.path("events.state"))
        shutil.copytree(self.path("backup"), self.path("events.state"))
        self.refused("has rows up to checkpoint", "put back the state that belongs to it")


class HandOverTest(HistoryKeptCase):

    def test_a_batch_and_then_a_stream(self):
        self.declare_it(False)
        self.good_run()
        self.declare_it(True)
        self.refused("the history in out was written by a batch that left no checkpoint, and this stream has not written to it",
                     "a history of its own", "move the folder out away")
        self.refused("was written by a batch")  # the first refusal left nothing behind
        shutil.rmtree(self.path("out"))
        self.good_run()
        self.assertEqual(self.ids(), list(range(40)))

    def test_a_stream_that_has_a_state_already(self):
        """A history that is new to the stream, not the state: its rows so far are the batch's."""
        self.declare(sink="- jsonl: {path: rows.jsonl}")
        self.good_run()
        self.declare_it(False)
        self.good_run()
        self.declare(sink="- jsonl: {path: rows.jsonl}\n    - history: {path: out}")
        self.refused("was written by a batch")

    def test_a_stream_whose_state_is_gone(self):
        self.declare_it(True)
        self.good_run()
        shutil.rmtree(self.path("events.state"))
        self.refused("has rows up to checkpoint", "move the whole folder out away")
        shutil.rmtree(self.path("out", ".freshet"))
        self.refused("was written by a stream whose state is gone")

    def test_a_stream_and_then_a_batch(self):
        self.declare_it(True)
        self.good_run()
        rows = self.files()
        self.declare_it(False)
        for args in ((), ("--start-date", "2024-01-01", "--end-date", "2024-01-01")):
            finished = self.freshet("run", "events.yaml", "--progress", "none", *args)
            self.assertEqual(finished.code, 78, finished.err)
            self.assertIn("is a stream's, and rows that the stream still has to read would be there twice", finished.err)
        self.assertEqual(self.files(), rows)

    def test_batches_replace_their_days(self):
        self.declare_it(False)
        self.good_run()
        self.good_run()
        self.assertEqual(self.ids(), list(range(40)))

    def test_lines_are_added_twice(self):
        """A file of JSON lines cannot be replaced: a stream that begins anew behind another's rows says so."""
        self.declare(stream=False, sink="- jsonl: {path: rows.jsonl}")
        self.assertNotIn("warning", self.good_run())
        self.declare(stream=True, sink="- jsonl: {path: rows.jsonl}")
        self.assertIn("warning: rows.jsonl: there are rows of another run", self.good_run())
        self.assertNotIn("warning", self.good_run())


if __name__ == "__main__":
    unittest.main()
