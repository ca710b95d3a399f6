"""No function of ours has the name of one of a library that the binary is linked with: the linker would take ours for it
wherever we call the library's, without a word (`history_end` was libedit's, too, and the shell crashed at its end).
Outside, only `freshet_...` is to be seen."""

import glob
import os
import re
import subprocess
import unittest

from freshet_testing import FRESHET

BUILD = os.path.dirname(FRESHET)
OURS = [os.path.join(BUILD, name) for name in ("libfreshet_internal.a", "libfreshet_cli.a")]


def names(path, *options):
    """Those that are defined, without their versions."""
    listed = subprocess.run(["nm", "--defined-only", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[2].partition("@")[0] for line in listed.splitlines() if len(line.split()) == 3}


def linked():
    """The libraries that the binary itself asks for: what it calls is theirs."""
    asked = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", FRESHET], capture_output=True, text=True,
                                                           check=True).stdout)
    found = subprocess.run(["ldd", FRESHET], capture_output=True, text=True, check=True).stdout
    where = dict(re.findall(r"^\s*(\S+) => (\S+)", found, re.M))
    return [where[name] for name in asked if name in where]


@unittest.skipUnless(all(map(os.path.exists, OURS)), "the libraries are not built")
class NamesTest(unittest.TestCase):

    def test_none_is_a_librarys(self):
        ours = set().union(*(names(path, "--extern-only") for path in OURS))
        static = [path for path in glob.glob(os.path.join(BUILD, "*.a")) if path not in OURS]
        self.assertIn("freshet_run", ours)
        seen = set()
        for library in linked():
            theirs = names(library, "--dynamic")
            seen |= theirs
            self.assertEqual(sorted(ours & theirs), [], library)
        for library in static:
            self.assertEqual(sorted(ours & names(library, "--extern-only")), [], library)
        self.assertLessEqual({"history_end", "yaml_parser_parse", "duckdb_open", "rd_kafka_new"}, seen)

    def test_only_ours_are_seen(self):
        """What the C library has a copy of in each binary (stdout), and a sanitizer's, are not ours."""
        library = glob.glob(os.path.join(BUILD, "libfreshet.so"))
        for path in [FRESHET, *library]:
            listed = subprocess.run(["nm", "--dynamic", "--defined-only", path], capture_output=True, text=True,
                                    check=True).stdout.split("\n")
            seen = [line.split()[-1] for line in listed if line and "@" not in line]
            self.assertEqual([name for name in seen if not name.startswith(("freshet_", "__asan_", "__ubsan_"))], [], path)
        if library:
            self.assertIn("freshet_run", names(library[0], "--dynamic"))


if __name__ == "__main__":
    unittest.main()
