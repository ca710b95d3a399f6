/* infer.c - see infer.h.
 *
 * What is known of a field is a node: which kinds of values it has held, and below it the node of
 * an array's elements or of a struct's fields. Names are found by a linear look at first where the
 * record before had its field, so equal records cost one comparison a field.
 */
#include "formats/infer.h"

#include <inttypes.h>
#include <stdarg.h>
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

/* Kinds of values seen, as bits. For CSV: which types each value seen so far could be. */
enum {
    SEEN_BOOLEAN = 1,
    SEEN_BIGINT = 2,
    SEEN_DOUBLE = 4,
    SEEN_STRING = 8,
    SEEN_ARRAY = 16,
    SEEN_STRUCT = 32,
    SEEN_DATE = 64,
    SEEN_TIMESTAMP = 128,
    SEEN_WIDE = 256,  /* whole, of 20 digits at most */
    SEEN_WIDER = 512, /* whole, of 38 digits at most */
    SEEN_EXACT = 1024 /* JSON: whole, and no double is the same */
};

#define INFERRING "inferring a schema"
#define MEMORY_BYTES ((size_t)1 << 20)
#define ODD_RECORDS_MAX 1000
#define ODD_SHOWN_MAX 100 /* bytes of a line */
#define N_DELIMITERS 4
#define LINEAR_MAX 16 /* so many names are compared one by one */
#define SEEN_WHOLE (SEEN_BIGINT | SEEN_WIDE | SEEN_WIDER)
#define WIDE_DIGITS 20
#define WHOLE_MAX (INT64_C(1) << 53) /* up to here every whole number is a double */
#define CSV_ANY (SEEN_BOOLEAN | SEEN_WHOLE | SEEN_DOUBLE | SEEN_DATE | SEEN_TIMESTAMP | SEEN_STRING)

typedef struct node node;
struct node {
    const char *name;
    unsigned seen;
    bool has_value;    /* CSV: some value was not null */
    unsigned as_value; /* CSV: what its name could be, were it a value */
    node *element;
    node *fields;
    uint32_t n_fields, capacity;
    uint32_t *slots; /* of many fields: a hash table of index + 1 */
    uint32_t n_slots;
};

/* What is counted for infer_oddities. */
typedef struct oddities {
    const char *path;                /* of the first file */
    const char *first;               /* its first line, or the beginning of it */
    int64_t n_lines;                 /* JSON: records or not */
    int64_t n_records;               /* CSV, not more than ODD_RECORDS_MAX */
    uint32_t in_first[N_DELIMITERS]; /* fields of the first record by another delimiter, */
    int64_t n_same[N_DELIMITERS];    /* and records that have as many */
    int64_t n_escaped;               /* \" within quotes, where a quote cannot end the field */
    int64_t n_pairs, n_single;       /* backslashes within quotes */
} oddities;

struct infer {
    arena *arena;
    arena *scratch; /* of one record */
    void *memory;   /* of one JSON record: MEMORY_BYTES */
    node root;
    int64_t n_records;
    csv_field *cells;
    uint32_t *field_of; /* CSV: the field of each cell of the present file's records */
    uint32_t n_cells;
    uint32_t n_files;
    bool has_no_names; /* CSV without a header */
    oddities odd;
};

freshet_code infer_open(infer **out, freshet_error *err)
{
    infer *it = calloc(1, sizeof(*it));

    if (it != NULL) {
        it->arena = arena_open();
        it->scratch = arena_open();
        it->memory = malloc(MEMORY_BYTES);
    }
    if (it == NULL || it->arena == NULL || it->scratch == NULL || it->memory == NULL) {
        infer_close(it);
        return error_memory(err, INFERRING);
    }
    *out = it;
    return FRESHET_OK;
}

void infer_close(infer *infer)
{
    if (infer == NULL)
        return;
    arena_close(infer->arena);
    arena_close(infer->scratch);
    free(infer->memory);
    free(infer);
}

/* A new field at the end of the node; NULL where memory is out. */
static node *field_add(infer *infer, node *parent, const char *name, size_t length)
{
    if (!arena_reserve(infer->arena, &parent->fields, &parent->capacity,
                       parent->n_fields + UINT64_C(1), sizeof(node)))
        return NULL;
    node *field = &parent->fields[parent->n_fields];
    *field = (node){.name = arena_copy(infer->arena, name, length)};
    if (field->name == NULL)
        return NULL;
    parent->n_fields++;
    return field;
}

