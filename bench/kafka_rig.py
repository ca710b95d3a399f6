"""What the two Kafka benchmarks share: a real broker, topics with events in them, and Kafka Streams beside Freshet.

Everything runs on the same two cores, the broker too: that is what a small machine gives. Its collector of garbage is one that
does not stop it (Java's ZGC); FRESHET_BENCH_COLLECTOR=Serial and FRESHET_BENCH_HEAP_MB=512 give that of the tests, which stops it for 20 to 40 ms
at a time. All figures say which it was.
"""

import os
import shutil
import subprocess
import sys

import harness
from following import Following
from harness import (CORES, HERE, ROOT, WORK, Failed, Missing, cpu_s, environment, new_folder, run,
                     start, work_path)

sys.path.append(os.path.join(ROOT, "tests", "services"))

import servers  # noqa: E402
from server import DEPS, ServerError, java  # noqa: E402

PARTITIONS = 4
COLLECTOR = os.environ.get("FRESHET_BENCH_COLLECTOR", "Z")
HEAP_MB = int(os.environ.get("FRESHET_BENCH_HEAP_MB", "1024"))
DECLARATION = os.path.join(HERE, "kafka.yaml")
FLOOR = os.path.join(ROOT, "build", "release", "bench", "kafka_floor")
FEED = os.path.join(ROOT, "build", "release", "bench", "kafka_feed")
PEER = os.path.join(HERE, "peers", "kstreams")
PEER_JARS = os.path.join(DEPS, "bench", "kstreams")
PEER_CLASSES = os.path.join(WORK, "kstreams-classes")
STORES = ("memory-changelog", "memory")
TABLE = "online_feature_store__bench_windows"


class Broker:
    """A broker of our own, as a context; while it runs, all that is started here is held on two cores."""

    def __enter__(self):
        self.cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES[:2])
        self.server = servers.create("kafka", new_folder("kafka-broker"), owner=os.getpid(), partitions=PARTITIONS,
                                     collector=COLLECTOR, heap_mb=HEAP_MB)
        try:
            self.brokers = self.server.up()["KAFKA_BROKERS"]
        except (ServerError, FileNotFoundError) as problem:
            os.sched_setaffinity(0, self.cores)
            raise Missing("no Kafka broker (scripts/setup bench installs one): %s" % problem) from None
        self.pid = self.server.pid()
        return self

    def __exit__(self, *_):
        self.server.down()
        os.sched_setaffinity(0, self.cores)

    def what(self):
        """What the figures say about it."""
        return "the broker's collector: %sGC, heap of %d MB" % (COLLECTOR, HEAP_MB)

    def cpu_s(self):
        return cpu_s(self.pid)

    def feed(self, topic, *arguments):
        return run(self.feed_command(topic, *arguments), "kafka-feed")

    def feed_command(self, topic, *arguments):
        return [FEED, self.brokers, topic, *map(str, arguments)]

    def new_topic(self, name, partitions=PARTITIONS):
        self.feed(name, "create", partitions)
        return name


def freshet_environment(broker, topic, rows):
    return dict(environment(""), BENCH_TOPIC=topic, BENCH_BROKERS=broker.brokers, BENCH_ROWS=str(rows))


def new_state():
    """The path of a state folder that is not there."""
    state = work_path("kafka.state")
    shutil.rmtree(state, ignore_errors=True)
    return state


def freshet_command(*arguments):
    return [harness.FRESHET, "run", DECLARATION, "--progress", "none", *arguments]


def freshet_stream(broker, topic, name, rows):
    """A freshet that follows the topic for ever, with checkpoints, and a table of that many rows at most."""
    return Following(freshet_command("--state", new_state()), name, "bench_kafka",
                     freshet_environment(broker, topic, rows))


def missing_peer():
    """Why Kafka Streams cannot be run, or None."""
    compiler = os.path.join(os.path.dirname(java()), "javac")
    if shutil.which(compiler) is None:
        return "Kafka Streams: there is no %s; scripts/setup bench installs it" % compiler
    if not os.path.exists(os.path.join(PEER_JARS, "classpath")):
        return "Kafka Streams: its jars are not in %s; scripts/setup bench downloads them" % PEER_JARS
    return None


def peer_class_path():
    with open(os.path.join(PEER_JARS, "classpath"), encoding="utf-8") as file:
        return file.read().strip()


def build_peer():
    source = os.path.join(PEER, "KafkaStreamsBench.java")
    compiler = os.path.join(os.path.dirname(java()), "javac")
    shutil.rmtree(PEER_CLASSES, ignore_errors=True)
    done = subprocess.run([compiler, "-cp", peer_class_path(), "-d", PEER_CLASSES, source],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed("javac: " + done.stderr)


def start_peer(broker, topic, store, events, name, *arguments):
    """The Java program, its state in a new folder. Give it the JVM's own sizes: that is how it is run."""
    folder = new_folder("kstreams-state")
    return start([java(), "-Djava.io.tmpdir=" + folder, "-cp", PEER_CLASSES + ":" + peer_class_path(),
                  "KafkaStreamsBench", broker.brokers, topic, store, str(events), *arguments], name)


def remove_peer_state():
    shutil.rmtree(work_path("kstreams-state"), ignore_errors=True)
