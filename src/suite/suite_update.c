/* suite_update.c - a file's expectations, written anew.
 *
 * Of the text nothing changes but the lists that did not hold. Where the key begins its line, the
 * list is written a row a line, in the place of all lines that belong to it; comments inside of
 * such a list go with it. Elsewhere a list in brackets stays one in brackets, on its line. What was
 * made is read as YAML before the file is replaced, in one piece: where rows on lines of their own
 * are none there (a list inside of braces), brackets are tried; where nothing fits, as when an
 * anchor would go that is used elsewhere, the file stays.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "declaration/read.h"
#include "suite/suite_internal.h"

static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",  "on",
                                        "off",  "y",     "n",    "nan", "inf", NULL};
    if (!isalpha((unsigned char)text[0]))
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            return false;
    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

static void append_value(text_buffer *text, yyjson_val *value)
{
    if (yyjson_is_str(value) && is_plain(yyjson_get_str(value))) {
        text_append_c(text, yyjson_get_str(value));
        return;
    }
    char *written = value == NULL ? NULL : yyjson_val_write(value, 0, NULL);
    text_append_c(text, written == NULL ? "null" : written); /* JSON is YAML */
    free(written);
}

static bool is_named_before(const suite_rows *rows, uint32_t before, const char *name)
{
    for (uint32_t i = 0; i < before; i++)
        if (yyjson_obj_get(rows_at(rows, i), name) != NULL)
            return true;
    return false;
}

static void append_cell(text_buffer *text, yyjson_val *row, const char *name, bool *is_first)
{
    text_append_c(text, *is_first ? "" : ", ");
    *is_first = false;
    if (is_plain(name))
        text_append_c(text, name);
    else
        text_append_json(text, name, strlen(name));
    text_append_c(text, ": ");
    append_value(text, yyjson_obj_get(row, name));
}

/* The columns that any expected row names, or all. */
static void append_row(text_buffer *text, yyjson_val *row, const suite_rows *expected)
{
    size_t at, n;
    yyjson_val *key, *value;
    bool is_first = true;
    text_append_c(text, "{");
    for (uint32_t i = 0; i < expected->n; i++)
        yyjson_obj_foreach(rows_at(expected, i), at, n, key, value)
        {
            if (!is_named_before(expected, i, yyjson_get_str(key)))
                append_cell(text, row, yyjson_get_str(key), &is_first);
        }
    if (is_first)
        yyjson_obj_foreach(row, at, n, key, value)
        {
            append_cell(text, row, yyjson_get_str(key), &is_first);
        }
    text_append_c(text, "}\n");
}

void update_add(suite_file *file, const node *list, const suite_rows *rows,
                const suite_rows *expected)
{
    if (!arena_reserve(file->arena, &file->edits, &file->edits_capacity,
                       (uint64_t)file->n_edits + 1, sizeof *file->edits))
        return;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < rows->n; i++)
        append_row(&text, rows_at(rows, i), expected);
    char *lines = text_keep(&text, file->arena);
    if (lines != NULL)
        file->edits[file->n_edits++] = (suite_edit){.list = list, .text = lines};
}

static const char *line_start(const char *text, uint32_t line)
{
    while (line > 1 && *text != '\0') {
        const char *end = strchr(text, '\n');
        text = end == NULL ? text + strlen(text) : end + 1;
        line--;
    }
    return text;
}

/* Does the line belong to the value of a key that stands at `column` (from 0)? Of blank lines and
 * comments those behind them say it. */
typedef enum line_kind { LINE_INSIDE, LINE_OUTSIDE, LINE_EMPTY } line_kind;

static line_kind kind_of_line(const char *line, uint32_t column)
{
    const uint32_t indent = (uint32_t)strspn(line, " ");
    if (line[indent] == '\n' || line[indent] == '\r' || line[indent] == '#')
        return LINE_EMPTY;
    return indent > column || (indent == column && line[indent] == '-') ? LINE_INSIDE
                                                                        : LINE_OUTSIDE;
}

static const char *next_line(const char *at)
{
    const char *end = strchr(at, '\n');
    return end == NULL ? at + strlen(at) : end + 1;
}

