/* hooks_read.c - an expectation: from the text of a declaration to a statement.
 *
 * The text is put into DuckDB's SQL by the dialect, and its tree looked at: an aggregate function
 * anywhere in it makes it one about all rows. The values that such an expectation compares (what
 * stands beside = and < and between, through AND, OR and NOT) are selected beside it, so that a
 * message can say what was found. The condition of its first FILTER tells which row is shown.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "base/error.h"
#include "declaration/macros.h"
#include "features/expression.h"
#include "pipeline/hooks_internal.h"

#define SELECT_LENGTH 7
#define TREE_DEPTH_MAX 2000u
#define NAMES_MAX 256u

typedef struct reading {
    hook_point *point;
    hook *hook;
    arena *arena;
    sql_session *session;
    yyjson_doc *tree;
    bool is_reported;
} reading;

__attribute__((format(printf, 3, 4))) static void hook_report(reading *reading, int64_t position,
                                                              const char *format, ...)
{
    va_list values;
    const declared_text *expect = &reading->hook->block->expect;
    const freshet_declaration *handle = reading->point->hooks->pipeline->handle;
    place at = expect->at;
    position = dialect_position(&reading->hook->text, position);
    if (position >= 0 && position < (int64_t)strlen(expect->value))
        at = declaration_place_in(handle, expect, (size_t)position);
    char said[640];
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    problem_add(reading->point->hooks->problems, &at, "hook: %s", said);
    reading->is_reported = true;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static const struct {
    const char *class, *text;
} refused[] = {
    {"SUBQUERY", "a subquery cannot stand in a hook, which looks at the rows that pass: join what "
                 "it needs in the source's query, and name that column"},
    {"WINDOW", "OVER (...) is a window over many rows, and a hook has one answer: for each row "
               "(no aggregate), or for all rows together (an aggregate without OVER)"},
    {"STAR", "* and COLUMNS(...) stand for several columns, and a hook is one condition: name the "
             "column"},
};

static int64_t position_of(yyjson_val *node)
{
    const uint64_t place = yyjson_get_uint(yyjson_obj_get(node, "query_location"));
    return place >= SELECT_LENGTH && place < INT32_MAX ? (int64_t)place - SELECT_LENGTH : -1;
}

/* What is refused anywhere below; the first FILTER. */
static void look_through(reading *reading, yyjson_val *node, yyjson_val **filter, unsigned depth)
{
    yyjson_val *child, *key;
    if (depth > TREE_DEPTH_MAX || reading->is_reported)
        return;
    if (yyjson_is_arr(node)) {
        yyjson_arr_iter children = yyjson_arr_iter_with(node);
        while ((child = yyjson_arr_iter_next(&children)) != NULL)
            look_through(reading, child, filter, depth + 1);
        return;
    }
    if (!yyjson_is_obj(node))
        return;
    const char *class = yyjson_get_str(yyjson_obj_get(node, "class"));
    for (size_t i = 0; class != NULL && i < sizeof refused / sizeof *refused; i++)
        if (strcmp(class, refused[i].class) == 0)
            hook_report(reading, position_of(node), "%s", refused[i].text);
    child = yyjson_obj_get(node, "filter");
    if (class != NULL && strcmp(class, "FUNCTION") == 0 && yyjson_is_obj(child) && *filter == NULL)
        *filter = child;
    yyjson_obj_iter members = yyjson_obj_iter_with(node);
    while ((key = yyjson_obj_iter_next(&members)) != NULL)
        look_through(reading, yyjson_obj_iter_get_val(key), filter, depth + 1);
}

/* A part of the tree as SQL; NULL where there is none. */
static const char *part_sql(const reading *reading, yyjson_val *part)
{
    yyjson_mut_doc *copy = yyjson_doc_mut_copy(reading->tree, NULL);
    yyjson_mut_val *list =
        copy == NULL ? NULL : yyjson_mut_doc_ptr_get(copy, "/statements/0/node/select_list");
    const char *sql = NULL;
    size_t length = 0;
    char *json = NULL;
    if (list != NULL) {
        yyjson_mut_arr_clear(list);
        yyjson_mut_arr_append(list, yyjson_val_mut_copy(copy, part));
        json = yyjson_mut_write(copy, SQL_TREE_WRITE, &length);
    }
    if (json == NULL ||
        sql_from_tree(reading->session, reading->arena, json, length, &sql, NULL) != FRESHET_OK)
        sql = NULL;
    free(json);
    yyjson_mut_doc_free(copy);
    return sql == NULL || strncasecmp(sql, "SELECT ", SELECT_LENGTH) != 0 ? NULL
                                                                          : sql + SELECT_LENGTH;
}

static bool is_class(yyjson_val *node, const char *class)
{
    return yyjson_equals_str(yyjson_obj_get(node, "class"), class);
}

