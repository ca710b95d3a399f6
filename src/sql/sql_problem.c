/* sql_problem.c - DuckDB's errors as errors of ours.
 *
 * The engine is opened with errors_as_json, so a message is an object with `exception_message` and
 * (where DuckDB knows it) `position`, a byte offset in the SQL text; some kinds of error have the
 * words "Parser Error: " in front of the object. A message of any other form is taken as it is.
 *
 * What the caller should do follows from DuckDB's kind of error: a value that does not convert or
 * overflows is the row's fault (SKIP_ROW), a transaction in the way passes (RETRY), memory and
 * interrupts are limits, and the rest stops the run.
 */
#include <yyjson.h>

#include "sql/sql_internal.h"

/* Copies a message as one line, cut at a UTF-8 boundary where it is too long. */
static void take_line(const char *message, size_t length, char *into, size_t size)
{
    if (length > size - 1) {
        length = size - 1;
        while (length > 0 && ((unsigned char)message[length] & 0xC0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++)
        into[i] = message[i];
    while (length > 0 && (into[length - 1] == '\n' || into[length - 1] == ' '))
        length--;
    into[length] = '\0';
    for (char *c = into; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
    }
}

/* DuckDB shows the CSV line first, which would take all the room where it is too long. */
static const char *cause_of(const char *message)
{
    const char *cause = strstr(message, "CSV Error on Line: ");
    cause = cause == NULL ? NULL : strstr(cause, "\n" SQL_CSV_LONG);
    return cause == NULL ? message : cause + 1;
}

static int64_t take_position(yyjson_val *object)
{
    const char *digits = yyjson_get_str(yyjson_obj_get(object, "position"));
    if (digits == NULL || *digits < '0' || *digits > '9')
        return -1;
    return strtoll(digits, NULL, 10);
}

void problem_read(const char *message, sql_problem *problem)
{
    problem->position = -1;
    if (message == NULL)
        message = "the SQL engine failed and gave no reason";
    const char *object = strchr(message, '{');
    yyjson_doc *document =
        object == NULL ? NULL : yyjson_read(object, strlen(object), YYJSON_READ_STOP_WHEN_DONE);
    yyjson_val *root = yyjson_doc_get_root(document);
    yyjson_val *text = yyjson_obj_get(root, "exception_message");
    if (yyjson_is_str(text)) {
        problem->position = take_position(root);
        const char *cause = cause_of(yyjson_get_str(text));
        take_line(cause, strlen(cause), problem->text, sizeof problem->text);
    } else {
        take_line(message, strlen(message), problem->text, sizeof problem->text);
    }
    yyjson_doc_free(document);
}

freshet_code problem_usage(const char *message, sql_problem *problem, freshet_error *err)
{
    sql_problem own;
    if (problem == NULL)
        problem = &own;
    problem_read(message, problem);
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", problem->text);
}

freshet_code problem_of_result(duckdb_result *result, freshet_error *err)
{
    sql_problem problem;
    problem_read(duckdb_result_error(result), &problem);
    if (problem.text[0] == PROBLEM_STOP[0])
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "%s", problem.text + 1);
    switch (duckdb_result_error_type(result)) {
    case DUCKDB_ERROR_CONVERSION:
    case DUCKDB_ERROR_OUT_OF_RANGE:
    case DUCKDB_ERROR_INVALID_INPUT:
    case DUCKDB_ERROR_DIVIDE_BY_ZERO:
    case DUCKDB_ERROR_DECIMAL:
    case DUCKDB_ERROR_MISMATCH_TYPE:
    case DUCKDB_ERROR_INVALID_TYPE:
    case DUCKDB_ERROR_OBJECT_SIZE:
    case DUCKDB_ERROR_SYNTAX:
    case DUCKDB_ERROR_SEQUENCE:
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL, "%s", problem.text);
    case DUCKDB_ERROR_INTERRUPT:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL, "the query was interrupted");
    case DUCKDB_ERROR_OUT_OF_MEMORY:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query needs more memory than the SQL engine may use: %s",
                         problem.text);
    case DUCKDB_ERROR_TRANSACTION:
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "%s", problem.text);
    default: return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "%s", problem.text);
    }
}

freshet_code problem_unless_done(duckdb_state state, duckdb_result *result, int64_t *changed,
                                 freshet_error *err)
{
    freshet_code code = state == DuckDBError ? problem_of_result(result, err) : FRESHET_OK;
    if (code == FRESHET_OK && changed != NULL)
        *changed = (int64_t)duckdb_rows_changed(result);
    duckdb_destroy_result(result);
    return code;
}
