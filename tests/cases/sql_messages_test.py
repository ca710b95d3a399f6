"""What is wrong with SQL is told by its cause, with what to write, at its place in the YAML file."""

import json
import unittest

from freshet_testing import Case

# the query, what is marked in it, and what is said
QUERIES = [
    ("select `user`, value from events", "`user`", 'write "user"'),
    ("select 'a`b' as x, `key` from events", "`key`", 'write "key"'),
    ("select id, at, value from events", "at,", '"at"'),
    ("select id, order from events", "order", '"order"'),
    ("select * from events order by at", "at", '"at"'),
    ("select id, group + 1 as g from events", "group", '"group"'),
    ("select id, size([1]) as n from events", "size", "Spark's is here len(...)"),
    ("select id, lenght(key) as n from events", "lenght", 'Did you mean "length"?'),
]

FEATURES = [
    ("`value` + 1", "`value`", 'write "value"'),
    ("order + 1", "order", '"order"'),
    ("at", "at", '"at"'),
    ("size(key)", "size", "Spark's is here len(...)"),
    ("flor(value)", "flor", 'Did you mean "floor"?'),
]

FAR = ["size(key)", "zzzzzz(key)", "geo_hash_of(key)"]


class SqlMessagesTest(Case):

    def refused(self):
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78, finished.err)
        return finished.err

    def place_of(self, text, marked):
        """LINE:COLUMN of the last place where the declaration has `marked` inside `text`."""
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if text in line:
                    return f"events.yaml:{number}:{line.index(text) + text.rindex(marked) + 1}: "
        self.fail(text)

    def test_in_the_query(self):
        for query, marked, said in QUERIES:
            self.declare(stream=False, query=query)
            err = self.refused()
            self.assertIn(said, err, query)
            self.assertIn(self.place_of(query, marked), err, query)

    def test_in_a_feature(self):
        for sql, marked, said in FEATURES:
            self.declare(stream=False, features=["{name: id, type: bigint}",
                                                 f"{{name: f, type: string, sql: {json.dumps(sql)}}}"])
            err = self.refused()
            self.assertIn(said, err, sql)
            self.assertIn(self.place_of(f"sql: {json.dumps(sql)}", marked), err, sql)

    def test_no_far_names(self):
        for sql in FAR:
            self.declare(stream=False, features=["{name: id, type: bigint}",
                                                 f"{{name: f, type: string, sql: {json.dumps(sql)}}}"])
            err = self.refused()
            self.assertIn("does not exist!", err)
            self.assertNotIn("Did you mean", err)

    def test_tables(self):
        """Of the debug table: a near name is named, a far one is not."""
        self.declare(stream=False)
        self.write("in.jsonl", b"")
        for table, said in (("online_feature_store__event", 'Did you mean "online_feature_store__events"?'),
                            ("nothing", None)):
            finished = self.freshet("run", "events.yaml", "--query", f"select * from {table}")
            self.assertEqual(finished.code, 2, finished.err)
            self.assertIn(f"Table with name {table} does not exist!", finished.err)
            if said is None:
                self.assertNotIn("Did you mean", finished.err)
            else:
                self.assertIn(said, finished.err)

    def test_a_comma_without_quotes(self):
        self.declare(stream=False, features=["{name: id, type: bigint}",
                                             "{name: f, type: double, sql: coalesce(value, 0)}"])
        self.assertIn('a bracket is not closed (inside { } of a YAML file a text ends at a comma: put SQL in '
                      'quotes, as in sql: "coalesce(amount, 0)")', self.refused())


if __name__ == "__main__":
    unittest.main()
