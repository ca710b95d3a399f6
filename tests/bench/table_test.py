"""The table of `make bench` and the page that bench/plots.py makes of it, of lines that nobody had to measure."""

import contextlib
import copy
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

SOURCE = os.environ.get("FRESHET_SOURCE", os.getcwd())
BENCH = os.path.join(SOURCE, "bench")
sys.path.insert(0, BENCH)
import peer_table  # noqa: E402
import plots  # noqa: E402
import process_tree  # noqa: E402
import results  # noqa: E402
import table  # noqa: E402
from harness import Failed  # noqa: E402

MACHINE = {"processor": "Slow & Steady <1>", "cores": 2, "memory_gib": 24, "system": "Linux 6.1"}


def line(name, work_s, source="files", events=2_000_000, run="2026-11-30T21:00:00+0000", first_s=0.05, note="", **more):
    return dict({"benchmark": "table", "run": run, "commit": "0123456789", "machine": MACHINE, "name": name, "source": source, "version": "1.2",
                 "note": note, "events": events, "round": 0, "work_s": work_s, "first_s": first_s, "cpu_s": 1.0, "peak_mib": 200.0,
                 "others_share": 0.01, "memory_slower": 1.0}, **more)


LINES = [
    line("freshet, 2 workers", 9.0, run="2026-11-29T21:00:00+0000"),
    line("Slow", 20.0, events=200_000, note="no windows"), line("freshet, 2 workers", 1.0), line("DuckDB, a batch", 4.0, first_s=None),
    line("freshet of abc, 2 workers", 2.0), line("freshet, 2 workers", 1.25), line("freshet, 2 workers", 0.8),
    line("freshet, 2 workers", 2.0, "kafka"), line("Flink & co", 8.0, "kafka"),
    {"benchmark": "kafka-latency", "run": "2026-11-28T21:00:00+0000", "commit": "0123456789", "machine": MACHINE, "results": {
        "broker": "ZGC", "freshet, by SQL": {
            "p50_ms": 1.5, "p90_ms": 2.0, "p99_ms": 4.0, "p999_ms": 8.0, "max_ms": 9.0,
            "distribution_ms": [[1, 0.7], [50, 1.5], [90, 2.0], [99, 4.0], [99.9, 8.0]]}}},
    {"benchmark": "batch", "run": "2026-11-28T21:00:00+0000", "commit": "0123456789", "machine": MACHINE, "results": {
        "events": 20_000_000, "rounds": 3, "competitors": {"freshet": {"wall_s": 10.5, "cpu_s": 20.0, "peak_mib": 900.0}}}},
]


