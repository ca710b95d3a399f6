/* sql_result.c - DuckDB's vectors as columns of ours.
 *
 * How a column is converted is worked out once, when its statement is prepared (result_plan): a
 * tree of result_column as deep as the type. result_copy then appends the cells of one vector.
 * What has the same layout on both sides goes by memcpy; small and unsigned integers are widened,
 * decimals too. Long texts stay in DuckDB's chunk and are pointed to.
 *
 *     DuckDB                                   here
 *     TINYINT, SMALLINT, UTINYINT, USMALLINT   integer
 *     UINTEGER                                 bigint
 *     UBIGINT, HUGEINT                         decimal(20,0), decimal(38,0)
 *     TIMESTAMP_S, _MS, _NS, WITH TIME ZONE    timestamp (nanoseconds are cut off)
 *     ENUM, UUID, JSON                         string
 *     T[n]                                     array<T>
 *     MAP(K, V)                                array<struct<key: K, value: V>>
 *     NULL (of an untyped literal)             integer, all null
 *
 * Anything else (TIME, INTERVAL, BIT, UNION ...) is refused when the statement is prepared, with
 * the advice to cast it. Afterwards the two rules of batches hold: the cell of a null is zero
 * bytes, and the children of a null struct are null.
 */
#include <inttypes.h>

#include "sql/sql_internal.h"

/* ---- planning ---- */

/* Types that DuckDB cannot nest as deep as ours may: refused one past TYPE_DEPTH_MAX. */
static freshet_code plan(arena *arena, const char *name, duckdb_logical_type from, uint32_t depth,
                         result_column *into, freshet_error *err);

static freshet_code plan_children(arena *arena, const char *name, duckdb_logical_type from,
                                  uint32_t depth, result_column *into, freshet_error *err)
{
    bool is_struct = into->from == DUCKDB_TYPE_STRUCT;
    uint64_t n = is_struct ? duckdb_struct_type_child_count(from) : 1;
    if (n > TYPE_FIELDS_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "column \"%s\" is a struct of more than %d fields", name, TYPE_FIELDS_MAX);
    into->children = arena_zero(arena, n, sizeof *into->children);
    field *fields = arena_zero(arena, n, sizeof *fields);
    if (into->children == NULL || fields == NULL)
        return error_memory(err, "preparing a query");
    for (uint64_t i = 0; i < n; i++) {
        duckdb_logical_type child = is_struct ? duckdb_struct_type_child_type(from, i)
                                    : into->from == DUCKDB_TYPE_ARRAY
                                        ? duckdb_array_type_child_type(from)
                                        : duckdb_list_type_child_type(from);
        freshet_code code = plan(arena, name, child, depth + 1, &into->children[i], err);
        duckdb_destroy_logical_type(&child);
        if (code != FRESHET_OK)
            return code;
        char *label = is_struct ? duckdb_struct_type_child_name(from, i) : NULL;
        fields[i].name = arena_text(arena, label == NULL ? "element" : label);
        fields[i].type = into->children[i].type;
        duckdb_free(label);
        if (fields[i].name == NULL)
            return error_memory(err, "preparing a query");
    }
    into->type =
        is_struct ? type_struct(arena, fields, (uint32_t)n) : type_array(arena, fields[0].type);
    return into->type == NULL ? error_memory(err, "preparing a query") : FRESHET_OK;
}

/* A map is laid out as the list of its entries. */
static freshet_code plan_map(arena *arena, const char *name, duckdb_logical_type from,
                             uint32_t depth, result_column *into, freshet_error *err)
{
    duckdb_logical_type members[] = {duckdb_map_type_key_type(from),
                                     duckdb_map_type_value_type(from)};
    const char *names[] = {"key", "value"};
    duckdb_logical_type entry = duckdb_create_struct_type(members, names, 2);
    duckdb_logical_type list = duckdb_create_list_type(entry);
    into->from = DUCKDB_TYPE_LIST;
    freshet_code code = plan_children(arena, name, list, depth, into, err);
    duckdb_destroy_logical_type(&members[0]);
    duckdb_destroy_logical_type(&members[1]);
    duckdb_destroy_logical_type(&entry);
    duckdb_destroy_logical_type(&list);
    type *map = code == FRESHET_OK ? arena_zero(arena, 1, sizeof *map) : NULL;
    if (code == FRESHET_OK && map == NULL)
        return error_memory(err, "preparing a query");
    if (code == FRESHET_OK) {
        *map = *into->type;
        map->is_map = true;
        into->type = map;
    }
    return code;
}

