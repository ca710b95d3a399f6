"""What was measured, kept: build/bench/results.jsonl, a line a measurement, each with when, of what and where.

Lines are only added. Those of one start of bench/run have the same `run`, its time; `benchmark` says which one's they are. The lines of
`table` are one measured run of one candidate each; every other benchmark writes one line, with its `results`.
"""

import json
import os
import platform
import subprocess
import time

from harness import CORES, ROOT, WORK, work_path

PATH = os.path.join(WORK, "results.jsonl")
RUN = time.strftime("%Y-%m-%dT%H:%M:%S%z")


def commit():
    """The commit that is checked out, with a + where files differ from it."""
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def first_of(path, key):
    """The value of the first line of /proc that begins with the key."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return "unknown"


def machine():
    memory_kib = first_of("/proc/meminfo", "MemTotal").split()[0]
    return {"processor": first_of("/proc/cpuinfo", "model name"), "cores": len(CORES), "memory_gib": round(int(memory_kib) / 2 ** 20),
            "system": "Linux %s" % platform.release().partition("-")[0]}


class Log:
    """Adds lines; what they share is found out once."""

    def __init__(self, path=PATH):
        self.path = path
        self.shared = None

    def add(self, benchmark, **what):
        if self.shared is None:
            self.shared = {"run": RUN, "commit": commit(), "machine": machine()}
        work_path("results.jsonl")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(self.shared, benchmark=benchmark, **what)) + "\n")


log = Log()


def read(path=PATH):
    """The lines of the file; one that a killed run left half is skipped."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def newest(lines, benchmark):
    """The lines of the benchmark's newest run."""
    of = [line for line in lines if line["benchmark"] == benchmark]
    return [line for line in of if line["run"] == of[-1]["run"]] if of else []
