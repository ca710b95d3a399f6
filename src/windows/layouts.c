/* layouts.c - see layouts.h. */
#include "windows/layouts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"

#define KNOWING "noting what saved keys hold"
#define HEAD "kept\t"

static const char *const words[LAYOUT_WORDS] = {
    [LAYOUT_VALUE] = "value",     [LAYOUT_THERE] = "there",   [LAYOUT_ROW] = "row",
    [LAYOUT_PIVOT] = "pivot",     [LAYOUT_SUBSET] = "subset", [LAYOUT_IS] = "is",
    [LAYOUT_CARRIED] = "carried",
};

uint64_t layout_id(const char *text)
{
    return hash_bytes(text, strlen(text), HASH_A);
}

/* ---- what a plan keeps ----------------------------------------------------------------------- */

static const char *layout_name(const windows_plan *plan, uint32_t column)
{
    const char *name = plan->columns.fields[column].name;
    return name == NULL ? "" : name;
}

/* "id bigint, kind string"; NULL where memory is out. */
static const char *subset_name(arena *arena, const windows_plan *plan)
{
    const char *made = "";
    for (uint32_t i = 0; made != NULL && i < plan->n_distinct; i++) {
        const type *type = plan->columns.fields[plan->distinct[i]].type;
        const char *name = type_name(arena, type);
        made = name == NULL ? NULL
                            : arena_format(arena, "%s%s%s %s", made, i == 0 ? "" : ", ",
                                           layout_name(plan, plan->distinct[i]), name);
    }
    return made;
}

static bool is_alike(const layout_line *a, const layout_line *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->filter, b->filter) == 0 &&
           type_equal(a->type, b->type);
}

/* The line that is such a thing, of any number. */
static const layout_line *find_alike(const kept_layout *layout, const layout_line *wanted,
                                     layout_word word)
{
    for (uint32_t i = 0; i < layout->n_slots; i++)
        if (layout->slots[i].word == word && is_alike(&layout->slots[i], wanted))
            return &layout->slots[i];
    return NULL;
}

/* The last layout's line of the thing; NULL: it is new. */
static const layout_line *last_line(const layout_numbers *numbers, const layout_line *wanted)
{
    if (numbers->last == NULL)
        return NULL;
    const layout_line *line = find_alike(numbers->last, wanted, wanted->word);
    return line == NULL && wanted->word == LAYOUT_THERE
               ? find_alike(numbers->last, wanted, LAYOUT_VALUE)
               : line;
}

static void set_number(const layout_numbers *numbers, const layout_line *last, layout_line *line)
{
    line->number = last == NULL ? numbers->declared : last->number;
    line->since = last == NULL ? numbers->since : last->since;
}

/* A value of the pivot. */
static void describe_part(const layout_numbers *numbers, const windows_plan *plan, uint32_t part,
                          layout_line *out)
{
    const layout_line column = {.word = LAYOUT_PIVOT,
                                .name = plan->columns.fields[plan->pivot->column].name,
                                .filter = "",
                                .type = plan->columns.fields[plan->pivot->column].type};
    const layout_line *last = NULL;
    *out = (layout_line){.word = LAYOUT_IS,
                         .name = plan->pivot->names[part],
                         .filter = "",
                         .type = type_simple(TYPE_STRING)};
    if (last_line(numbers, &column) != NULL)
        for (uint32_t q = 0; q < numbers->last->n_pivot; q++)
            if (strcmp(numbers->last->pivot[q].name, out->name) == 0)
                last = &numbers->last->pivot[q];
    set_number(numbers, last, out);
}

/* What slot i is, in words; false where memory is out. */
static bool describe_slot(arena *arena, const windows_plan *plan, const layout_numbers *numbers,
                          uint32_t i, layout_line *out)
{
    const window_slot *slot = &plan->slots[i];
    *out = (layout_line){.name = "", .filter = "", .type = slot->type};
    if (i == plan->row_slot) {
        out->word = LAYOUT_ROW;
    } else if (i == plan->subset_slot) {
        out->word = LAYOUT_SUBSET;
        out->name = subset_name(arena, plan);
    } else if (i == plan->pivot_slot) {
        out->word = LAYOUT_PIVOT;
        out->name = layout_name(plan, plan->pivot->column);
        out->type = plan->columns.fields[plan->pivot->column].type;
    } else {
        out->word = slot->cell == 0 ? LAYOUT_THERE : LAYOUT_VALUE;
        out->name = layout_name(plan, slot->values);
        if (slot->filter != WINDOWS_NO_FILTER)
            out->filter = layout_name(plan, slot->filter);
    }
    if (out->name == NULL)
        return false;
    set_number(numbers, last_line(numbers, out), out);
    return true;
}

