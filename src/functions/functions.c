/* functions.c - see functions.h.
 *
 * To add a function in C: write it as the two below (columns in, one column out; nulls have been
 * dealt with where takes_nulls is false, so that only their cells must be skipped), and give it a
 * row in `functions`, which begins with what it is for. functions_test.c asks for a case of each.
 */
#include "functions/functions.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "functions/h3_cell.h"
#include "functions/mask.h"
#include "functions/spark_macros.h"
#include "functions/spark_rows.h"

/* ---- masks ---- */

/* The mask of one row, compiled anew only where it is another than that of the row before. */
typedef struct row_mask {
    mask_use use;
    const cell_text *text;
    mask *mask;
} row_mask;

static freshet_code mask_of_row(arena *arena, const cell_text *text, row_mask *at,
                                freshet_error *err)
{
    if (at->text != NULL && at->text->length == text->length &&
        memcmp(text_bytes(at->text), text_bytes(text), text->length) == 0)
        return FRESHET_OK;
    at->text = text;
    const char *copy = arena_copy(arena, text_bytes(text), text->length);
    freshet_code code = copy == NULL ? error_memory(err, "reading a mask")
                                     : mask_compile(arena, copy, at->use, &at->mask, err);
    if (code == FRESHET_USAGE && err != NULL) /* a mask out of a column */
        err->then = FRESHET_SKIP_ROW;
    return code;
}

static freshet_code call_mask_write(void *context, const batch *arguments, column *result,
                                    freshet_error *err)
{
    (void)context;
    const column *times = &arguments->columns[0], *masks = &arguments->columns[1];
    row_mask at = {.use = MASK_WRITE};
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(times, row) || !column_is_valid(masks, row))
            continue;
        freshet_code code =
            mask_of_row(arguments->arena, (const cell_text *)masks->data + row, &at, err);
        if (code != FRESHET_OK)
            return code;
        char written[MASK_WRITTEN_MAX + 1];
        size_t n = mask_write(at.mask, ((const int64_t *)times->data)[row], written);
        const char *copy =
            n <= TEXT_INLINE_MAX ? written : arena_copy(arguments->arena, written, n);
        if (copy == NULL)
            return error_memory(err, "writing times by a mask");
        ((cell_text *)result->data)[row] = text_of(copy, (uint32_t)n);
    }
    return FRESHET_OK;
}

static freshet_code call_mask_read(void *context, const batch *arguments, column *result,
                                   freshet_error *err)
{
    (void)context;
    const column *texts = &arguments->columns[0], *masks = &arguments->columns[1];
    row_mask at = {.use = MASK_READ};
    for (uint32_t row = 0; row < arguments->n_rows; row++) {
        if (!column_is_valid(texts, row) || !column_is_valid(masks, row))
            continue;
        const cell_text *text = (const cell_text *)texts->data + row;
        const cell_text *mask = (const cell_text *)masks->data + row;
        freshet_code code = mask_of_row(arguments->arena, mask, &at, err);
        if (code != FRESHET_OK)
            return code;
        if (!mask_read(at.mask, text_bytes(text), text->length, (int64_t *)result->data + row))
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "the text \"%.*s\" is no time of the mask \"%.*s\"",
                             (int)(text->length < 80 ? text->length : 80), text_bytes(text),
                             (int)mask->length, text_bytes(mask));
    }
    return FRESHET_OK;
}

static freshet_code check_mask(const char *text, mask_use use, freshet_error *err)
{
    if (text == NULL)
        return FRESHET_OK;
    mask *mask;
    arena *scratch = arena_open();
    freshet_code code = scratch == NULL ? error_memory(err, "reading a mask")
                                        : mask_compile(scratch, text, use, &mask, err);
    arena_close(scratch);
    return code;
}

static freshet_code check_mask_write(const char *const *constants, freshet_error *err)
{
    return check_mask(constants[1], MASK_WRITE, err);
}

