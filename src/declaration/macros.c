/* macros.c - see macros.h: checking macros, and putting them into the place of their calls.
 *
 * ON WORDS. A text is cut into words by the lexer of its dialect. A call is the name of a macro, no
 * point before it, with a bracket behind it. It is replaced by the macro's words within brackets;
 * each parameter among them by the argument: within brackets where it is more than one word, and
 * with a blank where it would join the macro's words beside it (p-q of a minus is no comment). The
 * arguments are looked through in the same way, calls within calls MACRO_NESTED_MAX deep. A macro's
 * own text is done before those of the macros below it, and may call those above it only: so none
 * can come back to itself.
 *
 * NAMES. What a macro names besides its parameters are columns where it is called. A name that a
 * lambda of it binds (x -> x + 1) would take hold of the same name in an argument: such a call is
 * refused.
 *
 * PLACES. While a text is made, it is noted from which byte of the written one each run of bytes
 * comes: argument and surroundings byte by byte, the macro's own words from the call.
 */
#include "declaration/macros.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "declaration/blocks.h"
#include "declaration/handle.h"
#include "declaration/value.h"
#include "dialect/dialect.h"
#include "dialect/spark_tokens.h"
#include "sql/sql_words.h"

#define NO_PARAMETER (-1)
#define NO_WORD UINT32_MAX

typedef struct macro_word {
    uint32_t at, end; /* in the text */
    bool is_name;     /* unquoted */
} macro_word;

typedef struct macro_words {
    const char *sql;
    const macro_word *items;
    uint32_t n;
} macro_words;

typedef struct macro {
    const macro_block *block;
    macro_words words;        /* of its SQL with the macros above it in place */
    const int16_t *parameter; /* per word: which one stands there */
    const bool *is_bound;     /* per word: a lambda's own name */
    bool is_sound;
} macro;

/* From byte `at` of the made text on: byte `from` of the written one, and the following where it
 * moves along. */
typedef struct macro_piece {
    uint32_t at, from;
    bool moves;
} macro_piece;

typedef struct macro_text {
    const struct macro_text *next;
    const char *made, *written;
    const macro_piece *pieces;
    uint32_t n;
} macro_text;

typedef struct expander {
    freshet_declaration *handle;
    arena *arena;
    problems *problems;
    macro *macros;
    uint32_t n; /* of those that can be called here */
    bool no_memory;
    /* of the text that is being made: */
    const declared_text *of;
    macro_words words;
    text_buffer out;
    macro_piece *pieces;
    uint32_t n_pieces, pieces_capacity;
} expander;

/* One argument of a call: words [first, behind). */
typedef struct argument {
    uint32_t first, behind;
} argument;

typedef struct call {
    const macro *macro;
    uint32_t at, close; /* words: the name, the closing bracket */
    argument arguments[MACRO_PARAMETERS_MAX];
    uint32_t n;
} call;

/* ---- words ----------------------------------------------------------------------------------- */

/* False where the text has no words: its own check says why. */
static bool read_words(expander *expander, const char *sql, macro_words *out)
{
    uint32_t n = 0;
    sql_problem problem;
    const bool is_spark = expander->handle->parsed.dialect == DIALECT_SPARK;
    spark_token *tokens = NULL;
    const sql_word *words = NULL;
    if (is_spark &&
        spark_tokens_read(expander->arena, sql, &tokens, &n, &problem, NULL) != FRESHET_OK)
        return false;
    if (!is_spark)
        words = sql_words(expander->arena, sql, &n);
    macro_word *items = arena_zero(expander->arena, n + (size_t)1, sizeof *items);
    *out = (macro_words){.sql = sql, .items = items};
    expander->no_memory |= items == NULL || (!is_spark && words == NULL);
    if (expander->no_memory)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (is_spark && tokens[i].kind == TOKEN_END)
            break;
        const uint32_t at = is_spark ? tokens[i].at : (uint32_t)(words[i].text - sql);
        items[out->n++] = (macro_word){
            .at = at,
            .end = is_spark ? tokens[i].end : at + (uint32_t)words[i].length,
            .is_name = is_spark ? tokens[i].kind == TOKEN_NAME : words[i].kind == SQL_WORD_NAME};
    }
    return true;
}

