/* lanes.c - see lanes.h. */
#include "features/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "features/watermark.h"

#define MAGIC "FWM1"
#define HEAD_BYTES 8u
#define LANE_BYTES 12u

freshet_code lanes_see(lanes *lanes, uint32_t number, int64_t now_us, lane_mark **out,
                       freshet_error *err)
{
    uint32_t i = lanes->last;
    if (i >= lanes->n || lanes->items[i].number != number)
        for (i = 0; i < lanes->n && lanes->items[i].number != number;)
            i++;
    if (i == lanes->n) {
        if (i == LANES_MAX)
            return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "the rows come from more than %u partitions", LANES_MAX);
        if (!array_reserve(&lanes->items, &lanes->capacity, i + UINT64_C(1), sizeof *lanes->items))
            return error_memory(err, "keeping the watermarks");
        lanes->items[lanes->n++] = (lane_mark){.number = number, .newest_s = LANES_NONE};
    }
    lanes->last = i;
    *out = &lanes->items[i];
    (*out)->seen_us = now_us;
    return FRESHET_OK;
}

freshet_code lanes_take(lanes *lanes, uint32_t number, int64_t event_us, int64_t now_us,
                        int64_t *behind_s, freshet_error *err)
{
    const int64_t second = event_us / 1000000 - (event_us % 1000000 < 0);
    lane_mark *lane;
    *behind_s = 0;
    freshet_code code = lanes_see(lanes, number, now_us, &lane, err);
    if (code != FRESHET_OK || event_us > WATERMARK_TIME_MAX)
        return code;
    if (second >= lane->newest_s)
        lane->newest_s = second;
    else
        *behind_s = lane->newest_s - second;
    return FRESHET_OK;
}

int64_t lanes_lowest(const lanes *lanes, int64_t now_us, int64_t idle_us, bool *all_idle)
{
    int64_t lowest = INT64_MAX, newest = LANES_NONE;
    for (uint32_t i = 0; i < lanes->n; i++) {
        const lane_mark *lane = &lanes->items[i];
        if (lane->newest_s > newest)
            newest = lane->newest_s;
        if (now_us - lane->seen_us < idle_us && lane->newest_s < lowest)
            lowest = lane->newest_s;
    }
    *all_idle = lowest == INT64_MAX; /* none holds the others back */
    return *all_idle ? newest : lowest;
}

const lane_mark *lanes_holder(const lanes *lanes, int64_t now_us, int64_t idle_us)
{
    const lane_mark *lowest = NULL;
    int64_t newest = LANES_NONE;
    for (uint32_t i = 0; i < lanes->n; i++) {
        const lane_mark *lane = &lanes->items[i];
        if (lane->newest_s > newest)
            newest = lane->newest_s;
        if (now_us - lane->seen_us < idle_us &&
            (lowest == NULL || lane->newest_s < lowest->newest_s))
            lowest = lane;
    }
    return lowest == NULL || lowest->newest_s == newest ? NULL : lowest;
}

void lanes_save(const lanes *lanes, text_buffer *into)
{
    text_append(into, MAGIC, 4);
    text_append(into, (const char *)&lanes->n, sizeof lanes->n);
    for (uint32_t i = 0; i < lanes->n; i++) {
        text_append(into, (const char *)&lanes->items[i].number, sizeof(uint32_t));
        text_append(into, (const char *)&lanes->items[i].newest_s, sizeof(int64_t));
    }
}

size_t lanes_saved_bytes(const void *bytes, size_t length)
{
    uint32_t n = 0;
    if (length < HEAD_BYTES)
        return 0;
    memcpy(&n, (const char *)bytes + 4, sizeof n);
    return n > LANES_MAX ? 0 : HEAD_BYTES + (size_t)n * LANE_BYTES;
}

freshet_code lanes_restore(lanes *lanes, const void *bytes, size_t length, int64_t now_us,
                           freshet_error *err)
{
    const char *at = bytes;
    uint32_t n, number;
    lane_mark *lane;
    if (length < HEAD_BYTES || memcmp(at, MAGIC, 4) != 0 ||
        lanes_saved_bytes(bytes, length) != length)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved watermarks are damaged: they are not in the format " MAGIC);
    memcpy(&n, at + 4, sizeof n);
    lanes->n = 0;
    at += HEAD_BYTES;
    for (uint32_t i = 0; i < n; i++, at += LANE_BYTES) {
        memcpy(&number, at, sizeof number);
        freshet_code code = lanes_see(lanes, number, now_us, &lane, err);
        if (code != FRESHET_OK)
            return code;
        memcpy(&lane->newest_s, at + 4, sizeof lane->newest_s);
    }
    return FRESHET_OK;
}

void lanes_release(lanes *lanes)
{
    free(lanes->items);
    *lanes = (struct lanes){0};
}
