"""State beyond memory: with next to none the rows are those of a run that holds everything, in every cell, through kills; shares."""

import collections
import json
import os
import shutil
import unittest

from freshet_testing import Case

EVENTS = 30_000

DECLARATION = """\
version: 1
pipeline: many
source:
  readers:
    - id: events
      stream: true
      file: {{path: "in/*.jsonl", format: json, schema: {{id: bigint, ev: string, ts: timestamp, amount: double}}}}
  query: select id, ev, ts, amount from events
feature_set:
  name: many
  entity: keys
  keys:
    - {{name: id, type: bigint}}
  timestamp: {{from: ts, lateness: 30 seconds}}
{features}
sink:
  writers:
    - history: {{path: out, corrections: {corrections}}}
checkpoint: {{interval: 100 ms}}
state: {{memory: {memory}}}
"""

DEDUPLICATE = """\
  deduplicate: {on: [ev], within: 2 minutes}
  features:
    - {name: ev, type: string}
    - {name: amount, type: double}
"""

WINDOWS = """\
  features:
    - {name: amount, window: {functions: [count, sum, max], over: [1 minute, 10 minutes]}}
"""

EXPIRING = "  refresh: on_expiry\n" + WINDOWS

LATE = '{"id":999999,"ev":"late","ts":"2024-05-01T13:30:00","amount":1}\n'

ROLLING = """\
  features:
    - {name: amount, type: double, aggregate: {functions: [count, sum, max]}}
  aggregated:
    windows: {over: [2 minutes, 10 minutes], slide: 1 minute%s}
"""

GROUPS = """\
  features:
    - {name: amount, type: double, aggregate: {functions: [count, sum, max]}}
  aggregated: {}
"""


