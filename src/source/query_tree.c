/* query_tree.c - see query_tree.h. */
#include "source/query_tree.h"

#include <string.h>
#include <strings.h>

const char *tree_text(node *object, const char *key)
{
    const char *text = yyjson_mut_get_str(yyjson_mut_obj_get(object, key));
    return text == NULL ? "" : text;
}

bool tree_is(node *object, const char *type)
{
    return strcmp(tree_text(object, "type"), type) == 0;
}

/* The byte offset in the query; DuckDB writes "none" as the largest number. */
int64_t tree_position(node *object)
{
    node *position = yyjson_mut_obj_get(object, "query_location");
    if (!yyjson_mut_is_uint(position) || yyjson_mut_get_uint(position) > INT32_MAX)
        return -1;
    return (int64_t)yyjson_mut_get_uint(position);
}

/* The first place that something inside `any` has. */
int64_t tree_first_position(node *any, uint32_t depth)
{
    if (any == NULL || depth > 20 || !yyjson_mut_is_ctn(any))
        return -1;
    int64_t position = yyjson_mut_is_obj(any) ? tree_position(any) : -1;
    size_t index, n;
    node *key, *value;
    if (position >= 0)
        return position;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
        {
            if (position < 0)
                position = tree_first_position(value, depth + 1);
        }
    } else {
        yyjson_mut_obj_foreach(any, index, n, key, value)
        {
            if (position < 0)
                position = tree_first_position(value, depth + 1);
        }
    }
    return position;
}

bool tree_is_empty(node *list)
{
    return yyjson_mut_get_len(list) == 0;
}

bool tree_has_class(node *object, const char *class)
{
    return strcmp(tree_text(object, "class"), class) == 0;
}

/* ---- which readers drive ---- */

/* The CTEs that a query sees: the first `n` of each query node around it. */
typedef struct scope {
    const struct scope *outer;
    node *query;
    size_t n;
} scope;

static node *tree_ctes(node *query)
{
    return yyjson_mut_obj_get(yyjson_mut_obj_get(query, "cte_map"), "map");
}

node *tree_cte_body(node *entry)
{
    return yyjson_mut_obj_get(yyjson_mut_obj_get(yyjson_mut_obj_get(entry, "value"), "query"),
                              "node");
}

static void find_in(node *query, const scope *scope, tree_leftmost_fn *found, void *context,
                    uint32_t depth);

/* A name in FROM: a CTE of the scopes, or a table. */
static void find_name(const char *name, const scope *scope, tree_leftmost_fn *found, void *context,
                      uint32_t depth)
{
    for (const struct scope *known = scope; known != NULL; known = known->outer) {
        size_t index, n;
        node *entry;
        yyjson_mut_arr_foreach(tree_ctes(known->query), index, n, entry)
        {
            if (index >= known->n || strcasecmp(tree_text(entry, "key"), name) != 0)
                continue;
            const struct scope before = {known->outer, known->query, index};
            find_in(tree_cte_body(entry), &before, found, context, depth);
            return;
        }
    }
    found(context, name);
}

static void find_in(node *query, const scope *scope, tree_leftmost_fn *found, void *context,
                    uint32_t depth)
{
    if (query == NULL || depth > PLAN_DEPTH_MAX)
        return;
    const struct scope here = {scope, query, yyjson_mut_arr_size(tree_ctes(query))};
    if (tree_is(query, "SET_OPERATION_NODE")) {
        find_in(yyjson_mut_obj_get(query, "left"), &here, found, context, depth + 1);
        find_in(yyjson_mut_obj_get(query, "right"), &here, found, context, depth + 1);
        return;
    }
    node *reference = yyjson_mut_obj_get(query, "from_table");
    while (tree_is(reference, "JOIN"))
        reference = yyjson_mut_obj_get(reference, "left");
    if (tree_is(reference, "SUBQUERY"))
        find_in(yyjson_mut_obj_get(yyjson_mut_obj_get(reference, "subquery"), "node"), &here, found,
                context, depth + 1);
    else if (tree_is(reference, "BASE_TABLE"))
        find_name(tree_text(reference, "table_name"), &here, found, context, depth + 1);
}

void tree_leftmost(node *query, tree_leftmost_fn *found, void *context)
{
    find_in(query, NULL, found, context, 1);
}

/* ---- aliases ---- */

bool tree_has_alias(node *any, const char *alias, uint32_t depth)
{
    if (any == NULL || !yyjson_mut_is_ctn(any) || depth > PLAN_DEPTH_MAX)
        return false;
    size_t index, n;
    node *key, *value;
    bool found = false;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value) found |=
            tree_has_alias(value, alias, depth + 1);
        return found;
    }
    found = strcasecmp(tree_text(any, "alias"), alias) == 0;
    yyjson_mut_obj_foreach(any, index, n, key, value) found |=
        tree_has_alias(value, alias, depth + 1);
    return found;
}
