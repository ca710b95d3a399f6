/* checkpoint_fits.c - does what is kept fit the declaration; see checkpoint.h, keyed/evolution.h.
 *
 * State fits a declaration when every row that it was made of would have been treated alike, or
 * when what differs can count from here on: the same readers (new ones may come behind), the same
 * meanings (checkpoint_meaning.c), parts of keyed state that say of themselves what they can serve,
 * the same kind of sink. All of that is compared, and each difference is a verdict. Then the run
 * obeys, or `freshet plan` prints them.
 *
 * VERSIONS. The state says by which layout of facts and saved bytes it was written: a number, grown
 * by one with each change of these. How older ones are read is in `versions`; newer ones are
 * refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/fill.h"

#define COMPARING "comparing the state with the declaration"
#define SHAPE_SHOWN_BYTES 150
#define REFUSALS_SHOWN 3

/* A fact as text in the scratch; "" where there is none. */
freshet_code checkpoint_get_fact(checkpoint *checkpoint, const char *name, const char *key,
                                 freshet_error *err)
{
    text_reset(&checkpoint->text);
    freshet_code code =
        store_get(checkpoint->store, STORE_FACT, name, key, strlen(key), &checkpoint->text, err);
    if (code == FRESHET_END || (code == FRESHET_OK && checkpoint->text.bytes == NULL)) {
        text_reset(&checkpoint->text);
        code = text_append_c(&checkpoint->text, "") ? FRESHET_OK : error_memory(err, COMPARING);
    }
    return code;
}

/* ---- whose state it is ----------------------------------------------------------------------- */

typedef struct fitting {
    freshet_pipeline *pipeline;
    evolution *out;
    uint32_t version; /* of the state */
} fitting;

/* What was kept as that fact must be what is so now. */
static freshet_code check_text(const fitting *fitting, const char *name, const char *now,
                               const char *reason, freshet_error *err)
{
    const char *kept;
    char said[400];
    freshet_code code = checkpoint_get_fact(fitting->pipeline->checkpoint, name, "", err);
    kept = fitting->pipeline->checkpoint->text.bytes;
    if (code != FRESHET_OK || strcmp(kept, now) == 0)
        return code;
    snprintf(said, sizeof said, reason, kept);
    evolution_say(fitting->out, "", VERDICT_REFUSED, NULL, "", "%s", said);
    return FRESHET_OK;
}

/* ---- readers --------------------------------------------------------------------------------- */

/* Watermarks know a reader by its place in the list; positions by its id. */
static freshet_code compare_reader(const fitting *fitting, uint32_t i, uint32_t *n_new,
                                   freshet_error *err)
{
    const freshet_pipeline *pipeline = fitting->pipeline;
    const freshet_reader *reader = pipeline->readers[i].reader;
    const place *at = &reader->block->id.at;
    const char *id = reader->block->id.value;
    const char *kind = reader->ops->block.name;
    freshet_code code = checkpoint_get_fact(pipeline->checkpoint, FACT_READER, id, err);
    if (code != FRESHET_OK)
        return code;
    char *end;
    const unsigned long place = strtoul(pipeline->checkpoint->text.bytes, &end, 10);
    const char *was = *end == ' ' ? end + 1 : end;
    if (pipeline->checkpoint->text.length == 0)
        ++*n_new;
    else if (was == end || strcmp(was, kind) != 0)
        evolution_say(fitting->out, "", VERDICT_REFUSED, at, "",
                      "the reader \"%s\" was of the kind \"%s\" and is now %s", id, was, kind);
    else if (place != i)
        evolution_say(
            fitting->out, "", VERDICT_REFUSED, at, "",
            "the reader \"%s\" was number %lu in the list of readers and is now number %u "
            "(new ones go behind the others)",
            id, place + 1, i + 1);
    return FRESHET_OK;
}

static bool is_key(const char *name, const store_entry *entry)
{
    return strlen(name) == entry->key_length && memcmp(name, entry->key, entry->key_length) == 0;
}

typedef struct gone_readers {
    const freshet_pipeline *pipeline;
    uint32_t n;
    char id[128]; /* of one of them */
} gone_readers;

static freshet_code note_reader(void *context, const store_entry *entry, freshet_error *err)
{
    gone_readers *gone = context;
    (void)err;
    for (uint32_t i = 0; i < gone->pipeline->n_readers; i++)
        if (source_drives(gone->pipeline->source, i) &&
            is_key(gone->pipeline->readers[i].reader->block->id.value, entry))
            return FRESHET_OK;
    gone->n++;
    snprintf(gone->id, sizeof gone->id, "%.*s", (int)entry->key_length, entry->key);
    return FRESHET_OK;
}

