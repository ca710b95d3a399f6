"""Training sets: 1,000,000 rows of entities and times over a history of 20,000,000 rows, the whole process, all cores.

Beside it DuckDB alone, with its as-of join and the same limit of memory, and pandas' merge_asof. They, and the making of the
data, need a Python with packages: python3 -m venv V && V/bin/pip install 'duckdb==1.5.*' pandas pyarrow, named by
FRESHET_BENCH_PYTHON=V/bin/python.
"""

import os
import shutil

from harness import EVENTS, FRESHET, HERE, ROUNDS, Failed, Missing, check_line, median, new_folder, run, show, wait_until_quiet

HISTORY = EVENTS * 10
SPINE = EVENTS // 2
MEMORY = "1 GiB"
PEER = os.path.join(HERE, "peers", "training.py")


def competitors(python, folder):
    spine, history = os.path.join(folder, "spine.parquet"), os.path.join(folder, "h")
    out = os.path.join(folder, "out.parquet")
    return out, {
        "freshet training-set": [FRESHET, "training-set", spine, "--from", "h=" + history, "--keys", "h=customer",
                                 "--memory", MEMORY, "--progress", "none", "-o", out],
        "DuckDB alone, as-of join": [python, PEER, "duckdb", folder, out],
        "pandas, merge_asof": [python, PEER, "pandas", folder, out]}


def main():
    python = os.environ.get("FRESHET_BENCH_PYTHON")
    if not python:
        raise Missing("needs DuckDB and pandas for Python: bench/training.py says how")
    folder = new_folder("training")
    run([python, PEER, "make", folder, str(HISTORY), str(SPINE)], "training-make")
    out, commands = competitors(python, folder)
    results, expected = {}, None
    for name, command in commands.items():
        walls, cpus, peaks = [], [], []
        for _ in range(ROUNDS):
            wait_until_quiet()
            done = run(command, "training")
            walls.append(done.wall_s)
            cpus.append(done.cpu_s)
            peaks.append(done.peak_mib)
            check = check_line(run([python, PEER, "check", folder, out], "training-check").output)
            expected = expected or check
            if check != expected:
                raise Failed("CHECK of %s: %s, and %s was expected" % (name, check, expected))
            os.remove(out)
        results[name] = {"seconds": median(walls), "cpu_s": median(cpus), "peak_mib": median(peaks)}
    shutil.rmtree(folder)
    show("training: %d rows of a spine over %d rows of history with 8 features, all cores, median of %d" % (
        SPINE, HISTORY, ROUNDS), ["", "seconds", "CPU s", "peak MiB"],
         [[name, "%.1f" % of["seconds"], "%.1f" % of["cpu_s"], "%.0f" % of["peak_mib"]] for name, of in results.items()])
    return results
