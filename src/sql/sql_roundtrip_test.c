/* Batches of every type go through the SQL engine and come back the same: nulls at all alignments,
 * nested arrays and structs, empty, short and long texts, extremes, and numbers of rows around
 * DuckDB's 2,048. Then what DuckDB's other types become. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "sql/sql.h"

static sql_engine *engine;
static sql_session *session;
static arena *scratch;
static freshet_error err;

static void must(freshet_code code)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err.text);
}

static int set_up(void **state)
{
    (void)state;
    must(sql_open(NULL, &engine, &err));
    must(sql_session_open(engine, &session, &err));
    scratch = arena_open();
    return scratch == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    sql_session_close(session);
    sql_close(engine);
    arena_close(scratch);
    return 0;
}

static uint64_t seed = 88172645463325252u;

static uint64_t dice(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- making columns ---- */

static const char long_text[] =
    "a text of more than twelve bytes, with \303\251 and \360\237\214\212";

static cell_text some_text(void)
{
    static const uint32_t lengths[] = {0, 1, 4, 11, 12, 13, 30, sizeof long_text - 1};
    uint32_t length = lengths[dice() % 8];
    return text_of(long_text, length);
}

static int128 some_decimal(uint8_t width)
{
    int128 limit = 1;
    for (uint8_t i = 0; i < width; i++)
        limit *= 10;
    switch (dice() % 4) {
    case 0: return limit - 1;
    case 1: return 1 - limit;
    default: return (int128)(int64_t)dice() % limit;
    }
}

static double some_double(void)
{
    static const double odd[] = {0.0,     -0.0,     DBL_MAX,   -DBL_MAX,
                                 DBL_MIN, INFINITY, -INFINITY, 5e-324};
    uint64_t which = dice() % 16;
    return which < 8 ? odd[which] : (double)(int64_t)dice() / 1e6;
}

static void fill_column(column *column, uint64_t n, uint64_t nulls);

/* Spans that follow one another, overlap, jump back and leave gaps. */
static void fill_array(column *column, uint64_t n, uint64_t nulls)
{
    uint64_t n_elements = n * 2 + 10, next = 0;
    must(column_reserve(scratch, &column->children[0], n_elements, &err));
    column->n_elements = n_elements;
    fill_column(&column->children[0], n_elements, nulls);
    for (uint64_t row = 0; row < n; row++) {
        uint64_t length = dice() % 4;
        if (next + length > n_elements || dice() % 50 == 0)
            next = dice() % 8;
        ((cell_span *)column->data)[row] = (cell_span){next, length};
        next += length;
    }
}

static void fill_cell(column *column, uint64_t row)
{
    void *data = column->data;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: ((uint8_t *)data)[row] = dice() & 1; break;
    case TYPE_INTEGER:
        ((int32_t *)data)[row] = dice() % 3 == 0 ? INT32_MIN : (int32_t)dice();
        break;
    case TYPE_BIGINT: ((int64_t *)data)[row] = dice() % 3 == 0 ? INT64_MIN : (int64_t)dice(); break;
    case TYPE_FLOAT: ((float *)data)[row] = dice() % 3 == 0 ? FLT_MAX : (float)some_double(); break;
    case TYPE_DOUBLE: ((double *)data)[row] = some_double(); break;
    case TYPE_DECIMAL: ((int128 *)data)[row] = some_decimal(column->type->width); break;
    case TYPE_STRING:
    case TYPE_BINARY: ((cell_text *)data)[row] = some_text(); break;
    case TYPE_DATE: ((int32_t *)data)[row] = (int32_t)(dice() % 2000000) - 1000000; break;
    case TYPE_TIMESTAMP: ((int64_t *)data)[row] = (int64_t)(dice() >> 8) - (1LL << 55); break;
    default: break;
    }
}

/* One null in `nulls`; 0: none; 1: all. */
static void fill_column(column *column, uint64_t n, uint64_t nulls)
{
    for (uint32_t i = 0; column->type->kind == TYPE_STRUCT && i < column->type->n_fields; i++)
        fill_column(&column->children[i], n, nulls);
    if (column->type->kind == TYPE_ARRAY)
        fill_array(column, n, nulls);
    for (uint64_t row = 0; row < n; row++)
        fill_cell(column, row);
    for (uint64_t row = 0; nulls > 0 && row < n; row++) {
        if (dice() % nulls == 0)
            assert_true(column_set_null(scratch, column, row));
    }
}

