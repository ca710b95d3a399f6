/* catalogue.c - see catalogue.h.
 *
 * What a feature is made of follows from the names that it mentions, in the order of the
 * declaration: a name is the newest feature above it of that name, or a key, or a column of the
 * query. So features of features lead to the query's columns, too. Names are looked for in the text
 * of an expression, outside of its literals, whatever its dialect.
 */
#include "catalogue/catalogue.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define READING "writing the catalogue"

typedef struct reading {
    arena *arena;
    catalogue *out;
    const feature_set_block *set;
    bool no_memory;
} reading;

const char *catalogue_kind_name(catalogue_kind kind)
{
    static const char *const names[] = {"key", "timestamp", "feature"};
    return names[kind];
}

/* ---- what a name is made of ------------------------------------------------------------------ */

static bool *new_made(reading *reading)
{
    bool *made =
        arena_zero(reading->arena, reading->out->query->n_fields + (size_t)1, sizeof *made);
    reading->no_memory |= made == NULL;
    return made;
}

/* Adds what the name stands for, seen from behind the items there are. */
static void catalogue_add_name(const reading *reading, const char *name, size_t length, bool *made)
{
    const catalogue *out = reading->out;
    for (uint32_t i = out->n_items; i-- > 0;) {
        const catalogue_item *item = &out->items[i];
        const char *seen = item->kind == CATALOGUE_TIMESTAMP ? "timestamp" : item->name;
        bool is_it = strlen(seen) == length && strncasecmp(seen, name, length) == 0;
        for (uint32_t k = 0; !is_it && k < item->n_outputs; k++) {
            const char *column = out->outputs->fields[item->outputs[k]].name;
            is_it = strlen(column) == length && strncasecmp(column, name, length) == 0;
        }
        for (uint32_t k = 0; is_it && k < out->query->n_fields; k++)
            made[k] |= item->made[k];
        if (is_it)
            return;
    }
    for (uint32_t i = 0; i < out->query->n_fields; i++) {
        const char *column = out->query->fields[i].name;
        if (strlen(column) == length && strncasecmp(column, name, length) == 0)
            made[i] = true;
    }
}

static bool is_part_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Adds the names in an expression: words that no bracket follows, and what stands in double quotes
 * or backticks. */
static void add_names(const reading *reading, const char *sql, bool *made)
{
    for (const char *at = sql; *at != '\0';) {
        if (*at == '\'' || *at == '"' || *at == '`') {
            const char quote = *at++, *end = strchr(at, quote);
            if (end == NULL)
                return;
            if (quote != '\'')
                catalogue_add_name(reading, at, (size_t)(end - at), made);
            at = end + 1;
        } else if (is_part_of_name(*at)) {
            const char *first = at;
            while (is_part_of_name(*at))
                at++;
            const char *next = at + strspn(at, " \t\n");
            if (*next != '(' && !isdigit((unsigned char)*first))
                catalogue_add_name(reading, first, (size_t)(at - first), made);
        } else {
            at++;
        }
    }
}

static void add_list(const reading *reading, const declared_list *names, bool *made)
{
    for (uint32_t i = 0; i < names->n; i++)
        catalogue_add_name(reading, names->items[i].value, strlen(names->items[i].value), made);
}

/* ---- how it is computed ---------------------------------------------------------------------- */

static void put_names(text_buffer *into, const declared_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        text_format(into, "%s%s", i > 0 ? ", " : "", list->items[i].value);
}

static void put_functions(text_buffer *into, const declared_blocks *functions)
{
    const function_block *items = functions->items;
    for (uint32_t i = 0; i < functions->n; i++)
        text_format(into, "%s%s", i > 0 ? ", " : "", items[i].name.value);
}

/* The column or expression that it begins with. */
static void put_from(text_buffer *into, const declared_text *from, const declared_text *sql,
                     const char *name)
{
    if (sql->value != NULL)
        text_format(into, "`%s`", sql->value);
    else
        text_format(into, "%s", from->value == NULL ? name : from->value);
}

static void put_aggregated(text_buffer *into, const feature_set_block *set)
{
    const aggregated_block *block = &set->aggregated;
    if (block->has_windows) {
        text_append_c(into, " over ");
        put_names(into, &block->windows.over);
        text_format(into, " each %s", block->windows.slide.value);
    } else {
        text_append_c(into, " by keys and timestamp");
    }
    if (block->has_pivot) {
        text_format(into, ", for %s = ", block->pivot.column.value);
        put_names(into, &block->pivot.values);
    }
    if (block->has_distinct) {
        text_append_c(into, ", once for each ");
        put_names(into, &block->distinct.subset);
    }
}

static void put_h3(text_buffer *into, const h3_block *h3)
{
    text_format(into, "H3 cell of %s, %s, resolution ", h3->lat.value, h3->lng.value);
    put_names(into, &h3->resolutions);
}

