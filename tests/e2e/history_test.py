"""The history writer, dates and deduplication: whole runs of the binary over files.

What is in a history is read back by freshet itself, from its folder of Parquet files.
"""

import os
import signal
import time
import unittest

from freshet_testing import SLOWNESS, Case, event, free_file_size, limit_file_size, line, lines

HISTORY = "- history: {path: out%s}"


class HistoryCase(Case):

    def files(self, folder="out"):
        """The Parquet files that are seen, below the folder."""
        found = []
        for path, folders, names in os.walk(self.path(folder)):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [os.path.relpath(os.path.join(path, name), self.path(folder)) for name in names]
        return sorted(found)

    def aside(self, folder="out"):
        return [name for name in os.listdir(self.path(folder, ".freshet")) if name.endswith(".aside")]

    def history(self, folder="out"):
        """The rows in it, by id."""
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None,
                     path=folder + "/*/*/*/*.parquet", timestamp="{from: timestamp}")
        rows, _ = self.once("read.yaml", sql="select * from online_feature_store__read order by id")
        return rows

    def assert_history(self, ids, folder="out"):
        rows = self.history(folder)
        self.assertEqual([row["id"] for row in rows], list(ids))
        for row in rows:
            expected = event(row["id"])
            self.assertEqual((row["key"], row["value"]), (expected["key"], expected["value"]))
            self.assertEqual(row["timestamp"][:19] + "Z", expected["seen"])


