/* sql_statement.c - prepared SELECTs and commands, run whole or read by a cursor.
 *
 * Results are streamed: DuckDB makes chunks of up to 2,048 rows as we fetch, each a copy of its
 * own. sql_run fetches them all, keeps them (long texts stay in them) and then, knowing the number
 * of rows, copies the columns into one batch. The chunks go at the next run of the statement.
 * A cursor keeps one chunk; one that reads ahead has a thread that fetches up to AHEAD_CHUNKS more,
 * while the caller works with those before. The thread does nothing but fetch, and is the only one
 * that does until it has ended.
 *
 * Some operators of DuckDB 1.5.6 keep what they made of the tables in the first run, and fail with
 * an internal error in the second: joins by two inequalities (IE_JOIN) and as-of joins. A statement
 * that has one, as its plan says when it is run again, is prepared anew for each run but the first
 * (sql_again_test.c tries every kind of join; docs/internals/engine.md has what it costs).
 *
 * A stream that is given up before its end leaves its transaction open in the connection: what is
 * done next would be part of it, and rolled back with it. So letting go of one runs an empty
 * statement, which ends it.
 */
#include "base/memory.h"
#include "base/thread.h"
#include "sql/sql_internal.h"

#define AHEAD_CHUNKS 16u
#define STOP_AGAIN_US 5000

/* What running a statement again takes. */
typedef enum again { AGAIN_UNKNOWN, AGAIN_AS_IT_IS, AGAIN_PREPARED_ANEW } again;

struct sql_statement {
    sql_session *session;
    arena *arena;
    const char *sql;
    duckdb_prepared_statement prepared;
    bool has_run;
    again again;
    schema schema;
    result_column *columns;
    duckdb_result result;
    bool has_result;
    bool is_streaming; /* and neither at its end nor failed */
    duckdb_data_chunk *chunks;
    uint32_t n_chunks, capacity;
};

/* Chunks on their way from the thread that fetches to the caller: a ring. */
typedef struct fetching {
    duckdb_result result; /* the statement's */
    pthread_t thread;
    pthread_mutex_t lock; /* around all below */
    pthread_cond_t changed;
    duckdb_data_chunk chunks[AHEAD_CHUNKS];
    uint32_t first, n;
    bool is_over; /* the thread will fetch no more */
    bool stops;   /* the caller wants no more */
} fetching;

struct sql_cursor {
    sql_statement *statement;
    fetching *ahead; /* NULL: nothing is fetched ahead */
    bool at_end;
};

/* ---- preparing ---- */

static freshet_code problem_here(const char *text, sql_problem *problem, freshet_error *err)
{
    if (problem != NULL) {
        problem->position = -1;
        snprintf(problem->text, sizeof problem->text, "%.*s", (int)sizeof problem->text - 1, text);
    }
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", text);
}

static freshet_code prepare_text(sql_statement *statement, const char *sql, sql_problem *problem,
                                 freshet_error *err)
{
    duckdb_connection connection = statement->session->connection;
    duckdb_extracted_statements parts = NULL;
    uint64_t n = duckdb_extract_statements(connection, sql, &parts);
    freshet_code code = FRESHET_OK;
    if (n == 0) {
        const char *reason = duckdb_extract_statements_error(parts);
        code = reason != NULL
                   ? problem_usage(reason, problem, err)
                   : problem_here("there is no SQL statement in this text", problem, err);
    } else if (n > 1) {
        code = problem_here("only one SQL statement is possible here, and this text has several",
                            problem, err);
    } else if (duckdb_prepare_extracted_statement(connection, parts, 0, &statement->prepared) ==
               DuckDBError) {
        code = problem_usage(duckdb_prepare_error(statement->prepared), problem, err);
    } else if (duckdb_nparams(statement->prepared) > 0) {
        code =
            problem_here("parameters ($1, ?) are not possible here: write the value", problem, err);
    }
    duckdb_destroy_extracted(&parts);
    return code;
}

