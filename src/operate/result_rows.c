/* result_rows.c - freshet_result_*: walking the rows of a query, and printing them.
 *
 * Order of calls: next until FRESHET_END, cells of the current row in between; or print, which
 * takes all remaining rows; then close.
 *
 * json and csv go out row by row. A table needs the widths of its columns before its first line:
 * they are taken from the first TABLE_SAMPLE_ROWS rows, which are kept rendered until then; a later
 * cell that is wider stands out of its column, but is whole. Texts and nested values are cut at
 * TABLE_CELL_MAX columns of the terminal with an ellipsis; numbers and times never are. Control
 * characters, which could steer the terminal, are shown as \n or \x1b. Lines, one a cell, are for
 * rows that are too wide for a table: nothing is cut.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "writers/debug/query_result.h"

#define PRINT_PIECE ((size_t)64 << 10) /* bytes given to the receiver at once, about */
#define TABLE_SAMPLE_ROWS 1000u
#define TABLE_CELL_MAX 64u
#define ELLIPSIS "\xE2\x80\xA6"

uint32_t freshet_result_columns(const freshet_result *result)
{
    return result->schema->n_fields;
}

const char *freshet_result_name(const freshet_result *result, uint32_t column)
{
    return column < result->schema->n_fields ? result->schema->fields[column].name : NULL;
}

freshet_code freshet_result_next(freshet_result *result, freshet_error *err)
{
    if (result->ended)
        return FRESHET_END;
    if (result->row < result->piece.n_rows) {
        result->row++;
        return FRESHET_OK;
    }
    do {
        result->row = 0;
        result->piece.n_rows = 0;
        freshet_code code = result->next(result, err);
        if (code != FRESHET_OK) {
            result->ended = true;
            result->piece.n_rows = 0;
            return code;
        }
    } while (result->piece.n_rows == 0);
    result->row = 1;
    return FRESHET_OK;
}

void freshet_result_close(freshet_result *result)
{
    if (result == NULL)
        return;
    text_release(&result->text);
    result->close(result);
}

/* The column of a cell that is there, NULL where it is null or there is no such cell. */
static const column *cell_of(const freshet_result *result, uint32_t index)
{
    if (result->row == 0 || index >= result->schema->n_fields)
        return NULL;
    const column *column = &result->piece.columns[index];
    return column_is_valid(column, result->row - 1) ? column : NULL;
}

bool freshet_result_is_null(const freshet_result *result, uint32_t column)
{
    return cell_of(result, column) == NULL;
}

/* A conversion that C leaves undefined gives the nearest int64_t; NaN gives 0. */
static int64_t int64_of_double(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value < -0x1p63 ? INT64_MIN : (int64_t)value;
}

static int64_t int64_of_decimal(int128 value, unsigned scale)
{
    int128 whole = value / number_power_of_ten(scale);
    if (whole > INT64_MAX)
        return INT64_MAX;
    return whole < INT64_MIN ? INT64_MIN : (int64_t)whole;
}

int64_t freshet_result_int64(const freshet_result *result, uint32_t column)
{
    const struct column *cells = cell_of(result, column);
    if (cells == NULL)
        return 0;
    uint32_t row = result->row - 1;
    switch (cells->type->kind) {
    case TYPE_BOOLEAN: return ((const uint8_t *)cells->data)[row];
    case TYPE_INTEGER:
    case TYPE_DATE: return ((const int32_t *)cells->data)[row];
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return ((const int64_t *)cells->data)[row];
    case TYPE_FLOAT: return int64_of_double((double)((const float *)cells->data)[row]);
    case TYPE_DOUBLE: return int64_of_double(((const double *)cells->data)[row]);
    case TYPE_DECIMAL:
        return int64_of_decimal(((const int128 *)cells->data)[row], cells->type->scale);
    default: return 0;
    }
}

double freshet_result_double(const freshet_result *result, uint32_t column)
{
    const struct column *cells = cell_of(result, column);
    if (cells == NULL)
        return 0;
    uint32_t row = result->row - 1;
    switch (cells->type->kind) {
    case TYPE_FLOAT: return (double)((const float *)cells->data)[row];
    case TYPE_DOUBLE: return ((const double *)cells->data)[row];
    case TYPE_DECIMAL:
        return number_double_of_decimal(((const int128 *)cells->data)[row], cells->type->scale);
    default: return (double)freshet_result_int64(result, column);
    }
}

/* ---- text ---------------------------------------------------------------------------------- */

