/* window.h - the plan of a feature set's windows: what is kept of an event, and what is asked of
 * it.
 *
 * A feature says: of this column, where this filter holds, compute these functions over these
 * windows. Two kinds of window stand behind each row:
 *
 *   fixed   the last W seconds: all events of the key whose second lies in [s - W, s], where s is
 *           the row's own time in whole seconds, floored. Both ends are in, and so are all events
 *           of second s itself, also those that come later.
 *   rows    the last N events up to the row, in the order of (second, arrival). An event with a
 *           null value takes a place.
 *
 * These are row by row and end at a row's own event. A third kind ends where it is asked to, at a
 * time:
 *
 *   rolling  [end - W, end): its beginning is in, its end is not, to the microsecond. Without
 *            windows, those of one microsecond. What holds no event is null, count, too; so is a
 *            result that is NaN. (Which ends there are: rolling/groups.h. A plan has either this
 *            kind or the others.)
 *
 * Of rolling windows there can be a PIVOT: each function is computed for each of some values of a
 * column, from the events that have it; and a DISTINCT: of events with equal values in a subset of
 * columns (null equals null) each window has only the newest or the oldest, of several at that time
 * the first to arrive.
 *
 * The plan takes all features together and removes what they have in common:
 *
 *   slot       one value kept of each event: a column under a filter. Where the filter is not true
 *              the value is null, as in Butterfree's `case when filter then column end`. A slot of
 *              which only counts are asked keeps no value, only whether there is one. One slot
 *              more, where rows are to be corrected, is the whole rest of the row (corrections.h).
 *   measure    one partial to compute: a family of aggregates over a slot. avg, sum and all windows
 *              of a feature share it.
 *   tally      the values of one slot in one window, counted and in order (tally.h): kept for keys
 *              of many events where the functions of a window want more of them than a partial can
 *              say
 *   walk       per kind of window: the distinct lengths, the shortest first, and at each the values
 *              to finish there. One walk over a key's events, newest to oldest, answers it.
 *
 * A plan is immutable once made, and lives in the arena it was made in.
 */
#ifndef FRESHET_WINDOWS_WINDOW_H
#define FRESHET_WINDOWS_WINDOW_H

#include "aggregate/aggregate.h"

#define WINDOW_SECONDS_MAX INT64_C(3153600000) /* 100 years */
#define WINDOW_ROWS_MAX 1000000
#define WINDOWS_SLOTS_MAX 1024u
#define WINDOWS_OUTPUTS_MAX 10000u /* TYPE_FIELDS_MAX */
#define WINDOWS_KEYS_MAX 64u

typedef enum window_mode { WINDOW_FIXED, WINDOW_ROWS, WINDOW_ROLLING } window_mode;
#define WINDOW_MODES 3

/* Reads a window as a declaration has it, "2 hours" (or "2h") or "5 events": seconds or rows into
 * `length`, and its form in column names ("2_hours") into `name`. Years have 336 days, as in
 * Butterfree; months and empty windows are refused. FRESHET_BAD_DECLARATION with a sentence. */
freshet_code window_parse(arena *arena, const char *text, window_mode mode, int64_t *length,
                          const char **name, freshet_error *err);

/* What is declared. Columns are indexes into the value columns that windows_apply is given. */
typedef struct windows_function {
    const char *text; /* "avg", "percentile(0.9)" */
    const char *as;   /* its word in the column's name; NULL: as aggregate_prepare says */
} windows_function;

#define WINDOWS_NO_FILTER UINT32_MAX
#define WINDOWS_NONE UINT32_MAX

typedef struct windows_feature {
    const char *name;
    uint32_t values;
    uint32_t filter; /* a boolean column, or WINDOWS_NO_FILTER */
    window_mode mode;
    const windows_function *functions;
    uint32_t n_functions;
    const char *const *windows; /* their texts */
    uint32_t n_windows;
    bool is_partial; /* a window of which not all is known has what is known, and is not null */
} windows_feature;

/* Counts of that value, under that filter, have a slot of their own: where the values of older
 * events are not known, but that there was one is (layouts.h). */
typedef struct windows_split {
    uint32_t values;
    uint32_t filter;
} windows_split;

typedef struct windows_pivot {
    uint32_t column;
    const struct column *values; /* cells of that column's type, none null */
    const char *const *names;    /* of the values, in the names of outputs */
    uint32_t n_values;           /* at least 1 */
} windows_pivot;

typedef struct windows_declaration {
    const type *const *keys; /* types of the key columns */
    uint32_t n_keys;
    const field *columns; /* the value columns; names are used in messages */
    uint32_t n_columns;
    const windows_feature *features;
    uint32_t n_features;
    const uint32_t
        *carried; /* value columns of which a key's newest row is kept, to output it again */
    uint32_t n_carried;
    bool corrects; /* every row that a later event changes is given again, not only the newest */
    const windows_pivot *pivot; /* of rolling windows; NULL: none */
    const uint32_t *distinct;   /* columns of the subset; n_distinct 0: every event counts */
    uint32_t n_distinct;
    bool keep_first;
    const windows_split *splits;
    uint32_t n_splits;
} windows_declaration;

