"""examples/from-butterfree: each declaration gives what real Butterfree gave for the same data (expected/*.jsonl), as a batch
and as a stream whose folder is fed while it runs; and what Butterfree refuses on a stream gives the batch's rows."""

import glob
import json
import os
import re
import shutil
import unittest

from freshet_testing import SOURCE, Case

EXAMPLES = os.path.join(SOURCE, "examples", "from-butterfree")

# name of the expected rows, declaration, dates, the variable that says where the stream reads from
RUNS = [
    ("simple", "simple", (), "LISTINGS"),
    ("functions_and_windows", "functions_and_windows", (), "LISTINGS"),
    ("aggregated", "aggregated", (), "LISTINGS"),
    ("aggregated_windows", "aggregated_windows", ("--end-date", "2020-05-30"), None),
    ("aggregated_pivot", "aggregated_pivot", ("--end-date", "2020-05-30"), None),
    ("interval_runs.all", "interval_runs", ("--end-date", "2020-05-30"), None),
    ("interval_runs.interval", "interval_runs", ("--start-date", "2020-05-06", "--end-date", "2020-05-21"), None),
    ("interval_runs.day", "interval_runs", ("--start-date", "2020-05-10", "--end-date", "2020-05-10"), None),
    ("streaming", "streaming", (), "RIDES"),
]


def comparable(row):
    """Times by the millisecond, as Spark writes them; numbers by six digits, since here the declared type FLOAT is that of an
    SQL feature, too, which in Butterfree stays a double."""
    made = {}
    for name, value in row.items():
        if name == "timestamp":
            value = value.rstrip("Z")[:23]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            value = float("%.6g" % value)
        made[name] = value
    return json.dumps(made, sort_keys=True)


class FromButterfreeTest(Case):

    def setUp(self):
        super().setUp()
        shutil.copytree(EXAMPLES, self.path("example"))

    def table(self, name):
        with open(self.path(f"example/{name}.yaml"), encoding="utf-8") as file:
            text = file.read()
        feature_set = re.search(r"(?m)^feature_set:\n  name: (\w+)", text).group(1)
        return text, "online_feature_store__" + feature_set

    def expected(self, name):
        with open(os.path.join(EXAMPLES, "expected", name + ".jsonl"), encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return sorted(map(comparable, rows))

    def asked(self, *arguments, sql):
        out = self.good("run", *arguments, "--format", "json", "--query", sql)
        return sorted(comparable(json.loads(line)) for line in out.splitlines())

    def test_batch(self):
        for name, declaration, dates, _ in RUNS:
            with self.subTest(name):
                text, table = self.table(declaration)
                self.write("example/batch.yaml", text.replace("stream: true", "stream: false"))
                self.assertEqual(self.asked(self.path("example/batch.yaml"), *dates, sql=f"select * from {table}"),
                                 self.expected(name))

    def test_stream_to_its_end(self):
        for name, declaration, _, variable in RUNS:
            if variable is None:
                continue
            with self.subTest(name):
                _, table = self.table(declaration)
                self.assertEqual(self.asked(self.path(f"example/{declaration}.yaml"), "--once",
                                            sql=f"select * from {table}"), self.expected(name))

    def test_stream_that_goes_on(self):
        """The streaming tutorial: a file comes after the other, and each ride is in the table."""
        rides = self.path("rides")
        os.mkdir(rides)
        paths = sorted(glob.glob(os.path.join(EXAMPLES, "data", "rides", "*")))
        shutil.copy(paths[0], rides)
        run = self.start_run(self.path("example/streaming.yaml"), pipeline="streaming", env=dict(self.env, RIDES=rides))
        for path in paths[1:]:
            shutil.copy(path, os.path.join(rides, "part"))
            os.rename(os.path.join(rides, "part"), os.path.join(rides, os.path.basename(path)))
        found = []

        def all_are_there():
            out = self.good("query", "--pipeline", "streaming", "--format", "json",
                            "select * from online_feature_store__bike_rides")
            found[:] = sorted(comparable(json.loads(line)) for line in out.splitlines())
            return len(found) >= len(self.expected("streaming"))

        self.until(all_are_there, "all rides", run)
        self.assertEqual(found, self.expected("streaming"))
        run.stop()

    def test_windows_on_a_stream(self):
        """Butterfree refuses rolling windows on a stream. Here they give the batch's rows, of the days that have ended."""
        text, table = self.table("aggregated_windows")
        self.write("example/stream.yaml", text.replace("stream: false", "stream: true"))
        sql = (f"select * from {table} where rent__avg_over_1_day_rolling_windows is not null")
        found = self.asked(self.path("example/stream.yaml"), "--once", sql=sql)
        expected = map(json.loads, self.expected("aggregated_windows"))
        self.assertEqual(found, [json.dumps(row) for row in expected if row["timestamp"] < "2020-05-18" and
                                 row["rent__avg_over_1_day_rolling_windows"] is not None])


if __name__ == "__main__":
    unittest.main()
