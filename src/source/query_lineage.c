/* query_lineage.c - see query_lineage.h.
 *
 * Each thing in a FROM clause is a relation: its name, and columns with the set of reader columns
 * that they are made of. The walk goes down to the tables (a reader's columns are made of
 * themselves) and comes up with the relation that the query is. A set is an array of bool, one for
 * each column of all readers: a query has few columns, and is looked at once.
 *
 * A function in FROM (unnest) gives columns whose names its text need not say: every name that is
 * not found elsewhere is taken for one of its own.
 */
#include "source/query_lineage.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "source/query_tree.h"
#include "source/source_internal.h"

#define TRACING "looking where columns come from"

typedef bool *set; /* of columns of readers; NULL: empty */

typedef struct made_column {
    const char *name;
    set of;
} made_column;

typedef struct relation {
    const struct relation *next; /* in the same FROM */
    const char *alias;
    made_column *columns;
    uint32_t n, capacity;
    set any; /* of columns that are not named; NULL: it has none */
} relation;

typedef struct known_cte {
    const struct known_cte *outer;
    const char *name;
    const relation *body;
} known_cte;

typedef struct tracer {
    const source *source;
    arena *arena;
    const lineage *lineage;
    bool is_lost; /* a form that the walk does not know */
    bool no_memory;
} tracer;

static relation *trace_query(tracer *tracer, node *query, const known_cte *ctes, uint32_t depth);

/* ---- sets and relations ---------------------------------------------------------------------- */

static set new_set(tracer *tracer)
{
    set made = arena_zero(tracer->arena, tracer->lineage->n + (size_t)1, sizeof *made);
    tracer->no_memory |= made == NULL;
    return made;
}

static void add_set(const tracer *tracer, set into, const bool *from)
{
    for (uint32_t i = 0; into != NULL && from != NULL && i < tracer->lineage->n; i++)
        into[i] = into[i] || from[i];
}

static relation *new_relation(tracer *tracer, const char *alias)
{
    relation *made = arena_zero(tracer->arena, 1, sizeof *made);
    tracer->no_memory |= made == NULL;
    if (made != NULL)
        made->alias = alias;
    return made;
}

static void add_column(tracer *tracer, relation *to, const char *name, set of)
{
    if (to == NULL)
        return;
    if (to->n == to->capacity) {
        const uint32_t capacity = to->capacity == 0 ? 16 : 2 * to->capacity;
        made_column *grown =
            arena_grow(tracer->arena, to->columns, to->n * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) {
            tracer->no_memory = true;
            return;
        }
        to->columns = grown;
        to->capacity = capacity;
    }
    to->columns[to->n++] = (made_column){name, of};
}

static const made_column *find_column(const relation *in, const char *name)
{
    for (uint32_t i = 0; i < in->n; i++)
        if (strcasecmp(in->columns[i].name, name) == 0)
            return &in->columns[i];
    return NULL;
}

static const relation *find_relation(const relation *scope, const char *alias)
{
    while (scope != NULL && strcasecmp(scope->alias, alias) != 0)
        scope = scope->next;
    return scope;
}

