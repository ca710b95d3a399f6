"""`freshet compare` with the debug table of a running stream: what is equal, stale, missing, unknown and different, in
which numbers, with which exit code; while the stream runs on; types; what it refuses."""

import json
import math
import os
import threading
import time
import unittest

from freshet_testing import DEADLINE, Case, event, line

BOTH = "- online: {debug: true}\n    - history: {path: out}"
CLASSES = ("equal", "ahead", "in_flight", "expired", "unkept", "stale", "missing", "unknown", "different", "nowhere")


class CompareCase(Case):

    def compare(self, *args, name="events.yaml", code=0):
        """The first comparison of --json."""
        finished = self.freshet("compare", name, "--json", *args)
        self.assertEqual(finished.code, code, finished.err + finished.out)
        found = json.loads(finished.out)
        self.assertEqual(found["failed"], code == 1)
        return found["comparisons"][0]

    def counts(self, found):
        return {name: found[name] for name in CLASSES if found[name] != 0}

    def put(self, records, name="in/a.jsonl"):
        self.write(name, b"".join(line(record) for record in records))

    def other_history(self, records, folder="other", **declared):
        """A history of these records, by a batch of its own."""
        self.put(records, f"{folder}.in/a.jsonl")
        name = self.declare(folder + ".yaml", stream=False, pipeline=folder, path=f"{folder}.in/*.jsonl",
                            sink=f"- history: {{path: {folder}}}", **declared)
        self.good("run", name, "--progress", "none")
        return folder

    def until_published(self, n):
        """All rows are in the history's files, which the checkpoint shows."""
        def rows():
            finished = self.freshet("status")
            writers = json.loads(finished.out)["writers"] if finished.out else []
            return writers and all(writer["written"] == n for writer in writers)
        self.until(rows, f"{n} rows are published")


