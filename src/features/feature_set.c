/* feature_set.c - see feature_set.h; how the work is divided into steps is in feature_plan.h, how rows go
 * through them in run.h, what windows do on the way in windowed.h.
 *
 *   source's rows -> timestamp, keys -> too early, too late? seen? -> steps before -> windows -> steps after
 *
 * In a batch rows with windows stop before these, and go on in feature_set_finish; with
 * deduplicate_rows all rows stop at the end, and come out there, too. In an aggregated set all rows end in
 * the place of the windows, in groups (aggregated.h), and other rows come out of these.
 */
#include "features/feature_set.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "features/operators/aggregated.h"
#include "features/operators/deduplicate.h"
#include "features/operators/newest_rows.h"
#include "features/operators/seen_events.h"
#include "features/operators/shared_keys.h"
#include "features/operators/windowed.h"
#include "features/run.h"
#include "features/watermark.h"

#define SPAN_TEXT_MAX 64
#define PARTS_BESIDE 2u /* those of `seen` and of `newest` */

struct feature_set {
    plan plan;
    const feature_set_block *block;
    bool is_stream;
    windowed *windowed;     /* NULL: no feature looks at other rows */
    aggregated *aggregated; /* NULL: rows stay rows */
    int64_t hold_s;         /* rows of that second and later may come, as it was before this run */
    watermarks *watermarks; /* of a stream with windows; else NULL: groups have their own */
    shared_keys *shared;    /* of a stream */
    uint64_t dropped;       /* late rows, by `late: drop` */
    seen_events *seen;      /* `deduplicate`, or NULL */
    int64_t seen_from_us;   /* of rows before it it is not known whether they were seen */
    deduplicate *deduplicate; /* `deduplicate_rows` of a batch, or NULL */
    newest_rows *newest;      /* NULL: nobody asks, or windows know it */
    state_part *parts;        /* those of windows or groups, of `seen` and of `newest` */
    uint32_t n_parts;
};

static freshet_code open_aggregated(feature_set *set, const freshet_declaration *declaration,
                                    problems *problems, freshet_error *err)
{
    plan *plan = &set->plan;
    uint32_t *keys = arena_alloc(plan->arena, plan->n_keys * sizeof *keys);
    aggregated_feature *features = arena_alloc(plan->arena, plan->n_many * sizeof *features);
    if (keys == NULL || features == NULL)
        return error_memory(err, "opening the feature set");
    for (uint32_t i = 0; i < plan->n_keys; i++)
        keys[i] = plan->keys[i].to;
    for (uint32_t i = 0; i < plan->n_many; i++)
        features[i] =
            (aggregated_feature){plan->many[i].block, plan->many[i].values, plan->many[i].filter};
    aggregated_source source = {
        .columns = plan->slots,
        .n_columns = plan->n_slots,
        .keys = keys,
        .n_keys = plan->n_keys,
        .timestamp = plan->timestamp,
        .features = features,
        .n_features = plan->n_many,
        .pivot = plan->pivot,
        .distinct = plan->distinct,
    };
    return aggregated_open(declaration_of(declaration), &source, problems, &set->aggregated, err);
}

/* `deduplicate: {on: ...}`: the columns of the query that it names. */
static freshet_code open_seen(feature_set *set, const declaration *declaration, const schema *input,
                              problems *problems, freshet_error *err)
{
    const deduplicate_block *block = &set->block->deduplicate;
    uint32_t *columns = arena_alloc(set->plan.arena, block->on.n * sizeof *columns);
    uint32_t n_problems = problems_count(problems);
    if (columns == NULL)
        return error_memory(err, "opening the feature set");
    for (uint32_t i = 0; i < block->on.n; i++) {
        const declared_text *name = &block->on.items[i];
        int64_t found = schema_find(input, name->value);
        if (found < 0)
            problem_add(problems, &name->at,
                        "deduplicate: there is no column \"%s\" in the source's query",
                        name->value);
        else if (input->fields[found].type->kind == TYPE_STRUCT)
            problem_add(problems, &name->at,
                        "deduplicate: the column \"%s\" is a struct: name columns of single values",
                        name->value);
        columns[i] = found < 0 ? 0 : (uint32_t)found;
    }
    if (problems_count(problems) > n_problems)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "the feature set has mistakes");
    return seen_events_open(input, columns, block->on.n, block->within_us,
                            (size_t)declaration->state.memory, &set->seen, err);
}

