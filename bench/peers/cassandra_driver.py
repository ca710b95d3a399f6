"""The Python driver of Cassandra's, for bench/cassandra.py: the same rows into the same table.

    cassandra_driver.py write FILE ROWS ROWS_IN_FLIGHT     execute_concurrent_with_args, one prepared INSERT
    cassandra_driver.py truncate TABLE
    cassandra_driver.py check                              what is in the table, as JSON: count and sums

The file's events (JSON lines) are read and their features computed before the clock starts: only writing is measured.
`write` prints its seconds and CPU seconds as JSON. Where: CASSANDRA_HOST, CASSANDRA_PORT, CASSANDRA_KEYSPACE,
CASSANDRA_LOCAL_DC.
"""

import calendar
import json
import os
import sys
import time
from datetime import datetime

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

TABLE = "bench_events"
COLUMNS = ("id", "timestamp", "amount_usd", "country_code", "amount_taxed", "total", "tier", "kind_upper")


def connect():
    policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=os.environ["CASSANDRA_LOCAL_DC"]))
    profile = ExecutionProfile(load_balancing_policy=policy, consistency_level=ConsistencyLevel.LOCAL_QUORUM,
                               request_timeout=60, row_factory=tuple_factory)
    return Cluster([os.environ["CASSANDRA_HOST"]], port=int(os.environ["CASSANDRA_PORT"]), protocol_version=4,
                   execution_profiles={EXEC_PROFILE_DEFAULT: profile})


def rows_of(path, most):
    """The feature rows, with their write timestamps: the event's second, in microseconds, as Freshet has it."""
    rows = []
    with open(path, encoding="ascii") as file:
        for line in file:
            if len(rows) == most:
                break
            event = json.loads(line)
            at = datetime.strptime(event["ts"], "%Y-%m-%dT%H:%M:%S.%f")
            amount = event["amount"]
            tier = "high" if amount >= 500 else "mid" if amount >= 100 else "low"
            rows.append((event["id"], at, amount, event["country"], amount * 1.12 + 3.5, amount * event["qty"], tier,
                         event["kind"].upper(), calendar.timegm(at.timetuple()) * 1_000_000))
    return rows


def write(session, path, most, in_flight):
    rows = rows_of(path, most)
    insert = session.prepare("insert into %s (%s) values (%s) using timestamp ?"
                             % (TABLE, ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))))
    cpu_s, began = time.process_time(), time.monotonic()
    execute_concurrent_with_args(session, insert, rows, concurrency=in_flight, results_generator=False)
    return {"rows": len(rows), "work_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu_s}


def check(session):
    found = {"rows": 0, "amount_usd": 0.0, "amount_taxed": 0.0, "total": 0.0, "high": 0, "letters": 0}
    for amount, country, taxed, total, tier, kind in session.execute(
            "select amount_usd, country_code, amount_taxed, total, tier, kind_upper from " + TABLE):
        found["rows"] += 1
        found["amount_usd"] += amount
        found["amount_taxed"] += taxed
        found["total"] += total
        found["high"] += tier == "high"
        found["letters"] += len(country) + len(kind)
    return found


def main(words):
    with connect() as cluster:
        session = cluster.connect(os.environ["CASSANDRA_KEYSPACE"])
        if words[0] == "truncate":
            session.execute("truncate " + words[1], timeout=60)
        elif words[0] == "check":
            print(json.dumps(check(session)))
        else:
            print(json.dumps(write(session, words[1], int(words[2]), int(words[3]))))


if __name__ == "__main__":
    main(sys.argv[1:])
