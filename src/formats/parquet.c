/* parquet.c - Parquet files, which are read whole, by a scan (scan.h). The place in a file is the
 * number of a row.
 *
 * Three things of a file's own schema DuckDB does not tell with its columns: that one has no type,
 * since pandas wrote it from nothing but nulls (it says INTEGER); that a decimal has more than 38
 * digits (it says DOUBLE, and gives what is no value of the file); and that a time with UTC has
 * nanoseconds (it gives microseconds, and infinity for the greatest and the least). So the leaves
 * of the schema, which stand in the same order as those of the columns' types, are asked for as
 * well.
 */
#include <string.h>

#include "base/error.h"
#include "formats/format.h"
#include "formats/widen.h"
#include "sql/sql.h"

typedef struct parquet_decoder {
    decoder base;
    scan *scan;
} parquet_decoder;

/* A leaf of the file's schema. */
typedef struct leaf {
    const char *column; /* the name of its column of the table */
    int64_t precision, scale;
    bool is_null;
    bool is_nanos; /* a time in nanoseconds, with UTC */
} leaf;

typedef struct leaves {
    leaf *items;
    uint32_t n;
} leaves;

static freshet_code parquet_open(decoder *base, freshet_error *err)
{
    return scan_open(&((parquet_decoder *)base)->scan, err);
}

static void parquet_close(decoder *base)
{
    scan_close(((parquet_decoder *)base)->scan);
}

/* ---- the file's own schema ------------------------------------------------------------------- */

static int64_t number_at(const batch *rows, uint32_t column, uint32_t row)
{
    return ((const int64_t *)rows->columns[column].data)[row];
}

static const char *name_at(arena *arena, const batch *rows, uint32_t row)
{
    const cell_text *cell = &((const cell_text *)rows->columns[0].data)[row];

    return arena_copy(arena, text_bytes(cell), cell->length);
}

/* From the rows of parquet_schema, which are the tree of the schema, each node before its
 * children; the first is the root. `open` counts, for each level, the children still to come. */
static freshet_code leaves_of(const batch *rows, arena *arena, leaves *out, freshet_error *err)
{
    int64_t *open = arena_zero(arena, rows->n_rows + UINT64_C(1), sizeof(*open));
    const char *column = NULL;
    uint32_t depth = 0;

    *out = (leaves){.items = arena_zero(arena, rows->n_rows + UINT64_C(1), sizeof(leaf))};
    if (open == NULL || out->items == NULL)
        return error_memory(err, "describing a Parquet file");
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        int64_t children = number_at(rows, 1, row);
        if (depth == 1)
            column = name_at(arena, rows, row);
        if (depth >= 1 && column == NULL)
            return error_memory(err, "describing a Parquet file");
        if (depth >= 1 && children == 0)
            out->items[out->n++] = (leaf){.column = column,
                                          .precision = number_at(rows, 2, row),
                                          .scale = number_at(rows, 3, row),
                                          .is_null = number_at(rows, 4, row) == 1,
                                          .is_nanos = number_at(rows, 4, row) == 2};
        if (depth >= 1)
            open[depth - 1]--;
        if (children > 0 || row == 0)
            open[depth++] = children;
        while (depth > 1 && open[depth - 1] == 0)
            depth--;
    }
    return FRESHET_OK;
}

static freshet_code read_leaves(parquet_decoder *decoder, const char *path, arena *arena,
                                leaves *out, freshet_error *err)
{
    const char *file = sql_file_literal(arena, path);
    const char *sql =
        file == NULL
            ? NULL
            : arena_format(arena,
                           "SELECT coalesce(name, ''), coalesce(num_children, 0)::BIGINT, "
                           "coalesce(precision, 0)::BIGINT, coalesce(scale, 0)::BIGINT, "
                           "(CASE WHEN logical_type = 'NullType()' THEN 1 "
                           "WHEN logical_type LIKE '%%UTC=1%%NanoSeconds()%%' THEN 2 ELSE 0 END)"
                           "::BIGINT "
                           "FROM parquet_schema(%s)",
                           file);
    batch rows = {0};
    freshet_code code = sql == NULL ? error_memory(err, "describing a Parquet file")
                                    : scan_query(decoder->scan, sql, arena, &rows, err);

    return code == FRESHET_OK ? leaves_of(&rows, arena, out, err) : code;
}

