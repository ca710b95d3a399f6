#!/usr/bin/env bash
#
# A text with an offset, cast to TIMESTAMP: DuckDB 1.3 moved it to UTC; DuckDB 1.4 and later drop the offset without a word, and
# so shift the instant. The casts to TIMESTAMPTZ and, of the types without zone, to TIMESTAMP_NS still obey it. A pipeline that
# casts times of its JSON goes on after the upgrade with other hours in it.
#
# Seen (Python 3.11):
#   1.3.2: timestamp 2024-01-15 13:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True
#   1.4.4: timestamp 2024-01-15 10:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True
#   1.5.6: timestamp 2024-01-15 10:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cd "$work"
cat >seen.py <<'PY'
import duckdb

text = "2024-01-15T10:00:00-03:00"
plain, nanos, zoned = duckdb.execute("select cast($1 as timestamp)::varchar, cast($1 as timestamp_ns)::varchar,"
                                     " $1::timestamptz = '2024-01-15T13:00:00Z'::timestamptz", [text]).fetchone()
print(f"{duckdb.__version__}: timestamp {plain}, timestamp_ns {nanos}, timestamptz right: {zoned}")
PY
for version in 1.3.2 1.4.4 1.5.6; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install --quiet --disable-pip-version-check "duckdb==$version"
    "venv-$version/bin/python" seen.py
done | tee seen
diff - seen <<'SEEN'
1.3.2: timestamp 2024-01-15 13:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True
1.4.4: timestamp 2024-01-15 10:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True
1.5.6: timestamp 2024-01-15 10:00:00, timestamp_ns 2024-01-15 13:00:00, timestamptz right: True
SEEN
