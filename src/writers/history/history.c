/* history.c - the writer `history`: every feature row, in Parquet files by day.
 *
 * Rows are gathered in memory (base/row_store.h) with the number of their partition, until they are
 * many or must be kept; then they are brought in the order of their partitions, arrival kept within
 * each, and every partition's rows become a file (parquet_file.h) that lies aside
 * (history_folder.h). Such rows are a piece (history_pieces.c), and a batch has threads that make
 * files of one while the next is gathered. A piece that fails stays as it is, with a note of how
 * many of its files are there, and the next call goes on there: no row is written twice.
 *
 * When the files come to be seen depends on who drives:
 *
 *   a batch       at its end all at once: pending (which also merges small files), then publish;
 *                 its partitions replace those that are there, all with `interval_mode: false`
 *   checkpoints   pending before and publish after the checkpoint that lists them; recover at the
 *                 start says that it will be so
 *   neither       at each flush
 *
 * A file is named part-<number>-<n>.parquet: the number is the checkpoint's, 0 in a batch (so that
 * the next run's file takes its place in one rename), the time of the start where there are no
 * checkpoints; n counts the files of that number in the partition.
 */
#include "writers/history/history.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "writers/history/history_columns.h"
#include "writers/history/history_internal.h"

/* ---- options --------------------------------------------------------------------------------- */

const char *const history_level_names[HISTORY_LEVELS] = {"year", "month", "day"};
static const char *const layout_names[] = {"folder", "butterfree", NULL};
static const char *const format_names[] = {"parquet", NULL};
static const char *const compression_names[] = {"zstd", "snappy", NULL};

static const option option_table[] = {
    {OPTION("path", TEXT, history_options, path), .required = true,
     .doc = "The folder of the history; it is made where there is none. The files lie in folders "
            "below it, as `year=2024/month=5/day=1`.",
     .example = "out/airport_delays"},
    {OPTION("layout", CHOICE, history_options, layout), .standard = "folder",
     .choices = layout_names,
     .doc = "`folder`: `path` is the feature set's own folder. `butterfree`: `path` is the root "
            "that Butterfree's store has, and the folder is `historical/ENTITY/FEATURE_SET` below "
            "it."},
    {OPTION("format", CHOICE, history_options, format), .standard = "parquet",
     .choices = format_names, .doc = "The files' format."},
    {OPTION("partition_by", TEXTS, history_options, partition_by),
     .doc = "How rows are divided into folders, by their timestamp in UTC: `[year]`, `[year, "
            "month]` or `[year, month, day]`, which is the default. These columns are in the "
            "folders' names, not in the files.",
     .example = "[year, month]"},
    {OPTION("corrections", BOOLEAN, history_options, corrections), .standard = "false",
     .doc = "`true`: a row that a late event has changed is written again, behind the one that was "
            "written before. `false`: each row is there once, as it first was."},
    {OPTION("interval_mode", BOOLEAN, history_options, interval_mode), .standard = "true",
     .doc =
         "Which partitions a batch replaces: with `true` those that it has rows of, with `false` "
         "all that are there, so that its rows are the whole history. A batch without rows "
         "replaces nothing. Butterfree's default is `False`. A stream only adds."},
    {OPTION("compression", CHOICE, history_options, compression), .standard = "zstd",
     .choices = compression_names, .doc = "How the files are compressed."},
    {OPTION("rows", INTEGER, history_options, rows), .standard = "1000000", .minimum = 1,
     .maximum = HISTORY_FILE_ROWS_MAX,
     .doc = "How many rows are gathered before files are made of them; no file has more."},
    {OPTION("memory", BYTES, history_options, memory), .standard = "256 MiB",
     .minimum = INT64_C(1) << 20, .maximum = INT64_C(1) << 40,
     .doc = "How much memory the gathered rows may take before files are made of them."},
    {.name = NULL},
};

