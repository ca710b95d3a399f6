#!/usr/bin/env bash
#
# DuckDB 1.5.6 writes a Parquet column in which 0.0 and -0.0 both stand as if they were one value: the sign of the
# one that comes first stands in every row. Its dictionary encoder takes equal doubles for the same dictionary entry. Nothing
# says so, and DuckDB, reading the file back, gives the wrong sign as well. A column with too many different values for a
# dictionary keeps its signs: whether a sign survives depends on the other rows. DICTIONARY_SIZE_LIMIT 0 keeps them; 1 does not.
#
# Seen (duckdb 1.5.6, pyarrow 24.0.0, Python 3.11):
#   first -0.0, then 0.0, in turns: 100 of 100 rows are negative
#   first 0.0, then -0.0, in turns: 0 of 100 rows are negative
#   first 0.0, then -0.0, dictionary_size_limit 1: 0 of 100 rows are negative
#   first 0.0, then -0.0, dictionary_size_limit 0: 50 of 100 rows are negative

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6 pyarrow==24.0.0
cd "$work"
cat >seen.py <<'PY'
import math
import duckdb
import pyarrow.parquet

connection = duckdb.connect()
for name, odd, options in (("first -0.0, then 0.0, in turns", 0, "format parquet"),
                           ("first 0.0, then -0.0, in turns", 1, "format parquet"),
                           ("first 0.0, then -0.0, dictionary_size_limit 1", 1, "format parquet, dictionary_size_limit 1"),
                           ("first 0.0, then -0.0, dictionary_size_limit 0", 1, "format parquet, dictionary_size_limit 0")):
    connection.execute(f"copy (select case when i % 2 = {odd} then -0.0::double else 0.0::double end as x"
                       f" from range(100) as t(i)) to 'zeros.parquet' ({options})")
    values = pyarrow.parquet.read_table("zeros.parquet").column("x").to_pylist()
    negative = sum(math.copysign(1, value) < 0 for value in values)
    print(f"{name}: {negative} of {len(values)} rows are negative")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
first -0.0, then 0.0, in turns: 100 of 100 rows are negative
first 0.0, then -0.0, in turns: 0 of 100 rows are negative
first 0.0, then -0.0, dictionary_size_limit 1: 0 of 100 rows are negative
first 0.0, then -0.0, dictionary_size_limit 0: 50 of 100 rows are negative
SEEN
