/* serving_answer.c - see serving_answer.h. */
#include "serving/serving_answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"
#include "serving/serving_rows.h"
#include "serving/serving_store.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)
#define NO_TIME "\"1970-01-01T00:00:00Z\""

typedef enum serving_status { STATUS_NOT_FOUND, STATUS_PRESENT, STATUS_OUTSIDE } serving_status;

static const char *const status_names[] = {
    [STATUS_NOT_FOUND] = "\"NOT_FOUND\"",
    [STATUS_PRESENT] = "\"PRESENT\"",
    [STATUS_OUTSIDE] = "\"OUTSIDE_MAX_AGE\"",
};

/* The rows of one feature set. */
typedef struct set_rows {
    bool is_asked;
    bool *wanted;    /* per field */
    column *columns; /* per field; those of the keys, and those that are wanted */
    bool *found;     /* per row */
} set_rows;

typedef struct answering {
    const serving_set *sets;
    const serving_request *request;
    int64_t now_us;
    arena *arena;
    serving_refusal *why;
    set_rows rows[SERVING_SETS_MAX];
} answering;

static bool answer_no_memory(const answering *it)
{
    return serving_refuse(it->why, 503, "Memory is out at the moment: ask again in a while.");
}

/* ---- values ---------------------------------------------------------------------------------- */

static int64_t floor_seconds(int64_t us)
{
    return us / SECOND_US - (us % SECOND_US < 0);
}

