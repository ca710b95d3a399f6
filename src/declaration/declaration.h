/* declaration.h - a parsed declaration in memory, as the rest of the engine uses it.
 *
 * Made from YAML (yaml.c) or from builder calls (builder.c): both give a tree of nodes
 * (declaration_tree.h), and one function reads the tree by the option tables (blocks.c) into these
 * structs. Everything lives in the declaration's arena; nothing changes after it was read.
 */
#ifndef FRESHET_DECLARATION_DECLARATION_H
#define FRESHET_DECLARATION_DECLARATION_H

#include <freshet/freshet.h>

#include "declaration/option.h"
#include "functions/user_function.h"

#define DECLARATION_BYTES_MAX ((size_t)16 << 20)
#define DECLARATION_DEPTH_MAX 64
#define DECLARATION_PROBLEMS_MAX 100 /* then: "... and more problems" */

typedef enum on_cast_error { ON_CAST_ERROR_DEAD_LETTER, ON_CAST_ERROR_NULL } on_cast_error;

/* One step of a reader's `preprocess`. */
typedef struct preprocess_block {
    declared_kind kind; /* filter, replace, ... */
} preprocess_block;

/* What becomes of rows that do not meet a hook. */
typedef enum on_violation { VIOLATION_FAIL, VIOLATION_DEAD_LETTER, VIOLATION_WARN } on_violation;

/* An expectation of the rows that pass a place. */
typedef struct hook_block {
    declared_text expect;
    declared_text name;
    int on_violation; /* enum on_violation */
} hook_block;

/* `hooks:` of a reader, the source, the feature set, the sink or a writer. */
typedef struct hooks_block {
    declared_blocks before, after; /* of hook_block */
} hooks_block;

/* An SQL expression under a name, which the declaration's SQL may call (macros.h). */
typedef struct macro_block {
    declared_text name;
    declared_list parameters;
    declared_text sql;
} macro_block;

/* What a number in the timestamp's column means. NONE: timestamps, dates and text as they are,
 * numbers as seconds (as Butterfree). */
typedef enum timestamp_unit {
    UNIT_NONE,
    UNIT_SECONDS,
    UNIT_MILLISECONDS,
    UNIT_MICROSECONDS
} timestamp_unit;

/* What becomes of a row that is later than `lateness` allows. */
typedef enum on_late { ON_LATE_DEAD_LETTER, ON_LATE_DROP, ON_LATE_UPDATE } on_late;

typedef struct timestamp_block {
    declared_text from;    /* default "timestamp" */
    int unit;              /* enum timestamp_unit */
    declared_text mask;    /* strptime form, or Java letters (yyyy-MM-dd HH:mm:ss) */
    int64_t lateness_us;   /* streams with state: how late a row may be */
    int64_t idle_us;       /* streams: after how long a silent lane holds nobody back */
    int64_t max_future_us; /* how far ahead of the clock a row may be; 0: any */
    place max_future_at;   /* not set: late_rows.c decides */
    int late;              /* enum on_late */
} timestamp_block;

/* Where the day of a reader's row stands. */
typedef enum incremental_from {
    INCREMENTAL_TIME, /* a timestamp, a date, or a text that is one */
    INCREMENTAL_MS,
    INCREMENTAL_STRING,
    INCREMENTAL_YEAR_MONTH_DAY
} incremental_from;

/* `incremental:` of a reader. */
typedef struct incremental_block {
    declared_text column; /* NULL: year, month and day */
    int from;             /* enum incremental_from */
    declared_text mask;
    declared_text year, month, day;
} incremental_block;

/* `bootstrap`: where the past of a reader that streams is read from. */
typedef struct bootstrap_block {
    declared_kind kind;          /* file or table */
    declared_text until;         /* a time; NULL: none is said */
    declared_properties offsets; /* of a topic's partitions: where what comes live begins */
    declared_list same;          /* columns by which rows of both are told to be one */
    int64_t within_us;
    place within_at; /* not set: it is not said */
} bootstrap_block;

typedef struct reader_block {
    declared_text id;
    bool stream;
    int on_cast_error;             /* enum on_cast_error */
    declared_kind kind;            /* file, table, ... */
    declared_blocks preprocess;    /* of preprocess_block, in order */
    incremental_block incremental; /* which rows a batch over some days reads */
    bool has_incremental;
    bootstrap_block bootstrap;
    bool has_bootstrap;
    /* of a reader that the query joins with another that streams: the time of its rows (from, unit
     * and mask only) ... */
    timestamp_block timestamp;
    bool has_timestamp;
    int64_t within_us; /* ... and for how long after it a partner's time may be */
    place within_at;   /* not set: it is not said */
    hooks_block hooks;
    bool has_hooks;
} reader_block;

