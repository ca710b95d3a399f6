/* bootstrap_prepare.c - the past of a reader, sorted by time into one file; and the seam: which
 * rows that come live are the past's. See bootstrap.h.
 *
 * The dump's rows are gathered in memory (base/row_store.h), with the time that the query gives
 * them and a number of their order; when they are many they go to a Parquet file aside. At the end
 * DuckDB sorts these files into one, with a limit of its memory and a folder to spill to. A row to
 * which the query gives no time stays behind the one before it, as in a merge.
 */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/row_store.h"
#include "pipeline/bootstrap.h"
#include "state/folder.h"
#include "writers/history/parquet_file.h"

#define CHUNK_ROWS 1000000u
#define CHUNK_BYTES ((size_t)256 << 20)
#define CHUNKS_MAX 65536u
#define AHEAD_US INT64_C(86400000000)
#define TIME_COLUMN "__freshet_us"
#define ORDER_COLUMN "__freshet_seq"
#define SPILLED "duckdb_temp_" /* how DuckDB's files of a sort begin, which a kill leaves */
#define GATHER_WAIT_US INT64_C(200000)

typedef struct gathering {
    bootstrap *of;
    freshet_pipeline *pipeline;
    arena *arena;  /* of one chunk */
    schema schema; /* of the files aside: the reader's, and time and order */
    row_store *store;
    parquet_writer *parquet;
    const char **chunks;
    uint32_t n_chunks;
    bool has_minus_zero;
    int64_t n_rows;
    int64_t last_us; /* the time of the row before */
    int64_t newest_us;
    text_buffer scratch;
} gathering;

/* ---- the folder ------------------------------------------------------------------------------ */

/* Where its files lie: beside the state, or in a folder for this run. */
static freshet_code find_folder(bootstrap *of, freshet_error *err)
{
    arena *arena = of->pipeline->arena;
    const char *state = checkpoint_folder_in_use(of->pipeline);
    const char *below = getenv("TMPDIR");
    char real[PATH_MAX];
    char *folder = state != NULL ? arena_format(arena, "%s/" FOLDER_SPOOL, state)
                                 : arena_format(arena, "%s/freshet-bootstrap-XXXXXX",
                                                below == NULL || below[0] == '\0' ? "/tmp" : below);
    if (folder == NULL)
        return error_memory(err, BOOTSTRAPPING);
    of->is_temporary = state == NULL;
    if (state == NULL ? mkdtemp(folder) == NULL
                      : os.mkdir(folder, 0777) != 0 && access(folder, W_OK) != 0)
        return error_system(err, "cannot make the folder of the bootstrap", folder);
    if (realpath(folder, real) == NULL)
        return error_system(err, "cannot find", folder);
    of->folder = arena_text(arena, real);
    of->path = arena_format(arena, "%s/bootstrap-%s.parquet", real, of->base.block->id.value);
    return of->folder == NULL || of->path == NULL ? error_memory(err, BOOTSTRAPPING) : FRESHET_OK;
}

void bootstrap_remove(bootstrap *of)
{
    char prefix[160], path[PATH_MAX];
    if (of->folder == NULL || of->is_removed)
        return;
    snprintf(prefix, sizeof prefix, "bootstrap-%s.", of->base.block->id.value);
    DIR *folder = opendir(of->folder);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if ((strncmp(entry->d_name, prefix, strlen(prefix)) != 0 &&
             strncmp(entry->d_name, SPILLED, strlen(SPILLED)) != 0) ||
            snprintf(path, sizeof path, "%s/%s", of->folder, entry->d_name) >= (int)sizeof path)
            continue;
        os.unlink(path);
    }
    if (folder != NULL)
        closedir(folder);
    of->is_removed = true;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static freshet_code make_schema(gathering *it, freshet_error *err)
{
    const schema *from = &it->of->base.schema;
    arena *arena = it->pipeline->arena;
    field *fields = arena_zero(arena, from->n_fields + (size_t)2, sizeof *fields);
    if (fields == NULL)
        return error_memory(err, BOOTSTRAPPING);
    memcpy(fields, from->fields, from->n_fields * sizeof *fields);
    fields[from->n_fields] = (field){.name = TIME_COLUMN, .type = type_simple(TYPE_BIGINT)};
    fields[from->n_fields + 1] = (field){.name = ORDER_COLUMN, .type = type_simple(TYPE_BIGINT)};
    it->schema = (schema){.fields = fields, .n_fields = from->n_fields + 2};
    return FRESHET_OK;
}

