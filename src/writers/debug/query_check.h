/* query_check.h - may this text be run as a user's query over the debug table?
 *
 * Asked before each query, on the thread that runs it, with that thread's session. The session is
 * used to parse the text only: nothing of the query runs, and the table is not touched.
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_CHECK_H
#define FRESHET_WRITERS_DEBUG_QUERY_CHECK_H

#include <freshet/freshet.h>

#include "sql/sql.h"

#define QUERY_SQL_MAX ((size_t)1 << 20)  /* bytes of one query's text */
#define QUERY_DEPTH_MAX 5000u            /* nesting of its syntax tree, as JSON */
#define QUERY_GROWTH_MAX INT64_C(100000) /* see query_check.c */

/* OK for one SELECT (DESCRIBE, SHOW TABLES, SUMMARIZE count as such) that reads nothing but tables,
 * and cannot make huge values out of small ones; else FRESHET_USAGE (FRESHET_LIMIT where one of the
 * limits above is passed), with a sentence that says what is not possible. */
freshet_code query_check(sql_session *session, const char *sql, freshet_error *err);

#endif