static const type *parse(const char *text)
{
    const type *type = type_parse(scratch, text);
    if (type == NULL)
        fail_msg("no type: %s", text);
    return type;
}

static const char *const type_names[] = {"boolean",
                                         "integer",
                                         "bigint",
                                         "float",
                                         "double",
                                         "decimal(4,2)",
                                         "decimal(5,0)",
                                         "decimal(9,9)",
                                         "decimal(10,0)",
                                         "decimal(18,3)",
                                         "decimal(19,1)",
                                         "decimal(38,10)",
                                         "string",
                                         "binary",
                                         "date",
                                         "timestamp",
                                         "array<bigint>",
                                         "array<string>",
                                         "array<boolean>",
                                         "array<array<string>>",
                                         "struct<a: integer>",
                                         "struct<a: string, b: struct<c: double, d: date>>",
                                         "array<struct<x: string, y: array<decimal(20,5)>>>",
                                         "struct<l: array<struct<m: boolean>>>"};

#define N_TYPES (sizeof type_names / sizeof type_names[0])

static schema all_types(void)
{
    field *fields = arena_zero(scratch, N_TYPES, sizeof *fields);
    for (uint32_t i = 0; i < N_TYPES; i++)
        fields[i] = (field){arena_format(scratch, "c%u", i), parse(type_names[i])};
    return (schema){N_TYPES, fields};
}

static void fill_batch(batch *batch, const schema *schema, uint32_t n, uint64_t nulls)
{
    must(batch_init(batch, scratch, schema, n, &err));
    for (uint32_t i = 0; i < schema->n_fields; i++)
        fill_column(&batch->columns[i], n, nulls);
    batch->n_rows = n;
}

/* ---- comparing ---- */

static void check_same(const column *a, uint64_t row, const column *b, uint64_t other);

static void check_same_array(const column *a, uint64_t row, const column *b, uint64_t other)
{
    cell_span one = ((cell_span *)a->data)[row], two = ((cell_span *)b->data)[other];
    assert_int_equal(one.length, two.length);
    assert_true(two.offset + two.length <= b->n_elements);
    for (uint64_t i = 0; i < one.length; i++)
        check_same(&a->children[0], one.offset + i, &b->children[0], two.offset + i);
}

static void check_same(const column *a, uint64_t row, const column *b, uint64_t other)
{
    static const char zeros[16];
    size_t size = type_cell_size(b->type);
    assert_true(type_equal(a->type, b->type));
    assert_int_equal(column_is_valid(a, row), column_is_valid(b, other));
    if (!column_is_valid(b, other))
        assert_memory_equal((char *)b->data + other * size, zeros, size);
    switch (b->type->kind) {
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < b->type->n_fields; i++)
            check_same(&a->children[i], row, &b->children[i], other);
        break;
    case TYPE_ARRAY: check_same_array(a, row, b, other); break;
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *one = &((cell_text *)a->data)[row], *two = &((cell_text *)b->data)[other];
        assert_int_equal(one->length, two->length);
        assert_memory_equal(text_bytes(one), text_bytes(two), one->length);
        if (one->length <= TEXT_INLINE_MAX)
            assert_memory_equal(one, two, sizeof *one);
        break;
    }
    default:
        assert_memory_equal((char *)a->data + row * size, (char *)b->data + other * size, size);
    }
}

static void check_rows(const batch *in, uint32_t first, uint32_t n, const batch *out)
{
    assert_int_equal(out->n_rows, n);
    assert_int_equal(out->schema.n_fields, in->schema.n_fields);
    for (uint32_t c = 0; c < in->schema.n_fields; c++) {
        assert_string_equal(in->schema.fields[c].name, out->schema.fields[c].name);
        for (uint32_t row = 0; row < n; row++)
            check_same(&in->columns[c], first + row, &out->columns[c], row);
    }
}

/* ---- the tests ---- */

