"""The writer jsonl: what is piped is whole lines and nothing else; a file survives kill -9 with every row."""

import json
import os
import subprocess

from freshet_testing import FRESHET, Case, event, lines

WINDOW = "{name: x, from: value, window: {functions: [count], over: [1 day], mode: fixed_windows}}"


class JsonlTest(Case):

    def expected(self, first, last):
        return [{"key": one["key"], "timestamp": one["seen"].replace("Z", ".000000Z"), "id": one["id"],
                 "value": one["value"]} for one in map(event, range(first, last))]

    def written(self, text):
        self.assertTrue(text == "" or text.endswith("\n"), text[-100:])
        return [json.loads(one) for one in text.splitlines()]

    def in_file(self, name="out.jsonl"):
        with open(self.path(name), encoding="utf-8") as file:
            return self.written(file.read())

    def test_stdout(self):
        """Rows alone go to stdout, in the order of reading and of the columns; all else to stderr."""
        self.declare(stream=False, sink='- jsonl: {path: "-"}')
        self.write("in/0.jsonl", lines(0, 20000) + b"{no json\n")
        finished = self.freshet("run", "events.yaml")
        self.assertEqual(finished.code, 0, finished.err)
        rows = self.written(finished.out)
        self.assertEqual(rows, self.expected(0, 20000))
        self.assertEqual(list(rows[0]), ["key", "timestamp", "id", "value"])
        self.assertIn("20,000", finished.err)

    def test_stream_to_stdout(self):
        """A stream's rows are there as they come, and it stops well."""
        self.declare(sink='- jsonl: {path: "-"}')
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml")
        self.until(lambda: run.out().count("\n") == 10, "ten rows", run)
        self.write("in/1.jsonl", lines(10, 25))
        self.until(lambda: run.out().count("\n") == 25, "all rows", run)
        run.stop()
        self.assertEqual(self.written(run.out()), self.expected(0, 25))

    def test_closed_streams(self):
        """Who closes stdout is told that rows cannot go there; what we say goes into no file of ours."""
        self.declare(stream=False, sink='- jsonl: {path: "-"}')
        self.write("in/0.jsonl", lines(0, 10))
        command = [FRESHET, "run", "events.yaml", "--progress", "none"]
        how = {"cwd": self.folder, "env": self.env, "stderr": subprocess.PIPE, "text": True}
        run = subprocess.run(command, preexec_fn=lambda: (os.close(0), os.close(1)), check=False, **how)
        self.assertEqual(run.returncode, 1)
        self.assertIn("cannot write to stdout: Bad file descriptor", run.stderr)

        self.declare(sink="- jsonl: {path: out.jsonl}")
        stream = self.start("run", "events.yaml", preexec=lambda: (os.close(0), os.close(1), os.close(2)))
        self.until(lambda: os.path.exists(self.path("out.jsonl")) and len(self.in_file()) == 10, "ten rows", stream)
        for number in (0, 1, 2):
            self.assertEqual(os.readlink(f"/proc/{stream.pid}/fd/{number}"), "/dev/null")
        stream.stop()

    def test_reader_that_goes_away(self):
        """As with `| head -1`."""
        self.declare(stream=False, sink='- jsonl: {path: "-"}')
        self.write("in/0.jsonl", lines(0, 100000))
        run = subprocess.Popen([FRESHET, "run", "events.yaml", "--progress", "none"], cwd=self.folder, env=self.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(run.stdout.readline()), self.expected(0, 1)[0])
        run.stdout.close()
        err = run.stderr.read()
        self.assertEqual(run.wait(), 1)
        run.stderr.close()
        self.assertTrue(err.endswith("\nstdout: error: nobody reads stdout any more, so the run ends here\n"), err)

    def test_batch_twice(self):
        """A file is added to, by each run of a batch."""
        self.declare(stream=False, sink="- jsonl: {path: out.jsonl}")
        self.write("in/0.jsonl", lines(0, 50))
        self.good("run", "events.yaml")
        self.good("run", "events.yaml")
        self.assertEqual(self.in_file(), self.expected(0, 50) * 2)

    def test_killed(self):
        """Every row is there, those of the last checkpoint once; a half line goes."""
        self.declare(sink="- jsonl: {path: out.jsonl}", extra="checkpoint: {interval: 1 second}")
        self.write("in/0.jsonl", lines(0, 1000))
        self.good("run", "events.yaml", "--once")
        self.assertEqual(self.in_file(), self.expected(0, 1000))
        size = os.path.getsize(self.path("out.jsonl"))
        run = self.start("run", "events.yaml", "--progress", "none")
        self.write("in/1.jsonl", lines(1000, 3000))
        self.until(lambda: os.path.getsize(self.path("out.jsonl")) > 1.5 * size, "some rows", run)
        run.process.kill()
        run.process.wait()
        with open(self.path("out.jsonl"), "ab") as file:
            file.write(b'{"key":"k1","time')
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertIn("its last 17 bytes were cut off", finished.err)
        rows = self.in_file()
        self.assertEqual(rows[:1000], self.expected(0, 1000))
        self.assertEqual({row["id"] for row in rows}, set(range(3000)))
        self.assertEqual(sum(row["id"] < 1000 for row in rows), 1000)

    def test_rows(self):
        """Which rows: a late event changes its key's newest row, which goes to the online store again."""
        self.declare(features=("{name: id, type: bigint}", WINDOW), sink="\n".join(
            "    " * (i > 0) + f"- jsonl: {{path: {name}.jsonl, rows: {name}}}"
            for i, name in enumerate(("new", "online", "all"))))
        times = ("12:00:00", "13:00:00", "12:30:00")
        self.write("in/0.jsonl", b"".join(json.dumps({"id": i, "key": "a", "seen": f"2024-01-01T{time}Z", "value": 1}
                                                     ).encode() + b"\n" for i, time in enumerate(times)))
        self.good("run", "events.yaml", "--once")
        count = [key for key in self.in_file("new.jsonl")[0] if key.startswith("x")][0]
        found = {name: [(row["id"], row[count]) for row in self.in_file(name + ".jsonl")]
                 for name in ("new", "online", "all")}
        self.assertEqual(found["new"], [(0, 1), (1, 2), (2, 2)])
        self.assertEqual(found["online"], [(0, 1), (1, 2), (1, 3)])
        self.assertEqual(found["all"], [(0, 1), (1, 2), (2, 2), (1, 3)])

    def test_check(self):
        self.declare(stream=False, sink="- jsonl: {path: out.jsonl, rows: all}")
        self.write("in/0.jsonl", lines(0, 1))
        self.assertIn("  writer   jsonl takes new rows, each key's newest rows, corrected rows; keeps every row, appended; "
                      "run again: all its rows are appended once more\n", self.good("check", "events.yaml"))
        self.assertFalse(os.path.exists(self.path("out.jsonl")))