static bool word_is(const macro_words *words, uint32_t i, const char *text)
{
    return i < words->n && words->items[i].end - words->items[i].at == strlen(text) &&
           strncasecmp(words->sql + words->items[i].at, text, strlen(text)) == 0;
}

static bool word_names(const macro_words *words, uint32_t i, const char *name)
{
    return words->items[i].is_name && word_is(words, i, name);
}

/* Is the word the name that an argument goes to: a => 1, a := 1? */
static uint32_t behind_name(const macro_words *words, uint32_t i)
{
    if (i >= words->n || !words->items[i].is_name)
        return i;
    if (word_is(words, i + 1, "=>") || word_is(words, i + 1, ":="))
        return i + 2;
    return word_is(words, i + 1, ":") && word_is(words, i + 2, "=") ? i + 3 : i;
}

/* ---- what can be said of a macro by itself --------------------------------------------------- */

/* Words of SQL that may stand before a bracket, and types with brackets: no name of a macro. */
static bool is_word_of_sql(const char *name)
{
    static const char *const words[] = {
        "all",     "and",       "any",     "array",    "as",     "between", "by",        "case",
        "cast",    "char",      "columns", "cross",    "cube",   "dec",     "decimal",   "distinct",
        "div",     "else",      "end",     "except",   "exists", "extract", "false",     "filter",
        "from",    "group",     "having",  "ilike",    "in",     "inner",   "intersect", "interval",
        "is",      "join",      "lambda",  "lateral",  "left",   "like",    "limit",     "map",
        "natural", "not",       "null",    "numeric",  "offset", "on",      "or",        "order",
        "over",    "partition", "range",   "right",    "rlike",  "rollup",  "row",       "rows",
        "select",  "set",       "similar", "some",     "string", "struct",  "table",     "then",
        "time",    "timestamp", "true",    "try_cast", "union",  "using",   "values",    "varchar",
        "when",    "where",     "window",  "with",     "within",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(words[i], name) == 0)
            return true;
    return false;
}

static bool check_name(expander *expander, const declared_text *name)
{
    if (!is_word_of_sql(name->value))
        return true;
    return problem_add(expander->problems, &name->at,
                       "a macro cannot be named \"%s\", which is a word of SQL itself: choose "
                       "another name",
                       name->value);
}

static bool check_parameters(expander *expander, const macro_block *block)
{
    const declared_list *list = &block->parameters;
    bool ok = true;
    if (list->n > MACRO_PARAMETERS_MAX)
        return problem_add(expander->problems, &block->name.at,
                           "the macro \"%s\" has %u parameters: %d are the most", block->name.value,
                           list->n, MACRO_PARAMETERS_MAX);
    for (uint32_t i = 0; i < list->n; i++) {
        const declared_text *one = &list->items[i];
        const char *wrong = one->value[0] == '\0' ? "must not be empty" : value_name(one->value);
        if (wrong == NULL && is_word_of_sql(one->value))
            wrong = "is a word of SQL itself: choose another name";
        for (uint32_t k = 0; wrong == NULL && k < i; k++)
            if (strcasecmp(list->items[k].value, one->value) == 0)
                wrong = "stands there twice";
        if (wrong != NULL)
            ok = problem_add(expander->problems, &one->at,
                             "the parameter \"%.60s\" of the macro "
                             "\"%s\" %s",
                             one->value, block->name.value, wrong);
    }
    return ok;
}

