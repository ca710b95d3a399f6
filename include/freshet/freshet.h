/* freshet.h - streaming feature sets: the public interface of libfreshet, and its manual.
 *
 * A feature set is declared once, in YAML or by the calls below, and the same declaration runs as
 * a batch over history or as a job that never ends:
 *
 *     readers --> source (one SQL query) --> feature set (features per key) --> writers
 *
 * THE LEGAL ORDER OF CALLS
 *
 *     freshet_declaration_load()     or  freshet_declaration_new() + the builder + _finish()
 *     freshet_pipeline_open()        resolves schemas, prepares the query; nothing is read yet
 *     freshet_run()                  until the end of a batch, or until freshet_stop()
 *       or freshet_step()            again and again, one micro-batch a call
 *     freshet_query()                at any time between open and close, from any thread
 *     freshet_pipeline_close()
 *     freshet_declaration_close()    after the pipelines made from it
 *
 * ERRORS. A function that can fail returns a freshet_code and takes `freshet_error *err` last: NULL
 * or caller-owned, untouched on success. Its text is one complete sentence that names the thing,
 * and says what to do instead. Reporting an error allocates nothing; out of memory is an error
 * (FRESHET_NO_MEMORY), never an abort.
 *
 * OWNERSHIP. What a function gives through an out-parameter belongs to the caller, who closes it
 * with the matching _close; closing NULL is fine. Strings given in are copied. Strings that a
 * handle returns live as long as the handle (or as said there).
 *
 * THREADS. A pipeline belongs to one thread, except for the functions that say "any thread". Two
 * pipelines share nothing.
 *
 * UNITS. Times are int64_t microseconds since 1970-01-01 00:00:00 UTC and end in `_us`. Sizes are
 * bytes.
 */
#ifndef FRESHET_H
#define FRESHET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FRESHET_API __attribute__((visibility("default")))
#else
#define FRESHET_API
#endif

#define FRESHET_VERSION "0.1.0"

/* The version of the library that runs, as "0.1.0". Any thread. */
FRESHET_API const char *freshet_version(void);

/* ---- results and errors -------------------------------------------------------------------- */

/* The values double as exit codes of the command `freshet`. */
typedef enum freshet_code {
    FRESHET_OK = 0,
    FRESHET_FAILED = 1,          /* cannot go on; the text says why */
    FRESHET_USAGE = 2,           /* called wrongly: bad argument, wrong order of calls */
    FRESHET_NO_MEMORY = 3,       /* the system gave no memory */
    FRESHET_LIMIT = 4,           /* a named limit (time, memory, size) was passed */
    FRESHET_END = 5,             /* not an error: there is nothing more */
    FRESHET_BAD_DATA = 65,       /* too many rows were refused: the input, or the declaration */
    FRESHET_TRY_AGAIN = 75,      /* a passing condition: the same call may succeed later */
    FRESHET_BAD_DECLARATION = 78 /* the declaration, or what it names, must be changed first */
} freshet_code;

/* What the caller should do, decided where the error arose. */
typedef enum freshet_then {
    FRESHET_STOP,    /* the run cannot go on */
    FRESHET_RETRY,   /* the same call may succeed later */
    FRESHET_SKIP_ROW /* one row is bad: it goes to the dead letters and the run goes on */
} freshet_then;

typedef struct freshet_error {
    freshet_code code;
    freshet_then then;
    char at[232];   /* the place: "flights.yaml:14:9", a file, a reader; "" where there is none */
    char text[768]; /* one sentence */
} freshet_error;

/* ---- the declaration ----------------------------------------------------------------------- */

typedef struct freshet_declaration freshet_declaration;

/* Called once for each problem found in a declaration, in the order of their places. One whose code
 * is FRESHET_OK is a warning: the declaration can be used, but may not mean what was meant. */
typedef void freshet_problem_fn(void *context, const freshet_error *problem);

