/* segment.c - see segment.h.
 *
 * The input's hidden column is the row's number in the batch, which after the statement gives the
 * order and the origin. Where the statement fails, the batch is cut in halves that are run by
 * themselves; a half of one row that fails is a bad row. What is left is run again as a whole.
 */
#include "preprocess/segment.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "readers/polling.h"

#define HALVES_MAX 64

struct segment {
    preprocess *chain;
    sql_input *input;
    view_list views;
    sql_statement *statement;
    schema after;
};

/* ---- views ----------------------------------------------------------------------------------- */

static freshet_code make_view(preprocess *chain, const char *name, const char *select,
                              view_list *into, freshet_error *err)
{
    const char *quoted = sql_quote(chain->arena, name);
    const char *sql = quoted == NULL ? NULL
                                     : arena_format(chain->arena, "CREATE TEMPORARY VIEW %s AS %s",
                                                    quoted, select);
    if (sql == NULL || !arena_reserve(chain->arena, &into->names, &into->capacity,
                                      into->n + UINT64_C(1), sizeof *into->names))
        return error_memory(err, PREPROCESSING);
    freshet_code code = sql_execute(chain->options.session, sql, NULL, err);
    if (code == FRESHET_OK)
        into->names[into->n++] = quoted;
    return code;
}

typedef freshet_code write_fn(preprocess_step *step, const char *from, const char **sql,
                              freshet_error *err);

static bool has_after(const preprocess_step *step)
{
    return step != NULL && step->ops->write_after != NULL;
}

static bool has_before(const preprocess_step *step)
{
    return step != NULL && step->ops->write_before != NULL;
}

bool range_is_empty(const step_range *range)
{
    return range->first == range->end && !has_after(range->behind) && !has_before(range->ahead);
}

const schema *range_before(const preprocess *chain, const step_range *range)
{
    if (range->behind != NULL)
        return has_after(range->behind) ? range->behind->ops->out(range->behind)
                                        : &range->behind->after;
    return range->first == 0 ? &chain->steps[0]->before : &chain->steps[range->first - 1]->after;
}

static const schema *range_after(const preprocess *chain, const step_range *range)
{
    if (has_before(range->ahead))
        return range->ahead->ops->in(range->ahead);
    if (range->end > range->first)
        return &chain->steps[range->end - 1]->after;
    return range->behind != NULL ? &range->behind->after : range_before(chain, range);
}

freshet_code views_make(preprocess *chain, const step_range *range, const char *from,
                        const char *to, view_list *into, freshet_error *err)
{
    arena *arena = chain->arena;
    const uint32_t n_behind = has_after(range->behind), n_steps = range->end - range->first;
    const uint32_t n = n_behind + n_steps + (has_before(range->ahead) ? 1 : 0);
    const char *name = from, *sql = arena_format(arena, "SELECT * FROM %s", from);
    freshet_code code = sql == NULL ? error_memory(err, PREPROCESSING) : FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        preprocess_step *step = i < n_behind             ? range->behind
                                : i < n_behind + n_steps ? chain->steps[range->first + i - n_behind]
                                                         : range->ahead;
        write_fn *write = i < n_behind             ? step->ops->write_after
                          : i < n_behind + n_steps ? step->ops->write
                                                   : step->ops->write_before;
        code = write(step, name, &sql, err);
        name = arena_format(arena, "%s_%u", to, i + 1);
        if (code == FRESHET_OK && name == NULL)
            code = error_memory(err, PREPROCESSING);
        if (code == FRESHET_OK && i + 1 < n)
            code = make_view(chain, name, sql, into, err);
    }
    return code == FRESHET_OK ? make_view(chain, to, sql, into, err) : code;
}

