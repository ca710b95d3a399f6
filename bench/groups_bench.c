/* groups_bench.c - rolling windows alone: events into the state, rows out of it, one thread, no
 * files.
 *
 *   groups_bench [keys] [events a key] [minutes of the slide]
 *
 * Events of all keys in turn, one a minute and key, 5 % of them up to ten minutes late, through
 * rolling windows of 1 and 6 hours with five functions. Prints events/s, rows/s, bytes an event and
 * a key.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rolling/groups.h"

#define MINUTE INT64_C(60000000)
#define BATCH 16384u

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static groups_state *open_state(arena *arena, int slide)
{
    static const type *keys[1];
    static field columns[1];
    static const windows_function functions[] = {
        {"count", NULL}, {"avg", NULL}, {"min", NULL}, {"max", NULL}, {"stddev_pop", NULL}};
    static windows_feature feature = {
.name = "f", .filter = WINDOWS_NO_FILTER, .functions = functions, .n_functions = 5};
    static const char *windows[] = {"1 hour", "6 hours"};
    keys[0] = type_simple(TYPE_BIGINT);
    columns[0] = (field){"x", type_simple(TYPE_DOUBLE)};
    groups_declaration declaration = {.keys = keys,
                                      .n_keys = 1,
                                      .columns = columns,
                                      .n_columns = 1,
                                      .features = &feature,
                                      .n_features = 1,
                                      .windows = windows,
                                      .n_windows = 2,
                                      .slide = slide < 0 ? "1 hour"
                                                         : arena_format(arena, "%d minutes", slide),
                                      .pivot = {.column = WINDOWS_NONE}};
    groups_options options = {true, INT64_MIN, INT64_MAX};
    groups_plan *plan;
    groups_state *state;
    freshet_error err;
    if (groups_plan_make(arena, &declaration, &plan, &err) != FRESHET_OK ||
        groups_open(plan, &options, &state, &err) != FRESHET_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return state;
}

int main(int argc, char **argv)
{
    uint64_t n_keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t per_key = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    arena *plans = arena_open(), *step = arena_open();
    groups_state *state = open_state(plans, argc > 3 ? atoi(argv[3]) : -1);
    static int64_t ids[BATCH], times[BATCH];
    static double values[BATCH];
    static uint8_t too_long[BATCH];
    column key = {.type = type_simple(TYPE_BIGINT), .data = ids, .capacity = BATCH};
    column value = {.type = type_simple(TYPE_DOUBLE), .data = values, .capacity = BATCH};
    uint64_t random = 88172645463325252, n_events = n_keys * per_key, n_rows = 0, most_events = 0;
    size_t most_bytes = 0;
    double adding = 0, taking = 0;
    for (uint64_t begin = 0; begin < n_events; begin += BATCH) {
        uint32_t n = n_events - begin < BATCH ? (uint32_t)(n_events - begin) : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t event = begin + i;
            ids[i] = (int64_t)(event % n_keys * 2654435761u % n_keys);
            times[i] = (int64_t)(event / n_keys) * MINUTE;
            if (next_random(&random) % 20 == 0)
                times[i] -= (int64_t)(next_random(&random) % 10) * MINUTE;
            values[i] = (double)(next_random(&random) % 1000);
        }
        groups_input input = {n, &key, &value, times, NULL};
        double start = seconds();
        if (groups_add(state, &input, too_long, NULL) != FRESHET_OK)
            return 1;
        double added = seconds();
        groups_rows rows;
        groups_advance(state, ((int64_t)(begin / n_keys) - 10) * MINUTE);
        groups_figures figures = groups_measure(state);
        if (figures.events > most_events) {
            most_events = figures.events;
            most_bytes = figures.bytes;
        }
        do {
            arena_reset(step);
            if (groups_take(state, step, BATCH, &rows, NULL) != FRESHET_OK)
                return 1;
            n_rows += rows.n_rows;
        } while (rows.n_rows > 0);
        adding += added - start;
        taking += seconds() - added;
    }
    printf("%" PRIu64 " keys, %" PRIu64 " events, %" PRIu64 " rows out: %.2f M events/s in alone, "
           "%.2f M rows/s out alone, %.2f M events/s in all\n",
           n_keys, n_events, n_rows, (double)n_events / adding / 1e6,
           n_rows == 0 ? 0 : (double)n_rows / taking / 1e6,
           (double)n_events / (adding + taking) / 1e6);
    printf("%zu bytes for %" PRIu64 " events of %" PRIu64 " keys: %.1f an event, %.1f a key\n",
           most_bytes, most_events, n_keys, (double)most_bytes / (double)most_events,
           (double)most_bytes / (double)n_keys);
    groups_close(state);
    arena_close(step);
    arena_close(plans);
    return 0;
}