static bool has_name(const node *field, const char *name, size_t length)
{
    return strncmp(field->name, name, length) == 0 && field->name[length] == '\0';
}

static uint32_t slot_of(const node *parent, const char *name, size_t length)
{
    return (uint32_t)hash_bytes(name, length, 0) & (parent->n_slots - 1);
}

static void slot_put(node *parent, uint32_t index)
{
    const char *name = parent->fields[index].name;
    uint32_t slot = slot_of(parent, name, strlen(name));

    while (parent->slots[slot] != 0)
        slot = (slot + 1) & (parent->n_slots - 1);
    parent->slots[slot] = index + 1;
}

/* The last field into the hash table, which is made anew where it is half full. */
static bool slot_add(infer *infer, node *parent)
{
    if (parent->n_fields <= LINEAR_MAX)
        return true;
    if (parent->n_fields * 2 <= parent->n_slots) {
        slot_put(parent, parent->n_fields - 1);
        return true;
    }
    parent->n_slots = parent->n_slots == 0 ? 4 * LINEAR_MAX : 2 * parent->n_slots;
    parent->slots = arena_zero(infer->arena, parent->n_slots, sizeof(*parent->slots));
    for (uint32_t i = 0; parent->slots != NULL && i < parent->n_fields; i++)
        slot_put(parent, i);
    return parent->slots != NULL;
}

/* The field of that name, which mostly stands where it stood in the record before; NULL: none. */
static node *field_find(const node *parent, uint32_t guess, const char *name, size_t length)
{
    if (guess < parent->n_fields && has_name(&parent->fields[guess], name, length))
        return &parent->fields[guess];
    if (parent->n_slots > 0) {
        uint32_t slot = slot_of(parent, name, length);
        for (; parent->slots[slot] != 0; slot = (slot + 1) & (parent->n_slots - 1))
            if (has_name(&parent->fields[parent->slots[slot] - 1], name, length))
                return &parent->fields[parent->slots[slot] - 1];
        return NULL;
    }
    for (uint32_t i = 0; i < parent->n_fields; i++)
        if (has_name(&parent->fields[i], name, length))
            return &parent->fields[i];
    return NULL;
}

static node *field_of(infer *infer, node *parent, uint32_t guess, const char *name, size_t length)
{
    node *found = field_find(parent, guess, name, length);

    if (found != NULL)
        return found;
    found = field_add(infer, parent, name, length);
    return found != NULL && slot_add(infer, parent) ? found : NULL;
}

static bool infer_look_at(infer *infer, node *into, yyjson_val *value, unsigned depth);

static bool look_at_object(infer *infer, node *into, yyjson_val *object, unsigned depth)
{
    yyjson_obj_iter each = yyjson_obj_iter_with(object);
    yyjson_val *key;

    if (into->n_fields > TYPE_FIELDS_MAX)
        return true;
    for (uint32_t i = 0; (key = yyjson_obj_iter_next(&each)) != NULL; i++) {
        size_t length = yyjson_get_len(key);
        if (memchr(yyjson_get_str(key), '\0', length) != NULL)
            continue; /* no column can have that name */
        node *field = field_of(infer, into, i, yyjson_get_str(key), length);
        if (field == NULL)
            return false;
        if (into->n_fields > TYPE_FIELDS_MAX)
            return true; /* infer_schema says so */
        if (!infer_look_at(infer, field, yyjson_obj_iter_get_val(key), depth))
            return false;
    }
    return true;
}

static bool look_at_array(infer *infer, node *into, yyjson_val *array, unsigned depth)
{
    yyjson_arr_iter each = yyjson_arr_iter_with(array);
    yyjson_val *value;

    if (into->element == NULL)
        into->element = arena_zero(infer->arena, 1, sizeof(node));
    if (into->element == NULL)
        return false;
    while ((value = yyjson_arr_iter_next(&each)) != NULL)
        if (!infer_look_at(infer, into->element, value, depth))
            return false;
    return true;
}

