"""The figures of a run, as Prometheus reads them: by promtool, by a Prometheus that scrapes; the page of them; alert rules; the
dashboard."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import unittest
import urllib.parse
import urllib.request

from freshet_testing import DEADLINE, SOURCE, Case, lines
from http_testing import Site

MONITORING = os.path.join(SOURCE, "monitoring")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
FEATURES = ("{name: id, type: bigint}", "{name: value, type: double}",
            "{name: spent, from: value, window: {functions: [sum], over: [1 hour]}}")


def samples(text):
    """{(name, labels as text): number} of a page."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, number = SAMPLE.match(line).groups()
            found[name, labels or ""] = float(number)
    return found


def described():
    """The metrics of the page, by their kind."""
    with open(os.path.join(SOURCE, "docs", "reference", "metrics.md"), encoding="utf-8") as page:
        return dict(re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|", page.read()))


def named(expression):
    """The metrics that an expression names."""
    return set(re.findall(r"\b(?:freshet|process)_[a-z_]+\b", expression))


class MetricsTest(Case):

    def site(self, **named_options):
        self.declare(features=FEATURES, sink="- history: {path: out}", extra="http: 127.0.0.1:0\n", **named_options)
        run = self.start("run", "events.yaml", "--progress", "none")
        return run, Site(self, run)

    def figure(self, site, name, labels=""):
        return samples(site.ask("/metrics").text).get((name, 'pipeline="events"' + labels))

    def test_of_a_run(self):
        run, site = self.site()
        bad = b'{"id": "x", "key": "k1", "seen": "2024-01-01T00:00:00Z", "value": 1}\n'
        self.write("in/a.jsonl", lines(0, 70) + bad)
        self.until(lambda: self.figure(site, "freshet_rows_written_total", ',writer="history"') == 70, "70 rows written", run)
        self.until(lambda: self.figure(site, "freshet_latency_seconds_count", ',writer="history"') == 70, "70 latencies", run)
        told = site.ask("/metrics")
        self.assertEqual(told.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        found = {name + labels: number for (name, labels), number in samples(told.text).items()}
        own = 'pipeline="events"'
        for name, number in ((f"freshet_rows_read_total{own}", 71), (f'freshet_dead_letters_total{own},reason="bad_cast"', 1),
                             (f'freshet_dead_letters_total{own},reason="late"', 0), (f"freshet_ready{own}", 1),
                             (f'freshet_lag_bytes{own},reader="events",partition=""', 0),
                             (f'freshet_event_timestamp_seconds{own},reader="events",partition=""', 1704067200 + 69),
                             (f'freshet_state_keys{own},part="windows"', 7),
                             (f'freshet_writer_in_flight_rows{own},writer="history"', 0)):
            self.assertEqual(found.get(name), number, name + "\n" + told.text)
        for name in ("freshet_checkpoints_total", "freshet_checkpoint_bytes", "freshet_checkpoint_timestamp_seconds",
                     "freshet_step_duration_seconds_count", 'freshet_state_store_reads_total'):
            with self.subTest(name):
                self.assertTrue(any(number > 0 for key, number in found.items() if key.startswith(name + own)) or
                                name.endswith("reads_total"), told.text)
        self.assertGreater(found["process_resident_memory_bytes"], 1e6)
        self.assertGreater(found["process_open_fds"], 3)
        self.assertLess(abs(found["process_start_time_seconds"] - os.stat(f"/proc/{run.pid}").st_ctime), DEADLINE)
        run.stop()

    def test_openmetrics(self):
        run, site = self.site()
        told = site.ask("/metrics", Accept=OPENMETRICS)
        self.assertEqual(told.headers["Content-Type"], "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertTrue(told.text.endswith("\n# EOF\n"))
        run.stop()

    def test_page(self):
        """It is the table of the program; and a run gives no metric that it has not."""
        with open(os.path.join(SOURCE, "docs", "reference", "metrics.md"), encoding="utf-8") as page:
            self.assertEqual(page.read(), self.good("schema", "--metrics"),
                             "make it anew: freshet schema --metrics > docs/reference/metrics.md")
        run, site = self.site()
        self.write("in/a.jsonl", lines(0, 7))
        self.until(lambda: self.figure(site, "freshet_latency_seconds_count", ',writer="history"') == 7, "7 rows", run)
        typed = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", site.ask("/metrics").text))
        self.assertEqual(typed, described())
        run.stop()

    @unittest.skipIf(shutil.which("promtool") is None, "no promtool: scripts/setup test installs it")
    def test_promtool_is_content(self):
        run, site = self.site()
        self.write("in/a.jsonl", lines(0, 7))
        self.until(lambda: self.figure(site, "freshet_latency_seconds_count", ',writer="history"') == 7, "7 rows", run)
        checked = subprocess.run(["promtool", "check", "metrics"], input=site.ask("/metrics").text, capture_output=True,
                                 text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        run.stop()


class MonitoringTest(unittest.TestCase):
    """What is shipped in monitoring/."""

    def read(self, name):
        with open(os.path.join(MONITORING, name), encoding="utf-8") as file:
            return file.read()

    def assert_known(self, expressions):
        types = described()
        known = set(types) | {f"{name}_{end}" for name, kind in types.items() if kind == "histogram"
                              for end in ("bucket", "sum", "count")}
        n = 0
        for expression in expressions:
            n += 1
            self.assertTrue(named(expression), expression)
            self.assertEqual(named(expression) - known, set(), expression)
        return n

    @unittest.skipIf(shutil.which("promtool") is None, "no promtool: scripts/setup test installs it")
    def test_alerts(self):
        for args in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.test.yaml")):
            told = subprocess.run(["promtool", *args], cwd=MONITORING, capture_output=True, text=True, check=False)
            self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def test_alerts_name_what_there_is(self):
        text = self.read("alerts.yaml")
        expressions = [found for found in re.findall(r"(?m)^ +expr: (.*)$", text) if not found.startswith("up{")]
        self.assertGreater(self.assert_known(expressions), 7)
        self.assert_known(found for found in re.findall(r'description: "(.*)"', text) if named(found))
        names = re.findall(r"- alert: (\w+)", text)
        tested = self.read("alerts.test.yaml")
        with open(os.path.join(SOURCE, "docs", "guide", "http.md"), encoding="utf-8") as page:
            told = page.read()
        for name in names:
            self.assertRegex(tested, rf"alertname: {name}\n +exp_alerts", name)
            self.assertRegex(tested, rf"alertname: {name}}}", name)
            self.assertIn(f"`{name}`", told)

    def test_dashboard(self):
        board = json.loads(self.read("grafana.json"))
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        expressions = [target["expr"] for panel in panels for target in panel["targets"]]
        expressions += [one["query"] for one in board["templating"]["list"] if one["type"] == "query"]
        self.assertGreater(self.assert_known(expressions), 10)
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        if shutil.which("promtool"):  # each is an expression
            rules = {"groups": [{"name": "g", "rules": [
                {"record": f"r{i}", "expr": re.sub(r"\$\w+", "5m", expression)}
                for i, expression in enumerate(expressions) if not expression.startswith("label_values")]}]}
            checked = subprocess.run(["promtool", "check", "rules", "/dev/stdin"], input=json.dumps(rules), capture_output=True,
                                     text=True, check=False)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


@unittest.skipIf(shutil.which("prometheus") is None, "no Prometheus: scripts/setup test installs it")
class PrometheusTest(Case):
    """A real one scrapes a run, with the rules."""

    def ask(self, port, path, **query):
        url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return json.load(answer)["data"]
        return None

    def start_prometheus(self, site, token):
        shutil.copy(os.path.join(MONITORING, "alerts.yaml"), self.path("alerts.yaml"))
        self.write("prometheus.yml", f"""\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: freshet
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{site.port}"]}}]
""")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with open(self.path("prometheus.log"), "wb") as log:
            server = subprocess.Popen(["prometheus", "--config.file", self.path("prometheus.yml"), "--storage.tsdb.path", self.path("tsdb"),
                                       "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn"], stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server, port

    def value(self, port, expression):
        data = self.ask(port, "/api/v1/query", query=expression)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def until_value(self, server, port, expression, number):
        def holds():
            if server.poll() is not None:
                with open(self.path("prometheus.log"), encoding="utf-8", errors="replace") as log:
                    self.fail("Prometheus ended:\n" + log.read())
            return self.value(port, expression) == number
        self.until(holds, f"{expression} is {number}")

    def test_scrapes(self):
        self.declare(features=FEATURES, sink="- history: {path: out}", extra='http: {listen: "127.0.0.1:0", token: hush-hush}\n')
        run = self.start("run", "events.yaml", "--progress", "none")
        site = Site(self, run)
        server, port = self.start_prometheus(site, "hush-hush")
        self.until_value(server, port, "freshet_rows_read_total", 0)
        self.write("in/a.jsonl", lines(0, 70))
        self.until_value(server, port, 'freshet_rows_written_total{pipeline="events",writer="history"}', 70)
        self.until_value(server, port, 'sum(freshet_latency_seconds_bucket{le="+Inf"})', 70)
        self.until_value(server, port, "up", 1)
        rules = self.ask(port, "/api/v1/rules")
        self.assertEqual({rule["health"] for group in rules["groups"] for rule in group["rules"]} - {"ok", "unknown"}, set())
        run.stop()
        self.until_value(server, port, "up", 0)
        self.until(lambda: any(alert["labels"]["alertname"] == "FreshetDown" for alert in
                               (self.ask(port, "/api/v1/alerts") or {"alerts": []})["alerts"]), "an alert that is pending")


if __name__ == "__main__":
    unittest.main()
