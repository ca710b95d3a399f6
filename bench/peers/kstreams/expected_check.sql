select count(*) as keys, sum(cnt)::bigint as cnt, sum(mean) as avg from expected
