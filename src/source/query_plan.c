/* query_plan.c - see query_plan.h.
 *
 * The tree is DuckDB's (json_serialize_sql): query nodes (SELECT_NODE, SET_OPERATION_NODE,
 * RECURSIVE_CTE_NODE) with a map of their CTEs, table references (BASE_TABLE, SUBQUERY, JOIN,
 * TABLE_FUNCTION ...) and expressions (objects with a "class"). The walk goes through all of it
 * once, from the inside out, and asks of every query node and table reference one thing: does it
 * CARRY, that is, is each of its rows made from exactly one row of a driving reader?
 *
 *     a table        carries if it is a driving reader, or a CTE that carries
 *     a subquery     as its query
 *     a join         if exactly one side carries, and no row of it is made up of nulls; or if both
 *                    are driving readers, which are then joined before the query (query_join.c)
 *     a SELECT       if its FROM does, and nothing in it looks at several rows (aggregates,
 *                    windows, DISTINCT, ORDER BY, LIMIT ...)
 *     a UNION ALL    if both sides do
 *
 * A SELECT that carries gets the hidden column as its last; since exactly one item of its FROM
 * carries, the bare name of the hidden column is enough to fetch it, and `*` must leave it out.
 *
 * What stands in the way of carrying is a refusal: on a stream a problem for the user, in a batch
 * only a reason to run the query as a whole; the walk is then repeated on a fresh copy of the tree
 * with no reader driving. Things that are never possible (unknown tables, functions that read
 * files) are problems in both.
 *
 * Recursion follows the nesting of the query, at most PLAN_DEPTH_MAX deep.
 */
#include "source/query_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "functions/functions.h"
#include "source/plain_query.h"
#include "source/query_planner.h"
#include "source/steady_functions.h"

/* ---- reporting ---- */

void query_report(planner *planner, query_problem problem, int64_t position, const char *format,
                  ...)
{
    char text[640];
    va_list args;
    if (problem == QUERY_NO_NAME)
        planner->out->is_resolved = false;
    planner->n_refusals += problem == QUERY_NOT_BY_ROWS;
    const bool is_whole = problem == QUERY_NOT_BY_ROWS && !planner->is_stream;
    if (planner->is_quiet || (is_whole && planner->out->whole_reason != NULL))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (is_whole) {
        planner->out->whole_reason = arena_text(planner->arena, text);
        planner->out->whole_at = position;
        planner->no_memory |= planner->out->whole_reason == NULL;
        return;
    }
    planner->n_problems++;
    planner->report(planner->context, position, text);
}

bool query_too_deep(planner *planner, uint32_t depth)
{
    if (depth <= PLAN_DEPTH_MAX)
        return false;
    query_report(planner, QUERY_NEVER, -1, "the query is nested more than %d deep", PLAN_DEPTH_MAX);
    return true;
}

/* What is said of most that cannot be followed row by row. */
static void refuse_over(planner *planner, int64_t position, const char *what, const item *carrier,
                        const char *why)
{
    query_report(planner, QUERY_NOT_BY_ROWS, position,
                 "%s over the stream \"%s\" is not possible: %s", what,
                 query_stream_name(planner, carrier), why);
}

/* ---- changing the tree ---- */

void query_put_text(planner *planner, node *object, const char *key, const char *text)
{
    node *name = yyjson_mut_str(planner->document, key);
    node *value = yyjson_mut_strcpy(planner->document, text);
    if (name == NULL || value == NULL || !yyjson_mut_obj_put(object, name, value))
        planner->no_memory = true;
}

/* ---- names ---- */

