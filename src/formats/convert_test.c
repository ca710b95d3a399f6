/* convert_test.c - every type as every other: what fits, and what would lose something. */
#include "formats/convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static arena *scratch;

/* A column of one row, from the text of its value (cell.h). */
static column one(const char *type, const char *text)
{
    column made;

    assert_int_equal(column_init(scratch, &made, type_parse(scratch, type), 1, NULL), FRESHET_OK);
    if (made.type->kind == TYPE_STRING || made.type->kind == TYPE_BINARY)
        cell_put_text(&made, 0, text, strlen(text));
    else
        assert_int_equal(cell_parse(scratch, &made, 0, text, strlen(text)), FITS);
    return made;
}

/* The value as the other type, as JSON; NULL where it does not fit. */
static const char *as(const char *from, const char *text, const char *wanted)
{
    conversion it = {.arena = scratch};
    column there = one(from, text), made;
    text_buffer json;
    const char *copy;

    assert_int_equal(column_init(scratch, &made, type_parse(scratch, wanted), 1, NULL), FRESHET_OK);
    if (convert_cell(&it, &there, 0, &made, 0) == DOES_NOT_FIT) {
        assert_ptr_equal(it.bad, &there);
        assert_ptr_equal(it.wanted, made.type);
        it.null_instead = true;
        assert_int_equal(convert_cell(&it, &there, 0, &made, 0), FITS);
        assert_false(column_is_valid(&made, 0));
        return NULL;
    }
    text_init(&json, 1000);
    assert_int_equal(column_to_json(&made, 0, &json, NULL), FRESHET_OK);
    copy = arena_text(scratch, json.bytes);
    text_release(&json);
    return copy;
}

typedef struct conversion_case {
    const char *from, *text, *wanted, *json; /* NULL: it does not fit */
} conversion_case;

static const conversion_case cases[] = {
    /* whole numbers */
    {"integer", "-7", "bigint", "-7"},
    {"bigint", "2147483647", "integer", "2147483647"},
    {"bigint", "2147483648", "integer", NULL},
    {"double", "3.0", "bigint", "3"},
    {"double", "2.75", "bigint", NULL},
    {"double", "9007199254740993", "bigint", NULL},
    {"double", "NaN", "bigint", NULL},
    {"float", "-1.5", "integer", NULL},
    {"decimal(38,2)", "123456789012345678.00", "bigint", "123456789012345678"},
    {"decimal(38,2)", "1.01", "bigint", NULL},
    {"decimal(20,0)", "18446744073709551615", "bigint", NULL},
    /* floats and doubles */
    {"bigint", "9007199254740992", "double", "9007199254740992"},
    {"bigint", "9007199254740993", "double", NULL},
    {"bigint", "9223372036854775807", "double", NULL},
    {"integer", "16777216", "float", "16777216.0"},
    {"integer", "16777217", "float", NULL},
    {"float", "1.5", "double", "1.5"},
    {"double", "0.1", "float", "0.1"},
    {"double", "0.123456789", "float", NULL},
    {"double", "1e39", "float", NULL},
    {"double", "NaN", "float", "\"NaN\""},
    {"double", "-Infinity", "float", "\"-Infinity\""},
    {"double", "1e-50", "float", NULL},
    {"decimal(10,2)", "0.10", "double", "0.1"},
    {"decimal(38,20)", "0.12345678901234567890", "double", NULL},
    {"decimal(20,0)", "18446744073709551615", "double", NULL},
    {"decimal(10,2)", "16777217.00", "float", NULL},
    {"decimal(10,2)", "-1.25", "float", "-1.25"},
    /* decimals */
    {"bigint", "12", "decimal(4,2)", "\"12.00\""},
    {"bigint", "100", "decimal(4,2)", NULL},
    {"decimal(12,4)", "1.2300", "decimal(10,2)", "\"1.23\""},
    {"decimal(12,4)", "1.2345", "decimal(10,2)", NULL},
    {"decimal(10,2)", "-1.50", "decimal(12,4)", "\"-1.5000\""},
    {"decimal(38,0)", "99999999999999999999999999999999999999", "decimal(38,2)", NULL},
    {"double", "0.1", "decimal(10,2)", "\"0.10\""},
    {"double", "0.30000000000000004", "decimal(10,2)", NULL},
    {"double", "0.30000000000000004", "decimal(38,17)", "\"0.30000000000000004\""},
    {"double", "0", "decimal(10,0)", "\"0\""},
    {"double", "1e20", "decimal(10,2)", NULL},
    {"double", "1e-300", "decimal(38,38)", NULL},
    {"double", "Infinity", "decimal(10,2)", NULL},
    {"float", "0.1", "decimal(10,2)", "\"0.10\""},
    /* texts */
    {"string", " 7 ", "bigint", "7"},
    {"string", "7.5", "bigint", NULL},
    {"string", "", "bigint", NULL},
    {"string", "1.25", "decimal(10,2)", "\"1.25\""},
    {"string", "TRUE", "boolean", "true"},
    {"string", "1", "boolean", NULL},
    {"string", "2024-01-15T10:00:00-03:00", "timestamp", "\"2024-01-15T13:00:00.000000Z\""},
    {"string", "a text", "binary", "\"YSB0ZXh0\""},
    {"string", "[1]", "array<bigint>", NULL},
    {"binary", "a text", "string", "\"a text\""},
    {"binary", "\xFF", "string", NULL},
    {"boolean", "true", "string", "\"true\""},
    {"bigint", "-7", "string", "\"-7\""},
    {"double", "0.5", "string", "\"0.5\""},
    {"decimal(10,2)", "-0.50", "string", "\"-0.50\""},
    {"timestamp", "2024-01-15T10:00:00Z", "string", "\"2024-01-15T10:00:00.000000Z\""},
    /* times */
    {"date", "2024-01-15", "timestamp", "\"2024-01-15T00:00:00.000000Z\""},
    {"timestamp", "2024-01-15T00:00:00Z", "date", "\"2024-01-15\""},
    {"timestamp", "1969-12-31T00:00:00Z", "date", "\"1969-12-31\""},
    {"timestamp", "2024-01-15T00:00:01Z", "date", NULL},
    {"timestamp", "2024-01-15T00:00:00Z", "bigint", NULL},
    {"bigint", "0", "timestamp", NULL},
    {"bigint", "0", "date", NULL},
    /* booleans */
    {"boolean", "true", "bigint", NULL},
    {"bigint", "1", "boolean", NULL},
    {"boolean", "true", "double", NULL},
};

static void a_value_fits_where_nothing_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const conversion_case *it = &cases[i];
        const char *found = as(it->from, it->text, it->wanted);
        if ((found == NULL) != (it->json == NULL) ||
            (found != NULL && strcmp(found, it->json) != 0))
            fail_msg("%s %s as %s is %s, not %s", it->from, it->text, it->wanted,
                     found == NULL ? "none" : found, it->json == NULL ? "none" : it->json);
    }
}

static int make_arena(void **state)
{
    (void)state;
    scratch = arena_open();
    return scratch == NULL;
}

static int free_arena(void **state)
{
    (void)state;
    arena_close(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_value_fits_where_nothing_is_lost)};

    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
