"""Runs a program under valgrind's callgrind, and reads what it counted: instructions by function and by library."""

import os
import re
import shutil
import subprocess
from collections import defaultdict

from harness import WORK, Failed, Missing, work_path

NAMED = re.compile(r"(c?)(fn|ob|fl|fi|fe)=(?:\((\d+)\))?\s*(.*)")

# What the C library chooses by the processor it runs on is held to the plainest. (What valgrind shows of the
# processor is always the same one.)
TUNABLES = ("glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-BMI2,-ERMS,-FSRM,-RTM,-LZCNT,-MOVBE,"
            "-AVX_Fast_Unaligned_Load:glibc.malloc.arena_max=1")


def valgrind():
    """The program, or Missing."""
    found = shutil.which("valgrind")
    if found is None:
        raise Missing("there is no valgrind; scripts/setup test installs it")
    return found


def callgrind(command, name, core, env, *options):
    """Runs a program to its end on this core, and gives the path of its profile."""
    profile = work_path(name + ".callgrind")
    words = ["taskset", "-c", str(core), valgrind(), "--tool=callgrind", "--callgrind-out-file=" + profile, *options, *command]
    env = dict(env, GLIBC_TUNABLES=TUNABLES)
    done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=WORK,
                          check=False)
    if done.returncode != 0:
        raise Failed("%s ended with %d under callgrind: %s" % (name, done.returncode, done.stderr[-1000:]))
    return profile


class Profile:
    """What callgrind counted: total; objects[library]: its own instructions; own[function]; calls[function][called]:
    instructions within the called one. A function is (library, name)."""

    def __init__(self, path):
        self.total = 0
        self.objects = defaultdict(int)
        self.own = defaultdict(int)
        self.calls = defaultdict(lambda: defaultdict(int))
        self.files = {}
        self.names = {"fn": {}, "ob": {}, "fl": {}}
        with open(path, encoding="utf-8", errors="replace") as file:
            self.read(file)

    def name_of(self, kind, number, text):
        """A name is written out once, behind its number, which stands for it from then on."""
        if number is None:
            return text
        names = self.names["fl" if kind in ("fl", "fi", "fe") else kind]
        if text:
            names[number] = text
        return names[number]

    def read(self, file):
        ob = fl = fn = called_ob = called_fn = None
        into_call = False
        for line in file:
            if line[0] in "0123456789+-*":
                count = int(line.split()[1])
                if into_call:
                    self.calls[ob, fn][called_ob, called_fn] += count
                    into_call, called_ob = False, ob
                else:
                    self.own[ob, fn] += count
                    self.objects[ob] += count
                continue
            if line.startswith("calls="):
                into_call = True
                continue
            if line.startswith("totals:"):
                self.total += int(line.split()[1])
                continue
            match = NAMED.match(line)
            if match is None:
                continue
            called, kind, number, text = match.groups()
            name = self.name_of(kind, number, text)
            if called:
                if kind == "ob":
                    called_ob = name
                elif kind == "fn":
                    called_fn = name
            elif kind == "ob":
                ob = called_ob = name
            elif kind == "fl":
                fl = name
            elif kind == "fn":
                fn, called_ob = name, ob
                self.files.setdefault((ob, fn), fl)


def library(path):
    """The short name of a library: libduckdb, libc, freshet."""
    return os.path.basename(path).split(".")[0] or "?"