/* The dump's rows as those of the reader: columns by name, null where there are none. */
static freshet_code adopt(const gathering *it, const batch *read, batch *out, freshet_error *err)
{
    const schema *wanted = &it->of->base.schema;
    freshet_code code = batch_init(out, it->pipeline->step_arena, wanted, read->n_rows, err);
    if (code == FRESHET_OK)
        code = batch_reserve(out, read->n_rows + UINT64_C(1), BOOTSTRAPPING, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < wanted->n_fields; i++) {
        const int64_t at = schema_find(&read->schema, wanted->fields[i].name);
        if (at >= 0)
            out->columns[i] = read->columns[at];
        for (uint32_t row = 0; at < 0 && row < read->n_rows; row++)
            if (!column_set_null(out->arena, &out->columns[i], row))
                return error_memory(err, BOOTSTRAPPING);
    }
    out->origins = read->origins;
    out->n_rows = read->n_rows;
    return code;
}

/* The times of the reader's rows; INT64_MIN of one that has none. */
static freshet_code find_times(const gathering *it, batch *rows, int64_t *into, freshet_error *err)
{
    freshet_pipeline *pipeline = it->pipeline;
    batch *batches[PIPELINE_READERS_MAX] = {NULL}, out = {.arena = pipeline->step_arena};
    rejects ignored = {.arena = pipeline->step_arena};
    const int64_t latest_us = os.now_us() + AHEAD_US;
    int64_t *times = NULL;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        into[i] = INT64_MIN;
    batches[it->of->base.index] = rows;
    freshet_code code =
        source_try(pipeline->source, pipeline->step_arena, batches, &out, &ignored, err);
    if (code == FRESHET_OK && out.n_rows > 0)
        code = feature_set_times(pipeline->features, pipeline->step_arena, &out, &times, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < out.n_rows; i++) {
        int64_t *us = &into[ROW_INDEX(out.rows[i])];
        if (times[i] > *us && times[i] <= latest_us)
            *us = times[i];
    }
    return code;
}

/* Makes a file of the rows that are gathered. */
static freshet_code write_chunk(gathering *it, freshet_error *err)
{
    const uint32_t n = row_store_rows(it->store);
    batch rows;
    bool has_minus_zero = false;
    if (n == 0)
        return FRESHET_OK;
    if (it->n_chunks == CHUNKS_MAX)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, it->of->base.block->id.value,
                         "the bootstrap has more than %u million rows", CHUNKS_MAX);
    arena_reset(it->arena);
    const char *path = arena_format(it->pipeline->arena, "%s/bootstrap-%s.%u.parquet",
                                    it->of->folder, it->of->base.block->id.value, it->n_chunks);
    if (path == NULL)
        return error_memory(err, BOOTSTRAPPING);
    freshet_code code = row_store_take(it->store, it->arena, NULL, 0, n, &rows, err);
    if (code == FRESHET_OK)
        code = parquet_write(it->parquet, &rows, NULL, path, &has_minus_zero, err);
    if (code != FRESHET_OK)
        return code;
    it->chunks[it->n_chunks++] = path;
    it->has_minus_zero |= has_minus_zero;
    row_store_clear(it->store);
    return FRESHET_OK;
}

