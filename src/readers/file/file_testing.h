/* file_testing.h - for tests of readers: a folder of its own, a reader over it, and what it has
 * given. */
#ifndef FRESHET_READERS_FILE_FILE_TESTING_H
#define FRESHET_READERS_FILE_FILE_TESTING_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "readers/file/file.h"

#define RIG_ROWS 100000u

typedef struct rig {
    const reader_ops *ops;
    char folder[64];
    char path[256];
    declaration declaration;
    reader_block block;
    file_options options; /* of the reader `file` */
    reader_mode mode;
    arena *arena; /* of declaration and reader */
    arena *step;
    freshet_reader *reader;
    const bool *used;
    reader_positions positions;
    arena *kept;         /* positions live here between a close and an open */
    text_buffer rows;    /* as JSON, a line each */
    text_buffer reasons; /* of rejects: "offset reason", a line each */
    freshet_error err;
    uint32_t n_rows, n_rejects;
    bool more, ended;
} rig;

static inline void rig_remove(const char *path)
{
    char below[1024];
    DIR *stream = opendir(path);
    struct dirent *entry;

    if (stream == NULL) {
        unlink(path);
        return;
    }
    while ((entry = readdir(stream)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            int n = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
            assert_true(n > 0 && n < (int)sizeof(below));
            rig_remove(below);
        }
    closedir(stream);
    rmdir(path);
}

static inline const char *rig_path(rig *rig, const char *name)
{
    static char path[4][512];
    static int turn;
    char *into = path[turn++ % 4];

    snprintf(into, sizeof(path[0]), "%s/%s", rig->folder, name);
    return into;
}

static inline void rig_write_bytes(rig *rig, const char *name, const char *mode, const void *bytes,
                                   size_t length)
{
    FILE *file = fopen(rig_path(rig, name), mode);

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline void rig_write(rig *rig, const char *name, const char *text)
{
    rig_write_bytes(rig, name, "w", text, strlen(text));
}

static inline void rig_append(rig *rig, const char *name, const char *text)
{
    rig_write_bytes(rig, name, "a", text, strlen(text));
}

/* The text as one gzip member. *n is the room, then the size. */
static inline void rig_gzip(const char *text, unsigned char *into, size_t *n)
{
    z_stream stream = {0};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (const Bytef *)text;
    stream.avail_in = (uInt)strlen(text);
    stream.next_out = into;
    stream.avail_out = (uInt)*n;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *n = stream.total_out;
    deflateEnd(&stream);
}

/* Copies bytes [first, first + n) of one file, or as many as there are, to the end of another. */
static inline void rig_copy(rig *rig, const char *from, long first, size_t n, const char *to)
{
    FILE *file = fopen(rig_path(rig, from), "r");
    char *bytes = malloc(n);

    assert_non_null(file);
    assert_non_null(bytes);
    assert_int_equal(fseek(file, first, SEEK_SET), 0);
    n = fread(bytes, 1, n, file);
    fclose(file);
    rig_write_bytes(rig, to, "a", bytes, n);
    free(bytes);
}

/* Sets a file's modification time, in seconds. */
static inline void rig_age(rig *rig, const char *name, long seconds)
{
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, rig_path(rig, name), times, 0), 0);
}

/* A rig over the files `name` in a new folder ("" for the folder itself). */
static inline rig *rig_make(const char *name)
{
    rig *it = calloc(1, sizeof(*it));

    assert_non_null(it);
    it->ops = &file_reader_ops;
    strcpy(it->folder, "/tmp/freshet_rig_XXXXXX");
    assert_non_null(mkdtemp(it->folder));
    snprintf(it->path, sizeof(it->path), "%s%s%s", it->folder, *name == '\0' ? "" : "/", name);
    it->arena = arena_open();
    it->step = arena_open();
    it->kept = arena_open();
    it->declaration.folder = ".";
    it->block.id.value = "events";
    it->options.path.value = it->path;
    it->options.format.csv.header = true;
    it->options.max_record_bytes = FILE_RECORD_BYTES_DEFAULT;
    text_init(&it->rows, TEXT_LIMIT_DEFAULT);
    text_init(&it->reasons, TEXT_LIMIT_DEFAULT);
    log_configure(LOG_ERROR, LOG_TEXT);
    return it;
}

static inline void rig_schema(rig *rig, const char *fields)
{
    const char *text = arena_format(rig->arena, "struct<%s>", fields);
    const type *type = type_parse(rig->arena, text);

    assert_non_null(type);
    rig->options.format.schema.value = (schema){.n_fields = type->n_fields, .fields = type->fields};
}

