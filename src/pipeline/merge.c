/* merge.c - see merge.h.
 *
 * ONE TURN
 *
 *   begin    each reader is asked which partitions have input waiting (reader.h, waiting)
 *   heads    what has not been opened yet is looked at: the time of its first row
 *   poll     open lanes give rows, behind those that are held of them, until they have `allot`
 *   run      the query, over what was held back and what is new: each input row gets its time, and
 *            as its key the greatest time of its lane so far
 *   bound    the lowest of: the last key of each open lane that has more to come; the time of the
 *            first row of each that is not open. No row can come any more that is before it.
 *   pass     rows up to the bound go out, sorted; the others are copied, and wait
 *
 * So in each turn at least one lane comes to the end of what it gave. A lane is opened when its
 * first row is the bound: files that follow each other in time are read one by one, with one open,
 * though all are known. A lane's `allot` follows from how many of its rows have passed: so all come
 * to their end together, whether a lane has many rows an hour or few, little is held and run again,
 * and a turn passes nearly a step's rows.
 *
 * A time further ahead of the clock than AHEAD_US is no time: one bad clock would hold back its
 * lane for ever.
 *
 * merge_hold.c keeps what is held back, merge_sort.c sorts what passes.
 */
#include "pipeline/merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "pipeline/merge_internal.h"
#include "pipeline/pipeline.h"

#define ALLOT_FIRST 256u
#define ALLOT_LEAST 64u
#define ALLOT_SPARE 16u /* of so many rows one more, since no hour is as the one before */
#define ALLOT_BYTES_LEAST ((size_t)64 << 10)
#define PEEKS_MAX 64u /* in one run of the query */
#define AHEAD_US INT64_C(86400000000)
#define NO_TIME INT64_MIN

/* ---- opening and closing --------------------------------------------------------------------- */

bool merge_is_needed(const freshet_pipeline *pipeline)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i))
            n += pipeline->readers[i].reader->ops->waiting == NULL ? 1 : 2;
    if (pipeline->joining != NULL)
        return true;
    return n > 1 && source_is_by_rows(pipeline->source) &&
           (feature_set_is_ordered(pipeline->features) || source_remembers(pipeline->source));
}

freshet_code merge_open(freshet_pipeline *pipeline, merge **out, freshet_error *err)
{
    *out = NULL;
    if (!merge_is_needed(pipeline))
        return FRESHET_OK;
    merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return error_memory(err, MERGING);
    merge->n_readers = pipeline->n_readers;
    merge->idle_us = pipeline->declaration->feature_set.timestamp.idle_us;
    merge->readers = calloc(pipeline->n_readers, sizeof *merge->readers);
    for (uint32_t i = 0; merge->readers != NULL && i < pipeline->n_readers; i++) {
        merge->readers[i].reader = pipeline->readers[i].reader;
        merge->readers[i].arenas[0] = arena_open();
        merge->readers[i].arenas[1] = arena_open();
    }
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (merge->readers == NULL || merge->readers[i].arenas[0] == NULL ||
            merge->readers[i].arenas[1] == NULL) {
            merge_close(merge);
            return error_memory(err, MERGING);
        }
    *out = merge;
    return FRESHET_OK;
}

void merge_close(merge *merge)
{
    if (merge == NULL)
        return;
    for (uint32_t i = 0; merge->readers != NULL && i < merge->n_readers; i++) {
        arena_close(merge->readers[i].arenas[0]);
        arena_close(merge->readers[i].arenas[1]);
        free(merge->readers[i].lanes);
    }
    free(merge->readers);
    free(merge->active);
    free(merge);
}

