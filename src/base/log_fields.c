/* log_fields.c - see log_fields.h. Forms are those of the table, so what is not used there is not
 * known here: no `*` width, no %n, no long double.
 */
#include "base/log_fields.h"

#include <ctype.h>
#include <math.h>

typedef enum argument_kind { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_REAL } argument_kind;

/* A conversion of a form. */
typedef struct conversion {
    const char *begin, *end; /* '%', and what is behind the letter; begin NULL: there is none */
    argument_kind kind;
    bool has_precision; /* as an argument of its own */
    bool is_signed;
    unsigned n_long; /* 2 where it is a size_t, too */
} conversion;

static conversion next_conversion(const char *form)
{
    conversion it = {0};
    const char *at = strchr(form, '%');
    while (at != NULL && at[1] == '%')
        at = strchr(at + 2, '%');
    if (at == NULL)
        return it;
    it.begin = at++;
    for (; strchr("0123456789.-+ #*lzjh", *at) != NULL && *at != '\0'; at++) {
        it.has_precision = it.has_precision || *at == '*';
        it.n_long += *at == 'l' ? 1 : *at == 'z' || *at == 'j' ? 2 : 0;
    }
    it.kind = *at == 's'                   ? ARGUMENT_TEXT
              : strchr("fge", *at) != NULL ? ARGUMENT_REAL
                                           : ARGUMENT_NUMBER;
    it.is_signed = *at == 'd' || *at == 'i';
    it.end = at + 1;
    return it;
}

/* The name at the beginning of a list of them, and what is behind it. */
static const char *next_name(const char *names, size_t *length)
{
    *length = strcspn(names, ",");
    const char *behind = names + *length;
    return behind + strspn(behind, ", ");
}

static void begin_field(text_buffer *into, const char *name, size_t length)
{
    text_append_c(into, ",\"");
    text_append(into, name, length);
    text_append_c(into, "\":");
}

static void append_real(text_buffer *into, double value)
{
    if (isfinite(value))
        text_format(into, "%.15g", value);
    else
        text_append_c(into, "null");
}

static void append_whole(text_buffer *into, const conversion *it, int64_t value)
{
    if (it->is_signed)
        text_format(into, "%" PRId64, value);
    else
        text_format(into, "%" PRIu64, (uint64_t)value);
}

void log_append_fields(const char *form, const char *fields, va_list args, text_buffer *into)
{
    text_buffer skipped;
    text_init(&skipped, TEXT_LIMIT_DEFAULT);
    for (conversion it = next_conversion(form); it.begin != NULL; it = next_conversion(it.end)) {
        size_t length;
        const char *name = fields;
        fields = next_name(fields, &length);
        const bool is_field = length > 0 && *name != '-';
        text_buffer *to = is_field ? into : &skipped;
        begin_field(to, name, length);
        const int precision = it.has_precision ? va_arg(args, int) : -1;
        if (it.kind == ARGUMENT_TEXT) {
            const char *text = va_arg(args, const char *);
            if (text == NULL)
                text_append_c(to, "null");
            else
                text_append_json(to, text,
                                 precision < 0 ? strlen(text) : strnlen(text, (size_t)precision));
        } else if (it.kind == ARGUMENT_REAL) {
            append_real(to, va_arg(args, double));
        } else if (it.n_long > 0) {
            append_whole(to, &it, va_arg(args, int64_t));
        } else if (it.is_signed) {
            append_whole(to, &it, va_arg(args, int));
        } else {
            append_whole(to, &it, va_arg(args, unsigned));
        }
    }
    text_release(&skipped);
}

static bool is_time(const char *name, size_t length)
{
    return length > 3 && memcmp(name + length - 3, "_at", 3) == 0;
}

void log_append_numbers(const char *names, const int64_t *numbers, text_buffer *into)
{
    for (size_t length; *names != '\0'; numbers++) {
        const char *name = names;
        names = next_name(names, &length);
        begin_field(into, name, length);
        if (*numbers == INT64_MIN) {
            text_append_c(into, "null");
        } else if (is_time(name, length)) {
            text_append_char(into, '"');
            text_append_timestamp(into, *numbers);
            text_append_char(into, '"');
        } else {
            text_format(into, "%" PRId64, *numbers);
        }
    }
}

const char *log_who_name(log_who who)
{
    static const char *const names[] = {NULL,     "pipeline", "reader", "writer", "file",
                                        "folder", "topic",    "verb",   "of",     "who"};
    return names[who];
}

void log_append_name(const char *name, text_buffer *into)
{
    for (; *name != '\0'; name++)
        text_append_char(into, (char)tolower((unsigned char)*name));
}

/* ---- the page -------------------------------------------------------------------------------- */

static void describe_field(const char *name, size_t length, const char *type, bool *first,
                           text_buffer *into)
{
    text_append_c(into, *first ? "" : ", ");
    text_append_char(into, '`');
    text_append(into, name, length);
    text_format(into, "` %s", type);
    *first = false;
}

/* The sentence, with the names of fields in the place of conversions. */
static void describe_form(const char *form, const char *fields, text_buffer *into)
{
    for (conversion it = next_conversion(form);; it = next_conversion(form)) {
        const char *end = it.begin == NULL ? form + strlen(form) : it.begin;
        for (; form < end; form++)
            text_format(into, *form == '|' ? "\\|" : "%c", *form);
        if (it.begin == NULL)
            return;
        size_t length;
        const char *name = fields;
        fields = next_name(fields, &length);
        if (length > 0 && *name != '-')
            text_format(into, "<%.*s>", (int)length, name);
        else
            text_append_c(into, "\xe2\x80\xa6");
        form = it.end;
    }
}

void log_describe_row(const log_row *row, const char *level, text_buffer *into)
{
    static const char *const types[] = {"text", "number", "number"};
    bool first = true;
    size_t length;
    text_append_c(into, "| `");
    log_append_name(row->name, into);
    text_format(into, "` | %s | ", level);
    if (log_who_name(row->who) != NULL)
        describe_field(log_who_name(row->who), strlen(log_who_name(row->who)), "text", &first,
                       into);
    const char *fields = row->fields;
    for (conversion it = next_conversion(row->form); it.begin != NULL;
         it = next_conversion(it.end)) {
        const char *name = fields;
        fields = next_name(fields, &length);
        if (length > 0 && *name != '-')
            describe_field(name, length, types[it.kind], &first, into);
    }
    for (const char *names = row->more; *names != '\0';) {
        const char *name = names;
        names = next_name(names, &length);
        describe_field(name, length, is_time(name, length) ? "time" : "number", &first, into);
    }
    text_append_c(into, " | ");
    describe_form(row->form, row->fields, into);
    text_append_c(into, " |\n");
}