/* One reader gone and a new one there is one renamed: its rows would come twice. */
static freshet_code compare_readers(const fitting *fitting, freshet_error *err)
{
    const freshet_pipeline *pipeline = fitting->pipeline;
    uint32_t n_new = 0;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i))
            code = compare_reader(fitting, i, &n_new, err);
    gone_readers gone = {.pipeline = pipeline};
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_READER, note_reader, &gone,
                           err);
    if (code != FRESHET_OK || gone.n == 0)
        return code;
    if (n_new > 0)
        evolution_say(fitting->out, "", VERDICT_REFUSED, NULL, "",
                      "the reader \"%s\" is gone and another one new; where it only has another "
                      "name, all of it would be read again",
                      gone.id);
    else
        evolution_say(fitting->out, "", VERDICT_REMOVED, NULL, "",
                      "the reader \"%s\" is gone; what its rows left in the state stays", gone.id);
    return FRESHET_OK;
}

/* ---- parts ----------------------------------------------------------------------------------- */

typedef struct layout_search {
    const state_part *part;
    arena *arena;
    const char *found;
    uint32_t n;
} layout_search;

static freshet_code find_layout(void *context, const store_entry *entry, freshet_error *err)
{
    layout_search *search = context;
    const size_t length = strlen(search->part->name);
    if (entry->key_length <= length || memcmp(entry->key, search->part->name, length) != 0 ||
        entry->key[length] != '\n')
        return FRESHET_OK;
    search->n++;
    search->found = arena_copy(search->arena, entry->value, entry->length);
    return search->found == NULL ? error_memory(err, COMPARING) : FRESHET_OK;
}

/* Before version 1 the last of several layouts was not known. */
static freshet_code last_layout_0(const fitting *fitting, const state_part *part, const char **out,
                                  freshet_error *err)
{
    layout_search search = {.part = part, .arena = fitting->out->arena};
    freshet_code code = store_visit(fitting->pipeline->checkpoint->store, STORE_FACT, FACT_LAYOUT,
                                    find_layout, &search, err);
    *out = search.n == 1 ? search.found : NULL;
    return code;
}

static freshet_code last_layout_1(const fitting *fitting, const state_part *part, const char **out,
                                  freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = store_get(fitting->pipeline->checkpoint->store, STORE_FACT,
                                  FACT_LAST_LAYOUT, part->name, strlen(part->name), &text, err);
    *out = code != FRESHET_OK
               ? NULL
               : arena_copy(fitting->out->arena, text.length == 0 ? "" : text.bytes, text.length);
    text_release(&text);
    if (code == FRESHET_OK && *out == NULL)
        return error_memory(err, COMPARING);
    return code == FRESHET_END ? FRESHET_OK : code;
}

/* How the state of each version is read; the next checkpoint writes it as of the newest. */
static const struct {
    freshet_code (*last_layout)(const fitting *fitting, const state_part *part, const char **out,
                                freshet_error *err);
} versions[CHECKPOINT_VERSION + 1] = {{last_layout_0}, {last_layout_1}};

/* What the state says of the part; *out NULL: it has nothing of it. */
static freshet_code take_past(const fitting *fitting, const state_part *part, state_past *past,
                              const state_past **out, freshet_error *err)
{
    checkpoint *checkpoint = fitting->pipeline->checkpoint;
    const text_buffer *text = &checkpoint->text;
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_PART, part->name, err);
    *out = NULL;
    if (code != FRESHET_OK || text->length < sizeof past->fingerprint)
        return code;
    memcpy(&past->fingerprint, text->bytes, sizeof past->fingerprint);
    past->shape = arena_text(fitting->out->arena, text->bytes + sizeof past->fingerprint);
    *out = past;
    return past->shape == NULL
               ? error_memory(err, COMPARING)
               : versions[fitting->version].last_layout(fitting, part, &past->layout, err);
}

/* A part that was not there has not seen the rows before; one of another shape kept other
 * things. */