bool merge_has_more(const merge *merge)
{
    return merge->has_more;
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static bool lane_is_waiting(const merge *merge, const lane *lane)
{
    return lane->waiting == merge->turn;
}

/* The lane becomes one of this turn's. */
static freshet_code meet_lane(merge *merge, lane_of which, lane **out, freshet_error *err)
{
    merge_reader *of = &merge->readers[which.reader];
    uint32_t before = of->capacity;
    if (!array_reserve(&of->lanes, &of->capacity, which.partition + UINT64_C(1),
                       sizeof *of->lanes) ||
        !array_reserve(&merge->active, &merge->active_capacity, merge->n_active + UINT64_C(1),
                       sizeof *merge->active))
        return error_memory(err, MERGING);
    if (of->capacity > before)
        memset(of->lanes + before, 0, (of->capacity - before) * sizeof *of->lanes);
    if (of->n <= which.partition)
        of->n = which.partition + 1;
    lane *lane = &of->lanes[which.partition];
    if (lane->rank == 0) {
        lane->rank = of->reader->ops->rank == NULL
                         ? ++of->n_met
                         : of->reader->ops->rank(of->reader, which.partition) + 1;
        lane->allot = ALLOT_FIRST;
        lane->reached_us = NO_TIME;
    }
    if (lane->active != merge->turn) {
        lane->active = merge->turn;
        lane->n_rows = lane->n_fresh = 0;
        lane->last_us = lane->reached_us;
        merge->active[merge->n_active++] = which;
    }
    *out = lane;
    return FRESHET_OK;
}

static freshet_code lane_waits(merge *merge, lane_of which, freshet_error *err)
{
    lane *lane = NULL;
    freshet_code code = meet_lane(merge, which, &lane, err);
    if (code == FRESHET_OK && lane != NULL && !lane_is_waiting(merge, lane)) {
        lane->waiting = merge->turn;
        merge->n_waiting++;
    }
    return code;
}

static void open_lane(merge_reader *of, lane *lane)
{
    of->n_open += !lane->is_open;
    lane->is_open = true;
}

static bool reader_is_full(const freshet_pipeline *pipeline, uint32_t reader)
{
    return pipeline->readers[reader].reader->ops->peeks &&
           pipeline->merge->readers[reader].n_open >= MERGE_LANES_MAX;
}

/* ---- begin ----------------------------------------------------------------------------------- */

/* Readers go on with what is not a row, and say where rows wait. */
static freshet_code ask_reader(freshet_pipeline *pipeline, reader_state *state, freshet_error *err)
{
    merge *merge = pipeline->merge;
    freshet_reader *reader = state->reader;
    const reader_choice none = {.partition = READER_NONE};
    freshet_code code = FRESHET_OK;
    if (reader->ops->waiting == NULL)
        return state->ended ? FRESHET_OK : lane_waits(merge, (lane_of){reader->index, 0}, err);
    if (!state->ended) {
        reader->choice = &none;
        code = pipeline_poll(pipeline, state, 0, 0, err);
        reader->choice = NULL;
    }
    uint32_t partition = READER_NONE;
    while (code == FRESHET_OK && !state->ended) {
        partition = reader->ops->waiting(reader, partition);
        if (partition == READER_NONE)
            break;
        if (partition == READER_UNSETTLED) {
            merge_reader *of = &merge->readers[reader->index];
            if (of->unsettled == 0 || of->unsettled != merge->turn - 1)
                of->unsettled_since_us = merge->now_us;
            of->unsettled = merge->turn;
            break;
        }
        code = lane_waits(merge, (lane_of){reader->index, partition}, err);
    }
    return code;
}

/* Lanes whose rows are held are of this turn, too. */
static freshet_code list_held(merge *merge, uint32_t reader, freshet_error *err)
{
    const batch *held = &merge->readers[reader].held;
    freshet_code code = FRESHET_OK;
    lane *lane = NULL;
    for (uint32_t i = 0; code == FRESHET_OK && i < held->n_rows; i++)
        code = meet_lane(
            merge, (lane_of){reader, merge_partition(&merge->readers[reader], &held->origins[i])},
            &lane, err);
    return code;
}

/* A failure that may pass; others end the turn. */
static bool merge_is_passing(freshet_code code, const freshet_error *problem, freshet_error *first)
{
    if (code == FRESHET_OK || problem->then != FRESHET_RETRY || code == FRESHET_NO_MEMORY)
        return false;
    if (first->text[0] == '\0')
        *first = *problem;
    return true;
}

static freshet_code begin_turn(freshet_pipeline *pipeline, freshet_error *first, freshet_error *err)
{
    merge *merge = pipeline->merge;
    freshet_error problem = {0};
    merge->turn++;
    merge->now_us = os.monotonic_us();
    merge->n_active = merge->n_waiting = 0;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        reader_state *state = &pipeline->readers[i];
        state->batch = NULL;
        if (!source_drives(pipeline->source, i))
            continue;
        freshet_code code = pipeline_begin_reader(pipeline, state, &problem);
        if (code == FRESHET_OK)
            code = ask_reader(pipeline, state, &problem);
        if (merge_is_passing(code, &problem, first))
            code = FRESHET_OK;
        if (code == FRESHET_OK)
            code = list_held(merge, i, &problem);
        if (code != FRESHET_OK) {
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
    return FRESHET_OK;
}

/* ---- the query, and times -------------------------------------------------------------------- */

/* Runs the query over batches, as a trial where steps remember rows, and gives the times
 * of its rows; NO_TIME where there is none. */
static freshet_code run_query(freshet_pipeline *pipeline, batch *const *batches, batch *out,
                              int64_t **times, rejects *rejects, freshet_error *err)
{
    arena *arena = pipeline->step_arena;
    freshet_code code = pipeline->joining != NULL
                            ? joining_times(pipeline, batches, out, times, err)
                            : source_try(pipeline->source, arena, batches, out, rejects, err);
    if (code == FRESHET_OK && pipeline->joining == NULL)
        code = feature_set_times(pipeline->features, arena, out, times, err);
    const int64_t latest_us = os.now_us() + AHEAD_US;
    for (uint32_t i = 0; code == FRESHET_OK && i < out->n_rows; i++)
        if ((*times)[i] > latest_us)
            (*times)[i] = NO_TIME;
    return code;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static bool wants_head(const freshet_pipeline *pipeline, lane_of which)
{
    const lane *lane = merge_lane(pipeline->merge, which);
    return pipeline->readers[which.reader].reader->ops->peeks &&
           lane_is_waiting(pipeline->merge, lane) && !lane->is_open && !lane->has_head;
}

/* The first row of each of these lanes; one that gives none, or no time, is opened first. */
static freshet_code look_at(freshet_pipeline *pipeline, const lane_of *which, uint32_t n,
                            freshet_error *err)
{
    batch *batches[PIPELINE_READERS_MAX] = {NULL}, out;
    rejects ignored = {.arena = pipeline->step_arena};
    freshet_code code = FRESHET_OK;
    int64_t *times;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        freshet_reader *reader = pipeline->readers[which[i].reader].reader;
        const reader_choice choice = {.partition = which[i].partition, .peek = true};
        batch **into = &batches[which[i].reader];
        bool more;
        if (*into == NULL) {
            *into = arena_zero(pipeline->step_arena, 1, sizeof **into);
            code = *into == NULL ? error_memory(err, MERGING)
                                 : batch_init(*into, pipeline->step_arena, &reader->schema, n, err);
        }
        merge_lane(pipeline->merge, which[i])->has_head = true;
        merge_lane(pipeline->merge, which[i])->head_us = NO_TIME;
        reader->choice = &choice;
        if (code == FRESHET_OK)
            code = reader->ops->poll(reader, *into, 1, 1, &ignored, &more, err);
        reader->choice = NULL;
        code = code == FRESHET_END ? FRESHET_OK : code;
    }
    if (code == FRESHET_OK)
        code = run_query(pipeline, batches, &out, &times, &ignored, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < out.n_rows; i++) {
        const uint32_t reader = ROW_READER(out.rows[i]);
        const origin *origin = &batches[reader]->origins[ROW_INDEX(out.rows[i])];
        merge_lane(pipeline->merge, (lane_of){reader, origin->partition})->head_us = times[i];
    }
    return code;
}

static freshet_code find_heads(freshet_pipeline *pipeline, freshet_error *err)
{
    merge *merge = pipeline->merge;
    lane_of which[PEEKS_MAX];
    uint32_t n = 0;
    freshet_code code = FRESHET_OK;
    if (merge->n_waiting < 2)
        return FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < merge->n_active; i++) {
        if (wants_head(pipeline, merge->active[i]))
            which[n++] = merge->active[i];
        if (n == PEEKS_MAX) {
            code = look_at(pipeline, which, n, err);
            n = 0;
        }
    }
    return code == FRESHET_OK && n > 0 ? look_at(pipeline, which, n, err) : code;
}

/* ---- polling --------------------------------------------------------------------------------- */

/* Opens what has its turn: all that need no looking at, and of the others the first one, where
 * nothing is before it. */
static void open_lanes(freshet_pipeline *pipeline)
{
    merge *merge = pipeline->merge;
    bool others = false, found = false;
    lane_of next = {0};
    mark first = {0};
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane_of which = merge->active[i];
        lane *lane = merge_lane(merge, which);
        const mark here = {lane->head_us, which.reader, lane->rank};
        if (!lane_is_waiting(merge, lane) || lane->is_open) {
            others = true;
        } else if (!pipeline->readers[which.reader].reader->ops->peeks || merge->n_waiting == 1) {
            open_lane(&merge->readers[which.reader], lane);
            others = true;
        } else if (!reader_is_full(pipeline, which.reader) &&
                   (!found || mark_is_before(&here, &first))) {
            found = true;
            first = here;
            next = which;
        }
    }
    if (found && (!others || (merge->has_bound && merge->bounding.reader == next.reader &&
                              merge->bounding.partition == next.partition)))
        open_lane(&merge->readers[next.reader], merge_lane(merge, next));
}

