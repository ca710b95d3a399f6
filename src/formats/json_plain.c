/* json_plain.c - JSON records of plain values, from their text straight into columns.
 *
 * Most records are one object of numbers, short texts, booleans and nulls. Such a record needs no
 * tree of values and no copy: a cursor goes over its text once, finds the column of each key by
 * what the record before had at this place (json_internal.h), and writes the cell. Whatever is not
 * plain or not good ends the attempt, and the record is decoded by json.c from its beginning: that
 * is the reference, and says what is wrong. So this file may refuse anything, and must take nothing
 * that json.c would refuse or take otherwise. Not plain are:
 *
 *   arrays and objects as values; texts and keys with a backslash
 *   values that do not fit their column, or fit it by a rule beyond the usual one (3.0 as a bigint,
 *   "NaN" as a double, numbers as strings)
 *   a record whose fields are not those of the schema, where that is wanted (`strict`)
 *
 * THE CURSOR stays within the record since its last byte is a closing brace: nothing but the inside
 * of a text goes over one, and a text is looked through with its length in mind.
 *
 * NUMBERS. Up to 19 digits are gathered as they come. A double of at most 53 bits of digits, with
 * at most 22 of them behind the point, is one division of two exact numbers, so it is the nearest
 * one; all others are read by yyjson, as json.c would have them.
 */
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "formats/cell.h"
#include "formats/json_internal.h"

