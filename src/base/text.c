/* text.c - see text.h. */
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

#define TEXT_CAPACITY_FIRST 256u
#define WORD_MAX 64u /* longer words have no near ones */

void text_init(text_buffer *buffer, size_t limit)
{
    *buffer = (text_buffer){.limit = limit};
}

void text_reset(text_buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->bytes != NULL)
        buffer->bytes[0] = '\0';
}

void text_release(text_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (text_buffer){.limit = buffer->limit};
}

char *text_keep(text_buffer *buffer, arena *arena)
{
    char *kept = buffer->failed ? NULL
                                : arena_copy(arena, buffer->bytes == NULL ? "" : buffer->bytes,
                                             buffer->length);
    text_release(buffer);
    return kept;
}

bool text_reserve(text_buffer *buffer, size_t more)
{
    if (buffer->failed)
        return false;
    if (more > buffer->limit || buffer->length > buffer->limit - more) {
        buffer->failed = true;
        return false;
    }
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity)
        return true;
    size_t capacity =
        buffer->capacity < TEXT_CAPACITY_FIRST ? TEXT_CAPACITY_FIRST : buffer->capacity;
    while (capacity < need)
        capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool text_append(text_buffer *buffer, const char *bytes, size_t length)
{
    if (!text_reserve(buffer, length))
        return false;
    if (length > 0)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return true;
}

bool text_append_c(text_buffer *buffer, const char *text)
{
    return text_append(buffer, text, strlen(text));
}

bool text_append_char(text_buffer *buffer, char c)
{
    return text_append(buffer, &c, 1);
}

bool text_format(text_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    bool done = length >= 0 && text_reserve(buffer, (size_t)length);
    if (done) {
        vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, args);
        buffer->length += (size_t)length;
    }
    va_end(args);
    return done;
}

/* The length of the valid UTF-8 character at the beginning of `bytes`, or 0. */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

size_t text_valid_length(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < length) {
        uint64_t eight;
        if (length - i >= 8) {
            memcpy(&eight, at + i, 8);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += 8;
                continue;
            }
        }
        size_t n = utf8_length(at + i, length - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    return text_valid_length(bytes, length) == length;
}

static bool append_escape(text_buffer *buffer, unsigned char c)
{
    static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c == '\0' ? NULL : strchr(special, c);
    return found != NULL ? text_format(buffer, "\\%c", letters[found - special])
                         : text_format(buffer, "\\u%04x", c);
}

bool text_append_json(text_buffer *buffer, const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    text_append_char(buffer, '"');
    size_t plain = 0; /* where the bytes not yet appended begin */
    size_t i = 0;
    while (i < length) {
        size_t n = utf8_length(at + i, length - i);
        if (n > 0 && at[i] >= 0x20 && at[i] != '"' && at[i] != '\\') {
            i += n;
            continue;
        }
        text_append(buffer, bytes + plain, i - plain);
        if (n == 0)
            text_append_c(buffer, "\xEF\xBF\xBD");
        else
            append_escape(buffer, at[i]);
        plain = ++i;
    }
    text_append(buffer, bytes + plain, length - plain);
    return text_append_char(buffer, '"');
}

bool text_append_base64(text_buffer *buffer, const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    if (!text_reserve(buffer, (length + 2) / 3 * 4))
        return false;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t three = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                         (left > 2 ? at[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        text_append(buffer, four, 4);
    }
    return !buffer->failed;
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

bool text_from_base64(char *text, size_t *length)
{
    size_t n = 0, i = 0, end = *length;
    const bool is_padded = end % 4 == 0;
    uint32_t bits = 0;
    while (end > 0 && text[end - 1] == '=')
        end--;
    for (int digit; i < end && (digit = base64_digit(text[i])) >= 0; i++) {
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0)
            text[n++] = (char)(bits >> (i % 4 == 1 ? 4 : i % 4 == 2 ? 2 : 0) & 0xFF);
    }
    *length = n;
    return is_padded && i == end;
}

int64_t date_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year =
        (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void date_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool append_civil(text_buffer *buffer, int64_t days)
{
    int64_t year;
    unsigned month, day;
    date_civil(days, &year, &month, &day);
    if (year > 9999)
        return text_format(buffer, "+%lld-%02u-%02u", (long long)year, month, day);
    if (year < 0)
        return text_format(buffer, "-%04lld-%02u-%02u", (long long)-year, month, day);
    return text_format(buffer, "%04lld-%02u-%02u", (long long)year, month, day);
}

bool text_append_date(text_buffer *buffer, int32_t days)
{
    return append_civil(buffer, days);
}

bool text_append_timestamp(text_buffer *buffer, int64_t time_us)
{
    const int64_t day_us = INT64_C(86400000000);
    int64_t days = time_us / day_us, rest = time_us % day_us;
    if (rest < 0) {
        rest += day_us;
        days--;
    }
    append_civil(buffer, days);
    int second = (int)(rest / 1000000), fraction = (int)(rest % 1000000);
    return text_format(buffer, "T%02d:%02d:%02d.%06dZ", second / 3600, second / 60 % 60,
                       second % 60, fraction);
}

bool text_append_real(text_buffer *buffer, double value, bool as_float)
{
    if (isnan(value))
        return text_append_c(buffer, "NaN");
    if (isinf(value))
        return text_append_c(buffer, value > 0 ? "Infinity" : "-Infinity");
    const bool is_whole = value == floor(value);
    text_append(buffer, "-", signbit(value) != 0);
    value = fabs(value);
    if (is_whole && value < 1e15)
        return text_format(buffer, "%lld.0", (long long)value);
    char digits[NUMBER_DIGITS_MAX];
    int point;
    as_float &= !is_whole;
    const int n = number_shortest(value, as_float, digits, &point);
    const bool plain = point > -4 && (point <= (as_float ? 6 : 15) || point <= n);
    const int whole = !plain ? 1 : point > 0 ? point : 0; /* digits before the point */
    if (whole == 0)
        text_append(buffer, "0.000", (size_t)(2 - point));
    text_append(buffer, digits, (size_t)whole);
    if (whole > 0 && whole < n)
        text_append_char(buffer, '.');
    text_append(buffer, digits + whole, (size_t)(n - whole));
    return plain ? !buffer->failed : text_format(buffer, "e%+03d", point - 1);
}

/* Edit distance (insert, delete, replace, swap of neighbours), without regard to case. */
static size_t word_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            bool same = strncasecmp(a + i - 1, b + j - 1, 1) == 0;
            unsigned best = above[j - 1] + !same;
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && strncasecmp(a + i - 1, b + j - 2, 1) == 0 &&
                strncasecmp(a + i - 2, b + j - 1, 1) == 0 && two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

void text_append_count(text_buffer *buffer, int64_t count)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < length; i++) {
        text_append_char(buffer, digits[i]);
        int behind = length - i - 1;
        if (behind > 0 && behind % 3 == 0 && digits[i] != '-')
            text_append_char(buffer, ',');
    }
}

void text_append_count_of(text_buffer *buffer, int64_t count, const char *thing)
{
    text_append_count(buffer, count);
    text_format(buffer, " %s%s", thing, count == 1 ? "" : "s");
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t limit = strlen(word) / 3;
    if (limit < 1)
        limit = 1;
    const char *nearest = NULL;
    size_t least = limit + 1;
    for (size_t i = 0; i < n; i++) {
        size_t distance = word_distance(word, candidates[i]);
        if (distance < least && distance < strlen(candidates[i])) {
            least = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
