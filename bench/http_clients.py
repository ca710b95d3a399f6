"""Slow clients of HTTP beside a stream: is a row as quick as without them?

A process appends lines to a file at a steady rate; `freshet run --http` follows it and writes jsonl; this process reads what is
appended there, and notes when each row has come. Rounds without clients and rounds with 200 of them, each held in the middle of a
request or of an answer, and one that asks /metrics once a second, take turns, so that both see the machine alike. It holds on a
quiet machine only: where the rounds of one kind differ among themselves by more than the two kinds do, it says nothing.

usage: http_clients.py [FRESHET]      prints both medians and 99th percentiles, and what the clients cost; exits with 1 over 10 %
"""

import contextlib
import http.client
import multiprocessing
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RATE = 200
SECONDS = 2
ROUNDS = 15
CLIENTS = 200
DECLARATION = """\
version: 1
pipeline: http_bench
source:
  readers:
    - {id: events, stream: true, file: {path: in.jsonl, format: json, schema: {id: bigint, k: bigint, at: timestamp, v: double}}}
  query: select * from events
feature_set:
  name: http_bench
  entity: k
  keys: [{name: k, type: bigint}]
  timestamp: {from: at}
  features: [{name: id, type: bigint}, {name: s, from: v, window: {functions: [sum], over: [1 hour]}}]
sink: {writers: [{jsonl: {path: out.jsonl}}]}
"""


def append(path, first, n, times):
    due = time.monotonic_ns()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for i in range(n):
        wait_ns = due - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        text = '{"id": %d, "k": %d, "at": "2024-01-01T00:00:00Z", "v": 1.5}\n' % (first + i, i % 100)
        times[i] = time.monotonic_ns()
        os.write(fd, text.encode())
        due += 1_000_000_000 // RATE
    os.close(fd)


def ask_now_and_then(port, end):
    while not end.wait(1):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics")
            connection.getresponse().read()
            connection.close()


@contextlib.contextmanager
def clients(port):
    end = multiprocessing.Event()
    asking = multiprocessing.Process(target=ask_now_and_then, args=(port, end))
    with contextlib.ExitStack() as stack:
        for i in range(CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET /status HTTP/1.1\r\n" if i % 2 else b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        asking.start()
        yield
        end.set()
        asking.join()


def measure(folder, first):
    """Milliseconds from the write of each line to its row in the output."""
    n = RATE * SECONDS
    times = multiprocessing.Array("q", n, lock=False)
    writer = multiprocessing.Process(target=append, args=(os.path.join(folder, "in.jsonl"), first, n, times))
    took = []
    with open(os.path.join(folder, "out.jsonl"), "rb") as out:
        out.seek(0, os.SEEK_END)
        writer.start()
        deadline = time.monotonic() + 10 * SECONDS
        while len(took) < n and time.monotonic() < deadline:
            rows = out.read().count(b"\n")
            now = time.monotonic_ns()
            took += [(now - times[i]) / 1e6 for i in range(len(took), len(took) + rows)]
            time.sleep(0.0001)
    writer.join()
    if len(took) != n:
        raise SystemExit(f"http_clients.py: {len(took)} rows of {n} came")
    return took


def main():
    freshet = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "build", "freshet")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = tempfile.mkdtemp(prefix="freshet-bench-")
    with open(os.path.join(folder, "run.yaml"), "w", encoding="utf-8") as file:
        file.write(DECLARATION)
    for name in ("in.jsonl", "out.jsonl"):
        with open(os.path.join(folder, name), "wb"):
            pass
    log = os.path.join(folder, "log")
    with open(log, "wb") as err:
        run = subprocess.Popen([freshet, "run", "run.yaml", "--progress", "none", "--http", "127.0.0.1:0", "--workers", "1"],
                               cwd=folder, stderr=err, env=dict(os.environ, FRESHET_RUN_DIR=os.path.join(folder, "run")))
    try:
        port = None
        while port is None and run.poll() is None:
            with open(log, encoding="utf-8") as said:
                port = re.search(r"answering by HTTP at http://[\d.]+:(\d+)", said.read())
            time.sleep(0.01)
        port = int(port.group(1))
        rounds, first = {False: [], True: []}, 0
        measure(folder, first)
        for i in range(2 * ROUNDS):
            first += RATE * SECONDS
            with clients(port) if i % 2 else contextlib.nullcontext():
                rounds[i % 2 == 1].append(measure(folder, first))
    finally:
        run.terminate()
        run.wait()
    shutil.rmtree(folder)
    medians = {}
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for held, found in rounds.items():
        medians[held] = statistics.median(statistics.median(took) for took in found)
        last = statistics.median(statistics.quantiles(took, n=100)[98] for took in found)
        each = sorted(statistics.median(took) for took in found)
        print(f"{CLIENTS if held else 'no':>3} clients: median {medians[held]:.3f} ms, 99th percentile {last:.3f} ms (medians of {ROUNDS} rounds, "
              f"which have {each[0]:.3f} to {each[-1]:.3f} ms)")
    cost = medians[True] / medians[False] - 1
    print(f"the clients cost {cost:+.1%} of the median")
    return 1 if cost > 0.1 else 0


if __name__ == "__main__":
    sys.exit(main())
