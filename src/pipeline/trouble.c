/* trouble.c - readers and writers that cannot do what they should: said, and shown by
 * freshet_ready().
 *
 * Trouble is said when it begins, each TROUBLE_AGAIN_US while it lasts, and when it is over.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/pipeline.h"

#define TROUBLE_AGAIN_US INT64_C(60000000)

static void trouble_keep(freshet_pipeline *pipeline, int change, const char *id,
                         const char *sentence)
{
    pthread_mutex_lock(&pipeline->trouble_lock);
    pipeline->n_troubled += (uint32_t)change;
    if (sentence != NULL)
        snprintf(pipeline->trouble, sizeof pipeline->trouble, "%s: %s", id, sentence);
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
        log_say(LOG_INFO, id, "%s", over);
        trouble_keep(pipeline, -1, id, NULL);
    } else if (!of->troubled || now_us - of->said_us >= TROUBLE_AGAIN_US) {
        log_say(LOG_WARNING, id, "%s; trying again until it works", sentence);
        of->said_us = now_us;
        trouble_keep(pipeline, of->troubled ? 0 : 1, id, sentence);
    }
    of->troubled = sentence != NULL;
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
    note(pipeline, &pipeline->writer_trouble[i], writer->ops->block->name,
         writer->ops->trouble == NULL ? NULL : writer->ops->trouble(writer),
         "the trouble is over, writing goes on");
}

bool freshet_ready(const freshet_pipeline *pipeline, freshet_error *why)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&pipeline->trouble_lock;
    pthread_mutex_lock(lock);
    const bool ready = pipeline->n_troubled == 0;
    if (!ready)
        error_set(why, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "%s", pipeline->trouble);
    pthread_mutex_unlock(lock);
    return ready;
}
