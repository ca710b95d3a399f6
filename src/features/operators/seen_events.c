/* seen_events.c - see seen_events.h.
 *
 * A keyed_table of ids, each with the times of the events taken: one, nearly always; further ones in an array of its own.
 * For forgetting, ids hang in buckets by the newest of their times when they were put there; a bucket whose
 * time is over is gone through, and an id that has a newer time by then goes to that one's bucket.
 *
 * Saved, an id is its cells as bytes (keyed/cells.h), and its value its times.
 */
#include "features/operators/seen_events.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/watermark.h"
#include "keyed/cells.h"

#define DOING "remembering the ids of events (deduplicate)"
#define BUCKETS_OF_WITHIN 16
#define BUCKET_US_MIN INT64_C(1000000)

typedef struct seen_id {
    keyed_entry head;
    uint32_t n_times;  /* 0: forgotten, but still in the store */
    int64_t newest_us; /* of its times */
    int64_t *others_us;
    uint32_t next; /* in the bucket */
} seen_id;

typedef struct bucket {
    int64_t number;
    uint32_t first; /* or KEY_NONE */
} bucket;

struct seen_events {
    arena *arena;
    uint32_t *columns;
    uint32_t n_columns;
    int64_t within_us, bucket_us;
    size_t limit;
    memory memory;
    keyed_table ids;
    bucket *buckets; /* by number */
    uint32_t n_buckets, buckets_capacity;
    uint64_t n_repeated;
    text_buffer id; /* of the row at hand */
    state_part part;
};

static seen_id *id_at(const seen_events *seen, uint32_t index)
{
    return keyed_at(&seen->ids, index);
}

static size_t others_bytes(const seen_id *id)
{
    return id->n_times > 1 ? (id->n_times - 1) * sizeof *id->others_us : 0;
}

static void release_times(void *self, void *released)
{
    seen_id *id = released;
    memory_give(&((seen_events *)self)->memory, id->others_us, others_bytes(id));
    id->others_us = NULL;
    id->n_times = 0;
}

/* ---- buckets --------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The bucket of that number, a new one where there is none; NULL where memory is out. */
static bucket *bucket_of(seen_events *seen, int64_t number)
{
    uint32_t low = 0, high = seen->n_buckets;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen->buckets[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
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
    id->next = bucket->first;
    bucket->first = index;
    return true;
}

void seen_events_forget(seen_events *seen, int64_t before_us)
{
    if (before_us < INT64_MIN + seen->within_us + seen->bucket_us)
        return;
    const int64_t end_us = before_us - seen->within_us;
    const int64_t end = floor_div(end_us, seen->bucket_us);
    uint32_t n = 0;
    while (n < seen->n_buckets && seen->buckets[n].number < end)
        n++;
    uint32_t first = KEY_NONE; /* those that have a newer time by now */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t at = seen->buckets[i].first, next; at != KEY_NONE; at = next) {
            seen_id *id = id_at(seen, at);
            next = id->next;
            if (id->newest_us < end_us) {
                release_times(seen, id);
                state_part_forget(&seen->part, at);
                continue;
            }
            id->next = first;
            first = at;
        }
    memmove(seen->buckets, seen->buckets + n, (seen->n_buckets - n) * sizeof *seen->buckets);
    seen->n_buckets -= n;
    for (uint32_t at = first, next; at != KEY_NONE; at = next) {
        next = id_at(seen, at)->next;
        if (!hang(seen, at)) /* out of memory: it stays known for ever, which is a waste only */
            id_at(seen, at)->next = KEY_NONE;
    }
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
    return i == 0 ? id->newest_us : id->others_us[i - 1];
}

static bool repeats(const seen_events *seen, const seen_id *id, int64_t event_us)
{
    for (uint32_t i = 0; i < id->n_times; i++)
        if (is_near(time_of(id, i), event_us, seen->within_us))
            return true;
    return false;
}

