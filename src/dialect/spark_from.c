/* spark_from.c - tables, joins, subqueries, VALUES and LATERAL VIEW behind FROM.
 *
 * JOIN ... USING and NATURAL JOIN are written as ON with Spark's comparison of both columns.
 */
#include "dialect/spark_from.h"

#include <string.h>
#include <strings.h>

#define ROWS_MAX 10000u

void spark_scope_add(spark *s, spark_scope *into, const spark_column *column)
{
    if (s->failed)
        return;
    if (!arena_reserve(s->arena, &into->columns, &into->capacity, into->n + UINT64_C(1),
                       sizeof *into->columns)) {
        spark_no_memory(s);
        return;
    }
    into->columns[into->n++] = *column;
}

static void add_column(spark *s, spark_scope *into, const char *table, const char *name,
                       const spark_type *type)
{
    const spark_column column = {
        .table = table,
        .name = name,
        .type = type,
        .sql = spark_format(s, "%s.%s", spark_quoted(s, table), spark_quoted(s, name))};
    spark_scope_add(s, into, &column);
}

/* ---- names behind a table ---- */

static bool ends_relation(const spark *s)
{
    static const char *const words[] = {
        "on",         "using",  "join",        "inner",  "left",    "right",
        "full",       "cross",  "natural",     "semi",   "anti",    "lateral",
        "where",      "group",  "having",      "order",  "limit",   "union",
        "except",     "minus",  "intersect",   "window", "sort",    "cluster",
        "distribute", "offset", "tablesample", "pivot",  "unpivot", "set"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (spark_is(s, 0, words[i]))
            return true;
    return false;
}

/* [AS] name; `standard` where there is none. */
static const char *take_alias(spark *s, const char *standard)
{
    const spark_token *here = spark_peek(s, 0);
    if (spark_take(s, "as"))
        return spark_take_name(s, "a table's name");
    if (here->kind == TOKEN_QUOTED || (here->kind == TOKEN_NAME && !ends_relation(s)))
        return spark_take_name(s, "a table's name");
    return standard;
}

/* (a, b): new names of the columns; gives how they stand behind the alias. */
static const char *take_names(spark *s, spark_query *query)
{
    const char *sql = "";
    uint32_t n = 0;
    const uint32_t at = spark_peek(s, 0)->at;
    if (!spark_take(s, "("))
        return "";
    do {
        const char *name = spark_take_name(s, "a column's name");
        if (n < query->n)
            query->columns[n].name = name;
        sql = spark_format(s, "%s%s%s", sql, n == 0 ? "" : ", ", spark_quoted(s, name));
        n++;
    } while (spark_take(s, ","));
    spark_expect(s, ")");
    if (!s->failed && n != query->n && !s->is_blind)
        spark_refuse(s, at, "%u names stand here for %u columns", n, query->n);
    return spark_format(s, "(%s)", sql);
}

/* ---- one relation ---- */

static const char *add_query(spark *s, spark_scope *into, spark_query query)
{
    static const char own[] = "__auto_generated_subquery_name";
    const char *alias = take_alias(s, own);
    const char *names = take_names(s, &query);
    for (uint32_t i = 0; i < query.n && !s->failed; i++)
        add_column(s, into, alias, query.columns[i].name, query.columns[i].type);
    return spark_format(s, "(%s) AS %s%s", query.sql, spark_quoted(s, alias), names);
}

static const spark_named *find_named(const spark *s, const char *name)
{
    for (const spark_named *named = s->named; named != NULL; named = named->next)
        if (strcasecmp(named->name, name) == 0)
            return named;
    return NULL;
}

/* The columns of a table that the session sees. */
static spark_query describe(spark *s, const char *name, uint32_t at)
{
    spark_query query = {.sql = ""};
    sql_statement *statement = NULL;
    sql_problem problem;
    freshet_error err;
    const char *sql = spark_format(s, "SELECT * FROM %s", spark_quoted(s, name));
    if (s->failed || s->session == NULL)
        return query;
    const freshet_code code = sql_prepare(s->session, sql, &statement, &problem, &err);
    if (code == FRESHET_USAGE) {
        spark_refuse(s, at, "%.500s", problem.text);
    } else if (code != FRESHET_OK) {
        spark_no_memory(s);
    } else {
        const schema *schema = sql_statement_schema(statement);
        query.columns = arena_zero(s->arena, schema->n_fields + (size_t)1, sizeof *query.columns);
        if (query.columns == NULL)
            spark_no_memory(s);
        for (uint32_t i = 0; query.columns != NULL && !s->failed && i < schema->n_fields; i++) {
            query.columns[i].name = arena_text(s->arena, schema->fields[i].name);
            query.columns[i].type = spark_type_from(s->arena, schema->fields[i].type);
            query.n++;
        }
    }
    sql_statement_close(statement);
    return query;
}

static const char *add_table(spark *s, spark_scope *into)
{
    const spark_token *here = spark_peek(s, 0);
    const char *name = spark_take_name(s, "a table");
    if (spark_is(s, 0, "(")) {
        spark_refuse(s, here->at,
                     "%s() stands here in the place of a table: an array's elements are rows by "
                     "LATERAL VIEW explode(...) t AS x, made numbers by explode(sequence(...))",
                     name);
        return "";
    }
    const char *schema_name = "";
    while (spark_is(s, 0, ".")) { /* schema.table is for DuckDB's refusal */
        s->at++;
        schema_name = spark_format(s, "%s%s.", schema_name, spark_quoted(s, name));
        name = spark_take_name(s, "a table");
    }
    const spark_named *named = schema_name[0] == '\0' ? find_named(s, name) : NULL;
    spark_query query = {.sql = ""};
    if (named != NULL) {
        query = named->query;
        query.columns = arena_alloc(s->arena, (query.n + (size_t)1) * sizeof *query.columns);
        if (query.columns == NULL)
            spark_no_memory(s);
        for (uint32_t i = 0; query.columns != NULL && i < query.n; i++)
            query.columns[i] = named->query.columns[i];
    } else if (!s->failed && schema_name[0] != '\0') {
        spark_refuse(s, here->at,
                     "\"%s%s\" has a schema in front: the query can read the source's "
                     "readers only, by their ids",
                     schema_name, name);
    } else {
        query = describe(s, name, here->at);
    }
    const char *alias = take_alias(s, name);
    const char *names = take_names(s, &query);
    for (uint32_t i = 0; i < query.n && !s->failed; i++)
        add_column(s, into, alias, query.columns[i].name, query.columns[i].type);
    if (strcmp(alias, name) == 0 && names[0] == '\0')
        return spark_format(s, "%s%s", spark_mark(s, here->at), spark_quoted(s, name));
    return spark_format(s, "%s%s AS %s%s", spark_mark(s, here->at), spark_quoted(s, name),
                        spark_quoted(s, alias), names);
}

static const char *parse_joined(spark *s, spark_scope *into);

static const char *parse_relation(spark *s, spark_scope *into)
{
    const char *sql = "";
    const uint32_t at = spark_peek(s, 0)->at;
    if (!spark_enter(s))
        return "";
    if (spark_is(s, 0, "lateral") && spark_is(s, 1, "(")) {
        spark_refuse(s, at, "LATERAL (query): join with it, or write LATERAL VIEW explode(...)");
    } else if (spark_is(s, 0, "(") && !spark_at_query(s, 1)) {
        s->at++;
        sql = spark_format(s, "(%s)", parse_joined(s, into));
        spark_expect(s, ")");
    } else if (spark_take(s, "(")) {
        const spark_query query = spark_parse_query(s);
        spark_expect(s, ")");
        sql = add_query(s, into, query);
    } else if (spark_is(s, 0, "values")) {
        sql = add_query(s, into, spark_parse_values(s));
    } else {
        sql = add_table(s, into);
    }
    if (!s->failed &&
        (spark_is(s, 0, "tablesample") || spark_is(s, 0, "pivot") || spark_is(s, 0, "unpivot")))
        spark_refuse(s, spark_peek(s, 0)->at,
                     spark_is(s, 0, "tablesample")
                         ? "TABLESAMPLE takes other rows each time: say which by a WHERE"
                         : "PIVOT and UNPIVOT: write max(CASE WHEN column = 'value' THEN ... END) "
                           "for each value, or UNION ALL");
    spark_leave(s);
    return sql;
}

/* ---- joins ---- */

typedef struct join {
    const char *word;                /* in DuckDB */
    bool natural, has_left, is_half; /* rows without partner; SEMI or ANTI */
    bool is_right, is_full, is_cross;
} join;

/* The words of a join; false: there is none here. */
static bool take_join(spark *s, join *join)
{
    const uint32_t from = s->at;
    *join = (struct join){.word = "JOIN"};
    join->natural = spark_take(s, "natural");
    if (spark_take(s, "inner")) {
        join->word = "JOIN";
    } else if (spark_take(s, "cross")) {
        join->is_cross = true;
        join->word = "CROSS JOIN";
    } else if (spark_is(s, 0, "semi") || (spark_is(s, 0, "left") && spark_is(s, 1, "semi"))) {
        s->at += spark_is(s, 0, "left") ? 2 : 1;
        join->is_half = true;
        join->word = "SEMI JOIN";
    } else if (spark_is(s, 0, "anti") || (spark_is(s, 0, "left") && spark_is(s, 1, "anti"))) {
        s->at += spark_is(s, 0, "left") ? 2 : 1;
        join->is_half = true;
        join->word = "ANTI JOIN";
    } else if (spark_take(s, "left")) {
        spark_take(s, "outer");
        join->word = "LEFT JOIN";
    } else if (spark_take(s, "right")) {
        spark_take(s, "outer");
        join->is_right = true;
        join->word = "RIGHT JOIN";
    } else if (spark_take(s, "full")) {
        spark_take(s, "outer");
        join->is_full = true;
        join->word = "FULL JOIN";
    }
    if (spark_take(s, "join"))
        return true;
    s->at = from;
    return false;
}

static spark_column *find_visible(const spark_scope *scope, uint32_t from, uint32_t to,
                                  const char *name)
{
    for (uint32_t i = from; i < to; i++)
        if (!scope->columns[i].is_hidden && strcasecmp(scope->columns[i].name, name) == 0)
            return &scope->columns[i];
    return NULL;
}

/* One column of USING: `left.x = right.x`; of both only one is seen from now on. */
static const char *use_column(spark *s, const join *join, spark_scope *scope, uint32_t split,
                              const char *name, uint32_t at)
{
    if (s->is_blind)
        return "true";
    spark_column *left = find_visible(scope, 0, split, name);
    spark_column *right = find_visible(scope, split, scope->n, name);
    if (left == NULL || right == NULL) {
        spark_refuse(s, at, "the column \"%s\" of USING is not on both sides", name);
        return "";
    }
    spark_value a = {.sql = left->sql, .type = left->type, .at = at};
    spark_value b = {.sql = right->sql, .type = right->type, .at = at};
    const char *sql = spark_compare(s, a, "=", b, at).sql;
    if (join->is_full) {
        spark_value both[2] = {a, b};
        const spark_type *type = spark_make_common(s, both, 2, "USING");
        spark_column merged = {.name = name,
                               .type = type,
                               .sql =
                                   spark_format(s, "coalesce(%s, %s)", both[0].sql, both[1].sql)};
        left->is_hidden = right->is_hidden = true;
        spark_scope_add(s, scope, &merged);
    } else if (join->is_right) {
        left->is_hidden = true;
    } else {
        right->is_hidden = true;
    }
    return sql;
}

static const char *join_condition(spark *s, const join *join, spark_scope *scope, uint32_t split)
{
    const uint32_t at = spark_peek(s, 0)->at, end = scope->n;
    const char *sql = "";
    if (join->natural) {
        for (uint32_t i = split; i < end && !s->failed; i++)
            if (find_visible(scope, 0, split, scope->columns[i].name) != NULL)
                sql = spark_format(s, "%s%s%s", sql, sql[0] == '\0' ? "" : " AND ",
                                   use_column(s, join, scope, split, scope->columns[i].name, at));
    } else if (spark_take(s, "using")) {
        spark_expect(s, "(");
        do {
            const char *name = spark_take_name(s, "a column");
            if (s->failed)
                return "";
            sql = spark_format(s, "%s%s%s", sql, sql[0] == '\0' ? "" : " AND ",
                               use_column(s, join, scope, split, name, at));
        } while (spark_take(s, ","));
        spark_expect(s, ")");
    } else if (spark_take(s, "on")) {
        spark_scope *before = s->scope;
        s->scope = scope;
        sql = spark_boolean(s, spark_expression(s)).sql;
        s->scope = before;
    }
    return sql;
}

static const char *parse_joined(spark *s, spark_scope *into)
{
    join join;
    const char *sql = parse_relation(s, into);
    while (!s->failed && take_join(s, &join)) {
        const uint32_t split = into->n;
        const char *other = parse_relation(s, into);
        const char *condition = join_condition(s, &join, into, split);
        if (join.is_half)
            into->n = split;
        if (condition[0] == '\0' && !join.is_cross)
            condition = "true";
        sql = join.is_cross && condition[0] == '\0'
                  ? spark_format(s, "%s CROSS JOIN %s", sql, other)
                  : spark_format(s, "%s %s %s ON %s", sql, join.is_cross ? "JOIN" : join.word,
                                 other, condition);
    }
    return sql;
}

/* ---- LATERAL VIEW ---- */

static const char *lateral_view(spark *s, spark_scope *into)
{
    const uint32_t at = spark_peek(s, 0)->at;
    s->at += 2;
    const bool outer = spark_take(s, "outer");
    const char *function = spark_take_name(s, "a function");
    const bool with_position = strncasecmp(function, "posexplode", 10) == 0;
    const bool keeps = outer || strstr(function, "_outer") != NULL;
    if (!s->failed && strncasecmp(function, "explode", 7) != 0 && !with_position) {
        spark_refuse(s, at, "LATERAL VIEW has explode() or posexplode() here");
        return "";
    }
    spark_expect(s, "(");
    spark_scope *before = s->scope;
    s->scope = into;
    spark_value value = spark_expression(s);
    s->scope = before;
    spark_expect(s, ")");
    const char *table = spark_is(s, 0, "as") ? "__view" : spark_take_name(s, "a table's name");
    const char *names[3] = {NULL};
    uint32_t n = 0;
    if (spark_take(s, "as") || spark_peek(s, 0)->kind == TOKEN_QUOTED ||
        (spark_peek(s, 0)->kind == TOKEN_NAME && !ends_relation(s)))
        do
            names[n++] = spark_take_name(s, "a column's name");
        while (n < 3 && spark_take(s, ","));
    const bool of_map = value.type->kind == SPARK_MAP;
    if (s->failed)
        return "";
    if (value.type->kind == SPARK_OTHER)
        return "";
    if (!of_map && value.type->kind != SPARK_ARRAY) {
        spark_refuse(s, value.at, "%s() takes an array or a map, and this is %s", function,
                     spark_type_name(s->arena, value.type));
        return "";
    }
    const uint32_t wanted = 1 + of_map + with_position;
    static const char *const standard[3][3] = {{"col"}, {"key", "value"}, {"pos", "key", "value"}};
    for (uint32_t i = 0; n == 0 && i < wanted; i++)
        names[i] = with_position && !of_map ? (i == 0 ? "pos" : "col") : standard[wanted - 1][i];
    if (n != 0 && n != wanted) {
        spark_refuse(s, at, "%s() gives %u columns here, and %u names stand behind AS", function,
                     wanted, n);
        return "";
    }
    const char *list =
        of_map ? spark_format(s, "map_entries(%s)", spark_as_map(s, value).sql) : value.sql;
    if (with_position)
        list = spark_format(s,
                            "list_transform(%s, lambda __x, __i: struct_pack(pos := "
                            "CAST(__i - 1 AS INTEGER), col := __x))",
                            list);
    if (keeps)
        list = spark_format(s, "CASE WHEN len(%s) > 0 THEN %s ELSE [NULL] END", list, list);
    const char *row = spark_format(s, "%s.\"__row\"", spark_quoted(s, table));
    const char *item = with_position ? spark_format(s, "struct_extract(%s, 'col')", row) : row;
    for (uint32_t i = 0; i < wanted; i++) {
        const uint32_t k = i - with_position;
        spark_column column = {.table = table, .name = names[i], .sql = item};
        if (with_position && i == 0) {
            column.type = spark_type_of(SPARK_INT);
            column.sql = spark_format(s, "struct_extract(%s, 'pos')", row);
        } else {
            column.type = value.type->fields[k].type;
            if (of_map)
                column.sql =
                    spark_format(s, "struct_extract(%s, '%s')", item, k == 0 ? "key" : "value");
        }
        spark_scope_add(s, into, &column);
    }
    return spark_format(s, ", unnest(%s) AS %s(\"__row\")", list, spark_quoted(s, table));
}

const char *spark_parse_from(spark *s, spark_scope *into)
{
    const char *sql = "";
    do
        sql = spark_format(s, "%s%s%s", sql, sql[0] == '\0' ? "" : ", ", parse_joined(s, into));
    while (spark_take(s, ","));
    while (!s->failed && spark_is(s, 0, "lateral") && spark_is(s, 1, "view"))
        sql = spark_format(s, "%s%s", sql, lateral_view(s, into));
    return sql;
}

/* ---- VALUES ---- */

spark_query spark_parse_values(spark *s)
{
    spark_query query = {.sql = ""};
    spark_value *cells = NULL;
    uint32_t capacity = 0, n_rows = 0, n = 0;
    const uint32_t at = spark_peek(s, 0)->at;
    s->at++;
    do {
        const uint32_t row_at = n;
        const bool in_brackets = spark_take(s, "(");
        do {
            if (!arena_reserve(s->arena, &cells, &capacity, n + UINT64_C(1), sizeof *cells)) {
                spark_no_memory(s);
                break;
            }
            cells[n++] = spark_expression(s);
        } while (in_brackets && spark_take(s, ","));
        if (in_brackets)
            spark_expect(s, ")");
        if (n_rows++ == 0)
            query.n = n;
        if (!s->failed && (n - row_at != query.n || n_rows > ROWS_MAX))
            spark_refuse(s, at,
                         "the rows of VALUES have as many columns each, and there are %u at "
                         "most",
                         ROWS_MAX);
    } while (!s->failed && spark_take(s, ","));
    query.columns = s->failed ? NULL : arena_zero(s->arena, query.n, sizeof *query.columns);
    spark_value *column = s->failed ? NULL : arena_alloc(s->arena, n_rows * sizeof *column);
    if (query.columns == NULL || column == NULL) {
        spark_no_memory(s);
        query.n = 0;
        return query;
    }
    for (uint32_t c = 0; c < query.n && !s->failed; c++) {
        for (uint32_t r = 0; r < n_rows; r++)
            column[r] = cells[r * query.n + c];
        query.columns[c].name = spark_format(s, "col%u", c + 1);
        query.columns[c].type = spark_make_common(s, column, n_rows, "VALUES");
        for (uint32_t r = 0; r < n_rows && !s->failed; r++)
            cells[r * query.n + c] = column[r];
    }
    const char *sql = "";
    for (uint32_t i = 0; i < n && !s->failed; i++)
        sql = spark_format(s, "%s%s%s%s", sql,
                           i == 0             ? "("
                           : i % query.n == 0 ? ", ("
                                              : ", ",
                           cells[i].sql, (i + 1) % query.n == 0 ? ")" : "");
    const char *names = "";
    for (uint32_t c = 0; c < query.n && !s->failed; c++)
        names = spark_format(s, "%s%scol%u", names, c == 0 ? "" : ", ", c + 1);
    query.sql = spark_format(s, "SELECT * FROM (VALUES %s) AS __values(%s)", sql, names);
    return query;
}
