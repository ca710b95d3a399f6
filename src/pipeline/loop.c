/* loop.c - steps until the end; what may be asked of a pipeline from any thread. */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/fill.h"
#include "pipeline/pipeline.h"

/* A step returns at least this often, so that lag and static readers are looked at. */
#define STEP_WAIT_US INT64_C(500000)

const char *freshet_version(void)
{
    return FRESHET_VERSION;
}

static bool has_end(const freshet_pipeline *pipeline)
{
    return pipeline->options.once || !pipeline->declaration->is_stream;
}

void freshet_stop(freshet_pipeline *pipeline)
{
    atomic_store(&pipeline->stop, true);
    uint64_t one = 1;
    ssize_t ignored = write(pipeline->wake_fd, &one, sizeof one); /* full: it is readable already */
    (void)ignored;
}

void pipeline_beat(freshet_pipeline *pipeline)
{
    atomic_fetch_add_explicit(&pipeline->beats, 1, memory_order_relaxed);
}

pulse pipeline_pulse(const freshet_pipeline *pipeline)
{
    return (pulse){.beats = atomic_load(&pipeline->beats),
                   .has_turned = atomic_load(&pipeline->has_turned),
                   .is_resting = atomic_load(&pipeline->resting),
                   .is_at_long_work = has_end(pipeline) || atomic_load(&pipeline->at_long_work)};
}

/* A rest after a failure. Writers whose rows are confirmed later go on meanwhile, and what they
 * hear may be the end of what failed: so it is also the end of the rest. */
static void pause_for(freshet_pipeline *pipeline, int64_t pause_us)
{
    const int64_t until_us = os.monotonic_us() + pause_us;
    bool heard = false;
    while (!heard && !atomic_load(&pipeline->stop)) {
        struct pollfd fds[PIPELINE_WRITERS_MAX + 1] = {{.fd = pipeline->wake_fd, .events = POLLIN}};
        int64_t wake_us = until_us;
        const uint32_t n = pipeline_add_waits(pipeline, fds, 1, &wake_us);
        const int64_t now_us = os.monotonic_us();
        if (now_us >= until_us)
            return;
        atomic_store(&pipeline->resting, true);
        os.poll(fds, n, wake_us <= now_us ? 0 : (int)((wake_us - now_us + 999) / 1000));
        pipeline_beat(pipeline);
        log_settle(false);
        atomic_store(&pipeline->resting, false);
        for (uint32_t i = 1; i < n; i++)
            heard = heard || (fds[i].revents & POLLIN) != 0;
        if (pipeline_progress(pipeline, NULL) != FRESHET_OK)
            return; /* the next step says so */
    }
}

typedef struct retry {
    int64_t since_us; /* of the first failure in a row; 0: the last step went well */
    int64_t pause_us;
    int64_t stuck_us;  /* since when nothing has gone well */
    int64_t rows_done; /* by the writers, at that time */
} retry;

/* Rows that writers are rid of: a store that is slow is not one that is down. */
static int64_t count_done(const freshet_pipeline *pipeline)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (pipeline->writers[i]->ops->progress != NULL)
            n += writer_done(pipeline->writers[i]);
    return n;
}

/* After a failed step: true when the run should step again, having waited. */
static bool should_retry(freshet_pipeline *pipeline, retry *retry, const freshet_error *problem)
{
    int64_t now_us = os.monotonic_us();
    if (problem->then != FRESHET_RETRY || atomic_load(&pipeline->stop))
        return false;
    const int64_t rows_done = count_done(pipeline);
    if (retry->since_us == 0)
        *retry = (struct retry){.since_us = now_us, .stuck_us = now_us, .rows_done = rows_done};
    if (retry->rows_done != rows_done) {
        retry->stuck_us = now_us;
        retry->rows_done = rows_done;
        retry->pause_us = 0;
    }
    if (retry->pause_us == 0)
        retry->pause_us = RETRY_PAUSE_FIRST_US;
    if (has_end(pipeline) && now_us - retry->stuck_us > RETRY_GIVE_UP_US)
        return false;
    trouble_note_run(pipeline, problem);
    pause_for(pipeline, retry->pause_us);
    retry->pause_us *= 2;
    if (retry->pause_us > RETRY_PAUSE_MAX_US)
        retry->pause_us = RETRY_PAUSE_MAX_US;
    return true;
}

static bool flush_is_due(const freshet_pipeline *pipeline)
{
    return pipeline->unflushed_since_us != 0 &&
           (!pipeline_has_more(pipeline) || atomic_load(&pipeline->stop) ||
            os.monotonic_us() - pipeline->unflushed_since_us >= FLUSH_US);
}

/* A step, and the flush and the checkpoint that it may need. */
static freshet_code turn_once(freshet_pipeline *pipeline, freshet_error *err)
{
    int64_t deadline_us = os.monotonic_us();
    if (!fill_is_under_way(pipeline))
        deadline_us = checkpoint_deadline(pipeline, deadline_us + STEP_WAIT_US);
    freshet_code code = pipeline_step(pipeline, deadline_us, err);
    if (code == FRESHET_END) {
        freshet_code finished = pipeline_finish(pipeline, err);
        return finished == FRESHET_OK ? code : finished;
    }
    if (code == FRESHET_OK && flush_is_due(pipeline))
        code = pipeline_show(pipeline, err);
    if (code == FRESHET_OK)
        code = pipeline_progress(pipeline, err);
    if (code == FRESHET_OK)
        code = fill_turn(pipeline, err);
    return code == FRESHET_OK ? checkpoint_turn(pipeline, err) : code;
}

static freshet_code loop_turn(freshet_pipeline *pipeline, freshet_error *err)
{
    const freshet_code code = turn_once(pipeline, err);
    measure_turn(pipeline);
    return code;
}

