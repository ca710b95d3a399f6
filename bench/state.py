"""State: the windows alone, without files and tables, on one core: 5 windows x 5 functions of each event, 5 % late.

A million keys of 20 live events, and one hot key of a million; events a second, bytes of a key and of an event. Then
what more windows and functions cost, of events in order.
"""

import os
import re
import subprocess

from harness import CORES, ROOT, Failed, show, wait_until_quiet

PROGRAM = os.path.join(ROOT, "build", "release", "bench", "state_bench")
CASES = (("one cold key, 20 live events", (1, 20, 0.05)), ("10,000 keys, 20 live", (10000, 20, 0.05)),
         ("1,000,000 keys, 20 live", (1000000, 20, 0.05)), ("one hot key, 1,000,000 live", (1, 1000000, 0.05)),
         ("1 x 2, 100,000 keys, 20 live", ("wide", 100000, 20, 0, 1, 2)),
         ("10 x 5, 100,000 keys, 20 live", ("wide", 100000, 20, 0, 10, 5)),
         ("10 x 5, 1,000 keys, 2,000 live", ("wide", 1000, 2000, 0, 10, 5)),
         ("10 x 5, one hot key, 100,000 live", ("wide", 1, 100000, 0, 10, 5)))
LINE = re.compile(r"(?P<ns_per_event>\d+) ns/event, +(?P<million_events_per_s>[\d.]+) M events/s; "
                  r"(?P<bytes_per_event>[\d.]+) B/event \+ (?P<bytes_per_key>[\d.]+) B/key")


def main():
    subprocess.run(["cmake", "--build", os.path.join(ROOT, "build", "release"), "--target", "state_bench"],
                   check=True, stdout=subprocess.DEVNULL)
    results = {}
    for name, case in CASES:
        wait_until_quiet()
        done = subprocess.run(["taskset", "-c", str(CORES[-1]), PROGRAM, *map(str, case)],
                              capture_output=True, text=True, check=False)
        found = LINE.search(done.stdout)
        if done.returncode != 0 or found is None:
            raise Failed("state_bench: %s%s" % (done.stdout, done.stderr))
        results[name] = {what: float(value) for what, value in found.groupdict().items()}
    show("state: windows alone, 5 x 5, by CPU time of one core (goal: 2 M events/s at 1,000,000 keys; a hot key "
         "at most 10 times a cold one's ns)", ["", "M events/s", "ns/event", "bytes/event", "bytes/key"],
         [[name, "%.2f" % of["million_events_per_s"], "%.0f" % of["ns_per_event"], "%.1f" % of["bytes_per_event"],
           "%.1f" % of["bytes_per_key"]] for name, of in results.items()])
    return results
