/* spark_functions.c - finding a row: see spark_functions.h. */
#include "dialect/spark_functions.h"

#include <stddef.h>
#include <strings.h>

static const spark_function *const tables[] = {
    spark_functions_texts,
    spark_functions_times,
    spark_functions_numbers,
    spark_functions_lists,
    spark_functions_json,
    spark_functions_aggregates,
    NULL,
};

const spark_function *spark_function_find(const char *name, uint32_t i)
{
    for (size_t t = 0; tables[t] != NULL; t++)
        for (const spark_function *row = tables[t]; row->name != NULL; row++)
            if (strcasecmp(row->name, name) == 0 && i-- == 0)
                return row;
    return NULL;
}
