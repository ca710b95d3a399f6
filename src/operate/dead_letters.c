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
 *
 * Others may put another file in the place of ours while we wait for its lock (a rotation, letters
 * of a batch taken away): so the path is looked at again behind the lock.
 */
#define _GNU_SOURCE /* flock */
#include "operate/dead_letters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"

#define LINES_PIECE ((size_t)4 << 20)
#define RUN_TEXT_MAX 80
#define OPEN_TRIES 100 /* where others put another file in its place at each */

struct dead_letters {
    dead_letters_options options;
    text_buffer lines;
    int64_t n_added;
    off_t cut_to;         /* a length that the file must be cut back to; -1: none */
    struct stat cut_file; /* ... which file that was */
    bool unsynced;        /* something was added since the last keep */
    uint64_t kept_inode;  /* of the last mark */
    char run[RUN_TEXT_MAX];
    char *rotated; /* room for the name of a rotated file */
    char path[];
};

static const char *const kind_names[] = {"batch", "stream", "replay"};

/* ---- opening ------------------------------------------------------------------------------- */

freshet_code dead_letters_check(const char *path, freshet_error *err)
{
    return durable_check("the dead-letter file", path, err);
}

/* "stream-2013-01-01T04:59:00.000000Z-77" */
static bool name_run(dead_letters *letters)
{
    text_buffer at;
    text_init(&at, RUN_TEXT_MAX);
    text_append_timestamp(&at, os.now_us());
    const bool good = !at.failed;
    if (good)
        snprintf(letters->run, sizeof letters->run, "%s-%s-%ld", kind_names[letters->options.kind],
                 at.bytes, (long)getpid());
    text_release(&at);
    return good;
}

freshet_code dead_letters_open(const dead_letters_options *options, dead_letters **out,
                               freshet_error *err)
{
    freshet_code code = dead_letters_check(options->path, err);
    if (code != FRESHET_OK)
        return code;
    const size_t size = strlen(options->path) + 1;
    dead_letters *letters = calloc(1, sizeof *letters + size * 2 + 16);
    if (letters == NULL)
        return error_memory(err, "opening the dead letters");
    letters->options = *options;
    letters->rotated = letters->path + size;
    memcpy(letters->path, options->path, size);
    letters->options.path = letters->path;
    letters->cut_to = -1;
    text_init(&letters->lines, TEXT_LIMIT_DEFAULT);
    if (!name_run(letters)) {
        dead_letters_close(letters);
        return error_memory(err, "opening the dead letters");
    }
    *out = letters;
    return FRESHET_OK;
}

const char *dead_letters_run(const dead_letters *letters)
{
    return letters->run;
}

