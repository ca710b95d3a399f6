"""`dialect: spark`: each expression of tests/dialect gives what Spark 3.5 gave for it, or is refused."""

import os
import sys
import unittest

from freshet_testing import FRESHET, SOURCE, Case

sys.path.insert(0, os.path.join(SOURCE, "tests", "dialect"))
import dialect_runner

TABLES = os.path.join(SOURCE, "tests", "dialect")
REFUSED_AT_MOST = 0.05

# Other values than Spark's, on purpose: what the clock says.
ON_PURPOSE = set()
