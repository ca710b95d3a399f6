/* table.h - the reader `table`: a table or view of a SQLite or DuckDB file, read whole.
 *
 * Which of the two the file is shows from its first bytes. SQLite's columns get their types from
 * the declared ones (as SQLite's own affinities: ...INT... is bigint, ...CHAR..., ...TEXT...
 * string, REAL... double; besides, BOOL... is boolean, DATE date, DATETIME and TIMESTAMP...
 * timestamp, DECIMAL(w,s) decimal), or, where there is none (expressions of a view), from the
 * values of the first rows. SQLite lets any value stand in any column: one that does not fit makes
 * its row a bad one, or, with on_cast_error null, is a null. Dates and timestamps are texts there;
 * numbers are refused.
 */
#ifndef FRESHET_READERS_TABLE_TABLE_H
#define FRESHET_READERS_TABLE_TABLE_H

#include "readers/reader.h"

typedef struct table_options {
    declared_text path;
    declared_text table;
} table_options;

extern const reader_ops table_reader_ops;

#endif