/* How many rows a lane is to have at hand. */
static uint32_t rows_at_hand(const freshet_pipeline *pipeline, const lane *lane)
{
    const uint32_t most = pipeline_step_rows(pipeline);
    return pipeline->merge->n_waiting > 1 && lane->allot < most ? lane->allot : most;
}

/* A poll that would give little waits for the next turn. */
static bool is_polled(const freshet_pipeline *pipeline, lane_of which)
{
    const lane *lane = merge_lane(pipeline->merge, which);
    const uint32_t wanted = rows_at_hand(pipeline, lane);
    return lane_is_waiting(pipeline->merge, lane) && lane->is_open &&
           lane->n_held < wanted - wanted / 4;
}

static freshet_code poll_lane(freshet_pipeline *pipeline, lane_of which, uint32_t n_open,
                              freshet_error *err)
{
    reader_state *state = &pipeline->readers[which.reader];
    lane *lane = merge_lane(pipeline->merge, which);
    const reader_choice choice = {.partition = which.partition};
    const uint32_t most = rows_at_hand(pipeline, lane) - lane->n_held;
    assert(n_open > 0); /* this one at least */
    size_t bytes = STEP_BYTES_MAX / n_open;
    if (bytes < ALLOT_BYTES_LEAST)
        bytes = ALLOT_BYTES_LEAST;
    state->reader->choice = state->reader->ops->waiting == NULL ? NULL : &choice;
    const bool ended = state->ended;
    freshet_code code = pipeline_poll(pipeline, state, most, bytes, err);
    state->reader->choice = NULL;
    if (state->reader->ops->waiting == NULL) {
        if (state->ended || !state->more)
            lane->waiting = 0; /* that was all there is now */
    } else {
        state->ended = ended; /* it says so again, when nothing of it is held */
    }
    return code;
}

