/* cast.c - see cast.h.
 *
 * One kernel per pair of types, in a table: a loop over all cells of a column that writes the new
 * cells and reports the rows that failed. Kernels between numbers look at null cells, too: these
 * are zero and cast to zero; kernels from and to text skip them. The bitmap of failed rows is made
 * at the first failure; afterwards it is taken out of the bitmap of validity.
 */
#include "features/cast.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "features/cast_text.h"

#define MICROSECONDS INT64_C(1000000)
#define MICROSECONDS_A_DAY INT64_C(86400000000)
#define CASTING "casting a column"

typedef struct casting {
    arena *arena;
    const column *from;
    column *into;
    uint64_t n;
    uint64_t *failed;
    bool out_of_memory;
} casting;

typedef void kernel(casting *casting);

static uint64_t *bitmap_new(arena *arena, uint64_t n, int byte)
{
    size_t size = (n + 63) / 64 * sizeof(uint64_t);
    uint64_t *bits = arena_alloc(arena, size);
    if (bits != NULL)
        memset(bits, byte, size);
    return bits;
}

static void cast_fail(casting *casting, uint64_t row)
{
    if (casting->failed == NULL)
        casting->failed = bitmap_new(casting->arena, casting->n, 0);
    if (casting->failed == NULL)
        casting->out_of_memory = true;
    else
        casting->failed[row >> 6] |= UINT64_C(1) << (row & 63);
}

/* ---- between numbers, times and booleans ----------------------------------------------------- */

/* A kernel over all cells: `value` is the cell, FITS says whether it can be cast, RESULT is what
 * it becomes. */
#define KERNEL(NAME, FROM, TO, FITS, RESULT)                                     \
    static void NAME(casting *casting)                                           \
    {                                                                            \
        const FROM *from = casting->from->data;                                  \
        TO *into = casting->into->data; /* NOLINT(bugprone-macro-parentheses) */ \
        for (uint64_t row = 0; row < casting->n; row++) {                        \
            const FROM value = from[row];                                        \
            if (FITS)                                                            \
                into[row] = (TO)(RESULT);                                        \
            else                                                                 \
                cast_fail(casting, row);                                         \
        }                                                                        \
    }

#define FITS_INTEGER(value) ((value) >= INT32_MIN && (value) <= INT32_MAX)
/* What is cut off towards zero may be just beyond the ends. False for NaN. */
#define REAL_FITS_INTEGER(value) ((double)(value) > -2147483649.0 && (double)(value) < 2147483648.0)
#define REAL_FITS_BIGINT(value) \
    ((double)(value) >= -9223372036854775808.0 && (double)(value) < 9223372036854775808.0)
#define FITS_FLOAT(value) (isinf(value) || !isinf((float)(value)))

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

KERNEL(boolean_to_integer, uint8_t, int32_t, true, value)
KERNEL(boolean_to_bigint, uint8_t, int64_t, true, value)
KERNEL(boolean_to_float, uint8_t, float, true, value)
KERNEL(boolean_to_double, uint8_t, double, true, value)
KERNEL(boolean_to_timestamp, uint8_t, int64_t, true, value)

KERNEL(integer_to_boolean, int32_t, uint8_t, true, value != 0)
KERNEL(integer_to_bigint, int32_t, int64_t, true, value)
KERNEL(integer_to_float, int32_t, float, true, value)
KERNEL(integer_to_double, int32_t, double, true, value)
KERNEL(integer_to_timestamp, int32_t, int64_t, true, value *MICROSECONDS)

KERNEL(bigint_to_boolean, int64_t, uint8_t, true, value != 0)
KERNEL(bigint_to_integer, int64_t, int32_t, FITS_INTEGER(value), value)
KERNEL(bigint_to_float, int64_t, float, true, value)
KERNEL(bigint_to_double, int64_t, double, true, value)
KERNEL(bigint_to_timestamp, int64_t, int64_t,
       value >= INT64_MIN / MICROSECONDS && value <= INT64_MAX / MICROSECONDS, value *MICROSECONDS)

KERNEL(float_to_boolean, float, uint8_t, true, value != 0)
KERNEL(float_to_integer, float, int32_t, REAL_FITS_INTEGER(value), value)
KERNEL(float_to_bigint, float, int64_t, REAL_FITS_BIGINT(value), value)
KERNEL(float_to_double, float, double, true, value)
KERNEL(float_to_timestamp, float, int64_t, REAL_FITS_BIGINT((double)value * 1e6),
       (double)value * 1e6)