static void add_whole_row(const tracer *tracer, const relation *row, set into)
{
    for (uint32_t i = 0; i < row->n; i++)
        add_set(tracer, into, row->columns[i].of);
    add_set(tracer, into, row->any);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static const char *nth_text(node *list, size_t i)
{
    const char *text = yyjson_mut_get_str(yyjson_mut_arr_get(list, i));
    return text == NULL ? "" : text;
}

/* a, t.a, t.a.field, a.field: a name of the scope's, and what follows it. */
static void add_reference(const tracer *tracer, const relation *scope, node *names, set into)
{
    const relation *of = find_relation(scope, nth_text(names, 0));
    const made_column *column = NULL;
    if (of != NULL && yyjson_mut_arr_size(names) > 1) {
        column = find_column(of, nth_text(names, 1));
        add_set(tracer, into, column == NULL ? of->any : column->of);
        return;
    }
    bool found = false;
    for (const relation *at = scope; at != NULL; at = at->next)
        if ((column = find_column(at, nth_text(names, 0))) != NULL) {
            add_set(tracer, into, column->of); /* of both sides of USING */
            found = true;
        }
    if (found)
        return;
    if (of != NULL)
        add_whole_row(tracer, of, into);
    for (const relation *at = scope; of == NULL && at != NULL; at = at->next)
        add_set(tracer, into, at->any);
}

static relation *lineage_append(relation *first, relation *more)
{
    relation *last = first;
    if (first == NULL)
        return more;
    while (last->next != NULL)
        last = (relation *)last->next;
    last->next = more;
    return first;
}

/* Adds what an expression mentions. */
static void add_mentions(tracer *tracer, node *any, const relation *scope, const known_cte *ctes,
                         uint32_t depth, set into)
{
    size_t index, n;
    node *key, *value;
    if (any == NULL || !yyjson_mut_is_ctn(any) || tracer->no_memory)
        return;
    if (depth > PLAN_DEPTH_MAX) {
        tracer->is_lost = true;
        return;
    }
    if (yyjson_mut_is_arr(any)) {
        yyjson_mut_arr_foreach(any, index, n, value)
        {
            add_mentions(tracer, value, scope, ctes, depth + 1, into);
        }
        return;
    }
    if (tree_has_class(any, "COLUMN_REF")) {
        add_reference(tracer, scope, yyjson_mut_obj_get(any, "column_names"), into);
        return;
    }
    if (tree_has_class(any, "STAR"))
        for (const relation *at = scope; at != NULL; at = at->next)
            add_whole_row(tracer, at, into);
    node *query = yyjson_mut_obj_get(yyjson_mut_obj_get(any, "subquery"), "node");
    if (query != NULL) {
        const relation *inner = trace_query(tracer, query, ctes, depth + 1);
        if (inner != NULL)
            add_whole_row(tracer, inner, into);
    }
    yyjson_mut_obj_foreach(any, index, n, key, value)
    {
        if (strcmp(yyjson_mut_get_str(key), "subquery") != 0)
            add_mentions(tracer, value, scope, ctes, depth + 1, into);
    }
}

/* ---- FROM ------------------------------------------------------------------------------------ */

static relation *trace_reader(tracer *tracer, uint32_t reader, const char *alias)
{
    const schema *schema = tracer->lineage->columns[reader];
    relation *made = new_relation(tracer, alias);
    for (uint32_t i = 0; made != NULL && i < schema->n_fields; i++) {
        set of = new_set(tracer);
        if (of != NULL)
            of[tracer->lineage->first[reader] + i] = true;
        add_column(tracer, made, schema->fields[i].name, of);
    }
    return made;
}

/* The relation under another name, and with other names of its first columns. */
static relation *renamed(tracer *tracer, const relation *from, const char *alias, node *names)
{
    relation *made = new_relation(tracer, alias);
    for (uint32_t i = 0; from != NULL && i < from->n; i++)
        add_column(tracer, made,
                   i < yyjson_mut_arr_size(names) ? nth_text(names, i) : from->columns[i].name,
                   from->columns[i].of);
    if (made != NULL && from != NULL)
        made->any = from->any;
    return made;
}

static relation *trace_table(tracer *tracer, node *table, const known_cte *ctes)
{
    const char *name = tree_text(table, "table_name"), *alias = tree_text(table, "alias");
    node *names = yyjson_mut_obj_get(table, "column_name_alias");
    if (alias[0] == '\0')
        alias = name;
    for (; ctes != NULL; ctes = ctes->outer)
        if (strcasecmp(ctes->name, name) == 0)
            return renamed(tracer, ctes->body, alias, names);
    for (uint32_t i = 0; i < tracer->lineage->n_readers; i++)
        if (strcasecmp(tracer->source->plan_readers[i].id, name) == 0)
            return renamed(tracer, trace_reader(tracer, i, alias), alias, names);
    tracer->is_lost = true;
    return NULL;
}

static relation *trace_from(tracer *tracer, node *from, const relation *before,
                            const known_cte *ctes, uint32_t depth);

/* Both sides; of columns of USING only the left one is there for a star, and is made of both. */
static relation *trace_join(tracer *tracer, node *join, const relation *before,
                            const known_cte *ctes, uint32_t depth)
{
    relation *left = trace_from(tracer, yyjson_mut_obj_get(join, "left"), before, ctes, depth + 1);
    relation *right = trace_from(tracer, yyjson_mut_obj_get(join, "right"),
                                 left == NULL ? before : left, ctes, depth + 1);
    if (strcmp(tree_text(join, "ref_type"), "NATURAL") == 0)
        tracer->is_lost = true;
    return lineage_append(left, right);
}

static relation *trace_function(tracer *tracer, node *from, const relation *before,
                                const known_cte *ctes, uint32_t depth)
{
    node *names = yyjson_mut_obj_get(from, "column_name_alias");
    relation *made = new_relation(tracer, tree_text(from, "alias"));
    set of = new_set(tracer);
    add_mentions(tracer, yyjson_mut_obj_get(from, "function"), before, ctes, depth + 1, of);
    for (size_t i = 0; i < yyjson_mut_arr_size(names); i++)
        add_column(tracer, made, nth_text(names, i), of);
    if (made != NULL)
        made->any = of;
    return made;
}

/* `before`: what a function may mention. */
static relation *trace_from(tracer *tracer, node *from, const relation *before,
                            const known_cte *ctes, uint32_t depth)
{
    if (from == NULL || tracer->no_memory || tree_is(from, "EMPTY"))
        return NULL;
    if (depth > PLAN_DEPTH_MAX) {
        tracer->is_lost = true;
        return NULL;
    }
    if (tree_is(from, "BASE_TABLE"))
        return trace_table(tracer, from, ctes);
    if (tree_is(from, "JOIN"))
        return trace_join(tracer, from, before, ctes, depth);
    if (tree_is(from, "TABLE_FUNCTION"))
        return trace_function(tracer, from, before, ctes, depth);
    if (!tree_is(from, "SUBQUERY")) {
        tracer->is_lost = true; /* PIVOT, VALUES ... */
        return NULL;
    }
    node *query = yyjson_mut_obj_get(yyjson_mut_obj_get(from, "subquery"), "node");
    return renamed(tracer, trace_query(tracer, query, ctes, depth + 1), tree_text(from, "alias"),
                   yyjson_mut_obj_get(from, "column_name_alias"));
}

/* ---- a query --------------------------------------------------------------------------------- */

/* Is the name one of these texts, or the second part of one? */
static bool is_listed(node *list, const char *name)
{
    size_t index, n;
    node *value;
    yyjson_mut_arr_foreach(list, index, n, value)
    {
        const char *text = yyjson_mut_get_str(value);
        if (text == NULL)
            text = tree_text(value, "column");
        if (strcasecmp(text, name) == 0)
            return true;
    }
    return false;
}

/* The columns that USING has joined, of all joins of a FROM: in a star they stand once. */
static bool is_joined_using(node *from, const char *name, uint32_t depth)
{
    return from != NULL && depth < PLAN_DEPTH_MAX && tree_is(from, "JOIN") &&
           (is_listed(yyjson_mut_obj_get(from, "using_columns"), name) ||
            is_joined_using(yyjson_mut_obj_get(from, "left"), name, depth + 1) ||
            is_joined_using(yyjson_mut_obj_get(from, "right"), name, depth + 1));
}

static void expand_star(tracer *tracer, node *star, node *from, const relation *scope,
                        relation *into)
{
    const char *only = tree_text(star, "relation_name");
    node *exclude = yyjson_mut_obj_get(star, "exclude_list");
    if (!tree_is_empty(yyjson_mut_obj_get(star, "replace_list")) ||
        !tree_is_empty(yyjson_mut_obj_get(star, "rename_list")) ||
        yyjson_mut_get_bool(yyjson_mut_obj_get(star, "columns")))
        tracer->is_lost = true;
    for (const relation *at = scope; at != NULL; at = at->next) {
        if (only[0] != '\0' && strcasecmp(at->alias, only) != 0)
            continue;
        tracer->is_lost |= at->any != NULL && at->n == 0;
        for (uint32_t i = 0; i < at->n; i++) {
            const char *name = at->columns[i].name;
            if (is_listed(exclude, name) || (only[0] == '\0' && is_joined_using(from, name, 0) &&
                                             find_column(into, name) != NULL))
                continue;
            add_column(tracer, into, name, at->columns[i].of);
        }
    }
}

static const char *item_name(node *item)
{
    const char *alias = tree_text(item, "alias");
    node *names = yyjson_mut_obj_get(item, "column_names");
    if (alias[0] != '\0' || names == NULL)
        return alias;
    return nth_text(names, yyjson_mut_arr_size(names) - 1);
}

static relation *trace_select(tracer *tracer, node *select, const known_cte *ctes, uint32_t depth)
{
    node *from = yyjson_mut_obj_get(select, "from_table"), *item;
    relation *scope = trace_from(tracer, from, NULL, ctes, depth + 1);
    relation *made = new_relation(tracer, "");
    size_t index, n;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(select, "select_list"), index, n, item)
    {
        if (made == NULL)
            break;
        if (tree_has_class(item, "STAR")) {
            expand_star(tracer, item, from, scope, made);
            continue;
        }
        set of = new_set(tracer);
        add_mentions(tracer, item, scope, ctes, depth + 1, of);
        add_column(tracer, made, item_name(item), of);
    }
    return made;
}