class BatchTest(HistoryCase):

    def test_a_batch_is_written_by_day(self):
        self.declare(stream=False, sink=HISTORY % "")
        self.write("in/0.jsonl", lines(86300, 86500))
        self.good("run", "events.yaml", "--progress", "none")
        self.assertEqual(self.files(), ["year=2024/month=1/day=1/part-0000000000000000-0000.parquet",
                                        "year=2024/month=1/day=2/part-0000000000000000-0000.parquet"])
        self.assert_history(range(86300, 86500))

    def test_a_second_batch_replaces_its_days(self):
        self.declare(stream=False, sink=HISTORY % ", rows: 1000")
        self.write("in/0.jsonl", lines(0, 5000) + lines(86400, 86410))
        self.good("run", "events.yaml", "--progress", "none")
        self.assertGreaterEqual(len(self.files()), 6)
        self.write("in/0.jsonl", lines(100, 110))
        self.good("run", "events.yaml", "--progress", "none")
        self.assertEqual(len(self.files()), 2)
        self.assert_history([*range(100, 110), *range(86400, 86410)])

    def test_a_batch_that_replaces_all(self):
        """`interval_mode: false`: days that the batch has no rows of go, with dates, too; killed, the history is whole."""
        self.declare(stream=False, sink=HISTORY % ", rows: 100, interval_mode: false")
        self.write("in/0.jsonl", b"".join(lines(first, first + 300) for first in range(0, 86400 * 20, 86400)))
        self.good("run", "events.yaml", "--progress", "none")
        old = self.history()
        self.assertEqual(len({name.rsplit("/", 1)[0] for name in self.files()}), 20)
        self.write("in/0.jsonl", b"".join(lines(first + 300, first + 600) for first in range(0, 86400 * 20, 43200)))
        dates = "--start-date", "2024-01-05", "--end-date", "2024-01-16"
        new = [first + i for first in range(86400 * 4, 86400 * 16, 43200) for i in range(300, 600)]
        for _ in range(6):
            run = self.start("run", "events.yaml", "--progress", "none", *dates)
            pause = self.rng.random()
            self.until(lambda: os.path.isdir(self.path("out/.freshet")) and self.aside() or run.process.poll() is not None, "it writes", run)
            time.sleep(pause * 0.05 * SLOWNESS)
            run.process.send_signal(signal.SIGKILL)
            run.wait()
            self.declare("none.yaml", stream=False, pipeline="none", path="none/*.jsonl", sink=HISTORY % ", interval_mode: false")
            self.write("none/0.jsonl", b"")
            finished = self.freshet("run", "none.yaml")  # it opens the folder, and finishes what was begun
            self.assertEqual(finished.code, 0, finished.err)
            self.assertIn("this batch has no rows, so the history stays as it was", finished.err)
            rows = self.history()
            self.assertTrue(rows == old or [row["id"] for row in rows] == new, len(rows))
        self.good("run", "events.yaml", "--progress", "none", *dates)
        self.assert_history(new)
        self.assertFalse(os.path.exists(self.path("out/year=2024/month=1/day=1")))
        # another type and other folders: nothing is left that would not fit
        self.declare(stream=False, sink=HISTORY % ", partition_by: [year], interval_mode: false",
                     features=("{name: id, type: string}", "{name: value, type: double}"))
        self.assertIn("out fits the declaration", self.good("plan", "events.yaml"))
        self.write("in/0.jsonl", lines(0, 3))
        ran = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertEqual((ran.code, ran.err.count("warning")), (0, 0), ran.err)
        self.assertEqual(self.files(), ["year=2024/part-0000000000000000-0000.parquet"])

    def test_a_stream_replaces_nothing(self):
        self.declare(stream=True, sink=HISTORY % ", interval_mode: false")
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78, finished.err)
        self.assertRegex(finished.err, r"events.yaml:\d+:\d+: error: a stream adds to its history and replaces nothing, so "
                                       r"`interval_mode: false` is for batches: take it away; or,")
        self.declare(stream=True, sink=HISTORY % ", interval_mode: true")
        self.good("check", "events.yaml")

    def test_a_query_as_a_whole(self):
        self.declare(stream=False, sink=HISTORY % "",
                     query="select key, max(seen) as seen, max(id) as id, max(value) as value from events group by key")
        self.write("in/0.jsonl", lines(0, 700))
        self.good("run", "events.yaml", "--progress", "none")
        self.assert_history(range(693, 700))

    def test_killed_at_any_moment_it_is_as_before_or_new(self):
        self.declare(stream=False, sink=HISTORY % ", rows: 500")
        self.write("in/0.jsonl", b"".join(lines(first, first + 50) for first in range(0, 86400 * 20, 86400)))
        self.good("run", "events.yaml", "--progress", "none")
        old = self.history()
        self.write("in/0.jsonl", b"".join(lines(first + 50, first + 1050) for first in range(0, 86400 * 20, 86400)))
        for _ in range(6):
            run = self.start("run", "events.yaml", "--progress", "none")
            pause = self.rng.random()
            self.until(lambda: not run.is_running() or len(self.aside()) > pause * 40, "files lie aside", run)
            run.signal(signal.SIGKILL)
            run.process.wait()
            rows = self.history()
            days = {}
            for row in rows:
                days.setdefault(row["timestamp"][:10], []).append(row["id"] % 86400)
            # each day is the old one or the new one, if need be both for a moment
            for ids in days.values():
                self.assertIn(set(ids), [set(range(50)), set(range(50, 1050)), set(range(1050))])
            self.assertEqual(len(days), 20)
        self.good("run", "events.yaml", "--progress", "none")
        self.assertEqual(self.aside(), [])
        self.assert_history([first + i for first in range(0, 86400 * 20, 86400) for i in range(50, 1050)])
        self.assertEqual(len(old), 1000)

    def test_stopped_before_its_end_nothing_is_published(self):
        self.declare(stream=False, sink=HISTORY % ", rows: 100")
        self.write("in/0.jsonl", lines(0, 300000))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: os.path.isdir(self.path("out/.freshet")) and len(self.aside()) > 5, "it writes", run)
        finished = run.stop()
        self.assertIn("did not come to its end, so nothing of it is in the history", finished.err)
        self.assertEqual(self.files(), [])
        self.assertEqual(self.aside(), [])

    def test_a_full_disk_is_tried_again(self):
        self.declare(stream=False, sink=HISTORY % "")
        self.write("in/0.jsonl", lines(0, 20000))
        run = self.start("run", "events.yaml", "--progress", "none", preexec=limit_file_size(20000))
        self.until(lambda: "trying again" in run.err(), "it says so", run)
        self.assertIn("cannot write the Parquet file out/.freshet/year=2024~month=1~day=1~part", run.err())
        self.assertEqual(self.files(), [])
        free_file_size(run.pid)
        finished = run.wait()
        self.assertEqual(finished.code, 0, finished.err)
        self.assert_history(range(20000))

    def test_a_folder_that_cannot_be_made(self):
        self.declare(stream=False, sink="- history: {path: in/0.jsonl/out}")
        self.write("in/0.jsonl", lines(0, 10))
        finished = self.freshet("run", "events.yaml", "--progress", "none")
        self.assertEqual(finished.code, 1, finished.err)
        self.assertIn("cannot make the folder in/0.jsonl", finished.err)

    def test_two_writers(self):
        self.declare(stream=False, sink="- history: {path: a}\n    - history: {path: b, compression: snappy}")
        self.write("in/0.jsonl", lines(0, 10))
        self.good("run", "events.yaml", "--progress", "none")
        self.assert_history(range(10), "a")
        self.assert_history(range(10), "b")

    def test_debug_writes_no_history(self):
        self.declare(stream=False, sink=HISTORY % "")
        self.write("in/0.jsonl", lines(0, 10))
        self.good("run", "events.yaml", "--progress", "none", "--debug")
        self.assertFalse(os.path.exists(self.path("out")))


