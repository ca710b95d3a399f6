"""Kafka and Cassandra for end-to-end tests, through clients that are not ours.

A test that says `# needs: kafka` (or cassandra, or both) in its first lines has a server that is started once
for all tests (tests/services/service tells how it is set up), and its environment:

    kafka = services.shared_kafka()             # names are to be unique: kafka.topic() makes them so
    cassandra = services.shared_cassandra()

A test that stops, kills or pauses a server takes one of its own, which is removed with the test:

    kafka = services.own_kafka(case, partitions=8)
    kafka.server.kill(); kafka.server.start(); kafka.server.pause()
    cassandra = services.own_cassandra(case, sync="batch")
    cassandra = services.own_cassandra(case, nodes=3); cassandra.server.nodes[1].kill()

The options of own servers are those of tests/services/kafka_server.py and cassandra_server.py;
they are quick ones unless quick=False is among them.
"""

import itertools
import os
import ssl
import time

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import dict_factory
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from freshet_testing import DEADLINE, PRESET
import servers  # of tests/services, which freshet_testing puts on the path

numbers = itertools.count(1)


def unique(name):
    """A name no other test uses on a shared server, also not the same test of another preset."""
    return f"{name}_{PRESET or 'by_hand'}_{os.getpid()}_{next(numbers)}"


def own_server(case, kind, options):
    server = servers.create(kind, case.path(unique(kind)), owner=os.getpid(),
                            **{"quick": True, **options})
    case.addCleanup(server.down)
    server.up()
    return server


def environment_of_run(name):
    if name not in os.environ:
        raise AssertionError(f"{name} is not set: run this test by ctest, and mark it `# needs: ...`")
    return os.environ


# ---- Kafka ----

NOT_NOW = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)


def shared_kafka():
    return Kafka(environment_of_run("KAFKA_BROKERS"))


def own_kafka(case, **options):
    server = own_server(case, "kafka", options)
    return Kafka(server.environment(), server)


class Kafka:
    """A broker and what a test does with it. `properties` of a call are librdkafka's."""

    def __init__(self, environment, server=None):
        self.environment = environment
        self.brokers = environment["KAFKA_BROKERS"]
        self.server = server
        self.admin = AdminClient(self.properties())

    def properties(self, **more):
        return {"bootstrap.servers": self.brokers, "log_level": 0, "allow.auto.create.topics": False,
                **{name.replace("_", "."): value for name, value in more.items()}}

    def topic(self, name="topic", partitions=4, exactly=False, **config):
        """Creates a topic; its name, which begins with the one given, or is it exactly."""
        name = name if exactly else unique(name)
        made = self.admin.create_topics([NewTopic(name, partitions, 1, config={
            key.replace("_", "."): str(value) for key, value in config.items()})], request_timeout=DEADLINE)
        made[name].result()
        end = time.monotonic() + DEADLINE
        while len(self.partitions(name)) != partitions:
            if time.monotonic() > end:
                raise AssertionError(f"topic {name} has no {partitions} partitions within {DEADLINE} s")
            time.sleep(0.02)
        return name

    def partitions(self, topic):
        return sorted(self.admin.list_topics(topic, timeout=DEADLINE).topics[topic].partitions)

    def add_partitions(self, topic, total):
        self.admin.create_partitions([NewPartitions(topic, total)], request_timeout=DEADLINE)[topic].result()

    def delete_topic(self, topic):
        self.admin.delete_topics([topic], request_timeout=DEADLINE)[topic].result()

    def delete_records(self, topic, partition, before):
        """Makes the broker forget the messages before that offset."""
        at = TopicPartition(topic, partition, before)
        for future in self.admin.delete_records([at], request_timeout=DEADLINE).values():
            future.result()

    def produce(self, topic, messages, **properties):
        """Sends messages and waits until the broker has them all. A message is a value (text, bytes or None), or a
        dict of value, key, partition, timestamp (ms), headers."""
        producer = Producer(self.properties(linger_ms=5, **properties))
        failed = []

        def delivered(error, message):
            if error is not None:
                failed.append((error, message.topic(), message.partition()))

        sent = 0
        for message in messages:
            message = message if isinstance(message, dict) else {"value": message}
            while True:
                try:
                    producer.produce(topic, on_delivery=delivered, **message)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            sent += 1
        left = producer.flush(DEADLINE)
        if failed or left:
            raise AssertionError(f"{len(failed)} messages failed and {left} are left, e.g. {failed[:3]}")
        return sent

    def ends(self, topic):
        """Of each partition the offset after the last message: {partition: offset}."""
        consumer = Consumer(self.properties(group_id="unused"))
        try:
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=DEADLINE)[1]
                    for p in self.partitions(topic)}
        finally:
            consumer.close()

    def consume(self, topic, **properties):
        """All messages of the topic as it is now, partition by partition: confluent_kafka's Message."""
        ends = self.ends(topic)
        consumer = Consumer(self.properties(group_id=unique("consume"), enable_auto_commit=False,
                                            enable_partition_eof=False, **properties))
        found = {p: [] for p in ends}
        try:
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in ends])
            deadline = time.monotonic() + DEADLINE
            while any(end > 0 and consumer.position([TopicPartition(topic, p)])[0].offset < end
                      and consumer.get_watermark_offsets(TopicPartition(topic, p), cached=False,
                                                         timeout=DEADLINE)[0] < end
                      for p, end in ends.items()):
                if time.monotonic() > deadline:
                    raise AssertionError(f"topic {topic} could not be read within {DEADLINE} s")
                for message in consumer.consume(10000, 0.2):
                    if message.error():
                        raise AssertionError(f"topic {topic}: {message.error()}")
                    found[message.partition()].append(message)
        finally:
            consumer.close()
        return [message for messages in found.values() for message in messages]

    def committed(self, group, topic):
        """The offsets a consumer group has committed: {partition: offset}, without those it has not."""
        consumer = Consumer(self.properties(group_id=group))
        try:
            asked = [TopicPartition(topic, p) for p in self.partitions(topic)]
            end = time.monotonic() + DEADLINE
            while True:
                try:
                    told = consumer.committed(asked, timeout=DEADLINE)
                    return {at.partition: at.offset for at in told if at.offset >= 0}
                except KafkaException as problem:  # a broker just started looks for its coordinators
                    if problem.args[0].code() not in NOT_NOW or time.monotonic() > end:
                        raise
                time.sleep(0.05)
        finally:
            consumer.close()


