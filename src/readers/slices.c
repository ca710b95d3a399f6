/* slices.c - see slices.h.
 *
 * BITS. A view's columns have no bits until a null comes; then the task makes them in its arena.
 * The batch's own are made if any slice has some, or were there before: for each slice its bits, or
 * ones, are written to the place of its rows, which need not begin with a word.
 */
#include "readers/slices.h"

#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/error.h"

#define SLICES_MAX (CREW_WORKERS_MAX * SLICES_A_WORKER)
#define SLICING "decoding records"

/* The decoders of one number, and what they were made like: the arrays are copies. */
typedef struct slice_model {
    decoder like;
    bool *used, *elsewhere;
    bool is_made;
} slice_model;

struct slices {
    struct crew *crew;
    slice *items;
    uint32_t n_items;
    slice_model models[SLICE_DECODERS_MAX];
};

/* What the tasks of one call share. */
typedef struct slices_call {
    slices *slices;
    const slicing *how;
} slices_call;

/* ---- opening and closing --------------------------------------------------------------------- */

static void forget_decoders(slices *slices, uint32_t number)
{
    slice_model *model = &slices->models[number];

    for (uint32_t i = 0; i < slices->n_items; i++) {
        decoder_close(slices->items[i].decoders[number]);
        slices->items[i].decoders[number] = NULL;
    }
    free(model->used);
    free(model->elsewhere);
    *model = (slice_model){0};
}

void slices_close(slices *slices)
{
    if (slices == NULL)
        return;
    for (uint32_t i = 0; i < SLICE_DECODERS_MAX && slices->items != NULL; i++)
        forget_decoders(slices, i);
    for (uint32_t i = 0; i < slices->n_items && slices->items != NULL; i++)
        arena_close(slices->items[i].arena);
    free(slices->items);
    free(slices);
}

freshet_code slices_open(struct crew *crew, slices **out, freshet_error *err)
{
    slices *it;
    bool done;

    *out = NULL;
    if (crew_workers(crew) < 2)
        return FRESHET_OK;
    it = calloc(1, sizeof(*it));
    if (it == NULL)
        return error_memory(err, SLICING);
    it->crew = crew;
    it->n_items = crew_workers(crew) * SLICES_A_WORKER;
    if (it->n_items > SLICES_MAX)
        it->n_items = SLICES_MAX;
    it->items = calloc(it->n_items, sizeof(*it->items));
    done = it->items != NULL;
    for (uint32_t i = 0; done && i < it->n_items; i++)
        done = (it->items[i].arena = arena_open()) != NULL;
    if (!done) {
        slices_close(it);
        return error_memory(err, SLICING);
    }
    *out = it;
    return FRESHET_OK;
}

void slices_begin(slices *slices)
{
    for (uint32_t i = 0; slices != NULL && i < slices->n_items; i++)
        arena_reset(slices->items[i].arena);
}

/* ---- what is cut ----------------------------------------------------------------------------- */

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
static bool has_array(const type *type)
{
    if (type->kind == TYPE_ARRAY)
        return true;
    for (uint32_t i = 0; i < type->n_fields; i++)
        if (has_array(type->fields[i].type))
            return true;
    return false;
}

bool slices_are_wanted(const slices *slices, const freshet_reader *reader, uint32_t n_records)
{
    if (slices == NULL || n_records < SLICES_RECORDS_LEAST)
        return false;
    for (uint32_t i = 0; i < reader->schema.n_fields; i++)
        if ((reader->used == NULL || reader->used[i]) && has_array(reader->schema.fields[i].type))
            return false;
    return true;
}

/* ---- decoders -------------------------------------------------------------------------------- */

static bool same_flags(const bool *a, const bool *b, uint32_t n)
{
    return a == NULL || b == NULL ? a == b : memcmp(a, b, n * sizeof(*a)) == 0;
}

static bool is_like(const slice_model *model, const decoder *like)
{
    const decoder *made = &model->like;
    const uint32_t n = like->schema->n_fields;

    return model->is_made && made->format == like->format && made->options == like->options &&
           made->schema == like->schema && made->cast_error_null == like->cast_error_null &&
           made->of_messages == like->of_messages && same_flags(model->used, like->used, n) &&
           same_flags(model->elsewhere, like->elsewhere, n);
}

static bool copy_flags(const bool *from, uint32_t n, bool **out)
{
    if (from == NULL)
        return true;
    *out = malloc((n + (size_t)1) * sizeof(**out));
    if (*out != NULL)
        memcpy(*out, from, n * sizeof(**out));
    return *out != NULL;
}

