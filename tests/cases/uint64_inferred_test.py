"""Ids beyond 2^63 without a schema are decimals, not doubles: each is the key that was written."""

import json
import unittest

from freshet_testing import Case

IDS = [2 ** 64 - 1, 2 ** 64 - 2, 2 ** 53 + 1, 2 ** 53]


class UintInferredTest(Case):

    def read(self, format, features='{name: x, type: bigint}', key="string"):
        self.declare(format=format, path="in/*", schema=None, stream=False,
                     query="select *, timestamp '2024-05-01' as ts from events", timestamp="{from: ts}",
                     keys=f"{{name: id, type: \"{key}\"}}", features=[features])
        rows, finished = self.once(sql="select * from online_feature_store__events order by x")
        self.assertEqual(self.dead_letters(), [])
        return rows, finished

    def test_json(self):
        self.write("in/a", "".join(json.dumps({"id": i, "x": n}) + "\n" for n, i in enumerate(IDS)))
        self.assertEqual([row["id"] for row in self.read("json")[0]], [str(i) for i in IDS])

    def test_csv(self):
        self.write("in/a", "id,x\n" + "".join(f"{i},{n}\n" for n, i in enumerate(IDS)))
        self.assertEqual([row["id"] for row in self.read("csv")[0]], [str(i) for i in IDS])

    def test_the_type(self):
        """bigint, decimal(20,0), decimal(38,0) as the digits want it; text where some have fractions and others
        digits that a double has not; double where it loses nothing."""
        columns = {"small": ([1, 2 ** 63 - 1], "bigint"), "wide": ([-1, 2 ** 63], "decimal(20,0)"),
                   "wider": ([2 ** 64, 10 ** 37], "decimal(38,0)"), "least": ([-2 ** 63 - 1, 0], "decimal(20,0)"),
                   "real": ([1, 0.5], "double"), "power": ([2 ** 60, 0.5], "double"),
                   "mixed": ([2 ** 60 + 1, 0.5], "string"), "huge": ([10 ** 40, 1], "double")}
        features = [f"{{name: {name}, type: \"{of}\"}}" for name, (_, of) in columns.items()]
        shown = {"small": "9223372036854775807", "wide": "9223372036854775808", "wider": str(10 ** 37), "least": "0"}
        records = [{"x": n, **{name: values[n] for name, (values, _) in columns.items()}} for n in (0, 1)]
        as_json = "".join(json.dumps(record) + "\n" for record in records)
        as_csv = ",".join(records[0]) + "\n" + "".join(",".join(str(v) for v in r.values()) + "\n" for r in records)
        for format, text in (("json", as_json), ("csv", as_csv)):
            self.write("in/a", text)
            self.declare(format=format, path="in/*", schema=None, stream=False,
                         query="select *, timestamp '2024-05-01' as ts from events", timestamp="{from: ts}",
                         keys="{name: x, type: bigint}",
                         features=[f"{{name: {name}_type, type: string, sql: typeof({name})}}" for name in columns]
                         + features)
            rows, _ = self.once(sql="select * from online_feature_store__events order by x")
            wanted = {"string": "varchar"}
            self.assertEqual({name: rows[0][name + "_type"].lower() for name in columns},
                             {name: wanted.get(of, of) for name, (_, of) in columns.items()})
            self.assertEqual(rows[0]["mixed"], str(2 ** 60 + 1))
            self.assertEqual({name: str(rows[1][name]) for name in shown}, shown)


if __name__ == "__main__":
    unittest.main()
