/* declaration_show_test.c - the declaration shown as YAML reads back the same, whatever texts it
 * holds. */
#include "declaration/declaration_testing.h"

static const char expected[] = "version: 1\n"
                               "pipeline: airport_delays\n"
                               "source:\n"
                               "  readers:\n"
                               "    - id: flights\n"
                               "      file:\n"
                               "        path: data/flights\n"
                               "        format: json\n"
                               "        schema:\n"
                               "          origin: string\n"
                               "          \"a b\":\n"
                               "            \"${c} $${d\": decimal(10,2)\n"
                               "        delimiter: \",\"\n"
                               "        header: true\n"
                               "        sample: 5\n"
                               "        poll: 1 second\n"
                               "        buffer: 64 MiB\n"
                               "        columns:\n"
                               "          - a\n"
                               "          - \"b: c\"\n"
                               "        password: \"***\"\n"
                               "        fallback: string\n"
                               "        retry:\n"
                               "          times: 3\n"
                               "          pause: 500 ms\n"
                               "      stream: true\n"
                               "      on_cast_error: dead_letter\n"
                               "    - id: airports\n"
                               "      file:\n"
                               "        path: data/airports.csv\n"
                               "        format: csv\n"
                               "        delimiter: \",\"\n"
                               "        header: true\n"
                               "        poll: 1 second\n"
                               "        buffer: 64 MiB\n"
                               "        fallback: string\n"
                               "      stream: false\n"
                               "      on_cast_error: dead_letter\n"
                               "  query: |\n"
                               "    select f.origin\n"
                               "    from flights f\n"
                               "feature_set:\n"
                               "  name: airport_delays\n"
                               "  entity: airport\n"
                               "  keys:\n"
                               "    - name: origin\n"
                               "      type: string\n"
                               "      from: origin\n"
                               "  timestamp:\n"
                               "    from: sched_dep\n"
                               "    unit: none\n"
                               "    lateness: 1 hour\n"
                               "    idle: 1 minute\n"
                               "    late: dead_letter\n"
                               "  features:\n"
                               "    - name: dep_delay\n"
                               "      type: double\n"
                               "      from: dep_delay\n"
                               "    - name: is_late\n"
                               "      type: boolean\n"
                               "      sql: dep_delay > 15\n"
                               "  on_cast_error: \"null\"\n"
                               "  deduplicate_rows: false\n"
                               "  refresh: never\n"
                               "  until_full: \"null\"\n"
                               "sink:\n"
                               "  writers:\n"
                               "    - online:\n"
                               "        debug: true\n"
                               "        rows: 1000000\n"
                               "      validate: false\n"
                               "dead_letters:\n"
                               "  path: airport_delays.dead_letters.jsonl\n"
                               "  keep: 5\n"
                               "checkpoint:\n"
                               "  interval: 1 second\n"
                               "batch:\n"
                               "  memory: 512 MiB\n"
                               "compare:\n"
                               "  fail_above: \"0\"\n"
                               "  grace: 0 seconds\n"
                               "  tolerance: \"0\"\n";

static void defaults_are_filled_in_and_secrets_hidden(void **state)
{
    (void)state;
    char *text =
        sound_with("format: json",
                   "format: json, password: hunter2, columns: [a, \"b: c\"], sample: 5, retry: "
                   "{}, schema: {origin: string, \"a b\": {\"${c} $${d\": \"decimal(10,2)\"}}");
    freshet_declaration *handle = read_sound(text);
    char *shown = show_text_of(handle);
    assert_string_equal(shown, expected);
    freshet_declaration *again = read_sound(shown);
    char *shown_again = show_text_of(again);
    assert_string_equal(shown, shown_again);
    free(shown);
    free(shown_again);
    free(text);
    freshet_declaration_close(again);
    freshet_declaration_close(handle);
}

/* A query of that text is shown, read, and the same to the byte. */
static void assert_same_query(const char *query, const char *shown_as)
{
    freshet_declaration *handle = read_sound(sound);
    declaration *inside = (declaration *)declaration_of(handle);
    inside->source.query.value = query;
    char *shown = show_text_of(handle);
    if (shown_as != NULL && strstr(shown, shown_as) == NULL)
        print_error("not %s, but:\n%s", shown_as, shown);
    assert_true(shown_as == NULL || strstr(shown, shown_as) != NULL);
    freshet_declaration *again = read_sound(shown);
    assert_string_equal(declaration_of(again)->source.query.value, query);
    free(shown);
    freshet_declaration_close(again);
    freshet_declaration_close(handle);
}

