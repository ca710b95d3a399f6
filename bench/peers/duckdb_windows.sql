-- What windows.yaml declares, by DuckDB alone: windows of whole seconds, both ends and all events of the
-- row's own second in, and of each key the newest row, of equal times the one that came later.
create table online_feature_store__bench_windows_latest as
with events as (
    select id, ts, amount, country, kind, qty, row_number() over () as arrival
    from read_json(getvariable('files'), format = 'newline_delimited',
                   columns = {id: 'bigint', ts: 'timestamp', amount: 'double', country: 'varchar',
                              kind: 'varchar', qty: 'integer'})
), windowed as (
    select *, count(amount) over last_120_s as cnt, avg(amount) over last_120_s as mean
    from events
    window last_120_s as (partition by id order by floor(epoch(ts))::bigint
                          range between 120 preceding and current row)
)
select id, ts as "timestamp", amount, country, kind, qty,
       cnt as amount__count_over_120_seconds_fixed_windows,
       mean as amount__avg_over_120_seconds_fixed_windows
from windowed
qualify row_number() over (partition by id order by ts desc, arrival desc) = 1
