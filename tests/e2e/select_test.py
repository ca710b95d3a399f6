"""A writer's own `select:`: which columns it gets, in which order, and what is refused."""

import glob
import os
import shutil
import unittest

from freshet_testing import Case, lines

FEATURES = ("{name: id, type: bigint}", "{name: value, type: double}", "{name: double_value, type: double, sql: value * 2}")


NAMES = ("key", "timestamp", "id", "value", "double_value")


class SelectTest(Case):

    def columns(self, folder):
        """The columns of a Parquet file in their order, as its footer names them."""
        path = glob.glob(self.path(folder, "**", "*.parquet"), recursive=True)[0]
        with open(path, "rb") as file:
            data = file.read()
        footer = data[-8 - int.from_bytes(data[-8:-4], "little"):]
        at = {name: footer.find(bytes([0x18, len(name)]) + name.encode()) for name in NAMES}
        return sorted((name for name in NAMES if at[name] >= 0), key=at.get)

    def doubles(self, folder):
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None,
                     path=folder + "/**/*.parquet", timestamp="{from: timestamp}",
                     features=("{name: double_value, type: double}",), sink="- jsonl: {path: read.jsonl}")
        self.write("read.jsonl", "")
        self.good("run", "read.yaml")
        return sorted(row["double_value"] for row in self.read_lines("read.jsonl"))

    def test_each_writer_has_its_own_columns(self):
        """jsonl in the order that is said, the history with keys and time first; another one has all."""
        for stream in (False, True):
            self.declare(stream=stream, features=FEATURES, sink="""\
- jsonl: {path: some.jsonl}
    - jsonl: {path: all.jsonl}
    - history: {path: some}
    - jsonl: {path: few.jsonl}
    - history: {path: all}""".replace("path: some.jsonl}", "path: some.jsonl}\n      select: [double_value, timestamp, ID]")
                         .replace("path: some}", "path: some}\n      select: [double_value, key, timestamp]")
                         .replace("path: few.jsonl}", "path: few.jsonl}\n      select: id"))
            self.write("in/a.jsonl", lines(0, 5))
            self.good("run", "events.yaml", *(["--once"] if stream else []))
            self.assertEqual([list(row) for row in self.read_lines("some.jsonl")], [["double_value", "timestamp", "id"]] * 5)
            self.assertEqual(self.read_lines("few.jsonl"), [{"id": i} for i in range(5)])
            self.assertEqual([row["double_value"] for row in self.read_lines("some.jsonl")], [i / 2 for i in range(5)])
            self.assertEqual([list(row) for row in self.read_lines("all.jsonl")],
                             [["key", "timestamp", "id", "value", "double_value"]] * 5)
            self.assertEqual(self.columns("some"), ["key", "timestamp", "double_value"])
            self.assertEqual(self.columns("all"), list(NAMES))
            for name in ("some", "all"):
                self.assertEqual(self.doubles(name), [i / 2 for i in range(5)])
                shutil.rmtree(self.path(name))
                os.unlink(self.path(name + ".jsonl"))
            os.unlink(self.path("few.jsonl"))

    def test_what_is_refused(self):
        for sink, said in (
                ("- jsonl: {path: a.jsonl}\n      select: [id, vlaue]", 'no column "vlaue"; did you mean "value"?'),
                ("- jsonl: {path: a.jsonl}\n      select: [id, ID]", '"ID" is selected twice'),
                ("- history: {path: a}\n      select: [id, timestamp]", 'lacks the column "key"'),
                ("- history: {path: a}\n      select: [id, key]", 'lacks the column "timestamp"'),
                ("- online: {debug: true}\n      select: [key]", 'lacks the column "timestamp"'),
                ('- kafka: {topic: a, brokers: "x:1"}\n      select: [id]', 'lacks the key "key"')):
            self.declare(features=FEATURES, sink=sink)
            self.write("in/a.jsonl", lines(0, 5))
            refused = self.freshet("check", "events.yaml")
            self.assertEqual(refused.code, 78, refused.err)
            self.assertIn(said, refused.err)
            self.assertRegex(refused.err, r"events.yaml:\d+:\d+: error: ")
        self.declare(features=FEATURES, sink='- kafka: {topic: a, brokers: "x:1", key: none}\n      select: [id]')
        self.good("check", "events.yaml")


if __name__ == "__main__":
    unittest.main()
