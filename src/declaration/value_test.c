/* value_test.c - numbers, durations, sizes and names from text, at their limits. */
#include "declaration/declaration_testing.h"

#include "declaration/value.h"

typedef struct sample {
    const char *text;
    int64_t value;
    const char *wrong; /* the beginning of what is wrong; NULL: nothing */
} sample;

static void assert_samples(option_kind kind, const sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value = -77;
        const char *wrong = value_number(kind, samples[i].text, &value);
        if ((wrong == NULL) != (samples[i].wrong == NULL))
            print_error("of \"%s\": %s\n", samples[i].text, wrong == NULL ? "nothing" : wrong);
        assert_int_equal(wrong == NULL, samples[i].wrong == NULL);
        assert_int_equal(value, wrong == NULL ? samples[i].value : -77);
        if (wrong != NULL && samples[i].wrong != NULL)
            assert_memory_equal(wrong, samples[i].wrong, strlen(samples[i].wrong));
    }
}

static void integers(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"0", 0, NULL},
        {"-12", -12, NULL},
        {"+12", 12, NULL},
        {"007", 7, NULL},
        {"9223372036854775807", INT64_MAX, NULL},
        {"9223372036854775808", 0, "must be a whole number of at most 64 bits"},
        {"-9223372036854775808", INT64_MIN, NULL},
        {"-9223372036854775809", 0, "must be a whole number of at most 64 bits"},
        {"", 0, "must be a whole number, such as 1000"},
        {"-", 0, "must be a whole number, such as 1000"},
        {" 1", 0, "must be a whole number, such as 1000"},
        {"1 ", 0, "must be a whole number in plain digits"},
        {"1_000", 0, "must be a whole number in plain digits"},
        {"1.0", 0, "must be a whole number in plain digits"},
    };
    assert_samples(OPTION_INTEGER, samples, sizeof samples / sizeof samples[0]);
}

static void limits(void **state)
{
    static const char *const none[] = {"",    "-1",  "x",    "100 %", "1e9 %",
                                       "0.1", "% 1", "1 %%", "nan%"};
    int64_t count = 7;
    double share = 7;
    (void)state;
    assert_true(value_limit("100", &count, &share) && count == 100 && share == -1);
    assert_true(value_limit("0.1 %", &count, &share) && count == -1 && share == 0.1 / 100);
    assert_true(value_limit("99.9%", &count, &share) && count == -1 && share == 99.9 / 100);
    assert_true(value_limit("0 %", &count, &share) && count == 0 && share == 0);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(value_limit(none[i], &count, &share));
    assert_true(value_fraction("1e-9", &share) && share == 1e-9);
    assert_true(value_fraction("0", &share) && share == 0);
    assert_false(value_fraction("1", &share) || value_fraction("-0.1", &share) ||
                 value_fraction("0.1x", &share) || value_fraction("", &share));
}

static void durations(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"1 us", 1, NULL},
        {"3microseconds", 3, NULL},
        {"500 ms", 500000, NULL},
        {"1 millisecond", 1000, NULL},
        {"1 second", 1000000, NULL},
        {"2  seconds", 2000000, NULL},
        {"10 minutes", 600000000, NULL},
        {"1 hour", INT64_C(3600000000), NULL},
        {"1 day", INT64_C(86400000000), NULL},
        {"2 weeks", INT64_C(1209600000000), NULL},
        {"9223372036854775807 us", INT64_MAX, NULL},
        {"9223372036854776 ms", 0, "is too long a time"},
        {"9223372036854775808 us", 0, "is too long a time"},
        {"5", 0, "must have a unit"},
        {"1.5 hours", 0, "must be a whole number of a unit"},
        {"-1 second", 0, "must be a number and a unit"},
        {"second", 0, "must be a number and a unit"},
        {"5 mins", INT64_C(300000000), NULL},
        {"1h", INT64_C(3600000000), NULL},
        {"30d", INT64_C(2592000000000), NULL},
        {"10m", INT64_C(600000000), NULL},
        {"1 h", INT64_C(3600000000), NULL},
        {"500ms", 500000, NULL},
        {"10s", 10000000, NULL},
        {"2w", INT64_C(1209600000000), NULL},
        {"5 parts", 0, "has no known unit"},
        {"1M", 0, "has no known unit"},
        {"1 month", 0, "has no known unit"},
        {"1 Second", 0, "has no known unit"},
        {"1 second ", 0, "has no known unit"},
    };
    assert_samples(OPTION_DURATION, samples, sizeof samples / sizeof samples[0]);
}

