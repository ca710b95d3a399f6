/* preprocess.c - see preprocess.h: opening the steps of a reader, and its ways.
 *
 * OPENING. Step by step: its options are looked at against the columns before it; then its SQL is
 * prepared over an input of these columns, which gives the columns behind it. A step with a mistake
 * ends the looking, since what is behind it would be told of columns that are not there.
 */
#include "preprocess/preprocess.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "preprocess/segment.h"

#define CHECK_INPUT "__freshet_step"

/* ---- the steps there are --------------------------------------------------------------------- */

#define STEP_OPS(name) &name##_step,
static const preprocess_step_ops *const steps_there_are[] = {PREPROCESS_STEPS(STEP_OPS)};
#define N_STEPS (sizeof steps_there_are / sizeof *steps_there_are)
_Static_assert(N_STEPS < PREPROCESS_KINDS_MAX, "PREPROCESS_KINDS_MAX has room for all steps");

void preprocess_kinds(const block_kind **into)
{
    for (size_t i = 0; i < N_STEPS; i++)
        into[i] = &steps_there_are[i]->block;
    into[N_STEPS] = NULL;
}

/* Is there the step `incremental` behind those of the list? */
static bool has_incremental(const preprocess_options *options)
{
    return options->reader->block->has_incremental && !declaration_of(options->handle)->is_stream;
}

static const preprocess_step_ops *find_ops(const block_kind *kind)
{
    size_t i = 0;
    while (i < N_STEPS && &steps_there_are[i]->block != kind)
        i++;
    return i < N_STEPS ? steps_there_are[i] : NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t problems_now(const preprocess *chain)
{
    return problems_count(chain->options.problems);
}

static void check_columns(const preprocess_step *step)
{
    for (uint32_t i = 0; i < step->after.n_fields; i++) {
        const char *name = step->after.fields[i].name;
        const schema before = {i, step->after.fields};
        if (schema_find(&before, name) >= 0)
            step_problem(step, step->at,
                         "the step gives two columns named \"%s\": give one of them another name",
                         name);
    }
    if (step->after.n_fields == 0)
        step_problem(step, step->at, "the step gives no columns");
}

/* The hidden column is the last one. */
static bool has_hidden(const schema *columns)
{
    const uint32_t n = columns->n_fields;
    return n > 0 && strcmp(columns->fields[n - 1].name, PREPROCESS_ROW_COLUMN) == 0 &&
           columns->fields[n - 1].type->kind == TYPE_BIGINT;
}

/* The columns behind a step, by its SQL. */
static freshet_code describe_step(preprocess_step *step, freshet_error *err)
{
    preprocess *chain = step->chain;
    sql_session *session = chain->options.session;
    sql_input *input = NULL;
    sql_statement *statement = NULL;
    const char *sql = NULL;
    freshet_error reason = {0};
    freshet_code code =
        sql_input_add(session, CHECK_INPUT, &step->before, PREPROCESS_ROW_COLUMN, 0, &input, err);
    if (code == FRESHET_OK)
        code = step->ops->write(step, CHECK_INPUT, &sql, err);
    if (code == FRESHET_OK) {
        code = sql_prepare(session, sql, &statement, NULL, &reason);
        if (code == FRESHET_USAGE ||
            (code == FRESHET_OK && !has_hidden(sql_statement_schema(statement)))) {
            step_problem(step, step->at, "the step \"%s\" cannot be run: %s", step->ops->block.name,
                         code == FRESHET_OK ? "name its columns one by one" : reason.text);
            code = FRESHET_BAD_DECLARATION;
        } else if (code != FRESHET_OK && err != NULL) {
            *err = reason;
        }
    }
    if (code == FRESHET_OK) {
        step->after = schema_keep(chain->arena, sql_statement_schema(statement));
        if (step->after.fields == NULL)
            code = error_memory(err, PREPROCESSING);
        else
            step->after.n_fields--;
    }
    sql_statement_close(statement);
    sql_input_close(input);
    return code;
}

static freshet_code open_step(preprocess *chain, uint32_t i, const schema *before,
                              freshet_error *err)
{
    const bool is_last = i == chain->block->preprocess.n;
    const preprocess_block *block =
        is_last ? NULL : &((const preprocess_block *)chain->block->preprocess.items)[i];
    const preprocess_step_ops *ops = is_last ? &incremental_step : find_ops(block->kind.kind);
    const uint32_t n_problems = problems_now(chain);
    preprocess_step *step = ops == NULL ? NULL : arena_zero(chain->arena, 1, ops->size);
    if (step == NULL)
        return error_memory(err, PREPROCESSING);
    *step = (preprocess_step){.ops = ops,
                              .options = is_last ? (const void *)&chain->block->incremental
                                                 : block->kind.options,
                              .at = is_last ? &chain->block->id.at : &block->kind.at,
                              .chain = chain,
                              .number = i + 1,
                              .before = *before};
    chain->steps[i] = step;
    chain->n_steps = i + 1;
    freshet_code code = ops->check(step, err);
    if (code == FRESHET_OK && problems_now(chain) == n_problems)
        code = describe_step(step, err);
    if (code == FRESHET_OK && problems_now(chain) == n_problems)
        check_columns(step);
    return code == FRESHET_OK && problems_now(chain) > n_problems ? FRESHET_BAD_DECLARATION : code;
}

static freshet_code open_steps(preprocess *chain, freshet_error *err)
{
    const uint32_t n = chain->block->preprocess.n + has_incremental(&chain->options);
    const schema *before = &chain->options.reader->schema;
    freshet_code code = FRESHET_OK;
    chain->steps = arena_zero(chain->arena, n, sizeof *chain->steps);
    chain->id = sql_quote(chain->arena, chain->block->id.value);
    if (chain->steps == NULL || chain->id == NULL)
        return error_memory(err, PREPROCESSING);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        code = open_step(chain, i, before, err);
        before = &chain->steps[i]->after;
    }
    while (chain->n_early < chain->n_steps && !chain->steps[chain->n_early]->ops->needs_order)
        chain->n_early++;
    return code == FRESHET_BAD_DECLARATION
               ? error_set(err, code, FRESHET_STOP, NULL, "the steps of a reader cannot be used")
               : code;
}

