/* file_track.c - see file_track.h. For each way to find a file there are key_slots, with the newest
 * file of a key, and from there a chain. */
#define _GNU_SOURCE /* statx */
#include "readers/file/file_track.h"

#include <assert.h>
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
    const char *path;
    tracked_file **files; /* one allocation each: pointers stay good */
    uint32_t n, capacity;
    uint32_t *spare; /* indices of files that were taken out */
    uint32_t n_spare, spare_capacity;
    uint64_t last_number;
    key_slots slots[TRACK_KEYS];
    memory memory; /* of lists and slots */
};

freshet_code track_open(const char *path, file_track **out, freshet_error *err)
{
    file_track *track = calloc(1, sizeof(*track));

    if (track == NULL)
        return error_memory(err, "opening files");
    track->path = path;
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
        free(track->files[i]->old_name);
        free(track->files[i]);
    }
    memory_give(&track->memory, track->files, track->capacity * sizeof(tracked_file *));
    memory_give(&track->memory, track->spare, track->spare_capacity * sizeof(*track->spare));
    for (int i = 0; i < TRACK_KEYS; i++)
        key_slots_release(&track->slots[i], &track->memory);
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

/* ---- keys ------------------------------------------------------------------------------------ */

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)hash_fold(key ^ HASH_A, HASH_B);
}

uint64_t track_key_of_way(const char *way)
{
    return hash_bytes(way, strlen(way), 1);
}

uint64_t track_key_of_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    path = slash == NULL ? path : slash + 1;
    return hash_bytes(path, strlen(path), 2);
}

uint64_t track_key_of_head(uint32_t i, uint32_t head)
{
    return (uint64_t)i << 32 | head;
}

/* The newest file with that key; *at: its slot, or the one where it would stand. */
static uint32_t newest_of(const file_track *track, track_key by, uint64_t key, uint64_t *at)
{
    const uint32_t tag = tag_of(key);
    uint32_t index;

    *at = tag;
    if (track->slots[by].n_slots == 0)
        return TRACK_NONE;
    while ((index = key_slots_match(&track->slots[by], tag, at)) != KEY_NONE &&
           track->files[index]->links[by].key != key)
        (*at)++;
    return index == KEY_NONE ? TRACK_NONE : index;
}

uint32_t track_find(const file_track *track, track_key by, uint64_t key)
{
    uint64_t at;

    return newest_of(track, by, key, &at);
}

static void link_out(file_track *track, track_key by, uint32_t index)
{
    track_link *link = &track->files[index]->links[by];
    uint64_t at;
    uint32_t each;

    if (!link->is_in)
        return;
    each = newest_of(track, by, link->key, &at);
    if (each == index && link->older == TRACK_NONE) {
        key_slots_remove(&track->slots[by], at);
    } else if (each == index) {
        key_slots_replace(&track->slots[by], at, link->older);
    } else {
        while (track->files[each]->links[by].older != index)
            each = track->files[each]->links[by].older;
        track->files[each]->links[by].older = link->older;
    }
    link->is_in = false;
}

/* There is a slot: track_make_room. */
static void link_in(file_track *track, track_key by, uint32_t index, uint64_t key)
{
    track_link *link = &track->files[index]->links[by];
    uint64_t at;

    if (link->is_in && link->key == key)
        return;
    link_out(track, by, index);
    *link = (track_link){.key = key, .is_in = true};
    link->older = newest_of(track, by, key, &at);
    if (link->older != TRACK_NONE)
        key_slots_replace(&track->slots[by], at, index);
    else
        key_slots_put(&track->slots[by], at, tag_of(key), index);
}

