/* query_from.c - the FROM clause of a query: which reader's rows each name has, which of them
 * carries the hidden column, and which joins and tables cannot be followed row by row. See
 * query_plan.c for the whole walk.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "source/query_planner.h"

static from one_item(planner *planner, const char *alias, int64_t reader, bool carries)
{
    item *new = arena_alloc(planner->arena, sizeof *new);
    if (new == NULL) {
        planner->no_memory = true;
        return (from){NULL, NULL};
    }
    *new = (item){.all = planner->items, .alias = alias, .reader = reader, .carries = carries};
    planner->items = new;
    return (from){new, carries ? new : NULL};
}

/* The reader behind a CTE or subquery, for messages. */
static from named_after(from from, const item *inner)
{
    if (from.carrier != NULL && inner->reader >= 0)
        from.carrier = inner;
    return from;
}

const char *query_stream_name(const planner *planner, const item *carrier)
{
    return carrier->reader >= 0 ? planner->readers[carrier->reader].id : carrier->alias;
}

void query_refuse_sample(planner *planner, node *object, const item *carrier, int64_t position)
{
    if (carrier != NULL && !yyjson_mut_is_null(yyjson_mut_obj_get(object, "sample")))
        query_report(
            planner, QUERY_NOT_BY_ROWS, position,
            "a sample of the stream \"%s\" is not possible: a replay would choose other rows; "
            "choose by a value instead, as in WHERE hash(key) %% 10 = 0",
            query_stream_name(planner, carrier));
}

static void complain_of_table(planner *planner, node *table, const char *name)
{
    const char **ids = arena_zero(planner->arena, planner->n_readers, sizeof *ids);
    if (ids == NULL) {
        planner->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < planner->n_readers; i++)
        ids[i] = planner->readers[i].id;
    const char *nearest = text_nearest(name, ids, planner->n_readers);
    int64_t position = tree_position(table);
    if (strpbrk(name, "./:*?") != NULL)
        query_report(planner, QUERY_NO_NAME, position,
                     "the query cannot read the file \"%s\" by itself: declare a reader for it and "
                     "name its id here",
                     name);
    else if (nearest != NULL)
        query_report(planner, QUERY_NO_NAME, position,
                     "there is no reader \"%s\"; did you mean \"%s\"?", name, nearest);
    else
        query_report(planner, QUERY_NO_NAME, position,
                     "there is no reader \"%s\": the query can read the source's readers only",
                     name);
}

static from walk_table(planner *planner, node *table, const cte *ctes)
{
    const char *name = tree_text(table, "table_name"), *alias = tree_text(table, "alias");
    bool is_bare =
        *tree_text(table, "schema_name") == '\0' && *tree_text(table, "catalog_name") == '\0';
    if (*alias == '\0')
        alias = name;
    for (const cte *known = ctes; is_bare && known != NULL; known = known->outer) {
        if (strcasecmp(known->name, name) == 0)
            return named_after(one_item(planner, alias, -1, known->carrier != NULL),
                               known->carrier);
    }
    int64_t reader = is_bare ? query_find_reader(planner, name) : -1;
    if (reader < 0) {
        if (is_bare)
            complain_of_table(planner, table, name);
        else
            query_report(
                planner, QUERY_NO_NAME, tree_position(table),
                "\"%s\" has a schema in front: the query can read the source's readers only, "
                "by their ids",
                name);
        return one_item(planner, alias, -1, false);
    }
    const plan_reader *known = &planner->readers[reader];
    query_put_text(planner, table, "alias", alias);
    query_put_text(planner, table, "table_name",
                   planner->drives[reader] ? known->driving : known->table);
    planner->out->is_used[reader] = true;
    planner->n_driving += planner->drives[reader];
    if (!tree_is_empty(yyjson_mut_obj_get(table, "column_name_alias")))
        query_use_all(planner, reader);
    return one_item(planner, alias, reader, planner->drives[reader]);
}

/* The two sides of a join in the words of the refusal, or NULL where the join can be followed. */
static const char *lost_side(const char *type, bool left_carries)
{
    bool is_left = strcmp(type, "LEFT") == 0, is_right = strcmp(type, "RIGHT") == 0;
    if (strcmp(type, "FULL") == 0 || strcmp(type, "OUTER") == 0)
        return "a FULL JOIN";
    if (left_carries)
        return is_right ? "the left side of a RIGHT JOIN" : NULL;
    if (is_left)
        return "the right side of a LEFT JOIN";
    if (strcmp(type, "SEMI") == 0)
        return "the right side of a SEMI JOIN";
    return strcmp(type, "ANTI") == 0 ? "the right side of an ANTI JOIN" : NULL;
}

