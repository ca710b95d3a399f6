"""A stream whose past lies elsewhere (`bootstrap`): the past is read first, in the order of its times, and then what comes
live. The naive twin is one stream over both, in the order of their times. From a topic it is in kafka_test.py."""

import json
import os
import shutil
import time

from freshet_testing import Case, event, line

COLUMNS = {"id": "bigint", "v__count_over_2_minutes_fixed_windows": "double",
           "v__sum_over_2_minutes_fixed_windows": "double", "n__sum_over_5_events_row_windows": "bigint"}


class BootstrapCase(Case):

    def declare_boot(self, bootstrap="{file: {path: \"dump/*.jsonl\"}}", *, name="events.yaml", path="in/*.jsonl", out="out",
                     query="select * from events", steps="", readers="", features="", extra="checkpoint: {interval: 20 ms}\n",
                     stream="true", pipeline="events"):
        past = f"\n      bootstrap: {bootstrap}" if bootstrap else ""
        self.write(name, f"""\
version: 1
pipeline: {pipeline}
source:
  readers:
    - id: events
      stream: {stream}
      file: {{path: "{path}", format: json, schema: {{id: bigint, key: string, seen: timestamp, value: double}}}}{past}{steps}
{readers}  query: {query}
feature_set:
  name: events
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen, lateness: 10 seconds}}
  features:
    - {{name: id, type: bigint}}
    - {{name: v, from: value, type: double, window: {{functions: [count, sum], over: [2 minutes]}}}}
    - {{name: n, from: id, type: bigint, window: {{functions: [sum], over: [5 events], mode: row_windows}}}}
{features}sink: {{writers: [{{history: {{path: {out}}}}}]}}
{extra}""")
        for folder in ("in", "dump"):
            os.makedirs(self.path(folder), exist_ok=True)

    def put(self, name, ids):
        self.write(name, b"".join(line(event(i)) for i in ids))

    def dump(self, first, last, files=3):
        """The past in files that overlap in time, none of which is in order."""
        ids = list(range(first, last))
        self.rng.shuffle(ids)
        for k in range(files):
            self.put(f"dump/{k}.jsonl", ids[k::files])

    def run_once(self, *args, file="events.yaml", code=0):
        finished = self.freshet("run", file, "--once", "--progress", "none", "--no-serve", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def twin(self, n, **more):
        """The rows of one stream over all events in their order."""
        self.put("all/a.jsonl", range(n))
        self.declare_boot(None, name="twin.yaml", path="all/*.jsonl", out="twin", pipeline="twin", **more)
        self.run_once(file="twin.yaml")
        return self.history(COLUMNS, "twin")

    def forget(self):
        for folder in ("out", "events.state"):
            shutil.rmtree(self.path(folder), ignore_errors=True)
        if os.path.exists(self.path("events.dead_letters.jsonl")):
            os.remove(self.path("events.dead_letters.jsonl"))


class SeamTest(BootstrapCase):

    def try_it(self, bootstrap, twin, said=""):
        self.forget()
        self.declare_boot(bootstrap)
        finished = self.run_once("--step-rows", str(self.rng.choice((11, 200, 5000))))
        self.assertEqual(self.history(COLUMNS), twin)
        self.assertEqual(self.dead_letters(), [])
        self.assertIn(said, finished.err)

    def test_seams(self):
        twin = self.twin(900)
        self.dump(0, 600)
        self.put("in/a.jsonl", range(600, 900))
        self.try_it("{file: {path: \"dump/*.jsonl\"}}", twin, "the bootstrap has 600 rows")
        self.put("in/a.jsonl", range(450, 900))  # 150 stand in both
        self.try_it("{file: {path: \"dump/*.jsonl\"}, same: [id]}", twin, "150 repeated")
        self.put("in/b.jsonl", range(590, 600))  # all of them stand there already
        self.assertIn("10 rows read, 0 written, 10 repeated", self.run_once().err)
        os.remove(self.path("in/b.jsonl"))
        self.try_it("{file: {path: \"dump/*.jsonl\"}, same: [id, key], within: 1 minute}", twin, "150 repeated")
        cut = event(500)["seen"]
        self.try_it(f"{{file: {{path: \"dump/*.jsonl\"}}, until: \"{cut}\"}}", twin, "50 repeated")
        self.try_it(f"{{file: {{path: \"dump/*.jsonl\"}}, until: \"{cut}\", same: [id]}}", twin, "50 repeated")
        rest = [i for i in range(600) if i % 7 != 3]  # the dump lacks some; those that come live are taken
        self.put("dump/0.jsonl", rest)
        for k in (1, 2):
            os.remove(self.path(f"dump/{k}.jsonl"))
        self.put("in/a.jsonl", range(590, 900))
        self.forget()
        self.declare_boot("{file: {path: \"dump/*.jsonl\"}, same: [id]}")
        self.run_once()
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], sorted(set(rest) | set(range(590, 900))))

    def test_empty_and_bad(self):
        """An empty dump is none, and without a file there is none that is empty; what cannot be read in it is a dead letter, once, which can be replayed."""
        twin = self.twin(300)
        self.put("in/a.jsonl", range(300))
        self.declare_boot("{file: {path: \"dmup/*.jsonl\", format: json}, until: \"2030-01-01\"}")
        self.assertRegex(self.freshet("check", "events.yaml").err,
                         r"events\.yaml:8:\d+: warning: .*its bootstrap: there is no file at its path")
        for _ in range(2):  # also where the first try has made a state
            self.assertRegex(self.run_once(code=78).err, r"events\.yaml:8:\d+: error: .*its bootstrap: there is no file at its path")
        self.put("dump/0.jsonl", [])
        self.declare_boot("{file: {path: \"dump/*.jsonl\", format: json}, same: [id]}")  # nothing has begun yet
        self.assertIn("the bootstrap has 0 rows", self.run_once().err)
        self.try_it("{file: {path: \"dump/*.jsonl\", format: json}}", twin, "the bootstrap has 0 rows")
        self.forget()
        self.put("in/a.jsonl", range(200, 300))
        self.put("dump/0.jsonl", range(100, 200))
        self.append("dump/0.jsonl", b'{"id": "no number", "key": "k1", "seen": "2024-01-01T00:00:00Z"}\nno JSON\n')
        self.declare_boot()
        for _ in range(2):
            self.run_once()
            self.assertEqual([(letter["partition"], letter["code"]) for letter in self.dead_letters()],
                             [("bootstrap dump/0.jsonl", "bad_cast"), ("bootstrap dump/0.jsonl", "bad_record")])
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], list(range(100, 300)))

    def test_letters_are_replayed(self):
        """Those of records that could not be read, and those of rows of the past that failed later."""
        self.declare_boot(features="    - {name: slow, type: bigint, sql: \"case when id = 3 then error('three') else 1 end\"}\n")
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        begin, end = text.index("    - {name: v,"), text.index("    - {name: slow")
        text = text[:begin] + text[end:]  # without windows, so that the type may change
        self.write("events.yaml", text)
        self.put("dump/0.jsonl", range(5))
        self.append("dump/0.jsonl", b'{"id": 5, "key": "k1", "seen": "2024-01-01T00:00:05Z", "value": "five"}\n')
        self.put("in/a.jsonl", range(6, 8))
        self.run_once()
        self.assertEqual([letter["partition"] for letter in self.dead_letters()], ["bootstrap dump/0.jsonl", "bootstrap"])
        self.write("events.yaml", text.replace("value: double", "value: string").replace("error('three')", "3"))
        self.good("replay", "events.yaml")
        self.assertEqual([row["id"] for row in self.history({"id": "bigint"})], list(range(8)))

    def test_as_parquet_and_table(self):
        """A past in Parquet, as a history has it; and one of a state that is not kept."""
        twin = self.twin(400)
        self.put("old/a.jsonl", range(300))
        self.write("old.yaml", """\
version: 1
pipeline: old
source:
  readers: [{id: events, file: {path: old, format: json, schema: {id: bigint, key: string, seen: timestamp, value: double}}}]
  query: select *, seen as at from events
feature_set:
  name: old
  keys: [{name: key, type: string}]
  timestamp: {from: at}
  features: [{name: id, type: bigint}, {name: seen, type: timestamp}, {name: value, type: double}]
sink: {writers: [{history: {path: dump}}]}
""")
        self.good("run", "old.yaml")
        self.put("in/a.jsonl", range(300, 400))
        self.try_it("{file: {path: \"dump/**/*.parquet\"}}", twin)
        out = self.good("run", "events.yaml", "--once", "--debug", "--progress", "none", "--format", "json", "--query",
                        "select count(*) as n from online_feature_store__events")
        self.assertEqual(json.loads(out), {"n": 400})

    def test_hand_over(self):
        """A batch that hands over reads the past, too, and its stream does not again."""
        twin = self.twin(500)
        self.dump(0, 300)
        self.put("in/a.jsonl", range(300, 400))
        self.declare_boot(stream="false", extra="state: {}\n")
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.put("in/b.jsonl", range(400, 500))
        self.declare_boot(extra="state: {}\n")
        shutil.rmtree(self.path("dump"))  # which is no longer needed
        self.run_once()
        self.assertEqual(self.history(COLUMNS), twin)

    def test_moved(self):
        """The state goes to another folder in one file, and still knows the rows of the past."""
        twin = self.twin(400)
        self.dump(0, 300)
        self.put("in/a.jsonl", range(250, 350))
        self.declare_boot("{file: {path: \"dump/*.jsonl\"}, same: [id]}")
        self.run_once()
        self.good("state", "export", "events.yaml", "-o", "moved.state")
        shutil.rmtree(self.path("events.state"))
        self.good("state", "import", "events.yaml", "moved.state")
        self.put("in/b.jsonl", [*range(200, 300), *range(350, 400)])  # late ones, too: they are told apart all the same
        self.run_once()
        self.assertEqual(self.history(COLUMNS), twin)
        self.assertEqual(self.dead_letters(), [])

    def test_several_readers(self):
        """Each may have a past, and all are taken by time: what comes live of one waits for the past of the other."""
        self.dump(0, 300)
        self.put("in/a.jsonl", range(300, 400))
        self.put("other/a.jsonl", range(170, 450))
        self.put("old/a.jsonl", range(100, 170))
        other = ("    - id: others\n      stream: true\n      file: {path: other, format: json, schema: {id: bigint, key: string, "
                 "seen: timestamp, value: double}}\n")
        query = "select * from events union all select id + 1000, key, seen, value from others"
        self.declare_boot(readers=other + "      bootstrap: {file: {path: old}}\n", query=query)
        self.run_once("--step-rows", str(self.rng.choice((9, 40, 5000))))
        found = self.history(COLUMNS)
        self.put("other/a.jsonl", range(100, 450))
        self.declare_boot(None, path="all/*.jsonl", out="twin", pipeline="twin", readers=other, query=query, name="twin.yaml")
        self.put("all/a.jsonl", range(400))
        self.run_once(file="twin.yaml")
        self.assertEqual(found, self.history(COLUMNS, "twin"))
        self.assertEqual(len(found), 750)


