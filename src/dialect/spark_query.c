/* spark_query.c - SELECTs: what is read first, what is seen where.
 *
 * The clauses of a SELECT are read in another order than they are written: FROM, for its columns;
 * the list, for its aliases; then WHERE, GROUP BY, HAVING and WINDOW. ORDER BY and LIMIT belong to
 * the whole query; behind a single SELECT they see its columns, too.
 *
 * Stars become the columns that they stand for. Each item gets its name, so that nothing depends on
 * how DuckDB would call it.
 */
#include <string.h>
#include <strings.h>

#include "dialect/spark_from.h"
#include "dialect/spark_internal.h"

/* A SELECT that has been read: for ORDER BY. */
typedef struct selected {
    spark_query query;
    spark_scope *scope; /* the columns of its FROM; NULL where several SELECTs are put together */
    bool is_distinct;
} selected;

bool spark_at_query(const spark *s, uint32_t ahead)
{
    while (spark_is(s, ahead, "(") && s->at + ahead < s->n_tokens)
        ahead++;
    return spark_is(s, ahead, "select") || spark_is(s, ahead, "with") ||
           (spark_is(s, ahead, "values") && spark_is(s, ahead + 1, "("));
}

/* ---- ORDER BY ---- */

static bool take_ordinal(spark *s, const char **sql)
{
    const spark_token *here = spark_peek(s, 0), *next = spark_peek(s, 1);
    if (here->kind != TOKEN_INTEGER || here->suffix != 0 || here->length > 6)
        return false;
    if (next->kind != TOKEN_END && !spark_token_is(next, ",") && !spark_token_is(next, ")") &&
        next->kind != TOKEN_NAME)
        return false;
    *sql = spark_format(s, "%.*s", (int)here->length, here->text);
    s->at++;
    return true;
}

const char *spark_order_list(spark *s)
{
    const char *list = "";
    do {
        const char *sql;
        if (!take_ordinal(s, &sql))
            sql = spark_expression(s).sql;
        const bool is_down = spark_take(s, "desc");
        if (!is_down)
            spark_take(s, "asc");
        bool nulls_first = !is_down;
        if (spark_take(s, "nulls")) {
            nulls_first = spark_is(s, 0, "first");
            if (!nulls_first && !spark_is(s, 0, "last"))
                spark_expect(s, "first");
            s->at++;
        }
        list = spark_format(s, "%s%s%s %s NULLS %s", list, list[0] == '\0' ? "" : ", ", sql,
                            is_down ? "DESC" : "ASC", nulls_first ? "FIRST" : "LAST");
    } while (spark_take(s, ","));
    return list;
}

/* ---- windows ---- */

static const char *expression_list(spark *s)
{
    const char *list = "";
    do
        list =
            spark_format(s, "%s%s%s", list, list[0] == '\0' ? "" : ", ", spark_expression(s).sql);
    while (spark_take(s, ","));
    return list;
}

static const char *frame_bound(spark *s)
{
    if (spark_take(s, "unbounded"))
        return spark_take(s, "preceding") ? "UNBOUNDED PRECEDING"
                                          : (spark_expect(s, "following"), "UNBOUNDED FOLLOWING");
    if (spark_take(s, "current")) {
        spark_expect(s, "row");
        return "CURRENT ROW";
    }
    const char *sql = spark_expression(s).sql;
    if (spark_take(s, "preceding"))
        return spark_format(s, "%s PRECEDING", sql);
    spark_expect(s, "following");
    return spark_format(s, "%s FOLLOWING", sql);
}

const char *spark_window(spark *s)
{
    const char *sql = "";
    if (!spark_is(s, 0, "("))
        return spark_quoted(s, spark_take_name(s, "a window"));
    s->at++;
    if ((spark_is(s, 0, "partition") || spark_is(s, 0, "distribute")) && spark_is(s, 1, "by")) {
        s->at += 2;
        sql = spark_format(s, "PARTITION BY %s", expression_list(s));
    }
    if ((spark_is(s, 0, "order") || spark_is(s, 0, "sort")) && spark_is(s, 1, "by")) {
        s->at += 2;
        sql = spark_format(s, "%s ORDER BY %s", sql, spark_order_list(s));
    }
    if (spark_is(s, 0, "rows") || spark_is(s, 0, "range")) {
        const char *unit = spark_is(s, 0, "rows") ? "ROWS" : "RANGE";
        s->at++;
        if (spark_take(s, "between")) {
            const char *from = frame_bound(s);
            spark_expect(s, "and");
            sql = spark_format(s, "%s %s BETWEEN %s AND %s", sql, unit, from, frame_bound(s));
        } else {
            sql = spark_format(s, "%s %s %s", sql, unit, frame_bound(s));
        }
    }
    if (sql[0] == '\0' && spark_peek(s, 0)->kind == TOKEN_NAME)
        sql = spark_quoted(s, spark_take_name(s, "a window"));
    spark_expect(s, ")");
    return spark_format(s, "(%s)", sql);
}

