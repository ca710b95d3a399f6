# needs: kafka
"""Three nodes, of which one is killed, restarted or stands still while rows go to two of them (LOCAL_QUORUM): nothing stops,
and nothing is lost. Only for patient ones: FRESHET_KILLS says how often, and with less than 50 nothing runs here."""

import os
import time
import unittest

import services
from cassandra_testing import CassandraCase
from freshet_testing import Case, event, line

KILLS = int(os.environ.get("FRESHET_KILLS", "10"))
TIMES = 4


@unittest.skipIf(KILLS < 50, "FRESHET_KILLS is below 50: see scripts/torture")
class ClusterTest(CassandraCase):

    @classmethod
    def setUpClass(cls):
        Case.setUpClass()

    def test_one_node_of_three(self):
        self.cassandra = services.own_cassandra(self, nodes=3, sync="batch")
        self.keyspace = self.cassandra.keyspace(replication=3)
        hosts = [f"{host}:{self.cassandra.port}" for host in self.cassandra.hosts]
        self.declare_store(store={"cassandra": self.cassandra, "host": hosts, "request_timeout": "2 seconds"}, keys="{name: id, type: bigint}",
                           features=("{name: value, type: double}",), extra="checkpoint: {interval: 100 ms}\n")
        self.until(lambda: self.freshet("apply", "events.yaml", "--yes").code == 0, "all nodes know the keyspace")
        self.write("in/a.jsonl", b"")
        run = self.start("run", "events.yaml", "--progress", "none", "--step-rows", "500")
        self.end = 0
        self.put(300)
        self.until(lambda: self.n_rows() == self.end, f"{self.end} rows", run)
        for times in range(TIMES):
            node = self.cassandra.server.nodes[times % 3]
            begin, mend = (node.kill, node.start) if times % 2 == 0 else (node.pause, node.resume)
            begin()
            for _ in range(10):
                self.put(300)
                time.sleep(0.2)
            mend()
            self.assertTrue(run.is_running(), run.err())
            self.until(lambda: self.n_rows() == self.end, f"{self.end} rows", run)
        self.assertEqual(self.dead_letters(self.pipeline), [])
        run.stop()

    def put(self, n):
        self.append("in/a.jsonl", b"".join(line(event(i)) for i in range(self.end, self.end + n)))
        self.end += n

    def n_rows(self):
        (row,) = self.cassandra.execute(f"select count(*) as n from {self.table()}")
        return row["n"]


if __name__ == "__main__":
    unittest.main()
