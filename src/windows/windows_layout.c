/* windows_layout.c - which columns are carried with a key, and how saved ones become those of now.
 *
 * A declaration may get another plain feature, or lose one, while its state stays: then keys that
 * were saved carry other columns than the plan wants. Each saved key says its layout, by the hash
 * of its text, which is a line for each carried column:
 *
 *     TYPE, a tab, bytes of the name, a tab, NAME, the line's end
 *
 * The store keeps these texts, and tells of all at the start. A key of another layout gets the
 * present one when it is restored: columns of the same name and type are taken over, others are
 * null until the key's next row.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"
#include "windows/windows_internal.h"

#define KNOWING "noting the columns of saved rows"

static uint64_t layout_id(const char *text)
{
    return hash_bytes(text, strlen(text), HASH_A);
}

freshet_code windows_layout_open(windows_state *state, freshet_error *err)
{
    const windows_plan *plan = state->plan;
    text_buffer text;
    state->kept = arena_open();
    if (state->kept == NULL)
        return error_memory(err, KNOWING);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "");
    for (uint32_t i = 0; i < plan->n_carried; i++) {
        const field *field = &plan->columns.fields[plan->carried[i]];
        const char *type = type_name(state->kept, field->type);
        text.failed |= type == NULL;
        if (type != NULL)
            text_format(&text, "%s\t%zu\t%s\n", type, strlen(field->name), field->name);
    }
    state->part.layout =
        text.failed ? NULL
                    : arena_copy(state->kept, text.bytes == NULL ? "" : text.bytes, text.length);
    text_release(&text);
    if (state->part.layout == NULL)
        return error_memory(err, KNOWING);
    state->layout = layout_id(state->part.layout);
    return FRESHET_OK;
}

/* Takes one line from *at; false where there is no such line. */
static bool take_field(arena *arena, const char **at, field *out)
{
    const char *tab = strchr(*at, '\t');
    char *end;
    if (tab == NULL)
        return false;
    const char *type = arena_copy(arena, *at, (size_t)(tab - *at));
    const size_t length = strtoul(tab + 1, &end, 10);
    if (type == NULL || *end != '\t' || strlen(end + 1) < length + 1 || end[1 + length] != '\n')
        return false;
    out->type = type_parse(arena, type);
    out->name = arena_copy(arena, end + 1, length);
    *at = end + 1 + length + 1;
    return out->type != NULL && out->name != NULL;
}

freshet_code windows_layout_know(void *self, const char *layout, freshet_error *err)
{
    windows_state *state = self;
    const uint64_t id = layout_id(layout);
    if (id == state->layout)
        return FRESHET_OK;
    windows_layout *known = arena_zero(state->kept, 1, sizeof *known);
    field *fields = arena_zero(state->kept, strlen(layout) + 1, sizeof *fields);
    if (known == NULL || fields == NULL)
        return error_memory(err, KNOWING);
    uint32_t n = 0;
    for (const char *at = layout; *at != '\0'; n++)
        if (!take_field(state->kept, &at, &fields[n]))
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                             "what the state says of the columns of saved rows is damaged");
    *known = (windows_layout){.id = id, .columns = {n, fields}, .next = state->layouts};
    state->layouts = known;
    return FRESHET_OK;
}

/* The cells as columns of one row. */
static freshet_code read_cells(arena *arena, const schema *columns, const unsigned char *at,
                               size_t length, column **out, freshet_error *err)
{
    const unsigned char *end = at + length;
    column *cells = arena_zero(arena, columns->n_fields + (size_t)1, sizeof *cells);
    freshet_code code = cells == NULL ? error_memory(err, KNOWING) : FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < columns->n_fields; i++) {
        code = column_init(arena, &cells[i], columns->fields[i].type, 1, err);
        if (code == FRESHET_OK)
            code = cells_get(arena, &at, end, &cells[i], 0, err);
    }
    *out = cells;
    return code;
}

static void put_cells(const windows_plan *plan, const schema *then, const column *cells,
                      text_buffer *into)
{
    for (uint32_t i = 0; i < plan->n_carried; i++) {
        const field *field = &plan->columns.fields[plan->carried[i]];
        const int64_t found = schema_find(then, field->name);
        if (found >= 0 && type_equal(then->fields[found].type, field->type))
            cells_put(into, &cells[found], 0, false);
        else
            text_append_char(into, 0); /* null */
    }
}

freshet_code windows_layout_convert(const windows_state *state, uint64_t layout,
                                    const unsigned char *at, size_t length, text_buffer *into,
                                    freshet_error *err)
{
    const windows_layout *known = state->layouts;
    while (known != NULL && known->id != layout)
        known = known->next;
    if (known == NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the state does not say which columns the saved row of a key has");
    column *cells = NULL;
    arena *arena = arena_open();
    freshet_code code = arena == NULL ? error_memory(err, KNOWING)
                                      : read_cells(arena, &known->columns, at, length, &cells, err);
    if (code == FRESHET_OK)
        put_cells(state->plan, &known->columns, cells, into);
    arena_close(arena);
    return code == FRESHET_OK && into->failed ? error_memory(err, KNOWING) : code;
}
