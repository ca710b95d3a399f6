/* sql_hint.c - what DuckDB says is wrong with a text, and what to write instead.
 *
 * Four kinds of mistake are told in words that lead elsewhere, and are known by the text:
 *
 *     `user`               names in backticks, as Spark has them: DuckDB takes ` for an operator
 *     at, order, group     words of SQL as bare names: the error is at what comes behind them
 *     coalesce(a           the rest of the text went to YAML, which cuts at the comma in { }
 *     size(x)              "did you mean sin": DuckDB names some function, however far
 *
 * DuckDB's own words stay in front where they say the place.
 */
#include <strings.h>

#include "sql/sql_internal.h"
#include "sql/sql_words.h"

/* Words that cannot stand alone as a name, and are likely ones for columns. */
static const char *const words_of_sql[] = {
    "all",       "analyze", "array",      "asc",       "at",      "both",    "check",
    "collate",   "column",  "constraint", "create",    "default", "desc",    "describe",
    "do",        "end",     "fetch",      "foreign",   "grant",   "group",   "initially",
    "leading",   "limit",   "offset",     "only",      "order",   "pivot",   "placing",
    "primary",   "qualify", "references", "returning", "show",    "some",    "summarize",
    "symmetric", "table",   "to",         "trailing",  "unique",  "unpivot", "using",
    "variadic",  "window",
};

/* Functions of Spark that DuckDB has under another name. */
static const struct {
    const char *spark, *here;
} renamed[] = {
    {"size", "len"},           {"cardinality", "len"},           {"array_size", "len"},
    {"isnull", "... IS NULL"}, {"isnotnull", "... IS NOT NULL"},
};

static void put(sql_problem *problem, const char *text)
{
    size_t at = strlen(problem->text);
    snprintf(problem->text + at, sizeof problem->text - at, "%s", text);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The first backtick that is in no string and no comment; NULL: there is none. */
static const char *find_backtick(const sql_word *words, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        bool is_text = words[i].kind != SQL_WORD_OTHER || words[i].text[0] == '\'';
        const char *found = is_text ? NULL : memchr(words[i].text, '`', words[i].length);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static bool hint_backtick(const sql_word *words, uint32_t n, const char *sql, sql_problem *problem)
{
    const char *at = find_backtick(words, n);
    if (at == NULL)
        return false;
    const char *name = at + 1, *end = strchr(name, '`');
    int length = end == NULL || end - name > 60 ? 0 : (int)(end - name);
    problem->position = at - sql;
    if (length > 0)
        snprintf(problem->text, sizeof problem->text,
                 "names stand in double quotes in SQL, not in backticks: write \"%.*s\" (or bare, "
                 "where it is no word of SQL)",
                 length, name);
    else
        snprintf(problem->text, sizeof problem->text,
                 "names stand in double quotes in SQL, not in backticks");
    return true;
}

static bool is_word_of_sql(const sql_word *word)
{
    for (size_t i = 0; i < sizeof words_of_sql / sizeof *words_of_sql; i++)
        if (sql_word_is(word, words_of_sql[i]))
            return true;
    return false;
}

/* A word of SQL at the error, or before it. */
static void hint_word(const sql_word *words, uint32_t n, const char *sql, sql_problem *problem)
{
    const char *error = sql + problem->position;
    const sql_word *suspect = NULL;
    for (uint32_t i = 0; i < n && words[i].text <= error; i++)
        if (words[i].text == error ? is_word_of_sql(&words[i])
                                   : i + 1 == n || words[i + 1].text >= error)
            suspect = is_word_of_sql(&words[i]) ? &words[i] : suspect;
    if (suspect == NULL)
        return;
    char text[200];
    int length = suspect->length > 40 ? 40 : (int)suspect->length;
    problem->position = suspect->text - sql;
    snprintf(text, sizeof text,
             ": %.*s is a word of SQL; where it is a column's name, it stands in double quotes: "
             "\"%.*s\"",
             length, suspect->text, length, suspect->text);
    put(problem, text);
}

/* ---- what is missing ------------------------------------------------------------------------- */

static bool hint_bracket(const sql_word *words, uint32_t n, sql_problem *problem)
{
    if (n == 0 || strstr(problem->text, "at end of input") == NULL)
        return false;
    int32_t open = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool is_mark = words[i].kind == SQL_WORD_OTHER && words[i].length == 1;
        open += is_mark && words[i].text[0] == '(';
        open -= is_mark && words[i].text[0] == ')';
    }
    if (open > 0)
        put(problem, ": a bracket is not closed (inside { } of a YAML file a text ends at a "
                     "comma: put SQL in quotes, as in sql: \"coalesce(amount, 0)\")");
    return open > 0;
}

/* ---- functions and tables -------------------------------------------------------------------- */

static const char function[] = "Function with name ";

/* `Scalar Function with name size does not exist! Did you mean "sin"?`, and the same of a table. */
static void hint_name(const char *begin, sql_problem *problem)
{
    static const char end[] = " does not exist!";
    static const char meant[] = " Did you mean \"";
    char name[80], other[80];
    const char *at = strstr(problem->text, begin);
    const char *stop = at == NULL ? NULL : strstr(at, end);
    if (stop == NULL)
        return;
    at += strlen(begin);
    snprintf(name, sizeof name, "%.*s", (int)(stop - at), at);
    char *mean = strstr(problem->text, meant);
    if (mean != NULL) {
        const char *first = mean + sizeof meant - 1;
        snprintf(other, sizeof other, "%.*s", (int)strcspn(first, "\""), first);
        const char *const candidates[] = {other};
        if (text_nearest(name, candidates, 1) == NULL)
            *mean = '\0';
    }
    for (size_t i = 0; begin == function && i < sizeof renamed / sizeof *renamed; i++) {
        if (strcasecmp(renamed[i].spark, name) == 0) {
            problem->text[stop + sizeof end - 1 - problem->text] = '\0';
            put(problem, " Spark's is here ");
            put(problem, renamed[i].here);
            put(problem, strchr(renamed[i].here, ' ') == NULL ? "(...)" : "");
        }
    }
}

/* ---- the interface --------------------------------------------------------------------------- */

void problem_hint(const char *sql, sql_problem *problem)
{
    uint32_t n = 0;
    arena *scratch = arena_open();
    const sql_word *words = scratch == NULL ? NULL : sql_words(scratch, sql, &n);
    bool is_syntax = strncmp(problem->text, "syntax error", 12) == 0;
    bool is_of_backtick = strchr(problem->text, '`') != NULL;
    bool done =
        words == NULL || ((is_syntax || is_of_backtick) && hint_backtick(words, n, sql, problem));
    if (!done && is_syntax && !hint_bracket(words, n, problem) && problem->position >= 0 &&
        (size_t)problem->position <= strlen(sql))
        hint_word(words, n, sql, problem);
    if (!done) {
        hint_name(function, problem);
        hint_name("Table with name ", problem);
    }
    arena_close(scratch);
}