/* The values that the expression compares, at most HOOK_SIDES_MAX. */
static void find_sides(const reading *reading, yyjson_val *node, uint32_t *n, text_buffer *into,
                       unsigned depth)
{
    static const char *const below[] = {"left", "right", "input", "child"};
    yyjson_val *child;
    const bool compares = is_class(node, "COMPARISON") || is_class(node, "BETWEEN");
    if (depth > TREE_DEPTH_MAX || *n == HOOK_SIDES_MAX)
        return;
    if (is_class(node, "CONJUNCTION") || is_class(node, "OPERATOR")) {
        yyjson_arr_iter children = yyjson_arr_iter_with(yyjson_obj_get(node, "children"));
        while ((child = yyjson_arr_iter_next(&children)) != NULL)
            find_sides(reading, child, n, into, depth + 1);
        return;
    }
    for (size_t i = 0; compares && i < sizeof below / sizeof *below && *n < HOOK_SIDES_MAX; i++) {
        child = yyjson_obj_get(node, below[i]);
        yyjson_val *inner = is_class(child, "CAST") ? yyjson_obj_get(child, "child") : child;
        const char *sql =
            child == NULL || is_class(inner, "CONSTANT") ? NULL : part_sql(reading, child);
        if (sql == NULL)
            continue;
        text_format(into, ", CAST((%s\n) AS VARCHAR)", sql);
        ++*n;
    }
}

/* ---- an expression of columns that there are ------------------------------------------------- */

static void check_names(reading *reading, const expression *expression)
{
    const schema *columns = reading->point->columns;
    const char *names[NAMES_MAX];
    uint32_t n = 0;
    for (; n < columns->n_fields && n < NAMES_MAX; n++)
        names[n] = columns->fields[n].name;
    for (uint32_t i = 0; i < expression->n_mentions; i++) {
        const mention *mention = &expression->mentions[i];
        bool is_known = mention->is_parameter;
        for (uint32_t k = 0; !is_known && k < columns->n_fields; k++)
            is_known = strcasecmp(columns->fields[k].name, mention->name) == 0;
        if (is_known)
            continue;
        const char *near = text_nearest(mention->name, names, n);
        const char *reason = expression_refused_name(mention->name);
        char text[560] = "";
        if (reason != NULL)
            snprintf(text, sizeof text, "%.120s %.400s", mention->name, reason);
        else if (near != NULL)
            snprintf(text, sizeof text,
                     "%.160s have no column \"%.120s\"; did you mean \"%.120s\"?",
                     reading->point->rows, mention->name, near);
        else {
            snprintf(text, sizeof text, "%.160s have no column \"%.120s\"; they have",
                     reading->point->rows, mention->name);
            for (uint32_t k = 0; k < n && strlen(text) + strlen(names[k]) + 8 < sizeof text; k++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s",
                         k == 0 ? "" : ",", names[k]);
        }
        hook_report(reading, mention->position, "%s", text);
    }
}

static freshet_code read_tree(reading *reading, freshet_error *err)
{
    hook *hook = reading->hook;
    const char *select = arena_format(reading->arena, "SELECT %s", hook->text.sql);
    const char *json = NULL;
    size_t length = 0;
    yyjson_val *filter = NULL;
    sql_problem problem;
    text_buffer sides;
    uint32_t n = 0;
    if (select == NULL)
        return error_memory(err, HOOKING);
    if (sql_tree(reading->session, reading->arena, select, &json, &length, &problem, NULL) !=
        FRESHET_OK)
        return FRESHET_OK; /* expression_read says why */
    reading->tree = yyjson_read(json, length, SQL_TREE_READ);
    if (reading->tree == NULL)
        return error_memory(err, HOOKING);
    yyjson_val *item = yyjson_doc_ptr_get(reading->tree, "/statements/0/node/select_list/0");
    look_through(reading, item, &filter, 0);
    text_init(&sides, TEXT_LIMIT_DEFAULT);
    find_sides(reading, item, &n, &sides, 0);
    hook->sides = sides.failed ? NULL
                  : n == 0     ? ""
                               : arena_copy(reading->arena, sides.bytes, sides.length);
    hook->filter = filter == NULL ? NULL : part_sql(reading, filter);
    text_release(&sides);
    yyjson_doc_free(reading->tree);
    return hook->sides == NULL ? error_memory(err, HOOKING) : FRESHET_OK;
}

/* ---- statements ------------------------------------------------------------------------------ */

freshet_code hook_prepare_over(const hook_point *point, const hook *hook, const char *from,
                               sql_statement **out, freshet_error *err)
{
    sql_session *session = point->hooks->pipeline->session;
    const char *sql = arena_format(point->hooks->scratch, "SELECT (%s\n)%s FROM %s", hook->text.sql,
                                   hook->sides, from);
    return sql == NULL ? error_memory(err, HOOKING) : sql_prepare(session, sql, out, NULL, err);
}

