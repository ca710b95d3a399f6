-- What the files hold that the benchmark `batch` has written, in whatever order.
select count(*) as n,
    count(distinct id) as keys,
    sum(amount__count_over_1_day_fixed_windows)::bigint as counts_day,
    sum(amount__count_over_7_days_fixed_windows)::bigint as counts_week,
    sum(hash(id, epoch_us(timestamp), kind, amount__count_over_1_day_fixed_windows,
             amount__count_over_7_days_fixed_windows) % 1000000007)::bigint as hashes,
    sum(amount__avg_over_1_day_fixed_windows) as avg_day,
    sum(amount__avg_over_7_days_fixed_windows) as avg_week,
    sum(amount__avg_over_1_day_fixed_windows * (hash(id, epoch_us(timestamp)) % 997)) as avg_day_by_row,
    sum(amount__avg_over_7_days_fixed_windows * (hash(id, epoch_us(timestamp)) % 997)) as avg_week_by_row
from read_parquet(getvariable('files'))
