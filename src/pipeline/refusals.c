/* refusals.c - rows that are refused: to the dead letters, counted by their reasons, told in the
 * log, and whether they are too many.
 *
 * The log says of the first refusals at once, and then of those since at most each
 * REFUSALS_SAY_US: how many of each reason, and the sentence of the last one. The last of a run are
 * in its summary.
 *
 * TOO MANY is what dead_letters.fail_above says. A run that has an end is looked at as a whole: a
 * number as soon as it is passed, a share at the end, before anything is published. A stream is
 * looked at by each REFUSALS_BLOCK_ROWS rows that it reads, so that a year of good rows does not
 * hide that none is good today. A run that ends and has written nothing, though rows were refused,
 * has failed whatever was said.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "pipeline/pipeline.h"

#define REFUSALS_SAY_US INT64_C(60000000)
#define REFUSALS_BLOCK_ROWS INT64_C(10000)

int64_t freshet_dead_letters(const freshet_pipeline *pipeline, uint32_t reason)
{
    return reason >= REASON_COUNT
               ? 0
               : atomic_load_explicit(&pipeline->refusals.counts[reason], memory_order_relaxed);
}

const char *freshet_reason(uint32_t reason)
{
    return reason >= REASON_COUNT ? NULL : reason_name((reason_code)reason);
}

/* "3 bad_cast, 1 bad_key", of those counted since `before` (NULL: all). */
static void append_reasons(const refusals *refusals, const int64_t *before, text_buffer *into)
{
    const char *between = "";
    for (int i = 0; i < REASON_COUNT; i++) {
        const int64_t n = atomic_load(&refusals->counts[i]) - (before == NULL ? 0 : before[i]);
        if (n == 0)
            continue;
        text_format(into, "%s%lld %s", between, (long long)n, reason_name((reason_code)i));
        between = ", ";
    }
}

static void say_refusals(freshet_pipeline *pipeline)
{
    refusals *refusals = &pipeline->refusals;
    text_buffer text;
    int64_t n = 0;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_reasons(refusals, refusals->said, &text);
    for (int i = 0; i < REASON_COUNT; i++) {
        const int64_t now = atomic_load(&refusals->counts[i]);
        n += now - refusals->said[i];
        refusals->said[i] = now;
    }
    if (!text.failed)
        log_event(ROWS_REFUSED, pipeline->declaration->pipeline.value, (long long)n,
                  n == 1 ? " was" : "s were", text.bytes, refusals->last);
    text_release(&text);
    refusals->said_us = os.monotonic_us();
    refusals->is_unsaid = false;
}

void refusals_say(freshet_pipeline *pipeline)
{
    if (pipeline->refusals.is_unsaid &&
        (pipeline->refusals.said_us == 0 ||
         os.monotonic_us() - pipeline->refusals.said_us >= REFUSALS_SAY_US))
        say_refusals(pipeline);
}

freshet_code refusals_add(freshet_pipeline *pipeline, const rejects *rejects, freshet_error *err)
{
    refusals *refusals = &pipeline->refusals;
    if (rejects->n == 0)
        return FRESHET_OK;
    freshet_code code = dead_letters_add(pipeline->letters, rejects, err);
    if (code != FRESHET_OK)
        return code;
    pipeline_count(pipeline, FRESHET_DEAD_LETTERS, rejects->n);
    for (uint32_t i = 0; i < rejects->n; i++)
        atomic_fetch_add_explicit(&refusals->counts[rejects->items[i].code], 1,
                                  memory_order_relaxed);
    snprintf(refusals->last, sizeof refusals->last, "%s", rejects->items[rejects->n - 1].reason);
    refusals->is_unsaid = true;
    refusals_say(pipeline);
    return FRESHET_OK;
}

freshet_code pipeline_write_letters(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = refusals_add(pipeline, &pipeline->rejects, err);
    if (code == FRESHET_OK)
        pipeline->rejects.n = 0;
    return code;
}

