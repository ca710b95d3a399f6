/* sql_engine.c - instances of the SQL engine, sessions, statements of our own.
 *
 * An instance is made safe in this order: it is opened with the options that only exist at opening,
 * then told not to spill to disk and to reckon in UTC, given our
 * casts of texts to times (sql_cast.c), then cut off from files (after which DuckDB
 * does not let the folder for spilling be changed), and at last, by sql_lock, closed to any further
 * setting. Errors come as JSON (sql_problem.c) from the first statement on.
 *
 * Settings made here are global, so that sessions opened after the lock have them, too.
 */
#include <inttypes.h>

#include "sql/sql_internal.h"

#define BUILT_FOR "v1.5.6"
#define MEMORY_DEFAULT ((int64_t)1 << 30)

/* statistics_propagation: a prepared statement keeps what the statistics of a table said when it
 * was prepared, and gives wrong rows once the table has changed (fixed in DuckDB 2.0). */
static freshet_code configure(const sql_options *options, duckdb_config config, freshet_error *err)
{
    char threads[16], memory[32];
    snprintf(threads, sizeof threads, "%" PRIu32, options->threads == 0 ? 1 : options->threads);
    snprintf(memory, sizeof memory, "%" PRId64 "B",
             options->memory <= 0 ? MEMORY_DEFAULT : options->memory);
    const struct {
        const char *name, *value;
    } settings[] = {
        {"threads", threads},
        {"memory_limit", memory},
        {"disabled_optimizers", "statistics_propagation"},
        {"errors_as_json", "true"},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (duckdb_set_config(config, settings[i].name, settings[i].value) == DuckDBError)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                             "the SQL engine does not take the option %s = %s", settings[i].name,
                             settings[i].value);
    }
    return FRESHET_OK;
}

static freshet_code open_database(const sql_options *options, sql_engine *engine,
                                  freshet_error *err)
{
    duckdb_config config;
    if (duckdb_create_config(&config) == DuckDBError)
        return error_memory(err, "opening the SQL engine");
    freshet_code code = configure(options, config, err);
    char *reason = NULL;
    if (code == FRESHET_OK &&
        duckdb_open_ext(NULL, &engine->database, config, &reason) == DuckDBError) {
        sql_problem problem;
        problem_read(reason, &problem);
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                         "the SQL engine does not open: %s", problem.text);
    }
    duckdb_free(reason);
    duckdb_destroy_config(&config);
    return code;
}

static freshet_code execute_once(sql_engine *engine, const char *sql, freshet_error *err)
{
    sql_session *session = NULL;
    freshet_code code = sql_session_open(engine, &session, err);
    if (code == FRESHET_OK)
        code = sql_execute(session, sql, NULL, err);
    sql_session_close(session);
    return code;
}

static freshet_code add_ours(sql_engine *engine, freshet_error *err)
{
    sql_session *session = NULL;
    freshet_code code = sql_session_open(engine, &session, err);
    if (code == FRESHET_OK)
        code = cast_add_all(session, err);
    if (code == FRESHET_OK)
        code = check_add_probe(session, err);
    sql_session_close(session);
    return code;
}

freshet_code sql_open(const sql_options *options, sql_engine **out, freshet_error *err)
{
    static const sql_options standard;
    if (options == NULL)
        options = &standard;
    if (strcmp(duckdb_library_version(), BUILT_FOR) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "libduckdb",
                         "this program needs DuckDB %s, and the library found is %s: run "
                         "scripts/setup, or set LD_LIBRARY_PATH to the right one",
                         BUILT_FOR, duckdb_library_version());
    sql_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return error_memory(err, "opening the SQL engine");
    freshet_code code = open_database(options, engine, err);
    if (code == FRESHET_OK)
        code = execute_once(engine, "SET temp_directory = ''; SET GLOBAL TimeZone = 'UTC'", err);
    if (code == FRESHET_OK)
        code = add_ours(engine, err);
    if (code == FRESHET_OK && !options->external_access)
        code = execute_once(engine, "SET enable_external_access = false", err);
    if (code != FRESHET_OK) {
        sql_close(engine);
        return code;
    }
    *out = engine;
    return FRESHET_OK;
}

void sql_close(sql_engine *engine)
{
    if (engine == NULL)
        return;
    duckdb_close(&engine->database);
    for (brought *one = engine->brought, *next; one != NULL; one = next) {
        next = one->next;
        free(one);
    }
    free(engine);
}

freshet_code sql_lock(sql_engine *engine, freshet_error *err)
{
    if (atomic_load(&engine->is_locked))
        return FRESHET_OK;
    freshet_code code = execute_once(
        engine, "SET enable_external_access = false; SET lock_configuration = true", err);
    if (code == FRESHET_OK)
        atomic_store(&engine->is_locked, true);
    return code;
}

freshet_code sql_session_open(sql_engine *engine, sql_session **out, freshet_error *err)
{
    sql_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return error_memory(err, "opening a session of the SQL engine");
    session->engine = engine;
    if (duckdb_connect(engine->database, &session->connection) == DuckDBError) {
        free(session);
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                         "the SQL engine does not open a session");
    }
    duckdb_client_context context;
    duckdb_connection_get_client_context(session->connection, &context);
    session->id = duckdb_client_context_get_connection_id(context);
    duckdb_destroy_client_context(&context);
    *out = session;
    return FRESHET_OK;
}

void sql_session_close(sql_session *session)
{
    if (session == NULL)
        return;
    duckdb_disconnect(&session->connection);
    free(session);
}

sql_engine *sql_session_engine(const sql_session *session)
{
    return session->engine;
}

/* ---- watching ---- */

static _Thread_local sql_watch *own_watch;

void sql_watch_init(sql_watch *watch)
{
    pthread_mutex_init(&watch->lock, NULL);
    watch->running = NULL;
}

void sql_watch_destroy(sql_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
}

void sql_watch_begin(sql_watch *watch)
{
    own_watch = watch;
}

void sql_watch_end(void)
{
    own_watch = NULL;
}

static void watch_run(sql_session *session)
{
    if (own_watch == NULL)
        return;
    pthread_mutex_lock(&own_watch->lock);
    own_watch->running = session;
    pthread_mutex_unlock(&own_watch->lock);
}

void watched_enter(sql_session *session)
{
    watch_run(session);
}

void watched_leave(void)
{
    watch_run(NULL);
}

void sql_watch_interrupt(sql_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    if (watch->running != NULL)
        sql_interrupt(watch->running);
    pthread_mutex_unlock(&watch->lock);
}

freshet_code sql_execute(sql_session *session, const char *sql, int64_t *changed,
                         freshet_error *err)
{
    duckdb_result result;
    watched_enter(session);
    duckdb_state state = duckdb_query(session->connection, sql, &result);
    watched_leave();
    return problem_unless_done(state, &result, changed, err);
}

void sql_interrupt(sql_session *session)
{
    duckdb_interrupt(session->connection);
}

freshet_code sql_table_create(sql_session *session, const char *name, const schema *schema,
                              freshet_error *err)
{
    arena *scratch = arena_open();
    const char *quoted = scratch == NULL ? NULL : sql_quote(scratch, name);
    const char *columns =
        quoted == NULL ? NULL : name_columns(scratch, schema->fields, schema->n_fields);
    const char *sql =
        columns == NULL ? NULL : arena_format(scratch, "CREATE TABLE %s (%s)", quoted, columns);
    freshet_code code =
        sql == NULL ? error_memory(err, "making a table") : sql_execute(session, sql, NULL, err);
    arena_close(scratch);
    return code;
}