/* The leaf of a decimal that is wider than ours in one of those columns (`used` NULL: of any);
 * NULL where none is. */
static const leaf *too_wide(const leaves *leaves, const schema *columns, const bool *used)
{
    for (uint32_t i = 0; i < leaves->n; i++) {
        const leaf *each = &leaves->items[i];
        int64_t at = schema_find(columns, each->column);
        if (each->precision > TYPE_DECIMAL_WIDTH_MAX && at >= 0 && (used == NULL || used[at]))
            return each;
    }
    return NULL;
}

static freshet_code refuse_wide(const leaf *wide, const char *path, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                     "column \"%s\": decimal(%lld,%lld) is wider than 38 digits; write it with 38 "
                     "at most, or as text, or declare schema without it",
                     wide->column, (long long)wide->precision, (long long)wide->scale);
}

/* ---- columns --------------------------------------------------------------------------------- */

/* The type with those leaves, from *at on, that are not known; NULL where memory is out. The depth
 * is that of the type, TYPE_DEPTH_MAX at most. */
static const type *mark_unknown(arena *arena, const type *it, const leaves *leaves, uint32_t *at)
{
    field *fields;

    if (it->kind != TYPE_ARRAY && it->kind != TYPE_STRUCT) {
        bool is_null = *at < leaves->n && leaves->items[*at].is_null;
        (*at)++;
        return is_null ? &type_unknown : it;
    }
    fields = arena_zero(arena, it->n_fields + (size_t)1, sizeof(*fields));
    for (uint32_t i = 0; fields != NULL && i < it->n_fields; i++) {
        fields[i] = it->fields[i];
        fields[i].type = mark_unknown(arena, it->fields[i].type, leaves, at);
        if (fields[i].type == NULL)
            return NULL;
    }
    if (fields == NULL)
        return NULL;
    return it->kind == TYPE_ARRAY ? type_array(arena, fields[0].type)
                                  : type_struct(arena, fields, it->n_fields);
}

/* The leaves of one column, which stand side by side. */
static leaves column_leaves(const leaves *all, const char *name)
{
    leaves of = {0};

    for (uint32_t i = 0; i < all->n; i++)
        if (strcmp(all->items[i].column, name) == 0) {
            of.items = of.n == 0 ? &all->items[i] : of.items;
            of.n++;
        }
    return of;
}

static freshet_code mark_columns(const leaves *all, arena *arena, schema *out, freshet_error *err)
{
    field *fields = arena_zero(arena, out->n_fields + UINT64_C(1), sizeof(*fields));

    for (uint32_t i = 0; fields != NULL && i < out->n_fields; i++) {
        leaves of = column_leaves(all, out->fields[i].name);
        uint32_t at = 0;
        const type *marked = mark_unknown(arena, out->fields[i].type, &of, &at);
        fields[i] = out->fields[i];
        if (marked == NULL)
            return error_memory(err, "describing a Parquet file");
        if (at == of.n) /* else DuckDB makes something else of it than its leaves */
            fields[i].type = marked;
    }
    if (fields == NULL)
        return error_memory(err, "describing a Parquet file");
    out->fields = fields;
    return FRESHET_OK;
}

/* A column whose folder says null: other files tell its type. */
static void mark_folders(const char *path, schema *out)
{
    const char *end = path + hive_folders(path);
    hive_part part;

    while (hive_next(&path, end, &part))
        for (uint32_t i = 0; hive_is_null(&part) && i < out->n_fields; i++)
            if (hive_is_named(&part, out->fields[i].name))
                ((field *)out->fields)[i].type = &type_unknown;
}

