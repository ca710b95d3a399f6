"""The table: the windows job by Freshet, by the build of another commit, and by every peer that is there (peer_table.py).

Events come from files, or from a topic of four partitions of a real broker, which shares the two cores with whoever reads. All take turns,
FRESHET_BENCH_ROUNDS times (5, unless it is said), each round in the other direction, the slow ones three times at most; each is checked at each run. FRESHET_BENCH_BASE=REV
(make bench BASE=REV) adds the build of that commit.

Freshet runs with a checkpoint a second and a table of the last 100,000 rows. That such a table is right cannot be seen from its rows, so each
build is also run once a round, not measured, with a table of all rows, whose newest of each key must be DuckDB's; the measured
run must have read and kept as many rows as there are.

From files its figure is of the whole process, from fork to exit, with its start and its last checkpoint; from Kafka, from the first row
to the last. A peer's is as it says itself (peer_table.py), its start not counted, whatever is better for it. CPU and memory are of the whole
process, with all that it starts. `first row` is from fork to the first row in the table.
"""

import contextlib
import os
import shutil
import threading
import time

import harness
import kafka
import kafka_rig
import peer_table
import results
from client import Client
from compare import base_of
from generate import generate
from harness import (CORES, EVENTS, FRESHET, HERE, ROOT, WORK, Failed, Missing, busy_s, check_line, environment, finish, median, memory,
                     run, same_check, show, start, wait_until_quiet, work_path)
from peer_table import Place
from process_tree import Watch, family

ROUNDS = int(os.environ.get("FRESHET_BENCH_ROUNDS", "5"))
SLOW_ROUNDS = min(3, ROUNDS)  # of those that take a part of the events only
DUCKDB = os.path.join(ROOT, "build", "release", "bench", "duckdb_load")
ROWS = 100_000
DEADLINE_S = 300
THIS = results.commit()  # how this build is called
LOOK_S = 0.005
CHECKS = {  # name: how DuckDB computes it
    "windows": ("peers/duckdb_windows.sql", "windows_check.sql"),
    "arrival": ("peers/kstreams/expected.sql", "peers/kstreams/expected_check.sql"),
    "events": ("peers/duckdb_load.sql", "check.sql"),
}
SOURCES = {"files": "from files", "kafka": "from a topic of 4 partitions, the broker on the same two cores"}


