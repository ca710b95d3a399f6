"""Beyond: state of ten times `state.memory`: windows, ids of events, rolling windows, of keys drawn at random.

Nearly each event meets a key that has left memory, or is of a new one. Rows are made from a seed, all through the whole process; what
is measured is the second half, when most keys are there: a run over all, less a run over the first half.
"""

import os
import shutil

from harness import EVENTS, FRESHET, HERE, WORK, run, show, wait_until_quiet, work_path

MEMORY_MIB = 64
BYTES_OF_KEY = 160  # about, in memory
KEYS = 10 * MEMORY_MIB * 1024 * 1024 // BYTES_OF_KEY
GOAL = 50_000

with open(os.path.join(HERE, "beyond.yaml.in"), encoding="ascii") as _file:
    DECLARATION = _file.read()

KINDS = {
    "windows": "  features: [{name: amount, window: {functions: [count, avg], over: [1 hour, 7 days]}}]",
    "deduplicate": "  deduplicate: {on: [id], within: 7 days}\n  features: [{name: amount, type: double}]",
    "rolling": "  features: [{name: amount, type: double, aggregate: {functions: [count, avg]}}]\n"
               "  aggregated: {windows: {over: [7 days], slide: 1 day}}",
}


def run_once(kind, rows, state):
    file = work_path("beyond.yaml")
    with open(file, "w", encoding="ascii") as out:
        out.write(DECLARATION.format(rows=rows, keys=KEYS, features=KINDS[kind], memory=MEMORY_MIB))
    return run([FRESHET, "run", file, "--once", "--progress", "none", "--state", state], "beyond-" + kind,
               env=dict(os.environ, FRESHET_RUN_DIR=os.path.join(WORK, "run")))


def main():
    half = max(EVENTS * 2, 100_000)
    results = {}
    for kind in KINDS:
        state = work_path("beyond.state")
        shutil.rmtree(state, ignore_errors=True)
        wait_until_quiet()
        first = run_once(kind, half, state)
        shutil.rmtree(state, ignore_errors=True)
        both = run_once(kind, 2 * half, state)
        shutil.rmtree(state, ignore_errors=True)
        results[kind] = {"events_per_s": half / max(both.wall_s - first.wall_s, 0.001),
                         "events_per_cpu_s": half / max(both.cpu_s - first.cpu_s, 0.001),
                         "peak_mib": both.peak_mib, "others_share": both.others}
    show("beyond: %d keys, %d MiB (goal: %d events/s)" % (KEYS, MEMORY_MIB, GOAL),
         ["", "events/s", "events/CPU s", "peak MiB", "others' load"],
         [[kind, "%.0f" % of["events_per_s"], "%.0f" % of["events_per_cpu_s"], "%.0f" % of["peak_mib"],
           "%.0f %%" % (100 * of["others_share"])] for kind, of in results.items()])
    return {"keys": KEYS, "memory_mib": MEMORY_MIB, "runs": results}
