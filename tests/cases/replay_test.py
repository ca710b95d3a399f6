"""`freshet replay`: a stream's dead letters go through the mended declaration again, each exactly once."""

import gzip
import json
import os
import signal
import unittest

from freshet_testing import EVENTS, Case, event, line, lines

HISTORY = "- history: {path: out}"
NARROW = dict(EVENTS, value="integer")
BAD = [i for i in range(20) if i % 4 != 0]  # whose value, a quarter of the number, is no integer


class ReplayCase(Case):

    def run_to(self, code, *args):
        finished = self.freshet(*args)
        self.assertEqual(finished.code, code, finished.err)
        return finished.err

    def stream(self, code=0):
        return self.run_to(code, "run", "events.yaml", "--once")

    def replay(self, code=0, *args):
        return self.run_to(code, "replay", "events.yaml", *args)

    def history(self, columns="id, value", order="id"):
        """The rows of the history; each appears as often as it is there."""
        found = [name for _, _, names in os.walk(self.path("out")) for name in names if name.endswith(".parquet")]
        if not found:
            return []
        self.declare("read.yaml", stream=False, pipeline="read", format="parquet", schema=None, path="out/*/*/*/*.parquet",
                     query="select * from events", timestamp="{from: timestamp}")
        text = self.read("read.yaml")
        head, _, _ = text.partition("  features:")
        features = ", ".join(f"{{name: {name.strip()}, type: {'bigint' if name.strip() == 'id' else 'double'}}}"
                             for name in columns.split(","))
        self.write("read.yaml", head + f"  features: [{features}]\nsink:\n  writers:\n    - online: {{debug: true}}\n")
        rows, _ = self.once("read.yaml", sql=f"select {columns} from online_feature_store__read order by {order}")
        return [tuple(row.values()) for row in rows]

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def offsets(self):
        return [letter["offset"] for letter in self.dead_letters()]


