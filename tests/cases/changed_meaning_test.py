"""A changed declaration over a state that is there: what the state was made of must mean the same, or the start is refused, with what
changed and where; what the state can serve is served, with the right numbers. Nothing in between."""

import json
import os
import shutil
import unittest

from freshet_testing import Case

BASE = """version: 1
pipeline: shop
source:
  readers:
    - id: sales
      stream: true
      file: {path: in, format: json, schema: {buyer: string, seller: string, day: string, at: bigint, cents: bigint, kind: string}}
    - id: rates
      file: {path: rates.csv, format: csv, schema: {kind: string, rate: double}}
  query: select s.buyer, s.seller, s.day, s."at", s.cents, r.rate, s.kind from sales s join rates r on r.kind = s.kind
feature_set:
  name: shop
  entity: user
  keys: [{name: user, type: string, from: buyer}]
  timestamp: {from: at, unit: s}
  features:
    - {name: amount, type: double, sql: cents / 100.0}
    - {name: worth, type: double, sql: amount * rate}
    - {name: label, type: string, from: seller}
    - name: total
      from: worth
      window: {functions: [sum], over: [1 day]}
    - name: big
      from: amount
      filter: kind = 'a'
      window: {functions: [count], over: [1 day]}
sink:
  writers:
    - jsonl: {path: out.jsonl}
"""


def sale(second, buyer, cents, seller="bob", kind="a"):
    return json.dumps({"buyer": buyer, "seller": seller, "day": "2024-01-01", "at": 1704067200 + second,
                       "cents": cents, "kind": kind}) + "\n"


FIRST = sale(0, "ann", 1000) + sale(1, "ann", 2000, kind="b") + sale(2, "cat", 500)
SECOND = sale(3, "ann", 4000) + sale(4, "bob", 100)


class Meaning(Case):

    def setUp(self):
        super().setUp()
        self.write("rates.csv", "kind,rate\na,1.0\nb,2.0\n")
        self.write("in/1.jsonl", FIRST)

    def run_it(self, text):
        self.write("shop.yaml", text)
        return self.freshet("run", "shop.yaml", "--once", "--progress", "none")

    def begin(self, text=BASE):
        shutil.rmtree(self.path("shop.state"), ignore_errors=True)
        finished = self.run_it(text)
        self.assertEqual(finished.code, 0, finished.err)
        self.first = len(self.read_lines("out.jsonl"))

    def change(self, *pairs, text=BASE):
        for old, new in pairs:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text

    def rows(self):
        """The rows of the second run, as (user, total, big)."""
        out = self.read_lines("out.jsonl")[self.first:]
        return [(row["user"], row["total__sum_over_1_day_fixed_windows"], row.get("big__count_over_1_day_fixed_windows"))
                for row in out]

    RIGHT = [("ann", 90.0, 2), ("bob", 1.0, 1)]


