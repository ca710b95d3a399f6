/* functions.h - the functions that queries and features have besides DuckDB's own.
 *
 * Two tables, and one row makes a function: those in C (functions.c, of columns) and those that are
 * SQL over what there is (spark_macros.c). A declaration can bring functions of its own
 * (freshet_add_function): user_function.h.
 */
#ifndef FRESHET_FUNCTIONS_FUNCTIONS_H
#define FRESHET_FUNCTIONS_FUNCTIONS_H

#include "sql/sql.h"

/* Makes them known to the session's engine; before sql_lock. The macros are there for statements,
 * and not in duckdb_functions() before one needs them. */
freshet_code functions_create(sql_session *session, freshet_error *err);

/* The same of those that give Spark's values to `dialect: spark`, named spark_...: spark_rows.h.
 * After functions_create, which makes those that all dialects need. */
freshet_code functions_create_spark(sql_session *session, freshet_error *err);
const char *functions_spark_name(uint32_t i);

/* Whether one of the macros has that name. */
bool functions_has_macro(const char *name);

/* The name of the i-th of those in C; NULL behind the last. */
const char *functions_name(uint32_t i);

/* Whether one of that name is an aggregate: it cannot stand where rows are computed one by one. */
bool functions_is_aggregate(const char *name);

#endif
