/* generate.h - the reader `generate`: rows from a seed, for demos, tests and benchmarks; and the
 * smallest reader, to copy.
 *
 *     - id: clicks
 *       generate: {schema: {user: string, ts: timestamp, amount: double}, keys: 100, rate: 1000}
 *       stream: true
 *
 * Row n is a function of the seed and n alone: no clock is asked for what it holds, only for when
 * it comes. So the place reached is n, and after a restart the same rows come as would have come.
 */
#ifndef FRESHET_READERS_GENERATE_GENERATE_H
#define FRESHET_READERS_GENERATE_GENERATE_H

#include "readers/reader.h"

typedef struct generate_options {
    declared_schema schema;
    int64_t seed;
    int64_t rows; /* 0: no end */
    int64_t rate; /* 0: as fast as can be */
    declared_text key;
    int64_t keys;
    declared_text start;
    int64_t step_us; /* 0: by the rate */
    int64_t late_percent;
    int64_t lateness_us;
} generate_options;

extern const reader_ops generate_reader_ops;

#endif