static void put_feature(text_buffer *into, const feature_set_block *set, const feature_block *block)
{
    if (block->has_h3) {
        put_h3(into, &block->h3);
    } else if (block->has_stack) {
        text_append_c(into, "a row for each of ");
        put_names(into, &block->stack.columns);
    } else if (block->has_function) {
        put_functions(into, &block->function.functions);
        text_append_c(into, " of ");
        put_from(into, &block->from, &block->sql, block->name.value);
    } else if (block->has_window) {
        put_functions(into, &block->window.functions);
        text_append_c(into, " over ");
        put_names(into, &block->window.over);
        text_append_c(into, " of ");
        put_from(into, &block->from, &block->sql, block->name.value);
        if (block->window.partition_by.n > 0) {
            text_append_c(into, " by ");
            put_names(into, &block->window.partition_by);
        }
        if (block->window.order_by.value != NULL)
            text_format(into, " in the order of %s", block->window.order_by.value);
    } else if (block->has_aggregate) {
        put_functions(into, &block->aggregate.functions);
        text_append_c(into, " of ");
        put_from(into, &block->from, &block->sql, block->name.value);
        put_aggregated(into, set);
    } else {
        put_from(into, &block->from, &block->sql, block->name.value);
    }
    if (block->filter.value != NULL)
        text_format(into, " where `%s`", block->filter.value);
}

/* The text as one of the arena's. */
static const char *catalogue_keep_text(reading *reading, text_buffer *text)
{
    const char *kept =
        text->failed ? NULL : arena_text(reading->arena, text->length == 0 ? "" : text->bytes);
    reading->no_memory |= kept == NULL;
    text_release(text);
    return kept == NULL ? "" : kept;
}

/* ---- which columns it gives ------------------------------------------------------------------ */

/* "x__avg", "paid_x__avg" of the feature x. */
static bool begins_output(const char *column, const char *feature)
{
    const size_t length = strlen(feature);
    for (const char *at = strstr(column, feature); at != NULL; at = strstr(at + 1, feature))
        if ((at == column || at[-1] == '_') && strncmp(at + length, "__", 2) == 0)
            return true;
    return false;
}

static bool is_h3_output(const char *column, const h3_block *h3)
{
    static const char start[] = "lat_lng__h3_hash__";
    if (strncmp(column, start, sizeof start - 1) != 0)
        return false;
    for (uint32_t i = 0; i < h3->resolutions.n; i++)
        if (strcmp(column + sizeof start - 1, h3->resolutions.items[i].value) == 0)
            return true;
    return false;
}

static bool gives(const feature_block *block, const char *column)
{
    if (feature_is_column(block))
        return strcmp(column, block->name.value) == 0;
    return block->has_h3 ? is_h3_output(column, &block->h3)
                         : begins_output(column, block->name.value);
}

/* The feature with the longest name that may give the column: x_y__avg is of x_y, not of y. */
static const feature_block *giver_of(const feature_set_block *set, const char *column)
{
    const feature_block *features = set->features.items, *found = NULL;
    for (uint32_t i = 0; i < set->features.n; i++)
        if (gives(&features[i], column) &&
            (found == NULL || strlen(features[i].name.value) > strlen(found->name.value) ||
             features[i].has_window || features[i].has_function))
            found = &features[i];
    return found;
}

static uint32_t n_keys(const reading *reading)
{
    return feature_set_n_keys(reading->out->pipeline->features);
}

static void set_key_outputs(reading *reading, catalogue_item *item, const key_block *key)
{
    const schema *outputs = reading->out->outputs;
    uint32_t *found = arena_alloc(reading->arena, (outputs->n_fields + (size_t)1) * sizeof *found);
    reading->no_memory |= found == NULL;
    for (uint32_t i = 0; found != NULL && i < n_keys(reading); i++) {
        const char *column = outputs->fields[i].name;
        if (key_is_column(key) ? strcmp(column, key->name.value) == 0
            : key->has_h3      ? is_h3_output(column, &key->h3)
                               : begins_output(column, key->name.value))
            found[item->n_outputs++] = i;
    }
    item->outputs = found;
}

static void set_outputs(reading *reading, catalogue_item *item, const feature_block *block)
{
    const schema *outputs = reading->out->outputs;
    uint32_t *found = arena_alloc(reading->arena, (outputs->n_fields + (size_t)1) * sizeof *found);
    reading->no_memory |= found == NULL;
    for (uint32_t i = n_keys(reading) + 1; found != NULL && i < outputs->n_fields; i++)
        if (giver_of(reading->set, outputs->fields[i].name) == block)
            found[item->n_outputs++] = i;
    item->outputs = found;
}

/* ---- the items ------------------------------------------------------------------------------- */

static void catalogue_add_item(reading *reading, catalogue_item item)
{
    if (item.description == NULL)
        item.description = "";
    reading->out->items[reading->out->n_items++] = item;
}

