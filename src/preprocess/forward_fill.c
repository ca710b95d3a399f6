/* forward_fill.c - the step `forward_fill`: a null becomes the last value before it.
 *
 * Of each partition the rows in the order of a column, nulls first, of equal ones as they come: a
 * row whose value is null gets the value of the nearest row before it that has one.
 *
 * In a batch that is a window of SQL. On a stream each partition keeps its newest value, and the
 * place in the order that it stood at:
 *
 *   row       kept       value
 *   12  18.6  12 18.6    18.6
 *   14  -     12 18.6    18.6
 *   13  17.0  13 17.0    17.0
 *   11  -     13 17.0    null    it comes late: what was there at 11 is not known any more
 *   11  16.5  13 17.0    16.5
 *
 * So rows that come in their order give what a batch gives. Saved, a partition is the two cells.
 */
#include <string.h>

#include "base/error.h"
#include "formats/cell.h"
#include "keyed/cells.h"
#include "preprocess/kept.h"
#include "preprocess/preprocess_step.h"

#define FILLING "filling values forward"

typedef struct fill_options {
    declared_list partition_by;
    declared_text order_by;
    declared_text column;
    declared_text into;
} fill_options;

typedef struct fill {
    preprocess_step step;
    int64_t *partition; /* columns */
    int64_t order, column;
    int64_t into; /* the place of the filled column behind the step */
    const char *name;
    field *key_fields;
    kept kept;
    arena *scratch;   /* of one run */
    text_buffer text; /* what is to be kept */
} fill;

/* ---- options --------------------------------------------------------------------------------- */

static const option fill_option_table[] = {
    {OPTION("partition_by", TEXTS, fill_options, partition_by), .required = true,
     .doc = "The columns whose equal values make one partition.", .example = "[sensor, place]"},
    {OPTION("order_by", TEXT, fill_options, order_by), .required = true,
     .doc = "The column that its rows are ordered by, nulls first; of equal ones as they come.",
     .example = "ts"},
    {OPTION("column", TEXT, fill_options, column), .required = true,
     .doc = "The column whose nulls are filled.", .example = "temperature"},
    {OPTION("into", TEXT, fill_options, into),
     .doc = "A column of its own for the filled values; the column itself unless said.",
     .example = "temperature_filled"},
    {0},
};

static bool find_partition(fill *fill)
{
    const fill_options *options = fill->step.options;
    const uint32_t n = options->partition_by.n;
    fill->partition = arena_zero(fill->step.chain->arena, n, sizeof *fill->partition);
    fill->key_fields = arena_zero(fill->step.chain->arena, n, sizeof *fill->key_fields);
    if (fill->partition == NULL || fill->key_fields == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const declared_text *name = &options->partition_by.items[i];
        fill->partition[i] = step_simple_column(&fill->step, name, "partition_by");
        if (fill->partition[i] >= 0)
            fill->key_fields[i] = fill->step.before.fields[fill->partition[i]];
    }
    return true;
}

static freshet_code fill_check(preprocess_step *step, freshet_error *err)
{
    fill *fill = (struct fill *)step;
    const fill_options *options = step->options;
    const declared_text *into = options->into.value != NULL ? &options->into : &options->column;
    if (!find_partition(fill))
        return error_memory(err, PREPROCESSING);
    fill->order = step_simple_column(step, &options->order_by, "order_by");
    fill->column = step_column(step, &options->column, "column");
    if (fill->column >= 0 && step->before.fields[fill->column].type->kind == TYPE_STRUCT)
        step_problem(step, &options->column.at,
                     "the column \"%s\" is a struct: fill its fields, each as a column",
                     options->column.value);
    if (options->into.value != NULL && options->into.value[0] == '\0')
        step_problem(step, &options->into.at, "\"into\" must not be empty");
    fill->name = into->value;
    fill->into = into->value == NULL ? -1 : schema_find(&step->before, into->value);
    if (fill->into < 0)
        fill->into = step->before.n_fields;
    else
        fill->name = step->before.fields[fill->into].name;
    return FRESHET_OK;
}

static void fill_use(const preprocess_step *step, const bool *after, bool *before)
{
    const fill *fill = (const struct fill *)step;
    const fill_options *options = step->options;
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= (after[i] && i != fill->into) || i == fill->column || i == fill->order;
    for (uint32_t i = 0; i < options->partition_by.n; i++)
        before[fill->partition[i]] = true;
}

/* ---- as SQL ---------------------------------------------------------------------------------- */

