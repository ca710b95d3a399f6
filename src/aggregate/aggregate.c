/* aggregate.c - the table of functions; see aggregate.h.
 *
 * To add a function: write its finish beside the family that it reads (or a family of its own), and
 * add one row here. Names are looked up without regard to case and underscores, which covers the
 * spellings of Spark and Butterfree (countDistinct, count_distinct, approxCountDistinct).
 */
#include "aggregate/aggregate.h"

#include <ctype.h>
#include <stdio.h>

#include "aggregate/families.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

#define SET_OF(kind) (1u << (kind))
#define EXACT_TYPES (SET_OF(TYPE_INTEGER) | SET_OF(TYPE_BIGINT) | SET_OF(TYPE_DECIMAL))
#define REAL_TYPES (SET_OF(TYPE_FLOAT) | SET_OF(TYPE_DOUBLE))
#define NUMBER_TYPES (EXACT_TYPES | REAL_TYPES)
#define INTEGER_TYPES (SET_OF(TYPE_INTEGER) | SET_OF(TYPE_BIGINT))
#define TIME_TYPES (SET_OF(TYPE_DATE) | SET_OF(TYPE_TIMESTAMP))
#define TEXT_TYPES (SET_OF(TYPE_STRING) | SET_OF(TYPE_BINARY))
#define CELL_TYPES (NUMBER_TYPES | TIME_TYPES | TEXT_TYPES | SET_OF(TYPE_BOOLEAN))

typedef enum output_rule {
    GIVES_BIGINT,
    GIVES_DOUBLE,
    GIVES_INPUT,
    GIVES_ARRAY, /* of the input */
    GIVES_RANGE, /* double, or the input where it is exact */
    GIVES_SUM,   /* bigint, double, decimal ten digits wider */
    GIVES_AVG    /* double, decimal four decimals longer */
} output_rule;

typedef struct aggregate_row {
    const char *name;
    const char *summary;
    uint32_t accepts;
    output_rule gives;
    /* Which family reads exact numbers and keys, which reals, which texts; `finish` alike. */
    const aggregate_family *family;
    aggregate_finish *finish;
    const aggregate_family *real_family; /* NULL: as `family` */
    aggregate_finish *real_finish;
    double parameter; /* the fixed parameter, or -1: it stands in brackets behind the name */
    aggregate_finish_tally *tallied;
} aggregate_row;

#define PARAMETER_GIVEN (-1.0)

