/* Feature sets from their declaration to rows: keys, timestamps, casts, SQL, what is refused, and
 * the mistakes that are found at open. Input rows are made by SQL; declarations are read from YAML.
 */
#include "features/features_testing.h"

#include "base/error.h"
#include "base/os.h"
#include "features/cast.h"

/* The set over the input says this: refusals first, then the rows. */
static void check(void **state, const char *input, const char *feature_set, const char *said)
{
    world *world = *state;
    batch out;
    if (open_set(world, false, input, feature_set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    run_batch(world, &world->in, &out);
    expect(world, said);
}

static void check_problems(void **state, const char *input, const char *feature_set,
                           const char *said)
{
    world *world = *state;
    world->places = true;
    assert_int_equal(open_set(world, false, input, feature_set), FRESHET_BAD_DECLARATION);
    expect(world, said);
}

#define ROWS_OF(values, names) "SELECT * FROM (VALUES " values ") t(" names ")"
#define KEY "  keys: [{name: id, type: bigint}]\n"
#define TIME "  timestamp: {from: ts}\n"
#define ONE_ROW                                                                          \
    "SELECT 1::BIGINT AS id, TIMESTAMP '2024-05-01 12:00:00' AS ts, 10.0::DOUBLE AS a, " \
    "4.0::DOUBLE AS b, 'abc' AS s, [3, 1, 2] AS arr, {'k': 'v', 'n': 1} AS st"
#define STAMP "\"timestamp\":\"2024-05-01T12:00:00.000000Z\""

static void test_columns(void **state)
{
    check(state, ONE_ROW,
          KEY TIME "  features:\n"
                   "    - {name: a, type: double}\n"
                   "    - {name: whole, type: integer, from: a}\n"
                   "    - {name: text, type: string, from: whole}\n"
                   "    - {name: list, type: array<bigint>, from: arr}\n"
                   "    - {name: when, type: timestamp, from: timestamp}\n"
                   "    - {name: key, type: string, from: id}\n",
          "{\"id\":1," STAMP ",\"a\":10.0,\"whole\":10,\"text\":\"10\",\"list\":[3,1,2],"
          "\"when\":\"2024-05-01T12:00:00.000000Z\",\"key\":\"1\"}\n");
}

static void test_schema(void **state)
{
    world *world = *state;
    open_set(world, false, ONE_ROW,
             "  keys: [{name: k, type: string, from: id}, {name: s, type: string}]\n" TIME
             "  features: [{name: f, type: 'decimal(10,2)', from: a}]\n");
    const schema *schema = feature_set_schema(world->set);
    assert_int_equal(feature_set_n_keys(world->set), 2);
    assert_int_equal(schema->n_fields, 4);
    assert_string_equal(schema->fields[0].name, "k");
    assert_string_equal(schema->fields[1].name, "s");
    assert_string_equal(schema->fields[2].name, "timestamp");
    assert_string_equal(schema->fields[3].name, "f");
    assert_string_equal(type_name(world->arena, schema->fields[3].type), "decimal(10,2)");
}

/* Columns of the right type are those of the input: nothing is copied. */
static void test_same_type_is_free(void **state)
{
    world *world = *state;
    batch out;
    open_set(world, false, ONE_ROW, KEY TIME "  features: [{name: a, type: double}]\n");
    run_batch(world, &world->in, &out);
    assert_ptr_equal(out.columns[0].data, world->in.columns[0].data);
    assert_ptr_equal(out.columns[1].data, world->in.columns[1].data);
    assert_ptr_equal(out.columns[2].data, world->in.columns[2].data);
}

static void test_keys(void **state)
{
    check(
        state,
        ROWS_OF("('1', TIMESTAMP '2024-05-01 12:00:00'), (NULL, TIMESTAMP '2024-05-01 12:00:00'), "
                "('x', TIMESTAMP '2024-05-01 12:00:00')",
                "id, ts"),
        KEY TIME "  on_cast_error: 'null'\n"
                 "  features: [{name: f, type: string, from: id}]\n",
        "refused 2: key \"id\": cannot cast \"x\" to bigint\n"
        "refused 1: key \"id\" is null\n"
        "{\"id\":1," STAMP ",\"f\":\"1\"}\n");
}

static void test_cast_errors(void **state)
{
    static const char input[] = ROWS_OF("(1, TIMESTAMP '2024-05-01 12:00:00', 'x', 'y'), "
                                        "(2, TIMESTAMP '2024-05-01 12:00:00', '5', '7'), "
                                        "(3, TIMESTAMP '2024-05-01 12:00:00', NULL, 'z')",
                                        "id, ts, s, t");
    check(state, input,
          KEY TIME "  features: [{name: s, type: bigint}, {name: t, type: integer}]\n",
          "refused 0: feature \"s\": cannot cast \"x\" to bigint\n"
          "refused 2: feature \"t\": cannot cast \"z\" to integer\n"
          "{\"id\":2," STAMP ",\"s\":5,\"t\":7}\n");
    check(state, input,
          KEY TIME "  on_cast_error: 'null'\n"
                   "  features: [{name: s, type: bigint}, {name: t, type: integer}]\n",
          "{\"id\":1," STAMP ",\"s\":null,\"t\":null}\n"
          "{\"id\":2," STAMP ",\"s\":5,\"t\":7}\n"
          "{\"id\":3," STAMP ",\"s\":null,\"t\":null}\n");
}

static void test_all_rows_refused(void **state)
{
    check(state, "SELECT 1 AS id, NULL::TIMESTAMP AS ts, 1 AS a",
          KEY TIME
          "  features: [{name: b, type: bigint, sql: a + 1}, {name: c, type: bigint, from: b}]\n",
          "refused 0: timestamp: column \"ts\" is null\n");
    check(state, "SELECT 1 AS id, TIMESTAMP '2024-05-01' AS ts, 1 AS a WHERE false",
          KEY TIME
          "  features: [{name: b, type: bigint, sql: a + 1}, {name: c, type: bigint, from: b}]\n",
          "");
}

/* out->rows are those of the rows that are left. */
static void test_rows_go_with_their_origin(void **state)
{
    world *world = *state;
    batch out;
    uint64_t rows[] = {ROW_OF(0, 3), ROW_OF(0, 9), ROW_OF(1, 1), ROW_OF(1, 4)};
    open_set(
        world, false,
        ROWS_OF(
            "(1, TIMESTAMP '2024-05-01 12:00:00', 'x'), (2, TIMESTAMP '2024-05-01 12:00:00', '5'), "
            "(NULL, TIMESTAMP '2024-05-01 12:00:00', '6'), "
            "(4, TIMESTAMP '2024-05-01 12:00:00', '7')",
            "id, ts, s"),
        KEY TIME
        "  features: [{name: n, type: bigint, from: s}, {name: m, type: bigint, sql: n * 2}]\n");
    world->in.rows = rows;
    run_batch(world, &world->in, &out);
    expect(world, "refused 2: key \"id\" is null\n"
                  "refused 0: feature \"n\": cannot cast \"x\" to bigint\n"
                  "{\"id\":2," STAMP ",\"n\":5,\"m\":10}\n"
                  "{\"id\":4," STAMP ",\"n\":7,\"m\":14}\n");
    assert_int_equal(out.rows[0], ROW_OF(0, 9));
    assert_int_equal(out.rows[1], ROW_OF(1, 4));
}

static void test_timestamps(void **state)
{
#define STAMPS(values) ROWS_OF(values, "id, ts")
#define FEATURES "  features: [{name: id2, type: bigint, from: id}]\n"
    check(state, STAMPS("(1, DATE '2024-05-01')"), KEY TIME FEATURES,
          "{\"id\":1,\"timestamp\":\"2024-05-01T00:00:00.000000Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, '2024-05-01T12:00:00.5-0300'), (2, 'garbage')"), KEY TIME FEATURES,
          "refused 1: timestamp: cannot cast \"garbage\" to timestamp\n"
          "{\"id\":1,\"timestamp\":\"2024-05-01T15:00:00.500000Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, '01/05/2024'), (2, '1/5/2024')"),
          KEY "  timestamp: {from: ts, mask: dd/MM/yyyy}\n" FEATURES,
          "refused 1: timestamp: \"1/5/2024\" does not match the mask \"dd/MM/yyyy\"\n"
          "{\"id\":1,\"timestamp\":\"2024-05-01T00:00:00.000000Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, 1714564800123::BIGINT), (2, -1), (3, 9223372036854775807)"),
          KEY "  timestamp: {from: ts, unit: ms}\n" FEATURES,
          "refused 2: timestamp: 9223372036854775807 is no time in the unit ms\n"
          "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.123000Z\",\"id2\":1}\n"
          "{\"id\":2,\"timestamp\":\"1969-12-31T23:59:59.999000Z\",\"id2\":2}\n");
    check(state, STAMPS("(1, 1714564800.25::DOUBLE), (2, 'nan'), (3, -0.5)"), KEY TIME FEATURES,
          "refused 1: timestamp: cannot cast \"NaN\" to timestamp\n"
          "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.250000Z\",\"id2\":1}\n"
          "{\"id\":3,\"timestamp\":\"1969-12-31T23:59:59.500000Z\",\"id2\":3}\n");
    check(state, STAMPS("(1, 1714564800123456::BIGINT)"),
          KEY "  timestamp: {from: ts, unit: us}\n" FEATURES,
          "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.123456Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, 1714564800123.4567::DECIMAL(20,4))"),
          KEY "  timestamp: {from: ts, unit: ms}\n" FEATURES,
          "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.123456Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, ' 1714564800123 '), (2, 'x'), (3, '99999999999999999999'), (4, NULL)"),
          KEY "  timestamp: {from: ts, unit: ms}\n" FEATURES,
          "refused 1: timestamp: \"x\" is no time in the unit ms\n"
          "refused 2: timestamp: \"99999999999999999999\" is no time in the unit ms\n"
          "refused 3: timestamp: column \"ts\" is null\n"
          "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.123000Z\",\"id2\":1}\n");
    check(state, STAMPS("(1, 5::INTEGER)"), KEY "  timestamp: {from: ts, unit: s}\n" FEATURES,
          "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"id2\":1}\n");
}

