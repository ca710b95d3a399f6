"""Times that are most likely in another unit: told once, by check and run alike, with the unit that would fit."""

import json
import time
import unittest

from freshet_testing import Case, line

NOW = 1709287200  # 2024-03-01


class EpochMsTest(Case):

    def told(self, values, timestamp="{from: seen}", *, type="bigint", query="select * from events", stream=False,
             format="json"):
        """What check and run warn of: the same."""
        if format == "json":
            self.write("in/0.x", "".join(json.dumps({"k": i, "seen": v}) + "\n" for i, v in enumerate(values)))
        else:
            self.write("in/0.x", "k,seen\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
        self.declare(path="in/*", format=format, schema={"k": "bigint", "seen": type}, timestamp=timestamp,
                     keys="{name: k, type: bigint}", features=["{name: n, type: bigint, sql: k}"], query=query,
                     stream=stream)
        checked, ran = self.freshet("check", "events.yaml"), self.freshet("run", "events.yaml", "--once")
        self.assertEqual(checked.code, 0, checked.err)
        self.assertIn(ran.code, (0, 65), ran.err)  # 65: no row at all was taken, since they are no times
        warnings = [[text for text in err.splitlines() if "lie outside" in text] for err in (checked.err, ran.err)]
        self.assertEqual(warnings[0], warnings[1])
        return warnings[0]

    def assert_unit(self, warnings, advice):
        warning, = warnings
        self.assertRegex(warning, r"^events\.yaml:\d+:\d+: warning: timestamp: ")
        self.assertIn(advice, warning)

    def test_each_unit_for_each(self):
        factors = {"s": 1, "ms": 1000, "us": 10 ** 6, "ns": 10 ** 9}
        for written, factor in factors.items():
            values = [(NOW + i) * factor for i in range(3)]
            for declared in ("s", "ms", "us"):
                warnings = self.told(values, f"{{from: seen, unit: {declared}}}", stream=written == "us")
                if declared == written:
                    self.assertEqual(warnings, [])
                elif written == "ns":
                    self.assert_unit(warnings, "they look like nanoseconds: divide them by 1000 in the query")
                else:
                    self.assert_unit(warnings, f"did you mean unit: {written}?")

    def test_no_unit_is_seconds(self):
        self.assert_unit(self.told([NOW * 1000, NOW * 1000 + 1]), "2 of the first 2 times lie outside 1990 to a year "
                         "from now, as +56135-")
        self.assertEqual(self.told([NOW, NOW + 1]), [])

    def test_text_and_doubles_and_csv(self):
        self.assert_unit(self.told([f"{NOW}000", f"{NOW}001"], "{from: seen, unit: s}", type="string"),
                         "did you mean unit: ms?")
        self.assert_unit(self.told([NOW * 1000.5], type="double"), "did you mean unit: ms?")
        self.assert_unit(self.told([NOW * 1000], type="bigint", format="csv"), "did you mean unit: ms?")

    def test_as_the_query_makes_it(self):
        """It is the query's column that counts."""
        self.assertEqual(self.told([NOW * 1000], query="select k, seen // 1000 as seen from events"), [])
        self.assert_unit(self.told([NOW], query="select k, seen * 1000 as seen from events"), "did you mean unit: ms?")
        self.assert_unit(self.told([NOW * 1000], query="select * from (select * from events) where k >= 0"),
                         "did you mean unit: ms?")

    def test_most(self):
        """A few odd ones are nobody's unit; nulls do not count; a little ahead of the clock is fine."""
        self.assertEqual(self.told([0, NOW, NOW, None, None, None]), [])
        self.assertEqual(self.told([int(time.time()) + 300 * 86400]), [])
        self.assert_unit(self.told([0, 0, NOW]), "look at timestamp.from, unit and mask")

    def test_timestamps(self):
        self.assert_unit(self.told(["1905-01-01", "1906-01-01"], type="timestamp"), "unless such times are meant")
        self.assertEqual(self.told(["2024-01-01", "1906-01-01"], type="timestamp"), [])

    def test_what_comes_after_the_start(self):
        """A stream that begins without files tells of it when rows come, once."""
        self.declare(path="in/*", schema={"k": "bigint", "seen": "bigint"}, timestamp="{from: seen}",
                     keys="{name: k, type: bigint}", features=["{name: n, type: bigint, sql: k}"])
        run = self.start_run("events.yaml")
        self.write("in/0.jsonl", "".join(json.dumps({"k": i, "seen": NOW * 1000}) + "\n" for i in range(300)))
        self.until(lambda: "lie outside" in run.err(), "the warning", run)
        self.append("in/0.jsonl", b"".join(line({"k": i, "seen": NOW * 1000}) for i in range(300)))
        self.until_count(600, run)
        err = run.stop().err
        self.assertEqual(err.count("lie outside"), 1)
        self.assertRegex(err, r"(?m)^events\.yaml:\d+:\d+: warning: timestamp: .*did you mean unit: ms\?")

    def test_in_a_log_of_json(self):
        """A line of its own, with the place."""
        self.declare(path="in/*", schema={"k": "bigint", "seen": "bigint"}, timestamp="{from: seen}",
                     keys="{name: k, type: bigint}", features=["{name: n, type: bigint, sql: k}"], stream=False)
        self.write("in/0.jsonl", line({"k": 1, "seen": NOW * 1000}))
        ran = self.freshet("run", "events.yaml", "--progress", "none", "--log", "json")
        self.assertEqual(ran.code, 0, ran.err)
        said, = [record for record in map(json.loads, ran.err.splitlines()) if "lie outside" in record["message"]]
        self.assertEqual(said["level"], "warning")
        self.assertRegex(said["message"], r"^events\.yaml:\d+:\d+: timestamp: 1 of the first 1 time")


if __name__ == "__main__":
    unittest.main()
