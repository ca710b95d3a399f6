/* suite_rows.c - rows as JSON: what a test's YAML means, and what a query gave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/suite_internal.h"

void rows_add(suite_rows *rows, const char *json, size_t length)
{
    if (rows->n == rows->capacity) {
        const uint32_t capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
        yyjson_doc **docs = realloc(rows->docs, capacity * sizeof(yyjson_doc *));
        if (docs == NULL) {
            rows->failed = true;
            return;
        }
        rows->docs = docs;
        rows->capacity = capacity;
    }
    yyjson_doc *doc = yyjson_read(
        json, length, rows->keeps_written ? YYJSON_READ_NUMBER_AS_RAW : YYJSON_READ_BIGNUM_AS_RAW);
    if (doc == NULL)
        rows->failed = true; /* what we wrote ourselves is JSON: memory is out */
    else
        rows->docs[rows->n++] = doc;
}

void rows_last_to(suite_rows *rows, uint32_t i)
{
    if (rows->failed)
        return; /* the last one may be none that was added */
    yyjson_doc_free(rows->docs[i]);
    rows->docs[i] = rows->docs[--rows->n];
}

void rows_release(suite_rows *rows)
{
    for (uint32_t i = 0; i < rows->n; i++)
        yyjson_doc_free(rows->docs[i]);
    free(rows->docs);
    *rows = (suite_rows){0};
}

static bool rows_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* By the grammar of JSON. */
static bool is_json_number(const char *at)
{
    at += *at == '-';
    if (!rows_is_digit(*at) || (*at == '0' && rows_is_digit(at[1])))
        return false;
    while (rows_is_digit(*at))
        at++;
    if (*at == '.') {
        if (!rows_is_digit(*++at))
            return false;
        while (rows_is_digit(*at))
            at++;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        if (!rows_is_digit(*at))
            return false;
        while (rows_is_digit(*at))
            at++;
    }
    return *at == '\0';
}

/* .5 */
static bool is_json_number_part(const char *value)
{
    char whole[64];
    const int n = snprintf(whole, sizeof whole, "0%s", value);
    return n > 0 && (size_t)n < sizeof whole && is_json_number(whole);
}

/* What YAML calls numbers, and JSON has no words for: as text that casts know. */
static const char *yaml_number(const char *value)
{
    static const char *const words[][2] = {{".nan", "\"NaN\""},      {".NaN", "\"NaN\""},
                                           {".NAN", "\"NaN\""},      {".inf", "\"Infinity\""},
                                           {".Inf", "\"Infinity\""}, {"-.inf", "\"-Infinity\""},
                                           {"True", "true"},         {"TRUE", "true"},
                                           {"False", "false"},       {"FALSE", "false"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

static bool scalar_append_json(const node *scalar, text_buffer *into)
{
    const char *value = scalar->value == NULL ? "" : scalar->value;
    if (scalar->style == SCALAR_PLAIN) {
        if (node_is_null(scalar))
            return text_append_c(into, "null");
        const char *of_yaml = yaml_number(value);
        if (of_yaml != NULL)
            return text_append_c(into, of_yaml);
        if (value[0] == '.' && is_json_number_part(value))
            return text_append_c(into, "0") && text_append_c(into, value);
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0 || is_json_number(value))
            return text_append_c(into, value);
    }
    return text_append_json(into, value, strlen(value));
}

bool node_append_json(const node *given, text_buffer *into)
{
    if (given->kind == NODE_SCALAR)
        return scalar_append_json(given, into);
    const bool is_map = given->kind == NODE_MAP;
    text_append_c(into, is_map ? "{" : "[");
    for (const node *child = given->first; child != NULL; child = child->next) {
        text_append_c(into, child == given->first ? "" : ",");
        if (is_map) {
            text_append_json(into, child->key, strlen(child->key));
            text_append_c(into, ":");
        }
        node_append_json(child, into); /* as deep as DECLARATION_DEPTH_MAX */
    }
    return text_append_c(into, is_map ? "}" : "]");
}

bool rows_of_node(const node *list, const char *what, problems *problems, suite_rows *into)
{
    if (list == NULL || node_is_null(list))
        return true;
    if (list->kind != NODE_LIST)
        return problem_add(problems, &list->at,
                           "\"%s\" must be a list of rows, each a map of columns: write "
                           "`- {a: 1, b: x}`, or [] for no row",
                           what);
    text_buffer line;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    bool good = true;
    for (const node *row = list->first; row != NULL; row = row->next) {
        if (row->kind != NODE_MAP) {
            good = problem_add(problems, &row->at,
                               "a row in \"%s\" must be a map of columns: {a: 1, b: x}", what);
            continue;
        }
        text_reset(&line);
        node_append_json(row, &line);
        if (line.failed)
            into->failed = true;
        else
            rows_add(into, line.bytes, line.length);
    }
    text_release(&line);
    return good;
}