static void put_real(text_buffer *into, double value)
{
    if (isnan(value))
        text_append_c(into, "\"NaN\"");
    else if (isinf(value))
        text_append_c(into, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        text_append_real(into, value, false);
}

static void put_answer_list(text_buffer *into, const column *column, uint64_t row)
{
    const cell_span *span = (const cell_span *)column->data + row;
    text_append_char(into, '[');
    for (uint64_t i = 0; i < span->length; i++) {
        if (i > 0)
            text_append_char(into, ',');
        serving_put_value(into, &column->children[0], span->offset + i);
    }
    text_append_char(into, ']');
}

void serving_put_value(text_buffer *into, const column *column, uint64_t row)
{
    const void *data = column->data;
    if (!column_is_valid(column, row)) {
        text_append_c(into, "null");
        return;
    }
    switch (column->type->kind) {
    case TYPE_INTEGER: text_format(into, "%d", ((const int32_t *)data)[row]); break;
    case TYPE_BIGINT: text_format(into, "%lld", (long long)((const int64_t *)data)[row]); break;
    case TYPE_FLOAT: put_real(into, (double)((const float *)data)[row]); break;
    case TYPE_DOUBLE: put_real(into, ((const double *)data)[row]); break;
    case TYPE_DATE:
        text_format(into, "%lld", (long long)(((const int32_t *)data)[row] * DAY_S));
        break;
    case TYPE_TIMESTAMP:
        text_format(into, "%lld", (long long)floor_seconds(((const int64_t *)data)[row]));
        break;
    case TYPE_ARRAY:
        if (!column->type->is_map) {
            put_answer_list(into, column, row);
            break;
        }
        column_to_json(column, row, into, NULL);
        break;
    default: column_to_json(column, row, into, NULL); break;
    }
}

/* Without a fraction where there is none, else with three digits or six, as protobuf has it. */
static void put_answer_time(text_buffer *into, int64_t us)
{
    const size_t begin = into->length + 1;
    text_append_char(into, '"');
    text_append_timestamp(into, us); /* ....123456Z */
    const unsigned cut = us % SECOND_US == 0 ? 7 : us % 1000 == 0 ? 3 : 0;
    if (cut > 0 && !into->failed && into->length > begin + cut) {
        into->length -= cut + 1;
        text_append_char(into, 'Z');
    }
    text_append_char(into, '"');
}

void serving_put_detail(text_buffer *into, const char *sentence)
{
    text_append_c(into, "{\"detail\": ");
    text_append_json(into, sentence, strlen(sentence));
    text_append_c(into, "}\n");
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool make_rows(const answering *it, const serving_set *set, set_rows *rows)
{
    const uint32_t n = set->schema.n_fields, n_rows = it->request->n_rows;
    rows->columns = arena_zero(it->arena, n, sizeof *rows->columns);
    rows->found = arena_zero(it->arena, n_rows, sizeof *rows->found);
    if (rows->columns == NULL || rows->found == NULL)
        return answer_no_memory(it);
    for (uint32_t i = set->n_keys; i < n; i++)
        if (rows->wanted[i] && column_init(it->arena, &rows->columns[i], set->schema.fields[i].type,
                                           n_rows, NULL) != FRESHET_OK)
            return answer_no_memory(it);
    return true;
}

/* Where the cell ends. The bytes are our own. */
static const unsigned char *skip_cell(const type *type, const unsigned char *at)
{
    uint32_t n = 0;
    if (*at++ == 0)
        return at;
    if (type->kind == TYPE_STRUCT) {
        for (uint32_t i = 0; i < type->n_fields; i++)
            at = skip_cell(type->fields[i].type, at);
        return at;
    }
    const bool is_text = type->kind == TYPE_STRING || type->kind == TYPE_BINARY;
    if (!is_text && type->kind != TYPE_ARRAY)
        return at + type_cell_size(type);
    memcpy(&n, at, sizeof n);
    at += sizeof n;
    if (is_text)
        return at + n;
    for (uint32_t i = 0; i < n; i++)
        at = skip_cell(type->fields[0].type, at);
    return at;
}

static bool take_row_cells(const answering *it, const serving_set *set, set_rows *rows,
                           uint32_t row, const text_buffer *cells)
{
    const unsigned char *at = (const unsigned char *)cells->bytes, *end = at + cells->length;
    for (uint32_t i = set->n_keys; i < set->schema.n_fields; i++) {
        if (!rows->wanted[i])
            at = skip_cell(set->schema.fields[i].type, at);
        else if (cells_get(it->arena, &at, end, &rows->columns[i], row, NULL) != FRESHET_OK)
            return answer_no_memory(it);
    }
    rows->found[row] = true;
    return true;
}

/* Those in memory; the others' numbers are put to `missing`. */
static bool find_in_memory(const answering *it, const serving_set *set, set_rows *rows,
                           const uint64_t *absent, uint32_t *missing, uint32_t *n_missing)
{
    text_buffer key, cells;
    bool is_well = true;
    text_init(&key, SERVING_KEY_BYTES_MAX);
    text_init(&cells, TEXT_LIMIT_DEFAULT);
    for (uint32_t row = 0; is_well && row < it->request->n_rows; row++) {
        if ((absent[row / 64] >> row % 64 & 1) != 0)
            continue;
        text_reset(&key);
        text_reset(&cells);
        for (uint32_t k = 0; k < set->n_keys; k++)
            cells_put(&key, &rows->columns[k], row, true);
        if (key.failed) /* none is as long */
            continue;
        if (set->rows != NULL && serving_rows_get(set->rows, key.bytes, key.length, &cells))
            is_well = take_row_cells(it, set, rows, row, &cells);
        else if (cells.failed)
            is_well = answer_no_memory(it);
        else
            missing[(*n_missing)++] = row;
    }
    text_release(&key);
    text_release(&cells);
    return is_well;
}

static bool ask_store(const answering *it, const serving_set *set, set_rows *rows,
                      const uint32_t *missing, uint32_t n_missing)
{
    freshet_error err = {0};
    const serving_asking asking = {.set = set,
                                   .keys = rows->columns,
                                   .rows = missing,
                                   .n_rows = n_missing,
                                   .wanted = rows->wanted,
                                   .into = rows->columns,
                                   .found = rows->found,
                                   .arena = it->arena};
    if (n_missing == 0 || set->store == NULL)
        return true;
    return serving_store_ask(set->store, &asking, &err) == FRESHET_OK ||
           serving_refuse(it->why, 503, "%s", err.text);
}

static bool find_rows(const answering *it, uint32_t which, set_rows *rows)
{
    const serving_set *set = &it->sets[which];
    const uint32_t n_rows = it->request->n_rows;
    uint32_t n_missing = 0;
    uint64_t *absent = arena_zero(it->arena, n_rows / 64 + 1, sizeof *absent);
    uint32_t *missing = arena_alloc(it->arena, n_rows * sizeof *missing);
    if (absent == NULL || missing == NULL)
        return answer_no_memory(it);
    return make_rows(it, set, rows) &&
           serving_request_keys(it->request, set, it->arena, rows->columns, absent, it->why) &&
           find_in_memory(it, set, rows, absent, missing, &n_missing) &&
           ask_store(it, set, rows, missing, n_missing);
}

/* Which fields of which sets. */
static bool find_all(answering *it)
{
    const serving_request *request = it->request;
    for (uint32_t i = 0; i < request->n_features; i++) {
        const serving_set *set = &it->sets[request->features[i].set];
        set_rows *rows = &it->rows[request->features[i].set];
        if (!rows->is_asked)
            rows->wanted = arena_zero(it->arena, set->schema.n_fields, sizeof *rows->wanted);
        if (rows->wanted == NULL)
            return answer_no_memory(it);
        rows->is_asked = true;
        rows->wanted[set->n_keys] = true; /* its time */
        rows->wanted[request->features[i].field] = true;
    }
    for (uint32_t i = 0; i < SERVING_SETS_MAX; i++)
        if (it->rows[i].is_asked && !find_rows(it, i, &it->rows[i]))
            return false;
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

static void put_answer_names(const answering *it, text_buffer *into)
{
    const serving_request *request = it->request;
    text_append_c(into, "{\"metadata\":{\"feature_names\":[");
    for (uint32_t i = 0; i < request->n_keys; i++) {
        text_append_c(into, i == 0 ? "" : ",");
        text_append_json(into, request->keys[i].name, strlen(request->keys[i].name));
    }
    for (uint32_t i = 0; i < request->n_features; i++) {
        const serving_set *set = &it->sets[request->features[i].set];
        const char *name = set->schema.fields[request->features[i].field].name;
        const char *full =
            request->has_full_names ? arena_format(it->arena, "%s__%s", set->name, name) : name;
        text_append_char(into, ',');
        text_append_json(into, full == NULL ? name : full, strlen(full == NULL ? name : full));
    }
    text_append_c(into, "]},\"results\":[");
}

static void put_same(text_buffer *into, uint32_t n, const char *text)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            text_append_char(into, ',');
        text_append_c(into, text);
    }
}

static void put_given(text_buffer *into, yyjson_val *value)
{
    size_t length = 0;
    if (yyjson_is_str(value)) {
        text_append_json(into, yyjson_get_str(value), yyjson_get_len(value));
        return;
    }
    char *text = yyjson_val_write(value, 0, &length);
    if (text == NULL)
        into->failed = true;
    else
        text_append(into, text, length);
    free(text);
}

static void put_key_result(const answering *it, const serving_keys *key, text_buffer *into)
{
    size_t i, most;
    yyjson_val *value;
    text_append_c(into, "{\"values\":[");
    yyjson_arr_foreach(key->values, i, most, value)
    {
        if (i > 0)
            text_append_char(into, ',');
        put_given(into, value);
    }
    text_append_c(into, "],\"statuses\":[");
    put_same(into, it->request->n_rows, status_names[STATUS_PRESENT]);
    text_append_c(into, "],\"event_timestamps\":[");
    put_same(into, it->request->n_rows, NO_TIME);
    text_append_c(into, "]}");
}

static serving_status status_of(const answering *it, const serving_set *set, const set_rows *rows,
                                uint32_t row)
{
    const column *times = &rows->columns[set->n_keys];
    if (!rows->found[row])
        return STATUS_NOT_FOUND;
    if (set->max_age_us == 0)
        return STATUS_PRESENT;
    const int64_t us = ((const int64_t *)times->data)[row];
    return it->now_us > INT64_MIN + set->max_age_us && us < it->now_us - set->max_age_us
               ? STATUS_OUTSIDE
               : STATUS_PRESENT;
}

static void put_feature_result(const answering *it, const serving_wanted *feature,
                               text_buffer *into)
{
    const serving_set *set = &it->sets[feature->set];
    const set_rows *rows = &it->rows[feature->set];
    const uint32_t n = it->request->n_rows;
    const column *times = &rows->columns[set->n_keys];
    text_append_c(into, "{\"values\":[");
    for (uint32_t row = 0; row < n; row++) {
        if (row > 0)
            text_append_char(into, ',');
        if (status_of(it, set, rows, row) == STATUS_PRESENT)
            serving_put_value(into, &rows->columns[feature->field], row);
        else
            text_append_c(into, "null");
    }
    text_append_c(into, "],\"statuses\":[");
    for (uint32_t row = 0; row < n; row++) {
        if (row > 0)
            text_append_char(into, ',');
        text_append_c(into, status_names[status_of(it, set, rows, row)]);
    }
    text_append_c(into, "],\"event_timestamps\":[");
    for (uint32_t row = 0; row < n; row++) {
        if (row > 0)
            text_append_char(into, ',');
        if (rows->found[row] && column_is_valid(times, row))
            put_answer_time(into, ((const int64_t *)times->data)[row]);
        else
            text_append_c(into, NO_TIME);
    }
    text_append_c(into, "]}");
}

static void put_body(const answering *it, text_buffer *into)
{
    put_answer_names(it, into);
    for (uint32_t i = 0; i < it->request->n_keys; i++) {
        text_append_c(into, i == 0 ? "" : ",");
        put_key_result(it, &it->request->keys[i], into);
    }
    for (uint32_t i = 0; i < it->request->n_features; i++) {
        text_append_char(into, ',');
        put_feature_result(it, &it->request->features[i], into);
    }
    text_append_c(into, "]}\n");
}

unsigned serving_answer(const serving_set *sets, uint32_t n_sets, const char *body, size_t length,
                        int64_t now_us, arena *arena, text_buffer *into)
{
    serving_request request;
    serving_refusal why = {.status = 200};
    answering it = {
        .sets = sets, .request = &request, .now_us = now_us, .arena = arena, .why = &why};
    bool is_well =
        serving_request_read(sets, n_sets, body, length, arena, &request, &why) && find_all(&it);
    if (is_well) {
        put_body(&it, into);
        if (into->failed)
            is_well = serving_refuse(&why, 413,
                                     "The answer would have more than %zu MiB: ask for fewer keys "
                                     "or features in one request.",
                                     into->limit >> 20);
    }
    serving_request_free(&request);
    if (is_well)
        return 200;
    text_reset(into);
    serving_put_detail(into, why.sentence);
    return why.status;
}
