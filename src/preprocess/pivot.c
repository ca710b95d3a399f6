/* pivot.c - the step `pivot`: a column for each value of a column, a row for each group.
 *
 * See pivot.h for its three parts. The mock value stands for nulls that are values: it stops the
 * fill, and is a null again at the end.
 */
#include "preprocess/pivot.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

#define VALUE_COLUMN "__freshet_value"
#define AGGREGATED_COLUMN "__freshet_aggregated"

/* ---- options --------------------------------------------------------------------------------- */

static const option pivot_aggregate_options[] = {
    {OPTION("column", TEXT, pivot_aggregate, column), .required = true,
     .doc = "The column that is aggregated.", .example = "has"},
    {OPTION("function", TEXT, pivot_aggregate, function), .required = true,
     .doc = "`first`, `last`, `min`, `max`, `count`, `sum` or `avg`; the first two take nulls, in "
            "the order in which rows come.",
     .example = "first"},
    {0},
};

static const block_kind pivot_aggregate_kind = {
    BLOCK_KIND("aggregate", "Aggregate of a pivot", pivot_aggregate, pivot_aggregate_options),
    .doc = "What is in the cells of a [pivot](#pivot-of-a-reader).",
};

static const option pivot_option_table[] = {
    {OPTION("group_by", TEXTS, pivot_options, group_by), .required = true,
     .doc =
         "The columns whose equal values make one row. With `forward_fill`, and on a stream, the "
         "last of several is the order of the groups.",
     .example = "[id, ts]"},
    {OPTION("column", TEXT, pivot_options, column), .required = true,
     .doc = "The column whose values become columns.", .example = "amenity"},
    {OPTION("values", TEXTS, pivot_options, values), .required = true,
     .doc = "These values, each once, in the order of the columns; `\"null\"` is the column of the "
            "rows where there is none.",
     .example = "[balcony, fridge, oven]"},
    {OPTION("aggregate", BLOCK, pivot_options, aggregate), .required = true,
     .block = &pivot_aggregate_kind, .doc = "What is in the cells.",
     .example = "{column: has, function: first}"},
    {OPTION("mock_value", TEXT, pivot_options, mock_value),
     .doc = "Stands for nulls of the aggregated column, so that they stop `forward_fill` and count "
            "as values; it is null again in the result.",
     .example = "-1"},
    {OPTION("mock_type", TYPE, pivot_options, mock_type),
     .doc = "The type that the aggregated column has meanwhile, where `mock_value` is none of its "
            "own.",
     .example = "integer"},
    {OPTION("forward_fill", BOOLEAN, pivot_options, forward_fill), .standard = "false",
     .doc = "Fills each new column with the value of the group before, by the other `group_by` "
            "columns in the order of the last one.",
     .example = "true"},
    {OPTION("keep_groups", INTEGER, pivot_options, keep_groups), .standard = "100", .minimum = 1,
     .maximum = 100000,
     .doc = "Streams: so many of the newest groups, by the other `group_by` columns, can still "
            "change. A row of an older one goes to the dead letters as late.",
     .example = "1000"},
    {0},
};

/* ---- checks ---------------------------------------------------------------------------------- */

static freshet_code check_groups(pivot *pivot, freshet_error *err)
{
    const pivot_options *options = pivot->step.options;
    const uint32_t n = options->group_by.n;
    pivot->groups = arena_zero(pivot->step.chain->arena, n + (size_t)1, sizeof *pivot->groups);
    if (pivot->groups == NULL)
        return error_memory(err, PREPROCESSING);
    for (uint32_t i = 0; i < n; i++)
        pivot->groups[i] =
            step_simple_column(&pivot->step, &options->group_by.items[i], "group_by");
    pivot->n_groups = n;
    pivot->n_values = options->values.n;
    pivot->has_order = n > 1;
    pivot->n_partition = n > 1 ? n - 1 : n;
    if (options->forward_fill && n < 2)
        step_problem(&pivot->step, pivot->step.at,
                     "\"forward_fill\" of pivot needs two columns in \"group_by\" at least: the "
                     "last one is the order of the groups, the others say which are filled from "
                     "each other");
    return FRESHET_OK;
}

