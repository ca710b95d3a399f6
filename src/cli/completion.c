/* completion.c - see completion.h. */
#include "cli/completion.h"

#include <strings.h>

#include "cli/layout.h"

#define GAP 2u

void completion_init(completion *completion)
{
    text_init(&completion->names, COMPLETION_BYTES_MAX);
}

void completion_release(completion *completion)
{
    text_release(&completion->names);
}

void completion_add(completion *completion, const char *name, size_t length)
{
    const size_t before = completion->names.length;
    if (completion->names.failed || length == 0)
        return;
    text_append(&completion->names, name, length);
    if (!text_append_char(&completion->names, '\0'))
        completion->names.length = before; /* no half names */
}

void completion_add_csv(completion *completion, const char *csv)
{
    const char *at = strchr(csv, '\n');
    while (at != NULL && *++at != '\0') {
        text_buffer name;
        text_init(&name, COMPLETION_BYTES_MAX);
        if (*at == '"') {
            for (at++; *at != '\0' && (at[0] != '"' || at[1] == '"'); at++) {
                at += *at == '"' ? 1 : 0;
                text_append_char(&name, *at);
            }
        } else {
            text_append(&name, at, strcspn(at, "\n"));
        }
        if (name.bytes != NULL && !name.failed)
            completion_add(completion, name.bytes, name.length);
        text_release(&name);
        at = strchr(at, '\n');
    }
}

/* The name behind that one, or the first (NULL); NULL at the end. */
static const char *name_after(const text_buffer *names, const char *name)
{
    if (names->bytes == NULL)
        return NULL;
    const char *next = name == NULL ? names->bytes : name + strlen(name) + 1;
    return next < names->bytes + names->length ? next : NULL;
}

bool completion_has(const completion *completion, const char *name)
{
    const char *at = NULL;
    while ((at = name_after(&completion->names, at)) != NULL)
        if (strcasecmp(at, name) == 0)
            return true;
    return false;
}

/* How many bytes both begin with, characters as a whole. */
static size_t shared_length(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] != '\0' && a[n] == b[n])
        n++;
    while (n > 0 && ((unsigned char)a[n] & 0xC0) == 0x80)
        n--;
    return n;
}

uint32_t completion_find(const completion *completion, const char *word, size_t length,
                         text_buffer *rest, text_buffer *list)
{
    const char *first = NULL, *at = NULL;
    size_t shared = 0;
    uint32_t n = 0;
    while ((at = name_after(&completion->names, at)) != NULL) {
        if (strncasecmp(at, word, length) != 0)
            continue;
        const size_t with_first =
            n == 0 ? strlen(at) - length : shared_length(first + length, at + length);
        shared = n == 0 || with_first < shared ? with_first : shared;
        first = n == 0 ? at : first;
        text_append(list, at, strlen(at) + 1);
        n++;
    }
    if (n > 0)
        text_append(rest, first + length, shared);
    return n;
}

static bool is_of_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

size_t completion_word(const char *line, size_t cursor)
{
    size_t start = cursor;
    while (start > 0 && is_of_word(line[start - 1]))
        start--;
    return start > 0 && line[start - 1] == '"' ? start - 1 : start;
}

void completion_show(const text_buffer *list, uint32_t width, uint32_t lines_max, text_buffer *into)
{
    uint32_t widest = 1, n = 0, shown = 0;
    const char *at = NULL;
    while ((at = name_after(list, at)) != NULL) {
        const uint32_t its = layout_width(at);
        widest = its > widest ? its : widest;
        n++;
    }
    const uint32_t fit = (width + GAP) / (widest + GAP), columns = fit == 0 ? 1 : fit;
    const bool is_cut = n > columns * lines_max;
    const uint32_t most = is_cut ? columns * (lines_max - 1) : n;
    while (shown < most && (at = name_after(list, at)) != NULL) {
        const bool ends_line = ++shown % columns == 0 || shown == most;
        layout_fit(at, ends_line ? layout_width(at) : widest + GAP, !ends_line, false, into);
        if (ends_line)
            text_append_char(into, '\n');
    }
    if (is_cut)
        text_format(into, "... %u more; type more of the name\n", n - most);
}