static inline void rig_format(rig *rig, const char *name)
{
    int choice = 0;

    while (strcmp(format_file_names[choice], name) != 0)
        assert_non_null(format_file_names[++choice]);
    rig->options.format.choice = choice;
}

static inline void rig_make_reader(rig *rig, const void *options)
{
    rig->reader = calloc(1, rig->ops->size);
    assert_non_null(rig->reader);
    *rig->reader = (freshet_reader){.ops = rig->ops,
                                    .declaration = &rig->declaration,
                                    .block = &rig->block,
                                    .options = options,
                                    .mode = rig->mode,
                                    .arena = rig->arena,
                                    .used = rig->used};
    rig->ended = false;
}

static inline freshet_code rig_describe(rig *rig)
{
    rig_make_reader(rig, &rig->options);
    return rig->ops->describe(rig->reader, &rig->err);
}

static inline freshet_code rig_try_open(rig *rig)
{
    freshet_code code = rig_describe(rig);

    return code == FRESHET_OK ? rig->ops->open(rig->reader, &rig->positions, &rig->err) : code;
}

static inline void rig_open(rig *rig)
{
    if (rig_try_open(rig) != FRESHET_OK)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
}

/* Closes the reader; the positions are what the next open goes on from. */
static inline void rig_close(rig *rig)
{
    if (rig->reader == NULL)
        return;
    rig->ops->close(rig->reader);
    free(rig->reader);
    rig->reader = NULL;
}

static inline void rig_keep_positions(rig *rig)
{
    arena_reset(rig->kept);
    assert_int_equal(rig->ops->positions(rig->reader, rig->kept, true, &rig->positions, NULL),
                     FRESHET_OK);
}

static inline void rig_reopen(rig *rig)
{
    rig_keep_positions(rig);
    rig_close(rig);
    rig_open(rig);
}

static inline void rig_free(rig *rig)
{
    rig_close(rig);
    os_restore();
    rig_remove(rig->folder);
    arena_close(rig->arena);
    arena_close(rig->step);
    arena_close(rig->kept);
    text_release(&rig->rows);
    text_release(&rig->reasons);
    free(rig);
}

static inline void rig_forget(rig *rig)
{
    text_reset(&rig->rows);
    text_reset(&rig->reasons);
    rig->n_rows = rig->n_rejects = 0;
}

/* One poll; rows and reasons are taken down. Text in cells and raw records is read after the
 * poll, so a block let go too early is found. */
static inline freshet_code rig_poll(rig *rig, uint32_t max_rows, size_t max_bytes)
{
    batch batch;
    rejects bad = {.arena = rig->step};
    freshet_code code;

    arena_reset(rig->step);
    bad.arena = rig->step;
    assert_int_equal(batch_init(&batch, rig->step, &rig->reader->schema, 4, NULL), FRESHET_OK);
    code = rig->ops->poll(rig->reader, &batch, max_rows, max_bytes, &bad, &rig->more, &rig->err);
    assert_true(batch.n_rows + bad.n <= max_rows);
    for (uint32_t i = 0; i < batch.n_rows; i++) {
        batch_row_to_json(&batch, i, &rig->rows, NULL);
        text_append_char(&rig->rows, '\n');
        assert_true(batch.origins[i].length > 0);
        assert_int_equal(batch.origins[i].lane, 0);
    }
    for (uint32_t i = 0; i < bad.n; i++)
        text_format(&rig->reasons, "%lld %s\n", (long long)bad.items[i].offset,
                    bad.items[i].reason);
    rig->n_rows += batch.n_rows;
    rig->n_rejects += bad.n;
    rig->ended = code == FRESHET_END;
    return code;
}

/* Polls until there is no more now. */
static inline void rig_drain(rig *rig, uint32_t max_rows)
{
    freshet_code code;

    do {
        code = rig_poll(rig, max_rows, SIZE_MAX);
        if (code != FRESHET_OK && code != FRESHET_END)
            fail_msg("%s: %s", rig->err.at, rig->err.text);
    } while (code == FRESHET_OK && rig->more);
    assert_int_equal(rig->ended, rig->mode == READ_ALL);
}

static inline void rig_read(rig *rig)
{
    rig_open(rig);
    rig_drain(rig, RIG_ROWS);
    rig_close(rig);
}

#define rig_expect(rig, text) \
    assert_string_equal((rig)->rows.length == 0 ? "" : (rig)->rows.bytes, text)
#define rig_expect_reasons(rig, text) \
    assert_string_equal((rig)->reasons.length == 0 ? "" : (rig)->reasons.bytes, text)

/* A clock that stands still until it is moved. */
static int64_t rig_now_us = 1000000000;

static inline int64_t rig_clock(void)
{
    return rig_now_us;
}

#endif
