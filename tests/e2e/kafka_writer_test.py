# needs: kafka
"""The writer `kafka` with a real broker: what stands in the messages, when they are seen, and that a reader of committed
messages sees each row once, whatever is killed.

FRESHET_KILLS says how often (5).
"""

import collections
import json
import os
import shutil
import signal
import time
import unittest

import services
from confluent_kafka import KafkaException
from freshet_testing import DEADLINE, SOURCE, Case, lines

KILLS = int(os.environ.get("FRESHET_KILLS", "5"))
GOLDEN = os.path.join(SOURCE, "tests", "golden", "json_writer")
GOLDEN_SCHEMA = {"id": "bigint", "ts": "timestamp", "x": "double", "y": "integer", "s": "string",
                 "arr": "array<bigint>", "b": "boolean"}


class KafkaWriterCase(Case):

    def setUp(self):
        super().setUp()
        self.kafka = services.shared_kafka()
        self.env["KAFKA_CONSUMER_CONNECTION_STRING"] = self.kafka.brokers

    def unique_pipeline(self):
        return services.unique("events")

    def messages(self, topic, kafka=None):
        """Those that are committed. A topic that was just made has no leader at once."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                return (kafka or self.kafka).consume(topic, isolation_level="read_committed")
            except KafkaException:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def ids(self, topic, kafka=None):
        return collections.Counter(json.loads(message.value())["id"] for message in self.messages(topic, kafka))

    def until_ids(self, topic, n, process=None, kafka=None):
        self.until(lambda: len(self.ids(topic, kafka)) >= n, f"{n} rows are seen in the topic", process)

    def assert_each_once(self, topic, n, kafka=None):
        self.assertEqual(self.ids(topic, kafka), {i: 1 for i in range(n)})


class MessagesTest(KafkaWriterCase):

    def test_golden(self):
        """The values are those of Butterfree's json_transform; a batch that runs again adds them once more."""
        topic = self.kafka.topic()
        shutil.copy(os.path.join(GOLDEN, "input.jsonl"), self.path("golden.jsonl"))
        self.declare(stream=False, path="golden.jsonl", schema=GOLDEN_SCHEMA, keys="{name: id, type: bigint}",
                     timestamp="{from: ts}", sink=f"- kafka: {{topic: {topic}}}",
                     features=("{name: x, type: double}", "{name: y, type: integer}", "{name: s, type: string}",
                               '{name: arr, type: "array<bigint>"}', "{name: b, type: boolean}"))
        with open(os.path.join(GOLDEN, "expected.value.jsonl"), encoding="utf-8") as file:
            expected = {json.loads(text)["value"] for text in file}
        for times in (1, 2):
            self.good("run", "events.yaml")
            found = self.messages(topic)
            self.assertEqual(collections.Counter(message.value().decode() for message in found),
                             {value: times for value in expected})
            self.assertEqual({message.key() for message in found}, {b"1", b"2", b"3"})

    def test_forms_of_keys(self):
        """One key column as text, several as a JSON object, none at all; the same key, the same partition."""
        for option, keys, expected in (
                ("", "{name: key, type: string}", {f"k{i}" for i in range(7)}),
                (", key: json", "{name: key, type: string}", {'{"key":"k%d"}' % i for i in range(7)}),
                ("", "{name: key, type: string}, {name: id, type: bigint}",
                 {'{"key":"k%d","id":%d}' % (i % 7, i) for i in range(40)}),
                (", key: none", "{name: key, type: string}", {None})):
            topic = self.kafka.topic()
            self.declare(stream=False, keys=keys, sink=f"- kafka: {{topic: {topic}{option}}}",
                         features=("{name: value, type: double}",))
            self.write("in/a.jsonl", lines(0, 40))
            self.good("run", "events.yaml")
            # a broker may answer a commit a moment before it shows what is committed
            self.until(lambda topic=topic: len(self.messages(topic)) >= 40, "the rows are seen")
            found = self.messages(topic)
            self.assertEqual(len(found), 40)
            self.assertEqual({message.key() and message.key().decode() for message in found}, expected)
            places = collections.defaultdict(set)
            for message in found:
                places[message.key()].add(message.partition())
            self.assertTrue(option == ", key: none" or all(len(those) == 1 for those in places.values()))

    def test_what_is_refused(self):
        """A topic that is not there, and a second writer of the same id; a row that is too long is a dead letter."""
        self.declare(stream=False, sink="- kafka: {topic: no_such_topic}")
        self.write("in/a.jsonl", lines(0, 3))
        refused = self.freshet("run", "events.yaml")
        self.assertEqual(refused.code, 78, refused.err)
        self.assertIn('have no topic "no_such_topic"', refused.err)
        self.assertRegex(refused.err, r"events.yaml:\d+:\d+: error")
        topic = self.kafka.topic()
        self.declare(stream=False, sink=f"- kafka: {{topic: {topic}, max_message_bytes: 1000 B}}",
                     features=("{name: id, type: bigint}", "{name: long, type: string, sql: \"repeat('x', id * 100)\"}"))
        self.write("in/a.jsonl", lines(0, 12))
        run = self.freshet("run", "events.yaml")
        self.assertEqual(run.code, 0, run.err)
        letters = self.dead_letters()
        self.assertEqual([letter["code"] for letter in letters], ["too_large"] * (12 - len(self.ids(topic))))
        self.assertGreater(len(letters), 1)
        self.assertIn("max_message_bytes", letters[0]["reason"])

    def test_validated(self):
        """The rows of a batch are read back, from the topic and from the history; a stream cannot be validated."""
        topic = self.kafka.topic()
        sink = f"- kafka: {{topic: {topic}}}\n      validate: true\n    - history: {{path: out}}\n      validate: true"
        self.declare(stream=False, sink=sink)
        self.write("in/a.jsonl", lines(0, 5000))
        for _ in range(2):
            run = self.freshet("run", "events.yaml")
            self.assertEqual(run.code, 0, run.err)
            self.assertIn('validated the writer "kafka": all 5000 rows are there', run.err)
            self.assertIn('validated the writer "history": all 5000 rows are there', run.err)
        self.declare(stream=True, sink=sink)
        self.assertIn('"validate" is for batches', self.freshet("check", "events.yaml").err)
        self.declare(stream=False, sink="- jsonl: {path: x.jsonl}\n      validate: true")
        self.assertIn('"validate" is for `history`, `kafka` and Cassandra', self.freshet("check", "events.yaml").err)

    def test_a_batch_that_fails_shows_nothing(self):
        topic = self.kafka.topic()
        self.declare(stream=False, sink=f"- kafka: {{topic: {topic}}}", extra="dead_letters: {fail_above: 10%}\n")
        self.write("in/a.jsonl", lines(0, 3) + b"no JSON\n" * 3)
        run = self.freshet("run", "events.yaml")
        self.assertEqual(run.code, 65, run.err)
        self.assertEqual(self.messages(topic), [])
        self.assertIn("nothing of it is in the topic", run.err)


