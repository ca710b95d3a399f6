"""A Cassandra node, or several, for server.py.

Options of Cassandra(folder, owner, ...):

    auth=True           users and passwords; the superuser is cassandra, cassandra
    tls="right"         TLS for clients, by that certificate of certificates.py
    tls_optional=True   ... but who does without is served too, at the same port
    sync="batch"        keep what was acknowledged through kill -9 (with the default, periodic, the last seconds
                        of it are lost: Cassandra promises no more)
    heap_mb=1024
    properties={...}    more keys for cassandra.yaml, or others in place of ours

CassandraCluster takes nodes=3 too: nodes on 127.0.0.1, 127.0.0.2, ..., each a Cassandra in FOLDER/1, FOLDER/2,
..., which can be stopped and started one by one.

What makes it quick to start is in command() and in cassandra.yaml: nothing to wait for in gossip, one token,
no fsync of the system's own tables.
"""

import json
import math
import os
import shutil
import socket

import certificates
from server import SLOWNESS, Server, ServerError, free_port

USER = PASSWORD = "cassandra"

LOGBACK = """\
<configuration>
  <appender name="F" class="ch.qos.logback.core.FileAppender">
    <file>{log}</file>
    <encoder><pattern>%-5level [%thread] %date{{ISO8601}} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="F"/></root>
</configuration>
"""

# What Cassandra 5 reaches for inside Java 17.
EXPORTS = """
java.base/java.lang.ref java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/jdk.internal.util
java.base/sun.nio.ch java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry
java.rmi/sun.rmi.server java.rmi/sun.rmi.transport.tcp java.sql/java.sql jdk.attach/sun.tools.attach
""".split()
OPENS = """
java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.math
java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent
java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math
java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect
java.base/jdk.internal.util.jar java.base/sun.nio.ch java.rmi/sun.rmi.transport.tcp
jdk.management/com.sun.management.internal
""".split()


# How long a node works on a request before it gives it up: some times its own defaults, since beside other work it would give up requests
# with which nothing is wrong, and more on a slow machine.
PATIENCE_S = {"read_request": 20, "range_request": 40, "write_request": 10, "counter_write_request": 20, "truncate_request": 120,
              "request": 40}


