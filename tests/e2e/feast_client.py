"""What Feast's own client gets from a server: run by the Python that has feast (scripts/setup), with the server's URL, a folder
and a task as JSON on stdin; prints what came as JSON, or the error.

The task: {"set": name, "keys": {name: type}, "features": {name: type}, "ask": [names], "entities": {name: [value]}, "full": false,
"service": false}.
"""
import json
import logging
import os
import sys
from datetime import timedelta

os.environ["FEAST_USAGE"] = "False"
logging.disable(logging.CRITICAL)

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig  # noqa: E402
from feast import types  # noqa: E402
from feast.value_type import ValueType  # noqa: E402

KEYS = {"string": ValueType.STRING, "bigint": ValueType.INT64}
TYPES = {"string": types.String, "bigint": types.Int64, "double": types.Float64, "float": types.Float32, "boolean": types.Bool,
         "array<bigint>": types.Array(types.Int64), "array<double>": types.Array(types.Float64),
         "timestamp": types.UnixTimestamp, "binary": types.Bytes}


def store_of(url, folder, task):
    config = RepoConfig(project="shop", provider="local", registry=os.path.join(folder, "registry.db"), offline_store="dask",
                        online_store={"type": "remote", "path": url, "connection_retries": 0}, entity_key_serialization_version=3)
    store = FeatureStore(config=config)
    entities = [Entity(name=name, join_keys=[name], value_type=KEYS[kind]) for name, kind in task["keys"].items()]
    fields = [Field(name=name, dtype=TYPES[kind]) for name, kind in {**task["keys"], **task["features"]}.items()]
    view = FeatureView(name=task["set"], entities=entities, ttl=timedelta(days=1), schema=fields,
                       source=FileSource(path=os.path.join(folder, "none.parquet"), timestamp_field="at"))
    service = FeatureService(name="all", features=[view])
    store.apply([*entities, view, service])
    return store, service


def main():
    url, folder = sys.argv[1:]
    task = json.load(sys.stdin)
    store, service = store_of(url, folder, task)
    features = service if task.get("service") else [f"{task['set']}:{name}" for name in task["ask"]]
    names = list(task["entities"])
    rows = [dict(zip(names, row)) for row in zip(*task["entities"].values())]
    try:
        answer = store.get_online_features(features=features, entity_rows=rows, full_feature_names=task.get("full", False))
        result = {"values": answer.to_dict(), "statuses": [[int(status) for status in result.statuses]
                                                          for result in answer.proto.results]}
    except Exception as error:  # pylint: disable=broad-exception-caught
        result = {"error": f"{type(error).__name__}: {error}"}
    json.dump(result, sys.stdout, default=repr)


main()
