/* event_time.c - see event_time.h.
 *
 * Timestamps, dates and plain text are cast. Numbers are brought to microseconds by a loop here.
 * Text with a unit goes through decimal(38,9), so that no digit is lost.
 */
#include "features/event_time.h"

#include <string.h>

#include "base/cast_text.h"
#include "base/error.h"
#include "base/timestamp.h"
#include "features/cast.h"

#define COMPUTING_TIMES "computing timestamps"
#define TEXT_WIDTH 38 /* of the decimal that holds a number given as text */
#define TEXT_SCALE 9

static const char *const unit_names[] = {"", "s", "ms", "us"};
static const int64_t unit_us[] = {1000000, 1000000, 1000, 1};

freshet_code event_time_compile(arena *arena, const timestamp_block *block, const type *from,
                                event_time *into, freshet_error *err)
{
    const char *mask_text = block->mask.value;
    const char *name = type_name(arena, from);
    if (name == NULL)
        return error_memory(err, "reading the timestamp's declaration");
    *into = (event_time){.from = from, .unit = block->unit};
    bool is_time = from->kind == TYPE_TIMESTAMP || from->kind == TYPE_DATE;
    if (!is_time && from->kind != TYPE_STRING && !type_is_number(from))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "column \"%s\" is %s, which is no time: it must be a timestamp, a date, "
                         "text or a number",
                         block->from.value, name);
    if (mask_text != NULL && block->unit != UNIT_NONE)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the timestamp has both a mask (for text) and a unit (for numbers): leave "
                         "one out");
    if (mask_text != NULL && from->kind != TYPE_STRING)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a mask is for text, but column \"%s\" is %s: leave the mask out",
                         block->from.value, name);
    if (block->unit != UNIT_NONE && is_time)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a unit is for numbers, but column \"%s\" is %s: leave the unit out",
                         block->from.value, name);
    if (mask_text == NULL)
        return FRESHET_OK;
    mask *mask;
    freshet_code code = mask_compile(arena, mask_text, MASK_TIMESTAMP, &mask, err);
    if (code == FRESHET_OK) {
        into->mask = mask;
        into->mask_text = mask_text;
    }
    return code;
}

/* Null in `into`, and failed. */
static bool event_time_fail(arena *arena, column *into, uint64_t row, uint64_t n_rows,
                            uint64_t **failed)
{
    if (*failed == NULL)
        *failed = arena_zero(arena, (n_rows + 63) / 64, sizeof **failed);
    if (*failed == NULL || !column_set_null(arena, into, row))
        return false;
    (*failed)[row >> 6] |= UINT64_C(1) << (row & 63);
    return true;
}

/* A number in units of `us` microseconds. */
static bool to_us(const column *from, uint64_t row, int64_t us, int64_t *into)
{
    const void *data = from->data;
    switch (from->type->kind) {
    case TYPE_INTEGER: *into = ((const int32_t *)data)[row] * us; return true;
    case TYPE_BIGINT: return !__builtin_mul_overflow(((const int64_t *)data)[row], us, into);
    case TYPE_DECIMAL:
        return cast_decimal_to_units(((const int128 *)data)[row], from->type->scale, us, into);
    default: {
        double value = from->type->kind == TYPE_FLOAT ? (double)((const float *)data)[row]
                                                      : ((const double *)data)[row];
        value *= (double)us;
        if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0))
            return false;
        *into = (int64_t)value;
        return true;
    }
    }
}

/* Texts of the mask, or numbers (`mask` NULL). */
static freshet_code read_times(const mask *mask, int64_t us, arena *arena, const column *from,
                               uint64_t n_rows, column *into, uint64_t **failed, freshet_error *err)
{
    const cell_text *texts = from->data;
    int64_t *times = into->data;
    for (uint64_t row = 0; row < n_rows; row++) {
        bool done = true;
        if (!column_is_valid(from, row))
            done = column_set_null(arena, into, row);
        else if (mask != NULL
                     ? !mask_read(mask, text_bytes(&texts[row]), texts[row].length, &times[row])
                     : !to_us(from, row, us, &times[row]))
            done = event_time_fail(arena, into, row, n_rows, failed);
        if (!done)
            return error_memory(err, COMPUTING_TIMES);
    }
    return FRESHET_OK;
}

