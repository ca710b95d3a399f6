"""A supervisor as systemd is one to a process: a datagram socket that hears what a run tells of itself."""

import os
import select
import socket
import time


class Supervisor:
    """Hears all that is sent: (seconds since it began, name, value), in the order in which it came."""

    def __init__(self, case, abstract=False, watchdog_s=None):
        self.name = f"@freshet-{os.getpid()}-{case.id()}"[:100] if abstract else case.path("notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)
        case.addCleanup(self.socket.close)
        self.begun = time.monotonic()
        self.heard = []
        self.env = dict(case.env, NOTIFY_SOCKET=self.name)
        self.env.pop("WATCHDOG_PID", None)
        if watchdog_s is not None:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))

    def listen(self, seconds=0.0):
        """Takes what comes within so many seconds."""
        end = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]:
            for text in self.socket.recv(65536).decode().splitlines():
                self.heard.append((time.monotonic() - self.begun, *text.split("=", 1)))

    def values(self, name):
        self.listen()
        return [value for _, said, value in self.heard if said == name]

    def times(self, name):
        self.listen()
        return [at for at, said, _ in self.heard if said == name]

    def names(self):
        """What was told of the stages, without what is told again and again."""
        self.listen()
        return [f"{name}={value}" for _, name, value in self.heard if name in ("READY", "RELOADING", "STOPPING")]
