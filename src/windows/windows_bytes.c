/* windows_bytes.c - one key's state as bytes, and back; and as JSON, for people: a windows_head,
 * the events (events_bytes.c), the carried cells (cells.h), and the record of a key that is filling
 * (fullness.h): of the slots and columns that the layout says (layouts.h). Of keys that expire the
 * second of the last expiry is behind that.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"
#include "windows/windows_internal.h"

#define MAGIC "FKS3"

enum { SAVED_HAS_LOST = 1, SAVED_IS_FILLING = 2, SAVED_HAS_GIVEN = 4, SAVED_LACKS_NEWEST = 8 };

typedef struct __attribute__((packed)) windows_head {
    saved_head head;
    int64_t newest_us;    /* event time of the key's newest row */
    uint32_t revision;    /* events applied since the newest second last moved */
    uint32_t newest_back; /* events behind the newest row */
    uint32_t n_events;
    uint32_t carried_length;
    int64_t first_s; /* second of the oldest event */
    uint64_t layout;
    uint64_t flags; /* SAVED_... */
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
                         .layout = state->known.id,
                         .flags = (entry->events.has_lost ? SAVED_HAS_LOST : 0) |
                                  (entry->events.is_filling ? SAVED_IS_FILLING : 0) |
                                  (state->given_bytes > 0 ? SAVED_HAS_GIVEN : 0) |
                                  (entry->events.lacks_newest ? SAVED_LACKS_NEWEST : 0)};
    const int64_t given_s = given_of(state, entry);
    text_put(into, &head, sizeof head);
    head.first_s = events_put(walker, &entry->events, into);
    if (entry->carried_length > 0)
        text_put(into, carried_of(state, entry), entry->carried_length);
    if (entry->events.is_filling)
        text_put(into, entry->piece, state->record_bytes);
    text_put(into, &given_s, state->given_bytes);
    if (into->failed)
        return error_memory(err, "saving the state of a key");
    memcpy(into->bytes + begin, &head, sizeof head);
    saved_seal(into, begin);
    return FRESHET_OK;
}

static freshet_code restoring_memory(freshet_error *err)
{
    return error_memory(err, "restoring a key");
}

/* Saved bytes behind the events, and what they become. */
typedef struct windows_tail {
    const kept_layout *layout; /* NULL: the plan's own */
    const unsigned char *carried;
    size_t carried_length;
    const fullness *record; /* of then, NULL: none */
    int64_t newest;         /* of the key's events */
    int64_t given_s;
    bool has_lost;
} windows_tail;

/* Finds them; what is as long as it says lies before `end`. */
static freshet_code find_tail(windows_state *state, const windows_head *head,
                              const unsigned char *at, const unsigned char *end, arena *arena,
                              windows_tail *out, freshet_error *err)
{
    const kept_layout *layout = out->layout;
    size_t record = 0;
    if ((head->flags & SAVED_IS_FILLING) != 0)
        record =
            layout == NULL ? state->record_bytes : fullness_bytes(layout->n_slots, layout->n_pivot);
    const size_t given = (head->flags & SAVED_HAS_GIVEN) != 0 ? sizeof out->given_s : 0;
    if ((size_t)(end - at) != head->carried_length + record + given)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    out->carried = at;
    out->carried_length = head->carried_length;
    out->has_lost = (head->flags & SAVED_HAS_LOST) != 0;
    out->newest = state->options.plain_order ? head->newest_us : second_of(head->newest_us);
    out->given_s = state->settled_s; /* of an earlier version, which had expired all up to it */
    memcpy(&out->given_s, end - given, given);
    if (record == 0)
        return FRESHET_OK;
    fullness *aligned = arena_alloc(arena, record);
    if (aligned == NULL)
        return restoring_memory(err);
    memcpy(aligned, at + head->carried_length, record);
    out->record = aligned;
    return FRESHET_OK;
}

/* The record of now: that of then, or what it becomes in another layout. */
static bool make_record(const windows_state *state, const windows_tail *tail, fullness *into)
{
    if (tail->layout != NULL)
        return fullness_of(
            state->plan, &state->known.reach,
            &(fullness_then){tail->layout, tail->newest, tail->has_lost, tail->record}, into);
    if (tail->record != NULL)
        memcpy(into, tail->record, state->record_bytes);
    return tail->record != NULL;
}

static freshet_code take_tail(windows_state *state, key_entry *entry, const windows_tail *tail,
                              arena *arena, freshet_error *err)
{
    const unsigned char *carried = tail->carried;
    size_t length = tail->carried_length;
    text_buffer converted;
    text_init(&converted, WINDOWS_SAVED_BYTES_MAX);
    freshet_code code = FRESHET_OK;
    if (tail->layout != NULL && !tail->layout->same_carried && !entry->events.lacks_newest) {
        code = layout_convert(tail->layout, state->plan, carried, length, &converted, err);
        carried = (const unsigned char *)converted.bytes;
        length = converted.length;
    }
    fullness *record = arena_zero(arena, 1, state->record_bytes);
    if (code == FRESHET_OK &&
        (record == NULL ||
         !windows_take_piece(state, entry, make_record(state, tail, record), length)))
        code = restoring_memory(err);
    if (code == FRESHET_OK && length > 0)
        memcpy(carried_of(state, entry), carried, length);
    if (code == FRESHET_OK && record != NULL && entry->events.is_filling)
        memcpy(entry->piece, record, state->record_bytes);
    if (code == FRESHET_OK)
        set_given(state, entry, tail->given_s);
    text_release(&converted);
    return code;
}

