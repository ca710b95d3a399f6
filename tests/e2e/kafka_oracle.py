"""Messages that flow while something is killed, and an oracle: from what another client reads in the topic it says, by
the definition of the windows, what every feature row must be."""

import bisect
import collections
import json
import random
import threading
import time

from confluent_kafka import Producer

from freshet_testing import DEADLINE
from kafka_testing import KafkaCase

KEYS = 500
LATENESS_S = 120

FEATURES = ("{name: id, type: bigint}",
            "{name: v, from: value, type: double, window: {functions: [count, avg, max], over: [1 minute, 20 minutes]}}",
            "{name: n, from: id, type: bigint, window: {functions: [sum], over: [7 events], mode: row_windows}}",
            "{name: partition, type: integer}", "{name: offset, type: bigint}")
QUERY = 'select id, key, seen, value, kafka_metadata.partition as partition, kafka_metadata."offset" as "offset" from events'
COLUMNS = {"id": "bigint", **{f"v__{function}_over_{window}_fixed_windows": kind
                              for window in ("1_minute", "20_minutes")
                              for function, kind in (("count", "bigint"), ("avg", "double"), ("max", "double"))},
           "n__sum_over_7_events_row_windows": "bigint", "partition": "integer", "offset": "bigint"}
TIME = f"{{from: seen, lateness: {LATENESS_S} seconds}}"
HISTORY = "- history: {path: out}"
FAST = "checkpoint: {interval: 20 ms}\n"


# ---- what is sent ----

def second_text(second):
    return f"2024-01-{1 + second // 86400:02d} {second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def order(i, rng):
    """The i-th message: most come up to a minute late, some so late that they are refused, some are broken."""
    late = rng.randrange(600, 900) if rng.random() < 0.002 else rng.randrange(60)
    record = {"id": i, "key": f"k{rng.randrange(KEYS)}", "seen": second_text(1000 + i // 20 - late).replace(" ", "T") + "Z",
              "value": rng.randrange(4000) / 4}
    text = json.dumps(record)
    return {"value": text[:-5] if rng.random() < 0.001 else text, "key": record["key"]}


class Feeder:
    """Sends messages in a thread of its own, as many as it is allowed to, and in between rests now and then."""

    def __init__(self, case, kafka, topic, rest_s=0.0):
        self.case, self.topic, self.rest_s = case, topic, rest_s
        self.rng = random.Random(case.rng.random())
        self.producer = Producer(kafka.properties(linger_ms=2, enable_idempotence=True, queue_buffering_max_messages=300000))
        self.allowed = self.sent = self.failed = 0
        self.ended = False
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()
        case.addCleanup(self.end)

    def delivered(self, error, _message):
        self.failed += error is not None

    def feed(self):
        while not self.ended:
            for _ in range(min(200, self.allowed - self.sent)):
                self.producer.produce(self.topic, on_delivery=self.delivered, **order(self.sent, self.rng))
                self.sent += 1
            self.producer.poll(0.002)
            time.sleep(self.rng.uniform(0, self.rest_s))

    def finish(self):
        """All that is allowed has reached the broker."""
        self.case.until(lambda: self.sent == self.allowed, "all is sent")
        self.end()
        self.case.assertEqual((self.producer.flush(DEADLINE), self.failed), (0, 0))

    def end(self):
        self.ended = True
        self.thread.join()


# ---- what must come of it ----

class Oracle:
    """The feature rows of what is in a topic, from the definition of the windows, and the places of what is refused.
    `rows`: {(partition, offset): row as it first goes out}; `newest`: {key: its newest row, of all that came}."""

    def __init__(self, messages):
        self.rows, self.refused, self.ids = {}, set(), []
        self.events = collections.defaultdict(list)  # of a key: (second, arrival, event), sorted
        self.newest_of_partition = {}
        for number, found in enumerate(messages):
            self.take(number, found)
        self.newest = {key: self.row(events, len(events) - 1) for key, events in self.events.items()}

    def take(self, number, found):
        place = found.partition(), found.offset()
        try:
            record = json.loads(found.value())
        except ValueError:
            self.refused.add(place)
            return
        self.ids.append(record["id"])
        second = int(record["seen"][8:10]) * 86400 + sum(int(record["seen"][at:at + 2]) * unit for at, unit in
                                                          ((11, 3600), (14, 60), (17, 1))) - 86400
        newest = self.newest_of_partition.get(place[0], second)
        if second < newest - LATENESS_S:
            self.refused.add(place)
            return
        self.newest_of_partition[place[0]] = max(newest, second)
        events = self.events[record["key"]]
        at = bisect.bisect(events, (second, number))
        events.insert(at, (second, number, record, place))
        self.rows[place] = self.row(events, at)

    @staticmethod
    def row(events, at):
        second, _, record, place = events[at]
        row = {"key": record["key"], "timestamp": second_text(second), "id": record["id"]}
        until = bisect.bisect(events, (second + 1,))
        for name, length in (("1_minute", 60), ("20_minutes", 1200)):
            values = [event["value"] for _, _, event, _ in events[bisect.bisect(events, (second - length,)):until]]
            row[f"v__count_over_{name}_fixed_windows"] = len(values)
            row[f"v__avg_over_{name}_fixed_windows"] = sum(values) / len(values)
            row[f"v__max_over_{name}_fixed_windows"] = max(values)
        row["n__sum_over_7_events_row_windows"] = sum(event["id"] for _, _, event, _ in events[max(0, at - 6):at + 1])
        row["partition"], row["offset"] = place
        return row


class OracleCase(KafkaCase):

    def declare_windows(self, topic, kafka, sink, reader=""):
        self.declare_kafka(f"topic: {topic}", brokers=kafka.brokers, stream=True, query=QUERY, features=FEATURES,
                           timestamp=TIME, sink=sink, extra=FAST, reader=reader)

    def assert_rows(self, rows, expected):
        """Every row is the oracle's, and none is missing. Both: {something: row}, rows as dicts."""
        self.assertEqual(len(rows), len(expected))
        for place, row in rows.items():
            row["timestamp"] = row["timestamp"].replace("T", " ")[:19]
            if row != expected.get(place):
                self.fail(f"{place}: {row} should be {expected.get(place)}")

    def assert_as_oracle(self, kafka, topic, sent):
        oracle = Oracle(kafka.consume(topic))
        self.assertGreater(len(oracle.refused), 0)
        self.assertEqual(len(oracle.rows) + len(oracle.refused), sent)
        rows = self.history(COLUMNS)
        found = {(row["partition"], row["offset"]): row for row in rows}
        self.assertEqual(len(found), len(rows), "a row is there twice")
        self.assert_rows(found, oracle.rows)
        letters = [(int(letter["partition"].rpartition("/")[2]), letter["offset"]) for letter in self.dead_letters()]
        self.assertEqual(sorted(letters), sorted(oracle.refused))
        return oracle
