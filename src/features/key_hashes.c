/* key_hashes.c - see key_hashes.h. */
#include "features/key_hashes.h"

#include <string.h>

#include "keyed/cells.h"
#include "keyed/keyed_table.h"

/* The usual key, one whole number: the same bytes as those of cells_put, without a buffer. */
static bool is_one_number(const key_columns *keys)
{
    return keys->n == 1 && keys->columns[0]->valid == NULL &&
           (keys->columns[0]->type->kind == TYPE_BIGINT ||
            keys->columns[0]->type->kind == TYPE_INTEGER);
}

static void hash_numbers(const key_columns *keys, uint32_t first, uint32_t n, uint64_t *hashes)
{
    const column *numbers = keys->columns[0];
    const size_t size = type_cell_size(numbers->type);
    char bytes[1 + sizeof(int64_t)] = {1};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = keys->rows == NULL ? first + i : keys->rows[first + i];
        if (size == sizeof(int64_t))
            memcpy(bytes + 1, (const char *)numbers->data + at * sizeof(int64_t), sizeof(int64_t));
        else
            memcpy(bytes + 1, (const char *)numbers->data + at * sizeof(int32_t), sizeof(int32_t));
        hashes[i] = keyed_hash(bytes, 1 + size);
    }
}

void key_hashes(const key_columns *keys, uint32_t first, uint32_t n, text_buffer *buffer,
                uint64_t *hashes)
{
    if (is_one_number(keys)) {
        hash_numbers(keys, first, n, hashes);
        return;
    }
    bool failed = buffer->failed;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = keys->rows == NULL ? first + i : keys->rows[first + i];
        text_reset(buffer);
        for (uint32_t k = 0; k < keys->n; k++)
            cells_put(buffer, keys->columns[k], at, true);
        hashes[i] = keyed_hash(buffer->bytes, buffer->length);
        failed |= buffer->failed;
    }
    buffer->failed = failed;
}

void key_owners(const key_columns *keys, uint32_t first, uint32_t end, uint32_t n_owners,
                text_buffer *buffer, uint8_t *owners)
{
    uint64_t hashes[KEY_HASHES_MAX];
    text_reset(buffer);
    for (uint32_t row = first, n; row < end; row += n) {
        n = end - row < KEY_HASHES_MAX ? end - row : KEY_HASHES_MAX;
        key_hashes(keys, row, n, buffer, hashes);
        for (uint32_t i = 0; i < n; i++)
            owners[row + i] = (uint8_t)keyed_owner(hashes[i], n_owners);
    }
}
