/* sql_input.c - batches of ours as table functions.
 *
 * An input is a table function with a number of its own (names are global to an engine and cannot
 * be given back), and a temporary view of the input's name over it. DuckDB asks for the columns
 * once, when a statement is prepared (bind), makes a cursor for each execution and each mention of
 * the table in it (init: a self join has two), and then calls for up to 2,048 rows at a time
 * (produce) until there are none. Only the columns that a statement needs are asked for.
 *
 * A piece of a column is copied as it is: fixed-width cells, texts (whose bytes stay where they
 * are, in the batch) and spans by memcpy, validity as a range of bits, which need not begin at a
 * word. Elements of arrays are copied in runs: as long as the spans follow one another, one memcpy
 * moves the elements of many rows.
 *
 * The view is temporary, and the function answers to its own session only: another session of the
 * same engine, in another thread, could otherwise read a batch that is being changed.
 *
 * DuckDB owns the sql_input: it keeps the function, and frees it with the engine. sql_input_close
 * takes the view and the batch away.
 */
#include "sql/sql_internal.h"

/* What DuckDB's planner takes for the number of rows: a join with a table of fewer builds its hash
 * table from that table, one with a larger table from the batch. Measured with batches of 10,000: a
 * quarter to a half faster than without an estimate, which hashes the wide rows of the batch. */
#define ROWS_ESTIMATE 10000

struct sql_input {
    sql_session *session;
    uint64_t session_id;
    arena *arena;
    char *name;
    schema schema;
    const char *row_column;
    uint32_t reader;
    bool gives_instants;
    const batch *batch;
    uint32_t first, n;
    bool *used;
};

/* One scan of the input by one execution. */
typedef struct input_cursor {
    uint32_t done;
    uint32_t n_columns;
    uint64_t columns[]; /* which column of the input each column of the chunk is */
} input_cursor;

/* ---- copying ---- */

/* Copies n bits from bit `first` of `from` to bit `at` of `into`, leaving the others alone. */
static void copy_bits(uint64_t *into, uint64_t at, const uint64_t *from, uint64_t first, uint64_t n)
{
    while (n > 0) {
        uint64_t shift = at & 63, take = 64 - shift < n ? 64 - shift : n;
        uint64_t skip = first & 63;
        uint64_t bits = from[first >> 6] >> skip;
        if (skip != 0 && take > 64 - skip)
            bits |= from[(first >> 6) + 1] << (64 - skip);
        uint64_t mask = (take == 64 ? ~(uint64_t)0 : ((uint64_t)1 << take) - 1) << shift;
        into[at >> 6] = (into[at >> 6] & ~mask) | (bits << shift & mask);
        at += take;
        first += take;
        n -= take;
    }
}

/* The bytes of DuckDB's integer behind a decimal of that width. */
static size_t decimal_size(uint8_t width)
{
    return width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16;
}

/* Each cell of ours as an integer of that type. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type */
#define NARROW(to_type)                         \
    do {                                        \
        to_type *target = (to_type *)data + at; \
        for (uint64_t i = 0; i < n; i++) {      \
            target[i] = (to_type)from[i];       \
            fits &= target[i] == from[i];       \
        }                                       \
    } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

static bool copy_decimals(const column *column, uint64_t first, uint64_t n, void *data, uint64_t at)
{
    const int128 *from = (const int128 *)column->data + first;
    bool fits = true;
    switch (decimal_size(column->type->width)) {
    case 2: NARROW(int16_t); break;
    case 4: NARROW(int32_t); break;
    case 8: NARROW(int64_t); break;
    default: memcpy((int128 *)data + at, from, n * sizeof *from); break;
    }
    return fits;
}

/* Elements go behind those that the vector has already, in runs of neighbouring spans. */
static bool input_copy_arrays(const column *column, uint64_t first, uint64_t n,
                              duckdb_vector vector, uint64_t at)
{
    const cell_span *spans = (const cell_span *)column->data + first;
    duckdb_list_entry *entries = (duckdb_list_entry *)duckdb_vector_get_data(vector) + at;
    uint64_t end = duckdb_list_vector_get_size(vector), total = end;
    for (uint64_t i = 0; i < n; i++)
        total += spans[i].length;
    if (duckdb_list_vector_reserve(vector, total) == DuckDBError ||
        duckdb_list_vector_set_size(vector, total) == DuckDBError)
        return false;
    duckdb_vector elements = duckdb_list_vector_get_child(vector);
    uint64_t run_first = 0, run_n = 0;
    for (uint64_t i = 0; i < n; i++) {
        entries[i].offset = end + run_n;
        entries[i].length = spans[i].length;
        if (spans[i].length == 0)
            continue;
        if (run_n > 0 && spans[i].offset != run_first + run_n) {
            if (!input_copy_cells(&column->children[0], run_first, run_n, elements, end))
                return false;
            end += run_n;
            run_n = 0;
            entries[i].offset = end;
        }
        if (run_n == 0)
            run_first = spans[i].offset;
        run_n += spans[i].length;
    }
    return input_copy_cells(&column->children[0], run_first, run_n, elements, end);
}

