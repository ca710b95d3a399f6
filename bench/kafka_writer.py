"""Kafka writer: the feature rows of 2,000,000 events of JSON files into a topic of four partitions, exactly once.

Freshet with a checkpoint, and so a transaction, a second; the peer is confluent_kafka's transactional producer in a
script, a transaction a second, which does not note how far it came. The whole process each, on two cores together with
the broker, each into a topic of its own, whose rows a `read_committed` reader adds up behind the clock.
"""

import glob
import os
import shutil

from generate import generate
from harness import (EVENTS, FRESHET, HERE, ROUNDS, WORK, Failed, Missing, check_line, environment, median, run,
                     same_check, show, wait_until_quiet, work_path)
from kafka_rig import DEPS, Broker

DECLARATION = os.path.join(HERE, "kafka_writer.yaml")
PEER = os.path.join(HERE, "peers", "kafka_producer.py")
PYTHON = os.path.join(DEPS, "python", "bin", "python3")


def freshet(broker, topic, pattern):
    state = work_path("kafka-writer.state")
    shutil.rmtree(state, ignore_errors=True)
    command = [FRESHET, "run", DECLARATION, "--once", "--progress", "none", "--state", state]
    env = dict(environment(pattern), BENCH_TOPIC=topic, BENCH_BROKERS=broker.brokers)
    try:
        return run(command, "kafka-writer", env=env)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def confluent(broker, topic, pattern):
    return run([PYTHON, PEER, "write", broker.brokers, topic, *sorted(glob.glob(pattern))], "kafka-writer-peer")


COMPETITORS = {"freshet": freshet, "confluent_kafka, python": confluent}


def check(broker, topic):
    return check_line(run([PYTHON, PEER, "check", broker.brokers, topic], "kafka-writer-check").output)


def measure(broker, pattern):
    """Runs and topics in turns; each must hold the same rows, each once."""
    runs, expected = {name: [] for name in COMPETITORS}, None
    for turn in range(ROUNDS):
        for n, (name, one) in enumerate(COMPETITORS.items()):
            topic = broker.new_topic("rows-%d-%d" % (turn, n))
            wait_until_quiet()
            before = broker.cpu_s()
            done = one(broker, topic, pattern)
            runs[name].append((done, broker.cpu_s() - before))
            found = check(broker, topic)
            if found["rows"] != EVENTS:
                raise Failed("CHECK of %s: %d rows of %d" % (name, found["rows"], EVENTS))
            expected = expected or found
            same_check(expected, found, name)
    return runs


def figures(of):
    return {"rows_per_s": EVENTS / median([done.wall_s for done, _ in of]),
            "peak_mib": median([done.peak_mib for done, _ in of]),
            "cpu_s": median([done.cpu_s for done, _ in of]),
            "broker_cpu_s": median([broker_s for _, broker_s in of]),
            # the broker is not one of the others
            "others_share": max(max(0.0, done.others - broker_s / done.wall_s / os.cpu_count())
                                for done, broker_s in of)}


def main():
    if not os.access(PYTHON, os.X_OK):
        raise Missing("there is no %s; scripts/setup bench installs it" % PYTHON)
    pattern = os.path.join(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS), "*.jsonl")
    with Broker() as broker:
        results = {name: figures(of) for name, of in measure(broker, pattern).items()}
    show("kafka-writer: rows of %d events into 4 partitions, exactly once, on two cores with the broker, median of %d"
         % (EVENTS, ROUNDS),
         ["", "rows/s", "peak MiB", "CPU s", "broker's CPU s", "others' load"],
         [[name, "%.0f" % of["rows_per_s"], "%.0f" % of["peak_mib"], "%.2f" % of["cpu_s"],
           "%.2f" % of["broker_cpu_s"], "%.0f %%" % (100 * of["others_share"])] for name, of in results.items()])
    return {"events": EVENTS, "rounds": ROUNDS, "competitors": results}
