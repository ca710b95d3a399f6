/* checkpoint_inspect.c - what is kept of a key, for people: checkpoint_inspect(); see checkpoint.h.
 *
 * Keys are stored as their part encodes them. So every key of a part is shown as JSON by the part,
 * and compared with what is looked for. A million keys take some seconds.
 */
#include <string.h>
#include <yyjson.h>

#include "base/error.h"
#include "base/number.h"
#include "pipeline/checkpoint_internal.h"

#define INSPECTING "showing the state of a key"

typedef struct inspection {
    checkpoint_search *search;
    const state_part *part;
    text_buffer json;
    bool has_columns; /* all that are looked for */
} inspection;

/* Is the JSON value what was typed? */
static bool is_value(yyjson_val *value, const char *typed)
{
    if (yyjson_is_str(value))
        return strcmp(yyjson_get_str(value), typed) == 0;
    const size_t length = strlen(typed);
    int64_t whole;
    double real;
    if (yyjson_is_int(value))
        return number_integer(typed, length, NUMBER_STRICT, INT64_MIN, INT64_MAX, &whole) &&
               yyjson_get_sint(value) == whole;
    if (yyjson_is_real(value))
        return number_double(typed, length, NUMBER_STRICT, &real) && yyjson_get_real(value) == real;
    return strcmp(yyjson_is_null(value)   ? "null"
                  : yyjson_is_true(value) ? "true"
                                          : "false",
                  typed) == 0;
}

/* Does the key have all the values? */
static bool matches(inspection *inspection, yyjson_val *key)
{
    bool match = true;
    for (uint32_t i = 0; i < inspection->search->n_keys; i++) {
        const checkpoint_key *wanted = &inspection->search->keys[i];
        yyjson_val *value = yyjson_obj_getn(key, wanted->column, wanted->column_length);
        inspection->has_columns &= value != NULL;
        match &= value != NULL && (wanted->value == NULL || is_value(value, wanted->value));
    }
    return match;
}

static freshet_code inspect_show(const inspection *inspection, freshet_error *err)
{
    text_buffer line;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    text_append_c(&line, "{\"part\": ");
    text_append_json(&line, inspection->part->name, strlen(inspection->part->name));
    text_append_c(&line, ", ");
    text_append(&line, inspection->json.bytes + 1, inspection->json.length - 1);
    freshet_code code = FRESHET_OK;
    if (!text_append_char(&line, '\n'))
        code = error_memory(err, INSPECTING);
    else if (!inspection->search->write(inspection->search->context, line.bytes, line.length))
        code = FRESHET_FAILED;
    text_release(&line);
    return code;
}

static freshet_code look_at_key(void *context, const store_entry *entry, freshet_error *err)
{
    inspection *inspection = context;
    text_reset(&inspection->json);
    freshet_code code = state_part_inspect(inspection->part, entry->key, entry->key_length,
                                           entry->value, entry->length, &inspection->json, err);
    if (code != FRESHET_OK)
        return code;
    yyjson_doc *parsed =
        yyjson_read(inspection->json.bytes, inspection->json.length, YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *shown_key = yyjson_obj_get(yyjson_doc_get_root(parsed), "key");
    const bool match = shown_key != NULL && matches(inspection, shown_key);
    yyjson_doc_free(parsed);
    if (shown_key == NULL)
        return error_memory(err, INSPECTING);
    if (!inspection->has_columns)
        return FRESHET_END;
    if (match)
        code = inspect_show(inspection, err);
    inspection->search->found += code == FRESHET_OK && match;
    return code == FRESHET_OK && inspection->search->found >= inspection->search->limit
               ? FRESHET_END
               : code;
}

/* The part's saved bytes must be of its shape. */
static freshet_code check_part(state_store *store, const state_part *part, freshet_error *err)
{
    uint64_t fingerprint = 0;
    text_buffer fact;
    text_init(&fact, TEXT_LIMIT_DEFAULT);
    freshet_code code =
        store_get(store, STORE_FACT, FACT_PART, part->name, strlen(part->name), &fact, err);
    if (code == FRESHET_OK && fact.length >= sizeof fingerprint)
        memcpy(&fingerprint, fact.bytes, sizeof fingerprint);
    if (code == FRESHET_END || (code == FRESHET_OK && fingerprint != part->fingerprint))
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the state was kept for another declaration: it has %s for the part "
                         "\"%s\"",
                         code == FRESHET_END ? "nothing" : "other columns", part->name);
    text_release(&fact);
    return code;
}

/* What the parts keep, and since when, as a run would find it: nothing that is said of it is of
 * interest here. The store stays its owner's. */
static freshet_code take_up_parts(freshet_pipeline *pipeline, state_store *store,
                                  const checkpoint_search *search, freshet_error *err)
{
    evolution verdicts = {.arena = arena_open()};
    freshet_code code = verdicts.arena == NULL ? error_memory(err, INSPECTING)
                                               : checkpoint_make(pipeline, search->folder, err);
    if (code == FRESHET_OK) {
        pipeline->checkpoint->store = store;
        code = checkpoint_compare(pipeline, &verdicts, err);
        pipeline->checkpoint->store = NULL;
    }
    arena_close(verdicts.arena);
    return code;
}

static freshet_code inspect_part(inspection *inspection, state_store *store, const state_part *part,
                                 freshet_error *err)
{
    inspection->part = part;
    return store_visit(store, STORE_STATE, part->name, look_at_key, inspection, err);
}

freshet_code checkpoint_inspect(freshet_pipeline *pipeline, state_store *store,
                                checkpoint_search *search, freshet_error *err)
{
    uint32_t unfit = 0;
    inspection inspection = {.search = search};
    freshet_code code = take_up_parts(pipeline, store, search, err);
    const checkpoint_part *parts = code == FRESHET_OK ? pipeline->checkpoint->parts : NULL;
    const uint32_t n = code == FRESHET_OK ? pipeline->checkpoint->n_parts : 0;
    search->found = 0;
    text_init(&inspection.json, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; code == FRESHET_OK && i < n && search->found < search->limit; i++) {
        const state_part *part = parts[i].part;
        inspection.has_columns = true;
        code = check_part(store, part, err);
        if (code == FRESHET_OK)
            code = checkpoint_know_layouts(store, part, err);
        if (code == FRESHET_OK)
            code = inspect_part(&inspection, store, part, err);
        if (code == FRESHET_OK && parts[i].inherits && search->found < search->limit)
            code = inspect_part(&inspection, store, part->heritage, err);
        unfit += code == FRESHET_OK && !inspection.has_columns;
    }
    text_release(&inspection.json);
    if (code == FRESHET_OK && n == 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "this declaration keeps nothing of its keys: it has no windows");
    if (code == FRESHET_OK && unfit == n)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "no part of the state has all the columns that --key names: \"%s\" keeps "
                         "%.200s",
                         parts[0].part->name, parts[0].part->shape);
    return code;
}
