"""`macros`: SQL expressions by name, in all SQL of a declaration, batch and stream, in both dialects; their mistakes and
places; what a changed one means for the state that is there."""

import json
import unittest

from freshet_testing import Case

DECLARATION = """version: 1
pipeline: macros
DIALECT
macros:
MACROS
source:
  readers:
    - id: events
      stream: STREAM
      file: {path: in, format: json, schema: {id: bigint, ts: bigint, a: integer, b: integer, s: string}}
      preprocess:
        - filter: FILTER
  query: QUERY
feature_set:
  name: macros
  keys: [{name: id, type: bigint}]
  timestamp: {from: ts, unit: s}
  features:
FEATURES
sink: {writers: [WRITER]}
"""

TOTAL = "{name: total, from: x, filter: 'FILTER', window: {functions: [sum], over: [1 day]}}"


class MacrosTest(Case):

    def declare_macros(self, *macros, features=("{name: x, type: double, sql: a}",), stream=True, dialect="duckdb",
                       query="select * from events", filter="id > 0", writer="jsonl: {path: out.jsonl}", name="macros.yaml"):
        lines = lambda items: "\n".join("    - " + item for item in items)
        text = DECLARATION
        for word, value in (("DIALECT", "dialect: " + dialect), ("MACROS", lines(macros)), ("STREAM", str(stream).lower()),
                            ("FILTER", filter), ("QUERY", query), ("FEATURES", lines(features)), ("WRITER", writer)):
            text = text.replace(word, value, 1)
        self.write(name, text)

    def give(self, *rows, name="in/1.jsonl"):
        self.write(name, "".join(json.dumps(dict(zip(("id", "ts", "a", "b", "s"), row))) + "\n" for row in rows))

    def run_it(self, name="macros.yaml"):
        return self.freshet("run", name, "--once", "--no-serve", "--progress", "none")

    def rows(self, *columns, name="macros.yaml"):
        self.write("out.jsonl", "")
        finished = self.run_it(name)
        self.assertEqual(finished.code, 0, finished.err)
        return [tuple(row[column] for column in columns) for row in self.read_lines("out.jsonl")]

    def check(self, code=78):
        finished = self.freshet("check", "macros.yaml")
        self.assertEqual(finished.code, code, finished.err)
        return finished.err


