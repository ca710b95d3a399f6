/* Tests of signals.c: each in a child process of its own. */
#define _GNU_SOURCE
#include "operate/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"

static volatile sig_atomic_t stops;

static void count_stop(void *context)
{
    stops += *(int *)context;
}

/* The exit code of a child that runs `body`; what it wrote to stderr goes to `said`. */
static int run_child(void (*body)(void), char *said, size_t size)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        body();
        _exit(99);
    }
    close(pipe_fds[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(pipe_fds[0], said + length, size - 1 - length)) > 0)
        length += (size_t)n;
    said[length] = '\0';
    close(pipe_fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void first_signal_body(void)
{
    int three = 3;
    signals_install(count_stop, &three, NULL);
    if (signals_caught() != 0)
        _exit(1);
    raise(SIGTERM);
    _exit(stops == 3 && signals_caught() == SIGTERM ? 0 : 2);
}

static void test_first_signal_stops(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(first_signal_body, said, sizeof said), 0);
    assert_string_equal(said, "");
}

static void last_words(void)
{
    ssize_t n = write(STDERR_FILENO, "last words\n", 11);
    (void)n;
}

static int64_t clock_us;

static int64_t faked_us(void)
{
    return clock_us;
}

static void second_signal_body(void)
{
    int one = 1;
    os.monotonic_us = faked_us;
    signals_install(count_stop, &one, NULL);
    signals_on_abort(last_words);
    raise(SIGTERM);
    clock_us += 1000000;
    raise(SIGINT);
}

/* Just less than a second later it is the same one. */
static void one_signal_body(void)
{
    int one = 1;
    os.monotonic_us = faked_us;
    signals_install(count_stop, &one, NULL);
    raise(SIGTERM);
    raise(SIGTERM);
    clock_us += 999999;
    raise(SIGINT);
    _exit(stops == 1 && signals_caught() == SIGTERM ? 0 : 2);
}

static void test_signals_at_once_are_one(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(one_signal_body, said, sizeof said), 0);
    assert_string_equal(said, "");
}

static volatile sig_atomic_t looks;

/* Stuck, but for the third look. */
static bool is_stuck(void *context)
{
    (void)context;
    return ++looks != 3;
}

static void stuck_body(void)
{
    int one = 1;
    signals_install(count_stop, &one, NULL);
    signals_on_stuck(is_stuck);
    signals_on_abort(last_words);
    raise(SIGTERM);
    for (;;)
        pause();
}

static void test_a_stuck_run_is_left(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(stuck_body, said, sizeof said), 0);
    assert_memory_equal(said, "last words\n", 11);
    assert_non_null(strstr(said, "read again by the next run"));
}

static void unstuck_body(void)
{
    int one = 1;
    looks = 0;
    signals_install(count_stop, &one, NULL);
    signals_on_stuck(is_stuck);
    raise(SIGTERM);
    while (looks < 5) /* two in a row, one not, two in a row */
        pause();
    signals_remove();
    _exit(0);
}

static void test_a_run_that_goes_on_is_not(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(unstuck_body, said, sizeof said), 0);
    assert_string_equal(said, "");
}

static void test_second_signal_ends(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(second_signal_body, said, sizeof said), 128 + SIGINT);
    assert_memory_equal(said, "last words\n", 11);
    assert_non_null(strstr(said, "second signal"));
}

static void closed_pipe_body(void)
{
    int fds[2], one = 1;
    signals_install(count_stop, &one, NULL);
    if (pipe(fds) != 0)
        _exit(1);
    close(fds[0]);
    ssize_t n = write(fds[1], "x", 1);
    _exit(n == -1 && errno == EPIPE ? 0 : 2);
}

static void test_sigpipe_is_ignored(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(closed_pipe_body, said, sizeof said), 0);
}

static void removed_body(void)
{
    int one = 1;
    signal(SIGINT, SIG_IGN);
    signals_install(count_stop, &one, NULL);
    signals_remove();
    raise(SIGINT);
    _exit(stops == 0 ? 0 : 2);
}

static void test_remove_restores(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(removed_body, said, sizeof said), 0);
}

static void passed_on_late_body(void)
{
    int one = 1;
    os.monotonic_us = faked_us;
    signals_install(count_stop, &one, NULL);
    raise(SIGTERM);
    signals_remove();
    raise(SIGINT); /* the same one, on its way out */
    signals_install(count_stop, &one, NULL);
    raise(SIGINT);
    signals_remove();
    _exit(stops == 2 && signals_caught() == SIGINT ? 0 : 2);
}

static void test_the_same_signal_may_come_behind_the_end(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(run_child(passed_on_late_body, said, sizeof said), 0);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_signal_stops),
        cmocka_unit_test(test_second_signal_ends),
        cmocka_unit_test(test_signals_at_once_are_one),
        cmocka_unit_test(test_a_stuck_run_is_left),
        cmocka_unit_test(test_a_run_that_goes_on_is_not),
        cmocka_unit_test(test_sigpipe_is_ignored),
        cmocka_unit_test(test_remove_restores),
        cmocka_unit_test(test_the_same_signal_may_come_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
