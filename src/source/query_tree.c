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

/* ---- CTEs ---- */

node *tree_ctes(node *query)
{
    return yyjson_mut_obj_get(yyjson_mut_obj_get(query, "cte_map"), "map");
}

node *tree_cte_body(node *entry)
{
    return yyjson_mut_obj_get(yyjson_mut_obj_get(yyjson_mut_obj_get(entry, "value"), "query"),
                              "node");
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
