"""Folders named `day=2024-01-02`, as Hive and Spark write them, give their columns to JSON, CSV and raw files as they do
to Parquet files: with and without schema, batch and stream, gzip, and when a file moves to another folder."""

import gzip
import os
import shutil
import unittest

from freshet_testing import Case, line
from parquet_testing import parquet

ENDINGS = {"json": ".jsonl", "csv": ".csv", "parquet": ".parquet", "raw": ".txt"}
SPARK = ("day=2024-01-02/country=BR", "day=2024-01-03/country=A%20long%20name%2Fx", "day=2024-01-03/country=CL")
BATCH, BOTH = ((False, False),), ((False, True), (True, False))  # as a stream, and gzip
HISTORY = "- history: {path: out}"
NULL = "__HIVE_DEFAULT_PARTITION__"


def content(form, records):
    """Records as a file of that format: all values are bigints or texts."""
    if form == "parquet":
        types = {name: "bigint" if isinstance(value, int) else "string" for name, value in records[0].items()}
        return parquet({name: (types[name], [record[name] for record in records]) for name in types})
    if form == "csv":
        rows = [",".join(records[0])] + [",".join(map(str, record.values())) for record in records]
        return ("\n".join(rows) + "\n").encode()
    if form == "raw":
        return b"".join(b"%d\n" % record["k"] for record in records)
    return b"".join(line(record) for record in records)


class HiveCase(Case):

    def files(self, form, folders, gz=False, extra=()):
        """A file of one record in each of the folders: k is its number."""
        shutil.rmtree(self.path("in"), ignore_errors=True)
        for i, folder in enumerate(folders):
            data = content(form, [dict(k=i, **dict(extra))])
            name = f"in/{folder}/part-{i}{ENDINGS[form]}{'.gz' if gz else ''}"
            self.write(name, gzip.compress(data) if gz else data)
            os.utime(self.path(name), (i + 1, i + 1))

    def declare_hive(self, form, columns, schema=None, stream=False, reader_extra="", path="in/**", on_cast="", **more):
        k = "cast(value as bigint) as k" if form == "raw" else "k"
        shown = ", ".join(f"typeof({c}) || ' ' || coalesce(cast({c} as varchar), 'null') as s_{c}" for c in columns)
        name = self.declare(form + ".yaml", format=form, path=path, schema=schema, stream=stream,
                            reader_extra=reader_extra, keys="{name: k, type: bigint}", timestamp="{from: ts}",
                            query=f"select {k}, timestamp '2024-05-01' as ts, {shown} from events",
                            features=[f"{{name: s_{c}, type: string}}" for c in columns], **more)
        if on_cast:
            with open(self.path(name), encoding="utf-8") as file:
                text = file.read()
            self.write(name, text.replace("    - id: events\n", f"    - id: events\n      on_cast_error: '{on_cast}'\n"))
        return name

    def read(self, form, columns, **named):
        """Of each row, in the order of k, the type and the value of each column; and what was said."""
        name = self.declare_hive(form, columns, **named)
        rows, finished = self.once(name, sql="select * from online_feature_store__events order by k")
        self.assertEqual(len(rows), len({row["k"] for row in rows}))
        return [tuple(row["s_" + c] for c in columns) for row in rows], finished.err

    def same(self, folders, columns, wanted, forms=("parquet", "json", "csv", "raw"), ways=BOTH, **named):
        extra, schema = named.pop("extra", ()), named.pop("schema", None)
        for form in forms:
            for stream, gz in ways:
                with self.subTest(form=form, stream=stream, gz=gz):
                    self.files(form, folders, gz and form != "parquet", extra)
                    rows, said = self.read(form, columns, schema=schema, stream=stream, **named)
                    self.assertEqual(rows, wanted)
                    self.assertNotIn("has it", said)
                    self.assertNotIn("does not have the column", said)


