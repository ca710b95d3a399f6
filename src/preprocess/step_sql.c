/* step_sql.c - what steps share: columns by their names, and the SQL that a user has written.
 *
 * A user's text is prepared over a table with the reader's id and the columns before the step, so
 * that messages speak of the user's names, and point into the user's text. An expression is looked
 * at as the one column of a SELECT.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "preprocess/preprocess_step.h"
#include "sql/sql_words.h"

/* ---- mistakes -------------------------------------------------------------------------------- */

void step_problem(const preprocess_step *step, const place *at, const char *format, ...)
{
    char text[640];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    problem_add(step->chain->options.problems, at, "%s", text);
}

int64_t step_column(const preprocess_step *step, const declared_text *name, const char *what)
{
    const int64_t found = name->value == NULL ? -1 : schema_find(&step->before, name->value);
    const char *names[TYPE_FIELDS_MAX > 256 ? 256 : TYPE_FIELDS_MAX];
    uint32_t n = 0;
    if (found >= 0 || name->value == NULL)
        return found;
    for (; n < step->before.n_fields && n < sizeof names / sizeof *names; n++)
        names[n] = step->before.fields[n].name;
    const char *near = text_nearest(name->value, names, n);
    char all[200] = "";
    for (uint32_t i = 0; near == NULL && i < n && strlen(all) + strlen(names[i]) + 8 < sizeof all;
         i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i == 0 ? "" : ", ", names[i]);
    step_problem(step, &name->at, "\"%s\" of %s: there is no column \"%s\" before this step%s%s%s",
                 what, step->ops->block.name, name->value,
                 near == NULL ? "; there are " : "; did you mean \"", near == NULL ? all : near,
                 near == NULL ? "" : "\"?");
    return -1;
}

int64_t step_simple_column(const preprocess_step *step, const declared_text *name, const char *what)
{
    const int64_t found = step_column(step, name, what);
    const type *type = found < 0 ? NULL : step->before.fields[found].type;
    if (type == NULL || (type->kind != TYPE_ARRAY && type->kind != TYPE_STRUCT))
        return found;
    step_problem(
        step, &name->at, "\"%s\" of %s: the column \"%s\" is %s, and must be a single value", what,
        step->ops->block.name, name->value, type->kind == TYPE_ARRAY ? "an array" : "a struct");
    return -1;
}

/* ---- writing --------------------------------------------------------------------------------- */

void step_put_columns(const preprocess_step *step, text_buffer *into)
{
    for (uint32_t i = 0; i < step->before.n_fields; i++) {
        const char *name = sql_quote(step->chain->arena, step->before.fields[i].name);
        into->failed |= name == NULL;
        text_append_c(into, name == NULL ? "" : name);
        text_append_c(into, ", ");
    }
}

void step_put_name(text_buffer *into, arena *arena, const char *before, const char *name,
                   const char *behind)
{
    const char *quoted = sql_quote(arena, name);
    into->failed |= quoted == NULL;
    text_append_c(into, before);
    text_append_c(into, quoted == NULL ? "" : quoted);
    text_append_c(into, behind);
}

freshet_code step_sql(const preprocess_step *step, text_buffer *text, const char **sql,
                      freshet_error *err)
{
    *sql = text->failed ? NULL : arena_copy(step->chain->arena, text->bytes, text->length);
    text_release(text);
    return *sql == NULL ? error_memory(err, PREPROCESSING) : FRESHET_OK;
}

/* ---- a user's SQL ---------------------------------------------------------------------------- */

/* A text that was made around the user's as DuckDB reads it, which begins at byte `before`. */
typedef struct made_sql {
    preprocess_step *step;
    step_text *of;
    const char *sql;
    size_t before;
} made_sql;

/* Something is wrong at that byte of the made text. */
static void made_sql_report(void *context, int64_t position, const char *text)
{
    const made_sql *made = context;
    const preprocess *chain = made->step->chain;
    const declared_text *user = made->of->text;
    place at = user->at;
    int64_t in = position < 0 ? -1 : position - (int64_t)made->before;
    if (in >= 0 && in <= (int64_t)strlen(made->of->in.sql))
        in = dialect_position(&made->of->in, in);
    if (in >= 0 && in < (int64_t)strlen(user->value))
        at = declaration_place_in(chain->options.handle, user, (size_t)in);
    problem_add(chain->options.problems, &at, "%s: %s", made->step->ops->block.name, text);
}

/* The table that a user's SQL speaks of. */
static freshet_code make_table(const preprocess_step *step, freshet_error *err)
{
    return sql_table_create(step->chain->options.session, step->chain->block->id.value,
                            &step->before, err);
}

static freshet_code drop_table(const preprocess *chain, freshet_code code, freshet_error *err)
{
    const char *sql = arena_format(chain->arena, "DROP TABLE IF EXISTS main.%s", chain->id);
    const freshet_code dropped =
        sql == NULL
            ? error_memory(code == FRESHET_OK ? err : NULL, PREPROCESSING)
            : sql_execute(chain->options.session, sql, NULL, code == FRESHET_OK ? err : NULL);
    return code == FRESHET_OK ? dropped : code;
}