freshet_code preprocess_open(const preprocess_options *options, preprocess **out,
                             freshet_error *err)
{
    *out = NULL;
    if (options->reader->block->preprocess.n == 0 && !has_incremental(options))
        return FRESHET_OK;
    preprocess *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return error_memory(err, PREPROCESSING);
    chain->options = *options;
    chain->block = options->reader->block;
    chain->arena = arena_open();
    chain->scratch = arena_open();
    freshet_code code = chain->arena == NULL || chain->scratch == NULL
                            ? error_memory(err, PREPROCESSING)
                            : open_steps(chain, err);
    if (code == FRESHET_OK)
        *out = chain;
    else
        preprocess_close(chain);
    return code;
}

/* A statement with the table's name in it up to four times. */
static freshet_code execute_with(const preprocess *chain, const char *format, freshet_error *err)
{
    char sql[480];
    snprintf(sql, sizeof sql, format, chain->table, chain->table, chain->table, chain->table);
    return sql_execute(chain->options.session, sql, NULL, err);
}

void preprocess_close(preprocess *chain)
{
    if (chain == NULL)
        return;
    preprocess_load_abort(chain);
    if (chain->loaded_views != NULL) {
        views_drop(chain, chain->loaded_views);
        execute_with(chain, "DROP VIEW IF EXISTS temp.%s_rows", NULL);
    }
    segment_close(chain->early);
    sql_input_close(chain->load_input);
    preprocess_unfollow(chain);
    arena_close(chain->arena);
    arena_close(chain->scratch);
    free(chain);
}

/* ---- what is asked of it --------------------------------------------------------------------- */

const schema *preprocess_schema(const preprocess *chain)
{
    return &chain->steps[chain->n_steps - 1]->after;
}

bool preprocess_remembers(const preprocess *chain)
{
    return chain->n_early < chain->n_steps;
}