static void put_filled(const fill *fill, text_buffer *into)
{
    const fill_options *options = fill->step.options;
    const schema *before = &fill->step.before;
    arena *arena = fill->step.chain->arena;
    step_put_name(into, arena, "last_value(", before->fields[fill->column].name,
                  " IGNORE NULLS) OVER (PARTITION BY ");
    for (uint32_t i = 0; i < options->partition_by.n; i++)
        step_put_name(into, arena, i == 0 ? "" : ", ", before->fields[fill->partition[i]].name, "");
    step_put_name(into, arena, " ORDER BY ", before->fields[fill->order].name,
                  " ASC NULLS FIRST, " PREPROCESS_ROW_COLUMN
                  " ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)");
    step_put_name(into, arena, " AS ", fill->name, ", ");
}

static freshet_code fill_write(preprocess_step *step, const char *from, const char **sql,
                               freshet_error *err)
{
    const fill *fill = (const struct fill *)step;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i <= step->before.n_fields; i++)
        if (i == fill->into)
            put_filled(fill, &text);
        else if (i < step->before.n_fields)
            step_put_name(&text, step->chain->arena, "", step->before.fields[i].name, ", ");
    text_format(&text, PREPROCESS_ROW_COLUMN " FROM %s", from);
    return step_sql(step, &text, sql, err);
}

/* ---- on a stream ----------------------------------------------------------------------------- */

static const type *order_type(const fill *fill)
{
    return fill->step.before.fields[fill->order].type;
}

static const type *value_type(const fill *fill)
{
    return fill->step.before.fields[fill->column].type;
}

static freshet_code fill_inspect(void *step, arena *arena, const void *bytes, size_t length,
                                 text_buffer *into, freshet_error *err)
{
    const fill *fill = step;
    const unsigned char *at = bytes, *end = at + length;
    text_append_c(into, ", ");
    freshet_code code = cells_show(arena, fill->step.before.fields[fill->order].name,
                                   order_type(fill), &at, end, into, err);
    text_append_c(into, ", ");
    return code == FRESHET_OK ? cells_show(arena, fill->step.before.fields[fill->column].name,
                                           value_type(fill), &at, end, into, err)
                              : code;
}

static freshet_code fill_open(preprocess_step *step, freshet_error *err)
{
    fill *fill = (struct fill *)step;
    const fill_options *options = step->options;
    arena *arena = step->chain->arena;
    const char *order = type_name(arena, order_type(fill));
    const char *value = type_name(arena, value_type(fill));
    kept_options keeps = {.doing = "filling values forward",
                          .keys = fill->key_fields,
                          .n_keys = options->partition_by.n,
                          .limit = step_memory(step),
                          .inspect = fill_inspect,
                          .step = fill};
    fill->scratch = arena_open();
    text_init(&fill->text, TEXT_LIMIT_DEFAULT);
    if (fill->scratch == NULL || order == NULL || value == NULL)
        return error_memory(err, FILLING);
    const char *what = arena_format(arena, "the last value (%s, ordered by %s)", value, order);
    freshet_code code =
        step_part_names(step, what, fill->key_fields, keeps.n_keys, &keeps.name, &keeps.shape, err);
    return code == FRESHET_OK ? kept_open(&fill->kept, arena, &keeps, err) : code;
}

static void fill_close(preprocess_step *step)
{
    fill *fill = (struct fill *)step;
    kept_close(&fill->kept);
    text_release(&fill->text);
    arena_close(fill->scratch);
}

static const state_part *fill_part(preprocess_step *step)
{
    return &((fill *)step)->kept.part;
}

/* The kept place in the order is row 0 of *order, *rest what stands behind it. */
static freshet_code read_kept(const fill *fill, const unsigned char *bytes, size_t length,
                              column *order, const unsigned char **rest, freshet_error *err)
{
    freshet_code code = column_init(fill->scratch, order, order_type(fill), 1, err);
    *rest = bytes;
    return code == FRESHET_OK ? cells_get(fill->scratch, rest, bytes + length, order, 0, err)
                              : code;
}

/* A row of a known key: its value is kept, or the kept one becomes its value. */
static freshet_code fill_row(fill *fill, const step_run *run, uint32_t index, uint32_t row,
                             column *filled, freshet_error *err)
{
    const column *orders = &run->in->columns[fill->order];
    const column *values = &run->in->columns[fill->column];
    const unsigned char *rest;
    size_t length;
    const unsigned char *bytes = kept_get(&fill->kept, index, &length);
    column order;
    bool is_late = false;
    if (length > 0) {
        freshet_code code = read_kept(fill, bytes, length, &order, &rest, err);
        if (code != FRESHET_OK)
            return code;
        is_late = step_compare(&order, 0, orders, row) > 0;
    }
    if (is_late)
        return FRESHET_OK;
    if (!column_is_valid(values, row)) {
        if (length == 0)
            return FRESHET_OK;
        cell_set_valid(filled, row);
        return cells_get(run->arena, &rest, bytes + length, filled, row, err);
    }
    text_reset(&fill->text);
    cells_put(&fill->text, orders, row, true);
    cells_put(&fill->text, values, row, false);
    return fill->text.failed
               ? error_memory(err, FILLING)
               : kept_put(&fill->kept, index, fill->text.bytes, fill->text.length, err);
}

