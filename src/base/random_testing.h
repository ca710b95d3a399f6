/* random_testing.h - for tests: numbers that look random and are the same in each run. Set
 * random_state to begin. */
#ifndef FRESHET_BASE_RANDOM_TESTING_H
#define FRESHET_BASE_RANDOM_TESTING_H

#include <stdint.h>

static uint64_t random_state = 7;

static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

#endif
