/* spark_json.c - Spark's functions of JSON in texts.
 *
 * A text is read once, from left to right, as Jackson reads it for Spark: texts and names may stand
 * in single quotes, control characters in texts need no escape, numbers with a point or an exponent
 * are doubles and come out as Java writes them; what follows the value is not looked at. A text
 * that is no JSON gives null.
 *
 * A path is $ and any number of .name, ['name'], [3], [*]. It is compiled into steps, and the
 * evaluation is that of Hive, which Spark has kept with its oddities: a field that is null is not
 * there, of a wildcard's one match the brackets go, two wildcards flatten.
 */
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "functions/spark_cells.h"

#define JSON_DEPTH_MAX 1000 /* Jackson's own */
#define JSON_NUMBER_MAX 1000
#define PATH_STEPS_MAX 200

/* ---- paths ----------------------------------------------------------------------------------- */

typedef enum step_kind { PATH_NAME, PATH_INDEX, PATH_ALL, PATH_CHILDREN, PATH_END } step_kind;

typedef struct path_step {
    step_kind kind;
    const char *name;
    size_t length;
    int64_t index;
} path_step;

typedef struct json_path {
    const char *bytes; /* the text that it was made of */
    size_t length;
    bool is_none;
    path_step steps[PATH_STEPS_MAX + 1];
} json_path;

static void path_blanks(const char **at, const char *end)
{
    while (*at < end && strchr(" \t\n\r\f\v", **at) != NULL && **at != '\0')
        ++*at;
}

static bool take_one(const char **at, const char *end, char c)
{
    const char *from = *at;
    path_blanks(&from, end);
    if (from == end || *from != c)
        return false;
    *at = from + 1;
    return true;
}

/* ['name'], ['*'] or [3], [*], behind the bracket. */
static bool take_bracket(const char **at, const char *end, path_step *step)
{
    if (take_one(at, end, '\'')) {
        path_blanks(at, end);
        const char *begin = *at;
        while (*at < end && **at != '\'' && **at != '?')
            ++*at;
        *step = (path_step){.kind = PATH_NAME, .name = begin, .length = (size_t)(*at - begin)};
        if (step->length == 1 && *begin == '*')
            step->kind = PATH_CHILDREN;
        return step->length > 0 && take_one(at, end, '\'') && take_one(at, end, ']');
    }
    if (take_one(at, end, '*')) {
        *step = (path_step){.kind = PATH_ALL};
        return take_one(at, end, ']');
    }
    path_blanks(at, end);
    *step = (path_step){.kind = PATH_INDEX};
    const char *begin = *at;
    while (*at < end && number_is_digit(**at) && step->index < INT64_MAX / 100)
        step->index = step->index * 10 + (*(*at)++ - '0');
    return *at > begin && take_one(at, end, ']');
}

static bool take_step(const char **at, const char *end, path_step *step)
{
    if (take_one(at, end, '['))
        return take_bracket(at, end, step);
    if (!take_one(at, end, '.'))
        return false;
    path_blanks(at, end);
    const char *begin = *at;
    while (*at < end && **at != '.' && **at != '[')
        ++*at;
    *step = (path_step){.kind = PATH_NAME, .name = begin, .length = (size_t)(*at - begin)};
    if (step->length >= 1 && *begin == '*') {
        step->kind = PATH_CHILDREN;
        *at = begin + 1;
    }
    return step->length > 0;
}

static void compile_path(json_path *path, const cell_text *text)
{
    const char *at = text_bytes(text), *end = at + text->length;
    uint32_t n = 0;
    path->bytes = at;
    path->length = text->length;
    path->is_none = !take_one(&at, end, '$');
    for (path_blanks(&at, end); !path->is_none && at < end; path_blanks(&at, end))
        path->is_none = n == PATH_STEPS_MAX || !take_step(&at, end, &path->steps[n++]);
    path->steps[n].kind = PATH_END;
}

