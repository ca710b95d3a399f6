"""What stands around the SQL of `dialect: spark`: places of mistakes, streams, dead letters, show, a changed dialect over old state."""

import json
import unittest

from freshet_testing import Case

STREAM = """version: 1
pipeline: shop
dialect: spark
source:
  readers:
    - id: sales
      stream: true
      file: {path: in, format: json, schema: {id: bigint, at: bigint, cents: integer, tags: "array<string>", note: string}}
    - id: kinds
      file: {path: kinds.csv, format: csv, schema: {tag: string, rate: string}}
  query: |
    SELECT s.id, CAST(s.at AS timestamp) AS end, s.cents, i.tag, k.rate -- a comment, and 'a text'
    FROM sales s LEFT JOIN kinds k ON k.tag = s.note
    LATERAL VIEW explode(tags) i AS tag
    WHERE s.note RLIKE '^\\\\w+$' AND s.tags[0] != "none"
feature_set:
  name: shop
  entity: user
  keys: [{name: id, type: bigint}]
  timestamp: {from: end}
  features:
    - {name: half, type: double, sql: cents / 2}
    - {name: more, type: integer, sql: "`cents` + 2147483647"}
    - {name: worth, type: double, sql: half * rate}
    - name: total
      type: bigint
      from: cents
      filter: tag <=> 'a' OR half > '1000'
      window: {functions: [sum], over: [1 day]}
sink:
  writers:
    - jsonl: {path: out.jsonl}
"""


def sale(number, second, cents, tags, note="n1"):
    return json.dumps({"id": number, "at": 1704067200 + second, "cents": cents, "tags": tags, "note": note}) + "\n"


class SparkDialectFrameTest(Case):

    def setUp(self):
        super().setUp()
        self.write("kinds.csv", "tag,rate\nn1,2.5\nn2,bad\n")

    def run_it(self, text):
        self.write("shop.yaml", text)
        return self.freshet("run", "shop.yaml", "--once", "--progress", "none")

    def test_a_stream_gives_sparks_values_and_its_state_keeps_the_dialect(self):
        self.write("in/1.jsonl", sale(1, 0, 3, ["a", "b"]) + sale(2, 1, 5, ["b"], note="n2") + sale(3, 2, 7, ["none"]) +
                   sale(4, 3, 9, ["a"], note="n 1") + sale(5, 4, 11, [], note="n1"))
        text = STREAM
        finished = self.run_it(text)
        self.assertEqual(finished.code, 0, finished.err)
        rows = [(row["id"], row["half"], row["more"], row["worth"], row["total__sum_over_1_day_fixed_windows"])
                for row in self.read_lines("out.jsonl")]
        self.assertEqual([row[:4] for row in rows], [(1, 1.5, -2147483646, 3.75)] * 2 + [(2, 2.5, -2147483644, None)])
        self.assertEqual((rows[1][4], rows[2][4]), (3, None)) # SQL gives no order to the rows that explode makes
        self.write("in/2.jsonl", sale(1, 5, 4, ["a"]))
        changed = self.run_it(text.replace("dialect: spark\n", "").replace("`cents`", "cents").replace("half * rate", "half")
                              .replace("\\\\w", "w").replace(" AND s.tags[0] != \"none\"", "").replace("s.note RLIKE '^w+$'", "true")
                              .replace("CAST(s.at AS timestamp) AS end", "timestamp_seconds(s.\"at\") as \"end\"")
                              .replace("LATERAL VIEW explode(tags) i AS tag", ", unnest(tags) i(tag)").replace("<=>", "=")
                              .replace("half > '1000'", "half > 1000"))
        self.assertEqual(changed.code, 78, changed.err)
        self.assertIn("the dialect changed from `spark` to `duckdb`", changed.err)
        again = self.run_it(text)
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(self.read_lines("out.jsonl")[-1]["total__sum_over_1_day_fixed_windows"], 7)

    def mistakes(self, text):
        self.write("shop.yaml", text)
        self.write("in/1.jsonl", sale(1, 0, 3, ["a"]))
        checked = self.freshet("check", "shop.yaml")
        self.assertEqual(checked.code, 78, checked.err)
        return checked.err + checked.out

    def test_mistakes_have_their_place_in_the_users_text(self):
        def at(text, word, behind=""):
            offset = text.index(word, text.index(behind))
            line = text.count("\n", 0, offset) + 1
            return f"shop.yaml:{line}:{offset - text.rfind(chr(10), 0, offset)}: error:"

        good = STREAM
        text = good.replace("s.tags[0] != \"none\"", "nowhere(s.cents) = 1")
        self.assertIn(at(text, "nowhere(") + " there is no function nowhere()", self.mistakes(text))
        text = good.replace("s.cents, i.tag", "s.centz, i.tag")
        self.assertRegex(self.mistakes(text), at(text, "s.centz").replace(".", r"\.") + ".*s")
        text = good.replace("half * rate", "half *  centz").replace("cents / 2", "sum(cents) / 2")
        said = self.mistakes(text)
        self.assertIn(at(text, "centz") + " feature \"worth\": there is no column \"centz\" here: did you mean \"cents\"?", said)
        self.assertIn("feature \"half\"", said)
        text = good.replace("half > '1000'", "now() > 1")
        self.assertIn(at(text, "now()") + " the filter of feature \"total\": now(): gives another answer", self.mistakes(text))

    def test_mistakes_of_a_broken_declaration_are_told_together(self):
        text = STREAM.replace("jsonl:", "jsonz:").replace("cents / 2", "cents / (2").replace("FROM sales s", "FROM FROM sales s")
        said = self.mistakes(text)
        self.assertIn("jsonz", said)
        self.assertRegex(said, r"feature \"half\": the text ends where Spark's SQL wants \"\)\"")

    def test_show_prints_the_users_own_text(self):
        self.write("shop.yaml", STREAM)
        shown = self.freshet("show", "shop.yaml")
        self.assertEqual(shown.code, 0, shown.err)
        self.assertIn("dialect: spark", shown.out)
        self.assertIn("LATERAL VIEW explode(tags) i AS tag", shown.out)
        self.assertIn("<=>", shown.out)

    def test_a_row_that_fails_goes_to_the_dead_letters_alone(self):
        self.write("in/1.jsonl", sale(1, 0, 3, ["a"], note="2024-01-01") + sale(2, 1, 4, ["b"], note="12:30") +
                   sale(3, 2, 5, ["c"], note="none"))
        text = STREAM.replace("half * rate", "unix_timestamp(cast(note as timestamp))") \
            .replace("    - {name: worth, type: double", "    - {name: worth, type: bigint") \
            .replace("i.tag, k.rate", "i.tag, s.note").replace("LEFT JOIN kinds k ON k.tag = s.note\n", "\n") \
            .replace("s.note RLIKE '^\\\\w+$' AND ", "")
        text = text.replace("unix_timestamp(cast(note as timestamp))", "cast(cast(note as timestamp) as bigint)")
        finished = self.run_it(text)
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([(row["id"], row["worth"]) for row in self.read_lines("out.jsonl")], [(1, 1704067200), (3, None)])
        letters = self.dead_letters("shop")
        self.assertEqual(len(letters), 1)
        self.assertIn("the time of day \"12:30\" has no date", letters[0]["reason"])


if __name__ == "__main__":
    unittest.main()
