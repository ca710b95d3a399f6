"""`freshet training-set`: each row of a spine gets the newest feature rows at or before its time, as they were known
then. Beside it stands the plain form: for each row of the spine, a look at all rows of the history."""

import csv
import datetime
import fcntl
import json
import os
import random
import unittest

import parquet_testing
from freshet_testing import Case

DAY = 86_400_000_000_000  # times of the plain form are in nanoseconds
START = 19_800 * DAY
UNIT = {"timestamp_ns": 1, "timestamp_us": 1000, "timestamp_ms": 1_000_000, "date": DAY}

STREAM = """version: 1
pipeline: spend
source:
  readers:
    - {id: ev, stream: true, file: {path: "in/*.jsonl", format: json, schema: {customer: string, ts: timestamp, amount: bigint}}}
  query: select customer, ts, amount from ev
feature_set:
  name: spend
  keys: [{name: customer, type: string}]
  timestamp: {from: ts, lateness: 30 days}
  features:
    - {name: amount, type: bigint, window: {functions: [sum], over: [1 day]}}
sink:
  writers:
    - history: {path: out, corrections: true}
"""
SUM = "spend__amount__sum_over_1_day_fixed_windows"


def iso(ns):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=ns // 1000)).isoformat() + "Z"


class TrainingSetCase(Case):

    def make(self, *args, output="o.csv"):
        self.said = self.freshet("training-set", *args, "-o", output)
        self.assertEqual(self.said.code, 0, self.said.err)
        self.assertFalse(os.path.exists(self.path(output + ".freshet")))

    def rows(self, output="o.csv"):
        with open(self.path(output), newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def refused(self, code, *args):
        finished = self.freshet("training-set", *args)
        self.assertEqual(finished.code, code, finished.err)
        self.assertFalse(os.path.exists(self.path("o.csv")))
        self.assertFalse(os.path.exists(self.path("o.csv.freshet")))
        return finished.err

    def parquet(self, name, columns):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(parquet_testing.parquet(columns))


class TwinTest(TrainingSetCase):
    """Random spines over random histories with keys and times of any type, ties, nulls, lag and age."""

    def history(self, rng, name, key_types, time_type):
        """Rows of several files, in their order: keys, time in ns, value."""
        rows = []
        for file in range(rng.randint(1, 4)):
            part = []
            for _ in range(rng.randint(1, 60)):
                keys = tuple(None if rng.random() < 0.03 else rng.randint(0, 5) for _ in key_types)
                time = None if rng.random() < 0.03 else START + rng.randint(0, 40) * DAY // (4 if time_type != "date" else 1)
                if time is not None and time_type == "timestamp_ns":
                    time += rng.randint(0, 2)
                part.append((keys, time, len(rows) + len(part)))
            columns = {f"k{i}": (of, [self.key(of, row[0][i]) for row in part]) for i, of in enumerate(key_types)}
            columns["at"] = (time_type, [None if row[1] is None else row[1] // UNIT[time_type] for row in part])
            columns["value"] = ("bigint", [row[2] for row in part])
            self.parquet(f"{name}/year=2024/part-{file:04}.parquet", columns)
            rows += part
        return rows

    @staticmethod
    def key(of, value):
        return value if value is None or of in ("bigint", "integer") else float(value) if of == "double" else f"0{value}"

    @staticmethod
    def plain(history, keys, time, lag, age):
        found = None
        for row in history:
            if (time is not None and None not in keys and row[0] == keys and row[1] is not None and row[1] <= time - lag
                    and (found is None or row[1] >= found[1])):
                found = row
        return "" if found is None or age is not None and time - found[1] > age else str(found[2])

    def one(self, seed):
        rng = random.Random(seed)
        sets, args = [], []
        for name, n_keys in (("a", 1), ("b", 2))[:rng.randint(1, 2)]:
            types = [rng.choice(["bigint", "integer", "string"]) for _ in range(n_keys)]
            time_type = rng.choice(list(UNIT))
            lag = rng.choice([0, 0, 1, 2, 5]) * DAY // 4
            age = rng.choice([None, lag, lag + DAY // 4, lag + DAY])
            sets.append((name, types, self.history(rng, f"{seed}/{name}", types, time_type), lag, age))
            args += ["--from", f"{seed}/{name}", "--keys", f"{name}=" + ",".join(f"k{i}" for i in range(n_keys)),
                     "--timestamp", f"{name}=at", "--lag", f"{name}={lag // 1_000_000_000}s"]
            args += ["--max-age", f"{name}={age // 1_000_000_000}s"] if age is not None else []
            args += ["--key", *(f"{name}.k{i}={name}{i}" for i in range(n_keys))]
        spine_type = rng.choice(list(UNIT))
        n = rng.randint(0, 120)
        times = [None if rng.random() < 0.05 else START + rng.randint(0, 170) * DAY // 4 // UNIT[spine_type] * UNIT[spine_type]
                 + (rng.randint(-2, 2) if spine_type == "timestamp_ns" else 0) for _ in range(n)]
        columns = {"id": ("bigint", list(range(n))), "event_timestamp": (spine_type, [
            None if time is None else time // UNIT[spine_type] for time in times])}
        keys = {}
        for name, types, *_ in sets:
            for i, of in enumerate(types):
                mine = of if of == "string" else rng.choice(["bigint", "integer", "double"])
                keys[name, i] = [None if rng.random() < 0.05 else rng.randint(0, 6) for _ in range(n)]
                columns[f"{name}{i}"] = (mine, [self.key(mine, value) for value in keys[name, i]])
        self.parquet(f"{seed}/spine.parquet", columns)
        self.make(f"{seed}/spine.parquet", *args, "--threads", str(rng.randint(1, 3)))
        rows = self.rows()
        self.assertEqual([row["id"] for row in rows], [str(i) for i in range(n)])
        for name, types, history, lag, age in sets:
            expected = [self.plain(history, tuple(keys[name, i][at] for i in range(len(types))), times[at], lag, age)
                        for at in range(n)]
            self.assertEqual([row[f"{name}__value"] for row in rows], expected, f"seed {seed}, set {name}")
        return n

    def test_twin(self):
        self.assertGreater(sum(self.one(seed) for seed in range(12)), 300)


class CorrectionsTest(TrainingSetCase):

    def test_known_then(self):
        """Late events correct rows; a spine sees a correction from the event's coming on. Through a restart, too."""
        rng = random.Random(4)
        self.write("spend.yaml", STREAM)
        events, clock, seen = [], 0, set()
        for file in range(2):
            lines = ""
            for i in range(60):
                key = rng.choice("ab")
                minute = 60 * file + i - (rng.randint(3, 50) if rng.random() < 0.3 or file > 0 and i < 5 else 0)
                if (key, minute) in seen or minute < 0:
                    continue
                seen.add((key, minute))
                clock = max(clock, minute)
                events.append((key, minute, rng.randint(1, 1000), clock))
                lines += json.dumps({"customer": key, "ts": iso(START + minute * 60_000_000_000), "amount": events[-1][2]}) + "\n"
            self.write(f"in/{file}.jsonl", lines)
            self.good("run", "spend.yaml", "--once", "--progress", "none")
        spine = [(rng.choice("ab"), rng.randint(-2, 130)) for _ in range(150)]
        self.write("spine.csv", "customer,timestamp\n" + "".join(
            f"{key},{iso(START + minute * 60_000_000_000)}\n" for key, minute in spine))

        def plain(key, minute, now):
            times = [event[1] for event in events if event[0] == key and event[1] <= minute]
            if not times:
                return ""
            own = next(i for i, event in enumerate(events) if event[0] == key and event[1] == max(times))
            return str(sum(event[2] for i, event in enumerate(events) if event[0] == key and event[1] <= max(times)
                           and (i <= own or now or event[3] <= minute)))

        for now, more in ((False, []), (True, ["--as-known-now"])):
            for said in ("spend.yaml", "out", "other=out"):
                self.make("spine.csv", "--from", said, *more)
                self.assertEqual([row[SUM.replace("spend", "other", 1) if "=" in said else SUM] for row in self.rows()],
                                 [plain(key, minute, now) for key, minute in spine])
        self.assertNotEqual([plain(*row, False) for row in spine], [plain(*row, True) for row in spine])
        self.make("spine.csv", "--from", "out", "--lag", "7m")
        self.assertEqual([row[SUM] for row in self.rows()], [plain(key, minute - 7, False) for key, minute in spine])


class FormsTest(TrainingSetCase):

    def setUp(self):
        super().setUp()
        self.parquet("h/1.parquet", {"customer": ("bigint", [7, 7, 8]), "timestamp": ("timestamp_us", [
            START // 1000, START // 1000 + 1, START // 1000]), "amount": ("double", [1.5, 2.5, -0.0]),
            "note": ("string", ["x", "y, z", None])})
        self.parquet("h/2.parquet", {"customer": ("bigint", [9]), "timestamp": ("timestamp_us", [START // 1000]),
                                     "more": ("bigint", [5])})
        self.parquet("h/_tmp/3.parquet", {"other": ("bigint", [9])})
        self.write("spine.csv", "label,customer,timestamp\n007,7,1990-01-01\n,9.0,2024-03-18 00:00:00\nab,7,2024-03-19\n"
                                "\"a,b\",,2024-03-19\nx,8,\ny,8,2024-03-18T02:00:00+02:00\n")
        self.from_h = ["--from", "h", "--keys", "h=customer"]

    def test_csv(self):
        self.make("spine.csv", *self.from_h, "--with-times")
        with open(self.path("o.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(), [
                "label,customer,timestamp,h__amount,h__note,h__more,h__timestamp",
                "007,7,1990-01-01,,,,",
                ",9.0,2024-03-18 00:00:00,,,5,2024-03-18T00:00:00.000000Z",
                "ab,7,2024-03-19,2.5,\"y, z\",,2024-03-18T00:00:00.000001Z",
                "\"a,b\",,2024-03-19,,,,",
                "x,8,,,,,",
                "y,8,2024-03-18T02:00:00+02:00,-0.0,,,2024-03-18T00:00:00.000000Z"])
        self.assertIn("h: features for 3 of 6 rows; 2 without a key or a time", self.said.err)
        self.assertIn("o.csv: 6 rows", self.said.err)

    def test_parquet(self):
        """A Parquet file goes in as a spine again, and has all it had."""
        self.make("spine.csv", *self.from_h, "--features", "h:note,amount", output="1.parquet")
        self.make("1.parquet", "--from", "again=h", "--keys", "again=customer", "--features", "again:more")
        self.assertEqual([list(row.values()) for row in self.rows()][1:3], [
            ["", "9", "2024-03-18T00:00:00.000000Z", "", "", "5"],
            ["ab", "7", "2024-03-19T00:00:00.000000Z", "y, z", "2.5", ""]])
        self.assertEqual(self.rows()[5]["h__amount"], "-0.0")
        self.make("1.parquet", *self.from_h, "--features", "h:more", output="2.csv.gz")
        os.makedirs(self.path("many"))
        for i in range(3):
            self.write(f"many/{i}.csv", f"customer,timestamp,n\n7,2024-03-19,{i}\n")
        self.make("many", *self.from_h, "--features", "h:note")
        self.assertEqual([(row["n"], row["h__note"]) for row in self.rows()], [(str(i), "y, z") for i in range(3)])

    def test_csv_rows(self):
        """Each line behind the header is a row, as it stands there: DuckDB would take "#2" for a comment, ' for a quote."""
        for name, lines in (
                ("comments.csv", ["7,2024-03-19,x", "#2,,", "7,2024-03-19,y # z"]),
                ("quotes.csv", ["7,2024-03-19,it's", "7,2024-03-19,'q'", "7,2024-03-19,x"]),
                ("late.csv", ["7,2024-03-19,x"] * 25_000 + ['"7",2024-03-19,"a, ""b"""'])):
            with self.subTest(name=name):
                self.write(name, "\n".join(["customer,timestamp,word", *lines]) + "\n")
                if "#" in lines[1]:  # no number is "#2", which is said of its row
                    self.assertIn('row 2 of the spine has "#2"', self.refused(65, name, *self.from_h, "-o", "o.csv"))
                    continue
                self.make(name, *self.from_h, "--features", "h:note")
                rows = self.rows()
                self.assertEqual(len(rows), len(lines))
                self.assertEqual([row["word"] for row in rows[:3]], [line.split(",")[2] for line in lines[:3]])
                self.assertEqual({row["h__note"] for row in rows}, {"y, z"})
        self.assertEqual(rows[-1]["word"], 'a, "b"')
        self.write("semicolons.csv", "customer;timestamp;a,b\n7;2024-03-19;1,5\n")
        self.make("semicolons.csv", *self.from_h, "--features", "h:note")
        self.assertEqual(self.rows()[0]["a,b"], "1,5")

    def test_mistakes(self):
        go = ["spine.csv", *self.from_h, "-o", "o.csv"]
        self.write("none.yaml", STREAM.replace("history: {path: out, corrections: true}", "online: {debug: true}"))
        self.write("bad.csv", "customer,timestamp\n7,2024-03-19\n7x,2024-03-19\n")
        self.write("short.csv", "customer,timestamp,word\n7,2024-03-19\n7,2024-03-19,x\n")
        self.write("short_late.csv", "customer,timestamp,word\n" + "7,2024-03-19,x\n" * 25_000 + "7,2024-03-19\n")
        self.write("bad_time.csv", "customer,timestamp\n7,2024-03-19\n7,soon\n")
        self.write("taken.csv", "customer,timestamp,h__amount\n7,2024-03-19,1\n")
        self.write("letters.csv", "customer,timestamp,x,X\n7,2024-03-19,1,2\n")
        self.write("twice.csv", "customer;timestamp;x;x_1; x\n7;2024-03-19;1;2;3\n")
        for i, name in enumerate("xX"):
            self.write(f"parts/{i}.csv", f"customer,timestamp,{name},,\n7,2024-03-19,1,2,3\n")
        self.write("parts_bad/0.csv", "customer,timestamp,x\n7,2024-03-19,1\n")
        self.write("parts_bad/1.csv", "customer,timestamp,x,x\n7,2024-03-19,1,2\n")
        self.write("long.csv", "customer,timestamp,x\n7,2024-03-19," + "a" * 2_500_000 + "\n")
        self.write("quoted.csv", "customer,timestamp,x\n7,2024-03-19,a\n7,2024-03-19,\"" + "a\n" * 1_500_000 + "\"\n")
        self.parquet("letters.parquet", {"customer": ("bigint", [7]), "timestamp": ("timestamp_us", [1]), "x": ("bigint", [1]), "X": ("bigint", [1])})
        self.parquet("text.parquet", {"customer": ("string", ["7"]), "timestamp": ("timestamp_us", [1])})
        self.parquet("no_time.parquet", {"customer": ("bigint", [7]), "day": ("bigint", [1])})
        for code, args, words in (
                (2, [*go, "--features", "h:amuont"], 'the set h has no feature "amuont"; did you mean "amount"?'),
                (2, [*go, "--features", "g:amount"], 'there is no set "g"'),
                (2, [*go, "--lag", "hh=1h"], 'there is no set "hh"; it must be SET=... of one of these: h'),
                (2, [*go, "--lag", "h=1 fortnight"], "has no known unit"),
                (2, [*go, "--lag", "2h", "--max-age", "1h"], "no row would have features"),
                (2, [*go, "--key", "h.custmer=x"], "the keys of that set are customer"),
                (2, [*go, "--key", "h.customer=costumer"], 'the spine has no column "costumer"'),
                (2, [*go, "--key", "customer=customer"], "customer=customer: it must be SET.KEY=COLUMN of one of these sets: h"),
                (2, [*go, "--key", "customer=a.b"], "it must be SET.KEY=COLUMN of one of these sets: h"),
                (2, [*go, "--key", "g.customer=a"], 'there is no set "g"; it must be SET.KEY=COLUMN of one of these: h'),
                (2, [*go, "--features", "amount"], "it must be SET:FEATURE,... of one of these sets: h"),
                (2, [*go, "--features", "h:amount,note", "h:AMOUNT"], 'the feature "amount" of the set h is named twice'),
                (2, [*go, "--compression", "zstd"], "--compression is of Parquet, and o.csv is a CSV file"),
                (2, [*go[:-1], "o.csv.gz", "--compression", "gzip"], "leave it away"),
                (2, [*go, "--time", "timestmap"], 'did you mean "timestamp"?'),
                (2, [*go[:3], "-o", "o.csv"], "say it, as in --keys h=customer; the columns are customer, timestamp, amount"),
                (2, [*go, "--timestamp", "h=at"], 'no column "at" with the times'),
                (2, [*go, "--from", "h"], 'the set "h" is there already'),
                (2, ["spine.csv", "-o", "o.csv"], "say which history"),
                (2, go[:-2], "say what to write"),
                (2, [*go[:-1], "o.txt"], "must end in .parquet, .csv or .csv.gz"),
                (2, [*go[:-1], "spine.csv"], "is the spine"),
                (2, ["nothing.csv", *go[1:]], "there is no spine here"),
                (2, ["taken.csv", *go[1:]], '"h__amount" already'),
                (2, ["no_time.parquet", *go[1:]], "say which it is, by --time COLUMN; its columns are customer, day"),
                (78, ["no_time.parquet", *go[1:], "--time", "day"], "is of type BIGINT"),
                (78, ["text.parquet", *go[1:]], 'is of type VARCHAR, and the key "customer" of the set h is of type BIGINT'),
                (65, ["short.csv", *go[1:]], 'short.csv: error: the spine cannot be read as a CSV file with "," between its cells'),
                (65, ["short_late.csv", *go[1:]], "short_late.csv: error: line 25002 of the spine cannot be read: each row must have as many cells"),
                (65, ["bad.csv", *go[1:]], 'row 2 of the spine has "7x" in the column "customer"'),
                (65, ["bad_time.csv", *go[1:]], 'row 2 of the spine has "soon" in the column "timestamp"'),
                (78, ["spine.csv", "--from", "none.yaml", "-o", "o.csv"], "none.yaml: error: it has no history"),
                (78, ["spine.csv", "--from", "elsewhere", "-o", "o.csv"], "there are no Parquet files"),
                (78, ["letters.csv", *go[1:]], 'letters.csv: error: the spine has the columns "x" and "X", which are one name'),
                (78, ["twice.csv", *go[1:]], 'twice.csv: error: the spine has two columns "x": give one of them another name'),
                (78, ["parts_bad", *go[1:]], 'parts_bad/1.csv: error: the spine has two columns "x"'),
                (78, ["letters.parquet", *go[1:]], 'letters.parquet: error: the spine has the columns "x" and "X"'),
                (65, ["long.csv", *go[1:]], "long.csv: error: a line of the spine is longer than 2,000,000 bytes"),
                (65, ["quoted.csv", *go[1:]], "if a quote (\") is open there, close it"),
                (2, [*go, "--memory", "1 MiB"], "256 MiB of memory at least")):
            with self.subTest(args=args):
                self.assertIn(words, self.refused(code, *args))
        self.make("parts", *go[1:-2])  # two files may write a column's name otherwise; cells without a name are no mistake

    def test_another_run(self):
        """What a killed run has left is taken away; what another run works on is not."""
        self.write("o.csv.freshet/lock", "")
        self.write("o.csv.freshet/spill/old.tmp", "old")
        with open(self.path("o.csv.freshet/lock"), encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            finished = self.freshet("training-set", "spine.csv", *self.from_h, "-o", "o.csv")
            self.assertEqual(finished.code, 75, finished.err)
            self.assertTrue(os.path.exists(self.path("o.csv.freshet/spill/old.tmp")))
        self.make("spine.csv", *self.from_h)


if __name__ == "__main__":
    unittest.main()
