"""`freshet state`: a stream's state folder from outside, while it runs and when it does not."""

import fcntl
import json
import os
import signal

from freshet_testing import Case, event, line, lines

FEATURES = ("{name: id, type: bigint}",
            "{name: v, from: value, type: double, window: {functions: [avg], over: [10 minutes], mode: fixed_windows}}")


class StateTest(Case):

    def declare_it(self, **changes):
        return self.declare(**dict(dict(features=FEATURES, sink="- history: {path: out}"), **changes))

    def run_once(self):
        self.good("run", "events.yaml", "--once", "--progress", "none")

    def files(self):
        """All files of the folder: names, sizes, times of change."""
        found = {}
        for path, _, names in os.walk(self.path("events.state")):
            for name in names:
                info = os.stat(os.path.join(path, name))
                found[os.path.join(path, name)] = (info.st_ino, info.st_size, info.st_mtime_ns)
        return found

    def test_ls(self):
        self.declare_it()
        data = lines(0, 70)
        self.write("in/a.jsonl", data)
        self.run_once()
        before = self.files()
        shown = self.good("state", "ls", "events.yaml")
        self.assertRegex(shown, r"^events\.state: the state of events, checkpoint \d+ of 20\d\d-\d\d-\d\dT")
        self.assertIn(f"reader events, 1 partition\n  in/a.jsonl at {len(data)}\n", shown)
        self.assertRegex(shown, r"part windows, 7 keys, [0-9.]+ k?B\n  keeps keys key string\n")
        told = json.loads(self.good("state", "ls", "--state", "events.state", "--format", "json"))
        self.assertEqual(told["pipeline"], "events")
        self.assertGreater(told["checkpoint"], 1)
        (reader,) = told["readers"]
        self.assertEqual((reader["id"], reader["positions"][0]["offset"]), ("events", len(data)))
        (part,) = told["parts"]
        self.assertEqual((part["name"], part["keys"]), ("windows", 7))
        self.assertEqual(self.files(), before, "looking changes nothing")

    def test_ls_of_many_partitions(self):
        """As text twenty are shown, and how many more there are; as JSON all."""
        self.declare_it()
        for i in range(22):
            self.write(f"in/{i:02}.jsonl", lines(i, i + 1))
        self.run_once()
        shown = self.good("state", "ls", "events.yaml")
        self.assertIn("reader events, 22 partitions\n", shown)
        self.assertEqual(shown.count(" at "), 20)
        self.assertIn("\n  ... and 2 more\npart ", shown)
        told = json.loads(self.good("state", "ls", "events.yaml", "--format", "json"))
        self.assertEqual(len(told["readers"][0]["positions"]), 22)

    def test_keys_that_ended(self):
        """They leave the store at a checkpoint, be they of the same run or of one before."""
        self.declare_it(features=FEATURES[:1], timestamp="{from: seen}\n  deduplicate: {on: [id], within: 1 hour}")
        self.write("in/a.jsonl", lines(0, 3))
        self.run_once()
        self.assertIn("part deduplicate, 3 keys", self.good("state", "ls", "events.yaml"))
        self.write("in/b.jsonl", line(event(200000)))
        self.run_once()
        self.assertIn("part deduplicate, 1 key,", self.good("state", "ls", "events.yaml"))
        (left,) = self.good("state", "inspect", "events.yaml").splitlines()
        self.assertIn("200000", left)

    def test_inspect(self):
        self.declare_it()
        self.write("in/a.jsonl", lines(0, 70))
        self.run_once()
        before = self.files()
        told = json.loads(self.good("state", "inspect", "events.yaml", "--key", "key=k3"))
        self.assertEqual(told["key"], {"key": "k3"})
        self.assertEqual([item["value"] for item in told["events"]], [i / 4 for i in range(3, 70, 7)])
        self.assertEqual(told["newest"], "2024-01-01T00:01:06.000000Z")
        self.assertEqual(len(self.good("state", "inspect", "events.yaml").splitlines()), 7)
        self.assertEqual(len(self.good("state", "inspect", "events.yaml", "--limit", "2").splitlines()), 2)
        self.assertEqual(self.files(), before)
        finished = self.freshet("state", "inspect", "events.yaml", "--key", "key=k9")
        self.assertEqual(finished.code, 1)
        self.assertIn("has nothing of this key", finished.err)
        finished = self.freshet("state", "inspect", "events.yaml", "--key", "colour=k9")
        self.assertEqual(finished.code, 2)
        self.assertIn('"windows" keeps keys key string', finished.err)
        finished = self.freshet("state", "inspect", "events.yaml", "--key", "k9")
        self.assertEqual(finished.code, 2)
        self.declare_it(keys="{name: key, type: string}, {name: id, type: bigint}", features=FEATURES[1:])
        finished = self.freshet("state", "inspect", "events.yaml", "--key", "key=k3")
        self.assertEqual(finished.code, 78)
        self.assertIn("kept for another declaration", finished.err)

    def test_while_it_runs(self):
        self.declare_it(extra="checkpoint: {interval: 10 ms}\n")
        run = self.start("run", "events.yaml")
        at = 0
        seen = set()
        def grows():
            nonlocal at
            self.append("in/a.jsonl", lines(at, at + 50))
            at += 50
            if not os.path.isdir(self.path("events.state", "db")):
                return False
            told = json.loads(self.good("state", "ls", "events.yaml", "--format", "json"))
            self.good("state", "verify", "events.yaml")
            seen.add(told["checkpoint"])
            return len(seen) > 5
        self.until(grows, "checkpoints are seen", run)
        finished = self.freshet("state", "reset", "events.yaml", "--yes")
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn(f"process {run.pid};", finished.err)
        run.stop()

    def test_verify(self):
        self.declare_it()
        self.write("in/a.jsonl", b"".join(line(dict(event(i), key=f"key {i}")) for i in range(5000)))
        self.run_once()  # so many keys become a table
        self.assertIn("is whole", self.good("state", "verify", "events.yaml"))
        folder = self.path("events.state", "db")
        (table,) = [name for name in os.listdir(folder) if name.endswith(".sst")
                    and os.path.getsize(os.path.join(folder, name)) > 10000]
        with open(os.path.join(folder, table), "r+b") as file:
            file.seek(9000)
            byte = file.read(1)
            file.seek(9000)
            file.write(bytes([byte[0] ^ 4]))
        finished = self.freshet("state", "verify", "events.yaml")
        self.assertEqual(finished.code, 1, finished.out)
        self.assertIn(f"db/{table}", finished.err)

    def test_reset(self):
        self.declare_it()
        self.assertIn("there is no state", self.good("state", "reset", "events.yaml", "--yes"))
        self.write("in/a.jsonl", lines(0, 10))
        self.run_once()
        finished = self.freshet("state", "reset", "events.yaml")
        self.assertEqual(finished.code, 2)
        self.assertIn("--yes", finished.err)
        self.assertTrue(os.path.isdir(self.path("events.state")))
        self.assertIn("is removed", self.good("state", "reset", "events.yaml", "--yes"))
        self.assertFalse(os.path.exists(self.path("events.state")))
        finished = self.freshet("state", "ls", "events.yaml")
        self.assertEqual(finished.code, 1)
        self.assertIn("there is no state", finished.err)
        for _ in range(2):  # what `state fill` has made of it goes, too, also where the state is gone already
            self.write("events.state.fill", "the past")
            self.good("state", "reset", "events.yaml", "--yes")
            self.assertFalse(os.path.exists(self.path("events.state.fill")))
        os.rename(self.path("out"), self.path("before"))
        self.run_once()
        self.write("events.state.fill", "the past")
        os.mkdir(self.path("events.state.fill.made"))
        with open(self.path("events.state.fill.made/lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as the verb has it
            finished = self.freshet("state", "reset", "events.yaml", "--yes")
            self.assertEqual(finished.code, 75)
            self.assertIn("`freshet state fill` reads the past for this state at the moment", finished.err)
            self.assertTrue(os.path.isdir(self.path("events.state")))
            self.assertTrue(os.path.exists(self.path("events.state.fill")))
        self.good("state", "reset", "events.yaml", "--yes")
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("events.state")], [])
        finished = self.freshet("state", "reset", "--state", "in", "--yes")
        self.assertEqual(finished.code, 2)
        self.assertEqual(os.listdir(self.path("in")), ["a.jsonl"])

    def test_killed_before_the_first_checkpoint(self):
        """What is left then is no state, and in nobody's way; and a run that is refused leaves nothing where nothing was."""
        self.declare_it()
        self.write("in/a.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: os.path.exists(self.path("events.state/lock")), "the folder", run)
        run.signal(signal.SIGKILL)
        run.wait()
        self.assertNotIn("warning", self.freshet("run", "events.yaml", "--once", "--progress", "none").err)
        self.good("state", "verify", "events.yaml")
        self.good("state", "reset", "events.yaml", "--yes")
        run = self.start("run", "events.yaml", "--debug", "--state", "mine.state", "--progress", "none")
        self.until(lambda: self.freshet("status", "--pipeline", "events").code == 0, "that it serves", run)
        finished = self.freshet("run", "events.yaml", "--debug", "--state", "other.state", "--progress", "none")
        run.stop()
        self.assertEqual(finished.code, 1)
        self.assertIn("is already running", finished.err)
        self.assertFalse(os.path.exists(self.path("other.state")))

    def test_usage(self):
        finished = self.freshet("state")
        self.assertEqual(finished.code, 2)
        self.assertIn("freshet state verify", finished.err)
        self.assertIn("freshet state reset", self.good("state", "--help"))
        self.assertTrue(self.good("help", "state", "ls").startswith("freshet state ls FILE"))
        finished = self.freshet("state", "lz", "events.yaml")
        self.assertIn('did you mean "state ls"', finished.err)
        os.makedirs(self.path("events.state"))
        finished = self.freshet("state", "ls", "events.state")
        self.assertEqual(finished.code, 2)
        self.assertIn("say --state events.state", finished.err)
        finished = self.freshet("state", "ls")
        self.assertEqual(finished.code, 2)
        self.assertIn("name the declaration", finished.err)
