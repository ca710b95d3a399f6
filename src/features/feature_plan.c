/* feature_plan.c - see feature_plan.h. */
#include "features/feature_plan_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "features/cast.h"

#define ALONE_PREFIX "SELECT ("

/* ---- names ----------------------------------------------------------------------------------- */

uint32_t planner_find(const planner *planner, const char *name)
{
    for (uint32_t i = 0; i < planner->n_seen; i++)
        if (strcasecmp(planner->plan->slots[planner->seen[i]].name, name) == 0)
            return i;
    return NO_SLOT;
}

void planner_show_slot(planner *planner, uint32_t slot, const char *name)
{
    uint32_t seen = planner_find(planner, name);
    planner->plan->slots[slot].name = name;
    planner->seen[seen == NO_SLOT ? planner->n_seen++ : seen] = slot;
}

uint32_t planner_add_slot(planner *planner, const char *name, const type *type)
{
    plan *plan = planner->plan;
    uint32_t slot = plan->n_slots++;
    plan->slots[slot] = (field){.name = "", .type = type};
    if (name != NULL)
        planner_show_slot(planner, slot, name);
    return slot;
}

step *planner_add_step(planner *planner, plan_phase phase)
{
    steps *steps = &planner->plan->steps[phase];
    return &steps->items[steps->n++];
}

const char *planner_who(planner *planner, const char *what, const char *name)
{
    return arena_format(planner->plan->arena, "%s \"%s\"", what, name);
}

uint32_t planner_add_output(planner *planner, const feature_block *block, const char *name,
                            const type *type)
{
    plan *plan = planner->plan;
    for (uint32_t i = 0; i < planner->n_outputs; i++) {
        if (strcasecmp(plan->slots[plan->output_slots[i]].name, name) != 0)
            continue;
        problem_add(planner->problems, &block->name.at,
                    "feature \"%s\": there is a column \"%s\" already: choose another name",
                    block->name.value, name);
        break;
    }
    uint32_t slot = planner_add_slot(planner, name, type);
    plan->output_slots[planner->n_outputs++] = slot;
    plan->needed[slot] = true;
    return slot;
}

/* `who` is who asks: `feature "x"`. */
static freshet_code report_unknown(planner *planner, const place *at, const char *who,
                                   const char *unknown)
{
    if (who == NULL)
        return error_memory(planner->err, PLANNING);
    const char **candidates =
        arena_alloc(planner->plan->arena, planner->n_seen * sizeof *candidates);
    if (candidates == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < planner->n_seen; i++)
        candidates[i] = planner->plan->slots[planner->seen[i]].name;
    const char *near = text_nearest(unknown, candidates, planner->n_seen);
    const char *dot = strchr(unknown, '.');
    const char *of =
        dot == NULL ? NULL : arena_copy(planner->plan->arena, unknown, (size_t)(dot - unknown));
    if (of != NULL && planner_find(planner, of) != NO_SLOT)
        problem_add(planner->problems, at,
                    "%s: \"%s\" is no column, but a part of the column \"%s\": give it a name in "
                    "the query, as in `select %s as %s`, or in a feature write `sql: %s` in the "
                    "place of `from`",
                    who, unknown, of, unknown, dot + 1, unknown);
    else if (near != NULL)
        problem_add(planner->problems, at, "%s: there is no column \"%s\"; did you mean \"%s\"?",
                    who, unknown, near);
    else
        problem_add(
            planner->problems, at,
            "%s: there is no column \"%s\" in the source's query or among what stands above", who,
            unknown);
    return FRESHET_OK;
}

freshet_code planner_resolve(planner *planner, const declared_text *from, const char *who,
                             uint32_t *slot)
{
    uint32_t seen = planner_find(planner, from->value);
    *slot = NO_SLOT;
    if (seen == NO_SLOT)
        return report_unknown(planner, &from->at, who, from->value);
    *slot = planner->seen[seen];
    planner->plan->needed[*slot] = true;
    return FRESHET_OK;
}

freshet_code plan_check_cast(const problem_sink *to, const char *what, const type *from,
                             const declared_type *declared)
{
    if (cast_possible(from, declared->value))
        return FRESHET_OK;
    const char *from_name = type_name(to->arena, from);
    const char *to_name = type_name(to->arena, declared->value);
    if (what == NULL || from_name == NULL || to_name == NULL)
        return error_memory(to->err, PLANNING);
    problem_add(to->problems, &declared->at, "%s %s, which cannot be cast to %s", what, from_name,
                to_name);
    return FRESHET_OK;
}