KERNEL(double_to_boolean, double, uint8_t, true, value != 0)
KERNEL(double_to_integer, double, int32_t, REAL_FITS_INTEGER(value), value)
KERNEL(double_to_bigint, double, int64_t, REAL_FITS_BIGINT(value), value)
KERNEL(double_to_float, double, float, FITS_FLOAT(value), value)
KERNEL(double_to_timestamp, double, int64_t, REAL_FITS_BIGINT(value * 1e6), value * 1e6)

KERNEL(timestamp_to_boolean, int64_t, uint8_t, true, value != 0)
KERNEL(timestamp_to_integer, int64_t, int32_t, FITS_INTEGER(floor_divide(value, MICROSECONDS)),
       floor_divide(value, MICROSECONDS))
KERNEL(timestamp_to_bigint, int64_t, int64_t, true, floor_divide(value, MICROSECONDS))
KERNEL(timestamp_to_float, int64_t, float, true, (double)value / 1e6)
KERNEL(timestamp_to_double, int64_t, double, true, (double)value / 1e6)
KERNEL(timestamp_to_date, int64_t, int32_t, true, floor_divide(value, MICROSECONDS_A_DAY))

KERNEL(date_to_timestamp, int32_t, int64_t,
       value >= INT64_MIN / MICROSECONDS_A_DAY && value <= INT64_MAX / MICROSECONDS_A_DAY,
       value *MICROSECONDS_A_DAY)

/* ---- decimals -------------------------------------------------------------------------------- */

KERNEL(decimal_to_boolean, int128, uint8_t, true, value != 0)

static void decimal_to_integer(casting *casting)
{
    const int128 *from = casting->from->data;
    int32_t *into = casting->into->data;
    int128 one = number_power_of_ten(casting->from->type->scale);
    for (uint64_t row = 0; row < casting->n; row++) {
        int128 whole = from[row] / one;
        if (FITS_INTEGER(whole))
            into[row] = (int32_t)whole;
        else
            cast_fail(casting, row);
    }
}

/* The decimal in units of 1 / `units`, cut off towards zero. */
static void decimal_to_whole(casting *casting, int64_t units)
{
    const int128 *from = casting->from->data;
    int64_t *into = casting->into->data;
    int128 one = number_power_of_ten(casting->from->type->scale);
    for (uint64_t row = 0; row < casting->n; row++) {
        int128 value = from[row] / one;
        int128 fraction = from[row] % one;
        /* A fraction of more than 31 digits loses the last ones, so that the product fits. */
        int128 part = casting->from->type->scale <= 31
                          ? fraction * units / one
                          : fraction / 10000000 * units / (one / 10000000);
        if (value > INT64_MAX || value < INT64_MIN) {
            cast_fail(casting, row);
            continue;
        }
        value = value * units + part;
        if (value >= INT64_MIN && value <= INT64_MAX)
            into[row] = (int64_t)value;
        else
            cast_fail(casting, row);
    }
}

static void decimal_to_bigint(casting *casting)
{
    decimal_to_whole(casting, 1);
}

static void decimal_to_timestamp(casting *casting)
{
    decimal_to_whole(casting, MICROSECONDS);
}

static void decimal_to_float(casting *casting)
{
    const int128 *from = casting->from->data;
    float *into = casting->into->data;
    for (uint64_t row = 0; row < casting->n; row++)
        into[row] = number_float_of_decimal(from[row], casting->from->type->scale);
}

static void decimal_to_double(casting *casting)
{
    const int128 *from = casting->from->data;
    double *into = casting->into->data;
    for (uint64_t row = 0; row < casting->n; row++)
        into[row] = number_double_of_decimal(from[row], casting->from->type->scale);
}

/* A kernel from a number that is `value` times 10^-SCALE. */
#define TO_DECIMAL(NAME, FROM, SCALE)                                                  \
    static void NAME(casting *casting)                                                 \
    {                                                                                  \
        const FROM *from = casting->from->data;                                        \
        int128 *into = casting->into->data;                                            \
        const type *type = casting->into->type;                                        \
        for (uint64_t row = 0; row < casting->n; row++)                                \
            if (!cast_rescale(from[row], SCALE, type->width, type->scale, &into[row])) \
                cast_fail(casting, row);                                               \
    }