static const json_path *path_at(row_call *call, uint32_t argument)
{
    const cell_text *text = text_at(call, argument);
    json_path *path = call->kept;
    if (path != NULL && path->length == text->length &&
        memcmp(path->bytes, text_bytes(text), text->length) == 0)
        return path;
    if (path == NULL)
        call->kept = path = call_memory(call, sizeof *path);
    if (path != NULL)
        compile_path(path, text);
    return path;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reading {
    const char *at, *end;
    uint32_t depth;
    bool broken;
} reading;

static void json_break(reading *in)
{
    in->broken = true;
}

static char json_look(reading *in)
{
    while (in->at < in->end && strchr(" \t\n\r", *in->at) != NULL && *in->at != '\0')
        in->at++;
    if (in->at == in->end)
        json_break(in);
    return in->broken ? '\0' : *in->at;
}

static bool take_char(reading *in, char c)
{
    if (json_look(in) != c || in->broken)
        return false;
    in->at++;
    return true;
}

static uint32_t take_hex4(reading *in)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = in->at < in->end ? *in->at : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            json_break(in);
            return 0;
        }
        value = value * 16 + (uint32_t)digit;
        in->at++;
    }
    return value;
}

/* \uXXXX, of a pair both; half of one is a question mark, as Java writes it. */
static void take_unicode(reading *in, growing *into)
{
    char bytes[4];
    uint32_t c = take_hex4(in);
    if (c >= 0xD800 && c < 0xDC00 && in->end - in->at >= 6 && in->at[0] == '\\' &&
        in->at[1] == 'u') {
        reading behind = *in;
        behind.at += 2;
        uint32_t low = take_hex4(&behind);
        if (!behind.broken && low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            in->at = behind.at;
        }
    }
    if (c >= 0xD800 && c < 0xE000)
        c = '?';
    if (into != NULL && !in->broken)
        put(into, bytes, write_character(c, bytes));
}

static void take_escape(reading *in, growing *into)
{
    static const char letters[] = "\"\\/bfnrt'", means[] = "\"\\/\b\f\n\r\t'";
    char c = in->at < in->end ? *in->at++ : '\0';
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    if (c == 'u')
        take_unicode(in, into);
    else if (letter == NULL)
        json_break(in);
    else if (into != NULL)
        put(into, &means[letter - letters], 1);
}

/* A text with its quotes; its characters into `into`, if that is not NULL. */
static void take_string(reading *in, growing *into)
{
    char quote = in->broken ? '\0' : *in->at++;
    if (quote != '"' && quote != '\'') {
        json_break(in);
        return;
    }
    while (!in->broken) {
        const char *begin = in->at;
        while (in->at < in->end && *in->at != quote && *in->at != '\\')
            in->at++;
        if (into != NULL)
            put(into, begin, (size_t)(in->at - begin));
        if (in->at == in->end) {
            json_break(in);
        } else if (*in->at++ == quote) {
            return;
        } else {
            take_escape(in, into);
        }
    }
}

/* A number or a word ends before one of these. */
static bool ends_here(const reading *in)
{
    return in->at == in->end || (strchr(" \t\n\r,]}:", *in->at) != NULL && *in->at != '\0');
}

static size_t json_digits(reading *in)
{
    size_t n = 0;
    for (; in->at < in->end && number_is_digit(*in->at); in->at++)
        n++;
    return n;
}

static void take_number(reading *in, growing *into)
{
    const char *begin = in->at;
    bool is_real = false;
    in->at += *in->at == '-';
    const char *digits = in->at;
    size_t n = json_digits(in);
    if (n == 0 || (n > 1 && *digits == '0'))
        json_break(in);
    if (!in->broken && in->at < in->end && *in->at == '.') {
        in->at++;
        is_real = true;
        if (json_digits(in) == 0)
            json_break(in);
    }
    if (!in->broken && in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        is_real = true;
        in->at += in->at < in->end && (*in->at == '+' || *in->at == '-');
        if (json_digits(in) == 0)
            json_break(in);
    }
    size_t length = (size_t)(in->at - begin);
    if (in->broken || !ends_here(in) || length > JSON_NUMBER_MAX) {
        json_break(in);
        return;
    }
    if (into == NULL)
        return;
    if (!is_real) {
        bool is_minus_zero = length == 2 && begin[0] == '-' && begin[1] == '0';
        put(into, is_minus_zero ? "0" : begin, is_minus_zero ? 1 : length);
        return;
    }
    char text[JSON_NUMBER_MAX + 1], made[JAVA_REAL_MAX];
    memcpy(text, begin, length);
    text[length] = '\0';
    double value = strtod(text, NULL);
    size_t made_length = java_real(value, false, made);
    if (isinf(value))
        put_json_text(into, made, made_length, true);
    else
        put(into, made, made_length);
}

