/* process_copy.h - work in a copy of the process (fork), which can be ended at any moment.
 *
 * Nothing inside one process holds SQL to its limits whatever its functions do: a function of the
 * SQL engine that makes large values of small ones asks nobody for leave, and looks at no interrupt
 * before it is through. So what may be given up runs in a copy: it sees all memory as it was at
 * that moment, shares it until one of both changes it, and writes what it finds into a pipe. What
 * it takes beyond its limits ends it alone.
 *
 * The copy has one thread, no descriptors but 0 to 2 and its pipe, and no handlers of signals. No
 * other thread may hold a lock that the work needs: the caller sees to it; those of malloc are put
 * in order around fork() by the C library and by DuckDB's allocator. A lock that nobody puts in
 * order (the allocator of GCC's AddressSanitizer has one) may have been held at that moment: then
 * the copy waits for it for ever, and the caller starts another (process_copy_asleep).
 */
#ifndef FRESHET_BASE_PROCESS_COPY_H
#define FRESHET_BASE_PROCESS_COPY_H

#include <freshet/freshet.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct process_copy {
    pid_t process;
    int pipe; /* what it writes; read, and closed by the caller */
} process_copy;

/* In the copy, which ends when it returns. */
typedef void process_copy_fn(void *context, int fd);

/* Starts it. `doing`, as in "run the query in", is for the message where the system gives no
 * process: FRESHET_TRY_AGAIN. `timeout_us` and `memory` are the system's limits for the case that
 * nobody else ends it: processor time, and bytes of memory more than it begins with, with room to
 * spare. */
freshet_code process_copy_start(process_copy_fn *work, void *context, const char *doing,
                                int64_t timeout_us, int64_t memory, process_copy *out,
                                freshet_error *err);

/* Called in the copy: the system ends it with the thread that started it, `parent` being its
 * process. */
void process_copy_follow(pid_t parent);

/* Bytes of memory of its own that a process has now (the caller's: 0); 0 where that cannot be
 * known. */
int64_t process_copy_memory(pid_t process);

/* Processor time that the process has used, in ticks of the system, while it waits for something;
 * -1 where it runs, or that cannot be known. */
int64_t process_copy_asleep(pid_t process);

/* Ends the process if it has not ended, and waits for that: signal that it ended by, or 0. */
int process_copy_end(pid_t process);

#endif