/* Behind the bracket that closes the list that begins at `at`; NULL: there is none. */
static const char *flow_end(const char *at)
{
    uint32_t depth = 0;
    for (char before = '['; *at != '\0'; at++) {
        const bool begins = strchr("[{,: \n", before) != NULL;
        if (begins && (*at == '"' || *at == '\'')) {
            const char quote = *at++;
            for (; *at != '\0' && *at != quote; at++)
                at += quote == '"' && *at == '\\' && at[1] != '\0';
            if (*at == '\0')
                return NULL;
        } else if (*at == '#' && (before == ' ' || before == '\n')) {
            at += strcspn(at, "\n");
            if (*at == '\0')
                return NULL;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if ((*at == ']' || *at == '}') && --depth == 0) {
            return at + 1;
        }
        before = *at;
    }
    return NULL;
}

/* Places count characters. */
static const char *update_at(const char *text, const place *at)
{
    const char *here = line_start(text, at->line);
    for (uint32_t column = 1; column < at->column && *here != '\0'; column++) {
        here++;
        while (((unsigned char)*here & 0xC0) == 0x80)
            here++;
    }
    return here;
}

/* Where the list's opening bracket stands; NULL: it has none, or comes from elsewhere. */
static const char *flow_begin(const char *text, const node *list)
{
    const char *at = update_at(text, &list->at);
    return at > update_at(text, &list->key_at) && *at == '[' ? at : NULL;
}

static const char *value_end(const char *text, const node *list)
{
    const uint32_t column = list->key_at.column - 1;
    const char *flow = flow_begin(text, list);
    if (flow != NULL && flow_end(flow) != NULL)
        return next_line(flow_end(flow));
    const char *at = next_line(line_start(text, list->key_at.line)), *last = at;
    for (; *at != '\0'; at = next_line(at)) {
        const line_kind kind = kind_of_line(at, column);
        if (kind == LINE_OUTSIDE)
            break;
        if (kind == LINE_INSIDE)
            last = next_line(at);
    }
    return last; /* blank lines and comments behind it stay */
}

static void append_lines(text_buffer *into, const suite_edit *edit, const char *newline)
{
    const uint32_t column = edit->list->key_at.column - 1;
    text_format(into, "%s:%s%s", edit->list->key, edit->text[0] == '\0' ? " []" : "", newline);
    for (const char *line = edit->text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        text_format(into, "%*s- ", (int)column + 2, "");
        text_append(into, line, length);
        text_append_c(into, newline);
        line += length + 1;
    }
}

static void append_flow(text_buffer *into, const suite_edit *edit)
{
    text_append_char(into, '[');
    for (const char *line = edit->text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        text_append_c(into, line == edit->text ? "" : ", ");
        text_append(into, line, length);
        line += length + 1;
    }
    text_append_char(into, ']');
}

static int by_place(const void *left, const void *right)
{
    const place *a = &((const suite_edit *)left)->list->key_at;
    const place *b = &((const suite_edit *)right)->list->key_at;
    return a->line != b->line ? (a->line < b->line ? -1 : 1)
                              : (a->column > b->column) - (a->column < b->column);
}

static bool begins_line(const char *text, const node *list)
{
    const char *line = line_start(text, list->key_at.line);
    return strspn(line, " ") + 1 >= list->key_at.column;
}

static freshet_code cannot_update(const node *list, const char *why, freshet_error *err)
{
    char where[300];
    return error_set(err, FRESHET_FAILED, FRESHET_STOP,
                     place_text(&list->key_at, where, sizeof where),
                     "--update cannot write this list, and the file stays as it is: %s", why);
}

/* The whole text, with all edits. `in_brackets`: lists in brackets stay so. */
static freshet_code make_text(const suite_file *file, bool in_brackets, text_buffer *made,
                              freshet_error *err)
{
    const char *text = file->edits[0].list->tree->source;
    const char *at = text;
    const char *newline = strstr(text, "\r\n") != NULL ? "\r\n" : "\n";
    for (uint32_t i = 0; i < file->n_edits; i++) {
        const suite_edit *edit = &file->edits[i];
        const node *list = edit->list;
        const char *flow = flow_begin(text, list);
        if (i > 0 && by_place(edit, edit - 1) == 0) {
            if (strcmp(edit->text, edit[-1].text) != 0)
                return cannot_update(list,
                                     "tests in which it came out differently share it (by an "
                                     "alias): give each test a list of its own",
                                     err);
            continue;
        }
        if (flow != NULL && flow_end(flow) != NULL && (in_brackets || !begins_line(text, list))) {
            text_append(made, at, (size_t)(flow - at));
            append_flow(made, edit);
            at = flow_end(flow);
        } else if (begins_line(text, list)) {
            const char *from = line_start(text, list->key_at.line) + list->key_at.column - 1;
            text_append(made, at, (size_t)(from - at));
            append_lines(made, edit, newline);
            at = value_end(text, list);
        } else {
            return cannot_update(list, "put its key on a line of its own", err);
        }
    }
    text_append_c(made, at);
    return made->failed ? error_memory(err, "writing a test file") : FRESHET_OK;
}

static bool is_yaml(const suite_file *file, const text_buffer *made)
{
    problems *problems = problems_open(file->arena);
    tree *tree = arena_zero(file->arena, 1, sizeof *tree);
    if (problems == NULL || tree == NULL)
        return false;
    tree_init(tree, file->arena, problems);
    return yaml_read(tree, made->bytes, made->length, file->path);
}

static freshet_code replace_file(const suite_file *file, const text_buffer *made,
                                 freshet_error *err)
{
    const char *aside = arena_format(file->arena, "%s.new", file->path);
    if (aside == NULL)
        return error_memory(err, "writing a test file");
    FILE *out = fopen(aside, "we");
    if (out == NULL)
        return error_system(err, "cannot write", aside);
    const bool good = fwrite(made->bytes, 1, made->length, out) == made->length;
    if (fclose(out) != 0 || !good || os.rename(aside, file->path) != 0)
        return error_system(err, "cannot write", file->path);
    return FRESHET_OK;
}

freshet_code update_write(suite_file *file, freshet_error *err)
{
    if (file->n_edits == 0)
        return FRESHET_OK;
    text_buffer made;
    text_init(&made, TEXT_LIMIT_DEFAULT);
    qsort(file->edits, file->n_edits, sizeof *file->edits, by_place);
    freshet_code code = make_text(file, false, &made, err);
    if (code == FRESHET_OK && !is_yaml(file, &made)) {
        text_reset(&made);
        code = make_text(file, true, &made, err);
        if (code == FRESHET_OK && !is_yaml(file, &made))
            code = cannot_update(file->edits[0].list,
                                 "the file would be no YAML any more, as where an anchor (&name) "
                                 "stands inside of a list; write such a list out",
                                 err);
    }
    if (code == FRESHET_OK)
        code = replace_file(file, &made, err);
    text_release(&made);
    return code;
}
