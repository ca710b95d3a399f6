/* plain_plan.c - reads a plain query (plain_query.h) from a query's syntax tree, as it was written.
 *
 * Names are resolved as the engine does it where there is one way only to understand them: a column
 * goes before an alias of the SELECT list, and before the table as a value. What could be read in
 * two ways (a table and a column of one name, as in `e.e.x`) is none of ours.
 *
 * Literals that the engine reads otherwise than C would (dates, times, decimals as doubles) are
 * given to it, each as a SELECT of its own, run once.
 *
 * Any function that says false has met something else: then the engine runs the query.
 */
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "source/plain_query.h"
#include "source/query_planner.h"

typedef struct reading {
    planner *planner;
    sql_session *session;
    const char *alias; /* of the SELECT's table */
    uint32_t reader;
    const schema *schema;
    uint32_t n_literals;
} reading;

/* ---- columns ---- */

/* Behind the column of the reader: the fields of structs that the names [from, n) lead to. */
static bool read_fields(node *names, size_t from, plain_column *out)
{
    size_t index, n;
    node *name;
    yyjson_mut_arr_foreach(names, index, n, name)
    {
        if (index < from)
            continue;
        const schema fields = {out->type->n_fields, out->type->fields};
        const int64_t at =
            out->type->kind == TYPE_STRUCT ? schema_find(&fields, yyjson_mut_get_str(name)) : -1;
        if (at < 0 || out->n_fields == TYPE_DEPTH_MAX)
            return false;
        out->fields[out->n_fields++] = (uint32_t)at;
        out->type = fields.fields[at].type;
    }
    return true;
}

/* Is the table's name among the names behind the first? */
static bool names_table_later(const reading *reading, node *names)
{
    size_t index, n;
    node *name;
    bool found = false;
    yyjson_mut_arr_foreach(names, index, n, name)
    {
        if (!yyjson_mut_is_str(name))
            return true;
        found |= index > 0 && strcasecmp(yyjson_mut_get_str(name), reading->alias) == 0;
    }
    return found;
}

static bool read_reference(const reading *reading, node *reference, plain_column *out)
{
    node *names = yyjson_mut_obj_get(reference, "column_names");
    const char *first = yyjson_mut_get_str(yyjson_mut_arr_get_first(names));
    const size_t n = yyjson_mut_arr_size(names);
    if (!tree_has_class(reference, "COLUMN_REF") || first == NULL ||
        names_table_later(reading, names))
        return false;
    int64_t column = schema_find(reading->schema, first);
    const bool is_qualified = n > 1 && strcasecmp(first, reading->alias) == 0;
    if (is_qualified && column >= 0)
        return false;
    if (is_qualified)
        column = schema_find(reading->schema, yyjson_mut_get_str(yyjson_mut_arr_get(names, 1)));
    if (column < 0)
        return false;
    *out = (plain_column){.column = (uint32_t)column, .type = reading->schema->fields[column].type};
    if (!read_fields(names, is_qualified ? 2 : 1, out))
        return false;
    out->to = out->type;
    out->name = yyjson_mut_get_str(yyjson_mut_arr_get_last(names));
    return true;
}

/* The type that a CAST names; NULL: another. */
static const type *plain_read_type(arena *arena, node *cast)
{
    static const struct {
        const char *id;
        type_kind kind;
    } simple[] = {
        {"BOOLEAN", TYPE_BOOLEAN}, {"INTEGER", TYPE_INTEGER}, {"BIGINT", TYPE_BIGINT},
        {"FLOAT", TYPE_FLOAT},     {"DOUBLE", TYPE_DOUBLE},   {"VARCHAR", TYPE_STRING},
        {"BLOB", TYPE_BINARY},     {"DATE", TYPE_DATE},       {"TIMESTAMP", TYPE_TIMESTAMP}};
    node *type = yyjson_mut_obj_get(cast, "cast_type");
    node *info = yyjson_mut_obj_get(type, "type_info");
    const char *id = tree_text(type, "id");
    if (strcmp(id, "DECIMAL") == 0 && yyjson_mut_is_obj(info)) {
        const uint64_t width = yyjson_mut_get_uint(yyjson_mut_obj_get(info, "width"));
        const uint64_t scale = yyjson_mut_get_uint(yyjson_mut_obj_get(info, "scale"));
        return width == 0 || width > TYPE_DECIMAL_WIDTH_MAX || scale > width
                   ? NULL
                   : type_decimal(arena, (uint8_t)width, (uint8_t)scale);
    }
    for (size_t i = 0; yyjson_mut_is_null(info) && i < sizeof simple / sizeof *simple; i++)
        if (strcmp(id, simple[i].id) == 0)
            return type_simple(simple[i].kind);
    return NULL;
}

