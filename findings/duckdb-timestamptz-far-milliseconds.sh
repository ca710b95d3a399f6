#!/usr/bin/env bash
#
# TIMESTAMPTZ of DuckDB 1.5.6 holds microseconds up to the year 294247. But its casts to and from TIMESTAMP, and its text,
# round to even milliseconds from the year 287396 on, where milliseconds need more than the 53 bits of a double. The largest
# TIMESTAMP, a likely "valid for ever", cannot be cast at all, though TIMESTAMPTZ holds the same number, and prints it as a
# millisecond more. The session is in UTC: nothing is to be shifted.
#
# Seen (duckdb 1.5.6, Python 3.11); the numbers are microseconds since 1970:
#   9007199254740991000: cast 9007199254740991000, cast back 9007199254740991000, text 287396-10-12 08:59:00.991+00
#   9007199254740993000: cast 9007199254740992000, cast back 9007199254740992000, text 287396-10-12 08:59:00.992+00
#   9007199254740995000: cast 9007199254740996000, cast back 9007199254740996000, text 287396-10-12 08:59:00.996+00
#   9223372036854775806: cast ConversionException, cast back ConversionException, text 294247-01-10 04:00:54.776806+00

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6
cd "$work"
cat >seen.py <<'PY'
import duckdb

connection = duckdb.connect()
connection.execute("set timezone = 'UTC'")


def one(expression):
    try:
        return connection.execute(f"select {expression}").fetchone()[0]
    except duckdb.ConversionException as raised:
        return type(raised).__name__


for us in (2**53 * 1000 - 1000, 2**53 * 1000 + 1000, 2**53 * 1000 + 3000, 2**63 - 2):
    assert one(f"epoch_us(make_timestamp({us}))") == us and one(f"epoch_us(make_timestamptz({us}))") == us
    print(f"{us}: cast {one(f'epoch_us(make_timestamp({us})::timestamptz)')},"
          f" cast back {one(f'epoch_us(make_timestamptz({us})::timestamp)')},"
          f" text {one(f'make_timestamptz({us})::varchar')}")
PY
venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
9007199254740991000: cast 9007199254740991000, cast back 9007199254740991000, text 287396-10-12 08:59:00.991+00
9007199254740993000: cast 9007199254740992000, cast back 9007199254740992000, text 287396-10-12 08:59:00.992+00
9007199254740995000: cast 9007199254740996000, cast back 9007199254740996000, text 287396-10-12 08:59:00.996+00
9223372036854775806: cast ConversionException, cast back ConversionException, text 294247-01-10 04:00:54.776806+00
SEEN
