/* spark_bytes.c - Spark's functions of web addresses, of bytes as text, and of charsets. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "functions/spark_rows.h"

/* ---- web addresses --------------------------------------------------------------------------- */

static void call_url_encode(row_call *call)
{
    static const char hex[] = "0123456789ABCDEF", plain[] = ".-*_";
    const cell_text *text = text_at(call, 0);
    char *made = made_memory(call, (uint64_t)text->length * 3 + 1), *into = made;
    for (uint32_t i = 0; made != NULL && i < text->length; i++) {
        unsigned char c = (unsigned char)text_bytes(text)[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c != '\0' && strchr(plain, c) != NULL)) {
            *into++ = (char)c;
        } else if (c == ' ') {
            *into++ = '+';
        } else {
            *into++ = '%';
            *into++ = hex[c >> 4];
            *into++ = hex[c & 15];
        }
    }
    if (made != NULL)
        give_text_there(call, made, (size_t)(into - made));
}

static int of_hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void call_url_decode(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *bytes = text_bytes(text);
    char *made = made_memory(call, text->length), *into = made;
    for (uint32_t i = 0; made != NULL && i < text->length; i++) {
        if (bytes[i] != '%') {
            *into++ = bytes[i] == '+' ? ' ' : bytes[i];
            continue;
        }
        if (i + 2 >= text->length || of_hex(bytes[i + 1]) < 0 || of_hex(bytes[i + 2]) < 0) {
            fail_row(call, "the text \"%.*s\" has a %% without two hexadecimal digits behind it",
                     (int)(text->length < 80 ? text->length : 80), bytes);
            return;
        }
        *into++ = (char)(of_hex(bytes[i + 1]) * 16 + of_hex(bytes[i + 2]));
        i += 2;
    }
    if (made == NULL)
        return;
    if (text_valid_length(made, (size_t)(into - made)) != (size_t)(into - made))
        fail_row(call, "the text \"%.*s\" is no UTF-8 when it is decoded",
                 (int)(text->length < 80 ? text->length : 80), bytes);
    else
        give_text_there(call, made, (size_t)(into - made));
}

/* The host, path ... of an address as java.net.URI reads it, or one value of its query. */
typedef struct address {
    const char *begin, *end;
} address;

static address up_to(const address *all, const char *stops)
{
    const char *at = all->begin;
    while (at < all->end && (*at == '\0' || strchr(stops, *at) == NULL))
        at++;
    return (address){all->begin, at};
}

typedef struct address_parts {
    address scheme, authority, user, host, path, query, fragment; /* NULL where there is none */
} address_parts;

static bool is_of_address(char c)
{
    return (unsigned char)c > 32 && c != 127 && strchr("\"<>\\^`{|}", c) == NULL;
}

static bool take_scheme(address *rest, address *scheme)
{
    *scheme = up_to(rest, ":/?#");
    char first = scheme->begin < scheme->end ? (char)(*scheme->begin | 32) : '0';
    if (scheme->end == rest->end || *scheme->end != ':' || first < 'a' || first > 'z')
        return false;
    rest->begin = scheme->end + 1;
    return true;
}

static void take_authority(address *rest, address_parts *parts)
{
    rest->begin += 2;
    parts->authority = up_to(rest, "/?#");
    rest->begin = parts->authority.end;
    parts->host = parts->authority;
    const address user = up_to(&parts->host, "@");
    if (user.end < parts->host.end) {
        parts->user = user;
        parts->host.begin = user.end + 1;
    }
    const char *port = parts->host.end;
    while (port > parts->host.begin && port[-1] >= '0' && port[-1] <= '9')
        port--;
    if (port > parts->host.begin && port[-1] == ':')
        parts->host.end = port - 1;
    for (const char *c = parts->host.begin; c < parts->host.end; c++)
        if (*c == '_' || *c == '@') { /* no host by Java's rules */
            parts->host = parts->user = (address){NULL, NULL};
            break;
        }
    if (parts->host.begin == parts->host.end)
        parts->host = (address){NULL, NULL};
}

/* False: it is none. */
static bool take_address(const cell_text *text, address_parts *parts)
{
    address rest = {text_bytes(text), text_bytes(text) + text->length};
    *parts = (address_parts){.scheme = {NULL, NULL}};
    for (const char *at = rest.begin; at < rest.end; at++)
        if (!is_of_address(*at) ||
            (*at == '%' && (rest.end - at < 3 || of_hex(at[1]) < 0 || of_hex(at[2]) < 0)))
            return false;
    if (!take_scheme(&rest, &parts->scheme))
        parts->scheme = (address){NULL, NULL};
    const char *hash = memchr(rest.begin, '#', (size_t)(rest.end - rest.begin));
    if (hash != NULL) {
        parts->fragment = (address){hash + 1, rest.end};
        rest.end = hash;
    }
    if (parts->scheme.begin != NULL && (rest.begin == rest.end || *rest.begin != '/'))
        return rest.begin < rest.end; /* mailto:a@b has no parts */
    if (rest.end - rest.begin >= 2 && rest.begin[0] == '/' && rest.begin[1] == '/')
        take_authority(&rest, parts);
    parts->path = up_to(&rest, "?");
    if (parts->path.end < rest.end)
        parts->query = (address){parts->path.end + 1, rest.end};
    return true;
}