static const char *parse_windows(spark *s)
{
    const char *sql = "";
    do {
        const char *name = spark_take_name(s, "a window");
        spark_expect(s, "as");
        sql = spark_format(s, "%s%s%s AS %s", sql, sql[0] == '\0' ? " WINDOW " : ", ",
                           spark_quoted(s, name), spark_window(s));
    } while (spark_take(s, ","));
    return sql;
}

/* ---- the list of a SELECT ---- */

typedef struct items {
    const char *sql;
    spark_scope columns; /* named, with what stands for them as sql */
} items;

static void spark_add_item(spark *s, items *items, const spark_value *value, const char *name)
{
    const spark_column column = {.name = name, .type = value->type, .sql = value->sql};
    items->sql = spark_format(s, "%s%s%s AS %s", items->sql, items->columns.n == 0 ? "" : ", ",
                              value->sql, spark_quoted(s, name));
    spark_scope_add(s, &items->columns, &column);
}

/* Spark ends a name that no letter is in with the item's own text. */
static const char *text_between(spark *s, uint32_t from, uint32_t to)
{
    const uint32_t at = s->tokens[from].at, end = s->tokens[to - 1].end;
    return spark_format(s, "%.*s", (int)(end - at), s->text + at);
}

static bool ends_item(const spark *s)
{
    static const char *const words[] = {"from",   "where", "group",   "having",     "order",
                                        "limit",  "union", "except",  "minus",      "intersect",
                                        "window", "sort",  "cluster", "distribute", "lateral",
                                        "offset", "set"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (spark_is(s, 0, words[i]))
            return true;
    return false;
}

static bool in_list(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* * and t.*, with EXCEPT (a, b). */
static void add_star(spark *s, items *items, const char *table, uint32_t at)
{
    const char *left_out[SPARK_ARGUMENTS_MAX];
    uint32_t n = 0, found = 0;
    if (spark_is(s, 0, "except") && spark_is(s, 1, "(") && !spark_at_query(s, 1)) {
        s->at += 2;
        do
            left_out[n++] = spark_take_name(s, "a column");
        while (n < SPARK_ARGUMENTS_MAX && spark_take(s, ","));
        spark_expect(s, ")");
    }
    for (uint32_t i = 0; s->scope != NULL && i < s->scope->n && !s->failed; i++) {
        const spark_column *column = &s->scope->columns[i];
        if ((table == NULL && column->is_hidden) || in_list(left_out, n, column->name) ||
            (table != NULL && (column->table == NULL || strcasecmp(column->table, table) != 0)))
            continue;
        const spark_value value = spark_made(s, at, column->type, "%s", column->sql);
        spark_add_item(s, items, &value, column->name);
        found++;
    }
    if (found == 0 && !s->is_blind && !s->failed)
        spark_refuse(s, at,
                     table == NULL ? "* stands for no columns here"
                                   : "there is no table of that name before the star");
}

static void parse_item(spark *s, items *items)
{
    const spark_token *here = spark_peek(s, 0);
    const uint32_t from = s->at;
    if (spark_take(s, "*")) {
        add_star(s, items, NULL, here->at);
        return;
    }
    if ((here->kind == TOKEN_NAME || here->kind == TOKEN_QUOTED) && spark_is(s, 1, ".") &&
        spark_is(s, 2, "*")) {
        const char *table = spark_take_name(s, "a table");
        s->at += 2;
        add_star(s, items, table, here->at);
        return;
    }
    spark_value value = spark_expression(s);
    if (s->failed)
        return;
    const char *name = value.name != NULL ? value.name : text_between(s, from, s->at);
    const spark_token *next = spark_peek(s, 0);
    if (spark_take(s, "as") || next->kind == TOKEN_QUOTED ||
        (next->kind == TOKEN_NAME && !ends_item(s)))
        name = spark_take_name(s, "a column's name");
    if (value.type->kind == SPARK_NULL && value.sql != NULL)
        value.sql = spark_format(s, "%s", value.sql);
    spark_add_item(s, items, &value, name);
}

/* ---- GROUP BY ---- */

static const char *group_set(spark *s)
{
    const char *sql = "";
    if (!spark_take(s, "("))
        return take_ordinal(s, &sql) ? sql : spark_expression(s).sql;
    if (!spark_is(s, 0, ")"))
        sql = expression_list(s);
    spark_expect(s, ")");
    return spark_format(s, "(%s)", sql);
}

static const char *parse_group(spark *s)
{
    const char *sql = "";
    if (spark_is(s, 0, "all") && !spark_is(s, 1, ".") && !spark_is(s, 1, ",")) {
        s->at++;
        return " GROUP BY ALL";
    }
    do {
        const char *item, *word = spark_is(s, 0, "rollup") ? "ROLLUP"
                                  : spark_is(s, 0, "cube") ? "CUBE"
                                  : spark_is(s, 0, "grouping") && spark_is(s, 1, "sets")
                                      ? "GROUPING SETS"
                                      : NULL;
        if (word != NULL && spark_is(s, word[0] == 'G' ? 2 : 1, "(")) {
            s->at += word[0] == 'G' ? 3 : 2;
            item = "";
            do
                item = spark_format(s, "%s%s%s", item, item[0] == '\0' ? "" : ", ", group_set(s));
            while (spark_take(s, ","));
            spark_expect(s, ")");
            item = spark_format(s, "%s (%s)", word, item);
        } else if (!take_ordinal(s, &item)) {
            item = spark_expression(s).sql;
        }
        sql = spark_format(s, "%s%s%s", sql, sql[0] == '\0' ? "" : ", ", item);
    } while (spark_take(s, ","));
    if (spark_take(s, "with")) {
        const bool is_cube = spark_take(s, "cube");
        if (!is_cube)
            spark_expect(s, "rollup");
        return spark_format(s, " GROUP BY %s (%s)", is_cube ? "CUBE" : "ROLLUP", sql);
    }
    return spark_format(s, " GROUP BY %s", sql);
}

/* ---- a SELECT ---- */

/* The word FROM of the SELECT whose list begins here; 0: it has none. */
static uint32_t find_from(const spark *s)
{
    uint32_t depth = 0;
    for (uint32_t i = s->at; i < s->n_tokens; i++) {
        const spark_token *token = &s->tokens[i];
        if (spark_token_is(token, "(") || spark_token_is(token, "["))
            depth++;
        if (spark_token_is(token, ")") || spark_token_is(token, "]")) {
            if (depth == 0)
                return 0;
            depth--;
        }
        const bool is_compared =
            i > 0 && spark_token_is(&s->tokens[i - 1], "distinct") && i > s->at + 1;
        const bool is_part = i > 0 && spark_token_is(&s->tokens[i - 1], ".");
        if (depth == 0 && spark_token_is(token, "from") && !is_compared && !is_part)
            return i;
        if (depth == 0 && i > s->at &&
            (spark_token_is(token, "union") || spark_token_is(token, "where") ||
             spark_token_is(token, "intersect")))
            return 0;
    }
    return 0;
}

/* The aliases as names that stand for themselves. */
static spark_scope *alias_scope(spark *s, const spark_scope *columns)
{
    spark_scope *scope = arena_zero(s->arena, 1, sizeof *scope);
    if (scope == NULL) {
        spark_no_memory(s);
        return NULL;
    }
    for (uint32_t i = 0; i < columns->n; i++) {
        spark_column column = columns->columns[i];
        column.table = NULL;
        column.sql = spark_quoted(s, column.name);
        spark_scope_add(s, scope, &column);
    }
    return scope;
}

static selected parse_select(spark *s)
{
    selected out = {{.sql = ""}, NULL, false};
    items items = {.sql = ""};
    spark_scope *scope = arena_zero(s->arena, 1, sizeof *scope), *outer = s->scope;
    spark_scope *outer_aliases = s->aliases;
    if (scope == NULL) {
        spark_no_memory(s);
        return out;
    }
    spark_expect(s, "select");
    out.is_distinct = spark_take(s, "distinct");
    if (!out.is_distinct && spark_is(s, 0, "all") && spark_peek(s, 1)->kind != TOKEN_MARK)
        s->at++;
    const uint32_t list = s->at, from = find_from(s);
    const char *tables = "";
    uint32_t behind = 0;
    scope->outer = outer;
    s->aliases = NULL;
    if (from != 0) {
        s->at = from + 1;
        s->scope = outer; /* a subquery in FROM sees what is around the query */
        tables = spark_parse_from(s, scope);
        behind = s->at;
        s->at = list;
    }
    s->scope = scope;
    s->aliases = &items.columns;
    do
        parse_item(s, &items);
    while (spark_take(s, ","));
    if (!s->failed && from != 0 && s->at != from)
        spark_refuse(s, spark_peek(s, 0)->at,
                     "Spark's SQL wants a comma or FROM here, and not "
                     "\"%.*s\"",
                     (int)(spark_peek(s, 0)->length < 40 ? spark_peek(s, 0)->length : 40),
                     spark_peek(s, 0)->text);
    if (from != 0 && !s->failed)
        s->at = behind;
    const char *where = "", *group = "", *having = "", *windows = "";
    s->aliases = NULL;
    if (spark_take(s, "where"))
        where = spark_format(s, " WHERE %s", spark_boolean(s, spark_expression(s)).sql);
    s->aliases = s->failed ? NULL : alias_scope(s, &items.columns);
    if (spark_is(s, 0, "group") && spark_is(s, 1, "by")) {
        s->at += 2;
        group = parse_group(s);
    }
    if (spark_take(s, "having"))
        having = spark_format(s, " HAVING %s", spark_boolean(s, spark_expression(s)).sql);
    if (spark_take(s, "window"))
        windows = parse_windows(s);
    out.query.sql =
        spark_format(s, "SELECT %s%s%s%s%s%s%s%s", out.is_distinct ? "DISTINCT " : "", items.sql,
                     tables[0] == '\0' ? "" : " FROM ", tables, where, group, having, windows);
    out.query.columns = items.columns.columns;
    out.query.n = items.columns.n;
    out.scope = scope;
    s->scope = outer;
    s->aliases = outer_aliases;
    return out;
}

/* ---- queries put together ---- */

static selected parse_set(spark *s, bool intersects);

static selected parse_term(spark *s)
{
    selected out = {{.sql = ""}, NULL, false};
    if (!spark_enter(s))
        return out;
    if (spark_take(s, "(")) {
        out.query = spark_parse_query(s);
        out.query.sql = spark_format(s, "(%s)", out.query.sql);
        spark_expect(s, ")");
    } else if (spark_is(s, 0, "from")) {
        spark_refuse(s, spark_peek(s, 0)->at, "a query begins with SELECT, and FROM follows it");
    } else if (spark_is(s, 0, "values")) {
        out.query = spark_parse_values(s);
    } else {
        out = parse_select(s);
    }
    spark_leave(s);
    return out;
}

/* The same query with its columns cast, where one must be. */
static spark_query cast_columns(spark *s, spark_query query, const spark_type *const *types)
{
    bool is_same = true;
    for (uint32_t i = 0; i < query.n; i++)
        is_same &= spark_type_equal(query.columns[i].type, types[i]);
    if (is_same || s->failed)
        return query;
    const char *sql = "", *names = "";
    for (uint32_t i = 0; i < query.n; i++) {
        spark_value value = {.sql = spark_format(s, "__side.__c%u", i),
                             .type = query.columns[i].type,
                             .at = spark_peek(s, 0)->at};
        value = spark_cast(s, value, types[i]);
        sql = spark_format(s, "%s%s%s AS %s", sql, i == 0 ? "" : ", ", value.sql,
                           spark_quoted(s, query.columns[i].name));
        names = spark_format(s, "%s%s__c%u", names, i == 0 ? "" : ", ", i);
    }
    query.sql = spark_format(s, "SELECT %s FROM (%s) AS __side(%s)", sql, query.sql, names);
    return query;
}

static void put_together(spark *s, selected *out, selected other, const char *operator, uint32_t at)
{
    const spark_type **types;
    const uint32_t n = out->query.n;
    if (s->failed || s->is_blind)
        return;
    if (n != other.query.n) {
        spark_refuse(s, at, "the queries on both sides of %s have %u and %u columns", operator, n,
                     other.query.n);
        return;
    }
    types = arena_alloc(s->arena, (n + (size_t)1) * sizeof(const spark_type *));
    spark_column *columns = arena_alloc(s->arena, (n + (size_t)1) * sizeof *columns);
    if (types == NULL || columns == NULL) {
        spark_no_memory(s);
        return;
    }
    for (uint32_t i = 0; i < n && i < other.query.n && !s->failed; i++) {
        spark_value both[2] = {{.sql = "NULL", .type = out->query.columns[i].type, .at = at},
                               {.sql = "NULL", .type = other.query.columns[i].type, .at = at}};
        types[i] = spark_make_common(s, both, 2, operator);
        columns[i] = out->query.columns[i];
        columns[i].type = types[i];
    }
    if (s->failed)
        return;
    const char *left = cast_columns(s, out->query, types).sql;
    const char *right = cast_columns(s, other.query, types).sql;
    out->query.sql = spark_format(s, "%s %s %s", left, operator, right);
    out->query.columns = columns;
    out->scope = NULL;
}

static selected parse_set(spark *s, bool intersects)
{
    selected out = intersects ? parse_term(s) : parse_set(s, true);
    while (!s->failed) {
        const uint32_t at = spark_peek(s, 0)->at;
        const char *word = NULL;
        if (intersects && spark_is(s, 0, "intersect"))
            word = "INTERSECT";
        else if (!intersects && spark_is(s, 0, "union"))
            word = "UNION";
        else if (!intersects && (spark_is(s, 0, "except") || spark_is(s, 0, "minus")))
            word = "EXCEPT";
        if (word == NULL)
            return out;
        s->at++;
        const bool all = spark_take(s, "all");
        if (!all)
            spark_take(s, "distinct");
        if (all)
            word = spark_format(s, "%s ALL", word);
        put_together(s, &out, intersects ? parse_term(s) : parse_set(s, true), word, at);
    }
    return out;
}

/* ---- the whole ---- */

static const char *parse_with(spark *s)
{
    const char *sql = "";
    if (spark_is(s, 0, "recursive"))
        spark_refuse(s, spark_peek(s, 0)->at, "WITH RECURSIVE is not in Spark 3.5");
    do {
        spark_named *named = arena_zero(s->arena, 1, sizeof *named);
        if (named == NULL) {
            spark_no_memory(s);
            return "";
        }
        named->name = spark_take_name(s, "the name of a query");
        const char *names[SPARK_ARGUMENTS_MAX];
        uint32_t n = 0;
        if (spark_take(s, "(")) {
            do
                names[n++] = spark_take_name(s, "a column's name");
            while (n < SPARK_ARGUMENTS_MAX && spark_take(s, ","));
            spark_expect(s, ")");
        }
        spark_take(s, "as");
        spark_expect(s, "(");
        named->query = spark_parse_query(s);
        spark_expect(s, ")");
        const char *list = "";
        for (uint32_t i = 0; i < n && i < named->query.n; i++) {
            named->query.columns[i].name = names[i];
            list = spark_format(s, "%s%s%s", list, i == 0 ? "" : ", ", spark_quoted(s, names[i]));
        }
        if (n > 0)
            list = spark_format(s, "(%s)", list);
        named->next = s->named;
        s->named = named;
        sql = spark_format(s, "%s%s%s%s AS (%s)", sql, sql[0] == '\0' ? "WITH " : ", ",
                           spark_quoted(s, named->name), list, named->query.sql);
    } while (spark_take(s, ","));
    return spark_format(s, "%s ", sql);
}

static void parse_end(spark *s, selected *out)
{
    spark_scope *outer = s->scope;
    spark_scope *columns =
        s->failed
            ? NULL
            : alias_scope(s, &(spark_scope){.columns = out->query.columns, .n = out->query.n});
    if (columns == NULL)
        return;
    columns->outer = out->scope == NULL ? outer : out->scope;
    s->scope = columns;
    if (spark_is(s, 0, "order") && spark_is(s, 1, "by")) {
        s->at += 2;
        out->query.sql = spark_format(s, "%s ORDER BY %s", out->query.sql, spark_order_list(s));
    }
    s->scope = outer;
    if (spark_is(s, 0, "sort") || spark_is(s, 0, "cluster") || spark_is(s, 0, "distribute"))
        spark_refuse(s, spark_peek(s, 0)->at,
                     "SORT BY, CLUSTER BY and DISTRIBUTE BY order what each of Spark's workers "
                     "has: write ORDER BY, or leave it out");
    if (spark_take(s, "limit") && !spark_take(s, "all"))
        out->query.sql = spark_format(s, "%s LIMIT %s", out->query.sql, spark_expression(s).sql);
    if (spark_take(s, "offset"))
        out->query.sql = spark_format(s, "%s OFFSET %s", out->query.sql, spark_expression(s).sql);
}

spark_query spark_parse_query(spark *s)
{
    spark_query nothing = {.sql = ""};
    spark_named *before = s->named;
    if (!spark_enter(s))
        return nothing;
    const char *with = spark_take(s, "with") ? parse_with(s) : "";
    selected out = parse_set(s, false);
    parse_end(s, &out);
    out.query.sql = spark_format(s, "%s%s", with, out.query.sql);
    s->named = before;
    spark_leave(s);
    return s->failed ? nothing : out.query;
}