static freshet_code compare_shape(const fitting *fitting, const state_part *part,
                                  const state_past *past, freshet_error *err)
{
    arena *arena = fitting->out->arena;
    if (past == NULL) {
        evolution_say(fitting->out, part->name, VERDICT_REFUSED, NULL, "",
                      "nothing was kept for its %s, and the rows before will not come again",
                      part->name);
        return FRESHET_OK;
    }
    if (past->fingerprint == part->fingerprint) {
        evolution_say(fitting->out, part->name, VERDICT_SERVED, NULL, "", "it keeps %s",
                      part->shape);
        return FRESHET_OK;
    }
    const char *was = checkpoint_clip(arena, past->shape, part->shape, SHAPE_SHOWN_BYTES);
    const char *is = checkpoint_clip(arena, part->shape, past->shape, SHAPE_SHOWN_BYTES);
    if (was == NULL || is == NULL)
        return error_memory(err, COMPARING);
    evolution_say(fitting->out, part->name, VERDICT_REFUSED, NULL, "",
                  "for its %s it keeps \"%s\", and is to keep \"%s\"", part->name, was, is);
    return FRESHET_OK;
}

static freshet_code compare_part(const fitting *fitting, const state_part *part, freshet_error *err)
{
    state_past past = {0};
    const state_past *kept;
    checkpoint *checkpoint = fitting->pipeline->checkpoint;
    freshet_code code = take_past(fitting, part, &past, &kept, err);
    if (code != FRESHET_OK)
        return code;
    code = fill_take_mark(checkpoint, part, fitting->out, err);
    if (code != FRESHET_OK)
        return code;
    return part->evolve == NULL ? compare_shape(fitting, part, kept, err)
                                : state_part_evolve(part, kept, fitting->out, err);
}

static freshet_code compare_parts(const fitting *fitting, freshet_error *err)
{
    const checkpoint *checkpoint = fitting->pipeline->checkpoint;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        const state_part *part = checkpoint->parts[i].part;
        code = compare_part(fitting, part, err);
        checkpoint->parts[i].begins_anew = state_part_begins_anew(part);
    }
    return code;
}

/* Is the part declared, or kept for one that is? */
static bool has_part(const checkpoint *checkpoint, const store_entry *entry)
{
    if (checkpoint_is_inherited(checkpoint, entry->key, entry->key_length))
        return true;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        if (is_key(checkpoint->parts[i].part->name, entry))
            return true;
    return false;
}

static freshet_code note_gone_part(void *context, const store_entry *entry, freshet_error *err)
{
    const fitting *fitting = context;
    if (has_part(fitting->pipeline->checkpoint, entry))
        return FRESHET_OK;
    const char *name = arena_copy(fitting->out->arena, entry->key, entry->key_length);
    if (name == NULL)
        return error_memory(err, COMPARING);
    evolution_say(fitting->out, name, VERDICT_REMOVED, NULL, "",
                  "the declaration has no longer %s, and what was kept for it is removed", name);
    return FRESHET_OK;
}

/* ---- versions -------------------------------------------------------------------------------- */

freshet_code checkpoint_fact(state_store *store, const char *name, text_buffer *into,
                             const char *doing, freshet_error *err)
{
    text_reset(into);
    freshet_code code = store_get(store, STORE_FACT, name, "", 0, into, err);
    if (code == FRESHET_END || (code == FRESHET_OK && into->bytes == NULL))
        code = text_append_c(into, "") ? FRESHET_OK : error_memory(err, doing);
    return code;
}

/* Of another layout of facts nothing is read: no declaration can help. */
freshet_code checkpoint_check_version(state_store *store, const char *folder, const char *file,
                                      uint32_t *version, freshet_error *err)
{
    text_buffer fact;
    text_init(&fact, TEXT_LIMIT_DEFAULT);
    freshet_code code = checkpoint_fact(store, FACT_VERSION, &fact, COMPARING, err);
    const unsigned long number = code == FRESHET_OK ? strtoul(fact.bytes, NULL, 10) : 0;
    *version = (uint32_t)number;
    if (code == FRESHET_OK && number > CHECKPOINT_VERSION)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                         "a newer Freshet has saved the state in \"%s\", by version %lu of its "
                         "layout, and this one reads versions up to %u: run the newer Freshet; or "
                         "name another folder by --state",
                         folder, number, CHECKPOINT_VERSION);
    if (code == FRESHET_OK)
        code = checkpoint_fact(store, FACT_FEATURES, &fact, COMPARING, err);
    if (code == FRESHET_OK && !feature_set_knows_facts(fact.bytes, fact.length))
        code = error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
            "another version of Freshet has saved the state in \"%s\", and this one cannot "
            "read it: run that version; or move the folder aside, or remove what is in it "
            "by `freshet state reset --state \"%s\"`, and the stream begins anew",
            folder, folder);
    text_release(&fact);
    return code;
}

