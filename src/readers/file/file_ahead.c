/* file_ahead.c - see file_ahead.h.
 *
 * The rooms are a ring. Counts that only grow say what is in it:
 *
 *     taken <= filled <= offered <= taken + AHEAD_PIECES
 *
 * The caller owns `taken` and `offered`, who reads owns `filled` and all that reading needs. The
 * chore reads until no room is left or the file is at its end. */
#define _GNU_SOURCE
#include "readers/file/file_ahead.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/crew.h"
#include "base/error.h"
#include "base/os.h"

struct ahead {
    struct crew *crew;
    crew_chore chore;
    ahead_piece pieces[AHEAD_PIECES];
    atomic_uint filled, offered;
    unsigned taken;
    int64_t take_at; /* where the next piece begins */
    bool is_started;
    /* of who reads */
    int fd;
    gzip *gzip;
    int64_t at;
    bool ended;
};

/* ---- reading --------------------------------------------------------------------------------- */

/* As much as there is room for; less at the end of the file, or where reading fails. */
static size_t fill_piece(ahead *ahead, const ahead_piece *piece)
{
    size_t filled = 0, n = 0;
    if (ahead->gzip == NULL) {
        const ssize_t got = file_pread(ahead->fd, piece->into, piece->size, ahead->at);
        return got < 0 ? 0 : (size_t)got;
    }
    do {
        n = 0;
        if (gzip_read(ahead->gzip, piece->into + filled, piece->size - filled, &n, NULL) !=
            FRESHET_OK)
            return filled;
        filled += n;
    } while (n > 0 && filled < piece->size);
    return filled;
}

static void read_ahead(void *context)
{
    ahead *ahead = context;
    unsigned filled = atomic_load_explicit(&ahead->filled, memory_order_relaxed);
    while (!ahead->ended && filled != atomic_load_explicit(&ahead->offered, memory_order_acquire)) {
        ahead_piece *piece = &ahead->pieces[filled % AHEAD_PIECES];
        piece->n = fill_piece(ahead, piece);
        ahead->at += (int64_t)piece->n;
        ahead->ended = piece->n < piece->size;
        if (piece->n > 0)
            atomic_store_explicit(&ahead->filled, ++filled, memory_order_release);
    }
}

/* ---- beginning and ending -------------------------------------------------------------------- */

freshet_code ahead_open(struct crew *crew, ahead **out, freshet_error *err)
{
    *out = NULL;
    if (crew_workers(crew) < 2)
        return FRESHET_OK;
    ahead *made = calloc(1, sizeof *made);
    if (made == NULL)
        return error_memory(err, "opening a file");
    made->crew = crew;
    made->chore = (crew_chore){.task = read_ahead, .context = made};
    made->fd = -1;
    *out = made;
    return FRESHET_OK;
}

void ahead_close(ahead *ahead)
{
    if (ahead == NULL)
        return;
    assert(!ahead->is_started && ahead->taken == ahead->offered);
    free(ahead);
}

bool ahead_start(ahead *ahead, int fd, gzip *gzip, int64_t at)
{
    if (ahead == NULL)
        return false;
    assert(!ahead->is_started && ahead->taken == ahead->offered);
    ahead->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (ahead->fd < 0)
        return false;
    if (gzip != NULL)
        gzip->fd = ahead->fd;
    ahead->gzip = gzip;
    ahead->at = ahead->take_at = at;
    ahead->ended = false;
    ahead->is_started = true;
    return true;
}

bool ahead_is_started(const ahead *ahead)
{
    return ahead != NULL && ahead->is_started;
}

void ahead_settle(ahead *ahead)
{
    if (ahead_is_started(ahead))
        crew_settle(ahead->crew, &ahead->chore);
}

void ahead_stop(ahead *ahead)
{
    if (!ahead_is_started(ahead))
        return;
    ahead_settle(ahead);
    os.close(ahead->fd);
    ahead->fd = -1;
    ahead->is_started = false;
}

/* ---- rooms and pieces ------------------------------------------------------------------------ */

static unsigned count_offered(const ahead *ahead)
{
    return atomic_load_explicit(&ahead->offered, memory_order_relaxed);
}

bool ahead_has_room(const ahead *ahead)
{
    return ahead_is_started(ahead) && count_offered(ahead) - ahead->taken < AHEAD_PIECES;
}

void ahead_offer(ahead *ahead, char *into, size_t size)
{
    assert(ahead_has_room(ahead));
    const unsigned offered = count_offered(ahead);
    ahead->pieces[offered % AHEAD_PIECES] = (ahead_piece){.into = into, .size = size};
    atomic_store_explicit(&ahead->offered, offered + 1, memory_order_release);
}

void ahead_go(ahead *ahead)
{
    if (!ahead_is_started(ahead) || crew_is_at(ahead->crew, &ahead->chore))
        return;
    crew_settle(ahead->crew, &ahead->chore);
    if (!ahead->ended)
        crew_give(ahead->crew, &ahead->chore);
}

static bool is_filled(const ahead *ahead)
{
    return atomic_load_explicit(&ahead->filled, memory_order_acquire) != ahead->taken;
}

bool ahead_take(ahead *ahead, int64_t at, ahead_piece *out)
{
    if (!ahead_is_started(ahead))
        return false;
    if (!is_filled(ahead))
        ahead_settle(ahead);
    if (!is_filled(ahead))
        return false;
    assert(ahead->take_at == at);
    *out = ahead->pieces[ahead->taken++ % AHEAD_PIECES];
    ahead->take_at += (int64_t)out->n;
    return true;
}

int64_t ahead_look(const ahead *ahead, ahead_piece *first)
{
    int64_t n = 0;
    *first = (ahead_piece){0};
    if (!ahead_is_started(ahead))
        return 0;
    const unsigned filled = atomic_load_explicit(&ahead->filled, memory_order_acquire);
    for (unsigned i = ahead->taken; i != filled; i++)
        n += (int64_t)ahead->pieces[i % AHEAD_PIECES].n;
    if (filled != ahead->taken)
        *first = ahead->pieces[ahead->taken % AHEAD_PIECES];
    return n;
}

void ahead_go_on(ahead *ahead, int64_t at)
{
    assert(ahead_is_started(ahead) && !is_filled(ahead));
    ahead->at = ahead->take_at = at;
    ahead->ended = false;
}

bool ahead_withdraw(ahead *ahead, char **into)
{
    if (ahead == NULL || ahead->taken == count_offered(ahead))
        return false;
    assert(!ahead->is_started);
    *into = ahead->pieces[ahead->taken++ % AHEAD_PIECES].into;
    if ((int)(atomic_load(&ahead->filled) - ahead->taken) < 0)
        atomic_store(&ahead->filled, ahead->taken);
    return true;
}
