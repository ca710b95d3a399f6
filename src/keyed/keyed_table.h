/* keyed_table.h - one table for all that is remembered by key.
 *
 * A key is bytes (keyed/cells.h makes them of columns). What is remembered of it is an entry: a
 * struct of the user's that begins with a keyed_entry, of a size that is said at open. An entry has
 * a number, and stays where it is until it is dropped: pointers and numbers may be kept.
 *
 *   slots   [tag, number] [free] [tag, number] ...    key_slots.h
 *   pages   [entry entry entry ...] [entry ...]       1,024 entries each, on a line of the cache
 *   dirty   [number, number, ...]                     keys that changed since the last keyed_clean
 *
 * Up to KEYED_INLINE_MAX bytes of key stand in the entry itself, longer ones in a piece of memory
 * of their own (or, with `borrows`, where the user has them, who keeps them there until the key is
 * dropped). The number of a dropped entry is used again; no earlier than at the next keyed_clean
 * where the entry was dirty, so that each number is at most once in the list.
 *
 * COLD KEYS. A clock hand goes over the entries: it takes the next one that is clean and was not
 * touched since it came by. That is nearly the one that was not used for the longest, at the cost
 * of one bit.
 *
 * MANY ROWS. At a million keys each lookup is two cache misses in a row, slot and entry. So a batch
 * is taken in chunks: keyed_chunk_fill encodes and hashes all keys and asks for their slots,
 * keyed_chunk_prefetch for their entries, and the user for what hangs at these; then the rows are
 * looked up one by one, and find all in the cache. The hash is computed once a row.
 *
 * A table belongs to one thread, and to one instance: nothing of it is shared. Its low 32 bits of
 * the hash are the tag; who spreads keys over several instances takes the high ones (keyed_owner).
 *
 * Order of calls: keyed_open; keyed_track before the first key, where somebody is to ask for dirty
 * keys; the rest in any order; keyed_close. What fails for want of memory leaves the table whole.
 */
#ifndef FRESHET_KEYED_KEYED_TABLE_H
#define FRESHET_KEYED_KEYED_TABLE_H

#include <freshet/freshet.h>

#include <assert.h>

#include "base/batch.h"
#include "base/text.h"
#include "keyed/key_slots.h"

#define KEYED_INLINE_MAX 16u
#define KEYED_KEY_BYTES_MAX ((1u << 27) - 1)
#define KEYED_PAGE_ENTRIES 1024u
#define KEYED_KEYS_MAX (UINT32_MAX - KEYED_PAGE_ENTRIES)
#define KEYED_CHUNK_ROWS 256u
#define KEYED_LINE 64u /* of the cache */
#define KEYED_ENTRY_BYTES \
    24u /* of an entry with nothing behind its keyed_entry: keys that are only numbered */

/* How an entry begins. 20 bytes, so that four of the user's fill it up. */
typedef struct keyed_entry {
    unsigned char
        key[KEYED_INLINE_MAX]; /* or its address; of a free entry the number of the next */
    unsigned length : 27;
    unsigned used : 1;
    unsigned outside : 1; /* key holds an address */
    unsigned dirty : 1;   /* in the list */
    unsigned touched : 1; /* since the hand came by */
    unsigned saved : 1;   /* the store has bytes of it (state_part.h) */
} keyed_entry;

_Static_assert(sizeof(keyed_entry) == 20, "a keyed_entry leaves room for four bytes");

/* Looks a key up in the store: appends its bytes, or FRESHET_END where there are none
 * (state_part.h). */
typedef freshet_code state_load_fn(void *context, const void *key, size_t key_length,
                                   text_buffer *into, freshet_error *err);

/* A key of a part; `bytes` are valid until the part's next batch, restore or drop. */
typedef struct state_key {
    const void *bytes;
    size_t length;
    uint32_t index; /* its number in the table */
    uint32_t piece; /* in whose table, of a part of pieces (state_part.h); else 0 */
} state_key;

