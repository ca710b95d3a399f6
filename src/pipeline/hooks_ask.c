/* hooks_ask.c - asking hooks about rows, and what follows from the answers.
 *
 * Hooks of rows are asked first, in their order, each about the rows that those before it have
 * left; then the aggregates, about what is left of all. A row for which the expectation itself
 * fails (a cast in it) does not meet it: it is found by halves, as rows are for which the query
 * fails.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/hooks_internal.h"
#include "readers/polling.h"

#define HALVING_DEPTH_MAX 64u
#define WARN_US INT64_C(60000000)
#define EXAMPLE_BYTES_MAX 220
#define FOUND_BYTES_MAX 200

/* What was found by one hook: how many of how many rows, and one of them. */
typedef struct finding {
    uint64_t n, of;
    char found[FOUND_BYTES_MAX]; /* of an aggregate */
    char why[FOUND_BYTES_MAX];   /* the expectation itself fails; "" */
    char example[EXAMPLE_BYTES_MAX];
} finding;

static bool hook_fails_for_row(freshet_code code, const freshet_error *err)
{
    return code == FRESHET_FAILED && err->then == FRESHET_SKIP_ROW;
}

/* ---- what follows ---------------------------------------------------------------------------- */

static void append_finding(const hook_point *point, const hook *hook, const finding *found,
                           text_buffer *into)
{
    if (hook->is_aggregate) {
        text_format(into, "the hook %s does not hold for %s: ", hook->said, point->rows);
        if (found->why[0] != '\0')
            text_format(into, "it fails: %s", found->why);
        else
            text_format(into, "found %s", found->found);
        if (found->example[0] != '\0')
            text_format(into, ", %s %s", hook->filter == NULL ? "the first row is" : "such as",
                        found->example);
    } else {
        text_format(into, "the hook %s does not hold for %llu of %llu of %s", hook->said,
                    (unsigned long long)found->n, (unsigned long long)found->of, point->rows);
        if (found->example[0] != '\0')
            text_format(into, ", such as %s", found->example);
        if (found->why[0] != '\0')
            text_format(into, " (it fails: %s)", found->why);
    }
}

static freshet_code hook_fail(const hook_point *point, const hook *hook, const finding *found,
                              freshet_error *err)
{
    const declaration *declaration = point->hooks->pipeline->declaration;
    char at[232];
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_finding(point, hook, found, &text);
    freshet_code code = error_set(
        err, FRESHET_BAD_DATA, FRESHET_STOP, place_text(&hook->block->expect.at, at, sizeof at),
        "%s: nothing of this %s is "
        "written",
        text.failed ? hook->said : text.bytes, declaration->is_stream ? "micro-batch" : "batch");
    text_release(&text);
    return code;
}

/* Once at first, then at most each minute how often since. */
static void hook_warn(const hook_point *point, hook *hook, const finding *found)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    const int64_t now_us = os.monotonic_us();
    char at[232];
    text_buffer text;
    const int64_t n = hook->is_aggregate ? 1 : (int64_t)found->n;
    pipeline_count(pipeline, FRESHET_HOOK_WARNINGS, n);
    hook->n_unsaid += n;
    if (hook->said_us != 0 && now_us - hook->said_us < WARN_US)
        return;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_finding(point, hook, found, &text);
    if (hook->n_unsaid > n)
        text_format(&text, "; %lld %s since the last warning", (long long)hook->n_unsaid,
                    hook->is_aggregate ? "times" : "rows");
    if (!text.failed)
        log_event(HOOK_WARNS, pipeline->declaration->pipeline.value,
                  place_text(&hook->block->expect.at, at, sizeof at), text.bytes);
    text_release(&text);
    hook->said_us = now_us;
    hook->n_unsaid = 0;
}