/* An expression: brackets are closed in it, each by its own, and no semicolon stands there. */
static bool check_brackets(expander *expander, const macro_block *block, const macro_words *words)
{
    int64_t open = 0;
    uint32_t last = 0;
    bool ends = false;
    for (uint32_t i = 0; i < words->n && open >= 0 && !ends; i++) {
        open += word_is(words, i, "(") || word_is(words, i, "[") || word_is(words, i, "{");
        open -= word_is(words, i, ")") || word_is(words, i, "]") || word_is(words, i, "}");
        ends = word_is(words, i, ";");
        last = i;
    }
    if (open == 0 && !ends)
        return true;
    const place at = declaration_place_in(expander->handle, &block->sql, words->items[last].at);
    return problem_add(expander->problems, &at, "the macro \"%s\" is one SQL expression, and %s",
                       block->name.value,
                       open < 0   ? "this one closes a bracket that it does not open"
                       : open > 0 ? "this one opens a bracket that it does not close"
                                  : "a semicolon ends none");
}

static const macro_block *block_of(const expander *expander, uint32_t i)
{
    return &((const macro_block *)expander->handle->parsed.macros.items)[i];
}

static bool is_called(const macro_words *words, uint32_t i, const char *name)
{
    return name != NULL && word_names(words, i, name) && word_is(words, i + 1, "(") &&
           !(i > 0 && word_is(words, i - 1, "."));
}

/* Calls of itself and of macros below it. */
static bool check_calls(expander *expander, uint32_t self, const macro_words *words)
{
    const macro_block *block = block_of(expander, self);
    for (uint32_t i = 0; i < words->n; i++)
        for (uint32_t k = self; k < expander->handle->parsed.macros.n; k++) {
            const char *name = block_of(expander, k)->name.value;
            if (!is_called(words, i, name))
                continue;
            const place at =
                declaration_place_in(expander->handle, &block->sql, words->items[i].at);
            if (k == self)
                return problem_add(expander->problems, &at,
                                   "the macro \"%s\" calls itself: it takes the place of its "
                                   "calls, and would have no end",
                                   name);
            return problem_add(expander->problems, &at,
                               "the macro \"%s\" calls \"%s\", which stands below it: move that "
                               "one above it. A macro can call those above it only, so that none "
                               "calls itself by way of another",
                               block->name.value, name);
        }
    return true;
}

/* ---- parameters in a macro's words ----------------------------------------------------------- */

static void mark_bound(const macro_words *words, bool *is_bound)
{
    for (uint32_t i = 0; i < words->n; i++) {
        if (word_names(words, i, "lambda"))
            for (uint32_t k = i + 1; k < words->n && !word_is(words, k, ":"); k++)
                is_bound[k] = words->items[k].is_name;
        if (!word_is(words, i, "->") || i == 0)
            continue;
        if (words->items[i - 1].is_name && !(i > 1 && word_is(words, i - 2, ".")))
            is_bound[i - 1] = true;
        for (uint32_t k = i - 1; word_is(words, i - 1, ")") && k > 0 && !word_is(words, k - 1, "(");
             k--)
            is_bound[k - 1] = words->items[k - 1].is_name;
    }
}

/* Which parameter the word stands for. */
static int16_t find_parameter(const macro_block *block, const macro_words *words, uint32_t i)
{
    const bool is_other = (i > 0 && (word_is(words, i - 1, ".") || word_is(words, i - 1, "as"))) ||
                          word_is(words, i + 1, "(") || behind_name(words, i) != i;
    for (uint32_t k = 0; !is_other && k < block->parameters.n; k++)
        if (word_names(words, i, block->parameters.items[k].value))
            return (int16_t)k;
    return NO_PARAMETER;
}

