"""Numbers that stand for no time (NaT as an integer is -2^63), for infinity, or lie too far from 1970: each is
a dead letter, never the end of the run; the times just within are rows, in files and windows alike."""

import json

from freshet_testing import Case, line

FAR = 9_000_000_000_000_000_000
BAD = [-2**63, -2**63 + 1, -9223372022400000001, -9223372022400000000, -FAR, FAR, 2**63 - 2, 2**63 - 1]
GOOD = [-FAR + 1, -62135596800000001, -62135596800000000, -1, 0, 1_700_000_000_000_000, 253402300799999999,
        253402300800000000, FAR - 1]
TIMES = sorted(BAD + GOOD)
SCHEMA = {"id": "bigint", "key": "string", "t": "bigint"}


class PoisonTimeTest(Case):

    def run_all(self, stream=False, aggregated=None, feature="{name: id, type: bigint}"):
        self.declare(stream=stream, schema=SCHEMA, features=[feature],
                     sink="- history: {path: out}\n    - jsonl: {path: out.jsonl}",
                     timestamp="{from: t, unit: us, max_future: 0 seconds, late: update}"
                     + ("" if aggregated is None else f"\n  aggregated: {{{aggregated}}}"))
        self.write("in/0.jsonl", b"".join(line({"id": i, "key": f"k{i}", "t": t}) for i, t in enumerate(TIMES)))
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", *["--drain"] * stream)
        self.assertEqual(finished.code, 0, finished.err)
        letters = self.dead_letters()
        self.assertEqual(sorted(json.loads(letter["raw"])["t"] for letter in letters), BAD, letters)
        for letter in letters:
            self.assertRegex(letter["reason"], r"^timestamp: -?\d+ is no time in the unit us$")
        return sorted(value for row in self.read_lines("out.jsonl")
                      for name, value in row.items() if name.startswith("id"))

    EXPECTED = [i for i, t in enumerate(TIMES) if t in GOOD]
    WINDOW = "{name: id, window: {functions: [max], over: [1 day]}}"
    GROUP = "{name: id, aggregate: {functions: [max]}}"
    ROLLING = "windows: {over: [1 day], slide: 24 hours}"

    def test_batch(self):
        self.assertEqual(self.run_all(), self.EXPECTED)

    def test_stream(self):
        self.assertEqual(self.run_all(stream=True), self.EXPECTED)

    def test_windows_in_a_batch(self):
        self.assertEqual(self.run_all(feature=self.WINDOW), self.EXPECTED)

    def test_windows_on_a_stream(self):
        self.assertEqual(self.run_all(stream=True, feature=self.WINDOW), self.EXPECTED)

    def test_groups(self):
        self.assertEqual(self.run_all(aggregated="", feature=self.GROUP), self.EXPECTED)

    def test_rolling_windows(self):
        self.assertEqual(self.run_all(aggregated=self.ROLLING, feature=self.GROUP), self.EXPECTED)
