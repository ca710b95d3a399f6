# needs: cassandra
"""Passwords and TLS of the online store, right and wrong: exit codes, what is said, and that no secret is in it."""

import os
import socket
import ssl
import unittest

from cassandra_testing import CassandraCase, Proxy
from freshet_testing import SLOWNESS, event, patient

SECRET = "not-the-password"


class SecurityCase(CassandraCase):

    def setUp(self):
        super().setUp()
        self.put_records([event(i) for i in range(10)])
        self.certificates = self.cassandra.environment["CASSANDRA_CERTIFICATES"]

    def certificate(self, name):
        return os.path.join(self.certificates, name)

    def make_table(self):
        self.cassandra.execute(f"create table {self.table()} (key text primary key, \"timestamp\" timestamp, id bigint, "
                               "value double)")

    def assert_silent(self, *texts):
        for text in texts:
            self.assertNotIn(SECRET, text)

    def assert_writes(self):
        self.run_once()
        self.assertEqual(len(self.rows()), 7)
        self.cassandra.execute(f"truncate {self.table()}")

    def assert_refused(self, code, *said):
        """By all who would connect, each within seconds."""
        for args in (["run", "events.yaml", "--once", "--progress", "none"], ["plan", "events.yaml"],
                     ["get", "events.yaml", "--key", "key=k1"]):
            finished = self.freshet(*args, deadline=30 * SLOWNESS)
            self.assertEqual(finished.code, code, f"{args}: {finished.err}")
            self.assertRegex(finished.err, "(?si)" + ".*".join(said))
            self.assertNotIn("-- ", finished.out)
            self.assert_silent(finished.out, finished.err)
        shown = self.freshet("show", "events.yaml")
        self.assert_silent(shown.out, shown.err)


class PasswordTest(SecurityCase):

    def test_right(self):
        self.make_table()
        self.env["STORE_PASSWORD"] = self.cassandra.environment["CASSANDRA_PASSWORD"]
        for name in ("CASSANDRA_USERNAME", "CASSANDRA_PASSWORD"):
            self.env.pop(name)
        self.declare_store(stream=False, store={"username": "cassandra", "password": "${STORE_PASSWORD}"})
        self.assert_writes()

    def test_of_the_environment(self):
        self.make_table()
        self.declare_store(stream=False)
        self.assert_writes()
        self.env["CASSANDRA_PASSWORD"] = SECRET
        self.assert_refused(78, "password are incorrect", '"username" and "password" under `cassandra`')

    def test_wrong(self):
        self.declare_store(stream=False, store={"username": "cassandra", "password": SECRET})
        self.assert_refused(78, "password are incorrect", '"username" and "password" under `cassandra`')
        self.declare_store(stream=False, store={"username": "nobody", "password": SECRET})
        self.assert_refused(78, "password are incorrect", '"username" and "password" under `cassandra`')

    def test_none(self):
        for name in ("CASSANDRA_USERNAME", "CASSANDRA_PASSWORD"):
            self.env.pop(name)
        self.declare_store(stream=False)
        self.assert_refused(78, '"username" and "password" under `cassandra`')

    def test_without_rights(self):
        """A user that may not write; the rows wait until somebody mends that."""
        self.make_table()
        user = "reader_" + self.keyspace[-20:] + self.pipeline
        self.cassandra.execute(f"create role {user} with password = '{SECRET}' and login = true")
        self.cassandra.execute(f"grant select on {self.table()} to {user}")
        self.addCleanup(self.cassandra.execute, f"drop role {user}")
        self.declare_store(store={"username": user, "password": SECRET})
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: "has no MODIFY permission" in run.err(), "it says so", run)
        self.assertEqual(self.rows(), [])
        self.cassandra.execute(f"grant modify on {self.table()} to {user}")
        self.until(lambda: len(self.rows()) == 7, "the rows are there when it may write", run)
        self.until(lambda: "the trouble is over" in run.err(), "it says so", run)
        self.assert_silent(run.stop().err)


class TlsTest(SecurityCase):

    def proxy(self, name):
        """The node, with that certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(name + ".pem"), self.certificate(name + ".key"))
        return Proxy(self, (self.cassandra.hosts[0], self.cassandra.port),
                     lambda client: context.wrap_socket(client, server_side=True))

    def declare_tls(self, port=None, **tls):
        self.declare_store(stream=False, store={"port": port or self.cassandra.port, "tls": tls,
                                                "connect_timeout": patient(5)})

    def test_right(self):
        self.make_table()
        self.declare_tls(ca=self.certificate("ca.pem"))
        self.assert_writes()
        self.declare_tls(self.proxy("right").port, ca=self.certificate("ca.pem"))
        self.assert_writes()
        self.declare_tls(self.proxy("expired").port, verify=False)
        self.assert_writes()

    def test_wrong(self):
        for name, said in (("wrong-ca", "unable to get local issuer certificate"), ("expired", "expired"),
                           ("wrong-host", "address mismatch|elsewhere.test")):
            self.declare_tls(self.proxy(name).port, ca=self.certificate("ca.pem"))
            self.assert_refused(78, f"({said})", 'see "tls" under `cassandra`')

    def test_authorities(self):
        """The system's do not know it; another does not either; a file that is not there is named."""
        self.declare_tls()
        self.assert_refused(78, 'see "tls" under `cassandra`')
        self.declare_tls(ca=self.certificate("other-ca.pem"))
        self.assert_refused(78, 'see "tls" under `cassandra`')
        self.declare_tls(ca="there-is-none.pem")
        self.assert_refused(78, "there-is-none.pem")

    def test_only_one_side(self):
        """TLS where the server has none, and none where it wants some."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        self.declare_store(stream=False, store={"port": self.proxy("right").port, "connect_timeout": "1 second", "patience": "1 second"})
        self.assert_refused(75, "cannot connect to the online store")
        self.declare_store(stream=False, store={"port": server.getsockname()[1], "connect_timeout": "1 second", "patience": "1 second",
                                                "tls": {"ca": self.certificate("ca.pem")}})
        self.assert_refused(75, "cannot connect to the online store")

    def test_nobody_there(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.declare_store(stream=False, store={"port": taken.getsockname()[1], "connect_timeout": "1 second", "patience": "1 second"})
            self.assert_refused(75, "cannot connect to the online store", "refused")


if __name__ == "__main__":
    unittest.main()
