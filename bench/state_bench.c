/* state_bench.c - the windows' state alone: events a second, and bytes.
 *
 *   1 M keys of 20 live events, 5 windows x 5 functions, 5 % of the events late
 *   10 k keys of the same, which fit the cache
 *   one key of 20, of 1,000, of 100,000 and of 1,000,000 live events
 *
 * Only windows_apply is timed, by the time of the thread on its core; events are made in batches of
 * BATCH_ROWS before it. State is measured as what the keyed state has asked of malloc, and as what
 * the process holds. With arguments KEYS LIVE LATE [FUNCTION] (1000000 20 0.05), that one case;
 * with a function in the place of the five, the state is filled with `avg` first, saved, and
 * restored for the function, and the measuring ends after BUDGET_S. With `functions` [FUNCTION...],
 * each function at 20 live events of 10 k keys, and at 100, 1,000, 100,000 and 1,000,000 of one
 * key, in order and with 5 % late.
 *
 *   cmake --build build/release --target state_bench && build/release/bench/state_bench
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "windows/windows_state.h"

#define BATCH_ROWS 4096u
#define SPAN_S (7.0 * 86400)
#define BUDGET_S 2.0 /* of one function alone */

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void stop(const freshet_error *err)
{
    fprintf(stderr, "state_bench: %s\n", err->text);
    exit(1);
}

static const char *only; /* one function in the place of the five */
static uint32_t n_windows = 5, n_functions = 5;

static windows_plan *make_plan(arena *arena)
{
    static const windows_function functions[] = {
        {"avg", NULL}, {"count", NULL}, {"stddev_pop", NULL}, {"min", NULL}, {"max", NULL}};
    static const char *const windows[] = {"1 hour",     "6 hours", "1 day",    "3 days", "7 days",
                                          "10 minutes", "3 hours", "12 hours", "2 days", "5 days"};
    static const char *const longest[] = {"7 days"};
    windows_function one = {only, NULL};
    windows_feature feature = {
        .name = "delay",
        .values = 0,
        .filter = WINDOWS_NO_FILTER,
        .mode = WINDOW_FIXED,
        .functions = only != NULL ? &one : functions,
        .n_functions = only != NULL ? 1 : n_functions,
        .windows = n_windows == 1 ? longest : windows,
        .n_windows = n_windows,
    };
    static const type *keys[1];
    static field columns[1];
    keys[0] = type_simple(TYPE_BIGINT);
    columns[0] = (field){"delay", type_simple(TYPE_DOUBLE)};
    windows_declaration declaration = {
        .keys = keys,
        .n_keys = 1,
        .columns = columns,
        .n_columns = 1,
        .features = &feature,
        .n_features = 1,
    };
    windows_plan *plan;
    freshet_error err;
    if (windows_plan_make(arena, &declaration, &plan, &err) != FRESHET_OK)
        stop(&err);
    return plan;
}

/* Events of `keys` keys in seven days; `late` of them up to ten minutes late. */
typedef struct stream {
    uint64_t keys;
    double late;
    double pace_us, clock_us;
    uint32_t rows; /* of a batch */
    double spent_s;
    uint64_t refreshed;
} stream;

static windows_state *open_state(const windows_plan *plan)
{
    windows_options options = {.lateness_s = 600};
    windows_state *state;
    freshet_error err;
    if (windows_open(plan, &options, &state, &err) != FRESHET_OK)
        stop(&err);
    state_part_set_load(windows_part(state), NULL, NULL);
    return state;
}

static void apply_batch(stream *stream, windows_state *state, arena *step)
{
    static int64_t key[BATCH_ROWS], event_us[BATCH_ROWS];
    static double value[BATCH_ROWS];
    column key_column = {.type = type_simple(TYPE_BIGINT), .data = key, .capacity = BATCH_ROWS};
    column value_column = {.type = type_simple(TYPE_DOUBLE), .data = value, .capacity = BATCH_ROWS};
    windows_input input = {stream->rows, &key_column, &value_column, event_us};
    for (uint32_t i = 0; i < stream->rows; i++) {
        stream->clock_us += stream->pace_us;
        bool is_late = (double)(draw() >> 11) * 0x1p-53 < stream->late;
        event_us[i] = (int64_t)stream->clock_us - (is_late ? (int64_t)(draw() % 590000000) : 0);
        key[i] = (int64_t)(draw() % stream->keys);
        value[i] = (double)(draw() % 100000) / 100;
    }
    windows_result result;
    freshet_error err;
    arena_reset(step);
    double began = now_s();
    if (windows_apply(state, &input, step, &result, &err) != FRESHET_OK)
        stop(&err);
    stream->spent_s += now_s() - began;
    stream->refreshed += result.n_refreshed;
}

