/* sql_write.c - a syntax tree as SQL text that means what the tree means.
 *
 * DuckDB writes a tree as text, but two kinds of literal come back as others when that text is
 * parsed: the double 2.5e0 is written as 2.5, a decimal, and the decimal 5. as 5, an integer. So
 * each such constant is a parameter ($mark0_, $mark1_ ...) in the tree that DuckDB writes, and its
 * literal is put into the text afterwards. The mark is a word that the tree does not hold.
 *
 * What DuckDB wrote is then parsed, and the tree that comes of it must be the one that was given,
 * but for places in the text and for what is known to mean the same. A query whose text would say
 * something else is refused: whoever runs it would get other rows, without a word.
 *
 *     TRUE              a constant, or a text that is cast
 *     nothing           an empty list, null, or no member of that name
 *     EXCLUDE (a, b)    in any order
 *     VALUES (1), (2)   in FROM as it is, or as a query
 */
#include <math.h>
#include <yyjson.h>

#include "base/number.h"
#include "sql/sql_internal.h"

#define WRITING "writing a query"

/* Nesting of a tree: a query's (PLAN_DEPTH_MAX), and what stands around and in one constant. */
#define TREE_DEPTH_MAX 1100

typedef struct writing {
    arena *arena;
    yyjson_mut_doc *document;
    const char *mark;
    const char **literals;
    uint32_t n_literals, capacity;
    bool no_memory;
    bool too_deep;
} writing;

/* ---- literals -------------------------------------------------------------------------------- */

static yyjson_mut_val *member(yyjson_mut_val *object, const char *name)
{
    return yyjson_mut_obj_get(object, name);
}

static bool is_text(yyjson_mut_val *object, const char *name, const char *text)
{
    return yyjson_mut_equals_str(member(object, name), text);
}

static const char *double_literal(arena *arena, double value)
{
    if (isnan(value))
        return NULL;
    if (isinf(value))
        return value < 0 ? "-1e999" : "1e999";
    return arena_format(arena, "%.17e", value);
}

static const char *decimal_literal(arena *arena, yyjson_mut_val *value)
{
    char digits[NUMBER_DIGITS_MAX];
    int128 number = yyjson_mut_get_sint(value);
    if (yyjson_mut_is_uint(value))
        number = yyjson_mut_get_uint(value);
    if (yyjson_mut_is_obj(value)) {
        uint64_t upper = (uint64_t)yyjson_mut_get_sint(member(value, "upper"));
        uint64_t lower = yyjson_mut_get_uint(member(value, "lower"));
        number = (int128)((uint128)upper << 64 | lower);
    }
    size_t n = number_write_decimal(digits, number, 0);
    return arena_format(arena, "%.*s.", (int)n, digits);
}

/* The literal of a constant that DuckDB writes as one of another type; NULL: it writes it right. */
static const char *literal_of(arena *arena, yyjson_mut_val *node)
{
    yyjson_mut_val *holder = member(node, "value"), *value = member(holder, "value");
    yyjson_mut_val *type = member(holder, "type"), *details = member(type, "type_info");
    if (!is_text(node, "class", "CONSTANT") || value == NULL)
        return NULL;
    if (is_text(type, "id", "DOUBLE") && yyjson_mut_is_num(value))
        return double_literal(arena, yyjson_mut_get_num(value));
    if (is_text(type, "id", "DECIMAL") && yyjson_mut_get_uint(member(details, "scale")) == 0)
        return decimal_literal(arena, value);
    return NULL;
}

/* Makes the constant a parameter. */
static void mark_literal(writing *writing, yyjson_mut_val *node, const char *literal)
{
    yyjson_mut_doc *document = writing->document;
    const char *name = arena_format(writing->arena, "%s%u_", writing->mark, writing->n_literals);
    if (name == NULL ||
        !arena_reserve(writing->arena, &writing->literals, &writing->capacity,
                       writing->n_literals + UINT64_C(1), sizeof *writing->literals)) {
        writing->no_memory = true;
        return;
    }
    writing->literals[writing->n_literals++] = literal;
    yyjson_mut_obj_remove_key(node, "value");
    yyjson_mut_obj_remove_key(node, "class");
    yyjson_mut_obj_remove_key(node, "type");
    bool ok = yyjson_mut_obj_add_str(document, node, "class", "PARAMETER") &&
              yyjson_mut_obj_add_str(document, node, "type", "VALUE_PARAMETER") &&
              yyjson_mut_obj_add_strcpy(document, node, "identifier", name);
    writing->no_memory |= !ok;
}

