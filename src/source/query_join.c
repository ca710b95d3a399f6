/* query_join.c - the join of two streams in a query: which columns make rows partners, and what the
 * query is that runs over the pairs. See query_plan.c for the whole walk.
 *
 * What is joined is found before the query runs (features/joined.h): pairs of rows whose keys are
 * equal and whose times are near enough. The query then runs over these. Each of the two readers'
 * inputs has one row for each pair, and the hidden column of both has the pair's number. So
 *
 *     from orders o left join payments p on p.order_id = o.id and p.cents > 0
 *
 * becomes
 *
 *     from __freshet_rows_0 o left join __freshet_rows_1 p
 *         on o.__freshet_row = p.__freshet_row and (p.order_id = o.id and p.cents > 0)
 *
 * in which all names mean what they meant. A left row without partner is a pair whose right row is
 * not there.
 *
 * FURTHER CONDITIONS of an outer join decide which pairs are partners, and so, whether a row has
 * none. They are asked of each pair by a query of their own, plan_join.match. An inner join's are
 * conditions on its result like any other.
 *
 * AS OF. The pair is found by the readers' times, which is what `a.ts >= b.ts` says; of the
 * condition only the pair's number is left.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "source/query_planner.h"

#define CONDITIONS_MAX 64u

typedef struct side {
    const item *item;
    uint32_t reader;
} side;

typedef struct joining {
    planner *planner;
    node *join;
    side left, right; /* as written */
    plan_join *out;
    node *further[CONDITIONS_MAX]; /* conditions that are no equality of two columns */
    uint32_t n_further;
    int64_t position;
    bool has_time; /* as-of: the comparison of the times */
    bool failed;
} joining;

#define REFUSE(joining, position, ...)                                                \
    do {                                                                              \
        (joining)->failed = true;                                                     \
        query_report((joining)->planner, QUERY_NOT_BY_ROWS, (position), __VA_ARGS__); \
    } while (0)

/* ---- columns --------------------------------------------------------------------------------- */

static const plan_reader *reader_of_side(const joining *joining, const side *side)
{
    return &joining->planner->readers[side->reader];
}

/* The column of one side that an expression is: its number, -1 where it is none of that side's. */
static int64_t column_of(const joining *joining, const side *side, node *expression)
{
    node *names = yyjson_mut_obj_get(expression, "column_names");
    const size_t n = yyjson_mut_arr_size(names);
    const char *first = yyjson_mut_get_str(yyjson_mut_arr_get_first(names));
    if (!tree_has_class(expression, "COLUMN_REF") || first == NULL || n > 2)
        return -1;
    if (n == 1)
        return schema_find(reader_of_side(joining, side)->schema, first);
    const char *second = yyjson_mut_get_str(yyjson_mut_arr_get(names, 1));
    return second == NULL || strcasecmp(first, side->item->alias) != 0
               ? -1
               : schema_find(reader_of_side(joining, side)->schema, second);
}

/* The two columns that a comparison is of; false: it is of others. *is_swapped: the right side's
 * stands on the left. */
static bool join_columns(const joining *joining, node *comparison, int64_t *left, int64_t *right,
                         bool *is_swapped)
{
    node *first = yyjson_mut_obj_get(comparison, "left");
    node *second = yyjson_mut_obj_get(comparison, "right");
    *is_swapped = false;
    *left = column_of(joining, &joining->left, first);
    *right = column_of(joining, &joining->right, second);
    if (*left >= 0 && *right >= 0)
        return true;
    *is_swapped = true;
    *left = column_of(joining, &joining->left, second);
    *right = column_of(joining, &joining->right, first);
    return *left >= 0 && *right >= 0;
}