bool query_is_one_of(const char *name, const char *const *names)
{
    while (*names != NULL && strcasecmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

int64_t query_find_reader(const planner *planner, const char *name)
{
    for (uint32_t i = 0; i < planner->n_readers; i++) {
        if (strcasecmp(planner->readers[i].id, name) == 0)
            return i;
    }
    return -1;
}

static bool query_is_column(const planner *planner, const char *name)
{
    for (uint32_t i = 0; i < planner->n_readers; i++) {
        if (schema_find(planner->readers[i].schema, name) >= 0)
            return true;
    }
    return false;
}

static void query_use_column(planner *planner, const char *name)
{
    for (uint32_t i = 0; i < planner->n_readers; i++) {
        int64_t column = schema_find(planner->readers[i].schema, name);
        if (column >= 0)
            planner->out->columns[i][column] = true;
    }
}

void query_use_all(planner *planner, int64_t reader)
{
    for (uint32_t i = 0; reader >= 0 && i < planner->readers[reader].schema->n_fields; i++)
        planner->out->columns[reader][i] = true;
}

void query_use_everything(planner *planner)
{
    for (uint32_t i = 0; i < planner->n_readers; i++)
        query_use_all(planner, i);
}

void query_add_mention(planner *planner, const char *name, bool is_alone)
{
    mention *new = arena_alloc(planner->arena, sizeof *new);
    if (new == NULL) {
        planner->no_memory = true;
        return;
    }
    *new = (mention){planner->mentions, name, is_alone};
    planner->mentions = new;
}

/* Which columns the query may use: those whose names are mentioned anywhere, and all of a reader
 * whose rows are mentioned as a whole. Rather too many than too few. */
static void use_mentioned(planner *planner)
{
    for (const mention *mention = planner->mentions; mention != NULL; mention = mention->next) {
        query_use_column(planner, mention->name);
        for (const item *item = planner->items; mention->is_alone && item != NULL; item = item->all)
            if (strcasecmp(item->alias, mention->name) == 0)
                query_use_all(planner, item->reader);
    }
}

/* ---- expressions ---- */

static int compare_name(const void *name, const void *element)
{
    return strcasecmp(name, ((const function *)element)->name);
}

static const function *find_function(const planner *planner, const char *name)
{
    if (planner->n_functions == 0)
        return NULL;
    return bsearch(name, planner->functions, planner->n_functions, sizeof *planner->functions,
                   compare_name);
}

/* Macros hide what they do: those of DuckDB and ours that aggregate are told by name. */
static bool is_aggregate(const planner *planner, const char *name)
{
    static const char *const hidden[] = {"count_star", "geomean",      "geometric_mean",
                                         "wavg",       "weighted_avg", NULL};
    const function *function = find_function(planner, name);
    return (function != NULL && function->is_aggregate) || functions_is_aggregate(name) ||
           query_is_one_of(name, hidden);
}

static void check_function(planner *planner, node *function, const item *carrier)
{
    const char *name = tree_text(function, "function_name");
    int64_t position = tree_position(function);
    const struct function *known = find_function(planner, name);
    bool is_clock = (known != NULL && !known->is_aggregate) ||
                    (strcasecmp(name, "age") == 0 &&
                     yyjson_mut_get_len(yyjson_mut_obj_get(function, "children")) == 1);
    if (is_clock && planner->is_stream)
        query_report(planner, QUERY_NEVER, position,
                     "%s() is not possible on a stream: a replay would give another value; use the "
                     "event's own time, or compute it where the feature is read",
                     name);
    if (carrier != NULL && is_aggregate(planner, name))
        query_report(
            planner, QUERY_NOT_BY_ROWS, position,
            "%s() over the stream \"%s\" is not possible: an aggregate needs all rows, and a "
            "stream has no last one; use a windowed feature of the feature set",
            strcmp(name, "count_star") == 0 ? "count" : name, query_stream_name(planner, carrier));
}

/* current_date and its like come as columns; a real column of that name has precedence. */
static void check_column(planner *planner, node *column)
{
    static const char *const clocks[] = {"current_date", "current_time",   "current_timestamp",
                                         "localtime",    "localtimestamp", NULL};
    node *names = yyjson_mut_obj_get(column, "column_names");
    size_t index, n;
    node *name;
    yyjson_mut_arr_foreach(names, index, n, name)
    {
        if (yyjson_mut_is_str(name))
            query_add_mention(planner, yyjson_mut_get_str(name), n == 1);
    }
    const char *first = yyjson_mut_get_str(yyjson_mut_arr_get_first(names));
    if (planner->is_stream && first != NULL && yyjson_mut_arr_size(names) == 1 &&
        query_is_one_of(first, clocks) && !query_is_column(planner, first) &&
        !tree_has_alias(yyjson_mut_doc_get_root(planner->document), first, 0))
        query_report(planner, QUERY_NEVER, tree_position(column),
                     "%s is not possible on a stream: a replay would give another value; use the "
                     "event's own time, or compute it where the feature is read",
                     first);
}

/* A subquery inside an expression. */
static void walk_nested_query(planner *planner, node *expression, const cte *ctes, uint32_t depth)
{
    node *query = yyjson_mut_obj_get(yyjson_mut_obj_get(expression, "subquery"), "node");
    const item *carrier = query_walk(planner, query, ctes, depth + 1);
    if (carrier != NULL)
        query_report(
            planner, QUERY_NOT_BY_ROWS, tree_position(expression),
            "the stream \"%s\" cannot be read inside an expression: the answer would change with "
            "every row that comes; join with a reader without stream: true instead",
            query_stream_name(planner, carrier));
}

static void check_expression(planner *planner, node *object, const cte *ctes, const item *carrier,
                             uint32_t depth)
{
    if (tree_has_class(object, "FUNCTION"))
        check_function(planner, object, carrier);
    else if (tree_has_class(object, "COLUMN_REF"))
        check_column(planner, object);
    else if (tree_has_class(object, "SUBQUERY"))
        walk_nested_query(planner, object, ctes, depth);
    else if (tree_has_class(object, "WINDOW") && carrier != NULL)
        query_report(
            planner, QUERY_NOT_BY_ROWS, tree_position(object),
            "%s() OVER the stream \"%s\" is not possible: a window function looks at rows that "
            "have not come yet, or are gone; use a windowed feature of the feature set",
            tree_text(object, "function_name"), query_stream_name(planner, carrier));
}

/* All expressions in any part of the tree that holds no table reference. */
void query_walk_expressions(planner *planner, node *any, const cte *ctes, const item *carrier,
                            uint32_t depth)
{
    if (any == NULL || !yyjson_mut_is_ctn(any) || query_too_deep(planner, depth))
        return;
    size_t index, n;
    node *key, *value;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
            query_walk_expressions(planner, value, ctes, carrier, depth + 1);
        return;
    }
    check_expression(planner, any, ctes, carrier, depth);
    yyjson_mut_obj_foreach(any, index, n, key, value)
    {
        if (strcmp(yyjson_mut_get_str(key), "subquery") != 0)
            query_walk_expressions(planner, value, ctes, carrier, depth + 1);
    }
}

/* ---- stars ---- */

static void exclude_hidden(planner *planner, node *star)
{
    node *name = yyjson_mut_str(planner->document, SOURCE_ROW_COLUMN);
    if (!yyjson_mut_arr_append(yyjson_mut_obj_get(star, "exclude_list"), name))
        planner->no_memory = true;
}

static void fix_star(planner *planner, node *star, const item *items, bool carries)
{
    const char *relation = tree_text(star, "relation_name");
    bool is_all = *relation == '\0', has_hidden = carries && is_all;
    for (const item *item = items; item != NULL; item = item->next) {
        if (!is_all && strcasecmp(item->alias, relation) != 0)
            continue;
        query_use_all(planner, item->reader);
        has_hidden |= item->carries;
    }
    if (!is_all) /* or all fields of a struct */
        query_add_mention(planner, relation, false);
    if (has_hidden && carries)
        exclude_hidden(planner, star);
}

/* Every `*` of a SELECT, but not those of the queries nested in it. */
static void fix_stars(planner *planner, node *any, const item *items, bool carries, uint32_t depth)
{
    if (any == NULL || !yyjson_mut_is_ctn(any) || depth > PLAN_DEPTH_MAX)
        return;
    size_t index, n;
    node *key, *value;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
            fix_stars(planner, value, items, carries, depth + 1);
        return;
    }
    if (tree_has_class(any, "STAR"))
        fix_star(planner, any, items, carries);
    yyjson_mut_obj_foreach(any, index, n, key, value)
    {
        if (strcmp(yyjson_mut_get_str(key), "subquery") != 0)
            fix_stars(planner, value, items, carries, depth + 1);
    }
}

