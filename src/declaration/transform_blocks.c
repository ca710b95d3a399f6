/* transform_blocks.c - the tables of Butterfree's transformations, which features and keys have:
 * what they are made by, where they are neither a column nor an expression. */
#include <string.h>

#include "declaration/blocks.h"
#include "declaration/value.h"
#include "functions/h3_cell.h"

/* ---- tables ---------------------------------------------------------------------------------- */

static const option function_options[] = {
    {OPTION("functions", FUNCTIONS, functions_block, functions), .required = true,
     .doc = "Functions of SQL that take one value: each makes a column of the column `from`. With "
            "a type beside it a function's value is cast to that.",
     .example = "[upper, {length: integer}]"},
    {0},
};

const block_kind function_kind = {
    BLOCK_KIND("function", "Function", functions_block, function_options),
    .doc = "Functions of one column of the row, without a window: Butterfree's "
           "SparkFunctionTransform. There is one output column for each, `NAME__upper`; its type "
           "is the function's own, the feature's, or that of `functions`, whichever is said last.",
};

static const option stack_options[] = {
    {OPTION("columns", TEXTS, stack_block, columns), .required = true,
     .doc = "Which columns: names, or patterns with one `*` for anything; behind a `!` those that "
            "do not match. A column is stacked once if any of them takes it. Capital letters "
            "count. Seen are the query's columns, the keys, `timestamp` and the features above, in "
            "this order; by a key the query's columns.",
     .example = "[id_*]"},
    {OPTION("is_regex", BOOLEAN, stack_block, is_regex), .standard = "false",
     .doc = "The texts are regular expressions (of RE2), which are to match from the name's "
            "beginning on; not necessarily up to its end.",
     .example = "true"},
    {0},
};

const block_kind stack_kind = {
    BLOCK_KIND("stack", "Stack", stack_block, stack_options),
    .doc = "Makes of each row one for each of some columns, in the columns' order, with that "
           "column's value; everything else in them is the same: Butterfree's StackTransform. "
           "Columns of several types are cast to the type that they have in common, as Spark "
           "does. Rows become several before windows and groups, which count them all, unless "
           "the stack stands below a feature with windows: then behind those. A key is never null: "
           "of its columns those that are null make no row, and a row of which all are null is a "
           "dead letter.",
};

static const option h3_options[] = {
    {OPTION("lat", TEXT, h3_block, lat), .required = true,
     .doc = "The column of the latitude, in degrees.", .example = "lat"},
    {OPTION("lng", TEXT, h3_block, lng), .required = true,
     .doc = "The column of the longitude, in degrees.", .example = "lng"},
    {OPTION("resolutions", TEXTS, h3_block, resolutions), .required = true,
     .doc = "Resolutions of H3, from 0 (the largest cells) to 15.", .example = "[6, 7, 8]"},
    {OPTION("with_stack", BOOLEAN, h3_block, with_stack), .standard = "false",
     .doc = "One column with the feature's name, and a row for each resolution, in the place of "
            "a column for each.",
     .example = "true"},
    {OPTION("zero_is_missing", BOOLEAN, h3_block, zero_is_missing), .standard = "false",
     .doc = "A coordinate of 0 gives null, as in Butterfree; unless said it is the equator, or "
            "the meridian of Greenwich.",
     .example = "true"},
    {0},
};

const block_kind h3_kind = {
    BLOCK_KIND("h3", "H3", h3_block, h3_options),
    .doc = "The ids of the H3 cells at a place, as texts of hexadecimal digits: Butterfree's "
           "H3HashTransform. There is one output column for each resolution, "
           "`lat_lng__h3_hash__6`, whatever the coordinates' columns are called.",
};

/* ---- checks ---------------------------------------------------------------------------------- */

static bool is_resolution(const char *text)
{
    int64_t number;
    return value_number(OPTION_INTEGER, text, &number) == NULL && number >= 0 &&
           number <= H3_RESOLUTION_MAX;
}

static void check_resolutions(const declared_list *list, problems *problems)
{
    for (uint32_t i = 0; i < list->n; i++) {
        const declared_text *item = &list->items[i];
        if (!is_resolution(item->value)) {
            problem_add(problems, &item->at,
                        "\"resolutions\" cannot have \"%.40s\": resolutions of H3 are whole "
                        "numbers from 0 to %d",
                        item->value, H3_RESOLUTION_MAX);
            continue;
        }
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(item->value, list->items[k].value) == 0)
                problem_add(problems, &item->at, "the resolution %s stands there twice: remove one",
                            item->value);
    }
}

void blocks_check_made(const made_block *made, const char *what, const place *at,
                       problems *problems)
{
    const struct {
        const char *name;
        bool is_there;
    } ways[] = {{"stack", made->has_stack},
                {"h3", made->has_h3},
                {"function", made->has_function},
                {"window", made->has_window},
                {"aggregate", made->has_aggregate},
                {"sql", made->sql->value != NULL},
                {"from", made->from->value != NULL && !made->has_function}};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && (first != NULL || i < 3); i++) {
        if (ways[i].is_there && first != NULL) {
            problem_add(problems, at,
                        "\"%s\" and \"%s\" exclude each other: a %s is made in one way; of two, "
                        "make a feature of the first, and name it in the other",
                        first, ways[i].name, what);
            return;
        }
        first = ways[i].is_there ? ways[i].name : first;
    }
    if (made->has_h3)
        check_resolutions(&made->h3->resolutions, problems);
}
