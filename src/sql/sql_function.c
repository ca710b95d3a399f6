/* sql_function.c - functions of ours in SQL.
 *
 * DuckDB calls a function with a chunk of up to 2,048 rows. Its vectors are copied into columns of
 * ours as the result of a query is (sql_result.c), the function fills one column, and that is
 * copied into DuckDB's vector as an input is (sql_input.c). One thing differs from an input: the
 * column lives no longer than the call, so long texts are then given into DuckDB's own heap.
 *
 * An argument declared as "any" comes with whatever type the expression has: then how each argument
 * becomes a column of ours is worked out when a statement binds the call, and kept as the call's
 * bind data, which DuckDB copies with the expression (hence counted).
 *
 * An argument that is a constant text is shown to `check` when a statement is prepared, so that a
 * mask that is none is found by `freshet check` and not row by row.
 *
 * DuckDB owns the function and frees it with the engine. It takes a second function of the same
 * name and types without a word, and keeps the first: hence sql_function_exists.
 */
#include "sql/sql_internal.h"

#include <stdlib.h>
#include <strings.h>

#define MAKING "making a function of the SQL engine"

typedef struct signature {
    schema arguments;
    result_column *plans; /* how each argument becomes a column of ours */
} signature;

typedef struct function {
    arena *arena;
    sql_function is;
    signature signature; /* of the declared arguments; unused where one is any */
    const type *returns;
    bool has_any;
} function;

/* The arguments of one call of a function that takes any. */
typedef struct bound {
    atomic_uint uses;
    arena *arena;
    signature signature;
} bound;

/* ---- DuckDB's callbacks ---- */

/* The text of argument i where it is a constant, to be freed by duckdb_free; else NULL. What cannot
 * be computed fails with its own message when it is run. */
static char *constant_text(duckdb_bind_info info, duckdb_client_context context, uint32_t i)
{
    duckdb_expression expression = duckdb_scalar_function_bind_get_argument(info, i);
    duckdb_value value = NULL;
    duckdb_error_data problem = NULL;
    char *text = NULL;
    if (duckdb_expression_is_foldable(expression))
        problem = duckdb_expression_fold(context, expression, &value);
    if (value != NULL && !duckdb_is_null_value(value) &&
        duckdb_get_type_id(duckdb_get_value_type(value)) == DUCKDB_TYPE_VARCHAR)
        text = duckdb_get_varchar(value);
    duckdb_destroy_error_data(&problem);
    duckdb_destroy_value(&value);
    duckdb_destroy_expression(&expression);
    return text;
}

static freshet_code check_constants(const function *function, duckdb_bind_info info,
                                    freshet_error *err)
{
    char *constants[SQL_ARGUMENTS_MAX] = {NULL};
    duckdb_client_context context;
    duckdb_scalar_function_get_client_context(info, &context);
    uint32_t n = (uint32_t)duckdb_scalar_function_bind_get_argument_count(info);
    for (uint32_t i = 0; i < n && i < SQL_ARGUMENTS_MAX; i++)
        constants[i] = constant_text(info, context, i);
    freshet_code code = function->is.check((const char *const *)constants, err);
    for (uint32_t i = 0; i < SQL_ARGUMENTS_MAX; i++)
        duckdb_free(constants[i]);
    duckdb_destroy_client_context(&context);
    return code;
}

static void bound_release(void *data)
{
    bound *bound = data;
    if (atomic_fetch_sub(&bound->uses, 1) == 1)
        arena_close(bound->arena);
}

static void *bound_copy(void *data)
{
    atomic_fetch_add(&((bound *)data)->uses, 1);
    return data;
}

static freshet_code plan_call(duckdb_bind_info info, bound *bound, freshet_error *err)
{
    uint32_t n = (uint32_t)duckdb_scalar_function_bind_get_argument_count(info);
    field *fields = arena_zero(bound->arena, n, sizeof *fields);
    bound->signature.plans = arena_zero(bound->arena, n, sizeof *bound->signature.plans);
    if (fields == NULL || bound->signature.plans == NULL)
        return error_memory(err, MAKING);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        duckdb_expression expression = duckdb_scalar_function_bind_get_argument(info, i);
        duckdb_logical_type type = duckdb_expression_return_type(expression);
        fields[i].name = "argument";
        code = result_plan(bound->arena, "argument", type, &bound->signature.plans[i], err);
        fields[i].type = bound->signature.plans[i].type;
        duckdb_destroy_logical_type(&type);
        duckdb_destroy_expression(&expression);
    }
    bound->signature.arguments = (schema){n, fields};
    return code;
}

static freshet_code bind_call(duckdb_bind_info info, freshet_error *err)
{
    arena *arena = arena_open();
    bound *bound = arena == NULL ? NULL : arena_zero(arena, 1, sizeof *bound);
    if (bound == NULL) {
        arena_close(arena);
        return error_memory(err, MAKING);
    }
    bound->arena = arena;
    atomic_init(&bound->uses, 1);
    freshet_code code = plan_call(info, bound, err);
    if (code != FRESHET_OK) {
        arena_close(arena);
        return code;
    }
    duckdb_scalar_function_set_bind_data(info, bound, bound_release);
    duckdb_scalar_function_set_bind_data_copy(info, bound_copy);
    return FRESHET_OK;
}

