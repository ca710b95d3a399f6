"""A server of one's own for a test, a demo or a benchmark: started, stopped, killed, paused, started again.

What kafka_server.py and cassandra_server.py have in common. The life of a server:

    server = Kafka(folder, owner=os.getpid())   # or open_server(folder) for one that is there
    server.up()                                 # ports, certificates, configuration; start, wait until ready
    server.stop() | kill() ; server.start()     # the same ports, the same data
    server.pause() ; server.resume()            # SIGSTOP, SIGCONT
    server.down()                               # kill it, remove the folder

quick=True, for each kind, is for tests: Java compiles less well, and starts with half the work.

Everything is in the folder: server.json (kind, options, ports), the configuration, the data, the logs, and
while it runs the file pid. Only loopback addresses are listened on, at ports that were free.

Between us and Java stands a keeper, a small process of its own session. It is the parent of the server, so
that its end is noticed and no zombie stays, and it watches the owner (a process id: a test, ctest, a demo's
shell): when that ends, however it ends, the keeper kills the server and removes the folder. So no server
outlives an interrupted run. Neither inherits descriptors of the caller.
"""

import fcntl
import glob
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
DEPS = os.path.abspath(os.environ.get("FRESHET_DEPS") or os.path.join(SOURCE, ".deps"))

# How many times slower this machine is than the one where deadlines were chosen: scripts/slowness measured it when the tests
# began; the load tells what has come since. (Two processes a core are what the tests run themselves.)
SLOWNESS = max(float(os.environ.get("FRESHET_SLOWNESS") or 1), os.getloadavg()[0] / os.cpu_count() / 2)
READY_S = float(os.environ.get("FRESHET_SERVICE_DEADLINE") or 180 * SLOWNESS)
STOP_S = 30 * SLOWNESS
LOG_LINES = 30

PORTS = range(12000, 32000)  # below those that Linux gives to connections: free at a restart too


class ServerError(Exception):
    """A server could not be brought to the wanted state; the text says why, with the end of its log."""


def free_port(address="127.0.0.1"):
    """A port nobody listens on at that address."""
    numbers = random.SystemRandom()
    for _ in range(200):
        port = numbers.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise ServerError(f"no free port at {address} between {PORTS.start} and {PORTS.stop}")


def process_stat(pid):
    """The state letter and the start time of a process, or None; together with its pid, the latter names it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def tail(path, lines=LOG_LINES):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except FileNotFoundError:
        return ""


def java():
    """The Java 17 to run servers with: FRESHET_JAVA, Debian's, or what the PATH has."""
    debian = glob.glob("/usr/lib/jvm/java-17-openjdk-*/bin/java")
    return os.environ.get("FRESHET_JAVA") or next(iter(debian), "java")