/* ---- query nodes ---- */

node *query_column(planner *planner, const char *alias, const char *name)
{
    yyjson_mut_doc *document = planner->document;
    node *column = yyjson_mut_obj(document), *names = yyjson_mut_arr(document);
    const bool ok = yyjson_mut_obj_add_str(document, column, "class", "COLUMN_REF") &&
                    yyjson_mut_obj_add_str(document, column, "type", "COLUMN_REF") &&
                    yyjson_mut_obj_add_str(document, column, "alias", "") &&
                    yyjson_mut_obj_add_uint(document, column, "query_location", UINT64_MAX) &&
                    (alias == NULL || yyjson_mut_arr_add_strcpy(document, names, alias)) &&
                    yyjson_mut_arr_add_strcpy(document, names, name) &&
                    yyjson_mut_obj_add_val(document, column, "column_names", names);
    planner->no_memory |= !ok;
    return column;
}

/* In a FROM with a join of streams two names have the hidden column. */
static void add_hidden(planner *planner, node *select, const item *items)
{
    uint32_t n = 0;
    for (const item *item = items; item != NULL; item = item->next)
        n += item->carries;
    node *column = query_column(planner, n > 1 ? planner->join_alias : NULL, SOURCE_ROW_COLUMN);
    if (!yyjson_mut_arr_append(yyjson_mut_obj_get(select, "select_list"), column))
        planner->no_memory = true;
}