static void bind(duckdb_bind_info info)
{
    const function *function = duckdb_scalar_function_bind_get_extra_info(info);
    freshet_error err = {0};
    freshet_code code = FRESHET_OK;
    if (function->is.check != NULL)
        code = check_constants(function, info, &err);
    if (code == FRESHET_OK && function->has_any)
        code = bind_call(info, &err);
    if (code != FRESHET_OK)
        duckdb_scalar_function_bind_set_error(info, err.text);
}

static freshet_code take_arguments(const signature *signature, duckdb_data_chunk chunk, batch *into,
                                   freshet_error *err)
{
    uint32_t n = (uint32_t)duckdb_data_chunk_get_size(chunk);
    freshet_code code = batch_init(into, into->arena, &signature->arguments, n, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < signature->arguments.n_fields; i++)
        code = result_copy(into->arena, &signature->plans[i],
                           duckdb_data_chunk_get_vector(chunk, i), n, &into->columns[i], 0, err);
    into->n_rows = n;
    return code;
}

/* Makes DuckDB's heap the owner of the texts that the n cells of the vector point to. */
static void own_texts(duckdb_vector vector, const type *type, uint64_t n)
{
    switch (type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY:
        for (uint64_t i = 0; i < n; i++) {
            cell_text text = ((const cell_text *)duckdb_vector_get_data(vector))[i];
            if (text.length > TEXT_INLINE_MAX)
                duckdb_unsafe_vector_assign_string_element_len(vector, i, text_bytes(&text),
                                                               text.length);
        }
        break;
    case TYPE_ARRAY:
        own_texts(duckdb_list_vector_get_child(vector), type->fields[0].type,
                  duckdb_list_vector_get_size(vector));
        break;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < type->n_fields; i++)
            own_texts(duckdb_struct_vector_get_child(vector, i), type->fields[i].type, n);
        break;
    default: break;
    }
}

/* DuckDB does so by itself for constants only. */
static bool spread_nulls(const batch *arguments, column *result)
{
    bool done = true;
    for (uint32_t i = 0; i < arguments->schema.n_fields; i++) {
        const column *argument = &arguments->columns[i];
        for (uint32_t row = 0; argument->valid != NULL && row < arguments->n_rows; row++)
            if (!column_is_valid(argument, row))
                done &= column_set_null(arguments->arena, result, row);
    }
    return done;
}

static freshet_code run(const function *function, const signature *signature, arena *arena,
                        duckdb_data_chunk chunk, duckdb_vector vector, freshet_error *err)
{
    batch arguments = {.arena = arena};
    column result;
    freshet_code code = take_arguments(signature, chunk, &arguments, err);
    if (code == FRESHET_OK)
        code = column_init(arena, &result, function->returns, arguments.n_rows, err);
    if (code == FRESHET_OK)
        code = function->is.call(function->is.context, &arguments, &result, err);
    if (code != FRESHET_OK)
        return code;
    if ((!function->is.takes_nulls && !spread_nulls(&arguments, &result)) ||
        !input_copy_cells(&result, 0, arguments.n_rows, vector, 0))
        return error_memory(err, "taking the result of a function");
    own_texts(vector, function->returns, arguments.n_rows);
    return FRESHET_OK;
}

static void call(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector vector)
{
    const function *function = duckdb_scalar_function_get_extra_info(info);
    const signature *signature =
        function->has_any ? &((bound *)duckdb_scalar_function_get_bind_data(info))->signature
                          : &function->signature;
    freshet_error err = {.code = FRESHET_OK};
    arena *arena = arena_open();
    freshet_code code = arena == NULL ? error_memory(&err, "calling a function")
                                      : run(function, signature, arena, chunk, vector, &err);
    if (code != FRESHET_OK) {
        char text[sizeof err.text + sizeof PROBLEM_STOP];
        snprintf(text, sizeof text, "%s%s", err.then == FRESHET_SKIP_ROW ? "" : PROBLEM_STOP,
                 err.text);
        duckdb_scalar_function_set_error(info, text);
    }
    arena_close(arena);
}

static void function_release(void *context)
{
    function *function = context;
    if (function->is.release != NULL)
        function->is.release(function->is.context);
    arena_close(function->arena);
}

/* ---- the interface ---- */

static freshet_code plan_argument(function *function, field *field, const char *type_text,
                                  result_column *into, freshet_error *err)
{
    field->name = type_text;
    if (strcmp(type_text, SQL_ANY) == 0) {
        function->has_any = true;
        return FRESHET_OK;
    }
    field->type = type_parse(function->arena, type_text);
    duckdb_logical_type logical = field->type == NULL ? NULL : name_logical_type(field->type);
    freshet_code code = logical == NULL
                            ? error_memory(err, MAKING)
                            : result_plan(function->arena, type_text, logical, into, err);
    duckdb_destroy_logical_type(&logical);
    return code;
}

