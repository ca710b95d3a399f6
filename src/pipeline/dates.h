/* dates.h - the days that a batch run is cut to: `freshet run --start-date --end-date`.
 *
 * Both days are included, as in Butterfree's run(start_date, end_date), in UTC, and are compared
 * with the feature set's timestamp after the features are computed: what comes before the first day
 * is still seen by the windows of the rows behind it.
 */
#ifndef FRESHET_PIPELINE_DATES_H
#define FRESHET_PIPELINE_DATES_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "declaration/declaration.h"

typedef struct dates {
    int64_t first_us; /* INT64_MIN: no bound */
    int64_t last_us;  /* INT64_MAX: no bound */
} dates;

/* Reads two texts of the form YYYY-MM-DD, NULL where there is no bound; FRESHET_USAGE for
 * others. */
freshet_code dates_read(const char *start_date, const char *end_date, dates *out,
                        freshet_error *err);

/* Which times a reader with `incremental` has to give for these days: they, and before them as
 * much as the longest window of the feature set looks back, in whole days. What looks back by a
 * number of rows may need any: then there is no first one. False where all are wanted. */
bool dates_to_read(const dates *dates, const declaration *declaration, int64_t *first_us,
                   int64_t *last_us);

/* Leaves out the rows whose timestamp, the column of that number, is not within. */
freshet_code dates_cut(const dates *dates, uint32_t time_column, batch *rows, freshet_error *err);

#endif
