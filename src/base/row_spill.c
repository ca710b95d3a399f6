/* row_spill.c - see row_spill.h.
 *
 * WHO ADDS. Parts do not need each other, so where many rows come the crew adds them, each task to
 * some of the parts; only the file is one, and has a lock around it.
 *
 * Rows gather in a row_store a part. One whose rows take more than its share of the memory goes to
 * the end of the file as a piece, and begins anew; the pieces of a part are a list in memory. What
 * has not gone to the file when a part is taken comes from its store, behind the pieces.
 *
 * A piece is, of each column in turn (put_column, get_column):
 *
 *   u8 has nulls, and then the words of the bitmap
 *   fixed size      the cells
 *   text, binary    u32 lengths, then all bytes
 *   array           the spans, u64 number of elements, and these as a column
 *   struct          its fields as columns
 *
 * and then write_us and row_kinds, where the rows have them. The file is read by nobody else, and
 * by no other process, so it has no version; lengths are checked against the piece all the same,
 * since a disk may give back what was not written.
 */
#define _GNU_SOURCE
#include "base/row_spill.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"

#define SPILLING "keeping rows in a file"
#define CREW_ROWS_MIN 4096u /* fewer are added by the caller */
#define PIECE_BYTES_MIN ((size_t)16 << 10)
#define NAME_TRIES 100

typedef struct spilled_piece {
    int64_t offset;
    size_t length;
    uint32_t n_rows;
} spilled_piece;

typedef struct spill_part {
    row_store *waiting;
    spilled_piece *pieces;
    uint32_t n_pieces, capacity;
    uint64_t n_rows;
    size_t bytes; /* that the rows in the file had in memory */
} spill_part;

/* One who adds rows to some of the parts. */
typedef struct spiller {
    text_buffer bytes; /* a piece on its way */
    freshet_code code;
    freshet_error err;
} spiller;

struct row_spill {
    const schema *schema;
    const char *folder;
    crew *crew;
    size_t piece_bytes;   /* a part's rows that take so many go to the file */
    pthread_mutex_t lock; /* around the file and its end */
    int fd;               /* -1: there is none yet */
    int64_t end;
    uint64_t n_rows;
    bool with_write_us, with_kinds;
    spiller *spillers; /* as many as the crew has workers */
    arena *arena;      /* of a piece that is read, and of rows that are dealt out */
    spill_part parts[ROW_SPILL_PARTS];
};

/* ---- opening and closing --------------------------------------------------------------------- */

/* About how many rows a part has when they go to the file, and some more: its last addition may go
 * beyond that. */
static uint32_t expected_rows(const row_spill *spill)
{
    size_t row_bytes = 1;
    for (uint32_t i = 0; i < spill->schema->n_fields; i++)
        row_bytes += type_cell_size(spill->schema->fields[i].type);
    const size_t n = spill->piece_bytes / row_bytes;
    return n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)(n + n / 8);
}

freshet_code row_spill_open(const schema *schema, size_t memory, const char *folder, crew *crew,
                            row_spill **out, freshet_error *err)
{
    row_spill *spill = calloc(1, sizeof *spill);
    if (spill == NULL)
        return error_memory(err, SPILLING);
    const size_t share = memory / ROW_SPILL_PARTS;
    spill->schema = schema;
    spill->folder = folder;
    spill->crew = crew;
    pthread_mutex_init(&spill->lock, NULL);
    spill->piece_bytes = share < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : share;
    spill->fd = -1;
    spill->arena = arena_open();
    spill->spillers = calloc(crew_workers(crew), sizeof *spill->spillers);
    freshet_code code =
        spill->arena == NULL || spill->spillers == NULL ? error_memory(err, SPILLING) : FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < crew_workers(crew); i++)
        text_init(&spill->spillers[i].bytes, SIZE_MAX / 2);
    for (uint32_t i = 0; code == FRESHET_OK && i < ROW_SPILL_PARTS; i++) {
        code = row_store_open(schema, &spill->parts[i].waiting, err);
        if (code == FRESHET_OK)
            row_store_expect(spill->parts[i].waiting, expected_rows(spill));
    }
    if (code == FRESHET_OK)
        *out = spill;
    else
        row_spill_close(spill);
    return code;
}

