#!/usr/bin/env bash
#
# Feast's get_historical_features is to enrich an entity dataframe: labels go in, labels with features come out. Feast 0.67.0 with
# its file store (dask) gives fewer rows than it got, without a word. A row is gone whose entity has feature rows, but
# none in time: all come after it, or all are older than the view's ttl; a row whose entity has none at all stays, with nulls.
# And of two rows of one entity and time, as of two labels or two orders of one second, one is gone.
#
# Seen (feast 0.67.0, Python 3.11), of the rows 0 to 5:
#   after the feature row: kept
#   before the first feature row: gone
#   older than the ttl: gone
#   entity without feature rows: kept
#   same entity and time, the first: gone
#   same entity and time, the second: kept

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check feast==0.67.0
cd "$work"
cat >seen.py <<'PY'
import warnings

warnings.simplefilter("ignore")
import datetime
import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import Int64

noon = pandas.Timestamp("2024-05-01 12:00", tz="UTC")
hour = pandas.Timedelta(hours=1)
pandas.DataFrame([(1, noon, 10), (2, noon, 20)], columns=["customer", "at", "amount"]).to_parquet("rows.parquet")
labels = pandas.DataFrame([
    ("after the feature row", 1, noon + hour), ("before the first feature row", 1, noon - hour),
    ("older than the ttl", 1, noon + 48 * hour), ("entity without feature rows", 3, noon + hour),
    ("same entity and time, the first", 2, noon + hour), ("same entity and time, the second", 2, noon + hour),
], columns=["label", "customer", "event_timestamp"])
store = FeatureStore(config=RepoConfig(
    project="p", provider="local", registry="registry.db", entity_key_serialization_version=3,
    online_store={"type": "sqlite", "path": "online.db"}, offline_store={"type": "dask"}))
customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
view = FeatureView(name="v", entities=[customer], ttl=datetime.timedelta(days=1), schema=[Field(name="amount", dtype=Int64)],
                   source=FileSource(path="rows.parquet", timestamp_field="at"))
store.apply([customer, view])
found = set(store.get_historical_features(entity_df=labels, features=["v:amount"]).to_df()["label"])
for label in labels["label"]:
    print(f"{label}: {'kept' if label in found else 'gone'}")
PY
venv/bin/python seen.py 2>log | tee seen || { cat log; exit 1; }
diff - seen <<'SEEN'
after the feature row: kept
before the first feature row: gone
older than the ttl: gone
entity without feature rows: kept
same entity and time, the first: gone
same entity and time, the second: kept
SEEN
