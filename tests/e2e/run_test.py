"""`freshet run` and the other verbs from outside: batch and stream give the same rows, results in
three formats, exit codes, signals."""

import glob
import json
import os
import re
import resource
import shutil
import signal
import unittest

from freshet_testing import Case, DEADLINE, FRESHET, SOURCE, event, line, lines, pieces

SELECT_ALL = "select * from online_feature_store__events order by id"


def multiset(out):
    return sorted(out.splitlines())


class BatchAndStreamTest(Case):

    def feed_in_pieces(self, files, folder, side_by_side=3):
        """Brings files (name, bytes) into the folder in random pieces, a few growing side by side."""
        work = [(name, pieces(data, self.rng, len(data) // 4 + 2)) for name, data in files]
        while work:
            item = self.rng.choice(work[:side_by_side])
            piece = next(item[1], None)
            if piece is None:
                work.remove(item)
            else:
                with open(os.path.join(folder, item[0]), "ab") as file:
                    file.write(piece)

    def check(self, format, files, **declared):
        self.declare("batch.yaml", stream=False, format=format, path=f"in/*.{format}", **declared)
        self.declare("stream.yaml", stream=True, format=format, path=f"live/*.{format}", **declared)
        for name, data in files:
            self.write("in/" + name, data)
        os.mkdir(self.path("live"))
        batch = self.good("run", "batch.yaml", "--query", SELECT_ALL, "--format", "json")
        run = self.start_run("stream.yaml")
        self.feed_in_pieces(files, self.path("live"))
        n = len(batch.splitlines())
        self.assertGreater(n, 0)
        self.until_count(n, run)
        stream = self.good("query", "--format", "json", SELECT_ALL)
        self.assertEqual(stream, batch)
        run.stop()
        # and a third time: all at once, to the end
        once = self.good("run", "stream.yaml", "--once", "--query", SELECT_ALL, "--format", "json")
        self.assertEqual(once, batch)
        return batch

    def test_json(self):
        files = [(f"{i}.json", lines(i * 300, i * 300 + 300)) for i in range(6)]
        out = self.check("json", files)
        self.assertEqual(json.loads(out.splitlines()[4]),
                         {"key": "k4", "timestamp": "2024-01-01T00:00:04.000000Z", "id": 4, "value": 1.0})

    def test_csv(self):
        def text(first, last):
            return "id,key,seen,value\n" + "".join(
                f'{i},"k,{i % 7}\u00e9",{event(i)["seen"]},{i / 4}\n' for i in range(first, last))
        files = [(f"{i}.csv", text(i * 300, i * 300 + 300).encode()) for i in range(5)]
        self.check("csv", files)

    def test_nested_and_union(self):
        """Nested fields, two stream readers by UNION ALL, a join with a static table."""
        schema = {"id": "bigint", "seen": "timestamp", "who": '"struct<name: string, age: integer>"'}
        readers = ("- id: others\n  stream: {stream}\n"
                   '  file: {{path: "others/*.json", format: json, schema: {{id: bigint, key: string, '
                   "seen: timestamp, value: double}}}}\n"
                   "- id: names\n  file: {{path: names.csv, format: csv, schema: {{key: string, "
                   "title: string}}}}\n")
        query = ("select e.id, e.who.name as key, e.seen, e.who.age as value, n.title from events e "
                 "join names n on n.key = e.who.name "
                 "union all select id, key, seen, value, 'other' from others")
        features = ["{name: id, type: bigint}", "{name: value, type: double}",
                    "{name: title, type: string}",
                    '{name: twice, type: double, sql: "value * 2"}',
                    '{name: four_times, type: double, sql: "twice * 2"}']
        self.write("names.csv", "key,title\n" + "".join(f"k{i},Key {i}\n" for i in range(7)))
        self.write("others/a.json", lines(10000, 10050))
        for stream in (False, True):
            self.declare(f"{stream}.yaml".lower(), stream=stream, path="in/*.json", schema=schema,
                         query=query, features=features,
                         readers=readers.format(stream=str(stream).lower()))
        self.write("in/a.json", b"".join(
            line({"id": i, "seen": event(i)["seen"], "who": {"name": f"k{i % 7}", "age": i}})
            for i in range(100)))
        batch = self.good("run", "false.yaml", "--query", SELECT_ALL, "--format", "json")
        self.assertEqual(len(batch.splitlines()), 150)
        self.assertEqual(json.loads(batch.splitlines()[9]),
                         {"key": "k2", "timestamp": "2024-01-01T00:00:09.000000Z", "id": 9,
                          "value": 9.0, "title": "Key 2", "twice": 18.0, "four_times": 36.0})
        once = self.good("run", "true.yaml", "--once", "--query", SELECT_ALL, "--format", "json")
        self.assertEqual(once, batch)

    def test_examples(self):
        """For every example that reads files: the batch, and the stream whose folder is fed in random pieces.
        Those of examples/c and plugin need functions in C, and from-butterfree has expected rows: they have tests of their own."""
        declarations = []
        for path in sorted(glob.glob(os.path.join(SOURCE, "examples", "*", "*.yaml"))):
            if os.path.basename(os.path.dirname(path)) in ("c", "plugin", "from-butterfree") or path.endswith(".test.yaml"):
                continue
            with open(path, encoding="utf-8") as file:
                if "kafka:" not in file.read():
                    declarations.append(path)
        self.assertGreater(len(declarations), 0)
        for path in declarations:
            with self.subTest(example=os.path.relpath(path, SOURCE)):
                self.check_example(path)

    def check_example(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        folder, name = os.path.split(path)
        copy = self.path("copy-" + name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("year"))
        pipeline = re.search(r"(?m)^pipeline: (\w+)", text).group(1)
        table = "online_feature_store__" + \
            re.search(r"(?m)^feature_set:\n(?:  .*\n)*?  name: (\w+)", text).group(1)
        # where the stream reads from can be said by a variable: ${FLIGHTS:month}
        variable, standard = re.search(r"stream: true\n +file:\n +path: \$\{(\w+):([^}]+)\}", text).groups()
        # With windows a stream gives the newest row of a key again when a peer or a late row changes it.
        windows = re.search(r"(?m)^ +window:", text) is not None
        sql = f"select * from {table}{'_latest' if windows else ''} order by all"
        batch_text = text.replace("stream: true", "stream: false")
        with open(os.path.join(copy, "batch.yaml"), "w", encoding="utf-8") as file:
            file.write(batch_text)
        batch = self.good("run", os.path.join(copy, "batch.yaml"), "--debug", "--query", sql,
                          "--format", "json", deadline=2 * DEADLINE)
        live = self.path("live-" + name)
        os.mkdir(live)
        run = self.start_run(os.path.join(copy, name), "--debug", pipeline=pipeline,
                             env=dict(self.env, **{variable: live}))
        files = []
        for source in sorted(glob.glob(os.path.join(copy, standard, "*"))):
            with open(source, "rb") as file:
                files.append((os.path.basename(source), file.read()))
        # one after another: of days side by side the older would be too late
        self.feed_in_pieces(files, live, side_by_side=1 if windows else 3)
        rows = []

        def has_all():
            rows[:] = [self.good("query", "--pipeline", pipeline, "--format", "json", sql)]
            n = len(batch.splitlines())
            return multiset(rows[0]) == multiset(batch) if windows else len(rows[0].splitlines()) >= n

        try:
            self.until(has_all, "all rows of the batch", run, 2 * DEADLINE)
        finally:
            self.assertEqual(multiset(rows[0]), multiset(batch))
        run.stop()


class FormatTest(Case):

    def setUp(self):
        super().setUp()
        self.declare(stream=False, schema={"id": "bigint", "key": "string", "seen": "timestamp",
                                           "value": "double", "tags": "array<string>"},
                     features=["{name: id, type: bigint}", "{name: value, type: double}",
                               '{name: tags, type: "array<string>"}'])
        self.write("in/0.jsonl", b"".join(line(record) for record in [
            {"id": 1, "key": "a,b", "seen": "2024-01-01T00:00:00Z", "value": 0.1, "tags": ["x", "y"]},
            {"id": 2, "key": "c\"d", "seen": "2024-01-01T00:00:01.5Z", "value": None, "tags": []},
            {"id": 3, "key": "\u00e9", "seen": "2024-01-01T00:00:02Z", "value": 1e300, "tags": None}]))

    def result(self, format):
        return self.good("run", "events.yaml", "--query", SELECT_ALL, "--format", format)

    def test_json(self):
        self.assertEqual([json.loads(text) for text in self.result("json").splitlines()], [
            {"key": "a,b", "timestamp": "2024-01-01T00:00:00.000000Z", "id": 1, "value": 0.1, "tags": ["x", "y"]},
            {"key": "c\"d", "timestamp": "2024-01-01T00:00:01.500000Z", "id": 2, "value": None, "tags": []},
            {"key": "\u00e9", "timestamp": "2024-01-01T00:00:02.000000Z", "id": 3, "value": 1e300, "tags": None}])

    def test_csv(self):
        self.assertEqual(self.result("csv"),
                         'key,timestamp,id,value,tags\n'
                         '"a,b",2024-01-01T00:00:00.000000Z,1,0.1,"[""x"",""y""]"\n'
                         '"c""d",2024-01-01T00:00:01.500000Z,2,,[]\n'
                         '\u00e9,2024-01-01T00:00:02.000000Z,3,1e+300,\n')

    def test_table(self):
        shown = self.result("table").splitlines()
        self.assertRegex(shown[0], r"^ *key +\| timestamp +\| +id +\| +value +\| tags *$")
        self.assertRegex("\n".join(shown), r'a,b +\| 2024-01-01T00:00:00\.000000Z +\| +1 +\| +0\.1 +\| \["x","y"\]')
        self.assertRegex("\n".join(shown), r"\u00e9 +\| 2024-01-01T00:00:02\.000000Z +\| +3 +\|")

    def test_standard_is_json_where_there_is_no_terminal(self):
        self.assertEqual(self.good("run", "events.yaml", "--query", SELECT_ALL), self.result("json"))

    def test_data_to_stdout_and_the_rest_to_stderr(self):
        finished = self.freshet("run", "events.yaml", "--query", "select 1 as one", "--format", "json")
        self.assertEqual(finished.out, '{"one":1}\n')
        self.assertRegex(finished.err, r"^freshet: events: 3 rows read, 3 written, 0 dead letters, "
                         r"in \d+\.\d\d s \([0-9,]+ rows/s\)\n$")

    def test_log_json(self):
        finished = self.freshet("run", "events.yaml", "--log", "json")
        self.assertEqual(finished.code, 0)
        for text in finished.err.splitlines():
            said = json.loads(text)
            self.assertLessEqual({"at", "level", "event", "message"}, set(said))
        self.assertIn("3 rows read", said["message"])

    def test_closed_and_full_output(self):
        """A result that cannot be written is no success; no message for a reader that went away."""
        def full():
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        finished = self.freshet("run", "events.yaml", "--query", SELECT_ALL, preexec=full)
        self.assertEqual(finished.code, 1)
        self.assertIn("cannot write the output: No space left on device", finished.err)

        def gone():
            reading, writing = os.pipe()
            os.close(reading)
            os.dup2(writing, 1)
        finished = self.freshet("run", "events.yaml", "--query", SELECT_ALL, preexec=gone)
        self.assertEqual(finished.code, 1)
        self.assertNotIn("cannot write", finished.err)


class ExitCodeTest(Case):

    def usage(self, says, *args):
        finished = self.freshet(*args)
        self.assertEqual(finished.code, 2, finished)
        self.assertEqual(finished.out, "")
        self.assertIn(says, finished.err)

    def test_overview_and_help(self):
        self.assertIn("Usage: freshet VERB", self.good("--help"))
        self.assertEqual(self.good("help"), self.good("--help"))
        self.usage("Usage: freshet VERB")
        for verb in ("check", "run", "query", "shell", "show", "state ls", "state inspect", "state verify",
                     "state reset", "state export", "state import", "plan", "schema", "version"):
            said = self.good(*verb.split(), "--help")
            self.assertTrue(said.startswith(f"freshet {verb}"), said)
            self.assertIn("Examples:", said)
            self.assertEqual(self.good("help", *verb.split()), said)
            self.assertLessEqual(max(map(len, said.splitlines())), 100)
        self.assertRegex(self.good("version"), r"^freshet \d+\.\d+\.\d+\n$")
        self.assertEqual(self.good("--version"), self.good("version"))

    def test_usage(self):
        self.declare()
        self.usage('there is no verb "rnu"; did you mean "run"?', "rnu")
        self.usage('there is no verb "xyzzy"; "freshet --help" lists them', "help", "xyzzy")
        self.usage("freshet run has no option --onec; did you mean --once?", "run", "--onec", "events.yaml")
        self.usage("freshet run needs FILE", "run")
        self.usage('--format must be table, json, csv or line, not "xml"', "query", "--format=xml", "select 1")
        self.usage("--timeout must be a time such as 10s", "query", "--timeout", "soon", "select 1")
        self.usage("a stream has no end at which its result could be printed", "run", "events.yaml",
                   "--query", "select 1")

    def test_query_is_checked_before_the_run(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 10))
        finished = self.freshet("run", "events.yaml", "--query", "select nothing_like_it from "
                                "online_feature_store__events")
        self.assertEqual(finished.code, 2)
        self.assertIn("nothing_like_it", finished.err)
        self.assertNotIn("rows read", finished.err)

    def test_declaration(self):
        for verb in ("check", "run", "show"):
            finished = self.freshet(verb, "not-there.yaml")
            self.assertIn(finished.code, (1, 78))
            self.assertIn("not-there.yaml", finished.err)
            self.write("bad.yaml", "version: 1\npipeline: [\n")
            finished = self.freshet(verb, "bad.yaml")
            self.assertEqual(finished.code, 78)
            self.assertRegex(finished.err, r"(?m)^bad\.yaml:\d+:\d+: error: ")

    def test_failed_because_it_runs_already(self):
        self.declare()
        run = self.start_run("events.yaml")
        finished = self.freshet("run", "events.yaml")
        self.assertEqual(finished.code, 1)
        self.assertIn("already running", finished.err)
        self.assertIn(str(run.pid), finished.err)
        # without the socket there is nothing in the way
        again = self.start("run", "events.yaml", "--no-serve")
        self.until(lambda: again.handles(signal.SIGTERM), "the second run stands", again)
        again.stop()
        self.assertEqual(self.value("select 1 as one"), 1)
        run.stop()

    def test_no_place_for_the_socket(self):
        self.declare(stream=False)
        finished = self.freshet("run", "events.yaml", env=dict(self.env, FRESHET_RUN_DIR=self.path("not/there")))
        self.assertEqual(finished.code, 1, finished)
        self.assertRegex(finished.err, r"not/there.*FRESHET_RUN_DIR.*No such file")

    def test_try_again_when_dead_letters_cannot_be_written(self):
        self.declare(stream=False, extra="dead_letters: {path: /dev/full}\n")
        self.write("in/0.jsonl", b"{not json\n" + lines(0, 10))
        finished = self.freshet("run", "events.yaml")
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn("/dev/full", finished.err)
        self.assertIn("No space left on device", finished.err)

    def test_batch_ends(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 10))
        finished = self.freshet("run", "events.yaml")
        self.assertEqual(finished.code, 0)
        self.assertEqual(finished.out, "")
        self.assertIn("10 rows read, 10 written", finished.err)

    def test_debug_replaces_the_writers(self):
        self.declare(stream=False, sink="- online: {debug: false}")
        self.write("in/0.jsonl", lines(0, 10))
        finished = self.freshet("run", "events.yaml", "--debug", "--query",
                                "select count(*) as n from online_feature_store__events", "--format", "csv")
        self.assertEqual((finished.code, finished.out), (0, "n\n10\n"), finished.err)


class RowLimitTest(Case):

    def test_no_store_is_a_mistake_without_debug(self):
        """`check` says what `run` would, with its place; nothing is made."""
        self.declare(stream=False, sink="- online: {debug: false}")
        for verb in ["check", "run"]:
            finished = self.freshet(verb, "events.yaml")
            self.assertEqual(finished.code, 78, finished)
            self.assertEqual(finished.out, "")
            self.assertRegex(finished.err, r'(?m)^events.yaml:\d+:\d+: error: "online" has no store .* --debug')

    def test_row_limit(self):
        """The newest rows stay, and the output says that older ones have gone."""
        self.declare(sink="- online: {debug: true, rows: 1000}", stream=False)
        self.write("in/0.jsonl", lines(0, 30000))
        finished = self.freshet("run", "events.yaml", "--format", "csv", "--query",
                                "select count(*), min(id), max(id) from online_feature_store__events")
        self.assertEqual(finished.out.splitlines()[1], "1000,29000,29999", finished.err)
        self.assertIn("30,000 written", finished.err)
        self.assertIn("; the debug table holds the last 1,000 of them, its limit", finished.err)


class SignalTest(Case):

    def test_each_signal_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                self.declare()
                self.write("in/0.jsonl", lines(0, 100))
                run = self.start_run("events.yaml")
                self.until_count(100, run)
                run.signal(number)
                finished = run.wait()
                self.assertEqual(finished.code, 0, finished.err)
                self.assertIn("100 rows read, 100 written", finished.err)

    def test_question_at_the_end(self):
        """It has no limit of time but one that is asked for, and a signal ends it."""
        self.declare("batch.yaml", stream=False)
        self.write("in/a.jsonl", lines(0, 400))
        table = "online_feature_store__events"
        endless = (f"select count(*) from {', '.join(f'{table} t{i}' for i in range(6))} "
                   f"where {' + '.join(f't{i}.value' for i in range(6))} < -1")
        run = self.start("run", "batch.yaml", "--no-serve", "--query", endless)
        self.until(lambda: "400 rows read" in run.err(), "the run has ended", run)
        run.signal(signal.SIGTERM)
        finished = run.wait()
        self.assertEqual(finished.code, 1)
        self.assertIn("stopped before the query was answered", finished.err)
        finished = self.freshet("run", "batch.yaml", "--no-serve", "--query", endless, "--query-timeout", "100ms")
        self.assertEqual(finished.code, 1)
        self.assertIn("longer than its limit of 0.1 seconds", finished.err)

    def test_stop_at_once_after_start(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        run = self.start("run", "events.yaml")
        self.until(lambda: run.handles(signal.SIGTERM), "signals are handled", run)
        run.stop()

    def test_signals_at_once_are_one(self):
        """A terminal and a supervisor may each pass one on: the run ends in good order."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 16000))
        run = self.start("run", "events.yaml")
        self.until(lambda: run.handles(signal.SIGTERM), "signals are handled", run)
        run.signal(signal.SIGTERM)
        run.signal(signal.SIGINT)
        finished = run.wait()
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("rows read", finished.err)
        self.assertNotIn("second signal", finished.err)


class ProgressTest(Case):

    def test_plain_lines(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        run = self.start_run("events.yaml", "--progress", "plain")
        self.until(lambda: "100 rows read, " in run.err(), "a line of progress", run)
        self.assertRegex(run.err(), r"(?m)^freshet: events: 100 rows read, [0-9,]+ rows/s, newest "
                         r"event 2024-01-01 00:01:39, lag 0 B, 0 dead letters$")
        self.append("in/0.jsonl", lines(100, 120))
        self.until(lambda: "120 rows read, " in run.err(), "another line of progress", run)
        # nothing is said while nothing changes: one line for each of the two states
        said = run.stop().err.splitlines()
        self.assertEqual(len(said), 3, said)

    def test_none(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        run = self.start_run("events.yaml", "--progress", "none")
        self.until_count(100, run)
        self.assertEqual(run.err(), "")
        run.stop()


class ShowTest(Case):

    def test_check(self):
        self.declare()
        self.write("in/0.jsonl", b"{this is not even json\n")
        self.assertEqual(self.good("check", "events.yaml"),
                         'events.yaml is good: the pipeline "events", a stream.\n'
                         "  reader   events (file, stream)\n"
                         "  writer   online: debug takes new rows, each key's newest rows; keeps its rows in memory; "
                         "after a crash: begins empty\n"
                         "  feature set events:\n"
                         "    key        string\n"
                         "    timestamp  timestamp\n"
                         "    id         bigint\n"
                         "    value      double\n")
        self.assertEqual(self.dead_letters(), [])

    def test_show(self):
        self.declare()
        shown = self.good("show", "events.yaml")
        self.assertIn("pipeline: events", shown)
        self.assertTrue(shown.endswith("\n# Output columns:\n#   key        string\n#   timestamp  timestamp\n"
                                       "#   id         bigint\n#   value      double\n"), shown)
        self.assertEqual(self.good("show", "--schema", "events.yaml"),
                         "key        string\ntimestamp  timestamp\nid         bigint\nvalue      double\n")

    def test_options_of_other_formats(self):
        """They are refused where they stand, also with what they are anyway; shown is what was given."""
        def declared(file):
            self.declare()
            with open(self.path("events.yaml"), encoding="utf-8") as page:
                text = re.sub("(?m) file: .*", lambda _: " file: {" + file + "}", page.read())
            self.write("events.yaml", text)
            return text

        schema = "schema: {id: bigint, key: string, seen: timestamp, value: double}"
        for option, of in (("strict: false", "json"), ("header: true", "csv"), ('delimiter: ";"', "csv"),
                           ("null_text: NA", "csv"), ("type: binary", "raw")):
            others = [name for name in ("json", "csv", "parquet") if name != of]
            for other in others:
                for file in (f"path: in, format: {other}, {schema}, {option}", f"path: in/*.{other}, {schema}, {option}"):
                    text = declared(file)
                    line = next(i for i, at in enumerate(text.splitlines(), 1) if option in at)
                    column = text.splitlines()[line - 1].index(option) + option.index(" ") + 2
                    name = option.split(":")[0]
                    self.assertIn(f'events.yaml:{line}:{column}: error: "{name}" is of format: {of}; remove it, or say '
                                  f"format: {of}", self.freshet("check", "events.yaml").err)
        for format, option in (("json", "strict: false"), ("csv", "header: true")):
            declared(f"path: in, format: {format}, {schema}")
            shown = self.good("show", "events.yaml")
            self.assertNotRegex(shown, "strict:|header:")
            declared(f"path: in, format: {format}, {schema}, {option}")
            self.assertIn(option, self.good("show", "events.yaml"))
        declared('path: "", format: json')
        self.assertIn('"path" must not be empty', self.freshet("check", "events.yaml").err)

    def test_reference_page_is_that_of_the_tables(self):
        with open(os.path.join(SOURCE, "docs", "reference", "declaration.md"), encoding="utf-8") as page:
            self.assertEqual(self.good("schema", "--reference"), page.read(),
                             "make it anew: freshet schema --reference > docs/reference/declaration.md")

    def test_page_for_butterfree_lists_spark_functions(self):
        def read(*path):
            with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
                return file.read()
        made = re.findall(r'(?m)^    \{"(\w+)",', read("src", "functions", "spark_macros.c"))
        listed = read("docs", "guide", "from-butterfree.md").split("under their own names", 1)[1].split("\n\n")[1]
        self.assertGreater(len(made), 20)
        self.assertEqual(re.findall(r"`(\w+)`", listed), made)

    def test_shown_declaration_is_the_same_pipeline(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 50))
        shown = self.good("show", "events.yaml")
        self.write("shown.yaml", shown)
        self.assertEqual(self.good("run", "shown.yaml", "--query", SELECT_ALL),
                         self.good("run", "events.yaml", "--query", SELECT_ALL))
        self.assertEqual(self.good("show", "shown.yaml"), shown)

    def test_schema(self):
        schema = json.loads(self.good("schema"))
        self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        self.assertIn("source", schema["properties"])
        self.assertIn("# ", self.good("schema", "--reference"))


if __name__ == "__main__":
    unittest.main()