def events_of(share):
    return max(1000, EVENTS // share)


def folder_of(events):
    return generate(os.path.join(WORK, "events-%d" % events), events)


class Expected:
    """The checks, computed where they are asked for, once each."""

    def __init__(self):
        self.found = {}

    def of(self, check, events):
        if (check, events) not in self.found:
            load, query = (os.path.join(HERE, path) for path in CHECKS[check])
            pattern = os.path.join(folder_of(events), "*.jsonl")
            self.found[check, events] = check_line(run([DUCKDB, "2", pattern, load, query], "table-expected", CORES[:2]).output)
        return self.found[check, events]


def query_in(name):
    with open(os.path.join(HERE, name), encoding="ascii") as file:
        return file.read()


def clear(folder):
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def workers(n):
    """While it lasts, a freshet that is started takes so many workers (None: as many as it likes)."""
    kept = os.environ.pop("FRESHET_WORKERS", None)
    if n is not None:
        os.environ["FRESHET_WORKERS"] = str(n)
    try:
        yield
    finally:
        os.environ.pop("FRESHET_WORKERS", None)
        if kept is not None:
            os.environ["FRESHET_WORKERS"] = kept


class FirstRow(threading.Thread):
    """Asks a running pipeline for its status until a row is in its table, and then no more."""

    def __init__(self, pipeline, began):
        super().__init__(daemon=True)
        self.path = os.path.join(WORK, "run", pipeline + ".sock")
        self.began = began
        self.is_over = threading.Event()
        self.seconds = None

    def run(self):
        client = None
        while not self.is_over.wait(LOOK_S):
            try:
                client = client or Client(self.path)
                status = client.status()
            except (OSError, Failed):
                client = None  # not there yet, or no more
                continue
            if status["table_rows"] + status["table_trimmed"] > 0:
                self.seconds = time.monotonic() - self.began
                client.close()
                return


class Candidate:
    """A row of the table; its runs are lines of the results."""

    version = note = ""
    share = 1

    def __init__(self, name, source):
        self.name = name
        self.source = source
        self.runs = []

    def events(self):
        return events_of(self.share)

    def measure(self, turn):
        """One run, measured with steady memory."""
        try:
            found, slower = memory.steadily(self.once, self.name)
        except Failed as problem:
            raise Failed("%s, %s: %s" % (self.name, self.source, problem)) from None
        found = {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}
        found["memory_slower"] = round(slower, 2)
        self.runs.append(dict(found, round=turn))

    def log_runs(self):
        for found in self.runs:
            results.log.add("table", name=self.name, source=self.source, version=self.version, note=self.note, events=self.events(),
                            **found)


class Freshet(Candidate):
    """windows.yaml from files, with checkpoints and a small table."""

    def __init__(self, build, binary, n):
        super().__init__(name_of(build, n), "files")
        self.version = build
        self.binary = binary
        self.n = n

    declaration, pipeline, check = "windows.yaml", "bench_windows", "windows"
    count = "select count(*) as n from " + kafka_rig.TABLE
    state = work_path("table.state")

    def command(self, query):
        command = [self.binary, "run", os.path.join(HERE, self.declaration), "--once", "--query", query, "--format", "json",
                   "--progress", "none"]
        return command + ["--state", self.state] if self.state else command

    def environment(self, rows):
        return dict(environment(os.path.join(folder_of(EVENTS), "*.jsonl")), BENCH_ROWS=str(rows))

    def once(self):
        clear(self.state)
        wait_until_quiet()
        with workers(self.n):
            busy_before, began = busy_s(), time.monotonic()
            first = FirstRow(self.pipeline, began)
            process = start(self.command(self.count), "table-freshet", CORES[:2], self.environment(ROWS))
            first.start()
            try:
                done = finish(process, "table-freshet", began, busy_before)
            finally:
                first.is_over.set()
                first.join()
        same_check({"n": min(ROWS, EVENTS)}, check_line(done.output), self.name)
        return {"work_s": done.wall_s, "first_s": first.seconds, "cpu_s": done.cpu_s, "peak_mib": done.peak_mib,
                "others_share": done.others}

    def verify(self, expected):
        """The same with a table of all rows, not measured."""
        clear(self.state)
        with workers(self.n):
            done = run(self.command(query_in(CHECKS[self.check][1])), "table-verify", CORES[:2], self.environment(2 * EVENTS))
        clear(self.state)
        same_check(expected.of(self.check, EVENTS), check_line(done.output), self.name)


class FreshetEvents(Freshet):
    """events.yaml from files, beside Butterfree: without windows, nothing to keep, so without a state folder."""

    declaration, pipeline, check, state = "events.yaml", "bench_events", "events", None
    count = "select count(*) as n from " + harness.TABLE
    note = "beside Butterfree"

    def __init__(self, build, binary, n):
        super().__init__(build, binary, n)
        self.name += ", no windows"


class FreshetKafka(Candidate):
    """kafka.yaml, which follows its topic for ever, with checkpoints and a small table."""

    def __init__(self, build, binary, n, broker, expected):
        super().__init__(name_of(build, n), "kafka")
        self.version = build
        self.binary = binary
        self.n = n
        self.small = kafka.SmallTable(broker, None)
        self.whole = kafka.Once(broker, expected.of("windows", EVENTS))

    def started(self, stream):
        harness.FRESHET = self.binary
        try:
            with workers(self.n):
                return stream.measure_once()
        finally:
            harness.FRESHET = FRESHET

    def once(self):
        found = self.started(self.small)
        return {"work_s": EVENTS / found["events_per_s"], "first_s": found["ready_s"], "cpu_s": found["cpu_s"],
                "peak_mib": found["peak_mib"], "broker_cpu_s": found["broker_cpu_s"], "others_share": found["others_share"]}

    def verify(self, _):
        self.started(self.whole)


class PeerRun(Candidate):
    """A row of peer_table.PEERS."""

    def __init__(self, peer, expected, broker=None, topic=None):
        super().__init__(peer.name, peer.source)
        self.peer, self.expected, self.broker, self.topic = peer, expected, broker, topic
        self.version, self.note, self.share = peer_table.version_of(peer), peer.note, peer.share

    def once(self):
        place = Place(self.events(), folder_of(self.events()), self.broker, self.topic)
        wait_until_quiet()
        env = peer_table.environment(self.peer, place)
        broker_before = self.broker.cpu_s() if self.broker else 0
        busy_before, began, started = busy_s(), time.monotonic(), time.time()
        process = start(self.peer.command(place), "table-peer", CORES[:2], env)
        late = threading.Timer(DEADLINE_S, end_family, [process.pid])
        late.start()
        try:
            with Watch(process.pid) as watch:
                done = finish(process, "table-peer", began, busy_before)
        finally:
            late.cancel()
        broker_s = self.broker.cpu_s() - broker_before if self.broker else 0
        found = peer_table.said(done.output)
        expected = self.expected.of(self.peer.check, self.events())
        same_check({name: expected[name] for name in self.peer.checked}, found, self.name)
        first_s, work_s = peer_table.times(found, done.wall_s, started)
        is_one = self.peer.processes == 1
        used_s = done.cpu_s if is_one else max(done.cpu_s, watch.cpu_s)
        figures = {"work_s": work_s, "first_s": first_s, "cpu_s": used_s, "whole_s": done.wall_s,
                   "peak_mib": done.peak_mib if is_one else watch.peak_mib,
                   "others_share": max(0.0, busy_s() - busy_before - used_s - broker_s) / done.wall_s / os.cpu_count()}
        return dict(figures, broker_cpu_s=broker_s) if self.broker else figures


def end_family(pid):
    for one in reversed(family(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, 9)


def name_of(build, n):
    who = "freshet" if build == THIS else "freshet of " + build
    return who + (", 1 worker" if n == 1 else ", %d workers" % len(CORES[:2]))


def builds():
    """Name and binary: this one, and that of FRESHET_BENCH_BASE."""
    base = os.environ.get("FRESHET_BENCH_BASE")
    found = [(THIS, FRESHET)]
    return found + [base_of(base)] if base else found


def measure(candidates, expected):
    """All of them in turns; one that fails is left out from there on, and told."""
    failed = []
    for turn in range(ROUNDS):
        for one in (candidates if turn % 2 == 0 else reversed(candidates)):
            if one in failed or (one.share > 1 and turn >= SLOW_ROUNDS):
                continue
            try:
                if hasattr(one, "verify"):
                    one.verify(expected)
                one.measure(turn)
            except Failed as problem:
                print("bench: FAILED: %s" % problem, flush=True)
                failed.append(one)
                one.runs = []  # whose check failed once has no figures at all
        print("bench: %s, round %d of %d" % (candidates[0].source, turn + 1, ROUNDS), flush=True)
    for one in candidates:
        one.log_runs()
    return failed


def spread(values, text):
    return "%s (%s..%s)" % tuple(text % of for of in (median(values), min(values), max(values)))


HEADER = ["", "version", "events", "events/s", "freshet is", "us of CPU an event", "peak MiB", "first row, ms", "others' load"]


def lines_of(rows):
    """The table's lines: of rows, which are dicts with name, version, note, events and runs; the first is what others are compared with."""
    def speed(row):
        return row["events"] / median([one["work_s"] for one in row["runs"]])

    lines = []
    for row in rows:
        runs, events = row["runs"], row["events"]
        firsts = [1000 * one["first_s"] for one in runs if one["first_s"] is not None]
        lines.append([
            row["name"] + (" (%s)" % row["note"] if row["note"] else ""), row["version"], "%d" % events,
            spread([events / one["work_s"] for one in runs], "%.0f"), "%.1f x" % (speed(rows[0]) / speed(row)),
            spread([1e6 * one["cpu_s"] / events for one in runs], "%.2f"), "%.0f" % median([one["peak_mib"] for one in runs]),
            "%.0f" % median(firsts) if firsts else "at the end",
            "%.0f %%" % (100 * max(one["others_share"] for one in runs))])
    return lines


def row_of(candidate):
    return {"name": candidate.name, "version": candidate.version, "note": candidate.note, "events": candidate.events(),
            "runs": candidate.runs}


def table_of(source, candidates):
    rows = [row_of(one) for one in candidates if one.runs]
    show("%s: windows of 120 s and checkpoints, %s, two cores, median (least..most) of %d, of the slow %d"
         % (source, SOURCES[source], ROUNDS, SLOW_ROUNDS),
         HEADER, lines_of(rows))
    return rows


def from_files(peers, expected):
    everyone = [Freshet(build, binary, n) for build, binary in builds() for n in (None, 1)]
    everyone += [FreshetEvents(THIS, FRESHET, None)]
    everyone += [PeerRun(peer, expected) for peer in peers if peer.source == "files"]
    return everyone, measure(everyone, expected)


def from_kafka(peers, expected, broker):
    topics = {}
    for share in sorted({1} | {peer.share for peer in peers if peer.source == "kafka"}):
        topics[share] = broker.new_topic(kafka.TOPIC if share == 1 else "events-of-%d" % share)
        broker.feed(topics[share], "lines", *Place(0, folder_of(events_of(share))).files())
    everyone = [FreshetKafka(build, binary, n, broker, expected) for build, binary in builds() for n in (None, 1)]
    everyone += [PeerRun(peer, expected, broker, topics[peer.share]) for peer in peers if peer.source == "kafka"]
    return everyone, measure(everyone, expected)


def main():
    expected, tables, failed = Expected(), {}, []
    peers = peer_table.built()
    files, failed = from_files(peers, expected)
    tables["files"] = table_of("files", files)
    try:
        with kafka_rig.Broker() as broker:
            print("\nbench: " + broker.what(), flush=True)
            topics, more = from_kafka(peers, expected, broker)
        tables["kafka"] = table_of("kafka", topics)
        failed += more
    except Missing as problem:
        print("bench: kafka LEFT OUT: %s" % problem, flush=True)
    if failed:
        raise Failed("of the table: " + ", ".join("%s, %s" % (one.name, one.source) for one in failed))
    return {"events": EVENTS, "rounds": ROUNDS, "tables": tables}
