/* source.c - see source.h.
 *
 * OPENING. A table with each reader's id and columns is made, empty, and the user's own text is
 * prepared over these: DuckDB's messages then speak of the user's names, and point into the user's
 * text. The plan (query_plan.h) gives the query that is run, over names of our own: for reader 3
 * the input `__freshet_rows_3` where it drives, the table `__freshet_table_3` where it does not.
 * Its columns must be those of the user's text, or following rows has changed what the query means.
 * At the end the tables with the readers' ids go, and the engine is locked.
 *
 * BAD ROWS. A run that fails says which value it did not like, but not which row it was of. The
 * rows of the driving batches, one batch after the other, are halved until the rows that fail by
 * themselves are found, each by about 2 log2(n) runs, and left out.
 *
 * ORDER. Output rows are put into the order of the rows that they come from by a counting sort: one
 * pass counts how many each has, a running sum gives their places, a second pass fills in a
 * permutation, stable and linear.
 *
 * LOADING. New content goes into a table of its own, which takes the old one's name at commit; the
 * query is prepared again, so that it is planned for the new content.
 */
#include "source/source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "dialect/dialect.h"
#include "preprocess/preprocess.h"
#include "readers/polling.h"
#include "source/plain_query.h"
#include "source/source_internal.h"

#define HALVING_DEPTH_MAX 64

/* ---- opening ---- */

static void source_report(void *context, int64_t position, const char *text)
{
    source *source = context;
    place at = source->query->at;
    if (position >= 0)
        at = declaration_place_in(source->handle, source->query,
                                  (size_t)dialect_position(&source->text, position));
    problem_add(source->problems, &at, "%s", text);
}

static void source_check_reader(source *source, uint32_t i)
{
    const freshet_reader *reader = source->slots[i].reader;
    const declared_text *id = &reader->block->id;
    if (reader->schema.n_fields == 0)
        problem_add(source->problems, &id->at, "the reader \"%s\" has no columns", id->value);
    if (schema_find(&reader->schema, SOURCE_ROW_COLUMN) >= 0)
        problem_add(source->problems, &id->at,
                    "the reader \"%s\" has a column " SOURCE_ROW_COLUMN
                    ", a name kept for internal use: rename it",
                    id->value);
}

/* plan_query, for the steps of a reader: row by row, whatever the pipeline does. */
static freshet_code plan_step(arena *arena, sql_session *session, const char *sql, const char *id,
                              const schema *columns, const char *from, preprocess_report_fn *report,
                              void *context, const char **out, const bool **used,
                              freshet_error *err)
{
    const plan_reader reader = {
        .id = id, .is_stream = true, .schema = columns, .driving = from, .table = from};
    plan plan = {0};
    const freshet_code code =
        plan_query(arena, session, sql, &reader, 1, NULL, false, report, context, &plan, err);
    *out = plan.sql;
    *used = code == FRESHET_OK ? plan.columns[0] : NULL;
    return code;
}

/* What the query sees of a reader: *columns. Mistakes of its steps are among the problems. */
static freshet_code open_steps(source *source, uint32_t i, const schema **columns,
                               freshet_error *err)
{
    slot *slot = &source->slots[i];
    const preprocess_options options = {.handle = source->handle,
                                        .reader = slot->reader,
                                        .session = source->session,
                                        .plan = plan_step,
                                        .problems = source->problems};
    const freshet_code code = preprocess_open(&options, &slot->steps, err);
    *columns = slot->steps == NULL ? &slot->reader->schema : preprocess_schema(slot->steps);
    return code == FRESHET_BAD_DECLARATION ? FRESHET_OK : code;
}

static freshet_code describe_readers(source *source, freshet_error *err)
{
    arena *arena = source->arena;
    source->plan_readers = arena_zero(arena, source->n_readers, sizeof *source->plan_readers);
    if (source->plan_readers == NULL)
        return error_memory(err, "opening the source");
    for (uint32_t i = 0; i < source->n_readers; i++) {
        const freshet_reader *reader = source->slots[i].reader;
        plan_reader *described = &source->plan_readers[i];
        const schema *columns = NULL;
        source_check_reader(source, i);
        const freshet_code code = open_steps(source, i, &columns, err);
        if (code != FRESHET_OK)
            return code;
        *described = (plan_reader){.id = reader->block->id.value,
                                   .is_stream = reader->block->stream,
                                   .schema = columns,
                                   .is_joined = reader->block->has_timestamp,
                                   .has_within = place_is_set(&reader->block->within_at),
                                   .time_column = source_time_column(source, i, columns),
                                   .time_unit = reader->block->timestamp.unit,
                                   .driving = arena_format(arena, "__freshet_rows_%u", i),
                                   .table = arena_format(arena, "__freshet_table_%u", i)};
        if (described->driving == NULL || described->table == NULL)
            return error_memory(err, "opening the source");
    }
    return FRESHET_OK;
}