class KillTest(BootstrapCase):

    def test_killed_anywhere(self):
        """While the past is sorted, while it is read, and behind it: each row once, windows full."""
        slow = "    - {name: slow, type: bigint, sql: \"list_sum(range(3000 + id % 2))\"}\n"
        n = 4000
        twin = self.twin(n)
        self.dump(0, 2500)
        self.put("in/a.jsonl", range(2400, n))
        self.declare_boot("{file: {path: \"dump/*.jsonl\"}, same: [id]}", features=slow)
        is_over = False
        for i in range(int(os.environ.get("FRESHET_KILLS", "8"))):
            run = self.start("run", "events.yaml", "--no-serve", "--step-rows", "40")
            stage = i % 4
            ends = (("freshet",), ("sorted by", "goes on"), ("goes on", "sorted by"), ("goes on",) if is_over else ("is over",))[stage]
            self.until(lambda: stage == 0 or any(end in run.err() for end in ends) or not run.is_running(), ends, run)
            end = time.monotonic() + self.rng.uniform(0, 0.3)
            while run.is_running() and time.monotonic() < end:
                time.sleep(0.002)
            run.end()
            is_over = is_over or "is over" in run.err()
        self.run_once()
        self.assertEqual(self.history(COLUMNS), twin)
        self.assertEqual(os.listdir(self.path("events.state/spool")), [])

    def test_status(self):
        self.dump(0, 400)
        self.put("in/a.jsonl", range(400, 500))
        self.declare_boot()
        run = self.start("run", "events.yaml")

        def told():
            finished = self.freshet("status", "--pipeline", "events")
            return json.loads(finished.out) if finished.out else {}
        self.until(lambda: told().get("rows_written") == 500, "500 rows", run)
        status = told()
        self.assertEqual((status["phase"], status["bootstrap_rows"], status["bootstrap_left"]), ("live", 400, 0))
        run.stop()
        self.assertIn("behind its past from a file", self.good("check", "events.yaml"))
        self.assertIn("behind its past from a file: its windows are filled from there",
                      self.good("plan", "events.yaml", "--state", "new.state"))
        self.assertIn("bootstrap at 400", self.good("state", "ls", "events.yaml"))


