/* dead_letters.c - see dead_letters.h.
 *
 * A batch's lines go out in writes of about LINES_PIECE bytes to a file opened with O_APPEND, whose
 * length before the first of them was noted. When a write fails, the file is cut back to that
 * length; when even that fails, the length stays noted and the cut is tried again before anything
 * else is added. A lock on the file keeps two pipelines that share it from cutting each other's
 * lines.
 *
 * A process that was killed between two writes leaves half a line: the next add finds that the file
 * does not end in a newline and takes the half line away if it is one of ours; it ends a foreign
 * one.
 */
#define _GNU_SOURCE /* flock */
#include "operate/dead_letters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "base/text.h"

#define LINES_PIECE ((size_t)4 << 20)
#define LINE_START "{\"at\":\""

struct dead_letters {
    text_buffer lines;
    off_t cut_to;         /* a length that the file must be cut back to; -1: none */
    struct stat cut_file; /* ... which file that was */
    bool unsynced;        /* something was added since the last keep */
    char path[];
};

/* ---- opening ------------------------------------------------------------------------------- */

freshet_code dead_letters_check(const char *path, freshet_error *err)
{
    return durable_check("the dead-letter file", path, err);
}

freshet_code dead_letters_open(const char *path, dead_letters **out, freshet_error *err)
{
    freshet_code code = dead_letters_check(path, err);
    if (code != FRESHET_OK)
        return code;
    const size_t size = strlen(path) + 1;
    dead_letters *letters = calloc(1, sizeof *letters + size);
    if (letters == NULL)
        return error_memory(err, "opening the dead letters");
    memcpy(letters->path, path, size);
    letters->cut_to = -1;
    text_init(&letters->lines, TEXT_LIMIT_DEFAULT);
    *out = letters;
    return FRESHET_OK;
}

void dead_letters_close(dead_letters *letters)
{
    if (letters == NULL)
        return;
    text_release(&letters->lines);
    free(letters);
}

/* ---- one line ------------------------------------------------------------------------------ */

static void append_text(text_buffer *line, const char *name, const char *text)
{
    text_format(line, ",\"%s\":", name);
    if (text == NULL)
        text_append_c(line, "null");
    else
        text_append_json(line, text, strlen(text));
}

/* Bytes of `raw` to keep: at most the limit, and no half character. */
static size_t raw_kept(const char *raw, size_t length)
{
    if (length <= DEAD_LETTER_RAW_MAX)
        return length;
    size_t end = DEAD_LETTER_RAW_MAX;
    while (end > DEAD_LETTER_RAW_MAX - 4 && ((unsigned char)raw[end] & 0xC0) == 0x80)
        end--;
    return end;
}

static void append_raw(text_buffer *line, const char *raw, size_t length)
{
    if (raw == NULL) {
        text_append_c(line, ",\"raw\":null");
        return;
    }
    size_t kept = raw_kept(raw, length);
    if (text_is_utf8(raw, kept)) {
        text_append_c(line, ",\"raw\":");
        text_append_json(line, raw, kept);
    } else {
        text_append_c(line, ",\"raw_base64\":\"");
        text_append_base64(line, raw, kept);
        text_append_char(line, '"');
    }
    if (kept < length)
        text_format(line, ",\"raw_bytes\":%zu", length);
}

static void append_line(text_buffer *line, int64_t now_us, const char *pipeline,
                        const reject *reject)
{
    text_append_c(line, LINE_START);
    text_append_timestamp(line, now_us);
    text_append_char(line, '"');
    append_text(line, "pipeline", pipeline);
    append_text(line, "reader", reject->reader);
    append_text(line, "partition", reject->partition);
    if (reject->reader == NULL || reject->offset < 0)
        text_append_c(line, ",\"offset\":null");
    else
        text_format(line, ",\"offset\":%lld", (long long)reject->offset);
    append_text(line, "code", reason_name(reject->code));
    append_text(line, "reason", reject->reason);
    append_raw(line, reject->raw, reject->raw_length);
    text_append_c(line, "}\n");
}

/* ---- the file ------------------------------------------------------------------------------ */

/* errno says why. Whatever the reason, the letters are not lost: the batch is given again. */
static freshet_code letters_failed(const dead_letters *letters, const char *doing,
                                   freshet_error *err)
{
    freshet_error system = {0};
    error_system(&system, doing, letters->path);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, letters->path,
                     "cannot keep the refused rows: %s", system.text);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Does what an earlier failure left to do. */
static bool cut_back(dead_letters *letters, int file, struct stat *now)
{
    if (letters->cut_to < 0)
        return true;
    if (same_file(&letters->cut_file, now) && now->st_size > letters->cut_to) {
        if (!durable_cut(file, letters->cut_to))
            return false;
        now->st_size = letters->cut_to;
    }
    letters->cut_to = -1;
    return true;
}

static freshet_code open_file(dead_letters *letters, int *file, struct stat *now,
                              freshet_error *err)
{
    *file = os.open(letters->path, O_RDWR | O_APPEND | O_CREAT | O_NOCTTY, 0600);
    if (*file < 0)
        return letters_failed(letters, "cannot open", err);
    int locked;
    do
        locked = flock(*file, LOCK_EX);
    while (locked != 0 && errno == EINTR);
    /* Some file systems have no locks: then two pipelines must not share the file. */
    if (os.fstat(*file, now) != 0)
        return letters_failed(letters, "cannot look at", err);
    if (!S_ISREG(now->st_mode))
        return FRESHET_OK;
    if (cut_back(letters, *file, now))
        now->st_size = durable_mend(*file, now->st_size, LINE_START);
    else
        now->st_size = -1;
    if (now->st_size < 0)
        return letters_failed(letters, "cannot remove a half-written line from", err);
    return FRESHET_OK;
}

