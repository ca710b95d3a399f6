/* newest.c - see newest.h. */
#include "cli/newest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/os.h"
#include "pipeline/pipeline.h"
#include "sql/sql.h"

#define ASK_TIMEOUT_US 2000000
#define MATCHED "rows of the span" /* the column behind the shown ones */

struct newest {
    freshet_pipeline *pipeline;
    const char *whole_query;
    const char *span_head; /* of the query before the beginning of the span, */
    const char *span_tail; /* and behind it */
    arena *lasting;        /* the texts above and the columns' names */
    arena *rows;           /* the cells of the last good answer */
    arena *spare;          /* of the answer that is being read */
    view_table table;
    int64_t slow_us;
    int64_t few_rows;
    int64_t whole_us; /* what the last query of `..._latest` took; 0 before */
    int64_t span_us;
};

/* ---- the two queries ---- */

/* The names of the first `n` columns that are shown, as SQL; NULL without memory. */
static const char *list_names(const newest *newest, uint32_t n)
{
    const char *list = "";
    for (uint32_t i = 0; i < n && list != NULL; i++) {
        const char *name = sql_quote(newest->lasting, newest->table.names[i]);
        list = name == NULL
                   ? NULL
                   : arena_format(newest->lasting, "%s%s%s", list, i == 0 ? "" : ", ", name);
    }
    return list;
}

static bool make_queries(newest *newest, const char *feature_set, uint32_t n_keys)
{
    arena *arena = newest->lasting;
    const char *columns = list_names(newest, newest->table.n_columns);
    const char *keys = list_names(newest, n_keys);
    const char *order = keys == NULL
                            ? NULL
                            : arena_format(arena, " order by \"timestamp\" desc, %s limit %u", keys,
                                           NEWEST_ROWS_MAX);
    if (columns == NULL || order == NULL)
        return false;
    newest->whole_query = arena_format(
        arena, "select %s from \"online_feature_store__%s_latest\"%s", columns, feature_set, order);
    newest->span_head =
        arena_format(arena,
                     "select %s, \"" MATCHED "\" from (select *, count(*) over () as \"" MATCHED
                     "\" from \"online_feature_store__%s\" where \"timestamp\" >= make_timestamp(",
                     columns, feature_set);
    newest->span_tail = arena_format(
        arena, ") qualify row_number() over (partition by %s order by \"timestamp\" desc) = 1)%s",
        keys, order);
    return newest->whole_query != NULL && newest->span_head != NULL && newest->span_tail != NULL;
}

/* ---- asking ---- */

int64_t newest_next_span(int64_t span_us, uint32_t n_keys, uint32_t wanted, int64_t matched,
                         int64_t table_rows, bool *good)
{
    *good = n_keys >= wanted || matched >= table_rows || span_us == NEWEST_SPAN_MAX_US;
    if (!*good)
        return span_us > NEWEST_SPAN_MAX_US / 16 ? NEWEST_SPAN_MAX_US : span_us * 16;
    if (matched > NEWEST_SPAN_ROWS && n_keys >= 2 * wanted && span_us > 1)
        return span_us / 2;
    return span_us;
}

/* The rows of an answer, in newest->spare; false where it broke off. */
static bool read_rows(newest *newest, freshet_result *result, view_table *into, int64_t *matched)
{
    freshet_code code = FRESHET_OK;
    view_table table = newest->table;
    const char **cells =
        arena_zero(newest->spare, (size_t)NEWEST_ROWS_MAX * table.n_columns, sizeof *cells);
    table.cells = cells;
    table.n_rows = 0;
    while (cells != NULL && table.n_rows < NEWEST_ROWS_MAX &&
           (code = freshet_result_next(result, NULL)) == FRESHET_OK) {
        for (uint32_t i = 0; i < table.n_columns; i++) {
            char *cell = arena_text(newest->spare, freshet_result_text(result, i));
            if (cell != NULL)
                layout_shorten_time(cell);
            *cells++ = cell;
        }
        if (freshet_result_columns(result) > table.n_columns)
            *matched = freshet_result_int64(result, table.n_columns);
        table.n_rows++;
    }
    *into = table;
    return table.cells != NULL && (code == FRESHET_OK || code == FRESHET_END);
}

static void newest_take(newest *newest, const view_table *table)
{
    arena *old = newest->rows;
    newest->table = *table;
    newest->rows = newest->spare;
    newest->spare = old;
}

/* False where the query failed. */
static bool query(newest *newest, const char *sql, view_table *table, int64_t *matched)
{
    freshet_query_options options = {.size = sizeof options, .timeout_us = ASK_TIMEOUT_US};
    freshet_result *result = NULL;
    arena_reset(newest->spare);
    bool good = freshet_query(newest->pipeline, sql, &options, &result, NULL) == FRESHET_OK;
    good = good && read_rows(newest, result, table, matched);
    freshet_result_close(result);
    return good;
}