/* Reads a declaration in YAML (docs/reference/declaration.md is its reference). All mistakes are
 * found in one go: each is given to `problem` (may be NULL), and FRESHET_BAD_DECLARATION is
 * returned with the first of them in `err`. `${VAR}` and `${VAR:default}` in any scalar are
 * replaced from the environment. Relative paths in it are relative to the file's folder. */
FRESHET_API freshet_code freshet_declaration_load(const char *path, freshet_problem_fn *problem,
                                                  void *context, freshet_declaration **out,
                                                  freshet_error *err);

/* The same for text in memory; `name` stands for the file in messages, relative paths are relative
 * to the working directory. */
FRESHET_API freshet_code freshet_declaration_parse(const char *text, size_t length,
                                                   const char *name, freshet_problem_fn *problem,
                                                   void *context, freshet_declaration **out,
                                                   freshet_error *err);

FRESHET_API void freshet_declaration_close(freshet_declaration *declaration);

/* The declaration's `pipeline` name and its feature set's name; live as long as the handle. */
FRESHET_API const char *freshet_declaration_pipeline(const freshet_declaration *declaration);
FRESHET_API const char *freshet_declaration_feature_set(const freshet_declaration *declaration);

/* True if at least one reader says `stream: true`. */
FRESHET_API bool freshet_declaration_is_stream(const freshet_declaration *declaration);

/* The builder: the same declaration by calls. Blocks are maps of the YAML form; what a key means
 * and which there are is docs/reference/declaration.md. Calls that fail (out of memory, a value
 * where a block is) are remembered by the declaration and reported by _finish, so that a chain of
 * calls needs one check. A block lives as long as its declaration. NULL blocks are accepted and do
 * nothing.
 *
 *     freshet_declaration_new("airport_delays", &d, &err);
 *     freshet_block *flights = freshet_add_reader(d, "flights");
 *     freshet_set(freshet_block_in(flights, "file"), "path", "data/flights");
 *     freshet_set(flights, "stream", "true");
 *     freshet_set_query(d, "select origin, sched_dep, dep_delay from flights");
 *     freshet_set_feature_set(d, "airport_delays", "airport");
 *     freshet_add_key(d, "origin", "string");
 *     freshet_set_timestamp(d, "sched_dep");
 *     freshet_add_feature(d, "dep_delay", "double", NULL);
 *     freshet_add_sql_feature(d, "is_late", "boolean", "dep_delay > 15");
 *     freshet_set(freshet_block_in(freshet_add_writer(d), "online"), "debug", "true");
 *     freshet_declaration_finish(d, NULL, NULL, &err);
 */
typedef struct freshet_block freshet_block;

FRESHET_API freshet_code freshet_declaration_new(const char *pipeline, freshet_declaration **out,
                                                 freshet_error *err);
FRESHET_API freshet_block *freshet_declaration_root(freshet_declaration *declaration);
/* The block under `key`, made when it is not there. */
FRESHET_API freshet_block *freshet_block_in(freshet_block *block, const char *key);
/* A new block at the end of the list under `key`. */
FRESHET_API freshet_block *freshet_block_add(freshet_block *block, const char *key);
/* Sets a scalar, replacing an earlier one. The value is the text YAML would have; `${...}` is
 * taken as it is. */
FRESHET_API void freshet_set(freshet_block *block, const char *key, const char *value);
/* Appends a scalar to the list under `key`. */
FRESHET_API void freshet_set_add(freshet_block *block, const char *key, const char *value);

FRESHET_API freshet_block *freshet_add_reader(freshet_declaration *declaration, const char *id);
FRESHET_API void freshet_set_query(freshet_declaration *declaration, const char *sql);
FRESHET_API void freshet_set_feature_set(freshet_declaration *declaration, const char *name,
                                         const char *entity);
FRESHET_API freshet_block *freshet_add_key(freshet_declaration *declaration, const char *name,
                                           const char *type);
