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
     "(seconds) AS strftime(make_timestamp(CAST(seconds AS BIGINT) * 1000000), "
     "'%Y-%m-%d %H:%M:%S'), "
     "(seconds, mask) AS mask_write(make_timestamp(seconds * CAST(1000000 AS BIGINT)), mask)",
     false},
    {"unix_timestamp",
     "(t) AS CAST(floor(epoch_us(CAST(t AS TIMESTAMP)) / 1000000) AS BIGINT), "
     "(t, mask) AS CAST(floor(epoch_us(mask_read(t || '', mask)) / 1000000) AS BIGINT)",
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
    {"add_months", "(d, n) AS CAST(CAST(d AS DATE) + to_months(CAST(n AS INTEGER)) AS DATE)",
     false},
    {"get_json_object", "(j, path) AS json_extract_string(j, path)", false},
    {"rlike", "(s, pattern) AS regexp_matches(s, pattern)", false},
    {"startswith", "(s, start) AS starts_with(s, start)", false},
    {"endswith", "(s, ending) AS ends_with(s, ending)", false},
    {"locate", "(part, s) AS instr(s, part)", false},
    {"initcap",
     "(s) AS array_to_string(list_transform(string_split(s, ' '), lambda w: "
     "upper(left(w, 1)) || lower(substr(w, 2))), ' ')",
     false},
    {"substring_index",
     "(s, part, n) AS CASE WHEN n >= 0 THEN array_to_string(string_split(s, part)[1:n], part) "
     "ELSE array_to_string(string_split(s, part)[n:], part) END",
     false},
    {"pmod", "(a, b) AS ((a % b) + b) % b", false},
    {"explode", "(list) AS unnest(list)", false},
    {"collect_list", "(x) AS coalesce(list(x) FILTER (WHERE x IS NOT NULL), [])", true},
    {"collect_set", "(x) AS coalesce(list(DISTINCT x) FILTER (WHERE x IS NOT NULL), [])", true},
    {"percentile_approx", "(x, p) AS approx_quantile(x, p)", true},
};

const uint32_t spark_macros_n = sizeof spark_macros / sizeof spark_macros[0];
