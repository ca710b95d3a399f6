/* query_driver.c - which readers drive a batch query, that is, give its rows one by one: see
 * query_plan.c for what becomes of them.
 *
 * The rows of a batch have the order of the rows of a reader, in each branch of a UNION ALL. It has
 * to be the reader that would stream, wherever it stands: what the event's time is taken from. So
 * the timestamp's column is followed from the SELECT list down through subqueries and CTEs, to the
 * table in FROM that has it. Where it leads nowhere, the leftmost table drives.
 *
 * Recursion follows the nesting of the query, at most PLAN_DEPTH_MAX deep, and STEPS_MAX calls
 * altogether, since a CTE may be named often: beyond that, the leftmost it is.
 */
#include <string.h>
#include <strings.h>

#include "source/query_planner.h"

#define STEPS_MAX 10000u

/* The CTEs that a query sees: the first `n` of each query node around it. */
typedef struct scope {
    const struct scope *outer;
    node *query;
    size_t n;
} scope;

typedef struct search {
    const planner *planner;
    uint32_t steps;
} search;

/* A table in FROM, and the name that a column has in it. */
typedef struct found {
    node *table; /* NULL: not found */
    const char *column;
} found;

static bool gives(search *search, node *query, const scope *scope, const char *column,
                  uint32_t depth);

/* The body of the CTE of that name, and what it sees; NULL where it is none. */
static node *find_cte(const char *name, const scope *from, scope *sees)
{
    for (const scope *known = from; known != NULL; known = known->outer) {
        size_t index, n;
        node *entry;
        yyjson_mut_arr_foreach(tree_ctes(known->query), index, n, entry)
        {
            if (index >= known->n || strcasecmp(tree_text(entry, "key"), name) != 0)
                continue;
            *sees = (scope){known->outer, known->query, index};
            return tree_cte_body(entry);
        }
    }
    return NULL;
}

/* The query behind a subquery's or a CTE's name; NULL: it is another table. */
static node *query_behind(node *table, const scope *from, scope *sees)
{
    *sees = *from;
    if (tree_is(table, "SUBQUERY"))
        return yyjson_mut_obj_get(yyjson_mut_obj_get(table, "subquery"), "node");
    return tree_is(table, "BASE_TABLE") ? find_cte(tree_text(table, "table_name"), from, sees)
                                        : NULL;
}

static bool has_column(search *search, node *table, const scope *from, const char *column,
                       uint32_t depth)
{
    scope sees;
    node *query = query_behind(table, from, &sees);
    if (query != NULL)
        return gives(search, query, &sees, column, depth + 1);
    int64_t reader = query_find_reader(search->planner, tree_text(table, "table_name"));
    return tree_is(table, "BASE_TABLE") && reader >= 0 &&
           schema_find(search->planner->readers[reader].schema, column) >= 0;
}

/* The first table in FROM that has the column; `relation`: that of this name, "": any. */
static node *find_table(search *search, node *reference, const scope *scope, const char *relation,
                        const char *column, uint32_t depth)
{
    if (reference == NULL || depth > PLAN_DEPTH_MAX || search->steps++ > STEPS_MAX)
        return NULL;
    if (tree_is(reference, "JOIN")) {
        node *left = find_table(search, yyjson_mut_obj_get(reference, "left"), scope, relation,
                                column, depth + 1);
        return left != NULL ? left
                            : find_table(search, yyjson_mut_obj_get(reference, "right"), scope,
                                         relation, column, depth + 1);
    }
    const char *alias = tree_text(reference, "alias");
    if (*alias == '\0')
        alias = tree_text(reference, "table_name");
    if (*relation != '\0' && strcasecmp(alias, relation) != 0)
        return NULL;
    return has_column(search, reference, scope, column, depth + 1) ? reference : NULL;
}

/* The table of the first column that an expression names. */
static found find_named(search *search, node *any, node *from_table, const scope *scope,
                        uint32_t depth)
{
    found found = {NULL, NULL};
    if (any == NULL || !yyjson_mut_is_ctn(any) || depth > PLAN_DEPTH_MAX)
        return found;
    if (yyjson_mut_is_obj(any) && tree_has_class(any, "COLUMN_REF")) {
        node *names = yyjson_mut_obj_get(any, "column_names");
        const char *first = yyjson_mut_get_str(yyjson_mut_arr_get_first(names));
        const char *second = yyjson_mut_get_str(yyjson_mut_arr_get(names, 1));
        if (first != NULL && second != NULL)
            found.table = find_table(search, from_table, scope, first, second, depth + 1);
        found.column = found.table != NULL ? second : first;
        if (first != NULL && found.table == NULL) /* a field of a struct is its column's */
            found.table = find_table(search, from_table, scope, "", first, depth + 1);
        return found;
    }
    size_t index, n;
    node *key, *value;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
        {
            if (found.table == NULL)
                found = find_named(search, value, from_table, scope, depth + 1);
        }
        return found;
    }
    yyjson_mut_obj_foreach(any, index, n, key, value)
    {
        if (found.table == NULL && strcmp(yyjson_mut_get_str(key), "subquery") != 0)
            found = find_named(search, value, from_table, scope, depth + 1);
    }
    return found;
}

