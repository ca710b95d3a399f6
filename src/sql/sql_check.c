/* sql_check.c - casts that no row can ever do, found before a row comes.
 *
 * DuckDB takes CAST(ts AS BIGINT) of a TIMESTAMP for good when it prepares a statement, and fails
 * for each row that is not null (or gives null for each, with TRY_CAST). Which type an expression
 * has only its binder knows. So the statement is prepared once more, to be thrown away, with every
 *
 *     CAST(x AS BIGINT)    as    CAST(__freshet_cast(x, 'BIGINT', '') AS BIGINT)
 *
 * and __freshet_cast, a function of ours that is never run, looks at the type of its argument when
 * it is bound. Where a pair is impossible, the statement is prepared a second time with the place
 * of each cast as the third argument: the first time without, so that the same expressions in
 * SELECT and GROUP BY stay the same. A statement that cannot be prepared in this form for another
 * reason is not judged.
 *
 * JSON to TIMESTAMP is possible, and refused: DuckDB drops the offset there (sql_cast.c), and the
 * text, ->>, has a cast of ours. So are from_json() and its like with a TIMESTAMP in what they are
 * told to read.
 */
#define _GNU_SOURCE
#include <strings.h>
#include <yyjson.h>

#include "sql/sql_internal.h"

#define PROBE "__freshet_cast"
#define CHECKING "looking at the casts of a query"
#define MARK "\002" /* before and behind the place, in an error of ours */
#define CHECK_DEPTH_MAX 1100

/* ---- which casts are possible ---------------------------------------------------------------- */

typedef enum kind {
    KIND_OTHER, /* not judged */
    KIND_NUMBER,
    KIND_BLOB,
    KIND_DATE,
    KIND_TIME,
    KIND_TIMESTAMP,
    KIND_INTERVAL,
    KIND_UUID,
    KIND_BIT,
    KIND_LIST,
    KIND_STRUCT,
    KIND_MAP,
} kind;

#define BIT(kind) (1u << (kind))

/* What each can become, beside itself, texts and what is not judged. */
static const unsigned becomes[] = {
    [KIND_NUMBER] = BIT(KIND_BIT),     [KIND_BLOB] = BIT(KIND_BIT) | BIT(KIND_UUID),
    [KIND_DATE] = BIT(KIND_TIMESTAMP), [KIND_TIMESTAMP] = BIT(KIND_DATE) | BIT(KIND_TIME),
    [KIND_UUID] = BIT(KIND_BLOB),      [KIND_BIT] = BIT(KIND_NUMBER) | BIT(KIND_BLOB),
    [KIND_STRUCT] = BIT(KIND_MAP),     [KIND_MAP] = 0,
};

