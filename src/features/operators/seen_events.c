/* seen_events.c - `deduplicate: {on: [event_id], within: 1 hour}`: each event is taken once.
 *
 * An event is known by its values of some columns, its id. A row is a repetition if a row with the
 * same id was taken whose event time differs from its own by `within` at most. One in whose id a
 * null stands is never one: nothing is known of it. Texts, bytes and NaN are compared as values.
 *
 *   id a  12:00   taken
 *   id a  12:40   repeats          within 1 hour
 *   id a  13:30   taken            90 minutes after the one that was taken
 *
 * Ids are forgotten when no row can come any more that would repeat them: when the lowest watermark
 * is past their time by `within`. A batch forgets none. What the ids need is bounded by `memory`.
 *
 * A keyed_table of ids, each with the times of the events taken: one, nearly always; further ones
 * in an array of its own, behind the time that the store lists the id under. For forgetting, ids
 * hang in buckets by the newest of their times, in lists with both ends; a bucket whose time is
 * over is gone through.
 *
 * Cold ids leave memory, and are looked up in the store, which knows of nearly all new ones that it
 * has not got them without a look at the disk (a Bloom filter). For forgetting it lists them by the
 * newest of their times (state_part_ops.listed), and under no other: what is listed under a time
 * that is over is removed, mostly without a look at it. What is over may be there a while longer:
 * it repeats nothing, and is left out when it is read.
 *
 * ANOTHER DECLARATION. A set that has `deduplicate` only now, other columns or a longer time does
 * not know the ids of all events that were taken before: it begins with what is there, and says up
 * to which time a repetition can pass (unknown_us, kept until no row of that time comes any more).
 * Ids of other columns are no use, and go.
 *
 * Saved, an id is its cells as bytes (keyed/cells.h), and its value its times, the newest first.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/operators/filling.h"
#include "features/watermark.h"
#include "keyed/cells.h"

#define SECOND_US INT64_C(1000000)
#define SEEN_ID_BYTES_MAX 65536u /* of one id, encoded */
#define SEEN_TIMES_MAX 1000u     /* different events of one id that are remembered */
#define DOING "remembering the ids of events (deduplicate)"
#define BUCKETS_OF_WITHIN 16
#define BUCKET_US_MIN SECOND_US
#define NOT_LISTED INT64_MIN

typedef struct seen_id {
    keyed_entry head;
    unsigned n_times : 31; /* 0: forgotten, but still in the store */
    unsigned hangs : 1;    /* in a bucket */
    int64_t newest_us;     /* of its times; of a forgotten one the time it is listed under */
    int64_t *times_us;     /* NULL, or the time it was listed under, then its others */
    uint32_t next, before; /* in the bucket */
} seen_id;

typedef struct bucket {
    int64_t number;
    uint32_t first; /* or KEY_NONE */
} bucket;

/* How long ids are kept: its facts. */
typedef struct seen_reach {
    int64_t within_us;
    int64_t lateness_us;
} seen_reach;

typedef struct seen_events {
    freshet_operator base;
    uint32_t *columns; /* of the source's batches: the id's, as many as `on` names */
    int64_t from_us;   /* of rows before it it is not known whether they were seen */
    int64_t within_us, bucket_us;
    int64_t over_us; /* ids whose newest time is before it are forgotten */
    /* Events before it were taken by another declaration, which kept no ids of them, or has
     * forgotten them; INT64_MIN: none were. */
    int64_t unknown_us;
    seen_reach then;  /* of the state that it goes on from */
    bool begins_anew; /* what that kept are ids of other columns */
    size_t limit;     /* of bytes of ids where nobody takes them away (the part's drop) */
    memory memory;
    keyed_table ids;
    bucket *buckets; /* by number */
    uint32_t n_buckets, buckets_capacity;
    text_buffer id; /* of the row at hand */
    state_part part;
} seen_events;

static seen_reach reach_of(const freshet_operator *self)
{
    return (seen_reach){.within_us = self->block->deduplicate.within_us,
                        .lateness_us = self->block->timestamp.lateness_us};
}

