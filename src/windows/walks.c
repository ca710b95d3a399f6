/* walks.c - from a place in a key's events back through all windows that end there; see events.h.
 *
 * A walk goes back window by window, the shortest first: through the rest of the block in which the
 * shorter window began, over the MIDDLE, which is whole blocks and groups, and into the block in
 * which this window begins. A middle is collected apart, from the partials of groups and blocks,
 * and then put in front of the rest in one merge. So it can be remembered: as events come, the ends
 * of a middle move by one block for about 64 events, and until then a walk over a million events is
 * a few runs and one merge for each window. Only walks that end at the key's newest row remember:
 * the next walk is mostly such a one.
 *
 * THE BLOCK IN WHICH A WINDOW BEGINS loses an event of it now and then, and what is left is wanted
 * at each row. So it is not passed: a window is what has been collected behind that block, and a
 * CUT of the block, put together apart (the tail). A cut is the partial of the block's events from
 * some place on, one every EVENT_CUT events:
 *
 *        frame of the walk                                     middle        newest
 *     [ . . . . | e e e e e e | e e e e e ]  [ blocks ] [ blocks ] [ e e e e e
 *          ^ the window begins                          tail = frame + cut + a few events
 *
 * Cuts are remembered with the middle: a block is read once for each window, when the window begins
 * to begin in it. From then on the window costs a middle, a cut and EVENT_CUT / 2 events, whatever
 * lies in it. A key has them that has twice as many blocks as there are windows, so that they need
 * about as much room as its events at most. Plans with functions that hold values, or with a pivot,
 * pass that block event by event.
 *
 * That a middle is always merged as one, and a cut as well, remembered or not, keeps results free
 * of the road to them: for equal blocks the same numbers are added in the same order.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "windows/events_internal.h"

/* ---- walkers ------------------------------------------------------------------------------- */

freshet_code walker_init(walker *walker, const windows_plan *plan, memory *memory,
                         freshet_error *err)
{
    size_t header = sizeof(event_block) + plan->n_slots * sizeof(uint64_t);
    *walker = (struct walker){.plan = plan, .memory = memory};
    walker->header_bytes = (uint32_t)((header + 15) & ~(size_t)15);
    walker->frame = memory_take(memory, plan->frame_bytes + 16);
    walker->tail = memory_take(memory, plan->frame_bytes + 16);
    walker->middle = memory_take(memory, plan->kept_bytes + 16);
    walker->cut = memory_take(memory, plan->kept_bytes + 16);
    walker->scratch.arena = arena_open();
    if (walker->frame == NULL || walker->tail == NULL || walker->middle == NULL ||
        walker->cut == NULL || walker->scratch.arena == NULL)
        return error_memory(err, "opening the windows");
    return FRESHET_OK;
}

void walker_release(walker *walker)
{
    if (walker->plan == NULL)
        return;
    memory_give(walker->memory, walker->frame, walker->plan->frame_bytes + 16);
    memory_give(walker->memory, walker->tail, walker->plan->frame_bytes + 16);
    memory_give(walker->memory, walker->middle, walker->plan->kept_bytes + 16);
    memory_give(walker->memory, walker->cut, walker->plan->kept_bytes + 16);
    arena_close(walker->scratch.arena);
    *walker = (struct walker){0};
}

/* ---- answering ----------------------------------------------------------------------------- */

/* True if a walk must still collect the measure at stop `stop`. */
static bool goes_on(const walker *walker, const window_measure *measure, window_mode mode,
                    uint32_t stop)
{
    return (walker->tallies ? measure->n_held[mode] : measure->n_windows[mode]) > stop;
}

/* A copy for each caller, so that what is constant there costs nothing. */
#define SPECIALISED static inline __attribute__((always_inline))

/* Puts a run of a block, of which the caller has set the ends, in front of the measure's
 * partial. */
SPECIALISED void take_measure(const walker *walker, const window_measure *measure,
                              unsigned char *partial, const event_block *block, aggregate_run *run)
{
    const window_slot *slot = &walker->plan->slots[measure->slot];
    run->values = block_cells(walker, block, slot);
    run->valid = block->valid[measure->slot];
    run->type = slot->type;
    measure->family->update(partial + measure->offset, run);
}

/* Puts a run of a block in front of the partials of the walk's measures that go on past stop
 * `stop`: of all, or of those alone that are not kept beside blocks. */
