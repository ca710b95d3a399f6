"""The windows job on Quix Streams, its state kept by hand in the store of each key: one of some processes in a consumer group.

    windows.py BROKERS TOPIC GROUP STATE_FOLDER EVENTS PROCESSES

The parts of the topic are shared out among the processes, so each ends when nothing has come for a while, and prints its check as a
line of JSON. With PROCESSES over 1 it starts the others itself.

Of each key the events of the last 180 s (event time) are kept, in order of arrival. For an event, the kept events of the 120 s up to it
are counted, and their amounts averaged; the key's row becomes the event with these two, unless the row has a later time already.
"""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone

from quixstreams import Application

WINDOW_MS = 120_000
KEPT_MS = 180_000
IDLE_S = 4
NOTHING_S = 60


def milliseconds(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000 + 0.5)


class Latest:
    """The newest row of each key of this process."""

    def __init__(self):
        self.rows, self.events, self.first, self.last = {}, 0, None, None

    def take(self, event, key, now, headers, state):
        """The state is [newest time, time of the row, the events kept]."""
        newest, row_time, kept = state.get("kept") or [now, -1, []]
        newest = max(newest, now)
        kept = [one for one in kept if one[0] >= newest - KEPT_MS]
        kept.append([now, event["amount"]])
        if now >= row_time:
            values = [value for at, value in kept if now - WINDOW_MS <= at <= now]
            self.rows[key] = (now, event["amount"], event["country"], event["kind"], event["qty"], len(values),
                              sum(values) / len(values))
            row_time = now
        state.set("kept", [newest, row_time, kept])
        self.last = time.time()
        self.first = self.first or self.last
        self.events += 1

    def check(self):
        rows = self.rows.values()
        return {"keys": len(rows), "cnt": sum(row[5] for row in rows), "avg": sum(row[6] for row in rows),
                "times": sum(row[0] * 1000 % 1_000_000_007 for row in rows), "events": self.events,
                "first": self.first, "last": self.last}


def end_when_idle(latest, events):
    """Ends the process when the events are all there, or no more come for this process."""
    started = time.time()
    while latest.events < events:
        time.sleep(0.1)
        if time.time() - (latest.last or started) > (IDLE_S if latest.last else NOTHING_S):
            break
    if latest.events:
        print(json.dumps(latest.check()), flush=True)
    os._exit(0)


def main(brokers, topic, group, folder, events, processes):
    others = [subprocess.Popen([sys.executable, __file__, brokers, topic, group, "%s-%d" % (folder, i), events, "1"])
              for i in range(1, int(processes))]
    app = Application(broker_address=brokers, consumer_group=group, auto_offset_reset="earliest", state_dir=folder,
                      loglevel="WARNING", use_changelog_topics=False, commit_interval=5.0, commit_every=0,
                      consumer_extra_config={"fetch.min.bytes": 1, "queued.min.messages": 100000})
    source = app.topic(topic, value_deserializer="json", key_deserializer="str",
                       timestamp_extractor=lambda value, headers, timestamp, kind: milliseconds(value["ts"]))
    latest = Latest()
    app.dataframe(source).update(latest.take, stateful=True, metadata=True)

    def end():
        for other in others:
            other.wait()
        end_when_idle(latest, int(events))

    threading.Thread(target=end, daemon=True).start()
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
