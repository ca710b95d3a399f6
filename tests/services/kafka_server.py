"""A Kafka broker of one node (KRaft), for server.py.

Options of Kafka(folder, owner, ...):

    partitions=4        how many partitions a topic gets that does not say
    secure=True         listeners with SASL (PLAIN) and TLS too, see environment()
    heap_mb=512
    collector="Serial"  of garbage, as Java names it: Serial takes little memory and stops the broker for 20 to 40 ms
                        at a time, Z (with a heap of 1024) for less than one
    properties={...}    more lines for server.properties, or others in place of ours

Topics are not created by using them: a test of an unknown topic is to find it unknown.
"""

import base64
import os
import subprocess

import certificates
from server import Server, ServerError, free_port, java

USER, PASSWORD = "user", "let-me-in"

LOG4J = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = INFO
"""


class Kafka(Server):
    kind = "kafka"

    def new_settings(self, options):
        secure = options.get("secure", False)
        names = ["PLAINTEXT"] + (["SASL_PLAINTEXT", "SSL", "SASL_SSL"] if secure else [])
        return {"listeners": {name: free_port() for name in names}, "controller_port": free_port(),
                "partitions": options.get("partitions", 4), "heap_mb": options.get("heap_mb", 512),
                "collector": options.get("collector", "Serial"),
                "properties": options.get("properties") or {}}

    def is_secure(self):
        return "SSL" in self.settings["listeners"]

    def configure(self):
        if self.is_secure():
            certificates.make(self.path("certificates"))
        os.makedirs(self.path("tmp"), exist_ok=True)
        self.write("server.properties", "".join(f"{k}={v}\n" for k, v in self.properties().items()))
        self.write("log4j2.properties", LOG4J.format(log=self.log()))
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
        done = subprocess.run([java(), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", self.class_path(),
                               "-Dlog4j2.configurationFile=" + self.path("log4j2.properties"),
                               "kafka.tools.StorageTool", "format", "-t", cluster, "-c",
                               self.path("server.properties")],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"the storage of kafka could not be formatted:\n{done.stdout}")

    def properties(self):
        listeners = {name: f"{name}://127.0.0.1:{port}" for name, port in self.settings["listeners"].items()}
        controller = f"127.0.0.1:{self.settings['controller_port']}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": ",".join([*listeners.values(), f"CONTROLLER://{controller}"]),
            "advertised.listeners": ",".join(listeners.values()),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in listeners)]),
            "log.dirs": self.path("data"),
            "num.partitions": self.settings["partitions"],
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 4000,  # a start after kill -9 waits for it
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.retention.ms": -1,  # messages of a test may be years old, and are looked at after half a minute
            "log.cleaner.threads": 1,
            "log.cleaner.dedupe.buffer.size": 4 << 20,
        }
        if self.is_secure():
            properties.update(self.security())
        properties.update(self.settings["properties"])
        return properties

    def security(self):
        certs = self.path("certificates")
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required " \
                f'user_{USER}="{PASSWORD}";'
        return {
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": os.path.join(certs, "right-store.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": os.path.join(certs, "ca.pem"),
            "ssl.client.auth": "requested",
        }

    def command(self):
        heap, collector = self.settings["heap_mb"], self.settings.get("collector", "Serial")
        return [f"-Xms{heap}m", f"-Xmx{heap}m", f"-XX:+Use{collector}GC", "-XX:-UsePerfData", "-Djava.awt.headless=true",
                "-Djava.io.tmpdir=" + self.path("tmp"),
                "-Dlog4j2.configurationFile=" + self.path("log4j2.properties"),
                "kafka.Kafka", self.path("server.properties")]

    def log(self):
        return self.path("server.log")

    def is_ready(self):
        return "Kafka Server started" in self.read_log()

    def environment(self):
        """KAFKA_BROKERS, and of a secure one KAFKA_BROKERS_SASL_PLAINTEXT, _SSL and _SASL_SSL, KAFKA_USER,
        KAFKA_PASSWORD, and KAFKA_CERTIFICATES, the folder that certificates.py describes."""
        found = {}
        for name, port in self.settings["listeners"].items():
            found["KAFKA_BROKERS" if name == "PLAINTEXT" else "KAFKA_BROKERS_" + name] = f"127.0.0.1:{port}"
        if self.is_secure():
            found.update(KAFKA_USER=USER, KAFKA_PASSWORD=PASSWORD, KAFKA_CERTIFICATES=self.path("certificates"))
        return found
