# needs: kafka
# release only
"""How much memory the reader `kafka` takes: of many partitions, and where nobody takes what it has fetched."""

import json
import time
import unittest

from kafka_testing import KafkaCase, message


class MemoryTest(KafkaCase):

    def peak_mib(self, run):
        with open(f"/proc/{run.pid}/status", encoding="ascii", errors="replace") as status:
            return int(next(text for text in status if text.startswith("VmHWM:")).split()[1]) / 1024

    def peak_of_stream(self, topic, n):
        self.declare_kafka(f"topic: {topic}", stream=True)
        run = self.start_run("events.yaml", "--progress", "none")
        self.until_count(n, run)
        peak = self.peak_mib(run)
        run.stop()
        return peak

    def test_thousand_partitions(self):
        few = self.kafka.topic(partitions=4)
        many = self.kafka.topic(partitions=1000, segment_index_bytes=4096)
        self.addCleanup(self.kafka.delete_topic, many)
        for topic, partitions in ((few, 4), (many, 1000)):
            self.kafka.produce(topic, (message(i, partition=i % partitions) for i in range(20000)))
        base = self.peak_of_stream(few, 20000)
        started = time.monotonic()
        peak = self.peak_of_stream(many, 20000)
        took = time.monotonic() - started
        print(f"4 partitions {base:.0f} MiB, 1,000 partitions {peak:.0f} MiB in {took:.1f} s", end=" ", flush=True)
        self.assertLess(peak, base + 48)
        self.declare_kafka(f"topic: {many}")
        self.assertEqual(self.ids(), list(range(20000)))

    def test_slow_sink(self):
        """What is far behind fetches no more than `memory`, and goes on."""
        topic = self.kafka.topic(partitions=4)
        one = json.dumps(dict(json.loads(message(0)["value"]), more="x" * 10000))
        self.kafka.produce(topic, ({"value": one, "partition": i % 4} for i in range(20000)))  # 200 MB
        slow = ("{name: slow, type: bigint, sql: \"list_sum(range(100000 + id))\"}", "{name: id, type: bigint}")
        self.declare_kafka(f"topic: {topic}", stream=True, features=slow, reader="memory: 4 MiB")
        run = self.start_run("events.yaml", "--progress", "none", "--step-rows", "5")
        peaks = []
        for n in (500, 1500):
            self.until(lambda n=n: self.count() > n, "it goes on", run)
            peaks.append(self.peak_mib(run))
        self.assertLess(self.count(), 20000)
        run.stop()
        print(f"{peaks[0]:.0f} and {peaks[1]:.0f} MiB", end=" ", flush=True)
        self.assertLess(peaks[1], 150)
        self.assertLess(peaks[1], peaks[0] + 16)


if __name__ == "__main__":
    unittest.main()
