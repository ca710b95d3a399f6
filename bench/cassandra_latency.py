"""Cassandra, end to end: from an event being made, through Kafka and windows, until its row is visible, at 2,000 events/s.

kafka_feed makes the events and notes the time just before it hands each to its Kafka client; each has a key of its own, so
every one is a write. cassandra_watch looks for each tenth of them, from outside and by key, with a
SELECT ... WHERE id IN ? for those that come next, 0.5 ms after the answer before. So a figure holds the
question and the answer themselves and the wait for the ones before; which events are looked for is fixed
beforehand, and none is left out when it takes long.

The broker, the node, the producer, the pipeline (with checkpoints) and the watcher share two cores. Freshet alone is
measured: nothing else here writes windows of a stream to Cassandra. A first measurement is thrown away: broker and node are
slow until Java has compiled them.
"""

import os
import time

from cassandra_rig import KEYSPACE, Node
from following import Following
from harness import (EVENTS, FRESHET, HERE, ROOT, Failed, busy_s, check_line, cpu_s, finish, new_folder, percentile, show,
                     start, wait_until_quiet, work_path)
from kafka_latency import end_feed, histogram
from kafka_rig import Broker

DECLARATION = os.path.join(HERE, "cassandra_latency.yaml")
WARM_UP_DECLARATION = os.path.join(HERE, "cassandra.yaml")
WATCH = os.path.join(ROOT, "build", "release", "bench", "cassandra_watch")
TABLE = "bench_windows"
RATE = 2000
SECONDS = 24 if EVENTS >= 1_000_000 else 6
N = RATE * SECONDS
EACH = 10
GOAL_P50_MS, GOAL_P99_MS = 5, 40


class Watch:
    """A running cassandra_watch."""

    def __init__(self, node, n, name):
        self.path = work_path("cassandra-times")
        self.busy_before, self.began = busy_s(), time.monotonic()
        self.process = start([WATCH, node.address(), KEYSPACE + "." + TABLE, str(n), str(EACH), str(SECONDS + 60),
                              self.path], name, env=node.environment())
        if self.process.stdout.readline().strip() != b"READY":
            self.end()
            raise Failed("cassandra_watch did not get ready")

    def end(self):
        """When each tenth row was first seen, in microseconds, and how many questions that took."""
        done = finish(self.process, "cassandra-watch", self.began, self.busy_before)
        with open(self.path, encoding="ascii") as file:
            return [int(line) for line in file], check_line(done.output)["questions"]


def threads_us(pid):
    """CPU of a running process for each row, by whose thread it is: ours, Kafka's client's, Cassandra's client's."""
    found = {"pipeline": 0.0, "kafka client": 0.0, "cassandra client": 0.0}
    folder = "/proc/%d/task" % pid
    for thread in os.listdir(folder):
        with open(os.path.join(folder, thread, "stat"), encoding="ascii") as file:
            head, _, fields = file.read().rpartition(")")
        name = head.partition("(")[2]
        whose = "kafka client" if name.startswith("rdk:") else "cassandra client" if name == "cassandra" else "pipeline"
        fields = fields.split()
        found[whose] += 1e6 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") / N
    return found


def measure(broker, node, name):
    topic = broker.new_topic(name)
    where = {"BENCH_TOPIC": topic, "BENCH_BROKERS": broker.brokers}
    node.apply(DECLARATION, **where)
    node.ask("truncate", TABLE)
    stream = Following([FRESHET, "run", DECLARATION, "--progress", "none", "--no-serve", "--state",
                        new_folder("cassandra.state")], "cassandra-latency", "", node.environment(**where))
    with stream:
        time.sleep(2)  # to connect and to install its signal handlers
        watch = Watch(node, N, "cassandra-watch")
        wait_until_quiet()
        busy_before, began, node_before = busy_s(), time.monotonic(), node.cpu_s() + broker.cpu_s()
        feed = start(broker.feed_command(topic, "rate", RATE, N, work_path("kafka-times")), "kafka-feed")
        seen, questions = watch.end()
        made = end_feed(feed)
        wall_s = time.monotonic() - began
        found = {"cpu_us": 1e6 * cpu_s(stream.pid) / N, "threads_us": threads_us(stream.pid), "questions_per_s": questions / wall_s,
                 "servers_share": (node.cpu_s() + broker.cpu_s() - node_before) / wall_s,
                 "busy_share": (busy_s() - busy_before) / wall_s / os.cpu_count(), "load": os.getloadavg()[0]}
    return [(seen[i] - made[i * EACH]) / 1000 for i in range(len(seen))], found


def main():
    with Broker() as broker, Node() as node:
        node.apply(WARM_UP_DECLARATION)
        node.warm_up(WARM_UP_DECLARATION, "cassandra-warm-up")
        measure(broker, node, "warm-up")
        late_ms, found = measure(broker, node, "latency")
    results = dict(found, rows=len(late_ms), max_ms=max(late_ms),
                   **{"p%s_ms" % name: percentile(late_ms, at)
                      for name, at in (("50", 50), ("90", 90), ("99", 99), ("999", 99.9))})
    show("cassandra-latency: an event made until its row is visible in Cassandra, %d events/s for %d s, ms "
         "(goal: p50 under %d, p99 under %d)" % (RATE, SECONDS, GOAL_P50_MS, GOAL_P99_MS),
         ["", "p50", "p90", "p99", "p99.9", "max", "CPU us a row"],
         [["freshet"] + ["%.1f" % results[column] for column in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "cpu_us")]])
    drawn = histogram("freshet", late_ms)
    print("\n".join(["", *drawn]))
    with open(work_path("cassandra-latency.txt"), "w", encoding="ascii") as file:
        file.write("\n".join(drawn) + "\n")
    print("\n  CPU us a row: " + ", ".join("%s %.1f" % one for one in found["threads_us"].items()))
    print("  %d rows looked for, %.0f questions a second; cores used by the servers %.2f, by all %.2f, load %.1f; the drawing: "
          "build/bench/cassandra-latency.txt" % (len(late_ms), found["questions_per_s"], found["servers_share"],
                                                 found["busy_share"] * os.cpu_count(), found["load"]))
    return results
