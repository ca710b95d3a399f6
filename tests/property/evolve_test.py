"""Random declarations that follow each other over one state, and random events: what `freshet plan` says of each change, what the run
then gives, and what a fresh run of the same declaration over all events gives agree.

A CHAIN is a declaration and LINKS changes of it (evolve_testing.py: windows, rolling windows, a row a day, groups, newest rows, seen events, stacks;
one reader, several under UNION ALL, two joined, one with forward_fill); each link has a part of the events. At each link:

    plan     the new declaration over the state: refused where the change cannot be served, and only there. Plain features have the verdict
             that is expected
    refused  the run ends with 78, the state stays as it is, and the link is the old declaration's
    run      over the events of this link; of some chains killed on the way, and begun again
    fresh    a run of the new declaration alone, over all events so far, in a folder of its own

and then, of each column by itself:

    the rows              those of the fresh run: of windows and plain sets one for each event, of groups those that events of this link fall into,
                          of rolling windows those whose end the time has passed in this link
    a cell                equals that of the fresh run; or it is null, while plan has said that it fills, and until then at most; or, with
                          `until_full: partial`, it is what Python makes of some of the events, the last ones among them
    a value not kept      is null exactly in windows that begin at the key's newest event of before, or before it
    a key that is new     lacks nothing
    each key's newest row the same; but a plain column that came in since its event is null, and one that stays has what the declaration of
                          its event's time made of it
    the history           at the end of the chain: each event's row as it went out at its link, null where the link had no such column

FRESHET_PAIRS is how many changes are tried (40), a fifth of the chains with kills; FRESHET_SEED another beginning; FRESHET_KIND one kind only.
"""

import calendar
import collections
import hashlib
import json
import os
import random
import re
import shutil
import time
import unittest

import evolve_testing as declared
from evolve_testing import Column, Plain, Set, same
from freshet_testing import Case

