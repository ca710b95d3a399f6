# needs: cassandra
"""The newest wins: what a real Cassandra has of streams with late, repeated and simultaneous events, after restarts,
replays and batches over old data, and of feature sets that share a table. WRITETIME() says that it is by design."""

import datetime
import json
import random
import unittest

from cassandra_testing import CassandraCase
from freshet_testing import SEED, event

EPOCH = datetime.datetime(1970, 1, 1)
TIME = "{from: seen, lateness: 1 day}"
PLAIN = ("{name: id, type: bigint}", "{name: value, type: double}")
WINDOW = ("{name: id, type: bigint}",
          "{name: v, from: value, window: {functions: [count, max, {sum: double}], over: [20 seconds]}}")


def microseconds(text):
    return round((datetime.datetime.fromisoformat(text.rstrip("Z")) - EPOCH) / datetime.timedelta(microseconds=1))


def of_row(row):
    """As the driver gives it: the time in milliseconds since 1970."""
    return {**row, "timestamp": round((row["timestamp"] - EPOCH) / datetime.timedelta(milliseconds=1))}


def shuffled(n, keys, seconds, name):
    """Events of few keys in few seconds, in any order: many at the same time."""
    rng = random.Random(name + SEED)
    records = []
    for i in range(n):
        micros = rng.choice((0, 0, 250000, 250000, 999999, rng.randrange(10**6)))
        seen = datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=rng.randrange(seconds), microseconds=micros)
        records.append({"id": i, "key": f"k{rng.randrange(keys)}", "seen": seen.isoformat() + "Z",
                        "value": rng.randrange(1000) / 4})
    return records