class ReplayTest(ReplayCase):

    def refused(self, **named):
        """A stream has refused what is no integer; then it was mended."""
        self.declare(sink=HISTORY, schema=NARROW, **named)
        self.write("in/1.jsonl", lines(0, 20))
        self.stream()
        self.assertEqual(len(self.dead_letters()), len(BAD))
        self.declare(sink=HISTORY, **named)

    def test_once_and_once_more(self):
        self.refused()
        err = self.replay()
        self.assertIn(f"{len(BAD)} letters replayed, {len(BAD)} rows written, 0 refused again", err)
        everything = [(i, i / 4) for i in range(20)]
        self.assertEqual(self.history(), everything)
        self.assertEqual(self.dead_letters(), [])
        self.assertIn("0 letters replayed", self.replay())
        self.append("in/1.jsonl", lines(20, 22))
        self.assertIn("2 rows read", self.stream())
        self.assertEqual(self.history(), everything + [(20, 5.0), (21, 5.25)])

    def test_a_copy_of_the_file(self):
        """What was replayed is not again, from another file either; that is sifted, too."""
        self.refused()
        copy = self.read("events.dead_letters.jsonl")
        self.write("copy.jsonl", copy)
        self.assertIn(f"{len(BAD)} letters replayed", self.run_to(0, "replay", "copy.jsonl", "--declaration", "events.yaml"))
        self.assertEqual(self.read_lines("copy.jsonl"), [])
        self.assertEqual(len(self.dead_letters()), len(BAD))
        self.assertIn("0 letters replayed", self.replay())
        self.assertEqual(self.dead_letters(), [])
        self.write("copy.jsonl", copy)
        err = self.run_to(0, "replay", "copy.jsonl", "--declaration", "events.yaml")
        self.assertIn(f"replays 0 dead letters of copy.jsonl (and {len(BAD)} more that were replayed before)", err)
        self.assertIn("0 letters replayed", err)
        self.assertEqual(len(self.history()), 20)

    def test_no_such_file(self):
        self.refused()
        self.assertIn("misspelt.jsonl: error: there is no such file",
                      self.run_to(1, "replay", "misspelt.jsonl", "--declaration", "events.yaml"))

    def test_refused_again(self):
        """They are new letters, of the same place and record."""
        self.refused()
        before = self.dead_letters()
        self.declare(sink=HISTORY, schema=NARROW)
        err = self.replay(65)
        self.assertIn(f"{len(BAD)} of {len(BAD)} rows were refused", err)
        after = self.dead_letters()
        self.assertTrue(all(letter["run"].startswith("replay-") for letter in after))
        for member in ("reader", "partition", "offset", "code", "reason", "raw"):
            self.assertEqual([letter[member] for letter in after], [letter[member] for letter in before])
        self.declare(sink=HISTORY)
        self.replay()
        self.assertEqual(len(self.history()), 20)

    def test_killed(self):
        self.declare(sink=HISTORY, schema=NARROW, extra="checkpoint: {interval: 1 ms}")
        self.write("in/1.jsonl", lines(0, 60000))
        self.stream()
        self.declare(sink=HISTORY, extra="checkpoint: {interval: 1 ms}")
        for _ in range(8):
            before = self.n_published()
            process = self.start("replay", "events.yaml")
            while process.is_running() and self.n_published() == before:
                pass  # so that it is killed behind a checkpoint, and before its end
            process.signal(signal.SIGKILL)
            process.wait()
        self.replay()
        rows = self.history()
        self.assertEqual([row[0] for row in rows], list(range(60000)))
        self.assertEqual(self.dead_letters(), [])

    def n_published(self):
        return sum(name.endswith(".parquet") for at, _, names in os.walk(self.path("out")) for name in names
                   if ".freshet" not in at)

    def test_stopped(self):
        """A replay that is stopped has noted what it did; the next one goes on."""
        self.refused()
        process = self.start("replay", "events.yaml")
        self.until(lambda: not process.is_running() or process.handles(signal.SIGTERM), "signals", process)
        process.signal(signal.SIGTERM)
        process.wait()
        self.replay()
        self.assertEqual(len(self.history()), 20)

    def test_while_the_stream_runs(self):
        self.refused()
        run = self.start("run", "events.yaml")
        self.until(lambda: os.path.exists(self.path("run", "events.sock")), "the run", run)
        self.assertIn("another", self.replay(75))
        run.stop()
        self.replay()
        self.assertEqual(len(self.history()), 20)

    def test_windows_take_them_as_late_rows(self):
        """Within the lateness they count in the windows; others (older than that before 16) are late, and letters
        again."""
        features = ("{name: id, type: bigint}",
                    "{name: n, from: id, type: bigint, window: {functions: [count], over: [1 day]}}", "{name: value, type: double}")
        for lateness, refused in (("1 hour", 0), ("1 second", 11)):
            with self.subTest(lateness):
                for name in ("out", "events.state", "events.dead_letters.jsonl"):
                    os.path.exists(self.path(name)) and os.rename(self.path(name), self.path(name + ".old"))
                timestamp = f"{{from: seen, lateness: {lateness}}}"
                self.refused(features=features, timestamp=timestamp, query="select 'k' as key, id, seen, value from events")
                self.replay()
                letters = self.dead_letters()
                self.assertEqual([letter["code"] for letter in letters], ["late"] * refused)
                if refused == 0:
                    self.assertEqual(len(self.history("id")), 20)

    def test_batch(self):
        self.declare(stream=False, sink=HISTORY)
        self.write("in/1.jsonl", b"{\n" + lines(0, 2))
        self.run_to(0, "run", "events.yaml")
        self.assertIn("is a batch, which reads all of its input at each run: run it again", self.replay(78))

    def test_what_stays(self):
        """Letters of a batch, of another pipeline, of a record that is not whole, and lines that are none."""
        self.refused()
        extra = [dict(self.dead_letters()[0], run="batch-1"), dict(self.dead_letters()[0], pipeline="other"),
                 dict(self.dead_letters()[0], n=100, code="too_large"), dict(self.dead_letters()[0], n=101, reader="gone")]
        self.append("events.dead_letters.jsonl", b"".join(line(letter) for letter in extra) + b"a note\n")
        kept = self.read("events.dead_letters.jsonl").splitlines()[-5:]
        err = self.replay()
        self.assertIn("1 of batch runs (run the batch again", err)
        self.assertIn("1 whose record was not kept whole", err)
        self.assertIn("1 of readers that the declaration does not have", err)
        self.assertIn("2 of other pipelines, or no letters", err)
        self.assertEqual(self.read("events.dead_letters.jsonl").splitlines(), kept)
        self.assertEqual(len(self.history()), 20)

    def test_without_state(self):
        self.declare()
        self.write("in/1.jsonl", b"{\n" + lines(0, 2))
        self.stream()
        self.assertIn("keeps no state", self.replay(78))

    def test_which_declaration(self):
        self.refused()
        self.assertIn("say of which declaration, by `freshet replay events.dead_letters.jsonl --declaration FILE`",
                      self.run_to(2, "replay", "events.dead_letters.jsonl"))


