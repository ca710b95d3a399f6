# needs: kafka
"""From a real Kafka into a real Cassandra while the stream is killed with kill -9 again and again, and the node stands
still, dies and comes back: in the end every cell is what a plain computation over all events says.

FRESHET_KILLS says how often (10; then the node only stands still for a moment). With 50 and more there are 100,000 events,
and the node stands still for 10 s and is killed three times.
"""

import datetime
import json
import os
import signal
import time
import unittest

import services
from cassandra_testing import CassandraCase
from freshet_testing import Case

KILLS = int(os.environ.get("FRESHET_KILLS", "10"))
IS_LONG = KILLS >= 50
EVENTS = 100000 if IS_LONG else 2000 * KILLS
KEYS = EVENTS // 20
STILL_S = 10 if IS_LONG else 2
EPOCH = datetime.datetime(1970, 1, 1)
BEGIN_MS = 1704067200000

DECLARATION = """\
version: 1
pipeline: {pipeline}
source:
  readers:
    - id: events
      stream: true
      kafka:
        topic: {topic}
        brokers: "{brokers}"
        start: earliest
        value: {{format: json, schema: {{id: bigint, key: string, seen: bigint, value: bigint}}}}
  query: select * from events
feature_set:
  name: {pipeline}
  entity: key
  keys: [{{name: key, type: string}}]
  timestamp: {{from: seen, unit: ms, lateness: 5 minutes}}
  features:
{features}
sink:
  writers:
    {sink}
checkpoint: {{interval: 50 ms}}
"""

PLAIN = """\
    - {name: id, type: bigint}
    - {name: value, type: bigint}
"""
WINDOW = PLAIN + """\
    - {name: v, from: value, window: {functions: [count, {sum: bigint}], over: [1 minute]}}
    - {name: v, from: value, window: {functions: [{sum: bigint}], over: [3 events], mode: row_windows}}
"""
COUNT, SUM, LAST = "v__count_over_1_minute_fixed_windows", "v__sum_over_1_minute_fixed_windows", \
    "v__sum_over_3_events_row_windows"


def newest(events, with_windows):
    """By key the row of the newest event, of equal times the last to come, with what its windows hold."""
    by_key = {}
    for event in events:
        by_key.setdefault(event["key"], []).append(event)
    rows = {}
    for key, mine in by_key.items():
        order = sorted(range(len(mine)), key=lambda i, mine=mine: (mine[i]["seen"] // 1000, i))
        at = max(range(len(mine)), key=lambda i, mine=mine: (mine[i]["seen"], i))
        row = rows[key] = {"key": key, "timestamp": mine[at]["seen"], "id": mine[at]["id"], "value": mine[at]["value"]}
        if with_windows:
            second = mine[at]["seen"] // 1000
            inside = [event["value"] for event in mine if second - 60 <= event["seen"] // 1000 <= second]
            last = order[:order.index(at) + 1][-3:]
            row.update({COUNT: len(inside), SUM: sum(inside), LAST: sum(mine[i]["value"] for i in last)})
    return rows


class KillTest(CassandraCase):

    @classmethod
    def setUpClass(cls):
        Case.setUpClass()

    def make_events(self):
        """Up to a minute late, many at the same time."""
        for i in range(EVENTS):
            late = self.rng.choice((0, 0, 0, self.rng.randrange(60)))
            seen = BEGIN_MS + (max(0, i * 600 // EVENTS - late) * 1000 + self.rng.choice((0, 0, 500, 999)))
            yield {"id": i, "key": f"k{self.rng.randrange(KEYS)}", "seen": seen, "value": self.rng.randrange(1000)}

    def declare_one(self, topic, pipeline, features):
        self.write(f"{pipeline}.yaml", DECLARATION.format(
            pipeline=pipeline, topic=topic, brokers=self.kafka.brokers, features=features.rstrip("\n"),
            sink=self.store(cassandra=self.cassandra, request_timeout="2 seconds")))
        self.good("apply", f"{pipeline}.yaml", "--yes")

    def trouble_of(self, times):
        """What happens to the node before a kill, and what mends it."""
        server = self.cassandra.server
        if times == KILLS // 2:
            return server.pause, server.resume, STILL_S
        if IS_LONG and times in (KILLS // 4, KILLS * 5 // 8, KILLS * 7 // 8):
            return server.kill, server.start, 3
        return None

    def kill_once(self, pipeline, times):
        run = self.start("run", f"{pipeline}.yaml", "--progress", "none", "--step-rows", "100")
        self.saved += run.until_checkpoints(self.rng.randint(2, 3), pipeline)
        time.sleep(self.rng.uniform(0, 0.02))
        trouble = self.trouble_of(times)
        if trouble is not None:
            trouble[0]()
            time.sleep(trouble[2])
        self.assertTrue(run.is_running(), run.err())
        run.signal(signal.SIGKILL)
        run.process.wait()
        if trouble is not None:
            trouble[1]()
        for text in run.err().splitlines():
            if " goes on from checkpoint " in text:
                self.seen.add((pipeline, text.split(" checkpoint ")[1].split(" ")[0]))

    def test_kill(self):
        """Windows and plain rows in turns, each a stream of its own over the same topic."""
        self.kafka = services.shared_kafka()
        self.cassandra = services.own_cassandra(self, sync="batch")
        self.keyspace = self.cassandra.keyspace()
        topic = self.kafka.topic(partitions=4)
        pipelines = {f"windows_{self.pipeline}": WINDOW, f"plain_{self.pipeline}": PLAIN}
        for pipeline, features in pipelines.items():
            self.declare_one(topic, pipeline, features)
        events = list(self.make_events())
        self.seen, self.saved = set(), 0
        for times in range(KILLS):
            piece = events[EVENTS * times // KILLS:EVENTS * (times + 1) // KILLS]
            self.kafka.produce(topic, [{"value": json.dumps(event), "key": event["key"]} for event in piece])
            self.kill_once(list(pipelines)[times % 2], times)
        self.assertGreater(self.saved, 2, "kills must come in the middle")
        self.assertGreaterEqual(len(self.seen), self.saved - len(pipelines), "each time something new was saved")
        self.cassandra.close()
        for pipeline in pipelines:
            self.run_once(f"{pipeline}.yaml")
            expected = newest(events, pipelines[pipeline] is WINDOW)
            found = {row["key"]: {**row, "timestamp": round((row["timestamp"] - EPOCH) / datetime.timedelta(milliseconds=1))}
                     for row in self.rows(table=pipeline)}
            self.assertEqual(set(found), set(expected))
            wrong = {key: (found[key], row) for key, row in expected.items() if found[key] != row}
            self.assertEqual(list(wrong.items())[:3], [], f"{len(wrong)} of {len(expected)} keys of {pipeline}")
            self.assertEqual(self.dead_letters(pipeline), [])


if __name__ == "__main__":
    unittest.main()
