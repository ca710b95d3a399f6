"""The windows job on Bytewax, its state kept by hand: a dataflow for `python -m bytewax.testing windows:flow -p PROCESSES`.

BENCH_FOLDER is where the events are. Each process prints its check as a line of JSON when it ends; BENCH_STARTED is when the first of
them was started (seconds since 1970).

Of each key the events of the last 180 s (event time) are kept, in order of arrival. For an event, the kept events of the 120 s up to it
are counted, and their amounts averaged; the key's row becomes the event with these two, unless the row has a later time already. The files
are read side by side, so which events have been forgotten when a late one comes depends on the readers' race. What does not: how many
keys there are, and each one's newest time.
"""

import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.files import DirSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from orjson import loads

WINDOW_MS = 120_000
KEPT_MS = 180_000
BATCH = 1000


def parse(line):
    event = loads(line)
    time_of = datetime.fromisoformat(event["ts"]).replace(tzinfo=timezone.utc)
    event["ms"] = int(time_of.timestamp() * 1000 + 0.5)
    return str(event["id"]), event


def roll(state, event):
    """State is [newest time, time of the row, the events kept]; gives the key's new row, or None."""
    now, amount = event["ms"], event["amount"]
    if state is None:
        state = [now, -1, []]
    state[0] = max(state[0], now)
    oldest, kept = state[0] - KEPT_MS, state[2]
    if kept and kept[0][0] < oldest:
        kept = state[2] = [one for one in kept if one[0] >= oldest]
    kept.append((now, amount))
    if now < state[1]:
        return state, None
    state[1] = now
    count, total, first = 0, 0.0, now - WINDOW_MS
    for at, value in kept:
        if first <= at <= now:
            count += 1
            total += value
    return state, (now, amount, event["country"], event["kind"], event["qty"], count, total / count)


class Latest(StatelessSinkPartition):
    """The newest row of each key of one worker."""

    def __init__(self):
        self.rows, self.events, self.first = {}, 0, None

    def write_batch(self, items):
        self.first = self.first or time.time()
        self.events += len(items)
        for key, row in items:
            if row is not None:
                self.rows[key] = row

    def close(self):
        if not self.events:
            return
        rows = self.rows.values()
        print(json.dumps({"keys": len(rows), "cnt": sum(row[5] for row in rows), "avg": sum(row[6] for row in rows),
                          "times": sum(row[0] * 1000 % 1_000_000_007 for row in rows), "events": self.events,
                          "first": self.first, "last": time.time()}), flush=True)


class LatestSink(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Latest()


flow = Dataflow("bench")
stream = op.input("in", flow, DirSource(Path(os.environ["BENCH_FOLDER"]), glob_pat="*.jsonl", batch_size=BATCH))
stream = op.map("parse", stream, parse)
stream = op.stateful_map("roll", stream, roll)
op.output("out", stream, LatestSink())
