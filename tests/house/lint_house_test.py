"""scripts/lint-house: each rule is broken in a made-up tree, and named with its place."""
import os
import subprocess
import tempfile
import unittest

HERE = os.environ.get("FRESHET_SOURCE", os.getcwd())


def lint(*arguments):
    done = subprocess.run([os.path.join(HERE, "scripts/lint-house"), *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


GUARD = "#ifndef FRESHET_{0}_H\n#define FRESHET_{0}_H\n#endif\n"
FINE = {
    "src/base/text.h": GUARD.format("BASE_TEXT"),
    "src/base/text.c": '#include "base/text.h"\n\nstatic int twice(int n)\n{\n    return 2 * n;\n}\n',
    "src/features/plan.h": GUARD.format("FEATURES_PLAN"),
    "src/features/operators/newest.c": '#include "features/plan.h"\n',
    "src/features/set.c": '#include "features/operators/x.h"\n#include "base/text.h"\n',
    "src/readers/kafka/kafka.c": '#include "readers/reader.h"\n\nstatic int twice(int n)\n{\n}\n',
    "src/sql/sql_testing.h": "#include <cmocka.h>\n" + GUARD.format("SQL_SQL_TESTING"),
    "src/sql/sql_test.c": '#include "sql/sql_testing.h"\n',
}
BROKEN = {
    "src/base/up.c": ('\n#include "sql/sql.h"\n', "src/base/up.c:2: base may not include sql, only itself and: "),
    "src/readers/kafka/side.c": ('#include "readers/file/file.h"\n', "readers/kafka may not include readers/file"),
    "src/readers/down.c": ('#include "readers/file/file.h"\n', "readers may not include readers/file"),
    "src/attic/old.c": ("\n", "src/attic is no room"),
    "src/sql/attic.c": ('#include "attic/old.h"\n', '"attic/old.h" is in no room'),
    "src/sql/text.c": ("\n", "src/sql/text.c:1: a file text.c is in src/base already"),
    "src/sql/long.c": ("\n" * 1001, "src/sql/long.c:1001: 1001 lines: a file has at most 1000"),
    "src/sql/wide.c": ("\n/* " + "x" * 95 + " */\n", "src/sql/wide.c:2: 101 columns: a line has at most 100"),
    "tests/e2e/long_test.py": ("\n" * 1001, "1001 lines"),
    "src/sql/helper.h": ("#include <cmocka.h>\n" + GUARD.format("SQL_HELPER"), "is named X_testing.h"),
    "src/sql/product.c": ('#include "sql/sql_testing.h"\n', "only tests may include a helper"),
    "src/sql/third.c": ("\nstatic int twice(int n)\n{\n}\n",
                        "src/sql/third.c:2: twice() is also in src/base/text.c:3, src/readers/kafka/kafka.c:3"),
    "src/sql/guard.h": (GUARD.format("BASE_GUARD"), "follows from the path: FRESHET_SQL_GUARD_H"),
    "src/sql/none.h": ("int x;\n", "the include guard is no guard"),
    "docs/large.md": ("x" * 500001, "500001 bytes: a tracked file has at most 500000"),
    "docs/picture.png": ("\0", "a binary file that no list names"),
    "docs/page.md": ("see /" + "work/here\n", "docs/page.md:1: names a path or a server"),
    "docs/home.md": ("\nsee /" + "home/ada/here\n", "docs/home.md:2: names a path or a server"),
    "scripts/get": ("curl https://nexus" + ".example.com/x\n", "names a path or a server"),
}
# At the limit, and what only looks like an offence.
LAWFUL = {
    "src/sql/long.c": "\n" * 1000,
    "src/sql/wide.c": "/* " + "\u2500" * 94 + " */\n",
    "docs/large.md": "x" * 500000,
    "tests/fuzz/corpus/json/1": "\0",
    "tests/golden/case/rows.parquet": "\0",
    "docs/page.md": "${HOME}/work/x, file:///data/work/x, https://example.com/registry\n",
    "src/sql/third_test.c": "static int twice(int n)\n{\n}\n",
    "src/base/up_test.c": '#include "sql/sql.h"\n',
    "src/sql/value.c": "static int twice = 2;\n",
}


class LintHouseTest(unittest.TestCase):
    def tree(self, *parts):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for part in parts:
            for path, text in part.items():
                os.makedirs(os.path.join(folder.name, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(folder.name, path), "w", encoding="utf8") as file:
                    file.write(text)
        return folder.name

    def test_this_checkout_passes(self):
        self.assertEqual(lint(), (0, ""))

    def test_a_good_tree_passes(self):
        self.assertEqual(lint(self.tree(FINE)), (0, ""))
        for path, text in LAWFUL.items():
            with self.subTest(path=path):
                self.assertEqual(lint(self.tree(FINE, {path: text})), (0, ""))

    def test_each_rule_is_named_where_it_is_broken(self):
        for path, (text, message) in BROKEN.items():
            with self.subTest(path=path):
                code, said = lint(self.tree(FINE, {path: text}))
                self.assertEqual((code, said.count("\n")), (1, 1), said)
                self.assertIn(message, said)
                self.assertTrue(said.startswith(path + ":"), said)


if __name__ == "__main__":
    unittest.main()
