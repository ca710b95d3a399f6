/* tables_test.c - the option tables themselves, and what is made of them: schema and reference
 * page. */
#include "declaration/declaration_testing.h"

#include <yyjson.h>

#include "declaration/blocks.h"
#include "declaration/read.h"

static size_t field_size(const option *option)
{
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL: return sizeof(declared_text);
    case OPTION_BOOLEAN: return sizeof(bool);
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY: return sizeof(int64_t);
    case OPTION_CHOICE: return sizeof(int);
    case OPTION_TYPE: return sizeof(declared_type);
    case OPTION_SCHEMA: return sizeof(declared_schema);
    case OPTION_TEXTS: return sizeof(declared_list);
    case OPTION_PROPERTIES: return sizeof(declared_properties);
    case OPTION_NODE: return sizeof(declared_node);
    case OPTION_BLOCK: return option->block->size;
    case OPTION_FUNCTIONS:
    case OPTION_BLOCKS: return sizeof(declared_blocks);
    case OPTION_KIND: return sizeof(declared_kind);
    }
    return SIZE_MAX;
}

static void assert_option(const block_kind *block, const option *option)
{
    assert_non_null(option->doc);
    assert_true(strlen(option->doc) > 3);
    assert_true(option->doc[strlen(option->doc) - 1] == '.');
    assert_true(option->offset + field_size(option) <= block->size);
    assert_int_equal(option->choices != NULL, option->kind == OPTION_CHOICE);
    assert_int_equal(option->block != NULL,
                     option->kind == OPTION_BLOCK || option->kind == OPTION_BLOCKS);
    assert_int_equal(option->kinds != NULL, option->kind == OPTION_KIND);
    assert_true(!(option->required && option->standard != NULL));
    assert_true(option->minimum <= option->maximum);
    if (option->given_offset != 0) {
        assert_int_equal(option->kind, OPTION_BLOCK);
        assert_true(option->given_offset <= block->size);
    }
    if (option->place_offset != 0)
        assert_true(option->place_offset - 1 + sizeof(place) <= block->size);
    if (option->secret) /* "***" must read back */
        assert_true(option->kind == OPTION_TEXT || option->kind == OPTION_TEXTS);
    for (const struct option *other = block->options; other != option; other++) {
        assert_string_not_equal(other->name, option->name);
        bool apart = other->offset + field_size(other) <= option->offset ||
                     option->offset + field_size(option) <= other->offset;
        assert_true(apart);
    }
}

/* Each block and those below it; returns how many options there are. */
static size_t assert_block(const block_kind *block, uint32_t depth)
{
    assert_true(depth < BLOCK_DEPTH_MAX);
    assert_true(block->name != NULL && block->title != NULL && block->doc != NULL);
    assert_true(block->options != NULL && block->size > 0);
    size_t n = 0;
    for (const option *option = block->options; option->name != NULL; option++, n++) {
        assert_option(block, option);
        if (option->block != NULL)
            n += assert_block(option->block, depth + 1);
        if (option->kinds == NULL)
            continue;
        const block_kind *const *kinds = registry_kinds(&fake_registry, option->kinds);
        for (; *kinds != NULL; kinds++)
            n += assert_block(*kinds, depth + 1);
    }
    return n;
}

static void tables_are_sound(void **state)
{
    (void)state;
    assert_true(assert_block(&declaration_block, 0) > 40);
}

/* Every example in the tables is read by its own option without a problem. */
static void examples_are_right(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } samples[] = {
        {"keys:\n    - {name: origin, type: string}", "keys: %s"},
        {"features:\n    - {name: dep_delay, type: double}\n    - {name: is_late, type: boolean, "
         "sql: "
         "\"dep_delay > 15\"}",
         "features: %s"},
        {"timestamp: {from: sched_dep}", "timestamp: %s"},
        {"sink:\n  writers:\n    - online: {debug: true}", "sink: %s"},
    };
    const option *set = declaration_block.options;
    const option *sink = set;
    for (const option *each = declaration_block.options; each->name != NULL; each++) {
        set = strcmp(each->name, "feature_set") == 0 ? each->block->options : set;
        sink = strcmp(each->name, "sink") == 0 ? each : sink;
    }
    assert_string_equal(sink->name, "sink");
    assert_string_equal(set->name, "name");
    for (size_t i = 0; i < 4; i++) {
        const option *named = sink;
        for (const option *each = set; i < 3 && each->name != NULL; each++)
            if (strncmp(samples[i].to, each->name, strlen(each->name)) == 0)
                named = each;
        assert_non_null(named->example);
        char to[200];
        size_t head = strcspn(samples[i].to, "%");
        snprintf(to, sizeof to, "%.*s%s", (int)head, samples[i].to, named->example);
        char *text = sound_with(samples[i].from, to);
        freshet_declaration_close(read_sound(text));
        free(text);
    }
}

