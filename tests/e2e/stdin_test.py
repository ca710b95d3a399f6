"""`path: "-"`: rows from standard input, as a batch and as a stream, to standard output and elsewhere."""

import gzip
import json
import subprocess
import unittest

from freshet_testing import DEADLINE, FRESHET, Case, event, line, lines

TO_STDOUT = "- jsonl: {path: '-'}"


class Piped:
    """A freshet that reads from a pipe; its stdout and stderr go to files."""

    def __init__(self, case, *args):
        self.case = case
        number = next(case.numbers)
        self.out_path, self.err_path = case.path(f"piped{number}.out"), case.path(f"piped{number}.err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([FRESHET, *args], cwd=case.folder, env=case.env, stdin=subprocess.PIPE,
                                            stdout=out, stderr=err)
        case.processes.append(self)

    def give(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ids(self):
        with open(self.out_path, encoding="utf-8") as file:
            return [json.loads(text)["id"] for text in file.read().splitlines()]

    def err(self):
        with open(self.err_path, encoding="utf-8") as file:
            return file.read()

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(DEADLINE)
        self.case.assert_clean(self.err())
        return code

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.process.stdin.closed:
            self.process.stdin.close()


class StdinTest(Case):

    def expected(self, ids):
        return [{"key": event(i)["key"], "timestamp": event(i)["seen"][:-1] + ".000000Z", "id": i, "value": i / 4} for i in ids]

    def rows(self, finished):
        self.assertEqual(finished.code, 0, finished.err)
        return [json.loads(text) for text in finished.out.splitlines()]

    def test_batch_through(self):
        """cat rows.jsonl | freshet run FILE | jq"""
        self.declare(stream=False, path="-", sink=TO_STDOUT)
        finished = self.freshet("run", "events.yaml", input=lines(0, 50000))
        self.assertEqual(self.rows(finished), self.expected(range(50000)))
        self.assertIn("50,000 rows read, 50,000 written, 0 dead letters", finished.err)

    def test_file_as_stdin(self):
        self.declare(stream=False, path="-", sink=TO_STDOUT)
        self.write("rows", lines(0, 1000))
        with open(self.path("rows"), "rb") as file:
            done = subprocess.run([FRESHET, "run", "events.yaml"], cwd=self.folder, env=self.env, stdin=file,
                                  capture_output=True, check=True, timeout=DEADLINE)
        self.assertEqual(len(done.stdout.splitlines()), 1000)

    def test_empty(self):
        self.declare(stream=False, path="-", sink=TO_STDOUT)
        self.assertEqual(self.rows(self.freshet("run", "events.yaml", input=b"")), [])
        self.assertEqual(self.rows(self.freshet("run", "events.yaml")), [])  # /dev/null

    def test_once_in_pieces(self):
        """--once reads to the end, however slowly it comes, and whatever is cut where."""
        self.declare(path="-", sink=TO_STDOUT)
        run = Piped(self, "run", "events.yaml", "--once")
        first = b"\xef\xbb\xbf" + lines(0, 3)
        run.give(first[:-5])
        self.until(lambda: run.ids() == [0, 1], "the whole lines so far")
        run.give(first[-5:] + b"\n\n{broken\n" + line(event(3)))
        self.until(lambda: run.ids() == [0, 1, 2, 3], "the others")
        self.assertIsNone(run.process.poll())
        run.give(line(event(4)).rstrip())  # a last line without its end
        self.assertEqual(run.close(), 0, run.err())
        self.assertEqual(run.ids(), list(range(5)))
        (letter,) = self.dead_letters()
        self.assertEqual((letter["partition"], letter["raw"]), ("stdin", "{broken"))
        self.assertEqual(letter["offset"], len(first) + 2)

    def test_stream_ends_with_its_input(self):
        self.declare(path="-", sink=TO_STDOUT)
        run = Piped(self, "run", "events.yaml")
        run.give(lines(0, 10))
        self.until(lambda: run.ids() == list(range(10)), "rows while the input is open")
        self.assertIsNone(run.process.poll())
        self.assertEqual(run.close(), 0, run.err())
        self.assertIn("10 rows read", run.err())
        self.assertIn("warning: standard input cannot be read again", run.err())

    def test_windows_go_on(self):
        """The state is kept at the end of the input, and the next run goes on with it over its own input."""
        self.declare(path="-", sink="- history: {path: out}", features=[
            "{name: id, type: bigint}", "{name: seen, from: id, window: {functions: [count], over: [30 days]}}"],
            keys="{name: one, type: string}", query="select 'k' as one, * from events")
        for first in (0, 10):
            run = Piped(self, "run", "events.yaml")
            run.give(lines(first, first + 10))
            self.assertEqual(run.close(), 0, run.err())
        column = "seen__count_over_30_days_fixed_windows"
        rows = self.history({"id": "bigint", column: "bigint"}, keys="{name: one, type: string}")
        self.assertEqual([(row["id"], row[column]) for row in rows], [(i, i + 1) for i in range(20)])

    def test_beside_another_stream(self):
        """The end of the input ends its reader, and not the others."""
        self.write("more/0.jsonl", lines(100, 105))
        self.declare(path="-", sink=TO_STDOUT, query="select * from events union all select * from more",
                     readers="- id: more\n  stream: true\n  file: {path: 'more/*.jsonl', schema: {id: bigint, key: string, "
                     "seen: timestamp, value: double}}\n")
        run = Piped(self, "run", "events.yaml")
        run.give(lines(0, 5))
        run.process.stdin.close()
        self.until(lambda: sorted(run.ids()) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104], "rows of both")
        self.append("more/0.jsonl", lines(105, 106))
        self.until(lambda: 105 in run.ids(), "a row behind the end of the input")
        run.process.terminate()
        self.assertEqual(run.process.wait(DEADLINE), 0, run.err())

    def test_looked_up(self):
        """A table to look things up in comes from standard input, too."""
        self.write("in/0.jsonl", lines(0, 14))
        self.declare(stream=False, query="select e.id, e.key, e.seen, n.value from events e join names n on n.key = e.key",
                     readers="- id: names\n  file: {path: '-', format: csv, schema: {key: string, value: double}}\n", sink=TO_STDOUT)
        rows = self.rows(self.freshet("run", "events.yaml", input=b"key,value\nk1,0.5\nk2,7"))
        self.assertEqual([(row["id"], row["value"]) for row in rows], [(1, 0.5), (2, 7.0), (8, 0.5), (9, 7.0)])

    def test_csv(self):
        self.declare(stream=False, path="-", format="csv", sink=TO_STDOUT,
                     schema={"id": "bigint", "key": "string", "seen": "timestamp", "value": "double"})
        rows = self.rows(self.freshet("run", "events.yaml", input=b'key,id,seen,more\n"a\nb",1,2024-01-01 00:00:00,x\n'
                                      b'c,x,2024-01-01,y\nd,2,2024-01-01 00:00:01,"z"'))
        self.assertEqual([(row["key"], row["id"], row["value"]) for row in rows], [("a\nb", 1, None), ("d", 2, None)])
        (letter,) = self.dead_letters()
        self.assertEqual(letter["raw"], "c,x,2024-01-01,y")

    def test_replay(self):
        """Letters of standard input are replayed with the bytes that they have kept."""
        self.declare(path="-", sink="- history: {path: out}")
        run = Piped(self, "run", "events.yaml")
        run.give(lines(0, 3) + b'{"id": "three", "key": "k3", "seen": "2024-01-01T00:00:03Z", "value": 1}\n')
        self.assertEqual(run.close(), 0, run.err())
        self.declare(path="-", sink="- history: {path: out}", schema={"id": "string", "key": "string", "seen": "timestamp",
                                                                      "value": "double"},
                     query="select case id when 'three' then 3 else id::bigint end as id, key, seen, value from events")
        self.good("replay", "events.yaml")
        self.assertEqual([row["id"] for row in self.history({"id": "bigint"})], [0, 1, 2, 3])

    def test_refused(self):
        reader = "- id: more\n  file: {path: '-', format: json, schema: {id: bigint}}\n"
        for says, declared in (
                ("say format: json, csv or raw", {"format": "auto"}),
                ("which standard input does not allow", {"format": "parquet"}),
                ("say schema: {name: type, ...}", {"schema": None}),
                ("unpack it before", {"reader_extra": ", compression: gzip"}),
                ("two readers cannot share standard input", {"readers": reader, "query": "select e.* from events e join more using (id)"})):
            with self.subTest(says=says):
                self.declare(stream=False, path="-", **declared)
                finished = self.freshet("check", "events.yaml")
                self.assertEqual(finished.code, 78, finished.err)
                self.assertIn(says, finished.err)
                self.assertIn("events.yaml:", finished.err)

    def test_gzip(self):
        self.declare(stream=False, path="-", sink=TO_STDOUT)
        finished = self.freshet("run", "events.yaml", input=gzip.compress(lines(0, 3)))
        self.assertEqual((finished.code, finished.out), (1, ""))
        self.assertIn("stdin: error: it is gzip; unpack it before", finished.err)

    def test_check_does_not_read(self):
        """check says what standard input means, and waits for none."""
        self.declare(path="-", sink=TO_STDOUT)
        check = Piped(self, "check", "events.yaml")
        self.assertEqual(check.process.wait(DEADLINE), 0)
        self.assertIn("warning: standard input cannot be read again", check.err())
        self.declare(stream=False, path="-", sink=TO_STDOUT)
        self.assertNotIn("warning", self.freshet("check", "events.yaml").err)


if __name__ == "__main__":
    unittest.main()
