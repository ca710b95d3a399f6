"""What is inferred: of a batch from all of its records; of a stream from the first ones, which it says. `freshet show`
prints it as YAML to paste."""

import gzip
import json
import unittest

from freshet_testing import Case


class FractionAfterIntegersTest(Case):
    N = 5000

    def records(self):
        return [{"user": i, "amount": i % 100 + (0.5 if i >= 4000 else 0), **({"late": f"x{i}"} if i > 4500 else {})}
                for i in range(self.N)]

    def declare_over(self, format, path, stream=False):
        return self.declare(format=format, path=path, schema=None, stream=stream,
                            query="select *, timestamp '2024-05-01' as ts from events", timestamp="{from: ts}",
                            keys="{name: user, type: bigint}",
                            features=["{name: amount, type: double}"]
                            + ([] if stream else ["{name: late, type: string}"]))

    def check_rows(self):
        rows, finished = self.once(sql="select * from online_feature_store__events order by \"user\"")
        self.assertEqual([(row["user"], row["amount"], row["late"]) for row in rows],
                         [(r["user"], r["amount"], r.get("late")) for r in self.records()])
        self.assertEqual(self.dead_letters(), [])
        self.assertNotIn("inferred", finished.err)

    def test_json(self):
        text = "".join(json.dumps(record) + "\n" for record in self.records())
        self.write("in/0.jsonl", text)
        self.declare_over("json", "in/*.jsonl")
        self.check_rows()

    def test_json_in_many_compressed_files(self):
        for i in range(10):
            part = self.records()[i * 500:(i + 1) * 500]
            self.write(f"in/{i}.jsonl.gz", gzip.compress("".join(json.dumps(r) + "\n" for r in part).encode()))
        self.declare_over("json", "in/*")
        self.check_rows()

    def test_csv(self):
        """Columns are known by the header of each file, in any order; a later file may have more."""
        early, late = self.records()[:4501], self.records()[4501:]
        self.write("in/0.csv", "user,amount\n" + "".join(f"{r['user']},{r['amount']}\n" for r in early))
        self.write("in/1.csv", "late,user,amount\n" + "".join(f"{r['late']},{r['user']},{r['amount']}\n" for r in late))
        self.declare_over("csv", "in/*.csv")
        rows, finished = self.once(sql="select * from online_feature_store__events order by \"user\"")
        self.assertEqual([(row["user"], row["amount"], row["late"]) for row in rows],
                         [(r["user"], r["amount"], r.get("late")) for r in self.records()])
        self.assertRegex(finished.err, r"in/0\.csv does not have the column late")

    def test_a_stream_says_what_it_inferred(self):
        self.write("in/0.jsonl", "".join(json.dumps(record) + "\n" for record in self.records()))
        self.declare_over("json", "in/*.jsonl", stream=True)
        rows, finished = self.once(sql="select * from online_feature_store__events order by \"user\"")
        self.assertEqual(len(rows), 4000)
        self.assertRegex(finished.err, r"the columns were inferred from the first 1,000 records of .*in/0\.jsonl: "
                         r"user: bigint, amount: bigint;")
        self.assertEqual(len(self.dead_letters()), 1000)

    def test_show_prints_it(self):
        """What it prints can be pasted, and means the same."""
        self.write("in/0.jsonl", "".join(json.dumps(dict(record, on={"a b": [1.5, None]}, big=2 ** 64 - 1)) + "\n"
                                         for record in self.records()))
        name = self.declare_over("json", "in/*.jsonl")
        shown = self.good("show", name)
        self.assertRegex(shown, r"The reader events declares no schema. This one was inferred from all 5,000 records of "
                         r".*in/0\.jsonl")
        begin = shown.index("# schema:\n")
        lines = [line[2:] for line in shown[begin:].split("\n\n")[0].splitlines()]
        self.assertEqual(lines, ["schema:", "  user: bigint", "  amount: double", '  "on":', "    \"a b\": array<double>",
                                 "  big: decimal(20,0)", "  late: string"])
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        block = "\n".join(" " * 10 + line for line in ['path: "in/*.jsonl"', *lines])
        pasted = text.replace('file: {path: "in/*.jsonl", format: json}', "file:\n" + block)
        self.assertNotEqual(pasted, text)
        self.write("pasted.yaml", pasted)
        rows, _ = self.once("pasted.yaml", sql="select * from online_feature_store__events order by \"user\"")
        self.assertEqual([row["amount"] for row in rows], [r["amount"] for r in self.records()])
        self.assertNotIn("inferred", self.good("show", "pasted.yaml"))


if __name__ == "__main__":
    unittest.main()
