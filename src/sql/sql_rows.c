/* sql_rows.c - rows of ours that lie in pieces, as a table function.
 *
 * As sql_input.c, but for all sessions of an engine, and over whatever pieces there are when a
 * statement runs. Only the columns that a statement needs are copied, up to 2,048 rows at a time.
 * The place of a row is made when it is asked for: doing so in SQL costs more than the rest of the
 * query that finds the newest row of each key.
 */
#include "sql/sql_internal.h"

typedef struct sql_rows {
    arena *arena;
    schema schema;
    const char *place;
    uint32_t by;
    sql_pieces_fn *pieces;
    void *context;
} sql_rows;

/* One scan by one execution. */
typedef struct rows_cursor {
    uint32_t piece;
    uint32_t done; /* rows of it */
    uint32_t n_columns;
    uint64_t columns[]; /* which column of the rows each column of the chunk is */
} rows_cursor;

/* ---- DuckDB's callbacks -------------------------------------------------------------------- */

static bool rows_add_column(duckdb_bind_info info, const char *name, duckdb_logical_type type)
{
    if (type == NULL)
        return false;
    duckdb_bind_add_result_column(info, name, type);
    duckdb_destroy_logical_type(&type);
    return true;
}

static void rows_bind(duckdb_bind_info info)
{
    const sql_rows *rows = duckdb_bind_get_extra_info(info);
    uint64_t n = 0;
    sql_piece piece;
    for (uint32_t i = 0; rows->pieces(rows->context, i, &piece); i++)
        n += piece.n;
    duckdb_bind_set_cardinality(info, n, true);
    bool good = true;
    for (uint32_t i = 0; good && i < rows->schema.n_fields; i++)
        good = rows_add_column(info, rows->schema.fields[i].name,
                               name_logical_type(rows->schema.fields[i].type));
    if (!good ||
        !rows_add_column(info, rows->place, duckdb_create_logical_type(DUCKDB_TYPE_HUGEINT)))
        duckdb_bind_set_error(info, "out of memory");
}

static void rows_init(duckdb_init_info info)
{
    const uint64_t n = duckdb_init_get_column_count(info);
    rows_cursor *cursor = calloc(1, sizeof *cursor + n * sizeof cursor->columns[0]);
    if (cursor == NULL) {
        duckdb_init_set_error(info, "out of memory");
        return;
    }
    cursor->n_columns = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++)
        cursor->columns[i] = duckdb_init_get_column_index(info, i);
    duckdb_init_set_max_threads(info, 1);
    duckdb_init_set_init_data(info, cursor, free);
}

static void put_places(const sql_rows *rows, const sql_piece *piece, uint64_t first, uint64_t n,
                       duckdb_vector vector)
{
    const column *by = &piece->rows->columns[rows->by];
    const int64_t *values = (const int64_t *)by->data + first;
    const int64_t number = piece->number + (int64_t)(first - piece->first);
    int128 *into = duckdb_vector_get_data(vector);
    for (uint64_t i = 0; i < n; i++)
        into[i] = (int128)values[i] * SQL_PLACES + number + (int64_t)i;
    if (by->valid == NULL)
        return;
    duckdb_vector_ensure_validity_writable(vector);
    uint64_t *valid = duckdb_vector_get_validity(vector);
    for (uint64_t i = 0; i < n; i++)
        if (!column_is_valid(by, first + i))
            duckdb_validity_set_row_invalid(valid, i);
}

/* Columns behind the last are asked for where a statement needs none: only how many rows there are
 * matters then. */
static bool copy_piece(const sql_rows *rows, const rows_cursor *cursor, const sql_piece *piece,
                       uint64_t n, duckdb_data_chunk chunk)
{
    const uint64_t first = (uint64_t)piece->first + cursor->done;
    bool good = true;
    for (uint32_t i = 0; good && i < cursor->n_columns; i++) {
        const uint64_t which = cursor->columns[i];
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        if (which < rows->schema.n_fields)
            good = input_copy_cells(&piece->rows->columns[which], first, n, vector, 0);
        else if (which == rows->schema.n_fields)
            put_places(rows, piece, first, n, vector);
    }
    return good;
}

static void rows_produce(duckdb_function_info info, duckdb_data_chunk chunk)
{
    const sql_rows *rows = duckdb_function_get_extra_info(info);
    rows_cursor *cursor = duckdb_function_get_init_data(info);
    sql_piece piece = {0};
    bool found = rows->pieces(rows->context, cursor->piece, &piece);
    while (found && cursor->done == piece.n) {
        cursor->done = 0;
        found = rows->pieces(rows->context, ++cursor->piece, &piece);
    }
    uint64_t n = found ? piece.n - cursor->done : 0;
    if (n > duckdb_vector_size())
        n = duckdb_vector_size();
    if (n > 0 && !copy_piece(rows, cursor, &piece, n, chunk)) {
        duckdb_function_set_error(info, "a decimal does not fit its type, or memory is out");
        return;
    }
    cursor->done += (uint32_t)n;
    duckdb_data_chunk_set_size(chunk, n);
}

static void rows_release(void *context)
{
    sql_rows *rows = context;
    arena_close(rows->arena);
    free(rows);
}

/* ---- the interface ------------------------------------------------------------------------- */

static sql_rows *rows_new(const schema *schema, const char *place, uint32_t by,
                          sql_pieces_fn *pieces, void *context)
{
    sql_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return NULL;
    rows->by = by;
    rows->pieces = pieces;
    rows->context = context;
    rows->arena = arena_open();
    if (rows->arena != NULL) {
        rows->place = arena_text(rows->arena, place);
        rows->schema = schema_keep(rows->arena, schema);
    }
    if (rows->place == NULL || rows->schema.fields == NULL) {
        rows_release(rows);
        return NULL;
    }
    return rows;
}

/* After this DuckDB owns the rows, whether it took the function or not. */
static bool register_rows(sql_session *session, sql_rows *rows, const char *name)
{
    duckdb_table_function function = duckdb_create_table_function();
    duckdb_table_function_set_name(function, name);
    duckdb_table_function_set_extra_info(function, rows, rows_release);
    duckdb_table_function_set_bind(function, rows_bind);
    duckdb_table_function_set_init(function, rows_init);
    duckdb_table_function_set_function(function, rows_produce);
    duckdb_table_function_supports_projection_pushdown(function, true);
    const duckdb_state state = duckdb_register_table_function(session->connection, function);
    duckdb_destroy_table_function(&function);
    return state == DuckDBSuccess;
}

freshet_code sql_rows_add(sql_session *session, const char *name, const schema *schema,
                          const char *place, uint32_t by, sql_pieces_fn *pieces, void *context,
                          freshet_error *err)
{
    assert(by < schema->n_fields && type_cell_size(schema->fields[by].type) == sizeof(int64_t));
    sql_rows *rows = rows_new(schema, place, by, pieces, context);
    if (rows == NULL)
        return error_memory(err, "making rows known to the SQL engine");
    return register_rows(session, rows, name)
               ? FRESHET_OK
               : error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                           "the SQL engine does not take the rows \"%s\"", name);
}
