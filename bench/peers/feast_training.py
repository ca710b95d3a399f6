"""`freshet training-set` beside Feast's get_historical_features (file store) and pandas' merge_asof on the same random data.

    python3 -m venv V && V/bin/pip install 'feast==0.67.*'
    FRESHET=build/freshet V/bin/python bench/peers/feast_training.py [SEEDS]

Keys and times have no ties, which Feast and pandas order as they like; ages are never just at their limit: the last line tells
what each gives there. Feast leaves out rows of the spine whose key has rows, but none in time: they count as null here, and
are told. The exit code is 1 where any value differs.
"""

import os
import random
import subprocess
import sys
import tempfile

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import Int64

START = pandas.Timestamp("2024-03-01", tz="UTC")
AGE = pandas.Timedelta(hours=30)


def minutes(n):
    return START + pandas.Timedelta(minutes=n)


def by_feast(folder, spine, history):
    os.makedirs(os.path.join(folder, "feast"), exist_ok=True)
    history.to_parquet(os.path.join(folder, "feast.parquet"), index=False)
    store = FeatureStore(config=RepoConfig(
        project="training", provider="local", registry=os.path.join(folder, "feast", "registry.db"),
        online_store={"type": "sqlite", "path": os.path.join(folder, "feast", "online.db")},
        offline_store={"type": "dask"}, entity_key_serialization_version=3))
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    view = FeatureView(name="h", entities=[customer], ttl=AGE.to_pytimedelta(), schema=[Field(name="value", dtype=Int64)],
                       source=FileSource(path=os.path.join(folder, "feast.parquet"), timestamp_field="timestamp"))
    store.apply([customer, view])
    entities = spine.rename(columns={"timestamp": "event_timestamp"})
    found = store.get_historical_features(entity_df=entities, features=["h:value"]).to_df()
    values = dict(zip(found["id"], found["value"]))
    lost = len(spine) - len(values)
    return [values.get(i) for i in spine["id"]], lost


def by_pandas(spine, history):
    found = pandas.merge_asof(spine.sort_values("timestamp"), history.sort_values("timestamp"), on="timestamp", by="customer",
                              tolerance=AGE)
    return found.sort_values("id")["value"].tolist()


def by_freshet(folder, spine, history):
    os.makedirs(os.path.join(folder, "h"), exist_ok=True)
    history.to_parquet(os.path.join(folder, "h", "1.parquet"), index=False)
    spine.to_parquet(os.path.join(folder, "spine.parquet"), index=False)
    subprocess.run([os.environ.get("FRESHET", "build/freshet"), "training-set", os.path.join(folder, "spine.parquet"),
                    "--from", os.path.join(folder, "h"), "--keys", "h=customer", "--max-age", "%ds" % AGE.total_seconds(),
                    "--progress", "none", "-o", os.path.join(folder, "out.parquet")], check=True)
    out = pandas.read_parquet(os.path.join(folder, "out.parquet"))
    assert out["id"].tolist() == spine["id"].tolist()
    return out["h__value"].tolist()


def plain(values):
    return [None if pandas.isna(value) else int(value) for value in values]


def all_three(spine, history):
    with tempfile.TemporaryDirectory() as folder:
        feast, lost = by_feast(folder, spine, history)
        return {"freshet": plain(by_freshet(folder, spine, history)), "pandas": plain(by_pandas(spine, history)),
                "feast": plain(feast)}, lost


def one(seed):
    rng = random.Random(seed)
    times = {(rng.randint(0, 9), 2 * rng.randint(0, 5_000)) for _ in range(800)}
    rows = [(key, minutes(minute), i) for i, (key, minute) in enumerate(sorted(times, key=lambda _: rng.random()))]
    history = pandas.DataFrame(rows, columns=["customer", "timestamp", "value"])
    # Odd minutes and even ones are never just AGE apart, nor at the same time.
    spine = pandas.DataFrame([(i, rng.randint(0, 11), minutes(2 * rng.randint(-200, 6_000) + 1)) for i in range(600)],
                             columns=["id", "customer", "timestamp"])
    found, lost = all_three(spine, history)
    different = {name: sum(a != b for a, b in zip(values, found["freshet"])) for name, values in found.items()}
    print("seed %d: %d of 600 rows have features; values that differ from freshet's: %s; rows that Feast left out: %d" % (
        seed, sum(value is not None for value in found["freshet"]), different, lost), flush=True)
    return sum(different.values())


def edges():
    """At the same time, just AGE ago, two rows of one key and time."""
    history = pandas.DataFrame([(1, minutes(0), 10), (2, minutes(0), 20), (2, minutes(0), 21), (3, minutes(0), 30)],
                               columns=["customer", "timestamp", "value"])
    spine = pandas.DataFrame([(0, 1, minutes(0)), (1, 2, minutes(5)), (2, 3, minutes(0) + AGE)],
                             columns=["id", "customer", "timestamp"])
    print("edges (the same time; two rows of one time; just the age): %s" % all_three(spine, history)[0])


if __name__ == "__main__":
    differing = sum(one(seed) for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
    edges()
    sys.exit(1 if differing else 0)
