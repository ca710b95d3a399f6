"""What a process and all those that it started cost together: for programs that are several processes.

Memory is the sum of what each has resident, so what they share is counted for each. A look each LOOK_S: what begins and ends between two
looks is not seen, and of CPU time the last LOOK_S of a process may be lost.
"""

import os
import threading

from harness import Failed, cpu_s, resident_mib

LOOK_S = 0.05


def children(pid):
    found = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def family(pid):
    """The process and all below it."""
    everyone, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            todo += children(one)
        except OSError:
            continue  # it has ended
        everyone.append(one)
    return everyone


class Watch:
    """Looks at a process's family, as a context, until it ends or the context does."""

    def __init__(self, pid):
        self.pid = pid
        self.peak_mib = 0
        self.used = {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.look_on, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def look_on(self):
        while not self.is_over.wait(LOOK_S):
            self.look()

    def look(self):
        resident = 0
        for pid in family(self.pid):
            try:
                self.used[pid] = cpu_s(pid)
                resident += resident_mib(pid)
            except (OSError, Failed):
                continue  # it has ended, or is about to
        self.peak_mib = max(self.peak_mib, resident)

    @property
    def cpu_s(self):
        return sum(self.used.values())
