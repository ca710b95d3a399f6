/* text.h - a growing byte buffer with a limit, and small helpers on text.
 *
 * text_buffer owns malloc'd memory (it is used where bytes leave the step: dead letters, rendered
 * results, messages). Each buffer gets its limit at birth. Once an append failed, for want of
 * memory or because of the limit, the buffer says so by `failed` and ignores further appends, so
 * that a series of appends needs one check at its end.
 *
 * Order of calls: text_init, appends, text_reset for re-use, text_release or text_keep.
 */
#ifndef FRESHET_BASE_TEXT_H
#define FRESHET_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

typedef struct text_buffer {
    char *bytes; /* NUL-terminated whenever not NULL */
    size_t length;
    size_t capacity;
    size_t limit;
    bool failed; /* out of memory or past the limit */
} text_buffer;

#define TEXT_LIMIT_DEFAULT ((size_t)1 << 30)

void text_init(text_buffer *buffer, size_t limit);
void text_reset(text_buffer *buffer); /* length 0, failed cleared, memory kept */
void text_release(text_buffer *buffer);

/* What is in it, copied into the arena; NULL where an append failed, or memory does now. Releases
 * the buffer. */
char *text_keep(text_buffer *buffer, arena *arena);

bool text_append(text_buffer *buffer, const char *bytes, size_t length);
/* Room for so many more bytes, which whoever asks may write behind `length`. */
bool text_reserve(text_buffer *buffer, size_t more);

/* As text_append, without a call where there is room: for what is done millions of times. */
static inline bool text_put(text_buffer *buffer, const void *bytes, size_t length)
{
    if (buffer->failed || length >= buffer->capacity - buffer->length ||
        length > buffer->limit - buffer->length)
        return text_append(buffer, bytes, length);
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return true;
}
bool text_append_c(text_buffer *buffer, const char *text);
bool text_append_char(text_buffer *buffer, char c);
bool text_format(text_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends `length` bytes as a JSON string with its quotes. Bytes that are not valid UTF-8 are
 * replaced by U+FFFD; ask text_is_utf8 first where that matters. */
bool text_append_json(text_buffer *buffer, const char *bytes, size_t length);
bool text_append_base64(text_buffer *buffer, const void *bytes, size_t length);
/* What text_append_base64 has written, back in place, up to what is no digit of it: false where
 * that is not its end. */
bool text_from_base64(char *text, size_t *length);

/* A timestamp as 2013-01-01T05:00:00.000000Z (years beyond 9999 get a sign and more digits), a
 * date as 2013-01-01, a decimal in plain notation, a double (or float) in the shortest form that
 * reads back the same. */
bool text_append_timestamp(text_buffer *buffer, int64_t time_us);
bool text_append_date(text_buffer *buffer, int32_t days);
bool text_append_real(text_buffer *buffer, double value, bool as_float);

/* "1,234,567", and "1,234 rows" of the thing "row". */
void text_append_count(text_buffer *buffer, int64_t count);
void text_append_count_of(text_buffer *buffer, int64_t count, const char *thing);

/* How many of the bytes are valid UTF-8 until the first that is not; whether all are. */
size_t text_valid_length(const char *bytes, size_t length);
bool text_is_utf8(const char *bytes, size_t length);

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back.
 * (Howard Hinnant, "chrono-compatible low-level date algorithms".) */
int64_t date_days(int64_t year, unsigned month, unsigned day);
void date_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day);

/* The candidate nearest to `word` by edit distance (at most a third of its length, at least 1),
 * for "did you mean"; NULL where none is near. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

#endif