/* Adds those of the rows that are the past's. */
static freshet_code gather_rows(gathering *it, batch *rows, freshet_error *err)
{
    bootstrap *of = it->of;
    arena *arena = it->pipeline->step_arena;
    const uint32_t n_fields = rows->schema.n_fields;
    int64_t *times = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *times);
    int64_t *order = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *order);
    uint32_t *chosen = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *chosen);
    column *columns = arena_zero(arena, n_fields + (size_t)2, sizeof *columns);
    uint32_t n = 0;
    if (times == NULL || order == NULL || chosen == NULL || columns == NULL)
        return error_memory(err, BOOTSTRAPPING);
    freshet_code code = find_times(it, rows, times, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < rows->n_rows; i++) {
        if (times[i] != INT64_MIN && times[i] >= of->until_us)
            continue;
        const int64_t us = times[i];
        if (us > it->newest_us)
            it->newest_us = us;
        if (us == INT64_MIN)
            times[i] = it->last_us;
        it->last_us = times[i];
        order[i] = it->n_rows++;
        chosen[n++] = i;
        same_hash hash;
        if (of->block->same.n > 0 &&
            (!same_of(of, rows, i, &it->scratch, &hash) || !same_add(of, us, &hash, it->newest_us)))
            return error_memory(err, BOOTSTRAPPING);
    }
    if (code != FRESHET_OK || n == 0)
        return code;
    memcpy(columns, rows->columns, n_fields * sizeof *columns);
    columns[n_fields] =
        (column){.type = type_simple(TYPE_BIGINT), .data = times, .capacity = rows->n_rows};
    columns[n_fields + 1] =
        (column){.type = type_simple(TYPE_BIGINT), .data = order, .capacity = rows->n_rows};
    batch extended = {
        .arena = arena, .schema = it->schema, .columns = columns, .n_rows = rows->n_rows};
    if (row_store_rows(it->store) + n > CHUNK_ROWS || row_store_bytes(it->store) >= CHUNK_BYTES)
        code = write_chunk(it, err);
    return code == FRESHET_OK ? row_store_add(it->store, &extended, chosen, n, err) : code;
}

/* Letters of the dump tell that they are. */
static freshet_code name_rejects(const gathering *it, freshet_error *err)
{
    rejects *rejects = &it->pipeline->rejects;
    for (uint32_t i = 0; i < rejects->n; i++) {
        reject *each = &rejects->items[i];
        each->partition = arena_format(rejects->arena, BOOTSTRAP_LETTERS "%s",
                                       each->partition == NULL ? "" : each->partition);
        if (each->partition == NULL)
            return error_memory(err, BOOTSTRAPPING);
    }
    pipeline_count(it->pipeline, FRESHET_ROWS_READ, rejects->n);
    return pipeline_write_letters(it->pipeline, err);
}

static freshet_code gather_all(gathering *it, freshet_error *err)
{
    freshet_pipeline *pipeline = it->pipeline;
    freshet_reader *dump = it->of->dump;
    freshet_code polled = FRESHET_OK;
    while (polled != FRESHET_END) {
        batch read, rows;
        bool more = false;
        arena_reset(pipeline->step_arena);
        pipeline->rejects = (rejects){.arena = pipeline->step_arena};
        freshet_code code =
            batch_init(&read, pipeline->step_arena, &dump->schema, STEP_ROWS_MAX, err);
        if (code != FRESHET_OK)
            return code;
        polled = dump->ops->poll(dump, &read, STEP_ROWS_MAX, STEP_BYTES_MAX, &pipeline->rejects,
                                 &more, err);
        if (polled != FRESHET_OK && polled != FRESHET_END)
            return polled;
        if (polled != FRESHET_END && atomic_load(&pipeline->stop))
            return error_stopped(err);
        code = adopt(it, &read, &rows, err);
        if (code == FRESHET_OK && rows.n_rows > 0)
            code = gather_rows(it, &rows, err);
        if (code == FRESHET_OK)
            code = name_rejects(it, err);
        if (code != FRESHET_OK)
            return code;
        atomic_store(&pipeline->counters[FRESHET_BOOTSTRAP_ROWS], it->n_rows);
        if (polled == FRESHET_OK && !more && read.n_rows == 0) /* it may be far away */
            os.poll(NULL, 0, (int)(GATHER_WAIT_US / 1000));
    }
    return write_chunk(it, err);
}

static freshet_code gather_sort(gathering *it, freshet_error *err)
{
    const parquet_order order = {.by = TIME_COLUMN, .then = ORDER_COLUMN, .folder = it->of->folder};
    freshet_code code = parquet_sort(it->parquet, it->chunks, it->n_chunks, it->n_rows,
                                     it->has_minus_zero, &order, it->of->path, err);
    if (code == FRESHET_OK && (!durable_path(it->of->path) || !durable_entry(it->of->path)))
        code = error_system(err, "cannot make durable", it->of->path);
    for (uint32_t i = 0; i < it->n_chunks; i++)
        os.unlink(it->chunks[i]);
    return code;
}

