/* state_part.h - keyed state as the checkpoint sees it: parts that give and take keys as bytes.
 *
 * An operator keeps one part for each thing it must remember between batches: the windows of its
 * keys, the windows of another partitioning, open rolling windows, the event ids of a
 * deduplication. A part is a keyed_table and what state_part_ops says of its entries; the rest is
 * here, once. The checkpoint asks each part for the keys that changed, stores their bytes under
 * (part's name, key), and gives them back on demand after a restart. Cold keys leave memory in the
 * same way.
 *
 * The legal order, per part: set_load once, before the first key (it also says that somebody saves
 * the state), then restore for each saved key where the part wants that (`keys`); at a checkpoint
 * next_dirty and, for each dirty key, save, or nothing where is_empty says that its bytes are to be
 * deleted; clean once the bytes are durable; next_cold and drop when memory is short. All calls
 * come from the pipeline's thread, between two batches.
 *
 * The operator looks its keys up by state_part_find while it takes a batch; and forgets by
 * state_part_forget those that hold nothing any more.
 */
#ifndef FRESHET_KEYED_STATE_PART_H
#define FRESHET_KEYED_STATE_PART_H

#include "keyed/evolution.h"
#include "keyed/keyed_table.h"

/* What became of a key whose past was given. */
typedef enum state_fill {
    FILL_NOTHING, /* nothing was missing */
    FILL_DONE,
    FILL_SHORT,   /* the past ends before what was kept begins */
    FILL_OTHER,   /* it has other events than were kept */
    FILL_UNKNOWN, /* the key has had no event yet */
    FILL_KINDS
} state_fill;

/* What a part's owner says of its entries; `self` is keyed_options.self. save, is_empty and listed
 * change nothing, not even what is only for the moment: they are called by several threads at once,
 * each for other keys. */
