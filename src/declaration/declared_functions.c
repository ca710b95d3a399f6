/* declared_functions.c - the functions in C that a declaration brings along.
 *
 * They are no part of the tree: a declaration in YAML gets them by calls, too. Here they are only
 * noted down; each pipeline gives them to its engine (functions/user_function.h).
 */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "declaration/handle.h"
#include "declaration/value.h"

#define NAME_MAX_BYTES 100u

static freshet_code refuse(freshet_error *err, const char *name, const char *why)
{
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the function \"%.100s\" %s",
                     name == NULL ? "" : name, why);
}

static bool is_name(const char *name)
{
    size_t n = name == NULL ? 0 : strspn(name, NAME_CHARACTERS);
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0' && (name[0] < '0' || name[0] > '9');
}

static bool is_type(arena *arena, const char *text)
{
    return text != NULL && type_parse(arena, text) != NULL;
}

freshet_code freshet_add_function(freshet_declaration *declaration, const char *name,
                                  const char *returns, const char *const *arguments,
                                  uint32_t n_arguments, freshet_function_fn *function,
                                  void *context, freshet_error *err)
{
    if (declaration == NULL || function == NULL)
        return refuse(err, name, "needs a declaration and a pointer to it, not NULL");
    if (!is_name(name))
        return refuse(err, name, "must be named by at most 100 letters, digits and _");
    if (n_arguments > FRESHET_ARGUMENTS_MAX)
        return refuse(err, name, "has more than 16 arguments");
    for (const user_function *other = declaration->functions; other != NULL; other = other->next)
        if (strcasecmp(other->name, name) == 0)
            return refuse(err, name, "was added already");
    arena *arena = declaration->arena;
    user_function *made = arena_zero(arena, 1, sizeof *made);
    if (made == NULL)
        return error_memory(err, "adding a function");
    *made = (user_function){.name = arena_text(arena, name),
                            .returns = arena_text(arena, returns),
                            .call = function,
                            .context = context};
    bool typed = is_type(arena, returns);
    for (uint32_t i = 0; typed && i < n_arguments; i++) {
        made->arguments[i] = arena_text(arena, arguments[i]);
        typed = is_type(arena, arguments[i]) && made->arguments[i] != NULL;
    }
    if (!typed || made->name == NULL || made->returns == NULL)
        return refuse(err, name,
                      "has a type that is none: boolean, integer, bigint, float, double, "
                      "decimal(10,2), string, binary, date, timestamp, array<...>");
    if (declaration->functions_end == NULL)
        declaration->functions_end = &declaration->functions;
    *declaration->functions_end = made;
    declaration->functions_end = &made->next;
    return FRESHET_OK;
}

user_function *declaration_functions(const freshet_declaration *handle)
{
    return handle->functions;
}