/* Text that holds numbers: failed is where it does not, or where the number is out of range. */
static freshet_code from_number_texts(int64_t us, arena *arena, const column *from, uint64_t n_rows,
                                      column *into, uint64_t **failed, freshet_error *err)
{
    const type *decimal = type_decimal(arena, TEXT_WIDTH, TEXT_SCALE);
    if (decimal == NULL)
        return error_memory(err, COMPUTING_TIMES);
    column numbers;
    uint64_t *no_numbers, *too_large = NULL;
    freshet_code code = cast_column(arena, from, n_rows, decimal, &numbers, &no_numbers, err);
    if (code == FRESHET_OK)
        code = read_times(NULL, us, arena, &numbers, n_rows, into, &too_large, err);
    for (uint64_t i = 0; too_large != NULL && no_numbers != NULL && i < (n_rows + 63) / 64; i++)
        too_large[i] |= no_numbers[i];
    *failed = too_large != NULL ? too_large : no_numbers;
    return code;
}

static freshet_code compute_times(const event_time *event_time, arena *arena, const column *from,
                                  uint64_t n_rows, column *into, uint64_t **failed,
                                  freshet_error *err)
{
    const type *timestamp = type_simple(TYPE_TIMESTAMP);
    bool is_text = event_time->from->kind == TYPE_STRING;
    *failed = NULL;
    if (event_time->mask == NULL && (!is_text || event_time->unit == UNIT_NONE) &&
        !type_is_number(event_time->from))
        return cast_column(arena, from, n_rows, timestamp, into, failed, err);
    freshet_code code = column_init(arena, into, timestamp, n_rows, err);
    if (code != FRESHET_OK)
        return code;
    const int64_t us = unit_us[event_time->unit];
    if (is_text && event_time->mask == NULL)
        return from_number_texts(us, arena, from, n_rows, into, failed, err);
    return read_times(event_time->mask, us, arena, from, n_rows, into, failed, err);
}

/* The cells become the column's own where they are those that it was made of. */
static bool own_cells(arena *arena, const column *from, uint64_t n_rows, column *into)
{
    if (into->data != from->data)
        return true;
    int64_t *data = arena_alloc(arena, n_rows * sizeof *data);
    uint64_t *valid = arena_alloc(arena, (n_rows + 63) / 64 * sizeof *valid);
    if (data == NULL || valid == NULL)
        return false;
    memcpy(data, from->data, n_rows * sizeof *data);
    if (from->valid != NULL)
        memcpy(valid, from->valid, (n_rows + 63) / 64 * sizeof *valid);
    else
        memset(valid, 0xFF, (n_rows + 63) / 64 * sizeof *valid);
    into->data = data;
    into->valid = valid;
    into->capacity = n_rows;
    return true;
}

freshet_code event_time_column(const event_time *event_time, arena *arena, const column *from,
                               uint64_t n_rows, column *into, uint64_t **failed, freshet_error *err)
{
    freshet_code code = compute_times(event_time, arena, from, n_rows, into, failed, err);
    for (uint64_t row = 0; row < n_rows && code == FRESHET_OK; row++) {
        if (timestamp_is_near(((const int64_t *)into->data)[row]) || !column_is_valid(into, row))
            continue;
        if (!own_cells(arena, from, n_rows, into) ||
            !event_time_fail(arena, into, row, n_rows, failed))
            code = error_memory(err, COMPUTING_TIMES);
    }
    return code;
}

const char *event_time_reason(const event_time *event_time, arena *arena, const column *from,
                              uint64_t row)
{
    const char *shown = cast_shown(arena, from, row);
    if (shown == NULL)
        return NULL;
    if (from->type->kind == TYPE_TIMESTAMP)
        return arena_format(arena, "%s is too far from 1970", shown);
    if (event_time->mask != NULL)
        return arena_format(arena, "%s does not match the mask \"%s\"", shown,
                            event_time->mask_text);
    if (event_time->unit != UNIT_NONE)
        return arena_format(arena, "%s is no time in the unit %s", shown,
                            unit_names[event_time->unit]);
    return arena_format(arena, "cannot cast %s to timestamp", shown);
}
