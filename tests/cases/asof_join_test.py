"""As-of joins: each row meets the newest row of the dimension that is not after it, in a batch and on a stream
of many micro-batches. DuckDB 1.5.6 fails at the second run of such a statement: it is prepared anew."""

import unittest

from freshet_testing import Case, event, line

# Plans of a key, from a second of 2024-01-01 on; k6 has none.
PLANS = [(f"k{k}", second, f"plan {k} {second}") for k in range(6) for second in range(0, 3000, 40 + k)]
STEPS = 25
STEP = 120


def plan_of(record):
    second = record["id"]
    known = [(since, plan) for key, since, plan in PLANS if key == record["key"] and since <= second]
    return max(known)[1] if known else None


class AsofJoinTest(Case):

    QUERY = "select e.*, d.plan from events e asof left join dim d on d.k = e.key and e.seen >= d.since"
    READERS = """- id: dim
  file: {path: dim.csv, format: csv, schema: {k: string, since: timestamp, plan: string}}
"""

    def declare_join(self, stream, query=QUERY):
        self.declare(stream=stream, query=query, readers=self.READERS,
                     features=("{name: id, type: bigint}", "{name: plan, type: string}"))
        self.write("dim.csv", "k,since,plan\n" + "".join(
            f"{key},2024-01-01 {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d},{plan}\n" for key, s, plan in PLANS))

    def test_stream(self):
        records = [event(i) for i in range(STEP * STEPS)]
        self.declare_join(stream=True)
        self.good("check", "events.yaml")
        run = self.start_run("events.yaml")
        for step in range(STEPS):
            self.write(f"in/{step:02d}.jsonl", b"".join(line(r) for r in records[step * STEP:(step + 1) * STEP]))
            self.until_count((step + 1) * STEP, run)
        rows = self.query("select id, plan from online_feature_store__events order by id")
        self.assertEqual(rows, [{"id": r["id"], "plan": plan_of(r)} for r in records])
        run.stop()

    def test_batch(self):
        """More rows than one micro-batch holds; rows that fail in the query are found by halves as ever."""
        records = [event(i) for i in range(40000)]
        bad = {7, 20000, 39999}
        query = self.QUERY.replace("e.*,", "e.* replace (cast(if(e.id in (7, 20000, 39999), 'no', e.id || '') "
                                   "as bigint) as id),")
        self.declare_join(stream=False, query=query)
        self.write("in/0.jsonl", b"".join(line(r) for r in records))
        rows, finished = self.once()
        self.assertEqual([(row["id"], row["plan"]) for row in rows],
                         [(r["id"], plan_of(r)) for r in records if r["id"] not in bad])
        self.assertIn("3 dead letters", finished.err)

    def test_inner(self):
        records = [event(i) for i in range(500)]
        self.declare_join(stream=False, query=self.QUERY.replace(" left join", " join"))
        self.write("in/0.jsonl", b"".join(line(r) for r in records))
        rows, _ = self.once()
        self.assertEqual([(row["id"], row["plan"]) for row in rows],
                         [(r["id"], plan_of(r)) for r in records if plan_of(r) is not None])


if __name__ == "__main__":
    unittest.main()
