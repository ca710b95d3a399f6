/* query_check.c - see query_check.h.
 *
 * The engine's own locks (no external access, no change of settings, a read-only transaction) keep
 * a query from doing harm; what is here makes the answer clear, and closes what they leave open:
 *
 *   - Only one statement that is a query: the engine gives a syntax tree of nothing else.
 *   - Functions in FROM come from a list of harmless ones. Others run SQL from a text that was not
 *     checked, force a checkpoint, switch logging on, or read memory by address.
 *   - Long texts and lists are not counted by the engine's memory limit. A function that makes them
 *     from a number (repeat, lpad, range ...) must be given that number literally, and all such
 *     numbers of a query multiplied may not be above QUERY_GROWTH_MAX, which keeps one step of the
 *     engine (2,048 rows) within about 200 MB. What grows step by step is seen and ended by the
 *     watchdog of query_pool.c.
 *
 * The tree is JSON of the engine's own form: an object with "function_name" is a call, and a call
 * under an object of type TABLE_FUNCTION stands in FROM.
 */
#include "writers/debug/query_check.h"

#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "base/error.h"

static const char *const table_functions[] = {
    "duckdb_columns",
    "duckdb_constraints",
    "duckdb_databases",
    "duckdb_functions",
    "duckdb_keywords",
    "duckdb_memory",
    "duckdb_schemas",
    "duckdb_settings",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_views",
    "generate_series",
    "histogram",
    "histogram_values",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "pragma_database_size",
    "pragma_show",
    "pragma_table_info",
    "pragma_version",
    "range",
    "repeat",
    "repeat_row",
    "unnest",
};

/* Calls whose result is as long as the number in argument `number`; -1: as the distance of the
 * numbers. */
static const struct {
    const char *name;
    int number;
} growing[] = {
    {"repeat", 1},       {"lpad", 1}, {"rpad", 1},   {"list_resize", 1},
    {"array_resize", 1}, {"bar", 3},  {"range", -1}, {"generate_series", -1},
};

/* Not possible at all, and why. */
static const struct {
    const char *name, *reason;
} refused[] = {
    {"list_reduce", "its result can grow without bounds"},
    {"array_reduce", "its result can grow without bounds"},
    {"reduce", "its result can grow without bounds"},
    {"printf", "its result can grow without bounds; use || and round()"},
    {"format", "its result can grow without bounds; use || and round()"},
    {"write_log", "it writes"},
    {"sleep_ms", "it does nothing but hold the snapshot"},
};

typedef struct checker {
    int64_t growth;
    freshet_error *err;
} checker;

static freshet_code check_refuse(checker *checker, const char *name, const char *reason)
{
    return error_set(checker->err, FRESHET_USAGE, FRESHET_STOP, NULL,
                     "%s() cannot be used in a query over the debug table: %s", name, reason);
}

/* A whole number written as such; false for anything else. */
static bool literal(yyjson_val *node, int64_t *number)
{
    const char *class = yyjson_get_str(yyjson_obj_get(node, "class"));
    yyjson_val *value = yyjson_obj_get(yyjson_obj_get(node, "value"), "value");
    if (class == NULL || strcmp(class, "CONSTANT") != 0 || !yyjson_is_int(value))
        return false;
    *number = yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX ? INT64_MAX
                                                                          : yyjson_get_sint(value);
    return true;
}

/* How long a growing call's result is at most; -1 where that cannot be seen. */
static int64_t growth_of(yyjson_val *call, int number_at)
{
    yyjson_val *arguments = yyjson_obj_get(call, "children");
    int64_t number = 0, other = 0;
    if (number_at >= 0) {
        if (!literal(yyjson_arr_get(arguments, (size_t)number_at), &number))
            return -1;
        return number < 0 ? 0 : number;
    }
    size_t n = yyjson_arr_size(arguments);
    if (n == 0 || !literal(yyjson_arr_get(arguments, 0), &number) ||
        (n > 1 && !literal(yyjson_arr_get(arguments, 1), &other)))
        return -1;
    int64_t distance;
    if (__builtin_sub_overflow(number, other, &distance) || distance == INT64_MIN)
        return INT64_MAX;
    return distance < 0 ? -distance : distance;
}

