# needs: cassandra
"""First windows come to a stream with a real Cassandra, and go again, while it is killed with kill -9 at each step: the table has, of each
key, the row of its newest event all the way, and of equal seconds that of the last to come. (pipeline/checkpoint_heirs.c; heirs_test.c
tries many more, on a client that is not real.)
"""

import json
import signal
import time
import unittest

from cassandra_testing import CassandraCase

DECLARATION = """\
version: 1
pipeline: {pipeline}
source:
  readers:
    - {{id: events, stream: true, file: {{path: in, format: json, order: name, schema: {{id: bigint, key: string, seen: bigint, value: bigint}}}}}}
  query: select * from events
feature_set:
  name: {pipeline}
  entity: key
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen, unit: s, lateness: 5 minutes}}
  features:
    - {{name: id, type: bigint}}
{features}sink:
  writers:
    {sink}
checkpoint: {{interval: 30 ms}}
"""
WINDOW = "    - {name: v, from: value, window: {functions: [count, {sum: bigint}], over: [1 minute], until_full: partial}}\n"
KEYS, BEGIN = 60, 1704067200


class HeirsTest(CassandraCase):

    def declare_it(self, features):
        self.write("heirs.yaml", DECLARATION.format(pipeline=self.pipeline, features=features, sink=self.store()))
        self.apply("heirs.yaml")

    def put_piece(self, second, n):
        """Many of a key in one second; some late."""
        at = len(self.events)
        for i in range(at, at + n):
            late = self.rng.choice((0, 0, 0, 1, self.rng.randrange(60)))
            self.events.append({"id": i, "key": f"k{self.rng.randrange(KEYS)}", "seen": BEGIN + second - late, "value": i % 7})
        self.write(f"in/{at:06}.jsonl", "".join(json.dumps(event) + "\n" for event in self.events[at:]))

    def kill_it(self, n):
        run = self.start("run", "heirs.yaml", "--progress", "none", "--step-rows", str(self.rng.choice((7, 50))))
        run.until_checkpoints(self.rng.randint(1, 3) if n > 1000 else 1, self.pipeline)
        time.sleep(self.rng.uniform(0, 0.05))  # any moment will do
        self.assertTrue(run.is_running(), run.err())
        run.signal(signal.SIGKILL)
        run.wait()

    def check_it(self):
        """All has been read."""
        self.run_once("heirs.yaml")
        newest = {}
        for event in self.events:
            if event["key"] not in newest or event["seen"] >= newest[event["key"]]["seen"]:
                newest[event["key"]] = event
        found = {row["key"]: row["id"] for row in self.rows("key, id")}
        self.assertEqual(len(found), len(newest))
        wrong = {key: (found[key], event) for key, event in newest.items() if found[key] != event["id"]}
        self.assertEqual(list(wrong.items())[:3], [], f"{len(wrong)} of {len(newest)} keys")

    def test_windows_come_and_go(self):
        """Few rows follow many of their second: who forgets how many there were loses against them in the table."""
        self.events = []
        for second, features, n, is_whole in ((0, "", 1500, True), (0, WINDOW, 100, True), (0, "", 50, False), (1, "", 1500, False),
                                              (1, WINDOW, 100, False), (1, WINDOW, 50, True), (1, "", 40, True)):
            self.declare_it(features)
            self.put_piece(second, n)
            self.kill_it(n)
            if is_whole:  # windows that were killed run once more before they go (docs/guide/evolve.md)
                self.check_it()


if __name__ == "__main__":
    unittest.main()
