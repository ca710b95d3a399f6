"""Kafka, end to end: from an event being made to its row being in the table, at 2,000 events/s.

kafka_feed makes the events, each when it is due, and notes the time just before it hands it to its Kafka client, which does not
linger. The broker and whoever reads run on the same two cores.

Freshet is looked at from outside: this process asks over the socket how many rows the table has, once by the status, whose number
grows when rows have become visible to queries, and once by SQL; the topic has one partition, and is read in order, so n rows are those of the
first n events. Between an answer and the next question it sleeps for PAUSE_S, to leave the cores to the others. Each figure thus holds the
question itself, and the pause and the question before; a question in SQL takes more than a millisecond of the two cores.
Kafka Streams notes by itself, in its own process, when an event's row is in its store: nobody asks, so its figures hold
less than ours.

kafka_floor is a consumer that does nothing: what it shows is the broker's own latency, and the least that anybody could have. It is
measured before Freshet and after it; what Freshet takes beyond it is Freshet's (and the question's).

A first measurement of Freshet is thrown away: the broker is slow until Java has compiled it.
The first quarter is left out of all, for Kafka Streams is compiled then.
"""

import time

from harness import EVENTS, Failed, busy_s, finish, percentile, show, start, wait_until_quiet, work_path
from kafka_rig import (FLOOR, STORES, TABLE, Broker, build_peer, freshet_stream, missing_peer,
                       remove_peer_state, start_peer)

RATE = 2000
SECONDS = 24 if EVENTS >= 1_000_000 else 6
N = RATE * SECONDS
WARM_UP = N // 4
PAUSE_S = 0.0002
GOAL_P50_MS, GOAL_P99_MS = 0.5, 1  # more than the bare consumer
BORDERS_MS = (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7, 10, 20, 50, 100, 200, 500)
BAR = 48
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9)  # of the picture that plots.py draws
COUNT = "select count(*) as n from " + TABLE


def start_feed(broker, topic):
    return start(broker.feed_command(topic, "rate", RATE, N, work_path("kafka-times")), "kafka-feed")


def end_feed(process):
    """Waits for the producer; when each event was made, in microseconds."""
    process.stdout.read()
    process.stdout.close()
    if process.wait() != 0:
        raise Failed("kafka_feed failed; see build/bench/kafka-feed.log")
    with open(work_path("kafka-times"), encoding="ascii") as file:
        return [int(line) for line in file]


def rows_by_sql(client):
    return client.ask(COUNT)[0]["n"]


def rows_by_status(client):
    return client.status()["table_rows"]


def watch(client, rows_now, deadline):
    """When each event's row was first in an answer, in microseconds."""
    seen = []
    answers = 0
    while len(seen) < N:
        rows, now = rows_now(client), time.time_ns() // 1000
        seen += [now] * (rows - len(seen))
        answers += 1
        if time.monotonic() > deadline:
            raise Failed("kafka-latency: %d rows of %d in time" % (len(seen), N))
        time.sleep(PAUSE_S)
    if len(seen) > N:
        raise Failed("CHECK of kafka-latency: %d rows of %d events" % (len(seen), N))
    return seen, answers


def measure_freshet(broker, name, rows_now):
    topic = broker.new_topic(name, 1)
    with freshet_stream(broker, topic, "kafka-latency", 2 * N) as stream:
        client = stream.connect()
        client.ask(COUNT)
        time.sleep(1)
        wait_until_quiet()
        feed = start_feed(broker, topic)
        seen, answers = watch(client, rows_now, time.monotonic() + SECONDS + 30)
        made = end_feed(feed)
        client.close()
    return [(seen[i] - made[i]) / 1000 for i in range(N)], answers / SECONDS


