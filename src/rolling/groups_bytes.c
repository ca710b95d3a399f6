/* groups_bytes.c - the state of one key of groups as bytes, and back: a groups_head, then the
 * events (windows/events_bytes.c).
 */
#include <string.h>

#include "base/error.h"
#include "rolling/groups_internal.h"

#define MAGIC "FKG2"

typedef struct __attribute__((packed)) groups_head {
    saved_head head;
    int64_t after_us; /* as in group_facts */
    int64_t newest_us;
    uint32_t revision;
    uint32_t owes_nulls; /* 1: a row of nulls is due when the windows are empty */
    uint32_t n_events;
    int64_t first_us; /* the time of the oldest */
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
                        .n_events = entry->events.n};
    (void)err; /* a failure shows in the buffer */
    text_append(into, (const char *)&head, sizeof head);
    head.first_us = events_put(&state->walker, &entry->events, into);
    if (!into->failed)
        memcpy(into->bytes + begin, &head, sizeof head);
    saved_seal(into, begin);
    return FRESHET_OK;
}

freshet_code groups_restore(void *self, const state_key *key, void *restored, const void *bytes,
                            size_t length, freshet_error *err)
{
    groups_state *state = self;
    group_entry *entry = restored;
    const unsigned char *at = bytes, *end = at + length;
    groups_head head;
    (void)key;
    freshet_code code =
        saved_check(MAGIC, state->plan->fingerprint, sizeof head, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&head, bytes, sizeof head);
    at += sizeof head;
    entry->facts =
        (group_facts){head.after_us, head.newest_us, head.revision, head.owes_nulls != 0};
    code = events_get(&state->walker, &entry->events, head.n_events, head.first_us, NULL, &at, end,
                      err);
    if (code == FRESHET_OK && at != end) {
        events_release(&state->walker, &entry->events);
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    }
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
    code = events_show(&state->walker, &entry.events, into, err);
    groups_release(state, &entry);
    return code;
}