static void test_every_type_at_every_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 63, 64, 65, 2047, 2048, 2049, 5000};
    static const uint64_t nulls[] = {0, 1, 3};
    arena_reset(scratch);
    schema columns = all_types();
    sql_input *input;
    sql_statement *statement;
    must(sql_input_add(session, "everything", &columns, NULL, 0, &input, &err));
    must(sql_prepare(session, "SELECT * FROM everything", &statement, NULL, &err));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            batch in, out;
            fill_batch(&in, &columns, sizes[i], nulls[k]);
            sql_input_set(input, &in, 0, in.n_rows);
            must(sql_run(statement, scratch, &out, &err));
            check_rows(&in, 0, in.n_rows, &out);
        }
    }
    sql_statement_close(statement);
    sql_input_close(input);
}

static void test_parts_at_every_alignment(void **state)
{
    (void)state;
    arena_reset(scratch);
    schema columns = all_types();
    sql_input *input;
    sql_statement *statement;
    batch in, out;
    must(sql_input_add(session, "everything", &columns, NULL, 0, &input, &err));
    must(sql_prepare(session, "SELECT * FROM everything", &statement, NULL, &err));
    fill_batch(&in, &columns, 400, 4);
    for (uint32_t first = 0; first < 140; first++) {
        uint32_t n = (first * 37) % 200;
        sql_input_set(input, &in, first, n);
        must(sql_run(statement, scratch, &out, &err));
        check_rows(&in, first, n, &out);
    }
    fill_batch(&in, &columns, 5000, 2);
    for (uint32_t first = 1; first < 2100; first += 333) {
        sql_input_set(input, &in, first, 2900);
        must(sql_run(statement, scratch, &out, &err));
        check_rows(&in, first, 2900, &out);
    }
    sql_statement_close(statement);
    sql_input_close(input);
}

static void test_through_a_table(void **state)
{
    (void)state;
    arena_reset(scratch);
    schema columns = all_types();
    sql_input *input;
    sql_statement *insert, *select;
    batch in, out;
    int64_t changed = 0;
    must(sql_table_create(session, "a \"table\"", &columns, &err));
    must(sql_input_add(session, "everything", &columns, NULL, 0, &input, &err));
    must(sql_command_prepare(session, "INSERT INTO \"a \"\"table\"\"\" SELECT * FROM everything",
                             &insert, &err));
    must(sql_prepare(session, "SELECT * FROM \"a \"\"table\"\"\"", &select, NULL, &err));
    fill_batch(&in, &columns, 5000, 3);
    for (uint32_t first = 0; first < 5000; first += 1000) {
        sql_input_set(input, &in, first, 1000);
        must(sql_command_run(insert, &changed, &err));
        assert_int_equal(changed, 1000);
    }
    sql_input_set(input, NULL, 0, 0);
    must(sql_run(select, scratch, &out, &err));
    check_rows(&in, 0, 5000, &out);
    sql_statement_close(insert);
    sql_statement_close(select);
    sql_input_close(input);
    must(sql_execute(session, "DROP TABLE \"a \"\"table\"\"\"", NULL, &err));
}

static void test_cursor_gives_the_same(void **state)
{
    (void)state;
    arena_reset(scratch);
    schema columns = all_types();
    sql_input *input;
    sql_statement *statement;
    sql_cursor *cursor;
    batch in, out;
    must(sql_input_add(session, "everything", &columns, NULL, 0, &input, &err));
    must(sql_prepare(session, "SELECT * FROM everything", &statement, NULL, &err));
    fill_batch(&in, &columns, 5000, 5);
    sql_input_set(input, &in, 7, 4990);
    must(sql_cursor_open(statement, &cursor, &err));
    uint32_t done = 0;
    freshet_code code;
    while ((code = sql_next(cursor, scratch, &out, &err)) == FRESHET_OK) {
        assert_in_range(out.n_rows, 1, 2048);
        check_rows(&in, 7 + done, out.n_rows, &out);
        done += out.n_rows;
    }
    assert_int_equal(code, FRESHET_END);
    assert_int_equal(sql_next(cursor, scratch, &out, &err), FRESHET_END);
    assert_int_equal(done, 4990);
    sql_cursor_close(cursor);
    /* given up before the end; then the session is free for others */
    must(sql_cursor_open(statement, &cursor, &err));
    must(sql_next(cursor, scratch, &out, &err));
    sql_cursor_close(cursor);
    must(sql_run(statement, scratch, &out, &err));
    check_rows(&in, 7, 4990, &out);
    sql_statement_close(statement);
    sql_input_close(input);
}

