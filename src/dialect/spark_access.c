/* spark_access.c - columns by their names, elements of arrays and maps, fields of structs. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dialect/spark_internal.h"

/* ---- columns ---- */

static bool same_name(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

/* The only column of that name; NULL: there is none. Two are refused. */
static const spark_column *find_in(spark *s, const spark_scope *scope, const char *table,
                                   const char *name, uint32_t at)
{
    const spark_column *found = NULL;
    for (uint32_t i = 0; scope != NULL && i < scope->n; i++) {
        const spark_column *column = &scope->columns[i];
        if (!same_name(column->name, name) || (table != NULL && !same_name(column->table, table)) ||
            (column->is_hidden && table == NULL))
            continue;
        if (found != NULL && found->table != NULL) {
            spark_refuse(s, at,
                         "the column \"%s\" is in \"%s\" and in \"%s\": put the table's "
                         "name before it",
                         name, found->table, column->table == NULL ? "?" : column->table);
            return NULL;
        }
        if (found == NULL)
            found = column;
    }
    return found;
}

static const spark_column *find_column(spark *s, const char *table, const char *name, uint32_t at)
{
    const spark_column *found = NULL;
    for (const spark_scope *scope = s->scope; scope != NULL && found == NULL && !s->failed;
         scope = scope->outer)
        found = find_in(s, scope, table, name, at);
    if (found == NULL && table == NULL && s->aliases != NULL && !s->failed)
        found = find_in(s, s->aliases, NULL, name, at);
    return found;
}

static void refuse_column(spark *s, const char *name, uint32_t at)
{
    const char *names[200];
    size_t n = 0;
    for (uint32_t i = 0; s->scope != NULL && i < s->scope->n && n < 200; i++)
        names[n++] = s->scope->columns[i].name;
    const char *near = text_nearest(name, names, n);
    if (near != NULL)
        spark_refuse(s, at, "there is no column \"%s\" here: did you mean \"%s\"?", name, near);
    else
        spark_refuse(s, at,
                     "there is no column \"%s\" here: a name is bare or in backticks in "
                     "Spark's SQL, a text in quotes",
                     name);
}

static spark_value column_value(spark *s, const spark_column *column, uint32_t at)
{
    spark_value value = spark_made(s, at, column->type, "%s", column->sql);
    value.name = column->name;
    return value;
}

spark_value spark_column_path(spark *s)
{
    const spark_token *here = spark_peek(s, 0);
    const char *name = spark_take_name(s, "a column");
    const bool has_more = spark_is(s, 0, ".") && (spark_peek(s, 1)->kind == TOKEN_NAME ||
                                                  spark_peek(s, 1)->kind == TOKEN_QUOTED);
    if (s->failed)
        return spark_nothing(s);
    if (s->is_blind)
        return (spark_value){
            .sql = "NULL", .type = spark_type_of(SPARK_OTHER), .at = here->at, .name = name};
    if (has_more) {
        const spark_token *next = spark_peek(s, 1);
        const char *second = arena_copy(s->arena, next->text, next->length);
        const spark_column *column = second == NULL ? NULL : find_column(s, name, second, here->at);
        if (column != NULL) {
            s->at += 2;
            return column_value(s, column, here->at);
        }
    }
    const spark_column *column = s->failed ? NULL : find_column(s, NULL, name, here->at);
    if (column != NULL)
        return column_value(s, column, here->at);
    static const char *const clocks[] = {"current_date", "current_timestamp", "current_user",
                                         "localtimestamp", "now"};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++)
        if (here->kind == TOKEN_NAME && strcasecmp(clocks[i], name) == 0)
            return spark_apply_named(s, clocks[i], NULL, 0, here->at);
    refuse_column(s, name, here->at);
    return spark_nothing(s);
}

/* ---- parts ---- */

spark_value spark_as_map(spark *s, spark_value value)
{
    if (value.type->kind != SPARK_MAP || !value.type->is_entries)
        return value;
    return spark_made(s, value.at,
                      spark_map(s->arena, value.type->fields[0].type, value.type->fields[1].type),
                      "map_from_entries(%s)", value.sql);
}

