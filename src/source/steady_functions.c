/* steady_functions.c - see steady_functions.h.
 *
 * The table is sorted. A name may be missing: then DuckDB is asked. None may be in it that is an
 * aggregate or gives different results for the same arguments; its test asks DuckDB.
 */
#include "source/steady_functions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const steady_functions[] = {
    "abs",
    "acos",
    "add",
    "array_extract",
    "array_length",
    "array_to_string",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "cardinality",
    "ceil",
    "ceiling",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "cos",
    "cot",
    "date_add",
    "date_diff",
    "date_part",
    "date_sub",
    "date_trunc",
    "datediff",
    "datesub",
    "day",
    "dayname",
    "dayofweek",
    "dayofyear",
    "decode",
    "degrees",
    "element_at",
    "encode",
    "ends_with",
    "epoch",
    "epoch_ms",
    "epoch_us",
    "exp",
    "floor",
    "format",
    "from_base64",
    "greatest",
    "hash",
    "hour",

    "instr",
    "isfinite",
    "isinf",
    "isnan",
    "isodow",
    "json_array_length",
    "json_extract",
    "json_extract_string",
    "json_type",
    "last_day",
    "lcase",
    "least",
    "left",
    "len",
    "length",
    "list_aggregate",
    "list_contains",
    "list_distinct",
    "list_extract",
    "list_filter",
    "list_position",
    "list_sort",
    "list_sum",
    "list_transform",
    "list_value",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_timestamp",
    "map_extract",
    "md5",
    "minute",
    "mod",
    "month",
    "monthname",
    "nullif",
    "pow",
    "power",
    "prefix",
    "printf",
    "quarter",
    "radians",
    "regexp_extract",
    "regexp_full_match",
    "regexp_matches",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row",
    "rpad",
    "rtrim",
    "second",
    "sha256",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "strftime",
    "string_split",
    "strlen",
    "strpos",
    "struct_extract",
    "struct_pack",
    "substr",
    "substring",
    "suffix",
    "tan",
    "to_base64",
    "to_days",
    "to_hours",
    "to_microseconds",
    "to_milliseconds",
    "to_minutes",
    "to_months",
    "to_seconds",
    "to_timestamp",
    "to_years",
    "translate",
    "trim",
    "trunc",
    "ucase",
    "upper",
    "week",
    "year",
};
const uint32_t steady_functions_n = sizeof steady_functions / sizeof *steady_functions;

static int compare_steady(const void *name, const void *entry)
{
    return strcasecmp(name, *(const char *const *)entry);
}

bool steady_function(const char *name)
{
    return bsearch(name, steady_functions, steady_functions_n, sizeof *steady_functions,
                   compare_steady) != NULL;
}

/* Operators have names without a letter. */
static bool is_word(const char *name)
{
    return strpbrk(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
}

bool steady_functions_only(const char *json)
{
    static const char member[] = "\"function_name\":\"";
    char name[STEADY_NAME_MAX + 1];
    for (const char *at = strstr(json, member); at != NULL; at = strstr(at, member)) {
        at += sizeof member - 1;
        const size_t length = strcspn(at, "\"\\");
        if (length > STEADY_NAME_MAX || at[length] != '"')
            return false;
        memcpy(name, at, length);
        name[length] = '\0';
        if (is_word(name) && !steady_function(name))
            return false;
    }
    return true;
}