static freshet_code plan_enum(arena *arena, duckdb_logical_type from, result_column *into,
                              freshet_error *err)
{
    into->internal = duckdb_enum_internal_type(from);
    into->n_words = duckdb_enum_dictionary_size(from);
    into->words = arena_zero(arena, into->n_words, sizeof *into->words);
    if (into->words == NULL)
        return error_memory(err, "preparing a query");
    for (uint32_t i = 0; i < into->n_words; i++) {
        char *word = duckdb_enum_dictionary_value(from, i);
        char *copy = arena_text(arena, word);
        duckdb_free(word);
        if (copy == NULL)
            return error_memory(err, "preparing a query");
        into->words[i] = text_of(copy, (uint32_t)strlen(copy));
    }
    into->type = type_simple(TYPE_STRING);
    return FRESHET_OK;
}

static const type *plan_simple(arena *arena, duckdb_type from)
{
    switch (from) {
    case DUCKDB_TYPE_BOOLEAN: return type_simple(TYPE_BOOLEAN);
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_SQLNULL:
    case DUCKDB_TYPE_INTEGER: return type_simple(TYPE_INTEGER);
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_BIGINT: return type_simple(TYPE_BIGINT);
    case DUCKDB_TYPE_UBIGINT: return type_decimal(arena, 20, 0);
    case DUCKDB_TYPE_HUGEINT: return type_decimal(arena, 38, 0);
    case DUCKDB_TYPE_FLOAT: return type_simple(TYPE_FLOAT);
    case DUCKDB_TYPE_DOUBLE: return type_simple(TYPE_DOUBLE);
    case DUCKDB_TYPE_UUID:
    case DUCKDB_TYPE_VARCHAR: return type_simple(TYPE_STRING);
    case DUCKDB_TYPE_BLOB: return type_simple(TYPE_BINARY);
    case DUCKDB_TYPE_DATE: return type_simple(TYPE_DATE);
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_TIMESTAMP: return type_simple(TYPE_TIMESTAMP);
    default: return NULL;
    }
}

static const char *refused_name(duckdb_type type)
{
    switch (type) {
    case DUCKDB_TYPE_TIME: return "a TIME";
    case DUCKDB_TYPE_TIME_NS: return "a TIME_NS";
    case DUCKDB_TYPE_TIME_TZ: return "a TIME WITH TIME ZONE";
    case DUCKDB_TYPE_INTERVAL: return "an INTERVAL";
    case DUCKDB_TYPE_BIT: return "a BIT";
    case DUCKDB_TYPE_UNION: return "a UNION";
    case DUCKDB_TYPE_UHUGEINT: return "a UHUGEINT";
    case DUCKDB_TYPE_BIGNUM: return "a BIGNUM";
    case DUCKDB_TYPE_VARIANT: return "a VARIANT";
    case DUCKDB_TYPE_GEOMETRY: return "a GEOMETRY";
    default: return "of a type";
    }
}

static freshet_code plan(arena *arena, const char *name, duckdb_logical_type from, uint32_t depth,
                         result_column *into, freshet_error *err)
{
    if (depth > TYPE_DEPTH_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "column \"%s\" is nested more than %d deep", name, TYPE_DEPTH_MAX);
    into->from = duckdb_get_type_id(from);
    switch (into->from) {
    case DUCKDB_TYPE_DECIMAL:
        into->internal = duckdb_decimal_internal_type(from);
        into->type = type_decimal(arena, duckdb_decimal_width(from), duckdb_decimal_scale(from));
        return into->type == NULL ? error_memory(err, "preparing a query") : FRESHET_OK;
    case DUCKDB_TYPE_ENUM: return plan_enum(arena, from, into, err);
    case DUCKDB_TYPE_MAP: return plan_map(arena, name, from, depth, into, err);
    case DUCKDB_TYPE_ARRAY:
        into->array_size = duckdb_array_type_array_size(from); /* fall through */
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_STRUCT: return plan_children(arena, name, from, depth, into, err);
    default:
        into->type = plan_simple(arena, into->from);
        if (into->type == NULL)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "column \"%s\" is %s, which Freshet does not have: cast it in the "
                             "query, for instance CAST(... AS VARCHAR)",
                             name, refused_name(into->from));
        return FRESHET_OK;
    }
}

freshet_code result_plan(arena *arena, const char *name, duckdb_logical_type from,
                         result_column *into, freshet_error *err)
{
    return plan(arena, name, from, 1, into, err);
}