/* What takes rows out: repeated events, rows that repeat the one before. */
static freshet_code open_deduplication(feature_set *set, const declaration *declaration,
                                       const schema *input, problems *problems, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    set->seen_from_us = INT64_MIN;
    if (set->block->has_deduplicate)
        code = open_seen(set, declaration, input, problems, err);
    if (code == FRESHET_OK && set->block->deduplicate_rows && !set->is_stream &&
        !set->block->has_aggregated)
        code = deduplicate_open(feature_set_schema(set), set->plan.n_keys,
                                (size_t)declaration->state.memory, &set->deduplicate, err);
    return code;
}

static freshet_code collect_parts(feature_set *set, freshet_error *err)
{
    uint32_t n = 0;
    const state_part *of_others = windowed_parts(set->windowed, &n);
    if (set->aggregated != NULL) {
        of_others = aggregated_state(set->aggregated);
        n = set->is_stream ? 1 : 0;
    }
    set->parts = arena_alloc(set->plan.arena, (n + PARTS_BESIDE) * sizeof *set->parts);
    if (set->parts == NULL)
        return error_memory(err, "opening the feature set");
    if (n > 0)
        memcpy(set->parts, of_others, n * sizeof *set->parts);
    if (set->seen != NULL && set->is_stream)
        set->parts[n++] = *seen_events_part(set->seen);
    if (set->newest != NULL && set->is_stream)
        set->parts[n++] = *newest_rows_part(set->newest);
    set->n_parts = n;
    return FRESHET_OK;
}

/* On a stream windows and groups say it themselves. In a batch the rows that are output are ranked, whatever they are made
 * of: less than a stream may have counted, never more. */
static freshet_code open_newest(feature_set *set, const feature_set_options *options,
                                freshet_error *err)
{
    const bool is_plain = set->windowed == NULL && set->aggregated == NULL;
    if (!options->ranks || (set->is_stream && !is_plain))
        return FRESHET_OK;
    return newest_rows_open(
        feature_set_schema(set), set->plan.n_keys, options->first_us, options->last_us,
        (size_t)declaration_of(options->declaration)->state.memory, &set->newest, err);
}

freshet_code feature_set_open(const feature_set_options *options, problems *problems,
                              feature_set **out, freshet_error *err)
{
    const freshet_declaration *declaration = options->declaration;
    *out = NULL;
    feature_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return error_memory(err, "opening the feature set");
    set->block = &declaration_of(declaration)->feature_set;
    set->is_stream = declaration_of(declaration)->is_stream;
    set->plan.corrects = options->corrects && set->is_stream;
    freshet_code code =
        plan_make(&set->plan, declaration, options->session, options->input, problems, err);
    if (code == FRESHET_OK)
        code = windowed_open(&set->plan, set->block, set->is_stream, &set->windowed, err);
    if (code == FRESHET_OK && set->block->has_aggregated)
        code = open_aggregated(set, declaration, problems, err);
    if (code == FRESHET_OK && set->aggregated != NULL)
        aggregated_set_bounds(set->aggregated, options->first_us, options->last_us);
    if (code == FRESHET_OK)
        code = open_deduplication(set, declaration_of(declaration), options->input, problems, err);
    if (code == FRESHET_OK)
        code = open_newest(set, options, err);
    if (code == FRESHET_OK)
        code = collect_parts(set, err);
    if (code == FRESHET_OK && (set->windowed != NULL || set->seen != NULL) && set->is_stream) {
        set->watermarks = watermarks_open(set->block->timestamp.lateness_us);
        if (set->watermarks == NULL)
            code = error_memory(err, "opening the feature set");
    }
    if (code == FRESHET_OK && set->is_stream) {
        set->shared = shared_keys_open();
        if (set->shared == NULL)
            code = error_memory(err, "opening the feature set");
    }
    if (code == FRESHET_OK)
        *out = set;
    else
        feature_set_close(set);
    return code;
}