void row_spill_close(row_spill *spill)
{
    if (spill == NULL)
        return;
    for (uint32_t i = 0; i < ROW_SPILL_PARTS; i++) {
        row_store_close(spill->parts[i].waiting);
        free(spill->parts[i].pieces);
    }
    if (spill->fd >= 0)
        os.close(spill->fd);
    for (uint32_t i = 0; spill->spillers != NULL && i < crew_workers(spill->crew); i++)
        text_release(&spill->spillers[i].bytes);
    free(spill->spillers);
    pthread_mutex_destroy(&spill->lock);
    arena_close(spill->arena);
    free(spill);
}

uint64_t row_spill_rows(const row_spill *spill)
{
    return spill->n_rows;
}

uint64_t row_spill_part_rows(const row_spill *spill, uint32_t part)
{
    return spill->parts[part].n_rows;
}

size_t row_spill_part_bytes(const row_spill *spill, uint32_t part)
{
    return spill->parts[part].bytes + row_store_bytes(spill->parts[part].waiting);
}

size_t row_spill_held(const row_spill *spill)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < ROW_SPILL_PARTS; i++)
        bytes += row_store_held(spill->parts[i].waiting);
    return bytes;
}

int64_t row_spill_bytes(const row_spill *spill)
{
    return spill->end;
}

/* Nothing is tried again with this run: which of the rows are in is not known any more. */
static freshet_code spill_failed(freshet_error *err, const char *what, const char *path)
{
    const freshet_code code = error_system(err, what, path);
    if (err != NULL)
        err->then = FRESHET_STOP;
    return code;
}

/* ---- into the file --------------------------------------------------------------------------- */

/* Recursion: at most TYPE_DEPTH_MAX deep. */
static void put_column(text_buffer *into, const column *from, uint64_t n)
{
    const type_kind kind = from->type->kind;
    text_append_char(into, from->valid != NULL);
    if (from->valid != NULL)
        text_append(into, (const char *)from->valid, (n + 63) / 64 * sizeof *from->valid);
    if (kind == TYPE_STRING || kind == TYPE_BINARY) {
        const cell_text *cells = from->data;
        for (uint64_t i = 0; i < n; i++)
            text_put(into, &cells[i].length, sizeof cells[i].length);
        for (uint64_t i = 0; i < n; i++)
            text_put(into, text_bytes(&cells[i]), cells[i].length);
        return;
    }
    if (n > 0 && kind != TYPE_STRUCT)
        text_append(into, from->data, n * type_cell_size(from->type));
    if (kind == TYPE_ARRAY) {
        text_put(into, &from->n_elements, sizeof from->n_elements);
        put_column(into, from->children, from->n_elements);
    }
    for (uint32_t i = 0; kind == TYPE_STRUCT && i < from->type->n_fields; i++)
        put_column(into, &from->children[i], n);
}

/* A file that only this process knows. */
static freshet_code open_file(row_spill *spill, freshet_error *err)
{
    spill->fd = os.open(spill->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    /* some file systems have no files without a name */
    for (int i = 0; spill->fd < 0 && i < NAME_TRIES &&
                    (errno == EOPNOTSUPP || errno == EISDIR || errno == EEXIST);
         i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/freshet-rows-%lld-%d", spill->folder,
                 (long long)os.now_us(), i);
        spill->fd = os.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (spill->fd >= 0 && os.unlink(path) != 0)
            return spill_failed(err, "cannot remove the name of", path);
    }
    return spill->fd >= 0 ? FRESHET_OK
                          : spill_failed(err, "cannot make a file for rows in", spill->folder);
}

