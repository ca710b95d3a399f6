/* feature_set.c - see feature_set.h: a list of operators (operator.h), and a loop for each of their
 * operations. How the work of the steps is divided is in feature_plan.h, how rows go through them
 * in run.h.
 *
 * SAVED FACTS: "FSF2", u32 bytes that follow; then for each operator that has facts u32 length,
 * name, u32 length, facts; little-endian.
 */
#include "features/feature_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/divided.h"
#include "features/lanes.h"
#include "features/operator.h"

#define FACTS_MAGIC "FSF2"
#define FACTS_HEAD_BYTES 8u
#define OPERATOR_ENTRY(name) &name##_operator,
#define OPERATOR_NUMBER(name) name##_number,

enum { OPERATORS(OPERATOR_NUMBER) N_OPERATORS };
static const operator_ops *const all_operators[N_OPERATORS] = {OPERATORS(OPERATOR_ENTRY)};

struct feature_set {
    plan plan;
    bool is_stream;
    freshet_operator *operators[N_OPERATORS]; /* those that are wanted */
    uint32_t n;
    state_part *parts; /* of all of them */
    uint32_t n_parts;
    evolution *evolution; /* feature_set_collect */
};

/* What it is, also where it is divided. */
static const operator_ops *undivided_ops(const freshet_operator *self)
{
    return self->ops->whole == NULL ? self->ops : self->ops->whole;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static freshet_code open_operator(feature_set *set, const operator_ops *ops,
                                  const operator_options *options, freshet_error *err)
{
    freshet_operator *made = calloc(1, ops->size);
    if (made == NULL)
        return error_memory(err, "opening the feature set");
    *made = (freshet_operator){.ops = ops,
                               .plan = &set->plan,
                               .block = &options->declaration->feature_set,
                               .is_stream = set->is_stream,
                               .arena = arena_open()};
    set->operators[set->n++] = made;
    if (made->arena == NULL)
        return error_memory(err, "opening the feature set");
    return ops->open == NULL ? FRESHET_OK : ops->open(made, options, err);
}

/* The mistakes of all of them. */
static freshet_code open_operators(feature_set *set, const operator_options *options,
                                   freshet_error *err)
{
    const operator_ops *const *ops =
        options->set->operators == NULL ? all_operators : options->set->operators;
    freshet_code worst = FRESHET_OK;
    for (uint32_t i = 0; i < N_OPERATORS; i++) {
        if (ops[i]->wanted != NULL && !ops[i]->wanted(options))
            continue;
        freshet_code code = open_operator(set, divided_ops(ops[i], options), options, err);
        if (code != FRESHET_OK && code != FRESHET_BAD_DECLARATION)
            return code;
        worst = code == FRESHET_OK ? worst : code;
    }
    return worst;
}

static freshet_code collect_parts(feature_set *set, freshet_error *err)
{
    uint32_t n;
    for (uint32_t i = 0; set->is_stream && i < set->n; i++) {
        freshet_operator *self = set->operators[i];
        if (self->ops->parts == NULL)
            continue;
        const state_part *parts = self->ops->parts(self, &n);
        set->parts = arena_grow(set->plan.arena, set->parts, set->n_parts * sizeof *parts,
                                (set->n_parts + n) * sizeof *parts);
        if (set->parts == NULL)
            return error_memory(err, "opening the feature set");
        memcpy(set->parts + set->n_parts, parts, n * sizeof *parts);
        set->n_parts += n;
    }
    return FRESHET_OK;
}

freshet_code feature_set_open(const feature_set_options *options, problems *problems,
                              feature_set **out, freshet_error *err)
{
    *out = NULL;
    feature_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return error_memory(err, "opening the feature set");
    const declaration *declaration = declaration_of(options->declaration);
    const operator_options given = {.set = options,
                                    .declaration = declaration,
                                    .plan = &set->plan,
                                    .memory = declaration_memory(declaration),
                                    .problems = problems};
    set->is_stream = declaration->is_stream;
    set->plan.corrects = options->corrects && set->is_stream;
    freshet_code code = plan_make(&set->plan, options->declaration, options->session,
                                  options->input, problems, err);
    if (code == FRESHET_OK)
        code = open_operators(set, &given, err);
    if (code == FRESHET_OK)
        code = collect_parts(set, err);
    if (code == FRESHET_OK)
        *out = set;
    else
        feature_set_close(set);
    return code;
}

void feature_set_close(feature_set *set)
{
    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->n; i++) {
        freshet_operator *self = set->operators[i];
        if (self->ops->close != NULL)
            self->ops->close(self);
        arena_close(self->arena);
        free(self);
    }
    plan_close(&set->plan);
    free(set);
}

