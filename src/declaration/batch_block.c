/* batch_block.c - the table of `batch`, what a batch may take while it runs; see blocks.h. */
#include "declaration/blocks.h"

static const option batch_options[] = {
    {OPTION("memory", MEMORY, batch_block, memory), .standard = "512 MiB",
     .minimum = STATE_MEMORY_MIN, .maximum = INT64_MAX,
     .doc = "How much memory a batch may take for the rows that windows and `deduplicate_rows` "
            "must see together, and for what is computed of them. Rows that it has no room for "
            "wait in a file, spread by their keys. A size, or a share as in `state`. See "
            "docs/guide/memory.md.",
     .example = "2 GiB"},
    {OPTION("path", TEXT, batch_block, path),
     .doc = "The folder of that file, which has no name and is gone with the run, however it "
            "ends. By default that of the environment's `TMPDIR`, else `/var/tmp`.",
     .example = "/mnt/scratch"},
    {0},
};

const block_kind batch_kind = {
    BLOCK_KIND("batch", "Batch", batch_block, batch_options),
    .doc = "What a batch may take while it runs.",
};
