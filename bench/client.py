"""A client of a running pipeline's socket: what src/operate/protocol.h says, in Python."""

import json
import socket
import struct

from harness import Failed

VERSION = 1
FORMAT_JSON = 1
TIMEOUT_US = 10_000_000


class Client:
    """One connection. Raises OSError where nobody listens, Failed for an error in answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(30)
            self.socket.connect(path)
            self.stream = self.socket.makefile("rb")
            kind, payload = self.receive()
        except OSError:
            self.socket.close()
            raise
        if kind != b"H" or struct.unpack_from("<I", payload)[0] != VERSION:
            raise Failed("%s does not speak version %d of the protocol" % (path, VERSION))

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, kind, payload=b""):
        self.socket.sendall(kind + struct.pack("<I", len(payload)) + payload)

    def receive(self):
        head = self.stream.read(5)
        if len(head) < 5:
            raise Failed("the pipeline has closed its socket")
        kind, length = struct.unpack("<cI", head)
        return kind, self.stream.read(length)

    def answer(self):
        """The bytes of the frames up to the last."""
        parts = []
        while True:
            kind, payload = self.receive()
            if kind == b"Z":
                return b"".join(parts)
            if kind == b"E":
                raise Failed("in answer: %s" % payload[8:].decode(errors="replace"))
            parts.append(payload)

    def ask(self, sql):
        """The rows of a query, each a dict."""
        self.send(b"Q", struct.pack("<Bq", FORMAT_JSON, TIMEOUT_US) + sql.encode())
        return [json.loads(line) for line in self.answer().splitlines()]

    def status(self):
        self.send(b"S")
        return json.loads(self.answer())
