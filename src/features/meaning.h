/* meaning.h - what the things mean that a stream's state was made of: so that a changed declaration
 * is served by the state, or refused, and never counted on in another sense.
 *
 * A MEANING has a name, `feature "amount"`, and a text, `sql cents / 100.0 as double`, in which
 * blanks, comments and the case of SQL are no difference. The checkpoint keeps the meanings of all
 * that is needed by what it keeps; the next run compares them with its own.
 *
 *   what is kept        needs
 *   windows             times, keys, stacks, the values and conditions that windows look at, and
 *                       what these are made of: features, columns of the query, its rows, columns
 *                       of readers
 *   groups              the same, pivot, distinct, the slide
 *   seen events         times, the columns of `on`, the rows of the query
 *   newest rows         times, keys, stacks, the rows of the query
 *   positions           nothing: what a row is made into counts from here on
 *
 * DECISIONS. For each option of the declaration meaning.c's table says what a change of it does to
 * what is kept. A new option needs its row there: pipeline/decisions_test.c looks for one without.
 */
#ifndef FRESHET_FEATURES_MEANING_H
#define FRESHET_FEATURES_MEANING_H

#include "readers/reader.h"

struct plan; /* feature_plan.h */

/* What is kept; a set of them. */
typedef enum meaning_kept {
    KEPT_WINDOWS = 1,
    KEPT_GROUPS = 2,
    KEPT_SEEN = 4,
    KEPT_NEWEST = 8,
    KEPT_ANY = 15
} meaning_kept;

typedef enum meaning_fate {
    MEANING_UNDECIDED,
    MEANING_SERVED,  /* what is kept stays right; the change counts from here on */
    MEANING_COLUMN,  /* it makes a column or key: refused where what is kept is made of that */
    MEANING_OWN,     /* a meaning by itself: refused where that is kept */
    MEANING_COMPARED /* what keeps it compares it: served or refused by how it differs */
} meaning_fate;

/* The decision about an option: by the names of its block and its own. */
meaning_fate meaning_fate_of(const char *block, const char *option);

typedef struct meaning {
    const char *name;
    const char *text;
    place at;         /* where it is declared */
    uint32_t select;  /* of the query: the number of its SELECT, 0 the first */
    bool is_of_query; /* the query as a whole; not compared where its parts are */
} meaning;

typedef struct meanings {
    meaning *items;
    uint32_t n, capacity;
    bool is_query_split; /* the query's parts are among them */
} meanings;

/* Names that are there where the query was split, and where it was not. */
#define MEANING_OF_QUERY "the query"
#define MEANING_OF_ROWS "the rows of the query"
/* Which stacks have made rows of those of the query; a state without it knew none. */
#define MEANING_OF_STACKS "the list of stacks"
#define MEANING_NO_STACKS "none"
/* The name of a reader's column: its own between these two, then the reader's id and a quote. */
#define MEANING_COLUMN_OF "column \""
#define MEANING_OF_READER "of reader \""

typedef struct meaning_sources {
    const declaration *declaration;
    const char *query;              /* in DuckDB's SQL, whatever dialect it is written in */
    freshet_reader *const *readers; /* described */
    uint32_t n_readers;
    uint32_t kept; /* a set of meaning_kept */
} meaning_sources;

/* All that is needed by what is kept; in the arena. */
freshet_code meanings_collect(const struct plan *plan, const meaning_sources *sources, arena *arena,
                              meanings *out, freshet_error *err);

/* What each column of the output is made of that windows and groups do not make: its name,
 * `feature "big"`, and `boolean`, a line's end, `sql amount > 5 as boolean`. In the arena. */
freshet_code meanings_columns(const struct plan *plan, const declaration *declaration, arena *arena,
                              meanings *out, freshet_error *err);

#endif
