/* joins_bench.c - a join of two streams alone: rows in, pairs out, one thread, no files, no query.
 *
 *   joins_bench [rows] [seconds of the bound] [rows a second]
 *
 * Orders and payments in turn, each payment that of an order up to the bound before; bigint keys, a
 * bigint and a text of 12 bytes besides. Prints rows/s, pairs/s, and the bytes of a row that is
 * held.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "features/joined.h"

#define BATCH 16384u
#define BASE_US INT64_C(1700000000000000)

static const bool all_used[4] = {true, true, true, true};
static freshet_error err;

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at); /* of this process: others may run */
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void must(freshet_code code)
{
    if (code == FRESHET_OK)
        return;
    fprintf(stderr, "joins_bench: %s\n", err.text);
    exit(1);
}

static joined *open_join(arena *arena, const plan_join *join, int64_t bound_us)
{
    static timestamp_block timestamp = {.from = {.value = "ts"}, .idle_us = INT64_MAX / 4};
    static schema columns;
    const type *type = type_parse(arena, "struct<id: bigint, ts: timestamp, n: bigint, t: string>");
    joined_options options = {
        .join = join, .timestamp = &timestamp, .is_stream = true, .memory = (size_t)4 << 30};
    joined *joined;
    uint32_t bad_side;
    columns = (schema){type->n_fields, type->fields};
    for (int side = 0; side < 2; side++)
        options.sides[side] = (joined_side){.id = side == 0 ? "orders" : "payments",
                                            .schema = &columns,
                                            .used = all_used,
                                            .time_column = 1,
                                            .timestamp = &timestamp,
                                            .within_us = bound_us};
    must(joined_open(&options, &joined, &bad_side, &err));
    return joined;
}

/* Row i of all: an order where i is even, else a payment. */
static void fill(arena *arena, const schema *columns, batch sides[2], uint64_t *rows,
                 uint64_t first, uint64_t per_second, uint64_t back)
{
    for (int side = 0; side < 2; side++) {
        must(batch_init(&sides[side], arena, columns, BATCH, &err));
        sides[side].origins = arena_zero(arena, BATCH, sizeof *sides[side].origins);
    }
    for (uint64_t i = 0; i < BATCH; i++) {
        const uint64_t number = (first + i) / 2;
        batch *side = &sides[i % 2];
        const uint32_t at = side->n_rows++;
        const uint64_t behind = number * UINT64_C(2654435761) % back;
        ((int64_t *)side->columns[0].data)[at] =
            (int64_t)(i % 2 == 0 || number < behind ? number : number - behind);
        ((int64_t *)side->columns[1].data)[at] =
            BASE_US + (int64_t)((first + i) * 1000000 / per_second);
        ((int64_t *)side->columns[2].data)[at] = (int64_t)number;
        ((cell_text *)side->columns[3].data)[at] = text_of("twelve bytes", 12);
        rows[i] = ROW_OF(i % 2, at);
    }
}

int main(int argc, char **argv)
{
    const uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000000;
    const uint64_t bound_s = argc > 2 ? strtoull(argv[2], NULL, 10) : 600;
    const uint64_t per_second = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000;
    const plan_join join = {
        .readers = {0, 1}, .n_keys = 1, .keys = {{0}, {0}}, .is_outer = true};
    arena *arena = arena_open(), *step = arena_open();
    joined *joined = open_join(arena, &join, (int64_t)bound_s * 1000000);
    const type *type = type_parse(arena, "struct<id: bigint, ts: timestamp, n: bigint, t: string>");
    const schema columns = {type->n_fields, type->fields};
    uint64_t *rows = arena_zero(arena, BATCH, sizeof *rows), pairs = 0, most_bytes = 0, held = 1;
    double spent = 0;
    for (uint64_t first = 0; first < n; first += BATCH) {
        batch sides[2];
        const batch *given[2] = {&sides[0], &sides[1]};
        arena_reset(step);
        fill(step, &columns, sides, rows, first, per_second, bound_s * per_second / 4);
        const double begin = now();
        must(joined_take(joined, step, given, rows, BATCH, &err));
        while (joined_owes(joined)) {
            source_pairs out;
            const joined_place *places;
            must(joined_give(joined, step, BATCH, &out, &places, &err));
            pairs += out.n;
        }
        spent += now() - begin;
        const joined_figures figures = joined_measure(joined);
        if (figures.bytes > most_bytes) {
            most_bytes = figures.bytes;
            held = figures.rows;
        }
    }
    printf("%.0f rows/s, %.0f pairs/s; %" PRIu64 " rows held, %.0f bytes each\n",
           (double)n / spent, (double)pairs / spent, held, (double)most_bytes / (double)held);
    joined_close(joined);
    arena_close(step);
    arena_close(arena);
    return 0;
}
