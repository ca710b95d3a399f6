/* file_track.h - the files that a reader has met: who they are, and how far they have been read.
 *
 * A file is known again, under any path, by what does not change while it lives: the inode, the
 * time it was made (where the file system tells), and a fingerprint, the hash of its first bytes,
 * as many as were there when it was first read, at most TRACK_FINGERPRINT_BYTES. These make the
 * partition's name in a position:
 *
 *     device:inode:birth:length:hash      all in hexadecimal
 *
 * The device is in it to tell equal inodes apart, but a file of another device whose inode, birth
 * and fingerprint fit is taken for the same, since device numbers may change when a machine starts
 * again.
 *
 * A file never leaves the list, so that an index stays good, and a file that comes back is not read
 * twice; TRACK_FILES_MAX is the limit.
 *
 * Order of calls: track_open, track_restore, {track_note, track_check ...}*, track_close.
 */
#ifndef FRESHET_READERS_FILE_FILE_TRACK_H
#define FRESHET_READERS_FILE_FILE_TRACK_H

#include "readers/file/file_list.h"
#include "readers/reader.h"

#define TRACK_FILES_MAX (1u << 20)
#define TRACK_FINGERPRINT_BYTES 1024

typedef struct file_identity {
    uint64_t device;
    uint64_t inode;
    int64_t birth_ns; /* 0: not known */
    uint32_t length;  /* of the fingerprint; 0: none taken yet */
    uint64_t hash;
} file_identity;

typedef struct tracked_file {
    char *path;
    file_identity identity;
    uint32_t older;    /* another one with the same inode; KEY_NONE: none */
    int fd;            /* -1: not open */
    int64_t offset;    /* of the next record (row, for Parquet) */
    int64_t size;      /* when looked at last */
    int64_t open_size; /* when first listed: READ_ALL reads no further; -1: not yet */
    int64_t modified_ns;
    int64_t read_size; /* the size, and the time, when it was last read to its end; -1: never */
    int64_t read_modified_ns;
    int64_t retry_us; /* a failed file is tried again then; 0: has not failed */
    int64_t retry_pause_us;
    int64_t stray_since_us; /* when an open file was first missed in the listing; 0: it is there */
    uint64_t listing;       /* the last listing that it was in */
    bool absent;            /* known from a position only, or gone */
    bool queued;
    uint32_t next_queued; /* behind it in the queue; KEY_NONE: it is the last */
    bool moved;           /* since the last positions */
    bool finished;        /* READ_ALL */
    bool is_gzip;
    bool said_lacks; /* that it lacks columns */
} tracked_file;

typedef struct file_track file_track;

freshet_code track_open(file_track **out, freshet_error *err);
void track_close(file_track *track); /* closes descriptors, too */

/* The files of a checkpoint: they are absent until noted. */
freshet_code track_restore(file_track *track, const reader_positions *from, freshet_error *err);

/* A file was listed, or there was news of it: finds it or makes it new, and takes down path, size
 * and time. FRESHET_TRY_AGAIN: it could not be opened to be recognised. */
freshet_code track_note(file_track *track, const listed_file *file, uint32_t *index,
                        freshet_error *err);

uint32_t track_count(const file_track *track);
tracked_file *track_file(const file_track *track, uint32_t index);

/* Call with the open file before reading at its offset: takes the fingerprint when there is
 * none. *replaced is set, and the offset is 0, where the file has become shorter than what was
 * read of it or begins otherwise: its content is new. */
freshet_code track_check(tracked_file *file, bool in_bytes, bool *replaced, freshet_error *err);

/* The partition's name, in the arena; NULL where memory is out. */
const char *track_name(arena *arena, const tracked_file *file);

#endif