typedef struct source_block {
    declared_blocks readers; /* of reader_block */
    declared_text query;
    hooks_block hooks;
    bool has_hooks;
} source_block;

/* One function: `avg`, or `{count: bigint}` with its own output type. */
typedef struct function_block {
    declared_text name; /* "percentile(0.9)" */
    declared_type type; /* value NULL: the feature's type */
} function_block;

/* `function:` of a feature or key: functions of one column of the row. */
typedef struct functions_block {
    declared_blocks functions; /* of function_block */
} functions_block;

/* `stack:` of a feature or key: of each row one for each of some columns. */
typedef struct stack_block {
    declared_list columns; /* patterns */
    bool is_regex;
} stack_block;

/* `h3:` of a feature or key: the H3 cells of a place. */
typedef struct h3_block {
    declared_text lat, lng;
    declared_list resolutions;
    bool with_stack;
    bool zero_is_missing;
} h3_block;

typedef struct key_block {
    declared_text name;
    declared_type type;
    declared_text description;
    declared_text from; /* the source's column; by default that of the key's own name */
    declared_text sql;  /* instead of from: as in features */
    functions_block function;
    stack_block stack;
    h3_block h3;
    bool has_function, has_stack, has_h3;
} key_block;

/* `window:` of a feature; has_window tells whether it is there. */
typedef struct window_block {
    declared_blocks functions;  /* of function_block */
    declared_list over;         /* "2 hours", "5 events" */
    int mode;                   /* 0 fixed_windows, 1 row_windows (windows/window.h: window_mode) */
    declared_list partition_by; /* n 0: the keys */
    declared_text order_by;     /* NULL: the timestamp */
    int until_full;             /* enum until_full; counts where until_full_at is set */
    place until_full_at;
} window_block;

/* `aggregate:` of a feature of an aggregated set. */
typedef struct aggregate_block {
    declared_blocks functions;
} aggregate_block;

typedef struct pivot_block {
    declared_text column;
    declared_list values;
} pivot_block;

typedef struct distinct_block {
    declared_list subset;
    int keep; /* 0 last, 1 first */
} distinct_block;

typedef struct rolling_block {
    declared_list over;
    declared_text slide; /* default "1 day" */
    int emit;            /* 0 close, 1 change */
    int64_t max_days;    /* of a grid, at once */
} rolling_block;

/* `aggregated:` of a feature set. */
typedef struct aggregated_block {
    rolling_block windows;
    bool has_windows;
    pivot_block pivot;
    bool has_pivot;
    distinct_block distinct;
    bool has_distinct;
} aggregated_block;

typedef struct deduplicate_block {
    declared_list on;
    int64_t within_us;
} deduplicate_block;

typedef struct feature_block {
    declared_text name;
    declared_type type;
    declared_text from; /* a source column or an earlier feature */
    declared_text sql;  /* instead of from */
    declared_text description;
    declared_text filter; /* of a windowed or aggregated feature: an SQL condition */
    window_block window;
    bool has_window;
    aggregate_block aggregate;
    bool has_aggregate;
    functions_block function;
    stack_block stack;
    h3_block h3;
    bool has_function, has_stack, has_h3;
} feature_block;

/* Does it make one column, with its own name? */
static inline bool key_is_column(const key_block *key)
{
    return !key->has_function && (!key->has_h3 || key->h3.with_stack);
}

static inline bool feature_is_column(const feature_block *feature)
{
    return !feature->has_window && !feature->has_aggregate && !feature->has_function &&
           (!feature->has_h3 || feature->h3.with_stack);
}

/* When a key's newest row goes out again though no event came. */
typedef enum refresh_when { REFRESH_NEVER, REFRESH_ON_EXPIRY } refresh_when;

/* What a window gives of which not all is known, since the declaration changed. */
typedef enum until_full { UNTIL_FULL_NULL, UNTIL_FULL_PARTIAL } until_full;

typedef struct feature_set_block {
    declared_text name;
    declared_text entity;
    declared_text description;
    declared_blocks keys; /* of key_block, at least one */
    timestamp_block timestamp;
    bool has_timestamp;
    declared_blocks features; /* of feature_block, at least one */
    int on_cast_error;
    aggregated_block aggregated;
    bool has_aggregated;
    bool deduplicate_rows;         /* batch: drop a row that repeats its key's row before */
    deduplicate_block deduplicate; /* streams: an event once within a time */
    bool has_deduplicate;
    int refresh;    /* enum refresh_when */
    int until_full; /* enum until_full */
    hooks_block hooks;
    bool has_hooks;
} feature_set_block;

