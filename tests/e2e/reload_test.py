"""SIGHUP to a run: log files that were moved away are opened again, a changed declaration is taken where the state serves it as it is."""

import glob
import os
import re
import signal
import unittest

from freshet_testing import Case, Terminal, lines
from notify_testing import Supervisor

FEATURES = ("{name: id, type: bigint}", "{name: value, type: double}",
            "{name: spent, from: value, window: {functions: [sum], over: [1 day]}}")
COLUMNS = {"id": "bigint", "value": "double", "spent__sum_over_1_day_fixed_windows": "double"}


class ReloadTest(Case):

    def declare_it(self, features=FEATURES, extra="checkpoint: {interval: 1 second}\n", **named):
        self.declare(sink="- history: {path: out}", features=features, extra=extra, **named)

    def start_it(self, **named):
        """A run that is at work, with a checkpoint behind it (which may be of the run before)."""
        self.write("in/0.jsonl", lines(0, 50))
        self.declare_it()
        run = self.start("run", "events.yaml", "--progress", "none", **named)
        self.until(lambda: self.freshet("status", "--pipeline", "events").code == 0, "it is ready", run)
        self.until(lambda: self.checkpoint() > 0, "a checkpoint", run)
        return run

    def checkpoint(self):
        finished = self.freshet("state", "ls", "events.yaml")
        found = re.search(r"checkpoint (\d+)", finished.out)
        return int(found.group(1)) if found else 0

    def hang_up(self, run, says):
        """SIGHUP, and what it is answered."""
        n = len(run.err())
        run.signal(signal.SIGHUP)
        return self.until(lambda: re.search(says, run.err()[n:]) and run.err()[n:], f"the answer {says}", run)

    def until_rows(self, n, run):
        self.until(lambda: glob.glob(self.path("out/**/*.parquet"), recursive=True) and len(self.history(COLUMNS)) >= n, f"{n} rows", run)
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], list(range(n)))

    def test_a_changed_option_is_taken(self):
        """The same process goes on with it, as its supervisor is told, and each row counts once."""
        supervisor = Supervisor(self, watchdog_s=30)
        run = self.start_it(env=supervisor.env)
        self.until(lambda: supervisor.values("READY"), "READY=1", run)
        self.declare_it(extra="checkpoint: {interval: 2 seconds}\nworkers: 1\n")
        self.hang_up(run, "the state serves the changed declaration as it is")
        self.append("in/0.jsonl", lines(50, 100))
        self.until(lambda: supervisor.names() == ["READY=1", "RELOADING=1", "READY=1"], "it is ready again", run)
        self.assertRegex(supervisor.values("MONOTONIC_USEC")[0], r"^\d+$")
        self.hang_up(run, "the declaration has not changed")
        run.stop()
        self.until_rows(100, run)
        rows = self.history(COLUMNS)
        self.assertEqual(rows[99]["spent__sum_over_1_day_fixed_windows"], sum(i / 4 for i in range(100) if i % 7 == 99 % 7))
        self.assertEqual(supervisor.names(), ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"])

    def test_what_is_wrong_or_means_something_else_is_refused(self):
        supervisor = Supervisor(self)
        run = self.start_it(env=supervisor.env)
        self.until(lambda: supervisor.values("READY"), "READY=1", run)
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            before = file.read()
        refused = "the changed declaration is not taken, and the run goes on with the one before: "
        # a mistake, with its place
        self.write("events.yaml", before.replace("format: json", "format: jsn"))
        said = self.hang_up(run, refused)
        self.assertRegex(said, refused + r"events\.yaml:7:\d+: error: .*json")
        # a window that keeps another value
        self.declare_it(features=FEATURES[:2] + ("{name: spent, from: id, window: {functions: [sum], over: [1 day]}}",))
        said = self.hang_up(run, refused)
        self.assertRegex(said, refused + r"windows: (\"value\": removed|feature \"spent\" .*fills from)")
        # a new feature, which would be null until a key's next event
        self.declare_it(features=FEATURES + ("{name: big, type: boolean, sql: value > 5}",))
        said = self.hang_up(run, refused)
        self.assertRegex(said, refused + r"feature \"big\" \(events.yaml:\d+:\d+\): served, null until")
        # what cannot be served at all
        self.declare_it(timestamp="{from: seen, late: update}")
        self.assertIn("cannot be served", self.hang_up(run, refused))
        # another state
        self.declare_it(extra="state: {path: elsewhere}\n")
        self.assertIn("it would begin anew", self.hang_up(run, refused))
        os.remove(self.path("events.yaml"))
        self.assertIn("its file cannot be read", self.hang_up(run, refused))
        self.assertEqual(run.err().count(" error: "), 6 + 1, run.err())
        # and the stream went on all the time
        self.write("events.yaml", before)
        self.hang_up(run, "the declaration has not changed")
        self.append("in/0.jsonl", lines(50, 60))
        self.until_rows(60, run)
        run.stop()
        self.assertEqual(set(supervisor.names()[1:-1:2]), {"RELOADING=1"})
        self.assertEqual(set(supervisor.names()[0:-1:2]), {"READY=1"})

    def test_log_files_are_opened_again(self):
        run = self.start_it()
        os.rename(run.err_path, run.err_path + ".1")
        run.signal(signal.SIGHUP)
        self.until(lambda: os.path.exists(run.err_path) and "has not changed" in run.err(), "the new file has the answer")
        self.assertEqual(os.stat(run.err_path).st_mode & 0o777, os.stat(run.err_path + ".1").st_mode & 0o777)
        n = os.stat(run.err_path + ".1").st_size
        run.stop()
        self.assertIn("50 rows read", run.err())
        self.assertEqual(os.stat(run.err_path + ".1").st_size, n)

    def test_a_run_without_state_goes_on(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start_run("events.yaml")
        self.hang_up(run, "the declaration is not read again, since this run keeps no state")
        self.until_count(10, run)
        run.stop()

    def test_hangups_and_an_end_in_any_order(self):
        """A SIGTERM is never lost on the way into the process that begins anew."""
        for i in range(6):
            run = self.start_it()
            self.declare_it(extra=f"checkpoint: {{interval: {i + 2} seconds}}\n")
            run.signal(signal.SIGHUP)
            if i % 2:
                self.until(lambda: "as it is: the stream goes on" in run.err(), "it is taken", run)
            if i % 3 == 2:
                run.signal(signal.SIGHUP)
            run.signal(signal.SIGTERM)
            finished = run.wait()
            # the system's own answer while it starts, when nothing has been read
            self.assertIn(finished.code, (0, -signal.SIGTERM), finished.err)
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], list(range(50)))

    def test_nohup(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.until(lambda: self.answers(run, "events"), "it answers", run)
        run.signal(signal.SIGHUP)
        self.until_count(10, run)
        self.assertNotIn("SIGHUP", run.stop().err)

    def test_a_terminal_that_goes_ends_the_run(self):
        self.declare_it()
        self.write("in/0.jsonl", lines(0, 50))
        terminal = Terminal(self, "run", "events.yaml", "--progress", "plain")
        terminal.until_shown("50 rows read")
        os.close(terminal.slave)
        os.close(terminal.master)
        self.assertEqual(terminal.process.wait(60), 0)
        self.assertEqual([row["id"] for row in self.history(COLUMNS)], list(range(50)))


if __name__ == "__main__":
    unittest.main()