/* A text that is wrong as it is may be right with the functions that are made later. */
static freshet_code statement_prepare(sql_statement *statement, const char *sql,
                                      sql_problem *problem, freshet_error *err)
{
    sql_session *session = statement->session;
    freshet_code code = prepare_text(statement, sql, problem, err);
    sql_make_fn *make =
        code == FRESHET_USAGE ? atomic_exchange(&session->engine->make_later, NULL) : NULL;
    if (make == NULL)
        return code;
    duckdb_destroy_prepare(&statement->prepared);
    code = make(session, err);
    return code == FRESHET_OK ? prepare_text(statement, sql, problem, err) : code;
}

static freshet_code plan_column(sql_statement *statement, uint32_t i, field *fields,
                                freshet_error *err)
{
    const char *name = duckdb_prepared_statement_column_name(statement->prepared, i);
    fields[i].name = arena_text(statement->arena, name == NULL ? "" : name);
    duckdb_free((void *)name);
    if (fields[i].name == NULL)
        return error_memory(err, "preparing a query");
    duckdb_logical_type type =
        duckdb_prepared_statement_column_logical_type(statement->prepared, i);
    freshet_code code =
        result_plan(statement->arena, fields[i].name, type, &statement->columns[i], err);
    duckdb_destroy_logical_type(&type);
    fields[i].type = statement->columns[i].type;
    return code;
}

static freshet_code plan_columns(sql_statement *statement, sql_problem *problem, freshet_error *err)
{
    uint64_t n = duckdb_prepared_statement_column_count(statement->prepared);
    if (n > TYPE_FIELDS_MAX)
        return problem_here("the query has more than 10000 columns", problem, err);
    statement->columns = arena_zero(statement->arena, n, sizeof *statement->columns);
    field *fields = arena_zero(statement->arena, n, sizeof *fields);
    if (statement->columns == NULL || fields == NULL)
        return error_memory(err, "preparing a query");
    for (uint32_t i = 0; i < n; i++) {
        freshet_error refused;
        freshet_code code = plan_column(statement, i, fields, &refused);
        if (code == FRESHET_USAGE)
            return problem_here(refused.text, problem, err);
        if (code != FRESHET_OK)
            return error_memory(err, "preparing a query");
    }
    statement->schema = (schema){.n_fields = (uint32_t)n, .fields = fields};
    return FRESHET_OK;
}

/* `doing` is for the message when memory is out. */
static freshet_code prepare(sql_session *session, const char *sql, bool is_select,
                            const char *doing, sql_statement **out, sql_problem *problem,
                            freshet_error *err)
{
    sql_statement *statement = calloc(1, sizeof *statement);
    arena *arena = statement == NULL ? NULL : arena_open();
    if (arena == NULL) {
        free(statement);
        return error_memory(err, doing);
    }
    statement->session = session;
    statement->arena = arena;
    statement->sql = arena_text(arena, sql);
    if (statement->sql == NULL) {
        sql_statement_close(statement);
        return error_memory(err, doing);
    }
    sql_problem own;
    if (problem == NULL)
        problem = &own;
    freshet_code code = statement_prepare(statement, sql, problem, err);
    if (code == FRESHET_USAGE) {
        problem_hint(sql, problem);
        error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", problem->text);
    }
    if (code == FRESHET_OK && is_select &&
        duckdb_prepared_statement_type(statement->prepared) != DUCKDB_STATEMENT_TYPE_SELECT)
        code = problem_here("only a SELECT is possible here", problem, err);
    if (code == FRESHET_OK && is_select)
        code = plan_columns(statement, problem, err);
    if (code == FRESHET_OK)
        *out = statement;
    else
        sql_statement_close(statement);
    return code;
}

freshet_code sql_prepare(sql_session *session, const char *sql, sql_statement **out,
                         sql_problem *problem, freshet_error *err)
{
    return prepare(session, sql, true, "preparing a query", out, problem, err);
}

freshet_code sql_command_prepare(sql_session *session, const char *sql, sql_statement **out,
                                 freshet_error *err)
{
    return prepare(session, sql, false, "preparing a command", out, NULL, err);
}

static void drop_chunks(sql_statement *statement)
{
    while (statement->n_chunks > 0)
        duckdb_destroy_data_chunk(&statement->chunks[--statement->n_chunks]);
}

