/* kafka_spool.h - messages that wait in files until the checkpoint that lists them is durable.
 *
 * A file is one epoch's messages in their order, and ends in a line that says how many there are
 * and what they hash to, so that a file that lacks something is seen before anything of it is sent.
 *
 *     file     = message* end
 *     message  = length of the key (all ones: none), length of the value, key, value
 *     end      = all ones twice, number of messages, hash        lengths: 4 bytes, others 8
 *
 * Writing: begin, add*, then seal. An error with FRESHET_RETRY (a full disk) leaves all as it is:
 * the same call goes on.
 * Reading: spool_read_open, spool_next until FRESHET_END, spool_read_close.
 */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_SPOOL_H
#define FRESHET_WRITERS_KAFKA_KAFKA_SPOOL_H

#include <freshet/freshet.h>

#include "base/text.h"

typedef struct spool {
    const char *path; /* of the file that is written; NULL: none is */
    int fd;
    uint64_t n, hash;
    text_buffer waiting; /* for the file */
    size_t written;      /* of them */
    bool is_ended;
} spool;

void spool_init(spool *spool);
void spool_release(spool *spool); /* the file stays */

/* Makes the file, in the place of one that is there. `path` must outlive it. */
freshet_code spool_begin(spool *spool, const char *path, freshet_error *err);
/* Makes room: writes out what waits where that is much. To be called before adding. */
freshet_code spool_make_room(spool *spool, freshet_error *err);
/* key NULL: none. False where memory is out: then nothing was added. */
bool spool_add(spool *spool, const char *key, size_t key_length, const char *value, size_t length);
/* The file is whole and durable, its folder's entry too, and closed. */
freshet_code spool_seal(spool *spool, freshet_error *err);

typedef struct spool_reader {
    const char *path;
    int fd;
    char *bytes;
    size_t n, at, capacity; /* [at, n) is not given yet */
    uint64_t offset;        /* in the file, behind them */
    uint64_t n_given, hash;
} spool_reader;

typedef struct spool_message {
    const char *key; /* NULL: none */
    size_t key_length;
    const char *value;
    size_t length;
} spool_message;

freshet_code spool_read_open(spool_reader *reader, const char *path, freshet_error *err);
/* *out lives until the next call. FRESHET_END behind the last message of a whole file;
 * FRESHET_FAILED where it is not what was written. */
freshet_code spool_next(spool_reader *reader, spool_message *out, freshet_error *err);
void spool_read_close(spool_reader *reader);

/* How many messages the sealed file has. */
freshet_code spool_count(const char *path, uint64_t *n, freshet_error *err);

#endif