/* After the polls: which lanes have still more. */
static void ask_again(freshet_pipeline *pipeline)
{
    merge *merge = pipeline->merge;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        lane *lane = merge_lane(merge, merge->active[i]);
        if (pipeline->readers[merge->active[i].reader].reader->ops->waiting != NULL)
            lane->waiting = 0;
    }
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        freshet_reader *reader = pipeline->readers[i].reader;
        const merge_reader *of = &merge->readers[i];
        uint32_t partition = READER_NONE;
        if (pipeline->readers[i].batch == NULL || pipeline->readers[i].ended ||
            reader->ops->waiting == NULL)
            continue;
        while ((partition = reader->ops->waiting(reader, partition)) < of->n)
            if (of->lanes[partition].active == merge->turn)
                of->lanes[partition].waiting = merge->turn;
    }
    merge->n_waiting = 0;
    for (uint32_t i = 0; i < merge->n_active; i++)
        merge->n_waiting += lane_is_waiting(merge, merge_lane(merge, merge->active[i]));
}

/* What is held of a reader goes before what it gives now. */
static freshet_code take_held_once(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err)
{
    merge_reader *of = &pipeline->merge->readers[reader];
    if (of->taken == pipeline->merge->turn)
        return FRESHET_OK;
    of->taken = pipeline->merge->turn;
    return merge_take_held(pipeline, reader, err);
}