static address part_named(const address_parts *parts, const cell_text *name)
{
    static const char *const names[] = {"HOST", "PATH",     "QUERY",     "REF",
                                        "FILE", "PROTOCOL", "AUTHORITY", "USERINFO"};
    address file = parts->path;
    if (file.begin != NULL && parts->query.begin != NULL)
        file.end = parts->query.end;
    const address all[] = {parts->host, parts->path,   parts->query,     parts->fragment,
                           file,        parts->scheme, parts->authority, parts->user};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == name->length &&
            memcmp(names[i], text_bytes(name), name->length) == 0)
            return all[i];
    return (address){NULL, NULL};
}

/* Behind `key=`, at the beginning or an &. */
static address value_of_key(address query, const cell_text *key)
{
    const char *at = query.begin;
    while (at != NULL && at <= query.end) {
        const char *end = memchr(at, '&', (size_t)(query.end - at));
        if (end == NULL)
            end = query.end;
        if ((size_t)(end - at) > key->length && at[key->length] == '=' &&
            memcmp(at, text_bytes(key), key->length) == 0)
            return (address){at + key->length + 1, end};
        at = end + 1;
    }
    return (address){NULL, NULL};
}

static void call_parse_url(row_call *call)
{
    address_parts parts;
    address part = {NULL, NULL};
    bool of_key = call->in->schema.n_fields == 3;
    if (take_address(text_at(call, 0), &parts))
        part = part_named(&parts, text_at(call, 1));
    if (of_key)
        part =
            text_at(call, 1)->length == 5 && memcmp(text_bytes(text_at(call, 1)), "QUERY", 5) == 0
                ? value_of_key(part, text_at(call, 2))
                : (address){NULL, NULL};
    if (part.begin == NULL)
        give_null(call);
    else
        give_text_there(call, part.begin, (size_t)(part.end - part.begin));
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void call_unhex(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *bytes = text_bytes(text);
    char *made = made_memory(call, (uint64_t)text->length / 2 + 1);
    uint32_t n = 0, odd = text->length % 2;
    for (uint32_t i = 0; made != NULL && i < text->length; i++) {
        if (of_hex(bytes[i]) < 0) {
            give_null(call);
            return;
        }
        if ((i + odd) % 2 == 0)
            made[n] = (char)(of_hex(bytes[i]) << 4);
        else if (i == 0)
            made[n++] = (char)of_hex(bytes[i]);
        else
            made[n++] |= (char)of_hex(bytes[i]);
    }
    if (made != NULL)
        give_text_there(call, made, n);
}

/* As Java's decoder of MIME: what is no letter of Base64 is passed over. */
static void call_unbase64(row_call *call)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const cell_text *text = text_at(call, 0);
    char *made = made_memory(call, text->length);
    uint32_t bits = 0, n_bits = 0, n = 0, taken = 0;
    for (uint32_t i = 0; made != NULL && i < text->length; i++) {
        char c = text_bytes(text)[i];
        const char *letter = c == '\0' ? NULL : strchr(letters, c);
        if (c == '=')
            break;
        if (letter == NULL)
            continue;
        taken++;
        bits = bits << 6 | (uint32_t)(letter - letters);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            made[n++] = (char)(bits >> n_bits);
        }
    }
    if (made != NULL && taken % 4 == 1)
        fail_row(call, "the text \"%.*s\" is no Base64",
                 (int)(text->length < 80 ? text->length : 80), text_bytes(text));
    else if (made != NULL)
        give_text_there(call, made, n);
}

typedef enum charset {
    CHARSET_UTF_8,
    CHARSET_ASCII,
    CHARSET_LATIN_1,
    CHARSET_UTF_16BE,
    CHARSET_UTF_16LE,
    CHARSET_UTF_16,
    CHARSETS
} charset;

static charset charset_at(row_call *call, uint32_t argument)
{
    static const char *const names[] = {"UTF-8",    "US-ASCII", "ISO-8859-1",
                                        "UTF-16BE", "UTF-16LE", "UTF-16"};
    const cell_text *name = text_at(call, argument);
    for (int i = 0; i < CHARSETS; i++)
        if (strlen(names[i]) == name->length &&
            strncasecmp(names[i], text_bytes(name), name->length) == 0)
            return (charset)i;
    fail_row(call,
             "there is no charset \"%.*s\": UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE "
             "and UTF-16LE are",
             (int)(name->length < 40 ? name->length : 40), text_bytes(name));
    return CHARSETS;
}

