/* patience_testing.h - how long a test waits for something that must come.
 *
 * A deadline is chosen for the machine that tests are written on, with room, and grows with how
 * many times slower the machine is that they run on: FRESHET_SLOWNESS, which scripts/slowness
 * measured when the tests began, or what the load tells that has come since. Only deadlines grow;
 * nothing waits longer for what is there.
 *
 *     patience wait = patience_of(20);               for 20 seconds, or more on a slow machine
 *     while (!done() && patience_lasts(&wait)) ...
 *
 * It reads the real clock, whatever os.monotonic_us says. */
#ifndef FRESHET_BASE_PATIENCE_TESTING_H
#define FRESHET_BASE_PATIENCE_TESTING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct patience {
    int64_t until_us;
} patience;

static inline int64_t patience_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How many times slower than usual: 1 at least. Two processes a core are what the tests run
 * themselves. */
static inline int64_t patience_slowness(void)
{
    const char *said = getenv("FRESHET_SLOWNESS");
    const long measured = said == NULL ? 1 : strtol(said, NULL, 10);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    double load = 0;
    if (getloadavg(&load, 1) < 1 || cores < 1)
        load = 0;
    const double now = load / (double)(2 * (cores < 1 ? 1 : cores)) + 0.5;
    const long slowness = now > (double)measured ? (long)now : measured;
    return slowness < 1 ? 1 : slowness;
}

static inline int64_t patient_us(int64_t us)
{
    return us * patience_slowness();
}

static inline patience patience_of(int64_t seconds)
{
    return (patience){patience_clock_us() + patient_us(seconds * 1000000)};
}

static inline bool patience_lasts(const patience *patience)
{
    return patience_clock_us() < patience->until_us;
}

#endif