/* *fresh grows by the rows and rejects that have come. */
static freshet_code poll_open_lane(freshet_pipeline *pipeline, lane_of which, uint32_t n_open,
                                   uint32_t *fresh, freshet_error *err)
{
    lane *lane = merge_lane(pipeline->merge, which);
    const batch *into = pipeline->readers[which.reader].batch;
    freshet_code code = take_held_once(pipeline, which.reader, err);
    if (code != FRESHET_OK)
        return code;
    const uint32_t n_rows = into->n_rows, n_rejects = pipeline->rejects.n;
    code = poll_lane(pipeline, which, n_open, err);
    lane->n_fresh = into->n_rows - n_rows;
    *fresh += lane->n_fresh + (pipeline->rejects.n - n_rejects);
    return code;
}

/* *fresh: how many rows and rejects have come. */
static freshet_code poll_lanes(freshet_pipeline *pipeline, uint32_t *fresh, freshet_error *first,
                               freshet_error *err)
{
    merge *merge = pipeline->merge;
    uint32_t n_open = 0;
    *fresh = 0;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane *lane = merge_lane(merge, merge->active[i]);
        n_open += lane_is_waiting(merge, lane) && lane->is_open;
    }
    for (uint32_t i = 0; i < merge->n_active; i++) {
        freshet_error problem = {0};
        if (!is_polled(pipeline, merge->active[i]))
            continue;
        freshet_code code = poll_open_lane(pipeline, merge->active[i], n_open, fresh, &problem);
        if (code != FRESHET_OK && !merge_is_passing(code, &problem, first)) {
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
    ask_again(pipeline);
    return FRESHET_OK;
}

/* ---- which rows pass ------------------------------------------------------------------------- */

/* The keys of all rows of a reader's batch, and the last one of each lane. */
static freshet_code find_keys(freshet_pipeline *pipeline, const batch *out, const int64_t *times,
                              int64_t **keys, freshet_error *err)
{
    merge *merge = pipeline->merge;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const batch *read = pipeline->readers[i].batch;
        keys[i] = read == NULL ? NULL
                               : arena_alloc(pipeline->step_arena,
                                             (read->n_rows + (size_t)1) * sizeof *keys[i]);
        if (read != NULL && keys[i] == NULL)
            return error_memory(err, MERGING);
        for (uint32_t row = 0; read != NULL && row < read->n_rows; row++)
            keys[i][row] = NO_TIME;
    }
    for (uint32_t i = 0; i < out->n_rows; i++) {
        int64_t *key = &keys[ROW_READER(out->rows[i])][ROW_INDEX(out->rows[i])];
        if (times[i] > *key)
            *key = times[i];
    }
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const batch *read = pipeline->readers[i].batch;
        for (uint32_t row = 0; read != NULL && row < read->n_rows; row++) {
            merge_reader *of = &merge->readers[i];
            lane *lane = &of->lanes[merge_partition(of, &read->origins[row])];
            lane->n_rows++;
            if (keys[i][row] < lane->last_us)
                keys[i][row] = lane->last_us;
            lane->last_us = keys[i][row];
        }
    }
    return FRESHET_OK;
}

/* True while what gives nothing is to be waited for. */
static bool is_awaited(const merge *merge, int64_t *silent_since_us)
{
    if (*silent_since_us == 0)
        *silent_since_us = merge->now_us;
    return merge->now_us - *silent_since_us < merge->idle_us;
}