/* Another event of an id that is there; false where memory is out. */
static bool add_time(seen_events *seen, seen_id *id, int64_t event_us)
{
    if (id->n_times == SEEN_TIMES_MAX) { /* the oldest but one of all goes: it came first */
        memmove(id->others_us, id->others_us + 1, (SEEN_TIMES_MAX - 2) * sizeof *id->others_us);
    } else {
        int64_t *others_us = memory_take(&seen->memory, id->n_times * sizeof *others_us);
        if (others_us == NULL)
            return false;
        if (id->n_times > 1)
            memcpy(others_us, id->others_us, others_bytes(id));
        memory_give(&seen->memory, id->others_us, others_bytes(id));
        id->others_us = others_us;
        id->n_times++;
    }
    id->others_us[id->n_times - 2] = event_us < id->newest_us ? event_us : id->newest_us;
    if (event_us > id->newest_us)
        id->newest_us = event_us; /* its bucket follows when it is over */
    return true;
}

/* The first event of an id: one that is new, or forgotten and not yet gone from the store. */
static bool add_first(seen_events *seen, uint32_t index, int64_t event_us)
{
    seen_id *id = id_at(seen, index);
    id->newest_us = event_us;
    if (!hang(seen, index))
        return false;
    id->n_times = 1;
    return true;
}

