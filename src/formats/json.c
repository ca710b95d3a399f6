/* json.c - JSON records (json.h) as a format (format.h).
 *
 * Records of plain values go the short way of json_plain.c; this is the way of all others, and what
 * json_plain.c is measured by. What finds the column of a key is in json_internal.h. Recursion
 * follows the schema, which is at most TYPE_DEPTH_MAX deep.
 */
#include "formats/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "formats/cell.h"
#include "formats/format.h"
#include "formats/json_internal.h"

#define SCRATCH_BYTES ((size_t)1 << 20)
#define PLAIN_PAUSE_MAX 63u /* records */

/* ---- shapes ---------------------------------------------------------------------------------- */

static bool has_kind(const type *type, type_kind kind)
{
    if (type->kind == kind)
        return true;
    for (uint32_t i = 0; i < type->n_fields; i++)
        if (has_kind(type->fields[i].type, kind))
            return true;
    return false;
}

static shape *shape_make(arena *arena, const field *fields, uint32_t n, const bool *used);

/* The shape of the struct that a value of this type is, or is made of (arrays). */
static bool shape_child(arena *arena, const type *type, shape **out)
{
    while (type->kind == TYPE_ARRAY)
        type = type->fields[0].type;
    if (type->kind == TYPE_STRUCT)
        *out = shape_make(arena, type->fields, type->n_fields, NULL);
    return type->kind != TYPE_STRUCT || *out != NULL;
}

/* Puts a used field into the hash table. */
static void shape_index(shape *it, uint32_t i)
{
    const shape_field *field = &it->fields[i];
    uint32_t slot = (uint32_t)hash_bytes(field->name, field->name_length, 0) & it->slot_mask;

    while (it->slots[slot] != 0)
        slot = (slot + 1) & it->slot_mask;
    it->slots[slot] = i + 1;
    it->n_used++;
}

static shape *shape_make(arena *arena, const field *fields, uint32_t n, const bool *used)
{
    shape *it = arena_zero(arena, 1, sizeof(*it));
    uint32_t n_slots = 4;

    while (n_slots < n * 2 + 2)
        n_slots *= 2;
    if (it == NULL)
        return NULL;
    it->n_fields = n;
    it->slot_mask = n_slots - 1;
    it->slots = arena_zero(arena, n_slots, sizeof(*it->slots));
    it->fields = arena_zero(arena, n, sizeof(*it->fields));
    if (it->slots == NULL || it->fields == NULL)
        return NULL;
    for (uint32_t i = 0; i < PLACES_MAX; i++)
        it->places[i].length = UINT8_MAX;
    for (uint32_t i = 0; i < n; i++) {
        it->fields[i] = (shape_field){.name = fields[i].name,
                                      .name_length = (uint32_t)strlen(fields[i].name),
                                      .used = used == NULL || used[i]};
        if (!shape_child(arena, fields[i].type, &it->fields[i].child))
            return NULL;
        if (it->fields[i].used)
            shape_index(it, i);
    }
    return it;
}

int32_t json_look_up(const shape *it, const char *key, size_t length)
{
    uint32_t slot = (uint32_t)hash_bytes(key, length, 0) & it->slot_mask;

    for (; it->slots[slot] != 0; slot = (slot + 1) & it->slot_mask) {
        const shape_field *field = &it->fields[it->slots[slot] - 1];
        if (field->name_length == length && memcmp(field->name, key, length) == 0)
            return (int32_t)(it->slots[slot] - 1);
    }
    return FIELD_IGNORED;
}

/* Does a JSON text have the key as it is? */
static bool key_is_plain(const char *key, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (key[i] == '"' || key[i] == '\\' || (unsigned char)key[i] < ' ')
            return false;
    return true;
}

int32_t json_remember_key(shape *it, size_t place, const char *key, size_t length)
{
    place_hint *hint;

    if (place >= PLACES_MAX || length > PLACE_KEY_MAX)
        return json_look_up(it, key, length);
    hint = &it->places[place];
    hint->length = (uint8_t)length;
    hint->is_plain = key_is_plain(key, length);
    memcpy(hint->key, key, length);
    hint->key[length] = '"';
    hint->key[length + 1] = ':';
    hint->field = json_look_up(it, key, length);
    return hint->field;
}