/* Long texts made inside DuckDB stay valid until the next run. */
static void test_long_texts_stay(void **state)
{
    (void)state;
    arena_reset(scratch);
    sql_statement *statement;
    batch out;
    must(sql_prepare(session,
                     "SELECT repeat('long text ', 5) || i AS t, [t, t || '!'] AS l "
                     "FROM range(20000) r(i)",
                     &statement, NULL, &err));
    must(sql_run(statement, scratch, &out, &err));
    assert_int_equal(out.n_rows, 20000);
    for (uint32_t i = 0; i < out.n_rows; i++) {
        char expected[80];
        int length = snprintf(expected, sizeof expected,
                              "long text long text long text long text long text %u!", i);
        cell_text *text = &((cell_text *)out.columns[0].data)[i];
        assert_int_equal(text->length, length - 1);
        assert_memory_equal(text_bytes(text), expected, text->length);
        cell_span span = ((cell_span *)out.columns[1].data)[i];
        text = &((cell_text *)out.columns[1].children[0].data)[span.offset + 1];
        assert_int_equal(text->length, length);
        assert_memory_equal(text_bytes(text), expected, text->length);
    }
    sql_statement_close(statement);
}

/* ---- DuckDB's other types ---- */

static void becomes(const char *expression, const char *type, const char *json)
{
    sql_statement *statement;
    batch out;
    text_buffer text;
    text_init(&text, 10000);
    must(sql_prepare(session, arena_format(scratch, "SELECT %s AS x", expression), &statement, NULL,
                     &err));
    assert_string_equal(type_name(scratch, sql_statement_schema(statement)->fields[0].type), type);
    must(sql_run(statement, scratch, &out, &err));
    assert_int_equal(out.n_rows, 1);
    must(column_to_json(&out.columns[0], 0, &text, &err));
    assert_string_equal(text.bytes, json);
    text_release(&text);
    sql_statement_close(statement);
}

static void test_other_types_are_converted(void **state)
{
    (void)state;
    arena_reset(scratch);
    becomes("(-128)::TINYINT", "integer", "-128");
    becomes("(-32768)::SMALLINT", "integer", "-32768");
    becomes("255::UTINYINT", "integer", "255");
    becomes("65535::USMALLINT", "integer", "65535");
    becomes("4294967295::UINTEGER", "bigint", "4294967295");
    becomes("18446744073709551615::UBIGINT", "decimal(20,0)", "\"18446744073709551615\"");
    becomes("sum(9223372036854775807) FROM range(3)", "decimal(38,0)", "\"27670116110564327421\"");
    becomes("(-99999999999999999999999999999999999999)::HUGEINT", "decimal(38,0)",
            "\"-99999999999999999999999999999999999999\"");
    becomes("1.5::DECIMAL(4,2)", "decimal(4,2)", "\"1.50\"");
    becomes("TIMESTAMP_S '2024-01-02 03:04:05'", "timestamp", "\"2024-01-02T03:04:05.000000Z\"");
    becomes("TIMESTAMP_MS '2024-01-02 03:04:05.678'", "timestamp",
            "\"2024-01-02T03:04:05.678000Z\"");
    becomes("TIMESTAMP_NS '1969-12-31 23:59:59.999999999'", "timestamp",
            "\"1969-12-31T23:59:59.999999Z\"");
    becomes("TIMESTAMPTZ '2024-01-02 03:04:05+02'", "timestamp", "\"2024-01-02T01:04:05.000000Z\"");
    becomes("TIMESTAMPTZ '2024-01-02 03:04:05'", "timestamp", "\"2024-01-02T03:04:05.000000Z\"");
    becomes("UUID 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "string",
            "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
    becomes("UUID '00000000-0000-0000-0000-000000000001'", "string",
            "\"00000000-0000-0000-0000-000000000001\"");
    becomes("'b'::ENUM('a', 'b', 'a longer word of an enum')", "string", "\"b\"");
    becomes("['a', 'a longer word of an enum', NULL]::ENUM('a', 'a longer word of an enum')[]",
            "array<string>", "[\"a\",\"a longer word of an enum\",null]");
    becomes("[1, NULL, 3]::INTEGER[3]", "array<integer>", "[1,null,3]");
    becomes("MAP {'k': 1, 'l': 2}", "array<struct<key: string, value: integer>>",
            "[{\"key\":\"k\",\"value\":1},{\"key\":\"l\",\"value\":2}]");
    becomes("'{\"a\": 1}'::JSON", "string", "\"{\\\"a\\\": 1}\"");
    becomes("NULL", "integer", "null");
    becomes("[]", "array<integer>", "[]");
    becomes("{'a': NULL}", "struct<a: integer>", "{\"a\":null}");
    becomes("NULL::STRUCT(a INTEGER, b STRUCT(c VARCHAR))",
            "struct<a: integer, b: struct<c: string>>", "null");
    becomes("NULL::INTEGER[2]", "array<integer>", "null");
}

static void test_types_we_do_not_have_are_refused(void **state)
{
    (void)state;
    arena_reset(scratch);
    static const char *const expressions[] = {
        "TIME '12:00:00'",     "INTERVAL 1 DAY", "'1010'::BIT",         "[INTERVAL 1 DAY]",
        "{'a': TIME '12:00'}", "1::UHUGEINT",    "TIMETZ '12:00:00+01'"};
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        sql_statement *statement = NULL;
        sql_problem problem;
        assert_int_equal(sql_prepare(session,
                                     arena_format(scratch, "SELECT %s AS odd", expressions[i]),
                                     &statement, &problem, &err),
                         FRESHET_USAGE);
        assert_non_null(strstr(problem.text, "column \"odd\" is a"));
        assert_non_null(strstr(problem.text, "cast it in the query"));
        assert_null(statement);
    }
}

