/* spark_refusals.c - what Spark has and Freshet refuses, and what to write instead: one table. */
#include <stddef.h>
#include <strings.h>

#include "dialect/spark_internal.h"

#define CLOCK                                                                              \
    "gives another answer each time it is run, and a replayed row must give what it gave " \
    "before: use the row's own timestamp"
#define CHANCE                                                                             \
    "gives another answer each time it is run, and a replayed row must give what it gave " \
    "before: xxhash64() of the row's own columns spreads rows alike"
#define ROWS "makes several rows out of one: write it in the source's query"
#define ENGINE "asks about Spark itself, not about the row"

static const struct {
    const char *name, *why;
} refusals[] = {
    {"current_date", CLOCK},
    {"current_timestamp", CLOCK},
    {"curdate", CLOCK},
    {"now", CLOCK},
    {"localtimestamp", CLOCK},
    {"rand", CHANCE},
    {"random", CHANCE},
    {"randn", CHANCE},
    {"shuffle", CHANCE},
    {"uuid", CHANCE},
    {"monotonically_increasing_id", CHANCE},
    {"spark_partition_id", ENGINE},
    {"input_file_name", ENGINE},
    {"current_user", ENGINE},
    {"current_database", ENGINE},
    {"current_catalog", ENGINE},
    {"version", ENGINE},
    {"inline", ROWS},
    {"stack", ROWS " as a UNION ALL of one SELECT for each row"},
    {"posexplode", ROWS " as LATERAL VIEW posexplode(...) t AS pos, value"},
    {"explode_outer", ROWS " as LATERAL VIEW OUTER explode(...) t AS value"},
    {"json_tuple", "makes several columns: write get_json_object(..., '$.name') for each"},
    {"reflect", "calls a method of Java"},
    {"java_method", "calls a method of Java"},
    {"make_interval", "makes an interval of both months and days: add one after the other"},
};

const char *spark_refusal_of(const char *name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strcasecmp(refusals[i].name, name) == 0)
            return refusals[i].why;
    return NULL;
}
