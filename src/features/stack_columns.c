/* stack_columns.c - see stack_columns.h. Regular expressions are those of the SQL engine (RE2). */
#include "features/stack_columns.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define MATCHING "matching a stack's columns"

bool stack_pattern_takes(const char *pattern, const char *name)
{
    const bool negates = pattern[0] == '!';
    const char *begin = pattern + negates;
    const char *star = strrchr(begin, '*');
    const char *end = star == NULL ? begin : star + 1;
    const size_t n_begin = strcspn(begin, "*"), n_end = strlen(end), n = strlen(name);
    const bool takes = n >= n_begin && n >= n_end && strncmp(name, begin, n_begin) == 0 &&
                       memcmp(name + n - n_end, end, n_end) == 0;
    return takes != negates;
}

/* A SELECT of the numbers of the names that match; NULL where memory is out. */
static const char *regex_sql(arena *arena, const char *regex, const char *const *names, uint32_t n)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT CAST(i AS BIGINT) FROM (VALUES ");
    for (uint32_t i = 0; i < n; i++) {
        const char *name = sql_literal(arena, names[i]);
        text.failed |= name == NULL;
        if (name != NULL)
            text_format(&text, "%s(%u, %s)", i == 0 ? "" : ", ", i, name);
    }
    const char *anchored = arena_format(arena, "\\A(?:%s)", regex);
    const char *literal = anchored == NULL ? NULL : sql_literal(arena, anchored);
    text.failed |= literal == NULL;
    if (literal != NULL)
        text_format(&text, ") names(i, name) WHERE regexp_matches(name, %s)", literal);
    const char *sql = text_keep(&text, arena);
    return sql;
}

freshet_code stack_regex_takes(sql_session *session, arena *arena, const char *regex,
                               const char *const *names, uint32_t n, bool *takes,
                               sql_problem *problem, freshet_error *err)
{
    sql_statement *statement = NULL;
    batch found = {0};
    freshet_error why = {0};
    if (n == 0)
        return FRESHET_OK;
    const char *sql = regex_sql(arena, regex, names, n);
    if (sql == NULL)
        return error_memory(err, MATCHING);
    freshet_code code = sql_prepare(session, sql, &statement, NULL, &why);
    if (code == FRESHET_OK)
        code = sql_run(statement, arena, &found, &why);
    for (uint32_t i = 0; code == FRESHET_OK && i < found.n_rows; i++)
        takes[((const int64_t *)found.columns[0].data)[i]] = true;
    sql_statement_close(statement);
    if (code == FRESHET_OK || code == FRESHET_NO_MEMORY)
        return code == FRESHET_OK ? code : error_memory(err, MATCHING);
    /* "missing ]: [a": what is behind the colon is of the expression that was made here. */
    const char *behind = strstr(why.text, ": ");
    const size_t length = behind == NULL ? strlen(why.text) : (size_t)(behind - why.text);
    problem->position = -1;
    snprintf(problem->text, sizeof problem->text, "%.*s", (int)length, why.text);
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", why.text);
}
