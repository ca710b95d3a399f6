/* corrections.h - the rows of a key that an event changes, to be output again.
 *
 * Windows look back, so an event changes the rows behind it: those of its own second, earlier and
 * later ones, and those as far on as the longest fixed window, all of whose windows hold it; and
 * the next rows that are less than the longest row window away. On a stream these went out before.
 *
 * To give a row again its outputs are computed anew from the events, and all else that it had must
 * have been kept. With windows_declaration.corrects each event therefore has one cell more, in the
 * slot windows_plan.row_slot:
 *
 *      0   8   event time of the row, in microseconds
 *      8       the carried cells (cells.h)
 *
 * Events are kept for the lateness and the longest windows; no row still to come changes a row that
 * is older than the lateness.
 */
#ifndef FRESHET_WINDOWS_CORRECTIONS_H
#define FRESHET_WINDOWS_CORRECTIONS_H

#include "base/text.h"
#include "windows/events.h"

/* The cell of a row; its bytes are in `buffer`. false where memory is out. */
bool corrections_keep(const windows_plan *plan, const column *columns, uint64_t row,
                      int64_t event_us, text_buffer *buffer, cell_text *cell);

/* A row that went out before. */
typedef struct old_row {
    uint32_t back;       /* events behind it */
    uint32_t peers_back; /* events behind the last one of its second */
    int64_t event_us;
    const unsigned char *carried, *carried_end;
    bool is_newest; /* set by who knows */
} old_row;

typedef struct corrections {
    walker *walker;
    const events *events;
    uint32_t behind; /* events behind the one that changes the others */
    int64_t second;  /* its second */
    uint32_t next;   /* rows left: those with fewer events behind them */
    uint32_t peers_back;
} corrections;

/* The rows that the event with `behind` events behind it changes, the oldest first. Valid as long
 * as no event is added or evicted. */
void corrections_begin(corrections *corrections, walker *walker, const events *events,
                       uint32_t behind);
bool corrections_next(corrections *corrections, old_row *out);

#endif
