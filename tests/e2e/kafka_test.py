# needs: kafka
"""The reader `kafka` against a real broker: where it begins, ends and goes on; topics and partitions that come; columns,
formats, and what becomes of messages that do not fit. What goes wrong is in kafka_trouble_test.py, who is killed in
kafka_broker_test.py and kafka_kill_test.py."""

import json
import os
import re
import textwrap
import threading
import time
import unittest

from confluent_kafka import Producer

from freshet_testing import DEADLINE, SOURCE, event, patient
from kafka_testing import FEATURES, PLACE, KafkaCase, kcat, message, messages

FAST = "checkpoint: {interval: 20 ms}\n"
SOON = "discover: 100 ms"
HISTORY = "- history: {path: out}"


class PlacesTest(KafkaCase):

    def test_batch_ends_where_the_topic_ended(self):
        """A batch ends though messages keep coming: of each partition a beginning, without a gap."""
        topic = self.kafka.topic(partitions=3)
        self.declare_kafka(f"topic: {topic}", features=FEATURES + PLACE)
        self.assertEqual(self.rows(), [])
        self.kafka.produce(topic, messages(0, 2000))
        before = self.kafka.ends(topic)
        stop = threading.Event()
        sent = [2000]

        def feed():
            producer = Producer(self.kafka.properties(linger_ms=1))
            while not stop.is_set():
                producer.produce(topic, **message(sent[0]))
                sent[0] += 1
                if sent[0] % 20 == 0:
                    producer.poll(0.005)
            producer.flush(DEADLINE)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            rows = self.rows()
        finally:
            stop.set()
            feeder.join()
        self.assertGreater(sent[0], 2000)
        for partition, end in before.items():
            offsets = sorted(row["offset"] for row in rows if row["partition"] == partition)
            self.assertEqual(offsets, list(range(len(offsets))))
            self.assertGreaterEqual(len(offsets), end)
        self.assertLess(len(rows), sum(self.kafka.ends(topic).values()))
        stored = {(m.partition(), m.offset()): json.loads(m.value()) for m in self.kafka.consume(topic)}
        for row in rows:
            sent_event = stored[row["partition"], row["offset"]]
            self.assertEqual((row["id"], row["key"], row["value"]),
                             (sent_event["id"], sent_event["key"], sent_event["value"]))

    def test_start(self):
        now = int(time.time() * 1000)
        old = 1704067200000  # 2024-01-01
        topic = self.kafka.topic(partitions=1, message_timestamp_before_max_ms=10 ** 15)
        self.kafka.produce(topic, [message(i, timestamp=old + i * 1000) for i in range(10)])
        self.kafka.produce(topic, [message(i, timestamp=now - 4000000 + i) for i in range(10, 15)])
        self.kafka.produce(topic, [message(i, timestamp=now - 2000000 + i) for i in range(15, 18)])
        for start, first in (("earliest", 0), ("latest", 18), ('"2024-01-01 00:00:05"', 5), ('"2024-01-01T00:00:05.001Z"', 6),
                             ('"-1 hour"', 15), ('"-1 minute"', 18)):
            with self.subTest(start=start):
                self.declare_kafka(f"topic: {topic}", reader=f"start: {start}")
                self.assertEqual(self.ids(), list(range(first, 18)))

    def test_stream_from_latest(self):
        topic = self.kafka.topic(partitions=2)
        self.kafka.produce(topic, messages(0, 50))
        self.declare_kafka(f"topic: {topic}", stream=True, reader="start: latest")
        run = self.start_run("events.yaml")
        self.until(lambda: "reads 2 partitions" in run.err(), "it reads", run)
        self.kafka.produce(topic, messages(50, 80))
        self.until_count(30, run)
        self.assert_ids(range(50, 80))
        run.stop()

    def test_restarts_go_on_exactly(self):
        """Neither `start` nor what others commit for the group has a say once there is a checkpoint."""
        topic = self.kafka.topic(partitions=3)
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY)
        self.kafka.produce(topic, messages(0, 500))
        self.run_once()
        self.kafka.produce(topic, messages(500, 800))
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY, reader="start: latest")
        self.assertIn("goes on from checkpoint", self.run_once().err)
        self.run_once()
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: "reads 3 partitions" in run.err(), "it reads", run)
        self.kafka.produce(topic, messages(800, 900))
        group = "freshet-events"
        self.until(lambda: sum(self.kafka.committed(group, topic).values()) == 900, "the group has them", run)
        run.stop()
        self.run_once()
        rows = self.history({"id": "bigint", "value": "double"})
        self.assertEqual([row["id"] for row in rows], list(range(900)))
        self.assertEqual([row["value"] for row in rows], [event(i)["value"] for i in range(900)])

    def test_stream_behind_a_batch(self):
        """A batch over the topic leaves a checkpoint, and the stream goes on behind it: the rows, and the windows, of one stream."""
        topic = self.kafka.topic(partitions=3)
        windows = ("{name: id, type: bigint}", "{name: v, from: value, type: double, window: {functions: [count, sum], over: [5 minutes]}}")

        def run(stream, sink, *args):
            self.declare_kafka(f"topic: {topic}", stream=stream, features=windows, timestamp="{from: seen, lateness: 1 minute}",
                               sink=f"- history: {{path: {sink}}}", extra=f"state: {{path: {sink}.state}}\n")
            finished = self.freshet("run", "events.yaml", "--progress", "none", "--no-serve", *args)
            self.assertEqual(finished.code, 0, finished.err)
            return finished.err

        def found(folder):
            return self.history({"id": "bigint", "v__count_over_5_minutes_fixed_windows": "bigint",
                                 "v__sum_over_5_minutes_fixed_windows": "double"}, folder)

        self.kafka.produce(topic, messages(0, 900))
        self.assertIn("left checkpoint", run(False, "out"))
        run(True, "whole", "--once")
        self.kafka.produce(topic, messages(900, 1300))
        self.assertIn("goes on from checkpoint", run(True, "out", "--once"))
        run(True, "whole", "--once")
        rows = found("out")
        self.assertEqual([row["id"] for row in rows], list(range(1300)))
        self.assertEqual(rows, found("whole"))
        self.assertGreater(rows[950]["v__count_over_5_minutes_fixed_windows"], 40)

    def test_bootstrap(self):
        """The past from files, then the topic: from a time, from offsets, and with rows that stand in both; killed in between."""
        topic = self.kafka.topic(partitions=2)
        base = 1704067200000  # the events' time
        sent = [message(i, timestamp=base + i * 1000, partition=i % 2) for i in range(400, 1000)]
        with open(self.write("dump/a.jsonl", ""), "w", encoding="utf-8") as file:
            for i in self.rng.sample(range(500), 500):
                file.write(json.dumps(event(i)) + "\n")
        self.kafka.produce(topic, sent)
        windows = ("{name: id, type: bigint}", "{name: v, from: value, type: double, window: {functions: [count, sum], over: [5 minutes]}}")
        columns = {"id": "bigint", "v__count_over_5_minutes_fixed_windows": "bigint", "v__sum_over_5_minutes_fixed_windows": "double"}

        def run(name, past, reader="", kill=False):
            more = f"      bootstrap: {{file: {{path: \"dump/*.jsonl\"}}{past}}}\n"
            self.declare_kafka(f"topic: {topic}", stream=True, features=windows, timestamp="{from: seen, lateness: 1 minute}",
                               sink=f"- history: {{path: {name}}}", reader=reader, id_extra=more, extra=f"state: {{path: {name}.state}}\n" + FAST)
            for _ in range(4 if kill else 0):
                started = self.start("run", "events.yaml", "--no-serve", "--step-rows", "10")
                end = time.monotonic() + self.rng.uniform(0.05, 0.8)
                while started.is_running() and time.monotonic() < end:
                    time.sleep(0.002)
                started.end()
            return self.run_once("--no-serve").err

        for name, past, reader in (("time", f", until: \"{event(450)['seen']}\"", ""), ("offsets", ", offsets: {0: 50, 1: 50}", ""),
                                   ("same", ", same: [id]", ""), ("killed", ", same: [id]", "start: earliest")):
            with self.subTest(name=name):
                run(name, past, reader, kill=name == "killed")
                rows = self.history(columns, name)
                self.assertEqual([row["id"] for row in rows], list(range(1000)))
                for i in (10, 449, 505, 999):
                    values = [event(k)["value"] for k in range(max(0, i - 300), i + 1) if event(k)["key"] == event(i)["key"]]
                    self.assertEqual((rows[i]["v__count_over_5_minutes_fixed_windows"], rows[i]["v__sum_over_5_minutes_fixed_windows"]),
                                     (len(values), sum(values)), i)

    def test_group_offsets(self):
        """Those of a declared group, after checkpoints, as a client of Kafka sees them."""
        topic = self.kafka.topic(partitions=2)
        group = f"watched-{topic}"
        self.kafka.produce(topic, [message(i, partition=i % 2) for i in range(101)])
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY, extra=FAST, reader=f"group: {group}")
        self.run_once()
        self.assertEqual(self.kafka.committed(group, topic), {0: 51, 1: 50})
        run = self.start("run", "events.yaml", "--progress", "none")
        self.kafka.produce(topic, [message(i, partition=0) for i in range(101, 110)])
        self.until(lambda: self.kafka.committed(group, topic) == {0: 60, 1: 50}, "the group has the rest", run)
        run.stop()

    def test_committed_transactions_only(self):
        topic = self.kafka.topic(partitions=1)
        producer = Producer(self.kafka.properties(transactional_id=topic))
        producer.init_transactions(DEADLINE)
        for first, commits in ((0, True), (10, False), (20, True), (30, False)):
            producer.begin_transaction()
            for i in range(first, first + 10):
                producer.produce(topic, **message(i))
            producer.flush(DEADLINE)
            if commits:
                producer.commit_transaction(DEADLINE)
            else:
                producer.abort_transaction(DEADLINE)
        committed = [*range(0, 10), *range(20, 30)]
        self.declare_kafka(f"topic: {topic}")
        self.assertEqual(self.ids(), committed)
        self.declare_kafka(f"topic: {topic}", reader="options: {isolation.level: read_uncommitted}")
        self.assertEqual(self.ids(), list(range(40)))
        # a stream goes on behind the marks that end transactions, which have offsets too
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY)
        self.run_once()
        self.run_once()
        producer.begin_transaction()
        producer.produce(topic, **message(40))
        producer.flush(DEADLINE)
        self.run_once()
        producer.commit_transaction(DEADLINE)
        self.run_once()
        self.assertEqual([row["id"] for row in self.history({"id": "bigint"})], committed + [40])


