/* macro_form.c - the short form of a macro, `- divide(a, b): a / b`, as a map of its options.
 *
 * Its key is the macro's name with its parameters in brackets, its value the SQL. The nodes made
 * here stand beside the tree; the SQL keeps its text, by which places in it are found.
 */
#include <string.h>

#include "declaration/macros.h"

#define BLANKS " \t"

/* Between the two, without blanks around it. */
static const char *cut(arena *arena, const char *begin, const char *end)
{
    while (begin < end && strchr(BLANKS, *begin) != NULL)
        begin++;
    while (begin < end && strchr(BLANKS, end[-1]) != NULL)
        end--;
    return arena_copy(arena, begin, (size_t)(end - begin));
}

static node *add_scalar(const node *item, node *parent, const char *key, const char *value,
                        size_t behind)
{
    node *made = value == NULL ? NULL : arena_zero(item->tree->arena, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    place at = item->first->key_at;
    at.column += at.line == 0 ? 0 : (uint32_t)behind;
    *made = (node){.kind = NODE_SCALAR,
                   .style = SCALAR_BUILT,
                   .tree = item->tree,
                   .at = at,
                   .key = key,
                   .key_at = at,
                   .raw = value,
                   .value = value};
    if (parent->last == NULL)
        parent->first = made;
    else
        parent->last->next = made;
    parent->last = made;
    parent->n++;
    return made;
}

/* The names between the brackets; none where there is nothing but blanks. */
static bool add_parameters(const node *item, node *list, const char *key, const char *open,
                           const char *close)
{
    const char *at = open + 1;
    if (at + strspn(at, BLANKS) == close)
        return true;
    while (at <= close) {
        const char *end = at + strcspn(at, ",)");
        const char *name = cut(item->tree->arena, at, end);
        if (add_scalar(item, list, NULL, name, (size_t)(at + strspn(at, BLANKS) - key)) == NULL)
            return false;
        at = end + 1;
    }
    return true;
}

const node *macro_unfold(const node *item, problems *problems)
{
    const node *only = item->kind == NODE_MAP ? item->first : NULL;
    const char *open = only == NULL ? NULL : strchr(only->key, '(');
    if (open == NULL)
        return item;
    const char *key = only->key, *close = strchr(open, ')');
    if (close == NULL || close[1 + strspn(close + 1, BLANKS)] != '\0' || item->n != 1) {
        problem_add(problems, &only->key_at,
                    item->n == 1 ? "a macro is written as its name, its parameters in brackets and "
                                   "its SQL: \"- divide(a, b): a / b\""
                                 : "an item of \"macros\" is one macro, as in \"- divide(a, b): a "
                                   "/ b\"; between { } its name must stand in quotes");
        return NULL;
    }
    arena *arena = item->tree->arena;
    node *whole = arena_zero(arena, 1, sizeof *whole), *list = arena_zero(arena, 1, sizeof *list);
    node *sql = arena_zero(arena, 1, sizeof *sql);
    if (whole == NULL || list == NULL || sql == NULL)
        return NULL;
    *whole = (node){.kind = NODE_MAP, .tree = item->tree, .at = item->at};
    *list = (node){.kind = NODE_LIST,
                   .tree = item->tree,
                   .at = only->key_at,
                   .key = "parameters",
                   .key_at = only->key_at};
    node *name = add_scalar(item, whole, "name", cut(arena, key, open), 0);
    if (name == NULL || !add_parameters(item, list, key, open, close))
        return NULL;
    *sql = *only;
    sql->key = "sql";
    sql->next = NULL;
    name->next = list;
    list->next = sql;
    whole->last = sql;
    whole->n = 3;
    return whole;
}
