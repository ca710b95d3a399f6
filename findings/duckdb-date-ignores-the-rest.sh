#!/usr/bin/env bash
#
# A text cast to DATE or TIME: DuckDB 1.5.6 reads the date or the time at its start and does not look at what follows, so
# try_cast does not tell good texts from bad ones. Casts to TIMESTAMP, INTEGER, BOOLEAN and INTERVAL refuse a rest. A filter
# that compares a DATE with a text does the same as the cast, and so do the readers of CSV and JSON with a column declared
# DATE: no row is refused.
#
# Seen (duckdb 1.5.6, Python 3.11); None is what try_cast gives for a text that it refuses:
#   '2024-01-15 oops': date 2024-01-15, timestamp None
#   '2024-01-15 05': date 2024-01-15, timestamp None
#   '2024-01-15-03': date 2024-01-15, timestamp None
#   '2024/1/5x': date 2024-01-05, timestamp None
#   '2024-01-155': date None, timestamp None
#   '10:00:00oops' as time: 10:00:00
#   rows of the 15th where d = '2024-01-15 oops': 1
#   read_csv, column DATE: 2024-01-15
#   read_json, column DATE: 2024-01-15

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6
cd "$work"
printf 'd\n2024-01-15 oops\n' >days.csv
printf '{"d": "2024-01-15 oops"}\n' >days.json
cat >seen.py <<'PY'
import duckdb

connection = duckdb.connect()


def one(query, *values):
    return connection.execute(query, list(values)).fetchone()


for text in ("2024-01-15 oops", "2024-01-15 05", "2024-01-15-03", "2024/1/5x", "2024-01-155"):
    day, instant = one("select try_cast($1 as date)::varchar, try_cast($1 as timestamp)::varchar", text)
    print(f"'{text}': date {day}, timestamp {instant}")
print("'10:00:00oops' as time:", *one("select try_cast('10:00:00oops' as time)::varchar"))
print("rows of the 15th where d = '2024-01-15 oops':",
      *one("select count(*) from (values (date '2024-01-15')) days(d) where d = '2024-01-15 oops'"))
print("read_csv, column DATE:",
      *one("select d::varchar from read_csv('days.csv', header = true, columns = {'d': 'DATE'})"))
print("read_json, column DATE:", *one("select d::varchar from read_json('days.json', columns = {'d': 'DATE'})"))
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
'2024-01-15 oops': date 2024-01-15, timestamp None
'2024-01-15 05': date 2024-01-15, timestamp None
'2024-01-15-03': date 2024-01-15, timestamp None
'2024/1/5x': date 2024-01-05, timestamp None
'2024-01-155': date None, timestamp None
'10:00:00oops' as time: 10:00:00
rows of the 15th where d = '2024-01-15 oops': 1
read_csv, column DATE: 2024-01-15
read_json, column DATE: 2024-01-15
SEEN
