# needs: kafka
"""The reader `kafka` where something is wrong: exit codes, what is said, and that no secret is in it; gaps in what the
broker still has; SASL and TLS, right and wrong."""

import json
import os
import socket
import threading
import unittest

import services
from freshet_testing import patient
from kafka_testing import KafkaCase, kcat, messages

SOON = "connect_timeout: 1 second"
HISTORY = "- history: {path: out}"


class UnreachableTest(KafkaCase):

    def refused(self, code, *said):
        finished = self.run_once(code=code)
        for text in said:
            self.assertIn(text, finished.err)
        return finished.err

    def closed_port(self):
        """A port that nobody listens at, and nobody else can take meanwhile."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]

    def test_nobody_there(self):
        for stream in (False, True):
            port = self.closed_port()
            self.declare_kafka("topic: t", brokers=f"127.0.0.1:{port}", stream=stream, reader=SOON)
            self.refused(75, "Kafka could not be read for 1 second", f'no broker of "127.0.0.1:{port}" can be reached',
                         "Connection refused", "check the addresses in brokers")

    def test_no_such_host(self):
        self.declare_kafka("topic: t", brokers="kafka.invalid:9092", reader=SOON)
        self.refused(75, 'no broker of "kafka.invalid:9092" can be reached', "resolve")

    def test_somebody_who_does_not_answer(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        port = silent.getsockname()[1]
        self.declare_kafka("topic: t", brokers=f"127.0.0.1:{port}", reader="connect_timeout: 2 seconds")
        self.refused(75, f'no broker of "127.0.0.1:{port}" can be reached')

    def test_one_of_several_is_enough(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 10))
        self.declare_kafka(f"topic: {topic}", brokers=f"127.0.0.1:{self.closed_port()},{self.kafka.brokers}")
        self.assertEqual(self.ids(), list(range(10)))

    def test_brokers_of_the_environment(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 10))
        name = self.declare_kafka(f"topic: {topic}")
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        self.write(name, text.replace(f' brokers: "{self.kafka.brokers}",', ""))
        finished = self.run_once(code=78)
        self.assertIn("KAFKA_CONSUMER_CONNECTION_STRING", finished.err)
        self.env["KAFKA_CONSUMER_CONNECTION_STRING"] = self.kafka.brokers
        self.assertEqual(self.ids(), list(range(10)))

    def test_unknown_topic(self):
        known = self.kafka.topic(partitions=1)
        self.declare_kafka(f"topics: [{known}, nobody_made_this]", stream=True)
        err = self.refused(78, '"nobody_made_this"')
        self.assertNotIn(f'"{known}"', err)
        self.assertNotIn("nobody_made_this", kcat("-L", "-b", self.kafka.brokers))

    def test_topic_that_comes_a_moment_later(self):
        topic = services.unique("late")
        self.declare_kafka(f"topic: {topic}", stream=True)
        run = self.start("run", "events.yaml", "--progress", "none", "--debug")
        timer = threading.Timer(1.0, lambda: self.kafka.topic(topic, partitions=2, exactly=True))
        timer.start()
        self.addCleanup(timer.join)
        self.until(lambda: "reads 2 partitions" in run.err(), "it reads", run)
        run.stop()


class SecurityTest(KafkaCase):

    SECRETS = ("not-the-password", "of-a-key")

    def setUp(self):
        super().setUp()
        environment = self.kafka.environment
        self.user, self.password = environment["KAFKA_USER"], environment["KAFKA_PASSWORD"]
        self.certificates = environment["KAFKA_CERTIFICATES"]
        self.topic = self.kafka.topic(partitions=1)
        self.kafka.produce(self.topic, messages(0, 10))

    def declare_secure(self, protocol, listener=None, timeout=patient(30), **options):
        options = {"security.protocol": protocol, **{k.replace("_", "."): v for k, v in options.items()}}
        inside = ", ".join(f"{name}: {json.dumps(value)}" for name, value in options.items())
        listener = listener or "KAFKA_BROKERS_" + protocol
        self.declare_kafka(f"topic: {self.topic}", brokers=self.kafka.environment[listener],
                           reader=f"connect_timeout: {timeout}, options: {{{inside}}}")

    def ca(self, name="ca.pem"):
        return os.path.join(self.certificates, name)

    def assert_silent(self, *texts):
        for text in texts:
            for secret in (*self.SECRETS, self.password):
                self.assertNotIn(secret, text)

    def assert_reads(self):
        finished = self.run_once("--query", "select count(*) as n from online_feature_store__events", "--format", "json")
        self.assertEqual(json.loads(finished.out), {"n": 10})
        shown = self.freshet("show", "events.yaml")
        checked = self.freshet("check", "events.yaml")
        self.assertEqual((shown.code, checked.code), (0, 0), shown.err + checked.err)
        self.assertIn("security.protocol", shown.out)
        self.assert_silent(finished.err, shown.out, shown.err, checked.out, checked.err)

    def assert_refused(self, code, *said):
        finished = self.run_once(code=code)
        self.assertRegex(finished.err, "(?s)" + ".*".join(said))
        self.assert_silent(finished.err, finished.out, self.freshet("show", "events.yaml").out)

    def test_sasl(self):
        self.env["KAFKA_PASSWORD"] = self.password
        self.declare_secure("SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_username=self.user,
                            sasl_password="${KAFKA_PASSWORD}")
        self.assert_reads()
        self.write("secret", self.password + "\n")
        self.declare_secure("SASL_SSL", sasl_mechanism="PLAIN", sasl_username=self.user,
                            sasl_password="${file:" + self.path("secret") + "}", ssl_ca_location=self.ca())
        self.assert_reads()

    def test_sasl_that_is_wrong(self):
        self.declare_secure("SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_username=self.user, sasl_password="not-the-password")
        self.assert_refused(78, "the brokers refuse the credentials", "check sasl.mechanism, sasl.username and sasl.password")
        self.declare_secure("SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_username="nobody", sasl_password=self.password)
        self.assert_refused(78, "the brokers refuse the credentials")
        self.declare_secure("SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-256", sasl_username=self.user,
                            sasl_password=self.password)
        self.assert_refused(78, "the brokers refuse the credentials", "PLAIN", "check sasl.mechanism")
        self.declare_secure("PLAINTEXT", listener="KAFKA_BROKERS_SASL_PLAINTEXT", timeout="2 seconds")
        self.assert_refused(75, "no broker of .* can be reached", "security.protocol")

    def test_tls(self):
        self.declare_secure("SSL", ssl_ca_location=self.ca())
        self.assert_reads()

    def test_tls_that_is_wrong(self):
        self.declare_secure("SSL", ssl_ca_location=self.ca("other-ca.pem"))
        self.assert_refused(78, "TLS fails", "certificate verify failed", "check security.protocol, ssl.ca.location")
        self.declare_secure("SSL", ssl_ca_location=self.path("there-is-none.pem"))
        self.assert_refused(78, '"ssl.ca.location" is the file ".*there-is-none.pem", which cannot be read: No such file')
        self.declare_secure("SSL", listener="KAFKA_BROKERS", ssl_ca_location=self.ca(), timeout="2 seconds")
        self.assert_refused(75, "no broker of .* can be reached", "check the addresses in brokers.* and security.protocol")
        self.declare_secure("PLAINTEXT", listener="KAFKA_BROKERS_SSL", timeout="2 seconds")
        self.assert_refused(75, "no broker of .* can be reached", "security.protocol")

    def test_mistakes_in_properties(self):
        self.declare_secure("SSL", sasl_passwort="not-the-password", ssl_key_pem="of-a-key")
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('librdkafka has no property "sasl.passwort"; did you mean "sasl.password"?', finished.err)
        self.assert_silent(finished.err, finished.out)


class GapTest(KafkaCase):

    def declare_gap(self, topic, on_gap=None):
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY, reader=f"on_gap: {on_gap}" if on_gap else "")

    def ids_of_history(self):
        return [row["id"] for row in self.history({"id": "bigint"})]

    def test_deleted_messages(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 100))
        self.declare_gap(topic)
        self.run_once()
        self.kafka.produce(topic, messages(100, 200))
        self.kafka.delete_records(topic, 0, 150)
        for _ in range(2):
            finished = self.run_once(code=78)
            self.assertIn(f"{topic}/0 should go on at offset 100, but the brokers have 150 to 200", finished.err)
            self.assertIn("on_gap: earliest", finished.err)
        self.assertEqual(self.ids_of_history(), list(range(100)))
        self.declare_gap(topic, "earliest")
        finished = self.run_once()
        self.assertIn("it goes on at 150, as on_gap says", finished.err)
        self.assertEqual(self.ids_of_history(), [*range(100), *range(150, 200)])
        self.kafka.produce(topic, messages(200, 300))
        self.kafka.delete_records(topic, 0, 250)
        self.declare_gap(topic, "latest")
        finished = self.run_once()
        self.assertIn("it goes on at 300, as on_gap says", finished.err)
        self.kafka.produce(topic, messages(300, 310))
        self.assertNotIn("on_gap", self.run_once().err)
        self.assertEqual(self.ids_of_history(), [*range(100), *range(150, 200), *range(300, 310)])

    def test_places_without_messages(self):
        """Where a stream begins is kept though nothing came: what comes while it does not run is not passed over."""
        topic = self.kafka.topic(partitions=2)
        self.kafka.produce(topic, messages(0, 100))
        self.declare_kafka(f"topic: {topic}", stream=True, sink=HISTORY, reader="start: latest")
        self.run_once()
        self.kafka.produce(topic, messages(100, 120))
        self.run_once()
        self.assertEqual(self.ids_of_history(), list(range(100, 120)))

    def test_topic_made_anew(self):
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 100))
        self.declare_gap(topic)
        self.run_once()
        self.kafka.delete_topic(topic)
        self.until(lambda: topic not in kcat("-L", "-b", self.kafka.brokers), "the topic is gone")
        self.kafka.topic(topic, partitions=1, exactly=True)
        self.kafka.produce(topic, messages(100, 110))
        finished = self.run_once(code=78)
        self.assertIn(f"{topic}/0 should go on at offset 100, but the brokers have 0 to 10", finished.err)
        self.assertIn("made anew", finished.err)
        self.declare_gap(topic, "earliest")
        self.run_once()
        self.assertEqual(self.ids_of_history(), list(range(110)))

    def test_topic_deleted_while_it_runs(self):
        """It waits for the topic, and does not take the messages of the new one for those behind the old ones."""
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 100))
        self.declare_kafka(f"topic: {topic}", stream=True, reader="discover: 100 ms")
        run = self.start_run("events.yaml", "--progress", "none")
        self.until_count(100, run)
        self.kafka.delete_topic(topic)
        self.until(lambda: f'the topic "{topic}" cannot be read' in run.err(), "it says so", run)
        self.assertTrue(run.is_running())
        self.kafka.topic(topic, partitions=1, exactly=True)
        finished = run.wait()
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn(f"{topic}/0 should go on at offset 100, but the brokers have 0 to 0", finished.err)

    def test_messages_deleted_while_it_runs(self):
        """Those it has read do not matter; the message behind them comes."""
        topic = self.kafka.topic(partitions=1)
        self.kafka.produce(topic, messages(0, 100))
        self.declare_gap(topic)
        run = self.start("run", "events.yaml", "--progress", "none")
        group = "freshet-events"
        self.until(lambda: self.kafka.committed(group, topic) == {0: 100}, "all are read", run)
        self.kafka.delete_records(topic, 0, 100)
        self.kafka.produce(topic, messages(100, 110))
        self.until(lambda: self.kafka.committed(group, topic) == {0: 110}, "the others too", run)
        run.stop()
        self.assertEqual(self.ids_of_history(), list(range(110)))


if __name__ == "__main__":
    unittest.main()