static void check_function(pivot *pivot)
{
    static const char *const names[] = {"first", "last", "min", "max",
                                        "count", "sum",  "avg", "mean"};
    const pivot_options *options = pivot->step.options;
    const declared_text *given = &options->aggregate.function;
    preprocess_step *step = &pivot->step;
    freshet_error why;
    size_t i = 0;
    while (i < 8 && (given->value == NULL || strcasecmp(names[i], given->value) != 0))
        i++;
    if (given->value == NULL || pivot->input == NULL)
        return;
    if (i == 8) {
        step_problem(step, &given->at,
                     "\"function\" of pivot cannot be \"%s\": it must be first, last, min, max, "
                     "count, sum or avg",
                     given->value);
        return;
    }
    pivot->function = i < 4 ? (pivot_function)i : PIVOT_PARTIAL;
    if (aggregate_prepare(step->chain->arena, names[i], pivot->input, &pivot->aggregate, &why) !=
        FRESHET_OK)
        step_problem(step, &given->at, "pivot: %s", why.text);
    else if (pivot->input->kind == TYPE_DECIMAL && i >= 6)
        step_problem(step, &given->at,
                     "the avg of a pivot is not computed for decimals: cast the column to double, "
                     "in a step `sql` before");
}

/* Is the text a value of the type? What the SQL engine says of it. */
static freshet_code check_literal(pivot *pivot, const declared_text *text, const type *type,
                                  const char *what, freshet_error *err)
{
    preprocess *chain = pivot->step.chain;
    const char *literal = sql_literal(chain->arena, text->value);
    const char *name = sql_type_name(chain->arena, type);
    const char *sql =
        literal == NULL || name == NULL
            ? NULL
            : arena_format(chain->arena, "SELECT TRY_CAST(%s AS %s) IS NOT NULL", literal, name);
    sql_statement *statement = NULL;
    batch rows;
    if (sql == NULL)
        return error_memory(err, PREPROCESSING);
    arena_reset(chain->scratch);
    freshet_code code = sql_prepare(chain->options.session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, chain->scratch, &rows, err);
    if (code == FRESHET_OK && (rows.n_rows != 1 || !((const uint8_t *)rows.columns[0].data)[0]))
        step_problem(&pivot->step, &text->at, "%s of pivot: \"%s\" is no value of the type %s",
                     what, text->value, type_name(chain->arena, type));
    sql_statement_close(statement);
    return code;
}

static bool is_null_value(const char *value)
{
    return strcmp(value, "null") == 0;
}

static freshet_code check_values(pivot *pivot, freshet_error *err)
{
    const pivot_options *options = pivot->step.options;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && pivot->column >= 0 && i < options->values.n; i++)
        if (!is_null_value(options->values.items[i].value))
            code = check_literal(pivot, &options->values.items[i],
                                 pivot->step.before.fields[pivot->column].type, "\"values\"", err);
    if (code == FRESHET_OK && options->mock_value.value != NULL && pivot->input != NULL)
        code = check_literal(pivot, &options->mock_value, pivot->input, "\"mock_value\"", err);
    if (options->mock_type.value != NULL && options->mock_value.value == NULL)
        step_problem(&pivot->step, &options->mock_type.at,
                     "\"mock_type\" of pivot needs \"mock_value\", the value of that type that "
                     "stands for nulls");
    return code;
}

