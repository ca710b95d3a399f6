"""A path that names no file is told, by check and run, batch and stream, with `**` where that would help; so is what
is passed over, and what may not be read."""

import os
import unittest

from freshet_testing import Case, line, event, lines


class NoFileTest(Case):

    def told(self, stream, path, schema={"id": "bigint", "key": "string", "seen": "timestamp", "value": "double"}):
        """What check and run say of a folder that holds folders only, or of nothing at all."""
        self.declare(stream=stream, path=path, schema=schema)
        said = []
        for args in (("check", "events.yaml"), ("run", "events.yaml", "--once", "--progress", "none")):
            finished = self.freshet(*args)
            self.assertEqual(finished.code, 0, finished.err)
            text, = [text for text in finished.err.splitlines() if "there is no file at" in text]
            said.append(text[text.index("warning"):])
        self.assertEqual(said[0], said[1])
        self.assertIn("the stream waits for files" if stream else "this reader has no rows", said[0])
        return said[0]

    def test_only_folders(self):
        self.write("in/part=1/a.jsonl", lines(0, 3))
        self.write("in/part=2/b.jsonl", lines(3, 5))
        for stream in (False, True):
            for path in ("in", "in/"):
                said = self.told(stream, path)
                self.assertIn("there are 2 folders, which are not looked into", said)
                self.assertIn('"in/**"', said)
        self.declare(stream=False, path="in/**")  # what it names is right
        rows, finished = self.once()
        self.assertEqual([row["id"] for row in rows], [0, 1, 2, 3, 4])
        self.assertNotIn("there is no file", finished.err)

    def test_a_pattern_without_a_match(self):
        self.write("in/x/a.jsonl", lines(0, 3))
        for stream in (False, True):
            self.assertIn('"in/**/*.jsonl"', self.told(stream, "in/*.jsonl"))
            self.assertNotIn("does not go", self.told(stream, "in/**/*.json"))
        self.declare(stream=False, path="in/**/*.jsonl")
        rows, _ = self.once()
        self.assertEqual(len(rows), 3)

    def test_an_empty_folder(self):
        os.makedirs(self.path("in"))
        self.assertNotIn("**", self.told(False, "in"))
        self.assertNotIn("**", self.told(True, "in"))

    def test_a_column_of_folders_names(self):
        """It is there (hive_columns_test.py); a name that only looks alike is told."""
        self.write("in/part=1/a.jsonl", lines(0, 3))
        for column, told in (("part", False), ("art", True), ("a", True)):
            self.declare(stream=False, path="in/**",
                         schema={"id": "bigint", "key": "string", "seen": "timestamp", "value": "double", column: "bigint"})
            finished = self.freshet("check", "events.yaml")
            self.assertEqual(finished.code, 0, finished.err)
            self.assertEqual(f"{column}: none of the first 3 records has it" in finished.err, told, finished.err)

    def test_without_schema(self):
        """Then it is an error, which names `**`, too."""
        self.write("in/part=1/a.jsonl", lines(0, 3))
        for form in ("auto", "json"):
            self.declare(stream=False, path="in", schema=None, format=form)
            finished = self.freshet("check", "events.yaml")
            self.assertEqual(finished.code, 78)
            self.assertIn('"in/**" reads the files below', finished.err)

    def test_a_stream_waits(self):
        self.write("in/part=1/a.jsonl", lines(0, 3))
        self.declare(path="in")
        run = self.start_run("events.yaml")
        self.write("in/b.jsonl", lines(3, 5))
        self.until_count(2, run)
        run.stop()

    def test_what_is_no_file(self):
        """Pipes, and links that lead nowhere, are passed over with a word, and never opened."""
        for stream in (False, True):
            for path in ("in", "in/*", "in/**"):
                with self.subTest(stream=stream, path=path):
                    self.write("in/a.jsonl", lines(0, 3))
                    if not os.path.lexists(self.path("in/pipe")):
                        os.mkfifo(self.path("in/pipe"))
                        os.symlink("nowhere", self.path("in/link"))
                    self.declare(stream=stream, path=path)
                    self.assertIn("is no file, but a pipe", self.freshet("check", "events.yaml").err)
                    rows, finished = self.once()
                    self.assertEqual(len(rows), 3)
                    self.assertIn("and so are others; they are passed over", finished.err)

    def test_a_pipe_by_its_name(self):
        os.makedirs(self.path("in"))
        os.mkfifo(self.path("in/pipe"))
        self.declare(path="in/pipe")
        finished = self.freshet("run", "events.yaml", "--once")
        self.assertEqual(finished.code, 78)
        self.assertIn("is a pipe or a device", finished.err)

    @unittest.skipIf(os.geteuid() == 0, "the superuser may read everything")
    def test_a_folder_without_permission(self):
        self.write("in/a/x.jsonl", lines(0, 3))
        self.write("in/b/x.jsonl", lines(3, 5))
        os.chmod(self.path("in/b"), 0)
        self.addCleanup(os.chmod, self.path("in/b"), 0o700)
        self.declare(stream=False, path="in/*/*.jsonl")
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertNotEqual(finished.code, 0)
        self.assertIn("in/b", finished.err)
        self.declare(stream=False, path="in/*/*.jsonl", reader_extra=", on_bad_file: skip")
        rows, finished = self.once()
        self.assertEqual(len(rows), 3)
        self.assertIn("in/b", self.dead_letters()[0]["reason"])


if __name__ == "__main__":
    unittest.main()