/* ---- copying ---- */

#define WIDEN(from_type, to_type)                     \
    do {                                              \
        const from_type *source = data;               \
        to_type *target = (to_type *)into->data + at; \
        for (uint64_t i = 0; i < n; i++)              \
            target[i] = (to_type)source[i];           \
    } while (0)

static void copy_decimals(duckdb_type internal, const void *data, uint64_t n, column *into,
                          uint64_t at)
{
    switch (internal) {
    case DUCKDB_TYPE_SMALLINT: WIDEN(int16_t, int128); break;
    case DUCKDB_TYPE_INTEGER: WIDEN(int32_t, int128); break;
    case DUCKDB_TYPE_BIGINT: WIDEN(int64_t, int128); break;
    default: memcpy((int128 *)into->data + at, data, n * sizeof(int128)); break;
    }
}

static inline bool is_valid(const uint64_t *valid, uint64_t row)
{
    return valid == NULL || (valid[row >> 6] >> (row & 63) & 1) != 0;
}

/* HUGEINT reaches to 1.7e38, decimal(38,0) to 1e38 - 1. */
static freshet_code copy_hugeints(const void *data, const uint64_t *valid, uint64_t n, column *into,
                                  uint64_t at, freshet_error *err)
{
    const int128 limit = (int128)10000000000000000000ull * (int128)10000000000000000000ull;
    const int128 *source = data;
    memcpy((int128 *)into->data + at, data, n * sizeof(int128));
    for (uint64_t i = 0; i < n; i++) {
        if (is_valid(valid, i) && (source[i] >= limit || source[i] <= -limit))
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "a HUGEINT of the query's result is beyond 38 digits: cast it to "
                             "DOUBLE");
    }
    return FRESHET_OK;
}

/* Units a second: 1 or 1000 are multiplied, 1000000000 is divided, rounding down. The infinities
 * (INT64_MAX and its negative) stay, but of nanoseconds: there they are the greatest and the least
 * time that pandas can say, and mean these. */
static freshet_code copy_times(duckdb_type from, const int64_t *source, const uint64_t *valid,
                               uint64_t n, column *into, uint64_t at, freshet_error *err)
{
    int64_t factor = from == DUCKDB_TYPE_TIMESTAMP_S ? 1000000 : 1000;
    int64_t *target = (int64_t *)into->data + at;
    for (uint64_t i = 0; i < n; i++) {
        if (from == DUCKDB_TYPE_TIMESTAMP_NS)
            target[i] = source[i] / 1000 - (source[i] % 1000 < 0);
        else if (!is_valid(valid, i) || source[i] == INT64_MAX || source[i] == -INT64_MAX)
            target[i] = source[i];
        else if (__builtin_mul_overflow(source[i], factor, &target[i]))
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "a timestamp of the query's result is beyond the years that "
                             "microseconds reach");
    }
    return FRESHET_OK;
}

static freshet_code copy_uuids(arena *arena, const void *data, uint64_t n, column *into,
                               uint64_t at, freshet_error *err)
{
    const duckdb_hugeint *source = data;
    cell_text *target = (cell_text *)into->data + at;
    char *texts = arena_alloc(arena, n * 36 + 1);
    if (texts == NULL)
        return error_memory(err, "reading the result of a query");
    for (uint64_t i = 0; i < n; i++) {
        uint64_t high = (uint64_t)source[i].upper ^ UINT64_C(1) << 63, low = source[i].lower;
        snprintf(texts + i * 36, 37,
                 "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
                 high >> 16 & 0xFFFF, high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFF);
        target[i] = text_of(texts + i * 36, 36);
    }
    return FRESHET_OK;
}

static void copy_enums(const result_column *plan, const void *data, uint64_t n, column *into,
                       uint64_t at)
{
    cell_text *target = (cell_text *)into->data + at;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t word = plan->internal == DUCKDB_TYPE_UTINYINT    ? ((const uint8_t *)data)[i]
                        : plan->internal == DUCKDB_TYPE_USMALLINT ? ((const uint16_t *)data)[i]
                                                                  : ((const uint32_t *)data)[i];
        target[i] = word < plan->n_words ? plan->words[word] : (cell_text){0};
    }
}