static void look_for_shared_keys(feature_set *set, const run *run)
{
    if (set->shared == NULL || run->in->lanes == NULL)
        return;
    shared_keys_begin(set->shared);
    for (uint32_t i = 0; i < run->plan->n_keys; i++)
        shared_keys_column(set->shared, &run->columns[run->plan->keys[i].to], run->n_rows);
    shared_keys_look(set->shared, run->in->lanes, run->keep, run->n_rows);
}

void feature_set_close(feature_set *set)
{
    if (set == NULL)
        return;
    watermarks_close(set->watermarks);
    aggregated_close(set->aggregated);
    deduplicate_close(set->deduplicate);
    seen_events_close(set->seen);
    newest_rows_close(set->newest);
    shared_keys_close(set->shared);
    windowed_close(set->windowed);
    plan_close(&set->plan);
    free(set);
}

const schema *feature_set_schema(const feature_set *set)
{
    return set->aggregated != NULL ? aggregated_schema(set->aggregated) : &set->plan.output;
}

uint32_t feature_set_n_keys(const feature_set *set)
{
    return set->plan.n_keys;
}

static freshet_code rank(feature_set *set, freshet_code code, batch *out, freshet_error *err)
{
    return code != FRESHET_OK || set->newest == NULL ? code
                                                     : newest_rows_rank(set->newest, out, err);
}

freshet_code feature_set_expect(feature_set *set, uint32_t lane, freshet_error *err)
{
    return set->watermarks == NULL
               ? FRESHET_OK
               : watermarks_expect(set->watermarks, lane, os.monotonic_us(), err);
}

freshet_code feature_set_await(feature_set *set, uint32_t lane, freshet_error *err)
{
    return set->aggregated == NULL ? feature_set_expect(set, lane, err)
                                   : aggregated_expect(set->aggregated, lane, err);
}

uint64_t feature_set_shared(const feature_set *set)
{
    return shared_keys_count(set->shared);
}

uint64_t feature_set_dropped(const feature_set *set)
{
    return set->dropped + (set->windowed == NULL ? 0 : windowed_dropped(set->windowed)) +
           (set->aggregated == NULL ? 0 : aggregated_dropped(set->aggregated));
}

uint64_t feature_set_repeated(const feature_set *set)
{
    return (set->seen == NULL ? 0 : seen_events_repeated(set->seen)) +
           (set->deduplicate == NULL ? 0 : deduplicate_dropped(set->deduplicate));
}

/* ---- too early, too late ------------------------------------------------------------------------ */

/* "3 hours 20 minutes": the two largest units. */
static void format_span(int64_t seconds, char into[SPAN_TEXT_MAX])
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    size_t length = 0;
    unsigned n = 0;
    into[0] = '\0';
    for (unsigned i = 0; i < 4 && n < 2; i++) {
        int64_t count = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (count == 0 && !(i == 3 && n == 0))
            continue;
        length += (size_t)snprintf(into + length, SPAN_TEXT_MAX - length, "%s%" PRId64 " %s%s",
                                   n == 0 ? "" : " ", count, units[i].name, count == 1 ? "" : "s");
        n++;
    }
}

static freshet_code refuse_future(run *run, const timestamp_block *block)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.now_us();
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t ahead_us;
        if (!run->keep[row] || event_us[row] <= now_us)
            continue;
        if (__builtin_sub_overflow(event_us[row], now_us, &ahead_us))
            ahead_us = INT64_MAX;
        if (ahead_us <= block->max_future_us)
            continue;
        char ahead[SPAN_TEXT_MAX], allowed[SPAN_TEXT_MAX];
        format_span(ahead_us / 1000000, ahead);
        format_span(block->max_future_us / 1000000, allowed);
        code = run_refuse(run, row,
                          arena_format(run->arena,
                                       "timestamp: it is %s ahead of the clock, and \"max_future\" "
                                       "allows %s",
                                       ahead, allowed));
    }
    return code;
}

