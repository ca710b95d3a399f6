"""The feature set of events.yaml, declared with Butterfree: a key, a timestamp, six features without windows, a stream into its debug table.

    features.py files EVENTS FOLDER
    features.py kafka EVENTS BROKERS TOPIC JARS

On streams Butterfree refuses windows, so this is the job of the benchmark `events`. EVENTS is how many there are; after these it prints,
as a line of JSON, its check and the seconds from its start to when Spark was up, to the end of the first batch and to that of the last. BENCH_FOLDER is for Spark's files.
"""

import json
import sys
import time

STARTED = time.time()

from spark import session  # noqa: E402
from pyspark.sql.types import DoubleType, IntegerType, LongType, StringType, StructField, StructType  # noqa: E402

from butterfree.clients import SparkClient  # noqa: E402
from butterfree.constants import DataType  # noqa: E402
from butterfree.extract import Source  # noqa: E402
from butterfree.extract.readers import FileReader, KafkaReader  # noqa: E402
from butterfree.load import Sink  # noqa: E402
from butterfree.load.writers import OnlineFeatureStoreWriter  # noqa: E402
from butterfree.pipelines import FeatureSetPipeline  # noqa: E402
from butterfree.transform import FeatureSet  # noqa: E402
from butterfree.transform.features import Feature, KeyFeature, TimestampFeature  # noqa: E402
from butterfree.transform.transformations import SQLExpressionTransform  # noqa: E402

SCHEMA = StructType([StructField("id", LongType()), StructField("user", StringType()), StructField("ts", StringType()),
                     StructField("amount", DoubleType()), StructField("country", StringType()),
                     StructField("kind", StringType()), StructField("qty", IntegerType())])
TABLE = "online_feature_store__bench_events"
LOOK_S = 0.05
TIER = "CASE WHEN amount >= 500 THEN 'high' WHEN amount >= 100 THEN 'mid' ELSE 'low' END"
CHECK = """select count(*) as rows, count(distinct id) as keys, sum(amount_usd) as amount, sum(amount_taxed) as taxed,
    sum(total) as total, count_if(tier = 'high') as high, count_if(kind_upper = 'VIEW') as views,
    unix_millis(max(timestamp)) as newest_ms from """ + TABLE


def feature_set():
    def computed(name, dtype, sql):
        return Feature(name=name, description=name, dtype=dtype, transformation=SQLExpressionTransform(sql))

    return FeatureSet(
        name="bench_events", entity="bench", description="An event's features.",
        keys=[KeyFeature(name="id", description="key", dtype=DataType.BIGINT)],
        timestamp=TimestampFeature(from_column="ts"),
        features=[
            Feature(name="amount_usd", description="plain", dtype=DataType.DOUBLE, from_column="amount"),
            Feature(name="country_code", description="plain", dtype=DataType.STRING, from_column="country"),
            computed("amount_taxed", DataType.DOUBLE, "amount * 1.12D + 3.5D"),
            computed("total", DataType.DOUBLE, "amount * qty"),
            computed("tier", DataType.STRING, TIER),
            computed("kind_upper", DataType.STRING, "upper(kind)"),
        ])


def reader(source, words):
    if source == "files":
        return FileReader(id="events", path=words[0], format="json", schema=SCHEMA, stream=True)
    brokers, topic, _ = words
    return KafkaReader(id="events", topic=topic, value_schema=SCHEMA, connection_string=brokers,
                       topic_options={"startingOffsets": "earliest"})


def rows_read(query):
    if not query.isActive:
        raise SystemExit("the stream has ended: %s" % query.exception())
    return sum(progress["numInputRows"] for progress in query.recentProgress)


def wait_for(query, events):
    """When the first batch was done, and when all events were."""
    first = None
    while True:  # by its progress only: a question to the debug table itself takes seconds once it is large
        read = rows_read(query)
        if read and first is None:
            first = time.time()
        if read >= events:
            return first, time.time()
        time.sleep(LOOK_S)


def main(source, events, *words):
    spark = session(words[2] if source == "kafka" else "")
    begun = time.time()
    FeatureSetPipeline(
        spark_client=SparkClient(),
        source=Source(readers=[reader(source, words)], query="select id, user, ts, amount, country, kind, qty from events"),
        feature_set=feature_set(), sink=Sink(writers=[OnlineFeatureStoreWriter(debug_mode=True)])).run()
    query = spark.streams.active[0]
    first, last = wait_for(query, int(events))
    found = spark.sql(CHECK).first().asDict()
    query.stop()
    print(json.dumps(dict(found, from_s=begun - STARTED, first_s=first - STARTED, last_s=last - STARTED)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
