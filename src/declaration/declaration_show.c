/* declaration_show.c - the declaration as YAML again, with its defaults filled in and its secrets
 * hidden.
 *
 * Written from the parsed structs by the same tables, in the tables' order. What it writes reads
 * back as the same declaration (but for secrets, which read as "***"): texts are written plain only
 * where no reader of YAML could take them for something else, several lines as a literal block
 * where YAML can hold them so, all else in double quotes; "${" in a value is written "$${".
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "declaration/blocks.h"
#include "declaration/handle.h"
#include "declaration/macros.h"
#include "declaration/value.h"

typedef struct showing {
    const declaration *declaration;
    text_buffer out;
    arena *arena; /* for names of types */
    bool dash;    /* the next line begins an item of a list */
} showing;

static void show_block(showing *showing, const block_kind *block, const char *from,
                       uint32_t indent);

/* ---- texts ---------------------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    size_t length = strlen(text);
    if (length == 0 || (text[0] >= '0' && text[0] <= '9') ||
        strspn(text, NAME_CHARACTERS "/") == 0 || text[length - 1] == ' ' ||
        strspn(text, NAME_CHARACTERS " ./-+*=(),<>;'?") != length)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(words[i], text) == 0)
            return false;
    return true;
}

/* The character of UTF-8 at `at`, and its bytes. The text is valid. */
static uint32_t character_at(const char *at, size_t *bytes)
{
    unsigned char c = (unsigned char)at[0];
    *bytes = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    uint32_t code = *bytes == 1 ? c : c & (0x7Fu >> *bytes);
    for (size_t i = 1; i < *bytes; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3F);
    return code;
}

/* Characters that YAML takes as they are, on one line. */
static bool is_printable(uint32_t code)
{
    return (code >= ' ' && code < 0x7F) || (code >= 0xA0 && code < 0x2028) ||
           (code > 0x2029 && code < 0xD800) || (code >= 0xE000 && code < 0xFEFF) ||
           (code > 0xFEFF && code < 0xFFFE) || code >= 0x10000;
}

/* Several lines that a literal block can hold: no line that begins with a tab, and the first one
 * not empty or with blanks in front, since it gives the indentation. */
static bool is_literal(const char *text)
{
    if (strchr(text, '\n') == NULL || text[0] == '\n' || text[0] == ' ')
        return false;
    bool line_begins = true;
    size_t bytes;
    for (const char *at = text; *at != '\0'; at += bytes) {
        uint32_t code = character_at(at, &bytes);
        if (code == '\t' ? line_begins : code != '\n' && !is_printable(code))
            return false;
        line_begins = code == '\n';
    }
    return true;
}

/* Appends with "${" as "$${". */
static void append_escaped(text_buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '$' && i + 1 < length && text[i + 1] == '{')
            text_append_char(out, '$');
        text_append_char(out, text[i]);
    }
}

static void show_literal(text_buffer *out, const char *text, uint32_t indent)
{
    size_t length = strlen(text);
    bool closed = text[length - 1] == '\n';
    bool blank_end = closed && length > 1 && text[length - 2] == '\n';
    text_append_c(out, !closed ? "|-\n" : blank_end ? "|+\n" : "|\n");
    const char *at = text;
    while (*at != '\0') {
        size_t line = strcspn(at, "\n");
        if (line > 0) {
            text_format(out, "%*s", (int)indent, "");
            append_escaped(out, at, line);
        }
        text_append_char(out, '\n');
        at += line + (at[line] == '\n');
    }
}

/* Variables are replaced in values, never in keys: there "${" is itself. */
static void show_quoted(text_buffer *out, const char *text, bool is_key)
{
    size_t bytes;
    text_append_char(out, '"');
    for (const char *at = text; *at != '\0'; at += bytes) {
        uint32_t code = character_at(at, &bytes);
        if (code == '"' || code == '\\')
            text_format(out, "\\%c", (char)code);
        else if (code == '\n')
            text_append_c(out, "\\n");
        else if (code == '\t')
            text_append_c(out, "\\t");
        else if (!is_printable(code))
            text_format(out, code < 0x100 ? "\\x%02" PRIX32 : "\\u%04" PRIX32, code);
        else if (code == '$' && at[1] == '{' && !is_key)
            text_append_c(out, "$$");
        else
            text_append(out, at, bytes);
    }
    text_append_char(out, '"');
}

/* A text as a value behind "key:" or "-", with its line's end. `indent`: of the lines of a
 * literal. */
