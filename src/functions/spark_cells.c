/* spark_cells.c - see spark_cells.h; and the functions that take cells of any type. */
#include "functions/spark_cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "functions/mask.h"

/* ---- growing texts --------------------------------------------------------------------------- */

void put(growing *into, const char *bytes, size_t length)
{
    if (into->call->code != FRESHET_OK || length == 0)
        return;
    if (length == 0)
        return;
    if (into->length + length > into->capacity) {
        size_t capacity = (into->length + length) * 2 + 32;
        char *larger = call_memory(into->call, capacity);
        if (larger == NULL)
            return;
        if (into->length > 0)
            memcpy(larger, into->bytes, into->length);
        into->bytes = larger;
        into->capacity = capacity;
    }
    memcpy(into->bytes + into->length, bytes, length);
    into->length += length;
}

void put_text(growing *into, const char *text)
{
    put(into, text, strlen(text));
}

void give_growing(const growing *from)
{
    if (from->call->code == FRESHET_OK)
        give_text_there(from->call, from->bytes == NULL ? "" : from->bytes, from->length);
}

/* ---- numbers and times ----------------------------------------------------------------------- */

size_t java_real(double value, bool as_float, char into[JAVA_REAL_MAX])
{
    char digits[NUMBER_DIGITS_MAX];
    int point, at = 0;
    if (value != value)
        return (size_t)sprintf(into, "NaN");
    if (signbit(value))
        into[at++] = '-';
    value = fabs(value);
    if (isinf(value))
        return (size_t)at + (size_t)sprintf(into + at, "Infinity");
    if (value == 0)
        return (size_t)at + (size_t)sprintf(into + at, "0.0");
    int n = number_shortest(value, as_float, digits, &point);
    bool is_plain = value >= 1e-3 && value < 1e7;
    int before = is_plain ? point : 1; /* digits before the point */
    if (before <= 0)
        into[at++] = '0';
    for (int i = 0; i < before; i++)
        into[at++] = i < n ? digits[i] : '0';
    into[at++] = '.';
    for (int i = before; i < 0; i++)
        into[at++] = '0';
    for (int i = before < 0 ? 0 : before; i < n; i++)
        into[at++] = digits[i];
    if (n <= before)
        into[at++] = '0';
    if (!is_plain)
        at += sprintf(into + at, "E%d", point - 1);
    return (size_t)at;
}

size_t java_decimal(int128 value, unsigned scale, char into[JAVA_DECIMAL_MAX])
{
    char digits[NUMBER_DIGITS_MAX];
    size_t n = number_write_decimal(digits, value < 0 ? -value : value, 0), at = 0;
    int exponent = (int)n - 1 - (int)scale;
    if (scale == 0 || exponent >= -6)
        return number_write_decimal(into, value, scale);
    if (value < 0)
        into[at++] = '-';
    into[at++] = digits[0];
    if (n > 1) {
        into[at++] = '.';
        memcpy(into + at, digits + 1, n - 1);
        at += n - 1;
    }
    return at + (size_t)sprintf(into + at, "E%d", exponent);
}

static int write_date(int64_t days, char *into)
{
    int64_t year;
    unsigned month, day;
    date_civil(days, &year, &month, &day);
    if (year < 0)
        return sprintf(into, "-%04lld-%02u-%02u", (long long)-year, month, day);
    return sprintf(into, year > 9999 ? "+%lld-%02u-%02u" : "%04lld-%02u-%02u", (long long)year,
                   month, day);
}

