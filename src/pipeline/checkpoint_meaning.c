/* checkpoint_meaning.c - does what is kept still mean the same? See features/meaning.h for what a
 * meaning is, and which options are a part of one.
 *
 * The first checkpoint of a run puts down its meanings in the place of those before. The next run
 * collects its own and compares those of the same name. A name that is new or gone needs no
 * comparing, since then another one that looks at it has changed, or the shape of a part has. But
 * SELECTs of a UNION ALL come and go by themselves: one more is served where it reads new readers
 * only; one less where its readers are gone. And a column that was read and that its reader no
 * longer has is another reader's now, or one of another spelling.
 *
 * The query as a whole is compared only where it cannot be split into columns and rows.
 *
 * The seam of a `bootstrap` is compared by itself, whatever else is kept: rows were left out by it.
 * One that is taken away as a whole is not missed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pipeline/bootstrap.h"
#include "pipeline/checkpoint_internal.h"
#include "sql/sql_words.h"

#define NOTING "noting what the state is made of"
#define ROWS_OF_SELECT "the rows of SELECT "
#define SHOWN_BYTES 70 /* of a text */
#define SHOWN_SAME 20  /* of these, before the first difference */

/* ---- messages -------------------------------------------------------------------------------- */

freshet_code checkpoint_refuse(const freshet_pipeline *pipeline, const place *at,
                               freshet_error *err, const char *format, ...)
{
    const declaration *declaration = pipeline->declaration;
    char reason[640], where[256];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    const bool is_placed = at != NULL && place_is_set(at);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                     is_placed ? place_text(at, where, sizeof where) : declaration->file,
                     "the state in \"%s\" cannot serve this declaration: %s; put that back; or "
                     "begin anew: move away what the writers hold and `freshet state reset`, or "
                     "name another folder by --state",
                     pipeline->checkpoint->folder, reason);
}

/* A text, or the part of it where it differs from the other one. */
const char *checkpoint_clip(arena *arena, const char *text, const char *other, size_t shown)
{
    const size_t length = strlen(text);
    size_t from = 0;
    if (length <= shown)
        return text;
    while (text[from] != '\0' && text[from] == other[from])
        from++;
    from = from < SHOWN_SAME ? 0 : from - SHOWN_SAME;
    while (from > 0 && (text[from] & 0xC0) == 0x80)
        from--;
    size_t end = from + shown < length ? from + shown : length;
    while (end < length && (text[end] & 0xC0) == 0x80)
        end--;
    return arena_format(arena, "%s%.*s%s", from > 0 ? "..." : "", (int)(end - from), text + from,
                        end < length ? "..." : "");
}

/* ---- comparing ------------------------------------------------------------------------------- */

typedef struct kept_meaning {
    const char *name, *text;
    struct kept_meaning *next;
} kept_meaning;

typedef struct comparison {
    const freshet_pipeline *pipeline;
    arena *arena;
    meanings now;
    kept_meaning *kept;
    evolution *out;
} comparison;

static freshet_code take_meaning(void *context, const store_entry *entry, freshet_error *err)
{
    comparison *comparison = context;
    kept_meaning *kept = arena_zero(comparison->arena, 1, sizeof *kept);
    if (kept == NULL)
        return error_memory(err, NOTING);
    *kept = (kept_meaning){.name = arena_copy(comparison->arena, entry->key, entry->key_length),
                           .text = arena_copy(comparison->arena, entry->value, entry->length),
                           .next = comparison->kept};
    comparison->kept = kept;
    return kept->name == NULL || kept->text == NULL ? error_memory(err, NOTING) : FRESHET_OK;
}

static const kept_meaning *find_kept(const comparison *comparison, const char *name)
{
    for (const kept_meaning *kept = comparison->kept; kept != NULL; kept = kept->next)
        if (strcmp(kept->name, name) == 0)
            return kept;
    return NULL;
}

static bool is_there(const comparison *comparison, const char *name)
{
    for (uint32_t i = 0; i < comparison->now.n; i++)
        if (strcmp(comparison->now.items[i].name, name) == 0)
            return true;
    return false;
}