static freshet_code read_head(const windows_state *state, const void *bytes, size_t length,
                              windows_head *head, windows_tail *tail, freshet_error *err)
{
    freshet_code code =
        saved_check(MAGIC, state->plan->fingerprint, sizeof *head, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(head, bytes, sizeof *head);
    if (head->layout == state->known.id)
        return FRESHET_OK;
    tail->layout = known_find(&state->known, head->layout);
    return tail->layout != NULL ? FRESHET_OK
                                : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                            "the state does not say what the saved state of a key "
                                            "holds");
}

freshet_code windows_restore(void *self, const state_key *key, void *restored, const void *bytes,
                             size_t length, freshet_error *err)
{
    windows_state *state = self;
    walker *walker = &state->walker;
    key_entry *entry = restored;
    const unsigned char *at = bytes, *end = at + length;
    windows_head head;
    windows_tail tail = {0};
    (void)key;
    assert(entry->events.root == NULL && entry->piece == NULL);
    freshet_code code = read_head(state, bytes, length, &head, &tail, err);
    if (code != FRESHET_OK)
        return code;
    at += sizeof head;
    entry->newest_us = head.newest_us;
    entry->revision = head.revision;
    entry->newest_back = head.newest_back;
    entry->events.lacks_newest = (head.flags & SAVED_LACKS_NEWEST) != 0;
    int64_t last_s;
    code = events_get(walker, &entry->events, head.n_events, head.first_s, tail.layout, &at, end,
                      &last_s, err);
    if (tail.layout != NULL && tail.layout->drops)
        entry->newest_back = 0;
    if (code == FRESHET_OK && entry->newest_back > entry->events.n)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    arena *scratch = walker->scratch.arena; /* what events_get had there is done with */
    if (code == FRESHET_OK)
        code = find_tail(state, &head, at, end, scratch, &tail, err);
    const bool drops = tail.layout != NULL && tail.layout->drops && head.n_events > 0;
    entry->events.has_lost = tail.has_lost || drops; /* it still has a newest row */
    if (code == FRESHET_OK)
        code = take_tail(state, entry, &tail, scratch, err);
    if (code != FRESHET_OK)
        events_release(walker, &entry->events);
    state->n_events += entry->events.n;
    return code;
}

freshet_code windows_newest_of(const void *bytes, size_t length, int64_t *newest_us,
                               uint32_t *revision, freshet_error *err)
{
    windows_head head = {.newest_us = 0};
    if (length >= sizeof head)
        memcpy(&head, bytes, sizeof head);
    freshet_code code = saved_check(MAGIC, head.head.fingerprint, sizeof head, bytes, length, err);
    if (code == FRESHET_OK) {
        *newest_us = head.newest_us;
        *revision = head.revision;
    }
    return code;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* Had the row that column, in the layout that it was saved in (NULL: the plan's own)? */
static bool has_carried(const kept_layout *layout, const field *field)
{
    for (uint32_t i = 0; layout != NULL && i < layout->carried.n_fields; i++) {
        const struct field *then = &layout->carried.fields[i];
        if (strcmp(then->name, field->name) == 0 && type_equal(then->type, field->type))
            return true;
    }
    return layout == NULL;
}

static freshet_code append_carried(const windows_state *state, const key_entry *entry,
                                   const kept_layout *layout, arena *arena, text_buffer *into,
                                   freshet_error *err)
{
    const unsigned char *at = carried_of(state, entry), *end = at + entry->carried_length;
    const windows_plan *plan = state->plan;
    freshet_code code = FRESHET_OK;
    const char *before = "";
    text_buffer cell;
    text_init(&cell, TEXT_LIMIT_DEFAULT);
    text_append_c(into, ", \"row\": {");
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_carried; i++) {
        const field *field = &plan->columns.fields[plan->carried[i]];
        text_reset(&cell);
        code = cells_show(arena, field->name, field->type, &at, end, &cell, err);
        into->failed |= cell.failed;
        if (code != FRESHET_OK || cell.failed || !has_carried(layout, field))
            continue;
        text_append_c(into, before);
        text_append(into, cell.bytes, cell.length);
        before = ", ";
    }
    text_append_c(into, "}");
    text_release(&cell);
    return code;
}

/* The layout that the bytes have, where it is not the plan's own. */
static const kept_layout *layout_of(windows_state *state, const void *bytes, size_t length)
{
    windows_head head;
    windows_tail tail = {0};
    return read_head(state, bytes, length, &head, &tail, NULL) == FRESHET_OK ? tail.layout : NULL;
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
    const fullness *record = entry.events.is_filling ? fullness_at(&entry) : NULL;
    code = events_show(&state->walker, &entry.events, record == NULL ? NULL : record->since, into,
                       err);
    if (code == FRESHET_OK && record != NULL)
        fullness_show(state->plan, record, into);
    if (code == FRESHET_OK && entry.events.lacks_newest)
        text_append_c(into, ", \"row\": null");
    else if (code == FRESHET_OK)
        code = append_carried(state, &entry, layout_of(state, bytes, length), arena, into, err);
    windows_release(state, &entry);
    return code;
}
