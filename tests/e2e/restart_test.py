"""Restarts: a stream that is stopped or killed goes on where its last checkpoint was, and what it
leaves behind is what an undisturbed run leaves: each row once, with the same features.

FRESHET_KILLS says how often the long tests kill (20; `make torture` asks for 100, with a seed).
"""

import json
import os
import shutil
import signal
import time

from freshet_testing import Case, event, line, lines

KILLS = int(os.environ.get("FRESHET_KILLS", "20"))

WINDOWS = ("{name: id, type: bigint}",
           "{name: v, from: value, type: double, window: {functions: [avg, count, min], "
           "over: [1 minute, 20 minutes], mode: fixed_windows}}",
           "{name: n, from: id, type: bigint, window: {functions: [sum], over: [7 events], mode: row_windows}}")
TIME = "{from: seen, lateness: 2 minutes}"
HISTORY = "- history: {path: out}"
SLOW = "{name: slow, type: bigint, sql: \"list_sum(range(4000 + id % 2))\"}"  # so that there is a middle to be killed in
FAST = "checkpoint: {interval: 20 ms}\n"


def jittered(i, rng):
    """The i-th event, up to a minute late, so that some change rows that were output before."""
    record = event(i, keys=31)
    second = i // 20 - rng.randint(0, 60) + 100
    record["seen"] = f"2024-01-{1 + second // 86400:02d}T{second // 3600 % 24:02d}:" \
                     f"{second // 60 % 60:02d}:{second % 60:02d}Z"
    return record


class RestartCase(Case):

    def letters(self):
        return sorted((letter["partition"], letter["offset"], letter["reason"])
                      for letter in self.dead_letters())

    def run_once(self, *args, code=0):
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def forget(self):
        """As if nothing had run."""
        for name in ("out", "events.state"):
            shutil.rmtree(self.path(name), ignore_errors=True)
        for name in ("events.dead_letters.jsonl",):
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))


class ExpiryTest(RestartCase):

    SINK = "- online: {debug: true}\n    - history: {path: out}"
    LATEST = ("select key, strftime(timestamp, '%H:%M:%S') as at, id, v__count_over_1_minute_fixed_windows as n, "
              "v__avg_over_1_minute_fixed_windows as v from online_feature_store__events_latest order by key")

    def latest(self, *records):
        """One run over these further events."""
        rows = [line(dict(event(i), key=key, value=value, seen=f"2024-01-01T00:{time}Z"))
                for i, (key, time, value) in enumerate(records)]
        self.append("in/a.jsonl", b"".join(rows))
        out = self.good("run", "events.yaml", "--once", "--progress", "none", "--state", "state",
                        "--query", self.LATEST, "--format", "json")
        return [tuple(json.loads(text).values()) for text in out.splitlines()]

    def test_events_leave(self):
        """A key whose events have left its window goes out without them, once, also when it was stopped
        in between; the history keeps the rows of events only."""
        features = ("{name: id, type: bigint}", "{name: v, from: value, type: double, window: "
                    "{functions: [count, avg], over: [1 minute]}}")
        name = self.declare(timestamp="{from: seen, lateness: 10 seconds}", sink=self.SINK, features=features)
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        self.write(name, text.replace("  features:", "  refresh: on_expiry\n  features:", 1))
        self.assertEqual(self.latest(("a", "00:00", 4), ("a", "00:30", 8), ("b", "01:00", 1), ("b", "01:10", 3)),
                         [("a", "00:00:30", 1, 2, 6.0), ("b", "00:01:10", 3, 2, 2.0)])
        self.assertEqual(self.latest(("b", "01:11", 5)),  # nothing before 00:01:01 can come any more
                         [("a", "00:01:01", 1, 1, 8.0), ("b", "00:01:11", 0, 3, 3.0)])
        self.assertEqual(self.latest(("b", "01:12", 7)), [("b", "00:01:12", 0, 4, 4.0)])
        self.assertEqual(self.latest(("c", "09:00", 0)),
                         [("a", "00:01:31", 1, 0, None), ("b", "00:02:13", 0, 0, None), ("c", "00:09:00", 0, 1, 0.0)])
        self.assertEqual(self.latest(("a", "08:55", 2)), [("a", "00:08:55", 0, 1, 2.0)])
        self.assertEqual(len(self.history_lines()), 8)


