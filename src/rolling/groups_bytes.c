/* groups_bytes.c - the state of one key of groups as bytes, and back.
 *
 *      0   4   "FKG2": the format and its version
 *      4   8   checksum: hash_bytes over all that follows
 *     12   8   fingerprint of the plan
 *     20   8   after_us: the last end that was output, or could have been
 *     28   8   newest_us: the timestamp of the key's newest row
 *     36   4   revision
 *     40   4   1: a row of nulls is due when the windows are empty
 *     44   4   n, events
 *     48   8   the time of the oldest
 *     56       the events (windows/events_bytes.c)
 */
#include <string.h>

#include "base/error.h"
#include "rolling/groups_internal.h"

#define MAGIC "FKG2"
#define HEAD_BYTES 56u

void group_bytes_put(const groups_plan *plan, const walker *walker, const group_facts *facts,
                     const events *events, text_buffer *into)
{
    char head[HEAD_BYTES] = MAGIC;
    size_t begin = into->length;
    uint32_t owes = facts->owes_nulls;
    memcpy(head + 12, &plan->fingerprint, 8);
    memcpy(head + 20, &facts->after_us, 8);
    memcpy(head + 28, &facts->newest_us, 8);
    memcpy(head + 36, &facts->revision, 4);
    memcpy(head + 40, &owes, 4);
    memcpy(head + 44, &events->n, 4);
    text_append(into, head, sizeof head);
    int64_t first_us = events_put(walker, events, into);
    if (!into->failed)
        memcpy(into->bytes + begin + 48, &first_us, 8);
    saved_seal(into, begin);
}

freshet_code group_bytes_get(const groups_plan *plan, walker *walker, const void *bytes,
                             size_t length, group_facts *facts, events *events, freshet_error *err)
{
    const unsigned char *head = bytes, *at = head + HEAD_BYTES, *end = head + length;
    uint32_t owes, n;
    int64_t first_us;
    freshet_code code = saved_check(MAGIC, plan->fingerprint, HEAD_BYTES, head, length, err);
    if (code != FRESHET_OK)
        return code;
    memcpy(&facts->after_us, head + 20, 8);
    memcpy(&facts->newest_us, head + 28, 8);
    memcpy(&facts->revision, head + 36, 4);
    memcpy(&owes, head + 40, 4);
    memcpy(&n, head + 44, 4);
    memcpy(&first_us, head + 48, 8);
    facts->owes_nulls = owes != 0;
    code = events_get(walker, events, n, first_us, &at, end, err);
    if (code == FRESHET_OK && at != end) {
        events_release(walker, events);
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved state of a key has the wrong length");
    }
    return code;
}

freshet_code group_bytes_show(const groups_plan *plan, walker *walker, const void *bytes,
                              size_t length, text_buffer *into, freshet_error *err)
{
    events events = {0};
    group_facts facts = {0};
    freshet_code code = group_bytes_get(plan, walker, bytes, length, &facts, &events, err);
    if (code != FRESHET_OK)
        return code;
    if (facts.after_us > -GROUPS_TIME_MAX) {
        text_append_c(into, ", \"closed\": \"");
        text_append_timestamp(into, facts.after_us);
        text_append_char(into, '"');
    }
    code = events_show(walker, &events, into, err);
    events_release(walker, &events);
    return code;
}
