# needs: kafka
"""While a stream catches up, messages of all partitions come in the order of their times, however unevenly they are
spread: its history is the batch's. `freshet status` names a partition that windows wait for."""

import json
import unittest

from kafka_testing import KafkaCase

START = 1704067200
COLUMNS = {"id": "bigint", "n__count_over_1_hour_fixed_windows": "bigint",
           "l__collect_list_over_3_events_row_windows": "array<bigint>"}
WINDOWS = ("{name: id, type: bigint}", "{name: n, from: id, window: {functions: [count], over: [1 hour]}}",
           "{name: l, from: id, window: {functions: [collect_list], over: [3 events], mode: row_windows}}")
SCHEMA = {"id": "bigint", "key": "string", "at": "bigint"}



class KafkaPartitionsOrderTest(KafkaCase):

    def topic_of(self, counts, padding=0):
        """Each partition has so many messages, evenly over the same 80,000 seconds; the keys are in all of them."""
        topic = self.kafka.topic(partitions=len(counts))
        messages, number = [], 0
        for partition, n in enumerate(counts):
            for i in range(n):
                at = START + 80000 * i // n
                at += (partition - at) % len(counts)  # no two partitions have the same second
                messages.append({"partition": partition, "value": json.dumps(
                    {"id": number, "key": f"k{i % 2}", "at": at, "padding": "x" * padding})})
                number += 1
        self.kafka.produce(topic, messages)
        return topic

    def declare_topic(self, topic, stream, folder, more=""):
        self.declare_kafka(f"topic: {topic}", stream=stream, schema=SCHEMA, timestamp="{from: at}", features=WINDOWS,
                           sink=f"- history: {{path: {folder}}}", reader=more)

    def assert_stream_is_batch(self, topic, n, more=""):
        self.declare_topic(topic, False, "batch", more)
        self.run_once()
        self.declare_topic(topic, True, "stream", more)
        self.run_once()
        batch, stream = self.history(COLUMNS, "batch"), self.history(COLUMNS, "stream")
        self.assertEqual(len(batch), n)
        self.assertEqual(batch, stream)
        self.assertEqual(self.dead_letters(), [])
        seen = {"k0": [], "k1": []}
        for row in sorted(batch, key=lambda row: row["timestamp"]):
            seen[row["key"]].append((row["timestamp"], row["id"]))
            self.assertEqual(row["l__collect_list_over_3_events_row_windows"],
                             [id for _, id in seen[row["key"]][-3:]])

    def test_uneven_partitions(self):
        self.assert_stream_is_batch(self.topic_of([20000, 300, 4000, 1]), 24301)

    def test_little_memory(self):
        """What was fetched ahead of one partition does not fit: it is paused, and fetched again."""
        self.assert_stream_is_batch(self.topic_of([6000, 2000, 5000], padding=600), 13000, "memory: 1 MiB")

    def test_a_running_stream(self):
        """It catches up in order, and then gives each message at once, though other partitions are silent."""
        topic = self.topic_of([3000, 10, 500])
        self.declare_kafka(f"topic: {topic}", stream=True, schema=SCHEMA, timestamp="{from: at, idle: 1 hour}",
                           features=WINDOWS)
        run = self.start_run("events.yaml")
        self.until_count(3510, run)
        rows = self.query("select timestamp from online_feature_store__events")
        times = [row["timestamp"] for row in rows]
        self.assertEqual(times, sorted(times))
        for i in range(3):
            self.kafka.produce(topic, [{"partition": 1, "value": json.dumps(
                {"id": 10000 + i, "key": "k0", "at": START + 90000 + i})}])
            self.until_count(3511 + i, run)
        run.stop()

    def test_who_is_waited_for(self):
        topic = self.topic_of([3, 3])
        self.declare_kafka(f"topic: {topic}", stream=True, schema=SCHEMA,
                           timestamp="{from: at, lateness: 0 seconds, idle: 1 hour}",
                           features=("{name: n, from: id, aggregate: {functions: [count]}}",),
                           extra="")
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("events.yaml", text.replace(
            "sink:\n", "  aggregated: {windows: {over: [1 hour], slide: 1 hour}}\nsink:\n", 1))
        run = self.start_run("events.yaml")
        self.kafka.produce(topic, [{"partition": 1, "value": json.dumps(
            {"id": 100, "key": "k0", "at": START + 200000})}])

        def waits_for():
            finished = self.freshet("status", "--pipeline", "events")
            return json.loads(finished.out)["waits_for"] or ""
        self.until(lambda: f"{topic}/0 (reader events)" in waits_for(), "the partition is named", run)
        run.stop()


if __name__ == "__main__":
    unittest.main()
