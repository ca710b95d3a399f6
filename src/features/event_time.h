/* event_time.h - the feature set's timestamp out of a column: `timestamp: {from, unit, mask}`.
 *
 *   timestamp  as it is
 *   date       midnight UTC of that day
 *   string     by the mask; without one, as text is cast to timestamp (base/timestamp.h); with a
 *              unit, as the number that it holds
 *   numbers    in the unit: seconds (also without a unit), milliseconds, microseconds, since 1970.
 *              A fraction is cut off towards zero below a microsecond. Whole numbers are converted
 *              exactly (Butterfree goes through doubles, and is microseconds off far from 1970)
 *
 * What is out of range fails, and so do times too far from 1970 (base/timestamp.h), among them the
 * numbers that stand for no time or for infinity in other systems; nothing wraps.
 *
 * Order of calls: event_time_compile once, event_time_column for each batch.
 */
#ifndef FRESHET_FEATURES_EVENT_TIME_H
#define FRESHET_FEATURES_EVENT_TIME_H

#include "base/batch.h"
#include "declaration/declaration.h"
#include "functions/mask.h"

typedef struct event_time {
    const type *from;
    const mask *mask; /* NULL: none */
    const char *mask_text;
    int unit; /* enum timestamp_unit */
} event_time;

/* FRESHET_USAGE with what is wrong in err: a column that is no time, a unit or mask that does not
 * go with it, a wrong mask. The mask lives in the arena. */
freshet_code event_time_compile(arena *arena, const timestamp_block *block, const type *from,
                                event_time *into, freshet_error *err);

/* The timestamps of n_rows rows; null and a bit in *failed where it fails, as cast_column. */
freshet_code event_time_column(const event_time *event_time, arena *arena, const column *from,
                               uint64_t n_rows, column *into, uint64_t **failed,
                               freshet_error *err);

/* Why a cell is no timestamp: `"x" does not match the mask "%Y"`; NULL where memory is out. */
const char *event_time_reason(const event_time *event_time, arena *arena, const column *from,
                              uint64_t row);

#endif
