/* mixed.c - see mixed.h. */
#include "features/mixed.h"

#include <string.h>

#include "base/error.h"

#define MIXING "mixing columns"

static bool has_place(const type *type)
{
    return type->kind != TYPE_ARRAY && type->kind != TYPE_STRUCT;
}

/* Cell by cell. */
static freshet_code mix_nested(const mixed *mixed, arena *arena, column *into, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < mixed->n; i++)
        code =
            column_append(arena, into, i, mixed->sources[mixed->from[i]], &mixed->rows[i], 1, err);
    return code;
}

freshet_code mixed_open(const mixed *mixed, arena *arena, const type *type, column *into,
                        freshet_error *err)
{
    bool has_nulls = false;
    freshet_code code = column_init_raw(arena, into, type, mixed->n, err);
    if (code != FRESHET_OK || !has_place(type))
        return code == FRESHET_OK ? mix_nested(mixed, arena, into, err) : code;
    for (uint32_t i = 0; i < mixed->n_sources; i++)
        has_nulls |= mixed->sources[i] != NULL && mixed->sources[i]->valid != NULL;
    if (!has_nulls)
        return FRESHET_OK;
    into->valid = arena_alloc(arena, (mixed->n / MIXED_WORD_ROWS + 1) * sizeof *into->valid);
    return into->valid == NULL ? error_memory(err, MIXING) : FRESHET_OK;
}

/* The loop for one size, which the compiler makes a plain copy of. */
static inline __attribute__((always_inline)) void mix_each(const mixed *mixed, uint32_t first,
                                                           uint32_t end, char *into, size_t size)
{
    const char *data[UINT8_MAX + 1];
    const uint8_t *from = mixed->from;
    const uint32_t *rows = mixed->rows;
    for (uint32_t i = 0; i < mixed->n_sources; i++)
        data[i] = mixed->sources[i] == NULL ? NULL : mixed->sources[i]->data;
    for (uint32_t i = first; i < end; i++)
        memcpy(into + i * size, data[from[i]] + rows[i] * size, size);
}

static void mix_validity(const mixed *mixed, uint32_t first, uint32_t end, uint64_t *valid)
{
    for (uint32_t i = first; i < end;) {
        uint64_t bits = UINT64_MAX;
        const uint32_t word = i / MIXED_WORD_ROWS;
        for (; i < end && i / MIXED_WORD_ROWS == word; i++)
            if (!column_is_valid(mixed->sources[mixed->from[i]], mixed->rows[i]))
                bits &= ~(UINT64_C(1) << i % MIXED_WORD_ROWS);
        valid[word] = bits;
    }
}

void mixed_fill(const mixed *mixed, uint32_t first, uint32_t end, column *into)
{
    const size_t size = type_cell_size(into->type);
    if (!has_place(into->type))
        return;
    switch (size) {
    case 1: mix_each(mixed, first, end, into->data, 1); break;
    case 4: mix_each(mixed, first, end, into->data, 4); break;
    case 8: mix_each(mixed, first, end, into->data, 8); break;
    case 16: mix_each(mixed, first, end, into->data, 16); break;
    default: mix_each(mixed, first, end, into->data, size); break;
    }
    if (into->valid != NULL)
        mix_validity(mixed, first, end, into->valid);
}
