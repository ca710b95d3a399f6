"""Joins of two streams: the naive twin's pairs in batch and on streams, in any order of arrival, through 20 kills; rows
alone when their time has passed; windows behind a join; what is kept, and what a changed declaration is told."""

import json
import os
import unittest

from freshet_testing import Case, line

FAST = "checkpoint: {interval: 20 ms}\n"
T0 = 1700000000
ON = "p.order_id = o.id"
SELECT = "select o.id, o.ts, o.cents, p.number, p.how from orders o {join} payments p on {on}"
FEATURES = "[{name: cents, type: bigint}, {name: number, type: bigint}, {name: how, type: string}]"


def order(id, ts, cents=1):
    return {"id": id, "ts": T0 + ts, "cents": cents}


def payment(number, order_id, paid, how="card"):
    return {"number": number, "order_id": order_id, "paid": T0 + paid, "how": how}


def paid(row):
    return row["paid"]


def twin(orders, payments, kind, within=(600, 120), condition=lambda o, p: True):
    """(order, payment) for each row that goes out."""
    pairs = [(o, p) for o in orders for p in payments if o["id"] is not None and o["id"] == p["order_id"] and
             -within[1] <= paid(p) - o["ts"] <= within[0] and condition(o, p)]
    if kind == "left":
        pairs += [(o, None) for o in orders if not any(pair[0] is o for pair in pairs)]
    if kind == "right":
        pairs += [(None, p) for p in payments if not any(pair[1] is p for pair in pairs)]
    return pairs


def twin_as_of(orders, payments, within=120):
    """Of each order the newest payment at its time, of equal times the one that came later."""
    rows = []
    for o in orders:
        found = [p for p in payments if p["order_id"] == o["id"] is not None and 0 <= o["ts"] - paid(p) <= within]
        newest = max((paid(p) for p in found), default=None)
        rows.append((o, [p for p in found if paid(p) == newest][-1] if found else None))
    return rows


def none_first(rows):
    """Sorted, though values may be none."""
    return sorted(rows, key=lambda row: tuple((value is not None, value or 0) for value in row))


