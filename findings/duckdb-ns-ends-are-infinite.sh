#!/usr/bin/env bash
#
# The largest and smallest times that pandas and Arrow can hold in nanoseconds are ordinary values of a Parquet file
# (2262-04-11 23:47:16.854775807, and "no end" in many tables). DuckDB 1.5.6 reads them as infinity and -infinity, while the
# next nanosecond at the top is read right: its own TIMESTAMP_NS keeps these two for the infinite ones, and the reader does not
# look. The value above the smallest is read, too, but cannot be printed.
#
# Seen (duckdb 1.5.6, pyarrow 24.0.0, Python 3.11):
#   9223372036854775807: infinity
#   9223372036854775806: 2262-04-11 23:47:16.854775806
#   -9223372036854775807: -infinity
#   -9223372036854775806: Conversion Error: Date out of range in timestamp_ns conversion

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6 pyarrow==24.0.0
cd "$work"
cat >seen.py <<'PY'
import duckdb
import pyarrow
import pyarrow.parquet

connection = duckdb.connect()
ends = [2**63 - 1, 2**63 - 2, -(2**63) + 1, -(2**63) + 2]
for end in ends:
    column = pyarrow.array([end], pyarrow.timestamp("ns"))
    pyarrow.parquet.write_table(pyarrow.table({"t": column}), "ends.parquet")
    try:
        text, = connection.execute("select t::varchar from 'ends.parquet'").fetchone()
        print(f"{end}: {text}")
    except duckdb.ConversionException as raised:
        print(f"{end}: {raised}")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
9223372036854775807: infinity
9223372036854775806: 2262-04-11 23:47:16.854775806
-9223372036854775807: -infinity
-9223372036854775806: Conversion Error: Date out of range in timestamp_ns conversion
SEEN
