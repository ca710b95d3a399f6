"""The history keeps the sign of zeros, in batch and on streams, in arrays, floats, and files that were merged; files without -0.0 keep
their dictionaries."""

import glob
import json
import math
import os
import unittest

from freshet_testing import Case

SCHEMA = {"k": "string", "ts": "timestamp", "x": "double", "f": "float", "xs": "array<double>"}
FEATURES = ("{name: x, type: double}", "{name: f, type: float}", "{name: xs, type: 'array<double>'}")


def record(i, x, day=1):
    return json.dumps({"k": "a", "ts": f"2024-01-{day:02d}T00:{i // 60 % 60:02d}:{i % 60:02d}Z", "x": x, "f": -x, "xs": [x, -x, 1.5]}) + "\n"


class NegativeZeroTest(Case):

    def write_history(self, data, stream, options=""):
        self.write("in/0.jsonl", data)
        self.declare(stream=stream, schema=SCHEMA, keys="{name: k, type: string}", timestamp="{from: ts}", features=FEATURES,
                     sink="- history: {path: out%s}" % options)
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)

    def read_history(self):
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", path="out/**/*.parquet",
                     schema=dict({name: type for name, type in SCHEMA.items() if name != "ts"}, timestamp="timestamp"),
                     keys="{name: k, type: string}", timestamp="{from: timestamp}", features=FEATURES,
                     sink="- jsonl: {path: read.jsonl}")
        self.good("run", "read.yaml", "--progress", "none")
        return [(row["timestamp"], row["x"], row["f"], *row["xs"]) for row in self.read_lines("read.jsonl")]

    def check(self, stream, options="", days=1):
        n = 300
        signs = [-0.0 if i * 7 % 10 < 4 else 0.0 for i in range(n)]
        self.write_history("".join(record(i, x, 1 + i % days) for i, x in enumerate(signs)), stream, options)
        rows = sorted(self.read_history(), key=lambda row: row[0][11:])
        self.assertEqual(len(rows), n)
        for x, row in zip(signs, rows):
            expected = [math.copysign(1, value) for value in (x, -x, x, -x)]
            self.assertEqual([math.copysign(1, value) for value in row[1:5]], expected)

    def test_batch(self):
        self.check(False)

    def test_stream(self):
        self.check(True)

    def test_merged_files(self):
        self.check(False, options=", rows: 100", days=3)
        self.assertEqual(len(glob.glob(self.path("out/**/*.parquet"), recursive=True)), 3)

    def test_one_minus_zero_in_a_merged_file(self):
        """Its part of the rows knows of it, and the other parts do not."""
        values = [0.0] * 250
        values[120] = -0.0
        self.write_history("".join(record(i, x) for i, x in enumerate(values)), False, ", rows: 100")
        rows = self.read_history()
        self.assertEqual([i for i, row in enumerate(rows) if math.copysign(1, row[1]) < 0], [120])

    def size(self):
        return sum(os.path.getsize(name) for name in glob.glob(self.path("out/**/*.parquet"), recursive=True))

    def test_other_files_are_as_before(self):
        """Files without -0.0 have dictionaries: few values take little room."""
        data = "".join(json.dumps({"k": f"a long name of a key {i % 3}", "ts": "2024-01-01T00:00:00Z",
                                   "x": (i * 7919 % 16) / 7 + 1, "f": 1.5, "xs": []}) + "\n" for i in range(20000))
        self.write_history(data, False, ", compression: snappy")
        small = self.size()
        self.write_history(data + record(1, 0.0), False, ", compression: snappy")
        self.assertGreater(self.size(), 2 * small)
        self.assertLess(small, 40000)


class SparkTest(Case):
    """What Spark wants to know before it reads old dates and times stands in the file (docs/guide/history.md)."""

    def test_the_files_say_that_nothing_is_to_be_rebased(self):
        for stream in (False, True):
            self.write("in/0.jsonl", json.dumps({"k": "a", "ts": "1899-12-31T23:59:59Z", "x": 1, "f": 1, "xs": []}) + "\n")
            self.declare(stream=stream, schema=SCHEMA, keys="{name: k, type: string}", timestamp="{from: ts}",
                         features=FEATURES, sink="- history: {path: out%s}" % stream)
            self.good("run", "events.yaml", "--once", "--progress", "none")
            (name,) = glob.glob(self.path(f"out{stream}/**/*.parquet"), recursive=True)
            with open(name, "rb") as file:
                content = file.read()
            self.assertIn(b"org.apache.spark.version", content)
            self.assertIn(b"3.5.0", content)
            self.assertNotIn(b"org.apache.spark.legacy", content)


if __name__ == "__main__":
    unittest.main()
