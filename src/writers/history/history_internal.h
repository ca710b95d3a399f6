/* history_internal.h - what the files of the writer `history` share. Nobody else includes it.
 *
 *   history.c         its options; opening, gathering rows, being seen
 *   history_pieces.c  pieces of gathered rows: which is filled, which is in a thread
 *   history_files.c   a piece into files that lie aside
 *   history_merge.c   small ones into one
 *   history_fits.c    does this run fit what is in the folder?
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_INTERNAL_H
#define FRESHET_WRITERS_HISTORY_HISTORY_INTERNAL_H

#include <pthread.h>

#include "base/row_store.h"
#include "writers/history/history.h"
#include "writers/history/history_facts.h"
#include "writers/history/history_folder.h"
#include "writers/history/parquet_file.h"

#define HISTORY_KEEPING "gathering rows for the history"
#define HISTORY_LEVELS 3u

extern const char *const history_level_names[HISTORY_LEVELS];

enum { LAYOUT_FOLDER, LAYOUT_BUTTERFREE };

typedef struct history_options {
    declared_text path;
    int layout;
    int format;
    declared_list partition_by;
    bool corrections;
    bool interval_mode;
    int compression; /* enum parquet_compression */
    int64_t rows;
    int64_t memory;
} history_options;

/* A file that lies aside, or will. */
typedef struct aside_file {
    char *path; /* below the folder; malloc'd */
    uint32_t n_rows;
    bool has_minus_zero; /* parquet_write */
    bool is_large;       /* not worth being written again for the sake of fewer files */
} aside_file;

/* How many files of the number in use a partition has. */
typedef struct partition_count {
    int32_t partition;
    uint32_t n_files;
} partition_count;

struct history_writer;

/* Rows that become files together (history_pieces.c). It is the loop's, or, from the start of its
 * thread until that is joined, the thread's. */
typedef struct history_piece {
    struct history_writer *writer;
    row_store *rows;     /* NULL: the piece has not been used yet */
    int32_t *partitions; /* of each row: the first day of its year, month or day */
    uint32_t capacity;
    history_facts facts;
    parquet_writer *parquet;
    arena *arena;   /* until its files are there */
    arena *scratch; /* of one file */

    bool is_planned;   /* its files have their names; no more rows come */
    uint32_t *order;   /* NULL: they came in the order of their partitions */
    aside_file *files; /* in the arena, but for their paths */
    uint32_t n_files, n_made;
    uint32_t n_filed; /* rows in those that were made */

    bool is_in_thread;
    atomic_bool is_done; /* the thread is about to end */
    pthread_t thread;
    freshet_code code; /* what the thread came to */
    freshet_error err;
} history_piece;

#define HISTORY_PIECES_MAX 4u

typedef struct history_writer {
    freshet_writer base;
    history_folder *folder;
    history_found found;     /* at the start */
    parquet_writer *parquet; /* the first piece's, too */
    uint32_t levels;         /* 1: year, 2: and month, 3: and day */
    uint32_t time_column;
    bool has_checkpoints, is_ready, is_published;
    arena *scratch; /* of one call */

    history_piece pieces[HISTORY_PIECES_MAX];
    const schema *schema;
    uint32_t n_pieces;
    uint32_t filling;    /* the piece that takes rows */
    int64_t stopping_us; /* when a stop was first seen; 0: none was */

    aside_file *files;
    uint32_t n_files, files_capacity;
    uint64_t number;
    partition_count *counts; /* by partition */
    uint32_t n_counts, counts_capacity;
    uint64_t n_taken, n_kept; /* rows given, and rows in files, since the start */
} history_writer;

/* ---- history_pieces.c ---- */

/* The first piece, which a run without threads has alone. */
freshet_code history_pieces_open(history_writer *writer, const schema *schema, freshet_error *err);
/* Waits for threads. */
void history_pieces_close(history_writer *writer);

/* Adds the rows to the piece that is filled; before that, one that is full goes into files. What
 * went wrong with a piece in a thread is told here, or by the next call of one of the two; what was
 * left is done then by the call after that. All or nothing. */
freshet_code history_pieces_add(history_writer *writer, const batch *rows, freshet_error *err);

/* All rows are in files when this returns FRESHET_OK. A stop may end it between two of them:
 * error_is_stopped. */
freshet_code history_pieces_finish(history_writer *writer, freshet_error *err);

/* Opens the piece of that number, where it is not open yet. */
freshet_code history_pieces_use(history_writer *writer, uint32_t which, freshet_error *err);

/* ---- history_files.c ---- */

/* The partition of each of the rows, which the piece has from number `at` on. */
void history_note_partitions(history_piece *piece, const batch *from, uint32_t at);

/* The names of a piece's files, and which rows are in each. */
freshet_code history_plan_files(history_piece *piece, freshet_error *err);

/* Makes the files that are not there yet. On any thread. */
freshet_code history_make_files(history_piece *piece, freshet_error *err);

/* They are the writer's, and the piece is empty. */
freshet_code history_take_files(history_piece *piece, freshet_error *err);

/* Names of files begin anew with each checkpoint. */
void history_note_checkpoint(history_writer *writer);

/* Between two files, of which there may be a great many: does a stop not wait for the rest? Any
 * thread of a batch. */
bool history_gives_up(history_writer *writer);

/* ---- history_merge.c ---- */

/* At the end of a batch. No piece is in a thread. */
freshet_code history_merge_files(history_writer *writer, freshet_error *err);

/* ---- history_fits.c ---- */

/* At the opening, where not all that is there is replaced; of a batch. */
freshet_code history_check_levels(const history_writer *writer, freshet_error *err);
freshet_code history_check_batch(const history_writer *writer, freshet_error *err);

/* With checkpoints: what the folder has noted beside what the state knows; a state that has shown
 * nothing yet; the last file that it has shown (a warning). */
freshet_code history_check_noted(history_writer *writer, freshet_error *err);
freshet_code history_check_first(history_writer *writer, freshet_error *err);
void history_check_newest(history_writer *writer, const writer_files *shown);

#endif