static const struct {
    const char *name;
    duckdb_type type;
    kind kind;
} kinds[] = {
    {"BOOLEAN", DUCKDB_TYPE_BOOLEAN, KIND_NUMBER},
    {"TINYINT", DUCKDB_TYPE_TINYINT, KIND_NUMBER},
    {"SMALLINT", DUCKDB_TYPE_SMALLINT, KIND_NUMBER},
    {"INTEGER", DUCKDB_TYPE_INTEGER, KIND_NUMBER},
    {"BIGINT", DUCKDB_TYPE_BIGINT, KIND_NUMBER},
    {"HUGEINT", DUCKDB_TYPE_HUGEINT, KIND_NUMBER},
    {"UTINYINT", DUCKDB_TYPE_UTINYINT, KIND_NUMBER},
    {"USMALLINT", DUCKDB_TYPE_USMALLINT, KIND_NUMBER},
    {"UINTEGER", DUCKDB_TYPE_UINTEGER, KIND_NUMBER},
    {"UBIGINT", DUCKDB_TYPE_UBIGINT, KIND_NUMBER},
    {"FLOAT", DUCKDB_TYPE_FLOAT, KIND_NUMBER},
    {"DOUBLE", DUCKDB_TYPE_DOUBLE, KIND_NUMBER},
    {"DECIMAL", DUCKDB_TYPE_DECIMAL, KIND_NUMBER},
    {"BLOB", DUCKDB_TYPE_BLOB, KIND_BLOB},
    {"DATE", DUCKDB_TYPE_DATE, KIND_DATE},
    {"TIME", DUCKDB_TYPE_TIME, KIND_TIME},
    {"TIMESTAMP", DUCKDB_TYPE_TIMESTAMP, KIND_TIMESTAMP},
    {"TIMESTAMP_S", DUCKDB_TYPE_TIMESTAMP_S, KIND_TIMESTAMP},
    {"TIMESTAMP_MS", DUCKDB_TYPE_TIMESTAMP_MS, KIND_TIMESTAMP},
    {"TIMESTAMP_NS", DUCKDB_TYPE_TIMESTAMP_NS, KIND_TIMESTAMP},
    {"TIMESTAMP WITH TIME ZONE", DUCKDB_TYPE_TIMESTAMP_TZ, KIND_TIMESTAMP},
    {"INTERVAL", DUCKDB_TYPE_INTERVAL, KIND_INTERVAL},
    {"UUID", DUCKDB_TYPE_UUID, KIND_UUID},
    {"BIT", DUCKDB_TYPE_BIT, KIND_BIT},
    {"LIST", DUCKDB_TYPE_LIST, KIND_LIST},
    {"STRUCT", DUCKDB_TYPE_STRUCT, KIND_STRUCT},
    {"MAP", DUCKDB_TYPE_MAP, KIND_MAP},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static size_t find_by_name(const char *name)
{
    size_t i = 0;
    while (i < N_KINDS && strcasecmp(kinds[i].name, name) != 0)
        i++;
    return i;
}

static size_t find_by_type(duckdb_type type)
{
    size_t i = 0;
    while (i < N_KINDS && kinds[i].type != type)
        i++;
    return i;
}

static bool is_possible(kind from, kind to)
{
    return from == KIND_OTHER || to == KIND_OTHER || from == to || (becomes[from] & BIT(to)) != 0;
}

/* Casts between timestamps that DuckDB has not. */
static bool is_left_out(size_t from, size_t to)
{
    duckdb_type source = kinds[from].type;
    if (kinds[to].type == DUCKDB_TYPE_TIME)
        return source == DUCKDB_TYPE_TIMESTAMP_TZ;
    return kinds[to].type == DUCKDB_TYPE_TIMESTAMP_S &&
           (source == DUCKDB_TYPE_TIMESTAMP_MS || source == DUCKDB_TYPE_TIMESTAMP_NS);
}

/* What to write instead; "" where nothing serves. */
static const char *way_out(kind from, kind to)
{
    if (from == KIND_TIMESTAMP && (to == KIND_TIMESTAMP || to == KIND_TIME))
        return ": cast it to TIMESTAMP first";
    if (to == KIND_NUMBER && (from == KIND_TIMESTAMP || from == KIND_DATE))
        return ": for the seconds since 1970 write unix_seconds(...), or unix_millis(...), "
               "unix_micros(...)";
    if (from == KIND_NUMBER && to == KIND_TIMESTAMP)
        return ": for seconds since 1970 write timestamp_seconds(...), or timestamp_millis(...), "
               "timestamp_micros(...)";
    if (from == KIND_NUMBER && to == KIND_DATE)
        return ": for days since 1970 write DATE '1970-01-01' + ..., for seconds "
               "CAST(timestamp_seconds(...) AS DATE)";
    if (to == KIND_NUMBER && from == KIND_INTERVAL)
        return ": for its seconds write epoch(...)";
    return "";
}

/* ---- the function that is bound -------------------------------------------------------------- */

static char *argument_text(duckdb_bind_info info, duckdb_client_context context, uint32_t i)
{
    duckdb_expression expression = duckdb_scalar_function_bind_get_argument(info, i);
    duckdb_value value = NULL;
    duckdb_error_data problem = duckdb_expression_fold(context, expression, &value);
    char *text = value == NULL ? NULL : duckdb_get_varchar(value);
    duckdb_destroy_error_data(&problem);
    duckdb_destroy_value(&value);
    duckdb_destroy_expression(&expression);
    return text;
}

static bool is_json(duckdb_logical_type type)
{
    char *alias = duckdb_logical_type_get_alias(type);
    bool is = alias != NULL && strcmp(alias, "JSON") == 0;
    duckdb_free(alias);
    return is;
}

/* TIMESTAMP, alone or within lists and structs; not WITH TIME ZONE. */
static bool holds_timestamp(const char *target)
{
    for (const char *at = strstr(target, "TIMESTAMP"); at != NULL; at = strstr(at + 1, "TIMESTAMP"))
        if (strncmp(at, "TIMESTAMP WITH TIME ZONE", 24) != 0)
            return true;
    return false;
}

/* Whether `from` can become `target`, names of types with "/" between those of lists and their
 * elements. Recursion: once a list. */
static void judge(duckdb_bind_info info, duckdb_logical_type from, const char *target,
                  const char *place)
{
    char text[400];
    size_t source = find_by_type(duckdb_get_type_id(from));
    size_t length = strcspn(target, "/");
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)(length < 39 ? length : 39), target);
    size_t to = find_by_name(name);
    if (is_json(from) && holds_timestamp(target)) {
        snprintf(text, sizeof text,
                 MARK "%s" MARK
                      "JSON that is cast to TIMESTAMP loses its offset: take the text and "
                      "cast that, as in (j->>'t')::TIMESTAMP",
                 place);
        duckdb_scalar_function_bind_set_error(info, text);
    } else if (source == N_KINDS || to == N_KINDS || is_json(from)) {
        return;
    } else if (!is_possible(kinds[source].kind, kinds[to].kind) || is_left_out(source, to)) {
        snprintf(text, sizeof text,
                 MARK "%s" MARK "%s can never be cast to %s, whatever row comes%s", place,
                 kinds[source].name, kinds[to].name, way_out(kinds[source].kind, kinds[to].kind));
        duckdb_scalar_function_bind_set_error(info, text);
    } else if (kinds[source].kind == KIND_LIST && target[length] == '/') {
        duckdb_logical_type element = duckdb_list_type_child_type(from);
        judge(info, element, target + length + 1, place);
        duckdb_destroy_logical_type(&element);
    }
}

