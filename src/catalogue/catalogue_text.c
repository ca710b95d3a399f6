/* catalogue_text.c - a catalogue as Markdown and as JSON; see catalogue.h. */
#include <string.h>

#include "catalogue/catalogue.h"
#include "pipeline/bootstrap.h"

/* One column of a reader, the n-th that is given. */
typedef void origin_fn(text_buffer *into, uint32_t n, const char *reader, const char *column);

/* Of the columns of readers those that are marked. */
static void put_origins(const catalogue *of, const bool *made, origin_fn *put, text_buffer *into)
{
    const lineage *lineage = &of->lineage;
    uint32_t n = 0;
    for (uint32_t r = 0; r < lineage->n_readers; r++)
        for (uint32_t c = 0; c < lineage->columns[r]->n_fields; c++)
            if (made[lineage->first[r] + c])
                put(into, n++, of->pipeline->readers[r].reader->block->id.value,
                    lineage->columns[r]->fields[c].name);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

/* In a cell of a table: a bar and a line's end would end it. */
static void put_cell(text_buffer *into, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '|')
            text_append_c(into, "\\|");
        else
            text_append_char(into, *text == '\n' ? ' ' : *text);
}

/* `flights.origin`, ... */
static void put_code(text_buffer *into, uint32_t n, const char *reader, const char *column)
{
    text_format(into, "%s`%s.%s`", n > 0 ? ", " : "", reader, column);
}

/* All that the columns of the query behind an item are made of. */
static void put_item_origins(const catalogue *of, const catalogue_item *item, text_buffer *into)
{
    bool *made = arena_zero(of->pipeline->arena, of->lineage.n + (size_t)1, sizeof *made);
    if (made == NULL) {
        into->failed = true;
        return;
    }
    for (uint32_t i = 0; i < of->query->n_fields; i++)
        for (uint32_t k = 0; item->made[i] && k < of->lineage.n; k++)
            made[k] |= of->lineage.made[i * (size_t)of->lineage.n + k];
    put_origins(of, made, put_code, into);
}

static void put_items(const catalogue *of, text_buffer *into)
{
    for (uint32_t i = 0; i < of->n_items; i++) {
        const catalogue_item *item = &of->items[i];
        for (uint32_t k = 0; k < item->n_outputs; k++) {
            text_format(into, "| `%s` | ", of->outputs->fields[item->outputs[k]].name);
            put_cell(into, of->pipeline->output_types[item->outputs[k]]);
            text_format(into, " | %s | ", catalogue_kind_name(item->kind));
            put_cell(into, item->description);
            text_append_c(into, " | ");
            put_cell(into, item->how);
            text_append_c(into, " | ");
            put_item_origins(of, item, into);
            text_append_c(into, " |\n");
        }
    }
}

