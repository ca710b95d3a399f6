# needs: cassandra
"""A stream that begins while its store is away, or is cut off at any step of being opened, waits for it, says why, and
goes on; only what the declaration must change ends it. A batch, `plan`, `apply` and `get` try for as long as they were
told."""

import json
import threading
import unittest

from cassandra_testing import CassandraCase, Proxy
from freshet_testing import event, line

LOSSES = "(cannot connect to|cannot read the store's schema|cannot prepare writing to|cannot be reached|was lost)"


class PatientStartTest(CassandraCase):

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self, (self.cassandra.hosts[0], self.cassandra.port))

    def declare_far(self, stream=True, **store):
        """Through the proxy; and what makes the table goes there directly."""
        self.declare_store(name="near.yaml", stream=stream)
        self.declare_store(stream=stream, store={"port": self.proxy.port, "connect_timeout": "2 seconds", **store})
        self.write("in/a.jsonl", b"".join(line(event(i)) for i in range(7)))

    def start_far(self):
        return self.start("run", "events.yaml", "--progress", "none")

    def status(self, run):
        """The status, once it can be asked for."""
        def asked():
            self.assertTrue(run.is_running(), run.err())
            finished = self.freshet("status", "--pipeline", self.pipeline)
            return finished if finished.code in (0, 75) else None
        return self.until(asked, "the status is told", run)

    def until_written(self, run, n=7):
        self.until(lambda: len(self.rows()) == n, f"{n} rows", run)
        self.until(lambda: self.status(run).code == 0, "it is ready", run)

    def test_the_store_comes_later(self):
        self.declare_far()
        self.apply("near.yaml")
        self.proxy.refuses = True
        run = self.start_far()
        status = self.until(lambda: (found := self.status(run)).code == 75 and
                            json.loads(found.out)["trouble"].endswith("7 rows wait") and found, "it waits", run)
        self.assertRegex(status.err, f"not ready: online: .*{LOSSES}.*; 7 rows wait")
        self.assertEqual(json.loads(status.out)["rows_written"], 0)
        self.until(lambda: self.proxy.connections > 4, "it tries again", run)
        self.proxy.refuses = False
        self.until_written(run)
        self.assertEqual(run.err().count("trying again until it works"), 1, run.err())
        self.assertEqual(run.err().count("the trouble is over"), 1, run.err())
        self.append("in/a.jsonl", line(dict(event(7), key="another")))
        self.until(lambda: len(self.rows()) == 8, "8 rows", run)
        run.stop()

    def test_cut_at_each_step_of_opening(self):
        """The connections are cut after more and more bytes, so that each answer on the way is once the last."""
        self.declare_far()
        self.apply("near.yaml")
        self.proxy.budget = 20
        run = self.start_far()

        def goes_on():
            self.proxy.budget = int(self.proxy.budget * 1.1) + 10
            self.assertTrue(run.is_running(), run.err())
            return len(self.rows()) == 7
        self.until(goes_on, "7 rows", run)
        self.proxy.budget = None
        self.until_written(run)
        self.assertRegex(run.err(), LOSSES)
        run.stop()

    def test_what_must_change_ends_it(self):
        """There is no table: that is found when the store comes, and ends the stream."""
        self.declare_far()
        self.proxy.refuses = True
        run = self.start_far()
        self.until(lambda: self.status(run).code == 75, "it waits", run)
        self.proxy.refuses = False
        finished = run.wait()
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn("is missing; see `freshet plan events.yaml`", finished.err)

    def test_stopped_while_it_waits(self):
        """Rows that wait are read again by the next run."""
        self.declare_far()
        self.apply("near.yaml")
        self.proxy.refuses = True
        run = self.start_far()
        self.until(lambda: "7 rows wait" in self.status(run).out, "7 rows wait", run)
        run.process.terminate()
        finished = run.wait()
        self.assertEqual(finished.code, 75, finished.err)
        self.proxy.refuses = False
        self.until_written(self.start_far())

    def test_a_batch_and_the_verbs_have_patience(self):
        self.declare_far(stream=False, patience="1 second")
        self.proxy.refuses = True
        for args in (["plan", "events.yaml"], ["apply", "events.yaml", "--yes"], ["run", "events.yaml", "--progress", "none"],
                     ["get", "events.yaml", "--key", "key=k1"]):
            finished = self.freshet(*args)
            self.assertEqual(finished.code, 75, finished.err)
            self.assertRegex(finished.err, "warning: online: .*; trying again for 1 second")
        self.declare_far(stream=False, patience="10 minutes")
        self.proxy.budget = 20

        def more():
            self.proxy.refuses = False
            self.proxy.budget = int(self.proxy.budget * 1.3) + 10
        for args in (["apply", "events.yaml", "--yes"], ["run", "events.yaml", "--progress", "none"],
                     ["get", "events.yaml", "--key", "key=k1"]):
            self.proxy.budget, self.proxy.refuses = 20, True
            stop, before = threading.Event(), self.proxy.connections

            def grow():
                while not stop.wait(0.05):
                    if self.proxy.connections > before:  # it has met the trouble
                        more()
            thread = threading.Thread(target=grow)
            thread.start()
            try:
                finished = self.freshet(*args)
            finally:
                stop.set()
                thread.join()
            self.assertEqual(finished.code, 0, finished.err)
            self.assertIn("trying again for 10 minutes", finished.err)
            self.assertIn("the trouble is over", finished.err)
        self.assertEqual(len(self.rows()), 7)


if __name__ == "__main__":
    unittest.main()