def measure_floor(broker, name):
    """How late each event was at a consumer that does nothing."""
    topic = broker.new_topic(name, 1)
    path = work_path("kafka-floor-times")
    busy_before, began = busy_s(), time.monotonic()
    process = start([FLOOR, broker.brokers, topic, str(N), path], "kafka-floor")
    if process.stdout.readline().strip() != b"READY":
        finish(process, "kafka-floor", began, busy_before)
        raise Failed("kafka_floor did not get ready; see build/bench/kafka-floor.log")
    time.sleep(1)
    wait_until_quiet()
    feed = start_feed(broker, topic)
    try:
        finish(process, "kafka-floor", began, busy_before)
    finally:
        made = end_feed(feed)
    with open(path, encoding="ascii") as file:
        return [(int(line) - made[i]) / 1000 for i, line in enumerate(file)]


def measure_peer(broker, store):
    topic = broker.new_topic("latency-" + store, 1)
    path = work_path("kafka-peer-latencies")
    busy_before, began = busy_s(), time.monotonic()
    process = start_peer(broker, topic, store, N, "kafka-peer", path)
    if process.stdout.readline().strip() != b"READY":
        finish(process, "kafka-peer", began, busy_before)
        raise Failed("kafka streams did not get ready; see build/bench/kafka-peer.log")
    time.sleep(1)
    feed = start_feed(broker, topic)
    try:
        finish(process, "kafka-peer", began, busy_before)
    finally:
        end_feed(feed)
    remove_peer_state()
    with open(path, encoding="ascii") as file:
        return [int(line) / 1000 for line in file]


def histogram(name, late_ms):
    """The lines of a drawing: how many events took how long."""
    counts = [0] * (len(BORDERS_MS) + 1)
    for late in late_ms:
        counts[sum(late >= border for border in BORDERS_MS)] += 1
    used = [i for i, count in enumerate(counts) if count]
    lines = ["  %s" % name]
    for i in range(used[0], used[-1] + 1):
        label = "over %g" % BORDERS_MS[-1] if i == len(BORDERS_MS) else "under %g" % BORDERS_MS[i]
        share = counts[i] / len(late_ms)
        lines.append("    %10s ms  %5.1f %%  %s" % (label, 100 * share, "#" * round(BAR * share)
                                                    or ("." if counts[i] else "")))
    return lines


def summary(late_ms):
    late_ms = late_ms[WARM_UP:]
    return {"events": len(late_ms), "p50_ms": percentile(late_ms, 50), "p90_ms": percentile(late_ms, 90),
            "p99_ms": percentile(late_ms, 99), "p999_ms": percentile(late_ms, 99.9), "max_ms": max(late_ms),
            "distribution_ms": [(percent, percentile(late_ms, percent)) for percent in PERCENTILES]}


def main():
    with Broker() as broker:
        missing = missing_peer()
        measure_freshet(broker, "warm-up", rows_by_status)
        late = {"a bare consumer": measure_floor(broker, "floor")}
        late["freshet, by its status"], _ = measure_freshet(broker, "latency-status", rows_by_status)
        late["freshet, by SQL"], asked = measure_freshet(broker, "latency-sql", rows_by_sql)
        late["a bare consumer, again"] = measure_floor(broker, "floor-again")
        if missing:
            print("\n  left out: " + missing)
        else:
            build_peer()
            for store in STORES:
                late["kafka streams, " + store] = measure_peer(broker, store)
    results = {name: summary(of) for name, of in late.items()}
    show("kafka-latency: an event made until its row is in the table, %d events/s for %d s, ms (goal: p50 the bare consumer's + %g, "
         "p99 + %g; %s)" % (RATE, SECONDS, GOAL_P50_MS, GOAL_P99_MS, broker.what()),
         ["", "p50", "p90", "p99", "p99.9", "max"],
         [[name] + ["%.2f" % of[column] for column in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")]
          for name, of in results.items()])
    drawn = [line for name, of in late.items() for line in ["", *histogram(name, of[WARM_UP:])]]
    print("\n".join(drawn))
    with open(work_path("kafka-latency.txt"), "w", encoding="ascii") as file:
        file.write("\n".join(drawn[1:]) + "\n")
    print("\n  questions a second to freshet: %.0f; the drawing: build/bench/kafka-latency.txt" % asked)
    return dict(results, questions_per_s=asked, broker=broker.what())
