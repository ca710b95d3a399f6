/* checkpoint_import.c - a state folder made of one file; see checkpoint_move.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"
#include "pipeline/checkpoint.h"
#include "pipeline/checkpoint_move.h"

#define IMPORTING "importing the state"
#define READ_BYTES ((size_t)256 << 10)
#define COMMIT_BYTES ((size_t)8 << 20) /* of entries in one write */
#define SUM_DIGITS 32

typedef struct importing {
    const char *path, *pipeline;
    int fd;
    text_buffer in; /* read; lines before `at` are taken */
    size_t at;
    uint64_t line;    /* its number, from 1 */
    uint64_t sums[2]; /* over the lines before */
    state_store *store;
    size_t uncommitted;
    text_buffer key, value;
    arena *arena;
    checkpoint_moved *moved;
    bool has_ended;
} importing;

static freshet_code refuse_line(const importing *importing, const char *what, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, importing->path,
                     "line %" PRIu64 " %s: nothing was imported; export the state again, or copy "
                     "the file anew",
                     importing->line, what);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The next line, without its end; FRESHET_END at the file's. Valid until the next one. */
static freshet_code import_line(importing *importing, const char **line, size_t *length,
                                freshet_error *err)
{
    text_buffer *in = &importing->in;
    const char *end = NULL;
    size_t looked = importing->at;
    while ((end = memchr(in->bytes + looked, '\n', in->length - looked)) == NULL) {
        memmove(in->bytes, in->bytes + importing->at, in->length - importing->at);
        in->length -= importing->at;
        looked = in->length;
        importing->at = 0;
        char *read = arena_alloc(importing->arena, READ_BYTES);
        const ssize_t n = read == NULL ? 0 : os.read(importing->fd, read, READ_BYTES);
        if (read == NULL || (n > 0 && !text_append(in, read, (size_t)n)))
            return error_memory(err, IMPORTING);
        arena_reset(importing->arena);
        if (n < 0 && errno != EINTR)
            return error_system(err, "cannot read", importing->path);
        if (n == 0) {
            importing->line++;
            return in->length == 0 ? FRESHET_END
                                   : refuse_line(importing, "has no end, so the file was cut", err);
        }
    }
    *line = in->bytes + importing->at;
    *length = (size_t)(end - *line);
    importing->at += *length + 1;
    importing->line++;
    return FRESHET_OK;
}

static void add_sums(importing *importing, const char *line, size_t length)
{
    importing->sums[0] = hash_bytes(line, length, importing->sums[0]);
    importing->sums[1] = hash_bytes(line, length, importing->sums[1]);
}

/* False for what is no base64, or where memory is out (then into->failed). */
static bool take_base64(yyjson_val *from, text_buffer *into)
{
    text_reset(into);
    if (!yyjson_is_str(from) || !text_append(into, yyjson_get_str(from), yyjson_get_len(from)) ||
        !text_append_c(into, "") || !text_from_base64(into->bytes, &into->length))
        return false;
    into->bytes[into->length] = '\0';
    return true;
}

/* ---- what lines say -------------------------------------------------------------------------- */

static freshet_code take_listed(importing *importing, yyjson_val *list, arena *keep,
                                freshet_error *err)
{
    checkpoint_moved *moved = importing->moved;
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item)
    {
        const char *listed = yyjson_is_str(item) ? arena_text(keep, yyjson_get_str(item)) : NULL;
        if (listed == NULL || !arena_reserve(keep, &moved->listed, &moved->listed_capacity,
                                             moved->n_listed + UINT64_C(1), sizeof *moved->listed))
            return error_memory(err, IMPORTING);
        moved->listed[moved->n_listed++] = listed;
    }
    return FRESHET_OK;
}

static freshet_code take_head(importing *importing, yyjson_val *head, arena *keep,
                              freshet_error *err)
{
    const char *pipeline = yyjson_get_str(yyjson_obj_get(head, "pipeline"));
    const uint64_t version = yyjson_get_uint(yyjson_obj_get(head, "version"));
    if (yyjson_get_uint(yyjson_obj_get(head, "freshet_state")) != 1 || pipeline == NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, importing->path,
                         "this is no file that `freshet state export` has written, or one of a "
                         "newer Freshet");
    if (version > CHECKPOINT_VERSION)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, importing->path,
                         "a newer Freshet has saved this state, by version %" PRIu64 " of its "
                         "layout, and this one reads versions up to %u: import it with the newer "
                         "Freshet",
                         version, CHECKPOINT_VERSION);
    if (strcmp(pipeline, importing->pipeline) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, importing->path,
                         "this is the state of the pipeline \"%s\", and the declaration is of "
                         "\"%s\"",
                         pipeline, importing->pipeline);
    importing->moved->pipeline = importing->pipeline;
    importing->moved->checkpoint = yyjson_get_uint(yyjson_obj_get(head, "checkpoint"));
    return take_listed(importing, yyjson_obj_get(head, "listed"), keep, err);
}

static freshet_code commit(importing *importing, freshet_error *err)
{
    freshet_code code = store_commit(importing->store, err);
    importing->uncommitted = 0;
    return code == FRESHET_OK ? store_begin(importing->store, err) : code;
}

