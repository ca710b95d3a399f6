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
 * At each checkpoint the list is read from where the one before has come to, up to the time that
 * is over. Keys that are not in memory are removed, keys that are will be by their part; then the
 * entries of the list, as one range. Of very many some are left for the next checkpoint.
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

freshet_code checkpoint_list_key(checkpoint *checkpoint, const state_part *part,
                                 const state_key *key, freshet_error *err)
{
    const void *entry = keyed_at(part->table, key->index);
    text_buffer *text = &checkpoint->text;
    freshet_code code = FRESHET_OK;
    int64_t time;
    for (uint32_t i = 0;
         code == FRESHET_OK && part->ops->listed(part->table->options.self, entry, i, &time); i++) {
        text_reset(text);
        put_time(text, time);
        if (!text_append(text, key->bytes, key->length))
            return error_memory(err, LISTING);
        code = i == 0 ? store_put(checkpoint->store, STORE_LISTED, part->name, text->bytes,
                                  text->length, "", 0, err)
                      : store_remove(checkpoint->store, STORE_LISTED, part->name, text->bytes,
                                     text->length, err);
    }
    return code;
}

typedef struct sweep {
    checkpoint_part *part;
    int64_t before;
    size_t left; /* keys that may still be removed */
} sweep;

static freshet_code sweep_key(void *context, const store_entry *entry, freshet_error *err)
{
    sweep *sweep = context;
    checkpoint_part *part = sweep->part;
    if (entry->key_length < TIME_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the list of saved keys of \"%s\" is damaged", part->part->name);
    if (sweep->left == 0 || get_time(entry->key) >= sweep->before)
        return FRESHET_END;
    sweep->left--;
    text_reset(&part->sweeping);
    if (!text_append(&part->sweeping, entry->key, entry->key_length) ||
        !text_append_char(&part->sweeping, '\0'))
        return error_memory(err, LISTING);
    const char *key = entry->key + TIME_BYTES;
    const size_t length = entry->key_length - TIME_BYTES;
    return state_part_has(part->part, key, length)
               ? FRESHET_OK
               : store_remove(part->checkpoint->store, STORE_STATE, part->part->name, key, length,
                              err);
}

freshet_code checkpoint_sweep(checkpoint_part *part, freshet_error *err)
{
    const state_part *of = part->part;
    checkpoint *checkpoint = part->checkpoint;
    text_reset(&part->sweeping);
    if (of->ops->over_before == NULL)
        return FRESHET_OK;
    sweep sweep = {.part = part,
                   .before = of->ops->over_before(of->table->options.self),
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
    return code;
}
