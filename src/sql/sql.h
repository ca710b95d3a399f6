/* sql.h - the SQL engine: the only folder that knows DuckDB.
 *
 * An `sql_engine` is one in-memory DuckDB instance; an `sql_session` one connection to it, used by
 * one thread at a time. Batches of ours go in through inputs: named table functions with a view of
 * the same name over them, whose rows are whatever batch is set at the moment of execution (no copy
 * is staged). A statement is prepared once and run per micro-batch (about 45 us fixed cost); its
 * result comes out as a batch of ours in a caller's arena, columns copied by memcpy, long texts
 * referred to: they stay valid until the next sql_run of the same statement or its close.
 *
 * Recipes and traps that this folder must keep: opened with threads=1 unless said,
 * disabled_optimizers=statistics_propagation (else prepared statements over changing tables give
 * wrong results), no $n parameters or time functions in prepared statements, one SELECT only.
 *
 * Order of calls: engine_open, session_open, inputs and tables, prepare, {input_set, run}*, closes
 * in reverse order.
 */
#ifndef FRESHET_SQL_SQL_H
#define FRESHET_SQL_SQL_H

#include <freshet/freshet.h>
#include <pthread.h>

#include "base/batch.h"

typedef struct sql_engine sql_engine;
typedef struct sql_session sql_session;
typedef struct sql_input sql_input;
typedef struct sql_statement sql_statement;

typedef struct sql_options {
    uint32_t threads;     /* 0 = 1 */
    int64_t memory;       /* bytes, DuckDB's memory_limit; 0 = 1 GiB */
    bool external_access; /* may read files (Parquet, DuckDB files); only for engines that never see
                                a user's SQL */
} sql_options;

/* Opens an instance; checks that the library that runs is the version built for. */
freshet_code sql_open(const sql_options *options, sql_engine **out, freshet_error *err);
void sql_close(sql_engine *engine);

/* Locks the configuration (lock_configuration, no external access): after it no SQL can change a
 * setting. Call it before any user's SQL runs, after inputs and macros are there. */
freshet_code sql_lock(sql_engine *engine, freshet_error *err);

freshet_code sql_session_open(sql_engine *engine, sql_session **out, freshet_error *err);
void sql_session_close(sql_session *session);
sql_engine *sql_session_engine(const sql_session *session);

/* Runs statements of our own (DDL, BEGIN, COMMIT, DELETE); `changed` (may be NULL) gets the
 * number of rows changed. Never for a user's text. */
freshet_code sql_execute(sql_session *session, const char *sql, int64_t *changed,
                         freshet_error *err);

/* A table function with these columns, as a view `name` (quoted as needed) that this session
 * alone sees; with row_column not NULL one more BIGINT column of that name: batch->rows[i] if
 * there are, else ROW_OF(reader, i). The schema is copied. Only the columns that a statement
 * uses are copied at run time. Statements over the input are closed before it. */
freshet_code sql_input_add(sql_session *session, const char *name, const schema *schema,
                           const char *row_column, uint32_t reader, sql_input **out,
                           freshet_error *err);
/* The same, whose times are instants in UTC (TIMESTAMP WITH TIME ZONE): as they are, where a cast
 * goes through a calendar for each cell. So are those in arrays; those in structs are plain. */
freshet_code sql_input_add_instants(sql_session *session, const char *name, const schema *schema,
                                    sql_input **out, freshet_error *err);
void sql_input_close(sql_input *input);

/* The rows [first, first + n) of `batch` are what the next runs read; NULL = no rows. The batch
 * must live until the run is over. Its schema is the input's. */
void sql_input_set(sql_input *input, const batch *batch, uint32_t first, uint32_t n);

/* Which columns the statements run since the last call have read: used[i] of the schema is set
 * to true, never to false. Run a statement once on no rows to learn it. */
void sql_input_used(const sql_input *input, bool *used);

/* Rows that lie in pieces: of `rows` those from `first` on, whose numbers begin with `number`. */
typedef struct sql_piece {
    const batch *rows;
    uint32_t first, n;
    int64_t number;
} sql_piece;

/* Piece number `which`, from 0 on; false behind the last. */
typedef bool sql_pieces_fn(void *context, uint32_t which, sql_piece *out);

#define SQL_PLACES ((int64_t)1 << 60) /* numbers are less */