static freshet_code make_decoders(slices *slices, uint32_t number, const decoder *like,
                                  freshet_error *err)
{
    slice_model *model = &slices->models[number];
    const uint32_t n = like->schema->n_fields;
    freshet_code code = FRESHET_OK;

    forget_decoders(slices, number);
    if (!copy_flags(like->used, n, &model->used) ||
        !copy_flags(like->elsewhere, n, &model->elsewhere))
        return error_memory(err, SLICING);
    model->like = (decoder){.format = like->format,
                            .options = like->options,
                            .schema = like->schema,
                            .used = model->used,
                            .elsewhere = model->elsewhere,
                            .cast_error_null = like->cast_error_null,
                            .of_messages = like->of_messages,
                            .said_by = like->said_by};
    for (uint32_t i = 0; code == FRESHET_OK && i < slices->n_items; i++)
        code = decoder_open(&model->like, &slices->items[i].decoders[number], err);
    model->is_made = code == FRESHET_OK;
    return code;
}

freshet_code slices_follow(slices *slices, uint32_t number, const decoder *like, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    if (!is_like(&slices->models[number], like))
        code = make_decoders(slices, number, like, err);
    for (uint32_t i = 0; code == FRESHET_OK && like->wants_header && i < slices->n_items; i++)
        like->format->take_header(slices->items[i].decoders[number], like);
    return code;
}

/* ---- views ----------------------------------------------------------------------------------- */

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
static bool view_column(arena *arena, const column *of, uint64_t first, uint64_t n, column *out)
{
    const size_t cell = type_cell_size(of->type);

    *out = (column){.type = of->type, .capacity = n};
    if (cell > 0)
        out->data = (char *)of->data + first * cell;
    if (of->type->kind != TYPE_STRUCT)
        return true;
    out->children = arena_zero(arena, of->type->n_fields, sizeof(*out->children));
    for (uint32_t i = 0; out->children != NULL && i < of->type->n_fields; i++)
        if (!view_column(arena, &of->children[i], first, n, &out->children[i]))
            return false;
    return out->children != NULL;
}

/* A slice over the records from `first` on, whose row is that number behind those of `into`. */
static bool view_batch(slice *it, const batch *into, uint32_t first, uint32_t n)
{
    const uint64_t row = into->n_rows + (uint64_t)first;

    it->first = it->stopped_at = first;
    it->n = n;
    it->n_refusals = it->refusals_capacity = 0;
    it->refusals = NULL;
    it->code = FRESHET_OK;
    it->rows = (batch){
        .arena = it->arena, .schema = into->schema, .origins = into->origins + row, .n_rows = 0};
    it->rows.columns =
        arena_zero(it->arena, into->schema.n_fields + (size_t)1, sizeof(*it->rows.columns));
    for (uint32_t i = 0; it->rows.columns != NULL && i < into->schema.n_fields; i++)
        if (!view_column(it->arena, &into->columns[i], row, n, &it->rows.columns[i]))
            return false;
    return it->rows.columns != NULL;
}

/* ---- a task ---------------------------------------------------------------------------------- */

/* Notes a bad record; its reason is in it->problem. */
static bool slice_refuse(slice *it, uint32_t record, reason_code code, const char *part)
{
    const char *reason = arena_text(it->arena, it->problem.text);

    if (reason == NULL || !arena_reserve(it->arena, &it->refusals, &it->refusals_capacity,
                                         it->n_refusals + UINT64_C(1), sizeof(*it->refusals)))
        return false;
    it->refusals[it->n_refusals++] = (slice_refusal){record, code, part, reason};
    return true;
}

static void decode_slice(void *context, uint32_t which)
{
    const slices_call *call = context;
    slice *it = &call->slices->items[which];

    if (call->how->begin != NULL)
        call->how->begin(call->how->context, it);
    for (uint32_t record = it->first; record < it->first + it->n; record++) {
        reason_code refused = REASON_BAD_RECORD;
        const char *part = "";
        it->problem.then = FRESHET_STOP;
        it->problem.at[0] = it->problem.text[0] = '\0';
        freshet_code code =
            call->how->decode(call->how->context, it, record, &refused, &part, &it->problem);
        if (code == FRESHET_OK) {
            it->rows.n_rows++;
        } else if (it->problem.then == FRESHET_SKIP_ROW) {
            if (!slice_refuse(it, record, refused, part))
                it->code = error_memory(&it->problem, SLICING);
        } else {
            it->code = code;
        }
        if (it->code != FRESHET_OK)
            return;
        it->stopped_at = record + 1;
    }
}

/* ---- putting together ------------------------------------------------------------------------ */

