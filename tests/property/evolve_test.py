"""Random declarations that follow each other over one state, and random events: what `freshet plan` says of each change, what the run
then gives, and what a fresh run of the same declaration over all events gives agree.

A CHAIN is a declaration and LINKS changes of it; each has a part of the events. At each link:

    plan     the new declaration over the state: each difference has the verdict that is expected
    run      over the events of this link; of some chains killed on the way, and begun again
    fresh    a run of the new declaration alone, over all events so far, in a folder of its own

and then, of each column by itself:

    rows of new events    equal those of the fresh run, or are null while plan has said that the column fills
    each key's newest row the same; but a column that came in since its event is null, and one that stays has what the declaration of
                          its event's time made of it
    the history           at the end of the chain: each event's row as it went out at its link, null where the link had no such column

TO ADD A KIND of feature: a class like Plain or Windowed below, in KINDS.

FRESHET_PAIRS is how many changes are tried (40), a fifth of the chains with kills; FRESHET_SEED another beginning.
"""

import calendar
import json
import os
import random
import re
import shutil
import time
import unittest

from freshet_testing import Case

LINKS = 5
EVENTS = 60  # of a link
KEYS = 6
LATE_S = 600
PAIRS = int(os.environ.get("FRESHET_PAIRS", "40"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))

TEXT = """version: 1
pipeline: chain
source:
  readers:
    - {{id: ev, stream: true, file: {{path: in, format: json, schema: {{id: bigint, user: string, ts: bigint, a: double, b: bigint, c: string}}}}}}
  query: select * from ev
feature_set:
  name: chain
  entity: user
  keys: [{{name: user, type: string}}]
  timestamp: {{from: ts, unit: s, lateness: 10 minutes}}
  features:
    - {{name: id, type: bigint}}
{features}
sink:
  writers:
    - jsonl: {{path: new.jsonl}}
    - jsonl: {{path: newest.jsonl, rows: online}}
{history}"""


class Plain:
    """A column or an SQL expression, cast."""

    TYPES = {"double": ("a", "a * {n}", "b + a"), "bigint": ("b", "b * {n}", "length(c) + {n}"), "string": ("c", "c || '{n}'", "a::varchar"),
             "boolean": ("a > {n}", "b % 2 = 0"), "decimal(12,2)": ("a + {n}",)}

    def __init__(self, rng, name, kind=None):
        self.name = name
        self.type = kind or rng.choice(list(self.TYPES))
        self.sql = rng.choice(self.TYPES[self.type]).format(n=rng.randrange(2, 9))

    def yaml(self):
        return f'{{name: {self.name}, type: "{self.type}", sql: "{self.sql}"}}'

    def columns(self):
        """{column: its type}"""
        return {self.name: self.type}

    def changed(self, rng, name):
        """Another one in its place: of another name, made otherwise, or (where no history is written) of another type."""
        if name is None:
            return Plain(rng, self.name)
        other = Plain(rng, self.name, self.type)
        if rng.random() < 0.5:
            other.name, other.sql = name, self.sql
        return other

    def verdicts(self, then):
        """What plan must say of its columns: [(subject, words)]. `then`: the one of that name before, or None."""
        subject = f'feature "{self.name}"'
        if then is None or then.type != self.type:
            return [(subject, "served, null until the key's next event")]
        return [(subject, "served as it is")] if then.sql != self.sql else []

    def gone(self):
        return [(f'feature "{self.name}"', "removed")]

    carried = True  # a key's newest row keeps it


class Windowed:
    """Windows of time over a column, some of them under a filter."""

    carried = False
    TYPES = {"sum": {"a": "double", "b": "bigint"}, "max": {"a": "double", "b": "bigint"}, "count": dict.fromkeys("abc", "bigint")}
    SPANS = ("5 minutes", "20 minutes", "30 minutes", "1 hour", "2 hours")

    def __init__(self, rng, name, of=None):
        self.name = name
        self.of = of or rng.choice("abc")
        self.filter = rng.choice((None, None, "b > 50"))
        self.functions = rng.sample([name for name in self.TYPES if self.of in self.TYPES[name]], 1 if self.of == "c" else rng.randrange(1, 4))
        self.over = rng.sample(self.SPANS, rng.randrange(1, 3))

    def yaml(self):
        filtered = f', filter: "{self.filter}"' if self.filter else ""
        return f'{{name: {self.name}, from: {self.of}{filtered}, window: {{functions: [{", ".join(self.functions)}], over: [{", ".join(self.over)}]}}}}'

    def column(self, function, span):
        return f"{self.name}__{function}_over_{span.replace(' ', '_')}_fixed_windows"

    def columns(self):
        return {self.column(function, span): self.TYPES[function][self.of] for function in self.functions for span in self.over}

    def changed(self, rng, name):
        """Other functions, windows or filter; of another name, at times."""
        other = Windowed(rng, name if name and rng.random() < 0.3 else self.name, self.of)
        if rng.random() < 0.5:
            other.filter = self.filter
        return other

    def verdicts(self, then):
        return []  # the part "windows" says them: see must_fill

    def gone(self):
        return []

    def must_fill(self, before):
        """True or False where it is plain whether it is full at once, by what was kept for those before; else None."""
        kept = [one for one in before if isinstance(one, Windowed) and (one.of, one.filter) == (self.of, self.filter)]
        if not kept:
            return True
        longest = max(Windowed.SPANS.index(span) for one in before if isinstance(one, Windowed) for span in one.over)
        is_shorter = max(map(Windowed.SPANS.index, self.over)) <= longest
        return False if is_shorter and any(function != "count" for one in kept for function in one.functions) else None