void preprocess_use(const preprocess *chain, const bool *after, bool *before)
{
    bool *wanted = NULL;
    for (uint32_t i = chain->n_steps; i > 0; i--) {
        const preprocess_step *step = chain->steps[i - 1];
        bool *needed =
            i == 1 ? before : arena_zero(chain->arena, step->before.n_fields, sizeof *needed);
        if (needed == NULL) { /* then rather too many */
            memset(before, 1, chain->options.reader->schema.n_fields * sizeof *before);
            return;
        }
        step->ops->use(step, wanted == NULL ? after : wanted, needed);
        wanted = needed;
    }
}

/* ---- by rows --------------------------------------------------------------------------------- */

static freshet_code tell_trial(void *context, const batch *arguments, column *result,
                               freshet_error *err)
{
    (void)err;
    memset(result->data, *(const bool *)context, arguments->n_rows);
    return FRESHET_OK;
}

/* The function that tells steps behind a stage whether it is a trial. */
static freshet_code add_trial(preprocess *chain, freshet_error *err)
{
    static atomic_uint n_functions; /* names are never free again while the engine is open */
    chain->is_trial = calloc(1, sizeof *chain->is_trial);
    chain->trial_name =
        arena_format(chain->arena, "__freshet_trial_%u", atomic_fetch_add(&n_functions, 1));
    const char *name = arena_text(chain->arena, chain->trial_name);
    if (chain->is_trial == NULL || name == NULL) {
        free(chain->is_trial);
        return error_memory(err, PREPROCESSING);
    }
    const sql_function function = {.name = name,
                                   .returns = "boolean",
                                   .call = tell_trial,
                                   .is_volatile = true,
                                   .takes_nulls = true,
                                   .context = chain->is_trial,
                                   .release = free};
    return sql_function_add(chain->options.session, &function, err);
}

/* A step that needs order, number `at`; behind the one before it come the steps from `from` on. */
static freshet_code open_stage(preprocess *chain, const char *name, uint32_t from, uint32_t at,
                               freshet_error *err)
{
    const step_range range = {.behind = from == 0 ? NULL : chain->steps[from - 1],
                              .ahead = chain->steps[at],
                              .first = from,
                              .end = at};
    stage *stage = &chain->stages[chain->n_stages++];
    const char *view = arena_format(chain->arena, "%s_to_%u", name, at + 1);
    freshet_code code = view == NULL ? error_memory(err, PREPROCESSING) : FRESHET_OK;
    if (code == FRESHET_OK && !range_is_empty(&range))
        code = segment_open(chain, view, &range, &stage->before, err);
    stage->step = chain->steps[at];
    return code == FRESHET_OK ? stage->step->ops->open(stage->step, err) : code;
}

/* On a stream; *tail: the first step behind all that need order. */
static freshet_code open_stages(preprocess *chain, const char *name, uint32_t *tail,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    chain->stages = arena_zero(chain->arena, chain->n_steps, sizeof *chain->stages);
    if (chain->stages == NULL)
        return error_memory(err, PREPROCESSING);
    for (uint32_t i = 0; code == FRESHET_OK && i < chain->n_steps; i++)
        if (chain->steps[i]->ops->needs_order) {
            code = open_stage(chain, name, *tail, i, err);
            *tail = i + 1;
            if (code == FRESHET_OK && chain->trial_name == NULL)
                code = add_trial(chain, err);
        }
    return code;
}

freshet_code preprocess_follow(preprocess *chain, const char *name, sql_input **out,
                               freshet_error *err)
{
    const char *from = arena_format(chain->arena, "%s_in", name);
    uint32_t tail = 0;
    chain->views = arena_zero(chain->arena, 1, sizeof *chain->views);
    if (from == NULL || chain->views == NULL)
        return error_memory(err, PREPROCESSING);
    freshet_code code = open_stages(chain, name, &tail, err);
    const step_range range = {
        .behind = tail == 0 ? NULL : chain->steps[tail - 1], .first = tail, .end = chain->n_steps};
    if (code == FRESHET_OK)
        code =
            sql_input_add(chain->options.session, from, range_before(chain, &range),
                          PREPROCESS_ROW_COLUMN, chain->options.reader->index, &chain->input, err);
    if (code == FRESHET_OK)
        code = views_make(chain, &range, from, name, chain->views, err);
    chain->trial_name = NULL;
    *out = chain->input;
    chain->followed = arena_text(chain->arena, name);
    if (code == FRESHET_OK && chain->followed == NULL)
        code = error_memory(err, PREPROCESSING);
    return code;
}

