/* builder_test.c - the same declaration by calls, and what calls do wrong. */
#include "declaration/declaration_testing.h"

/* Finishes; the problems' lines are in `problems`. */
static freshet_code finish(freshet_declaration *handle, text_buffer *problems)
{
    freshet_error err = {0};
    text_init(problems, TEXT_LIMIT_DEFAULT);
    text_append_c(problems, "");
    return declaration_finish(handle, &fake_registry, take_problem, problems, &err);
}

static void assert_finish(freshet_declaration *handle, const char *expected)
{
    text_buffer problems;
    freshet_code code = finish(handle, &problems);
    assert_string_equal(problems.bytes == NULL ? "" : problems.bytes, expected);
    assert_int_equal(code, expected[0] == '\0' ? FRESHET_OK : FRESHET_BAD_DECLARATION);
    text_release(&problems);
}

/* The declaration `sound` by calls, in another order. */
static freshet_declaration *build_sound(void)
{
    freshet_declaration *handle = NULL;
    freshet_error err = {0};
    assert_int_equal(freshet_declaration_new("airport_delays", &handle, &err), FRESHET_OK);
    freshet_block *flights = freshet_add_reader(handle, "flights");
    freshet_set(flights, "stream", "true");
    freshet_set(freshet_block_in(flights, "file"), "path", "data/flights");
    freshet_set(freshet_block_in(flights, "file"), "format", "json");
    freshet_block *airports = freshet_block_in(freshet_add_reader(handle, "airports"), "file");
    freshet_set(airports, "format", "json");
    freshet_set(airports, "path", "data/airports.csv");
    freshet_set(airports, "format", "csv");
    freshet_set_query(handle, "select f.origin\nfrom flights f\n");
    freshet_set(freshet_block_in(freshet_add_writer(handle), "online"), "debug", "true");
    freshet_set_feature_set(handle, "airport_delays", "airport");
    freshet_add_feature(handle, "dep_delay", "double", NULL);
    freshet_add_sql_feature(handle, "is_late", "boolean", "dep_delay > 15");
    freshet_add_key(handle, "origin", "string");
    freshet_set_timestamp(handle, "sched_dep");
    freshet_set(freshet_block_in(freshet_declaration_root(handle), "feature_set"), "on_cast_error",
                "null");
    return handle;
}

static void calls_and_yaml_give_the_same(void **state)
{
    (void)state;
    freshet_declaration *built = build_sound();
    assert_null(declaration_of(built));
    assert_finish(built, "");
    freshet_declaration *read = read_sound(sound);
    char *built_text = show_text_of(built);
    char *read_text = show_text_of(read);
    assert_string_equal(built_text, read_text);
    free(built_text);
    free(read_text);
    assert_true(freshet_declaration_is_stream(built));
    assert_string_equal(freshet_declaration_pipeline(built), "airport_delays");

    const declaration *declaration = declaration_of(built);
    assert_null(declaration->file);
    assert_string_equal(declaration->folder, ".");
    const feature_block *features = declaration->feature_set.features.items;
    char where[80];
    assert_string_equal(place_text(&features[1].sql.at, where, sizeof where),
                        "feature_set.features[1].sql");
    place at = declaration_place_in(built, &features[1].sql, 3);
    assert_string_equal(at.path, "feature_set.features[1].sql");
    freshet_declaration_close(read);
    freshet_declaration_close(built);
}

static void values_are_literal(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_set_query(handle, "${HOME} $${x} ~");
    freshet_block *set = freshet_block_in(freshet_declaration_root(handle), "feature_set");
    freshet_set(set, "description", "null");
    assert_finish(handle, "");
    assert_string_equal(declaration_of(handle)->source.query.value, "${HOME} $${x} ~");
    assert_string_equal(declaration_of(handle)->feature_set.description.value, "null");

    /* And they stay so when what is shown is read as YAML. */
    char *shown = show_text_of(handle);
    freshet_declaration *again = read_sound(shown);
    assert_string_equal(declaration_of(again)->source.query.value, "${HOME} $${x} ~");
    assert_string_equal(declaration_of(again)->feature_set.description.value, "null");
    free(shown);
    freshet_declaration_close(again);
    freshet_declaration_close(handle);
}

