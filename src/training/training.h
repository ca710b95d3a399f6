/* training.h - training sets: for each row of a spine the features as they were known at its time.
 *
 * The interface is freshet_training_set() of freshet.h. This is what the files of the room share.
 *
 * THE JOIN. A spine (entities and times) is small beside a history. So the spine is in order, and
 * the history passes by once, in whatever order its files have, and nothing of it is kept but what
 * may be an answer:
 *
 *   1. The spine's keys get numbers, and each pair of a key and a time a slot; the slots of a key
 *      stand side by side, by time (training_slots.h).
 *   2. Each row of the history finds, by its key and time, the first slot at or behind it. Of each
 *      slot the newest of its rows stays: its time and its place in the files, as one number.
 *   3. Along the slots of a key the newest goes on to those behind it that have none newer. That is
 *      the answer of a slot.
 *   4. The history passes by once more, for the features of the rows that are answers.
 *
 * Memory grows with the spine, not with the history. A spine that is too large for it is taken in
 * parts, by the hash of the keys, each of which costs a pass of step 2.
 *
 * CORRECTIONS. Of the rows of a key and time the last in the order of the files is the newest. One
 * that a late event has corrected is there again; the file says so, and by when it was known
 * (writers/history/history_facts.h). Step 2 passes corrections over, and behind step 3 those of an
 * answer's key and time that were known by the slot's time take its place.
 *
 * All of it is SQL of our own over an engine that may read files; texts of users come into it as
 * quoted names and literals only.
 *
 * Order of calls: as freshet_training_set makes them: training_histories, training_spine,
 * {training_join of each set}, then the output.
 */
#ifndef FRESHET_TRAINING_TRAINING_H
#define FRESHET_TRAINING_TRAINING_H

#include <freshet/freshet.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sql/sql.h"
#include "training/training_slots.h"

#define TRAINING_DOING "making a training set"
#define TRAINING_SETS_MAX 32u
#define TRAINING_MEMORY_DEFAULT (INT64_C(1) << 30)
#define TRAINING_MEMORY_MIN (INT64_C(256) << 20)
/* The spine's own columns that number its rows; no column may have that name. */
#define TRAINING_ROW "__freshet_row"

/* A column of a file, with its type as DuckDB has it. */
typedef struct training_column {
    const char *name;
    const char *type;
} training_column;

typedef struct training_columns {
    training_column *items;
    uint32_t n;
} training_columns;

typedef struct training_key {
    const char *name, *type;
    const char *column; /* of the spine */
} training_key;

/* One history. */
typedef struct training_history {
    const char *name;  /* of the feature set, which begins the names of its columns */
    const char *from;  /* as it was given */
    const char *path;  /* the folder, for messages */
    const char *files; /* the relation of its files, as SQL */
    const char *table; /* of its files' names */
    int64_t n_files;
    training_key *keys;
    uint32_t n_keys;
    const char *time, *time_type;
    const char *said_keys, *said_time; /* by the files; NULL: they do not say it */
    bool is_nanos;                     /* times are compared in nanoseconds */
    training_columns columns;          /* all */
    const char **features;             /* those that are wanted */
    uint32_t n_features;
    int64_t lag_us, max_age_us; /* max_age_us -1: any age */
    uint32_t index;
} training_history;

typedef struct training {
    const freshet_training_options *options;
    arena *arena;
    sql_engine *engine;
    sql_session *session;
    int64_t memory;
    training_slots slots;

    training_history sets[TRAINING_SETS_MAX];
    uint32_t n_sets;

    const char *spine; /* its relation, as SQL */
    bool spine_is_csv, output_is_csv;
    char spine_delimiter;           /* of a CSV spine: what stands between its cells */
    training_columns spine_columns; /* as they are read */
    const char *time, *time_type;
    int64_t n_rows;

    /* The watcher's: what is done now, and whether the caller wants no more of it. */
    pthread_t watcher;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_watched, is_over;
    char doing[160];
    atomic_bool is_stopping;
} training;

/* ---- training_sql.c: SQL of our own ---- */

/* Does the caller want no more of it? Any thread. */
bool training_is_stopping(training *training);
/* An error of the engine as one of ours: of a stop, of memory, or as it is. */
freshet_code training_explain(training *training, freshet_code code, const freshet_error *problem,
                              freshet_error *err);
/* Runs it; stopped where the caller wants no more. */
freshet_code training_run(training *training, freshet_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
freshet_code training_number(training *training, int64_t *out, freshet_error *err,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Rows of `n_columns` texts, one behind the other, in the arena; a null is NULL. */
freshet_code training_texts(training *training, uint32_t n_columns, const char ***out, uint32_t *n,
                            freshet_error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
freshet_code training_describe(training *training, const char *relation, training_columns *out,
                               freshet_error *err);
/* -1: none is called so, in any case of letters. */
int64_t training_find(const training_columns *columns, const char *name);
/* "a, b, c": for messages; NULL where memory is out. */
const char *training_list(training *training, const training_columns *columns);
/* "; did you mean \"x\"?" where one is near, else "". */
const char *training_near(training *training, const training_columns *columns, const char *name);
/* What is done now, for the watcher to tell. */
void training_doing(training *training, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void training_say(training *training, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The table of the files below a folder, one file, or those of a pattern; without those whose names
 * or folders begin with a dot or an underscore. `variable`: gets their list. */
freshet_code training_list_files(training *training, const char *path, const char *ending,
                                 const char *table, int64_t *n, freshet_error *err);
bool training_ends(const char *text, const char *ending);

/* ---- training_words.c: "SET=value" ---- */

/* What `words` say of a set, by "SET=value"; else by "value" alone, where bare is true; NULL: they
 * say nothing. The last one counts. */
const char *training_word(const char *const *words, const char *set, bool bare);
/* Each "SET=..." must be of a set that there is; `what` is the option. */
freshet_code training_check_words(const training *training, const char *const *words,
                                  const char *what, char separator, bool bare, freshet_error *err);
/* The parts of "a,b", in the arena; blanks around them are left out. */
freshet_code training_split(training *training, const char *text, const char ***out, uint32_t *n,
                            freshet_error *err);
freshet_code training_duration(const char *text, const char *what, int64_t *into_us,
                               freshet_error *err);

/* ---- the parts ---- */

freshet_code training_histories(training *training, freshet_error *err);
freshet_code training_spine(training *training, freshet_error *err);
/* Makes the table out_I: row, features. */
freshet_code training_join(training *training, training_history *set, freshet_error *err);
freshet_code training_write(training *training, const char *path, freshet_error *err);

#endif
