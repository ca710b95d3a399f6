"""Kafka: 2,000,000 events from a topic of four partitions through windows into the debug table, with checkpoints.

On two cores together with the broker; Kafka Streams does the same job in the same run. The events are in the topic before;
producing is not measured. Freshet is measured twice:

- `--once`: takes all there is, makes its last checkpoint, answers the check query and ends. The figure is of the whole
  process, from fork to exit.
- `stream`: follows the topic for ever, as in production. Its own status, asked each 10 ms, tells the first and the last row in the
  table; the figure is from the former to the latter. That is how Kafka Streams' is taken, too. Once with a table that
  holds all rows, whose newest are checked, and once with the last 100,000, as many as Kafka Streams keeps.

The last row is there when all events are read and every row that came out is in the table, or trimmed from it: a late event
gives its key's newest row again, so there are some more rows than events.
"""

import os
import time

from generate import generate
from harness import (CORES, EVENTS, HERE, ROOT, ROUNDS, WORK, Failed, busy_s, check_line, cpu_s, finish, median,
                     memory, peak_mib, run, same_check, show, wait_until_quiet)
from kafka_rig import (PEER, STORES, Broker, build_peer, freshet_command, freshet_environment, freshet_stream,
                       missing_peer, new_state, remove_peer_state, start_peer)

DUCKDB = os.path.join(ROOT, "build", "release", "bench", "duckdb_load")
CHECK = os.path.join(HERE, "windows_check.sql")
TOPIC = "events"
DEADLINE_S = 300
LOOK_S = 0.01
GOAL = 1_200_000
GOAL_MIB = 200


def expected_check(pattern, load, check):
    """DuckDB's answer, over the same events."""
    done = run([DUCKDB, "1", pattern, load, check], "kafka-expected", CORES[-1:])
    return check_line(done.output)


def figures(work_s, ready_s, of_cpu_s, of_peak_mib, others):
    return {"events_per_s": EVENTS / work_s, "ready_s": ready_s, "cpu_s": of_cpu_s, "peak_mib": of_peak_mib,
            "others_share": others}


def others_share(busy_before, wall_s, ours_s):
    return max(0.0, busy_s() - busy_before - ours_s) / wall_s / os.cpu_count()


class Competitor:
    def __init__(self, broker, expected):
        self.broker = broker
        self.expected = expected

    def measure(self):
        """One run: its figures. The broker's CPU time is added, and not counted as the others'."""
        found, found_memory = memory.steadily(self.measure_once, self.name)
        return dict(found, memory_slower=found_memory)

    def measure_once(self):
        wait_until_quiet()
        before, busy_before, began = self.broker.cpu_s(), busy_s(), time.monotonic()
        found = self.run_once()
        wall_s = time.monotonic() - began
        found["broker_cpu_s"] = self.broker.cpu_s() - before
        found["others_share"] = others_share(busy_before, wall_s, found["cpu_s"] + found["broker_cpu_s"])
        return found


class Once(Competitor):
    name = "freshet --once, whole process"

    def run_once(self):
        with open(CHECK, encoding="ascii") as file:
            query = file.read()
        done = run(freshet_command("--once", "--query", query, "--format", "json", "--state", new_state()),
                   "kafka-once", env=freshet_environment(self.broker, TOPIC, 2 * EVENTS))
        same_check(self.expected, check_line(done.output), self.name)
        return figures(done.wall_s, None, done.cpu_s, done.peak_mib, done.others)


class Stream(Competitor):
    name = "freshet, stream"
    rows = 2 * EVENTS

    def run_once(self):
        started = time.monotonic()
        with freshet_stream(self.broker, TOPIC, "kafka-stream", self.rows) as stream:
            client = stream.connect()
            (first, read_first), (last, status) = self.watch(client, started + DEADLINE_S)
            used_s, used_mib = cpu_s(stream.pid), peak_mib(stream.pid)
            self.check(client, status)
            client.close()
        # What was read before the first look at rows is not counted: it was done before the clock began.
        work_s = (last - first) * EVENTS / max(1, EVENTS - read_first)
        return figures(work_s, first - started, used_s, used_mib, None)

    def watch(self, client, deadline):
        """When the first rows were there, and how many events had been read then; when all were there, and the status."""
        first = last = None
        while True:
            status, now = client.status(), time.monotonic()
            shown = status["table_rows"] + status["table_trimmed"]
            if first is None and shown > 0:
                first = now, status["rows_read"]
            if min(status["rows_read"], status["rows_written"]) >= EVENTS and shown == status["rows_written"]:
                if last is not None and last[1] == status["rows_written"]:
                    return first, (last[0], status)
                last = now, status["rows_written"]  # the end, if it is still so at the next look
            if now > deadline:
                raise Failed("%s: %s after %d s" % (self.name, status, DEADLINE_S))
            time.sleep(LOOK_S)

    def check(self, client, _):
        with open(CHECK, encoding="ascii") as file:
            same_check(self.expected, client.ask(file.read())[0], self.name)