static freshet_code check_mask_read(const char *const *constants, freshet_error *err)
{
    return check_mask(constants[1], MASK_READ, err);
}

/* ---- all of them ---- */

static const sql_function functions[] = {
    {
        /* the time as text, by a mask: yyyy-MM-dd HH:mm:ss.SSS, or %Y-%m-%d */
        .name = "mask_write",
        .returns = "string",
        .arguments = {"timestamp", "string"},
        .call = call_mask_write,
        .check = check_mask_write,
    },
    {
        /* the time that the text is, by a mask */
        .name = "mask_read",
        .returns = "timestamp",
        .arguments = {"string", "string"},
        .call = call_mask_read,
        .check = check_mask_read,
    },
    {
        /* the id of the H3 cell at a latitude and longitude, of a resolution from 0 to 15 */
        .name = H3_CELL_FUNCTION,
        .returns = "string",
        .arguments = {"double", "double", "integer"},
        .call = h3_cell_call,
    },
};

#define N_FUNCTIONS (sizeof functions / sizeof *functions)

const char *functions_name(uint32_t i)
{
    return i < N_FUNCTIONS ? functions[i].name : NULL;
}

/* They take DuckDB longer than all else that is ours in a start, and few queries call one: made
 * when a statement names what is not there. */
static freshet_code create_macros(sql_session *session, freshet_error *err)
{
    arena *scratch = arena_open();
    const char *all = scratch == NULL ? NULL : "";
    for (uint32_t i = 0; all != NULL && i < spark_macros_n; i++)
        all = arena_format(scratch, "%sCREATE OR REPLACE MACRO %s%s;\n", all, spark_macros[i].name,
                           spark_macros[i].definition);
    freshet_code code = all == NULL ? error_memory(err, "making the functions of Spark's SQL")
                                    : sql_execute(session, all, NULL, err);
    arena_close(scratch);
    return code;
}

static const sql_function *const spark_families[] = {
    spark_texts, spark_bytes,  spark_patterns, spark_times, spark_numbers,
    spark_json,  spark_hashes, spark_cells,    NULL,
};

const char *functions_spark_name(uint32_t i)
{
    for (size_t family = 0; spark_families[family] != NULL; family++)
        for (const sql_function *at = spark_families[family]; at->name != NULL; at++)
            if (i-- == 0)
                return at->name;
    return NULL;
}

/* Those that spark_macros.c needs, too. */
static bool is_always_there(const char *name)
{
    static const char *const names[] = {"spark_get_json_object", "spark_initcap", "spark_locate",
                                        "spark_substring_index"};
    bool is_one = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        is_one |= strcmp(names[i], name) == 0;
    return is_one;
}

static freshet_code create_families(sql_session *session, bool always, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (size_t family = 0; spark_families[family] != NULL; family++)
        for (const sql_function *at = spark_families[family];
             code == FRESHET_OK && at->name != NULL; at++)
            if (is_always_there(at->name) == always)
                code = sql_function_add(session, at, err);
    return code;
}

freshet_code functions_create_spark(sql_session *session, freshet_error *err)
{
    return create_families(session, false, err);
}

freshet_code functions_create(sql_session *session, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (size_t i = 0; code == FRESHET_OK && i < N_FUNCTIONS; i++)
        code = sql_function_add(session, &functions[i], err);
    if (code == FRESHET_OK)
        code = create_families(session, true, err);
    if (code == FRESHET_OK)
        sql_make_later(session, create_macros);
    return code;
}

bool functions_has_macro(const char *name)
{
    for (uint32_t i = 0; i < spark_macros_n; i++)
        if (strcasecmp(spark_macros[i].name, name) == 0)
            return true;
    return false;
}

bool functions_is_aggregate(const char *name)
{
    for (uint32_t i = 0; i < spark_macros_n; i++)
        if (spark_macros[i].is_aggregate && strcasecmp(spark_macros[i].name, name) == 0)
            return true;
    return false;
}