/* The fraction without the zeros at its end. */
static int write_seconds(int64_t us, char *into)
{
    int64_t second = us / 1000000 - (us % 1000000 < 0), day = second / 86400 - (second % 86400 < 0);
    int of_day = (int)(second - day * 86400), fraction = (int)(us - second * 1000000);
    int n = write_date(day, into);
    n += sprintf(into + n, " %02d:%02d:%02d", of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (fraction == 0)
        return n;
    n += sprintf(into + n, ".%06d", fraction);
    while (into[n - 1] == '0')
        n--;
    return n;
}

/* ---- casts to string ------------------------------------------------------------------------- */

static void put_or_null(growing *into, const column *column, uint64_t row)
{
    if (column_is_valid(column, row))
        put_cell(into, column, row);
    else
        put_text(into, "null");
}

static void put_array(growing *into, const column *column, uint64_t row)
{
    cell_span span = ((const cell_span *)column->data)[row];
    const struct column *elements = &column->children[0];
    bool is_map = column->type->is_map;
    put(into, is_map ? "{" : "[", 1);
    for (uint64_t i = span.offset; i < span.offset + span.length; i++) {
        if (i > span.offset)
            put_text(into, ", ");
        if (is_map) {
            put_or_null(into, &elements->children[0], i);
            put_text(into, " -> ");
            put_or_null(into, &elements->children[1], i);
        } else {
            put_or_null(into, elements, i);
        }
    }
    put(into, is_map ? "}" : "]", 1);
}

static void put_struct(growing *into, const column *column, uint64_t row)
{
    put(into, "{", 1);
    for (uint32_t i = 0; i < column->type->n_fields; i++) {
        if (i > 0)
            put_text(into, ", ");
        put_or_null(into, &column->children[i], row);
    }
    put(into, "}", 1);
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
void put_cell(growing *into, const column *column, uint64_t row)
{
    char text[80];
    const void *data = column->data;
    size_t n = 0;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: put_text(into, ((const uint8_t *)data)[row] ? "true" : "false"); return;
    case TYPE_INTEGER: n = (size_t)sprintf(text, "%d", ((const int32_t *)data)[row]); break;
    case TYPE_BIGINT:
        n = (size_t)sprintf(text, "%lld", (long long)((const int64_t *)data)[row]);
        break;
    case TYPE_FLOAT: n = java_real(((const float *)data)[row], true, text); break;
    case TYPE_DOUBLE: n = java_real(((const double *)data)[row], false, text); break;
    case TYPE_DECIMAL:
        n = java_decimal(((const int128 *)data)[row], column->type->scale, text);
        break;
    case TYPE_DATE: n = (size_t)write_date(((const int32_t *)data)[row], text); break;
    case TYPE_TIMESTAMP: n = (size_t)write_seconds(((const int64_t *)data)[row], text); break;
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *cell = (const cell_text *)data + row;
        put(into, text_bytes(cell), cell->length);
        return;
    }
    case TYPE_ARRAY: put_array(into, column, row); return;
    case TYPE_STRUCT: put_struct(into, column, row); return;
    }
    put(into, text, n);
}

