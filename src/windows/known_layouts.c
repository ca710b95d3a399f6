/* known_layouts.c - see known_layouts.h. */
#include "windows/known_layouts.h"

#include <string.h>

#include "base/error.h"

#define KNOWING "noting what saved keys hold"
#define TEXT_ROOM 2 /* a plan that is split has at most twice the slots */
#define NUMBER_ROOM 48

static freshet_code note_own(known_layouts *known, freshet_error *err)
{
    const char *text = layout_text(known->arena, known->plan, &known->numbers, &known->reach);
    if (text == NULL)
        return error_memory(err, KNOWING);
    const size_t length = strlen(text);
    if (known->text == NULL) { /* the part is copied by its user: the text stays where it is */
        size_t room = length + 1 + NUMBER_ROOM;
        for (const char *c = text; *c != '\0'; c++)
            room += *c == '\n' ? NUMBER_ROOM : 0;
        known->text = arena_zero(known->arena, TEXT_ROOM, room);
    }
    if (known->text == NULL)
        return error_memory(err, KNOWING);
    memcpy(known->text, text, length + 1);
    known->id = layout_id(text);
    return FRESHET_OK;
}

freshet_code known_open(known_layouts *known, const windows_plan *plan, const layout_reach *reach,
                        freshet_error *err)
{
    *known =
        (known_layouts){.arena = arena_open(),
                        .plan = plan,
                        .reach = *reach,
                        .numbers = {.declared = 1, .since = LAYOUT_ALWAYS, .whole = LAYOUT_ALWAYS}};
    return known->arena == NULL ? error_memory(err, KNOWING) : note_own(known, err);
}

void known_close(known_layouts *known)
{
    arena_close(known->arena);
    *known = (known_layouts){0};
}

/* What has been filled is known from ever on. */
static void forget_since(const known_layouts *known, kept_layout *layout)
{
    for (uint32_t i = 0; i < layout->n_slots; i++)
        if (layout->slots[i].number <= known->filled)
            layout->slots[i].since = LAYOUT_ALWAYS;
    for (uint32_t q = 0; q < layout->n_pivot; q++)
        if (layout->pivot[q].number <= known->filled)
            layout->pivot[q].since = LAYOUT_ALWAYS;
    if (known->filled > 0) {
        layout->whole = LAYOUT_ALWAYS;
        layout->rows = LAYOUT_ALL_ROWS;
    }
}

freshet_code known_evolve(known_layouts *known, const char *last, uint64_t declared, int64_t newest,
                          const kept_layout **out, freshet_error *err)
{
    kept_layout *layout = NULL;
    freshet_code code = last == NULL ? FRESHET_OK : layout_read(known->arena, last, &layout, err);
    if (code != FRESHET_OK)
        return code;
    if (layout != NULL)
        forget_since(known, layout);
    const bool is_time = newest != INT64_MAX && newest != LAYOUT_ALWAYS;
    const int64_t since = is_time ? newest + 1 : newest;
    known->numbers = (layout_numbers){.last = layout,
                                      .declared = declared,
                                      .since = layout == NULL ? LAYOUT_ALWAYS : since,
                                      .whole = since};
    if (layout != NULL)
        code = layout_match(known->arena, layout, known->plan, &known->numbers, err);
    *out = layout;
    return code == FRESHET_OK ? note_own(known, err) : code;
}

static freshet_code split_known(known_layouts *known, const windows_split *splits, uint32_t n,
                                freshet_error *err)
{
    windows_plan *plan = NULL;
    freshet_code code = layout_split_plan(known->arena, known->plan, splits, n, &plan, err);
    if (code != FRESHET_OK)
        return code;
    known->plan = plan;
    for (kept_layout *other = known->others; code == FRESHET_OK && other != NULL;
         other = other->next)
        code = layout_match(known->arena, other, plan, &known->numbers, err);
    return code == FRESHET_OK ? note_own(known, err) : code;
}

/* Also one that is the plan's own: it may not stay so. */
freshet_code known_tell(known_layouts *known, const char *text, freshet_error *err)
{
    const windows_declaration *declaration = known->plan->declaration;
    kept_layout *other = NULL;
    windows_split *splits = arena_zero(
        known->arena, declaration->n_splits + known->plan->n_slots + (size_t)1, sizeof *splits);
    if (splits == NULL)
        return error_memory(err, KNOWING);
    freshet_code code = layout_read(known->arena, text, &other, err);
    if (code == FRESHET_OK)
        code = layout_match(known->arena, other, known->plan, &known->numbers, err);
    if (code != FRESHET_OK)
        return code;
    other->next = known->others;
    known->others = other;
    if (declaration->n_splits > 0)
        memcpy(splits, declaration->splits, declaration->n_splits * sizeof *splits);
    const uint32_t n =
        layout_splits(other, known->plan, &known->numbers, splits, declaration->n_splits);
    return n == declaration->n_splits ? FRESHET_OK : split_known(known, splits, n, err);
}

const kept_layout *known_find(const known_layouts *known, uint64_t id)
{
    const kept_layout *other = known->others;
    while (other != NULL && other->id != id)
        other = other->next;
    return other;
}

void known_lend(known_layouts *known, kept_layout *layout)
{
    layout->next = known->others;
    known->others = layout;
}

void known_take_back(known_layouts *known)
{
    known->others = known->others->next;
}