static void lists_of_values(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_block *file = freshet_block_in(freshet_add_reader(handle, "third"), "file");
    freshet_set(file, "path", "x");
    freshet_set_add(file, "columns", "a");
    freshet_set_add(file, "columns", "b");
    freshet_set(freshet_block_in(file, "schema"), "id", "bigint");
    freshet_set(freshet_block_in(freshet_block_in(file, "schema"), "nested"), "a", "date");
    assert_finish(handle, "");
    const reader_block *readers = declaration_of(handle)->source.readers.items;
    const fake_file *options = readers[2].kind.options;
    assert_int_equal(options->columns.n, 2);
    assert_string_equal(options->columns.items[1].value, "b");
    assert_string_equal(options->columns.items[1].at.path, "source.readers[2].file.columns[1]");
    assert_int_equal(options->schema.value.fields[1].type->kind, TYPE_STRUCT);
    freshet_declaration_close(handle);
}

/* Blocks of features and keys, and a function with a type of its own. */
static void transformations(void **state)
{
    static const char text[] =
        "    - {name: st, type: bigint, stack: {columns: [id_a, \"x*\"], is_regex: true}}\n"
        "    - {name: f, from: x, function: {functions: [abs, {sqrt: float}]}}\n"
        "    - {name: h, h3: {lat: a, lng: b, resolutions: [6], with_stack: true}}\n";
    (void)state;
    freshet_declaration *built = build_sound();
    freshet_block *stack =
        freshet_block_in(freshet_add_feature(built, "st", "bigint", NULL), "stack");
    freshet_set_add(stack, "columns", "id_a");
    freshet_set_add(stack, "columns", "x*");
    freshet_set(stack, "is_regex", "true");
    freshet_block *function =
        freshet_block_in(freshet_add_feature(built, "f", NULL, "x"), "function");
    freshet_set_add(function, "functions", "abs");
    freshet_set(freshet_block_add(function, "functions"), "sqrt", "float");
    freshet_block *h3 = freshet_block_in(freshet_add_feature(built, "h", NULL, NULL), "h3");
    freshet_set(h3, "lat", "a");
    freshet_set(h3, "lng", "b");
    freshet_set_add(h3, "resolutions", "6");
    freshet_set(h3, "with_stack", "true");
    assert_finish(built, "");

    freshet_declaration *plain = build_sound();
    assert_finish(plain, "");
    char *shown = show_text_of(plain), *end = strstr(shown, "\n  on_cast_error");
    assert_non_null(end);
    char *all = malloc(strlen(shown) + sizeof text + 1);
    sprintf(all, "%.*s\n%s%s", (int)(end - shown), shown, text, end + 1);
    freshet_declaration *read = read_sound(all);
    char *of_yaml = show_text_of(read), *of_calls = show_text_of(built);
    assert_string_equal(of_calls, of_yaml);
    free(shown), free(all), free(of_yaml), free(of_calls);
    freshet_declaration_close(read);
    freshet_declaration_close(plain);
    freshet_declaration_close(built);
}

static void mistakes_have_paths(void **state)
{
    (void)state;
    freshet_declaration *handle = NULL;
    freshet_error err;
    assert_int_equal(freshet_declaration_new("p", &handle, &err), FRESHET_OK);
    freshet_block *reader = freshet_add_reader(handle, NULL);
    freshet_set(reader, "strem", "true");
    freshet_set(freshet_block_in(reader, "file"), "format", "jsn");
    freshet_set_query(handle, "select 1");
    freshet_set_feature_set(handle, "f", NULL);
    freshet_add_key(handle, "k", "strin");
    freshet_add_feature(handle, "K", NULL, NULL);
    freshet_set_timestamp(handle, NULL);
    assert_finish(
        handle,
        "source.readers[0].strem unknown option \"strem\" in \"reader\"; did you mean \"stream\"?\n"
        "source.readers[0] \"id\" is missing in \"reader\": write for example id: flights\n"
        "source.readers[0].file \"path\" is missing in \"file\": write for example path: "
        "data/flights\n"
        "source.readers[0].file.format \"format\" cannot be \"jsn\": it must be auto, json, csv or "
        "parquet; did you mean \"json\"?\n"
        "feature_set.keys[0].type \"type\" cannot be \"strin\": it must be boolean, integer, "
        "bigint, "
        "float, double, decimal(width,scale), string, binary, date, timestamp, array<type> or "
        "struct<name: type>; did "
        "you "
        "mean \"string\"?\n"
        "feature_set.features[0] \"type\" is missing in \"feature\": write for example type: "
        "double\n"
        " \"sink\" is missing in \"declaration\": write for example sink: {writers: [{online: "
        "{debug: "
        "true}}]}\n"
        "feature_set.features[0].name the feature \"K\" has the name of the key at "
        "feature_set.keys[0].name: choose another name\n");
    freshet_declaration_close(handle);
}

