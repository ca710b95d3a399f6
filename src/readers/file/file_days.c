/* file_days.c - folders outside of the days that a batch reads: `incremental` of a reader.
 *
 * Where the column of the day stands in the folders' names (day=2024-05-01, or year=2024/month=05),
 * a file's days are known without opening it. Only where no step of `preprocess` but filters comes
 * between the folder and the day: others may change what stands there. What cannot be told is read.
 */
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "formats/hive.h"
#include "functions/mask.h"
#include "readers/file/file_internal.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* A file's times, both ends included. */
typedef struct span {
    int64_t first_us, last_us;
} span;

/* The value that the folders give the column; NULL: they do not, or it is null. */
static const char *folder_value(arena *arena, const char *path, const char *name, size_t *length)
{
    const char *at = path, *end = path + hive_folders(path);
    hive_part part;
    while (hive_next(&at, end, &part))
        if (hive_is_named(&part, name))
            return hive_is_null(&part) ? NULL : hive_text(arena, &part, length);
    return NULL;
}

static bool folder_number(arena *arena, const char *path, const char *name, int64_t least,
                          int64_t most, int64_t *out)
{
    size_t length = 0;
    const char *text = folder_value(arena, path, name, &length);
    int64_t number = 0;
    if (text == NULL || length == 0 || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
    }
    *out = number;
    return number >= least && number <= most;
}

static bool of_parts(arena *arena, const char *path, const incremental_block *block, span *out)
{
    int64_t year, month, day;
    if (!folder_number(arena, path, block->year.value, 1, 9999, &year))
        return false;
    const bool has_month = folder_number(arena, path, block->month.value, 1, 12, &month);
    const bool has_day = has_month && folder_number(arena, path, block->day.value, 1, 31, &day);
    const int64_t first =
        date_days(year, has_month ? (unsigned)month : 1, has_day ? (unsigned)day : 1);
    const int64_t behind = has_day     ? first + 1
                           : has_month ? date_days(month == 12 ? year + 1 : year,
                                                   month == 12 ? 1 : (unsigned)month + 1, 1)
                                       : date_days(year + 1, 1, 1);
    *out = (span){first * DAY_US, behind * DAY_US - 1};
    return true;
}

static bool of_column(arena *arena, const char *path, const incremental_block *block,
                      const mask *mask, span *out)
{
    size_t length = 0;
    int64_t ms, us;
    int32_t days;
    if (block->from == INCREMENTAL_MS) {
        if (!folder_number(arena, path, block->column.value, 0, INT64_MAX / 1000, &ms))
            return false;
        *out = (span){ms * 1000, ms * 1000};
        return true;
    }
    const char *text = folder_value(arena, path, block->column.value, &length);
    if (text == NULL)
        return false;
    if (mask != NULL ? mask_read(mask, text, length, &us) : date_parse(text, length, &days)) {
        const int64_t first = mask != NULL ? us : days * DAY_US;
        *out = (span){first, mask != NULL ? us : first + DAY_US - 1};
        return true;
    }
    return false;
}

bool file_days_known(const file_reader *reader)
{
    const reader_block *block = reader->base.block;
    const preprocess_block *steps = block->preprocess.items;
    for (uint32_t i = 0; i < block->preprocess.n; i++)
        if (steps[i].kind.kind == NULL || strcmp(steps[i].kind.kind->name, "filter") != 0)
            return false;
    return reader->base.is_cut;
}

void file_days_cut(const file_reader *reader, arena *arena, file_listing *listing)
{
    const incremental_block *block = &reader->base.block->incremental;
    mask *mask = NULL;
    uint32_t kept = 0;
    if (!file_days_known(reader))
        return;
    if (block->mask.value != NULL &&
        mask_compile(arena, block->mask.value, MASK_TIMESTAMP, &mask, NULL) != FRESHET_OK)
        return; /* its check says so */
    for (uint32_t i = 0; i < listing->n; i++) {
        const char *path = listing->items[i].path;
        span is;
        const bool known = block->from == INCREMENTAL_YEAR_MONTH_DAY
                               ? of_parts(arena, path, block, &is)
                               : of_column(arena, path, block, mask, &is);
        if (!known || (is.last_us >= reader->base.first_us && is.first_us <= reader->base.last_us))
            listing->items[kept++] = listing->items[i];
    }
    listing->n = kept;
}
