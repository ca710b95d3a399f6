# release only
"""No job of `make bench-check` needs over 3 % more instructions an event than bench/instructions.json says."""

import os
import subprocess
import sys
import unittest

SOURCE = os.environ.get("FRESHET_SOURCE", os.getcwd())


class Instructions(unittest.TestCase):
    def test_no_job_is_worse(self):
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "bench", "check.py")],
                              env=dict(os.environ, CI="true"), capture_output=True, text=True, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
