"""Fill: 2,000 events a second into a stream whose windows are filled with the past meanwhile: from the time at which a line was written
to a file to that at which its row is in a file, before, while `freshet state fill` reads the past, while the stream takes it, and after.
"""

import array
import os
import random
import subprocess
import threading
import time

from harness import EVENTS, FRESHET, Failed, new_folder, percentile, show, wait_until_quiet

RATE = 2000
KEYS = EVENTS // 10
BEFORE_S, AFTER_S = 10, 5
EACH_S = 0.01
LIVE = 1 << 40  # ids from there on are not the past's

DECLARATION = """\
version: 1
pipeline: bench_fill
source:
  readers:
    - id: ev
      stream: true
      file: {{path: "in/*.jsonl", format: json, order: name, schema: {{id: bigint, user: bigint, at: bigint, amount: double, name: string}}}}
  query: select * from ev
feature_set:
  name: bench_fill
  entity: bench
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: at, unit: us, lateness: 10 minutes}}
  features:
    - {{name: id, type: bigint}}
    - {{name: spend, from: amount, window: {{functions: [sum, count], over: [{over}]}}}}
{more}sink:
  writers:
    - jsonl: {{path: out.jsonl}}
checkpoint: {{interval: 1 second}}
"""
NAMES = "    - {name: names, from: name, window: {functions: [last, min], over: [2 days]}}\n"
LINE = '{"id":%d,"user":%d,"at":%d,"amount":%d.5,"name":"n%d"}\n'


class Stream:
    """The stream of a folder, what is appended to its file, and when its rows came."""

    def __init__(self, folder):
        self.folder, self.ends, self.times, self.seen = folder, False, array.array("d"), array.array("d")
        self.log_path = os.path.join(folder, "log")
        self.out = open(os.path.join(folder, "out.jsonl"), "rb")
        self.out.seek(0, os.SEEK_END)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([FRESHET, "run", "new.yaml", "--progress", "none", "--no-serve"], cwd=folder,
                                            stdout=subprocess.DEVNULL, stderr=log)
        self.wait_for("goes on from checkpoint")
        self.threads = [threading.Thread(target=self.append), threading.Thread(target=self.follow)]
        for thread in self.threads:
            thread.start()

    def wait_for(self, text):
        while True:
            with open(self.log_path, encoding="utf-8") as log:
                said = log.read()
            if text in said:
                return
            if self.process.poll() is not None:
                raise Failed("the stream ended: " + said)
            time.sleep(0.01)

    def append(self):
        rng = random.Random(2)
        due = time.monotonic()
        with open(os.path.join(self.folder, "in", "2.jsonl"), "w", encoding="ascii", buffering=1 << 20) as file:
            while not self.ends:
                now = time.time()
                for _ in range(int(RATE * EACH_S)):
                    file.write(LINE % (LIVE + len(self.times), rng.randrange(KEYS), now * 1e6, 1, 2))
                    self.times.append(now)
                file.flush()
                due += EACH_S
                time.sleep(max(0, due - time.monotonic()))

    def follow(self):
        """A file is read in order, so the n-th row is that of the n-th line."""
        while not self.ends:
            lines = self.out.read().count(b"\n")
            self.seen.extend([time.time()] * lines)
            if lines == 0:
                time.sleep(0.001)

    def close(self):
        self.ends = True
        for thread in self.threads:
            thread.join()
        self.process.terminate()
        self.process.wait()


def make_past(folder):
    rng = random.Random(1)
    span_us = 3 * 86400 * 10**6
    first_us = int(time.time() * 1e6) - span_us
    with open(os.path.join(folder, "in", "1.jsonl"), "w", encoding="ascii") as file:
        for i in range(EVENTS):
            file.write(LINE % (i, rng.randrange(KEYS), first_us + i * span_us // EVENTS, rng.randrange(99), rng.randrange(50)))


def main():
    folder = new_folder("fill")
    os.mkdir(os.path.join(folder, "in"))
    for name, over, more in (("old", "1 day", ""), ("new", "1 day, 3 days", NAMES)):
        with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as file:
            file.write(DECLARATION.format(over=over, more=more))
    make_past(folder)
    subprocess.run([FRESHET, "run", "old.yaml", "--once", "--progress", "none", "--no-serve"], cwd=folder, check=True,
                   stderr=subprocess.DEVNULL)
    wait_until_quiet()
    stream = Stream(folder)
    time.sleep(3)
    marks = [("before", time.time())]
    time.sleep(BEFORE_S)
    marks.append(("the past is read", time.time()))
    subprocess.run([FRESHET, "state", "fill", "new.yaml", "--from", "in/1.jsonl"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    marks.append(("the stream takes it", time.time()))
    stream.wait_for("are filled with the past")
    marks.append(("after", time.time()))
    time.sleep(AFTER_S)
    stream.close()
    rows = []
    for (name, first), (_, last) in zip(marks, marks[1:] + [("", time.time())]):
        delays = sorted(seen - at for at, seen in zip(stream.times, stream.seen) if first <= at < last)
        rows.append((name, "%.1f s" % (last - first), *("%.1f ms" % (percentile(delays, share) * 1000) for share in (50, 99, 100))))
    found = {name: numbers for name, *numbers in rows}
    show("%d rows of the past, %d keys; %d events/s" % (EVENTS, KEYS, RATE), ("", "for", "p50", "p99", "max"), rows)
    return found


if __name__ == "__main__":
    main()