TO_DECIMAL(boolean_to_decimal, uint8_t, 0)
TO_DECIMAL(integer_to_decimal, int32_t, 0)
TO_DECIMAL(bigint_to_decimal, int64_t, 0)
TO_DECIMAL(timestamp_to_decimal, int64_t, 6)
TO_DECIMAL(decimal_to_decimal, int128, casting->from->type->scale)

static void float_to_decimal(casting *casting)
{
    const float *from = casting->from->data;
    int128 *into = casting->into->data;
    const type *type = casting->into->type;
    for (uint64_t row = 0; row < casting->n; row++)
        if (!number_decimal_of_double((double)from[row], type->width, type->scale, &into[row]))
            cast_fail(casting, row);
}

static void double_to_decimal(casting *casting)
{
    const double *from = casting->from->data;
    int128 *into = casting->into->data;
    const type *type = casting->into->type;
    for (uint64_t row = 0; row < casting->n; row++)
        if (!number_decimal_of_double(from[row], type->width, type->scale, &into[row]))
            cast_fail(casting, row);
}

/* ---- from text ------------------------------------------------------------------------------- */

#define FROM_TEXT(NAME, TO, READ)                                                \
    static void NAME(casting *casting)                                           \
    {                                                                            \
        const cell_text *from = casting->from->data;                             \
        TO *into = casting->into->data; /* NOLINT(bugprone-macro-parentheses) */ \
        for (uint64_t row = 0; row < casting->n; row++) {                        \
            const char *text = text_bytes(&from[row]);                           \
            size_t length = from[row].length;                                    \
            if (column_is_valid(casting->from, row) && !(READ))                  \
                cast_fail(casting, row);                                         \
        }                                                                        \
    }

static bool read_integer(const char *text, size_t length, int32_t *into)
{
    int64_t value;
    if (!number_integer(text, length, NUMBER_SPARK, INT32_MIN, INT32_MAX, &value))
        return false;
    *into = (int32_t)value;
    return true;
}

FROM_TEXT(string_to_boolean, uint8_t, cast_read_boolean(text, length, &into[row]))
FROM_TEXT(string_to_integer, int32_t, read_integer(text, length, &into[row]))
FROM_TEXT(string_to_bigint, int64_t,
          number_integer(text, length, NUMBER_SPARK, INT64_MIN, INT64_MAX, &into[row]))
FROM_TEXT(string_to_float, float, number_float(text, length, NUMBER_SPARK, &into[row]))
FROM_TEXT(string_to_double, double, number_double(text, length, NUMBER_SPARK, &into[row]))
FROM_TEXT(string_to_decimal, int128,
          number_decimal(text, length, NUMBER_SPARK, casting->into->type->width,
                         casting->into->type->scale, &into[row]))
FROM_TEXT(string_to_date, int32_t, date_parse(text, length, &into[row]))
FROM_TEXT(string_to_timestamp, int64_t, timestamp_parse(text, length, &into[row]))

/* Text and bytes are laid out alike: only the type changes. */
static void string_to_binary(casting *casting)
{
    memcpy(casting->into->data, casting->from->data, casting->n * sizeof(cell_text));
}

static void binary_to_string(casting *casting)
{
    const cell_text *from = casting->from->data;
    cell_text *into = casting->into->data;
    for (uint64_t row = 0; row < casting->n; row++)
        if (text_is_utf8(text_bytes(&from[row]), from[row].length))
            into[row] = from[row];
        else
            cast_fail(casting, row);
}

/* ---- to text --------------------------------------------------------------------------------- */

static void cast_put_text(casting *casting, uint64_t row, const char *text, size_t length)
{
    cell_text *into = casting->into->data;
    if (length > UINT32_MAX) {
        cast_fail(casting, row);
        return;
    }
    if (length > TEXT_INLINE_MAX) {
        text = arena_copy(casting->arena, text, length);
        if (text == NULL) {
            casting->out_of_memory = true;
            return;
        }
    }
    into[row] = text_of(text, (uint32_t)length);
}