def first_window(rng):
    """Always there: rows of keys are kept with what is carried, and go out again."""
    made = Windowed(rng, "total", "a")
    made.filter, made.functions, made.over = None, ["sum", "count"], ["30 minutes"]
    return made


KINDS = (Plain, Plain, Windowed)


class Chain(Case):

    def new_name(self):
        self.n_names += 1
        return f"f{self.n_names}"

    def change(self, features):
        """Another list of features: some go, some come, some change, and their order."""
        rng = self.rng
        kept = [feature for feature in features if feature.name == "total" or rng.random() < 0.8]
        for i, feature in enumerate(kept):
            if feature.name != "total" and rng.random() < 0.3:
                retyped = not self.has_history and rng.random() < 0.3
                kept[i] = feature.changed(rng, None if retyped else self.new_name())
        for _ in range(rng.randrange(0, 3)):
            back = [name for name in self.types if "__" not in name and
                    name not in {column for feature in kept + features for column in feature.columns()}]
            if back and rng.random() < 0.4:  # one that went comes back
                name = rng.choice(back)
                kept.append(Plain(rng, name, rng.choice(sorted(self.types[name]))))
            else:
                kept.append(rng.choice(KINDS)(rng, self.new_name()))
        rng.shuffle(kept)
        return kept

    def events(self, first):
        rng = self.rng
        made = []
        for i in range(first, first + EVENTS):
            at = 1704067200 + i * 60 - (rng.randrange(LATE_S - 60) if rng.random() < 0.3 else 0)
            made.append({"id": i, "user": f"u{rng.randrange(KEYS) if rng.random() < 0.9 else KEYS}", "ts": at, "a": rng.randrange(100) / 4,
                         "b": rng.randrange(100), "c": rng.choice("xyz") * rng.randrange(4)})
        return made

    def declare_link(self, features, folder=""):
        self.write(os.path.join(folder, "chain.yaml"),
                   TEXT.format(features="\n".join("    - " + feature.yaml() for feature in features),
                               history="    - history: {path: out}\n" if self.has_history else ""))
        return os.path.join(folder, "chain.yaml")

    # ---- running ----

    def run_link(self, killed):
        """The rows of new events, by their ids, and each key's newest row that went out."""
        for name in ("new.jsonl", "newest.jsonl"):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        if killed:
            run = self.start("run", "chain.yaml", "--progress", "none")
            time.sleep(self.rng.random() * 0.4)  # any moment will do
            run.signal(9)
            run.wait()
        finished = self.freshet("run", "chain.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        return finished.err

    def rows_of(self, folder, first):
        new = {}
        for row in self.read_lines(os.path.join(folder, "new.jsonl")):
            if row["id"] >= first:
                self.assertEqual(new.setdefault(row["id"], row), row)  # one that comes again after a kill is the same
        newest = {}
        for row in self.read_lines(os.path.join(folder, "newest.jsonl")):
            newest.setdefault(row["user"], []).append(row)
        return new, newest

    def run_fresh(self, features, events):
        shutil.rmtree(self.path("fresh"), ignore_errors=True)
        file = self.declare_link(features, "fresh")
        self.write("fresh/in/all.jsonl", "".join(json.dumps(event) + "\n" for part in events for event in part))
        finished = self.freshet("run", file, "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)

    # ---- what is expected ----

    def check_plan(self, features, before, newest):
        planned = self.freshet("plan", "chain.yaml", "--detailed-exitcode")
        self.assertIn(planned.code, (0, 3), planned.out + planned.err)
        expected = []
        then = {feature.name: feature for feature in before}
        for feature in features:
            expected += feature.verdicts(then.pop(feature.name, None))
        for feature in then.values():
            expected += feature.gone()
        said = []
        for line in planned.out.splitlines():
            subject, _, rest = line.removeprefix("--   ").partition(" (" if " (" in line.split(":")[0] else ":")
            if line.startswith('--   feature "'):
                said.append((subject, rest.partition("): ")[2].partition(":")[0] if "): " in rest else rest.strip().partition(":")[0]))
        self.assertEqual(sorted(said), sorted(expected), planned.out)
        self.check_filling(features, before, planned.out, newest)

    def check_filling(self, features, before, planned, newest):
        """Notes until when which columns are null, at most; by name of the feature and its windows."""
        filling = dict(re.findall(r'(?m)^--   windows: feature "(\w+)" \(\S+\): fills from now on: (.*)$', planned))
        known = {feature.name for feature in before if isinstance(feature, Windowed)}
        was_filling = bool(self.until)
        for feature in features:
            if not isinstance(feature, Windowed):
                continue
            must = feature.must_fill(before)
            if must is True or (must is False and not was_filling and feature.name in known):
                self.assertEqual(feature.name in filling, must, (feature.yaml(), planned))
            if feature.yaml() not in {one.yaml() for one in before}:
                # plan tells of rows behind the newest one: a later one looks back further
                self.late.update(dict.fromkeys(feature.columns(), newest))
            for span, until in re.findall(r'"([^"]+)" is null until ([-0-9]+ [:0-9]+)', filling.get(feature.name, "")):
                at = calendar.timegm(time.strptime(until, "%Y-%m-%d %H:%M:%S"))
                for column in (feature.column(function, span) for function in feature.functions):
                    self.until[column] = max(at, self.until.get(column, 0))

    def is_filling(self, column, event):
        """May it be null in the row of that event?"""
        return event["ts"] < max(self.until.get(column, 0), self.late.get(column, 0))

    def check_rows(self, link, killed, features, new, newest, fresh_new, fresh_newest, events):
        kinds = {column: feature for feature in features for column in feature.columns()}
        by_id = {event["id"]: event for part in events for event in part}
        self.assertEqual(sorted(new), sorted(event["id"] for event in events[-1]))
        for number, row in new.items():
            self.assertEqual(sorted(row), sorted(fresh_new[number]))
            for column, value in fresh_new[number].items():
                feature = kinds.get(column)
                if row[column] is None and self.is_filling(column, by_id[number]):
                    self.n_filling += value is not None
                    continue
                self.assertEqual(row[column], value, (link, column, row))
        # Each row that went out for a key, in order; of a run that was killed some come again, and the last counts.
        pairs = [pair for user, rows in newest.items()
                 for pair in (zip(rows[-1:], fresh_newest[user][-1:]) if killed else zip(rows, fresh_newest[user][-len(rows):]))]
        for row, fresh in pairs:
            self.assertEqual(row["id"], fresh["id"])
            was = self.given[row["id"]]  # as it first went out, at its link
            for column, value in fresh.items():
                feature = kinds.get(column)
                if feature is None or not feature.carried:
                    if row[column] is not None or not self.is_filling(column, by_id[row["id"]]):
                        self.assertEqual(row[column], value, (link, column, row))
                    continue
                stays = self.came_at_link[column] <= row["id"] // EVENTS
                self.n_null += not stays
                self.assertEqual(row[column], was[column] if stays else None, (link, column, row))

    def note_columns(self, link, features, before):
        """Since when each column is there without a gap, with its type."""
        was = {column: kind for feature in before for column, kind in feature.columns().items()}
        for feature in features:
            for column, kind in feature.columns().items():
                if was.get(column) != kind:
                    self.came_at_link[column] = link
                self.types.setdefault(column, set()).add(kind)

    def check_history(self):
        columns = {column: f'"{next(iter(kinds))}"' for column, kinds in self.types.items()}
        rows = self.history({"id": "bigint", **columns}, keys="{name: user, type: string}")
        self.assertEqual([row["id"] for row in rows], sorted(self.given))
        for row in rows:
            for column in columns:
                self.assertEqual(row[column], self.given[row["id"]].get(column), (column, row))

    def follow(self, seed, killed):
        self.rng = random.Random(seed)
        self.n_names = 0
        self.has_history = seed % 2 == 0
        self.came_at_link, self.types, self.given, self.until, self.late = {}, {}, {}, {}, {}
        features, events = [first_window(self.rng)] + [Plain(self.rng, self.new_name()) for _ in range(3)], []
        before = []
        for link in range(LINKS + 1):
            if link > 0:
                features = self.change(before)
            events.append(self.events(link * EVENTS))
            self.note_columns(link, features, before)
            self.declare_link(features)
            if link > 0:
                self.check_plan(features, before, max(event["ts"] for part in events[:-1] for event in part))
            self.write(f"in/{link}.jsonl", "".join(json.dumps(event) + "\n" for event in events[-1]))
            self.run_link(killed)
            self.run_fresh(features, events)
            new, newest = self.rows_of("", link * EVENTS)
            fresh_new, fresh_newest = self.rows_of("fresh", 0)
            self.given.update(new)
            self.check_rows(link, killed, features, new, newest, fresh_new, fresh_newest, events)
            before = features
        if self.has_history:
            self.check_history()

    def test_chains(self):
        self.n_null = self.n_filling = 0
        for number in range((PAIRS + LINKS - 1) // LINKS):
            seed = SEED * 1000003 + number
            for name in os.listdir(self.folder):
                path = self.path(name)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
            with self.subTest(seed=seed):
                self.follow(seed, killed=number % 5 == 4)
        self.assertGreater(self.n_null, PAIRS // 10)
        print(f"{PAIRS} changes from the seed {SEED}; {self.n_null} cells of kept rows were null, "
              f"and {self.n_filling} of windows that fill")


if __name__ == "__main__":
    unittest.main()
