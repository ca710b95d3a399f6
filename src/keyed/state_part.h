/* state_part.h - keyed state as the checkpoint sees it: parts that give and take keys as bytes.
 *
 * A feature set keeps one part for each thing it must remember between batches: the windows of its keys, the
 * windows of another partitioning, open rolling windows, the event ids of a deduplication. The
 * checkpoint knows none of that: it asks each part for the keys that changed, stores their bytes under
 * (part's name, key), and gives them back on demand after a restart. Cold keys leave memory in the same way.
 *
 * The legal order, per part: set_load once, before the first batch (it also says that somebody saves the
 * state), then restore for each saved key where the part has it; at a checkpoint next_dirty and save for each
 * dirty key, then clean once the bytes are durable; next_cold and drop when memory is short.
 * All calls come from the pipeline's thread, between two batches.
 */
#ifndef FRESHET_KEYED_STATE_PART_H
#define FRESHET_KEYED_STATE_PART_H

#include <freshet/freshet.h>

#include "base/text.h"

/* A key of a part; `bytes` are valid until the part's next batch, restore or drop. */
typedef struct state_key {
    const void *bytes;
    size_t length;
    uint32_t index; /* the part's own */
} state_key;

/* Looks a key up in the store: appends its bytes, or FRESHET_END where there are none. */
typedef freshet_code state_load_fn(void *context, const void *key, size_t key_length,
                                   text_buffer *into, freshet_error *err);

typedef struct state_part {
    const char *name;     /* unique in its feature set, stable over versions: "windows", "dedup" */
    uint64_t fingerprint; /* of what saved bytes depend on: another one cannot read them */
    const char *shape;    /* the same in words, for the message of a refusal */
    void *self;

    void (*set_load)(void *self, state_load_fn *load, void *context);
    /* NULL: keys are looked up when they are needed. Otherwise the part must know all its keys, since time
     * alone makes them output rows (open rolling windows; `refresh: on_expiry`): after feature_set_restore_facts and
     * before the first batch, each saved key is given to restore; set_load's function is called only for keys
     * that have been dropped since. */
    freshet_code (*restore)(void *self, const void *key, size_t key_length, const void *bytes,
                            size_t length, freshet_error *err);
    /* Each key that changed since the last clean, once; *cursor begins at 0; false at the end. */
    bool (*next_dirty)(void *self, uint32_t *cursor, state_key *out);
    freshet_code (*save)(void *self, const state_key *key, text_buffer *into, freshet_error *err);
    /* NULL: keys never end. True: the key holds nothing any more; its bytes are deleted from the store. */
    bool (*is_empty)(void *self, const state_key *key);
    void (*clean)(void *self);
    bool (*next_cold)(void *self, state_key *out);
    void (*drop)(void *self, const state_key *key);
    size_t (*bytes)(void *self);  /* of memory */
    uint64_t (*keys)(void *self); /* in memory */
    /* Bytes of a key as JSON, for `freshet state inspect`; FRESHET_FAILED for damaged ones. */
    freshet_code (*inspect)(void *self, const void *key, size_t key_length, const void *bytes,
                            size_t length, text_buffer *into, freshet_error *err);
} state_part;

#endif
