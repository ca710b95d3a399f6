"""The history: events of JSON files into Parquet files by day, the whole process, on one core.

The events of the other benchmarks, whose days are few, as a batch; then as a stream with checkpoints of one
second. What was written is counted by reading it back.
"""

import glob
import os
import shutil

from generate import generate
from harness import (CORES, DECLARATION, EVENTS, FRESHET, ROUNDS, WORK, Failed, check_line, environment,
                     median, new_folder, run, show, wait_until_quiet)

READ = """\
version: 1
pipeline: bench_history_read
source:
  readers: [{id: rows, file: {path: "%s", format: parquet}}]
  query: select id, timestamp from rows
feature_set:
  name: read
  keys: [{name: id, type: bigint}]
  timestamp: {}
  features: [{name: same, type: bigint, from: id}]
sink: {writers: [{online: {debug: true, rows: 1000000000}}]}
"""


def declare(folder, stream, compression):
    """bench/events.yaml with a history in the place of its table."""
    with open(DECLARATION, encoding="utf-8") as file:
        text = file.read().split("sink:")[0]
    if not stream:
        text = text.replace("      stream: true\n", "")
    path = os.path.join(folder, "history.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "sink: {writers: [{history: {path: out, compression: %s}}]}\n" % compression)
    return path


def count_rows(folder):
    path = os.path.join(folder, "read.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(READ % os.path.join(folder, "out", "*", "*", "*", "*.parquet"))
    done = run([FRESHET, "run", path, "--query", "select count(*) as n from online_feature_store__read",
                "--format", "json", "--progress", "none"], "history-read")
    return check_line(done.output)["n"]


def measure(pattern, stream, compression):
    walls, cpus, peaks, size = [], [], [], 0
    for _ in range(ROUNDS):
        folder = new_folder("history")
        path = declare(folder, stream, compression)
        wait_until_quiet()
        done = run([FRESHET, "run", path, "--once", "--progress", "none", "--no-serve"], "history", CORES[-1:],
                   environment(pattern), fresh=[os.path.join(folder, "out")])
        walls.append(done.wall_s)
        cpus.append(done.cpu_s)
        peaks.append(done.peak_mib)
        found = count_rows(folder)
        if found != EVENTS:
            raise Failed("CHECK of history: %d rows of %d" % (found, EVENTS))
        size = sum(os.path.getsize(name) for name in glob.glob(folder + "/out/*/*/*/*.parquet"))
        shutil.rmtree(folder)
    return {"events_per_s": EVENTS / median(walls), "events_per_cpu_s": EVENTS / median(cpus),
            "peak_mib": median(peaks), "bytes_per_row": size / EVENTS}


def main():
    pattern = os.path.join(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS), "*.jsonl")
    results = {}
    for name, stream, compression in (("batch, zstd", False, "zstd"), ("batch, snappy", False, "snappy"),
                                      ("stream, zstd", True, "zstd")):
        results[name] = measure(pattern, stream, compression)
    show("history: %d JSON events from files to Parquet files by day, one core, median of %d" % (EVENTS, ROUNDS),
         ["", "events/s", "events/CPU s", "peak MiB", "bytes a row"],
         [[name, "%.0f" % of["events_per_s"], "%.0f" % of["events_per_cpu_s"], "%.0f" % of["peak_mib"],
           "%.1f" % of["bytes_per_row"]] for name, of in results.items()])
    return results
