/* progress.h - tells how a run gets on: the live view, plain lines, or nothing.
 *
 * Order of calls: progress_start after the pipeline is open, progress_stop before it is closed.
 */
#ifndef FRESHET_CLI_PROGRESS_H
#define FRESHET_CLI_PROGRESS_H

#include <freshet/freshet.h>

#include "base/text.h"

#define PROGRESS_LINE_US 3000000 /* between plain lines */
#define PROGRESS_FRAME_US 250000 /* between frames of the live view */
#define RATE_SAMPLES 12u

typedef enum progress_mode { PROGRESS_LIVE, PROGRESS_PLAIN, PROGRESS_NONE } progress_mode;

typedef struct progress progress;

/* `interval_us`: between plain lines. */
freshet_code progress_start(freshet_pipeline *pipeline, progress_mode mode, int64_t interval_us,
                            const char *name, const char *feature_set, progress **out,
                            freshet_error *err);
/* `keep_view`: leave the last frame of a live view on the terminal. NULL is fine. */
void progress_stop(progress *progress, bool keep_view);

/* The counters at a moment. */
typedef struct counts {
    int64_t at_us; /* monotonic */
    int64_t read;
    int64_t written;
    int64_t again;   /* of them, at most */
    int64_t refused; /* by their store */
    int64_t expired;
    int64_t replaced; /* by newer rows, while they waited */
    int64_t dead;
    int64_t newest_event_us;
    int64_t lag_bytes;
    int64_t table_rows;
    int64_t table_trimmed;
    int64_t repeated;
    int64_t late;
    int64_t past_left; /* of a bootstrap; -1: it is being sorted */
    int64_t past_rows;
    int64_t batch_left; /* of rows that were kept until the end of the batch */
    int64_t batch_rows;
} counts;

void counts_take(const freshet_pipeline *pipeline, counts *into);

/* Rows a second over the last RATE_SAMPLES samples. */
typedef struct rate {
    int64_t at_us[RATE_SAMPLES];
    int64_t rows[RATE_SAMPLES];
    uint32_t n;
} rate;

void rate_add(rate *rate, int64_t at_us, int64_t rows);
double rate_per_second(const rate *rate);

/* "12,345 rows read, 4,100 rows/s, newest event ..., lag 3.1 MB, 2 dead letters" */
void progress_line(const counts *counts, double per_second, text_buffer *into);

/* The pieces of the live view's status line, one after the other, each ended by a NUL byte. */
void progress_parts(const counts *counts, double per_second, text_buffer *into);

#endif
