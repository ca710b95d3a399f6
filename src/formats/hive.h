/* hive.h - columns that stand in the names of folders, as Hive and Spark write them:
 *
 *     in/day=2024-01-02/country=BR/part-0000.json      day is 2024-01-02, country is BR
 *
 * A folder's name with one "=" that does not begin it names a column, as it stands, and its value,
 * where %20 is a blank (`hive_text`). The same name again, in any case, is passed over. The text
 * __HIVE_DEFAULT_PARTITION__, or NULL in any case, is null. What a value looks like is its type:
 * bigint (without a leading zero), date (2024-01-02), else string. All of it as DuckDB reads the
 * folders of Parquet files.
 *
 * Any thread may call.
 */
#ifndef FRESHET_FORMATS_HIVE_H
#define FRESHET_FORMATS_HIVE_H

#include <freshet/freshet.h>

#include "base/type.h"

/* What one folder says; it points into the path. */
typedef struct hive_part {
    const char *name;
    size_t name_length;
    const char *value;
    size_t length;
} hive_part;

/* The length of the path without the file's own name: what hive_next looks at. */
size_t hive_folders(const char *path);

/* The next part of the folders from *at on, which is moved behind it; false: there is none. */
bool hive_next(const char **at, const char *end, hive_part *out);

bool hive_is_named(const hive_part *part, const char *name);
bool hive_is_null(const hive_part *part);

/* Does a folder of the path name that column? */
bool hive_has(const char *path, const char *name);

/* The value with its %XX as bytes, in the arena; NULL where memory is out. */
const char *hive_text(arena *arena, const hive_part *part, size_t *length);

/* The type that the value looks like; type_unknown (widen.h) of null. NULL where memory is out. */
const type *hive_type(arena *arena, const hive_part *part);

#endif