static freshet_code check_growth(checker *checker, const char *name, yyjson_val *call, int number)
{
    int64_t growth = growth_of(call, number);
    if (growth < 0)
        return check_refuse(checker, name, "here it needs a number written literally");
    if (growth < 1)
        growth = 1;
    if (__builtin_mul_overflow(checker->growth, growth, &checker->growth) ||
        checker->growth > QUERY_GROWTH_MAX)
        return error_set(checker->err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query makes values that are too long: the numbers given to repeat, "
                         "lpad, range and the like may be %lld at most, all multiplied",
                         (long long)QUERY_GROWTH_MAX);
    return FRESHET_OK;
}

static freshet_code check_scalar(checker *checker, const char *name, yyjson_val *call)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcasecmp(name, refused[i].name) == 0)
            return check_refuse(checker, name, refused[i].reason);
    for (size_t i = 0; i < sizeof growing / sizeof *growing; i++)
        if (strcasecmp(name, growing[i].name) == 0)
            return check_growth(checker, name, call, growing[i].number);
    return FRESHET_OK;
}

static freshet_code check_table_function(checker *checker, const char *name)
{
    for (size_t i = 0; i < sizeof table_functions / sizeof *table_functions; i++)
        if (strcasecmp(name, table_functions[i]) == 0)
            return FRESHET_OK;
    return check_refuse(
        checker, name,
        "it is none of the functions that can stand in FROM here; query the tables that "
        "SHOW TABLES gives");
}

/* Recursion: as deep as the tree, at most QUERY_DEPTH_MAX. */
static freshet_code check_node(checker *checker, yyjson_val *node, bool in_from, unsigned depth)
{
    if (depth > QUERY_DEPTH_MAX)
        return error_set(checker->err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query is nested too deeply (its tree may be %u levels deep)",
                         QUERY_DEPTH_MAX);
    freshet_code code = FRESHET_OK;
    size_t i, n;
    yyjson_val *key, *value;
    if (yyjson_is_arr(node)) {
        yyjson_arr_foreach(node, i, n, value) if (code == FRESHET_OK) code =
            check_node(checker, value, false, depth + 1);
        return code;
    }
    if (!yyjson_is_obj(node))
        return FRESHET_OK;
    const char *name = yyjson_get_str(yyjson_obj_get(node, "function_name"));
    const char *type = yyjson_get_str(yyjson_obj_get(node, "type"));
    if (name != NULL)
        code = in_from ? check_table_function(checker, name) : check_scalar(checker, name, node);
    bool is_from = type != NULL && strcmp(type, "TABLE_FUNCTION") == 0;
    yyjson_obj_foreach(node, i, n, key, value) if (code == FRESHET_OK) code = check_node(
        checker, value, is_from && strcmp(yyjson_get_str(key), "function") == 0, depth + 1);
    return code;
}

static freshet_code check_tree(const char *json, size_t length, freshet_error *err)
{
    yyjson_doc *document = yyjson_read(json, length, SQL_TREE_READ);
    if (document == NULL)
        return error_memory(err, "checking a query");
    yyjson_val *statements = yyjson_obj_get(yyjson_doc_get_root(document), "statements");
    checker checker = {.growth = 1, .err = err};
    freshet_code code;
    if (yyjson_arr_size(statements) == 0)
        code =
            error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "there is no SQL query in this text");
    else if (yyjson_arr_size(statements) > 1)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "only one SQL query at a time is possible, and this text has %zu",
                         yyjson_arr_size(statements));
    else
        code = check_node(&checker, statements, false, 0);
    yyjson_doc_free(document);
    return code;
}

freshet_code query_check(sql_session *session, const char *sql, freshet_error *err)
{
    if (strlen(sql) > QUERY_SQL_MAX)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query is longer than %zu bytes", QUERY_SQL_MAX);
    arena *scratch = arena_open();
    if (scratch == NULL)
        return error_memory(err, "checking a query");
    const char *json = NULL;
    size_t length = 0;
    freshet_error found = {0};
    freshet_code code = sql_tree(session, scratch, sql, &json, &length, NULL, &found);
    if (code == FRESHET_OK)
        code = check_tree(json, length, err);
    else if (strstr(found.text, "Only SELECT statements") != NULL)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "only a query is possible over the debug table: SELECT, DESCRIBE, SHOW "
                         "TABLES or SUMMARIZE; nothing can be changed, set or written");
    else
        code = error_set(err, code, found.then, NULL, "%s", found.text);
    arena_close(scratch);
    return code;
}
