/* aggregate.h - the functions that a window, or a group, can compute: one table, a row a function.
 *
 * A function is computed in four steps:
 *
 *   prepare   aggregate_prepare: a name and an input type become a bound `aggregate`, with its type
 *   update    a run of events is put in front of what a partial holds
 *   merge     an older partial is put in front of what a partial holds
 *   finish    the partial gives the value
 *
 * Functions that need the same facts share them: a `family` says what a partial is, how a run and
 * an older partial are added to it; a row of the table says which family a function reads and how
 * it reads it. avg and sum of a column cost one partial, as do all the variances.
 *
 * Partials grow BACKWARDS: what is added is always older than what is there. The windows that end
 * at one row are nested suffixes of the key's events, so one walk from the newest event to the
 * oldest passes the answers of all of them, the shortest first. A partial of zero bytes is the
 * empty one.
 *
 * Most partials are of a fixed size and can be kept beside a block of events. Families without
 * `merge` hold the values themselves (lists, sets); theirs live in scratch memory during one walk.
 * For keys of many events that would be slow: so functions that only need the values counted and in
 * order can also finish a TALLY of them (tally.h), which follows its window from row to row.
 *
 * EXACTNESS
 *   integers, decimals   summed in 128 bits with a carry, so that an intermediate sum never wraps.
 *                        A result that its output type cannot hold is AGGREGATE_OVERFLOW: an error
 *                        of that row, never a wrapped number (Spark wraps bigints silently).
 *   float, double        summed with the lost digits kept (Knuth's TwoSum), so that equal events
 *                        give equal results to 1e-12, however they were grouped. NaN and infinities
 *                        give what plain addition gives. A sum that leaves the range of double on
 *                        its way is an infinity.
 *   variances            n, a centre, and the sums of powers of the distance to it: no digits are
 *                        lost when the mean is large against the spread (moments.c).
 *   order                of float and double: NaN is greater than all, -0.0 smaller than 0.0 (min,
 *                        max) or equal to it (sets, mode, percentiles).
 *
 * NULLS are skipped, except by first and last. Of no values: count, count_distinct and
 * approx_count_distinct give 0, the collecting functions an empty array, all others null. Of one
 * value, or of equal ones: skewness and kurtosis are null; stddev_samp and var_samp of one are
 * null.
 */
#ifndef FRESHET_AGGREGATE_AGGREGATE_H
#define FRESHET_AGGREGATE_AGGREGATE_H

#include <freshet/freshet.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/type.h"

#define AGGREGATE_RUN_MAX 64u      /* cells in one run: the bits of a word */
#define AGGREGATE_PARTIAL_MAX 512u /* bytes of the largest partial: the registers of HyperLogLog */
#define AGGREGATE_NAME_MAX 64u

/* Memory of one walk. Whoever walks resets the arena before, and asks `failed` after. */
typedef struct aggregate_scratch {
    arena *arena;
    bool failed; /* out of memory */
} aggregate_scratch;

/* Cells [from, to) of an array of the input type's cells; bit i of `valid`: cell i is not null. */
typedef struct aggregate_run {
    const void *values; /* NULL where the family reads no values (count) */
    uint64_t valid;
    uint32_t from;
    uint32_t to; /* at most AGGREGATE_RUN_MAX */
    const type *type;
    aggregate_scratch *scratch; /* of families that hold values */
} aggregate_run;

typedef struct aggregate_family {
    const char *name;
    size_t size;       /* bytes of a partial, at most AGGREGATE_PARTIAL_MAX */
    bool reads_values; /* false: asks only which cells are null */
    void (*update)(void *partial, const aggregate_run *older);
    /* `n` partials, `stride` bytes apart, the oldest first, all older. NULL: it holds values. */
    void (*merge)(void *partial, const void *older, size_t stride, uint32_t n);
} aggregate_family;

typedef union aggregate_value {
    int64_t integer; /* boolean, integer, bigint, date, timestamp */
    double real;     /* float, double */
    int128 decimal;
    cell_text text; /* may point into the events */
    struct {
        const void *cells; /* of the element type, in scratch memory or in the events */
        uint64_t n;
    } list;
} aggregate_value;

typedef enum aggregate_outcome {
    AGGREGATE_VALUE,
    AGGREGATE_NULL,
    AGGREGATE_OVERFLOW, /* the output type cannot hold the result: an error of the row */
    AGGREGATE_NO_MEMORY
} aggregate_outcome;

typedef struct aggregate aggregate;

typedef aggregate_outcome aggregate_finish(const void *partial, const aggregate *aggregate,
                                           aggregate_scratch *scratch, aggregate_value *out);

/* The value from a tally of the window's values that are not null, equal to what `finish` gives. */
struct tally;
typedef aggregate_outcome aggregate_finish_tally(const struct tally *tally,
                                                 const aggregate *aggregate, aggregate_value *out);

/* A function bound to a type of input. */
struct aggregate {
    const char *name; /* as a column's name has it: as it was spelled, `percentile_90` */
    const aggregate_family *family;
    aggregate_finish *finish;
    aggregate_finish_tally *tallied; /* NULL: it cannot be had from a tally */
    const type *input;
    const type *output;
    double parameter; /* percentile(p): p */
};

/* Binds a function: `text` is a name of the table, in any spelling of case that Butterfree knows
 * (count_distinct, countDistinct), percentiles with their parameter: "percentile(0.9)". Refuses
 * what is not there or does not take that type, with a sentence; FRESHET_BAD_DECLARATION. */
freshet_code aggregate_prepare(arena *arena, const char *text, const type *input, aggregate *into,
                               freshet_error *err);

/* The same without a type: is there such a function, and does its parameter fit? */
freshet_code aggregate_check(const char *text, freshet_error *err);

/* The table's names, for lists in messages and documents: name i, NULL past the last. */
const char *aggregate_name(uint32_t index);
/* One line on what function i gives; as long as aggregate_name(i). */
const char *aggregate_summary(uint32_t index);

/* Reads a cell; writes a value into row `row` of a column of the output's type, which has room for
 * it. Texts and elements are copied into the arena. false where memory is out. */
void aggregate_load(const type *type, const void *cell, aggregate_value *out);
bool aggregate_store(arena *arena, column *column, uint64_t row, const aggregate_value *value);

/* The empty partial where `size` bytes stand. */
#define AGGREGATE_EMPTY(partial, size) memset(partial, 0, size)

#endif
