"""The kinds of servers there are: create one, or open the one that is in a folder."""

import json
import os

from kafka_server import Kafka
from server import ServerError

KINDS = {"kafka": Kafka}


def create(kind, folder, owner=None, **options):
    return KINDS[kind](folder, owner, **options)


def open_server(folder):
    path = os.path.join(folder, "server.json")
    try:
        with open(path, encoding="utf-8") as file:
            kind = json.load(file)["kind"]
    except FileNotFoundError:
        raise ServerError(f"no server in {folder}: there is no {path}") from None
    return KINDS[kind](folder)
