# needs: cassandra
"""A store that fails: a real Cassandra that stands still, is killed and started again, and a network that delays, cuts,
goes silent and answers too late. The stream keeps its place, says so, holds no more than it may, and goes on by
itself; every row arrives."""

import re
import signal
import time
import unittest

import services
from cassandra_testing import CassandraCase, Proxy
from freshet_testing import SLOWNESS, Case, event, line

LIMITS = {"request_timeout": "1 second", "connect_timeout": "2 seconds", "buffer_rows": 2000}
STEP = 500
BY_ID = {"keys": "{name: id, type: bigint}", "features": ("{name: key, type: string}", "{name: value, type: double}")}


def padded(i, size=0):
    return line(dict(event(i), key="x" * size + str(i)))


class FailureCase(CassandraCase):

    def begin(self, cassandra=None, **store):
        """A stream that runs over a file that grows."""
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"  # memory is measured
        self.store_of = cassandra or self.cassandra
        self.end = 0
        self.declare_store(store={**LIMITS, "cassandra": cassandra, **store}, extra="checkpoint: {interval: 50 ms}\n", **BY_ID)
        self.apply()
        self.write("in/a.jsonl", b"")
        return self.go_on()

    def go_on(self):
        return self.start("run", "events.yaml", "--progress", "none", "--step-rows", str(STEP))

    def put(self, n, size=0):
        self.append("in/a.jsonl", b"".join(padded(i, size) for i in range(self.end, self.end + n)))
        self.end += n

    def n_rows(self):
        (row,) = self.store_of.execute(f"select count(*) as n from {self.table()}")
        return row["n"]

    def until_there(self, run):
        self.until(lambda: self.n_rows() == self.end, f"{self.end} rows", run)
        for row in self.rows(cassandra=self.store_of):
            has = event(row["id"])
            self.assertEqual((row["key"].lstrip("x"), row["value"]), (str(row["id"]), has["value"]))
        self.assertEqual(self.dead_letters(self.pipeline), [])

    def until_troubled(self, run, times=1):
        """It says that something is wrong, and of how many rows: no more than it may hold."""
        self.until(lambda: len(re.findall("warning: online: .*(has not answered|takes no rows)", run.err())) >= times,
                   "it tells of trouble", run)
        for waiting in re.findall(r"(\d+) rows wait", run.err()):
            self.assertLessEqual(int(waiting), LIMITS["buffer_rows"] + STEP)

    def until_over(self, run, times=1):
        self.until(lambda: run.err().count("the trouble is over") >= times, "the trouble is over", run)


class NodeTest(FailureCase):

    @classmethod
    def setUpClass(cls):
        Case.setUpClass()

    def test_stands_still_dies_and_comes_back(self):
        cassandra = services.own_cassandra(self, sync="batch")
        self.keyspace = cassandra.keyspace()
        run = self.begin(cassandra)
        self.put(1000)
        self.until_there(run)
        # it stands still, and so does what is to be read
        cassandra.server.pause()
        self.put(10000)
        self.until_troubled(run)
        # killed meanwhile, it begins where its last checkpoint was
        run.signal(signal.SIGKILL)
        run.process.wait()
        cassandra.server.resume()
        run = self.go_on()
        self.until_there(run)
        cassandra.server.pause()
        self.put(3000)
        self.until_troubled(run)
        cassandra.server.resume()
        self.until_over(run)
        self.until_there(run)
        # it is killed
        cassandra.server.kill()
        cassandra.close()
        self.put(3000)
        self.until_troubled(run, 2)
        cassandra.server.start()
        self.until_over(run, 2)
        self.until_there(run)
        self.assertNotIn("dead letter", run.err().replace("0 dead letters", ""))
        # and stopping while it is away does not hang
        cassandra.server.kill()
        self.put(100)
        self.until_troubled(run, 3)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(15 * SLOWNESS).code, 75)


class TableTest(FailureCase):
    """What others do to the table while rows go into it."""

    def test_more_columns(self):
        """As when another feature set of the entity is applied."""
        run = self.begin()
        self.put(300)
        self.until_there(run)
        for name in ("more", "and_more"):
            self.cassandra.execute(f"alter table {self.table()} add {name} text")
            self.put(300)
            self.until_there(run)
        self.assertNotIn("error", run.err())
        run.stop()

    def test_dropped_and_made_again(self):
        run = self.begin()
        self.put(300)
        self.until_there(run)
        self.cassandra.execute(f"drop table {self.table()}")
        self.put(300)
        self.until_troubled(run)
        self.apply()
        self.until_over(run)
        self.until(lambda: self.n_rows() == 300, "the rows that waited", run)
        self.assertEqual(min(row["id"] for row in self.rows("id")), 300)
        run.stop()


class NetworkTest(FailureCase):

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self, (self.cassandra.hosts[0], self.cassandra.port))

    def test_delays(self):
        run = self.begin(port=self.proxy.port)
        self.put(500)
        self.until_there(run)
        self.proxy.delay = 0.3
        self.put(1000)
        self.until_there(run)
        self.assertNotIn("error", run.err())
        self.assertLess(self.proxy.connections, 8)
        run.stop()

    def test_cuts(self):
        """Connections break while rows are on their way, often."""
        run = self.begin(port=self.proxy.port)
        for _ in range(12):
            self.put(1000)
            time.sleep(self.rng.uniform(0.05, 0.3))
            self.proxy.cut()
        self.until_there(run)
        self.assertLessEqual(self.proxy.connections, 12 * 6 + 8)
        run.stop()

    def test_refusals(self):
        """Nobody is let in for some seconds: who knocks does so seldom, and comes back when he can."""
        run = self.begin(port=self.proxy.port)
        self.put(500)
        self.until_there(run)
        before = self.proxy.connections
        self.proxy.refuses = True
        self.proxy.cut()
        self.put(5000)
        self.until_troubled(run)
        knocked, began = self.proxy.connections, time.monotonic()
        self.until(lambda: self.proxy.connections > knocked + 2, "it knocks again", run)
        self.assertLess(self.proxy.connections - before, 40 + 8 * (time.monotonic() - began))
        self.proxy.refuses = False
        self.until_there(run)
        self.until_over(run)
        run.stop()

    def test_half_open(self):
        """The other end is gone without a word: what is sent there is lost, and is sent again on a new connection."""
        run = self.begin(port=self.proxy.port)
        self.put(500)
        self.until_there(run)
        before = self.proxy.connections
        self.proxy.strand()
        self.put(3000)
        self.until_there(run)
        self.assertLess(self.proxy.connections - before, 30)
        run.stop()

    def test_answers_after_the_time_out(self):
        """All requests run out of time, then all their answers come. Memory does not grow with what waits outside."""
        run = self.begin(port=self.proxy.port, request_timeout=f"{300 * SLOWNESS:.0f} ms", buffer_memory="1 MiB", in_flight=200)
        self.put(200, 1000)
        self.until_there(run)
        memory = self.memory_of(run)
        for times in (1, 2):
            self.proxy.silent = True
            self.put(15000 if times == 1 else 1000, 1000)
            self.until_troubled(run, times)
            self.proxy.silent = False
            self.until_over(run, times)
        self.until_there(run)
        self.assertLess(self.memory_of(run) - memory, 60 << 20)
        run.stop()

    @staticmethod
    def memory_of(run):
        with open(f"/proc/{run.pid}/status", encoding="ascii", errors="replace") as status:
            return int(re.search(r"VmHWM:\s*(\d+) kB", status.read()).group(1)) << 10


if __name__ == "__main__":
    unittest.main()
