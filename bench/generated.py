"""Generated: rows of the reader `generate` through windows into a table, the whole process, one core.

No file and no parser has a part in it, so that it shows what the way through the windows costs. Checkpoints must not change the rows.
"""

import os
import shutil

from harness import (CORES, EVENTS, FRESHET, HERE, ROUNDS, check_line, environment, median, run, same_check,
                     show, wait_until_quiet, work_path)

DECLARATION = os.path.join(HERE, "generated.yaml")
CHECK = """select count(*) as keys, sum(amount) as amount, sum(qty)::bigint as qty,
       sum(amount__count_over_120_seconds_fixed_windows)::bigint as cnt,
       sum(amount__avg_over_120_seconds_fixed_windows) as avg,
       sum(epoch_us("timestamp") % 1000000007)::bigint as times
from online_feature_store__bench_generated_latest"""


def main():
    command = [FRESHET, "run", DECLARATION, "--once", "--query", CHECK, "--format", "json", "--progress", "none"]
    state = work_path("generated.state")
    everyone = {"memory alone": command, "checkpoints": [*command, "--state", state]}
    runs = {name: [] for name in everyone}
    expected = None
    for _ in range(ROUNDS):
        for name, args in everyone.items():
            shutil.rmtree(state, ignore_errors=True)
            wait_until_quiet()
            done = run(args, "generated-" + name.replace(" ", "-"), CORES[-1:],
                       dict(environment(""), BENCH_EVENTS=str(EVENTS)), fresh=[state])
            found = check_line(done.output)
            expected = expected or found
            same_check(expected, found, name)
            runs[name].append(done)
    shutil.rmtree(state, ignore_errors=True)
    results = {name: {"rows_per_s": EVENTS / median([r.wall_s for r in of]),
                      "peak_mib": median([r.peak_mib for r in of]),
                      "others_share": max(r.others for r in of)} for name, of in runs.items()}
    show("generated: %d rows from a seed to windows of 120 s, one core, median of %d" % (EVENTS, ROUNDS),
         ["", "rows/s", "peak MiB", "others' load"],
         [[name, "%.0f" % of["rows_per_s"], "%.0f" % of["peak_mib"], "%.0f %%" % (100 * of["others_share"])]
          for name, of in results.items()])
    return {"rows": EVENTS, "rounds": ROUNDS, "check": expected, "runs": results}