static bool find_parameters(expander *expander, macro *macro)
{
    const macro_words *words = &macro->words;
    const declared_list *list = &macro->block->parameters;
    bool seen[MACRO_PARAMETERS_MAX] = {false};
    int16_t *parameter = arena_zero(expander->arena, words->n + (size_t)1, sizeof *parameter);
    bool *is_bound = arena_zero(expander->arena, words->n + (size_t)1, sizeof *is_bound);
    expander->no_memory |= parameter == NULL || is_bound == NULL;
    if (expander->no_memory)
        return false;
    mark_bound(words, is_bound);
    macro->parameter = parameter;
    macro->is_bound = is_bound;
    for (uint32_t i = 0; i < words->n; i++) {
        parameter[i] = find_parameter(macro->block, words, i);
        if (parameter[i] != NO_PARAMETER)
            seen[parameter[i]] = true;
        if (parameter[i] != NO_PARAMETER && is_bound[i])
            return problem_add(expander->problems, &macro->block->sql.at,
                               "the macro \"%s\" has a lambda whose own name, \"%s\", is a "
                               "parameter: give one of them another name",
                               macro->block->name.value, list->items[parameter[i]].value);
    }
    for (uint32_t k = 0; k < list->n; k++)
        if (!seen[k])
            problem_warn(expander->problems, &list->items[k].at,
                         "the parameter \"%s\" of the macro \"%s\" does not stand in its SQL: what "
                         "a call gives for it is not used",
                         list->items[k].value, macro->block->name.value);
    return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static const macro *find_macro(const expander *expander, uint32_t i)
{
    for (uint32_t k = 0; k < expander->n; k++)
        if (expander->macros[k].is_sound &&
            is_called(&expander->words, i, expander->macros[k].block->name.value))
            return &expander->macros[k];
    return NULL;
}

static bool call_problem(const expander *expander, uint32_t word, const char *text)
{
    const place at =
        declaration_place_in(expander->handle, expander->of, expander->words.items[word].at);
    return problem_add(expander->problems, &at, "%s", text);
}

/* Which parameter an argument goes to; `next`: of those without a name. */
static int32_t take_argument(const expander *expander, const call *call, argument *argument,
                             uint32_t next, char *text, size_t size)
{
    const macro_words *words = &expander->words;
    const declared_list *list = &call->macro->block->parameters;
    const char *macro = call->macro->block->name.value;
    const uint32_t value = behind_name(words, argument->first);
    if (value == argument->first)
        return (int32_t)next; /* may be one too many */
    const char *names[MACRO_PARAMETERS_MAX];
    for (uint32_t k = 0; k < list->n; k++) {
        names[k] = list->items[k].value;
        if (word_names(words, argument->first, names[k])) {
            argument->first = value;
            return (int32_t)k;
        }
    }
    const macro_word *word = &words->items[argument->first];
    char given[61];
    snprintf(given, sizeof given, "%.*s", (int)(word->end - word->at), words->sql + word->at);
    const char *near = text_nearest(given, names, list->n);
    snprintf(text, size, "the macro \"%s\" has no parameter \"%s\"%s%s%s", macro, given,
             near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
             near == NULL ? "" : "\"?");
    return NO_PARAMETER;
}

/* "divide(a, b)" */
static void write_signature(const macro *macro, char *into, size_t size)
{
    const declared_list *list = &macro->block->parameters;
    size_t n = (size_t)snprintf(into, size, "%s(", macro->block->name.value);
    for (uint32_t i = 0; i < list->n && n < size; i++)
        n += (size_t)snprintf(into + n, size - n, "%s%s", i == 0 ? "" : ", ", list->items[i].value);
    if (n < size)
        snprintf(into + n, size - n, ")");
}

/* Puts the arguments, in the order of the call, to their parameters. */
static bool order_arguments(const expander *expander, call *call, argument *given, uint32_t n,
                            bool is_said)
{
    char text[400] = "", signature[200];
    const uint32_t wanted = call->macro->block->parameters.n;
    bool has[MACRO_PARAMETERS_MAX] = {false}, is_named = false;
    uint32_t i = 0;
    for (; i < n && text[0] == '\0'; i++) {
        const bool named = behind_name(&expander->words, given[i].first) != given[i].first;
        const int32_t to = take_argument(expander, call, &given[i], i, text, sizeof text);
        if (text[0] != '\0')
            break;
        if (to >= (int32_t)wanted || (is_named && !named) || given[i].first >= given[i].behind ||
            has[to])
            break;
        is_named |= named;
        has[to] = true;
        call->arguments[to] = given[i];
    }
    if (i == n && n == wanted)
        return true;
    write_signature(call->macro, signature, sizeof signature);
    if (text[0] == '\0')
        snprintf(text, sizeof text,
                 "the macro %s takes %u argument%s, each once and those with "
                 "names last; %u stand%s here",
                 signature, wanted, wanted == 1 ? "" : "s", n, n == 1 ? "s" : "");
    if (is_said)
        call_problem(expander, call->at, text);
    return false;
}

/* The call that begins at a word; NULL macro: none does. False after a problem (`is_said`: which is
 * told). */
static bool read_call(const expander *expander, uint32_t at, bool is_said, call *out)
{
    const macro_words *words = &expander->words;
    argument given[MACRO_PARAMETERS_MAX + 1];
    uint32_t n = 0, depth = 0, first = at + 2, i = at + 2;
    out->macro = find_macro(expander, at);
    out->at = at;
    if (out->macro == NULL)
        return true;
    for (;; i++) {
        if (i >= words->n) { /* the bracket is never closed, as the SQL's own check says */
            out->macro = NULL;
            return true;
        }
        const bool closes =
            word_is(words, i, ")") || word_is(words, i, "]") || word_is(words, i, "}");
        if (depth == 0 && (closes || word_is(words, i, ","))) {
            if (n <= MACRO_PARAMETERS_MAX && !(closes && n == 0 && first == i))
                given[n++] = (argument){first, i};
            first = i + 1;
            if (closes)
                break;
        }
        depth -= closes;
        depth += word_is(words, i, "(") || word_is(words, i, "[") || word_is(words, i, "{");
    }
    out->close = i;
    out->n = n;
    return order_arguments(expander, out, given, n, is_said);
}

/* No name in an argument is one that a lambda of the macro binds. */
static bool check_captures(const expander *expander, const call *call)
{
    const macro *macro = call->macro;
    for (uint32_t b = 0; b < macro->words.n; b++) {
        const macro_word *bound = &macro->words.items[b];
        for (uint32_t i = call->at + 2; macro->is_bound[b] && i < call->close; i++) {
            const macro_word *word = &expander->words.items[i];
            const uint32_t length = word->end - word->at;
            if (word->is_name && length == bound->end - bound->at &&
                strncasecmp(expander->words.sql + word->at, macro->words.sql + bound->at, length) ==
                    0) {
                char text[400];
                snprintf(text, sizeof text,
                         "the name \"%.*s\" is one that a lambda in the macro \"%s\" gives to "
                         "something else: rename it in the macro",
                         (int)(length > 60 ? 60 : length), expander->words.sql + word->at,
                         macro->block->name.value);
                return call_problem(expander, i, text);
            }
        }
    }
    return true;
}

/* All calls of the text, those inside of others too. False after a problem. */
static bool macros_check_text(const expander *expander, bool *any)
{
    bool ok = true;
    uint32_t open[MACRO_NESTED_MAX], n_open = 0;
    for (uint32_t i = 0; i < expander->words.n; i++) {
        call call;
        while (n_open > 0 && open[n_open - 1] < i)
            n_open--;
        if (!read_call(expander, i, true, &call)) {
            ok = false;
            continue;
        }
        if (call.macro == NULL)
            continue;
        *any = true;
        ok = check_captures(expander, &call) && ok;
        if (n_open == MACRO_NESTED_MAX)
            return call_problem(expander, i,
                                "macros can be called in arguments of macros 50 deep, "
                                "no further");
        open[n_open++] = call.close;
    }
    return ok;
}

/* ---- making the text ------------------------------------------------------------------------- */

static void macros_put(expander *expander, const char *bytes, size_t length, uint32_t from,
                       bool moves)
{
    const macro_piece *last =
        expander->n_pieces == 0 ? NULL : &expander->pieces[expander->n_pieces - 1];
    if (last == NULL || moves || last->moves || last->from != from) {
        expander->no_memory |=
            !arena_reserve(expander->arena, &expander->pieces, &expander->pieces_capacity,
                           expander->n_pieces + UINT64_C(1), sizeof *expander->pieces);
        if (expander->no_memory)
            return;
        expander->pieces[expander->n_pieces++] =
            (macro_piece){(uint32_t)expander->out.length, from, moves};
    }
    text_append(&expander->out, bytes, length);
}

static void put_written(expander *expander, uint32_t at, uint32_t end)
{
    if (end > at)
        macros_put(expander, expander->words.sql + at, end - at, at, true);
}

static void put_words(expander *expander, uint32_t first, uint32_t behind);

/* Would the two bytes, side by side, be of one word, or make others: a--, e'x', 1.5? */
static bool joins(char left, char right)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$"
                                  "'\"`";
    static const char signs[] = "+-*/%<>=!~^&|?:#@\\";
    const bool left_is_letter = (left & 0x80) != 0 || strchr(letters, left) != NULL;
    const bool right_is_letter = (right & 0x80) != 0 || strchr(letters, right) != NULL;
    if (left == '.' || right == '.')
        return strchr("0123456789.", left) != NULL && strchr("0123456789.", right) != NULL;
    return (left_is_letter && right_is_letter) ||
           (strchr(signs, left) != NULL && strchr(signs, right) != NULL);
}