class JoinsTest(Case):
    def declare_join(self, join="join", on=ON, *, stream=True, query=None, extra="", timestamp="{from: ts, unit: s, lateness: 1 minute}",
                     sink="- history: {path: out}", features=FEATURES, key="id", within=("10 minutes", "2 minutes"), name="j.yaml"):
        streams = "stream: true\n      " if stream else ""
        within = [f"within: {text}\n      " if text else "" for text in within]
        self.write(name, f"""\
version: 1
pipeline: joined
source:
  readers:
    - id: orders
      {streams}timestamp: {{from: ts, unit: s}}
      {within[0]}file: {{path: "orders/*.jsonl", format: json, schema: {{id: bigint, ts: bigint, cents: bigint}}}}
    - id: payments
      {streams}timestamp: {{from: paid, unit: s}}
      {within[1]}file: {{path: "payments/*.jsonl", format: json, schema: {{number: bigint, order_id: bigint, paid: bigint, how: string}}}}
  query: |
    {query or SELECT.format(join=join, on=on)}
feature_set:
  name: joined
  keys: [{{name: {key}, type: bigint}}]
  timestamp: {timestamp}
  features: {features}
sink:
  writers:
    {sink}
{extra}""")

    def give(self, name, *rows):
        self.write(os.path.join(name, "x.jsonl"), b"") if not os.path.exists(self.path(name)) else None
        self.append(os.path.join(name, "x.jsonl"), b"".join(line(row) for row in rows))

    def history(self):
        """(cents, number) of all rows: cents tells the order."""
        self.write("read.yaml", """\
version: 1
pipeline: read
source:
  readers:
    - id: rows
      file: {path: "out/*/*/*/*.parquet", format: parquet}
  query: select row_number() over () as n, timestamp, cents, number from rows
feature_set:
  name: reads
  keys: [{name: n, type: bigint}]
  timestamp: {from: timestamp}
  features: [{name: cents, type: bigint}, {name: number, type: bigint}]
sink: {writers: [{online: {debug: true}}]}
""")
        out = self.good("run", "read.yaml", "--query", "select cents, number from online_feature_store__reads", "--format", "json")
        return [(row["cents"], row["number"]) for row in map(json.loads, out.splitlines())]

    def make_rows(self, n, keys):
        """Orders and payments in nearly the order of their times; `cents` is the order's own number."""
        rng = self.rng
        orders, payments = [], []
        for i in range(n):
            key = None if rng.random() < 0.05 else rng.randrange(keys)
            orders.append(order(key, i * 3 + rng.randrange(30), i))
            payments.append(payment(i, None if rng.random() < 0.05 else rng.randrange(keys),
                                    i * 3 + rng.randrange(30), rng.choice(("card", "cash"))))
        return orders, payments

    # ---- the twin ----

    def test_the_same_rows_in_batch_and_on_a_stream(self):
        orders, payments = self.make_rows(300, 60)
        self.give("orders", *orders)
        self.give("payments", *payments)
        cash = "p.how <> 'cash' and o.cents <> p.number"
        kinds = [("join", ON, twin(orders, payments, "inner")),
                 ("left join", f"{ON} and {cash}",
                  twin(orders, payments, "left", condition=lambda o, p: p["how"] != "cash" and o["cents"] != p["number"])),
                 ("asof left join", f"{ON} and o.ts >= p.paid", twin_as_of(orders, payments))]
        for join, on, pairs in kinds:
            for stream in (True, False):
                with self.subTest(join=join, stream=stream):
                    within = ("" if "asof" in join else "10 minutes", "2 minutes")
                    self.declare_join(join, on, stream=stream, sink="- jsonl: {path: out.jsonl}", within=within,
                                      features=FEATURES.replace("[", "[{name: id, type: bigint}, "), key="cents",
                                      query=SELECT.format(join=join, on=on).replace("o.cents,", "o.cents, "))
                    self.write("j.yaml", self.read("j.yaml").replace("{name: cents, type: bigint}, ", ""))
                    self.good("run", "j.yaml", *(["--once", "--drain", "--state", f"state-{join.replace(' ', '')}"] if stream else []))
                    rows = [(row["cents"], row["number"]) for row in self.read_lines("out.jsonl")]
                    os.remove(self.path("out.jsonl"))
                    self.assertEqual(none_first(rows), none_first([(o["cents"], p["number"] if p else None) for o, p in pairs]))
                    self.assertEqual(self.dead_letters("joined"), [])

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def test_kills(self):
        n, kills = 1500, 20
        orders, payments = self.make_rows(n, 200)
        self.declare_join("left join", f"{ON} and p.how <> 'cash'", extra=FAST)
        at = {"orders": 0, "payments": 0}
        rows = {"orders": orders, "payments": payments}
        self.give("orders")
        self.give("payments")
        for kill in range(kills):
            process = self.start("run", "j.yaml", "--progress", "none")
            while min(at.values()) < (kill + 1) * n // kills:
                name = min(at, key=at.get) if self.rng.random() < 0.7 else self.rng.choice(list(at))
                count = self.rng.randint(1, 60)
                self.give(name, *rows[name][at[name]:at[name] + count])
                at[name] += count
                if self.rng.random() < 0.3:
                    process.until_checkpoints(1, "joined")
            process.until_checkpoints(1, "joined")
            process.process.kill()
            process.process.wait()
        self.good("run", "j.yaml", "--once", "--drain", "--progress", "none")
        self.assertEqual({letter["reason"] for letter in self.dead_letters("joined")}, {'key "id" is null'})
        pairs = twin(orders, payments, "left", condition=lambda o, p: p["how"] != "cash")
        self.assertEqual(none_first(self.history()), none_first([(o["cents"], p["number"] if p else None) for o, p in pairs
                                                                 if o["id"] is not None]))

    # ---- time ----

    def test_a_row_alone_goes_out_when_its_time_has_passed(self):
        self.declare_join("left join", sink="- online: {debug: true}", timestamp="{from: ts, unit: s, lateness: 0 seconds, idle: 1 hour}")
        self.give("orders", order(1, 0), order(2, 100))
        self.give("payments", payment(1, 9, 600))
        process = self.start_run("j.yaml", pipeline="joined")
        self.until(lambda: "joined wait for the reader orders" in self.freshet("status", "--pipeline", "joined").out,
                   "the status says who is waited for", process)
        self.give("payments", payment(2, 2, 601))
        self.until(lambda: self.rows() == {2: 2, 1: None}, "order 2 with its payment, order 1 alone", process)

    def rows(self):
        return {row["id"]: row["number"] for row in
                self.query("select id, number from online_feature_store__joined", "joined")}

    def test_a_silent_stream_holds_nobody_back(self):
        self.declare_join("left join", sink="- online: {debug: true}", timestamp="{from: ts, unit: s, lateness: 0 seconds, idle: 200 ms}")
        self.give("payments")
        self.give("orders", order(1, 0))
        process = self.start_run("j.yaml", pipeline="joined")
        number = iter(range(2, 1000000))

        def later():
            id = next(number)
            self.give("orders", order(id, 700 * id))
            return 1 in self.rows()
        self.until(later, "order 1 goes out alone", process)

    def test_late_rows(self):
        self.declare_join("left join", timestamp="{from: ts, unit: s, lateness: 1 minute, late: drop}", sink="- jsonl: {path: out.jsonl}")
        self.give("orders", order(1, 1000), order(2, 900))
        self.give("payments", payment(1, 1, 1000), payment(2, 1, 939))
        finished = self.freshet("run", "j.yaml", "--once")
        self.assertEqual(finished.code, 0, finished.err)
        self.assertEqual([row["number"] for row in self.read_lines("out.jsonl")], [1])
        self.declare_join("left join", sink="- jsonl: {path: out.jsonl}")
        self.good("run", "j.yaml", "--once", "--state", "other")
        letters = self.dead_letters("joined")
        self.assertEqual([letter["code"] for letter in letters], ["late", "late"])
        self.assertIn("join: it is 1 minute 40 seconds behind the newest row of its partition", letters[0]["reason"])

    def test_windows_behind_a_join(self):
        """Pairs go out out of order; no window takes them for late, and the newest rows are those of the batch."""
        orders, payments = self.make_rows(200, 40)
        self.give("orders", *orders)
        self.give("payments", *payments)
        features = ("[{name: number, type: bigint, window: {functions: [sum, count], over: [5 minutes], mode: fixed_windows}}]")
        shown = []
        for stream in (True, False):
            self.declare_join("left join", stream=stream, features=features, sink="- online: {debug: true}", key="how",
                              query=SELECT.format(join="left join", on=ON).replace("p.how", "o.id % 3 as how"),
                              timestamp="{from: ts, unit: s, lateness: 31 seconds}")
            out = self.good("run", "j.yaml", *(["--once"] if stream else []), "--format", "json", "--query",
                            "select how, timestamp, max(number__count_over_5_minutes_fixed_windows) as n, "
                            "max_by(number__sum_over_5_minutes_fixed_windows, number__count_over_5_minutes_fixed_windows) as s "
                            "from online_feature_store__joined t "
                            "where timestamp = (select max(timestamp) from online_feature_store__joined u where u.how = t.how) "
                            "group by how, timestamp order by how")
            shown.append([json.loads(text) for text in out.splitlines()])
            self.assertEqual({letter["code"] for letter in self.dead_letters("joined")}, {"bad_key"})
        self.assertEqual(len(shown[0]), 3)
        self.assertEqual(shown[0], shown[1])

    # ---- what is kept ----

    def test_what_is_kept_and_what_may_change(self):
        self.declare_join("left join")
        self.give("orders", order(7, 0, 3), order(8, 1, 4))
        self.give("payments", payment(5, 7, 10))
        self.good("run", "j.yaml", "--once")
        self.assertRegex(self.good("state", "ls", "j.yaml"), r"part joined rows, 2 keys")
        inspected = json.loads(self.good("state", "inspect", "j.yaml", "--key", "id=7"))
        self.assertEqual(inspected["orders"], [{"time": "2023-11-14T22:13:20.000000Z", "matched": True, "id": 7, "ts": T0, "cents": 3}])
        self.assertEqual([row["number"] for row in inspected["payments"]], [5])
        for changed in (dict(on=f"{ON} and p.how <> 'cash'"), dict(within=("11 minutes", "2 minutes")), dict(join="join")):
            self.declare_join(**{"join": "left join", **changed})
            finished = self.freshet("run", "j.yaml", "--once")
            self.assertEqual(finished.code, 78)
            self.assertIn("for its joined rows it keeps", finished.err)
        self.declare_join("left join")
        self.good("run", "j.yaml", "--once", "--drain")
        self.assertEqual(none_first(self.history()), none_first([(3, 5), (4, None)]))

    def test_memory_is_bounded(self):
        self.declare_join("left join", extra="state: {memory: 1 MiB}\n")
        self.give("orders", *[order(i, 0, i) for i in range(20000)])
        self.give("payments")
        finished = self.freshet("run", "j.yaml", "--once")
        self.assertNotEqual(finished.code, 0)
        self.assertRegex(finished.err, r'the join of "orders" and "payments" holds \d+ rows, which need more than')

    def test_a_pair_that_the_query_fails_for(self):
        self.declare_join("left join", query=SELECT.format(join="left join", on=ON).replace("p.how", "cast(p.how as bigint)::varchar as how"))
        self.give("orders", order(1, 0, 1), order(2, 0, 2), order(3, 0, 3))
        self.give("payments", payment(1, 1, 1, "5"), payment(2, 2, 1, "x"), payment(3, 1, 2, "6"))
        self.good("run", "j.yaml", "--once", "--drain")
        self.assertEqual(none_first(self.history()), none_first([(1, 1), (1, 3), (3, None)]))
        (letter,) = self.dead_letters("joined")
        self.assertEqual((letter["code"], letter["reader"], json.loads(letter["raw"])["number"]), ("sql_error", "payments", 2))

    # ---- what is refused ----

    def test_check(self):
        def said(**changed):
            self.declare_join(**changed)
            finished = self.freshet("check", "j.yaml")
            self.assertEqual(finished.code, 78)
            return finished.err
        self.give("orders", order(1, 0))
        self.give("payments", payment(1, 1, 1))
        self.assertRegex(said(within=("10 minutes", "")), r'j.yaml:15:\d+: error: the join of the streams "orders" and "payments" has no '
                         r'bound for "payments".*`within: 10 minutes`')
        self.assertIn("`late: update` is not possible behind a join of streams", said(timestamp="{from: ts, unit: s, late: update}"))
        self.declare_join()
        self.write("j.yaml", self.read("j.yaml").replace("{from: paid, unit: s}", "{from: pay, unit: s}"))
        self.assertRegex(self.freshet("check", "j.yaml").err, r'j.yaml:12:25: error: the reader "payments" has no column "pay"')
        self.write("j.yaml", self.read("j.yaml").replace("timestamp: {from: pay, unit: s}\n      ", ""))
        self.assertIn("`within` is measured from the time of the rows", self.freshet("check", "j.yaml").err)
        self.declare_join(query="select * from orders union all select 1, 2, 3 from payments")
        self.assertIn("`timestamp` and `within` are for a reader that the query joins", self.freshet("check", "j.yaml").err)
        self.declare_join()
        self.write("j.yaml", self.read("j.yaml").replace("stream: true\n      timestamp: {from: paid", "timestamp: {from: paid"))
        self.assertIn('the reader "payments" is joined with a stream within a bound, and does not stream itself', self.freshet("check", "j.yaml").err)
        self.declare_join()
        self.good("run", "j.yaml", "--once")
        finished = self.freshet("replay", "j.yaml")
        self.assertEqual(finished.code, 78)
        self.assertRegex(finished.err, r"the dead letters of a join of streams cannot be replayed, for the rows' partners may be kept no more. "
                         r"Take the records from \S*dead_letters\S* \(`raw`\), mend them and give them to the reader's topic or files again")
        self.write("j.yaml", self.read("j.yaml").replace("stream: true\n      timestamp: {from: paid",
                                                         "stream: true\n      preprocess: [filter: number > 0]\n      timestamp: {from: paid"))
        self.assertRegex(self.freshet("check", "j.yaml").err, r'j.yaml:12:20: error: the reader "payments" is joined with another stream, and such a reader '
                         r'cannot have `preprocess`. Write filters .* a `filter` into `where`, .* write the rows with `kafka` or `history`')


if __name__ == "__main__":
    unittest.main()