static void test_timestamp_mistakes(void **state)
{
    check_problems(
        state, STAMPS("(1, true)"), KEY TIME FEATURES,
        "t.yaml:11:21: timestamp: column \"ts\" is boolean, which is no time: it must be a "
        "timestamp, a date, text or a number\n");
    check_problems(
        state, STAMPS("(1, 'x')"), KEY "  timestamp: {from: ts, mask: YYYY-MM-DD}\n" FEATURES,
        "t.yaml:11:31: timestamp: the mask \"YYYY-MM-DD\" has \"YYYY\", the year of weeks: "
        "write yyyy for the year\n");
    check_problems(
        state, STAMPS("(1, 5)"), KEY "  timestamp: {from: ts, mask: yyyy}\n" FEATURES,
        "t.yaml:11:31: timestamp: a mask is for text, but column \"ts\" is integer: leave "
        "the mask out\n");
    check_problems(
        state, STAMPS("(1, DATE '2024-05-01')"), KEY "  timestamp: {from: ts, unit: ms}\n" FEATURES,
        "t.yaml:11:21: timestamp: a unit is for numbers, but column \"ts\" is date: leave "
        "the unit out\n");
    check_problems(state, STAMPS("(1, DATE '2024-05-01')"), KEY "  timestamp: {from: t}\n" FEATURES,
                   "t.yaml:11:21: timestamp: there is no column \"t\"; did you mean \"ts\"?\n");
}

