/* history_files.c - gathered rows into files that lie aside, by partition; see history.c.
 *
 * A file is named part-<number>-<n>.parquet: n counts the files of that number in the partition.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"
#include "writers/history/history_internal.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define MERGE_FILES_MAX 256u
#define STOP_US INT64_C(1000000) /* so long a stop waits for files */

/* ---- partitions ------------------------------------------------------------------------------ */

static int64_t day_of(int64_t time_us)
{
    return time_us / DAY_US - (time_us % DAY_US < 0);
}

/* The first day of the partition that a day is in. */
static int32_t partition_of(const history_writer *writer, int64_t day)
{
    int64_t year;
    unsigned month, day_of_month;
    if (writer->levels == HISTORY_LEVELS)
        return (int32_t)day;
    date_civil(day, &year, &month, &day_of_month);
    return (int32_t)date_days(year, writer->levels == 1 ? 1 : month, 1);
}

void history_note_partitions(history_writer *writer, const batch *from, uint32_t at)
{
    const int64_t *times_us = from->columns[writer->time_column].data;
    int64_t day = INT64_MIN;
    int32_t partition = 0;
    for (uint32_t i = 0; i < from->n_rows; i++) {
        int64_t now = day_of(times_us[i]);
        if (now != day)
            partition = partition_of(writer, now);
        day = now;
        writer->partitions[at + i] = partition;
    }
}

/* malloc'd; NULL where memory is out. */
static char *file_name(const history_writer *writer, int32_t partition, uint32_t n)
{
    int64_t year;
    unsigned numbers[HISTORY_LEVELS] = {0};
    char name[160];
    assert(writer->levels <= HISTORY_LEVELS);
    date_civil(partition, &year, &numbers[1], &numbers[2]);
    int length = snprintf(name, sizeof name, "year=%" PRId64, year);
    for (uint32_t i = 1; i < writer->levels; i++)
        length += snprintf(name + length, sizeof name - (size_t)length, "/%s=%u",
                           history_level_names[i], numbers[i]);
    snprintf(name + length, sizeof name - (size_t)length,
             "/part-%016" PRIu64 "-%04" PRIu32 ".parquet", writer->number, n);
    return strdup(name);
}

/* The partition's count, a new one of 0 where there is none; NULL where memory is out. */
static partition_count *count_of(history_writer *writer, int32_t partition)
{
    uint32_t at = 0, end = writer->n_counts;
    while (at < end) {
        const uint32_t middle = at + (end - at) / 2;
        if (writer->counts[middle].partition < partition)
            at = middle + 1;
        else
            end = middle;
    }
    if (at < writer->n_counts && writer->counts[at].partition == partition)
        return &writer->counts[at];
    if (!array_reserve(&writer->counts, &writer->counts_capacity, writer->n_counts + UINT64_C(1),
                       sizeof *writer->counts))
        return NULL;
    memmove(writer->counts + at + 1, writer->counts + at,
            (writer->n_counts++ - at) * sizeof *writer->counts);
    writer->counts[at] = (partition_count){.partition = partition};
    return &writer->counts[at];
}

/* ---- rows into files ------------------------------------------------------------------------- */

/* Makes a durable file of the rows, aside. */
static freshet_code write_file(history_writer *writer, int32_t partition, const batch *rows,
                               const char *facts, freshet_error *err)
{
    partition_count *count = count_of(writer, partition);
    bool has_minus_zero = false;
    if (count == NULL)
        return error_memory(err, HISTORY_KEEPING);
    char *name = file_name(writer, partition, count->n_files);
    const char *path =
        name == NULL ? NULL : history_folder_aside(writer->folder, writer->scratch, name);
    freshet_code code = FRESHET_OK;
    if (path == NULL || !array_reserve(&writer->files, &writer->files_capacity,
                                       writer->n_files + UINT64_C(1), sizeof *writer->files))
        code = error_memory(err, HISTORY_KEEPING);
    else if (!writer->base.is_batch && history_folder_has(writer->folder, name))
        code = error_set(
            err, FRESHET_FAILED, FRESHET_STOP, name,
            "the history in %s has a file %s already, from a run whose state is gone: move the old "
            "files away, or give the history another path",
            history_folder_path(writer->folder), name);
    if (code == FRESHET_OK)
        code = parquet_write(writer->parquet, rows, facts, path, &has_minus_zero, err);
    if (code == FRESHET_OK)
        code = history_folder_sync(writer->folder, name, err);
    if (code != FRESHET_OK) {
        free(name);
        return code;
    }
    writer->files[writer->n_files++] =
        (aside_file){.path = name, .n_rows = rows->n_rows, .has_minus_zero = has_minus_zero};
    writer->n_kept += rows->n_rows;
    count->n_files++;
    return FRESHET_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The rows in the order of their partitions, arrival within each. */
static freshet_code make_order(history_writer *writer, freshet_error *err)
{
    uint32_t n = row_store_rows(writer->rows);
    const int32_t *partitions = writer->partitions;
    bool in_order = true;
    for (uint32_t i = 1; in_order && i < n; i++)
        in_order = partitions[i - 1] <= partitions[i];
    writer->order = NULL;
    if (in_order)
        return FRESHET_OK;
    uint32_t *order = arena_alloc(writer->spill, n * sizeof *order);
    uint64_t *keys = arena_alloc(writer->spill, n * sizeof *keys);
    if (order == NULL || keys == NULL)
        return error_memory(err, HISTORY_KEEPING);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)((uint32_t)partitions[i] ^ UINT32_C(0x80000000)) << 32 | i;
    qsort(keys, n, sizeof *keys, compare_numbers);
    for (uint32_t i = 0; i < n; i++)
        order[i] = (uint32_t)keys[i];
    writer->order = order;
    return FRESHET_OK;
}