static void add_key(joining *joining, int64_t left, int64_t right, int64_t position)
{
    const field *mine = &reader_of_side(joining, &joining->left)->schema->fields[left];
    const field *theirs = &reader_of_side(joining, &joining->right)->schema->fields[right];
    arena *arena = joining->planner->arena;
    plan_join *out = joining->out;
    if (mine->type->kind == TYPE_ARRAY || mine->type->kind == TYPE_STRUCT) {
        REFUSE(joining, position,
               "streams cannot be joined on \"%s\", %s: join on single values, such as a string or "
               "a bigint",
               mine->name, mine->type->kind == TYPE_ARRAY ? "an array" : "a struct");
        return;
    }
    if (!type_equal(mine->type, theirs->type)) {
        const char *is = type_name(arena, mine->type), *other = type_name(arena, theirs->type);
        REFUSE(
            joining, position,
            "\"%s\" of \"%s\" is %s and \"%s\" of \"%s\" is %s: streams are joined on columns of "
            "one type; declare the same for both in the `schema` of their readers",
            mine->name, reader_of_side(joining, &joining->left)->id, is == NULL ? "" : is,
            theirs->name, reader_of_side(joining, &joining->right)->id, other == NULL ? "" : other);
        return;
    }
    for (uint32_t i = 0; i < out->n_keys; i++)
        if (out->keys[0][i] == (uint32_t)left && out->keys[1][i] == (uint32_t)right)
            return;
    if (out->n_keys == PLAN_JOIN_KEYS_MAX) {
        REFUSE(joining, position, "streams can be joined on %u columns at most",
               PLAN_JOIN_KEYS_MAX);
        return;
    }
    out->keys[0][out->n_keys] = (uint32_t)left;
    out->keys[1][out->n_keys++] = (uint32_t)right;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static bool has_subquery(node *any, uint32_t depth)
{
    size_t index, n;
    node *key, *value;
    if (any == NULL || !yyjson_mut_is_ctn(any) || depth > PLAN_DEPTH_MAX)
        return false;
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
        {
            if (has_subquery(value, depth + 1))
                return true;
        }
        return false;
    }
    if (tree_has_class(any, "SUBQUERY"))
        return true;
    yyjson_mut_obj_foreach(any, index, n, key, value)
    {
        if (has_subquery(value, depth + 1))
            return true;
    }
    return false;
}

/* What the columns hold must be ordered as the times are. */
static void check_times(joining *joining, int64_t left, int64_t right, int64_t position)
{
    const plan_reader *mine = reader_of_side(joining, &joining->left);
    const plan_reader *theirs = reader_of_side(joining, &joining->right);
    const type *type = mine->schema->fields[left].type;
    if (type->kind == TYPE_STRING || !type_equal(type, theirs->schema->fields[right].type) ||
        mine->time_unit != theirs->time_unit)
        REFUSE(
            joining, position,
            "\"%s\" and \"%s\" are not times of one kind, which an as-of join of streams compares: "
            "both must be timestamps, dates, or numbers of one type and `unit`",
            mine->schema->fields[left].name, theirs->schema->fields[right].name);
}

/* `left.time >= right.time`, or with `>`: the one comparison that an as-of join has. */
static bool take_time(joining *joining, node *condition)
{
    const char *type = tree_text(condition, "type");
    const bool is_greater = strncmp(type, "COMPARE_GREATERTHAN", 19) == 0;
    const bool is_less = strncmp(type, "COMPARE_LESSTHAN", 16) == 0;
    int64_t left, right;
    bool is_swapped;
    if (!joining->out->is_asof || (!is_greater && !is_less))
        return false;
    if (!join_columns(joining, condition, &left, &right, &is_swapped) || joining->has_time ||
        is_swapped == is_greater || left != reader_of_side(joining, &joining->left)->time_column ||
        right != reader_of_side(joining, &joining->right)->time_column)
        REFUSE(joining, tree_position(condition),
               "an as-of join of streams has one comparison, that of the readers' times, the left "
               "one not before the right one: those that their `timestamp: {from: ...}` names");
    else
        check_times(joining, left, right, tree_position(condition));
    joining->has_time = true;
    joining->out->is_strict = strstr(type, "EQUALTO") == NULL;
    return true;
}

