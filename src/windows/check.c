/* check.c - the invariants of a key's events, each stated once: events_check. */
#include <string.h>

#include "windows/events_internal.h"

static const char *check_block(const walker *walker, const event_block *block, int64_t *last_s)
{
    if (block->n == 0 || block->n > block->capacity || block->capacity > EVENT_BLOCK_MAX)
        return "the number of events in a block";
    for (uint32_t i = 0; i < block->n; i++) {
        if (second_at(walker, block, i) < *last_s)
            return "the order of events";
        *last_s = second_at(walker, block, i);
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

static const char *check_middles(walker *walker, const event_directory *directory)
{
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++) {
        const event_middle *middle = &directory->middles[i];
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
    return n != events->n ? "the number of events" : check_middles(walker, directory);
}
