"""Queries to running pipelines: formats, several and no pipelines, refusals, limits, the shell."""

import json
import os
import signal
import unittest

from freshet_testing import DEADLINE, Case, Terminal, lines


class QueryTest(Case):

    def setUp(self):
        super().setUp()
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        self.run_events = self.start_run("events.yaml")
        self.until_count(100, self.run_events)

    def refused(self, code, says, sql, *args):
        finished = self.freshet("query", *args, sql)
        self.assertEqual(finished.code, code, finished)
        self.assertEqual(finished.out, "")
        self.assertIn(says.lower(), finished.err.lower())
        return finished.err

    def test_formats(self):
        sql = "select key, id from online_feature_store__events where id < 2 order by id"
        self.assertEqual(self.good("query", sql, "--format", "json"),
                         '{"key":"k0","id":0}\n{"key":"k1","id":1}\n')
        self.assertEqual(self.good("query", sql), self.good("query", sql, "--format", "json"))
        self.assertEqual(self.good("query", sql, "--format=csv"), "key,id\nk0,0\nk1,1\n")
        shown = self.good("query", sql, "--format", "table")
        self.assertEqual(shown, " key | id\n-----+----\n k0  |  0\n k1  |  1\n(2 rows)\n")
        self.assertEqual(self.good("query", sql, "--format", "line"),
                         "key: k0\nid:  0\n\nkey: k1\nid:  1\n\n(2 rows)\n")
        terminal = Terminal(self, "query", sql)
        self.assertEqual(terminal.wait(), 0)
        self.assertTrue(terminal.screen.shown().startswith(" key | id\n"), terminal.screen.shown())

    def test_sql_from_stdin(self):
        out = self.good("query", "-", input=b"select count(*) as n\nfrom online_feature_store__events\n")
        self.assertEqual(out, '{"n":100}\n')
        finished = self.freshet("query", "-", input=b"")
        self.assertEqual(finished.code, 2)
        self.assertIn("standard input holds no query", finished.err)
        finished = self.freshet("query", "-", input=b" " * (1 << 20) + b"x")
        self.assertEqual(finished.code, 2)
        self.assertIn("longer than 1048576 bytes", finished.err)

    def test_bad_sql(self):
        self.refused(2, "not_there", "select not_there from online_feature_store__events")
        self.refused(2, "syntax", "select from where")
        self.refused(2, "", "")

    def test_read_only(self):
        for sql in ("insert into online_feature_store__events select * from online_feature_store__events",
                    "delete from online_feature_store__events",
                    "drop view online_feature_store__events_latest",
                    "create table x as select 1", "update online_feature_store__events set id = 0",
                    "set memory_limit = '100GB'", "pragma threads = 8", "attach 'x.db'", "checkpoint",
                    "copy online_feature_store__events to 'out.csv'", "install json", "load json",
                    "select 1; drop table online_feature_store__events", "call pragma_version()",
                    "begin transaction", "export database 'x'"):
            with self.subTest(sql=sql):
                self.refused(2, "", sql)
        self.assertEqual(self.count(), 100)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(
            ["in", "run", "events.yaml", "process0.out", "process0.err"]))

    def test_no_files(self):
        secret = self.write("secret.csv", "a\nsecret-content\n")
        for sql in (f"select * from read_csv('{secret}')", f"select * from '{secret}'",
                    f"select * from read_text('{secret}')", f"select * from glob('{self.folder}/*')",
                    f"select * from read_blob('{secret}')", f"select * from sniff_csv('{secret}')",
                    f"select * from parquet_scan('{secret}')",
                    "select * from read_csv('http://127.0.0.1:9/x.csv')", "select getenv('HOME')"):
            with self.subTest(sql=sql):
                finished = self.freshet("query", sql)
                self.assertIn(finished.code, (1, 2))
                self.assertEqual(finished.out, "")
                self.assertNotIn("secret-content", finished.err)
        self.assertEqual(self.count(), 100)

    def test_time_limit(self):
        said = self.refused(1, "", "select count(*) from range(100000000000) a, range(1000) b",
                            "--timeout", "300ms")
        self.assertRegex(said, r"took|time|long")
        self.assertEqual(self.count(), 100)

    def test_memory_limit(self):
        self.refused(1, "memory", "select list(a.range || repeat('x', 1000)) as l from range(100000000) a",
                     "--timeout", f"{int(DEADLINE)}s")
        self.assertEqual(self.count(), 100)

    def test_several_pipelines(self):
        self.declare("others.yaml", pipeline="others", path="others/*.jsonl")
        self.write("others/0.jsonl", lines(0, 7))
        others = self.start_run("others.yaml", pipeline="others")
        self.until_count(7, others, "others")
        self.assertEqual(self.count("events"), 100)
        said = self.refused(1, "--pipeline", "select 1")
        self.assertIn("events", said)
        self.assertIn("others", said)
        said = self.refused(1, "other", "select 1", "--pipeline", "othres")
        others.stop()
        self.assertEqual(self.good("query", "select 1 as one"), '{"one":1}\n')

    def test_none_running(self):
        self.run_events.stop()
        self.refused(1, "no pipeline", "select 1")
        self.refused(1, "events", "select 1", "--pipeline", "events")

    def test_socket_of_a_dead_process(self):
        """After kill -9 a query says that nothing runs, and a new run takes the name."""
        self.run_events.end()
        self.refused(1, "", "select 1")
        run = self.start_run("events.yaml")
        self.until_count(100, run)

    def test_socket_is_private(self):
        self.assertEqual(os.stat(self.path("run")).st_mode & 0o777, 0o700)

    def test_large_result(self):
        self.append("in/0.jsonl", lines(100, 20000))
        self.until_count(20000, self.run_events)
        rows = self.query("select a.id, repeat('x', 100) as text from online_feature_store__events a order by id")
        self.assertEqual([row["id"] for row in rows], list(range(20000)))

    def test_client_that_goes_away(self):
        """A client that ends in the middle of a large result harms nobody."""
        client = self.start("query", "--format", "csv",
                            "select repeat('x', 1000) as x from range(1000000)")
        self.until(lambda: len(client.out()) > 10000, "the first rows", client)
        client.end()
        self.assertEqual(self.count(), 100)

    def test_many_clients(self):
        """Many clients at once get the same answer."""
        clients = [self.start("query", "select count(*) as n from online_feature_store__events")
                   for _ in range(10)]
        for client in clients:
            finished = client.wait()
            self.assertEqual((finished.code, finished.out), (0, '{"n":100}\n'), finished.err)


