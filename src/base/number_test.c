/* number_test.c - numbers from text against strtod, strtof and long arithmetic by hand, and what
 * each grammar takes. */
#include "base/number.h"
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252U;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void append(char *text, const char *more)
{
    memcpy(text + strlen(text), more, strlen(more) + 1);
}

static void append_digits(char *text, unsigned most)
{
    char *at = text + strlen(text);

    for (unsigned n = (unsigned)(chance() % (most + 1)); n > 0; n--)
        *at++ = (char)('0' + chance() % 10);
    *at = '\0';
}

/* Something that is nearly always a number. */
static void make_number(char *text, unsigned most)
{
    static const char *const signs[] = {"", "-", "+", ""};

    text[0] = '\0';
    append(text, signs[chance() % 4]);
    append_digits(text, most);
    if (chance() % 2 == 0) {
        append(text, ".");
        append_digits(text, most);
    }
    if (chance() % 3 == 0)
        sprintf(text + strlen(text), "%s%s%d", chance() % 2 ? "e" : "E", signs[chance() % 3],
                (int)(chance() % (chance() % 2 ? 12 : 400)));
}

/* Has the text a digit before its exponent? Else it is no number, though strtod may take a part. */
static bool has_digit(const char *text)
{
    return text[strcspn(text, "0123456789eE")] >= '0' && text[strcspn(text, "0123456789eE")] <= '9';
}

static void reals_are_the_nearest(void **state)
{
    char text[2600];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        double wanted, real = 7;
        float small = 7, narrow;
        make_number(text, i % 100 == 0 ? 1200 : i % 2 == 0 ? 8 : 25);
        wanted = strtod(text, NULL);
        narrow = strtof(text, NULL);
        assert_int_equal(number_double(text, strlen(text), NUMBER_STRICT, &real),
                         has_digit(text) && !isinf(wanted));
        assert_int_equal(number_float(text, strlen(text), NUMBER_STRICT, &small),
                         has_digit(text) && !isinf(narrow));
        assert_true(real == (has_digit(text) && !isinf(wanted) ? wanted : 7));
        assert_true(small == (has_digit(text) && !isinf(narrow) ? narrow : 7));
        assert_true(real == 7 || signbit(real) == signbit(wanted));
    }
}

/* Halfway between two doubles, and a digit beside it, far behind what is kept. */
static void digits_far_behind_decide(void **state)
{
    char text[1400] = "9007199254740993."; /* 2^53 + 1 */
    double real;

    (void)state;
    memset(text + 17, '0', 1300);
    text[1317] = '\0';
    assert_true(number_double(text, 1317, NUMBER_STRICT, &real));
    assert_true(real == 9007199254740992.0);
    text[1316] = '1';
    assert_true(number_double(text, 1317, NUMBER_STRICT, &real));
    assert_true(real == 9007199254740994.0);
}

/* value = digits * 10^(scale - places), by hand: the digits moved, cut, and one carried. */
static bool decimal_by_hand(const char *text, unsigned width, unsigned scale, int128 *out)
{
    char digits[400] = "";
    const char *mantissa = text + (*text == '-' || *text == '+');
    size_t n = strcspn(mantissa, "eE"), length = 0;
    long places = mantissa[n] == '\0' ? 0 : strtol(mantissa + n + 1, NULL, 10);
    int128 value = 0, limit = 1;

    for (size_t i = 0, behind = 0; i < n; i++) {
        if (mantissa[i] == '.')
            behind = 1;
        else
            digits[length++] = mantissa[i];
        places -= behind && mantissa[i] != '.';
    }
    for (long moved = places + (long)scale; moved > 0 && length < 390; moved--)
        digits[length++] = '0';
    long cut = places + (long)scale < 0 ? -places - (long)scale : 0;
    bool up = cut > 0 && (size_t)cut <= length && digits[length - (size_t)cut] >= '5';
    length = (size_t)cut > length ? 0 : length - (size_t)cut;
    for (unsigned i = 0; i < width; i++)
        limit *= 10;
    for (size_t i = 0; i < length; i++) {
        if (value > (limit - 1 - (digits[i] - '0')) / 10)
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    value += up;
    if (value >= limit)
        return false;
    *out = *text == '-' ? -value : value;
    return true;
}

static void decimals_are_exact(void **state)
{
    char text[400];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        unsigned width = 1 + (unsigned)(chance() % 38), scale = (unsigned)(chance() % (width + 1));
        int128 value = 7, wanted = 7;
        make_number(text, 20);
        if (!has_digit(text))
            continue;
        bool fits = decimal_by_hand(text, width, scale, &wanted);
        assert_int_equal(number_decimal(text, strlen(text), NUMBER_STRICT, width, scale, &value),
                         fits);
        assert_true(value == wanted);
    }
}

static void integers_do_not_wrap(void **state)
{
    char text[64];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t value = 7;
        int128 exact = 0;
        text[0] = '\0';
        append(text, chance() % 2 ? "-" : "");
        append_digits(text, 22);
        for (const char *at = text; *at != '\0'; at++)
            if (*at != '-')
                exact = exact * 10 + (*at - '0');
        exact = *text == '-' ? -exact : exact;
        bool fits = has_digit(text) && exact >= INT64_MIN && exact <= INT64_MAX;
        assert_int_equal(
            number_integer(text, strlen(text), NUMBER_STRICT, INT64_MIN, INT64_MAX, &value), fits);
        assert_true(value == (fits ? (int64_t)exact : 7));
        fits = fits && exact >= -1000 && exact <= 1000;
        assert_int_equal(number_integer(text, strlen(text), NUMBER_SPARK, -1000, 1000, &value),
                         fits);
    }
}

