"""`freshet state fill`: windows that a changed declaration left half empty are filled with the past, and are then those of a run
over all data."""

import glob
import json
import os
import random
import shutil
import signal
import unittest

from fill_testing import BEGIN, READERS, SINK, FillCase
from freshet_testing import SEED

TEXT = """version: 1
pipeline: fill
""" + READERS + """\
feature_set:
  name: fill
  entity: user
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: ts, unit: s, lateness: {lateness}}}
  features:
    - {{name: id, type: bigint}}
{features}{more}""" + SINK

SPEND = "    - {name: spend, from: amount, window: {functions: [sum, count], over: [1 hour]}}\n"
LONGER = "    - {name: spend, from: amount, window: {functions: [sum, count], over: [1 hour, 3 hours]}}\n"
NAMES = "    - {name: names, from: name, window: {functions: [approx_count_distinct, last, min], over: [2 hours]}}\n"
MEDIAN = "    - {name: middle, from: amount, window: {functions: [median], over: [90 minutes]}}\n"
ROWS = "    - {name: recent, from: name, window: {functions: [first, count], over: [7 events], mode: row_windows}}\n"
WHERE = "    - {name: big, from: amount, filter: \"amount > 4\", window: {functions: [sum, count], over: [100 minutes]}}\n"
OTHER = "    - {name: same, from: amount, window: {functions: [max, count], over: [2 hours], partition_by: [name]}}\n"
PLAIN = "    - {name: amount, type: double}\n"


