/* checkpoint_heirs.c - parts of the state that go on from another one, which the declaration has no
 * use for any more (keyed/state_part.h).
 *
 * HERITAGE. The first windows of a plain set know nothing yet of its keys; what the plain set knew
 * of each key's newest row stays in the store, and is read where the windows have nothing of a key.
 * When such a key is saved for the first time, its heritage goes, in the same write: so there is
 * always one of the two, and a kill in between changes nothing.
 *
 *     newest    a  b  c  d          newest    a     c
 *     windows                       windows      b     d        b and d have had events since
 *
 * SUCCESSION. Where windows go, what they kept is removed at once, and would be too much to stay.
 * Before that all keys are gone through and go over, in writes of SUCCEED_KEYS, to the part of the
 * plain set. As long as the part of before is there, it is the one that counts: a run that is
 * killed in between begins again, with whichever of the two declarations.
 */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "pipeline/checkpoint_internal.h"

#define SUCCEEDING "taking over what was kept of each key"
#define SUCCEED_KEYS 16384u

static bool has_part_named(const checkpoint *checkpoint, const char *name)
{
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        if (strcmp(checkpoint->parts[i].part->name, name) == 0)
            return true;
    return false;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* What the store says of a part: its fingerprint, and its shape in the arena; FRESHET_END. */
static freshet_code heirs_look(checkpoint *checkpoint, const char *name, arena *arena,
                               uint64_t *fingerprint, const char **shape, freshet_error *err)
{
    const text_buffer *fact = &checkpoint->text;
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_PART, name, err);
    if (code != FRESHET_OK)
        return code;
    if (fact->length < sizeof *fingerprint)
        return FRESHET_END;
    memcpy(fingerprint, fact->bytes, sizeof *fingerprint);
    *shape = arena_text(arena, fact->bytes + sizeof *fingerprint);
    return *shape == NULL ? error_memory(err, SUCCEEDING) : FRESHET_OK;
}

freshet_code checkpoint_compare_heirs(checkpoint *checkpoint, evolution *out, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        checkpoint_part *part = &checkpoint->parts[i];
        const state_part *heritage = part->part->heritage;
        const char *name = heritage != NULL ? heritage->name : part->part->succeeds;
        const char *shape;
        uint64_t fingerprint;
        if (name == NULL || has_part_named(checkpoint, name))
            continue;
        code = heirs_look(checkpoint, name, out->arena, &fingerprint, &shape, err);
        if (code == FRESHET_END) {
            code = FRESHET_OK;
        } else if (code == FRESHET_OK && heritage == NULL) {
            part->succeeds = true;
            out->succeeded = name;
            out->succeeded_shape = shape;
        } else if (code == FRESHET_OK && fingerprint != heritage->fingerprint) {
            part->inherits = true;
            evolution_say(out, name, VERDICT_REFUSED, NULL, "",
                          "it keeps \"%s\", and %s would keep \"%s\"", shape, part->part->name,
                          heritage->shape);
        } else if (code == FRESHET_OK) {
            part->inherits = true;
            evolution_say(out, name, VERDICT_SERVED, NULL, "",
                          "%s goes on from it, a key with its next event: older rows overwrite "
                          "nothing in an online store",
                          part->part->name);
        }
    }
    return code;
}

bool checkpoint_is_inherited(const checkpoint *checkpoint, const char *name, size_t length)
{
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        const checkpoint_part *part = &checkpoint->parts[i];
        if (part->inherits && strlen(part->part->heritage->name) == length &&
            memcmp(part->part->heritage->name, name, length) == 0)
            return true;
    }
    return false;
}

/* ---- heritage -------------------------------------------------------------------------------- */

static freshet_code load_heritage(void *context, const void *key, size_t key_length,
                                  text_buffer *into, freshet_error *err)
{
    const checkpoint_part *part = context;
    return store_get(part->checkpoint->store, STORE_STATE, part->part->heritage->name, key,
                     key_length, into, err);
}