class ClassesTest(CompareCase):

    RECORDS = [event(i, keys=50) for i in range(500)]

    def setUp(self):
        super().setUp()
        self.put(self.RECORDS)
        self.declare(sink=BOTH)
        self.run_events = self.start_run("events.yaml")
        self.until_published(500)

    def test_classes(self):
        self.equal()
        self.each_class()
        self.limits()
        self.behind()

    def equal(self):
        for args in ((), ("--sample", "all"), ("--sample", "20"), ("--sample", "20", "--seed", "7")):
            with self.subTest(args=args):
                found = self.compare(*args)
                n = found["equal"]
                self.assertEqual(self.counts(found), {"equal": n})
                self.assertTrue(20 <= n <= 40 if "20" in args else n == 50, n)
        shown = self.good("compare", "events.yaml")
        self.assertIn("the debug table of events and the history in ", shown)
        self.assertRegex(shown, r"\n  equal +50\n$")

    def each_class(self):
        """A history with other rows: each difference is found, counted, told with both values and times."""
        records = [dict(record) for record in self.RECORDS]
        for record in records[450:453]:
            record["value"] += 1  # the newest rows of k0, k1, k2
        records[452]["id"] = -1
        records = [record for record in records if record["key"] != "k3"]
        records += [event(i, keys=50) for i in (501 + 4, 3600 + 55)]  # newer ones of k5
        records += [dict(event(499), key="new"), dict(event(500), key="k49")]
        folder = self.other_history(records)
        found = self.compare("--history", folder, "-o", "differences.jsonl", "--wait", "0s", code=1)
        self.assertEqual(self.counts(found), {"equal": 44, "stale": 2, "missing": 1, "unknown": 1, "different": 3})
        self.assertEqual(found["features"], {"id": 1, "value": 3})
        self.assertEqual(found["compared"], 51)
        self.assertEqual(found["failing"], 7)
        self.assertEqual(found["stale_by_s"], {"median": 3200, "most": 3200})
        told = self.read_lines("differences.jsonl")
        self.assertEqual(sorted(found["examples"], key=repr), sorted(told, key=repr))
        by = {(each["class"], each["key"]["key"], each.get("feature")): each for each in told}
        self.assertEqual(len(by), len(told))
        self.assertEqual(set(by), {("stale", "k5", None), ("stale", "k49", None), ("missing", "new", None),
                                   ("unknown", "k3", None), ("different", "k0", "value"), ("different", "k1", "value"),
                                   ("different", "k2", "value"), ("different", "k2", "id")})
        one = by["different", "k2", "value"]
        self.assertEqual((one["online_value"], one["history_value"]), (113, 114))
        self.assertEqual(one["online_timestamp"], one["history_timestamp"])
        self.assertTrue(one["online_timestamp"].startswith("2024-01-01T00:07:32"))
        one = by["stale", "k5", None]
        self.assertTrue(one["online_timestamp"].startswith("2024-01-01T00:07:35"))
        self.assertTrue(one["history_timestamp"].startswith("2024-01-01T01:00:55"))
        one = by["missing", "new", None]
        self.assertEqual((one["online_timestamp"], one["history_timestamp"][:19]), (None, "2024-01-01T00:08:19"))
        shown = self.freshet("compare", "events.yaml", "--history", folder, "--wait", "0s", "--examples", "1")
        self.assertEqual(shown.code, 1)
        self.assertIn("7 of 51 rows compared are stale, missing, unknown or different (13.7 %), and \"fail_above\" "
                      "allows 0", shown.err)
        self.assertIn("of the same time, with other values: id 1, value 3", shown.out)
        self.assertEqual(shown.out.count("    different  "), 1)
        # some keys only, and one that nobody has
        self.write("keys.csv", "other,key\n1,k5\n2,k6\n3,nobody\n")
        self.write("keys.jsonl", '{"key":"k5"}\n{"key":"k6"}\n{"key":"nobody"}\n')
        for keys in ("keys.csv", "keys.jsonl"):
            found = self.compare("--history", folder, "--keys", keys, "--wait", "0s", code=1)
            self.assertEqual(self.counts(found), {"equal": 1, "stale": 1, "nowhere": 1})

    def limits(self):
        """--fail-above and `compare:`, as a number and as a share; the grace; the tolerance."""
        records = [dict(record) for record in self.RECORDS] + [event(500 + i, keys=50) for i in range(5)]
        records[480]["value"] += 1e-9
        folder = self.other_history(records, "few")
        self.compare("--history", folder, "--fail-above", "5", "--wait", "0s", code=1)
        self.compare("--history", folder, "--fail-above", "6", "--wait", "0s")
        self.compare("--history", folder, "--fail-above", "11.9 %", "--wait", "0s", code=1)
        self.compare("--history", folder, "--fail-above", "12%", "--wait", "0s")
        found = self.compare("--history", folder, "--fail-above", "1", "--grace", "50s", "--wait", "0s")
        self.assertEqual(self.counts(found), {"equal": 44, "in_flight": 5, "different": 1})
        found = self.compare("--history", folder, "--fail-above", "5", "--grace", "49s", "--tolerance", "1e-10",
                             "--wait", "0s")
        self.assertEqual(self.counts(found), {"equal": 45, "stale": 5})
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("limits.yaml", text + "compare: {fail_above: 3 %, grace: 1 minute, tolerance: 1e-12}\n")
        found = self.compare("--history", folder, "--wait", "0s", name="limits.yaml")
        self.assertEqual(self.counts(found), {"equal": 44, "in_flight": 5, "different": 1})
        self.compare("--history", folder, "--wait", "0s", "--fail-above", "0", name="limits.yaml", code=1)

    def behind(self):
        """What is newer than the history's end is ahead; behind it, it is unknown."""
        folder = self.other_history(self.RECORDS[:470], "shorter")
        found = self.compare("--history", folder, "--wait", "0s")
        self.assertEqual(self.counts(found), {"equal": 20, "ahead": 30})
        folder = self.other_history(self.RECORDS[:460] + self.RECORDS[480:], "holes")
        found = self.compare("--history", folder, "--wait", "0s", code=1)
        self.assertEqual(self.counts(found), {"equal": 30, "unknown": 20})
        folder = self.other_history([event(1, keys=2)], "old")
        finished = self.freshet("compare", "events.yaml", "--history", folder, "--wait", "0s", "--grace", "1m",
                                "--keys", self.write("k0.csv", "key\nk0\n"))
        self.assertEqual(finished.code, 0)
        self.assertIn("nothing was compared of the debug table of events", finished.err)

    def test_absent_columns(self):
        """A feature that no file has is not compared; one that some lack is null there, as online."""
        folder = self.other_history(self.RECORDS, features=("{name: id, type: bigint}",))
        found = self.compare("--history", folder)
        self.assertEqual((found["not_compared"], found["equal"]), (["value"], 50))
        self.assertEqual(found["features"], {"id": 0})
        nulls = [dict(record, value=None) for record in self.RECORDS]
        self.put(nulls, "in/b.jsonl")
        self.until_published(1000)
        more = self.other_history([dict(event(1), key="x")], "more")
        for root, _, files in os.walk(self.path(more)):
            for file in files:
                if file.endswith(".parquet"):
                    os.rename(os.path.join(root, file), self.path(folder, "year=2024/month=1/day=1/more.parquet"))
        found = self.compare("--history", folder, "--wait", "0s", code=1)
        self.assertEqual(self.counts(found), {"equal": 50, "missing": 1})
        self.assertEqual(found["not_compared"], [])

    def test_restarted(self):
        """A debug table begins empty with its process: what came before is not missing there."""
        self.run_events.stop()
        self.put([event(i, keys=50) for i in range(500, 510)], "in/b.jsonl")
        self.start_run("events.yaml")
        self.until_published(10)
        found = self.compare()
        self.assertEqual(self.counts(found), {"equal": 10, "unkept": 40})


