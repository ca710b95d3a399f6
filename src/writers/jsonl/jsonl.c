/* jsonl.c - the writer `jsonl`: each row as a JSON object on a line of its own, appended to a file,
 * a pipe or stdout.
 *
 * It is the smallest writer, and the one to copy. Lines are gathered until a flush, or until they
 * are many; writing them so that none is half or twice is line_file.h's part.
 */
#include "writers/jsonl/jsonl.h"

#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "writers/line_file.h"

#define LINES_BYTES ((size_t)1 << 20) /* from so many on a write begins with writing them out */

enum { ROWS_NEW, ROWS_ONLINE, ROWS_ALL };

typedef struct jsonl_options {
    declared_text path;
    int rows;
} jsonl_options;

typedef struct jsonl_writer {
    freshet_writer base;
    line_file file;
} jsonl_writer;

static const char *const rows_names[] = {"new", "online", "all", NULL};

static const option option_table[] = {
    {OPTION("path", TEXT, jsonl_options, path), .required = true,
     .doc = "The file, which is made where there is none; `-` is stdout.",
     .example = "out/airport_delays.jsonl"},
    {OPTION("rows", CHOICE, jsonl_options, rows), .standard = "new", .choices = rows_names,
     .doc = "`new`: each row once, as it first was, as in the history. `online`: each key's newest "
            "row whenever it changes, as in the online store. `all`: both, and the rows that late "
            "events have changed."},
    {.name = NULL},
};

static unsigned jsonl_takes(const void *options)
{
    static const unsigned takes[] = {ROW_NEW, ROW_ONLINE, ROW_NEW | ROW_ONLINE | ROW_CORRECTION};
    return takes[((const jsonl_options *)options)->rows];
}

/* Where the lines go; NULL where memory is out. */
static const char *jsonl_path(const jsonl_options *options, const declaration *declaration,
                              arena *arena)
{
    const char *path = options->path.value;
    return strcmp(path, "-") == 0 ? path : declaration_path(declaration, arena, path);
}

static freshet_code jsonl_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                               freshet_error *err)
{
    const char *path = jsonl_path(base->options, base->declaration, base->arena);
    const char *start = arena_format(base->arena, "{\"%s\":", schema->fields[0].name);
    (void)n_keys;
    if (path == NULL || start == NULL)
        return error_memory(err, "opening the writers");
    return line_file_open(&((jsonl_writer *)base)->file, base, path, start, err);
}

static freshet_code jsonl_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    line_file *file = &((jsonl_writer *)base)->file;
    text_buffer *lines = &file->lines;
    freshet_code code = lines->length < LINES_BYTES ? FRESHET_OK : line_file_write(file, err);
    if (code != FRESHET_OK)
        return code;
    const size_t before = lines->length;
    for (uint32_t i = 0; code == FRESHET_OK && i < rows->n_rows; i++) {
        code = batch_row_to_json(rows, i, lines, err);
        if (code == FRESHET_OK && !text_append_char(lines, '\n'))
            code = error_memory(err, "writing rows as JSON lines");
    }
    if (code != FRESHET_OK) { /* all or nothing */
        lines->length = before;
        lines->failed = false;
    }
    return code;
}

static freshet_code jsonl_flush(freshet_writer *base, freshet_error *err)
{
    return line_file_flush(&((jsonl_writer *)base)->file, err);
}

static void jsonl_begin_anew(freshet_writer *base)
{
    const line_file *file = &((const jsonl_writer *)base)->file;
    struct stat found;
    if (file->is_file && os.fstat(file->fd, &found) == 0 && found.st_size > 0)
        log_event(JSONL_OTHER_ROWS, file->path);
}

static void jsonl_close(freshet_writer *base)
{
    line_file_close(&((jsonl_writer *)base)->file);
}

static const block_kind jsonl_block = {
    .name = "jsonl",
    .title = "The JSON lines writer",
    .doc =
        "Appends each row as a JSON object on a line of its own to a file, or to stdout: `freshet "
        "run flights.yaml | jq`. A file that is there is added to, by a batch, too: run again, it "
        "adds all its rows again. After a crash a stream's rows since the last checkpoint may be "
        "there twice.",
    .options = option_table,
    .size = sizeof(jsonl_options)};

/* Two writers may share stdout, and no file: each would wait for the other to let it go. */
static void check_shared(const jsonl_options *options, const char *path,
                         const declaration *declaration, arena *arena, problems *problems)
{
    const writer_block *blocks = declaration->sink.writers.items;
    for (const writer_block *before = blocks; before->kind.options != options; before++) {
        if (before->kind.kind != &jsonl_block)
            continue;
        const char *other = jsonl_path(before->kind.options, declaration, arena);
        if (other != NULL && strcmp(other, "-") != 0 && durable_same(path, other)) {
            problem_add(problems, &options->path.at,
                        "another writer of this declaration appends to \"%s\", too: give each a "
                        "file of its own",
                        path);
            return;
        }
    }
}

static void jsonl_check(const void *block, const declaration *declaration, const place *at,
                        problems *problems)
{
    const jsonl_options *options = block;
    freshet_error problem = {0};
    arena *arena = arena_open();
    const char *path = arena == NULL ? NULL : jsonl_path(options, declaration, arena);
    if (path == NULL)
        problem_add(problems, at, "there is no memory left to check the path");
    else if (strcmp(path, "-") != 0 && durable_check("the file", path, &problem) != FRESHET_OK)
        problem_add(problems, &options->path.at, "%s", problem.text);
    else if (strcmp(path, "-") != 0)
        check_shared(options, path, declaration, arena, problems);
    arena_close(arena);
}

const writer_ops jsonl_writer_ops = {
    .name = "jsonl",
    .block = &jsonl_block,
    .size = sizeof(jsonl_writer),
    .keeps = KEEPS_ALL_AGAIN,
    .takes = ROW_NEW,
    .takes_with = jsonl_takes,
    .any_columns = true,
    .check = jsonl_check,
    .open = jsonl_open,
    .write = jsonl_write,
    .flush = jsonl_flush,
    .begin_anew = jsonl_begin_anew,
    .close = jsonl_close,
};
