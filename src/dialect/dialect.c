/* dialect.c - see dialect.h: the ways in, and places on the way back. */
#include "dialect/dialect.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "dialect/spark_functions.h"
#include "dialect/spark_internal.h"
#include "functions/functions.h"

freshet_code dialect_create(dialect dialect, sql_session *session, freshet_error *err)
{
    if (dialect != DIALECT_SPARK)
        return FRESHET_OK;
    freshet_code code = spark_calls_create(session, err);
    return code == FRESHET_OK ? functions_create_spark(session, err) : code;
}

/* ---- marks ---- */

freshet_code dialect_take_marks(arena *arena, const char *sql, dialect_text *out,
                                freshet_error *err)
{
    const size_t length = strlen(sql);
    uint32_t n = 0, n_marks = 0;
    for (const char *c = sql; *c != '\0'; c++)
        n_marks += *c == MARK_BEGIN;
    char *clean = arena_alloc(arena, length + 1);
    dialect_piece *pieces = arena_alloc(arena, (n_marks + (size_t)1) * sizeof *pieces);
    if (clean == NULL || pieces == NULL)
        return error_memory(err, TRANSLATING);
    *out = (dialect_text){.sql = clean, .pieces = pieces};
    for (const char *c = sql; *c != '\0'; c++) {
        if (*c != MARK_BEGIN) {
            clean[n++] = *c;
            continue;
        }
        uint32_t from = 0;
        while (*++c != MARK_END && *c != '\0')
            from = from * 10 + (uint32_t)(*c - '0');
        if (out->n_pieces > 0 && pieces[out->n_pieces - 1].at == n)
            out->n_pieces--; /* the inner one of two is the nearer */
        pieces[out->n_pieces++] = (dialect_piece){n, from};
        if (*c == '\0')
            break;
    }
    clean[n] = '\0';
    return FRESHET_OK;
}

/* ---- the ways in ---- */

static freshet_code open_spark(spark *s, sql_session *session, arena *arena, const char *text,
                               sql_problem *problem, freshet_error *err)
{
    *s = (spark){.session = session, .arena = arena, .text = text, .problem = problem, .err = err};
    *problem = (sql_problem){.position = -1};
    return spark_tokens_read(arena, text, &s->tokens, &s->n_tokens, problem, err);
}

/* Nothing may stand behind it; of a query one semicolon. */
static void expect_end(spark *s, bool is_query)
{
    const spark_token *here = spark_peek(s, 0);
    if (is_query && spark_take(s, ";"))
        here = spark_peek(s, 0);
    if (s->failed || here->kind == TOKEN_END)
        return;
    if (!is_query && (spark_token_is(here, "as") || here->kind == TOKEN_NAME))
        spark_refuse(s, here->at,
                     "a feature's SQL is one expression, such as \"a + b\", without "
                     "AS, FROM, WHERE and the like: \"%.*s\" is one word too many",
                     (int)(here->length < 40 ? here->length : 40), here->text);
    else
        spark_refuse(s, here->at, "Spark's SQL ends before \"%.*s\"",
                     (int)(here->length < 40 ? here->length : 40), here->text);
}

static freshet_code finish(spark *s, const char *sql, dialect_text *out, freshet_error *err)
{
    if (arena_failed(s->arena)) /* types have no word for it */
        return error_memory(err, TRANSLATING);
    if (s->failed)
        return s->code;
    return dialect_take_marks(s->arena, sql, out, err);
}

freshet_code dialect_query(dialect dialect, sql_session *session, arena *arena, const char *text,
                           dialect_text *out, sql_problem *problem, freshet_error *err)
{
    spark s;
    *out = (dialect_text){.sql = text};
    if (dialect != DIALECT_SPARK)
        return FRESHET_OK;
    freshet_code code = open_spark(&s, session, arena, text, problem, err);
    if (code != FRESHET_OK)
        return code;
    const spark_query query = spark_parse_query(&s);
    expect_end(&s, true);
    return finish(&s, query.sql, out, err);
}

freshet_code dialect_expression(dialect dialect, sql_session *session, arena *arena,
                                const char *text, const schema *columns, dialect_text *out,
                                sql_problem *problem, freshet_error *err)
{
    spark s;
    spark_scope scope = {0};
    *out = (dialect_text){.sql = text};
    if (dialect != DIALECT_SPARK)
        return FRESHET_OK;
    freshet_code code = open_spark(&s, session, arena, text, problem, err);
    if (code != FRESHET_OK)
        return code;
    scope.columns = arena_zero(arena, columns->n_fields + (size_t)1, sizeof *scope.columns);
    if (scope.columns == NULL)
        return error_memory(err, TRANSLATING);
    for (uint32_t i = 0; i < columns->n_fields; i++)
        scope.columns[scope.n++] =
            (spark_column){.name = columns->fields[i].name,
                           .type = spark_type_from(arena, columns->fields[i].type),
                           .sql = spark_quoted(&s, columns->fields[i].name)};
    s.scope = &scope;
    const spark_value value = spark_expression(&s);
    expect_end(&s, false);
    return finish(&s, value.sql, out, err);
}

freshet_code dialect_syntax(dialect dialect, arena *arena, const char *text, bool is_query,
                            sql_problem *problem, freshet_error *err)
{
    spark s;
    if (dialect != DIALECT_SPARK)
        return FRESHET_OK;
    freshet_code code = open_spark(&s, NULL, arena, text, problem, err);
    if (code != FRESHET_OK)
        return code;
    s.is_blind = true;
    if (is_query)
        spark_parse_query(&s);
    else
        spark_expression(&s);
    expect_end(&s, is_query);
    return s.failed ? s.code : FRESHET_OK;
}

bool dialect_has_function(dialect dialect, const char *name)
{
    return dialect == DIALECT_SPARK &&
           (spark_is_special(name) || spark_function_find(name, 0) != NULL);
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
