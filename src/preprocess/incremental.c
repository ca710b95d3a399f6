/* incremental.c - `incremental` of a reader, as a step behind its last one.
 *
 * A batch with --start-date or --end-date reads the rows of those days, and of what its longest
 * window needs before them (reader->first_us, last_us, whole days). The day of a row is that of a
 * timestamp, a date, a text, of milliseconds, or of three columns. A row without a day is none of
 * them. Without dates, all rows pass.
 */
#include <inttypes.h>

#include "base/error.h"
#include "functions/mask.h"
#include "preprocess/preprocess_step.h"

typedef struct incremental {
    preprocess_step step;
    int64_t columns[3]; /* before the step; -1: not used */
    const char *day;    /* an SQL expression: a timestamp, or milliseconds */
} incremental;

static const char *quoted_column(const preprocess_step *step, int64_t column)
{
    const char *name = sql_quote(step->chain->arena, step->before.fields[column].name);
    return name == NULL ? "" : name;
}

static bool is_number(const type *type)
{
    return type->kind == TYPE_INTEGER || type->kind == TYPE_BIGINT || type->kind == TYPE_DOUBLE ||
           type->kind == TYPE_FLOAT || type->kind == TYPE_DECIMAL;
}

/* What is wrong with the column's type for that way of reading it; NULL: nothing. */
static const char *wrong_type(int from, const type *type)
{
    const bool is_text = type->kind == TYPE_STRING;
    const bool is_time = type->kind == TYPE_TIMESTAMP || type->kind == TYPE_DATE;
    if (from == INCREMENTAL_STRING)
        return is_text ? NULL : "`from: string` reads the day out of a text";
    if (from == INCREMENTAL_TIME)
        return is_text || is_time ? NULL
                                  : "its day is that of a timestamp, a date or a text: of a number "
                                    "of milliseconds say `from: ms`";
    return is_text || is_number(type) ? NULL : "it must be a number";
}

static bool incremental_column(incremental *incremental, uint32_t i, const declared_text *name,
                               const char *what)
{
    preprocess_step *step = &incremental->step;
    const incremental_block *block = step->options;
    incremental->columns[i] = step_simple_column(step, name, what);
    if (incremental->columns[i] < 0)
        return false;
    const type *type = step->before.fields[incremental->columns[i]].type;
    const char *wrong = wrong_type(block->from, type);
    if (wrong == NULL)
        return true;
    step_problem(step, &name->at, "\"%s\" of incremental: the column \"%s\" is %s, and %s", what,
                 name->value, type_name(step->chain->arena, type), wrong);
    return false;
}

static const char *write_day(const incremental *incremental)
{
    const preprocess_step *step = &incremental->step;
    const incremental_block *block = step->options;
    arena *arena = step->chain->arena;
    const char *column = quoted_column(step, incremental->columns[0]);
    const bool is_text = step->before.fields[incremental->columns[0]].type->kind == TYPE_STRING;
    if (block->from == INCREMENTAL_YEAR_MONTH_DAY)
        return arena_format(
            arena,
            "CAST(TRY(make_date(TRY_CAST(%s AS INTEGER), TRY_CAST(%s AS INTEGER), TRY_CAST(%s "
            "AS INTEGER))) AS TIMESTAMP)",
            column, quoted_column(step, incremental->columns[1]),
            quoted_column(step, incremental->columns[2]));
    if (block->from == INCREMENTAL_MS)
        return is_text ? arena_format(arena, "TRY_CAST(%s AS BIGINT)", column) : column;
    if (block->mask.value != NULL) {
        const char *mask = sql_literal(arena, block->mask.value);
        return mask == NULL ? NULL : arena_format(arena, "TRY(mask_read(%s, %s))", column, mask);
    }
    return arena_format(arena, "TRY_CAST(TRY_CAST(%s AS DATE) AS TIMESTAMP)", column);
}

static freshet_code incremental_check(preprocess_step *step, freshet_error *err)
{
    incremental *incremental = (struct incremental *)step;
    const incremental_block *block = step->options;
    freshet_error why;
    mask *mask;
    incremental->columns[0] = incremental->columns[1] = incremental->columns[2] = -1;
    bool ok = block->from == INCREMENTAL_YEAR_MONTH_DAY
                  ? incremental_column(incremental, 0, &block->year, "year") &
                        incremental_column(incremental, 1, &block->month, "month") &
                        incremental_column(incremental, 2, &block->day, "day")
                  : incremental_column(incremental, 0, &block->column, "column");
    if (block->mask.value != NULL && mask_compile(step->chain->arena, block->mask.value,
                                                  MASK_TIMESTAMP, &mask, &why) != FRESHET_OK) {
        step_problem(step, &block->mask.at, "incremental: %s", why.text);
        ok = false;
    }
    if (!ok)
        return FRESHET_OK;
    incremental->day = write_day(incremental);
    return incremental->day == NULL ? error_memory(err, PREPROCESSING) : FRESHET_OK;
}

/* One end: a day's first or last moment. */
static void put_end(const incremental *incremental, const char *is, int64_t us, text_buffer *into)
{
    const incremental_block *block = incremental->step.options;
    if (block->from == INCREMENTAL_MS)
        text_format(into, " AND %s %s %" PRId64, incremental->day, is, us / 1000);
    else
        text_format(into, " AND %s %s make_timestamp(%" PRId64 ")", incremental->day, is,
                    us / 1000 * 1000);
}

static freshet_code incremental_write(preprocess_step *step, const char *from, const char **sql,
                                      freshet_error *err)
{
    const incremental *incremental = (const struct incremental *)step;
    const freshet_reader *reader = step->chain->options.reader;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT ");
    step_put_columns(step, &text);
    text_format(&text, PREPROCESS_ROW_COLUMN " FROM %s", from);
    if (reader->is_cut) {
        /* the LIMIT, which ends nothing, as in filter.c */
        text_format(&text, " WHERE %s IS NOT NULL", incremental->day);
        if (reader->first_us != INT64_MIN)
            put_end(incremental, ">=", reader->first_us, &text);
        if (reader->last_us != INT64_MAX) /* the first moment of the day after it */
            put_end(incremental, "<", reader->last_us + 1, &text);
        text_append_c(&text, " LIMIT 9223372036854775807");
    }
    return step_sql(step, &text, sql, err);
}

static void incremental_use(const preprocess_step *step, const bool *after, bool *before)
{
    const incremental *incremental = (const struct incremental *)step;
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= after[i];
    for (uint32_t i = 0; i < 3; i++)
        if (incremental->columns[i] >= 0)
            before[incremental->columns[i]] = true;
}

const preprocess_step_ops incremental_step = {
    .block = {.name = "incremental"},
    .size = sizeof(incremental),
    .check = incremental_check,
    .write = incremental_write,
    .use = incremental_use,
};