LINKS = 5
PAIRS = int(os.environ.get("FRESHET_PAIRS", "40"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
KINDS = [os.environ["FRESHET_KIND"]] if "FRESHET_KIND" in os.environ else list(declared.KINDS)
NEVER = float("inf")


def second_of(text):
    return calendar.timegm(time.strptime(text[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S"))


class Said:
    """What plan says of filling: {(feature, pivot value): {window: the second from which on it is full}}."""

    LINE = re.compile(r'^--   (?:windows[^:]*|groups): feature "(\w+)"(?: of "(\w+)")? \([^)]*\): fills from [-: 0-9a-z]+ on: (.*)$', re.M)
    WINDOW = re.compile(r'"([^"]+)" (?:is null|holds what is known) until ([-0-9]+ [:0-9]+)?')

    def __init__(self, text):
        self.text = text
        self.until = {}
        for name, value, rest in self.LINE.findall(text):
            windows = self.until.setdefault((name, value or None), {})
            for window, until in self.WINDOW.findall(rest):
                windows[window] = second_of(until) if until else NEVER
            if re.search(r" and \d+ more", rest):
                windows["..."] = NEVER
        late = re.findall(r"windows of such rows are null until ([-0-9]+ [:0-9]+)", text)
        self.late_until = max(map(second_of, late), default=0)
        self.slides = "aggregated.windows: slide" in text

    def of(self, column):
        """Until when the column may be null; None: plan says nothing of it."""
        windows = self.until.get((column.feature.name, column.value))
        if windows is None:
            return None
        return windows.get(column.span or "the rows of one time", windows.get("..."))


class Chain(Case):

    # ---- running ----

    def declare_link(self, made, folder="", lateness=None):
        return self.write(os.path.join(folder, "chain.yaml"), made.yaml(lateness))

    def write_records(self, records, folder, name):
        for reader in {reader for reader, _ in records} | set(self.made.source.readers()):
            lines = "".join(json.dumps(record) + "\n" for of, record in records if of == reader)
            self.write(os.path.join(folder, f"in_{reader}", name), lines)

    def run_link(self, killed):
        for name in ("new.jsonl", "newest.jsonl"):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        if killed:
            run = self.start("run", "chain.yaml", "--progress", "none")
            time.sleep(self.rng.random() * 0.4)  # any moment will do
            run.signal(9)
            run.wait()
        self.good("run", "chain.yaml", "--once", "--progress", "none")
        return self.read_lines("new.jsonl"), self.read_lines("newest.jsonl")

    def run_fresh(self):
        """All rows of all events: as they are after the last event, and where windows end later, with these."""
        shutil.rmtree(self.path("fresh"), ignore_errors=True)
        latest = max(self.latenesses, key=declared.LATENESS.get)
        self.declare_link(self.made, "fresh", latest)
        self.write_records([record for part in self.records for record in part], "fresh", "all.jsonl")
        self.good("run", "fresh/chain.yaml", "--once", "--progress", "none")
        new, newest = self.read_lines("fresh/new.jsonl"), self.read_lines("fresh/newest.jsonl")
        if self.made.over:
            self.good("run", "fresh/chain.yaml", "--once", "--drain", "--progress", "none")
            new = self.read_lines("fresh/new.jsonl")
        return new, newest

    def state(self):
        """All that the state holds, as text."""
        if os.path.exists(self.path("state.jsonl")):
            os.remove(self.path("state.jsonl"))
        self.good("state", "export", "chain.yaml", "-o", "state.jsonl")
        with open(self.path("state.jsonl"), encoding="utf-8") as file:
            return file.read()

    # ---- plan ----

    def plan(self, fate, names):
        """What plan says; None: it is refused, and so is the run."""
        planned = self.freshet("plan", "chain.yaml", "--detailed-exitcode")
        self.assertIn(planned.code, (0, 3, 78), planned.out + planned.err)
        is_refused = planned.code == 78
        if fate != "either":
            self.assertEqual(is_refused, fate == "refused", (names, planned.out, planned.err))
        if is_refused:
            before = self.state()
            run = self.freshet("run", "chain.yaml", "--once", "--progress", "none")
            self.assertEqual(run.code, 78, (names, planned.out, run.err))
            self.assertTrue(self.state() == before, names)
            return None
        return Said(planned.out)

    def check_verdicts(self, before, said):
        """Of plain features plan says what each is made of itself."""
        expected, then = [], {feature.name: feature for feature in before.plain()}
        for feature in self.made.plain():
            expected += feature.verdicts(then.pop(feature.name, None), bool(self.made.windowed()))
        expected += [(f'feature "{name}"', "removed") for name in then]
        found = []
        for line in said.text.splitlines():
            match = re.match(r'--   (feature "\w+")(?: \([^)]*\))?: ([^:]*)', line)
            if match:
                found.append(match.groups())
        self.assertEqual(sorted(found), sorted(expected), said.text)

    # ---- what is known of values, keys and columns ----

    def note_link(self, link, before):
        """Since which link each column is there without a gap, and each value was kept."""
        was = {} if before is None else before.columns()
        kept = set() if before is None else {feature.value() for feature in before.windowed()}
        # of windows that are the first ones nobody knows which keys there were, nor of groups which were forgotten
        self.is_any_key |= before is not None and (not before.windowed() or (before.over, before.slide, before.distinct) !=
                                                   (self.made.over, self.made.slide, self.made.distinct))
        for name, column in self.made.columns().items():
            kind = column.type if isinstance(column, Plain) else declared.TYPED.get(column.function, {}).get(column.feature.of, "?")
            then = was.get(name)
            if then is None or isinstance(column, Plain) != isinstance(then, Plain) or (isinstance(column, Plain) and then.type != column.type):
                self.came_at_link[name] = link
            self.types.setdefault(name, set()).add(kind)
        self.made.written.update({feature.name: (feature.type,) for feature in self.made.plain()})
        for value in {feature.value() for feature in self.made.windowed()} - kept:
            self.kept_at_link[value] = link

    def newest_of(self, user, link):
        """The key's newest event before that link: its second, or None."""
        return max((event["ts"] for part in self.events[:link] for event in part if event["u"] == user), default=None)

    def first_link_of(self, user):
        return next(link for link, part in enumerate(self.events) if any(event["u"] == user for event in part))

    # ---- cells ----

    def begin_of(self, column, at):
        """The first second of its window; None: that is not by time."""
        if column.feature.mode == "rows" and not self.made.is_aggregated:
            return None
        return at - declared.SECONDS[column.span] if column.span else at

    def must_be_null(self, column, user, at):
        """True or False where that follows from the key's events alone; else None."""
        link = self.kept_at_link[column.feature.value()]
        begin = self.begin_of(column, at)
        if self.made.is_partial_anywhere(column) or begin is None or self.is_loose or column.feature.by:
            return None
        if self.first_link_of(user) >= self.changed_at_link and not self.is_any_key:
            return False
        newest = self.newest_of(user, link)
        return True if link > 0 and newest is not None and begin <= newest else None

    def may_be_null(self, said, column, at):
        """Has plan said so? A row behind the newest one of the change looks back further than those of which it tells; and what it said at an
        earlier start holds of a late row, though rows that are not late are beyond it. What depends on a key's events is said at each start."""
        until, window = said.of(column), (column.feature.name, column.value, column.span)
        if until is not None:
            self.late[window] = max(self.newest, self.late.get(window, 0), until if until != NEVER else 0)
        return at < max(until or 0, said.late_until, self.late.get(window, 0))

    def check_cell(self, said, name, column, row, expected):
        at, user, found = second_of(row["timestamp"]), row["u"], row[name]
        must = self.must_be_null(column, user, at)
        where = (self.made.kind, name, row, expected, said.text)
        if must:
            self.assertIsNone(found, ("a value that was not kept", *where))
            self.n_filling += 1
        elif same(found, expected):
            return
        elif must is False:
            self.fail(("a new key lacks something", *where))
        elif self.made.is_partial_anywhere(column) and self.is_partial(column, row, found):
            self.n_partial += 1
        else:
            self.assertIsNone(found, ("a cell", *where))
            self.assertTrue(self.may_be_null(said, column, at), ("null later than plan says", *where))
            self.n_filling += 1

    def is_partial(self, column, row, found):
        """Is it what some of the window's events give, the last ones among them?"""
        if found is None and column.function in ("first", "last"):
            return True
        function = declared.AGGREGATES.get(column.function)
        is_filled = self.made.kind == "filled" and "b" in (column.feature.of, (column.feature.filter or "")[:1])
        if function is None or column.feature.of not in "abc" or is_filled:
            return True  # that is not known here
        at, feature = second_of(row["timestamp"]), column.feature
        begin = self.begin_of(column, at)
        if begin is None or feature.by:
            return True
        known = [(event["ts"], link, event) for link, part in enumerate(self.events) for event in part if event["u"] == row["u"]]
        come = next((i + 1 for i, one in enumerate(known) if one[2]["id"] == row.get("id")), len(known))
        is_last_in = not (self.made.is_aggregated and column.span)
        known = [(i < come, *one) for i, one in enumerate(known) if begin <= one[0] < at + is_last_in]
        first = sum(one[0] for one in known)
        return any(self.gives(column, function, sorted(known[:n], key=lambda one: one[1]), found) for n in range(first, len(known) + 1))

    def gives(self, column, function, known, found):
        """Do those of a link and later, and those from a time on, give it?"""
        feature = column.feature
        for since in range(self.link + 1):
            for first in {one[1] for one in known} | {NEVER}:
                events = [event for _, ts, link, event in known if (link >= since or ts >= first) and declared.passes(feature.filter, event)
                          and column.value in (None, event["c"])]
                if same(found, function([event[feature.of] for event in events if event[feature.of] is not None])):
                    return True
                if column.value and not events and found is None:
                    return True
        return False

    # ---- rows of events ----

    def check_event_rows(self, said, killed, rows, fresh):
        """Rows of windows and of plain sets: by the id of their event, in the order in which they came."""
        wanted = collections.defaultdict(list)
        for row in fresh:
            wanted[row["id"]].append(row)
        columns = self.made.columns()
        for row in rows:
            occurrence = self.n_given[row["id"]]
            self.n_given[row["id"]] = occurrence + 1
            self.assertIn(row["id"], wanted, row)
            others = wanted[row["id"]]
            other = others[min(occurrence, len(others) - 1)]
            if killed:  # it may have come before
                other = next((one for one in others if all(same(value, row[name]) or (row[name] is None and isinstance(columns.get(name), Column))
                                                           for name, value in one.items())), other)
            self.given.setdefault(row["id"], row)
            self.versions[row["id"]].append(row)
            self.assertEqual(sorted(row), sorted(other))
            for name, value in other.items():
                if isinstance(columns.get(name), Column):
                    self.check_cell(said, name, columns[name], row, value)
                else:
                    self.assertEqual(row[name], value, (name, row, other))
        counts = {number: len(rows) for number, rows in wanted.items()}
        if killed:
            self.assertEqual(sorted(self.n_given), sorted(counts))
            self.n_given = collections.Counter(counts)
        else:
            self.assertEqual(dict(self.n_given), counts)

    def check_newest_rows(self, said, killed, newest, fresh_newest):
        """Each row that went out for a key, in order; where some may have come again, or have left windows, the last."""
        last, fresh = collections.defaultdict(list), collections.defaultdict(list)
        for row in newest:
            last[row["u"]].append(row)
        for row in fresh_newest:
            fresh[row["u"]].append(row)
        users = {event["u"] for event in self.events[-1]}
        for user, rows in last.items():
            n = 1 if killed or self.made.refresh or self.is_loose or self.is_other_time or self.is_any_key else len(rows)
            for row, other in zip(rows[-n:], fresh[user][-n:], strict=True):
                if (row["id"], row["timestamp"]) == (other["id"], other["timestamp"]):
                    self.check_newest_row(said, row, other)
                else:  # what leaves windows goes by those of then
                    is_other = self.made.refresh and (user not in users or self.is_other_time)
                    self.assertTrue(is_other or self.is_any_key, (row, other, said.text))
        if self.made.kind != "joined":  # there some wait
            self.assertLessEqual(users - set(last), set())

    def check_newest_row(self, said, row, other):
        columns, was = self.made.columns(), self.given[row["id"]]
        if self.made.stack:  # which of the rows of that event
            was = next(one for one in reversed(self.versions[row["id"]]) if one["stacked"] == row["stacked"])
        for name, value in other.items():
            column = columns.get(name)
            if isinstance(column, Column) and not column.feature.by and not column.feature.order:
                self.check_cell(said, name, column, row, value)
            elif column is None:
                self.assertEqual(row[name], value)
            elif not self.is_loose:
                stays = self.came_at_link[name] <= self.link_of[row["id"]] or not self.made.windowed()
                self.n_null += not stays
                # one that was gone for a while is as it was, where nothing of its key was saved meanwhile
                self.assertIn(row[name], [was[name]] if stays else [None, was.get(name)], (name, row, other))

    # ---- rows of groups ----

    def check_group_rows(self, said, rows, fresh):
        """Rows of groups and rolling windows: by their key and time, the newest version of each."""
        wanted = {(row["u"], row["timestamp"]): row for row in fresh}
        found = {(row["u"], row["timestamp"]): row for row in rows}
        columns = self.made.columns()
        for key, row in found.items():
            other = wanted.get(key)
            if other is None:  # the windows of then were longer: what they hold has left
                self.assertTrue(self.made.refresh, row)
                self.assertEqual([row[name] for name in columns if row[name] is not None], [], row)
                continue
            self.assertEqual(sorted(row), sorted(other))
            for name, column in columns.items():
                self.check_cell(said, name, column, row, other[name])
        self.check_group_keys(said, found, wanted)

    def check_group_keys(self, said, found, wanted):
        if self.made.kind == "groups":
            times = {(event["u"], event["ts"]) for event in self.events[-1]}
            self.assertEqual({(user, second_of(at)) for user, at in found}, times)
            return
        until = max((until for windows in said.until.values() for until in windows.values() if until != NEVER), default=0)
        lacking = [row for (user, at), row in wanted.items()
                   if self.is_due(user, second_of(at)) and second_of(at) >= until and (user, at) not in found and not self.is_gone_row(row)]
        self.assertEqual(lacking[:3], [], (self.time_before, self.time_now, said.text))
        # windows of another length may end at other times: the first ends behind the last rows of those of then
        since = self.time_before - (max(300, declared.SECONDS[self.made.slide]) if self.made.over != self.over_before else 0)
        if self.made.emit == "close":
            self.assertEqual([key for key in found if not (since < second_of(key[1]) or self.is_new_in_grid(key[0])) or
                              second_of(key[1]) > self.time_now], [], said.text)

    def is_new_in_grid(self, user):
        """Its rows begin with the first day of all keys, at once."""
        return self.made.kind == "grid" and self.first_link_of(user) == self.link

    def is_due(self, user, end):
        """Does the row of the windows with that end go out in this link?"""
        if self.made.emit == "close":
            return (self.time_before < end or self.is_new_in_grid(user)) and end <= self.time_now
        longest = max(declared.SECONDS[span] for span in self.made.over)
        return any(event["u"] == user and end - longest <= event["ts"] < end for event in self.events[-1])

    def check_newest_groups(self, said, newest, fresh_newest):
        """The row that each key has online."""
        last, fresh = ({row["u"]: row for row in rows} for rows in (newest, fresh_newest))
        for user, row in last.items():
            other = fresh.get(user)
            if other is None or row["timestamp"] != other["timestamp"]:  # by windows, a slide or a lateness of then
                self.assertTrue(self.is_other_time or self.is_any_key, (row, other, said.text))
                continue
            for name, column in self.made.columns().items():
                self.check_cell(said, name, column, row, other[name])

    def is_gone_row(self, row):
        """A row of nulls: it tells that all has left, by the windows of then or of now."""
        return all(row[name] is None for name in self.made.columns())

    # ---- the chain ----

    def check_history(self):
        columns = {column: f'"{next(iter(kinds))}"' for column, kinds in self.types.items()}
        rows = self.history({"id": "bigint", **columns}, keys="{name: u, type: string}")
        self.assertEqual(collections.Counter(row["id"] for row in rows), self.n_given)
        for row in rows:
            found = {column: row[column] for column in columns}
            self.assertIn(found, [{column: given.get(column) for column in columns} for given in self.versions[row["id"]]])

    def begin(self, kind, seed):
        for name in os.listdir(self.folder):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        self.rng = random.Random(seed)
        self.seed = seed
        self.came_at_link, self.kept_at_link, self.types, self.given, self.late, self.link_of = {}, {}, {}, {}, {}, {}
        self.n_given, self.versions = collections.Counter(), collections.defaultdict(list)
        self.events, self.records, self.latenesses = [], [], []
        self.changed_at_link = 0
        self.time_now = self.newest = -NEVER
        self.is_other_time = self.is_any_key = self.is_closing = False
        self.made = Set(self.rng, kind, seed % 2 == 0)
        self.is_loose = not self.made.source.has_order

    def take_change(self):
        """Another declaration, if plan serves it: what plan says of it."""
        before = self.made
        self.made, fate, names = before.change()
        self.declare_link(self.made)
        said = self.plan(fate, names)
        if said is None:
            self.counts["refused"] += 1
            self.made = before
            self.declare_link(before)
            said = self.plan("served", ["none"])
        else:
            self.counts["filled" if said.until or said.late_until or said.slides else "served"] += 1
            self.is_other_time |= self.made.lateness != before.lateness or self.made.refresh != before.refresh
            if not self.made.is_aggregated:
                self.check_verdicts(before, said)
            if said.until or said.late_until:
                self.changed_at_link = self.link
        return said, before

    def follow_link(self, killed):
        said, before = Said(""), None
        # what one number of workers has kept another one reads
        self.env = {**self.env, "FRESHET_WORKERS": str((1, 2, 5)[(self.seed + self.link) % 3])}
        self.over_before = self.made.over
        if self.link > 0:
            said, before = self.take_change()
        self.note_link(self.link, before)
        # What has left windows by `refresh`, or has been forgotten by `deduplicate`, is closed, also where lateness becomes more.
        self.is_closing |= bool(self.made.refresh or self.made.within)
        closed = max(self.time_now + 60, 0) if self.is_closing else 0
        # of ids that were not kept plan says that they come once more
        again = [] if "deduplicate" in said.text and "ids of events before" in said.text or self.link == 0 else self.records[-1][-3:]
        events, records = declared.draw_events(self.rng, self.made, self.link, self.link * declared.EVENTS, closed, again)
        self.events.append(events)
        self.records.append(records)
        self.latenesses.append(self.made.lateness)
        self.link_of.update({event["id"]: self.link for event in events})
        self.time_before = self.time_now
        newest = max(event["ts"] for event in events)
        self.declare_link(self.made)
        self.write_records(records, "", f"{self.link}.jsonl")
        rows, newest_rows = self.run_link(killed)
        self.time_now = max(self.time_now, max(newest, self.newest) - declared.LATENESS[self.made.lateness])
        fresh, fresh_newest = self.run_fresh()
        if self.made.is_aggregated:
            self.check_group_rows(said, rows, fresh)
            self.check_newest_groups(said, newest_rows, fresh_newest)
        else:
            self.check_event_rows(said, killed, rows, fresh)
            self.check_newest_rows(said, killed, newest_rows, fresh_newest)
        self.newest = max(newest, self.newest)

    def follow(self, kind, seed, killed):
        self.begin(kind, seed)
        for self.link in range(LINKS + 1):
            self.follow_link(killed)
        if self.made.has_history:
            self.check_history()

    def test_chains(self):
        self.n_null = self.n_filling = self.n_partial = 0
        self.counts = collections.Counter()
        n, told = (PAIRS + LINKS - 1) // LINKS, declared.Progress(PAIRS)
        for number in range(n):
            kind, seed = KINDS[number % len(KINDS)], SEED * 1000003 + number
            with self.subTest(kind=kind, seed=seed):
                self.follow(kind, seed, killed=number % 5 == 4)
            told.tell(sum(self.counts.values()), f"chain {number + 1} of {n}")
        tried = sum(self.counts.values())
        print(f"{tried} changes from the seed {SEED}: {self.counts['served']} served, {self.counts['filled']} that fill, {self.counts['refused']} refused; "
              f"{self.n_null} cells of kept rows were null, {self.n_filling} of windows that fill, {self.n_partial} partial")
        self.assertGreater(self.counts["served"] + self.counts["filled"], tried // 2)


if __name__ == "__main__":
    unittest.main()
