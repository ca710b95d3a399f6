"""Asking a run by HTTP: where it listens, and what it answers."""

import contextlib
import http.client
import re
import socket
import ssl

from freshet_testing import DEADLINE

LISTENS = re.compile(r"answering by HTTP at (https?)://([\d.]+|\[[\d:a-f]+\]):(\d+)")


class Told:
    """An answer: its status, headers and text."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()


class Site:
    """Where a process answers, once its log says so."""

    def __init__(self, case, process):
        self.scheme, host, port = case.until(lambda: LISTENS.search(process.err()), "it answers by HTTP", process).groups()
        self.host, self.port = host.strip("[]"), int(port)

    def connection(self):
        if self.scheme == "http":
            return http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self.host, self.port, timeout=DEADLINE, context=context)

    def ask(self, path, method="GET", **headers):
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            return Told(connection.getresponse())

    def socket(self):
        return socket.create_connection((self.host, self.port), timeout=DEADLINE)
