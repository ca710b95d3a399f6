/* file_columns.c - which columns the files have: see file_internal.h.
 *
 * Without `schema` they are inferred. A batch looks at all records of all its files, since what is
 * said of a column by the first thousand may not hold for the rest; a stream looks at the first
 * ones of the first files that are there, and says what it took them for.
 *
 * With `schema` the first records are looked at as well, for columns that none of them has: a name
 * that is misspelt would be null for ever.
 *
 * A file that cannot be read is not looked at, unless none can: reading it will say so.
 */
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "formats/widen.h"
#include "readers/file/file_internal.h"

#define LONG_LOOK_US 3000000 /* a look at all records that takes longer is told */
#define INFERRING "finding the columns of files"

freshet_code file_open_lines(file_reader *reader, lines **out, freshet_error *err)
{
    const file_options *options = reader->base.options;
    lines_options settings = {.format = reader->format,
                              .options = &options->format,
                              .record_bytes_max = options->max_record_bytes > 0
                                                      ? options->max_record_bytes
                                                      : FILE_RECORD_BYTES_DEFAULT,
                              .crew = reader->base.crew};

    return lines_open(&settings, out, err);
}

freshet_code file_open_decoder(file_reader *reader, freshet_error *err)
{
    const file_options *options = reader->base.options;
    decoder like = {.format = reader->format,
                    .options = &options->format,
                    .schema = &reader->base.schema,
                    .used = reader->base.used,
                    .cast_error_null = reader->base.block->on_cast_error == ON_CAST_ERROR_NULL,
                    .reads_ahead = reader_reads_ahead(&reader->base)};

    return decoder_open(&like, &reader->decoder, err);
}

/* ---- a look at records ----------------------------------------------------------------------- */

/* What of the files is looked at, and what was. */
typedef struct look {
    file_reader *reader;
    const file_listing *listing;
    infer *infer;
    lines *lines;
    bool all; /* all records of all files */
    uint32_t n_files;
    const char *first_file;
    freshet_error problem; /* of the first file that could not be read */
    freshet_error *err;
} look;

static freshet_code look_at_record(look *look, const record *record, bool first, const char *path)
{
    const file_options *options = look->reader->base.options;

    if (record->state != RECORD_WHOLE)
        return FRESHET_OK;
    return look->reader->format->infer(look->infer, &options->format, record->bytes, record->length,
                                       first, path, look->err);
}

static bool has_enough(const look *look, uint32_t n)
{
    return !look->all && (n >= INFER_RECORDS_MAX || lines_offset(look->lines) >= INFER_BYTES_MAX ||
                          infer_count(look->infer) >= INFER_RECORDS_MAX * INFER_FILES_MAX);
}

static freshet_code look_at_lines(look *look, const char *path)
{
    freshet_code code = FRESHET_OK;

    for (uint32_t n = 0; code == FRESHET_OK && !has_enough(look, n);) {
        record record;
        lines_begin(look->lines);
        code = lines_next(look->lines, &record, look->err);
        if (code == FRESHET_END && lines_tail(look->lines, &record))
            return look_at_record(look, &record, n == 0, path);
        if (code == FRESHET_OK && record.length > 0)
            code = look_at_record(look, &record, n++ == 0, path);
    }
    return code == FRESHET_END ? FRESHET_OK : code;
}

static freshet_code look_at_file(look *look, const char *path)
{
    int fd = os.open(path, O_RDONLY, 0);
    freshet_code code;

    if (fd < 0)
        return error_system(look->err, "cannot open", path);
    code = lines_start(look->lines, fd, path, file_is_gzip(look->reader, fd), 0, look->err);
    if (code == FRESHET_OK)
        code = look_at_lines(look, path);
    os.close(fd);
    return code;
}

