# needs: cassandra
"""Rows in a real Cassandra, read back by a client that is not ours: values of all types, keys, TTL, tables that are
made, mended and refused, `freshet get`."""

import datetime
import decimal
import json
import math
import socket
import struct
import time
import unittest

from cassandra_testing import CassandraCase
from freshet_testing import Terminal, event

INFINITY = float("inf")
KINDS = {"flag": "boolean", "small": "integer", "large": "bigint", "single": "float", "real": "double",
         "exact": "decimal(38,9)", "whole": "decimal(20,0)", "name": "string", "bytes": "binary", "day": "date",
         "at": "timestamp", "words": "array<string>", "numbers": "array<double>",
         "days": "array<date>"}
CQL = {"flag": "boolean", "small": "int", "large": "bigint", "single": "float", "real": "double", "exact": "decimal",
       "whole": "decimal", "name": "text", "bytes": "blob", "day": "date", "at": "timestamp",
       "words": "frozen<list<text>>", "numbers": "frozen<list<double>>",
       "days": "frozen<list<date>>"}


def day(text):
    """A day as a number since 1970: Cassandra's go further than Python's."""
    return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days


def plain(value):
    """A value of the driver's, to be compared: NaN equals itself, the sign of zero counts."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "days_from_epoch"):
        return ("day", value.days_from_epoch)
    if isinstance(value, decimal.Decimal):
        return value.as_tuple()
    if isinstance(value, datetime.datetime):  # the driver computes with doubles
        return round((value - datetime.datetime(1970, 1, 1)) / datetime.timedelta(milliseconds=1))
    return value


class TypesTest(CassandraCase):

    # what is written, and what Cassandra has of it; where there is one only, both are the same
    VALUES = {
        "flag": [True, False],
        "small": [0, -1, 2**31 - 1, -2**31],
        "large": [0, -1, 2**63 - 1, -2**63],
        "single": [0.0, -0.0, 1.5, 3.4028234663852886e38, 1.401298464324817e-45,
                   ("NaN", math.nan), ("Infinity", INFINITY), ("-Infinity", -INFINITY)],
        "real": [0.0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, -2.2250738585072014e-308,
                 ("NaN", math.nan), ("Infinity", INFINITY), ("-Infinity", -INFINITY)],
        "exact": [(text, decimal.Decimal(has)) for text, has in (
            ("0", "0E-9"), ("1.5", "1.500000000"), ("-0.000000001", "-1E-9"), ("1.28", "1.280000000"),
            ("99999999999999999999999999999.999999999",) * 2, ("-99999999999999999999999999999.999999999",) * 2)],
        "whole": [(text, decimal.Decimal(text)) for text in
                  ("0", "127", "128", "-128", "-129", "255", "99999999999999999999", "-99999999999999999999")],
        "name": ["", "x", "Zürich 東京 🦀", "line\nbreak", "nul\0inside", "'quoted\"", "long " * 20000],
        "bytes": [("", b""), ("x", b"x"), ("ü", "ü".encode())],
        "day": [(text, ("day", day(text))) for text in
                ("1970-01-01", "1969-12-31", "2024-02-29", "0001-01-01", "9999-12-31", "1582-10-14")],
        "at": [("2024-02-29T12:34:56.789Z", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)),
               ("1970-01-01T00:00:00Z", datetime.datetime(1970, 1, 1)),
               ("1969-12-31T23:59:59.999Z", datetime.datetime(1969, 12, 31, 23, 59, 59, 999000)),
               ("1969-12-31T23:59:59.998999Z", datetime.datetime(1969, 12, 31, 23, 59, 59, 998000)),
               ("2024-02-29T12:34:56.789999Z", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)),
               ("0001-01-01T00:00:00Z", datetime.datetime(1, 1, 1)),
               ("9999-12-31T23:59:59.999Z", datetime.datetime(9999, 12, 31, 23, 59, 59, 999000))],
        "words": [[], [""], ["a", "", "ü"], ["x"] * 5000],
        "numbers": [[], [0.5, -0.0, 1e300]],
        "days": [(["1969-12-31", "2024-02-29"], [("day", -1), ("day", day("2024-02-29"))])],
    }

    def declare_kinds(self, **declared):
        strings = {name: "string" if kind in ("float", "double", "binary") or kind.startswith("decimal") else kind
                   for name, kind in KINDS.items()}
        return self.declare_store(
            stream=False, schema={"id": "bigint", "seen": "timestamp", **strings}, keys="{name: id, type: bigint}",
            features=[f'{{name: {name}, type: "{kind}"}}' for name, kind in KINDS.items()], **declared)

    def test_values(self):
        """Each value in a row of its own, the other features null."""
        records, expected = [], {}
        nulls = dict.fromkeys(KINDS)
        for name, values in self.VALUES.items():
            as_text = KINDS[name] in ("float", "double")
            for value in [*values, None]:
                put, has = value if isinstance(value, tuple) else (value, value)
                i = len(records)
                put = repr(put) if as_text and isinstance(put, float) else put
                records.append({"id": i, "seen": event(0)["seen"], **nulls, name: put})
                if name == "single" and has is not None and math.isfinite(has):
                    has = struct.unpack("f", struct.pack("f", has))[0]
                expected[i] = {**nulls, name: has}
        self.put_records(records)
        self.declare_kinds()
        self.apply()
        self.run_once()
        self.assertEqual(self.dead_letters(self.pipeline), [])
        rows = {row["id"]: row for row in self.rows()}
        self.assertEqual(len(rows), len(records))
        for i, has in expected.items():
            for name, value in has.items():
                self.assertEqual(plain(rows[i][name]), plain(value), records[i])

    def test_columns(self):
        self.declare_kinds()
        self.apply()
        found = self.cassandra.execute("select column_name, type from system_schema.columns where keyspace_name = %s "
                                       "and table_name = %s", (self.keyspace, self.pipeline))
        self.assertEqual({row["column_name"]: row["type"] for row in found},
                         {"id": "bigint", "timestamp": "timestamp", **CQL})

    def test_null_replaces(self):
        self.declare_kinds()
        self.apply()
        full = {name: values[-1] for name, values in self.VALUES.items()}
        full = {name: value[0] if isinstance(value, tuple) else value for name, value in full.items()}
        self.put_records([{"id": 1, "seen": "2024-01-01T00:00:00Z", **full}])
        self.run_once()
        (row,) = self.rows()
        self.assertNotIn(None, row.values())
        self.put_records([{"id": 1, "seen": "2024-01-01T00:00:01Z", **dict.fromkeys(KINDS)}])
        self.run_once()
        (row,) = self.rows()
        self.assertEqual({row[name] for name in KINDS}, {None})

    def test_array_with_a_null(self):
        """No list of Cassandra's holds one: its row is a dead letter, and the others are there."""
        self.declare_kinds()
        self.apply()
        self.put_records([{"id": i, "seen": event(i)["seen"], **dict.fromkeys(KINDS), "words": words}
                          for i, words in enumerate((["a"], ["a", None], ["b"]))])
        self.run_once()
        self.assertEqual([row["words"] for row in self.rows("id, words")], [["a"], ["b"]])
        (letter,) = self.dead_letters(self.pipeline)
        self.assertIn('"words" is an array with a null', letter["reason"])
        self.assertEqual(json.loads(letter["raw"])["words"], ["a", None])


