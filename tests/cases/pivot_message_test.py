"""A refusal names what differs: its two descriptions are never the same text."""

import json
import re
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
        self.assertEqual(self.run_it().code, 0)
        changes = (
            (dict(pivot="pivot: {column: g, values: [paid, refunded]}"), "pivot: values changed from `paid` to `paid, refunded`"),
            (dict(pivot="pivot: {column: k, values: [paid]}"), "pivot: column changed from `g` to `k`"),
            (dict(pivot=""), 'it keeps "rolling windows by k string; of x double; by whether g is paid", and is to keep'),
            (dict(filter="filter: x > 1, "), "x double where x > 1"),
            (dict(functions="count"), "of whether there is x double"),
            (dict(more="\n    - {name: y, aggregate: {functions: [sum]}}"), "of x double, y double"),
            (dict(pivot="pivot: {column: g, values: [paid]}\n    distinct: {subset: [x]}"), "distinct by x double"),
        )
        for change, says in changes:
            with self.subTest(says):
                finished = self.run_it(**change)
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn(says, finished.err)
                told = re.search(r'it keeps "(.*)", and is to keep "(.*)"; put', finished.err)
                if told:
                    self.assertNotEqual(*told.groups())
        self.assertEqual(self.run_it(functions="sum, avg").code, 0)

    def test_long_descriptions(self):
        """They are shown from where they differ."""
        many = "".join(f"\n    - {{name: y{i}, from: y, filter: x > {i}, aggregate: {{functions: [sum]}}}}" for i in range(40))
        self.assertEqual(self.run_it(more=many).code, 0)
        finished = self.run_it(more=many.replace("x > 33", "x > 77"))
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('x > 77', finished.err)
        finished = self.run_it(more=many + many.replace("name: y", "name: z").replace("x > ", "x < "))
        self.assertIn('where x < 0', finished.err)


if __name__ == "__main__":
    unittest.main()
