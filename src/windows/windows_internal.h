/* windows_internal.h - between windows_state.c, windows_history.c and windows_bytes.c: the state,
 * and a key's entry. */
#ifndef FRESHET_WINDOWS_WINDOWS_INTERNAL_H
#define FRESHET_WINDOWS_WINDOWS_INTERNAL_H

#include "keyed/state_part.h"
#include "windows/events.h"
#include "windows/expiry.h"
#include "windows/fullness.h"
#include "windows/known_layouts.h"
#include "windows/windows_state.h"

/* One cache line. Of a key that is filling (events.is_filling) its record (fullness.h) stands in
 * front of the carried cells, in the same piece of memory; and with options.expires the second of
 * its last expiry behind them (given_of). */
typedef struct key_entry {
    keyed_entry head;
    uint32_t carried_length;
    events events;
    int64_t newest_us;    /* event time of the newest row */
    uint32_t revision;    /* events applied since the newest second last moved */
    uint32_t newest_back; /* events of the newest second that arrived after the newest row */
    unsigned char *piece; /* carried_of, fullness_at */
} key_entry;

_Static_assert(sizeof(key_entry) == KEYED_LINE, "a key's entry fills one cache line");

struct windows_state {
    const windows_plan *plan;
    windows_options options;
    int64_t hold_s;
    int64_t settled_s; /* rows before it are late: what follows from them went out */
    expiry expiry;     /* of keys in memory */
    int64_t wanted_s;  /* up to which keys are to expire */
    int64_t brought_s; /* up to which those that the store lists have been brought */
    bool lists_anew;
    size_t given_bytes; /* of a key's piece, for given_of */
    memory memory;
    walker walker;

    keyed_table keys;
    state_part part;
    uint64_t n_events;
    uint64_t late_rows;

    windows_inherit_fn *inherit; /* NULL: nothing is inherited */
    known_layouts known;
    int64_t begun;     /* of keys that are not there nothing before it is known; or FULL_ALWAYS */
    int64_t was_begun; /* the same, of which all is known since the windows were filled */
    kept_layout *filling; /* of the bytes that windows_fill is given */
    int64_t past_newest;  /* the newest second of the past that these are of */
    uint32_t *again;      /* keys that were filled, whose newest rows are to be given again */
    uint32_t n_again, again_capacity, again_taken;
    size_t record_bytes; /* of a fullness */

    const void **cells;  /* one a slot of the plan */
    text_buffer carried; /* carried cells */
    keyed_chunk chunk;
};

static inline size_t record_bytes_of(const windows_state *state, const key_entry *entry)
{
    return entry->events.is_filling ? state->record_bytes : 0;
}

static inline unsigned char *carried_of(const windows_state *state, const key_entry *entry)
{
    return entry->piece + record_bytes_of(state, entry);
}

static inline size_t piece_bytes_of(const windows_state *state, const key_entry *entry)
{
    return entry->piece == NULL
               ? 0
               : record_bytes_of(state, entry) + entry->carried_length + state->given_bytes;
}

/* The second that the key was given last for, since it had lost events; INT64_MIN: none. */
static inline int64_t given_of(const windows_state *state, const key_entry *entry)
{
    int64_t given_s = INT64_MIN;
    if (entry->piece != NULL && state->given_bytes > 0)
        memcpy(&given_s, carried_of(state, entry) + entry->carried_length, sizeof given_s);
    return given_s;
}

static inline void set_given(const windows_state *state, key_entry *entry, int64_t given_s)
{
    if (state->given_bytes > 0)
        memcpy(carried_of(state, entry) + entry->carried_length, &given_s, sizeof given_s);
}

/* Of a key that is filling. */
static inline fullness *fullness_at(const key_entry *entry)
{
    return (fullness *)(void *)entry->piece;
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

/* A result of so many rows, none refreshed; and a row of it that is refused, whose outputs stand at
 * row `at`. */
freshet_code make_result(const windows_plan *plan, uint32_t n_rows, arena *arena,
                         windows_result *result, freshet_error *err);
freshet_code refuse_row(const windows_plan *plan, arena *arena, windows_result *result,
                        uint32_t row, uint32_t at, uint8_t why, freshet_error *err);

/* Of so many rows, none there yet. The key as row out->n, its windows ending at that second, and so
 * its time; the write timestamp loses to all rows of it. */
freshet_code windows_make_expired(const windows_plan *plan, uint32_t most, arena *arena,
                                  windows_expired *out, freshet_error *err);
freshet_code windows_put_key(windows_state *state, const key_entry *entry, int64_t second,
                             arena *arena, windows_expired *out, freshet_error *err);

/* Gives back what hangs at an entry. */
void windows_release(void *self, void *released);

/* Gives the key's piece of memory room for so many carried bytes, and a record where `fills` says
 * so. What was there of a record stays, and the second of the last expiry. False where memory is
 * out. */
bool windows_take_piece(windows_state *state, key_entry *entry, bool fills, size_t carried_length);

/* windows_known.c: sets the plan's own layout; notes another one (state_part_ops.know), which may
 * make the plan another one. (windows_evolve is there, too.) */
freshet_code windows_open_layout(windows_state *state, freshet_error *err);
freshet_code windows_know(void *self, const char *layout, freshet_error *err);
/* windows_bytes.c: as state_part_ops wants them. */
freshet_code windows_save(void *self, const void *saved, text_buffer *into, freshet_error *err);
freshet_code windows_restore(void *self, const state_key *key, void *restored, const void *bytes,
                             size_t length, freshet_error *err);
freshet_code windows_inspect(void *self, arena *arena, const void *bytes, size_t length,
                             text_buffer *into, freshet_error *err);

/* Rows of that second and later may still come to a key whose newest is of second `newest_s`. */
int64_t windows_horizon(const windows_state *state, int64_t newest_s);
bool windows_placed(void *self, uint32_t index);

/* windows_fill.c: as state_part_ops wants them. */
freshet_code windows_fill_open(void *self, const char *layout, int64_t newest_us,
                               freshet_error *err);
freshet_code windows_fill(void *self, uint32_t index, bool is_new, const void *bytes, size_t length,
                          state_fill *out, freshet_error *err);
void windows_filled(void *self, uint64_t declared);
freshet_code windows_inherit(void *self, void *inherited, const void *bytes, size_t length,
                             freshet_error *err);
/* The key had no past that the fill knows, and so has none. */
bool windows_is_filled(const windows_state *state, const key_entry *entry);

#endif
