/* aggregate_test.c - the functions one by one: exactness, nulls, empties, overflow, limits. */
#include "aggregate/aggregate.h"
#include "base/memory_testing.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The function over n cells: in runs of `length`, walked backwards, each other run by way of a
 * partial of its own where the family merges. */
static aggregate_outcome compute(const char *text, const type *input, const void *cells,
                                 const bool *null, uint32_t n, uint32_t length,
                                 aggregate_value *out)
{
    _Alignas(16) unsigned char partial[AGGREGATE_PARTIAL_MAX] = {0};
    aggregate aggregate;
    aggregate_scratch scratch = {memory, false};
    size_t size = type_cell_size(input);
    freshet_error err = {0};
    if (aggregate_prepare(memory, text, input, &aggregate, &err) != FRESHET_OK)
        fail_msg("%s: %s", text, err.text);
    assert_true(aggregate.family->size <= sizeof partial);
    for (uint32_t end = n, turn = 0; end > 0; turn++) {
        uint32_t begin = end > length ? end - length : 0;
        aggregate_run run = {
            (const char *)cells + begin * size, ~UINT64_C(0), 0, end - begin, input, &scratch};
        for (uint32_t i = begin; null != NULL && i < end; i++)
            if (null[i])
                run.valid &= ~(UINT64_C(1) << (i - begin));
        if (turn % 2 == 1 && aggregate.family->merge != NULL) {
            _Alignas(16) unsigned char older[AGGREGATE_PARTIAL_MAX] = {0};
            aggregate.family->update(older, &run);
            aggregate.family->merge(partial, older, sizeof older, 1);
        } else {
            aggregate.family->update(partial, &run);
        }
        end = begin;
    }
    assert_false(scratch.failed);
    return aggregate.finish(partial, &aggregate, &scratch, out);
}

static double real_of(const char *text, const double *values, uint32_t n, uint32_t length)
{
    aggregate_value value;
    aggregate_outcome outcome =
        compute(text, type_simple(TYPE_DOUBLE), values, NULL, n, length, &value);
    assert_int_equal(outcome, AGGREGATE_VALUE);
    return value.real;
}

static void sums_of_doubles_keep_what_is_small(void **state)
{
    (void)state;
    const double values[] = {1e16, 1, -1e16, 1e-3, 1, 1e100, 1, -1e100};
    for (uint32_t length = 1; length <= 8; length++) {
        assert_true(fabs(real_of("sum", values, 5, length) - 2.001) < 1e-15);
        assert_true(real_of("sum", values + 5, 3, length) == 1);
    }
}

static void sums_take_nan_and_infinities_as_addition_does(void **state)
{
    (void)state;
    const double positive[] = {1, INFINITY, 2}, both[] = {1, INFINITY, -INFINITY, 2},
                 none[] = {1, NAN, 2}, large[] = {DBL_MAX, DBL_MAX};
    for (uint32_t length = 1; length <= 3; length++) {
        assert_true(real_of("sum", positive, 3, length) == INFINITY);
        assert_true(real_of("avg", positive, 3, length) == INFINITY);
        assert_true(isnan(real_of("sum", both, 4, length)));
        assert_true(isnan(real_of("sum", none, 3, length)));
        assert_true(real_of("sum", large, 2, length) == INFINITY);
        assert_true(isnan(real_of("stddev_pop", positive, 3, length)));
        assert_true(isnan(real_of("var_pop", none, 3, length)));
        assert_true(isnan(real_of("kurtosis", none, 3, length)));
    }
}

static void bigint_sums_are_exact_and_never_wrap(void **state)
{
    (void)state;
    const type *bigint = type_simple(TYPE_BIGINT);
    const int64_t values[] = {INT64_MAX, INT64_MAX, INT64_MIN, -7, INT64_MIN};
    aggregate_value value;
    for (uint32_t length = 1; length <= 5; length++) {
        assert_int_equal(compute("sum", bigint, values, NULL, 5, length, &value), AGGREGATE_VALUE);
        assert_int_equal(value.integer, -9);
        assert_int_equal(compute("sum", bigint, values, NULL, 2, length, &value),
                         AGGREGATE_OVERFLOW);
        assert_int_equal(compute("avg", bigint, values, NULL, 2, length, &value), AGGREGATE_VALUE);
        assert_true(value.real == 0x1p63);
    }
}

static int128 power_of_ten(int n)
{
    int128 value = 1;
    while (n-- > 0)
        value *= 10;
    return value;
}

