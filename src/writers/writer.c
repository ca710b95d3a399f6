/* writer.c - the rows that a writer takes; what writers take and keep, in words: for `freshet
 * check` and for the table in the documents. */
#include "writers/writer.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* By writer_keeps. */
static const struct {
    const char *kept;
    const char *stream; /* after a crash and a restart */
    const char *batch;  /* that is run again */
} promises[] = {
    [KEEPS_NOTHING] = {"its rows in memory", "begins empty", "begins empty"},
    [KEEPS_NEWEST] = {"each key's newest row, by write timestamp",
                      "rows since the last checkpoint come again and change nothing",
                      "the same rows come again and change nothing"},
    [KEEPS_FILES] = {"every row, in files",
                     "each row is there once, since files appear with the checkpoint that lists "
                     "them",
                     "files appear at its end, and take the place of those before"},
    [KEEPS_ONCE] = {"every row, in transactions",
                    "each row is there once for readers of what is committed, since it appears "
                    "with the checkpoint that lists it",
                    "all its rows are appended once more, at its end, all or none"},
    [KEEPS_ALL_AGAIN] = {"every row, appended", "rows since the last checkpoint may be there twice",
                         "all its rows are appended once more"},
};

freshet_code writer_select(const batch *all, unsigned takes, batch *out, freshet_error *err)
{
    if (all->row_kinds == NULL) {
        *out = *all;
        out->n_rows = (takes & (ROW_NEW | ROW_ONLINE)) != 0 ? all->n_rows : 0;
        return FRESHET_OK;
    }
    uint8_t *keep = arena_alloc(all->arena, all->n_rows + (size_t)1);
    if (keep == NULL)
        return error_memory(err, "selecting rows for a writer");
    for (uint32_t i = 0; i < all->n_rows; i++)
        keep[i] = (all->row_kinds[i] & takes) != 0;
    return batch_select(all, keep, out, err);
}

static void describe_takes(unsigned takes, text_buffer *into)
{
    static const char *const names[] = {"new rows", "each key's newest rows", "corrected rows"};
    const char *between = "";
    for (unsigned i = 0; i < 3; i++) {
        if ((takes & 1u << i) == 0)
            continue;
        text_format(into, "%s%s", between, names[i]);
        between = ", ";
    }
}

static void describe_name(const writer_ops *ops, text_buffer *into)
{
    if (strcmp(ops->name, ops->block->name) != 0)
        text_format(into, "%s: ", ops->block->name);
    text_append_c(into, ops->name);
}

void writer_describe(const writer_ops *ops, const void *options, bool is_stream, text_buffer *into)
{
    describe_name(ops, into);
    text_append_c(into, " takes ");
    describe_takes(writer_takes(ops, options), into);
    text_format(into, "; keeps %s; %s: %s", promises[ops->keeps].kept,
                is_stream ? "after a crash" : "run again",
                is_stream ? promises[ops->keeps].stream : promises[ops->keeps].batch);
}

void writers_describe(const writer_ops *const *writers, size_t n, text_buffer *into)
{
    text_append_c(into, "| writer | takes | keeps | a stream after any crash | a batch that is run "
                        "again |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        const writer_ops *ops = writers[i];
        text_append_c(into, "| `");
        describe_name(ops, into);
        text_append_c(into, "` | ");
        describe_takes(ops->takes, into);
        text_format(into, "%s | %s | %s | %s |\n",
                    ops->takes_with == NULL ? "" : " (its options can say otherwise)",
                    promises[ops->keeps].kept, promises[ops->keeps].stream,
                    promises[ops->keeps].batch);
    }
}