/* DISTINCT, ORDER BY and LIMIT, of a SELECT or a UNION. */
static void check_modifiers(planner *planner, node *query, const item *carrier)
{
    size_t index, n;
    node *modifier;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(query, "modifiers"), index, n, modifier)
    {
        int64_t position = tree_first_position(modifier, 0);
        bool is_distinct = tree_is(modifier, "DISTINCT_MODIFIER");
        if (is_distinct && position < 0)
            position = tree_first_position(yyjson_mut_obj_get(query, "select_list"), 0);
        if (is_distinct)
            refuse_over(planner, position, "DISTINCT", carrier,
                        "every row would have to be remembered for ever; the feature set gives the "
                        "newest row of each key anyway");
        else if (tree_is(modifier, "ORDER_MODIFIER"))
            refuse_over(planner, position, "ORDER BY", carrier,
                        "there is no last row to wait for; the rows keep the order in which they "
                        "are read");
        else
            refuse_over(planner, position, "LIMIT", carrier,
                        "it would count the rows of each micro-batch anew; choose rows by WHERE");
    }
}

static void check_groups(planner *planner, node *select, const item *carrier)
{
    node *groups = yyjson_mut_obj_get(select, "group_expressions");
    node *having = yyjson_mut_obj_get(select, "having");
    node *qualify = yyjson_mut_obj_get(select, "qualify");
    if (!tree_is_empty(groups) ||
        strcmp(tree_text(select, "aggregate_handling"), "FORCE_AGGREGATES") == 0)
        refuse_over(planner, tree_first_position(groups, 0), "GROUP BY", carrier,
                    "no group would ever be complete; use a windowed feature of the feature set");
    if (yyjson_mut_is_obj(having))
        refuse_over(planner, tree_first_position(having, 0), "HAVING", carrier,
                    "no group would ever be complete; choose rows by WHERE");
    if (yyjson_mut_is_obj(qualify))
        refuse_over(planner, tree_first_position(qualify, 0), "QUALIFY", carrier,
                    "a window function looks at rows that have not come yet, or are gone; use a "
                    "windowed feature of the feature set");
}

static const item *walk_select(planner *planner, node *select, const cte *ctes, uint32_t depth)
{
    static const char *const parts[] = {"select_list", "where_clause", "group_expressions",
                                        "having",      "qualify",      "modifiers"};
    node *from_table = yyjson_mut_obj_get(select, "from_table");
    from from = query_walk_from(planner, from_table, ctes, depth + 1);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        node *part = yyjson_mut_obj_get(select, parts[i]);
        query_walk_expressions(planner, part, ctes, from.carrier, depth + 1);
        fix_stars(planner, part, from.items, from.carrier != NULL, depth + 1);
    }
    if (from.carrier == NULL)
        return NULL;
    check_groups(planner, select, from.carrier);
    check_modifiers(planner, select, from.carrier);
    query_refuse_sample(planner, select, from.carrier, tree_first_position(from_table, 0));
    add_hidden(planner, select, from.items);
    return from.carrier;
}