const char *dead_letters_path(const dead_letters *letters)
{
    return letters->path;
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

const char *const letter_fields[] = {
    "at",         "pipeline", "run",    "n",      "reader",     "partition",    "offset",
    "part",       "parts",    "copy",   "copies", "message_us", "message_kind", "key",
    "key_base64", "code",     "reason", "raw",    "raw_base64", "raw_bytes",    NULL};

/* The key of a message, null for none, and its time. */
static void append_message(text_buffer *line, const reject *reject)
{
    if (reject->message_us != INT64_MIN)
        text_format(line, ",\"message_us\":%lld,\"message_kind\":%d", (long long)reject->message_us,
                    reject->message_kind);
    if (reject->key == NULL || text_is_utf8(reject->key, reject->key_length)) {
        text_append_c(line, ",\"key\":");
        if (reject->key == NULL)
            text_append_c(line, "null");
        else
            text_append_json(line, reject->key, reject->key_length);
        return;
    }
    text_append_c(line, ",\"key_base64\":\"");
    text_append_base64(line, reject->key, reject->key_length);
    text_append_char(line, '"');
}

static void append_line(const dead_letters *letters, text_buffer *line, int64_t now_us,
                        int64_t number, const reject *reject)
{
    text_append_c(line, LETTER_START);
    text_append_timestamp(line, now_us);
    text_append_char(line, '"');
    append_text(line, "pipeline", letters->options.pipeline);
    append_text(line, "run", letters->run);
    text_format(line, ",\"n\":%lld", (long long)number);
    append_text(line, "reader", reject->reader);
    append_text(line, "partition", reject->partition);
    if (reject->reader == NULL || reject->offset < 0)
        text_append_c(line, ",\"offset\":null");
    else
        text_format(line, ",\"offset\":%lld", (long long)reject->offset);
    if (reject->parts > 1)
        text_format(line, ",\"part\":%u,\"parts\":%u", reject->part, reject->parts);
    if (reject->stacked.copies > 1)
        text_format(line, ",\"copy\":%u,\"copies\":%u", reject->stacked.copy,
                    reject->stacked.copies);
    if (reject->has_message)
        append_message(line, reject);
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

/* Opens the file and waits for its lock. */
static freshet_code open_locked(dead_letters *letters, const char *path, int flags, int *file,
                                struct stat *now, freshet_error *err)
{
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        struct stat there;
        *file = os.open(path, O_RDWR | O_APPEND | O_NOCTTY | flags, 0600);
        if (*file < 0)
            return letters_failed(letters, "cannot open", err);
        int locked;
        do
            locked = flock(*file, LOCK_EX);
        while (locked != 0 && errno == EINTR);
        /* Some file systems have no locks: then two pipelines must not share the file. */
        if (os.fstat(*file, now) != 0)
            return letters_failed(letters, "cannot look at", err);
        if (!S_ISREG(now->st_mode) || (os.stat(path, &there) == 0 && same_file(&there, now)))
            return FRESHET_OK;
        os.close(*file);
        *file = -1;
    }
    errno = EAGAIN;
    return letters_failed(letters, "cannot keep up with", err);
}

static freshet_code open_file(dead_letters *letters, int *file, struct stat *now,
                              freshet_error *err)
{
    freshet_code code = open_locked(letters, letters->path, O_CREAT, file, now, err);
    if (code != FRESHET_OK || !S_ISREG(now->st_mode))
        return code;
    if (cut_back(letters, *file, now))
        now->st_size = durable_mend(*file, now->st_size, LETTER_START);
    else
        now->st_size = -1;
    if (now->st_size < 0)
        return letters_failed(letters, "cannot remove a half-written line from", err);
    return FRESHET_OK;
}

/* ---- rotated files --------------------------------------------------------------------------- */

/* The n-th of them, PATH.n; 0 is the file itself. Lives until the next call. */
static const char *rotated_path(dead_letters *letters, int64_t n)
{
    if (n == 0)
        return letters->path;
    sprintf(letters->rotated, "%s.%lld", letters->path, (long long)n);
    return letters->rotated;
}

/* How many there are one after the other. */
static int64_t count_rotated(dead_letters *letters)
{
    struct stat found;
    int64_t n = 0;
    while (n < DEAD_LETTERS_KEEP_MAX && os.stat(rotated_path(letters, n + 1), &found) == 0 &&
           S_ISREG(found.st_mode))
        n++;
    return n;
}

/* Each file becomes the next; the caller has the lock of the file itself. What fails is tried again
 * at the next turn: no letter is lost by it, since the oldest alone is removed, and first. */
static void rotate(dead_letters *letters)
{
    char next[4096 + 32];
    const int64_t n = count_rotated(letters);
    for (int64_t i = letters->options.keep; i <= n; i++)
        os.unlink(rotated_path(letters, i));
    for (int64_t i = n < letters->options.keep ? n : letters->options.keep - 1; i >= 0; i--) {
        snprintf(next, sizeof next, "%s.%lld", letters->path, (long long)i + 1);
        if (os.rename(rotated_path(letters, i), next) != 0) {
            log_event(LETTERS_NOT_ROTATED, letters->options.pipeline, rotated_path(letters, i),
                      next, strerror(errno));
            return;
        }
    }
    const int file = os.open(letters->path, O_WRONLY | O_CREAT | O_NOCTTY, 0600);
    if (file >= 0) /* an empty one, so that a mark has a file to be of */
        os.close(file);
    log_event(LETTERS_ROTATED, letters->options.pipeline, letters->path);
}

static bool is_full(const dead_letters *letters, const struct stat *now)
{
    return letters->options.max_size > 0 && S_ISREG(now->st_mode) &&
           now->st_size > letters->options.max_size;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static freshet_code add_lines(dead_letters *letters, int file, const rejects *rejects,
                              freshet_error *err)
{
    text_buffer *lines = &letters->lines;
    text_reset(lines);
    int64_t now_us = os.now_us();
    for (uint32_t i = 0; i < rejects->n; i++) {
        append_line(letters, lines, now_us, letters->n_added + i + 1, &rejects->items[i]);
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

freshet_code dead_letters_add(dead_letters *letters, const rejects *rejects, freshet_error *err)
{
    if (rejects->n == 0)
        return FRESHET_OK;
    int file = -1;
    struct stat before;
    freshet_code code = open_file(letters, &file, &before, err);
    letters->unsynced = true;
    if (code == FRESHET_OK) {
        code = add_lines(letters, file, rejects, err);
        if (code != FRESHET_OK && S_ISREG(before.st_mode)) {
            letters->cut_to = before.st_size;
            letters->cut_file = before;
            if (durable_cut(file, before.st_size))
                letters->cut_to = -1;
        }
    }
    if (code == FRESHET_OK) {
        letters->n_added += rejects->n;
        if (letters->options.kind == LETTERS_BATCH && os.fstat(file, &before) == 0 &&
            is_full(letters, &before))
            rotate(letters);
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
    int file = -1;
    freshet_code code = open_locked(letters, letters->path, 0, &file, now, err);
    if (code == FRESHET_OK && S_ISREG(now->st_mode) && os.fsync(file) != 0)
        code = letters_failed(letters, "cannot make durable", err);
    /* Only where the checkpoint before has noted this file: one that noted none would not know
     * that there was another. */
    if (code == FRESHET_OK && is_full(letters, now) && letters->kept_inode == now->st_ino) {
        rotate(letters);
        if (os.stat(letters->path, now) != 0)
            code = letters_failed(letters, "cannot look at", err);
    }
    if (file >= 0)
        os.close(file);
    return code;
}

freshet_code dead_letters_keep(dead_letters *letters, dead_letters_mark *mark, freshet_error *err)
{
    struct stat now;
    *mark = (dead_letters_mark){0};
    if (os.stat(letters->path, &now) != 0) {
        letters->unsynced = false; /* moved away */
        letters->kept_inode = 0;
        return errno == ENOENT || errno == ENOTDIR ? FRESHET_OK
                                                   : letters_failed(letters, "cannot look at", err);
    }
    freshet_code code =
        letters->unsynced || is_full(letters, &now) ? sync_file(letters, &now, err) : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    letters->unsynced = false;
    letters->kept_inode = S_ISREG(now.st_mode) ? now.st_ino : 0;
    if (S_ISREG(now.st_mode))
        *mark =
            (dead_letters_mark){.device = now.st_dev, .inode = now.st_ino, .length = now.st_size};
    return FRESHET_OK;
}

/* Is the text of a line, which may end early, of the pipeline and a run with state? */
static bool is_line_of(const char *line, size_t length, const text_buffer *name)
{
    const size_t start = sizeof LETTER_START - 1;
    if (length <= start)
        return memcmp(line, LETTER_START, length) == 0;
    const char *quote = memchr(line + start, '"', length - start);
    if (memcmp(line, LETTER_START, start) != 0)
        return false;
    size_t left = quote == NULL ? 0 : length - (size_t)(quote - line);
    const size_t compared = left < name->length ? left : name->length;
    if (memcmp(quote == NULL ? "" : quote, name->bytes, compared) != 0)
        return false;
    const char *kind = quote == NULL ? "" : quote + compared;
    left -= compared;
    return left == 0 || kind[0] != kind_names[LETTERS_BATCH][0];
}

static bool all_lines_of(const char *text, size_t length, const char *pipeline)
{
    text_buffer name;
    text_init(&name, TEXT_LIMIT_DEFAULT);
    text_append_char(&name, '"');
    append_text(&name, "pipeline", pipeline);
    text_append_c(&name, ",\"run\":\"");
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

/* Which file the mark is of: the file itself (0), a rotated one (1 ...); -1: none that is there. */
static int64_t find_marked(dead_letters *letters, const dead_letters_mark *mark)
{
    struct stat found;
    const int64_t n = mark->inode == 0 ? 0 : count_rotated(letters);
    for (int64_t i = 0; i <= n; i++)
        if (os.stat(rotated_path(letters, i), &found) == 0 &&
            (mark->inode == 0 || (found.st_ino == mark->inode && found.st_dev == mark->device)))
            return i;
    return mark->inode == 0 ? 0 : -1;
}

/* What the n-th file has behind `length` is all ours: looked at, or taken away. */
static freshet_code cut_one(dead_letters *letters, int64_t n, off_t length, bool only_look,
                            bool *ours, freshet_error *err)
{
    struct stat now;
    int file = -1;
    char *text = NULL;
    const char *path = rotated_path(letters, n);
    if (os.stat(path, &now) != 0 || !S_ISREG(now.st_mode) || now.st_size <= length)
        return FRESHET_OK;
    freshet_code code = n == 0 ? open_file(letters, &file, &now, err)
                               : open_locked(letters, path, 0, &file, &now, err);
    if (code == FRESHET_OK && now.st_size > length && only_look) {
        const off_t behind = now.st_size - length;
        text = behind <= DEAD_LETTERS_CUT_MAX ? malloc((size_t)behind) : NULL;
        *ours = text != NULL && durable_read(file, text, (size_t)behind, length) == behind &&
                all_lines_of(text, (size_t)behind, letters->options.pipeline);
    } else if (code == FRESHET_OK && now.st_size > length && !durable_cut(file, length)) {
        code = letters_failed(letters, "cannot take back letters from", err);
    }
    free(text);
    if (file >= 0)
        os.close(file);
    return code;
}

freshet_code dead_letters_cut(dead_letters *letters, const dead_letters_mark *mark, bool *cut,
                              freshet_error *err)
{
    struct stat now;
    freshet_code code = FRESHET_OK;
    const int64_t marked = find_marked(letters, mark);
    *cut = marked >= 0;
    if (marked < 0) { /* it went elsewhere; what is there now is another */
        *cut = os.stat(letters->path, &now) != 0 || !S_ISREG(now.st_mode) || now.st_size == 0;
        return FRESHET_OK;
    }
    for (int only_look = 1; only_look >= 0 && *cut && code == FRESHET_OK; only_look--)
        for (int64_t n = 0; n <= marked && *cut && code == FRESHET_OK; n++)
            code = cut_one(letters, n, n == marked ? mark->length : 0, only_look != 0, cut, err);
    letters->kept_inode = marked == 0 ? mark->inode : 0;
    return code;
}

/* ---- all letters ------------------------------------------------------------------------ */

freshet_code dead_letters_visit(dead_letters *letters, letter_line_fn *line, void *context,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (int64_t n = count_rotated(letters); n >= 0 && code == FRESHET_OK; n--) {
        struct stat now;
        const char *path = rotated_path(letters, n);
        const int file = os.open(path, O_RDONLY | O_NOCTTY, 0);
        if (file < 0 && errno == ENOENT)
            continue;
        if (file < 0 || os.fstat(file, &now) != 0)
            code = error_system(err, "cannot read", path);
        else if (S_ISREG(now.st_mode))
            code = letters_visit(file, path, 0, now.st_size, line, context, err);
        if (file >= 0)
            os.close(file);
    }
    return code;
}

freshet_code dead_letters_sift(dead_letters *letters, letter_line_fn *line, void *context,
                               freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (int64_t n = count_rotated(letters); n >= 0 && code == FRESHET_OK; n--) {
        struct stat now;
        int file = -1;
        bool changed = false;
        const char *path = rotated_path(letters, n);
        if (os.stat(path, &now) != 0 || !S_ISREG(now.st_mode))
            continue;
        code = n == 0 ? open_file(letters, &file, &now, err)
                      : open_locked(letters, path, 0, &file, &now, err);
        if (code == FRESHET_OK)
            code = letters_rewrite(file, path, line, context, &changed, err);
        if (file >= 0)
            os.close(file);
        letters->unsynced |= changed;
    }
    return code;
}

/* Letters of a run without state of this pipeline are not kept. */
static freshet_code keep_others(void *context, const char *line, size_t length, bool *keep,
                                freshet_error *err)
{
    const dead_letters *letters = context;
    const char *kind = kind_names[LETTERS_BATCH];
    size_t run_length;
    const char *run = letter_run(line, length, letters->options.pipeline, &run_length);
    (void)err;
    *keep = run == NULL || run_length <= strlen(kind) || memcmp(run, kind, strlen(kind)) != 0;
    return FRESHET_OK;
}

freshet_code dead_letters_begin_anew(dead_letters *letters, freshet_error *err)
{
    return dead_letters_sift(letters, keep_others, letters, err);
}
