"""`plugins`: the example is built by its own Makefile and run; Butterfree's custom transformation by it; and plugins that
are none, of another version, with a name that is taken, or that fail."""

import json
import os
import shutil
import subprocess
import unittest

from freshet_testing import Case

SOURCE = os.environ.get("FRESHET_SOURCE", ".")
INCLUDE = os.path.join(os.path.abspath(SOURCE), "include")

BAD = """#include <freshet/plugin.h>
#include <stdio.h>
static freshet_code call(void *context, struct ArrowSchema *types, struct ArrowArray *arguments,
                         struct ArrowSchema *result_type, struct ArrowArray *result, freshet_error *err)
{ (void)context, (void)types, (void)arguments, (void)result_type, (void)result, (void)err; return FRESHET_FAILED; }
static freshet_code add(const freshet_plugin_host *host, freshet_error *err)
{ (void)host, (void)err, (void)call; ADD }
FRESHET_PLUGIN_EXPORT const freshet_plugin *NAME(void)
{ static const freshet_plugin plugin = {ABI, add}; return &plugin; }
"""


class PluginTest(Case):

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("lib"))
        for name in ("Makefile", "divide.c"):
            shutil.copy(os.path.join(SOURCE, "examples/plugin", name), self.path("lib", name))

    def make(self):
        made = subprocess.run(["make", "-C", self.path("lib"), "FRESHET_INCLUDE=" + INCLUDE], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stderr, "")

    def compile_bad(self, name, add, abi="FRESHET_PLUGIN_ABI", symbol="freshet_plugin_get"):
        self.write("lib/%s.c" % name, BAD.replace("ADD", add).replace("NAME", symbol).replace("ABI}", abi + "}").replace("{ABI,", "{%s," % abi))
        made = subprocess.run(["cc", "-I" + INCLUDE, "-shared", "-fPIC", "-o", self.path("lib/%s.so" % name), self.path("lib/%s.c" % name)],
                              capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)

    def declare_plugins(self, *plugins, stream=False, dialect="duckdb", sql="safe_divide(f1, f2)"):
        self.write("custom.yaml", """version: 1
pipeline: custom
dialect: %s
plugins:
%s
source:
  readers:
    - id: events
      stream: %s
      file: {path: input.jsonl, format: json, schema: {id: bigint, ts: timestamp, f1: integer, f2: integer}}
  query: select * from events
feature_set:
  name: g
  keys: [{name: id, type: bigint}]
  timestamp: {from: ts}
  features:
    - {name: c, type: double, sql: "%s"}
sink: {writers: [jsonl: {path: out.jsonl}]}
""" % (dialect, "\n".join("  - " + plugin for plugin in plugins), str(stream).lower(), sql))
        if not os.path.exists(self.path("input.jsonl")):
            self.write("input.jsonl", "")

    def test_butterfrees_custom_transformation(self):
        """The golden case `divide`, by the example's function; in batch, on a stream, in both dialects."""
        self.make()
        golden = os.path.join(SOURCE, "tests/golden/custom_transform")
        shutil.copy(os.path.join(golden, "input.jsonl"), self.path("input.jsonl"))
        with open(os.path.join(golden, "expected.divide.jsonl")) as file:
            expected = [json.loads(line)["c"] for line in file]
        for stream, dialect in ((False, "duckdb"), (True, "spark"), (False, "spark")):
            self.declare_plugins("lib/divide.so", stream=stream, dialect=dialect)
            finished = self.freshet("run", "custom.yaml", "--once", "--no-serve", "--progress", "none")
            self.assertEqual(finished.code, 0, finished.err)
            self.assertEqual([row["c"] for row in self.read_lines("out.jsonl")], expected)
            os.remove(self.path("out.jsonl"))
            shutil.rmtree(self.path("custom.state"), ignore_errors=True)
        self.assertEqual(self.freshet("check", "custom.yaml").code, 0)
        shown = self.freshet("show", "custom.yaml")
        self.assertIn("plugins:\n  - lib/divide.so\n", shown.out)
        self.declare_plugins("lib/divide.so", sql="safe_divide(f1)")
        self.assertIn("custom.yaml:17:", self.freshet("check", "custom.yaml").err)

    def test_the_example(self):
        folder = self.path("example")
        shutil.copytree(os.path.join(SOURCE, "examples/plugin"), folder, ignore=shutil.ignore_patterns("*.so"))
        made = subprocess.run(["make", "-C", folder, "FRESHET_INCLUDE=" + INCLUDE], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        finished = self.freshet("run", "example/divide.yaml", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([json.loads(line)["rent_over_area"] for line in finished.out.splitlines()], [15.0, None, None])

    def test_plugins_that_cannot_be_used(self):
        self.make()
        add = "static const char *const types[] = {\"double\"}; return host->add_function(host->handle, %s, \"double\", types, 1, call, NULL, err);"
        self.compile_bad("other_name", "return FRESHET_OK;", symbol="my_plugin")
        self.compile_bad("newer", "return FRESHET_OK;", abi="99u")
        self.compile_bad("failing", "snprintf(err->text, sizeof err->text, \"no licence for this machine\"); return FRESHET_FAILED;")
        self.compile_bad("silent", "return FRESHET_FAILED;")
        self.compile_bad("taken", add % '"abs"')
        self.compile_bad("spark_taken", add % '"nvl2"')
        self.compile_bad("bad_name", add % '"a b"')
        self.write("lib/text.so", "no library\n")
        for plugin, says in (
                ("lib/missing.so", 'the plugin "./lib/missing.so" cannot be read: No such file or directory'),
                ("lib/text.so", 'the plugin "./lib/text.so" cannot be loaded: '),
                ("lib/other_name.so", 'the library "./lib/other_name.so" is no plugin: it exports no function freshet_plugin_get'),
                ("lib/newer.so", 'was compiled for version 99 of freshet/plugin.h, and this Freshet has version 1'),
                ("lib/failing.so", 'the plugin "lib/failing.so" could not add its functions: no licence for this machine'),
                ("lib/silent.so", 'could not add its functions: it does not say why'),
                ("lib/taken.so", 'the plugin "lib/taken.so" cannot be used: SQL has a function "abs" already'),
                ("lib/bad_name.so", 'could not add its functions: the function "a b" must be named by'),
                ("lib/divide.so\n  - lib/divide.so", 'the plugin "lib/divide.so" could not add its functions: the function "safe_divide" was added already')):
            self.declare_plugins(plugin, sql="f1")
            for verb in ("check", "run"):
                finished = self.freshet(verb, "custom.yaml")
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn("custom.yaml:%d:5: error: " % (6 if "\n" in plugin else 5), finished.err)
                self.assertIn(says.replace("./lib", "lib") if says.count("./lib") else says, finished.err.replace("./lib", "lib"))
        self.declare_plugins("lib/spark_taken.so", sql="f1", dialect="spark")
        self.assertIn('has a function "nvl2" already', self.freshet("check", "custom.yaml").err)
        self.declare_plugins("lib/divide.so\nmacros:\n  - safe_divide(a, b): a", sql="f1")
        self.assertIn('the macro "safe_divide" has the name of a function that a plugin has', self.freshet("check", "custom.yaml").err)


if __name__ == "__main__":
    unittest.main()
