"""`freshet status`: how a stream is, whatever it writes to."""

import json
import os

from freshet_testing import NOT_READY, Case, lines


class StatusTest(Case):

    def status(self, pipeline, code=0):
        finished = self.freshet("status", "--pipeline", pipeline)
        self.assertEqual(finished.code, code, finished.err)
        return json.loads(finished.out), finished.err

    def test_ready(self):
        self.declare(sink="- history: {path: out}")
        self.write("in/a.jsonl", lines(0, 70))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: os.path.exists(self.path("run", "events.sock")), "the socket", run)
        self.until(lambda: self.status("events")[0]["rows_read"] == 70, "70 rows", run)
        told, said = self.status("events")
        self.assertIs(told["ready"], True)
        self.assertNotIn("trouble", told)
        self.assertEqual(said, "")
        finished = self.freshet("query", "--pipeline", "events", "select 1")
        self.assertEqual(finished.code, 1)
        self.assertIn("has no debug table", finished.err)
        run.stop()
        finished = self.freshet("status", "--pipeline", "events")
        self.assertEqual(finished.code, 1)

    def test_not_ready(self):
        self.write("orders.yaml", NOT_READY.encode())
        run = self.start("run", "orders.yaml", "--progress", "none")
        self.until(lambda: os.path.exists(self.path("run", "orders.sock")), "the socket", run)
        self.until(lambda: self.freshet("status", "--pipeline", "orders").code == 75, "not ready", run)
        told, said = self.status("orders", code=75)
        self.assertIs(told["ready"], False)
        self.assertIn("127.0.0.1:1", told["trouble"])
        self.assertIn("not ready: " + told["trouble"], said)
        run.stop()
