/* spark_from.h - between spark_query.c and spark_from.c. */
#ifndef FRESHET_DIALECT_SPARK_FROM_H
#define FRESHET_DIALECT_SPARK_FROM_H

#include "dialect/spark_internal.h"

/* What stands behind FROM, LATERAL VIEWs included; its columns are added to the scope. */
const char *spark_parse_from(spark *s, spark_scope *into);
/* VALUES (...), (...): rows of one type a column. */
spark_query spark_parse_values(spark *s);
void spark_scope_add(spark *s, spark_scope *into, const spark_column *column);

#endif
