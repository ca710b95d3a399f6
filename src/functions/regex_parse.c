/* regex_parse.c - the text of a regular expression of Java as a tree: see regex_internal.h.
 *
 * By descent: a choice is series with | between, a series is pieces, a piece is an atom and what
 * repeats it. Flags such as (?i) hold to the end of the group that they stand in.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "functions/regex_internal.h"
#include "functions/spark_rows.h"

enum { FLAG_CASE = 1, FLAG_DOT_ALL = 2, FLAG_LINES = 4, FLAG_COMMENTS = 8 };

typedef struct parser {
    arena *arena;
    const char *pattern, *at, *end;
    uint32_t n_groups, depth;
    unsigned flags;
    freshet_error *err;
    freshet_code code;
} parser;

#define REPEAT_MAX 1000u

/* ---- errors and words ------------------------------------------------------------------------ */

static void regex_refuse(parser *parser, const char *what)
{
    if (parser->code == FRESHET_OK)
        parser->code = error_set(
            parser->err, FRESHET_USAGE, FRESHET_STOP, NULL, "the pattern \"%.*s\" %s",
            (int)(parser->end - parser->pattern < 200 ? parser->end - parser->pattern : 200),
            parser->pattern, what);
}

static void regex_no_memory(parser *parser)
{
    if (parser->code == FRESHET_OK)
        parser->code = error_memory(parser->err, REGEX_COMPILING);
}

static bool pattern_is_over(const parser *parser)
{
    return parser->code != FRESHET_OK || parser->at == parser->end;
}

static bool next_is(const parser *parser, char c)
{
    return !pattern_is_over(parser) && *parser->at == c;
}

static bool take(parser *parser, const char *word)
{
    size_t length = strlen(word);
    if (parser->code != FRESHET_OK || (size_t)(parser->end - parser->at) < length ||
        memcmp(parser->at, word, length) != 0)
        return false;
    parser->at += length;
    return true;
}

