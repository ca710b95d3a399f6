"""What the Cassandra benchmarks share: a real node, a table in it, and the programs of Cassandra's drivers.

The node gets no options of the tests' that make it start quicker and serve slower. Everything runs on the same two cores. A
node that has just started is slow until Java has compiled what is used: some 800,000 rows go through it before anything
is measured.
"""

import os
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta

from harness import (CORES, FRESHET, HERE, ROOT, WORK, Failed, Missing, busy_s, cpu_s, environment, finish, new_folder, run,
                     start, work_path)

sys.path.append(os.path.join(ROOT, "tests", "services"))

import servers  # noqa: E402
from server import DEPS, ServerError, java  # noqa: E402

KEYSPACE = "bench"
PYTHON = os.path.join(DEPS, "python", "bin", "python3")
ADAPTER = os.path.join(ROOT, "build", "adapter", "libfreshet_cassandra.so")
PEER = os.path.join(HERE, "peers", "cassandra_driver.py")
JAVA_PEER = os.path.join(HERE, "peers", "cassandra_java", "CassandraDriverBench.java")
JAVA_CLASSES = os.path.join(WORK, "cassandra-java-classes")
WARM_UP_ROWS = 800_000
WARM_UP_TIMES = 8
FILE_ROWS = 200_000
SETTINGS = {"auto_snapshot": "false"}


class Node:
    """A Cassandra of our own, as a context; while it runs, all that is started here is held on two cores."""

    def __enter__(self):
        if not os.access(PYTHON, os.X_OK):
            raise Missing("there is no %s; scripts/setup bench installs it" % PYTHON)
        self.cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES[:2])
        self.server = servers.create("cassandra", new_folder("cassandra-node"), owner=os.getpid(), properties=SETTINGS)
        try:
            self.place = dict(self.server.up(), CASSANDRA_KEYSPACE=KEYSPACE)
        except (ServerError, FileNotFoundError) as problem:
            os.sched_setaffinity(0, self.cores)
            raise Missing("no Cassandra node: %s" % problem) from None
        self.pid = self.server.pid()
        return self

    def __exit__(self, *_):
        self.server.down()
        os.sched_setaffinity(0, self.cores)

    def cpu_s(self):
        return cpu_s(self.pid)

    def environment(self, files="events.jsonl", **more):
        adapter = {"FRESHET_CASSANDRA_ADAPTER": ADAPTER}
        return {**adapter, **environment(files), **self.place, **more}

    def apply(self, declaration, **more):
        """Makes keyspace and table. Missing where there is no adapter."""
        done = subprocess.run([FRESHET, "apply", declaration, "--replicas", "1", "--yes"],
                              env=self.environment(**more), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            kind = Missing if "adapter" in done.stderr else Failed
            raise kind("freshet apply: " + done.stderr.strip())

    def ask(self, *words):
        """Runs the Python driver's program; what it printed, and what it cost."""
        return run([PYTHON, PEER, *map(str, words)], "cassandra-driver", env=self.environment())

    def address(self):
        return "%s:%s" % (self.place["CASSANDRA_HOST"], self.place["CASSANDRA_PORT"])

    def warm_up(self, declaration, name):
        """The same rows several times through the pipeline that will be measured or one like it."""
        path = events_file(WARM_UP_ROWS // WARM_UP_TIMES)
        for _ in range(WARM_UP_TIMES):
            try:
                run([FRESHET, "run", declaration, "--once", "--progress", "none", "--state", new_folder(name)], name,
                    env=self.environment(path))
            except Failed as problem:  # a cold node on a busy machine may not answer for long
                print("  warming up: %s" % problem)


class JavaPeer:
    """The Java driver's program, with the node's own jars; it warms up when it is made, and writes when it is told to."""

    def __init__(self, node, *arguments):
        self.name = "cassandra-java-driver"
        self.process = start([java(), "-cp", JAVA_CLASSES + ":" + java_class_path(), "CassandraDriverBench",
                              *map(str, arguments)], self.name, env=node.environment(), stdin=subprocess.PIPE)
        said = self.process.stdout.readline()
        if said != b"READY\n":
            self.process.stdin.close()
            self.ended()
            raise Failed("%s did not get ready: %r; see build/bench/%s.log" % (self.name, said, self.name))

    def ended(self):
        return finish(self.process, self.name, time.monotonic(), busy_s())

    def write(self):
        """What the program did, its CPU that since now."""
        before_s = cpu_s(self.process.pid)
        self.process.stdin.write(b"go\n")
        self.process.stdin.close()
        done = self.ended()
        done.cpu_s -= before_s
        return done


def java_class_path():
    """The jars of the node, less the logger: without a configuration it prints each step of the driver's."""
    with open(os.path.join(DEPS, "services", "cassandra", "classpath"), encoding="utf-8") as file:
        jars = file.read().strip().split(":")
    return ":".join(jar for jar in jars if not os.path.basename(jar).startswith("logback-"))


def missing_java_peer():
    """Why the Java driver cannot be run, or None."""
    compiler = os.path.join(os.path.dirname(java()), "javac")
    if shutil.which(compiler) is None:
        return "the Java driver: there is no %s; scripts/setup bench installs it" % compiler
    return None


def build_java_peer():
    compiler = os.path.join(os.path.dirname(java()), "javac")
    shutil.rmtree(JAVA_CLASSES, ignore_errors=True)
    done = subprocess.run([compiler, "-proc:none", "-cp", java_class_path(), "-d", JAVA_CLASSES, JAVA_PEER],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed("javac: " + done.stderr)


def events_file(n):
    """Events as generate.py has them, but each with a key of its own, in no order."""
    path = work_path("cassandra-%d.jsonl" % n)
    if not os.path.exists(path):
        first = datetime(2024, 5, 1, 12)
        with open(path + ".part", "w", encoding="ascii") as file:
            for i in range(n):
                at = first + timedelta(milliseconds=2 * i)
                key = (i * 7_919) % n + 1
                file.write('{"id":%d,"user":"u%07d","ts":"%s.%03d","amount":%.2f,"country":"%s","kind":"%s","qty":%d}\n'
                           % (key, key, at.strftime("%Y-%m-%dT%H:%M:%S"), at.microsecond // 1000, i % 99_991 / 100,
                              ("BR", "US", "MX", "AR")[i % 4], ("view", "click", "visit")[i % 3], i % 9 + 1))
        os.rename(path + ".part", path)
    return path
