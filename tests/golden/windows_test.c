/* windows_test.c - the windows of real Butterfree: the cases fixed_windows, row_windows and
 * function_matrix, at the level of src/windows.
 *
 * What to compute is read off the names of the expected columns. Each variant runs as history
 * (every row must be there), and as a stream, whole and row by row (the newest row of each key as
 * it was output last must be the batch's). Rows without a key or a time are left out: here they are
 * dead letters; and from row windows all of key 4, whose timed row sees its untimed ones in
 * Butterfree. Doubles within 1e-9; arrays of collect_set as sets; a tie of mode is any of the most
 * frequent.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/timestamp.h"
#include "windows/windows_state.h"

#define ROWS_MAX 32u
#define OUTPUTS_MAX 32u
#define UNTIMED_KEY 4

typedef struct output {
    const char *name;
    const char *function; /* Butterfree's word */
    const char *type;     /* Spark's */
    uint32_t at;          /* in the plan's outputs */
} output;

typedef struct variant {
    arena *arena;
    const char *path; /* tests/golden/CASE */
    const char *name;
    column columns[4]; /* id, x, y, s */
    int64_t event_us[ROWS_MAX];
    uint32_t n_rows;
    output outputs[OUTPUTS_MAX];
    uint32_t n_outputs;
    windows_plan *plan;
    yyjson_val *expected[ROWS_MAX];
    uint32_t n_expected;
} variant;