static void take_example(const batch *rows, uint64_t row, finding *found)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (batch_row_to_json(rows, row, &text, NULL) == FRESHET_OK && !text.failed) {
        const bool fits = text.length < sizeof found->example;
        snprintf(found->example, sizeof found->example, fits ? "%.*s" : "%.*s...",
                 (int)(fits ? text.length : sizeof found->example - 8), text.bytes);
    }
    text_release(&text);
}

/* ---- rows of a batch ------------------------------------------------------------------------- */

typedef struct asking {
    hook_point *point;
    hook *hook;
    const batch *rows;
    uint8_t *is_broken; /* by row */
    const char **why;   /* by row: the expectation fails; NULL */
    arena *arena;       /* the step's */
} asking;

/* Rows [from, to): what is true of each. *failed: the expectation fails for one of them. */
static freshet_code ask_range(const asking *asking, uint32_t from, uint32_t to, bool *failed,
                              freshet_error *err)
{
    arena *scratch = asking->point->hooks->scratch;
    batch answer;
    freshet_error reason = {0};
    arena_reset(scratch);
    sql_input_set(asking->point->input, asking->rows, from, to - from);
    freshet_code code = sql_run(asking->hook->statement, scratch, &answer, &reason);
    sql_input_set(asking->point->input, NULL, 0, 0);
    *failed = hook_fails_for_row(code, &reason);
    if (*failed && to - from == 1) {
        asking->is_broken[from] = 1;
        asking->why[from] = arena_format(asking->arena, "%.190s", reason.text);
    }
    if (*failed)
        return FRESHET_OK;
    if (code != FRESHET_OK) {
        if (err != NULL)
            *err = reason;
        return code;
    }
    const bool *is_true = answer.columns[0].data;
    for (uint32_t i = 0; i < answer.n_rows; i++)
        asking->is_broken[from + i] = !column_is_valid(&answer.columns[0], i) || !is_true[i];
    return FRESHET_OK;
}

static freshet_code ask_rows(const asking *asking, uint32_t first, freshet_error *err)
{
    struct {
        uint32_t from, to;
    } stack[HALVING_DEPTH_MAX] = {{first, asking->rows->n_rows}};
    uint32_t depth = asking->rows->n_rows > first ? 1 : 0;
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && depth > 0) {
        const uint32_t from = stack[--depth].from, to = stack[depth].to;
        const uint32_t middle = from + (to - from) / 2;
        bool failed = false;
        code = ask_range(asking, from, to, &failed, err);
        if (!failed || to - from == 1)
            continue;
        stack[depth].from = middle;
        stack[depth++].to = to;
        stack[depth].from = from;
        stack[depth++].to = middle;
    }
    return code;
}

/* The rows that are kept, with all that is said of them. */
static freshet_code keep_rows(batch *rows, const uint8_t *keep, freshet_error *err)
{
    batch kept = {0};
    row_copy *wanted = NULL;
    freshet_code code = batch_select(rows, keep, &kept, err);
    if (code != FRESHET_OK)
        return code;
    if (rows->wanted != NULL) {
        wanted = arena_zero(rows->arena, kept.n_rows + (size_t)1, sizeof *wanted);
        if (wanted == NULL)
            return error_memory(err, HOOKING);
        for (uint32_t i = 0, n = 0; i < rows->n_rows; i++)
            if (keep[i])
                wanted[n++] = rows->wanted[i];
    }
    kept.wanted = wanted;
    kept.has_watermark = rows->has_watermark;
    kept.watermark_s = rows->watermark_s;
    *rows = kept;
    return FRESHET_OK;
}

/* Refuses the rows that are broken; `all` and numbers tell which rows they were. */
static freshet_code refuse_broken(const asking *asking, const batch *all, const uint32_t *numbers,
                                  uint8_t *keep, hook_refuse_fn *refuse, freshet_error *err)
{
    const hook *hook = asking->hook;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < asking->rows->n_rows; i++) {
        keep[i] = !asking->is_broken[i];
        if (keep[i] || refuse == NULL)
            continue;
        char reason[700];
        const char *why = asking->why[i];
        snprintf(reason, sizeof reason, "the hook %s does not hold for this row%s%s", hook->said,
                 why == NULL ? "" : ": it fails: ", why == NULL ? "" : why);
        code = refuse(asking->point, all, numbers[i], reason, err);
    }
    return code;
}

