# needs: cassandra
"""`freshet compare` with a real Cassandra: what somebody changed, deleted, put back or added is found, by a sample of the
ring and as a whole; TTL; tables of several sets; several writers; while a stream runs."""

import json
import threading
import time
import unittest

from cassandra_testing import CassandraCase
from freshet_testing import DEADLINE, event, line

CLASSES = ("equal", "ahead", "in_flight", "expired", "unkept", "stale", "missing", "unknown", "different", "nowhere")
HISTORY = "\n    - history: {path: out}"


class CompareTest(CassandraCase):

    def compare(self, *args, name="events.yaml", code=0, which=0):
        finished = self.freshet("compare", name, "--json", *args)
        self.assertEqual(finished.code, code, finished.err + finished.out)
        return json.loads(finished.out)["comparisons"][which]

    def counts(self, found):
        return {name: found[name] for name in CLASSES if found[name] != 0}

    def execute(self, cql, *values):
        return self.cassandra.execute(cql.replace("TABLE", self.table()), values)

    def test_each_class(self):
        self.put_records([event(i, keys=400) for i in range(1000)])
        self.declare_store(more_sinks=HISTORY)
        self.apply()
        self.run_once()
        self.assertEqual(self.counts(self.compare()), {"equal": 400})
        self.assertEqual(self.counts(self.compare("--sample", "all")), {"equal": 400})
        found = self.compare("--sample", "100")
        self.assertEqual(list(self.counts(found)), ["equal"])
        self.assertTrue(130 < found["equal"] < 200, found)  # of each side, some keys of both
        again = self.compare("--sample", "100", "--seed", "2")
        self.assertNotEqual(found["equal"], 0)
        self.assertEqual(list(self.counts(again)), ["equal"])
        # with timestamps behind all that is there
        self.execute("update TABLE using timestamp 2000000000000000 set value = 7.5, id = null where key = 'k1'")
        self.execute("delete from TABLE using timestamp 2000000000000000 where key = 'k2'")
        self.execute("update TABLE using timestamp 2000000000000000 set timestamp = '2024-01-01 00:00:03+0000' "
                     "where key = 'k3'")
        self.execute("insert into TABLE (key, timestamp, id, value) values ('extra', '2024-01-01 00:10:00+0000', 1, 1)")
        self.execute("insert into TABLE (key, timestamp, id, value) values ('later', '2024-02-01 00:00:00+0000', 1, 1)")
        expected = {"equal": 397, "ahead": 1, "stale": 1, "missing": 1, "unknown": 1, "different": 1}
        for args in ((), ("--sample", "all")):
            found = self.compare(*args, "-o", "differences.jsonl", code=1)
            self.assertEqual(self.counts(found), expected)
            self.assertEqual(found["features"], {"id": 1, "value": 1})
            told = {(each["class"], each["key"]["key"], each.get("feature")): each
                    for each in self.read_lines("differences.jsonl")}
            self.assertEqual(set(told), {("stale", "k3", None), ("missing", "k2", None), ("unknown", "extra", None),
                                         ("different", "k1", "value"), ("different", "k1", "id")})
            self.assertEqual((told["different", "k1", "value"]["online_value"],
                              told["different", "k1", "value"]["history_value"]), (7.5, 200.25))
            self.assertEqual(told["different", "k1", "id"]["online_value"], None)
            self.assertTrue(told["stale", "k3", None]["online_timestamp"].startswith("2024-01-01T00:00:03"))
        self.assertEqual(self.counts(self.compare("--fail-above", "1.5 %")), expected)
        # samples that are smaller than the table find all of it sooner or later, on either side
        seen = set()
        for seed in range(1, 200):
            found = self.compare("--sample", "90", "--seed", str(seed), "--fail-above", "99 %")
            seen.update(name for name in expected if found[name] > 0)
            if seen == set(expected):
                break
        self.assertEqual(seen, set(expected))

    def test_keys_and_times(self):
        """A partition of more rows than one answer of a range has, keys that are times, times finer than Cassandra's, all types of the test of values."""
        schema = {"id": "bigint", "key": "string", "seen": "timestamp", "at": "timestamp", "exact": '"decimal(20,3)"',
                  "single": "float", "words": "array<string>", "times": "array<timestamp>"}
        records = [{"id": i, "key": f"k{i % 3 if i > 5100 else 0}", "seen": f"2024-01-01T00:00:00.{i * 7:06d}Z",
                    "at": f"1969-12-31T23:59:59.{999000 + i:06d}Z", "exact": f"{i}.125" if i % 2 else None,
                    "single": "NaN" if i % 5 == 0 else -0.0 if i % 5 == 1 else i / 10, "words": ["ü", str(i)] * (i % 4),
                    "times": [f"2024-01-01T00:00:00.{i:06d}Z"]} for i in range(5400)]
        self.put_records(records)
        self.declare_store(stream=False, schema=schema, more_sinks=HISTORY,
                           keys="{name: key, type: string}, {name: id, type: bigint}, {name: at, type: timestamp}",
                           features=('{name: exact, type: "decimal(20,3)"}', "{name: single, type: float}",
                                     "{name: words, type: array<string>}", "{name: times, type: array<timestamp>}"))
        self.apply()
        self.run_once()
        self.assertEqual(self.counts(self.compare("--sample", "all")), {"equal": 5400})
        found = self.compare("--sample", "100")  # more rows than that: three partitions, of which each token finds one
        self.assertEqual(list(self.counts(found)), ["equal"])
        self.assertGreater(found["equal"], 100)

    def test_ttl(self):
        """What is past its TTL is not missing; what is not yet, is."""
        now = int(time.time())
        rows = [(f"old{i}", now - 86400 * 10) for i in range(3)] + [(f"new{i}", now - 60) for i in range(4)]
        self.put_records([{**event(i), "key": key, "seen": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))}
                          for i, (key, at) in enumerate(rows)])
        self.declare_store(writer=", ttl: 2 days", more_sinks=HISTORY)
        self.apply()
        self.run_once()
        self.assertEqual(self.counts(self.compare()), {"equal": 4, "expired": 3})
        self.execute("delete from TABLE using timestamp %s where key = 'new1'", (now + 1) * 1000000)
        self.assertEqual(self.counts(self.compare(code=1)), {"equal": 3, "expired": 3, "missing": 1})

    def test_shared_table(self):
        """Two sets in one table: each is compared by its own columns, though `timestamp` is the newest of both."""
        self.put_records([event(i, keys=30) for i in range(100)])
        self.put_records([dict(event(500 + i), key=f"k{i + 20}") for i in range(20)], "later/a.jsonl")
        self.declare_store(store={"table": "shared_" + self.pipeline}, more_sinks=HISTORY)
        self.declare_store("other.yaml", pipeline=self.pipeline + "b", path="later/*.jsonl",
                           store={"table": "shared_" + self.pipeline}, more_sinks="\n    - history: {path: others}",
                           features=("{name: other, type: double, from: value}",))
        for name in ("events.yaml", "other.yaml"):
            self.apply(name)
            self.run_once(name)
        self.assertEqual(self.counts(self.compare()), {"equal": 30})
        self.assertEqual(self.counts(self.compare("--sample", "all")), {"equal": 30})
        self.assertEqual(self.counts(self.compare(name="other.yaml")), {"equal": 20})
        self.cassandra.execute(f"update {self.table('shared_' + self.pipeline)} using timestamp 2000000000000000 "
                               "set value = 1 where key = 'k7'")
        found = self.compare(code=1)
        self.assertEqual((self.counts(found), found["features"]), ({"equal": 29, "different": 1}, {"id": 0, "value": 1}))

    def test_several_writers(self):
        """Two tables, one of them with some features only, and two histories: each with each."""
        host = self.store(table="few_" + self.pipeline)
        self.put_records([event(i) for i in range(50)])
        self.declare_store(more_sinks=f"{HISTORY}\n    {host}\n      select: [key, timestamp, value]"
                           "\n    - history: {path: more}\n      select: [key, timestamp, id]")
        self.apply()
        self.run_once()
        self.cassandra.execute(f"update {self.table('few_' + self.pipeline)} using timestamp 1704067243500000 "
                               "set value = 1 where key = 'k1'")  # of the same second as its row
        found = [self.compare(code=1, which=i) for i in range(4)]
        self.assertEqual([each["different"] for each in found], [0, 0, 1, 0], found)
        self.assertEqual([(each["history"].rsplit("/", 1)[-1], each["not_compared"], list(each["features"]))
                          for each in found],
                         [("out", [], ["id", "value"]), ("more", ["value"], ["id"]),
                          ("out", [], ["value"]), ("more", ["value"], [])])

    def test_while_it_runs(self):
        self.put_records([event(i, keys=40) for i in range(200)])
        self.declare_store(more_sinks=HISTORY)
        self.apply()
        run = self.start("run", "events.yaml", "--progress", "none")
        ended = threading.Event()

        def write():
            at = 200
            while not ended.is_set():
                self.append("in/a.jsonl", b"".join(line(event(i, keys=40)) for i in range(at, at + 20)))
                at += 20
                time.sleep(0.005)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for seed in range(1, 3):
                found = self.compare("--seed", str(seed), "--wait", f"{DEADLINE:.0f}s")
                self.assertEqual(self.counts(found), {"equal": 40})
        finally:
            ended.set()
            writer.join()
        run.stop()

    def test_away(self):
        """A store that is not there is a passing condition; a table that is not there is the declaration's."""
        self.put_records([event(0)])
        self.declare_store(more_sinks=HISTORY)
        finished = self.freshet("compare", "events.yaml", "--history", "out")
        self.assertNotEqual(finished.code, 0)
        self.declare_store("away.yaml", more_sinks=HISTORY, store={"host": "127.0.0.1:1", "patience": "1 second"})
        finished = self.freshet("compare", "away.yaml")
        self.assertEqual(finished.code, 75, finished.err)


if __name__ == "__main__":
    unittest.main()