class ValuesTest(MacrosTest):

    GIVEN = ((1, 1, 6, 3, "a"), (2, 2, 7, 0, "b"), (3, 3, -1, 2, "c"), (4, 4, 10, 4, None))

    def test_in_all_sql_by_both_dialects(self):
        """A macro stands in a step, the query, a feature and a filter, and gives what its text in their place gives."""
        self.give(*self.GIVEN)
        for dialect in ("duckdb", "spark"):
            for stream in (False, True):
                named = "share(of => b, part => a)"
                by_macro = dict(filter="is_set(a) -- is_set", query="'select *, share(a + 1, b) as q, share(share(a, 2), 4) as r from events where is_set(s)'",
                                features=('{name: x, type: double, sql: "%s * 1.0"}' % named, "{name: q, type: double}",
                                          "{name: r, type: double}", TOTAL.replace("FILTER", "is_set(share(a, b))")))
                by_hand = dict(filter="((a) is not null and (a) > 0)",
                               query="'select *, ((a + 1) / case when b <> 0 then b end) as q, (((a / 2.0)) / 4.0) as r from events where s is not null'",
                               features=("{name: x, type: double, sql: \"(a / case when b <> 0 then b end) * 1.0\"}",
                                         "{name: q, type: double}", "{name: r, type: double}",
                                         TOTAL.replace("FILTER", "a / case when b <> 0 then b end > 0")))
                macros = ("share(part, of): part / case when of <> 0 then of end",
                          "{name: is_set, parameters: [v], sql: \"coalesce(cast(v as string) > '0', false)\"}")
                columns = ("id", "x", "q", "r", "total__sum_over_1_day_fixed_windows")
                self.declare_macros(*macros, stream=stream, dialect=dialect, **by_macro)
                got = self.rows(*columns)
                self.declare_macros("one(): 1", stream=stream, dialect=dialect, name="hand.yaml", **by_hand)
                self.write("hand.yaml", self.read("hand.yaml").replace("pipeline: macros", "pipeline: hand"))
                self.assertEqual(got, self.rows(*columns, name="hand.yaml"))
                self.assertEqual(got, [(1, 2.0, 7 / 3, 0.75, 2.0), (2, None, None, 0.875, None)])
                self.remove_state()

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def remove_state(self):
        import shutil
        for name in ("macros.state", "hand.state"):
            shutil.rmtree(self.path(name), ignore_errors=True)

    def test_what_is_no_call(self):
        """Texts, comments, columns, quoted names, names behind a point: a macro takes the place of its calls alone."""
        self.give((1, 1, 6, 3, "a"))
        self.declare_macros("s(a): a + 100", "b2(x): x",
                            query="\"select e.*, 's(1)' as t, e.s as u, b2(s(e.a)) as v /* s(2) */ from events e -- s(3)\"",
                            features=("{name: t, type: string}", "{name: u, type: string}", "{name: v, type: bigint}",
                                      "{name: w, type: bigint, sql: \"s ( a ) * 2\"}",
                                      "{name: l, type: bigint, sql: \"list_sum(list_transform([1, 2], lambda x: x + s(1)))\"}"))
        self.assertEqual(self.rows("t", "u", "v", "w", "l"), [("s(1)", "a", 106, 212, 205)])

    def test_arguments_keep_together(self):
        """a * b of (1 + 2, 3 + 4) is 21, not 11; and a macro's value is one value, whatever stands around it."""
        self.give((1, 1, 6, 3, "a"))
        self.declare_macros("times(p, q): p * q", "plus(p, q): p + q", features=(
            "{name: x, type: double, sql: \"times(1 + 2, 3 + 4)\"}", "{name: y, type: double, sql: \"2 * plus(1, 2)\"}",
            "{name: z, type: double, sql: \"times(plus(1, 1), plus(a -- six\\n, 1))\"}"))
        self.assertEqual(self.rows("x", "y", "z"), [(21.0, 6.0, 14.0)])

    def test_show_and_schema(self):
        """`show` gives the text as it was written, which reads as the same declaration."""
        self.give((1, 1, 6, 3, "a"))
        self.declare_macros("times(p, q): p * q", "six(): 6", features=("{name: x, type: double, sql: \"times(six(), a)\"}",))
        shown = self.freshet("show", "macros.yaml")
        self.assertEqual(shown.code, 0, shown.err)
        self.assertIn("  - name: times\n    parameters:\n      - p\n      - q\n    sql: \"p * q\"\n", shown.out.replace("sql: p * q", 'sql: "p * q"'))
        self.assertIn("times(six(), a)", shown.out)
        self.write("again.yaml", shown.out)
        self.assertEqual(self.freshet("show", "again.yaml").out, shown.out)
        self.assertEqual(self.rows("x", name="again.yaml"), [(36.0,)])


