/* file_testing.h - for tests of readers: a folder of its own, a reader over it, and what it has
 * given. */
#ifndef FRESHET_READERS_FILE_FILE_TESTING_H
#define FRESHET_READERS_FILE_FILE_TESTING_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZLIB_CONST
#include <zlib.h>

#include "readers/file/file.h"

#define RIG_OWN      \
    char folder[64]; \
    char path[256];  \
    file_options options; /* of the reader `file` */
#include "readers/reader_testing.h"

#define RIG_ROWS 100000u

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

/* The text as a gzip file. */
static inline void rig_write_gzip(rig *rig, const char *name, const char *text)
{
    size_t n = strlen(text) + 1024;
    unsigned char *bytes = malloc(n);

    assert_non_null(bytes);
    rig_gzip(text, bytes, &n);
    rig_write_bytes(rig, name, "w", bytes, n);
    free(bytes);
}

/* Puts a file of that text in the place of what is there, as rsync and most editors do. */
static inline void rig_replace(rig *rig, const char *name, const char *text)
{
    rig_write(rig, ".replaced", text);
    assert_int_equal(rename(rig_path(rig, ".replaced"), rig_path(rig, name)), 0);
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
    rig *it = rig_make_of(&file_reader_ops, "events");

    strcpy(it->folder, "/tmp/freshet_rig_XXXXXX");
    assert_non_null(mkdtemp(it->folder));
    snprintf(it->path, sizeof(it->path), "%s%s%s", it->folder, *name == '\0' ? "" : "/", name);
    it->options.path.value = it->path;
    it->options.format.csv.header = true;
    it->options.max_record_bytes = FILE_RECORD_BYTES_DEFAULT;
    return it;
}

static inline void rig_schema(rig *rig, const char *fields)
{
    rig->options.format.schema.value = rig_schema_of(rig, fields);
}

static inline void rig_format(rig *rig, const char *name)
{
    int choice = 0;

    while (strcmp(format_file_names[choice], name) != 0)
        assert_non_null(format_file_names[++choice]);
    rig->options.format.choice = choice;
}

static inline void rig_free(rig *rig)
{
    rig_close(rig);
    rig_remove(rig->folder);
    rig_free_of(rig);
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

/* A stream of JSON records over the files `name` in a new folder. */
static inline rig *rig_follow(const char *name, const char *schema)
{
    rig *rig = rig_make(name);

    rig->mode = READ_FOLLOW;
    rig->block.stream = true;
    rig_format(rig, "json");
    rig_schema(rig, schema);
    return rig;
}

/* Polls often enough for whatever needs a second look; the clock stands still. */
static inline void rig_settle(rig *rig)
{
    for (int i = 0; i < 3; i++)
        rig_drain(rig, RIG_ROWS);
}

/* A clock that stands still until it is moved. */
static int64_t rig_now_us = 1000000000;

static inline int64_t rig_clock(void)
{
    return rig_now_us;
}

#endif
