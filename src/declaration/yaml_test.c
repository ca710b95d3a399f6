/* yaml_test.c - mistakes of YAML itself, its limits, aliases, and the places inside of texts. */
#include "declaration/declaration_testing.h"

typedef struct sample {
    const char *text;
    const char *problems; /* the first lines of them */
} sample;

/* What is reported before the tables come into play: compared up to the length of the
 * expectation. */
static void assert_samples(const sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_problems(samples[i].text, strlen(samples[i].text), samples[i].problems);
}

#define EMPTY "1:1 the declaration is empty: it begins with \"version: 1\" and \"pipeline: NAME\"\n"
#define DEEP "maps and lists can be nested 64 deep, no further\n"

static const sample mistaken[] = {
    {"", EMPTY},
    {"# only a comment\n", EMPTY},
    {"---\n...\n", EMPTY},
    {"null\n", EMPTY},
    {"a: 1\n---\nb: 2\n", "2:1 a second document begins here: a file holds one declaration, so "
                          "remove \"---\" and what "
                          "follows, or make it a file of its own\n"},
    {"version: 1\nsource:\n\treaders: 1\n",
     "3:1 a tab stands where YAML wants blanks: indent with blanks only\n"},
    {"a:\n  b: 1\n\tc: 2\n", "3:1 a tab stands where YAML wants blanks: indent with blanks only\n"},
    {"a: |\n\tb\n", "2:1 a tab stands where YAML wants blanks: indent with blanks only\n"},
    {"a: b: c\n", "1:5 a colon stands where no key can be: put the value in quotes if it holds "
                  "\": \", else check the indentation\n"},
    {"a:\n    b: 1\n  c: 2\n", "3:3 this does not line up with the keys above it: keys of one map "
                               "begin in the same column (it began at line 1)\n"},
    {"- a\nb: c\n", "2:1 this does not line up with the list above it: the items of one list begin "
                    "with \"- \" in the same column (it began at line 1)\n"},
    {"a: - b\n", "1:4 a list item (\"- \") cannot begin here: put the list on the lines below its "
                 "key\n"},
    {"a: {b: ${X}}\n",
     "1:9 the { ... } is not closed, or a comma is missing; inside of { } a value "
     "that holds { } [ ] , or \": \" must be in quotes, as in \"${VAR}\"\n"},
    {"a: {b: struct<c: date>}\n", "1:16 the { ... } is not closed, or a comma is missing; "
                                  "inside of { } a value that holds { } [ "
                                  "] , or \": \" must be in quotes, as in \"${VAR}\"\n"},
    {"a: {b: 1\nc: 2\n",
     "2:2 the { ... } is not closed, or a comma is missing; inside of { } a "
     "value that holds { } [ ] , or \": \" must be in quotes, as in \"${VAR}\" (it "
     "began at line 1)\n"},
    {"a: [1, 2\nb: 3\n",
     "2:2 the [ ... ] is not closed, or a comma is missing; inside of [ ] a "
     "value that holds { } [ ] , or \": \" must be in quotes, as in \"${VAR}\" (it "
     "began at line 1)\n"},
    {"x: 1\na: \"x\nb: 2\n", "2:4 a quote that was opened is not closed\n"},
    {"a: \"\\d\"\n",
     "1:5 in double quotes a backslash begins an escape such as \\n: write \\\\ for "
     "a backslash, or use single quotes\n"},
    {"a: @x\n", "1:4 a value that begins with \"@\" or \"`\" must be in quotes\n"},
    {"a: %x\n", "1:4 a value that begins with \"%\" must be in quotes\n"},
    {"a: {b: |\n x}\n", "1:8 \"|\" and \">\" begin a text of several lines only outside of { } and "
                        "[ ]: use quotes here\n"},
    {"a: 1\nfoo\nb: 2\n", "2:1 this line has no colon: write \"key: value\", or indent the line so "
                          "that it belongs to the text above it\n"},
    {"a: *x\n",
     "1:4 nothing before this place is marked \"&x\"; put a value that begins with \"*\" "
     "in quotes\n"},
    {"a: &a [*a]\n", "1:8 nothing before this place is marked \"&a\"; put a value that begins with "
                     "\"*\" in quotes\n"},
    {"a: *.json\n", "1:5 a value that begins with \"*\" or \"&\" must be in quotes\n"},
    {"a: | x\n b\n",
     "1:6 behind \"|\" or \">\" the line must end: the text begins on the next line\n"},
    {"x: &x {a: 1}\ny:\n  <<: *x\n",
     "3:3 merge keys (<<) are not used in declarations: write the options out, or use an alias "
     "(*name) for the whole map\n"},
    {"a: &x b\n*x : 1\n", "2:1 a key cannot be an alias: write it out\n"},
    {"? [a]\n: b\n", "1:3 a key must be a single word, but here a list ([ or -) begins; inside of "
                     "quotes { and [ are taken as they are\n"},
    {"a: {{x}}\n", "1:5 a key must be a single word, but here a map ({) begins; inside of quotes { "
                   "and [ are taken as they are\n"},
    {"a: \x01\n", "1:4 a control character stands here: remove it, or write it as an escape in "
                  "double quotes\n"},
    {"%YAML 3.0\n---\na: 1\n", "1:1 this is not YAML 1.1 or 1.2\n"},
    {"\"a\\0b\": 1\n", "1:1 a key cannot hold a NUL character\n"},
    {"a: !<\n", "1:6 this is not YAML: while parsing a tag, did not find expected tag URI\n"},
    {"a: caf\xe9\n", "1:7 this byte is not valid UTF-8: save the file with the encoding UTF-8\n"},
    {"a: \xc3\xa9\xc3\xa9 \xff\n",
     "1:7 this byte is not valid UTF-8: save the file with the encoding UTF-8\n"},
    {"a: x\n\xe2\x82", "2:1 this byte is not valid UTF-8: save the file with the encoding UTF-8\n"},
};

