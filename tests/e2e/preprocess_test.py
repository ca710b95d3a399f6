"""`preprocess` of a reader: in a batch, on a stream, of a reader that is looked up in; mistakes at their places; rows
that fail are dead letters of their own record, and go through the steps again."""

import json
import os
import unittest

from freshet_testing import Case

DECLARATION = """version: 1
pipeline: steps
source:
  readers:
    - id: events
      file: {path: in, format: json, schema: {SCHEMA}}
      stream: STREAM
PREPROCESS
  query: QUERY
feature_set:
  name: steps
  keys: [{name: id, type: bigint}]
  timestamp: {from: ts, unit: s}
  features:
FEATURES
sink: {writers: [WRITER]}
"""


class PreprocessTest(Case):

    def declare_steps(self, *steps, stream=True, schema="id: bigint, ts: bigint, type: string, n: string",
                      query="select * from events", features=("{name: type, type: string}",),
                      writer="history: {path: out}", readers=""):
        text = DECLARATION.replace("SCHEMA", schema).replace("STREAM", str(stream).lower()).replace("QUERY", query)
        text = text.replace("PREPROCESS", "      preprocess:\n" + "\n".join("        - " + step for step in steps) + readers)
        text = text.replace("FEATURES", "\n".join("    - " + feature for feature in features)).replace("WRITER", writer)
        os.makedirs(self.path("in"), exist_ok=True)
        self.write("steps.yaml", text)

    def give(self, *rows, name="in/1.jsonl"):
        self.append(name, b"".join(json.dumps(row).encode() + b"\n" for row in rows))

    def rows(self, *arguments, stream=True):
        finished = self.freshet("run", "steps.yaml", "--debug", "--once", "--no-serve", "--query",
                                "select * from online_feature_store__steps", "--format", "json", *arguments)
        self.assertEqual(finished.code, 0, finished.err)
        return [json.loads(line) for line in finished.out.splitlines()]

    def problems(self, code=78):
        finished = self.freshet("check", "steps.yaml")
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def values(self, column, *arguments):
        return [row[column] for row in self.rows(*arguments)]


