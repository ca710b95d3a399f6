/* cassandra_pace.c - see cassandra_pace.h. */
#include "writers/cassandra/cassandra_pace.h"

#include "base/hash.h"

#define THRESHOLD_MIN 4.0
#define LATENCY_WEIGHT 8
#define SLOWER 0.75

void pace_init(pace *pace, uint32_t most, uint64_t seed)
{
    const double first = most < PACE_WINDOW_FIRST ? most : PACE_WINDOW_FIRST;
    *pace = (struct pace){.most = most, .window = first, .threshold = most, .random = seed};
}

uint32_t pace_room(const pace *pace, uint32_t in_flight, int64_t now_us)
{
    const uint32_t window = (uint32_t)pace->window;
    return now_us < pace->paused_until_us || in_flight >= window ? 0 : window - in_flight;
}

static void shrink(pace *pace, double share)
{
    pace->window *= share;
    if (pace->window < 1)
        pace->window = 1;
}

void pace_confirmed(pace *pace, uint32_t rows, int64_t latency_us, int64_t now_us)
{
    pace->failures = 0;
    pace->paused_until_us = 0;
    pace->latency_us = pace->latency_us == 0
                           ? latency_us
                           : pace->latency_us + (latency_us - pace->latency_us) / LATENCY_WEIGHT;
    if (pace->latency_us > PACE_LATENCY_MAX_US) {
        if (now_us - pace->slowed_us > pace->latency_us) {
            shrink(pace, SLOWER);
            pace->threshold = pace->window;
            pace->slowed_us = now_us;
        }
        return;
    }
    pace->window += pace->window < pace->threshold ? rows : rows / pace->window;
    if (pace->window > pace->most)
        pace->window = pace->most;
}

/* Between half of it and the whole. */
int64_t pace_backoff(pace *pace, uint32_t failures)
{
    int64_t wait_us = PACE_BACKOFF_FIRST_US;
    for (uint32_t i = 1; i < failures && wait_us < PACE_BACKOFF_MAX_US; i++)
        wait_us *= 2;
    if (wait_us > PACE_BACKOFF_MAX_US)
        wait_us = PACE_BACKOFF_MAX_US;
    const uint64_t random = hash_fold(pace->random += HASH_A, HASH_B);
    return wait_us / 2 + (int64_t)(random % (uint64_t)(wait_us / 2));
}

void pace_failed(pace *pace, uint64_t epoch, int64_t now_us)
{
    if (epoch != pace->epoch)
        return;
    if (pace->failures == 0)
        pace->threshold = pace->window / 2 < THRESHOLD_MIN ? THRESHOLD_MIN : pace->window / 2;
    shrink(pace, 0.5);
    pace->epoch++;
    pace->failures++;
    pace->paused_until_us = now_us + pace_backoff(pace, pace->failures);
}
