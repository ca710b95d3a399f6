# release
"""The documents say what is: their tables, row for row; every verb, option and field; their links; their program."""

import glob
import json
import os
import re
import subprocess
import unittest

from freshet_testing import FRESHET, NOT_READY, PRESET, SOURCE, Case

EVENTS = {"12:00:10": 10, "12:00:40": 20, "12:01:10": None, "12:01:40.2": 30, "12:01:40.9": 60}
IN_TIME = ["12:00:10", "12:00:40", "12:01:10", "12:01:40.2", "12:01:40.9"]
SECOND_SWAPPED = ["12:00:10", "12:00:40", "12:01:10", "12:01:40.9", "12:01:40.2"]
AS_COMING = ["12:00:10", "12:00:40", "12:01:40.9", "12:01:10", "12:01:40.2"]
FIXED = "window: {functions: [count, avg], over: [1 minute]}"
ROWS = "window: {functions: [count, avg], over: [3 events], mode: row_windows}"


def tables(page):
    """The rows of each table of a page, as lists of cells."""
    found, before = [], False
    for line in page.splitlines():
        is_row = line.startswith("|")
        if is_row and not before:
            found.append([])
        if is_row and not set(line) <= set("|-"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = is_row
    return found


def shown(value):
    return "null" if value is None else "%d" % value if value == int(value) else "%.2f" % value


def read(*names):
    with open(os.path.join(SOURCE, *names), encoding="utf-8") as file:
        return file.read()


def files(ending, folder=SOURCE):
    """The files of the checkout with this ending: not what was built or installed into it."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in ("build", "target")]
        found += [os.path.join(path, name) for name in names if name.endswith(ending)]
    return sorted(found)


class WindowsPageTest(Case):

    def setUp(self):
        super().setUp()
        self.fixed, self.rows, self.stream = tables(read("docs", "guide", "windows.md"))[:3]

    def computed(self, window, order, stream=False):
        """Time, value, count and mean of each row, as the page writes them."""
        self.declare(stream=stream, features=("{name: value, type: double}", "{name: x, from: value, %s}" % window))
        self.write("in/a.jsonl", "".join(json.dumps({"id": 1, "key": "a", "seen": "2024-01-01T%sZ" % time,
                                                     "value": EVENTS[time]}) + "\n" for time in order).encode())
        out = self.good("run", "events.yaml", "--once", "--debug", "--progress", "none", "--format", "json", "--query",
                        "select * from online_feature_store__events")
        rows = [list(json.loads(text).values()) for text in out.splitlines()]
        return [[re.sub(r"\.?0+Z$", "", row[1][11:]) if "." in row[1] else row[1][11:19],
                 *map(shown, row[2:])] for row in rows]

    def test_fixed_windows(self):
        self.assertEqual(self.fixed[0][1], "x")
        self.assertEqual(self.computed(FIXED, IN_TIME), self.fixed[1:])

    def test_row_windows(self):
        self.assertEqual(sorted(self.computed(ROWS, SECOND_SWAPPED)), sorted(self.rows[1:]))

    def test_on_a_stream(self):
        """In the order in which they come; late rows are followed by the newest row."""
        rows = [[row[0], row[2], row[3]] for row in self.computed(FIXED, AS_COMING, stream=True)]
        self.assertEqual(rows, [row[1:4] for row in self.stream[1:]])


class ReadmeTest(Case):
    """What the README says to do gives what it shows."""

    def test_the_tour(self):
        page = read("README.md")
        declared, = re.findall(r"(?ms)^```yaml\n(.*?)^```", page)
        rows, = re.findall(r"(?ms)^```json\n(.*?)^```", page)
        asked, answer = re.search(r"(?ms)^\$ freshet query '(.*?)' --format table\n(.*?)^```", page).groups()
        self.write("orders.yaml", declared)
        self.write("orders/1.jsonl", rows)
        self.good("check", "orders.yaml")
        run = self.start_run("orders.yaml", "--progress", "none", pipeline="shop")
        told = self.until(lambda: next((told for told in [json.loads(self.good("status", "--pipeline", "shop"))]
                                        if told["rows_written"] + told["dead_letters"] == rows.count("\n")), None), "all orders read", run)
        self.assertEqual(told["dead_letters"], 1)
        self.until(lambda: self.good("query", asked, "--format", "table") == answer, "the answer shown", run)
        self.assertEqual(run.stop().code, 0)
        self.assertEqual(len(self.read_lines("shop.dead_letters.jsonl")), 1)


class GuideTest(Case):
    """`freshet check` takes what the guide shows: each block, in the place of the same one of a whole declaration."""

    WHOLE = {
        "version": "version: 1\n",
        "pipeline": "pipeline: shown\n",
        "source": """source:
  readers:
    - id: rows
      file:
        path: "*.jsonl"
        format: json
        schema: {customer: bigint, ordered_at: timestamp, order_id: bigint, amount: double, status: string,
                 origin: string, carrier: string, sched_dep: timestamp, dep_delay: double}
  query: select * from rows
""",
        "feature_set": """feature_set:
  name: shown
  entity: shown
  keys: [{name: customer, type: bigint}]
  timestamp: {from: ordered_at}
  features: [{name: amount, type: double}]
""",
        "sink": "sink: {writers: [{online: {debug: true}}]}\n",
    }
    NAMES = "  name: shown\n  entity: shown\n"

    def check(self, page, block):
        sections = dict(self.WHOLE)
        for part in re.split(r"(?m)^(?=\w+:)", block)[1:]:
            sections[part.split(":")[0]] = part
        if "  name:" not in sections["feature_set"].split("keys:")[0]:
            sections["feature_set"] = sections["feature_set"].replace("feature_set:\n", "feature_set:\n" + self.NAMES)
        self.write("shown.yaml", "".join(sections.values()))
        checked = self.freshet("check", "shown.yaml", env=dict(self.env, CASSANDRA_PASSWORD="x", FRESHET_HTTP_TOKEN="x"))
        self.assertEqual(checked.code, 0, f"{page}:\n{block}\n{checked.err}")

    def test_blocks(self):
        for name in ("rows.jsonl", "deliveries.jsonl", "certs/ca.pem"):
            self.write(name, "")
        n = 0
        for path in files(".md", os.path.join(SOURCE, "docs", "guide")):
            if path.endswith(("kafka.md", "tests.md", "from-butterfree.md")):
                continue  # kafka_test.py has the first's, with a broker, suite_test.py the second's; the last's is below
            aggregated = None
            for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", read(path)):
                n += 1
                if block.startswith("feature_set:"):
                    aggregated = block
                if block.startswith("aggregated:"):
                    inside = "".join("  " + line + "\n" for line in block.splitlines())
                    block = re.sub(r"(?ms)^  aggregated:\n.*?(?=^  features)", lambda _: inside, aggregated)
                self.check(path, block)
        self.assertGreater(n, 4)

    def test_without_data(self):
        """The declaration of try.md runs as it stands, and prints what the page shows."""
        page = read("docs", "guide", "try.md")
        self.write("try.yaml", *re.findall(r"(?ms)^```yaml\n(.*?)^```", page))
        answer, = re.findall(r"(?ms)^\$ freshet run try.yaml \| tail -3\n(.*?)^```", page)
        self.assertEqual("".join(self.good("run", "try.yaml").splitlines(True)[-3:]), answer)

    def test_every_way_to_make_a_feature(self):
        """The declaration of features.md prints what the page shows."""
        page = read("docs", "guide", "features.md")
        self.write("deliveries.yaml", re.search(r"(?ms)^```yaml\n(.*?)^```", page).group(1))
        self.write("deliveries.jsonl", re.search(r"(?ms)^```json\n(.*?)^```", page).group(1))
        answer, = re.findall(r"(?ms)^\$ freshet run deliveries.yaml\n(.*?)^```", page)
        self.assertEqual(self.good("run", "deliveries.yaml"), answer)

    def test_side_by_side(self):
        block, = re.findall(r"(?ms)^```yaml\n(.*?)^```", read("docs", "guide", "from-butterfree.md"))
        self.write("flights.yaml", block)
        for name in ("month", "airlines.csv"):
            os.symlink(os.path.join(SOURCE, "examples", "flights", name), self.path(name))
        self.assertIn("departures", self.good("check", "flights.yaml"))


@unittest.skipIf(PRESET in ("asan", "tsan", "cov"), "a plain program cannot use a library with sanitizers")
class CPageTest(Case):
    """The program of docs/reference/c.md, built with warnings as errors and run; the calls it lists."""

    def test_the_program(self):
        page = read("docs", "reference", "c.md")
        program, = re.findall(r"(?ms)^```c\n(.*?)^```", page)
        asked, answer = re.search(r"(?ms)^\$ ./newest orders.yaml '(.*?)'\n(.*?)^```", page).groups()
        tour = read("README.md")
        self.write("newest.c", program)
        self.write("orders.yaml", re.search(r"(?ms)^```yaml\n(.*?)^```", tour).group(1))
        self.write("orders/1.jsonl", re.search(r"(?ms)^```json\n(.*?)^```", tour).group(1))
        built = os.path.dirname(FRESHET)
        subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", self.path("newest.c"), "-o",
                        self.path("newest"), "-I", os.path.join(SOURCE, "include"), "-L", built, "-lfreshet",
                        "-Wl,-rpath," + built], check=True)
        code, out, err = self.newest("orders.yaml", asked)
        self.assertEqual((code, out), (0, answer))
        self.assertRegex(err, r"^[^\n]*1 row was refused: 1 bad_cast[^\n]*\n$")
        code, out, err = self.newest("orders.yaml", "select nothing")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("nothing", err)
        self.write("orders.yaml", "version: 1\n")
        code, out, err = self.newest("orders.yaml", asked)
        self.assertEqual((code, out), (78, ""))
        self.assertIn("orders.yaml:1", err)

    def newest(self, *args):
        run = subprocess.run([self.path("newest"), *args], cwd=self.folder, capture_output=True, text=True, env=self.env)
        return run.returncode, run.stdout, run.stderr

    def test_calls(self):
        header = read("include", "freshet", "freshet.h")
        for name in set(re.findall(r"`(freshet_\w+)`", read("docs", "reference", "c.md"))):
            self.assertRegex(header, rf"\b{name}\b")


class ButterfreeClassesTest(unittest.TestCase):
    """docs/guide/butterfree-classes.md has a line for each public class of Butterfree 1.8.0, with each of its arguments."""

    CLASSES = {
        "FileReader": "id path format schema format_options stream", "TableReader": "id table database",
        "KafkaReader": "id topic value_schema connection_string topic_options stream", "Reader": "incremental_strategy",
        "IncrementalStrategy": "column", "Source": "readers query eager_evaluation",
        "FeatureSet": "name entity description keys timestamp features deduplicate_rows eager_evaluation",
        "AggregatedFeatureSet": "", "Feature": "name description dtype from_column transformation", "KeyFeature": "",
        "TimestampFeature": "dtype from_column transformation from_ms mask", "SQLExpressionTransform": "expression",
        "SparkFunctionTransform": "functions", "AggregatedTransform": "functions filter_expression",
        "CustomTransform": "transformer", "StackTransform": "is_regex",
        "H3HashTransform": "h3_resolutions lat_column lng_column", "Function": "func data_type",
        "Window": "window_definition partition_by order_by mode slide", "DataType": "", "TransformComponent": "",
        "Sink": "writers validation",
        "HistoricalFeatureStoreWriter": "db_config database num_partitions validation_threshold debug_mode interval_mode "
                                        "check_schema_hook row_count_validation merge_on",
        "OnlineFeatureStoreWriter": "db_config database debug_mode write_to_entity interval_mode check_schema_hook",
        "DeltaWriter": "", "Writer": "",
        "CassandraConfig": "username password host keyspace mode format_ stream_processing_time stream_output_mode "
                           "stream_checkpoint_path read_consistency_level write_consistency_level local_dc",
        "KafkaConfig": "kafka_topic kafka_connection_string mode format_ stream_processing_time stream_output_mode "
                       "stream_checkpoint_path",
        "MetastoreConfig": "path mode format_ file_system", "AbstractWriteConfig": "",
        "FeatureSetPipeline": "source feature_set sink spark_client", "Migrate": "pipelines", "CassandraMigration": "",
        "MetastoreMigration": "database", "Hook": "", "HookableComponent": "",
        "CassandraTableSchemaCompatibilityHook": "cassandra_client table",
        "SparkTableSchemaCompatibilityHook": "spark_client table database", "Metadata": "pipeline save",
        "FeatureSetCreation": "", "Validation": "dataframe", "BasicValidation": "", "SparkClient": "", "CassandraClient": "",
    }

    def test_each_has_a_line(self):
        told, names = {}, []
        for table in tables(read("docs", "guide", "butterfree-classes.md")):
            for row in table[1:]:
                names = re.findall(r"`(\w+)`", row[0]) or names
                for name in names:
                    told.setdefault(name, set()).update(re.findall(r"\b(\w+)\b", row[1]))
                    self.assertTrue(row[2].strip(), row)
        for name, arguments in self.CLASSES.items():
            self.assertIn(name, told)
            self.assertEqual(set(arguments.split()) - told[name], set(), name)


class CommandLinePageTest(Case):
    """docs/reference/command-line.md and the binary tell of the same verbs, options, fields and variables."""

    def setUp(self):
        super().setUp()
        self.sections = dict(part.split("\n", 1) for part in
                             re.split(r"(?m)^## ", read("docs", "reference", "command-line.md"))[1:])
        self.verbs = re.findall(r"(?m)^    ([a-z-]+(?: [a-z]+)?) +(?:FILE|NAME|PATH|SPINE|'SQL')? {2,}",
                                self.good("--help").split("Usage:")[1].split("Try:")[0])

    def first_cells(self, section, heading):
        """What the table of a section with this first heading has in its first column."""
        return [row[0] for table in tables(self.sections[section]) if table[0][0] == heading for row in table[1:]]

    def test_verbs(self):
        self.assertGreater(len(self.verbs), 10)
        self.assertEqual([name[8:] for name in self.sections if name.startswith("freshet ")], self.verbs)

    def test_options(self):
        """Of the choices of an option, too, each stands in its row."""
        for verb in self.verbs:
            told = self.good(*verb.split(), "--help")
            options = re.findall(r"(?m)^    (?:-[a-z], )?--([a-z-]+) ?(\S*)", told.partition("Options:\n")[2].partition("\n\n")[0])
            written = [re.fullmatch(r"`--([a-z-]+)(?: (\S+))?`", cell).groups()
                       for cell in self.first_cells("freshet " + verb, "option")]
            self.assertEqual([name for name, _ in written], [name for name, _ in options], verb)
            for (name, value), (_, page) in zip(options, written):
                if "|" not in value:
                    self.assertEqual(page or "", value, f"{verb} --{name}")
                for choice in value.split("|") if "|" in value else ():
                    row = next(line for line in self.sections["freshet " + verb].splitlines() if f"`--{name} " in line)
                    self.assertIn(f"`{choice}`", row, f"{verb} --{name}")

    def test_fields_of_status(self):
        self.write("orders.yaml", NOT_READY)
        run = self.start("run", "orders.yaml", "--progress", "none")
        self.until(lambda: os.path.exists(self.path("run", "orders.sock")), "the socket", run)
        told = self.until(lambda: self.freshet("status", "--pipeline", "orders"), "an answer", run)
        told = self.until(lambda: next((said for said in [self.freshet("status", "--pipeline", "orders")]
                                        if said.code == 75), None), "not ready", run)
        run.stop()
        self.assertEqual(self.first_cells("freshet status", "field"), [f"`{name}`" for name in json.loads(told.out)])

    def test_exit_codes(self):
        told = re.findall(r"\b(\d+) ", self.good("--help").split("Exit codes:")[1])
        self.assertEqual([code for code in self.first_cells("Exit codes", "code") if code != "3"], told)

    def test_environment_variables(self):
        asked = set()
        for path in files(".c", os.path.join(SOURCE, "src")):
            if path.endswith("_test.c"):
                continue
            text = read(path)
            asked.update(re.findall(r'getenv\("(\w+)"\)', text), re.findall(r'"(CASSANDRA_[A-Z_]+)"', text))
        for path in files(".c", os.path.join(SOURCE, "src")) + files(".h", os.path.join(SOURCE, "src")):
            asked.update(re.findall(r'#define \w+_(?:VARIABLE|ENVIRONMENT) "(\w+)"', read(path)))
        cells = self.first_cells("Environment variables", "variable")
        self.assertEqual(set(re.findall(r"`(\w+)`", " ".join(cells))), asked)


def without_blocks(text):
    return re.sub(r"(?ms)^```.*?^```", "", text)


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", without_blocks(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class DeliveryPageTest(Case):

    def test_writers(self):
        """The table of writers is the program's."""
        self.assertIn("do not edit -->\n" + self.good("schema", "--writers") + "\n", read("docs", "guide", "delivery.md"),
                      "put in what `freshet schema --writers` prints")


class LinksTest(unittest.TestCase):
    """Nothing that a page names is missing: other pages, their headings, files of the source."""

    maxDiff = None
    FOLDERS = "adapters|bench|cmake|docs|examples|include|scripts|src|tests"

    def test_links(self):
        n, missing = 0, []
        for path in files(".md"):
            for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(read(path))):
                if "://" in target:
                    continue
                n += 1
                name, _, anchor = target.partition("#")
                to = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                if not os.path.exists(to) or (anchor and anchor not in anchors(read(to))):
                    missing.append(f"{path}: {target}")
        self.assertEqual(missing, [])
        self.assertGreater(n, 50)

    def names(self, text):
        """The files and folders that a text names in backticks; * and words in capitals stand for any name."""
        for name in re.findall(r"`([\w./*-]+)`", text):
            whole = re.fullmatch(rf"(?:{self.FOLDERS})/[\w./*-]*", name)
            if whole or re.fullmatch(r"[\w/*-]+\.(?:c|h|py)", name):
                yield re.sub(r"(?<![a-z])[A-Z]+(?![a-z])", "*", name)

    def is_there(self, name, beside):
        near = (os.path.join(SOURCE, name), os.path.join(SOURCE, "src", name), os.path.join(beside, name),
                os.path.join(SOURCE, "include", name))
        return any(glob.glob(place) for place in near) or \
            ("/" not in name and glob.glob(os.path.join(SOURCE, "[a-z]*", "**", name), recursive=True))

    def test_named_files(self):
        n, missing = 0, []
        for path in files(".md"):
            if path.endswith("CHANGELOG.md") or "/golden/" in path:
                continue
            for name in self.names(read(path)):
                n += 1
                if not self.is_there(name, os.path.dirname(path)):
                    missing.append(f"{path}: {name}")
        self.assertEqual(missing, [])
        self.assertGreater(n, 30)

    def test_pages_that_others_name(self):
        """Messages of the program, comments, scripts."""
        n, missing = 0, []
        for path in files(""):
            if path.startswith(os.path.join(SOURCE, "tests", "house")):
                continue  # it makes pages of its own
            try:
                text = read(path)
            except UnicodeDecodeError:
                continue
            for name in re.findall(r"\bdocs/[\w/-]+\.md\b", text):
                n += 1
                if not os.path.exists(os.path.join(SOURCE, name)):
                    missing.append(f"{path}: {name}")
        self.assertEqual(missing, [])
        self.assertGreater(n, 10)

    def test_glossary(self):
        """Each word once, in the order of the alphabet, with what it is and a file."""
        rows = tables(read("docs", "internals", "glossary.md"))[0][1:]
        words = [row[0].strip("*").lower() for row in rows]
        self.assertEqual(words, sorted(set(words)))
        self.assertGreater(len(words), 30)
        for word, told, where in rows:
            self.assertTrue(told.endswith((".", ".)")), word)
            self.assertTrue(list(self.names(where)), word)
            self.assertEqual(len(list(self.names(where))), len(where.split(", ")), word)