/* Places of meanings live no longer than the comparison. */
static const place *keep_place(const comparison *comparison, const place *at)
{
    place *kept = arena_zero(comparison->out->arena, 1, sizeof *kept);
    comparison->out->no_memory |= kept == NULL;
    if (kept != NULL)
        *kept = *at;
    return kept;
}

/* Windows serve another feature; of what they keep under its name the numbers would be mixed. */
static bool is_feature(const char *name)
{
    return strncmp(name, "feature \"", strlen("feature \"")) == 0;
}

static void add_difference(comparison *comparison, const meaning *now, const char *then)
{
    const char *was = checkpoint_clip(comparison->arena, then, now->text, SHOWN_BYTES);
    const char *is = checkpoint_clip(comparison->arena, now->text, then, SHOWN_BYTES);
    evolution_say(comparison->out, "", VERDICT_REFUSED, keep_place(comparison, &now->at), now->name,
                  "changed from `%s` to `%s`%s", was == NULL ? "?" : was, is == NULL ? "?" : is,
                  is_feature(now->name) ? " (under another name it fills from now on)" : "");
    comparison->out->no_memory |= was == NULL || is == NULL;
}

/* A reader that the rows of a SELECT name, and that was there (`was`), or still is. */
static freshet_code find_reader(const comparison *comparison, const char *rows, bool was,
                                const char **out, freshet_error *err)
{
    const freshet_pipeline *pipeline = comparison->pipeline;
    uint32_t n;
    const sql_word *words = sql_words(comparison->arena, rows, &n);
    freshet_code code = words == NULL ? error_memory(err, NOTING) : FRESHET_OK;
    *out = NULL;
    for (uint32_t i = 0; code == FRESHET_OK && *out == NULL && i < pipeline->n_readers; i++) {
        const char *id = pipeline->readers[i].reader->block->id.value;
        text_buffer fact;
        bool is_named = false;
        for (uint32_t k = 0; k < n; k++)
            is_named |= sql_word_names(&words[k], id);
        if (!is_named || !source_drives(pipeline->source, i))
            continue;
        text_init(&fact, TEXT_LIMIT_DEFAULT);
        code = store_get(pipeline->checkpoint->store, STORE_FACT, FACT_READER, id, strlen(id),
                         &fact, err);
        text_release(&fact);
        if (code == FRESHET_OK || !was)
            *out = id;
        code = code == FRESHET_END ? FRESHET_OK : code;
    }
    return code;
}

/* A SELECT that came (`was`: its readers' rows were read without it), or went. */
static freshet_code compare_select(comparison *comparison, const char *name, const char *rows,
                                   bool came, const place *at, freshet_error *err)
{
    const char *reader;
    freshet_code code = find_reader(comparison, rows, came, &reader, err);
    if (code == FRESHET_OK && reader != NULL)
        evolution_say(comparison->out, "", VERDICT_REFUSED, keep_place(comparison, at), name,
                      "are %s, and rows of the reader \"%s\" were read %s it",
                      came ? "new" : "gone", reader, came ? "without" : "with");
    return code;
}

static void add_lost(const comparison *comparison, const char *name)
{
    evolution_say(comparison->out, "", VERDICT_REFUSED,
                  &comparison->pipeline->declaration->source.query.at, name,
                  "was read, and is gone");
}

static freshet_code compare_meaning(comparison *comparison, const meaning *now, freshet_error *err)
{
    const kept_meaning *kept = find_kept(comparison, now->name);
    if (now->is_of_query && comparison->now.is_query_split &&
        find_kept(comparison, MEANING_OF_ROWS) != NULL)
        return FRESHET_OK;
    if (kept == NULL && comparison->kept != NULL &&
        strncmp(now->name, ROWS_OF_SELECT, strlen(ROWS_OF_SELECT)) == 0)
        return compare_select(comparison, now->name, now->text, true, &now->at, err);
    const char *then = kept != NULL ? kept->text : NULL;
    if (kept == NULL && comparison->kept != NULL && strcmp(now->name, MEANING_OF_STACKS) == 0)
        then = MEANING_NO_STACKS;
    if (then != NULL && strcmp(then, now->text) != 0)
        add_difference(comparison, now, then);
    return FRESHET_OK;
}

