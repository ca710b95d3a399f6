#!/usr/bin/env bash
#
# A TIMESTAMP_NS with nanoseconds before 1970 moves forward when DuckDB 1.5.6 makes microseconds of it: the remainder is cut
# towards zero, so the last nanosecond of a day is the next day, also in casts to DATE, in year() and in date_trunc(), whose
# result is then later than its argument. After 1970 it is cut downwards. The Parquet reader does the same to a column with a
# time zone (it has no type of nanoseconds for it), but cuts downwards where the same instants were written as INT96: rows of
# two files with the same times are not equal.
#
# Seen (duckdb 1.5.6, pyarrow 24.0.0, Python 3.11); "second" is date_trunc('second', t):
#   1969-12-31 23:59:59.999999999: timestamp 1970-01-01 00:00:00, date 1970-01-01, year 1970, second 1970-01-01 00:00:00
#   1999-12-31 23:59:59.999999999: timestamp 1999-12-31 23:59:59.999999, date 1999-12-31, year 1999, second 1999-12-31 23:59:59
#   -1500 ns in UTC, in a file of INT64: 1969-12-31 23:59:59.999999+00
#   -1500 ns in UTC, in a file of INT96: 1969-12-31 23:59:59.999998+00

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
connection.execute("set timezone = 'UTC'")
for text in ("1969-12-31 23:59:59.999999999", "1999-12-31 23:59:59.999999999"):
    seen = connection.execute("select t::timestamp::varchar, t::date::varchar, year(t), date_trunc('second', t)::varchar"
                              f" from (select timestamp_ns '{text}' as t)").fetchone()
    print("{}: timestamp {}, date {}, year {}, second {}".format(text, *seen))
column = pyarrow.array([-1500], pyarrow.timestamp("ns", "UTC"))
for kind in ("INT64", "INT96"):
    pyarrow.parquet.write_table(pyarrow.table({"t": column}), "instant.parquet",
                                use_deprecated_int96_timestamps=kind == "INT96")
    assert pyarrow.parquet.ParquetFile("instant.parquet").schema.column(0).physical_type == kind
    text, = connection.execute("select t::timestamptz::varchar from 'instant.parquet'").fetchone()
    print(f"-1500 ns in UTC, in a file of {kind}: {text}")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
1969-12-31 23:59:59.999999999: timestamp 1970-01-01 00:00:00, date 1970-01-01, year 1970, second 1970-01-01 00:00:00
1999-12-31 23:59:59.999999999: timestamp 1999-12-31 23:59:59.999999, date 1999-12-31, year 1999, second 1999-12-31 23:59:59
-1500 ns in UTC, in a file of INT64: 1969-12-31 23:59:59.999999+00
-1500 ns in UTC, in a file of INT96: 1969-12-31 23:59:59.999998+00
SEEN
