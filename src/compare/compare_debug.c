/* compare_debug.c - see compare_debug.h. */
#include "compare/compare_debug.h"

#include <inttypes.h>
#include <string.h>
#include <yyjson.h>

#include "base/error.h"
#include "base/os.h"
#include "formats/format.h"
#include "sql/sql.h"

#define ASKING_TABLE "reading the debug table"
#define QUESTION_MAX ((size_t)768 << 10) /* bytes of keys in one query; PROTOCOL_REQUEST_MAX */
#define KEYS_AT_ONCE 2000u
#define QUESTION_US (INT64_C(300) * 1000000)
#define ROWS_AT_ONCE 8192u

/* Lines of JSON on their way into rows. */
typedef struct debug_answer {
    const compare_debug *from;
    compare_rows *into;
    arena *arena;
    decoder *decoder;
    text_buffer open; /* a line that is not whole yet */
    batch rows;
    freshet_code code;
    freshet_error error;
} debug_answer;

static freshet_code answer_begin(debug_answer *answer, freshet_error *err)
{
    arena_reset(answer->arena);
    freshet_code code =
        batch_init(&answer->rows, answer->arena, answer->from->schema, ROWS_AT_ONCE, err);
    if (code == FRESHET_OK)
        decoder_begin(answer->decoder, &answer->rows);
    return code;
}

static freshet_code answer_flush(debug_answer *answer, freshet_error *err)
{
    freshet_code code = compare_rows_add(answer->into, &answer->rows, err);
    return code == FRESHET_OK ? answer_begin(answer, err) : code;
}

static freshet_code answer_line(debug_answer *answer, const char *line, size_t length,
                                freshet_error *err)
{
    char *kept = arena_copy(answer->arena, line, length);
    if (kept == NULL)
        return error_memory(err, ASKING_TABLE);
    freshet_code code = decoder_decode(answer->decoder, kept, length, err);
    if (code != FRESHET_OK)
        return code;
    return ++answer->rows.n_rows == ROWS_AT_ONCE ? answer_flush(answer, err) : code;
}

static bool answer_write(void *context, const char *bytes, size_t length)
{
    debug_answer *answer = context;
    const char *end = bytes + length;
    for (const char *newline; answer->code == FRESHET_OK && bytes < end; bytes = newline + 1) {
        newline = memchr(bytes, '\n', (size_t)(end - bytes));
        if (!text_append(&answer->open, bytes,
                         newline == NULL ? (size_t)(end - bytes) : (size_t)(newline - bytes)))
            answer->code = error_memory(&answer->error, ASKING_TABLE);
        if (newline == NULL)
            break;
        if (answer->code == FRESHET_OK)
            answer->code = answer_line(answer, answer->open.bytes == NULL ? "" : answer->open.bytes,
                                       answer->open.length, &answer->error);
        text_reset(&answer->open);
    }
    return answer->code == FRESHET_OK;
}

/* The rows that a query gives. */
static freshet_code debug_ask(const compare_debug *from, const char *sql, compare_rows *into,
                              freshet_error *err)
{
    static const format_options options;
    const decoder like = {.format = &format_json, .options = &options, .schema = from->schema};
    debug_answer answer = {.from = from, .into = into, .arena = arena_open()};
    text_init(&answer.open, TEXT_LIMIT_DEFAULT);
    freshet_code code = sql == NULL || answer.arena == NULL
                            ? error_memory(err, ASKING_TABLE)
                            : decoder_open(&like, &answer.decoder, err);
    if (code == FRESHET_OK)
        code = answer_begin(&answer, err);
    if (code == FRESHET_OK)
        code = query_client_ask(from->client, sql, FRESHET_JSON, QUESTION_US, answer_write, &answer,
                                err);
    if (answer.code != FRESHET_OK) {
        code = answer.code;
        if (err != NULL)
            *err = answer.error;
    }
    if (code == FRESHET_OK)
        code = compare_rows_add(into, &answer.rows, err);
    decoder_close(answer.decoder);
    text_release(&answer.open);
    arena_close(answer.arena);
    return code;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void put_key_names(text_buffer *into, arena *arena, const compare_debug *from)
{
    for (uint32_t k = 0; k < from->n_keys; k++) {
        const char *quoted = sql_quote(arena, from->schema->fields[k].name);
        into->failed |= quoted == NULL;
        text_format(into, "%s%s", k == 0 ? "" : ", ", quoted == NULL ? "" : quoted);
    }
}

static freshet_code debug_choose(void *context, uint32_t n, uint64_t seed, compare_rows *into,
                                 freshet_error *err)
{
    const compare_debug *from = context;
    arena *arena = arena_open();
    text_buffer text;
    if (arena == NULL)
        return error_memory(err, ASKING_TABLE);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text, "SELECT * FROM %s", from->view);
    if (n > 0) {
        text_append_c(&text, " ORDER BY hash(");
        put_key_names(&text, arena, from);
        text_format(&text, ", %" PRIu64 "::UBIGINT) LIMIT %u", ~seed, n);
    }
    freshet_code code = debug_ask(from, text_keep(&text, arena), into, err);
    arena_close(arena);
    return code;
}

