/* fill_history.c - the past of a stream from the history that it has written; see fill.h.
 *
 * A row of the history is a feature row: one for each event that the stream took, with keys, time
 * and features. So the query is left out. The declaration that is run has a reader of the history's
 * files, a query that only gives their columns their names, and the same features: plain ones and
 * those of SQL stand in the history as they are; windows look at them, or at columns of the query
 * that a plain feature has without a change of its type. Columns that nobody looks at are null.
 */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "dialect/dialect.h"
#include "pipeline/fill_history.h"
#include "readers/file/file.h"
#include "writers/history/history.h"

#define READING "reading the past from the history"
#define READER "history"

typedef struct naming {
    const declaration *declaration;
    const schema *query; /* its columns */
    arena *arena;
    const char **why;
    text_buffer sql;
    uint32_t n;
} naming;

/* ---- which columns --------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80) != 0;
}

/* Is the name a word of the SQL? Where it is one of a text, too, it counts. */
static bool has_word(const char *sql, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = sql; at != NULL && *at != '\0'; at++)
        if (strncasecmp(at, name, length) == 0 && (at == sql || !is_name_byte(at[-1])) &&
            !is_name_byte(at[length]))
            return true;
    return false;
}

static const char *column_of(const feature_block *feature)
{
    return feature->from.value != NULL ? feature->from.value : feature->name.value;
}

/* Does any window look at it? */
static bool is_looked_at(const naming *it, const char *name)
{
    const declared_blocks *features = &it->declaration->feature_set.features;
    for (uint32_t i = 0; i < features->n; i++) {
        const feature_block *feature = &((const feature_block *)features->items)[i];
        const window_block *window = &feature->window;
        if (!feature->has_window)
            continue;
        bool is = feature->sql.value == NULL ? strcmp(column_of(feature), name) == 0
                                             : has_word(feature->sql.value, name);
        is = is || has_word(feature->filter.value, name);
        is = is || (window->order_by.value != NULL && strcmp(window->order_by.value, name) == 0);
        for (uint32_t k = 0; k < window->partition_by.n; k++)
            is = is || strcmp(window->partition_by.items[k].value, name) == 0;
        if (is)
            return true;
    }
    return false;
}

static bool has_type(const declared_type *declared, const field *column)
{
    return declared->value == NULL || type_equal(declared->value, column->type);
}

/* The column of the history that has the query's column; NULL: none, or none as it is. */
static const char *find_source(const naming *it, const field *column)
{
    const feature_set_block *set = &it->declaration->feature_set;
    const feature_block *features = set->features.items;
    const key_block *keys = set->keys.items;
    for (uint32_t i = 0; i < set->keys.n; i++)
        if (keys[i].sql.value == NULL && has_type(&keys[i].type, column) &&
            strcmp(keys[i].from.value != NULL ? keys[i].from.value : keys[i].name.value,
                   column->name) == 0)
            return keys[i].name.value;
    for (uint32_t i = 0; i < set->features.n; i++)
        if (feature_is_column(&features[i]) && !features[i].has_h3 &&
            features[i].sql.value == NULL && has_type(&features[i].type, column) &&
            strcmp(column_of(&features[i]), column->name) == 0)
            return features[i].name.value;
    if (strcmp(set->timestamp.from.value, column->name) == 0 &&
        column->type->kind == TYPE_TIMESTAMP && set->timestamp.unit == 0 &&
        set->timestamp.mask.value == NULL)
        return "timestamp";
    return NULL;
}

static bool is_own_name(const naming *it, const char *name)
{
    const feature_set_block *set = &it->declaration->feature_set;
    bool is = strcmp(name, "timestamp") == 0;
    for (uint32_t i = 0; i < set->keys.n; i++)
        is = is || strcmp(((const key_block *)set->keys.items)[i].name.value, name) == 0;
    for (uint32_t i = 0; i < set->features.n; i++) {
        const feature_block *feature = &((const feature_block *)set->features.items)[i];
        is = is || (feature_is_column(feature) && strcmp(feature->name.value, name) == 0);
    }
    return is;
}

/* ---- the query ------------------------------------------------------------------------------- */

static void put_name(naming *it, const char *name)
{
    const char quote = it->declaration->dialect == DIALECT_SPARK ? '`' : '"';
    text_append_char(&it->sql, quote);
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == quote)
            text_append_char(&it->sql, quote);
        text_append_char(&it->sql, *c);
    }
    text_append_char(&it->sql, quote);
}

static void put_column(naming *it, const char *name)
{
    text_append_c(&it->sql, it->n++ == 0 ? "select " : ", ");
    put_name(it, name);
}

static void put_own(naming *it)
{
    const feature_set_block *set = &it->declaration->feature_set;
    for (uint32_t i = 0; i < set->keys.n; i++)
        put_column(it, ((const key_block *)set->keys.items)[i].name.value);
    put_column(it, "timestamp");
    for (uint32_t i = 0; i < set->features.n; i++) {
        const feature_block *feature = &((const feature_block *)set->features.items)[i];
        if (feature_is_column(feature) && is_looked_at(it, feature->name.value))
            put_column(it, feature->name.value);
    }
}

/* False: a column that windows look at is not there. */
static bool put_query_column(naming *it, const field *column)
{
    const char *source = find_source(it, column);
    const bool is_wanted = is_looked_at(it, column->name);
    if (is_own_name(it, column->name)) {
        if (!is_wanted || (source != NULL && strcmp(source, column->name) == 0))
            return true;
        source = NULL;
    }
    if (is_wanted && source == NULL) {
        *it->why = arena_format(it->arena,
                                "windows look at the column \"%s\", which no plain feature of the "
                                "history has with its own type",
                                column->name);
        return false;
    }
    if (!is_wanted)
        return true;
    put_column(it, source);
    text_append_c(&it->sql, " as ");
    put_name(it, column->name);
    return true;
}

