"""`freshet state fill` of groups: rolling windows and groups of one time that a changed declaration left incomplete are filled with
the past, and give then what a run over all data gives."""

import datetime
import os
import random
import signal
import unittest

from fill_testing import BEGIN, READERS, SINK, FillCase
from freshet_testing import SEED

TEXT = """version: 1
pipeline: groups
""" + READERS + """\
feature_set:
  name: groups
  entity: user
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: ts, unit: s, lateness: {lateness}}}
{more}  aggregated: {{{windows}{pivot}{distinct}}}
  features:
{features}""" + SINK

SPEND = "    - {name: spend, from: amount, aggregate: {functions: [sum, count]}}\n"
NAMES = "    - {name: names, from: name, aggregate: {functions: [approx_count_distinct, last, min]}}\n"
MIDDLE = "    - {name: middle, from: amount, aggregate: {functions: [median]}}\n"
WHERE = "    - {name: big, from: amount, filter: \"amount > 4\", aggregate: {functions: [sum, count]}}\n"
HOUR = {"over": "1 hour", "slide": "10 minutes"}
LONG = {"over": "1 hour, 3 hours", "slide": "10 minutes"}
SLOW = {"over": "2 hours", "slide": "30 minutes"}
PIVOT = ", pivot: {column: name, values: [a, b]}"
MORE_PIVOT = ", pivot: {column: name, values: [b, a, cc]}"
DISTINCT = ", distinct: {subset: [name, amount]}"
EXPIRES = "  refresh: on_expiry\n"


