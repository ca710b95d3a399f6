"""A running stream, and a connection to ask it by: for the benchmarks of a running pipeline."""

import os
import time

from client import Client
from harness import DECLARATION, FRESHET, TABLE, WORK, Failed, environment, start, stop

COUNT = "select count(*) as n from " + TABLE


class Following:
    """A `freshet run`, as a context: started at once, stopped by SIGTERM on exit."""

    def __init__(self, command, name, pipeline, env, cores=None):
        self.name = name
        self.pipeline = pipeline
        self.process = start(command, name, cores, env)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure is not None and self.process.poll() is not None:
            return
        stop(self.process, self.name)

    def connect(self):
        """A connection to the pipeline's socket, as soon as it is there."""
        path = os.path.join(WORK, "run", self.pipeline + ".sock")
        deadline = time.monotonic() + 30
        while True:
            if self.process.poll() is not None:
                raise Failed("%s ended by itself; see build/bench/%s.log" % (self.name, self.name))
            try:
                return Client(path)
            except OSError:
                if time.monotonic() > deadline:
                    raise Failed("%s: no socket after 30 s" % self.name) from None
                time.sleep(0.002)

    def rows(self, client):
        return client.ask(COUNT)[0]["n"]

    def wait_for_rows(self, client, rows, seconds=120, pause_s=0.01):
        deadline = time.monotonic() + seconds
        while True:
            found = self.rows(client)
            if found >= rows:
                return found
            if time.monotonic() > deadline:
                raise Failed("%s: %d rows of %d after %d s" % (self.name, found, rows, seconds))
            time.sleep(pause_s)


def follow_folder(folder, name, cores=None):
    """The stream that follows the events in a folder."""
    return Following([FRESHET, "run", DECLARATION, "--progress", "none"], name, "bench_events",
                     environment(os.path.join(folder, "*.jsonl")), cores)
