/* declaration_tree.c - see declaration_tree.h. */
#define _GNU_SOURCE /* qsort_r */
#include "declaration/declaration_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/os.h"
#include "base/text.h"
#include "declaration/value.h"

void tree_init(tree *tree, arena *arena, problems *problems)
{
    memset(tree, 0, sizeof *tree);
    tree->arena = arena;
    tree->problems = problems;
    tree->line = 1;
}

node *tree_node(tree *tree, node_kind kind, const place *at)
{
    if (tree->n_nodes >= DECLARATION_NODES_MAX) {
        problem_add(tree->problems, at, "a declaration can hold %u values, and this one has more",
                    DECLARATION_NODES_MAX);
        return NULL;
    }
    node *made = arena_zero(tree->arena, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    tree->n_nodes++;
    made->tree = tree;
    made->kind = kind;
    made->at = *at;
    return made;
}

bool tree_append(node *parent, node *child, const char *key, const place *key_at)
{
    if (key != NULL) {
        child->key = arena_text(parent->tree->arena, key);
        if (child->key == NULL)
            return false;
        child->key_at = *key_at;
    }
    child->depth = (uint8_t)(parent->depth + 1);
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->n++;
    return true;
}

uint32_t node_height(const node *node)
{
    uint32_t height = 0;
    for (const struct node *child = node->first; child != NULL; child = child->next) {
        uint32_t below = node_height(child) + 1; /* as deep as DECLARATION_DEPTH_MAX */
        if (below > height)
            height = below;
    }
    return height;
}

node *tree_copy(const node *from, uint32_t depth)
{
    node *copy = tree_node(from->tree, from->kind, &from->at);
    if (copy == NULL)
        return NULL;
    *copy = *from;
    copy->depth = (uint8_t)depth;
    copy->key = NULL;
    copy->next = copy->first = copy->last = NULL;
    copy->n = 0;
    for (const node *child = from->first; child != NULL; child = child->next) {
        node *child_copy = tree_copy(child, depth + 1);
        if (child_copy == NULL || !tree_append(copy, child_copy, child->key, &child->key_at))
            return NULL;
    }
    return copy;
}

node *node_find(const node *map, const char *key)
{
    for (node *child = map->first; child != NULL; child = child->next)
        if (child->key != NULL && strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

bool node_is_null(const node *node)
{
    return node->kind == NODE_SCALAR && node->style == SCALAR_PLAIN && node->raw != NULL &&
           (node->raw[0] == '\0' || strcmp(node->raw, "~") == 0 || strcmp(node->raw, "null") == 0);
}

/* ---- names ---------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b, void *fold)
{
    const given_name *left = a;
    const given_name *right = b;
    int order =
        *(bool *)fold ? strcasecmp(left->name, right->name) : strcmp(left->name, right->name);
    return order != 0 ? order : left->order < right->order ? -1 : 1;
}

void names_sort(given_name *names, uint32_t n, bool fold)
{
    if (n > 1)
        qsort_r(names, n, sizeof *names, compare_names, &fold);
    const given_name *first = names;
    for (uint32_t i = 1; i < n; i++) {
        bool same = (fold ? strcasecmp : strcmp)(first->name, names[i].name) == 0;
        if (same)
            names[i].first = first;
        else
            first = &names[i];
    }
}

/* ---- variables ----------------------------------------------------------------------------- */

/* One ${...} at raw[start]: finds its parts. Returns NULL, or what is wrong with it. */
typedef struct variable {
    size_t name_length;
    const char *standard; /* NULL: none; not NUL-terminated */
    size_t standard_length;
    size_t end; /* behind the closing brace */
} variable;

static const char *variable_read(const char *raw, size_t length, size_t start, variable *into)
{
    size_t i = start + 2;
    into->name_length = strspn(raw + i, NAME_CHARACTERS);
    if (into->name_length == 0 || (raw[i] >= '0' && raw[i] <= '9'))
        return "\"${\" must be followed by the name of an environment variable; write \"$${\" for "
               "the characters \"${\" themselves";
    i += into->name_length;
    into->standard = NULL;
    into->standard_length = 0;
    if (i + 1 < length && raw[i] == ':' && strchr("-?=+", raw[i + 1]) != NULL)
        return "\"${VAR:-default}\" and its like are the shell's: write ${VAR:default}, without a "
               "sign behind the colon, or ${VAR} for a variable that must be set";
    if (i < length && raw[i] == '-')
        return "\"${VAR-default}\" is the shell's: write ${VAR:default}, with a colon";
    if (i < length && raw[i] == ':') {
        into->standard = raw + ++i;
        while (i < length && raw[i] != '}' && raw[i] != '\n' &&
               !(raw[i] == '$' && i + 1 < length && raw[i + 1] == '{'))
            i++;
        into->standard_length = (size_t)(raw + i - into->standard);
        if (i < length && raw[i] == '$')
            return "a default inside \"${VAR:default}\" is taken as it is and cannot hold another "
                   "\"${\"";
    }
    if (i >= length || raw[i] != '}')
        return "\"${\" is not closed: write ${VAR} or ${VAR:default}, or \"$${\" for the "
               "characters \"${\" themselves";
    into->end = i + 1;
    return NULL;
}

static bool substitution_add(node *scalar, size_t raw, size_t raw_length, size_t value,
                             size_t value_length)
{
    if (!arena_reserve(scalar->tree->arena, &scalar->substitutions, &scalar->substitutions_capacity,
                       scalar->n_substitutions + 1ULL, sizeof *scalar->substitutions))
        return false;
    scalar->substitutions[scalar->n_substitutions++] =
        (substitution){raw, raw_length, value, value_length};
    return true;
}

static bool tree_refuse(node *scalar, const place *at, const char *sentence)
{
    scalar->broken = true;
    return problem_add(scalar->tree->problems, at, "%s", sentence);
}

static bool refuse_inside(node *scalar, size_t raw_offset, const char *sentence)
{
    bool full = problems_count(scalar->tree->problems) >= DECLARATION_PROBLEMS_MAX;
    place at = full ? scalar->at : node_place_raw(scalar, raw_offset); /* which walks the source */
    return tree_refuse(scalar, &at, sentence);
}

#define FILE_VALUE_BYTES_MAX 65536

/* What the file holds, without a line's end behind it; FILE_VALUE_BYTES_MAX + 1 bytes where it is
 * longer, or a negative number and errno. */
static ssize_t read_value(const char *path, char *into)
{
    int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return -1;
    ssize_t n = os_read_all(fd, into, FILE_VALUE_BYTES_MAX + 1);
    int problem = errno;
    os.close(fd);
    errno = problem;
    n -= n > 0 && into[n - 1] == '\n';
    n -= n > 0 && into[n - 1] == '\r';
    return n;
}

/* Appends what the file of ${file:PATH} holds. The path is relative to the folder of the
 * declaration. */
static bool file_append(node *scalar, size_t start, const variable *variable, text_buffer *value)
{
    tree *tree = scalar->tree;
    const char *path = arena_copy(tree->arena, variable->standard, variable->standard_length);
    char *bytes = arena_alloc(tree->arena, FILE_VALUE_BYTES_MAX + 1);
    if (path != NULL && path[0] != '/' && tree->folder != NULL && strcmp(tree->folder, ".") != 0)
        path = arena_format(tree->arena, "%s/%s", tree->folder, path);
    if (path == NULL || bytes == NULL)
        return false;
    char sentence[400];
    ssize_t length = read_value(path, bytes);
    if (length < 0)
        snprintf(sentence, sizeof sentence, "the file \"%.200s\" cannot be read: %s", path,
                 strerror(errno));
    else if (length > FILE_VALUE_BYTES_MAX)
        snprintf(sentence, sizeof sentence, "the file \"%.200s\" has more than %d bytes", path,
                 FILE_VALUE_BYTES_MAX);
    else if (memchr(bytes, '\0', (size_t)length) != NULL || !text_is_utf8(bytes, (size_t)length))
        snprintf(sentence, sizeof sentence, "the file \"%.200s\" is not text in UTF-8", path);
    else
        return text_append(value, bytes, (size_t)length) || value->failed;
    return refuse_inside(scalar, start, sentence);
}

/* Appends the value of the variable at raw[start]. */
static bool variable_append(node *scalar, size_t start, const variable *variable,
                            text_buffer *value)
{
    const char *bytes = variable->standard;
    size_t length = variable->standard_length;
    char *name = arena_copy(scalar->tree->arena, scalar->raw + start + 2, variable->name_length);
    if (name == NULL)
        return false;
    if (strcmp(name, "file") == 0 && variable->standard_length > 0)
        return file_append(scalar, start, variable, value);
    const char *found = getenv(name);
    if (found == NULL && bytes == NULL) {
        char sentence[400];
        snprintf(sentence, sizeof sentence,
                 "the environment variable \"%.100s\" is not set: set it, or write a default, as "
                 "in ${%.100s:default}",
                 name, name);
        return refuse_inside(scalar, start, sentence);
    }
    if (found != NULL) {
        bytes = found;
        length = strlen(found);
        if (!text_is_utf8(bytes, length))
            return refuse_inside(scalar, start,
                                 "the value of this environment variable is not valid UTF-8");
    }
    text_append(value, bytes, length);
    return true;
}

/* Fills `value` from scalar->raw. Two escapes only, so one pass from left to right is enough. */
static bool expand(node *scalar, size_t length, text_buffer *value)
{
    const char *raw = scalar->raw;
    size_t i = 0;
    bool ok = true;
    while (i < length) {
        const char *dollar = memchr(raw + i, '$', length - i);
        size_t next = dollar == NULL ? length : (size_t)(dollar - raw);
        text_append(value, raw + i, next - i);
        i = next;
        if (i == length)
            break;
        size_t before = value->length;
        size_t start = i;
        variable variable;
        if (length - i >= 3 && memcmp(raw + i, "$${", 3) == 0) {
            text_append(value, "${", 2);
            i += 3;
        } else if (length - i >= 2 && raw[i + 1] == '{') {
            const char *wrong = variable_read(raw, length, i, &variable);
            if (wrong != NULL)
                return refuse_inside(scalar, i, wrong);
            ok = variable_append(scalar, i, &variable, value) && ok;
            i = variable.end;
        } else {
            text_append_char(value, '$');
            i++;
            continue;
        }
        if (ok && !value->failed &&
            !substitution_add(scalar, start, i - start, before, value->length - before))
            return false;
    }
    return ok;
}

bool tree_set_text(node *scalar, const char *raw, size_t length, bool variables)
{
    tree *tree = scalar->tree;
    scalar->raw = arena_copy(tree->arena, raw, length);
    if (scalar->raw == NULL)
        return false;
    scalar->value = scalar->raw;
    if (memchr(raw, '\0', length) != NULL)
        return tree_refuse(scalar, &scalar->at, "a value cannot hold a NUL character");
    if (!variables || memchr(raw, '$', length) == NULL)
        return true;

    text_buffer value;
    text_init(&value, DECLARATION_BYTES_MAX - tree->n_value_bytes);
    bool ok = expand(scalar, length, &value);
    if (ok && value.failed) {
        ok = tree_refuse(scalar, &scalar->at,
                         "the values of the environment variables make this declaration too large");
    } else if (ok) {
        tree->n_value_bytes += value.length;
        scalar->value =
            arena_copy(tree->arena, value.bytes == NULL ? "" : value.bytes, value.length);
        ok = scalar->value != NULL;
    }
    text_release(&value);
    return ok;
}
