/* groups_bytes.c - the state of one key of groups as bytes, and back.
 *
 *      0   4   "FKG1": the format and its version
 *      4   8   checksum: hash_bytes over all that follows
 *     12   8   fingerprint of the plan
 *     20   8   after_us: the last end that was output, or could have been
 *     28   8   newest_us: the timestamp of the key's newest row
 *     36   4   revision
 *     40   4   1: a row of nulls is due when the windows are empty
 *     44   8   n, events
 *     52       n times: the record as it is in memory (little-endian), with zero bytes in the place of
 *              texts that lie outside it; then each of these texts, length and bytes
 *
 * The blocks are not saved: they follow from the events.
 */
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"
#include "rolling/groups_internal.h"

#define MAGIC "FKG1"
#define CHECKSUM_AT 4u
#define CHECKED_FROM 12u
#define HEAD_BYTES 52u
#define CHECKSUM_SEED 20242u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "saved state is little-endian");

/* Where text number i of a record stands; 0: it has none there. */
static uint32_t text_at(const groups_plan *plan, const unsigned char *record, uint32_t i)
{
    if (i == 0)
        return plan->subset_offset;
    const group_slot *slot = &plan->slots[i - 1];
    bool valid = (record[RECORD_VALID + (i - 1) / 8] >> (i - 1) % 8 & 1) != 0;
    return slot->is_text && valid ? slot->offset : 0;
}

static bool is_outside(const unsigned char *record, uint32_t offset, cell_text *text)
{
    if (offset == 0)
        return false;
    memcpy(text, record + offset, sizeof *text);
    return text->length > TEXT_INLINE_MAX;
}

static void put_record(const groups_plan *plan, const unsigned char *record, text_buffer *into)
{
    size_t begin = into->length;
    text_append(into, (const char *)record, plan->record_bytes);
    for (uint32_t i = 0; i <= plan->n_slots && !into->failed; i++) {
        cell_text text;
        uint32_t offset = text_at(plan, record, i);
        if (!is_outside(record, offset, &text))
            continue;
        memset(into->bytes + begin + offset + 8, 0, sizeof text - 8);
        text_append(into, text_bytes(&text), text.length);
    }
}

void group_bytes_put(const groups_plan *plan, const group_facts *facts, const group_events *events,
                     text_buffer *into)
{
    char head[HEAD_BYTES] = MAGIC;
    size_t begin = into->length;
    uint32_t owes = facts->owes_nulls;
    memcpy(head + 12, &plan->fingerprint, 8);
    memcpy(head + 20, &facts->after_us, 8);
    memcpy(head + 28, &facts->newest_us, 8);
    memcpy(head + 36, &facts->revision, 4);
    memcpy(head + 40, &owes, 4);
    memcpy(head + 44, &events->n, 8);
    text_append(into, head, sizeof head);
    for (uint32_t b = 0; b < events->n_blocks; b++)
        for (uint32_t i = 0; i < events->blocks[b]->n; i++)
            put_record(plan, block_record(plan, events->blocks[b], i), into);
    if (into->failed)
        return;
    uint64_t checksum = hash_bytes(into->bytes + begin + CHECKED_FROM,
                                   into->length - begin - CHECKED_FROM, CHECKSUM_SEED);
    memcpy(into->bytes + begin + CHECKSUM_AT, &checksum, sizeof checksum);
}

static freshet_code damaged(freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the saved state of a key's groups is damaged, or of another declaration");
}

static bool check_head(const groups_plan *plan, const unsigned char *bytes, size_t length)
{
    uint64_t checksum, fingerprint;
    if (length < HEAD_BYTES || memcmp(bytes, MAGIC, 4) != 0)
        return false;
    memcpy(&checksum, bytes + CHECKSUM_AT, sizeof checksum);
    memcpy(&fingerprint, bytes + CHECKED_FROM, sizeof fingerprint);
    return fingerprint == plan->fingerprint &&
           checksum == hash_bytes(bytes + CHECKED_FROM, length - CHECKED_FROM, CHECKSUM_SEED);
}

