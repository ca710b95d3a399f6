"""What the benchmarks share: where things are, running a process and measuring it, tables."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WORK = os.path.join(ROOT, "build", "bench")
FRESHET = os.environ.get("FRESHET", os.path.join(ROOT, "build", "freshet"))
DECLARATION = os.path.join(HERE, "events.yaml")
TABLE = "online_feature_store__bench_events"

EVENTS = int(os.environ.get("FRESHET_BENCH_EVENTS", "2000000"))
ROUNDS = int(os.environ.get("FRESHET_BENCH_ROUNDS", "3"))
CORES = sorted(os.sched_getaffinity(0))

PROBE = os.path.join(ROOT, "build", "release", "bench", "memory_probe")
DRIFT = float(os.environ.get("FRESHET_BENCH_DRIFT", "0.4"))
TRIES = int(os.environ.get("FRESHET_BENCH_TRIES", "3"))

QUIET_SHARE = 0.10
QUIET_WAIT_S = 10


class Failed(Exception):
    """A benchmark that cannot be trusted: a process failed, or its check is not the others'."""


class Missing(Exception):
    """A benchmark that needs what is not installed; the text says what."""


class Run:
    """What one process did and cost."""

    def __init__(self, output, wall_s, cpu_s, peak_mib, others):
        self.output = output
        self.wall_s = wall_s
        self.cpu_s = cpu_s
        self.peak_mib = peak_mib
        self.others = others  # the share of the machine that other processes used meanwhile
        self.memory = None  # how many times slower than at its best memory was, before or after


def work_path(*names):
    """A path in build/bench, whose folder is made."""
    path = os.path.join(WORK, *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def new_folder(name):
    """An empty folder in build/bench."""
    path = work_path(name)
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    return path


def busy_s():
    """Seconds that the machine's cores have worked since it started."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet():
    """Waits until others leave the machine alone, for a while at most."""
    deadline = time.monotonic() + QUIET_WAIT_S
    while time.monotonic() < deadline:
        before = busy_s()
        time.sleep(0.5)
        if (busy_s() - before) / 0.5 < QUIET_SHARE * os.cpu_count():
            return


class Memory:
    """How quick the machine's memory is (memory_probe.c), beside the quickest since this program began.

    A guest whose host is slow to give it pages, or a neighbour that fills the memory's lines, makes everything some times
    slower, which looks like CPU time of our own: such a run says nothing about us.
    """

    def __init__(self, look=None):
        self.look = look or self.probe
        self.best = {}

    @staticmethod
    def probe():
        """Times of a read and of a copy, or None where the probe is not built."""
        if not os.access(PROBE, os.X_OK):
            return None
        said = json.loads(subprocess.run([PROBE], capture_output=True, text=True, check=True).stdout)
        return {"read": said["ns_per_read"], "copy": 1 / said["gb_per_s"]}

    def slower(self):
        """How many times slower than at its best it is now."""
        found = self.look()
        if found is None:
            return 1
        self.best = {what: min(time_s, self.best.get(what, time_s)) for what, time_s in found.items()}
        return max(found[what] / self.best[what] for what in found)

    def steadily(self, measure, name):
        """What measure() gives, and how much slower memory was; where that is over DRIFT, before or after, it is thrown away and
        measured again, TRIES times at most: then the one with the quickest memory holds, and that is said."""
        kept, least = None, None
        for _ in range(TRIES):
            before = self.slower()
            found = measure()
            slower = max(before, self.slower())
            if least is None or slower < least:
                kept, least = found, slower
            if slower <= 1 + DRIFT:
                return found, slower
        print("\n  %s: memory was %.1f times slower than at its best beside each of %d runs" % (name, least, TRIES), flush=True)
        return kept, least


memory = Memory()


def environment(files):
    """The environment of a freshet whose declaration reads `files`, and whose socket is our own."""
    return dict(os.environ, BENCH_FILES=files, BENCH_ROWS=str(max(EVENTS, 1_000_000)),
                FRESHET_RUN_DIR=os.path.join(WORK, "run"))


def start(command, name, cores=None, env=None, stdin=subprocess.DEVNULL):
    """Starts a process on these cores (None: all), its messages in build/bench/NAME.log."""
    if cores is not None:
        command = ["taskset", "-c", ",".join(map(str, cores)), *command]
    os.makedirs(os.path.join(WORK, "run"), mode=0o700, exist_ok=True)
    with open(work_path(name + ".log"), "w", encoding="utf-8") as log:
        return subprocess.Popen(command, env=env, stdin=stdin, stdout=subprocess.PIPE,
                                stderr=log, cwd=WORK)


def finish(process, name, began, busy_before):
    """Reads the process's output to its end, waits for it, and gives what it cost."""
    output = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        log = os.path.join(WORK, name + ".log")
        with open(log, encoding="utf-8", errors="replace") as file:
            said = file.read().strip()
        raise Failed("%s ended with %d: %s" % (name, process.returncode, said[-500:] or "no message"))
    cpu_s = usage.ru_utime + usage.ru_stime
    others = max(0.0, busy_s() - busy_before - cpu_s) / wall_s / os.cpu_count()
    return Run(output, wall_s, cpu_s, usage.ru_maxrss / 1024, others)


def run(command, name, cores=None, env=None, fresh=None):
    """Runs a process to its end. With `fresh`, files and folders that it finds removed, it is measured with steady memory,
    and for that perhaps more than once."""
    def once():
        for path in fresh or ():
            shutil.rmtree(path, ignore_errors=True)
        busy_before, began = busy_s(), time.monotonic()
        return finish(start(command, name, cores, env), name, began, busy_before)

    if fresh is None:
        return once()
    done, done_memory = memory.steadily(once, name)
    done.memory = done_memory
    return done


def memory_mib(pid, what):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
    raise Failed("process %d has no %s" % (pid, what))


def resident_mib(pid):
    return memory_mib(pid, "VmRSS")


def peak_mib(pid):
    return memory_mib(pid, "VmHWM")


def cpu_s(pid):
    """Seconds that a running process has used."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop(process, name):
    """Ends a stream as a user does, and takes its exit code seriously."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed("%s did not stop within 30 s" % name) from None
    finally:
        process.stdout.close()
    if process.returncode != 0:
        raise Failed("%s ended with %d; see build/bench/%s.log" % (name, process.returncode, name))


def same_check(expected, found, name):
    """Counts must be equal, sums nearly so: their order differs."""
    for key, value in expected.items():
        other = found.get(key)
        if other is None or abs(other - value) > 1e-9 * abs(value):
            raise Failed("CHECK of %s: %s is %s, and %s was expected" % (name, key, other, value))


def check_line(text):
    return json.loads(text.strip().splitlines()[-1])


median = statistics.median


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def show(title, header, rows):
    """Prints an aligned table: the first column to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print("\n%s\n" % title)
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "   ".join(cells).rstrip())
    sys.stdout.flush()
