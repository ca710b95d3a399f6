/* joined_internal.h - what joined.c and joined_rows.c share. No other file includes it.
 *
 * joined_rows.c keeps the rows of each key: two lists, one a side, each in the order of (time,
 * number), where the number tells in which order rows came. Of each list the first row stands in
 * the side's heap of what is due next; who takes rows out passes over what is not a first row any
 * more.
 */
#ifndef FRESHET_FEATURES_JOINED_INTERNAL_H
#define FRESHET_FEATURES_JOINED_INTERNAL_H

#include "base/memory.h"
#include "features/joined.h"
#include "features/lanes.h"
#include "keyed/keyed_table.h"

#define JOINING "joining two streams"
#define JOINED_KEY_BYTES_MAX 65536u
#define JOINED_ROWS_OF_KEY_MAX (1u << 20) /* of one side */
#define JOINED_ROW_BYTES_MAX ((size_t)1 << 27)

/* A row as bytes: where its places are kept i64 offset, u32 length and the partition's name; then
 * the cells of the columns that are used. */
typedef struct held_row {
    int64_t us;
    uint64_t number;
    unsigned char *bytes;
    uint32_t length;
    bool matched; /* it has had a partner */
} held_row;

typedef struct held_list {
    held_row *rows;
    uint32_t first, n, capacity; /* rows[first] to rows[first + n - 1] */
} held_list;

typedef struct held_key {
    keyed_entry head;
    uint32_t unused;
    held_list lists[2];
} held_key;

_Static_assert(sizeof(held_key) % 8 == 0, "entries are a multiple of 8 bytes");

typedef struct held_due {
    int64_t us;
    uint64_t number;
    uint32_t key;
} held_due;

typedef struct held_heap {
    held_due *items;
    uint32_t n, capacity;
} held_heap;

/* Bytes of a row that is held no more, but goes out. */
typedef struct held_bytes {
    unsigned char *bytes;
    uint32_t length;
} held_bytes;

typedef struct joined_output {
    held_bytes rows[2]; /* bytes NULL: none on that side */
    uint64_t ordinal;   /* of the row that made it go */
    uint32_t cause;     /* in joined.causes; CAUSE_HELD: it is the row that waited */
    uint32_t key;       /* of the outer row, ... */
    int64_t us;         /* ... its time and number: to mark it */
    uint64_t number;
} joined_output;

#define CAUSE_HELD UINT32_MAX

/* From this row of the take on the sides have these watermarks. */
typedef struct joined_step {
    uint64_t ordinal;
    int64_t low_us[2];
} joined_step;

struct joined {
    joined_options options;
    arena *arena;
    event_time times[2];
    bool keeps_place[2];
    memory memory;
    keyed_table keys;
    held_heap due[2];
    state_part part;
    lanes lanes[2];
    int64_t low_us[2]; /* no row of that side comes before it */
    int64_t opened_us; /* of the monotonic clock */
    int64_t told_s, was_told_s;
    uint64_t next_number;
    uint64_t n_rows, n_dropped;
    /* of the take */
    text_buffer key, row;
    joined_step *steps;
    uint32_t n_steps, steps_capacity;
    joined_output *pairs; /* found */
    uint32_t n_pairs, pairs_capacity;
    joined_output *outputs; /* what is owed */
    uint32_t n_outputs, outputs_capacity, n_given;
    joined_place *causes;
    uint32_t n_causes, causes_capacity;
    held_bytes *gone; /* to be given back when all is given */
    uint32_t n_gone, gone_capacity;
};

static inline held_key *held_at(const joined *joined, uint32_t index)
{
    return keyed_at(&joined->keys, index);
}

static inline held_row *held_first(const held_list *list)
{
    return list->n == 0 ? NULL : &list->rows[list->first];
}

/* The number of the first row of a list that is not before (us, number). */
uint32_t held_find(const held_list *list, int64_t us, uint64_t number);

/* Puts a row with a copy of its bytes into the key's list; *added: the copy. */
freshet_code held_add(joined *joined, uint32_t index, uint32_t side, int64_t us,
                      const text_buffer *bytes, held_row *added, freshet_error *err);

/* Takes the first row of the key's list out; its bytes are the caller's. */
freshet_code held_take_first(joined *joined, uint32_t index, uint32_t side, held_row *out,
                             freshet_error *err);

/* The key whose first row of that side is the earliest, where its time is before `before_us`;
 * KEY_NONE: there is none. */
uint32_t held_next(joined *joined, uint32_t side, int64_t before_us);

freshet_code held_open(joined *joined, freshet_error *err);
void held_close(joined *joined);

/* Reads a row's place, where it has one, and moves to its cells. */
freshet_code held_place(const joined *joined, uint32_t side, arena *arena, const unsigned char **at,
                        const unsigned char *end, joined_place *out, freshet_error *err);

#endif
