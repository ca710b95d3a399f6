/* windows_fill.c - the past of a key, put into windows that a changed declaration left half empty
 * (mixing.h).
 *
 * Filled twice is filled once: a key that lacks nothing is left as it is.
 */
#include <string.h>

#include "base/error.h"
#include "windows/events_internal.h"
#include "windows/mixing.h"
#include "windows/windows_internal.h"

#define FILLING "filling the windows of a key"
#define SECOND_US INT64_C(1000000)

/* ---- the key --------------------------------------------------------------------------------- */

/* From when on all events of the past are there. */
static int64_t whole_of(const windows_state *state, const key_entry *past)
{
    int64_t whole;
    const int64_t newest =
        state->options.plain_order ? past->newest_us : second_of(past->newest_us);
    if (!past->events.has_lost)
        return FULL_ALWAYS;
    return __builtin_sub_overflow(newest, layout_span(&state->known.reach), &whole) ? FULL_ALWAYS
                                                                                    : whole;
}

/* A piece with that record (NULL: none) and those carried cells takes the place of the key's. */
static freshet_code set_piece(windows_state *state, key_entry *entry, const fullness *record,
                              const unsigned char *carried, size_t length, freshet_error *err)
{
    const size_t head = record == NULL ? 0 : state->record_bytes;
    const size_t bytes = head + length + state->given_bytes;
    const int64_t given_s = given_of(state, entry);
    unsigned char *piece = bytes == 0 ? NULL : memory_take(&state->memory, bytes);
    if (bytes > 0 && piece == NULL)
        return error_memory(err, FILLING);
    if (piece != NULL && head > 0)
        memcpy(piece, record, head);
    if (piece != NULL && length > 0)
        memcpy(piece + head, carried, length);
    memory_give(&state->memory, entry->piece, piece_bytes_of(state, entry));
    entry->piece = piece;
    entry->carried_length = (uint32_t)length;
    entry->events.is_filling = record != NULL;
    set_given(state, entry, given_s);
    return FRESHET_OK;
}

/* A newest row that went out before there were windows is one of the past: then it is known now,
 * with what it had. Its revision stays the greater one. */
static bool find_newest(bool joins, key_entry *entry, const key_entry *past)
{
    if (past->newest_us != entry->newest_us)
        return false;
    entry->newest_back = past->newest_back + (joins ? 0 : entry->newest_back);
    if (past->revision > entry->revision)
        entry->revision = past->revision;
    return true;
}

/* The newest row may be one of the past, where the key has none as new. */
static bool take_newest(const windows_state *state, bool joins, key_entry *entry,
                        const key_entry *past, bool is_new)
{
    const int64_t own_s = second_of(entry->newest_us), past_s = second_of(past->newest_us);
    const events *own = &entry->events;
    const uint32_t n_own = is_new || joins ? 0 : own->n;
    const uint32_t n_peers = /* that stand behind it */
        n_own == 0 ? 0 : events_behind(own, events_find(&state->walker, own, past_s));
    if (entry->events.lacks_newest && past->newest_us <= entry->newest_us)
        return find_newest(joins, entry, past);
    if (!is_new && past->newest_us <= entry->newest_us)
        return false; /* the key's own stand behind the past's of their second */
    entry->newest_back = past->newest_back + n_peers;
    if (own_s != past_s || past->revision + n_own > entry->revision)
        entry->revision = past->revision + n_own;
    entry->newest_us = past->newest_us;
    return true;
}

/* The past goes on behind the seam, so what its newest row had is the stream's to bring. Of the
 * key's newest row before the seam only the second is known, if it is none of its own. */
static void take_newest_before(const windows_state *state, key_entry *entry, const events *made,
                               bool is_new)
{
    const bool has_newest = !is_new || entry->events.lacks_newest;
    const int64_t last_s = mixed_last(&state->walker, made);
    if (made->n == 0 || (has_newest && second_of(entry->newest_us) >= last_s))
        return;
    entry->newest_us = last_s * SECOND_US;
    entry->newest_back = entry->revision = 0;
    entry->events.lacks_newest = true;
}