static void catalogue_add_key(reading *reading, const key_block *key)
{
    catalogue_item item = {
        .kind = CATALOGUE_KEY, .name = key->name.value, .description = key->description.value};
    text_buffer how;
    bool *made = new_made(reading);
    if (made == NULL)
        return;
    text_init(&how, TEXT_LIMIT_DEFAULT);
    if (key->has_h3) {
        put_h3(&how, &key->h3);
        add_names(reading, key->h3.lat.value, made);
        add_names(reading, key->h3.lng.value, made);
    } else if (key->has_stack) {
        text_append_c(&how, "a row for each of ");
        put_names(&how, &key->stack.columns);
        add_list(reading, &key->stack.columns, made);
    } else {
        put_from(&how, &key->from, &key->sql, key->name.value);
        add_names(reading,
                  key->sql.value != NULL    ? key->sql.value
                  : key->from.value != NULL ? key->from.value
                                            : key->name.value,
                  made);
    }
    item.how = catalogue_keep_text(reading, &how);
    item.made = made;
    set_key_outputs(reading, &item, key);
    catalogue_add_item(reading, item);
}

static void add_timestamp(reading *reading)
{
    const char *from = reading->set->timestamp.from.value;
    catalogue_item item = {.kind = CATALOGUE_TIMESTAMP,
                           .name = "timestamp",
                           .description = "The time of the event (UTC)"};
    bool *made = new_made(reading);
    item.how = from == NULL ? "timestamp" : from;
    item.made = made;
    if (made != NULL)
        catalogue_add_name(reading, item.how, strlen(item.how), made);
    uint32_t *outputs = arena_alloc(reading->arena, sizeof *outputs);
    reading->no_memory |= outputs == NULL;
    if (outputs != NULL)
        *outputs = n_keys(reading);
    item.outputs = outputs;
    item.n_outputs = outputs != NULL;
    catalogue_add_item(reading, item);
}

static void add_all_names(const reading *reading, const feature_block *block, bool *made)
{
    const feature_set_block *set = reading->set;
    if (block->has_h3) {
        add_names(reading, block->h3.lat.value, made);
        add_names(reading, block->h3.lng.value, made);
    } else if (block->has_stack) {
        add_list(reading, &block->stack.columns, made);
    } else {
        add_names(reading,
                  block->sql.value != NULL    ? block->sql.value
                  : block->from.value != NULL ? block->from.value
                                              : block->name.value,
                  made);
    }
    if (block->filter.value != NULL)
        add_names(reading, block->filter.value, made);
    if (block->has_window) {
        add_list(reading, &block->window.partition_by, made);
        if (block->window.order_by.value != NULL)
            add_names(reading, block->window.order_by.value, made);
    }
    if (block->has_aggregate && set->aggregated.has_pivot)
        add_names(reading, set->aggregated.pivot.column.value, made);
    if (block->has_aggregate && set->aggregated.has_distinct)
        add_list(reading, &set->aggregated.distinct.subset, made);
}

static void add_feature(reading *reading, const feature_block *block)
{
    catalogue_item item = {.kind = CATALOGUE_FEATURE,
                           .name = block->name.value,
                           .description = block->description.value};
    text_buffer how;
    bool *made = new_made(reading);
    if (made == NULL)
        return;
    text_init(&how, TEXT_LIMIT_DEFAULT);
    put_feature(&how, reading->set, block);
    item.how = catalogue_keep_text(reading, &how);
    add_all_names(reading, block, made);
    item.made = made;
    set_outputs(reading, &item, block);
    catalogue_add_item(reading, item);
}

static void describe_writers(reading *reading)
{
    catalogue *out = reading->out;
    const freshet_pipeline *pipeline = out->pipeline;
    out->writers = arena_zero(reading->arena, pipeline->n_sinks + (size_t)1, sizeof *out->writers);
    reading->no_memory |= out->writers == NULL;
    for (uint32_t i = 0; out->writers != NULL && i < pipeline->n_sinks; i++) {
        text_buffer text;
        text_init(&text, TEXT_LIMIT_DEFAULT);
        writer_describe(pipeline->sinks[i].ops, pipeline->sinks[i].options,
                        pipeline->declaration->is_stream, &text);
        out->writers[out->n_writers++] = catalogue_keep_text(reading, &text);
    }
}

freshet_code catalogue_read(const freshet_pipeline *pipeline, const char *file, arena *arena,
                            catalogue *out, freshet_error *err)
{
    const feature_set_block *set = &pipeline->declaration->feature_set;
    *out = (catalogue){.pipeline = pipeline,
                       .file = file,
                       .query = source_schema(pipeline->source),
                       .outputs = feature_set_schema(pipeline->features)};
    reading reading = {.arena = arena, .out = out, .set = set};
    freshet_code code = source_lineage(pipeline->source, arena, &out->lineage, err);
    if (code != FRESHET_OK)
        return code;
    out->items = arena_zero(arena, set->keys.n + (size_t)set->features.n + 1, sizeof *out->items);
    if (out->items == NULL)
        return error_memory(err, READING);
    for (uint32_t i = 0; i < set->keys.n; i++)
        catalogue_add_key(&reading, &((const key_block *)set->keys.items)[i]);
    add_timestamp(&reading);
    for (uint32_t i = 0; i < set->features.n && !reading.no_memory; i++)
        add_feature(&reading, &((const feature_block *)set->features.items)[i]);
    describe_writers(&reading);
    return reading.no_memory ? error_memory(err, READING) : FRESHET_OK;
}
