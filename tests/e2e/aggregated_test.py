"""Aggregated feature sets on streams, end to end: rows that go out as windows close, restarts and kills in
the middle of windows, what a changed declaration may be, drained runs."""

import json
import os
import shutil
import signal
import time

from freshet_testing import Case, event, line

KILLS = int(os.environ.get("FRESHET_KILLS", "20"))

FEATURES = ("{name: v, from: value, aggregate: {functions: [count, avg, max]}}",
            "{name: n, from: id, filter: id % 3 = 0, aggregate: {functions: [{sum: bigint}]}}")
ROLLING = "  aggregated: {windows: {over: [1 minute, 5 minutes], slide: 1 minute}}\n"
TIME = "{from: seen, lateness: 2 minutes}"
HISTORY = "- history: {path: out}"


def jittered(i, rng):
    """The i-th event, up to a minute late."""
    record = event(i, keys=31)
    second = i // 20 - rng.randint(0, 60) + 100
    record["seen"] = f"2024-01-{1 + second // 86400:02d}T{second // 3600 % 24:02d}:" \
                     f"{second // 60 % 60:02d}:{second % 60:02d}Z"
    return record


class AggregatedCase(Case):

    def declare_set(self, aggregated=ROLLING, features=FEATURES, extra="", sink=HISTORY, time=TIME):
        path = self.path(self.declare(features=features, timestamp=time, sink=sink, extra=extra))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("  features:", aggregated + "  features:", 1))

    def run_once(self, *args, code=0):
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def forget(self):
        for name in ("out", "events.state"):
            shutil.rmtree(self.path(name), ignore_errors=True)


class RestartTest(AggregatedCase):

    def feed(self, n, n_files=1):
        for file in range(n_files):
            data = b"".join(line(jittered(i, self.rng))
                            for i in range(n * file // n_files, n * (file + 1) // n_files))
            name = self.write(f"in/{file:03d}.jsonl", data)
            os.utime(name, (1700000000 + file, 1700000000 + file))

    def test_restarts_in_the_middle_of_windows(self):
        """A run in pieces, drained at the end, outputs what one run does."""
        for aggregated in (ROLLING, "  aggregated: {}\n"):
            self.declare_set(aggregated)
            records = [line(jittered(i, self.rng)) for i in range(4000)]
            self.write("in/a.jsonl", b"".join(records))
            self.run_once("--drain")
            rows = self.history_lines()
            self.assertGreater(len(rows), 200)
            self.forget()
            os.remove(self.path("in/a.jsonl"))
            at = 0
            while at < len(records):
                n = self.rng.randint(1, 900)
                self.append("in/b.jsonl", b"".join(records[at:at + n]))
                at += n
                self.run_once(*(["--drain"] if at >= len(records) else []))
            if aggregated == ROLLING:
                self.assertEqual(self.history_lines(), rows)
            else:  # what was output first depends on what was there then
                self.assertEqual(len(self.history_lines()), len(rows))
            self.forget()
            os.remove(self.path("in/b.jsonl"))

    def test_kill(self):
        """kill -9 at random moments: each window's row is there once, with the right numbers."""
        self.declare_set(extra="checkpoint: {interval: 20 ms}\n")
        self.feed(100000, 12)
        self.run_once("--drain")
        rows = self.history_lines()
        self.forget()
        kills = max(5, KILLS // 2)
        seen = 0
        for _ in range(kills):
            run = self.start("run", "events.yaml", "--progress", "none")
            run.until_checkpoints(self.rng.randint(2, 3))
            time.sleep(self.rng.uniform(0, 0.02))
            run.signal(signal.SIGKILL)
            run.process.wait()
            seen += " goes on from checkpoint " in run.err()
        self.assertGreater(seen, 0)
        self.run_once("--drain")
        self.assertEqual(self.history_lines(), rows)

    def test_changed_declarations(self):
        self.declare_set()
        self.feed(500)
        self.run_once()
        # what the state can serve: other functions of the same values, a shorter window
        self.declare_set("  aggregated: {windows: {over: [1 minute, 3 minutes], slide: 1 minute}}\n",
                         (FEATURES[0].replace("count, avg", "count, stddev_pop"), FEATURES[1]))
        self.append("in/000.jsonl", b"".join(line(jittered(i, self.rng)) for i in range(500, 600)))
        self.run_once()
        # longer windows, another slide and a value less are served from now on; `emit` is not
        for aggregated, says in ((ROLLING, '"5 minutes" is null until'),
                                 (ROLLING.replace("slide: 1 minute", "slide: 30 seconds"), "rows of the new slide begin behind")):
            self.declare_set(aggregated)
            self.assertIn(says, self.run_once().err)
        self.declare_set(ROLLING.replace("}}", ", emit: change}}"))
        self.assertIn("emit changed from `close` to `change`", self.run_once(code=78).err)
        self.declare_set(ROLLING.replace("slide: 1 minute", "slide: 30 seconds"), FEATURES[:1])
        self.run_once()

    def test_until_when_groups_are_null(self):
        """The newest event is not known in full: its whole second is null."""
        self.declare_set("  aggregated: {}\n", FEATURES[:1])
        self.write("in/a.jsonl", line(event(5)))
        self.run_once()
        self.declare_set("  aggregated: {}\n", (FEATURES[0], "{name: n, from: id, aggregate: {functions: [sum]}}"))
        self.assertIn('feature "n": fills from 2024-01-01 00:00:06 on: "the rows of one time" is null until 2024-01-01 00:00:06', self.run_once().err)


class RunTest(AggregatedCase):

    def rows(self, *args):
        finished = self.run_once("--debug", "--query", "select * from online_feature_store__events",
                                 "--format", "json", *args)
        return [json.loads(text) for text in finished.out.splitlines()]

    def test_open_windows_stay_open(self):
        """Without --drain the windows that have not ended give no row."""
        self.declare_set(time="{from: seen, lateness: 0 seconds}")
        self.write("in/a.jsonl", b"".join(
            line(dict(event(i, keys=1), seen=f"2024-01-01T00:0{i}:30Z")) for i in range(3)))
        self.assertEqual([row["timestamp"][14:16] for row in self.rows()], ["01", "02"])
        self.assertEqual([row["timestamp"][14:16] for row in self.rows("--drain")],
                         ["01", "02", "03", "04", "05", "06", "07"])
        self.assertEqual([row["timestamp"][14:16] for row in self.rows(
            "--drain", "--start-date", "2024-01-02")], [])

    def test_drain_goes_with_once(self):
        self.declare_set()
        finished = self.freshet("run", "events.yaml", "--drain")
        self.assertEqual(finished.code, 2)
        self.assertIn("--once --drain", finished.err)

    def test_newest_row_on_line(self):
        """`..._latest` has the last window of each key that has ended, in its last version."""
        self.declare_set(ROLLING.replace("}}", ", emit: change}}"))
        self.write("in/a.jsonl", b"".join(
            line(dict(event(i, keys=1), seen=f"2024-01-01T00:00:{50 - i:02d}Z")) for i in range(30))
            + line(dict(event(30, keys=1), seen="2024-01-01T00:04:10Z")))
        finished = self.run_once("--debug", "--step-rows", "1", "--query",
                                 "select timestamp, v__count_over_5_minutes_rolling_windows as n "
                                 "from online_feature_store__events_latest", "--format", "csv")
        self.assertEqual(finished.out.splitlines(), ["timestamp,n", "2024-01-01T00:02:00.000000Z,30"])
