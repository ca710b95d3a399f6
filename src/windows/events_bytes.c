/* events_bytes.c - the events of one key as bytes, and back; and as JSON, for people. See events.h.
 *
 * A varint has seven bits a byte, the lowest first, the top bit set on all bytes but the last.
 *
 *      n - 1 varints: from each event's time to the next
 *      for each slot:  ceil(n / 8) bytes, bit i: event i is not null;
 *                      the cells of those events: as in memory, or (texts) varint length and bytes;
 *                      nothing for slots that only count
 *
 * How many events there are and when the oldest was stands with the key's facts, in the head of
 * what is saved of it. Blocks, groups and partials are not saved: they follow from the events.
 */
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "windows/events.h"
#include "windows/layouts.h"

#define CHECKSUM_AT offsetof(saved_head, checksum)
#define CHECKED_FROM offsetof(saved_head, fingerprint)
#define CHECKSUM_SEED 20241u
#define VARINT_BYTES_MAX 10u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "saved state is little-endian");

/* ---- the frame of what is saved of a key ---------------------------------------------------- */

void saved_seal(text_buffer *into, size_t begin)
{
    if (into->failed)
        return;
    const char *checked = into->bytes + begin + CHECKED_FROM;
    uint64_t sum = hash_bytes(checked, into->length - begin - CHECKED_FROM, CHECKSUM_SEED);
    memcpy(into->bytes + begin + CHECKSUM_AT, &sum, sizeof sum);
}

freshet_code saved_check(const char *magic, uint64_t fingerprint, size_t head_bytes,
                         const unsigned char *bytes, size_t length, freshet_error *err)
{
    saved_head head;
    if (length < head_bytes || memcmp(bytes, magic, 4) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key is not in the format %s", magic);
    memcpy(&head, bytes, sizeof head);
    if (head.checksum != hash_bytes(bytes + CHECKED_FROM, length - CHECKED_FROM, CHECKSUM_SEED))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key is damaged: its checksum does not fit");
    if (head.fingerprint != fingerprint)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the saved state of a key was made for other keys");
    return FRESHET_OK;
}

/* ---- putting -------------------------------------------------------------------------------- */

static char *put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

/* What was written behind the text, up to `end`, for which room was reserved. */
static void close_text(text_buffer *into, char *end)
{
    into->length = (size_t)(end - into->bytes);
    *end = '\0';
}

/* Returns the first. */
static int64_t put_times(const walker *walker, const events *events, text_buffer *into)
{
    event_place cursor = {0};
    const event_block *block;
    int64_t first = 0, before = 0;
    bool any = false;
    while (events->n > 0 && (block = events_block(events, &cursor)) != NULL) {
        if (!text_reserve(into, (size_t)block->n * VARINT_BYTES_MAX))
            break;
        char *at = into->bytes + into->length;
        for (uint32_t i = 0; i < block->n; i++) {
            const int64_t time = event_time(walker, block, i);
            if (any)
                at = put_varint(at, (uint64_t)time - (uint64_t)before);
            else
                first = time;
            any = true;
            before = time;
        }
        close_text(into, at);
    }
    return first;
}

static void put_valid(const events *events, uint32_t slot, text_buffer *into)
{
    event_place cursor = {0};
    const event_block *block;
    uint32_t bits = 0, n = 0;
    if (events->n == 0 || !text_reserve(into, events->n / 8 + 1))
        return;
    char *at = into->bytes + into->length;
    while ((block = events_block(events, &cursor)) != NULL)
        for (uint32_t i = 0; i < block->n; i++) {
            bits |= (uint32_t)(block->valid[slot] >> i & 1) << n++;
            if (n == 8) {
                *at++ = (char)bits;
                bits = n = 0;
            }
        }
    if (n > 0)
        *at++ = (char)bits;
    close_text(into, at);
}

static void put_texts(const walker *walker, const events *events, uint32_t index, text_buffer *into)
{
    const window_slot *slot = &walker->plan->slots[index];
    event_place cursor = {0};
    const event_block *block;
    while (events->n > 0 && (block = events_block(events, &cursor)) != NULL) {
        const cell_text *cells = block_cells(walker, block, slot);
        for (uint32_t i = 0; i < block->n; i++) {
            if (!(block->valid[index] >> i & 1) || !text_reserve(into, VARINT_BYTES_MAX))
                continue;
            close_text(into, put_varint(into->bytes + into->length, cells[i].length));
            text_put(into, text_bytes(&cells[i]), cells[i].length);
        }
    }
}

static void put_cells(const walker *walker, const events *events, uint32_t index, text_buffer *into)
{
    const window_slot *slot = &walker->plan->slots[index];
    const size_t cell = slot->cell;
    event_place cursor = {0};
    const event_block *block;
    if (events->n == 0 || !text_reserve(into, events->n * cell))
        return;
    char *at = into->bytes + into->length;
    while ((block = events_block(events, &cursor)) != NULL) {
        const char *cells = block_cells(walker, block, slot);
        const uint64_t valid = block->valid[index];
        const uint64_t all = block->n == 64 ? UINT64_MAX : (UINT64_C(1) << block->n) - 1;
        if ((valid & all) == all) {
            memcpy(at, cells, block->n * cell);
            at += block->n * cell;
            continue;
        }
        for (uint32_t i = 0; i < block->n; i++)
            if (valid >> i & 1) {
                memcpy(at, cells + i * cell, cell);
                at += cell;
            }
    }
    close_text(into, at);
}

int64_t events_put(const walker *walker, const events *events, text_buffer *into)
{
    int64_t first = put_times(walker, events, into);
    for (uint32_t s = 0; s < walker->plan->n_slots; s++) {
        put_valid(events, s, into);
        if (walker->plan->slots[s].is_text)
            put_texts(walker, events, s, into);
        else if (walker->plan->slots[s].cell > 0)
            put_cells(walker, events, s, into);
    }
    return first;
}

/* ---- getting -------------------------------------------------------------------------------- */

/* Reads never pass `end`; the first that would sets `bad`, and gives zeros. */
typedef struct byte_reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
} byte_reader;