static freshet_code feature_set_refuse_late(feature_set *set, run *run, uint32_t row,
                                            int64_t behind_s)
{
    if (set->block->timestamp.late == ON_LATE_UPDATE)
        return FRESHET_OK;
    if (set->block->timestamp.late == ON_LATE_DROP) {
        set->dropped++;
        run_drop(run, row);
        return FRESHET_OK;
    }
    char behind[SPAN_TEXT_MAX], allowed[SPAN_TEXT_MAX];
    format_span(behind_s, behind);
    format_span(watermarks_lateness_s(set->watermarks), allowed);
    return run_refuse(
        run, row,
        arena_format(run->arena,
                     "timestamp: it is %s behind the newest row of its partition, and "
                     "\"lateness\" allows %s",
                     behind, allowed));
}

/* Each row moves its lane's watermark, or is measured by it. */
static freshet_code refuse_late_rows(feature_set *set, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.monotonic_us(), lateness_s = watermarks_lateness_s(set->watermarks);
    freshet_code code = FRESHET_OK;
    set->hold_s = watermarks_lowest(set->watermarks, now_us);
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        const uint32_t origin = run->index == NULL ? row : run->index[row];
        int64_t behind_s;
        if (!run->keep[row])
            continue;
        code = watermarks_take(set->watermarks, run->in->lanes == NULL ? 0 : run->in->lanes[origin],
                               event_us[row], now_us, &behind_s, run->err);
        if (code == FRESHET_OK && behind_s > lateness_s)
            code = feature_set_refuse_late(set, run, row, behind_s);
    }
    return code;
}

/* ---- seen before -------------------------------------------------------------------------------- */

/* After the rows of a run: what no row can repeat any more is forgotten. */
static void forget_seen(feature_set *set)
{
    int64_t lowest_s =
        set->watermarks == NULL ? INT64_MIN : watermarks_lowest(set->watermarks, os.monotonic_us());
    if (lowest_s <= INT64_MIN / 1000000 || lowest_s * 1000000 <= set->seen_from_us)
        return;
    set->seen_from_us = lowest_s * 1000000;
    seen_events_forget(set->seen, set->seen_from_us);
}

/* Events that repeat one are left out. One from a time whose events are forgotten is late: such
 * are of a partition that was idle. */
static freshet_code drop_repeated(feature_set *set, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        const uint32_t origin = run->index == NULL ? row : run->index[row];
        bool is_new = true;
        if (!run->keep[row])
            continue;
        if (event_us[row] < set->seen_from_us && set->block->timestamp.late != ON_LATE_UPDATE) {
            code = feature_set_refuse_late(set, run, row,
                                           (set->seen_from_us - event_us[row]) / 1000000 +
                                               watermarks_lateness_s(set->watermarks));
            continue;
        }
        code = seen_events_take(set->seen, run->in, origin, event_us[row], &is_new, run->err);
        if (code == FRESHET_OK && !is_new)
            run_drop(run, row);
    }
    if (code == FRESHET_OK)
        forget_seen(set);
    return code;
}

/* ---- running ------------------------------------------------------------------------------------ */

static freshet_code run_windows(feature_set *set, run *run)
{
    freshet_code code = run_compact(run);
    if (code != FRESHET_OK)
        return code;
    if (!set->is_stream) {
        code = windowed_gather(set->windowed, run);
        run->n_rows = 0;
        return code;
    }
    code = windowed_run(set->windowed, run, set->hold_s);
    windowed_expect(set->windowed, watermarks_lowest(set->watermarks, os.monotonic_us()));
    return code == FRESHET_OK ? run_steps(run, &set->plan.after) : code;
}

static freshet_code refuse_of_run(void *context, uint32_t row, const char *reason,
                                  freshet_error *err)
{
    (void)err; /* the run has it */
    return run_refuse(context, row, reason);
}

static freshet_code run_groups(feature_set *set, run *run, batch *out)
{
    freshet_code code = run_compact(run);
    aggregated_rows rows = {
        .columns = run->columns,
        .n_rows = run->n_rows,
        .lanes = run->in->lanes,
        .index = run->index,
        .refuse = refuse_of_run,
        .context = run,
    };
    return code == FRESHET_OK ? aggregated_run(set->aggregated, run->arena, &rows, out, run->err)
                              : code;
}

