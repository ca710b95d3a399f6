/* random_testing.h - for tests: numbers that look random and are the same in each run.
 *
 * random_below() is of one series: set random_state to begin. A test whose cases each have a seed
 * draws from a state of its own, and runs them by random_seeds(). Include it after cmocka.h.
 */
#ifndef FRESHET_BASE_RANDOM_TESTING_H
#define FRESHET_BASE_RANDOM_TESTING_H

#include <stdint.h>
#include <stdlib.h>

static uint64_t random_state = 7;

static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* The next of a state that is not 0. */
static inline uint64_t random_draw(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state * UINT64_C(0x2545F4914F6CDD1D) >> 11) % below;
}

/* The state of a seed. */
static inline uint64_t random_begin(uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < 8; i++)
        random_draw(&state, 2);
    return state;
}

/* Runs n cases, or as many as the environment's `variable` says; or that of FRESHET_SEED alone. */
static inline void random_seeds(void (*run)(uint64_t seed), uint64_t n, const char *variable)
{
    const char *seed = getenv("FRESHET_SEED"), *count = getenv(variable);
    if (seed != NULL) {
        run(strtoull(seed, NULL, 10));
        return;
    }
    if (count != NULL)
        n = strtoull(count, NULL, 10);
    for (uint64_t i = 1; i <= n; i++)
        run(i);
}

#endif