/* A column, or a cast of one that cannot fail. */
static bool read_column(const reading *reading, node *expression, plain_column *out)
{
    if (!tree_has_class(expression, "CAST"))
        return read_reference(reading, expression, out);
    const type *to = plain_read_type(reading->planner->arena, expression);
    if (to == NULL || !read_reference(reading, yyjson_mut_obj_get(expression, "child"), out) ||
        !plain_casts(out->type, to))
        return false;
    out->to = to;
    out->name = NULL;
    return true;
}

/* ---- literals ---- */

/* The one value that the engine gives for an SQL expression of that type. */
static bool ask_value(const reading *reading, const char *expression, const type *type,
                      plain_literal *out)
{
    arena *arena = reading->planner->arena;
    sql_statement *statement = NULL;
    batch rows;
    const char *sql = expression == NULL ? NULL : arena_format(arena, "SELECT %s", expression);
    bool done = sql != NULL &&
                sql_prepare(reading->session, sql, &statement, NULL, NULL) == FRESHET_OK &&
                sql_run(statement, arena, &rows, NULL) == FRESHET_OK && rows.n_rows == 1 &&
                rows.columns[0].type->kind == type->kind && column_is_valid(&rows.columns[0], 0);
    const void *cell = done ? rows.columns[0].data : NULL;
    if (done && type->kind == TYPE_DATE)
        out->whole = *(const int32_t *)cell;
    else if (done && type->kind == TYPE_TIMESTAMP)
        out->whole = *(const int64_t *)cell;
    else if (done && type->kind == TYPE_DOUBLE)
        out->real = *(const double *)cell;
    sql_statement_close(statement);
    return done;
}

/* A text as a date or a time, by way of another type or not. */
static bool read_time(const reading *reading, node *value, const type *by, const type *type,
                      plain_literal *out)
{
    arena *arena = reading->planner->arena;
    const char *text = yyjson_mut_get_str(value);
    const char *quoted =
        text == NULL || strlen(text) != yyjson_mut_get_len(value) ? NULL : sql_literal(arena, text);
    const char *name = sql_type_name(arena, type), *by_name = sql_type_name(arena, by);
    if (quoted == NULL || name == NULL || by_name == NULL)
        return false;
    return ask_value(reading,
                     arena_format(arena, "CAST(CAST(%s AS %s) AS %s)", quoted, by_name, name), type,
                     out);
}

static bool read_fraction(const reading *reading, node *value, node *info, const type *type,
                          plain_literal *out)
{
    arena *arena = reading->planner->arena;
    const unsigned width = (unsigned)yyjson_mut_get_uint(yyjson_mut_obj_get(info, "width"));
    const unsigned scale = (unsigned)yyjson_mut_get_uint(yyjson_mut_obj_get(info, "scale"));
    char text[NUMBER_DIGITS_MAX + 1];
    if (!yyjson_mut_is_int(value) || width == 0 || width > 18 || scale > width)
        return false;
    text[number_write_decimal(text, yyjson_mut_get_sint(value), scale)] = '\0';
    return ask_value(
        reading,
        arena_format(arena, "CAST(CAST('%s' AS DECIMAL(%u, %u)) AS DOUBLE)", text, width, scale),
        type, out);
}

