"""While a stream catches up, rows of several readers and files come in the order of their times: its history, without
corrections, is the batch's. A silent reader is told, and let go after `idle`."""

import gzip
import json
import os
import signal
import unittest

from freshet_testing import Case

START = 1709287200
WINDOWS = ("{name: id, type: string}", "{name: n, from: id, window: {functions: [count], over: [1 hour]}}",
           "{name: l, from: id, window: {functions: [last], over: [2 events], mode: row_windows}}")
ROLLING = ("{name: n, from: id, aggregate: {functions: [count]}}",)


def records(name, n, first, step):
    return [{"id": f"{name}{i}", "user": i % 3, "at": first + i * step} for i in range(n)]


def text(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


class TwoStreamsOrderTest(Case):

    def declare_two(self, stream, *, name="events.yaml", out="out", timestamp="{from: at}", features=WINDOWS, extra="",
                    sink=None):
        self.write(name, f"""\
version: 1
pipeline: events
source:
  readers:
    - {{id: web, stream: {str(stream).lower()}, file: {{path: web, schema: {{id: string, user: bigint, at: bigint}}}}}}
    - {{id: app, stream: {str(stream).lower()}, file: {{path: app, schema: {{id: string, user: bigint, at: bigint}}}}}}
  query: select id, "user", "at" from web union all by name select "at", id, "user" from app
feature_set:
  name: events
  keys: [{{name: user, type: bigint}}]
  timestamp: {timestamp}
  features: [{", ".join(features)}]
{extra}sink:
  writers: [{sink or f"history: {{path: {out}}}"}]
""")

    def history(self, folder):
        self.write("read.yaml", f"""\
version: 1
pipeline: reads
source: {{readers: [{{id: rows, file: {{path: "{folder}/**/*.parquet"}}}}], query: select * from rows}}
feature_set:
  name: reads
  keys: [{{name: user, type: bigint}}]
  timestamp: {{}}
  features: [{{name: id, type: string}}, {{name: n__count_over_1_hour_fixed_windows, type: bigint}},
    {{name: l__last_over_2_events_row_windows, type: string}}]
sink: {{writers: [{{online: {{debug: true}}}}]}}
""")
        out = self.good("run", "read.yaml", "--format", "json", "--query",
                        "select * from online_feature_store__reads order by id")
        return [json.loads(row) for row in out.splitlines()]

    def count_history(self):
        return len(self.history("stream")) if os.path.isdir(self.path("stream")) else 0

    def assert_stream_is_batch(self, n):
        self.declare_two(False, out="batch")
        self.good("run", "events.yaml")
        self.declare_two(True, out="stream")
        finished = self.freshet("run", "events.yaml", "--once")
        self.assertEqual(finished.code, 0, finished.err)
        batch, stream = self.history("batch"), self.history("stream")
        self.assertEqual(len(batch), n)
        self.assertEqual(batch, stream)
        self.assertEqual(self.dead_letters(), [])
        return finished

    def test_two_readers(self):
        """Tens of thousands of rows: micro-batches of one reader are far ahead of the other's."""
        self.write("web/e.jsonl", text(records("web", 30000, START, 8)))
        self.write("app/e.jsonl", text(records("app", 2000, START + 3, 100)))
        self.assert_stream_is_batch(32000)

    def test_files_that_overlap(self):
        """Days of two machines, listed backwards, one compressed, one of another format."""
        for place, name in enumerate(["late", "noon", "early"]):
            first = START + (2 - place) * 20000
            self.write(f"web/a-{name}.jsonl", text(records(f"a{name}", 400, first, 50)))
            with gzip.open(self.path(f"web/b-{name}.jsonl.gz"), "wt") as file:
                file.write(text(records(f"b{name}", 300, first + 11, 60)))
        for name in os.listdir(self.path("web")):
            os.utime(self.path("web", name), (1700000000 - ord(name[2]),) * 2)
        os.mkdir(self.path("app"))
        self.write("app/e.jsonl", text(records("app", 10, START + 5003, 5000)))
        self.assert_stream_is_batch(2110)

    def test_many_files(self):
        """More files than are ever open at once, in an order that has nothing to do with their times."""
        for i in range(150):
            self.write(f"web/{i * 37 % 150:03d}.jsonl", text(records(f"w{i}x", 5, START + i * 600, 90)))
        self.write("app/e.jsonl", text(records("app", 100, START + 1, 900)))
        self.assert_stream_is_batch(850)

    def test_killed_on_the_way(self):
        self.write("web/e.jsonl", text(records("web", 40000, START, 8)))
        self.write("app/e.jsonl", text(records("app", 20000, START + 3, 16)))
        self.declare_two(False, out="batch")
        self.good("run", "events.yaml")
        self.declare_two(True, out="stream", extra="checkpoint: {interval: 10 ms}\n",
                         sink="history: {path: stream}, online: {debug: true}")
        for _ in range(4):
            run = self.start_run("events.yaml")
            self.until(lambda: self.count() > 0 or self.count_history() == 60000, "rows", run)
            run.signal(signal.SIGKILL)
            run.process.wait()
        self.good("run", "events.yaml", "--once")
        self.assertEqual(self.history("batch"), self.history("stream"))

    def test_once_caught_up_nothing_is_held(self):
        self.write("web/e.jsonl", text(records("web", 5, START, 60)))
        self.write("app/e.jsonl", text(records("app", 3, START + 30, 60)))
        self.declare_two(True, sink="online: {debug: true}", timestamp="{from: at, idle: 1 hour}")
        run = self.start_run("events.yaml")
        self.until_count(8, run)
        for i in range(5, 8):  # one reader goes on alone, far beyond the other
            self.append("web/e.jsonl", text(records("web", 9, START, 3600)[i:i + 1]).encode())
            self.until_count(i + 4, run)
        self.append("app/e.jsonl", text(records("app", 9, START, 3600)[7:8]).encode())
        self.until_count(12, run)
        run.stop()

    def rolling(self, idle):
        self.write("web/e.jsonl", text(records("web", 10, START, 3600)))
        self.write("app/e.jsonl", text(records("app", 2, START, 3600)))
        self.declare_two(True, features=ROLLING, sink="online: {debug: true}",
                         timestamp="{from: at, lateness: 0 seconds, idle: " + idle + "}",
                         extra="  aggregated: {windows: {over: [1 hour], slide: 1 hour}}\n")
        return self.start_run("events.yaml")

    def status(self):
        finished = self.freshet("status", "--pipeline", "events")
        self.assertEqual(finished.code, 0, finished.err)
        return json.loads(finished.out)

    def newest(self):
        return self.value("select cast(max(timestamp) as string) as t from online_feature_store__events") or ""

    def test_who_is_waited_for(self):
        run = self.rolling("1 hour")
        said = self.until(lambda: self.status().get("waits_for"), "somebody is waited for", run)
        self.assertIn("windows wait for app (reader app): its newest row is of 2024-03-01T11:00:00Z", said)
        self.assertIn("1 hour", said)
        self.assertLess(self.newest(), "2024-03-01 12")
        self.append("app/e.jsonl", text([{"id": "z", "user": 1, "at": START + 9 * 3600 + 1}]).encode())
        self.until(lambda: self.newest() >= "2024-03-01 18", "windows go on", run)
        run.stop()

    def test_idle(self):
        """With `idle` the same windows go on, though nothing comes from the other reader any more."""
        run = self.rolling("100 ms")
        at = [10 * 3600]

        def goes_on():
            at[0] += 3600
            self.append("web/e.jsonl", text([{"id": "z", "user": 1, "at": START + at[0]}]).encode())
            return self.newest() >= "2024-03-01 18"
        self.until(goes_on, "windows go on without the silent reader", run)
        run.stop()


    def without_broker(self, idle):
        """A topic whose brokers cannot be reached, beside files."""
        self.write("web/e.jsonl", text(records("web", 5, START, 60)))
        self.declare_two(True, sink="online: {debug: true}", timestamp="{from: at, idle: " + idle + "}")
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            declared = file.read()
        self.write("events.yaml", declared.replace(
            "file: {path: app, schema: {id: string, user: bigint, at: bigint}}",
            'kafka: {topic: app, brokers: "127.0.0.1:1", value: {format: json, '
            'schema: {id: string, user: bigint, at: bigint}}}'))
        return self.start_run("events.yaml")

    def test_a_reader_that_is_not_there_is_let_go(self):
        run = self.without_broker("100 ms")
        self.until_count(5, run)
        run.signal(signal.SIGTERM)
        run.wait()

    def test_a_reader_that_is_not_there_is_told(self):
        run = self.without_broker("1 hour")
        said = self.until(lambda: json.loads(self.freshet("status", "--pipeline", "events").out)["waits_for"],
                          "who is waited for", run)
        self.assertIn("rows wait for app (reader app)", said)
        self.assertEqual(self.count(), 0)
        run.signal(signal.SIGTERM)
        run.wait()


class MostAreLateTest(Case):

    def test_a_file_that_is_not_sorted(self):
        """What no merge can mend is told: how many, where, and what to do."""
        self.declare(path="in", schema=None, keys="{name: user, type: bigint}", timestamp="{from: at}",
                     features=("{name: n, from: id, window: {functions: [count], over: [1 hour]}}",))
        rows = records("x", 400, START, 600)
        self.write("in/a.jsonl", text(rows[300:] + rows[:300]))
        for late in ("dead_letter", "drop"):
            with self.subTest(late=late):
                with open(self.path("events.yaml"), encoding="utf-8") as file:
                    declared = file.read().replace("{from: at}", "{from: at, late: " + late + "}")
                self.write("late.yaml", declared)
                finished = self.freshet("run", "late.yaml", "--once")
                self.assertEqual(finished.code, 0, finished.err)
                self.assertRegex(finished.err, r"warning: .*\b300 of the last 400 rows are late")
                self.assertIn("lateness", finished.err)
                if late == "dead_letter":
                    self.assertIn("in/a.jsonl", finished.err)


if __name__ == "__main__":
    unittest.main()
