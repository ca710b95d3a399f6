#!/usr/bin/env bash
#
# A column in which nothing but null stands has a type of its own in a Parquet file, null, if pyarrow or pandas were not told
# another. DuckDB 1.5.6's DESCRIBE says of it, and of x || 'a', that it is INTEGER; typeof() says "NULL", which is what the
# reader works with. So a list of files that opens with such a file cannot be read, where the same files in another order
# can: whether a glob over days works depends on what the first day holds. With union_by_name it works in any order.
#
# Seen (duckdb 1.5.6, pyarrow 24.0.0, Python 3.11); "texts" has the value a, "nulls" none:
#   describe: INTEGER, typeof: "NULL", describe x || 'a': INTEGER
#   texts, nulls: VARCHAR a None
#   nulls, texts: failed to cast column "x" from type VARCHAR to "NULL"
#   nulls, texts by name: VARCHAR None a

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6 pyarrow==24.0.0
cd "$work"
cat >seen.py <<'PY'
import re
import duckdb
import pyarrow
import pyarrow.parquet

connection = duckdb.connect()
pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.array([None])}), "nulls.parquet")
pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.array(["a"])}), "texts.parquet")


def one(query):
    return connection.execute(query).fetchone()


column = one("describe from 'nulls.parquet'")[1]
joined = one("describe select x || 'a' from 'nulls.parquet'")[1]
kind, = one("select typeof(x) from 'nulls.parquet'")
print(f"describe: {column}, typeof: {kind}, describe x || 'a': {joined}")
for name, files, option in (("texts, nulls", ["texts", "nulls"], "false"), ("nulls, texts", ["nulls", "texts"], "false"),
                            ("nulls, texts by name", ["nulls", "texts"], "true")):
    paths = [f"{file}.parquet" for file in files]
    try:
        rows = connection.execute(f"select x, typeof(x) from read_parquet({paths}, union_by_name = {option})").fetchall()
        print(f"{name}: {rows[0][1]}", *(value for value, _ in rows))
    except duckdb.ConversionException as raised:
        print(f"{name}:", re.search(r'failed to cast column .* to "NULL"', str(raised)).group())
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
describe: INTEGER, typeof: "NULL", describe x || 'a': INTEGER
texts, nulls: VARCHAR a None
nulls, texts: failed to cast column "x" from type VARCHAR to "NULL"
nulls, texts by name: VARCHAR None a
SEEN