/* Adds the columns of another branch: those of its place, or of its name. */
static void add_branch(tracer *tracer, relation *into, const relation *branch, bool by_name)
{
    for (uint32_t i = 0; into != NULL && branch != NULL && i < branch->n; i++) {
        const made_column *of = &branch->columns[i];
        made_column *to = by_name       ? (made_column *)find_column(into, of->name)
                          : i < into->n ? &into->columns[i]
                                        : NULL;
        if (to == NULL && by_name) {
            add_column(tracer, into, of->name, of->of);
        } else if (to != NULL) {
            set both = new_set(tracer); /* that of `to` may be a reader's own */
            add_set(tracer, both, to->of);
            add_set(tracer, both, of->of);
            to->of = both;
        }
    }
}

static relation *trace_set_operation(tracer *tracer, node *query, const known_cte *ctes,
                                     uint32_t depth)
{
    const bool by_name = strcmp(tree_text(query, "setop_type"), "UNION_BY_NAME") == 0;
    node *branches = yyjson_mut_obj_get(query, "children"), *branch;
    size_t index, n;
    relation *made = NULL;
    if (branches == NULL) {
        made = trace_query(tracer, yyjson_mut_obj_get(query, "left"), ctes, depth + 1);
        add_branch(tracer, made,
                   trace_query(tracer, yyjson_mut_obj_get(query, "right"), ctes, depth + 1),
                   by_name);
        return made;
    }
    yyjson_mut_arr_foreach(branches, index, n, branch)
    {
        relation *next = trace_query(tracer, branch, ctes, depth + 1);
        if (made == NULL)
            made = next;
        else
            add_branch(tracer, made, next, by_name);
    }
    return made;
}

