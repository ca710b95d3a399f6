/* trouble.c - readers, writers and runs that cannot do what they should: said, and shown by
 * freshet_ready().
 *
 * Trouble is said when it begins, each TROUBLE_AGAIN_US while it lasts, and when it is over. The
 * trouble of a run is that of a step, flush or checkpoint that failed and is tried again: a full
 * disk under the history, the dead letters or the state. It is over when all of them went well. A
 * writer that tells its own trouble is not told a second time as the run's.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/pipeline.h"

#define TROUBLE_AGAIN_US INT64_C(60000000)

static void trouble_keep(freshet_pipeline *pipeline, trouble *of, const char *id,
                         const char *sentence)
{
    pthread_mutex_lock(&pipeline->trouble_lock);
    pipeline->n_troubled += (uint32_t)(sentence != NULL) - (uint32_t)of->troubled;
    of->troubled = sentence != NULL;
    if (sentence != NULL)
        snprintf(of->sentence, sizeof of->sentence, "%s: %s", id, sentence);
    pthread_mutex_unlock(&pipeline->trouble_lock);
}

/* Says what is to be said of one of them; `over` where it ends. */
static void note(freshet_pipeline *pipeline, trouble *of, const char *id, const char *sentence,
                 const char *over)
{
    if (sentence == NULL && !of->troubled)
        return;
    const int64_t now_us = os.monotonic_us();
    if (sentence == NULL) {
        log_event(TROUBLE_OVER, id, over);
    } else if (!of->troubled || now_us - of->said_us >= TROUBLE_AGAIN_US) {
        log_event(TROUBLE, id, sentence);
        of->said_us = now_us;
    }
    trouble_keep(pipeline, of, id, sentence);
}

void trouble_note(freshet_pipeline *pipeline, reader_state *state)
{
    const freshet_reader *reader = state->reader;
    note(pipeline, &state->trouble, reader->block->id.value,
         reader->ops->trouble == NULL ? NULL : reader->ops->trouble(reader),
         "the trouble is over, reading goes on");
}

void trouble_note_writer(freshet_pipeline *pipeline, uint32_t i)
{
    freshet_writer *writer = pipeline->writers[i];
    note(pipeline, &pipeline->writer_trouble[i], pipeline_writer_name(pipeline, i),
         writer->ops->trouble == NULL ? NULL : writer->ops->trouble(writer),
         "the trouble is over, writing goes on");
}

void trouble_note_run(freshet_pipeline *pipeline, const freshet_error *problem)
{
    char sentence[sizeof problem->text + sizeof "; nothing is lost"];
    const char *told = NULL;
    if (problem != NULL && problem->then != FRESHET_RETRY)
        return;
    if (problem == NULL && checkpoint_is_stuck(pipeline))
        return;
    if (problem != NULL && pipeline_is_troubled(pipeline) && !pipeline->run_trouble.troubled)
        return;
    if (problem != NULL) {
        snprintf(sentence, sizeof sentence, "%s; nothing is lost", problem->text);
        told = sentence;
    }
    note(pipeline, &pipeline->run_trouble, pipeline->declaration->pipeline.value, told,
         "the trouble is over, the run goes on");
}

/* The first of all; trouble_lock is held. */
static const trouble *first_trouble(const freshet_pipeline *pipeline)
{
    if (pipeline->run_trouble.troubled)
        return &pipeline->run_trouble;
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (pipeline->writer_trouble[i].troubled)
            return &pipeline->writer_trouble[i];
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (pipeline->readers[i].trouble.troubled)
            return &pipeline->readers[i].trouble;
    return NULL;
}

bool freshet_ready(const freshet_pipeline *pipeline, freshet_error *why)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&pipeline->trouble_lock;
    pthread_mutex_lock(lock);
    const uint32_t n = pipeline->n_troubled;
    const trouble *first = n == 0 ? NULL : first_trouble(pipeline);
    if (first != NULL && n == 1)
        error_set(why, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "%s", first->sentence);
    else if (first != NULL)
        error_set(why, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "%s (and %u more)", first->sentence,
                  n - 1);
    pthread_mutex_unlock(lock);
    return first == NULL;
}