static freshet_code add_lines(dead_letters *letters, int file, const char *pipeline,
                              const rejects *rejects, freshet_error *err)
{
    text_buffer *lines = &letters->lines;
    text_reset(lines);
    int64_t now_us = os.now_us();
    for (uint32_t i = 0; i < rejects->n; i++) {
        append_line(lines, now_us, pipeline, &rejects->items[i]);
        if (lines->failed)
            return error_memory(err, "writing the dead letters");
        if (lines->length < LINES_PIECE && i + 1 < rejects->n)
            continue;
        if (!durable_write(file, lines->bytes, lines->length))
            return letters_failed(letters, "cannot write to", err);
        text_reset(lines);
    }
    return FRESHET_OK;
}

freshet_code dead_letters_add(dead_letters *letters, const char *pipeline, const rejects *rejects,
                              freshet_error *err)
{
    if (rejects->n == 0)
        return FRESHET_OK;
    int file = -1;
    struct stat before;
    freshet_code code = open_file(letters, &file, &before, err);
    letters->unsynced = true;
    if (code == FRESHET_OK) {
        code = add_lines(letters, file, pipeline, rejects, err);
        if (code != FRESHET_OK && S_ISREG(before.st_mode)) {
            letters->cut_to = before.st_size;
            letters->cut_file = before;
            if (durable_cut(file, before.st_size))
                letters->cut_to = -1;
        }
    }
    if (file >= 0)
        os.close(file);
    if (letters->lines.capacity > LINES_PIECE * 4)
        text_release(&letters->lines);
    return code;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

static freshet_code sync_file(dead_letters *letters, struct stat *now, freshet_error *err)
{
    int file = os.open(letters->path, O_RDWR | O_APPEND | O_NOCTTY, 0);
    if (file < 0)
        return letters_failed(letters, "cannot open", err);
    freshet_code code = FRESHET_OK;
    if (os.fstat(file, now) != 0)
        code = letters_failed(letters, "cannot look at", err);
    else if (S_ISREG(now->st_mode) && os.fsync(file) != 0)
        code = letters_failed(letters, "cannot make durable", err);
    os.close(file);
    return code;
}

freshet_code dead_letters_keep(dead_letters *letters, dead_letters_mark *mark, freshet_error *err)
{
    struct stat now;
    *mark = (dead_letters_mark){0};
    if (os.stat(letters->path, &now) != 0) {
        letters->unsynced = false; /* moved away */
        return errno == ENOENT || errno == ENOTDIR ? FRESHET_OK
                                                   : letters_failed(letters, "cannot look at", err);
    }
    freshet_code code = letters->unsynced ? sync_file(letters, &now, err) : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    letters->unsynced = false;
    if (S_ISREG(now.st_mode))
        *mark =
            (dead_letters_mark){.device = now.st_dev, .inode = now.st_ino, .length = now.st_size};
    return FRESHET_OK;
}

/* Is this a line of the pipeline's, or the beginning of one that was not written to its end? */
static bool is_line_of(const char *line, size_t length, const text_buffer *name)
{
    const size_t start = sizeof LINE_START - 1;
    if (length <= start)
        return memcmp(line, LINE_START, length) == 0;
    const char *quote = memchr(line + start, '"', length - start);
    if (memcmp(line, LINE_START, start) != 0)
        return false;
    size_t left = quote == NULL ? 0 : length - (size_t)(quote - line);
    return memcmp(quote == NULL ? "" : quote, name->bytes,
                  left < name->length ? left : name->length) == 0;
}

static bool all_lines_of(const char *text, size_t length, const char *pipeline)
{
    text_buffer name;
    text_init(&name, TEXT_LIMIT_DEFAULT);
    text_append_char(&name, '"');
    append_text(&name, "pipeline", pipeline);
    text_append_char(&name, ',');
    bool all = !name.failed;
    while (all && length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end == NULL ? length : (size_t)(end - text);
        all = is_line_of(text, line, &name);
        line += end != NULL;
        text += line;
        length -= line;
    }
    text_release(&name);
    return all;
}

freshet_code dead_letters_cut(dead_letters *letters, const char *pipeline,
                              const dead_letters_mark *mark, bool *cut, freshet_error *err)
{
    struct stat now;
    *cut = true;
    if (os.stat(letters->path, &now) != 0 || !S_ISREG(now.st_mode) || now.st_size == 0)
        return FRESHET_OK; /* nothing was added, or it went elsewhere */
    if (mark->inode != 0 && (mark->inode != now.st_ino || mark->device != now.st_dev)) {
        *cut = false;
        return FRESHET_OK;
    }
    int file = -1;
    char *text = NULL;
    freshet_code code = open_file(letters, &file, &now, err);
    if (code == FRESHET_OK && now.st_size > mark->length) {
        const off_t length = now.st_size - mark->length;
        text = length <= DEAD_LETTERS_CUT_MAX ? malloc((size_t)length) : NULL;
        *cut = text != NULL && durable_read(file, text, (size_t)length, mark->length) == length &&
               all_lines_of(text, (size_t)length, pipeline);
        if (*cut && !durable_cut(file, mark->length))
            code = letters_failed(letters, "cannot take back letters from", err);
    }
    free(text);
    if (file >= 0)
        os.close(file);
    return code;
}
