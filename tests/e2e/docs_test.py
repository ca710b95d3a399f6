"""What docs/guide/windows.md shows is what comes out: its tables, row for row."""

import json
import os
import re

from freshet_testing import SOURCE, Case

EVENTS = {"12:00:10": 10, "12:00:40": 20, "12:01:10": None, "12:01:40.2": 30, "12:01:40.9": 60}
IN_TIME = ["12:00:10", "12:00:40", "12:01:10", "12:01:40.2", "12:01:40.9"]
SECOND_SWAPPED = ["12:00:10", "12:00:40", "12:01:10", "12:01:40.9", "12:01:40.2"]
AS_COMING = ["12:00:10", "12:00:40", "12:01:40.9", "12:01:10", "12:01:40.2"]
FIXED = "window: {functions: [count, avg], over: [1 minute]}"
ROWS = "window: {functions: [count, avg], over: [3 events], mode: row_windows}"


def tables(page):
    """The rows of each table of a page, as lists of cells."""
    found, before = [], False
    for line in page.splitlines():
        is_row = line.startswith("|")
        if is_row and not before:
            found.append([])
        if is_row and not set(line) <= set("|-"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = is_row
    return found


def shown(value):
    return "null" if value is None else "%d" % value if value == int(value) else "%.2f" % value


class WindowsPageTest(Case):

    def setUp(self):
        super().setUp()
        with open(os.path.join(SOURCE, "docs", "guide", "windows.md"), encoding="utf-8") as file:
            self.fixed, self.rows, self.stream = tables(file.read())[:3]

    def computed(self, window, order, stream=False):
        """Time, value, count and mean of each row, as the page writes them."""
        self.declare(stream=stream, features=("{name: value, type: double}", "{name: x, from: value, %s}" % window))
        self.write("in/a.jsonl", "".join(json.dumps({"id": 1, "key": "a", "seen": "2024-01-01T%sZ" % time,
                                                     "value": EVENTS[time]}) + "\n" for time in order).encode())
        out = self.good("run", "events.yaml", "--once", "--debug", "--progress", "none", "--format", "json", "--query",
                        "select * from online_feature_store__events")
        rows = [list(json.loads(text).values()) for text in out.splitlines()]
        return [[re.sub(r"\.?0+Z$", "", row[1][11:]) if "." in row[1] else row[1][11:19],
                 *map(shown, row[2:])] for row in rows]

    def test_fixed_windows(self):
        self.assertEqual(self.fixed[0][1], "x")
        self.assertEqual(self.computed(FIXED, IN_TIME), self.fixed[1:])

    def test_row_windows(self):
        self.assertEqual(sorted(self.computed(ROWS, SECOND_SWAPPED)), sorted(self.rows[1:]))

    def test_on_a_stream(self):
        """In the order in which they come; late rows are followed by the newest row."""
        rows = [[row[0], row[2], row[3]] for row in self.computed(FIXED, AS_COMING, stream=True)]
        self.assertEqual(rows, [row[1:4] for row in self.stream[1:]])