class RefusedTest(Meaning):

    def refused(self, *pairs, says, line=None, text=BASE):
        """Refused, and the old declaration then goes on as if nothing had been tried."""
        self.begin(text)
        self.write("in/2.jsonl", SECOND)
        finished = self.run_it(self.change(*pairs, text=text))
        self.assertEqual(finished.code, 78, finished.err)
        for part in (says, "put that back", "begin anew", "freshet state reset"):
            self.assertIn(part, finished.err)
        if line is not None:
            self.assertIn(f"shop.yaml:{line}:", finished.err)
        self.assertEqual(len(self.read_lines("out.jsonl")), self.first)
        self.assertEqual(self.run_it(text).code, 0)
        self.assertEqual(self.rows(), self.RIGHT)

    def test_sql_of_a_value(self):
        self.refused(("cents / 100.0", "cents / 10.0"), line=17,
                     says='feature "amount" changed from `sql cents / 100.0 as double` to `sql cents / 10.0 as double` '
                          '(under another name it fills from now on); put that back')

    def test_sql_that_a_value_is_made_of(self):
        self.refused(("sql: amount * rate", "sql: rate * cents"), says='feature "worth" changed from')

    def test_type_of_a_value(self):
        self.refused(("amount, type: double", "amount, type: float"), says='feature "amount" changed from')

    def test_feature_that_takes_the_name_of_a_column(self):
        """What a window looks at is found by its name: among the features above it, then in the query."""
        thrice = "    - {name: cents, type: bigint, sql: cents * 3}\n"
        total = "    - {name: total, from: cents, window: {functions: [sum], over: [1 day]}}\n"
        head, tail = BASE[:BASE.index("    - {name: amount")], BASE[BASE.index("sink:"):]
        for before, after, says in ((total, thrice + total, "`from column cents as bigint` to `sql cents * 3 as bigint`"),
                                    (total + thrice, thrice + total, "`from column cents as bigint` to `sql"),
                                    (thrice + total, total, "`sql cents * 3 as bigint` to `from column cents as bigint`"),
                                    (total, total + thrice + total.replace("total", "other"), "`from column cents as bigint` to `sql cents * 3 as bigint`")):
            with self.subTest(before=before, after=after):
                self.begin(head + before + tail)
                finished = self.run_it(head + after + tail)
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn('feature "cents" changed from ' + says, finished.err)
        # a column beside a feature of its name is a value by itself
        both = total + thrice + total.replace("total", "other")
        self.begin(head + both + tail)
        self.write("in/2.jsonl", SECOND)
        finished = self.run_it(head + thrice + total.replace("total", "other") + total + tail)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([[row[f"{name}__sum_over_1_day_fixed_windows"] for name in ("other", "total")]
                          for row in self.read_lines("out.jsonl")[self.first:]], [[21000, 21000], [300, 300]])

    def test_key(self):
        self.refused(("from: buyer", "from: seller"), line=14,
                     says='key "user" changed from `from column buyer as string` to `from column seller as string`')

    def test_timestamp(self):
        self.refused(("unit: s}", "unit: ms}"),
                     says="the timestamp changed from `from column at in s` to `from column at in ms`")

    def test_mask(self):
        masked = self.change(("{from: at, unit: s}", "{from: day, mask: '%Y-%m-%d'}"))
        self.refused(("%Y-%m-%d", "%Y-%d-%m"), text=masked,
                     says='changed from `from column day by the mask "%Y-%m-%d"` to')

    def test_cast_rule(self):
        self.refused(("  name: shop", "  name: shop\n  on_cast_error: 'null'"),
                     says="on_cast_error changed from `dead_letter` to `null`")

    def test_cast_rule_of_a_reader(self):
        self.refused(("stream: true", "stream: true\n      on_cast_error: 'null'"),
                     says='reader "sales": on_cast_error changed from `dead_letter` to `null`')

    def test_rows_of_the_query(self):
        self.refused(("on r.kind = s.kind", "on r.kind = s.kind where s.cents > 600"), line=10,
                     says="the rows of the query changed from")

    def test_column_of_the_query(self):
        self.refused(("r.rate,", "r.rate * 2 as rate,"), line=10,
                     says='column "rate" of the query changed from `r.rate` to `r.rate * 2 as rate`')

    def test_query_that_is_not_split(self):
        """A column without a name of its own: the query means what its text says."""
        strange = self.change(("s.kind from", "s.kind, s.cents + 1 from"))
        self.refused(("s.cents + 1", "s.cents + 2"), says="the query changed from", text=strange)

    def test_type_of_a_readers_column(self):
        self.refused(("cents: bigint", "cents: double"),
                     says='column "cents" of reader "sales" changed from `bigint` to `double`')

    def test_type_of_a_joined_column(self):
        self.refused(("rate: double", "rate: float"), says='column "rate" of reader "rates" changed')

    def test_format_of_a_reader(self):
        self.refused(("format: csv,", "format: csv, null_text: b,"), says='reader "rates": null_text changed from `` to `b`')

    def test_spelling_of_a_readers_column(self):
        self.refused(("cents: bigint", "Cents: bigint"), says='column "cents" of reader "sales" was read, and is gone')

    def test_places_of_csv(self):
        """Without a header a column is a place in the record."""
        self.write("rates.csv", "a,1.0\nb,2.0\n")
        bare = self.change(("format: csv, schema: {kind: string, rate: double}", "format: csv, header: false, schema: {kind: string, rate: string}"),
                           ("r.rate,", "r.rate::double as rate,"))
        self.refused(("{kind: string, rate: string}", "{rate: string, kind: string}"), text=bare,
                     says='column "kind" of reader "rates" changed from `string, number 1 of a record` to `string, number 2')

    def test_what_a_filter_reads(self):
        """Another filter is another value, and fills anew; the same text over another column means something else."""
        self.refused(("r.rate, s.kind", "r.rate, upper(s.kind) as kind"), says='column "kind" of the query changed')

    def test_late_rows(self):
        self.refused(("unit: s}", "unit: s, late: update}"),
                     says="timestamp: late changed from `dead_letter or drop` to `update`")

    def test_several_changes(self):
        self.refused(("cents / 100.0", "cents"), ("from: buyer", "from: seller"), ("amount * rate", "amount - rate"),
                     ("unit: s}", "unit: us}"), says="; and 1 more (`freshet plan` shows all); put that back")

    def test_strings_are_not_blanks(self):
        spaced = self.change(("sql: amount * rate", "sql: case kind when 'a  b' then 0 else amount * rate end"))
        self.refused(("'a  b'", "'a b'"), says='feature "worth" changed', text=spaced)


