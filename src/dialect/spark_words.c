/* spark_words.c - the words of the text, one after the other, and how the translation fails. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "dialect/spark_internal.h"

const spark_token *spark_peek(const spark *s, uint32_t ahead)
{
    const uint32_t at = s->at + ahead;
    return &s->tokens[at < s->n_tokens ? at : s->n_tokens - 1];
}

bool spark_is(const spark *s, uint32_t ahead, const char *word)
{
    return spark_token_is(spark_peek(s, ahead), word);
}

bool spark_take(spark *s, const char *word)
{
    if (s->failed || !spark_is(s, 0, word))
        return false;
    s->at++;
    return true;
}

void spark_expect(spark *s, const char *word)
{
    const spark_token *here = spark_peek(s, 0);
    if (s->failed || spark_take(s, word))
        return;
    if (here->kind == TOKEN_END)
        spark_refuse(s, here->at, "the text ends where Spark's SQL wants \"%s\"", word);
    else
        spark_refuse(s, here->at, "Spark's SQL wants \"%s\" here, and not \"%.*s\"", word,
                     (int)(here->length < 40 ? here->length : 40), here->text);
}

const char *spark_take_name(spark *s, const char *what)
{
    const spark_token *here = spark_peek(s, 0);
    if (s->failed)
        return "";
    if (here->kind != TOKEN_NAME && here->kind != TOKEN_QUOTED) {
        spark_refuse(s, here->at, "%s stands here in Spark's SQL, and not \"%.*s\"", what,
                     (int)(here->length < 40 ? here->length : 40), here->text);
        return "";
    }
    s->at++;
    const char *copy = arena_copy(s->arena, here->text, here->length);
    if (copy == NULL)
        spark_no_memory(s);
    return copy == NULL ? "" : copy;
}

bool spark_enter(spark *s)
{
    if (!s->failed && ++s->depth > SPARK_DEPTH_MAX)
        spark_refuse(s, spark_peek(s, 0)->at,
                     "the SQL is nested too deeply: split it into several features or queries");
    return !s->failed;
}

void spark_leave(spark *s)
{
    s->depth--;
}

void spark_refuse(spark *s, uint32_t at, const char *format, ...)
{
    va_list values;
    if (s->failed)
        return;
    s->failed = true;
    va_start(values, format);
    vsnprintf(s->problem->text, sizeof s->problem->text, format, values);
    va_end(values);
    s->problem->position = at;
    s->code = error_set(s->err, FRESHET_USAGE, FRESHET_STOP, NULL, "%.600s", s->problem->text);
}

void spark_no_memory(spark *s)
{
    if (!s->failed)
        s->code = error_memory(s->err, TRANSLATING);
    s->failed = true;
}

static const char *format_with(spark *s, const char *format, va_list values)
{
    if (s->failed)
        return "";
    const char *text = arena_vformat(s->arena, format, values);
    if (text == NULL)
        spark_no_memory(s);
    else if (strlen(text) > SPARK_SQL_MAX)
        spark_refuse(s, spark_peek(s, 0)->at,
                     "the SQL grows too long for DuckDB: split it into several features or "
                     "queries");
    return s->failed ? "" : text;
}

const char *spark_format(spark *s, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const char *text = format_with(s, format, values);
    va_end(values);
    return text;
}

const char *spark_mark(spark *s, uint32_t at)
{
    return spark_format(s, "%c%u%c", MARK_BEGIN, at, MARK_END);
}

const char *spark_quoted(spark *s, const char *name)
{
    const char *quoted = s->failed ? "" : sql_quote(s->arena, name);
    if (quoted == NULL)
        spark_no_memory(s);
    return quoted == NULL ? "" : quoted;
}

const char *spark_literal(spark *s, const char *text, uint32_t length)
{
    if (memchr(text, '\0', length) == NULL) {
        const char *literal = s->failed ? "" : sql_literal(s->arena, text);
        if (literal == NULL)
            spark_no_memory(s);
        return literal == NULL ? "" : literal;
    }
    const uint32_t first = (uint32_t)strlen(text);
    return spark_format(s, "(%s || chr(0) || %s)", spark_literal(s, text, first),
                        spark_literal(s, text + first + 1, length - first - 1));
}

spark_value spark_nothing(spark *s)
{
    return (spark_value){
        .sql = "NULL", .type = spark_type_of(SPARK_OTHER), .at = spark_peek(s, 0)->at};
}

spark_value spark_made(spark *s, uint32_t at, const spark_type *type, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const char *text = format_with(s, format, values);
    va_end(values);
    if (s->failed)
        return spark_nothing(s);
    return (spark_value){
        .sql = spark_format(s, "%s%s", spark_mark(s, at), text), .type = type, .at = at};
}
