"""Parquet files of one folder whose columns differ: nothing is rounded without a word. Where no schema is declared the
columns are as wide as all files need; where one is, a value that does not fit is a dead letter, which says the value.
Also: columns of the type Null, which pandas writes from nothing but nulls; columns that a file lacks; the ends of
pandas' times; decimals of more than 38 digits."""

import json
import os
import unittest

from freshet_testing import Case
from parquet_testing import parquet

DAY = "2024-05-01T00:00:00.000000Z"
PANDAS_MAX, PANDAS_MIN = 2 ** 63 - 1, -2 ** 63 + 1


class ParquetCase(Case):

    def files(self, *files, folder="in"):
        """Writes the files, in this order: each a dict of columns."""
        for i, columns in enumerate(files):
            self.write(f"{folder}/{i}.parquet", parquet(columns))
            os.utime(self.path(folder, f"{i}.parquet"), (i + 1, i + 1))

    def read(self, features, *, schema=None, stream=False, on_cast_error=None, code=0, path="in/*.parquet"):
        """The rows by k, without the keys and the time, and what was said."""
        name = self.declare(format="parquet", path=path, schema=schema, stream=stream,
                            query="select *, timestamp '2024-05-01' as ts from events",
                            keys="{name: k, type: bigint}", timestamp="{from: ts}",
                            features=[f"{{name: {n}, type: \"{t}\"}}" for n, t in features.items()])
        if on_cast_error is not None:
            with open(self.path(name), encoding="utf-8") as file:
                text = file.read()
            self.write(name, text.replace("    - id: events\n", "    - id: events\n"
                                          f"      on_cast_error: '{on_cast_error}'\n"))
        if code != 0:
            return self.freshet("run", name, "--once")
        rows, finished = self.once(sql="select * from online_feature_store__events order by k")
        return {row["k"]: [row[n] for n in features] for row in rows}, finished