static bool ask_whole(newest *newest)
{
    view_table table;
    int64_t matched = 0;
    int64_t start_us = os.monotonic_us();
    const bool good = query(newest, newest->whole_query, &table, &matched);
    if (good)
        newest_take(newest, &table);
    newest->whole_us = os.monotonic_us() - start_us;
    return good;
}

static bool ask_span(newest *newest, const counts *now, uint32_t wanted)
{
    bool good = false;
    view_table table;
    int64_t matched = 0;
    int64_t from_us = now->newest_event_us < INT64_MIN + newest->span_us
                          ? INT64_MIN
                          : now->newest_event_us - newest->span_us;
    text_buffer sql;
    text_init(&sql, TEXT_LIMIT_DEFAULT);
    text_format(&sql, "%s%" PRId64 "%s", newest->span_head, from_us, newest->span_tail);
    if (!sql.failed && query(newest, sql.bytes, &table, &matched)) {
        newest->span_us = newest_next_span(newest->span_us, table.n_rows, wanted, matched,
                                           now->table_rows, &good);
        if (good)
            newest_take(newest, &table);
    }
    text_release(&sql);
    return good;
}

bool newest_ask(newest *newest, const counts *now, uint32_t wanted)
{
    if (newest->whole_us <= newest->slow_us || now->table_rows <= newest->few_rows)
        return ask_whole(newest);
    return ask_span(newest, now, wanted < NEWEST_ROWS_MAX / 2 ? wanted : NEWEST_ROWS_MAX / 2);
}

const view_table *newest_table(const newest *newest)
{
    return &newest->table;
}

/* ---- opening and closing ---- */

/* The output's columns in the order in which they are shown, up to NEWEST_COLUMNS_MAX of them: keys
 * and timestamp, windows, all others. */
static uint32_t newest_choose(const feature_set *set, uint32_t *into)
{
    const uint32_t n = feature_set_schema(set)->n_fields, n_first = feature_set_n_keys(set) + 1;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < n && i < n_first && chosen < NEWEST_COLUMNS_MAX; i++)
        into[chosen++] = i;
    for (int windowed = 1; windowed >= 0; windowed--)
        for (uint32_t i = n_first; i < n && chosen < NEWEST_COLUMNS_MAX; i++)
            if (feature_set_is_windowed(set, i) == (bool)windowed)
                into[chosen++] = i;
    return chosen;
}

static bool newest_prepare(newest *newest, const char *feature_set)
{
    const schema *schema = feature_set_schema(newest->pipeline->features);
    const uint32_t n_keys = feature_set_n_keys(newest->pipeline->features), n = schema->n_fields;
    uint32_t columns[NEWEST_COLUMNS_MAX];
    const uint32_t n_columns = newest_choose(newest->pipeline->features, columns);
    const char **names = arena_zero(newest->lasting, n_columns, sizeof *names);
    bool *numeric = arena_zero(newest->lasting, n_columns, sizeof *numeric);
    bool *whole = arena_zero(newest->lasting, n_columns, sizeof *whole);
    if (names == NULL || numeric == NULL || whole == NULL)
        return false;
    for (uint32_t i = 0; i < n_columns; i++) {
        const field *field = &schema->fields[columns[i]];
        const type *type = field->type;
        names[i] = field->name;
        numeric[i] = type_is_number(type);
        whole[i] = i < n_keys || (type->kind != TYPE_STRING && type->kind != TYPE_BINARY &&
                                  type->kind != TYPE_ARRAY);
    }
    newest->table = (view_table){.n_columns = n_columns,
                                 .n_left_out = n - n_columns,
                                 .names = names,
                                 .numeric = numeric,
                                 .whole = whole};
    return make_queries(newest, feature_set, n_keys);
}

void newest_close(newest *newest)
{
    if (newest == NULL)
        return;
    arena_close(newest->lasting);
    arena_close(newest->rows);
    arena_close(newest->spare);
    free(newest);
}

freshet_code newest_open(freshet_pipeline *pipeline, const char *feature_set, int64_t slow_us,
                         int64_t few_rows, newest **out, freshet_error *err)
{
    newest *newest = calloc(1, sizeof *newest);
    if (newest == NULL)
        return error_memory(err, "starting the live view");
    newest->pipeline = pipeline;
    newest->slow_us = slow_us;
    newest->few_rows = few_rows;
    newest->span_us = NEWEST_SPAN_US;
    newest->lasting = arena_open();
    newest->rows = arena_open();
    newest->spare = arena_open();
    if (newest->lasting == NULL || newest->rows == NULL || newest->spare == NULL ||
        !newest_prepare(newest, feature_set)) {
        newest_close(newest);
        return error_memory(err, "starting the live view");
    }
    *out = newest;
    return FRESHET_OK;
}
