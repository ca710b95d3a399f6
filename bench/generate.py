#!/usr/bin/env python3
"""Writes the events of the benchmarks: JSON lines of about 115 bytes, the same at every run.

    generate.py FOLDER EVENTS [FILES]

Event time goes forward by 1.8 ms an event and is up to half a second early or late; one event in a hundred
comes up to 30 s late. There are 100,000 keys, or one for each event where there are fewer events. (Callers may say
other numbers of both.)
Each file has its own seed, so that the files can be written side by side.
"""

import multiprocessing
import os
import random
import sys

COUNTRIES = ("BR", "US", "MX", "AR", "PT", "DE", "IN", "JP")
KINDS = ("view", "click", "visit", "offer", "rent")
KEYS = 100_000
STEP_MS = 1.8
JITTER_MS = 500
LATE_MS = 30_000
SEED = 42
EVENT = '{"id":%d,"user":"u%07d","ts":"%s.%03d","amount":%.2f,"country":"%s","kind":"%s","qty":%d}\n'


def second_text(second):
    """The second of event time as text; the first is 2024-05-01 12:00:00 (there are 31 days to go)."""
    day, second = divmod(12 * 3600 + second, 86_400)
    return "2024-05-%02dT%02d:%02d:%02d" % (1 + day, second // 3600, second // 60 % 60, second % 60)


def lines(first, n, keys, step_ms=STEP_MS):
    """The events [first, first + n) as texts."""
    rnd = random.Random(SEED * 1_000_003 + first).random
    seconds = {}
    for i in range(first, first + n):
        ms = int(i * step_ms + rnd() * JITTER_MS)
        if rnd() < 0.01:
            ms = max(0, ms - int(rnd() * LATE_MS))
        second, ms = divmod(ms, 1000)
        text = seconds.get(second)
        if text is None:
            text = seconds[second] = second_text(second)
        key = int(rnd() * keys) + 1
        yield EVENT % (key, key, text, ms, rnd() * 1000, COUNTRIES[int(rnd() * 8)],
                       KINDS[int(rnd() * 5)], int(rnd() * 9) + 1)


def write_file(job):
    path, *what = job
    with open(path, "w", encoding="ascii") as file:
        file.writelines(lines(*what))


def generate(folder, events, files=20, keys=KEYS, step_ms=STEP_MS):
    """Writes the files, unless they are there already; gives the folder."""
    done = os.path.join(folder, ".complete")
    if os.path.exists(done):
        return folder
    os.makedirs(folder, exist_ok=True)
    keys = min(keys, events)
    borders = [events * i // files for i in range(files + 1)]
    jobs = [(os.path.join(folder, "events-%03d.jsonl" % i), borders[i], borders[i + 1] - borders[i], keys,
             step_ms)
            for i in range(files)]
    with multiprocessing.Pool() as pool:
        pool.map(write_file, jobs, chunksize=1)
    # The order in which a stream takes files is that of their times, then of their names.
    for path, *_ in jobs:
        os.utime(path, (0, 0))
    with open(done, "w", encoding="ascii") as file:
        file.write("%d events\n" % events)
    return folder


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: generate.py FOLDER EVENTS [FILES]")
    generate(sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:]))