/* What a text of digits can be, as a whole number; 0 where it is none. */
static unsigned kinds_of_whole(const char *text, size_t length)
{
    int64_t narrow;
    int128 wide;
    double real = 0;
    unsigned kinds = 0;

    if (number_integer(text, length, NUMBER_STRICT, INT64_MIN, INT64_MAX, &narrow))
        kinds = SEEN_WHOLE;
    else if (number_decimal(text, length, NUMBER_STRICT, WIDE_DIGITS, 0, &wide))
        kinds = SEEN_WIDE | SEEN_WIDER;
    else if (number_decimal(text, length, NUMBER_STRICT, TYPE_DECIMAL_WIDTH_MAX, 0, &wide))
        kinds = SEEN_WIDER;
    if (kinds & SEEN_BIGINT)
        wide = narrow;
    if (kinds != 0 && number_double(text, length, NUMBER_STRICT, &real) && (int128)real != wide)
        kinds |= SEEN_EXACT;
    return kinds;
}

/* The narrowest kind of a number in JSON. */
static unsigned kinds_of_number(yyjson_val *value)
{
    char digits[24];
    const char *text = digits;
    size_t length;
    unsigned kinds;

    if (yyjson_is_real(value))
        return SEEN_DOUBLE;
    if (yyjson_is_sint(value) && yyjson_get_sint(value) >= -WHOLE_MAX)
        return SEEN_BIGINT;
    if (yyjson_is_uint(value) && yyjson_get_uint(value) <= WHOLE_MAX)
        return SEEN_BIGINT;
    if (yyjson_is_raw(value)) {
        text = yyjson_get_raw(value);
        length = yyjson_get_len(value);
        if (memchr(text, '.', length) || memchr(text, 'e', length) || memchr(text, 'E', length))
            return SEEN_DOUBLE;
    } else if (yyjson_is_uint(value)) {
        length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, yyjson_get_uint(value));
    } else {
        length = (size_t)snprintf(digits, sizeof digits, "%" PRId64, yyjson_get_sint(value));
    }
    kinds = kinds_of_whole(text, length);
    if (kinds == 0)
        return SEEN_DOUBLE;
    return (kinds & SEEN_EXACT) | (kinds & SEEN_BIGINT ? SEEN_BIGINT
                                   : kinds & SEEN_WIDE ? SEEN_WIDE
                                                       : SEEN_WIDER);
}

static bool infer_look_at(infer *infer, node *into, yyjson_val *value, unsigned depth)
{
    if (yyjson_is_null(value))
        return true;
    if (depth + 1 >= TYPE_DEPTH_MAX && yyjson_is_ctn(value)) {
        into->seen |= SEEN_STRING;
        return true;
    }
    if (yyjson_is_obj(value)) {
        into->seen |= SEEN_STRUCT;
        return look_at_object(infer, into, value, depth + 1);
    }
    if (yyjson_is_arr(value)) {
        into->seen |= SEEN_ARRAY;
        return look_at_array(infer, into, value, depth + 1);
    }
    if (yyjson_is_bool(value))
        into->seen |= SEEN_BOOLEAN;
    else if (yyjson_is_str(value))
        into->seen |= SEEN_STRING;
    else
        into->seen |= kinds_of_number(value);
    return true;
}

/* Notes a line, and keeps the first one. */
static bool odd_note_line(infer *infer, const char *line, size_t length, const char *at)
{
    oddities *odd = &infer->odd;

    odd->n_lines++;
    if (odd->first != NULL)
        return true;
    while (length > 0 && number_is_blank(*line)) {
        line++;
        length--;
    }
    if (length == 0)
        return true;
    if (length > ODD_SHOWN_MAX)
        length = ODD_SHOWN_MAX;
    odd->first = arena_copy(infer->arena, line, text_valid_length(line, length));
    odd->path = arena_text(infer->arena, at);
    return odd->first != NULL && odd->path != NULL;
}