/* `from` NULL: the column named "timestamp". Returns the timestamp block (unit, mask). */
FRESHET_API freshet_block *freshet_set_timestamp(freshet_declaration *declaration,
                                                 const char *from);
/* `from` NULL: the column of the feature's own name; `type` NULL, too, where a block says how it is
 * made: `freshet_block_in(feature, "stack")`, as keys have it. */
FRESHET_API freshet_block *freshet_add_feature(freshet_declaration *declaration, const char *name,
                                               const char *type, const char *from);
FRESHET_API freshet_block *freshet_add_sql_feature(freshet_declaration *declaration,
                                                   const char *name, const char *type,
                                                   const char *sql);
/* An SQL macro; its parameters: freshet_set_add(macro, "parameters", "a"). */
FRESHET_API freshet_block *freshet_add_macro(freshet_declaration *declaration, const char *name,
                                             const char *sql);
FRESHET_API freshet_block *freshet_add_writer(freshet_declaration *declaration);

/* Checks the built declaration as _load does; after OK it can be opened and no longer changed. */
FRESHET_API freshet_code freshet_declaration_finish(freshet_declaration *declaration,
                                                    freshet_problem_fn *problem, void *context,
                                                    freshet_error *err);

/* Text output of the functions below: called with pieces of text, in order; returning false ends
 * the output early (the function then returns FRESHET_FAILED). */
typedef bool freshet_write_fn(void *context, const char *bytes, size_t length);

/* The normalised declaration as YAML: defaults filled in, variables replaced (secrets hidden). */
FRESHET_API freshet_code freshet_declaration_show(const freshet_declaration *declaration,
                                                  freshet_write_fn *write, void *context,
                                                  freshet_error *err);

/* The JSON Schema (draft 2020-12) of declarations, and their reference page (Markdown); both are
 * generated from the tables that the parser uses. */
FRESHET_API freshet_code freshet_declaration_schema(freshet_write_fn *write, void *context,
                                                    freshet_error *err);
FRESHET_API freshet_code freshet_declaration_reference(freshet_write_fn *write, void *context,
                                                       freshet_error *err);

/* ---- functions of your own ----------------------------------------------------------------- */

/* Columns cross this interface as the structs of the Arrow C Data Interface, whose ABI is fixed
 * (and documented by Apache Arrow). They are defined here unless another header has done so. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

/* A function over columns: one call computes many rows.
 *
 *   arguments    a struct of the arguments: arguments->children[i] is argument i, arguments->length
 *                the number of rows. Nulls are given as nulls. `types` is its schema, whose
 *                children have these formats:
 *
 *                    boolean b      float f        string u         timestamp tsu: (UTC)
 *                    integer i      double g       binary z         array<T> +l
 *                    bigint l       date tdD       decimal d:W,S    struct<...> +s
 *
 *   result       comes zeroed. The function fills it with an array of the declared type, as long as
 *                `arguments`, and sets its `release`. `result_type` comes zeroed and may stay so;
 *                filled, it must be the declared type (U, Z and +L, with offsets of 64 bits, are
 *                taken, too, if it says so).
 *   returns      FRESHET_OK, or what failed, with a sentence in err->text (err is never NULL; the
 *                function's name is put before it). err->then comes as FRESHET_SKIP_ROW: one of the
 *                rows is to blame. The batch is run again in halves until that row is found, and it
 *                goes to the dead letters. FRESHET_STOP ends the run.
 *
 * Who releases what. `arguments` and `types` are copies and own their memory. Freshet releases them
 * after the call unless the function has moved them (or children of theirs) away as Arrow has it:
 * by copying the struct and setting `release` of the original to NULL; then the function releases
 * them, whenever it likes. Freshet copies `result` and then calls its `release` and that of
 * `result_type`, once, before the pipeline's next call of the function; also where it refuses the
 * result, and where the function failed and has set them.
 *
 * It must be deterministic: the same values for the same arguments, whatever came before. Rows are
 * computed again after a restart, in halves after an error, and constant arguments once while the
 * pipeline opens (and by `check`).
 *
 * Threads. It is called by the thread that opens and steps the pipeline; by several at once where
 * several pipelines made from the declaration run. It must not call the pipeline. */