/* The families of min, max and range are chosen in family_for(): they depend on the cells' form. */
static const aggregate_row table[] = {
    {"count", "how many values are not null", CELL_TYPES, GIVES_BIGINT, &family_count, finish_count,
     NULL, NULL, 0, NULL},
    {"sum", "the sum", NUMBER_TYPES, GIVES_SUM, &family_sum_exact, finish_sum_exact,
     &family_sum_real, finish_sum_real, 0, NULL},
    {"avg", "the mean", NUMBER_TYPES, GIVES_AVG, &family_sum_exact, finish_avg_exact,
     &family_sum_real, finish_avg_real, 0, NULL},
    {"mean", "avg", NUMBER_TYPES, GIVES_AVG, &family_sum_exact, finish_avg_exact, &family_sum_real,
     finish_avg_real, 0, NULL},
    {"min", "the smallest value", CELL_TYPES, GIVES_INPUT, &family_extremes_key, finish_min, NULL,
     NULL, 0, NULL},
    {"max", "the greatest value", CELL_TYPES, GIVES_INPUT, &family_extremes_key, finish_max, NULL,
     NULL, 0, NULL},
    {"range", "the greatest value less the smallest", NUMBER_TYPES, GIVES_RANGE,
     &family_extremes_key, finish_range, NULL, NULL, 0, NULL},
    {"stddev_pop", "the standard deviation of the values", NUMBER_TYPES, GIVES_DOUBLE,
     &family_variance, finish_stddev_pop, NULL, NULL, 0, NULL},
    {"stddev_samp", "the standard deviation, from a sample; null for one value", NUMBER_TYPES,
     GIVES_DOUBLE, &family_variance, finish_stddev_samp, NULL, NULL, 0, NULL},
    {"stddev", "stddev_samp", NUMBER_TYPES, GIVES_DOUBLE, &family_variance, finish_stddev_samp,
     NULL, NULL, 0, NULL},
    {"var_pop", "the variance of the values", NUMBER_TYPES, GIVES_DOUBLE, &family_variance,
     finish_var_pop, NULL, NULL, 0, NULL},
    {"var_samp", "the variance, from a sample; null for one value", NUMBER_TYPES, GIVES_DOUBLE,
     &family_variance, finish_var_samp, NULL, NULL, 0, NULL},
    {"variance", "var_samp", NUMBER_TYPES, GIVES_DOUBLE, &family_variance, finish_var_samp, NULL,
     NULL, 0, NULL},
    {"skewness", "the skewness; null where all values are equal", NUMBER_TYPES, GIVES_DOUBLE,
     &family_shape, finish_skewness, NULL, NULL, 0, NULL},
    {"kurtosis", "the excess kurtosis; null where all values are equal", NUMBER_TYPES, GIVES_DOUBLE,
     &family_shape, finish_kurtosis, NULL, NULL, 0, NULL},
    {"first", "the value of the oldest event, null if that is null", CELL_TYPES, GIVES_INPUT,
     &family_ends, finish_first, NULL, NULL, 0, NULL},
    {"last", "the value of the newest event, null if that is null", CELL_TYPES, GIVES_INPUT,
     &family_ends, finish_last, NULL, NULL, 0, NULL},
    {"first_nonnull", "the oldest value that is not null", CELL_TYPES, GIVES_INPUT,
     &family_ends_nonnull, finish_first, NULL, NULL, 0, NULL},
    {"last_nonnull", "the newest value that is not null", CELL_TYPES, GIVES_INPUT,
     &family_ends_nonnull, finish_last, NULL, NULL, 0, NULL},
    {"collect_list", "all values, oldest first", CELL_TYPES, GIVES_ARRAY, &family_list,
     finish_collect_list, NULL, NULL, 0, NULL},
    {"collect_set", "the distinct values", CELL_TYPES, GIVES_ARRAY, &family_bag, finish_collect_set,
     NULL, NULL, 0, NULL},
    {"count_distinct", "how many distinct values", CELL_TYPES, GIVES_BIGINT, &family_bag,
     finish_count_distinct, NULL, NULL, 0, tallied_count_distinct},
    {"approx_count_distinct", "about how many distinct values, within 5 %", CELL_TYPES,
     GIVES_BIGINT, &family_registers, finish_approx_count_distinct, NULL, NULL, 0, NULL},
    {"mode", "the most frequent value; of several the smallest", CELL_TYPES, GIVES_INPUT,
     &family_bag, finish_mode, NULL, NULL, 0, tallied_mode},
    {"most_frequent_set", "the distinct values, the most frequent first", CELL_TYPES, GIVES_ARRAY,
     &family_bag, finish_most_frequent_set, NULL, NULL, 0, NULL},
    {"sum_distinct", "the sum of the distinct values", NUMBER_TYPES, GIVES_SUM, &family_bag,
     finish_sum_distinct, NULL, NULL, 0, NULL},
    {"median", "the middle value, between two their mean", NUMBER_TYPES, GIVES_DOUBLE, &family_list,
     finish_percentile, NULL, NULL, 0.5, tallied_percentile},
    {"percentile", "percentile(p): the value below which the part p lies, interpolated",
     NUMBER_TYPES, GIVES_DOUBLE, &family_list, finish_percentile, NULL, NULL, PARAMETER_GIVEN,
     tallied_percentile},
    {"percentile_approx", "percentile_approx(p): the smallest value that p of all do not pass",
     NUMBER_TYPES | TIME_TYPES, GIVES_INPUT, &family_list, finish_percentile_approx, NULL, NULL,
     PARAMETER_GIVEN, tallied_percentile_approx},
    {"product", "the product, as a double", NUMBER_TYPES, GIVES_DOUBLE, &family_product,
     finish_product, NULL, NULL, 0, NULL},
    {"bit_and", "the bits that all values have", INTEGER_TYPES, GIVES_INPUT, &family_bit_and,
     finish_bit_and, NULL, NULL, 0, NULL},
};

#define N_ROWS (sizeof table / sizeof *table)

const char *aggregate_name(uint32_t index)
{
    return index < N_ROWS ? table[index].name : NULL;
}

const char *aggregate_summary(uint32_t index)
{
    return index < N_ROWS ? table[index].summary : NULL;
}

/* ---- preparing ----------------------------------------------------------------------------- */

/* Equal without regard to case and underscores. */
static bool names_equal(const char *a, size_t length, const char *b)
{
    const char *end = a + length;
    for (;;) {
        while (a < end && *a == '_')
            a++;
        while (*b == '_')
            b++;
        if (a == end || *b == '\0')
            return a == end && *b == '\0';
        if (tolower((unsigned char)*a++) != tolower((unsigned char)*b++))
            return false;
    }
}

