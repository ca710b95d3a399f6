/* csv.c - CSV records (csv.h) as a format (format.h).
 *
 * The end of a record is found by a machine of five states: at the beginning of a field, in one
 * without quotes, in a quoted one, and behind a quote or the escape in a quoted one.
 */
#include "formats/csv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "formats/cell.h"
#include "formats/format.h"

#define UNMAPPED UINT32_MAX

enum { FIELD_BEGINS, IN_PLAIN, IN_QUOTES, BEHIND_QUOTE, BEHIND_ESCAPE };

typedef struct csv_decoder {
    decoder base;
    csv_dialect dialect;
    uint32_t n_fields;         /* of the file's records */
    uint32_t *column_of;       /* TYPE_FIELDS_MAX of them: the column of a field, or UNMAPPED */
    csv_field *fields;         /* as many */
    uint32_t *missing_columns; /* as many: columns that the header has not, null in every row */
    uint32_t n_missing;
} csv_decoder;

/* ---- options --------------------------------------------------------------------------------- */

csv_dialect csv_dialect_of(const csv_options *options)
{
    const char *delimiter = options->delimiter.value;
    csv_dialect dialect = {.delimiter = ',', .null_text = ""};

    if (delimiter != NULL)
        dialect.delimiter = strcmp(delimiter, "\\t") == 0 ? '\t' : delimiter[0];
    if (options->null_text.value != NULL)
        dialect.null_text = options->null_text.value;
    if (options->escape.value != NULL && options->escape.value[0] != '"')
        dialect.escape = options->escape.value[0];
    return dialect;
}

static void csv_check_escape(const format_options *options, struct problems *problems)
{
    const char *escape = options->csv.escape.value;

    if (escape != NULL &&
        (strlen(escape) != 1 || strchr("\r\n", escape[0]) != NULL ||
         (unsigned char)escape[0] >= 0x80 || escape[0] == csv_dialect_of(&options->csv).delimiter))
        problem_add(
            problems, &options->csv.escape.at,
            "\"escape\" cannot be \"%.60s\": it must be one ASCII character, as \"\\\\\", and "
            "neither the delimiter nor a line break",
            escape);
}

static void csv_check(const format_options *options, struct problems *problems)
{
    const char *delimiter = options->csv.delimiter.value;

    csv_check_escape(options, problems);
    if (delimiter != NULL && strcmp(delimiter, "\\t") != 0 &&
        (strlen(delimiter) != 1 || strchr("\"\r\n", delimiter[0]) != NULL ||
         (unsigned char)delimiter[0] >= 0x80))
        problem_add(problems, &options->csv.delimiter.at,
                    "\"delimiter\" cannot be \"%.60s\": it must be one ASCII character, and no "
                    "quote or line break",
                    delimiter);
}

static freshet_code csv_describe(const format_options *options, const char *name, arena *arena,
                                 schema *out, freshet_error *err)
{
    const schema *schema = &options->schema.value;

    (void)name;
    (void)arena;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        type_kind kind = schema->fields[i].type->kind;
        if (kind == TYPE_ARRAY || kind == TYPE_STRUCT)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                             "column \"%s\" is an array or a struct, which CSV does not have; "
                             "declare it as string and take it apart in the query",
                             schema->fields[i].name);
    }
    *out = *schema;
    return FRESHET_OK;
}

/* ---- splitting ------------------------------------------------------------------------------- */

static inline const char *plain_end(const char *at, const char *end, char delimiter)
{
    while (at < end && *at != delimiter && *at != '\n')
        at++;
    return at;
}

/* The next quote, or escape where there is one. */
static inline const char *quoted_end(const char *at, const char *end, char escape)
{
    const char *quote;

    if (escape == 0) {
        quote = memchr(at, '"', (size_t)(end - at));
        return quote == NULL ? end : quote;
    }
    while (at < end && *at != '"' && *at != escape)
        at++;
    return at;
}

size_t csv_record_end(record_progress *progress, const csv_dialect *dialect, const char *bytes,
                      size_t length)
{
    const char delimiter = dialect->delimiter;
    const char *at = bytes + progress->at;
    const char *end = bytes + length;
    int state = progress->state;

    while (at < end) {
        if (state == IN_QUOTES) {
            at = quoted_end(at, end, dialect->escape);
            if (at < end)
                state = *at++ == '"' ? BEHIND_QUOTE : BEHIND_ESCAPE;
            continue;
        }
        if (state == BEHIND_ESCAPE) {
            state = IN_QUOTES;
            at++;
            continue;
        }
        if (*at == '"' && state != IN_PLAIN) {
            state = IN_QUOTES; /* opens a field, or is the second of "" */
            at++;
            continue;
        }
        at = plain_end(at, end, delimiter);
        state = IN_PLAIN;
        if (at < end) {
            if (*at == '\n')
                return (size_t)(at - bytes) + 1;
            state = FIELD_BEGINS;
            at++;
        }
    }
    progress->at = length;
    progress->state = state;
    return 0;
}

