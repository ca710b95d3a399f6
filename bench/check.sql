-- The check line of the benchmark `events`: every competitor must come to the same.
select count(*) as "rows", count(distinct id) as keys,
       sum(amount_usd) as amount, sum(amount_taxed) as taxed, sum(total) as total,
       count(*) filter (where tier = 'high') as high,
       count(*) filter (where kind_upper = 'VIEW') as views,
       epoch_ms(max("timestamp")) as newest_ms
from online_feature_store__bench_events