static void test_sql(void **state)
{
    check(state, ONE_ROW,
          KEY TIME
          "  features:\n"
          "    - {name: sum, type: double, sql: a + b}\n"
          "    - {name: upper, type: string, sql: 'upper(s) || st.k'}\n"
          "    - {name: doubled, type: 'array<bigint>', sql: 'list_transform(arr, x -> x * 2)'}\n"
          "    - {name: text, type: string, sql: arr}\n"
          "    - {name: whole, type: integer, sql: 'a / b   -- a comment'}\n"
          "    - {name: one, type: bigint, sql: '1'}\n"
          "    - {name: none, type: string, sql: 'null'}\n"
          "    - {name: hour, type: integer, sql: hour(timestamp)}\n",
          "{\"id\":1," STAMP ",\"sum\":14.0,\"upper\":\"ABCv\",\"doubled\":[6,2,4],"
          "\"text\":\"[3, 1, 2]\",\"whole\":2,\"one\":1,\"none\":null,\"hour\":12}\n");
}

/* A later feature sees an earlier one; and one with the name of a column hides it from there on. */
static void test_chains(void **state)
{
    check(state, ONE_ROW,
          KEY TIME "  features:\n"
                   "    - {name: a, type: double, sql: a + 1}\n"
                   "    - {name: twice, type: double, sql: a * 2}\n"
                   "    - {name: b, type: string, from: twice}\n"
                   "    - {name: c, type: string, sql: b || '!'}\n"
                   "    - {name: d, type: integer, from: twice}\n"
                   "    - {name: e, type: bigint, sql: D + id}\n",
          "{\"id\":1," STAMP ",\"a\":11.0,\"twice\":22.0,\"b\":\"22.0\",\"c\":\"22.0!\",\"d\":22,"
          "\"e\":23}\n");
}

