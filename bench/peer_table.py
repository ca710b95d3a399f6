#!/usr/bin/env python3
"""The programs that Freshet is measured beside, and how each is run: PEERS is the one table of them.

What a peer needs is pinned in its folder of bench/peers, and installed by `scripts/setup peers`; its Java is compiled here. To add one: a
folder with its program and its pins (pom.xml and jars.sha256, or requirements.txt, or Cargo.lock), and a row of PEERS.

A program prints lines of JSON, each with its check; several, where it has several processes, are added up. It may say when its work began
and ended, in one of these ways; else the whole process is taken:

    ready_s, work_s           seconds from its start to the first event, and from there to the last
    first_s, from_s, last_s   seconds from its start to the first rows, to the beginning of the work (else first_s), to its end
    first, last               the same as seconds since 1970; of several processes from the earliest to the latest
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from harness import CORES, HERE, ROOT, WORK, Failed, new_folder, work_path
from kafka_rig import DEPS, java

WORKERS = len(CORES[:2])
BATCH = 15_000  # of dbsp, events a step: 27 s, which with 30 s of lateness are within its waterline of 60 s; of larger steps it drops rows
CHECKPOINT_MS = "1000"
WINDOWS = ("keys", "cnt", "avg", "amount", "qty", "views", "times")
ARRIVAL = ("keys", "cnt", "avg", "times")
UNORDERED = ("keys", "times")
EVENTS_ONLY = ("rows", "keys", "amount", "taxed", "total", "high", "views", "newest_ms")


class Place:
    """Where a run has its events from, and where it may write."""

    def __init__(self, events, folder, broker=None, topic=None):
        self.events = events
        self.folder = folder
        self.broker = broker
        self.topic = topic

    def files(self):
        return sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".jsonl"))

    def kafka(self):
        return [self.broker.brokers, self.topic]


def peer_path(folder, *names):
    return os.path.join(HERE, "peers", folder, *names)


def installed(folder, *names):
    return os.path.join(DEPS, "bench", folder, *names)


def python_of(folder):
    return installed(folder + "-python", "bin", "python3")


def class_path(folder):
    with open(installed(folder, "classpath"), encoding="utf-8") as file:
        return file.read().strip()


def classes(folder):
    return os.path.join(WORK, folder + "-classes")


def java_command(folder, main, *arguments):
    """Its files for a while are in build/bench/peer-files. The JVM has its own sizes, as it is run, unless FRESHET_BENCH_JVM says others."""
    return [java(), *os.environ.get("FRESHET_BENCH_JVM", "").split(), "-Djava.io.tmpdir=" + work_path("peer-files"),
            "--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "-cp", classes(folder) + ":" + class_path(folder), main, *map(str, arguments)]


def flink_files(place):
    return java_command("flink", "FlinkBench", "files", place.events, *place.files())


def flink_kafka(place, checkpoint_ms):
    return java_command("flink", "FlinkBench", "kafka", place.events, *place.kafka(), checkpoint_ms)


def kafka_streams(place, store):
    return java_command("kstreams", "KafkaStreamsBench", *place.kafka(), store, place.events)


def dbsp(place, rows):
    return [installed("dbsp", "cargo", "release", "dbsp-windows"), rows, str(WORKERS), str(BATCH), *place.files()]


def duckdb(place):
    return [os.path.join(ROOT, "build", "release", "bench", "duckdb_load"), str(WORKERS), os.path.join(place.folder, "*.jsonl"),
            peer_path("duckdb_windows.sql"), os.path.join(HERE, "windows_check.sql")]


def polars(place):
    return [python_of("polars"), peer_path("polars", "windows.py"), *place.files()]


def bytewax(_):
    return [python_of("bytewax"), "-m", "bytewax.testing", "windows:flow", "-p", str(WORKERS)]


def quix(place):
    return [python_of("quix"), peer_path("quix", "windows.py"), *place.kafka(), "bench-%d" % time.time_ns(),
            work_path("peer-files", "quix"), str(place.events), str(WORKERS)]


def butterfree_files(place):
    return [python_of("butterfree"), peer_path("butterfree", "features.py"), "files", str(place.events), place.folder]


def butterfree_kafka(place):
    jars = class_path("butterfree").replace(":", ",")
    return [python_of("butterfree"), peer_path("butterfree", "features.py"), "kafka", str(place.events), *place.kafka(), jars]


def spark(place):
    return [python_of("butterfree"), peer_path("butterfree", "windows.py"), str(place.events), place.folder]


class Peer:
    """A row of the table of peers.

    `check` names what it is checked against (table.py computes it by DuckDB) and `checked` which of its figures can be; `share` says that
    it takes a tenth or a hundredth of the events, since it is slow; `note` is told beside its name.
    """

    def __init__(self, name, folder, source, command, check, checked, share=1, processes=1, note=""):
        self.name = name
        self.folder = folder
        self.source = source
        self.command = command
        self.check = check
        self.checked = checked
        self.share = share
        self.processes = processes
        self.note = note


PEERS = [
    Peer("DuckDB, a batch", None, "files", duckdb, "windows", WINDOWS),
    Peer("polars, a batch", "polars", "files", polars, "windows", WINDOWS),
    Peer("Flink", "flink", "files", flink_files, "arrival", UNORDERED),
    Peer("dbsp, newest rows", "dbsp", "files", lambda place: dbsp(place, "newest"), "windows", WINDOWS),
    Peer("dbsp, every row", "dbsp", "files", lambda place: dbsp(place, "every"), "windows", WINDOWS),
    Peer("Bytewax", "bytewax", "files", bytewax, "arrival", UNORDERED, share=10, processes=WORKERS),
    Peer("Spark", "butterfree", "files", spark, "arrival", UNORDERED, share=100, processes=2 + WORKERS),
    Peer("Butterfree", "butterfree", "files", butterfree_files, "events", EVENTS_ONLY, share=10, processes=2,
         note="no windows: it refuses them on streams"),
    Peer("Flink", "flink", "kafka", lambda place: flink_kafka(place, "0"), "arrival", ARRIVAL),
    Peer("Flink, checkpoints", "flink", "kafka", lambda place: flink_kafka(place, CHECKPOINT_MS), "arrival", ARRIVAL),
    Peer("Kafka Streams", "kstreams", "kafka", lambda place: kafka_streams(place, "memory"), "arrival", ARRIVAL),
    Peer("Kafka Streams, changelog", "kstreams", "kafka", lambda place: kafka_streams(place, "memory-changelog"), "arrival", ARRIVAL),
    Peer("Quix", "quix", "kafka", quix, "arrival", ARRIVAL, share=10, processes=WORKERS),
    Peer("Butterfree", "butterfree", "kafka", butterfree_kafka, "events", EVENTS_ONLY, share=10, processes=2,
         note="no windows: it refuses them on streams"),
]


def main_pin(folder):
    """What the version of a folder is: of its main package, the first that its pins name."""
    for name, pattern in (("pom.xml", r"<version>([\d.]+)</version>\s*</dependency>|<flink.version>([\d.]+)<"),
                          ("Cargo.toml", r'^dbsp = "=([\d.]+)"')):
        path = peer_path(folder, name)
        if os.path.exists(path) and not os.path.exists(peer_path(folder, "requirements.txt")):
            with open(path, encoding="utf-8") as file:
                found = re.search(pattern, file.read(), re.M)
            return next(group for group in found.groups() if group)
    with open(peer_path(folder, "requirements.txt"), encoding="utf-8") as file:
        return re.search(r"^[\w-]+==(\S+)", file.read(), re.M).group(1)


def version_of(peer):
    if peer.folder is None:
        with open(os.path.join(ROOT, "scripts", "setup"), encoding="utf-8") as file:
            return re.search(r"^readonly duckdb_version=(\S+)", file.read(), re.M).group(1)
    if peer.name == "Spark":
        with open(peer_path("butterfree", "requirements.txt"), encoding="utf-8") as file:
            return re.search(r"^pyspark==(\S+)", file.read(), re.M).group(1)
    return main_pin(peer.folder)


def missing(folder):
    """Why the peers of a folder cannot be run, or None."""
    if folder is None:
        return None
    needed = {"pom.xml": installed(folder, "classpath"), "requirements.txt": installed(folder + "-python", "pins"),
              "Cargo.lock": installed(folder, "cargo", "release", folder + "-windows")}
    for pins, path in needed.items():
        if os.path.exists(peer_path(folder, pins)) and not os.path.exists(path):
            return "%s is not installed: make bench-peers" % folder
    return None


def compile_java(folder):
    """Compiles the Java programs of the folder, where there are any."""
    sources = [peer_path(folder, name) for name in sorted(os.listdir(peer_path(folder))) if name.endswith(".java")]
    if not sources:
        return
    compiler = os.path.join(os.path.dirname(java()), "javac")
    if shutil.which(compiler) is None:
        raise Failed("there is no %s" % compiler)
    shutil.rmtree(classes(folder), ignore_errors=True)
    done = subprocess.run([compiler, "-nowarn", "-cp", class_path(folder), "-d", classes(folder), *sources],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed("javac: " + done.stderr)


def built():
    """The peers that can be run here; why the others cannot is said, a line a folder."""
    out = {}
    for folder in {peer.folder for peer in PEERS if peer.folder}:
        why = missing(folder)
        if why is None:
            try:
                compile_java(folder)
            except Failed as problem:
                why = "%s: %s" % (folder, str(problem).strip().splitlines()[0])
        if why:
            out[folder] = why
    for why in sorted(out.values()):
        print("bench: LEFT OUT: " + why, flush=True)
    return [peer for peer in PEERS if peer.folder not in out]


def environment(peer, place):
    """Of a peer's process: its modules, and an empty folder for its files."""
    files = new_folder("peer-files")
    return dict(os.environ, BENCH_FOLDER=place.folder if peer.folder == "bytewax" else files,
                PYTHONPATH=peer_path(peer.folder) if peer.folder else "", PYTHONDONTWRITEBYTECODE="1",
                POLARS_MAX_THREADS=str(WORKERS))


def said(output):
    """What the processes of a peer have said, added up."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("it said nothing")
    whole = dict(lines[0])
    for line in lines[1:]:
        for name, value in line.items():
            choose = {"first": min, "last": max}.get(name, lambda a, b: a + b)
            whole[name] = choose(whole[name], value)
    return whole


def times(found, wall_s, started):
    """Seconds from the start to the first rows (None: they come at the end), and seconds of work."""
    if "work_s" in found:
        return found["ready_s"], found["work_s"]
    if "last_s" in found:
        return found["first_s"], found["last_s"] - found.get("from_s", found["first_s"])
    if "last" in found:
        return found["first"] - started, found["last"] - found["first"]
    return None, wall_s


if __name__ == "__main__":  # make bench-peers
    for one in built():
        print("bench: %s: %s %s is there" % (one.source, one.name, version_of(one)))
