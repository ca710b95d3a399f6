/* query_child.c - see query_child.h. */
#include "writers/debug/query_child.h"

#include "base/arena.h"
#include "base/error.h"
#include "sql/sql.h"
#include "writers/debug/query_check.h"
#include "writers/debug/query_wire.h"

typedef struct asked_query {
    sql_engine *engine;
    const char *sql;
} asked_query;

static freshet_code give_rows(sql_statement *statement, int fd, freshet_error *err)
{
    arena *piece = arena_open();
    sql_cursor *cursor = NULL;
    text_buffer text;
    batch rows;
    text_init(&text, WIRE_FRAME_MAX);
    freshet_code code = piece == NULL ? error_memory(err, "running a query")
                                      : sql_cursor_open(statement, &cursor, err);
    while (code == FRESHET_OK) {
        arena_reset(piece);
        code = sql_next(cursor, piece, &rows, err);
        if (code == FRESHET_OK)
            code = wire_send_rows(fd, &rows, piece, &text, err);
    }
    return code;
}

static freshet_code run_query(sql_engine *engine, const char *sql, int fd, freshet_error *err)
{
    sql_session *session = NULL;
    sql_statement *statement = NULL;
    freshet_code code = sql_session_open(engine, &session, err);
    if (code == FRESHET_OK)
        code = sql_execute(session, "BEGIN TRANSACTION READ ONLY", NULL, err);
    if (code == FRESHET_OK)
        code = query_check(session, sql, err);
    if (code == FRESHET_OK)
        code = sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK && !wire_send_schema(fd, sql_statement_schema(statement), err))
        code = FRESHET_FAILED;
    return code == FRESHET_OK ? give_rows(statement, fd, err) : code;
}

static void be_child(void *context, int fd)
{
    const asked_query *asked = context;
    freshet_error problem = {0};
    freshet_code code = run_query(asked->engine, asked->sql, fd, &problem);
    if (code == FRESHET_END)
        wire_send(fd, WIRE_END, "", 0);
    else
        wire_send_error(fd, &problem);
}

freshet_code query_child_start(sql_engine *engine, const char *sql, int64_t timeout_us,
                               int64_t memory, process_copy *out, freshet_error *err)
{
    asked_query asked = {engine, sql};
    return process_copy_start(be_child, &asked, "run the query in", timeout_us, memory, out, err);
}
