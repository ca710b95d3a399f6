/* writer_columns.h - which columns a writer gets: all, or those of its `select`.
 *
 * A writer sees a schema of its own, and batches of it; it knows nothing of the others. Stores that
 * find a row by its keys and time (most) have these first, as without `select`, and the features in
 * the order of `select`; those that take any columns (writer_ops.any_columns) have all in that
 * order. A batch of chosen columns shares its cells with the batch that it is made of.
 */
#ifndef FRESHET_WRITERS_WRITER_COLUMNS_H
#define FRESHET_WRITERS_WRITER_COLUMNS_H

#include "writers/writer.h"

typedef struct writer_columns {
    schema schema;
    const uint32_t *from; /* of each column: its number among all; NULL: they are all */
} writer_columns;

/* What is wrong with the list goes to `problems` (not NULL); then and without a list all columns
 * are chosen. `all` must outlive the result, which is in the arena. */
freshet_code writer_columns_choose(const declared_list *select, const writer_ops *ops,
                                   const schema *all, uint32_t n_keys, arena *arena,
                                   problems *problems, writer_columns *out, freshet_error *err);

/* The chosen columns of a batch of all; in the batch's arena. */
freshet_code writer_columns_take(const writer_columns *columns, const batch *all, batch *out,
                                 freshet_error *err);

#endif