static const known_cte *trace_ctes(tracer *tracer, node *query, const known_cte *outer,
                                   uint32_t depth)
{
    size_t index, n;
    node *entry;
    yyjson_mut_arr_foreach(tree_ctes(query), index, n, entry)
    {
        known_cte *made = arena_zero(tracer->arena, 1, sizeof *made);
        tracer->no_memory |= made == NULL;
        if (made == NULL)
            return outer;
        node *names = yyjson_mut_obj_get(yyjson_mut_obj_get(entry, "value"), "aliases");
        const char *name = tree_text(entry, "key");
        *made = (known_cte){
            .outer = outer,
            .name = name,
            .body = renamed(tracer, trace_query(tracer, tree_cte_body(entry), outer, depth + 1),
                            name, names)};
        outer = made;
    }
    return outer;
}

static relation *trace_query(tracer *tracer, node *query, const known_cte *ctes, uint32_t depth)
{
    if (query == NULL || tracer->no_memory)
        return NULL;
    if (depth > PLAN_DEPTH_MAX) {
        tracer->is_lost = true;
        return NULL;
    }
    ctes = trace_ctes(tracer, query, ctes, depth);
    if (tree_is(query, "SELECT_NODE"))
        return trace_select(tracer, query, ctes, depth);
    if (tree_is(query, "SET_OPERATION_NODE"))
        return trace_set_operation(tracer, query, ctes, depth);
    tracer->is_lost = true;
    return NULL;
}

