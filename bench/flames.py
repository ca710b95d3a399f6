#!/usr/bin/env python3
"""Where the time of the windows job goes: a flame graph, and a table by stage.

    make profile                    build/bench/profile.svg, and the table
    bench/flames.py [--callgrind]

The job is windows.yaml with a checkpoint a second over the events of the benchmarks (FRESHET_BENCH_EVENTS), with as many workers as
FRESHET_WORKERS says, or the machine has cores. `perf` looks a thousand times a second of CPU which functions are at work;
where it is not there or not allowed (kernel.perf_event_paranoid), callgrind counts instructions, with one worker, over 100,000 events: it
knows who calls whom, but not by which way; a function's cost is divided among its callers by how much each
causes, so that the graph is a guess there, while the table of functions is exact.

A stage is what the folders of src/ say (architecture.md): the innermost function whose folder tells one counts, so that the
SQL engine, the C library and src/base belong to who calls them; what a checkpoint or the start causes is theirs.

    read        readers, and what librdkafka's threads do      query       source: the SQL query, or the plain one
    decode      formats: JSON, CSV, Parquet                    features    casts, keys, times, plain and SQL features
    state       windows, groups, keyed tables                  write       writers, the debug table
    checkpoint  all that a checkpoint causes, RocksDB          start       declaration, opening, loading libraries
"""

import html
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict

sys.dont_write_bytecode = True
from callgrind import Profile, callgrind, library
from generate import generate
from harness import CORES, EVENTS, FRESHET, HERE, ROOT, WORK, Failed, Missing, environment, new_folder, show, work_path

SOURCE = os.path.join(ROOT, "src")
OBJECTS = os.path.join(os.path.dirname(os.path.realpath(FRESHET)), "libfreshet_internal.a")
EVENTS_COUNTED = 100_000
TIMES_A_SECOND = 999
STACK_BYTES = 32_768
FUNCTIONS_SHOWN = 12

STAGES = {"start": "#b8b8b8", "read": "#8ecae6", "decode": "#4d9de0", "query": "#b18fcf", "features": "#e8a0bf", "state": "#f2a541",
          "write": "#7bc47f", "checkpoint": "#e4572e", "serve": "#cfcf6a", "other": "#d8d8d8"}
ROOMS = {"readers": "read", "preprocess": "read", "formats": "decode", "source": "query", "dialect": "query",
         "functions": "query", "features": "features", "operators": "state", "windows": "state", "rolling": "state",
         "aggregate": "state", "keyed": "state", "writers": "write", "operate": "serve"}
OF_FILES = {"divided.c": "state", "divided_rows.c": "state", "joined.c": "state", "joined_rows.c": "state"}
WHOLE = {"checkpoint": "checkpoint", "state": "checkpoint", "declaration": "start", "open.c": "start", "load.c": "start"}
OF_LIBRARIES = {"librocksdb": "checkpoint", "librdkafka": "read", "ld-linux-x86-64": "start", "libduckdb": "query"}


def sources():
    """The folders of each file of src/, by its name: none is there twice."""
    return {name: os.path.relpath(folder, SOURCE).split(os.sep)
            for folder, _, names in os.walk(SOURCE) for name in names if name.endswith(".c")}


