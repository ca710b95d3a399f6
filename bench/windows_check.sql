-- The check line of the benchmark `windows`, over the newest row of each key.
select count(*) as keys,
       sum(amount__count_over_120_seconds_fixed_windows)::bigint as cnt,
       sum(amount__avg_over_120_seconds_fixed_windows) as avg,
       sum(amount) as amount, sum(qty)::bigint as qty,
       count(*) filter (where country = 'BR' and kind = 'view') as views,
       sum(epoch_us("timestamp") % 1000000007)::bigint as times
from online_feature_store__bench_windows_latest