static const unsigned char *take_bytes(byte_reader *reader, size_t n)
{
    static const unsigned char zeros[16];
    if (reader->bad || (size_t)(reader->end - reader->at) < n) {
        reader->bad = true;
        return zeros;
    }
    const unsigned char *at = reader->at;
    reader->at += n;
    return at;
}

static uint64_t take_varint(byte_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = *take_bytes(reader, 1);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->bad = true;
    return 0;
}

/* Where the next event's cell of one slot is read. */
typedef struct slot_reader {
    const unsigned char *valid;
    byte_reader cells;
    cell_text text;
} slot_reader;

/* A key's saved events, and what they become. */
typedef struct events_reader {
    walker *walker;
    const kept_layout *layout; /* NULL: the plan's own */
    const layout_slot *cells;  /* of the saved slots */
    uint32_t n_slots;
    slot_reader *slots;
    const void **saved; /* cells of the event at hand */
    const void **taken; /* the same by the plan's slots */
    uint32_t *pivot_of; /* by the pivot's value then: its number now, or WINDOWS_NONE */
    int32_t pivot;
    text_buffer row;
    cell_text row_cell;
    freshet_error *err;
} events_reader;

/* Finds each slot's bytes, leaving the reader behind the last. */
static void find_slots(const events_reader *events, byte_reader *reader, uint32_t n)
{
    for (uint32_t s = 0; s < events->n_slots && !reader->bad; s++) {
        events->slots[s].valid = take_bytes(reader, (n + 7) / 8);
        events->slots[s].cells = *reader;
        for (uint32_t i = 0; i < n && !reader->bad; i++)
            if (events->slots[s].valid[i / 8] >> (i % 8) & 1)
                take_bytes(reader,
                           events->cells[s].is_text ? take_varint(reader) : events->cells[s].cell);
    }
}

static const void *next_cell(const layout_slot *slot, slot_reader *reader, uint32_t i)
{
    if (!(reader->valid[i / 8] >> (i % 8) & 1))
        return NULL;
    if (!slot->is_text)
        return take_bytes(&reader->cells, slot->cell);
    uint32_t length = (uint32_t)take_varint(&reader->cells);
    reader->text = text_of((const char *)take_bytes(&reader->cells, length), length);
    return &reader->text;
}

