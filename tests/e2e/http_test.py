"""A run answers by HTTP: `http:` of the declaration, `freshet run --http`; who is let in; clients that are slow or many."""

import contextlib
import json
import resource
import shutil
import socket
import subprocess
import time
import unittest

from freshet_testing import DEADLINE, NOT_READY, SLOWNESS, Case, lines
from http_testing import Site

FREE = "--http=127.0.0.1:0"


def more_files():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class HttpTest(Case):

    def site(self, *args, file="events.yaml", **named):
        run = self.start("run", file, "--progress", "none", *args, **named)
        return run, Site(self, run)

    def rows(self, site):
        return json.loads(site.ask("/status").text)["rows_read"]

    def test_what_is_answered(self):
        self.declare(extra="http: 127.0.0.1:0\n")
        self.write("in/a.jsonl", lines(0, 70))
        run, site = self.site()
        self.until(lambda: self.rows(site) == 70, "70 rows", run)
        self.assertEqual((site.ask("/live").status, site.ask("/live").text), (200, "live\n"))
        self.assertEqual((site.ask("/ready").status, site.ask("/ready").text), (200, "ready\n"))
        told, printed = json.loads(site.ask("/status").text), json.loads(self.good("status", "--pipeline", "events"))
        del told["uptime_s"], printed["uptime_s"]
        self.assertEqual(told, printed)
        self.assertEqual(site.ask("/nothing").status, 404)
        refused = site.ask("/status", "POST")
        self.assertEqual((refused.status, refused.headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(site.ask("/status", Host="shop.example").status, 421)
        self.assertEqual(site.ask("/live", X="x" * 20000).status, 431)
        with contextlib.closing(site.connection()) as connection:  # which stays
            for _ in range(3):
                connection.request("GET", "/live")
                self.assertEqual(connection.getresponse().read(), b"live\n")
        run.stop()

    def test_off_by_default(self):
        self.declare()
        self.write("in/a.jsonl", lines(0, 7))
        run = self.start_run("events.yaml", "--progress", "none")
        self.assertNotIn("HTTP", run.err())
        run.stop()
        self.declare(extra="http: 127.0.0.1:0\n")
        self.assertNotIn("HTTP", self.freshet("run", "events.yaml", "--once", "--no-serve").err)
        self.assertIn("answering by HTTP", self.freshet("run", "events.yaml", "--once").err)

    def test_not_ready(self):
        self.write("orders.yaml", NOT_READY)
        run, site = self.site(FREE, file="orders.yaml")
        told = self.until(lambda: next((told for told in [site.ask("/ready")] if told.status == 503), None), "not ready", run)
        self.assertIn("127.0.0.1:1", told.text)
        self.assertEqual(site.ask("/live").status, 200)
        run.stop()

    def test_token(self):
        self.declare(extra='http: {listen: "127.0.0.1:0", token: "${SECRET}"}\n')
        self.assertIn('token: "***"', self.good("show", "events.yaml", env=dict(self.env, SECRET="hush-hush")))
        run, site = self.site(env=dict(self.env, SECRET="hush-hush"))
        self.assertEqual([site.ask(path).status for path in ("/live", "/ready", "/status", "/x")], [200, 200, 401, 401])
        self.assertEqual(site.ask("/status", Authorization="Bearer hush-hus").status, 401)
        self.assertEqual(site.ask("/status", Authorization="Bearer hush-hush").status, 200)
        self.assertEqual(site.ask("/status", Authorization="Bearer hush-hush", Host="shop.example").status, 200)
        self.assertNotIn("hush", run.stop().err)

    @unittest.skipIf(shutil.which("openssl") is None, "no openssl to make a certificate")
    def test_tls(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")],
                       check=True, capture_output=True)
        self.declare(extra='http: {listen: "127.0.0.1:0", tls: {cert: cert.pem, key: key.pem}}\n')
        run, site = self.site()
        self.assertEqual(site.scheme, "https")
        self.assertEqual(site.ask("/live").text, "live\n")
        with site.socket() as plain:
            plain.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                self.assertNotIn(b"live", plain.recv(1000))
        run.stop()
        self.declare(extra='http: {listen: "127.0.0.1:0", tls: {cert: key.pem, key: cert.pem}}\n')
        failed = self.freshet("run", "events.yaml")
        self.assertEqual(failed.code, 1)
        self.assertRegex(failed.err, r"events.yaml:\d+:\d+: .*both must be PEM")

    def test_what_cannot_be(self):
        for block, said in (('0.0.0.0:80', r'12:7: error: "listen" is 0.0.0.0:80, where other machines can ask, too: write a `token`'),
                            ('example.com:80', r'12:7: error: "listen" cannot be "example.com:80": the host must be'),
                            ('{listen: "[::1]"}', r'12:16: error: "listen" cannot be "\[::1\]": the'),
                            ('{token: "a b"}', r'12:15: error: "token" must be'),
                            ('{tls: {cert: a}}', r'"key"')):
            self.declare(extra=f"http: {block}\n")
            with self.subTest(block):
                checked = self.freshet("check", "events.yaml")
                self.assertEqual(checked.code, 78, checked.err)
                self.assertRegex(checked.err.replace(f"{self.http_line()}:", "12:"), said)
        self.declare()
        for given, said in (("0.0.0.0:80", "declare a token"), ("80", "it must be HOST:PORT")):
            failed = self.freshet("run", "events.yaml", "--http", given)
            self.assertEqual(failed.code, 2)
            self.assertIn("--http: ", failed.err)
            self.assertIn(said, failed.err)

    def http_line(self):
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            return next(n for n, text in enumerate(file, 1) if text.startswith("http:"))

    def test_address_in_use(self):
        self.declare()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            failed = self.freshet("run", "events.yaml", "--http", f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual(failed.code, 1)
        self.assertIn("the port is in use already", failed.err)

    def test_slow_clients(self):
        """200 of them, each in the middle of a request or of an answer: rows go on, others are answered, and the end comes."""
        more_files()
        self.declare()
        run, site = self.site(FREE, preexec=more_files)
        with contextlib.ExitStack() as clients:
            for i in range(200):
                client = clients.enter_context(site.socket())
                client.sendall(b"GET /status HTTP/1.1\r\n" if i % 2 else b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for n in range(1, 6):
                self.append("in/a.jsonl", lines(100 * n - 100, 100 * n))
                self.until(lambda: self.rows(site) == 100 * n, "rows go on", run)
            began = time.monotonic()
            run.stop()
            self.assertLess(time.monotonic() - began, min(1 * SLOWNESS, DEADLINE))

    def test_places_come_back(self):
        """More silent clients than there are places."""
        more_files()
        self.declare()
        run, site = self.site(FREE, preexec=more_files)
        with contextlib.ExitStack() as clients:
            for _ in range(300):
                clients.enter_context(site.socket())
            self.assertEqual(site.ask("/live").status, 200)
        run.stop()


if __name__ == "__main__":
    unittest.main()
