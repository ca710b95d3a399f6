/* batch_rows.h - the rows of a batch that must be seen key by key at its end, kept until then:
 * where they are many spread by their keys, and from a limit on in a file (base/row_spill.h).
 *
 * At the end they come in sets, each of which has all rows of its keys in the order in which they
 * came: one set where there were few rows, else one after another. A part of the rows that takes
 * more than the limit is spread again, by other bits of the keys' hashes. So only a key that takes
 * more by itself, with those that share its set, is beyond the limit: that is said once.
 *
 * Order of calls: open, add..., then next until FRESHET_END, close. One thread at a time.
 */
#ifndef FRESHET_FEATURES_BATCH_ROWS_H
#define FRESHET_FEATURES_BATCH_ROWS_H

#include "base/crew.h"
#include "base/row_store.h"

typedef struct batch_rows batch_rows;

typedef struct batch_rows_options {
    const schema *schema; /* these live as long */
    const uint32_t *keys; /* columns by which rows are told apart */
    uint32_t n_keys;      /* 0: they cannot be spread, and all stay in memory */
    size_t memory;        /* of rows; `batch: {memory}` is more: what is computed of them, too */
    const char *folder;
    const char *pipeline; /* for messages */
    crew *crew;           /* spreads them; NULL: the caller alone does */
} batch_rows_options;

/* Of `batch: {memory}` (docs/guide/memory.md) the rows that are kept get one part in so many. */
#define BATCH_ROWS_SHARE 6u

freshet_code batch_rows_open(const batch_rows_options *options, batch_rows **out,
                             freshet_error *err);
/* NULL is fine. */
void batch_rows_close(batch_rows *rows);

/* Keeps all rows of `from`. */
freshet_code batch_rows_add(batch_rows *rows, const batch *from, freshet_error *err);

/* How many there are in all. */
uint64_t batch_rows_count(const batch_rows *rows);

/* The next set, valid until the next call; none is empty. */
freshet_code batch_rows_next(batch_rows *rows, const row_store **set, freshet_error *err);

#endif