/* One cell that is no array and no struct; gives the length. Text stays where it is. */
static size_t cast_write_cell(const column *column, uint64_t row, char *buffer, const char **text)
{
    const void *data = column->data;
    *text = buffer;
    switch (column->type->kind) {
    case TYPE_BOOLEAN:
        *text = ((const uint8_t *)data)[row] ? "true" : "false";
        return strlen(*text);
    case TYPE_INTEGER: return cast_write_bigint(buffer, ((const int32_t *)data)[row]);
    case TYPE_BIGINT: return cast_write_bigint(buffer, ((const int64_t *)data)[row]);
    case TYPE_FLOAT: return cast_write_float(buffer, ((const float *)data)[row]);
    case TYPE_DOUBLE: return cast_write_double(buffer, ((const double *)data)[row]);
    case TYPE_DECIMAL:
        return number_write_decimal(buffer, ((const int128 *)data)[row], column->type->scale);
    case TYPE_DATE: return cast_write_date(buffer, ((const int32_t *)data)[row]);
    case TYPE_TIMESTAMP: return cast_write_timestamp(buffer, ((const int64_t *)data)[row]);
    case TYPE_STRING:
    case TYPE_BINARY:
        *text = text_bytes(&((const cell_text *)data)[row]);
        return ((const cell_text *)data)[row].length;
    case TYPE_ARRAY:
    case TYPE_STRUCT: break;
    }
    return 0;
}

static void scalar_to_string(casting *casting)
{
    char buffer[CAST_TEXT_MAX];
    const char *text;
    for (uint64_t row = 0; row < casting->n; row++)
        if (column_is_valid(casting->from, row)) {
            size_t length = cast_write_cell(casting->from, row, buffer, &text);
            cast_put_text(casting, row, text, length);
        }
}

/* [a, b] and {a, b}, as deep as the type is (at most TYPE_DEPTH_MAX). */
static void append_nested(text_buffer *text, const column *column, uint64_t row)
{
    char buffer[CAST_TEXT_MAX];
    const char *scalar;
    if (!column_is_valid(column, row)) {
        text_append_c(text, "null");
    } else if (column->type->kind == TYPE_ARRAY) {
        cell_span span = ((const cell_span *)column->data)[row];
        text_append_char(text, '[');
        for (uint64_t i = 0; i < span.length; i++) {
            if (i > 0)
                text_append_c(text, ", ");
            append_nested(text, &column->children[0], span.offset + i);
        }
        text_append_char(text, ']');
    } else if (column->type->kind == TYPE_STRUCT) {
        text_append_char(text, '{');
        for (uint32_t i = 0; i < column->type->n_fields; i++) {
            if (i > 0)
                text_append_c(text, ", ");
            append_nested(text, &column->children[i], row);
        }
        text_append_char(text, '}');
    } else {
        size_t length = cast_write_cell(column, row, buffer, &scalar);
        text_append(text, scalar, length);
    }
}

static void nested_to_string(casting *casting)
{
    text_buffer text;
    text_init(&text, UINT32_MAX);
    for (uint64_t row = 0; row < casting->n; row++) {
        if (!column_is_valid(casting->from, row))
            continue;
        text_reset(&text);
        append_nested(&text, casting->from, row);
        if (text.failed)
            casting->out_of_memory = true;
        else if (text_is_utf8(text.bytes, text.length)) /* binary elements may be anything */
            cast_put_text(casting, row, text.bytes, text.length);
        else
            cast_fail(casting, row);
    }
    text_release(&text);
}

static void integer_to_binary(casting *casting)
{
    const int32_t *from = casting->from->data;
    cell_text *into = casting->into->data;
    for (uint64_t row = 0; row < casting->n; row++) {
        uint32_t swapped = __builtin_bswap32((uint32_t)from[row]);
        if (column_is_valid(casting->from, row))
            into[row] = text_of((const char *)&swapped, sizeof swapped);
    }
}

static void bigint_to_binary(casting *casting)
{
    const int64_t *from = casting->from->data;
    cell_text *into = casting->into->data;
    for (uint64_t row = 0; row < casting->n; row++) {
        uint64_t swapped = __builtin_bswap64((uint64_t)from[row]);
        if (column_is_valid(casting->from, row))
            into[row] = text_of((const char *)&swapped, sizeof swapped);
    }
}

/* ---- which cast is which kernel -------------------------------------------------------------- */

static void array_to_array(casting *casting);