static void let_go(sql_statement *statement)
{
    drop_chunks(statement);
    if (statement->has_result)
        duckdb_destroy_result(&statement->result);
    statement->has_result = false;
    if (statement->is_streaming)
        sql_execute(statement->session, "SELECT 0 WHERE false", NULL, NULL);
    statement->is_streaming = false;
}

void sql_statement_close(sql_statement *statement)
{
    if (statement == NULL)
        return;
    let_go(statement);
    free(statement->chunks);
    duckdb_destroy_prepare(&statement->prepared);
    arena_close(statement->arena);
    free(statement);
}

const schema *sql_statement_schema(const sql_statement *statement)
{
    return &statement->schema;
}

/* ---- running ---- */

freshet_code sql_command_run(sql_statement *statement, int64_t *changed, freshet_error *err)
{
    duckdb_result result;
    watched_enter(statement->session);
    duckdb_state state = duckdb_execute_prepared(statement->prepared, &result);
    watched_leave();
    return problem_unless_done(state, &result, changed, err);
}

/* DuckDB plans a statement again when a table that it reads was replaced: other columns would not
 * be those that the conversions were made for. */
static bool same_columns(sql_statement *statement)
{
    if (duckdb_column_count(&statement->result) != statement->schema.n_fields)
        return false;
    for (uint32_t i = 0; i < statement->schema.n_fields; i++) {
        duckdb_type now = duckdb_column_type(&statement->result, i);
        if (now == DUCKDB_TYPE_MAP)
            now = DUCKDB_TYPE_LIST;
        if (now != statement->columns[i].from)
            return false;
    }
    return true;
}

/* The text that EXPLAIN gives, in its second column. */
static freshet_code ask_plan(const sql_statement *statement, arena *arena, const char *explain,
                             const char **plan, freshet_error *err)
{
    duckdb_result result;
    if (duckdb_query(statement->session->connection, explain, &result) == DuckDBError) {
        freshet_code code = problem_of_result(&result, err);
        duckdb_destroy_result(&result);
        return code;
    }
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    *plan = "";
    if (chunk != NULL && duckdb_data_chunk_get_column_count(chunk) == 2) {
        cell_text *cell = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 1));
        *plan = arena_copy(arena, text_bytes(cell), cell->length);
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    return *plan == NULL ? error_memory(err, "looking at a query's plan") : FRESHET_OK;
}

/* Does the plan hold an operator that cannot be run twice? */
static freshet_code look_at_plan(sql_statement *statement, freshet_error *err)
{
    static const char *const once[] = {"\"name\": \"IE_JOIN", "\"name\": \"ASOF_JOIN"};
    const char *plan = "";
    arena *scratch = arena_open();
    const char *explain =
        scratch == NULL ? NULL : arena_format(scratch, "EXPLAIN (FORMAT json) %s", statement->sql);
    freshet_code code = explain == NULL ? error_memory(err, "looking at a query's plan")
                                        : ask_plan(statement, scratch, explain, &plan, err);
    if (code == FRESHET_OK)
        statement->again = AGAIN_AS_IT_IS;
    for (size_t i = 0; code == FRESHET_OK && i < sizeof once / sizeof *once; i++)
        if (strstr(plan, once[i]) != NULL)
            statement->again = AGAIN_PREPARED_ANEW;
    arena_close(scratch);
    return code;
}

