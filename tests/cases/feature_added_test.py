"""A feature more or less in a feature set with windows is served by the state that is there: windows go on, what a saved row has not
is null until its key's next row, and a window over what was not kept is null until it is full."""

import json
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: evolve
source:
  readers:
    - {{id: ev, stream: true, file: {{path: in, format: json, schema: {{user: bigint, ts: bigint, amount: double, name: string}}}}}}
  query: select * from ev
feature_set:
  name: evolve
  entity: user
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: ts, unit: s}}
  features:
{features}
    - {{name: spend, from: amount, window: {{functions: [{functions}], over: [{over}]}}}}
{more}sink:
  writers:
    - {writer}
"""

NAME = "{name: name, type: string}"
AMOUNT = "{name: amount2, type: double, from: amount}"
BIG = "{name: big, type: boolean, sql: amount > 5}"
DAY = "spend__sum_over_1_day_fixed_windows"


def row(user, second, amount, name):
    return json.dumps({"user": user, "ts": 1704067200 + second, "amount": amount, "name": name}) + "\n"


class FeatureAddedTest(Case):

    def run_it(self, *features, functions="sum", over="1 day", more="", writer="jsonl: {path: out.jsonl, rows: online}",
               new=""):
        self.at = len(self.read_lines("out.jsonl"))
        self.write("evolve.yaml", TEXT.format(features="\n".join("    - " + feature for feature in features),
                                              functions=functions, over=over, more=more, writer=writer))
        if new:
            self.n = getattr(self, "n", 0) + 1
            self.write(f"in/{self.n}.jsonl", new)
        return self.freshet("run", "evolve.yaml", "--once", "--progress", "none")

    def rows(self, *columns):
        return [tuple(row[column] for column in ("user", *columns)) for row in self.read_lines("out.jsonl")[self.at:]]

    def served(self, *features, **said):
        finished = self.run_it(*features, **said)
        self.assertEqual(finished.code, 0, finished.err)

    def test_more_and_less(self):
        self.served(NAME, new=row(1, 0, 4, "a") + row(2, 1, 8, "b"))
        self.served(NAME, AMOUNT, BIG, new=row(1, 10, 5, "c"))
        self.assertEqual(self.rows("name", "amount2", "big", DAY), [(1, "c", 5.0, False, 9.0)])
        # of user 2 the saved row has no amount2 and no big; a row that comes late makes it go out again
        self.served(NAME, AMOUNT, BIG, new=row(2, 0, 16, "late"))
        self.assertEqual(self.rows("name", "amount2", "big", DAY), [(2, "b", None, None, 24.0)])
        # less, in another order; what both have is taken over
        self.served(BIG, NAME, new=row(1, 9, 1, "late") + row(2, 1, 1, "d"))
        self.assertEqual(self.rows("name", "big", DAY), [(1, "c", False, 10.0), (2, "d", False, 25.0)])
        # none at all, and one that was there before
        self.served(new=row(1, 9, 1, "late"))
        self.assertEqual(self.rows(DAY), [(1, 11.0)])
        self.served(AMOUNT, new=row(1, 8, 1, "late") + row(2, 2, 2, "e"))
        self.assertEqual(self.rows("amount2", DAY), [(1, None, 12.0), (2, 2.0, 27.0)])

    def test_another_type(self):
        """A plain feature of another type is another column."""
        self.served(BIG, NAME, new=row(1, 0, 4, "a"))
        self.served("{name: big, type: integer, sql: amount > 5}", NAME, new=row(1, 0, 4, "b") + row(1, -1, 1, "late"))
        self.assertEqual(self.rows("big", "name", DAY), [(1, 0, "b", 8.0), (1, 0, "b", 9.0)])

    def test_feature_of_a_window(self):
        """What features made of windows need is carried, too."""
        self.served(NAME, new=row(1, 0, 4, "a"))
        self.served(NAME, more="    - {name: share, type: double, sql: \"amount / spend__sum_over_1_day_fixed_windows\"}\n",
                    new=row(1, -1, 4, "late") + row(1, 1, 8, "b"))
        self.assertEqual(self.rows("name", "share", DAY), [(1, "a", None, 8.0), (1, "b", 0.5, 16.0)])

    def test_keys_that_wait_for_expiry(self):
        """They are restored at the start, all of them; the rows that they owe have the new feature as null."""
        expiry = "  refresh: on_expiry\n"
        self.served(NAME, more=expiry, over="1 minute", new=row(1, 0, 4, "a") + row(2, 30, 8, "b"))
        self.served(NAME, BIG, more=expiry, over="1 minute", new=row(2, 7200, 1, "c"))
        self.assertIn((1, "a", None, None), self.rows("name", "big", "spend__sum_over_1_minute_fixed_windows"))

    def test_of_all_that_a_state_shows(self):
        self.served(NAME, new=row(1, 0, 4, "a"))
        self.served(NAME, BIG, new=row(2, 1, 8, "b"))
        shown = [json.loads(text) for text in self.good("state", "inspect", "evolve.yaml").splitlines()]
        self.assertEqual(sorted((key["key"]["user"], sorted(key["row"].items())) for key in shown),
                         [(1, [("name", "a")]), (2, [("big", True), ("name", "b")])])  # what was not kept is left out
        self.assertIn("is whole", self.good("state", "verify", "evolve.yaml"))

    def test_with_corrections(self):
        """Then each event's whole row is kept; a row that is corrected later has null in the feature that it had not."""
        history = "history: {path: out, corrections: true}"
        self.served(NAME, writer=history, new=row(1, 0, 4, "a") + row(1, 1, 8, "b"))
        self.served(NAME, BIG, writer=history, new=row(1, 3, 4, "c"))
        self.served(NAME, BIG, writer=history, new=row(1, 1, 2, "late"))
        self.served(writer=history, new=row(1, 2, 1, "late, too"))

    def test_a_windowed_feature(self):
        """One over a column that was not kept is null until a day after the newest row, and counts from here on where that is wanted."""
        more = "    - {{name: names, from: name, window: {{functions: [count, last], over: [1 day]{}}}}}\n"
        names = "names__count_over_1_day_fixed_windows", "names__last_over_1_day_fixed_windows"
        self.served(NAME, new=row(1, 0, 4, "a") + row(2, 5, 4, "b"))
        finished = self.run_it(NAME, more=more.format(""), new=row(1, 10, 1, "c") + row(3, 10, 1, "d"))
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn('feature "names": fills from 2024-01-01 00:00:06 on: "1 day" is null until 2024-01-02 00:00:06', finished.err)
        self.assertEqual(self.rows(DAY, *names), [(1, 5.0, None, None), (3, 1.0, 1, "d")])
        # a key that slept knows by itself since when: its newest row was of second 5
        self.served(NAME, more=more.format(""), new=row(2, 86400 + 5, 2, "e") + row(2, 86400 + 6, 2, None))
        self.assertEqual(self.rows(DAY, *names), [(2, 6.0, None, None), (2, 4.0, 1, None)])
        self.served(NAME, more=more.format(", until_full: partial"), new=row(1, 86400, 1, "f"))
        self.assertEqual(self.rows(DAY, *names), [(1, 6.0, 2, "f")])
        # gone, and back: from now on again
        self.served(NAME, new=row(1, 86401, 1, "g"))
        self.served(NAME, more=more.format(""), new=row(1, 86402, 1, "h"))
        self.assertEqual(self.rows(DAY, *names), [(1, 4.0, None, None)])

    def test_counted_before(self):
        """A value of which only was kept whether it was there: counts go on."""
        more = "    - {{name: names, from: name, window: {{functions: [{}], over: [1 day]}}}}\n"
        self.served(NAME, more=more.format("count"), new=row(1, 0, 4, "a"))
        self.served(NAME, more=more.format("count, last"), new=row(1, 10, 1, "c"))
        self.assertEqual(self.rows("names__count_over_1_day_fixed_windows", "names__last_over_1_day_fixed_windows"),
                         [(1, 2, None)])


if __name__ == "__main__":
    unittest.main()