class Lines(unittest.TestCase):
    def test_lines_are_added_with_what_a_run_shares_and_a_torn_one_is_skipped(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "results.jsonl")
            log = results.Log(path)
            log.add("table", name="one")
            with open(path, "a", encoding="utf-8") as file:
                file.write('{"benchmark": "ta\n')
            log.add("table", name="two")
            found = results.read(path)
        self.assertEqual([one["name"] for one in found], ["one", "two"])
        self.assertEqual({one["run"] for one in found}, {results.RUN})
        self.assertEqual(sorted(found[0]["machine"]), ["cores", "memory_gib", "processor", "system"])

    def test_only_the_newest_run_of_a_benchmark_counts(self):
        self.assertEqual(len(results.newest(LINES, "table")), 8)
        self.assertEqual(len(results.newest(LINES, "batch")), 1)
        self.assertEqual(results.newest(LINES, "windows"), [])


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        paths = plots.write(LINES, cls.folder.name)
        cls.files = {}
        for path in paths:
            with open(path, encoding="utf-8") as file:
                cls.files[os.path.relpath(path, cls.folder.name)] = file.read()
        cls.page = cls.files["performance.md"]

    def test_rows_are_ours_then_the_older_build_then_the_others_the_quickest_first(self):
        rows = re.findall(r"^\| ((?:freshet|DuckDB|Slow)\b.*) \|$", self.page.split("## From a Kafka")[0], re.M)
        self.assertEqual(rows, [
            "freshet, 2 workers, 1.2 | 2,000,000 | 2,000,000 (1,600,000 to 2,500,000) | 1.0 | 0.50 | 200 | 50",
            "freshet of abc, 2 workers | 2,000,000 | 1,000,000 | 2.0 | 0.50 | 200 | 50",
            "DuckDB, a batch, 1.2 | 2,000,000 | 500,000 | 4.0 | 0.50 | 200 | at the end",
            "Slow *, 1.2 | 200,000 | 10,000 | 200.0 | 5.00 | 200 | 50"])
        self.assertIn("\\* Slow: no windows.", self.page)
        self.assertIn("fewer events: 200,000 in place of 2,000,000. With these they have hardly begun", self.page)

    def test_the_page_says_when_and_where(self):
        self.assertIn("Measured at 2026-11-30 21:00, commit `0123456789`, on 2 cores of Slow & Steady <1>, 24 GiB", self.page)
        self.assertNotIn("Other processes", self.page)
        self.assertIn("Measured at 2026-11-28 21:00", self.page.split("## Latency")[1])
        self.assertIn("| freshet, by SQL | 1.50 | 2.00 | 4.00 | 8.00 | 9.00 |", self.page)
        self.assertIn("| freshet | 10.50 | 20.00 | 900 |", self.page)

    def test_the_page_says_so_where_others_were_at_work(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(plots.write([line("freshet", 1.0, others_share=0.42)], folder)[0], encoding="utf-8") as file:
                self.assertIn("took up to 42 % of the machine", file.read())
            batch = copy.deepcopy(LINES[-1])
            batch["results"]["competitors"]["freshet"]["others_share"] = 0.33
            with open(plots.write([line("freshet", 1.0), batch], folder)[0], encoding="utf-8") as file:
                self.assertIn("took up to 33 % of the machine", file.read().split("## A batch")[1])

    def test_every_picture_is_in_the_page_and_is_well_formed(self):
        pictures = sorted(name for name in self.files if name.endswith(".svg"))
        self.assertEqual(pictures, sorted(re.findall(r"\]\((performance/\S+)\)", self.page)))
        self.assertEqual(len(pictures), 2 * len(plots.FIGURES) + 2)
        for name in pictures:
            xml.dom.minidom.parseString(self.files[name])
            self.assertIn("prefers-color-scheme: dark", self.files[name])
            self.assertNotIn("http", self.files[name].replace('xmlns="http://www.w3.org/2000/svg"', ""))

    def test_bars_are_as_long_as_their_medians(self):
        picture = xml.dom.minidom.parseString(self.files["performance/files-throughput.svg"])
        bars = [one for one in picture.getElementsByTagName("rect") if one.getAttribute("class") != "back"]
        self.assertEqual([one.getAttribute("class") for one in bars], ["own", "base", "peer", "peer"])
        widths = [float(one.getAttribute("width")) for one in bars]
        self.assertAlmostEqual(widths[0] / widths[1], 2, delta=0.01)
        self.assertAlmostEqual(widths[0] / widths[2], 4, delta=0.01)
        longest = max(float(re.match(r"M\S+ \S+H(\S+)$", one.getAttribute("d")).group(1))
                      for one in picture.getElementsByTagName("path"))
        self.assertAlmostEqual(longest, plots.NAME_WIDTH + plots.BAR_WIDTH, delta=0.1)


class Table(unittest.TestCase):
    def test_a_line_has_medians_and_the_least_and_the_most(self):
        rows = plots.rows_of(results.newest(LINES, "table"), "files")
        found = table.lines_of(rows)
        self.assertEqual(found[0], ["freshet, 2 workers", "1.2", "2000000", "2000000 (1600000..2500000)", "1.0 x", "0.50 (0.50..0.50)", "200",
                                    "50", "1 %"])
        self.assertEqual([one[4] for one in found], ["1.0 x", "2.0 x", "4.0 x", "200.0 x"])
        self.assertEqual([one[7] for one in found], ["50", "50", "at the end", "50"])
        self.assertEqual({len(one) for one in found}, {len(table.HEADER)})

    def test_one_that_fails_is_told_and_takes_no_more_turns(self):
        class Known(table.Candidate):
            def measure(self, turn):
                if self.name == "bad" and turn == 1:
                    raise Failed("CHECK of bad")
                self.runs.append(turn)

            def log_runs(self):
                logged[self.name] = len(self.runs)

        logged = {}
        good, bad = Known("good", "files"), Known("bad", "files")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(table.measure([bad, good], None), [bad])
        self.assertEqual(logged, {"good": table.ROUNDS, "bad": 0})
        self.assertIn("FAILED: CHECK of bad", said.getvalue())


    def test_no_two_rows_have_the_same_name(self):
        rows = [table.Freshet(table.THIS, "freshet", n) for n in (None, 1)] + [table.FreshetEvents(table.THIS, "freshet", None)]
        names = [(row.name, row.source) for row in rows] + [(peer.name, peer.source) for peer in peer_table.PEERS]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(table.name_of("abc", 1), "freshet of abc, 1 worker")


class Peers(unittest.TestCase):
    def test_each_peer_is_pinned_by_version_and_checksum(self):
        for peer in peer_table.PEERS:
            with self.subTest(peer=peer.name, source=peer.source):
                self.assertRegex(peer_table.version_of(peer), r"^\d+\.\d+")
                self.assertIn(peer.check, table.CHECKS)
                if peer.folder is None:
                    continue
                pins = os.listdir(peer_table.peer_path(peer.folder))
                self.assertTrue({"Cargo.lock", "jars.sha256", "requirements.txt"} & set(pins), pins)
                self.assertEqual("pom.xml" in pins, "jars.sha256" in pins)
                for name in pins:
                    if name.startswith("requirements"):
                        with open(peer_table.peer_path(peer.folder, name), encoding="utf-8") as file:
                            text = file.read()
                        self.assertEqual(text.count("=="), text.count("--hash=sha256:"))

    def test_what_several_processes_say_is_added_up(self):
        said = peer_table.said('noise\n{"keys": 2, "avg": 1.5, "first": 11, "last": 20}\n{"keys": 3, "avg": 2.5, "first": 10.5, "last": 19}\n')
        self.assertEqual(said, {"keys": 5, "avg": 4.0, "first": 10.5, "last": 20})
        self.assertEqual(peer_table.times(said, 30, 10), (0.5, 9.5))
        with self.assertRaisesRegex(Failed, "said nothing"):
            peer_table.said("noise\n")

    def test_its_start_is_no_work_where_it_says_when_it_began(self):
        self.assertEqual(peer_table.times({"ready_s": 3, "work_s": 4}, 9, 0), (3, 4))
        self.assertEqual(peer_table.times({"from_s": 2, "first_s": 5, "last_s": 8}, 9, 0), (5, 6))
        self.assertEqual(peer_table.times({"first_s": 5, "last_s": 8}, 9, 0), (5, 3))
        self.assertEqual(peer_table.times({}, 9, 0), (None, 9))

    def test_what_is_not_installed_is_said(self):
        kept = peer_table.DEPS
        self.addCleanup(setattr, peer_table, "DEPS", kept)
        with tempfile.TemporaryDirectory() as folder:
            peer_table.DEPS = folder
            with contextlib.redirect_stdout(io.StringIO()) as said:
                found = peer_table.built()
        self.assertEqual([peer.name for peer in found], ["DuckDB, a batch"])
        self.assertEqual(len(said.getvalue().splitlines()), len({peer.folder for peer in peer_table.PEERS} - {None}))
        self.assertIn("LEFT OUT: flink is not installed: make bench-peers", said.getvalue())

    def test_a_process_and_its_children_are_counted_together(self):
        child = "import sys; print('up', flush=True); sys.stdin.read()"
        parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', %r])" % child
        with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            found = process_tree.family(process.pid)
            watch = process_tree.Watch(process.pid)
            watch.look()
            process.stdin.close()
        self.assertEqual(len(found), 2)
        self.assertEqual(sorted(watch.used), sorted(found))
        self.assertGreater(watch.peak_mib, 5)
        self.assertEqual(process_tree.family(process.pid), [])


if __name__ == "__main__":
    unittest.main()