spark_value spark_field_of(spark *s, spark_value of, const char *name, uint32_t at)
{
    const spark_type *type = of.type;
    if (s->failed || type->kind == SPARK_OTHER)
        return spark_nothing(s);
    if (type->kind == SPARK_MAP) {
        spark_value key = spark_made(s, at, spark_type_of(SPARK_STRING), "%s",
                                     spark_literal(s, name, (uint32_t)strlen(name)));
        return spark_subscript(s, of, key, at);
    }
    const bool is_array = type->kind == SPARK_ARRAY && type->fields[0].type->kind == SPARK_STRUCT;
    const spark_type *fields = is_array ? type->fields[0].type : type;
    for (uint32_t i = 0; fields->kind == SPARK_STRUCT && i < fields->n; i++) {
        const spark_field *field = &fields->fields[i];
        if (strcasecmp(field->name, name) != 0)
            continue;
        const char *literal = spark_literal(s, field->name, (uint32_t)strlen(field->name));
        spark_value value =
            is_array ? spark_made(s, at, spark_array(s->arena, field->type),
                                  "list_transform(%s, lambda __f: struct_extract(__f, %s))", of.sql,
                                  literal)
                     : spark_made(s, at, field->type, "struct_extract(%s, %s)", of.sql, literal);
        value.name = field->name;
        return value;
    }
    if (fields->kind == SPARK_STRUCT)
        spark_refuse(s, at, "the struct has no field \"%s\": it is %s", name,
                     spark_type_name(s->arena, fields));
    else
        spark_refuse(s, at, "\"%s\" would be a field, and what stands before it is %s, no struct",
                     name, spark_type_name(s->arena, type));
    return spark_nothing(s);
}

static spark_value element_of_map(spark *s, spark_value of, spark_value key)
{
    of = spark_as_map(s, of);
    if (of.type->kind != SPARK_MAP) /* memory is out */
        return spark_nothing(s);
    const spark_type *wanted = of.type->fields[0].type;
    if (!s->failed && !spark_type_equal(key.type, wanted) &&
        (!spark_casts_alone(key.type, wanted) || key.type->kind > wanted->kind)) {
        spark_refuse(s, key.at, "the map's keys are %s, and this is %s: cast it",
                     spark_type_name(s->arena, wanted), spark_type_name(s->arena, key.type));
        return spark_nothing(s);
    }
    key = spark_cast(s, key, wanted);
    return spark_made(s, of.at, of.type->fields[1].type, "map_extract_value(%s, %s)", of.sql,
                      key.sql);
}

spark_value spark_subscript(spark *s, spark_value of, spark_value index, uint32_t at)
{
    const spark_type *type = of.type;
    if (s->failed || type->kind == SPARK_OTHER)
        return spark_nothing(s);
    if (type->kind == SPARK_MAP)
        return element_of_map(s, of, index);
    if (type->kind == SPARK_STRUCT && index.token != NULL && index.token->kind == TOKEN_TEXT)
        return spark_field_of(s, of, index.token->text, at);
    if (type->kind == SPARK_ARRAY && spark_is_whole(index.type)) {
        const spark_type *element = type->fields[0].type;
        if (index.token != NULL && !index.is_negative)
            return spark_made(s, of.at, element, "list_extract(%s, %.*s + 1)", of.sql,
                              (int)index.token->length, index.token->text);
        return spark_made(s, of.at, element,
                          "list_extract(%s, CASE WHEN %s >= 0 THEN CAST(%s AS BIGINT) + 1 END)",
                          of.sql, index.sql, index.sql);
    }
    spark_refuse(s, at,
                 "[ ] takes an element of an array by its whole number, of a map by its "
                 "key: this is %s, and [%s]",
                 spark_type_name(s->arena, type), spark_type_name(s->arena, index.type));
    return spark_nothing(s);
}