/* A blank between what was put last and `next`, where they would join. */
static void put_apart(expander *expander, char next, uint32_t from)
{
    const text_buffer *out = &expander->out;
    if (out->length > 0 && joins(out->bytes[out->length - 1], next))
        macros_put(expander, " ", 1, from, false);
}

/* More than one word within brackets. */
static void put_argument(expander *expander, const argument *argument, uint32_t from)
{
    const bool is_one = argument->behind == argument->first + 1;
    if (is_one)
        put_apart(expander, expander->words.sql[expander->words.items[argument->first].at], from);
    macros_put(expander, "(", is_one ? 0 : 1, from, false);
    put_words(expander, argument->first, argument->behind);
    /* a comment that goes to the line's end may be its last */
    macros_put(expander, ")", is_one ? 0 : 1, from, false);
}

static void put_call(expander *expander, const call *call)
{
    const macro_words *words = &call->macro->words;
    const uint32_t from = expander->words.items[call->at].at;
    macros_put(expander, "(", 1, from, false);
    for (uint32_t i = 0; i < words->n && !expander->out.failed && !expander->no_memory; i++) {
        const macro_word *word = &words->items[i];
        if (i > 0)
            macros_put(expander, words->sql + word[-1].end, word->at - word[-1].end, from, false);
        if (i > 0 && word->at == word[-1].end && call->macro->parameter[i - 1] != NO_PARAMETER)
            put_apart(expander, words->sql[word->at], from);
        if (call->macro->parameter[i] == NO_PARAMETER)
            macros_put(expander, words->sql + word->at, word->end - word->at, from, false);
        else
            put_argument(expander, &call->arguments[call->macro->parameter[i]], from);
    }
    macros_put(expander, ")", 1, from, false);
}

