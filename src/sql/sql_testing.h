/* sql_testing.h - for tests: an engine with a session and an arena, and what a query gives as JSON
 * lines. Include it after cmocka.h. */
#ifndef FRESHET_SQL_SQL_TESTING_H
#define FRESHET_SQL_SQL_TESTING_H

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sql/sql.h"

typedef struct bench {
    sql_engine *engine;
    sql_session *session;
    arena *arena;
} bench;

static inline int set_up(void **state)
{
    static bench here;
    freshet_error err = {0};
    assert_int_equal(sql_open(NULL, &here.engine, &err), FRESHET_OK);
    assert_int_equal(sql_session_open(here.engine, &here.session, &err), FRESHET_OK);
    here.arena = arena_open();
    assert_non_null(here.arena);
    *state = &here;
    return 0;
}

static inline int tear_down(void **state)
{
    bench *here = *state;
    sql_session_close(here->session);
    sql_close(here->engine);
    arena_close(here->arena);
    return 0;
}

static inline void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err->text);
}

static inline void execute(sql_session *session, const char *sql)
{
    freshet_error err = {0};
    must(sql_execute(session, sql, NULL, &err), &err);
}

/* All rows of a query as JSON lines. */
static inline const char *answer(bench *here, const char *sql)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    batch rows;
    must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
    must(sql_run(statement, here->arena, &rows, &err), &err);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < rows.n_rows; i++) {
        must(batch_row_to_json(&rows, i, &text, &err), &err);
        text_append_char(&text, '\n');
    }
    const char *copy = arena_text(here->arena, text.bytes == NULL ? "" : text.bytes);
    text_release(&text);
    sql_statement_close(statement);
    return copy;
}

#endif
