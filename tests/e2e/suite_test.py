"""freshet test and freshet init: tests beside declarations, on the real loop, with a clock of their own."""

import json
import os
import signal
import subprocess
import unittest
import xml.etree.ElementTree

from freshet_testing import DEADLINE, FRESHET, SOURCE, Case

DELAYS = """\
version: 1
pipeline: delays
source:
  readers:
    - id: flights
      stream: true
      kafka: {topic: flights, brokers: "${BROKERS}", value: {format: json, schema: {origin: string, at: timestamp, delay: double}}}
    - {id: airports, file: {path: airports.csv, format: csv, schema: {faa: string, name: string}}}
  query: select f.origin, f."at", f.delay, a.name from flights f left join airports a on a.faa = f.origin
feature_set:
  name: delays
  entity: airport
  keys: [{name: origin, type: string}]
  timestamp: {from: at, lateness: 10 minutes, max_future: 1 hour}
  features:
    - {name: last, from: delay, type: double}
    - {name: name, type: string}
    - {name: delay, window: {functions: [count], over: [1 hour]}}
sink: {writers: [{online: {debug: true}}]}
"""

HEAD = 'declaration: delays.yaml\nenv: {BROKERS: "nowhere:1"}\ntests:\n'
TEST = HEAD + """\
  - name: an hour
    now: 2026-01-01T12:00:00Z
    batch_equals_stream: true
    given:
      flights:
        - {origin: JFK, at: 2026-01-01T10:00:00Z, delay: 10}
    steps:
      - rows: {flights: [{origin: JFK, at: 2026-01-01T10:20:00Z, delay: 20}]}
        restart: true
        expect: {online: [{origin: JFK, last: 20}]}
      - rows: {flights: [{origin: LGA, at: 2026-01-01T10:30:00Z, delay: 5}, {origin: JFK, at: 2026-01-01T10:40:00Z, delay: 60}]}
    expect:
      online:
        - {origin: JFK, name: Kennedy, last: 60, delay__count_over_1_hour_fixed_windows: 3}
        - {origin: LGA, name: null, last: 5.0, delay__count_over_1_hour_fixed_windows: 1}
      history:
        - {origin: JFK, timestamp: 2026-01-01T10:00:00Z, delay__count_over_1_hour_fixed_windows: 1}
        - {origin: JFK, timestamp: 2026-01-01T10:40:00Z, delay__count_over_1_hour_fixed_windows: 3}
        - {origin: JFK, timestamp: 2026-01-01 10:20:00, delay__count_over_1_hour_fixed_windows: 2}
        - {origin: LGA, timestamp: 2026-01-01T10:30:00Z, delay__count_over_1_hour_fixed_windows: 1}
      dead_letters: []
      late: 0
"""
REFUSED = HEAD + """\
  - name: refused
    now: 2026-01-01T12:00:00Z
    given:
      flights: |
        {"origin": "JFK", "at": "2026-01-01T10:00:00Z", "delay": 1}
        {"origin": "JFK", "at": "2026-01-01T10:50:00Z", "delay": 2}
        no json
    steps:
      - rows: {flights: '{"origin": "JFK", "at": "2026-01-01T10:00:00Z", "delay": 4}'}
      - rows: {flights: '{"origin": "JFK", "at": "2026-01-01T15:00:00Z", "delay": 5}'}
        expect: {dead_letters: [{code: bad_record, raw: no json}, {code: late}, {code: early}]}
      - advance: 3 hours
        rows: {flights: '{"origin": "JFK", "at": "2026-01-01T12:30:00Z", "delay": 6}'}
      - rows: {flights: '{"origin": "JFK", "at": "2026-01-01T15:00:00Z", "delay": 7}'}
    expect:
      late: 1
      online: [{last: 7}]
"""


