/* windows_internal.h - between windows_state.c, windows_history.c and windows_bytes.c: a key's entry, and the
 * table of entries. */
#ifndef FRESHET_WINDOWS_WINDOWS_INTERNAL_H
#define FRESHET_WINDOWS_WINDOWS_INTERNAL_H

#include "windows/events.h"
#include "windows/windows_state.h"

#define KEY_INLINE_MAX 16u

enum { KEY_USED = 1, KEY_DIRTY = 2, KEY_TOUCHED = 4 };

/* One cache line. */
typedef struct key_entry {
    union {
        unsigned char inlined[KEY_INLINE_MAX];
        unsigned char *bytes;
        uint32_t next_free;
    } key;
    events events;
    int64_t newest_us;    /* event time of the newest row */
    uint32_t revision;    /* events applied since the newest second last moved */
    uint32_t newest_back; /* events of the newest second that arrived after the newest row */
    unsigned char *carried;
    uint32_t carried_length;
    uint16_t key_length;
    uint16_t flags;
} key_entry;

_Static_assert(sizeof(key_entry) == 64, "a key's entry fills one cache line");

static inline const unsigned char *key_bytes(const key_entry *entry)
{
    return entry->key_length <= KEY_INLINE_MAX ? entry->key.inlined : entry->key.bytes;
}

static inline int64_t second_of(int64_t event_us)
{
    return event_us / 1000000 - (event_us % 1000000 < 0);
}

/* The write timestamps of rows that are their key's newest, and of others. */
static inline int64_t write_time(int64_t second, uint32_t revision)
{
    int64_t write_us;
    if (__builtin_mul_overflow(second, INT64_C(1000000), &write_us))
        return INT64_MIN;
    int64_t step = revision < 999999 ? revision : 999999;
    return write_us > INT64_MAX - step ? INT64_MAX : write_us + step;
}

/* Columns of these types, with room for `capacity` rows. */
freshet_code make_columns(arena *arena, const schema *schema, uint64_t capacity, column **out,
                          freshet_error *err);

/* The cells of a row as events_insert wants them; `cells` has room for the plan's slots. */
void gather_cells(const windows_plan *plan, const column *columns, uint64_t row,
                  const void **cells);

/* windows_bytes.c */
freshet_code entry_save(const walker *walker, const key_entry *entry, text_buffer *into,
                        freshet_error *err);
/* Fills an entry without events; on failure it stays so. */
freshet_code entry_restore(walker *walker, key_entry *entry, const void *bytes, size_t length,
                           freshet_error *err);

#endif
