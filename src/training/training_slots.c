/* training_slots.c - see training_slots.h. */
#include "training/training_slots.h"

#include "base/error.h"

#define LOADING "loading the times of the spine"

/* The first of the key's slots whose time is not before; `end` where none is. */
static uint64_t training_slot_of(const training_slots *slots, uint64_t key, int64_t time)
{
    uint64_t at = slots->starts[key], end = slots->starts[key + 1];
    while (at < end) {
        const uint64_t middle = at + (end - at) / 2;
        if (slots->times[middle] < time)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

static freshet_code slot_call(void *context, const batch *arguments, column *result,
                              freshet_error *err)
{
    const training_slots *slots = context;
    const int64_t *keys = arguments->columns[0].data, *times = arguments->columns[1].data;
    int64_t *into = result->data;
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(&arguments->columns[0], row) ||
            !column_is_valid(&arguments->columns[1], row))
            continue; /* is null */
        const uint64_t key = (uint64_t)keys[row];
        const uint64_t slot = key < slots->n_keys ? training_slot_of(slots, key, times[row]) : 0;
        if (key < slots->n_keys && slot < slots->starts[key + 1])
            into[row] = (int64_t)slot;
        else if (!column_set_null(arguments->arena, result, row))
            return error_memory(err, LOADING);
    }
    return FRESHET_OK;
}

freshet_code training_slots_add(training_slots *slots, sql_session *session, freshet_error *err)
{
    const sql_function function = {.name = "training_slot",
                                   .returns = "bigint",
                                   .arguments = {"bigint", "bigint"},
                                   .call = slot_call,
                                   .context = slots,
                                   .is_volatile = true};
    slots->arena = arena_open();
    if (slots->arena == NULL)
        return error_memory(err, LOADING);
    return sql_function_add(session, &function, err);
}

void training_slots_release(training_slots *slots)
{
    arena_close(slots->arena);
    *slots = (training_slots){0};
}

/* The rows of one piece. */
static void slots_take(training_slots *slots, const batch *rows, uint64_t n)
{
    const int64_t *keys = rows->columns[0].data, *times = rows->columns[1].data;
    for (uint32_t i = 0; i < rows->n_rows && slots->n < n; i++) {
        while (slots->n_keys <= (uint64_t)keys[i])
            slots->starts[slots->n_keys++] = slots->n;
        slots->times[slots->n++] = times[i];
    }
}

freshet_code training_slots_load(training_slots *slots, sql_session *session, const char *sql,
                                 int64_t n, int64_t n_keys, freshet_error *err)
{
    sql_statement *statement = NULL;
    sql_cursor *cursor = NULL;
    arena *pieces = arena_open();
    arena_reset(slots->arena);
    slots->n = slots->n_keys = 0;
    slots->times = arena_alloc(slots->arena, ((size_t)n + 1) * sizeof *slots->times);
    slots->starts = arena_alloc(slots->arena, ((size_t)n_keys + 2) * sizeof *slots->starts);
    if (pieces == NULL || slots->times == NULL || slots->starts == NULL) {
        arena_close(pieces);
        return error_memory(err, LOADING);
    }
    freshet_code code = sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_cursor_open(statement, &cursor, err);
    while (code == FRESHET_OK) {
        batch rows;
        arena_reset(pieces);
        code = sql_next(cursor, pieces, &rows, err);
        if (code == FRESHET_OK)
            slots_take(slots, &rows, (uint64_t)n);
    }
    sql_cursor_close(cursor);
    sql_statement_close(statement);
    arena_close(pieces);
    if (code != FRESHET_END)
        return code;
    slots->starts[slots->n_keys] = slots->n;
    return FRESHET_OK;
}