SPECIALISED void take_run(walker *walker, const window_walk *walk, window_mode mode, uint32_t stop,
                          bool held, const event_block *block, uint32_t from, uint32_t to)
{
    const windows_plan *plan = walker->plan;
    aggregate_run run = {.from = from, .to = to, .scratch = &walker->scratch};
    if (plan->pivot != NULL) {
        take_parts(walker, walker->frame, held ? PICK_HELD : PICK_KEPT | PICK_HELD, block, from,
                   to);
        return;
    }
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        if (goes_on(walker, measure, mode, stop) && !(held && measure->kept))
            take_measure(walker, measure, walker->frame, block, &run);
    }
}

/* Puts a run of a block in front of a partial: all measures that are kept. */
static void take_kept(const walker *walker, const event_block *block, uint32_t from, uint32_t to,
                      unsigned char *partial)
{
    const windows_plan *plan = walker->plan;
    aggregate_run run = {.from = from, .to = to};
    for (uint32_t i = 0; i < plan->n_measures; i++)
        if (plan->measures[i].kept)
            take_measure(walker, &plan->measures[i], partial, block, &run);
}

void partial_of_block(walker *walker, const event_block *block, unsigned char *partial)
{
    memset(partial, 0, walker->plan->kept_bytes);
    if (walker->plan->pivot != NULL)
        take_parts(walker, partial, PICK_KEPT, block, 0, block->n);
    else
        take_kept(walker, block, 0, block->n, partial);
}

/* Makes the partials of blocks [from, to) fresh. */
static void refresh_blocks(walker *walker, event_group *group, uint32_t from, uint32_t to)
{
    uint64_t stale = ~group->fresh & bits_below(to) & ~bits_below(from);
    for (; stale != 0; stale &= stale - 1) {
        uint32_t b = (uint32_t)__builtin_ctzll(stale);
        partial_of_block(walker, group->blocks[b], partial_at(walker, group, b));
        group->fresh |= UINT64_C(1) << b;
    }
}

/* Puts n partials in front of `partial`: all measures that are kept. */
void merge_kept(const walker *walker, unsigned char *partial, const unsigned char *older,
                uint32_t n)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; i < plan->n_measures; i++) {
        const window_measure *measure = &plan->measures[i];
        if (measure->kept)
            measure->family->merge(partial + measure->offset, older + measure->offset,
                                   plan->kept_bytes, n);
    }
}

/* Puts blocks [from, to) of a group in front of `partial`; the group's own partial serves for
 * all. */
static void merge_blocks(walker *walker, event_group *group, uint32_t from, uint32_t to,
                         unsigned char *partial)
{
    if (from == to)
        return;
    refresh_blocks(walker, group, from, to);
    if (from > 0 || to < group->n_blocks || to == 1) {
        merge_kept(walker, partial, partial_at(walker, group, from), to - from);
        return;
    }
    unsigned char *whole = partial_at(walker, group, group->capacity);
    if (!group->whole) {
        memset(whole, 0, walker->plan->kept_bytes);
        merge_kept(walker, whole, partial_at(walker, group, 0), to);
        group->whole = true;
    }
    merge_kept(walker, partial, whole, 1);
}

/* The beginning of a window: a second, or how many rows are still to be taken. */
typedef struct window_begin {
    window_mode mode;
    int64_t second;
    int64_t rows;
} window_begin;

static bool covers(const walker *walker, const window_begin *begin, const event_block *first,
                   uint32_t n_events)
{
    return begin->mode == WINDOW_ROWS ? n_events <= begin->rows
                                      : event_time(walker, first, 0) >= begin->second;
}

static uint32_t begin_in_block(const walker *walker, const window_begin *begin,
                               const event_block *block, uint32_t end)
{
    if (begin->mode == WINDOW_ROWS)
        return begin->rows >= end ? 0 : end - (uint32_t)begin->rows;
    return block_lower(walker, block, end, begin->second);
}

/* The blocks behind `middle->from` that the window covers whole: sets `to` and `n_events`. */
static void find_middle(const walker *walker, const event_directory *directory,
                        const window_begin *begin, event_middle *middle)
{
    event_place to = middle->from;
    window_begin rest = *begin;
    for (;;) {
        const event_group *group = directory->groups[to.group];
        if (to.block == 0) {
            if (to.group == 0)
                break;
            group = directory->groups[--to.group];
            to.block = group->n_blocks;
        }
        if (to.block == group->n_blocks &&
            covers(walker, &rest, group->blocks[0], group->n_events)) {
            rest.rows -= group->n_events;
            to.block = 0;
            continue;
        }
        while (to.block > 0 &&
               covers(walker, &rest, group->blocks[to.block - 1], group->blocks[to.block - 1]->n))
            rest.rows -= group->blocks[--to.block]->n;
        if (to.block > 0)
            break;
    }
    middle->to = to;
    middle->n_events = (uint32_t)(begin->rows - rest.rows);
}

