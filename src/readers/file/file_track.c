/* file_track.c - see file_track.h. Files are found by their inode, which has key_slots: the newest
 * file of it, and from there a chain. */
#define _GNU_SOURCE /* statx */
#include "readers/file/file_track.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "keyed/key_slots.h"

struct file_track {
    tracked_file **files; /* one allocation each: pointers stay good */
    uint32_t n, capacity;
    key_slots inodes; /* the newest file of each */
    memory memory;    /* of list and slots */
};

freshet_code track_open(file_track **out, freshet_error *err)
{
    file_track *track = calloc(1, sizeof(*track));

    if (track == NULL)
        return error_memory(err, "opening files");
    track->memory.fail_after = -1;
    *out = track;
    return FRESHET_OK;
}

void track_close(file_track *track)
{
    if (track == NULL)
        return;
    for (uint32_t i = 0; i < track->n; i++) {
        if (track->files[i]->fd >= 0)
            os.close(track->files[i]->fd);
        free(track->files[i]->path);
        free(track->files[i]);
    }
    memory_give(&track->memory, track->files, track->capacity * sizeof(tracked_file *));
    key_slots_release(&track->inodes, &track->memory);
    free(track);
}

uint32_t track_count(const file_track *track)
{
    return track->n;
}

tracked_file *track_file(const file_track *track, uint32_t index)
{
    return track->files[index];
}

/* ---- the table ------------------------------------------------------------------------------- */

static uint32_t tag_of(uint64_t inode)
{
    return (uint32_t)hash_fold(inode ^ HASH_A, HASH_B);
}

/* The newest file with that inode, KEY_NONE where there is none; *at: its slot. There are slots. */
static uint32_t newest_of(const file_track *track, uint64_t inode, uint64_t *at)
{
    const uint32_t tag = tag_of(inode);
    uint32_t index;

    *at = tag;
    while ((index = key_slots_match(&track->inodes, tag, at)) != KEY_NONE &&
           track->files[index]->identity.inode != inode)
        (*at)++;
    return index;
}

/* Room for one more file in list and table. */
static freshet_code track_make_room(file_track *track, freshet_error *err)
{
    if (track->n == TRACK_FILES_MAX)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the reader has met %u files, which is its limit; start it anew with "
                         "finished files moved away",
                         TRACK_FILES_MAX);
    if (!memory_reserve(&track->memory, &track->files, &track->capacity, track->n + UINT64_C(1),
                        sizeof(tracked_file *)) ||
        !key_slots_reserve(&track->inodes, &track->memory, track->n + UINT64_C(1)))
        return error_memory(err, "opening files");
    return FRESHET_OK;
}

static freshet_code track_add(file_track *track, const char *path, const file_identity *identity,
                              uint32_t *index, freshet_error *err)
{
    freshet_code code = track_make_room(track, err);
    tracked_file *file;
    uint64_t at;

    if (code != FRESHET_OK)
        return code;
    file = calloc(1, sizeof(*file));
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return error_memory(err, "opening files");
    }
    file->identity = *identity;
    file->fd = -1;
    file->read_size = -1;
    file->open_size = -1;
    *index = track->n;
    file->older = newest_of(track, identity->inode, &at);
    if (file->older != KEY_NONE)
        key_slots_replace(&track->inodes, at, *index);
    else
        key_slots_put(&track->inodes, at, tag_of(identity->inode), *index);
    track->files[track->n++] = file;
    return FRESHET_OK;
}

/* ---- identities ------------------------------------------------------------------------------ */

static int64_t birth_of(const char *path)
{
    struct statx info;

    if (statx(AT_FDCWD, path, 0, STATX_BTIME, &info) != 0 || !(info.stx_mask & STATX_BTIME))
        return 0;
    return (int64_t)info.stx_btime.tv_sec * 1000000000 + info.stx_btime.tv_nsec;
}

