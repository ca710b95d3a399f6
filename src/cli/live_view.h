/* live_view.h - the newest rows of the debug table on the terminal, refreshed in place.
 *
 * Each refresh asks the pipeline (freshet_query and freshet_counter, which any thread may call) and
 * draws a frame at the bottom of what the terminal shows:
 *
 *     airport_delays: the newest row of each key
 *     origin  carrier  timestamp            dep_delay
 *     EWR     UA       2013-01-31 23:59:00         12
 *     ...
 *     27,004 rows · 81,200 rows/s · newest event 2013-01-31 23:59:00 · lag 0 B
 *
 * Log lines go above it through log_hook(). The terminal's modes are not changed, only the cursor
 * is hidden; it is shown again at the end, when the process is stopped (Ctrl-Z), and by
 * live_view_restore() in whatever handler ends the process.
 *
 * So that it takes less than 10 % from the stream, it waits LIVE_VIEW_REST times as long as the
 * last query took, and asks cheaply (newest.h).
 *
 * Order of calls: live_view_open, live_view_refresh by one thread (progress.h has it),
 * live_view_close when that has ended. One view at a time in a process.
 */
#ifndef FRESHET_CLI_LIVE_VIEW_H
#define FRESHET_CLI_LIVE_VIEW_H

#include <freshet/freshet.h>

#define LIVE_VIEW_REST 20

typedef struct live_view live_view;

freshet_code live_view_open(freshet_pipeline *pipeline, const char *feature_set, live_view **out,
                            freshet_error *err);
void live_view_refresh(live_view *view);
/* Draws the last frame, or takes the view away (`keep` false), and gives the terminal back. NULL is
 * fine. */
void live_view_close(live_view *view, bool keep);

/* Shows the cursor again if a view hid it. Safe in a signal handler. */
void live_view_restore(void);

#endif