static void take_condition(joining *joining, node *condition, uint32_t depth)
{
    int64_t left, right, position = tree_position(condition);
    bool is_swapped;
    size_t index, n;
    node *child;
    if (!yyjson_mut_is_obj(condition) || query_too_deep(joining->planner, depth) || joining->failed)
        return;
    if (tree_is(condition, "CONJUNCTION_AND")) {
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(condition, "children"), index, n, child)
            take_condition(joining, child, depth + 1);
        return;
    }
    if (take_time(joining, condition))
        return;
    if (tree_is(condition, "COMPARE_EQUAL") &&
        join_columns(joining, condition, &left, &right, &is_swapped)) {
        add_key(joining, left, right, position);
        return;
    }
    if (joining->out->is_asof)
        REFUSE(joining, position,
               "an as-of join of streams can have equalities of columns and the comparison of the "
               "times; put other conditions into WHERE");
    else if (has_subquery(condition, 0))
        REFUSE(joining, position,
               "the condition of a join of streams cannot hold a subquery: put it into WHERE, or "
               "join with that reader besides");
    else if (joining->n_further == CONDITIONS_MAX)
        REFUSE(joining, position, "a join of streams can have %u conditions at most",
               CONDITIONS_MAX);
    else
        joining->further[joining->n_further++] = condition;
}

static void take_using(joining *joining)
{
    node *columns = yyjson_mut_obj_get(joining->join, "using_columns"), *column;
    size_t index, n;
    yyjson_mut_arr_foreach(columns, index, n, column)
    {
        const char *name = yyjson_mut_get_str(column);
        const int64_t left =
            name == NULL ? -1 : schema_find(reader_of_side(joining, &joining->left)->schema, name);
        const int64_t right =
            name == NULL ? -1 : schema_find(reader_of_side(joining, &joining->right)->schema, name);
        if (left >= 0 && right >= 0) /* else DuckDB says so */
            add_key(joining, left, right, joining->position);
    }
}

/* ---- the tree -------------------------------------------------------------------------------- */

static node *hidden_of(planner *planner, const char *alias)
{
    return query_column(planner, alias, SOURCE_ROW_COLUMN);
}

/* `left.hidden = right.hidden` */
static node *same_pair(const joining *joining)
{
    planner *planner = joining->planner;
    yyjson_mut_doc *document = planner->document;
    node *equal = yyjson_mut_obj(document);
    node *left = hidden_of(planner, joining->left.item->alias);
    node *right = hidden_of(planner, joining->right.item->alias);
    const bool ok = yyjson_mut_obj_add_str(document, equal, "class", "COMPARISON") &&
                    yyjson_mut_obj_add_str(document, equal, "type", "COMPARE_EQUAL") &&
                    yyjson_mut_obj_add_str(document, equal, "alias", "") &&
                    yyjson_mut_obj_add_uint(document, equal, "query_location", UINT64_MAX) &&
                    yyjson_mut_obj_add_val(document, equal, "left", left) &&
                    yyjson_mut_obj_add_val(document, equal, "right", right);
    planner->no_memory |= !ok;
    return equal;
}

/* The condition behind others in a list; one that joins several by AND as these, as the parser has
 * them. */
static bool append_flat(planner *planner, node *children, node *condition, uint32_t depth)
{
    size_t index, n;
    node *child;
    bool ok = !query_too_deep(planner, depth);
    if (!tree_is(condition, "CONJUNCTION_AND"))
        return ok && yyjson_mut_arr_append(children,
                                           yyjson_mut_val_mut_copy(planner->document, condition));
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(condition, "children"), index, n, child) ok =
        ok && append_flat(planner, children, child, depth + 1);
    return ok;
}

/* All of these, and the pair's number. */
static node *conjunction(const joining *joining, node *const *conditions, uint32_t n)
{
    planner *planner = joining->planner;
    yyjson_mut_doc *document = planner->document;
    node *children = yyjson_mut_arr(document), *all = yyjson_mut_obj(document);
    bool ok = yyjson_mut_arr_append(children, same_pair(joining));
    if (n == 0)
        return yyjson_mut_arr_get_first(children);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = append_flat(planner, children, conditions[i], 0);
    ok = ok && yyjson_mut_obj_add_str(document, all, "class", "CONJUNCTION") &&
         yyjson_mut_obj_add_str(document, all, "type", "CONJUNCTION_AND") &&
         yyjson_mut_obj_add_str(document, all, "alias", "") &&
         yyjson_mut_obj_add_uint(document, all, "query_location", UINT64_MAX) &&
         yyjson_mut_obj_add_val(document, all, "children", children);
    planner->no_memory |= !ok;
    return all;
}

static void put(planner *planner, node *object, const char *key, node *value)
{
    node *name = yyjson_mut_str(planner->document, key);
    planner->no_memory |= name == NULL || value == NULL || !yyjson_mut_obj_put(object, name, value);
}