/* Several at once: gives each that the store has to `loaded`, by its place among the keys. */
typedef freshet_code state_loaded_fn(void *into, uint32_t i, const void *bytes, size_t length,
                                     freshet_error *err);
typedef freshet_code state_load_many_fn(void *context, const state_key *keys, uint32_t n,
                                        state_loaded_fn *loaded, void *into, freshet_error *err);

/* Restores listed keys of a piece up to the time, the earliest first, `most` at most, each once: *n
 * of them; 0 where there are no more (state_part.h). */
typedef freshet_code state_bring_fn(void *context, uint32_t piece, int64_t until, uint32_t most,
                                    uint32_t *n, freshet_error *err);

typedef struct keyed_options {
    memory *memory;       /* of the instance, for all that the table takes */
    uint32_t entry_bytes; /* a multiple of 8 */
    bool borrows;         /* key bytes stay where they are given, until keyed_drop */
    /* Gives back what hangs at an entry that is dropped; NULL: nothing does. */
    void (*release)(void *self, void *entry);
    void *self;
} keyed_options;

/* To be read by its user; written by the functions below only. */
typedef struct keyed_table {
    keyed_options options;
    key_slots slots;
    unsigned char **pages;
    uint32_t n_pages;
    uint32_t pages_capacity;
    uint32_t n_entries;  /* that were ever used: numbers are below it */
    uint32_t free_entry; /* the first of the free ones, or KEY_NONE */
    uint32_t hand;
    uint32_t n_dirty;
    uint32_t dirty_capacity;
    uint32_t *dirty;
    bool is_tracked;
    state_load_fn *load; /* see state_part.h */
    state_load_fn *load_heritage;
    state_load_many_fn *load_many;
    state_bring_fn *bring;
    void *load_context;
    uint32_t piece; /* whose table it is, of a part of pieces; else 0 */
} keyed_table;

/* FRESHET_LIMIT and the like cannot come: false where memory is out. */
bool keyed_open(keyed_table *table, const keyed_options *options);
void keyed_close(keyed_table *table); /* releases all entries; zero bytes are fine */

/* From now on changes are kept in a list for keyed_next_dirty. There are no keys yet. */
void keyed_track(keyed_table *table);

/* ---- keys ---------------------------------------------------------------------------------- */

static inline uint64_t keyed_hash(const void *key, size_t length)
{
    return hash_bytes(key, length, 0);
}

/* Whose key that is, where n instances have the keys among them: from 0 to n - 1. By the high half
 * of the hash, so that the tags of an instance's keys are as spread as those of all. */
static inline uint32_t keyed_owner(uint64_t hash, uint32_t n)
{
    return (uint32_t)(((hash >> 32) * n) >> 32);
}

/* The entry of that number. */
static inline void *keyed_at(const keyed_table *table, uint32_t index)
{
    return table->pages[index / KEYED_PAGE_ENTRIES] +
           (size_t)(index % KEYED_PAGE_ENTRIES) * table->options.entry_bytes;
}

static inline const unsigned char *keyed_key(const keyed_entry *entry)
{
    const unsigned char *key = entry->key;
    if (entry->outside)
        memcpy(&key, entry->key, sizeof key);
    return key;
}

/* The number of a key, KEY_NONE where it is not there; *at: its slot, or where it would be. */
static inline uint32_t keyed_find_at(const keyed_table *table, uint32_t tag, const void *key,
                                     size_t length, uint64_t *at)
{
    uint32_t index;
    for (*at = tag; (index = key_slots_match(&table->slots, tag, at)) != KEY_NONE; (*at)++) {
        const keyed_entry *entry = keyed_at(table, index);
        if (entry->length == length && memcmp(keyed_key(entry), key, length) == 0)
            break;
    }
    return index;
}

static inline uint32_t keyed_find(const keyed_table *table, uint32_t tag, const void *key,
                                  size_t length)
{
    uint64_t at;
    return keyed_find_at(table, tag, key, length, &at);
}

/* Room for `more` keys, so that adding so many cannot fail where keys are borrowed or short. */
bool keyed_reserve(keyed_table *table, uint64_t more);