static void mistakes_of_form(void **state)
{
    (void)state;
    assert_samples(mistaken, sizeof mistaken / sizeof mistaken[0]);
    assert_problems("a: \0\n", 5,
                    "1:4 a control character stands here: remove it, or write it as an "
                    "escape in double quotes\n");
}

static void mistakes_that_do_not_end_the_reading(void **state)
{
    (void)state;
    char *text = sound_with("entity: airport", "entity: !!str \"a\\0b\"\n  descripton: \"c\\0d\"");
    assert_problems(
        text, strlen(text),
        "15:11 the tag \"!!str\" has no meaning here: remove it; a value gets its type from "
        "its option\n"
        "15:11 a value cannot hold a NUL character\n"
        "16:3 unknown option \"descripton\" in \"feature_set\"; did you mean "
        "\"description\"?\n"
        "16:15 a value cannot hold a NUL character\n");
    free(text);
    text = sound_with("timestamp: {", "timestamp: !time {");
    assert_problems(
        text, strlen(text),
        "18:14 the tag \"!time\" has no meaning here: remove it; a value gets its type from "
        "its option\n");
    free(text);
}

static void byte_order_mark(void **state)
{
    (void)state;
    char text[sizeof sound + 3] = "\xEF\xBB\xBF";
    memcpy(text + 3, sound, sizeof sound);
    assert_problems(text, strlen(text), "");
    overwrite(text + 3, "Version");
    assert_problems(
        text, strlen(text),
        "1:1 unknown option \"Version\" in \"declaration\"; did you mean \"version\"?\n");
}

static char *repeated(const char *what, size_t n)
{
    size_t length = strlen(what);
    char *text = malloc(n * length + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        overwrite(text + i * length, what);
    text[n * length] = '\0';
    return text;
}

static void assert_first_problem(const char *text, const char *expected)
{
    text_buffer problems;
    assert_null(read_bytes(text, strlen(text), &problems));
    char *line_end = strchr(problems.bytes, '\n');
    assert_non_null(line_end);
    line_end[1] = '\0';
    assert_string_equal(problems.bytes, expected);
    text_release(&problems);
}

static void depth_is_limited(void **state)
{
    (void)state;
    static const char *const openings[] = {"[", "{a: ", "- ", "? "};
    static const char *const expected[] = {"1:65 " DEEP, "1:257 " DEEP, "1:129 " DEEP, NULL};
    for (size_t i = 0; i < 4; i++) {
        char *text = repeated(openings[i], 10000);
        if (expected[i] != NULL) {
            assert_first_problem(text, expected[i]);
        } else {
            text_buffer problems;
            assert_null(read_bytes(text, strlen(text), &problems));
            text_release(&problems);
        }
        free(text);
    }
    text_buffer lines;
    text_init(&lines, TEXT_LIMIT_DEFAULT);
    for (int i = 0; i < 1000; i++)
        text_format(&lines, "%*sa:\n", i, "");
    assert_first_problem(lines.bytes, "65:65 " DEEP);
    text_release(&lines);
}

/* x: [[...]] with `levels` lists in all, in the map. */
static void assert_depth(uint32_t levels, const char *expected)
{
    char *open = repeated("[", levels);
    char *close = repeated("]", levels);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text, "%sx: %s1%s\n", sound, open, close);
    assert_problems(text.bytes, text.length, expected);
    text_release(&text);
    free(open);
    free(close);
}

