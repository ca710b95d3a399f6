# needs: kafka
"""A topic that was deleted and made anew under its name, with as many messages as were read, or more: it is known by the
last message read, whether the stream ran meanwhile or not, and its first messages are not passed over in silence."""

import glob
import json
import time
import unittest

from freshet_testing import DEADLINE
from kafka_testing import KafkaCase, messages

HISTORY = "- history: {path: out}"
READ = 100


class TopicMadeAnewTest(KafkaCase):

    def setUp(self):
        super().setUp()
        self.topic = self.kafka.topic(partitions=1)
        self.kafka.produce(self.topic, messages(0, READ))

    def declare_topic(self, **more):
        self.declare_kafka(f"topic: {self.topic}", stream=True, sink=HISTORY, extra="checkpoint: {interval: 50 ms}\n", **more)

    def make_anew(self, first, last):
        """The topic again, with other messages."""
        self.kafka.delete_topic(self.topic)
        end = time.monotonic() + DEADLINE
        while self.topic in self.kafka.admin.list_topics(timeout=DEADLINE).topics:
            self.assertLess(time.monotonic(), end)
        self.kafka.topic(self.topic, partitions=1, exactly=True)
        self.kafka.produce(self.topic, messages(first, last))

    def ids_of_history(self):
        has_files = glob.glob(self.path("out", "**", "*.parquet"), recursive=True)
        return [row["id"] for row in self.history({"id": "bigint"})] if has_files else []

    def test_while_it_was_stopped(self):
        for more in (0, 50):
            with self.subTest(more=more):
                self.setUp()
                self.declare_topic()
                self.run_once()
                self.make_anew(1000, 1000 + READ + more)
                for _ in range(2):
                    finished = self.run_once(code=78)
                    self.assertIn(f"{self.topic}/0 should go on at offset {READ}, but the message at offset {READ - 1} is "
                                  f"not the one that was read there: the topic was made anew, and the brokers have 0 to {READ + more} of it; "
                                  "say on_gap: earliest", finished.err)
                self.assertEqual(self.ids_of_history(), list(range(READ)))
                self.declare_topic(reader="on_gap: earliest")
                finished = self.run_once()
                self.assertIn("the topic was made anew", finished.err)
                both = [*range(READ), *range(1000, 1000 + READ + more)]
                self.assertEqual(self.ids_of_history(), both)
                self.assertNotIn("anew", self.run_once().err)
                self.assertEqual(self.ids_of_history(), both)

    def test_latest(self):
        self.declare_topic(reader="on_gap: latest")
        self.run_once()
        self.make_anew(1000, 1000 + READ + 7)
        self.assertIn(f"it goes on at {READ + 7}, as on_gap says", self.run_once().err)
        self.kafka.produce(self.topic, messages(5000, 5003))
        self.run_once()
        self.assertEqual(self.ids_of_history(), [*range(READ), *range(5000, 5003)])

    def test_while_it_runs(self):
        """Whatever the stream notices of it: nothing of the first messages is lost without a word."""
        for discover in ("100 ms", "1 second"):
            with self.subTest(discover=discover):
                self.setUp()
                self.declare_topic(reader=f"discover: {discover}")
                run = self.start("run", "events.yaml", "--progress", "none", "--state", f"state {discover}")
                self.until(lambda: self.kafka.committed("freshet-events", self.topic) == {0: READ}, "all are read", run)
                # it has looked at the topic some times
                self.until(lambda: json.loads(self.freshet("status", "--pipeline", "events").out)["uptime_s"] > 6,
                           "it runs a while", run)
                self.make_anew(1000, 1000 + 2 * READ)
                finished = run.wait()
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn("made anew", finished.err)

    def test_while_it_runs_from_the_first_on(self):
        self.declare_topic(reader="discover: 1 second, on_gap: earliest")
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: json.loads(self.freshet("status", "--pipeline", "events").out or "{}").get("uptime_s", 0) > 6,
                   "it runs a while", run)
        self.make_anew(1000, 1000 + 2 * READ)
        self.until(lambda: {*range(1000, 1000 + 2 * READ)} <= set(self.ids_of_history()), "the new ones are all read", run)
        self.assertIn("as on_gap says", run.err())
        run.stop()

    def test_the_same_topic_is_no_other_one(self):
        """Messages that were deleted, and a stream that stops and starts: each message once, and no word of a gap."""
        self.declare_topic(reader="discover: 100 ms")
        run = self.start("run", "events.yaml", "--progress", "none")
        self.kafka.produce(self.topic, messages(READ, READ + 20))
        self.until(lambda: len(self.ids_of_history()) == READ + 20, "they are read", run)
        self.kafka.delete_records(self.topic, 0, READ // 2)
        self.kafka.produce(self.topic, messages(READ + 20, READ + 30))
        self.until(lambda: len(self.ids_of_history()) == READ + 30, "those behind, too", run)
        self.assertNotIn("gap", run.stop().err)
        self.run_once()
        ids = self.ids_of_history()
        self.assertEqual(ids, list(range(READ + 30)))
        self.kafka.delete_records(self.topic, 0, READ + 30)  # the mark, too
        self.kafka.produce(self.topic, messages(500, 510))
        self.assertNotIn("gap", self.run_once().err)
        self.assertEqual(self.ids_of_history(), [*ids, *range(500, 510)])


if __name__ == "__main__":
    unittest.main()