static freshet_code fill_chunk(fill *fill, const step_run *run, const column *keys, uint32_t from,
                               uint32_t n, column *filled, bool *refused, freshet_error *err)
{
    const uint32_t n_keys = ((const fill_options *)fill->step.options)->partition_by.n;
    freshet_code code = kept_fill(&fill->kept, keys, n_keys, from, n, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        uint32_t index = KEY_NONE;
        if (kept_is_too_long(&fill->kept, i)) {
            *refused = true;
            code = step_refuse(&fill->step, run, from + i, REASON_TOO_LARGE, err,
                               "forward_fill: its partition_by has more than %u bytes",
                               KEPT_KEY_BYTES_MAX);
            continue;
        }
        code = kept_find(&fill->kept, i, &index, err);
        if (code == FRESHET_OK)
            code = fill_row(fill, run, index, from + i, filled, err);
    }
    return code;
}

/* The columns of `in`, and a copy of the one that is filled. */
static freshet_code make_columns(const fill *fill, const step_run *run, column *filled,
                                 freshet_error *err)
{
    const batch *in = run->in;
    batch *out = run->out;
    const uint32_t n = fill->step.after.n_fields;
    size_t bytes = 0;
    column *columns = arena_zero(run->arena, n, sizeof *columns);
    if (columns == NULL)
        return error_memory(err, FILLING);
    *out = (batch){.arena = run->arena,
                   .schema = fill->step.after,
                   .columns = columns,
                   .n_rows = in->n_rows,
                   .rows = in->rows};
    for (uint32_t i = 0; i < n; i++)
        if (i != fill->into)
            columns[i] = in->columns[i];
    freshet_code code = column_init(run->arena, filled, value_type(fill), in->n_rows, err);
    if (code == FRESHET_OK &&
        !column_copy(run->arena, &in->columns[fill->column],
                     &(cell_choice){.n = in->n_rows, .keeps = &bytes}, filled, 0))
        code = error_memory(err, FILLING);
    return code;
}

static freshet_code fill_rows(fill *fill, const step_run *run, const column *keys, column *filled,
                              bool *refused, freshet_error *err)
{
    const uint32_t n_rows = run->in->n_rows;
    freshet_code code = FRESHET_OK;
    kept_begin(&fill->kept, run->is_trial);
    for (uint32_t from = 0; code == FRESHET_OK && from < n_rows; from += KEYED_CHUNK_ROWS) {
        const uint32_t n = n_rows - from < KEYED_CHUNK_ROWS ? n_rows - from : KEYED_CHUNK_ROWS;
        arena_reset(fill->scratch);
        code = fill_chunk(fill, run, keys, from, n, filled, refused, err);
    }
    kept_end(&fill->kept);
    return code;
}

static freshet_code fill_run(preprocess_step *step, const step_run *run, freshet_error *err)
{
    fill *fill = (struct fill *)step;
    const uint32_t n_keys = ((const fill_options *)step->options)->partition_by.n;
    column filled = {.n_elements = 0}, *keys = arena_zero(run->arena, n_keys, sizeof *keys);
    bool refused = false;
    if (keys == NULL)
        return error_memory(err, FILLING);
    for (uint32_t i = 0; i < n_keys; i++)
        keys[i] = run->in->columns[fill->partition[i]];
    freshet_code code = make_columns(fill, run, &filled, err);
    if (code == FRESHET_OK)
        code = fill_rows(fill, run, keys, &filled, &refused, err);
    if (code == FRESHET_OK)
        run->out->columns[fill->into] = filled;
    return code == FRESHET_OK && refused ? step_drop_refused(run, err) : code;
}

const preprocess_step_ops forward_fill_step = {
    .block = {BLOCK_KIND("forward_fill", "forward_fill", fill_options, fill_option_table),
              .doc = "Fills the nulls of a column with the last value before them. On a stream the "
                     "last value of each partition is kept in the state; a row that comes late "
                     "and is null stays null."},
    .size = sizeof(fill),
    .needs_order = true,
    .check = fill_check,
    .write = fill_write,
    .use = fill_use,
    .open = fill_open,
    .run = fill_run,
    .part = fill_part,
    .close = fill_close,
};
