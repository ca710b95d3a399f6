/* spark_macros.c - see spark_macros.h.
 *
 * Only names that DuckDB leaves free: where both have a function of one name and differ
 * (dayofweek, date_add, datediff, size of a null), DuckDB's stays. What has a mask is a function in
 * C (functions.c), and the macro says which types Spark takes there.
 */
#include "functions/spark_macros.h"

const spark_macro spark_macros[] = {
    {"nvl", "(a, b) AS coalesce(a, b)", false},
    {"nvl2", "(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END", false},
    {"date_format", "(t, mask) AS mask_write(CAST(t AS TIMESTAMP), mask)", false},
    {"from_unixtime",
     "(seconds) AS mask_write(make_timestamp(CAST(trunc(seconds) AS BIGINT) * 1000000), "
     "'yyyy-MM-dd HH:mm:ss'), "
     "(seconds, mask) AS mask_write(make_timestamp(CAST(trunc(seconds) AS BIGINT) * 1000000), "
     "mask)",
     false},
    {"unix_timestamp",
     "(t) AS epoch_us(CAST(t AS TIMESTAMP)) // 1000000, "
     "(t, mask) AS epoch_us(mask_read(t || '', mask)) // 1000000",
     false},
    {"unix_seconds", "(t) AS CAST(floor(epoch_us(CAST(t AS TIMESTAMP)) / 1000000) AS BIGINT)",
     false},
    {"unix_millis", "(t) AS CAST(floor(epoch_us(CAST(t AS TIMESTAMP)) / 1000) AS BIGINT)", false},
    {"unix_micros", "(t) AS epoch_us(CAST(t AS TIMESTAMP))", false},
    {"timestamp_seconds", "(n) AS make_timestamp(CAST(n * CAST(1000000 AS BIGINT) AS BIGINT))",
     false},
    {"timestamp_millis", "(n) AS make_timestamp(CAST(n AS BIGINT) * 1000)", false},
    {"timestamp_micros", "(n) AS make_timestamp(CAST(n AS BIGINT))", false},
    {"to_date", "(t) AS CAST(t AS DATE), (t, mask) AS CAST(mask_read(t || '', mask) AS DATE)",
     false},
    {"add_months", "(d, n) AS CAST(CAST(d AS DATE) + to_months(CAST(trunc(n) AS INTEGER)) AS DATE)",
     false},
    {"get_json_object", "(j, path) AS spark_get_json_object(CAST(j AS VARCHAR), path)", false},
    {"rlike", "(s, pattern) AS regexp_matches(s, pattern)", false},
    {"startswith", "(s, start) AS starts_with(s, start)", false},
    {"endswith", "(s, ending) AS ends_with(s, ending)", false},
    {"locate", "(part, s) AS instr(s, part), (part, s, n) AS spark_locate(part, s, n)", false},
    {"initcap", "(s) AS spark_initcap(s)", false},
    {"substring_index", "(s, part, n) AS spark_substring_index(s, part, n)", false},
    {"pmod",
     "(a, b) AS CASE WHEN a % nullif(b, 0) < 0 THEN (a % nullif(b, 0) + b) % nullif(b, 0) "
     "ELSE a % nullif(b, 0) END",
     false},
    {"explode", "(list) AS unnest(list)", false},
    {"collect_list", "(x) AS coalesce(list(x) FILTER (WHERE x IS NOT NULL), [])", true},
    {"collect_set", "(x) AS coalesce(list(DISTINCT x) FILTER (WHERE x IS NOT NULL), [])", true},
    {"percentile_approx", "(x, p) AS quantile_disc(x, p), (x, p, n) AS quantile_disc(x, p)", true},
};

const uint32_t spark_macros_n = sizeof spark_macros / sizeof spark_macros[0];