static void bind_probe(duckdb_bind_info info)
{
    duckdb_client_context context;
    duckdb_scalar_function_get_client_context(info, &context);
    duckdb_expression argument = duckdb_scalar_function_bind_get_argument(info, 0);
    duckdb_logical_type from = duckdb_expression_return_type(argument);
    char *target = argument_text(info, context, 1), *place = argument_text(info, context, 2);
    if (target != NULL && place != NULL)
        judge(info, from, target, place);
    duckdb_free(target);
    duckdb_free(place);
    duckdb_destroy_logical_type(&from);
    duckdb_destroy_expression(&argument);
    duckdb_destroy_client_context(&context);
}

/* Run for constants alone, whose value nobody sees: null. */
static void run_probe(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector vector)
{
    (void)info;
    duckdb_vector_ensure_validity_writable(vector);
    uint64_t *valid = duckdb_vector_get_validity(vector);
    for (idx_t i = 0; i < duckdb_data_chunk_get_size(chunk); i++)
        duckdb_validity_set_row_invalid(valid, i);
}

freshet_code check_add_probe(sql_session *session, freshet_error *err)
{
    duckdb_scalar_function made = duckdb_create_scalar_function();
    duckdb_logical_type any = duckdb_create_logical_type(DUCKDB_TYPE_ANY);
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_scalar_function_set_name(made, PROBE);
    duckdb_scalar_function_add_parameter(made, any);
    duckdb_scalar_function_add_parameter(made, text);
    duckdb_scalar_function_add_parameter(made, text);
    duckdb_scalar_function_set_return_type(made, text);
    duckdb_scalar_function_set_special_handling(made);
    duckdb_scalar_function_set_bind(made, bind_probe);
    duckdb_scalar_function_set_function(made, run_probe);
    duckdb_state state = duckdb_register_scalar_function(session->connection, made);
    duckdb_destroy_logical_type(&any);
    duckdb_destroy_logical_type(&text);
    duckdb_destroy_scalar_function(&made);
    return state == DuckDBSuccess ? FRESHET_OK
                                  : error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                                              "the SQL engine does not take our check of casts");
}

/* ---- changing the tree ----------------------------------------------------------------------- */

typedef struct probing {
    arena *arena;
    yyjson_mut_doc *document;
    bool with_places;
    uint32_t n_casts;
    int64_t json_at; /* of a function that reads times out of JSON; -1: there is none */
    bool failed;     /* memory, or nested too deeply */
} probing;

/* The names of a type's JSON: "LIST/BIGINT"; for what else has parts, all that it says. */
static const char *target_name(probing *probing, yyjson_mut_val *type)
{
    yyjson_mut_val *details = yyjson_mut_obj_get(type, "type_info");
    const char *id = yyjson_mut_get_str(yyjson_mut_obj_get(type, "id"));
    if (id != NULL && strcmp(id, "UNBOUND") == 0)
        id = yyjson_mut_get_str(yyjson_mut_obj_get(details, "name"));
    if (id == NULL || strcmp(id, "DECIMAL") == 0 || !yyjson_mut_is_obj(details))
        return id == NULL ? "" : id;
    if (strcmp(id, "LIST") == 0) {
        const char *element = target_name(probing, yyjson_mut_obj_get(details, "child_type"));
        return arena_format(probing->arena, "LIST/%s", element == NULL ? "" : element);
    }
    char *all = yyjson_mut_val_write(details, 0, NULL);
    const char *name = all == NULL ? NULL : arena_format(probing->arena, "%s/%s", id, all);
    free(all);
    return name;
}