class FillGroupsTest(FillCase):
    FILE = "groups.yaml"

    def declare_it(self, declared, *, name="groups.yaml", path="in/*.jsonl", out="out.jsonl", reader="", writers=""):
        features, shape = declared[0], dict(declared[1])
        windows = "" if not shape["over"] else (f"windows: {{over: [{shape['over']}], slide: {shape['slide']}"
                                                f"{shape.get('emit', '')}}}")
        pivot = shape.get("pivot", "")
        self.write(name, TEXT.format(features=features, path=path, out=out, lateness=shape.get("lateness", "10 minutes"), reader=reader, writers=writers,
                                     windows=windows, pivot=pivot if windows else pivot[2:], distinct=shape.get("distinct", ""),
                                     more=shape.get("more", "")))

    def events(self, rng, n, users=6):
        """Of many hours; some come late, some twice in a second, some have no value; now and then somebody is away for long."""
        events, second = [], BEGIN
        for i in range(n):
            second += rng.choice((0, 0, 1, 7, 60, 200))
            late = rng.randrange(500) if rng.random() < 0.2 else 0
            user = rng.randrange(users)
            if (user + i // 150) % 3 == 0:
                user = users
            events.append((i, user, second - late, rng.choice((None, rng.randrange(9) + 0.5)),
                           rng.choice((None, "a", "b", "cc", "d" * rng.randrange(1, 30)))))
        return events

    def rows(self, out):
        """The last that was given for each group."""
        if not os.path.exists(self.path(out)):
            return {}
        return {(row["user"], row["timestamp"]): row for row in self.read_lines(out)}

    def same(self, declared, events, before, filled, seed):
        """All that came since the fill is right, and nothing is missing."""
        self.twin(declared, events)
        wanted, has = self.rows("twin.jsonl"), self.rows("out.jsonl")
        number, unit = declared[1].get("lateness", "10 minutes").split()
        newest = max(event[2] for event in events[:filled]) - int(number) * (60 if "minute" in unit else 3600)
        since = datetime.datetime.fromtimestamp(newest, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        for key, row in has.items():
            if before.get(key) != row:
                self.assertEqual(row, wanted.get(key), (seed, key))
        for key, row in wanted.items():
            if key[1] > since:
                self.assertEqual(has.get(key), row, (seed, key))

    def try_it(self, old, new, seed, n=500, beyond=0, between=None):
        rng = random.Random(seed)
        events = self.events(rng, n)
        changed, filled = n // 2 + rng.randrange(20), n // 2 + 30 + rng.randrange(60)
        first = rng.randrange(changed) if between else changed
        self.put("in/1.jsonl", events[:first])
        self.declare_it(old)
        self.run_once()
        if between:
            self.put("in/11.jsonl", events[first:changed])
            self.declare_it(between)
            self.run_once()
        self.put("in/2.jsonl", events[changed:filled])
        self.declare_it(new)
        self.run_once()
        self.assertIn("fills from", self.good("plan", "groups.yaml"))
        self.put("past.jsonl", events[:(changed, filled, n)[beyond]])
        self.good("state", "fill", "groups.yaml", "--from", "past.jsonl")
        before = self.rows("out.jsonl")
        if beyond != 1:  # what is filled is read back, then
            self.run_once()
        self.put("in/3.jsonl", events[filled:])
        self.run_once()
        self.assertFalse(os.path.exists(self.path("groups.state.fill")))
        self.same(new, events, before, filled, seed)
        said = self.good("plan", "groups.yaml")
        self.assertIn("filled with the past", said)
        self.assertNotIn("keys, of which the past was another", said)
        self.assertNotIn(": fills from", said)

    def test_twin(self):
        pairs = (((SPEND, HOUR), (MIDDLE + SPEND + NAMES, LONG)), ((SPEND, HOUR), (SPEND + WHERE, SLOW)),
                 ((SPEND, {**LONG, "pivot": PIVOT}), (SPEND, {**LONG, "pivot": MORE_PIVOT})),
                 ((SPEND, {**HOUR, "more": EXPIRES}), (SPEND, {**LONG, "distinct": DISTINCT, "more": EXPIRES})),
                 ((SPEND, {"over": "1 day", "slide": "1 day"}), (SPEND + NAMES, {"over": "2 days", "slide": "1 day"})),
                 ((SPEND, {**HOUR, "lateness": "1 hour"}), (NAMES, {**LONG, "lateness": "1 hour"})))
        for i, (old, new) in enumerate(pairs):
            with self.subTest(i):
                self.forget()
                self.try_it(old, new, f"{SEED}{i}", beyond=i % 2)

    def test_several_changes(self):
        self.try_it((SPEND, HOUR), (SPEND + NAMES, LONG), f"{SEED}several", between=(SPEND + WHERE, SLOW))

    def test_from_a_bootstrap(self):
        """The reader's own past, of which there is more by then. Once it is filled, plan says nothing more of it, though no row came since."""
        boot = "      bootstrap: {file: {path: \"dump/*.jsonl\"}}\n"
        events = self.events(random.Random(f"{SEED}bootstrap"), 500)
        new = (SPEND + NAMES, LONG)
        self.put("dump/1.jsonl", events[:150])
        self.put("in/1.jsonl", events[150:300])
        self.declare_it((SPEND, HOUR), reader=boot)
        self.run_once()
        self.declare_it(new, reader=boot)
        self.run_once()
        self.assertIn("): fills from", self.good("plan", "groups.yaml"))
        self.put("dump/2.jsonl", events[150:300])
        self.assertIn("read 300 rows of the past from the bootstrap", self.good("state", "fill", "groups.yaml"))
        self.run_once()
        before, said = self.rows("out.jsonl"), self.good("plan", "groups.yaml")
        self.assertIn("--   groups: filled with the past: by `freshet state fill` at ", said)
        self.assertNotIn("fills from", said)
        self.put("in/3.jsonl", events[300:])
        self.run_once()
        self.same(new, events, before, 300, "bootstrap")

    def test_rows_that_are_open(self):
        """Where rows are output as they change, those that are open are given again at once: the newest row of each key is then right
        in the online store, though no event came."""
        online = "    - online: {debug: true}\n"
        query = ("run", "{}", "--once", "--no-serve", "--progress", "none", "--format", "json", "--query",
                 "select * from online_feature_store__groups_latest order by user")
        for shape in ({"over": "6 hours", "slide": "6 hours", "emit": ", emit: change"}, {"over": "", "lateness": "3 hours"}):
            self.forget()
            events = self.events(random.Random(f"{SEED}open"), 300)
            self.put("in/1.jsonl", events[:250])
            self.declare_it((SPEND, shape), writers=online)
            self.run_once()
            self.declare_it((SPEND + NAMES, shape), writers=online)
            self.put("in/2.jsonl", events[250:])
            self.run_once()
            self.good("state", "fill", "groups.yaml", "--from", "in")
            given = self.good(*(word.format("groups.yaml") for word in query)).splitlines()
            self.put("twin/1.jsonl", events)
            self.declare_it((SPEND + NAMES, shape), name="twin.yaml", path="twin/*.jsonl", out="twin.jsonl", writers=online)
            wanted = self.good(*(word.format("twin.yaml") for word in query), "--state", "twin.state").splitlines()
            self.assertGreater(len(given), 2)
            self.assertLessEqual(set(given), set(wanted))

    def test_while_it_runs(self):
        """A run takes the past while rows come; and again where it was killed. What has closed by then stays as it was."""
        rng = random.Random(f"{SEED}online")
        events = self.events(rng, 3000, users=400)
        at = changed = 2000
        new = (SPEND + NAMES, LONG)
        self.put("in/1.jsonl", events[:changed])
        self.declare_it((SPEND, HOUR))
        self.run_once()
        self.declare_it(new)
        run = self.start("run", "groups.yaml", "--progress", "none")
        self.until(lambda: "goes on from checkpoint" in run.err(), "the start", run)
        self.put("past.jsonl", events[:changed])
        self.good("state", "fill", "groups.yaml", "--from", "past.jsonl")
        for _ in range(3):
            self.put(f"in/{at:06}.jsonl", events[at:at + 100])
            at += 100
            self.until(lambda: "fills windows with the past" in run.err() or not os.path.exists(self.path("groups.state.fill")),
                       "that it is taken", run)
            run.signal(signal.SIGKILL)
            run.wait()
            run = self.start("run", "groups.yaml", "--progress", "none")
        self.until(lambda: not os.path.exists(self.path("groups.state.fill")), "that all of it is taken", run)
        self.until(lambda: "goes on from checkpoint" in run.err(), "the start", run)
        run.stop()
        before = self.rows("out.jsonl")
        self.put("in/999999.jsonl", events[at:])
        self.run_once()
        self.same(new, events, before, at, "online")
        self.assertIn("filled with the past", self.good("plan", "groups.yaml"))

    def test_what_cannot_be(self):
        """The history of groups has no events; a past that ends too soon is said to, and one that is another's changes nothing."""
        events = self.events(random.Random(f"{SEED}wrong"), 200)
        history = "    - history: {path: kept}\n"
        self.put("in/1.jsonl", events)
        self.declare_it((SPEND, HOUR), writers=history)
        self.run_once()
        self.declare_it((SPEND + NAMES, LONG), writers=history)
        finished = self.freshet("state", "fill", "groups.yaml")
        self.assertEqual(finished.code, 78)
        self.assertIn("From the history they cannot be had: its rows are groups, and not the events of which they are made", finished.err)
        self.put("past.jsonl", events[:20])
        self.good("state", "fill", "groups.yaml", "--from", "past.jsonl")
        self.assertIn("groups cannot be filled: the past ends before what was kept begins", self.freshet(
            "run", "groups.yaml", "--once", "--progress", "none").err)
        self.put("past.jsonl", [(i, user, ts, amount if user != 2 else -1, name) for i, user, ts, amount, name in events])
        self.good("state", "fill", "groups.yaml", "--from", "past.jsonl")
        said = self.freshet("run", "groups.yaml", "--once", "--progress", "none").err
        self.assertIn("1 key fills from what comes, as before: the past ends too soon for 0, and has other events than the stream has "
                      "had of 1", said)
        newest = max(event[2] for event in events)
        self.put("in/2.jsonl", [(900 + user, user, newest + 60, 1.5, "z") for user in (1, 2)])
        self.put("in/3.jsonl", [(990, 5, newest + 2400, 1.5, "z")])
        self.run_once()
        last = {row["user"]: row.get("spend__count_over_3_hours_rolling_windows") for row in self.read_lines("out.jsonl")}
        self.assertIsNone(last[2])
        self.assertGreater(last[1], 5)


if __name__ == "__main__":
    unittest.main()
