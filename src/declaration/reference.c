/* reference.c - docs/reference/declaration.md, from the option tables.
 *
 * First what holds for every value, then one section a block in the order in which blocks nest,
 * each with a table of its options. Sections of readers' and writers' kinds come where the kind is
 * chosen.
 */
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/error.h"
#include "base/reason.h"
#include "declaration/blocks.h"
#include "declaration/handle.h"
#include "declaration/read.h"
#include "declaration/value.h"

#define SECTIONS_MAX 128

static const char introduction[] =
    "# The declaration\n"
    "\n"
    "<!-- Made from the option tables by `freshet schema --reference`: do not edit. -->\n"
    "\n"
    "A declaration is one YAML file: where rows come from, what is computed from each, and where "
    "the results go. `freshet check FILE` reads it and says everything that is wrong with it, each "
    "mistake with its line and column; `freshet show FILE` prints it with all defaults filled in; "
    "`freshet schema` prints its JSON Schema, for editors. The C calls of `freshet.h` make the "
    "same declaration.\n"
    "\n"
    "```yaml\n";

static const char values[] =
    "```\n"
    "\n"
    "## Values\n"
    "\n"
    "| kind | how it is written |\n"
    "|---|---|\n"
    "| text | any YAML scalar, with or without quotes; several lines behind <code>&#124;</code> |\n"
    "| name | letters (a to z), digits and `_`, not beginning with a digit, at most 128 |\n"
    "| true/false | `true` or `false`, nothing else |\n"
    "| duration | a whole number and a unit: `us`, `ms`, `second`, `minute`, `hour`, `day`, `week` "
    "(or their plurals; or `s`, `m`, `h`, `d`, `w`), as in `10 minutes` or `10m`; windows, too |\n"
    "| size | a whole number of bytes, or with a unit: `kB`, `MB`, `GB`, `TB` (powers of 1000), "
    "`KiB`, `MiB`, `GiB`, `TiB` (of 1024), as in `10 MB`, `10MB` or `10M` |\n"
    "| type | `boolean`, `integer`, `bigint`, `float`, `double`, `decimal` (which is "
    "`decimal(10,0)`), `decimal(width,scale)`, `string`, `binary`, `date`, `timestamp`, "
    "`array<type>`, `struct<name: type, ...>`, and these in each other, as in "
    "`array<struct<sku: string, qty: integer>>`; inside of `{ }` a type with a comma must be in "
    "quotes |\n"
    "| schema | a map of columns and their types; a map in the place of a type is a nested object: "
    "`{id: bigint, customer: {city: string}}` |\n"
    "\n"
    "**Variables.** `${VAR}` in any value is replaced by that variable of the environment, and "
    "`${VAR:default}` by the default where it is not set. A variable that is not set and has no "
    "default is a mistake (the shell's `${VAR:-default}` is refused, since it would be taken as "
    "`-default`). `${file:PATH}` is replaced by what that file holds, without the line's "
    "end behind it: for passwords that are mounted as files. `$${` stands for the characters `${`. "
    "Inside of `{ }` and `[ ]` a value with a variable must be in quotes: `{path: "
    "\"${DATA}/flights\"}`.\n"
    "\n"
    "**Paths** are relative to the folder of the declaration's file.\n"
    "\n"
    "**YAML.** One document a file; maps, lists and scalars, and aliases (`*name`) of what an "
    "anchor (`&name`) marks. A key stands once in its map. Tags and merge keys (`<<`) are not "
    "used.\n";

typedef struct page {
    text_buffer out;
    const registry *registry;
    const block_kind *sections[SECTIONS_MAX];
    uint32_t n_sections;
} page;

/* The anchor of a heading, as GitHub makes it. */
static void write_link(page *page, const block_kind *block)
{
    text_format(&page->out, "[%s](#", block->title);
    for (const char *c = block->title; *c != '\0'; c++) {
        char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        if (lower == ' ')
            text_append_char(&page->out, '-');
        else if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '_' ||
                 lower == '-')
            text_append_char(&page->out, lower);
    }
    text_append_char(&page->out, ')');
}

/* Text inside of a table's cell. */
static void reference_write_cell(page *page, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            text_append_c(&page->out, "\\|");
        else
            text_append_char(&page->out, *text == '\n' ? ' ' : *text);
    }
}

static void write_bounds(page *page, const option *option)
{
    char least[VALUE_TEXT_MAX];
    char most[VALUE_TEXT_MAX];
    if (option->minimum == 0 && option->maximum == 0)
        return;
    value_format(option->kind, option->minimum, least);
    value_format(option->kind, option->maximum, most);
    if (option->minimum == option->maximum)
        text_format(&page->out, ": %s", least);
    else if (option->maximum == INT64_MAX)
        text_format(&page->out, ", at least %s", least);
    else
        text_format(&page->out, ", %s to %s", least, most);
}

static void write_type(page *page, const option *option)
{
    static const char *const words[] = {
        [OPTION_TEXT] = "text",
        [OPTION_NAME] = "name",
        [OPTION_SQL] = "SQL",
        [OPTION_BOOLEAN] = "true/false",
        [OPTION_INTEGER] = "whole number",
        [OPTION_DURATION] = "duration",
        [OPTION_BYTES] = "size",
        [OPTION_MEMORY] = "size, or share",
        [OPTION_TYPE] = "type",
        [OPTION_SCHEMA] = "schema",
        [OPTION_TEXTS] = "text, or list of texts",
        [OPTION_PROPERTIES] = "map of texts",
        [OPTION_NODE] = "as its text says",
        [OPTION_FUNCTIONS] = "[functions](#functions), one or a list",
    };
    switch (option->kind) {
    case OPTION_CHOICE:
        for (size_t i = 0; option->choices[i] != NULL; i++)
            text_format(&page->out, "%s`%s`", i == 0 ? "" : ", ", option->choices[i]);
        return;
    case OPTION_BLOCKS:
        text_append_c(&page->out, "list of ");
        write_link(page, option->block);
        return;
    case OPTION_BLOCK: write_link(page, option->block); return;
    default: text_append_c(&page->out, words[option->kind]); write_bounds(page, option);
    }
}

