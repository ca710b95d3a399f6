/* watermark.c - see watermark.h. Lanes are few, and rows of one come together: a list with a memory of
 * where the last one stood. Saved form: "FWM1", u32 number of lanes, then for each u32 its number
 * and i64 its newest second, little-endian. */
#include "features/watermark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MAGIC "FWM1"
#define HEAD_BYTES 8u
#define LANE_BYTES 12u

typedef struct lane {
    uint32_t number;
    int64_t newest_s;
    int64_t seen_us; /* of the monotonic clock */
} lane;

struct watermarks {
    int64_t lateness_s;
    lane *lanes;
    uint32_t n;
    uint32_t capacity;
    uint32_t last;
};

/* ---- what becomes of late rows ---------------------------------------------------------------- */

int64_t watermark_lateness_s(const feature_set_block *block)
{
    const int64_t lateness_us = block->timestamp.lateness_us;
    return lateness_us / 1000000 + (lateness_us % 1000000 > 0);
}

void watermark_span(int64_t seconds, char into[WATERMARK_SPAN_TEXT_MAX])
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    size_t length = 0;
    unsigned n = 0;
    into[0] = '\0';
    for (unsigned i = 0; i < 4 && n < 2; i++) {
        int64_t count = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (count == 0 && !(i == 3 && n == 0))
            continue;
        length +=
            (size_t)snprintf(into + length, WATERMARK_SPAN_TEXT_MAX - length, "%s%" PRId64 " %s%s",
                             n == 0 ? "" : " ", count, units[i].name, count == 1 ? "" : "s");
        n++;
    }
}

freshet_code watermark_refuse(freshet_operator *finder, run *run, uint32_t row, int64_t behind_s)
{
    const int64_t lateness_s = watermark_lateness_s(finder->block);
    char behind[WATERMARK_SPAN_TEXT_MAX], allowed[WATERMARK_SPAN_TEXT_MAX];
    if (finder->block->timestamp.late == ON_LATE_DROP) {
        finder->figures.dropped++;
        run_drop(run, row);
        return FRESHET_OK;
    }
    if (behind_s <= lateness_s)
        return run_refuse(run, row,
                          "timestamp: what a row of this time needs is closed or no more kept: it "
                          "is late, or its partition gave nothing for too long");
    watermark_span(behind_s, behind);
    watermark_span(lateness_s, allowed);
    return run_refuse(
        run, row,
        arena_format(run->arena,
                     "timestamp: it is %s behind the newest row of its partition, and "
                     "\"lateness\" allows %s",
                     behind, allowed));
}

/* ---- lanes ------------------------------------------------------------------------------------ */

watermarks *watermarks_open(int64_t lateness_s)
{
    watermarks *made = calloc(1, sizeof *made);
    if (made != NULL)
        made->lateness_s = lateness_s;
    return made;
}

void watermarks_close(watermarks *watermarks)
{
    if (watermarks == NULL)
        return;
    free(watermarks->lanes);
    free(watermarks);
}

static lane *find_lane(watermarks *watermarks, uint32_t number)
{
    if (watermarks->last < watermarks->n && watermarks->lanes[watermarks->last].number == number)
        return &watermarks->lanes[watermarks->last];
    for (uint32_t i = 0; i < watermarks->n; i++)
        if (watermarks->lanes[i].number == number) {
            watermarks->last = i;
            return &watermarks->lanes[i];
        }
    return NULL;
}

static lane *add_lane(watermarks *watermarks, uint32_t number, freshet_error *err)
{
    if (watermarks->n == WATERMARK_LANES_MAX) {
        error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                  "the rows come from more than %u partitions", WATERMARK_LANES_MAX);
        return NULL;
    }
    if (watermarks->n == watermarks->capacity) {
        uint32_t capacity = watermarks->capacity == 0 ? 8 : watermarks->capacity * 2;
        lane *lanes = realloc(watermarks->lanes, capacity * sizeof *lanes);
        if (lanes == NULL) {
            error_memory(err, "keeping the watermarks");
            return NULL;
        }
        watermarks->lanes = lanes;
        watermarks->capacity = capacity;
    }
    lane *made = &watermarks->lanes[watermarks->n++];
    *made = (lane){.number = number, .newest_s = INT64_MIN};
    return made;
}

