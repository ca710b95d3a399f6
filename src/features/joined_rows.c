/* joined_rows.c - the rows of each key that wait for partners; see joined_internal.h.
 *
 * SAVED, a key is u32 n of each side, and of each row i64 time, u64 number, u8 matched, u32 length
 * and its bytes; little-endian.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/joined_internal.h"
#include "keyed/cells.h"

#define ROW_HEAD_BYTES 21u
#define PLACE_HEAD_BYTES 12u

/* ---- what is due ----------------------------------------------------------------------------- */

static bool due_is_before(const held_due *a, const held_due *b)
{
    return a->us != b->us ? a->us < b->us : a->number < b->number;
}

static bool push_due(joined *joined, uint32_t side, const held_row *row, uint32_t key)
{
    held_heap *heap = &joined->due[side];
    const held_due added = {row->us, row->number, key};
    if (!memory_reserve(&joined->memory, &heap->items, &heap->capacity, heap->n + UINT64_C(1),
                        sizeof *heap->items))
        return false;
    uint32_t hole = heap->n++;
    for (; hole > 0 && due_is_before(&added, &heap->items[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap->items[hole] = heap->items[(hole - 1) / 2];
    heap->items[hole] = added;
    return true;
}

static void pop_due(held_heap *heap)
{
    const held_due last = heap->items[--heap->n];
    uint64_t hole = 0, child;
    while ((child = 2 * hole + 1) < heap->n) {
        if (child + 1 < heap->n && due_is_before(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!due_is_before(&heap->items[child], &last))
            break;
        heap->items[hole] = heap->items[child];
        hole = child;
    }
    heap->items[hole] = last;
}

uint32_t held_next(joined *joined, uint32_t side, int64_t before_us)
{
    held_heap *heap = &joined->due[side];
    while (heap->n > 0 && heap->items[0].us < before_us) {
        const held_due *top = &heap->items[0];
        const held_key *key = held_at(joined, top->key);
        const held_row *first = key->head.used ? held_first(&key->lists[side]) : NULL;
        if (first != NULL && first->number == top->number)
            return top->key;
        pop_due(heap);
    }
    return KEY_NONE;
}

/* ---- lists ----------------------------------------------------------------------------------- */

uint32_t held_find(const held_list *list, int64_t us, uint64_t number)
{
    uint32_t low = 0, high = list->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const held_row *row = &list->rows[list->first + middle];
        if (row->us != us ? row->us < us : row->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for one row more behind the others. */
static bool list_reserve(joined *joined, held_list *list)
{
    if (list->first + list->n < list->capacity)
        return true;
    if (list->first > list->n) {
        memmove(list->rows, list->rows + list->first, list->n * sizeof *list->rows);
        list->first = 0;
        return true;
    }
    /* Most keys have one row or two: no more room than that. */
    const uint32_t capacity = list->capacity == 0 ? 1 : list->capacity * 2;
    held_row *rows = memory_take(&joined->memory, capacity * sizeof *rows);
    if (rows == NULL)
        return false;
    if (list->n > 0)
        memcpy(rows, list->rows + list->first, list->n * sizeof *rows);
    memory_give(&joined->memory, list->rows, list->capacity * sizeof *list->rows);
    *list = (held_list){rows, 0, list->n, capacity};
    return true;
}

static bool list_insert(joined *joined, held_list *list, const held_row *row)
{
    if (!list_reserve(joined, list))
        return false;
    const uint32_t at = held_find(list, row->us, row->number);
    held_row *place = &list->rows[list->first + at];
    memmove(place + 1, place, (list->n - at) * sizeof *place);
    *place = *row;
    list->n++;
    joined->n_rows++;
    return true;
}

static void list_release(joined *joined, held_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        memory_give(&joined->memory, list->rows[list->first + i].bytes,
                    list->rows[list->first + i].length);
    joined->n_rows -= list->n;
    memory_give(&joined->memory, list->rows, list->capacity * sizeof *list->rows);
    *list = (held_list){0};
}

static void release_key(void *self, void *entry)
{
    for (int side = 0; side < 2; side++)
        list_release(self, &((held_key *)entry)->lists[side]);
}

static bool copy_bytes(joined *joined, const void *bytes, size_t length, held_row *row)
{
    row->length = (uint32_t)length;
    row->bytes = memory_take(&joined->memory, length);
    if (row->bytes != NULL)
        memcpy(row->bytes, bytes, length);
    return row->bytes != NULL;
}

freshet_code held_add(joined *joined, uint32_t index, uint32_t side, int64_t us,
                      const text_buffer *bytes, held_row *added, freshet_error *err)
{
    held_list *list = &held_at(joined, index)->lists[side];
    held_row row = {.us = us, .number = joined->next_number++};
    if (!copy_bytes(joined, bytes->bytes, bytes->length, &row))
        return error_memory(err, JOINING);
    if (!list_insert(joined, list, &row)) {
        memory_give(&joined->memory, row.bytes, row.length);
        return error_memory(err, JOINING);
    }
    if (held_first(list)->number == row.number && !push_due(joined, side, &row, index))
        return error_memory(err, JOINING);
    keyed_mark_dirty(&joined->keys, index);
    *added = row;
    return FRESHET_OK;
}

freshet_code held_take_first(joined *joined, uint32_t index, uint32_t side, held_row *out,
                             freshet_error *err)
{
    held_key *key = held_at(joined, index);
    held_list *list = &key->lists[side];
    *out = list->rows[list->first++];
    list->n--;
    joined->n_rows--;
    if (list->n == 0)
        list_release(joined, list);
    else if (!push_due(joined, side, held_first(list), index))
        return error_memory(err, JOINING);
    if (key->lists[0].n + key->lists[1].n == 0)
        state_part_forget(&joined->part, index);
    else
        keyed_mark_dirty(&joined->keys, index);
    return FRESHET_OK;
}

/* ---- a row's bytes --------------------------------------------------------------------------- */

static freshet_code bad_row(freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the saved rows of a join are not what their declaration says");
}

freshet_code held_place(const joined *joined, uint32_t side, arena *arena, const unsigned char **at,
                        const unsigned char *end, joined_place *out, freshet_error *err)
{
    uint32_t length;
    *out = (joined_place){.side = side, .origin.offset = -1};
    if (!joined->keeps_place[side])
        return FRESHET_OK;
    if ((size_t)(end - *at) < PLACE_HEAD_BYTES)
        return bad_row(err);
    memcpy(&out->origin.offset, *at, sizeof(int64_t));
    memcpy(&length, *at + sizeof(int64_t), sizeof length);
    *at += PLACE_HEAD_BYTES;
    if ((size_t)(end - *at) < length)
        return bad_row(err);
    out->partition = arena_copy(arena, *at, length);
    *at += length;
    return out->partition == NULL ? error_memory(err, JOINING) : FRESHET_OK;
}

/* ---- as a state part ------------------------------------------------------------------------- */

static freshet_code save_key(void *self, const void *entry, text_buffer *into, freshet_error *err)
{
    const held_key *key = entry;
    (void)self, (void)err;
    for (int side = 0; side < 2; side++) {
        const held_list *list = &key->lists[side];
        text_append(into, (const char *)&list->n, sizeof list->n);
        for (uint32_t i = 0; i < list->n; i++) {
            const held_row *row = &list->rows[list->first + i];
            text_append(into, (const char *)&row->us, sizeof row->us);
            text_append(into, (const char *)&row->number, sizeof row->number);
            text_append_char(into, (char)row->matched);
            text_append(into, (const char *)&row->length, sizeof row->length);
            text_append(into, (const char *)row->bytes, row->length);
        }
    }
    return FRESHET_OK;
}

/* The next saved row, its bytes where they are; false where there is none. */
static bool read_row(const unsigned char **at, const unsigned char *end, held_row *row,
                     const unsigned char **bytes)
{
    if ((size_t)(end - *at) < ROW_HEAD_BYTES)
        return false;
    *row = (held_row){0};
    memcpy(&row->us, *at, sizeof row->us);
    memcpy(&row->number, *at + 8, sizeof row->number);
    row->matched = (*at)[16] != 0;
    memcpy(&row->length, *at + 17, sizeof row->length);
    *at += ROW_HEAD_BYTES;
    if ((size_t)(end - *at) < row->length)
        return false;
    *bytes = *at;
    *at += row->length;
    return true;
}

static freshet_code restore_list(joined *joined, const unsigned char **at, const unsigned char *end,
                                 held_list *list, freshet_error *err)
{
    uint32_t n;
    const unsigned char *bytes;
    if ((size_t)(end - *at) < sizeof n)
        return bad_row(err);
    memcpy(&n, *at, sizeof n);
    *at += sizeof n;
    for (uint32_t i = 0; i < n; i++) {
        held_row row;
        if (!read_row(at, end, &row, &bytes))
            return bad_row(err);
        if (!copy_bytes(joined, bytes, row.length, &row))
            return error_memory(err, JOINING);
        if (!list_insert(joined, list, &row)) {
            memory_give(&joined->memory, row.bytes, row.length);
            return error_memory(err, JOINING);
        }
        if (row.number >= joined->next_number)
            joined->next_number = row.number + 1;
    }
    return FRESHET_OK;
}

static freshet_code restore_key(void *self, const state_key *key, void *entry, const void *bytes,
                                size_t length, freshet_error *err)
{
    held_key *restored = entry;
    const unsigned char *at = bytes, *end = at + length;
    (void)key;
    freshet_code code = restore_list(self, &at, end, &restored->lists[0], err);
    if (code == FRESHET_OK)
        code = restore_list(self, &at, end, &restored->lists[1], err);
    if (code == FRESHET_OK && at != end)
        code = bad_row(err);
    if (code != FRESHET_OK)
        release_key(self, entry);
    return code;
}

static bool placed_key(void *self, uint32_t index)
{
    joined *joined = self;
    const held_key *key = held_at(joined, index);
    bool ok = true;
    for (uint32_t side = 0; side < 2 && ok; side++)
        ok =
            key->lists[side].n == 0 || push_due(joined, side, held_first(&key->lists[side]), index);
    return ok;
}

static bool is_key_empty(void *self, const void *entry)
{
    const held_key *key = entry;
    (void)self;
    return key->lists[0].n + key->lists[1].n == 0;
}

static freshet_code inspect_row(const joined *joined, arena *arena, uint32_t side,
                                const held_row *row, const unsigned char *at, text_buffer *into,
                                freshet_error *err)
{
    const joined_side *of = &joined->options.sides[side];
    const unsigned char *end = at + row->length;
    joined_place place;
    freshet_code code = held_place(joined, side, arena, &at, end, &place, err);
    text_append_c(into, "{\"time\": \"");
    text_append_timestamp(into, row->us);
    text_append_c(into, "\"");
    if (joined->options.join->is_outer && joined->options.join->outer == side)
        text_append_c(into, row->matched ? ", \"matched\": true" : ", \"matched\": false");
    for (uint32_t i = 0; code == FRESHET_OK && i < of->schema->n_fields; i++) {
        const field *field = &of->schema->fields[i];
        if (!of->used[i])
            continue;
        text_append_c(into, ", ");
        code = cells_show(arena, field->name, field->type, &at, end, into, err);
    }
    text_append_c(into, "}");
    return code;
}

static freshet_code inspect_held(void *self, arena *arena, const void *bytes, size_t length,
                                 text_buffer *into, freshet_error *err)
{
    const joined *joined = self;
    const unsigned char *at = bytes, *end = at + length, *row_bytes;
    freshet_code code = FRESHET_OK;
    for (uint32_t side = 0; code == FRESHET_OK && side < 2; side++) {
        const char *id = joined->options.sides[side].id;
        uint32_t n;
        held_row row;
        if ((size_t)(end - at) < sizeof n)
            return bad_row(err);
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        text_append_c(into, ", ");
        text_append_json(into, id, strlen(id));
        text_append_c(into, ": [");
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
            text_append_c(into, i == 0 ? "" : ", ");
            code = read_row(&at, end, &row, &row_bytes)
                       ? inspect_row(joined, arena, side, &row, row_bytes, into, err)
                       : bad_row(err);
        }
        text_append_c(into, "]");
    }
    return code;
}

static const state_part_ops held_ops = {.save = save_key,
                                        .restore = restore_key,
                                        .inspect = inspect_held,
                                        .is_empty = is_key_empty,
                                        .placed = placed_key};

/* ---- opening --------------------------------------------------------------------------------- */

/* What one side keeps, in words. */
static void describe_side(const joined *joined, uint32_t side, text_buffer *into)
{
    static const char *const units[] = {"", " in s", " in ms", " in us"};
    const joined_options *options = &joined->options;
    const joined_side *of = &options->sides[side];
    const plan_join *join = options->join;
    text_format(into, "%s%s on", side == 0 ? "" : "; ", of->id);
    for (uint32_t i = 0; i < join->n_keys; i++)
        text_format(into, "%s %s", i == 0 ? "" : ",", of->schema->fields[join->keys[side][i]].name);
    text_format(into, ", at %s%s", of->timestamp->from.value, units[of->timestamp->unit]);
    if (of->timestamp->mask.value != NULL)
        text_format(into, " by %s", of->timestamp->mask.value);
    text_format(into, " within %lld us:", (long long)of->within_us);
    for (uint32_t i = 0, n = 0; i < of->schema->n_fields; i++) {
        const char *type = type_name(joined->arena, of->schema->fields[i].type);
        into->failed |= type == NULL;
        if (of->used[i] && type != NULL)
            text_format(into, "%s %s %s", n++ == 0 ? "" : ",", of->schema->fields[i].name, type);
    }
}

static const char *describe_held(const joined *joined)
{
    const plan_join *join = joined->options.join;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text, "%s%s: ",
                join->is_asof    ? (join->is_strict ? "as of before " : "as of ")
                : join->is_outer ? (join->outer == 0 ? "left " : "right ")
                                 : "",
                "join");
    for (uint32_t side = 0; side < 2; side++)
        describe_side(joined, side, &text);
    if (join->match_sql != NULL)
        text_format(&text, "; where %s", join->match_sql);
    return text_keep(&text, joined->arena);
}

freshet_code held_open(joined *joined, freshet_error *err)
{
    const plan_join *join = joined->options.join;
    const schema *left = joined->options.sides[0].schema;
    const keyed_options options = {.memory = &joined->memory,
                                   .entry_bytes = sizeof(held_key),
                                   .release = release_key,
                                   .self = joined};
    const char **names = arena_zero(joined->arena, join->n_keys, sizeof *names);
    const type **types = arena_zero(joined->arena, join->n_keys, sizeof(const type *));
    const char *shape = describe_held(joined);
    joined->memory = (memory){.fail_after = -1};
    if (names == NULL || types == NULL || shape == NULL || !keyed_open(&joined->keys, &options))
        return error_memory(err, JOINING);
    for (uint32_t i = 0; i < join->n_keys; i++) {
        names[i] = left->fields[join->keys[0][i]].name;
        types[i] = left->fields[join->keys[0][i]].type;
    }
    joined->part = (state_part){.name = "joined rows",
                                .doing = "holding rows for the join of two streams",
                                .keys = STATE_RESIDENT,
                                .ops = &held_ops,
                                .table = &joined->keys,
                                .key_names = names,
                                .key_types = types,
                                .n_keys = join->n_keys,
                                .key_bytes_max = JOINED_KEY_BYTES_MAX};
    state_part_describe(&joined->part, shape, HASH_A);
    return FRESHET_OK;
}

void held_close(joined *joined)
{
    keyed_close(&joined->keys);
    for (int side = 0; side < 2; side++)
        memory_give(&joined->memory, joined->due[side].items,
                    joined->due[side].capacity * sizeof *joined->due[side].items);
}