typedef freshet_code freshet_function_fn(void *context, struct ArrowSchema *types,
                                         struct ArrowArray *arguments,
                                         struct ArrowSchema *result_type, struct ArrowArray *result,
                                         freshet_error *err);

#define FRESHET_ARGUMENTS_MAX 16

/* Gives the declaration's pipelines that are opened from now on the SQL function `name`, for the
 * source's query and for `sql:` and `filter:` of features. `returns` and the `n_arguments` types in
 * `arguments` are named as in declarations ("double", "array<string>"); SQL converts to them as it
 * does for its own functions. `context` is given to each call and must live as long as the
 * pipelines. `name` is letters, digits and _, in any case; FRESHET_USAGE for another name, one that
 * was added already, a type that is none, too many arguments. A name that SQL has already is
 * refused by freshet_pipeline_open (FRESHET_USAGE). Before or after _finish; by one thread, while
 * no pipeline is being opened. examples/c/function.c shows it. */
FRESHET_API freshet_code freshet_add_function(freshet_declaration *declaration, const char *name,
                                              const char *returns, const char *const *arguments,
                                              uint32_t n_arguments, freshet_function_fn *function,
                                              void *context, freshet_error *err);

/* ---- the pipeline -------------------------------------------------------------------------- */

typedef struct freshet_pipeline freshet_pipeline;

/* How to run; zero-initialise, then set. May grow at its end: `size` is
 * sizeof(freshet_run_options). */
typedef struct freshet_run_options {
    size_t size;
    bool debug; /* writers are replaced by the debug table, whatever the declaration says */
    bool once;  /* a stream takes all that is there at open, then ends */
    bool serve; /* answer `freshet query` on the pipeline's private socket */
    /* only check: schemas and queries are resolved, no row is read, nothing is written */
    bool check;
    /* streams: the state folder; NULL: the declaration's state.path, or `<pipeline>.state` beside
     * the declaration where a writer keeps its rows; see docs/guide/delivery.md */
    const char *state;
    const char *start_date; /* batch runs: YYYY-MM-DD, both days included; NULL: no bound */
    const char *end_date;
    bool drain; /* with once: close every open window at the end */
    uint32_t
        step_rows; /* rows of each reader in one micro-batch, at most; 0: as many as are best */
    /* streams: not the readers, but the dead letters of this file go through the pipeline, those
     * of the declaration's own file where it is ""; then it ends. NULL: as usual */
    const char *replay;
    /* batches: 1: leave a checkpoint at the end, and on the way, behind which the same declaration
     * goes on as a stream (docs/guide/backfill.md); -1: none; 0: where the declaration has a
     * `state` block, and the run is not cut to days, nor a debug run without `state` here */
    int checkpoint;
    /* threads that share the work, 1 to 64; 0: the declaration's `workers`, else as many as the
     * cores that the process may use. Neither rows nor state depend on it */
    uint32_t workers;
    /* answer probes and questions by HTTP there, as "127.0.0.1:8080"; NULL: where the declaration's
     * `http` says, if `serve` is set, too; see docs/guide/http.md */
    const char *http;
} freshet_run_options;

/* Opens readers, resolves their schemas, prepares the query and the features, opens the writers.
 * Problems of the declaration that show only now (unknown columns, bad SQL) are given to `problem`,
 * all of them, with their places in the YAML file. `options` may be NULL. The declaration must
 * outlive the pipeline. */
FRESHET_API freshet_code freshet_pipeline_open(const freshet_declaration *declaration,
                                               const freshet_run_options *options,
                                               freshet_problem_fn *problem, void *context,
                                               freshet_pipeline **out, freshet_error *err);
FRESHET_API void freshet_pipeline_close(freshet_pipeline *pipeline);

