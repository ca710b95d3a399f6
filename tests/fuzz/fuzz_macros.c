/* fuzz_macros.c - any bytes as macros and the SQL that calls them.
 *
 * Two letters say the dialect and how many parameters the macros have; then come the SQL of f, that
 * of g (which may call f) and that of the query, each ended by a zero. Whatever they are, each byte
 * of the SQL that comes out has a place in the SQL that was written, and what was closed in it
 * still is: brackets stand as they did, no text or comment ran on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "declaration/handle.h"
#include "declaration/macros.h"
#include "dialect/dialect.h"
#include "dialect/spark_tokens.h"
#include "sql/sql_words.h"

#define N_MACROS 2
#define N_PARAMETERS_MAX 3
#define NO_TEXT INT64_MIN

static void demand(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* How many brackets the text opens more than it closes; NO_TEXT: it closes one that it did not
 * open, or a text or comment in it has no end. */
static int64_t open_brackets(arena *arena, int dialect, const char *sql)
{
    uint32_t n = 0;
    int64_t open = 0;
    sql_problem problem;
    spark_token *tokens = NULL;
    const sql_word *words = NULL;
    const char *behind = arena_format(arena, "%s )", sql); /* is the last word of what has an end */
    bool sound = true;
    if (dialect == DIALECT_SPARK)
        sound = spark_tokens_read(arena, behind, &tokens, &n, &problem, NULL) == FRESHET_OK;
    else
        words = sql_words(arena, behind, &n);
    const size_t end = strlen(behind) - 1;
    size_t last = 0;
    for (uint32_t i = 0; sound && i < n && open >= 0; i++) {
        const char *word = tokens != NULL ? behind + tokens[i].at : words[i].text;
        const size_t length = tokens != NULL ? tokens[i].end - tokens[i].at : words[i].length;
        last = length == 0 ? last : (size_t)(word - behind);
        if (last == end)
            return open;
        open += length == 1 && strchr("([{", *word) != NULL;
        open -= length == 1 && strchr(")]}", *word) != NULL;
    }
    return NO_TEXT;
}

static void look_at(freshet_declaration *handle, const char *const *of_macros, const char *written)
{
    const char *made = handle->parsed.source.query.value;
    const size_t length = strlen(made), written_length = strlen(written);
    for (size_t at = 0; at < length; at++) {
        size_t offset = at;
        const char *found = macros_written(&handle->parsed, made, &offset);
        demand(strcmp(found, written) == 0, "what was written is kept");
        demand(offset < written_length, "a byte has a place in what was written");
    }
    bool is_sound = open_brackets(handle->arena, handle->parsed.dialect, written) != NO_TEXT;
    for (uint32_t i = 0; i < N_MACROS; i++)
        is_sound &= open_brackets(handle->arena, handle->parsed.dialect, of_macros[i]) == 0;
    demand(!is_sound || open_brackets(handle->arena, handle->parsed.dialect, made) ==
                            open_brackets(handle->arena, handle->parsed.dialect, written),
           "brackets stand as they did");
}

static declared_text declared(const char *text)
{
    return (declared_text){.value = text, .at = {.file = "fuzz.yaml", .line = 1, .column = 1}};
}

/* The next text of the bytes, up to a zero or their end. */
static const char *next_text(arena *arena, const char **at, const char *end)
{
    const char *begin = *at, *zero = memchr(begin, 0, (size_t)(end - begin));
    *at = zero == NULL ? end : zero + 1;
    return arena_copy(arena, begin, (size_t)((zero == NULL ? end : zero) - begin));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[N_MACROS] = {"f", "g"};
    declared_text parameters[N_PARAMETERS_MAX] = {declared("p"), declared("q"), declared("r")};
    macro_block macros[N_MACROS] = {0};
    const char *of_macros[N_MACROS];
    const char *at = (const char *)data + 2, *end = (const char *)data + size;
    if (size < 3 || size > 2048 || !text_is_utf8((const char *)data, size))
        return 0;
    freshet_declaration *handle = handle_open();
    problems *problems = problems_open(handle->arena);
    handle->parsed.dialect = data[0] % 2 == 0 ? DIALECT_DUCKDB : DIALECT_SPARK;
    for (uint32_t i = 0; i < N_MACROS; i++) {
        macros[i].name = declared(names[i]);
        macros[i].parameters = (declared_list){parameters, data[1] % (N_PARAMETERS_MAX + 1)};
        of_macros[i] = next_text(handle->arena, &at, end);
        macros[i].sql = declared(of_macros[i]);
    }
    const char *written = next_text(handle->arena, &at, end);
    handle->parsed.macros = (declared_blocks){.items = macros, .n = N_MACROS};
    handle->parsed.source.query = declared(written);
    macros_expand(handle, problems);
    if (problems_count(problems) == 0)
        look_at(handle, of_macros, written);
    freshet_declaration_close(handle);
    return 0;
}