static freshet_code look_at_files(look *look, const file_listing *listing)
{
    freshet_error *err = look->err, problem;
    freshet_code code = FRESHET_OK;

    look->err = &problem;
    for (uint32_t i = 0; i < listing->n && (look->all || look->n_files < INFER_FILES_MAX); i++) {
        if (listing->items[i].size == 0)
            continue;
        code = look_at_file(look, listing->items[i].path);
        if (code == FRESHET_NO_MEMORY || code == FRESHET_BAD_DECLARATION)
            break;
        if (code != FRESHET_OK && look->problem.code == FRESHET_OK)
            look->problem = problem;
        if (code == FRESHET_OK && look->n_files++ == 0)
            look->first_file = listing->items[i].path;
        code = FRESHET_OK;
    }
    look->err = err;
    if (code == FRESHET_OK && look->n_files == 0 && look->problem.code != FRESHET_OK) {
        problem = look->problem;
        code = problem.code;
    }
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

/* "all 30,000 records of a.jsonl", "the first 4,000 records of 4 files, in/a.jsonl and others" */
static const char *describe_look(const look *look, const char *what)
{
    text_buffer text;
    const char *copy;

    text_init(&text, 4096);
    text_append_c(&text, look->all ? "all " : "the first ");
    text_append_count(&text, infer_count(look->infer));
    text_format(&text, " %s of ", what);
    if (look->n_files > 1)
        text_format(&text, "%u files, ", look->n_files);
    text_append_c(&text, look->first_file == NULL ? "no file" : look->first_file);
    if (look->n_files > 1)
        text_append_c(&text, " and others");
    copy = text.bytes == NULL ? NULL : arena_text(look->reader->base.arena, text.bytes);
    text_release(&text);
    return copy;
}

static freshet_code infer_from_lines(file_reader *reader, look *look, freshet_error *err)
{
    freshet_code code =
        infer_schema(look->infer, reader->base.arena, reader->at, &reader->base.schema, err);

    if (code == FRESHET_OK)
        reader->base.inferred_from = describe_look(look, "records");
    return code == FRESHET_OK && reader->base.inferred_from == NULL ? error_memory(err, INFERRING)
                                                                    : code;
}

/* Do the folders of a file say the column? */
static bool is_of_folders(const file_listing *listing, const char *name)
{
    for (uint32_t i = 0; i < listing->n; i++)
        if (hive_has(listing->items[i].path, name))
            return true;
    return false;
}

/* A column that none of the records has; its name may be a path. */
static void warn_lacking(void *context, uint32_t column, const char *name, const char *near)
{
    const look *look = context;
    freshet_reader *reader = &look->reader->base;
    const declared_schema *declared = &((const file_options *)reader->options)->format.schema;
    text_buffer count;

    if (is_of_folders(look->listing, reader->schema.fields[column].name))
        return;
    text_init(&count, 100);
    text_append_count(&count, infer_count(look->infer));
    if (reader->problems != NULL && !count.failed)
        problem_warn(
            reader->problems, declared->places == NULL ? &declared->at : &declared->places[column],
            "%s: none of the first %s record%s has it%s%s%s", name, count.bytes,
            infer_count(look->infer) == 1 ? "" : "s", near == NULL ? "" : "; did you mean ",
            near == NULL ? "" : near, near == NULL ? "" : "?");
    text_release(&count);
}

static void warn_odd(void *context, const char *sentence)
{
    const freshet_reader *reader = context;

    if (reader->problems != NULL)
        problem_warn(reader->problems, &reader->block->kind.at, "%s", sentence);
}

static freshet_code columns_of_lines(file_reader *reader, const file_listing *listing,
                                     freshet_error *err)
{
    const bool infers = reader->base.schema.n_fields == 0;
    const int64_t start_us = os.monotonic_us();
    look look = {.reader = reader,
                 .listing = listing,
                 .err = err,
                 .all = infers && !reader->base.block->stream};
    freshet_code code = infer_open(&look.infer, err);

    if (code == FRESHET_OK)
        code = file_open_lines(reader, &look.lines, err);
    if (code == FRESHET_OK)
        code = look_at_files(&look, listing);
    if (code == FRESHET_OK)
        infer_oddities(look.infer, &((const file_options *)reader->base.options)->format, warn_odd,
                       &reader->base);
    if (code == FRESHET_OK && infers)
        code = infer_from_lines(reader, &look, err);
    if (!infers && code == FRESHET_OK)
        code = infer_lacking(look.infer, &reader->base.schema, warn_lacking, &look, err);
    if (!infers && code != FRESHET_NO_MEMORY) /* reading says what is wrong */
        code = FRESHET_OK;
    if (code == FRESHET_OK && os.monotonic_us() - start_us > LONG_LOOK_US)
        log_event(COLUMNS_INFERRED_SLOWLY, file_reader_id(reader),
                  reader->base.inferred_from == NULL ? "the records" : reader->base.inferred_from,
                  (double)(os.monotonic_us() - start_us) / 1e6);
    lines_close(look.lines);
    infer_close(look.infer);
    return code;
}

/* ---- files with types of their own ----------------------------------------------------------- */

static bool types_are_known(const schema *all)
{
    for (uint32_t i = 0; i < all->n_fields; i++)
        if (type_is_unknown(all->fields[i].type))
            return false;
    return true;
}

/* The columns of all files of a batch, as far as INFER_WHOLE_FILES_MAX go; of a stream's first
 * ones, and of more where a type is not known by then. *n: of how many files. */
static freshet_code columns_of_whole(file_reader *reader, const file_listing *listing,
                                     uint32_t enough, schema *all, const char ***said_by,
                                     uint32_t *n, freshet_error *err)
{
    freshet_error first = {0}, problem;
    freshet_code code = reader->decoder == NULL ? file_open_decoder(reader, err) : FRESHET_OK;

    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < listing->n && *n < INFER_WHOLE_FILES_MAX; i++) {
        schema more = {0};
        const char *path = listing->items[i].path;
        if (*n >= enough && types_are_known(all))
            break;
        code = reader->format->describe_file(reader->decoder, path, reader->base.arena, &more,
                                             &problem);
        if (code == FRESHET_OK)
            code = schema_widen(reader->base.arena, all, said_by, &more, path, &problem);
        if (code == FRESHET_NO_MEMORY)
            return error_memory(err, INFERRING);
        *n += code == FRESHET_OK;
        if (code != FRESHET_OK && first.code == FRESHET_OK)
            first = problem;
    }
    if (*n > 0)
        return FRESHET_OK;
    if (err != NULL)
        *err = first;
    return first.code;
}

