/* shared_keys.c - keys whose rows come from more than one partition of a reader.
 *
 * Rows of one partition come in their order; rows of one key that come from two do not, so what is
 * "the row before" is not certain then. This looks for such keys, says so once, and counts.
 *
 * A sample does, since who spreads a key over partitions mostly does so with all keys: of each
 * micro-batch the first SHARED_KEYS_ROWS rows, whose keys' hashes are remembered with their lane in
 * a table of SHARED_KEYS_SLOTS places, a new one in the place of the old. A slow stream is looked
 * at whole.
 *
 * A place holds 40 bits of the hash and the lane within its reader; 0: nothing. */
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "features/operator.h"

#define SHARED_KEYS_ROWS 256u
#define SHARED_KEYS_SLOTS 65536u /* 8 bytes each; a power of two */
#define LANE_BITS 24
#define LANE_MASK ((UINT64_C(1) << LANE_BITS) - 1)

typedef struct shared_keys {
    freshet_operator base;
    uint64_t places[SHARED_KEYS_SLOTS];
    uint64_t hashes[SHARED_KEYS_ROWS]; /* of the batch at hand */
} shared_keys;

/* The next column of the keys of n rows. */
static void hash_column(shared_keys *shared, const column *key, uint32_t n)
{
    const size_t size = type_cell_size(key->type);
    const bool is_text = key->type->kind == TYPE_STRING || key->type->kind == TYPE_BINARY;
    for (uint32_t i = 0; i < n; i++) {
        const char *cell = (const char *)key->data + i * size;
        const cell_text *text = (const cell_text *)(const void *)cell;
        shared->hashes[i] = is_text ? hash_bytes(text_bytes(text), text->length, shared->hashes[i])
                                    : hash_bytes(cell, size, shared->hashes[i]);
    }
}

static void shared_look_at(shared_keys *shared, uint64_t hash, uint64_t lane)
{
    uint64_t *place = &shared->places[hash & (SHARED_KEYS_SLOTS - 1)];
    const uint64_t before = *place;
    *place = (hash & ~LANE_MASK) | lane;
    if (before >> LANE_BITS != hash >> LANE_BITS || (before & LANE_MASK) == lane)
        return;
    if (shared->base.figures.shared++ == 0)
        log_event(KEYS_SHARED, NULL, (unsigned)(before & LANE_MASK), (unsigned)lane);
}

static bool shared_keys_wanted(const operator_options *options)
{
    return options->declaration->is_stream;
}

static freshet_code shared_keys_run(freshet_operator *self, run *run)
{
    shared_keys *shared = (shared_keys *)self;
    const uint32_t n = run->n_rows < SHARED_KEYS_ROWS ? run->n_rows : SHARED_KEYS_ROWS;
    if (run->in->lanes == NULL)
        return FRESHET_OK;
    memset(shared->hashes, 0, sizeof shared->hashes);
    for (uint32_t k = 0; k < run->plan->n_keys; k++) {
        const column *key = &run->columns[run->plan->keys[k].to];
        if (key->type->n_fields > 0) /* an array: not looked at */
            return FRESHET_OK;
        hash_column(shared, key, n);
    }
    for (uint32_t i = 0; i < n; i++)
        if (run->keep[i]) {
            /* keys of two readers are two keys: a lane's upper byte is its reader's */
            const uint32_t lane = run_lane(run, i);
            shared_look_at(shared, hash_fold(shared->hashes[i] ^ (lane >> LANE_BITS), HASH_A),
                           lane & LANE_MASK);
        }
    return FRESHET_OK;
}

const operator_ops shared_keys_operator = {.name = "shared keys",
                                           .size = sizeof(shared_keys),
                                           .wanted = shared_keys_wanted,
                                           .run = shared_keys_run};