/* SQL that fails for some rows: those rows alone are refused, each for its own feature. */
static void test_sql_that_fails(void **state)
{
    check(
        state,
        ROWS_OF("(1, TIMESTAMP '2024-05-01 12:00:00', '5', '6'), "
                "(2, TIMESTAMP '2024-05-01 12:00:00', 'x', '6'), "
                "(3, TIMESTAMP '2024-05-01 12:00:00', '5', 'y'), "
                "(NULL, TIMESTAMP '2024-05-01 12:00:00', 'z', 'z'), "
                "(5, TIMESTAMP '2024-05-01 12:00:00', '7', '8')",
                "id, ts, s, t"),
        KEY TIME "  features:\n"
                 "    - {name: s, type: bigint, sql: 'cast(s as integer) * 2'}\n"
                 "    - {name: u, type: bigint, sql: cast(t as integer)}\n",
        "refused 3: key \"id\" is null\n"
        "refused 1: feature \"s\": Could not convert string 'x' to INT32 when casting from source "
        "column s\n"
        "refused 2: feature \"u\": Could not convert string 'y' to INT32 when casting from source "
        "column t\n"
        "{\"id\":1," STAMP ",\"s\":10,\"u\":6}\n"
        "{\"id\":5," STAMP ",\"s\":14,\"u\":8}\n");
}

static void test_sql_result_does_not_cast(void **state)
{
    static const char input[] = ROWS_OF("(1, TIMESTAMP '2024-05-01 12:00:00', '5'), "
                                        "(2, TIMESTAMP '2024-05-01 12:00:00', 'x')",
                                        "id, ts, s");
    check(state, input, KEY TIME "  features: [{name: n, type: bigint, sql: s || '0'}]\n",
          "refused 1: feature \"n\": cannot cast \"x0\" to bigint\n"
          "{\"id\":1," STAMP ",\"n\":50}\n");
    check(state, input,
          KEY TIME "  on_cast_error: 'null'\n"
                   "  features: [{name: n, type: bigint, sql: s || '0'}]\n",
          "{\"id\":1," STAMP ",\"n\":50}\n"
          "{\"id\":2," STAMP ",\"n\":null}\n");
}

/* An expression that can never be evaluated refuses each row, and the rows go on failing one by
 * one. */
static void test_constant_that_fails(void **state)
{
    check(state,
          ROWS_OF("(1, TIMESTAMP '2024-05-01 12:00:00'), (2, TIMESTAMP '2024-05-01 12:00:00')",
                  "id, ts"),
          KEY TIME "  features: [{name: f, type: integer, sql: cast('x' as integer)}]\n",
          "refused 0: feature \"f\": Could not convert string 'x' to INT32\n"
          "refused 1: feature \"f\": Could not convert string 'x' to INT32\n");
}