static void history_check_options(void *block, const place *at, problems *problems)
{
    const declared_list *levels = &((const history_options *)block)->partition_by;
    (void)at;
    for (uint32_t i = 0; i < levels->n; i++) {
        const declared_text *level = &levels->items[i];
        if (level->value == NULL)
            continue;
        if (i < HISTORY_LEVELS && strcmp(level->value, history_level_names[i]) == 0)
            continue;
        problem_add(problems, &level->at,
                    "partition_by must be [year], [year, month] or [year, month, day], and \"%s\" "
                    "cannot stand here",
                    level->value);
        return;
    }
}

static void check_partition_name(const history_options *options, const declared_text *name,
                                 problems *problems)
{
    const uint32_t n = options->partition_by.n == 0 ? HISTORY_LEVELS : options->partition_by.n;
    for (uint32_t i = 0; i < n && i < HISTORY_LEVELS && name->value != NULL; i++)
        if (strcasecmp(name->value, history_level_names[i]) == 0)
            problem_add(
                problems, &name->at,
                "\"%s\" is the name of a folder of the history (%s=...), which readers take "
                "for a column: call it otherwise, as in {name: %s_of_event, from: %s}, or "
                "leave \"%s\" out of partition_by",
                name->value, history_level_names[i], name->value, name->value,
                history_level_names[i]);
}

/* What history_open would refuse, with its place. */
static void history_check(const void *checked, const declaration *declaration, const place *at,
                          problems *problems)
{
    const history_options *options = checked;
    const feature_set_block *set = &declaration->feature_set;
    const key_block *keys = set->keys.items;
    const feature_block *features = set->features.items;
    if (!options->interval_mode && declaration->is_stream)
        problem_add(problems, at,
                    "a stream adds to its history and replaces nothing, so `interval_mode: false` "
                    "is for batches: take it away; or, to begin the stream's history anew, move "
                    "its folder and the state away");
    for (uint32_t i = 0; i < set->keys.n; i++)
        if (key_is_column(&keys[i]))
            check_partition_name(options, &keys[i].name, problems);
    for (uint32_t i = 0; i < set->features.n; i++)
        if (feature_is_column(&features[i]))
            check_partition_name(options, &features[i].name, problems);
}

/* ---- opening --------------------------------------------------------------------------------- */

const char *history_path(const void *options, const declaration *declaration, arena *arena,
                         bool *has_corrections)
{
    const history_options *declared = options;
    *has_corrections = declared->corrections;
    const char *path = declaration_path(declaration, arena, declared->path.value);
    if (path == NULL || declared->layout != LAYOUT_BUTTERFREE)
        return path;
    return arena_format(arena, "%s/historical/%s/%s", path, declaration->feature_set.entity.value,
                        declaration->feature_set.name.value);
}

static freshet_code history_check_columns(const history_writer *writer, const schema *schema,
                                          freshet_error *err)
{
    const declaration *declaration = writer->base.declaration;
    const history_options *options = writer->base.options;
    if (options->layout == LAYOUT_BUTTERFREE && declaration->feature_set.entity.value == NULL)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
            "`layout: butterfree` needs the feature set's `entity`, which names a folder");
    assert(writer->levels <= HISTORY_LEVELS); /* check_options */
    for (uint32_t i = 0; i < writer->levels; i++)
        if (schema_find(schema, history_level_names[i]) >= 0)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                "the feature or key \"%s\" has the name of a partition of the history: call it "
                "otherwise, or leave \"%s\" out of partition_by",
                history_level_names[i], history_level_names[i]);
    return FRESHET_OK;
}

/* Does this run put its rows in the place of all that is there? */
static bool replaces_all(const history_writer *writer)
{
    const history_options *options = writer->base.options;
    return writer->base.is_batch && !options->interval_mode;
}

/* Do the files fit that are there, and stay? `replacing`: those of a batch at its end; NULL: at the
 * start, where a batch may still replace them all. */
static freshet_code check_files(const history_writer *writer, const writer_files *replacing,
                                freshet_error *err)
{
    const freshet_writer *base = &writer->base;
    char where[256];
    const history_columns check = {.path = history_folder_path(writer->folder),
                                   .parquet = writer->parquet,
                                   .written = replacing == NULL ? NULL : replacing->paths,
                                   .n_written = replacing == NULL ? 0 : replacing->n,
                                   .at = base->at == NULL
                                             ? history_folder_path(writer->folder)
                                             : place_text(base->at, where, sizeof where),
                                   .warns_only = base->is_batch && replacing == NULL,
                                   .is_again = replacing != NULL};
    return writer->found.is_empty || replaces_all(writer) ? FRESHET_OK
                                                          : history_columns_check(&check, err);
}