static void bound_by(merge *merge, mark here, lane_of which)
{
    if (merge->has_bound && !mark_is_before(&here, &merge->bound))
        return;
    merge->has_bound = true;
    merge->bound = here;
    merge->bounding = which;
}

static void say_full(freshet_pipeline *pipeline, uint32_t reader)
{
    merge_reader *of = &pipeline->merge->readers[reader];
    if (of->said_full || !pipeline->declaration->is_stream)
        return;
    of->said_full = true;
    log_event(MERGE_TOO_MANY, pipeline->readers[reader].reader->block->id.value, MERGE_LANES_MAX);
}

static void find_bound(freshet_pipeline *pipeline)
{
    merge *merge = pipeline->merge;
    merge->has_bound = false;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane_of which = merge->active[i];
        lane *lane = merge_lane(merge, which);
        mark here = {lane->last_us, which.reader, lane->rank};
        if (lane->n_rows > 0)
            lane->silent_since_us = 0;
        if (!lane_is_waiting(merge, lane))
            continue;
        if (lane->is_open) {
            if (lane->n_rows > 0 || is_awaited(merge, &lane->silent_since_us))
                bound_by(merge, here, which);
            continue;
        }
        here.us = lane->head_us;
        if (!reader_is_full(pipeline, which.reader))
            bound_by(merge, here, which);
        else if (!merge->has_bound || mark_is_before(&here, &merge->bound))
            say_full(pipeline, which.reader);
    }
    for (uint32_t i = 0; i < merge->n_readers; i++)
        if (merge->readers[i].unsettled == merge->turn &&
            is_awaited(merge, &merge->readers[i].unsettled_since_us))
            bound_by(merge, (mark){NO_TIME, i, 0}, (lane_of){i, READER_NONE});
}

/* The rows of a reader that are beyond the bound are held; *passed grows by the others. */
static freshet_code hold_beyond(freshet_pipeline *pipeline, uint32_t reader, const int64_t *keys,
                                uint32_t *passed, freshet_error *err)
{
    merge *merge = pipeline->merge;
    merge_reader *of = &merge->readers[reader];
    const batch *read = pipeline->readers[reader].batch;
    uint32_t n = 0;
    assert(keys != NULL); /* it has a batch */
    uint32_t *rows = arena_alloc(pipeline->step_arena, (read->n_rows + (size_t)1) * sizeof *rows);
    if (rows == NULL)
        return error_memory(err, MERGING);
    for (uint32_t row = 0; row < read->n_rows; row++) {
        const origin *origin = &read->origins[row];
        lane *lane = &of->lanes[merge_partition(of, origin)];
        const mark here = {keys[row], reader, lane->rank};
        if (!merge->has_bound || !mark_is_before(&merge->bound, &here)) {
            lane->reached_us = keys[row];
            continue;
        }
        if (lane->n_held++ == 0)
            lane->held_offset = origin->offset;
        rows[n++] = row;
    }
    *passed += read->n_rows - n;
    return merge_hold_rows(of, read, rows, n, err);
}

/* Behind a turn: how many rows a lane is to have at hand the next time, if as much time passes as
 * in this one, or twice as much where all lanes together have passed less than half a step. */
static void set_allot(lane *lane, uint32_t n_passed, uint32_t step_rows)
{
    const uint64_t passed = lane->n_rows - lane->n_held;
    const uint64_t aim = step_rows / 2 < n_passed ? step_rows : n_passed * UINT64_C(2);
    const uint64_t next = passed * aim / n_passed;
    lane->allot = (uint32_t)(next + next / ALLOT_SPARE + ALLOT_LEAST);
}

/* Behind a turn: what a lane is to give the next time, and whether it is done with. */
static void settle_lanes(freshet_pipeline *pipeline)
{
    merge *merge = pipeline->merge;
    uint32_t n_passed = 0;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane *lane = merge_lane(merge, merge->active[i]);
        n_passed += lane->n_rows - lane->n_held;
    }
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane_of which = merge->active[i];
        lane *lane = merge_lane(merge, which);
        const freshet_reader *reader = pipeline->readers[which.reader].reader;
        if (lane->n_rows > 0 && reader->ops->touch != NULL)
            reader->ops->touch(pipeline->readers[which.reader].reader, which.partition);
        if (n_passed > 0)
            set_allot(lane, n_passed, pipeline_step_rows(pipeline));
        if (lane_is_waiting(merge, lane) || lane->n_held > 0 || !lane->is_open)
            continue;
        lane->is_open = lane->has_head = false;
        merge->readers[which.reader].n_open--;
    }
}