/* The name that an item of the SELECT list gives its column; "" where it gives none. */
static const char *item_name(node *item)
{
    const char *alias = tree_text(item, "alias");
    const char *last =
        yyjson_mut_get_str(yyjson_mut_arr_get_last(yyjson_mut_obj_get(item, "column_names")));
    return *alias != '\0' ? alias : last != NULL && tree_has_class(item, "COLUMN_REF") ? last : "";
}

/* Where the column of a SELECT comes from. */
static found find_source(search *search, node *select, const scope *scope, const char *column,
                         uint32_t depth)
{
    node *from_table = yyjson_mut_obj_get(select, "from_table");
    found found = {NULL, column};
    size_t index, n;
    node *item;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(select, "select_list"), index, n, item)
    {
        if (found.table != NULL)
            break;
        if (tree_has_class(item, "STAR"))
            found.table = find_table(search, from_table, scope, tree_text(item, "relation_name"),
                                     column, depth + 1);
        else if (strcasecmp(item_name(item), column) == 0)
            found = find_named(search, item, from_table, scope, depth + 1);
    }
    return found;
}

/* Does the query give a column of that name? */
static bool gives(search *search, node *query, const scope *scope, const char *column,
                  uint32_t depth)
{
    if (query == NULL || depth > PLAN_DEPTH_MAX || search->steps++ > STEPS_MAX)
        return false;
    const struct scope here = {scope, query, yyjson_mut_arr_size(tree_ctes(query))};
    if (tree_is(query, "SET_OPERATION_NODE"))
        return gives(search, yyjson_mut_obj_get(query, "left"), &here, column, depth + 1);
    size_t index, n;
    node *item;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(query, "select_list"), index, n, item)
    {
        if (!tree_has_class(item, "STAR") && strcasecmp(item_name(item), column) == 0)
            return true;
    }
    return find_source(search, query, &here, column, depth + 1).table != NULL;
}

/* The columns of a UNION go by their places, unless BY NAME: what the right side calls the one that
 * the left side calls `column`. */
static const char *name_on_the_right(node *set, const char *column)
{
    node *left = yyjson_mut_obj_get(set, "left"), *right = yyjson_mut_obj_get(set, "right");
    node *theirs = yyjson_mut_obj_get(right, "select_list");
    size_t index, n;
    node *item;
    if (column == NULL || strcmp(tree_text(set, "setop_type"), "UNION") != 0)
        return column;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(left, "select_list"), index, n, item)
    {
        node *other = yyjson_mut_arr_get(theirs, index);
        if (other == NULL || tree_has_class(item, "STAR") || tree_has_class(other, "STAR"))
            return column;
        if (strcasecmp(item_name(item), column) == 0)
            return item_name(other);
    }
    return column;
}

static void find_drivers(search *search, node *query, const scope *scope, const char *column,
                         uint32_t depth)
{
    if (query == NULL || depth > PLAN_DEPTH_MAX)
        return;
    const struct scope here = {scope, query, yyjson_mut_arr_size(tree_ctes(query))};
    if (tree_is(query, "SET_OPERATION_NODE")) {
        find_drivers(search, yyjson_mut_obj_get(query, "left"), &here, column, depth + 1);
        find_drivers(search, yyjson_mut_obj_get(query, "right"), &here,
                     name_on_the_right(query, column), depth + 1);
        return;
    }
    found driver = {NULL, NULL};
    struct scope sees;
    if (column != NULL)
        driver = find_source(search, query, &here, column, depth + 1);
    if (driver.table == NULL)
        driver = (found){yyjson_mut_obj_get(query, "from_table"), NULL};
    while (tree_is(driver.table, "JOIN"))
        driver.table = yyjson_mut_obj_get(driver.table, "left");
    node *behind = query_behind(driver.table, &here, &sees);
    int64_t reader = query_find_reader(search->planner, tree_text(driver.table, "table_name"));
    if (behind != NULL)
        find_drivers(search, behind, &sees, driver.column, depth + 1);
    else if (tree_is(driver.table, "BASE_TABLE") && reader >= 0)
        search->planner->out->drives[reader] = true;
}

void query_find_drivers(planner *planner, node *query, const char *column)
{
    search search = {.planner = planner};
    find_drivers(&search, query, NULL, column, 1);
}
