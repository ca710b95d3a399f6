"""Throughput: events of JSON files into a table that can be queried, the whole process.

Everyone computes the same columns from the same files and prints the same check. Freshet and DuckDB keep
all rows in memory, the Python script the newest of each key. Each is held on one core; the
competitors take turns, so that a slow minute of the machine hits all of them.
"""

import glob
import os

from generate import generate
from harness import (CORES, DECLARATION, EVENTS, FRESHET, HERE, ROOT, ROUNDS, WORK, Failed, check_line,
                     environment, median, run, same_check, show, wait_until_quiet)

DUCKDB = os.path.join(ROOT, "build", "release", "bench", "duckdb_load")
CHECK = os.path.join(HERE, "check.sql")


def files():
    return os.path.join(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS), "*.jsonl")


def check_query():
    with open(CHECK, encoding="ascii") as file:
        return file.read()


def competitors(pattern):
    """Name, command, cores."""
    one, two = CORES[-1:], CORES[:2]
    peers = os.path.join(HERE, "peers")
    load = [pattern, os.path.join(peers, "duckdb_load.sql"), CHECK]
    freshet = [FRESHET, "run", DECLARATION, "--once", "--query", check_query(), "--format", "json",
               "--progress", "none"]
    spark = [os.path.join(HERE, "events_spark.yaml") if part == DECLARATION else part for part in freshet]
    everyone = [
        ("freshet", freshet, one),
        ("freshet, dialect: spark", spark, one),
        ("duckdb", [DUCKDB, "1", *load], one),
        ("python", ["python3", os.path.join(peers, "python_dict.py"), *sorted(glob.glob(pattern))], one),
    ]
    if len(two) == 2:
        everyone += [("freshet, 2 cores", freshet, two), ("duckdb, 2 threads", [DUCKDB, "2", *load], two)]
    return everyone


def measure(everyone, pattern):
    runs = {name: [] for name, _, _ in everyone}
    expected = None
    for _ in range(ROUNDS):
        for name, command, cores in everyone:
            wait_until_quiet()
            done = run(command, "events-" + name.replace(", ", "-").replace(": ", "-").replace(" ", "-"), cores,
                       environment(pattern), fresh=())
            found = check_line(done.output)
            if expected is None:
                expected = found
                if expected["rows"] != EVENTS:
                    raise Failed("CHECK of %s: %s rows of %d" % (name, expected["rows"], EVENTS))
            same_check(expected, found, name)
            runs[name].append(done)
    return runs, expected


def main():
    pattern = files()
    everyone = competitors(pattern)
    runs, check = measure(everyone, pattern)
    results = {}
    for name, _, cores in everyone:
        of = runs[name]
        results[name] = {
            "cores": len(cores),
            "events_per_s": EVENTS / median([r.wall_s for r in of]),
            "events_per_cpu_s": EVENTS / median([r.cpu_s for r in of]),
            "wall_s": [round(r.wall_s, 3) for r in of],
            "cpu_s": [round(r.cpu_s, 3) for r in of],
            "peak_mib": median([r.peak_mib for r in of]),
            "others_share": max(r.others for r in of),
            "memory_slower": round(max(r.memory for r in of), 2),
        }
    best = results["freshet"]["events_per_s"]
    show("events: %d JSON events from files to a table, median of %d (goal: 800,000 events/s on one core)"
         % (EVENTS, ROUNDS),
         ["", "cores", "events/s", "events/CPU s", "peak MiB", "freshet is", "others' load"],
         [[name, of["cores"], "%.0f" % of["events_per_s"], "%.0f" % of["events_per_cpu_s"],
           "%.0f" % of["peak_mib"], "%.2f x" % (best / of["events_per_s"]), "%.0f %%" % (100 * of["others_share"])]
          for name, of in results.items()])
    print("\n  CHECK " + " ".join("%s=%s" % item for item in check.items()))
    return {"events": EVENTS, "rounds": ROUNDS, "check": check, "competitors": results}
