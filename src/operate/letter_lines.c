/* letter_lines.c - see letter_lines.h. */
#include "operate/letter_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "base/text.h"

#define LINES_READ ((size_t)1 << 20) /* bytes read at once */

/* ---- lines --------------------------------------------------------------------------------- */

/* Gives the whole lines of the buffer, and keeps the half one behind them. */
static freshet_code give_lines(text_buffer *buffer, letter_line_fn *line, void *context,
                               freshet_error *err)
{
    size_t at = 0;
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK) {
        bool keep = true;
        const char *begin = buffer->bytes + at;
        const char *end = memchr(begin, '\n', buffer->length - at);
        if (end == NULL)
            break;
        code = line(context, begin, (size_t)(end - begin), &keep, err);
        at += (size_t)(end - begin) + 1;
    }
    memmove(buffer->bytes, buffer->bytes + at, buffer->length - at);
    buffer->length -= at;
    return code;
}

freshet_code letters_visit(int file, const char *path, off_t from, off_t to, letter_line_fn *line,
                           void *context, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    arena *arena = arena_open();
    char *piece = arena == NULL ? NULL : arena_alloc(arena, LINES_READ);
    text_buffer buffer;
    if (piece == NULL)
        code = error_memory(err, "reading dead letters");
    text_init(&buffer, LETTER_LINE_MAX);
    while (code == FRESHET_OK && from < to) {
        const size_t most = to - from < (off_t)LINES_READ ? (size_t)(to - from) : LINES_READ;
        const ssize_t n = durable_read(file, piece, most, from);
        if (n == 0)
            break;
        if (n < 0)
            code = error_system(err, "cannot read", path);
        else if (!text_append(&buffer, piece, (size_t)n))
            code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, path,
                             "%s has a line of more than %zu MiB, which is no dead letter; move "
                             "the file away",
                             path, LETTER_LINE_MAX >> 20);
        else
            code = give_lines(&buffer, line, context, err);
        from += n;
    }
    text_release(&buffer);
    arena_close(arena);
    return code == FRESHET_END ? FRESHET_OK : code;
}

/* ---- the file without some ----------------------------------------------------------------- */

typedef struct rewriting {
    letter_line_fn *line;
    void *context;
    const char *path; /* of the new file */
    int file;         /* it; -1: only looked whether there is to be one */
    text_buffer out;
    bool leaves_out;
    bool is_empty; /* no line is wanted */
} rewriting;

static freshet_code rewriting_flush(rewriting *rewriting, freshet_error *err)
{
    if (rewriting->out.failed)
        return error_memory(err, "writing dead letters");
    if (!durable_write(rewriting->file, rewriting->out.bytes, rewriting->out.length))
        return error_system(err, "cannot write to", rewriting->path);
    text_reset(&rewriting->out);
    return FRESHET_OK;
}

static freshet_code look_at_line(void *context, const char *line, size_t length, bool *keep,
                                 freshet_error *err)
{
    rewriting *rewriting = context;
    freshet_code code = rewriting->line(rewriting->context, line, length, keep, err);
    rewriting->leaves_out |= code == FRESHET_OK && !*keep;
    return code == FRESHET_OK && rewriting->leaves_out ? FRESHET_END : code;
}

static freshet_code copy_line(void *context, const char *line, size_t length, bool *keep,
                              freshet_error *err)
{
    rewriting *rewriting = context;
    freshet_code code = rewriting->line(rewriting->context, line, length, keep, err);
    if (code != FRESHET_OK || !*keep)
        return code;
    rewriting->is_empty = false;
    text_append(&rewriting->out, line, length);
    text_append_char(&rewriting->out, '\n');
    return rewriting->out.failed || rewriting->out.length >= LINES_READ
               ? rewriting_flush(rewriting, err)
               : FRESHET_OK;
}

static freshet_code put_in_place(rewriting *rewriting, int file, const char *path,
                                 const struct stat *of, freshet_error *err)
{
    freshet_code code = letters_visit(file, path, 0, of->st_size, copy_line, rewriting, err);
    if (code == FRESHET_OK && rewriting->out.length > 0)
        code = rewriting_flush(rewriting, err);
    if (code == FRESHET_OK && os.fsync(rewriting->file) != 0)
        code = error_system(err, "cannot make durable", rewriting->path);
    if (code == FRESHET_OK && rewriting->is_empty) {
        os.unlink(rewriting->path);
        if (os.unlink(path) != 0)
            code = error_system(err, "cannot remove", path);
    } else if (code == FRESHET_OK && os.rename(rewriting->path, path) != 0) {
        code = error_system(err, "cannot rename", rewriting->path);
    }
    if (code == FRESHET_OK && !durable_entry(path))
        code = error_system(err, "cannot make durable the folder of", path);
    return code;
}