static bool csv_in_quotes(const record_progress *progress)
{
    return progress->state == IN_QUOTES || progress->state == BEHIND_ESCAPE;
}

static size_t csv_end_of_record(const format_options *options, record_progress *progress,
                                const char *bytes, size_t length)
{
    const csv_dialect dialect = csv_dialect_of(&options->csv);

    return csv_record_end(progress, &dialect, bytes, length);
}

/* Blanks may be a field. */
static bool csv_is_blank(const char *bytes, size_t length)
{
    (void)bytes;
    return length == 0;
}

/* Reads the quoted field whose first quote is at `at`; gives what stands behind it, NULL where it
 * does not end. */
static const char *split_quoted(const char *at, const char *end, char escape, csv_field *field)
{
    const char *begin = ++at;

    field->quoted = true;
    field->escape = escape;
    for (;;) {
        at = quoted_end(at, end, escape);
        if (at == end)
            return NULL;
        if (*at == '"' && (at + 1 == end || at[1] != '"')) {
            field->text = begin;
            field->length = (uint32_t)(at - begin);
            return at + 1;
        }
        if (at + 1 == end)
            return NULL;
        field->escaped = true;
        at += 2;
    }
}

bool csv_split(const csv_dialect *dialect, const char *record, size_t length, csv_field *fields,
               uint32_t most, uint32_t *n, const char **problem)
{
    const char *at = record;
    const char *end = record + length;

    for (*n = 0;; at++) {
        csv_field field = {.text = at};
        if (at < end && *at == '"') {
            at = split_quoted(at, end, dialect->escape, &field);
            if (at == NULL) {
                *problem = "a quoted field is not closed";
                return false;
            }
            if (at < end && *at != dialect->delimiter) {
                *problem = dialect->escape == 0 && at[-2] == '\\'
                               ? "text follows the closing quote of a field, which stands behind a "
                                 "backslash; where that makes it text, as Spark writes it, say "
                                 "escape: \"\\\\\""
                               : "text follows the closing quote of a field";
                return false;
            }
        } else {
            const char *stop = memchr(at, dialect->delimiter, (size_t)(end - at));
            at = stop == NULL ? end : stop;
            field.length = (uint32_t)(at - field.text);
        }
        if (*n < most)
            fields[*n] = field;
        (*n)++;
        if (at == end)
            return true;
    }
}

const char *csv_text(arena *arena, const csv_field *field, uint32_t *length)
{
    char *copy;
    uint32_t n = 0;

    *length = field->length;
    if (!field->escaped)
        return field->text;
    copy = arena_alloc(arena, field->length);
    if (copy == NULL)
        return NULL;
    for (uint32_t i = 0; i < field->length; i++) {
        const char c = field->text[i], next = i + 1 < field->length ? field->text[i + 1] : 0;
        if (c == '"' ||
            (field->escape != 0 && c == field->escape && (next == '"' || next == field->escape)))
            i++; /* the second one of "", \" or \\ is the text */
        copy[n++] = field->text[i];
    }
    *length = n;
    return copy;
}

bool csv_is_null(const csv_dialect *dialect, const csv_field *field)
{
    return !field->quoted && strlen(dialect->null_text) == field->length &&
           memcmp(dialect->null_text, field->text, field->length) == 0;
}

/* ---- opening, headers ------------------------------------------------------------------------ */

static freshet_code csv_open(decoder *base, freshet_error *err)
{
    csv_decoder *decoder = (csv_decoder *)base;

    decoder->dialect = csv_dialect_of(&base->options->csv);
    decoder->column_of = malloc(TYPE_FIELDS_MAX * sizeof(*decoder->column_of));
    decoder->fields = malloc(TYPE_FIELDS_MAX * sizeof(*decoder->fields));
    decoder->missing_columns = malloc(TYPE_FIELDS_MAX * sizeof(*decoder->missing_columns));
    if (decoder->column_of == NULL || decoder->fields == NULL || decoder->missing_columns == NULL)
        return error_memory(err, "making a CSV decoder");
    base->wants_header = base->options->csv.header && !base->of_messages;
    for (uint32_t i = 0; i < base->schema->n_fields; i++)
        if (base->elsewhere == NULL || !base->elsewhere[i])
            decoder->column_of[decoder->n_fields++] = i;
    return FRESHET_OK;
}

