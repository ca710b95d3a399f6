/* training_output.c - the training set as a file (training.h): the spine's columns as they came,
 * and behind them the features of each set, a row for each of the spine's, in its order. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "training/training_times.h"

/* As Spark and pandas read old days without an option (writers/history/parquet_file.c). */
#define SPARK_VERSION "'org.apache.spark.version': '3.5.0'"

/* Each output column has a name of its own. */
static freshet_code check_output_names(const training *training, freshet_error *err)
{
    for (uint32_t i = 0; i < training->n_sets; i++) {
        const training_history *set = &training->sets[i];
        for (uint32_t k = 0; k < set->n_features; k++) {
            const char *name = arena_format(training->arena, "%s__%s", set->name, set->features[k]);
            if (name == NULL)
                return error_memory(err, TRAINING_DOING);
            if (training_find(&training->spine_columns, name) >= 0)
                return error_set(
                    err, FRESHET_USAGE, FRESHET_STOP, training->options->spine,
                    "the spine has a column \"%s\" already, which is the name of a "
                    "feature: give the set another name, as in --from %s_2=%s, or leave "
                    "the feature out by --features",
                    name, set->name, set->path);
        }
    }
    return FRESHET_OK;
}

/* A key or the time of a CSV file, which was read as text, has the history's type. */
static const char *typed_column(const training *training, const training_column *column)
{
    if (!training->spine_is_csv || training->output_is_csv)
        return NULL;
    if (strcmp(column->name, training->time) == 0)
        return "TIMESTAMP";
    for (uint32_t i = 0; i < training->n_sets; i++)
        for (uint32_t k = 0; k < training->sets[i].n_keys; k++)
            if (strcmp(training->sets[i].keys[k].column, column->name) == 0)
                return training->sets[i].keys[k].type;
    return NULL;
}

static void append_spine(const training *training, text_buffer *into)
{
    for (uint32_t i = 0; i < training->spine_columns.n; i++) {
        const training_column *column = &training->spine_columns.items[i];
        const char *name = sql_quote(training->arena, column->name);
        const char *type = typed_column(training, column);
        into->failed |= name == NULL;
        if (type == NULL)
            text_format(into, "%sspine.%s", i == 0 ? "" : ", ", name);
        else
            text_format(into, "%sTRY_CAST(spine.%s AS %s)%s AS %s", i == 0 ? "" : ", ", name, type,
                        strcmp(column->name, training->time) == 0 ? "::TIMESTAMPTZ" : "", name);
    }
}

static freshet_code make_select(training *training, text_buffer *select, freshet_error *err)
{
    text_append_c(select, "SELECT ");
    append_spine(training, select);
    for (uint32_t i = 0; i < training->n_sets; i++)
        text_format(select, ", out_%u.* EXCLUDE (row)", i);
    text_append_c(select, " FROM spine");
    for (uint32_t i = 0; i < training->n_sets; i++)
        text_format(select, " LEFT JOIN out_%u ON out_%u.row = spine." TRAINING_ROW, i, i);
    text_append_c(select, " ORDER BY spine." TRAINING_ROW);
    return select->failed ? error_memory(err, TRAINING_DOING) : FRESHET_OK;
}

/* Is -0.0 among the reals of a table? */
static freshet_code table_has_minus_zero(training *training, const char *table, bool *out,
                                         freshet_error *err)
{
    training_columns columns;
    text_buffer text;
    int64_t found = 0;
    freshet_code code = training_describe(training, table, &columns, err);
    if (code != FRESHET_OK)
        return code;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < columns.n; i++) {
        const char *type = columns.items[i].type;
        const char *name = sql_quote(training->arena, columns.items[i].name);
        if (strcmp(type, "DOUBLE") == 0 || strcmp(type, "FLOAT") == 0)
            text_format(&text, " OR (%s = 0 AND signbit(%s))", name == NULL ? "" : name,
                        name == NULL ? "" : name);
    }
    if (text.length > 0 && !text.failed)
        code = training_number(training, &found, err,
                               "SELECT count(*) FROM (SELECT 1 FROM %s WHERE false%s LIMIT 1)",
                               table, text.bytes);
    text_release(&text);
    *out |= found > 0;
    return code;
}

/* DuckDB's dictionaries of Parquet give all zeros the sign of the first. */
static freshet_code has_minus_zero(training *training, bool *out, freshet_error *err)
{
    freshet_code code = table_has_minus_zero(training, "spine", out, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < training->n_sets; i++) {
        const char *table = arena_format(training->arena, "out_%u", i);
        code = table == NULL ? error_memory(err, TRAINING_DOING)
                             : table_has_minus_zero(training, table, out, err);
    }
    return code;
}

static freshet_code copy_rows(training *training, const char *select, const char *path,
                              freshet_error *err)
{
    const char *literal = sql_literal(training->arena, path);
    const char *compression = training->options->compression;
    bool minus_zero = false;
    if (literal == NULL)
        return error_memory(err, TRAINING_DOING);
    if (training->output_is_csv)
        return training_run(training, err,
                            "COPY (%s) TO %s (FORMAT csv, HEADER true, COMPRESSION %s, "
                            "USE_TMP_FILE false, TIMESTAMPFORMAT '%%Y-%%m-%%dT%%H:%%M:%%S.%%fZ')",
                            select, literal,
                            training_ends(training->options->output, ".gz") ? "gzip" : "none");
    freshet_code code = has_minus_zero(training, &minus_zero, err);
    return code == FRESHET_OK
               ? training_run(
                     training, err,
                     "COPY (%s) TO %s (FORMAT parquet, COMPRESSION %s, USE_TMP_FILE false, "
                     "KV_METADATA {" SPARK_VERSION "}%s)",
                     select, literal, compression == NULL ? "zstd" : compression,
                     minus_zero ? ", DICTIONARY_SIZE_LIMIT 0" : "")
               : code;
}

/* As many rows must be in the file as the spine has. */
static freshet_code count_rows_back(training *training, const char *path, freshet_error *err)
{
    int64_t n = 0;
    const char *literal = sql_file_literal(training->arena, path);
    if (literal == NULL)
        return error_memory(err, TRAINING_DOING);
    freshet_code code =
        training->output_is_csv
            ? training_number(
                  training, &n, err,
                  "SELECT count(*) FROM read_csv(%s, delim = ',', all_varchar = true, " SQL_CSV_ROWS
                  "%s)",
                  literal,
                  training_ends(training->options->output, ".gz") ? ", compression = 'gzip'" : "")
            : training_number(training, &n, err,
                              "SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(%s)",
                              literal);
    if (code != FRESHET_OK || n == training->n_rows)
        return code;
    return error_set(
        err, FRESHET_FAILED, FRESHET_STOP, training->options->output,
        "the file holds %lld rows and should hold %lld, so it is not shown: look at the "
        "disk, then run again",
        (long long)n, (long long)training->n_rows);
}

freshet_code training_write(training *training, const char *path, freshet_error *err)
{
    text_buffer select;
    text_init(&select, TEXT_LIMIT_DEFAULT);
    training_doing(training, "writing the training set");
    freshet_code code = check_output_names(training, err);
    if (code == FRESHET_OK)
        code = make_select(training, &select, err);
    if (code == FRESHET_OK)
        code = training_run(training, err, "SET preserve_insertion_order = true");
    if (code == FRESHET_OK)
        code = copy_rows(training, select.bytes, path, err);
    if (code == FRESHET_OK)
        code = count_rows_back(training, path, err);
    text_release(&select);
    return code;
}