typedef struct state_part_ops {
    /* Appends what the entry holds. A failure of memory may show in into->failed alone. */
    freshet_code (*save)(void *self, const void *entry, text_buffer *into, freshet_error *err);
    /* Fills an entry of zero bytes (that is in no table yet, and has no key). Bytes that are
     * damaged, or of another declaration, are refused, and nothing hangs at the entry then. */
    freshet_code (*restore)(void *self, const state_key *key, void *entry, const void *bytes,
                            size_t length, freshet_error *err);
    /* The rest of what saved bytes are in JSON, behind `{"key": {...}`: members with a comma before
     * each. */
    freshet_code (*inspect)(void *self, arena *arena, const void *bytes, size_t length,
                            text_buffer *into, freshet_error *err);
    /* NULL, or asks the memory for what hangs at the entry: it is soon to be saved. */
    void (*prefetch)(void *self, const void *entry);
    /* NULL: keys never end. True: the key holds nothing any more. */
    bool (*is_empty)(void *self, const void *entry);
    /* NULL, or what is to be done once a restored entry stands in the table. False where memory is
     * out: it goes. */
    bool (*placed)(void *self, uint32_t index);
    /* NULL, or true for keys that are needed in memory although they are cold. */
    bool (*is_needed)(void *self, uint32_t index);
    /* NULL, or which times the store is to list the key under, so that it is found by time although
     * it has left memory: *time for i 0. For i 1, 2 ...: under which it may be listed, and is no
     * longer to be. False at the end; for i 0 where it is listed as it should be. */
    bool (*listed)(void *self, uint32_t index, uint32_t i, int64_t *time);
    /* NULL, or, once evolve has been asked: is the list of other times than now? Then each saved
     * key is restored before the first batch, and listed anew by the next checkpoint. */
    bool (*lists_anew)(void *self);
    /* NULL, or before which time listed keys that are not in memory hold nothing any more: they are
     * removed. What memory has of such times is forgotten already. */
    int64_t (*over_before)(void *self);
    /* With over_before: under which time those saved bytes are listed; INT64_MIN for damaged ones,
     * which stay. */
    int64_t (*listed_saved)(const void *bytes, size_t length);
    /* Saved bytes may have this layout, too, from before the declaration changed (part->layout of
     * then). NULL where there is one layout only. */
    freshet_code (*know)(void *self, const char *layout, freshet_error *err);
    /* NULL, or to which time (microseconds) the part has given its rows, by what was restored: the
     * past is to be read as if it were no later (declaration.past_until_us). */
    int64_t (*fill_until)(void *self);
    /* NULL, or the newest event of all that it has had; else that of the rows which went out is. */
    int64_t (*fill_newest)(void *self);
    /* All NULL: what lacks its past cannot be filled. Bytes of that layout, of a state that
     * was made of the past alone, come next; newest_us: of its rows. FRESHET_BAD_DECLARATION: they
     * lack what the part keeps, or end too soon. */
    freshet_code (*fill_open)(void *self, const char *layout, int64_t newest_us,
                              freshet_error *err);
    /* Puts what is before the entry's own into it. `is_new`: it is zero bytes but its key, and goes
     * again where nothing was missing, or nothing of it is known. */
    freshet_code (*fill)(void *self, uint32_t index, bool is_new, const void *bytes, size_t length,
                         state_fill *out, freshet_error *err);
    /* All keys of the past were given: what came in up to that declaration is filled. Also at each
     * later start, before evolve. */
    void (*filled)(void *self, uint64_t declared);
    /* With part->heritage. A key of which this part has nothing, and the heritage has these bytes:
     * puts into the entry, zero bytes, what it knows by them. */
    freshet_code (*inherit)(void *self, void *entry, const void *bytes, size_t length,
                            freshet_error *err);
    /* With part->succeeds. Appends what this part would have saved of a key of which the other one
     * has saved these bytes. */
    freshet_code (*succeed)(void *self, const void *bytes, size_t length, text_buffer *into,
                            freshet_error *err);
    /* NULL, or, once evolve has been asked: is what was saved of no use any more? Then it is as if
     * it were not there, and goes with the first checkpoint. */
    bool (*begins_anew)(void *self);
    /* NULL, or called with true before and false behind what the checkpoint changes of entries in
     * the table while other threads look at it: for parts that do not belong to one thread. */
    void (*guard)(void *self, bool begins);
} state_part_ops;

typedef enum state_keys {
    STATE_ON_DEMAND, /* keys are looked up in the store when they are needed */
    /* Each saved key is given to state_part_restore before the first batch, and none is ever cold
     * (rows that wait for partners). */
    STATE_RESIDENT
} state_keys;

#define STATE_PIECES_MAX 64u

typedef struct state_part {
    const char *name;     /* unique in its feature set, stable over versions: "windows", "dedup" */
    uint64_t fingerprint; /* of what saved bytes depend on: another one cannot read them */
    const char *shape;    /* the same in words, for the message of a refusal */
    const char *layout;   /* NULL; or what may change with the shape as it is (ops->know) */
    const char *doing;    /* for messages: "remembering the newest row of each key" */
    state_keys keys;
    const state_part_ops *ops;
    keyed_table *table;
    /* NULL: served where the fingerprint is the same, else refused. Or what the changed declaration
     * means for what is kept: before ops->know, the first restore and the first key. evolution.h */
    freshet_code (*evolve)(void *owner, const state_past *past, evolution *out, freshet_error *err);
    void *owner;
    /* NULL, or a part that the declaration has no use for while it has this one, whose keys are the
     * same, and who stays in the store: what it knows of a key goes over to this one with the key's
     * next row (ops->inherit). Its name, fingerprint and shape. */
    const struct state_part *heritage;
    /* NULL, or the name of one that the declaration had instead of this one: where the store has
     * it, all its keys go over at the start (ops->succeed), in the place of this one's. */
    const char *succeeds;
    /* n_pieces 0: the part is whole. Else its keys lie in so many pieces, whole parts with a table
     * and a `self` of their own, and all else alike: a key is in the piece
     * keyed_owner(keyed_hash(its bytes), n_pieces). The part of pieces is a copy of its first one,
     * but that `table` is NULL. The functions for the checkpoint take such a part, and go to the
     * piece that has the key, or to all of them (evolve, too: the verdicts of the first one count);
     * those for the operator are called with the piece. */
    const struct state_part *pieces; /* STATE_PIECES_MAX at most */
    uint32_t n_pieces;
    /* for people: */
    const char *fill_says; /* what shows of a fill, and when */
    const char *const *key_names;
    const type *const *key_types;
    uint32_t n_keys;
    uint32_t key_bytes_max;
} state_part;

