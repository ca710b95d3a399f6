/* The parser of command lines: each form of an option, each mistake, the help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/arguments.h"

typedef struct options {
    const char *file;
    bool once;
    const char *query;
    int format;
    int log;
    int64_t timeout_us;
} options;

static const char *const formats[] = {"table", "json", "csv", NULL};

static const argument table[] = {
    {ARGUMENT("once", FLAG, options, once), .doc = "end"},
    {ARGUMENT("query", TEXT, options, query), .value = "SQL", .doc = "ask"},
    {ARGUMENT("format", CHOICE, options, format), .choices = formats, .doc = "how"},
    {ARGUMENT("log", CHOICE, options, log), .choices = formats, .standard = "json", .doc = "log"},
    {ARGUMENT("timeout", DURATION, options, timeout_us), .value = "TIME", .standard = "10s",
     .doc = "until"},
    {.name = NULL},
};

static const verb run = {.name = "run",
                         .operand = "FILE",
                         .doc = "Runs.",
                         .examples = "    freshet run x.yaml\n",
                         .arguments = table,
                         .size = sizeof(options)};

static const argument nothing[] = {{.name = NULL}};
static const verb version = {
    .name = "version", .doc = "Version.", .examples = "", .arguments = nothing, .size = 1};

typedef struct list_options {
    const char *file;
    argument_list keys;
} list_options;

static const argument list_table[] = {
    {ARGUMENT("key", LIST, list_options, keys), .value = "K=V", .doc = "which"}, {.name = NULL}};
static const verb look = {.name = "state look",
                          .operand = "FILE",
                          .operand_is_optional = true,
                          .doc = "Looks.",
                          .examples = "",
                          .arguments = list_table,
                          .size = sizeof(list_options)};

static freshet_code parse(options *into, freshet_error *err, const char *first, ...)
{
    char *words[16];
    int n = 0;
    va_list args;
    va_start(args, first);
    for (const char *word = first; word != NULL; word = va_arg(args, const char *))
        words[n++] = (char *)(uintptr_t)word;
    va_end(args);
    memset(into, 0, sizeof *into);
    memset(err, 0, sizeof *err);
    return arguments_parse(&run, n, words, into, err);
}

static void test_standards(void **state)
{
    (void)state;
    options got;
    freshet_error err;
    assert_int_equal(parse(&got, &err, "x.yaml", NULL), FRESHET_OK);
    assert_string_equal(got.file, "x.yaml");
    assert_false(got.once);
    assert_null(got.query);
    assert_int_equal(got.format, -1);
    assert_int_equal(got.log, 1);
    assert_int_equal(got.timeout_us, 10000000);
}

static void test_forms(void **state)
{
    (void)state;
    options got;
    freshet_error err;
    assert_int_equal(parse(&got, &err, "--once", "x.yaml", "--query", "select 1", "--format=csv",
                           "--timeout=250ms", NULL),
                     FRESHET_OK);
    assert_true(got.once);
    assert_string_equal(got.query, "select 1");
    assert_int_equal(got.format, 2);
    assert_int_equal(got.timeout_us, 250000);
    assert_int_equal(parse(&got, &err, "--query=a=b", "--query", "--once", "-", NULL), FRESHET_OK);
    assert_string_equal(got.query, "--once");
    assert_string_equal(got.file, "-");
    assert_int_equal(parse(&got, &err, "--", "--once", NULL), FRESHET_OK);
    assert_string_equal(got.file, "--once");
    assert_false(got.once);
    assert_int_equal(parse(&got, &err, "--query=", "f", NULL), FRESHET_OK);
    assert_string_equal(got.query, "");
}

static void test_list(void **state)
{
    (void)state;
    char *words[2 * (ARGUMENT_LIST_MAX + 1)];
    for (uint32_t i = 0; i <= ARGUMENT_LIST_MAX; i++) {
        words[2 * i] = "--key";
        words[2 * i + 1] = i == 0 ? "a=1" : "b=2";
    }
    list_options got = {0};
    freshet_error err;
    assert_int_equal(arguments_parse(&look, 0, words, &got, &err), FRESHET_OK);
    assert_null(got.file);
    assert_int_equal(got.keys.n, 0);
    assert_int_equal(arguments_parse(&look, 4, words, &got, &err), FRESHET_OK);
    assert_int_equal(got.keys.n, 2);
    assert_string_equal(got.keys.items[0], "a=1");
    assert_string_equal(got.keys.items[1], "b=2");
    got = (list_options){0};
    assert_int_equal(arguments_parse(&look, 2 * ARGUMENT_LIST_MAX, words, &got, &err), FRESHET_OK);
    assert_int_equal(got.keys.n, ARGUMENT_LIST_MAX);
    got = (list_options){0};
    assert_int_equal(arguments_parse(&look, 2 * (ARGUMENT_LIST_MAX + 1), words, &got, &err),
                     FRESHET_USAGE);
    assert_string_equal(err.text, "--key can be given 32 times at most");
}

static void test_help_wins(void **state)
{
    (void)state;
    options got;
    freshet_error err;
    assert_int_equal(parse(&got, &err, "--wrong", "--help", NULL), FRESHET_END);
    assert_int_equal(parse(&got, &err, "-h", NULL), FRESHET_END);
    assert_int_equal(parse(&got, &err, "--", "-h", NULL), FRESHET_OK);
}

static void refuses(const char *says, const char *first, const char *second, const char *third)
{
    options got;
    freshet_error err;
    assert_int_equal(parse(&got, &err, first, second, third, NULL), FRESHET_USAGE);
    assert_string_equal(err.text, says);
}

static void test_mistakes(void **state)
{
    (void)state;
    refuses("freshet run has no option --onec; did you mean --once? See \"freshet run --help\"",
            "--onec", "f", NULL);
    refuses("freshet run has no option --zzzzzz; see \"freshet run --help\"", "--zzzzzz=4", "f",
            NULL);
    refuses("freshet run has no option --x; see \"freshet run --help\"", "-x", "f", NULL);
    refuses("--once takes no value; leave \"=true\" away", "--once=true", "f", NULL);
    refuses("--query needs a value behind it; see \"freshet run --help\"", "f", "--query", NULL);
    refuses("--format must be table, json or csv, not \"xml\"", "f", "--format", "xml");
    refuses("--timeout must be a time such as 10s, 500ms or 2m (at most 1h), not \"soon\"", "f",
            "--timeout", "soon");
    refuses("freshet run needs FILE; see \"freshet run --help\"", "--once", NULL, NULL);
    refuses("freshet run takes one FILE, and \"g\" is one too many; put quotes around one that has "
            "blanks in it",
            "f", "g", NULL);
    freshet_error err;
    char *words[] = {(char[]){"x"}};
    char into;
    assert_int_equal(arguments_parse(&version, 1, words, &into, &err), FRESHET_USAGE);
    assert_string_equal(
        err.text,
        "freshet version takes options only, and no \"x\"; see \"freshet version --help\"");
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"10", 10000000},   {"10s", 10000000},        {"0.5s", 500000},
                {"500 ms", 500000}, {"2 minutes", 120000000}, {"1 h", 3600000000},
                {"60m", 3600000000}};
    static const char *const bad[] = {"",      "s",    "-1s", "1x",   "0",
                                      "1.01h", "1e99", "nan", "1 s ", "0x"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t us = 0;
        assert_true(arguments_duration(good[i].text, &us));
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t us = 0;
        assert_false(arguments_duration(bad[i], &us));
    }
}

static void test_help(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, 4096);
    arguments_help(&run, &text);
    assert_string_equal(text.bytes, "freshet run FILE [OPTIONS]\n\nRuns.\n\nOptions:\n"
                                    "    --once                  end\n"
                                    "    --query SQL             ask\n"
                                    "    --format table|json|csv\n"
                                    "                            how\n"
                                    "    --log table|json|csv    log (default: json)\n"
                                    "    --timeout TIME          until (default: 10s)\n"
                                    "\nExamples:\n    freshet run x.yaml\n");
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standards), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_list),      cmocka_unit_test(test_help_wins),
        cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_durations),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