static void grammars_differ_by_their_rules(void **state)
{
    static const struct {
        const char *text;
        int strict, spark; /* as integers; -1: refused */
    } integers[] = {{"3", 3, 3},     {"+3", 3, 3},    {"3.", 3, 3},    {"3.0", 3, 3},
                    {"3.7", -1, 3},  {".0", -1, 0},   {".", -1, 0},    {" 3\t", -1, 3},
                    {"3e0", 3, -1},  {"3e1", -1, -1}, {"", -1, -1},    {"-", -1, -1},
                    {"0x3", -1, -1}, {"3 3", -1, -1}, {"3,0", -1, -1}, {"3.0x", -1, -1},
                    {"3e", -1, -1}};
    static const struct {
        const char *text;
        bool strict, spark;
    } reals[] = {{"NaN", true, true},
                 {"nan", false, true},
                 {"-NaN", false, true},
                 {"Infinity", true, true},
                 {"-Infinity", true, true},
                 {"+Infinity", true, true},
                 {"infinity", false, true},
                 {"-INF", false, true},
                 {"Infinit", false, false},
                 {" 1.5 ", false, true},
                 {"1.5", true, true},
                 {".5", true, true},
                 {"5.", true, true},
                 {".", false, false},
                 {"e5", false, false},
                 {"1e", false, false},
                 {"1e+", false, false},
                 {"1e5x", false, false},
                 {"1.5f", false, false},
                 {"0x1p3", false, false},
                 {"1,5", false, false},
                 {"--1", false, false},
                 {"1e400", false, false},
                 {"1e-400", true, true},
                 {"1e99999999999999999999", false, false},
                 {"0e99999999999999999999", true, true}};

    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        int64_t strict = -1, spark = -1;
        const char *text = integers[i].text;
        number_integer(text, strlen(text), NUMBER_STRICT, 0, 100, &strict);
        number_integer(text, strlen(text), NUMBER_SPARK, 0, 100, &spark);
        assert_int_equal(strict, integers[i].strict);
        assert_int_equal(spark, integers[i].spark);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double real;
        float small;
        const char *text = reals[i].text;
        assert_int_equal(number_double(text, strlen(text), NUMBER_STRICT, &real), reals[i].strict);
        assert_int_equal(number_float(text, strlen(text), NUMBER_STRICT, &small), reals[i].strict);
        assert_int_equal(number_double(text, strlen(text), NUMBER_SPARK, &real), reals[i].spark);
        assert_int_equal(number_float(text, strlen(text), NUMBER_SPARK, &small), reals[i].spark);
    }
}

static void doubles_give_their_shortest_digits(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char digits[NUMBER_DIGITS_MAX], text[80];
        uint64_t bits = chance() & ~(UINT64_C(1) << 63);
        double value;
        int point, n;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = (double)(chance() % 1000000) / 100;
        if (isnan(value) || isinf(value))
            continue;
        n = number_shortest(value, false, digits, &point);
        assert_true(n >= 1 && n <= 17);
        assert_true(n == 1 || digits[n - 1] != '0');
        snprintf(text, sizeof text, "%.*se%d", n, digits, point - n);
        assert_true(strtod(text, NULL) == value);
    }
    int128 decimal;
    assert_true(number_decimal_of_double(1.005, 10, 2, &decimal) && decimal == 101);
    assert_true(number_decimal_of_double(-0.25, 10, 1, &decimal) && decimal == -3);
    assert_false(number_decimal_of_double(1e10, 10, 2, &decimal));
    assert_false(number_decimal_of_double((double)NAN, 10, 2, &decimal));
}

/* A locale with a comma for a point has no say. It is made here, for few machines have one. */
static void no_locale_has_a_say(void **state)
{
    static const char text[] = "12345678901234567890.125e-3";
    char folder[] = "/tmp/freshet_locale_XXXXXX", command[200];
    double real, plain;

    (void)state;
    assert_true(number_double(text, strlen(text), NUMBER_STRICT, &plain));
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE 2>/dev/null", folder);
    int made = system(command); /* NOLINT(cert-env33-c) */
    setenv("LOCPATH", folder, 1);
    bool set = made == 0 && setlocale(LC_ALL, "de_DE") != NULL;
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        print_message("%s stays\n", folder);
    if (!set) {
        print_message("no locale with a comma can be made here\n");
        skip();
    }
    assert_true(strtod("1,5", NULL) == 1.5); /* it is at work */
    assert_true(number_double(text, strlen(text), NUMBER_STRICT, &real) && real == plain);
    assert_false(number_double("1,5", 3, NUMBER_SPARK, &real));
    assert_true(number_double_of_decimal(((int128)1 << 100) + 1, 30) > 1.26);
    char digits[NUMBER_DIGITS_MAX];
    int point;
    assert_int_equal(number_shortest(1.0 / 3, false, digits, &point), 16);
    text_buffer written;
    text_init(&written, 100);
    text_append_real(&written, 1.5, false);
    text_append_real(&written, 1e20, false);
    text_append_real(&written, -7, false);
    text_append_real(&written, (double)0.1F, true);
    assert_string_equal(written.bytes, "1.51e+20-7.00.1");
    text_release(&written);
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_are_the_nearest),
        cmocka_unit_test(digits_far_behind_decide),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(integers_do_not_wrap),
        cmocka_unit_test(grammars_differ_by_their_rules),
        cmocka_unit_test(doubles_give_their_shortest_digits),
        cmocka_unit_test(no_locale_has_a_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
