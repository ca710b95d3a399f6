/* file_internal.h - what the parts of the file reader share.
 *
 *   file.c           options, describe, open and close, positions
 *   file_columns.c   which columns they have: inferred, or what of the declared ones is not there
 *   file_hive.c      columns that stand in the names of folders
 *   file_sample.c    the first rows, for a look before the run
 *   file_discover.c  which files there are: listing, watching, the queue of files to read
 *   file_empty.c     that there is no file, and what is passed over
 *   file_known.c     is the file whose turn it is one that was read before?
 *   file_replay.c    records of dead letters
 *   file_read.c      poll: records of the file at the head of the queue into the batch
 *   file_side.c      files that are read side by side
 *
 * Standard input is no file: file_input.h has operations of its own for it.
 *
 * THE QUEUE. At open all files are queued in their order. Following, a file is queued again when
 * there is news of it. poll reads the file at the head to its end (or until the batch is full) and
 * takes it off. So files are read one after the other, and what is added to an earlier one while a
 * later one is read comes when that is done. A poll that chooses a file (reader.h, choice) brings
 * it to the head.
 */
#ifndef FRESHET_READERS_FILE_FILE_INTERNAL_H
#define FRESHET_READERS_FILE_FILE_INTERNAL_H

#include "readers/file/file.h"
#include "readers/file/file_gzip.h"
#include "readers/file/file_lines.h"
#include "readers/file/file_track.h"
#include "readers/file/file_watch.h"
#include "readers/slices.h"

#define FILE_DESCRIPTORS_MAX 64
#define FILE_LIST_EVERY_US 1000000   /* without a complete watch */
#define FILE_LIST_ALWAYS_US 10000000 /* with one: for what inotify does not see (network) */
#define FILE_STRAY_US 60000000       /* how long an open file that has left the list is kept */
#define FILE_WAIT_US 1000000      /* a file that waits to be told from another: looked at again, */
#define FILE_REPLACED_US 10000000 /* how long the text of a replaced file is looked for */
#define FILE_COPY_US 5000000      /* and how long a copy may lie beside what is to be cut */
#define FILE_BAD_US 10000000      /* a bad file is skipped when it has been so for so long */
#define FILE_RETRY_FIRST_US 1000000
#define FILE_RETRY_MOST_US 60000000
#define FILE_NONE TRACK_NONE
#define FILE_OLD_MOST 10000 /* files without marks that are looked through one by one */

/* A file has the place, or the text, of one that was read. In the first case that one may be found
 * elsewhere yet. */
typedef struct replaced_file {
    uint32_t known, by;
    bool is_place;
    uint64_t seen; /* of the known one, then */
    int64_t since_us;
} replaced_file;

/* The folders of a file, whose names say columns: file_hive.c. */
typedef struct file_hive file_hive;

/* One of the files read side by side, put away: as in file_reader. */
typedef struct file_side {
    uint32_t lines_of, header_of, whole_of;
    lines *lines;
    decoder *decoder;
    file_hive *hive;
} file_side;

