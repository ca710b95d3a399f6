/* key_order.h - an order of a batch's rows in which those of one key stand near each other.
 *
 * Where a key has thousands of events, what is kept of it does not fit the cache together with that
 * of a thousand others. A batch that has several rows of each key then brings everything from
 * memory for each row, though rows of the same key are to come. Taken key by key it comes once a
 * batch. What a row is answered depends on the rows of its key alone, in their order; so any order
 * serves that leaves these as they are.
 *
 * Outputs are written in that order, too, and put into that of the rows column by column: a row of
 * fifty outputs that are written far from those of the row before would miss the cache fifty times.
 *
 * The order is that of a few bits of a hash of the key's cells, and within equal bits that of the
 * rows: one pass to count, one to place. Keys that share bits are mixed, which harms nobody.
 *
 * Any thread; all results live in the arena given.
 */
#ifndef FRESHET_WINDOWS_KEY_ORDER_H
#define FRESHET_WINDOWS_KEY_ORDER_H

#include "windows/windows_state.h"

/* Is it worth while, for a batch of so many rows and a state of so many keys and events? */
bool key_order_serves(uint32_t n_rows, uint64_t n_keys, uint64_t n_events);

/* *out: the numbers of the rows in that order; NULL where no key column says which rows are of
 * different keys. (Texts and whole numbers do; of others equal keys may differ in their bytes.) */
freshet_code key_order_make(const column *keys, uint32_t n_keys, uint32_t n_rows, arena *arena,
                            const uint32_t **out, freshet_error *err);

/* Of a batch that was taken in such an order: puts the outputs of its rows, which stand in it, and
 * its refreshed rows into the order of the rows. */
freshet_code key_order_undo(const windows_plan *plan, const schema *carried, const uint32_t *order,
                            uint32_t n_rows, arena *arena, windows_result *result,
                            freshet_error *err);

#endif