class RowsTest(PreprocessTest):

    def test_steps_run_in_their_order(self):
        """What a filter has removed fails in no later condition, whatever the engine finds cheaper to test first."""
        for stream in (True, False):
            self.declare_steps("filter: {condition: \"regexp_replace(regexp_replace(n, '[0-9]', '', 'g'), ' ', '') = ''\"}", "filter: n::int > 3",
                               "replace: {column: type, values: {a: one, one: two}}",
                               "sql: select *, n::int * 2 as double from events", stream=stream,
                               query="select * from events where double < 100 and n::int <> 11",
                               features=("{name: type, type: string}", "{name: double, type: bigint}"))
            self.write("in/1.jsonl", b"")
            self.give({"id": 1, "ts": 1, "type": "a", "n": "4"}, {"id": 2, "ts": 2, "type": "a", "n": "x"},
                      {"id": 3, "ts": 3, "type": "one", "n": "5"}, {"id": 4, "ts": 4, "type": "b", "n": "3"},
                      {"id": 5, "ts": 5, "type": None, "n": "11"}, {"id": 6, "ts": 6, "n": "60"},
                      {"id": 7, "ts": 7, "type": None, "n": "6"})
            self.assertEqual([(row["id"], row["type"], row["double"]) for row in self.rows()],
                             [(1, "one", 8), (3, "two", 10), (7, None, 12)])
            self.assertEqual(self.dead_letters("steps"), [])

    def test_a_row_that_fails_is_a_dead_letter_and_goes_through_the_steps_again(self):
        self.declare_steps("sql: select id, ts, n::int as number, type from events", "filter: number > 0",
                           features=("{name: number, type: bigint}",))
        rows = [{"id": i, "ts": i, "type": "a", "n": "oh" if i in (3, 17) else str(i)} for i in range(1, 30)]
        self.give(*rows)
        finished = self.freshet("run", "steps.yaml", "--once")
        self.assertEqual(finished.code, 0, finished.err)
        letters = self.dead_letters("steps")
        self.assertEqual([json.loads(letter["raw"])["id"] for letter in letters], [3, 17])
        for letter in letters:
            self.assertEqual(letter["code"], "sql_error")
            self.assertIn("preprocess", letter["reason"])
            self.assertIn("'oh'", letter["reason"])
        self.declare_steps("sql: select id, ts, coalesce(try_cast(n as int), 7) as number, type from events",
                           "filter: number > 0", features=("{name: number, type: bigint}",))
        finished = self.freshet("replay", "steps.yaml")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("2", finished.err)
        self.assertEqual(self.dead_letters("steps"), [])

    def test_a_reader_that_is_looked_up_in(self):
        readers = """
    - id: names
      file: {path: names.jsonl, format: json, schema: {id: bigint, name: string, n: string}}
      preprocess:
        - sql: select id, name, n::int as n from names
        - filter: n > 1
        - replace: {column: name, values: {b: B}}"""
        for stream in (True, False):
            self.declare_steps("filter: id > 0", stream=stream, readers=readers,
                               query="select e.id, e.ts, s.name as type from events e join names s using (id)")
            self.write("in/1.jsonl", b"")
            self.give({"id": 1, "ts": 1}, {"id": 2, "ts": 2}, {"id": 3, "ts": 3}, {"id": 4, "ts": 4})
            self.write("names.jsonl", b"")
            self.give({"id": 1, "name": "a", "n": "1"}, {"id": 2, "name": "b", "n": "2"}, {"id": 3, "name": "c", "n": "?"},
                      {"id": 4, "name": "d", "n": "3"}, name="names.jsonl")
            self.assertEqual([(row["id"], row["type"]) for row in self.rows()], [(2, "B"), (4, "d")])
            (letter,) = self.dead_letters("steps")
            self.assertEqual((letter["reader"], json.loads(letter["raw"])["id"]), ("names", 3))

    def test_columns_that_nobody_needs_are_not_read(self):
        """... and those that only a step needs are."""
        self.declare_steps("filter: n = 'yes'", "sql: select id, ts, type as kind from events",
                           query="select id, ts, kind from events", features=("{name: kind, type: string}",))
        self.give({"id": 1, "ts": 1, "type": "a", "n": "yes"}, {"id": 2, "ts": 2, "type": "b", "n": "no"})
        self.assertEqual(self.values("kind"), ["a"])

    def test_order_by_time_through_names_that_change(self):
        """Files are merged by the time that comes out of the steps."""
        self.declare_steps("sql: select id, ts as seen, type from events", query="select id, seen as ts, type from events",
                           features=("{name: n, from: type, window: {functions: [last], over: [1 event], mode: row_windows}}",))
        self.give({"id": 1, "ts": 1, "type": "a"}, {"id": 1, "ts": 3, "type": "c"}, name="in/1.jsonl")
        self.give({"id": 1, "ts": 2, "type": "b"}, {"id": 1, "ts": 4, "type": "d"}, name="in/2.jsonl")
        (column,) = [name for name in self.rows()[0] if name.startswith("n__")]
        self.assertEqual(self.values(column), ["a", "b", "c", "d"])

    def test_json(self):
        """A field takes the place of a column of its name; what does not fit is told with its field."""
        step = "explode_json_column: {column: n, schema: {type: string, \"a b\": integer, deep: {list: array<bigint>}}}"
        features = ("{name: type, type: string}", "{name: ab, type: integer}", "{name: list, type: array<bigint>}")
        self.declare_steps(step, features=features, query="'select id, ts, type, \"a b\" as ab, deep.list as list from events'")
        good = [{"type": "new", "a b": "7.9", "deep": {"list": [1, 2]}}, {"type": {"x": [1.50, "é"]}, "deep": {"list": []}}, {}]
        bad = ['{"a b": "seven"}', '{"deep": {"list": [1, "2"]}}', "[]", "no json", '{"type": "cut']
        self.give(*[{"id": i, "ts": i, "type": "old", "n": json.dumps(n)} for i, n in enumerate(good)],
                  *[{"id": 10 + i, "ts": i, "type": "old", "n": n} for i, n in enumerate(bad)], {"id": 20, "ts": 1})
        self.assertEqual([tuple(row.values())[:1] + tuple(row[name] for name in ("type", "ab", "list")) for row in self.rows()],
                         [(0, "new", 7, [1, 2]), (1, '{"x":[1.5,"é"]}', None, []), (2, None, None, None), (20, None, None, None)])
        self.assertEqual([letter["reason"] for letter in self.dead_letters("steps")], [
            'preprocess fails for this row: field "a b" of the JSON in "n" should be integer, but is "seven"',
            'preprocess fails for this row: field "deep" of the JSON in "n" should be struct<list: array<bigint>>, '
            'but is {"list":[1,"2"]}',
            'preprocess fails for this row: the text in "n" is no JSON object: []',
            'preprocess fails for this row: the text in "n" is no JSON object: no json',
            'preprocess fails for this row: the text in "n" is no JSON object: {"type": "cut'])

    def test_a_batch_query_over_all_rows(self):
        self.declare_steps("filter: id <> 2", stream=False,
                           query="select max(id) as id, max(ts) as ts, string_agg(type order by id) as type from events")
        self.give({"id": 1, "ts": 1, "type": "a"}, {"id": 2, "ts": 2, "type": "b"}, {"id": 3, "ts": 3, "type": "c"})
        self.assertEqual(self.values("type"), ["a,c"])

    def test_other_steps_are_another_meaning(self):
        def declare(condition):
            self.declare_steps("filter: " + condition, features=(
                "{name: n, from: type, window: {functions: [count], over: [1 day]}}",))
        declare("id > 0")
        self.give({"id": 1, "ts": 1, "type": "a"})
        self.assertEqual(self.freshet("run", "steps.yaml", "--once").code, 0)
        declare("ID  >  0 -- the same")
        self.assertEqual(self.freshet("run", "steps.yaml", "--once").code, 0)
        declare("id > 1")
        finished = self.freshet("run", "steps.yaml", "--once")
        self.assertEqual(finished.code, 78)
        self.assertRegex(finished.err, r'steps.yaml:\d+:\d+: .*preprocess of reader "events" changed from '
                                       r'`filter condition id > 0` to `filter condition id > 1`')