static void layout_put_line(arena *arena, const layout_line *line, text_buffer *into)
{
    const char *type = type_name(arena, line->type);
    into->failed |= type == NULL;
    if (type != NULL)
        text_format(into, "%s\t%" PRIu64 "\t%" PRId64 "\t%s\t%zu\t%s\t%zu\t%s\n", words[line->word],
                    line->number, line->since, type, strlen(line->name), line->name,
                    strlen(line->filter), line->filter);
}

const char *layout_text(arena *arena, const windows_plan *plan, const layout_numbers *numbers,
                        const layout_reach *reach)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    const int64_t rows = layout_whole_rows(numbers, reach);
    text_format(&text, HEAD "%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64, reach->longest_s,
                reach->longest_rows, reach->lateness_s, layout_whole(numbers, reach));
    if (rows != LAYOUT_ALL_ROWS)
        text_format(&text, "\t%" PRId64, rows);
    text_append_char(&text, '\n');
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        layout_line line;
        text.failed |= !describe_slot(arena, plan, numbers, i, &line);
        if (!text.failed)
            layout_put_line(arena, &line, &text);
    }
    for (uint32_t i = 0; i < plan->n_carried; i++)
        layout_put_line(arena,
                        &(layout_line){LAYOUT_CARRIED, 0, 0, layout_name(plan, plan->carried[i]),
                                       "", plan->columns.fields[plan->carried[i]].type},
                        &text);
    for (uint32_t p = 0; plan->pivot != NULL && p < plan->pivot->n_values; p++) {
        layout_line line;
        describe_part(numbers, plan, p, &line);
        layout_put_line(arena, &line, &text);
    }
    const char *made = text_keep(&text, arena);
    return made;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Takes a text up to the tab; NULL where there is none. */
static const char *layout_take_word(arena *arena, const char **at)
{
    const char *tab = strchr(*at, '\t');
    if (tab == NULL)
        return NULL;
    const char *word = arena_copy(arena, *at, (size_t)(tab - *at));
    *at = tab + 1;
    return word;
}

/* Takes a length, a tab, as many bytes, and what ends them. */
static const char *layout_take_text(arena *arena, const char **at, char ends)
{
    char *end;
    const size_t length = strtoul(*at, &end, 10);
    if (end == *at || *end != '\t' || strnlen(end + 1, length) < length || end[1 + length] != ends)
        return NULL;
    *at = end + 1 + length + 1;
    return arena_copy(arena, end + 1, length);
}

static bool layout_take_number(const char **at, char ends, int64_t *out)
{
    char *end;
    *out = strtoll(*at, &end, 10);
    if (end == *at || *end != ends)
        return false;
    *at = end + 1;
    return true;
}

static bool layout_take_line(arena *arena, const char **at, layout_line *out)
{
    const char *word = layout_take_word(arena, at);
    int64_t number;
    int64_t since;
    if (word == NULL || !layout_take_number(at, '\t', &number) ||
        !layout_take_number(at, '\t', &since))
        return false;
    const char *type = layout_take_word(arena, at);
    if (type == NULL)
        return false;
    *out = (layout_line){.word = LAYOUT_WORDS,
                         .number = (uint64_t)number,
                         .since = since,
                         .type = type_parse(arena, type)};
    for (int i = 0; i < LAYOUT_WORDS; i++)
        if (strcmp(word, words[i]) == 0)
            out->word = (layout_word)i;
    out->name = layout_take_text(arena, at, '\t');
    out->filter = out->name == NULL ? NULL : layout_take_text(arena, at, '\n');
    return out->word < LAYOUT_WORDS && out->type != NULL && out->filter != NULL;
}

bool layout_is_known(const char *text)
{
    return strncmp(text, HEAD, strlen(HEAD)) == 0;
}