/* DuckDB's own opinion of it, over the table; the type is that of the first column. */
static freshet_code prepare_made(made_sql *made, freshet_error *err)
{
    preprocess *chain = made->step->chain;
    sql_session *session = chain->options.session;
    sql_statement *statement = NULL;
    sql_problem problem;
    freshet_code code = sql_prepare(session, made->sql, &statement, &problem, err);
    if (code == FRESHET_OK) {
        made->of->type = type_keep(chain->arena, sql_statement_schema(statement)->fields[0].type);
        code = sql_check_casts(session, chain->arena, made->sql, &problem, err);
    }
    sql_statement_close(statement);
    if (code == FRESHET_USAGE)
        made_sql_report(made, problem.position, problem.text);
    return code == FRESHET_USAGE ? FRESHET_OK : code;
}

/* What the planner says of it; where it says nothing, DuckDB. */
static freshet_code check_made(made_sql *made, freshet_error *err)
{
    const preprocess *chain = made->step->chain;
    const uint32_t n_problems = problems_count(chain->options.problems);
    const char *ignored = NULL;
    const freshet_code code =
        chain->options.plan(chain->arena, chain->options.session, made->sql, chain->block->id.value,
                            &made->step->before, "__freshet_step", made_sql_report, made, &ignored,
                            &made->of->used, err);
    if (code != FRESHET_OK && code != FRESHET_BAD_DECLARATION)
        return code;
    return problems_count(chain->options.problems) == n_problems ? prepare_made(made, err)
                                                                 : FRESHET_OK;
}

/* The user's text as DuckDB's. */
static freshet_code user_text_read(made_sql *made, bool is_query, bool *is_read, freshet_error *err)
{
    const preprocess *chain = made->step->chain;
    const int dialect = declaration_of(chain->options.handle)->dialect;
    const char *text = made->of->text->value;
    sql_problem problem;
    const freshet_code code =
        is_query ? dialect_query(dialect, chain->options.session, chain->arena, text, &made->of->in,
                                 &problem, err)
                 : dialect_expression(dialect, chain->options.session, chain->arena, text,
                                      &made->step->before, &made->of->in, &problem, err);
    *is_read = code == FRESHET_OK;
    if (code != FRESHET_USAGE)
        return code;
    made->of->in = (dialect_text){.sql = text};
    made_sql_report(made, problem.position, problem.text);
    return FRESHET_OK;
}

freshet_code step_check_query(preprocess_step *step, const declared_text *sql, step_text *out,
                              freshet_error *err)
{
    made_sql made = {.step = step, .of = out};
    bool is_read = false;
    *out = (step_text){.text = sql};
    freshet_code code = make_table(step, err);
    if (code != FRESHET_OK)
        return code;
    code = user_text_read(&made, true, &is_read, err);
    made.sql = out->in.sql;
    if (code == FRESHET_OK && is_read)
        code = check_made(&made, err);
    return drop_table(step->chain, code, err);
}

/* Does it close a bracket that it has not opened? Then it would be more than an expression. */
static bool closes_too_much(arena *arena, const char *sql, bool *no_memory)
{
    uint32_t n;
    int64_t open = 0;
    const sql_word *words = sql_words(arena, sql, &n);
    *no_memory = words == NULL;
    for (uint32_t i = 0; words != NULL && i < n && open >= 0; i++)
        if (words[i].kind == SQL_WORD_OTHER && words[i].length == 1)
            open += words[i].text[0] == '(' ? 1 : words[i].text[0] == ')' ? -1 : 0;
    return open < 0;
}

/* As the one column of a SELECT. */
static freshet_code check_expression(made_sql *made, freshet_error *err)
{
    static const char begin[] = "SELECT (";
    preprocess *chain = made->step->chain;
    bool no_memory;
    if (closes_too_much(chain->arena, made->of->in.sql, &no_memory)) {
        step_problem(made->step, &made->of->text->at,
                     "%s: the expression closes a bracket that it does not open",
                     made->step->ops->block.name);
        return FRESHET_OK;
    }
    made->sql = arena_format(chain->arena, "%s%s\n) FROM %s", begin, made->of->in.sql, chain->id);
    made->before = sizeof begin - 1;
    return no_memory || made->sql == NULL ? error_memory(err, PREPROCESSING)
                                          : check_made(made, err);
}

freshet_code step_check_expression(preprocess_step *step, const declared_text *sql, step_text *out,
                                   freshet_error *err)
{
    made_sql made = {.step = step, .of = out};
    bool is_read = false;
    *out = (step_text){.text = sql};
    freshet_code code = make_table(step, err);
    if (code != FRESHET_OK)
        return code;
    code = user_text_read(&made, false, &is_read, err);
    if (code == FRESHET_OK && is_read)
        code = check_expression(&made, err);
    return drop_table(step->chain, code, err);
}

freshet_code step_plan_query(preprocess_step *step, const step_text *query, const char *from,
                             const char **out, freshet_error *err)
{
    preprocess *chain = step->chain;
    step_text of = *query;
    made_sql made = {.step = step, .of = &of, .sql = query->in.sql};
    return chain->options.plan(chain->arena, chain->options.session, query->in.sql,
                               chain->block->id.value, &step->before, from, made_sql_report, &made,
                               out, &of.used, err);
}