static freshet_code prepare_anew(sql_statement *statement, freshet_error *err)
{
    freshet_error reason = {0};
    duckdb_destroy_prepare(&statement->prepared);
    freshet_code code = statement_prepare(statement, statement->sql, NULL, &reason);
    if (code == FRESHET_USAGE) /* it was good before: a table has gone, or changed */
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a prepared query cannot be prepared again: %s", reason.text);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}

static freshet_code statement_start(sql_statement *statement, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    let_go(statement);
    if (statement->has_run && statement->again == AGAIN_UNKNOWN)
        code = look_at_plan(statement, err);
    if (statement->has_run && code == FRESHET_OK && statement->again == AGAIN_PREPARED_ANEW)
        code = prepare_anew(statement, err);
    if (code != FRESHET_OK)
        return code;
    statement->has_run = true;
    statement->has_result = true;
    watched_enter(statement->session);
    const duckdb_state state =
        duckdb_execute_prepared_streaming(statement->prepared, &statement->result);
    watched_leave();
    if (state == DuckDBError)
        return problem_of_result(&statement->result, err);
    statement->is_streaming = true;
    if (!same_columns(statement))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the columns of a prepared query have changed: prepare it again");
    return FRESHET_OK;
}

/* What a NULL chunk means. */
static freshet_code fetched_all(sql_statement *statement, freshet_error *err)
{
    statement->is_streaming = false;
    if (duckdb_result_error(&statement->result) != NULL)
        return problem_of_result(&statement->result, err);
    return FRESHET_END;
}

static freshet_code reserve_chunk(sql_statement *statement, freshet_error *err)
{
    return array_reserve(&statement->chunks, &statement->capacity,
                         statement->n_chunks + UINT64_C(1), sizeof(duckdb_data_chunk))
               ? FRESHET_OK
               : error_memory(err, "reading the result of a query");
}

/* The next chunk behind those that are kept; FRESHET_END after the last. */
static freshet_code fetch(sql_statement *statement, freshet_error *err)
{
    freshet_code code = reserve_chunk(statement, err);
    if (code != FRESHET_OK)
        return code;
    watched_enter(statement->session);
    duckdb_data_chunk chunk = duckdb_fetch_chunk(statement->result);
    watched_leave();
    if (chunk == NULL)
        return fetched_all(statement, err);
    statement->chunks[statement->n_chunks++] = chunk;
    return FRESHET_OK;
}

static freshet_code collect(sql_statement *statement, arena *arena, uint32_t n_rows, batch *out,
                            freshet_error *err)
{
    freshet_code code = batch_init_raw(out, arena, &statement->schema, NULL, n_rows, err);
    uint64_t at = 0;
    for (uint32_t i = 0; i < statement->n_chunks; i++) {
        duckdb_data_chunk chunk = statement->chunks[i];
        uint64_t n = duckdb_data_chunk_get_size(chunk);
        for (uint32_t c = 0; code == FRESHET_OK && c < statement->schema.n_fields; c++)
            code =
                result_copy(arena, &statement->columns[c], duckdb_data_chunk_get_vector(chunk, c),
                            n, &out->columns[c], at, err);
        at += n;
    }
    out->n_rows = n_rows;
    return code;
}

freshet_code sql_run(sql_statement *statement, arena *arena, batch *out, freshet_error *err)
{
    uint64_t n_rows = 0;
    freshet_code code = statement_start(statement, err);
    while (code == FRESHET_OK) {
        code = fetch(statement, err);
        if (code == FRESHET_OK)
            n_rows += duckdb_data_chunk_get_size(statement->chunks[statement->n_chunks - 1]);
        if (n_rows > SQL_RUN_ROWS_MAX)
            code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "one run of the query gave more than %u rows: join it to fewer rows",
                             SQL_RUN_ROWS_MAX);
    }
    if (code != FRESHET_END) {
        let_go(statement);
        return code;
    }
    return collect(statement, arena, (uint32_t)n_rows, out, err);
}

freshet_code sql_number(sql_session *session, const char *sql, int64_t *out, freshet_error *err)
{
    sql_statement *statement = NULL;
    batch rows;
    arena *scratch = arena_open();
    if (scratch == NULL)
        return error_memory(err, "asking for a number");
    freshet_code code = sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, scratch, &rows, err);
    if (code == FRESHET_OK)
        *out = rows.n_rows == 1 ? ((const int64_t *)rows.columns[0].data)[0] : -1;
    sql_statement_close(statement);
    arena_close(scratch);
    return code;
}

/* ---- cursors ---- */

static void *fetch_ahead(void *context)
{
    fetching *ahead = context;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->stops && !ahead->is_over) {
        if (ahead->n == AHEAD_CHUNKS) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
            continue;
        }
        pthread_mutex_unlock(&ahead->lock);
        duckdb_data_chunk chunk = duckdb_fetch_chunk(ahead->result);
        pthread_mutex_lock(&ahead->lock);
        if (chunk == NULL)
            ahead->is_over = true;
        else
            ahead->chunks[(ahead->first + ahead->n++) % AHEAD_CHUNKS] = chunk;
        pthread_cond_signal(&ahead->changed);
    }
    ahead->is_over = true;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