#define DIGITS_MAX 19 /* in 64 bits, whatever they are */
#define EXACT_MAX (UINT64_C(1) << 53)
#define EXACT_SCALE_MAX 22

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static const double powers[EXACT_SCALE_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* `end` is behind the closing brace. */
typedef struct plain_cursor {
    const char *at;
    const char *end;
} plain_cursor;

typedef struct plain_number {
    const char *text;
    size_t length;
    uint64_t digits; /* of at most DIGITS_MAX */
    uint32_t n_digits;
    uint32_t scale; /* digits behind the point */
    bool negative;
    bool has_fraction; /* a point or an exponent */
    bool has_exponent;
} plain_number;

static inline bool is_json_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline void plain_skip_blanks(plain_cursor *in)
{
    while (__builtin_expect((unsigned char)*in->at <= ' ', false) && is_json_blank(*in->at))
        in->at++;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* In the high bit of each byte: is it zero? The lowest that says so is right, and those above it
 * need not be. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* The text behind the quote at the cursor, which is left behind its closing quote. */
static inline bool plain_take_text(plain_cursor *in, const char **text, size_t *length)
{
    const char *at = in->at + 1;
    const char *end = in->end;
    uint64_t high = 0;

    *text = at;
    for (; end - at >= 8; at += 8) {
        uint64_t word, stops;
        memcpy(&word, at, 8);
        stops = zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\')) |
                ((word - EACH_BYTE(' ')) & ~word & EACH_BYTE(0x80));
        high |= word;
        if (stops != 0) {
            at += __builtin_ctzll(stops) / 8;
            break;
        }
    }
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\' || (unsigned char)*at < ' ')
            return false;
        high |= (unsigned char)*at;
    }
    if (at == end)
        return false;
    *length = (size_t)(at - *text);
    in->at = at + 1;
    return (high & EACH_BYTE(0x80)) == 0 || text_is_utf8(*text, *length);
}

/* Does the key of the hint stand at `key`, with its closing quote and the colon right behind it? */
static inline bool plain_has_key(const place_hint *hint, const char *key, const char *end)
{
    const size_t length = hint->length;
    const size_t left = (size_t)(end - key);
    uint64_t there, wanted;

    if (left <= PLACE_KEY_MAX || length > 6)
        return length <= PLACE_KEY_MAX && left > length + 1 && key[length] == '"' &&
               key[length + 1] == ':' && hint->is_plain && json_same_key(hint->key, key, length);
    memcpy(&there, key, 8);
    memcpy(&wanted, hint->key, 8);
    return (there ^ wanted) << (48 - 8 * length) == 0 && hint->is_plain;
}

/* Another key than the hint's, or one with blanks behind it. */
static bool plain_other_key(shape *it, size_t place, plain_cursor *in, int32_t *field)
{
    const place_hint *hint = &it->places[place < PLACES_MAX ? place : 0];
    const char *key;
    size_t length;

    if (*in->at != '"' || !plain_take_text(in, &key, &length))
        return false;
    if (place < PLACES_MAX && hint->length == length && json_same_key(hint->key, key, length))
        *field = hint->field;
    else
        *field = json_remember_key(it, place, key, length);
    plain_skip_blanks(in);
    return *in->at++ == ':';
}

/* The column of the key at the cursor, which is left behind its colon; false: it is not plain. */
static inline bool plain_take_key(shape *it, size_t place, plain_cursor *in, int32_t *field)
{
    const place_hint *hint = &it->places[place < PLACES_MAX ? place : 0];

    if (place < PLACES_MAX && *in->at == '"' && plain_has_key(hint, in->at + 1, in->end)) {
        in->at += hint->length + 3;
        *field = hint->field;
        return true;
    }
    return plain_other_key(it, place, in, field);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* The digits at the cursor behind those of before; how many. */
static inline uint32_t plain_take_digits(plain_cursor *in, uint64_t *digits)
{
    const char *at = in->at;
    uint64_t sum = *digits;

    for (unsigned digit; (digit = (unsigned char)*at - (unsigned)'0') <= 9; at++)
        sum = sum * 10 + digit;
    const uint32_t n = (uint32_t)(at - in->at);
    in->at = at;
    *digits = sum;
    return n;
}

static bool plain_take_exponent(plain_cursor *in)
{
    in->at++;
    if (*in->at == '+' || *in->at == '-')
        in->at++;
    if (!number_is_digit(*in->at))
        return false;
    while (number_is_digit(*in->at))
        in->at++;
    return true;
}

static inline bool plain_take_number(plain_cursor *in, plain_number *number)
{
    const char *text = in->at;
    const bool negative = *text == '-';
    bool has_fraction = false;
    uint64_t digits = 0;

    in->at += negative;
    const bool is_zero = *in->at == '0';
    uint32_t n = plain_take_digits(in, &digits), scale = 0;
    if (n == 0 || (is_zero && n > 1))
        return false;
    if (*in->at == '.') {
        in->at++;
        scale = plain_take_digits(in, &digits);
        n += scale;
        has_fraction = true;
        if (scale == 0)
            return false;
    }
    number->has_exponent = (*in->at | ' ') == 'e';
    if (number->has_exponent && !plain_take_exponent(in))
        return false;
    number->text = text;
    number->length = (size_t)(in->at - text);
    number->digits = digits;
    number->n_digits = n;
    number->scale = scale;
    number->negative = negative;
    number->has_fraction = has_fraction || number->has_exponent;
    return true;
}

static inline bool plain_put_whole(column *column, uint64_t row, const plain_number *number)
{
    const bool narrow = column->type->kind == TYPE_INTEGER;
    const uint64_t most = (narrow ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX) + number->negative;

    if (number->has_fraction || number->n_digits > DIGITS_MAX || number->digits > most)
        return false;
    cell_put_whole(column, row,
                   (int64_t)(number->negative ? UINT64_C(0) - number->digits : number->digits));
    return true;
}

/* By yyjson; it stops at what is behind the number, which stands in a record. */
static bool hard_double(const plain_number *number, double *out)
{
    yyjson_val value;
    yyjson_read_err ignored;

    if (yyjson_read_number(number->text, &value, YYJSON_READ_NOFLAG, NULL, &ignored) !=
        number->text + number->length)
        return false;
    *out = yyjson_get_num(&value);
    return true;
}

static inline bool plain_put_real(column *column, uint64_t row, const plain_number *number)
{
    double real;

    if (number->n_digits <= DIGITS_MAX && number->digits <= EXACT_MAX &&
        number->scale <= EXACT_SCALE_MAX && !number->has_exponent) {
        real = (double)number->digits / powers[number->scale];
        real = number->negative ? -real : real;
    } else if (!hard_double(number, &real)) {
        return false;
    }
    if (column->type->kind == TYPE_FLOAT)
        return cell_float(real, &((float *)column->data)[row]);
    ((double *)column->data)[row] = real;
    return true;
}

static inline bool plain_put_number(const json_decoder *decoder, column *column, uint64_t row,
                                    const plain_number *number)
{
    switch (column->type->kind) {
    case TYPE_INTEGER:
    case TYPE_BIGINT: return plain_put_whole(column, row, number);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: /* a minus zero that is whole is none to yyjson */
        return (number->digits != 0 || !number->negative) && plain_put_real(column, row, number);
    case TYPE_DECIMAL:
        return cell_parse(decoder->base.into->arena, column, row, number->text, number->length) ==
               FITS;
    default: return false;
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static inline bool plain_take_word(plain_cursor *in, const char *word, size_t length)
{
    if ((size_t)(in->end - in->at) <= length || memcmp(in->at, word, length) != 0)
        return false;
    in->at += length;
    return true;
}

static inline bool plain_put_text(const json_decoder *decoder, column *column, uint64_t row,
                                  const char *text, size_t length)
{
    switch (column->type->kind) {
    case TYPE_STRING: cell_put_text(column, row, text, length); return true;
    case TYPE_TIMESTAMP: return timestamp_parse(text, length, &((int64_t *)column->data)[row]);
    case TYPE_DATE:
    case TYPE_DECIMAL:
    case TYPE_BINARY:
        return cell_parse(decoder->base.into->arena, column, row, text, length) == FITS;
    default: return false;
    }
}

static bool plain_take_rare(const json_decoder *decoder, column *column, uint64_t row,
                            plain_cursor *in)
{
    const char first = *in->at;

    if (first == 'n')
        return plain_take_word(in, "null", 4) &&
               column_set_null(decoder->base.into->arena, column, row);
    if (column->type->kind != TYPE_BOOLEAN ||
        (first == 't' ? !plain_take_word(in, "true", 4) : !plain_take_word(in, "false", 5)))
        return false;
    cell_set_valid(column, row);
    ((uint8_t *)column->data)[row] = first == 't';
    return true;
}

static inline bool plain_take_value(const json_decoder *decoder, column *column, uint64_t row,
                                    plain_cursor *in)
{
    const char *text;
    size_t length;
    plain_number number;

    if (*in->at == '"') {
        cell_set_valid(column, row);
        return plain_take_text(in, &text, &length) &&
               plain_put_text(decoder, column, row, text, length);
    }
    if (*in->at == '-' || number_is_digit(*in->at)) {
        cell_set_valid(column, row);
        return plain_take_number(in, &number) && plain_put_number(decoder, column, row, &number);
    }
    return plain_take_rare(decoder, column, row, in);
}

/* A value that no column wants. */
static inline bool plain_pass_value(plain_cursor *in)
{
    const char *text;
    size_t length;
    plain_number number;

    switch (*in->at) {
    case '"': return plain_take_text(in, &text, &length);
    case 't': return plain_take_word(in, "true", 4);
    case 'f': return plain_take_word(in, "false", 5);
    case 'n': return plain_take_word(in, "null", 4);
    default: return plain_take_number(in, &number);
    }
}

/* ---- records --------------------------------------------------------------------------------- */

/* What the record did not have is null; takes down what it had. */
static bool finish_record(json_decoder *decoder, uint32_t n_seen)
{
    shape *it = decoder->root;
    batch *into = decoder->base.into;
    const bool lacks = n_seen < it->n_used;

    if (lacks && decoder->strict)
        return false;
    if (!lacks && it->all_known)
        return true;
    for (uint32_t i = 0; i < it->n_fields; i++) {
        if (it->fields[i].seen == it->stamp)
            it->fields[i].is_known = true;
        else if (it->fields[i].used &&
                 !column_set_null(into->arena, &into->columns[i], into->n_rows))
            return false;
    }
    it->all_known = !lacks;
    return true;
}

/* The fields of the record, whose brace is behind us. */
static bool plain_take_fields(json_decoder *decoder, plain_cursor *in, uint32_t *n_seen)
{
    shape *it = decoder->root;
    batch *into = decoder->base.into;

    for (size_t place = 0;; place++) {
        int32_t field;
        if (!plain_take_key(it, place, in, &field))
            return false;
        plain_skip_blanks(in);
        if (field != FIELD_IGNORED) {
            if (!plain_take_value(decoder, &into->columns[field], into->n_rows, in))
                return false;
            *n_seen += it->fields[field].seen != it->stamp;
            it->fields[field].seen = it->stamp;
        } else if (decoder->strict || !plain_pass_value(in)) {
            return false;
        }
        if (*in->at != ',') {
            plain_skip_blanks(in);
            if (*in->at != ',')
                return *in->at == '}';
        }
        in->at++;
        plain_skip_blanks(in);
    }
}

bool json_decode_plain(json_decoder *decoder, const char *raw, size_t length)
{
    plain_cursor in;
    uint32_t n_seen = 0;

    while (length > 0 && is_json_blank(raw[length - 1]))
        length--;
    if (length < 2 || raw[0] != '{' || raw[length - 1] != '}')
        return false;
    in = (plain_cursor){.at = raw + 1, .end = raw + length};
    json_next_stamp(decoder->root);
    plain_skip_blanks(&in);
    if (*in.at != '}' && !plain_take_fields(decoder, &in, &n_seen))
        return false;
    return in.at + 1 == in.end && finish_record(decoder, n_seen);
}