/* Rows that fail anywhere in a large batch are found, and only they. */
static void test_failing_rows_by_halves(void **state)
{
    world *world = *state;
    batch out;
    open_set(world, false,
             "SELECT i AS id, TIMESTAMP '2024-05-01 12:00:00' AS ts, "
             "CASE WHEN i % 1000 = 7 THEN 'bad' ELSE 'a long text of number ' || i END AS s "
             "FROM range(10000) t(i)",
             KEY TIME "  features:\n"
                      "    - {name: copy, type: string, sql: s || '!'}\n"
                      "    - {name: n, type: bigint, sql: 'cast(substr(s, 23) as bigint)'}\n"
                      "    - {name: later, type: string, sql: copy || n}\n");
    freshet_error err = {0};
    must(feature_set_run(world->set, world->arena, &world->in, &out, refuse, world, &err), &err);
    assert_int_equal(out.n_rows, 9990);
    for (uint32_t i = 0; i < out.n_rows; i++) {
        int64_t id = ((const int64_t *)out.columns[0].data)[i];
        char expected[80];
        int length =
            snprintf(expected, sizeof expected, "a long text of number %d!%d", (int)id, (int)id);
        const cell_text *cell = &((const cell_text *)out.columns[4].data)[i];
        assert_int_equal(((const int64_t *)out.columns[3].data)[i], id);
        assert_int_equal(cell->length, length);
        assert_memory_equal(text_bytes(cell), expected, (size_t)length);
    }
    assert_non_null(strstr(world->said.bytes, "refused 9007: feature \"n\": "));
}

/* The same set runs again and again, on batches of any size. */
static void test_many_batches(void **state)
{
    world *world = *state;
    open_set(world, false,
             "SELECT 1::BIGINT AS id, TIMESTAMP '2024-05-01' AS ts, 'some longer text' AS s",
             KEY TIME "  features: [{name: f, type: string, sql: 's || id'}]\n");
    arena *step = arena_open();
    for (uint32_t n = 0; n < 300; n += 7) {
        freshet_error err = {0};
        batch in, out;
        arena_reset(step);
        must(batch_init(&in, step, &world->in.schema, n, &err), &err);
        for (uint32_t i = 0; i < n; i++) {
            ((int64_t *)in.columns[0].data)[i] = i;
            ((cell_text *)in.columns[2].data)[i] = text_of("some longer text", 16);
        }
        in.n_rows = n;
        must(feature_set_run(world->set, step, &in, &out, NULL, NULL, &err), &err);
        assert_int_equal(out.n_rows, n);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(((const cell_text *)out.columns[2].data)[i].length,
                             16 + (i < 10    ? 1
                                   : i < 100 ? 2
                                             : 3));
    }
    arena_close(step);
}

static void test_mistakes(void **state)
{
    check_problems(
        state, ONE_ROW,
        "  keys: [{name: id, type: bigint, from: idd}, {name: k, type: bigint, from: arr}]\n" TIME
        "  features:\n"
        "    - {name: nope, type: double}\n"
        "    - {name: f, type: integer, from: arr}\n"
        "    - {name: whole, type: integer, from: a}\n"
        "    - {name: g, type: double, sql: a + wholes}\n"
        "    - {name: h, type: integer, sql: arr}\n"
        "    - {name: i, type: double, sql: a + uper(s)}\n"
        "    - {name: j, type: double, sql: 'a +'}\n"
        "    - {name: z, type: double, from: nope}\n",
        "t.yaml:10:41: key \"id\": there is no column \"idd\"; did you mean \"id\"?\n"
        "t.yaml:10:63: key \"k\": column \"arr\" is array<integer>, which cannot be cast to "
        "bigint\n"
        "t.yaml:13:14: feature \"nope\": there is no column \"nope\" in the source's query or "
        "among "
        "what stands above\n"
        "t.yaml:14:23: feature \"f\": column \"arr\" is array<integer>, which cannot be cast to "
        "integer\n"
        "t.yaml:16:40: feature \"g\": there is no column \"wholes\"; did you mean \"whole\"?\n"
        "t.yaml:17:23: feature \"h\": its SQL gives array<integer>, which cannot be cast to "
        "integer\n"
        "t.yaml:18:40: feature \"i\": Scalar Function with name uper does not exist! Did you mean "
        "\"upper\"?\n"
        "t.yaml:19:40: feature \"j\": syntax error at end of input\n");
}