class TypesDifferTest(ParquetCase):
    OLD = {"k": ("bigint", [1]), "amount": ("bigint", [10]), "price": ("decimal(10,2)", [150]),
           "f": ("float", [1.5])}
    NEW = {"k": ("bigint", [2]), "amount": ("double", [2.75]), "price": ("decimal(12,4)", [12345]),
           "f": ("double", [0.1])}
    WIDE = {"amount": "double", "price": "decimal(12,4)", "f": "double"}
    NARROW = dict(WIDE, f="float")

    def test_widened_in_both_orders(self):
        rows = {1: [10.0, "1.5000", 1.5], 2: [2.75, "1.2345", 0.1]}
        for files in ((self.OLD, self.NEW), (self.NEW, self.OLD)):
            for stream in (False, True):
                self.files(*files)
                self.assertEqual(self.read(self.WIDE, stream=stream)[0], rows)
                self.assertEqual(self.dead_letters(), [])

    def test_a_schema_is_not_widened(self):
        schema = {"k": "bigint", "amount": "bigint", "price": '"decimal(10,2)"', "f": "float"}
        self.files(self.OLD, dict(self.NEW, k=("bigint", [2])),
                   dict(self.NEW, k=("bigint", [3]), amount=("double", [3.0])),
                   dict(self.NEW, k=("bigint", [4]), amount=("double", [4.0]), price=("decimal(12,4)", [99900])),
                   dict(self.NEW, k=("bigint", [5]), amount=("double", [5.0]), price=("decimal(12,4)", [100]),
                        f=("double", [0.123456789012])))
        for stream in (False, True):
            rows, _ = self.read(self.NARROW, schema=schema, stream=stream)
            self.assertEqual(rows[1], [10.0, "1.5000", 1.5])
            self.assertEqual(rows[4], [4.0, "9.9900", 0.1])  # no digit is lost: it fits
            self.assertEqual(sorted(rows), [1, 4])
            reasons = [letter["reason"] for letter in self.dead_letters()]
            self.assertRegex(reasons[0], r'column "amount" should be bigint, but has the value 2\.75;')
            self.assertRegex(reasons[1], r'column "price" should be decimal\(10,2\), but has the value "1\.2345";')
            self.assertRegex(reasons[2], r'column "f" should be float, but has the value 0\.123456789012;')
            os.unlink(self.path("events.dead_letters.jsonl"))

    def test_null_instead(self):
        self.files(self.OLD, self.NEW)
        schema = {"k": "bigint", "amount": "bigint", "price": '"decimal(10,2)"', "f": "float"}
        rows, _ = self.read(self.NARROW, schema=schema, on_cast_error="null")
        self.assertEqual(rows, {1: [10.0, "1.5000", 1.5], 2: [None, None, 0.1]})

    def test_integers_that_a_double_has_not(self):
        """Where the doubles decide the type, an integer beyond 2^53 is a dead letter that says which file decided."""
        self.files({"k": ("bigint", [1, 2]), "v": ("bigint", [2 ** 53 + 1, 2 ** 53])},
                   {"k": ("bigint", [3]), "v": ("double", [0.5])})
        rows, _ = self.read({"v": "double"})
        self.assertEqual(rows, {2: [2.0 ** 53], 3: [0.5]})
        letter, = self.dead_letters()
        self.assertRegex(letter["reason"], r'column "v" is double, as .*in/1\.parquet has it, and cannot hold '
                         r'9007199254740993 without losing')

    def test_a_later_file_of_a_stream(self):
        """What comes after the start cannot widen the column: its values fit or are dead letters."""
        self.files({"k": ("bigint", [1]), "v": ("bigint", [7])})
        name = self.declare(format="parquet", path="in/*.parquet", schema=None,
                            query="select *, timestamp '2024-05-01' as ts from events",
                            keys="{name: k, type: bigint}", timestamp="{from: ts}",
                            features=["{name: v, type: double}"])
        run = self.start_run(name)
        self.until_count(1, run)
        self.write("aside", parquet({"k": ("bigint", [2, 3]), "v": ("double", [2.0, 2.5])}))
        os.rename(self.path("aside"), self.path("in/1.parquet"))
        self.until_count(2, run)
        self.until(lambda: len(self.dead_letters()) == 1, "a dead letter", run)
        self.assertEqual(self.query("select k, v from online_feature_store__events order by k"),
                         [{"k": 1, "v": 7.0}, {"k": 2, "v": 2.0}])
        self.assertIn("cannot hold 2.5", self.dead_letters()[0]["reason"])
        run.stop()

    def test_kinds_that_have_nothing_in_common(self):
        """Without a schema: text, which holds all of them."""
        self.files({"k": ("bigint", [1]), "s": ("bigint", [7]), "b": ("boolean", [True]), "d": ("date", [19844])},
                   {"k": ("bigint", [2]), "s": ("string", ["x"]), "b": ("bigint", [2]),
                    "d": ("timestamp_us", [1714521600000000])})
        rows, _ = self.read({"s": "string", "b": "string", "d": "timestamp"})
        self.assertEqual(rows, {1: ["7", "true", "2024-05-01T00:00:00.000000Z"],
                                2: ["x", "2", "2024-05-01T00:00:00.000000Z"]})

    def test_text_as_the_schema_wants_it(self):
        """As CSV takes it: the offset of a time counts, 3.5 is no bigint."""
        self.files({"k": ("string", ["1", "2", "3.5", "x"]),
                    "t": ("string", ["2024-05-01T10:00:00-03:00", "2024-05-01", "2024-05-01", "2024-05-01"]),
                    "b": ("string", ["true", "False", "true", "true"])})
        schema = {"k": "bigint", "t": "timestamp", "b": "boolean"}
        rows, _ = self.read({"t": "timestamp", "b": "boolean"}, schema=schema)
        self.assertEqual(rows, {1: ["2024-05-01T13:00:00.000000Z", True], 2: [DAY, False]})
        self.assertEqual([json.loads(letter["reason"].split("value ")[1].split(";")[0])
                          for letter in self.dead_letters()], ["3.5", "x"])

    def test_booleans_are_no_numbers(self):
        self.files({"k": ("bigint", [1, 2]), "n": ("boolean", [True, None]), "b": ("bigint", [None, 1])})
        finished = self.read({"n": "bigint", "b": "boolean"}, code=65,
                             schema={"k": "bigint", "n": "bigint", "b": "boolean"})
        self.assertEqual(finished.code, 65)
        self.assertEqual(len(self.dead_letters()), 2)

    def test_units_of_times(self):
        """Milli-, micro- and nanoseconds are one timestamp."""
        self.files({"k": ("bigint", [1]), "t": ("timestamp_ms", [1714521600123])},
                   {"k": ("bigint", [2]), "t": ("timestamp_us", [1714521600123456])},
                   {"k": ("bigint", [3]), "t": ("timestamp_ns", [1714521600123456789])},
                   {"k": ("bigint", [4]), "t": ("date", [19844])})
        rows, _ = self.read({"t": "timestamp"})
        self.assertEqual([value for value, in rows.values()],
                         ["2024-05-01T00:00:00.123000Z", "2024-05-01T00:00:00.123456Z",
                          "2024-05-01T00:00:00.123456Z", "2024-05-01T00:00:00.000000Z"])


