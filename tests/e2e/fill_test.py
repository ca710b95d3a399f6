"""`freshet state fill`: windows that a changed declaration left half empty are filled with the past, and are then those of a run
over all data."""

import json
import os
import random
import shutil
import signal
import unittest

from freshet_testing import SEED, Case

TEXT = """version: 1
pipeline: fill
source:
  readers:
    - id: ev
      stream: true
      file: {{path: "{path}", format: json, order: name, schema: {{id: bigint, user: bigint, ts: bigint, amount: double, name: string}}}}
{reader}  query: select * from ev
feature_set:
  name: fill
  entity: user
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: ts, unit: s, lateness: {lateness}}}
  features:
    - {{name: id, type: bigint}}
{features}{more}sink:
  writers:
    - jsonl: {{path: {out}}}
checkpoint: {{interval: 100 milliseconds}}
"""

SPEND = "    - {name: spend, from: amount, window: {functions: [sum, count], over: [1 hour]}}\n"
LONGER = "    - {name: spend, from: amount, window: {functions: [sum, count], over: [1 hour, 3 hours]}}\n"
NAMES = "    - {name: names, from: name, window: {functions: [approx_count_distinct, last, min], over: [2 hours]}}\n"
MEDIAN = "    - {name: middle, from: amount, window: {functions: [median], over: [90 minutes]}}\n"
ROWS = "    - {name: recent, from: name, window: {functions: [first, count], over: [7 events], mode: row_windows}}\n"
PLAIN = "    - {name: amount, type: double}\n"
BEGIN = 1704067200


def line(event):
    return json.dumps(dict(zip(("id", "user", "ts", "amount", "name"), event))) + "\n"


class FillTest(Case):

    def declare_it(self, features, *, name="fill.yaml", path="in/*.jsonl", out="out.jsonl", lateness="10 minutes", reader="", more=""):
        self.write(name, TEXT.format(features=features, path=path, out=out, lateness=lateness, reader=reader, more=more))

    def events(self, rng, n, users=6):
        """Of some hours; some come late, some twice in a second, some have no value."""
        events, second = [], BEGIN
        for i in range(n):
            second += rng.choice((0, 0, 1, 7, 60, 200))
            late = rng.randrange(500) if rng.random() < 0.2 else 0
            events.append((i, rng.randrange(users), second - late, rng.choice((None, rng.randrange(9) + 0.5)),
                           rng.choice((None, "a", "b", "cc", "d" * rng.randrange(1, 30)))))
        return events

    def put(self, name, events):
        self.write(name, "".join(map(line, events)))

    def run_once(self, file="fill.yaml", *args):
        return self.good("run", file, "--once", "--progress", "none", *args)

    def last_rows(self, out, ids):
        """The last that was given for each event."""
        rows = {row["id"]: row for row in self.read_lines(out)}
        return {i: rows.get(i) for i in ids}

    def twin(self, features, events, **named):
        self.put("twin/1.jsonl", events)
        self.declare_it(features, name="twin.yaml", path="twin/*.jsonl", out="twin.jsonl", **named)
        self.run_once("twin.yaml", "--state", "twin.state")

    def forget(self):
        for name in os.listdir(self.folder):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def try_it(self, old, new, seed, n=400):
        """Evolves in the middle, fills a little later, and compares what comes then."""
        rng = random.Random(seed)
        events = self.events(rng, n)
        changed, filled = n // 2 + rng.randrange(20), n // 2 + 40 + rng.randrange(20)
        self.put("in/1.jsonl", events[:changed])
        self.declare_it(old)
        self.run_once()
        self.put("in/2.jsonl", events[changed:filled])
        self.declare_it(new)
        self.run_once()
        said = self.good("plan", "fill.yaml")
        self.assertIn("fills from", said)
        self.put("past.jsonl", events[:changed])
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.assertTrue(os.path.exists(self.path("fill.state.fill")))
        self.put("in/3.jsonl", events[filled:])
        self.run_once()
        self.assertFalse(os.path.exists(self.path("fill.state.fill")))
        self.twin(new, events)
        ids = [event[0] for event in events[filled:]]
        self.assertEqual(self.last_rows("out.jsonl", ids), self.last_rows("twin.jsonl", ids), f"seed {seed}")
        said = self.good("plan", "fill.yaml")
        self.assertIn("filled with the past", said)
        self.assertNotIn("keys, of which the past was another", said)
        self.assertNotIn("fills from", said)

    def test_twin(self):
        pairs = ((SPEND, SPEND + NAMES), (SPEND, LONGER), (PLAIN, PLAIN + SPEND + NAMES), (NAMES, LONGER + MEDIAN + ROWS),
                 (SPEND, LONGER + NAMES), (SPEND + ROWS, MEDIAN + ROWS + NAMES + LONGER))
        for i, (old, new) in enumerate(pairs):
            with self.subTest(i):
                self.forget()
                self.try_it(old, new, f"{SEED}{i}")


if __name__ == "__main__":
    unittest.main()
