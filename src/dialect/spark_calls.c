/* spark_calls.c - functions in C that the dialect's SQL calls: casts, wrapping sums, quotients.
 *
 * Each is of columns (sql_function in sql/sql.h): nulls are dealt with, only their cells are
 * skipped. Casts of texts give null where the text is no such value, as Spark does with ANSI off.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cast_text.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "dialect/spark_internal.h"

#define SECOND_US INT64_C(1000000)
#define DECIMAL_WIDTH 38

/* A function of one argument: a loop over the rows with both cells at hand. */
#define EACH_ROW_1(name, A, R, ...)                                                 \
    static freshet_code name(void *context, const batch *arguments, column *result, \
                             freshet_error *err)                                    \
    {                                                                               \
        const column *column_a = &arguments->columns[0];                            \
        const A *cells_a = column_a->data;                                          \
        R *into = result->data;                                                     \
        (void)context;                                                              \
        (void)err;                                                                  \
        for (uint32_t row = 0; row < arguments->n_rows; row++) {                    \
            if (!column_is_valid(column_a, row))                                    \
                continue;                                                           \
            const A a = cells_a[row];                                               \
            __VA_ARGS__                                                             \
        }                                                                           \
        return FRESHET_OK;                                                          \
    }

#define EACH_ROW_2(name, A, R, ...)                                                          \
    static freshet_code name(void *context, const batch *arguments, column *result,          \
                             freshet_error *err)                                             \
    {                                                                                        \
        const column *column_a = &arguments->columns[0], *column_b = &arguments->columns[1]; \
        const A *cells_a = column_a->data, *cells_b = column_b->data;                        \
        R *into = result->data;                                                              \
        (void)context;                                                                       \
        (void)err;                                                                           \
        for (uint32_t row = 0; row < arguments->n_rows; row++) {                             \
            const A a = cells_a[row], b = cells_b[row];                                      \
            __VA_ARGS__                                                                      \
        }                                                                                    \
        return FRESHET_OK;                                                                   \
    }

/* The result of the row is null. */
#define NULL_ROW                                             \
    {                                                        \
        if (!column_set_null(arguments->arena, result, row)) \
            return error_memory(err, "computing a column");  \
        continue;                                            \
    }

/* ---- whole numbers that wrap (the cell of a null is zero bytes) ---- */

EACH_ROW_2(add_int, int32_t, int32_t, into[row] = (int32_t)((uint32_t)a + (uint32_t)b);)
EACH_ROW_2(subtract_int, int32_t, int32_t, into[row] = (int32_t)((uint32_t)a - (uint32_t)b);)
EACH_ROW_2(multiply_int, int32_t, int32_t, into[row] = (int32_t)((uint32_t)a * (uint32_t)b);)
EACH_ROW_2(add_bigint, int64_t, int64_t, into[row] = (int64_t)((uint64_t)a + (uint64_t)b);)
EACH_ROW_2(subtract_bigint, int64_t, int64_t, into[row] = (int64_t)((uint64_t)a - (uint64_t)b);)
EACH_ROW_2(multiply_bigint, int64_t, int64_t, into[row] = (int64_t)((uint64_t)a * (uint64_t)b);)

/* Cut off towards zero; the least number by -1 wraps. */
EACH_ROW_2(whole_quotient, int64_t, int64_t,
           if (b == 0) NULL_ROW into[row] = b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;)

/* Rounded down. */
EACH_ROW_2(floor_divide, int64_t, int64_t,
           if (b == 0) NULL_ROW into[row] = a / b - (a % b != 0 && (a < 0) != (b < 0));)

/* ---- decimals of 38 digits without a point ---- */

/* a * 10^shift / b, rounded half up; false: it has more than 38 digits. */
static bool quotient(int128 a, int128 b, int32_t shift, int128 *out)
{
    const bool negative = (a < 0) != (b < 0);
    const uint128 most = (uint128)number_power_of_ten(DECIMAL_WIDTH);
    uint128 top = (uint128)(a < 0 ? -a : a), by = (uint128)(b < 0 ? -b : b);
    uint128 result = top / by, rest = top % by;
    for (; shift > 0; shift--) { /* rest * 10 is added up, since it may not fit */
        unsigned digit = 0;
        uint128 next = 0;
        for (int i = 0; i < 10; i++) {
            next += rest;
            if (next >= by) {
                next -= by;
                digit++;
            }
        }
        if (result > most / 10)
            return false;
        result = result * 10 + digit;
        rest = next;
    }
    if (rest >= by - rest)
        result++;
    if (result >= most)
        return false;
    *out = negative ? -(int128)result : (int128)result;
    return true;
}