freshet_code watermarks_expect(watermarks *watermarks, uint32_t lane_number, int64_t now_us,
                               freshet_error *err)
{
    lane *lane = find_lane(watermarks, lane_number);
    if (lane == NULL)
        lane = add_lane(watermarks, lane_number, err);
    if (lane == NULL)
        return watermarks->n == WATERMARK_LANES_MAX ? FRESHET_LIMIT : FRESHET_NO_MEMORY;
    lane->seen_us = now_us;
    return FRESHET_OK;
}

static int64_t watermark_second_of(int64_t event_us)
{
    return event_us / 1000000 - (event_us % 1000000 < 0);
}

freshet_code watermarks_take(watermarks *watermarks, uint32_t lane_number, int64_t event_us,
                             int64_t now_us, int64_t *behind_s, freshet_error *err)
{
    int64_t second = watermark_second_of(event_us);
    lane *lane = find_lane(watermarks, lane_number);
    if (lane == NULL)
        lane = add_lane(watermarks, lane_number, err);
    if (lane == NULL)
        return watermarks->n == WATERMARK_LANES_MAX ? FRESHET_LIMIT : FRESHET_NO_MEMORY;
    lane->seen_us = now_us;
    *behind_s = 0;
    if (event_us > WATERMARK_TIME_MAX)
        return FRESHET_OK;
    if (second >= lane->newest_s)
        lane->newest_s = second;
    else
        *behind_s = lane->newest_s - second;
    return FRESHET_OK;
}

int64_t watermarks_lowest(const watermarks *watermarks, int64_t now_us)
{
    int64_t lowest = INT64_MAX, newest = INT64_MIN;
    for (uint32_t i = 0; i < watermarks->n; i++) {
        const lane *lane = &watermarks->lanes[i];
        if (lane->newest_s > newest)
            newest = lane->newest_s;
        if (now_us - lane->seen_us < WATERMARK_IDLE_US && lane->newest_s < lowest)
            lowest = lane->newest_s;
    }
    if (lowest == INT64_MAX) /* all are idle: none holds the others back */
        lowest = newest;
    return lowest == INT64_MIN ? INT64_MIN : lowest - watermarks->lateness_s;
}

/* ---- saving ----------------------------------------------------------------------------------- */

freshet_code watermarks_save(const watermarks *watermarks, text_buffer *into, freshet_error *err)
{
    text_append(into, MAGIC, 4);
    text_append(into, (const char *)&watermarks->n, sizeof watermarks->n);
    for (uint32_t i = 0; i < watermarks->n; i++) {
        text_append(into, (const char *)&watermarks->lanes[i].number, sizeof(uint32_t));
        text_append(into, (const char *)&watermarks->lanes[i].newest_s, sizeof(int64_t));
    }
    return into->failed ? error_memory(err, "saving the watermarks") : FRESHET_OK;
}

freshet_code watermarks_restore(watermarks *watermarks, const void *bytes, size_t length,
                                int64_t now_us, freshet_error *err)
{
    const char *at = bytes;
    uint32_t n = 0;
    if (length >= HEAD_BYTES)
        memcpy(&n, at + 4, sizeof n);
    if (length < HEAD_BYTES || memcmp(at, MAGIC, 4) != 0 || n > WATERMARK_LANES_MAX ||
        length != HEAD_BYTES + (size_t)n * LANE_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved watermarks are damaged: they are not in the format " MAGIC);
    watermarks->n = 0;
    at += HEAD_BYTES;
    for (uint32_t i = 0; i < n; i++, at += LANE_BYTES) {
        uint32_t number;
        memcpy(&number, at, sizeof number);
        lane *lane = add_lane(watermarks, number, err);
        if (lane == NULL)
            return FRESHET_NO_MEMORY;
        memcpy(&lane->newest_s, at + 4, sizeof lane->newest_s);
        lane->seen_us = now_us;
    }
    return FRESHET_OK;
}
