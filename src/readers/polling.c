/* polling.c - see polling.h. */
#include "readers/polling.h"

#include "base/error.h"
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

freshet_code polling_reserve(polling *polling, uint32_t likely)
{
    batch *into = polling->into;
    uint32_t capacity = polling->capacity;
    freshet_code code;

    if (into->n_rows < capacity)
        return FRESHET_OK;
    capacity = capacity == polling->first_row ? capacity + likely : capacity * 2;
    if (polling->max_rows < BATCH_ROWS_MAX && capacity > polling->first_row + polling->max_rows)
        capacity = polling->first_row + polling->max_rows;
    if (capacity <= into->n_rows)
        capacity = into->n_rows + 1;
    code = batch_reserve(into, capacity, polling->doing, polling->err);
    if (code == FRESHET_OK)
        polling->capacity = capacity;
    return code;
}

freshet_code polling_refuse(polling *polling, const reject *where, const char *part,
                            const char *reason)
{
    reject bad = *where;

    bad.reader = polling->reader->block->id.value;
    bad.partition = arena_text(polling->rejects->arena, where->partition);
    if (bad.partition == NULL || !rejects_add(polling->rejects, &bad, "%s%s", part, reason))
        return error_memory(polling->err, "noting a bad record");
    return FRESHET_OK;
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