/* On a stream a group comes again with each change: windows would count it each time. */
static void check_features(const pivot *pivot)
{
    const preprocess *chain = pivot->step.chain;
    const feature_set_block *set = &declaration_of(chain->options.handle)->feature_set;
    const feature_block *features = set->features.items;
    bool counts = set->has_aggregated;
    for (uint32_t i = 0; i < set->features.n; i++)
        counts |= features[i].has_window || features[i].has_aggregate;
    if (chain->block->stream && counts)
        step_problem(&pivot->step, pivot->step.at,
                     "on a stream a pivot gives the row of a group again with each change, and "
                     "windows or aggregates of the feature set would count each: use plain "
                     "features; or leave the pivot to an aggregated feature set (`aggregated: "
                     "{pivot: ...}`); or run it as a batch");
}

/* The columns between the parts. */
static bool make_schemas(pivot *pivot)
{
    arena *arena = pivot->step.chain->arena;
    field *in = arena_zero(arena, pivot->n_groups + (size_t)2, sizeof *in);
    field *out = arena_zero(arena, (size_t)pivot->n_groups + pivot->n_values, sizeof *out);
    if (in == NULL || out == NULL)
        return false;
    for (uint32_t i = 0; i < pivot->n_groups; i++)
        in[i] = out[i] = pivot->step.before.fields[pivot->groups[i]];
    in[pivot->n_groups] = (field){VALUE_COLUMN, type_simple(TYPE_INTEGER)};
    in[pivot->n_groups + 1] = (field){AGGREGATED_COLUMN, pivot->input};
    for (uint32_t i = 0; i < pivot->n_values; i++) {
        out[pivot->n_groups + i] =
            (field){arena_format(arena, "__freshet_v%u", i), pivot->aggregate.output};
        if (out[pivot->n_groups + i].name == NULL)
            return false;
    }
    pivot->in = (schema){pivot->n_groups + 2, in};
    pivot->out = (schema){pivot->n_groups + pivot->n_values, out};
    return true;
}

static freshet_code pivot_check(preprocess_step *step, freshet_error *err)
{
    pivot *pivot = (struct pivot *)step;
    const pivot_options *options = step->options;
    const uint32_t n_problems = problems_count(step->chain->options.problems);
    freshet_code code = check_groups(pivot, err);
    if (code != FRESHET_OK)
        return code;
    pivot->column = step_simple_column(step, &options->column, "column");
    pivot->aggregated = step_simple_column(step, &options->aggregate.column, "aggregate");
    if (pivot->aggregated >= 0)
        pivot->input = options->mock_type.value != NULL
                           ? options->mock_type.value
                           : step->before.fields[pivot->aggregated].type;
    check_function(pivot);
    check_features(pivot);
    code = check_values(pivot, err);
    if (code == FRESHET_OK && problems_count(step->chain->options.problems) == n_problems &&
        !make_schemas(pivot))
        code = error_memory(err, PREPROCESSING);
    return code;
}

static void pivot_use(const preprocess_step *step, const bool *after, bool *before)
{
    const pivot *pivot = (const struct pivot *)step;
    (void)after;
    for (uint32_t i = 0; i < pivot->n_groups; i++)
        before[pivot->groups[i]] = true;
    before[pivot->column] = before[pivot->aggregated] = true;
}

/* ---- SQL ------------------------------------------------------------------------------------- */

/* The text's pieces in the chain's arena; "" where memory is out, and the text is marked. */
static const char *pivot_literal(const pivot *pivot, const char *value, const type *type,
                                 text_buffer *into)
{
    arena *arena = pivot->step.chain->arena;
    const char *literal = sql_literal(arena, value), *name = sql_type_name(arena, type);
    const char *cast = literal == NULL || name == NULL
                           ? NULL
                           : arena_format(arena, "CAST(%s AS %s)", literal, name);
    into->failed |= cast == NULL;
    return cast == NULL ? "" : cast;
}

static void put_groups(const pivot *pivot, uint32_t n, text_buffer *into)
{
    for (uint32_t i = 0; i < n; i++)
        step_put_name(into, pivot->step.chain->arena, i == 0 ? "" : ", ",
                      pivot->step.before.fields[pivot->groups[i]].name, "");
}

