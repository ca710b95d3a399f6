/* checkpoint_listed.c - keys that time alone changes, found although they have left memory.
 *
 * A part may want to know which of its keys a time is over for (ids of events that no row can
 * repeat any more), without having all of them in memory. So the store lists them: beside the
 * saved bytes of a key, under (part's name, key), there is an entry without a value under (part's
 * name, time, key), the time with its first byte in front, so that keys stand in the order of
 * their times. Both come in the same write.
 *
 *     deduplicate, 12:00:07, id b          the next to be over
 *     deduplicate, 12:00:09, id a
 *
 * OVER. At each checkpoint the list is read from where the one before has come to, up to the time
 * that is over. Keys that are not in memory are removed, keys that are will be by their part; then
 * the entries of the list, as one range. Of very many some are left for the next checkpoint; by
 * then the key of one may have gone by its part, and have come again. So of these, and of those
 * that a run before may have left, the saved bytes are looked at: they say under which time they
 * are listed. Others are listed under their own time only, which is over.
 *
 * BROUGHT. Keys whose time makes them output rows (windows that end) are brought into memory when
 * it comes, in pieces (checkpoint_bring); what of the list is behind that goes with the next
 * checkpoint, if no rows are owed by then. The list may name a key under times of before, too:
 * bringing it in vain costs a look. What is being written is not to be seen in the list, so no key
 * of such a part leaves memory meanwhile (checkpoint_trim).
 */
#include <string.h>

#include "base/error.h"
#include "pipeline/checkpoint_internal.h"

#define LISTING "listing keys by their time"
#define TIME_BYTES 8u
#define SWEEP_KEYS_MIN 16384u
#define SWEEP_BYTES_OF_KEY 128u /* about, of a key to remove */

/* Times as bytes that are in their order. */
static void put_time(text_buffer *into, int64_t time)
{
    const uint64_t raised = (uint64_t)time ^ (UINT64_C(1) << 63);
    for (unsigned i = 0; i < TIME_BYTES; i++)
        text_append_char(into, (char)(raised >> (56 - 8 * i) & 0xff));
}

static int64_t get_time(const char *at)
{
    uint64_t raised = 0;
    for (unsigned i = 0; i < TIME_BYTES; i++)
        raised = raised << 8 | (unsigned char)at[i];
    return (int64_t)(raised ^ (UINT64_C(1) << 63));
}

freshet_code checkpoint_list_key(const state_part *part, const state_key *key, store_run *run,
                                 freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    int64_t time;
    for (uint32_t i = 0; code == FRESHET_OK && state_part_listed(part, key, i, &time); i++) {
        text_buffer *listed = store_run_key(run, STORE_LISTED, part->name);
        put_time(listed, time);
        text_append(listed, key->bytes, key->length);
        if (i == 0)
            store_run_value(run); /* none */
        code = i == 0 ? store_run_put(run, err) : store_run_remove(run, err);
    }
    return code;
}

typedef struct sweep {
    checkpoint_part *part;
    int64_t before;
    size_t left; /* keys that may still be removed */
    bool is_short;
} sweep;

/* Is the key listed under a later time, too? */
static freshet_code lives_on(const sweep *sweep, const char *key, size_t length, bool *lives,
                             freshet_error *err)
{
    const state_part *part = sweep->part->part;
    text_buffer *value = &sweep->part->checkpoint->text;
    *lives = false;
    text_reset(value);
    const freshet_code code =
        store_get(sweep->part->checkpoint->store, STORE_STATE, part->name, key, length, value, err);
    if (code == FRESHET_END)
        return FRESHET_OK;
    if (code == FRESHET_OK && value->failed)
        return error_memory(err, LISTING);
    if (code == FRESHET_OK) {
        const int64_t listed = state_part_listed_saved(part, value->bytes, value->length);
        *lives = listed == INT64_MIN || listed >= sweep->before;
    }
    return code;
}

static freshet_code sweep_key(void *context, const store_entry *entry, freshet_error *err)
{
    sweep *sweep = context;
    checkpoint_part *part = sweep->part;
    if (entry->key_length < TIME_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the list of saved keys of \"%s\" is damaged", part->part->name);
    const int64_t time = get_time(entry->key);
    sweep->is_short = sweep->left == 0 && time < sweep->before;
    if (sweep->left == 0 || time >= sweep->before)
        return FRESHET_END;
    sweep->left--;
    text_reset(&part->sweeping);
    if (!text_append(&part->sweeping, entry->key, entry->key_length) ||
        !text_append_char(&part->sweeping, '\0'))
        return error_memory(err, LISTING);
    const char *key = entry->key + TIME_BYTES;
    const size_t length = entry->key_length - TIME_BYTES;
    freshet_code code = FRESHET_OK;
    bool stays = state_part_has(part->part, key, length);
    if (!stays && time < part->left_before)
        code = lives_on(sweep, key, length, &stays, err);
    return stays || code != FRESHET_OK ? code
                                       : store_remove(part->checkpoint->store, STORE_STATE,
                                                      part->part->name, key, length, err);
}

static int compare_listed(const text_buffer *a, const text_buffer *b)
{
    const size_t n = a->length < b->length ? a->length : b->length;
    const int order = n == 0 ? 0 : memcmp(a->bytes, b->bytes, n);
    return order != 0 ? order : a->length < b->length ? -1 : a->length > b->length;
}

/* Of keys that are brought when their time comes the list alone is done with, up to where all
 * pieces have come. */
