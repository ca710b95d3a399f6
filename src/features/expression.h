/* expression.h - a feature's SQL expression, looked at before it is run.
 *
 * An expression stands for one value made of one row's columns. Whatever else SQL can say is
 * refused here, with what to write instead: subqueries, windows, rows made of one row (unnest),
 * stars, parameters; functions whose answer is not made of the row alone (clock, chance, session),
 * for a replayed row must give what it gave before. Aggregates look like other functions; they are
 * found when the statement is prepared (expression_find_aggregate names it then).
 *
 * It is also told which columns the expression mentions, and where, so that unknown ones are named
 * with a hint and the feature set knows which expressions can be evaluated by one statement.
 */
#ifndef FRESHET_FEATURES_EXPRESSION_H
#define FRESHET_FEATURES_EXPRESSION_H

#include "sql/sql.h"

#define EXPRESSION_DEPTH_MAX 2000u /* levels of the syntax tree */

/* A name that may be a column: the first part of a.b.c. */
typedef struct mention {
    const char *name;
    int64_t position;  /* byte in the expression, or -1 */
    bool is_parameter; /* also named by a lambda (x -> ...) of the expression */
} mention;

typedef struct expression {
    const char *sql;
    mention *mentions;
    uint32_t n_mentions;
    const char **functions;
    uint32_t n_functions;
} expression;

/* Reads the expression; everything lives in the arena. FRESHET_USAGE for bad SQL and for what is
 * refused, with the place in problem (and the text in err). */
freshet_code expression_read(sql_session *session, arena *arena, const char *sql, expression *out,
                             sql_problem *problem, freshet_error *err);

bool expression_mentions(const expression *expression, const char *name);

/* Is the name one that SQL reads as a function of the clock or session where there is no such
 * column (current_date)? NULL, or the reason why it is refused. */
const char *expression_refused_name(const char *name);

/* Sets *name to the first aggregate function in the expression, or NULL. */
freshet_code expression_find_aggregate(sql_session *session, arena *arena,
                                       const expression *expression, const char **name,
                                       freshet_error *err);

#endif
