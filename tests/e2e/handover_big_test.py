# release only
"""2,000,000 rows as a batch that leaves a checkpoint, and a stream over further rows: the history, and the newest row of
each key, in every cell those of one stream that ran all the time. And what the checkpoint costs the batch."""

import json
import os
import resource

from freshet_testing import Case

ROWS = 2_000_000
MORE = 100_000
FIRST = 1704067200

COMPARED = """\
version: 1
pipeline: compares
source:
  readers:
    - id: one
      file: {path: "%s/**/*.parquet", format: parquet}
    - id: two
      file: {path: "whole/**/*.parquet", format: parquet}
  query: |
    with a as (select %s, count(*) as n from one group by all), b as (select %s, count(*) as n from two group by all),
    apart as ((select * from a except select * from b) union all (select * from b except select * from a))
    select 1 as key, timestamp '2024-01-01' as at, (select count(*) from apart) as apart, (select count(*) from one) as rows
feature_set:
  name: compares
  keys: [{name: key, type: bigint}]
  timestamp: {from: at}
  features: [{name: apart, type: bigint}, {name: rows, type: bigint}]
sink: {writers: [{online: {debug: true}}]}
"""
FEATURES = ("x__count_over_1_hour_fixed_windows", "x__avg_over_1_hour_fixed_windows", "x__max_over_1_hour_fixed_windows",
            "x__count_over_1_day_fixed_windows", "x__avg_over_1_day_fixed_windows", "x__max_over_1_day_fixed_windows")


class BigTest(Case):

    def setUp(self):
        super().setUp()
        self.write("d.yaml", """\
version: 1
pipeline: "${PIPELINE:big}"
source:
  readers:
    - id: ev
      stream: ${STREAM:false}
      file: {path: in, format: json, schema: {k: bigint, ts: bigint, x: double}}
  query: select * from ev
feature_set:
  name: f
  keys: [{name: k, type: bigint}]
  timestamp: {from: ts, unit: s, lateness: 1 minute}
  features: [{name: x, type: double, window: {functions: [count, avg, max], over: [1 hour, 1 day]}}]
sink: {writers: [{history: {path: "${OUT:out}"}}]}
""")
        self.fill("a", 0, ROWS)

    def fill(self, name, first, last):
        """Rows in their order but for every hundredth, which is late within or beyond the bound."""
        draw, parts = self.rng.randrange, []
        for i in range(first, last):
            second = FIRST + i // 20 - (draw(90) if i % 100 == 0 else 0)
            parts.append(f'{{"k":{draw(20000)},"ts":{second},"x":{draw(1000)}}}\n')
        self.write(f"in/{name}.jsonl", "".join(parts))

    def run_with(self, *args, **variables):
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        finished = self.freshet("run", "d.yaml", "--no-serve", "--progress", "none", *args, env=dict(self.env, **variables))
        self.assertEqual(finished.code, 0, finished.err)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime

    def until_done(self, stream, n):
        """Rows that were read and not yet written would come with the next run, where the stream is stopped meanwhile."""
        def all_done():
            finished = self.freshet("status", "--pipeline", "whole")
            told = json.loads(finished.out) if finished.out else {}
            return told.get("rows_written", 0) + told.get("dead_letters", 0) == n
        self.until(all_done, f"{n} rows", stream)

    def test_same(self):
        took = self.run_with(OUT="plain")
        with_checkpoint = self.run_with("--checkpoint")
        print(f"batch {took:.2f} s of CPU, with a checkpoint {with_checkpoint:.2f}")
        self.assertLess(with_checkpoint, 2 * took + 1)
        stream = self.start("run", "d.yaml", "--progress", "none",
                            env=dict(self.env, STREAM="true", PIPELINE="whole", OUT="whole"))
        self.until_done(stream, ROWS)
        self.fill("b", ROWS, ROWS + MORE)
        self.run_with("--once", STREAM="true")
        self.until_done(stream, ROWS + MORE)
        stream.stop()
        columns = ", ".join(("k", "timestamp") + FEATURES)
        self.write("compare.yaml", COMPARED % ("out", columns, columns))
        out = self.good("run", "compare.yaml", "--progress", "none", "--format", "json", "--query",
                        "select * from online_feature_store__compares")
        told = json.loads(out)
        self.assertEqual(told["apart"], 0)
        letters = [len(self.dead_letters(name)) for name in ("big", "whole")]
        self.assertEqual(told["rows"] + letters[0], ROWS + MORE)
        self.assertEqual(letters[0], letters[1])
        self.assertGreater(letters[0], 1000)
        self.assertTrue(os.path.isdir(self.path("big.state")))