static freshet_code make_check_tables(source *source, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < source->n_readers && code == FRESHET_OK; i++) {
        const plan_reader *reader = &source->plan_readers[i];
        code = sql_table_create(source->session, reader->id, reader->schema, err);
    }
    return code;
}

static freshet_code drop_check_tables(source *source, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < source->n_readers && code == FRESHET_OK; i++) {
        const char *name = sql_quote(source->arena, source->plan_readers[i].id);
        const char *sql =
            name == NULL ? NULL : arena_format(source->arena, "DROP TABLE IF EXISTS main.%s", name);
        code = sql == NULL ? error_memory(err, "opening the source")
                           : sql_execute(source->session, sql, NULL, err);
    }
    return code;
}

static void check_result_names(source *source, const schema *columns)
{
    for (uint32_t i = 0; i < columns->n_fields; i++) {
        const char *name = columns->fields[i].name;
        schema before = {i, columns->fields};
        if (schema_find(&before, name) >= 0)
            problem_add(source->problems, &source->query->at,
                        "the query gives two columns named \"%s\": give one of them another name "
                        "with AS",
                        name);
        if (strcasecmp(name, SOURCE_ROW_COLUMN) == 0)
            problem_add(source->problems, &source->query->at,
                        "the query gives a column named " SOURCE_ROW_COLUMN
                        ", which is kept for internal use: give it another name with AS");
    }
}

/* The query in DuckDB's SQL, whatever dialect it is in. */
static freshet_code read_query(source *source, freshet_error *err)
{
    sql_problem problem;
    freshet_code code =
        dialect_query(declaration_of(source->handle)->dialect, source->session, source->arena,
                      source->query->value, &source->text, &problem, err);
    if (code != FRESHET_USAGE)
        return code;
    source_report(source, problem.position, problem.text);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                     "the source's query cannot be run");
}

/* The user's own text, for DuckDB's messages and for the columns. */
static freshet_code check_text(source *source, freshet_error *err)
{
    sql_statement *statement = NULL;
    sql_problem problem;
    freshet_code code = sql_prepare(source->session, source->text.sql, &statement, &problem, err);
    if (code == FRESHET_USAGE) {
        source_report(source, problem.position, problem.text);
        return FRESHET_BAD_DECLARATION;
    }
    if (code != FRESHET_OK)
        return code;
    code = sql_check_casts(source->session, source->arena, source->text.sql, &problem, err);
    if (code == FRESHET_USAGE)
        source_report(source, problem.position, problem.text);
    else if (code != FRESHET_OK) {
        sql_statement_close(statement);
        return code;
    }
    check_result_names(source, sql_statement_schema(statement));
    source->schema = schema_keep(source->arena, sql_statement_schema(statement));
    sql_statement_close(statement);
    if (source->schema.fields == NULL)
        return error_memory(err, "opening the source");
    return source_has_problems(source) ? FRESHET_BAD_DECLARATION : FRESHET_OK;
}

static freshet_code make_inputs(source *source, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < source->n_readers && code == FRESHET_OK; i++) {
        const plan_reader *reader = &source->plan_readers[i];
        slot *slot = &source->slots[i];
        if (source->plan.drives[i] && slot->steps != NULL) {
            code = preprocess_follow(slot->steps, reader->driving, &slot->input, err);
            continue;
        }
        if (source->plan.drives[i]) {
            code = sql_input_add(source->session, reader->driving, reader->schema,
                                 SOURCE_ROW_COLUMN, i, &slot->input, err);
            continue;
        }
        const char *name = arena_format(source->arena, "__freshet_load_%u", i);
        if (name == NULL)
            return error_memory(err, "opening the source");
        code = sql_table_create(source->session, reader->table, reader->schema, err);
        if (code == FRESHET_OK)
            code = sql_input_add(source->session, name, reader->schema, NULL, i, &slot->load_input,
                                 err);
    }
    return code;
}

static void drop_inputs(source *source)
{
    for (uint32_t i = 0; i < source->n_readers; i++) {
        slot *slot = &source->slots[i];
        if (slot->load_input != NULL) {
            char sql[80];
            snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS __freshet_table_%u", i);
            sql_execute(source->session, sql, NULL, NULL);
        }
        if (slot->steps != NULL)
            preprocess_unfollow(slot->steps);
        else
            sql_input_close(slot->input);
        sql_input_close(slot->load_input);
        slot->input = slot->load_input = NULL;
    }
}