class KillTest(RestartCase):

    def feed(self, n, n_files):
        """Files that are there from the beginning, in a certain order, with some bad lines."""
        for file in range(n_files):
            first, last = n * file // n_files, n * (file + 1) // n_files
            data = bytearray()
            for i in range(first, last):
                data += line(jittered(i, self.rng))
                if self.rng.random() < 0.001:
                    data += b'{"id": %d, broken\n' % i
            name = self.write(f"in/{file:03d}.jsonl", bytes(data))
            os.utime(name, (1700000000 + file, 1700000000 + file))

    def test_kill(self):
        """kill -9 at random moments: the history, the features and the dead letters are those of an
        undisturbed run, whatever number of workers wrote the state that the next run reads."""
        self.declare(features=(*WINDOWS, SLOW), timestamp=TIME, sink=HISTORY, extra=FAST)
        self.feed(20000 + 5000 * KILLS, 12)
        self.run_once("--workers", "1")
        rows, letters = self.history_lines(), self.letters()
        self.assertGreater(len(rows), 20000)
        self.assertGreater(len(letters), 10)
        self.forget()
        seen, saved, all_read = set(), 0, False
        for _ in range(KILLS):
            run = self.start("run", "events.yaml", "--progress", "none", "--step-rows",
                             self.rng.choice(("200", "1100")), "--workers", self.rng.choice("125"))
            if all_read or self.rng.random() < 0.2:
                time.sleep(self.rng.uniform(0, 0.3))
            else:
                all_read = not run.until_checkpoints(2)
                saved += not all_read
                time.sleep(self.rng.uniform(0, 0.02))
            self.assertTrue(run.is_running(), run.err())
            run.signal(signal.SIGKILL)
            run.process.wait()
            seen.update(text.split(" checkpoint ")[1].split(" ")[0]
                        for text in run.err().splitlines() if " goes on from checkpoint " in text)
        self.assertGreater(saved, 2)
        self.assertGreaterEqual(len(seen), saved - 1, "each time something new was saved")
        self.run_once()
        self.assertEqual(self.history_lines(), rows)
        self.assertEqual(self.letters(), letters)

    def test_growing_files(self):
        """Files that grow, come, and change their names while the stream is killed again and again:
        each row is there once."""
        self.declare(sink=HISTORY, extra=FAST)
        n, at = 0, 0
        names = []
        for times in range(max(5, KILLS // 4)):
            run = self.start("run", "events.yaml", "--progress", "none")
            for _ in range(6):
                if not names or self.rng.random() < 0.4:
                    names.append(f"in/part-{len(names):03d}.jsonl")
                    self.write(names[-1], b"")
                name = self.rng.choice(names[-3:])
                count = self.rng.randint(1, 700)
                data = lines(at, at + count)
                cut = self.rng.randint(0, len(data))
                self.append(name, data[:cut])
                time.sleep(self.rng.uniform(0, 0.12))
                self.append(name, data[cut:])
                at += count
            run.signal(signal.SIGKILL)
            run.process.wait()
            index = self.rng.randrange(len(names))
            renamed = f"in/renamed-{times:03d}-{index}.jsonl"
            os.rename(self.path(names[index]), self.path(renamed))
            names[index] = renamed
            n = at
        self.run_once()
        ids = sorted(json.loads(text)["id"] for text in self.history_lines())
        self.assertEqual(ids, list(range(n)))
        self.assertEqual(self.dead_letters(), [])


class GoOnTest(RestartCase):

    def test_stop_and_go_on(self):
        """A clean stop, renamed files, more rows: what was read is not read again."""
        self.declare(sink=HISTORY)
        self.write("in/a.jsonl", lines(0, 1000))
        self.write("in/b.jsonl", lines(1000, 1500))
        run = self.start("run", "events.yaml")
        self.until(lambda: run.handles(signal.SIGTERM), "signals are handled", run)
        self.until(lambda: "1,500 rows read" in run.err(), "the rows are read", run)
        run.stop()
        os.rename(self.path("in/a.jsonl"), self.path("in/z.jsonl"))
        self.append("in/z.jsonl", lines(1500, 1600))
        finished = self.run_once()
        self.assertIn("goes on from checkpoint", finished.err)
        self.assertIn("100 rows read, 100 written", finished.err)
        finished = self.run_once()
        self.assertIn("0 rows read, 0 written", finished.err)
        ids = sorted(json.loads(text)["id"] for text in self.history_lines())
        self.assertEqual(ids, list(range(1600)))

    def test_published_files_may_be_moved(self):
        """Once they are seen, the history's files are the user's."""
        self.declare(sink=HISTORY)
        self.write("in/a.jsonl", lines(0, 100))
        self.run_once()
        shutil.rmtree(self.path("out", "year=2024"))
        self.append("in/a.jsonl", lines(100, 130))
        self.run_once()
        self.assertEqual(len(self.history_lines()), 30)

    def test_debug_keeps_no_state(self):
        """The debug table begins empty, so its rows are read again; unless a folder is named."""
        self.declare()
        self.write("in/a.jsonl", lines(0, 100))
        for _ in range(2):
            rows, _ = self.once()
            self.assertEqual(len(rows), 100)
        self.assertFalse(os.path.exists(self.path("events.state")))
        rows, _ = self.once("events.yaml", "--state", "mine")
        self.assertEqual(len(rows), 100)
        self.append("in/a.jsonl", lines(100, 110))
        rows, _ = self.once("events.yaml", "--state", "mine")
        self.assertEqual([row["id"] for row in rows], list(range(100, 110)))

    def test_declared_folder(self):
        self.declare(extra="state: {path: kept/here}\n")
        os.makedirs(self.path("kept"))
        self.write("in/a.jsonl", lines(0, 100))
        self.once()
        self.assertTrue(os.path.isdir(self.path("kept/here/db")))
        rows, _ = self.once()
        self.assertEqual(rows, [])
        # --debug shows rows of its own, and moves nothing
        rows, _ = self.once("events.yaml", "--debug")
        self.assertEqual(len(rows), 100)

    def test_features_go_on_exactly(self):
        """Windows over restarts at any row are those of a run without one."""
        self.declare(features=WINDOWS, timestamp=TIME, sink=HISTORY)
        records = [line(jittered(i, self.rng)) for i in range(3000)]
        self.write("in/a.jsonl", b"".join(records))
        self.run_once()
        rows = self.history_lines()
        self.forget()
        os.remove(self.path("in/a.jsonl"))
        at = 0
        while at < len(records):
            n = self.rng.randint(1, 900)
            self.append("in/b.jsonl", b"".join(records[at:at + n]))
            at += n
            self.run_once()
        self.assertEqual(self.history_lines(), rows)

    def test_keys_beyond_memory(self):
        """More keys than state.memory holds: the others wait in the folder, and nothing changes."""
        features = WINDOWS[:2]
        self.declare(features=features, timestamp="{from: seen, lateness: 1 day}", sink=HISTORY,
                     extra="checkpoint: {interval: 50 ms}\n")
        rng = self.rng
        with open(self.path("in/a.jsonl"), "wb") as out:
            for i in range(60000):
                record = event(i)
                record["key"] = f"key-{rng.randrange(20000)}"
                out.write(line(record))
        self.run_once()
        rows = self.history_lines()
        self.forget()
        self.declare(features=features, timestamp="{from: seen, lateness: 1 day}", sink=HISTORY,
                     extra="checkpoint: {interval: 50 ms}\nstate: {memory: 1 MiB}\n")
        self.run_once()
        self.assertEqual(self.history_lines(), rows)


class RefusalTest(RestartCase):

    def refused(self, says, *args, code=78):
        finished = self.run_once(*args, code=code)
        self.assertIn(says, finished.err)
        return finished

    def test_locked(self):
        self.declare(extra="state: {path: mine}\n")
        self.write("in/a.jsonl", lines(0, 100))
        run = self.start_run("events.yaml")
        finished = self.freshet("run", "events.yaml", "--no-serve")
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn(f"in use by process {run.pid};", finished.err)
        run.stop()

    def test_batch(self):
        self.declare(stream=False)
        self.refused("a batch keeps no state", "--state", "mine", code=2)

    def test_other_things_in_the_folder(self):
        self.declare()
        self.refused("is no state folder", "--state", "in/..", code=2)

    def test_changed_declarations(self):
        def declare(**changes):
            self.declare(**dict(dict(features=WINDOWS, timestamp=TIME, sink=HISTORY), **changes))
        declare()
        self.write("in/a.jsonl", lines(0, 500))
        self.run_once()
        # what the state can serve: a shorter window, another function over the same values
        served = (WINDOWS[0], WINDOWS[1].replace("20 minutes", "10 minutes").replace("min]", "min, max]"),
                  WINDOWS[2])
        declare(features=served, sink=HISTORY.replace("out", "later"))
        self.append("in/a.jsonl", lines(500, 600))
        self.run_once()
        declare(features=served, sink=HISTORY.replace("out", "afresh"))
        self.run_once("--state", "afresh.state")
        rows = [text for text in self.history_lines("afresh") if json.loads(text)["id"] >= 500]
        self.assertEqual(len(rows), 100)
        self.assertEqual(self.history_lines("later"), rows)
        # a window of 20 minutes is now longer than what is kept, another value is not kept at all: they fill
        declare(sink=HISTORY.replace("out", "longer"))
        self.assertRegex(self.run_once().err, r'feature "v": fills from 20\S* \S* on: "20 minutes" is null until 20')
        declare(features=(WINDOWS[0], WINDOWS[1].replace("20 minutes", "10 minutes")
                          .replace("from: value", "from: value, filter: value > 5"), WINDOWS[2]), sink=HISTORY.replace("out", "another"))
        self.assertRegex(self.run_once().err, r'feature "v": fills from 20\S* \S* on: "1 minute" is null until 20\S* \S*, "10 minutes" is')
        declare(query="select id, key, seen, value * 2 as value from events")
        self.assertIn("changed from", self.run_once(code=78).err)
        # what is refused takes nothing away
        declare(features=served, sink=HISTORY.replace("out", "later"))
        self.run_once()
        self.refused("which would miss those of this run", "--debug", "--state", "events.state")
        declare(pipeline="events2")
        self.refused('it is of the pipeline "events"', "--state", "events.state")

    def test_windows_that_saw_nothing(self):
        """Rows were read before the windows were declared: they fill from the first one on that is behind all of these."""
        self.declare(sink=HISTORY)
        self.write("in/a.jsonl", lines(0, 500))
        self.run_once()
        self.declare(features=WINDOWS, timestamp=TIME, sink=HISTORY.replace("out", "later"))
        self.append("in/a.jsonl", lines(500, 600))
        self.assertIn('feature "v": fills from 2024-01-01 00:08:20 on: "1 minute" is null until 2024-01-01 00:09:20',
                      self.run_once().err)
        counts = {row["timestamp"]: row["v__count_over_1_minute_fixed_windows"]
                  for row in map(json.loads, self.history_lines("later"))}
        self.assertEqual([counts[time] for time in sorted(counts)], [None] * 60 + [9] * 40)

    def test_longer_deduplication(self):
        """Ids that were forgotten cannot be known again, which is told; a shorter time can be served."""
        def declare(within):
            self.declare(timestamp=TIME, sink=HISTORY)
            path = self.path("events.yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("  features:", f"  deduplicate: {{on: [id], within: {within}}}\n  features:", 1))
        declare("10 minutes")
        self.write("in/a.jsonl", lines(0, 500))
        self.run_once()
        declare("24 hours")
        self.append("in/a.jsonl", lines(500, 600))
        self.assertIn("deduplicate: looks back further (`within` and lateness together) than ids were kept", self.run_once().err)
        declare("5 minutes")
        self.append("in/a.jsonl", lines(600, 700))
        self.run_once()

    def test_renamed_reader(self):
        self.declare(sink=HISTORY)
        self.write("in/a.jsonl", lines(0, 500))
        self.run_once()
        path = self.path("events.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("- id: events", "- id: happenings").replace("from events", "from happenings"))
        self.refused('the reader "events" is gone and another one new')

    def test_damage(self):
        self.declare(sink=HISTORY)
        self.write("in/a.jsonl", lines(0, 5000))
        self.run_once()
        folder = self.path("events.state", "db")
        logs = [name for name in os.listdir(folder) if name.endswith(".log")]
        log = max(logs, key=lambda name: os.path.getsize(os.path.join(folder, name)))
        os.truncate(os.path.join(folder, log), 100)
        self.refused(f"db/{log}", code=1)