static inline int32_t shape_find(shape *it, size_t place, const char *key, size_t length)
{
    if (place < PLACES_MAX && it->places[place].length == length &&
        json_same_key(it->places[place].key, key, length))
        return it->places[place].field;
    return json_remember_key(it, place, key, length);
}

/* ---- yyjson's memory ----------------------------------------------------------------------------
 *
 * A parse in place takes one piece, which may grow: the decoder's scratch. It is long enough for
 * records up to some 87 KB; longer ones are left to malloc. */

static void *scratch_malloc(void *scratch, size_t size)
{
    return size <= SCRATCH_BYTES ? scratch : NULL;
}

static void *scratch_realloc(void *scratch, void *at, size_t old_size, size_t size)
{
    (void)at;
    (void)old_size;
    return scratch_malloc(scratch, size);
}

static void scratch_free(void *scratch, void *at)
{
    (void)scratch;
    (void)at;
}

/* ---- values ---------------------------------------------------------------------------------- */

static outcome no_fit(json_decoder *decoder, const type *type, yyjson_val *found, const char *hint)
{
    decoder->misfit.type = type;
    decoder->misfit.found = found;
    decoder->misfit.hint = hint;
    decoder->misfit.path[0] = '\0';
    return DOES_NOT_FIT;
}

/* From here on a double that is whole may be so because its text had more digits. */
#define WHOLE_SURELY 0x1p49
#define WHOLE_MAX 0x1p53 /* and here it surely may */

static bool has_fraction(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return true;
    return false;
}

/* For a number with a fraction or an exponent which could be a bigint but for that. */
static const char *lost_digits(const char *text, size_t length)
{
    double real;
    bool is_large = number_double(text, length, NUMBER_STRICT, &real) && fabs(real) >= WHOLE_MAX &&
                    fabs(real) <= 0x1p63;

    return is_large ? "from 2^53 on a number with a point or an exponent may have lost digits: "
                      "write it without, or declare it as decimal(20,0) or double in schema"
                    : NULL;
}

static outcome decode_integer(json_decoder *decoder, column *column, uint64_t row,
                              yyjson_val *value)
{
    bool narrow = column->type->kind == TYPE_INTEGER;
    int64_t minimum = narrow ? INT32_MIN : INT64_MIN;
    int64_t maximum = narrow ? INT32_MAX : INT64_MAX;
    const char *hint = NULL;
    int64_t number = 0;
    bool fits = false;

    if (yyjson_is_uint(value)) {
        fits = unsafe_yyjson_get_uint(value) <= (uint64_t)maximum;
        number = (int64_t)unsafe_yyjson_get_uint(value);
    } else if (yyjson_is_sint(value)) {
        number = unsafe_yyjson_get_sint(value);
        fits = number >= minimum;
    } else if (yyjson_is_real(value)) {
        fits = cell_whole(unsafe_yyjson_get_real(value), minimum, maximum, &number);
        if (!(fabs(unsafe_yyjson_get_real(value)) < WHOLE_SURELY) ||
            (!fits && !decoder->base.cast_error_null)) /* the reason quotes it as it stands there */
            return NEEDS_EXACT_ONCE;
    } else if (yyjson_is_raw(value)) {
        const char *text = unsafe_yyjson_get_raw(value);
        size_t length = unsafe_yyjson_get_len(value);
        if (!has_fraction(text, length))
            fits = number_integer(text, length, NUMBER_STRICT, minimum, maximum, &number);
        else if (!(fits = cell_whole_text(text, length, minimum, maximum, &number)) && !narrow)
            hint = lost_digits(text, length);
    }
    if (!fits)
        return no_fit(decoder, column->type, value, hint);
    if (narrow)
        ((int32_t *)column->data)[row] = (int32_t)number;
    else
        ((int64_t *)column->data)[row] = number;
    return FITS;
}

