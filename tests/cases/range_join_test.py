"""Joins by two inequalities: each row meets the bands that it lies in, in a batch and on a stream of many
micro-batches. DuckDB 1.5.6 fails at the second run of such a statement: it is prepared anew."""

import unittest

from freshet_testing import Case, event, line

BANDS = 3000  # DuckDB joins by loops below some 1,000
STEPS = 25
STEP = 120


class RangeJoinTest(Case):

    READERS = """- id: bands
  file: {path: bands.csv, format: csv, schema: {lo: double, hi: double, band: string}}
"""

    def declare_join(self, stream, join="join", condition="e.value >= b.lo and e.value < b.hi"):
        self.declare(stream=stream, query=f"select e.*, b.band from events e {join} bands b on {condition}",
                     readers=self.READERS, features=("{name: id, type: bigint}", "{name: band, type: string}"))
        self.write("bands.csv", "lo,hi,band\n" + "".join(f"{i},{i + 1},b{i}\n" for i in range(1, BANDS)))

    @staticmethod
    def band_of(record):
        return f"b{int(record['value'])}" if 1 <= record["value"] < BANDS else None

    def test_stream(self):
        records = [event(i) for i in range(STEP * STEPS)]
        self.declare_join(stream=True, join="left join")
        run = self.start_run("events.yaml")
        for step in range(STEPS):
            self.write(f"in/{step:02d}.jsonl", b"".join(line(r) for r in records[step * STEP:(step + 1) * STEP]))
            self.until_count((step + 1) * STEP, run)
        rows = self.query("select id, band from online_feature_store__events order by id")
        self.assertEqual(rows, [{"id": r["id"], "band": self.band_of(r)} for r in records])
        run.stop()

    def test_batch(self):
        records = [event(i) for i in range(40000)]
        self.write("in/0.jsonl", b"".join(line(r) for r in records))
        expected = [(r["id"], self.band_of(r)) for r in records if self.band_of(r) is not None]
        for condition in ("e.value >= b.lo and e.value < b.hi",
                          "e.value between b.lo and b.hi - 0.25",
                          "b.lo <= e.value and b.hi > e.value and b.band is not null"):
            self.declare_join(stream=False, condition=condition)
            rows, _ = self.once()
            self.assertEqual([(row["id"], row["band"]) for row in rows], expected, condition)


if __name__ == "__main__":
    unittest.main()