static regex_node *new_node(parser *parser, node_kind kind)
{
    static regex_node none; /* where memory is out: never read, the code says so */
    regex_node *node = arena_zero(parser->arena, 1, sizeof *node);
    if (node == NULL) {
        regex_no_memory(parser);
        return &none;
    }
    node->kind = kind;
    return node;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* With (?x), blanks and what stands behind # count for nothing. */
static void skip_comments(parser *parser)
{
    while ((parser->flags & FLAG_COMMENTS) != 0 && !pattern_is_over(parser)) {
        if (strchr(" \t\n\r\f\v", *parser->at) != NULL && *parser->at != '\0')
            parser->at++;
        else if (*parser->at == '#')
            while (!pattern_is_over(parser) && *parser->at != '\n')
                parser->at++;
        else
            return;
    }
}

/* ---- one character --------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return number_is_digit(c)     ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static uint32_t take_hex(parser *parser, uint32_t least, uint32_t most)
{
    uint32_t value = 0, n = 0;
    while (!pattern_is_over(parser) && n < most && hex_digit(*parser->at) >= 0 &&
           value < 0x1100000) {
        value = value * 16 + (uint32_t)hex_digit(*parser->at++);
        n++;
    }
    if (n < least || value > 0x10FFFF)
        regex_refuse(parser, "has a hexadecimal character that is none");
    return value;
}

static uint32_t take_octal(parser *parser)
{
    uint32_t value = 0, n = 0;
    while (!pattern_is_over(parser) && n < 3 && *parser->at >= '0' && *parser->at <= '7' &&
           value * 8 + (uint32_t)(*parser->at - '0') <= 0377) {
        value = value * 8 + (uint32_t)(*parser->at++ - '0');
        n++;
    }
    if (n == 0)
        regex_refuse(parser, "has \\0 without an octal number behind it");
    return value;
}

/* A UTF-16 pair is one character. */
static uint32_t take_utf16(parser *parser)
{
    uint32_t value = take_hex(parser, 4, 4);
    if (value >= 0xD800 && value < 0xDC00 && take(parser, "\\u"))
        value = 0x10000 + ((value - 0xD800) << 10) + (take_hex(parser, 4, 4) - 0xDC00);
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        regex_refuse(parser, "has half of a character");
    return value;
}

/* Behind a backslash: the character that it stands for. */
static uint32_t take_escaped(parser *parser)
{
    if (pattern_is_over(parser)) {
        regex_refuse(parser, "ends in a backslash");
        return 0;
    }
    char c = *parser->at;
    if (!is_letter(c) && !number_is_digit(c))
        return take_character(&parser->at, parser->end);
    parser->at++;
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'a': return '\a';
    case 'e': return 27;
    case '0': return take_octal(parser);
    case 'u': return take_utf16(parser);
    case 'x':
        if (take(parser, "{")) {
            uint32_t value = take_hex(parser, 1, 8);
            if (!take(parser, "}"))
                regex_refuse(parser, "has \\x{ without its }");
            return value;
        }
        return take_hex(parser, 2, 2);
    case 'c':
        if (pattern_is_over(parser))
            regex_refuse(parser, "ends in \\c");
        return pattern_is_over(parser) ? 0 : (uint32_t)(unsigned char)*parser->at++ ^ 64;
    default: break;
    }
    if (number_is_digit(c) || c == 'k')
        regex_refuse(parser, "has a back reference (\\1), which is not taken: compare the parts by "
                             "regexp_extract instead");
    else if (c == 'G' || c == 'X' || c == 'R' || c == 'N')
        regex_refuse(parser, "has \\G, \\X, \\R or \\N, which is not taken: for a line's end write "
                             "(?:\\r\\n|[\\n\\r])");
    else
        regex_refuse(parser, "has a backslash before a letter that means nothing there");
    return 0;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void close_set(parser *parser, regex_set *set, bool negate)
{
    bool done = true;
    if ((parser->flags & FLAG_CASE) != 0)
        done = set_add_cases(parser->arena, set);
    if (done && negate)
        done = set_negate(parser->arena, set);
    if (!done)
        regex_no_memory(parser);
    set_close(set);
}

static void take_name(parser *parser, char *name, size_t size)
{
    size_t n = 0;
    if (!take(parser, "{")) {
        if (!pattern_is_over(parser))
            name[n++] = *parser->at++;
    } else {
        while (!pattern_is_over(parser) && *parser->at != '}' && n < size - 1)
            name[n++] = *parser->at++;
        if (!take(parser, "}"))
            regex_refuse(parser, "has \\p{ without its }");
    }
    name[n] = '\0';
}

/* \d, \p{L} and the like, behind the backslash: false, with nothing taken, where it is none. */
static bool take_class(parser *parser, regex_set *set)
{
    bool known;
    regex_set some = {.n = 0};
    if (pattern_is_over(parser))
        return false;
    char c = *parser->at;
    bool negate = c >= 'A' && c <= 'Z', done = true;
    if (c == 'p' || c == 'P') {
        char name[32], text[120];
        parser->at++;
        take_name(parser, name, sizeof name);
        done = set_of_name(parser->arena, &some, name, &known);
        if (!known) {
            snprintf(text, sizeof text,
                     "has \\p{%s}, which is not taken: write \\p{L}, \\p{Lu}, "
                     "\\p{Alpha} or the like",
                     name);
            regex_refuse(parser, text);
        }
    } else {
        done = set_of_letter(parser->arena, &some, negate ? (char)(c + 32) : c, &known);
        if (!known)
            return false;
        parser->at++;
    }
    if (done && negate)
        done = set_negate(parser->arena, &some);
    if (!done || !set_add_all(parser->arena, set, &some))
        regex_no_memory(parser);
    return true;
}

static void parse_class(parser *parser, regex_set *set);

/* A character of a class that may begin a range: its value; UINT32_MAX where a whole set was taken.
 */
static uint32_t take_of_class(parser *parser, regex_set *set)
{
    skip_comments(parser);
    if (pattern_is_over(parser))
        return UINT32_MAX;
    if (take(parser, "[")) {
        regex_set inner = {.n = 0};
        parse_class(parser, &inner);
        if (!set_add_all(parser->arena, set, &inner))
            regex_no_memory(parser);
        return UINT32_MAX;
    }
    if (!take(parser, "\\"))
        return take_character(&parser->at, parser->end);
    if (take(parser, "Q")) {
        while (!pattern_is_over(parser) && !take(parser, "\\E")) {
            uint32_t c = take_character(&parser->at, parser->end);
            if (!set_add(parser->arena, set, c, c))
                regex_no_memory(parser);
        }
        return UINT32_MAX;
    }
    return take_class(parser, set) ? UINT32_MAX : take_escaped(parser);
}

static void take_class_item(parser *parser, regex_set *set)
{
    uint32_t first = take_of_class(parser, set), last = first;
    if (first == UINT32_MAX)
        return;
    if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']' &&
        parser->at[1] != '[') {
        parser->at++;
        last = take_of_class(parser, set);
        if (last == UINT32_MAX || last < first)
            regex_refuse(parser, "has a range of characters whose end is before its beginning");
    }
    if (parser->code == FRESHET_OK && !set_add(parser->arena, set, first, last))
        regex_no_memory(parser);
}