static yyjson_mut_val *text_constant(probing *probing, const char *text)
{
    yyjson_mut_doc *document = probing->document;
    yyjson_mut_val *constant = yyjson_mut_obj(document), *holder = yyjson_mut_obj(document);
    yyjson_mut_val *type = yyjson_mut_obj(document);
    bool ok = yyjson_mut_obj_add_str(document, constant, "class", "CONSTANT") &&
              yyjson_mut_obj_add_str(document, constant, "type", "VALUE_CONSTANT") &&
              yyjson_mut_obj_add_str(document, constant, "alias", "") &&
              yyjson_mut_obj_add_str(document, type, "id", "VARCHAR") &&
              yyjson_mut_obj_add_null(document, type, "type_info") &&
              yyjson_mut_obj_add_val(document, holder, "type", type) &&
              yyjson_mut_obj_add_bool(document, holder, "is_null", false) &&
              yyjson_mut_obj_add_strcpy(document, holder, "value", text) &&
              yyjson_mut_obj_add_val(document, constant, "value", holder);
    probing->failed |= !ok;
    return constant;
}

static yyjson_mut_val *probe_call(probing *probing, yyjson_mut_val *child, const char *target,
                                  const char *place)
{
    yyjson_mut_doc *document = probing->document;
    yyjson_mut_val *call = yyjson_mut_obj(document), *children = yyjson_mut_arr(document);
    yyjson_mut_val *order = yyjson_mut_obj(document);
    bool ok = yyjson_mut_arr_append(children, child) &&
              yyjson_mut_arr_append(children, text_constant(probing, target)) &&
              yyjson_mut_arr_append(children, text_constant(probing, place)) &&
              yyjson_mut_obj_add_str(document, call, "class", "FUNCTION") &&
              yyjson_mut_obj_add_str(document, call, "type", "FUNCTION") &&
              yyjson_mut_obj_add_str(document, call, "alias", "") &&
              yyjson_mut_obj_add_str(document, call, "function_name", PROBE) &&
              yyjson_mut_obj_add_str(document, call, "schema", "") &&
              yyjson_mut_obj_add_val(document, call, "children", children) &&
              yyjson_mut_obj_add_null(document, call, "filter") &&
              yyjson_mut_obj_add_str(document, order, "type", "ORDER_MODIFIER") &&
              yyjson_mut_obj_add_arr(document, order, "orders") != NULL &&
              yyjson_mut_obj_add_val(document, call, "order_bys", order) &&
              yyjson_mut_obj_add_bool(document, call, "distinct", false) &&
              yyjson_mut_obj_add_bool(document, call, "is_operator", false) &&
              yyjson_mut_obj_add_bool(document, call, "export_state", false) &&
              yyjson_mut_obj_add_str(document, call, "catalog", "");
    probing->failed |= !ok;
    return call;
}

static void probe_cast(probing *probing, yyjson_mut_val *cast)
{
    yyjson_mut_val *location = yyjson_mut_obj_get(cast, "query_location");
    uint64_t at = yyjson_mut_get_uint(location);
    const char *target = target_name(probing, yyjson_mut_obj_get(cast, "cast_type"));
    const char *place = "";
    if (probing->with_places && yyjson_mut_is_uint(location) && at < INT32_MAX)
        place = arena_format(probing->arena, "%u", (unsigned)at);
    yyjson_mut_val *child = yyjson_mut_obj_remove_key(cast, "child");
    if (target == NULL || place == NULL || child == NULL) {
        probing->failed = true;
        return;
    }
    probing->n_casts++;
    yyjson_mut_val *call = probe_call(probing, child, target, place);
    probing->failed |= !yyjson_mut_obj_add_val(probing->document, cast, "child", call);
}