static freshet_code decimal_quotient(void *context, const batch *arguments, column *result,
                                     freshet_error *err)
{
    const int128 *a = arguments->columns[0].data, *b = arguments->columns[1].data;
    const int32_t *shift = arguments->columns[2].data;
    (void)context;
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(&arguments->columns[0], row) ||
            !column_is_valid(&arguments->columns[1], row))
            continue;
        if (b[row] == 0 || shift[row] < 0 ||
            !quotient(a[row], b[row], shift[row], (int128 *)result->data + row))
            NULL_ROW
    }
    return FRESHET_OK;
}

static freshet_code decimal_whole(void *context, const batch *arguments, column *result,
                                  freshet_error *err)
{
    const int128 *a = arguments->columns[0].data, *b = arguments->columns[1].data;
    (void)context;
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(&arguments->columns[0], row) ||
            !column_is_valid(&arguments->columns[1], row))
            continue;
        if (b[row] == 0)
            NULL_ROW((int128 *)result->data)[row] = a[row] / b[row];
    }
    return FRESHET_OK;
}

/* ---- reals as whole numbers and times ---- */

EACH_ROW_1(real_to_int, double, int32_t,
           into[row] = isnan(a)             ? 0
                       : a >= 2147483647.0  ? INT32_MAX
                       : a <= -2147483648.0 ? INT32_MIN
                                            : (int32_t)a;)

static int64_t real_to_whole(double a)
{
    return isnan(a)                      ? 0
           : a >= 9223372036854775807.0  ? INT64_MAX
           : a <= -9223372036854775808.0 ? INT64_MIN
                                         : (int64_t)a;
}

EACH_ROW_1(real_to_bigint, double, int64_t, into[row] = real_to_whole(a);)

EACH_ROW_1(real_to_timestamp, double, int64_t,
           if (isnan(a) || isinf(a)) NULL_ROW into[row] = real_to_whole(a * 1e6);)

EACH_ROW_1(seconds_to_timestamp, int64_t, int64_t,
           into[row] = a > INT64_MAX / SECOND_US   ? INT64_MAX
                       : a < INT64_MIN / SECOND_US ? INT64_MIN
                                                   : a * SECOND_US;)

/* ---- texts as values ---- */

EACH_ROW_1(text_to_int, cell_text, int32_t, int64_t value;
           if (!number_integer(text_bytes(&a), a.length, NUMBER_SPARK, INT32_MIN, INT32_MAX,
                               &value)) NULL_ROW into[row] = (int32_t)value;)

EACH_ROW_1(text_to_bigint, cell_text, int64_t,
           if (!number_integer(text_bytes(&a), a.length, NUMBER_SPARK, INT64_MIN, INT64_MAX,
                               into + row)) NULL_ROW)

/* Java takes 1.5d and 1.5f, and a number that is too large for Infinity. */
static bool java_double(const char *text, size_t length, double *out)
{
    char copy[400];
    number_trim(&text, &length);
    if (number_double(text, length, NUMBER_SPARK, out))
        return true;
    if (length > 1 && strchr("dDfF", text[length - 1]) != NULL &&
        (number_is_digit(text[length - 2]) || text[length - 2] == '.')) {
        length--;
        if (number_double(text, length, NUMBER_SPARK, out))
            return true;
    }
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strspn(copy, "+-0123456789.eE") != length || strpbrk(copy, "0123456789") == NULL)
        return false;
    char *end;
    *out = strtod(copy, &end);
    return *end == '\0' && isinf(*out);
}

EACH_ROW_1(text_to_double, cell_text, double,
           if (!java_double(text_bytes(&a), a.length, into + row)) NULL_ROW)

EACH_ROW_1(
    text_to_float, cell_text, float, double value = 0;
    if (!number_float(text_bytes(&a), a.length, NUMBER_SPARK, into + row)) {
        if (!java_double(text_bytes(&a), a.length, &value))
            NULL_ROW
        into[row] = (float)value;
    })

EACH_ROW_1(text_to_boolean, cell_text, uint8_t,
           if (!cast_read_boolean(text_bytes(&a), a.length, into + row)) NULL_ROW)

/* A time of day alone is today's in Spark; where only hours stand, minutes are put behind them. */
static bool java_timestamp(const char *text, size_t length, int64_t *us, bool *is_of_today)
{
    char copy[100];
    number_trim(&text, &length);
    *is_of_today = false;
    if (timestamp_parse(text, length, us))
        return true;
    size_t at = length > 0 && *text == 'T', digits = 0;
    while (at + digits < length && number_is_digit(text[at + digits]))
        digits++;
    *is_of_today = at + digits < length && digits > 0 && digits <= 2 && text[at + digits] == ':';
    for (at = 0; at < length && text[at] != ' ' && text[at] != 'T';)
        at++;
    for (digits = 0; at + 1 + digits < length && number_is_digit(text[at + 1 + digits]);)
        digits++;
    if (digits == 0 || digits > 2 || length + 4 > sizeof copy ||
        (at + 1 + digits < length && text[at + 1 + digits] == ':'))
        return false;
    const size_t head = at + 1 + digits;
    const int n = snprintf(copy, sizeof copy, "%.*s:00%.*s", (int)head, text, (int)(length - head),
                           text + head);
    return n == (int)(length + 3) && timestamp_parse(copy, length + 3, us);
}

