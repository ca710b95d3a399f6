/* divided_rows.h - the rows of a run, dealt out to the instances of a divided operator, and put
 * together again; for divided.c.
 *
 * A share is what one instance has of a run: the numbers of its rows, and a run of its own that
 * shows them (share_see_...). Its task picks, sees and puts; before and behind the tasks the
 * caller opens and mixes. Tasks write into what is the whole run's only where their own rows stand,
 * and only into cells of whole bytes. */
#ifndef FRESHET_FEATURES_DIVIDED_ROWS_H
#define FRESHET_FEATURES_DIVIDED_ROWS_H

#include "base/crew.h"
#include "features/run.h"

typedef struct share {
    arena *arena;
    uint32_t *rows; /* numbers of the run's rows, n of them, ascending */
    uint32_t n;
    run run; /* of these */
    feature_refusal *refused;
    uint32_t n_refused, refused_capacity;
    freshet_code code;
    freshet_error err;
} share;

/* ---- in a task ------------------------------------------------------------------------------- */

/* The rows of owner `which`. */
freshet_code share_pick(share *share, const uint8_t *owners, uint32_t n_rows, uint8_t which);

/* share->run shows the share's rows of `all`: the slots that are wanted, of those that are filled;
 * or, of rows that are output, keys and timestamp, write_us and row_kinds. */
freshet_code share_see_rows(share *share, const run *all, const bool *wanted);
freshet_code share_see_output(share *share, const run *all);

/* What the instance has said of its rows: which are kept; write_us and row_kinds. */
void share_put_marks(const share *share, run *all);
void share_put_ranks(const share *share, run *all);

/* ---- by the caller --------------------------------------------------------------------------- */

/* Before share_put_ranks, and behind all of them: room for them, and they are those of the
 * output. */
freshet_code ranks_open(run *all);
void ranks_close(run *all);

/* Gives the refused rows of all shares to all->refuse, in the order of the rows. */
freshet_code shares_tell_refused(share *shares, uint32_t n, run *all);

/* The shares' rows become those of `all`, in the order of the rows that they were made of:
 * `owners`, by row of `all`. */
freshet_code shares_mix(share *shares, uint32_t n, const uint8_t *owners, crew *crew, run *all);

/* The rows are the same; columns that the shares have filled become those of `all`. */
freshet_code shares_fill(share *shares, uint32_t n, const uint8_t *owners, crew *crew, run *all);

/* The rows of shares that were given none, one share's behind the other's, become those of
 * `into`. */
freshet_code shares_join(share *shares, uint32_t n, run *into);

#endif