problem_sink planner_sink(const planner *planner)
{
    return (problem_sink){planner->plan->arena, planner->problems, planner->err};
}

/* ---- timestamp, keys, features that are columns ---------------------------------------------- */

static freshet_code plan_timestamp(planner *planner)
{
    plan *plan = planner->plan;
    const timestamp_block *block = &planner->block->timestamp;
    freshet_code code = planner_resolve(planner, &block->from, "timestamp", &plan->timestamp_from);
    if (code != FRESHET_OK || plan->timestamp_from == NO_SLOT)
        return code;
    plan->timestamp_name = block->from.value;
    freshet_error problem;
    code = event_time_compile(plan->arena, block, plan->slots[plan->timestamp_from].type,
                              &plan->event_time, &problem);
    if (code != FRESHET_USAGE)
        return code == FRESHET_OK ? code : error_memory(planner->err, PLANNING);
    problem_add(planner->problems, block->mask.value != NULL ? &block->mask.at : &block->from.at,
                "timestamp: %s", problem.text);
    return FRESHET_OK;
}

/* A column that is taken as it is, or `name` where `from` says none. */
static freshet_code plan_cast(planner *planner, const char *what, const declared_text *name,
                              const declared_text *from, const declared_type *type, cast_step *into)
{
    const plan *plan = planner->plan;
    const problem_sink to = planner_sink(planner);
    from = from->value != NULL ? from : name;
    *into = (cast_step){.who = planner_who(planner, what, name->value)};
    freshet_code code = planner_resolve(planner, from, into->who, &into->from);
    if (code != FRESHET_OK || into->from == NO_SLOT)
        return code;
    return plan_check_cast(
        &to, arena_format(plan->arena, "%s: column \"%s\" is", into->who, from->value),
        plan->slots[into->from].type, type);
}

/* A key that is a column. */
static freshet_code plan_key(planner *planner, const key_block *block)
{
    cast_step *key = &planner->plan->keys[planner->n_keys];
    const uint32_t to = key->to;
    freshet_code code = plan_cast(planner, "key", &block->name, &block->from, &block->type, key);
    key->to = to;
    planner->plan->slots[to] = (field){block->name.value, block->type.value};
    planner->n_keys++;
    return code;
}

static freshet_code plan_keys(planner *planner)
{
    const key_block *blocks = planner->block->keys.items;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < planner->block->keys.n; i++) {
        const key_block *key = &blocks[i];
        const made made = {.what = "key",
                           .name = &key->name,
                           .from = &key->from,
                           .sql = &key->sql,
                           .type = &key->type,
                           .function = key->has_function ? &key->function : NULL,
                           .stack = key->has_stack ? &key->stack : NULL,
                           .h3 = key->has_h3 ? &key->h3 : NULL};
        const bool is_made = key->has_function || key->has_stack || key->has_h3;
        code =
            is_made || key->sql.value != NULL ? plan_made(planner, &made) : plan_key(planner, key);
    }
    /* A stage of keys gives what later ones may mention. */
    planner->open[PHASE_ROW] = NULL;
    return code;
}

static freshet_code plan_column(planner *planner, const feature_block *block)
{
    plan *plan = planner->plan;
    cast_step cast;
    freshet_code code =
        plan_cast(planner, "feature", &block->name, &block->from, &block->type, &cast);
    cast.to = planner_add_output(planner, block, block->name.value, block->type.value);
    const plan_phase phase = cast.from == NO_SLOT ? PHASE_ROW : (plan_phase)plan->phases[cast.from];
    plan->phases[cast.to] = (uint8_t)phase;
    planner_add_step(planner, phase)->cast = cast;
    return code;
}

/* ---- features that are SQL ------------------------------------------------------------------- */

/* Where the expression has that position; -1: where it begins. */
static place place_in(const planner *planner, const sql_feature *feature, int64_t position)
{
    return position < 0 || feature->is_written
               ? feature->sql->at
               : declaration_place_in(planner->handle, feature->sql,
                                      (size_t)dialect_position(&feature->text, position));
}

