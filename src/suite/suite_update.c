/* suite_update.c - a file's expectations, written anew.
 *
 * Of the text nothing changes but the lists that did not hold: from behind their key to the first
 * line that is indented less than the list's content may be. Comments inside of such a list go with
 * it. The file is replaced in one piece.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
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

/* Those of the first expected row, or all. */
static void append_row(text_buffer *text, yyjson_val *row, yyjson_val *model)
{
    size_t i, n;
    yyjson_val *key, *value;
    text_append_c(text, "- {");
    yyjson_obj_foreach(model == NULL ? row : model, i, n, key, value)
    {
        const char *name = yyjson_get_str(key);
        text_append_c(text, i == 0 ? "" : ", ");
        if (is_plain(name))
            text_append_c(text, name);
        else
            text_append_json(text, name, strlen(name));
        text_append_c(text, ": ");
        append_value(text, yyjson_obj_get(row, name));
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
        append_row(&text, rows_at(rows, i), expected->n > 0 ? rows_at(expected, 0) : NULL);
    char *lines = text.failed ? NULL : arena_text(file->arena, text.length == 0 ? "" : text.bytes);
    text_release(&text);
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

/* Does the line belong to the value of a key that stands at `column` (from 0)? */
static bool is_inside(const char *line, uint32_t column)
{
    uint32_t indent = 0;
    while (line[indent] == ' ')
        indent++;
    if (line[indent] == '\0')
        return false;
    if (line[indent] == '\n' || line[indent] == '\r')
        return true;
    return indent > column || (indent == column && line[indent] == '-');
}

static const char *value_end(const char *at, uint32_t column)
{
    const char *end = strchr(at, '\n');
    end = end == NULL ? at + strlen(at) : end + 1;
    const char *last = end; /* blank lines behind it stay */
    while (*end != '\0' && is_inside(end, column)) {
        const bool blank = end[strspn(end, " \r")] == '\n';
        const char *next = strchr(end, '\n');
        end = next == NULL ? end + strlen(end) : next + 1;
        if (!blank)
            last = end;
    }
    return last;
}

static void append_edit(text_buffer *into, const suite_edit *edit, uint32_t column)
{
    text_format(into, "%s:%s\n", edit->list->key, edit->text[0] == '\0' ? " []" : "");
    for (const char *line = edit->text; *line != '\0';) {
        const size_t length = strcspn(line, "\n") + 1;
        text_format(into, "%*s", (int)column + 2, "");
        text_append(into, line, length);
        line += length;
    }
}

static int by_place(const void *left, const void *right)
{
    const suite_edit *a = left, *b = right;
    return a->list->key_at.line < b->list->key_at.line
               ? -1
               : a->list->key_at.line > b->list->key_at.line;
}

/* A list whose key begins its line, or stands behind "- ": only these are written anew. */
static bool can_edit(const char *text, const suite_edit *edit)
{
    const char *line = line_start(text, edit->list->key_at.line);
    for (uint32_t i = 0; i + 1 < edit->list->key_at.column; i++)
        if (line[i] != ' ' && line[i] != '-')
            return false;
    return true;
}

freshet_code update_write(suite_file *file, freshet_error *err)
{
    if (file->n_edits == 0)
        return FRESHET_OK;
    const char *text = file->edits[0].list->tree->source;
    const char *at = text;
    text_buffer made;
    text_init(&made, TEXT_LIMIT_DEFAULT);
    qsort(file->edits, file->n_edits, sizeof *file->edits, by_place);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < file->n_edits && code == FRESHET_OK; i++) {
        const place *key = &file->edits[i].list->key_at;
        if (i > 0 && key->line == file->edits[i - 1].list->key_at.line)
            continue; /* the same list in another mode */
        if (!can_edit(text, &file->edits[i])) {
            char where[300];
            code =
                error_set(err, FRESHET_FAILED, FRESHET_STOP, place_text(key, where, sizeof where),
                          "--update writes lists whose key begins a line: put \"%s:\" on a line "
                          "of its own",
                          file->edits[i].list->key);
            continue;
        }
        const char *from = line_start(text, key->line) + key->column - 1;
        text_append(&made, at, (size_t)(from - at));
        append_edit(&made, &file->edits[i], key->column - 1);
        at = value_end(from, key->column - 1);
    }
    text_append_c(&made, at);
    const char *aside = arena_format(file->arena, "%s.new", file->path);
    if (code == FRESHET_OK && (made.failed || aside == NULL))
        code = error_memory(err, "writing a test file");
    FILE *out = code == FRESHET_OK ? fopen(aside, "we") : NULL;
    if (code == FRESHET_OK && out == NULL)
        code = error_system(err, "cannot write", aside);
    if (out != NULL) {
        const bool good = fwrite(made.bytes, 1, made.length, out) == made.length;
        if (fclose(out) != 0 || !good || os.rename(aside, file->path) != 0)
            code = error_system(err, "cannot write", file->path);
    }
    text_release(&made);
    return code;
}
