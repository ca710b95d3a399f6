# needs: kafka
"""The real Kafka broker that tests get: the shared one with its listeners, and one of a test's own, which can be
stopped, killed, paused and started again on the same port with the same data."""

import os
import subprocess
import unittest

import services
from freshet_testing import DEADLINE, Case
from kafka_testing import kcat


class SharedTest(Case):
    def setUp(self):
        super().setUp()
        self.kafka = services.shared_kafka()

    def test_messages_come_back(self):
        topic = self.kafka.topic(partitions=4)
        sent = [f"value {i}" for i in range(1000)]
        self.kafka.produce(topic, ({"value": value, "key": f"key {i}"} for i, value in enumerate(sent)))
        lines = kcat("-C", "-q", "-e", "-b", self.kafka.brokers, "-t", topic, "-f", "%p %k=%s\n").splitlines()
        self.assertEqual(sorted(line.split(" ", 1)[1] for line in lines),
                         sorted(f"key {i}=value {i}" for i in range(1000)))
        self.assertEqual({line.split()[0] for line in lines}, set("0123"))
        self.assertEqual(sum(self.kafka.ends(topic).values()), 1000)
        self.assertEqual(sorted(m.value().decode() for m in self.kafka.consume(topic)), sorted(sent))

    def test_topics_change(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, ["a", "b", "c"])
        self.kafka.delete_records(topic, 0, 2)
        self.assertEqual([m.value() for m in self.kafka.consume(topic)], [b"c"])
        self.kafka.add_partitions(topic, 3)
        self.until(lambda: self.kafka.partitions(topic) == [0, 1, 2], "three partitions")

    def test_unknown_topic_stays_unknown(self):
        kcat("-L", "-b", self.kafka.brokers, "-t", "nobody_made_this")
        self.assertNotIn("nobody_made_this", self.kafka.admin.list_topics(timeout=DEADLINE).topics)

    def test_sasl_and_tls(self):
        topic = self.kafka.topic(partitions=1)
        environment = self.kafka.environment
        sasl = ["-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=" + environment["KAFKA_USER"]]
        ca = ["-X", "ssl.ca.location=" + os.path.join(environment["KAFKA_CERTIFICATES"], "ca.pem")]
        other_ca = ["-X", "ssl.ca.location=" + os.path.join(environment["KAFKA_CERTIFICATES"], "other-ca.pem")]
        password = ["-X", "sasl.password=" + environment["KAFKA_PASSWORD"]]

        def produce(protocol, *options):
            kcat("-P", "-b", environment["KAFKA_BROKERS_" + protocol], "-t", topic,
                 "-X", "security.protocol=" + protocol.lower(), "-X", "message.timeout.ms=4000", *options,
                 input=protocol + "\n")

        produce("SASL_PLAINTEXT", *sasl, *password)
        produce("SSL", *ca)
        produce("SASL_SSL", *sasl, *password, *ca)
        with self.assertRaises(AssertionError):
            produce("SASL_PLAINTEXT", *sasl, "-X", "sasl.password=wrong")
        with self.assertRaises(AssertionError):
            produce("SSL", *other_ca)
        self.assertEqual([m.value() for m in self.kafka.consume(topic)], [b"SASL_PLAINTEXT", b"SSL", b"SASL_SSL"])


class OwnTest(Case):
    def test_life(self):
        kafka = services.own_kafka(self, partitions=2)
        server = kafka.server
        topic = kafka.topic(partitions=2)
        kafka.produce(topic, ["before"])
        first = server.pid()
        server.kill()
        self.assertFalse(server.is_running())
        server.start()
        self.assertNotEqual(server.pid(), first)
        server.pause()
        with self.assertRaises(AssertionError):
            kafka.produce(topic, ["lost"], message_timeout_ms=500)
        server.resume()
        kafka.produce(topic, ["after"])
        values = [m.value() for m in kafka.consume(topic)]
        self.assertIn(b"before", values)
        self.assertIn(b"after", values)
        server.stop()
        self.assertFalse(server.is_running())

    def test_it_ends_with_its_owner(self):
        folder = self.path("orphan")
        with subprocess.Popen(["sleep", "1000"]) as owner:
            server = services.servers.create("kafka", folder, owner=owner.pid, quick=True)
            self.addCleanup(server.down)
            server.up()
            pid = server.pid()
            server.pause()
            owner.kill()
        self.until(lambda: not os.path.exists(folder), "the folder goes with the owner")
        self.assertFalse(os.path.exists(f"/proc/{pid}"))


if __name__ == "__main__":
    unittest.main()