static outcome decode_double(json_decoder *decoder, column *column, uint64_t row, yyjson_val *value)
{
    double number;

    if (yyjson_is_real(value)) {
        number = unsafe_yyjson_get_real(value);
    } else if (yyjson_is_uint(value)) {
        number = (double)unsafe_yyjson_get_uint(value);
    } else if (yyjson_is_sint(value)) {
        number = (double)unsafe_yyjson_get_sint(value);
    } else if (yyjson_is_raw(value)) {
        if (!number_double(unsafe_yyjson_get_raw(value), unsafe_yyjson_get_len(value), NUMBER_NAMES,
                           &number))
            return no_fit(decoder, column->type, value, NULL);
    } else if (yyjson_equals_str(value, "NaN") || yyjson_equals_str(value, "Infinity") ||
               yyjson_equals_str(value, "-Infinity")) {
        number_double(unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value), NUMBER_STRICT,
                      &number);
    } else {
        return no_fit(decoder, column->type, value, NULL);
    }
    if (column->type->kind == TYPE_DOUBLE)
        ((double *)column->data)[row] = number;
    else if (!cell_float(number, &((float *)column->data)[row]))
        return no_fit(decoder, column->type, value, NULL);
    return FITS;
}

/* NaN or an infinity as a literal, which JSON itself does not have. */
static bool is_no_json(yyjson_val *value)
{
    const char *text = value->uni.str;

    if (yyjson_is_real(value))
        return !isfinite(unsafe_yyjson_get_real(value));
    return yyjson_is_raw(value) && !number_is_digit(text[*text == '-']);
}

/* The same of the value or of one within it: they stand side by side. */
static bool holds_no_json(yyjson_val *value)
{
    const yyjson_val *end = yyjson_is_ctn(value) ? unsafe_yyjson_get_next(value) : value + 1;

    for (yyjson_val *each = value; each < end; each++)
        if (is_no_json(each))
            return true;
    return false;
}

/* The JSON text of a value that is no string, for a string column. */
static outcome decode_text_of(json_decoder *decoder, column *column, uint64_t row,
                              yyjson_val *value)
{
    size_t length = 0;
    char *text, *copy;

    if (holds_no_json(value))
        return no_fit(decoder, column->type, value, "NaN and Infinity are of float and double");
    if (!decoder->exact && !yyjson_is_bool(value))
        return NEEDS_EXACT;
    text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, NULL, &length, NULL);
    if (text == NULL)
        return NO_MEMORY;
    copy = arena_copy(decoder->base.into->arena, text, length);
    free(text);
    if (copy == NULL)
        return NO_MEMORY;
    cell_put_text(column, row, copy, length);
    return FITS;
}

/* A value whose text is to be one of the column's type. */
static outcome decode_text(json_decoder *decoder, column *column, uint64_t row, yyjson_val *value)
{
    const type_kind kind = column->type->kind;
    const bool is_number = yyjson_is_num(value) || yyjson_is_raw(value);
    const char *hint = NULL;
    outcome result = DOES_NOT_FIT;

    if (kind == TYPE_DECIMAL && yyjson_is_num(value))
        return NEEDS_EXACT;
    if (yyjson_is_str(value) || (kind == TYPE_DECIMAL && is_number))
        result = cell_parse(decoder->base.into->arena, column, row, value->uni.str,
                            unsafe_yyjson_get_len(value));
    if (kind == TYPE_BINARY)
        hint = "binary columns take base64 text";
    else if (kind != TYPE_DECIMAL && is_number && !is_no_json(value))
        hint = "declare it as bigint or double in schema, and say what the number counts by "
               "feature_set.timestamp.unit";
    return result == DOES_NOT_FIT ? no_fit(decoder, column->type, value, hint) : result;
}

static outcome decode_value(json_decoder *decoder, shape *child, column *column, uint64_t row,
                            yyjson_val *value);

static void path_prepend(misfit *misfit, const char *step)
{
    char path[PATH_BYTES_MAX];
    const char *rest = misfit->path;

    if (snprintf(path, sizeof(path), "%s%s%s", step, *rest == '[' || *rest == '\0' ? "" : ".",
                 rest) > 0)
        memcpy(misfit->path, path, sizeof(path));
}