static void decimal_sums_survive_wraps_on_their_way(void **state)
{
    (void)state;
    const type *wide = type_decimal(memory, 38, 0);
    int128 nines = power_of_ten(38) - 1;
    const int128 values[] = {nines, nines, nines, -nines, -nines, 5};
    aggregate_value value;
    for (uint32_t length = 1; length <= 6; length++) {
        assert_int_equal(compute("sum", wide, values + 1, NULL, 5, length, &value),
                         AGGREGATE_VALUE);
        assert_true(value.decimal == 5);
        assert_int_equal(compute("sum", wide, values, NULL, 2, length, &value), AGGREGATE_OVERFLOW);
        assert_int_equal(compute("sum", wide, values, NULL, 6, length, &value), AGGREGATE_OVERFLOW);
    }
}

/* Of reals a double, of exact numbers their own type, and an overflow where it does not fit. */
static void ranges_never_wrap(void **state)
{
    (void)state;
    const float floats[] = {0.1f, 16777216, -0.25f};
    const double odd[] = {1, INFINITY, -3, NAN};
    const int32_t small[] = {INT32_MAX, 5, -1, 0};
    const int64_t large[] = {INT64_MAX, 5, -1, INT64_MIN};
    const int128 decimals[] = {-500, 499, 500};
    const bool nulls[] = {true, true, true, true};
    const type *integer = type_simple(TYPE_INTEGER), *bigint = type_simple(TYPE_BIGINT);
    const type *decimal = type_decimal(memory, 3, 1);
    aggregate_value value;
    for (uint32_t length = 1; length <= 4; length++) {
        assert_int_equal(compute("range", type_simple(TYPE_FLOAT), floats, NULL, 3, length, &value),
                         AGGREGATE_VALUE);
        assert_true(value.real == 16777216.25);
        assert_true(real_of("range", odd, 1, length) == 0);
        assert_true(real_of("range", odd, 3, length) == INFINITY);
        assert_true(isnan(real_of("range", odd, 4, length)));
        assert_int_equal(compute("range", integer, small + 1, NULL, 3, length, &value),
                         AGGREGATE_VALUE);
        assert_int_equal(value.integer, 6);
        assert_int_equal(compute("range", integer, small, NULL, 4, length, &value),
                         AGGREGATE_OVERFLOW);
        assert_int_equal(compute("range", bigint, large, NULL, 2, length, &value), AGGREGATE_VALUE);
        assert_true(value.integer == INT64_MAX - 5);
        assert_int_equal(compute("range", bigint, large, NULL, 3, length, &value),
                         AGGREGATE_OVERFLOW);
        assert_int_equal(compute("range", decimal, decimals, NULL, 2, length, &value),
                         AGGREGATE_VALUE);
        assert_true(value.decimal == 999);
        assert_int_equal(compute("range", decimal, decimals, NULL, 3, length, &value),
                         AGGREGATE_OVERFLOW);
        assert_int_equal(compute("range", bigint, large, nulls, 4, length, &value), AGGREGATE_NULL);
    }
}

static void decimal_averages_round_half_away_from_zero(void **state)
{
    (void)state;
    const type *cents = type_decimal(memory, 10, 2);
    const int128 thirds[] = {100, 100, 0}, halves[8] = {1}, negative[8] = {-1};
    aggregate_value value;
    aggregate aggregate;
    assert_int_equal(aggregate_prepare(memory, "avg", cents, &aggregate, NULL), FRESHET_OK);
    assert_int_equal(aggregate.output->width, 14);
    assert_int_equal(aggregate.output->scale, 6);
    compute("avg", cents, thirds, NULL, 3, 2, &value);
    assert_true(value.decimal == 666667);
    compute("avg", cents, halves, NULL, 8, 3, &value);
    assert_true(value.decimal == 1250);
    compute("avg", cents, negative, NULL, 8, 3, &value);
    assert_true(value.decimal == -1250);
    const int128 halfway[] = {0, 1, 0, 0, 0, 0, 0, 0};
    compute("avg", type_decimal(memory, 38, 37), halfway, NULL, 2, 2, &value);
    assert_true(value.decimal == 5); /* one digit more, of 38 */
}

static void variances_keep_their_digits_when_the_mean_is_large(void **state)
{
    (void)state;
    double values[300];
    for (int i = 0; i < 300; i++)
        values[i] = 1e12 + i % 3;
    for (uint32_t length = 1; length <= 64; length += 9) {
        double var = real_of("var_pop", values, 300, length);
        assert_true(fabs(var - 2.0 / 3) < 1e-13);
        assert_true(fabs(real_of("kurtosis", values, 300, length) + 1.5) < 1e-12);
        assert_true(fabs(real_of("skewness", values, 300, length)) < 1e-12);
    }
    values[299] = -1e15; /* the newest lies far away */
    double one = real_of("stddev_samp", values, 300, 1),
           other = real_of("stddev_samp", values, 300, 64);
    assert_true(fabs(one - other) <= 1e-13 * one);
}

