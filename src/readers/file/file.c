/* file.c - the reader `file`: its options, its columns, opening, positions; see file_internal.h. */
#include "readers/file/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "readers/file/file_gzip.h"
#include "readers/file/file_input.h"
#include "readers/file/file_internal.h"
#include "readers/polling.h"

/* ---- options --------------------------------------------------------------------------------- */

static const char *const compression_names[] = {"auto", "none", "gzip", NULL};
static const char *const on_bad_names[] = {"fail", "skip", NULL}; /* as file_on_bad */
static const char *const order_names[] = {"time", "name", NULL};  /* as list_order */

static const option options_table[] = {
    {OPTION("path", TEXT, file_options, path), .required = true,
     .doc =
         "A file; a folder, for the files directly in it; or a pattern with `*`, `?` and `[...]` "
         "within names and `**` for any number of folders. Names that begin with `.` or `_` are "
         "passed over. `-` is stdin: JSON lines, CSV or plain lines, to its end.",
     .example = "data/flights/*.jsonl"},
    {OPTION("format", CHOICE, file_options, format.choice), .standard = "auto",
     .choices = format_file_names,
     .doc = "`json` is one object a line; `raw` is the lines as they are, one column `value`. "
            "`auto` goes by the ending of the first file: `.json`, "
            "`.jsonl`, `.ndjson`, `.csv`, `.parquet`, each also with `.gz` behind it, and reads "
            "files with such an "
            "ending only."},
    {OPTION("schema", SCHEMA, file_options, format.schema),
     .doc =
         "The columns and their types. Without it they are inferred, by a batch from all records, "
         "by a stream from the first ones, and there must be some when the pipeline starts. JSON "
         "and CSV fields are found by name, "
         "and those not "
         "in it are ignored.",
     .example = "{origin: string, sched_dep: timestamp, dep_delay: double}"},
    FORMAT_OPTIONS_OF_FILES(offsetof(file_options, format)),
    {OPTION("max_record_bytes", BYTES, file_options, max_record_bytes), .standard = "16 MiB",
     .minimum = 64, .maximum = FILE_RECORD_BYTES_MAX,
     .doc = "A longer line is refused, with its beginning, and reading goes on behind it."},
    {OPTION("compression", CHOICE, file_options, compression), .standard = "auto",
     .choices = compression_names,
     .doc = "All but Parquet: `auto` looks at the first bytes of each file."},
    {OPTION("order", CHOICE, file_options, order), .standard = "time", .choices = order_names,
     .doc = "The order in which files are read: `time`, by when they were last modified, then by "
            "name; or `name`, by path alone, where copying has changed the times. Numbers in names "
            "count as numbers: `day2` comes before `day10`. In a stream it is the order of the "
            "files that are there together; one that comes later is read later."},
    {OPTION("on_bad_file", CHOICE, file_options, on_bad_file), .standard = "fail",
     .choices = on_bad_names,
     .doc = "What becomes of a file that cannot be read, or not to its end: damaged, cut off, "
            "without permission, gone. `fail`: a batch, and `--once`, end with an error; a running "
            "stream goes on with the others, says so and tries it again. `skip`: a dead letter "
            "names the file and the reason, and all goes on; rows before the damage stand. A "
            "running stream skips it once it has failed for ten seconds unchanged, and reads it "
            "when it changes."},
    {0},
};

static void file_check_options(void *checked, const place *at, struct problems *problems)
{
    const file_options *options = checked;
    const format *format = format_of_file(options->format.choice);

    (void)at;
    if (format == NULL && options->path.value != NULL)
        format = format_of_path(options->path.value);
    format_check(format, &options->format, problems);
}

/* ---- formats --------------------------------------------------------------------------------- */

/* `format`, or what the path says, or what the first file that says something says. */
static freshet_code choose_format(file_reader *reader, const file_listing *listing,
                                  freshet_error *err)
{
    const file_options *options = reader->base.options;

    reader->format = format_of_file(options->format.choice);
    reader->format_is_declared = reader->format != NULL;
    if (reader->format == NULL)
        reader->format = format_of_path(reader->path);
    for (uint32_t i = 0; i < listing->n && reader->format == NULL; i++)
        reader->format = format_of_path(listing->items[i].path);
    if (reader->format != NULL)
        return FRESHET_OK;
    if (listing->n == 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "there is no file at \"%s\" yet whose name shows the format%s; mend the "
                         "path, or say format: json, csv or parquet",
                         reader->path, file_hint(reader, listing, reader->base.arena));
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "the format of \"%s\" does not show from the names of its files; say format: "
                     "json, csv or parquet",
                     reader->path);
}

bool file_is_gzip(const file_reader *reader, int fd)
{
    const file_options *options = reader->base.options;

    if (file_is_whole(reader) || options->compression == COMPRESSION_NONE)
        return false;
    return options->compression == COMPRESSION_GZIP || gzip_is(fd);
}

/* ---- describe -------------------------------------------------------------------------------- */

/* A batch needs its files; an empty folder or pattern is an empty table where the schema is
 * declared. */
