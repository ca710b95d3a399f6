"""`function`, `stack` and `h3`, and keys that are made: mistakes at their places, rows that fail and are replayed, events taken once,
kills, and a state that another stack has made."""

import json
import os
import shutil
import signal
import unittest

from freshet_testing import Case

DECLARATION = """version: 1
pipeline: t
source:
  readers:
    - id: e
      stream: STREAM
      file: {path: in, format: json, schema: {id: bigint, ts: bigint, id_a: bigint, id_b: bigint, x: double, s: string}}
  query: select * from e
feature_set:
  name: t
  keys: [KEY]
  timestamp: {from: ts, unit: s}
EXTRA  features:
FEATURES
sink: {writers: [{WRITER}]}
"""
STACKED = "{name: k, stack: {columns: [id_a, id_b]}}"


class TransformationsCase(Case):

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("in"))

    def declare_t(self, *features, key="{name: id, type: bigint}", stream=True, writer="jsonl: {path: out.jsonl}", extra="", tail=""):
        text = DECLARATION + tail
        for name, value in (("STREAM", str(stream).lower()), ("KEY", key), ("WRITER", writer),
                            ("EXTRA", "".join(f"  {line}\n" for line in extra.splitlines())),
                            ("FEATURES", "\n".join("    - " + feature for feature in features))):
            text = text.replace(name, value)
        self.write("t.yaml", text)

    def give(self, *rows, name="in/1.jsonl"):
        """Rows of (id, ts, id_a, id_b, x, s)."""
        names = ("id", "ts", "id_a", "id_b", "x", "s")
        self.append(name, b"".join(json.dumps(dict(zip(names, row))).encode() + b"\n" for row in rows))

    def run_t(self, code=0, verb="run", *arguments):
        finished = self.freshet(verb, "t.yaml", *(("--once",) if verb == "run" else ()), *arguments)
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def out(self, *columns):
        return [tuple(row[column] for column in columns) for row in self.read_lines("out.jsonl")]


class MistakesTest(TransformationsCase):

    def check(self, expected, *features, **named):
        self.declare_t(*features, **named)
        said = self.freshet("check", "t.yaml")
        self.assertEqual(said.code, 78, said.err)
        for text in expected:
            self.assertIn(text, said.err)
        self.assertIn(f"{len(expected)} problem", said.err)

    def test_what_columns_and_functions_are_not(self):
        self.check([
            't.yaml:14:49: error: feature "f__absx": Scalar Function with name absx does not exist! Did you mean "abs"?',
            't.yaml:14:55: error: feature "f__avg": avg() is an aggregate of many rows, and `function` has functions of one value',
            't.yaml:14:60: error: feature "f": "round(2)" is no function\'s name: what takes more than the column is written as `sql`',
            't.yaml:14:70: error: feature "f__upper": No function matches the given name and argument types',
            't.yaml:15:23: error: feature "g": there is no column "y"',
            't.yaml:16:36: error: feature "st": no column matches "id_c" (did you mean "id_a"?); the columns here are id, ts, ',
            't.yaml:16:42: error: feature "st": no column matches "ID_*"',
            't.yaml:17:36: error: feature "re": "id_[" is no regular expression: missing ]',
            't.yaml:18:27: error: feature "mixed": its columns are string, which cannot be cast to array<bigint>',
            't.yaml:19:31: error: feature "place": a coordinate is a number of degrees, and column "s" is string',
            't.yaml:19:39: error: feature "place": there is no column "lng"',
        ], "{name: f, from: x, function: {functions: [absx, avg, round(2), upper]}}",
            "{name: g, from: y, function: {functions: [abs]}}",
            "{name: st, stack: {columns: [id_c, ID_*]}}",
            "{name: re, stack: {columns: ['id_['], is_regex: true}}",
            '{name: mixed, type: "array<bigint>", stack: {columns: [s, x]}}',
            "{name: place, h3: {lat: s, lng: lng, resolutions: [6]}}")

    def test_options_that_exclude_each_other(self):
        self.check([
            't.yaml:14:7: error: "stack" and "sql" exclude each other: a feature is made in one way',
            't.yaml:15:7: error: "h3" and "from" exclude each other',
            't.yaml:16:7: error: "function" and "window" exclude each other',
            't.yaml:17:39: error: "functions" needs at least one function',
        ], "{name: a, stack: {columns: [x]}, sql: x}",
            "{name: b, from: x, h3: {lat: x, lng: x, resolutions: [6]}}",
            "{name: c, from: x, function: {functions: [abs]}, window: {functions: [avg], over: [1 day]}}",
            "{name: d, function: {functions: []}}")

    def test_what_a_key_cannot_be(self):
        self.check(['error: key "k": there is a key "lat_lng__h3_hash__6" already'], "{name: x, type: double}",
                   key="{name: j, h3: {lat: x, lng: x, resolutions: [6]}}, {name: k, h3: {lat: x, lng: x, resolutions: [6]}}")
        self.check(['t.yaml:11:52: error: key "k": its value would be an array, and a key cannot be: say its "type"'],
                   "{name: x, type: double}", key="{name: k, from: s, function: {functions: [json_keys]}}")
        self.check(['error: "resolutions" cannot have "16": resolutions of H3 are whole numbers from 0 to 15',
                    'error: the resolution 6 stands there twice: remove one'], "{name: x, type: double}",
                   key="{name: j, h3: {lat: x, lng: x, resolutions: [6, 16, 6]}}")

    def test_windows_between_stacks(self):
        self.check(['t.yaml:16:14: error: feature "w": its windows would look at the rows that feature "st" makes, but these are made '
                    'behind windows'],
                   "{name: v, from: x, window: {functions: [count], over: [1 day]}}",
                   "{name: st, stack: {columns: [id_a, id_b]}}",
                   "{name: w, from: x, window: {functions: [count], over: [1 day]}}")

    def test_too_many_rows_of_one(self):
        stacks = [f"{{name: s{i}, stack: {{columns: [id_a, id_b]}}}}" for i in range(10)]
        self.check(["t.yaml:23:36: error: feature \"s9\": a row would become more than 1000 rows"], *stacks)

    def test_a_pattern_without_a_column_beside_one_that_has_some(self):
        self.declare_t("{name: st, stack: {columns: [id_a, idb]}}")
        said = self.freshet("check", "t.yaml")
        self.assertEqual(said.code, 0, said.err)
        self.assertIn('t.yaml:14:42: warning: feature "st": no column matches "idb"', said.err)