/* Finds the parts, and leaves *at behind them, *last gets the time of the last event from that of
 * the first; false where they are not as long as they say. */
static bool find_parts(const events_reader *events, uint32_t n, const unsigned char **at,
                       const unsigned char *end, int64_t *last)
{
    byte_reader reader = {*at, end, false};
    for (uint32_t i = 1; i < n && !reader.bad; i++)
        *last = (int64_t)((uint64_t)*last + take_varint(&reader));
    find_slots(events, &reader, n);
    *at = reader.at;
    return !reader.bad;
}

/* The number now of the pivot's value that the event had then; NULL: none. */
static const void *take_pivot(events_reader *events, const void *cell)
{
    int32_t number;
    if (cell == NULL)
        return NULL;
    memcpy(&number, cell, sizeof number);
    if (number < 0 || (uint32_t)number >= events->layout->n_pivot ||
        events->pivot_of[number] == WINDOWS_NONE)
        return NULL;
    events->pivot = (int32_t)events->pivot_of[number];
    return &events->pivot;
}

/* The rest of the event's row: its time, then carried cells (corrections.h). */
static freshet_code take_saved_row(events_reader *events, const void **cell)
{
    const cell_text *saved = *cell;
    const size_t time = sizeof(int64_t);
    if (saved == NULL || events->layout->same_carried)
        return FRESHET_OK;
    if (saved->length < time)
        return error_set(events->err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    const char *bytes = text_bytes(saved);
    text_reset(&events->row);
    text_append(&events->row, bytes, time);
    freshet_code code =
        layout_convert(events->layout, events->walker->plan, (const unsigned char *)bytes + time,
                       saved->length - time, &events->row, events->err);
    if (code == FRESHET_OK)
        events->row_cell = text_of(events->row.bytes, (uint32_t)events->row.length);
    *cell = &events->row_cell;
    return code;
}

/* The cells of saved event i by the plan's slots. */
static freshet_code take_cells(events_reader *events, uint32_t i)
{
    const windows_plan *plan = events->walker->plan;
    for (uint32_t k = 0; k < events->n_slots; k++)
        events->saved[k] = next_cell(&events->cells[k], &events->slots[k], i);
    if (events->layout == NULL)
        return FRESHET_OK;
    for (uint32_t k = 0; k < plan->n_slots; k++)
        events->taken[k] =
            events->layout->from[k] == WINDOWS_NONE ? NULL : events->saved[events->layout->from[k]];
    if (plan->pivot_slot != WINDOWS_NONE)
        events->taken[plan->pivot_slot] = take_pivot(events, events->taken[plan->pivot_slot]);
    return plan->row_slot == WINDOWS_NONE ? FRESHET_OK
                                          : take_saved_row(events, &events->taken[plan->row_slot]);
}

static freshet_code insert_saved(events_reader *reader, events *events, uint32_t n, int64_t first,
                                 byte_reader *times)
{
    int64_t time = first;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        event_place at;
        uint32_t behind;
        if (i > 0)
            time = (int64_t)((uint64_t)time + take_varint(times));
        code = take_cells(reader, i);
        if (code == FRESHET_OK &&
            !events_insert(reader->walker, events, time,
                           reader->layout == NULL ? reader->saved : reader->taken, &at, &behind))
            code = error_memory(reader->err, "restoring a key");
    }
    return code;
}

