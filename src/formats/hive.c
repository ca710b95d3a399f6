/* hive.c - see hive.h. */
#include "formats/hive.h"

#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "formats/widen.h"

#define HIVE_NULL "__HIVE_DEFAULT_PARTITION__"

size_t hive_folders(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash + 1 - path);
}

/* A folder's name as a part; false where it is none. */
static bool part_of(const char *name, size_t length, hive_part *out)
{
    const char *equals = memchr(name, '=', length);
    const char *end = name + length;

    if (equals == NULL || equals == name || memchr(name, '?', length) != NULL ||
        memchr(name, '\n', length) != NULL ||
        memchr(equals + 1, '=', (size_t)(end - equals - 1)) != NULL)
        return false;
    *out = (hive_part){name, (size_t)(equals - name), equals + 1, (size_t)(end - equals - 1)};
    return true;
}

bool hive_next(const char **at, const char *end, hive_part *out)
{
    while (*at < end) {
        const char *name = *at;
        const char *slash = memchr(name, '/', (size_t)(end - name));
        if (slash == NULL)
            slash = end;
        *at = slash < end ? slash + 1 : end;
        if (part_of(name, (size_t)(slash - name), out))
            return true;
    }
    return false;
}

bool hive_is_named(const hive_part *part, const char *name)
{
    return strlen(name) == part->name_length &&
           strncasecmp(name, part->name, part->name_length) == 0;
}

bool hive_is_null(const hive_part *part)
{
    return (part->length == strlen(HIVE_NULL) &&
            memcmp(part->value, HIVE_NULL, part->length) == 0) ||
           (part->length == 4 && strncasecmp(part->value, "NULL", 4) == 0);
}

bool hive_has(const char *path, const char *name)
{
    const char *end = path + hive_folders(path);
    hive_part part;

    while (hive_next(&path, end, &part))
        if (hive_is_named(&part, name))
            return true;
    return false;
}

static int hex_of(char c)
{
    if (number_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

const char *hive_text(arena *arena, const hive_part *part, size_t *length)
{
    char *text = arena_copy(arena, part->value, part->length);
    size_t n = 0;

    for (size_t i = 0; text != NULL && i < part->length; i++) {
        const int high = i + 2 < part->length && text[i] == '%' ? hex_of(text[i + 1]) : -1;
        const int low = high < 0 ? -1 : hex_of(text[i + 2]);
        text[n++] = low < 0 ? text[i] : (char)(high << 4 | low);
        i += low < 0 ? 0 : 2;
    }
    if (text != NULL)
        text[n] = '\0';
    *length = n;
    return text;
}

static bool is_bigint(const char *text, size_t length)
{
    const char *digits = text + (*text == '-');
    int64_t number;

    return *digits != '+' && !(*digits == '0' && length > 1) &&
           number_integer(text, length, NUMBER_STRICT, INT64_MIN, INT64_MAX, &number);
}

const type *hive_type(arena *arena, const hive_part *part)
{
    size_t length;
    int32_t days;
    const char *text = hive_text(arena, part, &length);

    if (text == NULL)
        return NULL;
    if (hive_is_null(part))
        return &type_unknown;
    if (length > 0 && is_bigint(text, length))
        return type_simple(TYPE_BIGINT);
    if (strspn(text, "0123456789-") == length && date_parse(text, length, &days))
        return type_simple(TYPE_DATE);
    return type_simple(TYPE_STRING);
}
