/* preprocess_text.c - the steps of a reader in words, by their option tables. */
#include <inttypes.h>

#include "declaration/value.h"
#include "preprocess/preprocess_step.h"
#include "sql/sql_words.h"

static void put_block(arena *arena, const block_kind *block, const char *from, text_buffer *into);

static void put_list(const declared_list *list, text_buffer *into)
{
    for (uint32_t i = 0; i < list->n; i++)
        text_format(into, "%s%s", i == 0 ? "[" : ", ", list->items[i].value);
    text_append_c(into, "]");
}

static void put_map(const declared_properties *map, text_buffer *into)
{
    for (uint32_t i = 0; i < map->n; i++)
        text_format(into, "%s%s: %s", i == 0 ? "{" : ", ", map->items[i].name,
                    map->items[i].value.value);
    text_append_c(into, "}");
}

static void put_schema(arena *arena, const schema *columns, text_buffer *into)
{
    for (uint32_t i = 0; i < columns->n_fields; i++) {
        const char *type = type_name(arena, columns->fields[i].type);
        into->failed |= type == NULL;
        text_format(into, "%s%s: %s", i == 0 ? "{" : ", ", columns->fields[i].name,
                    type == NULL ? "" : type);
    }
    text_append_c(into, "}");
}

static void put_sql(arena *arena, const char *sql, text_buffer *into)
{
    const char *plain = sql_plain(arena, sql);
    into->failed |= plain == NULL;
    text_append_c(into, plain == NULL ? "" : plain);
}

static void put_value(arena *arena, const option *option, const void *from, text_buffer *into)
{
    const declared_text *text = from;
    const declared_type *type = from;
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME: text_append_c(into, text->value); return;
    case OPTION_SQL: put_sql(arena, text->value, into); return;
    case OPTION_BOOLEAN: text_append_c(into, *(const bool *)from ? "true" : "false"); return;
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY: text_format(into, "%" PRId64, *(const int64_t *)from); return;
    case OPTION_CHOICE: text_append_c(into, option->choices[*(const int *)from]); return;
    case OPTION_TYPE: put_schema(arena, &(schema){1, &(field){"type", type->value}}, into); return;
    case OPTION_TEXTS: put_list(from, into); return;
    case OPTION_PROPERTIES: put_map(from, into); return;
    case OPTION_SCHEMA: put_schema(arena, &((const declared_schema *)from)->value, into); return;
    case OPTION_BLOCK: put_block(arena, option->block, from, into); return;
    default: into->failed = true; /* no step has such options */
    }
}

static bool is_given(const option *option, const char *block)
{
    const void *from = block + option->offset;
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL: return ((const declared_text *)from)->value != NULL;
    case OPTION_TYPE: return ((const declared_type *)from)->value != NULL;
    case OPTION_BLOCK:
        return option->given_offset == 0 || *(const bool *)(block + option->given_offset - 1);
    default: return true;
    }
}

static void put_block(arena *arena, const block_kind *block, const char *from, text_buffer *into)
{
    for (const option *option = block->options; option->name != NULL; option++) {
        if (!is_given(option, from))
            continue;
        text_format(into, " %s ", option->name);
        put_value(arena, option, from + option->offset, into);
    }
}

const char *preprocess_text(arena *arena, const reader_block *block)
{
    return preprocess_text_until(arena, block, block->preprocess.n);
}

const char *preprocess_text_until(arena *arena, const reader_block *block, uint32_t n)
{
    const preprocess_block *steps = block->preprocess.items;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "");
    for (uint32_t i = 0; i < n; i++) {
        const declared_kind *kind = &steps[i].kind;
        if (kind->kind == NULL)
            continue;
        text_format(&text, "%s%s", i == 0 ? "" : "; ", kind->kind->name);
        put_block(arena, kind->kind, kind->options, &text);
    }
    return text_keep(&text, arena);
}
