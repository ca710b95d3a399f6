/* file_mark.h - by what a file's text is known again: what was read of it.
 *
 * The text of a file is what its records are cut from: its bytes, or what a gzip file holds. A mark
 * tells of a text that was read up to some place
 *
 *     where its records begin (behind a header)       first
 *     hashes of the 1, 2, 4 ... 1,024 bytes there      heads, as many as had been read
 *     place, length and hash of the last record        last
 *
 * so that another file, whatever its name, inode and compression, can be compared: it is the SAME
 * text where it is as long as what was read, or longer, and beginning and last record agree; it is
 * ANOTHER one where something differs; and where it is SHORTER and all that is there agrees, it may
 * be on its way to become the same. What lies between beginning and last record is not compared.
 *
 * A file of a format of whole files (Parquet) does not grow: its mark is its first and last bytes
 * and its size, and it is the same only where all agree.
 *
 * OLD marks are those of positions that builds without this file have written: a hash of the first
 * bytes of the file as it lies on the disk.
 */
#ifndef FRESHET_READERS_FILE_FILE_MARK_H
#define FRESHET_READERS_FILE_FILE_MARK_H

#include "readers/file/file_gzip.h"

#define MARK_HEADS 11
#define MARK_HEAD_BYTES ((size_t)1 << (MARK_HEADS - 1))
#define MARK_LAST_BYTES 4096u /* of a longer record, its first ones */

typedef struct file_mark {
    int64_t first;
    int64_t last_offset;
    uint64_t last_hash;
    uint32_t last_length; /* 0: no record yet that has bytes */
    uint32_t n_heads;
    uint32_t heads[MARK_HEADS];
    uint32_t old_length; /* of an old mark; 0: it is none */
    uint64_t old_hash;
} file_mark;

/* An open file to be looked at. */
typedef struct mark_file {
    int fd;
    const char *path;
    bool is_gzip;
    bool is_whole; /* of a format of whole files */
    gzip *gzip;    /* for its use; of no file */
} mark_file;

typedef enum mark_verdict { MARK_SAME, MARK_SHORTER, MARK_OTHER } mark_verdict;

/* Is anything known? */
static inline bool mark_is_set(const file_mark *mark)
{
    return mark->n_heads > 0 || mark->last_length > 0 || mark->old_length > 0;
}

/* The heads of what the file holds from mark->first on, but not behind `upto`. */
freshet_code mark_take_heads(file_mark *mark, const mark_file *file, int64_t upto,
                             freshet_error *err);

/* Can there be more heads, when the text was read up to there? */
static inline bool mark_wants_heads(const file_mark *mark, int64_t upto)
{
    return mark->n_heads < MARK_HEADS && upto - mark->first >= (int64_t)1 << mark->n_heads;
}

/* The last record read. One without bytes says nothing, and leaves the one before. */
void mark_take_last(file_mark *mark, const char *bytes, size_t length, int64_t offset);

/* The mark of a whole file. */
freshet_code mark_take_whole(file_mark *mark, const mark_file *file, freshet_error *err);

/* Compares the file with the text that was read up to `offset`. `quick`: of a gzip file only the
 * beginning, since all that lies before a place must be read to see it. *more (NULL is fine): the
 * text goes on behind the offset, as far as was looked. */
freshet_code mark_compare(const file_mark *mark, int64_t offset, const mark_file *file, bool quick,
                          mark_verdict *verdict, bool *more, freshet_error *err);

/* Makes a new mark of an old one, of a file that is not gzip and was found to be the same. */
freshet_code mark_renew(file_mark *mark, int64_t offset, const mark_file *file, freshet_error *err);

#endif