/* What is read, by the layout; in the arena. False where memory is out. */
static bool open_reader(events_reader *events, arena *arena)
{
    const windows_plan *plan = events->walker->plan;
    const kept_layout *layout = events->layout;
    events->n_slots = layout == NULL ? plan->n_slots : layout->n_slots;
    layout_slot *own = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *own);
    events->slots = arena_zero(arena, events->n_slots + (size_t)1, sizeof *events->slots);
    events->saved = arena_zero(arena, events->n_slots + (size_t)1, sizeof *events->saved);
    events->taken = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *events->taken);
    const uint32_t n_pivot = layout == NULL ? 0 : layout->n_pivot;
    events->pivot_of = arena_zero(arena, n_pivot + (size_t)1, sizeof *events->pivot_of);
    if (own == NULL || events->slots == NULL || events->saved == NULL || events->taken == NULL ||
        events->pivot_of == NULL)
        return false;
    for (uint32_t s = 0; layout == NULL && s < plan->n_slots; s++)
        own[s] = (layout_slot){plan->slots[s].cell, plan->slots[s].is_text};
    events->cells = layout == NULL ? own : layout->cells;
    for (uint32_t q = 0; q < n_pivot; q++)
        events->pivot_of[q] = WINDOWS_NONE;
    for (uint32_t p = 0; n_pivot > 0 && plan->pivot != NULL && p < plan->pivot->n_values; p++)
        if (layout->pivot_from[p] != WINDOWS_NONE)
            events->pivot_of[layout->pivot_from[p]] = p;
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): a plan, bytes, and what is made of them */
freshet_code events_get(walker *walker, events *events, uint32_t n, int64_t first,
                        const kept_layout *layout, const unsigned char **at,
                        const unsigned char *end, int64_t *last, freshet_error *err)
{
    events_reader reader = {.walker = walker, .layout = layout, .err = err};
    byte_reader times = {*at, end, false};
    freshet_code code = FRESHET_OK;
    *last = first;
    text_init(&reader.row, TEXT_LIMIT_DEFAULT);
    arena_reset(walker->scratch.arena);
    if (!open_reader(&reader, walker->scratch.arena))
        code = error_memory(err, "restoring a key");
    else if (!find_parts(&reader, n, at, end, last))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    else if (layout == NULL || !layout->drops)
        code = insert_saved(&reader, events, n, first, &times);
    if (code != FRESHET_OK)
        events_release(walker, events);
    text_release(&reader.row);
    return code;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* The value of a slot, under the name of its column. */
static freshet_code show_slot(const walker *walker, const event_block *block, uint32_t i,
                              uint32_t index, text_buffer *into, freshet_error *err)
{
    const window_slot *slot = &walker->plan->slots[index];
    const char *name = walker->plan->columns.fields[slot->values].name;
    text_append_c(into, ", ");
    text_append_json(into, name, strlen(name));
    text_append_c(into, ": ");
    if (slot->cell == 0 || !(block->valid[index] >> i & 1)) {
        text_append_c(into, block->valid[index] >> i & 1 ? "true" : "null");
        return FRESHET_OK;
    }
    const column cell = {.type = slot->type,
                         .data = (unsigned char *)block_cells(walker, block, slot),
                         .capacity = block->capacity};
    return column_to_json(&cell, i, into, err);
}

/* Was the value of that event kept? */
static bool is_kept(const walker *walker, const event_block *block, uint32_t i, uint32_t slot,
                    const int64_t *since)
{
    return since == NULL || (block->valid[slot] >> i & 1) != 0 ||
           event_time(walker, block, i) >= since[slot];
}

freshet_code events_show(const walker *walker, const events *events, const int64_t *since,
                         text_buffer *into, freshet_error *err)
{
    const windows_plan *plan = walker->plan;
    event_place cursor = {0};
    const event_block *block;
    freshet_code code = FRESHET_OK;
    const char *before = "{";
    text_append_c(into, ", \"events\": [");
    while (events->n > 0 && (block = events_block(events, &cursor)) != NULL)
        for (uint32_t i = 0; i < block->n && code == FRESHET_OK; i++, before = ", {") {
            text_append_c(into, before);
            text_append_c(into, plan->in_us ? "\"timestamp\": \"" : "\"second\": \"");
            text_append_timestamp(into, event_time(walker, block, i) * (plan->in_us ? 1 : 1000000));
            text_append_char(into, '"');
            for (uint32_t s = 0; s < plan->n_slots && code == FRESHET_OK; s++)
                if (plan->slots[s].values != WINDOWS_NONE && is_kept(walker, block, i, s, since))
                    code = show_slot(walker, block, i, s, into, err);
            text_append_char(into, '}');
        }
    text_append_char(into, ']');
    return code;
}