bool preprocess_runs(const preprocess *chain)
{
    return chain->n_stages > 0;
}

uint32_t preprocess_parts(const preprocess *chain)
{
    return chain->n_stages;
}

const state_part *preprocess_part(const preprocess *chain, uint32_t i)
{
    return chain->stages[i].step->ops->part(chain->stages[i].step);
}

/* The rows that are meant, in their order, each with its origin. */
static freshet_code choose_rows(const preprocess *chain, const batch *raw, const uint32_t *order,
                                uint32_t n, arena *arena, batch *out, freshet_error *err)
{
    const uint32_t reader = chain->options.reader->index;
    batch all = *raw;
    all.arena = arena;
    all.origins = NULL;
    all.rows = arena_alloc(arena, (raw->n_rows + (size_t)1) * sizeof *all.rows);
    if (all.rows == NULL)
        return error_memory(err, PREPROCESSING);
    for (uint32_t i = 0; i < raw->n_rows; i++)
        all.rows[i] = ROW_OF(reader, i);
    if (order != NULL)
        return batch_gather(&all, order, n, out, PREPROCESSING, err);
    *out = all;
    return FRESHET_OK;
}

static freshet_code run_stage(const stage *stage, step_run *run, freshet_error *err)
{
    const segment_origin origin = {run->raw, run->rejects};
    batch before = *run->in;
    freshet_code code = FRESHET_OK;
    if (stage->before != NULL)
        code = segment_run(stage->before, run->in, &origin, run->arena, &before, err);
    if (code != FRESHET_OK)
        return code;
    run->in = &before;
    run->keep = arena_alloc(run->arena, before.n_rows + (size_t)1);
    if (run->keep == NULL)
        return error_memory(err, PREPROCESSING);
    memset(run->keep, 1, before.n_rows);
    return stage->step->ops->run(stage->step, run, err);
}

freshet_code preprocess_run(preprocess *chain, const batch *raw, const uint32_t *order, uint32_t n,
                            bool is_trial, rejects *rejects, arena *arena, batch *out,
                            freshet_error *err)
{
    batch in;
    *chain->is_trial = is_trial;
    freshet_code code = choose_rows(chain, raw, order, n, arena, &in, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < chain->n_stages; i++) {
        step_run run = {.in = &in,
                        .raw = raw,
                        .rejects = rejects,
                        .arena = arena,
                        .is_trial = is_trial,
                        .out = out};
        code = run_stage(&chain->stages[i], &run, err);
        in = *out;
    }
    return code;
}

bool preprocess_fails(preprocess *chain, freshet_error *reason)
{
    batch ignored;
    freshet_code code = FRESHET_OK;
    arena_reset(chain->scratch);
    if (chain->followers == NULL) {
        const char *sql = arena_format(chain->scratch, "SELECT * FROM %s", chain->followed);
        code = sql == NULL
                   ? FRESHET_NO_MEMORY
                   : sql_prepare(chain->options.session, sql, &chain->followers, NULL, NULL);
    }
    if (code != FRESHET_OK)
        return false;
    code = sql_run(chain->followers, chain->scratch, &ignored, reason);
    return code == FRESHET_FAILED && reason->then == FRESHET_SKIP_ROW;
}

void preprocess_unfollow(preprocess *chain)
{
    sql_statement_close(chain->followers);
    chain->followers = NULL;
    for (uint32_t i = 0; i < chain->n_stages; i++) {
        segment_close(chain->stages[i].before);
        if (chain->stages[i].step != NULL)
            chain->stages[i].step->ops->close(chain->stages[i].step);
    }
    chain->n_stages = 0;
    if (chain->views != NULL)
        views_drop(chain, chain->views);
    sql_input_close(chain->input);
    chain->input = NULL;
}

/* ---- loaded ---------------------------------------------------------------------------------- */

static const schema *early_schema(const preprocess *chain)
{
    return chain->n_early == 0 ? &chain->steps[0]->before
                               : &chain->steps[chain->n_early - 1]->after;
}

