/* keyed_table.c - see keyed_table.h. Of a page, the byte before its first entry says how far that
 * is from what malloc gave. */
#include "keyed/keyed_table.h"

#include "keyed/cells.h"

#define CLEANED_AT_ONCE 32u
#define SLOT_BYTES (2 * sizeof(key_slot)) /* of a key, about */

static size_t page_bytes(const keyed_table *table)
{
    return (size_t)KEYED_PAGE_ENTRIES * table->options.entry_bytes + KEYED_LINE;
}

bool keyed_open(keyed_table *table, const keyed_options *options)
{
    assert(options->entry_bytes >= sizeof(keyed_entry) && options->entry_bytes % 8 == 0);
    *table = (keyed_table){.options = *options, .free_entry = KEY_NONE};
    return key_slots_reserve(&table->slots, options->memory, 1);
}

/* Gives back what hangs at the entry. */
static void release_entry(const keyed_table *table, keyed_entry *entry)
{
    const keyed_options *options = &table->options;
    if (options->release != NULL)
        options->release(options->self, entry);
    if (entry->outside && !options->borrows)
        memory_give(options->memory, keyed_key(entry), entry->length);
}

void keyed_close(keyed_table *table)
{
    memory *memory = table->options.memory;
    if (memory == NULL)
        return;
    for (uint32_t cursor = 0, index; (index = keyed_next(table, &cursor)) != KEY_NONE;)
        release_entry(table, keyed_at(table, index));
    for (uint32_t i = 0; i < table->n_pages; i++)
        memory_give(memory, table->pages[i] - table->pages[i][-1], page_bytes(table));
    memory_give(memory, table->pages, table->pages_capacity * sizeof *table->pages);
    memory_give(memory, table->dirty, table->dirty_capacity * sizeof *table->dirty);
    key_slots_release(&table->slots, memory);
    *table = (keyed_table){0};
}

void keyed_track(keyed_table *table)
{
    assert(table->n_entries == 0);
    table->is_tracked = true;
}

/* ---- keys ---------------------------------------------------------------------------------- */

static bool add_page(keyed_table *table)
{
    memory *memory = table->options.memory;
    const uint64_t n_entries = ((uint64_t)table->n_pages + 1) * KEYED_PAGE_ENTRIES;
    if (!memory_reserve(memory, &table->pages, &table->pages_capacity, table->n_pages + UINT64_C(1),
                        sizeof *table->pages) ||
        (table->is_tracked && !memory_reserve(memory, &table->dirty, &table->dirty_capacity,
                                              n_entries, sizeof *table->dirty)))
        return false;
    unsigned char *page = memory_take(memory, page_bytes(table));
    if (page == NULL)
        return false;
    const size_t ahead = KEYED_LINE - (uintptr_t)page % KEYED_LINE;
    page += ahead;
    page[-1] = (unsigned char)ahead;
    table->pages[table->n_pages++] = page;
    return true;
}

bool keyed_reserve(keyed_table *table, uint64_t more)
{
    const uint64_t n = (table->is_tracked ? table->n_entries : keyed_count(table)) + more;
    if (n > KEYED_KEYS_MAX)
        return false;
    while ((uint64_t)table->n_pages * KEYED_PAGE_ENTRIES < n)
        if (!add_page(table))
            return false;
    return key_slots_reserve(&table->slots, table->options.memory, keyed_count(table) + more);
}

/* The address of a key that lies outside stands in the entry. */
static void put_address(keyed_entry *entry, const void *key)
{
    memcpy(entry->key, &key, sizeof key);
}

uint32_t keyed_add(keyed_table *table, uint32_t tag, const void *key, size_t length)
{
    const keyed_options *options = &table->options;
    const bool outside = length > KEYED_INLINE_MAX;
    assert(length <= KEYED_KEY_BYTES_MAX);
    if (!key_slots_reserve(&table->slots, options->memory, keyed_count(table) + 1) ||
        (table->free_entry == KEY_NONE && !keyed_reserve(table, 1)))
        return KEY_NONE;
    if (outside && !options->borrows) {
        void *copy = memory_take(options->memory, length);
        if (copy == NULL)
            return KEY_NONE;
        key = memcpy(copy, key, length);
    }
    const uint32_t index = table->free_entry == KEY_NONE ? table->n_entries : table->free_entry;
    keyed_entry *entry = keyed_at(table, index);
    if (table->free_entry == KEY_NONE)
        table->n_entries++;
    else
        memcpy(&table->free_entry, entry->key, sizeof table->free_entry);
    memset(entry, 0, options->entry_bytes);
    entry->length = (unsigned)length & KEYED_KEY_BYTES_MAX;
    entry->used = entry->touched = 1;
    entry->outside = outside;
    if (outside)
        put_address(entry, key);
    else if (length > 0)
        memcpy(entry->key, key, length);
    uint64_t at = tag;
    while (key_slots_match(&table->slots, tag, &at) != KEY_NONE)
        at++;
    key_slots_put(&table->slots, at, tag, index);
    return index;
}

void keyed_move_key(keyed_table *table, uint32_t index, const void *key)
{
    keyed_entry *entry = keyed_at(table, index);
    assert(table->options.borrows);
    if (entry->outside)
        put_address(entry, key);
}

static void free_index(keyed_table *table, uint32_t index)
{
    keyed_entry *entry = keyed_at(table, index);
    memcpy(entry->key, &table->free_entry, sizeof table->free_entry);
    table->free_entry = index;
}

void keyed_drop(keyed_table *table, uint32_t index)
{
    keyed_entry *entry = keyed_at(table, index);
    const unsigned char *key = keyed_key(entry);
    uint64_t at;
    const uint32_t found =
        keyed_find_at(table, (uint32_t)keyed_hash(key, entry->length), key, entry->length, &at);
    assert(entry->used && found == index);
    key_slots_remove(&table->slots, at);
    release_entry(table, entry);
    *entry = (keyed_entry){.dirty = entry->dirty};
    if (!entry->dirty)
        free_index(table, index);
}