class HiveColumnsTest(HiveCase):

    def test_as_spark_writes(self):
        self.same(SPARK, ("day", "country"), [("DATE 2024-01-02", "VARCHAR BR"),
                                              ("DATE 2024-01-03", "VARCHAR A long name/x"),
                                              ("DATE 2024-01-03", "VARCHAR CL")])

    def test_types_are_of_all_files(self):
        """Each pair is the values of one column, in the folders of two files."""
        pairs = ((("1", "-20"), ("BIGINT 1", "BIGINT -20")),
                 (("1", "b"), ("VARCHAR 1", "VARCHAR b")),
                 (("007", "8"), ("VARCHAR 007", "VARCHAR 8")),
                 (("1", "2024-01-02"), ("VARCHAR 1", "VARCHAR 2024-01-02")),
                 (("99999999999999999999", "1.5"), ("VARCHAR 99999999999999999999", "VARCHAR 1.5")),
                 (("1", NULL), ("BIGINT 1", "BIGINT null")),
                 ((NULL, "2024-01-02"), ("DATE null", "DATE 2024-01-02")),
                 ((NULL, "null"), ("VARCHAR null", "VARCHAR null")),
                 (("50%", "%zz+a"), ("VARCHAR 50%", "VARCHAR %zz+a")))
        columns = [f"part{i}" for i in range(len(pairs))]
        folders = ["/".join(f"{column}={pair[0][file]}" for column, pair in zip(columns, pairs)) for file in (0, 1)]
        self.same(folders, columns, [tuple(pair[1][file] for pair in pairs) for file in (0, 1)],
                  forms=("parquet", "json"), ways=BATCH)

    def test_declared_types_win(self):
        self.same(("part=007", "part=" + NULL), ["part"], [("VARCHAR 007",), ("VARCHAR null",)],
                  forms=("parquet", "json", "csv"), schema={"part": "string", "k": "bigint"})
        self.same(("part=7", "part=" + NULL), ["part"], [('DECIMAL(10,2) 7.00',), ('DECIMAL(10,2) null',)],
                  forms=("parquet", "json", "csv"), schema={"k": "bigint", "part": '"decimal(10,2)"'})
        self.same(("seen=2024-01-02 03%3A04%3A05",), ["seen"], [("TIMESTAMP 2024-01-02 03:04:05",)],
                  forms=("parquet", "json", "csv"), schema={"k": "bigint", "seen": "timestamp"}, ways=BATCH)

    def test_a_value_of_another_type(self):
        for form in ("parquet", "json", "csv"):
            for stream in (False, True):
                with self.subTest(form=form, stream=stream):
                    schema = {"k": "bigint", "part": "bigint"}
                    self.files(form, ("part=1", "part=abc"))
                    rows, _ = self.read(form, ["part"], schema=schema, stream=stream)
                    self.assertEqual(rows, [("BIGINT 1",)])
                    letter, = self.dead_letters()
                    self.assertEqual(letter["code"], "bad_cast")
                    self.assertIn("abc", letter["reason"])
                    self.assertIn("on_cast_error", letter["reason"])
                    self.remove_letters()
                    rows, _ = self.read(form, ["part"], schema=schema, stream=stream, on_cast="null")
                    self.assertEqual(rows, [("BIGINT 1",), ("BIGINT null",)])

    def remove_letters(self):
        for name in os.listdir(self.path()):
            if "dead_letters" in name:
                os.remove(self.path(name))

    def test_the_folder_comes_before_the_file(self):
        """A column of the same name in the file is not looked at, whatever it holds."""
        self.same(("PART=1", "part=2"), ["part"], [("BIGINT 1",), ("BIGINT 2",)], forms=("parquet", "json", "csv"),
                  extra=[("part", "x")])
        self.same(("part=1", "part=2"), ["part"], [("BIGINT 1",), ("BIGINT 2",)], forms=("parquet", "json", "csv"),
                  extra=[("part", "x")], schema={"k": "bigint", "part": "bigint"})

    def test_some_files_only(self):
        for form in ("parquet", "json", "csv"):
            with self.subTest(form=form):
                self.files(form, ("part=1", "other", "part=2"))
                rows, _ = self.read(form, ["part"])
                self.assertEqual(rows, [("BIGINT 1",), ("BIGINT null",), ("BIGINT 2",)])

    def test_names_that_are_no_columns(self):
        self.same(("a=b=c/=x/part=1/part=2",), ["part"], [("BIGINT 1",)])
        self.files("json", ("x",))
        self.write("in/part=9.jsonl", line({"k": 1, "part": 3}))
        self.assertEqual(self.read("json", ["part"])[0], [("BIGINT null",), ("BIGINT 3",)])

    def test_csv_without_a_header(self):
        self.write("in/part=1/a.csv", "0,x\n")
        self.write("in/part=2/a.csv", "1,y\n")
        rows, _ = self.read("csv", ["part", "v"], schema={"k": "bigint", "part": "integer", "v": "string"},
                            reader_extra=", header: false")
        self.assertEqual(rows, [("INTEGER 1", "VARCHAR x"), ("INTEGER 2", "VARCHAR y")])

    def test_strict_json(self):
        self.files("json", ("part=1", "x"))
        rows, _ = self.read("json", ["part"], schema={"k": "bigint", "part": "bigint"}, reader_extra=", strict: true")
        self.assertEqual(rows, [("BIGINT 1",)])
        self.assertIn("part", self.dead_letters()[0]["reason"])

    def test_what_is_missing_is_still_told(self):
        for form in ("json", "csv"):
            self.files(form, ("part=1",))
            name = self.declare_hive(form, ["part"], schema={"k": "bigint", "part": "bigint", "absent": "bigint"})
            said = self.freshet("check", name).err
            self.assertIn("absent: none of the first 1 record has it", said)
            self.assertNotIn("part: none", said)

    def test_a_value_that_is_no_text(self):
        self.files("json", ("part=%FF", "part=b"))
        name = self.declare_hive("json", ["part"], schema={"k": "bigint", "part": "string"})
        finished = self.freshet("run", name, "--once")
        self.assertNotEqual(finished.code, 0)
        self.assertIn("part=%FF", finished.err)
        self.assertIn("UTF-8", finished.err)
        rows, _ = self.read("json", ["part"], schema={"k": "bigint", "part": "string"},
                            reader_extra=", on_bad_file: skip")
        self.assertEqual(rows, [("VARCHAR b",)])

    def test_a_running_stream(self):
        """Folders that come later, files that grow and that move to another folder."""
        for form in ("json", "csv"):
            with self.subTest(form=form):
                shutil.rmtree(self.path("in"), ignore_errors=True)
                shutil.rmtree(self.path(".freshet"), ignore_errors=True)
                name = self.declare_hive(form, ["part"], schema={"k": "bigint", "part": "bigint"}, stream=True)
                run = self.start_run(name)
                one, two = f"in/part=1/a{ENDINGS[form]}", f"in/part=2/b{ENDINGS[form]}"
                self.write(one, content(form, [{"k": 0}]))
                self.until_count(1, run)
                self.write(two, content(form, [{"k": 1}]))
                self.until_count(2, run)
                self.append(one, content(form, [{"k": 2}]).splitlines(True)[-1])
                self.until_count(3, run)
                os.makedirs(self.path("in/part=3"))
                os.rename(self.path(one), self.path("in/part=3/a" + ENDINGS[form]))
                self.append("in/part=3/a" + ENDINGS[form], content(form, [{"k": 3}]).splitlines(True)[-1])
                self.until_count(4, run)
                os.makedirs(self.path("in/none"))
                os.rename(self.path("in/part=3/a" + ENDINGS[form]), self.path("in/none/a" + ENDINGS[form]))
                self.append("in/none/a" + ENDINGS[form], content(form, [{"k": 4}]).splitlines(True)[-1])
                self.until_count(5, run)
                rows = self.query("select k, s_part from online_feature_store__events order by k")
                self.assertEqual([row["s_part"] for row in rows], ["BIGINT 1", "BIGINT 2", "BIGINT 1", "BIGINT 3",
                                                                   "BIGINT null"])
                run.stop()

    def test_replay(self):
        """A letter is replayed with its folder's column."""
        for form, bad in (("json", '{"k": 1, "v": "x"}\n'), ("csv", "1,x\n")):
            with self.subTest(form=form):
                for name in ("out", ".freshet", "in"):
                    shutil.rmtree(self.path(name), ignore_errors=True)
                self.write(f"in/part=5/a{ENDINGS[form]}", content(form, [{"k": 0, "v": 1}]) + bad.encode())
                self.write(f"in/part=6/b{ENDINGS[form]}", content(form, [{"k": 2, "v": 1}]))
                schema = {"k": "bigint", "v": "bigint", "part": "bigint"}
                name = self.declare_hive(form, ["part", "v"], schema=schema, stream=True, sink=HISTORY)
                self.good("run", name, "--once")
                self.assertEqual(len(self.dead_letters()), 1)
                self.declare_hive(form, ["part", "v"], schema=dict(schema, v="string"), stream=True, sink=HISTORY)
                self.good("replay", name)
                self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None,
                             path="out/**/*.parquet", keys="{name: k, type: bigint}", timestamp="{from: timestamp}",
                             features=["{name: s_part, type: string}"])
                rows, _ = self.once("read.yaml", sql="select k, s_part from online_feature_store__read order by k")
                self.assertEqual(rows, [{"k": 0, "s_part": "BIGINT 5"}, {"k": 1, "s_part": "BIGINT 5"},
                                        {"k": 2, "s_part": "BIGINT 6"}])
                self.remove_letters()


if __name__ == "__main__":
    unittest.main()
