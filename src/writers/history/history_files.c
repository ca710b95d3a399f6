/* history_files.c - a piece of gathered rows into files that lie aside, by partition: history.c.
 *
 * A file is named part-<number>-<n>.parquet: n counts the files of that number in the partition.
 * The loop's thread gives the names (history_plan_files), so that they are in the order of the
 * pieces; the files are made by it or by another thread, and then become the writer's.
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
#define LARGE_BYTES ((size_t)32 << 20) /* of rows, in memory: such a file is not merged */
#define COUNTED_SPAN 65536             /* partitions between the first and the last of a piece */
#define STOP_US INT64_C(1000000)       /* so long a stop waits for files */

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

void history_note_partitions(history_piece *piece, const batch *from, uint32_t at)
{
    const history_writer *writer = piece->writer;
    const int64_t *times_us = from->columns[writer->time_column].data;
    int64_t day = INT64_MIN;
    int32_t partition = 0;
    for (uint32_t i = 0; i < from->n_rows; i++) {
        int64_t now = day_of(times_us[i]);
        if (now != day)
            partition = partition_of(writer, now);
        day = now;
        piece->partitions[at + i] = partition;
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

/* ---- planning -------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Rows by partition where these are not far apart, as days are: by counting. */
static freshet_code order_by_counts(history_piece *piece, uint32_t n, int32_t first, uint32_t span,
                                    uint32_t *order, freshet_error *err)
{
    uint32_t *ends = arena_zero(piece->arena, span + (size_t)1, sizeof *ends);
    if (ends == NULL)
        return error_memory(err, HISTORY_KEEPING);
    for (uint32_t i = 0; i < n; i++)
        ends[piece->partitions[i] - first + 1]++;
    for (uint32_t i = 1; i <= span; i++)
        ends[i] += ends[i - 1];
    for (uint32_t i = 0; i < n; i++)
        order[ends[piece->partitions[i] - first]++] = i;
    return FRESHET_OK;
}

static freshet_code order_by_sorting(history_piece *piece, uint32_t n, uint32_t *order,
                                     freshet_error *err)
{
    uint64_t *keys = arena_alloc(piece->arena, n * sizeof *keys);
    if (keys == NULL)
        return error_memory(err, HISTORY_KEEPING);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)((uint32_t)piece->partitions[i] ^ UINT32_C(0x80000000)) << 32 | i;
    qsort(keys, n, sizeof *keys, compare_numbers);
    for (uint32_t i = 0; i < n; i++)
        order[i] = (uint32_t)keys[i];
    return FRESHET_OK;
}

/* The rows in the order of their partitions, arrival within each. */
static freshet_code make_order(history_piece *piece, freshet_error *err)
{
    const uint32_t n = row_store_rows(piece->rows);
    const int32_t *partitions = piece->partitions;
    bool in_order = true;
    int32_t first = INT32_MAX, last = INT32_MIN;
    for (uint32_t i = 0; i < n; i++) {
        in_order = in_order && (i == 0 || partitions[i - 1] <= partitions[i]);
        first = partitions[i] < first ? partitions[i] : first;
        last = partitions[i] > last ? partitions[i] : last;
    }
    piece->order = NULL;
    if (in_order)
        return FRESHET_OK;
    uint32_t *order = arena_alloc(piece->arena, n * sizeof *order);
    if (order == NULL)
        return error_memory(err, HISTORY_KEEPING);
    piece->order = order;
    const int64_t span = (int64_t)last - first + 1;
    return span <= COUNTED_SPAN ? order_by_counts(piece, n, first, (uint32_t)span, order, err)
                                : order_by_sorting(piece, n, order, err);
}

static int32_t partition_at(const history_piece *piece, uint32_t i)
{
    return piece->partitions[piece->order == NULL ? i : piece->order[i]];
}

/* How many rows from number `first` on, in their order, are one file. */
static uint32_t count_of_file(const history_piece *piece, uint32_t first)
{
    const history_options *options = piece->writer->base.options;
    const uint32_t n_rows = row_store_rows(piece->rows);
    const int32_t partition = partition_at(piece, first);
    uint32_t n = 1;
    while (n < options->rows && first + n < n_rows && partition_at(piece, first + n) == partition)
        n++;
    return n;
}

static freshet_code plan_file(history_piece *piece, uint32_t first, uint32_t n, uint32_t *capacity,
                              freshet_error *err)
{
    history_writer *writer = piece->writer;
    const int32_t partition = partition_at(piece, first);
    const size_t bytes =
        (size_t)((double)row_store_bytes(piece->rows) * n / row_store_rows(piece->rows));
    partition_count *count = count_of(writer, partition);
    if (count == NULL || !arena_reserve(piece->arena, &piece->files, capacity,
                                        piece->n_files + UINT64_C(1), sizeof *piece->files))
        return error_memory(err, HISTORY_KEEPING);
    char *path = file_name(writer, partition, count->n_files);
    if (path == NULL)
        return error_memory(err, HISTORY_KEEPING);
    count->n_files++;
    piece->files[piece->n_files++] =
        (aside_file){.path = path, .n_rows = n, .is_large = bytes >= LARGE_BYTES};
    return FRESHET_OK;
}

/* A plan that cannot be finished for want of memory is begun anew: the numbers that it has used
 * are not used again. */
static void drop_plan(history_piece *piece)
{
    for (uint32_t i = 0; i < piece->n_files; i++)
        free(piece->files[i].path);
    piece->files = NULL;
    piece->n_files = piece->n_made = piece->n_filed = 0;
    piece->is_planned = false;
    piece->order = NULL;
    arena_reset(piece->arena);
}

freshet_code history_plan_files(history_piece *piece, freshet_error *err)
{
    const uint32_t n_rows = row_store_rows(piece->rows);
    uint32_t capacity = 0;
    if (piece->is_planned)
        return FRESHET_OK;
    drop_plan(piece);
    freshet_code code = make_order(piece, err);
    for (uint32_t row = 0, n; code == FRESHET_OK && row < n_rows; row += n) {
        n = count_of_file(piece, row);
        code = plan_file(piece, row, n, &capacity, err);
    }
    if (code == FRESHET_OK)
        piece->is_planned = true;
    else
        drop_plan(piece);
    return code;
}

/* ---- rows into files ------------------------------------------------------------------------- */

/* Makes a durable file of the rows, aside. */
static freshet_code write_file(const history_piece *piece, aside_file *file, const batch *rows,
                               const char *facts, freshet_error *err)
{
    const history_writer *writer = piece->writer;
    const char *path = history_folder_aside(writer->folder, piece->scratch, file->path);
    if (path == NULL)
        return error_memory(err, HISTORY_KEEPING);
    if (!writer->base.is_batch && history_folder_has(writer->folder, file->path))
        return error_set(
            err, FRESHET_FAILED, FRESHET_STOP, file->path,
            "the history in %s has a file %s already, from a run whose state is gone: move the old "
            "files away, or give the history another path",
            history_folder_path(writer->folder), file->path);
    freshet_code code =
        parquet_write(piece->parquet, rows, facts, path, &file->has_minus_zero, err);
    return code == FRESHET_OK ? history_folder_sync(path, err) : code;
}

static freshet_code make_file(history_piece *piece, freshet_error *err)
{
    aside_file *file = &piece->files[piece->n_made];
    const uint32_t first = piece->n_filed;
    const uint32_t *order = piece->order == NULL ? NULL : piece->order + first;
    batch part;
    const char *facts = NULL;
    arena_rewind(piece->scratch);
    freshet_code code =
        row_store_take(piece->rows, piece->scratch, order, first, file->n_rows, &part, err);
    if (code == FRESHET_OK)
        code = history_facts_of(&piece->facts, order, first, file->n_rows, &facts, err);
    if (code == FRESHET_OK)
        code = write_file(piece, file, &part, facts, err);
    if (code != FRESHET_OK)
        return code;
    piece->n_made++;
    piece->n_filed += file->n_rows;
    return FRESHET_OK;
}

/* What a batch has made is thrown away anyway; what a stream leaves out it reads again. */
bool history_gives_up(history_writer *writer)
{
    const freshet_writer *base = &writer->base;
    if (base->is_stopping == NULL || !base->is_stopping(base->context))
        return false;
    if (base->is_batch)
        return true;
    if (writer->stopping_us == 0)
        writer->stopping_us = os.monotonic_us();
    return os.monotonic_us() - writer->stopping_us > STOP_US;
}

freshet_code history_make_files(history_piece *piece, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && piece->n_made < piece->n_files)
        code = history_gives_up(piece->writer) ? error_stopped(err) : make_file(piece, err);
    return code;
}

freshet_code history_take_files(history_piece *piece, freshet_error *err)
{
    history_writer *writer = piece->writer;
    if (!array_reserve(&writer->files, &writer->files_capacity,
                       writer->n_files + (uint64_t)piece->n_files, sizeof *writer->files))
        return error_memory(err, HISTORY_KEEPING);
    if (piece->n_files > 0)
        memcpy(writer->files + writer->n_files, piece->files,
               piece->n_files * sizeof *writer->files);
    writer->n_files += piece->n_files;
    writer->n_kept += piece->n_filed;
    piece->n_files = 0; /* their paths are the writer's */
    drop_plan(piece);
    if (writer->base.is_batch) { /* as many come again */
        row_store_rewind(piece->rows);
    } else {
        row_store_clear(piece->rows);
        arena_reset(piece->scratch);
    }
    history_facts_clear(&piece->facts);
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
