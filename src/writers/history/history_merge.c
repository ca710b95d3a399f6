/* history_merge.c - small files of a batch, merged at its end; see history.c.
 *
 * A batch whose rows come in any order of days has small files of each day, some from each piece
 * (history_pieces.c). Neighbours are merged, as long as a file does not become too large; files
 * that are large already are not, since writing them again would cost as much as the first time.
 *
 * Which files become one is said before the first of them is merged. Then the merges are done, each
 * by itself, by the loop's thread and by one for each other piece, with that one's SQL engine.
 * Those that were done stand when another has failed: what is left is done by the next call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "base/thread.h"
#include "writers/history/history_internal.h"

#define MERGE_FILES_MAX 256u

/* n files from number `first` on become one. */
typedef struct merge {
    uint32_t first, n;
    uint32_t n_rows;
    bool is_done;
} merge;

typedef struct merging {
    history_writer *writer;
    merge *merges;
    uint32_t n;
    atomic_uint next;
} merging;

/* One who merges, with a piece's engine. */
typedef struct merger {
    merging *merging;
    history_piece *piece;
    pthread_t thread;
    bool has_thread;
    freshet_code code;
    freshet_error err;
} merger;

/* ---- which ----------------------------------------------------------------------------------- */

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const aside_file *)a)->path, ((const aside_file *)b)->path);
}

/* How many files from `first` on can become one, of *n_rows rows. */
static uint32_t count_mergeable(const history_writer *writer, uint32_t first, uint32_t *n_rows)
{
    const history_options *options = writer->base.options;
    const aside_file *files = writer->files;
    uint32_t n = 1;
    *n_rows = files[first].n_rows;
    while (first + n < writer->n_files && n < MERGE_FILES_MAX &&
           !(files[first + n - 1].is_large && files[first + n].is_large) &&
           history_same_partition(files[first].path, files[first + n].path) &&
           *n_rows + files[first + n].n_rows <= options->rows)
        *n_rows += files[first + n++].n_rows;
    return n;
}

static freshet_code find_merges(history_writer *writer, merging *merging, freshet_error *err)
{
    *merging = (struct merging){.writer = writer};
    arena_reset(writer->scratch);
    merging->merges = arena_alloc(writer->scratch, (writer->n_files + 1) * sizeof(merge));
    if (merging->merges == NULL)
        return error_memory(err, HISTORY_KEEPING);
    if (writer->n_files > 1)
        qsort(writer->files, writer->n_files, sizeof *writer->files, compare_files);
    for (uint32_t first = 0, n; first < writer->n_files; first += n) {
        uint32_t n_rows;
        n = count_mergeable(writer, first, &n_rows);
        if (n > 1)
            merging->merges[merging->n++] = (merge){.first = first, .n = n, .n_rows = n_rows};
    }
    return FRESHET_OK;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Makes one file, which gets the name of the first. */
static freshet_code merge_files(history_piece *piece, merge *merge, uint32_t which,
                                freshet_error *err)
{
    const history_writer *writer = piece->writer;
    const char *paths[MERGE_FILES_MAX], *facts = NULL;
    aside_file *files = writer->files + merge->first;
    char name[32];
    snprintf(name, sizeof name, "merged-%u.parquet", which);
    arena_reset(piece->scratch);
    const char *merged = history_folder_aside(writer->folder, piece->scratch, name);
    for (uint32_t i = 0; i < merge->n; i++) {
        paths[i] = history_folder_aside(writer->folder, piece->scratch, files[i].path);
        files[0].has_minus_zero |= files[i].has_minus_zero;
        if (paths[i] == NULL || merged == NULL)
            return error_memory(err, HISTORY_KEEPING);
    }
    freshet_code code = history_facts_of(&piece->facts, NULL, 0, 0, &facts, err);
    if (code == FRESHET_OK)
        code = parquet_merge(piece->parquet, paths, merge->n, merge->n_rows,
                             files[0].has_minus_zero, facts, merged, err);
    if (code == FRESHET_OK)
        code = history_folder_sync(merged, err);
    if (code == FRESHET_OK && os.rename(merged, paths[0]) != 0)
        code = error_system(err, "cannot rename the file", merged);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 1; i < merge->n; i++)
        os.unlink(paths[i]); /* what stays is removed with the next run's first row */
    merge->is_done = true;
    return FRESHET_OK;
}

/* Merges what nobody merges yet; a failure is the end for all. */
static void *do_merges(void *context)
{
    merger *merger = context;
    merging *merging = merger->merging;
    for (;;) {
        const unsigned which = atomic_fetch_add(&merging->next, 1);
        if (which >= merging->n)
            return NULL;
        merger->code =
            history_gives_up(merging->writer)
                ? error_stopped(&merger->err)
                : merge_files(merger->piece, &merging->merges[which], which, &merger->err);
        if (merger->code != FRESHET_OK) {
            atomic_store(&merging->next, merging->n);
            return NULL;
        }
    }
}

/* The writer's files without those that have become part of others. */
static void drop_merged(const merging *merging)
{
    history_writer *writer = merging->writer;
    uint32_t at = 0, from = 0;
    for (uint32_t i = 0; i < merging->n; i++) {
        const merge *merge = &merging->merges[i];
        if (!merge->is_done)
            continue;
        while (from <= merge->first)
            writer->files[at++] = writer->files[from++];
        writer->files[at - 1].n_rows = merge->n_rows;
        for (; from < merge->first + merge->n; from++)
            free(writer->files[from].path);
    }
    while (from < writer->n_files)
        writer->files[at++] = writer->files[from++];
    writer->n_files = at;
}

/* The first is the loop's thread; one for whom the system gives no thread is left out. */
static freshet_code run_mergers(merger *mergers, uint32_t n, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 1; i < n; i++)
        mergers[i].has_thread = thread_start(&mergers[i].thread, do_merges, &mergers[i]);
    do_merges(&mergers[0]);
    for (uint32_t i = 0; i < n; i++) {
        if (mergers[i].has_thread)
            pthread_join(mergers[i].thread, NULL);
        if (code == FRESHET_OK && mergers[i].code != FRESHET_OK) {
            code = mergers[i].code;
            if (err != NULL)
                *err = mergers[i].err;
        }
    }
    return code;
}

freshet_code history_merge_files(history_writer *writer, freshet_error *err)
{
    merger mergers[HISTORY_PIECES_MAX] = {{0}};
    merging merging;
    uint32_t n = 0;
    freshet_code code = find_merges(writer, &merging, err);
    for (; code == FRESHET_OK && n < writer->n_pieces && n < merging.n; n++) {
        code = history_pieces_use(writer, n, err);
        mergers[n] = (merger){.merging = &merging, .piece = &writer->pieces[n]};
    }
    if (code != FRESHET_OK || n == 0)
        return code;
    code = run_mergers(mergers, n, err);
    drop_merged(&merging);
    return code;
}
