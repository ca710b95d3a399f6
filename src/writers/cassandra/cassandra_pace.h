/* cassandra_pace.h - how many rows may be on their way at once, and when to try again.
 *
 * The window of rows in flight grows by what is confirmed (each round trip twice as large, beyond
 * the threshold by one row) up to the limit declared. A failure halves it, once for all rows that
 * were sent before it was known, and holds everything for a while, which doubles from failure to
 * failure and ends with the next confirmation: a store that is down is asked by one row every few
 * seconds. Confirmations that take long shrink the window, too: more rows in flight would only wait
 * in the server's queues.
 *
 * Waiting times are made uneven at random, so that many pipelines do not come back all at once.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_PACE_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_PACE_H

#include <stdint.h>

#define PACE_WINDOW_FIRST 64u
#define PACE_BACKOFF_FIRST_US INT64_C(20000)
#define PACE_BACKOFF_MAX_US INT64_C(5000000)
#define PACE_LATENCY_MAX_US INT64_C(200000) /* of confirmations, smoothed */

typedef struct pace {
    uint32_t most;
    double window;
    double threshold;
    uint32_t failures; /* since the last confirmation; one for each time the window was halved */
    uint64_t epoch;    /* counts those times: rows remember in which one they were sent */
    int64_t paused_until_us;
    int64_t latency_us; /* smoothed; 0: none yet */
    int64_t slowed_us;  /* when it last shrank for latency */
    uint64_t random;
} pace;

void pace_init(pace *pace, uint32_t most, uint64_t seed);

/* How many more rows may be sent now. */
uint32_t pace_room(const pace *pace, uint32_t in_flight, int64_t now_us);

void pace_confirmed(pace *pace, uint32_t rows, int64_t latency_us, int64_t now_us);

/* A row that was sent in that epoch has failed, in a way that passes. */
void pace_failed(pace *pace, uint64_t epoch, int64_t now_us);

/* How long a row waits after that many failures of its own. */
int64_t pace_backoff(pace *pace, uint32_t failures);

#endif
