/* duckdb_load.c - plain DuckDB doing the job of the benchmark `events`, for comparison.
 *
 *     duckdb_load THREADS FILES LOAD.sql CHECK.sql
 *
 * Runs LOAD.sql in a new database in memory, with FILES (a glob) in the variable `files`, then
 * prints the one row of CHECK.sql, all numbers, as a JSON object.
 */
#include <duckdb.h>
#include <stdio.h>
#include <stdlib.h>

#define SQL_BYTES_MAX 8192

static void die(const char *what, const char *why)
{
    fprintf(stderr, "duckdb_load: %s: %s\n", what, why == NULL ? "unknown error" : why);
    exit(1);
}

static void read_text(const char *path, char text[SQL_BYTES_MAX])
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path, "cannot be opened");
    size_t n = fread(text, 1, SQL_BYTES_MAX - 1, file);
    if (ferror(file) || !feof(file))
        die(path, "cannot be read, or is too long");
    fclose(file);
    text[n] = '\0';
}

static duckdb_connection open_database(const char *threads, duckdb_database *database)
{
    duckdb_config config;
    duckdb_connection connection;
    char *why = NULL;
    if (duckdb_create_config(&config) != DuckDBSuccess ||
        duckdb_set_config(config, "threads", threads) != DuckDBSuccess ||
        duckdb_open_ext(NULL, database, config, &why) != DuckDBSuccess ||
        duckdb_connect(*database, &connection) != DuckDBSuccess)
        die("opening DuckDB", why);
    duckdb_destroy_config(&config);
    return connection;
}

static void run(duckdb_connection connection, const char *sql, duckdb_result *result)
{
    if (duckdb_query(connection, sql, result) != DuckDBSuccess)
        die(sql, duckdb_result_error(result));
}

static void print_row(duckdb_result *result)
{
    for (idx_t i = 0; i < duckdb_column_count(result); i++) {
        char *value = duckdb_value_varchar(result, i, 0);
        printf("%s\"%s\": %s", i == 0 ? "{" : ", ", duckdb_column_name(result, i), value);
        duckdb_free(value);
    }
    puts("}");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage", "duckdb_load THREADS FILES LOAD.sql CHECK.sql");
    duckdb_database database;
    duckdb_connection connection = open_database(argv[1], &database);
    duckdb_result result;
    char sql[SQL_BYTES_MAX];

    snprintf(sql, sizeof sql, "set variable files = '%s'", argv[2]);
    run(connection, sql, &result);
    duckdb_destroy_result(&result);
    read_text(argv[3], sql);
    run(connection, sql, &result);
    duckdb_destroy_result(&result);
    read_text(argv[4], sql);
    run(connection, sql, &result);
    print_row(&result);
    duckdb_destroy_result(&result);

    duckdb_disconnect(&connection);
    duckdb_close(&database);
    return 0;
}
