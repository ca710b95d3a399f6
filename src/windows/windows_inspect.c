/* windows_inspect.c - a key's saved bytes as JSON, for people: windows_inspect; see windows_state.h. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"
#include "windows/windows_internal.h"

#define INSPECTING "showing the state of a key"

/* `"name": value`; a failure shows in into->failed. */
static void append_member(text_buffer *into, const char *name, const column *column, uint64_t row)
{
    freshet_error ignored; /* memory only, which the buffer remembers */
    text_append_json(into, name, strlen(name));
    text_append_c(into, ": ");
    if (column_to_json(column, row, into, &ignored) != FRESHET_OK)
        into->failed = true;
}

static freshet_code append_key(const windows_plan *plan, const char *const *names, arena *arena,
                               const unsigned char *at, size_t length, text_buffer *into,
                               freshet_error *err)
{
    const unsigned char *end = at + length;
    text_append_c(into, "{\"key\": {");
    for (uint32_t i = 0; i < plan->n_keys; i++) {
        text_append_c(into, i == 0 ? "" : ", ");
        freshet_code code = cells_show(arena, names[i], plan->keys[i], &at, end, into, err);
        if (code != FRESHET_OK)
            return code;
    }
    text_append_c(into, "}");
    return FRESHET_OK;
}

static void append_time(text_buffer *into, const char *name, int64_t time_us)
{
    text_format(into, ", \"%s\": \"", name);
    text_append_timestamp(into, time_us);
    text_append_c(into, "\"");
}

/* One event: its second, and the value of each slot. */
static freshet_code append_event(const walker *walker, const event_block *block, uint32_t i,
                                 arena *arena, text_buffer *into, freshet_error *err)
{
    const windows_plan *plan = walker->plan;
    int64_t second = event_time(walker, block, i);
    text_append_c(into, "{\"second\": \"");
    text_append_timestamp(into, second * 1000000);
    text_append_c(into, "\"");
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        if (slot->values == WINDOWS_NONE)
            continue;
        const char *name = plan->columns.fields[slot->values].name;
        bool valid = (block->valid[s] >> i & 1) != 0;
        text_append_c(into, ", ");
        if (slot->cell == 0) { /* only counted */
            text_append_json(into, name, strlen(name));
            text_append_c(into, valid ? ": true" : ": null");
            continue;
        }
        column cell;
        freshet_code code = column_init(arena, &cell, slot->type, 1, err);
        if (code != FRESHET_OK)
            return code;
        if (valid)
            memcpy(cell.data,
                   (const char *)block_cells(walker, block, slot) + (size_t)i * slot->cell,
                   slot->cell);
        else if (!column_set_null(arena, &cell, 0))
            return error_memory(err, INSPECTING);
        append_member(into, name, &cell, 0);
    }
    text_append_c(into, "}");
    return FRESHET_OK;
}

static freshet_code append_events(const walker *walker, const events *events, arena *arena,
                                  text_buffer *into, freshet_error *err)
{
    event_place cursor = {0};
    const event_block *block;
    const char *before = ", \"events\": [";
    while (events->n > 0 && (block = events_block(events, &cursor)) != NULL)
        for (uint32_t i = 0; i < block->n; i++) {
            text_append_c(into, before);
            before = ", ";
            freshet_code code = append_event(walker, block, i, arena, into, err);
            if (code != FRESHET_OK)
                return code;
        }
    text_append_c(into, events->n > 0 ? "]" : ", \"events\": []");
    return FRESHET_OK;
}

static freshet_code append_carried(const windows_plan *plan, const key_entry *entry, arena *arena,
                                   text_buffer *into, freshet_error *err)
{
    const unsigned char *at = entry->carried, *end = at + entry->carried_length;
    text_append_c(into, ", \"row\": {");
    for (uint32_t i = 0; i < plan->n_carried; i++) {
        const field *field = &plan->columns.fields[plan->carried[i]];
        column cell;
        freshet_code code = column_init(arena, &cell, field->type, 1, err);
        if (code == FRESHET_OK)
            code = cells_get(arena, &at, end, &cell, 0, err);
        if (code != FRESHET_OK)
            return code;
        if (i > 0)
            text_append_c(into, ", ");
        append_member(into, field->name, &cell, 0);
    }
    text_append_c(into, "}}");
    return FRESHET_OK;
}

freshet_code windows_inspect(const windows_plan *plan, const char *const *names, const void *key,
                             size_t key_length, const void *bytes, size_t length, text_buffer *into,
                             freshet_error *err)
{
    windows_memory memory = {.fail_after = -1};
    walker walker;
    key_entry entry = {0};
    arena *arena = arena_open();
    if (arena == NULL)
        return error_memory(err, INSPECTING);
    freshet_code code = walker_init(&walker, plan, &memory, err);
    if (code == FRESHET_OK)
        code = entry_restore(&walker, &entry, bytes, length, err);
    if (code == FRESHET_OK)
        code = append_key(plan, names, arena, key, key_length, into, err);
    if (code == FRESHET_OK) {
        append_time(into, "newest", entry.newest_us);
        text_format(into, ", \"revision\": %" PRIu32, entry.revision);
        code = append_events(&walker, &entry.events, arena, into, err);
    }
    if (code == FRESHET_OK)
        code = append_carried(plan, &entry, arena, into, err);
    if (code == FRESHET_OK && into->failed)
        code = error_memory(err, INSPECTING);
    events_release(&walker, &entry.events);
    memory_give(&memory, entry.carried, entry.carried_length);
    walker_release(&walker);
    arena_close(arena);
    return code;
}