static bool layout_take_head(const char **at, kept_layout *layout)
{
    if (!layout_is_known(*at))
        return false;
    *at += strlen(HEAD);
    layout->rows = LAYOUT_ALL_ROWS;
    return layout_take_number(at, '\t', &layout->reach.longest_s) &&
           layout_take_number(at, '\t', &layout->reach.longest_rows) &&
           layout_take_number(at, '\t', &layout->reach.lateness_s) &&
           (layout_take_number(at, '\n', &layout->whole) ||
            (layout_take_number(at, '\t', &layout->whole) &&
             layout_take_number(at, '\n', &layout->rows)));
}

static bool read_lines(arena *arena, const char *at, kept_layout *layout, field *carried)
{
    if (!layout_take_head(&at, layout))
        return false;
    while (*at != '\0') {
        layout_line line;
        if (!layout_take_line(arena, &at, &line))
            return false;
        if (line.word == LAYOUT_CARRIED)
            carried[layout->carried.n_fields++] = (field){.name = line.name, .type = line.type};
        else if (line.word == LAYOUT_IS)
            layout->pivot[layout->n_pivot++] = line;
        else
            layout->slots[layout->n_slots++] = line;
    }
    return true;
}

freshet_code layout_read(arena *arena, const char *text, kept_layout **out, freshet_error *err)
{
    size_t n = 1;
    for (const char *c = text; *c != '\0'; c++)
        n += *c == '\n';
    kept_layout *made = arena_zero(arena, 1, sizeof *made);
    field *carried = arena_zero(arena, n, sizeof *carried);
    if (made == NULL || carried == NULL)
        return error_memory(err, KNOWING);
    *made = (kept_layout){.id = layout_id(text),
                          .slots = arena_zero(arena, n, sizeof *made->slots),
                          .pivot = arena_zero(arena, n, sizeof *made->pivot),
                          .carried.fields = carried};
    if (made->slots == NULL || made->pivot == NULL)
        return error_memory(err, KNOWING);
    if (!read_lines(arena, text, made, carried))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what the state says of what its saved keys hold is damaged");
    *out = made;
    return FRESHET_OK;
}

/* ---- matching -------------------------------------------------------------------------------- */

static uint32_t find_line(const kept_layout *layout, const layout_line *wanted, layout_word word)
{
    const layout_line *line = find_alike(layout, wanted, word);
    return line == NULL || line->number != wanted->number ? WINDOWS_NONE
                                                          : (uint32_t)(line - layout->slots);
}

static void match_pivot(const kept_layout *layout, const windows_plan *plan,
                        const layout_numbers *numbers, bool is_known, uint32_t *from)
{
    for (uint32_t p = 0; plan->pivot != NULL && p < plan->pivot->n_values; p++) {
        layout_line line;
        from[p] = WINDOWS_NONE;
        describe_part(numbers, plan, p, &line);
        for (uint32_t q = 0; is_known && q < layout->n_pivot; q++)
            if (strcmp(plan->pivot->names[p], layout->pivot[q].name) == 0 &&
                layout->pivot[q].number == line.number)
                from[p] = q;
    }
}

static layout_slot layout_cell(const layout_line *line)
{
    const type_kind kind = line->type->kind;
    switch (line->word) {
    case LAYOUT_THERE: return (layout_slot){0, false};
    case LAYOUT_PIVOT: return (layout_slot){sizeof(int32_t), false};
    default:
        return (layout_slot){(uint32_t)type_cell_size(line->type),
                             kind == TYPE_STRING || kind == TYPE_BINARY};
    }
}

static bool has_same_carried(const kept_layout *layout, const windows_plan *plan)
{
    bool is = layout->carried.n_fields == plan->n_carried;
    for (uint32_t i = 0; is && i < plan->n_carried; i++) {
        const field *then = &layout->carried.fields[i];
        is = strcmp(then->name, layout_name(plan, plan->carried[i])) == 0 &&
             type_equal(then->type, plan->columns.fields[plan->carried[i]].type);
    }
    return is;
}