/* The block before a place between blocks, or NULL at the front. */
const event_block *block_before(const event_directory *directory, event_place at)
{
    if (at.block == 0 && at.group == 0)
        return NULL;
    if (at.block > 0)
        return directory->groups[at.group]->blocks[at.block - 1];
    const event_group *group = directory->groups[at.group - 1];
    return group->blocks[group->n_blocks - 1];
}

/* The first block of a middle that has events. */
static const event_block *oldest_block(const event_directory *directory, event_place to)
{
    if (to.block == directory->groups[to.group]->n_blocks)
        to = (event_place){to.group + 1, 0, 0};
    return directory->groups[to.group]->blocks[to.block];
}

/* True if what is remembered is what find_middle would find: mostly without a look at a block. */
static bool still_fits(const walker *walker, const event_directory *directory,
                       const window_begin *begin, const event_middle *middle, event_place from)
{
    if (!middle->valid || !same_place(middle->from, from))
        return false;
    if (middle->is_cut && begin->mode != WINDOW_ROWS)
        return (middle->n_events == 0 || middle->oldest >= begin->second) &&
               middle->first < begin->second;
    const event_block *before = block_before(directory, middle->to);
    window_begin rest = *begin;
    rest.rows -= middle->n_events;
    if (middle->n_events > 0 &&
        !covers(walker, begin, oldest_block(directory, middle->to), middle->n_events))
        return false;
    return before == NULL || !covers(walker, &rest, before, before->n);
}

/* Collects the middle's partials of all kept measures. */
void collect_middle(walker *walker, const event_directory *directory, const event_middle *middle,
                    unsigned char *partial)
{
    memset(partial, 0, walker->plan->kept_bytes);
    for (uint32_t g = middle->from.group + 1; g-- > middle->to.group;) {
        event_group *group = directory->groups[g];
        uint32_t to = g == middle->from.group ? middle->from.block : group->n_blocks;
        merge_blocks(walker, group, g == middle->to.group ? middle->to.block : 0, to, partial);
    }
}

/* The middle as it is kept for stop `index` of all, or NULL. Made when a directory has two groups,
 * or twice as many full blocks as there are stops: below, it would cost more than it spares. */
static event_middle *kept_middle(walker *walker, const events *events, uint32_t index)
{
    event_directory *directory = events->root;
    if (!walker->remember)
        return NULL;
    if (directory->middles == NULL) {
        if (directory->n_groups < 2 && events->n < 2 * EVENT_BLOCK_MAX * n_middles(walker))
            return NULL;
        directory->middles = memory_take(walker->memory, middles_bytes(walker));
        if (directory->middles == NULL)
            return NULL; /* it goes without */
        memset(directory->middles, 0, n_middles(walker) * sizeof *directory->middles);
    }
    return &directory->middles[index];
}

unsigned char *middle_partial(const walker *walker, const event_directory *directory,
                              uint32_t index)
{
    uintptr_t partials = (uintptr_t)(directory->middles + n_middles(walker));
    unsigned char *first =
        (unsigned char *)(directory->middles + n_middles(walker)) + (16 - partials % 16) % 16;
    return first + (size_t)index * walker->plan->kept_bytes;
}

void collect_cut(walker *walker, const event_block *block, uint32_t i, unsigned char *partial)
{
    memset(partial, 0, walker->plan->kept_bytes);
    for (uint32_t to = block->n, from; to > i * EVENT_CUT; to = from) {
        from = (to - 1) / EVENT_CUT * EVENT_CUT;
        take_kept(walker, block, from, to, partial);
    }
}

unsigned char *cut_partial(const walker *walker, const event_directory *directory, uint32_t index,
                           uint32_t i)
{
    return middle_partial(walker, directory, n_middles(walker) + index * EVENT_CUTS + i - 1);
}