static kernel *const kernels[TYPE_KINDS][TYPE_KINDS] = {
    [TYPE_BOOLEAN] = {[TYPE_INTEGER] = boolean_to_integer,
                      [TYPE_BIGINT] = boolean_to_bigint,
                      [TYPE_FLOAT] = boolean_to_float,
                      [TYPE_DOUBLE] = boolean_to_double,
                      [TYPE_DECIMAL] = boolean_to_decimal,
                      [TYPE_TIMESTAMP] = boolean_to_timestamp,
                      [TYPE_STRING] = scalar_to_string},
    [TYPE_INTEGER] = {[TYPE_BOOLEAN] = integer_to_boolean,
                      [TYPE_BIGINT] = integer_to_bigint,
                      [TYPE_FLOAT] = integer_to_float,
                      [TYPE_DOUBLE] = integer_to_double,
                      [TYPE_DECIMAL] = integer_to_decimal,
                      [TYPE_TIMESTAMP] = integer_to_timestamp,
                      [TYPE_STRING] = scalar_to_string,
                      [TYPE_BINARY] = integer_to_binary},
    [TYPE_BIGINT] = {[TYPE_BOOLEAN] = bigint_to_boolean,
                     [TYPE_INTEGER] = bigint_to_integer,
                     [TYPE_FLOAT] = bigint_to_float,
                     [TYPE_DOUBLE] = bigint_to_double,
                     [TYPE_DECIMAL] = bigint_to_decimal,
                     [TYPE_TIMESTAMP] = bigint_to_timestamp,
                     [TYPE_STRING] = scalar_to_string,
                     [TYPE_BINARY] = bigint_to_binary},
    [TYPE_FLOAT] = {[TYPE_BOOLEAN] = float_to_boolean,
                    [TYPE_INTEGER] = float_to_integer,
                    [TYPE_BIGINT] = float_to_bigint,
                    [TYPE_DOUBLE] = float_to_double,
                    [TYPE_DECIMAL] = float_to_decimal,
                    [TYPE_TIMESTAMP] = float_to_timestamp,
                    [TYPE_STRING] = scalar_to_string},
    [TYPE_DOUBLE] = {[TYPE_BOOLEAN] = double_to_boolean,
                     [TYPE_INTEGER] = double_to_integer,
                     [TYPE_BIGINT] = double_to_bigint,
                     [TYPE_FLOAT] = double_to_float,
                     [TYPE_DECIMAL] = double_to_decimal,
                     [TYPE_TIMESTAMP] = double_to_timestamp,
                     [TYPE_STRING] = scalar_to_string},
    [TYPE_DECIMAL] = {[TYPE_BOOLEAN] = decimal_to_boolean,
                      [TYPE_INTEGER] = decimal_to_integer,
                      [TYPE_BIGINT] = decimal_to_bigint,
                      [TYPE_FLOAT] = decimal_to_float,
                      [TYPE_DOUBLE] = decimal_to_double,
                      [TYPE_DECIMAL] = decimal_to_decimal,
                      [TYPE_TIMESTAMP] = decimal_to_timestamp,
                      [TYPE_STRING] = scalar_to_string},
    [TYPE_STRING] = {[TYPE_BOOLEAN] = string_to_boolean,
                     [TYPE_INTEGER] = string_to_integer,
                     [TYPE_BIGINT] = string_to_bigint,
                     [TYPE_FLOAT] = string_to_float,
                     [TYPE_DOUBLE] = string_to_double,
                     [TYPE_DECIMAL] = string_to_decimal,
                     [TYPE_DATE] = string_to_date,
                     [TYPE_TIMESTAMP] = string_to_timestamp,
                     [TYPE_BINARY] = string_to_binary},
    [TYPE_BINARY] = {[TYPE_STRING] = binary_to_string},
    [TYPE_DATE] = {[TYPE_TIMESTAMP] = date_to_timestamp, [TYPE_STRING] = scalar_to_string},
    [TYPE_TIMESTAMP] = {[TYPE_BOOLEAN] = timestamp_to_boolean,
                        [TYPE_INTEGER] = timestamp_to_integer,
                        [TYPE_BIGINT] = timestamp_to_bigint,
                        [TYPE_FLOAT] = timestamp_to_float,
                        [TYPE_DOUBLE] = timestamp_to_double,
                        [TYPE_DECIMAL] = timestamp_to_decimal,
                        [TYPE_DATE] = timestamp_to_date,
                        [TYPE_STRING] = scalar_to_string},
    [TYPE_ARRAY] = {[TYPE_ARRAY] = array_to_array, [TYPE_STRING] = nested_to_string},
    [TYPE_STRUCT] = {[TYPE_STRING] = nested_to_string},
};