/* Are these the columns of the user's text, and by rows the hidden one behind them? */
static bool is_as_written(const source *source, const schema *columns)
{
    uint32_t n = source->schema.n_fields;
    if (columns->n_fields != n + source->plan.by_rows)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!type_equal(columns->fields[i].type, source->schema.fields[i].type))
            return false;
    }
    return !source->plan.by_rows || (strcmp(columns->fields[n].name, SOURCE_ROW_COLUMN) == 0 &&
                                     columns->fields[n].type->kind == TYPE_BIGINT);
}

/* The query that is run. FRESHET_USAGE where planning has changed what it means. */
static freshet_code prepare_planned(source *source, sql_statement **out, freshet_error *err)
{
    sql_statement *statement = NULL;
    freshet_code code = FRESHET_OK;
    if (!source->plan.by_rows && source->whole == NULL)
        code = sql_session_open(sql_session_engine(source->session), &source->whole, err);
    if (code == FRESHET_OK)
        code = sql_prepare(source->plan.by_rows ? source->session : source->whole, source->plan.sql,
                           &statement, NULL, err);
    if (code == FRESHET_OK && !is_as_written(source, sql_statement_schema(statement))) {
        sql_statement_close(statement);
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "columns chosen by a pattern, or a whole row taken as one value, would "
                         "hold more than the query says: name the columns");
    }
    if (code == FRESHET_OK)
        *out = statement;
    return code;
}

/* Steps that need all rows of a batch: what drives then comes out of a table. */
static bool needs_whole(const source *source)
{
    bool needs = false;
    for (uint32_t i = 0; !declaration_of(source->handle)->is_stream && i < source->n_readers; i++)
        needs |= source->plan.drives[i] && source->slots[i].steps != NULL &&
                 preprocess_remembers(source->slots[i].steps);
    return needs;
}

static freshet_code plan_and_prepare(source *source, bool as_a_whole, freshet_error *err)
{
    freshet_code code = plan_query(source->arena, source->session, source->text.sql,
                                   source->plan_readers, source->n_readers,
                                   declaration_of(source->handle)->feature_set.timestamp.from.value,
                                   as_a_whole, source_report, source, &source->plan, err);
    bool is_planned = code == FRESHET_OK, is_checked = source->schema.fields != NULL;
    if (source->plan.is_resolved && !is_checked) {
        freshet_code text_code = check_text(source, err);
        code = is_planned ? text_code : code;
    }
    if (code == FRESHET_OK && !as_a_whole && source->plan.by_rows && needs_whole(source))
        return plan_and_prepare(source, true, err);
    if (code == FRESHET_OK)
        code = make_inputs(source, err);
    return code == FRESHET_OK ? prepare_planned(source, &source->statement, err) : code;
}