class MemoryTest(Case):

    def setUp(self):
        super().setUp()
        self.feed()

    def feed(self, n_keys=10_000, files=8):
        """Events of twenty minutes of time; of three in ten the same comes again, up to three minutes later."""
        events = []
        for i in range(EVENTS):
            second = i * 1200 / EVENTS
            event = (self.rng.randrange(n_keys), f"ev{i:08}-of-a-longer-name", i)
            events.append((second, *event))
            if self.rng.random() < 0.3:
                events.append((second + self.rng.random() * 180, *event))
        events.sort()
        for f in range(files):
            part = events[len(events) * f // files:len(events) * (f + 1) // files]
            self.write(f"in/{f:02}.jsonl", "".join(
                '{"id":%d,"ev":"%s","ts":"2024-05-01T12:%02d:%06.3f","amount":%d}\n'
                % (key, ev, second // 60, second % 60, amount) for second, key, ev, amount in part))

    def rows_of(self, features, columns, memory, kills=0, newest=None):
        """All that is in the history after a run to the end, which is killed so often before; `newest`: rows change, each
        change is there once, and tells by that which is the last."""
        for name in ("out", "many.state"):
            shutil.rmtree(self.path(name), ignore_errors=True)
        self.write("many.yaml", DECLARATION.format(features=features, memory=memory, corrections="true" if newest else "false"))
        killed = 0
        for _ in range(kills):
            run = self.start("run", "many.yaml", "--once", "--progress", "none")
            killed += run.until_checkpoints(self.rng.randint(1, 4), "many")
            run.end()
        self.assertTrue(kills == 0 or killed > 0, "no run was killed on its way")
        self.good("run", "many.yaml", "--once", "--progress", "none")
        rows = self.history(columns, order=next(iter(columns)), keys="{name: id, type: bigint}")
        if newest is not None:
            changes = collections.Counter((row["id"], row["timestamp"], newest(row)) for row in rows)
            self.assertEqual({change: n for change, n in changes.items() if n > 1}, {}, "no change comes twice")
            rows = {(row["id"], row["timestamp"]): row for row in sorted(rows, key=newest)}.values()
        return sorted(rows, key=str)

    def expect_the_same(self, features, columns, least, kills=4, newest=None):
        """Rows with ample memory, with next to none, and with next to none through kills."""
        ample = self.rows_of(features, columns, "512 MiB", newest=newest)
        self.assertGreater(len(ample), least)
        self.assertEqual(self.rows_of(features, columns, "1 MiB", newest=newest), ample)
        if kills > 0:
            self.assertEqual(self.rows_of(features, columns, "1 MiB", kills=kills, newest=newest), ample)
        return ample

    def test_windows(self):
        self.expect_the_same(WINDOWS, {f"amount__{f}_over_{w}_fixed_windows": of for w in ("1_minute", "10_minutes")
                                       for f, of in (("count", "bigint"), ("sum", "double"), ("max", "double"))}, EVENTS)

    def test_deduplicate(self):
        ample = self.expect_the_same(DEDUPLICATE, {"ev": "string", "amount": "double"}, EVENTS)
        self.assertLess(len(ample), 1.2 * EVENTS)
        (part,) = json.loads(self.good("state", "ls", "many.yaml", "--format", "json"))["parts"]
        self.assertLess(part["keys"], EVENTS / 2, "ids that nothing can repeat any more are gone from the folder, too")

    def test_deduplicate_of_ids_that_come_again(self):
        """So many ids are over at once that the store still lists some when they come anew: these stay."""
        again = [f"again{i}" for i in range(200)]
        pieces = [([f"old{i}" for i in range(120_000)], "12:00:00"), (again, "12:00:59"), None,  # None: a run ends
                  (again, "12:01:00"), (["late"], "12:30:00"), None,
                  (again, "12:30:05"), None,
                  (["a"], "12:30:10"), None, (["b"], "12:30:10"), None, (["c"], "12:30:10"), None,
                  (again, "12:30:30"), None]
        shutil.rmtree(self.path("in"))
        self.write("many.yaml", DECLARATION.format(features=DEDUPLICATE, memory="1 MiB", corrections="false"))
        text = ""
        for i, piece in enumerate(pieces):
            if piece is None:
                self.write(f"in/{i:02}.jsonl", text)
                self.good("run", "many.yaml", "--once", "--progress", "none")
                text = ""
                continue
            ids, at = piece
            text += "".join('{"id":1,"ev":"%s","ts":"2024-05-01T%s","amount":1}\n' % (ev, at) for ev in ids)
        rows = collections.Counter(row["ev"] for row in self.history({"ev": "string"}, keys="{name: id, type: bigint}"))
        self.assertEqual(sum(n == 1 for n in rows.values()), 120_004)
        self.assertEqual({ev: rows[ev] for ev in again}, dict.fromkeys(again, 2), "taken twice, and each repeated once")

    def test_rolling(self):
        """Windows that end, most of them of keys that have left memory."""
        columns = {f"amount__{f}_over_{w}_rolling_windows": of for w in ("2_minutes", "10_minutes")
                   for f, of in (("count", "bigint"), ("sum", "double"), ("max", "double"))}
        self.expect_the_same(ROLLING % "", columns, EVENTS)

    def test_rolling_emit_change(self):
        """What goes out first depends on which events came together, and so on where a run was killed; not the last change."""
        count = "amount__count_over_2_minutes_rolling_windows"
        columns = {count: "bigint", "amount__max_over_2_minutes_rolling_windows": "double"}
        self.expect_the_same(ROLLING.replace(", 10 minutes", "") % ", emit: change", columns, EVENTS,
                             newest=lambda row: row[count])

    def latest(self, memory, kills=0):
        """The last row of each key of a run whose windows expire, and of one more after a late event."""
        late = self.write("in/late.jsonl", "")
        shutil.rmtree(self.path("many.state"), ignore_errors=True)
        declaration = DECLARATION.format(features=EXPIRING, memory=memory, corrections="false")
        self.write("many.yaml", declaration.replace("history: {path: out, corrections: false}", "online: {debug: true}"))
        once = ("run", "many.yaml", "--once", "--progress", "none", "--state", "many.state")
        killed = 0
        for _ in range(kills):
            run = self.start(*once)
            killed += run.until_checkpoints(self.rng.randint(1, 4), "many")
            run.end()
        self.assertTrue(kills == 0 or killed > 0, "no run was killed on its way")
        latest = []
        for event in ("", LATE):
            with open(late, "a", encoding="utf-8") as file:
                file.write(event)
            out = self.good(*once, "--query", "select * from online_feature_store__many_latest order by id", "--format", "json")
            latest.append([json.loads(line) for line in out.splitlines()])
        return latest

    def test_on_expiry(self):
        """Keys that have left memory are given when events leave their windows, also when all do so at once."""
        ample = self.latest("512 MiB")
        over = "amount__count_over_%s_fixed_windows"
        self.assertGreater(sum(row[over % "1_minute"] == 0 < row[over % "10_minutes"] for row in ample[0]), 2_000)
        self.assertGreater(sum(row[over % "10_minutes"] == 0 for row in ample[0]), 500)
        self.assertEqual([row[over % "10_minutes"] for row in ample[1][-2:]], [0, 1])
        self.assertGreater(len(ample[1]), 6_000)
        self.assertEqual(self.latest("1 MiB"), ample)
        self.assertEqual(self.latest("1 MiB", kills=4)[1], ample[1])

    def test_on_expiry_goes_and_comes(self):
        """What a run without it has saved is in no list: one with it again finds these keys all the same."""
        names = sorted(os.listdir(self.path("in")))
        later = {name: self.read_lines("in/" + name) for name in names[4:]}
        for name in later:
            os.remove(self.path("in", name))
        rows = []
        for features, files in ((EXPIRING, {}), (WINDOWS, later), (EXPIRING, {"late.jsonl": [json.loads(LATE)]})):
            for name, events in files.items():
                self.write("in/" + name, "".join(json.dumps(event) + "\n" for event in events))
            declaration = DECLARATION.format(features=features, memory="1 MiB", corrections="false")
            self.write("many.yaml", declaration.replace("history: {path: out, corrections: false}", "online: {debug: true}"))
            out = self.good("run", "many.yaml", "--once", "--progress", "none", "--state", "many.state",
                            "--query", "select * from online_feature_store__many_latest", "--format", "json")
            rows.append({row["id"]: row for row in map(json.loads, out.splitlines())})
        ids = {event["id"] for events in later.values() for event in events}
        self.assertGreater(len(ids), 4_000)
        self.assertEqual(ids - set(rows[2]), set())
        self.assertEqual({rows[2][key]["amount__count_over_10_minutes_fixed_windows"] for key in ids}, {0})

    def test_groups(self):
        self.expect_the_same(GROUPS, {"amount__count": "bigint", "amount__sum": "double", "amount__max": "double"}, EVENTS)

    def test_share(self):
        self.write("many.yaml", DECLARATION.format(features=WINDOWS, memory="25%", corrections="false"))
        shown = self.good("show", "many.yaml")
        self.assertIn("  memory: 25%\n", shown)
        self.assertRegex(shown, r"# state\.memory: 25% of (the machine's|the cgroup's limit of) [0-9]+ MiB is [0-9]+ MiB here\.")
        for wrong, why in (("0%", "it must be from 1% to 100%"), ("120%", "it must be from 1% to 100%"),
                           ("2.5%", "a share in whole percents"), ("a lot", "it must be a number of bytes")):
            self.write("many.yaml", DECLARATION.format(features=WINDOWS, memory=wrong, corrections="false"))
            refused = self.freshet("check", "many.yaml")
            self.assertEqual(refused.code, 78)
            self.assertRegex(refused.err + refused.out, r'many\.yaml:\d+:\d+: error: "memory" cannot be "%s": .*%s' % (wrong, why))


if __name__ == "__main__":
    unittest.main()
