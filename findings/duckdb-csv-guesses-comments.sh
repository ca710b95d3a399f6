#!/usr/bin/env bash
#
# DuckDB 1.5.6 guesses from a CSV file's lines whether `#` begins a comment, also where read_csv is told header and
# all_varchar, and tells nobody: rows whose first cell begins with `#` are gone, and cells are cut off at a `#`. What tips
# the guess is the other rows: with `3,z` behind them `#1` and `#2` are comments, alone they are ids. It is no matter of
# bad lines: RFC 4180 knows no comments, and both files are good by it. `comment = ''` beside `delim` turns it off.
#
# Seen (duckdb 1.5.6, Python 3.11), read_csv(..., header = true, all_varchar = true):
#   ids #1 #2: [('#1', 'x'), ('#2', 'y')]
#   ids #1 #2 3: [('3', 'z')]
#   notes: [('1', 'x'), ('2', 'y # z')]
#   notes, and an id #3: [('1', 'x'), ('2', 'y '), ('4', 'v')]
#   the same, comment = '', delim = ',': [('1', 'x'), ('2', 'y # z'), ('#3', 'w'), ('4', 'v')]

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.6
cd "$work"
cat >seen.py <<'PY'
import duckdb


def show(what, text, more=""):
    with open("rows.csv", "w") as file:
        file.write(text)
    rows = duckdb.sql(f"select * from read_csv('rows.csv', header = true, all_varchar = true{more})").fetchall()
    print(f"{what}: {rows}")


show("ids #1 #2", "id,note\n#1,x\n#2,y\n")
show("ids #1 #2 3", "id,note\n#1,x\n#2,y\n3,z\n")
show("notes", "id,note\n1,x\n2,y # z\n")
show("notes, and an id #3", "id,note\n1,x\n2,y # z\n#3,w\n4,v\n")
show("the same, comment = '', delim = ','", "id,note\n1,x\n2,y # z\n#3,w\n4,v\n", ", comment = '', delim = ','")
PY
venv/bin/python seen.py | tee seen.txt
diff - seen.txt <<'SEEN'
ids #1 #2: [('#1', 'x'), ('#2', 'y')]
ids #1 #2 3: [('3', 'z')]
notes: [('1', 'x'), ('2', 'y # z')]
notes, and an id #3: [('1', 'x'), ('2', 'y '), ('4', 'v')]
the same, comment = '', delim = ',': [('1', 'x'), ('2', 'y # z'), ('#3', 'w'), ('4', 'v')]
SEEN
