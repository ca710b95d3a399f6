/* query_parts.h - a query by its parts: what each of its columns is, and which rows there are. For
 * telling what a change of the query changes (features/meaning.h).
 *
 *   with d as (...) select e.user, e.cents / 100.0 as amount from ev e join d using (id)
 *   ^^^^^^^^^^^^^^^^^^^^^^^         the rows: all but the list   ^^^^^^^^^^^^^^^^^^^^^^^^^
 *                          columns: user is "e.user", amount is "e.cents / 100.0"
 *
 * A UNION ALL has such parts for each of its SELECTs. A query of another form (DISTINCT, a column
 * without a name of its own, FROM first ...) is not split: then it means what its whole text says.
 *
 * Everything lives in the arena, and in the query's text. The query is known to be sound SQL.
 */
#ifndef FRESHET_SOURCE_QUERY_PARTS_H
#define FRESHET_SOURCE_QUERY_PARTS_H

#include "sql/sql_words.h"

typedef struct query_item {
    const char *name; /* NULL: a star, of several columns */
    const sql_word *words;
    uint32_t n_words;
} query_item;

typedef struct query_select {
    query_item *items;
    uint32_t n_items, capacity;
    const sql_word *before; /* WITH ... */
    uint32_t n_before;
    const sql_word *behind; /* FROM ... */
    uint32_t n_behind;
} query_select;

typedef struct query_parts {
    bool is_split;
    query_select *selects;
    uint32_t n_selects, capacity;
    const sql_word *words; /* of all */
    uint32_t n_words;
} query_parts;

/* False where memory is out. */
bool query_parts_read(arena *arena, const char *sql, query_parts *out);

/* What the query's column `name` comes from in one SELECT, in one line: the item of that name, or
 * the stars; of a SELECT behind the first, the item at the same place; where that cannot be told,
 * the whole list. And what the rows come from. NULL where memory is out. */
const char *query_parts_column(arena *arena, const query_parts *parts, uint32_t select,
                               const char *name);
const char *query_parts_rows(arena *arena, const query_select *select);

/* May column `column` of a reader be read for the query's column `name` (NULL: for its rows)? True
 * where it cannot be told. */
bool query_parts_reads(const query_parts *parts, uint32_t select, const char *name,
                       const char *column);

/* Does the SELECT name that reader? */
bool query_select_names(const query_select *select, const char *reader);

#endif
