"""What the end-to-end tests of the reader `kafka` share: a declaration over a topic, messages, and what an
independent client found in the topic.

An event is the dict of freshet_testing.event(); its message has the event's key as its key, so that a key is in
one partition, as librdkafka's partitioner says unless a test says another one.
"""

import json
import subprocess

import services
from freshet_testing import DEADLINE, EVENTS, Case, event

ALL = "select * from online_feature_store__events order by id"
FEATURES = ("{name: id, type: bigint}", "{name: value, type: double}")
PLACE = ("{name: partition, type: integer, sql: kafka_metadata.partition}",
         "{name: offset, type: bigint, sql: kafka_metadata.offset}")


def message(i, **more):
    """The message of the i-th event."""
    record = event(i)
    return {"value": json.dumps(record), "key": record["key"], **more}


def messages(first, last, **more):
    return [message(i, **more) for i in range(first, last)]


class KafkaCase(Case):
    """A test with the broker that all share."""

    def setUp(self):
        super().setUp()
        self.kafka = services.shared_kafka()

    def declare_kafka(self, source, *, brokers=None, stream=False, value=None, schema=EVENTS, reader="",
                      query="select * from events", keys="{name: key, type: string}", timestamp="{from: seen}", features=FEATURES,
                      sink="- online: {debug: true}", extra="", id_extra="", name="events.yaml"):
        """Writes a declaration of the pipeline `events`. `source` is `topic: NAME`, or others of the kind; `reader` has more
        options, `a: 1, b: 2`."""
        if value is None:
            value = "{format: json, schema: {" + ", ".join(f"{k}: {v}" for k, v in schema.items()) + "}}"
        self.write(name, f"""\
version: 1
pipeline: events
source:
  readers:
    - id: events
      stream: {"true" if stream else "false"}
{id_extra}      kafka: {{{source}, brokers: "{brokers or self.kafka.brokers}", value: {value}{", " + reader if reader else ""}}}
  query: {json.dumps(query)}
feature_set:
  name: events
  entity: key
  keys: [{keys}]
  timestamp: {timestamp}
  features: [{", ".join(features)}]
sink:
  writers:
    {sink}
{extra}""")
        return name

    def run_once(self, *args, code=0, **named):
        finished = self.freshet("run", "events.yaml", "--once", "--progress", "none", *args, **named)
        self.assertEqual(finished.code, code, finished.err)
        return finished

    def rows(self, *args, sql=ALL, code=0, **named):
        """A run to its end: the rows of the debug table."""
        finished = self.run_once("--query", sql, "--format", "json", *args, code=code, **named)
        return [json.loads(text) for text in finished.out.splitlines()]

    def ids(self, *args, **named):
        return [row["id"] for row in self.rows(*args, **named)]


def kcat(*args, input=None):
    """An independent client: librdkafka's command line."""
    done = subprocess.run(["kcat", *args], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=DEADLINE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kcat {args}: {done.stderr}")
    return done.stdout
