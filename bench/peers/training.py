"""The data of bench/training.py, and its competitors: DuckDB's as-of join, pandas' merge_asof.

    training.py make FOLDER HISTORY SPINE      a history of 100 days, a spine, in any order of times
    training.py duckdb|pandas FOLDER OUT       the training set
    training.py check FOLDER OUT               a line of JSON about it: rows, nulls, sums that do not depend on an order
"""

import json
import os
import sys

import duckdb

DAYS = 100
DAY_US = 86_400_000_000


def connect():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def make(folder, history, spine):
    connection = connect()
    rows, keys = int(history) // DAYS, max(1, int(spine))
    for day in range(DAYS):
        path = os.path.join(folder, "h", "year=2024", "month=%d" % (1 + day // 28), "day=%d" % (1 + day % 28))
        os.makedirs(path)
        # No two rows of a key have one time: the competitors take any of such.
        connection.execute(f"""COPY (
            SELECT (hash(i * 7 + {day}) % {keys})::BIGINT AS customer,
                   (make_timestamp(2024, {1 + day // 28}, {1 + day % 28}, 0, 0, 0)
                    + to_microseconds(i * {DAY_US} // {rows}))::TIMESTAMPTZ AS timestamp,
                   (hash(i + 1 + {day}) % 100000)::BIGINT AS f1, (hash(i + 2) % 500)::BIGINT AS f2,
                   (hash(i + 3) % 100000) / 7.0 AS f3, (hash(i + 4) % 100000) / 7.0 AS f4, (hash(i + 5) % 100000) / 7.0 AS f5,
                   (hash(i + 6) % 100000) / 7.0 AS f6, 'c' || (hash(i) % 50) AS f7, hash(i + 9) % 2 = 0 AS f8
            FROM range({rows}) t(i)) TO '{path}/part-0.parquet' (FORMAT parquet, COMPRESSION zstd)""")
    connection.execute(f"""COPY (
        SELECT i AS id, (hash(i * 13) % {keys})::BIGINT AS customer, (i % 2)::INT AS label,
               ('2024-01-01'::TIMESTAMP + to_microseconds((hash(i * 17) % {DAYS * DAY_US}::UBIGINT)::BIGINT))::TIMESTAMPTZ
               AS timestamp
        FROM range({spine}) t(i)) TO '{folder}/spine.parquet'""")


def by_duckdb(folder, out):
    connection = connect()
    connection.execute(f"SET memory_limit = '600MiB'; SET temp_directory = '{folder}/spill'")
    names = ", ".join(f"h.f{i} AS h__f{i}" for i in range(1, 9))
    connection.execute(f"""COPY (
        SELECT s.*, {names} FROM read_parquet('{folder}/spine.parquet') s
        ASOF LEFT JOIN read_parquet('{folder}/h/**/*.parquet', hive_partitioning = false) h
        ON s.customer = h.customer AND s.timestamp >= h.timestamp ORDER BY s.id)
        TO '{out}' (FORMAT parquet, COMPRESSION zstd)""")


def by_pandas(folder, out):
    import pandas
    import pyarrow.dataset
    spine = pandas.read_parquet(os.path.join(folder, "spine.parquet")).sort_values("timestamp")
    history = pyarrow.dataset.dataset(os.path.join(folder, "h")).to_table().to_pandas().sort_values("timestamp")
    history = history.rename(columns={f"f{i}": f"h__f{i}" for i in range(1, 9)})
    joined = pandas.merge_asof(spine, history, on="timestamp", by="customer").sort_values("id")
    joined.to_parquet(out, compression="zstd", index=False)


def check(_, out):
    columns = ("count(*)::BIGINT AS rows", "count(h__f1)::BIGINT AS found", "sum(h__f1::BIGINT)::BIGINT AS f1",
               "sum(id * h__f2::BIGINT)::BIGINT AS f2", "sum((h__f6 * 7)::BIGINT * (id % 97))::BIGINT AS f6",
               "(sum(hash(h__f7)::HUGEINT) % 1000000007)::BIGINT AS f7", "sum((h__f8::INT) * (id % 89))::BIGINT AS f8",
               "sum((hash(id, label) % 1000003))::BIGINT AS spine")
    row = connect().execute(f"SELECT {', '.join(columns)} FROM read_parquet('{out}')").fetchone()
    print(json.dumps(dict(zip([column.rpartition(" ")[2] for column in columns], row))))


if __name__ == "__main__":
    {"make": make, "duckdb": by_duckdb, "pandas": by_pandas, "check": check}[sys.argv[1]](*sys.argv[2:])