freshet_code infer_json(infer *infer, const format_options *options, const char *record,
                        size_t length, bool first, const char *at, freshet_error *err)
{
    const yyjson_read_flag flags = YYJSON_READ_ALLOW_INF_AND_NAN | YYJSON_READ_BIGNUM_AS_RAW;
    yyjson_alc memory;
    yyjson_doc *doc;
    bool fine = true, is_short = false;

    (void)options;
    (void)first;
    if (!odd_note_line(infer, record, length, at))
        return error_memory(err, INFERRING);
    if (!json_depth_is_fine(record, length))
        return FRESHET_OK;
    if (yyjson_read_max_memory_usage(length, flags) < MEMORY_BYTES / 2)
        is_short = yyjson_alc_pool_init(&memory, infer->memory, MEMORY_BYTES);
    doc = yyjson_read_opts((char *)record, length, flags, is_short ? &memory : NULL, NULL);
    if (doc == NULL)
        return FRESHET_OK;
    if (yyjson_is_obj(doc->root)) {
        fine = look_at_object(infer, &infer->root, doc->root, 0);
        infer->n_records++;
    }
    yyjson_doc_free(doc);
    return fine ? FRESHET_OK : error_memory(err, INFERRING);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

/* Splits a record; *n is 0 where it is none. */
static freshet_code split(infer *infer, const csv_dialect *dialect, const char *record,
                          size_t length, uint32_t *n, freshet_error *err)
{
    const char *problem;

    if (infer->cells == NULL)
        infer->cells = arena_zero(infer->arena, TYPE_FIELDS_MAX, sizeof(csv_field));
    if (infer->field_of == NULL)
        infer->field_of = arena_zero(infer->arena, TYPE_FIELDS_MAX, sizeof(uint32_t));
    if (infer->cells == NULL || infer->field_of == NULL)
        return error_memory(err, INFERRING);
    if (!text_is_utf8(record, length) ||
        !csv_split(dialect, record, length, infer->cells, TYPE_FIELDS_MAX, n, &problem))
        *n = 0;
    return FRESHET_OK;
}

static bool has_date_form(const char *text, uint32_t length)
{
    return length >= 10 && text[4] == '-' && text[7] == '-';
}

static bool is_digits(const char *text, size_t length)
{
    size_t i = length > 0 && (*text == '-' || *text == '+');

    if (i == length)
        return false;
    for (; i < length; i++)
        if (!number_is_digit(text[i]))
            return false;
    return true;
}

/* Which types a text could be. */
static unsigned kinds_of(const char *text, uint32_t length)
{
    unsigned kinds = SEEN_STRING;
    const char *digits = text + (length > 0 && (*text == '-' || *text == '+'));
    bool leading_zero =
        text + length - digits > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    int64_t number;
    double real;
    int32_t days;
    uint8_t truth;

    if (cell_boolean(text, length, &truth))
        kinds |= SEEN_BOOLEAN;
    if (!leading_zero && is_digits(text, length))
        kinds |= kinds_of_whole(text, length);
    if (!leading_zero && !(kinds & SEEN_EXACT) && number_double(text, length, NUMBER_STRICT, &real))
        kinds |= SEEN_DOUBLE;
    if (has_date_form(text, length)) {
        if (length == 10 && date_parse(text, length, &days))
            kinds |= SEEN_DATE;
        if (timestamp_parse(text, length, &number))
            kinds |= SEEN_TIMESTAMP;
    }
    return kinds;
}

/* The name of cell i of a header, or of a file without one. */
static const char *cell_name(infer *infer, bool header, uint32_t i, uint32_t *length)
{
    const char *name;

    if (header)
        return csv_text(infer->arena, &infer->cells[i], length);
    name = arena_format(infer->arena, "column%u", i);
    *length = name == NULL ? 0 : (uint32_t)strlen(name);
    return name;
}

/* The columns of a file, from the n cells of its first record: those that are known already, and
 * new ones. */
static freshet_code infer_csv_names(infer *infer, bool header, uint32_t n, const char *at,
                                    freshet_error *err)
{
    if (n == 0 || n > TYPE_FIELDS_MAX)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
            "the first line is not a CSV header of at most %d columns; declare schema, "
            "and header: false if there is none",
            TYPE_FIELDS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_bytes = 0;
        const uint32_t n_before = infer->root.n_fields;
        const char *name = cell_name(infer, header, i, &n_bytes);
        node *field;
        if (name == NULL || memchr(name, '\0', n_bytes) != NULL)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                             "the name of column %u of the header cannot be read", i + 1);
        field = infer->n_files == 0 ? field_add(infer, &infer->root, name, n_bytes)
                                    : field_of(infer, &infer->root, i, name, n_bytes);
        if (field == NULL)
            return error_memory(err, INFERRING);
        if (infer->root.n_fields > n_before)
            field->seen = CSV_ANY;
        field->as_value = header ? kinds_of(name, n_bytes) : 0;
        infer->field_of[i] = (uint32_t)(field - infer->root.fields);
    }
    infer->n_cells = n;
    infer->has_no_names = !header;
    infer->n_files++;
    return FRESHET_OK;
}

