/* A copy of the process: what it writes, what ends it, and that nothing of it stays. */
#define _GNU_SOURCE
#include "base/process_copy.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/os.h"

#define MEMORY (INT64_C(64) << 20)
#define LONG_US INT64_C(600000000)

static process_copy start(process_copy_fn *work, void *context, int64_t timeout_us)
{
    process_copy copy;
    assert_int_equal(process_copy_start(work, context, "test in", timeout_us, MEMORY, &copy, NULL),
                     FRESHET_OK);
    return copy;
}

static void write_number(void *context, int fd)
{
    int *number = context;
    ++*number;
    assert_int_equal(write(fd, number, sizeof *number), sizeof *number);
}

static void test_writes_and_changes_nothing(void **state)
{
    int number = 41, read = 0;
    (void)state;
    process_copy copy = start(write_number, &number, LONG_US);
    assert_int_equal(os_read_all(copy.pipe, (char *)&read, sizeof read), sizeof read);
    assert_int_equal(read, 42);
    assert_int_equal(number, 41);
    assert_int_equal(os_read_all(copy.pipe, (char *)&read, sizeof read), 0);
    process_copy_end(copy.process);
    os.close(copy.pipe);
}

static void sleep_for_ever(void *context, int fd)
{
    const pid_t *parent = context;
    const pid_t own = getpid();
    if (parent != NULL)
        process_copy_follow(*parent);
    alarm(30); /* so that a test fails, and does not hang */
    if (write(fd, &own, sizeof own) == (ssize_t)sizeof own)
        for (;;)
            pause();
}

static void test_is_ended(void **state)
{
    pid_t process;
    (void)state;
    process_copy copy = start(sleep_for_ever, NULL, LONG_US);
    assert_int_equal(os_read_all(copy.pipe, (char *)&process, sizeof process), sizeof process);
    assert_int_equal(process, copy.process);
    assert_int_equal(process_copy_end(copy.process), SIGKILL);
    assert_int_equal(process_copy_end(copy.process), 0);
    os.close(copy.pipe);
}

/* In a process of its own, which starts a copy and is gone: its number comes by the pipe. */
static void start_and_go(int fd)
{
    pid_t parent = getpid(), process;
    process_copy copy = start(sleep_for_ever, &parent, LONG_US);
    const bool is_there =
        os_read_all(copy.pipe, (char *)&process, sizeof process) == (ssize_t)sizeof process &&
        write(fd, &process, sizeof process) == (ssize_t)sizeof process;
    _exit(is_there ? 0 : 1);
}

static void test_follows(void **state)
{
    int ends[2], status;
    pid_t process;
    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe(ends), 0);
    const pid_t middle = fork();
    if (middle == 0)
        start_and_go(ends[1]);
    close(ends[1]);
    assert_int_equal(os_read_all(ends[0], (char *)&process, sizeof process), sizeof process);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
}

static void compute_for_ever(void *context, int fd)
{
    volatile unsigned *number = context;
    (void)fd;
    for (;;)
        ++*number;
}

static void test_has_a_limit_of_time(void **state)
{
    unsigned number = 0;
    int status;
    (void)state;
    process_copy copy = start(compute_for_ever, &number, 0);
    assert_int_equal(waitpid(copy.process, &status, 0), copy.process);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
    os.close(copy.pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_and_changes_nothing),
        cmocka_unit_test(test_is_ended),
        cmocka_unit_test(test_follows),
        cmocka_unit_test(test_has_a_limit_of_time),
    };
    return cmocka_run_group_tests_name("process_copy", tests, NULL, NULL);
}
