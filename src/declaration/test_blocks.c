/* test_blocks.c - the tables of `tests`: rows that are given to a declaration, and what must come
 * out. src/suite runs them. */
#include "declaration/blocks.h"

static const option expect_options[] = {
    {OPTION("online", NODE, expect_block, online),
     .doc =
         "The newest row of each key, as an online store holds it: a list of maps, in any order. "
         "A row must have the columns that are named, and may have others; every key must be "
         "in the list.",
     .example = "[{origin: JFK, delay__avg: 12.5}]"},
    {OPTION("history", NODE, expect_block, history),
     .doc = "All feature rows so far, each as it first was: a list of maps, in any order, and no "
            "row beside them.",
     .example = "[{origin: JFK, timestamp: 2026-01-01T00:00:00Z, delay: 12.5}]"},
    {OPTION("dead_letters", NODE, expect_block, dead_letters),
     .doc = "The rows that were refused: a list of maps with fields of the dead letter (`code`, "
            "`reader`, `reason`, `raw` and so on); of texts a part is enough.",
     .example = "[{code: bad_cast, reason: dep_delay}]"},
    {OPTION("late", INTEGER, expect_block, late), .minimum = 0, .maximum = INT32_MAX,
     .place_offset = offsetof(expect_block, late_at) + 1,
     .doc = "How many rows came too late, whatever becomes of them.", .example = "1"},
    {0},
};

static const block_kind expect_kind = {
    BLOCK_KIND("expect", "Expect", expect_block, expect_options),
    .doc = "What must be there. What is not named is not looked at.",
};

static const option step_options[] = {
    {OPTION("rows", NODE, test_step_block, rows),
     .doc = "Rows that come now: a map of readers, each with a list of rows (maps), or with text "
            "in the reader's own format.",
     .example = "{flights: [{origin: JFK, dep_delay: 12}]}"},
    {OPTION("advance", DURATION, test_step_block, advance_us),
     .doc = "The clock goes on by this time, behind the rows of the step.",
     .example = "10 minutes"},
    {OPTION("restart", BOOLEAN, test_step_block, restart), .standard = "false",
     .doc = "The stream is stopped, and goes on from its checkpoint."},
    {OPTION_GIVEN("expect", test_step_block, expect), .block = &expect_kind,
     .doc = "What must be there behind the step."},
    {0},
};

static const block_kind step_kind = {
    BLOCK_KIND("step", "Step of a test", test_step_block, step_options),
    .doc = "One step of a test of a stream: its rows, then the clock, then a restart, then what is "
           "expected. The rows of a step are one micro-batch of each reader.",
};

static const option test_options[] = {
    {OPTION("name", TEXT, test_block, name), .required = true, .doc = "What the test is called.",
     .example = "a late flight changes nothing"},
    {OPTION("now", TEXT, test_block, now),
     .doc = "The time at which the test's clock stands at first, ISO 8601. Without it: the real "
            "time. It goes on by `advance` only.",
     .example = "2026-01-01T00:00:00Z"},
    {OPTION("given", NODE, test_block, given),
     .doc = "Rows that are there at the beginning: as `rows` of a step. A reader that streams and "
            "is given nothing has no rows; one that does not keeps its own file or table.",
     .example = "{flights: [{origin: JFK, dep_delay: 12}]}"},
    {OPTION("steps", BLOCKS, test_block, steps), .block = &step_kind,
     .doc = "What happens then, on a stream."},
    {OPTION_GIVEN("expect", test_block, expect), .block = &expect_kind,
     .doc = "What must be there at the end."},
    {OPTION("batch_equals_stream", BOOLEAN, test_block, batch_equals_stream), .standard = "false",
     .doc = "The same rows run as a batch, and as streams that are cut differently: all must give "
            "the same history and the same newest rows."},
    {0},
};

const block_kind test_kind = {
    BLOCK_KIND("test", "Tests", test_block, test_options),
    .doc = "A test that `freshet test` runs: offline, with a clock of its own, on the same loop as "
           "`freshet run`.",
};