class SmallTable(Stream):
    name = "freshet, stream, table of 100,000 rows"
    rows = 100_000

    def check(self, client, status):
        if status["dead_letters"] or status["rows_late"] or status["rows_written"] < EVENTS:
            raise Failed("CHECK of %s: %s" % (self.name, status))


class Peer(Competitor):
    def __init__(self, broker, expected, store):
        super().__init__(broker, expected)
        self.store = store
        self.name = "kafka streams, " + store

    def run_once(self):
        busy_before, began = busy_s(), time.monotonic()
        process = start_peer(self.broker, TOPIC, self.store, EVENTS, "kafka-peer")
        done = finish(process, "kafka-peer", began, busy_before)
        remove_peer_state()
        said = check_line(done.output)
        same_check(self.expected, said, self.name)
        return figures(said["work_s"], said["ready_s"], done.cpu_s, done.peak_mib, done.others)


def competitors(broker, pattern):
    expected = expected_check(pattern, os.path.join(HERE, "peers", "duckdb_windows.sql"), CHECK)
    everyone = [Once(broker, expected), Stream(broker, expected), SmallTable(broker, expected)]
    missing = missing_peer()
    if missing:
        print("\n  left out: " + missing)
        return everyone
    build_peer()
    expected = expected_check(pattern, os.path.join(PEER, "expected.sql"), os.path.join(PEER, "expected_check.sql"))
    return everyone + [Peer(broker, expected, store) for store in STORES]


def middle(runs):
    """Of each figure the median; of others' load the worst."""
    found = {name: None if runs[0][name] is None else median([r[name] for r in runs]) for name in runs[0]}
    found["others_share"] = max(r["others_share"] for r in runs)
    return found


def show_all(results):
    def cell(text, value):
        return "-" if value is None else text % value

    show("kafka: %d JSON events from 4 partitions to windows of 120 s and checkpoints, on two cores with the broker, "
         "median of %d (goal: %d events/s, under %d MiB)" % (EVENTS, ROUNDS, GOAL, GOAL_MIB),
         ["", "events/s", "ready s", "peak MiB", "CPU s", "broker's CPU s", "others' load"],
         [[name, "%.0f" % of["events_per_s"], cell("%.2f", of["ready_s"]), "%.0f" % of["peak_mib"],
           "%.2f" % of["cpu_s"], "%.2f" % of["broker_cpu_s"], "%.0f %%" % (100 * of["others_share"])]
          for name, of in results.items()])
    durable = results.get("kafka streams, " + STORES[0])
    if durable:
        for name in (Stream.name, SmallTable.name):
            ours = results[name]
            print("\n  %s, against kafka streams, both durable: %.1f times the events/s, %.2f of the memory"
                  % (name, ours["events_per_s"] / durable["events_per_s"], ours["peak_mib"] / durable["peak_mib"]))


def main():
    folder = generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS)
    files = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".jsonl"))
    with Broker() as broker:
        print("\n  " + broker.what())
        fed = broker.feed(broker.new_topic(TOPIC), "lines", *files)
        print("\n  producing, not measured with the rest: %.0f events/s" % (EVENTS / fed.wall_s))
        everyone = competitors(broker, os.path.join(folder, "*.jsonl"))
        runs = {one.name: [] for one in everyone}
        for _ in range(ROUNDS):
            for one in reversed(everyone):
                runs[one.name].append(one.measure())
    results = {name: middle(of) for name, of in runs.items()}
    show_all(results)
    return {"events": EVENTS, "rounds": ROUNDS, "broker": broker.what(), "competitors": results}