/* The words [first, behind) of the text with what is between them; calls are nested as deep as
 * macros_check_text allows. */
static void put_words(expander *expander, uint32_t first, uint32_t behind)
{
    const macro_word *items = expander->words.items;
    uint32_t at = items[first].at;
    for (uint32_t i = first; i < behind && !expander->out.failed && !expander->no_memory; i++) {
        call call;
        if (!read_call(expander, i, false, &call) || call.macro == NULL)
            continue;
        put_written(expander, at, items[i].at);
        put_call(expander, &call);
        i = call.close;
        at = items[i].end;
    }
    put_written(expander, at, items[behind - 1].end);
}

/* Keeps what was made, and puts it into the place of the text. */
static void macros_keep(expander *expander, declared_text *text)
{
    macro_text *kept = arena_zero(expander->arena, 1, sizeof *kept);
    const char *made = expander->out.failed || expander->no_memory
                           ? NULL
                           : arena_copy(expander->arena, expander->out.bytes, expander->out.length);
    if (expander->out.failed)
        problem_add(expander->problems, &text->at,
                    "with its macros in their places this SQL has more than %zu bytes: name a part "
                    "of it as a feature or a column of its own",
                    MACRO_TEXT_MAX);
    else
        expander->no_memory |= kept == NULL || made == NULL;
    if (kept == NULL || made == NULL)
        return;
    *kept = (macro_text){.next = expander->handle->parsed.macro_texts,
                         .made = made,
                         .written = text->value,
                         .pieces = expander->pieces,
                         .n = expander->n_pieces};
    expander->handle->parsed.macro_texts = kept;
    text->value = made;
}