class FillTest(FillCase):
    FILE = "fill.yaml"

    def declare_it(self, features, *, name="fill.yaml", path="in/*.jsonl", out="out.jsonl", lateness="10 minutes", reader="", more="",
                   writers=""):
        self.write(name, TEXT.format(features=features, path=path, out=out, lateness=lateness, reader=reader, more=more,
                                     writers=writers))

    def events(self, rng, n, users=6, slow=1):
        """Of some hours; some come late, some twice in a second, some have no value."""
        events, second = [], BEGIN
        for i in range(n):
            second += rng.choice((0, 0, 1, 7, 60, 200)) * slow
            late = rng.randrange(500) if rng.random() < 0.2 else 0
            events.append((i, rng.randrange(users), second - late, rng.choice((None, rng.randrange(9) + 0.5)),
                           rng.choice((None, "a", "b", "cc", "d" * rng.randrange(1, 30)))))
        return events

    def last_rows(self, out, ids):
        """The last that was given for each event."""
        rows = {row["id"]: row for row in self.read_lines(out)}
        return {i: rows.get(i) for i in ids}

    def try_it(self, old, new, seed, n=400, beyond=0, between=None, slow=1):
        """Evolves in the middle, fills a little later, and compares what comes then."""
        rng = random.Random(seed)
        events = self.events(rng, n, slow=slow)
        changed, filled = n // 2 + rng.randrange(20), n // 2 + 40 + rng.randrange(20)
        first = rng.randrange(changed) if between else changed
        self.put("in/1.jsonl", events[:first])
        self.declare_it(old)
        self.run_once()
        if between:
            self.put("in/11.jsonl", events[first:changed])
            self.declare_it(between)
            self.run_once()
            shutil.move(self.path("in/11.jsonl"), self.path("in/1b.jsonl"))
        self.put("in/2.jsonl", events[changed:filled])
        self.declare_it(new)
        self.run_once()
        said = self.good("plan", "fill.yaml")
        self.assertIn("): fills from 2024", said)
        self.assertNotIn("now on", said)
        self.put("past.jsonl", events[:(changed, filled, n)[beyond]])
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.assertTrue(os.path.exists(self.path("fill.state.fill")))
        if beyond != 1:  # what is filled is read back, then
            self.run_once()
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
                 (SPEND, LONGER + NAMES), (SPEND + ROWS, MEDIAN + ROWS + NAMES + LONGER), (SPEND, SPEND + WHERE),
                 (PLAIN, PLAIN + LONGER + OTHER + WHERE), (SPEND, LONGER + OTHER))
        for i, (old, new) in enumerate(pairs):
            with self.subTest(i):
                self.forget()
                self.try_it(old, new, f"{SEED}{i}", beyond=i % 2)

    def test_first_windows_and_a_past_that_goes_on(self):
        """The first windows begin behind the newest row that the plain set had, by event time, however long ago that is; what the past
        has behind it, and the stream will bring, counts once, and makes no key's newest row."""
        rng = random.Random(f"{SEED}first")
        events = sorted(self.events(rng, 300), key=lambda event: event[2])
        self.put("in/1.jsonl", events[:100])
        self.declare_it(PLAIN, lateness="1 second")
        self.run_once()
        self.declare_it(PLAIN + SPEND + ROWS, lateness="1 second")
        self.assertIn('fills from 2024-01-01 ', self.good("plan", "fill.yaml"))
        self.run_once()
        self.put("past.jsonl", events)
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.put("in/2.jsonl", events[100:150])
        self.run_once()
        self.put("in/3.jsonl", events[150:])
        said = self.freshet("run", "fill.yaml", "--once", "--progress", "none").err
        self.assertRegex(said, "fill: windows: filled with the past by `freshet state fill` at 20")
        self.twin(PLAIN + SPEND + ROWS, events, lateness="1 second")
        ids = [event[0] for event in events[100:]]
        self.assertEqual(self.last_rows("out.jsonl", ids), self.last_rows("twin.jsonl", ids))

    def test_long_ago(self):
        """Windows have lost most of their events, in the past as in the state."""
        for i, beyond in enumerate((0, 1, 2)):
            self.forget()
            self.try_it(SPEND, LONGER + NAMES + ROWS, f"{SEED}ago{i}", n=1200, beyond=beyond, slow=12)

    def test_what_plan_says(self):
        """Once windows are filled plan says nothing more of them, though no row came since; and of a later change what that lacks, only."""
        events = self.events(random.Random(f"{SEED}says"), 200)
        self.put("in/1.jsonl", events)
        self.declare_it(SPEND + ROWS.replace("7 events", "2 events"))
        self.run_once()
        self.declare_it(LONGER + NAMES + ROWS)
        self.run_once()
        for name in ("spend", "names", "recent"):
            self.assertRegex(self.good("plan", "fill.yaml"), rf'--   windows: feature "{name}" \(.*\): fills from 2024')
        self.good("state", "fill", "fill.yaml", "--from", "in")
        self.run_once()
        said = self.good("plan", "fill.yaml")
        self.assertIn("--   windows: filled with the past: ", said)
        self.assertNotIn("fills from", said)
        self.declare_it(LONGER + NAMES + MEDIAN + WHERE + ROWS.replace("7 events", "6 events"))
        self.assertEqual([name for name in ("spend", "names", "middle", "recent", "big")
                          if f'feature "{name}" (fill.yaml:' in self.good("plan", "fill.yaml")], ["big"])
        self.run_once()
        self.assertIn('feature "big"', self.good("plan", "fill.yaml"))
        self.assertNotIn('feature "names"', self.good("plan", "fill.yaml"))

    def test_several_changes(self):
        """Before the fill; and one behind it finds everything full."""
        self.try_it(SPEND + WHERE, LONGER + NAMES + WHERE, f"{SEED}several", between=NAMES + SPEND)
        self.declare_it(MEDIAN + LONGER + NAMES + WHERE)
        said = self.good("plan", "fill.yaml")
        self.assertIn("windows: served as it is", said)
        self.assertNotIn("fills from", said)

    def test_from_the_history(self):
        """What windows look at stands there as plain features, or those of SQL."""
        rng = random.Random(f"{SEED}history")
        events = self.events(rng, 400)
        plain = PLAIN + ("    - {name: what, type: string, from: name}\n"
                         "    - {name: twice, type: double, sql: amount * 2}\n")
        new = plain + LONGER + NAMES + WHERE + "    - {name: double, from: twice, window: {functions: [sum], over: [2 hours]}}\n"
        history = "    - history: {path: kept}\n"
        for old in (plain, plain + SPEND):
            self.forget()
            self.put("in/1.jsonl", events[:200])
            self.declare_it(old, writers=history)
            self.run_once()
            self.declare_it(new, writers=history)
            self.put("in/2.jsonl", events[200:260])
            self.run_once()
            said = self.good("state", "fill", "fill.yaml")
            self.assertRegex(said, r"rows of the past from .*kept/\*\*")
            self.put("in/3.jsonl", events[260:])
            self.run_once()
            self.twin(new, events)
            ids = [event[0] for event in events[260:]]
            self.assertEqual(self.last_rows("out.jsonl", ids), self.last_rows("twin.jsonl", ids))
            self.assertNotIn("keys, of which the past was another", self.good("plan", "fill.yaml"))
        self.declare_it(new + "    - {name: seen, from: ts, window: {functions: [max], over: [2 hours]}}\n", writers=history)
        self.refused('windows look at the column "ts", which no plain feature of the history has')
        self.declare_it(new + MEDIAN, writers="    - history: {path: kept, corrections: true}\n")
        self.refused("rows of one event several times")

    def evolve(self, old, new, events, changed):
        """The state of `old` over the first, to which `new` goes on."""
        self.put("in/1.jsonl", events[:changed])
        self.declare_it(old)
        self.run_once()
        self.declare_it(new)

    def test_while_it_runs(self):
        """A run takes the past while rows come, late ones of the seam among them; and again where it was killed."""
        rng = random.Random(f"{SEED}online")
        events = self.events(rng, 3000, users=400)
        changed = 2000
        self.evolve(SPEND, LONGER + NAMES, events, changed)
        run = self.start("run", "fill.yaml", "--progress", "none")
        self.until(lambda: "goes on from checkpoint" in run.err(), "the start", run)
        at = changed
        self.put("past.jsonl", events[:changed])
        making = self.start("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.until(lambda: os.path.exists(self.path("fill.state.fill.made")) or not making.is_running(), "the past", making)
        making.signal(signal.SIGKILL)
        making.wait()
        if not os.path.exists(self.path("fill.state.fill")):
            self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        for _ in range(3):
            self.put(f"in/{at:06}.jsonl", events[at:at + 200])
            at += 200
            self.until(lambda: "fills windows with the past" in run.err() or not os.path.exists(self.path("fill.state.fill")),
                       "that it is taken", run)
            run.signal(signal.SIGKILL)
            run.wait()
            run = self.start("run", "fill.yaml", "--progress", "none")
        self.until(lambda: not os.path.exists(self.path("fill.state.fill")), "that all of it is taken", run)
        self.put("in/999999.jsonl", events[at:])
        last = events[-1][0]
        self.until(lambda: any(row["id"] == last for row in self.read_lines("out.jsonl")), "the last row", run)
        run.stop()
        self.twin(LONGER + NAMES, events)
        ids = [event[0] for event in events[at:]]
        self.assertEqual(self.last_rows("out.jsonl", ids), self.last_rows("twin.jsonl", ids))
        self.assertIn("filled with the past", self.good("plan", "fill.yaml"))

    def test_rows_take_turns_with_a_fill(self):
        """A row that waits when a run begins to take the past of many keys, which all are given again, is not behind the last of them:
        it is in a file of the history before."""
        keeps = "    - history: {path: kept, corrections: true}\n"
        events = [(i, i, BEGIN + i // 100, 1.5, "a") for i in range(20000)]
        self.put("in/1.jsonl", events)
        self.declare_it(SPEND, writers=keeps)
        self.run_once()
        self.declare_it(SPEND + NAMES, writers=keeps)
        self.run_once()
        self.put("past.jsonl", events)
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.put("in/2.jsonl", [(20000, 7, BEGIN + 300, 1.5, "a")])
        run = self.start("run", "fill.yaml", "--progress", "none")
        self.until(lambda: not os.path.exists(self.path("fill.state.fill")), "that all of the past is taken", run)
        self.until(lambda: any(row["id"] == 20000 for row in self.read_lines("out.jsonl")), "the row", run)
        run.stop()
        last = max(glob.glob(self.path("kept/**/*.parquet"), recursive=True))
        os.makedirs(self.path("last"))
        shutil.copy(last, self.path("last"))
        rows = self.history({"id": "bigint"}, "last", keys="{name: user, type: bigint}")
        self.assertGreater(len(rows), 100)
        self.assertFalse(any(row["id"] == 20000 for row in rows))

    def latest(self, run):
        """The newest row of each key, as a running stream serves it; None before it does."""
        finished = self.freshet("query", "--pipeline", "fill", "--format", "json",
                                "select * from online_feature_store__fill_latest order by user")
        return [json.loads(text) for text in finished.out.splitlines()] if finished.code == 0 else None

    def test_newest_rows_are_given_again(self):
        """A key whose windows were filled has them online at once, with the row that it had; rows behind it win over that. The history
        has the row as a correction."""
        rng = random.Random(f"{SEED}again")
        events = self.events(rng, 400, users=30)
        online, new = "    - online: {debug: true}\n    - history: {path: kept, corrections: true}\n", LONGER + NAMES
        self.evolve(PLAIN + SPEND, PLAIN + new, events, 250)
        self.declare_it(PLAIN + new, writers=online)
        run = self.start("run", "fill.yaml", "--progress", "none")
        self.put("in/2.jsonl", events[250:300])
        self.until(lambda: len(self.latest(run) or []) > 5, "rows", run)
        self.put("past.jsonl", events[:250])
        self.put("twin/1.jsonl", events[:300])
        self.declare_it(PLAIN + new, name="twin.yaml", path="twin/*.jsonl", out="twin.jsonl", writers="    - online: {debug: true}\n")
        query = ("run", "twin.yaml", "--once", "--no-serve", "--progress", "none", "--state", "twin.state", "--format", "json", "--query",
                 "select * from online_feature_store__fill_latest order by user")
        wanted = [json.loads(text) for text in self.good(*query).splitlines()]
        self.assertNotEqual(self.latest(run), wanted)
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        self.until(lambda: self.latest(run) == wanted, "that all have their windows", run)
        self.until(lambda: "their newest rows go out again" in run.err(), "that it says so", run)
        self.put("in/3.jsonl", events[300:])
        self.put("twin/2.jsonl", events[300:])
        shutil.rmtree(self.path("twin.state"))
        wanted = [json.loads(text) for text in self.good(*query).splitlines()]
        self.until(lambda: self.latest(run) == wanted, "the last rows", run)
        found = json.loads(self.good("compare", "fill.yaml", "--json", "--sample", "all"))
        self.assertIn('"different": 0', json.dumps(found))
        run.stop()

    def refused(self, pattern, *args, code=78):
        finished = self.freshet("state", "fill", "fill.yaml", *args)
        self.assertEqual(finished.code, code, finished.err)
        self.assertRegex(finished.err, pattern)

    def test_what_cannot_be(self):
        rng = random.Random(f"{SEED}wrong")
        events = self.events(rng, 100)
        self.declare_it(SPEND)
        self.put("in/1.jsonl", events)
        self.refused(r'there is no state in "fill.state" yet')
        self.run_once()
        self.assertIn("nothing is to be filled", self.good("state", "fill", "fill.yaml", "--from", "in"))
        self.declare_it(SPEND + NAMES)
        self.refused(r'fill.yaml: error: say where the rows are that the reader "ev" has had: .* by --from, or `bootstrap')
        self.refused("there is no file or folder .*/none.jsonl", "--from", "none.jsonl")
        for several in (("--from", "in/1.jsonl", "--from", "in"), ("--from", "in/1.jsonl", "in")):  # as a shell makes it of a pattern
            self.refused(r'--from takes one path, and 2 are given \("in/1.jsonl", "in"\): name all files by one pattern in quotes, as ', *several, code=2)
        self.write("empty.jsonl", "")
        self.refused("empty.jsonl has no row", "--from", "empty.jsonl")
        self.write("fill2.yaml", TEXT.format(features=SPEND, path="in/*.jsonl", out="out.jsonl", lateness="1 minute", reader="", more="", writers="")
                   .replace("stream: true", "stream: false"))
        finished = self.freshet("state", "fill", "fill2.yaml", "--from", "in")
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn("a batch keeps no windows", finished.err)
        # a key: what the state cannot serve is not filled either
        self.write("fill.yaml", self.text().replace("name: user, type: bigint}]", "name: user, type: bigint}, {name: id, type: bigint}]")
                   .replace("    - {name: id, type: bigint}\n", ""))
        self.refused("the state cannot serve this declaration", "--from", "in")

    def text(self):
        with open(self.path("fill.yaml"), encoding="utf-8") as file:
            return file.read()

    def test_another_past(self):
        """Of a key whose events are others, or that ends too soon, nothing changes; a file that is damaged, or of another
        declaration, is not taken."""
        first = [(i, user, BEGIN + i, 1.5, "a") for i, user in enumerate((1, 2, 3) * 4)]
        self.evolve(SPEND, SPEND + NAMES, first, len(first))
        self.run_once()
        wrong = [(i, user, second, 9.5 if user == 1 else amount, name) for i, user, second, amount, name in first]
        self.put("past.jsonl", [event for event in wrong if event[1] != 2 or event[0] < 6])
        self.good("state", "fill", "fill.yaml", "--from", "past.jsonl")
        with open(self.path("fill.state.fill"), "rb") as file:
            good = file.read()
        with open(self.path("fill.state.fill"), "wb") as file:
            file.write(good[:-30] + bytes([good[-30] ^ 1]) + good[-29:])
        self.assertIn("is damaged", self.freshet("run", "fill.yaml", "--once", "--progress", "none").err)
        with open(self.path("fill.state.fill"), "wb") as file:
            file.write(good)
        self.declare_it(SPEND + NAMES + MEDIAN)
        self.assertIn("made for another declaration", self.freshet("run", "fill.yaml", "--once", "--progress", "none").err)
        self.declare_it(SPEND + NAMES)
        self.put("in/2.jsonl", [(100 + user, user, BEGIN + 100, 1.5, "b") for user in (1, 2, 3)])
        said = self.freshet("run", "fill.yaml", "--once", "--progress", "none").err
        self.assertIn("2 keys fill from what comes, as before: the past ends too soon for 1, and has other events than the stream "
                      "has had of 1", said)
        self.assertIn("; 2 keys, of which the past was another, fill from what comes", self.good("plan", "fill.yaml"))
        rows = {row["user"]: row["names__min_over_2_hours_fixed_windows"] for row in self.read_lines("out.jsonl") if row["id"] >= 100}
        self.assertEqual(rows, {1: None, 2: None, 3: "a"})


if __name__ == "__main__":
    unittest.main()
