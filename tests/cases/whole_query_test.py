"""A query that runs as a whole (ORDER BY, GROUP BY ...) goes together with features by SQL, filters and all
that runs a statement for each piece of its rows: its result is read by a connection of its own."""

import json
import unittest

from freshet_testing import Case

ROWS = 5000  # more than two of the engine's pieces


class WholeQueryTest(Case):

    def test_with_sql_features(self):
        queries = {
            "select * from events order by id": ROWS,
            "select max(id) as id, key, max(seen) as seen, max(value) as value from events group by id, key": ROWS,
            "select * from events order by value limit 1": 1,
        }
        self.write("in/0.jsonl", "".join(json.dumps({"id": i, "key": f"k{i}", "seen": "2024-01-01T00:00:00Z",
                                                     "value": i / 4}) + "\n" for i in range(ROWS)))
        for query, n in queries.items():
            self.declare(stream=False, query=query,
                         features=("{name: id, type: bigint}", "{name: next, type: bigint, sql: id + 1}"))
            rows, finished = self.once()
            self.assertEqual([(row["id"], row["next"]) for row in rows], [(i, i + 1) for i in range(n)], query)
            self.assertIn(f"{n} written", finished.err.replace(",", ""))


if __name__ == "__main__":
    unittest.main()
