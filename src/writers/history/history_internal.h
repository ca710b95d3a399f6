/* history_internal.h - what the files of the writer `history` share. Nobody else includes it.
 *
 *   history.c         its options; opening, gathering rows, being seen
 *   history_files.c   gathered rows into files that lie aside; small ones into one
 *   history_fits.c    does this run fit what is in the folder?
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_INTERNAL_H
#define FRESHET_WRITERS_HISTORY_HISTORY_INTERNAL_H

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

/* A file that lies aside. */
typedef struct aside_file {
    char *path; /* below the folder; malloc'd */
    uint32_t n_rows;
    bool has_minus_zero; /* parquet_write */
} aside_file;

/* How many files of the number in use a partition has. */
typedef struct partition_count {
    int32_t partition;
    uint32_t n_files;
} partition_count;

typedef struct history_writer {
    freshet_writer base;
    history_folder *folder;
    history_found found; /* at the start */
    parquet_writer *parquet;
    uint32_t levels; /* 1: year, 2: and month, 3: and day */
    uint32_t time_column;
    bool has_checkpoints, is_ready, is_published;
    arena *scratch; /* of one call */

    row_store *rows;
    int32_t *partitions; /* of each row: the first day of its year, month or day */
    uint32_t capacity;
    history_facts facts;

    bool is_spilling;
    int64_t stopping_us; /* when a stop was first seen; 0: none was */
    arena *spill;
    uint32_t *order; /* NULL: they came in the order of their partitions */
    uint32_t n_filed;

    aside_file *files;
    uint32_t n_files, files_capacity;
    uint64_t number;
    partition_count *counts; /* by partition */
    uint32_t n_counts, counts_capacity;
    uint64_t n_taken, n_kept; /* rows given, and rows in files, since the start */
} history_writer;

/* ---- history_files.c ---- */

/* The partition of each of the rows, which are gathered from number `at` on. */
void history_note_partitions(history_writer *writer, const batch *from, uint32_t at);

/* Makes files of all gathered rows. A stop may end it between two of them: error_is_stopped. */
freshet_code history_spill(history_writer *writer, freshet_error *err);

/* Names of files begin anew with each checkpoint. */
void history_note_checkpoint(history_writer *writer);

/* At the end of a batch. */
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
