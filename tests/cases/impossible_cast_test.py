"""A cast that no row can ever do is refused by check and run, in the query and in features, with what to write
instead; and what is named there gives the right values."""

import json
import unittest

from freshet_testing import Case

ROW = {"id": 1706696430, "key": "k", "seen": "2024-01-31T10:20:30Z", "small": 1706696430}


class ImpossibleCastTest(Case):

    def declare_casts(self, query="select * from events", sql=("id",)):
        self.write("in/0.jsonl", json.dumps(ROW) + "\n")
        self.declare(stream=False, query=query,
                     schema={"id": "bigint", "key": "string", "seen": "timestamp", "small": "integer"},
                     features=["{name: id, type: bigint}"] +
                     [f"{{name: v{i}, type: string, sql: {json.dumps(text)}}}" for i, text in enumerate(sql)])

    def test_refused(self):
        refused = {"cast(seen as bigint)": "unix_seconds(...)", "seen::double": "unix_seconds(...)",
                   "try_cast(seen as int)": "unix_seconds(...)", "id::timestamp": "timestamp_seconds(...)",
                   "hour(cast(id as timestamp))": "timestamp_seconds(...)", "id::date": "timestamp_seconds(...)",
                   "seen::date::int": "unix_seconds(...)", "key::timestamp::bigint": "unix_seconds(...)",
                   "case when id > 5 then id::timestamp end": "timestamp_seconds(...)"}
        for sql, way in refused.items():
            for declared in {"sql": [f"({sql})::varchar"]}, {"query": f"select *, {sql} as v from events"}:
                self.declare_casts(**declared)
                for verb in "check", "run":
                    finished = self.freshet(verb, "events.yaml")
                    self.assertEqual(finished.code, 78, (declared, finished.err))
                    self.assertIn("can never be cast to", finished.err)
                    self.assertIn(way, finished.err)
                    self.assertRegex(finished.err, r"events\.yaml:\d+:\d+: error: ")

    def test_a_row_that_fails_is_no_fault_of_the_declaration(self):
        """`check` looks at the first rows: one that the query cannot cast is no reason to refuse, or to end."""
        self.declare_casts(query="select *, cast(key as int) as n from events")
        self.good("check", "events.yaml")
        self.assertEqual(self.freshet("run", "events.yaml").code, 65)

    def test_what_is_named(self):
        good = {"unix_seconds(seen)": "1706696430", "unix_millis(seen)": "1706696430000",
                "timestamp_seconds(id)": "2024-01-31 10:20:30", "timestamp_seconds(small)": "2024-01-31 10:20:30",
                "timestamp_millis(id * 1000)": "2024-01-31 10:20:30", "timestamp_seconds(1.5)": "1970-01-01 00:00:01.5",
                "cast(timestamp_seconds(id) as date)": "2024-01-31", "date '1970-01-01' + small % 10": "1970-01-01"}
        self.declare_casts(sql=[f"cast({sql} as varchar)" for sql in good])
        (row,), _ = self.once()
        self.assertEqual([row[f"v{i}"] for i in range(len(good))], list(good.values()))


if __name__ == "__main__":
    unittest.main()
