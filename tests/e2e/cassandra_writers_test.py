# needs: cassandra
"""Cassandra as one writer among several: a `select` of its own, `validate` behind a batch, and a store that is away, which
holds the other writers back until it is there again."""

import signal
import unittest

from cassandra_testing import CassandraCase, Proxy
from freshet_testing import event, lines

FEATURES = ("{name: id, type: bigint}", "{name: value, type: double}", "{name: twice, type: double, sql: value * 2}")


class CassandraWritersTest(CassandraCase):

    def test_select(self):
        """The table has these columns and no others, keys and time first; another writer has all."""
        self.declare()
        self.write("in/a.jsonl", lines(0, 7))
        self.declare_store(features=FEATURES, stream=False,
                           more_sinks="\n      select: [twice, timestamp, KEY]\n    - jsonl: {path: all.jsonl}")
        self.apply()
        self.good("run", "events.yaml")
        rows = self.rows()
        self.assertEqual({tuple(sorted(row)) for row in rows}, {("key", "timestamp", "twice")})
        self.assertEqual({(row["key"], row["twice"]) for row in rows}, {(f"k{i}", i / 2) for i in range(7)})
        self.assertEqual({len(row) for row in self.read_lines("all.jsonl")}, {5})
        self.assertIn("fits the declaration: 3 columns", self.good("plan", "events.yaml"))
        self.assertIn('"twice":1', self.good("get", "events.yaml", "--key", "key=k2", "--format", "json"))
        self.declare_store(features=FEATURES, stream=False, more_sinks="\n      select: [twice, key]")
        self.assertIn('lacks the column "timestamp"', self.freshet("check", "events.yaml").err)

    def test_validate(self):
        """Each key is read back; a newer row of another run counts, one that is not seen does not; a stream has no end."""
        self.declare()
        self.write("in/a.jsonl", lines(0, 2000))
        declared = {"features": FEATURES, "keys": "{name: id, type: bigint}, {name: key, type: string}", "stream": False}
        declared["features"] = FEATURES[1:]
        self.declare_store(more_sinks="\n      validate: true", **declared)
        self.apply()
        for _ in range(2):
            run = self.freshet("run", "events.yaml")
            self.assertEqual(run.code, 0, run.err)
            self.assertIn('validated the writer "online": all 2000 rows are there', run.err)
        self.cassandra.execute(f"""insert into {self.table()} (id, key, "timestamp") values (5, 'k5', '2024-06-01') using timestamp 2000000000000000""")
        self.assertEqual(self.freshet("run", "events.yaml").code, 0)
        for i in (7, 8):  # what is written is older than its removal
            self.cassandra.execute(f"delete from {self.table()} using timestamp 2000000000000000 where id = {i} and key = 'k{i % 7}'")
        run = self.freshet("run", "events.yaml")
        self.assertEqual(run.code, 1, run.err)
        self.assertIn('validating the writer "online": 2000 rows were written, and 1998 are there', run.err)
        self.declare_store(more_sinks="\n      validate: true", **{**declared, "stream": True})
        self.assertIn('"validate" is for batches', self.freshet("check", "events.yaml").err)

    def test_many_rows_of_a_key(self):
        """All rows of a key are there where the newest is."""
        self.declare()
        self.write("in/a.jsonl", lines(0, 3000))
        self.declare_store(stream=False, more_sinks="\n      validate: true", store={"buffer_rows": 10})
        self.apply()
        run = self.freshet("run", "events.yaml", "--step-rows", "20")
        self.assertEqual(run.code, 0, run.err)
        self.assertRegex(run.err, 'validated the writer "online": all [0-9]+ rows are there')

    def test_one_that_is_away_holds_the_others(self):
        """Nothing is lost or doubled, also where the run is killed and begins anew meanwhile."""
        proxy = Proxy(self, (self.cassandra.hosts[0], self.cassandra.port))
        self.declare()
        self.write("in/a.jsonl", b"")
        self.declare_store(store={"port": proxy.port, "request_timeout": "1 second", "connect_timeout": "2 seconds",
                                  "buffer_rows": 1000},
                           keys="{name: id, type: bigint}", features=FEATURES[1:], extra="checkpoint: {interval: 20 ms}\n",
                           more_sinks="\n    - jsonl: {path: all.jsonl}\n    - history: {path: out}")
        self.apply()
        for is_killed in (False, True):
            first = 10000 if is_killed else 0
            run = self.start("run", "events.yaml", "--progress", "none", "--step-rows", "200")
            self.append("in/a.jsonl", lines(first, first + 1000))
            self.until(lambda: self.n_rows() == first + 1000, "the first rows", run)  # noqa: B023
            proxy.refuses = True
            proxy.cut()
            self.append("in/a.jsonl", lines(first + 1000, first + 10000))
            self.until(lambda: "warning: online: " in run.err(), "it tells of trouble", run)  # noqa: B023
            self.assertLessEqual(len(self.read_lines("all.jsonl")), first + 1000 + 1000 + 200 + 200)
            if is_killed:
                run.signal(signal.SIGKILL)
                run.wait()
                run = self.start("run", "events.yaml", "--progress", "none", "--step-rows", "200")
                self.until(lambda: "warning: online: " in run.err(), "it tells of trouble again", run)  # noqa: B023
            proxy.refuses = False
            self.until(lambda: self.n_rows() == first + 10000, "all rows", run)  # noqa: B023
            run.stop()
            ids = [row["id"] for row in self.read_lines("all.jsonl")]
            self.assertEqual(sorted(set(ids)), list(range(first + 10000)))
            if not is_killed:
                self.assertEqual(len(ids), 10000)
            self.assertEqual(self.history_ids(), list(range(first + 10000)))
        self.assertEqual({(row["id"], row["value"]) for row in self.rows()}, {(i, event(i)["value"]) for i in range(20000)})

    def n_rows(self):
        (row,) = self.cassandra.execute(f"select count(*) as n from {self.table()}")
        return row["n"]

    def history_ids(self):
        return [row["id"] for row in self.history({"value": "double"}, keys="{name: id, type: bigint}")]


if __name__ == "__main__":
    unittest.main()
