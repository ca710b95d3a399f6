/* history_pieces.c - pieces of gathered rows: which is filled, and who makes files of the others.
 *
 * Rows are added to one piece. When that is full, its files get their names and are made: by the
 * loop's thread itself, or, in a batch that may have several threads, by one that is started for it
 * while the loop fills another piece. Where all others are still in threads, the loop makes the
 * files of the full one itself, instead of waiting: so it is never ahead by more than the pieces
 * there are, and with two workers both work.
 *
 * A piece that failed stays as it is, with a note of how many of its files are there. The loop is
 * told once, and when it calls again it makes the rest itself. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread.h"
#include "writers/history/history_internal.h"

/* ---- opening and closing --------------------------------------------------------------------- */

static freshet_code piece_open(history_writer *writer, history_piece *piece, const schema *schema,
                               freshet_error *err)
{
    const freshet_writer *base = &writer->base;
    const history_options *options = base->options;
    piece->writer = writer;
    piece->arena = arena_open();
    piece->scratch = arena_open();
    if (piece->arena == NULL || piece->scratch == NULL)
        return error_memory(err, HISTORY_KEEPING);
    freshet_code code = history_facts_open(
        &piece->facts, base->declaration->feature_set.name.value, schema, writer->time_column,
        options->corrections && !base->is_batch, base->arena, err);
    if (code == FRESHET_OK)
        code =
            parquet_open(schema, (parquet_compression)options->compression, &piece->parquet, err);
    return code == FRESHET_OK ? row_store_open(schema, &piece->rows, err) : code;
}

static void piece_close(history_piece *piece)
{
    if (piece->is_in_thread)
        pthread_join(piece->thread, NULL);
    for (uint32_t i = 0; i < piece->n_files; i++)
        free(piece->files[i].path);
    parquet_close(piece->parquet);
    row_store_close(piece->rows);
    history_facts_close(&piece->facts);
    arena_close(piece->arena);
    arena_close(piece->scratch);
    free(piece->partitions);
    *piece = (history_piece){0};
}

freshet_code history_pieces_open(history_writer *writer, const schema *schema, freshet_error *err)
{
    const freshet_writer *base = &writer->base;
    const uint32_t n = base->is_batch && base->n_workers > 1 ? base->n_workers : 1;
    writer->n_pieces = n < HISTORY_PIECES_MAX ? n : HISTORY_PIECES_MAX;
    writer->schema = schema;
    freshet_code code = piece_open(writer, &writer->pieces[0], schema, err);
    writer->parquet = writer->pieces[0].parquet;
    return code;
}

void history_pieces_close(history_writer *writer)
{
    for (uint32_t i = 0; i < writer->n_pieces; i++)
        piece_close(&writer->pieces[i]);
    writer->parquet = NULL;
}

freshet_code history_pieces_use(history_writer *writer, uint32_t which, freshet_error *err)
{
    history_piece *piece = &writer->pieces[which];
    if (piece->rows != NULL)
        return FRESHET_OK;
    const freshet_code code = piece_open(writer, piece, writer->schema, err);
    if (code != FRESHET_OK)
        piece_close(piece);
    return code;
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *run_piece(void *context)
{
    history_piece *piece = context;
    piece->code = history_make_files(piece, &piece->err);
    atomic_store(&piece->is_done, true);
    return NULL;
}

/* Ends the piece's thread, waiting for it, and takes what it has made. */
static freshet_code join_piece(history_piece *piece, freshet_error *err)
{
    pthread_join(piece->thread, NULL);
    piece->is_in_thread = false;
    if (piece->code == FRESHET_OK)
        return history_take_files(piece, err);
    if (err != NULL)
        *err = piece->err;
    return piece->code;
}

/* False where the system gives no thread. */
static bool start_piece(history_piece *piece)
{
    piece->code = FRESHET_OK;
    piece->err = (freshet_error){0};
    atomic_store(&piece->is_done, false);
    piece->is_in_thread = thread_start(&piece->thread, run_piece, piece);
    return piece->is_in_thread;
}

/* Ends the threads that are done, or all; the first error. */
static freshet_code join_pieces(history_writer *writer, bool all, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < writer->n_pieces; i++) {
        history_piece *piece = &writer->pieces[i];
        if (piece->is_in_thread && (all || atomic_load(&piece->is_done))) {
            const freshet_code one = join_piece(piece, code == FRESHET_OK ? err : NULL);
            code = code == FRESHET_OK ? one : code;
        }
    }
    return code;
}

