"""The same feature sets in Butterfree: what the YAML files beside this one are held against.

    python declarations.py        writes expected/*.jsonl

It needs butterfree 1.8.0 with PySpark 3.5.1 and Java; Freshet does not. The listings are those of Butterfree's tutorials in
structure, with data of our own.
"""

import json
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from butterfree.clients import SparkClient
from butterfree.constants import DataType
from butterfree.extract import Source
from butterfree.extract.pre_processing import explode_json_column, filter
from butterfree.extract.readers import FileReader
from butterfree.load import Sink
from butterfree.load.writers import HistoricalFeatureStoreWriter, OnlineFeatureStoreWriter
from butterfree.pipelines import FeatureSetPipeline
from butterfree.transform import FeatureSet
from butterfree.transform.aggregated_feature_set import AggregatedFeatureSet
from butterfree.transform.features import Feature, KeyFeature, TimestampFeature
from butterfree.transform.transformations import (AggregatedTransform, CustomTransform, SparkFunctionTransform,
                                                  SQLExpressionTransform)
from butterfree.transform.transformations.h3_transform import H3HashTransform
from butterfree.transform.utils import Function

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")


def listings(*with_filter):
    region = FileReader(id="region", path=DATA + "/region.json", format="json")
    if with_filter:
        region = region.with_(transformer=filter, condition="region == 'Coast'")
    return Source(
        readers=[FileReader(id="listing_events", path=DATA + "/listing_events.json", format="json"), region],
        query="""
            select
                listing_events.*,
                region.city,
                region.region as region_name,
                region.lat,
                region.lng
            from
                listing_events
                join region
                  on listing_events.region_id = region.id
        """)


def house_keys():
    return [KeyFeature(name="id", description="The house", dtype=DataType.BIGINT)]


def house_features(over_area, after_rent=()):
    return [
        Feature(name="rent", description="Rent of a month", dtype=DataType.FLOAT),
        *after_rent,
        Feature(name="rent_over_area", description="Rent by square metre", dtype=DataType.FLOAT,
                transformation=over_area("rent")),
        Feature(name="bedrooms", description="Bedrooms", dtype=DataType.INTEGER),
        Feature(name="bathrooms", description="Bathrooms", dtype=DataType.INTEGER),
        Feature(name="area", description="Square metres", dtype=DataType.FLOAT),
        Feature(name="bedrooms_over_area", description="Bedrooms by square metre", dtype=DataType.FLOAT,
                transformation=over_area("bedrooms")),
        Feature(name="bathrooms_over_area", description="Bathrooms by square metre", dtype=DataType.FLOAT,
                transformation=over_area("bathrooms")),
        Feature(name="latitude", description="Where it is", from_column="lat", dtype=DataType.DOUBLE),
        Feature(name="longitude", description="Where it is", from_column="lng", dtype=DataType.DOUBLE),
        Feature(name="h3", description="Its H3 cell", dtype=DataType.STRING,
                transformation=H3HashTransform(h3_resolutions=[10], lat_column="latitude", lng_column="longitude")),
        Feature(name="city", description="Its city", dtype=DataType.STRING),
        Feature(name="region", description="Its region", from_column="region_name", dtype=DataType.STRING),
    ]


def divide(df, fs, column1, column2):
    return df.withColumn(fs.get_output_columns()[0], F.col(column1) / F.col(column2))


def simple():
    return listings("filtered"), FeatureSet(
        name="house_listings", entity="house", description="A house listing", keys=house_keys(),
        timestamp=TimestampFeature(from_ms=True), deduplicate_rows=False,
        features=house_features(lambda column: SQLExpressionTransform(column + " / area")))


def functions_and_windows():
    windows = Feature(
        name="rent", description="Rent of the last listings", dtype=DataType.FLOAT,
        transformation=SparkFunctionTransform(
            functions=[Function(F.avg, DataType.FLOAT), Function(F.stddev_pop, DataType.FLOAT)],
        ).with_window(partition_by="id", mode="row_windows", window_definition=["2 events"]))
    return listings("filtered"), FeatureSet(
        name="house_listings", entity="house", description="A house listing", keys=house_keys(),
        timestamp=TimestampFeature(from_column="timestamp", from_ms=True), deduplicate_rows=False,
        features=house_features(lambda column: CustomTransform(transformer=divide, column1=column, column2="area"),
                                [windows]))