/* Holds back what is beyond the bound; *passed: how many rows and rejects are not. */
static freshet_code hold_back(freshet_pipeline *pipeline, int64_t *const *keys,
                              uint32_t n_of_readers, uint32_t *passed, freshet_error *err)
{
    merge *merge = pipeline->merge;
    freshet_code code = FRESHET_OK;
    *passed = 0;
    for (uint32_t i = 0; i < merge->n_active; i++)
        merge_lane(merge, merge->active[i])->n_held = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        merge_reader *of = &merge->readers[i];
        if (pipeline->readers[i].batch == NULL)
            continue;
        arena_reset(of->arenas[of->which ^ 1]);
        of->rejects = NULL;
        of->n_rejects = 0;
        code = hold_beyond(pipeline, i, keys[i], passed, err);
    }
    if (code == FRESHET_OK)
        code = merge_hold_rejects(pipeline, n_of_readers, err);
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        merge->readers[i].which ^= pipeline->readers[i].batch != NULL;
    *passed += pipeline->rejects.n;
    return code;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

static bool has_ended(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i) &&
            (!pipeline->readers[i].ended || pipeline->merge->readers[i].held.n_rows > 0))
            return false;
    return true;
}

/* Nothing is new, and what was waited for is waited for still: no need to look at what is held. */
static bool is_still_blocked(merge *merge)
{
    if (!merge->is_blocked || !merge->has_bound)
        return false;
    if (merge->bounding.partition == READER_NONE) {
        merge_reader *of = &merge->readers[merge->bounding.reader];
        return of->unsettled == merge->turn && is_awaited(merge, &of->unsettled_since_us);
    }
    lane *lane = merge_lane(merge, merge->bounding);
    return lane->is_open && lane_is_waiting(merge, lane) &&
           is_awaited(merge, &lane->silent_since_us);
}

/* The one lane that has rows in this turn, all of them new; NULL: there are several. */
static lane *only_lane(const merge *merge)
{
    lane *found = NULL;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        lane *lane = merge_lane(merge, merge->active[i]);
        if (lane->n_held > 0 || (lane->n_fresh > 0 && found != NULL))
            return NULL;
        if (lane->n_fresh > 0)
            found = lane;
    }
    return found;
}

/* The usual case, quickly: the rows of one lane, none of which any other lane can come before. */
static bool pass_one_lane(freshet_pipeline *pipeline, const batch *rows, const int64_t *times)
{
    merge *merge = pipeline->merge;
    lane *lane = only_lane(merge);
    if (lane == NULL)
        return false;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        if (times[i] > lane->last_us)
            lane->last_us = times[i];
    lane->n_rows = lane->n_fresh;
    find_bound(pipeline);
    for (uint32_t i = 0; merge->has_bound && i < merge->n_active; i++) {
        const mark last = {lane->last_us, merge->active[i].reader, lane->rank};
        if (merge_lane(merge, merge->active[i]) == lane && mark_is_before(&merge->bound, &last)) {
            lane->n_rows = 0;
            lane->last_us = lane->reached_us;
            return false;
        }
    }
    lane->reached_us = lane->last_us;
    return true;
}

