/* expression.c - see expression.h.
 *
 * `SELECT <expression>` is parsed by DuckDB (sql_tree); the tree must be one plain SELECT of one
 * item without a name. Thus the text cannot break out of the statement it is put into later. Then
 * the tree is walked: every node of an expression is an object with a "class".
 */
#include "features/expression.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <yyjson.h>

#include "base/error.h"
#include "functions/functions.h"

#define SELECT "SELECT "
#define SELECT_LENGTH 7
#define NAMES_MAX 24
#define READING "reading an SQL expression"

/* Functions whose answer is not made of their arguments alone, by the reason. Those that DuckDB
 * says are not "CONSISTENT", and those it does not know to be (macros over the clock, settings). */
static const char by_clock[] =
    "gives another answer each time it is run, and a replayed row must give what it gave before: "
    "use the row's own timestamp";
static const struct {
    const char *reason;
    const char *names[NAMES_MAX]; /* NULL behind the last */
} refused_functions[] = {
    {by_clock,
     {"ago", "current_date", "current_localtime", "current_localtimestamp", "current_time",
      "current_timestamp", "get_current_time", "get_current_timestamp", "localtime",
      "localtimestamp", "now", "pg_conf_load_time", "pg_postmaster_start_time", "pg_sleep",
      "sleep_ms", "today", "transaction_timestamp"}},
    {"gives another answer each time it is run, and a replayed row must give what it gave before: "
     "hash() of the row's own columns spreads rows alike",
     {"currval", "gen_random_uuid", "nextval", "random", "setseed", "uuid", "uuidv4", "uuidv7"}},
    {"asks about the SQL engine, not about the row",
     {"current_catalog", "current_connection_id", "current_database", "current_query",
      "current_query_id", "current_role", "current_schema", "current_schemas", "current_setting",
      "current_transaction_id", "current_user", "getvariable", "in_search_path", "session_user",
      "stats", "txid_current", "user", "write_log"}},
    {"makes several rows out of one: do that in the source's query, a feature has one value a row",
     {"explode", "generate_subscripts", "regexp_split_to_table", "unnest"}},
};

const char *expression_refused_name(const char *name)
{
    for (size_t i = 0; i < sizeof refused_functions / sizeof *refused_functions; i++)
        for (const char *const *refused = refused_functions[i].names; *refused != NULL; refused++)
            if (strcasecmp(*refused, name) == 0)
                return refused_functions[i].reason;
    return NULL;
}

typedef struct walk {
    arena *arena;
    expression *expression;
    uint32_t mentions_capacity, functions_capacity;
    sql_problem *problem;
    freshet_error *err;
} walk;

/* Where a node stands in the expression; -1 where DuckDB does not say. */
static int64_t position_of(yyjson_val *node)
{
    uint64_t place = yyjson_get_uint(yyjson_obj_get(node, "query_location"));
    return place >= SELECT_LENGTH && place < INT32_MAX ? (int64_t)place - SELECT_LENGTH : -1;
}

static freshet_code expression_refuse(walk *walk, int64_t position, const char *what,
                                      const char *reason)
{
    walk->problem->position = position;
    snprintf(walk->problem->text, sizeof walk->problem->text, "%s %s", what, reason);
    return error_set(walk->err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", walk->problem->text);
}

static freshet_code note_mention(walk *walk, const char *name, int64_t position, bool is_parameter)
{
    expression *expression = walk->expression;
    const char *copy = arena_text(walk->arena, name);
    if (copy == NULL ||
        !arena_reserve(walk->arena, &expression->mentions, &walk->mentions_capacity,
                       expression->n_mentions + UINT64_C(1), sizeof *expression->mentions))
        return error_memory(walk->err, READING);
    expression->mentions[expression->n_mentions++] =
        (mention){.name = copy, .position = position, .is_parameter = is_parameter};
    return FRESHET_OK;
}

static freshet_code note_function(walk *walk, const char *name)
{
    expression *expression = walk->expression;
    const char *copy = arena_text(walk->arena, name);
    if (copy == NULL ||
        !arena_reserve(walk->arena, &expression->functions, &walk->functions_capacity,
                       expression->n_functions + UINT64_C(1), sizeof(const char *)))
        return error_memory(walk->err, READING);
    expression->functions[expression->n_functions++] = copy;
    return FRESHET_OK;
}

static freshet_code visit_function(walk *walk, yyjson_val *node)
{
    const char *name = yyjson_get_str(yyjson_obj_get(node, "function_name"));
    if (name == NULL)
        return FRESHET_OK;
    const char *reason = expression_refused_name(name);
    bool ages = strcasecmp(name, "age") == 0 &&
                yyjson_arr_size(yyjson_obj_get(node, "children")) == 1; /* from today */
    if (reason == NULL && !ages)
        return note_function(walk, name);
    char what[160];
    snprintf(what, sizeof what, "%.120s()", name);
    return expression_refuse(walk, position_of(node), what, ages ? by_clock : reason);
}

/* Notes the column of a node that names one. */
static freshet_code visit_column(walk *walk, yyjson_val *node, bool is_parameter)
{
    const char *name = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(node, "column_names")));
    return name == NULL ? FRESHET_OK : note_mention(walk, name, position_of(node), is_parameter);
}

