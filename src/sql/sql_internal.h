/* sql_internal.h - what the files of src/sql share. Nobody else includes it, or duckdb.h.
 *
 *   sql_engine.c     instances, sessions, statements of our own, tables
 *   sql_input.c      batches of ours as table functions
 *   sql_rows.c       rows in pieces as table functions
 *   sql_function.c   functions of ours
 *   sql_cast.c       texts as times and dates
 *   sql_check.c      casts that no row can do
 *   sql_statement.c  prepared SELECTs and commands, cursors
 *   sql_result.c     DuckDB's vectors as columns of ours
 *   sql_problem.c    DuckDB's errors as errors of ours
 *   sql_hint.c       and what to write instead
 *   sql_tree.c       syntax trees as JSON
 *   sql_write.c      and back: as SQL text
 *   sql_name.c       types and names as SQL text
 */
#ifndef FRESHET_SQL_SQL_INTERNAL_H
#define FRESHET_SQL_SQL_INTERNAL_H

#include <assert.h>
#include <duckdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sql/sql.h"

/* Our text cells are DuckDB's string_t, byte for byte: columns of texts are copied by memcpy. */
static_assert(sizeof(cell_text) == sizeof(duckdb_string_t), "text cells have DuckDB's size");
static_assert(offsetof(cell_text, as.outside.pointer) ==
                  offsetof(duckdb_string_t, value.pointer.ptr),
              "text cells have DuckDB's pointer");
static_assert(offsetof(cell_text, as.inlined) == offsetof(duckdb_string_t, value.inlined.inlined),
              "text cells have DuckDB's inline bytes");
static_assert(sizeof(cell_span) == sizeof(duckdb_list_entry), "spans are DuckDB's list entries");
static_assert(sizeof(int128) == sizeof(duckdb_hugeint), "int128 is DuckDB's hugeint");

struct sql_engine {
    duckdb_database database;
    atomic_uint n_inputs; /* ever made: numbers the table functions */
    atomic_bool is_locked;
    _Atomic(sql_make_fn *) make_later; /* NULL: there is nothing to make, or no more */
    struct brought *brought;           /* functions that a program or a plugin has brought */
};

/* Its name is the function's own. */
typedef struct brought {
    struct brought *next;
    const char *name;
} brought;

struct sql_session {
    sql_engine *engine;
    duckdb_connection connection;
    uint64_t id; /* DuckDB's number of the connection */
};

/* ---- sql_engine.c ---- */

/* Around each call that may run long. */
void watched_enter(sql_session *session);
void watched_leave(void);

/* ---- sql_problem.c ---- */

/* DuckDB's message (JSON, since the engine is opened with errors_as_json) as one sentence and the
 * byte offset in the SQL text, -1 where it has none. */
void problem_read(const char *message, sql_problem *problem);

/* FRESHET_USAGE for an SQL text that cannot be prepared, in err and (not NULL) problem. */
freshet_code problem_usage(const char *message, sql_problem *problem, freshet_error *err);

/* Says of a problem of this text what to write instead, where it is known; and where. */
void problem_hint(const char *sql, sql_problem *problem);

/* Stands before the text of an error that a function of ours gives DuckDB and that is no row's
 * fault. */
#define PROBLEM_STOP "\001"

/* An execution that failed: the code and what to do follow from DuckDB's kind of error. */
freshet_code problem_of_result(duckdb_result *result, freshet_error *err);

/* What came of an execution without rows, whose result is destroyed; `changed` may be NULL. */
freshet_code problem_unless_done(duckdb_state state, duckdb_result *result, int64_t *changed,
                                 freshet_error *err);

/* ---- sql_cast.c ---- */

/* Replaces DuckDB's casts of texts to times and dates by ours, in the whole instance. */
freshet_code cast_add_all(sql_session *session, freshet_error *err);

/* ---- sql_check.c ---- */

/* Makes the function known by which sql_check_casts sees types. */
freshet_code check_add_probe(sql_session *session, freshet_error *err);

/* ---- sql_tree.c ---- */

/* The one text that `statement`, one SELECT with one parameter, gives for `text`; in the arena. */
freshet_code tree_ask(sql_session *session, arena *arena, const char *statement, const char *text,
                      size_t length, const char **answer, size_t *answer_length,
                      freshet_error *err);

/* ---- sql_input.c ---- */

/* Copies rows [first, first + n) of the column to the vector's rows from `at` on; long texts are
 * pointed to. False where memory is out or a decimal does not fit its type. Recursion: at most
 * TYPE_DEPTH_MAX deep. */
bool input_copy_cells(const column *column, uint64_t first, uint64_t n, duckdb_vector vector,
                      uint64_t at);

/* ---- sql_result.c ---- */

/* How one column of a result is converted: made once, when the statement is prepared. */
typedef struct result_column result_column;
struct result_column {
    const type *type;     /* what it becomes */
    duckdb_type from;     /* what DuckDB gives */
    duckdb_type internal; /* decimals and enums: the integers behind them */
    uint64_t array_size;  /* DUCKDB_TYPE_ARRAY */
    cell_text *words;     /* enums: the dictionary */
    uint32_t n_words;
    result_column *children;
};

/* Works out the conversion of column `name`; FRESHET_USAGE for a type that Freshet has not. */
freshet_code result_plan(arena *arena, const char *name, duckdb_logical_type from,
                         result_column *into, freshet_error *err);

/* Puts the n cells of `vector` behind the first `at` rows of `into`, which has room for them. */
freshet_code result_copy(arena *arena, const result_column *plan, duckdb_vector vector, uint64_t n,
                         column *into, uint64_t at, freshet_error *err);

/* ---- sql_name.c ---- */

/* Names and types as they stand in CREATE TABLE and STRUCT, in the arena; NULL where memory is
 * out. */
const char *name_columns(arena *arena, const field *fields, uint32_t n);

/* DuckDB's type of a type of ours, to be destroyed by the caller; NULL where memory is out. */
duckdb_logical_type name_logical_type(const type *type);
/* The same with times, and those in arrays, as instants. */
duckdb_logical_type name_instant_type(const type *type);

#endif
