/* spark_functions_lists.c - arrays and maps: see spark_functions.h for how a row is read. */
#include <stddef.h>

#include "dialect/spark_functions.h"

const spark_function spark_functions_lists[] = {
    {"aggregate", "a*^", "2", "list_reduce($1, $3, $2)", false},
    {"aggregate", "a*^^", "4", "list_extract(list_transform([list_reduce($1, $3, $2)], $4), 1)",
     false},
    {"array_append", "a*", "1", "CASE WHEN $1 IS NOT NULL THEN list_append($1, $2) END", false},
    {"array_compact", "a", "1", "list_filter($1, lambda q: q IS NOT NULL)", false},
    {"array_contains", "a*", "boolean",
     "list_contains($1, $2) OR CASE WHEN list_count($1) < len($1) THEN NULL ELSE false END", false},
    {"array_distinct", "a", "1", "list_filter($1, lambda q, i: list_position($1, q) = i)", false},
    {"array_except", "aa", "1",
     "CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda q, i: list_position($1, q) = i AND "
     "list_position($2, q) IS NULL) END",
     false},
    {"array_insert", "ai*", "1",
     "CASE WHEN $1 IS NULL THEN NULL WHEN $2 > 0 THEN list_concat(list_resize(list_slice($1, 1, $2 "
     "- 1), $2 - 1), [$3], "
     "list_slice($1, $2, len($1))) WHEN $2 < 0 AND len($1) + $2 + 1 >= 0 THEN "
     "list_concat(list_slice($1, 1, len($1) + $2 + 1), [$3], list_slice($1, len($1) + $2 + 2, "
     "len($1))) WHEN $2 < 0 THEN list_concat([$3], list_resize(list_slice($1, 2, 1), - $2 - "
     "len($1) - 1), $1) END",
     false},
    {"array_intersect", "aa", "1",
     "CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda q, i: list_position($1, q) = i AND "
     "list_position($2, q) IS NOT NULL) END",
     false},
    {"array_join", "as", "string",
     "CASE WHEN $1 IS NOT NULL THEN spark_concat_ws($2, list_transform($1, lambda q: "
     "spark_text(q))) END",
     false},
    {"array_join", "ass", "string",
     "CASE WHEN $1 IS NOT NULL AND $3 IS NOT NULL THEN spark_concat_ws($2, list_transform($1, "
     "lambda q: coalesce(spark_text(q), $3))) END",
     false},
    {"array_max", "a", "1.", "list_max($1)", false},
    {"array_min", "a", "1.", "list_min($1)", false},
    {"array_position", "a*", "bigint",
     "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN coalesce(list_position($1, $2), 0) END",
     false},
    {"array_prepend", "a*", "1", "CASE WHEN $1 IS NOT NULL THEN list_prepend($2, $1) END", false},
    {"array_remove", "a*", "1",
     "CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda q: q IS NULL OR q <> $2) END", false},
    {"array_repeat", "*i", "1[]",
     "CASE WHEN $2 IS NOT NULL THEN list_transform(range(CAST($2 AS BIGINT)), lambda q: $1) END",
     false},
    {"array_size", "a", "int", "len($1)", false},
    {"array_sort", "a", "1", "list_sort($1, 'ASC', 'NULLS LAST')", false},
    {"array_union", "aa", "1",
     "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN list_filter(list_concat($1, $2), lambda q, "
     "i: list_position(list_concat($1, $2), q) = i) END",
     false},
    {"arrays_overlap", "aa", "boolean",
     "list_has_any($1, $2) OR CASE WHEN (list_count($1) < len($1) OR list_count($2) < len($2)) AND "
     "len($1) > 0 AND len($2) > 0 THEN NULL ELSE false END",
     false},
    {"cardinality", "a", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE len($1) END", false},
    {"cardinality", "M", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE cardinality($1) END", false},
    {"exists", "a^", "boolean", "list_reduce(list_transform($1, $2), lambda a, b: a OR b, false)",
     false},
    {"filter", "a^", "1", "list_filter($1, $2)", false},
    {"flatten", "a", "1.", "CASE WHEN list_count($1) = len($1) THEN flatten($1) END", false},
    {"forall", "a^", "boolean", "list_reduce(list_transform($1, $2), lambda a, b: a AND b, true)",
     false},
    {"get", "ai", "1.", "CASE WHEN $2 >= 0 THEN list_extract($1, $2 + CAST(1 AS BIGINT)) END",
     false},
    {"map_concat", "MM", "1", "map_concat($1, $2)", false},
    {"map_concat", "M", "1", "$1", false},
    {"map_contains_key", "M*", "boolean", "list_contains(map_keys($1), $2)", false},
    {"map_filter", "M^", "1", "map_from_entries(list_filter(map_entries($1), $2))", false},
    {"map_from_entries", "a", "?", "map_from_entries($1)", false},
    {"map_keys", "M", "?", "map_keys($1)", false},
    {"map_values", "M", "?", "map_values($1)", false},
    {"reduce", "a*^", "2", "list_reduce($1, $3, $2)", false},
    {"reduce", "a*^^", "4", "list_extract(list_transform([list_reduce($1, $3, $2)], $4), 1)",
     false},
    {"sequence", "=i=i", "array<int>",
     "generate_series($1, $2, CASE WHEN $1 <= $2 THEN 1 ELSE -1 END)", false},
    {"sequence", "=i=i=i", "array<int>", "generate_series($1, $2, $3)", false},
    {"sequence", "bb", "array<bigint>",
     "generate_series($1, $2, CASE WHEN $1 <= $2 THEN CAST(1 AS BIGINT) ELSE CAST(-1 AS BIGINT) "
     "END)",
     false},
    {"sequence", "bbb", "array<bigint>", "generate_series($1, $2, $3)", false},
    {"sequence", "=D=D", "array<date>",
     "list_transform(generate_series(CAST($1 AS TIMESTAMP), CAST($2 AS TIMESTAMP), CASE WHEN $1 <= "
     "$2 THEN INTERVAL 1 DAY ELSE INTERVAL (-1) DAY END), lambda q: CAST(q AS DATE))",
     false},
    {"sequence", "=D=Dt", "array<date>",
     "list_transform(generate_series(CAST($1 AS TIMESTAMP), CAST($2 AS TIMESTAMP), $3), lambda q: "
     "CAST(q AS DATE))",
     false},
    {"sequence", "=T=Tt", "array<timestamp>", "generate_series($1, $2, $3)", false},
    {"size", "a", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE len($1) END", false},
    {"size", "M", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE cardinality($1) END", false},
    {"slice", "aii", "1",
     "CASE WHEN $3 <= 0 OR ($2 < 0 AND len($1) + $2 < 0) THEN list_slice($1, 2, 1) WHEN $2 > 0 "
     "THEN list_slice($1, $2, $2 + CAST($3 AS BIGINT) - 1) WHEN $2 < 0 THEN list_slice($1, len($1) "
     "+ $2 + 1, len($1) + $2 + $3) END",
     false},
    {"sort_array", "a", "1", "list_sort($1, 'ASC', 'NULLS FIRST')", false},
    {"sort_array", "aB", "1",
     "CASE WHEN $2 THEN list_sort($1, 'ASC', 'NULLS FIRST') ELSE list_sort($1, 'DESC', 'NULLS "
     "LAST') END",
     false},
    {"str_to_map", "s", "map<string,string>",
     "map_from_entries(list_transform(spark_split($1, ',', -1), lambda q: struct_pack(k := "
     "list_extract(spark_split_two(q, ':'), 1), v := list_extract(spark_split_two(q, ':'), 2))))",
     false},
    {"str_to_map", "ss", "map<string,string>",
     "map_from_entries(list_transform(spark_split($1, $2, -1), lambda q: struct_pack(k := "
     "list_extract(spark_split_two(q, ':'), 1), v := list_extract(spark_split_two(q, ':'), 2))))",
     false},
    {"str_to_map", "sss", "map<string,string>",
     "map_from_entries(list_transform(spark_split($1, $2, -1), lambda q: struct_pack(k := "
     "list_extract(spark_split_two(q, $3), 1), v := list_extract(spark_split_two(q, $3), 2))))",
     false},
    {"transform", "a^", "2[]", "list_transform($1, $2)", false},
    {"zip_with", "aa^", "3[]",
     "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN list_transform(list_zip($1, $2), $3) END",
     false},
    {NULL, NULL, NULL, NULL, false},
};