class NanosecondsTest(ParquetCase):

    def test_the_ends_of_pandas_times(self):
        """Timestamp.max and .min are no infinities; NaT is null."""
        times = [PANDAS_MAX, PANDAS_MIN, None, 1500, -1000]
        self.files({"k": ("bigint", [1, 2, 3, 4, 5]), "t": ("timestamp_ns", times),
                    "z": ("timestamp_ns_utc", times)})
        for stream in (False, True):
            rows, _ = self.read({"t": "timestamp", "z": "timestamp"}, stream=stream)
            self.assertEqual([a for a, _ in rows.values()],
                             ["2262-04-11T23:47:16.854775Z", "1677-09-21T00:12:43.145224Z", None,
                              "1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"])
            self.assertEqual([b for _, b in rows.values()], [a for a, _ in rows.values()])


class NullColumnsTest(ParquetCase):
    EMPTY = {"k": ("null", []), "v": ("null", []), "s": ("null", [])}
    FULL = {"k": ("bigint", [1, 2]), "v": ("double", [1.5, None]), "s": ("string", ["x", None])}

    def test_an_empty_file_first(self):
        for files in ((self.EMPTY, self.FULL), (self.FULL, self.EMPTY), (self.EMPTY,) * 6 + (self.FULL,)):
            for stream in (False, True):
                self.files(*files)
                rows, _ = self.read({"v": "double", "s": "string"}, stream=stream)
                self.assertEqual(rows, {1: [1.5, "x"], 2: [None, None]})

    def test_null_in_one_file_only(self):
        self.files({"k": ("bigint", [1]), "v": ("null", [None])}, {"k": ("bigint", [2]), "v": ("boolean", [True])})
        rows, _ = self.read({"v": "boolean"})
        self.assertEqual(rows, {1: [None], 2: [True]})

    def test_null_everywhere(self):
        """No file says what it is: text, as a JSON field that is always null."""
        self.files({"k": ("bigint", [1]), "v": ("null", [None])})
        rows, _ = self.read({"v": "string"})
        self.assertEqual(rows, {1: [None]})

    def test_which_file_said_so(self):
        self.files({"k": ("bigint", [1]), "v": ("null", [None])}, {"k": ("bigint", [2]), "v": ("integer", [3])},
                   *({"k": ("bigint", [3 + i]), "v": ("null", [None])} for i in range(3)),
                   {"k": ("bigint", [6]), "v": ("double", [0.5])})
        rows, _ = self.read({"v": "double"}, stream=True)  # a stream looks at the first files
        self.assertEqual(rows[2], [3.0])
        letter, = self.dead_letters()
        self.assertRegex(letter["reason"], r'column "v" is integer, as .*in/1\.parquet has it, and cannot hold 0\.5 ')