/* A literal as it stands there, for a column of that type. */
static bool read_constant(const reading *reading, node *constant, const type *type,
                          plain_literal *out)
{
    node *object = yyjson_mut_obj_get(constant, "value"), *of = yyjson_mut_obj_get(object, "type");
    node *value = yyjson_mut_obj_get(object, "value");
    const char *id = tree_text(of, "id");
    const bool is_integer = strcmp(id, "INTEGER") == 0 || strcmp(id, "BIGINT") == 0;
    *out = (plain_literal){.is_null = yyjson_mut_get_bool(yyjson_mut_obj_get(object, "is_null"))};
    if (out->is_null)
        return strcmp(id, "NULL") == 0;
    if (type->kind == TYPE_DOUBLE && strcmp(id, "DECIMAL") == 0)
        return read_fraction(reading, value, yyjson_mut_obj_get(of, "type_info"), type, out);
    if (type->kind == TYPE_DOUBLE && strcmp(id, "DOUBLE") == 0 && yyjson_mut_is_real(value)) {
        out->real = yyjson_mut_get_real(value);
        return true;
    }
    if (strcmp(id, "VARCHAR") == 0 && (type->kind == TYPE_DATE || type->kind == TYPE_TIMESTAMP))
        return read_time(reading, value, type, type, out);
    if (strcmp(id, "VARCHAR") == 0 && type->kind == TYPE_STRING && yyjson_mut_is_str(value)) {
        const size_t length = yyjson_mut_get_len(value);
        const char *text = arena_copy(reading->planner->arena, yyjson_mut_get_str(value), length);
        if (text != NULL)
            out->text = text_of(text, (uint32_t)length);
        return text != NULL;
    }
    const bool is_number =
        type->kind == TYPE_INTEGER || type->kind == TYPE_BIGINT || type->kind == TYPE_DOUBLE;
    if (!is_integer || !is_number || !yyjson_mut_is_int(value))
        return false;
    out->whole = yyjson_mut_get_sint(value);
    out->real = (double)out->whole;
    return true;
}

/* true, false, DATE '...', TIMESTAMP '...': casts of texts. */
static bool read_cast_literal(const reading *reading, node *cast, const type *type,
                              plain_literal *out)
{
    node *child = yyjson_mut_obj_get(cast, "child");
    node *object = yyjson_mut_obj_get(child, "value"), *value = yyjson_mut_obj_get(object, "value");
    const struct type *to = plain_read_type(reading->planner->arena, cast);
    *out = (plain_literal){0};
    if (to == NULL || !tree_has_class(child, "CONSTANT") || !yyjson_mut_is_str(value) ||
        yyjson_mut_get_bool(yyjson_mut_obj_get(cast, "try_cast")) ||
        strcmp(tree_text(yyjson_mut_obj_get(object, "type"), "id"), "VARCHAR") != 0)
        return false;
    if (type->kind == TYPE_BOOLEAN && to->kind == TYPE_BOOLEAN) {
        const char *text = yyjson_mut_get_str(value);
        out->whole = strcmp(text, "t") == 0;
        return out->whole != 0 || strcmp(text, "f") == 0;
    }
    const bool is_time = to->kind == TYPE_DATE || to->kind == TYPE_TIMESTAMP;
    return is_time && (type->kind == to->kind || type->kind == TYPE_TIMESTAMP) &&
           read_time(reading, value, to, type, out);
}

static bool read_literal(reading *reading, node *expression, const type *type, plain_literal *out)
{
    static const bool can[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = true, [TYPE_INTEGER] = true, [TYPE_BIGINT] = true,   [TYPE_DOUBLE] = true,
        [TYPE_STRING] = true,  [TYPE_DATE] = true,    [TYPE_TIMESTAMP] = true};
    if (!can[type->kind] || ++reading->n_literals > PLAIN_LITERALS_MAX)
        return false;
    return tree_has_class(expression, "CONSTANT") ? read_constant(reading, expression, type, out)
           : tree_has_class(expression, "CAST") ? read_cast_literal(reading, expression, type, out)
                                                : false;
}

/* ---- the SELECT list ---- */

static bool is_excluded(node *star, const char *name)
{
    size_t index, n;
    node *excluded;
    bool found = false;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(star, "exclude_list"), index, n, excluded)
    {
        found |= yyjson_mut_is_str(excluded) && strcasecmp(yyjson_mut_get_str(excluded), name) == 0;
    }
    return found;
}