static void json_word(reading *in, const char *word, growing *into)
{
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) {
        json_break(in);
        return;
    }
    in->at += length;
    if (!ends_here(in))
        json_break(in);
    else if (into != NULL)
        put(into, word, length);
}

static void take_value(reading *in, growing *into);

static void copy_string(reading *in, growing *into)
{
    if (into == NULL) {
        take_string(in, NULL);
        return;
    }
    growing text = {.call = into->call};
    take_string(in, &text);
    put_json_text(into, text.bytes, text.length, true);
}

static void take_colon(reading *in)
{
    if (!take_char(in, ':'))
        json_break(in);
}

/* Behind an element: true where another follows; the closing bracket is taken. */
static bool another(reading *in, char closing)
{
    if (take_char(in, ','))
        return !in->broken;
    if (!take_char(in, closing))
        json_break(in);
    return false;
}

/* Behind the opening bracket: true where there is an element. */
static bool any_inside(reading *in, char closing)
{
    if (in->depth++ >= JSON_DEPTH_MAX)
        json_break(in);
    return !take_char(in, closing) && !in->broken;
}

static void take_object(reading *in, growing *into)
{
    bool more = any_inside(in, '}');
    if (into != NULL)
        put(into, "{", 1);
    while (more && !in->broken) {
        json_look(in);
        copy_string(in, into);
        take_colon(in);
        if (into != NULL)
            put(into, ":", 1);
        take_value(in, into);
        more = another(in, '}');
        if (more && into != NULL)
            put(into, ",", 1);
    }
    if (into != NULL)
        put(into, "}", 1);
    in->depth--;
}

static void take_array(reading *in, growing *into)
{
    bool more = any_inside(in, ']');
    if (into != NULL)
        put(into, "[", 1);
    while (more && !in->broken) {
        take_value(in, into);
        more = another(in, ']');
        if (more && into != NULL)
            put(into, ",", 1);
    }
    if (into != NULL)
        put(into, "]", 1);
    in->depth--;
}

/* One value, copied as Jackson writes it, or skipped where `into` is NULL. Recursion:
 * JSON_DEPTH_MAX. */
static void take_value(reading *in, growing *into)
{
    switch (json_look(in)) {
    case '{':
        in->at++;
        take_object(in, into);
        break;
    case '[':
        in->at++;
        take_array(in, into);
        break;
    case '"':
    case '\'': copy_string(in, into); break;
    case 't': json_word(in, "true", into); break;
    case 'f': json_word(in, "false", into); break;
    case 'n': json_word(in, "null", into); break;
    default:
        if (!in->broken)
            take_number(in, into);
        break;
    }
}

/* ---- evaluating ------------------------------------------------------------------------------ */

typedef enum style { STYLE_RAW, STYLE_QUOTED, STYLE_FLAT } style;

/* What is written: inside an array, elements need commas between. */
typedef struct writing {
    growing text;
    bool in_array, has_element;
} writing;

static void begin_element(writing *out)
{
    if (out->in_array && out->has_element)
        put(&out->text, ",", 1);
    out->has_element = true;
}

static bool evaluate(reading *in, writing *out, style style, const path_step *path);

static bool take_end(reading *in, writing *out, style style)
{
    char c = json_look(in);
    bool any = false;
    if (style == STYLE_FLAT && c == '[') {
        in->at++;
        for (bool more = any_inside(in, ']'); more && !in->broken; more = another(in, ']'))
            any |= evaluate(in, out, style, &(path_step){.kind = PATH_END});
        in->depth--;
        return any;
    }
    begin_element(out);
    if (style == STYLE_RAW && (c == '"' || c == '\''))
        take_string(in, &out->text);
    else
        take_value(in, &out->text);
    return true;
}

static bool name_is(reading *in, const path_step *step, row_call *call)
{
    growing name = {.call = call};
    json_look(in);
    take_string(in, &name);
    return name.length == step->length &&
           (name.length == 0 || memcmp(name.bytes, step->name, name.length) == 0);
}

static bool take_field(reading *in, writing *out, style style, const path_step *path)
{
    bool found = false;
    for (bool more = any_inside(in, '}'); more && !in->broken; more = another(in, '}')) {
        bool is_it = name_is(in, path, out->text.call);
        take_colon(in);
        if (is_it && !found && json_look(in) != 'n')
            found = evaluate(in, out, style, path + 1);
        else
            take_value(in, NULL);
    }
    in->depth--;
    return found;
}