static freshet_code open_query(source *source, freshet_error *err)
{
    freshet_error reason = {0};
    freshet_code code = plan_and_prepare(source, false, &reason);
    if (code == FRESHET_OK)
        source_check_join(source);
    if (code == FRESHET_OK && !source_has_problems(source))
        code = source_open_match(source, &reason);
    if (code == FRESHET_USAGE && source->plan.by_rows) {
        bool is_stream = declaration_of(source->handle)->is_stream;
        drop_inputs(source);
        if (!is_stream)
            code = plan_and_prepare(source, true, &reason);
        else
            problem_add(source->problems, &source->query->at,
                        "the query cannot be followed row by row, as a stream needs it: %s",
                        reason.text);
    }
    if (code == FRESHET_USAGE && !source_has_problems(source))
        problem_add(source->problems, &source->query->at, "the query cannot be run: %s",
                    reason.text);
    if (source_has_problems(source))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the source's query cannot be run");
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

static freshet_code open_source(source *source, freshet_error *err)
{
    freshet_code code = describe_readers(source, err);
    if (code == FRESHET_OK && source_has_problems(source))
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the source's readers cannot be used");
    if (code == FRESHET_OK)
        code = make_check_tables(source, err);
    if (code == FRESHET_OK)
        code = read_query(source, err);
    if (code == FRESHET_OK)
        code = open_query(source, err);
    if (code == FRESHET_OK)
        source_find_plain(source);
    return code;
}

/* Which of a reader's own columns its steps need for what the query uses. */
static freshet_code find_used(source *source, freshet_error *err)
{
    for (uint32_t i = 0; i < source->n_readers; i++) {
        slot *slot = &source->slots[i];
        if (slot->steps == NULL)
            continue;
        slot->used = arena_zero(source->arena, slot->reader->schema.n_fields, sizeof *slot->used);
        if (slot->used == NULL)
            return error_memory(err, "opening the source");
        preprocess_use(slot->steps, source->plan.columns[i], slot->used);
    }
    return FRESHET_OK;
}

static source *source_new(const freshet_declaration *handle, sql_session *session,
                          freshet_reader *const *readers, uint32_t n_readers)
{
    source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return NULL;
    source->handle = handle;
    source->query = &declaration_of(handle)->source.query;
    source->session = session;
    source->n_readers = n_readers;
    source->arena = arena_open();
    source->scratch = arena_open();
    if (source->arena != NULL)
        source->slots = arena_zero(source->arena, n_readers, sizeof *source->slots);
    if (source->scratch == NULL || source->slots == NULL) {
        arena_close(source->arena);
        arena_close(source->scratch);
        free(source);
        return NULL;
    }
    for (uint32_t i = 0; i < n_readers; i++)
        source->slots[i].reader = readers[i];
    return source;
}

freshet_code source_open(const freshet_declaration *declaration, sql_session *session,
                         freshet_reader *const *readers, uint32_t n_readers, problems *problems,
                         source **out, freshet_error *err)
{
    *out = NULL;
    source *source = source_new(declaration, session, readers, n_readers);
    if (source == NULL)
        return error_memory(err, "opening the source");
    source->problems = problems;
    source->n_problems_before = problems_count(problems);
    freshet_code code = open_source(source, err);
    if (source->plan_readers != NULL) {
        freshet_code dropped = drop_check_tables(source, code == FRESHET_OK ? err : NULL);
        code = code == FRESHET_OK ? dropped : code;
    }
    if (code == FRESHET_OK)
        code = find_used(source, err);
    if (code == FRESHET_OK)
        code = sql_lock(sql_session_engine(session), err);
    if (code != FRESHET_OK) {
        source_close(source);
        return code;
    }
    source->problems = NULL;
    *out = source;
    return FRESHET_OK;
}

void source_close(source *source)
{
    if (source == NULL)
        return;
    for (uint32_t i = 0; i < source->n_readers; i++)
        source_load_abort(source, i);
    sql_cursor_close(source->cursor);
    sql_statement_close(source->statement);
    sql_statement_close(source->match);
    sql_session_close(source->whole);
    drop_inputs(source);
    for (uint32_t i = 0; i < source->n_readers; i++)
        preprocess_close(source->slots[i].steps);
    arena_close(source->arena);
    arena_close(source->scratch);
    free(source);
}

const char *source_query(const source *source)
{
    return source->text.sql;
}

const schema *source_schema(const source *source)
{
    return &source->schema;
}

bool source_is_by_rows(const source *source)
{
    return source->plan.by_rows;
}

bool source_drives(const source *source, uint32_t reader)
{
    return source->plan.drives[reader];
}

bool source_would_drive(const source *source, uint32_t reader)
{
    return source->plan.would_drive[reader];
}

const char *source_whole_reason(const source *source, place *at)
{
    const plan *plan = &source->plan;
    *at = source->query->at;
    if (plan->whole_reason != NULL && plan->whole_at >= 0)
        *at = declaration_place_in(source->handle, source->query,
                                   (size_t)dialect_position(&source->text, plan->whole_at));
    return plan->whole_reason;
}

const bool *source_used(const source *source, uint32_t reader)
{
    const slot *slot = &source->slots[reader];
    return slot->steps != NULL ? slot->used : source->plan.columns[reader];
}

const plan_join *source_join(const source *source)
{
    return source->plan.has_join ? &source->plan.join : NULL;
}

/* ---- loading ---- */

/* Runs a statement of our own with the reader's number in it, any number of times. */
static freshet_code execute_for(source *source, uint32_t reader, const char *format,
                                freshet_error *err)
{
    char sql[240];
    snprintf(sql, sizeof sql, format, reader, reader, reader);
    return sql_execute(source->session, sql, NULL, err);
}

freshet_code source_load_begin(source *source, uint32_t reader, freshet_error *err)
{
    slot *slot = &source->slots[reader];
    char name[40], insert[100];
    source_load_abort(source, reader);
    snprintf(name, sizeof name, "__freshet_new_%u", reader);
    slot->is_loading = true;
    if (slot->steps != NULL)
        return preprocess_load_begin(slot->steps, name, err);
    snprintf(insert, sizeof insert, "INSERT INTO %s SELECT * FROM __freshet_load_%u", name, reader);
    freshet_code code =
        sql_table_create(source->session, name, source->plan_readers[reader].schema, err);
    if (code == FRESHET_OK)
        code = sql_command_prepare(source->session, insert, &slot->load, err);
    return code;
}

freshet_code source_load_add(source *source, uint32_t reader, const batch *rows, rejects *rejects,
                             freshet_error *err)
{
    slot *slot = &source->slots[reader];
    if (slot->steps != NULL)
        return preprocess_load(slot->steps, rows, rejects, err);
    sql_input_set(slot->load_input, rows, 0, rows->n_rows);
    freshet_code code = sql_command_run(slot->load, NULL, err);
    sql_input_set(slot->load_input, NULL, 0, 0);
    return code;
}

freshet_code source_load_commit(source *source, uint32_t reader, freshet_error *err)
{
    slot *slot = &source->slots[reader];
    assert(slot->is_loading && source->cursor == NULL);
    sql_statement_close(slot->load);
    slot->load = NULL;
    freshet_code code = slot->steps == NULL ? FRESHET_OK : preprocess_load_end(slot->steps, err);
    if (code == FRESHET_OK && slot->steps != NULL && source->watch_table != NULL) {
        char name[40];
        snprintf(name, sizeof name, "__freshet_new_%u", reader);
        code = source->watch_table(source->watch_context, reader, name, err);
    }
    if (code != FRESHET_OK)
        return code;
    slot->is_loading = false;
    code = execute_for(source, reader,
                       "BEGIN; DROP TABLE IF EXISTS __freshet_table_%u; "
                       "ALTER TABLE __freshet_new_%u RENAME TO __freshet_table_%u; "
                       "COMMIT",
                       err);
    if (code != FRESHET_OK) {
        sql_execute(source->session, "ROLLBACK", NULL, NULL);
        execute_for(source, reader, "DROP TABLE IF EXISTS __freshet_new_%u", NULL);
        return code;
    }
    sql_statement *statement = NULL;
    code = prepare_planned(source, &statement, err);
    if (code == FRESHET_OK) {
        sql_statement_close(source->statement);
        source->statement = statement;
    }
    return code;
}

void source_load_abort(source *source, uint32_t reader)
{
    slot *slot = &source->slots[reader];
    if (!slot->is_loading)
        return;
    slot->is_loading = false;
    sql_statement_close(slot->load);
    slot->load = NULL;
    if (slot->steps != NULL)
        preprocess_load_abort(slot->steps);
    execute_for(source, reader, "DROP TABLE IF EXISTS __freshet_new_%u", NULL);
}

/* ---- by rows ---- */

/* The driving batches of one run, seen as one row of rows: first[i] is reader i's first. Of a join
 * the pairs are the rows, as if they were of one reader. */
typedef struct run {
    source *source;
    const source_pairs *pairs; /* NULL: it is no join */
    const batch **batches;     /* NULL: none */
    uint64_t *first;           /* n_inputs + 1 of them */
    uint64_t *first_read; /* the same of the rows that readers gave: `batches`, but for steps */
    uint32_t n_inputs;
    batch *const *read; /* what the readers gave */
    rejects *rejects;
    uint8_t *is_bad; /* per row; NULL while none is known */
    uint32_t n_bad;
} run;

static uint32_t rows_of(const batch *batch)
{
    return batch == NULL ? 0 : batch->n_rows;
}

static void set_inputs(const run *run, uint64_t from, uint64_t to)
{
    const source *source = run->source;
    if (run->pairs != NULL) {
        source_set_pairs(source, run->pairs, from, to);
        return;
    }
    for (uint32_t i = 0; i < source->n_readers; i++) {
        if (source->slots[i].input == NULL)
            continue;
        uint64_t low = run->first[i] < from ? from : run->first[i];
        uint64_t high = run->first[i + 1] > to ? to : run->first[i + 1];
        if (low < high)
            sql_input_set(source->slots[i].input, run->batches[i], (uint32_t)(low - run->first[i]),
                          (uint32_t)(high - low));
        else
            sql_input_set(source->slots[i].input, NULL, 0, 0);
    }
}

/* Runs rows [from, to) for nothing but to see whether they fail. */
static freshet_code try_rows(const run *run, uint64_t from, uint64_t to, freshet_error *err)
{
    batch ignored;
    set_inputs(run, from, to);
    arena_reset(run->source->scratch);
    return sql_run(run->source->statement, run->source->scratch, &ignored, err);
}

static freshet_code reject_row(run *run, uint64_t row, const char *reason, freshet_error *err)
{
    uint32_t which = 0;
    if (run->pairs != NULL) {
        run->is_bad[row] = 1;
        run->n_bad++;
        return run->pairs->refuse(run->pairs->context, (uint32_t)row, reason, err);
    }
    while (row >= run->first[which + 1])
        which++;
    freshet_reader *reader = run->source->slots[which].reader;
    const batch *given = run->batches[which], *batch = run->read[which];
    const uint64_t in = row - run->first[which];
    const uint64_t at = given->rows == NULL ? in : ROW_INDEX(given->rows[in]);
    reject where = {.reader = reader->block->id.value, .offset = -1};
    if (batch->origins != NULL)
        polling_locate(reader, &batch->origins[at], &where);
    if (where.raw == NULL) {
        const freshet_code code = rejects_describe(run->rejects, batch, at, &where, err);
        if (code != FRESHET_OK)
            return code;
    }
    preprocess *steps = run->source->slots[which].steps;
    freshet_error why = {0};
    const bool is_early = steps != NULL && preprocess_fails(steps, &why);
    run->is_bad[row] = 1;
    run->n_bad++;
    if (!rejects_add(run->rejects, &where, REASON_SQL_ERROR, "%s for this row: %s",
                     is_early ? "preprocess fails" : "the source's query fails",
                     is_early ? why.text : reason))
        return error_memory(err, "noting a refused row");
    return FRESHET_OK;
}

typedef struct range {
    uint64_t from, to;
} range;

/* Runs a range. Where it fails: one row is rejected at once, more than one are still to be looked
 * through. */
static freshet_code source_look_at(run *run, range range, bool *failed, freshet_error *err)
{
    freshet_error reason = {0};
    freshet_code code = try_rows(run, range.from, range.to, &reason);
    *failed = source_fails_for_row(code, &reason);
    if (*failed)
        return range.to - range.from > 1 ? FRESHET_OK
                                         : reject_row(run, range.from, reason.text, err);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

/* Finds every row of [0, n) that fails by itself. A range on the stack is known to fail: it was
 * seen to, or its other half did not. Left halves come first, so rows are rejected in order. */
static freshet_code find_bad_rows(run *run, uint64_t n, freshet_error *err)
{
    range stack[HALVING_DEPTH_MAX];
    uint32_t depth = 0;
    stack[depth++] = (range){0, n};
    while (depth > 0) {
        range whole = stack[--depth], left = whole, right = whole;
        bool left_failed = false, right_failed = true, is_one = whole.to - whole.from == 1;
        if (!is_one)
            left.to = right.from = whole.from + (whole.to - whole.from) / 2;
        freshet_code code = source_look_at(run, left, &left_failed, err);
        if (code == FRESHET_OK && left_failed && !is_one)
            code = source_look_at(run, right, &right_failed, err);
        if (code != FRESHET_OK)
            return code;
        if (!is_one && right_failed && (!left_failed || right.to - right.from > 1))
            stack[depth++] = right;
        if (left_failed && left.to - left.from > 1)
            stack[depth++] = left;
    }
    return FRESHET_OK;
}

/* The same of the sides of a join. */
static freshet_code leave_out_bad_pairs(run *run, arena *arena, freshet_error *err)
{
    for (int i = 0; i < 2; i++) {
        const batch *side = &run->pairs->sides[i];
        batch *good = arena_alloc(arena, sizeof *good);
        uint8_t *keep = arena_zero(arena, side->n_rows + (size_t)1, sizeof *keep);
        if (good == NULL || keep == NULL)
            return error_memory(err, "leaving refused rows out of a batch");
        for (uint32_t row = 0; row < side->n_rows; row++)
            keep[row] = !run->is_bad[side->rows[row]];
        freshet_code code = batch_select(side, keep, good, err);
        if (code != FRESHET_OK)
            return code;
        sql_input_set(run->source->slots[run->source->plan.join.readers[i]].input, good, 0,
                      good->n_rows);
    }
    return FRESHET_OK;
}

/* Gives every input its batch without the bad rows, which keep their numbers by rows[]. */
static freshet_code leave_out_bad_rows(run *run, arena *arena, freshet_error *err)
{
    source *source = run->source;
    if (run->pairs != NULL)
        return leave_out_bad_pairs(run, arena, err);
    for (uint32_t i = 0; i < source->n_readers; i++) {
        uint32_t n = rows_of(run->batches[i]);
        if (n == 0)
            continue;
        batch all = *run->batches[i];
        batch *good = arena_alloc(arena, sizeof *good);
        uint8_t *keep = arena_zero(arena, n, sizeof *keep);
        all.arena = arena;
        all.origins = NULL;
        all.rows = arena_zero(arena, n, sizeof *all.rows);
        if (good == NULL || keep == NULL || all.rows == NULL)
            return error_memory(err, "leaving refused rows out of a batch");
        for (uint32_t row = 0; row < n; row++) {
            keep[row] = !run->is_bad[run->first[i] + row];
            all.rows[row] =
                run->batches[i]->rows == NULL ? ROW_OF(i, row) : run->batches[i]->rows[row];
        }
        freshet_code code = batch_select(&all, keep, good, err);
        if (code != FRESHET_OK)
            return code;
        sql_input_set(source->slots[i].input, good, 0, good->n_rows);
    }
    return FRESHET_OK;
}

/* The run has failed: finds the rows that it fails for, and runs the others. */
static freshet_code run_without_bad_rows(run *run, arena *arena, uint64_t n,
                                         const freshet_error *first, batch *out, freshet_error *err)
{
    freshet_error reason = {0};
    run->is_bad = arena_zero(arena, n, sizeof *run->is_bad);
    if (run->is_bad == NULL)
        return error_memory(err, "looking for the rows that fail");
    freshet_code code = try_rows(run, 0, 0, &reason);
    if (source_fails_for_row(code, &reason))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "source.query",
                         "the source's query fails whatever rows come: %s", reason.text);
    if (code == FRESHET_OK)
        code = find_bad_rows(run, n, &reason);
    if (code == FRESHET_OK)
        code = leave_out_bad_rows(run, arena, &reason);
    if (code == FRESHET_OK)
        code = sql_run(run->source->statement, arena, out, &reason);
    if (source_fails_for_row(code, &reason))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "source.query",
                         "the source's query fails, but for none of the rows by itself: %s",
                         first->text);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

static bool is_ascending(const batch *rows)
{
    for (uint32_t i = 1; i < rows->n_rows; i++)
        if (rows->rows[i] < rows->rows[i - 1])
            return false;
    return true;
}

/* order[i] is the row that comes to place i; NULL where memory is out. */
static uint32_t *find_order(const run *run, const batch *rows)
{
    arena *arena = rows->arena;
    const uint64_t *base = run->first_read, total = base[run->n_inputs];
    uint32_t *place = arena_zero(arena, total + 1, sizeof *place);
    uint32_t *order = arena_zero(arena, rows->n_rows, sizeof *order);
    if (place == NULL || order == NULL)
        return NULL;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        place[base[ROW_READER(rows->rows[i])] + ROW_INDEX(rows->rows[i]) + 1]++;
    for (uint64_t i = 1; i <= total; i++)
        place[i] += place[i - 1];
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        uint64_t from = base[ROW_READER(rows->rows[i])] + ROW_INDEX(rows->rows[i]);
        order[place[from]++] = i;
    }
    return order;
}

