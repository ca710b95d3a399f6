/* spark_functions_json.c - JSON: see spark_functions.h for how a row is read. */
#include <stddef.h>

#include "dialect/spark_functions.h"

const spark_function spark_functions_json[] = {
    {"get_json_object", "ss", "string", "get_json_object($1, $2)", false},
    {"json_array_length", "s", "int", "json_array_length($1)", false},
    {NULL, NULL, NULL, NULL, false},
};