static outcome decode_array(json_decoder *decoder, shape *child, column *column, uint64_t row,
                            yyjson_val *value)
{
    struct column *elements = &column->children[0];
    uint64_t offset = column->n_elements;
    uint64_t n = unsafe_yyjson_get_len(value);
    yyjson_val *each = unsafe_yyjson_get_first(value);

    if (!yyjson_is_arr(value))
        return no_fit(decoder, column->type, value, NULL);
    if (column_reserve(decoder->base.into->arena, elements, offset + n, NULL) != FRESHET_OK)
        return NO_MEMORY;
    column->n_elements = offset + n;
    ((cell_span *)column->data)[row] = (cell_span){.offset = offset, .length = n};
    for (uint64_t i = 0; i < n; i++) {
        outcome result = decode_value(decoder, child, elements, offset + i, each);
        if (result == DOES_NOT_FIT || result == OTHER_FIELDS) {
            char step[24];
            snprintf(step, sizeof step, "[%llu]", (unsigned long long)i);
            path_prepend(&decoder->misfit, step);
        }
        if (result != FITS)
            return result;
        each = unsafe_yyjson_get_next(each);
    }
    return FITS;
}

static outcome decode_object(json_decoder *decoder, shape *it, column *columns, uint64_t row,
                             yyjson_val *object);

static outcome decode_some(json_decoder *decoder, shape *child, column *column, uint64_t row,
                           yyjson_val *value)
{
    switch (column->type->kind) {
    case TYPE_BIGINT:
    case TYPE_INTEGER: return decode_integer(decoder, column, row, value);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return decode_double(decoder, column, row, value);
    case TYPE_STRING:
        if (!yyjson_is_str(value))
            return decode_text_of(decoder, column, row, value);
        cell_put_text(column, row, unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value));
        return FITS;
    case TYPE_BOOLEAN:
        if (!yyjson_is_bool(value))
            return no_fit(decoder, column->type, value, NULL);
        ((uint8_t *)column->data)[row] = unsafe_yyjson_get_bool(value);
        return FITS;
    case TYPE_TIMESTAMP: /* decode_text without its calls; what does not fit it looks at again */
        if (yyjson_is_str(value) && timestamp_parse(value->uni.str, unsafe_yyjson_get_len(value),
                                                    &((int64_t *)column->data)[row]))
            return FITS;
        return decode_text(decoder, column, row, value);
    case TYPE_DECIMAL:
    case TYPE_BINARY:
    case TYPE_DATE: return decode_text(decoder, column, row, value);
    case TYPE_ARRAY: return decode_array(decoder, child, column, row, value);
    case TYPE_STRUCT:
        if (!yyjson_is_obj(value))
            return no_fit(decoder, column->type, value, NULL);
        return decode_object(decoder, child, column->children, row, value);
    }
    return DOES_NOT_FIT;
}

static outcome decode_value(json_decoder *decoder, shape *child, column *column, uint64_t row,
                            yyjson_val *value)
{
    outcome result = FITS;
    bool null = yyjson_is_null(value);

    if (!null) {
        cell_set_valid(column, row);
        result = decode_some(decoder, child, column, row, value);
        null = result == DOES_NOT_FIT && decoder->base.cast_error_null;
    }
    if (null)
        result = column_set_null(decoder->base.into->arena, column, row) ? FITS : NO_MEMORY;
    return result;
}

static outcome decode_missing(json_decoder *decoder, const shape *it, column *columns, uint64_t row)
{
    for (uint32_t i = 0; i < it->n_fields; i++)
        if (it->fields[i].seen != it->stamp && it->fields[i].used &&
            !column_set_null(decoder->base.into->arena, &columns[i], row))
            return NO_MEMORY;
    return FITS;
}

static outcome other_field(json_decoder *decoder, reason_code refused, const char *what,
                           const char *name, size_t length)
{
    decoder->base.refused = refused;
    decoder->misfit.hint = what;
    snprintf(decoder->misfit.path, sizeof(decoder->misfit.path), "%.*s", cell_shown(name, length),
             name);
    return OTHER_FIELDS;
}

static outcome missing_field(json_decoder *decoder, const shape *it)
{
    uint32_t i = 0;

    while (it->fields[i].seen == it->stamp || !it->fields[i].used)
        i++;
    return other_field(decoder, REASON_MISSING_COLUMN, "is missing", it->fields[i].name,
                       it->fields[i].name_length);
}