static void report_sql(planner *planner, const sql_feature *feature, const sql_problem *problem)
{
    const place at = place_in(planner, feature, problem->position);
    problem_add(planner->problems, &at, "%s: %s", feature->who, problem->text);
}

/* Reports the names that are no columns here; *known says that there are none. */
static freshet_code check_mentions(planner *planner, const sql_feature *feature, bool *known)
{
    *known = true;
    for (uint32_t i = 0; i < feature->expression.n_mentions; i++) {
        const mention *mention = &feature->expression.mentions[i];
        if (mention->is_parameter || planner_find(planner, mention->name) != NO_SLOT)
            continue;
        *known = false;
        const place at = place_in(planner, feature, mention->position);
        const char *reason = expression_refused_name(mention->name);
        if (reason != NULL) {
            problem_add(planner->problems, &at, "%s: %s %s", feature->who, mention->name, reason);
            continue;
        }
        freshet_code code = report_unknown(planner, &at, feature->who, mention->name);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

/* The first column of the expression of the latest phase that any has; NO_SLOT: it mentions
 * none. */
static uint32_t find_latest(const planner *planner, const expression *expression)
{
    uint32_t latest = NO_SLOT;
    for (uint32_t i = 0; i < expression->n_mentions; i++) {
        uint32_t seen = planner_find(planner, expression->mentions[i].name);
        if (seen != NO_SLOT && (latest == NO_SLOT || planner->plan->phases[planner->seen[seen]] >
                                                         planner->plan->phases[latest]))
            latest = planner->seen[seen];
    }
    return latest;
}

/* May the expression be evaluated where the open stage is? Not if it mentions what came after. */
static bool fits_stage(const planner *planner, const stage *stage, const expression *expression)
{
    if (stage == NULL)
        return false;
    for (uint32_t slot = stage->begun_at; slot < planner->plan->n_slots; slot++)
        if (expression_mentions(expression, planner->plan->slots[slot].name))
            return false;
    return true;
}

static freshet_code begin_stage(planner *planner, plan_phase phase)
{
    plan *plan = planner->plan;
    stage *stage = arena_zero(plan->arena, 1, sizeof *stage);
    if (stage == NULL)
        return error_memory(planner->err, PLANNING);
    stage->number = ++planner->n_stages;
    snprintf(stage->input_name, sizeof stage->input_name, "__freshet_features_%u",
             stage->number - 1);
    stage->begun_at = plan->n_slots;
    planner_add_step(planner, phase)->stage = stage;
    planner->open[phase] = stage;
    return FRESHET_OK;
}

/* Puts the feature into a stage, and the columns that it mentions into the stage's input. */
static freshet_code add_to_stage(planner *planner, plan_phase phase, const sql_feature *feature)
{
    arena *arena = planner->plan->arena;
    stage *stage = planner->open[phase];
    uint32_t *stage_of = planner->stage_of[phase];
    assert(stage != NULL);
    if (!arena_reserve(arena, &stage->features, &stage->features_capacity,
                       stage->n_features + UINT64_C(1), sizeof *feature))
        return error_memory(planner->err, PLANNING);
    stage->features[stage->n_features++] = *feature;
    for (uint32_t i = 0; i < feature->expression.n_mentions; i++) {
        uint32_t seen = planner_find(planner, feature->expression.mentions[i].name);
        if (seen == NO_SLOT || stage_of[planner->seen[seen]] == stage->number)
            continue;
        uint32_t slot = planner->seen[seen];
        stage_of[slot] = stage->number;
        if (!arena_reserve(arena, &stage->slots, &stage->slots_capacity,
                           stage->n_slots + UINT64_C(1), sizeof *stage->slots))
            return error_memory(planner->err, PLANNING);
        stage->slots[stage->n_slots++] = slot;
    }
    return FRESHET_OK;
}

/* The text in DuckDB's SQL, whatever dialect it is in. */
static freshet_code read_dialect(planner *planner, sql_feature *feature, sql_problem *problem)
{
    plan *plan = planner->plan;
    const dialect dialect = feature->is_of_duckdb
                                ? DIALECT_DUCKDB
                                : (enum dialect)declaration_of(planner->handle)->dialect;
    schema columns = {0, NULL};
    if (dialect != DIALECT_DUCKDB) {
        field *fields = arena_alloc(plan->arena, (planner->n_seen + (size_t)1) * sizeof *fields);
        if (fields == NULL)
            return error_memory(planner->err, PLANNING);
        for (uint32_t i = 0; i < planner->n_seen; i++)
            fields[i] = plan->slots[planner->seen[i]];
        columns = (schema){planner->n_seen, fields};
    }
    *problem = (sql_problem){.position = -1};
    return dialect_expression(dialect, plan->session, plan->arena, feature->sql->value, &columns,
                              &feature->text, problem, planner->err);
}

static freshet_code find_type(planner *planner, sql_feature *feature, bool *known);

/* Reads the expression; *known: it is one, of columns that there are. */
static freshet_code planner_read_sql(planner *planner, sql_feature *feature, bool *known)
{
    sql_problem problem;
    *known = false;
    if (feature->who == NULL)
        return error_memory(planner->err, PLANNING);
    freshet_code code = read_dialect(planner, feature, &problem);
    if (code == FRESHET_OK)
        code = expression_read(planner->plan->session, planner->plan->arena, feature->text.sql,
                               &feature->expression, &problem, planner->err);
    if (code == FRESHET_USAGE)
        report_sql(planner, feature, &problem);
    else if (code == FRESHET_OK)
        code = check_mentions(planner, feature, known);
    return code == FRESHET_USAGE ? FRESHET_OK : code;
}

freshet_code planner_add_sql(planner *planner, sql_feature *feature, plan_phase *phase)
{
    plan *plan = planner->plan;
    bool known;
    *phase = PHASE_ROW;
    freshet_code code = planner_read_sql(planner, feature, &known);
    if (code == FRESHET_OK && known && feature->type.value == NULL)
        code = find_type(planner, feature, &known);
    if (code != FRESHET_OK || !known)
        return code;
    const uint32_t latest = find_latest(planner, &feature->expression);
    if (latest != NO_SLOT)
        *phase = (plan_phase)plan->phases[latest];
    if (*phase == PHASE_WINDOWS && feature->is_filter) {
        problem_add(planner->problems, &feature->sql->at, WINDOW_OF_WINDOW, feature->who,
                    plan->slots[latest].name);
        return FRESHET_OK;
    }
    if (!fits_stage(planner, planner->open[*phase], &feature->expression))
        code = begin_stage(planner, *phase);
    return code == FRESHET_OK ? add_to_stage(planner, *phase, feature) : code;
}

static freshet_code plan_sql(planner *planner, const feature_block *block)
{
    sql_feature feature = {.who = planner_who(planner, "feature", block->name.value),
                           .sql = &block->sql,
                           .type = block->type,
                           .to = planner->plan->n_slots};
    plan_phase phase;
    freshet_code code = planner_add_sql(planner, &feature, &phase);
    uint32_t slot = planner_add_output(planner, block, block->name.value, block->type.value);
    planner->plan->phases[slot] = (uint8_t)phase;
    return code;
}

/* ---- preparing the stages -------------------------------------------------------------------- */

/* `SELECT (a) AS __freshet_0, (b) AS __freshet_1, __freshet_feature_row FROM ...` */
static freshet_code stage_sql(arena *arena, const stage *stage, const char **sql,
                              freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i < stage->n_features; i++) /* a comment at the end ends with the line */
        text_format(&text, "(%s\n) AS __freshet_%u, ", stage->features[i].expression.sql, i);
    text_format(&text, PLAN_ROW_COLUMN " FROM %s", stage->input_name);
    *sql = text_keep(&text, arena);
    return *sql == NULL ? error_memory(err, PLANNING) : FRESHET_OK;
}

/* NULL where memory is out. */
static const char *alone_sql(const plan *plan, const stage *stage, const sql_feature *feature)
{
    return arena_format(plan->arena,
                        ALONE_PREFIX "%s\n) AS __freshet_0, " PLAN_ROW_COLUMN " FROM %s",
                        feature->expression.sql, stage->input_name);
}

/* The place in the feature's text of one in alone_sql. */
static void place_alone(const sql_feature *feature, sql_problem *problem)
{
    problem->position -= (int64_t)strlen(ALONE_PREFIX);
    if (problem->position > (int64_t)strlen(feature->expression.sql))
        problem->position = -1;
}

freshet_code plan_prepare_alone(plan *plan, const stage *stage, sql_feature *feature,
                                sql_problem *problem, freshet_error *err)
{
    const char *sql = alone_sql(plan, stage, feature);
    if (sql == NULL)
        return error_memory(err, PLANNING);
    freshet_code code = sql_prepare(plan->session, sql, &feature->alone, problem, err);
    if (code == FRESHET_USAGE && problem != NULL)
        place_alone(feature, problem);
    return code;
}

/* A statement that aggregates fails for the row number beside it, in words that would not help. */
static freshet_code explain_aggregate(planner *planner, const sql_feature *feature,
                                      sql_problem *problem)
{
    const char *aggregate;
    freshet_code code = expression_find_aggregate(planner->plan->session, planner->plan->arena,
                                                  &feature->expression, &aggregate, planner->err);
    if (code == FRESHET_OK && aggregate != NULL) {
        problem->position = -1;
        snprintf(problem->text, sizeof problem->text,
                 feature->is_written
                     ? "%s() is an aggregate of many rows, and `function` has functions of one "
                       "value: for values of many rows use `window`"
                     : "%s() is an aggregate of many rows, and a feature's SQL sees one row at a "
                       "time: for values of many rows use `window`",
                 aggregate);
    }
    return code;
}

static freshet_code check_sql_type(planner *planner, const sql_feature *feature, const type *given)
{
    const problem_sink to = planner_sink(planner);
    const char *what = arena_format(planner->plan->arena, "%s: its SQL gives", feature->who);
    return plan_check_cast(&to, what, given, &feature->type);
}

/* After the stage's statement failed: whose fault is it? Runs, too, for what fails with no rows. */
static freshet_code check_alone(planner *planner, stage *stage, sql_feature *feature, bool *bad)
{
    plan *plan = planner->plan;
    sql_problem problem = {.position = -1};
    batch rows;
    freshet_code code = plan_prepare_alone(plan, stage, feature, &problem, planner->err);
    if (code == FRESHET_USAGE) {
        code = explain_aggregate(planner, feature, &problem);
        report_sql(planner, feature, &problem);
        *bad = true;
        return code;
    }
    if (code != FRESHET_OK)
        return code;
    freshet_error failure;
    code = sql_run(feature->alone, plan->arena, &rows, &failure);
    if (code == FRESHET_OK)
        return check_sql_type(planner, feature,
                              sql_statement_schema(feature->alone)->fields[0].type);
    if (failure.then != FRESHET_SKIP_ROW)
        return error_set(planner->err, code, failure.then, failure.at, "%s", failure.text);
    snprintf(problem.text, sizeof problem.text, "%.600s", failure.text);
    report_sql(planner, feature, &problem);
    *bad = true;
    return FRESHET_OK;
}

static freshet_code find_culprits(planner *planner, stage *stage, const char *message)
{
    bool bad = false;
    for (uint32_t i = 0; i < stage->n_features; i++) {
        freshet_code code = check_alone(planner, stage, &stage->features[i], &bad);
        if (code != FRESHET_OK)
            return code;
    }
    if (!bad)
        problem_add(planner->problems, &stage->features[0].sql->at, "%s: %s",
                    stage->features[0].who, message);
    return FRESHET_OK;
}

/* Casts that no row can ever do. */
static freshet_code check_casts(planner *planner, const stage *stage, const sql_feature *feature)
{
    plan *plan = planner->plan;
    sql_problem problem = {.position = -1};
    const char *sql = alone_sql(plan, stage, feature);
    if (sql == NULL)
        return error_memory(planner->err, PLANNING);
    freshet_code code = sql_check_casts(plan->session, plan->arena, sql, &problem, planner->err);
    if (code != FRESHET_USAGE)
        return code;
    place_alone(feature, &problem);
    report_sql(planner, feature, &problem);
    return FRESHET_OK;
}

static freshet_code check_stage_types(planner *planner, const stage *stage)
{
    const schema *given = sql_statement_schema(stage->statement);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < stage->n_features; i++)
        code = check_sql_type(planner, &stage->features[i], given->fields[i].type);
    for (uint32_t i = 0; code == FRESHET_OK && i < stage->n_features; i++)
        code = check_casts(planner, stage, &stage->features[i]);
    return code;
}