static const char other_delimiters[N_DELIMITERS] = {',', ';', '\t', '|'};

/* Backslashes within the record's quoted fields, taken as RFC 4180 has them. */
static void odd_note_escapes(oddities *odd, char delimiter, const char *record, size_t length)
{
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        const char next = i + 1 < length ? record[i + 1] : delimiter;
        if (record[i] == '"' && !quoted) {
            quoted = i == 0 || record[i - 1] == delimiter;
        } else if (record[i] == '"') {
            quoted = false;
        } else if (record[i] == '\\' && quoted && next == '"') {
            const char behind = i + 2 < length ? record[i + 2] : delimiter;
            odd->n_escaped += behind != delimiter && behind != '"' && behind != '\n';
            i++;
        } else if (record[i] == '\\' && quoted) {
            odd->n_pairs += next == '\\';
            odd->n_single += next != '\\';
            i += next == '\\';
        }
    }
}

static void odd_note_csv(oddities *odd, const csv_dialect *dialect, const char *record,
                         size_t length)
{
    if (odd->n_records == ODD_RECORDS_MAX || length == 0)
        return;
    if (memchr(record, '\\', length) != NULL)
        odd_note_escapes(odd, dialect->delimiter, record, length);
    for (int i = 0; i < N_DELIMITERS; i++) {
        const csv_dialect other = {.delimiter = other_delimiters[i], .null_text = ""};
        const char *problem;
        csv_field none;
        uint32_t n = 0;
        if (!csv_split(&other, record, length, &none, 1, &n, &problem))
            continue;
        if (odd->n_records == 0)
            odd->in_first[i] = n;
        odd->n_same[i] += n == odd->in_first[i];
    }
    odd->n_records++;
}

static freshet_code look_at_cells(infer *infer, const csv_dialect *dialect, freshet_error *err)
{
    for (uint32_t i = 0; i < infer->n_cells; i++) {
        node *field = &infer->root.fields[infer->field_of[i]];
        const csv_field *cell = &infer->cells[i];
        uint32_t n_bytes = 0;
        const char *text;
        if (csv_is_null(dialect, cell) || (cell->length == 0 && !cell->quoted))
            continue;
        text = csv_text(infer->scratch, cell, &n_bytes);
        if (text == NULL)
            return error_memory(err, INFERRING);
        if (field->seen != SEEN_STRING)
            field->seen &= kinds_of(text, n_bytes);
        field->has_value = true;
    }
    infer->n_records++;
    return FRESHET_OK;
}

freshet_code infer_csv(infer *infer, const format_options *options, const char *record,
                       size_t length, bool first, const char *at, freshet_error *err)
{
    csv_dialect dialect = csv_dialect_of(&options->csv);
    uint32_t n = 0;
    freshet_code code;

    arena_reset(infer->scratch);
    if (!odd_note_line(infer, record, length, at))
        return error_memory(err, INFERRING);
    odd_note_csv(&infer->odd, &dialect, record, length);
    code = split(infer, &dialect, record, length, &n, err);
    if (code == FRESHET_OK && first && (options->csv.header || infer->n_files == 0))
        code = infer_csv_names(infer, options->csv.header, n, at, err);
    if (code != FRESHET_OK || (first && options->csv.header) || n != infer->n_cells || n == 0)
        return code;
    return look_at_cells(infer, &dialect, err);
}

/* ---- the schema ------------------------------------------------------------------------------ */

static const type *node_type(arena *arena, const node *it);