bool cast_possible(const type *from, const type *to)
{
    while (from->kind == TYPE_ARRAY && to->kind == TYPE_ARRAY) {
        from = from->fields[0].type;
        to = to->fields[0].type;
    }
    return type_equal(from, to) || kernels[from->kind][to->kind] != NULL;
}

/* Casts the elements as a column of their own, then marks the arrays that hold a failed one. */
static void array_to_array(casting *casting)
{
    const column *from = casting->from;
    column *into = casting->into;
    const cell_span *spans = from->data;
    uint64_t *failed = NULL;
    if (cast_column(casting->arena, &from->children[0], from->n_elements,
                    into->type->fields[0].type, &into->children[0], &failed, NULL) != FRESHET_OK) {
        casting->out_of_memory = true;
        return;
    }
    into->n_elements = from->n_elements;
    memcpy(into->data, spans, casting->n * sizeof *spans);
    for (uint64_t row = 0; failed != NULL && row < casting->n; row++)
        for (uint64_t i = 0; i < spans[row].length; i++)
            if (cast_failed(failed, spans[row].offset + i)) {
                cast_fail(casting, row);
                break;
            }
}

/* Null where the source is; and, except for arrays, where the cast failed. */
static bool set_validity(casting *casting)
{
    uint64_t n = casting->n, words = (n + 63) / 64;
    const uint64_t *failed = casting->into->type->kind == TYPE_ARRAY ? NULL : casting->failed;
    if (casting->from->valid == NULL && failed == NULL)
        return true;
    /* As large as data: a column's bitmap covers its capacity. */
    uint64_t *valid = bitmap_new(casting->arena, casting->into->capacity, 0xFF);
    if (valid == NULL)
        return false;
    for (uint64_t i = 0; i < words; i++) {
        if (casting->from->valid != NULL)
            valid[i] = casting->from->valid[i];
        if (failed != NULL)
            valid[i] &= ~failed[i];
    }
    casting->into->valid = valid;
    return true;
}

freshet_code cast_column(arena *arena, const column *from, uint64_t n_rows, const type *to,
                         column *into, uint64_t **failed, freshet_error *err)
{
    *failed = NULL;
    if (type_equal(from->type, to)) {
        *into = *from;
        return FRESHET_OK;
    }
    column made;
    freshet_code code = column_init(arena, &made, to, n_rows, err);
    if (code != FRESHET_OK)
        return code;
    casting casting = {.arena = arena, .from = from, .into = &made, .n = n_rows};
    if (n_rows > 0)
        kernels[from->type->kind][to->kind](&casting);
    if (casting.out_of_memory || !set_validity(&casting))
        return error_memory(err, CASTING);
    *failed = casting.failed;
    *into = made;
    return FRESHET_OK;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* At most `most` bytes of a text, not ending within a character. */
static size_t cast_cut(const char *text, size_t length, size_t most)
{
    if (length <= most)
        return length;
    length = most;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return length;
}

const char *cast_shown(arena *arena, const column *column, uint64_t row)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    bool more;
    if (column->type->kind == TYPE_STRING && column_is_valid(column, row)) {
        const cell_text *cell = &((const cell_text *)column->data)[row];
        size_t length = cast_cut(text_bytes(cell), cell->length, CAST_SHOWN_MAX);
        more = length < cell->length;
        text_append_json(&text, text_bytes(cell), length);
    } else {
        column_to_json(column, row, &text, NULL);
        size_t length = text.failed ? 0 : cast_cut(text.bytes, text.length, CAST_SHOWN_MAX);
        more = length < text.length;
        text.length = length;
    }
    if (more)
        text_append_c(&text, "...");
    char *shown = text.failed ? NULL : arena_copy(arena, text.bytes, text.length);
    text_release(&text);
    return shown;
}

const char *cast_reason(arena *arena, const column *from, uint64_t row, const type *to)
{
    const char *shown = cast_shown(arena, from, row);
    const char *name = type_name(arena, to);
    if (shown == NULL || name == NULL)
        return NULL;
    return arena_format(arena, "cannot cast %s to %s", shown, name);
}
