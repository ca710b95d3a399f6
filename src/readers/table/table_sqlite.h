/* table_sqlite.h - a table or view of a SQLite file; see table.h for types.
 *
 * Order of calls: table_sqlite_open, then table_sqlite_describe, or table_sqlite_start and
 * table_sqlite_read until FRESHET_END, table_sqlite_close. All rows of one start are of one
 * snapshot.
 */
#ifndef FRESHET_READERS_TABLE_TABLE_SQLITE_H
#define FRESHET_READERS_TABLE_TABLE_SQLITE_H

#include "formats/scan.h"

#define TABLE_SQLITE_SAMPLE_ROWS 1000
#define TABLE_SQLITE_BUSY_MS 5000 /* how long another process may hold the file */

typedef struct table_sqlite table_sqlite;

/* `table` is quoted as in SQL. `at` is the place for messages. All texts must outlive the table. */
freshet_code table_sqlite_open(const char *path, const char *table, const char *at,
                               table_sqlite **out, freshet_error *err);
void table_sqlite_close(table_sqlite *it);

freshet_code table_sqlite_describe(table_sqlite *it, arena *arena, schema *out, freshet_error *err);

freshet_code table_sqlite_start(table_sqlite *it, const schema *schema, const bool *used,
                                bool cast_error_null, int64_t first, freshet_error *err);

/* As scan_read. */
freshet_code table_sqlite_read(table_sqlite *it, batch *into, uint32_t max_rows,
                               const scan_place *where, rejects *rejects, int64_t *next,
                               freshet_error *err);

#endif
