# needs: cassandra
"""The real Cassandra that tests get: the shared node, with a password and with TLS for who wants it, and one of a
test's own that is killed and started again."""

import unittest

from cassandra.cluster import NoHostAvailable

import services
from freshet_testing import Case


class SharedTest(Case):
    def setUp(self):
        super().setUp()
        self.cassandra = services.shared_cassandra()
        self.addCleanup(self.cassandra.close)

    def test_rows_come_back(self):
        table = self.cassandra.keyspace() + ".users"
        self.cassandra.execute(f"create table {table} (id int primary key, name text, n double)")
        for i in range(100):
            self.cassandra.execute(f"insert into {table} (id, name, n) values (%s, %s, %s)", (i, f"user {i}", i / 4))
        self.cassandra.execute(f"update {table} using timestamp 1 set name = 'older' where id = 7")
        rows = self.cassandra.execute(f"select * from {table}")
        self.assertEqual(sorted(rows, key=lambda row: row["id"]),
                         [{"id": i, "name": f"user {i}", "n": i / 4} for i in range(100)])

    def test_password(self):
        with self.assertRaises(NoHostAvailable) as caught:
            self.cassandra.connect("cassandra", "wrong")
        self.assertIn("Bad credentials", str(caught.exception))

    def test_tls(self):
        rows = list(self.cassandra.connect(ca="ca.pem").execute("select key from system.local"))
        self.assertEqual(rows, [{"key": "local"}])
        with self.assertRaises(NoHostAvailable) as caught:
            self.cassandra.connect(ca="other-ca.pem")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", str(caught.exception))


class OwnTest(Case):
    def test_life(self):
        """Also that sync=batch keeps, and that the certificate is the one asked for."""
        cassandra = services.own_cassandra(self, sync="batch", tls="expired", tls_optional=True)
        with self.assertRaises(NoHostAvailable) as caught:
            cassandra.connect(ca="ca.pem")
        self.assertIn("expired", str(caught.exception))
        table = cassandra.keyspace() + ".t"
        cassandra.execute(f"create table {table} (id int primary key)")
        for i in range(50):
            cassandra.execute(f"insert into {table} (id) values (%s)", (i,))
        cassandra.server.kill()
        cassandra.close()
        cassandra.server.start()
        rows = cassandra.execute(f"select id from {table}")
        self.assertEqual(sorted(row["id"] for row in rows), list(range(50)))


if __name__ == "__main__":
    unittest.main()