class MovingTest(CompareCase):

    def test_while_it_runs(self):
        """All keys change all the time, in lanes of their own times: what is ahead is proved once the history has it."""
        self.declare(sink=BOTH)
        self.put([event(i, keys=40) for i in range(200)])
        run = self.start_run("events.yaml")
        self.until(lambda: os.path.exists(self.path("out/year=2024")), "there is a history")
        ended = threading.Event()

        def write():
            at = 200
            while not ended.is_set():
                with open(self.path("in/a.jsonl"), "ab") as file:
                    file.write(b"".join(line(event(i, keys=40)) for i in range(at, at + 20)))
                with open(self.path("in/b.jsonl"), "ab") as file:
                    file.write(b"".join(line(dict(event(i - 150, keys=40), key=f"b{i % 40}"))
                                        for i in range(at, at + 20)))
                at += 20
                time.sleep(0.005)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for seed in range(1, 4):
                found = self.compare("--sample", "60", "--seed", str(seed), "--wait", f"{DEADLINE:.0f}s")
                self.assertEqual(self.counts(found), {"equal": found["equal"]})
                self.assertGreaterEqual(found["equal"], 60)
        finally:
            ended.set()
            writer.join()
        run.stop()


class ValuesTest(CompareCase):

    KINDS = {"flag": "boolean", "small": "integer", "single": "float", "real": "double", "exact": "decimal(38,9)",
             "bytes": "binary", "dated": "date", "at": "timestamp", "words": "array<string>", "numbers": "array<double>"}
    VALUES = {"flag": [True, False], "small": [0, 2**31 - 1], "single": ["NaN", -0.0, 0.1, "Infinity"],
              "real": ["NaN", -0.0, 0.1, 5e-324, "-Infinity"],
              "exact": ["1.5", "-99999999999999999999999999999.999999999"], "bytes": ["", "/wA="],
              "dated": ["0001-01-01", "2024-02-29"],
              "at": ["1969-12-31T23:59:59.999999Z", "2024-02-29T12:34:56.789012Z"],
              "words": [[], ["a", None, ""], ["a\nü"]], "numbers": [[0.5, None], [0.1 + 0.2]]}
    OTHERS = {"flag": True, "small": 1, "single": 0.3, "real": math.nextafter(0.1, 1), "exact": "1.500000001",
              "bytes": "/wE=", "dated": "2024-03-01", "at": "2024-02-29T12:34:56.789013Z", "words": ["a", "", None],
              "numbers": [0.3]}

    def test_types(self):
        """Every type and null, of keys, too: equal to itself, and different by the least there is."""
        nulls = dict.fromkeys(self.KINDS)
        records = [{**nulls, "id": 0}]
        for name, values in self.VALUES.items():
            records += [{**nulls, "id": len(records) + i, name: value} for i, value in enumerate(values)]
        for i, record in enumerate(records):
            record.update(name=f"it's \"{i}\" ü", when=f"2024-01-01T00:00:00.{i:06d}Z", seen=event(i)["seen"])
        others = []
        for i, name in enumerate(self.KINDS):
            at = next(j for j, record in enumerate(records) if record[name] is not None)
            others.append((records[at], {**records[at], name: self.OTHERS[name]}))
            if name != "flag":
                others[i] = (records[at + 1], {**records[at + 1], name: self.OTHERS[name]})
            else:
                others[i] = (records[at], {**records[at], name: False})
        declared = {"schema": {"id": "bigint", "name": "string", "when": "timestamp", "seen": "timestamp",
                               **{name: f'"{kind}"' for name, kind in self.KINDS.items()}},
                    "keys": "{name: id, type: bigint}, {name: name, type: string}, {name: when, type: timestamp}",
                    "features": [f'{{name: {name}, type: "{kind}"}}' for name, kind in self.KINDS.items()]}
        self.put(records)
        self.declare(sink=BOTH, **declared)
        self.start_run("events.yaml")
        self.until_published(len(records))
        found = self.compare()
        self.assertEqual(self.counts(found), {"equal": len(records)})
        found = self.compare("--sample", "all")
        self.assertEqual(self.counts(found), {"equal": len(records)})
        changed = {old["id"]: new for old, new in others}
        folder = self.other_history([changed.get(record["id"], record) for record in records], **declared)
        found = self.compare("--history", folder, "--wait", "0s", "--examples", "100", code=1)
        self.assertEqual(found["features"], dict.fromkeys(self.KINDS, 1))
        self.assertEqual(self.counts(found), {"equal": len(records) - len(changed), "different": len(changed)})
        for example in found["examples"]:
            self.assertNotEqual(example["online_value"], example["history_value"])

    def test_windows(self):
        """Rows of windows, of a writer that has some of the features only."""
        self.put([event(i, keys=20) for i in range(400)])
        self.declare(sink="- online: {debug: true}\n      select: [key, timestamp, value__avg_over_1_minute_fixed_windows]"
                          "\n    - history: {path: out, corrections: true}",
                     features=("{name: value, window: {functions: [avg, count], over: [1 minute, 1 hour]}}",))
        self.start_run("events.yaml")
        self.until_published(400)
        found = self.compare()
        self.assertEqual(self.counts(found), {"equal": 20})
        self.assertEqual(found["features"], {"value__avg_over_1_minute_fixed_windows": 0})


