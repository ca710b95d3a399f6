# release only
"""`state: {memory}` is what the process takes within a quarter, however many keys there are."""

import os
import subprocess
import unittest

from freshet_testing import FRESHET, SOURCE, Case

MIB = 48
LEASTS = 24  # what the least sizes of the cache and of changes take above their shares of so little

with open(os.path.join(SOURCE, "bench", "beyond.yaml.in"), encoding="ascii") as _file:
    DECLARATION = _file.read()

WINDOWS = """\
  features:
    - {name: amount, window: {functions: [count, avg], over: [1 hour, 7 days]}}
"""


class MemorySizeTest(Case):

    def peak_mib(self, rows, keys, features):
        """Of a run over so many rows."""
        self.write("many.yaml", DECLARATION.format(rows=rows, keys=keys, memory=MIB, features=features))
        state = self.path(f"{keys}.state")
        run = subprocess.Popen([FRESHET, "run", "many.yaml", "--once", "--progress", "none", "--state", state],
                               cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(run.pid, 0)
        said = run.stderr.read().decode()
        run.stderr.close()
        run.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(run.returncode, 0, said)
        return usage.ru_maxrss / 1024

    def expect_bounded(self, features):
        base = self.peak_mib(50_000, 1_000, features)
        peak = self.peak_mib(1_000_000, 700_000, features)
        print(f"{base:.0f} MiB, with 700,000 keys {peak:.0f} MiB", end=" ", flush=True)
        self.assertLess(peak, base + MIB * 1.25 + LEASTS)

    def test_windows(self):
        self.expect_bounded(WINDOWS)


if __name__ == "__main__":
    unittest.main()