static freshet_code sweep_brought(checkpoint_part *part, freshet_error *err)
{
    const text_buffer *brought = &part->brought[0];
    for (uint32_t i = 1; i < part->n_brought; i++)
        if (compare_listed(&part->brought[i], brought) < 0)
            brought = &part->brought[i];
    if (brought->length == 0 || compare_listed(brought, &part->swept) == 0)
        return FRESHET_OK;
    if (!text_append(&part->sweeping, brought->bytes, brought->length))
        return error_memory(err, LISTING);
    return store_remove_range(part->checkpoint->store, STORE_LISTED, part->part->name,
                              part->swept.bytes, part->swept.length, part->sweeping.bytes,
                              part->sweeping.length, err);
}

freshet_code checkpoint_sweep(checkpoint_part *part, bool owes, freshet_error *err)
{
    const state_part *of = part->part;
    checkpoint *checkpoint = part->checkpoint;
    text_reset(&part->sweeping);
    part->leaving_before = part->left_before;
    if (!state_part_is_listed(of) || part->begins_anew)
        return FRESHET_OK;
    if (!state_part_is_swept(of))
        return owes ? FRESHET_OK : sweep_brought(part, err);
    sweep sweep = {.part = part,
                   .before = state_part_over_before(of),
                   .left = checkpoint_share_changes(checkpoint->memory) / SWEEP_BYTES_OF_KEY};
    if (sweep.left < SWEEP_KEYS_MIN)
        sweep.left = SWEEP_KEYS_MIN;
    if (sweep.before == INT64_MIN)
        return FRESHET_OK;
    freshet_code code =
        store_visit_from(checkpoint->store, STORE_LISTED, of->name, part->swept.bytes,
                         part->swept.length, sweep_key, &sweep, err);
    if (code == FRESHET_OK && part->sweeping.length > 0)
        code = store_remove_range(checkpoint->store, STORE_LISTED, of->name, part->swept.bytes,
                                  part->swept.length, part->sweeping.bytes, part->sweeping.length,
                                  err);
    part->leaving_before = sweep.is_short ? sweep.before : INT64_MIN;
    return code;
}

/* ---- bringing ------------------------------------------------------------------------------ */

typedef struct bringing {
    checkpoint_part *part;
    uint32_t piece;
    int64_t until;
    uint32_t most;
    uint32_t n;
    text_buffer keys; /* each with its length in front */
} bringing;

static freshet_code bring_key(void *context, const store_entry *entry, freshet_error *err)
{
    bringing *bringing = context;
    text_buffer *brought = &bringing->part->brought[bringing->piece];
    if (entry->key_length < TIME_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the list of saved keys of \"%s\" is damaged", bringing->part->part->name);
    if (bringing->n == bringing->most || get_time(entry->key) > bringing->until)
        return FRESHET_END;
    const char *key = entry->key + TIME_BYTES;
    const uint32_t length = (uint32_t)(entry->key_length - TIME_BYTES);
    if (keyed_owner(keyed_hash(key, length), bringing->part->n_brought) == bringing->piece) {
        text_append(&bringing->keys, (const char *)&length, sizeof length);
        text_append(&bringing->keys, key, length);
        bringing->n++;
    }
    text_reset(brought);
    text_append(brought, entry->key, entry->key_length);
    return text_append_char(brought, '\0') && !bringing->keys.failed ? FRESHET_OK
                                                                     : error_memory(err, LISTING);
}

/* One that is listed under a time of before may be gone from the store. */
static freshet_code restore_listed(const checkpoint_part *part, const char *key, size_t length,
                                   text_buffer *value, freshet_error *err)
{
    if (state_part_has(part->part, key, length))
        return FRESHET_OK;
    text_reset(value);
    freshet_code code =
        store_get(part->checkpoint->store, STORE_STATE, part->part->name, key, length, value, err);
    if (code != FRESHET_OK)
        return code == FRESHET_END ? FRESHET_OK : code;
    return state_part_restore(part->part, key, length, value->bytes, value->length, err);
}

static freshet_code restore_all(const bringing *bringing, freshet_error *err)
{
    const char *at = bringing->keys.bytes;
    freshet_code code = FRESHET_OK;
    text_buffer value;
    text_init(&value, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; code == FRESHET_OK && i < bringing->n; i++) {
        uint32_t length;
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        code = restore_listed(bringing->part, at, length, &value, err);
        at += length;
    }
    text_release(&value);
    return code;
}

freshet_code checkpoint_bring(void *context, uint32_t piece, int64_t until, uint32_t most,
                              uint32_t *n, freshet_error *err)
{
    checkpoint_part *part = context;
    bringing bringing = {.part = part, .piece = piece, .until = until, .most = most};
    freshet_code code = FRESHET_OK;
    text_buffer *brought = &part->brought[piece];
    text_init(&bringing.keys, TEXT_LIMIT_DEFAULT);
    if (part->in_store)
        code = store_look(part->checkpoint->store, STORE_LISTED, part->part->name, brought->bytes,
                          brought->length, bring_key, &bringing, err);
    if (code == FRESHET_OK)
        code = restore_all(&bringing, err);
    text_release(&bringing.keys);
    *n = bringing.n;
    if (code != FRESHET_OK || bringing.n > 0 || until == INT64_MAX)
        return code;
    text_reset(brought);
    put_time(brought, until + 1);
    return brought->failed ? error_memory(err, LISTING) : FRESHET_OK;
}