static bool take_index(reading *in, writing *out, style style, const path_step *path)
{
    int64_t i = 0;
    bool found = false;
    if (path[1].kind == PATH_ALL)
        style = STYLE_QUOTED;
    for (bool more = any_inside(in, ']'); more && !in->broken; more = another(in, ']'))
        if (i++ == path->index)
            found = evaluate(in, out, style, path + 1);
        else
            take_value(in, NULL);
    in->depth--;
    return found;
}

/* The elements' matches as an array of its own; how many elements had one. */
static uint32_t take_elements(reading *in, writing *out, style style, const path_step *path)
{
    uint32_t n = 0;
    put(&out->text, "[", 1);
    for (bool more = any_inside(in, ']'); more && !in->broken; more = another(in, ']'))
        n += evaluate(in, out, style, path);
    put(&out->text, "]", 1);
    in->depth--;
    return n;
}

static bool take_all(reading *in, writing *out, style style, const path_step *path)
{
    bool twice = path[1].kind == PATH_ALL;
    writing inner = {.text = {.call = out->text.call}, .in_array = true};
    if (twice || style == STYLE_QUOTED) {
        uint32_t n =
            take_elements(in, &inner, twice ? STYLE_FLAT : STYLE_QUOTED, path + (twice ? 2 : 1));
        begin_element(out);
        put(&out->text, inner.text.bytes, inner.text.length);
        return n > 0;
    }
    uint32_t n =
        take_elements(in, &inner, style == STYLE_RAW ? STYLE_QUOTED : STYLE_FLAT, path + 1);
    if (n == 0)
        return false;
    begin_element(out);
    if (n > 1)
        put(&out->text, inner.text.bytes, inner.text.length);
    else /* without its brackets */
        put(&out->text, inner.text.bytes + 1, inner.text.length - 2);
    return true;
}

/* Recursion: as deep as the path. */
static bool evaluate(reading *in, writing *out, style style, const path_step *path)
{
    char c = json_look(in);
    if (in->broken)
        return false;
    if (path->kind == PATH_END)
        return take_end(in, out, style);
    if ((c == '{' && path->kind == PATH_NAME) || (c == '[' && path->kind == PATH_INDEX) ||
        (c == '[' && path->kind == PATH_ALL)) {
        in->at++;
        return path->kind == PATH_NAME    ? take_field(in, out, style, path)
               : path->kind == PATH_INDEX ? take_index(in, out, style, path)
                                          : take_all(in, out, style, path);
    }
    take_value(in, NULL);
    return false;
}

static reading reading_of(const cell_text *text)
{
    return (reading){.at = text_bytes(text), .end = text_bytes(text) + text->length};
}

static void call_get_json_object(row_call *call)
{
    const json_path *path = path_at(call, 1);
    if (path == NULL)
        return;
    reading in = reading_of(text_at(call, 0));
    writing out = {.text = {.call = call}};
    if (path->is_none || !evaluate(&in, &out, STYLE_RAW, path->steps) || in.broken)
        give_null(call);
    else
        give_growing(&out.text);
}

static void call_array_length(row_call *call)
{
    reading in = reading_of(text_at(call, 0));
    int32_t n = 0;
    if (!take_char(&in, '[')) {
        give_null(call);
        return;
    }
    for (bool more = any_inside(&in, ']'); more && !in.broken; more = another(&in, ']')) {
        take_value(&in, NULL);
        n++;
    }
    if (in.broken)
        give_null(call);
    else
        give_int(call, n);
}

static void call_object_keys(row_call *call)
{
    reading in = reading_of(text_at(call, 0)), all = in;
    take_value(&all, NULL);
    if (all.broken || !take_char(&in, '{')) {
        give_null(call);
        return;
    }
    give_list(call);
    for (bool more = any_inside(&in, '}'); more && !in.broken; more = another(&in, '}')) {
        growing name = {.call = call};
        json_look(&in);
        take_string(&in, &name);
        give_element(call, name.bytes == NULL ? "" : name.bytes, name.length);
        take_colon(&in);
        take_value(&in, NULL);
    }
}

const sql_function spark_json[] = {
    /* what stands in the JSON at the path, as text */
    {SPARK_ROWS("spark_get_json_object", "string", call_get_json_object),
     .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_json_array_length", "integer", call_array_length), .arguments = {"string"}},
    {SPARK_ROWS("spark_json_object_keys", "array<string>", call_object_keys),
     .arguments = {"string"}},
    {.name = NULL},
};