static freshet_code function_new(const sql_function *from, function **out, freshet_error *err)
{
    arena *arena = arena_open();
    function *function = arena == NULL ? NULL : arena_zero(arena, 1, sizeof *function);
    if (function == NULL) {
        arena_close(arena);
        return error_memory(err, MAKING);
    }
    *function = (struct function){.arena = arena, .is = *from};
    field *fields = arena_zero(arena, SQL_ARGUMENTS_MAX, sizeof *fields);
    result_column *plans = arena_zero(arena, SQL_ARGUMENTS_MAX, sizeof *plans);
    function->returns = type_parse(arena, from->returns);
    if (fields == NULL || plans == NULL || function->returns == NULL) {
        arena_close(arena);
        return error_memory(err, MAKING);
    }
    freshet_code code = FRESHET_OK;
    uint32_t n = 0;
    for (; code == FRESHET_OK && n < SQL_ARGUMENTS_MAX && from->arguments[n] != NULL; n++)
        code = plan_argument(function, &fields[n], from->arguments[n], &plans[n], err);
    function->signature = (signature){{n, fields}, plans};
    if (code == FRESHET_OK)
        *out = function;
    else
        arena_close(arena);
    return code;
}

/* After this DuckDB owns the function, whether it took it or not. */
static bool register_function(sql_session *session, function *function)
{
    duckdb_scalar_function made = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(made, function->is.name);
    duckdb_scalar_function_set_extra_info(made, function, function_release);
    for (uint32_t i = 0; i < function->signature.arguments.n_fields; i++) {
        const type *type = function->signature.arguments.fields[i].type;
        duckdb_logical_type argument =
            type == NULL ? duckdb_create_logical_type(DUCKDB_TYPE_ANY) : name_logical_type(type);
        if (function->is.is_variadic && i + 1 == function->signature.arguments.n_fields)
            duckdb_scalar_function_set_varargs(made, argument);
        else
            duckdb_scalar_function_add_parameter(made, argument);
        duckdb_destroy_logical_type(&argument);
    }
    duckdb_logical_type returns = name_logical_type(function->returns);
    duckdb_scalar_function_set_return_type(made, returns);
    duckdb_destroy_logical_type(&returns);
    if (function->is.takes_nulls)
        duckdb_scalar_function_set_special_handling(made);
    if (function->is.is_volatile)
        duckdb_scalar_function_set_volatile(made);
    if (function->is.check != NULL || function->has_any)
        duckdb_scalar_function_set_bind(made, bind);
    duckdb_scalar_function_set_function(made, call);
    duckdb_state state = duckdb_register_scalar_function(session->connection, made);
    duckdb_destroy_scalar_function(&made);
    return state == DuckDBSuccess;
}

freshet_code sql_function_exists(sql_session *session, const char *name, bool *exists,
                                 freshet_error *err)
{
    arena *scratch = arena_open();
    const char *literal = scratch == NULL ? NULL : sql_literal(scratch, name);
    const char *sql = literal == NULL ? NULL
                                      : arena_format(scratch,
                                                     "SELECT 1 FROM duckdb_functions() WHERE "
                                                     "lower(function_name) = lower(%s) LIMIT 1",
                                                     literal);
    sql_statement *statement = NULL;
    batch rows = {.n_rows = 0};
    sql_make_fn *make = atomic_exchange(&session->engine->make_later, NULL);
    freshet_code code = sql == NULL ? error_memory(err, MAKING) : FRESHET_OK;
    if (code == FRESHET_OK && make != NULL) /* its names are taken, too */
        code = make(session, err);
    if (code == FRESHET_OK)
        code = sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, scratch, &rows, err);
    *exists = rows.n_rows > 0;
    sql_statement_close(statement);
    arena_close(scratch);
    return code;
}

void sql_make_later(sql_session *session, sql_make_fn *make)
{
    atomic_store(&session->engine->make_later, make);
}

bool sql_function_is_brought(const sql_session *session, const char *name)
{
    const brought *one = session->engine->brought;
    while (one != NULL && strcasecmp(one->name, name) != 0)
        one = one->next;
    return one != NULL;
}

static freshet_code note_brought(sql_engine *engine, const char *name, freshet_error *err)
{
    brought *made = malloc(sizeof *made);
    if (made == NULL)
        return error_memory(err, MAKING);
    *made = (brought){engine->brought, name};
    engine->brought = made;
    return FRESHET_OK;
}

freshet_code sql_function_add(sql_session *session, const sql_function *from, freshet_error *err)
{
    function *function = NULL;
    freshet_code code =
        from->is_brought ? note_brought(session->engine, from->name, err) : FRESHET_OK;
    if (code == FRESHET_OK)
        code = function_new(from, &function, err);
    if (code != FRESHET_OK) {
        if (from->release != NULL)
            from->release(from->context);
        return code;
    }
    if (register_function(session, function))
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                     "the SQL engine does not take the function \"%s\"", from->name);
}