static void link_way(file_track *track, uint32_t index)
{
    const tracked_file *file = track->files[index];

    link_in(track, TRACK_BY_WAY, index,
            file->mark.old_length > 0 && file->absent ? track_key_of_name(file->path)
                                                      : track_key_of_way(file->path + file->way));
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Room for one more file in list and table. */
static freshet_code track_make_room(file_track *track, freshet_error *err)
{
    bool ok = true;

    if (track->n == TRACK_FILES_MAX && track->n_spare == 0)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the reader has met %u files, which is its limit; start it anew with "
                         "finished files moved away",
                         TRACK_FILES_MAX);
    for (int i = 0; i < TRACK_KEYS && ok; i++)
        ok = key_slots_reserve(&track->slots[i], &track->memory, track->n + UINT64_C(1));
    if (!ok ||
        !memory_reserve(&track->memory, &track->files, &track->capacity, track->n + UINT64_C(1),
                        sizeof(tracked_file *)) ||
        !memory_reserve(&track->memory, &track->spare, &track->spare_capacity,
                        track->n_spare + UINT64_C(1), sizeof(*track->spare)))
        return error_memory(err, "opening files");
    return FRESHET_OK;
}

static freshet_code track_add(file_track *track, const char *path, uint32_t way, uint32_t *index,
                              freshet_error *err)
{
    freshet_code code = track_make_room(track, err);
    tracked_file *file;

    if (code != FRESHET_OK)
        return code;
    file = calloc(1, sizeof(*file));
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return error_memory(err, "opening files");
    }
    file->way = way;
    file->fd = -1;
    file->read_size = -1;
    file->open_size = -1;
    if (track->n_spare > 0) {
        *index = track->spare[--track->n_spare];
        free(track->files[*index]);
    } else {
        *index = track->n++;
    }
    track->files[*index] = file;
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

freshet_code track_identify(file_track *track, uint32_t index, const file_identity *identity,
                            freshet_error *err)
{
    freshet_code code = track_make_room(track, err);

    if (code != FRESHET_OK)
        return code;
    track->files[index]->identity = *identity;
    link_in(track, TRACK_BY_INODE, index, identity->inode);
    return FRESHET_OK;
}

/* Is the listed file this tracked one? Without births, one that is elsewhere now, or shorter, is
 * not taken for it: what was read of it will tell. */
static bool is_same(const tracked_file *known, const listed_file *file, int64_t birth_ns)
{
    if (known->identity.birth_ns != 0 && birth_ns != 0)
        return known->identity.birth_ns == birth_ns;
    return known->identity.device == file->device && strcmp(known->path, file->path) == 0 &&
           file->size >= known->size;
}

static freshet_code take_down(file_track *track, uint32_t index, const listed_file *file,
                              freshet_error *err)
{
    tracked_file *known = track->files[index];

    if (strcmp(known->path, file->path) != 0) {
        char *path = strdup(file->path);
        if (path == NULL)
            return error_memory(err, "opening files");
        free(known->path);
        known->path = path;
        known->moved = known->moved || track_is_read(known);
    }
    known->way = (uint32_t)file_list_way(track->path, known->path);
    known->identity.device = file->device;
    known->size = file->size;
    if (known->open_size < 0)
        known->open_size = file->size;
    known->modified_ns = file->modified_ns;
    known->absent = false;
    known->seen++;
    known->stray_since_us = 0;
    link_way(track, index);
    return FRESHET_OK;
}

freshet_code track_note(file_track *track, const listed_file *file, uint32_t *index,
                        freshet_error *err)
{
    int64_t birth_ns = birth_of(file->path);
    freshet_code code = track_make_room(track, err);

    if (code != FRESHET_OK)
        return code;
    for (uint32_t each = track_find(track, TRACK_BY_INODE, file->inode); each != TRACK_NONE;
         each = track->files[each]->links[TRACK_BY_INODE].older)
        if (is_same(track->files[each], file, birth_ns)) {
            *index = each;
            return take_down(track, each, file, err);
        }
    code = track_add(track, file->path, 0, index, err);
    if (code != FRESHET_OK)
        return code;
    track->files[*index]->identity =
        (file_identity){.device = file->device, .inode = file->inode, .birth_ns = birth_ns};
    link_in(track, TRACK_BY_INODE, *index, file->inode);
    return take_down(track, *index, file, err);
}