/* Puts all elements of the vector behind those that are there, and moves the spans with them. */
static freshet_code result_copy_arrays(arena *arena, const result_column *plan,
                                       duckdb_vector vector, uint64_t n, column *into, uint64_t at,
                                       freshet_error *err)
{
    bool fixed = plan->from == DUCKDB_TYPE_ARRAY;
    uint64_t n_elements = fixed ? n * plan->array_size : duckdb_list_vector_get_size(vector);
    uint64_t base = into->n_elements;
    cell_span *spans = (cell_span *)into->data + at;
    const duckdb_list_entry *entries = fixed ? NULL : duckdb_vector_get_data(vector);
    for (uint64_t i = 0; i < n; i++) {
        spans[i].offset = base + (fixed ? i * plan->array_size : entries[i].offset);
        spans[i].length = fixed ? plan->array_size : entries[i].length;
    }
    freshet_code code = column_reserve(arena, &into->children[0], base + n_elements, err);
    if (code == FRESHET_OK)
        code = result_copy(arena, &plan->children[0],
                           fixed ? duckdb_array_vector_get_child(vector)
                                 : duckdb_list_vector_get_child(vector),
                           n_elements, &into->children[0], base, err);
    into->n_elements = base + n_elements;
    return code;
}

static freshet_code result_copy_nulls(arena *arena, const uint64_t *valid, uint64_t n, column *into,
                                      uint64_t at, freshet_error *err)
{
    for (uint64_t word = 0; word < n; word += 64) {
        uint64_t nulls = ~valid[word >> 6];
        if (n - word < 64)
            nulls &= ((uint64_t)1 << (n - word)) - 1;
        for (; nulls != 0; nulls &= nulls - 1) {
            if (!column_set_null(arena, into, at + word + (uint64_t)__builtin_ctzll(nulls)))
                return error_memory(err, "reading the result of a query");
        }
    }
    return FRESHET_OK;
}

/* The cells alone, nulls among them as DuckDB has left them. */
static freshet_code result_copy_cells(arena *arena, const result_column *plan, duckdb_vector vector,
                                      const uint64_t *valid, uint64_t n, column *into, uint64_t at,
                                      freshet_error *err)
{
    void *data = duckdb_vector_get_data(vector);
    freshet_code code = FRESHET_OK;
    switch (plan->from) {
    case DUCKDB_TYPE_TINYINT: WIDEN(int8_t, int32_t); return FRESHET_OK;
    case DUCKDB_TYPE_SMALLINT: WIDEN(int16_t, int32_t); return FRESHET_OK;
    case DUCKDB_TYPE_UTINYINT: WIDEN(uint8_t, int32_t); return FRESHET_OK;
    case DUCKDB_TYPE_USMALLINT: WIDEN(uint16_t, int32_t); return FRESHET_OK;
    case DUCKDB_TYPE_UINTEGER: WIDEN(uint32_t, int64_t); return FRESHET_OK;
    case DUCKDB_TYPE_UBIGINT: WIDEN(uint64_t, int128); return FRESHET_OK;
    case DUCKDB_TYPE_HUGEINT: return copy_hugeints(data, valid, n, into, at, err);
    case DUCKDB_TYPE_DECIMAL: copy_decimals(plan->internal, data, n, into, at); return FRESHET_OK;
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS: return copy_times(plan->from, data, valid, n, into, at, err);
    case DUCKDB_TYPE_UUID: return copy_uuids(arena, data, n, into, at, err);
    case DUCKDB_TYPE_ENUM: copy_enums(plan, data, n, into, at); return FRESHET_OK;
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_LIST: return result_copy_arrays(arena, plan, vector, n, into, at, err);
    case DUCKDB_TYPE_STRUCT:
        for (uint32_t i = 0; i < plan->type->n_fields && code == FRESHET_OK; i++)
            code = result_copy(arena, &plan->children[i], duckdb_struct_vector_get_child(vector, i),
                               n, &into->children[i], at, err);
        return code;
    default: {
        size_t size = type_cell_size(plan->type);
        memcpy((char *)into->data + at * size, data, n * size);
        return FRESHET_OK;
    }
    }
}

freshet_code result_copy(arena *arena, const result_column *plan, duckdb_vector vector, uint64_t n,
                         column *into, uint64_t at, freshet_error *err)
{
    if (n == 0)
        return FRESHET_OK;
    const uint64_t *valid = duckdb_vector_get_validity(vector);
    freshet_code code = result_copy_cells(arena, plan, vector, valid, n, into, at, err);
    if (code == FRESHET_OK && valid != NULL)
        code = result_copy_nulls(arena, valid, n, into, at, err);
    return code;
}
