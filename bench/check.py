#!/usr/bin/env python3
"""Counts the instructions of an event, which no load of the machine changes, and compares them with those of instructions.json.

    make bench-check               exit 1 where a job needs over 3 % more than is written there
    make bench-check UPDATE=1      writes what is counted now
    bench/check.py [--update] [JOB...]

Each job is a stream or a batch over the same 50,000 events that ends, with one worker and no Kafka, under valgrind's callgrind;
what the first 2,500 events need alone is taken off, so that the start does not count. (What they need is in instructions.json, too, and is
counted again only where a job seems worse: a start is half of the time.) An event of 2,500 keys comes each 72 ms, so that a key has as
many live events as in the benchmark `windows`.

What makes the counts alike on every machine: valgrind shows programs the same processor everywhere; the C library's choices
by processor are held to the plainest, DuckDB sees one core; nothing is done by the clock (the one checkpoint is that at the end). What is
left are the versions of the compiler and of the libraries: they are written beside the counts, and where they differ nothing is compared.

FRESHET_BENCH_CHECK_LIMIT   the limit in percent (3)
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import history
from callgrind import Profile, callgrind, library, valgrind
from generate import generate
from harness import CORES, DECLARATION, FRESHET, HERE, ROOT, WORK, Failed, Missing, new_folder, work_path

EVENTS, FILES, KEYS, STEP_MS = 50_000, 20, 2_500, 72
FEW = EVENTS // FILES
LIMIT = float(os.environ.get("FRESHET_BENCH_CHECK_LIMIT", "3")) / 100
WRITTEN = os.path.join(HERE, "instructions.json")
WINDOWS = os.path.join(HERE, "windows.yaml")
DEPS = os.environ.get("FRESHET_DEPS", os.path.join(ROOT, ".deps"))
PACKAGES = ("libc6", "librocksdb-dev", "libstdc++6", "valgrind")
NEXT = """
bench-check: more instructions than %s allows.
    Meant: a feature that has its price?   make bench-check UPDATE=1, commit the file, and say why in the commit.
    Not meant?                             callgrind_annotate %s | head -60, here and at the commit before:
                                           the function that has grown is the one."""


def declared(path):
    return lambda folder: [path]


def with_checkpoint(folder):
    """The windows job with a state folder, and no checkpoint but that at the end."""
    path = os.path.join(folder, "checkpoint.yaml")
    with open(WINDOWS, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "checkpoint: {interval: 1 hour}\n")
    return [path, "--state", os.path.join(folder, "state")]


JOBS = {
    "events": declared(DECLARATION),
    "windows": declared(WINDOWS),
    "windows, checkpoint": with_checkpoint,
    "ten windows of five functions": declared(os.path.join(HERE, "check", "ten_windows.yaml")),
    "deduplicate, rolling windows": declared(os.path.join(HERE, "check", "rolling.yaml")),
    "history, a batch": lambda folder: [history.declare(folder, False, "zstd")],
}


def count(job, core, files, name):
    """The instructions of one run over these files: of all, and by library."""
    folder = new_folder(name)
    os.mkdir(os.path.join(folder, "run"), mode=0o700)
    command = [FRESHET, "run", *JOBS[job](folder), "--once", "--progress", "none", "--no-serve"]
    env = dict(os.environ, BENCH_FILES=files, BENCH_ROWS="100000", FRESHET_WORKERS="1",
               FRESHET_RUN_DIR=os.path.join(folder, "run"))
    profile = Profile(callgrind(command, name, core, env, "--dump-line=no"))
    shutil.rmtree(folder)
    found = {"all": profile.total}
    for path, instructions in profile.objects.items():
        found[library(path)] = found.get(library(path), 0) + instructions
    return found


def measure(job, core, folder, few=None):
    """The instructions of one event, and in "start" those of the first events alone, where they are not given."""
    name = "check-" + "-".join(job.replace(",", "").split())
    few = few or count(job, core, os.path.join(folder, "events-000.jsonl"), name + "-few")
    many = count(job, core, os.path.join(folder, "*.jsonl"), name)
    found = {key: round((n - few.get(key, 0)) / (EVENTS - FEW), 1) for key, n in many.items()}
    return dict({key: n for key, n in found.items() if abs(n) >= 10}, start=few)


def measure_all(jobs, folder, written):
    """Each core takes one job after another."""
    cores = list(CORES)
    found = {}

    def work(job):
        core = cores.pop()
        try:
            found[job] = measure(job, core, folder, written.get(job, {}).get("start"))
        finally:
            cores.append(core)

    with concurrent.futures.ThreadPoolExecutor(len(CORES)) as pool:
        for done in [pool.submit(work, job) for job in jobs]:
            done.result()
    return {job: found[job] for job in jobs}


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def versions():
    """What the counts depend on besides Freshet's source."""
    with open(os.path.join(ROOT, "build", "release", "CMakeCache.txt"), encoding="utf-8") as file:
        cache = dict(line.strip().split("=", 1) for line in file if "=" in line)
    compiler = cache.get("CMAKE_C_COMPILER:FILEPATH") or cache.get("CMAKE_C_COMPILER:STRING") or "cc"
    found = {"compiler": output_of(compiler, "--version").splitlines()[0]}
    for package in PACKAGES:
        found[package] = output_of("dpkg-query", "-W", "-f", "${Version}", package) or "?"
    path = os.path.join(DEPS, "lib", "libduckdb.so")
    found["libduckdb"] = str(os.path.getsize(path)) + " bytes" if os.path.exists(path) else "?"
    return found


