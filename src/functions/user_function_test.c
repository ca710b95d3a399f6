/* A function of the user's, through the public header alone: every type as argument and result,
 * nulls, long texts, moved structs, what is released when, failures of a row and of none, wrong
 * results, queries, features, filters and streams. Leaks, and what is read after its release, are
 * AddressSanitizer's to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <freshet/freshet.h>

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/freshet-function.XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c) */
}

static void write_rows(const char *mode, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* A declaration over rows.jsonl: its query, and one feature "f". */
static freshet_declaration *declare(const char *stream, const char *query, const char *type,
                                    const char *sql)
{
    char path[300], letters[300];
    freshet_declaration *made = NULL;
    freshet_error err = {0};
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    snprintf(letters, sizeof letters, "%s/letters.jsonl", folder);
    remove(letters);
    assert_int_equal(freshet_declaration_new("test", &made, &err), FRESHET_OK);
    freshet_block *reader = freshet_add_reader(made, "rows");
    freshet_set(reader, "stream", stream);
    freshet_block *file = freshet_block_in(reader, "file");
    freshet_set(file, "path", path);
    freshet_set(file, "format", "json");
    freshet_block *columns = freshet_block_in(file, "schema");
    freshet_set(columns, "k", "bigint");
    freshet_set(columns, "at", "timestamp");
    freshet_set(columns, "n", "bigint");
    freshet_set(columns, "t", "string");
    freshet_set_query(made, query);
    freshet_set_feature_set(made, "fs", "row");
    freshet_add_key(made, "k", "bigint");
    freshet_set_timestamp(made, "at");
    freshet_add_sql_feature(made, "f", type, sql);
    freshet_set(freshet_block_in(freshet_declaration_root(made), "dead_letters"), "path", letters);
    freshet_set(freshet_block_in(freshet_add_writer(made), "online"), "debug", "true");
    if (freshet_declaration_finish(made, NULL, NULL, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    return made;
}

static bool collect(void *context, const char *bytes, size_t length)
{
    strncat(context, bytes, length);
    return true;
}

/* The features of all rows by key, as "f,f,": null is nothing. */
static const char *features(freshet_pipeline *pipeline)
{
    static char text[8192];
    freshet_result *result = NULL;
    freshet_error err = {0};
    text[0] = '\0';
    if (freshet_query(pipeline,
                      "select string_agg(coalesce(f::varchar, 'null'), ',' order by k) as f from "
                      "online_feature_store__fs",
                      NULL, &result, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    freshet_result_print(result, FRESHET_JSON, collect, text, &err);
    freshet_result_close(result);
    return text;
}

static freshet_pipeline *open_pipeline(freshet_declaration *declaration, freshet_error *err)
{
    freshet_pipeline *pipeline = NULL;
    if (freshet_pipeline_open(declaration, NULL, NULL, NULL, &pipeline, err) != FRESHET_OK)
        assert_null(pipeline);
    return pipeline;
}

/* Runs a batch and gives its features, or the error's text. */
static const char *outcome(freshet_declaration *declaration, int64_t *dead_letters)
{
    static freshet_error err;
    freshet_pipeline *pipeline = open_pipeline(declaration, &err);
    const char *text = err.text;
    if (pipeline != NULL && freshet_run(pipeline, &err) == FRESHET_OK)
        text = features(pipeline);
    if (pipeline != NULL && dead_letters != NULL)
        *dead_letters = freshet_counter(pipeline, FRESHET_DEAD_LETTERS);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    return text;
}

/* ---- functions ---- */

static int array_releases, type_releases, arrays_made, calls;

/* Gives its argument back, moved; the rest of the arguments is Freshet's to release. */
static freshet_code same(void *context, struct ArrowSchema *types, struct ArrowArray *arguments,
                         struct ArrowSchema *result_type, struct ArrowArray *result,
                         freshet_error *err)
{
    (void)context;
    (void)err;
    calls++;
    assert_null(result->release);
    assert_null(result_type->release);
    assert_string_equal(types->format, "+s");
    assert_int_equal(arguments->length, arguments->children[0]->length);
    *result = *arguments->children[0];
    arguments->children[0]->release = NULL;
    *result_type = *types->children[0];
    types->children[0]->release = NULL;
    return FRESHET_OK;
}

static void release_array(struct ArrowArray *array)
{
    array_releases++;
    free((void *)array->buffers[0]);
    free((void *)array->buffers[1]);
    free(array->buffers);
    array->release = NULL;
}

static void release_type(struct ArrowSchema *schema)
{
    type_releases++;
    schema->release = NULL;
}

/* What a test wants of `doubled`. */
typedef struct wish {
    int64_t fails_for; /* this n is a bad row */
    int64_t stops_for; /* this n ends the run */
    int64_t more_rows;
    const char *format; /* the result's type, where it says so */
    bool keeps_nothing; /* fails after it has made the result */
    bool makes_nothing;
} wish;

static freshet_code unlucky(freshet_error *err, freshet_then then, int64_t n)
{
    assert_int_equal(err->then, FRESHET_SKIP_ROW);
    err->then = then;
    snprintf(err->text, sizeof err->text, "%lld is not to be doubled", (long long)n);
    return FRESHET_FAILED;
}

/* n times 2, of bigints; null of null. */
static freshet_code doubled(void *context, struct ArrowSchema *types, struct ArrowArray *arguments,
                            struct ArrowSchema *result_type, struct ArrowArray *result,
                            freshet_error *err)
{
    const wish *wish = context;
    const struct ArrowArray *numbers = arguments->children[0];
    const int64_t *from = numbers->buffers[1];
    calls++;
    assert_string_equal(types->children[0]->format, "l");
    for (int64_t i = 0; i < numbers->length; i++) {
        if (from[i] == wish->stops_for && wish->stops_for != 0)
            return unlucky(err, FRESHET_STOP, from[i]);
        if (from[i] == wish->fails_for && wish->fails_for != 0)
            return unlucky(err, FRESHET_SKIP_ROW, from[i]);
    }
    if (wish->makes_nothing)
        return FRESHET_OK;
    size_t rows = (size_t)(numbers->length + wish->more_rows);
    const void **buffers = calloc(2, sizeof *buffers);
    int64_t *to = calloc(rows + 1, sizeof *to);
    uint8_t *bits = NULL;
    if (numbers->null_count > 0) {
        bits = calloc(rows / 8 + 1, 1);
        memcpy(bits, numbers->buffers[0], (size_t)numbers->length / 8 + 1);
    }
    for (int64_t i = 0; i < numbers->length; i++)
        to[i] = from[i] * 2;
    buffers[0] = bits;
    buffers[1] = to;
    *result = (struct ArrowArray){.length = (int64_t)rows,
                                  .null_count = -1,
                                  .n_buffers = 2,
                                  .buffers = buffers,
                                  .release = release_array};
    arrays_made++;
    if (wish->format != NULL)
        *result_type = (struct ArrowSchema){.format = wish->format, .release = release_type};
    return wish->keeps_nothing ? unlucky(err, FRESHET_SKIP_ROW, 0) : FRESHET_OK;
}

static freshet_declaration *doubling(const char *stream, const char *query, const char *sql,
                                     wish *wish)
{
    static const char *const arguments[] = {"bigint"};
    freshet_error err = {0};
    freshet_declaration *made = declare(stream, query, "bigint", sql);
    array_releases = type_releases = arrays_made = calls = 0;
    assert_int_equal(
        freshet_add_function(made, "doubled", "bigint", arguments, 1, doubled, wish, &err),
        FRESHET_OK);
    return made;
}

/* ---- tests ---- */

#define ROW(k, n) "{\"k\":" #k ",\"at\":\"2024-05-01T10:00:00Z\",\"n\":" #n "}\n"

static void test_query_feature_and_filter(void **state)
{
    (void)state;
    wish nothing = {0};
    write_rows("w", ROW(1, 5) ROW(2, null) ROW(3, 7) ROW(4, 100));
    const char *query = "select k, \"at\", doubled(n) as n from rows where doubled(n) is null or "
                        "Doubled(n) < 100";
    assert_string_equal(outcome(doubling("false", query, "doubled(n) + 1", &nothing), NULL),
                        "{\"f\":\"21,null,29\"}\n");
    assert_int_equal(array_releases, arrays_made);
    assert_true(arrays_made >= 3);
}

static void test_stream(void **state)
{
    (void)state;
    wish nothing = {0};
    freshet_error err = {0};
    write_rows("w", ROW(1, 5) ROW(2, 6));
    freshet_declaration *declaration =
        doubling("true", "select * from rows", "doubled(n)", &nothing);
    freshet_pipeline *pipeline = open_pipeline(declaration, &err);
    assert_non_null(pipeline);
    for (int more = 0; more < 2; more++) {
        for (int i = 0; i < 5; i++)
            assert_int_equal(freshet_step(pipeline, 0, &err), FRESHET_OK);
        assert_string_equal(features(pipeline),
                            more ? "{\"f\":\"10,12,14\"}\n" : "{\"f\":\"10,12\"}\n");
        write_rows("a", ROW(3, 7));
    }
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    assert_int_equal(array_releases, arrays_made);
}

static void test_a_bad_row(void **state)
{
    (void)state;
    wish wish = {.fails_for = 6};
    int64_t letters = 0;
    char path[300], text[2000] = "";
    write_rows("w", ROW(1, 5) ROW(2, 6) ROW(3, 7));
    assert_string_equal(
        outcome(doubling("false", "select * from rows", "doubled(n)", &wish), &letters),
        "{\"f\":\"10,14\"}\n");
    assert_int_equal(letters, 1);
    assert_int_equal(array_releases, arrays_made);
    snprintf(path, sizeof path, "%s/letters.jsonl", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(text, "the function \\\"doubled\\\" failed: 6 is not to be doubled"));
}

static void test_what_ends_the_run(void **state)
{
    (void)state;
    static const struct {
        wish wish;
        const char *text;
    } ends[] = {
        {{.stops_for = 6}, "the function \"doubled\" failed: 6 is not to be doubled"},
        {{.more_rows = 1}, "the function \"doubled\" gave 4 rows for 3"},
        {{.makes_nothing = true}, "the function \"doubled\" gave no result"},
        {{.format = "i"}, "the function \"doubled\" gave integer, and bigint is declared"},
        {{.format = "e"},
         "the function \"doubled\" gave the Arrow format \"e\", which Freshet does not have"},
        {{.format = "u"}, "the function \"doubled\" gave string, and bigint is declared"},
    };
    write_rows("w", ROW(1, 5) ROW(2, 6) ROW(3, 7));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        wish wish = ends[i].wish;
        const char *got =
            outcome(doubling("false", "select * from rows", "doubled(n)", &wish), NULL);
        if (strstr(got, ends[i].text) == NULL)
            fail_msg("%s", got);
        assert_int_equal(array_releases, arrays_made);
        assert_int_equal(type_releases, wish.format != NULL);
    }
}

/* A result that was made and then given up is released, too. */
static void test_fails_with_a_result(void **state)
{
    (void)state;
    wish wish = {.keeps_nothing = true, .format = "l"};
    int64_t letters = 0;
    write_rows("w", ROW(1, 5) ROW(2, 6));
    const char *got =
        outcome(doubling("false", "select * from rows", "doubled(n)", &wish), &letters);
    if (strstr(got, "2 of 2 rows were refused (in this run: 2 sql_error)") == NULL)
        fail_msg("%s", got);
    assert_int_equal(letters, 2);
    assert_int_equal(array_releases, arrays_made);
    assert_int_equal(type_releases, arrays_made);
}

static void test_every_type(void **state)
{
    (void)state;
    static const char *const types[][3] = {
        {"boolean", "n > 5", "boolean"},
        {"integer", "n::integer", "integer"},
        {"bigint", "n * 1000000007", "bigint"},
        {"float", "(n / 7)::float", "float"},
        {"double", "n / 7", "double"},
        {"decimal(9,2)", "(n / 7)::decimal(9,2)", "decimal(9,2)"},
        {"decimal(30,2)", "(n / 7)::decimal(30,2)", "decimal(30,2)"},
        {"string", "t", "string"},
        {"string", "t || t || t || t", "string"},
        {"binary", "encode(t || t)", "binary"},
        {"date", "\"at\"::date", "date"},
        {"timestamp", "\"at\"", "timestamp"},
        {"array<string>", "[t, null, t || t || t]", "array<string>"},
    };
    freshet_error err = {0};
    write_rows("w", "");
    for (int i = 0; i < 40; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "{\"k\":%d,\"at\":\"2024-05-01T10:00:%02dZ\",\"n\":%d,\"t\":%s}\n", i, i, i,
                 i % 5 == 0 ? "null" : "\"h\xC3\xA9llo\"");
        write_rows("a", line);
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char sql[300], plain[8192];
        snprintf(sql, sizeof sql, "case when n %% 3 > 0 then %s end", types[i][1]);
        snprintf(plain, sizeof plain, "%s",
                 outcome(declare("false", "select * from rows", types[i][2], sql), NULL));
        snprintf(sql, sizeof sql, "same(case when n %% 3 > 0 then %s end)", types[i][1]);
        freshet_declaration *declaration = declare("false", "select * from rows", types[i][2], sql);
        assert_int_equal(freshet_add_function(declaration, "same", types[i][0], &types[i][0], 1,
                                              same, NULL, &err),
                         FRESHET_OK);
        calls = 0;
        assert_string_equal(outcome(declaration, NULL), plain);
        assert_int_equal(calls, 1);
        assert_int_equal(strncmp(plain, "{\"f\":\"null,", 11), 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const long_list[17] = {
        "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint",
        "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint"};
    static const char *const no_type[] = {"bigint", "number"};
    static const struct {
        const char *name, *returns;
        const char *const *arguments;
        uint32_t n;
        const char *text;
    } calls_refused[] = {
        {"2x", "bigint", long_list, 1, "must be named by"},
        {"a-b", "bigint", long_list, 1, "must be named by"},
        {"", "bigint", long_list, 1, "must be named by"},
        {NULL, "bigint", long_list, 1, "must be named by"},
        {"x", "bigint", long_list, 17, "more than 16 arguments"},
        {"x", "number", long_list, 1, "a type that is none"},
        {"x", NULL, long_list, 1, "a type that is none"},
        {"x", "bigint", no_type, 2, "a type that is none"},
        {"DOUBLED", "bigint", long_list, 1, "was added already"},
    };
    wish nothing = {0};
    freshet_error err = {0};
    write_rows("w", ROW(1, 5));
    freshet_declaration *declaration = doubling("false", "select * from rows", "n", &nothing);
    for (size_t i = 0; i < sizeof calls_refused / sizeof *calls_refused; i++) {
        assert_int_equal(freshet_add_function(declaration, calls_refused[i].name,
                                              calls_refused[i].returns, calls_refused[i].arguments,
                                              calls_refused[i].n, doubled, &nothing, &err),
                         FRESHET_USAGE);
        if (strstr(err.text, calls_refused[i].text) == NULL)
            fail_msg("%s", err.text);
    }
    assert_int_equal(freshet_add_function(declaration, "sixteen", "bigint", long_list, 16, doubled,
                                          &nothing, &err),
                     FRESHET_OK);
    assert_int_equal(
        freshet_add_function(declaration, "none", "bigint", NULL, 0, doubled, &nothing, &err),
        FRESHET_OK);
    assert_string_equal(outcome(declaration, NULL), "{\"f\":\"5\"}\n");
    for (int is_macro = 0; is_macro < 2; is_macro++) {
        const char *name = is_macro ? "date_format" : "Upper";
        declaration = doubling("false", "select * from rows", "n", &nothing);
        assert_int_equal(freshet_add_function(declaration, name, "bigint", long_list, 1, doubled,
                                              &nothing, &err),
                         FRESHET_OK);
        assert_null(open_pipeline(declaration, &err));
        assert_int_equal(err.code, FRESHET_USAGE);
        assert_non_null(strstr(err.text, "already: give yours another name"));
        freshet_declaration_close(declaration);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_feature_and_filter),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_a_bad_row),
        cmocka_unit_test(test_what_ends_the_run),
        cmocka_unit_test(test_fails_with_a_result),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("functions/user_function", tests, make_folder,
                                       remove_folder);
}