/* Is the name that of the reader's column? */
static bool is_column_of(const freshet_reader *reader, const char *column, const char *name)
{
    const char *id = reader->block->id.value;
    const char *end = strstr(name, "\" " MEANING_OF_READER);
    const size_t length = strlen(MEANING_COLUMN_OF), n = column == NULL ? 0 : strlen(column);
    if (end == NULL || strncmp(name, MEANING_COLUMN_OF, length) != 0)
        return false;
    const char *of = end + strlen("\" " MEANING_OF_READER);
    if (strlen(of) != strlen(id) + 1 || strncmp(of, id, strlen(id)) != 0)
        return false;
    return column == NULL ||
           ((size_t)(end - name) == length + n && strncmp(name + length, column, n) == 0);
}

/* Has the reader of that column lost it, and is still there? */
static bool is_lost(const comparison *comparison, const char *name)
{
    for (uint32_t i = 0; i < comparison->pipeline->n_readers; i++) {
        const freshet_reader *reader = comparison->pipeline->readers[i].reader;
        bool is_lost = is_column_of(reader, NULL, name);
        for (uint32_t k = 0; is_lost && k < reader->schema.n_fields; k++)
            is_lost = !is_column_of(reader, reader->schema.fields[k].name, name);
        if (is_lost)
            return true;
    }
    return false;
}

static freshet_code compare_all(comparison *comparison, freshet_error *err)
{
    const place *query = &comparison->pipeline->declaration->source.query.at;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < comparison->now.n; i++)
        code = compare_meaning(comparison, &comparison->now.items[i], err);
    for (const kept_meaning *kept = comparison->kept;
         code == FRESHET_OK && comparison->now.n > 0 && kept != NULL; kept = kept->next)
        if (strncmp(kept->name, ROWS_OF_SELECT, strlen(ROWS_OF_SELECT)) == 0 &&
            !is_there(comparison, kept->name))
            code = compare_select(comparison, kept->name, kept->text, false, query, err);
        else if (is_lost(comparison, kept->name))
            add_lost(comparison, kept->name);
    return code;
}

static freshet_code collect(const freshet_pipeline *pipeline, arena *arena, meanings *out,
                            freshet_error *err)
{
    freshet_reader *readers[PIPELINE_READERS_MAX];
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        readers[i] = pipeline->readers[i].reader;
    return feature_set_meanings(pipeline->features, pipeline->declaration,
                                source_query(pipeline->source), readers, pipeline->n_readers, arena,
                                out, err);
}

static freshet_code compare_seams(comparison *comparison, freshet_error *err)
{
    const freshet_pipeline *pipeline = comparison->pipeline;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        const bootstrap *of = bootstrap_of(pipeline, i);
        text_buffer then, now;
        if (of == NULL)
            continue;
        const char *id = of->base.block->id.value;
        text_init(&then, TEXT_LIMIT_DEFAULT);
        text_init(&now, TEXT_LIMIT_DEFAULT);
        code = store_get(pipeline->checkpoint->store, STORE_FACT, FACT_SEAM, id, strlen(id), &then,
                         err);
        if (code == FRESHET_OK && !bootstrap_seam(of, &now))
            code = error_memory(err, NOTING);
        if (code == FRESHET_OK &&
            (then.length != now.length || memcmp(then.bytes, now.bytes, now.length) != 0)) {
            const meaning seam = {
                .name = arena_format(comparison->arena, "the bootstrap of the reader \"%s\"", id),
                .text = arena_copy(comparison->arena, now.bytes, now.length),
                .at = of->block->kind.at};
            const char *was = arena_copy(comparison->arena, then.bytes, then.length);
            if (seam.name == NULL || seam.text == NULL || was == NULL)
                code = error_memory(err, NOTING);
            else
                add_difference(comparison, &seam, was);
        }
        code = code == FRESHET_END ? FRESHET_OK : code;
        text_release(&then);
        text_release(&now);
    }
    return code;
}

