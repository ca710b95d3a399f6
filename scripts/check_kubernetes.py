"""The manifests of packaging/kubernetes; see check-kubernetes, which runs this with what it needs."""

import copy
import os
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(HERE, "packaging", "kubernetes")
VERSION = "1.29"  # ReadWriteOncePod is stable since then


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def is_valid(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return True
    except kubernetes_validate.ValidationError as wrong:
        print(f"{document['kind']}: {wrong.message} at {'.'.join(map(str, wrong.path))}", file=sys.stderr)
        return False


def check_selectors(by_kind, monitor):
    labels = by_kind["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in by_kind["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["ports"]}
    wanted = [by_kind["Service"]["spec"]["selector"], by_kind["StatefulSet"]["spec"]["selector"]["matchLabels"],
              monitor["spec"]["selector"]["matchLabels"]]
    assert all(labels == selector for selector in wanted), "a selector does not meet the pod"
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in ports and endpoint["path"] == "/metrics", "the PodMonitor does not meet the port"
    container = by_kind["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    (token,) = [item["valueFrom"]["secretKeyRef"] for item in container["env"] if item["name"] == "HTTP_TOKEN"]
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": token}, "the PodMonitor has another token"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports, probe


def main():
    documents = load("freshet.yaml")
    (monitor,) = load("podmonitor.yaml")
    good = all([is_valid(document) for document in documents])
    by_kind = {document["kind"]: document for document in documents}
    assert set(by_kind) == {"ConfigMap", "Service", "StatefulSet"}, by_kind.keys()
    wrong = copy.deepcopy(by_kind["StatefulSet"])
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    sys.stderr.flush()
    try:
        kubernetes_validate.validate(wrong, VERSION, strict=True)
        sys.exit("the schema takes what it should not: nothing is checked")
    except kubernetes_validate.ValidationError:
        pass
    check_selectors(by_kind, monitor)
    (text,) = by_kind["ConfigMap"]["data"].values()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "orders.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/var/lib/freshet", folder))
        env = dict(os.environ, KAFKA_BROKERS="127.0.0.1:1", HTTP_TOKEN="0123456789abcdef0123456789abcdef")
        checked = subprocess.run([sys.argv[1], "check", path], env=env, capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        sys.exit("freshet check: " + checked.stderr)
    print("check-kubernetes: " + ("all well" if good else "FAILED"))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