static freshet_code check_there(file_reader *reader, const file_listing *listing,
                                freshet_error *err)
{
    struct stat info;
    if (os.stat(reader->path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "\"%s\" is a pipe or a device, which cannot be read again from a place in "
                         "it; write to a file, which may grow while it is read",
                         reader->path);
    if (!listing->missing || reader->base.block->stream ||
        (listing->n > 0 || file_list_is_pattern(reader->path)))
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "there is no file or folder \"%s\"", reader->path);
}

/* The columns that the options say, if any. */
static freshet_code describe_declared(file_reader *reader, freshet_error *err)
{
    const file_options *options = reader->base.options;
    freshet_error problem = {0};
    freshet_code code = format_describe(reader->format, &options->format, "value",
                                        reader->base.arena, &reader->base.schema, &problem);

    return code == FRESHET_OK ? code
                              : error_set(err, code, problem.then, reader->at, "%s", problem.text);
}

static freshet_code file_describe(freshet_reader *base, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    const file_options *options = base->options;
    file_listing listing;
    arena *scratch;
    freshet_code code;

    reader->path = declaration_path(base->declaration, base->arena, options->path.value);
    scratch = arena_open();
    if (reader->path == NULL || scratch == NULL) {
        arena_close(scratch);
        return error_memory(err, "describing files");
    }
    polling_place(&options->path, reader->path, reader->at, sizeof(reader->at));
    code = file_list(scratch, reader->path, file_order(reader), NULL, &listing, err);
    if (code == FRESHET_OK && listing.unreadable != NULL && !base->block->stream &&
        !file_skips_bad(reader))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, reader->at,
                         "\"%s\" cannot be read: %s; mend its permissions, or say on_bad_file: "
                         "skip to leave it out",
                         listing.unreadable, strerror(listing.problem));
    if (code == FRESHET_OK)
        code = check_there(reader, &listing, err);
    if (code == FRESHET_OK)
        code = choose_format(reader, &listing, err);
    if (code == FRESHET_OK)
        code = file_list_wanted(reader, scratch, NULL, &listing, err);
    if (code == FRESHET_OK && listing.n == 0 && base->is_cut) {
        base->is_cut = false; /* what no day is read of has columns all the same */
        code = file_list_wanted(reader, scratch, NULL, &listing, err);
        base->is_cut = true;
    }
    if (code == FRESHET_OK)
        code = describe_declared(reader, err);
    if (code == FRESHET_OK)
        code = file_columns(reader, &listing, err);
    if (code == FRESHET_OK)
        file_warn_of_listing(reader, &listing, scratch);
    arena_close(scratch);
    return code;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void file_close(freshet_reader *base)
{
    file_reader *reader = (file_reader *)base;

    file_sample_close(reader);
    file_side_close(reader);
    slices_close(reader->slices);
    reader->slices = NULL;
    free(reader->found);
    reader->found = NULL;
    reader->found_capacity = 0;
    gzip_release(&reader->look);
    file_watch_close(reader->watch);
    track_close(reader->track);
    arena_close(reader->scratch);
    free(reader->bad_folder);
    reader->bad_folder = NULL;
    free(reader->replaced);
    reader->replaced = NULL; /* it may be opened again */
    reader->n_replaced = 0;
    reader->replaced_capacity = 0;
    reader->watch = NULL;
    reader->track = NULL;
    reader->scratch = NULL;
    reader->n_open = 0;
}

/* What a stream took the columns for, since later records do not change that. */
static void say_inferred(const file_reader *reader)
{
    const schema *schema = &reader->base.schema;
    const type *columns = type_struct(reader->base.arena, schema->fields, schema->n_fields);
    const char *name = columns == NULL ? NULL : type_name(reader->base.arena, columns);

    if (reader->base.inferred_from == NULL || !reader->base.block->stream || name == NULL)
        return;
    log_event(COLUMNS_INFERRED, file_reader_id(reader), reader->base.inferred_from,
              (int)(strlen(name) - strlen("struct<>")), name + strlen("struct<"));
}

freshet_code file_open_side(file_reader *reader, freshet_error *err)
{
    freshet_code code = reader->decoder == NULL ? file_open_decoder(reader, err) : FRESHET_OK;

    if (code == FRESHET_OK && reader->hive == NULL) { /* describe may have made it */
        reader->decoder->used = reader->base.used;
        reader->decoder->said_by = reader->said_by;
    }
    if (code == FRESHET_OK && !file_is_whole(reader))
        code = file_open_lines(reader, &reader->lines, err);
    return code;
}

