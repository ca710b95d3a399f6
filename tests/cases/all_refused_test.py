"""A run that has an end and has written nothing, though rows were refused, has failed: exit code 65, what was
refused and why. A quiet run, and one that took a row, have not."""

import unittest

from freshet_testing import Case, event, line, lines

BAD = b'{"id": "one"}\n'
HISTORY = "- history: {path: out}"


class AllRefusedTest(Case):

    def run_once(self, code, *args):
        finished = self.freshet("run", "events.yaml", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def assert_told(self, err, refused, read):
        self.assertIn(f"{refused} of {read} rows were refused (in this run: {refused} bad_cast), and no row at all was "
                      "written", err)
        self.assertIn("events.dead_letters.jsonl", err)
        self.assertIn('field "id" should be bigint, but is the string "one"', err)

    def test_batch(self):
        self.declare(stream=False, sink=HISTORY)
        self.write("in/1.jsonl", BAD * 3)
        self.assert_told(self.run_once(65), 3, 3)
        self.append("in/1.jsonl", line(event(1)))
        self.assertIn("4 rows read, 1 written, 3 dead letters", self.run_once(0))

    def test_debug(self):
        self.declare(stream=False)
        self.write("in/1.jsonl", BAD)
        self.assert_told(self.run_once(65), 1, 1)

    def test_stream_once(self):
        """Its letters are kept, and its next run goes on behind them."""
        self.declare(sink=HISTORY)
        self.write("in/1.jsonl", BAD * 2)
        self.assert_told(self.run_once(65, "--once"), 2, 2)
        self.assertIn("0 rows read", self.run_once(0, "--once"))
        self.append("in/1.jsonl", BAD + line(event(1)))
        self.run_once(0, "--once")
        self.assertEqual([letter["offset"] for letter in self.dead_letters()], [0, len(BAD), 2 * len(BAD)])

    def test_rows_that_wait_in_windows_are_taken(self):
        self.declare(sink=HISTORY, features=("{name: value, type: double, aggregate: {functions: [sum]}}",),
                     extra="", timestamp="{from: seen}")
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read().replace("sink:", "  aggregated: {windows: {over: [1 day]}}\nsink:")
        self.write("events.yaml", text)
        self.write("in/1.jsonl", BAD + line(event(1)))
        self.assertIn("0 written, 1 dead letter", self.run_once(0, "--once"))

    def test_nothing_to_read(self):
        self.declare(stream=False)
        self.write("in/1.jsonl", b"")
        self.run_once(0)

    def test_a_table_that_is_looked_up_in(self):
        """Its bad rows are letters at each start, and no reason to fail where the stream is quiet."""
        self.declare(sink=HISTORY, query="select events.* from events join dim on dim.key = events.key",
                     readers="- id: dim\n  file: {path: dim.jsonl, format: json, schema: {key: string, n: bigint}}\n")
        self.write("dim.jsonl", b'{"key": \n{"key": "k1", "n": 1}\n')
        self.write("in/1.jsonl", b"")
        self.run_once(0, "--once")
        self.append("in/1.jsonl", line(event(1)))
        self.assertIn("1 row read, 1 written, 1 dead letter", self.run_once(0, "--once"))

    def test_whole_query(self):
        self.declare(stream=False, query="select max(id) as id, key, max(seen) as seen, max(value) as value "
                     "from events group by key")
        self.write("in/1.jsonl", BAD)
        self.assert_told(self.run_once(65), 1, 1)
        self.append("in/1.jsonl", lines(0, 2))
        self.run_once(0)


if __name__ == "__main__":
    unittest.main()
