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
        code = events_show(&walker, &entry.events, into, err);
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
