"""What the end-to-end tests share: folders, declarations, processes with deadlines, a small terminal.

Each test has a temporary folder of its own, with its own folder for sockets and state, so tests can run side
by side. Processes are ended by their id. Nothing sleeps for a fixed time: `until` asks again until
something is true, up to a deadline.
"""

import collections
import contextlib
import fcntl
import json
import math
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import time
import unittest

FRESHET = os.environ["FRESHET"]
SOURCE = os.environ.get("FRESHET_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
PRESET = os.environ.get("FRESHET_PRESET", "")

sys.path.append(os.path.join(SOURCE, "tests", "services"))

from server import SLOWNESS  # noqa: E402

DEADLINE = float(os.environ.get("FRESHET_TEST_DEADLINE", 120.0 if PRESET in ("asan", "tsan", "cov") else 60.0)) * SLOWNESS


def patient(seconds):
    """A time for a declaration within which something must work, as long as this machine needs."""
    return f"{math.ceil(seconds * SLOWNESS)} seconds"


# What tests draw at random is the same each time, unless a seed is given: make torture gives one.
SEED = os.environ.get("FRESHET_SEED", "")

Finished = collections.namedtuple("Finished", "code out err")


def stacks_of(pid):
    """Where a process that does not end stands, by gdb, where there is one."""
    if shutil.which("gdb") is None:
        return "install gdb to see where it stood"
    asked = subprocess.run(["gdb", "-q", "-batch", "-p", str(pid), "-ex", "thread apply all backtrace 20"],
                           capture_output=True, text=True, check=False, timeout=60)
    return asked.stdout[-8000:]


SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer")

EVENTS = {"id": "bigint", "key": "string", "seen": "timestamp", "value": "double"}

# A stream whose broker cannot be reached.
NOT_READY = """version: 1
pipeline: orders
source:
  readers:
    - id: orders
      kafka: {topic: orders, brokers: "127.0.0.1:1", value: {format: json, schema: {id: bigint, at: timestamp}}}
      stream: true
  query: select id, "at" from orders
feature_set:
  name: orders
  entity: order
  description: Orders.
  keys: [{name: id, type: bigint}]
  timestamp: {from: at}
  features: [{name: id2, type: bigint, sql: id * 2}]
sink: {writers: [{history: {path: out}}]}
"""


def event(i, keys=7):
    """The i-th event: a dict of EVENTS' fields; each differs from the others."""
    return {"id": i, "key": f"k{i % keys}", "seen": f"2024-01-{1 + i // 86400:02d}T"
            f"{i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z", "value": i / 4}


def line(record):
    return (json.dumps(record, separators=(",", ":")) + "\n").encode()


def lines(first, last):
    return b"".join(line(event(i)) for i in range(first, last))


def pieces(data, rng, largest):
    """The bytes cut at random places, inside lines and characters too."""
    at = 0
    while at < len(data):
        n = rng.randint(1, largest)
        yield data[at:at + n]
        at += n


class Process:
    """A running freshet. Its stdout and stderr go to files, so that no pipe can fill up."""

    def __init__(self, case, args, env, preexec=None):
        self.case = case
        self.args = args
        base = os.path.join(case.folder, f"process{next(case.numbers)}")
        self.out_path, self.err_path = base + ".out", base + ".err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([FRESHET, *args], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=env, cwd=case.folder,
                                            preexec_fn=preexec)
        self.pid = self.process.pid

    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.end()
            self.case.fail(f"{self.args} did not end within {deadline} s; stderr:\n{self.err()}")
        finished = Finished(code, self.out(), self.err())
        self.case.assert_clean(finished.err)
        return finished

    def stop(self):
        """SIGTERM, and the orderly end that it must bring."""
        self.signal(signal.SIGTERM)
        finished = self.wait()
        self.case.assertEqual(finished.code, 0, finished.err)
        return finished

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def until_checkpoints(self, n, pipeline="events"):
        """Waits until its state was saved `n` times more: False if it was not for some seconds, so that nothing is left."""
        seal = self.case.path(pipeline + ".state/seal")
        end = time.monotonic() + 5 * SLOWNESS
        saved = [os.stat(seal).st_mtime_ns if os.path.exists(seal) else None]
        while len(saved) <= n and self.is_running() and time.monotonic() < end:
            if os.path.exists(seal) and os.stat(seal).st_mtime_ns != saved[-1]:
                saved.append(os.stat(seal).st_mtime_ns)
            time.sleep(0.001)
        return len(saved) > n

    def handles(self, number):
        """True once the process catches that signal."""
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", status.read()).group(1), 16)
        return caught >> (number - 1) & 1 == 1


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="freshet-test-")
        self.addCleanup(self.remove_folder)
        self.numbers = iter(range(1000000))
        self.processes = []
        self.addCleanup(self.end_processes)
        self.rng = random.Random(self.id() + SEED)
        self.env = dict(os.environ, FRESHET_RUN_DIR=self.path("run"), HOME=self.path("home"),
                        XDG_STATE_HOME=self.path("state"), LC_ALL="C.UTF-8", TERM="xterm")
        self.env.pop("NO_COLOR", None)

    def remove_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_processes(self):
        for process in self.processes:
            process.end()

    # ---- files ----

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def append(self, name, content):
        with open(self.path(name), "ab") as file:
            file.write(content)

    def read_lines(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return [json.loads(text) for text in file.read().splitlines()]
        except FileNotFoundError:
            return []

    def dead_letters(self, pipeline="events"):
        return self.read_lines(f"{pipeline}.dead_letters.jsonl")

    def declare(self, name="events.yaml", *, stream=True, pipeline="events", path="in/*.jsonl",
                format="json", schema=EVENTS, query="select * from events", keys="{name: key, type: string}",
                timestamp="{from: seen}", features=("{name: id, type: bigint}", "{name: value, type: double}"),
                reader_extra="", readers="", sink="- online: {debug: true}", extra=""):
        """Writes a declaration with one reader, `events`, and gives its name."""
        declared = "" if schema is None else \
            ", schema: {" + ", ".join(f"{k}: {v}" for k, v in schema.items()) + "}"
        text = textwrap.dedent("""\
            version: 1
            pipeline: {pipeline}
            source:
              readers:
                - id: events
                  stream: {stream}
                  file: {{path: "{path}", format: {format}{declared}{reader_extra}}}
            {readers}  query: |
                {query}
            feature_set:
              name: {pipeline}
              entity: key
              keys: [{keys}]
              timestamp: {timestamp}
              features: [{features}]
            sink:
              writers:
                {sink}
            {extra}""").format(pipeline=pipeline, stream="true" if stream else "false", path=path,
                               format=format, declared=declared, reader_extra=reader_extra,
                               readers=textwrap.indent(readers, "    "), query=query, keys=keys,
                               timestamp=timestamp, features=", ".join(features), sink=sink,
                               extra=extra)
        os.makedirs(self.path("in"), exist_ok=True)
        self.write(name, text)
        return name

    # ---- processes ----

    def assert_clean(self, err):
        if SANITIZER.search(err):
            self.fail("a sanitizer found something:\n" + err)

    def history(self, columns, folder="out", order="id", keys="{name: key, type: string}"):
        """The rows of a history as dicts. `columns`: {name: type} of what is asked for beside keys and timestamp."""
        return [json.loads(text) for text in self.read_history(columns, folder, f" order by {order}", keys)]

    def history_lines(self, folder="out"):
        """All rows of a history, of the declaration events.yaml, as lines of JSON in a certain order."""
        shown = [text.split() for text in self.good("show", "--schema", "events.yaml").splitlines()]
        columns = {name: kind for name, kind in shown if name not in ("key", "timestamp")}
        return sorted(self.read_history(columns, folder))

    def read_history(self, columns, folder, order="", keys="{name: key, type: string}"):
        if not os.path.isdir(self.path(folder)):
            return []
        features = ", ".join(f"{{name: {name}, type: {kind}}}" for name, kind in columns.items())
        self.write("read.yaml", f"""\
version: 1
pipeline: reads
source:
  readers:
    - id: rows
      file: {{path: "{folder}/**/*.parquet", format: parquet}}
  query: select * from rows
feature_set:
  name: reads
  entity: key
  deduplicate_rows: false
  keys: [{keys}]
  timestamp: {{from: timestamp}}
  features: [{features}]
sink: {{writers: [{{online: {{debug: true}}}}]}}
""")
        return self.good("run", "read.yaml", "--progress", "none", "--format", "json", "--query",
                         "select * from online_feature_store__reads" + order).splitlines()

    def freshet(self, *args, input=None, deadline=DEADLINE, env=None, preexec=None):
        """Runs freshet to its end."""
        process = subprocess.Popen([FRESHET, *args], cwd=self.folder, env=env or self.env,
                                   stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=preexec)
        try:
            out, err = process.communicate(input, timeout=deadline)
        except subprocess.TimeoutExpired:
            stacks = stacks_of(process.pid)
            process.kill()
            out, err = process.communicate()
            self.fail(f"{args} did not end within {deadline} s; stderr:\n{err.decode(errors='replace')}\n{stacks}")
        finished = Finished(process.returncode, out.decode(errors="replace"),
                            err.decode(errors="replace"))
        self.assert_clean(finished.err)
        return finished

    def good(self, *args, **named):
        """Runs freshet to a good end; gives its stdout."""
        finished = self.freshet(*args, **named)
        self.assertEqual(finished.code, 0, finished.err)
        return finished.out

    def start(self, *args, env=None, preexec=None):
        process = Process(self, args, env or self.env, preexec)
        self.processes.append(process)
        return process

    def start_run(self, *args, pipeline="events", **named):
        """Starts `freshet run` and waits until it answers queries."""
        process = self.start("run", *args, **named)
        self.until(lambda: self.answers(process, pipeline), "the pipeline answers", process)
        return process

    def answers(self, process, pipeline):
        if not process.is_running():
            self.fail(f"the run ended: {process.wait().err}")
        return os.path.exists(self.path("run", pipeline + ".sock")) and \
            self.freshet("query", "--pipeline", pipeline, "select 1").code == 0

    def until(self, condition, what, process=None, deadline=DEADLINE):
        """Asks until the condition is true; gives its value."""
        end = time.monotonic() + deadline
        pause = 0.005
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                said = "" if process is None else "; stderr:\n" + process.err()
                self.fail(f"not within {deadline} s: {what}{said}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    # ---- queries ----

    def query(self, sql, pipeline="events"):
        """The rows of a query to a running pipeline, as dicts."""
        out = self.good("query", "--pipeline", pipeline, "--format", "json", sql)
        return [json.loads(text) for text in out.splitlines()]

    def value(self, sql, pipeline="events"):
        (row,) = self.query(sql, pipeline)
        (value,) = row.values()
        return value

    def count(self, pipeline="events"):
        return self.value(f"select count(*) as n from online_feature_store__{pipeline}", pipeline)

    def until_count(self, n, process, pipeline="events"):
        def reached():
            count = self.count(pipeline)
            self.assertLessEqual(count, n)
            return count == n
        self.until(reached, f"{n} rows", process)

    def assert_ids(self, ids, pipeline="events"):
        """Exactly these ids are in the debug table, once each."""
        rows = self.query(f"select id from online_feature_store__{pipeline} order by id", pipeline)
        self.assertEqual([row["id"] for row in rows], sorted(ids))

    def once(self, file="events.yaml", *args, sql="select * from online_feature_store__events order by id",
             code=0, **named):
        """`run --once --query`: the rows, and what was said."""
        finished = self.freshet("run", file, "--once", "--query", sql, "--format", "json", *args,
                                **named)
        self.assertEqual(finished.code, code, finished.err)
        return [json.loads(text) for text in finished.out.splitlines()], finished


# ---- limits for a child ----

def limit_file_size(size):
    """For preexec: files end at that size, as on a full disk (EFBIG in place of ENOSPC). Only the
    soft limit, so that free_file_size can lift it."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return limit


def free_file_size(pid):
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


# ---- a terminal ----

class Screen:
    """What a terminal shows: enough of xterm for what freshet and libedit write."""

    def __init__(self, width, height):
        self.text = ""
        self.rest = b""
        self.cursor_visible = True
        self.resize(width, height)

    def resize(self, width, height):
        self.width, self.height = width, height
        self.rows = [[" "] * width for _ in range(height)]
        self.x = self.y = 0
        self.wrapped = 0

    def feed(self, data):
        data = self.rest + data
        text = data.decode("utf-8", errors="ignore") if self.complete(data) else None
        if text is None:
            self.rest = data
            return
        self.rest = b""
        self.text += text
        for part in re.finditer(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[=>78]|\x1b\][^\x07]*\x07|(.)", text, re.S):
            if part.group(2):
                self.control(part.group(1), part.group(2))
            elif part.group(3):
                self.put(part.group(3))

    @staticmethod
    def complete(data):
        """False where the data end inside a character or an escape sequence."""
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                return False
        return re.search(rb"\x1b(\[[?0-9;]*)?$", data) is None

    def put(self, character):
        if character == "\n":
            self.down()
        elif character == "\r":
            self.x = 0
        elif character == "\b":
            self.x = max(0, self.x - 1)
        elif character >= " ":
            if self.x == self.width:
                self.wrapped += 1
                self.x = 0
                self.down()
            self.rows[self.y][self.x] = character
            self.x += 1

    def down(self):
        if self.y + 1 == self.height:
            self.rows = self.rows[1:] + [[" "] * self.width]
        else:
            self.y += 1

    def control(self, numbers, letter):
        if numbers == "?25":
            self.cursor_visible = letter == "h"
            return
        n = int(numbers) if numbers.isdigit() else None
        if letter == "A":
            self.y = max(0, self.y - (n or 1))
        elif letter == "B":
            self.y = min(self.height - 1, self.y + (n or 1))
        elif letter == "C":
            self.x = min(self.width - 1, self.x + (n or 1))
        elif letter == "D":
            self.x = max(0, self.x - (n or 1))
        elif letter == "G":
            self.x = min(self.width, n or 1) - 1
        elif letter == "H":
            self.x = self.y = 0
        elif letter == "K":
            self.rows[self.y][self.x:] = [" "] * (self.width - self.x)
        elif letter == "P":
            row = self.rows[self.y]
            self.rows[self.y] = row[:self.x] + row[self.x + (n or 1):] + [" "] * (n or 1)
        elif letter == "@":
            row = self.rows[self.y]
            self.rows[self.y] = (row[:self.x] + [" "] * (n or 1) + row[self.x:])[:self.width]
        elif letter == "J":
            if n == 2:
                self.rows = [[" "] * self.width for _ in range(self.height)]
            else:
                self.rows[self.y][self.x:] = [" "] * (self.width - self.x)
                for y in range(self.y + 1, self.height):
                    self.rows[y] = [" "] * self.width

    def shown(self):
        return "\n".join("".join(row).rstrip() for row in self.rows).rstrip()


class Terminal:
    """A freshet on a pseudo-terminal."""

    def __init__(self, case, *args, width=100, height=30, env=None):
        self.case = case
        self.args = args
        self.screen = Screen(width, height)
        self.master, self.slave = pty.openpty()
        self.set_size(width, height)
        self.modes = termios.tcgetattr(self.slave)

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([FRESHET, *args], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env=env or case.env, cwd=case.folder,
                                        start_new_session=True, preexec_fn=take_terminal)
        self.pid = self.process.pid
        case.processes.append(self)

    def set_size(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def take(self, seconds=0.05):
        """Reads what is there."""
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.screen.feed(data)
            seconds = 0

    def until(self, condition, what, deadline=DEADLINE):
        end = time.monotonic() + deadline
        while True:
            ended_by_itself = self.process.poll() is not None
            self.take()
            value = condition()
            if value:
                return value
            if ended_by_itself or time.monotonic() > end:
                self.case.fail(f"not within {deadline} s, or ended before: {what}; the terminal shows:\n"
                               f"{self.screen.shown()}")

    def until_shown(self, text):
        return self.until(lambda: text in self.screen.shown(), f"the terminal shows {text!r}")

    def until_matches(self, pattern):
        return self.until(lambda: re.search(pattern, self.screen.shown()), f"the terminal shows {pattern}")

    def until_said(self, text):
        return self.until(lambda: text in self.screen.text, f"the terminal got {text!r}")

    def is_stopped(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"

    def wait(self, deadline=DEADLINE):
        self.until(lambda: self.process.poll() is not None, f"{self.args} ends", deadline)
        self.take(0)
        self.case.assert_clean(self.screen.text)
        return self.process.returncode

    def err(self):
        return self.screen.shown()

    def assert_restored(self):
        self.case.assertTrue(self.screen.cursor_visible, "the cursor is hidden")
        self.case.assertEqual(termios.tcgetattr(self.slave), self.modes)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)