def newest_plain(records):
    """By key: the row of the newest time, of equal ones the last to come, and its write timestamp."""
    newest = {}
    for record in records:
        time = microseconds(record["seen"])
        has = newest.get(record["key"])
        if has is None or time // 10**6 > has["time"] // 10**6:
            newest[record["key"]] = {"time": time, "revision": 0, "at": 0, "record": record}
        elif time // 10**6 == has["time"] // 10**6:
            has["revision"] += 1
            if time >= has["time"]:
                has.update(time=time, record=record, at=has["revision"])
    return {key: {"key": key, "timestamp": has["time"] // 1000, "id": has["record"]["id"],
                  "value": has["record"]["value"], "written": has["time"] // 10**6 * 10**6 + has["at"]}
            for key, has in newest.items()}


def newest_window(records):
    """The same with windows. The revision counts all rows of the key, and is that of the last one in the newest's window."""
    newest, rows = {}, {}
    for record in records:
        key, time = record["key"], microseconds(record["seen"])
        second = time // 10**6
        rows.setdefault(key, []).append((second, record["value"]))
        has = newest.get(key)
        if has is None or second > has["second"]:
            newest[key] = {"time": time, "second": second, "revision": 0, "at": 0, "record": record}
            continue
        has["revision"] += 1
        if second >= has["second"] - 20:
            has["at"] = has["revision"]
        if time >= has["time"]:
            has.update(time=time, record=record)
    found = {}
    for key, has in newest.items():
        seen = [value for second, value in rows[key] if has["second"] - 20 <= second <= has["second"]]
        found[key] = {"key": key, "timestamp": microseconds(has["record"]["seen"]) // 1000, "id": has["record"]["id"],
                      "v__count_over_20_seconds_fixed_windows": len(seen),
                      "v__max_over_20_seconds_fixed_windows": max(seen),
                      "v__sum_over_20_seconds_fixed_windows": sum(seen),
                      "written": has["second"] * 10**6 + has["at"]}
    return found


class NewestTest(CassandraCase):

    def by_key(self, columns, table=None):
        return {row["key"]: of_row(row) for row in self.rows(columns, table)}

    def assert_newest(self, expected, columns):
        found = self.by_key(columns)
        self.assertEqual(set(found), set(expected))
        for key, row in expected.items():
            self.assertEqual(found[key], row)

    def check(self, features, newest, seconds):
        columns = "key, \"timestamp\", id, writetime(id) as written, " + (
            "value" if features is PLAIN else ", ".join(f"v__{f}_over_20_seconds_fixed_windows"
                                                        for f in ("count", "max", "sum")))
        records = shuffled(3000, 40, seconds, self.id())
        declare = {"features": features, "timestamp": TIME}
        self.declare_store(**declare)
        self.apply()
        # a stream in pieces: late events of all ages, restarts between them
        at = 0
        for i, end in enumerate((1, 700, 701, 1900, 3000)):
            self.put_records(records[at:end], f"in/{i}.jsonl")
            self.run_once("events.yaml", "--step-rows", str(self.rng.choice((1, 37, 1000))))
            at = end
            if i % 2 == 0:
                self.assert_newest(newest(records[:end]), columns)
        expected = newest(records)
        # and it is what the debug table shows. One file has an order, also of rows of the same time; several that are
        # not sorted have none of their own
        for name, n in (("all", 3000), ("most", 701), ("first", 700)):
            self.put_records(records[:n], f"{name}/0.jsonl")
        self.declare_store(path="all/*.jsonl", **declare)
        latest = {row["key"]: {**row, "timestamp": microseconds(row["timestamp"]) // 1000} for row in self.debug_rows()}
        self.assertEqual(latest, {key: {name: value for name, value in row.items() if name != "written"}
                                  for key, row in expected.items()})
        # a replay of everything, and one of what came first: as if the state was lost
        self.forget_state()
        self.run_once()
        self.assert_newest(expected, columns)
        self.forget_state()
        self.declare_store(path="first/*.jsonl", **declare)
        self.run_once()
        self.assert_newest(expected, columns)
        # batches over all and over old data
        for path in ("all/*.jsonl", "most/*.jsonl"):
            self.declare_store(path=path, stream=False, **declare)
            self.run_once()
            self.assert_newest(expected, columns)
        self.assertEqual(self.dead_letters(self.pipeline), [])

    def test_plain(self):
        self.check(PLAIN, newest_plain, 60)

    def test_plain_of_one_second(self):
        self.check(PLAIN, newest_plain, 1)

    def test_windows(self):
        self.check(WINDOW, newest_window, 60)

    def test_windows_of_one_second(self):
        self.check(WINDOW, newest_window, 1)

    def same_as_debug(self, expected_columns, *args):
        """The table is what the debug table says after the same run."""
        latest = {row["key"]: {name: row[name] for name in expected_columns} for row in self.debug_rows("events.yaml", *args)}
        for row in latest.values():
            row["timestamp"] = microseconds(row["timestamp"]) // 1000
        found = self.by_key(", ".join(f'"{name}"' for name in expected_columns))
        self.assertEqual(set(found), set(latest))
        for key, row in latest.items():
            self.assertEqual(found[key], row)
        return found

    def check_with_debug(self, columns, *args, rounds=3, **declared):
        """A stream in pieces, its replay, a batch over what came first."""
        records = sorted(shuffled(1500, 20, 300, self.id()), key=lambda record: (record["seen"][:18], record["id"]))
        self.declare_store(**declared)
        self.apply()
        for i in range(rounds):
            self.put_records(records[len(records) * i // rounds:len(records) * (i + 1) // rounds], f"in/{i}.jsonl")
            self.run_once("events.yaml", *(args if i == rounds - 1 else ()))
        written = self.same_as_debug(["key", "timestamp", *columns], *args)
        self.assertEqual(len(written), 20)
        self.forget_state()
        self.run_once("events.yaml", *args)
        self.assertEqual(self.by_key(", ".join(f'"{name}"' for name in ("key", "timestamp", *columns))), written)
        self.declare_store(stream=False, path="in/[01].jsonl", **declared)
        self.run_once()
        self.assertEqual(self.by_key(", ".join(f'"{name}"' for name in ("key", "timestamp", *columns))), written)
        self.assertEqual(self.dead_letters(self.pipeline), [])

    def test_rolling_windows(self):
        self.check_with_debug(
            ["value__count_over_1_minute_rolling_windows", "value__max_over_1_minute_rolling_windows"], "--drain",
            features=("{name: value, aggregate: {functions: [count, max]}}",), timestamp="{from: seen, lateness: 1 minute}",
            set_extra="  aggregated: {windows: {over: [1 minute], slide: 30 seconds}}\n")

    def test_groups(self):
        self.check_with_debug(["value__sum", "value__count"], "--drain", set_extra="  aggregated: {}\n",
                              features=("{name: value, aggregate: {functions: [sum, count]}}",),
                              timestamp="{from: seen, lateness: 5 minutes}")

    def test_windows_that_change(self):
        self.check_with_debug(
            ["value__count_over_1_minute_rolling_windows"],
            features=("{name: value, aggregate: {functions: [count]}}",), timestamp="{from: seen, lateness: 1 minute}",
            set_extra="  aggregated: {windows: {over: [1 minute], slide: 30 seconds, emit: change}}\n")

    def test_rows_that_leave_windows(self):
        """They give rows of their own, with a time at which there was no event."""
        self.check_with_debug(
            ["id", "value__count_over_20_seconds_fixed_windows"], timestamp="{from: seen, lateness: 15 seconds}",
            features=(WINDOW[0], "{name: value, window: {functions: [count], over: [20 seconds]}}"),
            set_extra="  refresh: on_expiry\n")

    def test_days_of_a_batch(self):
        """A batch that ends with a day writes the newest row within it; in a table that has newer ones, nothing."""
        records = [dict(event(i), key=f"k{i % 3}", seen=f"2024-01-0{1 + i // 3}T12:00:00Z") for i in range(9)]
        self.put_records(records)
        self.declare_store(stream=False, features=PLAIN)
        self.apply()
        for last, ids in (("2024-01-02", [3, 4, 5]), ("2024-01-03", [6, 7, 8]), ("2024-01-01", [6, 7, 8])):
            self.run_once("events.yaml", "--end-date", last)
            self.assertEqual(sorted(row["id"] for row in self.rows()), ids)

    def test_late_row(self):
        """One by one, each seen in the table before the next comes, in one run that goes on."""
        self.declare_store(features=WINDOW, timestamp=TIME)
        self.apply()
        self.write("in/a.jsonl", b"")
        run = self.start("run", "events.yaml", "--progress", "none")
        steps = [(10, 1, 10, 1), (5, 2, 10, 2), (10, 3, 10, 3), (11, 4, 11, 4), (1, 5, 11, 5)]
        for second, i, newest, count in steps:
            record = dict(event(i, keys=1), seen=f"2024-01-01T00:00:{second:02d}Z")
            self.append("in/a.jsonl", (json.dumps(record) + "\n").encode())
            self.until(lambda count=count: [row["n"] for row in self.rows("v__count_over_20_seconds_fixed_windows as n")]
                       == [count], f"row {i} is there", run)
            (row,) = self.rows()
            self.assertEqual(row["timestamp"], datetime.datetime(2024, 1, 1, 0, 0, newest))
        run.stop()

    def test_times_long_ago_and_far_ahead(self):
        """Write timestamps before 1970 are negative, and order as others do."""
        times = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:58.5Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z",
                 "9999-12-31T23:59:59.5Z"]
        self.declare_store(features=PLAIN)
        self.apply()
        for i, order in enumerate(([2, 0, 1], [3, 2], [4, 0, 3])):
            self.put_records([dict(event(at, keys=1), seen=times[at]) for at in order], f"in/{i}.jsonl")
            self.run_once()
            self.forget_state()
            newest = i + 2
            (row,) = self.rows('id, "timestamp", writetime(id) as written')
            self.assertEqual((of_row(row)["timestamp"], row["id"]), (microseconds(times[newest]) // 1000, newest))
            self.assertEqual(row["written"] // 10**6, microseconds(times[newest]) // 10**6)

    def test_others_that_write(self):
        """A newer row that something else has written with the event's time stays; an older one does not."""
        self.declare_store(features=PLAIN)
        self.apply()
        for key, time in (("k1", "2024-01-01T00:00:30Z"), ("k2", "2024-01-01T00:00:01Z")):
            self.cassandra.execute(f"insert into {self.table()} (key, id, value) values ('{key}', 999, 0) using timestamp "
                                   f"{microseconds(time)}")
        self.put_records([event(8), event(9)])
        self.run_once()
        self.assertEqual({row["key"]: row["id"] for row in self.rows()}, {"k1": 999, "k2": 9})

    def test_many_keys_with_late_rows(self):
        """The load that leaves 4 to 7 keys of 1,000 on an older row with Butterfree: one row in a hundred comes up to
        30 s late, from several files at once."""
        rng = random.Random("stale" + SEED)
        files, newest = [[] for _ in range(8)], {}
        for i in range(30000):
            ms = i * 1.8 + rng.random() * 500
            if rng.random() < 0.01:
                ms = max(0, ms - rng.random() * 30000)
            seen = (datetime.datetime(2024, 5, 1, 12) + datetime.timedelta(milliseconds=int(ms))).isoformat("T", "milliseconds")
            record = {"id": i, "key": f"u{rng.randrange(5000)}", "seen": seen + "Z", "value": rng.random()}
            files[i * 8 // 30000].append(record)
            newest[record["key"]] = max(newest.get(record["key"], ""), seen)
        self.declare_store(features=PLAIN)
        self.apply()
        for i, records in enumerate(files):
            self.put_records(records, f"in/{i}.jsonl")
        self.run_once("events.yaml", "--step-rows", "2000")
        found = {row["key"]: row["timestamp"].isoformat("T", "milliseconds") for row in self.rows('key, "timestamp"')}
        self.assertEqual(len(found), len(newest))
        self.assertEqual([key for key, time in newest.items() if found[key] != time], [])


class EntityTest(CassandraCase):
    """Two feature sets in the table of their entity."""

    def declare_two(self, writer=", write_to_entity: true", **store):
        self.entity = f"entity_{self.pipeline}"
        for name, feature in (("one", "{name: id, type: bigint}"), ("two", "{name: value, type: double}")):
            self.declare_store(f"{name}.yaml", pipeline=name, path=f"{name}/*.jsonl", features=[feature],
                               timestamp=TIME, writer=writer, store=store)
            with open(self.path(f"{name}.yaml"), encoding="utf-8") as file:
                text = file.read()
            self.write(f"{name}.yaml", text.replace("entity: key", f"entity: {self.entity}"))
            self.apply(f"{name}.yaml")

    def put(self, name, *records):
        self.put_records([{"id": i, "key": key, "seen": f"2024-01-01T00:00:{second}Z", "value": float(i)}
                          for key, second, i in records], f"{name}/{next(self.numbers)}.jsonl")
        self.run_once(f"{name}.yaml")

    def shared(self, table=None):
        return {row["key"]: (row["timestamp"].second, row["id"], row["value"])
                for row in self.rows(table=table or self.entity)}

    def test_each_its_columns(self):
        self.declare_two()
        self.put("one", ("a", "10", 1), ("b", "50", 2))
        self.assertEqual(self.shared(), {"a": (10, 1, None), "b": (50, 2, None)})
        self.put("two", ("a", "20", 3), ("b", "40", 4), ("c", "30", 5))
        self.assertEqual(self.shared(), {"a": (20, 1, 3.0), "b": (50, 2, 4.0), "c": (30, None, 5.0)})
        self.put("one", ("a", "15", 6), ("c", "05", 7), ("b", "45", 8))
        self.assertEqual(self.shared(), {"a": (20, 6, 3.0), "b": (50, 2, 4.0), "c": (30, 7, 5.0)})
        self.put("two", ("a", "20.5", 9), ("b", "39", 10))
        self.assertEqual(self.shared(), {"a": (20, 6, 9.0), "b": (50, 2, 4.0), "c": (30, 7, 5.0)})
        for pipeline in ("one", "two"):  # a replay of everything
            self.forget_state(pipeline)
            self.run_once(f"{pipeline}.yaml")
        self.assertEqual(self.shared(), {"a": (20, 6, 9.0), "b": (50, 2, 4.0), "c": (30, 7, 5.0)})
        for name, said in (("one", {"key": "a", "timestamp": "2024-01-01T00:00:20.500000Z", "id": 6}),
                           ("two", {"key": "a", "timestamp": "2024-01-01T00:00:20.500000Z", "value": 9.0})):
            self.assertEqual(json.loads(self.good("get", f"{name}.yaml", "--key", "key=a")), said)

    def test_at_once(self):
        """Both run at the same time over shuffled events; TTL as well."""
        self.declare_two(writer=", write_to_entity: true, ttl: 3650 days")
        newest = {}
        for name in ("one", "two"):
            records = shuffled(1500, 30, 60, self.id() + name)
            newest[name] = newest_plain(records)
            self.put_records(records, f"{name}/a.jsonl")
        runs = [self.start("run", f"{name}.yaml", "--once", "--progress", "none") for name in newest]
        for run in runs:
            self.assertEqual(run.wait().code, 0, run.err())
        found = {row["key"]: of_row(row) for row in self.rows(table=self.entity)}
        self.assertEqual(found, {key: {
            "key": key, "id": one["id"], "value": newest["two"][key]["value"],
            "timestamp": max(one["timestamp"], newest["two"][key]["timestamp"])} for key, one in newest["one"].items()})

    def test_a_table_of_another_name(self):
        """It is shared, too."""
        table = f"any_{self.pipeline}"
        self.declare_two(writer="", table=table)
        self.put("one", ("a", "10", 1))
        self.put("two", ("a", "05", 2))
        self.assertEqual(self.shared(table), {"a": (10, 1, 2.0)})


if __name__ == "__main__":
    unittest.main()