const schema *feature_set_schema(const feature_set *set)
{
    return &set->plan.output;
}

const event_time *feature_set_event_time(const feature_set *set, uint32_t *column)
{
    *column = set->plan.timestamp_from;
    return &set->plan.event_time;
}

uint32_t feature_set_n_keys(const feature_set *set)
{
    return set->plan.n_keys;
}

bool feature_set_is_windowed(const feature_set *set, uint32_t column)
{
    const plan *plan = &set->plan;
    return column >= plan->n_output_slots || plan_is_windowed(plan, plan->output_slots[column]);
}

const state_part *feature_set_state(feature_set *set, uint32_t *n)
{
    *n = set->n_parts;
    return set->parts;
}

freshet_code feature_set_meanings(const feature_set *set, const declaration *declaration,
                                  const char *query, freshet_reader *const *readers,
                                  uint32_t n_readers, arena *arena, meanings *out,
                                  freshet_error *err)
{
    static const struct {
        const operator_ops *ops;
        uint32_t kept;
    } keepers[] = {{&windowed_operator, KEPT_WINDOWS},
                   {&aggregated_operator, KEPT_GROUPS},
                   {&seen_events_operator, KEPT_SEEN},
                   {&newest_rows_operator, KEPT_NEWEST}};
    meaning_sources sources = {
        .declaration = declaration, .query = query, .readers = readers, .n_readers = n_readers};
    for (uint32_t i = 0; set->is_stream && i < set->n; i++)
        for (size_t k = 0; k < sizeof keepers / sizeof *keepers; k++)
            if (undivided_ops(set->operators[i]) == keepers[k].ops)
                sources.kept |= keepers[k].kept;
    return meanings_collect(&set->plan, &sources, arena, out, err);
}

freshet_code feature_set_columns(const feature_set *set, const declaration *declaration,
                                 arena *arena, meanings *out, bool *carries, freshet_error *err)
{
    *carries = set->is_stream && set->plan.n_views > 0;
    return meanings_columns(&set->plan, declaration, arena, out, err);
}

feature_set_figures feature_set_measure(const feature_set *set)
{
    feature_set_figures sum = {0};
    for (uint32_t i = 0; i < set->n; i++)
        feature_set_figures_add(&sum, &set->operators[i]->figures);
    return sum;
}

bool feature_set_held_by(const feature_set *set, feature_set_holder *out)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (set->operators[i]->ops->held_by != NULL &&
            set->operators[i]->ops->held_by(set->operators[i], out))
            return true;
    return false;
}

const lanes *feature_set_lanes(const feature_set *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (set->operators[i]->ops->lanes != NULL)
            return set->operators[i]->ops->lanes(set->operators[i]);
    return NULL;
}

/* ---- running --------------------------------------------------------------------------------- */

uint32_t feature_set_copies(const feature_set *set)
{
    return plan_copies(&set->plan);
}

bool feature_set_makes(const feature_set *set, uint32_t copies)
{
    for (uint32_t i = 0; i < set->plan.n_stacks; i++)
        if (set->plan.stacks[i]->copies == copies)
            return true;
    return false;
}

bool feature_set_is_ordered(const feature_set *set)
{
    const feature_set_block *block = set->operators[0]->block;
    return set->plan.n_views > 0 || block->has_aggregated || block->has_deduplicate;
}