/* Writes the bits [0, n) of `from`, or ones where it is NULL, to [at, at + n). */
static void put_bits(uint64_t *bits, uint64_t at, const uint64_t *from, uint64_t n)
{
    for (uint64_t i = 0; i < n;) {
        const uint64_t in_word = (at + i) & 63;
        const uint64_t most = 64 - in_word < n - i ? 64 - in_word : n - i;
        const uint64_t mask = (most == 64 ? ~UINT64_C(0) : (UINT64_C(1) << most) - 1) << in_word;
        uint64_t word = ~UINT64_C(0);
        if (from != NULL) {
            word = from[i >> 6] >> (i & 63);
            if ((i & 63) != 0 && (i & 63) + most > 64)
                word |= from[(i >> 6) + 1] << (64 - (i & 63));
        }
        uint64_t *into = &bits[(at + i) >> 6];
        *into = (*into & ~mask) | (word << in_word & mask);
        i += most;
    }
}

static bool make_bits(arena *arena, column *column)
{
    const size_t size = (column->capacity + 63) / 64 * sizeof(uint64_t);

    column->valid = arena_alloc(arena, size);
    if (column->valid != NULL)
        memset(column->valid, 0xFF, size);
    return column->valid != NULL;
}

/* Moves the cells of a view, which begin at `row`, and its bits to the rows from `at` on. The depth
 * is that of the type. */
static bool close_up(arena *arena, column *into, const column *view, uint64_t row, uint64_t at,
                     uint64_t n)
{
    const size_t cell = type_cell_size(into->type);

    if (cell > 0 && row != at)
        memmove((char *)into->data + at * cell, view->data, n * cell);
    if (view->valid != NULL && into->valid == NULL && !make_bits(arena, into))
        return false;
    if (into->valid != NULL)
        put_bits(into->valid, at, view->valid, n);
    for (uint32_t i = 0; into->type->kind == TYPE_STRUCT && i < into->type->n_fields; i++)
        if (!close_up(arena, &into->children[i], &view->children[i], row, at, n))
            return false;
    return true;
}

/* The rows of a slice that began at `row` behind those that the batch has. */
static bool slice_take_rows(const slice *it, const freshet_reader *reader, batch *into,
                            uint64_t row)
{
    const uint64_t at = into->n_rows, n = it->rows.n_rows;

    for (uint32_t i = 0; n > 0 && i < into->schema.n_fields; i++)
        if ((reader->used == NULL || reader->used[i]) &&
            !close_up(into->arena, &into->columns[i], &it->rows.columns[i], row, at, n))
            return false;
    if (row != at && n > 0)
        memmove(into->origins + at, it->rows.origins, n * sizeof(*into->origins));
    into->n_rows += (uint32_t)n;
    return true;
}

static freshet_code take_slice(const slice *it, polling *polling, const slicing *how, uint64_t row,
                               freshet_error *err)
{
    freshet_code code = slice_take_rows(it, polling->reader, polling->into, row)
                            ? FRESHET_OK
                            : error_memory(err, SLICING);

    for (uint32_t i = 0; code == FRESHET_OK && i < it->n_refusals; i++)
        code = how->refuse(how->context, &it->refusals[i]);
    if (code == FRESHET_OK && it->code != FRESHET_OK) {
        if (err != NULL)
            *err = it->problem;
        code = it->code;
    }
    return code;
}

freshet_code slices_decode(slices *slices, polling *polling, const slicing *how, uint32_t n,
                           uint32_t *n_done, freshet_error *err)
{
    batch *into = polling->into;
    const uint64_t first_row = into->n_rows;
    const slices_call call = {slices, how};
    uint32_t n_slices = n / SLICE_RECORDS_LEAST;
    freshet_code code = polling_reserve_rows(polling, n);

    *n_done = 0;
    if (n_slices > slices->n_items)
        n_slices = slices->n_items;
    for (uint32_t i = 0; code == FRESHET_OK && i < n_slices; i++) {
        const uint32_t first = (uint32_t)((uint64_t)n * i / n_slices);
        const uint32_t next = (uint32_t)((uint64_t)n * (i + 1) / n_slices);
        if (!view_batch(&slices->items[i], into, first, next - first))
            code = error_memory(err, SLICING);
    }
    if (code != FRESHET_OK)
        return code;
    crew_run(slices->crew, n_slices, decode_slice, (void *)&call);
    for (uint32_t i = 0; code == FRESHET_OK && i < n_slices; i++) {
        const slice *it = &slices->items[i];
        code = take_slice(it, polling, how, first_row + it->first, err);
        *n_done = it->stopped_at;
    }
    return code;
}