void json_next_stamp(shape *it)
{
    if (++it->stamp != 0)
        return;
    for (uint32_t i = 0; i < it->n_fields; i++)
        it->fields[i].seen = 0;
    it->stamp = 1;
}

static outcome decode_object(json_decoder *decoder, shape *it, column *columns, uint64_t row,
                             yyjson_val *object)
{
    size_t n = unsafe_yyjson_get_len(object);
    yyjson_val *key = unsafe_yyjson_get_first(object);
    uint32_t n_seen = 0;

    json_next_stamp(it);
    for (size_t place = 0; place < n; place++) {
        yyjson_val *value = key + 1;
        int32_t i = shape_find(it, place, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
        if (i != FIELD_IGNORED) {
            outcome result = decode_value(decoder, it->fields[i].child, &columns[i], row, value);
            if (result == DOES_NOT_FIT || result == OTHER_FIELDS)
                path_prepend(&decoder->misfit, it->fields[i].name);
            if (result != FITS)
                return result;
            n_seen += it->fields[i].seen != it->stamp;
            it->fields[i].seen = it->stamp;
            it->fields[i].is_known = true;
        } else if (decoder->strict) {
            return other_field(decoder, REASON_UNKNOWN_COLUMN, "is not in the schema",
                               unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
        }
        key = unsafe_yyjson_get_next(value);
    }
    if (n_seen == it->n_used)
        return FITS;
    return decoder->strict ? missing_field(decoder, it) : decode_missing(decoder, it, columns, row);
}

/* ---- records --------------------------------------------------------------------------------- */

static void describe_value(yyjson_val *value, char *into, size_t size)
{
    if (yyjson_is_str(value) || yyjson_is_raw(value)) {
        size_t length = unsafe_yyjson_get_len(value);
        int n = cell_shown(value->uni.str, length);
        const char *more = (size_t)n < length ? "..." : "";
        if (yyjson_is_str(value))
            snprintf(into, size, "the string \"%.*s%s\"", n, value->uni.str, more);
        else
            snprintf(into, size, "%s%.*s%s", is_no_json(value) ? "" : "the number ", n,
                     value->uni.str, more);
    } else if (yyjson_is_sint(value)) {
        snprintf(into, size, "the number %lld", (long long)unsafe_yyjson_get_sint(value));
    } else if (yyjson_is_uint(value)) {
        snprintf(into, size, "the number %llu", (unsigned long long)unsafe_yyjson_get_uint(value));
    } else if (yyjson_is_real(value)) {
        double real = unsafe_yyjson_get_real(value);
        if (isfinite(real))
            snprintf(into, size, "the number %.17g", real);
        else
            snprintf(into, size, "%s", isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
    } else if (yyjson_is_bool(value)) {
        snprintf(into, size, "the boolean %s", unsafe_yyjson_get_bool(value) ? "true" : "false");
    } else {
        const char *kind = yyjson_is_arr(value) ? "array" : "object";
        size_t length = 0;
        char *text = yyjson_val_write(value, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
        int n = text == NULL ? 0 : cell_shown(text, length);
        snprintf(into, size, "the %s %.*s%s", kind, n, text == NULL ? "" : text,
                 (size_t)n < length ? "..." : "");
        free(text);
    }
}

static freshet_code refuse_misfit(json_decoder *decoder, freshet_error *err)
{
    const misfit *misfit = &decoder->misfit;
    const char *wanted = type_name(decoder->base.into->arena, misfit->type);
    char found[CELL_SHOWN_MAX + 64];

    if (wanted == NULL)
        return error_memory(err, "describing a bad record");
    describe_value(misfit->found, found, sizeof(found));
    decoder->base.refused = REASON_BAD_CAST;
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "field \"%s\" should be %s, but is %s; %s", misfit->path, wanted, found,
                     misfit->hint != NULL
                         ? misfit->hint
                         : "declare it in schema as what it is, or say on_cast_error: null");
}

static freshet_code refuse_text(const yyjson_read_err *problem, freshet_error *err)
{
    if (problem->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return error_memory(err, "parsing a JSON record");
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "the record is not valid JSON: %s, at byte %zu", problem->msg, problem->pos);
}

bool json_depth_is_fine(const char *raw, size_t length)
{
    size_t depth = 0;
    bool in_string = false;

    if (length < 2 * (size_t)JSON_DEPTH_MAX)
        return true;
    for (size_t i = 0; i < length; i++) {
        char c = raw[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* A copy of the record, with the padding that parsing in place wants. */
static char *copy_record(const json_decoder *decoder, const char *raw, size_t length)
{
    char *copy = arena_alloc(decoder->base.into->arena, length + YYJSON_PADDING_SIZE);

    if (copy != NULL) {
        memcpy(copy, raw, length);
        memset(copy + length, 0, YYJSON_PADDING_SIZE);
    }
    return copy;
}

static freshet_code decode_once(json_decoder *decoder, const char *raw, size_t length, bool *again,
                                freshet_error *err)
{
    yyjson_read_flag flags =
        YYJSON_READ_INSITU | YYJSON_READ_ALLOW_INF_AND_NAN |
        (decoder->exact ? YYJSON_READ_NUMBER_AS_RAW : YYJSON_READ_BIGNUM_AS_RAW);
    const bool is_short = yyjson_read_max_memory_usage(length, flags) <= SCRATCH_BYTES;
    const yyjson_alc memory = {scratch_malloc, scratch_realloc, scratch_free, decoder->scratch};
    yyjson_read_err problem = {0};
    freshet_code code = FRESHET_OK;
    char *copy = copy_record(decoder, raw, length);
    yyjson_doc *doc;

    if (copy == NULL)
        return error_memory(err, "copying a JSON record");
    doc = yyjson_read_opts(copy, length, flags, is_short ? &memory : NULL, &problem);
    if (doc == NULL)
        return refuse_text(&problem, err);
    if (!yyjson_is_obj(doc->root)) {
        char found[CELL_SHOWN_MAX + 64] = "null";
        if (!yyjson_is_null(doc->root))
            describe_value(doc->root, found, sizeof(found));
        code = error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record should be a JSON object, but is %s", found);
        *again = !decoder->exact;
    } else {
        switch (decode_object(decoder, decoder->root, decoder->base.into->columns,
                              decoder->base.into->n_rows, doc->root)) {
        case FITS: break;
        case DOES_NOT_FIT:
            code = refuse_misfit(decoder, err);
            *again = !decoder->exact; /* numbers are quoted as they stand: 1.50, not 1.5 */
            break;
        case OTHER_FIELDS:
            code = error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "field \"%s\" %s, and strict: true wants the fields of the schema and "
                             "no others",
                             decoder->misfit.path, decoder->misfit.hint);
            break;
        case NEEDS_EXACT: *again = decoder->stays_exact = true; break;
        case NEEDS_EXACT_ONCE: *again = true; break;
        case NO_MEMORY: code = error_memory(err, "decoding a JSON record"); break;
        }
    }
    yyjson_doc_free(doc);
    return code;
}

static freshet_code json_too_large(json_decoder *decoder, size_t length, freshet_error *err)
{
    decoder->base.refused = REASON_TOO_LARGE;
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "the record has %zu bytes; at most 4 GiB can be decoded", length);
}

/* Is the record one of plain values, which is decoded then? Where records are not, they are tried
 * now and then only. */
static bool json_is_plain(json_decoder *decoder, const char *raw, size_t length)
{
    if (decoder->pause > 0) {
        decoder->pause--;
        return false;
    }
    if (json_decode_plain(decoder, raw, length)) {
        decoder->next_pause = 0;
        return true;
    }
    decoder->pause = decoder->next_pause;
    decoder->next_pause =
        decoder->next_pause >= PLAIN_PAUSE_MAX ? PLAIN_PAUSE_MAX : decoder->next_pause * 2 + 1;
    return false;
}

static freshet_code json_decode(decoder *base, const char *raw, size_t length, freshet_error *err)
{
    json_decoder *decoder = (json_decoder *)base;
    bool again = false;
    freshet_code code;

    if (length > UINT32_MAX - 16)
        return json_too_large(decoder, length, err);
    if (decoder->tries_plain && json_is_plain(decoder, raw, length))
        return FRESHET_OK;
    if (!json_depth_is_fine(raw, length))
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record is nested deeper than %d levels; flatten it where it is "
                         "written",
                         JSON_DEPTH_MAX);
    code = decode_once(decoder, raw, length, &again, err);
    if (again) {
        decoder->exact = true;
        code = decode_once(decoder, raw, length, &again, err);
        decoder->exact = decoder->stays_exact;
    }
    return code;
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* The shape of records; where `strict`, what is not used is looked at, too. */
static shape *root_make(json_decoder *decoder)
{
    const schema *schema = decoder->base.schema;
    const bool *elsewhere = decoder->base.elsewhere, *wanted = decoder->base.used;

    if (decoder->strict && elsewhere != NULL) {
        bool *others = arena_zero(decoder->own, schema->n_fields, sizeof(*others));
        if (others == NULL)
            return NULL;
        for (uint32_t i = 0; i < schema->n_fields; i++)
            others[i] = !elsewhere[i];
        wanted = others;
    } else if (decoder->strict) {
        wanted = NULL;
    }
    return shape_make(decoder->own, schema->fields, schema->n_fields, wanted);
}

static freshet_code json_open(decoder *base, freshet_error *err)
{
    json_decoder *decoder = (json_decoder *)base;
    const schema *schema = base->schema;

    decoder->strict = base->options->json.strict;
    decoder->own = arena_open();
    if (decoder->own != NULL)
        decoder->root = root_make(decoder);
    decoder->tries_plain = true;
    decoder->scratch = malloc(SCRATCH_BYTES);
    if (decoder->root == NULL || decoder->scratch == NULL)
        return error_memory(err, "making a JSON decoder");
    for (uint32_t i = 0; i < schema->n_fields; i++)
        if (decoder->root->fields[i].used && has_kind(schema->fields[i].type, TYPE_DECIMAL))
            decoder->exact = decoder->stays_exact = true;
    return FRESHET_OK;
}

static void json_close(decoder *base)
{
    json_decoder *decoder = (json_decoder *)base;

    arena_close(decoder->own);
    free(decoder->scratch);
}

/* ---- columns that do not come ---------------------------------------------------------------- */

/* The nearest of the keys that were seen and are no columns. */
static const char *nearest_key(const shape *it, char keys[PLACES_MAX][PLACE_KEY_MAX + 1],
                               const char *name)
{
    const char *names[PLACES_MAX];
    size_t n = 0;

    for (uint32_t i = 0; i < PLACES_MAX; i++)
        if (it->places[i].length <= PLACE_KEY_MAX && it->places[i].field == FIELD_IGNORED) {
            memcpy(keys[n], it->places[i].key, it->places[i].length);
            keys[n][it->places[i].length] = '\0';
            names[n] = keys[n];
            n++;
        }
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i], name) == 0)
            return names[i];
    return text_nearest(name, names, n);
}

static void json_unseen(const decoder *base, infer_lacking_fn *tell, void *context)
{
    const shape *it = ((const json_decoder *)base)->root;
    char keys[PLACES_MAX][PLACE_KEY_MAX + 1];

    for (uint32_t i = 0; i < it->n_fields; i++)
        if (it->fields[i].used && !it->fields[i].is_known)
            tell(context, i, it->fields[i].name, nearest_key(it, keys, it->fields[i].name));
}

/* ---- the format ------------------------------------------------------------------------------ */

static bool json_is_blank(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
            return false;
    return true;
}

static const format_option json_own[] = {{"strict", offsetof(format_options, json.strict_at)}, {0}};
static const char *const json_endings[] = {".jsonl", ".json", ".ndjson", NULL};

const format format_json = {.name = "json",
                            .endings = json_endings,
                            .size = sizeof(json_decoder),
                            .own = json_own,
                            .open = json_open,
                            .close = json_close,
                            .is_blank = json_is_blank,
                            .decode = json_decode,
                            .unseen = json_unseen,
                            .infer = infer_json};
