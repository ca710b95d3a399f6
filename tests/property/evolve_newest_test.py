# needs: cassandra
"""As evolve_test.py, of plain feature sets whose rows go to Cassandra: there the state keeps which row of a key is its newest, and through
all changes of the declaration the table has, of each key, the newest event's row: as the declaration of that event's link made it (a fresh
run of that declaration alone says how), null in columns that came later. Windows may come and go.

An eighth of FRESHET_PAIRS (40) is how many changes are tried; FRESHET_SEED is another beginning.
"""

import collections
import json
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cassandra_testing import CassandraCase  # noqa: E402
import evolve_testing as declared  # noqa: E402
from evolve_testing import Plain, Set, same  # noqa: E402

LINKS = 5
PAIRS = (int(os.environ.get("FRESHET_PAIRS", "40")) + 7) // 8
SEED = int(os.environ.get("FRESHET_SEED", "1"))


class Newest(CassandraCase):

    def declare_link(self, made, folder="", sink=""):
        text = made.yaml().replace("pipeline: chain", f"pipeline: {self.pipeline}").replace("name: chain", f"name: {self.pipeline}")
        return self.write(os.path.join(folder, "chain.yaml"), text.replace("    - online: {debug: true}\n", sink))

    def run_fresh(self, made, records):
        """{id: the row that this declaration makes of the event}"""
        folder = f"fresh{next(self.numbers)}"
        self.declare_link(made, folder)
        self.write(f"{folder}/in_ev/all.jsonl", "".join(json.dumps(record) + "\n" for part in records for _, record in part))
        self.good("run", f"{folder}/chain.yaml", "--once", "--progress", "none")
        rows = {}
        for row in self.read_lines(f"{folder}/new.jsonl"):
            rows.setdefault(row["id"], row)
        return rows

    def take_change(self):
        """Another declaration, if it is served. The table follows."""
        before = self.made
        self.made, fate, names = before.change()
        self.declare_link(self.made, "", self.sink)
        planned = self.freshet("plan", "chain.yaml", "--detailed-exitcode")
        self.assertIn(planned.code, (0, 3, 78), planned.err)
        if before.source.where != self.made.source.where or before.key != self.made.key:
            fate = "refused"  # which row is the newest is of the rows that were read, and of the keys of then
        if fate != "either":
            self.assertEqual(planned.code == 78, fate == "refused", (names, planned.out, planned.err))
        self.said = planned.out
        if planned.code == 78:
            self.run_once("chain.yaml", code=78)
            self.counts["refused"] += 1
            self.made = before
            self.declare_link(before, "", self.sink)
            return before
        self.counts["filled" if "fills" in planned.out else "served"] += 1
        return before

    def check_table(self, events, fresh):
        """Of each key the row of its newest event, of equal seconds the last to come."""
        newest = {}
        for event in events:
            if event["u"] not in newest or event["ts"] >= newest[event["u"]]["ts"]:
                newest[event["u"]] = event
        found = {row["u"]: row for row in self.rows()}
        self.assertEqual(sorted(found), sorted(newest))
        for user, event in newest.items():
            link = self.link_of[event["id"]]
            row, expected = found[user], fresh[link][event["id"]]
            self.assertEqual(row["id"], event["id"], (row, event, self.said))
            for feature in self.made.plain():
                stays = self.came_at_link[feature.name] <= link
                then = expected.get(feature.name)  # the table keeps what a column had before it went
                value = row[feature.name.lower()]
                value = f"{value:.2f}" if feature.type.startswith("decimal") and value is not None else value
                self.assertTrue(same(value, then) or (value is None and not stays), (feature.name, row, expected, self.said))

    def follow(self, seed):
        self.rng = random.Random(seed)
        self.came_at_link, self.link_of, fresh, events, records = {}, {}, {}, [], []
        self.sink, self.said = "    " + self.store() + "\n", ""
        self.made, before = Set(self.rng, "newest", True), None
        self.made.may_be_partial = False
        for link in range(LINKS + 1):
            if link == 0:
                self.declare_link(self.made, "", self.sink)
            else:
                before = self.take_change()
            was = {} if before is None else {feature.name for feature in before.plain()}
            self.came_at_link.update({feature.name: link for feature in self.made.plain() if feature.name not in was})
            self.made.written.update({feature.name: (feature.type,) for feature in self.made.plain()})
            self.apply("chain.yaml")
            more, dealt = declared.draw_events(self.rng, self.made, link, link * declared.EVENTS, 0)
            events += more
            records.append(dealt)
            self.link_of.update({event["id"]: link for event in more})
            self.write(f"in_ev/{link}.jsonl", "".join(json.dumps(record) + "\n" for _, record in dealt))
            self.run_once("chain.yaml")
            fresh[link] = self.run_fresh(self.made, records)
            self.check_table(events, fresh)

    def test_chains(self):
        self.counts, told = collections.Counter(), declared.Progress(PAIRS)
        for number in range((PAIRS + LINKS - 1) // LINKS):
            seed = SEED * 1000003 + number
            with self.subTest(seed=seed):
                self.setUp()
                self.follow(seed)
            told.tell(sum(self.counts.values()))
        print(f"{sum(self.counts.values())} changes from the seed {SEED}: {self.counts['served']} served, {self.counts['filled']} that fill, "
              f"{self.counts['refused']} refused")


if __name__ == "__main__":
    unittest.main()
