# release
# a test each folder
"""Golden cases: declarations of ours against what real Butterfree (1.8.0 on Spark 3.5.1) gave.

A case is a folder with the input files and, for each variant:

    VARIANT.yaml               our declaration
    expected.VARIANT.jsonl     what Butterfree gave, rows in any order
    VARIANT.differences.json   where we differ on purpose, if anywhere:
        why      the reason
        without  columns of Butterfree's that ours does not have
        rows     [{at: {key: value}, column: our value, ...}]: cells that differ
        refused  [{key: value}]: rows that are dead letters here
        never    [{key: value}]: all such rows are not there, since what they come from is a dead letter
        names    {Butterfree's column: ours}

The comments at the head of a declaration say what is special about it:

    # fails: TEXT              it is refused (exit code 78), and TEXT is in the message
    # batch only: ...          with `stream: true` it is refused
    # expected: OTHER          it gives what variant OTHER gave
    # on a stream: OTHER       on a stream it gives what OTHER gave
    # table: NAME              its rows are those of this table or view
    # arguments: ...           for `freshet run`
    # sets: PREFIX             arrays in columns that begin so are compared as sets
    # named: OURS THEIRS       columns that begin with OURS begin with THEIRS at Butterfree
    # more: COLUMNS               columns that Butterfree's output does not have, since a feature set needs a feature
    # until: DAY               the rows of later days are not there
    # versions                 a stream gives a row again with each change of it, and the last one counts

Each variant is run as a batch and, with `stream: true` put in, as a stream that takes what is there
(an aggregated feature set with --drain, so that its windows close, and of several versions of a row
the last one counts); all must give Butterfree's rows: doubles within 1e-9, without the rows that have a null key or
timestamp (these are dead letters here), in any order.

With windows a stream gives a row for each event as it comes, and the newest row of a key again when a
late event has changed it: what is compared there is the newest row of each key, in `..._latest`.

A stream takes its input whole, then one row at a time, then in random pieces: the file grows by some lines, and is
read by a run of its own that goes on from the state folder of the one before. The table begins empty each time, so
the rows of all runs are put together, as a store would hold them.

The runs have one, two and five workers, drawn by the variant and the way: FRESHET_WORKERS says another number for all.

Of these ways the builds with sanitizers go row by row and the release build the others; dev has all.

`tests/golden/golden_test.py -k mask` runs those with "mask" in the name.
"""

import base64
import glob
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
FRESHET = os.environ.get("FRESHET", "build/freshet")
SLOWNESS = float(os.environ.get("FRESHET_SLOWNESS") or 1)
TIMESTAMP = re.compile(r"^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$")
SETS = ("__collect_set", "__most_frequent_set")  # in any order
USAGE = 2
ALL_REFUSED = 65  # of a piece with no good row, too
BAD_DECLARATION = 78


def plain(value):
    """Butterfree's way to write a value, as ours."""
    if isinstance(value, str) and value.startswith("hex:"):
        return base64.b64encode(bytes.fromhex(value[4:])).decode()
    if isinstance(value, str) and TIMESTAMP.match(value):
        return value + "Z"
    return value


def as_float(value):
    """The float nearest to it: Butterfree's output has floats as doubles, ours with fewest digits."""
    return struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value


def is_same(a, b):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return type(a) is type(b) and a == b


def is_same_row(a, b):
    return list(a) == list(b) and all(is_same(a[name], b[name]) for name in a)


def is_at(row, place):
    return all(row[name] == value for name, value in place.items())