/* All cuts of a block, each from the one behind it: as collect_cut gives them. */
static void keep_cuts(const walker *walker, const event_directory *directory, uint32_t index,
                      const event_block *block)
{
    const unsigned char *newer = NULL;
    for (uint32_t to = block->n, from; to > EVENT_CUT; to = from) {
        from = (to - 1) / EVENT_CUT * EVENT_CUT;
        unsigned char *cut = cut_partial(walker, directory, index, from / EVENT_CUT);
        if (newer == NULL)
            memset(cut, 0, walker->plan->kept_bytes);
        else
            memcpy(cut, newer, walker->plan->kept_bytes);
        take_kept(walker, block, from, to, cut);
        newer = cut;
    }
}

/* The same blocks for the measures that are not kept beside them. */
static void hold_middle(walker *walker, const window_walk *walk, window_mode mode, uint32_t stop,
                        const event_directory *directory, const event_middle *middle)
{
    event_place at = middle->from;
    while (!same_place(at, middle->to)) {
        if (at.block == 0) {
            at.group--;
            at.block = directory->groups[at.group]->n_blocks;
            continue;
        }
        const event_block *block = directory->groups[at.group]->blocks[--at.block];
        take_run(walker, walk, mode, stop, true, block, 0, block->n);
    }
}

/* Which of the middles is that of a stop. */
static uint32_t middle_of(const walker *walker, window_mode mode, uint32_t stop)
{
    return stop + (mode == WINDOW_ROWS ? walker->plan->walks[WINDOW_FIXED].n_stops : 0);
}

/* Goes back over whole blocks, from a place between blocks. What is remembered of them, or NULL. */
static event_middle *take_middle(walker *walker, const window_walk *walk, const events *events,
                                 uint32_t stop, window_begin *begin, event_place *at)
{
    const windows_plan *plan = walker->plan;
    event_directory *directory = events->root;
    window_mode mode = begin->mode;
    uint32_t index = middle_of(walker, mode, stop);
    event_middle *kept = kept_middle(walker, events, index), found = {.from = *at};
    unsigned char *partial =
        kept != NULL ? middle_partial(walker, directory, index) : walker->middle;
    if (kept != NULL && still_fits(walker, directory, begin, kept, *at)) {
        found = *kept;
    } else {
        find_middle(walker, directory, begin, &found);
        if (plan->kept_bytes > 0 && found.n_events > 0)
            collect_middle(walker, directory, &found, partial);
        found.valid = true;
        if (found.n_events > 0)
            found.oldest = event_time(walker, oldest_block(directory, found.to), 0);
        if (kept != NULL && kept->is_cut && same_place(kept->to, found.to)) {
            found.is_cut = true;
            found.block = kept->block;
            found.first = kept->first;
            found.begin = kept->begin;
        }
        if (kept != NULL)
            *kept = found;
    }
    *at = found.to;
    begin->rows -= found.n_events;
    if (found.n_events == 0)
        return kept;
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        if (measure->kept && measure->n_windows[mode] > stop)
            measure->family->merge(walker->frame + measure->offset, partial + measure->offset,
                                   plan->kept_bytes, 1);
    }
    if (plan->holds)
        hold_middle(walker, walk, mode, stop, directory, &found);
    return kept;
}

/* Makes the tail: the frame, and in front of it events [from, ..) of the block. `kept`: what is
 * remembered of the middle behind it. */
static void take_tail(walker *walker, const window_walk *walk, window_mode mode, uint32_t stop,
                      const event_directory *directory, event_middle *kept,
                      const event_block *block, uint32_t from)
{
    const windows_plan *plan = walker->plan;
    const uint32_t index = middle_of(walker, mode, stop), cut = (from + EVENT_CUT - 1) / EVENT_CUT;
    const bool has_cut = cut * EVENT_CUT < block->n;
    const unsigned char *partial = walker->cut;
    if (has_cut && kept == NULL) {
        collect_cut(walker, block, cut, walker->cut);
    } else if (has_cut) {
        if (!kept->is_cut) {
            keep_cuts(walker, directory, index, block);
            kept->is_cut = true;
            kept->block = block;
            kept->first = event_time(walker, block, 0);
        }
        kept->begin = (uint16_t)(from < block->n ? from : block->n - 1u);
        partial = cut_partial(walker, directory, index, cut);
    }
    memcpy(walker->tail, walker->frame, plan->frame_bytes);
    aggregate_run run = {.from = from, .to = has_cut ? cut * EVENT_CUT : block->n};
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        if (measure->n_windows[mode] <= stop)
            continue;
        if (has_cut)
            measure->family->merge(walker->tail + measure->offset, partial + measure->offset,
                                   plan->kept_bytes, 1);
        if (run.from < run.to)
            take_measure(walker, measure, walker->tail, block, &run);
    }
}

