/* slides.c - tallies that slide over the events of a large key, a window each; see events.h.
 *
 * Functions such as the median want all values of their window. Of a single block they get them:
 * the walk holds the values. Of a directory that would cost as much as the window is long. So a
 * directory keeps a TALLY (tally.h) for each window and slot that such functions read, made when a
 * walk first wants it. It remembers which events are in it, [begin, end), as NUMBERS: how many
 * events of the key lie before. Numbers know nothing of blocks and groups, so splitting these
 * changes nothing. When a walk has found a window, its tally slides there: the events that lie
 * between the old ends and the new ones are added or removed. From one row to the next these are,
 * on average, one at each end.
 *
 *      numbers   0 . . . . begin . . . . . . . . . . . end . . n
 *                            |  remove  |               | add |
 *      the next window                begin . . . . . . . . . end
 *
 *   a late event     inside is added, and moves the end; in front of it, it moves both numbers
 *   evicted events   that are still inside are removed before they are freed; the numbers move back
 *   a late row       the tally slides to its window, and back for the next row: in proportion to
 *                    the events between that row and the newest, at both ends. Where the window has
 *                    fewer events than that costs, they are walked past, as in a single block, and
 *                    the tally stays
 *   a far window     of fewer events than the way there: the tally is emptied, and filled with
 *                    those
 *
 * What a tally holds is always the events [begin, end) of that slot that are not null. Where memory
 * is out it is emptied, which is such a state too. Tallies are not saved: the first walk makes them
 * again.
 */
#include <assert.h>
#include <string.h>

#include "windows/events_internal.h"

/* What it costs to add or remove an event of a tally and to undo that, in events that are walked
 * past: measured, between those of median (14) and mode (4). */
#define SLIDE_COST 8u

static void empty_tally(walker *walker, event_tally *tally, const type *type)
{
    tally_clear(&tally->values, walker->memory, type);
    tally->begin = tally->end = 0;
}

/* Adds events [from, to) of a block, or removes them. */
static bool take_cells(walker *walker, event_tally *tally, const window_slot *slot,
                       const event_block *block, uint32_t from, uint32_t to, bool add)
{
    size_t size = slot->cell;
    const unsigned char *cells = block_cells(walker, block, slot);
    uint64_t bits = block->valid[slot - walker->plan->slots] & bits_below(to) & ~bits_below(from);
    for (; bits != 0; bits &= bits - 1) {
        const unsigned char *cell = cells + (size_t)__builtin_ctzll(bits) * size;
        if (!add)
            tally_remove(&tally->values, walker->memory, slot->type, cell);
        else if (!tally_add(&tally->values, walker->memory, slot->type, cell))
            return false;
    }
    return true;
}

/* n events back from a place. */
static event_place retreat(const event_directory *directory, event_place at, uint32_t n)
{
    for (;;) {
        uint32_t here = n < at.event ? n : at.event;
        at.event -= here;
        n -= here;
        if (n == 0)
            return at;
        if (at.block == 0)
            at.block = directory->groups[--at.group]->n_blocks;
        at.event = directory->groups[at.group]->blocks[--at.block]->n;
    }
}

/* Adds or removes the n events behind a place. */
static bool take_events(walker *walker, event_tally *tally, const window_slot *slot,
                        const event_directory *directory, event_place at, uint32_t n, bool add)
{
    while (n > 0) {
        const event_group *group = directory->groups[at.group];
        if (at.block == group->n_blocks) {
            at = (event_place){at.group + 1, 0, 0};
            continue;
        }
        const event_block *block = group->blocks[at.block];
        uint32_t here = block->n - at.event < n ? block->n - at.event : n;
        if (!take_cells(walker, tally, slot, block, at.event, at.event + here, add))
            return false;
        n -= here;
        at.event = 0;
        at.block++;
    }
    return true;
}

