/* windows_bytes.c - one key's state as bytes, and back.
 *
 * Numbers are little-endian; a varint has seven bits a byte, the lowest first, the top bit set on all
 * bytes but the last.
 *
 *      0   4   "FKS1": the format and its version
 *      4   8   checksum: hash_bytes over all that follows
 *     12   8   fingerprint of the plan: types of keys, slots and carried columns
 *     20   8   newest_us      event time of the key's newest row
 *     28   4   revision       events applied since the newest second last moved
 *     32   4   newest_back    events behind the newest row
 *     36   4   n              events
 *     40   4   carried length
 *     44   8   second of the oldest event
 *     52       n - 1 varints: from each event's second to the next
 *              for each slot:  ceil(n / 8) bytes, bit i: event i is not null;
 *                              the cells of those events: as in memory, or (texts) varint length
 *                              and bytes; nothing for slots that only count
 *              the carried cells (cells.h)
 *
 * Blocks, groups and partials are not saved: they follow from the events.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "windows/windows_internal.h"

#define MAGIC "FKS1"
#define CHECKSUM_AT 4u
#define CHECKED_FROM 12u
#define HEAD_BYTES 52u
#define CHECKSUM_SEED 20241u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "saved state is little-endian");

/* ---- saving -------------------------------------------------------------------------------- */

static void put_varint(text_buffer *into, uint64_t value)
{
    char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (char)(value | 0x80);
    bytes[n++] = (char)value;
    text_append(into, bytes, n);
}

static void put_head(const walker *walker, const key_entry *entry, int64_t first_s,
                     text_buffer *into)
{
    char head[HEAD_BYTES] = MAGIC;
    memcpy(head + 12, &walker->plan->fingerprint, 8);
    memcpy(head + 20, &entry->newest_us, 8);
    memcpy(head + 28, &entry->revision, 4);
    memcpy(head + 32, &entry->newest_back, 4);
    memcpy(head + 36, &entry->events.n, 4);
    memcpy(head + 40, &entry->carried_length, 4);
    memcpy(head + 44, &first_s, 8);
    text_append(into, head, sizeof head);
}

static int64_t put_seconds(const walker *walker, const key_entry *entry, text_buffer *into)
{
    event_place cursor = {0};
    const event_block *block;
    int64_t first = 0, before = 0;
    bool any = false;
    while (entry->events.n > 0 && (block = events_block(&entry->events, &cursor)) != NULL) {
        for (uint32_t i = 0; i < block->n; i++) {
            int64_t second = event_time(walker, block, i);
            if (any)
                put_varint(into, (uint64_t)(second - before));
            else
                first = second;
            any = true;
            before = second;
        }
    }
    return first;
}

static void put_valid(const key_entry *entry, uint32_t slot, text_buffer *into)
{
    event_place cursor = {0};
    const event_block *block;
    uint32_t bits = 0, n = 0;
    while (entry->events.n > 0 && (block = events_block(&entry->events, &cursor)) != NULL)
        for (uint32_t i = 0; i < block->n; i++) {
            bits |= (uint32_t)(block->valid[slot] >> i & 1) << n++;
            if (n == 8) {
                text_append_char(into, (char)bits);
                bits = n = 0;
            }
        }
    if (n > 0)
        text_append_char(into, (char)bits);
}

static void put_cells(const walker *walker, const key_entry *entry, uint32_t index,
                      text_buffer *into)
{
    const window_slot *slot = &walker->plan->slots[index];
    event_place cursor = {0};
    const event_block *block;
    while (entry->events.n > 0 && (block = events_block(&entry->events, &cursor)) != NULL) {
        const char *cells = block_cells(walker, block, slot);
        for (uint32_t i = 0; i < block->n; i++) {
            if (!(block->valid[index] >> i & 1))
                continue;
            if (!slot->is_text) {
                text_append(into, cells + (size_t)i * slot->cell, slot->cell);
                continue;
            }
            const cell_text *text = (const cell_text *)(const void *)cells + i;
            put_varint(into, text->length);
            text_append(into, text_bytes(text), text->length);
        }
    }
}

freshet_code entry_save(const walker *walker, const key_entry *entry, text_buffer *into,
                        freshet_error *err)
{
    size_t begin = into->length;
    put_head(walker, entry, 0, into);
    int64_t first_s = put_seconds(walker, entry, into);
    for (uint32_t s = 0; s < walker->plan->n_slots; s++) {
        put_valid(entry, s, into);
        if (walker->plan->slots[s].cell > 0)
            put_cells(walker, entry, s, into);
    }
    text_append(into, (const char *)entry->carried, entry->carried_length);
    if (into->failed)
        return error_memory(err, "saving the state of a key");
    char *bytes = into->bytes + begin;
    size_t length = into->length - begin;
    memcpy(bytes + 44, &first_s, 8);
    uint64_t sum = hash_bytes(bytes + CHECKED_FROM, length - CHECKED_FROM, CHECKSUM_SEED);
    memcpy(bytes + CHECKSUM_AT, &sum, 8);
    return FRESHET_OK;
}

/* ---- restoring ----------------------------------------------------------------------------- */

/* Reads never pass `end`; the first that would sets `bad`, and gives zeros. */
typedef struct byte_reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
} byte_reader;

static const unsigned char *windows_take(byte_reader *reader, size_t n)
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
        unsigned char byte = *windows_take(reader, 1);
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

