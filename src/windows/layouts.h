/* layouts.h - what saved bytes of a key hold, and how a plan of now reads them: so that a state
 * goes on when its declaration changes, key by key, without being written anew.
 *
 * A LAYOUT is what is kept under one plan: of each event the slots, of the newest row the carried
 * columns, and how far back events stay (the REACH). Each saved key says its layout, by the hash of
 * its text:
 *
 *     kept, tab, longest window in seconds, tab, in events, tab, lateness in seconds, tab,
 *     WHOLE, (tab, ROWS,) line's end
 *
 * and a line for each slot, carried column and value of a pivot:
 *
 *     WORD, tab, NUMBER, tab, SINCE, tab, TYPE, tab, bytes of the name, tab, NAME, tab, bytes
 *     of the filter, tab, FILTER
 *
 *     value     of each event a value (where the filter holds)
 *     there     of each event whether there is one
 *     row       of each event the rest of its row (corrections.h)
 *     pivot     of each event which value of the pivot it has, which are those of the lines `is`
 *     subset    of each event its columns of `distinct`, which the name says
 *     carried   of the newest row a column
 *
 * The NUMBER is that of the declaration in which the thing came in (keyed/evolution.h). A thing
 * that stays keeps it; one that was gone for a while gets another. SINCE and WHOLE are for people's
 * sentences only: from that event time on all events of all keys have the thing, or are there (the
 * smallest number: always). ROWS stands where row windows may lack events: those of at most so many
 * events lack none. What is so of a key its own record says (fullness.h).
 *
 * The store keeps these texts, and tells of all at the start, so that keys of any number of older
 * layouts may be there. A key of another layout gets the present one when it is restored: slots of
 * the same word, number, name, filter and type are taken over, others are null, and fullness.h
 * notes from when on they are known. Of carried columns those of the same name and type are taken
 * over.
 *
 * COUNTS of a value whose values are asked for now, and were not then: that there was a value is
 * known, which is not. The plan then has a slot of its own for counts (windows_split), for as long
 * as the store has such a layout.
 */
#ifndef FRESHET_WINDOWS_LAYOUTS_H
#define FRESHET_WINDOWS_LAYOUTS_H

#include "base/text.h"
#include "windows/window.h"

typedef enum layout_word {
    LAYOUT_VALUE,
    LAYOUT_THERE,
    LAYOUT_ROW,
    LAYOUT_PIVOT,
    LAYOUT_SUBSET,
    LAYOUT_CARRIED,
    LAYOUT_IS,
    LAYOUT_WORDS
} layout_word;

typedef struct layout_line {
    layout_word word;
    uint64_t number;
    int64_t since;
    const char *name;
    const char *filter; /* "": none */
    const type *type;
} layout_line;

typedef struct layout_reach {
    int64_t longest_s; /* -1: no window of time */
    int64_t longest_rows;
    int64_t lateness_s;
} layout_reach;

#define LAYOUT_ALWAYS INT64_MIN
#define LAYOUT_ALL_ROWS INT64_MAX

typedef struct layout_slot {
    uint32_t cell; /* as in window_slot */
    bool is_text;
} layout_slot;

typedef struct kept_layout {
    uint64_t id;
    layout_reach reach;
    int64_t whole;
    int64_t rows;
    layout_line *slots; /* in the order of their bytes */
    uint32_t n_slots;
    schema carried;
    layout_line *pivot; /* the lines `is` */
    uint32_t n_pivot;
    /* against the plan of now: */
    const uint32_t *from;       /* by its slots: which of these, or WINDOWS_NONE */
    const uint32_t *pivot_from; /* by its pivot's values: which of these, or WINDOWS_NONE */
    const layout_slot *cells;   /* by these slots */
    bool same_carried;
    bool drops; /* its events have no subset, by which `distinct` could tell them apart; or no
                   window wanted any, and those that are there are there by chance */
    struct kept_layout *next;
} kept_layout;

/* Which numbers the things of a plan have. */
typedef struct layout_numbers {
    const kept_layout *last; /* what the declaration before this one kept; NULL: nothing */
    uint64_t declared;       /* of what is not in it */
    int64_t since;           /* the same: behind the newest event of all keys */
    int64_t whole;
} layout_numbers;

/* From when on all events of all keys are there for windows of that reach. */
int64_t layout_whole(const layout_numbers *numbers, const layout_reach *reach);
/* Row windows of how many events lack none in no key; LAYOUT_ALL_ROWS: of any number. */
int64_t layout_whole_rows(const layout_numbers *numbers, const layout_reach *reach);
/* Do windows of `now` need events that those of `then` did not? */
bool layout_needs_more(const layout_reach *now, const layout_reach *then);
/* The longest time window and the lateness together. */
int64_t layout_span(const layout_reach *reach);

/* From when on all have what the plan's output i looks at. */
int64_t layout_since(arena *arena, const windows_plan *plan, const layout_numbers *numbers,
                     uint32_t output);

/* The id of a layout by its text. */
uint64_t layout_id(const char *text);

/* The text of what is kept under the plan; NULL where memory is out. */
const char *layout_text(arena *arena, const windows_plan *plan, const layout_numbers *numbers,
                        const layout_reach *reach);

/* Is the text one of this form? That of earlier versions is another one. */
bool layout_is_known(const char *text);

/* Reads a text. */
freshet_code layout_read(arena *arena, const char *text, kept_layout **out, freshet_error *err);

/* Finds what the plan takes over of it. */
freshet_code layout_match(arena *arena, kept_layout *layout, const windows_plan *plan,
                          const layout_numbers *numbers, freshet_error *err);

/* The same for a layout that another state has, in which numbers mean nothing: by names. *has_all:
 * it has all that the plan looks at. */
freshet_code layout_match_past(arena *arena, kept_layout *layout, const windows_plan *plan,
                               const layout_numbers *numbers, bool *has_all, freshet_error *err);

/* Does the plan look at what line i of its slots is, in whatever way? */
bool layout_is_asked(const kept_layout *layout, uint32_t i, const windows_plan *plan);

/* Values that the plan asks for, and of which the layout has only whether they are there, while the
 * plan counts them, too: appended to splits, which has room for the plan's slots. Returns how many
 * there are then. */
uint32_t layout_splits(const kept_layout *layout, const windows_plan *plan,
                       const layout_numbers *numbers, windows_split *splits, uint32_t n);

/* The declaration's plan with these splits. */
freshet_code layout_split_plan(arena *arena, const windows_plan *plan, const windows_split *splits,
                               uint32_t n, windows_plan **out, freshet_error *err);

/* Appends carried cells of the layout as the plan's own. */
freshet_code layout_convert(const kept_layout *layout, const windows_plan *plan,
                            const unsigned char *at, size_t length, text_buffer *into,
                            freshet_error *err);

#endif