static void sizes(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"0", 0, NULL},
        {"4096", 4096, NULL},
        {"4096 B", 4096, NULL},
        {"1 kB", 1000, NULL},
        {"1KB", 1000, NULL},
        {"1 KiB", 1024, NULL},
        {"100 MB", 100000000, NULL},
        {"64 mib", 64 << 20, NULL},
        {"2 GB", INT64_C(2000000000), NULL},
        {"2 GiB", INT64_C(2) << 30, NULL},
        {"1 TB", INT64_C(1000000000000), NULL},
        {"8388607 TiB", INT64_C(8388607) << 40, NULL},
        {"8388608 TiB", 0, "is too large a size"},
        {"99999999999999999999", 0, "is too large a size"},
        {"1.5 GB", 0, "must be a whole number of a unit"},
        {"many", 0, "must be a number of bytes"},
        {"-1", 0, "must be a number of bytes"},
        {"10M", 10000000, NULL},
        {"10MB", 10000000, NULL},
        {"64Mi", 64 << 20, NULL},
        {"1 P", 0, "has no known unit"},
    };
    assert_samples(OPTION_BYTES, samples, sizeof samples / sizeof samples[0]);
    assert_samples(OPTION_MEMORY, samples, sizeof samples / sizeof samples[0]);
}

static void shares_of_memory(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"25%", -25, NULL},
        {"100 %", -100, NULL},
        {"1%", -1, NULL},
        {"0%", 0, "must be from 1% to 100%"},
        {"101%", 0, "must be from 1% to 100%"},
        {"12.5%", 0, "must be a size"},
        {"-5%", 0, "must be a size"},
        {"%", 0, "must be a size"},
        {"25% of it", 0, "must be a size"},
    };
    char text[VALUE_TEXT_MAX];
    int64_t value;
    assert_samples(OPTION_MEMORY, samples, sizeof samples / sizeof samples[0]);
    value_format(OPTION_MEMORY, -25, text);
    assert_string_equal(text, "25%");
    value_format(OPTION_MEMORY, 1 << 20, text);
    assert_string_equal(text, "1 MiB");
    assert_non_null(value_number(OPTION_BYTES, "25%", &value));
}

static void booleans(void **state)
{
    (void)state;
    static const char *const refused[] = {"True", "TRUE", "yes", "on", "1", "false ", "", "nope"};
    bool value = false;
    assert_null(value_boolean("true", &value));
    assert_true(value);
    assert_null(value_boolean("false", &value));
    assert_false(value);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_non_null(value_boolean(refused[i], &value));
    assert_string_equal(value_boolean("YES", &value), "must be true or false: write true");
    assert_string_equal(value_boolean("False", &value), "must be true or false: write false");
    assert_string_equal(value_boolean("maybe", &value), "must be true or false");
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "_", "A1_b", "__x"};
    static const char *const bad[] = {"", "1a", "a b", "a-b", "a.b", "caf\xc3\xa9", "a\n", "\"a\""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(value_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(value_name(bad[i]));
}

static void texts_of_values(void **state)
{
    (void)state;
    char text[VALUE_TEXT_MAX];
    int64_t value;
    static const int64_t samples[] = {0,    1,       999,     1000,       1001,        1000000,
                                      1024, 1500000, 1 << 20, 3600000000, 86400000000, INT64_MAX};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        value_format(OPTION_DURATION, samples[i], text);
        assert_null(value_number(OPTION_DURATION, text, &value));
        assert_int_equal(value, samples[i]);
        value_format(OPTION_BYTES, samples[i], text);
        assert_null(value_number(OPTION_BYTES, text, &value));
        assert_int_equal(value, samples[i]);
    }
    value_format(OPTION_DURATION, 3600000000, text);
    assert_string_equal(text, "1 hour");
    value_format(OPTION_BYTES, 1536, text);
    assert_string_equal(text, "1536");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers), cmocka_unit_test(limits),           cmocka_unit_test(durations),
        cmocka_unit_test(sizes),    cmocka_unit_test(shares_of_memory), cmocka_unit_test(booleans),
        cmocka_unit_test(names),    cmocka_unit_test(texts_of_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
