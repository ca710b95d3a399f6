# tsan
"""A session as a user has it: start a stream, query it while it runs, append to files and add new
ones, query again, terminate. Every row is there once."""

import os
import signal
import unittest

from freshet_testing import Case, Terminal, event, line, lines, pieces


class Feeder:
    """Brings the events first..last into the folder `in` in random pieces: some files grow, cut inside lines
    and characters; some are written aside and renamed into place. `step` does one small thing."""

    def __init__(self, case, first, last, n_files):
        self.case = case
        rng = case.rng
        cuts = sorted(rng.sample(range(first + 1, last), n_files - 1))
        self.work = []
        for i, (begin, end) in enumerate(zip([first, *cuts], [*cuts, last])):
            name = f"in/part-{first:05d}-{i:02d}.jsonl"
            data = lines(begin, end)
            if rng.random() < 0.3:
                self.work.append((name, None, iter([data])))
            else:
                self.work.append((name, "append", pieces(data, rng, len(data) // 5 + 2)))
        self.done = 0

    def step(self):
        """False when all has been brought."""
        if not self.work:
            return False
        item = self.case.rng.choice(self.work[:3])
        name, how, rest = item
        piece = next(rest, None)
        if piece is None:
            self.work.remove(item)
        elif how == "append":
            self.case.append(name, piece)
        else:
            self.case.write(name + ".part", piece)
            os.rename(self.case.path(name + ".part"), self.case.path(name))
        return True


class SessionTest(Case):

    def check_snapshot(self, at_least):
        """Whatever is there is there once, and no earlier row has gone; gives the count."""
        row, = self.query("select count(*) as n, count(distinct id) as ids, min(id) as first "
                          "from online_feature_store__events")
        self.assertEqual(row["n"], row["ids"])
        self.assertGreaterEqual(row["n"], at_least)
        return row["n"]

    def test_session(self):
        self.declare()
        self.write("in/0-first.jsonl", lines(0, 500))
        run = self.start_run("events.yaml")
        self.until_count(500, run)
        self.assert_ids(range(500))

        # append to the file and add others, querying in between
        feeder = Feeder(self, 500, 3000, 8)
        seen = 500
        while feeder.step():
            if self.rng.random() < 0.2:
                seen = self.check_snapshot(seen)
        self.append("in/0-first.jsonl", lines(3000, 3100))
        self.until_count(3100, run)
        self.assert_ids(range(3100))

        # the newest row of each key
        rows = self.query("select * from online_feature_store__events_latest order by key")
        newest = {}
        for i in range(3100):
            newest[event(i)["key"]] = event(i)
        self.assertEqual([(row["key"], row["id"], row["value"]) for row in rows],
                         [(key, newest[key]["id"], newest[key]["value"]) for key in sorted(newest)])
        self.assertEqual(rows[0]["timestamp"],
                         newest[rows[0]["key"]]["seen"].replace("Z", ".000000Z"))

        # a half line is no row until its end has come
        self.append("in/0-first.jsonl", line(event(3100))[:-10])
        self.append("in/1-last.jsonl", line(event(3101)))
        self.until_count(3101, run)
        self.append("in/0-first.jsonl", line(event(3100))[-10:])
        self.until_count(3102, run)

        finished = run.stop()
        self.assertIn("3,102 rows read, 3,102 written, 0 dead letters", finished.err)
        self.assertEqual(finished.out, "")
        self.assertEqual(self.dead_letters(), [])
        self.assertFalse(os.path.exists(self.path("run", "events.sock")))

    def test_stop_while_rows_come(self):
        """A stop in the middle ends in good order: what was counted as read was written."""
        self.declare()
        run = self.start_run("events.yaml", "--log", "json")
        feeder = Feeder(self, 0, 20000, 20)
        while feeder.step():
            pass
        self.until(lambda: self.count() > 0, "the first rows", run)
        finished = run.stop()
        self.assertRegex(finished.err, r'([0-9,]+) rows read, \1 written, 0 dead letters')

    def test_live_view(self):
        self.declare(features=["{name: id, type: bigint}", "{name: value, type: double}",
                               '{name: is_odd, type: boolean, sql: "id % 2 = 1"}'])
        self.write("in/0.jsonl", lines(0, 100))
        terminal = Terminal(self, "run", "events.yaml", width=90, height=14)
        terminal.until_shown("100 rows")
        terminal.until_matches(r"(?m)^k1 +2024-01-01 00:01:39")
        self.assertFalse(terminal.screen.cursor_visible)
        shown = terminal.screen.shown().splitlines()
        header = next(i for i, text in enumerate(shown) if text.startswith("key"))
        self.assertRegex(shown[header], r"^key +timestamp +id +value +is_odd$")
        # the newest row of each of the seven keys, newest first
        self.assertRegex(shown[header + 1], r"^k1 +2024-01-01 00:01:39 +99 +24\.75 +true$")
        self.assertEqual([text.split()[0] for text in shown[header + 1:header + 8]],
                         ["k1", "k0", "k6", "k5", "k4", "k3", "k2"])

        # refreshed in place: one header on the screen
        self.append("in/0.jsonl", lines(100, 150))
        terminal.until_shown("150 rows")
        terminal.until_matches(r"(?m)^k2 +2024-01-01 00:02:29")
        self.assertEqual(terminal.screen.shown().count("is_odd"), 1)

        # a bad row: the status line counts it
        self.append("in/0.jsonl", b"{not json\n")
        terminal.until_shown("1 dead letter")

        # another size: everything fits
        terminal.screen.resize(50, 8)
        terminal.set_size(50, 8)
        terminal.until_said("\x1b[2J")
        self.append("in/0.jsonl", lines(150, 160))
        terminal.until_shown("161 rows")
        terminal.until_matches(r"(?m)^k5 +2024-01-01 00:02:39")
        self.assertEqual(terminal.screen.shown().count("timestamp"), 1)

        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 0)
        terminal.until_said("161 rows read, 160 written, 1 dead letter (see ")
        terminal.assert_restored()

    def test_live_view_of_windows(self):
        """Their columns come first, and their names are cut in the middle."""
        self.declare(features=["{name: id, type: bigint}", "{name: value, type: double}",
                               "{name: amount, from: value, window: {functions: [sum, count], over: [7 days]}}"])
        self.write("in/0.jsonl", lines(0, 100))
        terminal = Terminal(self, "run", "events.yaml", width=60, height=14)
        terminal.until_matches(r"(?m)^key +timestamp +amou\S*…\S*7_days +amou\S*…\S*7_days(  id)?$")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait(), 0)

    def test_terminal_after_abort(self):
        """A run that is stuck is left, and the cursor is there again."""
        self.declare(features=["{name: id, type: bigint}", "{name: long, type: bigint, sql: "
                               "'length(replace(replace(replace(key || repeat(''k'', 9000), ''k'', "
                               "repeat(''k'', 9000)), ''k'', repeat(''k'', 90)), ''k'', ''y''))'}"])
        self.write("in/0.jsonl", lines(0, 16000))
        terminal = Terminal(self, "run", "events.yaml")
        terminal.until(lambda: not terminal.screen.cursor_visible, "the view begins")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait(), 0)
        terminal.assert_restored()
        self.assertIn("read again by the next run", terminal.screen.text)

    def test_stopped_and_continued(self):
        """Ctrl-Z gives the terminal back; the run goes on after `fg`."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        terminal = Terminal(self, "run", "events.yaml")
        terminal.until_shown("10 rows")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.until(lambda: terminal.screen.cursor_visible, "the cursor is back")
        terminal.until(terminal.is_stopped, "the process is stopped")
        self.append("in/0.jsonl", lines(10, 20))
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until_shown("20 rows")
        self.assertFalse(terminal.screen.cursor_visible)
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait(), 0)
        terminal.assert_restored()

    def test_log_lines_above_the_view(self):
        """A log line goes above the view, which stays whole."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        terminal = Terminal(self, "run", "events.yaml", height=40)
        terminal.until_shown("10 rows")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait(), 0)
        shown = terminal.screen.shown()
        self.assertEqual(shown.count("key  "), 1, shown)
        self.assertLess(shown.index("the newest row of each key"), shown.index("rows read"))


if __name__ == "__main__":
    unittest.main()