/* The cell without quotes around it: texts as they are, all else as in JSON. */
static freshet_code append_plain(const column *column, uint32_t row, text_buffer *into,
                                 freshet_error *err)
{
    if (column->type->kind == TYPE_STRING) {
        const cell_text *cell = &((const cell_text *)column->data)[row];
        if (!text_append(into, text_bytes(cell), cell->length))
            return error_memory(err, "rendering a result");
        return FRESHET_OK;
    }
    size_t start = into->length;
    freshet_code code = column_to_json(column, row, into, err);
    if (code != FRESHET_OK || into->bytes[start] != '"')
        return code;
    into->length -= 2;
    memmove(into->bytes + start, into->bytes + start + 1, into->length - start);
    into->bytes[into->length] = '\0';
    return FRESHET_OK;
}

const char *freshet_result_text(freshet_result *result, uint32_t column)
{
    const struct column *cells = cell_of(result, column);
    if (cells == NULL)
        return NULL;
    if (result->text.limit == 0)
        text_init(&result->text, TEXT_LIMIT_DEFAULT);
    text_reset(&result->text);
    if (append_plain(cells, result->row - 1, &result->text, NULL) != FRESHET_OK)
        return NULL;
    return result->text.bytes == NULL ? "" : result->text.bytes;
}

/* ---- printing ------------------------------------------------------------------------------ */

typedef struct printer {
    freshet_result *result;
    freshet_write_fn *write;
    void *context;
    text_buffer out;
    uint64_t n_rows;
    /* tables */
    uint32_t *widths;   /* one a column */
    uint32_t n_sampled; /* rows kept in `sample` */
    bool headed;        /* the header is out */
    text_buffer sample; /* the cells of the first rows, each with a NUL behind it */
    text_buffer cell;
} printer;

static freshet_code send(printer *printer, freshet_error *err)
{
    if (printer->out.failed)
        return error_memory(err, "printing a result");
    bool taken = printer->out.length == 0 ||
                 printer->write(printer->context, printer->out.bytes, printer->out.length);
    text_reset(&printer->out);
    if (!taken)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the output was closed before the whole result was written");
    return FRESHET_OK;
}

static freshet_code send_when_full(printer *printer, freshet_error *err)
{
    return printer->out.length < PRINT_PIECE ? FRESHET_OK : send(printer, err);
}

static freshet_code json_row(printer *printer, freshet_error *err)
{
    freshet_result *result = printer->result;
    freshet_code code = batch_row_to_json(&result->piece, result->row - 1, &printer->out, err);
    if (code != FRESHET_OK)
        return code;
    text_append_char(&printer->out, '\n');
    return send_when_full(printer, err);
}

/* RFC 4180, with a plain newline: quoted where it must be; an empty text is "" and a null is
 * nothing. */
static void append_csv(text_buffer *out, const char *bytes, size_t length)
{
    bool quoted = length == 0;
    for (size_t i = 0; i < length && !quoted; i++)
        quoted = bytes[i] == ',' || bytes[i] == '"' || bytes[i] == '\n' || bytes[i] == '\r';
    if (!quoted) {
        text_append(out, bytes, length);
        return;
    }
    text_append_char(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"')
            text_append_char(out, '"');
        text_append_char(out, bytes[i]);
    }
    text_append_char(out, '"');
}

static void csv_header(printer *printer)
{
    const schema *schema = printer->result->schema;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        if (i > 0)
            text_append_char(&printer->out, ',');
        append_csv(&printer->out, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    text_append_char(&printer->out, '\n');
}

static freshet_code csv_row(printer *printer, freshet_error *err)
{
    const freshet_result *result = printer->result;
    for (uint32_t i = 0; i < result->schema->n_fields; i++) {
        if (i > 0)
            text_append_char(&printer->out, ',');
        const column *cells = cell_of(result, i);
        if (cells == NULL)
            continue;
        text_reset(&printer->cell);
        freshet_code code = append_plain(cells, result->row - 1, &printer->cell, err);
        if (code != FRESHET_OK)
            return code;
        append_csv(&printer->out, printer->cell.bytes, printer->cell.length);
    }
    text_append_char(&printer->out, '\n');
    return send_when_full(printer, err);
}

/* ---- tables -------------------------------------------------------------------------------- */

/* The code point at the beginning of valid UTF-8, and its bytes; a stray byte is itself. */
static uint32_t code_point(const char *bytes, size_t length, size_t *size)
{
    unsigned char lead = (unsigned char)bytes[0];
    size_t n = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n > length)
        n = 1;
    uint32_t point = n == 1 ? lead : lead & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        point = point << 6 | ((unsigned char)bytes[i] & 0x3F);
    *size = n;
    return point;
}