static freshet_code infer_from_whole(file_reader *reader, const file_listing *listing,
                                     freshet_error *err)
{
    const uint32_t enough = reader->base.block->stream ? INFER_FILES_MAX : INFER_WHOLE_FILES_MAX;
    uint32_t n = 0;
    freshet_code code =
        columns_of_whole(reader, listing, enough, &reader->base.schema, &reader->said_by, &n, err);

    if (code != FRESHET_OK)
        return code;
    reader->base.inferred_from =
        n == 1 ? arena_format(reader->base.arena, "the columns of %s", listing->items[0].path)
               : arena_format(reader->base.arena, "the columns of %u files, %s and others", n,
                              listing->items[0].path);
    return reader->base.inferred_from == NULL ? error_memory(err, INFERRING) : FRESHET_OK;
}

/* Declared columns that none of the first files has. */
static freshet_code check_whole(file_reader *reader, const file_listing *listing,
                                freshet_error *err)
{
    const declared_schema *declared = &((const file_options *)reader->base.options)->format.schema;
    const char *names[TYPE_FIELDS_NEAR_MAX];
    const char **said_by = NULL;
    schema all = {0};
    uint32_t n = 0;
    freshet_code code =
        columns_of_whole(reader, listing, INFER_FILES_MAX, &all, &said_by, &n, NULL);

    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, INFERRING);
    if (n == 0)
        return FRESHET_OK;
    for (uint32_t i = 0; i < all.n_fields && i < TYPE_FIELDS_NEAR_MAX; i++)
        names[i] = all.fields[i].name;
    for (uint32_t i = 0; reader->base.problems != NULL && i < declared->value.n_fields; i++) {
        const char *name = declared->value.fields[i].name, *near;
        if (schema_find(&all, name) >= 0)
            continue;
        near = text_nearest(
            name, names, all.n_fields < TYPE_FIELDS_NEAR_MAX ? all.n_fields : TYPE_FIELDS_NEAR_MAX);
        problem_warn(reader->base.problems,
                     declared->places == NULL ? &declared->at : &declared->places[i],
                     "%s: none of the first %u file%s has it%s%s%s", name, n, n == 1 ? "" : "s",
                     near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                     near == NULL ? "" : "?");
    }
    return FRESHET_OK;
}

/* ---- both ------------------------------------------------------------------------------------ */

freshet_code file_columns(file_reader *reader, const file_listing *listing, freshet_error *err)
{
    const bool infers = reader->base.schema.n_fields == 0;
    freshet_code code = FRESHET_OK;

    if (infers && listing->n == 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "there is no file at \"%s\" yet to infer the columns from%s; declare "
                         "schema, or mend the path",
                         reader->path, file_hint(reader, listing, reader->base.arena));
    if (file_is_whole(reader))
        return infers ? infer_from_whole(reader, listing, err) : check_whole(reader, listing, err);
    if (reader->format->infer != NULL)
        code = columns_of_lines(reader, listing, err);
    if (code == FRESHET_OK && (infers || reader->format->one_column))
        code = file_hive_infer(reader, listing, err);
    return code;
}