/* A key as SQL: its JSON as text, cast. */
static freshet_code put_key_literal(text_buffer *into, arena *arena, const column *keys,
                                    uint32_t row, freshet_error *err)
{
    const char *type = sql_type_name(arena, keys->type);
    const bool is_text = keys->type->kind == TYPE_STRING;
    const bool is_binary = keys->type->kind == TYPE_BINARY;
    text_buffer json;
    text_init(&json, TEXT_LIMIT_DEFAULT);
    freshet_code code = FRESHET_OK;
    if (is_text) {
        const cell_text *cell = &((const cell_text *)keys->data)[row];
        text_append(&json, text_bytes(cell), cell->length);
    } else {
        code = column_to_json(keys, row, &json, err);
    }
    const bool has_quotes = !is_text && json.length > 0 && json.bytes[0] == '"';
    const char *plain = json.failed        ? NULL
                        : json.length == 0 ? ""
                                           : arena_copy(arena, json.bytes + has_quotes,
                                                        json.length - (has_quotes ? 2u : 0u));
    const char *literal = plain == NULL ? NULL : sql_literal(arena, plain);
    if (code == FRESHET_OK && (literal == NULL || type == NULL))
        code = error_memory(err, ASKING_TABLE);
    if (code == FRESHET_OK && is_binary)
        text_format(into, "from_base64(%s)", literal);
    else if (code == FRESHET_OK)
        text_format(into, "CAST(%s AS %s)", literal, type);
    text_release(&json);
    return code;
}

/* The rows of the keys from *row on that fit into one query. */
static freshet_code debug_find_some(const compare_debug *from, const batch *keys, uint32_t *row,
                                    arena *arena, compare_rows *into, freshet_error *err)
{
    const uint32_t first = *row;
    freshet_code code = FRESHET_OK;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text, "SELECT r.* FROM %s r SEMI JOIN (VALUES ", from->view);
    for (; code == FRESHET_OK && *row < keys->n_rows && *row - first < KEYS_AT_ONCE &&
           text.length < QUESTION_MAX;
         ++*row) {
        text_append_c(&text, *row == first ? "(" : ", (");
        for (uint32_t k = 0; code == FRESHET_OK && k < from->n_keys; k++) {
            text_append_c(&text, k == 0 ? "" : ", ");
            code = put_key_literal(&text, arena, &keys->columns[k], *row, err);
        }
        text_append_c(&text, ")");
    }
    text_append_c(&text, ") AS wanted(");
    put_key_names(&text, arena, from);
    text_append_c(&text, ") USING (");
    put_key_names(&text, arena, from);
    text_append_c(&text, ")");
    const char *sql = text_keep(&text, arena);
    return code == FRESHET_OK ? debug_ask(from, sql, into, err) : code;
}

static freshet_code debug_find(void *context, const batch *keys, compare_rows *into,
                               freshet_error *err)
{
    arena *arena = arena_open();
    freshet_code code = arena == NULL ? error_memory(err, ASKING_TABLE) : FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < keys->n_rows;) {
        arena_reset(arena);
        code = debug_find_some(context, keys, &row, arena, into, err);
    }
    arena_close(arena);
    return code;
}

/* ---- the process ----------------------------------------------------------------------------- */

static bool status_write(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

/* Since when the table has all rows: never where its limit has removed some. */
static freshet_code read_status(compare_debug *debug, bool goes_on, freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = query_client_status(debug->client, status_write, &text, err);
    yyjson_doc *doc =
        code == FRESHET_OK ? yyjson_read(text.bytes, text.length, YYJSON_READ_NOFLAG) : NULL;
    const yyjson_val *root = doc == NULL ? NULL : yyjson_doc_get_root(doc);
    if (root != NULL) {
        yyjson_val *uptime = yyjson_obj_get((yyjson_val *)root, "uptime_s");
        yyjson_val *trimmed = yyjson_obj_get((yyjson_val *)root, "table_trimmed");
        debug->kept_us = yyjson_get_sint(trimmed) > 0 ? INT64_MAX
                         : goes_on ? os.now_us() - (int64_t)(yyjson_get_num(uptime) * 1e6)
                                   : INT64_MIN;
    } else if (code == FRESHET_OK) {
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the pipeline's status is no JSON: it is of another version");
    }
    yyjson_doc_free(doc);
    text_release(&text);
    return code;
}

freshet_code compare_debug_open(const char *pipeline, const char *feature_set, bool goes_on,
                                const schema *schema, uint32_t n_keys, arena *arena,
                                compare_debug *out, freshet_error *err)
{
    *out = (compare_debug){.schema = schema, .n_keys = n_keys};
    const char *name = arena_format(arena, "online_feature_store__%s_latest", feature_set);
    out->view = name == NULL ? NULL : sql_quote(arena, name);
    if (out->view == NULL)
        return error_memory(err, ASKING_TABLE);
    freshet_code code = query_client_open(pipeline, &out->client, err);
    if (code == FRESHET_FAILED && err != NULL) { /* 1 is for rows that differ */
        const freshet_error problem = *err;
        code = error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, problem.at, "%s", problem.text);
    }
    return code == FRESHET_OK ? read_status(out, goes_on, err) : code;
}

void compare_debug_close(compare_debug *debug)
{
    query_client_close(debug->client);
    debug->client = NULL;
}

compare_store compare_debug_store(compare_debug *context)
{
    return (compare_store){.context = context,
                           .choose = debug_choose,
                           .find = debug_find,
                           .unit_us = 1,
                           .kept_us = context->kept_us};
}