static freshet_code file_open(freshet_reader *base, const reader_positions *from,
                              freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    freshet_code code;

    file_sample_close(reader);
    reader->lines_of = FILE_NONE;
    reader->header_of = FILE_NONE;
    reader->whole_of = FILE_NONE;
    reader->queue_head = FILE_NONE;
    code = file_open_side(reader, err);
    if (code == FRESHET_OK && !file_is_whole(reader))
        code = slices_open(base->crew, &reader->slices, err);
    if (code == FRESHET_OK)
        say_inferred(reader);
    if (base->idle_us == 0)
        base->idle_us = FILE_LIST_EVERY_US;
    if (code == FRESHET_OK)
        code = track_open(reader->path, &reader->track, err);
    if (code != FRESHET_OK)
        return code;
    reader->scratch = arena_open();
    if (reader->scratch == NULL)
        return error_memory(err, "opening files");
    if (from != NULL)
        code = track_restore(reader->track, from, err);
    reader->n_old = 0;
    for (uint32_t i = 0; from != NULL && i < from->n && i < FILE_OLD_MOST; i++)
        if (from->items[i].mark_length == 0)
            reader->n_old = i + 1;
    if (code == FRESHET_OK && base->mode == READ_FOLLOW) {
        reader->watch = file_watch_open();
        if (reader->watch == NULL)
            log_event(NO_INOTIFY, base->block->id.value);
    }
    return code == FRESHET_OK ? file_discover_all(reader, err) : code;
}

/* ---- positions and the rest ------------------------------------------------------------------ */

static freshet_code file_positions(freshet_reader *base, arena *arena, bool all,
                                   reader_positions *out, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    uint32_t n = track_count(reader->track);
    uint32_t wanted = 0;

    for (uint32_t i = 0; i < n; i++)
        wanted += all || track_file(reader->track, i)->moved;
    *out = (reader_positions){.items = arena_zero(arena, wanted + 1, sizeof(*out->items))};
    if (out->items == NULL)
        return error_memory(err, "giving positions");
    for (uint32_t i = 0; i < n; i++) {
        const tracked_file *file = track_file(reader->track, i);
        if ((!all && !file->moved) || !track_is_read(file))
            continue;
        if (!track_position(reader->track, i, arena, &out->items[out->n]))
            return error_memory(err, "giving positions");
        out->items[out->n++].partition = i;
    }
    for (uint32_t i = 0; i < n; i++)
        track_file(reader->track, i)->moved = false;
    return FRESHET_OK;
}

static const char *file_partition_label(const freshet_reader *base, uint32_t partition)
{
    const file_reader *reader = (const file_reader *)base;
    const char *path = NULL; /* rows of a sample have no track */
    if (reader->track != NULL && partition < track_count(reader->track))
        path = track_file(reader->track, partition)->path;

    return path == NULL ? "" : path;
}

static uint32_t file_waiting(freshet_reader *base, uint32_t after)
{
    const file_reader *reader = (const file_reader *)base;

    return after == READER_NONE ? reader->queue_head
                                : track_file(reader->track, after)->next_queued;
}

static void file_touch(freshet_reader *base, uint32_t partition)
{
    track_file(((file_reader *)base)->track, partition)->moved = true;
}

static int file_wake_fd(freshet_reader *base)
{
    const file_reader *reader = (const file_reader *)base;

    return file_watch_is_complete(reader->watch) && !reader->needs_listing &&
                   reader->n_retry == 0 && reader->n_stray == 0
               ? file_watch_fd(reader->watch)
               : -1;
}

static int64_t file_lag(const freshet_reader *base)
{
    const file_reader *reader = (const file_reader *)base;
    int64_t sum = 0;

    for (uint32_t each = reader->queue_head; each != FILE_NONE;) {
        const tracked_file *file = track_file(reader->track, each);
        each = file->next_queued;
        if (file_is_whole(reader) || file->is_gzip)
            sum += file->size;
        else if (file->size > file->offset)
            sum += file->size - file->offset;
    }
    return sum;
}

static bool file_changed(freshet_reader *base)
{
    file_reader *reader = (file_reader *)base;
    file_listing listing;

    arena_reset(reader->scratch);
    if (file_list_wanted(reader, reader->scratch, NULL, &listing, NULL) != FRESHET_OK)
        return false;
    bool missing = listing.missing && listing.n == 0;
    polling_tell_missing(base, reader->path, missing, &reader->said_missing);
    if (listing.unreadable != NULL || missing)
        return false;
    return file_list_signature(&listing) != reader->signature;
}

static const reader_ops *file_ops_with(const void *options)
{
    const char *path = ((const file_options *)options)->path.value;

    return path != NULL && strcmp(path, FILE_INPUT_PATH) == 0 ? &file_input_ops : &file_reader_ops;
}

const reader_ops file_reader_ops = {
    .block =
        {.name = "file",
         .title = "Reader: file",
         .doc =
             "JSON lines, CSV, plain lines or Parquet, plain or gzip. As a stream, the files that "
             "are there, "
             "then new ones, and what is added to them, by whole lines (not to Parquet).",
         .options = options_table,
         .size = sizeof(file_options),
         .check = file_check_options},
    .size = sizeof(file_reader),
    .with = file_ops_with,
    .describe = file_describe,
    .sample = file_sample,
    .open = file_open,
    .poll = file_poll,
    .waiting = file_waiting,
    .touch = file_touch,
    .peeks = true,
    .wake_fd = file_wake_fd,
    .positions = file_positions,
    .partition_label = file_partition_label,
    .lag = file_lag,
    .changed = file_changed,
    .replay = file_replay,
    .close = file_close,
};