/* The names before the arrow: a column reference, or row(x, y). DuckDB parses j -> '$.a' alike, so
 * what seems to be a parameter may be a column. */
static freshet_code visit_parameters(walk *walk, yyjson_val *node)
{
    freshet_code code = visit_column(walk, node, true);
    yyjson_val *child;
    yyjson_arr_iter children = yyjson_arr_iter_with(yyjson_obj_get(node, "children"));
    while (code == FRESHET_OK && (child = yyjson_arr_iter_next(&children)) != NULL)
        code = visit_column(walk, child, true);
    return code;
}

/* Nodes that no feature has. */
static const struct {
    const char *class, *what, *reason;
} refused_nodes[] = {
    {"WINDOW", "OVER (...)",
     "is a window over many rows, and a feature's SQL sees one row at a time: "
     "windowed features come by `window` in a later version"},
    {"SUBQUERY", "a subquery",
     "cannot stand in a feature: join in the source's query, and take the column"},
    {"STAR", "* and COLUMNS(...)",
     "stand for several columns, and a feature is one value: name the column"},
    {"POSITIONAL_REFERENCE", "#1", "names no column here: write the column's name"},
    {"PARAMETER", "a parameter ($1, ?)",
     "has no value here: write the value, or ${NAME} for one of the environment"},
};

/* What one node of the expression says. */
static freshet_code visit(walk *walk, yyjson_val *node, const char *class)
{
    if (strcmp(class, "COLUMN_REF") == 0)
        return visit_column(walk, node, false);
    if (strcmp(class, "FUNCTION") == 0)
        return visit_function(walk, node);
    if (strcmp(class, "LAMBDA") == 0)
        return visit_parameters(walk, yyjson_obj_get(node, "lhs"));
    for (size_t i = 0; i < sizeof refused_nodes / sizeof *refused_nodes; i++)
        if (strcmp(class, refused_nodes[i].class) == 0)
            return expression_refuse(walk, position_of(node), refused_nodes[i].what,
                                     refused_nodes[i].reason);
    return FRESHET_OK;
}

static freshet_code walk_node(walk *walk, yyjson_val *node, unsigned depth)
{
    if (depth > EXPRESSION_DEPTH_MAX)
        return expression_refuse(walk, -1, "the expression",
                                 "is nested too deeply: split it into several features");
    freshet_code code = FRESHET_OK;
    yyjson_val *child;
    if (yyjson_is_arr(node)) {
        yyjson_arr_iter children = yyjson_arr_iter_with(node);
        while (code == FRESHET_OK && (child = yyjson_arr_iter_next(&children)) != NULL)
            code = walk_node(walk, child, depth + 1);
        return code;
    }
    if (!yyjson_is_obj(node))
        return FRESHET_OK;
    const char *class = yyjson_get_str(yyjson_obj_get(node, "class"));
    if (class != NULL)
        code = visit(walk, node, class);
    yyjson_val *key;
    yyjson_obj_iter members = yyjson_obj_iter_with(node);
    while (code == FRESHET_OK && (key = yyjson_obj_iter_next(&members)) != NULL)
        code = walk_node(walk, yyjson_obj_iter_get_val(key), depth + 1);
    return code;
}

