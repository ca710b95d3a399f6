"""Daily files whose modification times have another order: by `order: name` the days come one after the other."""

import os
import unittest

from freshet_testing import Case, event, line

DAYS = [2, 9, 10, 11]


class FileTimesOrderTest(Case):

    def folder_of_days(self):
        """Ten rows a day, three keys; the later the day, the older its file."""
        for place, day in enumerate(DAYS):
            data = b"".join(line(dict(event(day * 100 + i, keys=3), seen=f"2024-03-{day:02d}T{i:02d}:00:00Z"))
                            for i in range(10))
            os.utime(self.write(f"in/day{day}.jsonl", data), (1700000000 - place * 100,) * 2)

    def run_days(self, stream, order):
        self.declare(stream=stream, path="in", reader_extra=", order: " + order, schema=None,
                     features=("{name: id, type: bigint}",
                               "{name: n, from: id, window: {functions: [count], over: [1 hour]}}"))
        self.folder_of_days()
        return self.once(sql="select id from online_feature_store__events")

    def test_by_name(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                rows, _ = self.run_days(stream, "name")
                self.assertEqual([row["id"] for row in rows], [day * 100 + i for day in DAYS for i in range(10)])
                self.assertEqual(self.dead_letters(), [])

    def test_a_running_stream(self):
        """Files that come together are read in the order of their names, too."""
        self.declare(path="days", reader_extra=", order: name",
                     features=("{name: id, type: bigint}",
                               "{name: n, from: id, window: {functions: [count], over: [1 hour]}}"))
        run = self.start_run("events.yaml")
        self.folder_of_days()
        os.rename(self.path("in"), self.path("days"))
        self.until_count(40, run)
        self.assertEqual([row["id"] for row in self.query("select id from online_feature_store__events")],
                         [day * 100 + i for day in DAYS for i in range(10)])
        run.stop()

    def test_check_tells_of_the_order(self):
        """Of a stream whose windows it matters to, and of no other."""
        told = ("  order    by time, over all files, partitions and readers, while it catches up, as in a batch;\n"
                "           a row more than 1 hour behind the newest that its reader (of a topic: its partition) gave "
                "before is late\n")
        windows = ("{name: id, type: bigint}",
                   "{name: n, from: id, window: {functions: [count], over: [1 hour]}}")
        self.declare(features=windows)
        self.assertIn(told, self.good("check", "events.yaml"))
        self.declare(stream=False, features=windows)
        self.assertNotIn("  order", self.good("check", "events.yaml"))
        self.declare()
        self.assertNotIn("  order", self.good("check", "events.yaml"))

    def test_no_such_order(self):
        self.declare(reader_extra=", order: size")
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78)
        self.assertIn("name", finished.err)


if __name__ == "__main__":
    unittest.main()
