/* spark_tokens.c - see spark_tokens.h. One pass, a function a kind of word. */
#include "dialect/spark_tokens.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/number.h"

#define READING "reading Spark's SQL"
#define COMMENT_DEPTH_MAX 100

typedef struct lexer {
    arena *arena;
    const char *sql;
    uint32_t at, length;
    spark_token *tokens;
    uint32_t n, capacity;
    sql_problem *problem;
    freshet_error *err;
} lexer;

bool spark_token_is(const spark_token *token, const char *word)
{
    return (token->kind == TOKEN_NAME || token->kind == TOKEN_MARK) &&
           strlen(word) == token->length && strncasecmp(token->text, word, token->length) == 0;
}

static freshet_code lexer_refuse(const lexer *lexer, uint32_t at, const char *text)
{
    lexer->problem->position = at;
    snprintf(lexer->problem->text, sizeof lexer->problem->text, "%s", text);
    return error_set(lexer->err, FRESHET_USAGE, FRESHET_STOP, NULL, "%s", text);
}

static freshet_code lexer_add(lexer *lexer, spark_token_kind kind, uint32_t from, const char *text,
                              uint32_t length)
{
    if (lexer->n >= SPARK_TOKENS_MAX)
        return lexer_refuse(lexer, from, "the text has too many words: split it");
    if (!arena_reserve(lexer->arena, &lexer->tokens, &lexer->capacity, lexer->n + UINT64_C(1),
                       sizeof *lexer->tokens))
        return error_memory(lexer->err, READING);
    lexer->tokens[lexer->n++] =
        (spark_token){.kind = kind, .text = text, .length = length, .at = from, .end = lexer->at};
    return FRESHET_OK;
}

static char peek(const lexer *lexer, uint32_t ahead)
{
    return lexer->at + ahead < lexer->length ? lexer->sql[lexer->at + ahead] : '\0';
}

