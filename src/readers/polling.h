/* polling.h - one call of a reader's poll: its limits, room for rows, bad records. What readers
 * share.
 *
 * Order of calls: polling_begin; polling_reserve before each row is written; polling_refuse for bad
 * records; polling_end, which makes null what nobody has asked for.
 */
#ifndef FRESHET_READERS_POLLING_H
#define FRESHET_READERS_POLLING_H

#include "readers/reader.h"

#define POLLING_ROW_BYTES 64 /* what a row without a record of its own is taken for */

typedef struct polling {
    freshet_reader *reader;
    batch *into;
    rejects *rejects;
    uint32_t first_row; /* of this poll */
    uint32_t first_reject;
    uint32_t max_rows;
    size_t max_bytes;
    size_t bytes;      /* of records so far: the reader adds them up */
    uint32_t capacity; /* rows that columns and origins have room for */
    const char *doing; /* for errors: "reading files" */
    freshet_error *err;
} polling;

polling polling_begin(freshet_reader *reader, batch *into, uint32_t max_rows, size_t max_bytes,
                      rejects *rejects, const char *doing, freshet_error *err);

/* How many rows and bad records there may still be. */
static inline uint32_t polling_left(const polling *polling)
{
    uint32_t given =
        polling->into->n_rows - polling->first_row + polling->rejects->n - polling->first_reject;

    return given >= polling->max_rows || polling->bytes >= polling->max_bytes
               ? 0
               : polling->max_rows - given;
}

/* The same for rows without records, which are taken for POLLING_ROW_BYTES each. */
static inline uint32_t polling_rows_left(const polling *polling)
{
    uint32_t left = polling_left(polling);
    size_t rows = left == 0 ? 0 : (polling->max_bytes - polling->bytes) / POLLING_ROW_BYTES;

    return rows >= left ? left : rows > 0 ? (uint32_t)rows : 1;
}

static inline bool polling_has_given(const polling *polling)
{
    return polling->into->n_rows > polling->first_row ||
           polling->rejects->n > polling->first_reject;
}

/* Room for one more row; at first for as many as the batch's columns have room for, or as are
 * `likely`. */
freshet_code polling_reserve(polling *polling, uint32_t likely);

/* Room for so many more rows. */
freshet_code polling_reserve_rows(polling *polling, uint32_t n);

/* Notes a bad record; `where` has its place and bytes, and lives as long as the step. */
freshet_code polling_refuse(polling *polling, const reject *where, reason_code code,
                            const char *part, const char *reason);

/* Where a row of the reader's last poll came from, for the letter that it becomes. */
void polling_locate(freshet_reader *reader, const origin *origin, reject *into);

/* Columns that are not used become null in the rows of this poll. */
freshet_code polling_end(const polling *polling);

/* The operations `positions` and `partition_label` of a reader with one partition: reader->only,
 * whose offset its poll puts on, as it sets reader->moved. */
freshet_code polling_only_positions(freshet_reader *reader, arena *arena, bool all,
                                    reader_positions *out, freshet_error *err);
const char *polling_only_label(const freshet_reader *reader, uint32_t partition);

/* For errors: where the path stands in the declaration, or itself where it stands nowhere. */
void polling_place(const declared_text *declared, const char *path, char *into, size_t size);

/* For `changed`: warns when what was read is missing now, once each time (*said). */
void polling_tell_missing(const freshet_reader *reader, const char *path, bool missing, bool *said);

#endif