/* ---- too many ------------------------------------------------------------------------------ */

static freshet_code too_many(const freshet_pipeline *pipeline, int64_t refused, int64_t read,
                             const char *why, freshet_error *err)
{
    text_buffer reasons;
    text_init(&reasons, TEXT_LIMIT_DEFAULT);
    append_reasons(&pipeline->refusals, NULL, &reasons);
    freshet_code code =
        error_set(err, FRESHET_BAD_DATA, FRESHET_STOP, pipeline->declaration->file,
                  "%lld of %lld rows were refused (in this run: %s), %s; the dead letters are in "
                  "\"%s\", and the last one says: %s",
                  (long long)refused, (long long)read, reasons.failed ? "" : reasons.bytes, why,
                  dead_letters_path(pipeline->letters), pipeline->refusals.last);
    text_release(&reasons);
    return code;
}

/* Rows that went into the query and were refused; not those of readers that it looks up in. */
static int64_t count_refused(const freshet_pipeline *pipeline)
{
    return freshet_counter(pipeline, FRESHET_DEAD_LETTERS) - pipeline->refusals.n_static;
}

/* Looks at the rows since the last look; is_end: a share of them can be told. */
static freshet_code look(freshet_pipeline *pipeline, bool is_end, freshet_error *err)
{
    const dead_letters_block *block = &pipeline->declaration->dead_letters;
    refusals *refusals = &pipeline->refusals;
    const int64_t read = freshet_counter(pipeline, FRESHET_ROWS_READ) - refusals->looked_read;
    const int64_t refused = count_refused(pipeline) - refusals->looked_refused;
    const bool is_above = block->fail_rows >= 0
                              ? refused > block->fail_rows
                              : is_end && (double)refused > block->fail_share * (double)read;
    char why[160];
    if (is_end && pipeline->checkpoint != NULL) {
        refusals->looked_read += read;
        refusals->looked_refused += refused;
    }
    if (!is_above)
        return FRESHET_OK;
    snprintf(why, sizeof why,
             "and \"fail_above\" allows %.40s: mend the declaration or the input, or raise it",
             block->fail_above.value);
    return too_many(pipeline, refused, read, why, err);
}

freshet_code refusals_check(freshet_pipeline *pipeline, freshet_error *err)
{
    const int64_t read =
        freshet_counter(pipeline, FRESHET_ROWS_READ) - pipeline->refusals.looked_read;
    if (pipeline->declaration->dead_letters.fail_above.value == NULL || pipeline->replay != NULL)
        return FRESHET_OK;
    return look(pipeline, pipeline->checkpoint != NULL && read >= REFUSALS_BLOCK_ROWS, err);
}

freshet_code refusals_check_end(freshet_pipeline *pipeline, freshet_error *err)
{
    if (pipeline->declaration->dead_letters.fail_above.value == NULL || pipeline->replay != NULL)
        return FRESHET_OK;
    return look(pipeline, true, err);
}

freshet_code refusals_check_nothing(const freshet_pipeline *pipeline, freshet_error *err)
{
    const int64_t refused = count_refused(pipeline);
    const bool is_kept = pipeline->declaration->is_stream && pipeline->refusals.n_taken > 0;
    if (refused <= 0 || is_kept || pipeline->refusals.n_delivered > 0)
        return FRESHET_OK;
    return too_many(pipeline, refused, freshet_counter(pipeline, FRESHET_ROWS_READ),
                    "and no row at all was written", err);
}

freshet_code refusals_check_written(const freshet_pipeline *pipeline, freshet_error *err)
{
    const int64_t refused = atomic_load(&pipeline->refusals.counts[REASON_STORE_REFUSED]);
    if (refused == 0 || freshet_counter(pipeline, FRESHET_ROWS_WRITTEN) > 0)
        return FRESHET_OK;
    return too_many(pipeline, count_refused(pipeline), freshet_counter(pipeline, FRESHET_ROWS_READ),
                    "and no row at all was written", err);
}