freshet_code track_read_on(file_track *track, uint32_t index, freshet_error *err)
{
    const file_mark *mark = &track->files[index]->mark;
    freshet_code code = track_make_room(track, err);

    if (code != FRESHET_OK)
        return code;
    if (mark->n_heads > 0)
        link_in(track, TRACK_BY_HEAD, index,
                track_key_of_head(mark->n_heads - 1, mark->heads[mark->n_heads - 1]));
    link_way(track, index);
    return FRESHET_OK;
}

/* ---- one becomes two, two become one --------------------------------------------------------- */

/* Path, identity, descriptor and what was seen of the file on the disk. */
static void hand_over(tracked_file *from, tracked_file *to)
{
    to->identity = from->identity;
    to->fd = from->fd;
    to->size = from->size;
    to->open_size = from->open_size;
    to->modified_ns = from->modified_ns;
    to->listing = from->listing;
    to->is_gzip = from->is_gzip;
    to->way = from->way;
    to->absent = false;
    to->seen++;
    to->read_size = -1;
    from->fd = -1;
    from->stray_since_us = 0;
}

freshet_code track_split(file_track *track, uint32_t index, uint32_t *out, freshet_error *err)
{
    tracked_file *old = track->files[index];
    freshet_code code = track_add(track, old->path, old->way, out, err);

    if (code != FRESHET_OK)
        return code;
    hand_over(old, track->files[*out]);
    link_out(track, TRACK_BY_INODE, index);
    link_in(track, TRACK_BY_INODE, *out, old->identity.inode);
    link_way(track, *out);
    old->absent = true;
    old->identity = (file_identity){0};
    old->moved = true;
    return FRESHET_OK;
}

freshet_code track_merge(file_track *track, uint32_t index, uint32_t from, freshet_error *err)
{
    tracked_file *known = track->files[index];
    tracked_file *file = track->files[from];
    freshet_code code = track_make_room(track, err);

    assert(index != from && !track_is_read(file) && known->fd < 0 && !file->queued);
    if (code != FRESHET_OK)
        return code;
    hand_over(file, known);
    free(known->path);
    known->path = file->path;
    known->moved = true;
    file->path = NULL;
    for (int i = 0; i < TRACK_KEYS; i++)
        link_out(track, (track_key)i, from);
    *file = (tracked_file){.fd = -1, .absent = true, .read_size = -1, .open_size = -1};
    link_in(track, TRACK_BY_INODE, index, known->identity.inode);
    link_way(track, index);
    track->spare[track->n_spare++] = from;
    return FRESHET_OK;
}

/* ---- positions ------------------------------------------------------------------------------- */

#define KEPT_VERSION 1u

/* The mark of a position. It is in saved states: what is here stays as it is. */
typedef struct kept {
    uint32_t version;
    uint32_t way;
    uint64_t device, inode;
    int64_t birth_ns;
    int64_t first;
    int64_t last_offset;
    uint64_t last_hash;
    uint32_t last_length;
    uint32_t n_heads;
    uint32_t heads[MARK_HEADS];
    uint32_t is_gzip;
} kept;

