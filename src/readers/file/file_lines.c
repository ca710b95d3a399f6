/* file_lines.c - see file_lines.h. */
#include "readers/file/file_lines.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "readers/file/file_ahead.h"
#include "readers/file/file_gzip.h"

#define ROOM_LEAST ((size_t)64 << 10) /* with less, a new block is taken */
#define BLOCKS_KEPT 8
#define BEGINNING_BYTES ((size_t)64 << 10)    /* the first read: often no more is wanted yet */
#define READ_ON_LEAST (LINES_BLOCK_BYTES / 4) /* who gets less is near the end of the file */
/* In front of what is read ahead: room for the part of a record that stands before it. */
#define AHEAD_FRONT ((size_t)64 << 10)

typedef struct block block;
struct block {
    block *next;
    size_t size;
    char bytes[];
};

struct lines {
    lines_options options;
    block *current;
    block *held;  /* blocks with records of this poll */
    block *spare; /* for use again */
    size_t n_spare;
    size_t start, filled; /* in current */
    bool current_has_given;
    int64_t offset; /* of the byte at start */
    record_progress progress;
    size_t searched; /* bytes behind start that hold no newline, where it ends records */
    int fd;
    const char *path;
    bool is_gzip;
    gzip gzip;
    ahead *ahead;    /* NULL: there is none */
    bool is_read_on; /* this file was read from, and its beginning is not all that is wanted */
    bool skipping;   /* in a record that is too long */
    size_t shown_length;
    int64_t skipped; /* bytes of it that are gone, behind `offset` */
    char *shown;     /* its beginning; one buffer each, in held */
};

/* ---- blocks ---------------------------------------------------------------------------------- */

static block *block_take(lines *lines, size_t size)
{
    block *it = lines->spare;

    if (size <= LINES_BLOCK_BYTES && it != NULL) {
        lines->spare = it->next;
        lines->n_spare--;
    } else {
        if (size < LINES_BLOCK_BYTES)
            size = LINES_BLOCK_BYTES;
        it = malloc(sizeof(*it) + size);
        if (it == NULL)
            return NULL;
        it->size = size;
    }
    it->next = NULL;
    return it;
}

static void block_give(lines *lines, block *it)
{
    if (it == NULL)
        return;
    if (it->size == LINES_BLOCK_BYTES && lines->n_spare < BLOCKS_KEPT) {
        it->next = lines->spare;
        lines->spare = it;
        lines->n_spare++;
    } else {
        free(it);
    }
}

static void blocks_free(block *it)
{
    while (it != NULL) {
        block *next = it->next;
        free(it);
        it = next;
    }
}

/* The next block becomes the current one, with these bytes: the part of a record that was not
 * complete, and perhaps more. */
static void turn_block(lines *lines, block *next, size_t start, size_t n)
{
    if (lines->current != NULL && lines->current_has_given) {
        lines->current->next = lines->held;
        lines->held = lines->current;
    } else {
        block_give(lines, lines->current);
    }
    lines->current = next;
    lines->current_has_given = false;
    lines->start = start;
    lines->filled = start + n;
}