class KeysTest(CassandraCase):

    ORDERS = {"shop": "string", "id": "bigint", "region": "string", "seen": "timestamp", "value": "double"}

    def declare_orders(self, **store):
        self.declare_store(stream=False, schema=self.ORDERS, features=["{name: value, type: double}"], store=store,
                           keys="{name: shop, type: string}, {name: id, type: bigint}, {name: region, type: string}")

    def primary_key(self):
        found = self.cassandra.execute("select column_name, kind, position from system_schema.columns where "
                                       "keyspace_name = %s and table_name = %s", (self.keyspace, self.pipeline))
        return tuple([row["column_name"] for row in sorted(found, key=lambda row: row["position"]) if row["kind"] == kind]
                     for kind in ("partition_key", "clustering"))

    def assert_orders(self):
        records = [{"shop": f"s{i % 3}", "id": i % 50, "region": f"r{i % 2}", "seen": event(i)["seen"], "value": i / 2}
                   for i in range(600)]
        newest = {(r["shop"], r["id"], r["region"]): r["value"] for r in records}
        self.put_records(records)
        self.run_once()
        rows = self.rows("shop, id, region, value")
        self.assertEqual({(r["shop"], r["id"], r["region"]): r["value"] for r in rows}, newest)
        self.assertEqual(len(rows), len(newest))
        return newest

    def test_clustering(self):
        self.declare_orders()
        self.apply()
        self.assertEqual(self.primary_key(), (["shop"], ["id", "region"]))
        self.assert_orders()

    def test_partition_by(self):
        self.declare_orders(partition_by=["region", "shop"])
        self.apply()
        self.assertEqual(self.primary_key(), (["region", "shop"], ["id"]))
        newest = self.assert_orders()
        out = self.good("get", "events.yaml", "--key", "id=7", "--key", "shop=s1", "--key", "region=r1")
        self.assertEqual(json.loads(out)["value"], newest["s1", 7, "r1"])

    def test_keys_that_cassandra_does_not_take(self):
        """An empty partition key, in a batch with others: a dead letter, and the others are there."""
        self.declare_orders(partition_by=["shop"])
        self.apply()
        self.put_records([{"shop": shop, "id": i, "region": "", "seen": event(i)["seen"], "value": i}
                          for i, shop in enumerate(("a", "", "a", "b", ""))])
        self.run_once()
        self.assertEqual([(row["shop"], row["id"]) for row in self.rows("shop, id")], [("a", 0), ("a", 2), ("b", 3)])
        letters = self.dead_letters(self.pipeline)
        self.assertEqual(sorted(json.loads(letter["raw"])["id"] for letter in letters), [1, 4])
        for letter in letters:
            self.assertIn("Key may not be empty", letter["reason"])

    def test_rows_that_are_too_large(self):
        """Larger than what the node takes (8 MiB: half a segment of its log), and than any takes."""
        self.declare_store(stream=False, schema={**self.ORDERS, "name": "string"},
                           keys="{name: id, type: bigint}", features=["{name: name, type: string}"],
                           reader_extra=", max_record_bytes: 32 MiB")
        self.apply()
        sizes = [10, 9 << 20, 1 << 20, 17 << 20, 20]
        with open(self.path("in", "a.jsonl"), "w", encoding="utf-8") as file:
            for i, size in enumerate(sizes):
                print(json.dumps({"id": i, "seen": event(i)["seen"], "name": "x" * size}), file=file)
        self.run_once()
        self.assertEqual({row["id"]: len(row["name"]) for row in self.rows("id, name")},
                         {i: size for i, size in enumerate(sizes) if size < 2 << 20})
        letters = self.dead_letters(self.pipeline)
        self.assertEqual(len(letters), 2)
        for letter in letters:
            self.assertRegex(letter["reason"], "Rejected an oversized mutation|longer than the 16 MiB")


