#!/usr/bin/env bash
#
# A scalar function that is added to DuckDB 1.5.6 through its C API, with the default handling of nulls ("the result is null
# where an argument is"): that holds for an argument that is a constant. For a column the function is called with the null
# rows among the others, and what it writes for them stays, a value. So a function that does not look at the validity of its
# input gives one answer to `one(null)` and another to `one(x)` where x is null.
#
# Registering a function of the same name and types once more succeeds (0), too.
#
# Seen (libduckdb of @duckdb/node-bindings-linux-x64 1.5.6-r.1); the function `one` writes 1 into each row that it is given:
#   register: 0
#   register again: 0
#   select one(null): null
#   select one(x) from (values (1), (null)) v(x): 1 1

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent @duckdb/node-bindings-linux-x64@1.5.6-r.1 >/dev/null
tar -xzf duckdb-node-bindings-linux-x64-1.5.6-r.1.tgz
cat >seen.c <<'C'
#include <stdint.h>
#include <stdio.h>

/* Those of DuckDB's C API that are called here; every handle is a pointer. */
typedef void *handle;
int duckdb_open(const char *path, handle *database);
int duckdb_connect(handle database, handle *connection);
int duckdb_query(handle connection, const char *sql, void *result);
uint64_t duckdb_row_count(void *result);
unsigned char duckdb_value_is_null(void *result, uint64_t column, uint64_t row);
int64_t duckdb_value_int64(void *result, uint64_t column, uint64_t row);
handle duckdb_create_logical_type(int type);
handle duckdb_create_scalar_function(void);
void duckdb_scalar_function_set_name(handle function, const char *name);
void duckdb_scalar_function_add_parameter(handle function, handle type);
void duckdb_scalar_function_set_return_type(handle function, handle type);
void duckdb_scalar_function_set_function(handle function, void (*call)(handle, handle, handle));
int duckdb_register_scalar_function(handle connection, handle function);
uint64_t duckdb_data_chunk_get_size(handle chunk);
void *duckdb_vector_get_data(handle vector);

static void one(handle info, handle input, handle output)
{
    (void)info;
    int64_t *values = duckdb_vector_get_data(output);
    for (uint64_t i = 0; i < duckdb_data_chunk_get_size(input); i++)
        values[i] = 1;
}

static int add_one(handle connection)
{
    handle bigint = duckdb_create_logical_type(5);
    handle function = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(function, "one");
    duckdb_scalar_function_add_parameter(function, bigint);
    duckdb_scalar_function_set_return_type(function, bigint);
    duckdb_scalar_function_set_function(function, one);
    return duckdb_register_scalar_function(connection, function);
}

static void show(handle connection, const char *sql)
{
    _Alignas(16) char result[256];
    duckdb_query(connection, sql, result);
    printf("%s:", sql);
    for (uint64_t i = 0; i < duckdb_row_count(result); i++)
        if (duckdb_value_is_null(result, 0, i))
            printf(" null");
        else
            printf(" %lld", (long long)duckdb_value_int64(result, 0, i));
    puts("");
}

int main(void)
{
    handle database, connection;
    duckdb_open(NULL, &database);
    duckdb_connect(database, &connection);
    printf("register: %d\n", add_one(connection));
    printf("register again: %d\n", add_one(connection));
    show(connection, "select one(null)");
    show(connection, "select one(x) from (values (1), (null)) v(x)");
    return 0;
}
C
cc seen.c -o seen-program package/libduckdb.so "-Wl,-rpath,$work/package"
./seen-program | tee seen
diff - seen <<'SEEN'
register: 0
register again: 0
select one(null): null
select one(x) from (values (1), (null)) v(x): 1 1
SEEN