/* Where the window begins in the block of the cuts: near where it began last. */
static uint32_t begin_near(const walker *walker, const window_begin *begin,
                           const event_middle *kept)
{
    const event_block *block = kept->block;
    uint32_t from = kept->begin;
    if (begin->mode == WINDOW_ROWS)
        return begin_in_block(walker, begin, block, block->n);
    while (from < block->n && event_time(walker, block, from) < begin->second)
        from++;
    while (from > 0 && event_time(walker, block, from - 1) >= begin->second)
        from--;
    return from;
}

/* Looks at what the walk will need of each of its middles, all at once: memory is slow. */
static void touch_middles(const walker *walker, const event_directory *directory, window_mode mode)
{
    const uint32_t n = walker->plan->walks[mode].n_stops, first = middle_of(walker, mode, 0);
    for (uint32_t i = first; i < first + n; i++) {
        const event_middle *middle = &directory->middles[i];
        const unsigned char *partial = middle_partial(walker, directory, i);
        memory_touch(partial);
        memory_touch(partial + walker->plan->kept_bytes - 1);
        if (!middle->is_cut)
            continue;
        const uint32_t cut = (middle->begin + EVENT_CUT - 1) / EVENT_CUT;
        partial = cut_partial(walker, directory, i, cut < EVENT_CUTS ? cut : EVENT_CUTS);
        memory_touch(partial);
        memory_touch(partial + walker->plan->kept_bytes - 1);
        const unsigned char *times = block_times(walker, middle->block);
        const window_slot *slot = &walker->plan->slots[0];
        const unsigned char *cells = block_cells(walker, middle->block, slot);
        memory_touch(times + middle->begin * walker->plan->time_bytes);
        if (slot->cell > 0) /* of rows that are only counted there are none */
            memory_touch(cells + middle->begin * (size_t)slot->cell);
    }
}

/* Goes back from a place to the block in which the window begins, and leaves that to the tail: how
 * many events of it. */
static uint32_t walk_cut(walker *walker, const window_walk *walk, const events *events,
                         uint32_t stop, window_begin *begin, event_place *at)
{
    const event_directory *directory = events->root;
    if (at->event > 0) {
        const event_block *newest = directory->groups[at->group]->blocks[at->block];
        const uint32_t from = begin_in_block(walker, begin, newest, at->event);
        if (from < at->event)
            take_run(walker, walk, begin->mode, stop, false, newest, from, at->event);
        begin->rows -= at->event - from;
        at->event = from;
        if (from > 0)
            return 0;
    }
    event_middle *kept = take_middle(walker, walk, events, stop, begin, at);
    const bool is_near = kept != NULL && kept->is_cut;
    const event_block *block = is_near ? kept->block : block_before(directory, *at);
    if (block == NULL)
        return 0;
    const uint32_t from =
        is_near ? begin_near(walker, begin, kept) : begin_in_block(walker, begin, block, block->n);
    if (from == block->n)
        return 0;
    take_tail(walker, walk, begin->mode, stop, directory, kept, block, from);
    walker->answer = walker->tail;
    return block->n - from;
}

/* Goes back from a place to where the window begins. */
static void walk_back(walker *walker, const window_walk *walk, const events *events, uint32_t stop,
                      window_begin *begin, event_place *at)
{
    event_directory *directory = events->root;
    for (int side = 0; side < 2; side++) { /* the newer end of the middle, and the older */
        if (at->event > 0) {
            const event_block *block = directory->groups[at->group]->blocks[at->block];
            uint32_t from = begin_in_block(walker, begin, block, at->event);
            if (from < at->event)
                take_run(walker, walk, begin->mode, stop, false, block, from, at->event);
            begin->rows -= at->event - from;
            at->event = from;
            if (from > 0 || side == 1)
                return;
        }
        if (side == 1)
            return;
        take_middle(walker, walk, events, stop, begin, at);
        if (at->block == 0) {
            if (at->group == 0)
                return;
            at->group--;
            at->block = directory->groups[at->group]->n_blocks;
        }
        at->block--;
        at->event = directory->groups[at->group]->blocks[at->block]->n;
    }
}