static freshet_code open_early(preprocess *chain, freshet_error *err)
{
    char name[80];
    snprintf(name, sizeof name, "__freshet_early_%u", chain->options.reader->index);
    const step_range range = {.end = chain->n_early};
    freshet_code code = segment_open(chain, name, &range, &chain->early, err);
    snprintf(name, sizeof name, "__freshet_loaded_%u", chain->options.reader->index);
    return code == FRESHET_OK ? sql_input_add(chain->options.session, name, early_schema(chain),
                                              NULL, 0, &chain->load_input, err)
                              : code;
}

freshet_code preprocess_load_begin(preprocess *chain, const char *table, freshet_error *err)
{
    char sql[200];
    if (chain->table == NULL)
        chain->table = arena_text(chain->arena, table);
    freshet_code code = chain->table == NULL   ? error_memory(err, PREPROCESSING)
                        : chain->early == NULL ? open_early(chain, err)
                                               : FRESHET_OK;
    if (code == FRESHET_OK)
        code = sql_table_create(chain->options.session, table, early_schema(chain), err);
    snprintf(sql, sizeof sql, "INSERT INTO %s SELECT * FROM __freshet_loaded_%u", table,
             chain->options.reader->index);
    return code == FRESHET_OK ? sql_command_prepare(chain->options.session, sql, &chain->load, err)
                              : code;
}

freshet_code preprocess_load(preprocess *chain, const batch *rows, rejects *rejects,
                             freshet_error *err)
{
    const segment_origin origin = {rows, rejects};
    batch made = {.arena = rows->arena};
    freshet_code code = segment_run(chain->early, rows, &origin, rows->arena, &made, err);
    if (code != FRESHET_OK)
        return code;
    sql_input_set(chain->load_input, &made, 0, made.n_rows);
    code = sql_command_run(chain->load, NULL, err);
    sql_input_set(chain->load_input, NULL, 0, 0);
    return code;
}

/* The views over the table, once: it has the same name and columns each time. */
static freshet_code make_loaded_views(preprocess *chain, freshet_error *err)
{
    const step_range range = {.first = chain->n_early, .end = chain->n_steps};
    char from[120], to[120];
    if (chain->loaded_views != NULL)
        return FRESHET_OK;
    chain->loaded_views = arena_zero(chain->arena, 1, sizeof *chain->loaded_views);
    if (chain->loaded_views == NULL)
        return error_memory(err, PREPROCESSING);
    snprintf(from, sizeof from, "%s_rows", chain->table);
    snprintf(to, sizeof to, "%s_view", chain->table);
    freshet_code code = execute_with(
        chain,
        "CREATE TEMPORARY VIEW %s_rows AS SELECT *, rowid AS " PREPROCESS_ROW_COLUMN " FROM %s",
        err);
    return code == FRESHET_OK ? views_make(chain, &range, from, to, chain->loaded_views, err)
                              : code;
}

/* The steps that need all rows, and those behind them, over the table. */
static freshet_code finish_table(preprocess *chain, freshet_error *err)
{
    freshet_code code = make_loaded_views(chain, err);
    if (code == FRESHET_OK)
        code = execute_with(chain,
                            "CREATE TABLE %s_done AS SELECT * EXCLUDE (" PREPROCESS_ROW_COLUMN
                            ") FROM %s_view ORDER BY " PREPROCESS_ROW_COLUMN,
                            err);
    if (code == FRESHET_OK)
        code = execute_with(chain, "DROP TABLE %s; ALTER TABLE %s_done RENAME TO %s", err);
    if (code == FRESHET_FAILED && err != NULL)
        err->then = FRESHET_STOP; /* of no one row */
    return code;
}

freshet_code preprocess_load_end(preprocess *chain, freshet_error *err)
{
    sql_statement_close(chain->load);
    chain->load = NULL;
    return preprocess_remembers(chain) ? finish_table(chain, err) : FRESHET_OK;
}

void preprocess_load_abort(preprocess *chain)
{
    sql_statement_close(chain->load);
    chain->load = NULL;
    if (chain->table != NULL)
        execute_with(chain, "DROP TABLE IF EXISTS %s; DROP TABLE IF EXISTS %s_done", NULL);
}