static void check_join(planner *planner, node *join, const item *left, const item *right,
                       int64_t position)
{
    const char *kind = tree_text(join, "ref_type");
    const item *carrier = left != NULL ? left : right;
    if (carrier == NULL)
        return;
    const char *side = lost_side(tree_text(join, "join_type"), left != NULL);
    if (strcmp(kind, "POSITIONAL") == 0)
        query_report(
            planner, QUERY_NOT_BY_ROWS, position,
            "a POSITIONAL JOIN with the stream \"%s\" is not possible: its rows have no fixed "
            "numbers; join on a column",
            query_stream_name(planner, carrier));
    else if (strcmp(kind, "ASOF") == 0 && left == NULL)
        query_report(
            planner, QUERY_NOT_BY_ROWS, position,
            "the stream \"%s\" cannot be the right side of an ASOF JOIN: a later row might match "
            "better; put the stream on the left",
            query_stream_name(planner, carrier));
    else if (side != NULL)
        query_report(
            planner, QUERY_NOT_BY_ROWS, position,
            "the stream \"%s\" cannot be on %s: whether the other side's row has a match is only "
            "known after the stream's last row; put the stream on the left of a LEFT JOIN",
            query_stream_name(planner, carrier), side);
}

static const item *append(const item *first, const item *second)
{
    if (first == NULL)
        return second;
    item *last = (item *)first;
    while (last->next != NULL)
        last = (item *)last->next;
    last->next = second;
    return first;
}

static from walk_join(planner *planner, node *join, const cte *ctes, uint32_t depth)
{
    from left = query_walk_from(planner, yyjson_mut_obj_get(join, "left"), ctes, depth + 1);
    from right = query_walk_from(planner, yyjson_mut_obj_get(join, "right"), ctes, depth + 1);
    const bool is_of_streams = left.carrier != NULL && right.carrier != NULL;
    int64_t position = tree_position(join);
    if (position < 0)
        position = tree_first_position(yyjson_mut_obj_get(join, "right"), 0);
    if (!is_of_streams)
        check_join(planner, join, left.carrier, right.carrier, position);
    const item *carrier = left.carrier != NULL ? left.carrier : right.carrier;
    query_walk_expressions(planner, yyjson_mut_obj_get(join, "condition"), ctes, carrier,
                           depth + 1);
    size_t index, n;
    node *column;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(join, "using_columns"), index, n, column)
    {
        if (yyjson_mut_is_str(column))
            query_add_mention(planner, yyjson_mut_get_str(column), false);
    }
    if (strcmp(tree_text(join, "ref_type"), "NATURAL") == 0)
        query_use_everything(planner);
    if (is_of_streams) /* last: the condition is another one then */
        carrier = query_join(planner, join, left.items, right.items, position);
    return (from){append(left.items, right.items), carrier};
}

static from walk_function(planner *planner, node *reference, const cte *ctes, uint32_t depth)
{
    static const char *const harmless[] = {"unnest",    "range",     "generate_series",
                                           "json_each", "json_tree", NULL};
    node *function = yyjson_mut_obj_get(reference, "function");
    const char *name = tree_text(function, "function_name"), *alias = tree_text(reference, "alias");
    if (!query_is_one_of(name, harmless))
        query_report(
            planner, QUERY_NO_NAME, tree_position(reference),
            "the query cannot use the table function %s(): declare a reader instead and name "
            "its id here (unnest, range, generate_series and json_each are possible)",
            name);
    query_walk_expressions(planner, yyjson_mut_obj_get(function, "children"), ctes, NULL,
                           depth + 1);
    return one_item(planner, *alias == '\0' ? name : alias, -1, false);
}

static from walk_subquery(planner *planner, node *reference, const cte *ctes, uint32_t depth)
{
    node *query = yyjson_mut_obj_get(yyjson_mut_obj_get(reference, "subquery"), "node");
    const item *carrier = query_walk(planner, query, ctes, depth + 1);
    return named_after(one_item(planner, tree_text(reference, "alias"), -1, carrier != NULL),
                       carrier);
}

from query_walk_from(planner *planner, node *reference, const cte *ctes, uint32_t depth)
{
    from from = {NULL, NULL};
    if (query_too_deep(planner, depth) || tree_is(reference, "EMPTY"))
        return from;
    if (tree_is(reference, "BASE_TABLE")) {
        from = walk_table(planner, reference, ctes);
    } else if (tree_is(reference, "SUBQUERY")) {
        from = walk_subquery(planner, reference, ctes, depth);
    } else if (tree_is(reference, "JOIN")) {
        from = walk_join(planner, reference, ctes, depth);
    } else if (tree_is(reference, "TABLE_FUNCTION")) {
        from = walk_function(planner, reference, ctes, depth);
    } else if (tree_is(reference, "EXPRESSION_LIST")) {
        query_walk_expressions(planner, yyjson_mut_obj_get(reference, "values"), ctes, NULL,
                               depth + 1);
        from = one_item(planner, tree_text(reference, "alias"), -1, false);
    } else if (tree_is(reference, "PIVOT")) {
        from = query_walk_from(planner, yyjson_mut_obj_get(reference, "source"), ctes, depth + 1);
        query_use_everything(planner);
        if (from.carrier != NULL)
            query_report(
                planner, QUERY_NOT_BY_ROWS, tree_position(reference),
                "PIVOT and UNPIVOT of the stream \"%s\" are not possible: write the columns as "
                "CASE expressions, or use a feature of the feature set",
                query_stream_name(planner, from.carrier));
    } else {
        query_report(planner, QUERY_NEVER, tree_position(reference),
                     "DESCRIBE, SUMMARIZE and SHOW are not possible in the query");
    }
    query_refuse_sample(planner, reference, from.carrier, tree_position(reference));
    return from;
}
