"""Feast's own client (the remote online store of feast 0.67) reads what a stream serves."""

import json
import os
import subprocess
import unittest

from freshet_testing import DEADLINE, SOURCE, Case, line, lines
from http_testing import Site

PYTHON = os.path.join(os.environ.get("FRESHET_DEPS", os.path.join(SOURCE, ".deps")), "bench", "feast-python", "bin", "python3")
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "feast_client.py")
PRESENT, NOT_FOUND, OUTSIDE_MAX_AGE = 1, 3, 4  # FieldStatus of Feast, by its protobuf


@unittest.skipUnless(os.path.exists(PYTHON), "Feast is not installed (500 MB): scripts/setup peers does it")
class FeastTest(Case):

    def client(self, site, **task):
        """What the client says: a process of its own, for it takes long to import."""
        folder = self.path(f"feast{next(self.numbers)}")
        os.makedirs(folder)
        url = f"{site.scheme}://{site.host}:{site.port}"
        done = subprocess.run([PYTHON, CLIENT, url, folder], input=json.dumps(task), capture_output=True, text=True, check=False,
                              timeout=DEADLINE * 4, env=dict(os.environ, HOME=self.path("home"), PYTHONPATH=""))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_set_with_one_key(self):
        self.declare(extra="http: 127.0.0.1:0\nserve: {}\n", features=(
            "{name: id, type: bigint}", "{name: value, type: double}", "{name: small, type: float, sql: value / 3}",
            "{name: even, type: boolean, sql: id % 2 = 0}", "{name: name, type: string, sql: 'concat(key, chr(34), id)'}",
            "{name: list, type: 'array<bigint>', sql: '[id, id + 1]'}", "{name: none, type: double, sql: 'nullif(value, value)'}"))
        self.write("in/a.jsonl", lines(0, 14) + line({"id": 2**53 + 1, "key": "k0", "seen": "2024-01-01T00:01:00Z", "value": 0.1}))
        run = self.start("run", "events.yaml", "--progress", "none")
        site = Site(self, run)
        self.until(lambda: json.loads(site.ask("/status").text)["rows_read"] == 15, "all rows", run)
        kinds = {"id": "bigint", "value": "double", "small": "float", "even": "boolean", "name": "string",
                 "list": "array<bigint>", "none": "double"}
        told = self.client(site, set="events", keys={"key": "string"}, features=kinds, ask=list(kinds),
                           entities={"key": ["k0", "k3", "nobody"]})
        self.assertEqual(told.get("error"), None)
        got = told["values"]
        self.assertEqual(got["key"], ["k0", "k3", "nobody"])
        self.assertEqual(got["id"], [2**53 + 1, 10, None])
        self.assertEqual(got["value"], [0.1, 2.5, None])
        self.assertEqual(got["even"], [False, True, None])
        self.assertEqual(got["name"], [f'k0"{2**53 + 1}', 'k3"10', None])
        self.assertEqual(got["list"], [[2**53 + 1, 2**53 + 2], [10, 11], None])
        self.assertEqual(got["none"], [None, None, None])
        self.assertAlmostEqual(got["small"][1], 2.5 / 3, places=6)
        self.assertEqual(told["statuses"][-1][:2], [PRESENT, PRESENT])
        self.assertNotEqual(told["statuses"][-1][2], PRESENT)
        full = self.client(site, set="events", keys={"key": "string"}, features=kinds, ask=["id"], full=True,
                           entities={"key": ["k3"]})
        self.assertEqual(full["values"], {"key": ["k3"], "events__id": [10]})
        run.stop()

    def test_joint_keys_and_mistakes(self):
        self.declare(extra="http: 127.0.0.1:0\nserve: {}\n", keys="{name: key, type: string}, {name: id, type: bigint}",
                     features=("{name: value, type: double}",))
        self.write("in/a.jsonl", lines(0, 14))
        run = self.start("run", "events.yaml", "--progress", "none")
        site = Site(self, run)
        self.until(lambda: json.loads(site.ask("/status").text)["rows_read"] == 14, "all rows", run)
        task = {"set": "events", "keys": {"key": "string", "id": "bigint"}, "features": {"value": "double", "gone": "double"}}
        told = self.client(site, **task, ask=["value"], entities={"key": ["k1", "k2", "k2"], "id": [8, 9, 8]})
        self.assertEqual(told.get("error"), None)
        self.assertEqual(told["values"]["value"], [2.0, 2.25, None])
        self.assertIn("serves no feature", self.client(site, **task, ask=["gone"], entities={"key": ["k1"], "id": [8]})["error"])
        self.assertIn("name the features instead",
                      self.client(site, **task, service=True, entities={"key": ["k1"], "id": [8]})["error"])
        run.stop()


if __name__ == "__main__":
    unittest.main()