class MistakesTest(MacrosTest):

    def test_mistakes_of_macros_and_calls(self):
        self.declare_macros(
            "in(a): a", "decimal(a): a", "loop(a): loop(a) + 1", "up(a): 1 + down(a)", "down(a): up(a)", "'a b(c)': d",
            "m1(a, A): a", "m2(1a): 3", "{m3(a, b): a}", "m4(a): a) + (1", "m5(list): list_transform(list, x -> x + 1)",
            "m5(list): list", "m6(x): list_transform([1], x -> x)", "m7(a): a; drop", "m8(a: a", "unused(a, bee): a",
            "two(a, b): a + b", "m9(): []", "{name: m10}",
            features=("{name: x, type: double, sql: two(a)}", "{name: y, type: double, sql: \"two(a, c => 2)\"}",
                      "{name: z, type: double, sql: \"two(b => 1, 2)\"}", "{name: v, type: double, sql: \"two(a => 1, a => 2)\"}",
                      "{name: w, type: double, sql: \"len(m5([x]))\"}", "{name: u, type: double, sql: \"1 + two(two(1, 2), two())\"}"))
        err = self.check()
        for says in (
                '5:7: error: a macro cannot be named "in", which is a word of SQL',
                '6:7: error: a macro cannot be named "decimal"',
                '7:16: error: the macro "loop" calls itself',
                '8:18: error: the macro "up" calls "down", which stands below it',
                '10:7: error: "name" cannot be "a b"',
                '11:13: error: the parameter "A" of the macro "m1" stands there twice',
                '12:10: error: the parameter "1a" of the macro "m2" must not begin with a digit',
                '13:8: error: an item of "macros" is one macro, as in "- divide(a, b): a / b"; between { }',
                '14:15: error: the macro "m4" is one SQL expression, and this one closes a bracket',
                '16:7: error: there is a macro "m5" above already',
                'the macro "m6" has a lambda whose own name, "x", is a parameter',
                '18:15: error: the macro "m7" is one SQL expression, and a semicolon ends none',
                '19:7: error: a macro is written as its name, its parameters in brackets and its SQL',
                '20:17: warning: the parameter "bee" of the macro "unused" does not stand in its SQL',
                '22:13: error: ',
                '23:7: error: "sql" is missing in "macro"',
                '37:36: error: the macro two(a, b) takes 2 arguments, each once and those with names last; 1 stands here',
                '38:37: error: the macro "two" has no parameter "c"',
                '39:37: error: the macro two(a, b) takes 2 arguments',
                '40:37: error: the macro two(a, b) takes 2 arguments',
                '41:45: error: the name "x" is one that a lambda in the macro "m5" gives to something else',
                '42:56: error: the macro two(a, b) takes 2 arguments, each once and those with names last; 0 stand here'):
            self.assertIn(says, err)
        self.assertNotIn("internal", err)

    def test_names_that_are_taken(self):
        self.give((1, 1, 6, 3, "a"))
        for dialect, name, code in (("duckdb", "divide", 78), ("duckdb", "Date_Format", 78), ("duckdb", "mask_write", 78),
                                    ("spark", "divide", 0), ("spark", "date_format", 78), ("spark", "Coalesce", 78)):
            self.declare_macros(name + "(p, q): p / q", dialect=dialect)
            err = self.check(code)
            if code != 0:
                self.assertIn('5:7: error: the macro "%s" has the name of a function that ' % name, err)

    def test_sql_that_is_none_called_or_not(self):
        self.give((1, 1, 6, 3, "a"))
        for dialect in ("duckdb", "spark"):
            self.declare_macros("m(p): p + * 2", dialect=dialect)
            self.assertRegex(self.check(), r'macros.yaml:5:1[79]: error: macro "m": ')

    def test_places_in_sql_with_macros(self):
        """What is wrong in an argument is shown there, what is wrong in a macro at its call, and what stands behind a call
        at its own place."""
        self.give((1, 1, 6, 3, "a"))
        for dialect in ("duckdb", "spark"):
            for sql, column in (("plus(plus(a, nothere), 1)", 50), ("1 + free(a)", 41), ("plus(plus(1, 2), 3) + nothere", 59)):
                self.declare_macros("plus(p, q): p + q", "free(p): p + nothere", dialect=dialect,
                                    features=("{name: x, type: double, sql: \"%s\"}" % sql,))
                err = self.check()
                self.assertIn("macros.yaml:20:%d: error: " % column, err)
                self.assertIn("nothere", err)

    def test_macros_that_grow_have_an_end(self):
        """Each doubles the one above it; and calls inside of calls have a limit."""
        macros = ["m0(a): a + a"] + ["m%d(a): m%d(a) + m%d(a)" % (i, i - 1, i - 1) for i in range(1, 40)]
        self.declare_macros(*macros, features=("{name: x, type: double, sql: m39(a)}",))
        self.assertIn("bytes: name a part of it", self.check())
        deep = "m0(" * 51 + "a" + ")" * 51
        self.declare_macros("m0(p): p", features=("{name: x, type: double, sql: \"%s\"}" % deep,))
        self.assertIn("50 deep, no further", self.check())


class MeaningTest(MacrosTest):

    def test_a_macro_that_changed_under_old_state(self):
        """Where a window's value is made by it the start is refused; where nothing that is kept is, it is served."""
        features = ("{name: x, type: double, sql: twice(a)}", "{name: y, type: double, sql: other(a)}",
                    "{name: total, from: x, window: {functions: [sum], over: [1 day]}}")
        self.declare_macros("twice(p): p * 2", "other(p): p", features=features)
        self.give((1, 1, 1, 1, "a"))
        self.assertEqual(self.run_it().code, 0)
        self.give((1, 2, 10, 1, "a"), name="in/2.jsonl")
        self.declare_macros("twice(p): p * 3", "other(p): p", features=features)
        finished = self.run_it()
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('feature "x"', finished.err)
        self.assertIn("a * 3", finished.err)
        self.declare_macros("twice(q): q*2", "other(p): p + 1", "more(p): p", features=features)
        self.assertEqual(self.rows("y", "total__sum_over_1_day_fixed_windows"), [(11.0, 22.0)])


if __name__ == "__main__":
    unittest.main()
