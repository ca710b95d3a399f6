/* Columns given away and taken back: every type, nulls, elements that lie apart, children that are
 * moved, slices, long offsets, and arrays that are not what they say. Leaks and second releases are
 * AddressSanitizer's to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arrow.h"
#include "base/random_testing.h"
#include "base/text.h"

#define ROWS 300u

static int set_up(void **state)
{
    *state = arena_open();
    return *state == NULL;
}

static int tear_down(void **state)
{
    arena_close(*state);
    return 0;
}

static cell_text random_text(arena *arena, type_kind kind)
{
    static const char *const letters[] = {"a", "é", "\xF0\x9F\x98\x80", "\xFF"};
    uint32_t n = random_below(9);
    char *text = arena_zero(arena, 50, 1);
    size_t length = 0;
    for (uint32_t i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, 50 - length, "%s",
                                   letters[random_below(kind == TYPE_BINARY ? 4 : 3)]);
    return text_of(text, (uint32_t)length);
}

static void fill(arena *arena, column *column, uint64_t n);

/* Spans in a random order, with elements between them that nobody has. */
static void fill_spans(arena *arena, column *column, uint64_t n)
{
    cell_span *spans = column->data;
    uint64_t total = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t row = (i * 7) % n == i || n % 7 == 0 ? i : i * 7 % n;
        spans[row] = (cell_span){total, random_below(4)};
        total += spans[row].length + random_below(2);
    }
    assert_int_equal(column_reserve(arena, &column->children[0], total + 1, NULL), FRESHET_OK);
    fill(arena, &column->children[0], total);
    column->n_elements = total;
}

static void fill(arena *arena, column *column, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        switch (column->type->kind) {
        case TYPE_BOOLEAN: ((uint8_t *)column->data)[i] = random_below(2) != 0; break;
        case TYPE_DATE:
        case TYPE_INTEGER: ((int32_t *)column->data)[i] = (int32_t)random_below(UINT32_MAX); break;
        case TYPE_TIMESTAMP:
        case TYPE_BIGINT:
            ((int64_t *)column->data)[i] = (int64_t)random_below(9999) * 1000000007 * 1000;
            break;
        case TYPE_FLOAT: ((float *)column->data)[i] = (float)random_below(1000) / 7; break;
        case TYPE_DOUBLE: ((double *)column->data)[i] = random_below(1000) / 7.0; break;
        case TYPE_DECIMAL: ((int128 *)column->data)[i] = (int128)random_below(9999) - 5000; break;
        case TYPE_STRING:
        case TYPE_BINARY:
            ((cell_text *)column->data)[i] = random_text(arena, column->type->kind);
            break;
        default: break;
        }
    if (column->type->kind == TYPE_ARRAY)
        fill_spans(arena, column, n);
    for (uint32_t i = 0; column->type->kind == TYPE_STRUCT && i < column->type->n_fields; i++)
        fill(arena, &column->children[i], n);
    for (uint64_t i = 0; i < n; i++)
        if (random_below(5) == 0)
            assert_true(column_set_null(arena, column, i));
}

static column filled(arena *arena, const char *name, uint32_t n)
{
    column made;
    assert_int_equal(column_init(arena, &made, type_parse(arena, name), n, NULL), FRESHET_OK);
    fill(arena, &made, n);
    return made;
}

static const char *json(arena *arena, const column *column, uint64_t row)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_int_equal(column_to_json(column, row, &text, NULL), FRESHET_OK);
    const char *copy = arena_text(arena, text.bytes);
    text_release(&text);
    return copy;
}

static void same_rows(arena *arena, const column *a, uint64_t first, const column *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        assert_string_equal(json(arena, a, first + i), json(arena, b, i));
}

static const char *const types[] = {
    "boolean",
    "integer",
    "bigint",
    "float",
    "double",
    "decimal(7,3)",
    "decimal(38,0)",
    "string",
    "binary",
    "date",
    "timestamp",
    "array<string>",
    "array<boolean>",
    "array<array<double>>",
    "struct<a: bigint, b: array<string>, c: struct<d: date>>",
    "array<struct<a: string>>",
};