static freshet_code describe(parquet_decoder *decoder, const char *path, arena *arena, schema *out,
                             freshet_error *err)
{
    const char *relation = scan_parquet(arena, path, false);
    leaves leaves = {0};
    freshet_code code = relation == NULL ? error_memory(err, "describing a Parquet file")
                                         : scan_describe(decoder->scan, relation, arena, out, err);

    if (code == FRESHET_OK)
        code = read_leaves(decoder, path, arena, &leaves, err);
    if (code != FRESHET_OK)
        return code;
    const leaf *wide = too_wide(&leaves, out, NULL);
    if (wide != NULL)
        return refuse_wide(wide, path, err);
    code = mark_columns(&leaves, arena, out, err);
    if (code == FRESHET_OK)
        mark_folders(path, out);
    return code;
}

static freshet_code parquet_describe_file(decoder *base, const char *path, arena *arena,
                                          schema *out, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code = describe((parquet_decoder *)base, path, arena, out, &problem);

    if (code == FRESHET_OK)
        return code;
    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, "describing a Parquet file");
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                     "the columns of \"%s\" cannot be read as those of a Parquet file: %s", path,
                     problem.text);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Refuses what cannot be read of the file; *nanos: the columns with times in nanoseconds. */
static freshet_code parquet_check(parquet_decoder *decoder, const char *path, arena *scratch,
                                  const bool **nanos, freshet_error *err)
{
    const schema *schema = decoder->base.schema;
    bool *marks = arena_zero(scratch, schema->n_fields + UINT64_C(1), sizeof(*marks));
    leaves leaves = {0};
    freshet_code code = marks == NULL ? error_memory(err, "reading a Parquet file")
                                      : read_leaves(decoder, path, scratch, &leaves, err);
    const leaf *wide = code == FRESHET_OK ? too_wide(&leaves, schema, decoder->base.used) : NULL;

    for (uint32_t i = 0; code == FRESHET_OK && i < leaves.n; i++) {
        int64_t at = leaves.items[i].is_nanos ? schema_find(schema, leaves.items[i].column) : -1;
        if (at >= 0)
            marks[at] = true;
    }
    *nanos = marks;
    return wide == NULL ? code : refuse_wide(wide, path, err);
}

static freshet_code parquet_start(decoder *base, const char *path, int64_t first,
                                  freshet_error *err)
{
    scan_stop(((parquet_decoder *)base)->scan);
    arena *scratch = arena_open();
    scan_options options = {.relation = scratch == NULL ? NULL : scan_parquet(scratch, path, true),
                            .row_number = "file_row_number",
                            .first = first,
                            .schema = base->schema,
                            .used = base->used,
                            .cast_error_null = base->cast_error_null,
                            .reads_ahead = base->reads_ahead,
                            .missing = &base->missing,
                            .said_by = base->said_by,
                            .at = path};
    freshet_code code = options.relation == NULL ? error_memory(err, "reading a Parquet file")
                                                 : parquet_check((parquet_decoder *)base, path,
                                                                 scratch, &options.nanos, err);

    text_reset(&base->missing);
    if (code == FRESHET_OK)
        code = scan_start(((parquet_decoder *)base)->scan, &options, err);
    arena_close(scratch);
    return code;
}

static freshet_code parquet_read(decoder *base, batch *into, uint32_t max_rows,
                                 const scan_place *where, rejects *rejects, int64_t *next,
                                 freshet_error *err)
{
    return scan_read(((parquet_decoder *)base)->scan, into, max_rows, where, rejects, next, err);
}

static const char *const parquet_endings[] = {".parquet", NULL};

const format format_parquet = {.name = "parquet",
                               .endings = parquet_endings,
                               .size = sizeof(parquet_decoder),
                               .open = parquet_open,
                               .close = parquet_close,
                               .describe_file = parquet_describe_file,
                               .start = parquet_start,
                               .read = parquet_read};