static const item *walk_set_operation(planner *planner, node *set, const cte *ctes, uint32_t depth)
{
    node *sides[] = {yyjson_mut_obj_get(set, "left"), yyjson_mut_obj_get(set, "right")};
    const item *left = query_walk(planner, sides[0], ctes, depth + 1);
    const item *right = query_walk(planner, sides[1], ctes, depth + 1);
    const item *carrier = left != NULL ? left : right;
    query_walk_expressions(planner, yyjson_mut_obj_get(set, "modifiers"), ctes, carrier, depth + 1);
    if (carrier == NULL)
        return NULL;
    const char *type = tree_text(set, "setop_type");
    bool is_union = strncmp(type, "UNION", 5) == 0;
    bool is_all = yyjson_mut_get_bool(yyjson_mut_obj_get(set, "setop_all"));
    int64_t position = tree_first_position(yyjson_mut_obj_get(sides[1], "select_list"), 0);
    if (!is_union)
        refuse_over(planner, position, type, carrier,
                    "every row would have to be remembered for ever; use a SEMI or ANTI JOIN with "
                    "a reader without stream: true");
    else if (!is_all)
        refuse_over(planner, position, "UNION", carrier,
                    "to drop repeated rows, every row would have to be remembered for ever; use "
                    "UNION ALL");
    else if (left == NULL || right == NULL)
        query_report(
            planner, QUERY_NOT_BY_ROWS,
            tree_first_position(yyjson_mut_obj_get(sides[left != NULL], "select_list"), 0),
            "one side of UNION ALL reads the stream \"%s\", and this one reads no stream: its rows "
            "would come again with each micro-batch; make its reader stream: true",
            query_stream_name(planner, carrier));
    check_modifiers(planner, set, carrier);
    return carrier;
}

static const item *walk_recursive(planner *planner, node *query, const cte *ctes, uint32_t depth)
{
    const cte self = {ctes, tree_text(query, "cte_name"), NULL};
    const item *left = query_walk(planner, yyjson_mut_obj_get(query, "left"), ctes, depth + 1);
    const item *right = query_walk(planner, yyjson_mut_obj_get(query, "right"), &self, depth + 1);
    const item *carrier = left != NULL ? left : right;
    if (carrier != NULL)
        refuse_over(planner, tree_first_position(query, 0), "WITH RECURSIVE", carrier,
                    "the recursion would never see all rows; use a reader without stream: true");
    return carrier;
}

/* The CTEs of a query node, each seeing those before it. */
static const cte *walk_ctes(planner *planner, node *query, const cte *ctes, uint32_t depth)
{
    size_t index, n;
    node *entry;
    node *map = yyjson_mut_obj_get(yyjson_mut_obj_get(query, "cte_map"), "map");
    yyjson_mut_arr_foreach(map, index, n, entry)
    {
        cte *new = arena_alloc(planner->arena, sizeof *new);
        if (new == NULL) {
            planner->no_memory = true;
            return ctes;
        }
        *new = (cte){ctes, tree_text(entry, "key"),
                     query_walk(planner, tree_cte_body(entry), ctes, depth + 1)};
        ctes = new;
    }
    return ctes;
}

/* NULL, or the item that the query's rows come from. */
const item *query_walk(planner *planner, node *query, const cte *ctes, uint32_t depth)
{
    if (query == NULL || query_too_deep(planner, depth))
        return NULL;
    ctes = walk_ctes(planner, query, ctes, depth);
    if (tree_is(query, "SELECT_NODE"))
        return walk_select(planner, query, ctes, depth);
    if (tree_is(query, "SET_OPERATION_NODE"))
        return walk_set_operation(planner, query, ctes, depth);
    if (tree_is(query, "RECURSIVE_CTE_NODE"))
        return walk_recursive(planner, query, ctes, depth);
    query_report(planner, QUERY_NEVER, -1, "this form of query (%s) is not possible",
                 tree_text(query, "type"));
    return NULL;
}

/* ---- the whole ---- */

static int compare_functions(const void *a, const void *b)
{
    return strcasecmp(((const function *)a)->name, ((const function *)b)->name);
}

/* DuckDB's aggregates, and its functions whose result depends on more than the arguments. It takes
 * DuckDB some 20 ms to list its functions: a query that calls none but steady ones does without. */
static freshet_code ask_functions(planner *planner, sql_session *session, const char *json,
                                  freshet_error *err)
{
    static const char *const sql =
        "SELECT function_name, function_type = 'aggregate' FROM duckdb_functions() WHERE "
        "function_type = 'aggregate' OR (stability <> 'CONSISTENT' AND function_name <> 'error')";
    sql_statement *statement = NULL;
    batch rows;
    if (steady_functions_only(json))
        return FRESHET_OK;
    freshet_code code = sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, planner->arena, &rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < rows.n_rows; i++) {
        if (i == 0)
            planner->functions =
                arena_zero(planner->arena, rows.n_rows, sizeof *planner->functions);
        const cell_text *name = &((const cell_text *)rows.columns[0].data)[i];
        const char *copy = arena_copy(planner->arena, text_bytes(name), name->length);
        if (planner->functions == NULL || copy == NULL)
            code = error_memory(err, "planning the query");
        else
            planner->functions[planner->n_functions++] =
                (function){copy, ((const uint8_t *)rows.columns[1].data)[i]};
    }
    sql_statement_close(statement);
    if (planner->functions != NULL)
        qsort(planner->functions, planner->n_functions, sizeof *planner->functions,
              compare_functions);
    return code;
}

