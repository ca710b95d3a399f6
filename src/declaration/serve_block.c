/* serve_block.c - the table of `serve`, which features models may ask for; see blocks.h. */
#include "declaration/blocks.h"

#define SERVE_MEMORY_MIN (1 << 20)

static const option serve_options[] = {
    {OPTION("features", TEXTS, serve_block, features),
     .doc = "Which features are served; all, where none is named. Fewer of them take less memory.",
     .example = "[spent__sum_over_1_hour_fixed_windows]"},
    {OPTION("max_age", DURATION, serve_block, max_age_us), .minimum = 1, .maximum = INT64_MAX,
     .doc = "A row whose event is longer ago is answered with `OUTSIDE_MAX_AGE` and nulls. Without "
            "it rows of any age are served.",
     .example = "2 days"},
    {OPTION("memory", BYTES, serve_block, memory), .standard = "1 GiB", .minimum = SERVE_MEMORY_MIN,
     .maximum = INT64_MAX,
     .doc = "What the newest rows may take in memory. Beyond it, where rows go to Cassandra, too, "
            "keys that were written the longest ago are read from there; else the run ends."},
    {0},
};

const block_kind serve_kind = {
    BLOCK_KIND("serve", "Serving", serve_block, serve_options),
    .doc = "The newest row of each key of a stream, for models that ask by Feast's protocol; see "
           "docs/guide/serving.md.",
};