/* One hook, about rows->n_rows rows, of which those from `first` on are new. */
static freshet_code ask_one(hook_point *point, hook *hook, batch *rows, uint32_t first,
                            const batch *all, uint32_t *numbers, hook_refuse_fn *refuse,
                            freshet_error *err)
{
    arena *arena = rows->arena;
    const uint32_t n = rows->n_rows;
    asking asking = {.point = point,
                     .hook = hook,
                     .rows = rows,
                     .arena = arena,
                     .is_broken = arena_zero(arena, n + (size_t)1, 1),
                     .why = arena_zero(arena, n + (size_t)1, sizeof(const char *))};
    uint8_t *keep = arena_zero(arena, n + (size_t)1, 1);
    if (asking.is_broken == NULL || asking.why == NULL || keep == NULL)
        return error_memory(err, HOOKING);
    freshet_code code = ask_rows(&asking, first, err);
    const uint8_t *one = n == 0 ? NULL : memchr(asking.is_broken, 1, n);
    if (code != FRESHET_OK || one == NULL)
        return code;
    finding found = {.of = n - first};
    for (uint32_t i = first; i < n; i++)
        found.n += asking.is_broken[i];
    const uint32_t example = (uint32_t)(one - asking.is_broken);
    take_example(rows, example, &found);
    if (asking.why[example] != NULL)
        snprintf(found.why, sizeof found.why, "%s", asking.why[example]);
    if (hook->block->on_violation == VIOLATION_FAIL)
        return hook_fail(point, hook, &found, err);
    if (hook->block->on_violation == VIOLATION_WARN) {
        hook_warn(point, hook, &found);
        return FRESHET_OK;
    }
    code = refuse_broken(&asking, all, numbers, keep, refuse, err);
    for (uint32_t i = 0, to = 0; code == FRESHET_OK && i < n; i++)
        if (keep[i])
            numbers[to++] = numbers[i];
    return code == FRESHET_OK ? keep_rows(rows, keep, err) : code;
}

/* ---- aggregates ------------------------------------------------------------------------------ */

/* A row for the message: one that the FILTER counts, or the first. */
static void find_example(const hook_point *point, const hook *hook, const char *from,
                         finding *found)
{
    arena *scratch = point->hooks->scratch;
    sql_statement *statement = NULL;
    batch rows;
    if (!point->names_columns)
        return;
    const char *sql =
        arena_format(scratch, "SELECT %s FROM %s WHERE (%s\n) LIMIT 1", point->gathered, from,
                     hook->filter == NULL ? "true" : hook->filter);
    if (sql != NULL &&
        sql_prepare(point->hooks->pipeline->session, sql, &statement, NULL, NULL) == FRESHET_OK &&
        sql_run(statement, scratch, &rows, NULL) == FRESHET_OK && rows.n_rows > 0)
        take_example(&rows, 0, found);
    sql_statement_close(statement);
}