/* No event lies between this stop and the one before: the value is the same. */
static bool copy_shorter(const window_answer *answer, answer_row *into)
{
    column *column = &into->columns[answer->output];
    const struct column *from = &into->columns[answer->shorter];
    size_t size = type_cell_size(column->type);
    if (!column_is_valid(from, into->row))
        return column_set_null(into->arena, column, into->row);
    if (size == sizeof(int64_t))
        ((int64_t *)column->data)[into->row] = ((const int64_t *)from->data)[into->row];
    else
        memcpy((char *)column->data + into->row * size, (const char *)from->data + into->row * size,
               size);
    return true;
}

/* The value: from the walk's partial, or from the tally of this window. */
static aggregate_outcome finish_answer(walker *walker, const events *events,
                                       const window_answer *answer, const event_window *window,
                                       aggregate_value *value)
{
    const aggregate *aggregate = answer->aggregate;
    if (!walker->tallies || answer->tally == WINDOWS_NONE)
        return aggregate->finish(walker->answer + answer->offset, aggregate, &walker->scratch,
                                 value);
    return finish_window(walker, events->root, aggregate, answer->tally, window, value);
}

static bool finish_stop(walker *walker, const events *events, const window_stop *stop, bool moved,
                        const event_window *window, answer_row *into)
{
    const window_answer *const end = stop->answers + stop->n_answers;
    struct column *const columns = into->columns;
    const uint64_t row = into->row;
    for (const window_answer *answer = stop->answers; answer < end; answer++) {
        column *column = &columns[answer->output];
        if (!moved && answer->shorter != WINDOWS_NONE) {
            if (!copy_shorter(answer, into))
                return false;
            continue;
        }
        aggregate_value value;
        aggregate_outcome outcome = finish_answer(walker, events, answer, window, &value);
        bool done;
        const type_kind kind = column->type->kind;
        if (outcome == AGGREGATE_VALUE && (kind == TYPE_DOUBLE || kind == TYPE_BIGINT)) {
            memcpy((char *)column->data + row * sizeof value.integer, &value, sizeof value.integer);
            continue;
        }
        if (outcome == AGGREGATE_VALUE) {
            done = aggregate_store(into->arena, column, row, &value);
        } else {
            done = outcome != AGGREGATE_NO_MEMORY && column_set_null(into->arena, column, row);
            into->overflow = into->overflow || outcome == AGGREGATE_OVERFLOW;
        }
        if (!done)
            return false;
    }
    return true;
}

/* The windows of a stop that do not end here, or hold no event. */
static bool null_stop(const window_stop *stop, answer_row *into)
{
    for (uint32_t i = 0; i < stop->n_answers; i++)
        if (!column_set_null(into->arena, &into->columns[stop->answers[i].output], into->row))
            return false;
    return true;
}

/* Of a rolling window a result that is NaN is null, and so is all of a pivot's value that no event
 * has. */
static bool null_some(const walker *walker, const window_stop *stop, answer_row *into)
{
    for (uint32_t i = 0; i < stop->n_answers; i++) {
        const window_answer *answer = &stop->answers[i];
        column *column = &into->columns[answer->output];
        const type_kind kind = column->type->kind;
        double value = 0;
        if (!column_is_valid(column, into->row))
            continue;
        if (kind == TYPE_DOUBLE || kind == TYPE_FLOAT)
            value = kind == TYPE_DOUBLE ? ((const double *)column->data)[into->row]
                                        : ((const float *)column->data)[into->row];
        bool none = answer->rows != WINDOWS_NONE &&
                    *(const uint64_t *)(void *)(walker->answer + answer->rows) == 0;
        if ((none || value != value) && !column_set_null(into->arena, column, into->row))
            return false;
    }
    return true;
}

static void begin_walk(walker *walker, const events *events, window_mode mode)
{
    memset(walker->frame, 0, walker->plan->frame_bytes);
    walker->answer = walker->frame;
    walker->cuts = events->is_directory && !walker->plan->holds && mode != WINDOW_ROLLING;
    walker->tallies = events->is_directory && walker->plan->n_tallies > 0;
    const event_directory *directory = events->root;
    if (walker->cuts && walker->remember && directory->middles != NULL)
        touch_middles(walker, directory, mode);
    if (walker->plan->holds)
        arena_reset(walker->scratch.arena);
}