bool feature_set_owes(const feature_set *set)
{
    return set->aggregated != NULL ? aggregated_owes(set->aggregated)
                                   : set->windowed != NULL && windowed_owes(set->windowed);
}

static freshet_code go_on_rows(feature_set *set, arena *arena, batch *out,
                               feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {
        .plan = &set->plan, .arena = arena, .refuse = refuse, .context = context, .err = err};
    if (set->aggregated != NULL)
        return aggregated_run(set->aggregated, arena, &(aggregated_rows){0}, out, err);
    assert(set->windowed != NULL);
    freshet_code code = windowed_go_on(set->windowed, &run);
    if (code == FRESHET_OK)
        code = run_steps(&run, &set->plan.after);
    if (code == FRESHET_OK)
        code = run_compact(&run);
    return code == FRESHET_OK ? run_output(&run, out) : code;
}

freshet_code feature_set_go_on(feature_set *set, arena *arena, batch *out,
                               feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    return rank(set, go_on_rows(set, arena, out, refuse, context, err), out, err);
}

/* With deduplicate_rows all rows must be seen before the first one can go on. */
static freshet_code keep_for_later(feature_set *set, batch *out, freshet_error *err)
{
    if (set->deduplicate == NULL)
        return FRESHET_OK;
    freshet_code code = deduplicate_add(set->deduplicate, out, err);
    out->n_rows = 0;
    return code;
}

static freshet_code run_rows(feature_set *set, arena *arena, const batch *in, batch *out,
                             feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {.plan = &set->plan,
               .arena = arena,
               .in = in,
               .refuse = refuse,
               .context = context,
               .err = err};
    const timestamp_block *timestamp = &set->block->timestamp;
    freshet_code code = run_begin(&run);
    if (code == FRESHET_OK)
        code = run_time_column(&run);
    if (code == FRESHET_OK)
        code = run_key_columns(&run);
    if (code == FRESHET_OK)
        look_for_shared_keys(set, &run);
    if (code == FRESHET_OK && set->is_stream && timestamp->max_future_us > 0)
        code = refuse_future(&run, timestamp);
    if (code == FRESHET_OK && set->watermarks != NULL)
        code = refuse_late_rows(set, &run);
    if (code == FRESHET_OK && set->seen != NULL)
        code = drop_repeated(set, &run);
    if (code == FRESHET_OK)
        code = run_steps(&run, &set->plan.before);
    if (code == FRESHET_OK && set->aggregated != NULL)
        return run_groups(set, &run, out);
    if (code == FRESHET_OK && set->windowed != NULL)
        code = run_windows(set, &run);
    if (code == FRESHET_OK)
        code = run_compact(&run);
    if (code == FRESHET_OK)
        code = run_output(&run, out);
    return code == FRESHET_OK ? keep_for_later(set, out, err) : code;
}

freshet_code feature_set_run(feature_set *set, arena *arena, const batch *in, batch *out,
                             feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    return rank(set, run_rows(set, arena, in, out, refuse, context, err), out, err);
}

static freshet_code finish_windows(feature_set *set, run *run, batch *out)
{
    if (set->windowed == NULL || set->is_stream)
        return FRESHET_END;
    freshet_code code = windowed_finish(set->windowed, run);
    if (code == FRESHET_OK)
        code = run_steps(run, &set->plan.after);
    if (code == FRESHET_OK)
        code = run_compact(run);
    return code == FRESHET_OK ? run_output(run, out) : code;
}

static freshet_code finish_rows(feature_set *set, arena *arena, batch *out,
                                feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {
        .plan = &set->plan, .arena = arena, .refuse = refuse, .context = context, .err = err};
    if (set->aggregated != NULL)
        return aggregated_finish(set->aggregated, arena, out, err);
    freshet_code code = finish_windows(set, &run, out);
    if (code == FRESHET_END && set->deduplicate != NULL)
        return deduplicate_next(set->deduplicate, arena, out, err);
    return code == FRESHET_OK ? keep_for_later(set, out, err) : code;
}

freshet_code feature_set_finish(feature_set *set, arena *arena, batch *out,
                                feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    return rank(set, finish_rows(set, arena, out, refuse, context, err), out, err);
}