class Variant:
    def __init__(self, path):
        self.path = path
        self.folder = os.path.dirname(path)
        self.name = os.path.basename(path)[: -len(".yaml")]
        with open(path) as file:
            self.text = file.read()

    def head(self, word):
        found = re.search(r"^# %s: (.*)$" % word, self.text, re.M)
        return found.group(1) if found else None

    def differences(self):
        path = self.path.replace(".yaml", ".differences.json")
        if not os.path.exists(path):
            return {}
        with open(path) as file:
            return json.load(file)

    def expected(self, stream):
        name = stream and self.head("on a stream") or self.head("expected") or self.name
        path = "%s/expected.%s.jsonl" % (self.folder, name)
        with open(path) as file:
            rows = [json.loads(line) for line in file]
        differences = self.differences()
        names = differences.get("names", {})
        rows = [{names.get(name, name): value for name, value in row.items()} for row in rows]
        until = self.head("until")
        if until:
            rows = [row for row in rows if row["timestamp"] is None or row["timestamp"][:10] <= until]
        for column in differences.get("without", []):
            for row in rows:
                del row[column]
        for change in differences.get("rows", []):
            cells = {name: value for name, value in change.items() if name != "at"}
            row, *others = [row for row in rows if is_at(row, change["at"])]
            assert all(other == row for other in others), change["at"]
            for name, value in cells.items():
                if is_same(row[name], value):
                    raise AssertionError("%s: %s does not differ at all" % (self.path, name))
                row[name] = value
        for place in differences.get("refused", []):
            (row,) = [row for row in rows if is_at(row, place)]
            rows.remove(row)
        for place in differences.get("never", []):
            left = [row for row in rows if not is_at(row, place)]
            if len(left) == len(rows):
                raise AssertionError("%s: there is no %s at all" % (self.path, place))
            rows = left
        rows = [{name: plain(value) for name, value in row.items()} for row in rows if is_served(row)]
        return self.with_floats(rows)

    def is_aggregated(self):
        return re.search(r"^  aggregated:", self.text, re.M) is not None

    def has_windows(self):
        return re.search(r"^ +window:", self.text, re.M) is not None

    def run(self, stream, step_rows=None, restarts=False):
        """Runs it in a folder of its own; gives exit code, rows and messages."""
        text = self.text
        if stream:
            text = text.replace("    - id: events\n", "    - id: events\n      stream: true\n", 1)
        with tempfile.TemporaryDirectory() as folder:
            for path in glob.glob(self.folder + "/*.jsonl"):
                if not os.path.basename(path).startswith("expected."):
                    shutil.copy(path, folder)
            with open(folder + "/declaration.yaml", "w") as file:
                file.write(text)
            if restarts:
                code, rows, messages = self.run_in_pieces(folder)
            else:
                arguments = ["--step-rows", str(step_rows)] if step_rows else []
                code, rows, messages = self.run_once(folder, stream, stream, arguments)
        if stream and (self.is_aggregated() or re.search("^# versions$", self.text, re.M)):
            rows = last_versions(rows)
        ours, theirs = (self.head("named") or "- -").split()
        rows = [{theirs + name[len(ours):] if name.startswith(ours) else name: value
                 for name, value in row.items()} for row in rows]
        return code, self.with_floats(rows), messages

    def shows_newest(self):
        return self.has_windows() or (self.head("table") or "").endswith("_latest")

    def run_once(self, folder, stream, is_last, arguments):
        table = self.head("table") or "online_feature_store__g"
        if stream and self.has_windows():
            table += "_latest"
        given = (self.head("arguments") or "").split()
        if stream and self.is_aggregated() and is_last:
            given.append("--drain")
        elif stream and not is_last:
            given = []  # dates cut what is drained
        done = subprocess.run(
            [FRESHET, "run", folder + "/declaration.yaml", "--once", "--debug", "--no-serve", "--progress", "none",
             "--query", "select * from " + table, "--format", "json", *given, *arguments],
            capture_output=True, text=True, timeout=600 * SLOWNESS,
            env={"FRESHET_WORKERS": self.workers(stream, is_last, arguments), **os.environ})
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def workers(self, *way):
        way = [re.sub("^/.*", "", str(word)) for word in way[:-1] + tuple(way[-1])]  # folders have other names each time
        return str((1, 2, 5)[zlib.crc32(" ".join([self.path[len(HERE):], *way]).encode()) % 3])

    def run_in_pieces(self, folder):
        """A run for each of two pieces of the stream's file, always cut alike."""
        chance = random.Random(zlib.crc32(self.path[len(HERE):].encode()))
        name = re.search(r"    - id: events\n(?:      .*\n)*?      file: \{path: ([^,}]+)", self.text).group(1)
        with open(os.path.join(folder, name)) as file:
            lines = file.readlines()
        cuts = [chance.randrange(1, len(lines)), len(lines)]
        rows, messages, before = [], "", 0
        os.remove(os.path.join(folder, name))
        for cut in cuts:
            with open(os.path.join(folder, name), "a") as file:
                file.writelines(lines[before:cut])
            before = cut
            code, found, said = self.run_once(folder, True, cut == len(lines), [
                "--state", folder + "/state", "--step-rows", str(chance.choice((1, 2, 5, 1000)))])
            rows += found
            messages += said
            if code != 0 and not (code == ALL_REFUSED and "and no row at all was written" in said):
                return code, [], messages
        return 0, last_newest(rows) if self.shows_newest() else rows, messages

    def with_floats(self, rows):
        floats = re.findall(r"name: (\w+), type: float", self.text)
        sets = tuple(re.findall(r"^# sets: (.*)$", self.text, re.M))
        for row in rows:
            for column in row:
                function = re.sub(r"_over_\w+_windows$", "", column.split("__")[-1])
                if column in floats or function in self.float_functions():
                    row[column] = as_float(row[column])
                if (column.endswith(SETS) or column.startswith(sets)) and row[column] is not None:
                    row[column] = sorted(row[column])
        return rows

    def float_functions(self):
        return [name.lower() for name in re.findall(r"\{\"?(\w+)\"?: float", self.text)]


