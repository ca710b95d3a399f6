/* bootstrap_same.c - the rows of the past that rows which come live are compared with: see
 * bootstrap.h.
 *
 * Of each row stand 128 bits of a hash of its columns of `same`. While the dump is read, in
 * whatever order, those that are older than `within` before the newest row so far are dropped each
 * time that the list has doubled. Then they go to a file beside the sorted one, which stays as long
 * as the state: SAME_MAGIC, their number, the hashes. For looking up they are a table with open
 * addressing, at most half full.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/os.h"
#include "keyed/cells.h"
#include "pipeline/bootstrap.h"

#define COMPARING "comparing rows with those of the past"
#define SAME_MAGIC "FSAME001"
#define SAME_HEAD 16u
#define SAME_FIRST 65536u
#define SAME_PIECE 4096u /* hashes written at once */

bool same_of(const bootstrap *of, const batch *rows, uint32_t row, text_buffer *scratch,
             same_hash *out)
{
    text_reset(scratch);
    for (uint32_t i = 0; i < of->block->same.n; i++)
        cells_put(scratch, &rows->columns[of->same[i]], row, true);
    if (scratch->failed)
        return false;
    *out = (same_hash){hash_bytes(scratch->bytes, scratch->length, HASH_A),
                       hash_bytes(scratch->bytes, scratch->length, HASH_B)};
    return true;
}

int64_t same_bound(const bootstrap *of)
{
    int64_t end_us = of->until_us != INT64_MAX ? of->until_us : of->mark.newest_us;
    if (end_us == INT64_MIN || __builtin_sub_overflow(end_us, of->block->within_us, &end_us))
        return INT64_MIN;
    return end_us;
}

static void drop_older(same_rows *rows, int64_t bound_us)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < rows->n; i++)
        if (rows->items[i].us >= bound_us)
            rows->items[n++] = rows->items[i];
    rows->n = n;
}

bool same_add(bootstrap *of, int64_t us, const same_hash *hash, int64_t newest_us)
{
    same_rows *rows = &of->rows;
    of->mark.newest_us = newest_us;
    if (us != INT64_MIN && us < same_bound(of))
        return true;
    if (rows->n == rows->capacity) {
        drop_older(rows, same_bound(of));
        if (rows->n > rows->capacity / 2 || rows->capacity == 0) {
            const uint64_t capacity = rows->capacity == 0 ? SAME_FIRST : rows->capacity * 2;
            same_entry *items = realloc(rows->items, capacity * sizeof *items);
            if (items == NULL)
                return false;
            rows->items = items;
            rows->capacity = capacity;
        }
    }
    rows->items[rows->n++] = (same_entry){us, *hash};
    return true;
}

static const char *path_of_same(const bootstrap *of, arena *arena)
{
    return arena_format(arena, "%s/bootstrap-%s.same", of->folder, of->base.block->id.value);
}

freshet_code same_save(bootstrap *of, freshet_error *err)
{
    same_rows *rows = &of->rows;
    const char *path = path_of_same(of, of->pipeline->arena);
    char head[SAME_HEAD];
    same_hash piece[SAME_PIECE];
    if (path == NULL)
        return error_memory(err, COMPARING);
    drop_older(rows, same_bound(of));
    memcpy(head, SAME_MAGIC, 8);
    memcpy(head + 8, &rows->n, 8);
    const int fd = os.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && durable_write(fd, head, sizeof head);
    for (uint64_t at = 0; good && at < rows->n;) {
        uint32_t n = 0;
        while (n < SAME_PIECE && at < rows->n)
            piece[n++] = rows->items[at++].hash;
        good = durable_write(fd, (const char *)piece, n * sizeof *piece);
    }
    freshet_code code = good ? FRESHET_OK : error_system(err, "cannot write", path);
    if (fd >= 0)
        os.close(fd);
    if (code == FRESHET_OK && !durable_path(path))
        code = error_system(err, "cannot make durable", path);
    same_release(rows);
    return code;
}

static uint64_t *slot_of(const same_rows *rows, const same_hash *hash)
{
    uint64_t at = hash->a & (rows->n_slots - 1);
    while (rows->slots[at] != 0) {
        const same_hash *found = &rows->items[rows->slots[at] - 1].hash;
        if (found->a == hash->a && found->b == hash->b)
            break;
        at = (at + 1) & (rows->n_slots - 1);
    }
    return &rows->slots[at];
}

static freshet_code make_table(same_rows *rows, freshet_error *err)
{
    rows->n_slots = 64;
    while (rows->n_slots < rows->n * 2)
        rows->n_slots *= 2;
    rows->slots = calloc(rows->n_slots, sizeof *rows->slots);
    if (rows->slots == NULL)
        return error_memory(err, COMPARING);
    for (uint64_t i = 0; i < rows->n; i++)
        *slot_of(rows, &rows->items[i].hash) = i + 1;
    return FRESHET_OK;
}

static freshet_code read_entries(same_rows *rows, int fd, const char *path, freshet_error *err)
{
    char head[SAME_HEAD];
    same_hash piece[SAME_PIECE];
    off_t at = SAME_HEAD;
    if (durable_read(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head, SAME_MAGIC, 8) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "the rows of the past that `same` remembers are damaged: put back the "
                         "state folder as a whole, or begin anew by `freshet state reset`");
    memcpy(&rows->n, head + 8, 8);
    rows->items = calloc(rows->n + 1, sizeof *rows->items);
    rows->capacity = rows->n;
    if (rows->items == NULL)
        return error_memory(err, COMPARING);
    for (uint64_t done = 0; done < rows->n;) {
        const uint64_t n = rows->n - done < SAME_PIECE ? rows->n - done : SAME_PIECE;
        const ssize_t bytes = (ssize_t)(n * sizeof *piece);
        if (durable_read(fd, piece, (size_t)bytes, at) != bytes)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                             "the file ends too early: put back the state folder as a whole, or "
                             "begin anew by `freshet state reset`");
        for (uint64_t i = 0; i < n; i++)
            rows->items[done++].hash = piece[i];
        at += bytes;
    }
    return make_table(rows, err);
}

freshet_code same_load(bootstrap *of, freshet_error *err)
{
    const char *path = path_of_same(of, of->pipeline->arena);
    if (of->is_same_loaded || of->block->same.n == 0)
        return FRESHET_OK;
    if (path == NULL)
        return error_memory(err, COMPARING);
    const int fd = os.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return error_system(err, "cannot open what `same` remembers of the past,", path);
    freshet_code code = read_entries(&of->rows, fd, path, err);
    os.close(fd);
    of->is_same_loaded = code == FRESHET_OK;
    return code;
}

bool same_has(const bootstrap *of, const same_hash *hash)
{
    return of->rows.n_slots > 0 && *slot_of(&of->rows, hash) != 0;
}

void same_release(same_rows *rows)
{
    free(rows->items);
    free(rows->slots);
    *rows = (same_rows){0};
}
