/* macro_check.c - what only the SQL engine and the dialect can say of a declaration's macros.
 *
 * Whether a name is taken: a macro in the place of a function that there is would change what SQL
 * means that somebody reads. And whether its SQL is an expression at all, called or not: parameters
 * and columns count as names here, since what they are is known at a call only.
 */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "dialect/dialect.h"
#include "pipeline/pipeline.h"

#define BEFORE "SELECT (\n"

static freshet_code find_function(const freshet_pipeline *pipeline, const char *name,
                                  const char **whose, freshet_error *err)
{
    const dialect dialect = pipeline->declaration->dialect;
    bool exists = false;
    *whose = NULL;
    for (user_function *own = declaration_functions(pipeline->handle); own != NULL; own = own->next)
        if (strcasecmp(own->name, name) == 0)
            *whose = "a plugin has, or the program that runs this";
    if (*whose != NULL)
        return FRESHET_OK;
    if (dialect == DIALECT_SPARK) {
        *whose = dialect_has_function(dialect, name) ? "Spark has" : NULL;
        return FRESHET_OK;
    }
    const freshet_code code = sql_function_exists(pipeline->session, name, &exists, err);
    *whose = exists ? "there is" : NULL;
    return code;
}

static void check_syntax(const freshet_pipeline *pipeline, const macro_block *macro,
                         problems *problems)
{
    const dialect dialect = pipeline->declaration->dialect;
    sql_problem problem = {.position = -1};
    const char *json = NULL;
    size_t length = 0;
    freshet_code code = FRESHET_OK;
    if (dialect == DIALECT_SPARK) {
        code = dialect_syntax(dialect, pipeline->arena, macro->sql.value, false, &problem, NULL);
    } else {
        const char *sql = arena_format(pipeline->arena, BEFORE "%s\n)", macro->sql.value);
        code = sql == NULL ? FRESHET_OK
                           : sql_tree(pipeline->session, pipeline->arena, sql, &json, &length,
                                      &problem, NULL);
        problem.position -= problem.position < 0 ? 0 : (int64_t)strlen(BEFORE);
    }
    if (code != FRESHET_USAGE)
        return;
    place at = macro->sql.at;
    if (problem.position >= 0 && problem.position < (int64_t)strlen(macro->sql.value))
        at = declaration_place_in(pipeline->handle, &macro->sql, (size_t)problem.position);
    problem_add(problems, &at, "macro \"%s\": %s", macro->name.value, problem.text);
}

freshet_code macro_check(const freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    const declared_blocks *blocks = &pipeline->declaration->macros;
    const macro_block *macros = blocks->items;
    const uint32_t before = problems_count(problems);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < blocks->n; i++) {
        const char *whose = NULL;
        code = find_function(pipeline, macros[i].name.value, &whose, err);
        if (whose != NULL)
            problem_add(problems, &macros[i].name.at,
                        "the macro \"%s\" has the name of a function that %s: choose another name, "
                        "so that nobody takes one for the other",
                        macros[i].name.value, whose);
        check_syntax(pipeline, &macros[i], problems);
    }
    return code == FRESHET_OK && problems_count(problems) > before ? FRESHET_BAD_DECLARATION : code;
}