static const aggregate_row *find_row(const char *name, size_t length)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (names_equal(name, length, table[i].name))
            return &table[i];
    return NULL;
}

static const aggregate_family *family_for(const aggregate_row *row, const type *input)
{
    if (row->family == &family_extremes_key && !type_has_keys(input))
        return input->kind == TYPE_DECIMAL ? &family_extremes_decimal : &family_extremes_text;
    bool real = input->kind == TYPE_FLOAT || input->kind == TYPE_DOUBLE;
    return real && row->real_family != NULL ? row->real_family : row->family;
}

static uint8_t capped(uint32_t digits)
{
    return (uint8_t)(digits > TYPE_DECIMAL_WIDTH_MAX ? TYPE_DECIMAL_WIDTH_MAX : digits);
}

/* As Spark widens them. NULL where memory is out. */
static const type *aggregate_output_type(arena *arena, output_rule rule, const type *input)
{
    bool real = input->kind == TYPE_FLOAT || input->kind == TYPE_DOUBLE;
    bool decimal = input->kind == TYPE_DECIMAL;
    switch (rule) {
    case GIVES_BIGINT: return type_simple(TYPE_BIGINT);
    case GIVES_DOUBLE: return type_simple(TYPE_DOUBLE);
    case GIVES_INPUT: return input;
    case GIVES_ARRAY: return type_array(arena, input);
    case GIVES_RANGE: return real ? type_simple(TYPE_DOUBLE) : input;
    case GIVES_SUM:
        if (decimal)
            return type_decimal(arena, capped(input->width + 10u), input->scale);
        return type_simple(real ? TYPE_DOUBLE : TYPE_BIGINT);
    case GIVES_AVG:
        if (decimal)
            return type_decimal(arena, capped(input->width + 4u), capped(input->scale + 4u));
        return type_simple(TYPE_DOUBLE);
    }
    return NULL;
}

static freshet_code unknown_function(const char *text, size_t length, freshet_error *err)
{
    const char *names[N_ROWS];
    char word[AGGREGATE_NAME_MAX + 1];
    for (size_t i = 0; i < N_ROWS; i++)
        names[i] = table[i].name;
    snprintf(word, sizeof word, "%.*s", (int)length, text);
    const char *near = text_nearest(word, names, N_ROWS);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                     "there is no aggregate function \"%s\"%s%s%s", word,
                     near == NULL ? ": docs/reference/declaration.md lists them, under Functions"
                                  : "; did you mean \"",
                     near == NULL ? "" : near, near == NULL ? "" : "\"?");
}

/* "(0.9)" behind a name; the whole rest of the text. */
static bool read_parameter(const char *text, double *parameter)
{
    const size_t length = strlen(text);
    double value;
    if (length < 2 || text[0] != '(' || text[length - 1] != ')' ||
        !number_double(text + 1, length - 2, NUMBER_BLANKS, &value) || !(value >= 0 && value <= 1))
        return false;
    *parameter = value;
    return true;
}

/* percentile(0.999) is percentile_99_9 in the name of a column. */
static const char *name_with_percent(arena *arena, const char *name, size_t length, double part)
{
    char *made = arena_format(arena, "%.*s_%.10g", (int)length, name, part * 100);
    for (char *c = made; c != NULL && *c != '\0'; c++)
        if (strchr(".,-+", *c) != NULL) /* the comma: a locale's point */
            *c = '_';
    return made;
}

/* The row that `text` names, how many of its bytes are the name, and its parameter. */
static freshet_code read_function(const char *text, const aggregate_row **out, size_t *name_length,
                                  double *parameter, freshet_error *err)
{
    size_t length = strcspn(text, "( ");
    if (length > AGGREGATE_NAME_MAX)
        length = AGGREGATE_NAME_MAX;
    const aggregate_row *row = find_row(text, length);
    if (row == NULL)
        return unknown_function(text, length, err);
    *parameter = row->parameter;
    const char *rest = text + length + strspn(text + length, " ");
    if (row->parameter == PARAMETER_GIVEN) {
        if (!read_parameter(rest, parameter))
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                             "%s needs a part from 0 to 1 in brackets, as in %s(0.9)", row->name,
                             row->name);
    } else if (*rest != '\0') {
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "%s takes no parameter: leave out \"%s\"", row->name, rest);
    }
    *out = row;
    *name_length = length;
    return FRESHET_OK;
}