bool input_copy_cells(const column *column, uint64_t first, uint64_t n, duckdb_vector vector,
                      uint64_t at)
{
    if (n == 0)
        return true;
    if (column->valid != NULL) {
        duckdb_vector_ensure_validity_writable(vector);
        copy_bits(duckdb_vector_get_validity(vector), at, column->valid, first, n);
    }
    switch (column->type->kind) {
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < column->type->n_fields; i++) {
            if (!input_copy_cells(&column->children[i], first, n,
                                  duckdb_struct_vector_get_child(vector, i), at))
                return false;
        }
        return true;
    case TYPE_ARRAY: return input_copy_arrays(column, first, n, vector, at);
    case TYPE_DECIMAL: return copy_decimals(column, first, n, duckdb_vector_get_data(vector), at);
    default: {
        size_t size = type_cell_size(column->type);
        memcpy((char *)duckdb_vector_get_data(vector) + at * size,
               (const char *)column->data + first * size, n * size);
        return true;
    }
    }
}

static void input_copy_rows(const sql_input *input, uint64_t first, uint64_t n, int64_t *into)
{
    const batch *batch = input->batch;
    for (uint64_t i = 0; i < n; i++)
        into[i] = (int64_t)(batch->rows != NULL ? batch->rows[first + i]
                                                : ROW_OF(input->reader, first + i));
}

/* ---- DuckDB's callbacks ---- */

static void bind(duckdb_bind_info info)
{
    const sql_input *input = duckdb_bind_get_extra_info(info);
    duckdb_client_context context;
    duckdb_table_function_get_client_context(info, &context);
    uint64_t id = duckdb_client_context_get_connection_id(context);
    duckdb_destroy_client_context(&context);
    if (id != input->session_id) {
        duckdb_bind_set_error(info, "an input can be read by its own session only");
        return;
    }
    duckdb_bind_set_cardinality(info, ROWS_ESTIMATE, false);
    uint32_t n = input->schema.n_fields;
    for (uint32_t i = 0; i <= n; i++) {
        if (i == n && input->row_column == NULL)
            break;
        const char *name = i == n ? input->row_column : input->schema.fields[i].name;
        duckdb_logical_type type = i == n ? duckdb_create_logical_type(DUCKDB_TYPE_BIGINT)
                                   : input->gives_instants
                                       ? name_instant_type(input->schema.fields[i].type)
                                       : name_logical_type(input->schema.fields[i].type);
        if (type == NULL) {
            duckdb_bind_set_error(info, "out of memory");
            return;
        }
        duckdb_bind_add_result_column(info, name, type);
        duckdb_destroy_logical_type(&type);
    }
}

static void init(duckdb_init_info info)
{
    sql_input *input = duckdb_init_get_extra_info(info);
    uint64_t n = duckdb_init_get_column_count(info);
    input_cursor *cursor = malloc(sizeof *cursor + n * sizeof cursor->columns[0]);
    if (cursor == NULL) {
        duckdb_init_set_error(info, "out of memory");
        return;
    }
    cursor->done = 0;
    cursor->n_columns = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        cursor->columns[i] = duckdb_init_get_column_index(info, i);
        if (cursor->columns[i] < input->schema.n_fields)
            input->used[cursor->columns[i]] = true;
    }
    duckdb_init_set_max_threads(info, 1);
    duckdb_init_set_init_data(info, cursor, free);
}

static void produce(duckdb_function_info info, duckdb_data_chunk chunk)
{
    const sql_input *input = duckdb_function_get_extra_info(info);
    input_cursor *cursor = duckdb_function_get_init_data(info);
    uint64_t n = input->batch == NULL ? 0 : input->n - cursor->done;
    if (n > duckdb_vector_size())
        n = duckdb_vector_size();
    uint64_t first = (uint64_t)input->first + cursor->done;
    for (uint32_t i = 0; n > 0 && i < cursor->n_columns; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        uint64_t which = cursor->columns[i];
        if (which < input->schema.n_fields) {
            if (!input_copy_cells(&input->batch->columns[which], first, n, vector, 0)) {
                duckdb_function_set_error(info,
                                          "a decimal does not fit its type, or memory is out");
                return;
            }
        } else if (which == input->schema.n_fields && input->row_column != NULL) {
            input_copy_rows(input, first, n, duckdb_vector_get_data(vector));
        }
    }
    cursor->done += (uint32_t)n;
    duckdb_data_chunk_set_size(chunk, n);
}

