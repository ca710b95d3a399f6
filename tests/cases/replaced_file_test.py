"""A file is known by its path and what was read of its text, whatever its inode: replaced by a longer one, copied
with its state, written again in place, edited; each row is once in the history, or the log says which are not."""

import json
import os
import shutil
import subprocess
import unittest

from freshet_testing import Case, event, line, lines

HISTORY = "- history: {path: out}"
FAST = "checkpoint: {interval: 20 ms}\n"


class KnownFileCase(Case):
    """A stream into a history; `ids` are those in it."""

    def ids(self, folder="out"):
        if not os.path.isdir(self.path(folder)):
            return []
        self.write("read.yaml", f"""\
version: 1
pipeline: reads
source:
  readers:
    - id: rows
      file: {{path: "{folder}/**/*.parquet", format: parquet,
             schema: {{id: bigint, key: string, timestamp: timestamp}}}}
  query: select * from rows
feature_set:
  name: reads
  entity: key
  keys: [{{name: key, type: string}}]
  timestamp: {{from: timestamp}}
  features: [{{name: id, type: bigint}}]
sink: {{writers: [{{online: {{debug: true}}}}]}}
""")
        out = self.good("run", "read.yaml", "--query", "select id from online_feature_store__reads order by id",
                        "--format", "json", "--progress", "none")
        return [json.loads(text)["id"] for text in out.splitlines()]

    def follow(self, **named):
        return self.declare(path="in", sink=HISTORY, features=("{name: id, type: bigint}",), extra=FAST, **named)

    def run_once(self):
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        return finished

    def replace(self, name, data):
        os.rename(self.write("new", data), self.path(name))

    def until_ids(self, n, run):
        self.until(lambda: len(self.ids()) >= n, f"{n} rows", run)
        self.assertEqual(len(self.ids()), n)

    def shown(self):
        """How many files the history has: it grows with the checkpoints."""
        return sum(name.endswith(".parquet") for _, _, names in os.walk(self.path("out")) for name in names)

    def restarts(self, times, deed):
        """Deeds, each followed by a run that is killed once the history has grown."""
        for _ in range(times):
            deed()
            before = self.shown()
            run = self.start("run", "events.yaml", "--progress", "none")
            self.until(lambda: not run.is_running() or self.shown() > before, "rows", run)
            self.assertTrue(run.is_running(), run.err())
            run.end()


