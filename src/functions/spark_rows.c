/* spark_rows.c - see spark_rows.h. */
#define _GNU_SOURCE
#include "functions/spark_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define DOING "computing a function of Spark"

static bool any_is_null(const row_call *call)
{
    for (uint32_t i = 0; i < call->in->schema.n_fields; i++)
        if (!has(call, i))
            return true;
    return false;
}

freshet_code spark_rows_call(void *context, const batch *arguments, column *result,
                             freshet_error *err)
{
    const row_function *function = context;
    row_call call = {.in = arguments, .out = result, .arena = arguments->arena, .err = err};
    for (; call.row < arguments->n_rows && call.code == FRESHET_OK; call.row++) {
        if (!function->takes_nulls && any_is_null(&call))
            give_null(&call);
        else
            function->call(&call);
    }
    return call.code;
}

/* ---- the value ---- */

void fail_memory(row_call *call)
{
    if (call->code == FRESHET_OK)
        call->code = error_memory(call->err, DOING);
}

void fail_row(row_call *call, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (call->code == FRESHET_OK)
        call->code = error_set(call->err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL, "%s", text);
}

void *call_memory(row_call *call, size_t size)
{
    void *memory = arena_alloc(call->arena, size > 0 ? size : 1);
    if (memory == NULL)
        fail_memory(call);
    return memory;
}

char *made_memory(row_call *call, uint64_t size)
{
    if (size <= TEXT_MADE_MAX)
        return call_memory(call, size);
    fail_row(call, "a text of %llu bytes would be too long", (unsigned long long)size);
    return NULL;
}

void give_null(row_call *call)
{
    if (!column_set_null(call->arena, call->out, call->row))
        fail_memory(call);
}

void give_text_there(row_call *call, const char *bytes, size_t length)
{
    if (length > INT32_MAX)
        fail_row(call, "a text of %zu bytes is too long", length);
    else
        ((cell_text *)call->out->data)[call->row] = text_of(bytes, (uint32_t)length);
}

void give_text(row_call *call, const char *bytes, size_t length)
{
    const char *copy = length <= TEXT_INLINE_MAX ? bytes : arena_copy(call->arena, bytes, length);
    if (copy == NULL)
        fail_memory(call);
    else
        give_text_there(call, copy, length);
}

void give_list(row_call *call)
{
    ((cell_span *)call->out->data)[call->row] = (cell_span){call->out->n_elements, 0};
}

static uint64_t new_element(row_call *call)
{
    column *column = call->out;
    freshet_code code = FRESHET_OK;
    if (column->n_elements == column->children[0].capacity)
        code = column_reserve(call->arena, &column->children[0], column->n_elements * 2 + 16,
                              call->err);
    if (code != FRESHET_OK) {
        call->code = code;
        return UINT64_MAX;
    }
    ((cell_span *)column->data)[call->row].length++;
    return column->n_elements++;
}

void give_element(row_call *call, const char *bytes, size_t length)
{
    if (call->code != FRESHET_OK)
        return;
    uint64_t at = new_element(call);
    if (at != UINT64_MAX)
        ((cell_text *)call->out->children[0].data)[at] = text_of(bytes, (uint32_t)length);
}

void give_element_null(row_call *call)
{
    if (call->code != FRESHET_OK)
        return;
    uint64_t at = new_element(call);
    if (at != UINT64_MAX && !column_set_null(call->arena, &call->out->children[0], at))
        fail_memory(call);
}

/* ---- characters of UTF-8 ---- */

unsigned character_length(unsigned char first)
{
    return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

int32_t count_characters(const char *bytes, size_t length)
{
    int32_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return n;
}

size_t character_at(const char *bytes, size_t length, int64_t n)
{
    size_t at = 0;
    for (; n > 0 && at < length; n--)
        at += character_length((unsigned char)bytes[at]);
    return at < length ? at : length;
}

uint32_t take_character(const char **at, const char *end)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    unsigned n = character_length(*bytes);
    if (n == 1 || (size_t)(end - *at) < n) {
        (*at)++;
        return *bytes;
    }
    uint32_t character = *bytes & (0xFFu >> (n + 1));
    for (unsigned i = 1; i < n; i++)
        character = character << 6 | (bytes[i] & 0x3F);
    *at += n;
    return character;
}

unsigned write_character(uint32_t character, char *into)
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    if (character < 0x80) {
        into[0] = (char)character;
        return 1;
    }
    unsigned n = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (unsigned i = n - 1; i > 0; i--, character >>= 6)
        into[i] = (char)(0x80 | (character & 0x3F));
    into[0] = (char)(leads[n] | character);
    return n;
}

int64_t find_bytes(const char *bytes, size_t length, size_t from, const char *part,
                   size_t part_length)
{
    if (from > length)
        return -1;
    const char *found = memmem(bytes + from, length - from, part, part_length);
    return found == NULL ? -1 : found - bytes;
}
