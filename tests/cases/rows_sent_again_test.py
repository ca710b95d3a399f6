"""Late events and events of one second bring a key's newest row again, since what is served has changed: the
debug table holds it again, the view `_new` holds each row once, and the summary counts those that came again."""

from freshet_testing import Case, line

EVENT = {"id": "bigint", "key": "string", "seen": "timestamp", "value": "double"}
SPEND = "{name: spend, from: value, window: {functions: [sum], over: [1 hour]}}"


def event(i, key, minute, value, second=0):
    return line({"id": i, "key": key, "seen": f"2024-03-01T10:{minute:02d}:{second:02d}Z", "value": value})


class RowsSentAgainTest(Case):

    def totals(self, view):
        (row,), finished = self.once(sql="select count(*) as n, sum(value) as total from "
                                     f"online_feature_store__events{view}")
        return row["n"], row["total"], finished.err

    def test_late_events(self):
        self.declare(features=["{name: value, type: double}", SPEND])
        self.write("in/0.jsonl", event(0, "a", 10, 100) + event(1, "a", 0, 1) + event(2, "a", 5, 2)
                   + event(3, "b", 20, 1000))
        self.assertEqual(self.totals("_new")[:2], (4, 1103))
        n, total, said = self.totals("")
        self.assertEqual((n, total), (6, 1303))
        self.assertIn("6 written (of them 2 again)", said)
        self.assertEqual(self.totals("_latest")[:2], (2, 1100))

    def test_rows_as_they_first_were(self):
        self.declare(features=["{name: id, type: bigint}", "{name: value, type: double}", SPEND])
        self.write("in/0.jsonl", event(0, "a", 10, 100) + event(1, "a", 0, 1))
        rows, _ = self.once(sql="select id, spend__sum_over_1_hour_fixed_windows as s from "
                            "online_feature_store__events_new order by id")
        self.assertEqual(rows, [{"id": 0, "s": 100}, {"id": 1, "s": 1}])

    def test_sets_without_windows_have_the_view_too(self):
        for stream in (True, False):
            self.declare(stream=stream)
            self.write("in/0.jsonl", event(0, "a", 10, 100) + event(1, "a", 0, 1))
            self.assertEqual(self.totals("_new")[:2], (2, 101))

    def test_trimmed(self):
        """The view follows the table when its oldest rows go."""
        self.declare(features=["{name: id, type: bigint}", "{name: value, type: double}", SPEND],
                     sink="- online: {debug: true, rows: 3}")
        self.write("in/0.jsonl", b"".join(event(i, f"k{i}", i % 60, 1) for i in range(50)))
        self.assertEqual(self.totals("_new")[:2], (3, 3))
