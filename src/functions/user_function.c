/* user_function.c - see user_function.h.
 *
 * A call gives the arguments away as Arrow structs that own their memory, and copies what comes
 * back. Whatever the function did, each struct that still has a `release` is released once.
 */
#include "functions/user_function.h"

#include <assert.h>

#include "base/arrow.h"
#include "base/error.h"
#include "functions/functions.h"

static_assert(FRESHET_ARGUMENTS_MAX == SQL_ARGUMENTS_MAX, "the public limit is the engine's");

/* What one call hands over in both directions. */
typedef struct exchange {
    struct ArrowSchema types, result_type;
    struct ArrowArray arguments, result;
} exchange;

static void exchange_release(exchange *with)
{
    struct ArrowSchema *const schemas[] = {&with->types, &with->result_type};
    struct ArrowArray *const arrays[] = {&with->arguments, &with->result};
    for (int i = 0; i < 2; i++) {
        if (arrays[i]->release != NULL)
            arrays[i]->release(arrays[i]);
        if (schemas[i]->release != NULL)
            schemas[i]->release(schemas[i]);
    }
}

static freshet_code refuse_result(const user_function *function, const char *what,
                                  freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the function \"%s\" gave %s",
                     function->name, what);
}

/* The schema of the result is the declared type's, whether the function says so or not. */
static freshet_code check_type(const user_function *function, arena *arena, exchange *with,
                               const type *declared, freshet_error *err)
{
    const type *given;
    freshet_error problem;
    if (with->result_type.release == NULL)
        return arrow_give_type(declared, "", &with->result_type, err);
    if (arrow_take_type(arena, &with->result_type, &given, &problem) != FRESHET_OK)
        return refuse_result(function, problem.text, err);
    if (type_equal(given, declared))
        return FRESHET_OK;
    const char *what = arena_format(arena, "%s, and %s is declared", type_name(arena, given),
                                    type_name(arena, declared));
    return what == NULL ? error_memory(err, "calling a function")
                        : refuse_result(function, what, err);
}

static freshet_code take_result(const user_function *function, const batch *arguments,
                                exchange *with, column *into, freshet_error *err)
{
    if (with->result.release == NULL)
        return refuse_result(function, "no result", err);
    if (with->result.length != arguments->n_rows) {
        const char *what = arena_format(arguments->arena, "%lld rows for %u",
                                        (long long)with->result.length, arguments->n_rows);
        return what == NULL ? error_memory(err, "calling a function")
                            : refuse_result(function, what, err);
    }
    freshet_code code = check_type(function, arguments->arena, with, into->type, err);
    if (code != FRESHET_OK)
        return code;
    freshet_error problem;
    code = arrow_take(arguments->arena, &with->result_type, &with->result, into, &problem);
    if (code == FRESHET_USAGE)
        return refuse_result(function, problem.text, err);
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code call_user(void *context, const batch *arguments, column *result,
                              freshet_error *err)
{
    const user_function *function = context;
    exchange with = {.types = {.release = NULL}};
    freshet_error problem = {.then = FRESHET_SKIP_ROW};
    freshet_code code = arrow_give_batch_type(&arguments->schema, &with.types, err);
    if (code == FRESHET_OK)
        code = arrow_give_batch(arguments, &with.arguments, err);
    if (code == FRESHET_OK) {
        code = function->call(function->context, &with.types, &with.arguments, &with.result_type,
                              &with.result, &problem);
        problem.text[sizeof problem.text - 1] = '\0';
        code = code == FRESHET_OK
                   ? take_result(function, arguments, &with, result, err)
                   : error_set(err, FRESHET_FAILED, problem.then, NULL, "the function \"%s\" %s%s",
                               function->name,
                               problem.text[0] == '\0' ? "failed" : "failed: ", problem.text);
    }
    exchange_release(&with);
    return code;
}

freshet_code user_function_add(sql_session *session, user_function *function, freshet_error *err)
{
    bool exists;
    freshet_code code = sql_function_exists(session, function->name, &exists, err);
    if (code == FRESHET_OK && (exists || functions_has_macro(function->name)))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "SQL has a function \"%s\" already: give yours another name",
                         function->name);
    sql_function made = {.name = function->name,
                         .returns = function->returns,
                         .call = call_user,
                         .takes_nulls = true,
                         .is_brought = true,
                         .context = function};
    for (uint32_t i = 0; i < SQL_ARGUMENTS_MAX; i++)
        made.arguments[i] = function->arguments[i];
    return code == FRESHET_OK ? sql_function_add(session, &made, err) : code;
}