/* Columns of the terminal that a character takes, near enough: marks none, East Asian ones two. */
static uint32_t point_width(uint32_t point)
{
    if ((point >= 0x300 && point <= 0x36F) || (point >= 0x200B && point <= 0x200F) ||
        (point >= 0xFE00 && point <= 0xFE0F))
        return 0;
    if ((point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF) ||
        (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
        (point >= 0xFE30 && point <= 0xFE6F) || (point >= 0xFF00 && point <= 0xFF60) ||
        (point >= 0xFFE0 && point <= 0xFFE6) || (point >= 0x1F300 && point <= 0x1FAFF) ||
        (point >= 0x20000 && point <= 0x3FFFD))
        return 2;
    return 1;
}

static uint32_t text_width(const char *text)
{
    uint32_t width = 0;
    size_t length = strlen(text), size;
    for (size_t i = 0; i < length; i += size)
        width += point_width(code_point(text + i, length - i, &size));
    return width;
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0);
}

static void append_control(text_buffer *out, uint32_t point)
{
    if (point == '\n')
        text_append_c(out, "\\n");
    else if (point == '\t')
        text_append_c(out, "\\t");
    else if (point == '\r')
        text_append_c(out, "\\r");
    else
        text_format(out, "\\x%02x", (unsigned)point);
}

/* Appends the text as a terminal can show it, at most `most` columns of it. */
static void append_shown(text_buffer *out, const char *text, size_t length, uint32_t most)
{
    uint32_t width = 0;
    size_t size, fits = out->length; /* where to cut, should there be more */
    for (size_t i = 0; i < length; i += size) {
        uint32_t point = code_point(text + i, length - i, &size);
        size_t before = out->length;
        if (is_control(point)) {
            append_control(out, point);
            width += (uint32_t)(out->length - before);
        } else {
            text_append(out, text + i, size);
            width += point_width(point);
        }
        if (width <= most - 1)
            fits = out->length;
        if (width > most && !out->failed) {
            out->length = fits;
            text_append_c(out, ELLIPSIS);
            return;
        }
    }
}

static bool is_cut_when_long(const type *type)
{
    return type->kind == TYPE_STRING || type->kind == TYPE_BINARY || type->kind == TYPE_ARRAY ||
           type->kind == TYPE_STRUCT;
}

/* The current row's cell as a person reads it, in at most `most` columns. */
static freshet_code append_result_cell(printer *printer, uint32_t index, uint32_t most,
                                       text_buffer *into, freshet_error *err)
{
    const column *cells = cell_of(printer->result, index);
    if (cells == NULL) {
        text_append_c(into, "null");
        return FRESHET_OK;
    }
    if (!is_cut_when_long(cells->type))
        return append_plain(cells, printer->result->row - 1, into, err);
    text_reset(&printer->cell);
    freshet_code code = append_plain(cells, printer->result->row - 1, &printer->cell, err);
    if (code == FRESHET_OK && printer->cell.length > 0)
        append_shown(into, printer->cell.bytes, printer->cell.length, most);
    return code;
}

static void append_padded(printer *printer, uint32_t index, const char *text, bool right)
{
    const bool is_last = index + 1 == printer->result->schema->n_fields;
    const uint32_t width = text_width(text);
    const int pad = width < printer->widths[index] ? (int)(printer->widths[index] - width) : 0;
    text_format(&printer->out, "%s%*s", index == 0 ? " " : " | ", right ? pad : 0, "");
    text_append_c(&printer->out, text);
    text_format(&printer->out, "%*s%s", right || is_last ? 0 : pad, "", is_last ? "\n" : "");
}

static freshet_code table_header(printer *printer, freshet_error *err)
{
    const schema *schema = printer->result->schema;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        text_reset(&printer->cell);
        append_shown(&printer->cell, schema->fields[i].name, strlen(schema->fields[i].name),
                     TABLE_CELL_MAX);
        if (printer->cell.failed)
            return error_memory(err, "printing a result");
        const char *name = printer->cell.bytes == NULL ? "" : printer->cell.bytes;
        uint32_t width = text_width(name);
        printer->widths[i] = width > printer->widths[i] ? width : printer->widths[i];
        append_padded(printer, i, name, false);
    }
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        text_append_c(&printer->out, i == 0 ? "-" : "-+-");
        for (uint32_t k = 0; k < printer->widths[i]; k++)
            text_append_char(&printer->out, '-');
    }
    text_append_c(&printer->out, "-\n");
    printer->headed = true;
    return FRESHET_OK;
}

/* Puts out the rows sampled so far, behind the header. */
static freshet_code table_send(printer *printer, freshet_error *err)
{
    const schema *schema = printer->result->schema;
    freshet_code code = printer->headed ? FRESHET_OK : table_header(printer, err);
    const char *text = printer->sample.bytes;
    for (uint32_t row = 0; row < printer->n_sampled && code == FRESHET_OK; row++) {
        for (uint32_t i = 0; i < schema->n_fields; i++) {
            append_padded(printer, i, text, type_is_number(schema->fields[i].type));
            text += strlen(text) + 1;
        }
        code = send_when_full(printer, err);
    }
    printer->n_sampled = 0;
    text_reset(&printer->sample);
    return code;
}

