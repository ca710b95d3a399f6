/* syntax.c - the grammar of the SQL in a declaration that has other mistakes.
 *
 * Such a declaration is not opened, so its query and expressions would be looked at only after
 * those mistakes are mended. What can be said of them without readers and columns is said here:
 * whether they are SQL at all, and of expressions, what is refused in every one. Anything else
 * would be a guess, since a mistaken reader has no columns yet.
 *
 * The caller reports a broken declaration in any case: an engine that cannot be opened (no memory)
 * only leaves this part out.
 */
#include "dialect/dialect.h"
#include "features/expression.h"
#include "pipeline/pipeline.h"
#include "source/query_plan.h"

#define SYNTAX_MEMORY_BYTES ((int64_t)256 << 20)

typedef struct syntax {
    const freshet_declaration *handle;
    const declared_text *text; /* that is being checked */
    dialect dialect;
    problems *problems;
    sql_session *session;
    arena *arena;
} syntax;

static void syntax_report(void *context, int64_t position, const char *text)
{
    syntax *syntax = context;
    place at = syntax->text->at;
    if (position >= 0)
        at = declaration_place_in(syntax->handle, syntax->text, (size_t)position);
    problem_add(syntax->problems, &at, "%s", text);
}

/* Of a text in another dialect than DuckDB only whether it is one. `who`: the feature; or NULL. */
static void syntax_check_dialect(syntax *syntax, const char *who, bool is_query)
{
    sql_problem problem = {.position = -1};
    if (dialect_syntax(syntax->dialect, syntax->arena, syntax->text->value, is_query, &problem,
                       NULL) != FRESHET_USAGE)
        return;
    const char *text = who == NULL
                           ? problem.text
                           : arena_format(syntax->arena, "feature \"%s\": %s", who, problem.text);
    if (text != NULL)
        syntax_report(syntax, problem.position, text);
}

static void syntax_check_query(syntax *syntax, const declared_text *query)
{
    syntax->text = query;
    if (query->value != NULL && syntax->dialect != DIALECT_DUCKDB)
        syntax_check_dialect(syntax, NULL, true);
    else if (query->value != NULL)
        plan_check_syntax(syntax->arena, syntax->session, query->value, syntax_report, syntax,
                          NULL);
}

static void syntax_check_feature(syntax *syntax, const feature_block *feature)
{
    expression expression;
    sql_problem problem;
    syntax->text = &feature->sql;
    if (syntax->dialect != DIALECT_DUCKDB) {
        if (feature->sql.value != NULL && feature->name.value != NULL)
            syntax_check_dialect(syntax, feature->name.value, false);
        return;
    }
    if (feature->sql.value == NULL || feature->name.value == NULL ||
        expression_read(syntax->session, syntax->arena, feature->sql.value, &expression, &problem,
                        NULL) != FRESHET_USAGE)
        return;
    const char *text =
        arena_format(syntax->arena, "feature \"%s\": %s", feature->name.value, problem.text);
    if (text != NULL)
        syntax_report(syntax, problem.position, text);
}

void syntax_check(const freshet_declaration *handle, const declaration *parsed, problems *problems)
{
    const sql_options options = {.threads = 1, .memory = SYNTAX_MEMORY_BYTES};
    syntax syntax = {
        .handle = handle, .dialect = parsed->dialect, .problems = problems, .arena = arena_open()};
    sql_engine *engine = NULL;
    if (syntax.arena != NULL && sql_open(&options, &engine, NULL) == FRESHET_OK &&
        sql_session_open(engine, &syntax.session, NULL) == FRESHET_OK) {
        const declared_blocks *features = &parsed->feature_set.features;
        syntax_check_query(&syntax, &parsed->source.query);
        for (uint32_t i = 0; i < features->n; i++)
            syntax_check_feature(&syntax, &((const feature_block *)features->items)[i]);
    }
    sql_session_close(syntax.session);
    sql_close(engine);
    arena_close(syntax.arena);
}
