/* spark_functions_lists.c - arrays, maps, structs: see spark_functions.h for how a row is read. */
#include <stddef.h>

#include "dialect/spark_functions.h"

const spark_function spark_functions_lists[] = {
    {"array_compact", "a", "1", "list_filter($1, lambda q: q IS NOT NULL)", false},
    {"array_contains", "a*", "boolean",
     "CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL WHEN list_contains($1, $2) THEN true WHEN "
     "len($1) > len(list_filter($1, lambda q: q IS NOT NULL)) THEN NULL ELSE false END",
     false},
    {"array_distinct", "a", "1", "list_filter($1, lambda q, i: list_position($1, q) = i)", false},
    {"array_join", "as", "string", "array_to_string($1, $2)", false},
    {"array_join", "ass", "string",
     "array_to_string(list_transform($1, lambda q: coalesce(CAST(q AS VARCHAR), $3)), $2)", false},
    {"array_max", "a", "1.", "list_max($1)", false},
    {"array_min", "a", "1.", "list_min($1)", false},
    {"array_position", "a*", "bigint",
     "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN coalesce(list_position($1, $2), 0) END",
     false},
    {"array_remove", "a*", "1",
     "CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda q: q IS NULL OR q <> $2) END", false},
    {"array_size", "a", "int", "len($1)", false},
    {"array_sort", "a", "1", "list_sort($1, 'ASC', 'NULLS LAST')", false},
    {"exists", "a^", "boolean", "list_bool_or(list_transform($1, $2))", false},
    {"filter", "a^", "1", "list_filter($1, $2)", false},
    {"flatten", "a", "1.", "flatten($1)", false},
    {"size", "a", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE len($1) END", false},
    {"size", "M", "int", "CASE WHEN $1 IS NULL THEN -1 ELSE len($1) END", false},
    {"sort_array", "a", "1", "list_sort($1, 'ASC', 'NULLS FIRST')", false},
    {"sort_array", "aB", "1",
     "CASE WHEN $2 THEN list_sort($1, 'ASC', 'NULLS FIRST') ELSE list_sort($1, 'DESC', 'NULLS "
     "LAST') END",
     false},
    {"transform", "a^", "?", "list_transform($1, $2)", false},
    {NULL, NULL, NULL, NULL, false},
};
