"""Checkpoints whose keys several workers save: the same bytes as by one, and read by any number of them."""

import json
import shutil
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: flights
source:
  readers:
    - {{id: flights, stream: true, generate: {{schema: {{key: string, id: bigint, at: timestamp, value: double}}, seed: 7, rows: {rows}, keys: 5000, key: key, step: 10 milliseconds}}}}
  query: select * from flights
feature_set:
  name: flights
  entity: flight
  keys: [{{name: key, type: string}}]
  timestamp: {{from: at, lateness: 1 second}}
  deduplicate: {{on: [key, value], within: 1 minute}}
  refresh: on_expiry
  features:
    - {{name: id, from: id, type: bigint}}
    - {{name: total, from: value, window: {{functions: [sum, count], over: [20 seconds]}}}}
checkpoint: {{interval: 1 hour}}
sink: {{writers: [{{jsonl: {{path: out.jsonl}}}}]}}
"""
HALF, WHOLE = 9000, 18000


class CheckpointWorkersTest(Case):

    def run_to(self, rows, workers):
        self.write("flights.yaml", TEXT.format(rows=rows))
        self.good("run", "flights.yaml", "--once", "--progress", "none", "--workers", str(workers))

    def rows_of_keys(self):
        """What was written of each key, in its order: between keys there is none."""
        rows = {}
        for text in self.read_lines("out.jsonl"):
            row = json.loads(text) if isinstance(text, (str, bytes)) else text
            rows.setdefault(row["key"], []).append(row)
        return rows

    def saved(self, spaces):
        """Of all keys the saved bytes ("s"), and under which times they are listed ("d")."""
        self.good("state", "export", "flights.yaml", "-o", "moved.jsonl")
        with open(self.path("moved.jsonl"), encoding="utf-8") as file:
            return [text for text in file if text[2:3] in spaces]

    def test_any_number_of_workers(self):
        self.run_to(WHOLE, 1)
        whole = self.rows_of_keys()
        states = []
        for before, behind in ((1, 1), (1, 5), (2, 1), (5, 2)):
            shutil.rmtree(self.path("flights.state"))
            self.write("out.jsonl", b"")
            self.run_to(HALF, before)
            half = self.saved("sd")
            self.run_to(WHOLE, behind)
            self.assertEqual(self.rows_of_keys(), whole)
            states.append((half, self.saved("s")))
            self.assertTrue(states[0] == states[-1], (before, behind))
        self.assertGreater(len(half), 10000)


if __name__ == "__main__":
    unittest.main()