/* The tree of `SELECT hidden FROM the join, with the further conditions`, as JSON. */
static void write_match(const joining *joining)
{
    planner *planner = joining->planner;
    node *root = yyjson_mut_doc_get_root(planner->document);
    yyjson_mut_doc *copy = yyjson_mut_doc_mut_copy(planner->document, NULL);
    yyjson_mut_doc *original = planner->document;
    size_t length = 0;
    (void)root;
    if (copy == NULL) {
        planner->no_memory = true;
        return;
    }
    node *statement =
        yyjson_mut_arr_get_first(yyjson_mut_obj_get(yyjson_mut_doc_get_root(copy), "statements"));
    planner->document = copy;
    node *select = yyjson_mut_obj(copy), *list = yyjson_mut_arr(copy), *map = yyjson_mut_obj(copy);
    node *from = yyjson_mut_val_mut_copy(copy, joining->join);
    planner->no_memory |=
        !yyjson_mut_arr_append(list, hidden_of(planner, joining->left.item->alias));
    put(planner, from, "condition", conjunction(joining, joining->further, joining->n_further));
    put(planner, from, "using_columns", yyjson_mut_arr(copy));
    query_put_text(planner, from, "join_type", "INNER");
    put(planner, map, "map", yyjson_mut_arr(copy));
    query_put_text(planner, select, "type", "SELECT_NODE");
    put(planner, select, "modifiers", yyjson_mut_arr(copy));
    put(planner, select, "cte_map", map);
    put(planner, select, "select_list", list);
    put(planner, select, "from_table", from);
    static const char *const nothing[] = {"where_clause", "having", "sample", "qualify"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        put(planner, select, nothing[i], yyjson_mut_null(copy));
    put(planner, select, "group_expressions", yyjson_mut_arr(copy));
    put(planner, select, "group_sets", yyjson_mut_arr(copy));
    query_put_text(planner, select, "aggregate_handling", "STANDARD_HANDLING");
    put(planner, statement, "node", select);
    char *json = planner->no_memory ? NULL : yyjson_mut_write(copy, SQL_TREE_WRITE, &length);
    joining->out->match = json == NULL ? NULL : arena_copy(planner->arena, json, length);
    joining->out->match_length = length;
    planner->no_memory |= joining->out->match == NULL;
    free(json);
    planner->document = original;
    yyjson_mut_doc_free(copy);
}

static void rewrite(const joining *joining)
{
    planner *planner = joining->planner;
    node *join = joining->join, *using = yyjson_mut_obj_get(join, "using_columns");
    node *condition = yyjson_mut_obj_get(join, "condition");
    if (joining->n_further > 0 && joining->out->is_outer)
        write_match(joining);
    if (!tree_is_empty(using)) {
        planner->no_memory |=
            !yyjson_mut_arr_append(using, yyjson_mut_str(planner->document, SOURCE_ROW_COLUMN));
        return;
    }
    put(planner, join, "condition",
        joining->out->is_asof ? conjunction(joining, NULL, 0)
                              : conjunction(joining, &condition, 1));
    query_put_text(planner, join, "ref_type", "REGULAR");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* What the two readers must say besides. */
static void check_readers(joining *joining)
{
    const side *sides[] = {&joining->left, &joining->right};
    for (int i = 0; i < 2 && !joining->failed; i++) {
        const plan_reader *reader = reader_of_side(joining, sides[i]);
        const bool needs_within = !joining->out->is_asof || i == 1;
        if ((reader->has_within || !needs_within) && reader->time_column >= 0)
            continue;
        if (reader->has_within && reader->time_column < 0)
            continue; /* the column that is not there is told elsewhere */
        REFUSE(joining, joining->position,
               "the join of the streams \"%s\" and \"%s\" has no bound for \"%s\": any row might "
               "still find its partner, so all would have to be kept for ever; say at that reader "
               "`timestamp: {from: COLUMN}`, the column that has its time, and `within: 10 "
               "minutes`, %s",
               reader_of_side(joining, &joining->left)->id,
               reader_of_side(joining, &joining->right)->id, reader->id,
               joining->out->is_asof ? "how old the row as of a time may be"
                                     : "how much later its partner's time may be");
    }
}

/* Which kind of join it is. */
static void check_kind(joining *joining)
{
    const char *type = tree_text(joining->join, "join_type");
    const char *kind = tree_text(joining->join, "ref_type");
    plan_join *out = joining->out;
    const char *left = reader_of_side(joining, &joining->left)->id;
    const char *right = reader_of_side(joining, &joining->right)->id;
    out->is_asof = strcmp(kind, "ASOF") == 0;
    out->is_outer = strcmp(type, "LEFT") == 0 || strcmp(type, "RIGHT") == 0;
    if (strcmp(kind, "REGULAR") != 0 && !out->is_asof)
        REFUSE(joining, joining->position,
               "the streams \"%s\" and \"%s\" are joined without an equality in ON: write JOIN ... "
               "ON with the columns that must be equal",
               left, right);
    else if (strcmp(type, "INNER") != 0 && !(out->is_outer && !out->is_asof) &&
             strcmp(type, "LEFT") != 0)
        REFUSE(
            joining, joining->position,
            "%s JOIN of the streams \"%s\" and \"%s\" is not possible: JOIN, LEFT JOIN and RIGHT "
            "JOIN are, and ASOF JOIN and ASOF LEFT JOIN%s",
            type, left, right,
            strcmp(type, "ANTI") == 0
                ? "; for rows without partner, LEFT JOIN and WHERE the partner's key IS NULL"
                : "");
}

static bool is_direct(const item *items, node *reference)
{
    return items != NULL && items->next == NULL && items->reader >= 0 && items->carries &&
           tree_is(reference, "BASE_TABLE");
}

const item *query_join(planner *planner, node *join, const item *left, const item *right,
                       int64_t position)
{
    joining joining = {
        .planner = planner, .join = join, .out = &planner->out->join, .position = position};
    if (!is_direct(left, yyjson_mut_obj_get(join, "left")) ||
        !is_direct(right, yyjson_mut_obj_get(join, "right"))) {
        REFUSE(&joining, position,
               "two streams are joined by their readers' names, and before all else: write FROM a "
               "JOIN b ON ..., further joins behind it, and what chooses rows into WHERE");
        return left;
    }
    if (planner->out->has_join || left->reader == right->reader) {
        REFUSE(&joining, position,
               left->reader == right->reader
                   ? "a stream cannot be joined with itself: declare a second reader of the same "
                     "rows"
                   : "a query can have one join of two streams");
        return left;
    }
    *joining.out = (plan_join){0};
    joining.left = (side){left, (uint32_t)left->reader};
    joining.right = (side){right, (uint32_t)right->reader};
    check_kind(&joining);
    if (!joining.failed)
        check_readers(&joining);
    if (!joining.failed)
        take_using(&joining);
    if (!joining.failed)
        take_condition(&joining, yyjson_mut_obj_get(join, "condition"), 0);
    if (!joining.failed && joining.out->n_keys == 0)
        REFUSE(&joining, position,
               "the join of the streams \"%s\" and \"%s\" needs an equality of two columns, as in "
               "ON a.id = b.id: it tells whose rows belong together",
               reader_of_side(&joining, &joining.left)->id,
               reader_of_side(&joining, &joining.right)->id);
    if (!joining.failed && joining.out->is_asof && !joining.has_time)
        REFUSE(&joining, position,
               "an as-of join of streams needs the comparison of the times, as in ON a.id = b.id "
               "AND a.ts >= b.ts");
    if (joining.failed)
        return left;
    rewrite(&joining);
    const bool is_right = strcmp(tree_text(join, "join_type"), "RIGHT") == 0;
    joining.out->readers[0] = joining.left.reader;
    joining.out->readers[1] = joining.right.reader;
    joining.out->outer = is_right ? 1 : 0;
    planner->out->has_join = true;
    planner->join_alias = is_right ? right->alias : left->alias;
    for (int i = 0; i < 2; i++) {
        const plan_reader *reader =
            reader_of_side(&joining, i == 0 ? &joining.left : &joining.right);
        if (reader->time_column >= 0)
            planner->out->columns[joining.out->readers[i]][reader->time_column] = true;
    }
    return is_right ? right : left;
}