void checkpoint_open_heirs(const checkpoint *checkpoint)
{
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        if (checkpoint->parts[i].inherits)
            state_part_set_heritage(checkpoint->parts[i].part, load_heritage);
}

freshet_code checkpoint_drop_heritage(const checkpoint_part *part, const state_key *key,
                                      store_run *run, freshet_error *err)
{
    if (!part->inherits || state_part_is_saved(part->part, key))
        return FRESHET_OK;
    text_append(store_run_key(run, STORE_STATE, part->part->heritage->name), key->bytes,
                key->length);
    return store_run_remove(run, err);
}

/* ---- succession ------------------------------------------------------------------------------ */

typedef struct succession {
    const checkpoint_part *part;
    text_buffer next; /* the key to go on with */
    text_buffer bytes;
    uint32_t n; /* in this write */
    uint64_t n_all;
} succession;

static freshet_code succeed_key(void *context, const store_entry *entry, freshet_error *err)
{
    succession *it = context;
    const state_part *part = it->part->part;
    text_reset(&it->bytes);
    freshet_code code = state_part_succeed(part, entry->value, entry->length, &it->bytes, err);
    if (code == FRESHET_OK)
        code = store_put(it->part->checkpoint->store, STORE_STATE, part->name, entry->key,
                         entry->key_length, it->bytes.bytes, it->bytes.length, err);
    if (code != FRESHET_OK)
        return code;
    it->n_all++;
    if (++it->n < SUCCEED_KEYS)
        return FRESHET_OK;
    text_reset(&it->next); /* the least key behind it has a byte more */
    text_append(&it->next, entry->key, entry->key_length);
    return text_append_char(&it->next, '\0') ? FRESHET_END : error_memory(err, SUCCEEDING);
}

static freshet_code put_part_fact(const checkpoint_part *of, text_buffer *text, freshet_error *err)
{
    const state_part *part = of->part;
    text_reset(text);
    text_append(text, (const char *)&part->fingerprint, sizeof part->fingerprint);
    if (!text_append_c(text, part->shape))
        return error_memory(err, SUCCEEDING);
    return store_put(of->checkpoint->store, STORE_FACT, FACT_PART, part->name, strlen(part->name),
                     text->bytes, text->length, err);
}

/* Up to SUCCEED_KEYS keys in one write; the last one says that the part is there. */
static freshet_code succeed_some(succession *it, freshet_error *err)
{
    state_store *store = it->part->checkpoint->store;
    it->n = 0;
    freshet_code code = store_begin(store, err);
    if (code == FRESHET_OK)
        code = store_visit_from(store, STORE_STATE, it->part->part->succeeds, it->next.bytes,
                                it->next.length, succeed_key, it, err);
    if (code == FRESHET_OK && it->n < SUCCEED_KEYS)
        code = put_part_fact(it->part, &it->bytes, err);
    if (code == FRESHET_OK)
        code = store_commit(store, err);
    return code == FRESHET_OK ? store_wait(store, err) : code;
}

freshet_code checkpoint_succeed(const freshet_pipeline *pipeline, freshet_error *err)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        succession it = {.part = &checkpoint->parts[i], .n = SUCCEED_KEYS};
        if (!it.part->succeeds)
            continue;
        text_init(&it.next, TEXT_LIMIT_DEFAULT);
        text_init(&it.bytes, TEXT_LIMIT_DEFAULT);
        if (!text_append_c(&it.next, ""))
            code = error_memory(err, SUCCEEDING);
        while (code == FRESHET_OK && it.n == SUCCEED_KEYS)
            code = succeed_some(&it, err);
        text_release(&it.next);
        text_release(&it.bytes);
        if (code == FRESHET_OK)
            log_event(NEWEST_TAKEN_OVER, pipeline->declaration->pipeline.value, it.n_all,
                      it.n_all == 1 ? "" : "s", it.part->part->succeeds);
    }
    return code;
}