static freshet_code write_bytes(const row_spill *spill, const text_buffer *bytes,
                                freshet_error *err)
{
    for (size_t done = 0; done < bytes->length;) {
        const ssize_t n = os.write(spill->fd, bytes->bytes + done, bytes->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return spill_failed(err, "cannot write rows to a file in", spill->folder);
        done += (size_t)n;
    }
    return FRESHET_OK;
}

static void put_rows(const row_spill *spill, text_buffer *into, const batch *rows)
{
    for (uint32_t i = 0; i < spill->schema->n_fields; i++)
        put_column(into, &rows->columns[i], rows->n_rows);
    if (spill->with_write_us)
        text_append(into, (const char *)rows->write_us, rows->n_rows * sizeof *rows->write_us);
    if (spill->with_kinds)
        text_append(into, (const char *)rows->row_kinds, rows->n_rows);
}

/* Puts the bytes at the end of the file, which begins with them where there is none. */
static freshet_code append_bytes(row_spill *spill, const text_buffer *bytes, int64_t *offset,
                                 freshet_error *err)
{
    pthread_mutex_lock(&spill->lock);
    freshet_code code = spill->fd < 0 ? open_file(spill, err) : FRESHET_OK;
    if (code == FRESHET_OK)
        code = write_bytes(spill, bytes, err);
    *offset = spill->end;
    if (code == FRESHET_OK)
        spill->end += (int64_t)bytes->length;
    pthread_mutex_unlock(&spill->lock);
    return code;
}

/* A chunk of a part's store becomes a piece. */
static freshet_code write_piece(row_spill *spill, spill_part *part, text_buffer *bytes,
                                const batch *chunk, freshet_error *err)
{
    int64_t offset = 0;
    text_reset(bytes);
    put_rows(spill, bytes, chunk);
    if (bytes->failed || !array_reserve(&part->pieces, &part->capacity,
                                        part->n_pieces + UINT64_C(1), sizeof *part->pieces))
        return error_memory(err, SPILLING);
    freshet_code code = append_bytes(spill, bytes, &offset, err);
    if (code == FRESHET_OK)
        part->pieces[part->n_pieces++] =
            (spilled_piece){.offset = offset, .length = bytes->length, .n_rows = chunk->n_rows};
    return code;
}

/* The part's rows are in the file. Their memory is kept for the next ones, but not where one
 * addition has brought far more than the share, as where the input is sorted by the key: else each
 * part would come to hold so much. */
static void empty_part(const row_spill *spill, spill_part *part)
{
    row_store *smaller = NULL;
    if (row_store_bytes(part->waiting) / 2 <= spill->piece_bytes ||
        row_store_open(spill->schema, &smaller, NULL) != FRESHET_OK) {
        row_store_rewind(part->waiting);
        return;
    }
    row_store_expect(smaller, expected_rows(spill));
    row_store_close(part->waiting);
    part->waiting = smaller;
}

/* The waiting rows of a part. */
static freshet_code write_part(row_spill *spill, spill_part *part, text_buffer *bytes,
                               freshet_error *err)
{
    const uint32_t n = row_store_rows(part->waiting);
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < n;) {
        uint32_t index;
        const batch *chunk = row_store_at(part->waiting, row, &index);
        assert(index == 0);
        code = write_piece(spill, part, bytes, chunk, err);
        row += chunk->n_rows;
    }
    part->bytes += row_store_bytes(part->waiting);
    empty_part(spill, part);
    return code;
}

/* Rows by part: those of part p are rows[ends[p - 1]] to rows[ends[p] - 1]. */
static void deal_rows(const uint8_t *parts, uint32_t n, uint32_t *rows, uint32_t *ends)
{
    for (uint32_t row = 0; row < n; row++)
        ends[parts[row]]++;
    for (uint32_t part = 0, begin = 0; part < ROW_SPILL_PARTS; part++) {
        const uint32_t count = ends[part];
        ends[part] = begin;
        begin += count;
    }
    for (uint32_t row = 0; row < n; row++)
        rows[ends[parts[row]]++] = row;
}

/* What is added in one call. */
typedef struct addition {
    row_spill *spill;
    const batch *from;
    uint32_t *rows, ends[ROW_SPILL_PARTS]; /* as deal_rows gives them */
    uint32_t n_tasks;
} addition;