class ShellTest(Case):

    def setUp(self):
        super().setUp()
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        self.run_events = self.start_run("events.yaml")
        self.until_count(100, self.run_events)

    def test_piped(self):
        finished = self.freshet("shell", input=b"select count(*) as n\nfrom online_feature_store__events; "
                                b"select ';' as a;\n.format csv\nselect 1 as one;\n-- nothing;\nselect 2 as two")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual(finished.out, '{"n":100}\n{"a":";"}\none\n1\ntwo\n2\n')
        self.assertEqual(finished.err, "")

    def test_commands(self):
        finished = self.freshet("shell", input=b".tables\n.status\n.help\n.quit\nselect 1;\n")
        self.assertEqual(finished.code, 0, finished.err)
        out = finished.out.splitlines()
        self.assertEqual([json.loads(text)["name"] for text in out[:2]],
                         ["online_feature_store__events", "online_feature_store__events_latest"])
        self.assertIsInstance(json.loads(out[2]), dict)
        self.assertIn(".tables", finished.out)
        self.assertNotIn("BASE TABLE", finished.out)  # its own tables behind the views are not shown
        self.assertNotIn('{"1"', finished.out)

    def test_errors_go_on(self):
        finished = self.freshet("shell", "--format", "csv",
                                input=b"select nothing;\nselect 1 as one;\n.frmat\n.format xml\n")
        self.assertEqual(finished.code, 2)
        self.assertEqual(finished.out, "one\n1\n")
        self.assertIn("nothing", finished.err)
        self.assertIn("there is no command .frmat", finished.err)
        self.assertIn("the format must be table, json, csv or line", finished.err)

    def test_words(self):
        """Words that people type in a shell are understood where a statement would begin."""
        self.assertIn(".tables", self.good("shell", input=b"help\n"))
        for word in (b"quit", b"exit", b"EXIT;", b".exit", b" .quit "):
            with self.subTest(word=word):
                self.assertEqual(self.good("shell", input=word + b"\nselect 1 as one;\n"), "")
        # not inside a statement
        self.assertEqual(self.good("shell", input=b"select 1 as\nquit\n;\n"), '{"quit":1}\n')

    def test_hints(self):
        for typed, hint in ((b".shema", "did you mean .schema?"), (b".mode csv", "did you mean .format?"),
                            (b"\\d", "did you mean .schema?"), (b"\\timing", "did you mean .timer on?"),
                            (b".xyzzy", "there is no command .xyzzy; .help lists them"),
                            (b".timer", "the timer is on or off"), (b".timer 1", "the timer is on or off"),
                            (b".schema online_feature_store__event", "did you mean online_feature_store__events?"),
                            (b".output /nowhere/x", "cannot write to /nowhere/x: No such file")):
            with self.subTest(typed=typed):
                finished = self.freshet("shell", input=typed + b"\n")
                self.assertEqual(finished.code, 2)
                self.assertIn(hint, finished.err)

    def test_schema(self):
        whole = self.good("shell", "--format", "csv", input=b".schema\n").splitlines()
        one = self.good("shell", "--format", "csv", input=b".schema ONLINE_feature_store__events;\n").splitlines()
        self.assertEqual(one, ["table,column,type"] + [f"online_feature_store__events,{column}" for column in (
            "key,VARCHAR", "timestamp,TIMESTAMP", "id,BIGINT", "value,DOUBLE")])
        self.assertEqual(whole[:5], one)
        self.assertEqual([text.split(",")[0] for text in whole[5:9]], ["online_feature_store__events_latest"] * 4)

    def test_timer(self):
        finished = self.freshet("shell", input=b".timer on\nselect 1 as one;\n.timer off\nselect 2 as two;\n")
        self.assertEqual((finished.code, finished.out), (0, '{"one":1}\n{"two":2}\n'))
        self.assertRegex(finished.err, r"\A\(\d+\.\d{3} s\)\n\Z")

    def test_output(self):
        finished = self.freshet("shell", input=b".output my results.json\nselect 1 as one;\nselect 2 as two;\n"
                                b".output\nselect 3 as three;\n.output other\nselect 4 as four;\n")
        self.assertEqual((finished.code, finished.out, finished.err), (0, '{"three":3}\n', ""))
        self.assertEqual(self.read_lines("my results.json"), [{"one": 1}, {"two": 2}])
        self.assertEqual(self.read_lines("other"), [{"four": 4}])

    def test_output_to_a_full_disk(self):
        """It is told, and the session goes on."""
        finished = self.freshet("shell", input=b".output /dev/full\nselect range as x from range(10000);\nselect 1 as one;\n")
        self.assertEqual((finished.code, finished.out), (1, '{"one":1}\n'))
        self.assertIn("cannot write all of the results to /dev/full: No space left on device", finished.err)

    def test_completion(self):
        shell = Terminal(self, "shell")
        shell.until_shown("freshet>")
        shell.type("select val\t")
        shell.until(lambda: shell.screen.shown().endswith("select value"), "a column")
        shell.type(", onl\t")
        shell.until(lambda: shell.screen.shown().endswith("online_feature_store__events"), "what tables begin with")
        shell.type("\t")
        shell.until_matches(r"\nonline_feature_store__events +online_feature_store__events_latest\n")
        shell.until(lambda: shell.screen.shown().endswith("freshet> select value, online_feature_store__events"), "the line")
        shell.type("\x03.sch\t")
        shell.until(lambda: shell.screen.shown().endswith("freshet> .schema"), "a command")
        shell.type(" onl\t_l\t\n")
        shell.until_matches(r"online_feature_store__events_latest \| value +\| DOUBLE")
        shell.type(".format l\t\nselect 1 as one;\n")
        shell.until_shown("one: 1\n")
        shell.type("quit\n")
        self.assertEqual(shell.wait(), 0)
        shell.assert_restored()

    def test_typed_ahead(self):
        """Ctrl-C is a key while a statement runs, too: what was typed before it in whole lines is taken."""
        shell = Terminal(self, "shell", "--timeout", f"{int(DEADLINE)}s")
        shell.until_shown("freshet>")
        shell.type("select count(*) as n from range(30000000) a where range % 7 = 1;\n")
        shell.type("select 6 * 7 as answer;\nselect broken\nand more\x03select 7 * 7 as other;\n")
        shell.until_matches(r"(?m)^ +42$")
        shell.until_matches(r"(?m)^ +49$")
        self.assertNotIn("error", shell.screen.shown())
        shell.type(".quit\n")
        self.assertEqual(shell.wait(), 0)

    def test_terminal(self):
        shell = Terminal(self, "shell")
        shell.until_shown("freshet>")
        shell.type("select count(*) as n\n")
        shell.until_shown("     ...>")
        shell.type("from online_feature_store__events;\n")
        shell.until_shown("100")
        # Ctrl-C drops what was typed, of this line and of those before
        shell.type("select broken\n")
        shell.until(lambda: shell.screen.shown().endswith("...>"), "the prompt for more")
        shell.type("and more of it\x03")
        shell.until(lambda: shell.screen.shown().endswith("freshet>"), "a new prompt")
        shell.type("select 6 * 7 as answer;\n")
        shell.until_shown("42")
        self.assertNotIn("error", shell.screen.shown())
        # the line before comes back
        shell.type("\x1b[A")
        shell.until(lambda: shell.screen.shown().endswith("select 6 * 7 as answer;"), "history")
        shell.type("\x03\x04")
        self.assertEqual(shell.wait(), 0)
        shell.assert_restored()
        with open(self.path("state", "freshet", "history"), encoding="utf-8") as file:
            self.assertIn("answer", file.read())
        self.assertEqual(os.stat(self.path("state", "freshet")).st_mode & 0o077, 0)
        # and in the next session
        shell = Terminal(self, "shell")
        shell.until_shown("freshet>")
        shell.type("\x1b[A")
        shell.until(lambda: shell.screen.shown().endswith("select 6 * 7 as answer;"), "history")
        shell.type("\x03.quit\n")
        self.assertEqual(shell.wait(), 0)

    def test_pipeline_ends(self):
        shell = Terminal(self, "shell")
        shell.until_shown("freshet>")
        shell.type("select 6 * 7 as answer;\n")
        shell.until_shown("42")
        self.run_events.stop()
        shell.type("select 1;\n")
        self.assertEqual(shell.wait(), 1)
        self.assertIn("the pipeline events has ended", shell.screen.shown())
        shell.assert_restored()

    def test_none_running(self):
        self.run_events.stop()
        finished = self.freshet("shell", input=b"")
        self.assertEqual(finished.code, 1)
        self.assertIn("no pipeline", finished.err.lower())


if __name__ == "__main__":
    unittest.main()