static void show_text(text_buffer *out, const char *text, uint32_t indent)
{
    text_append_char(out, ' ');
    if (is_literal(text)) {
        show_literal(out, text, indent);
        return;
    }
    if (is_plain(text))
        text_append_c(out, text);
    else
        show_quoted(out, text, false);
    text_append_char(out, '\n');
}

/* ---- options -------------------------------------------------------------------------------- */

static void begin_line(showing *showing, uint32_t indent)
{
    if (showing->dash)
        text_format(&showing->out, "%*s- ", (int)indent - 2, "");
    else
        text_format(&showing->out, "%*s", (int)indent, "");
    showing->dash = false;
}

/* A name that a user gave, as a key. */
static void show_key(text_buffer *out, const char *name)
{
    if (is_plain(name) && strchr(name, ' ') == NULL)
        text_append_c(out, name);
    else
        show_quoted(out, name, true);
    text_append_char(out, ':');
}

/* A type's name, which the text is marked as failed without. */
static const char *show_type_name(showing *showing, const type *type)
{
    const char *name = type_name(showing->arena, type);
    showing->out.failed = showing->out.failed || name == NULL;
    return name == NULL ? "" : name;
}

static void show_schema(showing *showing, const field *fields, uint32_t n, uint32_t indent)
{
    text_buffer *out = &showing->out;
    for (uint32_t i = 0; i < n; i++) { /* structs nest as deep as TYPE_DEPTH_MAX */
        begin_line(showing, indent);
        show_key(out, fields[i].name);
        if (fields[i].type->kind == TYPE_STRUCT) {
            text_append_char(out, '\n');
            show_schema(showing, fields[i].type->fields, fields[i].type->n_fields, indent + 2);
        } else {
            show_text(out, show_type_name(showing, fields[i].type), indent + 2);
        }
    }
}

static void show_texts(showing *showing, const option *option, const declared_list *list,
                       uint32_t indent)
{
    for (uint32_t i = 0; i < list->n; i++) {
        text_format(&showing->out, "%*s-", (int)indent, "");
        show_text(&showing->out, option->secret ? "***" : list->items[i].value, indent + 2);
    }
}

static void show_properties(showing *showing, const option *option,
                            const declared_properties *properties, uint32_t indent)
{
    for (uint32_t i = 0; i < properties->n; i++) {
        const declared_property *property = &properties->items[i];
        bool hidden =
            option->secret || (!option->names_are_data && property_is_secret(property->name));
        begin_line(showing, indent);
        show_key(&showing->out, property->name);
        show_text(&showing->out, hidden ? "***" : property->value.value, indent + 2);
    }
}

static void show_functions(showing *showing, const declared_blocks *blocks, uint32_t indent)
{
    const function_block *functions = blocks->items;
    for (uint32_t i = 0; i < blocks->n; i++) {
        const char *name = functions[i].name.value;
        text_format(&showing->out, "%*s-", (int)indent, "");
        if (functions[i].type.value == NULL) {
            show_text(&showing->out, name, indent + 2);
        } else {
            text_append_char(&showing->out, ' ');
            show_key(&showing->out, name);
            show_text(&showing->out, show_type_name(showing, functions[i].type.value), indent + 4);
        }
    }
}

/* A block below a key or a dash; where nothing was written, it is empty. */
static void show_nested(showing *showing, const block_kind *block, const char *from,
                        uint32_t indent)
{
    text_buffer *out = &showing->out;
    size_t before = out->length;
    show_block(showing, block, from, indent);
    if (out->failed || out->length != before)
        return;
    if (showing->dash) {
        begin_line(showing, indent);
    } else {
        out->length--; /* the line's end behind the colon */
        text_append_char(out, ' ');
    }
    text_append_c(out, "{}\n");
}

static void show_blocks(showing *showing, const option *option, const declared_blocks *blocks,
                        uint32_t indent)
{
    for (uint32_t i = 0; i < blocks->n; i++) {
        showing->dash = true;
        show_nested(showing, option->block, (const char *)blocks->items + i * option->block->size,
                    indent + 2);
    }
}