bool track_position(file_track *track, uint32_t index, arena *arena, reader_position *out)
{
    tracked_file *file = track->files[index];
    kept *kept = arena_zero(arena, 1, sizeof(*kept));

    if (file->number == 0 && file->old_name == NULL)
        file->number = ++track->last_number;
    *out = (reader_position){.name = file->old_name != NULL
                                         ? arena_text(arena, file->old_name)
                                         : arena_format(arena, "f%" PRIu64, file->number),
                             .label = arena_text(arena, file->path),
                             .offset = file->offset};
    if (out->name == NULL || out->label == NULL || kept == NULL)
        return false;
    if (file->mark.old_length > 0) /* its name says it all */
        return true;
    *kept = (struct kept){.version = KEPT_VERSION,
                          .way = file->way,
                          .device = file->identity.device,
                          .inode = file->identity.inode,
                          .birth_ns = file->identity.birth_ns,
                          .first = file->mark.first,
                          .last_offset = file->mark.last_offset,
                          .last_hash = file->mark.last_hash,
                          .last_length = file->mark.last_length,
                          .n_heads = file->mark.n_heads,
                          .is_gzip = file->is_gzip};
    memcpy(kept->heads, file->mark.heads, sizeof(kept->heads));
    out->mark = kept;
    out->mark_length = sizeof(*kept);
    return true;
}

/* The name of a position without a mark. */
static bool read_old_name(const char *name, tracked_file *out)
{
    uint64_t parts[5] = {0};
    const char *at = name;

    for (int i = 0; i < 5; i++) {
        char *end = NULL;
        errno = 0;
        parts[i] = strtoull(at, &end, 16);
        if (end == at || errno != 0 || *end != (i < 4 ? ':' : '\0'))
            return false;
        at = end + 1;
    }
    out->identity =
        (file_identity){.device = parts[0], .inode = parts[1], .birth_ns = (int64_t)parts[2]};
    out->mark = (file_mark){.old_length = (uint32_t)parts[3], .old_hash = parts[4]};
    out->old_name = strdup(name);
    return parts[3] > 0 && parts[3] <= MARK_HEAD_BYTES && out->old_name != NULL;
}

static bool read_kept(const reader_position *position, tracked_file *out)
{
    kept kept;

    if (position->mark_length != sizeof(kept))
        return false;
    memcpy(&kept, position->mark, sizeof(kept));
    if (kept.version != KEPT_VERSION || kept.n_heads > MARK_HEADS ||
        kept.last_length > MARK_LAST_BYTES || kept.way > strlen(position->label))
        return false;
    out->identity =
        (file_identity){.device = kept.device, .inode = kept.inode, .birth_ns = kept.birth_ns};
    out->mark = (file_mark){.first = kept.first,
                            .last_offset = kept.last_offset,
                            .last_hash = kept.last_hash,
                            .last_length = kept.last_length,
                            .n_heads = kept.n_heads};
    memcpy(out->mark.heads, kept.heads, sizeof(kept.heads));
    out->way = kept.way;
    out->is_gzip = kept.is_gzip != 0;
    return true;
}

static bool read_position(const reader_position *position, tracked_file *out)
{
    char *end = NULL;

    if (position->offset < 0)
        return false;
    if (position->mark_length == 0)
        return read_old_name(position->name, out);
    if (strchr(position->name, ':') == NULL && position->name[0] == 'f') {
        errno = 0;
        out->number = strtoull(position->name + 1, &end, 10);
        if (errno != 0 || end == position->name + 1 || *end != '\0' || out->number == 0)
            return false;
    } else {
        out->old_name = strdup(position->name);
        if (out->old_name == NULL)
            return false;
    }
    return read_kept(position, out);
}

freshet_code track_restore(file_track *track, const reader_positions *from, freshet_error *err)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const reader_position *position = &from->items[i];
        uint32_t index = 0;
        freshet_code code = track_add(track, position->label, 0, &index, err);
        tracked_file *file;
        if (code != FRESHET_OK)
            return code;
        file = track->files[index];
        if (!read_position(position, file))
            return error_set(
                err, FRESHET_FAILED, FRESHET_STOP, position->label,
                "the position \"%s\" of this file is not one that a file reader gives; "
                "the checkpoint is of another reader or another version",
                position->name);
        file->offset = position->offset;
        file->absent = true;
        if (file->number > track->last_number)
            track->last_number = file->number;
        if (file->identity.inode != 0)
            link_in(track, TRACK_BY_INODE, index, file->identity.inode);
        code = track_read_on(track, index, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}
