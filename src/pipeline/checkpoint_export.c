/* checkpoint_export.c - a state folder as one file; see checkpoint_move.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"
#include "pipeline/bootstrap.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/checkpoint_move.h"
#include "state/folder.h"

#define EXPORTING "exporting the state"
#define WRITE_BYTES ((size_t)1 << 20)

typedef struct exporting {
    const char *folder, *path;
    int fd;
    text_buffer out;  /* not written yet */
    size_t summed;    /* of it, in the sums */
    uint64_t sums[2]; /* over the lines so far */
    arena *arena;
    checkpoint_moved *moved;
    char space;
} exporting;

static freshet_code write_out(exporting *exporting, freshet_error *err)
{
    if (exporting->out.failed)
        return error_memory(err, EXPORTING);
    if (!durable_write(exporting->fd, exporting->out.bytes, exporting->out.length))
        return error_system(err, "cannot write", exporting->path);
    text_reset(&exporting->out);
    exporting->summed = 0;
    return FRESHET_OK;
}

/* A line is complete. */
static freshet_code end_line(exporting *exporting, freshet_error *err)
{
    if (!text_append_char(&exporting->out, '\n'))
        return error_memory(err, EXPORTING);
    const char *line = exporting->out.bytes + exporting->summed;
    const size_t length = exporting->out.length - exporting->summed;
    exporting->sums[0] = hash_bytes(line, length, exporting->sums[0]);
    exporting->sums[1] = hash_bytes(line, length, exporting->sums[1]);
    exporting->summed = exporting->out.length;
    return exporting->out.length < WRITE_BYTES ? FRESHET_OK : write_out(exporting, err);
}

static bool has_past(const exporting *exporting, const char *reader)
{
    struct stat info;
    const char *sorted = arena_format(exporting->arena, "%s/" FOLDER_SPOOL "/bootstrap-%s.parquet",
                                      exporting->folder, reader);
    return sorted != NULL && os.stat(sorted, &info) == 0;
}

static freshet_code export_entry(void *context, const store_entry *entry, freshet_error *err)
{
    exporting *exporting = context;
    if (exporting->space == STORE_FACT && strcmp(entry->name, "format") == 0)
        return FRESHET_OK; /* the folder's own */
    if (exporting->space == STORE_POSITION && entry->key_length == strlen(BOOTSTRAP_POSITION) &&
        memcmp(entry->key, BOOTSTRAP_POSITION, entry->key_length) == 0 &&
        has_past(exporting, entry->name))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, exporting->folder,
                         "the bootstrap of the reader \"%s\" is not over, and its rows lie beside "
                         "the state: let the stream run (`freshet run FILE --once`), then export",
                         entry->name);
    text_format(&exporting->out, "[\"%c\", ", exporting->space);
    text_append_json(&exporting->out, entry->name, strlen(entry->name));
    text_append_c(&exporting->out, ", \"");
    text_append_base64(&exporting->out, entry->key, entry->key_length);
    text_append_c(&exporting->out, "\", \"");
    text_append_base64(&exporting->out, entry->value, entry->length);
    text_append_c(&exporting->out, "\"]");
    exporting->moved->entries++;
    return end_line(exporting, err);
}

/* Files that are to be shown or sent. Rows in the folder's spool do not go into the file. */
static freshet_code list_file(void *context, const store_entry *entry, freshet_error *err)
{
    exporting *exporting = context;
    checkpoint_moved *moved = exporting->moved;
    struct stat info;
    const char *spooled = arena_format(exporting->arena, "%s/" FOLDER_SPOOL "/%.*s",
                                       exporting->folder, (int)entry->key_length, entry->key);
    const char *listed =
        arena_format(exporting->arena, "%s: %.*s", entry->name, (int)entry->key_length, entry->key);
    if (spooled == NULL || listed == NULL ||
        !arena_reserve(exporting->arena, &moved->listed, &moved->listed_capacity,
                       moved->n_listed + UINT64_C(1), sizeof *moved->listed))
        return error_memory(err, EXPORTING);
    if (os.stat(spooled, &info) == 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, exporting->folder,
                         "the last checkpoint has rows of the writer \"%s\" that are not sent yet: "
                         "let the stream run once (`freshet run FILE --once`), then export",
                         entry->name);
    moved->listed[moved->n_listed++] = listed;
    return FRESHET_OK;
}