/* The state of one plan in a state of another, by what is saved; the old one is closed. */
static windows_state *hand_over(windows_state *from, const windows_plan *plan)
{
    windows_state *into = open_state(plan);
    state_key key;
    uint32_t cursor = 0;
    freshet_error err;
    text_buffer saved;
    text_init(&saved, WINDOWS_SAVED_BYTES_MAX);
    while (state_part_next_dirty(windows_part(from), &cursor, &key)) {
        text_reset(&saved);
        if (state_part_save(windows_part(from), &key, &saved, &err) != FRESHET_OK ||
            state_part_restore(windows_part(into), key.bytes, key.length, saved.bytes, saved.length,
                               &err) != FRESHET_OK)
            stop(&err);
    }
    text_release(&saved);
    windows_close(from);
    return into;
}

/* `live` events of each key. */
static void measure(uint64_t keys, uint64_t live, double late, uint64_t events)
{
    const char *function = only;
    char what[32];
    snprintf(what, sizeof what, "%u x %u", n_windows, n_functions);
    arena *made = arena_open(), *step = arena_open();
    stream stream = {.keys = keys, .late = late, .clock_us = 1.7e15, .rows = BATCH_ROWS};
    stream.pace_us = SPAN_S * 1e6 / (double)(keys * live);
    double resident = resident_bytes();
    if (function != NULL)
        only = "avg";
    windows_state *state = open_state(make_plan(made));
    only = function;
    uint64_t warm = keys * live + keys * live / 10, done = 0;
    for (uint64_t n = 0; n < warm; n += stream.rows)
        apply_batch(&stream, state, step);
    if (function != NULL) {
        state = hand_over(state, make_plan(made));
        stream.rows = live >= 100000 ? 16 : 256;
        apply_batch(&stream, state, step); /* what is built from the events once */
        apply_batch(&stream, state, step);
    }
    double began_s = stream.spent_s;
    uint64_t refreshed = stream.refreshed;
    for (; done < events && (function == NULL || stream.spent_s - began_s < BUDGET_S);
         done += stream.rows)
        apply_batch(&stream, state, step);
    double spent = stream.spent_s - began_s;
    windows_figures figures = windows_measure(state);
    double per_event = (double)(figures.bytes - figures.table_bytes) / (double)figures.events;
    printf(
        "%-22s %8llu keys x %8.1f live, %2.0f %% late (%.0f %% refreshed): %6.0f ns/event, %5.2f M "
        "events/s; %.1f B/event + %.1f B/key; process %.0f B/key\n",
        function != NULL ? function : what, (unsigned long long)figures.keys,
        (double)figures.events / (double)figures.keys, late * 100,
        (double)(stream.refreshed - refreshed) / (double)done * 100, spent / (double)done * 1e9,
        (double)done / spent / 1e6, per_event, (double)figures.table_bytes / (double)figures.keys,
        (resident_bytes() - resident) / (double)figures.keys);
    fflush(stdout);
    windows_close(state);
    arena_close(step);
    arena_close(made);
}

static void measure_functions(char **functions, int n)
{
    static char *all[] = {"avg",    "count_distinct",  "mode",
                          "median", "percentile(0.9)", "percentile_approx(0.9)"};
    static const uint64_t lives[] = {100, 1000, 100000, 1000000};
    if (n == 0) {
        functions = all;
        n = (int)(sizeof all / sizeof *all);
    }
    for (int f = 0; f < n; f++) {
        only = functions[f];
        measure(10000, 20, 0.05, 1000000);
        for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
            measure(1, lives[i], 0, 1000000);
            measure(1, lives[i], 0.05, 1000000);
        }
    }
}

int main(int n, char **arguments)
{
    if (n > 1 && strcmp(arguments[1], "functions") == 0) {
        measure_functions(arguments + 2, n - 2);
        return 0;
    }
    if (n > 6 && strcmp(arguments[1], "wide") == 0) {
        n_windows = (uint32_t)atoi(arguments[5]);
        n_functions = (uint32_t)atoi(arguments[6]);
        if (n_windows < 1 || n_windows > 10 || n_functions < 1 || n_functions > 5)
            return 64;
        measure((uint64_t)atoll(arguments[2]), (uint64_t)atoll(arguments[3]), atof(arguments[4]),
                n > 7 ? (uint64_t)atoll(arguments[7]) : 1000000);
        return 0;
    }
    only = n > 4 ? arguments[4] : NULL;
    if (n > 3) {
        measure((uint64_t)atoll(arguments[1]), (uint64_t)atoll(arguments[2]), atof(arguments[3]),
                3000000);
        return 0;
    }
    measure(1, 20, 0.05, 2000000);
    measure(10000, 20, 0.05, 2000000);
    measure(1000000, 20, 0.05, 3000000);
    measure(1, 1000, 0.05, 1000000);
    measure(1, 100000, 0.05, 500000);
    measure(1, 1000000, 0, 500000);
    measure(1, 1000000, 0.05, 500000);
    return 0;
}