class StreamTest(HistoryCase):

    def test_a_stream_adds_files(self):
        self.declare(sink=HISTORY % "")
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: os.path.isdir(self.path("out")) and len(self.files()) > 0, "a file", run)
        self.append("in/0.jsonl", lines(10, 20))
        self.until(lambda: sum(name.endswith(".parquet") for name in self.files()) > 1, "another file", run)
        run.stop()
        self.assert_history(range(20))

    def counts(self, folder, **changes):
        """Of each row the versions of its count, by id: events in any order, with windows."""
        self.declare(features=("{name: id, type: bigint}", "{name: v, from: value, window: {functions: [count], over: [1 minute]}}"),
                     timestamp="{from: seen, lateness: 1 day}", pipeline=folder,
                     sink="- history: {path: %s%s}" % (folder, changes.pop("options", "")), **changes)
        self.good("run", "events.yaml", "--once", "--progress", "none")
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None,
                     path=folder + "/*/*/*/*.parquet", timestamp="{from: timestamp}",
                     features=("{name: id, type: bigint}",
                               "{name: n, type: bigint, from: v__count_over_1_minute_fixed_windows}"))
        rows, _ = self.once("read.yaml", sql="select id, n from online_feature_store__read")
        found = {}
        for row in rows:
            found.setdefault(row["id"], []).append(row["n"])
        return found

    def test_corrections_end_as_a_batch(self):
        ids = list(range(1500))
        self.rng.shuffle(ids)
        self.write("in/0.jsonl", b"".join(line(event(i)) for i in ids))
        batch = self.counts("batch", stream=False)
        first = self.counts("first")
        all_versions = self.counts("corrected", options=", corrections: true")
        self.assertEqual({i: len(n) for i, n in first.items()}, {i: 1 for i in ids})
        self.assertNotEqual(first, batch)
        self.assertGreater(sum(map(len, all_versions.values())), len(ids))
        self.assertEqual({i: [max(n)] for i, n in all_versions.items()}, batch)  # nothing leaves a window

    def test_a_second_run_is_kept_out(self):
        self.declare(sink=HISTORY % "")
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.until(lambda: os.path.isdir(self.path("out")) and len(self.files()) > 0, "a file", run)
        self.declare("other.yaml", pipeline="other", stream=False, sink=HISTORY % "")
        finished = self.freshet("run", "other.yaml", "--progress", "none")
        self.assertEqual(finished.code, 75, finished.err)
        self.assertIn("another run writes to the history in out", finished.err)
        run.stop()


