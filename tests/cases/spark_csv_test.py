"""CSV that is not as the options say: escaped as Spark does, with another delimiter, without a header; JSON that is not
one object a line. Each is told, with what to write; CSV of Spark is read by `escape`."""

import json
import unittest

from freshet_testing import Case

# As PySpark 3.5 writes these values; a field is quoted only where it has to be.
SPARK = ('k,x\n1,"b,\\\\c"\n2,C:\\dir\\x\n3,"end,\\\\"\n4,"say \\"hi\\""\n5,""\n6,\n7,"nl\nx"\n8,"a,\\\\\\"b"\n9,"\\"q\\",\\"r\\""\n')
VALUES = ["b,\\c", "C:\\dir\\x", "end,\\", 'say "hi"', "", None, "nl\nx", 'a,\\"b', '"q","r"']


class CsvCase(Case):

    def declare_csv(self, *, extra="", schema={"k": "bigint", "x": "string"}, stream=False, path="in/*",
                    format="csv", query="select *, timestamp '2024-05-01' as ts from events",
                    features=("{name: x, type: string}",)):
        return self.declare(format=format, path=path, schema=schema, stream=stream, reader_extra=extra, query=query,
                            keys="{name: k, type: bigint}", timestamp="{from: ts}", features=features)

    def told(self, code=0):
        """The sentences of check, without their place."""
        finished = self.freshet("check", "events.yaml")
        self.assertEqual(finished.code, code, finished.err)
        return [text.split(": ", 2)[2] for text in finished.err.splitlines() if text.startswith("events.yaml:")]


class SparkCsvTest(CsvCase):
    OPTION = ', escape: "\\\\"'

    def test_read_with_escape(self):
        self.write("in/0.csv", SPARK)
        for schema in ({"k": "bigint", "x": "string"}, None):
            for stream in (False, True):
                self.declare_csv(extra=self.OPTION, schema=schema, stream=stream)
                rows, _ = self.once(sql="select * from online_feature_store__events order by k")
                self.assertEqual([row["x"] for row in rows], VALUES)
                self.assertEqual(self.dead_letters(), [])
                self.assertEqual(self.told(), [])

    def test_in_pieces(self):
        """A stream that is fed within fields and escapes."""
        self.declare_csv(extra=self.OPTION, stream=True)
        self.write("in/0.csv", "")
        run = self.start_run("events.yaml")
        data = SPARK.encode()
        at = 0
        while at < len(data):
            n = self.rng.randint(1, 5)
            self.append("in/0.csv", data[at:at + n])
            at += n
        self.until_count(len(VALUES), run)
        rows = self.query("select x from online_feature_store__events order by k")
        self.assertEqual([row["x"] for row in rows], VALUES)
        run.stop()

    def test_told_without(self):
        self.write("in/0.csv", SPARK)
        self.declare_csv()
        warning, = self.told()
        self.assertRegex(warning, r'in/0\.csv has backslashes within quotes, as Spark writes them .*: say escape: "\\\\"')
        finished = self.freshet("run", "events.yaml")
        self.assertIn(warning, finished.err)
        reasons = [letter["reason"] for letter in self.dead_letters()]
        self.assertTrue(any('behind a backslash; where that makes it text, as Spark writes it, say escape: "\\\\"' in r
                            for r in reasons), reasons)

    def test_pairs_only(self):
        self.write("in/0.csv", 'k,x\n1,"b,\\\\c"\n')
        self.declare_csv()
        self.assertEqual(len(self.told()), 1)
        self.declare_csv(extra=""", escape: '"'""")  # they are text, and this says so
        self.assertEqual(self.told(), [])
        rows, _ = self.once(sql="select x from online_feature_store__events")
        self.assertEqual(rows, [{"x": "b,\\\\c"}])

    def test_other_backslashes(self):
        self.write("in/0.csv", 'k,x\n1,"\\\\server\\share, and more"\n2,C:\\\\x\n3,"say ""hi"""\n4,"end\\"\n')
        self.declare_csv()
        self.assertEqual(self.told(), [])

    def test_options(self):
        for extra, sentence in ((', escape: "ab"', 'must be one ASCII character'), (", escape: ','", "the delimiter"),
                                (", escape: é", "must be one ASCII")):
            self.declare_csv(extra=extra)
            self.assertIn(sentence, self.freshet("check", "events.yaml").err)
        self.declare(reader_extra=", escape: '/'", stream=False)
        self.assertIn('"escape" is of format: csv', self.freshet("check", "events.yaml").err)


