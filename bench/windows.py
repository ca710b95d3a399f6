"""Windows: of each event the count and the mean of its key's last two minutes, the whole process, one core.

Freshet is a stream that ends, with checkpoints and without; DuckDB computes the same windows over all
events at once, as a batch: it is the check, and no competitor, since it gives nothing before the end.
"""

import os
import shutil

from generate import generate
from harness import (CORES, EVENTS, FRESHET, HERE, ROOT, ROUNDS, WORK, check_line, environment, median,
                     run, same_check, show, wait_until_quiet, work_path)

DUCKDB = os.path.join(ROOT, "build", "release", "bench", "duckdb_load")
DECLARATION = os.path.join(HERE, "windows.yaml")
CHECK = os.path.join(HERE, "windows_check.sql")


def competitors(pattern):
    """Name, command, cores."""
    with open(CHECK, encoding="ascii") as file:
        query = file.read()
    freshet = [FRESHET, "run", DECLARATION, "--once", "--query", query, "--format", "json",
               "--progress", "none"]
    state = work_path("windows.state")
    return [
        ("freshet", freshet, CORES[-1:]),
        ("freshet, checkpoints", [*freshet, "--state", state], CORES[-1:]),
        ("duckdb, a batch", [DUCKDB, "1", pattern, os.path.join(HERE, "peers", "duckdb_windows.sql"), CHECK],
         CORES[-1:]),
    ]


def main():
    pattern = os.path.join(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS), "*.jsonl")
    everyone = competitors(pattern)
    runs = {name: [] for name, _, _ in everyone}
    expected = None
    for _ in range(ROUNDS):
        for name, command, cores in reversed(everyone):
            shutil.rmtree(work_path("windows.state"), ignore_errors=True)
            wait_until_quiet()
            done = run(command, "windows-" + name.replace(", ", "-").replace(" ", "-"), cores,
                       environment(pattern), fresh=[work_path("windows.state")])
            found = check_line(done.output)
            expected = expected or found
            same_check(expected, found, name)
            runs[name].append(done)
    shutil.rmtree(work_path("windows.state"), ignore_errors=True)
    results = {name: {"events_per_s": EVENTS / median([r.wall_s for r in of]),
                      "events_per_cpu_s": EVENTS / median([r.cpu_s for r in of]),
                      "peak_mib": median([r.peak_mib for r in of]),
                      "others_share": max(r.others for r in of),
                      "memory_slower": round(max(r.memory for r in of), 2)} for name, of in runs.items()}
    show("windows: %d JSON events from files to windows of 120 s, one core, median of %d "
         "(goal: 800,000 events/s)" % (EVENTS, ROUNDS),
         ["", "events/s", "events/CPU s", "peak MiB", "others' load"],
         [[name, "%.0f" % of["events_per_s"], "%.0f" % of["events_per_cpu_s"], "%.0f" % of["peak_mib"],
           "%.0f %%" % (100 * of["others_share"])] for name, of in results.items()])
    print("\n  CHECK " + " ".join("%s=%s" % item for item in expected.items()))
    return {"events": EVENTS, "rounds": ROUNDS, "check": expected, "competitors": results}
