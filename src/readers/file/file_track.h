/* file_track.h - the files that a reader has met: who they are, and how far they have been read.
 *
 * A file is known again in two ways. What is listed is known by its inode and the time it was made
 * (where the file system tells): a renamed file is the same one. Where that says nothing, because
 * the file was copied, put back, replaced or compressed, it is known by what was read of its text
 * (file_mark.h), whatever its inode: file_known.c decides, when the file is about to be read.
 *
 * So there are three ways to find a file: by its inode, by its path below the folder that the
 * reader names (`way`; the folder itself may be another one after a copy), and by the beginning of
 * its text.
 *
 * A position has the name "f" and a number, the file's own for ever, and a mark with all of this.
 * Positions of builds that did not have marks are named device:inode:birth:length:hash, and keep
 * these names.
 *
 * A file never leaves the list, so that an index stays good, and a file that comes back is not read
 * twice; TRACK_FILES_MAX is the limit. Only one that nothing has been read of can be taken out.
 *
 * Order of calls: track_open, track_restore, {track_note, ...}*, track_close.
 */
#ifndef FRESHET_READERS_FILE_FILE_TRACK_H
#define FRESHET_READERS_FILE_FILE_TRACK_H

#include "readers/file/file_list.h"
#include "readers/file/file_mark.h"
#include "readers/reader.h"

#define TRACK_FILES_MAX (1u << 20)
#define TRACK_NONE UINT32_MAX

typedef struct file_identity {
    uint64_t device;
    uint64_t inode;
    int64_t birth_ns; /* 0: not known */
} file_identity;

/* By what files are found. */
typedef enum track_key { TRACK_BY_INODE, TRACK_BY_WAY, TRACK_BY_HEAD, TRACK_KEYS } track_key;

typedef struct track_link {
    uint64_t key;
    uint32_t older; /* another file with the same key; TRACK_NONE: none */
    bool is_in;
} track_link;

typedef struct tracked_file {
    char *path;
    uint32_t way; /* where in the path begins what is below the reader's folder */
    file_identity identity;
    file_mark mark;
    track_link links[TRACK_KEYS];
    char *old_name;    /* of its position; NULL: "f" and the number */
    uint64_t number;   /* of its position; 0: none yet */
    int fd;            /* -1: not open */
    int64_t offset;    /* of the next record (row, for Parquet) */
    int64_t size;      /* when looked at last */
    int64_t open_size; /* when first listed: READ_ALL reads no further; -1: not yet */
    int64_t modified_ns;
    int64_t read_size; /* the size, and the time, when it was last read to its end; -1: never */
    int64_t read_modified_ns;
    int64_t retry_us; /* a failed or waiting file is tried again then; 0: it is neither */
    int64_t retry_pause_us;
    int64_t bad_since_us; /* since when it has failed as it is: with this size, at this time */
    int64_t bad_size, bad_modified_ns;
    int64_t waits_since_us; /* since when it has waited to be told from another; 0: it does not */
    int64_t waits_size;
    int64_t stray_since_us; /* when an open file was first missed in the listing; 0: it is there */
    uint64_t listing;       /* the last listing that it was in */
    uint64_t seen;          /* how often it was listed, told of, or found by its text */
    bool absent;            /* known from a position only, or gone */
    bool queued;
    uint32_t next_queued; /* behind it in the queue; TRACK_NONE: it is the last */
    bool moved;           /* since the last positions */
    bool finished;        /* READ_ALL */
    bool is_gzip;
    bool said_lacks; /* that it lacks columns */
    bool said_waiting;
    bool is_noted; /* as one that is read though the like of it was */
} tracked_file;

typedef struct file_track file_track;

/* `path` is what the reader's declaration names, and lives as long. */
freshet_code track_open(const char *path, file_track **out, freshet_error *err);
void track_close(file_track *track); /* closes descriptors, too */

/* The files of a checkpoint: they are absent until noted. */
freshet_code track_restore(file_track *track, const reader_positions *from, freshet_error *err);

/* A file was listed, or there was news of it: finds it by its inode or makes it new, and takes down
 * path, size and time. */
freshet_code track_note(file_track *track, const listed_file *file, uint32_t *index,
                        freshet_error *err);

uint32_t track_count(const file_track *track);
tracked_file *track_file(const file_track *track, uint32_t index);

/* Has anything been read of it but a header? */
static inline bool track_is_read(const tracked_file *file)
{
    return file->offset > file->mark.first;
}

/* The newest file that has the key, and from there file->links[].older; TRACK_NONE: there is none.
 */
uint32_t track_find(const file_track *track, track_key by, uint64_t key);

/* The keys under which a file is found that lies at the file's path: its own one, and that of
 * positions that do not tell which part of their path is the reader's folder. */
uint64_t track_key_of_way(const char *way);
uint64_t track_key_of_name(const char *path);
uint64_t track_key_of_head(uint32_t i, uint32_t head);

/* More of the file has been read: what it is found by is set right. */
freshet_code track_read_on(file_track *track, uint32_t index, freshet_error *err);

/* The file is another one on the disk now (READ_ALL, before anything was read). */
freshet_code track_identify(file_track *track, uint32_t index, const file_identity *identity,
                            freshet_error *err);

/* What lies at the path of `index` is a new text, in a file of its own, which is given: path,
 * identity and descriptor go over to it. The old one stays known by what was read of it. */
freshet_code track_split(file_track *track, uint32_t index, uint32_t *out, freshet_error *err);

/* The file `from`, of which nothing has been read, is the file `index`: its path, identity and
 * descriptor go over, and it is taken out. */
freshet_code track_merge(file_track *track, uint32_t index, uint32_t from, freshet_error *err);

/* The position of the file, in the arena; false where memory is out. */
bool track_position(file_track *track, uint32_t index, arena *arena, reader_position *out);

#endif
