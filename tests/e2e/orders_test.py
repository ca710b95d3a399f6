# needs: kafka
"""examples/orders as its README has it: orders that generate makes, sent by kcat, through orders.yaml."""

import json
import os
import subprocess
import unittest

from freshet_testing import DEADLINE, SOURCE
from kafka_testing import KafkaCase, kcat

EXAMPLE = os.path.join(SOURCE, "examples", "orders")
ORDERS = 3000
FIRST_MS = 1767225600000
HOUR_MS = 3600000


class OrdersTest(KafkaCase):

    def generate(self):
        done = subprocess.run([os.path.join(EXAMPLE, "generate"), "--orders", str(ORDERS), "--from", "2026-01-01T00:00:00"],
                              stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True)
        return done.stdout

    @staticmethod
    def read(text):
        """The order, or None where it is broken."""
        try:
            order = json.loads(text)
        except ValueError:
            return None
        right = isinstance(order["amount"], float) and order["customer_id"] is not None and \
            order["created_at"] < FIRST_MS + 100 * HOUR_MS
        return order if right else None

    def test_orders(self):
        lines = self.generate()
        self.assertEqual(lines, self.generate())
        orders = [self.read(text.partition("\t")[2]) for text in lines.splitlines()]
        self.assertEqual(len(orders), ORDERS)
        good = [order for order in orders if order is not None]
        topic = self.kafka.topic("orders")
        kcat("-P", "-b", self.kafka.brokers, "-t", topic, "-K", "\t", input=lines)
        self.env.update(KAFKA_CONSUMER_CONNECTION_STRING=self.kafka.brokers, ORDERS_TOPIC=topic,
                        ORDERS_DEAD_LETTERS=self.path("refused.jsonl"))
        out = self.good("run", os.path.join(EXAMPLE, "orders.yaml"), "--once", "--progress", "none", "--format", "json",
                        "--query", "select * from online_feature_store__customer_orders")
        rows = [json.loads(text) for text in out.splitlines()]
        self.assertEqual({row["order_id"] for row in rows}, {order["order_id"] for order in good})

        # the broken ones, each with its place, are the rest
        refused = self.read_lines("refused.jsonl")
        stored = {(f"{topic}/{m.partition()}", m.offset()): m.value().decode() for m in self.kafka.consume(topic)}
        self.assertEqual(len(refused), len(orders) - len(good))
        self.assertGreater(len(refused), 5)
        self.assertEqual(sorted((letter["partition"], letter["offset"]) for letter in refused),
                         sorted(place for place, text in stored.items() if self.read(text) is None))

        # each customer's newest row has what the orders say
        newest = {}
        for row in rows:
            kept = newest.setdefault(row["customer_id"], row)
            newest[row["customer_id"]] = row if row["timestamp"] >= kept["timestamp"] else kept
        for customer, row in newest.items():
            own = [order for order in good if order["customer_id"] == customer]
            last_ms = max(order["created_at"] for order in own)
            hour = [order for order in own if order["created_at"] // 1000 >= last_ms // 1000 - 3600]
            self.assertEqual(row["orders__count_over_1_hour_fixed_windows"], len(hour))
            self.assertAlmostEqual(row["spent__sum_over_1_hour_fixed_windows"], sum(order["amount"] for order in hour), 6)


if __name__ == "__main__":
    unittest.main()
