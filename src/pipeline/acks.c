/* acks.c - writers whose rows are confirmed later, in the loop; see pipeline.h and writer.h.
 *
 * Rows that their store refuses come here, too: each is a dead letter at once, so that the
 * checkpoint that counts the row as done has its letter, too.
 */
#include "base/error.h"
#include "pipeline/pipeline.h"

freshet_code pipeline_progress(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        if (writer->ops->progress == NULL)
            continue;
        code = writer->ops->progress(writer, err);
        trouble_note_writer(pipeline, i);
    }
    measure_shown(pipeline);
    return code;
}

uint32_t pipeline_add_waits(const freshet_pipeline *pipeline, struct pollfd *fds, uint32_t n,
                            int64_t *wake_us)
{
    for (uint32_t i = 0; i < pipeline->n_writers; i++) {
        const freshet_writer *writer = pipeline->writers[i];
        if (writer->ops->progress == NULL)
            continue;
        const int fd = writer->ops->wake_fd(writer);
        const int64_t writer_us = writer->ops->wake_us(writer);
        if (fd >= 0)
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        *wake_us = writer_us < *wake_us ? writer_us : *wake_us;
    }
    return n;
}

bool pipeline_is_troubled(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (pipeline->writer_trouble[i].troubled)
            return true;
    return false;
}

static freshet_code acks_refuse_late(void *context, const char *raw, size_t raw_length,
                                     reason_code why, const char *reason, freshet_error *err)
{
    freshet_pipeline *pipeline = context;
    reject refused = {
        .offset = -1, .code = why, .reason = reason, .raw = raw, .raw_length = raw_length};
    const rejects one = {.items = &refused, .n = 1, .capacity = 1};
    return refusals_add(pipeline, &one, err);
}

static bool is_stopping(void *context)
{
    freshet_pipeline *pipeline = context;
    pipeline_beat(pipeline); /* it is asked while a writer waits for its store */
    return atomic_load(&pipeline->stop);
}

void pipeline_serve_writer(freshet_pipeline *pipeline, freshet_writer *writer)
{
    writer->refuse = acks_refuse_late;
    writer->is_stopping = is_stopping;
    writer->context = pipeline;
    writer->stop_fd = pipeline->wake_fd;
}
