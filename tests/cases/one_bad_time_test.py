"""An aggregated set by days, and one row whose time is far off: a row from the future is a dead letter, in
batches too; a row from long ago does not fill the history with days: the run says what is wrong and ends."""

import json
import os

from freshet_testing import Case, line

SCHEMA = {"key": "string", "t": "bigint", "v": "double"}
DAY = 86400
NOW = 1_700_000_000 // DAY * DAY


class OneBadTimeTest(Case):

    def declare_days(self, stream, windows="over: [1 day], slide: 1 day", timestamp=""):
        self.declare(stream=stream, schema=SCHEMA, features=["{name: v, aggregate: {functions: [sum]}}"],
                     timestamp=f"{{from: t, unit: s{timestamp}}}\n  aggregated: {{windows: {{{windows}}}}}",
                     sink="- jsonl: {path: out.jsonl}")

    def feed(self, *times):
        self.append("in/0.jsonl", b"".join(line({"key": f"k{i}", "t": t, "v": 1})
                                           for i, t in enumerate(times)))

    def sums(self):
        """What the rows with events hold, by key and day; and how many rows there are."""
        rows = self.read_lines("out.jsonl")
        return {(row["key"], row["timestamp"][:10]): row["v__sum_over_1_day_rolling_windows"] for row in rows
                if row["v__sum_over_1_day_rolling_windows"] is not None}, len(rows)

    def run_it(self, code=0, *args):
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def assert_future_refused(self):
        letter, = self.dead_letters()
        self.assertEqual(json.loads(letter["raw"])["t"], NOW * 1000)
        self.assertRegex(letter["reason"], r'ahead of the clock, and "max_future" allows 1 day')

    def test_milliseconds_among_seconds_in_a_batch(self):
        self.declare_days(False)
        self.feed(NOW, NOW * 1000, NOW + DAY)
        self.run_it()
        self.assertEqual(self.sums(), ({("k0", "2023-11-15"): 1, ("k2", "2023-11-16"): 1}, 6))
        self.assert_future_refused()

    def test_milliseconds_among_seconds_on_a_stream(self):
        self.declare_days(True)
        self.feed(NOW, NOW * 1000, NOW + DAY)
        self.run_it(0, "--drain")
        self.assertEqual(self.sums(), ({("k0", "2023-11-15"): 1, ("k2", "2023-11-16"): 1}, 6))
        self.assert_future_refused()

    def test_a_row_of_1970_in_a_batch(self):
        self.declare_days(False)
        self.feed(NOW, 0)
        said = self.run_it(78)
        self.assertIn("each key would get a row for each of 19677 days at once, from 1970-01-01, the day of the "
                      "oldest row, to 2023-11-15", said)
        self.assertIn("max_days: 19677", said)
        self.assertEqual(self.read_lines("out.jsonl"), [])

    def test_a_row_of_1970_on_a_stream(self):
        """The run ends, and again, until somebody has done something: then nothing is missing."""
        self.declare_days(True)
        self.feed(0, NOW)
        for _ in range(2):
            self.assertIn("each key would get a row for each of 19", self.run_it(78, "--drain"))
        self.assertEqual(self.read_lines("out.jsonl"), [])
        self.write("in/0.jsonl", b"")
        os.remove(self.path("in/0.jsonl"))
        self.feed(NOW, NOW + DAY)
        self.run_it(0, "--drain")
        self.assertEqual(self.sums(), ({("k0", "2023-11-15"): 1, ("k1", "2023-11-16"): 1}, 6))

    def test_the_bound(self):
        """Three days are within three, and too many for two."""
        self.declare_days(False, windows="over: [1 day], slide: 1 day, max_days: 2")
        self.feed(NOW, NOW + DAY)
        self.assertIn("max_days: 3", self.run_it(78))
        self.declare_days(False, windows="over: [1 day], slide: 1 day, max_days: 3")
        self.run_it()
        self.assertEqual(self.sums(), ({("k0", "2023-11-15"): 1, ("k1", "2023-11-16"): 1}, 6))

    def test_other_slides_have_no_empty_days(self):
        self.declare_days(False, windows="over: [1 day], slide: 24 hours, max_days: 1")
        self.feed(NOW, 0)
        self.run_it()
        self.assertEqual(self.sums(), ({("k0", "2023-11-15"): 1, ("k1", "1970-01-02"): 1}, 2))

    def test_any_time_is_taken_where_that_is_said(self):
        self.declare_days(False, windows="over: [1 day], slide: 24 hours", timestamp=", max_future: 0 seconds")
        self.feed(NOW, NOW * 1000)
        self.run_it()
        self.assertEqual(self.sums()[1], 2)
        self.assertEqual(self.dead_letters(), [])

    def test_a_column_of_timestamps(self):
        """Its cells stay what they are, though the order of the rows has no such time: the letter says how far
        ahead a row is, and where any time is taken it goes out."""
        for most, n in (("", 1), (", max_future: 0 seconds", 2)):
            with self.subTest(most=most):
                self.declare(stream=True, schema=SCHEMA | {"t": "timestamp"}, timestamp="{from: t%s}" % most,
                             features=["{name: v, window: {functions: [sum], over: [1 day]}}"],
                             sink="- jsonl: {path: out%d.jsonl}" % n, pipeline=f"p{n}")
                if n == 1:
                    self.feed("2023-11-15T00:00:00Z", "2273-11-15T00:00:00Z")
                self.run_it()
                self.assertEqual([row["timestamp"][:10] for row in self.read_lines(f"out{n}.jsonl")],
                                 ["2023-11-15", "2273-11-15"][:n])
                letters = self.dead_letters(f"p{n}")
                self.assertEqual(len(letters), 2 - n)
                for letter in letters:
                    self.assertRegex(letter["reason"], 'days.* ahead of the clock, and "max_future" allows 1 day')

    def test_windows_of_streams(self):
        """There, too, a row far ahead would make all that follow late; in a batch it harms nobody."""
        for stream, n in ((True, 2), (False, 3)):
            with self.subTest(stream=stream):
                self.declare(stream=stream, schema=SCHEMA, timestamp="{from: t, unit: s}", pipeline=f"p{n}",
                             features=["{name: v, window: {functions: [sum], over: [1 day]}}"],
                             sink="- jsonl: {path: out%d.jsonl}" % n)
                if stream:
                    self.feed(NOW, NOW * 1000, NOW + DAY)
                self.run_it()
                self.assertEqual(len(self.read_lines(f"out{n}.jsonl")), n)
                self.assertEqual(len(self.dead_letters(f"p{n}")), 3 - n)