class Server:
    """What is the same for each kind."""

    kind = ""

    def __init__(self, folder, owner=None, **options):
        self.folder = os.path.abspath(folder)
        self.settings = None
        if os.path.exists(self.path("server.json")):
            with open(self.path("server.json"), encoding="utf-8") as file:
                self.settings = json.load(file)
        else:
            self.options = options
            self.owner = owner

    # ---- what a kind gives ----

    def new_settings(self, options):
        """The settings to keep in server.json: ports and what the options mean."""
        raise NotImplementedError

    def configure(self):
        """Writes configuration, certificates, empty data."""
        raise NotImplementedError

    def command(self):
        """The arguments of Java."""
        raise NotImplementedError

    def log(self):
        """The path of the log."""
        raise NotImplementedError

    def is_ready(self):
        """Whether the server, which runs, does its work already."""
        raise NotImplementedError

    def environment(self):
        """What a client has to know, as a dict of environment variables."""
        raise NotImplementedError

    # ---- the life ----

    def up(self):
        """Starts it if it does not run yet; the environment for clients."""
        os.makedirs(self.folder, exist_ok=True)
        with open(self.path("lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(self.path("server.json")):
                self.__init__(self.folder)
            else:
                quick = self.options.pop("quick", False)
                self.settings = {"kind": self.kind, "owner": self.owner, "quick": quick,
                                 **self.new_settings(self.options)}
                self.configure()
                with open(self.path("server.json.part"), "w", encoding="utf-8") as file:
                    json.dump(self.settings, file, indent=4)
                os.rename(self.path("server.json.part"), self.path("server.json"))
            if not self.is_running():
                self.start()
        return self.environment()

    def start(self, wait=True):
        """Starts it, on the same ports and data as before; returns once it is ready."""
        if self.is_running():
            raise ServerError(f"{self.kind} in {self.folder} runs already")
        class_path = self.class_path()
        for name in (self.log(), self.path("output.log")):
            if os.path.exists(name):
                os.replace(name, name + ".before")
        compiler = ["-XX:TieredStopAtLevel=1"] if self.settings["quick"] else []
        with open(self.path("output.log"), "ab") as output:
            keeper = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "keeper"), str(self.settings["owner"] or 0), self.folder,
                 self.settings.get("whole", self.folder), java(), *compiler, "-cp", class_path,
                 *self.command()],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True,
                start_new_session=True, cwd="/")
        self.keeper = keeper
        while not os.path.exists(self.path("pid")):
            if keeper.poll() is not None:
                raise ServerError(f"{self.kind} in {self.folder} could not be started:\n{self.log_tail()}")
            time.sleep(0.005)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """Waits until the server that was started does its work."""
        end = time.monotonic() + READY_S
        while True:
            if self.is_ready():
                return
            if self.keeper.poll() is not None:
                raise ServerError(f"{self.kind} in {self.folder} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > end:
                self.kill()
                raise ServerError(f"{self.kind} in {self.folder} was not ready in {READY_S:g} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self):
        """SIGTERM, and its orderly end."""
        self.signal(signal.SIGTERM)
        if not self.ended(STOP_S):
            self.kill()
            raise ServerError(f"{self.kind} in {self.folder} did not stop in {STOP_S} s:\n{self.log_tail()}")

    def kill(self):
        """SIGKILL; fine if it does not run."""
        self.signal(signal.SIGKILL)
        if not self.ended(STOP_S):
            raise ServerError(f"{self.kind} in {self.folder} does not end after SIGKILL")

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def down(self):
        """Kills it and removes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the process ----

    def pid(self):
        """Its process id, or None if it does not run."""
        try:
            with open(self.path("pid"), encoding="ascii") as file:
                pid, started = (int(word) for word in file.read().split())
        except FileNotFoundError:
            return None
        stat = process_stat(pid)
        return pid if stat and stat[1] == started and stat[0] not in "ZX" else None

    def is_running(self):
        return self.pid() is not None

    def signal(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)
        elif number not in (signal.SIGKILL, signal.SIGTERM):
            raise ServerError(f"{self.kind} in {self.folder} does not run")

    def ended(self, seconds):
        """Whether it and its keeper have ended, within that time."""
        end = time.monotonic() + seconds
        while self.is_running() or os.path.exists(self.path("pid")):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        keeper = getattr(self, "keeper", None)
        if keeper is not None:
            keeper.wait()
        return True

    # ---- files ----

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read_log(self):
        try:
            with open(self.log(), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self):
        return tail(self.path("output.log")) + tail(self.log())

    def class_path(self):
        path = os.path.join(DEPS, "services", self.kind, "classpath")
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            raise ServerError(f"no jars of {self.kind} in {os.path.dirname(path)}: "
                              f"scripts/setup test downloads them") from None


def keep(owner, folder, whole, command):
    """The keeper: runs the command as the server of that folder. When the owner ends, so does the server, and the
    folder `whole` is removed: that folder, or the one of a cluster around it."""
    # The caller waits for the file pid to go, and nothing here may be cut off by a signal meant for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watched = select.poll()
    if owner:
        try:
            owner_fd = os.pidfd_open(owner)
        except ProcessLookupError:
            shutil.rmtree(whole, ignore_errors=True)
            return 0
        watched.register(owner_fd, select.POLLIN)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder,
                              preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL)
                                                  for s in (signal.SIGINT, signal.SIGTERM)])
    pid_path = os.path.join(folder, "pid")
    with open(pid_path + ".part", "w", encoding="ascii") as file:
        file.write(f"{server.pid} {process_stat(server.pid)[1]}\n")
    os.rename(pid_path + ".part", pid_path)
    server_fd = os.pidfd_open(server.pid)
    watched.register(server_fd, select.POLLIN)
    ended = [fd for fd, _ in watched.poll()]
    if server_fd not in ended:
        server.kill()
    server.wait()
    if owner and owner_fd in ended:
        shutil.rmtree(whole, ignore_errors=True)
    else:
        os.unlink(pid_path)
    return 0