/* Whole numbers beyond 64 bits. */
static const type *whole_type(arena *arena, unsigned seen)
{
    return type_decimal(arena, seen & SEEN_WIDER ? TYPE_DECIMAL_WIDTH_MAX : WIDE_DIGITS, 0);
}

static const type *csv_type(arena *arena, const node *it)
{
    static const struct {
        unsigned seen;
        type_kind kind;
    } narrowest_first[] = {{SEEN_BOOLEAN, TYPE_BOOLEAN},    {SEEN_BIGINT, TYPE_BIGINT},
                           {SEEN_WIDE, TYPE_DECIMAL},       {SEEN_WIDER, TYPE_DECIMAL},
                           {SEEN_DOUBLE, TYPE_DOUBLE},      {SEEN_DATE, TYPE_DATE},
                           {SEEN_TIMESTAMP, TYPE_TIMESTAMP}};

    for (size_t i = 0; it->has_value && i < sizeof narrowest_first / sizeof *narrowest_first; i++)
        if (it->seen & narrowest_first[i].seen)
            return narrowest_first[i].kind == TYPE_DECIMAL
                       ? whole_type(arena, narrowest_first[i].seen)
                       : type_simple(narrowest_first[i].kind);
    return type_simple(TYPE_STRING);
}

/* The node's fields as columns; NULL where memory is out. */
static field *fields_of(arena *arena, const node *it, bool of_csv)
{
    field *fields = arena_zero(arena, it->n_fields, sizeof(*fields));

    for (uint32_t i = 0; fields != NULL && i < it->n_fields; i++) {
        const node *each = &it->fields[i];
        fields[i] = (field){.name = arena_text(arena, each->name),
                            .type = of_csv ? csv_type(arena, each) : node_type(arena, each)};
        if (fields[i].name == NULL || fields[i].type == NULL)
            return NULL;
    }
    return fields;
}

static const type *struct_type(arena *arena, const node *it)
{
    const field *fields = fields_of(arena, it, false);

    return fields == NULL ? NULL : type_struct(arena, fields, it->n_fields);
}

