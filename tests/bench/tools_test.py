"""What the benchmarks reckon with: how callgrind's files are read, and when a count is called worse."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
import xml.dom.minidom

SOURCE = os.environ.get("FRESHET_SOURCE", os.getcwd())
sys.path.insert(0, os.path.join(SOURCE, "bench"))
import callgrind  # noqa: E402
import check  # noqa: E402
import flames  # noqa: E402
import harness  # noqa: E402
from harness import Failed  # noqa: E402

PROFILE = """\
# callgrind format
version: 1
positions: line
events: Ir

ob=(1) /usr/bin/freshet
fl=(1) /src/step.c
fn=(1) step
10 100
+3 20
cfi=(2) /src/decode.c
cfn=(2) decode
calls=2 5
* 400
cob=(2) /lib/libc.so.6
cfn=(3) malloc
calls=1 0
* 30
14 5

fl=(2)
fn=(2)
5 400

ob=(2)
fl=(3) ???
fn=(3)
0 30

totals: 555
"""


class Callgrind(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".callgrind") as file:
            file.write(PROFILE)
            file.flush()
            self.profile = callgrind.Profile(file.name)

    def test_instructions_belong_to_functions_and_libraries(self):
        step, decode, malloc = [("/usr/bin/freshet", "step"), ("/usr/bin/freshet", "decode"),
                                ("/lib/libc.so.6", "malloc")]
        self.assertEqual(self.profile.total, 555)
        self.assertEqual(self.profile.own, {step: 125, decode: 400, malloc: 30})
        self.assertEqual(self.profile.objects, {"/usr/bin/freshet": 525, "/lib/libc.so.6": 30})
        self.assertEqual(self.profile.calls[step], {decode: 400, malloc: 30})
        self.assertEqual(self.profile.files[decode], "/src/decode.c")
        self.assertEqual(callgrind.library("/lib/libc.so.6"), "libc")


class Flames(unittest.TestCase):
    def setUp(self):
        self.stages = flames.Stages(flames.sources())

    def stage(self, *files):
        return self.stages.of([("libc" if file is None else file if file.startswith("lib") else "freshet", "f", file)
                               for file in files])

    def test_the_innermost_folder_that_tells_one_is_the_stage(self):
        self.assertEqual(self.stage("step.c", "polling.c", "text.c"), "read")
        self.assertEqual(self.stage("step.c", "polling.c", "json_plain.c", "text.c", None), "decode")
        self.assertEqual(self.stage("step.c", "feature_set.c", "cast.c"), "features")
        self.assertEqual(self.stage("step.c", "feature_set.c", "divided.c", "windows_state.c", "keyed_table.c"), "state")
        self.assertEqual(self.stage("step.c", "source.c", "sql_statement.c", "libduckdb"), "query")
        self.assertEqual(self.stage("step.c", "writer.c", "row_store.c"), "write")

    def test_what_a_checkpoint_or_the_start_causes_is_theirs(self):
        self.assertEqual(self.stage("step.c", "checkpoint.c", "state_part.c", "windows_state.c"), "checkpoint")
        self.assertEqual(self.stage("open.c", "source.c", "sql_engine.c", "libduckdb"), "start")

    def test_threads_of_libraries_have_their_stage(self):
        self.assertEqual([self.stage(lib) for lib in ("librocksdb", "librdkafka", "libduckdb", "libc")],
                         ["checkpoint", "read", "query", "other"])

    def test_callgrind_s_arcs_become_stacks_of_the_same_cost(self):
        with tempfile.NamedTemporaryFile("w", suffix=".callgrind") as file:
            file.write(PROFILE)
            file.flush()
            stacks = list(flames.stacks_of(callgrind.Profile(file.name)))
        self.assertEqual(sorted((["%s" % name for _, name, _ in stack], cost) for stack, cost in stacks),
                         [(["step"], 125), (["step", "decode"], 400), (["step", "malloc"], 30)])

    def test_the_picture_has_a_box_for_each_function(self):
        tree, own = flames.gather([([("freshet", "step", "step.c"), ("freshet", "a<b>", "json.c")], 3),
                                   ([("freshet", "step", "step.c")], 1)], self.stages)
        picture = xml.dom.minidom.parseString(flames.svg(tree, "a & b", "looks"))
        boxes = {box.getAttribute("data-n"): box for box in picture.getElementsByTagName("g")}
        self.assertEqual(sorted(boxes), ["a<b>", "all", "step"])
        self.assertEqual([float(boxes[name].getAttribute("data-w")) for name in ("all", "step", "a<b>")], [1200, 1200, 900])
        self.assertEqual(own["freshet", "a<b>", "json.c"], 3)


class Memory(unittest.TestCase):
    def steadily(self, *read_ns):
        """What is measured beside memory of these speeds, one before and one after each measurement; and how often."""
        looks, measured = list(read_ns), []
        memory = harness.Memory(lambda: {"read": looks.pop(0), "copy": 1})

        def measure():
            measured.append(len(measured))
            return measured[-1]

        with contextlib.redirect_stdout(io.StringIO()) as said:
            found, slower = memory.steadily(measure, "it")
        return found, round(slower, 1), len(measured), said.getvalue()

    def test_a_run_beside_steady_memory_is_kept(self):
        self.assertEqual(self.steadily(50, 60), (0, 1.2, 1, ""))

    def test_a_run_that_memory_slowed_is_thrown_away(self):
        self.assertEqual(self.steadily(50, 500, 50, 50), (1, 1.0, 2, ""))

    def test_the_quickest_of_all_the_slow_ones_is_kept_and_that_is_said(self):
        found = self.steadily(50, 500, 400, 100, 100, 300)
        self.assertEqual(found[:3], (2, 6.0, 3))
        self.assertIn("it: memory was 6.0 times slower", found[3])


class Check(unittest.TestCase):
    """check.py with counts that nobody had to count."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.counts = {"all": 1000.0, "freshet": 800.0, "libc": 200.0, "start": {"all": 7}}
        self.measured = []
        for name, value in {"WRITTEN": os.path.join(folder.name, "instructions.json"), "measure": self.measure,
                            "generate": lambda *_: folder.name, "valgrind": lambda: "valgrind",
                            "versions": lambda: dict(self.versions)}.items():
            self.addCleanup(setattr, check, name, getattr(check, name))
            setattr(check, name, value)
        self.versions = {"compiler": "cc 12"}

    def measure(self, job, _core, _folder, few=None):
        self.measured.append((job, few is not None))
        return dict(self.counts)

    def check(self, is_update=False, jobs=("events", "windows")):
        self.measured.clear()
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            check.check(list(jobs), is_update)
        return said.getvalue()

    def written(self):
        with open(check.WRITTEN, encoding="utf-8") as file:
            return json.load(file)

    def test_within_the_limit_nothing_is_said_and_the_start_is_not_counted_again(self):
        self.check(is_update=True)
        self.assertEqual(sorted(self.measured), [("events", False), ("windows", False)])
        self.counts.update(all=1029.0, freshet=823.0)
        self.assertIn("none is more than 3 % worse", self.check())
        self.assertEqual(sorted(self.measured), [("events", True), ("windows", True)])

    def test_over_the_limit_it_fails_and_says_what_to_do(self):
        self.check(is_update=True)
        for counts in ({"all": 1031.0, "freshet": 800.0}, {"all": 1000.0, "freshet": 825.0}):
            self.counts.update(counts)
            with self.assertRaisesRegex(Failed, "more than 3 % worse: events; windows"):
                self.check()
            self.assertEqual([m for m in self.measured if not m[1]], [("events", False), ("windows", False)])

    def test_what_seems_worse_is_counted_again(self):
        self.check(is_update=True)
        self.counts["all"] = 1100.0
        plain = self.measure

        def with_the_start(job, core, folder, few=None):
            if few is None:
                self.counts["all"] = 1000.0
            return plain(job, core, folder, few)

        check.measure = with_the_start
        self.assertIn("none is more", self.check(jobs=["events"]))

    def test_other_versions_are_not_compared(self):
        self.check(is_update=True)
        self.versions["compiler"] = "cc 13"
        self.counts["all"] = 2000.0
        self.assertIn("compiler: cc 12 there, cc 13 here", self.check())

    def test_an_update_of_one_job_keeps_the_others(self):
        self.check(is_update=True)
        self.counts["all"] = 900.0
        self.check(is_update=True, jobs=["windows"])
        self.assertEqual({job: n["all"] for job, n in self.written()["jobs"].items()},
                         {"events": 1000.0, "windows": 900.0})

    def test_a_job_that_is_not_written_down_is_an_error(self):
        self.check(is_update=True, jobs=["events"])
        with self.assertRaisesRegex(Failed, "windows is not in .*UPDATE=1"):
            self.check()


if __name__ == "__main__":
    unittest.main()
