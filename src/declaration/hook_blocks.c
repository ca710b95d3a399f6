/* hook_blocks.c - the tables of `hooks`: checks of the rows that pass a place of the pipeline. */
#include "declaration/blocks.h"

static const char *const violation_choices[] = {"fail", "dead_letter", "warn",
                                                NULL}; /* enum on_violation */

static const option hook_options[] = {
    {OPTION("expect", SQL, hook_block, expect), .required = true,
     .doc = "An SQL expression that must be true; null is not. Without an aggregate function it "
            "must hold for each row; with one it is about all rows: those of a batch, or on a "
            "stream those of a micro-batch.",
     .example = "\"count(*) filter (amount < 0) = 0\""},
    {OPTION("name", TEXT, hook_block, name),
     .doc = "What the expectation is called in messages and dead letters.",
     .example = "no negative amounts"},
    {OPTION("on_violation", CHOICE, hook_block, on_violation), .standard = "fail",
     .choices = violation_choices,
     .doc = "What becomes of rows that do not meet it. `fail`: the run ends with exit code 65, and "
            "nothing of the batch, or of the micro-batch, is written. `dead_letter`: those rows, "
            "and no others, go to the dead letters; not for an aggregate, which no single row "
            "breaks. `warn`: it is said in the log and counted.",
     .example = "dead_letter"},
    {0},
};

static const block_kind hook_kind = {
    BLOCK_KIND("hook", "Hook", hook_block, hook_options),
    .doc = "A check of the rows that pass: Butterfree's hooks that look at a dataframe. `- amount "
           ">= 0` is short for `- {expect: amount >= 0}`.",
    .may_be_scalar = true,
};

static const option hooks_options[] = {
    {OPTION("before", BLOCKS, hooks_block, before), .block = &hook_kind,
     .doc = "Of a reader: its rows as they were read, before the steps of `preprocess`. Of the "
            "feature set: the query's rows. Of the sink: all feature rows; of a writer: those that "
            "it gets, with its columns.",
     .example = "[amount >= 0]"},
    {OPTION("after", BLOCKS, hooks_block, after), .block = &hook_kind,
     .doc = "Of a reader: its rows behind the steps of `preprocess`, as the query sees them. Of "
            "the source: the query's rows. Of the feature set: the feature rows.",
     .example = "[{expect: count(*) > 0, on_violation: warn}]"},
    {0},
};

const block_kind hooks_kind = {
    BLOCK_KIND("hooks", "Hooks", hooks_block, hooks_options),
    .doc = "Checks of the rows that pass here, in their order: first those of single rows, then "
           "the aggregates of the rows that are left. See docs/guide/hooks.md.",
};

void blocks_check_hooks(const declared_blocks *given, const char *instead, problems *problems)
{
    if (given->n > 0)
        problem_add(problems, &((const hook_block *)given->items)[0].expect.at, "%s", instead);
}