typedef struct file_reader {
    struct freshet_reader base;
    const char *path;
    char at[232];         /* the place of the path in the declaration, for errors */
    const format *format; /* NULL: not known yet */
    bool format_is_declared;
    const char **said_by; /* per column, the file that its type is from; NULL: none is */

    file_track *track;
    file_watch *watch;
    bool needs_listing;
    int64_t next_listing_us;
    int64_t listed_us;       /* when the last listing ended, */
    int64_t listing_took_us; /* and how long it took */
    uint64_t listing;        /* counts them */
    uint64_t signature;
    bool said_missing, said_ignored, said_failed;
    uint32_t n_odd_said; /* of what is passed over, being no file */
    uint32_t n_retry;    /* files that have failed */
    uint32_t n_stray;    /* open files that have left the list */
    arena *scratch;      /* of one listing */
    char *bad_folder;    /* that cannot be read, for a dead letter; NULL: none */

    uint32_t queue_head, queue_last; /* through tracked_file.next_queued; head FILE_NONE: empty */
    uint32_t open_files[FILE_DESCRIPTORS_MAX]; /* least lately used first */
    uint32_t n_open;

    uint32_t lines_of;  /* the file that `lines` is in, or FILE_NONE */
    uint32_t header_of; /* the file whose header the decoder has */
    uint32_t whole_of;  /* the file that the decoder, of a format of files, is in */
    lines *lines;
    decoder *decoder;
    file_hive *hive; /* what the decoder leaves to the folders; NULL: nothing */

    slices *slices; /* NULL: records are decoded one by one */
    record *found;  /* by this poll, to be decoded */
    uint32_t found_capacity;

    uint32_t side; /* that these six are of */
    file_side sides[READER_CHOICES_MAX + 1];
    uint32_t side_of[READER_CHOICES_MAX]; /* its file's index + 1; 0: none yet */

    uint32_t n_old;          /* files of positions without marks may be among the first so many */
    record last;             /* of what this turn has read; length 0: nothing */
    gzip look;               /* for looking at files that are gzip */
    uint32_t n_known;        /* files that were known by their text */
    replaced_file *replaced; /* not said yet */
    uint32_t n_replaced, replaced_capacity;
    lines *sample_lines; /* of file_sample, to whose buffers its rows point */
    decoder *sample_decoder;
    file_hive *sample_hive;
    const char *replayed_header; /* of the file whose header the decoder has, in a replay */
} file_reader;

/* Is the format one of whole files, as Parquet? Else its records are read line by line. */
static inline bool file_is_whole(const file_reader *reader)
{
    return reader->format != NULL && reader->format->start != NULL;
}

static inline const char *file_reader_id(const file_reader *reader)
{
    return reader->base.block->id.value;
}

static inline list_order file_order(const file_reader *reader)
{
    return (list_order)((const file_options *)reader->base.options)->order;
}

static inline bool file_skips_bad(const file_reader *reader)
{
    return ((const file_options *)reader->base.options)->on_bad_file == ON_BAD_FILE_SKIP;
}

/* ---- file.c ---- */

/* Is the open file to be read as gzip: by the option `compression`, or by its first bytes? */
bool file_is_gzip(const file_reader *reader, int fd);

/* Opens the reader's lines and decoder. */
freshet_code file_open_side(file_reader *reader, freshet_error *err);

/* ---- file_columns.c ---- */

/* Infers the columns where none are declared; warns of those that no record has. */
freshet_code file_columns(file_reader *reader, const file_listing *listing, freshet_error *err);

/* Both are closed by the caller; the decoder's used columns are set by the time it reads. */
freshet_code file_open_lines(file_reader *reader, lines **out, freshet_error *err);
freshet_code file_open_decoder(file_reader *reader, freshet_error *err);

/* ---- file_days.c ---- */

/* Do the names of folders tell what is not to be read? Then takes those files off the list. */
bool file_days_known(const file_reader *reader);
void file_days_cut(const file_reader *reader, arena *arena, file_listing *listing);

/* ---- file_hive.c ---- */

/* Adds the columns that the folders of the files say to those of the reader. */
freshet_code file_hive_infer(file_reader *reader, const file_listing *listing, freshet_error *err);

/* `*kept` becomes that of the path's folders, and the decoder one that leaves their columns out: it
 * may be opened anew (*anew), and then has no header yet. */
freshet_code file_hive_take(file_reader *reader, file_hive **kept, decoder **decoder,
                            const char *path, bool *anew, freshet_error *err);
void file_hive_close(file_hive *hive); /* behind the decoder */

/* Another batch comes, or the same one with its arena reset. */
void file_hive_begin(file_hive *hive);

/* Makes their cells, for the batch of that arena, where they are not there yet; then
 * file_hive_put() may be called by several threads. */
freshet_code file_hive_make(const file_reader *reader, file_hive *hive, arena *arena,
                            freshet_error *err);

/* The folders' columns of the row that the decoder has just made. An error as from `decode`. */
freshet_code file_hive_put(const file_reader *reader, file_hive *hive, decoder *decoder,
                           freshet_error *err);

/* ---- file_sample.c ---- */

