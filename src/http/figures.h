/* figures.h - what the loop has measured, as others may see it: a snapshot behind a lock.
 *
 * The loop makes a draft, which is its alone, and shows it: the two change places, if nobody is
 * looking at that moment; else the next draft is shown. So the loop never waits. Whoever looks has
 * the lock meanwhile, and sees one moment of the run.
 *
 * Order of calls: figures_open; of the loop {figures_draft, figures_show}*; of others
 * {figures_look, figures_done}*; figures_close, when no one looks any more.
 */
#ifndef FRESHET_HTTP_FIGURES_H
#define FRESHET_HTTP_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define HISTOGRAM_BOUNDS 18u

/* How many times, by how long; counts[i] those of at most bounds[i], the last all that were longer.
 */
typedef struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1];
    double sum_s;
} histogram;

extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];
void histogram_add(histogram *histogram, int64_t us, uint64_t times);

/* Of a partition of a reader; "" where it has one only. -1: it is not known. */
typedef struct figures_lag {
    const char *reader, *partition;
    int64_t rows, bytes;
} figures_lag;

/* Of a lane: what its watermark is made of. */
typedef struct figures_lane {
    const char *reader, *partition;
    int64_t newest_s; /* INT64_MIN: it has given no row yet */
    bool holds;       /* windows wait for it */
} figures_lane;

typedef struct figures_writer {
    const char *name;
    int64_t in_flight; /* rows that it was given, and of which it is not certain yet what became */
    int64_t retried;
    histogram latency; /* of rows */
} figures_writer;

typedef struct figures_part {
    const char *name;
    uint64_t keys, bytes; /* in memory */
    int64_t store_reads;
} figures_part;

typedef struct figures {
    arena *arena; /* of all that it refers to */
    figures_lag *lags;
    figures_lane *lanes;
    figures_writer *writers;
    figures_part *parts;
    uint32_t n_lags, n_lanes, n_writers, n_parts;
    int64_t lateness_s;
    histogram steps, checkpoints;
    uint64_t n_checkpoints;
    uint64_t checkpoint_bytes;
    int64_t checkpoint_at_us; /* of the clock; 0: there was none in this run */
} figures;

typedef struct figures_board figures_board;

/* NULL where memory is out. */
figures_board *figures_open(void);
void figures_close(figures_board *board);

/* An empty one, to be filled. */
figures *figures_draft(figures_board *board);
void figures_show(figures_board *board);

const figures *figures_look(figures_board *board);
void figures_done(figures_board *board);

#endif