typedef struct writer_block {
    declared_list select; /* n 0: all columns */
    bool validate;
    declared_kind kind; /* online, ... */
    hooks_block hooks;
    bool has_hooks;
} writer_block;

typedef struct sink_block {
    declared_blocks writers;
    hooks_block hooks;
    bool has_hooks;
} sink_block;

typedef struct dead_letters_block {
    declared_text path; /* default "<pipeline>.dead_letters.jsonl" beside the declaration's file */
    declared_text fail_above; /* NULL: never; read into one of the next two */
    double fail_share;        /* of the rows read; 0: not said so */
    int64_t fail_rows;        /* -1: not said so */
    int64_t max_size;         /* 0: the file is not rotated */
    int64_t keep;             /* rotated files */
} dead_letters_block;

typedef struct checkpoint_block {
    int64_t interval_us; /* default 1 second */
} checkpoint_block;

#define STATE_MEMORY_MIN (1 << 20)

typedef struct state_block {
    declared_text path; /* NULL: see pipeline/checkpoint.h */
    int64_t memory;     /* bytes; or negative: a share in percents. Use declaration_memory() */
} state_block;

typedef struct batch_block {
    int64_t memory;     /* as that of state_block. Use declaration_batch_memory() */
    declared_text path; /* NULL: the system's folder for large temporary files */
} batch_block;

typedef struct serve_block {
    declared_list features; /* none: all of them */
    int64_t max_age_us;     /* 0: rows of any age */
    int64_t memory;
} serve_block;

typedef struct compare_block {
    declared_text fail_above; /* "0", "0.1 %": value_limit reads it */
    int64_t grace_us;
    declared_text tolerance; /* value_fraction reads it */
} compare_block;

typedef struct http_tls_block {
    declared_text cert, key;
} http_tls_block;

typedef struct http_block {
    declared_text listen;
    declared_text token; /* NULL: nobody needs one */
    http_tls_block tls;
    bool has_tls;
} http_block;

/* May it be a token, by its length and letters? */
bool http_token_is_good(const char *token);

/* What a test says must be there: behind a step, or at its end. */
typedef struct expect_block {
    declared_node online, history, dead_letters; /* lists of maps */
    int64_t late;
    place late_at; /* not set: it is not said */
} expect_block;

/* One of `steps`: what happens first, then what is expected. */
typedef struct test_step_block {
    declared_node rows; /* reader: rows */
    int64_t advance_us;
    bool restart;
    expect_block expect;
    bool has_expect;
} test_step_block;

/* One of `tests`, which `freshet test` runs (src/suite). */
typedef struct test_block {
    declared_text name;
    declared_text now;   /* where the test's clock begins; NULL: the real time */
    declared_node given; /* reader: rows, before the first step */
    declared_blocks steps;
    expect_block expect;
    bool has_expect;
    bool batch_equals_stream;
} test_block;

typedef struct declaration {
    int64_t version;
    declared_text pipeline;
    int dialect; /* enum dialect (dialect/dialect.h): of all SQL in it */
    place dialect_at;
    int64_t workers; /* 0: as many as there are cores (declaration_workers) */
    place workers_at;
    declared_list plugins;  /* paths of shared libraries */
    declared_blocks macros; /* of macro_block */
    source_block source;
    feature_set_block feature_set;
    sink_block sink;
    dead_letters_block dead_letters;
    checkpoint_block checkpoint;
    state_block state;
    bool has_state;
    batch_block batch;
    http_block http;
    bool has_http;
    serve_block serve;
    bool has_serve;
    compare_block compare;
    declared_blocks tests; /* of test_block */
    /* not options: */
    const char *folder; /* relative paths are relative to this; "." for builder and parse */
    const char *file;   /* the name in messages; NULL for the builder */
    bool is_stream;
    bool is_past;          /* declaration_as_past: no writer is opened, and nothing comes live */
    int64_t past_until_us; /* of that: operators whose rows come by time see no later one */
    const struct macro_text *macro_texts; /* SQL in which macros were replaced (macros.h) */
} declaration;

/* Where the problems of a declaration are collected: in order of place, at most
 * DECLARATION_PROBLEMS_MAX. Shared by parsing and by opening (unknown columns, bad SQL). */
/* Columns as the option `schema` of a declaration, in the arena. */
freshet_code declaration_show_columns(const schema *columns, arena *arena, const char **out,
                                      freshet_error *err);

