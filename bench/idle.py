"""Idle memory: a stream that has read 1,000 events and waits for more."""

import os
import time

from following import follow_folder
from generate import generate
from harness import WORK, resident_mib, show

GOAL_MIB = 100
EVENTS = 1000


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def main():
    folder = generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS, 1)
    with follow_folder(folder, "idle") as stream:
        client = stream.connect()
        stream.wait_for_rows(client, EVENTS)
        client.close()
        before = cpu_ticks(stream.pid)
        time.sleep(2)
        cpu_ms = (cpu_ticks(stream.pid) - before) * 1000 / os.sysconf("SC_CLK_TCK") / 2
        results = {"resident_mib": resident_mib(stream.pid), "cpu_ms_per_s": cpu_ms}
    show("idle: a following stream with %d rows, after 2 s (goal: under %d MiB)" % (EVENTS, GOAL_MIB),
         ["", "resident MiB", "CPU ms a second"],
         [["freshet", "%.0f" % results["resident_mib"], "%.1f" % cpu_ms]])
    return results
