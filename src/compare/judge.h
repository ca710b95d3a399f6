/* judge.h - one key's row of the online store, and what the history says for the same moment.
 *
 * The times decide first. `before` is the key's newest time in files of the history that were there
 * before the store was asked: since a file appears when all of its rows are confirmed by the store,
 * the store must have that row or a newer one. `at` is the newest time in the history, with the
 * files that came meanwhile, that is not behind the online row's: where both are equal, their
 * values are to be equal, too.
 *
 *   online     before  at      is
 *   10:05      10:05   10:05   equal or different, by the values
 *   10:05      10:04   10:05   the same: the history's file came meanwhile
 *   10:05      10:06   10:05   stale, by one minute (in flight, where that is within the grace)
 *   10:05      10:04   10:04   ahead, where 10:05 is behind the history's end; else unknown
 *   -          10:05   -       missing; or expired, or out of what a debug table keeps
 *   10:05      -       -       ahead or unknown
 *
 * Stores keep times less exactly than the history does: `unit_us` is what both are cut to before
 * they come here.
 */
#ifndef FRESHET_COMPARE_JUDGE_H
#define FRESHET_COMPARE_JUDGE_H

#include "base/batch.h"

typedef enum compare_class {
    COMPARED_EQUAL,
    COMPARED_AHEAD,
    COMPARED_IN_FLIGHT,
    COMPARED_EXPIRED,
    COMPARED_UNKEPT, /* no longer, or not yet, in a debug table */
    COMPARED_STALE,
    COMPARED_MISSING,
    COMPARED_UNKNOWN, /* online, and not in the history, which is further by now */
    COMPARED_DIFFERENT,
    COMPARED_NOWHERE, /* of a key that was asked for */
    COMPARED_CLASSES
} compare_class;

/* "equal", "in_flight", ... */
const char *compare_class_name(compare_class class);
/* What must not be: stale, missing, unknown, different. */
bool compare_class_fails(compare_class class);
/* What says whether both are alike: those that fail, and equal. */
bool compare_class_counts(compare_class class);

typedef struct judge_rules {
    int64_t unit_us; /* 1, 1000 or 1000000 */
    int64_t ttl_us;  /* 0: rows stay */
    int64_t now_us;  /* when the store was asked last */
    int64_t end_us;  /* the history's newest time */
    int64_t grace_us;
    double tolerance; /* of floats and doubles, as a part of the greater one */
} judge_rules;

typedef struct judge_pair {
    bool is_online;
    int64_t online_us;
    bool has_before;
    int64_t before_us;
    bool has_at;
    int64_t at_us;
    bool is_kept; /* the store can have the row of before_us */
} judge_pair;

/* COMPARED_EQUAL: the values decide. */
compare_class judge_times(const judge_rules *rules, const judge_pair *pair);

/* Are two cells of columns of the same type one value? Nulls are equal, NaN is, and so are 0.0 and
 * -0.0; times as far as the store keeps them. */
bool judge_cells(const judge_rules *rules, const column *online, uint64_t online_row,
                 const column *history, uint64_t history_row);

#endif