/* The number of the row's value; null: it is none of them. */
static void put_number(const pivot *pivot, text_buffer *into)
{
    const pivot_options *options = pivot->step.options;
    const field *column = &pivot->step.before.fields[pivot->column];
    text_append_c(into, ", CAST(CASE");
    for (uint32_t i = 0; i < pivot->n_values; i++) {
        const char *value = options->values.items[i].value;
        step_put_name(into, pivot->step.chain->arena, " WHEN ", column->name,
                      is_null_value(value) ? " IS NULL" : " = ");
        if (!is_null_value(value))
            text_append_c(into, pivot_literal(pivot, value, column->type, into));
        if (is_null_value(value) && column->type->kind == TYPE_STRING)
            step_put_name(into, pivot->step.chain->arena, " OR ", column->name, " = 'null'");
        text_format(into, " THEN %u", i);
    }
    text_append_c(into, " END AS INTEGER) AS " VALUE_COLUMN);
}

/* `before` over the table `from`. */
static void put_before(const pivot *pivot, const char *from, text_buffer *into)
{
    const pivot_options *options = pivot->step.options;
    arena *arena = pivot->step.chain->arena;
    const char *type = sql_type_name(arena, pivot->input);
    into->failed |= type == NULL;
    text_append_c(into, "SELECT ");
    put_groups(pivot, pivot->n_groups, into);
    put_number(pivot, into);
    text_append_c(into, options->mock_value.value == NULL ? ", " : ", coalesce(");
    step_put_name(into, arena, "CAST(", pivot->step.before.fields[pivot->aggregated].name, " AS ");
    text_format(into, "%s)", type == NULL ? "" : type);
    if (options->mock_value.value != NULL)
        text_format(into, ", %s)",
                    pivot_literal(pivot, options->mock_value.value, pivot->input, into));
    text_format(into, " AS " AGGREGATED_COLUMN ", " PREPROCESS_ROW_COLUMN " FROM %s", from);
}

/* One cell of a group. */
static void put_cell(const pivot *pivot, uint32_t i, text_buffer *into)
{
    const char *type = sql_type_name(pivot->step.chain->arena, pivot->aggregate.output);
    const bool is_count = strcmp(pivot->aggregate.name, "count") == 0;
    const char *name = strcmp(pivot->aggregate.name, "mean") == 0 ? "avg" : pivot->aggregate.name;
    into->failed |= type == NULL;
    text_append_c(into, ", CAST(");
    if (is_count) /* none is no row, and not 0 */
        text_format(into, "CASE WHEN count(*) FILTER (WHERE " VALUE_COLUMN " = %u) > 0 THEN ", i);
    if (pivot->function == PIVOT_FIRST || pivot->function == PIVOT_LAST)
        text_format(into, "%s(" AGGREGATED_COLUMN " ORDER BY " PREPROCESS_ROW_COLUMN ")", name);
    else
        text_format(into, "%s(" AGGREGATED_COLUMN ")", name);
    text_format(into, " FILTER (WHERE " VALUE_COLUMN " = %u)%s AS %s) AS __freshet_v%u", i,
                is_count ? " END" : "", type == NULL ? "" : type, i);
}

/* `groups` of a batch. */
static void put_grouped(const pivot *pivot, const char *from, text_buffer *into)
{
    text_append_c(into, "SELECT ");
    put_groups(pivot, pivot->n_groups, into);
    for (uint32_t i = 0; i < pivot->n_values; i++)
        put_cell(pivot, i, into);
    text_append_c(into, ", min(" PREPROCESS_ROW_COLUMN ") AS " PREPROCESS_ROW_COLUMN " FROM (");
    put_before(pivot, from, into);
    text_append_c(into, ") GROUP BY ");
    put_groups(pivot, pivot->n_groups, into);
}