EACH_ROW_1(
    text_to_timestamp, cell_text, int64_t, bool is_of_today;
    if (!java_timestamp(text_bytes(&a), a.length, into + row, &is_of_today)) {
        if (is_of_today)
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "the time of day \"%.*s\" has no date, and would be today's: "
                             "put a date before it",
                             (int)(a.length < 40 ? a.length : 40), text_bytes(&a));
        NULL_ROW
    })

/* [+-]yyyy[-m[m][-d[d][T or blank, and anything]]] */
static bool java_date(const char *text, size_t length, int32_t *days)
{
    number_trim(&text, &length);
    size_t at = length > 0 && (*text == '-' || *text == '+'), end = at;
    int dashes = 0;
    while (end < length && (number_is_digit(text[end]) || text[end] == '-')) {
        dashes += text[end] == '-';
        end++;
    }
    if (dashes == 2 && end < length && (text[end] == ' ' || text[end] == 'T'))
        length = end;
    return end == length && at < end && date_parse(text, length, days);
}

EACH_ROW_1(text_to_date, cell_text, int32_t,
           if (!java_date(text_bytes(&a), a.length, into + row)) NULL_ROW)

/* ---- values as texts ---- */

static bool put_text(const batch *arguments, column *result, uint32_t row, const char *text,
                     size_t length)
{
    const char *copy =
        length <= TEXT_INLINE_MAX ? text : arena_copy(arguments->arena, text, length);
    if (copy != NULL)
        ((cell_text *)result->data)[row] = text_of(copy, (uint32_t)length);
    return copy != NULL;
}

#define TEXT_ROW(text, length)                                    \
    {                                                             \
        if (!put_text(arguments, result, row, text, length))      \
            return error_memory(err, "writing a column as text"); \
        (void)into;                                               \
    }

EACH_ROW_1(double_text, double, cell_text, char text[CAST_TEXT_MAX];
           const size_t length = cast_write_double(text, a); TEXT_ROW(text, length))

EACH_ROW_1(float_text, float, cell_text, char text[CAST_TEXT_MAX];
           const size_t length = cast_write_float(text, a); TEXT_ROW(text, length))

EACH_ROW_1(date_text, int32_t, cell_text, char text[CAST_TEXT_MAX];
           const size_t length = cast_write_date(text, a); TEXT_ROW(text, length))

EACH_ROW_1(timestamp_text, int64_t, cell_text, char text[CAST_TEXT_MAX];
           const size_t length = cast_write_timestamp(text, a); TEXT_ROW(text, length))

/* The text where it is a plain number of Spark's, trimmed, for DuckDB's cast to decimals. */
static freshet_code decimal_text(void *context, const batch *arguments, column *result,
                                 freshet_error *err)
{
    const cell_text *cells = arguments->columns[0].data;
    (void)context;
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(&arguments->columns[0], row))
            continue;
        const char *text = text_bytes(&cells[row]);
        size_t length = cells[row].length;
        number_trim(&text, &length);
        char digits[CAST_TEXT_MAX * 2 + 80];
        double value;
        if (length == 0 || length > 150 || !number_double(text, length, NUMBER_STRICT, &value) ||
            !isfinite(value))
            NULL_ROW
        /* DuckDB cuts an exponent's digits: the number is written out. */
        int128 whole;
        unsigned scale = 37;
        while (scale > 0 &&
               !number_decimal(text, length, NUMBER_STRICT, DECIMAL_WIDTH, scale, &whole))
            scale--;
        if (scale == 0 && !number_decimal(text, length, NUMBER_STRICT, DECIMAL_WIDTH, 0, &whole))
            NULL_ROW
        const size_t n = number_write_decimal(digits, whole, scale);
        if (!put_text(arguments, result, row, digits, n))
            return error_memory(err, "writing a column as text");
    }
    return FRESHET_OK;
}

/* A decimal's text as Java's BigDecimal writes it: 1E-7, where it is small and its scale large. */
static size_t java_decimal(const char *text, size_t length, char *into)
{
    char digits[80];
    size_t n = 0, scale = 0, first = 0;
    bool behind = false;
    const bool negative = length > 0 && *text == '-';
    for (size_t i = negative; i < length && n < sizeof digits; i++) {
        if (text[i] == '.')
            behind = true;
        else
            digits[n++] = text[i];
        scale += behind && text[i] != '.';
    }
    while (first + 1 < n && digits[first] == '0')
        first++;
    const long exponent = (long)(n - first) - 1 - (long)scale;
    char *at = into;
    if (negative)
        *at++ = '-';
    if (exponent >= -6 || scale == 0) {
        if (text[negative] == '.') /* DuckDB leaves out the zero where all digits stand behind */
            *at++ = '0';
        memcpy(at, text + negative, length - negative);
        return (size_t)(at - into) + length - negative;
    }
    *at++ = digits[first++];
    if (first < n)
        *at++ = '.';
    while (first < n)
        *at++ = digits[first++];
    *at++ = 'E';
    at += cast_write_bigint(at, exponent);
    return (size_t)(at - into);
}