/* Recursion: at most TREE_DEPTH_MAX deep. */
static void mark_literals(writing *writing, yyjson_mut_val *any, unsigned depth)
{
    size_t index, n;
    yyjson_mut_val *key, *value;
    if (depth > TREE_DEPTH_MAX) {
        writing->too_deep = true;
        return;
    }
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value) mark_literals(writing, value, depth + 1);
        return;
    }
    if (!yyjson_mut_is_obj(any))
        return;
    const char *literal = literal_of(writing->arena, any);
    if (literal != NULL) {
        mark_literal(writing, any, literal);
        return;
    }
    yyjson_mut_obj_foreach(any, index, n, key, value) mark_literals(writing, value, depth + 1);
}

/* A word that the tree does not hold. */
static const char *choose_mark(arena *arena, const char *json)
{
    const char *mark = "__freshet_literal_";
    for (unsigned i = 0; mark != NULL && strstr(json, mark) != NULL; i++)
        mark = arena_format(arena, "__freshet_literal_%u_", i);
    return mark;
}

/* The text with its literals in the place of their parameters; NULL where memory is out. */
static const char *put_literals(const writing *writing, const char *sql)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    size_t mark_length = strlen(writing->mark);
    const char *at = sql;
    for (const char *mark = strstr(at, writing->mark); mark != NULL;
         mark = strstr(at, writing->mark)) {
        char *end = NULL;
        unsigned long i = strtoul(mark + mark_length, &end, 10);
        assert(mark > at && mark[-1] == '$' && i < writing->n_literals && *end == '_');
        text_append(&text, at, (size_t)(mark - 1 - at));
        text_append_c(&text, writing->literals[i]);
        at = end + 1;
    }
    text_append_c(&text, at);
    return text_keep(&text, writing->arena);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool same(yyjson_val *a, yyjson_val *b, unsigned depth);

static bool is_nothing(yyjson_val *any)
{
    return any == NULL || yyjson_is_null(any) || (yyjson_is_arr(any) && yyjson_arr_size(any) == 0);
}

/* The truth value that a constant or a cast of 't' is: 1, 0, or -1 for anything else. */
static int truth_of(yyjson_val *node)
{
    bool is_cast = yyjson_equals_str(yyjson_obj_get(node, "class"), "CAST") &&
                   !yyjson_is_true(yyjson_obj_get(node, "try_cast"));
    yyjson_val *type = yyjson_obj_get(node, "cast_type");
    yyjson_val *constant = is_cast ? yyjson_obj_get(node, "child") : node;
    yyjson_val *holder = yyjson_obj_get(constant, "value"),
               *value = yyjson_obj_get(holder, "value");
    if (!yyjson_equals_str(yyjson_obj_get(constant, "class"), "CONSTANT"))
        return -1;
    if (!is_cast)
        return yyjson_is_bool(value) ? yyjson_get_bool(value) : -1;
    if (!yyjson_equals_str(yyjson_obj_get(type, "id"), "BOOLEAN"))
        return -1;
    return yyjson_equals_str(value, "t") ? 1 : yyjson_equals_str(value, "f") ? 0 : -1;
}

/* Lists that stand for sets. */
static bool is_unordered(const char *key)
{
    return strcmp(key, "exclude_list") == 0 || strcmp(key, "qualified_exclude_list") == 0 ||
           strcmp(key, "replace_list") == 0 || strcmp(key, "rename_list") == 0;
}

static bool same_lists(yyjson_val *a, yyjson_val *b, bool in_any_order, unsigned depth)
{
    size_t i, j, n, m;
    yyjson_val *one, *other;
    if (yyjson_arr_size(a) != yyjson_arr_size(b))
        return false;
    yyjson_arr_foreach(a, i, n, one)
    {
        bool found = !in_any_order && same(one, yyjson_arr_get(b, i), depth);
        yyjson_arr_foreach(b, j, m, other) found |= in_any_order && same(one, other, depth);
        if (!found)
            return false;
    }
    return true;
}

/* The rows of VALUES, which may stand in a query of their own. */
static yyjson_val *values_of(yyjson_val *reference)
{
    yyjson_val *node = yyjson_obj_get(yyjson_obj_get(reference, "subquery"), "node");
    yyjson_val *from = yyjson_obj_get(node, "from_table");
    bool is_wrapped = yyjson_equals_str(yyjson_obj_get(from, "type"), "EXPRESSION_LIST") &&
                      is_nothing(yyjson_obj_get(reference, "column_name_alias"));
    return is_wrapped ? from : reference;
}