/* A table function `name` (`FROM name()`) for all sessions of the engine, over the pieces that
 * there are when a statement runs: none may change meanwhile. Its columns are those of the schema,
 * which is copied, and the HUGEINT `place`, by which rows are ordered by column `by` (a bigint or a
 * timestamp), and those that are equal by their numbers: the value times SQL_PLACES, and the
 * number. It is null where the value is. Ends with the engine. */
freshet_code sql_rows_add(sql_session *session, const char *name, const schema *schema,
                          const char *place, uint32_t by, sql_pieces_fn *pieces, void *context,
                          freshet_error *err);

/* A problem of SQL text: position is the byte offset in the text, or -1. */
typedef struct sql_problem {
    int64_t position;
    char text[640];
} sql_problem;

/* Prepares one SELECT. On bad SQL: FRESHET_USAGE with DuckDB's own message (without its "LINE
 * 1:" drawing) in err and, if `problem` is not NULL, there with its position. Column types that
 * Freshet does not have are refused with the way out (cast it in the query). */
freshet_code sql_prepare(sql_session *session, const char *sql, sql_statement **out,
                         sql_problem *problem, freshet_error *err);
void sql_statement_close(sql_statement *statement);

/* The columns it gives; lives as long as the statement. */
const schema *sql_statement_schema(const sql_statement *statement);

/* Prepares one statement of our own that gives no rows, as `INSERT INTO t SELECT * FROM input`,
 * and runs it; `changed` (may be NULL) gets the number of rows changed. Never for a user's text.
 * Closed by sql_statement_close. */
freshet_code sql_command_prepare(sql_session *session, const char *sql, sql_statement **out,
                                 freshet_error *err);
freshet_code sql_command_run(sql_statement *statement, int64_t *changed, freshet_error *err);

/* What one sql_run may give; FRESHET_LIMIT beyond. A cursor has no such limit. */
#define SQL_RUN_ROWS_MAX (1u << 23)

/* Runs it to the end and gives all rows as one batch in `arena` (origins and rows NULL). An
 * error of a row (a failing cast, an overflow) is FRESHET_FAILED with FRESHET_SKIP_ROW: the
 * caller finds the row by running parts. */
freshet_code sql_run(sql_statement *statement, arena *arena, batch *out, freshet_error *err);

/* The one BIGINT that a query of our own gives; -1 where it gives none. Never for a user's text. */
freshet_code sql_number(sql_session *session, const char *sql, int64_t *out, freshet_error *err);

/* A running statement read piece by piece: for batch queries, files and users' queries. A piece
 * is at most 2,048 rows; it is valid until the next sql_next or sql_cursor_close. FRESHET_END
 * after the last. One cursor a session at a time. */
typedef struct sql_cursor sql_cursor;
freshet_code sql_cursor_open(sql_statement *statement, sql_cursor **out, freshet_error *err);
/* From now on a thread of the cursor's own runs the statement, some pieces ahead of sql_next. What
 * it is at when the cursor closes is interrupted; who watches the caller stops it as his own. No
 * other call of the session but sql_next and sql_cursor_close comes meanwhile. */
freshet_code sql_cursor_read_ahead(sql_cursor *cursor, freshet_error *err);
freshet_code sql_next(sql_cursor *cursor, arena *arena, batch *out, freshet_error *err);
void sql_cursor_close(sql_cursor *cursor);

/* Stops what the session is running at the moment (its call returns FRESHET_LIMIT,
 * "interrupted"); does nothing where nothing runs, so a watchdog calls it until the call has
 * returned. Any thread. */
void sql_interrupt(sql_session *session);

/* What one thread runs in the engine, in whatever session, to be stopped by another. Between begin
 * and end, on that thread, each call runs as watched; nothing is watched twice at a time. */
typedef struct sql_watch {
    pthread_mutex_t lock;
    sql_session *running; /* NULL: no call is in the engine */
} sql_watch;

void sql_watch_init(sql_watch *watch);
void sql_watch_destroy(sql_watch *watch);
void sql_watch_begin(sql_watch *watch);
void sql_watch_end(void);
/* As sql_interrupt, of the session that runs now. Any thread. */
void sql_watch_interrupt(sql_watch *watch);

/* Looks for a cast in a SELECT, good for sql_prepare, that no row can ever do (TIMESTAMP to
 * BIGINT), or that would lose something without a word: FRESHET_USAGE, and in *problem what to
 * write instead. */
freshet_code sql_check_casts(sql_session *session, arena *arena, const char *sql,
                             sql_problem *problem, freshet_error *err);

/* ---- functions ---- */

