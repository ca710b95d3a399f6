/* windows_bytes.c - one key's state as bytes, and back; and as JSON, for people: a windows_head,
 * the events (events_bytes.c), then the carried cells (cells.h) of the columns that the layout
 * says (windows_layout.c).
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"
#include "windows/windows_internal.h"

#define MAGIC "FKS2"

typedef struct __attribute__((packed)) windows_head {
    saved_head head;
    int64_t newest_us;    /* event time of the key's newest row */
    uint32_t revision;    /* events applied since the newest second last moved */
    uint32_t newest_back; /* events behind the newest row */
    uint32_t n_events;
    uint32_t carried_length;
    int64_t first_s; /* second of the oldest event */
    uint64_t layout; /* of the carried cells */
} windows_head;

freshet_code windows_save(void *self, const void *saved, text_buffer *into, freshet_error *err)
{
    const windows_state *state = self;
    const walker *walker = &state->walker;
    const key_entry *entry = saved;
    const size_t begin = into->length;
    windows_head head = {.head = {MAGIC, 0, walker->plan->fingerprint},
                         .newest_us = entry->newest_us,
                         .revision = entry->revision,
                         .newest_back = entry->newest_back,
                         .n_events = entry->events.n,
                         .carried_length = entry->carried_length,
                         .layout = state->layout};
    text_append(into, (const char *)&head, sizeof head);
    head.first_s = events_put(walker, &entry->events, into);
    text_append(into, (const char *)entry->carried, entry->carried_length);
    if (into->failed)
        return error_memory(err, "saving the state of a key");
    memcpy(into->bytes + begin, &head, sizeof head);
    saved_seal(into, begin);
    return FRESHET_OK;
}

static freshet_code take_carried(walker *walker, key_entry *entry, const void *at, size_t length,
                                 freshet_error *err)
{
    if (length == 0)
        return FRESHET_OK;
    entry->carried = memory_take(walker->memory, length);
    if (entry->carried == NULL)
        return error_memory(err, "restoring a key");
    memcpy(entry->carried, at, length);
    entry->carried_length = (uint32_t)length;
    return FRESHET_OK;
}

static freshet_code restore_carried(windows_state *state, key_entry *entry, uint64_t layout,
                                    const unsigned char *at, size_t length, freshet_error *err)
{
    if (layout == state->layout)
        return take_carried(&state->walker, entry, at, length, err);
    text_buffer converted;
    text_init(&converted, WINDOWS_SAVED_BYTES_MAX);
    freshet_code code = windows_layout_convert(state, layout, at, length, &converted, err);
    if (code == FRESHET_OK)
        code = take_carried(&state->walker, entry, converted.bytes, converted.length, err);
    text_release(&converted);
    return code;
}

freshet_code windows_restore(void *self, const state_key *key, void *restored, const void *bytes,
                             size_t length, freshet_error *err)
{
    windows_state *state = self;
    walker *walker = &state->walker;
    key_entry *entry = restored;
    const unsigned char *at = bytes, *end = at + length;
    windows_head head;
    (void)key;
    assert(entry->events.root == NULL && entry->carried == NULL);
    freshet_code code =
        saved_check(MAGIC, walker->plan->fingerprint, sizeof head, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&head, bytes, sizeof head);
    at += sizeof head;
    entry->newest_us = head.newest_us;
    entry->revision = head.revision;
    entry->newest_back = head.newest_back;
    code = events_get(walker, &entry->events, head.n_events, head.first_s, &at, end, err);
    if (code == FRESHET_OK &&
        ((size_t)(end - at) != head.carried_length || entry->newest_back > entry->events.n))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    if (code == FRESHET_OK)
        code = restore_carried(state, entry, head.layout, at, head.carried_length, err);
    if (code != FRESHET_OK)
        events_release(walker, &entry->events);
    state->n_events += entry->events.n;
    return code;
}

/* ---- for people ------------------------------------------------------------------------------ */

static freshet_code append_carried(const windows_plan *plan, const key_entry *entry, arena *arena,
                                   text_buffer *into, freshet_error *err)
{
    const unsigned char *at = entry->carried, *end = at + entry->carried_length;
    freshet_code code = FRESHET_OK;
    text_append_c(into, ", \"row\": {");
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_carried; i++) {
        const field *field = &plan->columns.fields[plan->carried[i]];
        text_append_c(into, i == 0 ? "" : ", ");
        code = cells_show(arena, field->name, field->type, &at, end, into, err);
    }
    text_append_c(into, "}");
    return code;
}

freshet_code windows_inspect(void *self, arena *arena, const void *bytes, size_t length,
                             text_buffer *into, freshet_error *err)
{
    windows_state *state = self;
    key_entry entry = {0};
    freshet_code code = windows_restore(state, NULL, &entry, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    text_append_c(into, ", \"newest\": \"");
    text_append_timestamp(into, entry.newest_us);
    text_format(into, "\", \"revision\": %" PRIu32, entry.revision);
    code = events_show(&state->walker, &entry.events, into, err);
    if (code == FRESHET_OK)
        code = append_carried(state->plan, &entry, arena, into, err);
    windows_release(state, &entry);
    return code;
}
