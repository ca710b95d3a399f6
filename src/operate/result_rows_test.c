/* Tests of result_rows.c, on a result made by hand: walking, conversions, and the three printed
 * forms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory_testing.h"
#include "writers/debug/query_result.h"

/* A maker that gives one batch in pieces of `piece_rows`, then END, or fails after `fail_after`
 * pieces. */
typedef struct made_result {
    freshet_result base;
    const batch *all;
    uint32_t piece_rows;
    uint32_t given;
    int fail_after;
    int *closed;
} made_result;

static freshet_code made_next(freshet_result *base, freshet_error *err)
{
    made_result *made = (made_result *)base;
    if (made->fail_after-- == 0)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL, "the query took too long");
    if (made->given >= made->all->n_rows)
        return FRESHET_END;
    uint32_t left = made->all->n_rows - made->given;
    uint32_t n = left < made->piece_rows ? left : made->piece_rows;
    uint8_t *keep = arena_zero(memory, made->all->n_rows, 1);
    memset(keep + made->given, 1, n);
    made->given += n;
    return batch_select(made->all, keep, &base->piece, err);
}

static void made_close(freshet_result *base)
{
    made_result *made = (made_result *)base;
    if (made->closed != NULL)
        ++*made->closed;
    free(made);
}

static made_result *make(const batch *all, uint32_t piece_rows)
{
    made_result *made = calloc(1, sizeof *made);
    assert_non_null(made);
    *made = (made_result){.base = {.schema = &all->schema, .next = made_next, .close = made_close},
                          .all = all,
                          .piece_rows = piece_rows,
                          .fail_after = -1};
    return made;
}

static const type *decimal_2(void)
{
    return type_decimal(memory, 10, 2);
}

enum { ID, NAME, WHEN, PRICE, RATIO, IS_OPEN, TAGS, COLUMNS };

static void set_text(column *column, uint32_t row, const char *text)
{
    ((cell_text *)column->data)[row] = text_of(text, (uint32_t)strlen(text));
}

/* Row i has id i - 1, the name given, and so on; row 1 is all null except its id. */
static batch *sample(uint32_t n_rows, const char *const *names)
{
    field *fields = arena_zero(memory, COLUMNS, sizeof *fields);
    fields[ID] = (field){"id", type_simple(TYPE_BIGINT)};
    fields[NAME] = (field){"name", type_simple(TYPE_STRING)};
    fields[WHEN] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    fields[PRICE] = (field){"price", decimal_2()};
    fields[RATIO] = (field){"ratio", type_simple(TYPE_DOUBLE)};
    fields[IS_OPEN] = (field){"is_open", type_simple(TYPE_BOOLEAN)};
    fields[TAGS] = (field){"tags", type_array(memory, type_simple(TYPE_BIGINT))};
    batch *batch = arena_zero(memory, 1, sizeof *batch);
    schema schema = {COLUMNS, fields};
    assert_int_equal(batch_init(batch, memory, &schema, n_rows, NULL), FRESHET_OK);
    batch->n_rows = n_rows;
    column *tags = &batch->columns[TAGS];
    assert_int_equal(column_reserve(memory, &tags->children[0], 2 * (uint64_t)n_rows, NULL), 0);
    for (uint32_t i = 0; i < n_rows; i++) {
        ((int64_t *)batch->columns[ID].data)[i] = (int64_t)i - 1;
        set_text(&batch->columns[NAME], i, names == NULL ? "some name" : names[i]);
        ((int64_t *)batch->columns[WHEN].data)[i] = 1357016400000000 + i;
        ((int128 *)batch->columns[PRICE].data)[i] = -1250;
        ((double *)batch->columns[RATIO].data)[i] = i == 0 ? (double)NAN : 0.1 * i;
        ((uint8_t *)batch->columns[IS_OPEN].data)[i] = i % 2 == 0;
        ((cell_span *)tags->data)[i] = (cell_span){2 * i, i == 2 ? 0 : 2};
        ((int64_t *)tags->children[0].data)[2 * i] = i;
        ((int64_t *)tags->children[0].data)[2 * i + 1] = 7;
        for (uint32_t k = NAME; i == 1 && k < COLUMNS; k++)
            assert_true(column_set_null(memory, &batch->columns[k], i));
    }
    tags->n_elements = 2 * (uint64_t)n_rows;
    return batch;
}

