/* dead_letters.h - the file of refused rows: one JSON object a line.
 *
 *     {"at":"2013-01-01T05:00:00.000000Z","pipeline":"airport_delays","reader":"flights",
 *      "partition":"data/flights/01.jsonl","offset":8131,"code":"bad_record","reason":"...",
 *      "raw":"{\"origin\": 1"}
 *
 * `at` is when the line was written, `code` one of a small closed set (base/reason.h), `reason` a
 * sentence. `raw` is the record as it was read; one that is not UTF-8 is in `raw_base64` instead,
 * and one longer than DEAD_LETTER_RAW_MAX is cut, with its full length in `raw_bytes`. reader,
 * partition, offset and raw are null for a row that has none.
 *
 * All letters of a batch are there, or none: a write that fails half-way is taken back, so that the
 * same batch can be given again and nothing is lost or doubled. The file is opened for each batch
 * (it may be moved away at any time) and made, readable by its owner only, with the first letter.
 *
 * A checkpoint makes them durable and notes the file's length (keep). After a crash, the letters
 * behind the last checkpoint are taken away (cut), for their rows are read again.
 *
 * Order of calls: open, cut at most once, {add, keep}*, close. One thread at a time.
 */
#ifndef FRESHET_OPERATE_DEAD_LETTERS_H
#define FRESHET_OPERATE_DEAD_LETTERS_H

#include <freshet/freshet.h>

#include "base/batch.h"

#define DEAD_LETTER_RAW_MAX ((size_t)1 << 20)
#define DEAD_LETTERS_CUT_MAX ((off_t)64 << 20) /* more is not looked through, and stays */

typedef struct dead_letters dead_letters;

/* Is this a place for a file of dead letters? FRESHET_BAD_DECLARATION where the path's folder is
 * not there, or the path is a folder. Touches nothing. */
freshet_code dead_letters_check(const char *path, freshet_error *err);

/* Checks, and creates nothing yet. */
freshet_code dead_letters_open(const char *path, dead_letters **out, freshet_error *err);

/* Appends one line a reject. On failure nothing of it is in the file, and the error is
 * FRESHET_TRY_AGAIN with FRESHET_RETRY, naming the file. */
freshet_code dead_letters_add(dead_letters *letters, const char *pipeline, const rejects *rejects,
                              freshet_error *err);

/* Where the file ended at a checkpoint. */
typedef struct dead_letters_mark {
    uint64_t device;
    uint64_t inode; /* 0: there was no file */
    int64_t length;
} dead_letters_mark;

/* All letters added so far are durable, and end at the mark. */
freshet_code dead_letters_keep(dead_letters *letters, dead_letters_mark *mark, freshet_error *err);

/* Takes away what was added behind the mark, since the rows that it is about are read again. Only
 * where all of that is this pipeline's, and the file is the same: else it stays, and those letters
 * come twice (*cut is false). */
freshet_code dead_letters_cut(dead_letters *letters, const char *pipeline,
                              const dead_letters_mark *mark, bool *cut, freshet_error *err);

/* NULL is fine. */
void dead_letters_close(dead_letters *letters);

#endif