/* Here and now. */
static freshet_code finish_piece(history_piece *piece, freshet_error *err)
{
    freshet_code code = history_plan_files(piece, err);
    if (code == FRESHET_OK)
        code = history_make_files(piece, err);
    return code == FRESHET_OK ? history_take_files(piece, err) : code;
}

/* What is left of pieces that failed. */
static freshet_code finish_failed(history_writer *writer, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < writer->n_pieces; i++)
        if (writer->pieces[i].is_planned && !writer->pieces[i].is_in_thread)
            code = finish_piece(&writer->pieces[i], err);
    return code;
}

/* ---- the full one ---------------------------------------------------------------------------- */

static bool history_is_full(const history_writer *writer, uint32_t n_more)
{
    const history_options *options = writer->base.options;
    const history_piece *piece = &writer->pieces[writer->filling];
    const uint32_t n = row_store_rows(piece->rows);
    return n > 0 && ((int64_t)n + n_more > options->rows ||
                     row_store_bytes(piece->rows) >= (size_t)options->memory / writer->n_pieces);
}

/* A piece that is not in a thread, besides the one that is filled; n_pieces: there is none. */
static uint32_t find_idle(const history_writer *writer)
{
    for (uint32_t i = 0; i < writer->n_pieces; i++)
        if (i != writer->filling && !writer->pieces[i].is_in_thread)
            return i;
    return writer->n_pieces;
}

/* Makes files of the piece that is filled, or has a thread make them. */
static freshet_code pass_on(history_writer *writer, freshet_error *err)
{
    history_piece *piece = &writer->pieces[writer->filling];
    const uint32_t next = find_idle(writer);
    if (next == writer->n_pieces)
        return finish_piece(piece, err);
    freshet_code code = history_pieces_use(writer, next, err);
    if (code == FRESHET_OK)
        code = history_plan_files(piece, err);
    if (code != FRESHET_OK)
        return code;
    if (!start_piece(piece))
        return finish_piece(piece, err);
    writer->filling = next;
    return FRESHET_OK;
}

freshet_code history_pieces_add(history_writer *writer, const batch *rows, freshet_error *err)
{
    freshet_code code = join_pieces(writer, false, err);
    if (code == FRESHET_OK)
        code = finish_failed(writer, err);
    if (code == FRESHET_OK && history_is_full(writer, rows->n_rows))
        code = pass_on(writer, err);
    if (code != FRESHET_OK)
        return code;
    history_piece *piece = &writer->pieces[writer->filling];
    const uint32_t at = row_store_rows(piece->rows);
    if (!array_reserve(&piece->partitions, &piece->capacity, (uint64_t)at + rows->n_rows,
                       sizeof *piece->partitions))
        return error_memory(err, HISTORY_KEEPING);
    code = row_store_add(piece->rows, rows, NULL, rows->n_rows, err);
    if (code == FRESHET_OK)
        code =
            history_facts_note(&piece->facts, rows, rows->columns[writer->time_column].data, err);
    if (code != FRESHET_OK)
        return code;
    history_note_partitions(piece, rows, at);
    return FRESHET_OK;
}

freshet_code history_pieces_finish(history_writer *writer, freshet_error *err)
{
    history_piece *filled = &writer->pieces[writer->filling];
    freshet_code code = FRESHET_OK;
    if (row_store_rows(filled->rows) > 0)
        code = finish_piece(filled, err); /* while others are in threads */
    const freshet_code others = join_pieces(writer, true, code == FRESHET_OK ? err : NULL);
    code = code == FRESHET_OK ? others : code;
    return code == FRESHET_OK ? finish_failed(writer, err) : code;
}