static void write_row(page *page, const option *option)
{
    text_format(&page->out, "| `%s` | ", option->name);
    write_type(page, option);
    text_append_c(&page->out, " | ");
    if (option->required) {
        text_append_c(&page->out, "**required**");
        for (size_t i = 0; option->unless != NULL && option->unless[i] != NULL; i++)
            text_format(&page->out, "%s `%s`", i == 0 ? " without" : " or", option->unless[i]);
    } else if (option->standard != NULL)
        text_format(&page->out, "`%s`", option->standard);
    text_append_c(&page->out, " | ");
    reference_write_cell(page, option->doc);
    if (option->secret)
        text_append_c(&page->out, " It is a secret: `freshet show` prints `***`.");
    if (option->example != NULL) {
        text_format(&page->out, " Example: `%s: ", option->name);
        reference_write_cell(page, option->example);
        text_append_c(&page->out, "`");
    }
    text_append_c(&page->out, " |\n");
}

/* The aggregate functions, from their own table. */
static void write_functions(page *page)
{
    text_append_c(
        &page->out,
        "\n## Functions\n\nWhat a `window` or an `aggregate` can compute. Nulls are skipped, "
        "except by `first` and `last`. A function is written as its name, or as `{name: type}` to "
        "have its values as that type; capital letters and `_` do not matter.\n"
        "\n| function | gives |\n|---|---|\n");
    for (uint32_t i = 0; aggregate_name(i) != NULL; i++) {
        text_format(&page->out, "| `%s` | ", aggregate_name(i));
        reference_write_cell(page, aggregate_summary(i));
        text_append_c(&page->out, " |\n");
    }
}

/* Why rows are refused, from their own table. */
static void write_reasons(page *page)
{
    text_append_c(
        &page->out,
        "\n## Reasons of dead letters\n\nThe `code` of a [dead letter](#dead-letters), and "
        "what the summary of a run and `freshet status` count by.\n"
        "\n| code | means |\n|---|---|\n");
    for (int i = 0; i < REASON_COUNT; i++) {
        text_format(&page->out, "| `%s` | ", reason_name((reason_code)i));
        reference_write_cell(page, reason_doc((reason_code)i));
        text_append_c(&page->out, " |\n");
    }
}

/* One row a kind: the kind's name is the key. */
static void write_kind_rows(page *page, const option *option)
{
    const block_kind *const *kinds = registry_kinds(page->registry, option->kinds);
    for (size_t i = 0; kinds[i] != NULL; i++) {
        text_format(&page->out, "| `%s` | ", kinds[i]->name);
        write_link(page, kinds[i]);
        text_format(&page->out, " | **%s** | ", kinds[1] == NULL ? "required" : "exactly one");
        reference_write_cell(page, kinds[i]->doc);
        text_append_c(&page->out, " |\n");
    }
}

static void write_section(page *page, const block_kind *block)
{
    text_format(&page->out, "\n## %s\n\n%s\n", block->title, block->doc);
    if (block->options[0].name == NULL)
        return;
    text_append_c(&page->out, "\n| option | type | default | meaning |\n|---|---|---|---|\n");
    for (const option *option = block->options; option->name != NULL; option++) {
        if (option->kind == OPTION_KIND)
            write_kind_rows(page, option);
        else
            write_row(page, option);
    }
}

/* Collects a block and those below it; false where there are too many. */
static bool add_section(page *page, const block_kind *block, uint32_t depth)
{
    for (uint32_t i = 0; i < page->n_sections; i++)
        if (page->sections[i] == block)
            return true;
    if (page->n_sections == SECTIONS_MAX || depth == BLOCK_DEPTH_MAX)
        return false;
    page->sections[page->n_sections++] = block;
    bool ok = true;
    for (const option *option = block->options; option->name != NULL; option++) {
        if (option->block != NULL)
            ok = add_section(page, option->block, depth + 1) && ok;
        if (option->kind != OPTION_KIND)
            continue;
        const block_kind *const *kinds = registry_kinds(page->registry, option->kinds);
        for (size_t i = 0; kinds[i] != NULL; i++)
            ok = add_section(page, kinds[i], depth + 1) && ok;
    }
    return ok;
}

freshet_code declaration_write_reference(const registry *registry, freshet_write_fn *write,
                                         void *context, freshet_error *err)
{
    page page = {.registry = registry};
    if (!add_section(&page, &declaration_block, 0))
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the option tables have more than %d blocks, or nest deeper than %d",
                         SECTIONS_MAX, BLOCK_DEPTH_MAX);
    text_init(&page.out, TEXT_LIMIT_DEFAULT);
    text_append_c(&page.out, introduction);
    text_append_c(&page.out, declaration_example);
    text_append_c(&page.out, values);
    write_functions(&page);
    for (uint32_t i = 0; i < page.n_sections; i++)
        write_section(&page, page.sections[i]);
    write_reasons(&page);
    return text_hand_over(&page.out, "writing the reference page", write, context, err);
}