/* ---- declarations ---------------------------------------------------------------------------- */

static bool append_shown(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

freshet_code checkpoint_declaration(const freshet_pipeline *pipeline, text_buffer *out,
                                    freshet_error *err)
{
    freshet_code code = freshet_declaration_show(pipeline->handle, append_shown, out, err);
    return out->failed ? error_memory(err, COMPARING) : code;
}

/* One more than that of then, where it is another one. */
static freshet_code number_declaration(const fitting *fitting, freshet_error *err)
{
    checkpoint *checkpoint = fitting->pipeline->checkpoint;
    text_buffer now;
    uint64_t number = 1;
    text_init(&now, TEXT_LIMIT_DEFAULT);
    freshet_code code = checkpoint_declaration(fitting->pipeline, &now, err);
    if (code == FRESHET_OK)
        code = checkpoint_get_fact(checkpoint, FACT_DECLARED, "", err);
    const text_buffer *then = &checkpoint->text;
    bool is_same = false;
    if (code == FRESHET_OK && then->length >= sizeof number) {
        memcpy(&number, then->bytes, sizeof number);
        is_same = then->length - sizeof number == now.length &&
                  memcmp(then->bytes + sizeof number, now.bytes, now.length) == 0;
    }
    checkpoint->declared = fitting->out->declared = number + !is_same;
    checkpoint->is_changed = !is_same;
    text_release(&now);
    return code;
}

/* ---- comparing, and obeying ------------------------------------------------------------------ */

static freshet_code restore_features(const fitting *fitting, freshet_error *err)
{
    const freshet_pipeline *pipeline = fitting->pipeline;
    const text_buffer *text = &pipeline->checkpoint->text;
    freshet_code code = checkpoint_get_fact(pipeline->checkpoint, FACT_FEATURES, "", err);
    if (code != FRESHET_OK)
        return code;
    feature_set_collect(pipeline->features, fitting->out);
    code = feature_set_restore_facts(pipeline->features, text->bytes, text->length, err);
    feature_set_collect(pipeline->features, NULL);
    return code;
}

/* When the state was saved. */
static freshet_code note_moment(const fitting *fitting, freshet_error *err)
{
    checkpoint *checkpoint = fitting->pipeline->checkpoint;
    int64_t last[2] = {0, INT64_MIN};
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_CHECKPOINT, "", err);
    if (code == FRESHET_OK && checkpoint->text.length == sizeof last)
        memcpy(last, checkpoint->text.bytes, sizeof last);
    fitting->out->saved_us = fitting->out->newest_us = last[1];
    return code;
}

freshet_code checkpoint_compare(freshet_pipeline *pipeline, evolution *out, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    fitting fitting = {.pipeline = pipeline, .out = out};
    const char *sink = checkpoint_sink(pipeline);
    freshet_code code = checkpoint_check_version(
        checkpoint->store, checkpoint->folder, pipeline->declaration->file, &fitting.version, err);
    if (code == FRESHET_OK)
        code = note_moment(&fitting, err);
    if (code == FRESHET_OK)
        code = number_declaration(&fitting, err);
    if (code == FRESHET_OK)
        code = check_text(&fitting, FACT_PIPELINE, pipeline->declaration->pipeline.value,
                          "it is of the pipeline \"%s\"", err);
    if (code == FRESHET_OK)
        code =
            check_text(&fitting, FACT_SINK, sink,
                       *sink == 'l' ? "its rows so far went to a %s table, and would be missing "
                                      "in the writers"
                                    : "its rows go to %s writers, which would miss those of this "
                                      "run",
                       err);
    if (code != FRESHET_OK || out->counts[VERDICT_REFUSED] > 0)
        return code; /* another's state: what else differs is no matter */
    code = compare_readers(&fitting, err);
    if (code == FRESHET_OK)
        code = checkpoint_check_meanings(pipeline, out, err);
    if (code == FRESHET_OK)
        code = restore_features(&fitting, err);
    if (code == FRESHET_OK)
        code = checkpoint_compare_heirs(checkpoint, out, err);
    if (code == FRESHET_OK)
        code = compare_parts(&fitting, err);
    if (code == FRESHET_OK)
        code = checkpoint_compare_columns(pipeline, out, err);
    if (code == FRESHET_OK)
        code = store_visit(checkpoint->store, STORE_FACT, FACT_PART, note_gone_part, &fitting, err);
    return code == FRESHET_OK && out->no_memory ? error_memory(err, COMPARING) : code;
}