/* One SELECT of one item and nothing else: gives the item. */
static freshet_code find_item(walk *walk, yyjson_val *root, yyjson_val **item)
{
    static const char whole[] = "a feature's SQL is one expression, such as \"a + b\"";
    static const char *const clauses[] = {"modifiers",  "where_clause", "group_expressions",
                                          "group_sets", "having",       "sample",
                                          "qualify"};
    yyjson_val *statements = yyjson_obj_get(root, "statements");
    yyjson_val *node = yyjson_obj_get(yyjson_arr_get_first(statements), "node");
    yyjson_val *items = yyjson_obj_get(node, "select_list");
    yyjson_val *from = yyjson_obj_get(yyjson_obj_get(node, "from_table"), "type");
    if (yyjson_arr_size(statements) != 1)
        return expression_refuse(walk, -1, whole, "and this text has several statements");
    bool is_plain = yyjson_equals_str(yyjson_obj_get(node, "type"), "SELECT_NODE") &&
                    yyjson_equals_str(from, "EMPTY");
    for (size_t i = 0; is_plain && i < sizeof clauses / sizeof *clauses; i++) {
        yyjson_val *clause = yyjson_obj_get(node, clauses[i]);
        is_plain =
            yyjson_is_null(clause) || (yyjson_is_arr(clause) && yyjson_arr_size(clause) == 0);
    }
    if (!is_plain)
        return expression_refuse(
            walk, -1, whole,
            "without SELECT, FROM, WHERE and the like: those belong in the source's query");
    if (yyjson_arr_size(items) != 1)
        return expression_refuse(walk, -1, whole,
                                 "and this text has several, with commas between them");
    *item = yyjson_arr_get_first(items);
    if (yyjson_get_len(yyjson_obj_get(*item, "alias")) > 0)
        return expression_refuse(walk, -1, whole, "without AS: the feature's name is its `name`");
    return FRESHET_OK;
}

/* A mention of a name that is also a lambda's parameter may be either. */
static void mark_parameters(expression *expression)
{
    for (uint32_t i = 0; i < expression->n_mentions; i++)
        for (uint32_t j = 0; expression->mentions[i].is_parameter && j < expression->n_mentions;
             j++)
            if (strcasecmp(expression->mentions[i].name, expression->mentions[j].name) == 0)
                expression->mentions[j].is_parameter = true;
}

freshet_code expression_read(sql_session *session, arena *arena, const char *sql, expression *out,
                             sql_problem *problem, freshet_error *err)
{
    *out = (expression){.sql = sql};
    *problem = (sql_problem){.position = -1};
    const char *select = arena_format(arena, SELECT "%s", sql);
    if (select == NULL)
        return error_memory(err, READING);
    const char *json;
    size_t length;
    freshet_code code = sql_tree(session, arena, select, &json, &length, problem, err);
    if (code != FRESHET_OK) {
        problem->position =
            problem->position >= SELECT_LENGTH ? problem->position - SELECT_LENGTH : -1;
        return code;
    }
    yyjson_doc *document = yyjson_read(json, length, SQL_TREE_READ);
    if (document == NULL)
        return error_memory(err, READING);
    walk walk = {.arena = arena, .expression = out, .problem = problem, .err = err};
    yyjson_val *item = NULL;
    code = find_item(&walk, yyjson_doc_get_root(document), &item);
    if (code == FRESHET_OK)
        code = walk_node(&walk, item, 0);
    yyjson_doc_free(document);
    if (code == FRESHET_OK)
        mark_parameters(out);
    return code;
}

bool expression_mentions(const expression *expression, const char *name)
{
    for (uint32_t i = 0; i < expression->n_mentions; i++)
        if (strcasecmp(expression->mentions[i].name, name) == 0)
            return true;
    return false;
}

freshet_code expression_find_aggregate(sql_session *session, arena *arena,
                                       const expression *expression, const char **name,
                                       freshet_error *err)
{
    sql_statement *statement;
    batch rows;
    *name = NULL;
    for (uint32_t i = 0; i < expression->n_functions && *name == NULL; i++)
        if (functions_is_aggregate(expression->functions[i]))
            *name = expression->functions[i];
    if (*name != NULL)
        return FRESHET_OK;
    freshet_code code = sql_prepare(session,
                                    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE "
                                    "function_type = 'aggregate'",
                                    &statement, NULL, err);
    if (code != FRESHET_OK)
        return code;
    code = sql_run(statement, arena, &rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < expression->n_functions; i++)
        for (uint32_t row = 0; row < rows.n_rows && *name == NULL; row++) {
            const cell_text *cell = &((const cell_text *)rows.columns[0].data)[row];
            const char *function = expression->functions[i];
            if (strlen(function) == cell->length &&
                strncasecmp(function, text_bytes(cell), cell->length) == 0)
                *name = function;
        }
    sql_statement_close(statement);
    return code;
}
