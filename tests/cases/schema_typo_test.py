"""A column of the schema that no record has is told by check and run, with what may have been meant."""

import json
import unittest

from freshet_testing import Case
from parquet_testing import parquet

RECORDS = [{"user": i, "amount": i + 0.5, "place": {"city": "x"}} for i in range(2)]


class SchemaTypoTest(Case):

    def told(self, format, path, schema, *, stream=False, code=0, extra=""):
        """What check and run warn of: the same."""
        self.declare(format=format, path=path, schema=schema, stream=stream, reader_extra=extra,
                     query='select "user", 1.0 as amount, timestamp \'2024-05-01\' as ts from events',
                     timestamp="{from: ts}", keys="{name: user, type: bigint}",
                     features=["{name: amount, type: double}"])
        checked = self.freshet("check", "events.yaml")
        self.assertEqual(checked.code, code, checked.err)
        ran = self.freshet("run", "events.yaml", "--once")
        self.assertEqual(ran.code, code, ran.err)

        def warnings(err):
            return [line.split("warning: ", 1)[1] for line in err.splitlines()
                    if line.startswith("events.yaml:7:") and "warning: " in line]
        self.assertEqual(warnings(checked.err), warnings(ran.err))
        return warnings(ran.err)

    def test_json(self):
        self.write("in/0.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS))
        for stream in (False, True):
            self.assertEqual(self.told("json", "in/*", {"user": "bigint", "amuont": "double"}, stream=stream),
                             ["amuont: none of the first 2 records has it; did you mean amount?"])
        self.assertEqual(self.told("json", "in/*", {"user": "bigint", "Amount": "double", "other": "date"}),
                         ["Amount: none of the first 2 records has it; did you mean amount?",
                          "other: none of the first 2 records has it"])
        self.assertEqual(self.told("json", "in/*", {"user": "bigint", "amount": "double"}), [])

    def test_json_within(self):
        self.write("in/0.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS))
        self.assertEqual(self.told("json", "in/*", {"user": "bigint", "place": '"struct<citty: string>"'}),
                         ["place.citty: none of the first 2 records has it; did you mean city?"])

    def test_the_first_thousand(self):
        self.write("in/0.jsonl", "".join('{"user":1,"amount":1}\n' for _ in range(1500)) + '{"user":1,"late":1}\n')
        self.assertEqual(self.told("json", "in/*", {"user": "bigint", "late": "double"}),
                         ["late: none of the first 1,000 records has it"])

    def test_csv(self):
        self.write("in/0.csv", "user,amount\n1,2\n")
        self.assertEqual(self.told("csv", "in/*", {"User": "bigint", "amuont": "double"}),
                         ["amuont: none of the first 1 record has it; did you mean amount?"])
        self.write("in/0.csv", "1,2\n")
        self.assertEqual(self.told("csv", "in/*", {"user": "bigint", "amuont": "double"}, extra=", header: false"), [])

    def test_parquet(self):
        self.write("in/0.parquet", parquet({"user": ("bigint", [1]), "amount": ("double", [1.5])}))
        self.assertEqual(self.told("parquet", "in/*", {"user": "bigint", "amuont": "double"}),
                         ["amuont: none of the first 1 file has it; did you mean amount?"])
        self.write("in/1.parquet", parquet({"user": ("bigint", [1]), "amuont": ("double", [1.5])}))
        self.assertEqual(self.told("parquet", "in/*", {"user": "bigint", "amuont": "double"}), [])

    def test_nothing_there_yet(self):
        said, = self.told("json", "in/*", {"user": "bigint", "amuont": "double"}, stream=True)
        self.assertIn("there is no file", said)
        self.write("in/0.jsonl", "")
        self.assertEqual(self.told("json", "in/*", {"user": "bigint", "amuont": "double"}), [])


if __name__ == "__main__":
    unittest.main()
