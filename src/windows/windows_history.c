/* windows_history.c - the windows of a complete set of rows: windows_apply_history; see
 * windows_state.h.
 *
 * The rows are brought together by key (a keyed_table, then a counting sort, which keeps the order
 * of arrival), each key's rows are ordered by second, and put into the same structure that a stream
 * uses (events.h). Then each row is answered where it stands: fixed windows from the end of its
 * second, so that it sees all its peers; row windows from its own place. One key is in memory at a
 * time.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "windows/windows_internal.h"

/* A row in its key's order. */
typedef struct timed_row {
    int64_t second;
    uint32_t row;
} timed_row;

typedef struct history {
    const windows_plan *plan;
    const windows_input *input;
    arena *arena;
    windows_result *result;
    memory memory;
    walker walker;
    const void **cells;
    arena *work; /* freed at the end */
    uint32_t *key_of_row;
    uint32_t *begins; /* of each key's rows in `rows`, and the end of the last */
    uint32_t n_keys;
    timed_row *rows;
} history;

static freshet_code history_memory(freshet_error *err)
{
    return error_memory(err, "computing the windows of a complete set of rows");
}

/* ---- bringing rows together ---------------------------------------------------------------- */

/* Gives rows [from, from + n) the numbers of their keys in the table. */
static bool number_chunk(history *history, keyed_table *table, keyed_chunk *chunk, uint32_t from,
                         uint32_t n)
{
    if (!keyed_chunk_fill(chunk, table, history->input->keys, history->plan->n_keys, from, n,
                          WINDOWS_KEY_BYTES_MAX))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const char *key = keyed_chunk_key(chunk, i);
        const uint32_t tag = chunk->rows[i].tag, length = chunk->rows[i].length;
        uint32_t index = KEY_NONE;
        if (length <= WINDOWS_KEY_BYTES_MAX) {
            index = keyed_find(table, tag, key, length);
            if (index == KEY_NONE && (index = keyed_add(table, tag, key, length)) == KEY_NONE)
                return false;
        }
        history->key_of_row[from + i] = index;
    }
    return true;
}

/* Gives each row the number of its key, in order of first appearance; KEY_NONE to those whose key
 * is too long. */
static bool number_keys(history *history)
{
    const uint32_t n_rows = history->input->n_rows;
    const keyed_options options = {.memory = &history->memory, .entry_bytes = KEYED_ENTRY_BYTES};
    keyed_table table = {.n_entries = 0};
    keyed_chunk *chunk = arena_alloc(history->work, sizeof *chunk);
    if (chunk == NULL)
        return false;
    text_init(&chunk->bytes, WINDOWS_SAVED_BYTES_MAX);
    bool done = keyed_open(&table, &options);
    for (uint32_t from = 0; from < n_rows && done; from += KEYED_CHUNK_ROWS)
        done = number_chunk(history, &table, chunk, from,
                            n_rows - from < KEYED_CHUNK_ROWS ? n_rows - from : KEYED_CHUNK_ROWS);
    history->n_keys = (uint32_t)keyed_count(&table);
    keyed_close(&table);
    text_release(&chunk->bytes);
    return done;
}

static bool sort_by_key(history *history)
{
    uint32_t n = history->input->n_rows;
    history->begins =
        arena_zero(history->work, history->n_keys + (size_t)2, sizeof *history->begins);
    history->rows = arena_alloc(history->work, (n + (size_t)1) * sizeof *history->rows);
    if (history->begins == NULL || history->rows == NULL)
        return false;
    /* next[k], where key k's next row goes, ends as the beginning of key k + 1 */
    uint32_t *next = history->begins + 1;
    for (uint32_t row = 0; row < n; row++)
        if (history->key_of_row[row] != KEY_NONE)
            history->begins[history->key_of_row[row] + 2]++;
    for (uint32_t k = 2; k <= history->n_keys + 1; k++)
        history->begins[k] += history->begins[k - 1];
    for (uint32_t row = 0; row < n; row++)
        if (history->key_of_row[row] != KEY_NONE)
            history->rows[next[history->key_of_row[row]]++] =
                (timed_row){second_of(history->input->event_us[row]), row};
    return true;
}

