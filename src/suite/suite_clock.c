/* suite_clock.c - the clock of a test: the table of system calls gets clocks of its own.
 *
 * The wall clock stands still but for `advance`, so that a test gives the same each time. The
 * monotonic one goes on, since the loop waits by it for files and threads, and jumps ahead by what
 * `advance` says.
 */
#include "base/os.h"
#include "suite/suite_internal.h"

static struct {
    int64_t now_us, ahead_us;
    int64_t (*real_now_us)(void);
    int64_t (*real_monotonic_us)(void);
} test_clock;

static int64_t test_now_us(void)
{
    return test_clock.now_us;
}

static int64_t test_monotonic_us(void)
{
    return test_clock.real_monotonic_us() + test_clock.ahead_us;
}

void suite_clock_begin(int64_t now_us)
{
    test_clock.now_us = now_us;
    test_clock.ahead_us = 0;
    test_clock.real_now_us = os.now_us;
    test_clock.real_monotonic_us = os.monotonic_us;
    suite_clock_resume();
}

void suite_clock_advance(int64_t by_us)
{
    test_clock.now_us += by_us;
    test_clock.ahead_us += by_us;
}

void suite_clock_pause(void)
{
    os.now_us = test_clock.real_now_us;
    os.monotonic_us = test_clock.real_monotonic_us;
}

void suite_clock_resume(void)
{
    os.now_us = test_now_us;
    os.monotonic_us = test_monotonic_us;
}

void suite_clock_end(void)
{
    suite_clock_pause();
}
