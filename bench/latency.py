"""End to end: from a line appended to a file to its row being in the answer of a query.

One process appends complete lines at a steady rate, each by one write(2), and notes the time just before each
write. This process asks `select count(*)` over the socket again and again, and notes the time when each answer has
come: an answer of n says that the first n lines are there, since a file is read in order. So each
figure holds the reading, the computing, the append to the table, the answer, and the wait for the
next question: what an onlooker sees, more than what the stream needs.
"""

import array
import mmap
import multiprocessing
import os
import time

from following import follow_folder
from generate import lines
from harness import Failed, new_folder, percentile, show, wait_until_quiet

RATES = (200, 2000)
SECONDS = 10
WARM_UP = 100


def append(path, texts, rate, times):
    """Appends each text when it is due; times[i] is when, in nanoseconds."""
    due = time.monotonic_ns()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for i, text in enumerate(texts):
        wait_ns = due - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        times[i] = time.monotonic_ns()
        os.write(fd, text)
        due += 1_000_000_000 // rate
    os.close(fd)


def seen_times(stream, client, rows, deadline):
    """When each row was first in an answer, in nanoseconds."""
    seen = array.array("q")
    answers = 0
    while len(seen) < rows:
        found = stream.rows(client)
        now = time.monotonic_ns()
        answers += 1
        if found > rows:
            raise Failed("CHECK of latency: %d rows of %d lines" % (found, rows))
        seen.extend([now] * (found - len(seen)))
        if time.monotonic() > deadline:
            raise Failed("latency: %d rows of %d in time" % (len(seen), rows))
    return seen, answers


def measure(rate):
    n = rate * SECONDS + WARM_UP
    texts = [text.encode() for text in lines(0, n, n)]
    folder = new_folder("latency")
    path = os.path.join(folder, "events.jsonl")
    with open(path, "wb"):
        pass
    times = memoryview(mmap.mmap(-1, 8 * n)).cast("q")
    with follow_folder(folder, "latency") as stream:
        client = stream.connect()
        stream.rows(client)
        wait_until_quiet()
        appender = multiprocessing.Process(target=append, args=(path, texts, rate, times))
        appender.start()
        seen, answers = seen_times(stream, client, n, time.monotonic() + n / rate + 30)
        appender.join()
        client.close()
    late_ms = [(seen[i] - times[i]) / 1e6 for i in range(WARM_UP, n)]
    took_s = (times[n - 1] - times[WARM_UP]) / 1e9
    return {
        "events": n - WARM_UP,
        "events_per_s": (n - 1 - WARM_UP) / took_s,
        "questions_per_s": answers / (n / rate),
        "p50_ms": percentile(late_ms, 50),
        "p99_ms": percentile(late_ms, 99),
        "max_ms": max(late_ms),
    }


def main():
    results = {str(rate): measure(rate) for rate in RATES}
    show("latency: a line appended until its row is in an answer, ms",
         ["events/s", "p50", "p99", "max", "questions/s"],
         [[rate] + ["%.1f" % of[column] for column in ("p50_ms", "p99_ms", "max_ms")]
          + ["%.0f" % of["questions_per_s"]] for rate, of in results.items()])
    return results