class ServedTest(Meaning):

    def served(self, *pairs, right=Meaning.RIGHT, text=BASE):
        self.begin(text)
        self.write("in/2.jsonl", SECOND)
        finished = self.run_it(self.change(*pairs, text=text))
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(self.rows(), right)

    def test_blanks_and_comments(self):
        self.served(("sql: cents / 100.0", "sql: \"cents/*the price*/ /  100.0 -- in full\""),
                    ("query: select s.buyer,", "query: |\n    SELECT  -- all\n      s.buyer,"),
                    ("kind = 'a'", "KIND  =  'a'"))

    def test_descriptions(self):
        self.served(("  name: shop", "  name: shop\n  description: Sales."),
                    ("cents / 100.0}", "cents / 100.0, description: in full}"))

    def test_function_over_the_same_values(self):
        self.served(("[sum]", "[sum, max, avg]"))

    def test_another_column_another_filter(self):
        """What was not kept is null until its windows are full: of a key that is new at once."""
        self.served(("from: worth\n", "from: rate\n"), ("kind = 'a'", "kind = 'b'"), right=[("ann", None, None), ("bob", 1.0, 0)])

    def test_what_is_known(self):
        self.served(("from: worth\n", "from: rate\n"), ("kind = 'a'", "kind = 'b'"), ("  entity: user", "  until_full: partial"),
                    right=[("ann", 1.0, 0), ("bob", 1.0, 0)])

    def test_longer_windows(self):
        """Nothing of ann's was let go yet, so two days are full at once."""
        text = self.change(("[1 day]}\n    - name: big", "[2 days]}\n    - name: big"))
        self.begin()
        self.write("in/2.jsonl", SECOND)
        finished = self.run_it(text)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn('feature "total": fills from 2023-12-30 23:00:03 on: "2 days" is null until 2024-01-01 23:00:03', finished.err)
        self.assertEqual([row["total__sum_over_2_days_fixed_windows"] for row in self.read_lines("out.jsonl")[self.first:]], [90.0, 1.0])

    def test_shorter_windows(self):
        self.served(("over: [1 day]}\n    - name: big", "over: [1 day, 1 hour]}\n    - name: big"))

    def test_another_writer(self):
        self.served(("- jsonl: {path: out.jsonl}", "- jsonl: {path: out.jsonl}\n    - jsonl: {path: more.jsonl}"))
        self.assertEqual(len(self.read_lines("more.jsonl")), 2)

    def test_plain_feature_that_means_something_else(self):
        self.served(("label, type: string, from: seller", "label, type: string, sql: upper(seller)"))
        self.assertEqual([row["label"] for row in self.read_lines("out.jsonl")], ["bob"] * 3 + ["BOB"] * 2)

    def test_column_of_the_query_that_no_window_reads(self):
        self.served(("s.seller, s.day", "s.seller || '!' as seller, s.day, s.cents * 2 as twice"))

    def test_column_of_the_schema_that_nothing_reads(self):
        self.served(("kind: string}}\n", "kind: string, more: string}}\n"))

    def test_star_instead_of_names(self):
        plain = self.change(("select s.buyer, s.seller, s.day, s.\"at\", s.cents, r.rate, s.kind from sales s join rates r on r.kind = s.kind",
                             "select buyer, seller, day, \"at\", cents, kind, 1.0::double as rate from sales"))
        self.served(("select buyer, seller, day, \"at\", cents, kind, ", "select *, "), text=plain,
                    right=[("ann", 70.0, 2), ("bob", 1.0, 1)])

    def test_late_rows_that_go_elsewhere(self):
        self.served(("unit: s}", "unit: s, late: drop}"))

    def test_dimension_that_lies_elsewhere(self):
        self.write("moved/rates.csv", "kind,rate\na,1.0\nb,2.0\n")
        self.served(("path: rates.csv", "path: moved/rates.csv"))


