/* suite_blocks.c - the table of a test file, NAME.test.yaml. */
#include "declaration/blocks.h"
#include "suite/suite_internal.h"

static const option file_options[] = {
    {OPTION("declaration", TEXT, suite_block, declaration), .required = true,
     .doc = "The declaration that is tested: a path, relative to this file's folder.",
     .example = "orders.yaml"},
    {OPTION("env", PROPERTIES, suite_block, env), .names_are_data = true,
     .doc = "Variables for the declaration's `${VAR}`, where the environment has none.",
     .example = "{BROKERS: none}"},
    {OPTION("tests", BLOCKS, suite_block, tests), .required = true, .block = &test_kind,
     .doc = "The tests, in the order in which they run."},
    {0},
};

const block_kind suite_file_block = {
    BLOCK_KIND("test file", "Test file", suite_block, file_options),
    .doc = "A file of tests beside a declaration.",
};
