#!/usr/bin/env python3
"""Two builds beside each other: this one, and that of a commit.

    make bench BASE=REV
    bench/compare.py REV [JOB...]        jobs: events, windows, windows-1, kafka, start

The commit is checked out and built aside, in build/base/COMMIT (a worktree of git, made once; only the release binary). Then the
two run in turns, FRESHET_BENCH_ROUNDS times (5 here, unless it is said), each job on the same two cores and with the workers that it takes by
itself: so a build that uses a second core shows it. Both run the declarations of this checkout; results must be equal.

    events      events.yaml, from files to a table, the whole process        windows     windows.yaml with a checkpoint a second
    windows-1   the same held on one core, with one worker                   kafka       kafka.yaml with checkpoints, table of 100,000 rows
    start       one event, from fork to exit                                             (left out where there is no Kafka)

The table gives medians and, in brackets, the least and the most. Figures go to build/bench/compare.json, a line a run to compare.jsonl.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
import harness
from generate import generate
from harness import (CORES, DECLARATION, EVENTS, FRESHET, HERE, ROOT, TABLE, WORK, Failed, Missing, check_line, environment, median,
                     run, same_check, show, wait_until_quiet, work_path)

ROUNDS = int(os.environ.get("FRESHET_BENCH_ROUNDS", "5"))
STARTS = 4  # in each round
TARGETS = ("freshet",)


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed("git %s: %s" % (" ".join(words), done.stderr.strip()))
    return done.stdout.strip()


def built(folder, *words):
    """Runs a command of the build there."""
    env = dict(os.environ, FRESHET_DEPS=os.environ.get("FRESHET_DEPS", os.path.join(ROOT, ".deps")))
    done = subprocess.run(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failed("%s in %s: %s" % (" ".join(words), os.path.relpath(folder, ROOT), done.stdout[-2000:]))


def base_of(rev):
    """The short name of the commit, and its binary, which is built where it is not there."""
    try:
        commit = git("rev-parse", "--short=10", "--verify", rev + "^{commit}")
    except Failed:
        raise Failed("there is no commit %s" % rev) from None
    folder = os.path.join(ROOT, "build", "base", commit)
    if not os.path.exists(os.path.join(folder, "CMakeLists.txt")):
        git("worktree", "prune")
        git("worktree", "add", "--force", "--detach", folder, commit)
    print("bench: building %s in build/base/%s" % (rev, commit), flush=True)
    built(folder, "cmake", "--preset", "release", "-DFRESHET_TESTS=none")
    built(folder, "cmake", "--build", "--preset", "release", "--target", *TARGETS)
    return commit, os.path.join(folder, "build", "release", "freshet")


def query_in(name):
    with open(os.path.join(HERE, name), encoding="ascii") as file:
        return file.read()


class Process:
    """A whole process over the files, with its check query."""

    def __init__(self, declaration, check, cores, with_state=False, workers=None):
        self.declaration, self.query, self.cores = declaration, query_in(check), cores
        self.state = work_path("compare.state") if with_state else None
        self.workers = workers

    def measure(self, binary, name):
        pattern = os.path.join(generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS), "*.jsonl")
        command = [binary, "run", self.declaration, "--once", "--query", self.query, "--format", "json", "--progress", "none"]
        env = environment(pattern)
        if self.workers:
            env["FRESHET_WORKERS"] = str(self.workers)
        if self.state:
            command += ["--state", self.state]
        done = run(command, name, self.cores, env, fresh=[self.state] if self.state else ())
        return {"work_s": done.wall_s, "cpu_s": done.cpu_s, "peak_mib": done.peak_mib, "memory_slower": done.memory,
                "others_share": done.others}, check_line(done.output)


class Start:
    """From fork to exit over one event: the best that several have, as a job."""

    def measure(self, binary, name):
        files = os.path.join(generate(os.path.join(WORK, "events-1"), 1, 1), "*.jsonl")
        command = [binary, "run", DECLARATION, "--once", "--format", "json", "--progress", "none",
                   "--query", "select count(*) as n from " + TABLE]
        runs = [run(command, name, CORES[:2], environment(files)) for _ in range(STARTS)]
        return {"start_ms": 1000 * median([done.wall_s for done in runs]), "cpu_s": median([done.cpu_s for done in runs]),
                "peak_mib": runs[0].peak_mib, "others_share": max(done.others for done in runs)}, check_line(runs[0].output)


class Kafka:
    """The stream of bench/kafka.py that has a table of 100,000 rows, against one broker for all."""

    def __init__(self):
        import kafka
        from kafka_rig import Broker

        self.broker = Broker().__enter__()
        folder = generate(os.path.join(WORK, "events-%d" % EVENTS), EVENTS)
        files = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".jsonl"))
        self.broker.feed(self.broker.new_topic(kafka.TOPIC), "lines", *files)
        self.stream = kafka.SmallTable(self.broker, None)
        print("bench: kafka: " + self.broker.what(), flush=True)

    def measure(self, binary, _):
        harness.FRESHET = binary
        found = self.stream.measure()
        return {"work_s": EVENTS / found["events_per_s"], "ready_ms": 1000 * found["ready_s"],
                "broker_cpu_s": found["broker_cpu_s"],
                **{key: found[key] for key in ("cpu_s", "peak_mib", "memory_slower", "others_share")}}, {}

    def close(self):
        self.broker.__exit__(None, None, None)


JOBS = {
    "events": lambda: Process(DECLARATION, "check.sql", CORES[:2]),
    "windows": lambda: Process(os.path.join(HERE, "windows.yaml"), "windows_check.sql", CORES[:2], with_state=True),
    "windows-1": lambda: Process(os.path.join(HERE, "windows.yaml"), "windows_check.sql", CORES[-1:], with_state=True, workers=1),
    "kafka": Kafka,
    "start": Start,
}


def measure(name, builds, log):
    """The runs of each build, in turns; the next round begins with the other one."""
    job = JOBS[name]()
    runs, expected = {build: [] for build in builds}, None
    try:
        for turn in range(ROUNDS):
            for build in (list(builds) if turn % 2 == 0 else reversed(builds)):
                wait_until_quiet()
                found, check = job.measure(builds[build], "compare-" + name)
                expected = expected if expected is not None else check
                same_check(expected, check, "%s of %s" % (name, build))
                runs[build].append(found)
                log.write(json.dumps({"job": name, "build": build, "events": EVENTS, **found}) + "\n")
                log.flush()
    finally:
        if hasattr(job, "close"):
            job.close()
    return runs


def spread(values, text):
    return "%s (%s..%s)" % tuple(text % of for of in (median(values), min(values), max(values)))


def row(name, build, runs, base):
    """A line of the table."""
    first = "work_s" if "work_s" in runs[0] else "start_ms"
    values = [run[first] for run in runs]
    times = median([run[first] for run in base]) / median(values)
    is_start = first == "start_ms"
    ready = values if is_start else [run["ready_ms"] for run in runs if "ready_ms" in run]
    return ["%s, %s" % (name, build),
            "-" if is_start else spread([EVENTS / value for value in values], "%.0f"), "%.2f x" % times,
            "-" if is_start else spread([1e6 * run["cpu_s"] / EVENTS for run in runs], "%.2f"),
            "%.0f" % median([run["peak_mib"] for run in runs]), spread(ready, "%.0f") if ready else "-",
            "%.0f %%" % (100 * max(run["others_share"] for run in runs))]


def main(rev, jobs):
    commit, base = base_of(rev)
    builds = {commit: base, "this build": FRESHET}
    results, rows, failed = {}, [], []
    with open(work_path("compare.jsonl"), "a", encoding="utf-8") as log:
        for name in jobs:
            try:
                results[name] = measure(name, builds, log)
            except Missing as problem:
                print("bench: %s LEFT OUT: %s" % (name, problem), flush=True)
                continue
            except Failed as problem:
                print("bench: %s FAILED: %s" % (name, problem), flush=True)
                failed.append(name)
                continue
            rows += [row(name, build, runs, results[name][commit]) for build, runs in results[name].items()]
            print("bench: %s measured" % name, flush=True)
    if rows:
        show("%s and this build in turns, %d events, %d rounds, two cores: median (least..most)" % (commit, EVENTS, ROUNDS),
             ["", "events/s", "", "us of CPU an event", "peak MiB", "start or ready, ms", "others' load"], rows)
    with open(work_path("compare.json"), "w", encoding="utf-8") as file:
        json.dump({"base": commit, "events": EVENTS, "rounds": ROUNDS, "cores": CORES[:2], "jobs": results}, file, indent=2)
    if failed:
        sys.exit("bench: failed: " + ", ".join(failed))


if __name__ == "__main__":
    unknown = [name for name in sys.argv[2:] if name not in JOBS]
    if len(sys.argv) < 2 or unknown:
        sys.exit("usage: bench/compare.py REV [%s]..." % "|".join(JOBS))
    if not os.access(FRESHET, os.X_OK):
        sys.exit("bench: there is no %s; run make build first" % FRESHET)
    try:
        main(sys.argv[1], sys.argv[2:] or list(JOBS))
    except Failed as failure:
        sys.exit("bench: %s" % failure)