/* One step: takes what the readers have, up to one micro-batch, computes it and writes it. Waits
 * for input until `deadline_us` (monotonic clock; 0 = do not wait). Returns FRESHET_OK whether
 * there were rows or not, FRESHET_END when everything has been taken (batch, or `once`), or an
 * error; one with FRESHET_RETRY leaves the pipeline as it was before the step, and the step may be
 * called again. */
FRESHET_API freshet_code freshet_step(freshet_pipeline *pipeline, int64_t deadline_us,
                                      freshet_error *err);

/* Steps until the end, or until freshet_stop(); retries what can be retried, with growing pauses.
 * OK at the end of a batch and after a stop: everything taken has been written. FRESHET_BAD_DATA
 * where more rows were refused than dead_letters.fail_above allows, or all that there were. */
FRESHET_API freshet_code freshet_run(freshet_pipeline *pipeline, freshet_error *err);

/* Makes durable all that was taken so far, and waits for it. freshet_run does so by itself, each
 * checkpoint.interval and at its end; so does freshet_step, but for the steps since the last one.
 * OK without a state folder. */
FRESHET_API freshet_code freshet_checkpoint(freshet_pipeline *pipeline, freshet_error *err);

/* Asks freshet_run to finish the micro-batch and return. Any thread; safe in a signal handler. */
FRESHET_API void freshet_stop(freshet_pipeline *pipeline);

typedef enum freshet_count {
    FRESHET_ROWS_READ,    /* rows that went into the query, bad ones included; not those of static
                                readers that it looks up in */
    FRESHET_ROWS_WRITTEN, /* feature rows that are written: confirmed by their store, flushed, in
                                published files; each once, however many writers there are */
    FRESHET_DEAD_LETTERS, /* rows refused */
    FRESHET_BATCHES,      /* micro-batches that had rows */
    FRESHET_NEWEST_EVENT_US, /* the largest event time seen; INT64_MIN before the first row */
    FRESHET_LAG_BYTES,       /* bytes known to wait in the stream readers; -1 where unknown */
    FRESHET_TABLE_ROWS,      /* rows in the debug table now; 0 without one */
    FRESHET_TABLE_TRIMMED,   /* rows that the debug table's limit has removed */
    FRESHET_ROWS_REPEATED,   /* rows left out by deduplicate and deduplicate_rows */
    FRESHET_ROWS_LATE,       /* rows left out by `late: drop` */
    FRESHET_KEYS_SHARED,     /* rows, of a sample, whose key came in another partition of the same
                                reader before: the order of that key's rows is not certain */
    FRESHET_ROWS_REFUSED,    /* feature rows that a store will never take: dead letters */
    FRESHET_ROWS_EXPIRED,    /* feature rows not written, since they were past their ttl */
    FRESHET_ROWS_REPLACED,   /* feature rows not written, since a newer one of their key came while
                                they waited for the store */
    FRESHET_ROWS_AGAIN,     /* of the rows written: those that had gone out before, and were changed
                              since, by a late event or one of the same second */
    FRESHET_HOOK_WARNINGS,  /* rows that did not meet a hook with `on_violation: warn`; of an
                              aggregate one each time */
    FRESHET_STATE_BYTES,    /* memory in which keys of the state are; 0 where none is kept */
    FRESHET_STATE_LIMIT,    /* `state: {memory}` in bytes: that and the store's share; 0 as well */
    FRESHET_BOOTSTRAP_ROWS, /* of readers with a `bootstrap`: rows of the past in all */
    FRESHET_BOOTSTRAP_LEFT, /* of these to come; -1: they are being sorted; 0: all is live */
    FRESHET_FILL_BYTES,     /* of the past that windows are filled with (`freshet state fill`) */
    FRESHET_FILL_LEFT,      /* of these to come; 0: none are filled */
    FRESHET_BATCH_ROWS, /* of a batch: rows that were kept until its end, and are now computed */
    FRESHET_BATCH_LEFT  /* of these to come */
} freshet_count;

