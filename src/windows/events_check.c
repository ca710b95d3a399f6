/* events_check.c - the invariants of a key's events, each stated once: events_check. */
#include <string.h>

#include "aggregate/families.h"
#include "windows/events_internal.h"

static const char *check_block(const walker *walker, const event_block *block, int64_t *last_s)
{
    if (block->n == 0 || block->n > block->capacity || block->capacity > EVENT_BLOCK_MAX)
        return "the number of events in a block";
    for (uint32_t i = 0; i < block->n; i++) {
        if (event_time(walker, block, i) < *last_s)
            return "the order of events";
        *last_s = event_time(walker, block, i);
    }
    return NULL;
}

/* Partials that are called fresh must be, byte for byte, what computing them again gives. */
static const char *check_partials(walker *walker, const event_group *group)
{
    size_t size = walker->plan->kept_bytes;
    for (uint32_t b = 0; b < group->n_blocks; b++) {
        if (!(group->fresh >> b & 1))
            continue;
        partial_of_block(walker, group->blocks[b], walker->middle);
        if (memcmp(walker->middle, partial_at(walker, group, b), size) != 0)
            return "the partial of a block";
    }
    if (!group->whole)
        return NULL;
    if ((~group->fresh & bits_below(group->n_blocks)) != 0)
        return "the partial of a group of stale blocks";
    memset(walker->middle, 0, size);
    merge_kept(walker, walker->middle, partial_at(walker, group, 0), group->n_blocks);
    return memcmp(walker->middle, partial_at(walker, group, group->capacity), size) != 0
               ? "the partial of a group"
               : NULL;
}

static const char *check_group(walker *walker, const event_group *group, uint32_t *n,
                               int64_t *last_s)
{
    uint32_t counted = 0;
    if (group->n_blocks == 0 || group->n_blocks > group->capacity ||
        group->capacity > EVENT_GROUP_MAX)
        return "the number of blocks in a group";
    for (uint32_t b = 0; b < group->n_blocks; b++) {
        const char *wrong = check_block(walker, group->blocks[b], last_s);
        if (wrong != NULL)
            return wrong;
        counted += group->blocks[b]->n;
    }
    *n += counted;
    return counted != group->n_events ? "the number of events in a group"
                                      : check_partials(walker, group);
}

static const char *check_cuts(walker *walker, const event_directory *directory, uint32_t index)
{
    const event_middle *middle = &directory->middles[index];
    const event_block *block = middle->is_cut ? block_before(directory, middle->to) : NULL;
    for (uint32_t i = 1; block != NULL && i * EVENT_CUT < block->n; i++) {
        collect_cut(walker, block, i, walker->cut);
        if (memcmp(walker->cut, cut_partial(walker, directory, index, i),
                   walker->plan->kept_bytes) != 0)
            return "the partial behind a cut";
    }
    return NULL;
}

static const char *check_middles(walker *walker, const event_directory *directory)
{
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++) {
        const event_middle *middle = &directory->middles[i];
        const char *wrong = middle->valid ? check_cuts(walker, directory, i) : NULL;
        if (wrong != NULL)
            return wrong;
        if (!middle->valid || middle->n_events == 0)
            continue;
        if (middle->from.group >= directory->n_groups ||
            middle->from.block > directory->groups[middle->from.group]->n_blocks)
            return "the place of a middle";
        collect_middle(walker, directory, middle, walker->middle);
        if (memcmp(walker->middle, middle_partial(walker, directory, i),
                   walker->plan->kept_bytes) != 0)
            return "the partial of a middle";
    }
    return NULL;
}

/* The tally of the same window, made from the events alone, has the same values. */
static const char *check_tally(walker *walker, const events *events, event_tally *kept,
                               const window_slot *slot)
{
    event_window window = {
        .begin = events_end(events, events->n - kept->begin),
        .end = events_end(events, events->n - kept->end),
        .n_begin = kept->begin,
        .n_end = kept->end,
    };
    event_tally made = {0};
    const char *wrong = tally_check(&kept->values, slot->type);
    if (wrong == NULL && !slide_tally(walker, events->root, &made, slot, &window))
        return NULL; /* memory is out: nothing can be said */
    if (wrong == NULL &&
        (made.values.n != kept->values.n || made.values.n_distinct != kept->values.n_distinct))
        wrong = "the values of a tally";
    for (uint32_t i = 0; wrong == NULL && i < made.values.n; i++) {
        aggregate_value a, b;
        tally_at(&made.values, slot->type, i, &a);
        tally_at(&kept->values, slot->type, i, &b);
        if (compare_values(slot->type, &a, &b) != 0)
            wrong = "the values of a tally";
    }
    tally_clear(&made.values, walker->memory, slot->type);
    return wrong;
}

static const char *check_tallies(walker *walker, const events *events)
{
    const event_directory *directory = events->root;
    const windows_plan *plan = walker->plan;
    const char *wrong = NULL;
    for (uint32_t i = 0; directory->tallies != NULL && i < plan->n_tallies && wrong == NULL; i++) {
        event_tally *tally = &directory->tallies[i];
        if (tally->begin > tally->end || tally->end > events->n)
            return "the ends of a tally";
        wrong = check_tally(walker, events, tally, &plan->slots[plan->tallies[i]]);
    }
    return wrong;
}

const char *events_check(walker *walker, const events *events)
{
    int64_t last_s = INT64_MIN;
    if (events->root == NULL || events->n == 0)
        return events->n == 0 ? NULL : "events without a block";
    if (!events->is_directory) {
        const event_block *block = events->root;
        return block->n != events->n ? "the number of events" : check_block(walker, block, &last_s);
    }
    const event_directory *directory = events->root;
    uint32_t n = 0;
    for (uint32_t g = 0; g < directory->n_groups; g++) {
        const char *wrong = check_group(walker, directory->groups[g], &n, &last_s);
        if (wrong != NULL)
            return wrong;
    }
    const char *wrong = n != events->n ? "the number of events" : check_middles(walker, directory);
    return wrong != NULL ? wrong : check_tallies(walker, events);
}
