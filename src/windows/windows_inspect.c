/* windows_inspect.c - a key's saved bytes as JSON, for people. */
#include <inttypes.h>

#include "keyed/cells.h"
#include "windows/windows_internal.h"

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

freshet_code entry_inspect(walker *walker, arena *arena, const void *bytes, size_t length,
                           text_buffer *into, freshet_error *err)
{
    key_entry entry = {0};
    freshet_code code = entry_restore(walker, &entry, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    text_append_c(into, ", \"newest\": \"");
    text_append_timestamp(into, entry.newest_us);
    text_format(into, "\", \"revision\": %" PRIu32, entry.revision);
    code = events_show(walker, &entry.events, into, err);
    if (code == FRESHET_OK)
        code = append_carried(walker->plan, &entry, arena, into, err);
    events_release(walker, &entry.events);
    memory_give(walker->memory, entry.carried, entry.carried_length);
    return code;
}