class RefusalsTest(CompareCase):

    def test_refusals(self):
        self.put([event(i) for i in range(10)])
        self.declare("neither.yaml", sink="- jsonl: {path: x.jsonl}")
        self.declare("alone.yaml", pipeline="alone")
        self.declare(sink=BOTH)
        for code, says, *args in (
                (78, "has no online store", "neither.yaml"),
                (75, "no pipeline", "events.yaml"),  # 1 is for rows that differ
                (2, "must be a number from 1 to 1000000, or all", "events.yaml", "--sample", "0"),
                (2, "is no time", "events.yaml", "--grace", "soon"),
                (2, "\"100 %\" must be a number of rows", "events.yaml", "--fail-above", "100 %"),
                (2, "must be a number from 0 to less than 1", "events.yaml", "--tolerance", "1")):
            with self.subTest(says=says):
                finished = self.freshet("compare", *args)
                self.assertEqual((finished.code, finished.out), (code, ""), finished.err)
                self.assertIn(says, finished.err)
        run = self.start_run("alone.yaml", pipeline="alone")
        self.until_count(10, run, "alone")
        for code, says, *args in ((78, "has no history to compare with", "alone.yaml"),
                                  (78, "has no files", "alone.yaml", "--history", "nowhere", "--wait", "0s")):
            finished = self.freshet("compare", *args)
            self.assertEqual((finished.code, finished.out), (code, ""), finished.err)
            self.assertIn(says, finished.err)
        # a table of a stream that begins anew each time has all rows, whenever the files were written
        self.assertEqual(self.counts(self.compare("--history", self.other_history([event(i) for i in range(10)]),
                                                  name="alone.yaml")), {"equal": 7})
        self.write("keys.csv", "kee\nk1\n")
        for name in ("keys.csv", "none.csv"):
            finished = self.freshet("compare", "alone.yaml", "--history", "other", "--keys", name)
            self.assertEqual(finished.code, 2, finished.err)
            self.assertIn(name + ": error: the keys cannot be read", finished.err)
        self.write("bad.yaml", "compare: {fail_above: many, tolerance: 2}\n")
        finished = self.freshet("check", "bad.yaml")
        self.assertIn("bad.yaml:1:23: error: \"fail_above\" cannot be \"many\"", finished.err)
        self.assertIn("\"tolerance\" cannot be \"2\"", finished.err)
        wrong = self.other_history([event(1)], "wrong", keys="{name: id, type: bigint}",
                                   features=("{name: value, type: double}",))
        finished = self.freshet("compare", "alone.yaml", "--history", wrong)
        self.assertEqual(finished.code, 78)
        self.assertIn("has no column \"key\"", finished.err)


if __name__ == "__main__":
    unittest.main()
