/* query_lineage.h - which columns of readers each column of the query is made of.
 *
 * Read from the query's syntax tree, for people (`freshet docs`): a column is made of all columns
 * that its expression mentions, through subqueries, CTEs, stars and set operations, and of those by
 * which a window is divided and ordered. What only says which rows there are (WHERE, ON) is not of
 * it.
 *
 * Order of calls: none; a lineage lives in its arena. The pipeline's thread.
 */
#ifndef FRESHET_SOURCE_QUERY_LINEAGE_H
#define FRESHET_SOURCE_QUERY_LINEAGE_H

#include "source/source.h"

/* The columns of all readers are numbered: first[reader] + column, as the query sees them. */
typedef struct lineage {
    uint32_t n_readers;
    const schema **columns; /* of each reader */
    uint32_t *first;
    uint32_t n;       /* of all readers */
    bool is_known;    /* false: the query has columns that its text does not name one by one */
    uint32_t n_made;  /* the query's columns */
    const bool *made; /* made[column * n + number]: it is made of that */
} lineage;

/* `source` is open. Where the columns cannot be told, is_known is false, and each is made of none.
 */
freshet_code source_lineage(const source *source, arena *arena, lineage *out, freshet_error *err);

#endif