static char *read_text(arena *arena, const char *path)
{
    const char *source = getenv("FRESHET_SOURCE");
    FILE *file = fopen(arena_format(arena, "%s/%s", source == NULL ? "." : source, path), "rb");
    if (file == NULL)
        return NULL;
    char *text = arena_zero(arena, 1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return n == 0 ? NULL : text;
}

/* The documents of all lines live until the end of the variant. */
static yyjson_doc *documents[4096];
static uint32_t n_documents;

static yyjson_val *parse(const char *text, size_t length)
{
    yyjson_doc *document = yyjson_read(text, length, 0);
    assert_non_null(document);
    assert_true(n_documents < 4096);
    documents[n_documents++] = document;
    return yyjson_doc_get_root(document);
}

static int64_t time_of(yyjson_val *value)
{
    int64_t us = 0;
    assert_true(timestamp_parse(yyjson_get_str(value), yyjson_get_len(value), &us));
    return us;
}

static bool is_left_out(const variant *v, yyjson_val *row, const char *time)
{
    bool rows = strstr(v->path, "row_windows") != NULL || strncmp(v->name, "row_", 4) == 0;
    yyjson_val *id = yyjson_obj_get(row, "id");
    return yyjson_is_null(id) || yyjson_is_null(yyjson_obj_get(row, time)) ||
           (rows && yyjson_get_sint(id) == UNTIMED_KEY);
}

static void read_input(variant *v)
{
    static const type_kind kinds[] = {TYPE_BIGINT, TYPE_DOUBLE, TYPE_INTEGER, TYPE_STRING};
    static const char *const names[] = {"id", "x", "y", "s"};
    for (int c = 0; c < 4; c++)
        column_init(v->arena, &v->columns[c], type_simple(kinds[c]), ROWS_MAX, NULL);
    char *line = read_text(v->arena, arena_format(v->arena, "%s/input.jsonl", v->path));
    assert_non_null(line);
    for (char *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        yyjson_val *row = parse(line, (size_t)(end - line));
        if (is_left_out(v, row, "ts"))
            continue;
        uint32_t n = v->n_rows++;
        v->event_us[n] = time_of(yyjson_obj_get(row, "ts"));
        for (int c = 0; c < 4; c++) {
            yyjson_val *value = yyjson_obj_get(row, names[c]);
            if (yyjson_is_null(value))
                column_set_null(v->arena, &v->columns[c], n);
            else if (c == 3)
                ((cell_text *)v->columns[c].data)[n] =
                    text_of(yyjson_get_str(value), (uint32_t)yyjson_get_len(value));
            else if (c == 1)
                ((double *)v->columns[c].data)[n] = yyjson_get_num(value);
            else if (c == 2)
                ((int32_t *)v->columns[c].data)[n] = (int32_t)yyjson_get_sint(value);
            else
                ((int64_t *)v->columns[c].data)[n] = yyjson_get_sint(value);
        }
    }
}

static void read_expected(variant *v)
{
    char *line =
        read_text(v->arena, arena_format(v->arena, "%s/expected.%s.jsonl", v->path, v->name));
    assert_non_null(line);
    for (char *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        yyjson_val *row = parse(line, (size_t)(end - line));
        if (!is_left_out(v, row, "timestamp"))
            v->expected[v->n_expected++] = row;
    }
}

/* One feature a column: of "f__avg_over_2_minutes_fixed_windows", avg over "2 minutes". */
static void plan_columns(variant *v, uint32_t values)
{
    static const type *keys[1];
    static field fields[3];
    windows_feature *features = arena_zero(v->arena, OUTPUTS_MAX, sizeof *features);
    char *text =
        read_text(v->arena, arena_format(v->arena, "%s/expected.%s.schema.json", v->path, v->name));
    assert_non_null(text);
    yyjson_val *schema = parse(text, strlen(text)), *column;
    yyjson_arr_iter iterator;
    yyjson_arr_iter_init(schema, &iterator);
    while ((column = yyjson_arr_iter_next(&iterator)) != NULL) {
        const char *name = yyjson_get_str(yyjson_obj_get(column, "name"));
        const char *function = strstr(name, "__"), *over = strstr(name, "_over_");
        if (function == NULL || over == NULL)
            continue;
        uint32_t i = v->n_outputs++;
        bool fixed = strstr(over, "_fixed_windows") != NULL;
        const char *end = strstr(over, fixed ? "_fixed_windows" : "_row_windows");
        char *word = arena_copy(v->arena, function + 2, (size_t)(over - function - 2));
        char *window = arena_copy(v->arena, over + 6, (size_t)(end - over - 6));
        *strchr(window, '_') = ' ';
        windows_function *made = arena_zero(v->arena, 1, sizeof *made);
        *made =
            (windows_function){strcmp(word, "p90") == 0 ? "percentile_approx(0.9)" : word, word};
        const char **windows = arena_zero(v->arena, 1, sizeof *windows);
        *windows = window;
        features[i] = (windows_feature){
            .name = arena_copy(v->arena, name, (size_t)(function - name)),
            .values = values,
            .filter = WINDOWS_NO_FILTER,
            .mode = fixed ? WINDOW_FIXED : WINDOW_ROWS,
            .functions = made,
            .n_functions = 1,
            .windows = windows,
            .n_windows = 1,
        };
        v->outputs[i] = (output){name, word, yyjson_get_str(yyjson_obj_get(column, "type")), i};
    }
    keys[0] = v->columns[0].type;
    for (int c = 0; c < 3; c++)
        fields[c] = (field){(const char *const[]){"x", "y", "s"}[c], v->columns[c + 1].type};
    windows_declaration declaration = {.keys = keys,
                                       .n_keys = 1,
                                       .columns = fields,
                                       .n_columns = 3,
                                       .features = features,
                                       .n_features = v->n_outputs};
    freshet_error err = {0};
    if (windows_plan_make(v->arena, &declaration, &v->plan, &err) != FRESHET_OK)
        fail_msg("%s %s: %s", v->path, v->name, err.text);
    assert_true(v->n_outputs > 0);
    for (uint32_t i = 0; i < v->n_outputs; i++)
        assert_string_equal(v->plan->outputs.fields[i].name, v->outputs[i].name);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static double number_at(const column *column, uint64_t row)
{
    aggregate_value value;
    aggregate_load(column->type, (const char *)column->data + row * type_cell_size(column->type),
                   &value);
    return column->type->kind == TYPE_DOUBLE ? value.real : (double)value.integer;
}

static bool text_is(const column *column, uint64_t row, yyjson_val *expected)
{
    const cell_text *cell = (const cell_text *)column->data + row;
    return yyjson_get_len(expected) == cell->length &&
           memcmp(yyjson_get_str(expected), text_bytes(cell), cell->length) == 0;
}

static bool list_is(const column *column, uint64_t row, const output *output, yyjson_val *expected)
{
    cell_span span = ((const cell_span *)column->data)[row];
    bool ordered = strcmp(output->function, "collect_list") == 0;
    if (span.length != yyjson_arr_size(expected))
        return false;
    for (size_t i = 0; i < span.length; i++) {
        bool found = false;
        for (size_t j = ordered ? i : 0; j < (ordered ? i + 1 : span.length) && !found; j++)
            found = text_is(&column->children[0], span.offset + i, yyjson_arr_get(expected, j));
        if (!found)
            return false;
    }
    return true;
}

/* Butterfree casts after the aggregation: to int by cutting, to float, or to text. */
static bool output_is(const column *column, uint64_t row, const output *output,
                      yyjson_val *expected)
{
    bool valid = column_is_valid(column, row);
    if (!valid || yyjson_is_null(expected))
        return !valid && yyjson_is_null(expected);
    if (column->type->kind == TYPE_ARRAY)
        return list_is(column, row, output, expected);
    if (column->type->kind == TYPE_STRING)
        return strcmp(output->function, "mode") == 0 || text_is(column, row, expected);
    double got = number_at(column, row);
    if (strcmp(output->type, "int") == 0)
        got = trunc(got);
    double want =
        yyjson_is_str(expected) ? strtod(yyjson_get_str(expected), NULL) : yyjson_get_num(expected);
    return fabs(got - want) <= 1e-9 * fmax(1, fabs(want));
}

static bool row_is(const variant *v, uint32_t row, const column *outputs, uint64_t output_row,
                   yyjson_val *expected)
{
    if (yyjson_get_sint(yyjson_obj_get(expected, "id")) !=
            ((const int64_t *)v->columns[0].data)[row] ||
        time_of(yyjson_obj_get(expected, "timestamp")) != v->event_us[row])
        return false;
    for (uint32_t i = 0; i < v->n_outputs; i++)
        if (!output_is(&outputs[i], output_row, &v->outputs[i],
                       yyjson_obj_get(expected, v->outputs[i].name)))
            return false;
    return true;
}

/* ---- running ------------------------------------------------------------------------------- */

static void run_history(variant *v)
{
    windows_input input = {v->n_rows, v->columns, v->columns + 1, v->event_us};
    windows_result result;
    bool used[ROWS_MAX] = {false};
    assert_int_equal(windows_apply_history(v->plan, &input, v->arena, &result, NULL), FRESHET_OK);
    assert_int_equal(v->n_rows, v->n_expected);
    for (uint32_t e = 0; e < v->n_expected; e++) {
        uint32_t row = 0;
        while (row < v->n_rows &&
               (used[row] || !row_is(v, row, result.outputs, row, v->expected[e])))
            row++;
        if (row == v->n_rows)
            fail_msg("%s %s: we lack %s", v->path, v->name,
                     yyjson_val_write(v->expected[e], 0, NULL));
        used[row] = true;
    }
}

/* Where the newest row of a key was output last. */
typedef struct newest {
    const column *outputs;
    uint64_t output_row;
    uint32_t row;
    bool known;
} newest;

static void take_newest(const variant *v, newest *newest, const windows_result *result,
                        uint32_t from, uint32_t n)
{
    for (uint32_t i = 0, refreshed = 0; i < n; i++) {
        int64_t id = ((const int64_t *)v->columns[0].data)[from + i];
        assert_in_range(id, 0, 9);
        if (result->flags[i] & WINDOWS_NEWEST)
            newest[id] = (struct newest){result->outputs, i, from + i, true};
        if (result->flags[i] & WINDOWS_REFRESHED)
            newest[id] =
                (struct newest){result->refreshed_outputs, refreshed++, newest[id].row, true};
    }
}

static void run_stream(variant *v, uint32_t batch_rows)
{
    windows_options options = {.lateness_s = 1000000};
    windows_state *state;
    newest newest[10] = {{0}};
    assert_int_equal(windows_open(v->plan, &options, &state, NULL), FRESHET_OK);
    for (uint32_t from = 0; from < v->n_rows; from += batch_rows) {
        uint32_t n = v->n_rows - from < batch_rows ? v->n_rows - from : batch_rows;
        column columns[4];
        for (int c = 0; c < 4; c++) {
            const column *all = &v->columns[c];
            size_t size = type_cell_size(all->type);
            column_init(v->arena, &columns[c], all->type, n, NULL);
            memcpy(columns[c].data, (const char *)all->data + from * size, n * size);
            for (uint32_t i = 0; i < n; i++)
                if (!column_is_valid(all, from + i))
                    column_set_null(v->arena, &columns[c], i);
        }
        windows_input input = {n, columns, columns + 1, v->event_us + from};
        windows_result result;
        assert_int_equal(windows_apply(state, &input, v->arena, &result, NULL), FRESHET_OK);
        take_newest(v, newest, &result, from, n);
    }
    for (int64_t id = 0; id < 10; id++) {
        bool found = !newest[id].known;
        for (uint32_t e = 0; e < v->n_expected && !found; e++)
            found = row_is(v, newest[id].row, newest[id].outputs, newest[id].output_row,
                           v->expected[e]);
        if (!found)
            fail_msg("%s %s, batches of %u: the newest row of %lld is not the batch's", v->path,
                     v->name, batch_rows, (long long)id);
    }
    windows_close(state);
}

static void run_variant(const char *path, const char *name, uint32_t values)
{
    variant v = {.arena = arena_open(), .path = path, .name = name};
    read_input(&v);
    read_expected(&v);
    plan_columns(&v, values);
    run_history(&v);
    run_stream(&v, ROWS_MAX);
    run_stream(&v, 1);
    while (n_documents > 0)
        yyjson_doc_free(documents[--n_documents]);
    arena_close(v.arena);
}

enum { X, Y, S };

static void fixed_windows(void **state)
{
    (void)state;
    run_variant("tests/golden/fixed_windows", "all_rows", X);
    run_variant("tests/golden/fixed_windows", "int", Y);
}

static void row_windows(void **state)
{
    (void)state;
    run_variant("tests/golden/row_windows", "all_rows", X);
}

static void function_matrix(void **state)
{
    (void)state;
    static const char *const functions[] = {"approx_count_distinct_s",
                                            "avg_y",
                                            "bit_and_y",
                                            "collect_list_s",
                                            "collect_set_s",
                                            "count_s",
                                            "first_nonnull_x",
                                            "first_x",
                                            "kurtosis_x",
                                            "last_nonnull_x",
                                            "last_x",
                                            "max_s",
                                            "min_s",
                                            "mode_s",
                                            "p90_x",
                                            "product_x",
                                            "skewness_x",
                                            "stddev_samp_x",
                                            "stddev_x",
                                            "sum_y",
                                            "var_pop_x",
                                            "variance_x"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int rows = 0; rows < 2; rows++) {
            char name[64];
            char column = functions[i][strlen(functions[i]) - 1];
            snprintf(name, sizeof name, "%s_%s", rows ? "row" : "fix", functions[i]);
            run_variant("tests/golden/function_matrix", name,
                        column == 'x'   ? X
                        : column == 'y' ? Y
                                        : S);
        }
    run_variant("tests/golden/function_matrix", "year_unit", X);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_windows),
        cmocka_unit_test(row_windows),
        cmocka_unit_test(function_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
