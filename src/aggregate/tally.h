/* tally.h - values in their order, counted: a multiset that values enter and leave.
 *
 * It answers, each in a logarithmic number of steps: how many distinct values there are, which
 * stands at a place of their order, which is the most frequent. All that it holds are counts, so a
 * value that has come and gone leaves no trace: what is answered depends on the values held, and on
 * nothing else.
 *
 * ORDER. As everywhere here (aggregate.h), with one NaN, greater than all, and one zero. Nulls are
 * not given to a tally.
 *
 * Order of calls: zero bytes are the empty tally; tally_add, _remove, and what asks, in any order;
 * tally_clear at the end. One type of cells for all of a tally's life. Long texts are copied.
 */
#ifndef FRESHET_AGGREGATE_TALLY_H
#define FRESHET_AGGREGATE_TALLY_H

#include "aggregate/aggregate.h"
#include "base/memory.h"

typedef struct tally_node tally_node;

typedef struct tally {
    tally_node *root; /* NULL where `height` is 0 */
    uint32_t height;
    uint32_t n; /* values held */
    uint32_t n_distinct;
} tally;

/* One more of the cell's value. False where memory is out: the tally is as it was. */
bool tally_add(tally *tally, memory *memory, const type *type, const void *cell);

/* One less of the cell's value, which the tally must hold. */
void tally_remove(tally *tally, memory *memory, const type *type, const void *cell);

/* The value at place `place` < n of the order; a text points into the tally. */
void tally_at(const tally *tally, const type *type, uint32_t place, aggregate_value *out);

/* The most frequent value, of several the smallest; n > 0. */
void tally_mode(const tally *tally, const type *type, aggregate_value *out);

void tally_clear(tally *tally, memory *memory, const type *type);

/* What is wrong with the structure, in a few words; NULL where all is well. */
const char *tally_check(const tally *tally, const type *type);

#endif