def symbols(folders):
    """The file of each function of Freshet's; None where several files have one of that name."""
    done = subprocess.run(["nm", "-A", "--defined-only", OBJECTS], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        place, _, rest = line.partition(".o:")
        file, fields = place.rpartition(":")[2], rest.split()
        if len(fields) == 3 and fields[1] in "tT" and file in folders:
            found[fields[2]] = file if found.get(fields[2], file) == file else None
    return found


class Stages:
    """Which stage a stack belongs to. A frame is (library, function, file or None), the outermost first."""

    def __init__(self, folders):
        self.folders = folders

    def of(self, stack):
        stage = None
        for lib, _, file in stack:
            rooms = self.folders.get(file)
            if lib == "librocksdb":
                stage = "checkpoint"
            if rooms is None:
                continue
            whole = WHOLE.get(file) or WHOLE.get(rooms[0])
            if whole is None and file.startswith("checkpoint"):
                whole = "checkpoint"
            if whole is not None:
                return whole
            for room in reversed(rooms):
                if OF_FILES.get(file) or ROOMS.get(room):
                    stage = OF_FILES.get(file) or ROOMS[room]
                    break
        return stage or next((OF_LIBRARIES[lib] for lib, _, _ in stack if lib in OF_LIBRARIES), "other")


class Tree:
    """A node of the flame graph: what it cost with all above it, by stage, and the frames above it."""

    def __init__(self):
        self.cost = 0
        self.stages = defaultdict(float)
        self.above = {}

    def add(self, stack, cost, stage):
        node = self
        for frame in [None, *stack]:
            if frame is not None:
                node = node.above.setdefault(frame, Tree())
            node.cost += cost
            node.stages[stage] += cost

    def depth(self, least):
        return 1 + max((above.depth(least) for above in self.above.values() if above.cost >= least), default=0)


# ---- perf --------------------------------------------------------------------------------------------------------

def job(events):
    """The command, its environment and its state folder."""
    files = os.path.join(generate(os.path.join(WORK, "events-%d" % events), events), "*.jsonl")
    state = os.path.join(new_folder("profile"), "state")
    command = [FRESHET, "run", os.path.join(HERE, "windows.yaml"), "--once", "--progress", "none", "--no-serve", "--state", state]
    return command, dict(environment(files), BENCH_ROWS="100000")


def perf_stacks(files):
    """(stack, cost) of each look."""
    perf = shutil.which("perf")
    if perf is None:
        raise Missing("there is no perf")
    data = work_path("profile.perf")
    command, env = job(EVENTS)
    done = subprocess.run([perf, "record", "-e", "cpu-clock:u", "-F", str(TIMES_A_SECOND), "--call-graph", "dwarf,%d" % STACK_BYTES,
                           "-o", data, "--", *command], env=env, capture_output=True, text=True, cwd=WORK, check=False)
    if done.returncode != 0:
        raise Missing("perf record ended with %d: %s" % (done.returncode, done.stderr.strip()[-300:]))
    stack = []
    with subprocess.Popen([perf, "script", "-i", data, "--no-inline", "-F", "comm,tid,ip,sym,dso"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as script:
        for line in script.stdout:
            match = re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line)
            if match:
                name = re.sub(r"@plt$|\+0x[0-9a-f]+$", "", match[1])
                lib = library(match[2])
                stack.append((lib, name, files.get(name.split(".")[0]) if lib == "freshet" else None))
            elif not line.strip() and stack:
                yield stack[::-1], 1
                stack = []
    os.remove(data)


# ---- callgrind ---------------------------------------------------------------------------------------------------

def callgrind_stacks():
    """(stack, cost), guessed from who calls whom."""
    command, env = job(min(EVENTS, EVENTS_COUNTED))
    env["FRESHET_WORKERS"] = "1"
    profile = Profile(callgrind(command, "profile", CORES[-1], env, "--dump-line=no"))
    return stacks_of(profile)


def stacks_of(profile):
    within = {fn: own + sum(profile.calls.get(fn, {}).values()) for fn, own in profile.own.items()}
    called = {fn for calls in profile.calls.values() for fn in calls}
    least = profile.total / 5_000

    def frame(fn):
        return library(fn[0] or ""), fn[1].split("'")[0], os.path.basename(profile.files.get(fn) or "")

    def walk(fn, share, path):
        """The stacks at and above fn, of whose cost this share came by this path."""
        here, rest = [*path, fn], profile.own[fn] * share
        for above, cost in profile.calls.get(fn, {}).items():
            if above in here or above not in within or cost * share < least or len(here) > 200:
                rest += cost * share
                continue
            yield from walk(above, min(1, cost * share / max(1, within[above])), here)
        if rest > 0:
            yield [frame(one) for one in here], rest

    for fn in within:
        if fn not in called:
            yield from walk(fn, 1, [])


# ---- what is shown -----------------------------------------------------------------------------------------------

CLEAR = 0.7  # the share that a stage has of a function which is in its colour
WIDTH, LINE, TOP, LETTER = 1200, 17, 64, 6.4
SCRIPT = """
const all = [...document.querySelectorAll('g.f')], W = %d;
function zoom(to) {
  const x0 = +to.dataset.x, w0 = +to.dataset.w;
  for (const g of all) {
    const r = g.firstElementChild, t = g.querySelector('text'), x = +g.dataset.x, w = +g.dataset.w;
    const a = Math.max(0, (x - x0) / w0 * W), b = Math.min(W, (x + w - x0) / w0 * W);
    g.style.display = b - a > 0.2 ? '' : 'none';
    r.setAttribute('x', a); r.setAttribute('width', Math.max(0, b - a));
    t.setAttribute('x', a + 3);
    t.textContent = b - a > 20 ? g.dataset.n.slice(0, Math.floor((b - a) / %g)) : '';
  }
}
for (const g of all) g.addEventListener('click', () => zoom(g));
"""


def svg(tree, title, unit):
    """The flame graph: the outermost function at the bottom, as wide as its cost; a click makes a function as wide as the picture."""
    least = tree.cost / 2_000
    height = TOP + LINE * tree.depth(least) + 8
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" font-size="11">' % (WIDTH, height),
             '<rect width="100%" height="100%" fill="#ffffff"/>',
             '<text x="8" y="20" font-size="15">%s</text>' % html.escape(title)]
    x = 8
    for stage, colour in STAGES.items():
        share = 100 * tree.stages.get(stage, 0) / tree.cost
        text = "%s %.0f %%" % (stage, share)
        parts.append('<rect x="%d" y="32" width="12" height="12" fill="%s"/><text x="%d" y="42">%s</text>'
                     % (x, colour, x + 16, text))
        x += 28 + int(LETTER * len(text)) + 10

    def draw(node, name, left, level):
        width = WIDTH * node.cost / tree.cost
        stage = max(node.stages, key=node.stages.get)
        stage = stage if node.stages[stage] > CLEAR * node.cost else "other"
        shown = html.escape(name[:int(width / LETTER)]) if width > 20 else ""
        parts.append('<g class="f" data-x="%.2f" data-w="%.2f" data-n="%s"><rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s" '
                     'stroke="#fff" stroke-width="0.4"/><text x="%.2f" y="%d">%s</text><title>%s: %.4g %s, %.1f %% (%s)</title></g>'
                     % (left, width, html.escape(name, quote=True), left, height - 8 - LINE * (level + 1), width, LINE - 1, STAGES[stage],
                        left + 3, height - 8 - LINE * level - 5, shown, html.escape(name), node.cost, unit,
                        100 * node.cost / tree.cost, stage))
        for frame, above in sorted(node.above.items(), key=lambda item: item[0][1]):
            if above.cost >= least:
                draw(above, frame[1], left, level + 1)
            left += WIDTH * above.cost / tree.cost

    draw(tree, "all", 0, 0)
    parts.append("<script><![CDATA[%s]]></script></svg>" % (SCRIPT % (WIDTH, LETTER)))
    return "\n".join(parts) + "\n"


def gather(stacks, stages):
    """The tree, and the own cost of each function."""
    tree, own = Tree(), defaultdict(float)
    for stack, cost in stacks:
        tree.add([(lib, name) for lib, name, _ in stack], cost, stages.of(stack))
        own[stack[-1]] += cost
    if tree.cost == 0:
        raise Failed("nothing was seen at work")
    return tree, own


def show_tables(tree, own, title):
    show("profile: %s" % title, ["stage", "share"],
         [[stage, "%.1f %%" % (100 * tree.stages[stage] / tree.cost)] for stage in STAGES if tree.stages.get(stage, 0) > 0])
    first = sorted(own.items(), key=lambda item: -item[1])[:FUNCTIONS_SHOWN]
    show("the functions that cost most by themselves", ["", "in", "share"],
         [[name, file or lib, "%.1f %%" % (100 * cost / tree.cost)] for (lib, name, file), cost in first])


def main(words):
    if not os.access(FRESHET, os.X_OK):
        sys.exit("profile: there is no %s; run make build first" % FRESHET)
    folders = sources()
    stages = Stages(folders)
    try:
        if "--callgrind" in words:
            raise Missing("callgrind was asked for")
        tree, own = gather(perf_stacks(symbols(folders)), stages)
        unit, how = "looks", "%d events, %.0f looks of perf, share of CPU time" % (EVENTS, tree.cost)
    except (Missing, Failed) as why:
        print("profile: by callgrind, since %s" % why, flush=True)
        tree, own = gather(callgrind_stacks(), stages)
        unit, how = "instructions", "%d events, %.4g instructions counted by callgrind, one worker" \
            % (min(EVENTS, EVENTS_COUNTED), tree.cost)
    show_tables(tree, own, "windows with checkpoints, " + how)
    path = work_path("profile.svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg(tree, "Freshet: windows with checkpoints (%s)" % how, unit))
    shutil.rmtree(work_path("profile"), ignore_errors=True)
    print("\n  the flame graph: %s" % os.path.relpath(path, ROOT))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Missing, Failed) as problem:
        sys.exit("profile: %s" % problem)