def last_versions(rows):
    versions = {}
    for row in rows:
        names = list(row)
        place = tuple(row[name] for name in names[: names.index("timestamp") + 1])
        versions[place] = row
    return list(versions.values())


def last_newest(rows):
    """Of the newest rows of several runs those that a store would hold."""
    found = {}
    for row in rows:
        names = list(row)
        key = tuple(row[name] for name in names[: names.index("timestamp")])
        if key not in found or found[key]["timestamp"] <= row["timestamp"]:
            found[key] = row
    return list(found.values())


def is_served(row):
    """Keys come before the timestamp; a row without any of them is a dead letter."""
    names = list(row)
    return all(row[name] is not None for name in names[: names.index("timestamp") + 1])


def newest(rows):
    """By key, those of its rows that have the greatest time."""
    found = {}
    for row in rows:
        names = list(row)
        key = tuple(row[name] for name in names[: names.index("timestamp")])
        have = found.setdefault(key, [])
        if have and have[0]["timestamp"] < row["timestamp"]:
            have.clear()
        if not have or have[0]["timestamp"] == row["timestamp"]:
            have.append(row)
    return found


class Golden(unittest.TestCase):
    maxDiff = None

    def check(self, variant, stream, **how):
        code, rows, messages = variant.run(stream, **how)
        refusal = variant.head("fails")
        if refusal is not None or (stream and variant.head("batch only") is not None):
            self.assertIn(code, (BAD_DECLARATION, USAGE), messages)
            self.assertIn(refusal or "", messages)
            self.assertEqual(rows, [])
            return
        self.assertEqual(code, 0, messages)
        for column in (variant.head("more") or "").split():
            rows = [{name: value for name, value in row.items() if name != column} for row in rows]
        if stream and variant.has_windows():
            self.check_newest(variant, rows, messages)
        else:
            self.check_all(variant, stream, rows, messages)

    def check_newest(self, variant, rows, messages):
        expected = newest(variant.expected(True))
        found = newest(rows)
        self.assertEqual(sorted(expected), sorted(found), messages)
        for key, choices in expected.items():
            (row,) = found[key]
            if not any(is_same_row(row, choice) for choice in choices):
                self.fail("%s\nnewest row:\n%s\nBatch's:\n%s\n%s" % (
                    variant.path, json.dumps(row), "\n".join(map(json.dumps, choices)), messages))

    def check_all(self, variant, stream, rows, messages):
        left = list(rows)
        missing = []
        for expected in variant.expected(stream):
            same = [row for row in left if is_same_row(row, expected)]
            if same:
                left.remove(same[0])
            else:
                missing.append(expected)
        if missing or left:
            self.fail("%s\nnot there:\n%s\nthere instead:\n%s\n%s" % (
                variant.path, "\n".join(map(json.dumps, missing)), "\n".join(map(json.dumps, left)),
                messages))


def add_tests():
    ways = {"batch": {"stream": False}, "stream": {"stream": True},
            "by_row": {"stream": True, "step_rows": 1}, "restarts": {"stream": True, "restarts": True}}
    # All of them are thousands of starts: `make test` shares them between two builds.
    preset = os.environ.get("FRESHET_PRESET")
    short = preset in ("asan", "tsan")
    for path in sorted(glob.glob(HERE + "/*/*.yaml")):
        variant = Variant(path)
        for way, how in ways.items():
            is_batch_only = bool(variant.head("fails") or variant.head("batch only"))
            if len(how) > 1 and is_batch_only:
                continue
            if short and way != ("batch" if is_batch_only else "by_row"):
                continue
            if preset == "release" and way == "by_row":
                continue
            if way == "restarts" and variant.head("arguments") and "windows:" not in variant.text:
                continue  # dates cut what is drained, and groups without windows go out at once
            name = "test_%s_%s_%s" % (os.path.basename(variant.folder), variant.name, way)
            setattr(Golden, name, lambda self, variant=variant, how=how: self.check(variant, **how))


add_tests()

if __name__ == "__main__":
    unittest.main()
