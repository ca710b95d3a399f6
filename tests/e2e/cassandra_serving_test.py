# needs: cassandra
"""Feature vectors from a real Cassandra: of keys that memory does not hold, and by `freshet serve`, which runs no stream."""

import json
import unittest

from cassandra_testing import CassandraCase
from freshet_testing import event, line, lines
from http_testing import Site
from serving_testing import post, values, vectors

KEYS = [f"k{i}" for i in range(7)]
T0 = "1970-01-01T00:00:00Z"


class CassandraServingTest(CassandraCase):

    def serve(self, *args):
        process = self.start("serve", *args)
        site = Site(self, process)
        self.until(lambda: site.ask("/ready").status == 200, "it has the store", process)
        return process, site

    def test_without_a_stream(self):
        features = ("{name: id, type: bigint}", "{name: value, type: float}", "{name: seen2, type: timestamp, from: seen}")
        self.declare_store(extra="http: 127.0.0.1:0\nserve: {max_age: 36500 days}\n", features=features)
        self.apply()
        self.write("in/a.jsonl", lines(0, 70))
        self.run_once()
        process, site = self.serve("events.yaml")
        name = self.pipeline
        found = vectors(site, [f"{name}:id", f"{name}:value", f"{name}:seen2"], {"key": ["k3", "none", "k0"]})
        at = [event(i)["seen"] for i in (66, 63)]
        self.assertEqual(found["id"], [(66, "PRESENT", at[0]), (None, "NOT_FOUND", T0), (63, "PRESENT", at[1])])
        self.assertEqual([value for value, _, _ in found["value"]], [16.5, None, 15.75])
        self.assertEqual(values(site, [f"{name}:seen2"], {"key": ["k0"]}), [1704067200 + 63])
        self.assertEqual(values(site, [f"{name}:id"], {"key": KEYS * 100}), list(range(63, 70)) * 100)
        self.assertEqual(json.loads(site.ask("/status").text)["ready"], True)
        self.assertEqual(site.ask("/ready").text, "ready\n")
        process.stop()

    def test_several_sets(self):
        first, second = self.pipeline, self.pipeline + "b"
        self.declare_store("a.yaml", extra="http: 127.0.0.1:0\n")
        self.declare_store("b.yaml", pipeline=second, keys="{name: id, type: bigint}, {name: key, type: string}",
                           features=("{name: value, type: double}",))
        self.write("in/a.jsonl", lines(0, 70))
        for file in ("a.yaml", "b.yaml"):
            self.apply(file)
            self.run_once(file)
        process, site = self.serve("a.yaml", "--with", "b.yaml")
        found = vectors(site, [f"{first}:value", f"{second}:value"], {"key": ["k1", "k2"], "id": [1, 3]}, full=True)
        self.assertEqual([value for value, _, _ in found[f"{first}__value"]], [16, 16.25])
        self.assertEqual([tuple(cell[:2]) for cell in found[f"{second}__value"]], [(0.25, "PRESENT"), (None, "NOT_FOUND")])
        process.stop()
        twice = self.freshet("serve", "a.yaml", "--with", "a.yaml")
        self.assertEqual(twice.code, 2)
        self.assertIn("is served by another of the files already", twice.err)
        nowhere = self.freshet("serve", "b.yaml")
        self.assertIn("--http 127.0.0.1:8080", nowhere.err)

    def test_behind_a_stream(self):
        """Memory has room for some keys: the others come from the store, whichever these are."""
        self.declare_store(extra="http: 127.0.0.1:0\nserve: {memory: 1 MiB}\ncheckpoint: {interval: 100 ms}\n")
        self.apply()
        run = self.start("run", "events.yaml", "--progress", "none")
        site = Site(self, run)
        name, n = self.pipeline, 30000
        for begin in range(0, n, 3000):
            self.append("in/a.jsonl", b"".join(line(event(i, n)) for i in range(begin, begin + 3000)))
            self.until(lambda: values(site, [f"{name}:id"], {"key": [f"k{begin + 2999}"]}) == [begin + 2999], "the row", run)
        self.until(lambda: json.loads(site.ask("/status").text)["writers"][0]["written"] >= n, "all are stored", run)
        keys = list(range(0, n, 77))
        self.until(lambda: values(site, [f"{name}:id"], {"key": [f"k{i}" for i in keys]}) == keys, "all keys", run)
        run.stop()
        run = self.start("run", "events.yaml", "--progress", "none")  # with nothing in memory
        site = Site(self, run)
        self.until(lambda: post(site, {"features": [f"{name}:id"], "entities": {"key": ["k5"]}}).status == 200, "the store", run)
        self.assertEqual(values(site, [f"{name}:id"], {"key": [f"k{i}" for i in keys]}), keys)
        run.stop()

    def test_without_the_store(self):
        """What is in memory is served all the same; what is not is an error that says so, at once."""
        self.declare_store(extra="http: 127.0.0.1:0\nserve: {}\n", store={"port": 1})
        self.write("in/a.jsonl", lines(0, 7))
        run = self.start("run", "events.yaml", "--progress", "none")
        site = Site(self, run)
        self.until(lambda: post(site, {"features": [f"{self.pipeline}:id"], "entities": {"key": ["k5"]}}).status == 200,
                   "the row is served", run)
        told = post(site, {"features": [f"{self.pipeline}:id"], "entities": {"key": ["k5", "other"]}})
        self.assertEqual(told.status, 503)
        self.assertIn("not in memory, and cannot be looked up", told.text)
        self.assertEqual(site.ask("/live").status, 200)
        run.signal(15)
        self.assertEqual(run.wait().code, 75)
        process = self.start("serve", "events.yaml")
        site = Site(self, process)
        self.until(lambda: site.ask("/ready").status == 503, "it is not ready", process)
        self.assertEqual(post(site, {"features": [f"{self.pipeline}:id"], "entities": {"key": ["k5"]}}).status, 503)
        process.stop()


if __name__ == "__main__":
    unittest.main()
