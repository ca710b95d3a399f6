/* writer.h - the contract between the loop and a writer.
 *
 * A writer is one file with one struct of operations; adding one touches one line of
 * pipeline/registry.c. The loop allocates `size` bytes, zeroed, base struct first. All calls come
 * from the pipeline's thread except where said. The legal order: open, {write*, flush}*, close;
 * close comes exactly once, after failures too.
 */
#ifndef FRESHET_WRITERS_WRITER_H
#define FRESHET_WRITERS_WRITER_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "declaration/declaration.h"

typedef struct freshet_writer freshet_writer;

typedef struct writer_ops {
    block_kind block;
    size_t size;

    /* `schema`: keys (n_keys first columns), timestamp, features. Lives as long as the writer. */
    freshet_code (*open)(freshet_writer *writer, const schema *schema, uint32_t n_keys,
                         freshet_error *err);
    /* Takes the rows of one micro-batch; they are gone after the call. May keep work in flight
     * until flush. All or nothing for the caller: an error with FRESHET_RETRY means that the same
     * batch may be given again. */
    freshet_code (*write)(freshet_writer *writer, const batch *rows, freshet_error *err);
    /* Everything written so far is durable (or visible, for the debug table) when this returns OK.
     * The loop calls it as soon as no input is waiting, and at least each FLUSH_US. */
    freshet_code (*flush)(freshet_writer *writer, freshet_error *err);
    void (*close)(freshet_writer *writer);
} writer_ops;

struct freshet_writer {
    const writer_ops *ops;
    const declaration *declaration;
    const void *options;
    arena *arena; /* the pipeline's lifetime */
};

#endif