class SelectsTest(Meaning):
    """UNION ALL: another SELECT is served where it reads a new reader, and refused over an old one."""

    ONE = BASE.replace("    - id: rates\n      file: {path: rates.csv, format: csv, schema: {kind: string, rate: double}}\n", "", 1)
    ONE = ONE.replace("select s.buyer, s.seller, s.day, s.\"at\", s.cents, r.rate, s.kind from sales s join rates r on r.kind = s.kind",
                      "select buyer, seller, day, \"at\", cents, 1.0::double as rate, kind from sales")
    MORE = """    - id: more
      stream: true
      file: {path: more, format: json, schema: {buyer: string, seller: string, day: string, at: bigint, cents: bigint, kind: string}}
"""

    def test_a_new_reader(self):
        self.begin(self.ONE)
        self.write("more/1.jsonl", SECOND)
        text = self.change(("  query:", self.MORE + "  query:"), text=self.ONE)
        text = self.change(("kind from sales", "kind from sales union all select buyer, seller, day, \"at\", cents, "
                            "1.0::double as rate, kind from more"), text=text)
        finished = self.run_it(text)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(self.rows(), [("ann", 70.0, 2), ("bob", 1.0, 1)])

    def test_stars(self):
        """One star more is served like names; a UNION ALL goes by places, so the order of the columns counts."""
        head, tail = self.ONE.split("  query: ")
        star = head + "  query: select * from sales" + tail[tail.index("\n"):]
        star = self.change(("amount * rate", "amount * 1.5"), text=star)
        two = self.change(("  query: select * from sales", self.MORE + "  query: select * from sales union all select * from more"), text=star)
        swapped = self.change(("buyer: string, seller: string, day: string, at: bigint, cents: bigint, kind: string}}\n  query",
                               "seller: string, buyer: string, day: string, at: bigint, cents: bigint, kind: string}}\n  query"), text=two)
        self.begin(star)
        self.write("more/1.jsonl", SECOND)
        finished = self.run_it(two)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(self.rows(), [("ann", 105.0, 2), ("bob", 1.5, 1)])
        finished = self.run_it(swapped)
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('column "buyer" of SELECT 2 of the query changed from `buyer` to `seller`', finished.err)
        # where a star cannot be told, by all columns
        some = self.change(("select * from more", "select * exclude (n) from more"), ("kind: string}}\n  query", "kind: string, n: bigint}}\n  query"),
                           text=two)
        swapped = self.change(("{buyer: string, seller: string, day: string, at: bigint, cents: bigint, kind: string, n",
                               "{seller: string, buyer: string, day: string, at: bigint, cents: bigint, kind: string, n"), text=some)
        self.begin(some)
        finished = self.run_it(swapped)
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('the order of the columns of reader "more" changed from `buyer, seller', finished.err)

    def test_the_same_reader(self):
        self.begin(self.ONE)
        text = self.change(("kind from sales", "kind from sales union all select seller, buyer, day, \"at\", cents, "
                            "1.0::double as rate, kind from sales"), text=self.ONE)
        finished = self.run_it(text)
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('the rows of SELECT 2 of the query are new, and rows of the reader "sales" were read without it',
                      finished.err)

    def test_one_less(self):
        two = self.change(("kind from sales", "kind from sales union all select seller, buyer, day, \"at\", cents, "
                           "1.0::double as rate, kind from sales"), text=self.ONE)
        self.begin(two)
        finished = self.run_it(self.ONE)
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('the rows of SELECT 2 of the query are gone, and rows of the reader "sales" were read with it',
                      finished.err)