class RecordsTest(ReplayCase):
    """Records of other kinds."""

    def test_csv(self):
        """Its fields go by the header of its file, which must still be there."""
        for name in ("in/1.csv", "in/2.csv.gz"):
            with self.subTest(name):
                for gone in ("in", "out", "events.state", "events.dead_letters.jsonl"):
                    os.path.exists(self.path(gone)) and os.rename(self.path(gone), self.path(gone + name[3:4]))
                text = b"value,seen,id,key\n" + b"".join(
                    b"%s,%s,%d,%s\n" % (str(e["value"]).encode(), e["seen"].encode(), e["id"], e["key"].encode())
                    for e in map(event, range(20)))
                self.declare(format="csv", path="in", schema=NARROW, sink=HISTORY)
                self.write(name, gzip.compress(text) if name.endswith("gz") else text)
                self.stream()
                self.declare(format="csv", path="in", sink=HISTORY)
                os.rename(self.path(name), self.path("aside"))
                err = self.replay(65)
                self.assertIn("put the file back and replay the letter again", err)
                self.assertEqual({letter["code"] for letter in self.dead_letters()}, {"bad_file"})
                os.rename(self.path("aside"), self.path(name))
                self.replay()
                self.assertEqual(self.history(), [(i, i / 4) for i in range(20)])

    def test_parquet(self):
        """Rows without bytes of their own: they are letters as JSON."""
        self.declare(stream=False, sink="- history: {path: first}",
                     features=("{name: id, type: bigint}", "{name: value, type: double}", '{name: cents, from: value, type: "decimal(10,3)"}'))
        self.write("in/1.jsonl", lines(0, 20))
        self.run_to(0, "run", "events.yaml")
        query = "select *, timestamp as seen, cast(100 / (id % 4 - 1) as double) as rest from events where "
        named = dict(path="first/*/*/*/*.parquet", format="parquet", schema=None, sink=HISTORY)
        features = ("{name: id, type: bigint}", "{name: value, type: integer}")
        self.declare(**named, query=query + "id % 4 <> 1 or error('no')", features=features)
        os.unlink(self.path("events.dead_letters.jsonl")) if os.path.exists(self.path("events.dead_letters.jsonl")) else None
        self.stream()
        letters = self.dead_letters()
        self.assertEqual({letter["code"] for letter in letters}, {"sql_error"})
        self.assertEqual([json.loads(letter["raw"])["id"] for letter in letters], [i for i in range(20) if i % 4 == 1])
        self.declare(**named, query=query + "id >= 0", features=features)
        self.replay()
        self.assertEqual([row[0] for row in self.history("id")], list(range(20)))

    def test_one_of_several_rows_of_a_record(self):
        """Of those that the query has made of a record only the refused ones come again."""
        both = "select id, key, seen, value from events union all select id + 1000, key, seen, value + {} from events"
        self.declare(sink=HISTORY, query=both.format("0.5"),
                     features=("{name: id, type: bigint}", "{name: value, type: double, sql: \"if(value % 1 <> 0.5, value, error('half'))\"}"))
        self.write("in/1.jsonl", b"".join(line(dict(event(i), value=i)) for i in range(5)))
        self.stream()
        letters = self.dead_letters()
        self.assertEqual([(letter["part"], letter["parts"]) for letter in letters], [(2, 2)] * 5)
        self.assertEqual([row[0] for row in self.history("id")], [0, 1, 2, 3, 4])
        self.declare(sink=HISTORY, query="select id, key, seen, value from events")
        self.assertIn("the query makes 1 row of the record, where it made 2", self.replay(65))
        self.declare(sink=HISTORY, query=both.format("0.5"))
        self.replay()
        self.assertEqual([row[0] for row in self.history("id")], [0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004])

    def test_bytes_that_are_no_text(self):
        self.declare(sink=HISTORY, format="raw", schema=None, path="in/*.txt",
                     query="select 'k' as key, 7 as id, length(value) as value, timestamp '2024-01-01' as seen from events")
        self.write("in/1.txt", b"good\n\xff\x00bad\n")
        self.stream()
        self.assertEqual([letter["code"] for letter in self.dead_letters()], ["bad_record"])
        self.declare(sink=HISTORY, format="raw", schema=None, path="in/*.txt", reader_extra=", type: binary",
                     query="select 'k' as key, 7 as id, octet_length(value) as value, timestamp '2024-01-01' as seen from events")
        self.replay()
        self.assertEqual(self.history(order="value"), [(7, 4.0), (7, 5.0)])


if __name__ == "__main__":
    unittest.main()
