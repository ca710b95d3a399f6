"""Restart: a stream with windows over 1,000,000 keys is stopped, and killed, and started again for one more event.

The whole process is measured, from `freshet run` to the new event's features and out again; what these must be is known,
so a state that was not taken up fails the benchmark. Then the same with less memory than the keys need.
"""

import os
import shutil
import signal
import time

from harness import (CORES, EVENTS, FRESHET, HERE, Failed, check_line, environment, median, new_folder,
                     percentile, run, show, start, wait_until_quiet, work_path)

KEYS = EVENTS // 2
EVENTS_A_KEY = 3
ORDERS = (7919, 104729, 1299709)  # primes that go through all keys
FILES = 8
GOAL_MS = 1000
TIMES = 10
SMALL_MEMORY = "64 MiB"
DECLARATION = os.path.join(HERE, "restart.yaml")
QUERY = ("select id, amount__count_over_7_days_fixed_windows as n, "
         "amount__avg_over_7_days_fixed_windows as mean from online_feature_store__bench_restart "
         "order by timestamp desc limit 1")


def event(key, second, amount):
    return '{"id":%d,"ts":"2024-05-%02dT%02d:%02d:%02d","amount":%d}\n' % (
        key, 1 + second // 86400, second // 3600 % 24, second // 60 % 60, second % 60, amount)


def feed(folder):
    """Each key has EVENTS_A_KEY events, in another order each time; the n-th has the amount n."""
    per_file = KEYS * EVENTS_A_KEY // FILES
    at = 0
    for number in range(FILES):
        last = KEYS * EVENTS_A_KEY if number == FILES - 1 else at + per_file
        with open(os.path.join(folder, "%02d.jsonl" % number), "w", encoding="ascii") as file:
            file.writelines(event(i * ORDERS[i // KEYS] % KEYS, 86400 * i // KEYS, i // KEYS)
                            for i in range(at, last))
        os.utime(file.name, (1700000000 + number,) * 2)
        at = last


def expect(output, key, n):
    found = check_line(output)
    if found["id"] != key or found["n"] != n or abs(found["mean"] - (n - 1) / 2) > 1e-9:
        raise Failed("restart: key %d must have %d events: %s" % (key, n, output))


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)


class Stream:
    """The pipeline's files and state, one event at a time."""

    def __init__(self, name, memory):
        self.name = name
        self.folder = new_folder(name)
        self.state = work_path(name + ".state")
        shutil.rmtree(self.state, ignore_errors=True)
        feed(self.folder)
        self.env = dict(environment(os.path.join(self.folder, "*.jsonl")), BENCH_MEMORY=memory)
        self.second = 86400 * EVENTS_A_KEY
        self.counts = {}

    def run(self):
        return run([FRESHET, "run", DECLARATION, "--once", "--query", QUERY, "--format", "json",
                    "--progress", "none", "--state", self.state], self.name, CORES[-1:], self.env)

    def add(self, key):
        self.second += 1
        n = self.counts.get(key, EVENTS_A_KEY)
        self.counts[key] = n + 1
        with open(os.path.join(self.folder, "new.jsonl"), "a", encoding="ascii") as file:
            file.write(event(key, self.second, n))
        return n + 1

    def again(self, key):
        n = self.add(key)
        done = self.run()
        expect(done.output, key, n)
        return 1000 * done.wall_s

    def kill(self):
        """Events come, checkpoints are made, and the process is killed in the middle."""
        process = start([FRESHET, "run", DECLARATION, "--no-serve", "--progress", "none", "--state", self.state],
                        self.name + "-killed", CORES[-1:], self.env)
        for _ in range(20):
            for key in range(100):
                self.add(key)
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def remove(self):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(name, memory):
    stream = Stream(name, memory)
    wait_until_quiet()
    first = stream.run()
    results = {"events_per_cpu_s": KEYS * EVENTS_A_KEY / first.cpu_s, "peak_mib": first.peak_mib,
               "state_mib": folder_bytes(stream.state) / 2**20}
    stopped = [stream.again((i * 104729 + 11) % KEYS) for i in range(TIMES)]
    killed = []
    for i in range(3):
        stream.kill()
        killed.append(stream.again((i * 7907 + 5000) % KEYS))
    stream.remove()
    return dict(results, stopped_ms=median(stopped), stopped_p90_ms=percentile(stopped, 90),
                killed_ms=median(killed))


def main():
    results = {"default": measure("restart", "1 GiB"), SMALL_MEMORY: measure("restart-small", SMALL_MEMORY)}
    show("restart: one more event after %d keys with windows (goal: under %d ms)" % (KEYS, GOAL_MS),
         ["state.memory", "after a stop, ms", "p90", "after kill -9, ms", "state MiB", "first run: events/CPU s",
          "its peak MiB"],
         [[name, "%.0f" % of["stopped_ms"], "%.0f" % of["stopped_p90_ms"], "%.0f" % of["killed_ms"],
           "%.0f" % of["state_mib"], "%.0f" % of["events_per_cpu_s"], "%.0f" % of["peak_mib"]]
          for name, of in results.items()])
    return dict(results, keys=KEYS)