/* Finds each slot's bytes, leaving the reader behind the last. */
static void find_slots(const windows_plan *plan, byte_reader *reader, uint32_t n,
                       slot_reader *slots)
{
    for (uint32_t s = 0; s < plan->n_slots && !reader->bad; s++) {
        slots[s].valid = windows_take(reader, (n + 7) / 8);
        slots[s].cells = *reader;
        for (uint32_t i = 0; i < n && !reader->bad; i++)
            if (slots[s].valid[i / 8] >> (i % 8) & 1)
                windows_take(reader,
                             plan->slots[s].is_text ? take_varint(reader) : plan->slots[s].cell);
    }
}

static const void *next_cell(const window_slot *slot, slot_reader *reader, uint32_t i)
{
    if (!(reader->valid[i / 8] >> (i % 8) & 1))
        return NULL;
    if (!slot->is_text)
        return windows_take(&reader->cells, slot->cell);
    uint32_t length = (uint32_t)take_varint(&reader->cells);
    reader->text = text_of((const char *)windows_take(&reader->cells, length), length);
    return &reader->text;
}

static freshet_code check_bytes(const walker *walker, const unsigned char *bytes, size_t length,
                                freshet_error *err)
{
    uint64_t sum, fingerprint;
    if (length < HEAD_BYTES || memcmp(bytes, MAGIC, 4) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key is not in the format " MAGIC);
    memcpy(&sum, bytes + CHECKSUM_AT, 8);
    memcpy(&fingerprint, bytes + 12, 8);
    if (sum != hash_bytes(bytes + CHECKED_FROM, length - CHECKED_FROM, CHECKSUM_SEED))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key is damaged: its checksum does not fit");
    if (fingerprint != walker->plan->fingerprint)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the saved state of a key was made for other keys, windowed columns or "
                         "features");
    return FRESHET_OK;
}

/* What lies where in the saved bytes. */
typedef struct saved_key {
    uint32_t n;
    uint32_t carried_length;
    uint32_t newest_back;
    int64_t first_s;
    byte_reader seconds;
    const unsigned char *carried;
} saved_key;

/* Reads the head and finds the parts; false where they are not as long as they say. */
static bool find_parts(const windows_plan *plan, const unsigned char *at, size_t length,
                       slot_reader *slots, saved_key *saved)
{
    memcpy(&saved->newest_back, at + 32, 4);
    memcpy(&saved->n, at + 36, 4);
    memcpy(&saved->carried_length, at + 40, 4);
    memcpy(&saved->first_s, at + 44, 8);
    byte_reader reader = {at + HEAD_BYTES, at + length, false};
    saved->seconds = reader;
    for (uint32_t i = 1; i < saved->n && !reader.bad; i++)
        take_varint(&reader);
    find_slots(plan, &reader, saved->n, slots);
    saved->carried = windows_take(&reader, saved->carried_length);
    return !reader.bad && reader.at == reader.end && saved->newest_back <= saved->n;
}

static bool restore_events(walker *walker, key_entry *entry, const saved_key *saved,
                           slot_reader *slots, const void **cells)
{
    const windows_plan *plan = walker->plan;
    byte_reader seconds = saved->seconds;
    int64_t second = saved->first_s;
    for (uint32_t i = 0; i < saved->n; i++) {
        event_place at;
        uint32_t behind;
        if (i > 0)
            second = (int64_t)((uint64_t)second + take_varint(&seconds));
        for (uint32_t k = 0; k < plan->n_slots; k++)
            cells[k] = next_cell(&plan->slots[k], &slots[k], i);
        if (!events_insert(walker, &entry->events, second, cells, &at, &behind))
            return false;
    }
    return true;
}

static bool restore_carried(walker *walker, key_entry *entry, const saved_key *saved)
{
    if (saved->carried_length == 0)
        return true;
    entry->carried = memory_take(walker->memory, saved->carried_length);
    if (entry->carried == NULL)
        return false;
    memcpy(entry->carried, saved->carried, saved->carried_length);
    entry->carried_length = saved->carried_length;
    return true;
}

freshet_code entry_restore(walker *walker, key_entry *entry, const void *bytes, size_t length,
                           freshet_error *err)
{
    const windows_plan *plan = walker->plan;
    const unsigned char *at = bytes;
    saved_key saved;
    freshet_code code = check_bytes(walker, at, length, err);
    if (code != FRESHET_OK)
        return code;
    assert(entry->events.root == NULL && entry->carried == NULL);
    size_t slots_bytes = plan->n_slots * sizeof(slot_reader) + 1;
    size_t cells_bytes = plan->n_slots * sizeof(void *) + 1;
    slot_reader *slots = memory_take(walker->memory, slots_bytes);
    const void **cells = memory_take(walker->memory, cells_bytes);
    if (slots == NULL || cells == NULL) {
        code = error_memory(err, "restoring a key");
    } else if (!find_parts(plan, at, length, slots, &saved)) {
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    } else if (!restore_events(walker, entry, &saved, slots, cells) ||
               !restore_carried(walker, entry, &saved)) {
        events_release(walker, &entry->events);
        code = error_memory(err, "restoring a key");
    } else {
        memcpy(&entry->newest_us, at + 20, 8);
        memcpy(&entry->revision, at + 28, 4);
        entry->newest_back = saved.newest_back;
    }
    memory_give(walker->memory, slots, slots_bytes);
    memory_give(walker->memory, cells, cells_bytes);
    return code;
}
