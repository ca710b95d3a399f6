"""A refusal names what differs: its two descriptions are never the same text."""

import json
import shutil
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: pivoted
source:
  readers:
    - {{id: ev, stream: true, file: {{path: in, format: json, schema: {{k: string, ts: bigint, g: string, x: double, y: double}}}}}}
  query: select * from ev
feature_set:
  name: pivoted
  entity: k
  keys: [{{name: k, type: string}}]
  timestamp: {{from: ts, unit: s}}
  aggregated:
    windows: {{over: [1 hour], slide: 10 minutes}}
    {pivot}
  features:
    - {{name: x, {filter}aggregate: {{functions: [{functions}]}}}}{more}
sink:
  writers:
    - jsonl: {{path: out.jsonl}}
"""


class PivotMessageTest(Case):

    def run_it(self, pivot="pivot: {column: g, values: [paid]}", filter="", functions="sum", more=""):
        self.write("in/a.jsonl", json.dumps({"k": "a", "ts": 1704067200, "g": "paid", "x": 1, "y": 2}) + "\n")
        self.write("pivoted.yaml", TEXT.format(pivot=pivot, filter=filter, functions=functions, more=more))
        return self.freshet("run", "pivoted.yaml", "--once", "--progress", "none")

    def test_what_differs_is_named(self):
        changes = (
            (dict(pivot="pivot: {column: g, values: [paid, refunded]}"), 'feature "x" of "refunded": fills from 2024-01-01 00:00:01 on: "1 hour" is null'),
            (dict(pivot="pivot: {column: k, values: [paid]}"), 'feature "x" of "paid": fills from'),
            (dict(filter="filter: x > 1, "), 'feature "x" of "paid": fills from'),
            (dict(functions="count"), "goes on from checkpoint"),
            (dict(more="\n    - {name: y, aggregate: {functions: [sum]}}"), 'feature "y" of "paid": fills from'),
            (dict(pivot="pivot: {column: g, values: [paid]}\n    distinct: {subset: [x]}"), 'feature "x" of "paid": fills from'),
        )
        for change, says in changes:
            with self.subTest(says):
                shutil.rmtree(self.path("pivoted.state"), ignore_errors=True)
                self.assertEqual(self.run_it().code, 0)
                finished = self.run_it(**change)
                self.assertEqual(finished.code, 0, finished.err)
                self.assertIn(says, finished.err)
        self.assertEqual(self.run_it(functions="sum, avg").code, 0)


if __name__ == "__main__":
    unittest.main()
