/* spark_patterns.c - Spark's functions of regular expressions, by regex.h. */
#include <string.h>

#include "functions/regex.h"
#include "functions/spark_cells.h"

/* A pattern is compiled anew only where it is another than that of the row before. */
typedef struct kept_pattern {
    const char *bytes;
    size_t length;
    regex *regex;
    int64_t spans[REGEX_GROUPS_MAX * 2];
} kept_pattern;

static kept_pattern *pattern_at(row_call *call, uint32_t argument)
{
    const cell_text *text = text_at(call, argument);
    kept_pattern *kept = call->kept;
    if (kept != NULL && kept->length == text->length &&
        memcmp(kept->bytes, text_bytes(text), text->length) == 0)
        return kept;
    if (kept == NULL)
        call->kept = kept = call_memory(call, sizeof *kept);
    if (kept == NULL)
        return NULL;
    kept->bytes = text_bytes(text);
    kept->length = text->length;
    freshet_code code =
        regex_compile(call->arena, kept->bytes, kept->length, &kept->regex, call->err);
    if (code == FRESHET_OK)
        return kept;
    call->code = code == FRESHET_USAGE ? FRESHET_FAILED : code;
    if (code == FRESHET_USAGE && call->err != NULL) { /* a pattern out of a column */
        call->err->code = FRESHET_FAILED;
        call->err->then = FRESHET_SKIP_ROW;
    }
    return NULL;
}

static freshet_code patterns_check(const char *const *constants, freshet_error *err)
{
    if (constants[1] == NULL)
        return FRESHET_OK;
    regex *regex;
    arena *scratch = arena_open();
    freshet_code code =
        scratch == NULL ? FRESHET_NO_MEMORY
                        : regex_compile(scratch, constants[1], strlen(constants[1]), &regex, err);
    arena_close(scratch);
    return code;
}

static void call_like(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern != NULL)
        give_boolean(call, regex_find(pattern->regex, text_bytes(text), text->length, 0, NULL, 0));
}

static bool group_is_there(row_call *call, const kept_pattern *pattern, int32_t group)
{
    uint32_t n = regex_n_groups(pattern->regex);
    if (group >= 0 && (uint32_t)group <= n)
        return true;
    fail_row(call, "the pattern \"%.*s\" has %u groups, and no group %d", (int)pattern->length,
             pattern->bytes, n, group);
    return false;
}

static void call_extract(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int32_t group = int_at(call, 2);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL || !group_is_there(call, pattern, group))
        return;
    const char *bytes = text_bytes(text);
    const int64_t *span = pattern->spans + group * 2;
    if (regex_find(pattern->regex, bytes, text->length, 0, pattern->spans, (uint32_t)group + 1) &&
        span[0] >= 0)
        give_text_there(call, bytes + span[0], (size_t)(span[1] - span[0]));
    else
        give_text_there(call, "", 0);
}

static void call_extract_all(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int32_t group = int_at(call, 2);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL || !group_is_there(call, pattern, group))
        return;
    const char *bytes = text_bytes(text);
    const int64_t *span = pattern->spans + group * 2;
    size_t from = 0;
    give_list(call);
    while (regex_find(pattern->regex, bytes, text->length, from, pattern->spans,
                      (uint32_t)group + 1)) {
        give_element(call, span[0] < 0 ? "" : bytes + span[0],
                     span[0] < 0 ? 0 : (size_t)(span[1] - span[0]));
        if (!regex_next(bytes, text->length, pattern->spans, &from))
            break;
    }
}

static void call_count(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    kept_pattern *pattern = pattern_at(call, 1);
    int32_t n = 0;
    size_t from = 0;
    const char *bytes = text_bytes(text);
    while (pattern != NULL &&
           regex_find(pattern->regex, bytes, text->length, from, pattern->spans, 1)) {
        n++;
        if (!regex_next(bytes, text->length, pattern->spans, &from))
            break;
    }
    give_int(call, n);
}

static void call_place(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL)
        return;
    bool found = regex_find(pattern->regex, text_bytes(text), text->length, 0, pattern->spans, 1);
    give_int(call, found ? count_characters(text_bytes(text), (size_t)pattern->spans[0]) + 1 : 0);
}

static void call_part(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL)
        return;
    const int64_t *spans = pattern->spans;
    if (regex_find(pattern->regex, text_bytes(text), text->length, 0, pattern->spans, 1) &&
        spans[1] > spans[0]) /* Spark takes an empty match for none */
        give_text_there(call, text_bytes(text) + spans[0], (size_t)(spans[1] - spans[0]));
    else
        give_null(call);
}

/* ---- replacing ------------------------------------------------------------------------------- */

/* $n and \c as Java's appendReplacement has them: of $12 as many digits as there are groups. */
static void put_replacement(growing *into, const char *bytes, const kept_pattern *pattern,
                            const char *with, size_t n)
{
    for (size_t i = 0; i < n && into->call->code == FRESHET_OK; i++) {
        if (with[i] == '\\') {
            if (++i == n)
                fail_row(into->call, "the replacement \"%.*s\" ends in a backslash", (int)n, with);
            else
                put(into, with + i, 1);
        } else if (with[i] != '$') {
            put(into, with + i, 1);
        } else {
            uint32_t group = 0, digits = 0;
            while (i + 1 < n && with[i + 1] >= '0' && with[i + 1] <= '9' &&
                   (digits == 0 ||
                    group * 10 + (uint32_t)(with[i + 1] - '0') <= regex_n_groups(pattern->regex))) {
                group = group * 10 + (uint32_t)(with[++i] - '0');
                digits++;
            }
            if (digits == 0 || group > regex_n_groups(pattern->regex)) {
                fail_row(into->call,
                         "the replacement \"%.*s\" has a $ without the number of a group of the "
                         "pattern",
                         (int)n, with);
                return;
            }
            const int64_t *span = pattern->spans + group * 2;
            if (span[0] >= 0)
                put(into, bytes + span[0], (size_t)(span[1] - span[0]));
        }
    }
}