/* Behind the [: up to its ]. Of && the rest is one more class. Recursion: REGEX_DEPTH_MAX. */
static void parse_class(parser *parser, regex_set *set)
{
    bool negate = take(parser, "^"), any = false, closed = false;
    regex_set all = {.n = 0};
    bool has_all = false, done = true;
    if (++parser->depth > REGEX_DEPTH_MAX)
        regex_refuse(parser, "has groups or classes nested too deep");
    while (!pattern_is_over(parser) && !closed) {
        if (any && next_is(parser, ']')) {
            parser->at++;
            closed = true;
        } else if (parser->end - parser->at >= 2 && parser->at[0] == '&' && parser->at[1] == '&') {
            parser->at += 2;
            if (any)
                done = done && (has_all ? set_intersect(parser->arena, &all, set)
                                        : set_add_all(parser->arena, &all, set));
            has_all |= any;
            set->n = 0;
            any = false;
            if (next_is(parser, ']'))
                any = true;
        } else {
            take_class_item(parser, set);
            any = true;
        }
    }
    parser->depth--;
    if (!closed)
        regex_refuse(parser, "has a [ without its ]");
    if ((parser->flags & FLAG_CASE) != 0)
        done = done && set_add_cases(parser->arena, set) && set_add_cases(parser->arena, &all);
    if (done && has_all) {
        done = set_intersect(parser->arena, &all, set);
        *set = all;
    }
    if (!done || (negate && !set_negate(parser->arena, set)))
        regex_no_memory(parser);
}

/* ---- atoms ----------------------------------------------------------------------------------- */

static regex_node *character_node(parser *parser, uint32_t c)
{
    regex_node *node = new_node(parser, NODE_SET);
    if (!set_add(parser->arena, &node->set, c, c))
        regex_no_memory(parser);
    close_set(parser, &node->set, false);
    return node;
}

static regex_node *place_node(parser *parser, regex_place place)
{
    regex_node *node = new_node(parser, NODE_PLACE);
    node->place = place;
    return node;
}

static regex_node *dot_node(parser *parser)
{
    regex_node *node = new_node(parser, NODE_SET);
    bool done = true;
    if ((parser->flags & FLAG_DOT_ALL) == 0)
        done = set_add(parser->arena, &node->set, '\n', '\n') &&
               set_add(parser->arena, &node->set, '\r', '\r') &&
               set_add(parser->arena, &node->set, 0x85, 0x85) &&
               set_add(parser->arena, &node->set, 0x2028, 0x2029);
    if (!done || !set_negate(parser->arena, &node->set))
        regex_no_memory(parser);
    set_close(&node->set);
    return node;
}

static regex_node *quoted_node(parser *parser)
{
    regex_node *series = new_node(parser, NODE_SERIES), **last = &series->child;
    while (!pattern_is_over(parser) && !take(parser, "\\E")) {
        *last = character_node(parser, take_character(&parser->at, parser->end));
        last = &(*last)->next;
    }
    return series;
}