class ReplacedFileTest(KnownFileCase):

    def test_between_two_runs(self):
        self.follow()
        self.write("in/a.jsonl", lines(0, 10))
        self.run_once()
        for last in (20, 20, 30):
            self.replace("in/a.jsonl", lines(0, last))
            finished = self.run_once()
            self.assertEqual(self.ids(), list(range(last)))
            self.assertNotIn("warning", finished.err)

    def test_while_it_runs(self):
        self.follow()
        self.write("in/a.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until_ids(10, run)
        self.replace("in/a.jsonl", lines(0, 20))
        self.until_ids(20, run)
        shutil.copy(self.write("new", lines(0, 30)), self.path("in/a.jsonl"))  # in place
        self.until_ids(30, run)
        self.append("in/a.jsonl", lines(30, 31))
        self.until_ids(31, run)
        self.assertEqual(self.ids(), list(range(31)))
        self.assertNotIn("warning", run.stop().err)

    def test_a_folder_that_is_copied_with_its_state(self):
        """All inodes are others, and so is the folder; the old one is still there."""
        self.follow()
        for i in range(40):
            self.write(f"in/{i}.jsonl", lines(i * 10, i * 10 + 10))
        self.run_once()
        for to in ("copy", "again"):
            shutil.copytree(self.folder, "/tmp/" + os.path.basename(self.folder) + to,
                            ignore=shutil.ignore_patterns("run", "process*"))
            self.folder = "/tmp/" + os.path.basename(self.folder) + to
            self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
            self.assertNotIn("warning", self.run_once().err)
            self.assertEqual(self.ids(), list(range(400)))
        self.append("in/7.jsonl", line(event(1000)))
        self.write("in/x.jsonl", line(event(1001)))
        self.run_once()
        self.assertEqual(self.ids(), list(range(400)) + [1000, 1001])

    def test_edited_in_the_middle_and_at_the_beginning(self):
        self.follow()
        self.write("in/a.jsonl", lines(0, 1000))
        self.run_once()
        subprocess.run(["sed", "-i", 's/"id":500,/"id":555,/', self.path("in/a.jsonl")], check=True)
        self.append("in/a.jsonl", lines(1000, 1010))
        self.run_once()
        self.assertEqual(self.ids(), list(range(1010)))  # what was read before is not read again
        subprocess.run(["sed", "-i", "1d", self.path("in/a.jsonl")], check=True)
        finished = self.run_once()
        size = len(lines(0, 1010))
        self.assertIn(f"of which {size} bytes were read before", finished.err)
        self.assertEqual(len(self.ids()), 1010 + 1009)

    def test_another_text(self):
        self.follow()
        self.write("in/a.jsonl", lines(0, 10))
        self.run_once()
        self.replace("in/a.jsonl", lines(10, 15))
        finished = self.run_once()
        self.assertEqual(self.ids(), list(range(15)))
        self.assertIn("is read from its beginning", finished.err)

    def test_the_same_header_and_first_rows(self):
        """Files that begin alike are not taken for one another, whichever comes and goes."""
        self.follow(format="csv")
        header = "id,key,seen,value\n"
        same = "".join(f"{i},k,2024-01-01T00:00:00Z,1\n" for i in range(3))
        self.write("in/a.csv", header + same + "10,k,2024-01-01T00:00:01Z,1\n")
        self.run_once()
        self.write("in/b.csv", header + same)
        os.remove(self.path("in/a.csv"))
        self.run_once()
        self.write("in/c.csv", header + same + "11,k,2024-01-01T00:00:01Z,1\n")
        os.rename(self.path("in/b.csv"), self.path("in/d.csv"))
        self.run_once()
        self.assertEqual(self.ids(), sorted([0, 1, 2] * 3 + [10, 11]))

    def test_killed_while_it_catches_up(self):
        """Between the kills all files are replaced by longer ones."""
        self.follow()
        had = [0, 0, 0]

        def grow():
            for i in range(3):
                had[i] += self.rng.randint(1, 1500)
                self.replace(f"in/{i}.jsonl", lines(i * 100000, i * 100000 + had[i]))
        self.restarts(10, grow)
        self.run_once()
        self.assertEqual(self.ids(), [i * 100000 + k for i in range(3) for k in range(had[i])])

    def test_a_replaced_parquet_file(self):
        """The same file again is known; another one is read whole, and its rows are counted."""
        self.follow(format="parquet", schema=None)
        source = self.parquet(range(50))
        shutil.copy(source, self.path("in/a.parquet"))
        self.run_once()
        shutil.copy(source, self.path("new"))
        os.rename(self.path("new"), self.path("in/a.parquet"))
        self.assertNotIn("warning", self.run_once().err)
        self.assertEqual(self.ids(), list(range(50)))
        os.rename(self.parquet(range(40, 60)), self.path("in/a.parquet"))
        self.assertIn("of which 50 rows were read before", self.run_once().err)
        self.assertEqual(self.ids(), sorted(list(range(50)) + list(range(40, 60))))

    def parquet(self, ids):
        """A Parquet file with these ids, made by a batch."""
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            declared = file.read()
        self.write("for_parquet/a.jsonl", b"".join(line(event(i)) for i in ids))
        self.declare("make.yaml", stream=False, pipeline="make", path="for_parquet",
                     features=("{name: id, type: bigint}", "{name: seen, type: timestamp}"),
                     sink="- history: {path: made}")
        shutil.rmtree(self.path("made"), ignore_errors=True)
        self.good("run", "make.yaml", "--progress", "none")
        self.write("events.yaml", declared)
        made, = [os.path.join(folder, name) for folder, _, names in os.walk(self.path("made"))
                 for name in names if name.endswith(".parquet")]
        return made


class OldStateTest(KnownFileCase):

    def test_names_in_state_ls(self):
        """Positions are shown as before: path and place."""
        self.follow()
        self.write("in/a.jsonl", lines(0, 10))
        self.run_once()
        told = json.loads(self.good("state", "ls", "events.yaml", "--format", "json"))
        position, = told["readers"][0]["positions"]
        self.assertEqual((os.path.basename(position["partition"]), position["offset"]),
                         ("a.jsonl", len(lines(0, 10))))
        self.assertNotIn("\0", position["partition"])


if __name__ == "__main__":
    unittest.main()