/* Whether there is something to show: what was not given and has no default stays away. */
static bool is_shown(const option *option, const char *block)
{
    const void *from = block + option->offset;
    bool always = option->standard != NULL || option->required;
    if (option->place_offset != 0 &&
        !place_is_set((const place *)(block + option->place_offset - 1)))
        return false;
    if (option->is_aside)
        return false;
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL: return ((const declared_text *)from)->value != NULL;
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY: return *(const int64_t *)from != 0 || always;
    case OPTION_CHOICE: return *(const int *)from != 0 || always;
    case OPTION_TYPE: return ((const declared_type *)from)->value != NULL;
    case OPTION_SCHEMA: return ((const declared_schema *)from)->value.n_fields > 0;
    case OPTION_TEXTS: return ((const declared_list *)from)->n > 0;
    case OPTION_PROPERTIES: return ((const declared_properties *)from)->n > 0;
    case OPTION_FUNCTIONS:
    case OPTION_BLOCKS: return ((const declared_blocks *)from)->n > 0;
    case OPTION_BLOCK:
        return option->given_offset == 0 || *(const bool *)(block + option->given_offset - 1);
    case OPTION_KIND: return ((const declared_kind *)from)->kind != NULL;
    default: return true;
    }
}

/* A value on the line of its key; false where its lines come below. `indent`: of the lines of a
 * literal. */
static bool show_scalar(showing *showing, const option *option, const void *from, uint32_t indent)
{
    text_buffer *out = &showing->out;
    char number[VALUE_TEXT_MAX];
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL:
        show_text(out,
                  option->secret ? "***"
                                 : macros_written(showing->declaration,
                                                  ((const declared_text *)from)->value, NULL),
                  indent);
        return true;
    case OPTION_BOOLEAN:
        text_append_c(out, *(const bool *)from ? " true\n" : " false\n");
        return true;
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY:
        value_format(option->kind, *(const int64_t *)from, number);
        text_format(out, " %s\n", number);
        return true;
    case OPTION_CHOICE: show_text(out, option->choices[*(const int *)from], indent); return true;
    case OPTION_TYPE:
        show_text(out, show_type_name(showing, ((const declared_type *)from)->value), indent);
        return true;
    default: text_append_char(out, '\n'); return false;
    }
}

static void show_option(showing *showing, const option *option, const char *block, uint32_t indent)
{
    const void *from = block + option->offset;
    const declared_schema *schema = from;
    const declared_kind *kind = from;
    if (!is_shown(option, block))
        return;
    begin_line(showing, indent);
    text_format(&showing->out,
                "%s:", option->kind == OPTION_KIND ? kind->kind->name : option->name);
    if (show_scalar(showing, option, from, indent + 2))
        return;
    switch (option->kind) {
    case OPTION_SCHEMA:
        show_schema(showing, schema->value.fields, schema->value.n_fields, indent + 2);
        return;
    case OPTION_TEXTS: show_texts(showing, option, from, indent + 2); return;
    case OPTION_PROPERTIES: show_properties(showing, option, from, indent + 2); return;
    case OPTION_FUNCTIONS: show_functions(showing, from, indent + 2); return;
    case OPTION_BLOCK: show_nested(showing, option->block, from, indent + 2); return;
    case OPTION_BLOCKS: show_blocks(showing, option, from, indent + 2); return;
    case OPTION_KIND: show_nested(showing, kind->kind, kind->options, indent + 2); return;
    default: return;
    }
}

static void show_block(showing *showing, const block_kind *block, const char *from, uint32_t indent)
{
    for (const option *option = block->options; option->name != NULL; option++)
        show_option(showing, option, from, indent);
}

freshet_code declaration_show_columns(const schema *columns, arena *arena, const char **out,
                                      freshet_error *err)
{
    showing showing = {.arena = arena};
    text_init(&showing.out, TEXT_LIMIT_DEFAULT);
    text_append_c(&showing.out, "schema:\n");
    show_schema(&showing, columns->fields, columns->n_fields, 2);
    *out = showing.out.failed || arena_failed(arena) ? NULL : arena_text(arena, showing.out.bytes);
    text_release(&showing.out);
    return *out == NULL ? error_memory(err, "printing columns") : FRESHET_OK;
}

freshet_code freshet_declaration_show(const freshet_declaration *declaration,
                                      freshet_write_fn *write, void *context, freshet_error *err)
{
    if (declaration_of(declaration) == NULL || write == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "freshet_declaration_show needs a declaration that is finished, and a "
                         "function that writes");
    showing showing = {.declaration = &declaration->parsed, .arena = arena_open()};
    text_init(&showing.out, TEXT_LIMIT_DEFAULT);
    if (showing.arena == NULL)
        showing.out.failed = true;
    else
        show_block(&showing, &declaration_block, (const char *)&declaration->parsed, 0);
    freshet_code code =
        text_hand_over(&showing.out, "writing the declaration", write, context, err);
    arena_close(showing.arena);
    return code;
}