static void equal_values_have_no_shape(void **state)
{
    (void)state;
    const double values[] = {0.1, 0.1, 0.1, 0.1, 0.1};
    aggregate_value value;
    for (uint32_t length = 1; length <= 5; length++) {
        assert_true(real_of("var_pop", values, 5, length) == 0);
        assert_int_equal(
            compute("skewness", type_simple(TYPE_DOUBLE), values, NULL, 5, length, &value),
            AGGREGATE_NULL);
        assert_int_equal(
            compute("kurtosis", type_simple(TYPE_DOUBLE), values, NULL, 5, length, &value),
            AGGREGATE_NULL);
    }
    assert_int_equal(compute("stddev", type_simple(TYPE_DOUBLE), values, NULL, 1, 1, &value),
                     AGGREGATE_NULL);
}

static void nothing_gives_what_spark_gives(void **state)
{
    (void)state;
    const double values[3] = {0};
    const bool null[] = {true, true, true};
    for (uint32_t i = 0; aggregate_name(i) != NULL; i++) {
        const char *name = aggregate_name(i);
        char text[AGGREGATE_NAME_MAX];
        snprintf(text, sizeof text, "%s%s", name, strncmp(name, "percentile", 10) ? "" : "(0.5)");
        aggregate prepared;
        if (aggregate_prepare(memory, text, type_simple(TYPE_DOUBLE), &prepared, NULL) !=
            FRESHET_OK)
            continue; /* of integers only: bit_and */
        for (uint32_t n = 0; n <= 3; n += 3) {
            aggregate_value value = {0};
            aggregate_outcome outcome =
                compute(text, type_simple(TYPE_DOUBLE), values, null, n, 2, &value);
            bool counts = strstr(name, "count") != NULL;
            bool lists = strstr(name, "collect") != NULL || strstr(name, "_set") != NULL;
            assert_int_equal(outcome, counts || lists ? AGGREGATE_VALUE : AGGREGATE_NULL);
            assert_true(!counts || value.integer == 0);
            assert_true(!lists || value.list.n == 0);
        }
    }
}

static void the_ends_take_nulls(void **state)
{
    (void)state;
    const int32_t values[] = {0, 5, 7, 0};
    const bool null[] = {true, false, false, true};
    const type *integer = type_simple(TYPE_INTEGER);
    aggregate_value value;
    for (uint32_t length = 1; length <= 4; length++) {
        assert_int_equal(compute("first", integer, values, null, 4, length, &value),
                         AGGREGATE_NULL);
        assert_int_equal(compute("last", integer, values, null, 4, length, &value), AGGREGATE_NULL);
        compute("first_nonnull", integer, values, null, 4, length, &value);
        assert_int_equal(value.integer, 5);
        compute("last_nonnull", integer, values, null, 4, length, &value);
        assert_int_equal(value.integer, 7);
        compute("first", integer, values, null + 1, 2, length, &value);
        assert_int_equal(value.integer, 0);
    }
}

static void nan_is_the_greatest_and_zero_has_no_sign_in_sets(void **state)
{
    (void)state;
    const double values[] = {NAN, 0.0, -0.0, 3, -NAN};
    aggregate_value value;
    for (uint32_t length = 1; length <= 5; length++) {
        assert_true(isnan(real_of("max", values, 5, length)));
        double smallest = real_of("min", values, 5, length);
        assert_true(smallest == 0 && signbit(smallest));
        compute("count_distinct", type_simple(TYPE_DOUBLE), values, NULL, 5, length, &value);
        assert_int_equal(value.integer, 3);
        assert_true(isnan(real_of("percentile_approx(1)", values, 5, length)));
        assert_true(real_of("median", values, 5, length) == 3);
    }
}

static void quantiles(void **state)
{
    (void)state;
    const double values[] = {40, 10, 30, 20};
    assert_true(real_of("median", values, 4, 2) == 25);
    assert_true(real_of("percentile(0)", values, 4, 2) == 10);
    assert_true(real_of("percentile(1)", values, 4, 2) == 40);
    assert_true(fabs(real_of("percentile(0.9)", values, 4, 2) - 37) < 1e-13);
    assert_true(real_of("percentile_approx(0.5)", values, 4, 2) == 20);
    assert_true(real_of("percentile_approx(0.51)", values, 4, 2) == 30);
    assert_true(real_of("percentile_approx(0)", values, 4, 2) == 10);
    const double infinite[] = {1, INFINITY};
    assert_true(real_of("median", infinite, 2, 2) == INFINITY);
    assert_true(real_of("median", infinite + 1, 1, 1) == INFINITY);
}

