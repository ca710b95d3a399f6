/* compare_debug.h - the debug table of a running pipeline, by its query socket, as the store of a
 * comparison.
 *
 * What is asked is SQL over the view of each key's newest row; rows come as lines of JSON and are
 * decoded by the schema of the writer.
 *
 * The table begins empty with its process, and its limit takes the oldest rows away: what it cannot
 * have any more is told from what is missing by the files of the history, which are older than the
 * process.
 */
#ifndef FRESHET_COMPARE_COMPARE_DEBUG_H
#define FRESHET_COMPARE_COMPARE_DEBUG_H

#include "compare/compare.h"
#include "operate/query_client.h"

typedef struct compare_debug {
    query_client *client;
    const char *view;     /* in double quotes */
    const schema *schema; /* of the writer */
    uint32_t n_keys;
    int64_t kept_us; /* as of a store */
} compare_debug;

/* Finds the pipeline, and asks it since when its table has rows: `goes_on` says that it goes on
 * where a run before it ended. *out is closed in any case; the schema must outlive it. */
freshet_code compare_debug_open(const char *pipeline, const char *feature_set, bool goes_on,
                                const schema *schema, uint32_t n_keys, arena *arena,
                                compare_debug *out, freshet_error *err);
void compare_debug_close(compare_debug *debug);
compare_store compare_debug_store(compare_debug *context);

#endif