/* Adds a key that is not there: its number; what the user has behind the keyed_entry is zero bytes.
 * KEY_NONE where memory (or KEYED_KEYS_MAX) is out. */
uint32_t keyed_add(keyed_table *table, uint32_t tag, const void *key, size_t length);

/* The key's bytes, borrowed, lie elsewhere now. */
void keyed_move_key(keyed_table *table, uint32_t index, const void *key);

void keyed_drop(keyed_table *table, uint32_t index);

/* The number of the next entry from *cursor on, which begins at 0, in the order of their numbers;
 * KEY_NONE at the end. Entries may be dropped and added on the way. */
uint32_t keyed_next(const keyed_table *table, uint32_t *cursor);

static inline uint64_t keyed_count(const keyed_table *table)
{
    return table->slots.n_keys;
}

/* ---- what changed, and what is cold ---------------------------------------------------------- */

/* Cannot fail: the list has room for all entries. */
static inline void keyed_mark_dirty(keyed_table *table, uint32_t index)
{
    keyed_entry *entry = keyed_at(table, index);
    entry->touched = 1;
    if (entry->dirty || !table->is_tracked)
        return;
    entry->dirty = 1;
    table->dirty[table->n_dirty++] = index;
}

/* Each dirty key once; *cursor begins at 0; KEY_NONE at the end. */
uint32_t keyed_next_dirty(const keyed_table *table, uint32_t *cursor);

/* No key is dirty any more. */
void keyed_clean(keyed_table *table);

/* The next cold key; KEY_NONE where there is none. is_needed (or NULL) tells which are none
 * although nobody asked for them. */
uint32_t keyed_next_cold(keyed_table *table, bool (*is_needed)(void *self, uint32_t index));

/* ---- figures ------------------------------------------------------------------------------- */

/* Bytes that the table holds: slots, pages and lists, without long keys. */
size_t keyed_table_bytes(const keyed_table *table);

/* Bytes of memory in use, by all that takes of options.memory: for the table what its keys take,
 * not what it holds for more of them. Falls when keys are dropped. */
size_t keyed_bytes(const keyed_table *table);

/* ---- many rows ----------------------------------------------------------------------------- */

typedef struct keyed_chunk {
    text_buffer bytes;                     /* text_init before use, text_release after it */
    uint64_t asked[KEYED_CHUNK_ROWS / 64]; /* a bit a row: the store was asked for its key */
    struct {
        uint32_t tag;
        uint32_t begin;
        uint32_t
            length; /* of a key longer than the most: more than that, and its bytes are not there */
    } rows[KEYED_CHUNK_ROWS];
} keyed_chunk;

static inline bool keyed_chunk_was_asked(const keyed_chunk *chunk, uint32_t i)
{
    return (chunk->asked[i / 64] >> i % 64 & 1) != 0;
}

static inline const char *keyed_chunk_key(const keyed_chunk *chunk, uint32_t i)
{
    return chunk->bytes.bytes + chunk->rows[i].begin;
}

/* Encodes and hashes the keys of rows [from, from + n), n up to KEYED_CHUNK_ROWS, and asks for
 * their slots. False where memory is out (or the buffer's limit passed). */
bool keyed_chunk_fill(keyed_chunk *chunk, const keyed_table *table, const column *keys,
                      uint32_t n_keys, uint32_t from, uint32_t n, uint32_t key_bytes_max);

/* The same of the n rows with these numbers. */
bool keyed_chunk_fill_rows(keyed_chunk *chunk, const keyed_table *table, const column *keys,
                           uint32_t n_keys, const uint32_t *rows, uint32_t n,
                           uint32_t key_bytes_max);

/* Asks for the entries that are probably theirs: entries[i], or NULL. For prefetching only. */
void keyed_chunk_prefetch(const keyed_chunk *chunk, const keyed_table *table, uint32_t n,
                          const void **entries);

/* What is wrong with the structure, in a few words; NULL where all is well. */
const char *keyed_check(const keyed_table *table);

#endif
