"""Cassandra: rows upserted a second, and the client's CPU for each, beside Cassandra's drivers.

200,000 events in a file, each with a key of its own, become rows of eight columns and a write timestamp in a real node on the
same two cores; all write the same rows with the same INSERT at LOCAL_QUORUM, 1,024 in flight, into the
table emptied before. The node takes more of the cores than anyone who writes, so rows a second are mostly its own; what the
client costs is its CPU.

- `freshet`: the whole process, from fork to exit: start, reading JSON, features, the newest time of each key (its state, with
  a checkpoint at the end), writing. What of that is the writing: the same, less the CPU of the same pipeline with
  the debug table in the place of Cassandra (and state as little).
- `python driver`: execute_concurrent_with_args. Its rows are ready in memory before the clock starts.
- `java driver`: executeAsync, its rows ready too, and its JVM warm: it has written them twice before.

Each run's table is read back and summed; another sum than the first run's fails the benchmark.
"""

import os
import time

from cassandra_rig import FILE_ROWS, JavaPeer, Node, build_java_peer, events_file, missing_java_peer
from harness import (EVENTS, FRESHET, HERE, ROUNDS, busy_s, check_line, environment, median, new_folder, run, same_check,
                     show, wait_until_quiet)

DECLARATION = os.path.join(HERE, "cassandra.yaml")
TABLE = "bench_events"
ROWS = min(EVENTS, FILE_ROWS)
IN_FLIGHT = 1024
JAVA_WARM_UP_TIMES = 2
GOAL_US = 10


def freshet_command(*arguments):
    return [FRESHET, "run", DECLARATION, "--once", "--progress", "none", *arguments]


class Freshet:
    name = "freshet, whole process"

    def __init__(self, node, path):
        self.node, self.path = node, path

    def prepare(self):
        """Nothing: its start is measured."""

    def write(self):
        done = run(freshet_command("--state", new_folder("cassandra.state")), "cassandra-freshet",
                   env=self.node.environment(self.path))
        return {"rows": ROWS, "work_s": done.wall_s, "cpu_s": done.cpu_s, "peak_mib": done.peak_mib, "whole_cpu_s": done.cpu_s}


class PythonDriver:
    name = "python driver, writing alone"

    def __init__(self, node, path):
        self.node, self.path = node, path

    def prepare(self):
        """Nothing: it measures itself."""

    def write(self):
        done = self.node.ask("write", self.path, ROWS, IN_FLIGHT)
        return dict(check_line(done.output), peak_mib=done.peak_mib, whole_cpu_s=done.cpu_s)


class JavaDriver:
    name = "java driver, writing alone"

    def __init__(self, node, path):
        self.node, self.path, self.peer = node, path, None

    def prepare(self):
        self.peer = JavaPeer(self.node, self.path, ROWS, IN_FLIGHT, JAVA_WARM_UP_TIMES)

    def write(self):
        done = self.peer.write()
        return dict(check_line(done.output), peak_mib=done.peak_mib, whole_cpu_s=done.cpu_s)


def measure(competitor, node, expected):
    competitor.prepare()
    node.ask("truncate", TABLE)
    wait_until_quiet()
    before, busy_before, began = node.cpu_s(), busy_s(), time.monotonic()
    found = competitor.write()
    server_s = node.cpu_s() - before
    others_s = busy_s() - busy_before - server_s - found["whole_cpu_s"]
    others_share = max(0.0, others_s) / (time.monotonic() - began) / os.cpu_count()
    check = check_line(node.ask("check").output)
    same_check(expected or check, check, competitor.name)
    rows = found["rows"]
    return check, {"rows_per_s": rows / found["work_s"], "cpu_us": 1e6 * found["cpu_s"] / rows,
                   "server_cpu_us": 1e6 * server_s / rows, "peak_mib": found["peak_mib"],
                   "others_share": others_share}


def without_store_us(path):
    """CPU a row of the same pipeline with the debug table in the place of Cassandra."""
    runs = [run(freshet_command("--debug"), "cassandra-debug", env=environment(path)) for _ in range(ROUNDS)]
    return 1e6 * median([one.cpu_s for one in runs]) / ROWS


def main():
    path = events_file(ROWS)
    with Node() as node:
        node.apply(DECLARATION)
        node.warm_up(DECLARATION, "cassandra-warm-up")
        everyone = [Freshet(node, path), PythonDriver(node, path)]
        problem = missing_java_peer()
        if problem is None:
            build_java_peer()
            everyone.append(JavaDriver(node, path))
        else:
            print("  left out: " + problem)
        runs, expected = {one.name: [] for one in everyone}, None
        for _ in range(ROUNDS):
            for one in everyone:
                expected, found = measure(one, node, expected)
                runs[one.name].append(found)
    without_us = without_store_us(path)
    results = {name: {figure: (max if figure == "others_share" else median)([one[figure] for one in of])
                      for figure in of[0]} for name, of in runs.items()}
    ours = results[Freshet.name]
    show("cassandra: %d rows upserted into a real node on the same two cores, median of %d (goal: at most %d us of CPU a row)"
         % (ROWS, ROUNDS, GOAL_US),
         ["", "rows/s", "CPU us a row", "the node's CPU us a row", "peak MiB", "others' load"],
         [[name, "%.0f" % of["rows_per_s"], "%.2f" % of["cpu_us"], "%.1f" % of["server_cpu_us"], "%.0f" % of["peak_mib"],
           "%.0f %%" % (100 * of["others_share"])] for name, of in results.items()])
    print("\n  freshet's writing alone: %.2f us of CPU a row (the same into the debug table: %.2f in all)"
          % (ours["cpu_us"] - without_us, without_us))
    return {"rows": ROWS, "rounds": ROUNDS, "competitors": results, "without_store_us": without_us,
            "writing_us": ours["cpu_us"] - without_us}