class WithoutWindowsTest(Meaning):
    """Positions need no meaning: what a row is made into counts from here on. Seen events do."""

    PLAIN = BASE[:BASE.index("    - name: total")] + BASE[BASE.index("sink:"):]
    SEEN = PLAIN.replace("  timestamp: {from: at, unit: s}\n",
                         "  timestamp: {from: at, unit: s}\n  deduplicate: {on: [cents], within: 1 hour}\n")

    def test_positions(self):
        self.begin(self.PLAIN)
        self.write("in/2.jsonl", SECOND)
        finished = self.run_it(self.change(("cents / 100.0", "cents / 10.0"), ("from: buyer", "from: seller"),
                                           ("on r.kind = s.kind", "on r.kind = s.kind where s.cents > 200"),
                                           text=self.PLAIN))
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([(row["user"], row["amount"]) for row in self.read_lines("out.jsonl")[3:]], [("bob", 400.0)])

    def test_seen_events(self):
        for pair, says in ((("s.cents,", "s.cents * 2 as cents,"), 'column "cents" of the query changed'),
                           (("unit: s}", "unit: ms}"), "the timestamp changed")):
            with self.subTest(pair=pair):
                self.begin(self.SEEN)
                finished = self.run_it(self.change(pair, text=self.SEEN))
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn(says, finished.err)
        self.begin(self.SEEN)
        finished = self.run_it(self.change(("on: [cents]", "on: [kind]"), text=self.SEEN))
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("deduplicate: what was kept for other columns (`on`) is removed, and it begins anew", finished.err)

    def test_seen_events_serve_other_features(self):
        self.begin(self.SEEN)
        self.write("in/2.jsonl", sale(3, "ann", 1000) + sale(4, "ann", 7))
        finished = self.run_it(self.change(("cents / 100.0", "cents / 10.0"), ("from: buyer", "from: seller"),
                                           ("s.day,", "s.day, 1 as one,"),
                                           text=self.SEEN))
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([(row["user"], row["amount"]) for row in self.read_lines("out.jsonl")[3:]], [("bob", 0.7)])


