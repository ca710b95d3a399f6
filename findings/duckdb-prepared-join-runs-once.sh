#!/usr/bin/env bash
#
# PREPARE a join over a range of numbers, EXECUTE it, EXECUTE it again: DuckDB 1.5.6 answers the first time and raises an
# internal error the second time, and from then on refuses every query to this database: it must be opened anew. The same
# goes for an ASOF join with an equality beside the inequality; one without is fine. With few rows both work again and again
# (under 1000, the default of merge_join_threshold, for the first; under 64, that of asof_loop_join_threshold, for the
# second): a test with small tables shows nothing. The same text, prepared anew for each run, works.
#
# Seen (duckdb 1.5.6, Python 3.11), the database being in memory:
#   range join, 999 rows: 499 thousand, 499 thousand, then select 1: 1
#   range join, 1000 rows: 500 thousand, InternalException, then select 1: FatalException
#   asof join, 63 rows: 2 thousand, 2 thousand, then select 1: 1
#   asof join, 64 rows: 2 thousand, InternalException, then select 1: FatalException
#   asof join without key, 1000 rows: 500 thousand, 500 thousand, then select 1: 1
#   range join, 1000 rows, prepared anew: 500 thousand, 500 thousand, then select 1: 1

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6
cd "$work"
cat >seen.py <<'PY'
import duckdb

RANGE = "select sum(band) from trips join bands on fare >= low and fare < high"
ASOF = "select sum(band) from trips asof join bands on trips.city = bands.city and fare >= low"
ASOF_WITHOUT_KEY = "select sum(band) from trips asof join bands on fare >= low"


def answer(connection, query):
    try:
        total, = connection.execute(query).fetchone()
    except duckdb.Error as raised:
        return type(raised).__name__
    return str(total) if total < 1000 else f"{total / 1000:.0f} thousand"


def show(name, rows, query, anew=False):
    connection = duckdb.connect()
    connection.execute(f"create table bands as select i % 5 as city, i as low, i + 1 as high, i as band from range({rows}) t(i)")
    connection.execute(f"create table trips as select i % 5 as city, i + 0.5e0 as fare from range({rows}) t(i)")
    answers = []
    for run in range(2):
        if run == 0 or anew:
            connection.execute(f"prepare joined{run if anew else ''} as {query}")
        answers.append(answer(connection, f"execute joined{run if anew else ''}"))
    print(f"{name}: {', '.join(answers)}, then select 1: {answer(connection, 'select 1')}")


show("range join, 999 rows", 999, RANGE)
show("range join, 1000 rows", 1000, RANGE)
show("asof join, 63 rows", 63, ASOF)
show("asof join, 64 rows", 64, ASOF)
show("asof join without key, 1000 rows", 1000, ASOF_WITHOUT_KEY)
show("range join, 1000 rows, prepared anew", 1000, RANGE, anew=True)
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
range join, 999 rows: 499 thousand, 499 thousand, then select 1: 1
range join, 1000 rows: 500 thousand, InternalException, then select 1: FatalException
asof join, 63 rows: 2 thousand, 2 thousand, then select 1: 1
asof join, 64 rows: 2 thousand, InternalException, then select 1: FatalException
asof join without key, 1000 rows: 500 thousand, 500 thousand, then select 1: 1
range join, 1000 rows, prepared anew: 500 thousand, 500 thousand, then select 1: 1
SEEN