typedef struct problems problems;

problems *problems_open(arena *arena);
/* One complete sentence; `at` may be NULL. Gives false, so that who reports it can end with it. */
bool problem_add(problems *problems, const place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what is no mistake, but may not be what was meant: it is reported with the code
 * FRESHET_OK, and does not count. */
void problem_warn(problems *problems, const place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t problems_count(const problems *problems);
/* Adds to `into` what `from` holds. */
void problems_join(problems *into, const problems *from);
/* Gives all to `fn` sorted by place and writes the first mistake to err; OK where there are none,
 * else FRESHET_BAD_DECLARATION. */
freshet_code problems_report(problems *problems, freshet_problem_fn *fn, void *context,
                             freshet_error *err);

/* The internal view of the public handle; NULL for a built one that is not finished. */
const declaration *declaration_of(const freshet_declaration *handle);

/* The first of the functions that the declaration brings along; NULL where there are none. */
user_function *declaration_functions(const freshet_declaration *handle);

/* The same declaration with `stream: true` at those readers, in the arena; it shares all else with
 * `handle`, which must outlive it, and is never closed. NULL where memory is out. */
freshet_declaration *declaration_as_stream(const freshet_declaration *handle, const bool *streams,
                                           arena *arena);

/* A copy in the arena, whose structs (*parsed) may be changed as long as nothing is written where
 * pointers of theirs lead; it shares all else with `handle`, as above. */
freshet_declaration *declaration_copy(const freshet_declaration *handle, arena *arena,
                                      declaration **parsed);

/* The same over the past alone: that reader, whose rows are those of `past` (a kind of reader with
 * its options), with no writer, and with the dead letters elsewhere; in the same way. */
freshet_declaration *declaration_as_past(const freshet_declaration *handle, uint32_t reader,
                                         const declared_kind *past, int64_t until_us,
                                         const char *letters, arena *arena);

/* The public freshet_declaration_load, _parse, _finish, _schema and _reference are thin calls in
 * pipeline/registry.c of the functions below, with the engine's registry of readers and writers.
 * `folder` is what relative paths are relative to; `name` stands for the file in messages. */
freshet_code declaration_read(const char *text, size_t length, const char *name, const char *folder,
                              const registry *registry, freshet_problem_fn *problem, void *context,
                              freshet_declaration **out, freshet_error *err);
freshet_code declaration_read_file(const char *path, const registry *registry,
                                   freshet_problem_fn *problem, void *context,
                                   freshet_declaration **out, freshet_error *err);
/* The same of a file whose tree is changed before the tables read it: `change` gets its root, and
 * gives false where memory is out. */
typedef bool declaration_change_fn(void *context, struct node *root);
freshet_code declaration_read_changed(const char *path, const registry *registry,
                                      declaration_change_fn *change, void *change_context,
                                      freshet_problem_fn *problem, void *context,
                                      freshet_declaration **out, freshet_error *err);
freshet_code declaration_finish(freshet_declaration *handle, const registry *registry,
                                freshet_problem_fn *problem, void *context, freshet_error *err);
freshet_code declaration_write_schema(const registry *registry, freshet_write_fn *write,
                                      void *context, freshet_error *err);
freshet_code declaration_write_reference(const registry *registry, freshet_write_fn *write,
                                         void *context, freshet_error *err);

/* The place of byte `offset` of a scalar's value in the YAML file (exact for literal block scalars
 * `|` and plain or quoted scalars on one line; else the scalar's own place). For errors in SQL. */
place declaration_place_in(const freshet_declaration *handle, const declared_text *text,
                           size_t offset);

/* A path of the declaration made absolute or relative to the working directory: absolute paths and
 * those of builders stay, others get the declaration's folder in front. */
const char *declaration_path(const declaration *declaration, arena *arena, const char *path);

/* state.memory in bytes: a share is that of the cgroup's limit, or of the machine's memory. */
size_t declaration_memory(const declaration *declaration);
/* The same of `batch: {memory}`. */
size_t declaration_batch_memory(const declaration *declaration);
/* The folder for rows of a batch that memory has no room for, in the arena; NULL where that is
 * out. */
const char *declaration_batch_path(const declaration *declaration, arena *arena);

/* How many threads work in a run of it: `workers`, else the cores that this process may use. */
uint32_t declaration_workers(const declaration *declaration);

/* "file:line:col", or the path of a built one, for error_set's `at`. */
const char *place_text(const place *at, char *into, size_t size);

#endif