class TtlTest(CassandraCase):

    def test_from_the_event(self):
        """What is left counts from the event, also of a row written again; what has passed is not written."""
        ages = {1: 0, 2: 3000, 3: 6 * 86400, 4: 7 * 86400 + 1, 5: -3600}
        now = time.time()
        self.put_records([{"id": i, "value": i, "seen": datetime.datetime.fromtimestamp(
            now - age, datetime.timezone.utc).isoformat()} for i, age in ages.items()])
        self.declare_store(stream=False, writer=", ttl: 7 days", keys="{name: id, type: bigint}",
                           features=["{name: value, type: double}"])
        self.apply()
        for _ in range(2):
            self.run_once()
            left = {row["id"]: row["ttl"] for row in self.rows('id, ttl(value) as ttl')}
            passed = time.time() - now
            self.assertEqual(set(left), {1, 2, 3, 5})
            for i, ttl in left.items():
                self.assertAlmostEqual(ttl, 7 * 86400 - ages[i] - passed, delta=passed + 3)
            also = {row["id"]: row["ttl"] for row in self.rows('id, ttl("timestamp") as ttl')}
            self.assertEqual(set(also), set(left))

    def test_none(self):
        self.put_records([event(1)])
        self.declare_store(stream=False)
        self.apply()
        self.run_once()
        self.assertEqual(self.rows("ttl(value) as ttl"), [{"ttl": None}])

    def test_rows_go(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.put_records([dict(event(1), seen=(now - datetime.timedelta(seconds=86395)).isoformat()),
                          dict(event(2), seen=now.isoformat())])
        self.declare_store(stream=False, writer=", ttl: 1 day")
        self.apply()
        self.run_once()
        self.until(lambda: [row["id"] for row in self.rows("id")] == [2], "the older one goes")


class TablesTest(CassandraCase):

    def plan(self, code, *args):
        finished = self.freshet("plan", "events.yaml", "--detailed-exitcode", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished.out

    def refused(self, *said, verb="run", code=78):
        args = ["run", "events.yaml", "--once", "--progress", "none"] if verb == "run" else [verb, "events.yaml"]
        finished = self.freshet(*args)
        self.assertEqual(finished.code, code, finished.err)
        for text in said:
            self.assertIn(text, finished.err)

    def test_from_nothing_to_a_row(self):
        self.put_records([event(3)])
        self.declare_store(stream=False)
        self.refused(f"the table {self.keyspace}.{self.pipeline} does not fit", "is missing", "`freshet plan events.yaml`",
                     "`freshet apply events.yaml`")
        out = self.plan(3)
        self.assertIn(f'CREATE TABLE "{self.keyspace}"."{self.pipeline}"', out)
        self.assertIn("PRIMARY KEY ((\"key\"))", out)
        self.assertEqual(self.good("plan", "events.yaml"), out)
        finished = self.freshet("apply", "events.yaml")
        self.assertEqual(finished.code, 2, finished.err)
        self.assertIn("say --yes", finished.err)
        self.plan(3)
        self.assertIn("-- applied", self.apply())
        self.assertIn("fits the declaration", self.plan(0))
        finished = self.freshet("apply", "events.yaml", "--yes", "--detailed-exitcode")
        self.assertEqual((finished.code, "applied" in finished.out), (0, False))
        self.run_once()
        self.assertEqual([row["id"] for row in self.rows()], [3])

    def test_a_feature_more_over_a_state(self):
        """State and table in one look, then `apply`, then the stream goes on: with windows, and where only newest rows are kept."""
        for window in ("{name: spent, from: value, window: {functions: [sum], over: [1 hour]}}", "{name: spent, from: value, type: double}"):
            self.pipeline += "x"
            features = ["{name: id, type: bigint}", window]
            more = features + ["{name: big, type: boolean, sql: value > 0.3}"]
            self.put_records([event(i) for i in range(4)], f"{self.pipeline}/a.jsonl")
            self.declare_store(features=features, path=f"{self.pipeline}/*.jsonl")
            self.apply()
            self.run_once()
            self.declare_store(features=more, path=f"{self.pipeline}/*.jsonl")
            planned = self.plan(3)
            self.assertRegex(planned, r'(?s)^-- the state in .*serves the declaration:\n.*feature "big" \(.*: is new: .*--   \+     - name: big\n.*'
                                      r'-- \S+: 1 change\n-- the column "big" \(boolean\) is missing\nALTER TABLE ')
            self.refused("does not fit", "is missing")
            self.assertIn("serves the declaration", self.apply())
            self.put_records([event(i) for i in range(4, 6)], f"{self.pipeline}/b.jsonl")
            self.run_once()
            self.assertEqual(sorted((row["id"], row["big"]) for row in self.rows()),
                             [(i, event(i)["value"] > 0.3 if i >= 4 else None) for i in range(6)])
            self.plan(0)

    def test_what_plan_prints_is_cql(self):
        """Names that CQL would read otherwise, too."""
        self.declare_store(stream=False, features=['{name: Amount, from: id, type: bigint}', '{name: select, from: value, type: double}'])
        for statement in self.plan(3).split(";"):
            statement = "\n".join(text for text in statement.splitlines() if not text.startswith("--"))
            if statement.strip():
                self.cassandra.execute(statement)
        self.plan(0)
        self.put_records([event(3)])
        self.run_once()
        self.cassandra.execute(f'select "Amount", "select" from {self.table()}')

    def test_missing_columns(self):
        """They are added; those that are not the declaration's stay."""
        self.cassandra.execute(f"create table {self.table()} (key text primary key, \"timestamp\" timestamp, id bigint, "
                               "other text)")
        self.cassandra.execute(f"insert into {self.table()} (key, other) values ('k3', 'kept') using timestamp 5")
        self.put_records([event(3)])
        self.declare_store(stream=False)
        self.refused('"value" (double) is missing', "`freshet apply events.yaml`")
        out = self.plan(3)
        self.assertIn('ADD "value" double', out)
        self.assertIn('the column "other" is not the declaration\'s, and stays', out)
        self.apply()
        self.plan(0)
        self.run_once()
        (row,) = self.rows()
        self.assertEqual((row["id"], row["value"], row["other"]), (3, 0.75, "kept"))

    def test_wrong_type(self):
        """Nothing is lost unless that is said."""
        self.cassandra.execute(f"create table {self.table()} (key text primary key, \"timestamp\" timestamp, id int, "
                               "value double)")
        self.cassandra.execute(f"insert into {self.table()} (key, id, value) values ('old', 7, 1.5) using timestamp 5")
        self.put_records([event(3)])
        self.declare_store(stream=False)
        self.refused('"id"', "int", "bigint", "`freshet apply events.yaml --allow-drop`")
        self.assertIn("all that the table has is lost", self.plan(3))
        finished = self.freshet("apply", "events.yaml", "--yes")
        self.assertEqual(finished.code, 1, finished.err)
        self.assertIn("--allow-drop", finished.err)
        self.assertEqual([row["id"] for row in self.rows("id")], [7])
        self.good("apply", "events.yaml", "--yes", "--allow-drop")
        self.plan(0)
        self.assertEqual(self.rows(), [])
        self.run_once()
        self.assertEqual([row["id"] for row in self.rows()], [3])

    def test_wrong_key(self):
        self.cassandra.execute(f"create table {self.table()} (key text, id bigint, \"timestamp\" timestamp, value double, "
                               "primary key (key, id))")
        self.cassandra.execute(f"insert into {self.table()} (key, id, value) values ('old', 7, 1.5) using timestamp 5")
        self.put_records([event(3)])
        self.declare_store(stream=False)
        self.refused('"id" is a clustering column, and should be regular', "`freshet apply events.yaml --allow-drop`")
        self.assertEqual(self.freshet("apply", "events.yaml", "--yes").code, 1)
        self.assertEqual(len(self.rows()), 1)
        self.good("apply", "events.yaml", "--yes", "--allow-drop")
        self.run_once()
        self.assertEqual([row["id"] for row in self.rows()], [3])

    def test_missing_keyspace(self):
        self.keyspace = self.keyspace + "_not_there"
        self.declare_store(stream=False)
        self.refused("the keyspace", "--replicas")
        finished = self.freshet("apply", "events.yaml", "--yes")
        self.assertEqual(finished.code, 2, finished.err)
        self.assertIn("--replicas N", finished.err)
        self.good("apply", "events.yaml", "--yes", "--replicas", "1")
        self.plan(0)
        self.cassandra.execute(f"drop keyspace {self.keyspace}")

    def test_asks_on_a_terminal(self):
        self.declare_store(stream=False)
        for answer, shown, code in (("n", "nothing was changed", 1), ("y", "-- applied", 0)):
            terminal = Terminal(self, "apply", "events.yaml")
            self.processes.append(terminal)
            terminal.until_shown("Apply this? [y/N]")
            terminal.type(answer + "\n")
            self.assertEqual(terminal.wait(), code)
            self.assertIn(shown, terminal.screen.shown())
        self.plan(0)


class PlaceTest(CassandraCase):

    def test_all_from_the_environment(self):
        self.put_records([event(3)])
        self.env.update(CASSANDRA_HOST=f"{self.cassandra.hosts[0]}:{self.cassandra.port}", CASSANDRA_KEYSPACE=self.keyspace)
        self.declare(stream=False, pipeline=self.pipeline, sink="- online: {cassandra: {}}")
        self.apply()
        self.run_once()
        self.assertEqual([row["id"] for row in self.rows()], [3])
        for name in ("CASSANDRA_HOST", "CASSANDRA_KEYSPACE"):
            env = {key: value for key, value in self.env.items() if key != name}
            self.assertIn(name, self.run_once(code=78, env=env).err)

    def test_one_host_of_several_is_enough(self):
        self.put_records([event(3)])
        with socket.socket() as taken:  # nobody listens there
            taken.bind(("127.0.0.1", 0))
            self.declare_store(stream=False, store={"host": [f"127.0.0.1:{taken.getsockname()[1]}", "no-such-host.invalid",
                                                             f"{self.cassandra.hosts[0]}:{self.cassandra.port}"]})
            self.apply()
            self.run_once()
        self.assertEqual([row["id"] for row in self.rows()], [3])

    def test_no_such_data_centre(self):
        self.put_records([event(3)])
        self.declare_store(stream=False, store={"local_dc": "nowhere"})
        self.assertIn('no data centre "nowhere"; it has datacenter1', self.run_once(code=78).err)


class GetTest(CassandraCase):

    def test_get(self):
        self.put_records([dict(event(3), seen="2024-01-01T00:00:03.250Z"), dict(event(4), key="it's")])
        self.declare_store(stream=False)
        self.apply()
        self.run_once()
        out = self.good("get", "events.yaml", "--key", "key=k3", "--format", "json")
        self.assertEqual(json.loads(out), {"key": "k3", "timestamp": "2024-01-01T00:00:03.250000Z", "id": 3, "value": 0.75})
        self.assertEqual(json.loads(self.good("get", "events.yaml", "--key", "key=it's"))["id"], 4)
        out = self.good("get", "events.yaml", "--key", "key=k3", "--format", "table")
        self.assertRegex(out, r"timestamp +\S*2024-01-01")
        finished = self.freshet("get", "events.yaml", "--key", "key=nobody")
        self.assertEqual((finished.code, finished.out), (1, ""))
        self.assertIn(f"{self.keyspace}.{self.pipeline} has no row of this key", finished.err)
        for args in ((), ("--key", "id=3"), ("--key", "key"), ("--key", "key=k3", "--key", "key=k4")):
            self.assertEqual(self.freshet("get", "events.yaml", *args).code, 2)


if __name__ == "__main__":
    unittest.main()
