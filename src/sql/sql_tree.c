/* sql_tree.c - syntax trees of SQL texts, as DuckDB's JSON.
 *
 * The text goes in as a bound parameter, so it is never part of a statement of ours. DuckDB says
 * what is wrong with a text inside the JSON that it gives ("error": true), not by failing.
 */
#include <yyjson.h>

#include "sql/sql_internal.h"

freshet_code tree_ask(sql_session *session, arena *arena, const char *statement, const char *text,
                      size_t length, const char **answer, size_t *answer_length, freshet_error *err)
{
    duckdb_prepared_statement prepared = NULL;
    freshet_code code = FRESHET_OK;
    if (duckdb_prepare(session->connection, statement, &prepared) == DuckDBError ||
        duckdb_bind_varchar_length(prepared, 1, text, length) == DuckDBError)
        code = problem_usage(duckdb_prepare_error(prepared), NULL, err);
    duckdb_result result = {0};
    if (code == FRESHET_OK && duckdb_execute_prepared(prepared, &result) == DuckDBError)
        code = problem_usage(duckdb_result_error(&result), NULL, err);
    duckdb_data_chunk chunk = code == FRESHET_OK ? duckdb_fetch_chunk(result) : NULL;
    if (chunk != NULL) {
        cell_text *cell = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
        *answer = arena_copy(arena, text_bytes(cell), cell->length);
        *answer_length = cell->length;
        if (*answer == NULL)
            code = error_memory(err, "reading a query's syntax tree");
    } else if (code == FRESHET_OK) {
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the SQL engine gave no syntax tree");
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    duckdb_destroy_prepare(&prepared);
    return code;
}

/* {"error":true,"error_type":"parser","error_message":"...","position":"6"} */
static freshet_code tree_check(const char *sql, const char *json, size_t length,
                               sql_problem *problem, freshet_error *err)
{
    sql_problem own;
    if (problem == NULL)
        problem = &own;
    yyjson_doc *document = yyjson_read(json, length, SQL_TREE_READ);
    yyjson_val *root = yyjson_doc_get_root(document);
    freshet_code code = FRESHET_OK;
    if (root == NULL) {
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the SQL engine gave a syntax tree that cannot be read");
    } else if (yyjson_is_true(yyjson_obj_get(root, "error"))) {
        const char *position = yyjson_get_str(yyjson_obj_get(root, "position"));
        const char *message = yyjson_get_str(yyjson_obj_get(root, "error_message"));
        problem_read(message, problem);
        if (position != NULL && problem->position < 0)
            problem->position = strtoll(position, NULL, 10);
        problem_hint(sql, problem);
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", problem->text);
    }
    yyjson_doc_free(document);
    return code;
}

freshet_code sql_tree(sql_session *session, arena *arena, const char *sql, const char **json,
                      size_t *length, sql_problem *problem, freshet_error *err)
{
    freshet_code code = tree_ask(session, arena, "SELECT json_serialize_sql($1::VARCHAR)::VARCHAR",
                                 sql, strlen(sql), json, length, err);
    return code == FRESHET_OK ? tree_check(sql, *json, *length, problem, err) : code;
}