freshet_code aggregate_check(const char *text, freshet_error *err)
{
    const aggregate_row *row;
    size_t length;
    double parameter;
    return read_function(text, &row, &length, &parameter, err);
}

/* What to write instead, where a function does not take a type. */
static const char *way_out(const aggregate_row *row, const type *input)
{
    if (input->n_fields > 0 || input->kind == TYPE_ARRAY)
        return "it takes single values, such as a feature above whose `sql` takes one from it";
    if (row->accepts == INTEGER_TYPES)
        return "it takes integers, such as a feature above of type bigint";
    return "it takes numbers, such as a feature above of type double";
}

freshet_code aggregate_prepare(arena *arena, const char *text, const type *input, aggregate *into,
                               freshet_error *err)
{
    const aggregate_row *row = NULL;
    size_t length = 0;
    aggregate made = {.input = input};
    freshet_code code = read_function(text, &row, &length, &made.parameter, err);
    if (code != FRESHET_OK || row == NULL)
        return code;
    if (!(row->accepts & SET_OF(input->kind))) {
        const char *type_text = type_name(arena, input);
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "%s cannot be computed of a column of type %s: %s", row->name,
                         type_text == NULL ? "?" : type_text, way_out(row, input));
    }
    made.family = family_for(row, input);
    made.finish = made.family == row->real_family ? row->real_finish : row->finish;
    made.tallied = row->tallied;
    made.output = aggregate_output_type(arena, row->gives, input);
    made.name = row->parameter == PARAMETER_GIVEN
                    ? name_with_percent(arena, text, length, made.parameter)
                    : arena_copy(arena, text, length);
    if (made.output == NULL || made.name == NULL)
        return error_memory(err, "preparing an aggregate function");
    *into = made;
    return FRESHET_OK;
}

/* ---- cells --------------------------------------------------------------------------------- */

void aggregate_load(const type *type, const void *cell, aggregate_value *out)
{
    switch (type->kind) {
    case TYPE_BOOLEAN: out->integer = *(const uint8_t *)cell; break;
    case TYPE_INTEGER:
    case TYPE_DATE: out->integer = *(const int32_t *)cell; break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: out->integer = *(const int64_t *)cell; break;
    case TYPE_FLOAT: out->real = *(const float *)cell; break;
    case TYPE_DOUBLE: out->real = *(const double *)cell; break;
    case TYPE_DECIMAL: out->decimal = *(const int128 *)cell; break;
    default: out->text = *(const cell_text *)cell; break;
    }
}

static bool keep_text(arena *arena, const cell_text *from, cell_text *into)
{
    *into = *from;
    if (from->length <= TEXT_INLINE_MAX)
        return true;
    into->as.outside.pointer = arena_copy(arena, from->as.outside.pointer, from->length);
    return into->as.outside.pointer != NULL;
}

static bool store_list(arena *arena, column *column, uint64_t row, const aggregate_value *value)
{
    struct column *elements = &column->children[0];
    uint64_t begin = column->n_elements, n = value->list.n;
    size_t size = type_cell_size(elements->type);
    if (column_reserve(arena, elements, begin + n, NULL) != FRESHET_OK)
        return false;
    if (n > 0)
        memcpy((char *)elements->data + begin * size, value->list.cells, n * size);
    if (elements->type->kind == TYPE_STRING || elements->type->kind == TYPE_BINARY) {
        cell_text *texts = (cell_text *)elements->data + begin;
        for (uint64_t i = 0; i < n; i++)
            if (!keep_text(arena, &texts[i], &texts[i]))
                return false;
    }
    ((cell_span *)column->data)[row] = (cell_span){begin, n};
    column->n_elements = begin + n;
    return true;
}

bool aggregate_store(arena *arena, column *column, uint64_t row, const aggregate_value *value)
{
    switch (column->type->kind) {
    case TYPE_BOOLEAN: ((uint8_t *)column->data)[row] = value->integer != 0; break;
    case TYPE_INTEGER:
    case TYPE_DATE: ((int32_t *)column->data)[row] = (int32_t)value->integer; break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: ((int64_t *)column->data)[row] = value->integer; break;
    case TYPE_FLOAT: ((float *)column->data)[row] = (float)value->real; break;
    case TYPE_DOUBLE: ((double *)column->data)[row] = value->real; break;
    case TYPE_DECIMAL: ((int128 *)column->data)[row] = value->decimal; break;
    case TYPE_ARRAY: return store_list(arena, column, row, value);
    default: return keep_text(arena, &value->text, &((cell_text *)column->data)[row]);
    }
    return true;
}