static freshet_code history_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                                 freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    const history_options *options = base->options;
    writer->levels = options->partition_by.n == 0 ? HISTORY_LEVELS : options->partition_by.n;
    writer->time_column = n_keys;
    freshet_code code = history_check_columns(writer, schema, err);
    if (code != FRESHET_OK)
        return code;
    writer->scratch = arena_open();
    const char *path = history_path(options, base->declaration, base->arena, &(bool){false});
    if (writer->scratch == NULL || path == NULL)
        return error_memory(err, HISTORY_KEEPING);
    code = history_folder_open(path, &writer->folder, err);
    if (code == FRESHET_OK)
        code = history_folder_look(writer->folder, &writer->found, err);
    if (code == FRESHET_OK && !replaces_all(writer))
        code = history_check_levels(writer, err);
    if (code == FRESHET_OK && base->is_batch)
        code = history_check_batch(writer, err);
    if (code == FRESHET_OK)
        code = history_pieces_open(writer, schema, err);
    return code == FRESHET_OK ? check_files(writer, NULL, err) : code;
}

freshet_code history_compare(const void *options, const declaration *declaration, const place *at,
                             const schema *schema, arena *arena, const char **path,
                             freshet_error *err)
{
    const history_options *declared = options;
    const char *newest = NULL;
    parquet_writer *parquet = NULL;
    char where[256];
    *path = history_path(options, declaration, arena, &(bool){false});
    if (*path == NULL)
        return error_memory(err, HISTORY_KEEPING);
    if (access(*path, F_OK) != 0)
        return FRESHET_END;
    if (!declared->interval_mode)
        return FRESHET_OK; /* nothing of it stays */
    freshet_code code = history_folder_newest(*path, NULL, 0, arena, &newest, err);
    if (code != FRESHET_OK || newest == NULL)
        return code == FRESHET_OK ? FRESHET_END : code;
    code = parquet_open(schema, (parquet_compression)declared->compression, &parquet, err);
    const history_columns check = {
        .path = *path, .parquet = parquet, .at = place_text(at, where, sizeof where)};
    if (code == FRESHET_OK)
        code = history_columns_check(&check, err);
    parquet_close(parquet);
    return code;
}

/* Before the first row: what a run before left aside goes, unless checkpoints know more of it. */
static freshet_code make_ready(history_writer *writer, freshet_error *err)
{
    if (writer->is_ready)
        return FRESHET_OK;
    freshet_code code = history_folder_forget(writer->folder, err);
    if (code != FRESHET_OK)
        return code;
    writer->number = writer->base.is_batch ? 0 : (uint64_t)os.now_us();
    writer->is_ready = true;
    return FRESHET_OK;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static unsigned history_takes(const void *options)
{
    return ((const history_options *)options)->corrections ? ROW_NEW | ROW_CORRECTION : ROW_NEW;
}

static freshet_code history_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    freshet_code code = make_ready(writer, err);
    history_note_checkpoint(writer);
    if (code == FRESHET_OK)
        code = history_pieces_add(writer, rows, err);
    if (code == FRESHET_OK)
        writer->n_taken += rows->n_rows;
    return code;
}

/* ---- being seen ------------------------------------------------------------------------------ */

/* All rows are in durable files, and none is missing. */
static freshet_code finish_files(history_writer *writer, freshet_error *err)
{
    freshet_code code = make_ready(writer, err);
    history_note_checkpoint(writer);
    if (code == FRESHET_OK)
        code = history_pieces_finish(writer, err);
    if (code == FRESHET_OK && writer->n_kept != writer->n_taken)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, history_folder_path(writer->folder),
                         "the files of the history hold %" PRIu64 " rows and should hold %" PRIu64
                         ": nothing of them is published",
                         writer->n_kept, writer->n_taken);
    if (code == FRESHET_OK && writer->base.is_batch)
        code = history_merge_files(writer, err);
    if (code == FRESHET_OK && writer->n_files > 0)
        code = history_folder_sync_aside(writer->folder, err);
    return code;
}