/* Room behind `filled`: moves the unfinished record to the front, here or in another block. */
static bool lines_make_room(lines *lines)
{
    size_t part = lines->filled - lines->start;
    size_t size = LINES_BLOCK_BYTES;
    block *next;

    if (lines->current != NULL && lines->current->size - lines->filled >= ROOM_LEAST)
        return true;
    if (lines->current != NULL && !lines->current_has_given && lines->start > 0 &&
        part <= lines->current->size / 2) {
        memmove(lines->current->bytes, lines->current->bytes + lines->start, part);
        lines->start = 0;
        lines->filled = part;
        return true;
    }
    while (size / 2 < part)
        size *= 2;
    next = block_take(lines, size);
    if (next == NULL)
        return false;
    if (lines->current != NULL && part > 0)
        memcpy(next->bytes, lines->current->bytes + lines->start, part);
    turn_block(lines, next, 0, part);
    return true;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Of the byte behind `filled`. */
static int64_t place_in_file(const lines *lines)
{
    return lines->offset + lines->skipped + (int64_t)(lines->filled - lines->start);
}

static block *lines_block_of(char *into)
{
    return (block *)(void *)(into - AHEAD_FRONT - offsetof(block, bytes));
}

/* Gives the crew more blocks to read into. Where there is no memory for one, it has less to do. */
static void read_on_ahead(lines *lines)
{
    while (ahead_has_room(lines->ahead)) {
        block *next = block_take(lines, LINES_BLOCK_BYTES);
        if (next == NULL)
            break;
        ahead_offer(lines->ahead, next->bytes + AHEAD_FRONT, LINES_BLOCK_BYTES - AHEAD_FRONT);
    }
    ahead_go(lines->ahead);
}

/* The caller has read on himself, and is at the byte behind `filled`. */
static void begin_ahead(lines *lines)
{
    if (lines->ahead == NULL)
        return;
    if (ahead_is_started(lines->ahead))
        ahead_go_on(lines->ahead, place_in_file(lines));
    else if (!ahead_start(lines->ahead, lines->fd, lines->is_gzip ? &lines->gzip : NULL,
                          place_in_file(lines)))
        return;
    read_on_ahead(lines);
}

static void stop_ahead(lines *lines)
{
    char *into;
    ahead_stop(lines->ahead);
    while (ahead_withdraw(lines->ahead, &into))
        block_give(lines, lines_block_of(into));
    lines->is_read_on = false;
}

/* At the end of what is there: a file that may be gone is held no longer than by its reader. */
static void leave_ahead(lines *lines)
{
    if (!ahead_is_started(lines->ahead))
        return;
    stop_ahead(lines);
    lines->gzip.fd = lines->fd;
}

/* Room for a piece whose front has none for the part of a record that is there; *out is NULL where
 * it has, or where nothing is read ahead. Before the piece is taken: so none is lost. */
static freshet_code take_room_ahead(lines *lines, block **out, freshet_error *err)
{
    const size_t part = lines->filled - lines->start;
    size_t size = LINES_BLOCK_BYTES;

    *out = NULL;
    if (part <= AHEAD_FRONT || !ahead_is_started(lines->ahead))
        return FRESHET_OK;
    while (size < part + LINES_BLOCK_BYTES)
        size *= 2;
    *out = block_take(lines, size * 2);
    return *out == NULL ? error_memory(err, "reading a file") : FRESHET_OK;
}

/* The block that was read ahead, with the part of a record that is there in front of it. */
static void take_ahead(lines *lines, const ahead_piece *piece, block *larger)
{
    block *it = lines_block_of(piece->into);
    const size_t part = lines->filled - lines->start;
    size_t start = AHEAD_FRONT - part;

    if (larger != NULL) {
        memcpy(larger->bytes + part, piece->into, piece->n);
        block_give(lines, it);
        it = larger;
        start = 0;
    }
    if (part > 0)
        memcpy(it->bytes + start, lines->current->bytes + lines->start, part);
    turn_block(lines, it, start, part + piece->n);
    read_on_ahead(lines);
}

/* Reads bytes behind `filled`, here and now. */
static freshet_code read_now(lines *lines, size_t *n, freshet_error *err)
{
    size_t room;
    char *into;

    if (!lines_make_room(lines))
        return error_memory(err, "reading a file");
    room = lines->current->size - lines->filled;
    into = lines->current->bytes + lines->filled;
    if (!lines->is_read_on && room > BEGINNING_BYTES)
        room = BEGINNING_BYTES;
    if (lines->is_gzip) {
        freshet_code code = gzip_read(&lines->gzip, into, room, n, err);
        if (code != FRESHET_OK)
            return code;
    } else {
        ssize_t got = lines->options.read == NULL
                          ? file_pread(lines->fd, into, room, place_in_file(lines))
                          : lines->options.read(lines->options.context, into, room);
        if (got < 0)
            return error_system(err, "cannot read", lines->path);
        *n = (size_t)got;
    }
    lines->filled += *n;
    return FRESHET_OK;
}

/* Reads more bytes of the file behind `filled`; *n = 0 at its end. */
static freshet_code read_more(lines *lines, size_t *n, freshet_error *err)
{
    ahead_piece piece;
    block *larger;
    freshet_code code = take_room_ahead(lines, &larger, err);

    if (code != FRESHET_OK)
        return code;
    if (ahead_take(lines->ahead, place_in_file(lines), &piece)) {
        *n = piece.n;
        take_ahead(lines, &piece, larger);
        return FRESHET_OK;
    }
    if (larger != NULL)
        block_give(lines, larger);
    code = read_now(lines, n, err);
    if (code == FRESHET_OK && lines->is_read_on && *n >= (lines->is_gzip ? 1 : READ_ON_LEAST))
        begin_ahead(lines);
    else if (code == FRESHET_OK && *n == 0)
        leave_ahead(lines);
    lines->is_read_on = true;
    return code;
}

/* ---- records --------------------------------------------------------------------------------- */

static void forget_record(lines *lines)
{
    lines->progress = (record_progress){0};
    lines->searched = 0;
    lines->skipping = false;
    lines->skipped = 0;
}

/* The record whose next `size` bytes, its newline included where there is one, lie at start. */
static record view(const lines *lines, size_t size, record_state state)
{
    record it = {.bytes = lines->shown,
                 .length = lines->shown_length,
                 .offset = lines->offset,
                 .size = lines->skipped + (int64_t)size,
                 .state = state};

    if (lines->skipping)
        return it;
    it.bytes = lines->current->bytes + lines->start;
    it.length = size;
    if (it.length > 0 && it.bytes[it.length - 1] == '\n')
        it.length--;
    if (it.length > 0 && it.bytes[it.length - 1] == '\r')
        it.length--;
    if (state != RECORD_WHOLE && it.length > LINES_SHOWN_BYTES_MAX)
        it.length = LINES_SHOWN_BYTES_MAX;
    return it;
}

void lines_take_tail(lines *lines, const record *tail)
{
    lines->current_has_given = true;
    lines->start += (size_t)(tail->size - lines->skipped);
    lines->offset += tail->size;
    forget_record(lines);
}

/* Gives that record, and moves on. */
static freshet_code give(lines *lines, size_t size, record_state state, record *out)
{
    assert(lines->current != NULL && size <= lines->filled - lines->start);
    *out = view(lines, size, state);
    lines_take_tail(lines, out);
    return FRESHET_OK;
}

/* The record is longer than may be: keeps its beginning, and lets the rest go. */
static bool skip_on(lines *lines)
{
    size_t part = lines->filled - lines->start;

    assert(lines->current != NULL);
    if (!lines->skipping) {
        block *kept = block_take(lines, LINES_SHOWN_BYTES_MAX);
        if (kept == NULL)
            return false;
        lines->shown_length = part < LINES_SHOWN_BYTES_MAX ? part : LINES_SHOWN_BYTES_MAX;
        memcpy(kept->bytes, lines->current->bytes + lines->start, lines->shown_length);
        lines->shown = kept->bytes;
        kept->next = lines->held;
        lines->held = kept;
        lines->skipping = true;
    }
    lines->skipped += (int64_t)part;
    lines->filled = lines->start;
    lines->searched = 0;
    return true;
}

static size_t find_end(lines *lines)
{
    const char *bytes = lines->current->bytes + lines->start;
    size_t length = lines->filled - lines->start;
    const char *newline;

    const format *format = lines->options.format;
    if (format->record_end != NULL && !lines->skipping)
        return format->record_end(lines->options.options, &lines->progress, bytes, length);
    newline = memchr(bytes + lines->searched, '\n', length - lines->searched);
    lines->searched = length;
    return newline == NULL ? 0 : (size_t)(newline - bytes) + 1;
}

/* A record of several lines without an end in sight: its first line, where it has more than one. */
static size_t first_line(const lines *lines)
{
    const char *bytes = lines->current->bytes + lines->start;
    const char *newline = memchr(bytes, '\n', lines->filled - lines->start);

    return lines->options.format->record_end == NULL || lines->skipping || newline == NULL
               ? 0
               : (size_t)(newline - bytes) + 1;
}

/* Looks at what is buffered. FRESHET_END: more bytes are needed. */
static freshet_code next_buffered(lines *lines, record *out, freshet_error *err)
{
    size_t most = (size_t)lines->options.record_bytes_max;
    size_t size = lines->current == NULL ? 0 : find_end(lines);

    if (size > 0 && !lines->skipping && size <= most)
        return give(lines, size, RECORD_WHOLE, out);
    if (size == 0 && !lines->skipping && lines->filled - lines->start <= most)
        return FRESHET_END;
    if (lines->current != NULL && first_line(lines) > 0 && first_line(lines) != size) {
        size = first_line(lines);
        return give(lines, size, size > most ? RECORD_TOO_LONG : RECORD_OPEN_QUOTE, out);
    }
    if (size > 0)
        return give(lines, size, RECORD_TOO_LONG, out);
    return skip_on(lines) ? FRESHET_END : error_memory(err, "reading a file");
}

/* The usual record: a line that is there as a whole. False: look closer, at whatever it is. */
static inline bool lines_next_usual(lines *lines, record *out)
{
    if (lines->current == NULL || lines->skipping || lines->options.format->record_end != NULL)
        return false;
    const char *bytes = lines->current->bytes + lines->start;
    const size_t length = lines->filled - lines->start;
    const char *newline = memchr(bytes + lines->searched, '\n', length - lines->searched);
    const size_t size = newline == NULL ? 0 : (size_t)(newline - bytes) + 1;
    if (size == 0 || size > (size_t)lines->options.record_bytes_max)
        return false;
    *out = (record){.bytes = bytes,
                    .length = size - 1 - (size > 1 && newline[-1] == '\r'),
                    .offset = lines->offset,
                    .size = (int64_t)size,
                    .state = RECORD_WHOLE};
    lines->current_has_given = true;
    lines->start += size;
    lines->offset += (int64_t)size;
    lines->searched = 0;
    return true;
}

freshet_code lines_next(lines *lines, record *out, freshet_error *err)
{
    if (lines_next_usual(lines, out))
        return FRESHET_OK;
    for (;;) {
        size_t n = 0;
        freshet_code code = next_buffered(lines, out, err);
        if (code != FRESHET_END)
            return code;
        code = read_more(lines, &n, err);
        if (code != FRESHET_OK)
            return code;
        if (n == 0)
            return FRESHET_END;
    }
}

bool lines_tail(const lines *lines, record *out)
{
    const format *format = lines->options.format;
    size_t size = lines->filled - lines->start;
    record_state state = lines->skipping ? RECORD_TOO_LONG : RECORD_WHOLE;

    if (size == 0 && !lines->skipping)
        return false;
    if (!lines->skipping && format->in_quotes != NULL && format->in_quotes(&lines->progress)) {
        state = RECORD_OPEN_QUOTE;
        size = first_line(lines) > 0 ? first_line(lines) : size;
    }
    *out = view(lines, size, state);
    return true;
}

int64_t lines_offset(const lines *lines)
{
    return lines->offset;
}

bool lines_is_cut(const lines *lines)
{
    return lines->is_gzip && lines->gzip.in_member;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Goes to byte `offset` of what the gzip file holds, by reading up to it. */
static freshet_code lines_seek(lines *lines, int64_t offset, freshet_error *err)
{
    while (offset > 0) {
        size_t n = 0;
        freshet_code code;
        size_t room;
        if (!lines_make_room(lines))
            return error_memory(err, "reading a gzip file");
        room = lines->current->size - lines->filled;
        code = gzip_read(&lines->gzip, lines->current->bytes + lines->filled,
                         (int64_t)room < offset ? room : (size_t)offset, &n, err);
        if (code != FRESHET_OK)
            return code;
        if (n == 0)
            break; /* the file is shorter than it was: its end is there, too */
        offset -= (int64_t)n;
    }
    return FRESHET_OK;
}

/* Steps over a byte order mark at the beginning of the file. */
static freshet_code skip_mark(lines *lines, freshet_error *err)
{
    while (lines->filled - lines->start < 3) {
        size_t n = 0;
        freshet_code code = read_more(lines, &n, err);
        if (code != FRESHET_OK || n == 0)
            return code;
    }
    if (memcmp(lines->current->bytes + lines->start, "\xef\xbb\xbf", 3) == 0) {
        lines->start += 3;
        lines->offset += 3;
    }
    return FRESHET_OK;
}

freshet_code lines_start(lines *lines, int fd, const char *path, bool is_gzip, int64_t offset,
                         freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    stop_ahead(lines);
    lines->fd = fd;
    lines->path = path;
    lines->is_gzip = is_gzip;
    lines->start = lines->filled;
    forget_record(lines);
    lines->offset = 0;
    if (is_gzip) {
        code = gzip_start(&lines->gzip, fd, path, err);
        if (code == FRESHET_OK)
            code = lines_seek(lines, offset, err);
    }
    if (code != FRESHET_OK)
        return code;
    lines->offset = offset;
    return offset == 0 ? skip_mark(lines, err) : FRESHET_OK;
}

void lines_rename(lines *lines, const char *path)
{
    lines->path = path;
    if (lines->gzip.path == path)
        return;
    ahead_settle(lines->ahead); /* it may be the crew's */
    lines->gzip.path = path;
}

#define LOOK_AGAIN_BYTES 1024

bool lines_are_there(const lines *lines, int64_t size)
{
    char bytes[LOOK_AGAIN_BYTES];
    size_t n = lines->filled - lines->start;
    const char *had = n == 0 ? NULL : lines->current->bytes + lines->start;
    int64_t at = lines->offset;
    ahead_piece next;

    if (lines->is_gzip)
        return true;
    if (size < place_in_file(lines) + ahead_look(lines->ahead, &next))
        return false;
    if ((lines->skipping || n == 0) && next.n > 0) {
        had = next.into;
        n = next.n;
        at = place_in_file(lines);
    } else if (lines->skipping || n == 0) {
        return true;
    }
    if (n > sizeof(bytes))
        n = sizeof(bytes);
    return file_pread(lines->fd, bytes, n, at) == (ssize_t)n && memcmp(bytes, had, n) == 0;
}

void lines_begin(lines *lines)
{
    block *kept = NULL;

    while (lines->held != NULL) {
        block *it = lines->held;
        lines->held = it->next;
        if (lines->skipping && it->bytes == lines->shown) {
            it->next = kept;
            kept = it;
        } else {
            block_give(lines, it);
        }
    }
    lines->held = kept;
    lines->current_has_given = false;
    if (lines->start == lines->filled) {
        lines->start = 0;
        lines->filled = 0;
    }
}

freshet_code lines_open(const lines_options *options, lines **out, freshet_error *err)
{
    lines *it = calloc(1, sizeof(*it));

    if (it == NULL)
        return error_memory(err, "opening a file");
    it->options = *options;
    it->fd = -1;
    freshet_code code = ahead_open(options->crew, &it->ahead, err);
    if (code == FRESHET_OK)
        *out = it;
    else
        free(it);
    return code;
}

void lines_close(lines *lines)
{
    if (lines == NULL)
        return;
    stop_ahead(lines);
    ahead_close(lines->ahead);
    gzip_release(&lines->gzip);
    blocks_free(lines->current);
    blocks_free(lines->held);
    blocks_free(lines->spare);
    free(lines);
}
