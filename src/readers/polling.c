/* polling.c - see polling.h. */
#include "readers/polling.h"

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "formats/cell.h"

polling polling_begin(freshet_reader *reader, batch *into, uint32_t max_rows, size_t max_bytes,
                      rejects *rejects, const char *doing, freshet_error *err)
{
    return (polling){.reader = reader,
                     .into = into,
                     .rejects = rejects,
                     .first_row = into->n_rows,
                     .first_reject = rejects->n,
                     .max_rows = max_rows,
                     .max_bytes = max_bytes,
                     .capacity = into->n_rows,
                     .doing = doing,
                     .err = err};
}

/* Rows for which the batch's columns have room already: as many as came the last time. */
static uint64_t rows_expected(const polling *polling)
{
    const batch *into = polling->into;
    const uint64_t capacity = into->schema.n_fields == 0 ? 0 : into->columns[0].capacity;

    return capacity > polling->first_row ? capacity - polling->first_row : 0;
}

freshet_code polling_reserve(polling *polling, uint32_t likely)
{
    batch *into = polling->into;
    uint32_t capacity = polling->capacity;
    freshet_code code;

    if (into->n_rows < capacity)
        return FRESHET_OK;
    if (capacity == polling->first_row) {
        const uint64_t expected = rows_expected(polling);
        capacity += expected > likely && expected < BATCH_ROWS_MAX ? (uint32_t)expected : likely;
    } else {
        capacity *= 2;
    }
    if (polling->max_rows < BATCH_ROWS_MAX && capacity > polling->first_row + polling->max_rows)
        capacity = polling->first_row + polling->max_rows;
    if (capacity <= into->n_rows)
        capacity = into->n_rows + 1;
    code = batch_reserve(into, capacity, polling->doing, polling->err);
    if (code == FRESHET_OK)
        polling->capacity = capacity;
    return code;
}

freshet_code polling_reserve_rows(polling *polling, uint32_t n)
{
    const uint32_t capacity = polling->into->n_rows + n;
    freshet_code code = FRESHET_OK;

    if (capacity <= polling->capacity)
        return FRESHET_OK;
    code = batch_reserve(polling->into, capacity, polling->doing, polling->err);
    if (code == FRESHET_OK)
        polling->capacity = capacity;
    return code;
}

freshet_code polling_refuse(polling *polling, const reject *where, reason_code code,
                            const char *part, const char *reason)
{
    reject bad = *where;

    bad.reader = polling->reader->block->id.value;
    bad.partition = arena_text(polling->rejects->arena, where->partition);
    if (bad.partition == NULL || !rejects_add(polling->rejects, &bad, code, "%s%s", part, reason))
        return error_memory(polling->err, "noting a bad record");
    return FRESHET_OK;
}

void polling_locate(freshet_reader *reader, const origin *origin, reject *into)
{
    into->reader = reader->block->id.value;
    into->partition = reader->ops == NULL || reader->ops->partition_label == NULL
                          ? NULL
                          : reader->ops->partition_label(reader, origin->partition);
    into->offset = origin->offset;
    into->raw = origin->raw;
    into->raw_length = origin->raw_length;
    if (reader->ops != NULL && reader->ops->beside != NULL)
        reader->ops->beside(reader, origin, into);
}

freshet_code polling_end(const polling *polling)
{
    const bool *used = polling->reader->used;
    batch *into = polling->into;

    for (uint32_t i = 0; used != NULL && i < into->schema.n_fields; i++)
        if (!used[i] && !cell_set_nulls(into->arena, &into->columns[i], polling->first_row,
                                        into->n_rows - polling->first_row))
            return error_memory(polling->err, polling->doing);
    return FRESHET_OK;
}

freshet_code polling_only_positions(freshet_reader *reader, arena *arena, bool all,
                                    reader_positions *out, freshet_error *err)
{
    *out = (reader_positions){0};
    if (!all && !reader->moved)
        return FRESHET_OK;
    out->items = arena_zero(arena, 1, sizeof *out->items);
    if (out->items == NULL)
        return error_memory(err, "giving positions");
    out->items[out->n++] = reader->only;
    reader->moved = false;
    return FRESHET_OK;
}

const char *polling_only_label(const freshet_reader *reader, uint32_t partition)
{
    (void)partition;
    return reader->only.label;
}

void polling_place(const declared_text *declared, const char *path, char *into, size_t size)
{
    if (declared->at.file != NULL || declared->at.path != NULL)
        place_text(&declared->at, into, size);
    else
        snprintf(into, size, "%s", path);
}

void polling_tell_missing(const freshet_reader *reader, const char *path, bool missing, bool *said)
{
    if (missing && !*said)
        log_event(TABLE_GONE, reader->block->id.value, path);
    *said = missing;
}