/* One record, whose long texts then point into the bytes. */
static bool get_record(const groups_plan *plan, const unsigned char **at, const unsigned char *end,
                       unsigned char *record)
{
    if ((size_t)(end - *at) < plan->record_bytes)
        return false;
    memcpy(record, *at, plan->record_bytes);
    *at += plan->record_bytes;
    for (uint32_t i = 0; i <= plan->n_slots; i++) {
        cell_text text;
        uint32_t offset = text_at(plan, record, i);
        if (!is_outside(record, offset, &text))
            continue;
        if ((size_t)(end - *at) < text.length)
            return false;
        text = text_of((const char *)*at, text.length);
        memcpy(record + offset, &text, sizeof text);
        *at += text.length;
    }
    return true;
}

freshet_code group_bytes_get(group_walker *walker, const void *bytes, size_t length,
                             group_facts *facts, group_events *events, freshet_error *err)
{
    const groups_plan *plan = walker->plan;
    const unsigned char *at = bytes, *end = at + length;
    unsigned char *record = arena_alloc(walker->scratch.arena, plan->record_bytes);
    uint32_t owes;
    uint64_t n;
    int64_t before = INT64_MIN;
    if (record == NULL)
        return error_memory(err, "restoring groups");
    if (!check_head(plan, at, length))
        return damaged(err);
    memcpy(&facts->after_us, at + 20, 8);
    memcpy(&facts->newest_us, at + 28, 8);
    memcpy(&facts->revision, at + 36, 4);
    memcpy(&owes, at + 40, 4);
    memcpy(&n, at + 44, 8);
    facts->owes_nulls = owes != 0;
    freshet_code code = FRESHET_OK;
    at += HEAD_BYTES;
    for (uint64_t i = 0; i < n && code == FRESHET_OK; i++) {
        if (!get_record(plan, &at, end, record) || record_time(record) < before)
            code = damaged(err);
        else if (!group_events_insert(walker, events, record))
            code = error_memory(err, "restoring groups");
        else
            before = record_time(record);
    }
    if (code == FRESHET_OK && at != end)
        code = damaged(err);
    if (code != FRESHET_OK)
        group_events_release(walker, events);
    return code;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* The cell of a slot, under the name of its column. */
static freshet_code put_slot(const groups_plan *plan, const unsigned char *record, uint32_t index,
                             text_buffer *into, freshet_error *err)
{
    const group_slot *slot = &plan->slots[index];
    _Alignas(16) unsigned char cell[16] = {0};
    const char *name = plan->declaration.columns[slot->values].name;
    column column = {.type = slot->type, .data = cell, .capacity = 1};
    bool valid = (record[RECORD_VALID + index / 8] >> index % 8 & 1) != 0;
    text_append_char(into, ',');
    text_append_json(into, name, strlen(name));
    text_append_char(into, ':');
    memcpy(cell, record + slot->offset, slot->cell);
    if (!valid || slot->cell == 0)
        text_append_c(into, valid ? "true" : "null");
    else
        return column_to_json(&column, 0, into, err);
    return FRESHET_OK;
}

static freshet_code put_events(const groups_plan *plan, const group_events *events,
                               text_buffer *into, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    bool first = true;
    text_append_c(into, ",\"events\":[");
    for (uint32_t b = 0; b < events->n_blocks; b++)
        for (uint32_t i = 0; i < events->blocks[b]->n && code == FRESHET_OK; i++) {
            const unsigned char *record = block_record(plan, events->blocks[b], i);
            text_append_c(into, first ? "{\"timestamp\":\"" : ",{\"timestamp\":\"");
            text_append_timestamp(into, record_time(record));
            text_append_char(into, '"');
            for (uint32_t s = 0; s < plan->n_slots && code == FRESHET_OK; s++)
                code = put_slot(plan, record, s, into, err);
            text_append_char(into, '}');
            first = false;
        }
    text_append_char(into, ']');
    return code;
}

freshet_code group_bytes_show(group_walker *walker, const void *bytes, size_t length,
                              text_buffer *into, freshet_error *err)
{
    group_events events = {0};
    group_facts facts = {0};
    arena_reset(walker->scratch.arena);
    freshet_code code = group_bytes_get(walker, bytes, length, &facts, &events, err);
    if (code != FRESHET_OK)
        return code;
    if (facts.after_us > -GROUPS_TIME_MAX) {
        text_append_c(into, ",\"closed\":\"");
        text_append_timestamp(into, facts.after_us);
        text_append_char(into, '"');
    }
    code = put_events(walker->plan, &events, into, err);
    group_events_release(walker, &events);
    return code;
}