/* Every member of `a` that says something is in `b`. */
static bool has_members(yyjson_val *a, yyjson_val *b, unsigned depth)
{
    size_t index, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(a, index, n, key, value)
    {
        const char *name = yyjson_get_str(key);
        yyjson_val *other = yyjson_obj_getn(b, name, yyjson_get_len(key));
        if (strcmp(name, "query_location") == 0 || (is_nothing(value) && is_nothing(other)))
            continue;
        bool fits = yyjson_is_arr(value) && yyjson_is_arr(other)
                        ? same_lists(value, other, is_unordered(name), depth)
                        : same(value, other, depth);
        if (!fits)
            return false;
    }
    return true;
}

/* No member of `a` says something that `b` does not speak of. */
static bool has_no_more(yyjson_val *a, yyjson_val *b)
{
    size_t index, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(a, index, n, key, value)
    {
        bool is_missing = yyjson_obj_getn(b, yyjson_get_str(key), yyjson_get_len(key)) == NULL;
        if (is_missing && !is_nothing(value) && !yyjson_equals_str(key, "query_location"))
            return false;
    }
    return true;
}

/* Do the two trees mean the same? Recursion: at most TREE_DEPTH_MAX deep. */
static bool same(yyjson_val *a, yyjson_val *b, unsigned depth)
{
    if (depth > TREE_DEPTH_MAX || a == NULL || b == NULL)
        return false;
    if (yyjson_is_arr(a) && yyjson_is_arr(b))
        return same_lists(a, b, false, depth + 1);
    if (!yyjson_is_obj(a) || !yyjson_is_obj(b))
        return yyjson_equals(a, b);
    if (yyjson_equals_str(yyjson_obj_get(a, "type"), "EXPRESSION_LIST"))
        b = values_of(b);
    int truth = truth_of(a);
    if (truth >= 0 && truth == truth_of(b))
        return true;
    return has_members(a, b, depth + 1) && has_no_more(b, a);
}

/* FRESHET_USAGE where the text is not what the tree says. */
static freshet_code compare_written(sql_session *session, arena *arena, yyjson_val *meant,
                                    const char *sql, freshet_error *err)
{
    const char *json = NULL;
    size_t length = 0;
    freshet_code code = sql_tree(session, arena, sql, &json, &length, NULL, err);
    if (code != FRESHET_OK)
        return code;
    yyjson_doc *written = yyjson_read(json, length, SQL_TREE_READ);
    if (written == NULL)
        code = error_memory(err, WRITING);
    else if (!same(meant, yyjson_doc_get_root(written), 0))
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the SQL engine would run it as another query: %.300s", sql);
    yyjson_doc_free(written);
    return code;
}

/* ---- the interface --------------------------------------------------------------------------- */

/* The marked tree as text. */
static freshet_code write_marked(const writing *writing, sql_session *session, const char **sql,
                                 freshet_error *err)
{
    size_t length = 0;
    char *json = yyjson_mut_write(writing->document, 0, &length);
    if (json == NULL)
        return error_memory(err, WRITING);
    freshet_code code =
        tree_ask(session, writing->arena, "SELECT json_deserialize_sql($1::VARCHAR::JSON)", json,
                 length, sql, &length, err);
    free(json);
    return code;
}

static freshet_code write_document(sql_session *session, arena *arena, yyjson_doc *meant,
                                   const char *json, const char **sql, freshet_error *err)
{
    writing writing = {.arena = arena,
                       .document = yyjson_doc_mut_copy(meant, NULL),
                       .mark = choose_mark(arena, json)};
    if (writing.document != NULL && writing.mark != NULL)
        mark_literals(&writing, yyjson_mut_doc_get_root(writing.document), 0);
    freshet_code code = FRESHET_OK;
    if (writing.too_deep)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the query is nested too deeply");
    else if (writing.document == NULL || writing.mark == NULL || writing.no_memory ||
             arena_failed(arena))
        code = error_memory(err, WRITING);
    if (code == FRESHET_OK)
        code = write_marked(&writing, session, sql, err);
    if (code == FRESHET_OK && (*sql = put_literals(&writing, *sql)) == NULL)
        code = error_memory(err, WRITING);
    if (code == FRESHET_OK)
        code = compare_written(session, arena, yyjson_doc_get_root(meant), *sql, err);
    yyjson_mut_doc_free(writing.document);
    return code;
}

freshet_code sql_from_tree(sql_session *session, arena *arena, const char *json, size_t length,
                           const char **sql, freshet_error *err)
{
    yyjson_doc *meant = yyjson_read(json, length, SQL_TREE_READ);
    if (meant == NULL)
        return error_memory(err, WRITING);
    freshet_code code = write_document(session, arena, meant, json, sql, err);
    yyjson_doc_free(meant);
    return code;
}
