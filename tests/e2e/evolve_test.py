"""Plain and SQL features that come, go, get other names and types over a state that is there: what `freshet plan` says, what `run` does
and what the history then gives agree."""

import json
import os
import shutil
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: shop
source:
  readers:
    - {{id: ev, stream: true, file: {{path: in, format: json, schema: {{user: bigint, ts: bigint, amount: double, name: string}}}}}}
  query: select * from ev
feature_set:
  name: shop
  entity: user
  keys: [{{name: user, type: bigint}}]
  timestamp: {{from: ts, unit: s{lateness}}}
  features:
{features}
sink:
  writers:
    - {writer}
"""

NAME = "{name: name, type: string}"
NOM = "{name: nom, type: string, from: name}"
BIG = "{name: big, type: boolean, sql: amount > 5}"
BIGGER = "{name: big, type: boolean, sql: amount > 50}"
SPEND = "{name: spend, from: amount, window: {functions: [sum], over: [1 day]}}"
HISTORY = "history: {path: out}"


def row(user, second, amount, name):
    return json.dumps({"user": user, "ts": 1704067200 + second, "amount": amount, "name": name}) + "\n"


class EvolveTest(Case):

    def say(self, *features, writer=HISTORY, lateness="", new=""):
        self.write("shop.yaml", TEXT.format(features="\n".join("    - " + feature for feature in features), writer=writer,
                                            lateness=lateness))
        if new:
            self.n = getattr(self, "n", 0) + 1
            self.write(f"in/{self.n}.jsonl", new)

    def run_it(self, *features, **said):
        self.say(*features, **said)
        return self.freshet("run", "shop.yaml", "--once", "--progress", "none")

    def served(self, *features, **said):
        finished = self.run_it(*features, **said)
        self.assertEqual(finished.code, 0, finished.err)
        return finished.err

    def plan(self, *features, code, **said):
        self.say(*features, **said)
        finished = self.freshet("plan", "shop.yaml", "--detailed-exitcode")
        self.assertEqual(finished.code, code, finished.out + finished.err)
        return finished.out

    def test_plan_and_run_agree(self):
        self.assertIn("-- there is no state in ", self.plan(NAME, SPEND, code=0))
        self.served(NAME, SPEND, new=row(1, 0, 4, "a") + row(2, 1, 8, "b"))
        self.assertRegex(self.plan(NAME, SPEND, code=0),
                         r"-- the state in \S*shop.state \(checkpoint \d+ of 20\S*\) fits the declaration\n")
        # more
        plan = self.plan(NAME, BIG, SPEND, code=3)
        self.assertRegex(plan, r"--   windows: served as it is: it keeps keys user bigint; of each event amount double\n"
                               r'--   feature "big" \(shop.yaml:14:39\): served, null until the key\'s next event: is new: ')
        self.assertIn("-- the declaration that the state was kept for, and this one:\n--   +     - name: big\n"
                      "--   +       type: boolean\n--   +       sql: amount > 5\n", plan)
        self.assertEqual(plan, self.plan(NAME, BIG, SPEND, code=3))  # it changes nothing
        self.assertIn('feature "big": is new: ', self.served(NAME, BIG, SPEND))
        # told once, although no row came
        self.assertNotIn("is new", self.served(NAME, BIG, SPEND, new=row(1, 2, 6, "c")))
        self.assertIn("fits the declaration\n", self.plan(NAME, BIG, SPEND, code=0))
        # another name, another SQL
        plan = self.plan(NOM, BIGGER, SPEND, code=3)
        self.assertRegex(plan, r'feature "nom" \(shop.yaml:13:39\): .* made as feature "name", which is gone: a rename is a new column and one that goes')
        self.assertIn('--   feature "name": removed: is gone: rows from now on have no such column\n', plan)
        self.assertIn('served as it is: changed from `sql amount > 5 as boolean` to `sql amount > 50 as boolean`, and counts from here on\n', plan)
        self.assertIn('feature "name": is gone', self.served(NOM, BIGGER, SPEND, new=row(1, 3, 6, "d")))
        self.assertEqual([(r["name"], r["nom"], r["big"], r["spend__sum_over_1_day_fixed_windows"]) for r in self.history(
            {"name": "string", "nom": "string", "big": "boolean", "spend__sum_over_1_day_fixed_windows": "double"},
            order="timestamp", keys="{name: user, type: bigint}")],
            [("a", None, None, 4), ("b", None, None, 8), ("c", None, True, 10), (None, "d", False, 16)])
        # another type: another column for the state, and refused by the history
        plan = self.plan(NOM, "{name: big, type: integer, sql: amount > 5}", SPEND, code=78)
        self.assertIn("was boolean and is integer, which is another column", plan)
        self.assertIn('has a column of another type', plan)
        # what cannot be is refused by both, with all of it in the plan
        features = ("{name: name, type: string}", "{name: amount, type: double, sql: amount * 2}", SPEND)
        plan = self.plan(*features, lateness=", late: update", code=78)
        self.assertIn("cannot serve the declaration:\n", plan)
        self.assertIn("cannot be served: changed from `dead_letter or drop` to `update`", plan)
        refused = self.run_it(*features, lateness=", late: update")
        self.assertEqual(refused.code, 78)
        self.assertIn("timestamp: late changed from", refused.err)
        self.assertEqual(self.freshet("plan", "shop.yaml").code, 0)
        self.served(NOM, BIGGER, SPEND)

    def test_each_line_of_plan_names_its_subject_once(self):
        self.served(NAME, SPEND, new=row(1, 0, 4, "a"))
        text = TEXT.replace("[{{name: user, type: bigint}}]", "[{{name: name, type: string}}]")
        self.write("shop.yaml", text.format(features="    - " + SPEND, writer=HISTORY, lateness=""))
        plan = self.freshet("plan", "shop.yaml").out
        self.assertIn('--   windows (shop.yaml:10:17): cannot be served: were kept by "keys user bigint"', plan)
        self.assertNotRegex(plan, r"(?m)^--   key ")  # a key that cannot be is not said to be served
        self.assertRegex(self.freshet("run", "shop.yaml", "--once").err, r"(?m)^shop.yaml:10:17: error: the state in ")
        readers = TEXT.replace("    - {{id: ev", "    - {{id: new, stream: true, file: {{path: more, format: json, schema: {{user: bigint}}}}}}\n    - {{id: ev")
        readers = readers.replace("from ev", "from ev union all select user, null::bigint, null::double, null::varchar from new")
        self.write("shop.yaml", readers.format(features="    - " + NAME + "\n    - " + SPEND, writer=HISTORY, lateness=""))
        self.assertRegex(self.freshet("plan", "shop.yaml").out,
                         r'--   declaration \(shop.yaml:6:12\): cannot be served: the reader "ev" was number 1 in the list')

    def test_inspect_leaves_out_what_is_not_kept(self):
        count = "{name: n, from: amount, window: {functions: [count], over: [1 day]}}"
        last = "{name: last, from: name, window: {functions: [last], over: [1 day]}}"
        self.served(count, new=row(1, 0, 4, "a") + row(2, 0, 4, "b"))
        self.served(count, last, NAME, new=row(1, 1, 8, None))

        def shown(user):
            return json.loads(self.good("state", "inspect", "shop.yaml", "--key", f"user={user}"))
        kept = shown(1)
        self.assertEqual(kept["events"], [{"second": "2024-01-01T00:00:00.000000Z", "amount": True},
                                          {"second": "2024-01-01T00:00:01.000000Z", "amount": True, "column name": None}])
        self.assertEqual(kept["known_from"], {"column name": "2024-01-01T00:00:01.000000Z"})
        self.assertEqual(kept["row"], {"name": None})
        kept = shown(2)  # as it was saved
        self.assertEqual((kept["events"], kept["known_from"], kept["row"]), (
            [{"second": "2024-01-01T00:00:00.000000Z", "amount": True}], {"column name": "2024-01-01T00:00:01.000000Z"}, {}))

    def test_all_windows_go_and_come(self):
        kept = dict(writer="jsonl: {path: out.jsonl}")
        self.served(NAME, SPEND, new=row(1, 0, 4, "a"), **kept)
        plan = self.plan(NAME, code=3, **kept)
        self.assertIn("--   windows: removed: the declaration has no longer windows, and what was kept for it is removed\n", plan)
        self.served(NAME, new=row(1, 1, 8, "b"), **kept)
        self.assertNotIn('"windows"', self.good("state", "ls", "shop.yaml", "--format", "json"))
        partial = SPEND.replace("[1 day]", "[1 day], until_full: partial")
        self.served(NAME, partial, new=row(1, 2, 16, "c") + row(1, 3, 32, "d"), **kept)
        self.assertEqual([r.get("spend__sum_over_1_day_fixed_windows") for r in self.read_lines("out.jsonl")], [4, None, 16, 48])

    def test_a_state_that_never_had_a_row(self):
        """What is new is known of all rows, however long ago they were: nothing goes by the clock."""
        kept = dict(writer="jsonl: {path: out.jsonl, rows: online}")
        rows = "{name: three, from: amount, window: {mode: row_windows, functions: [sum], over: [3 events]}}"
        many = "{name: spend, from: amount, window: {functions: [sum, count], over: [1 day, 2 days]}}"
        first = "{name: first, from: amount, window: {mode: row_windows, order_by: amount, functions: [first], over: [1 events]}}"
        os.makedirs(self.path("in"))
        self.served(NAME, **kept)
        plan = self.plan(NAME, SPEND, first, code=0, **kept)
        self.assertIn("--   windows: served as it is: no row has come yet, so none is missing\n", plan)
        self.assertIn("--   windows by user, ordered by amount: served as it is: no row has come yet", plan)
        self.assertNotIn("fills", plan)
        self.assertNotIn("fills", self.served(NAME, SPEND, first, **kept))
        self.assertNotIn("fills", self.plan(NAME, many, rows, first, code=0, lateness=", lateness: 1 hour", **kept))
        self.served(NAME, many, rows, first, new="".join(row(1, i, 4, "a") for i in range(4)), lateness=", lateness: 1 hour", **kept)
        self.assertEqual([[r[f"spend__sum_over_{span}_fixed_windows"] for span in ("1_day", "2_days")] +
                          [r["three__sum_over_3_events_row_windows"]] for r in self.read_lines("out.jsonl")],
                         [[4, 4, 4], [8, 8, 8], [12, 12, 12], [16, 16, 12]])

    def test_a_run_that_was_cut_off_before_there_was_a_state(self):
        """What it has begun is no state yet, and none that is damaged."""
        self.served(NAME, SPEND)
        for name in os.listdir(self.path("shop.state")):
            if name not in ("lock", "seal"):
                shutil.rmtree(self.path(os.path.join("shop.state", name)))
        self.assertIn("-- there is no state in shop.state yet: the first run makes it\n", self.plan(NAME, SPEND, code=0))
        os.remove(self.path("shop.state/lock"))
        self.assertIn("no run has kept one there", self.freshet("plan", "shop.yaml").err)

    def test_longer_row_windows_are_told_at_each_start(self):
        kept = dict(writer="jsonl: {path: out.jsonl}")
        of = "{{name: last, from: amount, window: {{mode: row_windows, functions: [sum], over: [{} events]}}}}"
        self.served(NAME, of.format(2), new="".join(row(1, i, 1, "a") for i in range(4)), **kept)
        says = r'feature "last"( \(.*\))?: fills from 2023-12-31 23:00:0\d on: "3 events" is null until a key has had as many'
        self.assertRegex(self.plan(NAME, of.format(3), code=3, **kept), says)
        for i in range(4, 7):
            self.assertRegex(self.served(NAME, of.format("2 events, 3"), new=row(1, i, 1, "a"), **kept), says)
            self.assertRegex(self.plan(NAME, of.format("2 events, 3"), code=3, **kept), says)
        self.assertNotIn("fills", self.plan(NAME, of.format(2), code=0, **kept))  # those are whole

    def test_first_windows_behind_a_join(self):
        """They begin behind its newest row, by event time."""
        text = TEXT.replace("{{id: ev, stream: true,", "{{id: ev, stream: true, timestamp: {{from: ts, unit: s}}, within: 1 minute,").replace(
            "  query: select * from ev", "    - {{id: side, stream: true, timestamp: {{from: ts, unit: s}}, within: 1 minute, file: {{path: side, "
            "format: json, schema: {{user: bigint, ts: bigint}}}}}}\n  query: select e.* from ev e join side s on s.user = e.user and s.ts = e.ts")

        def run(*features, of):
            self.write("shop.yaml", text.format(features="\n".join("    - " + feature for feature in features), writer="jsonl: {path: out.jsonl}",
                                                lateness=""))
            for i in of:
                self.write(f"in/{i}.jsonl", row(1, i, 1, "a"))
                self.write(f"side/{i}.jsonl", row(1, i, 1, "a"))
            finished = self.freshet("run", "shop.yaml", "--once", "--progress", "none")
            self.assertEqual(finished.code, 0, finished.err)
            return finished.err

        os.makedirs(self.path("in"))
        os.makedirs(self.path("side"))
        run(NAME, of=())
        self.assertNotIn("fills", run(NAME, SPEND, of=()))
        self.good("state", "reset", "shop.yaml", "--yes")
        run(NAME, of=range(100, 103))
        self.assertIn('fills from 2024-01-01 00:01:43 on: "1 day" is null until 2024-01-02 00:01:43', run(NAME, SPEND, of=()))

    def test_without_windows(self):
        """Nothing is kept of rows: a new feature is in each row from now on."""
        self.served(NAME, writer="jsonl: {path: out.jsonl}", new=row(1, 0, 4, "a"))
        plan = self.plan(NAME, BIG, writer="jsonl: {path: out.jsonl}", code=0)
        self.assertRegex(plan, r'feature "big" \(.*\): served as it is: is new: in each row from now on\n')
        self.served(NAME, BIG, writer="jsonl: {path: out.jsonl}", new=row(1, 1, 8, "b"))
        self.served(NAME, "{name: big, type: integer, sql: amount > 5}", writer="jsonl: {path: out.jsonl}", new=row(1, 2, 8, "c"))
        self.assertEqual([r.get("big") for r in self.read_lines("out.jsonl")], [None, True, 1])

    def test_pending_files_of_the_old_columns(self):
        """Files that a killed run left aside have the old columns; they are shown, and the new ones go beside them."""
        self.served(NAME, SPEND, new=row(1, 0, 4, "a"))
        self.say(NAME, SPEND, new=row(1, 1, 4, "b"))
        run = self.start("run", "shop.yaml", "--progress", "none")
        self.until(lambda: len(self.shown()) == 2, "the second file", run)
        self.assertIn("fits the declaration\n", self.plan(NAME, SPEND, code=0))  # while it runs
        run.signal(9)
        run.wait()
        self.served(NAME, BIG, SPEND, new=row(1, 2, 8, "c"))
        self.assertEqual([(r["name"], r["big"]) for r in self.history({"name": "string", "big": "boolean"}, order="timestamp",
                                                                      keys="{name: user, type: bigint}")],
                         [("a", None), ("b", None), ("c", True)])

    def shown(self):
        return [name for _, _, names in os.walk(self.path("out")) for name in names if name.endswith(".parquet")]

    def test_a_state_of_a_newer_version(self):
        """The layout's number is in the state; of a newer one nothing is read."""
        self.served(NAME, SPEND, new=row(1, 0, 4, "a"))
        self.assertIn('"version": 1', self.good("state", "ls", "shop.yaml", "--format", "json"))


if __name__ == "__main__":
    unittest.main()