/* A counter of the run so far. Any thread. */
FRESHET_API int64_t freshet_counter(const freshet_pipeline *pipeline, freshet_count which);

/* Of each writer, in the order of the declaration: what the declaration calls it, NULL past the
 * last; and its part of a counter: FRESHET_ROWS_WRITTEN, _REFUSED, _EXPIRED, _REPLACED, _AGAIN; 0
 * of any other. Any thread. */
FRESHET_API const char *freshet_writer_name(const freshet_pipeline *pipeline, uint32_t writer);
FRESHET_API int64_t freshet_writer_counter(const freshet_pipeline *pipeline, uint32_t writer,
                                           freshet_count which);

/* Why rows were refused: reason i, as it stands in the dead letters ("bad_cast"), NULL past the
 * last; and how many rows of the run so far for it. Any thread. */
FRESHET_API const char *freshet_reason(uint32_t reason);
FRESHET_API int64_t freshet_dead_letters(const freshet_pipeline *pipeline, uint32_t reason);

/* True where every reader can give what there is to read, every writer can write, and freshet_run()
 * is not waiting for a full disk or the like. False: why not, in `why` (may be NULL),
 * whose code is FRESHET_TRY_AGAIN: the run goes on by itself when it is over. Any thread. */
FRESHET_API bool freshet_ready(const freshet_pipeline *pipeline, freshet_error *why);

/* True while rows or windows wait for a reader, or a partition, that is behind the others or gives
 * nothing; `who` (may be NULL) names it. They go on without it after `timestamp.idle`. Any
 * thread. */
FRESHET_API bool freshet_waits_for(const freshet_pipeline *pipeline, freshet_error *who);

/* The output schema, as text: column i's name and type name; NULL past the last. Keys first, then
 * "timestamp", then the features in their order. */
FRESHET_API const char *freshet_output_name(const freshet_pipeline *pipeline, uint32_t column);
FRESHET_API const char *freshet_output_type(const freshet_pipeline *pipeline, uint32_t column);

/* ---- queries over the debug table ---------------------------------------------------------- */

/* In debug mode rows are appended to the table `online_feature_store__<feature set>`; the view
 * `online_feature_store__<feature set>_latest` has the newest row of each key by event time, and
 * `..._new` each row once, as it first was: the table has rows again that late events change. A
 * query sees a consistent snapshot: whole micro-batches. It is read-only and cannot reach files or
 * the network. It runs in a copy of the process (fork), which is killed where it passes its limit
 * of time, or all queries together that of memory (`memory` of the writer `online`): a program that
 * waits for its children should wait for its own, by their ids. */
typedef struct freshet_result freshet_result;

/* As timeout_us: the query may take as long as it does; `cancelled` is a way to end it. */
#define FRESHET_NO_TIMEOUT INT64_MAX

typedef struct freshet_query_options {
    size_t size;
    /* 0: ten seconds; an hour at most, or FRESHET_NO_TIMEOUT; fetching the rows counts, too */
    int64_t timeout_us;
    /* Called now and then, from another thread, while the query is open; true ends it with
     * FRESHET_LIMIT. Must not block, nor call the pipeline. May be NULL. */
    bool (*cancelled)(void *context);
    void *context;
} freshet_query_options;

/* Runs one SELECT. FRESHET_USAGE for bad SQL or anything that is no read-only query (the text has
 * the SQL engine's own message), FRESHET_LIMIT for one that took too long or too much memory,
 * FRESHET_FAILED without a debug table. Any thread; `options` may be NULL. */
FRESHET_API freshet_code freshet_query(freshet_pipeline *pipeline, const char *sql,
                                       const freshet_query_options *options, freshet_result **out,
                                       freshet_error *err);

