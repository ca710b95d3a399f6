"""What the end-to-end tests of the online store share: declarations that write to it, and what an independent
client finds in its tables.

A class of tests has a keyspace of its own in the node that all share, and each test a table, named as its
pipeline. `declare_store` is `declare` with that store as its sink; the password comes from the environment.
"""

import json
import socket
import threading
import time

import services
from freshet_testing import Case


class CassandraCase(Case):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cassandra = services.shared_cassandra()
        cls.addClassCleanup(cls.cassandra.close)
        cls.keyspace = cls.cassandra.keyspace()

    def setUp(self):
        super().setUp()
        self.pipeline = f"t{next(services.numbers)}"

    def store(self, writer="", port=None, cassandra=None, **options):
        """A sink: `writer` holds more options of `online`, as ", ttl: 1 day"; the others are of its store."""
        cassandra = cassandra or self.cassandra
        given = {"host": f"{cassandra.hosts[0]}:{port or cassandra.port}", "keyspace": self.keyspace, **options}
        return f"- online: {{cassandra: {json.dumps(given)}{writer}}}"

    def declare_store(self, name="events.yaml", *, writer="", store=None, set_extra="", more_sinks="", **declared):
        """`store`: options of the store; `set_extra`: lines of the feature set."""
        declared.setdefault("pipeline", self.pipeline)
        sink = self.store(writer, **(store or {})) + more_sinks
        path = self.path(self.declare(name, sink=sink, **declared))
        if set_extra:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            self.write(name, text.replace("  features:", set_extra + "  features:", 1))
        return name

    def apply(self, name="events.yaml"):
        return self.good("apply", name, "--yes")

    def run_once(self, name="events.yaml", *args, code=0, **named):
        finished = self.freshet("run", name, "--once", "--progress", "none", *args, **named)
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def forget_state(self, pipeline=None):
        """As if the stream had never run: it reads all from its beginning."""
        import shutil
        shutil.rmtree(self.path((pipeline or self.pipeline) + ".state"), ignore_errors=True)

    def put_records(self, records, name="in/a.jsonl"):
        self.write(name, b"".join((json.dumps(record) + "\n").encode() for record in records))

    def table(self, name=None):
        return f'{self.keyspace}."{name or self.pipeline}"'

    def rows(self, columns="*", table=None, cassandra=None):
        """All rows of the table, as dicts, in a certain order."""
        found = (cassandra or self.cassandra).execute(f"select {columns} from {self.table(table)}")
        return sorted(found, key=repr)

    def debug_rows(self, name="events.yaml", *args, pipeline=None):
        """What the debug table says is the newest row of each key, after the same run."""
        finished = self.run_once(name, "--debug", "--format", "json", *args, "--query",
                                 f"select * from online_feature_store__{pipeline or self.pipeline}_latest")
        return [json.loads(text) for text in finished.out.splitlines()]


# ---- something between a client and a server ----

class Proxy:
    """Passes connections on to a server, and can be made to treat them badly. It counts them.

        proxy = Proxy(case, ("127.0.0.1", 9042))
        proxy.delay = 0.2       what the server says comes that much later
        proxy.silent = True     the server hears everything, and its answers do not come through (nor end)
        proxy.refuses = True    new connections are closed at once
        proxy.budget = 900      each connection is cut when the server has said so many bytes; None: not
        proxy.cut()             ends the connections there are
        proxy.strand()          those there are stay open and nothing passes them any more: half open

    `wrap` makes a TLS connection of a client's: for servers that show other certificates.
    """

    def __init__(self, case, server, wrap=None):
        self.server = server
        self.wrap = wrap
        self.delay = 0.0
        self.silent = False
        self.refuses = False
        self.budget = None
        self.connections = 0
        self.pairs = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuses:
                client.close()
                continue
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        pair = {"client": client, "stranded": False}
        try:
            if self.wrap is not None:
                pair["client"] = client = self.wrap(client)
            pair["server"] = server = socket.create_connection(self.server)
        except OSError:
            client.close()
            return
        with self.lock:
            self.pairs.append(pair)
        threading.Thread(target=self.pass_on, args=(pair, server, client, True), daemon=True).start()
        self.pass_on(pair, client, server, False)

    def pass_on(self, pair, source, sink, is_answer):
        """Answers are held back each for the time that is asked for, but not one after the other."""
        left = self.budget if is_answer else None
        try:
            while data := source.recv(65536):
                if left is not None:
                    data, left = data[:left], left - len(data)
                    if left <= 0:
                        sink.sendall(data)
                        break
                if is_answer and self.delay > 0:
                    time.sleep(self.delay)
                while is_answer and self.silent and not pair["stranded"]:
                    time.sleep(0.01)
                if pair["stranded"]:
                    return
                sink.sendall(data)
        except OSError:
            pass
        if not pair["stranded"]:
            self.end(pair)

    def end(self, pair):
        with self.lock:
            if pair in self.pairs:
                self.pairs.remove(pair)
        for end in ("client", "server"):
            try:
                pair[end].shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            pair[end].close()

    def cut(self):
        for pair in list(self.pairs):
            self.end(pair)

    def strand(self):
        for pair in list(self.pairs):
            pair["stranded"] = True

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join()
        self.silent = False
        self.cut()