/* ---- the interface --------------------------------------------------------------------------- */

static freshet_code number_columns(const source *source, arena *arena, lineage *out,
                                   freshet_error *err)
{
    out->n_readers = source->n_readers;
    out->columns = arena_zero(arena, source->n_readers + (size_t)1, sizeof *out->columns);
    out->first = arena_zero(arena, source->n_readers + (size_t)1, sizeof *out->first);
    if (out->columns == NULL || out->first == NULL)
        return error_memory(err, TRACING);
    for (uint32_t i = 0; i < source->n_readers; i++) {
        out->columns[i] = source->plan_readers[i].schema;
        out->first[i] = out->n;
        out->n += out->columns[i]->n_fields;
    }
    return FRESHET_OK;
}

static freshet_code trace_tree(tracer *tracer, const char *json, size_t length, lineage *out,
                               freshet_error *err)
{
    yyjson_doc *read = yyjson_read(json, length, SQL_TREE_READ);
    yyjson_mut_doc *tree = read == NULL ? NULL : yyjson_doc_mut_copy(read, NULL);
    yyjson_doc_free(read);
    if (tree == NULL)
        return error_memory(err, TRACING);
    node *statement =
        yyjson_mut_arr_get(yyjson_mut_obj_get(yyjson_mut_doc_get_root(tree), "statements"), 0);
    const relation *all = trace_query(tracer, yyjson_mut_obj_get(statement, "node"), NULL, 0);
    out->n_made = source_schema(tracer->source)->n_fields;
    bool *made = arena_zero(tracer->arena, out->n_made * (size_t)out->n + 1, sizeof *made);
    out->made = made;
    out->is_known = !tracer->is_lost && all != NULL && all->n == out->n_made;
    for (uint32_t i = 0; made != NULL && out->is_known && i < out->n_made; i++)
        if (all->columns[i].of != NULL)
            memcpy(made + i * (size_t)out->n, all->columns[i].of, out->n * sizeof *made);
    yyjson_mut_doc_free(tree);
    return made == NULL || tracer->no_memory ? error_memory(err, TRACING) : FRESHET_OK;
}

freshet_code source_lineage(const source *source, arena *arena, lineage *out, freshet_error *err)
{
    const char *json = NULL;
    size_t length = 0;
    *out = (lineage){0};
    freshet_code code = number_columns(source, arena, out, err);
    if (code == FRESHET_OK)
        code = sql_tree(source->session, arena, source->text.sql, &json, &length, NULL, err);
    if (code != FRESHET_OK)
        return code;
    tracer tracer = {.source = source, .arena = arena, .lineage = out};
    return trace_tree(&tracer, json, length, out, err);
}