uint32_t keyed_next(const keyed_table *table, uint32_t *cursor)
{
    for (; *cursor < table->n_entries; (*cursor)++)
        if (((const keyed_entry *)keyed_at(table, *cursor))->used)
            return (*cursor)++;
    return KEY_NONE;
}

/* ---- what changed, and what is cold ---------------------------------------------------------- */

uint32_t keyed_next_dirty(const keyed_table *table, uint32_t *cursor)
{
    while (*cursor < table->n_dirty) {
        const uint32_t index = table->dirty[(*cursor)++];
        if (((const keyed_entry *)keyed_at(table, index))->used)
            return index;
    }
    return KEY_NONE;
}

void keyed_clean(keyed_table *table)
{
    for (uint32_t i = 0; i < table->n_dirty; i++) {
        keyed_entry *entry = keyed_at(table, table->dirty[i]);
        for (uint32_t k = i; i % CLEANED_AT_ONCE == 0 && k < i + CLEANED_AT_ONCE; k++)
            if (k < table->n_dirty)
                memory_touch(keyed_at(table, table->dirty[k]));
        entry->dirty = 0;
        if (!entry->used)
            free_index(table, table->dirty[i]);
    }
    table->n_dirty = 0;
}

uint32_t keyed_next_cold(keyed_table *table, bool (*is_needed)(void *self, uint32_t index))
{
    for (uint64_t steps = 0; steps < 2 * (uint64_t)table->n_entries; steps++) {
        const uint32_t index = table->hand;
        table->hand = index + 1 >= table->n_entries ? 0 : index + 1;
        keyed_entry *entry = keyed_at(table, index);
        const bool touched = entry->touched;
        entry->touched = 0;
        if (!touched && entry->used && !entry->dirty &&
            (is_needed == NULL || !is_needed(table->options.self, index)))
            return index;
    }
    return KEY_NONE;
}

/* ---- figures ------------------------------------------------------------------------------- */

size_t keyed_table_bytes(const keyed_table *table)
{
    return table->slots.n_slots * sizeof(key_slot) + table->pages_capacity * sizeof *table->pages +
           table->n_pages * page_bytes(table) + table->dirty_capacity * sizeof *table->dirty;
}

size_t keyed_bytes(const keyed_table *table)
{
    return table->options.memory->bytes - keyed_table_bytes(table) +
           keyed_count(table) * (table->options.entry_bytes + SLOT_BYTES);
}

const char *keyed_check(const keyed_table *table)
{
    uint32_t cursor = 0, index, n_dirty = 0;
    uint64_t n = 0;
    for (; (index = keyed_next(table, &cursor)) != KEY_NONE; n++) {
        const keyed_entry *entry = keyed_at(table, index);
        const unsigned char *key = keyed_key(entry);
        if (keyed_find(table, (uint32_t)keyed_hash(key, entry->length), key, entry->length) !=
            index)
            return "the slot of the key";
        n_dirty += entry->dirty;
    }
    return n != keyed_count(table) || n_dirty > table->n_dirty ? "the counts of keys" : NULL;
}

/* ---- many rows ----------------------------------------------------------------------------- */

/* Rows [from, from + n), or the n rows with the numbers `rows`. */
static inline __attribute__((always_inline)) bool
fill_chunk(keyed_chunk *chunk, const keyed_table *table, const column *keys, uint32_t n_keys,
           uint32_t from, const uint32_t *rows, uint32_t n, uint32_t key_bytes_max)
{
    text_buffer *bytes = &chunk->bytes;
    memset(chunk->asked, 0, sizeof chunk->asked);
    text_reset(bytes);
    text_append_char(bytes, 0); /* so that there is a buffer without key columns, too */
    for (uint32_t i = 0; i < n; i++) {
        const size_t begin = bytes->length;
        for (uint32_t k = 0; k < n_keys; k++)
            cells_put(bytes, &keys[k], rows == NULL ? from + i : rows[i], true);
        if (bytes->failed)
            return false;
        const size_t length = bytes->length - begin;
        const uint32_t tag = (uint32_t)keyed_hash(bytes->bytes + begin, length);
        chunk->rows[i].tag = tag;
        chunk->rows[i].begin = (uint32_t)begin;
        chunk->rows[i].length = (uint32_t)length;
        key_slots_prefetch(&table->slots, tag);
        if (length > key_bytes_max) /* its bytes are not needed any more */
            bytes->length = begin;
    }
    return true;
}

bool keyed_chunk_fill(keyed_chunk *chunk, const keyed_table *table, const column *keys,
                      uint32_t n_keys, uint32_t from, uint32_t n, uint32_t key_bytes_max)
{
    return fill_chunk(chunk, table, keys, n_keys, from, NULL, n, key_bytes_max);
}

bool keyed_chunk_fill_rows(keyed_chunk *chunk, const keyed_table *table, const column *keys,
                           uint32_t n_keys, const uint32_t *rows, uint32_t n,
                           uint32_t key_bytes_max)
{
    return fill_chunk(chunk, table, keys, n_keys, 0, rows, n, key_bytes_max);
}

void keyed_chunk_prefetch(const keyed_chunk *chunk, const keyed_table *table, uint32_t n,
                          const void **entries)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = chunk->rows[i].tag;
        const uint32_t index = key_slots_match(&table->slots, chunk->rows[i].tag, &at);
        entries[i] = index == KEY_NONE ? NULL : keyed_at(table, index);
        if (entries[i] != NULL)
            memory_touch(entries[i]);
    }
}