static bool collect(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static char *printed(const batch *all, uint32_t piece_rows, freshet_format format)
{
    text_buffer out;
    text_init(&out, TEXT_LIMIT_DEFAULT);
    made_result *made = make(all, piece_rows);
    freshet_error err = {0};
    assert_int_equal(freshet_result_print(&made->base, format, collect, &out, &err), FRESHET_OK);
    assert_int_equal(err.code, FRESHET_OK);
    freshet_result_close(&made->base);
    char *copy = arena_copy(memory, out.bytes == NULL ? "" : out.bytes, out.length);
    text_release(&out);
    return copy;
}

static const batch *three_rows(void)
{
    const char *names[] = {"JFK", "", "a, \"b\"\nc"};
    return sample(3, names);
}

static void test_walks_pieces(void **state)
{
    (void)state;
    int closed = 0;
    made_result *made = make(three_rows(), 2);
    made->closed = &closed;
    freshet_result *result = &made->base;
    assert_int_equal(freshet_result_columns(result), COLUMNS);
    assert_string_equal(freshet_result_name(result, WHEN), "timestamp");
    assert_null(freshet_result_name(result, COLUMNS));
    assert_true(freshet_result_is_null(result, ID));
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(freshet_result_next(result, NULL), FRESHET_OK);
        assert_int_equal(freshet_result_int64(result, ID), i - 1);
        assert_int_equal(freshet_result_is_null(result, WHEN), i == 1);
    }
    assert_int_equal(freshet_result_next(result, NULL), FRESHET_END);
    assert_int_equal(freshet_result_next(result, NULL), FRESHET_END);
    assert_true(freshet_result_is_null(result, ID));
    assert_int_equal(freshet_result_int64(result, ID), 0);
    assert_null(freshet_result_text(result, ID));
    freshet_result_close(result);
    assert_int_equal(closed, 1);
    freshet_result_close(NULL);
}

static void test_converts_cells(void **state)
{
    (void)state;
    made_result *made = make(three_rows(), 8);
    freshet_result *result = &made->base;
    assert_int_equal(freshet_result_next(result, NULL), FRESHET_OK);
    assert_int_equal(freshet_result_int64(result, RATIO), 0);
    assert_string_equal(freshet_result_text(result, RATIO), "NaN");
    assert_int_equal(freshet_result_int64(result, PRICE), -12);
    assert_true(freshet_result_double(result, PRICE) == -12.5);
    assert_string_equal(freshet_result_text(result, PRICE), "-12.50");
    assert_string_equal(freshet_result_text(result, WHEN), "2013-01-01T05:00:00.000000Z");
    assert_int_equal(freshet_result_int64(result, WHEN), 1357016400000000);
    assert_string_equal(freshet_result_text(result, NAME), "JFK");
    assert_int_equal(freshet_result_int64(result, NAME), 0);
    assert_int_equal(freshet_result_int64(result, IS_OPEN), 1);
    assert_string_equal(freshet_result_text(result, IS_OPEN), "true");
    assert_string_equal(freshet_result_text(result, TAGS), "[0,7]");
    assert_true(freshet_result_double(result, ID) == -1.0);
    assert_false(freshet_result_is_null(result, ID));
    assert_true(freshet_result_is_null(result, COLUMNS));
    freshet_result_close(result);
}

static void test_saturates_doubles(void **state)
{
    (void)state;
    batch *batch = sample(4, NULL);
    double *ratios = batch->columns[RATIO].data;
    ratios[0] = 1e300;
    ratios[2] = (double)-INFINITY;
    ratios[3] = -2.9;
    made_result *made = make(batch, 8);
    int64_t expected[] = {INT64_MAX, 0, INT64_MIN, -2};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(freshet_result_next(&made->base, NULL), FRESHET_OK);
        assert_int_equal(freshet_result_int64(&made->base, RATIO), expected[i]);
    }
    freshet_result_close(&made->base);
}

