"""Asking for feature vectors as a model does: POST /get-online-features, and its answer by key and name."""

import contextlib
import json

from http_testing import Told


def post(site, body, path="/get-online-features", **headers):
    """The answer to a body: bytes, or what becomes JSON."""
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    with contextlib.closing(site.connection()) as connection:
        connection.request("POST", path, given, {"Content-Type": "application/json", **headers})
        return Told(connection.getresponse())


def vectors(site, features, entities, full=False, **headers):
    """{name: [(value, status, time) of each row]}"""
    told = post(site, {"features": features, "entities": entities, "full_feature_names": full}, **headers)
    assert told.status == 200, told.text
    answer = json.loads(told.text)
    return {name: list(zip(result["values"], result["statuses"], result["event_timestamps"]))
            for name, result in zip(answer["metadata"]["feature_names"], answer["results"])}


def values(site, features, entities):
    """The values of the last of the features."""
    return [value for value, _, _ in list(vectors(site, features, entities).values())[-1]]