/* The statement has the answer, and the sides behind it. */
static freshet_code ask_aggregate(const hook_point *point, hook *hook, sql_statement *statement,
                                  const char *from, freshet_error *err)
{
    arena *scratch = point->hooks->scratch;
    finding found = {.n = 1};
    freshet_error reason = {0};
    batch answer;
    freshet_code code = sql_run(statement, scratch, &answer, &reason);
    if (code != FRESHET_OK && !hook_fails_for_row(code, &reason)) {
        if (err != NULL)
            *err = reason;
        return code;
    }
    if (code != FRESHET_OK)
        snprintf(found.why, sizeof found.why, "%.190s", reason.text);
    else if (answer.n_rows == 1 && column_is_valid(&answer.columns[0], 0) &&
             ((const bool *)answer.columns[0].data)[0])
        return FRESHET_OK;
    for (uint32_t i = 1; code == FRESHET_OK && i < answer.schema.n_fields; i++) {
        const column *side = &answer.columns[i];
        const cell_text *cell = side->data;
        const bool is_valid = column_is_valid(side, 0);
        snprintf(found.found + strlen(found.found), sizeof found.found - strlen(found.found),
                 "%s%.*s", i == 1 ? "" : " and ", is_valid ? (int)cell->length : 4,
                 is_valid ? text_bytes(cell) : "null");
    }
    if (found.found[0] == '\0')
        snprintf(found.found, sizeof found.found, "that it is %s",
                 code == FRESHET_OK && column_is_valid(&answer.columns[0], 0) ? "false" : "null");
    find_example(point, hook, from, &found);
    if (hook->block->on_violation == VIOLATION_FAIL)
        return hook_fail(point, hook, &found, err);
    hook_warn(point, hook, &found);
    return FRESHET_OK;
}

freshet_code hooks_begin_whole(hook_point *point, freshet_error *err)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    arena *scratch = point->hooks->scratch;
    arena_reset(scratch);
    sql_statement_close(point->gather);
    point->gather = NULL;
    const char *make =
        arena_format(scratch, "CREATE OR REPLACE TABLE %s AS SELECT %s FROM %s LIMIT 0",
                     point->whole, point->gathered, point->from);
    const char *gather = arena_format(scratch, "INSERT INTO %s SELECT %s FROM %s", point->whole,
                                      point->gathered, point->from);
    if (make == NULL || gather == NULL)
        return error_memory(err, HOOKING);
    freshet_code code = sql_execute(pipeline->session, make, NULL, err);
    if (code == FRESHET_OK)
        code = sql_command_prepare(pipeline->session, gather, &point->gather, err);
    point->has_whole = code == FRESHET_OK;
    return code;
}

/* What the point's input, or view, reads now, into its table. */
static freshet_code gather(hook_point *point, freshet_error *err)
{
    freshet_code code = point->has_whole ? FRESHET_OK : hooks_begin_whole(point, err);
    return code == FRESHET_OK ? sql_command_run(point->gather, NULL, err) : code;
}

freshet_code hooks_ask_whole(hook_point *point, freshet_error *err)
{
    freshet_code code = point->has_whole ? FRESHET_OK : hooks_begin_whole(point, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n; i++) {
        sql_statement *statement = NULL;
        if (!point->items[i].is_aggregate)
            continue;
        arena_reset(point->hooks->scratch);
        code = hook_prepare_over(point, &point->items[i], point->whole, &statement, err);
        if (code == FRESHET_OK)
            code = ask_aggregate(point, &point->items[i], statement, point->whole, err);
        sql_statement_close(statement);
    }
    return code;
}

/* The aggregates about what the input reads. */
static freshet_code ask_aggregates(hook_point *point, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (point->whole == NULL)
        return FRESHET_OK;
    if (point->is_whole)
        return gather(point, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n; i++) {
        arena_reset(point->hooks->scratch);
        if (point->items[i].is_aggregate)
            code =
                ask_aggregate(point, &point->items[i], point->items[i].statement, point->from, err);
    }
    return code;
}

freshet_code hooks_ask(hook_point *point, batch *rows, uint32_t first, hook_refuse_fn *refuse,
                       freshet_error *err)
{
    const batch all = *rows;
    uint32_t *numbers = arena_alloc(rows->arena, (rows->n_rows + (size_t)1) * sizeof *numbers);
    freshet_code code = FRESHET_OK;
    if (numbers == NULL)
        return error_memory(err, HOOKING);
    for (uint32_t i = 0; i < rows->n_rows; i++)
        numbers[i] = i;
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n && rows->n_rows > first; i++)
        if (!point->items[i].is_aggregate &&
            (refuse != NULL || point->items[i].block->on_violation == VIOLATION_DEAD_LETTER))
            code = ask_one(point, &point->items[i], rows, first, &all, numbers, refuse, err);
    if (code != FRESHET_OK || refuse == NULL || rows->n_rows <= first)
        return code;
    sql_input_set(point->input, rows, first, rows->n_rows - first);
    code = ask_aggregates(point, err);
    sql_input_set(point->input, NULL, 0, 0);
    return code;
}