static freshet_code gather_open(gathering *it, freshet_error *err)
{
    freshet_reader *dump = it->of->dump;
    text_init(&it->scratch, TEXT_LIMIT_DEFAULT);
    it->arena = arena_open();
    it->chunks = calloc(CHUNKS_MAX, sizeof *it->chunks);
    if (it->arena == NULL || it->chunks == NULL)
        return error_memory(err, BOOTSTRAPPING);
    freshet_code code = make_schema(it, err);
    if (code == FRESHET_OK)
        code = row_store_open(&it->schema, &it->store, err);
    if (code == FRESHET_OK)
        code = parquet_open(&it->schema, PARQUET_SNAPPY, &it->parquet, err);
    return code == FRESHET_OK ? dump->ops->open(dump, NULL, err) : code;
}

static void gather_close(gathering *it)
{
    parquet_close(it->parquet);
    row_store_close(it->store);
    arena_close(it->arena);
    free(it->chunks);
    text_release(&it->scratch);
}

static freshet_code prepare_one(bootstrap *of, freshet_error *err)
{
    const int64_t begun_us = os.monotonic_us();
    gathering it = {
        .of = of, .pipeline = of->pipeline, .last_us = INT64_MIN, .newest_us = INT64_MIN};
    char where[256];
    if (of->dump_problem != NULL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                         place_text(&of->block->kind.at, where, sizeof where), "%s",
                         of->dump_problem);
    bootstrap_remove(of);
    of->is_removed = false;
    same_release(&of->rows);
    freshet_code code = gather_open(&it, err);
    if (code == FRESHET_OK)
        code = gather_all(&it, err);
    of->mark.newest_us = it.newest_us;
    if (code == FRESHET_OK && it.n_rows > 0)
        code = gather_sort(&it, err);
    if (code == FRESHET_OK)
        same_end(of);
    gather_close(&it);
    if (code != FRESHET_OK)
        return code;
    of->dump->ops->close(of->dump);
    of->is_dump_described = false;
    of->mark.total = it.n_rows;
    of->is_prepared = of->pipeline->is_sorted_anew = true;
    of->is_past = it.n_rows > 0;
    log_event(BOOTSTRAP_SORTED, of->base.block->id.value, (long long)it.n_rows,
              it.n_rows == 1 ? "" : "s", (double)(os.monotonic_us() - begun_us) / 1e6);
    return FRESHET_OK;
}

static freshet_code check_sorted(const bootstrap *of, freshet_error *err)
{
    if (!of->is_past || access(of->path, R_OK) == 0)
        return FRESHET_OK;
    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, of->path,
        "the state says that rows %lld to %lld of the bootstrap are still to come, and "
        "the file that has them is gone: put back the state folder as a whole; or "
        "begin anew: move away what the writers hold and `freshet state reset`",
        (long long)of->passed + 1, (long long)of->mark.total);
}

static void count_left(const freshet_pipeline *pipeline, int64_t left, int64_t all)
{
    atomic_store(&((freshet_pipeline *)pipeline)->counters[FRESHET_BOOTSTRAP_LEFT], left);
    atomic_store(&((freshet_pipeline *)pipeline)->counters[FRESHET_BOOTSTRAP_ROWS], all);
}

freshet_code bootstrap_prepare(freshet_pipeline *pipeline, freshet_error *err)
{
    int64_t left = 0, all = 0;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        bootstrap *of = pipeline->bootstraps[i];
        reader_positions from;
        if (of == NULL)
            continue;
        freshet_code code = of->folder == NULL ? find_folder(of, err) : FRESHET_OK;
        if (code == FRESHET_OK && !of->is_prepared) {
            count_left(pipeline, -1, 0);
            code = checkpoint_positions(pipeline, i, &from, err);
            if (code == FRESHET_OK)
                code = bootstrap_take_positions(of, &from, err);
            if (code == FRESHET_OK && !of->is_prepared)
                code = prepare_one(of, err);
            else if (code == FRESHET_OK)
                code = check_sorted(of, err);
        }
        if (code != FRESHET_OK)
            return code;
        all += of->mark.total;
        left += of->is_past ? of->mark.total - of->passed : 0;
    }
    count_left(pipeline, left, all);
    arena_reset(pipeline->step_arena);
    pipeline->rejects = (rejects){.arena = pipeline->step_arena};
    pipeline->is_bootstrapped = true;
    return FRESHET_OK;
}