static void call_text(row_call *call)
{
    growing into = {.call = call};
    const column *column = &call->in->columns[0];
    if (column->type->kind == TYPE_STRING) {
        give_text_there(call, text_bytes(text_at(call, 0)), text_at(call, 0)->length);
        return;
    }
    put_cell(&into, column, call->row);
    give_growing(&into);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

void put_json_text(growing *into, const char *bytes, size_t length, bool ascii_pairs)
{
    static const char escaped[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    put(into, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        const char *special = bytes[i] == '\0' ? NULL : strchr(escaped, bytes[i]);
        char text[8];
        if (special != NULL) {
            sprintf(text, "\\%c", letters[special - escaped]);
            put(into, text, 2);
        } else if ((unsigned char)bytes[i] < 32) {
            sprintf(text, "\\u%04X", (unsigned)(unsigned char)bytes[i]);
            put(into, text, 6);
        } else if (ascii_pairs && (unsigned char)bytes[i] >= 0xF0 && length - i >= 4) {
            const char *at = bytes + i;
            uint32_t c = take_character(&at, bytes + length) - 0x10000;
            char pair[16];
            put(into, pair,
                (size_t)sprintf(pair, "\\u%04X\\u%04X", 0xD800 + (c >> 10), 0xDC00 + (c & 0x3FF)));
            i += 3;
        } else {
            put(into, bytes + i, 1);
        }
    }
    put(into, "\"", 1);
}

static void put_json_array(growing *into, const column *column, uint64_t row)
{
    cell_span span = ((const cell_span *)column->data)[row];
    const struct column *elements = &column->children[0];
    bool is_map = column->type->is_map;
    put(into, is_map ? "{" : "[", 1);
    for (uint64_t i = span.offset; i < span.offset + span.length; i++) {
        if (i > span.offset)
            put(into, ",", 1);
        if (is_map) {
            growing key = {.call = into->call};
            put_or_null(&key, &elements->children[0], i);
            put_json_text(into, key.bytes, key.length, false);
            put(into, ":", 1);
            put_json(into, &elements->children[1], i);
        } else {
            put_json(into, elements, i);
        }
    }
    put(into, is_map ? "}" : "]", 1);
}

/* Fields that are null are left out. */
static void put_json_struct(growing *into, const column *column, uint64_t row)
{
    bool any = false;
    put(into, "{", 1);
    for (uint32_t i = 0; i < column->type->n_fields; i++) {
        const char *name = column->type->fields[i].name;
        if (!column_is_valid(&column->children[i], row))
            continue;
        if (any)
            put(into, ",", 1);
        put_json_text(into, name, strlen(name), false);
        put(into, ":", 1);
        put_json(into, &column->children[i], row);
        any = true;
    }
    put(into, "}", 1);
}

static void put_json_time(growing *into, int64_t us)
{
    char text[80];
    int64_t second = us / 1000000 - (us % 1000000 < 0), day = second / 86400 - (second % 86400 < 0);
    int of_day = (int)(second - day * 86400), fraction = (int)(us - second * 1000000);
    int n = write_date(day, text);
    n += sprintf(text + n, "T%02d:%02d:%02d.%03dZ", of_day / 3600, of_day / 60 % 60, of_day % 60,
                 fraction / 1000);
    put_json_text(into, text, (size_t)n, false);
}

static void put_json_real(growing *into, double value, bool as_float)
{
    char text[JAVA_REAL_MAX];
    size_t n = java_real(value, as_float, text);
    if (isfinite(value))
        put(into, text, n);
    else
        put_json_text(into, text, n, false);
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
void put_json(growing *into, const column *column, uint64_t row)
{
    if (!column_is_valid(column, row)) {
        put_text(into, "null");
        return;
    }
    switch (column->type->kind) {
    case TYPE_FLOAT: put_json_real(into, ((const float *)column->data)[row], true); break;
    case TYPE_DOUBLE: put_json_real(into, ((const double *)column->data)[row], false); break;
    case TYPE_STRING: {
        const cell_text *text = (const cell_text *)column->data + row;
        put_json_text(into, text_bytes(text), text->length, false);
        break;
    }
    case TYPE_BINARY: {
        const cell_text *bytes = (const cell_text *)column->data + row;
        text_buffer made;
        text_init(&made, TEXT_LIMIT_DEFAULT);
        if (text_append_base64(&made, text_bytes(bytes), bytes->length))
            put_json_text(into, made.bytes == NULL ? "" : made.bytes, made.length, false);
        else
            fail_memory(into->call);
        text_release(&made);
        break;
    }
    case TYPE_DATE: {
        char text[80];
        put_json_text(into, text, (size_t)write_date(((const int32_t *)column->data)[row], text),
                      false);
        break;
    }
    case TYPE_TIMESTAMP: put_json_time(into, ((const int64_t *)column->data)[row]); break;
    case TYPE_ARRAY: put_json_array(into, column, row); break;
    case TYPE_STRUCT: put_json_struct(into, column, row); break;
    default: put_cell(into, column, row); break;
    }
}

static void call_to_json(row_call *call)
{
    growing into = {.call = call};
    put_json(&into, &call->in->columns[0], call->row);
    give_growing(&into);
}

/* ---- format_string --------------------------------------------------------------------------- */

typedef struct directive {
    bool left, zero, plus, space, group, alternate, in_brackets;
    int32_t width, precision; /* -1: none */
    int32_t argument;         /* from 1; 0: the next */
    char kind;
} directive;

static int32_t take_number(const char **at, const char *end)
{
    int32_t n = -1;
    while (*at < end && **at >= '0' && **at <= '9' && n < 10000)
        n = (n < 0 ? 0 : n) * 10 + (*(*at)++ - '0');
    return n;
}

/* Behind the %: false where it is none. */
static bool take_directive(const char **at, const char *end, directive *out)
{
    const char *begin = *at;
    *out = (directive){.width = -1, .precision = -1};
    int32_t number = take_number(at, end);
    if (number > 0 && *at < end && **at == '$' && *begin != '0') {
        out->argument = number;
        ++*at;
    } else {
        *at = begin;
    }
    for (; *at < end && strchr("-0+ ,#(", **at) != NULL && **at != '\0'; ++*at) {
        out->left |= **at == '-';
        out->zero |= **at == '0';
        out->plus |= **at == '+';
        out->space |= **at == ' ';
        out->group |= **at == ',';
        out->alternate |= **at == '#';
        out->in_brackets |= **at == '(';
    }
    out->width = take_number(at, end);
    if (*at < end && **at == '.') {
        ++*at;
        out->precision = take_number(at, end);
        if (out->precision < 0)
            return false;
    }
    if (*at == end)
        return false;
    out->kind = *(*at)++;
    return out->width < 10000 && out->precision < 10000;
}

static void put_repeated(growing *into, char c, int64_t n)
{
    for (; n > 0; n--)
        put(into, &c, 1);
}

static void put_padded(growing *into, const directive *how, const char *bytes, size_t length)
{
    int64_t missing = how->width - count_characters(bytes, length);
    if (!how->left)
        put_repeated(into, ' ', missing);
    put(into, bytes, length);
    if (how->left)
        put_repeated(into, ' ', missing);
}

/* Digits of a number without its sign: with commas, a sign, zeros in front. */
static void put_padded_number(growing *into, const directive *how, bool negative,
                              const char *digits, size_t length)
{
    growing made = {.call = into->call};
    size_t whole = 0;
    while (whole < length && digits[whole] >= '0' && digits[whole] <= '9')
        whole++;
    for (size_t i = 0; i < length; i++) {
        if (how->group && i > 0 && i < whole && (whole - i) % 3 == 0)
            put(&made, ",", 1);
        put(&made, digits + i, 1);
    }
    growing all = {.call = into->call};
    const char *sign = negative     ? (how->in_brackets ? "(" : "-")
                       : how->plus  ? "+"
                       : how->space ? " "
                                    : "";
    put_text(&all, sign);
    if (how->zero)
        put_repeated(&all, '0',
                     how->width - (int64_t)made.length - (int64_t)strlen(sign) -
                         (negative && how->in_brackets));
    put(&all, made.bytes, made.length);
    if (negative && how->in_brackets)
        put(&all, ")", 1);
    put_padded(into, how, all.bytes, all.length);
}

static bool put_integer(growing *into, const directive *how, const column *column, uint64_t row)
{
    char text[80];
    bool is_int = column->type->kind == TYPE_INTEGER;
    if (!is_int && column->type->kind != TYPE_BIGINT)
        return false;
    int64_t value =
        is_int ? ((const int32_t *)column->data)[row] : ((const int64_t *)column->data)[row];
    uint64_t bits = is_int ? (uint32_t)value : (uint64_t)value;
    if (how->kind == 'd') {
        int n = sprintf(text, "%llu",
                        (unsigned long long)(value < 0 ? -(uint64_t)value : (uint64_t)value));
        put_padded_number(into, how, value < 0, text, (size_t)n);
        return true;
    }
    const char *form = how->kind == 'o' ? "%llo" : how->kind == 'X' ? "%llX" : "%llx";
    int n = 0;
    if (how->alternate)
        n = sprintf(text, "%s", how->kind == 'o' ? "0" : how->kind == 'X' ? "0X" : "0x");
    n += sprintf(text + n, form, (unsigned long long)bits);
    directive plain = *how;
    plain.plus = plain.space = plain.group = false;
    put_padded_number(into, &plain, false, text, (size_t)n);
    return true;
}

/* The digits of a number, with room for one before them. */
typedef struct digits {
    char room[NUMBER_DIGITS_MAX + 2];
    const char *first;
    int n, point;
} digits;

/* The shortest digits that mean the number; zero has none. */
static void shortest_digits(double value, digits *out)
{
    out->first = out->room + 1;
    out->n = value == 0 ? 0 : number_shortest(value, false, out->room + 1, &out->point);
    if (value == 0)
        out->point = 0;
}

/* To so many digits, half up, as Java's Formatter does. */
static void round_digits(digits *digits, int keep)
{
    if (keep >= digits->n)
        return;
    char *room = digits->room;
    bool up = keep >= 0 && room[1 + keep] >= '5';
    digits->n = keep < 0 ? 0 : keep;
    room[0] = '0';
    for (int i = digits->n; up && i >= 0; i--) {
        up = room[i] == '9';
        room[i] = up ? '0' : (char)(room[i] + 1);
    }
    if (room[0] == '1') {
        digits->first = room;
        digits->n++;
        digits->point++;
    }
}

/* So many digits behind the point. */
static size_t write_fixed(double value, int32_t places, char *into)
{
    digits made = {0};
    size_t at = 0;
    shortest_digits(value, &made);
    round_digits(&made, made.point + places);
    if (made.point <= 0)
        into[at++] = '0';
    for (int i = 0; i < made.point; i++)
        into[at++] = i < made.n ? made.first[i] : '0';
    if (places > 0)
        into[at++] = '.';
    for (int i = made.point; i < made.point + places; i++)
        into[at++] = i >= 0 && i < made.n ? made.first[i] : '0';
    return at;
}

/* One digit, the point, so many digits, the exponent. */
static size_t write_scientific(double value, int32_t places, char letter, char *into)
{
    digits made;
    size_t at = 0;
    shortest_digits(value, &made);
    round_digits(&made, places + 1);
    int exponent = made.n == 0 ? 0 : made.point - 1;
    for (int i = 0; i <= places; i++) {
        if (i == 1)
            into[at++] = '.';
        into[at++] = i < made.n ? made.first[i] : '0';
    }
    return at +
           (size_t)sprintf(into + at, "%c%c%02d", letter, exponent < 0 ? '-' : '+', abs(exponent));
}

#define FIXED_MAX (320 + 400)

static bool put_real(growing *into, const directive *how, const column *column, uint64_t row)
{
    char text[FIXED_MAX];
    int32_t places = how->precision < 0 ? 6 : how->precision;
    double value = 0;
    if (places > 350)
        return false;
    if (column->type->kind == TYPE_DECIMAL && how->kind == 'f') {
        int128 exact = ((const int128 *)column->data)[row];
        unsigned scale = column->type->scale;
        if (scale > (unsigned)places) {
            int128 unit = number_power_of_ten(scale - (unsigned)places);
            int128 half = exact < 0 ? -unit / 2 : unit / 2;
            exact = (exact + half) / unit;
            scale = (unsigned)places;
        }
        char digits[NUMBER_DIGITS_MAX];
        size_t n = number_write_decimal(digits, exact < 0 ? -exact : exact, scale);
        memcpy(text, digits, n);
        if (scale == 0 && places > 0)
            text[n++] = '.';
        for (int32_t i = (int32_t)scale; i < places; i++)
            text[n++] = '0';
        put_padded_number(into, how, exact < 0, text, n);
        return true;
    }
    if (column->type->kind == TYPE_FLOAT)
        value = ((const float *)column->data)[row];
    else if (column->type->kind == TYPE_DOUBLE)
        value = ((const double *)column->data)[row];
    else
        return false;
    directive special = *how;
    special.zero = special.group = false;
    if (!isfinite(value)) {
        if (isnan(value))
            put_padded(into, how, "NaN", 3);
        else
            put_padded_number(into, &special, value < 0, "Infinity", 8);
        return true;
    }
    bool negative = signbit(value);
    value = fabs(value);
    if (how->kind == 'f') {
        put_padded_number(into, how, negative, text, write_fixed(value, places, text));
        return true;
    }
    put_padded_number(into, &special, negative, text,
                      write_scientific(value, places, how->kind, text));
    return true;
}

static void put_string(growing *into, const directive *how, const column *column, uint64_t row)
{
    growing made = {.call = into->call};
    if (column->type->kind == TYPE_ARRAY || column->type->kind == TYPE_STRUCT) {
        fail_row(into->call, "%%s of a format takes no array, map or struct: cast it to string");
        return;
    }
    put_or_null(&made, column, row);
    size_t length =
        how->precision < 0 ? made.length : character_at(made.bytes, made.length, how->precision);
    put_padded(into, how, made.bytes == NULL ? "" : made.bytes, length);
}

static bool put_directive(growing *into, const directive *how, const column *column, uint64_t row)
{
    if (how->kind == 's') {
        put_string(into, how, column, row);
        return true;
    }
    if (how->kind == 'b' || how->kind == 'B') {
        bool yes = column_is_valid(column, row) &&
                   (column->type->kind != TYPE_BOOLEAN || ((const uint8_t *)column->data)[row]);
        put_padded(into, how, yes ? "true" : "false", yes ? 4 : 5);
        return true;
    }
    if (strchr("doxXfeEc", how->kind) == NULL)
        return false;
    if (!column_is_valid(column, row)) {
        put_padded(into, how, "null", 4);
        return true;
    }
    if (how->kind == 'c') {
        char bytes[4];
        if (column->type->kind != TYPE_INTEGER)
            return false;
        put_padded(into, how, bytes, write_character(((const uint32_t *)column->data)[row], bytes));
        return true;
    }
    if (strchr("doxX", how->kind) != NULL)
        return put_integer(into, how, column, row);
    return put_real(into, how, column, row);
}

static void call_format(row_call *call)
{
    if (!has(call, 0)) {
        give_null(call);
        return;
    }
    const cell_text *format = text_at(call, 0);
    const char *at = text_bytes(format), *end = at + format->length;
    growing into = {.call = call};
    uint32_t next = 1;
    while (at < end && call->code == FRESHET_OK) {
        directive how;
        const char *percent = memchr(at, '%', (size_t)(end - at));
        put(&into, at, (size_t)((percent == NULL ? end : percent) - at));
        if (percent == NULL)
            break;
        at = percent + 1;
        if (!take_directive(&at, end, &how)) {
            fail_row(call, "the format \"%.*s\" has a %% that is none of Java's",
                     (int)format->length, text_bytes(format));
            return;
        }
        if (how.kind == 'n' || how.kind == '%') {
            put_padded(&into, &how, how.kind == 'n' ? "\n" : "%", 1);
            continue;
        }
        uint32_t argument = how.argument > 0 ? (uint32_t)how.argument : next++;
        if (argument >= call->in->schema.n_fields) {
            fail_row(call, "the format \"%.*s\" has more parts than there are arguments",
                     (int)format->length, text_bytes(format));
            return;
        }
        if (!put_directive(&into, &how, &call->in->columns[argument], call->row))
            fail_row(call, "the format \"%.*s\" has %%%c, which does not take argument %u",
                     (int)format->length, text_bytes(format), how.kind, argument);
    }
    give_growing(&into);
}

/* ---- format_number --------------------------------------------------------------------------- */

/* Rounded half to even, as DecimalFormat does; with commas. */
static void call_format_number(row_call *call)
{
    const column *column = &call->in->columns[0];
    int32_t places = int_at(call, 1);
    growing into = {.call = call};
    directive how = {.group = true, .width = -1};
    char text[FIXED_MAX];
    if (places < 0) {
        give_null(call);
        return;
    }
    if (places > 340)
        places = 340;
    if (column->type->kind == TYPE_DOUBLE || column->type->kind == TYPE_FLOAT) {
        double value = column->type->kind == TYPE_FLOAT ? ((const float *)column->data)[call->row]
                                                        : double_at(call, 0);
        if (!isfinite(value)) {
            put_text(&into, isnan(value) ? "NaN" : value < 0 ? "-\xE2\x88\x9E" : "\xE2\x88\x9E");
        } else {
            int n = snprintf(text, sizeof text, "%.*f", places, fabs(value));
            put_padded_number(&into, &how, signbit(value) != 0, text, (size_t)n);
        }
        give_growing(&into);
        return;
    }
    int128 value = column->type->kind == TYPE_DECIMAL  ? ((const int128 *)column->data)[call->row]
                   : column->type->kind == TYPE_BIGINT ? long_at(call, 0)
                                                       : int_at(call, 0);
    unsigned scale = column->type->kind == TYPE_DECIMAL ? column->type->scale : 0;
    bool negative = value < 0;
    if (negative)
        value = -value;
    if (scale > (unsigned)places) {
        int128 unit = number_power_of_ten(scale - (unsigned)places), rest = value % unit;
        value /= unit;
        if (rest * 2 > unit || (rest * 2 == unit && value % 2 == 1))
            value++;
        scale = (unsigned)places;
    }
    size_t n = number_write_decimal(text, value, scale);
    if (scale == 0 && places > 0)
        text[n++] = '.';
    for (int32_t i = (int32_t)scale; i < places; i++)
        text[n++] = '0';
    put_padded_number(&into, &how, negative, text, n);
    give_growing(&into);
}

/* round_decimal(decimal, places, to even): the decimal as text, of any number of digits. */
static void call_round_decimal(row_call *call)
{
    const column *column = &call->in->columns[0];
    int128 value = ((const int128 *)column->data)[call->row];
    int32_t places = int_at(call, 1), scale = column->type->scale, cut = scale - places;
    char text[NUMBER_DIGITS_MAX];
    if (cut > 38)
        value = 0;
    if (cut > 0 && value != 0) {
        int128 unit = number_power_of_ten((unsigned)cut), size = value < 0 ? -value : value;
        int128 rest = size % unit, whole = size / unit;
        if (rest > unit - rest || (rest == unit - rest && (!boolean_at(call, 2) || whole % 2 == 1)))
            whole++;
        whole *= places < 0 ? number_power_of_ten((unsigned)-places) : 1;
        scale = places < 0 ? 0 : places;
        value = value < 0 ? -whole : whole;
    }
    give_text(call, text, number_write_decimal(text, value, (unsigned)scale));
}

const sql_function spark_cells[] = {
    /* a cast to string */
    {SPARK_ROWS("spark_text", "string", call_text), .arguments = {SQL_ANY}},
    {SPARK_ROWS("spark_to_json", "string", call_to_json), .arguments = {SQL_ANY}},
    /* a format of java.util.Formatter and what it takes */
    {SPARK_ROWS_NULLS("spark_format", "string", call_format), .is_variadic = true,
     .arguments = {"string", SQL_ANY}},
    {SPARK_ROWS("spark_format_number", "string", call_format_number),
     .arguments = {SQL_ANY, "integer"}},
    {SPARK_ROWS("spark_round_decimal", "string", call_round_decimal),
     .arguments = {SQL_ANY, "integer", "boolean"}},
    {.name = NULL},
};