/* `record` was the key's. */
static freshet_code put_made(windows_state *state, events *made, fullness *record, bool joins,
                             key_entry *entry, const key_entry *past, bool is_new,
                             freshet_error *err)
{
    const int64_t whole = whole_of(state, past);
    const bool was_bare = record->is_bare != 0;
    const bool is_beyond = second_of(past->newest_us) >= mixed_seam(state->plan, record);
    fullness_from(state->plan, whole, record);
    record->is_bare = 0;
    record->rows = state->known.reach.longest_rows;
    const bool of_past = was_bare && !is_beyond && take_newest(state, joins, entry, past, is_new);
    if (was_bare && is_beyond)
        take_newest_before(state, entry, made, is_new);
    const int64_t newest_s = second_of(entry->newest_us);
    const bool is_over = whole == FULL_ALWAYS || fullness_is_over(&state->walker, made, record,
                                                                  windows_horizon(state, newest_s));
    const key_entry *has_row = of_past ? past : entry;
    freshet_code code = set_piece(state, entry, is_over ? NULL : record, carried_of(state, has_row),
                                  has_row->carried_length, err);
    if (code != FRESHET_OK)
        return code;
    const bool is_filling = entry->events.is_filling;
    state->n_events += made->n;
    state->n_events -= entry->events.n;
    made->lacks_newest = entry->events.lacks_newest && !of_past;
    events_release(&state->walker, &entry->events);
    entry->events = *made;
    entry->events.is_filling = is_filling;
    entry->events.has_lost = past->events.has_lost || entry->events.lacks_newest;
    *made = (events){0};
    return FRESHET_OK;
}

/* Of a key of which nothing was kept: nothing is to be done where all of its past is the stream's
 * to bring; where the past goes on until it has lost what was before, nobody knows that. */
static state_fill what_of_bare(const windows_state *state, const mixed *mixed,
                               const key_entry *past, const events *made, bool is_new,
                               state_fill kind)
{
    const bool has_none = is_new && made->n == 0 &&
                          second_of(past->newest_us) >= mixed_seam(state->plan, mixed->record);
    if (kind == FILL_NOTHING || (kind == FILL_DONE && has_none && past->events.has_lost))
        return FILL_SHORT;
    return kind == FILL_DONE && has_none ? FILL_NOTHING : kind;
}

/* A key of which nothing was kept, and whose past does not fit, goes on lacking it when the others
 * are filled (windows_is_filled): it says so itself, also where it has had no event yet. */
static freshet_code keep_lack(windows_state *state, key_entry *entry, fullness *record, bool is_new,
                              freshet_error *err)
{
    record->is_bare = BARE_DROPPED;
    if (is_new)
        return set_piece(state, entry, record, NULL, 0, err);
    memcpy(entry->piece, record, state->record_bytes);
    return FRESHET_OK;
}

static freshet_code mix_key(windows_state *state, key_entry *entry, const key_entry *past,
                            bool is_new, state_fill *out, freshet_error *err)
{
    fullness *record = memory_take(&state->memory, state->record_bytes);
    events made = {0};
    if (record == NULL)
        return error_memory(err, FILLING);
    if (is_new)
        fullness_from(state->plan, state->begun, record);
    else
        memcpy(record, fullness_at(entry), state->record_bytes);
    mixed mixed = {.record = record,
                   .past_whole = whole_of(state, past),
                   .past_newest = state->past_newest,
                   .reaches = record->is_bare ? INT64_MIN : mixed_seam(state->plan, record) - 1,
                   .lateness =
                       state->options.take_late ? MIXED_ANY_LATE : state->known.reach.lateness_s};
    if (entry->events.lacks_newest && past->newest_us < entry->newest_us)
        mixed.reaches = INT64_MAX; /* it lacks the row that went out */
    freshet_code code =
        mix_events_of_key(&mixed, &state->walker, &past->events, &entry->events, &made, out, err);
    if (code == FRESHET_OK && record->is_bare)
        *out = what_of_bare(state, &mixed, past, &made, is_new, *out);
    if (code == FRESHET_OK && *out == FILL_DONE)
        code = put_made(state, &made, record, mixed.joins, entry, past, is_new, err);
    else if (code == FRESHET_OK && record->is_bare && (*out == FILL_SHORT || *out == FILL_OTHER))
        code = keep_lack(state, entry, record, is_new, err);
    events_release(&state->walker, &made);
    memory_give(&state->memory, record, state->record_bytes);
    return code;
}