/* FNV-1a, and not base/hash.h: it is in the positions of checkpoints that were made long ago. */
static uint64_t hash_of_beginning(const unsigned char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The hash of the first `length` bytes, or of as many as there are (*length is then less). */
static bool fingerprint(int fd, uint32_t *length, uint64_t *hash)
{
    unsigned char bytes[TRACK_FINGERPRINT_BYTES];
    const ssize_t n = durable_read(fd, bytes, *length, 0);

    if (n < 0)
        return false;
    *length = (uint32_t)n;
    *hash = hash_of_beginning(bytes, n);
    return true;
}

const char *track_name(arena *arena, const tracked_file *file)
{
    const file_identity *it = &file->identity;

    return arena_format(arena, "%" PRIx64 ":%" PRIx64 ":%" PRIx64 ":%" PRIx32 ":%" PRIx64,
                        it->device, it->inode, (uint64_t)it->birth_ns, it->length, it->hash);
}

static bool read_name(const char *name, file_identity *out)
{
    uint64_t parts[5];
    const char *at = name;

    for (int i = 0; i < 5; i++) {
        char *end = NULL;
        errno = 0;
        parts[i] = strtoull(at, &end, 16);
        if (end == at || errno != 0 || *end != (i < 4 ? ':' : '\0'))
            return false;
        at = end + 1;
    }
    *out = (file_identity){.device = parts[0],
                           .inode = parts[1],
                           .birth_ns = (int64_t)parts[2],
                           .length = (uint32_t)parts[3],
                           .hash = parts[4]};
    return parts[3] <= TRACK_FINGERPRINT_BYTES;
}

freshet_code track_restore(file_track *track, const reader_positions *from, freshet_error *err)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const reader_position *position = &from->items[i];
        file_identity identity = {0};
        uint32_t index = 0;
        freshet_code code;
        if (!read_name(position->name, &identity) || position->offset < 0)
            return error_set(
                err, FRESHET_FAILED, FRESHET_STOP, position->label,
                "the position \"%s\" of this file is not one that a file reader gives; "
                "the checkpoint is of another reader or another version",
                position->name);
        code = track_add(track, position->label, &identity, &index, err);
        if (code != FRESHET_OK)
            return code;
        track->files[index]->offset = position->offset;
        track->files[index]->absent = true;
    }
    return FRESHET_OK;
}

/* Does the file at `path` begin as the tracked one did? errno is set where it cannot be told. */
static bool begins_alike(const char *path, const file_identity *identity)
{
    uint32_t length = identity->length;
    uint64_t hash = 0;
    int fd;
    bool read;
    int problem;

    errno = 0;
    if (length == 0)
        return true;
    fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    read = fingerprint(fd, &length, &hash);
    problem = read ? 0 : errno;
    os.close(fd);
    errno = problem;
    return read && length == identity->length && hash == identity->hash;
}

/* Is the listed file this tracked one? errno is not 0 where it cannot be told. */
static bool is_same(const tracked_file *known, const listed_file *file, int64_t birth_ns)
{
    errno = 0;
    if (known->identity.birth_ns != 0 && birth_ns != 0) {
        if (known->identity.birth_ns != birth_ns)
            return false;
        if (!known->absent && known->identity.device == file->device)
            return true;
    } else if (!known->absent && known->identity.device == file->device &&
               strcmp(known->path, file->path) == 0 && file->size >= known->offset) {
        return true; /* without births: it lies where it lay, no shorter */
    }
    return begins_alike(file->path, &known->identity);
}

static freshet_code take_down(tracked_file *known, const listed_file *file, freshet_error *err)
{
    if (strcmp(known->path, file->path) != 0) {
        char *path = strdup(file->path);
        if (path == NULL)
            return error_memory(err, "opening files");
        free(known->path);
        known->path = path;
    }
    known->identity.device = file->device;
    known->size = file->size;
    if (known->open_size < 0)
        known->open_size = file->size;
    known->modified_ns = file->modified_ns;
    known->absent = false;
    known->stray_since_us = 0;
    return FRESHET_OK;
}

freshet_code track_note(file_track *track, const listed_file *file, uint32_t *index,
                        freshet_error *err)
{
    int64_t birth_ns = birth_of(file->path);
    file_identity identity = {.device = file->device, .inode = file->inode, .birth_ns = birth_ns};
    freshet_code code = track_make_room(track, err);

    if (code != FRESHET_OK)
        return code;
    uint64_t at;
    for (uint32_t each = newest_of(track, file->inode, &at); each != KEY_NONE;
         each = track->files[each]->older) {
        tracked_file *known = track->files[each];
        if (is_same(known, file, birth_ns)) {
            *index = each;
            return take_down(known, file, err);
        }
        if (errno != 0)
            return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, file->path,
                             "the file cannot be opened: %s", strerror(errno));
    }
    code = track_add(track, file->path, &identity, index, err);
    return code == FRESHET_OK ? take_down(track->files[*index], file, err) : code;
}

freshet_code track_check(tracked_file *file, bool in_bytes, bool *replaced, freshet_error *err)
{
    file_identity *it = &file->identity;
    uint32_t length = it->length == 0 ? TRACK_FINGERPRINT_BYTES : it->length;
    uint64_t hash = 0;
    struct stat info;

    *replaced = false;
    if (os.fstat(file->fd, &info) != 0 || !fingerprint(file->fd, &length, &hash))
        return error_system(err, "cannot read", file->path);
    file->size = info.st_size;
    if (it->length != 0) {
        bool shorter = in_bytes && !file->is_gzip && info.st_size < file->offset;
        if (length == it->length && hash == it->hash && !shorter)
            return FRESHET_OK;
        *replaced = true;
        file->offset = 0;
        length = TRACK_FINGERPRINT_BYTES;
        if (!fingerprint(file->fd, &length, &hash))
            return error_system(err, "cannot read", file->path);
        file->moved = true;
    }
    it->length = length;
    it->hash = hash;
    return FRESHET_OK;
}
