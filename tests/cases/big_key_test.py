# needs: cassandra
"""Rows that Cassandra cannot hold: keys of 64 KiB, rows of 16 MiB, times that nobody can read. Each is a dead letter, with
windows and without, at each start; the others are written, and `written` counts what the store took."""

import json
import unittest

from cassandra_testing import CassandraCase
from freshet_testing import EVENTS, event, line

LONG = 65535


class BigKeyTest(CassandraCase):

    def put_events(self, *more):
        self.write("in/a.jsonl", b"".join(line(dict(event(i), **new)) for i, new in enumerate(
            [{}, {"key": "k" * LONG}, {"key": "k" * (LONG + 1)}, {"key": "k" * 200000}, {}, *more])))

    def assert_run(self, written, refused, *args):
        finished = self.run_once("events.yaml", *args)
        self.assertIn(f"{written + refused} rows read, {written} written, {refused} refused by the store, {refused} dead letter",
                      finished.err)
        return finished

    def test_long_keys(self):
        window = "{name: n, from: id, window: {functions: [count], over: [1 day]}}"  # its keys: 16 KiB at most
        for features, written in ((("{name: id, type: bigint}",), [2, 2, LONG]), (("{name: id, type: bigint}", window), [2, 2])):
            with self.subTest(features=features):
                self.setUp()
                self.declare_store(stream=True, features=features)
                self.apply()
                self.put_events()
                finished = self.run_once()
                self.assertRegex(finished.err, f"5 rows read, {len(written)} written, .*{5 - len(written)} dead letters")
                self.assertEqual(sorted(len(row["key"]) for row in self.rows()), written)
                self.assertEqual(len(self.dead_letters(self.pipeline)), 5 - len(written))
                self.assertIn("0 rows read", self.run_once().err)

    def test_what_the_store_took_is_counted(self):
        self.declare_store(stream=False, schema={**EVENTS, "seen": "timestamp"})
        self.apply()
        self.put_events({"seen": "9999-12-31T23:59:59Z"}, {"seen": "10000-01-01T00:00:00Z"})
        self.assert_run(4, 3)
        reasons = [letter["reason"] for letter in self.dead_letters(self.pipeline)]
        self.assertEqual(sum("the partition key takes more than the 65535 bytes" in reason for reason in reasons), 2, reasons)
        self.assertEqual(sum("outside the years 1 to 9999" in reason for reason in reasons), 1, reasons)

    def test_clustering_keys(self):
        keys = "{name: key, type: string}, {name: id, type: bigint}, {name: long, type: string}"
        self.declare_store(stream=False, keys=keys, schema={**EVENTS, "long": "string"},
                           features=("{name: value, type: double}",))
        self.apply()
        self.write("in/a.jsonl", b"".join(line(dict(event(i), long="x" * n)) for i, n in enumerate([10, 65527, 65528])))
        self.assert_run(2, 1)
        (letter,) = self.dead_letters(self.pipeline)
        self.assertIn("the clustering key takes more than", letter["reason"])

    def test_a_time_to_live_beyond_2038(self):
        """Warned of; each row is a dead letter, and none counts as written."""
        self.declare_store(stream=False, writer=", ttl: 7300 days")
        self.apply()
        for args in (("check", "events.yaml"), ("run", "events.yaml", "--progress", "none")):
            finished = self.freshet(*args)
            self.assertRegex(finished.err, r'events.yaml:\d+:\d+: warning: "ttl" reaches beyond 2038-01-19, .*write at most `ttl: '
                                           r"\d+ days`")
        self.write("in/a.jsonl", b"".join(line(dict(event(i), seen="2026-11-01T00:00:00Z")) for i in range(3)))
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertIn("3 rows read, 0 written, 3 refused by the store, 3 dead letters", finished.err)
        self.assertIn("2038", json.dumps(self.dead_letters(self.pipeline)))
        self.declare_store(stream=False, writer=", ttl: 1000 days")
        self.assertNotIn("2038", self.freshet("check", "events.yaml").err)


if __name__ == "__main__":
    unittest.main()