static freshet_code add_input(planner *planner, stage *stage)
{
    plan *plan = planner->plan;
    field *fields = arena_alloc(plan->arena, stage->n_slots * sizeof *fields);
    stage->used = arena_zero(plan->arena, stage->n_slots, sizeof *stage->used);
    if (fields == NULL || stage->used == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < stage->n_slots; i++)
        fields[i] = plan->slots[stage->slots[i]];
    stage->seen = (schema){.n_fields = stage->n_slots, .fields = fields};
    return sql_input_add(plan->session, stage->input_name, &stage->seen, PLAN_ROW_COLUMN, 0,
                         &stage->input, planner->err);
}

/* The stage's input has each column once that the feature mentions. */
static freshet_code add_mentioned(planner *planner, stage *stage, const expression *expression)
{
    for (uint32_t i = 0; i < expression->n_mentions; i++) {
        const uint32_t seen = planner_find(planner, expression->mentions[i].name);
        uint32_t k = 0;
        while (seen != NO_SLOT && k < stage->n_slots && stage->slots[k] != planner->seen[seen])
            k++;
        if (seen == NO_SLOT || k < stage->n_slots)
            continue;
        if (!arena_reserve(planner->plan->arena, &stage->slots, &stage->slots_capacity,
                           stage->n_slots + UINT64_C(1), sizeof *stage->slots))
            return error_memory(planner->err, PLANNING);
        stage->slots[stage->n_slots++] = planner->seen[seen];
    }
    return FRESHET_OK;
}