class WrongDelimiterTest(CsvCase):

    def test_told(self):
        for delimiter, shown in ((";", ";"), ("\t", "\\t"), ("|", "|")):
            self.write("in/0.csv", delimiter.join("kx") + "\n" + "".join(f"{i}{delimiter}a,b\n" for i in range(20)))
            self.declare_csv(schema=None)
            sentences = self.told(code=78)
            self.assertTrue(any(f'have 2 with another delimiter: say delimiter: "{shown}"' in s for s in sentences),
                            sentences)
            self.declare_csv(schema=None, extra=f', delimiter: "{shown}"')
            rows, _ = self.once(sql="select * from online_feature_store__events")
            self.assertEqual(len(rows), 20)
            self.assertEqual(self.told(), [])

    def test_with_a_schema(self):
        self.write("in/0.csv", "k;x\n1;a\n")
        self.declare_csv()
        warnings = self.told()
        self.assertTrue(any('is one field, "k;x"' in w and 'say delimiter: ";"' in w for w in warnings), warnings)

    def test_one_column(self):
        self.write("in/0.csv", "k\n1\n2\n")
        self.declare_csv(schema=None, features=["{name: x, type: bigint, sql: k}"])
        self.assertEqual(self.told(), [])


class NoHeaderTest(CsvCase):

    def test_told(self):
        self.write("in/0.csv", "1,2024-05-01T00:00:00Z,1.5\n2,2024-05-02T00:00:00Z,2\n")
        self.declare_csv(schema=None)
        sentences = self.told(code=78)
        self.assertTrue(any('is "1,2024-05-01T00:00:00Z,1.5", which looks like a record: if there is no header, say '
                            'header: false' in s for s in sentences), sentences)

    def test_headers(self):
        for text in ("k,x\n1,2\n", "k,x\n", "k,2024,2025\n1,5,6\n", "2023,2024\n1,2\n"):
            self.write("in/0.csv", text)
            self.declare_csv(schema=None)
            self.assertNotIn("looks like a record", self.freshet("check", "events.yaml").err)


class NotOneObjectALineTest(CsvCase):
    RECORDS = [{"k": 1, "x": "a", "o": {"y": [1, 2]}}, {"k": 2, "x": "b", "o": {"y": [3]}}]

    def check_told(self, text, sentence, tool, inferred=78):
        self.write("in/0.json", text)
        for schema, code in ((None, inferred), ({"k": "bigint", "x": "string"}, 0)):
            self.declare_csv(format="json", schema=schema)
            sentences = self.told(code=code)
            self.assertTrue(any(sentence in s and tool in s for s in sentences), sentences)
            self.assertFalse(any("no record yet" in s for s in sentences), sentences)

    def test_arrays(self):
        for indent in (None, 1):
            self.check_told(json.dumps(self.RECORDS, indent=indent), "in/0.json is a JSON array", "jq -c '.[]'")
        self.check_told("[\n" + ",\n".join(json.dumps(r) for r in self.RECORDS) + "\n]\n", "is a JSON array",
                        "jq -c '.[]'", inferred=0)  # its last line is an object

    def test_pretty(self):
        self.check_told("\n".join(json.dumps(r, indent=2) for r in self.RECORDS), "in/0.json has JSON objects of "
                        "several lines", "jq -c . ")

    def test_bad_lines_among_good_ones(self):
        """The first line may be broken: the others tell."""
        self.write("in/0.json", '{"k":\n' + "".join(json.dumps(r) + "\n" for r in self.RECORDS * 3))
        self.declare_csv(format="json")
        self.assertEqual(self.told(), [])


if __name__ == "__main__":
    unittest.main()
