"""A number with a point or an exponent in a bigint column: from 2^53 on it may have lost digits, and is a dead letter;
below, it is taken where all of its digits say a whole number."""

import unittest

from freshet_testing import Case


class JsonBigintAsFloatTest(Case):
    GOOD = {"1.0": 1, "1e3": 1000, "-4503599627370497.0": -4503599627370497, "9007199254740991.0": 2 ** 53 - 1,
            "9007199254740993": 2 ** 53 + 1, "9223372036854775807": 2 ** 63 - 1}
    BAD = ["9007199254740993.0", "9007199254740993e0", "900719925474099.3e1", "9007199254740992.5",
           "9223372036854775807.0", "9.223372036854775807e18", "1152921504606846977.0", "4503599627370497.5",
           "1125899906842624.01"]

    def run_with(self, schema, stream):
        values = [value for pair in zip(self.BAD, list(self.GOOD) * 2) for value in pair]
        good = [self.GOOD[value] for value in values if value in self.GOOD]
        self.declare(schema=schema, stream=stream, query="select *, timestamp '2024-05-01' as ts from events",
                     keys="{name: k, type: bigint}", timestamp="{from: ts}", features=["{name: a, type: bigint}"])
        self.write("in/0.jsonl", "".join(f'{{"k":{k},"a":{v}}}\n' for k, v in enumerate(values)))
        rows, _ = self.once(sql="select * from online_feature_store__events order by k")
        self.assertEqual([row["a"] for row in rows], good)
        letters = self.dead_letters()
        self.assertEqual([letter["reason"].split("the number ")[1].split(";")[0] for letter in letters],
                         [value for value in values if value not in self.GOOD])
        self.assertIn("from 2^53 on a number with a point or an exponent may have lost digits", letters[0]["reason"])

    def test_batch(self):
        self.run_with({"k": "bigint", "a": "bigint"}, False)

    def test_stream(self):
        self.run_with({"k": "bigint", "a": "bigint"}, True)

    def test_beside_a_decimal(self):
        """Then all numbers are read as text: with the same result."""
        self.run_with({"k": '"decimal(10,0)"', "a": "bigint"}, False)


if __name__ == "__main__":
    unittest.main()