static bool read_star(const reading *reading, node *star, plain_column *out, uint32_t *n)
{
    static const char *const others[] = {"replace_list", "qualified_exclude_list", "rename_list"};
    const char *relation = tree_text(star, "relation_name");
    bool is_plain = !yyjson_mut_get_bool(yyjson_mut_obj_get(star, "columns")) &&
                    yyjson_mut_is_null(yyjson_mut_obj_get(star, "expr")) &&
                    *tree_text(star, "alias") == '\0' &&
                    (*relation == '\0' || strcasecmp(relation, reading->alias) == 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        is_plain &= tree_is_empty(yyjson_mut_obj_get(star, others[i]));
    for (uint32_t i = 0; is_plain && i < reading->schema->n_fields; i++) {
        const field *field = &reading->schema->fields[i];
        if (!is_excluded(star, field->name))
            out[(*n)++] = (plain_column){
                .column = i, .type = field->type, .to = field->type, .name = field->name};
    }
    return is_plain;
}

/* A literal that stands for a column, of the type that the engine gives it. */
static bool plain_read_value(reading *reading, node *expression, plain_column *out)
{
    static const struct {
        const char *id;
        type_kind kind;
    } kinds[] = {{"NULL", TYPE_INTEGER},
                 {"INTEGER", TYPE_INTEGER},
                 {"BIGINT", TYPE_BIGINT},
                 {"DOUBLE", TYPE_DOUBLE},
                 {"VARCHAR", TYPE_STRING}};
    const bool is_constant = tree_has_class(expression, "CONSTANT");
    node *value = yyjson_mut_obj_get(expression, "value");
    const char *id = tree_text(yyjson_mut_obj_get(value, "type"), "id");
    const type *type = is_constant ? NULL : plain_read_type(reading->planner->arena, expression);
    for (size_t i = 0; is_constant && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(id, kinds[i].id) == 0)
            type = type_simple(kinds[i].kind);
    *out = (plain_column){.type = type, .to = type, .is_literal = true};
    return type != NULL && read_literal(reading, expression, type, &out->literal);
}

/* A column, or a literal. */
static bool read_item(reading *reading, node *expression, plain_column *out)
{
    node *child = yyjson_mut_obj_get(expression, "child");
    const bool is_value = tree_has_class(expression, "CONSTANT") ||
                          (tree_has_class(expression, "CAST") && tree_has_class(child, "CONSTANT"));
    return is_value ? plain_read_value(reading, expression, out)
                    : read_column(reading, expression, out);
}

static bool read_list(reading *reading, node *list, plain_select *out)
{
    planner *planner = reading->planner;
    size_t index, n, room = 0;
    node *item;
    uint32_t n_read = 0;
    yyjson_mut_arr_foreach(list, index, n, item)
    {
        room += tree_has_class(item, "STAR") ? reading->schema->n_fields : 1;
    }
    plain_column *columns =
        room > TYPE_FIELDS_MAX ? NULL : arena_zero(planner->arena, room + 1, sizeof *columns);
    if (columns == NULL)
        return false;
    yyjson_mut_arr_foreach(list, index, n, item)
    {
        if (tree_has_class(item, "STAR")) {
            if (!read_star(reading, item, columns, &n_read))
                return false;
            continue;
        }
        plain_column *column = &columns[n_read++];
        if (!read_item(reading, item, column))
            return false;
        const char *alias = tree_text(item, "alias"), *name = *alias != '\0' ? alias : column->name;
        column->name = arena_text(planner->arena, name);
        planner->no_memory |= name != NULL && column->name == NULL;
    }
    out->columns = columns;
    out->n_columns = n_read;
    return true;
}

/* ---- conditions ---- */

static bool read_test(reading *reading, node *expression, uint32_t depth, plain_test *out);

/* A column that conditions look at as it is. */
static bool read_tested(const reading *reading, node *expression, plain_test *out)
{
    return read_column(reading, expression, &out->column) &&
           type_equal(out->column.type, out->column.to);
}

static plain_test *add_children(const reading *reading, plain_kind kind, uint32_t n,
                                plain_test *out)
{
    plain_test *children = arena_zero(reading->planner->arena, n, sizeof *children);
    *out = (plain_test){.kind = kind, .children = children, .n_children = n};
    return n == 0 ? NULL : children;
}

static bool read_comparison(reading *reading, node *expression, plain_test *out)
{
    static const struct {
        const char *type;
        plain_comparison is, turned; /* with the literal on the left */
    } comparisons[] = {
        {"COMPARE_EQUAL", PLAIN_EQUAL, PLAIN_EQUAL},
        {"COMPARE_NOTEQUAL", PLAIN_NOT_EQUAL, PLAIN_NOT_EQUAL},
        {"COMPARE_LESSTHAN", PLAIN_LESS, PLAIN_GREATER},
        {"COMPARE_LESSTHANOREQUALTO", PLAIN_LESS_OR_EQUAL, PLAIN_GREATER_OR_EQUAL},
        {"COMPARE_GREATERTHAN", PLAIN_GREATER, PLAIN_LESS},
        {"COMPARE_GREATERTHANOREQUALTO", PLAIN_GREATER_OR_EQUAL, PLAIN_LESS_OR_EQUAL},
        {"COMPARE_DISTINCT_FROM", PLAIN_DISTINCT, PLAIN_DISTINCT},
        {"COMPARE_NOT_DISTINCT_FROM", PLAIN_NOT_DISTINCT, PLAIN_NOT_DISTINCT}};
    node *left = yyjson_mut_obj_get(expression, "left");
    node *right = yyjson_mut_obj_get(expression, "right");
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (!tree_is(expression, comparisons[i].type))
            continue;
        out->kind = PLAIN_COMPARE;
        out->comparison = comparisons[i].is;
        if (read_tested(reading, left, out))
            return read_literal(reading, right, out->column.type, &out->literal);
        out->comparison = comparisons[i].turned;
        return read_tested(reading, right, out) &&
               read_literal(reading, left, out->column.type, &out->literal);
    }
    return false;
}

