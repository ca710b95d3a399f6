/* kafka_spool.c - see kafka_spool.h. */
#include "writers/kafka/kafka_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"

#define SPOOLING "gathering messages"
#define ROOM_BYTES ((size_t)1 << 20)
#define READ_BYTES ((size_t)1 << 20)
#define NO_KEY UINT32_MAX

typedef struct head {
    uint32_t key_length, length;
} head;

typedef struct tail {
    head head;
    uint64_t n, hash;
} tail;

void spool_init(spool *spool)
{
    *spool = (struct spool){.fd = -1};
    text_init(&spool->waiting, SIZE_MAX / 2);
}

void spool_release(spool *spool)
{
    if (spool->fd >= 0)
        os.close(spool->fd);
    text_release(&spool->waiting);
    spool_init(spool);
}

freshet_code spool_begin(spool *spool, const char *path, freshet_error *err)
{
    const int fd = os.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0)
        return error_system(err, "cannot make the file of waiting messages", path);
    text_reset(&spool->waiting);
    spool->fd = fd;
    spool->path = path;
    spool->n = spool->hash = spool->written = 0;
    spool->is_ended = false;
    return FRESHET_OK;
}

static freshet_code write_out(spool *spool, freshet_error *err)
{
    while (spool->written < spool->waiting.length) {
        const ssize_t n = os.write(spool->fd, spool->waiting.bytes + spool->written,
                                   spool->waiting.length - spool->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system(err, "cannot write the file of waiting messages", spool->path);
        spool->written += (size_t)n;
    }
    text_reset(&spool->waiting);
    spool->written = 0;
    return FRESHET_OK;
}

freshet_code spool_make_room(spool *spool, freshet_error *err)
{
    return spool->waiting.length < ROOM_BYTES ? FRESHET_OK : write_out(spool, err);
}

static uint64_t hash_more(uint64_t hash, const char *key, size_t key_length, const char *value,
                          size_t length)
{
    hash = hash_bytes(key == NULL ? "" : key, key_length, hash);
    return hash_bytes(value, length, hash);
}

bool spool_add(spool *spool, const char *key, size_t key_length, const char *value, size_t length)
{
    const head head = {.key_length = key == NULL ? NO_KEY : (uint32_t)key_length,
                       .length = (uint32_t)length};
    const size_t before = spool->waiting.length;

    text_append(&spool->waiting, (const char *)&head, sizeof head);
    if (key != NULL)
        text_append(&spool->waiting, key, key_length);
    if (!text_append(&spool->waiting, value, length)) {
        spool->waiting.length = before;
        spool->waiting.failed = false;
        return false;
    }
    spool->hash = hash_more(spool->hash, key, key == NULL ? 0 : key_length, value, length);
    spool->n++;
    return true;
}

freshet_code spool_seal(spool *spool, freshet_error *err)
{
    const tail tail = {{NO_KEY, UINT32_MAX}, spool->n, spool->hash};

    if (!spool->is_ended && !text_append(&spool->waiting, (const char *)&tail, sizeof tail)) {
        spool->waiting.failed = false;
        return error_memory(err, SPOOLING);
    }
    spool->is_ended = true;
    freshet_code code = write_out(spool, err);
    if (code != FRESHET_OK)
        return code;
    if (os.fsync(spool->fd) != 0 || !durable_entry(spool->path))
        return error_system(err, "cannot make durable the file of waiting messages", spool->path);
    os.close(spool->fd);
    spool->fd = -1;
    spool->path = NULL;
    return FRESHET_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

freshet_code spool_read_open(spool_reader *reader, const char *path, freshet_error *err)
{
    *reader = (spool_reader){.path = path, .capacity = READ_BYTES};
    reader->fd = os.open(path, O_RDONLY, 0);
    if (reader->fd < 0)
        return error_system(err, "cannot open the file of waiting messages", path);
    reader->bytes = malloc(reader->capacity);
    if (reader->bytes != NULL)
        return FRESHET_OK;
    spool_read_close(reader);
    return error_memory(err, "reading waiting messages");
}

void spool_read_close(spool_reader *reader)
{
    if (reader->bytes == NULL && reader->fd <= 0)
        return;
    if (reader->fd >= 0)
        os.close(reader->fd);
    free(reader->bytes);
    *reader = (spool_reader){.fd = -1};
}

static freshet_code refuse_file(const spool_reader *reader, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, reader->path,
                     "the file of messages that wait for Kafka is not what was written: it is cut "
                     "off or damaged; put it back from a copy of the state, or begin anew by "
                     "`freshet state reset`");
}

/* At least `n` bytes in the buffer; false at the file's end, or where it cannot be read. */
static freshet_code fill(spool_reader *reader, size_t n, freshet_error *err)
{
    if (reader->n - reader->at >= n)
        return FRESHET_OK;
    memmove(reader->bytes, reader->bytes + reader->at, reader->n - reader->at);
    reader->n -= reader->at;
    reader->at = 0;
    if (n > reader->capacity) {
        char *grown = realloc(reader->bytes, n);
        if (grown == NULL)
            return error_memory(err, "reading waiting messages");
        reader->bytes = grown;
        reader->capacity = n;
    }
    const ssize_t got = durable_read(reader->fd, reader->bytes + reader->n,
                                     reader->capacity - reader->n, (off_t)reader->offset);
    if (got < 0)
        return error_system(err, "cannot read the file of waiting messages", reader->path);
    reader->n += (size_t)got;
    reader->offset += (uint64_t)got;
    return reader->n >= n ? FRESHET_OK : refuse_file(reader, err);
}

static freshet_code end_reading(spool_reader *reader, freshet_error *err)
{
    tail tail;
    freshet_code code = fill(reader, sizeof tail, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&tail, reader->bytes + reader->at, sizeof tail);
    return tail.n == reader->n_given && tail.hash == reader->hash &&
                   reader->n - reader->at == sizeof tail
               ? FRESHET_END
               : refuse_file(reader, err);
}

freshet_code spool_next(spool_reader *reader, spool_message *out, freshet_error *err)
{
    head head;
    freshet_code code = fill(reader, sizeof head, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&head, reader->bytes + reader->at, sizeof head);
    if (head.key_length == NO_KEY && head.length == UINT32_MAX)
        return end_reading(reader, err);
    const size_t key_length = head.key_length == NO_KEY ? 0 : head.key_length;
    code = fill(reader, sizeof head + key_length + head.length, err);
    if (code != FRESHET_OK)
        return code;
    const char *at = reader->bytes + reader->at + sizeof head;
    *out = (spool_message){.key = head.key_length == NO_KEY ? NULL : at,
                           .key_length = key_length,
                           .value = at + key_length,
                           .length = head.length};
    reader->at += sizeof head + key_length + head.length;
    reader->hash = hash_more(reader->hash, out->key, key_length, out->value, out->length);
    reader->n_given++;
    return FRESHET_OK;
}

freshet_code spool_count(const char *path, uint64_t *n, freshet_error *err)
{
    spool_reader reader = {.path = path, .fd = os.open(path, O_RDONLY, 0)};
    struct stat found;
    tail tail;

    if (reader.fd < 0)
        return error_system(err, "cannot open the file of waiting messages", path);
    const bool is_read = os.fstat(reader.fd, &found) == 0 && found.st_size >= (off_t)sizeof tail &&
                         durable_read(reader.fd, &tail, sizeof tail,
                                      found.st_size - (off_t)sizeof tail) == (ssize_t)sizeof tail;
    os.close(reader.fd);
    if (!is_read || tail.head.key_length != NO_KEY || tail.head.length != UINT32_MAX)
        return refuse_file(&reader, err);
    *n = tail.n;
    return FRESHET_OK;
}
