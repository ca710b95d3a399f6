"""A text with an offset is the same instant wherever it is read: `type: timestamp`, casts in the query and in
features, literals, functions of Spark, the debug table. DuckDB drops the offset of a text cast to TIMESTAMP."""

import json
import unittest

from freshet_testing import Case

TEXTS = {
    "2024-01-15T10:00:00-03:00": "2024-01-15T13:00:00.000000Z",
    "2024-01-15 10:00:00.5+0530": "2024-01-15T04:30:00.500000Z",
    "2024-01-15T23:30:00-03": "2024-01-16T02:30:00.000000Z",
    "2024-01-15 10:00:00 America/Sao_Paulo": "2024-01-15T13:00:00.000000Z",
    "2024-01-15T10:00:00Z": "2024-01-15T10:00:00.000000Z",
    "2024-01-15 10:00:00": "2024-01-15T10:00:00.000000Z",
}

SQL = ["cast(seen as timestamp)", "seen::timestamp", "try_cast(seen as timestamp)",
       "cast([seen] as timestamp[])[1]",
       "timestamp_micros(unix_micros(seen))"]


class OffsetTest(Case):

    def declare_times(self, stream, query="select *, seen::timestamp as by_query from events"):
        self.declare(stream=stream, schema={"id": "bigint", "key": "string", "seen": "string"}, query=query,
                     features=["{name: id, type: bigint}", "{name: by_type, type: timestamp, from: seen}",
                               "{name: by_query, type: timestamp}",
                               "{name: the_hour, type: integer, sql: 'hour(cast(seen as timestamp))'}",
                               "{name: day, type: date, sql: 'to_date(seen)'}",
                               "{name: day_type, type: date, from: seen}",
                               "{name: formatted, type: string, sql: \"date_format(seen, 'yyyy-MM-dd HH')\"}",
                               "{name: unix, type: bigint, sql: unix_timestamp(seen)}"] +
                     [f"{{name: sql{i}, type: timestamp, sql: {json.dumps(sql)}}}" for i, sql in enumerate(SQL)])
        return len(SQL)

    def test_one_instant(self):
        self.write("in/0.jsonl", "".join(json.dumps({"id": i, "key": "k", "seen": text}) + "\n"
                                         for i, text in enumerate(TEXTS)))
        for stream in False, True:
            n = self.declare_times(stream)
            rows, _ = self.once()
            self.assertEqual(len(rows), len(TEXTS))
            for row, (text, instant) in zip(rows, TEXTS.items()):
                told = [row["by_type"], row["by_query"]] + [row[f"sql{i}"] for i in range(n)]
                self.assertEqual(told, [instant] * len(told), text)
                self.assertEqual(row["the_hour"], int(instant[11:13]), text)
                self.assertEqual(row["formatted"], instant[:13].replace("T", " "), text)
                self.assertEqual(row["day"], text[:10], text)  # the day as it is written, as the type does
                self.assertEqual(row["day_type"], text[:10], text)

    def test_where(self):
        """Comparisons with a text, in the query."""
        self.write("in/0.jsonl", "".join(json.dumps({"id": i, "key": "k", "seen": text}) + "\n"
                                         for i, text in enumerate(TEXTS)))
        self.declare_times(False, "select *, seen::timestamp as by_query from events "
                                  "where seen::timestamp >= '2024-01-15T10:00:00-03:00'")
        rows, _ = self.once()
        self.assertEqual([row["id"] for row in rows], [0, 2, 3])

    def test_debug_table(self):
        """A user's query casts alike."""
        self.write("in/0.jsonl", json.dumps({"id": 1, "key": "k", "seen": "2024-01-15T10:00:00-03:00"}) + "\n")
        self.declare_times(False)
        rows, _ = self.once(sql="select hour('2024-01-15T10:00:00-03:00'::timestamp) as h, "
                                "by_type = '2024-01-15T10:00:00-03:00' as same from online_feature_store__events")
        self.assertEqual(rows, [{"h": 13, "same": True}])

    def test_no_date(self):
        """What stands behind a date is read, too."""
        self.write("in/0.jsonl", "".join(json.dumps({"id": i, "key": "k", "seen": f"2024-01-15{rest}"}) + "\n"
                                         for i, rest in enumerate(["", "abc", " 10:00:00", " 05"])))
        self.declare(stream=False, schema={"id": "bigint", "key": "string", "seen": "string"},
                     query="select *, timestamp '2024-01-01' as t from events", timestamp="{from: t}",
                     features=["{name: id, type: bigint}", "{name: day, type: date, sql: 'cast(seen as date)'}"])
        rows, _ = self.once()
        self.assertEqual([row["id"] for row in rows], [0, 2])
        self.assertEqual(len(self.dead_letters()), 2)
        self.assertIn("2024-01-15abc", self.dead_letters()[0]["reason"])


if __name__ == "__main__":
    unittest.main()