static freshet_code refuse_all(const freshet_pipeline *pipeline, const evolution *evolution,
                               freshet_error *err)
{
    text_buffer said;
    const place *first = NULL;
    uint32_t n = 0;
    text_init(&said, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < evolution->n; i++) {
        const verdict *verdict = &evolution->items[i];
        if (verdict->kind != VERDICT_REFUSED || ++n > REFUSALS_SHOWN)
            continue;
        text_format(&said, "%s%s%s%s", n == 1 ? "" : "; ", verdict->subject,
                    *verdict->subject == '\0' ? "" : " ", verdict->said);
        if (n == 1)
            first = verdict->at;
        else if (verdict->at != NULL && verdict->at->line != 0 &&
                 (first == NULL || verdict->at->line != first->line))
            text_format(&said, " (line %u)", verdict->at->line);
    }
    if (n > REFUSALS_SHOWN)
        text_format(&said, "; and %u more (`freshet plan` shows all)", n - REFUSALS_SHOWN);
    freshet_code code = said.failed ? error_memory(err, COMPARING)
                                    : checkpoint_refuse(pipeline, first, err, "%s", said.bytes);
    text_release(&said);
    return code;
}

freshet_code checkpoint_obey(const freshet_pipeline *pipeline, const evolution *evolution,
                             freshet_error *err)
{
    if (evolution->counts[VERDICT_REFUSED] > 0)
        return refuse_all(pipeline, evolution, err);
    for (uint32_t i = 0; i < evolution->n; i++) {
        const verdict *verdict = &evolution->items[i];
        const char *name = pipeline->declaration->pipeline.value;
        const char *between = *verdict->subject == '\0' ? "" : ": ";
        if (verdict->kind == VERDICT_FILLED)
            log_event(STATE_FILLS, name, verdict->part, verdict_words[VERDICT_FILLED],
                      verdict->said);
        else if (verdict->kind == VERDICT_REMOVED)
            log_event(STATE_REMOVED, name, verdict->subject, between, verdict->said);
        else if (verdict->kind != VERDICT_SERVED)
            log_event(STATE_CHANGED, name, verdict->subject, between, verdict->said);
    }
    return FRESHET_OK;
}

typedef struct part_names {
    const checkpoint *checkpoint;
    text_buffer gone; /* names, each with its 0 byte */
} part_names;

static freshet_code note_gone(void *context, const store_entry *entry, freshet_error *err)
{
    part_names *names = context;
    if (has_part(names->checkpoint, entry))
        return FRESHET_OK;
    text_append(&names->gone, entry->key, entry->key_length);
    return text_append_char(&names->gone, '\0') ? FRESHET_OK : error_memory(err, COMPARING);
}

/* Parts that the declaration no longer has: rows come from now on that they do not see. */
freshet_code checkpoint_forget_parts(checkpoint *checkpoint, freshet_error *err)
{
    part_names names = {.checkpoint = checkpoint};
    state_store *store = checkpoint->store;
    text_init(&names.gone, TEXT_LIMIT_DEFAULT);
    freshet_code code = store_visit(store, STORE_FACT, FACT_PART, note_gone, &names, err);
    if (code == FRESHET_OK && names.gone.length > 0)
        code = store_begin(store, err);
    for (size_t at = 0; code == FRESHET_OK && at < names.gone.length;) {
        const char *name = names.gone.bytes + at;
        code = store_remove_all(store, STORE_STATE, name, err);
        if (code == FRESHET_OK)
            code = store_remove_all(store, STORE_LISTED, name, err);
        if (code == FRESHET_OK)
            code = store_remove(store, STORE_FACT, FACT_LISTED, name, strlen(name), err);
        if (code == FRESHET_OK)
            code = store_remove(store, STORE_FACT, FACT_PART, name, strlen(name), err);
        if (code == FRESHET_OK)
            code = store_remove(store, STORE_FACT, FACT_LAST_LAYOUT, name, strlen(name), err);
        if (code == FRESHET_OK)
            code = store_remove(store, STORE_FACT, FACT_FILLED, name, strlen(name), err);
        at += strlen(name) + 1;
    }
    if (code == FRESHET_OK && names.gone.length > 0)
        code = store_commit(store, err);
    if (code == FRESHET_OK)
        code = store_wait(store, err);
    text_release(&names.gone);
    return code;
}