static char *write_16(char *into, uint32_t unit, bool little)
{
    into[little ? 0 : 1] = (char)(unit & 255);
    into[little ? 1 : 0] = (char)(unit >> 8);
    return into + 2;
}

static void call_encode(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *at = text_bytes(text), *end = at + text->length;
    charset charset = charset_at(call, 1);
    char *made = charset == CHARSETS ? NULL : made_memory(call, (uint64_t)text->length * 2 + 2);
    char *into = made;
    if (made == NULL)
        return;
    if (charset == CHARSET_UTF_8) {
        give_text_there(call, text_bytes(text), text->length);
        return;
    }
    if (charset == CHARSET_UTF_16 && text->length > 0)
        into = write_16(into, 0xFEFF, false);
    while (at < end) {
        uint32_t c = take_character(&at, end);
        bool little = charset == CHARSET_UTF_16LE;
        if (charset == CHARSET_ASCII || charset == CHARSET_LATIN_1) {
            *into++ = (char)(c < (charset == CHARSET_ASCII ? 0x80u : 0x100u) ? c : '?');
        } else if (c > 0xFFFF) {
            into = write_16(into, 0xD800 + ((c - 0x10000) >> 10), little);
            into = write_16(into, 0xDC00 + ((c - 0x10000) & 0x3FF), little);
        } else {
            into = write_16(into, c, little);
        }
    }
    give_text_there(call, made, (size_t)(into - made));
}

#define REPLACEMENT 0xFFFD /* of what is no character */

static void decode_utf8(const char *at, const char *end, char **into)
{
    while (at < end) {
        size_t valid = text_valid_length(at, (size_t)(end - at));
        memcpy(*into, at, valid);
        *into += valid;
        at += valid;
        if (at < end) {
            *into += write_character(REPLACEMENT, *into);
            at++;
        }
    }
}

static void decode_utf16(const unsigned char *at, const unsigned char *end, charset charset,
                         char **into)
{
    bool little = charset == CHARSET_UTF_16LE;
    if (charset == CHARSET_UTF_16 && end - at >= 2 &&
        ((at[0] == 0xFE && at[1] == 0xFF) || (at[0] == 0xFF && at[1] == 0xFE))) {
        little = at[0] == 0xFF;
        at += 2;
    }
    while (end - at >= 2) {
        uint32_t unit = (uint32_t)at[little ? 1 : 0] << 8 | at[little ? 0 : 1], low = 0;
        at += 2;
        if (unit >= 0xD800 && unit < 0xDC00 && end - at >= 2)
            low = (uint32_t)at[little ? 1 : 0] << 8 | at[little ? 0 : 1];
        if (low >= 0xDC00 && low < 0xE000) {
            at += 2;
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        } else if (unit >= 0xD800 && unit < 0xE000) {
            unit = REPLACEMENT;
        }
        *into += write_character(unit, *into);
    }
    if (at < end)
        *into += write_character(REPLACEMENT, *into);
}

static void call_decode(row_call *call)
{
    const cell_text *bytes = text_at(call, 0);
    const char *at = text_bytes(bytes), *end = at + bytes->length;
    charset charset = charset_at(call, 1);
    char *made = charset == CHARSETS ? NULL : made_memory(call, (uint64_t)bytes->length * 3 + 3);
    char *into = made;
    if (made == NULL)
        return;
    if (charset == CHARSET_UTF_8)
        decode_utf8(at, end, &into);
    else if (charset >= CHARSET_UTF_16BE)
        decode_utf16((const unsigned char *)at, (const unsigned char *)end, charset, &into);
    else
        for (; at < end; at++) {
            uint32_t c = (unsigned char)*at;
            into += write_character(charset == CHARSET_ASCII && c > 127 ? REPLACEMENT : c, into);
        }
    give_text_there(call, made, (size_t)(into - made));
}

const sql_function spark_bytes[] = {
    /* HOST, PATH, QUERY, REF, FILE, PROTOCOL, AUTHORITY, USERINFO; and one key of QUERY */
    {SPARK_ROWS("spark_parse_url", "string", call_parse_url), .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_parse_url_key", "string", call_parse_url),
     .arguments = {"string", "string", "string"}},
    {SPARK_ROWS("spark_unhex", "binary", call_unhex), .arguments = {"string"}},
    {SPARK_ROWS("spark_unbase64", "binary", call_unbase64), .arguments = {"string"}},
    {SPARK_ROWS("spark_encode", "binary", call_encode), .arguments = {"string", "string"}},
    {SPARK_ROWS("spark_decode", "string", call_decode), .arguments = {"binary", "string"}},
    {SPARK_ROWS("spark_url_encode", "string", call_url_encode), .arguments = {"string"}},
    {SPARK_ROWS("spark_url_decode", "string", call_url_decode), .arguments = {"string"}},
    {.name = NULL},
};