/* A stop that broke off what was under way is a good end, too: the next run begins behind the last
 * checkpoint; a batch has shown nothing. */
static freshet_code give_up(const freshet_pipeline *pipeline)
{
    log_event(STOPPED_WITHIN, pipeline->declaration->pipeline.value);
    return FRESHET_OK;
}

static freshet_code finish_stopped(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_error problem = {0};
    atomic_store(&pipeline->at_long_work, true);
    freshet_code code = pipeline_flush(pipeline, &problem);
    if (code == FRESHET_OK)
        code = checkpoint_finish(pipeline, &problem);
    atomic_store(&pipeline->at_long_work, false);
    if (code != FRESHET_OK && error_is_stopped(&problem))
        return give_up(pipeline);
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code run_turns(freshet_pipeline *pipeline, freshet_error *err)
{
    retry retry = {0};
    for (;;) {
        freshet_error problem = {0};
        freshet_code code = loop_turn(pipeline, &problem);
        pipeline_beat(pipeline);
        if (code == FRESHET_OK || code == FRESHET_END) {
            trouble_note_run(pipeline, NULL);
            atomic_store(&pipeline->has_turned, true);
        }
        if (code == FRESHET_END)
            return FRESHET_OK;
        if (code == FRESHET_OK) {
            retry.since_us = 0;
            if (atomic_load(&pipeline->stop))
                return finish_stopped(pipeline, err);
        } else if (error_is_stopped(&problem) && atomic_load(&pipeline->stop)) {
            return give_up(pipeline);
        } else if (!should_retry(pipeline, &retry, &problem)) {
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
}

freshet_code freshet_run(freshet_pipeline *pipeline, freshet_error *err)
{
    stopper stopper;
    freshet_code code = stopper_start(pipeline, &stopper, err);
    if (code != FRESHET_OK)
        return code;
    code = run_turns(pipeline, err);
    stopper_end(&stopper);
    return code;
}

freshet_writer *pipeline_queried(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (pipeline->writers[i]->ops->query != NULL)
            return pipeline->writers[i];
    return NULL;
}

/* What the pipeline's counters have of the writers'. A row may go to several of them: of what was
 * written the writer that has the most is shown. */
typedef struct writer_total {
    freshet_count which;
    writer_count of;
    bool is_sum;
} writer_total;

static const writer_total *writer_total_of(freshet_count which)
{
    static const writer_total totals[] = {
        {FRESHET_ROWS_WRITTEN, WRITER_WRITTEN, false},
        {FRESHET_ROWS_REFUSED, WRITER_REFUSED, true},
        {FRESHET_ROWS_EXPIRED, WRITER_EXPIRED, true},
        {FRESHET_ROWS_REPLACED, WRITER_REPLACED, true},
        {FRESHET_ROWS_AGAIN, WRITER_AGAIN, false},
    };
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        if (totals[i].which == which)
            return &totals[i];
    return NULL;
}

/* `counted`: by the pipeline itself. */
static int64_t total_of_writers(const freshet_pipeline *pipeline, const writer_total *total,
                                int64_t counted)
{
    for (uint32_t i = 0; i < pipeline->n_writers; i++) {
        const int64_t n = writer_counted(pipeline->writers[i], total->of);
        counted = total->is_sum ? counted + n : n > counted ? n : counted;
    }
    return counted;
}

int64_t freshet_counter(const freshet_pipeline *pipeline, freshet_count which)
{
    const freshet_writer *queried = pipeline_queried(pipeline);
    if (which == FRESHET_TABLE_ROWS || which == FRESHET_TABLE_TRIMMED)
        return queried == NULL ? 0 : queried->ops->figure(queried, which);
    const int64_t counted = atomic_load_explicit(&pipeline->counters[which], memory_order_relaxed);
    const writer_total *total = writer_total_of(which);
    return total == NULL ? counted : total_of_writers(pipeline, total, counted);
}

const char *pipeline_writer_name(const freshet_pipeline *pipeline, uint32_t writer)
{
    const freshet_writer *named = pipeline->writers[writer];
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (i != writer && pipeline->writers[i]->ops->block == named->ops->block)
            return named->name;
    return named->ops->block->name;
}

const char *freshet_writer_name(const freshet_pipeline *pipeline, uint32_t writer)
{
    return writer < pipeline->n_writers ? pipeline_writer_name(pipeline, writer) : NULL;
}

int64_t freshet_writer_counter(const freshet_pipeline *pipeline, uint32_t writer,
                               freshet_count which)
{
    const writer_total *total = writer_total_of(which);
    return total == NULL || writer >= pipeline->n_writers
               ? 0
               : writer_counted(pipeline->writers[writer], total->of);
}

const char *freshet_output_name(const freshet_pipeline *pipeline, uint32_t column)
{
    const schema *schema = feature_set_schema(pipeline->features);
    return column < schema->n_fields ? schema->fields[column].name : NULL;
}

const char *freshet_output_type(const freshet_pipeline *pipeline, uint32_t column)
{
    const schema *schema = feature_set_schema(pipeline->features);
    return column < schema->n_fields ? pipeline->output_types[column] : NULL;
}

freshet_code freshet_query(freshet_pipeline *pipeline, const char *sql,
                           const freshet_query_options *options, freshet_result **out,
                           freshet_error *err)
{
    freshet_writer *queried = pipeline_queried(pipeline);
    if (queried == NULL)
        return error_set(
            err, FRESHET_FAILED, FRESHET_STOP, NULL,
            "this pipeline has no debug table to query: run it with --debug, or declare "
            "`- online: {debug: true}` under sink.writers");
    return queried->ops->query(queried, sql, options, out, err);
}