static node *copy_tree(planner *planner, yyjson_doc *tree)
{
    planner->document = yyjson_doc_mut_copy(tree, NULL);
    node *root = yyjson_mut_doc_get_root(planner->document);
    node *statements = yyjson_mut_obj_get(root, "statements");
    return yyjson_mut_obj_get(yyjson_mut_arr_get_first(statements), "node");
}

static freshet_code write_sql(planner *planner, sql_session *session, freshet_error *err)
{
    size_t length = 0;
    char *json =
        planner->no_memory ? NULL : yyjson_mut_write(planner->document, SQL_TREE_WRITE, &length);
    if (json == NULL)
        return error_memory(err, "planning the query");
    plan *out = planner->out;
    freshet_code code = sql_from_tree(session, planner->arena, json, length, &out->sql, err);
    free(json);
    if (code == FRESHET_OK && out->has_join && out->join.match != NULL)
        code = sql_from_tree(session, planner->arena, out->join.match, out->join.match_length,
                             &out->join.match_sql, err);
    return code;
}

static void complain_of_unread(planner *planner, const item *carrier)
{
    uint32_t n_problems = planner->n_problems;
    for (uint32_t i = 0; i < planner->n_readers; i++) {
        const bool is_driving = planner->readers[i].is_stream || planner->readers[i].is_joined;
        if (is_driving && !planner->out->is_used[i])
            query_report(
                planner, QUERY_NEVER, -1,
                "the reader \"%s\" is a stream, and the query does not read it: use it, or "
                "leave it out",
                planner->readers[i].id);
    }
    if (carrier == NULL && planner->n_problems == n_problems && planner->n_refusals == 0 &&
        planner->n_problems == 0)
        query_report(planner, QUERY_NEVER, -1,
                     "the query reads a stream, but gives none of its rows");
}

/* One walk with these driving readers; true if the query runs row by row. */
static bool walk_tree(planner *planner, yyjson_doc *tree, bool *drives)
{
    planner->drives = drives;
    planner->out->is_resolved = true;
    planner->n_refusals = 0;
    planner->items = NULL;
    planner->mentions = NULL;
    planner->n_driving = 0;
    planner->out->has_join = false;
    yyjson_mut_doc_free(planner->document);
    node *query = copy_tree(planner, tree);
    if (query == NULL) {
        planner->no_memory = true;
        return false;
    }
    const item *carrier = query_walk(planner, query, NULL, 1);
    use_mentioned(planner);
    if (planner->out->has_join && planner->n_driving > 2)
        query_report(planner, QUERY_NOT_BY_ROWS, -1,
                     "a query that joins two streams reads each of them once, and no other stream");
    if (planner->is_stream && !planner->is_quiet)
        complain_of_unread(planner, carrier);
    return carrier != NULL && planner->n_refusals == 0;
}

/* By rows, driven by the readers that the column (NULL: none) leads to? */
static bool walk_batch(planner *planner, yyjson_doc *tree, const char *column)
{
    plan *out = planner->out;
    memset(out->drives, 0, planner->n_readers * sizeof *out->drives);
    yyjson_mut_doc_free(planner->document);
    query_find_drivers(planner, copy_tree(planner, tree), column);
    return walk_tree(planner, tree, out->drives);
}