freshet_code layout_match(arena *arena, kept_layout *layout, const windows_plan *plan,
                          const layout_numbers *numbers, freshet_error *err)
{
    const uint32_t n_pivot = plan->pivot == NULL ? 0 : plan->pivot->n_values;
    uint32_t *from = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *from);
    uint32_t *pivot_from = arena_zero(arena, n_pivot + (size_t)1, sizeof *pivot_from);
    layout_slot *cells = arena_zero(arena, layout->n_slots + (size_t)1, sizeof *cells);
    if (from == NULL || pivot_from == NULL || cells == NULL)
        return error_memory(err, KNOWING);
    for (uint32_t i = 0; i < layout->n_slots; i++)
        cells[i] = layout_cell(&layout->slots[i]);
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        layout_line line;
        if (!describe_slot(arena, plan, numbers, i, &line))
            return error_memory(err, KNOWING);
        from[i] = find_line(layout, &line, line.word);
        if (from[i] == WINDOWS_NONE && line.word == LAYOUT_THERE)
            from[i] = find_line(layout, &line, LAYOUT_VALUE);
    }
    match_pivot(layout, plan, numbers,
                plan->pivot_slot != WINDOWS_NONE && from[plan->pivot_slot] != WINDOWS_NONE,
                pivot_from);
    layout->from = from;
    layout->pivot_from = pivot_from;
    layout->cells = cells;
    layout->same_carried = has_same_carried(layout, plan);
    const bool kept_none = layout->reach.longest_s < 0 && layout->reach.longest_rows == 0;
    layout->drops =
        kept_none || (plan->subset_slot != WINDOWS_NONE && from[plan->subset_slot] == WINDOWS_NONE);
    return FRESHET_OK;
}

freshet_code layout_match_past(arena *arena, kept_layout *layout, const windows_plan *plan,
                               const layout_numbers *numbers, bool *has_all, freshet_error *err)
{
    const uint32_t n_pivot = plan->pivot == NULL ? 0 : plan->pivot->n_values;
    freshet_code code = layout_match(arena, layout, plan, numbers, err);
    uint32_t *from = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *from);
    uint32_t *pivot_from = arena_zero(arena, n_pivot + (size_t)1, sizeof *pivot_from);
    if (code != FRESHET_OK)
        return code;
    if (from == NULL || pivot_from == NULL)
        return error_memory(err, KNOWING);
    *has_all = true;
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        layout_line line;
        if (!describe_slot(arena, plan, numbers, i, &line))
            return error_memory(err, KNOWING);
        const layout_line *found = find_alike(layout, &line, line.word);
        if (found == NULL && line.word == LAYOUT_THERE)
            found = find_alike(layout, &line, LAYOUT_VALUE);
        from[i] = found == NULL ? WINDOWS_NONE : (uint32_t)(found - layout->slots);
        *has_all &= found != NULL || i == plan->row_slot;
    }
    for (uint32_t p = 0; p < n_pivot; p++) {
        pivot_from[p] = WINDOWS_NONE;
        for (uint32_t q = 0; q < layout->n_pivot; q++)
            if (strcmp(plan->pivot->names[p], layout->pivot[q].name) == 0)
                pivot_from[p] = q;
        *has_all &= pivot_from[p] != WINDOWS_NONE;
    }
    layout->from = from;
    layout->pivot_from = pivot_from;
    layout->drops = false;
    return FRESHET_OK;
}

/* The value of a slot, of whatever word and number. */
static layout_line value_of(const windows_plan *plan, const window_slot *slot)
{
    return (layout_line){
        .name = layout_name(plan, slot->values),
        .filter = slot->filter == WINDOWS_NO_FILTER ? "" : layout_name(plan, slot->filter),
        .type = slot->type};
}

bool layout_is_asked(const kept_layout *layout, uint32_t i, const windows_plan *plan)
{
    for (uint32_t k = 0; k < plan->n_slots; k++) {
        if (plan->slots[k].values == WINDOWS_NONE)
            continue;
        const layout_line line = value_of(plan, &plan->slots[k]);
        if (is_alike(&line, &layout->slots[i]))
            return true;
    }
    return false;
}

int64_t layout_since(arena *arena, const windows_plan *plan, const layout_numbers *numbers,
                     uint32_t output)
{
    const window_look *look = &plan->looks[output];
    layout_line line;
    if (!describe_slot(arena, plan, numbers, look->slot, &line))
        return numbers->since;
    if (look->is_count && plan->slots[look->slot].values != WINDOWS_NONE) {
        line.word = LAYOUT_THERE; /* of which the plan will have a slot of its own */
        set_number(numbers, last_line(numbers, &line), &line);
    }
    int64_t since = line.since;
    if (plan->subset_slot != WINDOWS_NONE &&
        describe_slot(arena, plan, numbers, plan->subset_slot, &line) && line.since > since)
        since = line.since;
    if (plan->pivot == NULL)
        return since;
    describe_part(numbers, plan, look->part, &line);
    return line.since > since ? line.since : since;
}