static freshet_code pass_rows(freshet_pipeline *pipeline, batch *rows, uint32_t *n,
                              freshet_error *err)
{
    merge *merge = pipeline->merge;
    batch *batches[PIPELINE_READERS_MAX] = {NULL};
    int64_t *keys[PIPELINE_READERS_MAX] = {NULL}, *times = NULL;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        if (pipeline->readers[i].batch != NULL)
            code = take_held_once(pipeline, i, err);
        if (code == FRESHET_OK && pipeline->readers[i].batch != NULL)
            code = merge_take_rejects(pipeline, i, err);
        batches[i] = pipeline->readers[i].batch;
    }
    const uint32_t n_of_readers = pipeline->rejects.n;
    const bool remembers = source_runs_once(pipeline->source);
    rejects of_trial = {.arena = pipeline->step_arena};
    if (code == FRESHET_OK)
        code = run_query(pipeline, batches, rows, &times,
                         remembers ? &of_trial : &pipeline->rejects, err);
    if (code != FRESHET_OK)
        return code;
    if (pass_one_lane(pipeline, rows, times)) {
        if (remembers)
            code = merge_run_passing(pipeline, batches, NULL, rows, err);
        for (uint32_t i = 0; i < pipeline->n_readers; i++)
            *n += batches[i] == NULL ? 0 : batches[i]->n_rows;
        *n += pipeline->rejects.n;
    } else {
        code = find_keys(pipeline, rows, times, keys, err);
        if (code != FRESHET_OK)
            return code;
        find_bound(pipeline);
        code = hold_back(pipeline, keys, n_of_readers, n, err);
        const uint32_t n_rejects = pipeline->rejects.n;
        if (code == FRESHET_OK && remembers)
            code = merge_run_passing(pipeline, batches, keys, rows, err);
        *n += pipeline->rejects.n - n_rejects;
        if (code == FRESHET_OK)
            code = merge_sort_rows(pipeline, keys, rows, err);
    }
    settle_lanes(pipeline);
    bool held = false;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        held = held || merge->readers[i].held.n_rows > 0;
    merge->is_blocked = *n == 0;
    /* What sets the bound and is not open is opened by the next turn. */
    merge->has_more = (*n > 0 && (merge->n_waiting > 0 || held)) ||
                      (*n == 0 && merge->has_bound && merge->bounding.partition != READER_NONE &&
                       !merge_lane(merge, merge->bounding)->is_open);
    pipeline_count(pipeline, FRESHET_ROWS_READ, *n);
    return code;
}

freshet_code merge_turn(freshet_pipeline *pipeline, batch *rows, uint32_t *n, bool *ended,
                        freshet_error *err)
{
    merge *merge = pipeline->merge;
    freshet_error first = {0};
    uint32_t fresh = 0;
    *n = 0;
    merge->has_more = false;
    freshet_code code = begin_turn(pipeline, &first, err);
    if (code == FRESHET_OK)
        code = find_heads(pipeline, err);
    if (code == FRESHET_OK) {
        open_lanes(pipeline);
        code = poll_lanes(pipeline, &fresh, &first, err);
    }
    if (code != FRESHET_OK)
        return code;
    if (fresh > 0 || !is_still_blocked(merge))
        code = pass_rows(pipeline, rows, n, err);
    *ended = has_ended(pipeline);
    if (code == FRESHET_OK && *n == 0 && first.text[0] != '\0') {
        if (err != NULL)
            *err = first;
        return first.code;
    }
    return code;
}

bool merge_held_by(const merge *merge, uint32_t *reader, uint32_t *partition, int64_t *since_us)
{
    if (!merge->is_blocked || !merge->has_bound || merge->has_more)
        return false;
    bool held = false;
    for (uint32_t i = 0; i < merge->n_readers; i++)
        held = held || merge->readers[i].held.n_rows > 0;
    *reader = merge->bounding.reader;
    *partition = merge->bounding.partition;
    *since_us = *partition == READER_NONE ? merge->readers[*reader].unsettled_since_us
                                          : merge_lane(merge, merge->bounding)->silent_since_us;
    return held;
}

/* ---- positions ------------------------------------------------------------------------------- */

void merge_place(const merge *merge, uint32_t reader, reader_positions *positions)
{
    const merge_reader *of = &merge->readers[reader];
    for (uint32_t i = 0; i < positions->n; i++) {
        reader_position *position = &positions->items[i];
        if (position->partition < of->n && of->lanes[position->partition].n_held > 0)
            position->offset = of->lanes[position->partition].held_offset;
    }
}
