/* file_ahead.h - the next pieces of a file, read by the crew while the loop is at those before.
 *
 * Only bytes are read ahead, and no more than a few pieces: what records they hold, and where those
 * stand, is found when their turn comes, as if they had been read then. So nothing that is read
 * ahead is in a position, a checkpoint or a dead letter.
 *
 *     ahead_start(ahead, fd, gzip, at);      what follows is read from there on
 *     while (ahead_has_room(ahead))          the room that pieces are read into
 *         ahead_offer(ahead, into, size);
 *     ahead_go(ahead);                       the crew may read
 *     ahead_take(ahead, at, &piece);         the next piece, which ends its room being offered
 *     ahead_stop(ahead)                      nobody reads; then ahead_withdraw for each room left
 *
 * A piece is taken by who is at its place of the file, in order. Where none is there (the crew did
 * not come to it, the file ended, a read failed) ahead_take says so, and then nobody is reading:
 * the caller reads there himself, finds out what it is, and says ahead_go_on() where he came to.
 *
 * A gzip stream belongs to who reads it: between ahead_go and an ahead_take or ahead_settle that
 * says no, or ahead_stop, to the crew.
 *
 * The descriptor is copied, so that the caller may close his own at any time. */
#ifndef FRESHET_READERS_FILE_FILE_AHEAD_H
#define FRESHET_READERS_FILE_FILE_AHEAD_H

#include "readers/file/file_gzip.h"

#define AHEAD_PIECES 2u

struct crew;

typedef struct ahead ahead;

typedef struct ahead_piece {
    char *into;
    size_t size; /* of the room */
    size_t n;    /* bytes that were read */
} ahead_piece;

/* NULL where the crew has one worker: all below take that, and do nothing. */
freshet_code ahead_open(struct crew *crew, ahead **out, freshet_error *err);

/* No room is left with it: ahead_stop and ahead_withdraw came before. */
void ahead_close(ahead *ahead);

/* False where nothing is read ahead. `gzip` is NULL for a plain file. */
bool ahead_start(ahead *ahead, int fd, gzip *gzip, int64_t at);
bool ahead_is_started(const ahead *ahead);

bool ahead_has_room(const ahead *ahead);
void ahead_offer(ahead *ahead, char *into, size_t size);
void ahead_go(ahead *ahead);
bool ahead_take(ahead *ahead, int64_t at, ahead_piece *out);
void ahead_go_on(ahead *ahead, int64_t at);

/* How many bytes were read and not taken so far, and the first piece of them; its n is 0 where
 * there is none. It stays the next one. */
int64_t ahead_look(const ahead *ahead, ahead_piece *first);

/* Nobody reads afterwards; what was read stays to be taken. */
void ahead_settle(ahead *ahead);

void ahead_stop(ahead *ahead);
bool ahead_withdraw(ahead *ahead, char **into);

#endif