/* Goes on from *at to the beginning of the window of stop i; `taken` events have been passed. How
 * many are in the window. */
SPECIALISED int64_t walk_to(walker *walker, const events *events, const window_walk *walk,
                            uint32_t i, window_begin *begin, event_place *at, int64_t *taken)
{
    const int64_t length = walk->stops[i].length;
    begin->rows = length - *taken;
    if (events->is_directory) {
        uint32_t in_tail = 0;
        walker->answer = walker->frame;
        if (walker->cuts)
            in_tail = walk_cut(walker, walk, events, i, begin, at);
        else
            walk_back(walker, walk, events, i, begin, at);
        *taken = length - begin->rows;
        return *taken + in_tail;
    }
    uint32_t from = begin_in_block(walker, begin, events->root, at->event);
    if (from < at->event)
        take_run(walker, walk, begin->mode, i, false, events->root, from, at->event);
    *taken += at->event - from;
    at->event = from;
    return *taken;
}

/* The window of a stop with what `distinct` keeps of it. */
static bool walk_distinct(walker *walker, const events *events, const window_begin *begin,
                          event_window *window)
{
    window->begin = events_find(walker, events, begin->second);
    window->n_begin = events->n - events_behind(events, window->begin);
    return take_distinct(walker, events, window->begin, window->n_end - window->n_begin);
}

/* The windows of a walk; of a rolling one bit i of `stops` says that those of stop i end here. *n
 * gets the events in the longest. */
SPECIALISED bool answer_walk(walker *walker, const events *events, window_mode mode, int64_t second,
                             event_end end, uint64_t stops, answer_row *into, uint32_t *n)
{
    const window_walk *walk = &walker->plan->walks[mode];
    const bool is_rolling = mode == WINDOW_ROLLING;
    const bool picks = is_rolling && walker->plan->n_distinct > 0;
    event_place at = end.at;
    event_window window = {.end = end.at, .n_end = events->n - end.behind};
    bool answered = true;        /* the stop before, whose values may be copied */
    int64_t taken = 0, held = 0; /* events passed, and in the last window */
    begin_walk(walker, events, mode);
    for (uint32_t i = 0; i < walk->n_stops; i++) {
        const window_stop *stop = &walk->stops[i];
        window_begin begin = {.mode = mode};
        const int64_t before = held;
        if (is_rolling && !(stops >> i & 1)) {
            answered = false;
            if (!null_stop(stop, into))
                return false;
            continue;
        }
        if (__builtin_sub_overflow(second, stop->length, &begin.second))
            begin.second = INT64_MIN;
        if (picks && !walk_distinct(walker, events, &begin, &window))
            return false;
        if (!picks) {
            held = walk_to(walker, events, walk, i, &begin, &at, &taken);
            window.begin = at;
            window.n_begin = window.n_end - (uint32_t)held;
        }
        bool moved = !answered || picks || held > before;
        answered = true;
        *n = window.n_end - window.n_begin;
        bool done = is_rolling && *n == 0
                        ? null_stop(stop, into)
                        : finish_stop(walker, events, stop, moved, &window, into) &&
                              (!is_rolling || null_some(walker, stop, into));
        if (walker->scratch.failed || !done)
            return false;
    }
    return true;
}

SPECIALISED bool answer_behind(walker *walker, const events *events, window_mode mode,
                               int64_t second, event_end end, answer_row *into)
{
    uint32_t n;
    return walker->plan->walks[mode].n_stops == 0 ||
           answer_walk(walker, events, mode, second, end, 0, into, &n);
}

bool events_answer(walker *walker, const events *events, int64_t second, event_end fixed,
                   event_end rows, answer_row *into)
{
    return answer_behind(walker, events, WINDOW_FIXED, second, fixed, into) &&
           answer_behind(walker, events, WINDOW_ROWS, second, rows, into);
}

bool events_answer_until(walker *walker, const events *events, int64_t end, uint64_t stops,
                         answer_row *into, uint32_t *n)
{
    event_end at = {{0}, 0};
    *n = 0;
    walker->scratch.failed = false;
    if (events->n == 0)
        stops = 0; /* all are null */
    else
        at.at = events_find(walker, events, end);
    if (events->n > 0 && (walker->plan->n_tallies > 0 || walker->plan->n_distinct > 0))
        at.behind = events_behind(events, at.at);
    return answer_walk(walker, events, WINDOW_ROLLING, end, at, stops, into, n);
}
