/* dead_letters.h - the file of refused rows: one JSON object a line.
 *
 *     {"at":"2013-01-01T05:00:00.000000Z","pipeline":"airport_delays",
 *      "run":"stream-20130101T045900.000000Z-77","n":1,"reader":"flights",
 *      "partition":"data/flights/01.jsonl","offset":8131,"code":"bad_record","reason":"...",
 *      "raw":"{\"origin\": 1"}
 *
 * `at` is when the line was written, `run` which run of the pipeline has written it (its kind, its
 * start, its process), `n` counts the run's letters. `code` is one of a small closed set
 * (base/reason.h), `reason` a sentence. `raw` is the record as it was read; one that is not UTF-8
 * is in `raw_base64` instead, and one longer than DEAD_LETTER_RAW_MAX is cut, with its full length
 * in `raw_bytes`. `part` of `parts` says which of the rows that the query has made of the record it
 * is, where it made several, `copy` of `copies` the same of the rows that stacks (features) have
 * made of that; `key` is that of a message, where the reader uses it. reader, partition, offset and
 * raw are null for a row that has none.
 *
 * All letters of a batch are there, or none: a write that fails half-way is taken back, so that the
 * same batch can be given again and nothing is lost or doubled. The file is opened for each batch
 * (it may be moved away at any time) and made, readable by its owner only, with the first letter.
 *
 * A run that keeps no state begins anew each time, and so do its letters: those that earlier such
 * runs of the pipeline have left go away (begin_anew). Of a run that keeps state, a checkpoint
 * makes them durable and notes the file's length (keep); after a crash, the letters behind the last
 * checkpoint are taken away (cut), for their rows are read again.
 *
 * A file of more than max_size bytes is renamed to PATH.1, that to PATH.2, and so on, and the one
 * behind PATH.<keep> is removed: at a checkpoint, so that the noted length stays that of one file;
 * without checkpoints behind a batch.
 *
 * Order of calls: open, begin_anew or cut at most once, {add, keep}*, close. One thread at a time.
 */
#ifndef FRESHET_OPERATE_DEAD_LETTERS_H
#define FRESHET_OPERATE_DEAD_LETTERS_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "operate/letter_lines.h"

#define DEAD_LETTER_RAW_MAX ((size_t)1 << 20)
#define DEAD_LETTERS_CUT_MAX ((off_t)64 << 20) /* more is not looked through, and stays */
#define DEAD_LETTERS_KEEP_MAX 1000             /* rotated files */

/* The names of the fields that a letter may have; the last is NULL. */
extern const char *const letter_fields[];

typedef struct dead_letters dead_letters;

/* What kind of run it is: the beginning of `run`. The first keeps no state. */
typedef enum letters_kind { LETTERS_BATCH, LETTERS_STREAM, LETTERS_REPLAY } letters_kind;

typedef struct dead_letters_options {
    const char *path;
    const char *pipeline; /* lives as long as the letters */
    letters_kind kind;
    int64_t max_size; /* 0: the file is never rotated */
    int64_t keep;     /* rotated files, 1 at least */
} dead_letters_options;

/* Is this a place for a file of dead letters? FRESHET_BAD_DECLARATION where the path's folder is
 * not there, or the path is a folder. Touches nothing. */
freshet_code dead_letters_check(const char *path, freshet_error *err);

/* Checks, and creates nothing yet. */
freshet_code dead_letters_open(const dead_letters_options *options, dead_letters **out,
                               freshet_error *err);

/* The run's id, and the file. */
const char *dead_letters_run(const dead_letters *letters);
const char *dead_letters_path(const dead_letters *letters);

/* Takes away the letters that earlier runs without state of this pipeline have left, in the rotated
 * files, too. */
freshet_code dead_letters_begin_anew(dead_letters *letters, freshet_error *err);

/* Appends one line a reject. On failure nothing of it is in the file, and the error is
 * FRESHET_TRY_AGAIN with FRESHET_RETRY, naming the file. */
freshet_code dead_letters_add(dead_letters *letters, const rejects *rejects, freshet_error *err);

/* Where the file ended at a checkpoint. */
typedef struct dead_letters_mark {
    uint64_t device;
    uint64_t inode; /* 0: there was no file */
    int64_t length;
} dead_letters_mark;

/* All letters added so far are durable, and end at the mark. */
freshet_code dead_letters_keep(dead_letters *letters, dead_letters_mark *mark, freshet_error *err);

/* Takes away what was added behind the mark, since the rows that it is about are read again: in the
 * file, or in the rotated one that it has become and those that came behind it. Only where all of
 * that is this pipeline's, of runs with state, and the file can be told: else it stays, and those
 * letters come twice (*cut is false). */
freshet_code dead_letters_cut(dead_letters *letters, const dead_letters_mark *mark, bool *cut,
                              freshet_error *err);

/* Every whole line of the rotated files and of the file, oldest first. */
freshet_code dead_letters_visit(dead_letters *letters, letter_line_fn *line, void *context,
                                freshet_error *err);
/* The same, and lines that are not to be kept are taken away. */
freshet_code dead_letters_sift(dead_letters *letters, letter_line_fn *line, void *context,
                               freshet_error *err);

/* NULL is fine. */
void dead_letters_close(dead_letters *letters);

#endif
