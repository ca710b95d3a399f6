"""The file of dead letters: each refusal with a code and counted by it, a batch in the place of its own letters, files
that rotate, and runs that end where too many rows are refused."""

import glob
import json
import os
import signal
import unittest

from freshet_testing import EVENTS, Case, event, line, lines

HISTORY = "- history: {path: out}"

# What goes wrong with a record, and its code.
BAD = {
    b"{\n": "bad_record",
    b'{"id": "one"}\n': "bad_cast",
    line(dict(event(1), key=None)): "bad_key",
    line(dict(event(2), seen=None)): "bad_time",
    line(dict(event(3), value=0)): "sql_error",
    line(dict(event(4), value=1e300)): "bad_cast",
}


class ReasonsTest(Case):

    def declare_all(self, **named):
        self.declare(query="select *, case when value = 0 then error('none') end as e from events",
                     features=("{name: id, type: bigint}", "{name: value, type: integer}"), **named)

    def test_codes_are_in_letters_summary_and_status(self):
        self.declare_all(sink="- online: {debug: true}")
        self.write("in/1.jsonl", b"".join(BAD) + lines(8, 10))
        run = self.start_run("events.yaml")
        self.until_count(2, run)
        self.assertEqual([letter["code"] for letter in sorted(self.dead_letters(), key=lambda l: l["offset"])],
                         list(BAD.values()))
        status = json.loads(self.good("status"))
        self.assertEqual(status["dead_letters"], len(BAD))
        self.assertEqual(status["dead_letters_by_reason"],
                         {"bad_record": 1, "bad_cast": 2, "bad_key": 1, "bad_time": 1, "sql_error": 1})
        err = run.stop().err
        self.assertIn("6 dead letters (see events.dead_letters.jsonl): 1 bad_record, 2 bad_cast, 1 bad_key, 1 bad_time, "
                      "1 sql_error", err)
        self.assertIn("warning: events: 6 rows were refused: ", err)

    def test_strict_late_and_large(self):
        self.declare(sink=HISTORY, reader_extra=", strict: true, max_record_bytes: 1000", timestamp="{from: seen}",
                     features=("{name: n, from: id, type: bigint, window: {functions: [count], over: [1 hour]}}",))
        whole = event(0)
        self.write("in/1.jsonl", b"".join([
            line(dict(whole, more=1)), line({k: v for k, v in whole.items() if k != "value"}),
            line(dict(whole, key="x" * 1000)), line(dict(whole, seen="2024-01-05T00:00:00Z")), line(whole)]))
        self.freshet("run", "events.yaml", "--once")
        self.assertEqual([letter["code"] for letter in sorted(self.dead_letters(), key=lambda l: l["offset"])],
                         ["unknown_column", "missing_column", "too_large", "late"])

    def test_numbers_are_quoted_as_they_stand(self):
        self.declare(stream=False)
        self.write("in/1.jsonl", b'{"id": 1.50}\n{"id": [1, 2.50]}\n{"id": {"a": 1e3}}\n{"id": 12.50e0}\n')
        self.freshet("run", "events.yaml")
        shown = [letter["reason"].partition("but is ")[2].partition(";")[0] for letter in self.dead_letters()]
        self.assertEqual(shown, ["the number 1.50", "the array [1,2.50]", 'the object {"a":1e3}',
                                 "the number 12.50e0"])


class BatchTest(Case):

    def text(self):
        with open(self.path("events.dead_letters.jsonl"), encoding="utf-8") as file:
            return file.read()

    def test_a_batch_replaces_its_own_letters(self):
        self.declare(stream=False)
        self.write("in/1.jsonl", b"{\n" * 2 + lines(0, 2))
        self.write("events.dead_letters.jsonl", b"a note\n" + line({"at": "", "pipeline": "other", "run": "batch-1"}))
        kept = self.text()
        runs = set()
        for _ in range(3):
            self.good("run", "events.yaml")
            text = self.text()
            self.assertTrue(text.startswith(kept), text)
            letters = [json.loads(part) for part in text[len(kept):].splitlines()]
            self.assertEqual([(letter["n"], letter["offset"]) for letter in letters], [(1, 0), (2, 2)])
            runs |= {letter["run"] for letter in letters}
        self.assertEqual(len(runs), 3)
        self.write("in/1.jsonl", lines(0, 2))
        self.good("run", "events.yaml")
        self.assertEqual(self.text(), kept)

    def test_letters_of_a_stream_are_not_a_batch_s(self):
        self.declare(sink=HISTORY)
        self.write("in/1.jsonl", b"{\n" + lines(0, 2))
        self.good("run", "events.yaml", "--once")
        self.good("run", "events.yaml", "--once", "--debug")
        self.good("run", "events.yaml", "--once", "--debug")
        self.assertEqual([(letter["run"].partition("-")[0], letter["offset"]) for letter in self.dead_letters()],
                         [("stream", 0), ("batch", 0)])

    def test_rotated(self):
        """The letters of a batch rotate, too, and its next run takes all of them away."""
        self.declare(stream=False, extra="dead_letters: {max_size: 10 kB, keep: 2}")
        self.write("in/1.jsonl", lines(0, 1) + b"{\n" * 300)
        for _ in range(2):
            self.good("run", "events.yaml", "--step-rows", "20")
            names = sorted(os.path.basename(name) for name in glob.glob(self.path("events.dead_letters.jsonl*")))
            self.assertEqual(names, ["events.dead_letters.jsonl", "events.dead_letters.jsonl.1",
                                     "events.dead_letters.jsonl.2"])
            letters = [letter for name in reversed(names) for letter in self.read_lines(name)]
            self.assertEqual(len({letter["run"] for letter in letters}), 1)
            self.assertEqual([letter["n"] for letter in letters], list(range(301 - len(letters), 301)))
            for name in names:
                self.assertLess(os.path.getsize(self.path(name)), 20000)