freshet_code checkpoint_put_seams(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        const bootstrap *of = bootstrap_of(pipeline, i);
        if (of == NULL || !of->is_prepared || of->is_same_kept)
            continue;
        text_reset(&checkpoint->text);
        code = bootstrap_seam(of, &checkpoint->text)
                   ? store_put(checkpoint->store, STORE_FACT, FACT_SEAM, of->base.block->id.value,
                               strlen(of->base.block->id.value), checkpoint->text.bytes,
                               checkpoint->text.length, err)
                   : error_memory(err, NOTING);
    }
    return code;
}

freshet_code checkpoint_check_meanings(const freshet_pipeline *pipeline, evolution *out,
                                       freshet_error *err)
{
    comparison comparison = {.pipeline = pipeline, .arena = arena_open(), .out = out};
    if (comparison.arena == NULL)
        return error_memory(err, NOTING);
    freshet_code code = collect(pipeline, comparison.arena, &comparison.now, err);
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_MEANING, take_meaning,
                           &comparison, err);
    if (code == FRESHET_OK)
        code = compare_all(&comparison, err);
    if (code == FRESHET_OK)
        code = compare_seams(&comparison, err);
    arena_close(comparison.arena);
    return code;
}

/* ---- putting down ---------------------------------------------------------------------------- */

static freshet_code put_layout(checkpoint *checkpoint, const state_part *part, freshet_error *err)
{
    text_buffer *key = &checkpoint->text;
    text_reset(key);
    if (part->layout == NULL)
        return FRESHET_OK;
    text_format(key, "%s\n%016llx", part->name,
                (unsigned long long)hash_bytes(part->layout, strlen(part->layout), HASH_A));
    freshet_code code = key->failed
                            ? error_memory(err, NOTING)
                            : store_put(checkpoint->store, STORE_FACT, FACT_LAYOUT, key->bytes,
                                        key->length, part->layout, strlen(part->layout), err);
    return code == FRESHET_OK
               ? store_put(checkpoint->store, STORE_FACT, FACT_LAST_LAYOUT, part->name,
                           strlen(part->name), part->layout, strlen(part->layout), err)
               : code;
}

freshet_code checkpoint_put_texts(state_store *store, const char *fact, const meanings *texts,
                                  freshet_error *err)
{
    freshet_code code = store_remove_all(store, STORE_FACT, fact, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < texts->n; i++)
        code =
            store_put(store, STORE_FACT, fact, texts->items[i].name, strlen(texts->items[i].name),
                      texts->items[i].text, strlen(texts->items[i].text), err);
    return code;
}

freshet_code checkpoint_put_meanings(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    meanings now;
    freshet_code code = collect(pipeline, checkpoint->arena, &now, err);
    if (code == FRESHET_OK)
        code = checkpoint_put_texts(checkpoint->store, FACT_MEANING, &now, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++)
        code = put_layout(checkpoint, checkpoint->parts[i].part, err);
    return code;
}

/* ---- layouts --------------------------------------------------------------------------------- */

typedef struct layouts {
    const state_part *part;
    arena *arena;
} layouts;

static freshet_code take_layout(void *context, const store_entry *entry, freshet_error *err)
{
    const layouts *layouts = context;
    const state_part *part = layouts->part;
    const size_t length = strlen(part->name);
    if (entry->key_length <= length || memcmp(entry->key, part->name, length) != 0 ||
        entry->key[length] != '\n')
        return FRESHET_OK;
    const char *text = arena_copy(layouts->arena, entry->value, entry->length);
    return text == NULL ? error_memory(err, NOTING) : state_part_know(part, text, err);
}

freshet_code checkpoint_know_layouts(state_store *store, const state_part *part, freshet_error *err)
{
    if (!state_part_has_layouts(part))
        return FRESHET_OK;
    layouts layouts = {part, arena_open()};
    freshet_code code = layouts.arena == NULL ? error_memory(err, NOTING)
                                              : store_visit(store, STORE_FACT, FACT_LAYOUT,
                                                            take_layout, &layouts, err);
    arena_close(layouts.arena);
    return code;
}