static void depth_at_its_limit(void **state)
{
    (void)state;
    assert_depth(
        DECLARATION_DEPTH_MAX - 1,
        "26:1 unknown option \"x\" in \"declaration\", which has version, pipeline, dialect, "
        "workers, plugins, macros, source, feature_set, sink, dead_letters, checkpoint, state, "
        "batch, http, serve, "
        "compare and tests\n");
    assert_depth(DECLARATION_DEPTH_MAX, "26:67 " DEEP);
}

static void aliases_are_copies(void **state)
{
    (void)state;
    char *text =
        sound_with("    - id: airports\n      file: {path: data/airports.csv, format: csv}\n",
                   "    - id: airports\n      file: *all\n    - id: third\n      file: {path: "
                   "*where, columns: [*where]}\n");
    char *marked = strstr(text, "file: {path: data/flights, format: json}");
    assert_non_null(marked);
    text_buffer whole;
    text_init(&whole, TEXT_LIMIT_DEFAULT);
    text_append(&whole, text, (size_t)(marked - text));
    text_append_c(&whole, "file: &all {path: &where data/flights, format: json}");
    text_append_c(&whole, marked + strlen("file: {path: data/flights, format: json}"));
    freshet_declaration *handle = read_sound(whole.bytes);
    const reader_block *readers = declaration_of(handle)->source.readers.items;
    for (int i = 0; i < 3; i++)
        assert_string_equal(((const fake_file *)readers[i].kind.options)->path.value,
                            "data/flights");
    assert_int_equal(((const fake_file *)readers[1].kind.options)->format, 1);
    assert_int_equal(((const fake_file *)readers[2].kind.options)->columns.n, 1);
    freshet_declaration_close(handle);

    /* One mistake in what is marked is one problem, however often it is used. */
    char *json = strstr(whole.bytes, "format: json");
    overwrite(json, "format: jsn ");
    assert_problems(
        whole.bytes, whole.length,
        "6:54 \"format\" cannot be \"jsn\": it must be auto, json, csv or parquet; did you "
        "mean \"json\"?\n");
    text_release(&whole);
    free(text);
}