static freshet_code list_files(const history_writer *writer, arena *arena, writer_files *out,
                               freshet_error *err)
{
    const char **paths = arena_alloc(arena, (writer->n_files + 1) * sizeof *paths);
    *out = (writer_files){.paths = paths};
    if (paths == NULL)
        return error_memory(err, HISTORY_KEEPING);
    for (uint32_t i = 0; i < writer->n_files; i++) {
        paths[i] = arena_text(arena, writer->files[i].path);
        out->n_rows += writer->files[i].n_rows;
        if (paths[i] == NULL)
            return error_memory(err, HISTORY_KEEPING);
    }
    out->n = writer->n_files;
    return FRESHET_OK;
}

static freshet_code history_pending(freshet_writer *base, arena *arena, writer_files *out,
                                    freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    freshet_code code = finish_files(writer, err);
    return code == FRESHET_OK ? list_files(writer, arena, out, err) : code;
}

/* The published files are the first of ours: files come to be pending and seen in their order. */
static void drop_published(history_writer *writer, const writer_files *files)
{
    uint32_t n = 0;
    int64_t n_rows = 0;
    for (; files->paths != NULL && n < files->n && n < writer->n_files &&
           strcmp(writer->files[n].path, files->paths[n]) == 0;
         n++) {
        n_rows += writer->files[n].n_rows;
        free(writer->files[n].path);
    }
    writer_add(&writer->base, WRITER_WRITTEN, n_rows);
    if (n == 0)
        return;
    writer->n_files -= n;
    memmove(writer->files, writer->files + n, writer->n_files * sizeof *writer->files);
}

/* The greatest number that the names of the files have. */
static uint64_t number_of(const writer_files *files)
{
    uint64_t greatest = 0;
    for (uint32_t i = 0; i < files->n; i++) {
        const char *name = strrchr(files->paths[i], '/');
        const char *part = strstr(name == NULL ? files->paths[i] : name, "part-");
        uint64_t number = part == NULL ? 0 : strtoull(part + strlen("part-"), NULL, 10);
        greatest = number > greatest ? number : greatest;
    }
    return greatest;
}

static freshet_code history_publish(freshet_writer *base, const writer_files *files,
                                    freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    if (files->n == 0 && replaces_all(writer) && !writer->found.is_empty)
        log_event(HISTORY_KEPT, history_folder_path(writer->folder));
    if (files->n == 0)
        return FRESHET_OK;
    freshet_code code = base->is_batch ? check_files(writer, files, err) : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    writer->is_published = true; /* or will be, at the next open */
    const history_note note = {number_of(files), files->shown_rows,
                               writer->pieces[0].facts.newest_us};
    if (writer->has_checkpoints)
        code = history_folder_note(writer->folder, &note, err);
    if (code == FRESHET_OK)
        code = base->is_batch ? history_folder_replace(writer->folder, files->paths, files->n,
                                                       replaces_all(writer), err)
                              : history_folder_publish(writer->folder, files->paths, files->n, err);
    if (code == FRESHET_OK)
        drop_published(writer, files);
    return code;
}

static freshet_code history_flush(freshet_writer *base, freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    if (base->is_batch || writer->has_checkpoints)
        return FRESHET_OK;
    writer_files files = {0};
    freshet_code code = finish_files(writer, err);
    if (code != FRESHET_OK || writer->n_files == 0)
        return code;
    arena_reset(writer->scratch);
    code = list_files(writer, writer->scratch, &files, err);
    return code == FRESHET_OK ? history_publish(base, &files, err) : code;
}

