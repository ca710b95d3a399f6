/* windows_bytes.c - one key's state as bytes, and back.
 *
 * Numbers are little-endian.
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
 *     52       the events (events_bytes.c), then the carried cells (cells.h)
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "windows/windows_internal.h"

#define MAGIC "FKS1"
#define HEAD_BYTES 52u

/* ---- saving -------------------------------------------------------------------------------- */

static void put_head(const walker *walker, const key_entry *entry, text_buffer *into)
{
    char head[HEAD_BYTES] = MAGIC;
    memcpy(head + 12, &walker->plan->fingerprint, 8);
    memcpy(head + 20, &entry->newest_us, 8);
    memcpy(head + 28, &entry->revision, 4);
    memcpy(head + 32, &entry->newest_back, 4);
    memcpy(head + 36, &entry->events.n, 4);
    memcpy(head + 40, &entry->carried_length, 4);
    text_append(into, head, sizeof head);
}

freshet_code entry_save(const walker *walker, const key_entry *entry, text_buffer *into,
                        freshet_error *err)
{
    size_t begin = into->length;
    put_head(walker, entry, into);
    int64_t first_s = events_put(walker, &entry->events, into);
    text_append(into, (const char *)entry->carried, entry->carried_length);
    if (into->failed)
        return error_memory(err, "saving the state of a key");
    memcpy(into->bytes + begin + 44, &first_s, 8);
    saved_seal(into, begin);
    return FRESHET_OK;
}

/* ---- restoring ----------------------------------------------------------------------------- */

static freshet_code restore_carried(walker *walker, key_entry *entry, const unsigned char *at,
                                    size_t length, freshet_error *err)
{
    if (length == 0)
        return FRESHET_OK;
    entry->carried = memory_take(walker->memory, length);
    if (entry->carried == NULL)
        return error_memory(err, "restoring a key");
    memcpy(entry->carried, at, length);
    entry->carried_length = (uint32_t)length;
    return FRESHET_OK;
}

freshet_code entry_restore(walker *walker, key_entry *entry, const void *bytes, size_t length,
                           freshet_error *err)
{
    const unsigned char *head = bytes, *at = head + HEAD_BYTES, *end = head + length;
    uint32_t n, carried_length;
    int64_t first_s;
    assert(entry->events.root == NULL && entry->carried == NULL);
    freshet_code code =
        saved_check(MAGIC, walker->plan->fingerprint, HEAD_BYTES, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&entry->newest_us, head + 20, 8);
    memcpy(&entry->revision, head + 28, 4);
    memcpy(&entry->newest_back, head + 32, 4);
    memcpy(&n, head + 36, 4);
    memcpy(&carried_length, head + 40, 4);
    memcpy(&first_s, head + 44, 8);
    code = events_get(walker, &entry->events, n, first_s, &at, end, err);
    if (code == FRESHET_OK &&
        ((size_t)(end - at) != carried_length || entry->newest_back > entry->events.n))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    if (code == FRESHET_OK)
        code = restore_carried(walker, entry, at, carried_length, err);
    if (code != FRESHET_OK)
        events_release(walker, &entry->events);
    return code;
}