static void what_is_wrong_can_be_put_right(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_block *root = freshet_declaration_root(handle);
    freshet_set(root, "version", "2");
    assert_finish(handle, "version \"version\" cannot be \"2\": it must be 1\n");
    assert_null(declaration_of(handle));
    freshet_set(root, "version", "1");
    assert_finish(handle, "");
    assert_non_null(declaration_of(handle));
    freshet_declaration_close(handle);
}

static void nothing_changes_after_finish(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_block *root = freshet_declaration_root(handle);
    freshet_block *set = freshet_block_in(root, "feature_set");
    assert_finish(handle, "");
    char *before = show_text_of(handle);
    assert_null(freshet_declaration_root(handle));
    assert_null(freshet_block_in(root, "dead_letters"));
    assert_null(freshet_block_add(set, "keys"));
    assert_null(freshet_add_key(handle, "x", "string"));
    freshet_set(set, "name", "other");
    freshet_set_add(set, "keys", "other");
    assert_finish(handle, "");
    char *after = show_text_of(handle);
    assert_string_equal(before, after);
    assert_string_equal(freshet_declaration_feature_set(handle), "airport_delays");
    free(before);
    free(after);
    freshet_declaration_close(handle);
}

static void calls_that_cannot_be(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_block *root = freshet_declaration_root(handle);
    assert_null(freshet_block_in(root, "version"));
    assert_null(freshet_block_add(root, "source"));
    assert_null(freshet_block_in(freshet_block_in(root, "source"), "readers"));
    freshet_set(root, "sink", "online");
    freshet_set(root, "dead_letters", NULL);
    freshet_set(root, "\xff", "x");
    freshet_set(root, NULL, "x");
    freshet_set(freshet_block_in(root, "feature_set"), "description", "\xff");
    freshet_set_query(handle, NULL);
    assert_finish(handle,
                  "version \"version\" is a value here, but a call wants a block there\n"
                  "source \"source\" is a block here, but a call wants a list there\n"
                  "source.readers \"readers\" is a list here, but a call wants a block there\n"
                  "sink \"sink\" is a block here, but a call wants a value there\n"
                  "dead_letters the value must be a text, not NULL\n"
                  " the name of an option must be valid UTF-8\n"
                  " the name of an option must be a text, not NULL\n"
                  "feature_set.description the value is not valid UTF-8\n"
                  "source.query the value must be a text, not NULL\n");
    freshet_declaration_close(handle);
}

static void calls_on_nothing(void **state)
{
    (void)state;
    freshet_error err = {0};
    freshet_declaration *handle = NULL;
    assert_int_equal(freshet_declaration_new(NULL, &handle, &err), FRESHET_USAGE);
    assert_null(handle);
    assert_null(freshet_declaration_root(NULL));
    assert_null(freshet_block_in(NULL, "x"));
    assert_null(freshet_block_add(NULL, "x"));
    freshet_set(NULL, "x", "y");
    freshet_set_add(NULL, "x", "y");
    assert_null(freshet_add_reader(NULL, "x"));
    assert_null(freshet_add_key(NULL, "x", "y"));
    assert_null(freshet_add_sql_feature(NULL, "x", "y", "z"));
    assert_int_equal(declaration_finish(NULL, &fake_registry, NULL, NULL, &err), FRESHET_USAGE);
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    freshet_declaration *handle = build_sound();
    freshet_block *block = freshet_declaration_root(handle);
    for (int i = 0; i < DECLARATION_DEPTH_MAX - 1; i++) {
        block = freshet_block_in(block, "a");
        assert_non_null(block);
    }
    assert_null(freshet_block_in(block, "a"));
    text_buffer problems;
    assert_int_equal(finish(handle, &problems), FRESHET_BAD_DECLARATION);
    assert_non_null(
        strstr(problems.bytes, "a.a maps and lists can be nested 64 deep, no further\n"));
    text_release(&problems);
    freshet_declaration_close(handle);

    handle = build_sound();
    char *big = malloc(DECLARATION_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, 'x', DECLARATION_BYTES_MAX);
    big[DECLARATION_BYTES_MAX] = '\0';
    freshet_set_query(handle, big);
    assert_finish(handle, "source.query the declaration has more than 16777216 bytes\n");
    free(big);
    freshet_declaration_close(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_yaml_give_the_same),
        cmocka_unit_test(values_are_literal),
        cmocka_unit_test(lists_of_values),
        cmocka_unit_test(transformations),
        cmocka_unit_test(mistakes_have_paths),
        cmocka_unit_test(what_is_wrong_can_be_put_right),
        cmocka_unit_test(nothing_changes_after_finish),
        cmocka_unit_test(calls_that_cannot_be),
        cmocka_unit_test(calls_on_nothing),
        cmocka_unit_test(depth_and_size_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