static uint32_t distance(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* Leaving events first: what enters can use their room. */
static bool slide(walker *walker, event_tally *tally, const window_slot *slot,
                  const event_directory *directory, const event_window *window)
{
    uint32_t begin = tally->begin, end = tally->end;
    bool done = true;
    if (begin < window->n_begin)
        take_events(walker, tally, slot, directory,
                    retreat(directory, window->begin, window->n_begin - begin),
                    window->n_begin - begin, false);
    if (end > window->n_end)
        take_events(walker, tally, slot, directory, window->end, end - window->n_end, false);
    if (begin > window->n_begin)
        done = take_events(walker, tally, slot, directory, window->begin, begin - window->n_begin,
                           true);
    if (end < window->n_end && done)
        done = take_events(walker, tally, slot, directory,
                           retreat(directory, window->end, window->n_end - end),
                           window->n_end - end, true);
    return done;
}

/* How many events lie between the ends of the tally and those of a window. */
static uint64_t way_to(const event_tally *tally, const event_window *window)
{
    return (uint64_t)distance(tally->begin, window->n_begin) + distance(tally->end, window->n_end);
}

bool slide_tally(walker *walker, const event_directory *directory, event_tally *tally,
                 const window_slot *slot, const event_window *window)
{
    uint32_t n = window->n_end - window->n_begin;
    bool done;
    if (way_to(tally, window) > n) {
        empty_tally(walker, tally, slot->type);
        done = take_events(walker, tally, slot, directory, window->begin, n, true);
    } else {
        done = slide(walker, tally, slot, directory, window);
    }
    if (!done) {
        empty_tally(walker, tally, slot->type);
        return false;
    }
    tally->begin = window->n_begin;
    tally->end = window->n_end;
    return true;
}

/* Puts the window's events, newest first, into a partial of a family that holds values. */
static void walk_past(walker *walker, const event_directory *directory,
                      const aggregate_family *family, const window_slot *slot,
                      const event_window *window, void *partial)
{
    event_place at = window->end;
    for (uint32_t n = window->n_end - window->n_begin; n > 0 && !walker->scratch.failed;) {
        if (at.event == 0) {
            if (at.block == 0)
                at.block = directory->groups[--at.group]->n_blocks;
            at.event = directory->groups[at.group]->blocks[--at.block]->n;
        }
        const event_block *block = directory->groups[at.group]->blocks[at.block];
        uint32_t here = n < at.event ? n : at.event;
        aggregate_run run = {block_cells(walker, block, slot),
                             block->valid[slot - walker->plan->slots],
                             at.event - here,
                             at.event,
                             slot->type,
                             &walker->scratch};
        family->update(partial, &run);
        at.event -= here;
        n -= here;
    }
}

aggregate_outcome finish_window(walker *walker, event_directory *directory,
                                const aggregate *aggregate, uint32_t index,
                                const event_window *window, aggregate_value *value)
{
    const windows_plan *plan = walker->plan;
    const window_slot *slot = &plan->slots[plan->tallies[index]];
    if (directory->tallies == NULL) {
        directory->tallies = memory_take(walker->memory, tallies_bytes(walker));
        if (directory->tallies == NULL)
            return AGGREGATE_NO_MEMORY;
        memset(directory->tallies, 0, tallies_bytes(walker));
    }
    event_tally *tally = &directory->tallies[index];
    uint64_t cost = SLIDE_COST * way_to(tally, window);
    if (!walker->remember && tally->begin < tally->end && cost > window->n_end - window->n_begin) {
        _Alignas(16) unsigned char partial[AGGREGATE_PARTIAL_MAX] = {0};
        walk_past(walker, directory, aggregate->family, slot, window, partial);
        return walker->scratch.failed
                   ? AGGREGATE_NO_MEMORY
                   : aggregate->finish(partial, aggregate, &walker->scratch, value);
    }
    return slide_tally(walker, directory, tally, slot, window)
               ? aggregate->tallied(&tally->values, aggregate, value)
               : AGGREGATE_NO_MEMORY;
}

void tallies_inserted(walker *walker, event_directory *directory, uint32_t before,
                      const void *const *cells)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; directory->tallies != NULL && i < plan->n_tallies; i++) {
        event_tally *tally = &directory->tallies[i];
        uint32_t s = plan->tallies[i];
        if (before >= tally->end)
            continue;
        tally->end++;
        if (before <= tally->begin)
            tally->begin++;
        else if (cells[s] != NULL &&
                 !tally_add(&tally->values, walker->memory, plan->slots[s].type, cells[s]))
            empty_tally(walker, tally, plan->slots[s].type);
    }
}

void tallies_evicted(walker *walker, event_directory *directory, const event_block *first,
                     uint32_t n)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; directory->tallies != NULL && i < plan->n_tallies; i++) {
        event_tally *tally = &directory->tallies[i];
        uint32_t begin = tally->begin < n ? tally->begin : n;
        uint32_t end = tally->end < n ? tally->end : n;
        take_cells(walker, tally, &plan->slots[plan->tallies[i]], first, begin, end, false);
        tally->begin -= begin;
        tally->end -= end;
    }
}

void tallies_release(walker *walker, event_directory *directory)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; directory->tallies != NULL && i < plan->n_tallies; i++)
        empty_tally(walker, &directory->tallies[i], plan->slots[plan->tallies[i]].type);
    memory_give(walker->memory, directory->tallies, tallies_bytes(walker));
    directory->tallies = NULL;
}
