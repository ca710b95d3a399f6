"""Bad input of every kind: the good rows are all there, the bad ones all in the dead letters, the messages
are clear, nothing crashes (the binary is built with sanitizers for these tests)."""

import base64
import json
import os
import resource
import shutil
import signal
import sqlite3
import textwrap
import unittest

from freshet_testing import (Case, DEADLINE, EVENTS, FRESHET, event, free_file_size, limit_file_size, line,
                             lines)


class BadRecordsTest(Case):

    def run_with(self, data, good, bad, **declared):
        """A batch over `data`: ids of the good rows, raw records of the bad ones. Of one micro-batch the
        reader's letters come before those of the feature set: they are put in the order of their places."""
        self.declare(stream=False, **declared)
        self.write("in/0.jsonl", data)
        rows, finished = self.once()
        self.assertEqual([row["id"] for row in rows], good)
        letters = sorted(self.dead_letters(), key=lambda letter: letter["offset"])
        for letter in letters:
            self.assertEqual((letter["pipeline"], letter["reader"]), ("events", "events"))
            self.assertTrue(letter["partition"].endswith("in/0.jsonl"), letter)
            self.assertTrue(letter["reason"])
        self.assertEqual([self.raw(letter) for letter in letters], bad)
        self.assertIn(f"{len(bad)} dead letter{'' if len(bad) == 1 else 's'}"
                      + (" (see " if bad else ""), finished.err)
        # where each letter says its record is, there it is
        for letter, raw in zip(letters, bad):
            self.assertEqual(data[letter["offset"]:letter["offset"] + len(raw)], raw)
        return letters

    @staticmethod
    def raw(letter):
        if letter.get("raw") is not None:
            return letter["raw"].encode()
        return base64.b64decode(letter["raw_base64"])

    def test_truncated_json(self):
        half = line(event(1))[:-12]
        self.run_with(lines(0, 1) + half + b"\n" + lines(2, 3), [0, 2], [half])

    def test_last_line_without_newline(self):
        """In a batch the last line is whole; a truncated one is a dead letter."""
        self.run_with(lines(0, 3)[:-1], [0, 1, 2], [])

    def test_last_line_truncated(self):
        half = line(event(1))[:-12]
        self.run_with(lines(0, 1) + half, [0], [half])

    def test_invalid_utf8(self):
        bad = b'{"id":1,"key":"\xff\xfe","seen":"2024-01-01T00:00:00Z","value":1}'
        letters = self.run_with(lines(0, 1) + bad + b"\n" + lines(2, 3), [0, 2], [bad])
        self.assertIn("UTF-8", letters[0]["reason"])

    def test_wrong_types(self):
        bad = [b'{"id":"one","key":"k","seen":"2024-01-01T00:00:00Z","value":1}',
               b'{"id":1,"key":"k","seen":"yesterday","value":1}',
               b'{"id":1,"key":"k","seen":"2024-01-01T00:00:00Z","value":"much"}',
               b'{"id":1,"key":null,"seen":"2024-01-01T00:00:00Z","value":1}',
               b'{"id":1,"key":"k","value":1}',
               b'{"id":1e30,"key":"k","seen":"2024-01-01T00:00:00Z","value":1}',
               b'{"id":[1],"key":"k","seen":"2024-01-01T00:00:00Z","value":1}',
               b'{"id":1,"key":"k","seen":"2024-02-30T00:00:00Z","value":1}',
               b'[1, 2]', b'"text"', b'12', b'null', b'nonsense', b'{"id":1} {"id":2}', b'{']
        letters = self.run_with(lines(0, 1) + b"".join(raw + b"\n" for raw in bad) + lines(2, 3), [0, 2], bad)
        for letter, column in zip(letters, ["id", "seen", "value", "key", "timestamp", "id", "id", "seen"]):
            self.assertRegex(letter["reason"], rf"\b({column}|seen)\b")

    def test_null_on_cast_error(self):
        self.declare(stream=False)
        with open(self.path("events.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("events.yaml", text.replace("    - id: events\n", "    - id: events\n"
                                               "      on_cast_error: 'null'\n"))
        self.write("in/0.jsonl", b'{"id":1,"key":"k","seen":"2024-01-01T00:00:00Z","value":"much"}\n')
        rows, _ = self.once()
        self.assertEqual([(row["id"], row["value"]) for row in rows], [(1, None)])
        self.assertEqual(self.dead_letters(), [])

    def test_long_line(self):
        """10 MB in one line: a good record is a row; a bad one is a dead letter, cut."""
        long = line(dict(event(1), key="x" * 10_000_000))
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 1) + long + lines(2, 3) + b'{"id":' + b"9" * 10_000_000
                   + b"\n" + lines(4, 5))
        rows, _ = self.once(sql="select id, length(key) as n from online_feature_store__events order by id")
        self.assertEqual(rows, [{"id": 0, "n": 2}, {"id": 1, "n": 10_000_000}, {"id": 2, "n": 2}, {"id": 4, "n": 2}])
        letter, = self.dead_letters()
        self.assertEqual(letter["raw_bytes"], 10_000_006)
        self.assertLess(len(letter["raw"]), 10_000_000)

    def test_empty_files_and_lines(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", b"")
        self.write("in/1.jsonl", b"\n\n  \n" + lines(0, 2) + b"\n\r\n" + line(event(2)).replace(b"\n", b"\r\n"))
        self.write("in/2.jsonl", b"\n")
        rows, _ = self.once()
        self.assertEqual([row["id"] for row in rows], [0, 1, 2])
        self.assertEqual(self.dead_letters(), [])

    def test_only_empty_files(self):
        self.declare(stream=False)
        self.write("in/0.jsonl", b"")
        rows, _ = self.once()
        self.assertEqual(rows, [])

    def test_nul_bytes(self):
        bad = b'{"id":1,"key":"a\0b","seen":"2024-01-01T00:00:00Z","value":1}'
        self.run_with(lines(0, 1) + bad + b"\n" + b"\0\0\0\n" + lines(2, 3), [0, 2], [bad, b"\0\0\0"])

    def test_deep_json(self):
        bad = b'{"id":1,"key":' + b"[" * 100000
        self.run_with(lines(0, 1) + bad + b"\n" + lines(2, 3), [0, 2], [bad])

    def test_many_bad_rows(self):
        """Every second row is bad; none is lost or doubled, in a stream that is fed in pieces."""
        self.declare()
        run = self.start_run("events.yaml")
        bad = []
        for i in range(0, 2000, 2):
            bad.append(f'{{"id":{i + 1},"key":'.encode())
        data = b"".join(line(event(i)) + bad[i // 2] + b"\n" for i in range(0, 2000, 2))
        at = 0
        while at < len(data):
            n = self.rng.randint(1, 9000)
            self.append("in/0.jsonl", data[at:at + n])
            at += n
        self.until_count(1000, run)
        self.until(lambda: len(self.dead_letters()) >= 1000, "1000 dead letters", run)
        self.assert_ids(range(0, 2000, 2))
        self.assertEqual([self.raw(letter) for letter in self.dead_letters()], bad)
        self.assertIn("2,000 rows read, 1,000 written, 1,000 dead letters (see ", run.stop().err)

    def test_bad_csv(self):
        self.declare(stream=False, format="csv", path="in/*.csv")
        self.write("in/0.csv", "id,key,seen,value\n"
                   "0,k0,2024-01-01T00:00:00Z,0.5\n"
                   "one,k1,2024-01-01T00:00:00Z,1\n"
                   "2,k2\n"
                   "3,k3,2024-01-01T00:00:00Z,3,extra,more\n"
                   '4,"k4,\nwith a newline",2024-01-01T00:00:00Z,4\n'
                   "5,k5,2024-01-01T00:00:00Z,much\n"
                   "6,k6,2024-01-01T00:00:00Z,\n")
        rows, _ = self.once()
        self.assertEqual([(row["id"], row["value"]) for row in rows], [(0, 0.5), (4, 4.0), (6, None)])
        self.assertEqual(rows[1]["key"], "k4,\nwith a newline")
        self.assertEqual([letter["raw"] for letter in self.dead_letters()],
                         ["one,k1,2024-01-01T00:00:00Z,1", "2,k2", "3,k3,2024-01-01T00:00:00Z,3,extra,more",
                          "5,k5,2024-01-01T00:00:00Z,much"])

    def test_thousand_columns(self):
        names = [f"column_{i}" for i in range(1000)]
        self.declare(stream=False, schema=None,
                     features=["{name: id, type: bigint}"] +
                     [f"{{name: {name}, type: double}}" for name in names])
        self.write("in/0.jsonl", b"".join(
            line(dict(event(i), **{name: i + j for j, name in enumerate(names)})) for i in range(50)))
        rows, _ = self.once()
        self.assertEqual(len(rows), 50)
        self.assertEqual(len(rows[0]), 1003)
        self.assertEqual([rows[49][name] for name in names], [49.0 + j for j in range(1000)])


class FilesystemTest(Case):

    def test_deleted_folder(self):
        """The folder goes while the stream runs, and comes back: the stream goes on."""
        self.declare(path="in")
        self.write("in/0.jsonl", lines(0, 100))
        run = self.start_run("events.yaml")
        self.until_count(100, run)
        shutil.rmtree(self.path("in"))
        self.until(lambda: self.count() == 100, "rows stay", run)
        self.assertTrue(run.is_running())
        os.mkdir(self.path("in"))
        self.write("in/1.jsonl", lines(100, 150))
        self.until_count(150, run)
        self.append("in/1.jsonl", lines(150, 160))
        self.until_count(160, run)
        self.assert_ids(range(160))
        run.stop()

    def test_pipe_in_the_place_of_a_file(self):
        os.mkfifo(self.path("pipe.jsonl"))
        self.declare(path="pipe.jsonl")
        for verb in ["check", "run"]:
            finished = self.freshet(verb, "events.yaml")
            self.assertEqual(finished.code, 78, finished)
            self.assertRegex(finished.err, r"^events.yaml:\d+:\d+: error: .*pipe.jsonl.* is a pipe")

    def test_removed_static_file(self):
        """Its rows stay in use, which is said once; when it comes back, it is read again."""
        self.write("names.csv", "key,name\nk1,one\n")
        connection = sqlite3.connect(self.path("more.db"))
        connection.execute("create table more (key text, more text)")
        connection.commit()
        connection.close()
        self.declare(query="select e.*, n.name from events e left join names n on n.key = e.key "
                           "left join more m on m.key = e.key",
                     readers="- id: names\n  file: {path: names.csv}\n"
                             "- id: more\n  table: {path: more.db, table: more}\n",
                     features=["{name: id, type: bigint}", "{name: name, type: string}"])
        self.write("in/0.jsonl", line(event(1)))
        run = self.start_run("events.yaml")
        self.until_count(1, run)
        for name, reader in [("names.csv", "names"), ("more.db", "more")]:
            os.unlink(self.path(name))
            self.until(lambda: f"{reader}: {name} is not there any more" in run.err(), "it is said", run)
        self.append("in/0.jsonl", line(event(8)))
        self.until_count(2, run)
        self.write("names.csv", "key,name\nk1,anew\n")
        self.until(lambda: "names: the files changed and were read again" in run.err(), "it is read", run)
        self.append("in/0.jsonl", line(event(15)))
        self.until_count(3, run)
        self.assertEqual(run.err().count("not there any more"), 2)
        self.assertEqual([row["name"] for row in self.query("select name from online_feature_store__events order by id")],
                         ["one", "one", "anew"])
        run.stop()

    def test_missing_folder(self):
        """A folder that is not there is named: a stream waits for it, a batch fails."""
        self.declare(path="nowhere/at/all")
        run = self.start_run("events.yaml")
        self.until(lambda: "nowhere/at/all" in run.err(), "the folder is named", run)
        self.write("nowhere/at/all/0.jsonl", lines(0, 100))
        self.until_count(100, run)
        self.append("nowhere/at/all/0.jsonl", lines(100, 110))
        self.until_count(110, run)
        run.stop()
        self.declare(path="nowhere/else", stream=False)
        finished = self.freshet("run", "events.yaml")
        self.assertIn(finished.code, (1, 75, 78), finished)
        self.assertIn("nowhere/else", finished.err)

    def test_deleted_and_replaced_file(self):
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        run = self.start_run("events.yaml")
        self.until_count(100, run)
        os.unlink(self.path("in/0.jsonl"))
        self.write("in/0.jsonl", lines(100, 130))
        self.until_count(130, run)
        self.assert_ids(range(130))
        # a file that is renamed is known again
        os.rename(self.path("in/0.jsonl"), self.path("in/renamed.jsonl"))
        self.append("in/renamed.jsonl", lines(130, 140))
        self.until_count(140, run)
        self.assert_ids(range(140))
        run.stop()

    def unprivileged(self):
        """For preexec: gives up root, for which no file is unreadable."""
        os.mkdir(self.path("run"), 0o700)
        if os.geteuid() != 0:
            return None
        for folder, _, names in os.walk(self.folder):
            os.chown(folder, 65534, 65534)
            for name in names:
                os.chown(os.path.join(folder, name), 65534, 65534)

        def drop():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        return drop

    def test_unreadable_file(self):
        """The others are read, the unreadable one is named, and read once it can be."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 100))
        locked = self.write("in/1.jsonl", lines(100, 150))
        self.write("in/2.jsonl", lines(150, 200))
        os.chmod(locked, 0)
        drop = self.unprivileged()
        if drop is not None and self.can_drop(drop) != 0:
            # this checkout is for root only: a link that leads nowhere is as unreadable
            os.unlink(locked)
            os.symlink("nowhere", locked)
            drop = None
        run = self.start("run", "events.yaml", "--progress", "none", preexec=drop)
        self.until(lambda: "1.jsonl" in run.err(), "the file is named", run)
        self.until(lambda: os.path.exists(self.path("run/events.sock")), "the pipeline answers", run)
        self.until(lambda: self.freshet("query", "select 1", preexec=drop).code == 0, "answers", run)

        def count():
            out = self.freshet("query", "--format", "csv", "select count(*) as n from "
                               "online_feature_store__events", preexec=drop).out
            return int(out.split()[1])
        self.until(lambda: count() == 150, "150 rows", run)
        if os.path.islink(locked):
            os.unlink(locked)
            self.write("in/1.jsonl", lines(100, 150))
        else:
            os.chmod(locked, 0o644)
        self.until(lambda: count() == 200, "all rows", run)
        self.assertIn("200 rows read, 200 written", run.stop().err)

    def can_drop(self, drop):
        try:
            return self.freshet("version", preexec=drop).code
        except (PermissionError, OSError):
            return 1

    def test_unreadable_file_in_a_batch(self):
        """A batch that cannot read all of its input is no success."""
        self.declare(stream=False)
        self.write("in/0.jsonl", lines(0, 100))
        os.chmod(self.write("in/1.jsonl", lines(100, 200)), 0)
        drop = self.unprivileged()
        if drop is not None and self.can_drop(drop) != 0:
            self.skipTest("needs a user who is not root, and this checkout is for root only")
        finished = self.freshet("run", "events.yaml", preexec=drop)
        self.assertIn(finished.code, (1, 75, 78), finished)
        self.assertIn("1.jsonl", finished.err)

    def test_full_disk_for_dead_letters(self):
        """While the dead letters cannot be written nothing is lost; when they can, all goes on."""
        self.declare()
        self.write("in/0.jsonl", lines(0, 10))
        run = self.start("run", "events.yaml", "--progress", "none", preexec=limit_file_size(8192))
        self.until(lambda: os.path.exists(self.path("run/events.sock")), "the run begins", run)
        bad = [f'{{"id": {i}, broken, with a long text behind it {"x" * 100}'.encode() for i in range(100)]
        good = 10
        # each piece is one good row and one bad one, and is waited for, until the file is full
        for raw in bad:
            self.append("in/0.jsonl", lines(good, good + 1) + raw + b"\n")
            good += 1
            self.until(lambda: self.count() == good or "trying again" in run.err(), "taken", run)
            if "trying again" in run.err():
                break
        self.assertIn("trying again", run.err())
        self.assertIn("events.dead_letters.jsonl", run.err())
        self.assertLess(good, 100)
        n_before = len(self.dead_letters())
        self.append("in/0.jsonl", lines(good, good + 5) + b"worse\n")
        self.assertEqual(len(self.dead_letters()), n_before)
        free_file_size(run.pid)
        self.until(lambda: self.count() == good + 5, "the rest", run)
        n_bad = good - 10
        self.until(lambda: len(self.dead_letters()) == n_bad + 1, "the rest of the dead letters", run)
        self.assert_ids(range(good + 5))
        self.assertEqual([letter["raw"].encode() for letter in self.dead_letters()],
                         bad[:n_bad] + [b"worse"])
        self.assertIn(f"{n_bad + 1} dead letters", run.stop().err)

    def test_bad_place_for_dead_letters(self):
        for path, says in [("not-there/letters.jsonl", "not-there"), ("in", "is a folder")]:
            self.declare(extra=f"dead_letters: {{path: {path}}}\n")
            for verb in ["check", "run"]:
                finished = self.freshet(verb, "events.yaml")
                self.assertEqual(finished.code, 78, finished.err)
                self.assertRegex(finished.err, rf"(?m)^events.yaml:\d+:22: error: .*{says}")


class BadDeclarationTest(Case):

    def check(self, text, *says, code=78):
        self.write("bad.yaml", text)
        finished = self.freshet("check", "bad.yaml")
        self.assertEqual(finished.code, code, finished)
        self.assertEqual(finished.out, "")
        for say in says:
            self.assertRegex(finished.err, say)
        return finished.err

    def test_cassandra(self):
        """What can be said of the online store without a server."""
        text = textwrap.dedent("""\
            version: 1
            pipeline: p
            source:
              readers:
                - {id: e, file: {path: e.json, format: json, schema: {id: bigint, b: bigint, ts: timestamp, x: double}}}
              query: select * from e
            feature_set:
              name: demo
              entity: %s
              keys: [{name: id, type: bigint}, {name: b, type: bigint}]
              timestamp: {from: ts}
              features: [{name: x, type: double}]
            sink:
              writers:
                - online:
                    cassandra: {keyspace: shop, %s}
            """)
        self.write("e.json", "")
        for option, says in [
                ("host: h, partition_by: [id, x]", r'16:65: error: partition_by names "x", which is no key'),
                ("host: h, partition_by: [b, id, b]", r'16:68: error: partition_by names "b" twice'),
                ("host: h, read_consistency: ANY", r'"read_consistency" cannot be "ANY".* LOCAL_ONE'),
                ("host: h}\n        write_to_entity: true # {", r'9:11: error: "e{49}" is no name for a table'),
                ("host: [a, a b]", r'16:47: error: "host" cannot be "a b": write .* "10.0.0.1:9042"'),
                *((f'host: "{host}"', r'"host" cannot be') for host in
                  ("", ":9042", "h:", "h:0", "h:65536", "h:x", "h:9042x", "cassandra://h", "[::1", "[::1]9042", "u@h"))]:
            self.check(text % ("e" * 49, option), says)
        for host in ("h", "h:9042", "10.0.0.1:65535", "::1", "[::1]", "[::1]:9042"):
            self.write("good.yaml", text % ("thing", f'partition_by: [b, id], host: "{host}"'))
            self.good("check", "good.yaml")
        for name, value, code in [("WRITE", "ANY", 0), ("WRITE", "two", 78), ("READ", "ANY", 78), ("READ", "QUORUM", 0)]:
            self.env = {**self.env, "CASSANDRA_READ_CONSISTENCY_LEVEL": "", "CASSANDRA_WRITE_CONSISTENCY_LEVEL": "",
                        f"CASSANDRA_{name}_CONSISTENCY_LEVEL": value}
            finished = self.freshet("check", "good.yaml")
            self.assertEqual(finished.code, code, finished.err)
            self.assertEqual(f"CASSANDRA_{name}_CONSISTENCY_LEVEL" in finished.err, code == 78)

    def base(self):
        os.makedirs(self.path("in"), exist_ok=True)
        self.write("in/0.jsonl", lines(0, 3))
        return textwrap.dedent("""\
            version: 1
            pipeline: events
            source:
              readers:
                - id: events
                  stream: true
                  file: {path: in, format: json, schema: {id: bigint, key: string, seen: timestamp, value: double}}
              query: select * from events
            feature_set:
              name: events
              entity: key
              keys:
                - {name: key, type: string}
              timestamp: {from: seen}
              features:
                - {name: id, type: bigint}
                - {name: value, type: double}
            sink:
              writers:
                - online: {debug: true}
            """)

    def test_base_is_good(self):
        self.write("good.yaml", self.base())
        self.assertIn("good.yaml is good", self.good("check", "good.yaml"))

    def test_deep_yaml(self):
        for text in ("[" * 10000, "{a: " * 10000, "- " * 10000 + "x\n",
                     "a: " + "[" * 10000 + "]" * 10000 + "\n",
                     "".join(" " * i + "a:\n" for i in range(2000))):
            self.check(text, r"(?m)^bad\.yaml:\d+:\d+: error: ")

    def test_not_yaml(self):
        for text in ("", "\0\0\0", "\t- x", "version: 1\n  bad: indent", "&a [*a]", "%YAML 9.9\n---\n",
                     "a: &x [*x, *x]\n", "just text", "- a\n- b\n", "? [a, b]\n: c\n", "a: b\na: c\n"):
            with self.subTest(text=text):
                self.check(text, r"error: ")
        self.write("bad.yaml", b"version: \xff\xfe\n")
        self.assertEqual(self.freshet("check", "bad.yaml").code, 78)

    def test_aliases_do_not_explode(self):
        text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
        self.check(text, r"(?m)^bad\.yaml:\d+:\d+: error: ")

    def test_unknown_columns(self):
        text = self.base().replace("{name: value, type: double}", "{name: valeu, type: double}") \
                          .replace("{from: seen}", "{from: sene}")
        err = self.check(text, r"bad\.yaml:14:\d+: error: .*sene", r"bad\.yaml:17:\d+: error: .*valeu.*did you mean.*value")
        self.assertIn("2 problems in bad.yaml.", err)

    def test_bad_sql(self):
        text = self.base().replace("query: select * from events", "query: select id, nothing, seen from events")
        self.check(text, r"bad\.yaml:8:21: error: .*nothing")
        text = self.base().replace("query: select * from events",
                                   "query: |\n    select *\n    form events")
        self.check(text, r"bad\.yaml:10:\d+: error: ")
        text = self.base().replace("query: select * from events", "query: select * from evnts")
        self.check(text, r"bad\.yaml:8:24: error: .*evnts")

    def test_no_select(self):
        for sql in ("drop table events", "insert into events values (1)", "set threads = 1"):
            self.check(self.base().replace("select * from events", sql),
                       r"(?m)^bad\.yaml:8:\d+: error: the query must be one SELECT")

    def test_readers_that_are_not_there(self):
        """What a reader names is looked at when its columns are inferred: each mistake has its place."""
        self.write("text.parquet", "this is no Parquet")
        file = "file: {path: in, format: json, schema: {id: bigint, key: string, seen: timestamp, value: double}}"
        for reader, says in (("file: {path: nothing}", 'there is no file at "nothing" yet'),
                             ("file: {path: nothing, format: json}", 'there is no file at "nothing" yet'),
                             ("file: {path: text.parquet}", "text.parquet.*Parquet"),
                             ("table: {path: nothing.db, table: t}", "cannot open nothing.db: No such file")):
            with self.subTest(reader=reader):
                text = self.base().replace(file, reader)
                if reader.startswith("table"):
                    text = text.replace("stream: true", "stream: false")
                self.check(text, r'(?m)^bad\.yaml:7:\d+: error: reader "events": .*' + says)

    def test_sql_that_reads_files(self):
        for sql in ("select * from events, read_csv('x.csv')", "select * from events, 'x.parquet'",
                    "select *, read_text('/etc/passwd') from events", "copy events to 'x'",
                    "select 1; select 2", "attach 'x.db'"):
            with self.subTest(sql=sql):
                self.check(self.base().replace("select * from events", json.dumps(sql)),
                           r"(?m)^bad\.yaml:8:\d+: error: ")

    def test_query_that_cannot_stream(self):
        for sql, word in (("select key, max(seen) as seen, count(*) as id, 1.0 as value from events group by key", "aggregat|group"),
                          ("select *, row_number() over (order by seen) as n from events", "window"),
                          ("select distinct * from events", "distinct"),
                          ("select * from events order by id", "order"),
                          ("select * from events limit 10", "limit")):
            with self.subTest(sql=sql):
                self.check(self.base().replace("select * from events", sql),
                           r"(?m)^bad\.yaml:8:\d+: error: ", "(?i)" + word)
                # the same query is fine in a batch, where it makes sense
                self.write("batch.yaml", self.base().replace("select * from events", sql)
                           .replace("stream: true", "stream: false"))
                self.good("check", "batch.yaml")

    def test_several_mistakes_in_one_go(self):
        """All of them, in the order of their places, with exact words."""
        text = self.base().replace("stream: true", "straem: true") \
                          .replace("type: string}", "type: strng}") \
                          .replace("{name: id, type: bigint}", "{name: value, type: bigint}") \
                          .replace("debug: true", "debug: maybe") \
                          .replace("  entity: key\n", "")
        self.assertEqual(self.check(text).splitlines(), [
            'bad.yaml:6:7: error: unknown option "straem" in "reader"; did you mean "stream"?',
            'bad.yaml:12:25: error: "type" cannot be "strng": it must be boolean, integer, bigint, float, '
            'double, decimal(width,scale), string, binary, date, timestamp, array<type> or struct<name: type>; '
            'did you mean "string"?',
            'bad.yaml:16:14: error: the feature "value" has the name of the feature at bad.yaml:15:14: '
            'choose another name',
            'bad.yaml:19:23: error: "debug" cannot be "maybe": it must be true or false',
            '4 problems in bad.yaml.'])

    def test_bad_sql_beside_other_mistakes(self):
        """A declaration that cannot be opened has its SQL read all the same."""
        text = self.base().replace("stream: true", "straem: true") \
                          .replace("select * from events", "selec * from events") \
                          .replace("{name: id, type: bigint}", '{name: id, type: bigint, sql: "1 +"}')
        said = self.check(text).splitlines()
        self.assertEqual(said[0], 'bad.yaml:6:7: error: unknown option "straem" in "reader"; did you mean "stream"?')
        self.assertRegex(said[1], r'^bad\.yaml:8:10: error: syntax error at or near "selec"$')
        self.assertRegex(said[2], r'^bad\.yaml:16:41: error: feature "id": ')
        self.assertEqual(said[3:], ["3 problems in bad.yaml."])

    def test_run_and_show_say_the_same(self):
        text = self.base().replace("stream: true", "straem: true").replace("type: double}", "type: dobule}", 1)
        said = self.check(text)
        for verb in ("run", "show"):
            finished = self.freshet(verb, "bad.yaml")
            self.assertEqual(finished.code, 78)
            self.assertEqual(finished.err.splitlines(), said.splitlines()[:-1])

    def test_unset_variable(self):
        self.check(self.base().replace("path: in", 'path: "${FRESHET_TEST_NOT_SET}"'),
                   r"bad\.yaml:7:\d+: error: .*FRESHET_TEST_NOT_SET")

    def test_file_problems(self):
        self.assertIn("nothing.yaml", self.freshet("check", "nothing.yaml").err)
        os.mkdir(self.path("folder.yaml"))
        finished = self.freshet("check", "folder.yaml")
        self.assertNotEqual(finished.code, 0)
        self.assertIn("folder.yaml", finished.err)
        self.check("# long\n" * 3_000_000, "error: ")


if __name__ == "__main__":
    unittest.main()