def aggregated_set():
    return AggregatedFeatureSet(
        name="house_listings", entity="house", description="A house listing", keys=house_keys(),
        timestamp=TimestampFeature(from_ms=True), deduplicate_rows=False,
        features=[Feature(
            name="rent", description="Rent of a month",
            transformation=AggregatedTransform(
                functions=[Function(F.avg, DataType.DOUBLE), Function(F.stddev_pop, DataType.DOUBLE)],
                filter_expression="region_name = 'Coast'"))])


def aggregated():
    return listings(), aggregated_set()


def aggregated_windows():
    return listings(), aggregated_set().with_windows(definitions=["1 day"])


def aggregated_pivot():
    return listings(), aggregated_set().with_pivot(column="city", values=["Alder"]).with_windows(definitions=["1 day"])


def streaming():
    payload = StructType([StructField("id_bike", IntegerType()), StructField("lock", StringType())])
    source = Source(
        readers=[
            FileReader(id="events", path=DATA + "/rides", format="json").with_(
                transformer=explode_json_column, column="payload", json_schema=payload),
            FileReader(id="catalogue", path=DATA + "/catalogue.json", format="json"),
        ],
        query="""
            select
                events.*,
                catalogue.name,
                catalogue.type
            from
                events
                join catalogue
                    on events.id_bike = catalogue.id
        """)
    return source, FeatureSet(
        name="bike_rides", entity="ride", description="Rides, with what is known of their bikes",
        keys=[KeyFeature(name="id_ride", description="The ride", from_column="id", dtype=DataType.INTEGER)],
        timestamp=TimestampFeature(from_ms=True), deduplicate_rows=False,
        features=[
            Feature(name="id_bike", description="The bike", dtype=DataType.INTEGER),
            Feature(name="bike_name", description="Its name", from_column="name", dtype=DataType.STRING),
            Feature(name="bike_type", description="What it is for", from_column="type", dtype=DataType.STRING),
        ])


RUNS = [  # name, declaration, dates
    ("simple", simple, {}),
    ("functions_and_windows", functions_and_windows, {}),
    ("aggregated", aggregated, {}),
    ("aggregated_windows", aggregated_windows, {"end_date": "2020-05-30"}),
    ("aggregated_pivot", aggregated_pivot, {"end_date": "2020-05-30"}),
    ("interval_runs.all", aggregated_windows, {"end_date": "2020-05-30"}),
    ("interval_runs.interval", aggregated_windows, {"start_date": "2020-05-06", "end_date": "2020-05-21"}),
    ("interval_runs.day", aggregated_windows, {"start_date": "2020-05-10", "end_date": "2020-05-10"}),
    ("streaming", streaming, {}),
]


def main():
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]")
    for name, value in {"spark.sql.session.timeZone": "UTC", "spark.driver.host": "127.0.0.1",
                        "spark.sql.shuffle.partitions": "2", "spark.ui.enabled": "false",
                        "spark.sql.jsonGenerator.ignoreNullFields": "false"}.items():
        builder = builder.config(name, value)
    builder.getOrCreate()
    os.makedirs(os.path.join(HERE, "expected"), exist_ok=True)
    for name, declaration, dates in RUNS:
        source, feature_set = declaration()
        client = SparkClient()
        writers = [HistoricalFeatureStoreWriter(debug_mode=True), OnlineFeatureStoreWriter(debug_mode=True)]
        FeatureSetPipeline(source=source, feature_set=feature_set, sink=Sink(writers=writers)).run(**dates)
        rows = client.conn.table("historical_feature_store__" + feature_set.name)
        columns = [column for column in rows.columns if column not in ("year", "month", "day")]
        lines = rows.select(*columns).orderBy("timestamp", columns[0]).toJSON().collect()
        with open(os.path.join(HERE, "expected", name + ".jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(json.loads(line), ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    main()
