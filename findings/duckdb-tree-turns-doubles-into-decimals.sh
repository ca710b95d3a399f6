#!/usr/bin/env bash
#
# json_deserialize_sql(json_serialize_sql(TEXT)) is the way to change a query by its syntax tree in DuckDB 1.5.6. The text that
# comes back is another query: the literal 2.5e0 is a DOUBLE before and 2.5, a DECIMAL, after. So a cast to integer rounds
# another way (half to even for doubles, half away from zero for decimals), and sums of tenths change their last digits.
#
# Seen (duckdb 1.5.6, Python 3.11):
#   select cast(2.5e0 as integer) -> SELECT CAST(2.5 AS INTEGER): 2 -> 3
#   select 0.1e0 + 0.2e0 -> SELECT (0.1 + 0.2): 0.30000000000000004 -> 0.3
#   select typeof(1.5e0) -> SELECT typeof(1.5): DOUBLE -> DECIMAL(2,1)

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6
cd "$work"
cat >seen.py <<'PY'
import duckdb

connection = duckdb.connect()
for query in ("select cast(2.5e0 as integer)", "select 0.1e0 + 0.2e0", "select typeof(1.5e0)"):
    again, = connection.execute("select json_deserialize_sql(json_serialize_sql(?))", [query]).fetchone()
    before, after = (connection.execute(text).fetchone()[0] for text in (query, again))
    print(f"{query} -> {again}: {before} -> {after}")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
select cast(2.5e0 as integer) -> SELECT CAST(2.5 AS INTEGER): 2 -> 3
select 0.1e0 + 0.2e0 -> SELECT (0.1 + 0.2): 0.30000000000000004 -> 0.3
select typeof(1.5e0) -> SELECT typeof(1.5): DOUBLE -> DECIMAL(2,1)
SEEN