/* False where it has a mistake, which was reported. */
static bool expand_text(expander *expander, declared_text *text)
{
    bool any = false;
    if (text->value == NULL || expander->n == 0)
        return true;
    expander->of = text;
    if (!read_words(expander, text->value, &expander->words) || expander->words.n == 0)
        return true;
    if (!macros_check_text(expander, &any))
        return false;
    if (!any)
        return true;
    expander->pieces = NULL;
    expander->n_pieces = expander->pieces_capacity = 0;
    text_init(&expander->out, MACRO_TEXT_MAX);
    put_words(expander, 0, expander->words.n);
    macros_keep(expander, text);
    text_release(&expander->out);
    return !expander->no_memory;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void read_macro(expander *expander, uint32_t i)
{
    macro *macro = &expander->macros[i];
    macro_block *block = (macro_block *)expander->handle->parsed.macros.items + i;
    macro->block = block;
    if (block->name.value == NULL || block->sql.value == NULL)
        return;
    bool ok = check_name(expander, &block->name);
    ok = check_parameters(expander, block) && ok;
    for (uint32_t k = 0; k < i; k++)
        if (block_of(expander, k)->name.value != NULL &&
            strcasecmp(block_of(expander, k)->name.value, block->name.value) == 0)
            ok = problem_add(expander->problems, &block->name.at,
                             "there is a macro \"%s\" above already: choose another name",
                             block->name.value);
    if (!ok || !read_words(expander, block->sql.value, &macro->words) ||
        !check_brackets(expander, block, &macro->words) || !check_calls(expander, i, &macro->words))
        return;
    expander->n = i;
    macro->is_sound = expand_text(expander, &block->sql) &&
                      read_words(expander, block->sql.value, &macro->words) && macro->words.n > 0 &&
                      find_parameters(expander, macro);
}

/* As deep as the tables nest. */
static void expand_block(expander *expander, const block_kind *block, char *from)
{
    for (const option *option = block->options; option->name != NULL; option++) {
        char *into = from + option->offset;
        const declared_blocks *list = (const void *)into;
        const declared_kind *kind = (const void *)into;
        if (option->is_aside)
            continue;
        switch (option->kind) {
        case OPTION_SQL: expand_text(expander, (declared_text *)(void *)into); break;
        case OPTION_BLOCK: expand_block(expander, option->block, into); break;
        case OPTION_BLOCKS:
            for (uint32_t i = 0; option->block->unfold != macro_unfold && i < list->n; i++)
                expand_block(expander, option->block,
                             (char *)list->items + i * option->block->size);
            break;
        case OPTION_KIND:
            if (kind->kind != NULL && kind->options != NULL)
                expand_block(expander, kind->kind, kind->options);
            break;
        default: break;
        }
    }
}

void macros_expand(freshet_declaration *handle, problems *problems)
{
    const uint32_t n = handle->parsed.macros.n;
    if (n == 0)
        return;
    expander expander = {.handle = handle, .arena = handle->arena, .problems = problems};
    expander.macros = arena_zero(handle->arena, n, sizeof *expander.macros);
    for (uint32_t i = 0; expander.macros != NULL && i < n; i++)
        read_macro(&expander, i);
    expander.n = n;
    if (expander.macros != NULL)
        expand_block(&expander, &declaration_block, (char *)&handle->parsed);
}

const char *macros_written(const declaration *declaration, const char *sql, size_t *offset)
{
    const macro_text *text = declaration->macro_texts;
    while (text != NULL && text->made != sql)
        text = text->next;
    if (text == NULL)
        return sql;
    uint32_t low = 0, high = text->n;
    while (offset != NULL && high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (text->pieces[middle].at <= *offset)
            low = middle;
        else
            high = middle;
    }
    if (offset != NULL)
        *offset =
            text->pieces[low].from + (text->pieces[low].moves ? *offset - text->pieces[low].at : 0);
    return text->written;
}
