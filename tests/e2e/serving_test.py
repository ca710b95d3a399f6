"""A stream serves its newest rows by HTTP: beside what the online store would have, after restarts and kills, to whom it
may, and to clients that mean no good."""

import contextlib
import json
import random
import threading
import time
import unittest

from freshet_testing import DEADLINE, Case, event, line, lines
from http_testing import Site
from serving_testing import post, values, vectors

SERVED = "http: 127.0.0.1:0\nserve: {}\n"
T0 = "1970-01-01T00:00:00Z"
KEYS = [f"k{i}" for i in range(7)]


class ServingTest(Case):

    def site(self, file="events.yaml", *args, **named):
        run = self.start("run", file, "--progress", "none", *args, **named)
        return run, Site(self, run)

    def served(self, site, name="id", keys=KEYS):
        return values(site, [f"events:{name}"], {"key": keys})

    def until_served(self, wanted, site, run, name="id", keys=KEYS):
        self.until(lambda: self.served(site, name, keys) == wanted, f"{wanted} are served", run)

    def newest(self, records):
        """Of each key the row of the greatest time; of equal ones the later arrival."""
        found = {}
        for record in records:
            if record["key"] not in found or record["seen"] >= found[record["key"]]["seen"]:
                found[record["key"]] = record
        return [found.get(key, {"id": None})["id"] for key in KEYS]

    def test_newest_rows(self):
        """Late rows never replace newer ones, whatever the order in which they come."""
        self.declare(extra=SERVED)
        run, site = self.site()
        self.assertEqual(self.served(site), [None] * 7)
        records = [event(i) for i in range(300)]
        rng, given = random.Random(5), []
        rng.shuffle(records)
        for i in range(0, 300, 60):
            given += records[i:i + 60]
            self.append("in/a.jsonl", b"".join(line(record) for record in records[i:i + 60]))
            self.until_served(self.newest(given), site, run)
        last = vectors(site, ["events:id", "events:value"], {"key": ["k3", "none"]}, full=True)
        self.assertEqual(last, {"key": [("k3", "PRESENT", T0), ("none", "PRESENT", T0)],
                                "events__id": [(298 - 298 % 7 + 3 - 7 * (298 % 7 < 3), "PRESENT", last["events__id"][0][2]),
                                               (None, "NOT_FOUND", T0)],
                                "events__value": [(last["events__id"][0][0] / 4, "PRESENT", last["events__id"][0][2]),
                                                  (None, "NOT_FOUND", T0)]})
        self.assertEqual(last["events__id"][0][2], event(last["events__id"][0][0])["seen"])
        # what the debug table says is each key's newest row is what is served
        rows = {row["key"]: row["id"] for row in self.query("select key, id from online_feature_store__events_latest")}
        self.assertEqual(self.served(site), [rows[key] for key in KEYS])
        run.stop()

    def test_windows(self):
        """A window's late event changes what is served of its key."""
        self.declare(extra=SERVED, features=(
            "{name: id, type: bigint}",
            "{name: n, from: id, window: {functions: [count], over: [1 day]}}"))
        self.write("in/a.jsonl", lines(0, 14))
        run, site = self.site()
        name = "n__count_over_1_day_fixed_windows"
        self.until_served([2] * 7, site, run, name)
        self.append("in/a.jsonl", line(dict(event(2), id=90)))
        self.until_served([2, 2, 3, 2, 2, 2, 2], site, run, name)
        self.assertEqual(self.served(site)[2], 9)
        run.stop()

    def test_restarts(self):
        """What was served is served again at once, without its rows being read again; kills lose nothing."""
        self.declare(extra=SERVED + "checkpoint: {interval: 100 ms}\n")
        self.write("in/a.jsonl", lines(0, 70))
        run, site = self.site()
        self.until_served(list(range(63, 70)), site, run)
        run.stop()
        run, site = self.site()
        self.assertEqual(self.served(site), list(range(63, 70)))
        self.assertEqual(json.loads(site.ask("/status").text)["rows_read"], 0)
        self.append("in/a.jsonl", line(dict(event(3), id=1000)))  # late, for a row that was restored
        self.append("in/a.jsonl", line(event(71)))
        self.until_served([63, 71, 65, 66, 67, 68, 69], site, run)
        self.assertIn('"id": 71', self.good("state", "inspect", "events.yaml", "--key", "key=k1"))
        for turn in range(3):
            self.append("in/a.jsonl", lines(80 + 7 * turn, 87 + 7 * turn))
            self.until(lambda: max(self.served(site)) == 86 + 7 * turn, "the last row is served", run)
            run.end()
            run, site = self.site()
            self.until(lambda: max(self.served(site)) == 86 + 7 * turn, "it is served again", run)
        self.until_served(sorted(range(94, 101), key=lambda i: i % 7), site, run)
        run.stop()

    def test_other_columns(self):
        """With other features what was kept is of no use; each key comes back with its next row."""
        self.declare(extra="http: 127.0.0.1:0\nserve: {features: [id]}\n")
        self.write("in/a.jsonl", lines(0, 70))
        run, site = self.site()
        self.until_served(list(range(63, 70)), site, run)
        told = post(site, {"features": ["events:value"], "entities": {"key": ["k1"]}})
        self.assertEqual(told.status, 404)
        self.assertIn("serve.features", told.text)
        run.stop()
        self.declare(extra="http: 127.0.0.1:0\nserve: {features: [id, value]}\n")
        self.assertIn("each key is served from its next row on", self.good("plan", "events.yaml"))
        run, site = self.site()
        self.assertEqual(self.served(site), [None] * 7)
        self.append("in/a.jsonl", lines(70, 71))
        self.until_served([70] + [None] * 6, site, run, "id")
        run.stop()

    def test_max_age(self):
        self.declare(extra="http: 127.0.0.1:0\nserve: {max_age: 1 hour}\n")
        now = time.time()
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - ago)) for ago in (0, 7200)]
        self.write("in/a.jsonl", b"".join(line({"id": i, "key": f"k{i}", "seen": at, "value": 0.5}) for i, at in reversed(list(enumerate(stamp)))))
        run, site = self.site()
        self.until(lambda: self.served(site, keys=["k0"]) == [0], "the row is served", run)
        found = self.until(lambda: vectors(site, ["events:id"], {"key": ["k0", "k1", "k2"]})["id"], "an answer", run)
        self.assertEqual(found, [(0, "PRESENT", stamp[0]), (None, "OUTSIDE_MAX_AGE", stamp[1]), (None, "NOT_FOUND", T0)])
        run.stop()

    def test_declarations(self):
        self.declare(extra="serve: {features: [idd], max_age: 0s}\n")
        wrong = self.freshet("check", "events.yaml")
        self.assertEqual(wrong.code, 78)
        self.assertIn("max_age", wrong.err)
        self.declare(extra="serve: {features: [idd]}\n")
        self.assertIn('there is no feature "idd"; did you mean "id"?', self.freshet("check", "events.yaml").err)
        self.declare(extra="serve: {features: [id, id]}\n")
        self.assertIn('names "id" twice', self.freshet("check", "events.yaml").err)
        self.declare(extra="serve: {}\n")
        self.write("in/a.jsonl", lines(0, 7))
        self.assertIn("served to nobody", self.freshet("run", "events.yaml", "--once").err)
        self.declare(stream=False, extra=SERVED)  # a batch ends: nothing is served of it
        self.assertEqual(self.freshet("run", "events.yaml").code, 0)

    def test_memory(self):
        """Without a store behind, what does not fit ends the run, with what to do."""
        self.declare(extra="http: 127.0.0.1:0\nserve: {memory: 1 MiB}\n")
        self.write("in/a.jsonl", b"".join(line(event(i, 20000)) for i in range(20000)))
        run, _ = self.site()
        ended = run.wait()
        self.assertEqual(ended.code, 1, ended.err)
        self.assertIn("serve.memory: allow more there", ended.err)

    def test_who_may_ask(self):
        self.declare(extra='http: {listen: "127.0.0.1:0", token: "${SECRET}"}\nserve: {}\n')
        run, site = self.site(env=dict(self.env, SECRET="hush-hush"))
        body = {"features": ["events:id"], "entities": {"key": ["k1"]}}
        self.assertEqual(post(site, body).status, 401)
        self.assertEqual(post(site, body, Authorization="Bearer hush").status, 401)
        self.assertEqual(post(site, body, Authorization="Bearer hush-hush").status, 200)
        run.stop()
        self.declare(extra=SERVED)
        run, site = self.site()
        self.assertEqual(post(site, body).status, 200)
        self.assertEqual(post(site, body, Host="evil.example").status, 421)
        asked = site.ask("/get-online-features")
        self.assertEqual((asked.status, asked.headers["Allow"]), (405, "POST"))
        for path in ("/status", "/live", "/ready"):
            self.assertEqual(post(site, body, path).status, 405)
        run.stop()
        self.declare()
        run, site = self.site("events.yaml", "--http", "127.0.0.1:0")
        self.assertEqual(post(site, body).status, 404)
        run.stop()

    def test_hostile_requests(self):
        """Each gets its answer or is cut, and others are served meanwhile."""
        self.declare(extra=SERVED)
        self.write("in/a.jsonl", lines(0, 7))
        run, site = self.site()
        self.until_served(list(range(7)), site, run)
        for body, status in ((b"", 400), (b"{", 400), (b"\xff\xfe", 400), (b"[" * 500000, 400), (b"{\"a\":" * 100000, 400),
                             (b" " * (1 << 20) + b"{}", 413), (b"{" + b" " * (8 << 20), 413),
                             (json.dumps({"features": ["events:id"] * 3000, "entities": {}}).encode(), 413),
                             (json.dumps({"features": ["events:id"], "entities": {"key": ["x"] * 5000}}).encode(), 413),
                             (json.dumps({"features": ["events:id"], "entities": {"key": [{}]}}).encode(), 422)):
            told = post(site, body)
            self.assertEqual(told.status, status, (body[:40], told.text))
            self.assertTrue(json.loads(told.text)["detail"])
        with contextlib.ExitStack() as stack:
            for _ in range(50):  # who say that much comes, and send little of it
                slow = stack.enter_context(site.socket())
                slow.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{")
            chunked = stack.enter_context(site.socket())
            chunked.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(40):
                    chunked.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                chunked.sendall(b"0\r\n\r\n")
            chunked.settimeout(DEADLINE)
            self.assertIn(b" 413 ", chunked.recv(200).split(b"\r\n")[0])
            self.assertEqual(self.served(site), list(range(7)))
        run.stop()

    def test_beside_the_stream(self):
        """Several clients ask while rows come: time never goes back, and rows are whole."""
        self.declare(extra=SERVED + "checkpoint: {interval: 100 ms}\n")
        run, site = self.site()
        wrong, stop = [], threading.Event()

        def ask():
            last = [-1] * 7
            while not stop.is_set():
                found = vectors(site, ["events:id", "events:value"], {"key": KEYS})
                for k, ((i, status, at), (value, _, _)) in enumerate(zip(found["id"], found["value"])):
                    if status == "PRESENT" and (i < last[k] or value != i / 4 or at != event(i)["seen"]):
                        wrong.append((k, i, last[k], value, at))
                    last[k] = last[k] if i is None else i

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(0, 7000, 70):
            self.append("in/a.jsonl", lines(i, i + 70))
            time.sleep(0.002)
        self.until_served(list(range(6993, 7000)), site, run)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        run.stop()


if __name__ == "__main__":
    unittest.main()