static bool seen_reach_is_longer(const seen_reach *now, const seen_reach *then)
{
    return now->within_us + now->lateness_us > then->within_us + then->lateness_us;
}

/* Stays at the ends; INT64_MIN is no time. */
static int64_t seen_plus(int64_t time_us, int64_t span_us)
{
    int64_t sum;
    if (time_us == INT64_MIN)
        return INT64_MIN;
    return __builtin_add_overflow(time_us, span_us, &sum) ? span_us < 0 ? INT64_MIN : INT64_MAX
                                                          : sum;
}

static seen_id *id_at(const seen_events *seen, uint32_t index)
{
    return keyed_at(&seen->ids, index);
}

static size_t times_bytes(const seen_id *id)
{
    return id->times_us == NULL ? 0 : id->n_times * sizeof *id->times_us;
}

/* The time that the store lists the id under. A clean one stands in it as it is here. */
static int64_t listed_time(const seen_id *id)
{
    if (!id->head.saved)
        return NOT_LISTED;
    if (!id->head.dirty || id->times_us == NULL)
        return id->newest_us;
    return id->times_us[0];
}

static void unhang(seen_events *seen, seen_id *id);

static void release_times(void *self, void *released)
{
    seen_id *id = released;
    const int64_t listed_us = listed_time(id);
    unhang(self, id);
    memory_give(&((seen_events *)self)->memory, id->times_us, times_bytes(id));
    id->times_us = NULL;
    id->n_times = 0;
    id->newest_us = listed_us;
}