static bool is_of_name(char c)
{
    return number_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* ---- blanks and comments ---- */

static freshet_code skip_comment(lexer *lexer)
{
    const uint32_t begin = lexer->at;
    uint32_t depth = 0;
    do {
        if (lexer->at >= lexer->length || depth > COMMENT_DEPTH_MAX)
            return lexer_refuse(lexer, begin, "a comment that begins here does not end");
        const char c = peek(lexer, 0), next = peek(lexer, 1);
        const bool opens = c == '/' && next == '*', closes = c == '*' && next == '/';
        depth += opens;
        depth -= closes;
        lexer->at += opens || closes ? 2 : 1;
    } while (depth > 0);
    return FRESHET_OK;
}

/* A backslash before the end of the line goes on with the comment. */
static void skip_line(lexer *lexer)
{
    while (lexer->at < lexer->length && peek(lexer, 0) != '\n')
        lexer->at += peek(lexer, 0) == '\\' && peek(lexer, 1) == '\n' ? 2 : 1;
}

static freshet_code skip_blanks(lexer *lexer)
{
    for (;;) {
        const char c = peek(lexer, 0);
        freshet_code code = FRESHET_OK;
        if (lexer->at < lexer->length && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            lexer->at++;
        else if (c == '-' && peek(lexer, 1) == '-')
            skip_line(lexer);
        else if (c == '/' && peek(lexer, 1) == '*')
            code = skip_comment(lexer);
        else
            return FRESHET_OK;
        if (code != FRESHET_OK)
            return code;
    }
}

/* ---- texts ---- */

static uint32_t put_utf8(char *into, uint32_t rune)
{
    if (rune < 0x80) {
        into[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        into[0] = (char)(0xC0 | (rune >> 6));
        into[1] = (char)(0x80 | (rune & 0x3F));
        return 2;
    }
    if (rune < 0x10000) {
        into[0] = (char)(0xE0 | (rune >> 12));
        into[1] = (char)(0x80 | ((rune >> 6) & 0x3F));
        into[2] = (char)(0x80 | (rune & 0x3F));
        return 3;
    }
    into[0] = (char)(0xF0 | (rune >> 18));
    into[1] = (char)(0x80 | ((rune >> 12) & 0x3F));
    into[2] = (char)(0x80 | ((rune >> 6) & 0x3F));
    into[3] = (char)(0x80 | (rune & 0x3F));
    return 4;
}

/* The number of `n` digits of the base at `from`; UINT32_MAX: they are none. */
static uint32_t digits(const char *from, const char *end, uint32_t n, uint32_t base)
{
    uint32_t value = 0;
    if ((size_t)(end - from) < n)
        return UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        const char c = from[i];
        const uint32_t digit = number_is_digit(c)     ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                      : 99;
        if (digit >= base)
            return UINT32_MAX;
        value = value * base + digit;
    }
    return value;
}

static bool is_rune(uint32_t rune)
{
    return rune <= 0x10FFFF && (rune < 0xD800 || rune > 0xDFFF);
}

/* What stands behind a backslash at `from`; *into gets its bytes. Gives how many were read. */
static uint32_t unescape(const char *from, const char *end, char *into, uint32_t *n)
{
    static const char letters[] = "0bnrtZ", meant[] = "\0\b\n\r\t\x1A";
    const uint32_t octal = digits(from, end, 3, 8);
    const uint32_t u4 = *from == 'u' ? digits(from + 1, end, 4, 16) : UINT32_MAX;
    const uint32_t u8 = *from == 'U' ? digits(from + 1, end, 8, 16) : UINT32_MAX;
    const char *letter = strchr(letters, *from);
    if (u4 != UINT32_MAX && is_rune(u4)) {
        *n = put_utf8(into, u4);
        return 5;
    }
    if (u8 != UINT32_MAX && is_rune(u8)) {
        *n = put_utf8(into, u8);
        return 9;
    }
    if (octal < 128 && (*from == '0' || *from == '1')) {
        *n = put_utf8(into, octal);
        return 3;
    }
    if (*from == '%' || *from == '_') { /* left for LIKE */
        into[0] = '\\';
        into[1] = *from;
        *n = 2;
    } else {
        into[0] = letter != NULL ? meant[letter - letters] : *from;
        *n = 1;
    }
    return 1;
}

/* A text between two `quote`s, the first of which is at lexer->at. */
static freshet_code lex_text(lexer *lexer, uint32_t begin, bool is_raw)
{
    const char quote = peek(lexer, 0);
    uint32_t end = lexer->at + 1, n = 0;
    while (end < lexer->length && lexer->sql[end] != quote)
        end += !is_raw && lexer->sql[end] == '\\' && end + 1 < lexer->length ? 2 : 1;
    if (end >= lexer->length)
        return lexer_refuse(lexer, begin, "a text that begins here does not end");
    char *value = arena_alloc(lexer->arena, end - lexer->at + (size_t)1);
    if (value == NULL)
        return error_memory(lexer->err, READING);
    const char *from = lexer->sql + lexer->at + 1, *stop = lexer->sql + end;
    while (from < stop) {
        uint32_t written = 1;
        if (*from != '\\' || is_raw)
            value[n] = *from++;
        else
            from += 1 + unescape(from + 1, stop, value + n, &written);
        n += written;
    }
    lexer->at = end + 1;
    value[n] = '\0';
    return lexer_add(lexer, TOKEN_TEXT, begin, value, n);
}

static freshet_code lex_quoted(lexer *lexer)
{
    const uint32_t begin = lexer->at++;
    char *value = arena_alloc(lexer->arena, lexer->length - begin + (size_t)1);
    uint32_t n = 0;
    if (value == NULL)
        return error_memory(lexer->err, READING);
    for (;;) {
        if (lexer->at >= lexer->length)
            return lexer_refuse(lexer, begin, "a name in backticks that begins here does not end");
        if (peek(lexer, 0) == '`' && peek(lexer, 1) != '`')
            break;
        lexer->at += peek(lexer, 0) == '`';
        value[n++] = lexer->sql[lexer->at++];
    }
    lexer->at++;
    value[n] = '\0';
    return lexer_add(lexer, TOKEN_QUOTED, begin, value, n);
}

/* ---- numbers and names ---- */

/* How many bytes from `at` on are a number; *kind says of which kind, *suffix its letter. */
static uint32_t number_length(const lexer *lexer, spark_token_kind *kind, char *suffix,
                              uint32_t *digits_end)
{
    uint32_t n = 0;
    *kind = TOKEN_INTEGER;
    *suffix = 0;
    while (number_is_digit(peek(lexer, n)))
        n++;
    if (peek(lexer, n) == '.' && (n > 0 || number_is_digit(peek(lexer, n + 1)))) {
        *kind = TOKEN_DECIMAL;
        n++;
        while (number_is_digit(peek(lexer, n)))
            n++;
    }
    const char e = peek(lexer, n), sign = peek(lexer, n + 1);
    const uint32_t exponent = n + 1 + (sign == '+' || sign == '-');
    if (n > 0 && (e == 'e' || e == 'E') && number_is_digit(peek(lexer, exponent))) {
        *kind = TOKEN_REAL;
        n = exponent;
        while (number_is_digit(peek(lexer, n)))
            n++;
    }
    *digits_end = n;
    if (n == 0)
        return 0;
    const char letter = (char)toupper((unsigned char)peek(lexer, n));
    const bool is_pair = letter == 'B' && toupper((unsigned char)peek(lexer, n + 1)) == 'D';
    if (is_pair || (letter != '\0' && strchr("DF", letter) != NULL) ||
        (*kind == TOKEN_INTEGER && letter != '\0' && strchr("LSY", letter) != NULL)) {
        *suffix = letter;
        n += is_pair ? 2 : 1;
    }
    return n;
}

static freshet_code lex_word(lexer *lexer)
{
    const uint32_t begin = lexer->at;
    spark_token_kind kind;
    char suffix;
    uint32_t name = 0, end = 0;
    const uint32_t number = number_length(lexer, &kind, &suffix, &end);
    while (is_of_name(peek(lexer, name)))
        name++;
    if (number >= name && number > 0) {
        lexer->at += number;
        freshet_code code = lexer_add(lexer, kind, begin, lexer->sql + begin, end);
        if (code == FRESHET_OK)
            lexer->tokens[lexer->n - 1].suffix = suffix;
        return code;
    }
    if (name == 1 && (peek(lexer, 0) | 0x20) == 'r' &&
        (peek(lexer, 1) == '\'' || peek(lexer, 1) == '"')) {
        lexer->at++;
        return lex_text(lexer, begin, true);
    }
    lexer->at += name;
    return lexer_add(lexer, TOKEN_NAME, begin, lexer->sql + begin, name);
}

static freshet_code lex_mark(lexer *lexer)
{
    static const char *const marks[] = {"<=>", "<>", "!=", "==", "<=", ">=", "!>", "!<", "||",
                                        "->",  "=>", "::", "=",  "<",  ">",  "+",  "-",  "*",
                                        "/",   "%",  "~",  "&",  "|",  "^",  "(",  ")",  "[",
                                        "]",   ",",  ".",  ":",  "!",  ";",  "?"};
    const uint32_t begin = lexer->at;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const uint32_t length = (uint32_t)strlen(marks[i]);
        if (strncmp(lexer->sql + begin, marks[i], length) == 0) {
            lexer->at += length;
            return lexer_add(lexer, TOKEN_MARK, begin, marks[i], length);
        }
    }
    return lexer_refuse(lexer, begin,
                        "this letter is no part of Spark's SQL here: a name with letters beyond "
                        "a to z stands in backticks, a text in quotes");
}

static freshet_code lex_one(lexer *lexer)
{
    const char c = peek(lexer, 0);
    if (c == '\'' || c == '"')
        return lex_text(lexer, lexer->at, false);
    if (c == '`')
        return lex_quoted(lexer);
    const bool after_name = lexer->n > 0 && lexer->tokens[lexer->n - 1].end == lexer->at &&
                            lexer->tokens[lexer->n - 1].kind != TOKEN_MARK;
    if (is_of_name(c) || (c == '.' && number_is_digit(peek(lexer, 1)) && !after_name))
        return lex_word(lexer);
    return lex_mark(lexer);
}

freshet_code spark_tokens_read(arena *arena, const char *sql, spark_token **out, uint32_t *n,
                               sql_problem *problem, freshet_error *err)
{
    lexer lexer = {.arena = arena,
                   .sql = sql,
                   .length = (uint32_t)strnlen(sql, UINT32_MAX - 16),
                   .problem = problem,
                   .err = err};
    freshet_code code = skip_blanks(&lexer);
    while (code == FRESHET_OK && lexer.at < lexer.length) {
        code = lex_one(&lexer);
        if (code == FRESHET_OK)
            code = skip_blanks(&lexer);
    }
    if (code == FRESHET_OK)
        code = lexer_add(&lexer, TOKEN_END, lexer.at, "", 0);
    *out = lexer.tokens;
    *n = lexer.n;
    return code;
}