static void aliases_of_aliases_are_limited(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (int c = 'b'; c < 'j'; c++)
        text_format(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1,
                    c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
    text_buffer problems;
    assert_null(read_bytes(text.bytes, text.length, &problems));
    assert_non_null(
        strstr(problems.bytes, "a declaration can hold 200000 values, and this one has more\n"));
    text_release(&problems);

    text_reset(&text);
    text_append_c(&text, "a0: &a0 [[[[[[[[x]]]]]]]]\n");
    for (int i = 1; i < 10; i++)
        text_format(&text, "a%d: &a%d [[[[[[[[*a%d]]]]]]]]\n", i, i, i - 1);
    assert_first_problem(text.bytes, "8:17 " DEEP);

    text_reset(&text);
    for (int i = 0; i < 257; i++)
        text_format(&text, "a%d: &a%d x\n", i, i);
    assert_first_problem(text.bytes, "257:7 a declaration can hold 256 anchors (&name)\n");
    text_release(&text);
}

static void number_of_values(void **state)
{
    (void)state;
    /* The map, its 200,000 - 1 values, and one more. */
    for (int extra = 0; extra < 2; extra++) {
        text_buffer text;
        text_init(&text, TEXT_LIMIT_DEFAULT);
        text_append_c(&text, "a: [");
        for (int i = 0; i < 199998 + extra; i++)
            text_append_c(&text, "1,");
        text_append_c(&text, "]\n");
        text_buffer problems;
        assert_null(read_bytes(text.bytes, text.length, &problems));
        bool full = strstr(problems.bytes, "can hold 200000 values, and this one has more") != NULL;
        assert_int_equal(full, extra == 1);
        text_release(&problems);
        text_release(&text);
    }
}

/* ---- places inside of texts ------------------------------------------------------------------ */

/* The place of the first `needle` of the query's value. */
static void assert_place(const char *query, const char *needle, uint32_t line, uint32_t column)
{
    char *text = sound_with("  query: |\n    select f.origin\n    from flights f\n", query);
    freshet_declaration *handle = read_sound(text);
    const declared_text *value = &declaration_of(handle)->source.query;
    const char *found = strstr(value->value, needle);
    assert_non_null(found);
    place at = declaration_place_in(handle, value, (size_t)(found - value->value));
    assert_string_equal(at.file, "d.yaml");
    if (at.line != line || at.column != column)
        print_error("of %s in:\n%s", needle, query);
    assert_int_equal(at.line, line);
    assert_int_equal(at.column, column);
    freshet_declaration_close(handle);
    free(text);
}

static void places_in_literals(void **state)
{
    (void)state;
    setenv("FRESHET_T_COLUMN", "departure_delay", 1);
    const char *query =
        "  query: |\n\n      select \xc3\xa9t\xc3\xa9, here,\n        ${FRESHET_T_COLUMN} as x, "
        "$${y} and\n\n      last\n";
    assert_place(query, "select", 12, 7);
    assert_place(query, "here", 12, 19);
    assert_place(query, "departure", 13, 9);
    assert_place(query, "delay as", 13, 9); /* inside of what replaced the variable */
    assert_place(query, "as x", 13, 29);
    assert_place(query, "${y}", 13, 35);
    assert_place(query, "and", 13, 41);
    assert_place(query, "last", 15, 7);
    assert_place("  query: |2-  # indented by 2\n      select\n    from t\n", "from", 12, 5);
    assert_place("  query: |+\n    select\r\n    from t\r\n\r\n", "from", 12, 5);
    assert_place("  query: &q |\n    select\n    from t\n", "from", 12, 5);
}

static void places_on_one_line(void **state)
{
    (void)state;
    assert_place("  query: select \xc3\xa9, here\n", "here", 10, 20);
    assert_place("  query: 'it''s, here'\n", "here", 10, 18);
    assert_place("  query: \"a\\tb\\u00e9\\x41 \\\"here\"\n", "here", 10, 28);
    assert_place("  query: \"\\N\\L\\U0001F600here\"\n", "here", 10, 25);
    assert_place("  query: \"${FRESHET_T_NOT:select} here\"\n", "here", 10, 35);
}

static void places_that_cannot_be_told(void **state)
{
    (void)state;
    assert_place("  query: >\n    select\n    here\n", "here", 10, 10);
    assert_place("  query: select\n    here\n", "here", 10, 10);
    assert_place("  query: \"select\n    here\"\n", "here", 10, 10);
    assert_place("  query: &q select here\n", "here", 10, 10);
}

/* Texts of 64 KiB have exact places, longer ones have their own. */
static void places_in_long_texts(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        text_buffer query;
        text_init(&query, TEXT_LIMIT_DEFAULT);
        text_append_c(&query, "  query: |-\n    ");
        for (int i = 0; i < 65536 - 4 + extra; i++)
            text_append_char(&query, 'x');
        text_append_c(&query, "here\n");
        assert_place(query.bytes, "here", extra == 0 ? 11 : 10, extra == 0 ? 65537 : 10);
        text_release(&query);
    }
}

static void places_at_the_end(void **state)
{
    (void)state;
    freshet_declaration *handle = read_sound(sound);
    const declared_text *query = &declaration_of(handle)->source.query;
    place at = declaration_place_in(handle, query, strlen(query->value));
    assert_int_equal(at.line, 12);
    assert_int_equal(at.column, 19);
    at = declaration_place_in(handle, query, 1000000);
    assert_int_equal(at.line, 12);
    at = declaration_place_in(handle, query, 15); /* the line's end belongs to the line */
    assert_int_equal(at.line, 11);
    assert_int_equal(at.column, 20);

    /* A default has the place of its block. */
    const declared_text *path = &declaration_of(handle)->dead_letters.path;
    at = declaration_place_in(handle, path, 3);
    assert_int_equal(at.line, 2);
    const declared_text none = {.value = NULL, .at = {.line = 3}};
    assert_int_equal(declaration_place_in(handle, &none, 5).line, 3);
    assert_int_equal(declaration_place_in(NULL, path, 5).line, 2);
    freshet_declaration_close(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_of_form),
        cmocka_unit_test(mistakes_that_do_not_end_the_reading),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(depth_at_its_limit),
        cmocka_unit_test(aliases_are_copies),
        cmocka_unit_test(aliases_of_aliases_are_limited),
        cmocka_unit_test(number_of_values),
        cmocka_unit_test(places_in_literals),
        cmocka_unit_test(places_on_one_line),
        cmocka_unit_test(places_that_cannot_be_told),
        cmocka_unit_test(places_in_long_texts),
        cmocka_unit_test(places_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