/* The operation `sample`. */
freshet_code file_sample(freshet_reader *base, batch *into, uint32_t max_rows, freshet_error *err);
void file_sample_close(file_reader *reader);

/* ---- file_side.c ---- */

/* The reader's lines and decoder become those of the file, or those for looking at files. */
freshet_code file_side_take(file_reader *reader, uint32_t index, freshet_error *err);
freshet_code file_side_peek(file_reader *reader, freshet_error *err);
/* Records given before are no longer needed. */
void file_side_begin(file_reader *reader);
/* No side is in the file's lines any more: its descriptor is another one the next time; or in any
 * part of it (is_other): it is another file. */
void file_side_forget(file_reader *reader, uint32_t index, bool is_other);
void file_side_close(file_reader *reader);

/* ---- file_empty.c ---- */

/* Where files may be that the path does not name, for an error: "; there is 1 folder, ..."; empty
 * where there are files, or nothing to say. */
const char *file_hint(const file_reader *reader, const file_listing *listing, arena *arena);

/* Warnings, in `check` and at the start of a run. */
void file_warn_of_listing(file_reader *reader, const file_listing *listing, arena *arena);

/* While it runs: what has come since. */
void file_say_odd(file_reader *reader, const file_listing *listing);

/* ---- file_discover.c ---- */

/* Lists, and queues what is new. In READ_FOLLOW failures are only logged. */
freshet_code file_discover_all(file_reader *reader, freshet_error *err);

/* Takes the news there is. */
freshet_code file_discover_news(file_reader *reader, freshet_error *err);

/* Lists into `arena`, without files that have another format's ending. */
freshet_code file_list_wanted(file_reader *reader, arena *arena, file_watch *watch,
                              file_listing *out, freshet_error *err);

/* Takes off the file at the head of the queue; brings one that is queued there. */
void file_queue_take(file_reader *reader);
void file_queue_bring_first(file_reader *reader, uint32_t index);
void file_queue_put_first(file_reader *reader, uint32_t index);
void file_queue_put_last(file_reader *reader, uint32_t index);

/* The descriptor of the file, opening it where it is not open. Closes the one least lately used
 * when there are FILE_DESCRIPTORS_MAX. */
freshet_code file_descriptor(file_reader *reader, uint32_t index, freshet_error *err);
void file_descriptor_close(file_reader *reader, uint32_t index);

/* Is the file no longer at its path? Then it was removed, renamed or replaced. */
bool file_is_gone(const tracked_file *file);

/* The file at the head of the queue could not be read: it is taken off, and tried again later
 * (READ_FOLLOW). */
void file_set_aside(file_reader *reader, uint32_t index, const freshet_error *problem);

/* Has it failed for so long, and not changed, that it is to be skipped? */
bool file_is_bad(const file_reader *reader, const tracked_file *file);

/* It is taken off the queue, and not tried again until it changes. */
void file_give_up(file_reader *reader, uint32_t index, const freshet_error *problem);

/* ---- file_known.c ---- */

/* What becomes of the file whose turn it is. */
typedef enum file_fate {
    FILE_IS_READ,   /* on from its offset */
    FILE_IS_OTHER,  /* the queue has changed: another file stands for it now */
    FILE_IS_WAITING /* it was taken off the queue, and is looked at again later */
} file_fate;

/* Call with the file at the head of the queue, open, and behind its header where it has one. */
freshet_code file_know(file_reader *reader, uint32_t index, file_fate *fate, freshet_error *err);

/* The file has been read on, or (FRESHET_END) to its end: takes down by what it is known again. */
freshet_code file_remember(file_reader *reader, uint32_t index, freshet_error *err);

/* The queue is empty: tells of files that are read from their beginnings though something of their
 * names, or their text, was read. */
void file_say_replaced(file_reader *reader);

/* ---- file_replay.c ---- */

freshet_code file_replay(freshet_reader *base, const reader_record *record, batch *into,
                         reason_code *refused, freshet_error *err);

/* ---- file_read.c ---- */

freshet_code file_poll(freshet_reader *base, batch *into, uint32_t max_rows, size_t max_bytes,
                       rejects *rejects, bool *more, freshet_error *err);

#endif