static freshet_code take_entry(importing *importing, yyjson_val *entry, freshet_error *err)
{
    static const char spaces[] = {STORE_FACT,   STORE_POSITION, STORE_STATE,
                                  STORE_LISTED, STORE_FILE,     '\0'};
    const char *space = yyjson_get_str(yyjson_arr_get(entry, 0));
    yyjson_val *name = yyjson_arr_get(entry, 1);
    const bool is_read = space != NULL && strlen(space) == 1 && strchr(spaces, *space) != NULL &&
                         yyjson_is_str(name) &&
                         strlen(yyjson_get_str(name)) == yyjson_get_len(name) &&
                         take_base64(yyjson_arr_get(entry, 2), &importing->key) &&
                         take_base64(yyjson_arr_get(entry, 3), &importing->value);
    if (importing->key.failed || importing->value.failed)
        return error_memory(err, IMPORTING);
    if (!is_read)
        return refuse_line(importing, "is no entry of a state", err);
    freshet_code code =
        store_put(importing->store, (store_space)*space, yyjson_get_str(name), importing->key.bytes,
                  importing->key.length, importing->value.bytes, importing->value.length, err);
    importing->moved->entries++;
    importing->uncommitted += importing->key.length + importing->value.length + 64;
    return code == FRESHET_OK && importing->uncommitted >= COMMIT_BYTES ? commit(importing, err)
                                                                        : code;
}

static freshet_code import_end(importing *importing, yyjson_val *end, freshet_error *err)
{
    char sum[SUM_DIGITS + 1];
    const char *said = yyjson_get_str(yyjson_obj_get(end, "sum"));
    snprintf(sum, sizeof sum, "%016" PRIx64 "%016" PRIx64, importing->sums[0], importing->sums[1]);
    importing->has_ended = true;
    if (said == NULL || strcmp(said, sum) != 0 ||
        yyjson_get_uint(yyjson_obj_get(end, "entries")) != importing->moved->entries)
        return refuse_line(importing,
                           "has another checksum than the lines before, so the file was "
                           "changed",
                           err);
    return FRESHET_OK;
}

static freshet_code import_value(importing *importing, yyjson_val *value, arena *keep,
                                 freshet_error *err)
{
    if (importing->has_ended)
        return refuse_line(importing, "stands behind the end", err);
    if (importing->line == 1)
        return take_head(importing, value, keep, err);
    if (yyjson_is_arr(value))
        return take_entry(importing, value, err);
    return yyjson_is_obj(value) ? import_end(importing, value, err)
                                : refuse_line(importing, "is no entry of a state", err);
}

static freshet_code import_lines(importing *importing, arena *keep, freshet_error *err)
{
    const char *line = NULL;
    size_t length = 0;
    freshet_code code = text_append_c(&importing->in, "") ? store_begin(importing->store, err)
                                                          : error_memory(err, IMPORTING);
    while (code == FRESHET_OK &&
           (code = import_line(importing, &line, &length, err)) == FRESHET_OK) {
        yyjson_doc *parsed = yyjson_read(line, length, 0);
        code = import_value(importing, yyjson_doc_get_root(parsed), keep, err);
        yyjson_doc_free(parsed);
        add_sums(importing, line, length + 1);
    }
    if (code != FRESHET_END)
        return code;
    if (!importing->has_ended)
        return refuse_line(importing, "is missing, so the file was cut", err);
    code = store_commit(importing->store, err);
    return code == FRESHET_OK ? store_wait(importing->store, err) : code;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Not there, or an empty folder. */
static freshet_code must_be_free(const char *folder, freshet_error *err)
{
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return errno == ENOENT ? FRESHET_OK : error_system(err, "cannot open", folder);
    bool is_free = true;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        is_free &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(stream);
    return is_free ? FRESHET_OK
                   : error_set(err, FRESHET_USAGE, FRESHET_STOP, folder,
                               "the folder \"%s\" is not empty: nothing was imported; `freshet "
                               "state reset` removes a state, or name another folder by --state",
                               folder);
}

static freshet_code import_into(importing *importing, const char *making, arena *keep,
                                freshet_error *err)
{
    freshet_code code = store_remove_folder(making, err); /* what a killed import has left */
    if (code == FRESHET_OK || code == FRESHET_END)
        code = store_open(making, false, STORE_MEMORY_MIN, &importing->store, err);
    if (code == FRESHET_OK)
        code = import_lines(importing, keep, err);
    store_close(importing->store);
    importing->store = NULL;
    return code;
}

freshet_code checkpoint_import(const char *folder, const char *path, const char *pipeline,
                               arena *arena, checkpoint_moved *out, freshet_error *err)
{
    importing importing = {.path = path,
                           .pipeline = pipeline,
                           .sums = {HASH_A, HASH_B},
                           .arena = arena_open(),
                           .moved = out};
    const char *making = arena_format(arena, "%s.import", folder);
    *out = (checkpoint_moved){0};
    text_init(&importing.in, MOVE_LINE_MAX);
    text_init(&importing.key, MOVE_LINE_MAX);
    text_init(&importing.value, MOVE_LINE_MAX);
    freshet_code code = importing.arena == NULL || making == NULL ? error_memory(err, IMPORTING)
                                                                  : must_be_free(folder, err);
    importing.fd = code == FRESHET_OK ? os.open(path, O_RDONLY, 0) : -1;
    if (code == FRESHET_OK && importing.fd < 0)
        code = error_system(err, "cannot open", path);
    if (code == FRESHET_OK) {
        code = import_into(&importing, making, arena, err);
        if (code == FRESHET_OK && os.rename(making, folder) != 0)
            code = error_system(err, "cannot rename", making);
        if (code == FRESHET_OK && !durable_entry(folder))
            code = error_system(err, "cannot make durable", folder);
        if (code != FRESHET_OK)
            store_remove_folder(making, NULL);
    }
    if (importing.fd >= 0)
        os.close(importing.fd);
    text_release(&importing.in);
    text_release(&importing.key);
    text_release(&importing.value);
    arena_close(importing.arena);
    return code;
}
