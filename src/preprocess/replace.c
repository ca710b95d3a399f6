/* replace.c - the step `replace`: values of a string column become others.
 *
 * A value is looked up as a whole, letter by letter; one that is not in the map stays, and null
 * stays null.
 */
#include <string.h>

#include "preprocess/preprocess_step.h"

typedef struct replace_options {
    declared_text column;
    declared_properties values;
} replace_options;

typedef struct replace {
    preprocess_step step;
    int64_t column;
} replace;

static const option replace_option_table[] = {
    {OPTION("column", TEXT, replace_options, column), .required = true,
     .doc = "The column, of the type string.", .example = "status"},
    {OPTION("values", PROPERTIES, replace_options, values), .required = true,
     .names_are_data = true,
     .doc = "Which values become which: `{from: to}`. They are compared as a whole, and capital "
            "letters count.",
     .example = "{P: paid, R: refunded}"},
    {0},
};

static freshet_code replace_check(preprocess_step *step, freshet_error *err)
{
    replace *replace = (struct replace *)step;
    const replace_options *options = step->options;
    (void)err;
    replace->column = step_column(step, &options->column, "column");
    if (replace->column < 0)
        return FRESHET_OK;
    const field *field = &step->before.fields[replace->column];
    if (field->type->kind != TYPE_STRING)
        step_problem(step, &options->column.at,
                     "the column \"%s\" is of the type %s, and replace is for strings: use an SQL "
                     "expression in the query, or a step `sql`",
                     field->name, type_name(step->chain->arena, field->type));
    if (options->values.n == 0)
        step_problem(step, step->at,
                     "\"values\" of replace needs at least one value, as in "
                     "{from: to}");
    return FRESHET_OK;
}

static void put_case(const replace *replace, text_buffer *into)
{
    const replace_options *options = replace->step.options;
    arena *arena = replace->step.chain->arena;
    const char *column = sql_quote(arena, replace->step.before.fields[replace->column].name);
    into->failed |= column == NULL;
    text_format(into, "CASE %s", column);
    for (uint32_t i = 0; !into->failed && i < options->values.n; i++) {
        const char *from = sql_literal(arena, options->values.items[i].name);
        const char *to = sql_literal(arena, options->values.items[i].value.value);
        into->failed |= from == NULL || to == NULL;
        text_format(into, " WHEN %s THEN %s", from, to);
    }
    text_format(into, " ELSE %s END AS %s, ", column, column);
}

static freshet_code replace_write(preprocess_step *step, const char *from, const char **sql,
                                  freshet_error *err)
{
    const replace *replace = (const struct replace *)step;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i < step->before.n_fields; i++) {
        const char *name = sql_quote(step->chain->arena, step->before.fields[i].name);
        if (i == replace->column)
            put_case(replace, &text);
        else
            text_format(&text, "%s, ", name == NULL ? "" : name);
        text.failed |= name == NULL;
    }
    text_format(&text, PREPROCESS_ROW_COLUMN " FROM %s", from);
    return step_sql(step, &text, sql, err);
}

static void replace_use(const preprocess_step *step, const bool *after, bool *before)
{
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= after[i];
}

const preprocess_step_ops replace_step = {
    .block = {BLOCK_KIND("replace", "replace", replace_options, replace_option_table),
              .doc = "Replaces values of a string column by others. Values that are not in the map "
                     "stay as they are."},
    .size = sizeof(replace),
    .check = replace_check,
    .write = replace_write,
    .use = replace_use,
};