EACH_ROW_1(java_decimal_text, cell_text, cell_text, char text[120];
           if (a.length > 60)
               NULL_ROW const size_t length = java_decimal(text_bytes(&a), a.length, text);
           TEXT_ROW(text, length))

/* ---- all of them ---- */

static const sql_function functions[] = {
    {.name = "spark_add_int",
     .returns = "integer",
     .arguments = {"integer", "integer"},
     .call = add_int},
    {.name = "spark_subtract_int",
     .returns = "integer",
     .arguments = {"integer", "integer"},
     .call = subtract_int},
    {.name = "spark_multiply_int",
     .returns = "integer",
     .arguments = {"integer", "integer"},
     .call = multiply_int},
    {.name = "spark_add_bigint",
     .returns = "bigint",
     .arguments = {"bigint", "bigint"},
     .call = add_bigint},
    {.name = "spark_subtract_bigint",
     .returns = "bigint",
     .arguments = {"bigint", "bigint"},
     .call = subtract_bigint},
    {.name = "spark_multiply_bigint",
     .returns = "bigint",
     .arguments = {"bigint", "bigint"},
     .call = multiply_bigint},
    {.name = "spark_whole_quotient",
     .returns = "bigint",
     .arguments = {"bigint", "bigint"},
     .call = whole_quotient},
    {.name = "spark_floor_divide",
     .returns = "bigint",
     .arguments = {"bigint", "bigint"},
     .call = floor_divide},
    {.name = "spark_decimal_quotient",
     .returns = "decimal(38,0)",
     .arguments = {"decimal(38,0)", "decimal(38,0)", "integer"},
     .call = decimal_quotient},
    {.name = "spark_decimal_whole",
     .returns = "decimal(38,0)",
     .arguments = {"decimal(38,0)", "decimal(38,0)"},
     .call = decimal_whole},
    {.name = "spark_real_to_int",
     .returns = "integer",
     .arguments = {"double"},
     .call = real_to_int},
    {.name = "spark_real_to_bigint",
     .returns = "bigint",
     .arguments = {"double"},
     .call = real_to_bigint},
    {.name = "spark_real_to_timestamp",
     .returns = "timestamp",
     .arguments = {"double"},
     .call = real_to_timestamp},
    {.name = "spark_seconds_to_timestamp",
     .returns = "timestamp",
     .arguments = {"bigint"},
     .call = seconds_to_timestamp},
    {.name = "spark_text_to_int",
     .returns = "integer",
     .arguments = {"string"},
     .call = text_to_int},
    {.name = "spark_text_to_bigint",
     .returns = "bigint",
     .arguments = {"string"},
     .call = text_to_bigint},
    {.name = "spark_text_to_double",
     .returns = "double",
     .arguments = {"string"},
     .call = text_to_double},
    {.name = "spark_text_to_float",
     .returns = "float",
     .arguments = {"string"},
     .call = text_to_float},
    {.name = "spark_text_to_boolean",
     .returns = "boolean",
     .arguments = {"string"},
     .call = text_to_boolean},
    {.name = "spark_text_to_timestamp",
     .returns = "timestamp",
     .arguments = {"string"},
     .call = text_to_timestamp},
    {.name = "spark_text_to_date",
     .returns = "date",
     .arguments = {"string"},
     .call = text_to_date},
    {.name = "spark_double_text",
     .returns = "string",
     .arguments = {"double"},
     .call = double_text},
    {.name = "spark_float_text", .returns = "string", .arguments = {"float"}, .call = float_text},
    {.name = "spark_date_text", .returns = "string", .arguments = {"date"}, .call = date_text},
    {.name = "spark_timestamp_text",
     .returns = "string",
     .arguments = {"timestamp"},
     .call = timestamp_text},
    {.name = "spark_decimal_text",
     .returns = "string",
     .arguments = {"string"},
     .call = decimal_text},
    {.name = "spark_java_decimal",
     .returns = "string",
     .arguments = {"string"},
     .call = java_decimal_text},
};

freshet_code spark_calls_create(sql_session *session, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (size_t i = 0; code == FRESHET_OK && i < sizeof functions / sizeof *functions; i++)
        code = sql_function_add(session, &functions[i], err);
    return code;
}