#define N_TYPES (sizeof types / sizeof *types)

static column taken(arena *arena, const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    freshet_error err = {0};
    const type *type;
    column back;
    assert_int_equal(arrow_take_type(arena, schema, &type, &err), FRESHET_OK);
    assert_int_equal(column_init(arena, &back, type, (uint64_t)array->length, &err), FRESHET_OK);
    if (arrow_take(arena, schema, array, &back, &err) != FRESHET_OK)
        fail_msg("%s: %s", schema->format, err.text);
    return back;
}

static void test_round_trip(void **state)
{
    for (size_t i = 0; i < N_TYPES; i++)
        for (uint32_t n = 0; n <= ROWS; n += n < 10 ? 1 : 145) {
            struct ArrowSchema schema;
            struct ArrowArray array;
            random_state = i * 1000 + n;
            column given = filled(*state, types[i], n);
            assert_int_equal(arrow_give_type(given.type, types[i], &schema, NULL), FRESHET_OK);
            assert_int_equal(arrow_give(&given, n, &array, NULL), FRESHET_OK);
            assert_string_equal(schema.name, types[i]);
            assert_int_equal(array.length, n);
            column back = taken(*state, &schema, &array);
            schema.release(&schema);
            array.release(&array);
            assert_null(schema.release);
            assert_null(array.release);
            assert_true(type_equal(given.type, back.type));
            same_rows(*state, &given, 0, &back, n);
            arena_reset(*state);
        }
}

/* A child that is moved away stays valid when its parent is gone, and so does the rest without the
 * child. */
static void test_children_are_moved(void **state)
{
    const field fields[] = {{"a", type_parse(*state, "array<string>")},
                            {"b", type_simple(TYPE_STRING)}};
    const schema both = {2, fields};
    batch rows;
    struct ArrowSchema schema, child_schema;
    struct ArrowArray array, child;
    assert_int_equal(batch_init(&rows, *state, &both, ROWS, NULL), FRESHET_OK);
    rows.n_rows = ROWS;
    fill(*state, &rows.columns[0], ROWS);
    fill(*state, &rows.columns[1], ROWS);
    assert_int_equal(arrow_give_batch_type(&both, &schema, NULL), FRESHET_OK);
    assert_int_equal(arrow_give_batch(&rows, &array, NULL), FRESHET_OK);
    child = *array.children[0];
    array.children[0]->release = NULL;
    child_schema = *schema.children[0];
    schema.children[0]->release = NULL;
    array.release(&array);
    schema.release(&schema);
    column back = taken(*state, &child_schema, &child);
    same_rows(*state, &rows.columns[0], 0, &back, ROWS);
    child.release(&child);
    child_schema.release(&child_schema);
}

/* `offset` and `length` cut a piece out of any array. */
static void test_slices(void **state)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        struct ArrowSchema schema;
        struct ArrowArray array;
        random_state = i;
        column given = filled(*state, types[i], ROWS);
        assert_int_equal(arrow_give_type(given.type, "", &schema, NULL), FRESHET_OK);
        assert_int_equal(arrow_give(&given, ROWS, &array, NULL), FRESHET_OK);
        array.offset = 37;
        array.length = 100;
        array.null_count = -1; /* not counted */
        column back = taken(*state, &schema, &array);
        same_rows(*state, &given, 37, &back, 100);
        schema.release(&schema);
        array.release(&array);
    }
}