typedef struct window_slot {
    uint32_t values; /* WINDOWS_NONE: of no column (row_slot, pivot_slot, subset_slot) */
    uint32_t filter;
    const type *type;
    uint32_t cell; /* bytes kept of each event; 0: only whether it is null */
    uint32_t
        before; /* sum of the cells of the slots that lie before it in a block, times included */
    bool is_text;
    bool is_split; /* for counts alone, beside one for the values */
} window_slot;

typedef struct window_measure {
    uint32_t slot;
    const aggregate_family *family;
    bool kept;                        /* beside blocks; otherwise each walk reads the events */
    uint32_t offset;                  /* of its partial in a frame, and beside a block */
    uint32_t n_windows[WINDOW_MODES]; /* it is asked for in the first n of the walk's windows */
    uint32_t n_held[WINDOW_MODES];    /* the same without what tallies answer */
} window_measure;

/* One value to finish: a function of a measure into an output column. */
typedef struct window_answer {
    const aggregate *aggregate;
    uint32_t offset; /* of the measure's partial */
    uint32_t output;
    uint32_t
        shorter;    /* the output of the same function at the stop before, or WINDOWS_NONE: where no
                         event lies between the two, the value is the same and is copied */
    uint32_t tally; /* of the plan: answers it for large keys; or WINDOWS_NONE */
    uint32_t
        rows; /* of the partial that counts the events of its value of the pivot; or WINDOWS_NONE */
} window_answer;

typedef struct window_stop {
    int64_t length; /* seconds, rows or microseconds */
    const window_answer *answers;
    uint32_t n_answers;
} window_stop;

typedef struct window_walk {
    const window_stop *stops; /* the shortest first */
    uint32_t n_stops;
    const uint32_t *measures; /* those asked for */
    uint32_t n_measures;
} window_walk;

/* What an output looks at. */
typedef struct window_look {
    uint32_t slot;
    uint32_t part; /* value of the pivot; 0 without */
    window_mode mode;
    bool is_partial;
    bool is_count; /* asks only whether there is a value */
    int64_t length;
} window_look;

typedef struct windows_plan {
    /* one field a pivot value, feature, function and window, in this order: Butterfree's */
    schema outputs;
    const window_look *looks; /* one an output */
    const windows_declaration *declaration;
    uint32_t n_keys;
    const type *const *keys;
    schema columns;
    const uint32_t *carried;
    uint32_t n_carried;

    uint32_t n_slots;
    const window_slot *slots;
    uint32_t row_slot;    /* the rest of each event's row, to correct it; or WINDOWS_NONE */
    uint32_t pivot_slot;  /* which value of the pivot each event has, null: none; or WINDOWS_NONE */
    uint32_t subset_slot; /* the subset of `distinct`, as bytes; or WINDOWS_NONE */
    const windows_pivot *pivot;
    const uint32_t *distinct;
    uint32_t n_distinct;
    bool keep_first;
    bool in_us; /* rolling: times are microseconds of 64 bits, not seconds of 32 */
    uint32_t time_bytes;
    uint32_t event_bytes;  /* of one event: its time and all cells */
    uint32_t times_before; /* as window_slot.before, for the times */
    bool has_texts;

    uint32_t n_parts;    /* values of the pivot; 1 without */
    uint32_t n_measures; /* those of the first part, of the second .. */
    const window_measure *measures;
    uint32_t kept_bytes;  /* of the partials beside a block; these come first in a frame */
    uint32_t frame_bytes; /* of all partials of a walk */
    bool holds;           /* some measure holds values, and needs scratch memory */

    uint32_t n_tallies;
    const uint32_t *tallies; /* the slot of each */

    window_walk walks[WINDOW_MODES];
    int64_t longest_s; /* the longest fixed window; -1 where there is none */
    int64_t longest_rows;
    uint64_t fingerprint; /* of the keys: of the rest saved state has its layout (layouts.h) */
} windows_plan;

/* Makes the plan. What is referred to by the declaration (not itself) must live as long as the
 * arena.
 * FRESHET_BAD_DECLARATION with the feature's name in the sentence where something does not fit. */
freshet_code windows_plan_make(arena *arena, const windows_declaration *declaration,
                               windows_plan **out, freshet_error *err);

/* The columns of one feature, as windows_plan_make would name and type them. */
freshet_code windows_feature_outputs(arena *arena, const windows_feature *feature,
                                     const type *input, field *into, freshet_error *err);

#endif
