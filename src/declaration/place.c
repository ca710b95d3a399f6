/* place.c - where a byte of a scalar's value stands in the YAML file.
 *
 * A value and its text in the file differ by quotes, escapes, indentation and replaced variables.
 * So the way back has two steps: from the value to the raw text by the node's substitutions, and
 * from the raw text to the file by walking the source from the scalar's place as its style demands:
 *
 *   plain, quoted   on one line: columns along that line, over escapes in quotes
 *   literal |       line k of the raw text is line k below the `|`; the indentation is what that
 *                   line of the source has more than the raw text
 *
 * Each step is checked against the source; where it does not fit (folded text, several lines, an
 * anchor in front) the scalar's own place is the answer.
 */
#include <string.h>

#include "declaration/declaration_tree.h"

#define PLACE_TEXT_MAX 65536u /* bytes of a text that is worth walking through */

/* Bytes of the line break at `at` as YAML 1.1 has them (libyaml counts lines by these), or 0. */
static size_t break_length(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);
    if (left == 0)
        return 0;
    if (at[0] == '\r')
        return left > 1 && at[1] == '\n' ? 2 : 1;
    if (at[0] == '\n')
        return 1;
    if (left > 1 && memcmp(at, "\xC2\x85", 2) == 0)
        return 2;
    if (left > 2 && memcmp(at, "\xE2\x80", 2) == 0 && (at[2] == '\xA8' || at[2] == '\xA9'))
        return 3;
    return 0;
}

static uint32_t characters(const char *bytes, size_t length)
{
    uint32_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return n;
}

/* The first byte of a line of the source; goes on from the line that was asked for last. */
static size_t line_start(tree *tree, uint32_t line)
{
    const char *end = tree->source + tree->source_length;
    if (line < tree->line) {
        tree->line = 1;
        tree->line_start = 0;
    }
    const char *at = tree->source + tree->line_start;
    while (tree->line < line && at < end) {
        size_t broken = break_length(at, end);
        at += broken == 0 ? 1 : broken;
        tree->line += broken != 0;
    }
    tree->line_start = (size_t)(at - tree->source);
    return tree->line_start;
}

static size_t line_length(const tree *tree, size_t start)
{
    const char *end = tree->source + tree->source_length;
    const char *at = tree->source + start;
    while (at < end && break_length(at, end) == 0)
        at++;
    return (size_t)(at - tree->source) - start;
}

const char *tree_byte_at(tree *tree, const place *place)
{
    const char *at = tree->source + line_start(tree, place->line);
    const char *end = tree->source + tree->source_length;
    for (uint32_t column = 1; column < place->column && at < end; column++) {
        at++;
        while (at < end && ((unsigned char)*at & 0xC0) == 0x80)
            at++;
    }
    return at;
}

/* Bytes in UTF-8 of the character that an escape `\...` of a double-quoted scalar stands for;
 * *taken: the bytes of the escape itself. */
static size_t escape_length(const char *at, const char *end, size_t *taken)
{
    *taken = 2;
    if (end - at < 2)
        return 1;
    size_t digits = at[1] == 'x' ? 2 : at[1] == 'u' ? 4 : at[1] == 'U' ? 8 : 0;
    if (digits == 0)
        return at[1] == 'N' || at[1] == '_' ? 2 : at[1] == 'L' || at[1] == 'P' ? 3 : 1;
    uint32_t code = 0;
    for (size_t i = 0; i < digits && at + 2 + i < end; i++) {
        char c = at[2 + i];
        code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *taken = 2 + digits;
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* Walks over `offset` bytes of a one-line scalar; NULL where the source does not fit. */
static const char *walk_quoted(const node *scalar, const char *at, size_t offset)
{
    const char *end = scalar->tree->source + scalar->tree->source_length;
    char quote = scalar->style == SCALAR_DOUBLE_QUOTED ? '"' : '\'';
    if (at >= end || *at++ != quote)
        return NULL;
    size_t done = 0;
    while (done < offset && at < end) {
        size_t taken = 1;
        size_t made = 1;
        if (quote == '"' && *at == '\\')
            made = escape_length(at, end, &taken);
        else if (quote == '\'' && *at == '\'')
            taken = 2;
        if (done + made > offset)
            break;
        done += made;
        at += taken;
    }
    return at < end ? at : NULL;
}

static place place_on_line(const node *scalar, size_t offset)
{
    const char *begin = tree_byte_at(scalar->tree, &scalar->at);
    const char *at = NULL;
    if (scalar->style == SCALAR_PLAIN) {
        size_t left = (size_t)(scalar->tree->source + scalar->tree->source_length - begin);
        if (offset <= left && memcmp(begin, scalar->raw, offset) == 0)
            at = begin + offset;
    } else {
        at = walk_quoted(scalar, begin, offset);
    }
    place found = scalar->at;
    if (at != NULL)
        found.column += characters(begin, (size_t)(at - begin));
    return found;
}

static place place_in_literal(const node *scalar, size_t offset)
{
    const char *raw = scalar->raw;
    const char *end = raw + strlen(raw);
    const char *begin = raw;
    uint32_t line = scalar->at.line + 1;
    for (const char *at = raw; at < raw + offset;) {
        size_t broken = break_length(at, end);
        at += broken == 0 ? 1 : broken;
        if (broken != 0 && at <= raw + offset) {
            begin = at;
            line++;
        }
    }
    const char *line_end = begin;
    while (line_end < end && break_length(line_end, end) == 0)
        line_end++;

    size_t raw_length = (size_t)(line_end - begin);
    size_t start = line_start(scalar->tree, line);
    size_t length = line_length(scalar->tree, start);
    const char *source = scalar->tree->source + start;
    if (length < raw_length || memcmp(source + length - raw_length, begin, raw_length) != 0)
        return scalar->at;
    place found = scalar->at;
    found.line = line;
    found.column = 1;
    if (raw_length > 0)
        found.column += characters(source, length - raw_length) +
                        characters(begin, (size_t)(raw + offset - begin));
    return found;
}

place node_place_raw(const node *scalar, size_t offset)
{
    if (scalar->tree->source == NULL || scalar->at.line == 0 || scalar->raw == NULL)
        return scalar->at;
    size_t length = strlen(scalar->raw);
    if (length > PLACE_TEXT_MAX)
        return scalar->at;
    if (offset > length)
        offset = length;
    if (scalar->style == SCALAR_LITERAL) {
        while (length > 0 && scalar->raw[length - 1] == '\n')
            length--; /* the end of the text is the end of its last line */
        return place_in_literal(scalar, offset < length ? offset : length);
    }
    if (scalar->style == SCALAR_FOLDED || scalar->several_lines)
        return scalar->at;
    return place_on_line(scalar, offset);
}

place node_place(const node *scalar, size_t offset)
{
    size_t raw = offset;
    for (uint32_t i = 0; i < scalar->n_substitutions; i++) {
        const substitution *each = &scalar->substitutions[i];
        if (offset < each->value)
            break;
        if (offset < each->value + each->value_length) {
            raw = each->raw;
            break;
        }
        raw = offset - (each->value + each->value_length) + each->raw + each->raw_length;
    }
    return node_place_raw(scalar, raw);
}
