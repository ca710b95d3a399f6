/* sql_step.c - the step `sql`: a SELECT over the reader's own name, row by row. */
#include "preprocess/preprocess_step.h"

typedef struct sql_step_options {
    declared_text query;
} sql_step_options;

typedef struct sql_step_state {
    preprocess_step step;
    step_text query;
} sql_step_state;

static const option sql_step_option_table[] = {
    {OPTION("query", SQL, sql_step_options, query), .required = true,
     .doc = "One SELECT over the reader's own id, row by row: projections, filters, UNION ALL, "
            "unnest(). What needs to see many rows is refused.",
     .example = "select *, lower(city) as city_key from flights"},
    {0},
};

static freshet_code sql_step_check(preprocess_step *step, freshet_error *err)
{
    const sql_step_options *options = step->options;
    return step_check_query(step, &options->query, &((sql_step_state *)step)->query, err);
}

static freshet_code sql_step_write(preprocess_step *step, const char *from, const char **sql,
                                   freshet_error *err)
{
    return step_plan_query(step, &((sql_step_state *)step)->query, from, sql, err);
}

static void sql_step_use(const preprocess_step *step, const bool *after, bool *before)
{
    (void)after;
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= ((const sql_step_state *)step)->query.used[i];
}

const preprocess_step_ops sql_step = {
    .block = {BLOCK_KIND("sql", "sql", sql_step_options, sql_step_option_table),
              .doc = "Makes each row into others by a SELECT over the reader's own id. `sql: "
                     "SELECT ...` is short for `sql: {query: SELECT ...}`.",
              .may_be_scalar = true},
    .size = sizeof(sql_step_state),
    .check = sql_step_check,
    .write = sql_step_write,
    .use = sql_step_use,
};