/* The type that the expression gives, by a statement of its own, before any stage has it. *known:
 * it gives one; what it does not is reported. */
static freshet_code find_type(planner *planner, sql_feature *feature, bool *known)
{
    plan *plan = planner->plan;
    stage stage = {0};
    sql_problem problem = {.position = -1};
    *known = false;
    snprintf(stage.input_name, sizeof stage.input_name, "__freshet_type_%u", planner->n_types++);
    freshet_code code = add_mentioned(planner, &stage, &feature->expression);
    if (code == FRESHET_OK)
        code = add_input(planner, &stage);
    if (code == FRESHET_OK)
        code = plan_prepare_alone(plan, &stage, feature, &problem, planner->err);
    if (code == FRESHET_OK) {
        feature->type.value =
            type_keep(plan->arena, sql_statement_schema(feature->alone)->fields[0].type);
        *known = feature->type.value != NULL;
        code = *known ? FRESHET_OK : error_memory(planner->err, PLANNING);
    } else if (code == FRESHET_USAGE) {
        code = explain_aggregate(planner, feature, &problem);
        report_sql(planner, feature, &problem);
    }
    sql_statement_close(feature->alone);
    feature->alone = NULL;
    sql_input_close(stage.input);
    return code;
}

static freshet_code prepare_stage(planner *planner, stage *stage)
{
    plan *plan = planner->plan;
    const char *sql;
    batch rows;
    freshet_code code = add_input(planner, stage);
    if (code == FRESHET_OK)
        code = stage_sql(plan->arena, stage, &sql, planner->err);
    if (code != FRESHET_OK)
        return code;
    freshet_error failure;
    code = sql_prepare(plan->session, sql, &stage->statement, NULL, &failure);
    if (code == FRESHET_USAGE)
        return find_culprits(planner, stage, failure.text);
    if (code == FRESHET_OK)
        code = sql_run(stage->statement, plan->arena, &rows, &failure);
    if (code == FRESHET_FAILED && failure.then == FRESHET_SKIP_ROW)
        return find_culprits(planner, stage, failure.text);
    if (code != FRESHET_OK)
        return error_set(planner->err, code, failure.then, failure.at, "%s", failure.text);
    sql_input_used(stage->input, stage->used);
    for (uint32_t i = 0; i < stage->seen.n_fields; i++)
        plan->needed[stage->slots[i]] |= stage->used[i];
    return check_stage_types(planner, stage);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static freshet_code make_output(planner *planner)
{
    plan *plan = planner->plan;
    field *fields = arena_alloc(plan->arena, planner->n_outputs * sizeof *fields);
    if (fields == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < planner->n_outputs; i++)
        fields[i] = plan->slots[plan->output_slots[i]];
    plan->output = (schema){.n_fields = planner->n_outputs, .fields = fields};
    plan->n_output_slots = planner->n_outputs;
    return FRESHET_OK;
}

static freshet_code plan_allocate(planner *planner, const schema *input)
{
    plan *plan = planner->plan;
    const feature_set_block *block = planner->block;
    plan->arena = arena_open();
    if (plan->arena == NULL)
        return error_memory(planner->err, PLANNING);
    const uint64_t n_keys = plan_count_keys(block);
    /* Each step makes a slot. */
    const uint64_t n =
        input->n_fields + 1 + n_keys + plan_many_slots(block) + plan_made_slots(block);
    if (n > PLAN_SLOTS_MAX)
        return error_set(planner->err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the feature set \"%s\" has more than %u columns", block->name.value,
                         PLAN_SLOTS_MAX);
    const struct {
        void *into; /* the address of a pointer */
        uint64_t n;
        size_t size;
    } arrays[] = {
        {&plan->slots, n, sizeof *plan->slots},
        {&plan->needed, n, sizeof *plan->needed},
        {&plan->phases, n, sizeof *plan->phases},
        {&plan->output_slots, n, sizeof *plan->output_slots},
        {&plan->keys, n_keys, sizeof *plan->keys},
        {&plan->steps[0].items, n, sizeof(step)},
        {&plan->steps[1].items, n, sizeof(step)},
        {&plan->steps[2].items, n, sizeof(step)},
        {&plan->stacks, (uint64_t)block->keys.n + block->features.n, sizeof(stack_step *)},
        {&plan->many, block->features.n, sizeof *plan->many},
        {&plan->views, block->features.n + UINT64_C(1), sizeof *plan->views},
        {&planner->seen, n, sizeof *planner->seen},
        {&planner->stage_of[0], n, sizeof *planner->stage_of[0]},
        {&planner->stage_of[1], n, sizeof *planner->stage_of[1]},
        {&planner->stage_of[2], n, sizeof *planner->stage_of[2]},
    };
    const schema kept = schema_keep(plan->arena, input);
    bool ok = kept.fields != NULL;
    for (size_t i = 0; ok && i < sizeof arrays / sizeof *arrays; i++) {
        void *made = arena_zero(plan->arena, arrays[i].n, arrays[i].size);
        memcpy(arrays[i].into, &made, sizeof made);
        ok = made != NULL;
    }
    if (!ok)
        return error_memory(planner->err, PLANNING);
    plan->n_keys = (uint32_t)n_keys;
    plan->n_source = input->n_fields;
    for (uint32_t i = 0; i < kept.n_fields; i++)
        planner_add_slot(planner, kept.fields[i].name, kept.fields[i].type);
    return FRESHET_OK;
}

static void add_plain_output(planner *planner, uint32_t slot)
{
    planner->plan->output_slots[planner->n_outputs++] = slot;
    planner->plan->needed[slot] = true;
}

/* The slots of the pivot and of `distinct`, among the columns and keys of the growing row. */
static freshet_code plan_aggregated(planner *planner)
{
    plan *plan = planner->plan;
    const aggregated_block *block = &planner->block->aggregated;
    freshet_code code = FRESHET_OK;
    plan->pivot = NO_SLOT;
    if (block->has_pivot)
        code = planner_resolve(planner, &block->pivot.column, "pivot", &plan->pivot);
    if (!block->has_distinct || code != FRESHET_OK)
        return code;
    uint32_t *distinct = arena_alloc(plan->arena, block->distinct.subset.n * sizeof *distinct);
    if (distinct == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; code == FRESHET_OK && i < block->distinct.subset.n; i++)
        code = planner_resolve(planner, &block->distinct.subset.items[i], "distinct", &distinct[i]);
    plan->distinct = distinct;
    return code;
}

static freshet_code plan_feature(planner *planner, const feature_block *block)
{
    const made made = {.what = "feature",
                       .name = &block->name,
                       .from = &block->from,
                       .sql = &block->sql,
                       .type = &block->type,
                       .function = block->has_function ? &block->function : NULL,
                       .stack = block->has_stack ? &block->stack : NULL,
                       .h3 = block->has_h3 ? &block->h3 : NULL,
                       .feature = block};
    if (block->has_window || block->has_aggregate)
        return plan_many(planner, block);
    if (block->has_function || block->has_stack || block->has_h3)
        return plan_made(planner, &made);
    return block->sql.value != NULL ? plan_sql(planner, block) : plan_column(planner, block);
}

/* Keys and the timestamp are taken from the source's columns, whatever the others are called: their
 * slots have no names until all keys are planned. */
static freshet_code plan_columns(planner *planner)
{
    plan *plan = planner->plan;
    const feature_block *features = planner->block->features.items;
    assert(planner->seen != NULL);
    freshet_code code = plan_timestamp(planner);
    plan->timestamp = planner_add_slot(planner, NULL, type_simple(TYPE_TIMESTAMP));
    for (uint32_t i = 0; i < plan->n_keys; i++) {
        plan->keys[i].to = planner_add_slot(planner, NULL, type_simple(TYPE_STRING));
        add_plain_output(planner, plan->keys[i].to);
    }
    add_plain_output(planner, plan->timestamp);
    if (code == FRESHET_OK)
        code = plan_keys(planner);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < plan->n_keys; i++)
        planner_show_slot(planner, plan->keys[i].to, plan->slots[plan->keys[i].to].name);
    planner_show_slot(planner, plan->timestamp, "timestamp");
    for (uint32_t i = 0; code == FRESHET_OK && i < planner->block->features.n; i++)
        code = plan_feature(planner, &features[i]);
    if (code == FRESHET_OK && planner->block->has_aggregated)
        code = plan_aggregated(planner);
    return code == FRESHET_OK ? make_output(planner) : code;
}