static void texts_read_back(void **state)
{
    (void)state;
    assert_same_query("select a from b", "  query: select a from b\n");
    assert_same_query("a\nb", "  query: |-\n    a\n    b\n");
    assert_same_query("a\n\n  b\n", "  query: |\n    a\n\n      b\n");
    assert_same_query("a\n\n\n", "  query: |+\n    a\n\n\n");
    assert_same_query("a\n   \nb ", "  query: |-\n    a\n       \n    b \n");
    assert_same_query("a\tb\nc", "  query: |-\n    a\tb\n");
    assert_same_query("${X} $${Y} $z", "  query: \"$${X} $$${Y} $z\"\n");
    assert_same_query("${X}\n$${Y}", "    $${X}\n    $$${Y}\n");
    assert_same_query(" a\nb", "  query: \" a\\nb\"\n");
    assert_same_query("\na", "  query: \"\\na\"\n");
    assert_same_query("a\n\tb", "  query: \"a\\n\\tb\"\n");
    assert_same_query("a\r\nb", "  query: \"a\\x0D\\nb\"\n");
    assert_same_query("\"a\\b\"", "  query: \"\\\"a\\\\b\\\"\"\n");
    assert_same_query("caf\xc3\xa9 \xf0\x9f\x98\x80",
                      "  query: \"caf\xc3\xa9 \xf0\x9f\x98\x80\"\n");
    assert_same_query("\x01\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf",
                      "  query: \"\\x01\\x7F\\x85\\u2028\\u2029\\uFEFF\"\n");
    assert_same_query("a\n\xc2\x85", NULL);
    assert_same_query("\xef\xbf\xbe\xef\xbf\xbf", NULL);
    static const char *const words[] = {"null", "~",   "true", "No",  "12", "a: b", "a #b",
                                        "- a",  "? a", "*a",   "&a",  "!a", "%a",   "@a",
                                        "`a",   "{a}", "[a]",  "'a'", "a ", " a",   "---",
                                        "...",  "#",   "|",    ">",   ",",  "a:"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_same_query(words[i], NULL);
}

static void numbers_and_sizes_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } samples[] = {
        {"poll: 0 seconds", "poll: 0 seconds\n"},
        {"poll: 1500 ms", "poll: 1500 ms\n"},
        {"poll: 1000 ms", "poll: 1 second\n"},
        {"poll: 90 seconds", "poll: 90 seconds\n"},
        {"poll: 120 seconds", "poll: 2 minutes\n"},
        {"poll: 14 days", "poll: 2 weeks\n"},
        {"poll: 7us", "poll: 7 us\n"},
        {"buffer: 4097", "buffer: 4097\n"},
        {"buffer: 5000", "buffer: 5 kB\n"},
        {"buffer: 8192 b", "buffer: 8 KiB\n"},
        {"buffer: 1024 MiB", "buffer: 1 GiB\n"},
        {"buffer: 3TB", "buffer: 3 TB\n"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char *text = sound_with("format: json", samples[i].from);
        freshet_declaration *handle = read_sound(text);
        char *shown = show_text_of(handle);
        assert_non_null(strstr(shown, samples[i].to));
        free(shown);
        free(text);
        freshet_declaration_close(handle);
    }
}

/* The sound declaration with `to` for `from`: `wanted` is in what is shown of it, and that read
 * again shows the same. */
static void check_shown(const char *from, const char *to, const char *wanted)
{
    char *text = sound_with(from, to);
    freshet_declaration *handle = read_sound(text);
    char *shown = show_text_of(handle);
    if (strstr(shown, wanted) == NULL)
        print_error("not %s, but:\n%s", wanted, shown);
    assert_non_null(strstr(shown, wanted));
    freshet_declaration *again = read_sound(shown);
    char *shown_again = show_text_of(again);
    assert_string_equal(shown, shown_again);
    free(shown);
    free(shown_again);
    free(text);
    freshet_declaration_close(again);
    freshet_declaration_close(handle);
}

static void windows_and_aggregates_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *shown;
    } samples[] = {
        {"type: double",
         "filter: x > 1, window: {functions: [avg, {count: \"decimal(5,2)\"}, \"percentile(0.9)\", "
         "{\"percentile(0.5)\": float}], over: [2 hours, 7 days], partition_by: a}",
         "    - name: dep_delay\n"
         "      from: dep_delay\n"
         "      window:\n"
         "        functions:\n"
         "          - avg\n"
         "          - count: decimal(5,2)\n"
         "          - percentile(0.9)\n"
         "          - percentile(0.5): float\n"
         "        over:\n"
         "          - \"2 hours\"\n"
         "          - \"7 days\"\n"
         "        mode: fixed_windows\n"
         "        partition_by:\n"
         "          - a\n"
         "      filter: x > 1\n"},
        {"  features:\n    - {name: dep_delay, type: double}\n    - {name: is_late, type: boolean, "
         "sql: \"dep_delay > 15\"}",
         "  deduplicate: {on: [id], within: 1 hour}\n  refresh: on_expiry\n"
         "  aggregated: {windows: {over: 3 days, emit: change}, pivot: {column: s, values: [a, "
         "b]}, "
         "distinct: {subset: [x], keep: first}}\n"
         "  features:\n    - {name: d, aggregate: {functions: avg}}",
         "    - name: d\n"
         "      from: d\n"
         "      aggregate:\n"
         "        functions:\n"
         "          - avg\n"
         "  on_cast_error: \"null\"\n"
         "  aggregated:\n"
         "    windows:\n"
         "      over:\n"
         "        - \"3 days\"\n"
         "      slide: \"1 day\"\n"
         "      emit: change\n"
         "      max_days: 10000\n"
         "    pivot:\n"
         "      column: s\n"
         "      values:\n"
         "        - a\n"
         "        - b\n"
         "    distinct:\n"
         "      subset:\n"
         "        - x\n"
         "      keep: first\n"
         "  deduplicate_rows: false\n"
         "  deduplicate:\n"
         "    on:\n"
         "      - id\n"
         "    within: 1 hour\n"
         "  refresh: on_expiry\n"
         "  until_full: \"null\"\n"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        check_shown(samples[i].from, samples[i].to, samples[i].shown);
}

static bool refuse_bytes(void *context, const char *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    return false;
}

static void output_that_ends_early(void **state)
{
    (void)state;
    freshet_declaration *handle = read_sound(sound);
    freshet_error err = {0};
    assert_int_equal(freshet_declaration_show(handle, refuse_bytes, NULL, &err), FRESHET_FAILED);
    assert_string_equal(err.text, "writing the declaration ended early");
    freshet_declaration_close(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in_and_secrets_hidden),
        cmocka_unit_test(texts_read_back),
        cmocka_unit_test(numbers_and_sizes_read_back),
        cmocka_unit_test(windows_and_aggregates_read_back),
        cmocka_unit_test(output_that_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