static void products_do_not_leave_the_range_on_their_way(void **state)
{
    (void)state;
    const double values[] = {1e300, 1e300, 1e-300, 1e-300, -2};
    for (uint32_t length = 1; length <= 5; length++)
        assert_true(fabs(real_of("product", values, 5, length) + 2) < 1e-12);
}

static void registers_estimate_within_their_error(void **state)
{
    (void)state;
    const type *bigint = type_simple(TYPE_BIGINT);
    static int64_t values[100000];
    for (int i = 0; i < 100000; i++)
        values[i] = i * INT64_C(7919);
    for (uint32_t n = 1; n <= 100000; n *= 10) {
        aggregate_value value;
        compute("approx_count_distinct", bigint, values, NULL, n, 64, &value);
        assert_true(fabs((double)value.integer - n) <= fmax(1, 0.12 * n));
    }
}

static void the_most_frequent_come_first(void **state)
{
    (void)state;
    const cell_text values[] = {text_of("p", 1), text_of("q", 1), text_of("r", 1), text_of("q", 1),
                                text_of("a rather long text", 18)};
    aggregate_value value;
    compute("most_frequent_set", type_simple(TYPE_STRING), values, NULL, 5, 2, &value);
    const cell_text *list = value.list.cells;
    assert_int_equal(value.list.n, 4);
    assert_memory_equal(text_bytes(&list[0]), "q", 1);
    assert_memory_equal(text_bytes(&list[1]), "p", 1);
    assert_memory_equal(text_bytes(&list[2]), "r", 1);
    assert_memory_equal(text_bytes(&list[3]), "a rather long text", 18);
}

static void what_is_no_function_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        type_kind kind;
        const char *says;
    } cases[] = {
        {"medium", TYPE_DOUBLE,
         "there is no aggregate function \"medium\"; did you mean \"median\"?"},
        {"percentile", TYPE_DOUBLE,
         "percentile needs a part from 0 to 1 in brackets, as in percentile(0.9)"},
        {"percentile(2)", TYPE_DOUBLE,
         "percentile needs a part from 0 to 1 in brackets, as in percentile(0.9)"},
        {"percentile(nan)", TYPE_DOUBLE,
         "percentile needs a part from 0 to 1 in brackets, as in percentile(0.9)"},
        {"avg(2)", TYPE_DOUBLE, "avg takes no parameter: leave out \"(2)\""},
        {"sum", TYPE_BOOLEAN,
         "sum cannot be computed of a column of type boolean: it takes numbers, such as a feature "
         "above of type double"},
        {"bit_and", TYPE_DOUBLE,
         "bit_and cannot be computed of a column of type double: it takes integers, such as a "
         "feature above of type bigint"},
        {"percentile_approx(0.5)", TYPE_STRING,
         "percentile_approx cannot be computed of a column of type string: it takes numbers, such "
         "as a feature above of type double"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aggregate aggregate;
        freshet_error err = {0};
        assert_int_equal(
            aggregate_prepare(memory, cases[i].text, type_simple(cases[i].kind), &aggregate, &err),
            FRESHET_BAD_DECLARATION);
        assert_string_equal(err.text, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_doubles_keep_what_is_small),
        cmocka_unit_test(sums_take_nan_and_infinities_as_addition_does),
        cmocka_unit_test(bigint_sums_are_exact_and_never_wrap),
        cmocka_unit_test(ranges_never_wrap),
        cmocka_unit_test(decimal_sums_survive_wraps_on_their_way),
        cmocka_unit_test(decimal_averages_round_half_away_from_zero),
        cmocka_unit_test(variances_keep_their_digits_when_the_mean_is_large),
        cmocka_unit_test(equal_values_have_no_shape),
        cmocka_unit_test(nothing_gives_what_spark_gives),
        cmocka_unit_test(the_ends_take_nulls),
        cmocka_unit_test(nan_is_the_greatest_and_zero_has_no_sign_in_sets),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(products_do_not_leave_the_range_on_their_way),
        cmocka_unit_test(registers_estimate_within_their_error),
        cmocka_unit_test(the_most_frequent_come_first),
        cmocka_unit_test(what_is_no_function_is_refused),
    };
    return cmocka_run_group_tests(tests, open_memory, close_memory);
}
