/* outcome.h - what a comparison has found: counts, examples, and each difference as it comes.
 *
 * Order of calls: outcome_open, then any of outcome_count and outcome_tell, then the printing;
 * outcome_close.
 */
#ifndef FRESHET_COMPARE_OUTCOME_H
#define FRESHET_COMPARE_OUTCOME_H

#include "base/text.h"
#include "compare/judge.h"

typedef struct outcome_example {
    compare_class class;
    const char *line; /* of JSON, without a newline */
    const char *text; /* for people */
} outcome_example;

typedef struct outcome {
    arena *arena;
    const char *store, *history; /* their names */
    const char *note;            /* what may explain other values; NULL: nothing */
    const schema *schema;        /* of the store's rows */
    uint32_t n_keys;
    bool *uncompared; /* per column: the history has none of that name */
    int64_t counts[COMPARED_CLASSES];
    int64_t *differing; /* per column */
    int64_t *lags;      /* of stale rows, microseconds; not in order before outcome_finish */
    uint32_t n_lags, lags_capacity;
    uint32_t examples_max; /* of each class */
    uint32_t n_of[COMPARED_CLASSES];
    outcome_example *examples;
    uint32_t n_examples, examples_capacity;
    int64_t end_us;   /* the history's newest time */
    int64_t asked_us; /* when the store was read */
    uint32_t n_files;
    uint64_t seed;
    freshet_write_fn *write; /* each difference as a line of JSON; NULL: nowhere */
    void *context;
} outcome;

/* One key's two rows, beside each other. */
typedef struct outcome_pair {
    judge_pair times;
    const batch *rows;     /* of whatever columns, and in it: */
    uint64_t row;          /* which */
    const column *keys;    /* n_keys of them */
    const column *online;  /* per column behind `timestamp` */
    const column *history; /* the same */
    const judge_rules *rules;
} outcome_pair;

freshet_code outcome_open(outcome *outcome, const schema *schema, uint32_t n_keys,
                          uint32_t examples_max, freshet_error *err);
void outcome_close(outcome *outcome);

/* Counts a pair of that class; one that is different is told feature by feature. */
freshet_code outcome_add(outcome *outcome, compare_class class, const outcome_pair *pair,
                         freshet_error *err);

/* Rows that were compared, and those of them that should not be so. */
int64_t outcome_compared(const outcome *outcome);
int64_t outcome_failing(const outcome *outcome);

/* Some lines for people; one JSON object, without a newline. */
freshet_code outcome_text(outcome *outcome, text_buffer *into, freshet_error *err);
freshet_code outcome_json(outcome *outcome, text_buffer *into, freshet_error *err);

#endif