static int32_t partition_at(const history_writer *writer, uint32_t i)
{
    return writer->partitions[writer->order == NULL ? i : writer->order[i]];
}

/* Makes a file of the next rows of one partition. */
static freshet_code spill_file(history_writer *writer, uint32_t n_rows, freshet_error *err)
{
    const history_options *options = writer->base.options;
    int32_t partition = partition_at(writer, writer->n_filed);
    uint32_t n = 1;
    while (n < options->rows && writer->n_filed + n < n_rows &&
           partition_at(writer, writer->n_filed + n) == partition)
        n++;
    batch part;
    const char *facts = NULL;
    const uint32_t *order = writer->order == NULL ? NULL : writer->order + writer->n_filed;
    arena_reset(writer->scratch);
    freshet_code code =
        row_store_take(writer->rows, writer->scratch, order, writer->n_filed, n, &part, err);
    if (code == FRESHET_OK)
        code = history_facts_of(&writer->facts, order, writer->n_filed, n, &facts, err);
    if (code == FRESHET_OK)
        code = write_file(writer, partition, &part, facts, err);
    if (code == FRESHET_OK)
        writer->n_filed += n;
    return code;
}

/* Between two files, of which there may be a great many: does a stop not wait for the rest? What a
 * batch has made is thrown away anyway; what a stream leaves out it reads again. */
static bool gives_up(history_writer *writer)
{
    const freshet_writer *base = &writer->base;
    if (base->is_stopping == NULL || !base->is_stopping(base->context))
        return false;
    if (writer->stopping_us == 0)
        writer->stopping_us = os.monotonic_us();
    return base->is_batch || os.monotonic_us() - writer->stopping_us > STOP_US;
}

/* Makes files of all gathered rows. */
freshet_code history_spill(history_writer *writer, freshet_error *err)
{
    uint32_t n_rows = row_store_rows(writer->rows);
    freshet_code code = FRESHET_OK;
    if (!writer->is_spilling) {
        arena_reset(writer->spill);
        code = make_order(writer, err);
        if (code != FRESHET_OK)
            return code;
        writer->n_filed = 0;
        writer->is_spilling = true;
    }
    while (code == FRESHET_OK && writer->n_filed < n_rows)
        code = gives_up(writer) ? error_stopped(err) : spill_file(writer, n_rows, err);
    if (code != FRESHET_OK)
        return code;
    row_store_clear(writer->rows);
    history_facts_clear(&writer->facts);
    writer->is_spilling = false;
    return FRESHET_OK;
}

/* Names of files begin anew with each checkpoint. */
void history_note_checkpoint(history_writer *writer)
{
    if (!writer->has_checkpoints || writer->number == writer->base.checkpoint)
        return;
    writer->number = writer->base.checkpoint;
    writer->n_counts = 0;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* A batch whose rows come in any order of days has small files of each: at its end neighbours are
 * merged, as long as a file does not become too large. */

#define MERGED_NAME "merged.parquet" /* aside only */

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const aside_file *)a)->path, ((const aside_file *)b)->path);
}

/* How many files from `first` on can become one, of *n_rows rows. */
static uint32_t count_mergeable(const history_writer *writer, uint32_t first, uint32_t *n_rows)
{
    const history_options *options = writer->base.options;
    const aside_file *files = writer->files;
    uint32_t n = 1;
    *n_rows = files[first].n_rows;
    while (first + n < writer->n_files && n < MERGE_FILES_MAX &&
           history_same_partition(files[first].path, files[first + n].path) &&
           *n_rows + files[first + n].n_rows <= options->rows)
        *n_rows += files[first + n++].n_rows;
    return n;
}

/* Makes one of n files; it gets the name of the first, and stands in their place. */
static freshet_code merge(history_writer *writer, uint32_t first, uint32_t n, uint32_t n_rows,
                          freshet_error *err)
{
    const char *paths[MERGE_FILES_MAX], *facts = NULL;
    aside_file *files = writer->files + first;
    arena_reset(writer->scratch);
    const char *merged = history_folder_aside(writer->folder, writer->scratch, MERGED_NAME);
    for (uint32_t i = 0; i < n; i++) {
        paths[i] = history_folder_aside(writer->folder, writer->scratch, files[i].path);
        files[0].has_minus_zero |= files[i].has_minus_zero;
        if (paths[i] == NULL || merged == NULL)
            return error_memory(err, HISTORY_KEEPING);
    }
    freshet_code code = history_facts_of(&writer->facts, NULL, 0, 0, &facts, err);
    if (code == FRESHET_OK)
        code = parquet_merge(writer->parquet, paths, n, n_rows, files[0].has_minus_zero, facts,
                             merged, err);
    if (code == FRESHET_OK)
        code = history_folder_sync(writer->folder, MERGED_NAME, err);
    if (code == FRESHET_OK)
        code = history_folder_put(writer->folder, merged, files[0].path, err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 1; i < n; i++) {
        os.unlink(paths[i]); /* what stays is removed with the next run's first row */
        free(files[i].path);
    }
    files[0].n_rows = n_rows;
    writer->n_files -= n - 1;
    memmove(files + 1, files + n, (writer->n_files - first - 1) * sizeof *files);
    return FRESHET_OK;
}

freshet_code history_merge_files(history_writer *writer, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (writer->n_files > 1)
        qsort(writer->files, writer->n_files, sizeof *writer->files, compare_files);
    for (uint32_t first = 0; code == FRESHET_OK && first < writer->n_files; first++) {
        uint32_t n_rows, n = count_mergeable(writer, first, &n_rows);
        if (n > 1)
            code = merge(writer, first, n, n_rows, err);
    }
    return code;
}
