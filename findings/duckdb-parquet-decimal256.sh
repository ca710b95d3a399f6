#!/usr/bin/env bash
#
# DuckDB 1.5.6 reads a Parquet decimal of more than 38 digits as DOUBLE, which is a choice; but the number has nothing to do
# with the one in the file where it has a scale: 12.34 as decimal(39,2) comes as 8.89e17. An integer of the same width
# comes right, so a look at a whole column of round numbers shows nothing. There is no error and no warning.
#
# Seen (duckdb 1.5.6, pyarrow 24.0.0, Python 3.11):
#   decimal(38,2) 12.34: DECIMAL(38,2) 12.34
#   decimal(39,2) 12.34: DOUBLE 8.891907104280307e+17
#   decimal(60,2) 12.34: DOUBLE 3473401212609495.0
#   decimal(76,0) 7: DOUBLE 7.0

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6 pyarrow==24.0.0
cd "$work"
cat >seen.py <<'PY'
from decimal import Decimal
import duckdb
import pyarrow
import pyarrow.parquet

for precision, scale, text in ((38, 2, "12.34"), (39, 2, "12.34"), (60, 2, "12.34"), (76, 0, "7")):
    make = pyarrow.decimal128 if precision <= 38 else pyarrow.decimal256
    column = pyarrow.array([Decimal(text)], make(precision, scale))
    pyarrow.parquet.write_table(pyarrow.table({"d": column}), "decimals.parquet")
    assert pyarrow.parquet.read_table("decimals.parquet").column("d").to_pylist() == [Decimal(text)]
    kind, value = duckdb.sql("select typeof(d), d from 'decimals.parquet'").fetchone()
    print(f"decimal({precision},{scale}) {text}: {kind} {value}")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
decimal(38,2) 12.34: DECIMAL(38,2) 12.34
decimal(39,2) 12.34: DOUBLE 8.891907104280307e+17
decimal(60,2) 12.34: DOUBLE 3473401212609495.0
decimal(76,0) 7: DOUBLE 7.0
SEEN
