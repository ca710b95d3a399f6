/* kafka_message.c - see kafka_message.h. */
#include "writers/kafka/kafka_message.h"

#include <math.h>
#include <string.h>

#include "base/number.h"

#define MILLION INT64_C(1000000)

static void append_integer(text_buffer *into, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    text_append(into, digits + at, sizeof digits - at);
}

/* The digits with the point behind the first `whole` of them; 0 where none are left. */
static void append_pointed(text_buffer *into, const char *digits, int n, int whole)
{
    for (int i = 0; i < whole; i++)
        text_append_char(into, i < n ? digits[i] : '0');
    text_append_char(into, '.');
    if (whole < n)
        text_append(into, digits + whole, (size_t)(n - whole));
    else
        text_append_char(into, '0');
}

void kafka_message_real(text_buffer *into, double value, bool as_float)
{
    char digits[NUMBER_DIGITS_MAX];
    int point = 0;

    if (isnan(value)) {
        text_append_c(into, "NaN");
        return;
    }
    if (signbit(value) != 0)
        text_append_char(into, '-');
    value = fabs(value);
    if (isinf(value)) {
        text_append_c(into, "Infinity");
    } else if (value == 0) {
        text_append_c(into, "0.0");
    } else {
        const int n = number_shortest(value, as_float, digits, &point);
        if (value >= 1e-3 && value < 1e7 && point > 0) {
            append_pointed(into, digits, n, point);
        } else if (value >= 1e-3 && value < 1e7) {
            text_append(into, "0.000", (size_t)(2 - point));
            text_append(into, digits, (size_t)n);
        } else {
            append_pointed(into, digits, n, 1);
            text_append_char(into, 'E');
            append_integer(into, point - 1);
        }
    }
}

/* 2024-05-01T12:00:00.123Z: what is finer than a millisecond is cut off, as Spark does. */
static void append_time(text_buffer *into, int64_t time_us)
{
    int64_t days = time_us / (86400 * MILLION), rest = time_us % (86400 * MILLION);
    char time[16] = "T00:00:00.000Z";

    if (rest < 0) {
        rest += 86400 * MILLION;
        days--;
    }
    const int second = (int)(rest / MILLION), milli = (int)(rest % MILLION / 1000);
    const int parts[] = {second / 3600, second / 60 % 60, second % 60};
    for (int i = 0; i < 3; i++) {
        time[1 + 3 * i] = (char)('0' + parts[i] / 10);
        time[2 + 3 * i] = (char)('0' + parts[i] % 10);
    }
    time[10] = (char)('0' + milli / 100);
    time[11] = (char)('0' + milli / 10 % 10);
    time[12] = (char)('0' + milli % 10);
    text_append_date(into, (int32_t)days);
    text_append(into, time, 14);
}

/* Whether the cell's text stands in quotes in JSON. */
static bool is_quoted(const column *column, uint64_t row)
{
    switch (column->type->kind) {
    case TYPE_FLOAT: return !isfinite(((const float *)column->data)[row]);
    case TYPE_DOUBLE: return !isfinite(((const double *)column->data)[row]);
    case TYPE_BINARY:
    case TYPE_DATE:
    case TYPE_TIMESTAMP: return true;
    default: return false;
    }
}

static void append_value(text_buffer *into, const column *column, uint64_t row);

static void append_fields(text_buffer *into, const column *columns, const field *fields, uint32_t n,
                          uint64_t row)
{
    const char *between = "";

    text_append_char(into, '{');
    for (uint32_t i = 0; i < n; i++) {
        if (!column_is_valid(&columns[i], row))
            continue;
        text_append_c(into, between);
        text_append_json(into, fields[i].name, strlen(fields[i].name));
        text_append_char(into, ':');
        append_value(into, &columns[i], row);
        between = ",";
    }
    text_append_char(into, '}');
}

static void append_array(text_buffer *into, const column *column, uint64_t row)
{
    const cell_span span = ((const cell_span *)column->data)[row];

    text_append_char(into, '[');
    for (uint64_t i = 0; i < span.length; i++) {
        if (i > 0)
            text_append_char(into, ',');
        append_value(into, &column->children[0], span.offset + i);
    }
    text_append_char(into, ']');
}

static void append_plain(text_buffer *into, const column *column, uint64_t row)
{
    const cell_text *text = (const cell_text *)column->data + row;
    char decimal[NUMBER_DIGITS_MAX];

    switch (column->type->kind) {
    case TYPE_BOOLEAN:
        text_append_c(into, ((const uint8_t *)column->data)[row] ? "true" : "false");
        break;
    case TYPE_INTEGER: append_integer(into, ((const int32_t *)column->data)[row]); break;
    case TYPE_BIGINT: append_integer(into, ((const int64_t *)column->data)[row]); break;
    case TYPE_FLOAT:
        kafka_message_real(into, (double)((const float *)column->data)[row], true);
        break;
    case TYPE_DOUBLE: kafka_message_real(into, ((const double *)column->data)[row], false); break;
    case TYPE_STRING: text_append(into, text_bytes(text), text->length); break;
    case TYPE_BINARY: text_append_base64(into, text_bytes(text), text->length); break;
    case TYPE_DATE: text_append_date(into, ((const int32_t *)column->data)[row]); break;
    case TYPE_TIMESTAMP: append_time(into, ((const int64_t *)column->data)[row]); break;
    case TYPE_DECIMAL:
        text_append(into, decimal,
                    number_write_decimal(decimal, ((const int128 *)column->data)[row],
                                         column->type->scale));
        break;
    case TYPE_ARRAY: append_array(into, column, row); break;
    case TYPE_STRUCT:
        append_fields(into, column->children, column->type->fields, column->type->n_fields, row);
        break;
    }
}

static void append_value(text_buffer *into, const column *column, uint64_t row)
{
    const cell_text *text = (const cell_text *)column->data + row;

    if (!column_is_valid(column, row)) { /* inside an array */
        text_append_c(into, "null");
    } else if (column->type->kind == TYPE_STRING) {
        text_append_json(into, text_bytes(text), text->length);
    } else {
        const bool quoted = is_quoted(column, row);
        if (quoted)
            text_append_char(into, '"');
        append_plain(into, column, row);
        if (quoted)
            text_append_char(into, '"');
    }
}

void kafka_message_value(const batch *rows, uint32_t row, text_buffer *into)
{
    append_fields(into, rows->columns, rows->schema.fields, rows->schema.n_fields, row);
}

void kafka_message_text(const column *column, uint32_t row, text_buffer *into)
{
    append_plain(into, column, row);
}

void kafka_message_object(const batch *rows, const uint32_t *columns, uint32_t n, uint32_t row,
                          text_buffer *into)
{
    text_append_char(into, '{');
    for (uint32_t i = 0; i < n; i++) {
        const char *name = rows->schema.fields[columns[i]].name;
        if (i > 0)
            text_append_char(into, ',');
        text_append_json(into, name, strlen(name));
        text_append_char(into, ':');
        append_value(into, &rows->columns[columns[i]], row);
    }
    text_append_char(into, '}');
}