/* Before the header is out rows are gathered, for their widths. */
static freshet_code table_row(printer *printer, freshet_error *err)
{
    for (uint32_t i = 0; i < printer->result->schema->n_fields; i++) {
        size_t start = printer->sample.length;
        freshet_code code = append_result_cell(printer, i, TABLE_CELL_MAX, &printer->sample, err);
        if (code != FRESHET_OK)
            return code;
        if (!text_append_char(&printer->sample, '\0'))
            return error_memory(err, "printing a result");
        uint32_t width = printer->headed ? 0 : text_width(printer->sample.bytes + start);
        printer->widths[i] = width > printer->widths[i] ? width : printer->widths[i];
    }
    printer->n_sampled++;
    return printer->headed || printer->n_sampled == TABLE_SAMPLE_ROWS ? table_send(printer, err)
                                                                      : FRESHET_OK;
}

/* ---- lines --------------------------------------------------------------------------------- */

/* The widest name's columns, and the colon behind it. */
static uint32_t names_width(const schema *schema)
{
    uint32_t widest = 0;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const uint32_t width = text_width(schema->fields[i].name);
        widest = width > widest ? width : widest;
    }
    return widest + 1;
}

static void line_begin(printer *printer)
{
    printer->widths[0] = names_width(printer->result->schema);
}

/* A line a cell, and an empty one between two rows. */
static freshet_code line_row(printer *printer, freshet_error *err)
{
    const schema *schema = printer->result->schema;
    const uint32_t widest = printer->widths[0];
    if (printer->n_rows > 1)
        text_append_char(&printer->out, '\n');
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const char *name = schema->fields[i].name;
        append_shown(&printer->out, name, strlen(name), UINT32_MAX);
        const uint32_t width = text_width(name) + 1;
        text_format(&printer->out, ":%*s", width < widest ? (int)(widest - width + 1) : 1, "");
        freshet_code code = append_result_cell(printer, i, UINT32_MAX, &printer->out, err);
        if (code != FRESHET_OK)
            return code;
        text_append_char(&printer->out, '\n');
    }
    return send_when_full(printer, err);
}

/* ---- printing, by the format ----------------------------------------------------------------- */

/* What each format does before the first row, and with each. */
static const struct {
    void (*begin)(printer *printer);
    freshet_code (*row)(printer *printer, freshet_error *err);
} formats[] = {
    [FRESHET_TABLE] = {NULL, table_row},
    [FRESHET_JSON] = {NULL, json_row},
    [FRESHET_CSV] = {csv_header, csv_row},
    [FRESHET_LINE] = {line_begin, line_row},
};

static freshet_code print_rows(printer *printer, freshet_format format, freshet_error *err)
{
    if (formats[format].begin != NULL)
        formats[format].begin(printer);
    freshet_code code;
    while ((code = freshet_result_next(printer->result, err)) == FRESHET_OK) {
        printer->n_rows++;
        code = formats[format].row(printer, err);
        if (code != FRESHET_OK)
            return code;
    }
    if (code != FRESHET_END)
        return code;
    if (format == FRESHET_TABLE && !printer->headed)
        code = table_send(printer, err);
    if (code != FRESHET_OK && code != FRESHET_END)
        return code;
    if (format == FRESHET_TABLE || format == FRESHET_LINE) {
        if (format == FRESHET_LINE && printer->n_rows > 0)
            text_append_char(&printer->out, '\n');
        text_format(&printer->out, "(%llu row%s)\n", (unsigned long long)printer->n_rows,
                    printer->n_rows == 1 ? "" : "s");
    }
    return send(printer, err);
}

freshet_code freshet_result_print(freshet_result *result, freshet_format format,
                                  freshet_write_fn *write, void *context, freshet_error *err)
{
    if ((unsigned)format >= sizeof formats / sizeof *formats)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the format %d is none of FRESHET_TABLE, FRESHET_JSON, FRESHET_CSV, "
                         "FRESHET_LINE",
                         (int)format);
    printer printer = {.result = result, .write = write, .context = context};
    text_init(&printer.out, TEXT_LIMIT_DEFAULT);
    text_init(&printer.sample, TEXT_LIMIT_DEFAULT);
    text_init(&printer.cell, TEXT_LIMIT_DEFAULT);
    freshet_code code;
    printer.widths = calloc((size_t)result->schema->n_fields + 1, sizeof *printer.widths);
    if (printer.widths == NULL)
        code = error_memory(err, "printing a result");
    else
        code = print_rows(&printer, format, err);
    free(printer.widths);
    text_release(&printer.out);
    text_release(&printer.sample);
    text_release(&printer.cell);
    return code;
}