#define SQL_ARGUMENTS_MAX 16

/* A function over columns. `arguments` has its arguments as columns, in order; `result` has room
 * for arguments->n_rows cells and no nulls yet (column_set_null, in arguments->arena, which lives
 * as long as the call). An error with FRESHET_SKIP_ROW is the fault of one of the rows: whoever ran
 * the statement finds it by running parts. Any other stops the run. May be called from several
 * threads at once. */
typedef freshet_code sql_call_fn(void *context, const batch *arguments, column *result,
                                 freshet_error *err);

/* Called when a statement is prepared: constants[i] is the text of argument i where it is a
 * constant one, else NULL. An error is what sql_prepare gives. */
typedef freshet_code sql_constants_fn(const char *const *constants, freshet_error *err);

/* An argument of whatever type the expression has: the column that comes says which. */
#define SQL_ANY "any"

typedef struct sql_function {
    const char *name;
    const char *returns; /* types by their names, as in declarations */
    const char *arguments[SQL_ARGUMENTS_MAX];
    sql_call_fn *call;
    sql_constants_fn *check; /* may be NULL */
    void *context;
    void (*release)(
        void *context); /* called once with the engine's end, or where _add fails; may be NULL */
    /* false: a row with a null argument gives null, whatever `call` gives for it */
    bool takes_nulls;
    bool is_variadic; /* the last argument, which is SQL_ANY, may come any number of times */
    bool is_brought;  /* by a program or a plugin: sql_function_is_brought */
    bool is_volatile; /* gives other values for the same arguments: never computed before the run */
} sql_function;

/* Makes it known to all sessions of the engine; the texts are referred to until the engine is
 * closed. The name must be new (sql_function_exists, in any case of letters; it takes some
 * milliseconds). */
freshet_code sql_function_exists(sql_session *session, const char *name, bool *exists,
                                 freshet_error *err);
bool sql_function_is_brought(const sql_session *session, const char *name);
freshet_code sql_function_add(sql_session *session, const sql_function *from, freshet_error *err);

/* Functions that few statements call: `make` is run once, in the session whose statement is the
 * first that cannot be prepared without it; then that is tried again. Call it before anything is
 * prepared, once an engine. */
typedef freshet_code sql_make_fn(sql_session *session, freshet_error *err);
void sql_make_later(sql_session *session, sql_make_fn *make);

/* A table of that schema in the engine, and appending a batch to it: fastest through
 * `INSERT INTO table SELECT * FROM input`, prepared once (sql_command_prepare). */
freshet_code sql_table_create(sql_session *session, const char *name, const schema *schema,
                              freshet_error *err);

/* The SQL type name of a type of ours ("BIGINT", "DECIMAL(10,0)", "STRUCT(a BIGINT)"), in the
 * arena. */
const char *sql_type_name(arena *arena, const type *type);

/* The name as an SQL identifier in double quotes. */
const char *sql_quote(arena *arena, const char *name);

/* The text as an SQL string literal; and the same of the path of one file, for functions of DuckDB
 * that take it for a pattern. */
const char *sql_literal(arena *arena, const char *text);
const char *sql_file_literal(arena *arena, const char *path);

/* What the message of a CSV line begins with that is too long for DuckDB. */
#define SQL_CSV_LONG "Maximum line size of "

/* Options of read_csv for a file with a header whose every line is a row. Left to itself DuckDB
 * guesses from the first lines: that a line which begins with # is a comment, that ' is the quote,
 * that there is none, that the first rows are to be skipped. */
#define SQL_CSV_ROWS "header = true, quote = '\"', escape = '\"', comment = '', skip = 0"

/* json_serialize_sql of a user's text: the syntax tree as JSON (malloc'd into arena), for
 * looking at and changing a query; problem as in sql_prepare. And back: a tree as SQL text that
 * means what the tree means (sql_write.c), FRESHET_USAGE where there is none. Trees are read and
 * written with these flags of yyjson: 1e400 is Infinity in them. */
#define SQL_TREE_READ YYJSON_READ_ALLOW_INF_AND_NAN
#define SQL_TREE_WRITE YYJSON_WRITE_ALLOW_INF_AND_NAN
freshet_code sql_tree(sql_session *session, arena *arena, const char *sql, const char **json,
                      size_t *length, sql_problem *problem, freshet_error *err);
freshet_code sql_from_tree(sql_session *session, arena *arena, const char *json, size_t length,
                           const char **sql, freshet_error *err);

#endif
