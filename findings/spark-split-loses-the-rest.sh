#!/usr/bin/env bash
#
# Spark 3.5.6: split(text, '', limit) with a limit greater than 0 throws away what is behind the limit. With any other
# pattern the last element holds the rest of the text, as the documents say ("the last entry will contain all input beyond
# the last matched regex"); with the empty one it is a single letter, so limit 1 gives the first letter in the place of the
# text. Patterns that only match empty texts, as (), keep the rest. Known as SPARK-49968.
#
# Seen (pyspark 3.5.6, Java 17, Python 3.11):
#   split('a,b,c', ',', 2): ['a', 'b,c']
#   split('abc', '()', 2): ['a', 'bc']
#   split('abc', '', 2): ['a', 'b']
#   split('abc', '', 1): ['a']

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==3.5.6
cd "$work"
cat >seen.py <<'PY'
from pyspark.sql import SparkSession

session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
session.sparkContext.setLogLevel("OFF")
for call in ("split('a,b,c', ',', 2)", "split('abc', '()', 2)", "split('abc', '', 2)", "split('abc', '', 1)"):
    print(f"{call}: {session.sql('select ' + call).first()[0]}")
java = session.sparkContext._gateway.proc
session.stop()
java.stdin.close()
java.wait()
PY
export SPARK_LOCAL_IP=127.0.0.1 TMPDIR="$work" JAVA_TOOL_OPTIONS="-Djava.io.tmpdir=$work -XX:-UsePerfData"
venv/bin/python seen.py 2>errors | tee seen
diff - seen <<'SEEN'
split('a,b,c', ',', 2): ['a', 'b,c']
split('abc', '()', 2): ['a', 'bc']
split('abc', '', 2): ['a', 'b']
split('abc', '', 1): ['a']
SEEN