static freshet_code plan_tree(planner *planner, yyjson_doc *tree, sql_session *session,
                              const char *time_column, bool as_a_whole, freshet_error *err)
{
    plan *out = planner->out;
    for (uint32_t i = 0; i < planner->n_readers; i++)
        out->drives[i] = planner->readers[i].is_stream || planner->readers[i].is_joined;
    out->by_rows = planner->is_stream ? walk_tree(planner, tree, out->drives)
                                      : walk_batch(planner, tree, time_column);
    if (planner->n_problems > 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the source's query cannot be run");
    planner->is_quiet = true;
    if (!out->by_rows && !planner->is_stream && !as_a_whole)
        out->by_rows = walk_batch(planner, tree, NULL);
    if (out->by_rows && !as_a_whole) {
        memcpy(out->would_drive, out->drives, planner->n_readers * sizeof *out->drives);
        out->whole_reason = NULL;
    }
    if (!out->by_rows || as_a_whole) {
        out->by_rows = false;
        memset(out->drives, 0, planner->n_readers * sizeof *out->drives);
        walk_tree(planner, tree, out->drives);
    }
    return write_sql(planner, session, err);
}

static bool query_make_room(planner *planner)
{
    arena *arena = planner->arena;
    plan *out = planner->out;
    out->drives = arena_zero(arena, planner->n_readers, sizeof *out->drives);
    out->is_used = arena_zero(arena, planner->n_readers, sizeof *out->is_used);
    if (out->would_drive == NULL)
        out->would_drive = arena_zero(arena, planner->n_readers, sizeof *out->would_drive);
    out->columns = arena_zero(arena, planner->n_readers, sizeof *out->columns);
    if (out->drives == NULL || out->is_used == NULL || out->columns == NULL ||
        out->would_drive == NULL)
        return false;
    for (uint32_t i = 0; i < planner->n_readers; i++) {
        out->columns[i] =
            arena_zero(arena, planner->readers[i].schema->n_fields, sizeof **out->columns);
        if (out->columns[i] == NULL)
            return false;
        planner->is_stream |= planner->readers[i].is_stream || planner->readers[i].is_joined;
    }
    return true;
}

#define NO_SELECT "the query must be one SELECT over the readers' ids; this is another statement"

/* The text's syntax tree; FRESHET_BAD_DECLARATION, and a report, where it is no SELECT. */
static freshet_code read_tree(arena *arena, sql_session *session, const char *sql,
                              plan_report_fn *report, void *context, const char **json,
                              size_t *length, freshet_error *err)
{
    sql_problem problem;
    freshet_code code = sql_tree(session, arena, sql, json, length, &problem, err);
    if (code != FRESHET_USAGE)
        return code;
    bool is_other = strstr(problem.text, "Only SELECT statements") != NULL;
    report(context, problem.position, is_other ? NO_SELECT : problem.text);
    return FRESHET_BAD_DECLARATION;
}

freshet_code plan_check_syntax(arena *arena, sql_session *session, const char *sql,
                               plan_report_fn *report, void *context, freshet_error *err)
{
    const char *json = NULL;
    size_t length = 0;
    return read_tree(arena, session, sql, report, context, &json, &length, err);
}

/* A query that is planned by rows may need no engine. */
static freshet_code plan_plain(planner *planner, yyjson_doc *tree, sql_session *session,
                               freshet_error *err)
{
    plan *out = planner->out;
    out->plain = NULL;
    if (!out->by_rows || out->has_join)
        return FRESHET_OK;
    yyjson_mut_doc_free(planner->document);
    node *query = copy_tree(planner, tree);
    planner->no_memory |= query == NULL;
    if (query != NULL)
        out->plain = query_read_plain(planner, session, query);
    return planner->no_memory ? error_memory(err, "planning the query") : FRESHET_OK;
}

/* NOLINTNEXTLINE(readability-function-size): what a plan is made from, and who hears of it */
freshet_code plan_query(arena *arena, sql_session *session, const char *sql,
                        const plan_reader *readers, uint32_t n_readers, const char *time_column,
                        bool as_a_whole, plan_report_fn *report, void *context, plan *out,
                        freshet_error *err)
{
    planner planner = {.arena = arena,
                       .readers = readers,
                       .n_readers = n_readers,
                       .report = report,
                       .context = context,
                       .out = out};
    const char *json = NULL;
    size_t length = 0;
    if (!query_make_room(&planner))
        return error_memory(err, "planning the query");
    freshet_code code = read_tree(arena, session, sql, report, context, &json, &length, err);
    if (code == FRESHET_OK)
        code = ask_functions(&planner, session, json, err);
    yyjson_doc *tree = code == FRESHET_OK ? yyjson_read(json, length, SQL_TREE_READ) : NULL;
    if (code == FRESHET_OK)
        code = tree == NULL ? error_memory(err, "planning the query")
                            : plan_tree(&planner, tree, session, time_column, as_a_whole, err);
    if (code == FRESHET_OK)
        code = plan_plain(&planner, tree, session, err);
    yyjson_mut_doc_free(planner.document);
    yyjson_doc_free(tree);
    return code;
}
