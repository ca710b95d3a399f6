#!/usr/bin/env bash
#
# Spark 3.5.6 does not read a date before 1582-10-15, or an instant before 1900, of a Parquet file that somebody else wrote:
# the days could have been counted by the Julian calendar, which the format does not know. It raises an error in the midst of
# the job (count() is fine). The setting spark.sql.parquet.datetimeRebaseModeInRead says otherwise for all files; for one
# file, a key of its metadata does: where org.apache.spark.version is 3.0.0 it is read as it stands, whoever wrote it, and
# where it is 2.4.8 the same date comes nine days off, without a word.
#
# Seen (pyspark 3.5.6, pyarrow 24.0.0, Java 17, Python 3.11), for the date 1500-03-01 and the instant 1850-01-01 12:00 in UTC:
#   org.apache.spark.version None: READ_ANCIENT_DATETIME, READ_ANCIENT_DATETIME
#   org.apache.spark.version 3.0.0: 1500-03-01, 1850-01-01 12:00:00
#   org.apache.spark.version 2.4.8: 1500-02-20, 1850-01-01 12:00:00

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyspark==3.5.6 pyarrow==24.0.0
cd "$work"
cat >seen.py <<'PY'
import datetime
import re
import pyarrow
import pyarrow.parquet
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
session.sparkContext.setLogLevel("OFF")
noon = datetime.datetime(1850, 1, 1, 12, tzinfo=datetime.timezone.utc)
table = pyarrow.table({"d": pyarrow.array([datetime.date(1500, 3, 1)]),
                       "t": pyarrow.array([noon], pyarrow.timestamp("us", "UTC"))})


def first(frame, column):
    try:
        return frame.selectExpr(f"cast({column} as string)").first()[0]
    except Exception as raised:
        return re.search(r"\[INCONSISTENT_BEHAVIOR_CROSS_VERSION\.([A-Z_]+)\]", str(raised)).group(1)


for version in (None, "3.0.0", "2.4.8"):
    key = {"org.apache.spark.version": version} if version else {}
    path = f"dates-{version}.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata(key), path)
    frame = session.read.parquet(path)
    assert frame.count() == 1
    print(f"org.apache.spark.version {version}: {first(frame, 'd')}, {first(frame, 't')}")
java = session.sparkContext._gateway.proc
session.stop()
java.stdin.close()
java.wait()
PY
export SPARK_LOCAL_IP=127.0.0.1 TMPDIR="$work" JAVA_TOOL_OPTIONS="-Djava.io.tmpdir=$work -XX:-UsePerfData"
venv/bin/python seen.py 2>errors | tee seen
diff - seen <<'SEEN'
org.apache.spark.version None: READ_ANCIENT_DATETIME, READ_ANCIENT_DATETIME
org.apache.spark.version 3.0.0: 1500-03-01, 1850-01-01 12:00:00
org.apache.spark.version 2.4.8: 1500-02-20, 1850-01-01 12:00:00
SEEN
