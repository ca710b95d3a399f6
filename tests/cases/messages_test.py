"""Messages about mistakes that people make: each says the cause, at its place, and what to write."""

import json
import unittest

from freshet_testing import Case, line

DECLARATION = """version: 1
pipeline: p
source:
  readers:
    - id: ev
      file: {path: ev.jsonl}
  query: select * from ev
feature_set:
  name: fs
  keys:
    - {name: user, type: bigint}
  timestamp: {from: at}
  features:
    - {name: amount, type: double}
    - name: spend
      from: amount
      window: {functions: [sum], over: [1 hour]}
sink:
  writers:
    - online: {debug: true}
"""

RECORD = {"user": 1, "at": "2024-03-01T10:00:00Z", "amount": 1.5, "total": {"net": 1, "tax": {"rate": 2}}, "year": 5}

KAFKA = """kafka:
        topic: t
        brokers: {brokers}
        value: {{schema: {{user: bigint, at: timestamp, amount: double, items: {items}}}}}"""


class MessagesTest(Case):

    def check(self, *changes, env=None):
        """The declaration with changes, each (text, what stands there then): exit code and problems."""
        text = DECLARATION
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after)
        self.write("d.yaml", text)
        self.write("ev.jsonl", line(RECORD))
        finished = self.freshet("check", "d.yaml", env=dict(self.env, **(env or {})))
        return finished.code, [said for said in finished.err.splitlines() if said.startswith("d.yaml:")]

    def assert_problem(self, said, *changes, **named):
        """It is the only one."""
        code, problems = self.check(*changes, **named)
        self.assertEqual((code, problems), (78, ["d.yaml:" + said]))

    def assert_good(self, *changes, **named):
        self.assertEqual(self.check(*changes, **named), (0, []))

    def test_a_part_of_a_struct(self):
        way = 'give it a name in the query, as in `select {0} as {1}`, or in a feature write `sql: {0}` in the place of `from`'
        self.assert_problem('16:13: error: feature "spend": "total.net" is no column, but a part of the column "total": ' +
                            way.format("total.net", "net"), ("from: amount", "from: total.net"))
        self.assert_problem('12:21: error: timestamp: "total.tax.rate" is no column, but a part of the column "total": ' +
                            way.format("total.tax.rate", "tax.rate"), ("from: at", "from: total.tax.rate"))
        self.assert_good(("{name: amount, type: double}", "{name: net, type: double, sql: total.net}"))

    def test_the_shell_s_defaults(self):
        for value in ("${DATA:-ev.jsonl}", "${DATA:?unset}", "${DATA:=ev.jsonl}"):
            self.assert_problem('6:21: error: "${VAR:-default}" and its like are the shell\'s: write ${VAR:default}, '
                                "without a sign behind the colon, or ${VAR} for a variable that must be set",
                                ("path: ev.jsonl", f'path: "{value}"'))
        self.assert_problem('2:11: error: "${VAR-default}" is the shell\'s: write ${VAR:default}, with a colon',
                            ("pipeline: p", "pipeline: ${P-prod}"))
        self.assert_good(("path: ev.jsonl", 'path: "${DATA:ev.jsonl}"'))

    def test_units_as_people_write_them(self):
        for short, whole in (("1h", "1_hour"), ("30d", "30_days"), ("10m", "10_minutes"), ("1 h", "1_hour"),
                             ("90s", "90_seconds"), ("2w", "2_weeks"), ("5 min", "5_minutes")):
            self.check(("over: [1 hour]", f"over: [{short}]"))
            self.assertIn(f"spend__sum_over_{whole}_fixed_windows", self.good("check", "d.yaml"))
        for short, whole in (("1h", "1 hour"), ("500ms", "500 ms"), ("1 h", "1 hour"), ("10m", "10 minutes"),
                             ("30s", "30 seconds"), ("2d", "2 days"), ("1w", "1 week"), ("5mins", "5 minutes")):
            self.check(("sink:", f"checkpoint: {{interval: {short}}}\nsink:"))
            self.assertIn(f"interval: {whole}\n", self.good("show", "d.yaml"))
        for short, whole in (("10MB", "10 MB"), ("10M", "10 MB"), ("64Mi", "64 MiB"), ("2 g", "2 GB"), ("64 mib", "64 MiB")):
            self.check(("sink:", f"state: {{memory: {short}}}\nsink:"))
            self.assertIn(f"memory: {whole}\n", self.good("show", "d.yaml"))
        self.check(("over: [1 hour]", "over: [1h, 60m]"))
        self.assert_problem('17:45: error: window "1 month": months differ in length: say it in days or weeks',
                            ("over: [1 hour]", "over: [1d, 1 month]"))

    def test_options_in_a_wrong_block(self):
        top = 'it stands at the top of the declaration, beside "feature_set" and not inside of it'
        self.assert_problem('6:30: error: unknown option "stream" in "file": it stands in the reader, beside "file" and not '
                            "inside of it", ("path: ev.jsonl", "path: ev.jsonl, stream: true"))
        self.assert_problem('7:7: error: unknown option "format" in "reader": it stands inside of "file"',
                            ("ev.jsonl}", "ev.jsonl}\n      format: json"))
        self.assert_problem('13:3: error: unknown option "lateness" in "feature_set": it stands inside of "timestamp"',
                            ("  features:", "  lateness: 1h\n  features:"))
        for option in ("dead_letters: {path: x}", "checkpoint: {interval: 1s}", "state: {path: x}", "sink: {}"):
            name = option.partition(":")[0]
            self.assert_problem(f'12:25: error: unknown option "{name}" in "timestamp": {top}',
                                ("{from: at}", f"{{from: at, {option}}}"))
        self.assert_problem('13:3: error: unknown option "fail_above" in "feature_set": it stands inside of "dead_letters"',
                            ("  features:", "  fail_above: 1 %\n  features:"))
        self.assert_problem('14:36: error: unknown option "over" in "feature": it stands inside of "window"',
                            ("type: double}", "type: double, over: [1h]}"))
        self.assert_problem('14:36: error: unknown option "on_cast_error" in "feature": it stands in the feature_set, beside '
                            '"features" and not inside of it', ("type: double}", "type: double, on_cast_error: dead_letter}"))
        self.assert_problem('6:30: error: unknown option "forma" in "file"; did you mean "format"?',
                            ("path: ev.jsonl", "path: ev.jsonl, forma: json"))

    def test_schemas_of_messages(self):
        def kafka(items, brokers='"h:9092"'):
            return (("file: {path: ev.jsonl}", KAFKA.format(brokers=brokers, items=items) + "\n      stream: true"),)
        types = ("boolean, integer, bigint, float, double, decimal(width,scale), string, binary, date, timestamp, "
                 "array<type> or struct<name: type>")
        self.assert_problem(f'9:78: error: "items" cannot be "strin": it must be {types}; did you mean "string"?', *kafka("strin"))
        self.assert_problem('9:78: error: the column "items" must have a type, such as bigint, or a map of its fields; an '
                            'array is written array<type>, one of structs "array<struct<name: type, other: type>>"',
                            *kafka("[{sku: string}]"))
        self.assert_good(*kafka('"array<struct<sku: string, qty: integer>>"'))
        self.assert_good(*kafka("{sku: string, qty: integer}"))
        self.assert_good(*kafka("string", brokers='["h:9092", "i:9092"]'))
        self.assert_problem('8:29: error: "brokers" must not be empty: write for example "localhost:9092"',
                            *kafka("string", brokers='["h:9092", " "]'))
        self.assert_problem('8:18: error: the environment variable "BROKERS_OF_NOBODY" is not set: set it, or write a default, '
                            "as in ${BROKERS_OF_NOBODY:default}", *kafka("string", brokers="${BROKERS_OF_NOBODY}"))

    def test_names_of_folders_of_the_history(self):
        history = ("- online: {debug: true}", "- history: {path: out}")
        self.assert_problem('14:14: error: "year" is the name of a folder of the history (year=...), which readers take for a '
                            'column: call it otherwise, as in {name: year_of_event, from: year}, or leave "year" out of '
                            "partition_by", history, ("{name: amount,", "{name: year,"))
        self.assert_good(history, ("{name: amount,", "{name: year_of_event, from: year,"))
        self.assert_good(("{name: amount,", "{name: year,"))

    def test_nothing_is_described_twice(self):
        def once(pairs):
            names = [name for name, _ in pairs]
            self.assertEqual(len(names), len(set(names)), names)
            return dict(pairs)
        schema = json.loads(self.good("schema"), object_pairs_hook=once)
        self.assertIn("description", schema["properties"]["feature_set"])
        codes = [of["const"] for of in schema["$defs"]["dead_letter"]["properties"]["code"]["oneOf"]]
        page = self.good("schema", "--reference").partition("## Reasons of dead letters")[2]
        for code in codes:
            self.assertIn(f"| `{code}` |", page)

    def test_help_of_check(self):
        self.assertNotIn("all in one go", self.good("check", "--help"))


if __name__ == "__main__":
    unittest.main()
