/* history_rows.h - SQL over the files of a history, beside the store's rows (compare.h).
 *
 * Tables of the engine, which compare.c makes and fills:
 *
 *   asked    k0, k1 ...                         keys to be looked at
 *   online   k0, k1 ..., t, f0, f1 ...          the store's rows, perhaps twice
 *   wanted   id, k0 ..., is_online, t, f0 ...   one row a key, of both
 *   again, later   k0, k1 ...                   what is left for the next round
 *
 * k, t and f are keys, timestamp and features by their numbers, so that no name of a user's meets
 * one of ours. Of a history's rows with the same time the one furthest down in the file of the
 * greatest name is the newest.
 *
 * All texts are in the arena, and NULL where memory is out.
 */
#ifndef FRESHET_COMPARE_HISTORY_ROWS_H
#define FRESHET_COMPARE_HISTORY_ROWS_H

#include "compare/compare.h"
#include "sql/sql.h"

typedef struct history_files {
    const char **paths; /* in the order of their names */
    uint32_t n;
} history_files;

/* All Parquet files below the folder, in the arena. */
freshet_code history_files_list(sql_session *session, const char *folder, arena *arena,
                                history_files *out, freshet_error *err);
/* Those of `files` that are not among `before`. */
freshet_code history_files_new(const history_files *files, const history_files *before,
                               arena *arena, history_files *out, freshet_error *err);
/* Those that were written at that time or later. */
freshet_code history_files_since(const history_files *files, int64_t since_us, arena *arena,
                                 history_files *out, freshet_error *err);

/* A column of the request's schema, in the files. */
typedef struct history_column {
    const char *quoted; /* NULL: no file has it */
    const char *there;  /* its type in them, as DuckDB has it */
} history_column;

/* What queries are made from. */
typedef struct history_sql {
    const compare_request *request;
    const history_column *columns; /* one a column of the request's schema */
    const char *relation;          /* read_parquet of all files */
} history_sql;

const char *history_relation(arena *arena, const history_files *files);
/* The columns of these files; FRESHET_FAILED where they have not the keys and the time. */
freshet_code history_describe(sql_session *session, arena *arena, history_sql *sql,
                              freshet_error *err);

/* How many keys there are, about; those of the smallest hashes into `asked`; all that `online`
 * lacks into `asked`. */
const char *history_count_keys(arena *arena, const history_sql *sql);
const char *history_choose_keys(arena *arena, const history_sql *sql, int64_t n_keys);
const char *history_other_keys(arena *arena, const history_sql *sql);

/* Keys from a file (CSV, JSON lines or Parquet, by its name) into `asked`. */
const char *history_keys_of(arena *arena, const compare_request *request, const char *path);

/* Its newest time: one BIGINT. */
const char *history_last_time(arena *arena, const history_sql *sql);

/* `wanted`, of `asked` and `online`. */
const char *history_make_wanted(arena *arena, const compare_request *request);

/* Into `asked` the keys of `again`; in `online` only rows of those of `later` stay. */
const char *history_next_round(arena *arena, const compare_request *request);

/* Both rows of each key of `wanted` whose number leaves that remainder: its keys, is_online, t, the
 * store's features; before, at, kept; the history's features. */
typedef struct history_parts {
    uint32_t part, parts;
    const history_files *fresh; /* that came after the store was asked */
    const history_files *kept;  /* whose rows the store can have; NULL: all */
    int64_t now_us;
} history_parts;
const char *history_pairs(arena *arena, const history_sql *sql, const history_parts *of);

#endif