class MissingColumnsTest(ParquetCase):
    OLD, NEW = {"k": ("bigint", [1]), "v": ("bigint", [1])}, {"k": ("bigint", [2]), "v": ("bigint", [2]),
                                                            "w": ("bigint", [5])}

    def test_null_with_one_warning_a_file(self):
        for schema in (None, {"k": "bigint", "v": "bigint", "w": "bigint"}):
            for files in ((self.OLD, self.NEW), (self.NEW, self.OLD)):
                for stream in (False, True):
                    self.files(*files)
                    rows, finished = self.read({"v": "bigint", "w": "bigint"}, schema=schema, stream=stream)
                    self.assertEqual(rows, {1: [1, None], 2: [2, 5]})
                    old = files.index(self.OLD)
                    self.assertEqual(finished.err.count("does not have the column"), 1)
                    self.assertRegex(finished.err,
                                     rf"in/{old}\.parquet does not have the column w, null in all of its rows")

    def test_a_column_that_is_not_read(self):
        """Nothing is said of it."""
        self.files(self.OLD)
        self.declare(format="parquet", path="in/*.parquet", schema={"k": "bigint", "w": "bigint"},
                     query="select k, timestamp '2024-05-01' as ts from events", keys="{name: k, type: bigint}",
                     timestamp="{from: ts}", features=["{name: n, type: bigint, sql: k}"], stream=False)
        _, finished = self.once(sql="select * from online_feature_store__events")
        self.assertNotIn("does not have", finished.err)

    def test_a_file_of_something_else(self):
        """A file with none of the columns is no older one: it is refused by name."""
        self.files({"other": ("bigint", [1])})
        finished = self.read({"v": "bigint"}, schema={"k": "bigint", "v": "bigint"}, code=1)
        self.assertNotEqual(finished.code, 0)
        self.assertRegex(finished.err, r'in/0\.parquet.*there is no column "k"; there are other')

    def test_csv(self):
        self.write("in/0.csv", "k,v\n1,1\n3,3\n")
        self.write("in/1.csv", "w,v,k\n5,2,2\n")
        for stream in (False, True):
            self.declare(format="csv", path="in/*.csv", schema={"k": "bigint", "v": "bigint", "w": "bigint"},
                         query="select *, timestamp '2024-05-01' as ts from events",
                         keys="{name: k, type: bigint}", timestamp="{from: ts}", stream=stream,
                         features=["{name: v, type: bigint}", "{name: w, type: bigint}"])
            rows, finished = self.once(sql="select k, v, w from online_feature_store__events order by k")
            self.assertEqual([tuple(row.values()) for row in rows], [(1, 1, None), (2, 2, 5), (3, 3, None)])
            self.assertEqual(finished.err.count("does not have the column"), 1)
            self.assertRegex(finished.err, r"in/0\.csv does not have the column w, null in all of its rows")


class WideDecimalsTest(ParquetCase):

    def test_refused(self):
        self.files({"k": ("bigint", [1]), "c": ("decimal(60,2)", [10 ** 50])})
        finished = self.read({"c": "string"}, code=78)
        self.assertEqual(finished.code, 78, finished.err)
        self.assertIn('column "c": decimal(60,2) is wider than 38 digits', finished.err)
        finished = self.read({"c": "string"}, schema={"k": "bigint", "c": "string"}, code=1)
        self.assertNotEqual(finished.code, 0)
        self.assertIn('column "c": decimal(60,2) is wider than 38 digits', finished.err)

    def test_not_read(self):
        """A column that is not in the schema harms nobody; 38 digits are fine."""
        self.files({"k": ("bigint", [1]), "c": ("decimal(60,2)", [10 ** 50]),
                    "d": ("decimal(38,2)", [10 ** 37 + 1])})
        rows, _ = self.read({"d": "decimal(38,2)"}, schema={"k": "bigint", "d": '"decimal(38,2)"'})
        self.assertEqual(rows, {1: ["100000000000000000000000000000000000.01"]})


if __name__ == "__main__":
    unittest.main()