/* The next chunk; NULL: there is none. */
static duckdb_data_chunk take_fetched(fetching *ahead)
{
    duckdb_data_chunk chunk = NULL;
    pthread_mutex_lock(&ahead->lock);
    while (ahead->n == 0 && !ahead->is_over)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    if (ahead->n > 0) {
        chunk = ahead->chunks[ahead->first];
        ahead->first = (ahead->first + 1) % AHEAD_CHUNKS;
        ahead->n--;
        pthread_cond_signal(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->lock);
    return chunk;
}

static void fetching_free(fetching *ahead)
{
    while (ahead->n > 0)
        duckdb_destroy_data_chunk(&ahead->chunks[(ahead->first + --ahead->n) % AHEAD_CHUNKS]);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}

/* Ends the thread, and what it may be fetching, which may take long: an interrupt before DuckDB is
 * at it is lost, so there are some. The chunks that nobody took go. */
static void stop_fetching(sql_cursor *cursor)
{
    fetching *ahead = cursor->ahead;
    if (ahead == NULL)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->stops = true;
    pthread_cond_signal(&ahead->changed);
    while (!ahead->is_over) {
        const struct timespec again = thread_time_after(STOP_AGAIN_US);
        sql_interrupt(cursor->statement->session);
        pthread_cond_timedwait(&ahead->changed, &ahead->lock, &again);
    }
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    fetching_free(ahead);
    cursor->ahead = NULL;
}

/* Where the system gives no thread nothing is fetched ahead. */
static freshet_code start_fetching(sql_cursor *cursor, freshet_error *err)
{
    fetching *ahead = calloc(1, sizeof *ahead);
    if (ahead == NULL)
        return error_memory(err, "running a query");
    ahead->result = cursor->statement->result;
    pthread_mutex_init(&ahead->lock, NULL);
    thread_condition(&ahead->changed);
    if (thread_start(&ahead->thread, fetch_ahead, ahead))
        cursor->ahead = ahead;
    else
        fetching_free(ahead);
    return FRESHET_OK;
}

static freshet_code next_fetched(sql_cursor *cursor, freshet_error *err)
{
    sql_statement *statement = cursor->statement;
    freshet_code code = reserve_chunk(statement, err);
    if (code != FRESHET_OK)
        return code;
    watched_enter(statement->session);
    duckdb_data_chunk chunk = take_fetched(cursor->ahead);
    watched_leave();
    if (chunk == NULL) {
        stop_fetching(cursor);
        return fetched_all(statement, err);
    }
    statement->chunks[statement->n_chunks++] = chunk;
    return FRESHET_OK;
}

freshet_code sql_cursor_open(sql_statement *statement, sql_cursor **out, freshet_error *err)
{
    sql_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return error_memory(err, "running a query");
    cursor->statement = statement;
    freshet_code code = statement_start(statement, err);
    if (code != FRESHET_OK) {
        let_go(statement);
        free(cursor);
        return code;
    }
    *out = cursor;
    return FRESHET_OK;
}

freshet_code sql_cursor_read_ahead(sql_cursor *cursor, freshet_error *err)
{
    return cursor->ahead != NULL || cursor->at_end ? FRESHET_OK : start_fetching(cursor, err);
}

freshet_code sql_next(sql_cursor *cursor, arena *arena, batch *out, freshet_error *err)
{
    sql_statement *statement = cursor->statement;
    if (cursor->at_end)
        return FRESHET_END;
    drop_chunks(statement);
    freshet_code code = cursor->ahead == NULL ? fetch(statement, err) : next_fetched(cursor, err);
    if (code != FRESHET_OK) {
        cursor->at_end = true;
        return code;
    }
    return collect(statement, arena, (uint32_t)duckdb_data_chunk_get_size(statement->chunks[0]),
                   out, err);
}

void sql_cursor_close(sql_cursor *cursor)
{
    if (cursor == NULL)
        return;
    stop_fetching(cursor);
    let_go(cursor->statement);
    free(cursor);
}
