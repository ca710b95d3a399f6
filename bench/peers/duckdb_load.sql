-- What events.yaml declares, as one statement for DuckDB alone.
create table online_feature_store__bench_events as
select id,
       ts as "timestamp",
       amount as amount_usd,
       country as country_code,
       amount * 1.12::double + 3.5::double as amount_taxed,
       amount * qty as total,
       case when amount >= 500 then 'high' when amount >= 100 then 'mid' else 'low' end as tier,
       upper(kind) as kind_upper
from read_json(getvariable('files'), format = 'newline_delimited',
               columns = {id: 'bigint', ts: 'timestamp', amount: 'double', country: 'varchar',
                          kind: 'varchar', qty: 'integer'})