static void csv_close(decoder *base)
{
    csv_decoder *decoder = (csv_decoder *)base;

    free(decoder->column_of);
    free(decoder->fields);
    free(decoder->missing_columns);
}

/* The field of the header that has the column's name, in any case; an exact one first; -1 where
 * none has. */
static int64_t header_find(const schema *header, const char *column)
{
    assert(header->fields != NULL);
    for (uint32_t each = 0; each < header->n_fields; each++)
        if (strcmp(header->fields[each].name, column) == 0)
            return each;
    return schema_find(header, column);
}

static freshet_code header_read(csv_decoder *decoder, arena *scratch, const char *record,
                                size_t length, const char *at, schema *header, freshet_error *err)
{
    const char *problem = NULL;
    field *names;

    if (!text_is_utf8(record, length))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, at,
                         "the header is not valid UTF-8; say header: false if there is none");
    if (!csv_split(&decoder->dialect, record, length, decoder->fields, TYPE_FIELDS_MAX,
                   &header->n_fields, &problem))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, at,
                         "the header is not CSV: %s; say header: false if there is none", problem);
    if (header->n_fields > TYPE_FIELDS_MAX)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, at,
                         "the header has %u columns; at most %d can be read", header->n_fields,
                         TYPE_FIELDS_MAX);
    names = arena_zero(scratch, header->n_fields, sizeof(*names));
    if (names == NULL)
        return error_memory(err, "reading a CSV header");
    for (uint32_t i = 0; i < header->n_fields; i++) {
        uint32_t n = 0;
        const char *text = csv_text(scratch, &decoder->fields[i], &n);
        names[i].name = text == NULL ? NULL : arena_copy(scratch, text, n);
        if (names[i].name == NULL)
            return error_memory(err, "reading a CSV header");
    }
    header->fields = names;
    return FRESHET_OK;
}

/* Finds the columns in the header; those that are used and not there are null. It is an error that
 * none is there. */
static freshet_code map_columns(csv_decoder *decoder, const schema *header, const char *at,
                                freshet_error *err)
{
    const schema *columns = decoder->base.schema;
    text_buffer *missing = &decoder->base.missing;
    uint32_t n_found = 0;

    decoder->n_missing = 0;
    text_reset(missing);
    for (uint32_t i = 0; i < header->n_fields; i++)
        decoder->column_of[i] = UNMAPPED;
    for (uint32_t i = 0; i < columns->n_fields; i++) {
        int64_t found;
        if (decoder->base.elsewhere != NULL && decoder->base.elsewhere[i])
            continue;
        found = header_find(header, columns->fields[i].name);
        if (found >= 0) {
            decoder->column_of[found] = i;
            n_found++;
        } else if (decoder->base.used == NULL || decoder->base.used[i]) {
            decoder->missing_columns[decoder->n_missing++] = i;
            text_format(missing, "%s%s", missing->length > 0 ? ", " : "", columns->fields[i].name);
        }
    }
    if (n_found > 0 || decoder->n_missing == 0)
        return FRESHET_OK;
    return format_no_column(header, NULL, columns->fields[decoder->missing_columns[0]].name, at,
                            "the header has no column", "it has", err);
}

static freshet_code csv_header(decoder *base, const char *record, size_t length, const char *at,
                               freshet_error *err)
{
    csv_decoder *decoder = (csv_decoder *)base;
    arena *scratch = arena_open();
    schema header = {0};
    freshet_code code;

    if (scratch == NULL)
        return error_memory(err, "reading a CSV header");
    code = header_read(decoder, scratch, record, length, at, &header, err);
    if (code == FRESHET_OK)
        code = map_columns(decoder, &header, at, err);
    decoder->n_fields = header.n_fields;
    arena_close(scratch);
    return code;
}

static void csv_take_header(decoder *base, const decoder *from)
{
    csv_decoder *decoder = (csv_decoder *)base;
    const csv_decoder *other = (const csv_decoder *)from;

    decoder->n_fields = other->n_fields;
    decoder->n_missing = other->n_missing;
    memcpy(decoder->column_of, other->column_of, other->n_fields * sizeof(*other->column_of));
    memcpy(decoder->missing_columns, other->missing_columns,
           other->n_missing * sizeof(*other->missing_columns));
}

/* ---- decoding -------------------------------------------------------------------------------- */