static void release(void *context)
{
    sql_input *input = context;
    arena_close(input->arena);
    free(input);
}

/* ---- the interface ---- */

static sql_input *input_new(sql_session *session, const char *name, const schema *schema,
                            const char *row_column, uint32_t reader)
{
    sql_input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return NULL;
    input->session = session;
    input->session_id = session->id;
    input->reader = reader;
    input->arena = arena_open();
    if (input->arena != NULL) {
        input->name = arena_text(input->arena, name);
        input->row_column = arena_text(input->arena, row_column);
        input->schema = schema_keep(input->arena, schema);
        input->used = arena_zero(input->arena, schema->n_fields, sizeof *input->used);
    }
    if (input->arena == NULL || input->name == NULL || input->used == NULL ||
        (row_column != NULL && input->row_column == NULL) ||
        (schema->n_fields > 0 && input->schema.fields == NULL)) {
        release(input);
        return NULL;
    }
    return input;
}

/* After this DuckDB owns the input, whether it took the function or not. */
static bool register_function(sql_input *input, const char *name)
{
    duckdb_table_function function = duckdb_create_table_function();
    duckdb_table_function_set_name(function, name);
    duckdb_table_function_set_extra_info(function, input, release);
    duckdb_table_function_set_bind(function, bind);
    duckdb_table_function_set_init(function, init);
    duckdb_table_function_set_function(function, produce);
    duckdb_table_function_supports_projection_pushdown(function, true);
    duckdb_state state = duckdb_register_table_function(input->session->connection, function);
    duckdb_destroy_table_function(&function);
    return state == DuckDBSuccess;
}

/* Takes the input over. */
static freshet_code input_add(sql_session *session, const char *name, sql_input *input,
                              sql_input **out, freshet_error *err)
{
    if (input == NULL)
        return error_memory(err, "making an input of the SQL engine");
    char function[40];
    snprintf(function, sizeof function, "__freshet_input_%u",
             atomic_fetch_add(&session->engine->n_inputs, 1));
    if (!register_function(input, function))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                         "the SQL engine does not take the input \"%s\"", name);
    const char *quoted = sql_quote(input->arena, name);
    const char *sql =
        quoted == NULL
            ? NULL
            : arena_format(input->arena, "CREATE TEMPORARY VIEW %s AS SELECT * FROM %s()", quoted,
                           function);
    if (sql == NULL)
        return error_memory(err, "making an input of the SQL engine");
    freshet_code code = sql_execute(session, sql, NULL, err);
    if (code == FRESHET_OK)
        *out = input;
    return code;
}

freshet_code sql_input_add(sql_session *session, const char *name, const schema *schema,
                           const char *row_column, uint32_t reader, sql_input **out,
                           freshet_error *err)
{
    sql_input *input = input_new(session, name, schema, row_column, reader);
    return input_add(session, name, input, out, err);
}

freshet_code sql_input_add_instants(sql_session *session, const char *name, const schema *schema,
                                    sql_input **out, freshet_error *err)
{
    sql_input *input = input_new(session, name, schema, NULL, 0);
    if (input != NULL)
        input->gives_instants = true;
    return input_add(session, name, input, out, err);
}

void sql_input_close(sql_input *input)
{
    if (input == NULL)
        return;
    input->batch = NULL;
    const char *quoted = sql_quote(input->arena, input->name);
    const char *sql =
        quoted == NULL ? NULL : arena_format(input->arena, "DROP VIEW IF EXISTS temp.%s", quoted);
    if (sql != NULL)
        sql_execute(input->session, sql, NULL, NULL);
}

void sql_input_set(sql_input *input, const batch *batch, uint32_t first, uint32_t n)
{
    assert(batch == NULL || (uint64_t)first + n <= batch->n_rows);
    input->batch = batch;
    input->first = first;
    input->n = n;
}

void sql_input_used(const sql_input *input, bool *used)
{
    for (uint32_t i = 0; i < input->schema.n_fields; i++) {
        used[i] |= input->used[i];
        input->used[i] = false;
    }
}
