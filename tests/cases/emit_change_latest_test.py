"""The newest row of a key, as the online store and `_latest` have it, never lies in the future: windows longer than the slide that are
not reached go to the history only. Batch and stream, `emit: close` and `change`, with and without --drain, and after restarts."""

import json
import unittest

from freshet_testing import Case

TEXT = """version: 1
pipeline: latest
source:
  readers:
    - {{id: ev, stream: {stream}, file: {{path: in, format: json, schema: {{k: string, ts: timestamp, x: double}}}}}}
  query: select * from ev
feature_set:
  name: latest
  entity: k
  keys: [{{name: k, type: string}}]
  timestamp: {{from: ts, lateness: 10 minutes}}
  aggregated: {{windows: {{over: {over}, slide: {slide}, emit: {emit}}}}}
  features: [{{name: x, aggregate: {{functions: [count]}}}}]
sink:
  writers: [{sink}]
"""


def days(first, last, key="a"):
    return "".join(json.dumps({"k": key, "ts": f"2024-01-{day:02d} 12:00:00", "x": 1}) + "\n" for day in range(first, last))


class EmitChangeLatestTest(Case):

    def run_it(self, *args, stream=True, over="[1 day, 7 days]", slide="1 day", emit="close",
               sink="{online: {debug: true}}"):
        self.write("latest.yaml", TEXT.format(stream=str(stream).lower(), over=over, slide=slide, emit=emit, sink=sink))
        finished = self.freshet("run", "latest.yaml", "--once", "--progress", "none", *args)
        self.assertEqual(finished.code, 0, finished.err)
        return [json.loads(text) for text in finished.out.splitlines()]

    def latest(self, *args, **said):
        rows = self.run_it(*args, "--no-serve", "--query", "select * from online_feature_store__latest_latest order by k",
                           "--format", "json", **said)
        return [(row["k"], row["timestamp"][8:10], *(row[name] for name in sorted(row) if name.startswith("x"))) for row in rows]

    def test_latest(self):
        self.write("in/a.jsonl", days(1, 15))
        for slide in ("1 day", "24 hours"):
            for emit in ("close", "change"):
                with self.subTest(slide=slide, emit=emit):
                    # the watermark is ten minutes before noon of the 14th
                    self.assertEqual(self.latest(slide=slide, emit=emit), [("a", "14", 1, 7)])
                    # at the end of all input the day of the newest event is over
                    self.assertEqual(self.latest("--drain", slide=slide, emit=emit), [("a", "15", 1, 7)])
            with self.subTest(slide=slide, batch=True):
                self.assertEqual(self.latest(stream=False, slide=slide), [("a", "15", 1, 7)])

    def test_a_key_that_has_ended(self):
        """Its last windows are reached when the others go on: what it then has is right."""
        self.write("in/a.jsonl", days(1, 3, "old") + days(1, 15))
        for stream, args, day in ((True, (), "14"), (True, ("--drain",), "15"), (False, (), "15")):
            for emit in ("close", "change") if stream else ("close",):
                with self.subTest(stream=stream, args=args, emit=emit):
                    self.assertEqual(self.latest(*args, stream=stream, slide="24 hours", emit=emit),
                                     [("a", day, 1, 7), ("old", "09", None, 1)])

    def test_nothing_is_reached_yet(self):
        self.write("in/a.jsonl", days(1, 2))
        self.assertEqual(self.latest(emit="change", slide="24 hours"), [])
        self.assertEqual(self.latest(emit="change", over="[1 day]", slide="24 hours"), [("a", "02", 1)], "the day of now, as far as it has come")

    def online(self, *args, **said):
        """What goes to the online store, and what to the history."""
        self.run_it(*args, sink="{jsonl: {path: online.jsonl, rows: online}}, {jsonl: {path: all.jsonl}}", **said)
        return [(row["timestamp"][8:10], row["x__count_over_7_days_rolling_windows"]) for row in self.read_lines("online.jsonl")]

    def test_after_restarts(self):
        """Online rows come as windows are reached, in their order, each once, with what they hold at their end."""
        for last in range(2, 15):
            self.write(f"in/{last:02}.jsonl", days(last - 1, last))
            online = self.online(emit="change", slide="24 hours")
            self.assertEqual(online, [(f"{day:02d}", min(day - 1, 7)) for day in range(2, last)])
        history = self.read_lines("all.jsonl")
        self.assertEqual({row["timestamp"][8:10] for row in history}, {f"{day:02d}" for day in range(2, 21)},
                         "windows of the future are in the history")
        self.assertEqual(len(history), 19, "each once, as it first was")


if __name__ == "__main__":
    unittest.main()