static outcome decode_field(csv_decoder *decoder, column *column, const csv_field *field)
{
    batch *into = decoder->base.into;
    uint32_t length = 0;
    const char *text = csv_text(into->arena, field, &length);

    if (text == NULL)
        return NO_MEMORY;
    cell_set_valid(column, into->n_rows);
    if (column->type->kind == TYPE_STRING) {
        cell_put_text(column, into->n_rows, text, length);
        return FITS;
    }
    size_t rest = length;
    number_trim(&text, &rest);
    return cell_parse(into->arena, column, into->n_rows, text, rest);
}

static freshet_code refuse_field(csv_decoder *decoder, uint32_t column, const csv_field *field,
                                 freshet_error *err)
{
    const struct field *wanted = &decoder->base.schema->fields[column];
    const char *type = type_name(decoder->base.into->arena, wanted->type);
    int n = cell_shown(field->text, field->length);

    if (type == NULL)
        return error_memory(err, "describing a bad record");
    decoder->base.refused = REASON_BAD_CAST;
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "column \"%s\" should be %s, but is \"%.*s%s\"; declare it in schema as what "
                     "it is, or say on_cast_error: null",
                     wanted->name, type, n, field->text, (uint32_t)n < field->length ? "..." : "");
}

static freshet_code decode_cell(csv_decoder *decoder, uint32_t column, const csv_field *field,
                                freshet_error *err)
{
    struct column *into = &decoder->base.into->columns[column];
    bool null = csv_is_null(&decoder->dialect, field) ||
                (field->length == 0 && !field->quoted && into->type->kind != TYPE_STRING);
    outcome result = null ? FITS : decode_field(decoder, into, field);

    if (result == DOES_NOT_FIT && !decoder->base.cast_error_null)
        return refuse_field(decoder, column, field, err);
    null = null || result == DOES_NOT_FIT;
    if (result == NO_MEMORY ||
        (null && !column_set_null(decoder->base.into->arena, into, decoder->base.into->n_rows)))
        return error_memory(err, "decoding a CSV record");
    return FRESHET_OK;
}

/* A message is one record, and may have a line's end behind it. */
static freshet_code check_message(const csv_decoder *decoder, const char *message, size_t *length,
                                  freshet_error *err)
{
    record_progress progress = {0};

    if (*length > 0 && message[*length - 1] == '\n')
        (*length)--;
    if (*length > 0 && message[*length - 1] == '\r')
        (*length)--;
    if (csv_record_end(&progress, &decoder->dialect, message, *length) == 0)
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "the message holds more than one CSV record; write one record a message");
}

static freshet_code csv_decode(decoder *base, const char *record, size_t length, freshet_error *err)
{
    csv_decoder *decoder = (csv_decoder *)base;
    const char *problem = NULL;
    uint32_t n = 0;

    if (base->of_messages && check_message(decoder, record, &length, err) != FRESHET_OK)
        return FRESHET_FAILED;
    if (!text_is_utf8(record, length))
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record is not valid UTF-8");
    if (!csv_split(&decoder->dialect, record, length, decoder->fields, decoder->n_fields, &n,
                   &problem))
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record is not valid CSV: %s", problem);
    if (n != decoder->n_fields)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record has %u fields, where %u are wanted; look for a delimiter or a "
                         "quote in the text of a field",
                         n, decoder->n_fields);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = decoder->column_of[i];
        freshet_code code;
        if (column == UNMAPPED || (decoder->base.used != NULL && !decoder->base.used[column]))
            continue;
        code = decode_cell(decoder, column, &decoder->fields[i], err);
        if (code != FRESHET_OK)
            return code;
    }
    for (uint32_t i = 0; i < decoder->n_missing; i++)
        if (!column_set_null(base->into->arena, &base->into->columns[decoder->missing_columns[i]],
                             base->into->n_rows))
            return error_memory(err, "decoding a CSV record");
    return FRESHET_OK;
}

static const char *const csv_endings[] = {".csv", NULL};
static const format_option csv_own[] = {{"header", offsetof(format_options, csv.header_at)},
                                        {"delimiter", offsetof(format_options, csv.delimiter.at)},
                                        {"null_text", offsetof(format_options, csv.null_text.at)},
                                        {"escape", offsetof(format_options, csv.escape.at)},
                                        {0}};

const format format_csv = {.name = "csv",
                           .endings = csv_endings,
                           .size = sizeof(csv_decoder),
                           .check = csv_check,
                           .own = csv_own,
                           .describe = csv_describe,
                           .open = csv_open,
                           .close = csv_close,
                           .record_end = csv_end_of_record,
                           .in_quotes = csv_in_quotes,
                           .is_blank = csv_is_blank,
                           .header = csv_header,
                           .take_header = csv_take_header,
                           .decode = csv_decode,
                           .infer = infer_csv};
