"""The windows job on polars, as a batch: of each event the count and the mean of its key's last 120 s, and each key's newest row.

    windows.py FILE...

Windows are of whole seconds, both ends and all events of the row's own second in, as windows.yaml has them. It gives nothing before the
end. Prints its check as a line of JSON. POLARS_MAX_THREADS says how many threads it takes.
"""

import json
import sys

import polars as pl

COLUMNS = {"id": pl.Int64, "ts": pl.String, "amount": pl.Float64, "country": pl.String, "kind": pl.String, "qty": pl.Int32}
WINDOW = "120s"


def read(names):
    frame = pl.scan_ndjson(names, schema=COLUMNS).collect()
    return frame.with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3f", time_unit="us")).with_row_index("arrival")


def windowed(events):
    """Each event with its window: the rows of a key in order of time, and each second's events in one window."""
    ordered = events.with_columns(pl.col("ts").dt.truncate("1s").alias("second")).sort("id", "second", maintain_order=True)
    windows = ordered.rolling("second", period=WINDOW, closed="both", group_by="id").agg(
        pl.len().alias("cnt"), pl.col("amount").mean().alias("mean"))
    return pl.concat([ordered, windows.select("cnt", "mean")], how="horizontal")


def newest(rows):
    return rows.sort("ts", "arrival").unique("id", keep="last", maintain_order=True)


def check(rows):
    return {"keys": rows.height, "cnt": int(rows["cnt"].sum()), "avg": rows["mean"].sum(), "amount": rows["amount"].sum(),
            "qty": int(rows["qty"].sum()),
            "views": rows.filter((pl.col("country") == "BR") & (pl.col("kind") == "view")).height,
            "times": int((rows["ts"].dt.epoch("us") % 1_000_000_007).sum())}


if __name__ == "__main__":
    print(json.dumps(check(newest(windowed(read(sys.argv[1:]))))))
