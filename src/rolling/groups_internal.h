/* groups_internal.h - between groups_plan.c, groups_bytes.c and groups.c: the plan, the state, and
 * a key's entry. The events themselves, and the walk over them, are windows/events.h's. */
#ifndef FRESHET_ROLLING_GROUPS_INTERNAL_H
#define FRESHET_ROLLING_GROUPS_INTERNAL_H

#include "keyed/due_heap.h"
#include "rolling/groups.h"
#include "windows/fullness.h"
#include "windows/known_layouts.h"

#define DAY_US INT64_C(86400000000)
#define SECOND_US INT64_C(1000000)

static inline int64_t group_floor(int64_t time_us, int64_t step)
{
    int64_t rest = time_us % step;
    return time_us - (rest < 0 ? rest + step : rest);
}

typedef struct group_window {
    int64_t length_us;
    int64_t phase_us; /* ends are multiples of the slide plus this */
} group_window;

struct groups_plan {
    groups_declaration declaration;
    windows_plan *events;  /* what is kept of an event, and asked of a window */
    group_window *windows; /* one a stop of its walk, so the shortest first */
    uint32_t n_windows;
    bool is_rolling;
    bool is_grid;
    int64_t slide_us;
    uint64_t fingerprint;
};

/* The smallest end of that window after `after`; INT64_MAX where time ends. */
int64_t group_end_after(const groups_plan *plan, const group_window *window, int64_t after);
/* Does the window have this end? */
static inline bool group_window_ends(const groups_plan *plan, const group_window *window,
                                     int64_t end_us)
{
    return (end_us - window->phase_us) % plan->slide_us == 0;
}

/* What is saved of a key beside its events. */
typedef struct group_facts {
    int64_t after_us;  /* the last end that was output, or could have been */
    int64_t newest_us; /* timestamp of the key's newest row */
    uint32_t revision; /* write timestamps: groups.h */
    bool owes_nulls;
} group_facts;

typedef struct group_entry {
    keyed_entry head;
    events events;
    group_facts facts;
    int64_t due_us;   /* INT64_MAX: nothing is */
    fullness *record; /* what is not known of its past; NULL: nothing */
} group_entry;

typedef struct change {
    int64_t at_us;
    uint32_t entry;
    uint32_t number; /* in their order */
    bool existed;    /* the row had been output before */
} change;

/* Which windows a state was kept for: which of its events are there follows from these. */
typedef struct group_shape {
    int64_t slide_us, is_grid, emit_change, n;
    int64_t lengths_us[GROUPS_WINDOWS_MAX];
} group_shape;

struct groups_state {
    const groups_plan *plan; /* of_state */
    groups_plan of_state;    /* the plan, whose events may get another one (known_layouts.h) */
    groups_options options;
    memory memory;
    walker walker;
    picked_cells own;
    const void **cells; /* one a slot */
    keyed_table keys;
    state_part part;
    keyed_chunk chunk;
    due_heap heap;      /* of keys in memory, by due_us */
    int64_t brought_us; /* keys that are due up to it have been brought from the store */
    uint64_t n_events;

    change *changes;
    uint32_t n_changes;
    uint32_t changes_capacity;
    uint32_t changes_taken;

    known_layouts known;
    group_shape then;     /* of the facts that were restored; n 0: none were */
    int64_t gone_us;      /* events before it may be gone; FULL_ALWAYS: none that is needed */
    int64_t slid_us;      /* ends up to it are of another slide, and have been output */
    fullness *unknown;    /* the record of keys without one, as long as gone_us counts */
    kept_layout *filling; /* of the bytes that groups_fill is given */
    int64_t past_newest;  /* microseconds, of the past that these are of */

    int64_t time_us;
    int64_t taken_us; /* all rows that end up to it have been taken */
    int64_t oldest_us;
    int64_t newest_us;
    bool finishing;
    uint32_t finish_at; /* the entry that groups_finish has come to */
};

/* is_bare of the record of a key that has been filled while others were not: nothing of it is
 * missing, whatever gone_us says. Its `rows` is the declaration for which that is so. */
#define GROUP_FILLED INT64_C(3)

static inline bool group_is_filled(const groups_state *state, const fullness *record)
{
    return record != NULL && record->is_bare == GROUP_FILLED &&
           record->rows == (int64_t)state->known.numbers.declared;
}

/* The earliest end after `after_us` of any window. */
int64_t groups_end_after(const groups_plan *plan, int64_t after_us);
/* Does a window with this end hold an event? */
bool groups_holds_event(const groups_state *state, const events *events, int64_t end_us);
/* The row is to be output; false where memory is out. */
bool groups_add_change(groups_state *state, uint32_t entry, int64_t at_us, bool existed);
/* groups_evolve.c. Forgets the events that no window after facts.after_us reaches. Sets to null
 * what looks back on what is not known; false where memory is out. The windows of the plan;
 * and from when on the events are there that these still want at that time. */
void groups_evict(groups_state *state, group_entry *entry);
bool groups_null_unknown(groups_state *state, const group_entry *entry, int64_t end_us,
                         answer_row *into);
group_shape groups_shape(const groups_plan *plan);
int64_t groups_kept_from(const group_shape *shape, int64_t time_us);

/* groups_fill.c: as state_part_ops wants them. */
int64_t groups_fill_until(void *self);
int64_t groups_fill_newest(void *self);
freshet_code groups_fill_open(void *self, const char *layout, int64_t newest_us,
                              freshet_error *err);
freshet_code groups_fill(void *self, uint32_t index, bool is_new, const void *bytes, size_t length,
                         state_fill *out, freshet_error *err);
void groups_filled(void *self, uint64_t declared);

/* Gives back what hangs at an entry. */
void groups_release(void *self, void *released);

size_t groups_record_bytes(const groups_state *state);

/* groups_evolve.c: opens the layouts; notes another one (state_part_ops.know); may rows be due
 * earlier than the store lists (state_part_ops.lists_anew)? */
freshet_code groups_open_layout(groups_state *state, freshet_error *err);
freshet_code groups_know(void *self, const char *layout, freshet_error *err);
bool groups_lists_anew(void *self);

/* groups_bytes.c: as state_part_ops wants them. */
freshet_code groups_save(void *self, const void *saved, text_buffer *into, freshet_error *err);
freshet_code groups_restore(void *self, const state_key *key, void *restored, const void *bytes,
                            size_t length, freshet_error *err);
freshet_code groups_inspect(void *self, arena *arena, const void *bytes, size_t length,
                            text_buffer *into, freshet_error *err);

#endif