static freshet_code history_recover(freshet_writer *base, const writer_files *committed,
                                    freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    assert(!writer->is_ready);
    freshet_code code = history_check_noted(writer, err);
    if (code == FRESHET_OK && committed->newest == NULL)
        code = history_check_first(writer, err);
    if (code == FRESHET_OK)
        code = history_folder_publish(writer->folder, committed->paths, committed->n, err);
    if (code == FRESHET_OK && committed->newest != NULL)
        history_check_newest(writer, committed);
    if (code == FRESHET_OK)
        code = history_folder_forget(writer->folder, err);
    if (code != FRESHET_OK)
        return code;
    history_note note;
    history_folder_noted(writer->folder, &note);
    writer->pieces[0].facts.newest_us = note.newest_us;
    writer->has_checkpoints = true;
    writer->is_ready = true;
    writer->number = base->checkpoint;
    return FRESHET_OK;
}

/* The rows of all files that lie in the partition of this one. */
static freshet_code count_partition(history_writer *writer, const char *file, int64_t *n,
                                    freshet_error *err)
{
    const char *slash = strrchr(file, '/');
    const char *path = arena_format(writer->scratch, "%s/%.*s", history_folder_path(writer->folder),
                                    (int)(slash - file), file);
    DIR *folder = path == NULL ? NULL : opendir(path);
    freshet_code code = path == NULL     ? error_memory(err, HISTORY_KEEPING)
                        : folder == NULL ? error_system(err, "cannot open the partition", path)
                                         : FRESHET_OK;
    for (struct dirent *entry;
         code == FRESHET_OK && folder != NULL && (entry = readdir(folder)) != NULL;) {
        const char *end = strrchr(entry->d_name, '.');
        int64_t n_rows = 0;
        if (entry->d_name[0] == '.' || end == NULL || strcmp(end, ".parquet") != 0)
            continue;
        const char *found = arena_format(writer->scratch, "%s/%s", path, entry->d_name);
        code = found == NULL ? error_memory(err, HISTORY_KEEPING)
                             : parquet_count(writer->parquet, found, &n_rows, err);
        *n += n_rows;
    }
    if (folder != NULL)
        closedir(folder);
    return code;
}

/* The files are in the order of their partitions. */
static freshet_code history_validate(freshet_writer *base, const writer_files *files,
                                     int64_t *there, freshet_error *err)
{
    history_writer *writer = (history_writer *)base;
    freshet_code code = FRESHET_OK;
    arena_reset(writer->scratch);
    for (uint32_t i = 0; code == FRESHET_OK && i < files->n; i++)
        if (i == 0 || !history_same_partition(files->paths[i - 1], files->paths[i]))
            code = count_partition(writer, files->paths[i], there, err);
    return code;
}

static void history_close(freshet_writer *base)
{
    history_writer *writer = (history_writer *)base;
    history_pieces_close(writer);
    if (base->is_batch && writer->n_taken > 0 && !writer->is_published) {
        log_event(HISTORY_UNFINISHED, history_folder_path(writer->folder));
        history_folder_forget(writer->folder, NULL);
    }
    history_folder_close(writer->folder);
    arena_close(writer->scratch);
    for (uint32_t i = 0; i < writer->n_files; i++)
        free(writer->files[i].path);
    free(writer->files);
    free(writer->counts);
    writer->folder = NULL;
}

static const block_kind history_block = {
    .name = "history",
    .title = "The history writer",
    .doc = "Keeps every feature row in Parquet files, in folders by day that Spark, pandas "
           "and DuckDB read as one table (`hive_partitioning`). A batch replaces the "
           "partitions that it has rows of (`interval_mode`), at its end and only if every row is "
           "there; a stream adds files. See docs/guide/history.md.",
    .options = option_table,
    .size = sizeof(history_options),
    .check = history_check_options};

const writer_ops history_writer_ops = {
    .name = "history",
    .block = &history_block,
    .size = sizeof(history_writer),
    .keeps = KEEPS_FILES,
    .counts_rows = true,
    .takes = ROW_NEW,
    .takes_with = history_takes,
    .check = history_check,
    .open = history_open,
    .write = history_write,
    .flush = history_flush,
    .close = history_close,
    .pending = history_pending,
    .publish = history_publish,
    .validate = history_validate,
    .recover = history_recover,
};