static void call_replace(row_call *call)
{
    const cell_text *text = text_at(call, 0), *with = text_at(call, 2);
    const char *bytes = text_bytes(text);
    int32_t first = int_at(call, 3);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL)
        return;
    if (first < 1) {
        fail_row(call, "regexp_replace begins at character %d: the first is 1", first);
        return;
    }
    if (first > 1 && first - 1 >= count_characters(bytes, text->length)) {
        give_text_there(call, bytes, text->length);
        return;
    }
    growing into = {.call = call};
    size_t begin = character_at(bytes, text->length, first - 1), from = 0, done = 0;
    const char *rest = bytes + begin; /* its beginning is one for the pattern, too */
    size_t length = text->length - begin;
    put(&into, bytes, begin);
    bool more = true;
    while (more && regex_find(pattern->regex, rest, length, from, pattern->spans,
                              regex_n_groups(pattern->regex) + 1)) {
        put(&into, rest + done, (size_t)pattern->spans[0] - done);
        put_replacement(&into, rest, pattern, text_bytes(with), with->length);
        done = (size_t)pattern->spans[1];
        more = regex_next(rest, length, pattern->spans, &from) && call->code == FRESHET_OK;
    }
    put(&into, rest + done, length - done);
    give_growing(&into);
}

/* ---- splitting ------------------------------------------------------------------------------- */

/* What is beyond the limit is lost. */
static void split_characters(row_call *call, const char *bytes, size_t length, int32_t limit)
{
    int32_t n = count_characters(bytes, length), parts = limit > n || limit <= 0 ? n : limit;
    size_t at = 0;
    for (int32_t i = 0; i < parts; i++) {
        unsigned one = character_length((unsigned char)bytes[at]);
        give_element(call, bytes + at, one);
        at += one;
    }
}

/* As Java's String.split: nothing stands before an empty match at the beginning; empty parts at
 * the end stay. */
static void call_split(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const char *bytes = text_bytes(text);
    int32_t limit = int_at(call, 2), parts = 1;
    give_list(call);
    if (text_at(call, 1)->length == 0 && text->length > 0) {
        split_characters(call, bytes, text->length, limit);
        return;
    }
    kept_pattern *pattern = pattern_at(call, 1);
    size_t from = 0, done = 0;
    bool more = pattern != NULL;
    while (more && (limit <= 0 || parts < limit) &&
           regex_find(pattern->regex, bytes, text->length, from, pattern->spans, 1)) {
        const int64_t *spans = pattern->spans;
        if (spans[1] > 0) {
            give_element(call, bytes + done, (size_t)spans[0] - done);
            done = (size_t)spans[1];
            parts++;
        }
        more = regex_next(bytes, text->length, spans, &from);
    }
    give_element(call, bytes + done, text->length - done);
}

/* What stands before the first match and behind it, as an array of two; null without one. */
static void call_split_two(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    kept_pattern *pattern = pattern_at(call, 1);
    if (pattern == NULL)
        return;
    const char *bytes = text_bytes(text);
    bool found = regex_find(pattern->regex, bytes, text->length, 0, pattern->spans, 1);
    if (found && pattern->spans[1] == 0) /* an empty match at the beginning is none */
        found = text->length > 0 &&
                regex_find(pattern->regex, bytes, text->length, 1, pattern->spans, 1);
    size_t end = found ? (size_t)pattern->spans[0] : text->length;
    give_list(call);
    give_element(call, bytes, end);
    if (found)
        give_element(call, bytes + pattern->spans[1], text->length - (size_t)pattern->spans[1]);
    else
        give_element_null(call);
}

const sql_function spark_patterns[] = {
    /* whether a part of the text is of the pattern */
    {SPARK_ROWS("spark_rlike", "boolean", call_like), .arguments = {"string", "string"},
     .check = patterns_check},
    /* the group of the first part that is */
    {SPARK_ROWS("spark_regexp_extract", "string", call_extract),
     .arguments = {"string", "string", "integer"}, .check = patterns_check},
    /* the group of every one */
    {SPARK_ROWS("spark_regexp_extract_all", "array<string>", call_extract_all),
     .arguments = {"string", "string", "integer"}, .check = patterns_check},
    {SPARK_ROWS("spark_regexp_count", "integer", call_count), .arguments = {"string", "string"},
     .check = patterns_check},
    {SPARK_ROWS("spark_regexp_instr", "integer", call_place), .arguments = {"string", "string"},
     .check = patterns_check},
    {SPARK_ROWS("spark_regexp_substr", "string", call_part), .arguments = {"string", "string"},
     .check = patterns_check},
    /* from the character of that number on */
    {SPARK_ROWS("spark_regexp_replace", "string", call_replace),
     .arguments = {"string", "string", "string", "integer"}, .check = patterns_check},
    /* at most that many parts; 0 or less: all */
    {SPARK_ROWS("spark_split", "array<string>", call_split),
     .arguments = {"string", "string", "integer"}, .check = patterns_check},
    {SPARK_ROWS("spark_split_two", "array<string>", call_split_two),
     .arguments = {"string", "string"}, .check = patterns_check},
    {.name = NULL},
};