/* ---- the seam -------------------------------------------------------------------------------- */

static bool is_pasts(bootstrap *of, const batch *read, uint32_t row, int64_t us,
                     text_buffer *scratch, bool *no_memory)
{
    same_hash hash;
    if (read->origins[row].partition == 0)
        return false;
    if (of->block->same.n == 0)
        return of->until_us != INT64_MAX && us < of->until_us;
    if (us < same_bound(of))
        return true;
    *no_memory |= !same_of(of, read, row, scratch, &hash);
    return !*no_memory && same_has(of, &hash);
}

/* Rows of the past that were given in this step. */
static void note_past(freshet_pipeline *pipeline, const batch *rows)
{
    int64_t n = 0;
    uint64_t last = UINT64_MAX;
    for (uint32_t i = 0; rows->rows != NULL && i < rows->n_rows; i++) {
        const uint32_t reader = ROW_READER(rows->rows[i]);
        if (rows->rows[i] == last || pipeline->bootstraps[reader] == NULL)
            continue;
        last = rows->rows[i];
        n += pipeline->readers[reader].batch->origins[ROW_INDEX(last)].partition == 0;
    }
    int64_t left = atomic_load(&pipeline->counters[FRESHET_BOOTSTRAP_LEFT]);
    bool is_past = false;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        is_past = is_past || (pipeline->bootstraps[i] != NULL && pipeline->bootstraps[i]->is_past);
    left = left > n ? left - n : 0;
    atomic_store(&pipeline->counters[FRESHET_BOOTSTRAP_LEFT], !is_past ? 0 : left > 0 ? left : 1);
}

freshet_code bootstrap_tell_apart(freshet_pipeline *pipeline, batch *rows, freshet_error *err)
{
    int64_t *times = NULL;
    bool applies = false, no_memory = false;
    text_buffer scratch;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const bootstrap *of = pipeline->bootstraps[i];
        applies = applies || (of != NULL && of->is_live_open &&
                              (of->block->same.n > 0 || of->until_us != INT64_MAX));
    }
    note_past(pipeline, rows);
    if (!applies || rows->n_rows == 0 || rows->rows == NULL)
        return FRESHET_OK;
    uint8_t *keep = arena_alloc(pipeline->step_arena, rows->n_rows);
    freshet_code code = keep == NULL ? error_memory(err, BOOTSTRAPPING)
                                     : feature_set_times(pipeline->features, pipeline->step_arena,
                                                         rows, &times, err);
    if (code != FRESHET_OK)
        return code;
    assert(keep != NULL && times != NULL); /* both are there, since there are rows */
    text_init(&scratch, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        bootstrap *of = pipeline->bootstraps[ROW_READER(rows->rows[i])];
        const batch *read = pipeline->readers[ROW_READER(rows->rows[i])].batch;
        keep[i] = of == NULL || times[i] == INT64_MIN ||
                  !is_pasts(of, read, ROW_INDEX(rows->rows[i]), times[i], &scratch, &no_memory);
        pipeline->n_left_out += !keep[i];
    }
    text_release(&scratch);
    return no_memory ? error_memory(err, BOOTSTRAPPING) : batch_select(rows, keep, rows, err);
}

freshet_code bootstrap_check_positions(const freshet_pipeline *pipeline, uint32_t reader,
                                       reader_positions *from, freshet_error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < from->n; i++) {
        bootstrap_mark mark;
        if (strcmp(from->items[i].name, BOOTSTRAP_POSITION) != 0 ||
            from->items[i].mark_length < sizeof mark) {
            from->items[n++] = from->items[i];
            continue;
        }
        memcpy(&mark, from->items[i].mark, sizeof mark);
        if (from->items[i].offset < mark.total)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                "the bootstrap of the reader \"%s\" has %lld rows that are still to come, and the "
                "declaration has none any more: put `bootstrap` back; or begin anew: move away "
                "what the writers hold and `freshet state reset`",
                pipeline->readers[reader].reader->block->id.value,
                (long long)(mark.total - from->items[i].offset));
    }
    from->n = n;
    return FRESHET_OK;
}