/* The part's shape, in words that live as long; its fingerprint is theirs, from `seed`. */
void state_part_describe(state_part *part, const char *shape, uint64_t seed);

/* The same for parts whose saved bytes depend on the types and names of their keys, and on nothing
 * else: "WHAT: name type, name type". `fields`, the keys', live as long as the arena. */
freshet_code state_part_columns(state_part *part, arena *arena, const char *what,
                                const field *fields, uint32_t n_keys, freshet_error *err);

/* ---- for the checkpoint ----------------------------------------------------------------------
 *
 * Of a part of pieces, too. state_key.piece says in which one the key is.
 */

void state_part_set_load(const state_part *part, state_load_fn *load, void *context);
/* Of a part with a heritage, where the store has it; the context is that of load. */
void state_part_set_heritage(const state_part *part, state_load_fn *load);
/* Several at once, which costs less; the context is that of load. */
void state_part_set_load_many(const state_part *part, state_load_many_fn *load_many);
/* Of a part whose keys are brought; the context is that of load. */
void state_part_set_bring(const state_part *part, state_bring_fn *bring);

/* Puts saved bytes in the place of the key's state. Bytes that are refused change nothing. */
freshet_code state_part_restore(const state_part *part, const void *key, size_t key_length,
                                const void *bytes, size_t length, freshet_error *err);

/* Each key that changed since the last clean, once; *cursor begins at 0; false at the end. Several
 * threads may go through ranges of them at the same time, from one place of the list up to another,
 * of state_part_dirty_places in all, and ask what is asked of such keys: save, is_empty, is_saved,
 * listed. */
bool state_part_next_dirty(const state_part *part, uint32_t *cursor, state_key *out);
uint32_t state_part_dirty_places(const state_part *part);
bool state_part_next_dirty_before(const state_part *part, uint32_t *cursor, uint32_t end,
                                  state_key *out);
freshet_code state_part_save(const state_part *part, const state_key *key, text_buffer *into,
                             freshet_error *err);
bool state_part_is_empty(const state_part *part, const state_key *key);
bool state_part_is_saved(const state_part *part, const state_key *key);      /* the store has it */
bool state_part_has(const state_part *part, const void *key, size_t length); /* in memory */
void state_part_touch(const state_part *part, const void *key, size_t length); /* dirty, if so */
void state_part_clean(const state_part *part);

/* A key that is saved and has not been used for the longest, about. False where there is none. */
bool state_part_next_cold(const state_part *part, state_key *out);
void state_part_drop(const state_part *part, const state_key *key); /* not a dirty one */
/* Both, for `most` keys, or as many as there are: how many. */
uint32_t state_part_drop_cold(const state_part *part, uint32_t most);

/* Keys that the store lists by time (ops->listed). They are brought into memory when it comes, or,
 * of a part that tells before which time they are over (ops->over_before), swept away: */
bool state_part_is_listed(const state_part *part);
bool state_part_is_swept(const state_part *part);
bool state_part_listed(const state_part *part, const state_key *key, uint32_t i, int64_t *time);
bool state_part_lists_anew(const state_part *part);
int64_t state_part_over_before(const state_part *part);
int64_t state_part_listed_saved(const state_part *part, const void *bytes, size_t length);

