/* cast.c - see cast.h.
 *
 * One kernel per pair of types: a loop over all cells of a column that writes the new cells and
 * reports the rows that failed. The tables NUMBERS and READS make most of them, each line one
 * kernel and its entry in `kernels`. Kernels between numbers look at null cells, too: these are
 * zero and cast to zero; all others skip them. The bitmap of failed rows is made at the first
 * failure; afterwards it is taken out of the bitmap of validity.
 */
#include "features/cast.h"

#include <math.h>
#include <string.h>

#include "base/cast_text.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"

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

/* How the cells of a type are in memory, by the name that kernels have for it. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type and a name */
#define CELLS(NAME, KIND, CELL) \
    typedef CELL NAME##_cell;   \
    enum { NAME##_kind = KIND };

CELLS(boolean, TYPE_BOOLEAN, uint8_t)
CELLS(integer, TYPE_INTEGER, int32_t)
CELLS(bigint, TYPE_BIGINT, int64_t)
CELLS(float, TYPE_FLOAT, float)
CELLS(double, TYPE_DOUBLE, double)
CELLS(decimal, TYPE_DECIMAL, int128)
CELLS(date, TYPE_DATE, int32_t)
CELLS(timestamp, TYPE_TIMESTAMP, int64_t)
CELLS(string, TYPE_STRING, cell_text)
CELLS(binary, TYPE_BINARY, cell_text)

#define ENTRY(FROM, TO, ...) [FROM##_kind][TO##_kind] = FROM##_to_##TO,

/* ---- between numbers, times and booleans ----------------------------------------------------- */

#define FITS_INTEGER(value) ((value) >= INT32_MIN && (value) <= INT32_MAX)
/* What is cut off towards zero may be just beyond the ends. False for NaN. */
#define REAL_FITS_INTEGER(value) ((double)(value) > -2147483649.0 && (double)(value) < 2147483648.0)
#define REAL_FITS_BIGINT(value) \
    ((double)(value) >= -9223372036854775808.0 && (double)(value) < 9223372036854775808.0)
#define FITS_FLOAT(value) (isinf(value) || !isinf((float)(value)))
#define FITS_TIMES(value, by) ((value) >= INT64_MIN / (by) && (value) <= INT64_MAX / (by))

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* From, to, whether the cell `value` can be cast, what it becomes. */
#define NUMBERS(X)                                                                        \
    X(boolean, integer, true, value)                                                      \
    X(boolean, bigint, true, value)                                                       \
    X(boolean, float, true, value)                                                        \
    X(boolean, double, true, value)                                                       \
    X(boolean, timestamp, true, value)                                                    \
    X(integer, boolean, true, value != 0)                                                 \
    X(integer, bigint, true, value)                                                       \
    X(integer, float, true, value)                                                        \
    X(integer, double, true, value)                                                       \
    X(integer, timestamp, true, value *MICROSECONDS)                                      \
    X(bigint, boolean, true, value != 0)                                                  \
    X(bigint, integer, FITS_INTEGER(value), value)                                        \
    X(bigint, float, true, value)                                                         \
    X(bigint, double, true, value)                                                        \
    X(bigint, timestamp, FITS_TIMES(value, MICROSECONDS), value *MICROSECONDS)            \
    X(float, boolean, true, value != 0)                                                   \
    X(float, integer, REAL_FITS_INTEGER(value), value)                                    \
    X(float, bigint, REAL_FITS_BIGINT(value), value)                                      \
    X(float, double, true, value)                                                         \
    X(float, timestamp, REAL_FITS_BIGINT((double)value * 1e6), (double)value * 1e6)       \
    X(double, boolean, true, value != 0)                                                  \
    X(double, integer, REAL_FITS_INTEGER(value), value)                                   \
    X(double, bigint, REAL_FITS_BIGINT(value), value)                                     \
    X(double, float, FITS_FLOAT(value), value)                                            \
    X(double, timestamp, REAL_FITS_BIGINT(value * 1e6), value * 1e6)                      \
    X(decimal, boolean, true, value != 0)                                                 \
    X(decimal, float, true, number_float_of_decimal(value, casting->from->type->scale))   \
    X(decimal, double, true, number_double_of_decimal(value, casting->from->type->scale)) \
    X(timestamp, boolean, true, value != 0)                                               \
    X(timestamp, integer, FITS_INTEGER(floor_divide(value, MICROSECONDS)),                \
      floor_divide(value, MICROSECONDS))                                                  \
    X(timestamp, bigint, true, floor_divide(value, MICROSECONDS))                         \
    X(timestamp, float, true, (double)value / 1e6)                                        \
    X(timestamp, double, true, (double)value / 1e6)                                       \
    X(timestamp, date, true, floor_divide(value, MICROSECONDS_A_DAY))                     \
    X(date, timestamp, FITS_TIMES(value, MICROSECONDS_A_DAY), value *MICROSECONDS_A_DAY)

#define NUMBER_KERNEL(FROM, TO, FITS, RESULT)             \
    static void FROM##_to_##TO(casting *casting)          \
    {                                                     \
        const FROM##_cell *from = casting->from->data;    \
        TO##_cell *into = casting->into->data;            \
        for (uint64_t row = 0; row < casting->n; row++) { \
            const FROM##_cell value = from[row];          \
            if (FITS)                                     \
                into[row] = (TO##_cell)(RESULT);          \
            else                                          \
                cast_fail(casting, row);                  \
        }                                                 \
    }

NUMBERS(NUMBER_KERNEL)

/* ---- decimals, text and bytes ---------------------------------------------------------------- */

static bool whole_of_decimal(int128 value, unsigned scale, int32_t *into)
{
    const int128 whole = value / number_power_of_ten(scale);
    *into = FITS_INTEGER(whole) ? (int32_t)whole : 0;
    return FITS_INTEGER(whole);
}

static bool read_integer(const char *text, size_t length, int32_t *into)
{
    int64_t value;
    if (!number_integer(text, length, NUMBER_SPARK, INT32_MIN, INT32_MAX, &value))
        return false;
    *into = (int32_t)value;
    return true;
}

/* Text and bytes are laid out alike. */
static bool keep_utf8(const cell_text *bytes, cell_text *into)
{
    if (!text_is_utf8(text_bytes(bytes), bytes->length))
        return false;
    *into = *bytes;
    return true;
}

static bool put_bytes(const void *bytes, uint32_t length, cell_text *into)
{
    *into = text_of(bytes, length);
    return true;
}

#define TEXT text_bytes(cell), cell->length
#define INTO_DECIMAL casting->into->type->width, casting->into->type->scale, into
#define FROM_SCALE casting->from->type->scale

/* From, to, what puts the cell `*cell` into `*into`: false where it cannot be cast. */
#define READS(X)                                                                            \
    X(boolean, decimal, cast_rescale(*cell, 0, INTO_DECIMAL))                               \
    X(integer, decimal, cast_rescale(*cell, 0, INTO_DECIMAL))                               \
    X(bigint, decimal, cast_rescale(*cell, 0, INTO_DECIMAL))                                \
    X(timestamp, decimal, cast_rescale(*cell, 6, INTO_DECIMAL))                             \
    X(decimal, decimal, cast_rescale(*cell, FROM_SCALE, INTO_DECIMAL))                      \
    X(float, decimal, number_decimal_of_double((double)*cell, INTO_DECIMAL))                \
    X(double, decimal, number_decimal_of_double(*cell, INTO_DECIMAL))                       \
    X(decimal, integer, whole_of_decimal(*cell, FROM_SCALE, into))                          \
    X(decimal, bigint, cast_decimal_to_units(*cell, FROM_SCALE, 1, into))                   \
    X(decimal, timestamp, cast_decimal_to_units(*cell, FROM_SCALE, MICROSECONDS, into))     \
    X(string, boolean, cast_read_boolean(TEXT, into))                                       \
    X(string, integer, read_integer(TEXT, into))                                            \
    X(string, bigint, number_integer(TEXT, NUMBER_SPARK, INT64_MIN, INT64_MAX, into))       \
    X(string, float, number_float(TEXT, NUMBER_SPARK, into))                                \
    X(string, double, number_double(TEXT, NUMBER_SPARK, into))                              \
    X(string, decimal, number_decimal(TEXT, NUMBER_SPARK, INTO_DECIMAL))                    \
    X(string, date, date_parse(TEXT, into))                                                 \
    X(string, timestamp, timestamp_parse(TEXT, into))                                       \
    X(string, binary, (*into = *cell, true))                                                \
    X(binary, string, keep_utf8(cell, into))                                                \
    X(integer, binary, put_bytes(&(uint32_t){__builtin_bswap32((uint32_t)*cell)}, 4, into)) \
    X(bigint, binary, put_bytes(&(uint64_t){__builtin_bswap64((uint64_t)*cell)}, 8, into))

#define READ_KERNEL(FROM, TO, READ)                                     \
    static void FROM##_to_##TO(casting *casting)                        \
    {                                                                   \
        const FROM##_cell *cell = casting->from->data;                  \
        TO##_cell *into = casting->into->data;                          \
        for (uint64_t row = 0; row < casting->n; row++, cell++, into++) \
            if (column_is_valid(casting->from, row) && !(READ))         \
                cast_fail(casting, row);                                \
    }

READS(READ_KERNEL)

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

/* ---- which cast is which kernel -------------------------------------------------------------- */

static void array_to_array(casting *casting);

/* clang-format off */
static kernel *const kernels[TYPE_KINDS][TYPE_KINDS] = {
    NUMBERS(ENTRY)
    READS(ENTRY)
    [TYPE_BOOLEAN][TYPE_STRING] = scalar_to_string,
    [TYPE_INTEGER][TYPE_STRING] = scalar_to_string,
    [TYPE_BIGINT][TYPE_STRING] = scalar_to_string,
    [TYPE_FLOAT][TYPE_STRING] = scalar_to_string,
    [TYPE_DOUBLE][TYPE_STRING] = scalar_to_string,
    [TYPE_DECIMAL][TYPE_STRING] = scalar_to_string,
    [TYPE_DATE][TYPE_STRING] = scalar_to_string,
    [TYPE_TIMESTAMP][TYPE_STRING] = scalar_to_string,
    [TYPE_ARRAY][TYPE_STRING] = nested_to_string,
    [TYPE_STRUCT][TYPE_STRING] = nested_to_string,
    [TYPE_ARRAY][TYPE_ARRAY] = array_to_array,
};
/* clang-format on */

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
    char *shown = text_keep(&text, arena);
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
