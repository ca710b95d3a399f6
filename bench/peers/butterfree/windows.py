"""The windows job on Spark alone, which Butterfree stands on: applyInPandasWithState, the one way that it has to windows of each event.

    windows.py EVENTS FOLDER

Of each key the events of the last 180 s (event time) are kept, in order of arrival. For an event, the kept events of the 120 s up to it
are counted, and their amounts averaged; the key's row becomes the event with these two, unless the row has a later time already. Prints,
as a line of JSON, its check and the seconds from its start to when Spark was up, to the end of the first batch and to the end. BENCH_FOLDER is for Spark's files.
"""

import json
import sys
import time

STARTED = time.time()

from pyspark.sql import functions as f  # noqa: E402
from pyspark.sql.streaming.state import GroupStateTimeout  # noqa: E402

from spark import session  # noqa: E402

EVENT = "id long, user string, ts timestamp, amount double, country string, kind string, qty int"
ROW = "id long, ms long, amount double, country string, kind string, qty int, cnt long, mean double"
STATE = "newest long, row_ms long, kept array<struct<ms:long,amount:double>>"


def roll(key, frames, state):
    import pandas

    window_ms, kept_ms = 120_000, 180_000
    newest, row_ms, kept = state.get if state.exists else (-1, -1, [])
    kept = [(at, value) for at, value in kept]
    row = None
    for frame in frames:
        for now, amount, country, kind, qty in zip(*(frame[name] for name in ("ms", "amount", "country", "kind", "qty"))):
            newest = max(newest, now)
            kept = [one for one in kept if one[0] >= newest - kept_ms]
            kept.append((now, amount))
            if now >= row_ms:
                values = [value for at, value in kept if now - window_ms <= at <= now]
                row_ms = now
                row = (key[0], now, amount, country, kind, qty, len(values), sum(values) / len(values))
    state.update((int(newest), int(row_ms), [(int(at), float(value)) for at, value in kept]))
    names = ["id", "ms", "amount", "country", "kind", "qty", "cnt", "mean"]
    yield pandas.DataFrame([row] if row else [], columns=names)


def main(events, folder):
    spark = session()
    begun = time.time()
    stream = spark.readStream.schema(EVENT).json(folder).withColumn("ms", f.expr("unix_millis(ts)"))
    rows = stream.groupBy("id").applyInPandasWithState(roll, ROW, STATE, "update", GroupStateTimeout.NoTimeout)
    latest, first = {}, []

    def take(batch, _):
        for row in batch.collect():
            latest[row["id"]] = row
        first.append(time.time())

    query = rows.writeStream.outputMode("update").foreachBatch(take).trigger(availableNow=True).start()
    query.awaitTermination()
    last = time.time()
    if query.exception():
        raise SystemExit("the stream has ended: %s" % query.exception())
    read = sum(progress["numInputRows"] for progress in query.recentProgress)
    if read != int(events):
        raise SystemExit("%d events were read of %s" % (read, events))
    print(json.dumps({"keys": len(latest), "cnt": sum(row["cnt"] for row in latest.values()),
                      "avg": sum(row["mean"] for row in latest.values()),
                      "times": sum(row["ms"] * 1000 % 1_000_000_007 for row in latest.values()),
                      "from_s": begun - STARTED, "first_s": first[0] - STARTED, "last_s": last - STARTED}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