class StreamTest(KafkaWriterCase):

    def test_when_rows_are_seen(self):
        """Exactly once: with the checkpoint; at least once: at once. Each writer has its own count."""
        once, soon = self.kafka.topic("once"), self.kafka.topic("soon")
        pipeline = self.unique_pipeline()
        self.declare(pipeline=pipeline, extra="checkpoint: {interval: 1 hour}\n",
                     sink=f"- kafka: {{topic: {once}}}\n    - kafka: {{topic: {soon}, delivery: at_least_once}}\n"
                          "    - history: {path: out}\n    - jsonl: {path: out.jsonl}")
        self.write("in/a.jsonl", lines(0, 20))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until_ids(soon, 20, run)
        self.assertEqual(self.messages(once), [])
        finished = run.stop()
        self.assert_each_once(once, 20)
        self.assert_each_once(soon, 20)
        self.assertEqual(len(self.read_lines("out.jsonl")), 20)
        self.assertIn(" 20 rows read, 20 written", finished.err)

    def test_several_writers(self):
        """Each has its own options and its own count; the log tells those of one kind apart."""
        every, few = self.kafka.topic("every"), self.kafka.topic("few")
        self.declare(stream=False, sink=f"- kafka: {{topic: {every}}}\n    - kafka: {{topic: {few}, max_message_bytes: 1000 B}}"
                     "\n    - history: {path: out}\n    - jsonl: {path: out.jsonl}",
                     features=("{name: id, type: bigint}", "{name: long, type: string, sql: \"repeat('x', id * 100)\"}"))
        self.write("in/a.jsonl", lines(0, 12))
        err = self.freshet("run", "events.yaml").err
        self.assertIn("(kafka 1 12, kafka 2 10, history 12, jsonl 12)", err)
        self.assertEqual((len(self.ids(every)), len(self.ids(few))), (12, 10))

    def test_another_run_takes_its_place(self):
        """Two states, one transactional id: the first run ends, and says why."""
        topic = self.kafka.topic()
        self.declare(pipeline=self.unique_pipeline(), sink=f"- kafka: {{topic: {topic}}}",
                     extra="checkpoint: {interval: 20 ms}\n")
        self.write("in/a.jsonl", lines(0, 5))
        first = self.start("run", "events.yaml", "--state", "one", "--progress", "none")
        self.until_ids(topic, 5, first)
        second = self.start("run", "events.yaml", "--state", "two", "--progress", "none",
                            env={**self.env, "FRESHET_RUN_DIR": self.path("run2")})
        self.until(lambda: sum(self.ids(topic).values()) == 10, "the second has sent its rows, too", second)
        self.write("in/b.jsonl", lines(5, 9))
        finished = first.wait()
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn("has taken the place of this one", finished.err)
        self.until_ids(topic, 9, second)
        second.stop()

    def test_a_writer_that_is_another_now(self):
        """What waits for a writer that is declared otherwise is told, with the way out."""
        topic = self.kafka.topic()
        pipeline = self.unique_pipeline()
        extra = "checkpoint: {interval: 20 ms}\n"
        self.declare(pipeline=pipeline, sink='- kafka: {topic: nowhere, brokers: "127.0.0.1:1"}', extra=extra)
        self.write("in/a.jsonl", lines(0, 5))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: "trying again until it works" in run.err(), "the trouble is told", run)
        self.until(lambda: os.listdir(self.path(pipeline + ".state/spool")), "rows wait", run)
        ready = self.freshet("status", "--pipeline", pipeline)
        self.assertEqual(ready.code, 75, ready.out)
        self.assertIn('no broker of \\"127.0.0.1:1\\" answers', ready.out)
        run.signal(signal.SIGKILL)
        run.process.wait()
        self.declare(pipeline=pipeline, sink=f"- kafka: {{topic: {topic}, delivery: at_least_once}}", extra=extra)
        told = self.freshet("run", "events.yaml", "--once")
        self.assertIn('of the writer "kafka 1", which is not declared as it was', told.err)

    def test_killed_again_and_again(self):
        """kill -9 of the pipeline at random moments, and of the broker now and then: each row is there once."""
        kafka = services.own_kafka(self, partitions=4)
        topic = kafka.topic()
        self.env["KAFKA_CONSUMER_CONNECTION_STRING"] = kafka.brokers
        self.declare(sink=f"- kafka: {{topic: {topic}}}", extra="checkpoint: {interval: 20 ms}\n")
        n = 0
        for kill in range(KILLS):
            self.append("in/a.jsonl", lines(n, n + 3000)) if n else self.write("in/a.jsonl", lines(0, 3000))
            n += 3000
            run = self.start("run", "events.yaml", "--progress", "none")
            run.until_checkpoints(self.rng.randint(1, 3))
            if kill % 5 == 2:
                kafka.server.kill()
                self.append("in/a.jsonl", lines(n, n + 3000))
                n += 3000
                self.until(lambda run=run: "trying again until it works" in run.err() or not run.is_running(),
                           "the trouble is told", run)
                kafka.server.start()
            time.sleep(self.rng.uniform(0, 0.05))
            self.assertTrue(run.is_running(), run.err())
            run.signal(signal.SIGKILL)
            run.process.wait()
        said = []

        def sent():
            finished = self.freshet("run", "events.yaml", "--once")
            said[:] = [f"exit code {finished.code}, {finished.err}"]
            # The broker, begun again after kill -9, now and then leaves a commit half done for good: its coordinator asks the broker's own
            # port before that is open. Whoever runs it would begin it once more; the stream waits.
            if "reading how far it is written" in finished.err:
                kafka.server.stop()
                kafka.server.start()
            return finished.code == 0

        self.until(sent, said)
        self.assert_each_once(topic, n, kafka)
        self.assertEqual(os.listdir(self.path("events.state/spool")), [])
        self.good("state", "reset", "events.yaml", "--yes")
        self.assertFalse(os.path.exists(self.path("events.state")))


if __name__ == "__main__":
    unittest.main()