/* ---- reach ----------------------------------------------------------------------------------- */

int64_t layout_span(const layout_reach *reach)
{
    int64_t span;
    const int64_t longest = reach->longest_s < 0 ? 0 : reach->longest_s;
    return __builtin_add_overflow(longest, reach->lateness_s, &span) ? INT64_MAX : span;
}

bool layout_needs_more(const layout_reach *now, const layout_reach *then)
{
    const bool in_time =
        now->longest_s >= 0 && (then->longest_s < 0 || layout_span(now) > layout_span(then));
    const bool in_rows = now->longest_rows > 0 && (now->longest_rows > then->longest_rows ||
                                                   now->lateness_s > then->lateness_s);
    return in_time || in_rows;
}

int64_t layout_whole(const layout_numbers *numbers, const layout_reach *reach)
{
    const kept_layout *last = numbers->last;
    int64_t whole = numbers->since;
    if (last == NULL || !layout_needs_more(reach, &last->reach))
        return last == NULL ? numbers->whole : last->whole;
    if ((last->reach.longest_s >= 0 || last->reach.longest_rows > 0) &&
        __builtin_sub_overflow(numbers->since, layout_span(&last->reach), &whole))
        whole = LAYOUT_ALWAYS;
    return whole > last->whole ? whole : last->whole;
}

int64_t layout_whole_rows(const layout_numbers *numbers, const layout_reach *reach)
{
    const kept_layout *last = numbers->last;
    int64_t rows = last == NULL ? 0 : last->rows;
    if (last != NULL && layout_needs_more(reach, &last->reach) && last->reach.longest_rows < rows)
        rows = last->reach.longest_rows;
    return rows < reach->longest_rows && layout_whole(numbers, reach) != LAYOUT_ALWAYS
               ? rows
               : LAYOUT_ALL_ROWS;
}

/* ---- splitting ------------------------------------------------------------------------------- */

/* Does the plan count that slot's values? */
static bool counts(const windows_plan *plan, uint32_t slot)
{
    for (uint32_t i = 0; i < plan->n_measures; i++)
        if (plan->measures[i].slot == slot && !plan->measures[i].family->reads_values)
            return true;
    return false;
}

uint32_t layout_splits(const kept_layout *layout, const windows_plan *plan,
                       const layout_numbers *numbers, windows_split *splits, uint32_t n)
{
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        const window_slot *slot = &plan->slots[i];
        if (slot->values == WINDOWS_NONE || slot->cell == 0 || layout->from[i] != WINDOWS_NONE ||
            !counts(plan, i))
            continue;
        layout_line line = value_of(plan, slot);
        line.word = LAYOUT_THERE;
        set_number(numbers, last_line(numbers, &line), &line);
        if (find_line(layout, &line, LAYOUT_THERE) != WINDOWS_NONE)
            splits[n++] = (windows_split){slot->values, slot->filter};
    }
    return n;
}

freshet_code layout_split_plan(arena *arena, const windows_plan *plan, const windows_split *splits,
                               uint32_t n, windows_plan **out, freshet_error *err)
{
    windows_declaration declaration = *plan->declaration;
    declaration.splits = splits;
    declaration.n_splits = n;
    return windows_plan_make(arena, &declaration, out, err);
}

/* ---- carried columns ------------------------------------------------------------------------- */

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

freshet_code layout_convert(const kept_layout *layout, const windows_plan *plan,
                            const unsigned char *at, size_t length, text_buffer *into,
                            freshet_error *err)
{
    column *cells = NULL;
    arena *arena = arena_open();
    freshet_code code = arena == NULL
                            ? error_memory(err, KNOWING)
                            : read_cells(arena, &layout->carried, at, length, &cells, err);
    if (code == FRESHET_OK)
        put_cells(plan, &layout->carried, cells, into);
    arena_close(arena);
    return code == FRESHET_OK && into->failed ? error_memory(err, KNOWING) : code;
}