static void test_prints_json(void **state)
{
    (void)state;
    const char *expected =
        "{\"id\":-1,\"name\":\"JFK\",\"timestamp\":\"2013-01-01T05:00:00.000000Z\","
        "\"price\":\"-12.50\",\"ratio\":\"NaN\",\"is_open\":true,\"tags\":[0,7]}\n"
        "{\"id\":0,\"name\":null,\"timestamp\":null,\"price\":null,\"ratio\":null,"
        "\"is_open\":null,\"tags\":null}\n"
        "{\"id\":1,\"name\":\"a, \\\"b\\\"\\nc\",\"timestamp\":\"2013-01-01T05:00:00.000002Z\","
        "\"price\":\"-12.50\",\"ratio\":0.2,\"is_open\":true,\"tags\":[]}\n";
    assert_string_equal(printed(three_rows(), 1, FRESHET_JSON), expected);
    assert_string_equal(printed(three_rows(), 3, FRESHET_JSON), expected);
    assert_string_equal(printed(sample(0, NULL), 3, FRESHET_JSON), "");
}

static void test_prints_csv(void **state)
{
    (void)state;
    assert_string_equal(printed(three_rows(), 2, FRESHET_CSV),
                        "id,name,timestamp,price,ratio,is_open,tags\n"
                        "-1,JFK,2013-01-01T05:00:00.000000Z,-12.50,NaN,true,\"[0,7]\"\n"
                        "0,,,,,,\n"
                        "1,\"a, \"\"b\"\"\nc\",2013-01-01T05:00:00.000002Z,-12.50,0.2,true,[]\n");
    const char *names[] = {""};
    char *text = printed(sample(1, names), 2, FRESHET_CSV);
    assert_non_null(strstr(text, "\n-1,\"\",2013"));
}

static void test_prints_table(void **state)
{
    (void)state;
    assert_string_equal(
        printed(three_rows(), 2, FRESHET_TABLE),
        " id | name      | timestamp                   | price  | ratio | is_open | tags\n"
        "----+-----------+-----------------------------+--------+-------+---------+-------\n"
        " -1 | JFK       | 2013-01-01T05:00:00.000000Z | -12.50 |   NaN | true    | [0,7]\n"
        "  0 | null      | null                        |   null |  null | null    | null\n"
        "  1 | a, \"b\"\\nc | 2013-01-01T05:00:00.000002Z | -12.50 |   0.2 | true    | []\n"
        "(3 rows)\n");
    char *none = printed(sample(0, NULL), 2, FRESHET_TABLE);
    assert_non_null(strstr(none, "-\n(0 rows)\n"));
    assert_non_null(strstr(printed(sample(1, NULL), 2, FRESHET_TABLE), "\n(1 row)\n"));
}

static void test_prints_lines(void **state)
{
    (void)state;
    const char *names[] = {"JFK", "a\x1b\nb"};
    char *text = printed(sample(2, names), 1, FRESHET_LINE);
    assert_string_equal(text, "id:        -1\n"
                              "name:      JFK\n"
                              "timestamp: 2013-01-01T05:00:00.000000Z\n"
                              "price:     -12.50\n"
                              "ratio:     NaN\n"
                              "is_open:   true\n"
                              "tags:      [0,7]\n"
                              "\n"
                              "id:        0\n"
                              "name:      null\n"
                              "timestamp: null\n"
                              "price:     null\n"
                              "ratio:     null\n"
                              "is_open:   null\n"
                              "tags:      null\n"
                              "\n(2 rows)\n");
    assert_string_equal(printed(sample(0, NULL), 3, FRESHET_LINE), "(0 rows)\n");
    char name[301];
    memset(name, 'x', sizeof name - 1);
    name[300] = '\0';
    name[150] = '\n';
    const char *long_name = name;
    text = printed(sample(1, &long_name), 3, FRESHET_LINE);
    assert_non_null(strstr(text, "xx\\nxx"));
    assert_null(strstr(text, "\xE2\x80\xA6")); /* nothing is cut */
    assert_non_null(strstr(text, "\n(1 row)\n"));
}

static char *name_cell_of(const char *name)
{
    char *text = printed(sample(1, &name), 2, FRESHET_TABLE);
    char *start = strchr(strchr(strchr(text, '\n') + 1, '\n') + 1, '|') + 2;
    *strstr(start, " |") = '\0';
    return start;
}

