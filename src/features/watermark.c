/* watermark.c - see watermark.h. */
#include "features/watermark.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"

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
        return run_refuse(run, row, REASON_LATE,
                          "timestamp: what a row of this time needs is closed or no more kept: it "
                          "is late, or its partition gave nothing for too long");
    watermark_span(behind_s, behind);
    watermark_span(lateness_s, allowed);
    return run_refuse(
        run, row, REASON_LATE,
        arena_format(run->arena,
                     "timestamp: it is %s behind the newest row of its partition, and "
                     "\"lateness\" allows %s",
                     behind, allowed));
}