/* ---- rows that are given again --------------------------------------------------------------- */

/* What a key had when it was last given for the events that it had lost is newer than its row. */
static freshet_code note_again(windows_state *state, uint32_t index, freshet_error *err)
{
    key_entry *entry = keyed_at(&state->keys, index);
    if (!state->options.gives_again || entry->events.lacks_newest || entry->events.n == 0 ||
        given_of(state, entry) > second_of(entry->newest_us))
        return FRESHET_OK;
    if (!memory_reserve(&state->memory, &state->again, &state->again_capacity,
                        state->n_again + UINT64_C(1), sizeof *state->again))
        return error_memory(err, FILLING);
    state->again[state->n_again++] = index;
    entry->revision += entry->revision < UINT32_MAX;
    return FRESHET_OK;
}

bool windows_owes_again(const windows_state *state)
{
    return state->again_taken < state->n_again;
}

freshet_code windows_give_again(windows_state *state, uint32_t most, arena *arena,
                                windows_expired *out, freshet_error *err)
{
    freshet_code code = windows_make_expired(state->plan, most, arena, out, err);
    while (code == FRESHET_OK && out->n < most && windows_owes_again(state)) {
        const key_entry *entry = keyed_at(&state->keys, state->again[state->again_taken++]);
        const int64_t newest_s = second_of(entry->newest_us);
        if (!entry->head.used)
            continue;
        code = windows_put_key(state, entry, newest_s, arena, out, err);
        if (code != FRESHET_OK)
            break;
        out->event_us[out->n - 1] = entry->newest_us;
        out->write_us[out->n - 1] = write_time(newest_s, entry->revision);
    }
    if (!windows_owes_again(state))
        state->n_again = state->again_taken = 0;
    return code;
}

/* ---- the interface --------------------------------------------------------------------------- */

freshet_code windows_fill_open(void *self, const char *layout, int64_t newest_us,
                               freshet_error *err)
{
    windows_state *state = self;
    kept_layout *read = NULL;
    bool has_all = false;
    if (state->options.plain_order)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "windows that are ordered by another column than the time cannot be "
                         "filled");
    freshet_code code = layout_read(state->known.arena, layout, &read, err);
    if (code == FRESHET_OK)
        code = layout_match_past(state->known.arena, read, state->plan, &state->known.numbers,
                                 &has_all, err);
    if (code == FRESHET_OK && !has_all)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the past lacks values that the windows look at");
    state->filling = code == FRESHET_OK ? read : NULL;
    state->past_newest = second_of(newest_us);
    return code;
}

freshet_code windows_fill(void *self, uint32_t index, bool is_new, const void *bytes, size_t length,
                          state_fill *out, freshet_error *err)
{
    windows_state *state = self;
    key_entry *entry = keyed_at(&state->keys, index), past = {0};
    *out = FILL_NOTHING;
    if (is_new && state->begun == FULL_ALWAYS) {
        *out = FILL_UNKNOWN;
        return FRESHET_OK;
    }
    if (!is_new && !entry->events.is_filling)
        return FRESHET_OK;
    known_lend(&state->known, state->filling);
    freshet_code code = windows_restore(state, NULL, &past, bytes, length, err);
    known_take_back(&state->known);
    if (code != FRESHET_OK)
        return code;
    code = mix_key(state, entry, &past, is_new, out, err);
    windows_release(state, &past);
    return code == FRESHET_OK && *out == FILL_DONE ? note_again(state, index, err) : code;
}

void windows_filled(void *self, uint64_t declared)
{
    windows_state *state = self;
    state->known.filled = declared;
    if (state->begun != FULL_ALWAYS)
        state->was_begun = state->begun;
    state->begun = FULL_ALWAYS;
}

bool windows_is_filled(const windows_state *state, const key_entry *entry)
{
    const fullness *record = fullness_at(entry);
    return state->was_begun != FULL_ALWAYS && record->is_bare == BARE_BEGUN &&
           record->whole == state->was_begun && mixed_seam(state->plan, record) == record->whole;
}
