"""A batch: Parquet in, windows of one and of seven days at each row, Parquet out, the whole process.

Rows are made once, by the reader `generate`. Freshet runs with one and with two workers, DuckDB with two threads and its own
window functions, in turns. What they have written is read back, by DuckDB, outside of what is measured: numbers of rows, of
keys and of each window must be equal, as must the sum of a hash of all that is exact; sums of averages nearly so, each
weighted by its row, too.
"""

import os
import shutil

from harness import (CORES, FRESHET, HERE, ROOT, ROUNDS, WORK, Failed, check_line, environment, median, run,
                     same_check, show, wait_until_quiet, work_path)

ROWS = int(os.environ.get("FRESHET_BENCH_BATCH_ROWS", "20000000"))
DUCKDB = os.path.join(ROOT, "build", "release", "bench", "duckdb_load")
LOAD = os.path.join(HERE, "peers", "duckdb_batch.sql")
CHECK = os.path.join(HERE, "batch_check.sql")
NOTHING = "select 0 as nothing"


def generate_rows():
    """The rows, as a pattern of files; a folder of that name is whole."""
    folder = os.path.join(WORK, "batch-rows-%d" % ROWS)
    if not os.path.isdir(folder):
        made = work_path("batch-rows.part")
        shutil.rmtree(made, ignore_errors=True)
        run([FRESHET, "run", os.path.join(HERE, "batch_rows.yaml"), "--progress", "none", "--no-serve"], "batch-rows",
            env=dict(environment(""), BENCH_ROWS=str(ROWS), BENCH_OUT=made))
        os.rename(made, folder)
    return os.path.join(folder, "*", "*", "*", "*.parquet")


def write_sql(name, text):
    path = work_path(name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def check(written):
    """What is in the files that were written."""
    nothing = write_sql("batch-nothing.sql", NOTHING)
    done = run([DUCKDB, "2", written, nothing, CHECK], "batch-check")
    found = check_line(done.output)
    if found["n"] != ROWS:
        raise Failed("CHECK of batch: %d rows of %d" % (found["n"], ROWS))
    return found


def competitors(pattern):
    """Name: command, environment, what it writes (a folder or a file), and the files in it."""
    nothing = write_sql("batch-nothing.sql", NOTHING)
    everyone = {}
    for workers in (1, 2):
        name = "freshet, %d worker%s" % (workers, "" if workers == 1 else "s")
        out = work_path("batch-out-%d" % workers)
        everyone[name] = ([FRESHET, "run", os.path.join(HERE, "batch.yaml"), "--workers", str(workers), "--progress", "none",
                           "--no-serve"], dict(environment(pattern), BENCH_OUT=out), out,
                          os.path.join(out, "*", "*", "*", "*.parquet"))
    out = work_path("batch-duckdb.parquet")
    everyone["duckdb, 2 threads"] = ([DUCKDB, "2", pattern, LOAD, nothing], None, out, out)
    return everyone


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


def main():
    pattern = generate_rows()
    everyone = competitors(pattern)
    runs = {name: [] for name in everyone}
    expected = None
    for _ in range(ROUNDS):
        for name, (command, env, out, files) in everyone.items():
            remove(out)
            wait_until_quiet()
            done = run(command, "batch-" + name.replace(", ", "-").replace(" ", "-"), CORES[-2:], env, fresh=[out])
            found = check(files)
            expected = expected or found
            same_check(expected, found, name)
            runs[name].append(done)
            remove(out)
    results = {name: {"rows_per_s": ROWS / median([r.wall_s for r in of]),
                      "events_per_s": ROWS / median([r.wall_s for r in of]),
                      "events_per_cpu_s": ROWS / median([r.cpu_s for r in of]),
                      "wall_s": median([r.wall_s for r in of]),
                      "cpu_s": median([r.cpu_s for r in of]),
                      "peak_mib": median([r.peak_mib for r in of]),
                      "others_share": max(r.others for r in of),
                      "memory_slower": round(max(r.memory for r in of), 2)} for name, of in runs.items()}
    show("batch: %d rows of Parquet through windows of 1 and 7 days to Parquet, two cores, median of %d "
         "(goal: duckdb's rows/s, 1,024 MiB)" % (ROWS, ROUNDS),
         ["", "rows/s", "wall s", "CPU s", "peak MiB", "others' load"],
         [[name, "%.0f" % of["rows_per_s"], "%.1f" % of["wall_s"], "%.1f" % of["cpu_s"], "%.0f" % of["peak_mib"],
           "%.0f %%" % (100 * of["others_share"])] for name, of in results.items()])
    print("\n  CHECK " + " ".join("%s=%s" % item for item in expected.items()))
    return {"events": ROWS, "rounds": ROUNDS, "check": expected, "competitors": results}
