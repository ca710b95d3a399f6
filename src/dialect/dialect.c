/* dialect.c - see dialect.h: the ways in, and places on the way back. */
#include "dialect/dialect.h"

#include "base/error.h"

freshet_code dialect_create(dialect dialect, sql_session *session, freshet_error *err)
{
    (void)dialect;
    (void)session;
    (void)err;
    return FRESHET_OK;
}

freshet_code dialect_query(dialect dialect, sql_session *session, arena *arena, const char *text,
                           dialect_text *out, sql_problem *problem, freshet_error *err)
{
    (void)dialect;
    (void)session;
    (void)arena;
    (void)problem;
    (void)err;
    *out = (dialect_text){.sql = text};
    return FRESHET_OK;
}

freshet_code dialect_expression(dialect dialect, sql_session *session, arena *arena,
                                const char *text, const schema *columns, dialect_text *out,
                                sql_problem *problem, freshet_error *err)
{
    (void)columns;
    return dialect_query(dialect, session, arena, text, out, problem, err);
}

freshet_code dialect_syntax(dialect dialect, arena *arena, const char *text, bool is_query,
                            sql_problem *problem, freshet_error *err)
{
    (void)dialect;
    (void)arena;
    (void)text;
    (void)is_query;
    (void)problem;
    (void)err;
    return FRESHET_OK;
}

/* The last piece that begins at or before it. */
int64_t dialect_position(const dialect_text *text, int64_t position)
{
    uint32_t low = 0, high = text->n_pieces;
    if (position < 0 || high == 0)
        return position;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (text->pieces[middle].at <= position)
            low = middle;
        else
            high = middle;
    }
    return text->pieces[low].from;
}
