/* lanes.h - the newest time of each lane of rows, and the lowest of all: what watermarks are made
 * of (watermark.h).
 *
 * Lanes are few, and rows of one come together: a list with a memory of where the last one stood.
 * Saved: "FWM1", u32 number of lanes, then for each u32 its number and i64 its newest second,
 * little-endian.
 *
 * Order of calls: zero bytes have no lanes; lanes_restore once, or never; the rest in any order;
 * lanes_release.
 */
#ifndef FRESHET_FEATURES_LANES_H
#define FRESHET_FEATURES_LANES_H

#include <freshet/freshet.h>

#include "base/text.h"

#define LANES_MAX 1000000u
#define LANES_NONE INT64_MIN /* no second: there was no row yet */

typedef struct lane_mark {
    uint32_t number;
    int64_t newest_s;
    int64_t seen_us; /* of the monotonic clock */
} lane_mark;

typedef struct lanes {
    lane_mark *items;
    uint32_t n, capacity;
    uint32_t last; /* that was looked for */
} lanes;

/* The lane of that number, which is seen now; a new one where there is none. */
freshet_code lanes_see(lanes *lanes, uint32_t number, int64_t now_us, lane_mark **out,
                       freshet_error *err);

/* The next row of a lane: *behind_s tells how many seconds it lies before its lane's newest row, 0
 * for a new newest. Rows that are behind move nothing. */
freshet_code lanes_take(lanes *lanes, uint32_t number, int64_t event_us, int64_t now_us,
                        int64_t *behind_s, freshet_error *err);

/* The newest second of the lane whose newest row is the oldest, of those that were seen within
 * idle_us; where none was, *all_idle, and the newest second of all. LANES_NONE before any row. */
int64_t lanes_lowest(const lanes *lanes, int64_t now_us, int64_t idle_us, bool *all_idle);

/* The lane that holds the others back: not idle, and its newest row older than another's; NULL:
 * none. */
const lane_mark *lanes_holder(const lanes *lanes, int64_t now_us, int64_t idle_us);

void lanes_save(const lanes *lanes, text_buffer *into); /* a failure shows in into->failed */
/* How many of these bytes, that begin with what was saved, are the lanes'; 0: they do not. */
size_t lanes_saved_bytes(const void *bytes, size_t length);
freshet_code lanes_restore(lanes *lanes, const void *bytes, size_t length, int64_t now_us,
                           freshet_error *err);
void lanes_release(lanes *lanes);

#endif