/* The first problem that one SQL feature has. */
static void check_sql_problem(world *world, const char *sql, const char *expected)
{
    const char *features = arena_format(
        world->arena,
        KEY TIME "  features:\n    - name: f\n      type: string\n      sql: |\n        %s\n", sql);
    world->places = true;
    if (open_set(world, false, ONE_ROW, features) != FRESHET_BAD_DECLARATION)
        fail_msg("%s is taken", sql);
    if (strstr(world->said.bytes, expected) == NULL)
        fail_msg("%s: %s", sql, world->said.bytes);
}

static void test_refused_sql(void **state)
{
    static const char *const examples[][2] = {
        {"sum(a) over (order by b)",
         "t.yaml:16:9: feature \"f\": OVER (...) is a window over many rows"},
        {"a + sum(b)", "feature \"f\": sum() is an aggregate of many rows"},
        {"count(*)", "is an aggregate of many rows"},
        {"any_value(s)", "any_value() is an aggregate"},
        {"(select 1)", "a subquery cannot stand in a feature"},
        {"exists(select 1)", "a subquery cannot"},
        {"a in (select 1)", "a subquery cannot"},
        {"case when a > 1 then now() end",
         "t.yaml:16:30: feature \"f\": now() gives another answer"},
        {"current_date", "feature \"f\": current_date gives another answer"},
        {"current_timestamp", "current_timestamp gives another answer"},
        {"age(ts)", "age() gives another answer"},
        {"random()", "random() gives another answer"},
        {"UUID()", "gives another answer"},
        {"current_setting('threads')", "asks about the SQL engine"},
        {"unnest(arr)", "unnest() makes several rows out of one"},
        {"explode(arr)", "explode() makes several rows out of one"},
        {"collect_list(a)", "collect_list() is an aggregate of many rows"},
        {"*", "* and COLUMNS(...) stand for several columns"},
        {"st.*", "stand for several columns"},
        {"columns('a')", "stand for several columns"},
        {"#1", "#1 names no column"},
        {"a + $1", "a parameter"},
        {"?", "a parameter"},
        {"a, b", "several, with commas"},
        {"a as b", "without AS"},
        {"a b", "without AS"},
        {"distinct a", "without SELECT"},
        {"a from e", "without SELECT"},
        {"a limit 1", "without SELECT"},
        {"a where a > 1", "without SELECT"},
        {"1 union all select 2", "without SELECT"},
        {"a; drop table e", "statement"},
        {"a) as x, (b", "syntax error"},
        {"a) from e; --", "syntax error"},
        {"/* never closed", "feature \"f\": "},
        {"", "feature \"f\": "},
        {"interval 1 day", "cast it"},
        {"nofunction(a)", "nofunction does not exist"},
        {"e.a", "there is no column \"e\""},
        {"read_text('x')", "feature \"f\": "},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (examples[i][0][0] != '\0') /* YAML would take the name out of an empty block */
            check_sql_problem(*state, examples[i][0], examples[i][1]);
}

static void test_age_of_two_is_fine(void **state)
{
    check(state, ONE_ROW,
          KEY TIME "  features: [{name: f, type: string, sql: 'age(ts, ts)::varchar'}]\n",
          "{\"id\":1," STAMP ",\"f\":\"00:00:00\"}\n");
}

/* Every function that DuckDB itself knows to depend on more than its arguments is refused, except
 * error(), with which an expression can refuse a row. */
static void test_all_inconsistent_functions_are_known(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    sql_statement *statement;
    batch rows;
    must(sql_prepare(world->session,
                     "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = "
                     "'scalar' AND stability <> 'CONSISTENT' AND function_name <> 'error'",
                     &statement, NULL, &err),
         &err);
    must(sql_run(statement, world->arena, &rows, &err), &err);
    assert_true(rows.n_rows > 20);
    for (uint32_t i = 0; i < rows.n_rows; i++) {
        const cell_text *cell = &((const cell_text *)rows.columns[0].data)[i];
        const char *name = arena_copy(world->arena, text_bytes(cell), cell->length);
        const char *sql = arena_format(world->arena, "%s()", name);
        check_sql_problem(world, sql, name);
        assert_null(strstr(world->said.bytes, "does not exist"));
        assert_null(strstr(world->said.bytes, "No function matches"));
    }
    sql_statement_close(statement);
}

/* An expression of many levels is refused or evaluated, and never crashes. */
static void test_depth(void **state)
{
    world *world = *state;
    text_buffer sql;
    text_init(&sql, TEXT_LIMIT_DEFAULT);
    for (int i = 0; i < 600; i++)
        text_append_c(&sql, "abs(");
    text_append_c(&sql, "a");
    for (int i = 0; i < 600; i++)
        text_append_c(&sql, ")");
    const char *features = arena_format(
        world->arena, KEY TIME "  features: [{name: f, type: string, sql: '%s'}]\n", sql.bytes);
    open_set(world, false, ONE_ROW, features);
    text_release(&sql);
}

/* 1,000 SQL features, some of them in chains, in a few statements. */
static void test_many_features(void **state)
{
    world *world = *state;
    batch out;
    text_buffer yaml;
    text_init(&yaml, TEXT_LIMIT_DEFAULT);
    text_append_c(&yaml, KEY TIME "  features:\n    - {name: f0, type: bigint, sql: id}\n");
    for (int i = 1; i < 1000; i++)
        text_format(&yaml, "    - {name: f%d, type: bigint, sql: '%s%d + 1'}\n", i,
                    i % 250 == 0 ? "f" : "id + ", i % 250 == 0 ? i - 1 : i);
    if (open_set(world, false, ONE_ROW, yaml.bytes) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    text_release(&yaml);
    run_batch(world, &world->in, &out);
    assert_int_equal(out.schema.n_fields, 1002);
    assert_int_equal(((const int64_t *)out.columns[2 + 999].data)[0], 1001);
    assert_int_equal(((const int64_t *)out.columns[2 + 750].data)[0], 752);
}

/* Not a test of speed, but of what is done: 10 columns of the right type, 50,000 rows. */
static void test_hot_path(void **state)
{
    world *world = *state;
    batch out;
    freshet_error err = {0};
    text_buffer sql, yaml;
    text_init(&sql, TEXT_LIMIT_DEFAULT);
    text_init(&yaml, TEXT_LIMIT_DEFAULT);
    text_append_c(&sql, "SELECT i AS id, TIMESTAMP '2024-05-01' AS ts");
    text_append_c(&yaml, KEY TIME "  features:\n");
    for (int i = 0; i < 10; i++) {
        text_format(&sql, ", i::DOUBLE AS c%d", i);
        text_format(&yaml, "    - {name: c%d, type: double}\n", i);
    }
    text_append_c(&sql, " FROM range(50000) t(i)");
    open_set(world, false, sql.bytes, yaml.bytes);
    arena *step = arena_open();
    int64_t begin = os.monotonic_us();
    for (int i = 0; i < 100; i++) {
        arena_reset(step);
        must(feature_set_run(world->set, step, &world->in, &out, refuse, world, &err), &err);
    }
    print_message("10 columns, 50,000 rows: %.1f us a batch\n",
                  (double)(os.monotonic_us() - begin) / 100);
    assert_int_equal(out.n_rows, 50000);
    assert_true(arena_held(step) < 1 << 20);
    arena_close(step);
    text_release(&sql);
    text_release(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_type_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cast_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_rows_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_go_with_their_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timestamps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_timestamp_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sql, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sql_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sql_result_does_not_cast, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_constant_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_rows_by_halves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_sql, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_age_of_two_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_inconsistent_functions_are_known, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_features, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hot_path, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("feature_set", tests, NULL, NULL);
}