/* The row's id as bytes; *has_null where it has no whole one. */
static freshet_code make_id(seen_events *seen, const batch *in, uint32_t row, bool *has_null,
                            freshet_error *err)
{
    text_reset(&seen->id);
    for (uint32_t i = 0; i < seen->n_columns; i++) {
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

freshet_code seen_events_take(seen_events *seen, const batch *in, uint32_t row, int64_t event_us,
                              bool *is_new, freshet_error *err)
{
    bool has_null = false;
    freshet_code code = make_id(seen, in, row, &has_null, err);
    *is_new = true;
    if (code != FRESHET_OK || has_null)
        return code;
    const uint32_t tag = (uint32_t)keyed_hash(seen->id.bytes, seen->id.length);
    uint32_t index = keyed_find(&seen->ids, tag, seen->id.bytes, seen->id.length);
    *is_new = index == KEY_NONE || !repeats(seen, id_at(seen, index), event_us);
    if (!*is_new) {
        seen->n_repeated++;
        return FRESHET_OK;
    }
    if (keyed_bytes(&seen->ids) > seen->limit)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the ids of %" PRIu64
                         " events (deduplicate) need more than the %zu MiB of state.memory: allow "
                         "more there, or a shorter time",
                         keyed_count(&seen->ids), seen->limit >> 20);
    const bool is_added = index == KEY_NONE;
    if (is_added)
        index = keyed_add(&seen->ids, tag, seen->id.bytes, seen->id.length);
    if (index == KEY_NONE)
        return error_memory(err, DOING);
    if (id_at(seen, index)->n_times > 0 ? !add_time(seen, id_at(seen, index), event_us)
                                        : !add_first(seen, index, event_us)) {
        if (is_added)
            keyed_drop(&seen->ids, index);
        return error_memory(err, DOING);
    }
    keyed_mark_dirty(&seen->ids, index);
    return FRESHET_OK;
}

uint64_t seen_events_repeated(const seen_events *seen)
{
    return seen->n_repeated;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static freshet_code seen_events_restore(void *self, const state_key *key, void *restored,
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
    memcpy(&id->newest_us, bytes, sizeof id->newest_us);
    id->n_times = 1;
    for (uint64_t i = 1; i < n; i++) {
        int64_t time_us;
        memcpy(&time_us, (const char *)bytes + i * sizeof time_us, sizeof time_us);
        if (!add_time(seen, id, time_us)) {
            release_times(seen, id);
            return error_memory(err, DOING);
        }
    }
    return FRESHET_OK;
}

static bool seen_events_placed(void *self, uint32_t index)
{
    return hang(self, index);
}

static freshet_code seen_events_save(void *self, const void *saved, text_buffer *into,
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

static bool seen_events_is_empty(void *self, const void *id)
{
    (void)self;
    return ((const seen_id *)id)->n_times == 0;
}

static freshet_code seen_events_inspect(void *self, arena *arena, const void *bytes, size_t length,
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

static const state_part_ops part_ops = {.save = seen_events_save,
                                        .restore = seen_events_restore,
                                        .inspect = seen_events_inspect,
                                        .is_empty = seen_events_is_empty,
                                        .placed = seen_events_placed};

const state_part *seen_events_part(seen_events *seen)
{
    return &seen->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

static freshet_code take_columns(seen_events *seen, const schema *input, const uint32_t *columns,
                                 uint32_t n, freshet_error *err)
{
    field *fields = arena_alloc(seen->arena, n * sizeof *fields);
    seen->columns = arena_alloc(seen->arena, n * sizeof *columns);
    seen->n_columns = n;
    if (fields == NULL || seen->columns == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < n; i++) {
        seen->columns[i] = columns[i];
        fields[i] = input->fields[columns[i]];
    }
    const schema kept = schema_keep(seen->arena, &(schema){n, fields});
    return kept.fields == NULL ? error_memory(err, DOING)
                               : state_part_columns(&seen->part, seen->arena,
                                                    "ids of events:", kept.fields, n, err);
}

freshet_code seen_events_open(const schema *input, const uint32_t *columns, uint32_t n,
                              int64_t within_us, size_t memory, seen_events **out,
                              freshet_error *err)
{
    seen_events *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return error_memory(err, DOING);
    text_init(&seen->id, SEEN_ID_BYTES_MAX);
    seen->within_us = within_us;
    seen->bucket_us = within_us / BUCKETS_OF_WITHIN < BUCKET_US_MIN ? BUCKET_US_MIN
                                                                    : within_us / BUCKETS_OF_WITHIN;
    seen->limit = memory;
    seen->memory.fail_after = -1;
    const keyed_options ids = {.memory = &seen->memory,
                               .entry_bytes = sizeof(seen_id),
                               .release = release_times,
                               .self = seen};
    seen->part = (state_part){.name = "deduplicate",
                              .doing = DOING,
                              .keys = STATE_RESIDENT,
                              .ops = &part_ops,
                              .table = &seen->ids,
                              .key_bytes_max = SEEN_ID_BYTES_MAX};
    seen->arena = arena_open();
    freshet_code code = seen->arena == NULL || !keyed_open(&seen->ids, &ids)
                            ? error_memory(err, DOING)
                            : take_columns(seen, input, columns, n, err);
    if (code == FRESHET_OK)
        *out = seen;
    else
        seen_events_close(seen);
    return code;
}

void seen_events_close(seen_events *seen)
{
    if (seen == NULL)
        return;
    keyed_close(&seen->ids);
    free(seen->buckets);
    text_release(&seen->id);
    arena_close(seen->arena);
    free(seen);
}

/* ---- as an operator --------------------------------------------------------------------------- */

#define SECOND_US INT64_C(1000000)

typedef struct seen_step {
    freshet_operator base;
    seen_events *seen;
    int64_t from_us; /* of rows before it it is not known whether they were seen */
} seen_step;

/* How long ids have been kept: its facts. */
typedef struct seen_reach {
    int64_t within_us;
    int64_t lateness_us;
} seen_reach;

static bool seen_events_wanted(const operator_options *options)
{
    return options->declaration->feature_set.has_deduplicate;
}

/* The columns of the query that `on` names. */
static freshet_code seen_step_open(freshet_operator *self, const operator_options *options,
                                   freshet_error *err)
{
    seen_step *step = (seen_step *)self;
    const deduplicate_block *block = &self->block->deduplicate;
    const schema *input = options->set->input;
    const uint32_t n_problems = problems_count(options->problems);
    uint32_t *columns = arena_alloc(self->arena, block->on.n * sizeof *columns);
    if (columns == NULL)
        return error_memory(err, DOING);
    step->from_us = INT64_MIN;
    for (uint32_t i = 0; i < block->on.n; i++) {
        const declared_text *name = &block->on.items[i];
        int64_t found = schema_find(input, name->value);
        if (found < 0)
            problem_add(options->problems, &name->at,
                        "deduplicate: there is no column \"%s\" in the source's query",
                        name->value);
        else if (input->fields[found].type->kind == TYPE_STRUCT)
            problem_add(options->problems, &name->at,
                        "deduplicate: the column \"%s\" is a struct: name columns of single values",
                        name->value);
        columns[i] = found < 0 ? 0 : (uint32_t)found;
    }
    if (problems_count(options->problems) > n_problems)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->declaration->file,
                         "the feature set has mistakes");
    return seen_events_open(input, columns, block->on.n, block->within_us, options->memory,
                            &step->seen, err);
}

/* After the rows of a run: what no row can repeat any more is forgotten. */
static void forget_seen(seen_step *step, int64_t lowest_s)
{
    if (lowest_s <= INT64_MIN / SECOND_US || lowest_s * SECOND_US <= step->from_us)
        return;
    step->from_us = lowest_s * SECOND_US;
    seen_events_forget(step->seen, step->from_us);
}

/* Events that repeat one are left out. One from a time whose events are forgotten is late: such
 * are of a partition that was idle. */
static freshet_code seen_events_run(freshet_operator *self, run *run)
{
    seen_step *step = (seen_step *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        const uint32_t origin = run->index == NULL ? row : run->index[row];
        bool is_new = true;
        if (!run->keep[row])
            continue;
        if (event_us[row] < step->from_us && self->block->timestamp.late != ON_LATE_UPDATE) {
            code = watermark_refuse(self, run, row, 0);
            continue;
        }
        code = seen_events_take(step->seen, run->in, origin, event_us[row], &is_new, run->err);
        if (code == FRESHET_OK && !is_new)
            run_drop(run, row);
    }
    if (code == FRESHET_OK)
        forget_seen(step, run->lowest_s);
    self->figures.repeated = seen_events_repeated(step->seen);
    return code;
}

static seen_reach reach_of(const freshet_operator *self)
{
    return (seen_reach){.within_us = self->block->deduplicate.within_us,
                        .lateness_us = self->block->timestamp.lateness_us};
}

static freshet_code seen_step_save(const freshet_operator *self, text_buffer *into,
                                   freshet_error *err)
{
    const seen_reach reach = reach_of(self);
    return text_append(into, (const char *)&reach, sizeof reach)
               ? FRESHET_OK
               : error_memory(err, "saving how long ids are kept");
}

/* Ids that are gone would let repetitions through. */
static freshet_code seen_step_restore(freshet_operator *self, const void *bytes, size_t length,
                                      freshet_error *err)
{
    const seen_reach now = reach_of(self);
    seen_reach then;
    if (length != sizeof then)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved of \"deduplicate\" is damaged");
    memcpy(&then, bytes, sizeof then);
    if (now.within_us + now.lateness_us <= then.within_us + then.lateness_us)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                     "\"deduplicate\" looks back further (\"within\" and \"lateness\" are %" PRId64
                     " seconds together) than ids of events were kept (%" PRId64
                     " seconds): repetitions of older events would pass",
                     (now.within_us + now.lateness_us) / SECOND_US,
                     (then.within_us + then.lateness_us) / SECOND_US);
}

static const state_part *seen_step_parts(freshet_operator *self, uint32_t *n)
{
    *n = 1;
    return seen_events_part(((seen_step *)self)->seen);
}

static void seen_step_close(freshet_operator *self)
{
    seen_events_close(((seen_step *)self)->seen);
}

const operator_ops seen_events_operator = {.name = "deduplicate",
                                           .size = sizeof(seen_step),
                                           .wanted = seen_events_wanted,
                                           .open = seen_step_open,
                                           .run = seen_events_run,
                                           .save = seen_step_save,
                                           .restore = seen_step_restore,
                                           .parts = seen_step_parts,
                                           .close = seen_step_close};
