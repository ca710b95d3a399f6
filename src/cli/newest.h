/* newest.h - the newest rows of the debug table for the live view, at a cost that stays small.
 *
 * What is wanted is the top of the view `..._latest` by event time. Asking that view costs as much
 * as there are keys: milliseconds for thousands, seconds for a million. Where it has become slow
 * the table itself is asked instead, for the rows of the last span of event time only: the keys
 * that have a row there are the ones with the newest rows. (Where a key has two rows of one event
 * time, this form may show the earlier one.) The span follows what it finds: wider while it holds
 * too few keys, narrower when it holds more rows than needed.
 *
 * Order of calls: newest_open, newest_ask as often as wanted, newest_close. One thread at a time.
 */
#ifndef FRESHET_CLI_NEWEST_H
#define FRESHET_CLI_NEWEST_H

#include <freshet/freshet.h>

#include "cli/layout.h"
#include "cli/progress.h"

#define NEWEST_COLUMNS_MAX 64u
#define NEWEST_ROWS_MAX 200u
#define NEWEST_SLOW_US 100000   /* a query of `..._latest` that took longer was the last one, */
#define NEWEST_FEW_ROWS 50000   /* as long as the table has more rows than this */
#define NEWEST_SPAN_US 60000000 /* the first span */
#define NEWEST_SPAN_MAX_US (INT64_C(1) << 60)
#define NEWEST_SPAN_ROWS 20000 /* more rows than this in it: it is made narrower */

typedef struct newest newest;

/* `slow_us` and `few_rows`: NEWEST_SLOW_US and NEWEST_FEW_ROWS, but for tests. */
freshet_code newest_open(freshet_pipeline *pipeline, const char *feature_set, int64_t slow_us,
                         int64_t few_rows, newest **out, freshet_error *err);
/* Asks again, for at least `wanted` rows where there are so many. What the query finds replaces the
 * rows of newest_table(); when it fails or finds too few, the old ones stay, and it is false: ask
 * again. */
bool newest_ask(newest *newest, const counts *now, uint32_t wanted);
/* The rows of the last good answer, of keys and timestamp, then the columns that windows make, then
 * all others; live until the next newest_ask. */
const view_table *newest_table(const newest *newest);
void newest_close(newest *newest);

/* The span for the next query, after one of `span_us` that held `matched` of the table's rows, with
 * `n_keys` keys of the `wanted`. *good: the answer can be shown. */
int64_t newest_next_span(int64_t span_us, uint32_t n_keys, uint32_t wanted, int64_t matched,
                         int64_t table_rows, bool *good);

#endif