freshet_code feature_set_times(const feature_set *set, arena *arena, const batch *in, int64_t **out,
                               freshet_error *err)
{
    column made;
    uint64_t *failed;
    *out = NULL;
    freshet_code code =
        event_time_column(&set->plan.event_time, arena, &in->columns[set->plan.timestamp_from],
                          in->n_rows, &made, &failed, err);
    if (code != FRESHET_OK)
        return code;
    *out = made.data;
    if (made.data == in->columns[set->plan.timestamp_from].data) /* they stay what they are there */
        *out = arena_alloc(arena, (in->n_rows + (size_t)1) * sizeof **out);
    if (*out == NULL)
        return error_memory(err, "computing the times of rows");
    if (*out != made.data && in->n_rows > 0)
        memcpy(*out, made.data, in->n_rows * sizeof **out);
    for (uint32_t i = 0; made.valid != NULL && i < in->n_rows; i++)
        if (!column_is_valid(&made, i))
            (*out)[i] = INT64_MIN;
    return FRESHET_OK;
}

freshet_code feature_set_expect(feature_set *set, uint32_t lane, bool is_waiting,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < set->n; i++)
        if (set->operators[i]->ops->expect != NULL)
            code = set->operators[i]->ops->expect(set->operators[i], lane, is_waiting, err);
    return code;
}

/* The rest of the way, from an operator on. */
static freshet_code feature_set_walk(feature_set *set, run *run, uint32_t from, batch *out)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = from; code == FRESHET_OK && i < set->n; i++)
        if (set->operators[i]->ops->run != NULL)
            code = set->operators[i]->ops->run(set->operators[i], run);
    *out = run->out;
    return code;
}

freshet_code feature_set_run(feature_set *set, arena *arena, const batch *in, batch *out,
                             feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {.plan = &set->plan,
               .arena = arena,
               .in = in,
               .hold_s = INT64_MIN,
               .lowest_s = INT64_MIN,
               .refuse = refuse,
               .context = context,
               .err = err};
    return feature_set_walk(set, &run, 0, out);
}

/* The first operator that still owes rows; NULL where none does. */
static freshet_operator *find_debtor(const feature_set *set, uint32_t *index)
{
    for (*index = 0; *index < set->n; ++*index)
        if (set->operators[*index]->ops->owes != NULL &&
            set->operators[*index]->ops->owes(set->operators[*index]))
            return set->operators[*index];
    return NULL;
}

bool feature_set_owes(const feature_set *set)
{
    uint32_t index;
    return find_debtor(set, &index) != NULL;
}

bool feature_set_keeps_owed(const feature_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const freshet_operator *self = set->operators[i];
        if (self->ops->owes != NULL && self->ops->owes(self) &&
            (self->ops->keeps_owed == NULL || !self->ops->keeps_owed(self)))
            return false;
    }
    return true;
}