class RollingTest(Meaning):
    ROLLING = (BASE[:BASE.index("    - {name: amount")] + """    - name: total
      from: worth
      aggregate: {functions: [sum]}
  aggregated:
    windows: {over: [1 hour], slide: 10 minutes}
    distinct: {subset: [worth, kind]}
""" + BASE[BASE.index("sink:"):]).replace("r.rate, s.kind", "s.cents / 100.0 * r.rate as worth, s.kind")

    def test_what_rolling_windows_are_made_of(self):
        for pair, says in ((("cents / 100.0", "cents / 10.0"), 'column "worth" of the query changed'),
                           (("from: buyer", "from: seller"), 'key "user" changed'),
                           (("[1 hour], slide: 10 minutes", "[1 day], slide: 1 day"), "keys without events were forgotten"),
                           (("    windows: {over: [1 hour], slide: 10 minutes}\n", ""), 'its groups were "rolling windows by user string"'),
                           (("slide: 10 minutes", "slide: 10 minutes, emit: change"), "emit changed from `close` to `change`")):
            with self.subTest(pair=pair):
                self.begin(self.ROLLING)
                finished = self.run_it(self.change(pair, text=self.ROLLING))
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn(says, finished.err)

    def test_what_fills(self):
        """Another slide, subset or window: from now on; rows that look back on what was not kept are null."""
        late = sale(7300, "ann", 4000) + sale(20000, "dan", 1)
        for pairs, says, total in (
                ((("slide: 10 minutes", "slide: 20 minutes"),), "rows of the new slide begin behind", 50.0),
                ((("[1 hour]", "[2 hours]"),), 'feature "total": fills from', 50.0),
                ((("subset: [worth, kind]", "subset: [worth]"),), 'feature "total": fills from', 40.0),
                ((("  entity: user", "  entity: user\n  refresh: on_expiry"),), "goes on from", 50.0)):
            with self.subTest(says=says):
                if os.path.exists(self.path("in/2.jsonl")):
                    os.remove(self.path("in/2.jsonl"))
                self.begin(self.ROLLING)
                self.write("in/2.jsonl", late)
                finished = self.run_it(self.change(*pairs, text=self.ROLLING))
                self.assertEqual(finished.code, 0, finished.err)
                self.assertIn(says, finished.err)
                totals = [[v for k, v in row.items() if k.startswith("total")][0] for row in self.read_lines("out.jsonl")[self.first:]
                          if row["user"] == "ann"]
                self.assertEqual(max(v or 0.0 for v in totals), total, totals)

    def test_a_shorter_slide_of_keys_in_the_store(self):
        """Their rows come in their time, also in a later run: the store lists them anew."""
        for file in ("in/2.jsonl", "in/3.jsonl"):
            self.addCleanup(lambda path: os.path.exists(path) and os.remove(path), self.path(file))
        text = self.ROLLING.replace("unit: s", "unit: s, lateness: 1 second")
        self.begin(text.replace("slide: 10 minutes", "slide: 1 hour"))
        for file, second, ends in (("in/2.jsonl", 1500, ["00:10", "00:20"]), ("in/3.jsonl", 2700, ["00:30", "00:40"])):
            self.write(file, sale(second, "dan", 1))
            finished = self.run_it(text)
            self.assertEqual(finished.code, 0, finished.err)
            rows = self.read_lines("out.jsonl")
            self.assertEqual([row["timestamp"][11:16] for row in rows[self.first:] if row["user"] == "ann"], ends)
            self.first = len(rows)

    def test_the_same_slide_in_other_words(self):
        self.begin(self.ROLLING)
        self.write("in/2.jsonl", sale(20000, "ann", 1) + sale(30000, "ann", 1))
        finished = self.run_it(self.change(("slide: 10 minutes", "slide: 600 seconds"), ("[sum]", "[sum, count]"),
                                           text=self.ROLLING))
        self.assertEqual(finished.code, 0, finished.err)
        ann = [row for row in self.read_lines("out.jsonl") if row["user"] == "ann"]
        self.assertEqual((ann[0]["total__sum_over_1_hour_rolling_windows"], ann[0]["total__count_over_1_hour_rolling_windows"]),
                         (50.0, 2))


if __name__ == "__main__":
    unittest.main()