class Suites(Case):

    def setUp(self):
        super().setUp()
        self.write("delays.yaml", DELAYS)
        self.write("airports.csv", "faa,name\nJFK,Kennedy\n")
        self.write("tmp/here", "")
        self.env["TMPDIR"] = self.path("tmp")

    def run_tests(self, text, *args, code=0):
        self.write("delays.test.yaml", text)
        done = self.freshet("test", "delays.test.yaml", *args)
        self.assertEqual(done.code, code, done.out + done.err)
        self.assertEqual(os.listdir(self.path("tmp")), ["here"], "a folder of a test is left behind")
        return done

    def test_a_stream_with_steps_and_restarts(self):
        done = self.run_tests(TEST)
        self.assertIn("ok        delays.test.yaml: an hour", done.out)
        self.assertIn("1 passed, 0 failed", done.out)
        self.assertEqual(done.err, "")

    def test_late_early_and_bad_rows_and_the_clock(self):
        self.run_tests(REFUSED)

    def test_what_differs_is_shown(self):
        wrong = TEST.replace("last: 60,", "last: 61,").replace("late: 0", "late: 2").replace(
            "- {origin: LGA, timestamp: 2026-01-01T10:30:00Z", "- {origin: BOS, timestamp: 2026-01-01T10:31:00Z")
        done = self.run_tests(wrong, code=1)
        self.assertIn("FAILED    delays.test.yaml: an hour", done.out)
        self.assertIn("delays.test.yaml:17:9: online: 1 of 2 expected rows came, and 1 that are not expected", done.out)
        self.assertRegex(done.out, r"expected  JFK +Kennedy  61 +3\n +got +JFK +Kennedy  >60.0<  3\n")
        self.assertIn("delays.test.yaml:20:9: history: 3 of 4 expected rows came", done.out)
        self.assertRegex(done.out, r"got +>LGA< +>2026-01-01T10:30:00.000000Z<")
        self.assertIn("late: 2 expected, 0 came", done.out)
        self.assertIn("0 passed, 1 failed", done.out)

    def test_each_kind_of_expectation_can_fail(self):
        for what, instead in (("last: 7", "last: 8"), ("code: late}", "code: bad_cast}"), ("late: 1", "late: 0"),
                              ("code: early}]", "code: early}, {code: early}]"), ("advance: 3 hours", "advance: 1 hours"),
                              ("raw: no json", "raw: json no")):
            with self.subTest(what):
                self.assertIn(what, REFUSED)
                self.run_tests(REFUSED.replace(what, instead), code=1)

    def test_update_writes_what_came_and_keeps_the_rest(self):
        wrong = TEST.replace("last: 60,", "last: 61,").replace(
            "        - {origin: JFK, timestamp: 2026-01-01 10:20:00, delay__count_over_1_hour_fixed_windows: 2}\n", ""
        ).replace("      dead_letters: []\n", "\n      # stays\n      dead_letters: []\n")
        done = self.run_tests(wrong, "--update")
        self.assertIn("0 passed, 0 failed, 1 updated", done.out)
        with open(self.path("delays.test.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("\n\n      # stays\n      dead_letters: []\n      late: 0\n", text)
        self.assertIn("        - {origin: JFK, name: Kennedy, last: 60.0, delay__count_over_1_hour_fixed_windows: 3}\n", text)
        self.assertTrue(text.startswith(TEST[:TEST.index("    expect:\n      online")]), text)
        self.assertEqual(self.freshet("test", "delays.test.yaml").code, 0)
        self.run_tests(TEST, "--update")
        with open(self.path("delays.test.yaml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), TEST, "what holds is not written anew")

    def test_folders_filters_and_junit(self):
        self.write("a/delays.test.yaml", TEST.replace("delays.yaml", "../delays.yaml"))
        self.write("a/b/refused.test.yaml", REFUSED.replace("delays.yaml", "../../delays.yaml").replace("late: 1", "late: <5>"))
        self.write("c/own.yaml", DELAYS.replace("${BROKERS}", "x:1").replace("pipeline: delays", "pipeline: own").replace(
            "airports.csv", "../airports.csv") + "tests:\n  - {name: own, given: {flights: [{origin: A, at: "
            "2026-01-01T10:00:00Z, delay: 1}]}, expect: {online: [{origin: A}]}}\n")
        self.write(".hidden/x.test.yaml", "broken: [")
        done = self.freshet("test", ".", "--junit", "report.xml")
        self.assertEqual(done.code, 78, done.out + done.err)
        self.assertIn('a/b/refused.test.yaml:19:13: error: "late" cannot be "<5>"', done.err)
        self.assertIn("2 passed, 0 failed", done.out)
        suite = xml.etree.ElementTree.parse(self.path("report.xml")).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")), ("3", "0", "1"))
        self.assertEqual([case.get("classname") for case in suite if case.find("error") is not None], ["./a/b/refused.test.yaml"])
        self.assertIn('a/b/refused.test.yaml:19:13: "late" cannot be "<5>"', suite[0].find("error").text)
        self.write("a/b/refused.test.yaml", REFUSED.replace("delays.yaml", "../../delays.yaml").replace("late: 1", "late: 5"))
        done = self.freshet("test", ".", "--junit", "report.xml")
        self.assertEqual(done.code, 1)
        suite = xml.etree.ElementTree.parse(self.path("report.xml")).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("3", "1"))
        self.assertEqual([case.get("name") for case in suite], ["refused", "an hour", "own"])
        self.assertIn("late: 5 expected, 1 came", suite[0][0].text)
        done = self.freshet("test", ".", "--filter", "own")
        self.assertEqual((done.code, done.out.count("ok  ")), (0, 1), done.out)
        done = self.freshet("test", ".", "--filter", "nothing")
        self.assertEqual(done.code, 1)
        self.assertIn("no test has a name", done.err)
        done = self.freshet("test", "delays.yaml", env={**self.env, "BROKERS": "x:1"})
        self.assertEqual(done.code, 1)
        self.assertIn("there are no tests in this file", done.err)

    def test_a_folder_that_cannot_be_read_is_told(self):
        """The tests beside it run all the same, and the end is no success."""
        self.write("delays.test.yaml", TEST)
        os.mkdir(self.path("closed"), 0o000)
        self.addCleanup(os.chmod, self.path("closed"), 0o700)

        def as_nobody():
            if os.geteuid() == 0:  # who may read everything
                os.setegid(65534)
                os.seteuid(65534)

        if os.geteuid() == 0:
            for folder, _, names in os.walk(self.folder):
                for name in (folder, *(os.path.join(folder, name) for name in names)):
                    os.chown(name, 65534, 65534)
        done = self.freshet("test", ".", preexec=as_nobody)
        self.assertEqual(done.code, 1, done.out + done.err)
        self.assertIn("cannot look for tests in ./closed: Permission denied", done.err)
        self.assertIn("1 passed, 0 failed", done.out)

    def test_fields_of_dead_letters(self):
        """A misspelled one is told, as a column is."""
        self.write("delays.test.yaml", REFUSED.replace("raw: no", "rawe: no"))
        done = self.freshet("test", "delays.test.yaml")
        self.assertEqual(done.code, 78, done.out + done.err)
        self.assertIn('a dead letter has no field "rawe"; did you mean "raw"?', done.err)
        self.assertRegex(done.err, r"^delays\.test\.yaml:\d+:\d+: error: ")

    def test_bad_tests_are_refused_at_their_place(self):
        for what, instead, said in (
                ("given:\n      flights:", "given:\n      flight:", 'there is no reader "flight"; did you mean "flights"?'),
                ("{origin: JFK, at: 2026-01-01T10:00:00Z, delay: 10}", "{origin: JFK, at: 2026-01-01T10:00:00Z, dely: 10}",
                 'the reader "flights" has no column "dely"; did you mean "delay"?'),
                ("name: Kennedy", "nme: Kennedy", 'the feature set has no column "nme"; did you mean "name"?'),
                ("restart: true", "restrat: true", 'unknown option "restrat" in "step"; did you mean "restart"?'),
                ("now: 2026-01-01T12:00:00Z", "now: noon", '"now" cannot be "noon": it must be a time'),
                ("online: [{origin: JFK, last: 20}]", "online: {origin: JFK}", '"online" must be a list of rows'),
                ("online: [{origin: JFK, last: 20}]", "online: [JFK]", 'a row in "online" must be a map'),
                ("flights: [{origin: JFK, at: 2026-01-01T10:20:00Z, delay: 20}]", "flights: '{}'", "maps or text, not both"),
                ("declaration: delays.yaml", "declaration: delay.yaml", "cannot open the declaration"),
                ("declaration: delays.yaml", "", '"declaration"'),
        ):
            with self.subTest(said):
                self.assertIn(what, TEST)
                text = TEST.replace(what, instead, 1)
                self.write("delays.test.yaml", text)
                done = self.freshet("test", "delays.test.yaml")
                self.assertIn(said, done.err)
                self.assertNotEqual(done.code, 0)
                if "cannot open" not in said:
                    self.assertEqual(done.code, 78, done.err)
                    self.assertRegex(done.err, r"^delays\.test\.yaml:\d+:\d+: error: ")

    def test_batches_and_what_a_batch_has_not(self):
        batch = DELAYS.replace("      stream: true\n", "").replace(
            'kafka: {topic: flights, brokers: "${BROKERS}", value: {', "file: {path: in, ").replace("}}}\n    - {id: airports", "}}\n    - {id: airports")
        self.write("delays.yaml", batch)
        text = TEST.replace("        restart: true\n        expect: {online: [{origin: JFK, last: 20}]}\n", "")
        self.run_tests(text.replace("    batch_equals_stream: true\n", ""))
        done = self.run_tests(TEST, code=78)
        self.assertIn("a batch has no time that goes on and no restart", done.err)

    def test_what_a_batch_gives_differently_is_said(self):
        """A late row: the stream refuses what the batch counts."""
        text = TEST.replace("{origin: LGA, at: 2026-01-01T10:30:00Z, delay: 5}, ", "{origin: LGA, at: 2026-01-01T09:00:00Z, delay: 5}, ")
        text = text[:text.index("    expect:\n      online")]
        done = self.run_tests(text, code=1)
        self.assertRegex(done.out, r"batch_equals_stream: the history of a stream that is restarted behind each step is not "
                                   r"the batch's[^\n]*3 of 4 expected|batch_equals_stream: the history of [^\n]*3 of 4 expected")

    def write_small(self):
        """A declaration of one Kafka reader, called as a folder that a test makes for itself."""
        self.write("small.yaml", """\
version: 1
pipeline: small
source:
  readers: [{id: state, stream: true, kafka: {topic: t, brokers: "${WHERE}:1", value: {format: json, schema:
    {k: string, at: timestamp, v: double, d: "decimal(38,20)"}}}}]
  query: select k, "at", v, d, '${WHERE}' as w from state
feature_set: {name: small, entity: e, keys: [{name: k, type: string}], timestamp: {from: at}, features:
    [{name: v, type: double}, {name: d, type: "decimal(38,20)"}, {name: w, type: string}]}
sink: {writers: [{online: {debug: true}}]}
""")

    def small(self, tests, *args, code=0, where="x", name="small.test.yaml"):
        text = f"declaration: small.yaml\nenv: {{WHERE: {where}}}\ntests:\n" + tests
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        done = self.freshet("test", name, *args)
        self.assertEqual(done.code, code, done.out + done.err)
        with open(self.path(name), encoding="utf-8", newline="") as file:
            return done, file.read()[text.index("tests:\n") + 7:]

    GIVEN = "  - name: x\n    given: {state: [{k: a, at: 2026-01-01T00:00:00Z, v: 1, d: 0.12345678901234567890}]}\n"

    def test_a_test_that_looks_at_nothing_is_refused(self):
        self.write_small()
        for expect in ("", "    expect: {}\n", "    expect:\n", "    steps: [{restart: true}]\n"):
            with self.subTest(expect):
                done, _ = self.small(self.GIVEN + expect, code=78)
                self.assertIn("small.test.yaml:4:5: error: this test expects nothing", done.err)
        self.small(self.GIVEN + "    steps: [{restart: true}]\n    expect: {online: [{v: 1}]}\n")
        text = open(self.path("small.yaml"), encoding="utf-8").read()
        self.write("small.yaml", text.replace("stream: true, kafka: {topic: t, brokers: \"${WHERE}:1\", value: {",
                                              "file: {path: in, ").replace("}}}}]", "}}}]"))
        done, _ = self.small(self.GIVEN + "    steps: [{expect: {online: [{v: 7}]}}]\n    expect: {online: [{v: 1}]}\n", code=78)
        self.assertIn("a step expects nothing", done.err)
        done, _ = self.small(self.GIVEN + "    batch_equals_stream: true\n", code=78)
        self.assertIn("compares nothing here", done.err)

    def test_env_is_that_of_its_file(self):
        self.write_small()
        for where in "ab":
            self.small(self.GIVEN + f"    expect: {{online: [{{w: {where}}}]}}\n", where=where, name=f"{where}.test.yaml")
        done = self.freshet("test", ".")
        self.assertIn("2 passed, 0 failed", done.out)
        os.symlink("a.test.yaml", self.path("linked.test.yaml"))
        self.assertIn("3 passed, 0 failed", self.freshet("test", ".").out)

    def test_update_keeps_every_style(self):
        self.write_small()
        given = self.GIVEN
        for was, becomes in (
                ("    expect: {online: [{k: é}, {v: '}'}], history: [] } # why\n",
                 "    expect: {online: [{k: a, v: 1.0}], history: [{k: a, timestamp: \"2026-01-01T00:00:00.000000Z\", v: 1.0, "
                 "d: \"0.12345678901234567890\", w: x}] } # why\n"),
                ("    expect: {\n      online: [{k: b}],\n      history: [{v: 2}]\n    }\n",
                 "    expect: {\n      online: [{k: a}],\n      history: [{v: 1.0}]\n    }\n"),
                ("    expect:\n      online: [\n        {k: b},\n      ]\n      late: 0\n",
                 "    expect:\n      online:\n        - {k: a}\n      late: 0\n"),
                ("    expect:\n      online: # why\n      # about the row\n      - k: b\n        v: 1\n\n      # stays\n      late: 0",
                 "    expect:\n      online:\n        - {k: a, v: 1.0}\n\n      # stays\n      late: 0"),
                ("    expect:\r\n      online:\r\n        - {k: b}\r\n      late: 0",
                 "    expect:\r\n      online:\r\n        - {k: a}\r\n      late: 0"),
                ("    expect:\n      online:\n        - {k: a}\n        - {k: b, v: 3}\n",
                 "    expect:\n      online:\n        - {k: a, v: 1.0}\n")):
            with self.subTest(was):
                _, text = self.small(given + was, "--update")
                self.assertEqual(text, given + becomes)
                self.assertEqual(self.freshet("test", "small.test.yaml").code, 0)
        for was, said in (("    expect: &e\n      online: [{k: b}]\n  - {name: y, given: {state: []}, expect: *e}\n", "share it"),
                          ("    expect:\n      online: &o [{k: b}]\n  - {name: y, given: {state: "
                           "[{k: b, at: 2026-01-01T00:00:00Z}]}, expect: {online: *o}}\n", "anchor")):
            with self.subTest(said):
                done, text = self.small(given + was, "--update", code=1)
                self.assertIn(said, done.err)
                self.assertEqual(text, given + was)

    def test_values_are_compared_to_the_last_digit(self):
        self.write_small()
        for expect, code in (("[{d: 0.1234567890123456789}]", 0), ("[{d: 0.12345678901234567891}]", 1), ("[{d: 0.123456789012}]", 1),
                             ("[{v: 1}]", 0), ("[{v: 1.0000000000001}]", 0), ("[{v: 1.00001}]", 1)):
            with self.subTest(expect):
                self.small(self.GIVEN + f"    expect: {{online: {expect}}}\n", code=code)
        given = "  - name: x\n    given: {state: [{k: a, at: 2026-01-01T00:00:00Z, v: .5, d: 123456789012345670}, " \
                "{k: a, at: 2026-01-01T00:01:00Z, v: .nan}]}\n"
        self.small(given + "    expect: {history: [{k: a}, {v: 0.5, d: 123456789012345670.0}]}\n")
        self.small(given + "    expect: {history: [{k: a}, {k: a, v: 0.5}]}\n")
        self.small(given + "    expect: {history: [{k: a}, {d: 123456789012345671}]}\n", code=1)
        self.small(given + "    expect: {history: [{v: .nan}, {v: 0.5}]}\n")

    def test_refused_rows_are_named_where_rows_are_missing(self):
        self.write_small()
        given = "  - name: x\n    given: {state: [{k: a, at: no time, v: 1}]}\n"
        done, _ = self.small(given + "    expect: {online: [{k: a}]}\n", code=1)
        self.assertIn("      1 rows became dead letters; the first: bad_", done.out)
        done, _ = self.small(self.GIVEN + "    expect: {online: [{k: b}]}\n", code=1)
        self.assertNotIn("dead letters", done.out)

    def test_a_row_takes_another_where_one_needs_its(self):
        self.write_small()
        given = "  - name: x\n    given: {state: [" + ", ".join(
            f"{{k: a, at: 2026-01-01T00:0{v}:00Z, v: {v}}}" for v in range(1, 4)) + "]}\n"
        self.small(given + "    expect: {history: [{k: a}, {w: x}, {v: 1}]}\n")
        self.small(given + "    expect: {history: [{k: a}, {v: 1}, {v: 1}]}\n", code=1)

    def test_a_signal_leaves_no_folder(self):
        self.write_small()
        for number in (signal.SIGINT, signal.SIGTERM):
            tests = "".join(self.GIVEN.replace("name: x", f"name: x{i}") + "    expect: {online: [{v: 1}]}\n" for i in range(400))
            self.write("small.test.yaml", "declaration: small.yaml\nenv: {WHERE: x}\ntests:\n" + tests)
            process = subprocess.Popen([FRESHET, "test", "small.test.yaml"], cwd=self.path("."), env=self.env, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.stdout.readline()
            process.send_signal(number)
            _, err = process.communicate(timeout=DEADLINE)
            self.assertEqual(process.returncode, 1, err)
            self.assertIn("stopped by a signal", err)
            self.assertEqual(os.listdir(self.path("tmp")), ["here"])

    def test_a_temporary_folder_that_is_not_there_is_said(self):
        self.write_small()
        self.env["TMPDIR"] = self.path("no/" + "x" * 60)
        done, _ = self.small(self.GIVEN + "    expect: {late: 0}\n", code=1)
        self.assertIn("x" * 60, done.out)

    def test_golden_numbers(self):
        """What Butterfree computed for cases of tests/golden, as tests; with one cell changed they fail."""
        for case, variant in (("fixed_windows", "all_rows"), ("agg_no_window", "all_rows")):
            folder = os.path.join(SOURCE, "tests", "golden", case)
            variant = variant or sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".yaml"))[0]
            with open(os.path.join(folder, variant + ".yaml"), encoding="utf-8") as file:
                declaration = file.read()
            with open(os.path.join(folder, "input.jsonl"), encoding="utf-8") as file:
                given = file.read()
            with open(os.path.join(folder, f"expected.{variant}.jsonl"), encoding="utf-8") as file:
                rows = [row for row in map(json.loads, file) if None not in (row.get("id", 0), row["timestamp"])]
            # Rows without key or time are dead letters of ours: a decided difference.
            if "arguments:" in declaration or "input.jsonl" not in declaration:
                continue
            reader = declaration.split("- id: ")[1].split()[0]
            self.write("golden.yaml", declaration)
            self.write_golden(reader, given, rows)
            done = self.freshet("test", "golden.test.yaml")
            self.assertEqual(done.code, 0, case + "\n" + done.out + done.err)
            name = next(n for row in rows for n, v in row.items() if isinstance(v, (int, float)) and n not in ("id", "timestamp"))
            changed = next(row for row in rows if isinstance(row[name], (int, float)))
            changed[name] += 1
            self.write_golden(reader, given, rows)
            self.assertEqual(self.freshet("test", "golden.test.yaml").code, 1, case)

    def write_golden(self, reader, given, rows):
        self.write("golden.test.yaml", "declaration: golden.yaml\ntests:\n  - name: golden\n    given:\n      "
                   + reader + ": |\n" + "".join("        " + line + "\n" for line in given.splitlines())
                   + "    expect:\n      history:\n" + "".join("        - " + json.dumps(row) + "\n" for row in rows))

    def test_the_page(self):
        """The test of docs/guide/tests.md passes, and the difference that it shows is what is shown."""
        with open(os.path.join(SOURCE, "docs", "guide", "tests.md"), encoding="utf-8") as file:
            page = file.read()
        self.write("delays.yaml", DELAYS.replace("{name: last, from: delay", "{name: delay").replace("[count]", "[avg]"))
        text = page.split("```yaml\n")[1].split("```")[0]
        self.run_tests(text)
        done = self.run_tests(text.replace("windows: 15}", "windows: 16}"), code=1)
        shown = page.split("FAILED    ")[1].split("```")[0]
        self.assertEqual(done.out[len("FAILED    "):].split("(")[1].partition("\n")[2].rsplit("\n", 2)[0] + "\n",
                         shown.partition("\n")[2])

    def test_examples(self):
        done = self.freshet("test", os.path.join(SOURCE, "examples"))
        self.assertEqual(done.code, 0, done.out + done.err)
        self.assertGreaterEqual(done.out.count("ok  "), 3)


class Init(Case):

    def test_a_first_declaration_runs(self):
        done = self.freshet("init", "shop_customers")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("cd shop_customers", done.out)
        folder = self.path("shop_customers")
        self.assertEqual(sorted(os.listdir(folder)), ["data", "shop_customers.test.yaml", "shop_customers.yaml"])
        self.assertEqual(self.freshet("check", "shop_customers/shop_customers.yaml").code, 0)
        done = self.freshet("test", "shop_customers")
        self.assertEqual(done.code, 0, done.out + done.err)
        self.assertIn("2 passed", done.out)
        done = self.freshet("run", "shop_customers/shop_customers.yaml", "--once", "--query",
                            "select count(*) as n from online_feature_store__shop_customers_latest", "--format", "json")
        self.assertEqual((done.code, json.loads(done.out)), (0, {"n": 3}), done.err)

    def test_nothing_is_written_over(self):
        self.write("mine/notes", "mine")
        done = self.freshet("init", "mine")
        self.assertEqual(done.code, 1)
        self.assertIn("this is there already", done.err)
        self.assertEqual(os.listdir(self.path("mine")), ["notes"])
        for name in ("a-b", "../x", "1a", "", "x" * 49):
            self.assertEqual(self.freshet("init", name).code, 2, name)
        self.assertFalse(os.path.exists(self.path("a-b")))


if __name__ == "__main__":
    unittest.main()
