/* tally_test.c - tallies against a sorted array of the same values. */
#include "aggregate/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/families.h"

#define VALUES_MAX 20000u

/* A cell, and the bytes that a long text's points to. */
typedef union cell {
    double real;
    int64_t integer;
    int128 decimal;
    cell_text text;
} cell;

static memory counted;
static tally values;
static const type *type_of;
static cell held[VALUES_MAX]; /* in order; texts point into `texts` */
static uint32_t n_held;
static char texts[VALUES_MAX][24]; /* of each number that make_cell is given */
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

static int compare_cells(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    switch (type_of->kind) {
    case TYPE_STRING: return compare_texts(&x->text, &y->text);
    case TYPE_DECIMAL: return (x->decimal > y->decimal) - (x->decimal < y->decimal);
    case TYPE_DOUBLE: {
        int nan = (x->real != x->real) - (y->real != y->real);
        return nan != 0 ? nan : (x->real > y->real) - (x->real < y->real);
    }
    default: return (x->integer > y->integer) - (x->integer < y->integer);
    }
}

/* The number as a value of the type: short and long texts, both zeros, NaN and the infinities. */
static cell make_cell(uint32_t number)
{
    static const double specials[] = {NAN, -NAN, -0.0, 0.0, INFINITY, -INFINITY};
    cell cell;
    memset(&cell, 0, sizeof cell);
    switch (type_of->kind) {
    case TYPE_STRING:
        snprintf(texts[number], sizeof texts[number], number % 3 == 0 ? "%u" : "the longer text %u",
                 number);
        cell.text = text_of(texts[number], (uint32_t)strlen(texts[number]));
        break;
    case TYPE_DECIMAL: cell.decimal = ((int128)number - 5000) * ((int128)1 << 70); break;
    case TYPE_DOUBLE: cell.real = number < 6 ? specials[number] : (number - 9000.0) / 7; break;
    default:
        cell.integer = number == 0 ? INT64_MIN : number == 1 ? INT64_MAX : (int64_t)number - 4000;
        break;
    }
    return cell;
}

/* Where the first held value that is not smaller stands. */
static uint32_t place_of(const cell *cell)
{
    uint32_t low = 0, high = n_held;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare_cells(&held[middle], cell) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add(const cell *cell)
{
    assert_true(n_held < VALUES_MAX);
    assert_true(tally_add(&values, &counted, type_of, cell));
    uint32_t place = place_of(cell);
    memmove(&held[place + 1], &held[place], (n_held++ - place) * sizeof *held);
    held[place] = *cell;
}

static void remove_at(uint32_t place)
{
    cell gone = held[place];
    tally_remove(&values, &counted, type_of, &gone);
    memmove(&held[place], &held[place + 1], (--n_held - place) * sizeof *held);
}

static void assert_value(const aggregate_value *value, const cell *expected)
{
    cell got;
    memset(&got, 0, sizeof got);
    switch (type_of->kind) {
    case TYPE_STRING: got.text = value->text; break;
    case TYPE_DECIMAL: got.decimal = value->decimal; break;
    case TYPE_DOUBLE: got.real = value->real; break;
    default: got.integer = value->integer; break;
    }
    assert_int_equal(compare_cells(&got, expected), 0);
}

static void assert_all_equal(void)
{
    const char *wrong = tally_check(&values, type_of);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    uint32_t distinct = 0, most = 0, mode = 0;
    for (uint32_t i = 0, j; i < n_held; i = j, distinct++) {
        for (j = i; j < n_held && compare_cells(&held[i], &held[j]) == 0;)
            j++;
        mode = j - i > most ? i : mode;
        most = j - i > most ? j - i : most;
    }
    assert_int_equal(values.n, n_held);
    assert_int_equal(values.n_distinct, distinct);
    aggregate_value value;
    for (uint32_t i = 0; i < n_held; i += 1 + n_held / 500) {
        tally_at(&values, type_of, i, &value);
        assert_value(&value, &held[i]);
    }
    if (n_held == 0) {
        assert_int_equal(counted.bytes, 0);
        return;
    }
    tally_at(&values, type_of, n_held - 1, &value);
    assert_value(&value, &held[n_held - 1]);
    tally_mode(&values, type_of, &value);
    assert_value(&value, &held[mode]);
}

static void begin(const type *type, uint64_t seed)
{
    type_of = type;
    random_state = seed;
    counted = (memory){.fail_after = -1};
    values = (tally){0};
    n_held = 0;
}

static void end(void)
{
    tally_clear(&values, &counted, type_of);
    assert_int_equal(counted.bytes, 0);
    assert_int_equal(values.n, 0);
}

/* Values of 0 to `range` come until there are n, then come and go, then go. */
static void run_random(const type *type, uint32_t range, uint32_t n)
{
    begin(type, range);
    for (uint32_t i = 0; i < n; i++) {
        cell cell = make_cell((uint32_t)draw(range));
        add(&cell);
        if (i % (n / 4) == 0)
            assert_all_equal();
    }
    for (uint32_t i = 0; i < n; i++) {
        remove_at((uint32_t)draw(n_held));
        cell cell = make_cell((uint32_t)draw(range));
        add(&cell);
        if (i % (n / 4) == 0)
            assert_all_equal();
    }
    while (n_held > 0) {
        remove_at((uint32_t)draw(n_held));
        if (n_held % (n / 8) == 0 || n_held < 5)
            assert_all_equal();
    }
    end();
}

static void tallies_are_as_sorted_values(void **state)
{
    (void)state;
    const type *types[] = {type_simple(TYPE_DOUBLE), type_simple(TYPE_BIGINT),
                           type_simple(TYPE_STRING), NULL};
    arena *arena = arena_open();
    types[3] = type_decimal(arena, 38, 2);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        run_random(types[t], 5, 200); /* one leaf */
        run_random(types[t], 100, 400);
        run_random(types[t], 10000, 5000); /* three levels */
    }
    arena_close(arena);
}

/* A range that moves on leaves no empty nodes behind. */
static void moving_values_take_no_more_room(void **state)
{
    (void)state;
    begin(type_simple(TYPE_STRING), 3);
    size_t most = 0;
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "growing value %09u", i);
        cell cell = {.text = text_of(texts[i], (uint32_t)strlen(texts[i]))};
        add(&cell);
        if (n_held > 1000)
            remove_at(0);
        if (i == 2000)
            most = counted.bytes * 11 / 10;
        if (i > 2000)
            assert_in_range(counted.bytes, 1, most);
        if (i % 4000 == 0)
            assert_all_equal();
    }
    end();
}

/* Each allocation fails once: the tally is then as it was, and goes on. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    begin(type_simple(TYPE_STRING), 4);
    uint32_t failures = 0;
    for (uint32_t i = 0; i < 6000; i++) {
        cell cell = make_cell((uint32_t)draw(VALUES_MAX));
        for (int64_t n = 0;; n++) {
            counted.fail_after = n;
            tally before = values;
            if (tally_add(&values, &counted, type_of, &cell))
                break;
            failures++;
            assert_true(values.n == before.n && values.n_distinct == before.n_distinct);
            if (draw(50) == 0)
                assert_null(tally_check(&values, type_of));
        }
        counted.fail_after = -1;
        tally_remove(&values, &counted, type_of, &cell);
        add(&cell);
        if (i % 1000 == 0)
            assert_all_equal();
    }
    assert_true(failures > 2000);
    assert_all_equal();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tallies_are_as_sorted_values),
        cmocka_unit_test(moving_values_take_no_more_room),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