class KilledStreamTest(HistoryCase):

    def test_each_event_is_there_once(self):
        """Events that repeat, days that mix, kill -9 now and then: each is in the history once."""
        self.declare(timestamp="{from: seen, lateness: 3 days}\n  deduplicate: {on: [id], within: 1 hour}",
                     sink=HISTORY % ", rows: 3000", extra="checkpoint: {interval: 20 ms}\n")
        ids = [day * 86400 + i for i in range(4000) for day in range(3)]
        ids += [self.rng.choice(ids) for _ in range(6000)]
        half = len(ids) // 2
        self.write("in/0.jsonl", b"".join(line(event(i)) for i in ids[:half]))
        kills = 0
        while kills < 8:
            before = len(self.files()) if os.path.isdir(self.path("out")) else 0
            run = self.start("run", "events.yaml", "--progress", "none")
            if kills == 3:
                self.append("in/0.jsonl", b"".join(line(event(i)) for i in ids[half:]))
            wanted = before + self.rng.randint(0, 6)
            end = time.monotonic() + (1 + self.rng.random()) * SLOWNESS
            while run.is_running() and time.monotonic() < end and \
                    (not os.path.isdir(self.path("out")) or len(self.files()) <= wanted):
                time.sleep(0.002)
            self.assertTrue(run.is_running(), run.err())
            run.signal(signal.SIGKILL)
            run.process.wait()
            kills += 1
        self.good("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(self.aside(), [])
        self.assert_history(sorted(set(ids)))


class DatesTest(HistoryCase):

    def test_dates_cut_what_is_written(self):
        self.declare(stream=False, sink=HISTORY % "")
        self.write("in/0.jsonl", lines(0, 10) + lines(86395, 86405) + lines(172800, 172810))
        self.good("run", "events.yaml", "--progress", "none", "--start-date", "2024-01-02", "--end-date=2024-01-02")
        self.assert_history(range(86400, 86405))
        self.good("run", "events.yaml", "--progress", "none", "--end-date", "2024-01-01")
        self.assert_history([*range(10), *range(86395, 86405)])

    def test_wrong_dates(self):
        self.declare(stream=False)
        for arguments, said in ((("--start-date", "2024-1-1"), "the start date must be a day of the form YYYY-MM-DD"),
                                (("--end-date", "2023-02-29"), "the end date must be a day of the form YYYY-MM-DD"),
                                (("--start-date", "2024-01-02", "--end-date", "2024-01-01"), "is after the end date")):
            finished = self.freshet("run", "events.yaml", *arguments)
            self.assertEqual(finished.code, 2, finished.err)
            self.assertIn(said, finished.err)

    def test_a_stream_has_no_dates(self):
        self.declare(stream=True)
        finished = self.freshet("run", "events.yaml", "--start-date", "2024-01-01")
        self.assertEqual(finished.code, 2, finished.err)
        self.assertIn("a start or end date cuts a batch run, and this pipeline is a stream", finished.err)


class DeduplicateTest(HistoryCase):

    def feature_set(self, stream, option):
        self.declare(stream=stream, timestamp="{from: seen, lateness: 1 hour}\n  " + option)

    def run_once(self):
        rows, finished = self.once(sql="select id, value from online_feature_store__events")
        return [(row["id"], row["value"]) for row in rows], finished.err

    def test_each_event_once(self):
        for stream in (False, True):
            self.feature_set(stream, "deduplicate: {on: [id], within: 1 hour}")
            again = dict(event(5), value=-1)
            much_later = dict(event(5), seen="2024-01-01T02:30:00Z", value=-2)
            self.write("in/0.jsonl", lines(0, 10) + line(again) + lines(0, 12) + line(much_later) + line(much_later))
            rows, said = self.run_once()
            self.assertEqual(rows, [*((i, i / 4) for i in range(12)), (5, -2)])
            self.assertIn("25 rows read, 13 written, 12 repeated, 0 dead letters", said)

    def test_ids_over_many_micro_batches(self):
        self.declare(timestamp="{from: seen}\n  deduplicate: {on: [id, key], within: 1 day}")
        run = self.start_run("events.yaml", "--progress", "none")
        for _ in range(3):
            self.append("in/0.jsonl", lines(0, 500))
        self.append("in/0.jsonl", lines(500, 501))
        self.until(lambda: self.value("select max(id) from online_feature_store__events") == 500, "all came", run)
        self.assert_ids(range(501))
        run.stop()

    def test_rows_that_repeat_the_one_before(self):
        self.feature_set(False, "deduplicate_rows: true")
        records = [dict(event(i), key="k", id=i // 3, value=1.5) for i in range(9)]
        self.write("in/0.jsonl", b"".join(map(line, records)))
        rows, said = self.run_once()
        self.assertEqual(rows, [(0, 1.5), (1, 1.5), (2, 1.5)])
        self.assertIn("9 rows read, 3 written, 6 repeated, 0 dead letters", said)

    def test_they_are_found_before_dates_cut(self):
        self.feature_set(False, "deduplicate_rows: true")
        records = [dict(event(i * 43200), key="k", id=1, value=1) for i in range(4)]
        self.write("in/0.jsonl", b"".join(map(line, records)))
        rows, _ = self.once("events.yaml", "--start-date", "2024-01-02")
        self.assertEqual(rows, [])

    def test_mistakes(self):
        self.feature_set(True, "deduplicate: {on: [idd], within: 1 hour}")
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('deduplicate: there is no column "idd" in the source\'s query', finished.err)


if __name__ == "__main__":
    unittest.main()