class RowsTest(TransformationsCase):

    def test_a_row_that_fails_is_one_letter_and_is_replayed_once(self):
        """Of three rows that a record becomes the second fails; the others are there, and stay so."""
        self.declare_t("{name: st, stack: {columns: [id_a, id_b, id]}}", "{name: root, type: double, sql: sqrt(st)}")
        self.give((9, 1, 4, -25, 0, ""), (1, 2, 0, 16, 0, ""))
        err = self.run_t()
        self.assertIn("2 rows read, 5 written, 1 dead letter", err)
        (letter,) = self.dead_letters("t")
        self.assertEqual((letter["offset"], letter["copy"], letter["copies"]), (0, 3, 3))
        self.assertEqual(self.out("id", "root"), [(9, 3.0), (9, 2.0), (1, 1.0), (1, 0.0), (1, 4.0)])
        self.run_t(65, "replay")  # it fails again: the same letter
        (again,) = self.dead_letters("t")
        self.assertEqual([again[name] for name in ("offset", "copy", "copies", "reason")],
                         [letter[name] for name in ("offset", "copy", "copies", "reason")])
        self.declare_t("{name: st, stack: {columns: [id_a, id_b]}}", "{name: root, type: double, sql: sqrt(abs(st))}")
        self.assertIn("where they made 3: which of them the letter is about cannot be told", self.run_t(65, "replay"))
        self.declare_t("{name: st, stack: {columns: [id_a, id_b, id]}}", "{name: root, type: double, sql: sqrt(abs(st))}")
        self.assertIn("1 letter replayed, 1 row written", self.run_t(0, "replay"))
        self.assertEqual(self.out("id", "root")[5:], [(9, 5.0)])
        self.assertEqual(self.dead_letters("t"), [])

    def test_what_needs_no_stack_fails_once(self):
        self.declare_t("{name: st, stack: {columns: [id_a, id_b, id]}}", "{name: root, type: double, sql: sqrt(x)}")
        self.give((1, 1, 1, 2, -1, ""), (2, 1, 1, 2, 4, ""))
        self.assertIn("2 rows read, 3 written, 1 dead letter", self.run_t())
        self.assertNotIn("copy", self.dead_letters("t")[0])
        self.declare_t("{name: st, stack: {columns: [id_a, id_b, id]}}", "{name: root, type: double, sql: sqrt(abs(x))}")
        self.assertIn("1 letter replayed, 3 rows written", self.run_t(0, "replay"))

    def test_events_are_taken_once_and_late_rows_are_one_letter(self):
        """An event is a row of the query; its keys are several."""
        self.declare_t("{name: n, from: x, window: {functions: [count], over: [1 day]}}", key=STACKED,
                       extra="deduplicate: {on: [id], within: 1 hour}")
        self.give((1, 100000, 7, 8, 1, ""), (1, 100001, 7, 8, 1, ""), (2, 100002, 7, None, 1, ""), (3, 1, 7, 8, 1, ""))
        err = self.run_t()
        self.assertIn("4 rows read, 3 written, 1 repeated, 1 dead letter", err)
        self.assertEqual(self.out("k", "n__count_over_1_day_fixed_windows"), [(7, 1), (8, 1), (7, 2)])
        self.assertEqual([letter["code"] for letter in self.dead_letters("t")], ["late"])

    def test_kills(self):
        """Windows over the rows of a stack, through kill -9: what an undisturbed run gives."""
        rows = [(i, i // 5, i % 7, i % 11 or None, i / 4, "") for i in range(12000)]
        features = ("{name: n, from: x, window: {functions: [sum], over: [9 events], mode: row_windows}}",
                    "{name: m, from: x, window: {functions: [count], over: [1 minute]}}", "{name: x, type: double}")
        self.declare_t(*features, key=STACKED, tail="checkpoint: {interval: 1 ms}")
        self.give(*rows)
        self.run_t()
        expected = sorted(map(json.dumps, self.read_lines("out.jsonl")))
        self.assertGreater(len(expected), 20000)
        for made in ("out.jsonl", "in/1.jsonl"):
            os.remove(self.path(made))
        shutil.rmtree(self.path("t.state"))
        for first in range(0, len(rows), 3000):
            self.give(*rows[first:first + 3000])
            process = self.start("run", "t.yaml", "--step-rows", "100")
            process.until_checkpoints(2, "t")
            process.signal(signal.SIGKILL)
            process.process.wait()
        self.run_t()
        self.assertEqual(sorted(map(json.dumps, self.read_lines("out.jsonl"))), expected)


class StateTest(TransformationsCase):

    FEATURES = ("{name: st, type: bigint, stack: {columns: [id_a, id_b]}}",
                "{name: root, from: x, type: double, function: {functions: [abs]}}",
                "{name: n, from: root__abs, window: {functions: [sum], over: [1 day]}}")

    def test_another_stack_is_refused(self):
        self.declare_t(*self.FEATURES)
        self.give((1, 1, 1, 2, -3, ""))
        self.run_t()
        for old, new, says in (
                ("[id_a, id_b]", "[id_a, id]", 'feature "st" changed from `a row for each of column id_a, column id_b as bigint` to '
                                               '`a row for each of key id, column id_a as bigint`'),
                ("type: bigint, stack", "type: integer, stack", 'feature "st" changed from')):
            changed = [feature.replace(old, new) for feature in self.FEATURES]
            self.declare_t(*changed)
            self.assertIn(says, self.run_t(78))
        self.declare_t(*self.FEATURES[1:])
        self.assertIn('the list of stacks changed from `feature "st"` to `none`', self.run_t(78))
        self.declare_t(*self.FEATURES)
        self.give((1, 2, 1, 2, 4, ""))
        self.run_t()
        self.assertEqual(self.out("st", "n__sum_over_1_day_fixed_windows"), [(1, 3.0), (2, 6.0), (1, 10.0), (2, 14.0)])

    def test_made_keys(self):
        self.declare_t("{name: x, type: double}", key='{name: k, type: string, sql: "upper(s)"}, '
                       "{name: f, from: x, type: bigint, function: {functions: [abs]}}, "
                       "{name: c, h3: {lat: x, lng: x, resolutions: [6]}}")
        self.give((1, 1, 1, 2, -3, "ann"), (1, 1, 1, 2, -3, None))
        self.assertIn('key "k" is null', self.run_t())
        self.assertEqual(self.read_lines("out.jsonl"), [{
            "k": "ANN", "f__abs": 3, "lat_lng__h3_hash__6": "8674c5617ffffff", "timestamp": "1970-01-01T00:00:01.000000Z", "x": -3.0}])


if __name__ == "__main__":
    unittest.main()
