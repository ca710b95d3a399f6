"""The benchmark kafka-writer as a script: a transactional producer of confluent_kafka, and the reader that checks both.

    kafka_producer.py write BROKERS TOPIC FILE...   the rows of the files' events, a transaction a second
    kafka_producer.py check BROKERS TOPIC           what a read_committed reader finds: rows, keys and sums, as JSON

It does less than Freshet: it does not note how far it came, so after a crash it would send all files once more.
"""

import json
import sys
import time
from datetime import datetime

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

TRANSACTION_S = 1.0
LOOK_EACH = 1000  # events between two looks at the clock


def tier(amount):
    if amount >= 500:
        return "high"
    return "mid" if amount >= 100 else "low"


def row_of(event):
    amount = event["amount"]
    at = datetime.fromisoformat(event["ts"]).isoformat(timespec="milliseconds") + "Z"
    return {"id": event["id"], "timestamp": at, "amount_usd": amount, "country_code": event["country"],
            "amount_taxed": amount * 1.12 + 3.5, "total": amount * event["qty"], "tier": tier(amount),
            "kind_upper": event["kind"].upper()}


def raise_error(error, _message):
    if error is not None:
        raise KafkaException(error)


def send(producer, topic, row):
    value, key = json.dumps(row, separators=(",", ":")), str(row["id"])
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=raise_error)
            return
        except BufferError:
            producer.poll(0.1)


def write(brokers, topic, *paths):
    producer = Producer({"bootstrap.servers": brokers, "transactional.id": "bench-" + topic, "linger.ms": 5,
                         "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000})
    producer.init_transactions(30)
    producer.begin_transaction()
    began, n = time.monotonic(), 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                send(producer, topic, row_of(json.loads(line)))
                n += 1
                if n % LOOK_EACH == 0:
                    producer.poll(0)
                    if time.monotonic() - began >= TRANSACTION_S:
                        producer.commit_transaction(60)
                        producer.begin_transaction()
                        began = time.monotonic()
    producer.commit_transaction(60)


def partitions_with_ends(reader, topic):
    found = reader.list_topics(topic, 30).topics[topic].partitions
    return {p: reader.get_watermark_offsets(TopicPartition(topic, p), 30)[1] for p in found}


def rows_in(brokers, topic):
    reader = Consumer({"bootstrap.servers": brokers, "group.id": "bench-check", "isolation.level": "read_committed",
                       "enable.auto.commit": False, "enable.partition.eof": True})
    waits = {p for p, end in partitions_with_ends(reader, topic).items() if end > 0}
    reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in waits])
    while waits:
        for message in reader.consume(10000, 1):
            if message.error() is None:
                yield message.key(), json.loads(message.value())
            elif message.error().name() == "_PARTITION_EOF":
                waits.discard(message.partition())
            else:
                raise KafkaException(message.error())
    reader.close()


def check(brokers, topic):
    keys, rows, high, views = set(), 0, 0, 0
    amount = taxed = total = 0.0
    newest = ""
    for key, row in rows_in(brokers, topic):
        keys.add(key)
        rows += 1
        high += row["tier"] == "high"
        views += row["kind_upper"] == "VIEW"
        amount += row["amount_usd"]
        taxed += row["amount_taxed"]
        total += row["total"]
        newest = max(newest, row["timestamp"])
    print(json.dumps({"rows": rows, "keys": len(keys), "amount": amount, "taxed": taxed, "total": total,
                      "high": high, "views": views,
                      "newest_ms": round(1000 * datetime.fromisoformat(newest).timestamp())}))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
