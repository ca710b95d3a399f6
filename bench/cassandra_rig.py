"""What the Cassandra benchmarks share: a real node, a table in it, and the Python driver.

The node gets no options of the tests' that make it start quicker and serve slower. Everything runs on the same two cores. A
node that has just started is slow until Java has compiled what is used: some 800,000 rows go through it before anything
is measured.
"""

import os
import subprocess
import sys
from datetime import datetime, timedelta

from harness import CORES, FRESHET, HERE, ROOT, Failed, Missing, cpu_s, environment, new_folder, run, work_path

sys.path.append(os.path.join(ROOT, "tests", "services"))

import servers  # noqa: E402
from server import DEPS, ServerError  # noqa: E402

KEYSPACE = "bench"
PYTHON = os.path.join(DEPS, "python", "bin", "python3")
ADAPTER = os.path.join(ROOT, "build", "adapter", "libfreshet_cassandra.so")
PEER = os.path.join(HERE, "peers", "cassandra_driver.py")
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
