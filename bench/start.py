"""Start: from `freshet run` to its first row, and out again, over a file of one event."""

import os
import time

from generate import generate
from harness import (CORES, DECLARATION, FRESHET, TABLE, WORK, Failed, check_line, environment, median,
                     percentile, run, show)

GOAL_MS = 200
TIMES = 20


def main():
    files = os.path.join(generate(os.path.join(WORK, "events-1"), 1, 1), "*.jsonl")
    command = [FRESHET, "run", DECLARATION, "--once", "--format", "json", "--progress", "none",
               "--query", "select count(*) as n from " + TABLE]
    wall_ms = []
    for _ in range(TIMES):
        done = run(command, "start", CORES[-1:], environment(files))
        if check_line(done.output) != {"n": 1}:
            raise Failed("CHECK of start: %s" % done.output)
        wall_ms.append(1000 * done.wall_s)
        time.sleep(0.05)
    results = {"median_ms": median(wall_ms), "p90_ms": percentile(wall_ms, 90), "peak_mib": done.peak_mib}
    show("start: a whole `freshet run --once --query` over one event, %d times (goal: under %d ms)"
         % (TIMES, GOAL_MS), ["", "median ms", "p90 ms", "peak MiB"],
         [["freshet", "%.0f" % results["median_ms"], "%.0f" % results["p90_ms"], "%.0f" % results["peak_mib"]]])
    return results