freshet_code letters_rewrite(int file, const char *path, letter_line_fn *line, void *context,
                             bool *changed, freshet_error *err)
{
    char beside[4096 + 8];
    struct stat now;
    rewriting rewriting = {
        .line = line, .context = context, .path = beside, .file = -1, .is_empty = true};
    *changed = false;
    snprintf(beside, sizeof beside, "%s.new", path);
    if (os.fstat(file, &now) != 0)
        return error_system(err, "cannot look at", path);
    freshet_code code = letters_visit(file, path, 0, now.st_size, look_at_line, &rewriting, err);
    if (code != FRESHET_OK || !rewriting.leaves_out)
        return code;
    rewriting.file =
        os.open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, now.st_mode & (mode_t)0777);
    if (rewriting.file < 0)
        return error_system(err, "cannot open", beside);
    text_init(&rewriting.out, LETTER_LINE_MAX * 2);
    code = put_in_place(&rewriting, file, path, &now, err);
    text_release(&rewriting.out);
    os.close(rewriting.file);
    *changed = code == FRESHET_OK;
    if (code != FRESHET_OK)
        os.unlink(beside);
    return code;
}

/* ---- one line ------------------------------------------------------------------------------ */

const char *letter_run(const char *line, size_t length, const char *pipeline, size_t *run_length)
{
    const size_t start = sizeof LETTER_START - 1;
    const char *const end = line + length;
    const char *run = NULL;
    text_buffer name;
    text_init(&name, TEXT_LIMIT_DEFAULT);
    text_append_c(&name, "\",\"pipeline\":");
    text_append_json(&name, pipeline, strlen(pipeline));
    text_append_c(&name, ",\"run\":\"");
    if (length > start && memcmp(line, LETTER_START, start) == 0 && !name.failed) {
        const char *at = memchr(line + start, '"', length - start);
        if (at != NULL && (size_t)(end - at) > name.length &&
            memcmp(at, name.bytes, name.length) == 0)
            run = at + name.length;
    }
    text_release(&name);
    const char *quote = run == NULL ? NULL : memchr(run, '"', (size_t)(end - run));
    *run_length = quote == NULL ? 0 : (size_t)(quote - run);
    return quote == NULL ? NULL : run;
}

static const char *letter_text(arena *arena, yyjson_val *root, const char *name, size_t *length,
                               bool *failed)
{
    yyjson_val *value = yyjson_obj_get(root, name);
    *length = 0;
    if (!yyjson_is_str(value))
        return NULL;
    *length = yyjson_get_len(value);
    const char *text = arena_copy(arena, yyjson_get_str(value), *length);
    *failed |= text == NULL;
    return text;
}

static int64_t letter_number(yyjson_val *root, const char *name, int64_t none)
{
    yyjson_val *value = yyjson_obj_get(root, name);
    return yyjson_is_int(value) ? yyjson_get_sint(value) : none;
}

/* The bytes under `name`, or under `name`_base64. */
static const char *letter_bytes(arena *arena, yyjson_val *root, const char *name, size_t *length,
                                bool *failed)
{
    char coded[32];
    const char *bytes = letter_text(arena, root, name, length, failed);
    if (bytes != NULL)
        return bytes;
    snprintf(coded, sizeof coded, "%s_base64", name);
    char *text = (char *)letter_text(arena, root, coded, length, failed);
    if (text != NULL)
        text_from_base64(text, length);
    return text;
}

static bool letter_code(yyjson_val *root, reason_code *into)
{
    const char *code = yyjson_get_str(yyjson_obj_get(root, "code"));
    for (int i = 0; code != NULL && i < REASON_COUNT; i++)
        if (strcmp(code, reason_name((reason_code)i)) == 0) {
            *into = (reason_code)i;
            return true;
        }
    return false;
}

/* False where it is not as it is written. */
static bool letter_copy(yyjson_val *root, row_copy *into)
{
    const int64_t copy = letter_number(root, "copy", 0), copies = letter_number(root, "copies", 0);
    if (copy < 0 || copies > UINT32_MAX || copy > copies || (copies > 0 && copy == 0))
        return false;
    *into = (row_copy){(uint32_t)copy, (uint32_t)copies};
    return true;
}

freshet_code letter_read(arena *arena, const char *line, size_t length, letter *into,
                         freshet_error *err)
{
    yyjson_doc *doc = yyjson_read(line, length, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    size_t ignored;
    bool failed = false;
    *into = (letter){.run = letter_text(arena, root, "run", &ignored, &failed),
                     .number = letter_number(root, "n", 0),
                     .reader = letter_text(arena, root, "reader", &ignored, &failed),
                     .partition = letter_text(arena, root, "partition", &ignored, &failed),
                     .offset = letter_number(root, "offset", -1),
                     .part = letter_number(root, "part", 0),
                     .parts = letter_number(root, "parts", 0),
                     .message_us = letter_number(root, "message_us", INT64_MIN),
                     .message_kind = (int)letter_number(root, "message_kind", 0),
                     .has_message = yyjson_obj_get(root, "key") != NULL ||
                                    yyjson_obj_get(root, "key_base64") != NULL};
    into->raw = letter_bytes(arena, root, "raw", &into->raw_length, &failed);
    into->key = letter_bytes(arena, root, "key", &into->key_length, &failed);
    const bool is_letter = into->run != NULL && into->number > 0 &&
                           letter_code(root, &into->code) && letter_copy(root, &into->stacked);
    into->is_whole = into->raw != NULL && into->code != REASON_TOO_LARGE &&
                     yyjson_obj_get(root, "raw_bytes") == NULL;
    yyjson_doc_free(doc);
    if (failed)
        return error_memory(err, "reading dead letters");
    return is_letter ? FRESHET_OK
                     : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                 "a line of the file is no dead letter of this version");
}