class MistakesTest(PreprocessTest):

    def assert_problem(self, step, *texts, **how):
        self.declare_steps(step, **how)
        self.give({"id": 1, "ts": 1, "type": "a", "n": "1"})
        said = self.problems()
        for text in texts:
            self.assertIn(text, said)

    def test_columns(self):
        self.assert_problem("replace: {column: typ, values: {a: b}}", "steps.yaml:9:29: error:",
                            'there is no column "typ" before this step; did you mean "type"?')
        self.assert_problem("filter: amount > 0", "steps.yaml:9:19: error:", '"amount"')
        self.assert_problem("sql: select id, typ from events", "steps.yaml:9:", '"typ"', "type")

    def test_what_is_no_condition(self):
        self.assert_problem("filter: id + 1", "steps.yaml:9:19: error: the condition gives a value of the type bigint")
        self.assert_problem("filter: id > ", "steps.yaml:9:", "syntax error")
        self.assert_problem("filter: true) union all (select 1", "closes a bracket that it does not open")
        self.assert_problem("filter: sum(id) > 1", "steps.yaml:9:19: error:", "sum() over")
        self.assert_problem("filter: \"now()::varchar > n\"", "now() is not possible")
        self.assert_problem("filter: id in (select id from names)", "names")
        self.assert_problem("filter: {}", '"condition" is missing in "filter"')

    def test_what_is_no_select_by_rows(self):
        self.assert_problem("sql: select id, count(*) from events group by id", "steps.yaml:9:", "GROUP BY")
        self.assert_problem("sql: select * from nobody", "steps.yaml:9:", "nobody")
        self.assert_problem("sql: delete from events", "must be one SELECT")
        self.assert_problem("sql: select id, id from events", "two columns named \"id\"")

    def test_what_is_no_step(self):
        self.assert_problem("fliter: id > 0", 'steps.yaml:9:11: error: unknown option "fliter" in "step"; did you mean "filter"?')
        self.assert_problem("{}", "this step does not say its kind: add filter, replace")
        self.assert_problem("{filter: id > 0, sql: select 1}", "exclude each other")
        self.assert_problem("replace: {column: n, values: {}}", "at least one value")

    def test_what_is_no_json_column(self):
        self.assert_problem("explode_json_column: {column: id, schema: {a: bigint}}", "steps.yaml:9:41: error:",
                            'the column "id" is of the type bigint, and explode_json_column reads strings')
        self.assert_problem("explode_json_column: {column: m, schema: {a: bigint}}", 'no column "m" before this step')
        self.assert_problem("explode_json_column: {column: n}", '"schema" is missing in "explode_json_column"')

    def test_a_step_behind_a_mistake_is_not_blamed(self):
        self.declare_steps("filter: amount > 0", "filter: id + 1")
        self.give({"id": 1, "ts": 1, "type": "a", "n": "1"})
        said = self.problems()
        self.assertNotIn("steps.yaml:10:", said)

    def test_show(self):
        self.declare_steps("filter: id > 0", "replace: {column: type, values: {token: 'no secret', \"1\": x}}")
        shown = self.freshet("show", "steps.yaml")
        self.assertEqual(shown.code, 0, shown.err)
        self.assertIn("      preprocess:\n        - filter:\n            condition: id > 0\n        - replace:\n"
                      "            column: type\n            values:\n              token: no secret\n", shown.out)


if __name__ == "__main__":
    unittest.main()
