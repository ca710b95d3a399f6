/* fuzz_number.c - any bytes as numbers of every kind and grammar: a double is strtod's, a float is
 * strtof's, and what an integer or a decimal gives is the same number. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    double real = 0;
    float small = 0;
    int64_t whole;
    int128 decimal;

    memcpy(text, data, size);
    text[size] = '\0';
    bool is_real = number_double(text, size, NUMBER_STRICT, &real);
    bool is_small = number_float(text, size, NUMBER_STRICT, &small);
    check(is_real || !is_small);
    if (is_real && !isnan(real))
        check(real == strtod(text, NULL));
    if (is_small && !isnan(real))
        check(small == strtof(text, NULL));
    if (number_integer(text, size, NUMBER_STRICT, INT64_MIN, INT64_MAX, &whole))
        check(is_real && real == (double)whole);
    if (number_decimal(text, size, NUMBER_STRICT, 38, 0, &decimal))
        check(is_real &&
              fabs(real - number_double_of_decimal(decimal, 0)) <= 0.5 + fabs(real) * 1e-15);
    if (is_real)
        check(number_double(text, size, NUMBER_SPARK, &real));
    number_integer(text, size, NUMBER_SPARK, INT64_MIN, INT64_MAX, &whole);
    number_decimal(text, size, NUMBER_SPARK, 10, 3, &decimal);
    free(text);
    return 0;
}