/* ---- the declaration ------------------------------------------------------------------------- */

static bool may_read(const naming *it)
{
    const feature_set_block *set = &it->declaration->feature_set;
    bool is_plain = true;
    if (set->has_aggregated)
        *it->why = "its rows are groups, and not the events of which they are made";
    if (set->has_aggregated)
        return false;
    for (uint32_t i = 0; i < set->keys.n; i++)
        is_plain = is_plain && key_is_column(&((const key_block *)set->keys.items)[i]) &&
                   !((const key_block *)set->keys.items)[i].has_stack &&
                   !((const key_block *)set->keys.items)[i].has_h3;
    for (uint32_t i = 0; i < set->features.n; i++)
        is_plain = is_plain && !((const feature_block *)set->features.items)[i].has_stack;
    if (!is_plain)
        *it->why = "stacks and functions make other rows of those that the query gives";
    return is_plain;
}

/* Keys and windows only; plain features and those of SQL where a window looks at them. */
static bool set_features(const naming *it, feature_set_block *set)
{
    key_block *keys = arena_alloc(it->arena, set->keys.n * sizeof *keys);
    feature_block *features = arena_alloc(it->arena, set->features.n * sizeof *features);
    uint32_t n = 0;
    if (keys == NULL || features == NULL)
        return false;
    memcpy(keys, set->keys.items, set->keys.n * sizeof *keys);
    for (uint32_t i = 0; i < set->keys.n; i++) {
        keys[i].from.value = keys[i].name.value;
        keys[i].sql.value = NULL;
    }
    for (uint32_t i = 0; i < set->features.n; i++) {
        feature_block feature = ((const feature_block *)set->features.items)[i];
        if (!feature.has_window &&
            (!feature_is_column(&feature) || !is_looked_at(it, feature.name.value)))
            continue;
        if (!feature.has_window) {
            feature.from.value = feature.name.value;
            feature.sql.value = NULL;
            feature.has_h3 = false;
        }
        features[n++] = feature;
    }
    set->keys.items = keys;
    set->features.items = features;
    set->features.n = n;
    set->timestamp.from.value = "timestamp";
    set->timestamp.unit = 0;
    set->timestamp.mask.value = NULL;
    set->has_hooks = set->has_deduplicate = false;
    return true;
}

static freshet_code make_declaration(naming *it, const freshet_declaration *handle,
                                     const declared_kind *files, freshet_declaration **out,
                                     freshet_error *err)
{
    reader_block *reader = arena_zero(it->arena, 1, sizeof *reader);
    text_append_c(&it->sql, " from " READER);
    const char *query =
        it->sql.failed ? NULL : arena_copy(it->arena, it->sql.bytes, it->sql.length);
    declaration *parsed = NULL;
    *out = declaration_copy(handle, it->arena, &parsed);
    if (reader == NULL || query == NULL || parsed == NULL ||
        !set_features(it, &parsed->feature_set))
        return error_memory(err, READING);
    *reader = (reader_block){.stream = true, .kind = *files};
    reader->id.value = READER;
    reader->id.at = files->at;
    parsed->source = (source_block){.readers = {.items = reader, .n = 1}};
    parsed->source.query = it->declaration->source.query;
    parsed->source.query.value = query;
    parsed->sink.has_hooks = false;
    return FRESHET_OK;
}

freshet_code fill_history(const freshet_pipeline *checked, arena *arena, fill_past *out,
                          freshet_error *err)
{
    naming it = {.declaration = checked->declaration,
                 .query = source_schema(checked->source),
                 .arena = arena,
                 .why = &out->why};
    const writer_block *writers = it.declaration->sink.writers.items;
    const writer_block *history = NULL;
    bool has_corrections = false;
    *out = (fill_past){0};
    for (uint32_t i = 0; i < it.declaration->sink.writers.n && history == NULL; i++)
        if (registry_writer(&writers[i].kind) == &history_writer_ops)
            history = &writers[i];
    if (history == NULL) {
        out->why = "the declaration has no writer `history`";
        return FRESHET_OK;
    }
    out->folder = history_path(history->kind.options, it.declaration, arena, &has_corrections);
    if (out->folder == NULL)
        return error_memory(err, READING);
    if (has_corrections || history->select.n > 0)
        out->why = has_corrections ? "it has rows of one event several times (`corrections: true`)"
                                   : "it has some of the columns only (`select`)";
    if (out->why != NULL || !may_read(&it))
        return FRESHET_OK;
    text_init(&it.sql, TEXT_LIMIT_DEFAULT);
    put_own(&it);
    bool has_all = true;
    for (uint32_t i = 0; has_all && i < it.query->n_fields; i++)
        has_all = put_query_column(&it, &it.query->fields[i]);
    out->path = arena_format(arena, "%s/**/*.parquet", out->folder);
    freshet_code code = out->path == NULL ? error_memory(err, READING) : FRESHET_OK;
    if (code == FRESHET_OK && has_all) {
        file_options *options = NULL;
        code = fill_read_path(arena, it.declaration, out->path, &options, err);
        out->kind = (declared_kind){
            .at = history->kind.at, .kind = &file_reader_ops.block, .options = options};
        if (code == FRESHET_OK)
            options->order = LIST_BY_NAME;
        if (code == FRESHET_OK)
            code = make_declaration(&it, checked->handle, &out->kind, &out->declaration, err);
    }
    text_release(&it.sql);
    return code;
}
