"""Queries while the stream runs: how long one takes over 1,000,000 rows, and what it costs the stream.

Latency is taken twice: over one open connection (as a dashboard asks), and as `freshet query`, a process
for each. Then the events of the throughput benchmark go through a following stream, alone and with a
query each 100 ms, turn by turn; the stream has all cores, as it would.
"""

import json
import os
import subprocess
import threading
import time

from client import Client
from following import COUNT, follow_folder
from generate import KEYS, generate, lines
from harness import (EVENTS, FRESHET, ROUNDS, TABLE, WORK, Failed, environment, median, percentile, show,
                     wait_until_quiet)

GOAL_MS = 20
GOAL_SLOWER = 0.10
ROWS = min(EVENTS, 1_000_000)
TIMES = 100
PROCESSES = 20
PERIOD_S = 0.1


def look_up(key):
    return 'select * from %s where id = %d' % (TABLE, key)


def newest(key):
    return 'select * from %s_latest where id = %d' % (TABLE, key)


def keys():
    """Keys of the first events, so that there is a row for each."""
    return [json.loads(line)["id"] for line in lines(0, TIMES, min(KEYS, ROWS))]


QUERIES = {
    "count(*)": lambda key: COUNT,
    "all rows of a key": look_up,
    "newest row of a key": newest,
}


def time_client(client, query):
    times_ms = []
    for key in keys():
        began = time.perf_counter()
        if not client.ask(query(key)):
            raise Failed("CHECK of query: no row for %s" % query(key))
        times_ms.append(1000 * (time.perf_counter() - began))
    return times_ms


def time_processes(query):
    times_ms = []
    for key in keys()[:PROCESSES]:
        began = time.perf_counter()
        done = subprocess.run([FRESHET, "query", query(key), "--format", "json"], env=environment(""),
                              capture_output=True, check=False)
        times_ms.append(1000 * (time.perf_counter() - began))
        if done.returncode != 0 or not done.stdout:
            raise Failed("freshet query: %s" % done.stderr.decode().strip())
    return times_ms


def measure_latency(folder):
    results = {}
    with follow_folder(folder, "query") as stream:
        client = stream.connect()
        if stream.wait_for_rows(client, ROWS) != ROWS:
            raise Failed("CHECK of query: more rows than events")
        for name, query in QUERIES.items():
            wait_until_quiet()
            results[name] = {}
            for how, times_ms in (("socket", time_client(client, query)), ("process", time_processes(query))):
                results[name][how + "_p50_ms"] = percentile(times_ms, 50)
                results[name][how + "_p99_ms"] = percentile(times_ms, 99)
        client.close()
    return results


class Asker(threading.Thread):
    """Asks a count and a key in turn, each 100 ms, until told to stop."""

    def __init__(self, client):
        super().__init__()
        self.client = client
        self.stopped = threading.Event()
        self.times_ms = []
        self.failure = None

    def run(self):
        due = time.monotonic()
        for i, key in enumerate(keys() * 100):
            if self.stopped.wait(max(0.0, due - time.monotonic())):
                return
            due += PERIOD_S
            began = time.perf_counter()
            try:
                self.client.ask(COUNT if i % 2 == 0 else look_up(key))
            except (Failed, OSError) as problem:
                self.failure = problem
                return
            self.times_ms.append(1000 * (time.perf_counter() - began))


def time_stream(folder, with_queries):
    """Seconds from the first row of a following stream to its last. The end is seen in the process's own
    status (which asks no table), so that watching costs both alike."""
    with follow_folder(folder, "query-stream") as stream:
        client = stream.connect()
        asker = Asker(stream.connect()) if with_queries else None
        began = None
        if asker:
            asker.start()
        while True:
            written = client.status()["table_rows"]
            if began is None and written > 0:
                began, first = time.monotonic(), written
            if written >= EVENTS:
                break
            time.sleep(0.005)
        seconds = (time.monotonic() - began) * EVENTS / max(1, EVENTS - first)
        if asker:
            asker.stopped.set()
            asker.join()
            if asker.failure:
                raise Failed("a query beside the stream: %s" % asker.failure)
    return seconds, asker.times_ms if asker else []


def measure_slowing(folder):
    alone, asked, times_ms = [], [], []
    for _ in range(ROUNDS):
        for into, with_queries in ((alone, False), (asked, True)):
            wait_until_quiet()
            seconds, queries_ms = time_stream(folder, with_queries)
            into.append(seconds)
            times_ms += queries_ms
    return {
        "alone_events_per_s": EVENTS / median(alone),
        "asked_events_per_s": EVENTS / median(asked),
        "slower": median(asked) / median(alone) - 1,
        "queries": len(times_ms),
        "query_p50_ms": percentile(times_ms, 50) if times_ms else None,
    }


def main():
    latency = measure_latency(generate(os.path.join(WORK, "events-%d" % ROWS), ROWS))
    show("query: over %d rows in the debug table (goal: under %d ms)" % (ROWS, GOAL_MS),
         ["", "socket p50 ms", "p99 ms", "freshet query p50 ms", "p99 ms"],
         [[name] + ["%.1f" % of[column] for column in
                    ("socket_p50_ms", "socket_p99_ms", "process_p50_ms", "process_p99_ms")]
          for name, of in latency.items()])
    slowing = measure_slowing(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS))
    show("query: what a query each 100 ms costs the stream, median of %d (goal: at most %.0f %%)"
         % (ROUNDS, 100 * GOAL_SLOWER),
         ["", "events/s alone", "events/s asked", "slower by"],
         [["freshet", "%.0f" % slowing["alone_events_per_s"], "%.0f" % slowing["asked_events_per_s"],
           "%.1f %%" % (100 * slowing["slower"])]])
    return {"latency": latency, "slowing": slowing}
