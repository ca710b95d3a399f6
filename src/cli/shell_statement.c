/* shell_statement.c - see shell_statement.h. A scanner with a little state: the quote it is in, or
 * how deep in comments. A line is fed whole and ends in a newline, so no token of two bytes is
 * cut. */
#include "cli/shell_statement.h"

#include <ctype.h>
#include <string.h>

void statement_init(statements *statements)
{
    memset(statements, 0, sizeof *statements);
    text_init(&statements->pending, STATEMENT_BYTES_MAX);
}

void statement_release(statements *statements)
{
    text_release(&statements->pending);
}

void statement_reset(statements *statements)
{
    text_reset(&statements->pending);
    statements->scanned = 0;
    statements->start = 0;
    statements->quote = 0;
    statements->depth = 0;
    statements->content = false;
}

bool statement_is_empty(const statements *statements)
{
    return !statements->content && statements->quote == 0 && statements->depth == 0;
}

/* Moves the unfinished statement to the front, so that a long session takes no more memory. */
static void forget_finished(statements *statements)
{
    if (statements->start == 0)
        return;
    text_buffer *pending = &statements->pending;
    size_t left = pending->length - statements->start;
    memmove(pending->bytes, pending->bytes + statements->start, left);
    pending->length = left;
    pending->bytes[left] = '\0';
    statements->scanned -= statements->start;
    statements->start = 0;
}

bool statement_feed(statements *statements, const char *line, size_t length)
{
    forget_finished(statements);
    text_append(&statements->pending, line, length);
    text_append_char(&statements->pending, '\n');
    if (!statements->pending.failed)
        return true;
    statement_reset(statements);
    return false;
}

/* The length of a dollar quote's tag at `at` ("$$", "$tag$"), 0 where there is none. */
static size_t dollar_tag(const char *at)
{
    size_t length = 1;
    while (length < STATEMENT_TAG_MAX && (isalnum((unsigned char)at[length]) || at[length] == '_'))
        length++;
    if (at[length] != '$' || isdigit((unsigned char)at[1]))
        return 0;
    return length + 1;
}

/* Passes one token outside of quotes and comments; true when it is the `;` that ends a
 * statement. */
static bool scan_plain(statements *statements, const char *at)
{
    size_t tag = at[0] == '$' ? dollar_tag(at) : 0;
    statements->scanned += 1;
    if (at[0] == ';')
        return true;
    if (at[0] == '-' && at[1] == '-') {
        statements->scanned += strcspn(at, "\n") - 1;
    } else if (at[0] == '/' && at[1] == '*') {
        statements->scanned += 1;
        statements->depth = 1;
    } else if (at[0] == '\'' || at[0] == '"') {
        statements->quote = at[0];
        statements->content = true;
    } else if (tag > 0) {
        statements->quote = '$';
        memcpy(statements->tag, at, tag);
        statements->tag[tag] = '\0';
        statements->scanned += tag - 1;
        statements->content = true;
    } else if (!isspace((unsigned char)at[0])) {
        statements->content = true;
    }
    return false;
}

static void scan_comment(statements *statements, const char *at)
{
    bool opens = at[0] == '/' && at[1] == '*';
    bool closes = at[0] == '*' && at[1] == '/';
    if (opens)
        statements->depth++;
    if (closes)
        statements->depth--;
    statements->scanned += opens || closes ? 2 : 1;
}

/* A doubled quote inside closes and opens again at once, which comes to the same. */
static void scan_quote(statements *statements, const char *at)
{
    size_t tag = statements->quote == '$' ? strlen(statements->tag) : 1;
    bool ends = statements->quote == '$' ? strncmp(at, statements->tag, tag) == 0
                                         : at[0] == statements->quote;
    statements->scanned += ends ? tag : 1;
    if (ends)
        statements->quote = 0;
}

bool statement_next(statements *statements, const char **sql)
{
    while (statements->scanned < statements->pending.length) {
        char *at = statements->pending.bytes + statements->scanned;
        if (statements->quote != 0) {
            scan_quote(statements, at);
        } else if (statements->depth > 0) {
            scan_comment(statements, at);
        } else if (scan_plain(statements, at)) {
            *at = '\0';
            *sql = statements->pending.bytes + statements->start;
            bool content = statements->content;
            statements->start = statements->scanned;
            statements->content = false;
            if (content)
                return true;
        }
    }
    return false;
}

bool statement_rest(statements *statements, const char **sql)
{
    if (statement_is_empty(statements))
        return false;
    *sql = statements->pending.bytes + statements->start;
    return true;
}
