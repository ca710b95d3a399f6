"""`deduplicate` that comes, goes, gets other columns or a longer time over a state that is there: what `freshet plan` says of
repetitions is what the rows show."""

import json
import os
import random
import re
import shutil
import unittest
from datetime import datetime, timezone

from freshet_testing import SEED, Case

TEXT = """version: 1
pipeline: shop
source:
  readers:
    - {{id: ev, stream: true, file: {{path: in.jsonl, format: json, schema: {{row: bigint, ts: bigint, a: bigint, b: bigint}}}}}}
  query: select * from ev
feature_set:
  name: shop
  entity: user
  keys: [{{name: row, type: bigint}}]
  timestamp: {{from: ts, unit: s, lateness: {lateness} minutes}}
{deduplicate}  features:
    - {{name: n, from: a, window: {{functions: [count], over: [1 minute]}}}}
checkpoint: {{interval: {interval}}}
sink:
  writers:
    - jsonl: {{path: out.jsonl}}
"""
BEGIN = 1704067200


class DeduplicateEvolveTest(Case):

    def declare_it(self, on=None, within=10, lateness=10, interval="1 second"):
        """`within` in minutes."""
        self.write("shop.yaml", TEXT.format(
            lateness=lateness, interval=interval,
            deduplicate="" if on is None else f"  deduplicate: {{on: {on}, within: {within} minutes}}\n"))

    def append_rows(self, *rows):
        """(second, a, b) each; they are numbered."""
        self.n = getattr(self, "n", 0)
        text = ""
        for second, a, b in rows:
            text += json.dumps({"row": self.n, "ts": BEGIN + second, "a": a, "b": b}) + "\n"
            self.n += 1
        self.append("in.jsonl", text.encode())
        return range(self.n - len(rows), self.n)

    def taken(self):
        return {row["row"] for row in self.read_lines("out.jsonl")}

    def passes(self, *rows):
        """Runs, and says which of the rows are taken."""
        numbers = self.append_rows(*rows)
        self.err = self.good_run()
        taken = self.taken()
        return [number in taken for number in numbers]

    def good_run(self):
        finished = self.freshet("run", "shop.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        return finished.err

    def planned(self, code):
        finished = self.freshet("plan", "shop.yaml", "--detailed-exitcode")
        self.assertEqual(finished.code, code, finished.out + finished.err)
        return finished.out

    def test_new(self):
        self.declare_it()
        self.assertEqual(self.passes((0, 1, 0), (60, 2, 0), (60, 2, 0)), [True] * 3)
        self.declare_it("[a]")
        self.assertIn("--   deduplicate (shop.yaml:12:22): fills from now on: is new: ids of events before 2024-01-01 00:01:01 are not known, "
                      "so one that comes again is taken once more, and counted; of rows from 2024-01-01 00:11:01 on every repetition is "
                      "found\n", self.planned(3))
        self.assertEqual(self.passes((60, 2, 0), (61, 2, 0), (60, 1, 0), (61, 1, 0)), [True, False, True, False])
        # told until no such row comes any more: with the lateness, twenty minutes behind the change
        self.assertIn("are not known", self.planned(3))
        self.assertEqual(self.passes((1261, 3, 0)), [True])
        self.assertEqual(self.passes((1262, 3, 0), (1263, 4, 0)), [False, True])
        self.assertIn("fits the declaration", self.planned(0))

    def test_other_columns(self):
        """The old ids have the same bytes as the new ones, and are none of these."""
        self.declare_it("[a]")
        self.assertEqual(self.passes((0, 1, 7), (1, 21, 8), (2, 1, 9)), [True, True, False])
        self.declare_it("[b]", interval="1 hour")
        self.assertIn("fills from now on: what was kept for other columns (`on`) is removed, and it begins anew: ids of events before ",
                      self.planned(3))
        # killed: rows that no checkpoint knows of are ids of nobody
        self.append_rows((3, 5, 1), (4, 6, 2), (5, 7, 2))
        run = self.start("run", "shop.yaml", "--progress", "none")
        self.until(lambda: {3, 4} <= self.taken(), "the rows", run)
        run.signal(9)
        run.wait()
        self.assertRegex(self.planned(3), "deduplicate .*: ids of events before 2024-01-01 00:00:03 are not known")
        self.assertEqual(self.passes((6, 8, 1), (7, 9, 8), (8, 1, 8)), [False, True, False])
        self.assertEqual(self.taken(), {0, 1, 3, 4, 7})
        self.assertEqual(self.passes((9, 9, 8), (9, 9, 21)), [False, True])
        # back to the first: anew as well
        self.declare_it("[a]")
        self.assertIn("begins anew", self.planned(3))
        self.assertEqual(self.passes((10, 2, 1), (11, 2, 1)), [True, False])

    def test_longer(self):
        self.declare_it("[a]", within=1, lateness=1)
        self.assertEqual(self.passes((0, 1, 0), (600, 2, 0)), [True, True])
        self.declare_it("[a]", within=60, lateness=1)
        # the first is forgotten, for sure, the second is not
        self.assertRegex(self.planned(3), r"deduplicate .*: fills from now on: looks back further .* than ids were kept: ids of events "
                                          r"before 2024-01-01 00:08:00 are not known, .* of rows from 2024-01-01 01:08:01 on ")
        self.assertEqual(self.passes((601, 1, 0), (3000, 2, 0), (4079, 1, 0)), [True, False, False])
        self.assertIn("ids of events before 2024-01-01 00:08:00", self.planned(3))
        self.assertEqual(self.passes((4200, 4, 0)), [True])
        self.assertIn("fits the declaration", self.planned(0))
        # less is served as it is
        self.declare_it("[a]", within=5, lateness=1)
        self.assertIn("deduplicate: served as it is", self.planned(0))

    def test_what_is_said_is_so(self):
        """Nothing is left out that does not repeat a row, what is remembered is found, and all from the time on that is told."""
        for i in range(int(os.environ.get("FRESHET_CHAINS", "4"))):
            with self.subTest(chain=i):
                self.try_chain(random.Random(f"{SEED}{i}"))
                self.forget_all()

    def forget_all(self):
        for name in ("in.jsonl", "out.jsonl"):
            os.remove(self.path(name))
        shutil.rmtree(self.path("shop.state"))

    def try_chain(self, rng):
        second, newest, all_taken, of_part, last_on = 0, 0, [], [], None
        for _ in range(7):
            on = rng.choice((None, "[a]", "[a]", "[a]", "[b]"))
            within = rng.choice((2, 10, 40))
            self.declare_it(on, within)
            rows = []
            for _ in range(rng.randrange(1, 25)):
                second += rng.choice((0, 1, 30, 200))
                newest = max(newest, second)
                rows.append((max(second - rng.randrange(500), newest - 590, 0), rng.randrange(6), rng.randrange(6)))
            taken = self.passes(*rows)
            said = re.search(r"of rows from (\S+ \S+) on every repetition is found", self.err)
            exact = -1 if said is None else datetime.fromisoformat(said[1]).replace(tzinfo=timezone.utc).timestamp() - BEGIN
            if on != last_on:
                of_part = []
            for row, is_taken in zip(rows, taken):
                def repeats(of):
                    i = 1 if on == "[a]" else 2
                    return on is not None and any(r[i] == row[i] and abs(r[0] - row[0]) <= within * 60 for r in of)
                context = f"{row} on {on} within {within}: {self.err}"
                if not is_taken:
                    self.assertTrue(repeats(all_taken), context)
                if repeats(r for r in of_part if r[3] >= within):
                    self.assertFalse(is_taken, context)
                if row[0] >= exact:
                    self.assertEqual(is_taken, not repeats(all_taken), context)
                if is_taken:
                    all_taken.append(row)
                    of_part.append((*row, within))
            # an id may be forgotten by the shortest time since
            of_part = [(*r[:3], min(r[3], within)) for r in of_part]
            last_on = on


if __name__ == "__main__":
    unittest.main()
