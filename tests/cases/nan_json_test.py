"""NaN, Infinity and -Infinity as JSON literals, which Python's json.dumps writes and Spark reads: values of float and
double columns; in any other one a value that does not fit, while the record is a good one."""

import os
import unittest

from freshet_testing import Case

RECORDS = ['{"k":0,"a":NaN,"f":1.5,"n":1}', '{"k":1,"a":1.5,"f":-Infinity,"n":2}', '{"k":2,"a":Infinity,"f":null,"n":3}',
           '{"k":3,"a":0.5,"f":0.5,"n":NaN}', '{"k":4,"other":NaN,"a":0.25,"f":NaN,"n":5,"list":[1,NaN,-Infinity]}']
ROWS = {0: ["NaN", 1.5, 1], 1: [1.5, "-Infinity", 2], 2: ["Infinity", None, 3], 4: [0.25, "NaN", 5]}


class NanJsonTest(Case):
    SCHEMA = {"k": "bigint", "a": "double", "f": "float", "n": "bigint", "list": "array<double>"}

    def read(self, *, schema=None, stream=False, on_cast_error=None, n_type="bigint"):
        name = self.declare(schema=schema, stream=stream, query="select *, timestamp '2024-05-01' as ts from events",
                            keys="{name: k, type: bigint}", timestamp="{from: ts}",
                            features=["{name: a, type: double}", "{name: f, type: float}",
                                      f"{{name: n, type: {n_type}}}", '{name: list, type: "array<double>"}'])
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        if on_cast_error is not None:
            self.write(name, text.replace("    - id: events\n", "    - id: events\n"
                                          f"      on_cast_error: '{on_cast_error}'\n"))
        self.write("in/0.jsonl", "".join(record + "\n" for record in RECORDS))
        rows, _ = self.once(sql="select * from online_feature_store__events order by k")
        self.assertEqual(rows[-1]["list"], [1.0, "NaN", "-Infinity"])
        return {row["k"]: [row["a"], row["f"], row["n"]] for row in rows}

    def test_with_a_schema(self):
        for stream in (False, True):
            self.assertEqual(self.read(schema=self.SCHEMA, stream=stream), ROWS)
            letter, = self.dead_letters()
            self.assertIn('field "n" should be bigint, but is NaN', letter["reason"])
            self.assertEqual(letter["raw"], RECORDS[3])
            os.unlink(self.path("events.dead_letters.jsonl"))

    def test_null_instead(self):
        self.assertEqual(self.read(schema=self.SCHEMA, on_cast_error="null"), {**ROWS, 3: [0.5, 0.5, None]})
        self.assertEqual(self.dead_letters(), [])

    def test_inferred(self):
        """A field with NaN is one of doubles, and its records are looked at as others are."""
        self.assertEqual(self.read(n_type="double"), {**ROWS, 3: [0.5, 0.5, "NaN"]})
        self.assertEqual(self.dead_letters(), [])

    def test_other_words(self):
        """What is no number in any dialect is no JSON."""
        self.declare(stream=False)
        self.write("in/0.jsonl", '{"id":1,"key":"a","seen":"2024-05-01T00:00:00Z","value":NaNN}\n'
                   '{"id":2,"key":"a","seen":"2024-05-01T00:00:00Z","value":+Infinity}\n'
                   '{"id":3,"key":"a","seen":"2024-05-01T00:00:00Z","value":None}\n'
                   '{"id":4,"key":"a","seen":"2024-05-01T00:00:00Z","value":-Infinity}\n')
        rows, _ = self.once()
        self.assertEqual([(row["id"], row["value"]) for row in rows], [(4, "-Infinity")])
        self.assertEqual(len(self.dead_letters()), 3)


if __name__ == "__main__":
    unittest.main()