/* ---- behind the steps of a reader: a view ---------------------------------------------------- */

static freshet_code refuse_raw(const hook_point *point, const hook *hook, const source_steps *steps,
                               uint32_t raw, const char *why, freshet_error *err)
{
    freshet_reader *reader = point->hooks->pipeline->readers[steps->reader].reader;
    reject where = {.reader = reader->block->id.value, .offset = -1};
    freshet_code code = FRESHET_OK;
    if (steps->raw->origins != NULL)
        polling_locate(reader, &steps->raw->origins[raw], &where);
    if (where.raw == NULL)
        code = rejects_describe(steps->rejects, steps->raw, raw, &where, err);
    if (code == FRESHET_OK &&
        !rejects_add(steps->rejects, &where, REASON_HOOK,
                     "the hook %s does not hold for this row behind `preprocess`%s%s", hook->said,
                     why[0] == '\0' ? "" : ": it fails: ", why))
        code = error_memory(err, HOOKING);
    return code;
}

/* Of rows of the view that the input reads now: marks the raw rows that break the hook. */
static freshet_code ask_view_now(const hook_point *point, const hook *hook, uint8_t *is_broken,
                                 finding *found, freshet_error *err)
{
    arena *scratch = point->hooks->scratch;
    batch answer;
    arena_reset(scratch);
    freshet_code code = sql_run(hook->statement, scratch, &answer, err);
    if (code != FRESHET_OK)
        return code;
    const int64_t *rows = answer.columns[0].data;
    const bool *is_true = answer.columns[1].data;
    found->of += answer.n_rows;
    for (uint32_t i = 0; i < answer.n_rows; i++) {
        if (column_is_valid(&answer.columns[1], i) && is_true[i])
            continue;
        found->n++;
        is_broken[ROW_INDEX((uint64_t)rows[i])] = 1;
    }
    return FRESHET_OK;
}

/* It fails for some row: one after the other. Where the steps fail, the query says so. */
static freshet_code ask_view_rows(const hook_point *point, const hook *hook,
                                  const source_steps *steps, uint8_t *is_broken, finding *found,
                                  freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < steps->rows->n_rows; row++) {
        freshet_error reason = {0};
        const uint32_t raw = steps->rows->rows == NULL ? row : ROW_INDEX(steps->rows->rows[row]);
        sql_input_set(steps->input, steps->rows, row, 1);
        code = ask_view_now(point, hook, is_broken, found, &reason);
        if (hook_fails_for_row(code, &reason)) {
            code = FRESHET_OK;
            if (source_steps_fail(steps))
                continue;
            snprintf(found->why, sizeof found->why, "%.190s", reason.text);
            is_broken[raw] = 1;
            found->n++;
            found->of++;
        } else if (code != FRESHET_OK && err != NULL) {
            *err = reason;
        }
    }
    sql_input_set(steps->input, steps->rows, 0, steps->rows->n_rows);
    return code;
}

