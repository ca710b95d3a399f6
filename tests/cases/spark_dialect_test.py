# release
"""`dialect: spark`: each expression of tests/dialect gives what Spark 3.5 gave for it, or is refused where it stands."""

import collections
import os
import sys
import unittest

from freshet_testing import FRESHET, PRESET, SOURCE, Case

TABLES = os.path.join(SOURCE, "tests", "dialect")
sys.path.insert(0, TABLES)
sys.dont_write_bytecode = True
import dialect_runner  # noqa: E402

REFUSED_AT_MOST = 0.05

# Spark's own texts of floats have a digit too many here (a fault of Java's before 19).
LONGER_IN_JAVA = {"cast('2147483648' as float)", "cast('-2147483649' as float)"}
# Of equal ones Spark takes any; here the first.
ANY_OF_EQUALS = {"max_by(x, y) @ ('a',1),('b',1)"}


def cases_of_tables():
    names = sorted(name for name in os.listdir(TABLES) if name.endswith(".tsv"))
    return [case for name in names for case in dialect_runner.read_table(os.path.join(TABLES, name))]


class SparkDialectTest(Case):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # What Spark refuses is tried by hand (dialect_runner.py --show errors): each refusal costs a run.
        cls.cases = [case for case in cases_of_tables() if not case.is_error]
        if PRESET in ("asan", "cov"):  # each fifth: the release build has all of them
            cls.cases = cls.cases[::5]

    def test_each_expression_gives_sparks_value_or_is_refused(self):
        runner = dialect_runner.Runner(FRESHET, self.folder)
        runner.all(self.cases)
        by_verdict = collections.defaultdict(list)
        for case in self.cases:
            by_verdict[case.verdict()].append(case)
        silent = [f"{case.expression}: Spark {case.value}, Freshet {case.shown()}" for case in by_verdict["silent"]
                  if case.expression not in LONGER_IN_JAVA | ANY_OF_EQUALS]
        self.assertEqual(silent, [], "other values than Spark's, without a word")
        refused = by_verdict["refused"]
        self.assertLessEqual(len(refused), REFUSED_AT_MOST * len(self.cases),
                             "\n".join(f"{case.expression}: {case.why}" for case in refused))
        wrong = [f"{case.expression}: Spark {case.type}, Freshet {case.given}" for case in by_verdict["same"]
                 if case.given is not None and case.given != case.type and "void" not in case.type]
        self.assertEqual(wrong, [], "other types than Spark's")


if __name__ == "__main__":
    unittest.main()