static int compare_rows(const void *a, const void *b)
{
    const timed_row *x = a, *y = b;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

/* ---- one key ------------------------------------------------------------------------------- */

/* Which row is newest, and its write timestamp as a stream of the rows in their order would give
 * it. */
static void mark_newest(history *history, const timed_row *rows, uint32_t n)
{
    const int64_t *event_us = history->input->event_us;
    uint32_t newest = rows[0].row, revision = 0;
    int64_t newest_s = rows[0].second;
    for (uint32_t i = 0; i < n; i++) {
        history->result->write_us[rows[i].row] = write_time(rows[i].second, 0);
        revision = i == 0 || rows[i].second > newest_s ? 0 : revision + 1;
        newest_s = rows[i].second > newest_s ? rows[i].second : newest_s;
        if (event_us[rows[i].row] >= event_us[newest])
            newest = rows[i].row;
    }
    history->result->flags[newest] |= WINDOWS_NEWEST;
    history->result->write_us[newest] = write_time(newest_s, revision);
}

static bool answer_rows(history *history, const events *events, const timed_row *rows, uint32_t n)
{
    event_end fixed = {{0}, 0}, rows_end = {{0}, n};
    history->walker.remember = true;
    uint32_t peers_end = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == peers_end) {
            while (peers_end < n && rows[peers_end].second == rows[i].second)
                peers_end++;
            fixed = (event_end){events_advance(events, rows_end.at, peers_end - i), n - peers_end};
        }
        rows_end = (event_end){events_advance(events, rows_end.at, 1), n - i - 1};
        answer_row into = {history->arena, history->result->outputs, rows[i].row, false};
        if (!events_answer(&history->walker, events, rows[i].second, fixed, rows_end, &into))
            return false;
        if (into.overflow)
            history->result->flags[rows[i].row] |= WINDOWS_OVERFLOW;
    }
    return true;
}

static bool apply_key(history *history, timed_row *rows, uint32_t n)
{
    events events = {0};
    bool done = true, sorted = true;
    mark_newest(history, rows, n);
    for (uint32_t i = 1; i < n; i++)
        sorted = sorted && rows[i - 1].second <= rows[i].second;
    if (!sorted)
        qsort(rows, n, sizeof *rows, compare_rows);
    for (uint32_t i = 0; i < n && done; i++) {
        event_place at;
        uint32_t behind;
        gather_cells(history->plan, history->input->columns, rows[i].row, history->cells);
        done =
            events_insert(&history->walker, &events, rows[i].second, history->cells, &at, &behind);
    }
    done = done && answer_rows(history, &events, rows, n);
    events_release(&history->walker, &events);
    return done;
}

/* ---- all ----------------------------------------------------------------------------------- */

static bool refuse_long_keys(history *history)
{
    for (uint32_t row = 0; row < history->input->n_rows; row++)
        if (history->key_of_row[row] == KEY_NONE &&
            refuse_row(history->plan, history->arena, history->result, row, row,
                       WINDOWS_KEY_TOO_LONG, NULL) != FRESHET_OK)
            return false;
    return true;
}

static bool apply_all(history *history)
{
    size_t n = history->input->n_rows;
    history->key_of_row = arena_alloc(history->work, (n + 1) * sizeof *history->key_of_row);
    history->cells =
        arena_alloc(history->work, (history->plan->n_slots + 1) * sizeof *history->cells);
    if (history->key_of_row == NULL || history->cells == NULL || !number_keys(history) ||
        !sort_by_key(history) || !refuse_long_keys(history))
        return false;
    for (uint32_t k = 0; k < history->n_keys; k++) {
        uint32_t begin = history->begins[k], end = history->begins[k + 1];
        if (!apply_key(history, history->rows + begin, end - begin))
            return false;
    }
    return true;
}

freshet_code windows_apply_history(const windows_plan *plan, const windows_input *input,
                                   arena *arena, windows_result *result, freshet_error *err)
{
    history history = {.plan = plan,
                       .input = input,
                       .arena = arena,
                       .result = result,
                       .memory = {.fail_after = -1},
                       .work = arena_open()};
    freshet_code code = walker_init(&history.walker, plan, &history.memory, err);
    if (code == FRESHET_OK)
        code = make_result(plan, input->n_rows, arena, result, err);
    if (code == FRESHET_OK && (history.work == NULL || !apply_all(&history)))
        code = history_memory(err);
    walker_release(&history.walker);
    assert(history.memory.bytes == 0);
    arena_close(history.work);
    return code;
}