void catalogue_markdown(const catalogue *of, text_buffer *into)
{
    const declaration *declaration = of->pipeline->declaration;
    const feature_set_block *set = &declaration->feature_set;
    text_format(into, "# %s\n\n", set->name.value);
    if (set->description.value != NULL)
        text_format(into, "%s\n\n", set->description.value);
    text_format(into, "Pipeline `%s`, a %s; entity `%s`; declared in `%s`.\n\n",
                declaration->pipeline.value, pipeline_kind(of->pipeline),
                set->entity.value == NULL ? "" : set->entity.value, of->file);
    text_append_c(into,
                  "| column | type | | description | how | from |\n|---|---|---|---|---|---|\n");
    put_items(of, into);
    text_append_c(into, "\n## Readers\n\n| reader | kind | columns |\n|---|---|---|\n");
    for (uint32_t i = 0; i < of->pipeline->n_readers; i++) {
        const reader_block *block = of->pipeline->readers[i].reader->block;
        const schema *columns = of->lineage.columns[i];
        text_format(into, "| `%s` | %s, %s", block->id.value, block->kind.kind->name,
                    block->stream ? "stream" : "static");
        bootstrap_tell(block, into);
        text_append_c(into, " | ");
        for (uint32_t c = 0; c < columns->n_fields; c++)
            text_format(into, "%s`%s`", c > 0 ? ", " : "", columns->fields[c].name);
        text_append_c(into, " |\n");
    }
    const char *query = declaration->source.query.value;
    const bool ends = query[0] != '\0' && query[strlen(query) - 1] == '\n';
    text_format(into, "\n## Query\n\n```sql\n%s%s```\n\n## Writers\n\n", query, ends ? "" : "\n");
    for (uint32_t i = 0; i < of->n_writers; i++)
        text_format(into, "- %s\n", of->writers[i]);
    if (!of->lineage.is_known)
        text_append_c(into,
                      "\nWhere the query's columns come from cannot be told from its text.\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_string(text_buffer *into, const char *text)
{
    if (text == NULL)
        text_append_c(into, "null");
    else
        text_append_json(into, text, strlen(text));
}

static void put_member(text_buffer *into, const char *before, const char *name, const char *text)
{
    text_format(into, "%s\"%s\":", before, name);
    put_string(into, text);
}

static void put_reader(const catalogue *of, uint32_t i, text_buffer *into)
{
    const reader_block *block = of->pipeline->readers[i].reader->block;
    const schema *columns = of->lineage.columns[i];
    put_member(into, i > 0 ? ",{" : "{", "id", block->id.value);
    put_member(into, ",", "kind", block->kind.kind->name);
    text_format(into, ",\"stream\":%s,\"columns\":[", block->stream ? "true" : "false");
    for (uint32_t c = 0; c < columns->n_fields; c++) {
        put_member(into, c > 0 ? ",{" : "{", "name", columns->fields[c].name);
        put_member(into, ",", "type", type_name(of->pipeline->arena, columns->fields[c].type));
        text_append_char(into, '}');
    }
    text_append_c(into, "]}");
}

/* ["flights","origin"], ... */
static void put_pair(text_buffer *into, uint32_t n, const char *reader, const char *column)
{
    text_append_c(into, n > 0 ? ",[" : "[");
    put_string(into, reader);
    text_append_char(into, ',');
    put_string(into, column);
    text_append_char(into, ']');
}

static void put_query_columns(const catalogue *of, text_buffer *into)
{
    for (uint32_t i = 0; i < of->query->n_fields; i++) {
        put_member(into, i > 0 ? ",{" : "{", "name", of->query->fields[i].name);
        put_member(into, ",", "type", type_name(of->pipeline->arena, of->query->fields[i].type));
        text_append_c(into, ",\"from\":[");
        put_origins(of, of->lineage.made + i * (size_t)of->lineage.n, put_pair, into);
        text_append_c(into, "]}");
    }
}

static void put_item(const catalogue *of, const catalogue_item *item, text_buffer *into)
{
    put_member(into, "{", "kind", catalogue_kind_name(item->kind));
    put_member(into, ",", "name", item->name);
    put_member(into, ",", "description", item->description);
    put_member(into, ",", "how", item->how);
    text_append_c(into, ",\"columns\":[");
    for (uint32_t k = 0; k < item->n_outputs; k++) {
        put_member(into, k > 0 ? ",{" : "{", "name", of->outputs->fields[item->outputs[k]].name);
        put_member(into, ",", "type", of->pipeline->output_types[item->outputs[k]]);
        text_append_char(into, '}');
    }
    text_append_c(into, "],\"from\":[");
    for (uint32_t i = 0, n = 0; i < of->query->n_fields; i++)
        if (item->made[i]) {
            text_append_c(into, n++ > 0 ? "," : "");
            put_string(into, of->query->fields[i].name);
        }
    text_append_c(into, "]}");
}

void catalogue_json(const catalogue *of, text_buffer *into)
{
    const declaration *declaration = of->pipeline->declaration;
    const feature_set_block *set = &declaration->feature_set;
    put_member(into, "{", "feature_set", set->name.value);
    put_member(into, ",", "entity", set->entity.value);
    put_member(into, ",", "description", set->description.value);
    put_member(into, ",", "pipeline", declaration->pipeline.value);
    put_member(into, ",", "file", of->file);
    text_format(into, ",\"stream\":%s,\"readers\":[", declaration->is_stream ? "true" : "false");
    for (uint32_t i = 0; i < of->pipeline->n_readers; i++)
        put_reader(of, i, into);
    put_member(into, "],", "query", declaration->source.query.value);
    text_format(into, ",\"lineage_is_known\":%s,\"query_columns\":[",
                of->lineage.is_known ? "true" : "false");
    put_query_columns(of, into);
    text_append_c(into, "],\"features\":[");
    for (uint32_t i = 0; i < of->n_items; i++) {
        text_append_c(into, i > 0 ? "," : "");
        put_item(of, &of->items[i], into);
    }
    text_append_c(into, "],\"writers\":[");
    for (uint32_t i = 0; i < of->n_writers; i++) {
        text_append_c(into, i > 0 ? "," : "");
        put_string(into, of->writers[i]);
    }
    text_append_c(into, "]}\n");
}
