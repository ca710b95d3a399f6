"""What the tests of `freshet state fill` share: events of some users, a past of them, a run over all as the twin."""

import json
import os
import shutil

from freshet_testing import Case

READERS = """\
source:
  readers:
    - id: ev
      stream: true
      file: {{path: "{path}", format: json, order: name, schema: {{id: bigint, user: bigint, ts: bigint, amount: double, name: string}}}}
{reader}  query: select * from ev
"""
SINK = """\
sink:
  writers:
    - jsonl: {{path: {out}}}
{writers}checkpoint: {{interval: 100 milliseconds}}
"""
BEGIN = 1704067200


def line(event):
    return json.dumps(dict(zip(("id", "user", "ts", "amount", "name"), event))) + "\n"


class FillCase(Case):
    FILE = None  # the declaration that is filled

    def put(self, name, events):
        self.write(name, "".join(map(line, events)))

    def run_once(self, file=None, *args):
        return self.good("run", file or self.FILE, "--once", "--progress", "none", *args)

    def forget(self):
        for name in os.listdir(self.folder):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def twin(self, declared, events, **named):
        """A run of the declaration over all events, into twin.jsonl."""
        self.put("twin/1.jsonl", events)
        self.declare_it(declared, name="twin.yaml", path="twin/*.jsonl", out="twin.jsonl", **named)
        self.run_once("twin.yaml", "--state", "twin.state")