class RefusedTest(BootstrapCase):

    def refused(self, pattern, bootstrap, **more):
        self.declare_boot(bootstrap, **more)
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78, finished.out)
        self.assertRegex(finished.err, pattern)

    def test_declarations(self):
        self.put("dump/0.jsonl", range(10))
        self.put("in/a.jsonl", range(10, 20))
        plain = "file: {path: \"dump/*.jsonl\"}"
        self.refused(r"events\.yaml:8:\d+: error: `bootstrap` is for a reader that streams", f"{{{plain}}}", stream="false")
        self.refused(r"events\.yaml:8:\d+: error: \"until\" cannot be \"soon\"", f"{{{plain}, until: soon}}")
        self.refused(r"`until`\), or each partition's offset", f"{{{plain}, until: \"2024-01-01\", offsets: {{0: 1}}}}")
        self.refused(r"\"offsets\" are a topic's", f"{{{plain}, offsets: {{0: 1}}}}")
        self.refused(r"has no column \"idd\"", f"{{{plain}, same: [idd]}}")
        self.refused(r"`within` is for `same`", f"{{{plain}, within: 1 hour}}")
        self.refused(r"comes from a `file` or a `table`", "{generate: {schema: {id: bigint}}}")
        self.refused(r"would see rows that `until` and `same` leave out", f"{{{plain}, same: [id]}}",
                     steps="\n      preprocess: [{forward_fill: {partition_by: key, order_by: seen, column: value}}]")

    def test_columns(self):
        """Of another type, or none of them."""
        self.put("in/a.jsonl", range(10, 20))
        self.write("dump/0.jsonl", '{"id": {"a": 1}, "key": "k", "seen": "2024-01-01T00:00:00Z", "value": 1}\n')
        self.refused(r"events\.yaml:8:\d+: error: reader \"events\": the column \"id\" is struct<a: bigint> in its bootstrap, and bigint",
                     "{file: {path: \"dump/*.jsonl\"}}")
        self.declare_boot("{file: {path: nowhere.jsonl}}")
        said = r"events\.yaml:8:\d+: error: .*its bootstrap: there is no file or folder"
        self.assertRegex(self.freshet("check", "events.yaml").err, said.replace("error", "warning"))
        self.assertRegex(self.run_once(code=78).err, said)
        self.write("dump/0.jsonl", '{"other": 1}\n')
        self.refused("has none of its columns", "{file: {path: \"dump/*.jsonl\"}}")
        self.put("dump/0.jsonl", range(10))
        self.refused(r"the column \"id\" is double in its bootstrap, and bigint.*declare it so in `schema`",
                     "{file: {path: \"dump/*.jsonl\", schema: {id: double, key: string, seen: timestamp}}}")

    def test_too_late(self):
        """A stream that has begun without it; one that loses it halfway; one whose sorted file is gone."""
        self.dump(0, 3000)
        self.put("in/a.jsonl", range(3000, 3010))
        self.declare_boot(None)
        self.run_once()
        self.declare_boot()
        self.assertIn("has begun without its `bootstrap`", self.run_once(code=78).err)
        self.forget()
        for first, other in (("same: [id]", "same: [id, key]"), ("same: [id]", ""), ("", "same: [id]"),
                             ("same: [id]", "same: [id], within: 2 days"), ("until: \"2030-01-01\"", "until: \"2040-01-01\"")):
            self.forget()
            self.declare_boot(f"{{file: {{path: \"dump/*.jsonl\"}}, {first}}}")
            self.run_once()
            self.declare_boot(f"{{file: {{path: \"dump/*.jsonl\"}}, {other}}}")
            self.assertRegex(self.run_once(code=78).err, r"events\.yaml:8:\d+: error: .*the bootstrap of the reader \"events\" changed from")
            self.assertIn("changed from", self.freshet("plan", "events.yaml").out)
            self.declare_boot(None)
            self.run_once()
        self.forget()
        slow = "    - {name: slow, type: bigint, sql: \"list_sum(range(3000 + id % 2))\"}\n"
        self.declare_boot(features=slow)
        run = self.start("run", "events.yaml", "--no-serve", "--step-rows", "20")
        self.until(lambda: "bootstrap at" in self.freshet("state", "ls", "events.yaml").out, "a position", run)
        run.end()
        at = self.good("state", "ls", "events.yaml")
        if "bootstrap at 3000" not in at:
            self.declare_boot(None, features=slow)
            self.assertIn("rows that are still to come", self.run_once(code=78).err)
            self.declare_boot(features=slow)
            self.assertIn("is not over", self.freshet("state", "export", "events.yaml", "-o", "out.file").err)
            os.rename(self.path("events.state/spool/bootstrap-events.parquet"), self.path("aside"))
            self.assertIn("the file that has them is gone", self.run_once(code=78).err)
            os.rename(self.path("aside"), self.path("events.state/spool/bootstrap-events.parquet"))
        self.run_once()
        self.declare_boot(None, features=slow)  # it is over: the stream goes on without it
        self.put("in/b.jsonl", range(3010, 3020))
        self.run_once()
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], list(range(3020)))