static freshet_code add_to_part(const addition *addition, uint32_t which, spiller *spiller)
{
    row_spill *spill = addition->spill;
    spill_part *part = &spill->parts[which];
    const uint32_t begin = which == 0 ? 0 : addition->ends[which - 1];
    const uint32_t n = addition->ends[which] - begin;
    if (n == 0)
        return FRESHET_OK;
    freshet_code code =
        row_store_add(part->waiting, addition->from, addition->rows + begin, n, &spiller->err);
    part->n_rows += n;
    if (code == FRESHET_OK && row_store_bytes(part->waiting) >= spill->piece_bytes)
        code = write_part(spill, part, &spiller->bytes, &spiller->err);
    return code;
}

/* Task: the parts of one spiller. */
static void add_to_parts(void *context, uint32_t which)
{
    const addition *addition = context;
    spiller *spiller = &addition->spill->spillers[which];
    const uint32_t first = which * ROW_SPILL_PARTS / addition->n_tasks;
    const uint32_t end = (which + 1) * ROW_SPILL_PARTS / addition->n_tasks;
    spiller->code = FRESHET_OK;
    for (uint32_t i = first; spiller->code == FRESHET_OK && i < end; i++)
        spiller->code = add_to_part(addition, i, spiller);
}

freshet_code row_spill_add(row_spill *spill, const batch *from, const uint8_t *parts,
                           freshet_error *err)
{
    arena_reset(spill->arena);
    addition addition = {
        .spill = spill,
        .from = from,
        .rows = arena_alloc(spill->arena, (from->n_rows + (size_t)1) * sizeof(uint32_t)),
        .n_tasks = from->n_rows < CREW_ROWS_MIN ? 1 : crew_workers(spill->crew)};
    if (addition.rows == NULL)
        return error_memory(err, SPILLING);
    if (spill->n_rows == 0) {
        spill->with_write_us = from->write_us != NULL;
        spill->with_kinds = from->row_kinds != NULL;
    }
    deal_rows(parts, from->n_rows, addition.rows, addition.ends);
    crew_run(spill->crew, addition.n_tasks, add_to_parts, &addition);
    spill->n_rows += from->n_rows;
    for (uint32_t i = 0; i < addition.n_tasks; i++)
        if (spill->spillers[i].code != FRESHET_OK) {
            if (err != NULL)
                *err = spill->spillers[i].err;
            return spill->spillers[i].code;
        }
    return FRESHET_OK;
}

/* ---- out of it ------------------------------------------------------------------------------- */

typedef struct reading {
    arena *arena;
    const char *at, *end;
    bool no_memory;
} reading;

/* `n` items of `size` bytes, in the arena's own alignment; NULL: there are not so many, or memory
 * is out. */
static void *get_items(reading *reading, uint64_t n, size_t size)
{
    if (n > (uint64_t)(reading->end - reading->at) / size)
        return NULL;
    void *items = arena_alloc(reading->arena, n * size);
    if (items == NULL)
        reading->no_memory = true;
    else if (n > 0)
        memcpy(items, reading->at, n * size);
    reading->at += n * size;
    return items;
}

