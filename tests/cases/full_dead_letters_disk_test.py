"""A full disk under the state, the history, the dead letters or a jsonl file: the run does not end, loses
nothing, says so once, `freshet status` tells (not ready, exit code 75), and a stop meanwhile gives 75."""

import json
import os

from freshet_testing import Case, free_file_size, limit_file_size, line, lines

OVER = "the trouble is over, the run goes on"


class FullDiskTest(Case):

    def status(self):
        finished = self.freshet("status", "--pipeline", "events")
        return finished.code, json.loads(finished.out) if finished.out else {}, finished.err

    def start_full(self, limit, trouble):
        """A run that cannot go on, since files end at that size."""
        run = self.start("run", "events.yaml", "--progress", "none", preexec=limit_file_size(limit))
        self.until(lambda: self.status()[0] == 75, "not ready", run)
        code, told, said = self.status()
        self.assertEqual((code, told["ready"]), (75, False), told)
        self.assertIn(trouble, told["trouble"])
        self.assertIn("not ready: " + told["trouble"], said)
        return run

    def goes_on(self, run, trouble):
        """Room again: ready, and each of both was said once."""
        free_file_size(run.pid)
        self.until(lambda: self.status()[0] == 0, "ready", run)
        self.assertEqual(run.err().count("trying again"), 1, run.err())
        self.assertEqual(run.err().count(OVER), 1, run.err())
        self.assertIn(trouble, run.err())
        self.assertLess(run.err().index("trying again"), run.err().index(OVER))

    def full(self, limit, trouble):
        """Stopped while the disk is full: 75. Begun anew, it waits; with room again it goes on."""
        run = self.start_full(limit, trouble)
        run.signal(15)
        finished = run.wait()
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn(trouble, finished.err)
        run = self.start_full(limit, trouble)
        self.goes_on(run, trouble)
        return run

    def history_ids(self):
        self.declare("back.yaml", stream=False, pipeline="back", path="out/**/*.parquet", format="parquet",
                     schema=None, query="select id, key, timestamp as seen, value from events")
        rows, _ = self.once("back.yaml", sql="select id from online_feature_store__back order by id")
        return [row["id"] for row in rows]

    def test_dead_letters(self):
        self.declare(sink="- history: {path: out}")
        bad = b"".join(b'{"id": %d, broken%s\n' % (i, b"x" * 100) for i in range(1000))
        self.write("in/0.jsonl", lines(0, 10) + bad + lines(10, 20))
        run = self.full(60000, "events.dead_letters.jsonl")
        self.until(lambda: len(self.dead_letters()) == 1000, "all dead letters", run)
        run.stop()
        self.assertEqual(len(self.dead_letters()), 1000)
        self.assertEqual(self.history_ids(), list(range(20)))

    def test_state(self):
        self.declare(sink="- history: {path: out}", keys="{name: id, type: bigint}",
                     features=["{name: value, type: double, window: {functions: [sum], over: [1 hour]}}",
                               "{name: key, type: string}"])
        self.write("in/0.jsonl", lines(0, 3000))
        run = self.full(70000, "cannot write the state in")
        run.stop()
        rows = [line for line in self.good("state", "inspect", "events.yaml", "--key", "id=2999").splitlines()]
        self.assertEqual(len(rows), 1)

    def test_state_without_a_line_in_the_log(self):
        """RocksDB's own log would end the process on a full disk: it stays empty."""
        self.test_state()
        self.assertEqual(os.path.getsize(self.path("events.state/db/LOG")), 0)

    def test_history(self):
        self.declare(sink="- history: {path: out}")
        self.write("in/0.jsonl", b"".join(
            line({"id": i, "key": self.rng.randbytes(30).hex(), "seen": "2024-01-01T00:00:00Z", "value": i})
            for i in range(3000)))
        run = self.full(60000, "cannot write the Parquet file")
        run.stop()
        self.assertEqual(self.history_ids(), list(range(3000)))

    def test_jsonl(self):
        self.declare(sink="- jsonl: {path: out.jsonl}")
        self.write("in/0.jsonl", lines(0, 3000))
        run = self.full(60000, "out.jsonl")
        run.stop()
        ids = [row["id"] for row in self.read_lines("out.jsonl")]
        self.assertEqual(ids[-3000:], list(range(3000)))  # before them, lines of the run that was stopped
        self.assertLess(len(ids), 6000)
