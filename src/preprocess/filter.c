/* filter.c - the step `filter`: rows for which a condition is true.
 *
 * Null is not true. What comes behind does not fail for rows that are gone: DuckDB keeps the order
 * of conditions that can fail, whatever it makes of the views (preprocess_test.py holds that).
 *
 * In a trial (preprocess.h) rows behind a step that remembers are let through, whatever they hold:
 * the times of all are wanted, and what the step fills in is not known before they are in order.
 */
#include "preprocess/preprocess_step.h"

typedef struct filter_options {
    declared_text condition;
} filter_options;

typedef struct filter {
    preprocess_step step;
    step_text condition;
} filter;

static const option filter_option_table[] = {
    {OPTION("condition", SQL, filter_options, condition), .required = true,
     .doc = "An SQL condition over the columns of one row.",
     .example = "\"status = 'paid' and amount > 0\""},
    {0},
};

static freshet_code filter_check(preprocess_step *step, freshet_error *err)
{
    filter *filter = (struct filter *)step;
    const filter_options *options = step->options;
    freshet_code code = step_check_expression(step, &options->condition, &filter->condition, err);
    const type *type = filter->condition.type;
    if (code == FRESHET_OK && type != NULL && type->kind != TYPE_BOOLEAN)
        step_problem(step, &options->condition.at,
                     "the condition gives a value of the type %s, and not true or false: compare "
                     "it with something, as in \"amount > 0\"",
                     type_name(step->chain->arena, type));
    return code;
}

static freshet_code filter_write(preprocess_step *step, const char *from, const char **sql,
                                 freshet_error *err)
{
    const filter *filter = (const struct filter *)step;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT ");
    step_put_columns(step, &text);
    text_format(&text, PREPROCESS_ROW_COLUMN " FROM %s AS %s WHERE (", from, step->chain->id);
    text_append_c(&text, filter->condition.in.sql);
    text_append_c(&text, "\n)");
    if (step->chain->trial_name != NULL)
        text_format(&text, " OR %s()", step->chain->trial_name);
    return step_sql(step, &text, sql, err);
}

static void filter_use(const preprocess_step *step, const bool *after, bool *before)
{
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= after[i] || ((const filter *)step)->condition.used[i];
}

const preprocess_step_ops filter_step = {
    .block = {BLOCK_KIND("filter", "filter", filter_options, filter_option_table),
              .doc = "Keeps the rows for which a condition is true; where it is null, it is not. "
                     "`filter: amount > 0` is short for `filter: {condition: amount > 0}`.",
              .may_be_scalar = true},
    .size = sizeof(filter),
    .check = filter_check,
    .write = filter_write,
    .use = filter_use,
};