static void test_table_cuts_and_escapes(void **state)
{
    (void)state;
    char name[70];
    memset(name, 'x', sizeof name);
    name[64] = '\0';
    assert_string_equal(name_cell_of(name), name);
    strcpy(name + 64, "x");
    char *cut = name_cell_of(name);
    assert_int_equal(strlen(cut), 63 + 3);
    assert_string_equal(cut + 63, "\xE2\x80\xA6");
    assert_string_equal(name_cell_of("a\x1B[2Jb\tc\xC2\x9B"), "a\\x1b[2Jb\\tc\\x9b");
}

static void test_table_aligns_wide_characters(void **state)
{
    (void)state;
    const char *names[] = {"S\xC3\xA3o", "", "\xE6\x9D\xB1\xE4\xBA\xAC"};
    char *text = printed(sample(3, names), 8, FRESHET_TABLE);
    assert_non_null(strstr(text, "| S\xC3\xA3o  | 2013"));
    assert_non_null(strstr(text, "| \xE6\x9D\xB1\xE4\xBA\xAC | 2013"));
}

static void test_table_keeps_late_wide_cells_whole(void **state)
{
    (void)state;
    uint32_t n = 1201;
    batch *batch = sample(n, NULL);
    ((int64_t *)batch->columns[ID].data)[n - 1] = INT64_MIN;
    char *text = printed(batch, 100, FRESHET_TABLE);
    assert_non_null(strstr(text, "\n -9223372036854775808 | some name |"));
    assert_non_null(strstr(text, "\n(1201 rows)\n"));
    uint32_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, n + 3);
}

static void test_error_ends_result(void **state)
{
    (void)state;
    text_buffer out;
    text_init(&out, TEXT_LIMIT_DEFAULT);
    made_result *made = make(three_rows(), 1);
    made->fail_after = 1;
    freshet_error err = {0};
    assert_int_equal(freshet_result_print(&made->base, FRESHET_JSON, collect, &out, &err),
                     FRESHET_LIMIT);
    assert_string_equal(err.text, "the query took too long");
    assert_int_equal(freshet_result_next(&made->base, NULL), FRESHET_END);
    freshet_result_close(&made->base);
    text_release(&out);
}

static bool refuse(void *context, const char *bytes, size_t length)
{
    (void)bytes;
    (void)length;
    ++*(int *)context;
    return false;
}

static void test_closed_output(void **state)
{
    (void)state;
    batch *batch = sample(5000, NULL);
    freshet_format formats[] = {FRESHET_TABLE, FRESHET_JSON, FRESHET_CSV, FRESHET_LINE};
    for (int i = 0; i < 4; i++) {
        made_result *made = make(batch, 100);
        freshet_error err = {0};
        int calls = 0;
        assert_int_equal(freshet_result_print(&made->base, formats[i], refuse, &calls, &err),
                         FRESHET_FAILED);
        assert_int_equal(calls, 1);
        assert_non_null(strstr(err.text, "output was closed"));
        freshet_result_close(&made->base);
    }
}

static void test_unknown_format(void **state)
{
    (void)state;
    made_result *made = make(three_rows(), 1);
    assert_int_equal(freshet_result_print(&made->base, (freshet_format)9, collect, NULL, NULL),
                     FRESHET_USAGE);
    freshet_result_close(&made->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks_pieces),
        cmocka_unit_test(test_converts_cells),
        cmocka_unit_test(test_saturates_doubles),
        cmocka_unit_test(test_prints_json),
        cmocka_unit_test(test_prints_csv),
        cmocka_unit_test(test_prints_table),
        cmocka_unit_test(test_prints_lines),
        cmocka_unit_test(test_table_cuts_and_escapes),
        cmocka_unit_test(test_table_aligns_wide_characters),
        cmocka_unit_test(test_table_keeps_late_wide_cells_whole),
        cmocka_unit_test(test_error_ends_result),
        cmocka_unit_test(test_closed_output),
        cmocka_unit_test(test_unknown_format),
    };
    return cmocka_run_group_tests(tests, open_memory, close_memory);
}
