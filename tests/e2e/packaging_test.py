"""The systemd unit and the package's other files, as far as they can be judged without installing them (scripts/check-package does)."""

import os
import re
import shutil
import subprocess
import unittest

from freshet_testing import Case, FRESHET, SOURCE, lines
from notify_testing import Supervisor

UNIT = os.path.join(SOURCE, "packaging", "freshet@.service")


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def settings(text):
    """[(name, value)] of a unit, in its order."""
    return re.findall(r"(?m)^(\w+)=(.*)$", text)


@unittest.skipIf(shutil.which("systemd-analyze") is None, "there is no systemd-analyze")
class AnalyzeTest(Case):

    def analyze(self, *args):
        return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False, timeout=300)

    def unit(self):
        """The unit with the binary that is tested."""
        return self.write("freshet@orders.service", read("packaging", "freshet@.service").replace("/usr/bin/freshet", FRESHET))

    def test_verify(self):
        said = self.analyze("verify", self.unit())
        # man pages and other units of this machine are no matter of ours
        ours = [text for text in said.stderr.splitlines() if "freshet@" in text]
        self.assertEqual(ours, [], said.stderr)
        wrong = self.write("freshet@wrong.service", read("packaging", "freshet@.service").replace("/usr/bin/freshet", FRESHET).replace("Restart=on-failure", "Restart=maybe"))
        self.assertIn("freshet@wrong.service:", self.analyze("verify", wrong).stderr)

    def test_security(self):
        """The exposure is "OK" at most, of 100 what is said here; one setting less would be over it."""
        said = self.analyze("security", "--offline=true", "--threshold=16", self.unit())
        self.assertEqual(said.returncode, 0, said.stdout[-2000:] + said.stderr)
        for less in ("PrivateDevices=yes", "CapabilityBoundingSet=", "SystemCallFilter=@system-service"):
            path = self.write("freshet@less.service", read("packaging", "freshet@.service").replace(less + "\n", ""))
            self.assertNotEqual(self.analyze("security", "--offline=true", "--threshold=16", path).returncode, 0, less)


class UnitTest(Case):

    def test_its_command_runs(self):
        """What ExecStartPre and ExecStart say, with the folders that systemd would make, and a supervisor as it is one."""
        self.declare(sink="- history: {path: out}", path=self.path("in/*.jsonl"), name="etc/events.yaml")
        self.write("in/0.jsonl", lines(0, 50))
        os.makedirs(self.path("var/freshet/events"))
        text = read("packaging", "freshet@.service").replace("/etc/freshet", self.path("etc")) \
            .replace("%S", self.path("var")).replace("%i", "events").replace("/run/freshet", self.path("runtime"))
        given = dict(settings(text))
        subprocess.run(given["ExecStartPre"].split(), check=True)
        supervisor = Supervisor(self, watchdog_s=60)
        name, value = given["Environment"].split("=", 1)
        os.makedirs(value, 0o700)
        words = given["ExecStart"].split()
        self.assertEqual(words[0], "/usr/bin/freshet")
        run = self.start(*words[1:], env={**supervisor.env, name: value})
        self.until(lambda: supervisor.values("READY"), "READY=1", run)
        self.assertEqual(self.freshet("status", env={**self.env, name: value}).code, 0)
        run.stop()
        # what is relative to the declaration lies with the state, not in /etc
        self.assertEqual(sorted(os.listdir(self.path("etc"))), ["events.yaml"])
        self.assertEqual(sorted(os.listdir(given["WorkingDirectory"])), ["events.state", "events.yaml", "out"])

    def test_exit_codes(self):
        """Those that trying again does not change are not tried again; those that it may change are."""
        given = dict(settings(read("packaging", "freshet@.service")))
        self.assertEqual(given["RestartPreventExitStatus"].split(), ["2", "65", "78"])
        told = re.findall(r"\b(\d+) ", self.good("--help").split("Exit codes:")[1])
        self.assertEqual(sorted(set(told) - {"0"} - set(given["RestartPreventExitStatus"].split())), ["1", "75"])

    @unittest.skipIf(os.geteuid() != 0, "only root may be another")
    def test_root_asks_the_run_of_another(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        os.chmod(self.folder, 0o755)
        os.makedirs(self.path("runtime"), 0o700)
        env = dict(self.env, FRESHET_RUN_DIR=self.path("runtime"))
        for folder, _, names in os.walk(self.folder):
            for name in [folder] + [os.path.join(folder, name) for name in names]:
                os.chown(name, 65534, 65534)

        def become_another():
            os.setgid(65534)
            os.setuid(65534)
        run = self.start("run", "events.yaml", env=env, preexec=become_another)
        self.until(lambda: self.freshet("status", env=env).code == 0, "root is told", run)
        os.chmod(self.path("runtime"), 0o755)
        refused = self.freshet("status", env=env)
        self.assertEqual(refused.code, 1)
        self.assertIn("is not private", refused.err)
        os.chmod(self.path("runtime"), 0o700)
        # nobody makes sockets in a folder of another
        self.assertIn("is not private", self.freshet("run", "events.yaml", env=env).err)
        run.stop()


class PackageTest(unittest.TestCase):

    def test_scripts_of_the_package(self):
        for name in ("postinst", "prerm", "postrm"):
            path = os.path.join(SOURCE, "packaging", "debian", name)
            self.assertTrue(os.access(path, os.X_OK), name)
            subprocess.run(["sh", "-n", path], check=True)


if __name__ == "__main__":
    unittest.main()