def worse(job, found, written):
    """By how much the job has become worse, in all or in Freshet's own code, whichever is more."""
    return max(found[part] / written[part] - 1 for part in ("all", "freshet"))


def show_job(job, found, written):
    def change(part):
        return "%9.0f %+6.1f %%" % (found.get(part, 0), 100 * (found.get(part, 0) / written[part] - 1)) \
            if written.get(part) else "%9.0f         " % found.get(part, 0)

    libraries = sorted((n, key) for key, n in found.items() if key not in ("all", "freshet", "start"))
    print("  %-31s %s   %s   %s" % (job, change("all"), change("freshet"),
                                    ", ".join("%s %.0f" % (key, n) for n, key in reversed(libraries[-3:]))))
    sys.stdout.flush()


def update(found, jobs):
    """Only those that were counted, unless the versions are others."""
    kept = {}
    if os.path.exists(WRITTEN) and set(jobs) != set(JOBS):
        with open(WRITTEN, encoding="utf-8") as file:
            old = json.load(file)
        if old["versions"] == versions():
            kept = old["jobs"]
    kept.update(found)
    with open(WRITTEN, "w", encoding="utf-8") as file:
        json.dump({"versions": versions(), "jobs": {job: kept[job] for job in JOBS if job in kept}}, file, indent=2)
        file.write("\n")
    print("\nbench-check: written to " + os.path.relpath(WRITTEN, ROOT))


def compare(found, written, folder):
    """The jobs that are worse. Those that seem so are counted again, and the better count holds."""
    bad = []
    for job in found:
        if job not in written:
            raise Failed("%s is not in %s: make bench-check UPDATE=1" % (job, WRITTEN))
        if worse(job, found[job], written[job]) > LIMIT:
            again = measure(job, CORES[-1], folder)
            if worse(job, again, written[job]) < worse(job, found[job], written[job]):
                found[job] = again
            if worse(job, found[job], written[job]) > LIMIT:
                bad.append(job)
    return bad


def differing(written):
    here = versions()
    return ["%s: %s there, %s here" % (key, written["versions"].get(key), here[key]) for key in here
            if written["versions"].get(key) != here[key]]


def check(jobs, is_update):
    valgrind()
    folder = generate(os.path.join(WORK, "events-of-check"), EVENTS, FILES, KEYS, STEP_MS)
    print("bench-check: instructions of an event, all and of them Freshet's own code, and the change since %s\n"
          % os.path.relpath(WRITTEN, ROOT), flush=True)
    written = {"versions": {}, "jobs": {}}
    if os.path.exists(WRITTEN):
        with open(WRITTEN, encoding="utf-8") as file:
            written = json.load(file)
    others = differing(written)
    found = measure_all(jobs, folder, {} if is_update or others else written["jobs"])
    bad = [] if is_update or others else compare(found, written["jobs"], folder)
    for job in found:
        show_job(job, found[job], written["jobs"].get(job, {}))
    if is_update:
        update(found, jobs)
    elif others:
        print("\nbench-check: not compared, since the counts were written with other versions:\n    " + "\n    ".join(others))
    elif bad:
        print(NEXT % (os.path.relpath(WRITTEN, ROOT), os.path.relpath(work_path("check-JOB.callgrind"), ROOT)), flush=True)
        raise Failed("more than %g %% worse: %s" % (100 * LIMIT, "; ".join(bad)))
    else:
        print("\nbench-check: none is more than %g %% worse" % (100 * LIMIT))


def main(words):
    is_update = "--update" in words
    jobs = [word for word in words if word != "--update"]
    unknown = [job for job in jobs if job not in JOBS]
    if unknown:
        sys.exit("bench-check: there is no job %s; there are: %s" % (unknown[0], "; ".join(JOBS)))
    if not os.access(FRESHET, os.X_OK):
        sys.exit("bench-check: there is no %s; run make build first" % FRESHET)
    try:
        check(jobs or list(JOBS), is_update)
    except Missing as missing:
        print("bench-check: LEFT OUT: %s" % missing)
        sys.exit(1 if os.environ.get("CI") else 0)
    except Failed as failure:
        sys.exit("bench-check: %s" % failure)


if __name__ == "__main__":
    main(sys.argv[1:])