static freshet_code export_head(exporting *exporting, state_store *store, freshet_error *err)
{
    text_buffer fact;
    int64_t last[2] = {0};
    checkpoint_moved *moved = exporting->moved;
    text_init(&fact, TEXT_LIMIT_DEFAULT);
    freshet_code code = checkpoint_fact(store, FACT_CHECKPOINT, &fact, EXPORTING, err);
    if (code == FRESHET_OK && fact.length == sizeof last)
        memcpy(last, fact.bytes, sizeof last);
    moved->checkpoint = (uint64_t)last[0];
    if (code == FRESHET_OK)
        code = checkpoint_fact(store, FACT_VERSION, &fact, EXPORTING, err);
    if (code == FRESHET_OK)
        text_format(&exporting->out, "{\"freshet_state\": 1, \"version\": %s, \"pipeline\": ",
                    fact.length == 0 ? "0" : fact.bytes);
    if (code == FRESHET_OK)
        code = checkpoint_fact(store, FACT_PIPELINE, &fact, EXPORTING, err);
    if (code == FRESHET_OK)
        code = store_visit(store, STORE_FILE, NULL, list_file, exporting, err);
    if (code == FRESHET_OK) {
        moved->pipeline = arena_copy(exporting->arena, fact.bytes, fact.length);
        text_append_json(&exporting->out, fact.bytes, fact.length);
        text_format(&exporting->out, ", \"checkpoint\": %" PRIu64 ", \"listed\": [",
                    moved->checkpoint);
        for (uint32_t i = 0; i < moved->n_listed; i++) {
            text_append_c(&exporting->out, i == 0 ? "" : ", ");
            text_append_json(&exporting->out, moved->listed[i], strlen(moved->listed[i]));
        }
        text_append_c(&exporting->out, "]}");
        code = moved->pipeline == NULL ? error_memory(err, EXPORTING) : end_line(exporting, err);
    }
    text_release(&fact);
    return code;
}

static freshet_code export_all(exporting *exporting, state_store *store, freshet_error *err)
{
    static const store_space spaces[] = {STORE_FACT, STORE_POSITION, STORE_STATE, STORE_LISTED,
                                         STORE_FILE};
    freshet_code code = export_head(exporting, store, err);
    for (size_t i = 0; code == FRESHET_OK && i < sizeof spaces / sizeof *spaces; i++) {
        exporting->space = (char)spaces[i];
        code = store_visit(store, spaces[i], NULL, export_entry, exporting, err);
    }
    if (code != FRESHET_OK)
        return code;
    text_format(&exporting->out,
                "{\"entries\": %" PRIu64 ", \"sum\": \"%016" PRIx64 "%016" PRIx64 "\"}\n",
                exporting->moved->entries, exporting->sums[0], exporting->sums[1]);
    code = write_out(exporting, err);
    if (code == FRESHET_OK && os.fsync(exporting->fd) != 0)
        code = error_system(err, "cannot write", exporting->path);
    return code;
}

static freshet_code export_to(exporting *exporting, state_store *store, const char *path,
                              freshet_error *err)
{
    exporting->fd = os.open(exporting->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (exporting->fd < 0)
        return error_system(err, "cannot make", exporting->path);
    freshet_code code = export_all(exporting, store, err);
    os.close(exporting->fd);
    if (code == FRESHET_OK && os.rename(exporting->path, path) != 0)
        code = error_system(err, "cannot write", path);
    if (code != FRESHET_OK)
        os.unlink(exporting->path);
    else if (!durable_entry(path))
        code = error_system(err, "cannot make durable", path);
    return code;
}

/* What is made beside the path and takes its place is a file, and no device or pipe; and the state
 * folder has no room for others' files. */
static freshet_code check_path(const char *folder, const char *path, arena *arena,
                               freshet_error *err)
{
    struct stat found, own;
    const char *slash = strrchr(path, '/');
    const char *parent =
        slash == NULL ? "." : arena_copy(arena, path, slash == path ? 1 : (size_t)(slash - path));
    if (parent == NULL)
        return error_memory(err, EXPORTING);
    freshet_code code = durable_check("the file of the export", path, err);
    if (code != FRESHET_OK)
        return code;
    if (path[0] == '\0' || (os.stat(path, &found) == 0 && !S_ISREG(found.st_mode)))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "\"%s\" is no file, and the export appears as one when it is whole: name "
                         "a file, as in -o shop.state.jsonl",
                         path);
    if (os.stat(parent, &found) == 0 && os.stat(folder, &own) == 0 && found.st_dev == own.st_dev &&
        found.st_ino == own.st_ino)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, path,
                         "this is in the state folder itself, which holds nothing else: name a "
                         "file somewhere else");
    return FRESHET_OK;
}

freshet_code checkpoint_export(const char *folder, const char *path, arena *arena,
                               checkpoint_moved *out, freshet_error *err)
{
    state_store *store = NULL;
    exporting exporting = {.folder = folder,
                           .path = arena_format(arena, "%s.part", path),
                           .sums = {HASH_A, HASH_B},
                           .arena = arena,
                           .moved = out};
    *out = (checkpoint_moved){0};
    if (exporting.path == NULL)
        return error_memory(err, EXPORTING);
    freshet_code code = check_path(folder, path, arena, err);
    if (code != FRESHET_OK)
        return code;
    /* To read first, since to write would make one. */
    code = store_open(folder, true, STORE_MEMORY_MIN, &store, err);
    if (code != FRESHET_OK)
        return code;
    store_close(store);
    store = NULL;
    code = store_open(folder, false, STORE_MEMORY_MIN, &store, err);
    if (code != FRESHET_OK)
        return code;
    text_init(&exporting.out, TEXT_LIMIT_DEFAULT);
    code = export_to(&exporting, store, path, err);
    text_release(&exporting.out);
    store_close(store);
    return code;
}
