/* stop.c - a run that is to stop, and is in the middle of a query that takes long.
 *
 * freshet_stop() may be called by a signal handler, so it does no more than set a flag and make a
 * descriptor readable. The loop sees it between two turns. For one that does not come there, since
 * the SQL engine is at work on the source's query, a file or features' SQL, a thread of its own
 * waits for that descriptor, and after a while interrupts the engine until the loop has ended. The
 * step that this breaks off has given its rows to nobody: the next run reads them again.
 *
 * The thread waits in poll(2) itself: the table of system calls is the loop's.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "pipeline/pipeline.h"

#define STOP_GRACE_MS 300 /* a micro-batch is through by then */
#define STOP_AGAIN_MS 20

bool pipeline_is_computing(const freshet_pipeline *pipeline)
{
    return atomic_load(&pipeline->computing);
}

static void *stopper_main(void *context)
{
    stopper *stopper = context;
    freshet_pipeline *pipeline = stopper->pipeline;
    struct pollfd fds[] = {{.fd = stopper->end_fd, .events = POLLIN},
                           {.fd = pipeline->wake_fd, .events = POLLIN}};
    int wait_ms = STOP_GRACE_MS;
    while (!atomic_load(&pipeline->stop) && fds[0].revents == 0)
        poll(fds, 2, -1);
    while (fds[0].revents == 0 && poll(fds, 1, wait_ms) <= 0) {
        sql_watch_interrupt(&pipeline->watch);
        wait_ms = STOP_AGAIN_MS;
    }
    return NULL;
}

freshet_code stopper_start(freshet_pipeline *pipeline, stopper *stopper, freshet_error *err)
{
    stopper->pipeline = pipeline;
    stopper->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stopper->end_fd < 0)
        return error_system(err, "cannot make", "an eventfd");
    if (thread_start(&stopper->thread, stopper_main, stopper))
        return FRESHET_OK;
    close(stopper->end_fd);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                     "the system gives no thread to stop queries with");
}

void stopper_end(stopper *stopper)
{
    uint64_t one = 1;
    ssize_t ignored = write(stopper->end_fd, &one, sizeof one);
    (void)ignored;
    pthread_join(stopper->thread, NULL);
    close(stopper->end_fd);
}
