/* spark_functions_json.c - JSON: see spark_functions.h for how a row is read. */
#include <stddef.h>

#include "dialect/spark_functions.h"

const spark_function spark_functions_json[] = {
    {"get_json_object", "ss", "string", "spark_get_json_object($1, $2)", false},
    {"json_array_length", "s", "int", "spark_json_array_length($1)", false},
    {"json_object_keys", "s", "array<string>", "spark_json_object_keys($1)", false},
    {"to_json", "R", "string", "spark_to_json($1)", false},
    {"to_json", "M", "string", "spark_to_json($1)", false},
    {"to_json", "a", "string", "spark_to_json($1)", false},
    {NULL, NULL, NULL, NULL, false},
};
