/* groups_bytes.c - the state of one key of groups as bytes, and back: a groups_head, then the
 * events (windows/events_bytes.c), then the record of a key that is filling (windows/fullness.h),
 * of the slots that the layout says (windows/layouts.h).
 */
#include <string.h>

#include "base/error.h"
#include "rolling/groups_internal.h"

#define MAGIC "FKG3"

enum { SAVED_IS_FILLING = 1 };

typedef struct __attribute__((packed)) groups_head {
    saved_head head;
    int64_t after_us; /* as in group_facts */
    int64_t newest_us;
    uint32_t revision;
    uint32_t owes_nulls; /* 1: a row of nulls is due when the windows are empty */
    uint32_t n_events;
    int64_t first_us; /* the time of the oldest */
    uint64_t layout;
    uint64_t flags; /* SAVED_... */
} groups_head;

freshet_code groups_save(void *self, const void *saved, text_buffer *into, freshet_error *err)
{
    const groups_state *state = self;
    const group_entry *entry = saved;
    const group_facts *facts = &entry->facts;
    const size_t begin = into->length;
    groups_head head = {.head = {MAGIC, 0, state->plan->fingerprint},
                        .after_us = facts->after_us,
                        .newest_us = facts->newest_us,
                        .revision = facts->revision,
                        .owes_nulls = facts->owes_nulls,
                        .n_events = entry->events.n,
                        .layout = state->known.id,
                        .flags = entry->record == NULL ? 0 : SAVED_IS_FILLING};
    (void)err; /* a failure shows in the buffer */
    text_append(into, (const char *)&head, sizeof head);
    head.first_us = events_put(&state->walker, &entry->events, into);
    if (entry->record != NULL)
        text_append(into, (const char *)entry->record, groups_record_bytes(state));
    if (!into->failed)
        memcpy(into->bytes + begin, &head, sizeof head);
    saved_seal(into, begin);
    return FRESHET_OK;
}

/* What was saved of a key behind its events, and what it becomes. */
static freshet_code take_record(groups_state *state, group_entry *entry, const groups_head *head,
                                const kept_layout *layout, int64_t last_us, const unsigned char *at,
                                size_t length, freshet_error *err)
{
    const size_t bytes = groups_record_bytes(state);
    const size_t saved = (head->flags & SAVED_IS_FILLING) == 0 ? 0
                         : layout == NULL                      ? bytes
                                          : fullness_bytes(layout->n_slots, layout->n_pivot);
    if (length != saved)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    if (saved == 0 && (layout == NULL || head->n_events == 0))
        return FRESHET_OK;
    arena *scratch = state->walker.scratch.arena;
    fullness *then = arena_alloc(scratch, saved), *record = memory_take(&state->memory, bytes);
    if (then == NULL || record == NULL) {
        memory_give(&state->memory, record, record == NULL ? 0 : bytes);
        return error_memory(err, "restoring a key");
    }
    memcpy(then, at, saved);
    bool fills = layout == NULL;
    if (layout == NULL)
        memcpy(record, then, bytes);
    else
        fills =
            fullness_of(state->plan->events, &state->known.reach,
                        &(fullness_then){layout, last_us, false, saved == 0 ? NULL : then}, record);
    entry->record = fills ? record : NULL;
    if (!fills)
        memory_give(&state->memory, record, bytes);
    return FRESHET_OK;
}

/* What the declaration of now makes of them. */
static group_facts take_facts(const groups_state *state, const groups_head *head)
{
    group_facts facts = {head->after_us, head->newest_us, head->revision,
                         head->owes_nulls != 0 && state->plan->declaration.nulls_on_expiry};
    if (!state->plan->is_grid && facts.after_us < state->slid_us)
        facts.after_us = state->slid_us;
    return facts;
}

freshet_code groups_restore(void *self, const state_key *key, void *restored, const void *bytes,
                            size_t length, freshet_error *err)
{
    groups_state *state = self;
    group_entry *entry = restored;
    const unsigned char *at = bytes, *end = at + length;
    groups_head head;
    int64_t last_us;
    (void)key;
    freshet_code code =
        saved_check(MAGIC, state->plan->fingerprint, sizeof head, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&head, bytes, sizeof head);
    at += sizeof head;
    const kept_layout *layout =
        head.layout == state->known.id ? NULL : known_find(&state->known, head.layout);
    if (head.layout != state->known.id && layout == NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the state does not say what the saved state of a key holds");
    entry->facts = take_facts(state, &head);
    code = events_get(&state->walker, &entry->events, head.n_events, head.first_us, layout, &at,
                      end, &last_us, err);
    if (code == FRESHET_OK)
        code = take_record(state, entry, &head, layout, last_us, at, (size_t)(end - at), err);
    if (code != FRESHET_OK)
        events_release(&state->walker, &entry->events);
    state->n_events += entry->events.n;
    return code;
}

freshet_code groups_inspect(void *self, arena *arena, const void *bytes, size_t length,
                            text_buffer *into, freshet_error *err)
{
    groups_state *state = self;
    group_entry entry = {.events = {0}};
    (void)arena;
    freshet_code code = groups_restore(state, NULL, &entry, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    if (entry.facts.after_us > -GROUPS_TIME_MAX) {
        text_append_c(into, ", \"closed\": \"");
        text_append_timestamp(into, entry.facts.after_us);
        text_append_char(into, '"');
    }
    code = events_show(&state->walker, &entry.events,
                       entry.record == NULL ? NULL : entry.record->since, into, err);
    if (code == FRESHET_OK && entry.record != NULL)
        fullness_show(state->walker.plan, entry.record, into);
    groups_release(state, &entry);
    return code;
}