/* Nesting at the limit, and one past it. */
static void test_depth(void **state)
{
    (void)state;
    arena_reset(scratch);
    for (int depth = TYPE_DEPTH_MAX - 2; depth < TYPE_DEPTH_MAX + 2; depth++) {
        const char *expression = "1";
        for (int i = 1; i < depth; i++)
            expression = arena_format(scratch, "[%s]", expression);
        expression = arena_format(scratch, "SELECT %s", expression);
        sql_statement *statement = NULL;
        freshet_code code = sql_prepare(session, expression, &statement, NULL, &err);
        assert_int_equal(code, depth <= TYPE_DEPTH_MAX ? FRESHET_OK : FRESHET_USAGE);
        if (code != FRESHET_OK)
            assert_non_null(strstr(err.text, "nested more than 16 deep"));
        sql_statement_close(statement);
    }
}

static void test_a_number_out_of_reach_is_an_error_of_the_row(void **state)
{
    (void)state;
    arena_reset(scratch);
    sql_statement *statement = NULL;
    batch out;
    must(sql_prepare(session, "SELECT 170141183460469231731687303715884105727::HUGEINT", &statement,
                     NULL, &err));
    assert_int_equal(sql_run(statement, scratch, &out, &err), FRESHET_FAILED);
    assert_int_equal(err.then, FRESHET_SKIP_ROW);
    sql_statement_close(statement);
}

static void test_type_names(void **state)
{
    (void)state;
    arena_reset(scratch);
    assert_string_equal(sql_type_name(scratch, parse("struct<a: array<decimal(5,1)>, c: date>")),
                        "STRUCT(\"a\" DECIMAL(5,1)[], \"c\" DATE)");
    assert_string_equal(sql_quote(scratch, "a \"b\""), "\"a \"\"b\"\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_at_every_size),
        cmocka_unit_test(test_parts_at_every_alignment),
        cmocka_unit_test(test_through_a_table),
        cmocka_unit_test(test_cursor_gives_the_same),
        cmocka_unit_test(test_long_texts_stay),
        cmocka_unit_test(test_other_types_are_converted),
        cmocka_unit_test(test_types_we_do_not_have_are_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_a_number_out_of_reach_is_an_error_of_the_row),
        cmocka_unit_test(test_type_names),
    };
    return cmocka_run_group_tests_name("sql/roundtrip", tests, set_up, tear_down);
}
