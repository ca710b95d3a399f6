"""The log of a run: JSON with fields, levels at the start and by signals, the progress's interval, its page."""

import json
import os
import re
import signal
import subprocess
import unittest

from freshet_testing import DEADLINE, FRESHET, SOURCE, Case, lines


class LogTest(Case):

    def said(self, err):
        return [json.loads(text) for text in err.splitlines()]

    def test_fields(self):
        """Numbers are numbers; the run, the feature set, the reader are fields; each line names its event."""
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 3) + b"{broken\n")
        finished = self.freshet("run", "events.yaml", "--log-format", "json", "--debug")
        self.assertEqual(finished.code, 0, finished.err)
        (summary,) = [said for said in self.said(finished.err) if said["event"] == "summary"]
        self.assertEqual((summary["pipeline"], summary["feature_set"], summary["level"]), ("events", "events", "info"))
        self.assertEqual((summary["rows_read"], summary["rows_written"], summary["dead_letters"]), (4, 3, 1))
        self.assertGreater(summary["took_us"], 0)
        self.assertIn("4 rows read, 3 written", summary["message"])

    def test_page(self):
        """docs/reference/log.md is made from the table, and each field that is said stands in it."""
        page = self.good("schema", "--log")
        with open(os.path.join(SOURCE, "docs", "reference", "log.md"), encoding="utf-8") as file:
            self.assertIn("do not edit -->\n" + page + "\n", file.read(), "put in what `freshet schema --log` prints")
        names = re.findall(r"(?m)^\| `(\w+)` \|", page)
        self.assertEqual(len(names), len(set(names)))

    def test_an_event_for_each_message(self):
        """Production code says events of the table only."""
        found = subprocess.run(["grep", "-rnE", r"\blog_say\(", os.path.join(SOURCE, "src"), "--include=*.c"],
                               capture_output=True, text=True, check=False).stdout
        others = [text for text in found.splitlines() if "/base/log.c:" not in text and "_test.c:" not in text]
        self.assertEqual(others, [], "give it a row in src/base/log_events.h, and say log_event(NAME, ...)")

    def test_levels(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 3))
        self.assertEqual(self.freshet("run", "events.yaml", "--log-level", "warning", "--debug").err, "")
        finished = self.freshet("run", "events.yaml", "--log-level", "loud")
        self.assertEqual(finished.code, 2)
        self.assertIn("debug, info, warning", finished.err)

    def test_levels_by_signals(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 3))
        run = self.start_run("events.yaml", "--log-format", "json", "--progress", "off")
        for number, tells in ((signal.SIGUSR1, "debug"), (signal.SIGUSR2, "info"), (signal.SIGUSR2, "warning")):
            run.signal(number)
            self.until(lambda tells=tells: f'"tells":"{tells}"' in run.err(), f"it tells {tells}", run)
        run.stop()

    def test_progress(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 3))
        run = self.start_run("events.yaml", "--log-format", "json", "--progress", "50ms")
        self.until(lambda: '"event":"progress"' in run.err(), "progress", run)
        for i in range(3, 6):
            n = run.err().count('"event":"progress"')
            self.append("in/0.jsonl", lines(i, i + 1))
            self.until(lambda n=n: run.err().count('"event":"progress"') > n, "more of it", run)
        said = [said for said in self.said(run.stop().err) if said["event"] == "progress"]
        self.assertEqual(said[-1]["rows_read"], 6)
        self.assertTrue(said[-1]["newest_event_at"].startswith("2024-01-01T"))
        self.declare(stream=False)
        finished = self.freshet("run", "events.yaml", "--progress", "often")
        self.assertEqual(finished.code, 2)
        self.assertIn('"often" is none of auto, plain and off, and no time such as 5s', finished.err)

    def test_nobody_reads(self):
        """A log that is not read, or whose reader has gone, holds nothing up."""
        self.declare(stream=False, sink="- jsonl: {path: out}")
        for i in range(300):
            self.write(f"in/{i}.csv", "id,key,seen\n")
        self.declare(stream=False, format="csv", path="in/*.csv", sink="- jsonl: {path: out}")
        for gone in (True, False):
            reads, writes = os.pipe()
            if gone:
                os.close(reads)
            with subprocess.Popen([FRESHET, "run", "events.yaml", "--log-format", "json"], cwd=self.folder, env=self.env,
                                  stdin=subprocess.DEVNULL, stderr=writes) as run:
                os.close(writes)
                self.assertEqual(run.wait(DEADLINE), 0)
            if not gone:
                with open(reads, encoding="utf-8") as file:
                    said = self.said(file.read())
                (more,) = [one for one in said if "more" in one]
                self.assertEqual((more["event"], more["more"], more["reader"]), ("file_lacks_columns", 280, "events"))


if __name__ == "__main__":
    unittest.main()