/* ---- buckets --------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The place of the first bucket that is not before that number. */
static uint32_t find_bucket(const seen_events *seen, int64_t number)
{
    uint32_t low = 0, high = seen->n_buckets;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen->buckets[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The bucket of that number, a new one where there is none; NULL where memory is out. */
static bucket *bucket_of(seen_events *seen, int64_t number)
{
    const uint32_t low = find_bucket(seen, number);
    if (low < seen->n_buckets && seen->buckets[low].number == number)
        return &seen->buckets[low];
    if (!array_reserve(&seen->buckets, &seen->buckets_capacity, seen->n_buckets + UINT64_C(1),
                       sizeof *seen->buckets))
        return NULL;
    bucket *made = &seen->buckets[low];
    memmove(made + 1, made, (seen->n_buckets - low) * sizeof *made);
    *made = (bucket){.number = number, .first = KEY_NONE};
    seen->n_buckets++;
    return made;
}

static bool hang(seen_events *seen, uint32_t index)
{
    seen_id *id = id_at(seen, index);
    bucket *bucket = bucket_of(seen, floor_div(id->newest_us, seen->bucket_us));
    if (bucket == NULL)
        return false;
    if (bucket->first != KEY_NONE)
        id_at(seen, bucket->first)->before = index;
    id->next = bucket->first;
    id->before = KEY_NONE;
    id->hangs = 1;
    bucket->first = index;
    return true;
}

/* Takes it out of its bucket, that of its newest time. */
static void unhang(seen_events *seen, seen_id *id)
{
    if (!id->hangs)
        return;
    if (id->next != KEY_NONE)
        id_at(seen, id->next)->before = id->before;
    if (id->before != KEY_NONE)
        id_at(seen, id->before)->next = id->next;
    else
        seen->buckets[find_bucket(seen, floor_div(id->newest_us, seen->bucket_us))].first =
            id->next;
    id->hangs = 0;
}

/* No row before that time comes any more: what no row can repeat is forgotten. */
static void forget_seen(seen_events *seen, int64_t before_us)
{
    if (before_us < INT64_MIN + seen->within_us + seen->bucket_us)
        return;
    const int64_t end = floor_div(before_us - seen->within_us, seen->bucket_us);
    uint32_t n = 0;
    for (; n < seen->n_buckets && seen->buckets[n].number < end; n++)
        for (uint32_t at; (at = seen->buckets[n].first) != KEY_NONE;) {
            release_times(seen, id_at(seen, at));
            state_part_forget(&seen->part, at);
        }
    if (n > 0) /* an instance may have had no row so far, and has no buckets */
        memmove(seen->buckets, seen->buckets + n, (seen->n_buckets - n) * sizeof *seen->buckets);
    seen->n_buckets -= n;
    if (end * seen->bucket_us > seen->over_us)
        seen->over_us = end * seen->bucket_us;
}

/* ---- taking rows ----------------------------------------------------------------------------- */

static bool is_near(int64_t a, int64_t b, int64_t within_us)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return false;
    return difference <= within_us && difference >= -within_us;
}

static int64_t time_of(const seen_id *id, uint32_t i)
{
    return i == 0 ? id->newest_us : id->times_us[i];
}

static bool repeats(const seen_events *seen, const seen_id *id, int64_t event_us)
{
    for (uint32_t i = 0; i < id->n_times; i++)
        if (is_near(time_of(id, i), event_us, seen->within_us))
            return true;
    return false;
}

/* Room for `n_times`, one more than there are; false where memory is out. */
static bool reserve_times(seen_events *seen, seen_id *id, uint32_t n_times)
{
    int64_t *times_us = memory_take(&seen->memory, n_times * sizeof *times_us);
    if (times_us == NULL)
        return false;
    times_us[0] = listed_time(id);
    if (id->n_times > 1)
        memcpy(times_us + 1, id->times_us + 1, (id->n_times - 1) * sizeof *times_us);
    memory_give(&seen->memory, id->times_us, times_bytes(id));
    id->times_us = times_us;
    id->n_times = n_times;
    return true;
}

/* Another one of its times, which is not the newest; false where memory is out. */
static bool seen_append_time(seen_events *seen, seen_id *id, int64_t time_us)
{
    if (id->n_times == SEEN_TIMES_MAX) { /* the oldest but one of all goes: it came first */
        id->times_us[0] = listed_time(id);
        memmove(id->times_us + 1, id->times_us + 2, (SEEN_TIMES_MAX - 2) * sizeof *id->times_us);
    } else if (!reserve_times(seen, id, id->n_times + 1)) {
        return false;
    }
    id->times_us[id->n_times - 1] = time_us;
    return true;
}

/* Another event of an id that is there; false where memory is out. */
static bool add_time(seen_events *seen, uint32_t index, int64_t event_us)
{
    seen_id *id = id_at(seen, index);
    const bool is_newest = event_us > id->newest_us;
    if (is_newest && bucket_of(seen, floor_div(event_us, seen->bucket_us)) == NULL)
        return false;
    if (!seen_append_time(seen, id, is_newest ? id->newest_us : event_us))
        return false;
    if (!is_newest)
        return true;
    unhang(seen, id);
    id->newest_us = event_us;
    return hang(seen, index); /* the bucket is there */
}

/* The first event of an id: one that is new, or forgotten and not yet gone from the store. */
static bool add_first(seen_events *seen, uint32_t index, int64_t event_us)
{
    seen_id *id = id_at(seen, index);
    const int64_t listed_us = id->newest_us;
    if (id->head.saved && !reserve_times(seen, id, 1))
        return false;
    id->newest_us = event_us;
    if (hang(seen, index)) {
        id->n_times = 1;
        return true;
    }
    memory_give(&seen->memory, id->times_us, times_bytes(id));
    id->times_us = NULL;
    id->n_times = 0;
    id->newest_us = listed_us;
    return false;
}

/* The row's id as bytes; *has_null where it has no whole one. */
static freshet_code make_id(seen_events *seen, const batch *in, uint32_t row, bool *has_null,
                            freshet_error *err)
{
    text_reset(&seen->id);
    for (uint32_t i = 0; i < seen->part.n_keys; i++) {
        const column *column = &in->columns[seen->columns[i]];
        *has_null = !column_is_valid(column, row);
        if (*has_null)
            return FRESHET_OK;
        cells_put(&seen->id, column, row, true);
    }
    if (!seen->id.failed)
        return FRESHET_OK;
    return error_set(
        err, FRESHET_LIMIT, FRESHET_STOP, seen->part.key_names[0],
        "the id of an event (deduplicate) takes more than %u bytes: name fewer or shorter columns",
        SEEN_ID_BYTES_MAX);
}

/* A repetition: more of them come soon. */
static freshet_code touch(seen_events *seen, uint32_t index)
{
    id_at(seen, index)->head.touched = 1;
    return FRESHET_OK;
}

/* The next row, which happened at event_us: *is_new tells whether to take it. */
static freshet_code take_event(seen_events *seen, const batch *in, uint32_t row, int64_t event_us,
                               bool *is_new, freshet_error *err)
{
    bool has_null = false;
    freshet_code code = make_id(seen, in, row, &has_null, err);
    *is_new = true;
    if (code != FRESHET_OK || has_null)
        return code;
    const uint32_t tag = (uint32_t)keyed_hash(seen->id.bytes, seen->id.length);
    uint32_t index = keyed_find(&seen->ids, tag, seen->id.bytes, seen->id.length);
    bool is_added = false;
    if (index == KEY_NONE)
        code = state_part_find(&seen->part, tag, seen->id.bytes, seen->id.length, &index, &is_added,
                               err);
    if (code != FRESHET_OK)
        return code;
    *is_new = !repeats(seen, id_at(seen, index), event_us);
    if (!*is_new)
        return touch(seen, index);
    const uint32_t n = operator_instances(&seen->base);
    if (seen->ids.load == NULL && keyed_bytes(&seen->ids) > seen->limit / n)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the ids of %" PRIu64
                         " events (deduplicate) need more than the %zu MiB of state.memory: allow "
                         "more there, or a shorter time",
                         keyed_count(&seen->ids) * n, seen->limit >> 20);
    if (id_at(seen, index)->n_times > 0 ? !add_time(seen, index, event_us)
                                        : !add_first(seen, index, event_us)) {
        if (is_added)
            keyed_drop(&seen->ids, index);
        return error_memory(err, DOING);
    }
    keyed_mark_dirty(&seen->ids, index);
    return FRESHET_OK;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static freshet_code seen_id_restore(void *self, const state_key *key, void *restored,
                                    const void *bytes, size_t length, freshet_error *err)
{
    seen_events *seen = self;
    seen_id *id = restored;
    const uint64_t n = length / sizeof(int64_t);
    if (n == 0 || length % sizeof(int64_t) != 0 || n > SEEN_TIMES_MAX || key->length == 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved ids of events (deduplicate) are damaged");
    const uint32_t tag = (uint32_t)keyed_hash(key->bytes, key->length);
    if (keyed_find(&seen->ids, tag, key->bytes, key->length) != KEY_NONE)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved ids of events (deduplicate) hold one id twice");
    for (uint64_t i = 0; i < n; i++) {
        int64_t time_us;
        memcpy(&time_us, (const char *)bytes + i * sizeof time_us, sizeof time_us);
        if (i == 0)
            id->newest_us = time_us;
        if (time_us < seen->over_us)
            continue;
        if (id->n_times == 0) {
            id->newest_us = time_us;
            id->n_times = 1;
        } else if (!seen_append_time(seen, id, time_us)) {
            release_times(seen, id);
            return error_memory(err, DOING);
        }
    }
    return FRESHET_OK;
}

/* One whose times are all over is to go. */
static bool seen_id_placed(void *self, uint32_t index)
{
    seen_events *seen = self;
    if (id_at(seen, index)->n_times > 0)
        return hang(seen, index);
    keyed_mark_dirty(&seen->ids, index);
    return true;
}

static bool seen_id_listed(void *self, uint32_t index, uint32_t i, int64_t *time)
{
    const seen_id *id = id_at(self, index);
    *time = i == 0 ? id->newest_us : listed_time(id);
    return i == 0 || (i == 1 && *time != NOT_LISTED && *time != id->newest_us);
}

static int64_t seen_id_listed_saved(const void *bytes, size_t length)
{
    int64_t newest_us;
    if (length < sizeof newest_us)
        return INT64_MIN;
    memcpy(&newest_us, bytes, sizeof newest_us);
    return newest_us;
}

static int64_t seen_id_over(void *self)
{
    return ((seen_events *)self)->over_us;
}

static freshet_code seen_id_save(void *self, const void *saved, text_buffer *into,
                                 freshet_error *err)
{
    const seen_id *id = saved;
    (void)self, (void)err;
    for (uint32_t i = 0; i < id->n_times; i++) {
        int64_t time_us = time_of(id, i);
        text_append(into, (const char *)&time_us, sizeof time_us);
    }
    return FRESHET_OK;
}

static bool seen_id_is_empty(void *self, const void *id)
{
    (void)self;
    return ((const seen_id *)id)->n_times == 0;
}

static freshet_code seen_id_inspect(void *self, arena *arena, const void *bytes, size_t length,
                                    text_buffer *into, freshet_error *err)
{
    (void)self, (void)arena, (void)err;
    text_append_c(into, ", \"taken\": [");
    for (size_t i = 0; i + sizeof(int64_t) <= length; i += sizeof(int64_t)) {
        int64_t time_us;
        memcpy(&time_us, (const char *)bytes + i, sizeof time_us);
        text_append_c(into, i == 0 ? "\"" : ", \"");
        text_append_timestamp(into, time_us);
        text_append_char(into, '"');
    }
    text_append_c(into, "]");
    return FRESHET_OK;
}

/* ---- another declaration --------------------------------------------------------------------- */

/* Events before that time are not known by their ids. */
static void forget_before(seen_events *seen, int64_t time_us)
{
    if (time_us > seen->unknown_us)
        seen->unknown_us = time_us;
}

/* `why` and what follows from unknown_us: "", where nothing can come any more that it matters
 * for. */
static void say_unknown(const seen_events *seen, evolution *out, const char *why)
{
    const place *at = &seen->base.block->deduplicate.on.items[0].at;
    char before[FILLING_TIME_MAX], until[FILLING_TIME_MAX];
    const int64_t whole_us = seen_plus(seen->unknown_us, seen->within_us);
    evolution_say(out, seen->part.name, VERDICT_FROM_NOW, at, "deduplicate",
                  "%sids of events before %s are not known, so one that comes again is taken once "
                  "more, and counted; of rows from %s on every repetition is found",
                  why, filling_time(seen->unknown_us / SECOND_US, before),
                  filling_time(floor_div(seen_plus(whole_us, SECOND_US - 1), SECOND_US), until));
}

static freshet_code seen_events_evolve(void *owner, const state_past *past, evolution *out,
                                       freshet_error *err)
{
    seen_events *seen = owner;
    const seen_reach now = reach_of(&seen->base);
    const int64_t newest_us = out->newest_us;
    const char *why = "";
    (void)err;
    seen->begins_anew = past != NULL && past->fingerprint != seen->part.fingerprint;
    if (newest_us == EVOLUTION_NO_ROW) {
        evolution_say(out, seen->part.name, VERDICT_SERVED, NULL, "", FILLING_NO_ROW);
        return FRESHET_OK;
    }
    if (past == NULL || seen->begins_anew) {
        forget_before(seen, seen_plus(newest_us, 1));
        why = past == NULL ? "is new: "
                           : "what was kept for other columns (`on`) is removed, and it begins "
                             "anew: ";
    } else if (seen_reach_is_longer(&now, &seen->then)) {
        forget_before(seen, seen_plus(newest_us, -(seen->then.within_us + seen->then.lateness_us)));
        why = "looks back further (`within` and lateness together) than ids were kept: ";
    }
    if (*why != '\0' || seen_plus(seen->unknown_us, now.within_us + now.lateness_us) > newest_us)
        say_unknown(seen, out, why);
    else
        evolution_say(out, seen->part.name, VERDICT_SERVED, NULL, "", "it keeps %s",
                      seen->part.shape);
    return FRESHET_OK;
}

static bool seen_events_begins_anew(void *self)
{
    return ((const seen_events *)self)->begins_anew;
}

static const state_part_ops part_ops = {.save = seen_id_save,
                                        .restore = seen_id_restore,
                                        .inspect = seen_id_inspect,
                                        .is_empty = seen_id_is_empty,
                                        .placed = seen_id_placed,
                                        .listed = seen_id_listed,
                                        .over_before = seen_id_over,
                                        .listed_saved = seen_id_listed_saved,
                                        .begins_anew = seen_events_begins_anew};

static const state_part *seen_events_parts(freshet_operator *self, uint32_t *n)
{
    *n = 1;
    return &((seen_events *)self)->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool seen_events_wanted(const operator_options *options)
{
    return options->declaration->feature_set.has_deduplicate;
}

/* The columns of the query that `on` names. */
static freshet_code take_columns(seen_events *seen, const operator_options *options,
                                 freshet_error *err)
{
    const declared_list *on = &seen->base.block->deduplicate.on;
    const schema *input = options->set->input;
    const uint32_t n_problems = problems_count(options->problems);
    field *fields = arena_alloc(seen->base.arena, on->n * sizeof *fields);
    seen->columns = arena_zero(seen->base.arena, on->n, sizeof *seen->columns);
    if (fields == NULL || seen->columns == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < on->n; i++) {
        const declared_text *name = &on->items[i];
        const int64_t found = schema_find(input, name->value);
        if (found < 0) {
            problem_add(options->problems, &name->at,
                        "deduplicate: there is no column \"%s\" in the source's query",
                        name->value);
            continue;
        }
        seen->columns[i] = (uint32_t)found;
        fields[i] = input->fields[found];
        if (fields[i].type->kind == TYPE_STRUCT)
            problem_add(options->problems, &name->at,
                        "deduplicate: the column \"%s\" is a struct: name columns of single values",
                        name->value);
    }
    if (problems_count(options->problems) > n_problems)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->declaration->file,
                         "the feature set has mistakes");
    const schema kept = schema_keep(seen->base.arena, &(schema){on->n, fields});
    return kept.fields == NULL ? error_memory(err, DOING)
                               : state_part_columns(&seen->part, seen->base.arena,
                                                    "ids of events:", kept.fields, on->n, err);
}

static freshet_code seen_events_open(freshet_operator *self, const operator_options *options,
                                     freshet_error *err)
{
    seen_events *seen = (seen_events *)self;
    const int64_t within_us = self->block->deduplicate.within_us;
    const keyed_options ids = {.memory = &seen->memory,
                               .entry_bytes = sizeof(seen_id),
                               .release = release_times,
                               .self = seen};
    text_init(&seen->id, SEEN_ID_BYTES_MAX);
    seen->from_us = seen->over_us = seen->unknown_us = INT64_MIN;
    seen->then = reach_of(self);
    seen->within_us = within_us;
    seen->bucket_us = within_us / BUCKETS_OF_WITHIN < BUCKET_US_MIN ? BUCKET_US_MIN
                                                                    : within_us / BUCKETS_OF_WITHIN;
    seen->limit = options->memory;
    seen->memory.fail_after = -1;
    seen->part = (state_part){.name = "deduplicate",
                              .doing = DOING,
                              .keys = STATE_ON_DEMAND,
                              .ops = &part_ops,
                              .table = &seen->ids,
                              .evolve = seen_events_evolve,
                              .owner = seen,
                              .key_bytes_max = SEEN_ID_BYTES_MAX};
    return keyed_open(&seen->ids, &ids) ? take_columns(seen, options, err)
                                        : error_memory(err, DOING);
}

static void seen_events_close(freshet_operator *self)
{
    seen_events *seen = (seen_events *)self;
    keyed_close(&seen->ids);
    free(seen->buckets);
    text_release(&seen->id);
}

/* ---- running --------------------------------------------------------------------------------- */

/* No row before the run's lowest second comes any more. */
static freshet_code seen_events_rest(freshet_operator *self, const run *run, uint32_t turn)
{
    (void)turn;
    seen_events *seen = (seen_events *)self;
    if (run->lowest_s > INT64_MIN / SECOND_US && run->lowest_s * SECOND_US > seen->from_us) {
        seen->from_us = run->lowest_s * SECOND_US;
        forget_seen(seen, seen->from_us);
    }
    return FRESHET_OK;
}

/* Events that repeat one are left out. One from a time whose events are forgotten is late: such
 * are of a partition that was idle. */
static freshet_code seen_events_run(freshet_operator *self, run *run)
{
    seen_events *seen = (seen_events *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        const uint32_t origin = run->index == NULL ? row : run->index[row];
        bool is_new = true;
        if (!run->keep[row])
            continue;
        if (event_us[row] < seen->from_us && self->block->timestamp.late != ON_LATE_UPDATE) {
            code = watermark_refuse(self, run, row, 0);
            continue;
        }
        code = take_event(seen, run->in, origin, event_us[row], &is_new, run->err);
        if (code == FRESHET_OK && !is_new) {
            run_drop(run, row);
            self->figures.repeated++;
        }
    }
    return code == FRESHET_OK ? seen_events_rest(self, run, 0) : code;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static freshet_code seen_events_save(const freshet_operator *self, text_buffer *into,
                                     freshet_error *err)
{
    const seen_events *seen = (const seen_events *)self;
    const seen_reach reach = reach_of(self);
    text_append(into, (const char *)&reach, sizeof reach);
    if (seen->unknown_us != INT64_MIN &&
        seen->from_us < seen_plus(seen->unknown_us, reach.within_us))
        text_append(into, (const char *)&seen->unknown_us, sizeof seen->unknown_us);
    return into->failed ? error_memory(err, "saving how long ids are kept") : FRESHET_OK;
}

static freshet_code seen_events_restore(freshet_operator *self, const void *bytes, size_t length,
                                        freshet_error *err)
{
    seen_events *seen = (seen_events *)self;
    const size_t more = sizeof seen->then + sizeof seen->unknown_us;
    if (length != sizeof seen->then && length != more)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved of \"deduplicate\" is damaged");
    memcpy(&seen->then, bytes, sizeof seen->then);
    if (length == more)
        memcpy(&seen->unknown_us, (const char *)bytes + sizeof seen->then, sizeof seen->unknown_us);
    return FRESHET_OK;
}

/* ---- divided (divided.h) --------------------------------------------------------------------- */

/* A row with a null in its id is taken by whoever gets it. */
static freshet_code seen_events_keys(const freshet_operator *self, const run *run, uint32_t turn,
                                     key_columns *keys)
{
    (void)turn;
    const seen_events *seen = (const seen_events *)self;
    keys->n = seen->part.n_keys;
    keys->rows = run->index;
    const column **columns =
        arena_alloc(run->arena, (keys->n + (size_t)1) * sizeof(const column *));
    if (columns == NULL)
        return error_memory(run->err, DOING);
    for (uint32_t i = 0; i < keys->n; i++)
        columns[i] = &run->in->columns[seen->columns[i]];
    keys->columns = columns;
    return FRESHET_OK;
}

static void seen_events_slots(const freshet_operator *self, uint32_t turn, bool *marked)
{
    (void)turn;
    marked[self->plan->timestamp] = true;
}

static const operator_division seen_events_division = {.form = DIVISION_MARKS,
                                                       .keys = seen_events_keys,
                                                       .slots = seen_events_slots,
                                                       .rest = seen_events_rest};

const operator_ops seen_events_operator = {.name = "deduplicate",
                                           .division = &seen_events_division,
                                           .size = sizeof(seen_events),
                                           .wanted = seen_events_wanted,
                                           .open = seen_events_open,
                                           .run = seen_events_run,
                                           .save = seen_events_save,
                                           .restore = seen_events_restore,
                                           .parts = seen_events_parts,
                                           .close = seen_events_close};
