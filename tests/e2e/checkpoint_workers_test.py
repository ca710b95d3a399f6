"""Checkpoints whose keys several workers save: the same bytes as by one, and read by any number of them."""

import json
import shutil
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: flights
source:
  readers:
    - {{id: flights, stream: true, generate: {{schema: {{key: string, id: bigint, at: timestamp, value: double}}, seed: 7, rows: {rows}, keys: 5000, key: key, step: {step}}}}}
  query: select *, id % 7 as place from flights
feature_set:
  name: flights
  entity: flight
  keys: [{{name: key, type: string}}]
  timestamp: {{from: at, lateness: 1 second}}
{features}
checkpoint: {{interval: 1 hour}}
sink: {{writers: [{{jsonl: {{path: out.jsonl}}}}]}}
"""
WINDOWS = """
  deduplicate: {on: [key, value], within: 1 minute}
  refresh: on_expiry
  features:
    - {name: id, from: id, type: bigint}
    - {name: total, from: value, window: {functions: [sum, count], over: [20 seconds]}}"""
KEYS_OF_THEIR_OWN = """
  features:
    - {name: total, from: value, window: {functions: [sum, count], over: [20 seconds]}}
    - {name: alike, from: value, filter: id > 300, window: {functions: [sum], over: [1 minute], partition_by: [place]}}
    - {name: low, from: id, window: {functions: [first], over: [2 events], mode: row_windows, order_by: value}}"""
ROLLING = """
  refresh: on_expiry
  aggregated: {windows: {over: [20 seconds, 1 minute], slide: 20 seconds}}
  features: [{name: total, from: value, aggregate: {functions: [sum, count]}}]"""
DAYS = """
  aggregated: {windows: {over: [1 day], slide: 1 day}}
  features: [{name: total, from: value, aggregate: {functions: [sum, count]}}]"""
HALF, WHOLE = 5000, 10000


class CheckpointWorkersTest(Case):

    def run_to(self, rows, workers):
        self.write("flights.yaml", TEXT.format(rows=rows, step=self.step, features=self.features))
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

    def try_numbers(self, features, numbers, step="10 milliseconds"):
        self.features, self.step = features, step
        self.run_to(WHOLE, 1)
        whole = self.rows_of_keys()
        states = []
        for before, behind in numbers:
            shutil.rmtree(self.path("flights.state"))
            self.write("out.jsonl", b"")
            self.run_to(HALF, before)
            half = self.saved("sd")
            self.run_to(WHOLE, behind)
            self.assertEqual(self.rows_of_keys(), whole)
            states.append((half, self.saved("s")))
            self.assertTrue(states[0] == states[-1], (before, behind))
        self.assertGreater(len(half), 2000)

    def test_any_number_of_workers(self):
        self.try_numbers(WINDOWS, ((1, 1), (1, 5), (2, 1), (5, 2)))

    def test_windows_by_keys_of_their_own(self):
        self.try_numbers(KEYS_OF_THEIR_OWN, ((1, 5), (5, 2)))

    def test_rolling_windows(self):
        self.try_numbers(ROLLING, ((1, 5), (5, 2)))

    def test_days(self):
        self.try_numbers(DAYS, ((1, 5), (5, 2)), step="30 seconds")


if __name__ == "__main__":
    unittest.main()