static const type *node_type(arena *arena, const node *it)
{
    const unsigned seen = it->seen & ~(unsigned)SEEN_EXACT;

    if (seen != 0 && (seen & ~(unsigned)SEEN_WHOLE) == 0)
        return seen == SEEN_BIGINT ? type_simple(TYPE_BIGINT) : whole_type(arena, seen);
    if ((seen & SEEN_DOUBLE) && (it->seen & ~(unsigned)(SEEN_WHOLE | SEEN_DOUBLE)) == 0)
        return type_simple(TYPE_DOUBLE);
    switch (it->seen) {
    case SEEN_BOOLEAN: return type_simple(TYPE_BOOLEAN);
    case SEEN_ARRAY: {
        const type *element = node_type(arena, it->element);
        return element == NULL ? NULL : type_array(arena, element);
    }
    case SEEN_STRUCT:
        return it->n_fields == 0 || it->n_fields > TYPE_FIELDS_MAX ? type_simple(TYPE_STRING)
                                                                   : struct_type(arena, it);
    default: return type_simple(TYPE_STRING);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Looks for two names that SQL would take for one, here and below. */
static freshet_code infer_check_names(arena *arena, const node *it, const char *at,
                                      freshet_error *err)
{
    const char **names = arena_zero(arena, it->n_fields + 1, sizeof(*names));

    if (names == NULL)
        return error_memory(err, INFERRING);
    for (uint32_t i = 0; i < it->n_fields; i++)
        names[i] = it->fields[i].name;
    qsort(names, it->n_fields, sizeof(*names), by_name);
    for (uint32_t i = 0; i < it->n_fields; i++) {
        freshet_code code;
        if (names[i][0] == '\0')
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                             "a field has an empty name; declare schema with the fields to read");
        if (i > 0 && strcasecmp(names[i - 1], names[i]) == 0)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                "the fields \"%s\" and \"%s\" are one name in SQL; declare schema with "
                "the one to read",
                names[i - 1], names[i]);
        code = infer_check_names(arena, &it->fields[i], at, err);
        if (code == FRESHET_OK && it->fields[i].element != NULL)
            code = infer_check_names(arena, it->fields[i].element, at, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

freshet_code infer_schema(infer *infer, arena *arena, const char *at, schema *out,
                          freshet_error *err)
{
    const node *root = &infer->root;
    const field *fields;
    freshet_code code;

    if (root->n_fields == 0 && infer->odd.first != NULL && infer->cells == NULL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "no line of %s is a JSON object, to infer the columns from: it begins "
                         "with \"%s\"; mend it, or declare schema",
                         infer->odd.path, infer->odd.first);
    if (root->n_fields == 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "there is no record yet to infer the columns from; declare schema");
    if (root->n_fields > TYPE_FIELDS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "the records have more than %d fields; declare schema with those to read",
                         TYPE_FIELDS_MAX);
    code = infer_check_names(infer->arena, root, at, err);
    if (code != FRESHET_OK)
        return code;
    fields = fields_of(arena, root, infer->cells != NULL);
    if (fields == NULL)
        return error_memory(err, INFERRING);
    *out = (schema){.n_fields = root->n_fields, .fields = fields};
    return FRESHET_OK;
}

/* ---- what is declared and not there ---------------------------------------------------------- */

int64_t infer_count(const infer *infer)
{
    return infer->n_records;
}

/* What is declared at one level, and what was found there. */
typedef struct lacking {
    struct infer *infer;
    const field *declared;
    uint32_t n_declared;
    const node *found;
    bool any_case; /* names of CSV */
    uint32_t column;
    const char *path; /* of the level; NULL: the columns */
} lacking;

static bool names_equal(const lacking *level, const char *a, const char *b)
{
    return (level->any_case ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

static bool is_declared(const lacking *level, const char *name)
{
    for (uint32_t i = 0; i < level->n_declared; i++)
        if (names_equal(level, level->declared[i].name, name))
            return true;
    return false;
}

static const node *find_at(const lacking *level, const char *name)
{
    if (!level->any_case)
        return field_find(level->found, 0, name, strlen(name));
    for (uint32_t i = 0; i < level->found->n_fields; i++)
        if (strcasecmp(level->found->fields[i].name, name) == 0)
            return &level->found->fields[i];
    return NULL;
}

/* The nearest of the names that were found and are not declared; NULL: none is near. */
static const char *nearest_at(const lacking *level, const char *name)
{
    const char *names[TYPE_FIELDS_NEAR_MAX];
    size_t n = 0;

    for (uint32_t i = 0; i < level->found->n_fields && n < TYPE_FIELDS_NEAR_MAX; i++) {
        const char *found = level->found->fields[i].name;
        if (is_declared(level, found))
            continue;
        if (strcasecmp(found, name) == 0)
            return found;
        names[n++] = found;
    }
    return text_nearest(name, names, n);
}

static freshet_code look_for(const lacking *level, infer_lacking_fn *tell, void *context,
                             freshet_error *err);

/* The fields of a struct, here or within arrays, where there was one. */
static freshet_code look_within(const lacking *level, uint32_t i, const node *found,
                                const char *path, infer_lacking_fn *tell, void *context,
                                freshet_error *err)
{
    const type *type = level->declared[i].type;
    lacking below = *level;

    while (found != NULL && type->kind == TYPE_ARRAY) {
        type = type->fields[0].type;
        found = found->element;
    }
    if (found == NULL || type->kind != TYPE_STRUCT || !(found->seen & SEEN_STRUCT))
        return FRESHET_OK;
    below.declared = type->fields;
    below.n_declared = type->n_fields;
    below.found = found;
    below.path = path;
    return look_for(&below, tell, context, err);
}

/* The depth is that of the declared type, TYPE_DEPTH_MAX at most. */
static freshet_code look_for(const lacking *level, infer_lacking_fn *tell, void *context,
                             freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    for (uint32_t i = 0; code == FRESHET_OK && i < level->n_declared; i++) {
        const char *name = level->declared[i].name;
        const node *found = find_at(level, name);
        const char *path = level->path == NULL
                               ? name
                               : arena_format(level->infer->arena, "%s.%s", level->path, name);
        lacking here = *level;
        here.column = level->path == NULL ? i : level->column;
        if (path == NULL)
            return error_memory(err, INFERRING);
        if (found == NULL)
            tell(context, here.column, path, nearest_at(level, name));
        else
            code = look_within(&here, i, found, path, tell, context, err);
    }
    return code;
}

freshet_code infer_lacking(infer *infer, const schema *declared, infer_lacking_fn *tell,
                           void *context, freshet_error *err)
{
    const lacking columns = {.infer = infer,
                             .declared = declared->fields,
                             .n_declared = declared->n_fields,
                             .found = &infer->root,
                             .any_case = infer->cells != NULL};

    if (infer->n_records == 0 || infer->has_no_names)
        return FRESHET_OK;
    return look_for(&columns, tell, context, err);
}

/* ---- what is odd ----------------------------------------------------------------------------- */

typedef struct telling {
    infer_odd_fn *tell;
    void *context;
} telling;

__attribute__((format(printf, 2, 3))) static void odd_tell(const telling *to, const char *format,
                                                           ...)
{
    char sentence[700];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    sentence[text_valid_length(sentence, strlen(sentence))] = '\0';
    to->tell(to->context, sentence);
}

/* An array, or objects of several lines: hardly a line of it is a record. */
static void odd_json(const infer *infer, const telling *to)
{
    const oddities *odd = &infer->odd;
    const bool is_array = odd->first != NULL && odd->first[0] == '[';

    if (odd->first == NULL || infer->n_records * 2 > odd->n_lines ||
        (!is_array && odd->first[0] != '{'))
        return;
    odd_tell(to,
             is_array ? "%s is a JSON array; one object a line is read: write it so, for instance "
                        "by jq -c '.[]' array.json > lines.jsonl"
                      : "%s has JSON objects of several lines; one object a line is read: write it "
                        "so, for instance by jq -c . objects.json > lines.jsonl",
             odd->path);
}

/* One column, and another delimiter gives as many fields in nearly all records. */
static bool odd_delimiter(const infer *infer, const telling *to)
{
    const oddities *odd = &infer->odd;

    for (int i = 0; infer->n_cells == 1 && i < N_DELIMITERS; i++) {
        if (odd->in_first[i] < 2 || odd->n_same[i] * 10 < odd->n_records * 9)
            continue;
        odd_tell(to,
                 "the first line of %s is one field, \"%s\", and nearly all lines have %u with "
                 "another delimiter: say delimiter: \"%s\"",
                 odd->path, odd->first, odd->in_first[i],
                 other_delimiters[i] == '\t' ? "\\t" : (char[]){other_delimiters[i], '\0'});
        return true;
    }
    return false;
}

/* A whole number that may be a year, as a name of a column. */
static bool is_year(const char *text)
{
    return strlen(text) == 4 && is_digits(text, 4) && (text[0] == '1' || text[0] == '2');
}

/* Each name could be a value of its column, and at least one is no name at all. */
static void odd_header(const infer *infer, const telling *to)
{
    const node *root = &infer->root;
    bool is_value = false;

    for (uint32_t i = 0; i < root->n_fields; i++) {
        const node *each = &root->fields[i];
        const unsigned kinds = each->has_value ? each->seen & ~(unsigned)SEEN_STRING : 0;
        if (kinds != 0 && (kinds & each->as_value) == 0)
            return;
        is_value = is_value || ((kinds & each->as_value) != 0 && !is_year(each->name));
    }
    if (is_value && infer->n_records > 0)
        odd_tell(
            to,
            "the header of %s is \"%s\", which looks like a record: if there is no header, say "
            "header: false, and name the columns, in order, by schema",
            infer->odd.path, infer->odd.first);
}

void infer_oddities(const infer *infer, const format_options *options, infer_odd_fn *tell,
                    void *context)
{
    const oddities *odd = &infer->odd;
    const telling to = {tell, context};

    if (infer->cells == NULL) {
        odd_json(infer, &to);
        return;
    }
    if (odd->first == NULL)
        return;
    if (options->csv.escape.value == NULL &&
        (odd->n_escaped > 0 || (odd->n_pairs > 0 && odd->n_single == 0)))
        odd_tell(&to,
                 "%s has backslashes within quotes, as Spark writes them before a quote and before "
                 "a backslash: say escape: \"\\\\\", or escape: '\"' where they are text",
                 odd->path);
    if (!odd_delimiter(infer, &to) && options->csv.header)
        odd_header(infer, &to);
}