/* Takes the hidden column off and orders the rows by it. */
static freshet_code source_take_rows(const run *run, batch *out, freshet_error *err)
{
    source *source = run->source;
    const column *hidden = &out->columns[source->schema.n_fields];
    if (hidden->valid != NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "source.query",
                         "the source's query gives rows that come from no row of a stream");
    out->rows = out->n_rows > 0 ? hidden->data : arena_zero(out->arena, 1, sizeof *out->rows);
    if (out->rows == NULL)
        return error_memory(err, "ordering rows");
    out->schema = source->schema;
    if (is_ascending(out))
        return FRESHET_OK;
    const uint32_t *order = find_order(run, out);
    return order == NULL ? error_memory(err, "ordering rows")
                         : batch_gather(out, order, out->n_rows, out, "ordering rows", err);
}

/* Runs the query over all rows of the run. */
static freshet_code run_all(run *run, arena *arena, batch *out, freshet_error *err)
{
    freshet_error reason = {0};
    const uint64_t n = run->first[run->n_inputs];
    set_inputs(run, 0, n);
    freshet_code code = sql_run(run->source->statement, arena, out, &reason);
    if (source_fails_for_row(code, &reason)) {
        freshet_error first = reason;
        code = run_without_bad_rows(run, arena, n, &first, out, &reason);
    }
    set_inputs(run, 0, 0);
    if (code == FRESHET_OK)
        code = source_take_rows(run, out, &reason);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

static bool has_stages(const slot *slot)
{
    return slot->steps != NULL && preprocess_runs(slot->steps);
}

/* What the query reads of reader i: its batch, or what the steps that remember make of it. */
static freshet_code take_batch(run *run, uint32_t i, arena *arena, const source_order *order,
                               bool is_trial, freshet_error *err)
{
    const slot *slot = &run->source->slots[i];
    const batch *read = slot->input == NULL ? NULL : run->read[i];
    run->batches[i] = read;
    if (read == NULL || !has_stages(slot))
        return FRESHET_OK;
    batch *made = arena_zero(arena, 1, sizeof *made);
    run->batches[i] = made;
    return made == NULL ? error_memory(err, "running the source's query")
                        : preprocess_run(slot->steps, read, order == NULL ? NULL : order->rows,
                                         order == NULL ? 0 : order->n, is_trial, run->rejects,
                                         arena, made, err);
}

static freshet_code begin_run(run *run, arena *arena, const source_order *orders, bool is_trial,
                              freshet_error *err)
{
    const uint32_t n_readers = run->source->n_readers;
    freshet_code code = FRESHET_OK;
    run->batches = arena_zero(arena, n_readers, sizeof *run->batches);
    run->first = arena_zero(arena, n_readers + 1, sizeof *run->first);
    run->first_read = arena_zero(arena, n_readers + 1, sizeof *run->first_read);
    if (run->batches == NULL || run->first == NULL || run->first_read == NULL)
        return error_memory(err, "running the source's query");
    for (uint32_t i = 0; code == FRESHET_OK && i < n_readers; i++) {
        code = take_batch(run, i, arena, orders == NULL ? NULL : &orders[i], is_trial, err);
        if (code == FRESHET_OK && !is_trial)
            code = source_look(run->source, i, &run->batches[i], run->read[i],
                               orders == NULL ? NULL : &orders[i], run->rejects, arena, err);
        run->first[i + 1] = run->first[i] + rows_of(run->batches[i]);
        run->first_read[i + 1] =
            run->first_read[i] + (run->source->slots[i].input == NULL ? 0 : rows_of(run->read[i]));
    }
    return code;
}

/* NOLINTNEXTLINE(readability-function-size): what is run, how, and where it goes */
static freshet_code run_batches(source *source, arena *arena, batch *const *batches,
                                const source_order *orders, bool is_trial, batch *out,
                                rejects *rejects, freshet_error *err)
{
    if (source->plain != NULL && plain_takes(source->plain, batches))
        return plain_run(source->plain, arena, batches, out, err);
    run run = {
        .source = source, .rejects = rejects, .read = batches, .n_inputs = source->n_readers};
    freshet_code code = begin_run(&run, arena, orders, is_trial, err);
    return code == FRESHET_OK ? run_all(&run, arena, out, err) : code;
}

/* ---- pairs of a join ---- */

freshet_code source_run_pairs(source *source, arena *arena, const source_pairs *pairs, batch *out,
                              freshet_error *err)
{
    uint64_t first[2] = {0, pairs->n};
    run run = {
        .source = source, .pairs = pairs, .first = first, .first_read = first, .n_inputs = 1};
    return run_all(&run, arena, out, err);
}

freshet_code source_run(source *source, arena *arena, batch *const *batches, batch *out,
                        rejects *rejects, freshet_error *err)
{
    return run_batches(source, arena, batches, NULL, false, out, rejects, err);
}

bool source_remembers(const source *source)
{
    return source_part(source, 0) != NULL;
}

freshet_code source_try(source *source, arena *arena, batch *const *batches, batch *out,
                        rejects *rejects, freshet_error *err)
{
    return run_batches(source, arena, batches, NULL, true, out, rejects, err);
}

freshet_code source_run_in_order(source *source, arena *arena, batch *const *batches,
                                 const source_order *orders, batch *out, rejects *rejects,
                                 freshet_error *err)
{
    return run_batches(source, arena, batches, orders, false, out, rejects, err);
}

const state_part *source_part(const source *source, uint32_t i)
{
    for (uint32_t reader = 0; reader < source->n_readers; reader++) {
        const preprocess *steps = source->slots[reader].steps;
        const uint32_t n = steps == NULL ? 0 : preprocess_parts(steps);
        if (i < n)
            return preprocess_part(steps, i);
        i -= n;
    }
    return NULL;
}

/* ---- as a whole ---- */

freshet_code source_next(source *source, arena *arena, batch *out, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (source->at_end)
        return FRESHET_END;
    if (source->cursor == NULL)
        code = sql_cursor_open(source->statement, &source->cursor, err);
    if (code == FRESHET_OK)
        code = sql_next(source->cursor, arena, out, err);
    if (code != FRESHET_OK) {
        sql_cursor_close(source->cursor);
        source->cursor = NULL;
        source->at_end = code == FRESHET_END;
    }
    if (code == FRESHET_FAILED && err != NULL)
        err->then = FRESHET_STOP;
    if (code == FRESHET_OK)
        out->schema = source->schema;
    return code;
}