class FailAboveTest(Case):

    def run_to(self, code, *args):
        finished = self.freshet("run", "events.yaml", *args)
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def published(self):
        return sorted(glob.glob(self.path("out", "**", "*.parquet"), recursive=True))

    def declare_fail(self, above, **named):
        self.declare(sink=HISTORY, extra=f"dead_letters: {{fail_above: {above}}}", **named)

    def test_batch(self):
        self.write("in/1.jsonl", lines(0, 95) + b"{\n" * 5)
        for above, code in (("5", 0), ("4", 65), ("5 %", 0), ("4.9%", 65), ('"0"', 65), ("0 %", 65), ("99 %", 0)):
            with self.subTest(above):
                self.declare_fail(above, stream=False)
                before = self.published()
                err = self.run_to(code)
                self.assertEqual(len(self.dead_letters()), 5)
                if code == 65:
                    self.assertEqual(self.published(), before)
                    self.assertIn(f'"fail_above" allows {above.strip(chr(34))}', err)
                    self.assertIn("bad_record", err)
                else:
                    self.assertNotEqual(self.published(), [])

    def test_stream(self):
        """It ends with 65, and the rows since its last checkpoint are read again by the mended declaration."""
        self.declare_fail("2", schema=dict(EVENTS, value="integer"))
        self.write("in/1.jsonl", line(dict(event(0), value=1)))
        self.run_to(0, "--once")
        self.append("in/1.jsonl", lines(1, 8))
        for _ in range(2):
            self.run_to(65)
            self.assertEqual([json.loads(letter["raw"])["id"] for letter in self.dead_letters()], [1, 2, 3, 5, 6, 7])
        self.declare_fail("2")
        self.run_to(0, "--once")
        self.assertEqual(self.dead_letters(), [])

    def test_share_of_a_stream(self):
        """By each 10,000 rows: many good ones before do not hide them."""
        self.declare_fail("1 %")
        good = lines(0, 60000)
        self.write("in/1.jsonl", good + b"{\n" * 400 + good)
        self.run_to(65, "--once")
        self.declare_fail("1 %", stream=False)
        self.run_to(0)

    def test_refused(self):
        for above in ("-1", "100 %", "many", "1.5", "1 percent"):
            self.declare_fail(above)
            finished = self.freshet("check", "events.yaml")
            self.assertEqual(finished.code, 78)
            self.assertIn(f'"fail_above" cannot be "{above}": it must be a number of rows, such as 100, or a share',
                          finished.err)


class RotationTest(Case):

    def test_letters_of_a_stream_through_kills(self):
        """Each letter once in the files that are kept, whatever was killed when."""
        self.declare(sink=HISTORY, extra="dead_letters: {max_size: 4 KiB, keep: 100}\ncheckpoint: {interval: 1 ms}")
        self.write("in/1.jsonl", b"")
        self.n = 0
        for turn in range(12):
            run = self.start("run", "events.yaml", "--no-serve", "--step-rows", "7")
            before = self.n_rotated()
            if turn % 2 == 0:
                self.until(lambda: self.more() and self.n_rotated() > before, "a file more", run)
            else:
                self.until(lambda: self.more() and max(self.offsets(), default=0) >= self.n - 100, "letters", run)
            run.signal(signal.SIGKILL)
            run.wait()
        self.freshet("run", "events.yaml", "--once")
        raws = [letter["raw"] for letter in self.letters()]
        self.assertEqual(sorted(raws, key=lambda raw: int(raw[1:])), ["{%d" % i for i in range(self.n)])
        self.assertGreater(self.n_rotated(), 5)

    def more(self):
        self.append("in/1.jsonl", b"".join(b"{%d\n" % i for i in range(self.n, self.n + 10)))
        self.n += 10
        return True

    def n_rotated(self):
        return len(glob.glob(self.path("events.dead_letters.jsonl.*")))

    def letters(self):
        letters = []
        for name in glob.glob(self.path("events.dead_letters.jsonl*")):
            with open(name, encoding="utf-8") as file:
                for text in file.read().split("\n")[:-1]:
                    letters.append(json.loads(text))
        return letters

    def offsets(self):
        return [int(letter["raw"][1:]) for letter in self.letters()]


if __name__ == "__main__":
    unittest.main()
