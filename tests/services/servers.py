"""The kinds of servers there are: create one, or open the one that is in a folder."""

import json
import os

from cassandra_server import Cassandra, CassandraCluster
from kafka_server import Kafka
from server import ServerError

KINDS = {kind.kind: kind for kind in (Kafka, Cassandra, CassandraCluster)}


def create(kind, folder, owner=None, **options):
    """A new server of that kind, or the one that is in that folder already. See KINDS[kind] for the options."""
    return KINDS[kind](folder, owner, **options)


def open_server(folder):
    path = os.path.join(folder, "server.json")
    try:
        with open(path, encoding="utf-8") as file:
            kind = json.load(file)["kind"]
    except FileNotFoundError:
        raise ServerError(f"no server in {folder}: there is no {path}") from None
    return KINDS[kind](folder)