# ---- Cassandra ----

def shared_cassandra():
    return Cassandra(environment_of_run("CASSANDRA_HOST"))


def own_cassandra(case, nodes=1, **options):
    if nodes > 1:
        server = own_server(case, "cassandra-cluster", {"nodes": nodes, **options})
    else:
        server = own_server(case, "cassandra", options)
    cassandra = Cassandra(server.environment(), server)
    case.addCleanup(cassandra.close)
    return cassandra


class Cassandra:
    """A node, or several, and what a test does with them."""

    def __init__(self, environment, server=None):
        self.environment = environment
        self.hosts = environment["CASSANDRA_HOST"].split(",")
        self.port = int(environment["CASSANDRA_PORT"])
        self.server = server
        self.clusters = []
        self.default_session = None

    def connect(self, user=None, password=None, ca=None, consistency=ConsistencyLevel.LOCAL_QUORUM):
        """A new session; ca is the name of a file of the certificates, for TLS. Rows come as dicts."""
        if user is None and "CASSANDRA_USERNAME" in self.environment:
            user, password = self.environment["CASSANDRA_USERNAME"], self.environment["CASSANDRA_PASSWORD"]
        context = None
        if ca is not None:
            context = ssl.create_default_context(
                cafile=os.path.join(self.environment["CASSANDRA_CERTIFICATES"], ca))
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy("datacenter1")),
            consistency_level=consistency, row_factory=dict_factory, request_timeout=DEADLINE)
        cluster = Cluster(self.hosts, port=self.port, ssl_context=context,
                          ssl_options={"server_hostname": self.hosts[0]} if context else None,
                          auth_provider=PlainTextAuthProvider(user, password) if user else None,
                          execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5,
                          connect_timeout=DEADLINE, control_connection_timeout=DEADLINE)
        self.clusters.append(cluster)
        return cluster.connect()

    def session(self):
        if self.default_session is None:
            self.default_session = self.connect()
        return self.default_session

    def execute(self, cql, parameters=None):
        """The rows of a statement, as a list of dicts."""
        return list(self.session().execute(cql, parameters))

    def keyspace(self, name="features", replication=1):
        """Creates a keyspace; its name, which begins with the one given."""
        name = unique(name)
        self.execute(f"create keyspace {name} with replication = "
                     f"{{'class': 'NetworkTopologyStrategy', 'datacenter1': {replication}}}")
        return name

    def close(self):
        for cluster in self.clusters:
            cluster.shutdown()
        self.clusters.clear()
        self.default_session = None