/* The bytes of long texts stay in the piece. */
static bool get_texts(reading *reading, column *into, uint64_t n)
{
    const uint32_t *lengths = get_items(reading, n, sizeof *lengths);
    cell_text *cells =
        lengths == NULL ? NULL : arena_alloc(reading->arena, (n + 1) * sizeof *cells);
    if (cells == NULL) {
        reading->no_memory |= lengths != NULL;
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (lengths[i] > (size_t)(reading->end - reading->at))
            return false;
        cells[i] = text_of(reading->at, lengths[i]);
        reading->at += lengths[i];
    }
    into->data = cells;
    return true;
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
static bool get_column(reading *reading, const type *type, uint64_t n, column *into)
{
    const type_kind kind = type->kind;
    *into = (column){.type = type, .capacity = n};
    if (reading->at == reading->end)
        return false;
    if (*reading->at++ != 0) {
        into->valid = get_items(reading, (n + 63) / 64, sizeof *into->valid);
        if (into->valid == NULL)
            return false;
    }
    if (kind == TYPE_STRING || kind == TYPE_BINARY)
        return get_texts(reading, into, n);
    if (kind != TYPE_STRUCT) {
        into->data = get_items(reading, n, type_cell_size(type));
        if (into->data == NULL)
            return false;
    }
    if (kind != TYPE_STRUCT && kind != TYPE_ARRAY)
        return true;
    into->children = arena_zero(reading->arena, type->n_fields, sizeof *into->children);
    if (into->children == NULL) {
        reading->no_memory = true;
        return false;
    }
    if (kind == TYPE_ARRAY) {
        const uint64_t *elements = get_items(reading, 1, sizeof *elements);
        if (elements == NULL)
            return false;
        into->n_elements = *elements;
        return get_column(reading, type->fields[0].type, into->n_elements, into->children);
    }
    bool done = true;
    for (uint32_t i = 0; done && i < type->n_fields; i++)
        done = get_column(reading, type->fields[i].type, n, &into->children[i]);
    return done;
}

static bool get_rows(const row_spill *spill, reading *reading, uint32_t n, batch *into)
{
    const schema *schema = spill->schema;
    *into = (batch){.arena = spill->arena, .schema = *schema, .n_rows = n};
    into->columns = arena_zero(spill->arena, schema->n_fields + (size_t)1, sizeof *into->columns);
    if (into->columns == NULL) {
        reading->no_memory = true;
        return false;
    }
    for (uint32_t i = 0; i < schema->n_fields; i++)
        if (!get_column(reading, schema->fields[i].type, n, &into->columns[i]))
            return false;
    if (spill->with_write_us)
        into->write_us = get_items(reading, n, sizeof *into->write_us);
    if (spill->with_kinds)
        into->row_kinds = get_items(reading, n, 1);
    return (!spill->with_write_us || into->write_us != NULL) &&
           (!spill->with_kinds || into->row_kinds != NULL) && reading->at == reading->end;
}

static freshet_code read_bytes(const row_spill *spill, const spilled_piece *piece, char *into,
                               freshet_error *err)
{
    for (size_t done = 0; done < piece->length;) {
        const ssize_t n =
            os.pread(spill->fd, into + done, piece->length - done, piece->offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return spill_failed(err, "cannot read rows back from a file in", spill->folder);
        done += (size_t)n;
    }
    return FRESHET_OK;
}

/* The rows of a piece; they live until the next. */
static freshet_code read_piece(row_spill *spill, const spilled_piece *piece, batch *rows,
                               freshet_error *err)
{
    arena_rewind(spill->arena);
    char *bytes = arena_alloc(spill->arena, piece->length + 1);
    if (bytes == NULL)
        return error_memory(err, SPILLING);
    freshet_code code = read_bytes(spill, piece, bytes, err);
    if (code != FRESHET_OK)
        return code;
    reading reading = {spill->arena, bytes, bytes + piece->length, false};
    if (get_rows(spill, &reading, piece->n_rows, rows))
        return FRESHET_OK;
    return reading.no_memory
               ? error_memory(err, SPILLING)
               : error_set(err, FRESHET_FAILED, FRESHET_STOP, spill->folder,
                           "rows that were kept in a file in %s are not what was written",
                           spill->folder);
}

freshet_code row_spill_each(row_spill *spill, uint32_t which, row_spill_fn *take, void *context,
                            freshet_error *err)
{
    const spill_part *part = &spill->parts[which];
    const uint32_t n = row_store_rows(part->waiting);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < part->n_pieces; i++) {
        batch rows = {0};
        code = read_piece(spill, &part->pieces[i], &rows, err);
        if (code == FRESHET_OK)
            code = take(context, &rows, err);
    }
    for (uint32_t row = 0; code == FRESHET_OK && row < n;) {
        uint32_t index;
        const batch *chunk = row_store_at(part->waiting, row, &index);
        code = take(context, chunk, err);
        row += chunk->n_rows;
    }
    return code;
}

static freshet_code add_to_store(void *context, const batch *rows, freshet_error *err)
{
    return row_store_add(context, rows, NULL, rows->n_rows, err);
}

freshet_code row_spill_take(row_spill *spill, uint32_t which, row_store *into, freshet_error *err)
{
    return row_spill_each(spill, which, add_to_store, into, err);
}

void row_spill_forget(row_spill *spill, uint32_t which)
{
    spill_part *part = &spill->parts[which];
    row_store_clear(part->waiting);
    part->n_pieces = 0;
    part->n_rows = 0;
    part->bytes = 0;
}