static freshet_code prepare_stages(planner *planner, const steps *steps)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < steps->n; i++)
        if (steps->items[i].stage != NULL)
            code = prepare_stage(planner, steps->items[i].stage);
    return code;
}

/* Can `refresh: on_expiry` mean anything? Only windows of time lose rows while none come. */
static void check_refresh(planner *planner)
{
    const feature_set_block *block = planner->block;
    const plan *plan = planner->plan;
    if (block->refresh != REFRESH_ON_EXPIRY || block->has_aggregated)
        return;
    if (plan->n_views == 0 || plan->views[0].windows->longest_s < 0)
        problem_add(
            planner->problems, &block->name.at,
            "refresh: on_expiry has no meaning here: rows leave fixed_windows of the feature "
            "set's own keys by time alone, and no feature has such; row_windows change when "
            "rows come, and other features with their own row");
    if (block->timestamp.late == ON_LATE_UPDATE)
        problem_add(planner->problems, &block->name.at,
                    "refresh: on_expiry cannot go with `late: update`: what was sent when a window "
                    "lost rows could never be put right by a late one");
}

freshet_code plan_make(plan *plan, const freshet_declaration *handle, sql_session *session,
                       const schema *input, problems *problems, freshet_error *err)
{
    uint32_t n_problems = problems_count(problems);
    const feature_set_block *block = &declaration_of(handle)->feature_set;
    planner planner = {
        .plan = plan, .handle = handle, .block = block, .problems = problems, .err = err};
    plan->session = session;
    plan->null_on_error = block->on_cast_error == ON_CAST_ERROR_NULL;
    freshet_code code = plan_allocate(&planner, input);
    if (code == FRESHET_OK)
        code = plan_columns(&planner);
    for (unsigned phase = 0; code == FRESHET_OK && phase < PLAN_PHASES; phase++)
        code = prepare_stages(&planner, &plan->steps[phase]);
    if (code == FRESHET_OK && problems_count(problems) == n_problems)
        code = plan_views(&planner);
    if (code == FRESHET_OK && problems_count(problems) == n_problems)
        check_refresh(&planner);
    if (code == FRESHET_OK && problems_count(problems) > n_problems)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the feature set \"%s\" cannot be computed as it is declared",
                         block->name.value);
    return code;
}

static void close_steps(const steps *steps)
{
    for (uint32_t i = 0; i < steps->n; i++) {
        stage *stage = steps->items[i].stage;
        if (stage == NULL)
            continue;
        for (uint32_t j = 0; j < stage->n_features; j++)
            sql_statement_close(stage->features[j].alone);
        sql_statement_close(stage->statement);
        sql_input_close(stage->input);
    }
}

void plan_close(plan *plan)
{
    for (unsigned phase = 0; phase < PLAN_PHASES; phase++)
        close_steps(&plan->steps[phase]);
    arena_close(plan->arena);
    *plan = (struct plan){0};
}