static void no_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void test_long_offsets(void **state)
{
    const int64_t offsets[] = {0, 2, 2, 20};
    const void *buffers[] = {NULL, offsets, "abcdefghijklmnopqrst"};
    struct ArrowArray array = {
        .length = 3, .n_buffers = 3, .buffers = buffers, .release = no_release};
    struct ArrowSchema schema = {.format = "U"};
    column back = taken(*state, &schema, &array);
    assert_string_equal(json(*state, &back, 0), "\"ab\"");
    assert_string_equal(json(*state, &back, 1), "\"\"");
    assert_string_equal(json(*state, &back, 2), "\"cdefghijklmnopqrst\"");
    struct ArrowArray *children[] = {&array},
                      lists = {.length = 2,
                               .n_buffers = 2,
                               .n_children = 1,
                               .buffers = (const void *[]){NULL, (int64_t[]){0, 1, 3}},
                               .children = children,
                               .release = no_release};
    struct ArrowSchema list = {
        .format = "+L", .n_children = 1, .children = (struct ArrowSchema *[]){&schema}};
    column of_lists = taken(*state, &list, &lists);
    assert_string_equal(json(*state, &of_lists, 0), "[\"ab\"]");
    assert_string_equal(json(*state, &of_lists, 1), "[\"\",\"cdefghijklmnopqrst\"]");
}

static void refused(arena *arena, const char *format, struct ArrowArray array, const char *why)
{
    struct ArrowSchema element = {.format = "i"};
    struct ArrowSchema schema = {
        .format = format,
        .n_children = format[0] == '+',
        .children = (struct ArrowSchema *[]){&element},
    };
    freshet_error err = {0};
    const type *type;
    column back;
    array.release = no_release;
    freshet_code code = arrow_take_type(arena, &schema, &type, &err);
    if (code == FRESHET_OK)
        code = column_init(arena, &back, type, (uint64_t)array.length, &err);
    if (code == FRESHET_OK)
        code = arrow_take(arena, &schema, &array, &back, &err);
    assert_int_equal(code, FRESHET_USAGE);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: %s", format, err.text);
}

static void test_refused(void **state)
{
    static const char *const formats[] = {
        "n",    "c",      "e",     "vu",  "tsn:",       "tsm:",  "ttu", "+m",
        "+w:3", "d:39,0", "d:5,6", "d:5", "d:10,2,256", "d:0,0", "+ll", ""};
    const int32_t offsets[] = {0, 5, 3}, long_list[] = {0, 1, 9};
    const int128 large[] = {1000};
    struct ArrowArray ints = {.length = 3,
                              .n_buffers = 2,
                              .buffers = (const void *[]){NULL, offsets},
                              .release = no_release};
    struct ArrowArray *children[] = {&ints};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        refused(*state, formats[i], (struct ArrowArray){.length = 0}, "Arrow format \"");
    refused(*state, "i", (struct ArrowArray){.length = 1, .n_buffers = 3}, "other buffers");
    refused(*state, "i", (struct ArrowArray){.length = 0, .n_buffers = 2, .offset = -1},
            "other buffers");
    refused(
        *state, "i",
        (struct ArrowArray){.length = 1, .n_buffers = 2, .buffers = (const void *[]){NULL, NULL}},
        "no buffer of its cells");
    refused(*state, "i",
            (struct ArrowArray){.length = 1,
                                .null_count = 1,
                                .n_buffers = 2,
                                .buffers = (const void *[]){NULL, offsets}},
            "no bitmap");
    refused(*state, "u",
            (struct ArrowArray){
                .length = 2, .n_buffers = 3, .buffers = (const void *[]){NULL, offsets, "abcde"}},
            "offsets that fall");
    refused(*state, "u",
            (struct ArrowArray){.length = 1,
                                .n_buffers = 3,
                                .buffers = (const void *[]){NULL, offsets,
                                                            "ab\xFF"
                                                            "de"}},
            "not valid UTF-8");
    refused(
        *state, "d:3,1",
        (struct ArrowArray){.length = 1, .n_buffers = 2, .buffers = (const void *[]){NULL, large}},
        "more digits");
    refused(*state, "+l",
            (struct ArrowArray){.length = 2,
                                .n_buffers = 2,
                                .n_children = 1,
                                .buffers = (const void *[]){NULL, long_list},
                                .children = children},
            "beyond its elements");
    refused(*state, "+s",
            (struct ArrowArray){.length = 4,
                                .n_buffers = 1,
                                .n_children = 1,
                                .buffers = (const void *[]){NULL},
                                .children = children},
            "a child that is shorter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_children_are_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_offsets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("base/arrow", tests, NULL, NULL);
}
