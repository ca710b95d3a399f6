# needs: kafka
# release only
"""The reader `kafka`, when the pipeline is killed again and again while messages flow: every row is what the oracle says.

FRESHET_KILLS says how often (10; `make torture` asks for 100, with a seed).
"""

import os
import signal
import time
import unittest

from kafka_oracle import HISTORY, Feeder, OracleCase

KILLS = int(os.environ.get("FRESHET_KILLS", "10"))


class PipelineKilledTest(OracleCase):

    def test_pipeline_killed_while_messages_flow(self):
        """kill -9 of the pipeline at random moments: no row is missing, none there twice, and each as if nothing had been."""
        topic = self.kafka.topic(partitions=4)
        self.declare_windows(topic, self.kafka, HISTORY)
        feeder = Feeder(self, self.kafka, topic, rest_s=0.01)
        seen, saved = set(), 0
        for _ in range(KILLS):
            feeder.allowed += 4000
            run = self.start("run", "events.yaml", "--progress", "none")
            if self.rng.random() < 0.2:
                time.sleep(self.rng.uniform(0, 0.3))
            else:
                self.until(lambda run=run: "reads 4 partitions" in run.err(), "it reads", run)
                saved += run.until_checkpoints(self.rng.randint(2, 3))
                time.sleep(self.rng.uniform(0, 0.02))
            self.assertTrue(run.is_running(), run.err())
            run.signal(signal.SIGKILL)
            run.process.wait()
            seen.update(text.split(" checkpoint ")[1].split(" ")[0]
                        for text in run.err().splitlines() if " goes on from checkpoint " in text)
        feeder.finish()
        self.assertGreater(saved, 2, "kills must come in the middle")
        self.assertGreaterEqual(len(seen), saved - 1, "each time something new was saved")
        self.run_once()
        self.assertIn(" 0 rows read", self.run_once().err)
        self.assert_as_oracle(self.kafka, topic, feeder.sent)


if __name__ == "__main__":
    unittest.main()
