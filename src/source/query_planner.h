/* query_planner.h - what query_plan.c, query_from.c and query_driver.c share: the state of one walk
 * through a query's tree (query_plan.c says what the walk asks). No other file includes it.
 *
 * A planner lives for one plan_query; all that its lists hold is in `arena`, the tree in
 * `document`. Functions that run out of memory set no_memory and go on; the walk's caller asks at
 * its end.
 */
#ifndef FRESHET_SOURCE_QUERY_PLANNER_H
#define FRESHET_SOURCE_QUERY_PLANNER_H

#include "source/query_tree.h"

/* A name in a FROM clause. */
typedef struct item {
    const struct item *next; /* in the same FROM */
    const struct item *all;  /* in the whole query */
    const char *alias;
    int64_t reader; /* -1: a CTE, subquery or function */
    bool carries;
} item;

typedef struct cte {
    const struct cte *outer;
    const char *name;
    const item *carrier; /* NULL: does not carry */
} cte;

/* A name that may be a column's, or that of a whole row. */
typedef struct mention {
    const struct mention *next;
    const char *name;
    bool is_alone;
} mention;

/* One of DuckDB's that aggregates; or else one whose result depends on more than its arguments. */
typedef struct function {
    const char *name;
    bool is_aggregate;
} function;

typedef struct planner {
    arena *arena;
    const plan_reader *readers;
    uint32_t n_readers;
    const bool *drives;
    bool is_stream;         /* or is planned as one, since readers are to be joined */
    uint32_t n_driving;     /* names of driving readers in the query */
    const char *join_alias; /* of the one whose hidden column all rows of the join have */
    function *functions;    /* sorted by name */
    uint32_t n_functions;
    plan_report_fn *report;
    void *context;
    bool is_quiet; /* the problems have been reported */
    uint32_t n_problems;
    uint32_t n_refusals;
    plan *out;
    yyjson_mut_doc *document;
    const item *items;
    const mention *mentions;
    bool no_memory;
} planner;

/* What one table reference is: its names, and which of them carries (NULL: none). */
typedef struct from {
    const item *items;
    const item *carrier;
} from;

/* ---- query_plan.c ---- */

/* Tells of a problem, where it is one. */
typedef enum query_problem {
    QUERY_NO_NAME,    /* never possible: no such table, or what DuckDB itself would not find */
    QUERY_NEVER,      /* never possible */
    QUERY_NOT_BY_ROWS /* not possible row by row: a problem on a stream only */
} query_problem;
void query_report(planner *planner, query_problem problem, int64_t position, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

bool query_too_deep(planner *planner, uint32_t depth);

void query_put_text(planner *planner, node *object, const char *key, const char *text);
/* A reference to a column, of a table where `alias` is not NULL. */
node *query_column(planner *planner, const char *alias, const char *name);
bool query_is_one_of(const char *name, const char *const *names);
int64_t query_find_reader(const planner *planner, const char *name);
/* All columns of the reader may be used. */
void query_use_all(planner *planner, int64_t reader);
void query_use_everything(planner *planner);
/* The query mentions a name; alone: not behind that of a table. */
void query_add_mention(planner *planner, const char *name, bool is_alone);

const item *query_walk(planner *planner, node *query, const cte *ctes, uint32_t depth);
void query_walk_expressions(planner *planner, node *any, const cte *ctes, const item *carrier,
                            uint32_t depth);

/* ---- query_driver.c ---- */

/* Sets out->drives of the readers whose rows those of a batch query are: in each branch of a UNION
 * ALL the one that the column comes from; NULL, or where that cannot be told: the leftmost. */
void query_find_drivers(planner *planner, node *query, const char *column);

/* ---- query_join.c ---- */

/* Makes a join of two driving readers one of pairs, and notes it in out->join; `left` and `right`
 * are the names of its sides. What stands in the way is reported. The item that carries. */
const item *query_join(planner *planner, node *join, const item *left, const item *right,
                       int64_t position);

/* ---- plain_plan.c ---- */

/* The query as one that the engine need not run; NULL: it must. `query` is as it was written. */
struct plain_query *query_read_plain(planner *planner, sql_session *session, node *query);

/* ---- query_from.c ---- */

from query_walk_from(planner *planner, node *reference, const cte *ctes, uint32_t depth);
/* The reader that the carrying name leads to, for messages. */
const char *query_stream_name(const planner *planner, const item *carrier);
void query_refuse_sample(planner *planner, node *object, const item *carrier, int64_t position);

#endif
