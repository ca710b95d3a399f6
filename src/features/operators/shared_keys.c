/* shared_keys.c - see shared_keys.h. A place holds 40 bits of the hash and the lane within its reader; 0: nothing. */
#include "features/operators/shared_keys.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "features/operator.h"

#define LANE_BITS 24
#define LANE_MASK ((UINT64_C(1) << LANE_BITS) - 1)

struct shared_keys {
    uint64_t places[SHARED_KEYS_SLOTS];
    uint64_t hashes[SHARED_KEYS_ROWS]; /* of the batch at hand */
    uint64_t count;
    bool nested; /* a key is an array: not looked at */
};

shared_keys *shared_keys_open(void)
{
    return calloc(1, sizeof(shared_keys));
}

void shared_keys_close(shared_keys *shared)
{
    free(shared);
}

static uint32_t rows_of(uint32_t n_rows)
{
    return n_rows < SHARED_KEYS_ROWS ? n_rows : SHARED_KEYS_ROWS;
}

void shared_keys_begin(shared_keys *shared)
{
    memset(shared->hashes, 0, sizeof shared->hashes);
    shared->nested = false;
}

void shared_keys_column(shared_keys *shared, const column *key, uint32_t n_rows)
{
    const size_t size = type_cell_size(key->type);
    const bool is_text = key->type->kind == TYPE_STRING || key->type->kind == TYPE_BINARY;
    shared->nested |= key->type->kind == TYPE_ARRAY || key->type->kind == TYPE_STRUCT;
    for (uint32_t i = 0; i < rows_of(n_rows) && !shared->nested; i++) {
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
    if (shared->count++ == 0)
        log_say(
            LOG_WARNING, NULL,
            "rows of one key come from different partitions of a topic (%u and %u, for one): their "
            "order is not certain, and so are results that depend on it; let the producer "
            "partition by the feature set's keys",
            (unsigned)(before & LANE_MASK), (unsigned)lane);
}

void shared_keys_look(shared_keys *shared, const uint32_t *lanes, const uint8_t *keep,
                      uint32_t n_rows)
{
    for (uint32_t i = 0; i < rows_of(n_rows) && !shared->nested; i++)
        if (keep[i]) /* keys of two readers are two keys */
            shared_look_at(shared, hash_fold(shared->hashes[i] ^ (lanes[i] >> LANE_BITS), HASH_A),
                           lanes[i] & LANE_MASK);
}

uint64_t shared_keys_count(const shared_keys *shared)
{
    return shared == NULL ? 0 : shared->count;
}

/* ---- as an operator --------------------------------------------------------------------------- */

typedef struct shared_keys_step {
    freshet_operator base;
    shared_keys *shared;
} shared_keys_step;

static bool shared_keys_wanted(const operator_options *options)
{
    return options->declaration->is_stream;
}

static freshet_code shared_keys_step_open(freshet_operator *self, const operator_options *options,
                                          freshet_error *err)
{
    shared_keys_step *step = (shared_keys_step *)self;
    (void)options;
    step->shared = shared_keys_open();
    return step->shared == NULL ? error_memory(err, "opening the feature set") : FRESHET_OK;
}

static freshet_code shared_keys_run(freshet_operator *self, run *run)
{
    shared_keys *shared = ((shared_keys_step *)self)->shared;
    if (run->in->lanes == NULL)
        return FRESHET_OK;
    shared_keys_begin(shared);
    for (uint32_t i = 0; i < run->plan->n_keys; i++)
        shared_keys_column(shared, &run->columns[run->plan->keys[i].to], run->n_rows);
    shared_keys_look(shared, run->in->lanes, run->keep, run->n_rows);
    self->figures.shared = shared_keys_count(shared);
    return FRESHET_OK;
}

static void shared_keys_step_close(freshet_operator *self)
{
    shared_keys_close(((shared_keys_step *)self)->shared);
}

const operator_ops shared_keys_operator = {.name = "shared keys",
                                           .size = sizeof(shared_keys_step),
                                           .wanted = shared_keys_wanted,
                                           .open = shared_keys_step_open,
                                           .run = shared_keys_run,
                                           .close = shared_keys_step_close};