/* from_json(j, '{"t": "TIMESTAMP"}') and its like, where the structure is written out. */
static void note_json(probing *probing, yyjson_mut_val *call)
{
    static const char *const names[] = {"from_json", "from_json_strict", "json_transform",
                                        "json_transform_strict"};
    yyjson_mut_val *name = yyjson_mut_obj_get(call, "function_name");
    yyjson_mut_val *structure = yyjson_mut_arr_get(yyjson_mut_obj_get(call, "children"), 1);
    yyjson_mut_val *value = yyjson_mut_obj_get(yyjson_mut_obj_get(structure, "value"), "value");
    const char *text = yyjson_mut_get_str(value);
    bool reads = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        reads |= name != NULL && strcasecmp(yyjson_mut_get_str(name), names[i]) == 0;
    const char *at = reads && text != NULL ? strcasestr(text, "timestamp") : NULL;
    if (at != NULL && strncasecmp(at, "timestamptz", 11) != 0 &&
        strncasecmp(at, "timestamp with", 14) != 0)
        probing->json_at = (int64_t)yyjson_mut_get_uint(yyjson_mut_obj_get(call, "query_location"));
}

/* Recursion: at most CHECK_DEPTH_MAX deep. */
static void probe_casts(probing *probing, yyjson_mut_val *any, unsigned depth)
{
    size_t index, n;
    yyjson_mut_val *key, *value;
    probing->failed |= depth > CHECK_DEPTH_MAX;
    if (probing->failed)
        return;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value) probe_casts(probing, value, depth + 1);
        return;
    }
    if (!yyjson_mut_is_obj(any))
        return;
    yyjson_mut_obj_foreach(any, index, n, key, value) probe_casts(probing, value, depth + 1);
    yyjson_mut_val *class = yyjson_mut_obj_get(any, "class");
    if (yyjson_mut_equals_str(class, "FUNCTION"))
        note_json(probing, any);
    if (yyjson_mut_equals_str(class, "CAST") && yyjson_mut_obj_get(any, "child") != NULL)
        probe_cast(probing, any);
}

/* ---- the interface --------------------------------------------------------------------------- */

/* Prepares the statement with its probes; true, and *problem, where one of them finds something. */
static bool finds(sql_session *session, arena *arena, yyjson_doc *tree, bool with_places,
                  sql_problem *problem)
{
    probing probing = {.arena = arena,
                       .document = yyjson_doc_mut_copy(tree, NULL),
                       .with_places = with_places,
                       .json_at = -1};
    char *json = NULL;
    size_t length = 0;
    const char *sql = NULL;
    sql_statement *statement = NULL;
    bool found = false;
    if (probing.document != NULL)
        probe_casts(&probing, yyjson_mut_doc_get_root(probing.document), 0);
    if (probing.json_at >= 0) {
        problem->position = probing.json_at;
        snprintf(problem->text, sizeof problem->text,
                 "a TIMESTAMP that is read out of JSON loses its offset: take it as VARCHAR, and "
                 "cast that");
        yyjson_mut_doc_free(probing.document);
        return true;
    }
    if (probing.document != NULL && !probing.failed && probing.n_casts > 0)
        json = yyjson_mut_write(probing.document, SQL_TREE_WRITE, &length);
    yyjson_mut_doc_free(probing.document);
    if (json != NULL && sql_from_tree(session, arena, json, length, &sql, NULL) == FRESHET_OK) {
        freshet_code code = sql_prepare(session, sql, &statement, problem, NULL);
        const char *first = code == FRESHET_USAGE ? strstr(problem->text, MARK) : NULL;
        const char *second = first == NULL ? NULL : strstr(first + 1, MARK);
        found = second != NULL;
        if (found) {
            problem->position = second > first + 1 ? strtoll(first + 1, NULL, 10) : -1;
            memmove(problem->text, second + 1, strlen(second));
        }
        sql_statement_close(statement);
    }
    free(json);
    return found;
}

freshet_code sql_check_casts(sql_session *session, arena *arena, const char *sql,
                             sql_problem *problem, freshet_error *err)
{
    const char *json = NULL;
    size_t length = 0;
    if (strstr(sql, "::") == NULL && strcasestr(sql, "cast") == NULL &&
        strcasestr(sql, "json") == NULL)
        return FRESHET_OK;
    freshet_code code = sql_tree(session, arena, sql, &json, &length, NULL, err);
    if (code != FRESHET_OK)
        return code == FRESHET_USAGE ? FRESHET_OK : code;
    yyjson_doc *tree = yyjson_read(json, length, SQL_TREE_READ);
    if (tree == NULL)
        return error_memory(err, CHECKING);
    sql_problem placed;
    if (finds(session, arena, tree, false, problem)) {
        if (finds(session, arena, tree, true, &placed))
            *problem = placed;
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", problem->text);
    }
    yyjson_doc_free(tree);
    return code;
}
