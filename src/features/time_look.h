/* time_look.h - are the times of the feature set's timestamp likely ones?
 *
 * A number in milliseconds that is taken for seconds is a time in the year 56135, and a row as good
 * as any. So the first rows are looked at: where most of their times lie outside of 1990 to a year
 * after the clock, that is told once, and in which unit they would be likely.
 *
 * Order of calls: time_look_begin, time_look_at for some batches of the source, time_look_tell.
 */
#ifndef FRESHET_FEATURES_TIME_LOOK_H
#define FRESHET_FEATURES_TIME_LOOK_H

#include "features/feature_set.h"

#define TIME_LOOK_UNITS 4 /* s, ms, us, ns */

typedef struct time_look {
    int64_t least_us, most_us;
    int64_t n;                        /* times that were looked at */
    int64_t n_likely;                 /* within */
    int64_t in_unit[TIME_LOOK_UNITS]; /* as numbers in that unit */
    int64_t first_us;                 /* the first that is not likely */
    bool has_first;
} time_look;

void time_look_begin(time_look *look, int64_t now_us);

freshet_code time_look_at(time_look *look, const feature_set *set, arena *arena, const batch *in,
                          freshet_error *err);

/* One sentence without its full stop, in the arena, where most are not likely; else NULL. */
const char *time_look_tell(const time_look *look, arena *arena);

#endif
