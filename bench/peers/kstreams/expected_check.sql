select count(*) as keys, sum(cnt)::bigint as cnt, sum(mean) as avg, sum(epoch_us(ts) % 1000000007)::bigint as times from expected