FRESHET_API uint32_t freshet_result_columns(const freshet_result *result);
FRESHET_API const char *freshet_result_name(const freshet_result *result, uint32_t column);
/* Moves to the next row (at first: to the first). FRESHET_END after the last. */
FRESHET_API freshet_code freshet_result_next(freshet_result *result, freshet_error *err);
/* The cells of the current row. Numbers are converted as C does (0 where a cell is null or no
 * number). _text gives the cell as `freshet query --format csv` would print it, NULL for null,
 * valid until _next. */
FRESHET_API bool freshet_result_is_null(const freshet_result *result, uint32_t column);
FRESHET_API int64_t freshet_result_int64(const freshet_result *result, uint32_t column);
FRESHET_API double freshet_result_double(const freshet_result *result, uint32_t column);
FRESHET_API const char *freshet_result_text(freshet_result *result, uint32_t column);
FRESHET_API void freshet_result_close(freshet_result *result);

typedef enum freshet_format {
    FRESHET_TABLE,
    FRESHET_JSON,
    FRESHET_CSV,
    FRESHET_LINE
} freshet_format;

/* Writes the remaining rows: an aligned table, one JSON object a line, CSV with a header, or
 * "name: value" a line, for rows that are wide. Timestamps are ISO 8601 UTC with six decimals in
 * all of them. */
FRESHET_API freshet_code freshet_result_print(freshet_result *result, freshet_format format,
                                              freshet_write_fn *write, void *context,
                                              freshet_error *err);

/* ---- training sets ------------------------------------------------------------------------- */

/* What to make; zero-initialise, then set. Lists end with NULL, and may be NULL. May grow at its
 * end: `size` is sizeof(freshet_training_options). docs/guide/training-sets.md tells more of each.
 */
typedef struct freshet_training_options {
    size_t size;
    const char *spine;  /* a file or folder, Parquet or CSV: entities, times, and whatever else */
    const char *output; /* a file: .parquet, .csv or .csv.gz */
    /* histories: "orders.yaml", the declaration that writes one, or its folder; "NAME=..." calls
     * the set otherwise */
    const char *const *from;
    const char *const *features; /* "SET:a,b"; of a set that is not named: all */
    const char *const *key;      /* "SET.KEY=COLUMN": what the spine calls a key */
    const char *const *lag;      /* "SET=1h", or "1h" for all: what was known that much earlier */
    const char *const *max_age;  /* "SET=30d", or "30d": what is older is null */
    const char *time;            /* the spine's column; NULL: found by name or type */
    /* of a folder that Freshet has not written: "SET=a,b" and "SET=column" */
    const char *const *keys;
    const char *const *timestamp;
    bool as_known_now; /* corrections count from the time of their row, not since they were known */
    bool with_times;   /* a column SET__timestamp: the time of the row that was found */
    const char *compression; /* of Parquet: zstd (NULL), snappy, gzip, lz4, none */
    int64_t memory;          /* bytes; 0: 1 GiB. What does not fit is put aside beside the output */
    uint32_t threads;        /* 0: as many as there are cores */
    /* All may be NULL. say: one sentence of what was done. progress: what it is at, now and then,
     * from another thread. cancelled: asked all the time, from any thread; once it is true it must
     * stay so, and all ends with FRESHET_TRY_AGAIN. problem: mistakes of a declaration. */
    void (*say)(void *context, const char *sentence);
    void (*progress)(void *context, const char *doing);
    bool (*cancelled)(void *context);
    freshet_problem_fn *problem;
    void *context;
} freshet_training_options;

/* Point-in-time join: for each row of the spine, of each history the newest row of its keys at or
 * before its time, as it was known then. The output appears when it is whole, and has the spine's
 * rows in their order. FRESHET_USAGE for options that do not fit files and each other,
 * FRESHET_BAD_DATA for a CSV cell that is no key or time, FRESHET_LIMIT where memory is too little.
 * Any thread. */
FRESHET_API freshet_code freshet_training_set(const freshet_training_options *options,
                                              freshet_error *err);

#ifdef __cplusplus
}
#endif

#endif