static char *written(freshet_code write(const registry *, freshet_write_fn *, void *,
                                        freshet_error *),
                     const registry *registry)
{
    text_buffer out;
    freshet_error err = {0};
    text_init(&out, TEXT_LIMIT_DEFAULT);
    assert_int_equal(write(registry, take_bytes, &out, &err), FRESHET_OK);
    assert_non_null(out.bytes);
    return out.bytes;
}

static void schema_says_what_the_tables_say(void **state)
{
    (void)state;
    char *text = written(declaration_write_schema, &fake_registry);
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    assert_true(yyjson_is_false(yyjson_obj_get(root, "additionalProperties")));
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "required")), 5);
    yyjson_val *reader = yyjson_ptr_get(root, "/properties/source/properties/readers/items");
    assert_int_equal(yyjson_obj_size(yyjson_obj_get(reader, "properties")), 11);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(reader, "/oneOf/1/required/0")), "table");
    yyjson_val *file = yyjson_ptr_get(reader, "/properties/file");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(file, "type")), "object");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(file, "/required/0")), "path");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(file, "/properties/path/description")),
                        "A file, a folder, or a glob.");
    assert_int_equal(yyjson_get_int(yyjson_ptr_get(file, "/properties/sample/anyOf/0/maximum")),
                     1000);
    assert_true(yyjson_is_true(yyjson_ptr_get(file, "/properties/header/default")));
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(file, "/properties/schema/$ref")),
                        "#/$defs/columns");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(file, "/properties/format/anyOf/0/enum/1")),
                        "json");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(file, "/properties/retry/type/1")), "null");
    yyjson_val *cast = yyjson_ptr_get(reader, "/properties/on_cast_error/anyOf/0/enum");
    assert_true(yyjson_is_null(yyjson_arr_get(cast, 2)));
    assert_non_null(yyjson_ptr_get(root, "/$defs/columns/additionalProperties"));
    yyjson_doc_free(doc);
    free(text);
}

static void reference_has_every_option_and_a_sound_example(void **state)
{
    (void)state;
    char *text = written(declaration_write_reference, &fake_registry);
    static const char *const rows[] = {
        "| `path` | text | **required** | A file, a folder, or a glob. Example: `path: data/flight",
        "| `format` | `auto`, `json`, `csv`, `parquet` | `auto` | How it is written. |\n",
        "| `delimiter` | text | `,` | Between fields: `\\|`, for example. |\n",
        "| `sample` | whole number, 1 to 1000 |  | Records to infer from. |\n",
        "| `buffer` | size, at least 4 KiB | `64 MiB` | Memory. |\n",
        "| `pause` | duration, 1 ms to 1 minute | `500 ms` | How long between. |\n",
        "| `retry` | [Retry](#retry) |  | Try again. |\n",
        "| `readers` | list of [Reader](#reader) | **required** | The readers, at least one. |\n",
        "| `file` | [Reader: file](#reader-file) | **exactly one** | Files. |\n",
        "| `password` | text |  | Of the archive. It is a secret: `freshet show` prints `***`. |\n",
        "| `version` | whole number: 1 | **required** |",
        "\n## Feature set\n",
        "\n## Writer: nowhere\n\nNothing is kept.\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strstr(text, rows[i]) == NULL)
            print_error("there is no %s\n", rows[i]);
        assert_non_null(strstr(text, rows[i]));
    }
    char *begin = strstr(text, "```yaml\n");
    assert_non_null(begin);
    begin += strlen("```yaml\n");
    char *end = strstr(begin, "```\n");
    assert_non_null(end);
    *end = '\0';
    freshet_declaration_close(read_sound(begin));
    free(text);
}

static bool refuse_bytes(void *context, const char *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    return false;
}

static void output_that_ends_early(void **state)
{
    (void)state;
    freshet_error err = {0};
    assert_int_equal(declaration_write_schema(&fake_registry, refuse_bytes, NULL, &err),
                     FRESHET_FAILED);
    assert_int_equal(declaration_write_reference(&fake_registry, refuse_bytes, NULL, &err),
                     FRESHET_FAILED);
    assert_non_null(strstr(err.text, "ended early"));
}

static void a_registry_may_be_empty(void **state)
{
    (void)state;
    static const registry nothing = {.readers = NULL};
    free(written(declaration_write_schema, &nothing));
    free(written(declaration_write_reference, &nothing));
    text_buffer problems;
    text_init(&problems, TEXT_LIMIT_DEFAULT);
    freshet_declaration *handle = NULL;
    freshet_error err;
    assert_int_equal(declaration_read(sound, strlen(sound), "d.yaml", ".", &nothing, take_problem,
                                      &problems, &handle, &err),
                     FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(problems.bytes, "6:7 unknown option \"file\" in \"reader\""));
    text_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(examples_are_right),
        cmocka_unit_test(schema_says_what_the_tables_say),
        cmocka_unit_test(reference_has_every_option_and_a_sound_example),
        cmocka_unit_test(output_that_ends_early),
        cmocka_unit_test(a_registry_may_be_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
