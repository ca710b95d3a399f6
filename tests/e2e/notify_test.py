"""A run tells its supervisor how it is, by systemd's protocol: ready, stopping, alive or hung."""

import signal
import unittest

from freshet_testing import Case, NOT_READY, SLOWNESS, lines
from notify_testing import Supervisor

# One row of it takes longer than any test.
ENDLESS = ('{name: endless, type: bigint, sql: "case when id = 77 then list_sum(list_transform(range(id * 100), '
           'a -> levenshtein(repeat(a::varchar, 2000), repeat((a + 1)::varchar, 2000)))) else 1 end"}')


class NotifyTest(Case):

    def test_ready_and_stopping(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                self.declare()
                self.write("in/0.jsonl", lines(0, 100))
                supervisor = Supervisor(self, abstract)
                run = self.start("run", "events.yaml", env=supervisor.env)
                self.until(lambda: supervisor.values("READY"), "READY=1", run)
                self.assertEqual(self.freshet("status").code, 0)
                self.until(lambda: any("100 rows read" in said for said in supervisor.values("STATUS")), "a status", run)
                self.assertEqual(supervisor.values("WATCHDOG"), [])
                run.stop()
                self.assertEqual(supervisor.names(), ["READY=1", "STOPPING=1"])
                self.assertEqual(supervisor.values("STATUS")[0], "starting")
                self.assertEqual(supervisor.values("STATUS")[-1], "stopping")
                if not abstract:
                    supervisor.socket.close()

    def test_not_ready_is_said_and_no_hang(self):
        """A broker that is not there: no READY, the reason, more time to start, and signs of life."""
        self.write("orders.yaml", NOT_READY)
        supervisor = Supervisor(self, watchdog_s=4)
        run = self.start("run", "orders.yaml", env=supervisor.env)
        self.until(lambda: any(said.startswith("not ready: orders: ") for said in supervisor.values("STATUS")),
                   "the reason", run)
        alive = len(supervisor.values("WATCHDOG"))
        self.until(lambda: len(supervisor.values("WATCHDOG")) > alive + 2 and supervisor.values("EXTEND_TIMEOUT_USEC"),
                   "signs of life, and more time asked for", run)
        self.assertEqual(supervisor.names(), [])
        run.stop()
        self.assertEqual(supervisor.names(), ["STOPPING=1"])

    def test_a_rest_is_no_hang(self):
        """A disk that is full: the run rests between two tries, longer and longer, and says that it is alive."""
        self.declare(extra="dead_letters: {path: /dev/full}\n")
        self.write("in/0.jsonl", lines(0, 10))
        supervisor = Supervisor(self, watchdog_s=2)
        run = self.start("run", "events.yaml", env=supervisor.env)
        self.until(lambda: supervisor.values("READY"), "READY=1", run)
        self.append("in/0.jsonl", b"{not json\n")
        self.until(lambda: any(said.startswith("not ready: events: ") and "/dev/full" in said
                               for said in supervisor.values("STATUS")), "the reason", run)
        alive = len(supervisor.values("WATCHDOG"))
        self.until(lambda: len(supervisor.values("WATCHDOG")) > alive + 6, "signs of life", run)
        self.assertNotIn("watchdog ends", run.err())
        self.assertEqual(supervisor.names(), ["READY=1"])

    def test_a_loop_that_hangs_is_silent(self):
        self.declare(features=("{name: id, type: bigint}", ENDLESS))
        self.write("in/0.jsonl", lines(0, 10))
        watchdog = 3 * SLOWNESS
        supervisor = Supervisor(self, watchdog_s=watchdog)
        run = self.start("run", "events.yaml", env=supervisor.env)
        self.until(lambda: len(supervisor.values("WATCHDOG")) >= 3, "signs of life", run)
        times = supervisor.times("WATCHDOG")
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), watchdog)
        self.append("in/0.jsonl", lines(77, 78))
        self.until(lambda: "it reads or computes rows): the supervisor's watchdog ends this process" in run.err(),
                   "the warning", run)
        n = len(supervisor.values("WATCHDOG"))
        supervisor.listen(watchdog)
        self.assertEqual(len(supervisor.values("WATCHDOG")), n)
        run.signal(signal.SIGABRT)  # as the supervisor does
        self.assertEqual(run.wait().code, -signal.SIGABRT)

    def test_a_batch_that_works_is_alive(self):
        """It takes as long as there is data: what counts is that the process works."""
        self.declare(stream=False, features=("{name: id, type: bigint}", ENDLESS))
        self.write("in/0.jsonl", lines(70, 80))
        supervisor = Supervisor(self, watchdog_s=2)
        run = self.start("run", "events.yaml", env=supervisor.env)
        self.until(lambda: len(supervisor.values("WATCHDOG")) >= 6 and supervisor.values("EXTEND_TIMEOUT_USEC"),
                   "signs of life", run)

    def test_wrong_variables_are_a_warning(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 10))
        for name, value in (("NOTIFY_SOCKET", "somewhere"), ("WATCHDOG_USEC", "soon")):
            env = {**self.env, "NOTIFY_SOCKET": "@nobody-is-here", name: value}
            finished = self.freshet("run", "events.yaml", env=env)
            self.assertEqual(finished.code, 0, finished.err)
            self.assertIn(f'warning: {name}: "{value}"', finished.err)


if __name__ == "__main__":
    unittest.main()
