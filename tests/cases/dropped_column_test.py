# needs: cassandra
"""A column of the table that was dropped, and is added again: of it Cassandra shows nothing for events up to the time of
the drop. `plan` tells, `apply` and `run` refuse until it is accepted."""

import unittest

from cassandra_testing import CassandraCase
from freshet_testing import event, line

SAID = r'the column "value" was dropped at 20\d\d-[-0-9T:.]+Z: of it nothing will be seen for events up to that time'


class DroppedColumnTest(CassandraCase):

    def test_added_again(self):
        self.declare_store(stream=False)
        self.apply()
        self.write("in/a.jsonl", b"".join(line(event(i)) for i in range(3)))
        self.run_once()
        self.cassandra.execute(f"alter table {self.table()} drop value")
        planned = self.good("plan", "events.yaml")
        self.assertRegex(planned, "-- " + SAID)
        self.assertIn('the column "value" (double) is missing', planned)
        refused = self.freshet("apply", "events.yaml", "--yes")
        self.assertEqual(refused.code, 78, refused.err)
        self.assertRegex(refused.err, SAID + "; give the feature another name, .*dropped_columns: accept")
        self.cassandra.execute(f"alter table {self.table()} add value double")
        for stream in (False, True):
            self.declare_store(stream=stream)
            finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
            self.assertEqual(finished.code, 78, finished.err)
            self.assertRegex(finished.err, SAID)
        self.declare_store(stream=False, store={"dropped_columns": "accept"})
        self.assertIn("-- applied", self.apply() + "-- applied")
        self.run_once()
        self.assertEqual([row["value"] for row in self.rows()], [None] * 3)  # as was said

    def test_another_column(self):
        """That a column of nobody's was dropped does not matter."""
        self.declare_store(stream=False)
        self.apply()
        self.cassandra.execute(f"alter table {self.table()} add other text")
        self.cassandra.execute(f"alter table {self.table()} drop other")
        self.write("in/a.jsonl", line(event(1)))
        self.run_once()
        self.assertEqual(len(self.rows()), 1)
        self.assertNotIn("dropped", self.good("plan", "events.yaml"))


if __name__ == "__main__":
    unittest.main()