/* x BETWEEN a AND b: x >= a AND x <= b. */
static bool read_between(reading *reading, node *expression, plain_test *out)
{
    plain_test *children = add_children(reading, PLAIN_AND, 2, out);
    if (children == NULL || !tree_is(expression, "COMPARE_BETWEEN") ||
        !read_tested(reading, yyjson_mut_obj_get(expression, "input"), &children[0]))
        return false;
    children[1] = children[0];
    children[0].comparison = PLAIN_GREATER_OR_EQUAL;
    children[1].comparison = PLAIN_LESS_OR_EQUAL;
    const type *type = children[0].column.type;
    return read_literal(reading, yyjson_mut_obj_get(expression, "lower"), type,
                        &children[0].literal) &&
           read_literal(reading, yyjson_mut_obj_get(expression, "upper"), type,
                        &children[1].literal);
}

/* x IN (a, b): x = a OR x = b. */
static bool read_in(reading *reading, node *list, plain_test *out)
{
    const size_t n = yyjson_mut_arr_size(list);
    plain_test *children = n < 2 || n > PLAIN_LITERALS_MAX + 1
                               ? NULL
                               : add_children(reading, PLAIN_OR, (uint32_t)n - 1, out);
    if (children == NULL || !read_tested(reading, yyjson_mut_arr_get_first(list), &children[0]))
        return false;
    for (uint32_t i = 0; i < out->n_children; i++) {
        children[i] = (plain_test){
            .kind = PLAIN_COMPARE, .comparison = PLAIN_EQUAL, .column = children[0].column};
        if (!read_literal(reading, yyjson_mut_arr_get(list, i + 1), children[i].column.type,
                          &children[i].literal))
            return false;
    }
    return true;
}

/* `out` becomes the contrary of what is read into its one child: *inner. */
static bool turn(const reading *reading, plain_test **inner, plain_test *out)
{
    *inner = add_children(reading, PLAIN_NOT, 1, out);
    return *inner != NULL;
}

static bool read_operator(reading *reading, node *expression, uint32_t depth, plain_test *out)
{
    node *list = yyjson_mut_obj_get(expression, "children");
    node *first = yyjson_mut_arr_get_first(list);
    plain_test *inner = out;
    if (tree_is(expression, "OPERATOR_NOT"))
        return turn(reading, &inner, out) && read_test(reading, first, depth + 1, inner);
    const bool is_turned =
        tree_is(expression, "OPERATOR_IS_NOT_NULL") || tree_is(expression, "COMPARE_NOT_IN");
    if (is_turned && !turn(reading, &inner, out))
        return false;
    if (tree_is(expression, "COMPARE_IN") || tree_is(expression, "COMPARE_NOT_IN"))
        return read_in(reading, list, inner);
    inner->kind = PLAIN_IS_NULL;
    return (is_turned || tree_is(expression, "OPERATOR_IS_NULL")) &&
           read_tested(reading, first, inner);
}

static bool read_conjunction(reading *reading, node *expression, uint32_t depth, plain_test *out)
{
    node *list = yyjson_mut_obj_get(expression, "children"), *child;
    const plain_kind kind = tree_is(expression, "CONJUNCTION_AND") ? PLAIN_AND : PLAIN_OR;
    plain_test *children = add_children(reading, kind, (uint32_t)yyjson_mut_arr_size(list), out);
    size_t index, n;
    if (children == NULL || (kind == PLAIN_OR && !tree_is(expression, "CONJUNCTION_OR")))
        return false;
    yyjson_mut_arr_foreach(list, index, n, child)
    {
        if (!read_test(reading, child, depth + 1, &children[index]))
            return false;
    }
    return true;
}