void views_drop(preprocess *chain, view_list *views)
{
    while (views->n > 0) {
        const char *name = views->names[--views->n];
        const char *sql = arena_format(chain->scratch, "DROP VIEW IF EXISTS temp.%s", name);
        if (sql != NULL)
            sql_execute(chain->options.session, sql, NULL, NULL);
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static freshet_code open_statement(segment *segment, const char *name, const step_range *range,
                                   freshet_error *err)
{
    preprocess *chain = segment->chain;
    const char *from = arena_format(chain->arena, "%s_in", name);
    const char *sql = arena_format(chain->arena, "SELECT * FROM %s", name);
    segment->after = *range_after(chain, range);
    freshet_code code =
        from == NULL || sql == NULL
            ? error_memory(err, PREPROCESSING)
            : sql_input_add(chain->options.session, from, range_before(chain, range),
                            PREPROCESS_ROW_COLUMN, 0, &segment->input, err);
    if (code == FRESHET_OK)
        code = views_make(chain, range, from, name, &segment->views, err);
    return code == FRESHET_OK
               ? sql_prepare(chain->options.session, sql, &segment->statement, NULL, err)
               : code;
}

freshet_code segment_open(preprocess *chain, const char *name, const step_range *range,
                          segment **out, freshet_error *err)
{
    segment *segment = arena_zero(chain->arena, 1, sizeof *segment);
    *out = NULL;
    if (segment == NULL)
        return error_memory(err, PREPROCESSING);
    segment->chain = chain;
    freshet_code code = open_statement(segment, name, range, err);
    if (code == FRESHET_OK)
        *out = segment;
    else
        segment_close(segment);
    return code;
}

void segment_close(segment *segment)
{
    if (segment == NULL)
        return;
    sql_statement_close(segment->statement);
    views_drop(segment->chain, &segment->views);
    sql_input_close(segment->input);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool is_of_a_row(freshet_code code, const freshet_error *err)
{
    return code == FRESHET_FAILED && err->then == FRESHET_SKIP_ROW;
}

freshet_code segment_refuse(const preprocess *chain, const batch *in, uint32_t row,
                            const batch *raw, rejects *rejects, reason_code why,
                            const char *sentence, freshet_error *err)
{
    freshet_reader *reader = chain->options.reader;
    const uint32_t at = in->rows == NULL ? row : ROW_INDEX(in->rows[row]);
    reject where = {.reader = reader->block->id.value, .offset = -1};
    if (raw->origins != NULL)
        polling_locate(reader, &raw->origins[at], &where);
    if (where.raw == NULL) {
        const freshet_code code = rejects_describe(rejects, raw, at, &where, err);
        if (code != FRESHET_OK)
            return code;
    }
    return rejects_add(rejects, &where, why, "preprocess fails for this row: %s", sentence)
               ? FRESHET_OK
               : error_memory(err, "noting a refused row");
}

/* Marks the rows that fail by themselves as not to be kept. */
static freshet_code find_bad(segment *segment, const batch *in, const segment_origin *origin,
                             uint8_t *keep, freshet_error *err)
{
    struct {
        uint32_t from, n;
    } stack[HALVES_MAX];
    uint32_t depth = 0;
    stack[depth++].from = 0;
    stack[0].n = in->n_rows;
    while (depth > 0) {
        const uint32_t from = stack[--depth].from, n = stack[depth].n;
        freshet_error reason = {0};
        batch ignored;
        arena_reset(segment->chain->scratch);
        sql_input_set(segment->input, in, from, n);
        freshet_code code = sql_run(segment->statement, segment->chain->scratch, &ignored, &reason);
        if (code != FRESHET_OK && !is_of_a_row(code, &reason)) {
            if (err != NULL)
                *err = reason;
            return code;
        }
        if (code == FRESHET_OK)
            continue;
        if (n == 1) {
            keep[from] = 0;
            code = segment_refuse(segment->chain, in, from, origin->raw, origin->rejects,
                                  REASON_SQL_ERROR, reason.text, err);
            if (code != FRESHET_OK)
                return code;
            continue;
        }
        if (n == 0)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, segment->chain->id,
                             "preprocess fails whatever rows come: %s", reason.text);
        stack[depth].from = from + n / 2; /* the right half waits */
        stack[depth++].n = n - n / 2;
        stack[depth].from = from;
        stack[depth++].n = n / 2;
    }
    return FRESHET_OK;
}

static freshet_code run_good(segment *segment, const batch *in, const segment_origin *origin,
                             arena *arena, const freshet_error *first, batch *out,
                             freshet_error *err)
{
    uint8_t *keep = arena_alloc(arena, in->n_rows + (size_t)1);
    batch all = *in, *good = arena_alloc(arena, sizeof *good);
    freshet_error reason = {0};
    all.arena = arena;
    all.origins = NULL;
    all.lanes = NULL;
    all.rows = arena_alloc(arena, (in->n_rows + (size_t)1) * sizeof *all.rows);
    if (keep == NULL || good == NULL || all.rows == NULL)
        return error_memory(err, PREPROCESSING);
    memset(keep, 1, in->n_rows);
    for (uint32_t i = 0; i < in->n_rows; i++)
        all.rows[i] = i;
    freshet_code code = find_bad(segment, in, origin, keep, err);
    if (code == FRESHET_OK)
        code = batch_select(&all, keep, good, err);
    if (code != FRESHET_OK)
        return code;
    sql_input_set(segment->input, good, 0, good->n_rows);
    code = sql_run(segment->statement, arena, out, &reason);
    if (is_of_a_row(code, &reason))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, segment->chain->id,
                         "preprocess fails, but for none of the rows by itself: %s", first->text);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

typedef struct placed_row {
    uint64_t from;
    uint32_t row;
} placed_row;

static int compare_placed(const void *a, const void *b)
{
    const placed_row *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Takes the hidden column off, puts the rows into the order of `in`, and gives their origins. */
static freshet_code take_rows(const segment *segment, const batch *in, batch *out,
                              freshet_error *err)
{
    const uint64_t *from = out->columns[segment->after.n_fields].data;
    const uint32_t n = out->n_rows;
    bool sorted = true;
    out->schema = segment->after;
    out->rows = arena_alloc(out->arena, (n + (size_t)1) * sizeof *out->rows);
    if (out->rows == NULL)
        return error_memory(err, PREPROCESSING);
    for (uint32_t i = 0; i < n; i++) {
        out->rows[i] = from[i];
        sorted &= i == 0 || from[i - 1] <= from[i];
    }
    freshet_code code = FRESHET_OK;
    if (!sorted) {
        placed_row *placed = arena_alloc(out->arena, n * sizeof *placed);
        uint32_t *order = arena_alloc(out->arena, n * sizeof *order);
        if (placed == NULL || order == NULL)
            return error_memory(err, PREPROCESSING);
        for (uint32_t i = 0; i < n; i++)
            placed[i] = (placed_row){from[i], i};
        qsort(placed, n, sizeof *placed, compare_placed);
        for (uint32_t i = 0; i < n; i++)
            order[i] = placed[i].row;
        code = batch_gather(out, order, n, out, PREPROCESSING, err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && in->rows != NULL && i < n; i++)
        out->rows[i] = in->rows[ROW_INDEX(out->rows[i])];
    return code;
}

freshet_code segment_run(segment *segment, const batch *in, const segment_origin *origin,
                         arena *arena, batch *out, freshet_error *err)
{
    freshet_error reason = {0};
    batch numbered = *in;
    numbered.rows = NULL; /* the hidden column is the row's number */
    sql_input_set(segment->input, &numbered, 0, in->n_rows);
    freshet_code code = sql_run(segment->statement, arena, out, &reason);
    if (is_of_a_row(code, &reason)) {
        const freshet_error first = reason;
        code = run_good(segment, in, origin, arena, &first, out, &reason);
    }
    sql_input_set(segment->input, NULL, 0, 0);
    if (code == FRESHET_OK)
        code = take_rows(segment, in, out, &reason);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}