class TopicsTest(KafkaCase):

    def test_several(self):
        topics = [self.kafka.topic(f"several{i}", partitions=2) for i in range(3)]
        for i, topic in enumerate(topics):
            self.kafka.produce(topic, messages(100 * i, 100 * i + 100))
        features = FEATURES + ("{name: topic, type: string, sql: kafka_metadata.topic}",)
        self.declare_kafka(f"topics: [{topics[0]}, {topics[2]}]", features=features)
        rows = self.rows()
        self.assertEqual([(row["id"], row["topic"]) for row in rows],
                         [(i, topics[i // 100]) for i in [*range(100), *range(200, 300)]])

    def test_topics_and_partitions_that_come(self):
        """Those that come while it runs, or while it does not, are read from their beginning."""
        first = self.kafka.topic("matching", partitions=1)
        prefix = first.rpartition("_")[0]
        other = self.kafka.topic("other", partitions=1)
        self.kafka.produce(other, messages(0, 10))
        self.kafka.produce(first, messages(0, 10))
        self.declare_kafka(f'pattern: "^{prefix}_[0-9]+$"', stream=True, sink=HISTORY, extra=FAST,
                           reader=SOON + ", start: latest")
        run = self.start("run", "events.yaml", "--progress", "none")
        group = "freshet-events"
        self.until(lambda: "reads 1 partition " in run.err(), "it reads", run)
        self.kafka.add_partitions(first, 3)
        self.until(lambda: len(self.kafka.partitions(first)) == 3, "three partitions")
        self.kafka.produce(first, [message(i, partition=i % 3) for i in range(10, 40)])
        self.until(lambda: sum(self.kafka.committed(group, first).values()) == 40, "new partitions are read", run)
        second = self.kafka.topic("matching", partitions=2)
        self.assertTrue(second.startswith(prefix))
        self.kafka.produce(second, messages(40, 60))
        self.until(lambda: sum(self.kafka.committed(group, second).values()) == 20, "the new topic is read", run)
        run.stop()
        self.kafka.add_partitions(second, 3)
        self.until(lambda: len(self.kafka.partitions(second)) == 3, "three partitions")
        self.kafka.produce(second, [message(i, partition=2) for i in range(60, 70)])
        third = self.kafka.topic("matching", partitions=1)
        self.kafka.produce(third, messages(70, 80))
        self.run_once()
        self.assertEqual([row["id"] for row in self.history({"id": "bigint"})], list(range(10, 80)))

    def test_keys_in_several_partitions(self):
        """It is said, once, where a producer spreads a key over partitions: their rows have no certain order."""
        warning = "rows of one key come from different partitions"
        for spread in (False, True):
            topic = self.kafka.topic(partitions=2)
            self.kafka.produce(topic, [message(i, partition=i % 2 if spread else i % 7 % 2) for i in range(100)])
            self.declare_kafka(f"topic: {topic}", stream=True)
            self.assertEqual(self.run_once().err.count(warning), int(spread))

    def test_pattern_that_matches_nothing_yet(self):
        self.declare_kafka('pattern: "^nobody_makes_this_[0-9]+$"', reader=f"connect_timeout: {patient(2)}")
        self.assertEqual(self.rows(), [])


class JoinTest(KafkaCase):

    def declare_two(self, events, other, query, streams):
        reader = f"brokers: \"{self.kafka.brokers}\", value: {{schema: {{"
        self.write("events.yaml", f"""\
version: 1
pipeline: events
source:
  readers:
    - id: events
      stream: true
      kafka: {{topic: {events}, {reader}id: bigint, key: string, seen: timestamp, value: double}}}}}}
    - id: other
      stream: {"true" if streams else "false"}
      kafka: {{topic: {other}, {reader}id: bigint, key: string, seen: timestamp, value: double, name: string}}}}}}
  query: {query}
feature_set:
  name: events
  entity: key
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen}}
  features: [{{name: id, type: bigint}}, {{name: name, type: string}}]
sink:
  writers:
    {HISTORY}
""")

    def ids_and_names(self):
        return [(row["id"], row["name"]) for row in self.history({"id": "bigint", "name": "string"})]

    def test_with_a_topic_that_is_a_table(self):
        """A stream joined with what another topic holds at the start."""
        events, names = self.kafka.topic("events", partitions=2), self.kafka.topic("names", partitions=2)
        self.kafka.produce(names, [json.dumps({"key": f"k{i}", "name": f"number {i}"}) for i in range(5)])
        self.kafka.produce(events, messages(0, 100))
        self.declare_two(events, names, "select e.*, o.name from events e left join other o on o.key = e.key", False)
        expected = [(i, f"number {i % 7}" if i % 7 < 5 else None) for i in range(100)]
        self.run_once()
        self.assertEqual(self.ids_and_names(), expected)
        self.kafka.produce(events, messages(100, 107))
        self.kafka.produce(names, [json.dumps({"key": "k6", "name": "late"})])
        self.run_once()
        expected += [(i, "late" if i % 7 == 6 else f"number {i % 7}" if i % 7 < 5 else None) for i in range(100, 107)]
        self.assertEqual(self.ids_and_names(), expected)

    def test_two_streams(self):
        one, other = self.kafka.topic("one", partitions=2), self.kafka.topic("other", partitions=3)
        self.declare_two(one, other, "select id, key, seen, 'one' as name from events union all "
                                     "select id, key, seen, 'other' as name from other", True)
        expected = []
        for first in (0, 200):
            self.kafka.produce(one, messages(first, first + 100))
            self.kafka.produce(other, messages(first + 100, first + 200))
            expected += [(i, "one" if i % 200 < 100 else "other") for i in range(first, first + 200)]
            self.run_once()
            self.assertEqual(self.ids_and_names(), expected)


class ColumnsTest(KafkaCase):

    def test_metadata_key_headers(self):
        topic = self.kafka.topic(partitions=3)
        headers = [("trace", b"a1"), ("trace", b"\xff\x00"), ("none", None), ("quoted", '"é"'.encode())]
        self.kafka.produce(topic, [
            {"value": '{"id": 1}', "key": "k one", "partition": 2, "timestamp": 1704067200123, "headers": headers},
            {"value": '{"id": 2, "more": "\xe9"}', "partition": 0, "timestamp": 1704067201000},
            {"value": '{"id": 3}', "key": b"\xff\xfe", "partition": 0, "timestamp": 1704067202000, "headers": []}])
        query = ("select id, coalesce(key, 'none') as k, headers, kafka_metadata as m, "
                 "kafka_metadata.timestamp as seen from events")
        self.declare_kafka(f"topic: {topic}", value="{format: json, schema: {id: bigint}}", query=query,
                           reader="headers: true, key: {format: raw}", id_extra='      on_cast_error: "null"\n',
                           keys="{name: k, type: string}",
                           features=("{name: id, type: bigint}", "{name: headers, type: string}",
                                     *(f"{{name: m_{name}, type: {kind}, sql: m.{name}}}" for name, kind in (
                                         ("key", "string"), ("topic", "string"), ("value", "string"),
                                         ("partition", "integer"), ("offset", "bigint"), ("timestamp", "timestamp"),
                                         ("timestampType", "integer")))))
        rows = self.rows()
        told = {m.offset() + 10 * m.partition(): m for m in self.kafka.consume(topic)}
        self.assertEqual(len(rows), len(told))
        for row in rows:
            found = told[row["m_offset"] + 10 * row["m_partition"]]
            self.assertEqual(row["id"], json.loads(found.value())["id"])
            self.assertEqual(row["m_value"], found.value().decode())
            self.assertEqual(row["m_topic"], topic)
            self.assertEqual(row["m_timestampType"], 0)
            self.assertIn(f"2024-01-01 00:00:0{row['id'] - 1 if row['id'] > 1 else 0}", row["m_timestamp"].replace("T", " "))
        self.assertEqual([row["k"] for row in rows][:2], ["k one", "none"])
        self.assertEqual([row["m_key"] for row in rows], ["k one", None, "\ufffd\ufffd"])
        self.assertEqual(json.loads(rows[0]["headers"]), [
            {"key": "trace", "value": "a1"}, {"key": "trace", "base64": "/wA="}, {"key": "none", "value": None},
            {"key": "quoted", "value": '"é"'}])
        self.assertEqual([row["headers"] for row in rows][1:], [None, None])

    def test_steps_of_the_reader(self):
        """`preprocess` over a topic, with Kafka's own columns: batch and stream alike, through a restart and a kill; a letter has its place."""
        topic = self.kafka.topic(partitions=2)
        steps = ("filter: kind <> 'noise'", "explode_json_column: {column: payload, schema: {temp: double}}",
                 "forward_fill: {partition_by: [key], order_by: seen, column: temp, into: filled}",
                 "sql: \"select *, kafka_metadata.partition as part, key || '!' as called from events\"")
        records, last, expected = [], {}, []
        for i in range(400):
            record = {**event(i), "kind": self.rng.choice(("use", "noise"))}
            value = self.rng.choice((None, i / 2))
            record["payload"] = json.dumps({"temp": value})
            records.append({"value": json.dumps(record), "key": record["key"], "partition": i % 7 % 2})
            if record["kind"] == "use":
                last[record["key"]] = last.get(record["key"]) if value is None else value
                expected.append((i, last[record["key"]], i % 7 % 2, record["key"] + "!"))
        bad = {**event(400), "kind": "use", "payload": "no json"}
        columns = {"id": "bigint", "filled": "double", "part": "integer", "called": "string"}

        def declare(stream, folder):
            self.declare_kafka(f"topic: {topic}", stream=stream, sink=f"- history: {{path: {folder}}}",
                               id_extra="      preprocess:\n" + "".join(f"        - {step}\n" for step in steps),
                               schema={"id": "bigint", "key": "string", "seen": "timestamp", "kind": "string", "payload": "string"},
                               features=[f"{{name: {name}, type: {kind}}}" for name, kind in columns.items()],
                               extra="checkpoint: {interval: 20 ms}\n" if stream else "")

        def found(folder):
            return [(row["id"], row["filled"], row["part"], row["called"]) for row in self.history(columns, folder)]

        declare(True, "out")
        self.kafka.produce(topic, records[:150])
        self.run_once()
        run = self.start("run", "events.yaml", "--progress", "none")
        self.kafka.produce(topic, records[150:300])
        run.until_checkpoints(1)
        run.process.kill()
        run.process.wait()
        self.kafka.produce(topic, records[300:] + [{"value": json.dumps(bad), "key": bad["key"], "partition": 1}])
        self.run_once()
        self.assertEqual(found("out"), expected)
        letter, = self.dead_letters()
        self.assertEqual((letter["partition"], json.loads(letter["raw"])["id"]), (f"{topic}/1", 400), letter)
        declare(False, "batch")
        self.good("run", "events.yaml", "--progress", "none")
        self.assertEqual(found("batch"), expected)

    def test_key_with_a_schema(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, [{"value": '{"id": 1}', "key": '{"shop": 7}'}, {"value": '{"id": 2}', "key": '{"shop": "x"}'},
                                   {"value": '{"id": 3}'}, {"value": '{"id": 4}', "key": '{"shop": 9}'}])
        self.declare_kafka(f"topic: {topic}", value="{format: json, schema: {id: bigint}}",
                           reader="key: {format: json, schema: {shop: bigint}}",
                           query="select id, coalesce(key.shop, -1) as shop, kafka_metadata.timestamp as seen from events",
                           keys="{name: shop, type: bigint}", features=("{name: id, type: bigint}",))
        self.assertEqual([(row["id"], row["shop"]) for row in self.rows()], [(1, 7), (3, -1), (4, 9)])
        letter, = self.dead_letters()
        self.assertEqual((letter["partition"], letter["offset"]), (f"{topic}/0", 1))
        self.assertTrue(letter["reason"].startswith("the key: "), letter)

    def test_dead_letters_are_replayed(self):
        """A letter keeps the message's key and time, so that its row is what it would have been; a message whose headers
        are asked for is told to be read again."""
        topic = self.kafka.topic(partitions=2)
        self.kafka.produce(topic, [dict(value=json.dumps({"id": i, "value": i / 2}), key="k%d" % (i % 3) if i % 5 else None,
                                        partition=i % 2, timestamp=1714521600000 + i * 1000) for i in range(12)])
        query = ("select id, coalesce(key, 'none') as key, value, kafka_metadata.timestamp as seen, kafka_metadata.topic || "
                 "kafka_metadata.partition || '@' || kafka_metadata.offset as place, kafka_metadata.key as m_key, "
                 "kafka_metadata.timestampType as kind from events")
        named = dict(stream=True, query=query, sink="- jsonl: {path: out.jsonl}", features=(
            "{name: id, type: bigint}", "{name: value, type: double}", "{name: place, type: string}", "{name: m_key, type: string}",
            "{name: kind, type: integer}"))
        wide = "{format: json, schema: {id: bigint, value: double}}"
        self.declare_kafka(f"topic: {topic}", value=wide, reader="key: {format: raw}", **named)
        self.run_once("--state", self.path("other"))
        expected = sorted(self.read_lines("out.jsonl"), key=lambda row: row["id"])
        self.assertEqual(len(expected), 12)
        os.unlink(self.path("out.jsonl"))
        self.declare_kafka(f"topic: {topic}", value=wide.replace("double", "integer"), reader="key: {format: raw}", **named)
        self.run_once()
        self.assertEqual(len(self.dead_letters()), 6)
        self.declare_kafka(f"topic: {topic}", value=wide, reader="key: {format: raw}, headers: true",
                           **dict(named, query=query.replace("id,", "id, headers,", 1)))
        finished = self.freshet("replay", "events.yaml")
        self.assertEqual(finished.code, 65, finished.err)
        self.assertIn("has not kept the message's headers", finished.err)
        self.assertEqual(len(self.dead_letters()), 6)
        self.declare_kafka(f"topic: {topic}", value=wide, reader="key: {format: raw}", **named)
        self.good("replay", "events.yaml")
        self.assertEqual(sorted(self.read_lines("out.jsonl"), key=lambda row: row["id"]), expected)
        self.assertEqual(self.dead_letters(), [])

    def declare_values(self, topic, value, reader="", id_extra=""):
        """A declaration whose rows are the columns of the value, by the messages' offsets."""
        schema = value.partition("schema: {")[2].partition("}")[0]
        names = [pair.split(":")[0].strip() for pair in schema.split(",")] if schema else ["value"]
        columns = "to_json({" + ", ".join(f"'{name}': {name}" for name in names) + "})::varchar"
        self.declare_kafka(f"topic: {topic}", value=value, reader=reader, id_extra=id_extra,
                           query="select 'k' as key, kafka_metadata.offset as id, kafka_metadata.timestamp as seen, "
                                 f"{columns} as got from events", features=("{name: id, type: bigint}", "{name: got, type: string}"))

    def values(self, topic, value, reader="", id_extra=""):
        """{offset: the value's columns} and {offset: reason of the dead letter}, of one run."""
        self.declare_values(topic, value, reader, id_extra)
        rows = {row["id"]: json.loads(row["got"]) for row in self.rows()}
        letters = self.dead_letters()
        for letter in letters:
            self.assertEqual((letter["reader"], letter["partition"]), ("events", f"{topic}/0"))
        return rows, {letter["offset"]: letter["reason"] for letter in letters}

    def test_json(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, ['{"a": 1, "b": "x"}', '{"a": 2}', '{"a": 3, "b": "y", "c": [1, {"d": 2}]}', '{"a": "many"}',
                                   '{"a": 4, "b"', "", '[1]', {"value": None, "key": "gone"}, b"\xff\xfe", '{"b": "z", "a": 5}'])
        json_value = "{format: json, schema: {a: bigint, b: string}"
        rows, letters = self.values(topic, json_value + "}")
        good = {0: {"a": 1, "b": "x"}, 1: {"a": 2, "b": None}, 2: {"a": 3, "b": "y"}, 9: {"a": 5, "b": "z"}}
        self.assertEqual(rows, good)
        self.assertEqual(sorted(letters), [3, 4, 5, 6, 8])
        self.assertIn("a", letters[3])
        rows, letters = self.values(topic, json_value + ", strict: true}")
        self.assertEqual(rows, {offset: good[offset] for offset in (0, 9)})
        self.assertEqual(sorted(letters), [1, 2, 3, 4, 5, 6, 8])
        rows, letters = self.values(topic, json_value + "}", reader='tombstones: "null"',
                                    id_extra='      on_cast_error: "null"\n')
        self.assertEqual(rows, {**good, 3: {"a": None, "b": None}, 7: {"a": None, "b": None}})
        self.assertEqual(sorted(letters), [4, 5, 6, 8])

    def test_raw_and_csv(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, ["plain", "", b"\xff\xfe", "1,two", '2,"a, ""b"""', "3,", "x,y", "1,2,3", {"value": None}])
        rows, letters = self.values(topic, "{format: raw}")
        self.assertEqual({offset: row["value"] for offset, row in rows.items()},
                         {0: "plain", 1: "", 3: "1,two", 4: '2,"a, ""b"""', 5: "3,", 6: "x,y", 7: "1,2,3"})
        self.assertEqual(list(letters), [2])
        rows, letters = self.values(topic, "{format: csv, schema: {n: integer, s: string}}")
        self.assertEqual(rows, {3: {"n": 1, "s": "two"}, 4: {"n": 2, "s": 'a, "b"'}, 5: {"n": 3, "s": None}})
        self.assertEqual(sorted(letters), [0, 1, 2, 6, 7])
        self.declare_kafka(f"topic: {topic}", value="{format: raw, type: binary}",
                           query="select 'k' as key, kafka_metadata.offset as id, kafka_metadata.timestamp as seen, "
                                 "hex(value) as got from events",
                           features=("{name: id, type: bigint}", "{name: got, type: string}"))
        self.assertEqual([row["got"] for row in self.rows()][:3], ["plain".encode().hex().upper(), "", "FFFE"])

    def test_large_messages(self):
        topic = self.kafka.topic(partitions=1, max_message_bytes=20 << 20)
        large = json.dumps(dict(event(0), more="x" * 10_000_000, key="large"))
        self.kafka.produce(topic, [large, message(1)], message_max_bytes=16 << 20)
        features = FEATURES + ("{name: length, type: bigint, sql: length(more)}",)
        schema = {"id": "bigint", "key": "string", "seen": "timestamp", "value": "double", "more": "string"}
        for memory in ("64 MiB", "1 MiB"):
            self.declare_kafka(f"topic: {topic}", schema=schema, features=features, reader=f"memory: {memory}",
                               query="select id, key, seen, value, more from events")
            self.assertEqual([(row["id"], row["length"]) for row in self.rows()], [(0, 10_000_000), (1, None)])
        self.assertEqual(self.dead_letters(), [])
        self.declare_kafka(f"topic: {topic}", reader="max_message_bytes: 9 MiB")
        self.assertEqual(self.ids(), [1])
        letter, = self.dead_letters()
        self.assertEqual((letter["partition"], letter["offset"]), (f"{topic}/0", 0))
        self.assertIn(f"the message has {len(large)} bytes, more than max_message_bytes", letter["reason"])
        self.assertLess(len(json.dumps(letter)), 1_000_000)


class DocumentedTest(KafkaCase):
    """What docs/guide/kafka.md shows is as it says."""

    def blocks(self, of_writer=False):
        with open(os.path.join(SOURCE, "docs", "guide", "kafka.md"), encoding="utf-8") as file:
            return [block for block in re.findall(r"```yaml\n(.*?)```", file.read(), re.S)
                    if block.startswith("sink:") == of_writer]

    def test_writer(self):
        """One pipeline reads what is sent, and sends it on, as the block of the page says."""
        block, = self.blocks(of_writer=True)
        topic, target = self.kafka.topic("orders"), self.kafka.topic("order_features")
        self.declare_block(self.blocks()[0], topic)
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        text = text[:text.index("sink:")] + block.replace("topic: order_features", f"topic: {target}").replace(
            "kafka-1:9092,kafka-2:9092", self.kafka.brokers)
        self.write("events.yaml", text.replace("  stream: true", ""))
        self.kafka.produce(topic, [{"value": '{"id": 1, "city": "Santos", "amount": 2.5, "at": "2024-05-01T12:00:00Z"}', "key": "k1"}])
        self.good("run", "events.yaml")
        message, = self.kafka.consume(target, isolation_level="read_committed")
        self.assertEqual((message.key(), message.value()), (b"Santos", b'{"city":"Santos","timestamp":"2024-05-01T12:00:00.000Z",'
                                                            b'"id":1,"amount":2.5,"key":"k1"}'))

    def declare_block(self, block, topic):
        """The declaration of this reader, with the broker that is there."""
        self.write("events.yaml", f"""\
version: 1
pipeline: events
source:
  readers:
{textwrap.indent(block, "    ")}
  query: select o.*, kafka_metadata.partition as partition from orders o
feature_set:
  name: events
  entity: order
  keys: [{{name: city, type: string}}]
  timestamp: {{from: at}}
  features: [{{name: id, type: bigint}}, {{name: amount, type: double}}, {{name: key, type: string}}]
sink: {{writers: [{{online: {{debug: true}}}}]}}
""".replace("topic: orders", f"topic: {topic}").replace("kafka-1:9092,kafka-2:9092", self.kafka.brokers))

    def test_reader(self):
        topic = self.kafka.topic("orders")
        self.declare_block(self.blocks()[0], topic)
        kcat("-P", "-b", self.kafka.brokers, "-t", topic, "-K", ":=",
             input='k1:={"id": 1, "city": "Santos", "amount": 2.5, "at": "2024-05-01T12:00:00Z"}\n'
                   'k2:={"id": 2, "city": "Santos", "amount": "x", "at": "2024-05-01T12:00:00Z"}\n')
        row, = self.rows()
        self.assertEqual((row["id"], row["city"], row["amount"], row["key"]), (1, "Santos", 2.5, "k1"))
        self.assertEqual(len(self.dead_letters()), 1)

    def test_recipes(self):
        first, *recipes = self.blocks()
        self.assertGreaterEqual(len(recipes), 3)
        self.env.update(KAFKA_USER="me", KAFKA_PASSWORD="sesame")
        secret = self.write("secret", "open-sesame\n")
        for recipe in recipes:
            recipe = recipe.replace("/run/secrets/kafka_key_password", secret)
            self.declare_block(first.replace("  stream: true", textwrap.indent(recipe, "    ") + "  stream: true"), "orders")
            self.good("check", "events.yaml")
            shown = self.good("show", "events.yaml")
            self.assertIn("security.protocol", shown)
            self.assertNotIn("sesame", shown)


if __name__ == "__main__":
    unittest.main()
