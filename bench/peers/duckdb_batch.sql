-- The job of the benchmark `batch` in DuckDB: the same windows, by its own window functions.
copy (
    with events as (select id, timestamp, amount, kind from read_parquet(getvariable('files')))
    select id, timestamp, kind,
        count(amount) over day amount__count_over_1_day_fixed_windows,
        avg(amount) over day amount__avg_over_1_day_fixed_windows,
        count(amount) over week amount__count_over_7_days_fixed_windows,
        avg(amount) over week amount__avg_over_7_days_fixed_windows
    from events window
        day as (partition by id order by floor(epoch(timestamp))::bigint
                range between 86400 preceding and current row),
        week as (partition by id order by floor(epoch(timestamp))::bigint
                 range between 604800 preceding and current row)
) to 'batch-duckdb.parquet' (format parquet, compression zstd)