static void put_filled(const pivot *pivot, const char *from, text_buffer *into)
{
    const pivot_options *options = pivot->step.options;
    if (!options->forward_fill) {
        put_grouped(pivot, from, into);
        return;
    }
    text_append_c(into, "SELECT ");
    put_groups(pivot, pivot->n_groups, into);
    for (uint32_t i = 0; i < pivot->n_values; i++)
        text_format(into, ", last_value(__freshet_v%u IGNORE NULLS) OVER w AS __freshet_v%u", i, i);
    text_append_c(into, ", " PREPROCESS_ROW_COLUMN " FROM (");
    put_grouped(pivot, from, into);
    text_append_c(into, ") WINDOW w AS (PARTITION BY ");
    put_groups(pivot, pivot->n_partition, into);
    step_put_name(into, pivot->step.chain->arena, " ORDER BY ",
                  pivot->step.before.fields[pivot->groups[pivot->n_groups - 1]].name,
                  " ASC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)");
}

/* `after`, but for what stands behind FROM. */
static void put_after(const pivot *pivot, text_buffer *into)
{
    const pivot_options *options = pivot->step.options;
    arena *arena = pivot->step.chain->arena;
    const bool casts = options->mock_type.value != NULL;
    const char *type = sql_type_name(arena, pivot->step.before.fields[pivot->aggregated].type);
    into->failed |= type == NULL;
    text_append_c(into, "SELECT ");
    put_groups(pivot, pivot->n_groups, into);
    for (uint32_t i = 0; i < pivot->n_values; i++) {
        text_append_c(into, casts ? ", CAST(" : ", ");
        if (options->mock_value.value == NULL)
            text_format(into, "__freshet_v%u", i);
        else
            text_format(into, "nullif(__freshet_v%u, %s)", i,
                        pivot_literal(pivot, options->mock_value.value, pivot->input, into));
        if (casts)
            text_format(into, " AS %s)", type == NULL ? "" : type);
        step_put_name(into, arena, " AS ", options->values.items[i].value, "");
    }
    text_append_c(into, ", " PREPROCESS_ROW_COLUMN " FROM ");
}

static freshet_code pivot_write(preprocess_step *step, const char *from, const char **sql,
                                freshet_error *err)
{
    const pivot *pivot = (const struct pivot *)step;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    put_after(pivot, &text);
    text_append_c(&text, "(");
    put_filled(pivot, from, &text);
    text_append_c(&text, ")");
    return step_sql(step, &text, sql, err);
}

static freshet_code pivot_write_before(preprocess_step *step, const char *from, const char **sql,
                                       freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    put_before((const pivot *)step, from, &text);
    return step_sql(step, &text, sql, err);
}

static freshet_code pivot_write_after(preprocess_step *step, const char *from, const char **sql,
                                      freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    put_after((const pivot *)step, &text);
    text_append_c(&text, from);
    return step_sql(step, &text, sql, err);
}

static const schema *pivot_in(const preprocess_step *step)
{
    return &((const pivot *)step)->in;
}

static const schema *pivot_out(const preprocess_step *step)
{
    return &((const pivot *)step)->out;
}

const preprocess_step_ops pivot_step = {
    .block = {BLOCK_KIND("pivot", "Pivot of a reader", pivot_options, pivot_option_table),
              .doc = "A row for each group, with a column for each value of a column. On a stream "
                     "the row of a group goes out at each change, and so do those that are filled "
                     "from it; of the rows of a key the newest one is the batch's."},
    .size = sizeof(pivot),
    .needs_order = true,
    .check = pivot_check,
    .write = pivot_write,
    .use = pivot_use,
    .write_before = pivot_write_before,
    .write_after = pivot_write_after,
    .in = pivot_in,
    .out = pivot_out,
    .open = pivot_open,
    .run = pivot_run,
    .part = pivot_part,
    .close = pivot_close,
};