/* A changed declaration (evolution.h); not of a part without `evolve`. */
freshet_code state_part_evolve(const state_part *part, const state_past *past, evolution *out,
                               freshet_error *err);
bool state_part_has_layouts(const state_part *part); /* more than one: ops->know */
freshet_code state_part_know(const state_part *part, const char *layout, freshet_error *err);
bool state_part_begins_anew(const state_part *part);
freshet_code state_part_succeed(const state_part *part, const void *bytes, size_t length,
                                text_buffer *into, freshet_error *err);

/* The past (ops->fill and its like). INT64_MAX and `otherwise` where the part says nothing. */
bool state_part_is_fillable(const state_part *part);
int64_t state_part_fill_until(const state_part *part);
int64_t state_part_fill_newest(const state_part *part, int64_t otherwise);
freshet_code state_part_fill_open(const state_part *part, const char *layout, int64_t newest_us,
                                  freshet_error *err);
freshet_code state_part_fill(const state_part *part, const void *key, size_t key_length,
                             const void *bytes, size_t length, state_fill *out, freshet_error *err);
void state_part_filled(const state_part *part, uint64_t declared);

size_t state_part_bytes(const state_part *part);  /* of memory in use */
uint64_t state_part_keys(const state_part *part); /* in memory */
/* What a checkpoint holds of those that changed since the last clean, as if all keys were alike:
 * as much as memory does; more of short ones, and those that are listed are there twice. */
size_t state_part_bytes_changed(const state_part *part);

/* Bytes of a key as JSON, for `freshet state inspect`; FRESHET_FAILED for damaged ones. */
freshet_code state_part_inspect(const state_part *part, const void *key, size_t key_length,
                                const void *bytes, size_t length, text_buffer *into,
                                freshet_error *err);

/* ---- for the operator ------------------------------------------------------------------------ */

/* The number of the key: from memory, else from the store, else a new one (*is_new) whose entry is
 * zero bytes, but for what it inherits. A failure adds nothing. */
freshet_code state_part_find(const state_part *part, uint32_t tag, const void *key, size_t length,
                             uint32_t *index, bool *is_new, freshet_error *err);

/* Brings the keys of the chunk's rows from the store that keyed_chunk_prefetch has found no entry
 * for, all at once. (Not needed, and then state_part_find_row brings them one by one.) */
freshet_code state_part_fetch(const state_part *part, keyed_chunk *chunk, uint32_t n,
                              const void *const *entries, freshet_error *err);

/* One that is not in memory. */
freshet_code state_part_find_outside(const state_part *part, const keyed_chunk *chunk, uint32_t i,
                                     uint32_t *index, bool *is_new, freshet_error *err);

/* The same as state_part_find of the chunk's row i; no call for a key in memory. */
static inline freshet_code state_part_find_row(const state_part *part, const keyed_chunk *chunk,
                                               uint32_t i, uint32_t *index, bool *is_new,
                                               freshet_error *err)
{
    *is_new = false;
    *index = keyed_find(part->table, chunk->rows[i].tag, keyed_chunk_key(chunk, i),
                        chunk->rows[i].length);
    return *index != KEY_NONE ? FRESHET_OK
                              : state_part_find_outside(part, chunk, i, index, is_new, err);
}

/* Brings keys into memory that are listed up to that time, `most` at most: *n counts them, those
 * among them that were there already; 0 where no more are to come. Each is brought once: it must
 * not leave before its time is dealt with (ops->is_needed). */
freshet_code state_part_bring(const state_part *part, int64_t until, uint32_t most, uint32_t *n,
                              freshet_error *err);

/* The key holds nothing any more: it goes at once, or, where the store has bytes of it, at the next
 * clean. */
void state_part_forget(const state_part *part, uint32_t index);

#endif