freshet_code feature_set_go_on(feature_set *set, arena *arena, batch *out,
                               feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {
        .plan = &set->plan, .arena = arena, .refuse = refuse, .context = context, .err = err};
    uint32_t index;
    freshet_operator *self = find_debtor(set, &index);
    if (self == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the feature set owes no rows");
    freshet_code code = self->ops->go_on(self, &run);
    return code == FRESHET_OK ? feature_set_walk(set, &run, index + 1, out) : code;
}

freshet_code feature_set_finish(feature_set *set, arena *arena, batch *out,
                                feature_refuse_fn *refuse, void *context, freshet_error *err)
{
    run run = {
        .plan = &set->plan, .arena = arena, .refuse = refuse, .context = context, .err = err};
    for (uint32_t i = 0; i < set->n; i++) {
        freshet_operator *self = set->operators[i];
        freshet_code code = self->ops->finish == NULL ? FRESHET_END : self->ops->finish(self, &run);
        if (code != FRESHET_END)
            return code == FRESHET_OK ? feature_set_walk(set, &run, i + 1, out) : code;
    }
    return FRESHET_END;
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* Room for a number that is known later; where it stands. */
static size_t reserve_length(text_buffer *into)
{
    const uint32_t length = 0;
    const size_t at = into->length;
    text_append(into, (const char *)&length, sizeof length);
    return at;
}

static void set_length(text_buffer *into, size_t at)
{
    if (into->failed)
        return;
    const uint32_t length = (uint32_t)(into->length - at - sizeof length);
    memcpy(into->bytes + at, &length, sizeof length);
}

freshet_code feature_set_save_facts(const feature_set *set, text_buffer *into, freshet_error *err)
{
    text_append(into, FACTS_MAGIC, 4);
    const size_t all = reserve_length(into);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < set->n; i++) {
        const freshet_operator *self = set->operators[i];
        if (self->ops->save == NULL || !self->is_stream)
            continue;
        size_t at = reserve_length(into);
        text_append(into, self->ops->name, strlen(self->ops->name));
        set_length(into, at);
        at = reserve_length(into);
        code = self->ops->save(self, into, err);
        set_length(into, at);
    }
    set_length(into, all);
    return code == FRESHET_OK && into->failed ? error_memory(err, "saving the facts") : code;
}

/* Takes a length and as many bytes from [*at, end); NULL where there are not so many. */
static const char *take_bytes(const char **at, const char *end, uint32_t *length)
{
    if ((size_t)(end - *at) < sizeof *length)
        return NULL;
    memcpy(length, *at, sizeof *length);
    *at += sizeof *length;
    const char *taken = *at;
    if ((size_t)(end - taken) < *length)
        return NULL;
    *at += *length;
    return taken;
}

static bool has_name(const operator_ops *ops, const char *name, uint32_t length)
{
    return strlen(ops->name) == length && memcmp(ops->name, name, length) == 0;
}

void feature_set_collect(feature_set *set, evolution *verdicts)
{
    set->evolution = verdicts;
    for (uint32_t i = 0; i < set->n; i++)
        set->operators[i]->evolution = verdicts;
}

/* What cannot be is one of the verdicts, where they are collected. */
static freshet_code refuse_facts(const feature_set *set, const operator_ops *ops,
                                 const char *reason, freshet_error *err)
{
    if (set->evolution == NULL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL, "%s", reason);
    evolution_say(set->evolution, ops->name, VERDICT_REFUSED, NULL, "", "%s", reason);
    return FRESHET_OK;
}

static freshet_code restore_operator(const feature_set *set, freshet_operator *self,
                                     const char *facts, uint32_t length, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code = self->ops->restore(self, facts, length, &problem);
    if (code == FRESHET_BAD_DECLARATION)
        return refuse_facts(set, self->ops, problem.text, err);
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code restore_section(feature_set *set, const char *name, uint32_t name_length,
                                    const char *facts, uint32_t length, freshet_error *err)
{
    for (uint32_t i = 0; i < set->n; i++) {
        freshet_operator *self = set->operators[i];
        if (self->ops->restore != NULL && has_name(self->ops, name, name_length))
            return restore_operator(set, self, facts, length, err);
    }
    for (uint32_t i = 0; i < N_OPERATORS; i++)
        if (all_operators[i]->gone != NULL && has_name(all_operators[i], name, name_length))
            return refuse_facts(set, all_operators[i], all_operators[i]->gone, err);
    return FRESHET_OK; /* what was kept is not needed any more */
}

bool feature_set_knows_facts(const void *bytes, size_t length)
{
    return length >= FACTS_HEAD_BYTES && memcmp(bytes, FACTS_MAGIC, 4) == 0;
}

freshet_code feature_set_restore_facts(feature_set *set, const void *bytes, size_t length,
                                       freshet_error *err)
{
    const char *at = bytes, *end = at + length;
    uint32_t n = 0, name_length = 0, facts_length = 0;
    if (length >= FACTS_HEAD_BYTES)
        memcpy(&n, at + 4, sizeof n);
    freshet_code code = FRESHET_OK;
    bool sound = feature_set_knows_facts(bytes, length) && n == length - FACTS_HEAD_BYTES;
    at += sound ? FACTS_HEAD_BYTES : 0;
    while (sound && code == FRESHET_OK && at < end) {
        const char *name = take_bytes(&at, end, &name_length);
        const char *facts = name == NULL ? NULL : take_bytes(&at, end, &facts_length);
        sound = facts != NULL;
        if (sound)
            code = restore_section(set, name, name_length, facts, facts_length, err);
    }
    return sound ? code
                 : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                             "the saved facts of the feature set are damaged");
}
