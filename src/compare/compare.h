/* compare.h - does an online store say what the history says? (`freshet compare`)
 *
 * Of both sides keys are chosen, so that rows which one of them lacks are found, too: of the
 * history those with the smallest hashes, of the store as it can (compare_store). Then, in this
 * order: the history's files are listed; the store's rows of these keys are read; the files are
 * listed again, and of each key the history's row for the moment of the online one is taken. What
 * that comes to is said in judge.h; it holds while a job writes to both.
 *
 * A row that is online before the file that has it appears is ahead of the history, or looks
 * unknown; one of the same second, once more, may look different. So these are looked at again, in
 * rounds: the former beside the history as it is then, the latter by asking the store anew, too;
 * until none is left or `wait_us` has passed. Only then they count.
 *
 * HOW. An SQL engine of its own reads the files. The store's rows go into its table `online`, keys
 * that were chosen into `asked`; one query of both and the files gives each key's two rows side by
 * side (history_rows.h), and they are compared here, cell by cell. All keys (n_sample 0) go through
 * that query in parts, so that its memory stays bounded; what is more than MEMORY waits in a folder
 * below TMPDIR.
 */
#ifndef FRESHET_COMPARE_COMPARE_H
#define FRESHET_COMPARE_COMPARE_H

#include "compare/judge.h"
#include "compare/outcome.h"

/* Where a store's rows go: columns are those of the request's schema. */
typedef struct compare_rows compare_rows;
freshet_code compare_rows_add(compare_rows *rows, const batch *of, freshet_error *err);

/* How an online store is read. */
typedef struct compare_store {
    void *context;
    /* The rows of about `n` keys, chosen at random by the seed; all of them where there are no
     * more. n 0: all rows. */
    freshet_code (*choose)(void *context, uint32_t n, uint64_t seed, compare_rows *into,
                           freshet_error *err);
    /* The rows of those keys that there are. */
    freshet_code (*find)(void *context, const batch *keys, compare_rows *into, freshet_error *err);
    int64_t unit_us;  /* how exactly it keeps event times */
    int64_t kept_us;  /* it has only rows of history files that are newer; INT64_MIN: all */
    bool never_empty; /* an empty first key is none that it takes */
} compare_store;

typedef struct compare_request {
    const compare_store *store;
    const schema *schema; /* of the store's rows: keys, `timestamp`, features */
    uint32_t n_keys;
    const char *history; /* a folder */
    uint32_t n_sample;   /* 0: all */
    const char *keys;    /* a file with keys, instead; NULL: none */
    uint64_t seed;
    int64_t ttl_us;
    bool in_future; /* the history has rows that are not to be served yet */
    int64_t grace_us, wait_us;
    double tolerance;
} compare_request;

/* Adds to the outcome, which is open. Of no history there is FRESHET_FAILED. */
freshet_code compare_run(const compare_request *request, outcome *outcome, freshet_error *err);

#endif
