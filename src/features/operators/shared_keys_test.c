/* shared_keys_test.c - keys that come from two partitions are found, and others are not. */
#include "features/operators/operators_testing.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define SHARED_KEYS_ROWS 256u

static uint32_t n_lines;

static void take_line(void *context, const char *line)
{
    (void)context;
    n_lines += strstr(line, "different partitions") != NULL;
}

/* One batch: `n` rows with the keys first, first + 1, ... of text, in that lane. */
static void look(alone *shared, uint32_t first, uint32_t n, uint32_t lane)
{
    static char texts[1000][32];
    cell_text cells[1000];
    uint32_t lanes[1000];
    uint8_t keep[1000];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(texts[i], sizeof texts[i], "the key number %u", first + i);
        cells[i] = text_of(texts[i], (uint32_t)strlen(texts[i]));
        lanes[i] = lane;
        keep[i] = 1;
    }
    column column = {.type = type_simple(TYPE_STRING), .data = cells};
    const batch in = {.n_rows = n, .lanes = lanes};
    run run = {.in = &in, .columns = &column, .n_rows = n, .keep = keep};
    assert_int_equal(alone_run(shared, &run), FRESHET_OK);
}

static void keys_of_one_partition_are_well(void **state)
{
    (void)state;
    cast_step key = {.to = 0};
    alone alone = {.plan = {.keys = &key, .n_keys = 1}}, *shared = &alone;
    alone_open(shared, &shared_keys_operator);
    for (uint32_t times = 0; times < 200; times++) {
        look(shared, 0, 100, 0);
        look(shared, 1000, 100, 1);
        look(shared, 2000 + times * 100, 100, 2);
    }
    assert_int_equal(shared->self->figures.shared, 0);
    alone_close(shared);
}

static void keys_of_two_partitions_are_counted_and_said_once(void **state)
{
    (void)state;
    cast_step key = {.to = 0};
    alone alone = {.plan = {.keys = &key, .n_keys = 1}}, *shared = &alone;
    alone_open(shared, &shared_keys_operator);
    n_lines = 0;
    log_hook(take_line, NULL);
    look(shared, 0, 10, 0);
    look(shared, 5, 10, 1); /* five of them */
    assert_int_equal(shared->self->figures.shared, 5);
    look(shared, 5, 10, 1);
    assert_int_equal(shared->self->figures.shared, 5);
    look(shared, 5, 1, 0);
    assert_int_equal(shared->self->figures.shared, 6);
    log_hook(NULL, NULL);
    assert_int_equal(n_lines, 1);
    alone_close(shared);
}

static void readers_have_keys_of_their_own(void **state)
{
    (void)state;
    cast_step key = {.to = 0};
    alone alone = {.plan = {.keys = &key, .n_keys = 1}}, *shared = &alone;
    alone_open(shared, &shared_keys_operator);
    look(shared, 0, 10, 0);
    look(shared, 0, 10, (1u << 24) + 3);
    look(shared, 0, 10, 0);
    assert_int_equal(shared->self->figures.shared, 0);
    alone_close(shared);
}

static void only_the_first_rows_are_looked_at(void **state)
{
    (void)state;
    cast_step key = {.to = 0};
    alone alone = {.plan = {.keys = &key, .n_keys = 1}}, *shared = &alone;
    alone_open(shared, &shared_keys_operator);
    log_hook(take_line, NULL);
    look(shared, 0, SHARED_KEYS_ROWS + 100, 0);
    look(shared, 0, SHARED_KEYS_ROWS + 100, 1);
    log_hook(NULL, NULL);
    assert_in_range(shared->self->figures.shared, SHARED_KEYS_ROWS - 2, SHARED_KEYS_ROWS);
    alone_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_partition_are_well),
        cmocka_unit_test(keys_of_two_partitions_are_counted_and_said_once),
        cmocka_unit_test(readers_have_keys_of_their_own),
        cmocka_unit_test(only_the_first_rows_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
