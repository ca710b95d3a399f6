"""A history that is there already: columns that do not fit it are told before anything is written."""

import glob
import unittest

from freshet_testing import Case, event, line, lines

ALL = ("{name: id, type: bigint}", "{name: value, type: double}")


class HistoryColumnsTest(Case):

    def history(self, features, stream=True, **more):
        self.declare(stream=stream, features=features, sink="- history: {path: out}",
                     extra="state: {path: state}\n" if stream else "", **more)
        return self.freshet("run", "events.yaml", *(["--once"] if stream else []))

    def files(self):
        return sorted(glob.glob(self.path("out/**/*.parquet"), recursive=True))

    def test_no_files_yet(self):
        self.declare(sink="- history: {path: out}")
        self.write("in/a.jsonl", lines(0, 1))
        self.assertIn("has no files yet: the first run makes them", self.good("plan", "events.yaml"))

    def test_a_stream_with_another_type(self):
        """Refused before a row is read, with each difference; as it was it goes on."""
        self.declare()
        self.write("in/a.jsonl", lines(0, 5))
        features = ALL + ("{name: seen_at, type: timestamp, from: seen}", "{name: list, type: array<bigint>, sql: '[id]'}",
                          "{name: cents, type: 'decimal(10,2)', sql: value}", "{name: raw, type: binary, from: key}")
        self.assertEqual(self.history(features).code, 0)
        before = self.files()
        self.append("in/a.jsonl", lines(5, 10))
        other = ("{name: id, type: integer}", "{name: value, type: string}") + features[2:4] + (
            "{name: cents, type: 'decimal(12,2)', sql: value}", features[5])
        refused = self.history(other)
        self.assertEqual(refused.code, 78, refused.err)
        self.assertRegex(refused.err, r"events.yaml:\d+:\d+: error: the history in .*/?out has columns of another type \(in year=2024")
        self.assertIn('"id" is bigint there and integer now, "value" is double there and string now, '
                      '"cents" is decimal(10,2) there and decimal(12,2) now', refused.err)
        self.assertNotIn("seen_at", refused.err)
        self.assertEqual(self.files(), before)
        planned = self.freshet("plan", "events.yaml", "--detailed-exitcode")
        self.assertEqual(planned.code, 78, planned.err)  # as the run
        self.assertIn('out has columns of another type (in year=2024', planned.out)
        self.assertEqual(self.history(features).code, 0)
        self.assertRegex(self.good("plan", "events.yaml", "--detailed-exitcode"), "^-- the state in .* fits the declaration\n-- the history in .*out fits the declaration\n$")
        self.assertEqual(len(self.files()), 2 * len(before))

    def test_columns_that_come_and_go_are_told(self):
        self.declare()
        self.write("in/a.jsonl", lines(0, 5))
        self.assertEqual(self.history(ALL).code, 0)
        self.append("in/a.jsonl", lines(5, 6))
        ran = self.history((ALL[0], "{name: more, type: bigint, sql: id + 1}"))
        self.assertEqual(ran.code, 0, ran.err)
        self.assertIn('the column "more" is not in the files from before', ran.err)
        self.assertIn('have a column "value", which is not written any more', ran.err)
        self.append("in/a.jsonl", lines(6, 7))
        again = self.history((ALL[0], "{name: more, type: bigint, sql: id + 1}"))
        self.assertNotIn("from before", again.err)

    def test_a_batch_may_replace_them_all(self):
        """It is warned at the start, and refused at its end where days of the other type would be left."""
        self.declare()
        days = [dict(event(i), seen=f"2024-{1 + i // 2}-{9 + i % 2}T00:00:00Z") for i in range(4)]
        self.write("in/a.jsonl", b"".join(line(day) for day in days))
        other = ("{name: id, type: integer}", ALL[1])
        self.assertEqual(self.history(ALL, stream=False).code, 0)
        ran = self.history(other, stream=False)
        self.assertEqual(ran.code, 0, ran.err)
        self.assertIn('"id" is bigint there and integer now; this batch is refused at its end where days are left', ran.err)
        self.assertEqual(self.history(other, stream=False).err.count("another type"), 0)
        before = self.files()
        for left in (days[0], days[3]):
            self.write("in/a.jsonl", b"".join(line(day) for day in days if day != left))
            refused = self.history(ALL, stream=False)
            self.assertEqual(refused.code, 78, refused.err)
            day = 9 if left is days[0] else 10
            self.assertIn(f"/day={day}/", refused.err)
            self.assertIn('"id" is integer there and bigint now. Readers take the folder as one table', refused.err)
            self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