def from_json(text):
    """What the text says in JSON, or else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


class Cassandra(Server):
    kind = "cassandra"

    def new_settings(self, options):
        address = options.get("address", "127.0.0.1")
        settings = {"address": address, "port": free_port(address), "storage_port": free_port(address),
                    "seed": address, "token": None, "ring_delay_ms": 100, "auth": False, "tls": None,
                    "tls_optional": False, "sync": "periodic", "heap_mb": 1024, "properties": {},
                    "certificates": self.path("certificates")}
        settings.update(options)
        return settings

    def configure(self):
        if self.settings["tls"] and not os.path.exists(self.settings["certificates"]):
            certificates.make(self.settings["certificates"])
        os.makedirs(self.path("tmp"), exist_ok=True)
        self.write("conf/cassandra.yaml", json.dumps(self.yaml(), indent=4) + "\n")  # JSON is YAML
        self.write("conf/logback.xml", LOGBACK.format(log=self.log()))

    def yaml(self):
        settings = self.settings
        yaml = {
            "cluster_name": "freshet",
            "num_tokens": 1,
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "dynamic_snitch": False,
            "listen_address": settings["address"],
            "rpc_address": settings["address"],
            "storage_port": settings["storage_port"],
            "native_transport_port": settings["port"],
            "start_native_transport": True,
            "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                               "parameters": [{"seeds": settings["seed"]}]}],
            "authenticator": "PasswordAuthenticator" if settings["auth"] else "AllowAllAuthenticator",
            "authorizer": "CassandraAuthorizer" if settings["auth"] else "AllowAllAuthorizer",
            "role_manager": "CassandraRoleManager",
            "data_file_directories": [self.path("data", "data")],
            "commitlog_directory": self.path("data", "commitlog"),
            "saved_caches_directory": self.path("data", "saved_caches"),
            "hints_directory": self.path("data", "hints"),
            "cdc_raw_directory": self.path("data", "cdc_raw"),
            "commitlog_sync": settings["sync"],
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "memtable_heap_space": "128MiB",
            "memtable_offheap_space": "128MiB",
            "memtable_allocation_type": "heap_buffers",
            "concurrent_reads": 8,
            "concurrent_writes": 16,
            "concurrent_counter_writes": 8,
            "concurrent_compactors": 1,
            "file_cache_size": "64MiB",
            "key_cache_size": "8MiB",
            "hinted_handoff_enabled": True,
        }
        for what, usual_s in PATIENCE_S.items():
            yaml[what + "_timeout"] = f"{math.ceil(usual_s * SLOWNESS)}s"
        if settings["token"] is not None:
            yaml["initial_token"] = str(settings["token"])
        if settings["sync"] == "periodic":
            yaml["commitlog_sync_period"] = "10000ms"
        if settings["tls"]:
            yaml["client_encryption_options"] = {
                "enabled": True,
                "optional": settings["tls_optional"],
                "keystore": os.path.join(settings["certificates"], settings["tls"] + ".p12"),
                "keystore_password": certificates.PASSWORD,
                "store_type": "PKCS12",
                "require_client_auth": False,
            }
        for key, value in settings["properties"].items():
            yaml[key] = from_json(value) if isinstance(value, str) else value
        return yaml

    def command(self):
        jamm, = (jar for jar in self.class_path().split(":") if os.path.basename(jar).startswith("jamm-"))
        modules = []
        for name in EXPORTS:
            modules += ["--add-exports", name + "=ALL-UNNAMED"]
        for name in OPENS:
            modules += ["--add-opens", name + "=ALL-UNNAMED"]
        properties = {
            "java.awt.headless": "true",
            "java.io.tmpdir": self.path("tmp"),
            "jna.nosys": "true",
            "io.netty.tryReflectionSetAccessible": "true",
            "logback.configurationFile": self.path("conf", "logback.xml"),
            "cassandra.config": "file://" + self.path("conf", "cassandra.yaml"),
            "cassandra.storagedir": self.path("data"),
            "cassandra.logdir": self.folder,
            "cassandra-foreground": "yes",
            "cassandra.auth_bcrypt_gensalt_log2_rounds": "4",
            "cassandra.load_ring_state": "true",
            "cassandra.memtable_row_overhead_computation_step": "100",
            "cassandra.ring_delay_ms": str(self.settings["ring_delay_ms"]),
            "cassandra.skip_sync": "true",
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.superuser_setup_delay_ms": "0",
        }
        return [f"-Xms{min(256, self.settings['heap_mb'])}m", f"-Xmx{self.settings['heap_mb']}m",
                "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=512m", "-Xss384k", "-XX:-UsePerfData",
                "-javaagent:" + jamm, *modules, *(f"-D{k}={v}" for k, v in properties.items()),
                "org.apache.cassandra.service.CassandraDaemon"]

    def log(self):
        return self.path("system.log")

    def is_ready(self):
        """It listens, and the superuser is there (made at the first start, by the cluster's first node)."""
        first = not os.path.exists(self.log() + ".before") and self.settings["address"] == self.settings["seed"]
        if first and self.settings["auth"] and "Created default superuser" not in self.read_log():
            return False
        with socket.socket() as probe:
            return probe.connect_ex((self.settings["address"], self.settings["port"])) == 0

    def environment(self):
        """CASSANDRA_HOST, CASSANDRA_PORT, CASSANDRA_LOCAL_DC; with auth CASSANDRA_USERNAME and CASSANDRA_PASSWORD;
        with TLS CASSANDRA_CERTIFICATES, the folder that certificates.py describes."""
        found = {"CASSANDRA_HOST": self.settings["address"], "CASSANDRA_PORT": str(self.settings["port"]),
                 "CASSANDRA_LOCAL_DC": "datacenter1"}
        if self.settings["auth"]:
            found.update(CASSANDRA_USERNAME=USER, CASSANDRA_PASSWORD=PASSWORD)
        if self.settings["tls"]:
            found.update(CASSANDRA_CERTIFICATES=self.settings["certificates"])
        return found


class CassandraCluster:
    """Several nodes, with the calls of a Server."""

    kind = "cassandra-cluster"

    def __init__(self, folder, owner=None, nodes=3, **options):
        self.folder = os.path.abspath(folder)
        self.description = os.path.join(self.folder, "server.json")
        if os.path.exists(self.description):
            with open(self.description, encoding="utf-8") as file:
                nodes = json.load(file)["nodes"]
            self.nodes = [Cassandra(os.path.join(self.folder, str(i + 1))) for i in range(nodes)]
            gone = [node.folder for node in self.nodes if node.settings is None]
            if gone:
                raise ServerError(f"{self.folder} is what remains of a cluster: there is no server in {gone[0]}")
            return
        if not 1 <= nodes <= 3:
            raise ServerError(f"{nodes} nodes of cassandra: only 1 to 3 are possible")
        options.update(port=free_port("0.0.0.0"), storage_port=free_port("0.0.0.0"), seed="127.0.0.1",
                       ring_delay_ms=2000, certificates=os.path.join(self.folder, "certificates"), whole=self.folder)
        self.nodes = [Cassandra(os.path.join(self.folder, str(i + 1)), owner, address=f"127.0.0.{i + 1}",
                                token=-2**63 + i * 2**64 // nodes, **options) for i in range(nodes)]

    def up(self):
        for node in self.nodes:
            node.up()
        with open(self.description, "w", encoding="utf-8") as file:
            json.dump({"kind": self.kind, "nodes": len(self.nodes)}, file)
        return self.environment()

    def start(self):
        for node in self.nodes:
            node.start()

    def stop(self):
        for node in self.nodes:
            node.stop()

    def kill(self):
        for node in self.nodes:
            node.kill()

    def pause(self):
        for node in self.nodes:
            node.pause()

    def resume(self):
        for node in self.nodes:
            node.resume()

    def down(self):
        for node in self.nodes:
            node.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """As of a node, but CASSANDRA_HOST names all of them, with commas between."""
        hosts = ",".join(node.settings["address"] for node in self.nodes)
        return {**self.nodes[0].environment(), "CASSANDRA_HOST": hosts}