static regex_node *escape_node(parser *parser)
{
    static const struct {
        const char *letter;
        regex_place place;
    } places[] = {
        {"A", PLACE_BEGIN},     {"z", PLACE_END},          {"Z", PLACE_LAST_LINE_END},
        {"b", PLACE_WORD_EDGE}, {"B", PLACE_NO_WORD_EDGE},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (take(parser, places[i].letter))
            return place_node(parser, places[i].place);
    if (take(parser, "Q"))
        return quoted_node(parser);
    regex_node *node = new_node(parser, NODE_SET);
    if (take_class(parser, &node->set)) {
        set_close(&node->set);
        return node;
    }
    return character_node(parser, take_escaped(parser));
}

static regex_node *parse_choice(parser *parser);

/* Behind (?: flags up to : or ). */
static unsigned take_flags(parser *parser)
{
    static const char letters[] = "ismx";
    unsigned flags = parser->flags;
    bool off = false;
    for (; !pattern_is_over(parser) && *parser->at != ':' && *parser->at != ')'; parser->at++) {
        const char *letter = strchr(letters, *parser->at);
        if (*parser->at == '-') {
            off = true;
        } else if (*parser->at == 'd') {
            regex_refuse(parser, "has the flag (?d), which is not taken");
        } else if (*parser->at == 'u' || *parser->at == 'U') {
            regex_refuse(parser, "has the flag (?u), which is not taken: use lower() before");
        } else if (letter == NULL) {
            regex_refuse(parser, "has (? with something that is not taken: look-ahead, look-behind "
                                 "and atomic groups are not");
        } else {
            unsigned flag = 1u << (letter - letters);
            flags = off ? flags & ~flag : flags | flag;
        }
    }
    return flags;
}

static void close_group(parser *parser)
{
    if (!take(parser, ")"))
        regex_refuse(parser, "has a ( without its )");
}

static regex_node *capture_node(parser *parser)
{
    regex_node *node = new_node(parser, NODE_GROUP);
    node->group = ++parser->n_groups;
    if (node->group >= REGEX_GROUPS_MAX)
        regex_refuse(parser, "has too many groups");
    node->child = parse_choice(parser);
    close_group(parser);
    return node;
}

static regex_node *group_node(parser *parser)
{
    unsigned before = parser->flags;
    regex_node *node;
    if (!take(parser, "?")) {
        node = capture_node(parser);
    } else if (take(parser, "<") && !next_is(parser, '=') && !next_is(parser, '!')) {
        while (!pattern_is_over(parser) && (is_letter(*parser->at) || number_is_digit(*parser->at)))
            parser->at++;
        if (!take(parser, ">"))
            regex_refuse(parser, "has a group's name without its >");
        node = capture_node(parser);
    } else if (parser->at[-1] == '<' || next_is(parser, '=') || next_is(parser, '!')) {
        regex_refuse(parser, "looks ahead or behind ((?=, (?!, (?<=, (?<!), which is not taken: "
                             "match the neighbours, too, and take the part by a group");
        return new_node(parser, NODE_EMPTY);
    } else {
        parser->flags = take_flags(parser);
        if (take(parser, ")")) /* to the end of the group around */
            return new_node(parser, NODE_EMPTY);
        if (!take(parser, ":"))
            regex_refuse(parser, "has a ( without its )");
        node = parse_choice(parser);
        close_group(parser);
    }
    parser->flags = before;
    return node;
}

static regex_node *atom_node(parser *parser)
{
    if (take(parser, "("))
        return group_node(parser);
    if (take(parser, "\\"))
        return escape_node(parser);
    if (take(parser, "."))
        return dot_node(parser);
    if (take(parser, "^"))
        return place_node(parser,
                          (parser->flags & FLAG_LINES) != 0 ? PLACE_LINE_BEGIN : PLACE_BEGIN);
    if (take(parser, "$"))
        return place_node(parser,
                          (parser->flags & FLAG_LINES) != 0 ? PLACE_LINE_END : PLACE_LAST_LINE_END);
    if (take(parser, "[")) {
        regex_node *node = new_node(parser, NODE_SET);
        parse_class(parser, &node->set);
        set_close(&node->set);
        return node;
    }
    if (next_is(parser, '*') || next_is(parser, '+') || next_is(parser, '?')) {
        regex_refuse(parser, "repeats nothing: before *, + or ? stands what is repeated, and a "
                             "backslash where it is meant itself");
        return new_node(parser, NODE_EMPTY);
    }
    if (next_is(parser, '{')) {
        regex_refuse(parser, "has a { that repeats nothing: write \\{ for the character");
        return new_node(parser, NODE_EMPTY);
    }
    return character_node(parser, take_character(&parser->at, parser->end));
}

/* ---- repetition, series, choice -------------------------------------------------------------- */

static uint32_t take_count(parser *parser)
{
    uint32_t n = 0;
    if (pattern_is_over(parser) || !number_is_digit(*parser->at))
        regex_refuse(parser, "has { without a number: write \\{ for the character");
    while (!pattern_is_over(parser) && number_is_digit(*parser->at) && n <= REPEAT_MAX)
        n = n * 10 + (uint32_t)(*parser->at++ - '0');
    if (n > REPEAT_MAX)
        regex_refuse(parser, "repeats something more than 1000 times");
    return n;
}

static bool take_repetition(parser *parser, uint32_t *least, uint32_t *most)
{
    *most = UINT32_MAX;
    *least = 0;
    if (take(parser, "*"))
        return true;
    if (take(parser, "+")) {
        *least = 1;
        return true;
    }
    if (take(parser, "?")) {
        *most = 1;
        return true;
    }
    if (!take(parser, "{"))
        return false;
    *least = *most = take_count(parser);
    if (take(parser, ","))
        *most = next_is(parser, '}') ? UINT32_MAX : take_count(parser);
    if (!take(parser, "}"))
        regex_refuse(parser, "has { without its }");
    if (*most < *least)
        regex_refuse(parser, "has {n,m} with the greater number first");
    return true;
}

static regex_node *parse_piece(parser *parser)
{
    uint32_t least, most;
    regex_node *node = atom_node(parser);
    skip_comments(parser);
    while (!pattern_is_over(parser) && take_repetition(parser, &least, &most)) {
        regex_node *repeat = new_node(parser, NODE_REPEAT);
        repeat->child = node;
        repeat->least = least;
        repeat->most = most;
        repeat->lazy = take(parser, "?");
        if (next_is(parser, '+'))
            regex_refuse(parser, "has a possessive repetition (a + behind *, + or ?), which is not "
                                 "taken");
        if (next_is(parser, '*') || next_is(parser, '?') || next_is(parser, '{'))
            regex_refuse(parser, "repeats a repetition: put the first into (?:...)");
        node = repeat;
        skip_comments(parser);
    }
    return node;
}

static regex_node *parse_series(parser *parser)
{
    regex_node *series = new_node(parser, NODE_SERIES), **last = &series->child;
    for (skip_comments(parser);
         !pattern_is_over(parser) && !next_is(parser, '|') && !next_is(parser, ')');
         skip_comments(parser)) {
        *last = parse_piece(parser);
        last = &(*last)->next;
    }
    return series->child != NULL && series->child->next == NULL ? series->child : series;
}

/* Recursion: REGEX_DEPTH_MAX. */
static regex_node *parse_choice(parser *parser)
{
    if (++parser->depth > REGEX_DEPTH_MAX)
        regex_refuse(parser, "has groups or classes nested too deep");
    regex_node *first = parse_series(parser), *last = first, *choice = NULL;
    while (take(parser, "|")) {
        if (choice == NULL) {
            choice = new_node(parser, NODE_CHOICE);
            choice->child = first;
        }
        last->next = parse_series(parser);
        last = last->next;
    }
    parser->depth--;
    return choice == NULL ? first : choice;
}

freshet_code regex_parse(arena *arena, const char *pattern, size_t length, regex_node **out,
                         uint32_t *n_groups, freshet_error *err)
{
    if (length > REGEX_LENGTH_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the pattern is longer than %u bytes", REGEX_LENGTH_MAX);
    const char *copy = arena_copy(arena, pattern, length);
    if (copy == NULL)
        return error_memory(err, REGEX_COMPILING);
    parser parser = {.arena = arena, .pattern = copy, .at = copy, .end = copy + length, .err = err};
    regex_node *root = parse_choice(&parser);
    if (parser.code == FRESHET_OK && parser.at < parser.end)
        regex_refuse(&parser, "has a ) without its (");
    *out = root;
    *n_groups = parser.n_groups;
    return parser.code;
}
