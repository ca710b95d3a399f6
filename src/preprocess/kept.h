/* kept.h - what a step remembers of each key: some bytes of its own, in a table that is a part of
 * the state.
 *
 * A run may be a TRIAL (pipeline/merge.h looks at rows before it knows in which order they will
 * pass): what is put then is taken back by kept_end, and nothing has changed.
 *
 * Order of calls: kept_open; kept_begin, then kept_fill, kept_find, kept_get and kept_put in any
 * number, kept_end; kept_close. The pipeline's thread.
 */
#ifndef FRESHET_PREPROCESS_KEPT_H
#define FRESHET_PREPROCESS_KEPT_H

#include "keyed/state_part.h"

#define KEPT_KEY_BYTES_MAX 65536u /* of one key, encoded */

/* The rest of what the bytes are in JSON, as state_part_ops.inspect. */
typedef freshet_code kept_inspect_fn(void *step, arena *arena, const void *bytes, size_t length,
                                     text_buffer *into, freshet_error *err);

typedef struct kept_change {
    uint32_t index;
    uint32_t length;
    unsigned char *bytes; /* as they were */
    bool is_new;          /* the key was not there */
} kept_change;

typedef struct kept {
    memory memory;
    keyed_table keys;
    keyed_chunk chunk;
    state_part part;
    size_t limit; /* bytes of keys where nobody takes them away */
    kept_inspect_fn *inspect;
    void *step;
    bool is_trial;
    bool is_broken;       /* memory was out between two runs */
    kept_change *changes; /* of a trial, in their order */
    uint32_t n_changes, changes_capacity;
} kept;

typedef struct kept_options {
    const char *name;  /* of the part: lives as long as it */
    const char *doing; /* for messages */
    const char *shape; /* all that the bytes depend on, in words */
    const field *keys; /* live as long as it */
    uint32_t n_keys;
    size_t limit;
    kept_inspect_fn *inspect;
    void *step;
} kept_options;

freshet_code kept_open(kept *kept, arena *arena, const kept_options *options, freshet_error *err);
void kept_close(kept *kept); /* zero bytes are fine */

void kept_begin(kept *kept, bool is_trial);
void kept_end(kept *kept);

/* The keys of rows [from, from + n), n up to KEYED_CHUNK_ROWS, as columns. */
freshet_code kept_fill(kept *kept, const column *keys, uint32_t n_keys, uint32_t from, uint32_t n,
                       freshet_error *err);
/* Is the key of the chunk's row i too long to be kept? */
bool kept_is_too_long(const kept *kept, uint32_t i);
/* The number of the key of the chunk's row i; a new one has no bytes. */
freshet_code kept_find(kept *kept, uint32_t i, uint32_t *index, freshet_error *err);

/* The bytes live until the next put of that key. */
const unsigned char *kept_get(const kept *kept, uint32_t index, size_t *length);
freshet_code kept_put(kept *kept, uint32_t index, const void *bytes, size_t length,
                      freshet_error *err);

#endif
