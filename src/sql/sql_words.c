/* sql_words.c - see sql_words.h. */
#include "sql/sql_words.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define OPERATOR_LETTERS "~!@#^&|`?+-*/%<>="
#define OPERATOR_SPECIAL "~!@#^&|`?%" /* with one of them an operator may end with + or - */

static bool is_name_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind a comment that begins at `at`, or `at`. */
static const char *skip_comment(const char *at)
{
    if (at[0] == '-' && at[1] == '-')
        return at + strcspn(at, "\n");
    if (at[0] != '/' || at[1] != '*')
        return at;
    unsigned depth = 1; /* they nest */
    for (at += 2; *at != '\0' && depth > 0; at++) {
        const bool opens = at[0] == '/' && at[1] == '*', closes = at[0] == '*' && at[1] == '/';
        depth += opens ? 1 : 0;
        depth -= closes ? 1 : 0;
        at += opens || closes;
    }
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Byte by byte: a checked strspn looks for the end of the whole text first. */
static const char *skip_blank(const char *at)
{
    for (;;) {
        const char *next = at;
        while (is_blank(*next))
            next++;
        next = skip_comment(next);
        if (next == at)
            return at;
        at = next;
    }
}

/* Behind a quoted text that begins at `at`; the quote twice is a quote in it. */
static const char *end_of_quoted(const char *at, bool has_escapes)
{
    const char quote = *at++;
    for (; *at != '\0'; at++) {
        const bool is_escape = has_escapes && *at == '\\' && at[1] != '\0';
        if (is_escape || (*at == quote && at[1] == quote))
            at++;
        else if (*at == quote)
            return at + 1;
    }
    return at;
}

/* Behind a $$text$$ or $tag$text$tag$; NULL where none begins. */
static const char *end_of_dollars(const char *at)
{
    size_t tag = 1;
    while (is_name_letter(at[tag]) && at[tag] != '$')
        tag++;
    if (at[tag] != '$' || isdigit((unsigned char)at[1]))
        return NULL;
    tag++;
    for (const char *end = at + tag; *end != '\0'; end++)
        if (strncmp(end, at, tag) == 0)
            return end + tag;
    return at + strlen(at);
}

static const char *end_of_number(const char *at)
{
    for (;; at++) {
        const bool is_sign = (*at == '+' || *at == '-') && (at[-1] == 'e' || at[-1] == 'E') &&
                             isdigit((unsigned char)at[1]);
        if (!is_name_letter(*at) && *at != '.' && !is_sign)
            return at;
    }
}

static const char *end_of_operator(const char *at)
{
    size_t length = 0;
    bool is_special = false;
    while (at[length] != '\0' && strchr(OPERATOR_LETTERS, at[length]) != NULL &&
           skip_comment(at + length) == at + length)
        is_special |= strchr(OPERATOR_SPECIAL, at[length++]) != NULL;
    while (!is_special && length > 1 && (at[length - 1] == '+' || at[length - 1] == '-'))
        length--;
    return at + length;
}

/* The word that begins at `at`, which is no blank and not the end. */
static const char *end_of_word(const char *at, sql_word_kind *kind)
{
    const bool is_string_of_a_kind = strchr("eExXbB", *at) != NULL && at[1] == '\'';
    *kind = SQL_WORD_OTHER;
    if (is_string_of_a_kind)
        return end_of_quoted(at + 1, *at == 'e' || *at == 'E');
    if (*at == '"')
        *kind = SQL_WORD_QUOTED;
    if (*at == '"' || *at == '\'')
        return end_of_quoted(at, false);
    if (isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1])))
        return end_of_number(at + 1);
    const char *dollars = *at == '$' ? end_of_dollars(at) : NULL;
    if (dollars != NULL)
        return dollars;
    if (is_name_letter(*at)) {
        *kind = SQL_WORD_NAME;
        while (is_name_letter(*at))
            at++;
        return at;
    }
    if (at[0] == ':' && at[1] == ':')
        return at + 2;
    return strchr(OPERATOR_LETTERS, *at) != NULL ? end_of_operator(at) : at + 1;
}

const sql_word *sql_words(arena *arena, const char *sql, uint32_t *n)
{
    sql_word *words = arena_zero(arena, 1, sizeof *words);
    uint32_t capacity = 1, depth = 0;
    *n = 0;
    for (const char *at = skip_blank(sql); words != NULL && *at != '\0';) {
        sql_word word = {.text = at};
        const char *end = end_of_word(at, &word.kind);
        word.length = (size_t)(end - at);
        const bool is_mark = word.length == 1;
        if (is_mark && strchr(")]}", *at) != NULL && depth > 0)
            depth--;
        word.depth = depth;
        if (is_mark && strchr("([{", *at) != NULL)
            depth++;
        if (!arena_reserve(arena, &words, &capacity, *n + UINT64_C(1), sizeof *words))
            return NULL;
        words[(*n)++] = word;
        at = skip_blank(end);
    }
    return words;
}

bool sql_word_is(const sql_word *word, const char *lower)
{
    return word->kind != SQL_WORD_QUOTED && strlen(lower) == word->length &&
           strncasecmp(word->text, lower, word->length) == 0;
}

bool sql_word_names(const sql_word *word, const char *name)
{
    if (word->kind == SQL_WORD_NAME)
        return strlen(name) == word->length && strncasecmp(word->text, name, word->length) == 0;
    if (word->kind != SQL_WORD_QUOTED)
        return false;
    for (size_t i = 1; i + 1 < word->length; i++, name++) {
        if (tolower((unsigned char)*name) != tolower((unsigned char)word->text[i]))
            return false;
        i += word->text[i] == '"'; /* it stands twice */
    }
    return *name == '\0';
}

const char *sql_word_name(arena *arena, const sql_word *word)
{
    if (word->kind != SQL_WORD_QUOTED || word->length < 2)
        return arena_copy(arena, word->text, word->length);
    char *name = arena_copy(arena, word->text + 1, word->length - 2);
    size_t n = 0;
    for (size_t i = 0; name != NULL && i < word->length - 2; i++) {
        name[n++] = name[i];
        i += name[i] == '"';
    }
    if (name != NULL)
        name[n] = '\0';
    return name;
}

/* Nothing is lost where no blank stands beside one of these. */
static bool is_one_of(const sql_word *word, const char *marks)
{
    return word->length == 1 && strchr(marks, *word->text) != NULL;
}

const char *sql_words_text(arena *arena, const sql_word *words, uint32_t n)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "");
    for (uint32_t i = 0; i < n; i++) {
        const bool is_close = i == 0 || is_one_of(&words[i - 1], "([{.") ||
                              is_one_of(&words[i], ")]},.") ||
                              (is_one_of(&words[i], "(") && words[i - 1].kind == SQL_WORD_NAME) ||
                              sql_word_is(&words[i], "::") || sql_word_is(&words[i - 1], "::");
        if (!is_close)
            text_append_char(&text, ' ');
        for (size_t k = 0; k < words[i].length; k++)
            text_append_char(&text, words[i].kind == SQL_WORD_NAME
                                        ? (char)tolower((unsigned char)words[i].text[k])
                                        : words[i].text[k]);
    }
    const char *made = text_keep(&text, arena);
    return made;
}

const char *sql_plain(arena *arena, const char *sql)
{
    uint32_t n;
    const sql_word *words = sql_words(arena, sql, &n);
    return words == NULL ? NULL : sql_words_text(arena, words, n);
}
