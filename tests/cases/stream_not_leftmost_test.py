"""The order of rows of one second is that of the reader that has the events' times, wherever it stands in the query:
a batch and a stream of it give the same."""

import json
import unittest

from freshet_testing import Case

QUERIES = {
    "right of a join": "select e.k, e.ts, e.id, d.c from dim d join ev e on d.g = e.g",
    "left of a join": "select e.k, e.ts, e.id, d.c from ev e join dim d on d.g = e.g",
    "behind a comma": "select k, ts, id, c from dim, ev where dim.g = ev.g",
    "right of a right join": "select k, ts, id, c from dim right join ev using (g)",
    "in a subquery": "select k, ts, id, c from dim join (select k, ts, id, g as h from ev where id > 0) e on h = dim.g",
    "in a CTE": "with a as (select * from ev), b as (select a.ts as time, k, id, g from a) "
                "select k, b.time as ts, id, c from dim join b using (g)",
    "computed": "select k, e.ts + interval 1 hour as ts, id, c from dim as d join ev as e on d.g = e.g",
    "all columns": "select * from dim join ev using (g)",
    "the middle one of three": "select e.* from dim d join ev e on d.g = e.g join dim f on f.g = e.g",
    "both of a union": "select k, ts, id from dim join ev on dim.g = ev.g where id % 2 = 0 "
                       "union all select k, ts as t, id from dim join ev using (g) where id % 2 = 1",
}


class StreamNotLeftmostTest(Case):

    def setUp(self):
        super().setUp()
        # Two seconds, two keys; the places stand in another order than the events.
        self.write("dim.csv", "g,c\n" + "".join(f"{g},x{g}\n" for g in range(29, -1, -1)))
        self.write("in/a.jsonl", "".join(
            json.dumps({"k": "ab"[i % 2], "ts": f"2024-01-01 00:00:0{i // 5}", "g": i * 5 % 9, "id": i}) + "\n"
            for i in range(1, 10)))

    def rows(self, query, stream):
        self.declare(stream=stream, schema=None, query="select 1", keys="{name: k, type: string}",
                     timestamp="{from: ts}",
                     features=("{name: id, type: bigint}",
                               "{name: l, from: id, window: {functions: [last, collect_list], over: [3 events], "
                               "mode: row_windows}}"))
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace("- id: events", "- id: ev").replace(
            "  query: |\n    select 1",
            "    - {id: dim, file: {path: dim.csv, schema: {g: bigint, c: string}}}\n"
            "  query: " + json.dumps(query))
        self.write("events.yaml", text.replace(
            "format: json", "format: json, schema: {k: string, ts: timestamp, g: bigint, id: bigint}"))
        rows, finished = self.once()
        self.assertIn("9 rows read, 9 written", finished.err)
        return rows

    def test_wherever_it_stands(self):
        for name, query in QUERIES.items():
            with self.subTest(name):
                batch, stream = self.rows(query, False), self.rows(query, True)
                self.assertEqual(batch, stream)
                before = {"a": [], "b": []}
                for row in batch:  # in the order of the file
                    before[row["k"]] = (before[row["k"]] + [row["id"]])[-3:]
                    self.assertEqual(row["l__collect_list_over_3_events_row_windows"], before[row["k"]])


if __name__ == "__main__":
    unittest.main()
