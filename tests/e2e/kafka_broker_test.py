# needs: kafka
# release only
"""The reader `kafka`, when the broker is killed and comes again: in the end every row is what the oracle says."""

import json
import unittest

import services
from freshet_testing import event, patient
from kafka_oracle import HISTORY, Feeder, OracleCase
from kafka_testing import messages

FLOWING = 200_000
NO_BROKER = 'no broker of "'  # ... can be reached, or answers: which comes first is the client's affair


class BrokerKilledTest(OracleCase):

    def setUp(self):
        super().setUp()
        self.own = services.own_kafka(self)

    def test_broker_killed_while_messages_flow(self):
        """kill -9 of the broker, twice, while 200,000 messages are sent and read; in the end nothing is missing in the
        history, in the dead letters, and in the table of each key's newest row."""
        kafka = self.own
        topic = kafka.topic(partitions=4)
        self.declare_windows(topic, kafka, "- online: {debug: true}\n    - history: {path: out}", "discover: 1 second")
        run = self.start_run("events.yaml", "--progress", "none", "--state", "kept")
        feeder = Feeder(self, kafka, topic)
        for kills, share in ((1, 0.3), (2, 0.7)):
            feeder.allowed = int(FLOWING * (share + 0.2))
            self.until(lambda share=share: self.count() > FLOWING * share, "messages flow", run)
            kafka.server.kill()
            self.until(lambda kills=kills: run.err().count(NO_BROKER) >= kills, "it says so", run)
            kafka.server.start()
        feeder.allowed = FLOWING
        feeder.finish()
        # as the group sees it, behind a checkpoint, which a slow disk may put off by half a minute
        self.until(lambda: sum(kafka.committed("freshet-events", topic).values()) == FLOWING, "all is read", run)
        newest = self.query("select * from online_feature_store__events_latest")
        self.until(lambda: "the trouble is over" in run.err(), "it says that the trouble is over", run)
        run.stop()
        oracle = self.assert_as_oracle(kafka, topic, FLOWING)
        self.assert_rows({row["key"]: row for row in newest}, oracle.newest)


    def test_broker_away(self):
        """A stream can be stopped and started while the broker is away; a batch gives up."""
        kafka = self.own
        topic = kafka.topic(partitions=2)
        kafka.produce(topic, messages(0, 100))

        def committed(n):
            return lambda: sum(kafka.committed("freshet-events", topic).values()) == n

        def declare(**more):
            self.declare_kafka(f"topic: {topic}", brokers=kafka.brokers, **more)

        declare(stream=True, sink=HISTORY)
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(committed(100), "all is read", run)
        kafka.server.kill()
        self.until(lambda: NO_BROKER in run.err(), "it says so", run)
        run.stop()
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: NO_BROKER in run.err(), "it waits", run)
        kafka.server.start()
        kafka.produce(topic, messages(100, 200))
        self.until(committed(200), "all is read", run)
        run.stop()
        self.assertEqual([row["id"] for row in self.history({"id": "bigint"})], list(range(200)))

        more = json.dumps(dict(event(0), more="x" * 5000))
        kafka.produce(topic, [{"value": more, "partition": i % 2} for i in range(20000)])
        declare(reader=f"memory: 1 MiB, connect_timeout: {patient(2)}",
                features=("{name: slow, type: bigint, sql: \"list_sum(range(20000 + id))\"}", "{name: id, type: bigint}"))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: "reads 2 partitions" in run.err(), "it reads", run)
        kafka.server.kill()
        finished = run.wait()
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn("Kafka could not be read for ", finished.err)


if __name__ == "__main__":
    unittest.main()