static bool read_test(reading *reading, node *expression, uint32_t depth, plain_test *out)
{
    *out = (plain_test){.kind = PLAIN_IS_TRUE};
    if (depth > PLAIN_DEPTH_MAX)
        return false;
    if (tree_has_class(expression, "CONJUNCTION"))
        return read_conjunction(reading, expression, depth, out);
    if (tree_has_class(expression, "COMPARISON"))
        return read_comparison(reading, expression, out);
    if (tree_has_class(expression, "BETWEEN"))
        return read_between(reading, expression, out);
    if (tree_has_class(expression, "OPERATOR"))
        return read_operator(reading, expression, depth, out);
    return read_tested(reading, expression, out) && out->column.type->kind == TYPE_BOOLEAN;
}

/* ---- the query ---- */

/* Has the SELECT, or the UNION, nothing but what is read here? */
static bool is_bare(node *query, const char *const *parts)
{
    bool is_bare = tree_is_empty(tree_ctes(query));
    for (; is_bare && *parts != NULL; parts++) {
        node *part = yyjson_mut_obj_get(query, *parts);
        is_bare = part == NULL || yyjson_mut_is_null(part) ||
                  (yyjson_mut_is_arr(part) && tree_is_empty(part));
    }
    return is_bare;
}

static bool read_table(reading *reading, node *table)
{
    static const char *const parts[] = {"sample", "column_name_alias", "at_clause", NULL};
    const char *name = tree_text(table, "table_name");
    const int64_t reader = query_find_reader(reading->planner, name);
    if (!tree_is(table, "BASE_TABLE") || !is_bare(table, parts) || reader < 0 ||
        *tree_text(table, "schema_name") != '\0' || *tree_text(table, "catalog_name") != '\0' ||
        !reading->planner->out->drives[reader])
        return false;
    const char *alias = tree_text(table, "alias");
    reading->alias = *alias == '\0' ? name : alias;
    reading->reader = (uint32_t)reader;
    reading->schema = reading->planner->readers[reader].schema;
    return true;
}

static bool read_select(planner *planner, sql_session *session, node *select, plain_select *out)
{
    static const char *const parts[] = {"modifiers", "group_expressions", "group_sets", "having",
                                        "sample",    "qualify",           NULL};
    reading reading = {.planner = planner, .session = session};
    node *where = yyjson_mut_obj_get(select, "where_clause");
    if (!tree_is(select, "SELECT_NODE") || !is_bare(select, parts) ||
        strcmp(tree_text(select, "aggregate_handling"), "STANDARD_HANDLING") != 0 ||
        !read_table(&reading, yyjson_mut_obj_get(select, "from_table")) ||
        !read_list(&reading, yyjson_mut_obj_get(select, "select_list"), out))
        return false;
    out->reader = reading.reader;
    if (!yyjson_mut_is_obj(where))
        return true;
    plain_test *test = arena_alloc(planner->arena, sizeof *test);
    out->where = test;
    return test != NULL && read_test(&reading, where, 1, test);
}

/* SELECTs of a UNION ALL, from left to right. */
static bool read_query(planner *planner, sql_session *session, node *query, uint32_t depth,
                       plain_query *out)
{
    static const char *const parts[] = {"modifiers", NULL};
    if (tree_is(query, "SELECT_NODE"))
        return out->n_selects < PLAIN_SELECTS_MAX &&
               read_select(planner, session, query, &out->selects[out->n_selects++]);
    return depth < PLAIN_SELECTS_MAX && tree_is(query, "SET_OPERATION_NODE") &&
           is_bare(query, parts) && strcmp(tree_text(query, "setop_type"), "UNION") == 0 &&
           yyjson_mut_get_bool(yyjson_mut_obj_get(query, "setop_all")) &&
           read_query(planner, session, yyjson_mut_obj_get(query, "left"), depth + 1, out) &&
           read_query(planner, session, yyjson_mut_obj_get(query, "right"), depth + 1, out);
}

plain_query *query_read_plain(planner *planner, sql_session *session, node *query)
{
    plain_query *out = arena_zero(planner->arena, 1, sizeof *out);
    planner->no_memory |= out == NULL;
    return out != NULL && read_query(planner, session, query, 0, out) ? out : NULL;
}
