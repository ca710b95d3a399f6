/* parquet.c - Parquet files, which are read whole, by a scan (scan.h). The place in a file is the
 * number of a row. */
#include "base/error.h"
#include "formats/format.h"

typedef struct parquet_decoder {
    decoder base;
    scan *scan;
} parquet_decoder;

static freshet_code parquet_open(decoder *base, freshet_error *err)
{
    return scan_open(&((parquet_decoder *)base)->scan, err);
}

static void parquet_close(decoder *base)
{
    scan_close(((parquet_decoder *)base)->scan);
}

static freshet_code parquet_describe_file(decoder *base, const char *path, arena *arena,
                                          schema *out, freshet_error *err)
{
    const char *relation = scan_parquet(arena, path, false);
    freshet_error problem = {0};
    freshet_code code = relation == NULL ? FRESHET_NO_MEMORY
                                         : scan_describe(((parquet_decoder *)base)->scan, relation,
                                                         arena, out, &problem);

    if (code == FRESHET_OK)
        return code;
    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, "describing a Parquet file");
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                     "the columns of \"%s\" cannot be read as those of a Parquet file: %s", path,
                     problem.text);
}

static freshet_code parquet_start(decoder *base, const char *path, int64_t first,
                                  freshet_error *err)
{
    arena *scratch = arena_open();
    scan_options options = {.relation = scratch == NULL ? NULL : scan_parquet(scratch, path, true),
                            .row_number = "file_row_number",
                            .first = first,
                            .schema = base->schema,
                            .used = base->used,
                            .cast_error_null = base->cast_error_null,
                            .at = path};
    freshet_code code = options.relation == NULL
                            ? error_memory(err, "reading a Parquet file")
                            : scan_start(((parquet_decoder *)base)->scan, &options, err);

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
