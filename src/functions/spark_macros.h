/* spark_macros.h - functions of Spark's SQL that DuckDB does not have, as macros. */
#ifndef FRESHET_FUNCTIONS_SPARK_MACROS_H
#define FRESHET_FUNCTIONS_SPARK_MACROS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct spark_macro {
    const char *name;
    const char *definition; /* behind CREATE MACRO name: "(a, b) AS coalesce(a, b)" */
    bool is_aggregate;
} spark_macro;

extern const spark_macro spark_macros[];
extern const uint32_t spark_macros_n;

#endif