/* ---- state -------------------------------------------------------------------------------------- */

const state_part *feature_set_state(feature_set *set, uint32_t *n)
{
    *n = set->n_parts;
    return set->parts;
}

/* Where there are watermarks: a length, and these. Then what the windows or the groups know. */
/* How long ids of events have been kept; in the facts behind the watermarks, where there is `deduplicate`. */
typedef struct seen_reach {
    char mark[8];
    int64_t within_us;
    int64_t lateness_us;
} seen_reach;

#define SEEN_MARK "ids kept"

static seen_reach seen_reach_of(const feature_set *set)
{
    seen_reach reach = {.within_us = set->block->deduplicate.within_us,
                        .lateness_us = set->block->timestamp.lateness_us};
    memcpy(reach.mark, SEEN_MARK, sizeof reach.mark);
    return reach;
}

/* Ids that are gone would let repetitions through. */
static freshet_code restore_seen_reach(const feature_set *set, const char **at, size_t *length,
                                       freshet_error *err)
{
    seen_reach then;
    if (*length < sizeof then || memcmp(*at, SEEN_MARK, sizeof then.mark) != 0)
        return FRESHET_OK;
    memcpy(&then, *at, sizeof then);
    *at += sizeof then;
    *length -= sizeof then;
    if (set->seen == NULL)
        return FRESHET_OK;
    const seen_reach now = seen_reach_of(set);
    if (now.within_us + now.lateness_us <= then.within_us + then.lateness_us)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                     "\"deduplicate\" looks back further (\"within\" and \"lateness\" are %" PRId64
                     " seconds together) than ids of events were kept (%" PRId64
                     " seconds): repetitions of older events would pass",
                     (now.within_us + now.lateness_us) / 1000000,
                     (then.within_us + then.lateness_us) / 1000000);
}

freshet_code feature_set_save_facts(const feature_set *set, text_buffer *into, freshet_error *err)
{
    if (set->watermarks != NULL) {
        const size_t begin = into->length;
        uint32_t length = 0;
        text_append(into, (const char *)&length, sizeof length);
        freshet_code code = watermarks_save(set->watermarks, into, err);
        if (code != FRESHET_OK)
            return code;
        length = (uint32_t)(into->length - begin - sizeof length);
        memcpy(into->bytes + begin, &length, sizeof length);
    }
    if (set->seen != NULL && set->is_stream) {
        const seen_reach reach = seen_reach_of(set);
        if (!text_append(into, (const char *)&reach, sizeof reach))
            return error_memory(err, "saving how long ids are kept");
    }
    if (set->aggregated != NULL)
        return aggregated_save_facts(set->aggregated, into, err);
    return set->windowed == NULL || !set->is_stream ? FRESHET_OK
                                                    : windowed_save_facts(set->windowed, into, err);
}

/* The watermarks, from which *at and *length move on. */
static freshet_code restore_watermarks(feature_set *set, const char **at, size_t *length,
                                       freshet_error *err)
{
    uint32_t n = 0;
    if (*length >= sizeof n)
        memcpy(&n, *at, sizeof n);
    if (*length < sizeof n || n > *length - sizeof n)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved facts of the feature set are damaged");
    freshet_code code =
        watermarks_restore(set->watermarks, *at + sizeof n, n, os.monotonic_us(), err);
    *at += sizeof n + n;
    *length -= sizeof n + n;
    return code;
}

freshet_code feature_set_restore_facts(feature_set *set, const void *bytes, size_t length,
                                       freshet_error *err)
{
    const char *at = bytes;
    if (set->watermarks != NULL) {
        freshet_code code = restore_watermarks(set, &at, &length, err);
        if (code != FRESHET_OK)
            return code;
    }
    freshet_code code = restore_seen_reach(set, &at, &length, err);
    if (code != FRESHET_OK)
        return code;
    if (set->aggregated != NULL)
        return aggregated_restore_facts(set->aggregated, at, length, err);
    if (set->windowed != NULL)
        return windowed_restore_facts(set->windowed, at, length, err);
    if (length == 0)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                     "the saved state is of a feature set with windows, and this one has none");
}