static freshet_code ask_view(hook_point *point, hook *hook, const source_steps *steps,
                             freshet_error *err)
{
    const uint32_t n = steps->raw->n_rows;
    finding found = {0};
    freshet_error reason = {0};
    uint8_t *is_broken = arena_zero(steps->raw->arena, n + (size_t)1, 1);
    if (is_broken == NULL)
        return error_memory(err, HOOKING);
    freshet_code code = ask_view_now(point, hook, is_broken, &found, &reason);
    if (hook_fails_for_row(code, &reason)) {
        found = (finding){0};
        code = ask_view_rows(point, hook, steps, is_broken, &found, &reason);
    }
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    const uint8_t *one = code != FRESHET_OK ? NULL : memchr(is_broken, 1, n);
    if (one == NULL)
        return code;
    take_example(steps->raw, (uint64_t)(one - is_broken), &found);
    if (hook->block->on_violation == VIOLATION_FAIL)
        return hook_fail(point, hook, &found, err);
    if (hook->block->on_violation == VIOLATION_WARN)
        hook_warn(point, hook, &found);
    for (uint32_t raw = 0;
         code == FRESHET_OK && hook->block->on_violation == VIOLATION_DEAD_LETTER && raw < n; raw++)
        if (is_broken[raw] && !steps->is_out[raw]) {
            steps->is_out[raw] = 1;
            code = refuse_raw(point, hook, steps, raw, found.why, err);
        }
    return code;
}

freshet_code hooks_ask_view(hook_point *point, const source_steps *steps, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n; i++)
        if (!point->items[i].is_aggregate)
            code = ask_view(point, &point->items[i], steps, err);
    return code == FRESHET_OK ? ask_aggregates(point, err) : code;
}

/* ---- behind the steps of a reader: a table --------------------------------------------------- */

static freshet_code ask_table(hook_point *point, hook *hook, const char *table, freshet_error *err)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    arena *scratch = point->hooks->scratch;
    const char *sql = arena_format(scratch,
                                   "SELECT count(*) FILTER (WHERE (%s\n) IS NOT TRUE), count(*) "
                                   "FROM %s",
                                   hook->text.sql, table);
    sql_statement *statement = NULL;
    batch answer;
    finding found = {0};
    freshet_error reason = {0};
    freshet_code code = sql == NULL
                            ? error_memory(&reason, HOOKING)
                            : sql_prepare(pipeline->session, sql, &statement, NULL, &reason);
    if (code == FRESHET_OK)
        code = sql_run(statement, scratch, &answer, &reason);
    sql_statement_close(statement);
    if (hook_fails_for_row(code, &reason)) {
        snprintf(found.why, sizeof found.why, "%.190s", reason.text);
        found.n = 1;
    } else if (code != FRESHET_OK) {
        if (err != NULL)
            *err = reason;
        return code;
    } else {
        found.n = (uint64_t)((const int64_t *)answer.columns[0].data)[0];
        found.of = (uint64_t)((const int64_t *)answer.columns[1].data)[0];
    }
    if (found.n == 0)
        return FRESHET_OK;
    sql = found.why[0] != '\0'
              ? NULL
              : arena_format(scratch, "SELECT * FROM %s WHERE (%s\n) IS NOT TRUE LIMIT 1", table,
                             hook->text.sql);
    statement = NULL;
    if (sql != NULL && sql_prepare(pipeline->session, sql, &statement, NULL, NULL) == FRESHET_OK &&
        sql_run(statement, scratch, &answer, NULL) == FRESHET_OK && answer.n_rows > 0)
        take_example(&answer, 0, &found);
    sql_statement_close(statement);
    if (hook->block->on_violation == VIOLATION_FAIL)
        return hook_fail(point, hook, &found, err);
    hook_warn(point, hook, &found);
    return FRESHET_OK;
}

freshet_code hooks_ask_table(hook_point *point, const char *table, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n; i++) {
        hook *hook = &point->items[i];
        sql_statement *statement = NULL;
        arena_reset(point->hooks->scratch);
        if (!hook->is_aggregate) {
            code = ask_table(point, hook, table, err);
            continue;
        }
        code = hook_prepare_over(point, hook, table, &statement, err);
        if (code == FRESHET_OK)
            code = ask_aggregate(point, hook, statement, table, err);
        sql_statement_close(statement);
    }
    return code;
}
