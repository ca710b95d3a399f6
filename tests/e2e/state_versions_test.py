"""States of each version of the layout that there was are kept here for good, as `freshet state export` wrote them
(states/NAME.VERSION.jsonl): this Freshet goes on from each of them, with the rows of an uninterrupted run.

FRESHET_MAKE_STATES=1 writes those of the newest version anew. That is for while a version is not released: those of a version that
was released stay as they are, and what must change then gets a number of its own (CHECKPOINT_VERSION in pipeline/checkpoint.h, a row
of `versions` in pipeline/checkpoint_fits.c) and files of its own."""

import glob
import json
import os
import re
import shutil
import unittest

from freshet_testing import Case

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "states")
FIRST, ALL = 40, 80  # events of the state, and with those that come then
SCHEMA = "{id: bigint, user: string, shop: string, ts: bigint, amount: double, kind: string}"


def reader(name, path, more=""):
    return f'{{id: {name}, stream: true, file: {{path: {path}, format: json, schema: {SCHEMA}}}{more}}}'


def pipeline(name, readers, query, keys, features, more=""):
    return f"""version: 1
pipeline: {name}
source:
  readers:
{"".join("    - " + one + chr(10) for one in readers)}  query: {query}
feature_set:
  name: {name}
  entity: user
  keys: [{keys}]
  timestamp: {{from: ts, unit: s, lateness: 10 minutes}}
{more}  features:
{"".join("    - " + one + chr(10) for one in features)}sink:
  writers:
    - jsonl: {{path: new.jsonl}}
    - jsonl: {{path: online.jsonl, rows: online}}
checkpoint: {{interval: 1 hour}}
"""


USER = "{name: user, type: string}"
DECLARATIONS = {
    "windows": pipeline(
        "windows", [reader("ev", "in/a.jsonl", ", preprocess: [{forward_fill: {column: kind, partition_by: user, order_by: ts}}]")], "select * from ev",
        USER + ", {name: shop, type: string}",
        ["{name: id, type: bigint}", "{name: kind, type: string}", '{name: cents, type: "decimal(12,2)", sql: amount}',
         "{name: spent, from: amount, window: {functions: [sum, min, median, count_distinct], over: [20 minutes, 1 hour]}}",
         "{name: dear, from: amount, filter: amount > 10, window: {mode: row_windows, functions: [avg, last], over: [3 events]}}",
         "{name: of_shop, from: id, window: {functions: [count], over: [30 minutes], partition_by: shop}}"],
        more="  deduplicate: {on: [id], within: 30 minutes}\n"),
    "expiring": pipeline(
        "expiring", [reader("ev", "in/a.jsonl")], "select * from ev", USER,
        ["{name: id, type: bigint}", "{name: spent, from: amount, window: {functions: [sum], over: [5 minutes]}}"], more="  refresh: on_expiry\n"),
    "groups": pipeline(
        "groups", [reader("ev", "in/a.jsonl")], "select * from ev", USER,
        ["{name: spent, from: amount, aggregate: {functions: [sum, max]}}"],
        more="  aggregated: {pivot: {column: kind, values: [a, b]}, windows: {over: [30 minutes, 1 hour], slide: 10 minutes}}\n"),
    "positions": pipeline("positions", [reader("ev", "in/a.jsonl")], "select * from ev", USER, ["{name: id, type: bigint}", "{name: amount, type: double}"]),
    "joined": pipeline(
        "joined", [reader("l", "in/a.jsonl", ", timestamp: {from: ts, unit: s}, within: 10 minutes"),
                   reader("r", "in/b.jsonl", ", timestamp: {from: ts, unit: s}, within: 5 minutes")],
        "select l.id, l.user, l.ts, r.id as other, r.amount from l left join r on l.user = r.user and l.id <> r.id", USER,
        ["{name: id, type: bigint}", "{name: other, type: bigint}", "{name: amount, type: double}"]),
}


def events(first, last, salt):
    """The same in each version of Python."""
    made = []
    for i in range(first, last):
        mixed = (i * 2654435761 + salt * 40503) % 2**32
        made.append({"id": i - (i % 11 == 10), "user": f"u{mixed % 4}", "shop": f"s{mixed // 7 % 2}",
                     "ts": 1704067200 + i * 60 - mixed // 13 % 300, "amount": mixed // 17 % 200 / 8, "kind": ("a", "b", "c", None)[mixed // 19 % 4]})
    return "".join(json.dumps(event) + "\n" for event in made)


class StateVersionsTest(Case):

    def lay(self, name, last):
        self.write(f"{name}.yaml", DECLARATIONS[name])
        self.write("in/a.jsonl", events(0, last, 1))
        self.write("in/b.jsonl", events(0, last, 2))

    def run_to(self, name, last):
        """What went out: new rows, and those of keys."""
        for file in ("new.jsonl", "online.jsonl"):
            if os.path.exists(self.path(file)):
                os.remove(self.path(file))
        self.lay(name, last)
        self.good("run", f"{name}.yaml", "--once", "--progress", "none")
        return [self.read_lines(file) for file in ("new.jsonl", "online.jsonl")]

    def clean(self):
        for file in os.listdir(self.folder):
            if file.endswith(".state") or file == "in":
                shutil.rmtree(self.path(file))

    def newest_version(self):
        with open(os.path.join(HERE, "../../../src/pipeline/checkpoint.h"), encoding="utf-8") as file:
            return int(re.search(r"define CHECKPOINT_VERSION (\d+)u", file.read()).group(1))

    def test_each_goes_on(self):
        newest = self.newest_version()
        if os.environ.get("FRESHET_MAKE_STATES"):
            for name in DECLARATIONS:
                self.clean()
                self.run_to(name, FIRST)
                self.good("state", "export", f"{name}.yaml", "-o", os.path.join(HERE, f"{name}.{newest}.jsonl"))
        for name in DECLARATIONS:
            self.clean()
            first = self.run_to(name, FIRST)
            then = self.run_to(name, ALL)
            self.assertTrue(first[0] and then[0] and then[1], name)
            for version in range(1, newest + 1):
                with self.subTest(name=name, version=version):
                    self.clean()
                    self.lay(name, ALL)
                    self.good("state", "import", f"{name}.yaml", os.path.join(HERE, f"{name}.{version}.jsonl"))
                    planned = self.good("plan", f"{name}.yaml")
                    self.assertNotIn("cannot", planned, "this Freshet does not read what the state was saved by: see the head of this file")
                    self.assertIn("is whole", self.good("state", "verify", f"{name}.yaml"))
                    self.assertEqual(self.run_to(name, ALL), then)
        self.assertEqual(len(glob.glob(os.path.join(HERE, "*.jsonl"))), len(DECLARATIONS) * newest)


if __name__ == "__main__":
    unittest.main()