/* The statement that is asked of each micro-batch, or at least prepared to see that it can be. */
static freshet_code prepare_hook(reading *reading, freshet_error *err)
{
    const hook_point *point = reading->point;
    hook *hook = reading->hook;
    const bool is_view = point->input == NULL && !point->is_loaded;
    const char *begin =
        is_view && !hook->is_aggregate ? "SELECT " SOURCE_ROW_COLUMN ", (" : "SELECT (";
    const char *sql = arena_format(reading->arena, "%s%s\n)%s FROM %s", begin, hook->text.sql,
                                   hook->is_aggregate ? hook->sides : "", point->from);
    sql_problem problem = {.position = -1};
    if (sql == NULL)
        return error_memory(err, HOOKING);
    freshet_code code = sql_prepare(reading->session, sql, &hook->statement, &problem, err);
    if (code == FRESHET_OK)
        code = sql_check_casts(reading->session, reading->arena, sql, &problem, err);
    if (code == FRESHET_USAGE) {
        const int64_t position = problem.position - (int64_t)strlen(begin);
        hook_report(reading, position < 0 ? -1 : position, "%s", problem.text);
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return code;
    const uint32_t answer = is_view && !hook->is_aggregate ? 1 : 0;
    const type *type = sql_statement_schema(hook->statement)->fields[answer].type;
    if (type->kind != TYPE_BOOLEAN)
        hook_report(reading, -1,
                    "the expectation gives a value of the type %s, and not true or false: compare "
                    "it with something, as in \"count(*) > 0\"",
                    type_name(reading->arena, type));
    return FRESHET_OK;
}

/* The columns that it names: of lambdas' parameters perhaps some too many. */
static void note_used(const reading *reading, const expression *expression, bool *used)
{
    const schema *columns = reading->point->columns;
    for (uint32_t i = 0; i < columns->n_fields; i++)
        used[i] |= expression_mentions(expression, columns->fields[i].name);
}

static freshet_code read_expression(reading *reading, bool *used, freshet_error *err)
{
    hook *hook = reading->hook;
    expression expression;
    sql_problem problem;
    const char *aggregate = NULL;
    freshet_code code = expression_read(reading->session, reading->arena, hook->text.sql,
                                        &expression, &problem, err);
    if (code == FRESHET_USAGE) {
        hook_report(reading, problem.position, "%s", problem.text);
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return code;
    check_names(reading, &expression);
    code =
        expression_find_aggregate(reading->session, reading->arena, &expression, &aggregate, err);
    hook->is_aggregate = aggregate != NULL;
    note_used(reading, &expression, used);
    if (code == FRESHET_OK && aggregate != NULL &&
        hook->block->on_violation == VIOLATION_DEAD_LETTER)
        hook_report(reading, -1,
                    "%s%s looks at many rows, and no single one breaks what is expected of it, so "
                    "none can go to the dead letters: write a condition of one row, such as "
                    "\"amount >= 0\", or `on_violation: fail` or `warn`",
                    strcasecmp(aggregate, "count_star") == 0 ? "count(*)" : aggregate,
                    strcasecmp(aggregate, "count_star") == 0 ? "" : "()");
    return code == FRESHET_OK && !reading->is_reported ? prepare_hook(reading, err) : code;
}

/* As messages call it. */
static const char *hook_said(const reading *reading)
{
    const hook_block *block = reading->hook->block;
    const char *written =
        macros_written(reading->point->hooks->pipeline->declaration, block->expect.value, NULL);
    return block->name.value == NULL
               ? arena_format(reading->arena, "\"%.200s\"", written)
               : arena_format(reading->arena, "\"%.100s\" (%.200s)", block->name.value, written);
}

freshet_code hook_read(hook_point *point, hook *hook, bool *used, freshet_error *err)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    reading reading = {
        .point = point, .hook = hook, .arena = pipeline->arena, .session = pipeline->session};
    sql_problem problem = {.position = -1};
    hook->said = hook_said(&reading);
    if (hook->said == NULL)
        return error_memory(err, HOOKING);
    freshet_code code =
        dialect_expression(pipeline->declaration->dialect, pipeline->session, pipeline->arena,
                           hook->block->expect.value, point->columns, &hook->text, &problem, err);
    if (code == FRESHET_USAGE) {
        hook->text = (dialect_text){.sql = hook->block->expect.value};
        hook_report(&reading, problem.position, "%s", problem.text);
        return FRESHET_OK;
    }
    if (code == FRESHET_OK)
        code = read_tree(&reading, err);
    return code == FRESHET_OK && !reading.is_reported ? read_expression(&reading, used, err) : code;
}
