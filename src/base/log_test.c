/* tsan
 * The log: lines with fields, levels, repeats, a stderr that takes nothing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/os.h"

static text_buffer heard;
static uint32_t n_heard;
static int64_t now_us;

static void hear(void *context, const char *line)
{
    (void)context;
    text_append_c(&heard, line);
    n_heard++;
}

static int64_t clock_us(void)
{
    return now_us;
}

static int begin(void **state)
{
    (void)state;
    text_init(&heard, TEXT_LIMIT_DEFAULT);
    n_heard = 0;
    now_us += INT64_C(1000000000); /* nothing of the test before counts */
    os.monotonic_us = clock_us;
    log_configure(LOG_INFO, LOG_JSON);
    log_hook(hear, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    log_settle(true);
    log_hook(NULL, NULL);
    log_about("", "");
    os_restore();
    text_release(&heard);
    return 0;
}

static void assert_heard(const char *part)
{
    if (heard.bytes == NULL || strstr(heard.bytes, part) == NULL)
        fail_msg("not heard: %s; but: %s", part, heard.bytes == NULL ? "nothing" : heard.bytes);
}

static void test_fields(void **state)
{
    (void)state;
    log_about("shop", "spending");
    log_event(OFFSETS_GONE, "orders", "orders/3", INT64_C(17), "", INT64_C(20), INT64_C(30),
              INT64_C(20));
    assert_heard("\"level\":\"warning\",\"event\":\"offsets_gone\",\"pipeline\":\"shop\","
                 "\"feature_set\":\"spending\",\"reader\":\"orders\",\"partition\":\"orders/3\","
                 "\"offset\":17,\"earliest\":20,\"latest\":30,\"place\":20,\"message\":\"orders/3 "
                 "should go on at offset 17, but the brokers have 20 to 30;");
    log_event(COLUMNS_INFERRED_SLOWLY, "orders", "a \"b\"", 1.25);
    assert_heard("\"from\":\"a \\\"b\\\"\",\"seconds\":1.25,\"message\":");
    log_event(COLUMNS_INFERRED, "orders", "x", 3, "abcdef");
    assert_heard("\"columns\":\"abc\",\"message\":");
    log_event_at(TIMES_ODD, "x.yaml:1:2", "far away");
    assert_heard("\"place\":\"x.yaml:1:2\",\"message\":\"x.yaml:1:2: far away\"}\n");
    log_event_more(EVENT_REPLAYED, "shop", (const int64_t[]){3, INT64_MIN, 1}, "three");
    assert_heard("\"letters\":3,\"rows_written\":null,\"refused_again\":1,\"message\":\"three\"");
}

static void test_text(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_TEXT);
    log_event(FILE_GONE, "orders", "a.jsonl");
    log_event(FILE_READABLE, "orders", "a.jsonl");
    log_event_at(TIMES_ODD, "x.yaml:1:2", "far away");
    assert_string_equal(heard.bytes,
                        "freshet: warning: orders: a.jsonl went away before it was read to its "
                        "end\nfreshet: orders: a.jsonl can be read\n"
                        "x.yaml:1:2: warning: far away\n");
}

static void test_levels(void **state)
{
    (void)state;
    log_event(CONSUMER_SAYS, "orders", "FETCH", "text");
    assert_int_equal(n_heard, 0);
    log_more();
    log_event(CONSUMER_SAYS, "orders", "FETCH", "text");
    assert_heard("\"event\":\"log_level\",\"tells\":\"debug\"");
    assert_heard("\"event\":\"consumer_says\"");
    for (int i = 0; i < 9; i++) /* it ends at errors */
        log_less();
    log_settle(false);
    assert_heard("\"tells\":\"error\",\"message\":\"the log tells error and worse");
    n_heard = 0;
    log_event(FILE_GONE, "orders", "a.jsonl");
    assert_int_equal(n_heard, 0);
    log_event_at(ERROR, NULL, "wrong");
    assert_int_equal(n_heard, 1);
}

/* Each event by itself, with a count, at the end of the span or with what is said behind it. */
static void test_repeats(void **state)
{
    (void)state;
    char path[32];
    for (int i = 0; i < 432; i++) {
        snprintf(path, sizeof path, "%d.jsonl", i);
        log_event(FILE_GONE, "orders", path);
    }
    assert_int_equal(n_heard, LOG_BURST);
    log_event(FILE_READABLE, "orders", "a.jsonl");
    assert_int_equal(n_heard, LOG_BURST + 1);
    log_settle(false);
    assert_int_equal(n_heard, LOG_BURST + 1);
    now_us += LOG_SPAN_US;
    log_settle(false);
    assert_int_equal(n_heard, LOG_BURST + 2);
    assert_heard("\"event\":\"file_gone\",\"reader\":\"orders\",\"more\":412,\"seconds\":10,"
                 "\"message\":\"\xe2\x80\xa6 412 more of these in 10 s; the last: 431.jsonl went ");
    log_event(FILE_GONE, "orders", "b.jsonl");
    assert_int_equal(n_heard, LOG_BURST + 3);
    for (int i = 0; i < 100; i++) { /* never left out */
        log_event_at(ERROR, NULL, "wrong");
        log_event_at(TIMES_ODD, "x.yaml:1:2", "far away");
    }
    assert_int_equal(n_heard, LOG_BURST + 203);
}

/* What nobody reads does not hold up, and is counted once it can be told. */
static void test_blocked(void **state)
{
    (void)state;
    int ends[2];
    char sentence[1024], got[65536];
    const int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_hook(NULL, NULL);
    memset(sentence, 'x', sizeof sentence - 1);
    sentence[sizeof sentence - 1] = '\0';
    for (int i = 0; i < 2000; i++)
        log_event_at(ERROR, NULL, sentence); /* would wait for ever */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    text_reset(&heard);
    for (int quiet = 0; quiet < 3;) {
        const ssize_t n = read(ends[0], got, sizeof got);
        quiet = n > 0 ? 0 : quiet + 1;
        if (n > 0)
            text_append(&heard, got, (size_t)n);
        log_settle(false);
    }
    dup2(kept, STDERR_FILENO);
    unsigned long long lost = 0, n = 0;
    for (const char *at = heard.bytes; (at = strstr(at, "\"event\":\"error\"")) != NULL; at++)
        n++;
    const char *told = strstr(heard.bytes, "\"messages\":");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "\"messages\":%llu", &lost), 1);
    assert_int_equal(n + lost, 2000);
    assert_true(n > 200 && lost > 0);
    assert_int_equal(heard.bytes[heard.length - 1], '\n'); /* whole lines */
    close(ends[0]);
    close(ends[1]);
    close(kept);
}

static void *tell_many(void *context)
{
    (void)context;
    for (int i = 0; i < 2000; i++) {
        log_event(FILE_GONE, "orders", "a.jsonl");
        log_event(FILE_READABLE, "orders", "a.jsonl");
        log_settle(false);
    }
    return NULL;
}

/* Never less than warnings: all of them are told or counted. */
static void *change_level(void *context)
{
    (void)context;
    for (int i = 0; i < 2000; i++) {
        log_more();
        log_less();
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[5];
    log_configure(LOG_WARNING, LOG_JSON);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 4 ? tell_many : change_level, NULL),
                         0);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    log_configure(LOG_INFO, LOG_JSON);
    log_settle(true);
    assert_heard("\"more\":7980,");
}

static void test_page(void **state)
{
    (void)state;
    text_buffer page;
    text_init(&page, TEXT_LIMIT_DEFAULT);
    log_describe(&page);
    assert_non_null(strstr(page.bytes, "| `file_gone` | warning | `reader` text, `file` text | "
                                       "<file> went away before it was read to its end |\n"));
    assert_non_null(strstr(page.bytes, "`newest_event_at` time"));
    text_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fields, begin, end),
        cmocka_unit_test_setup_teardown(test_text, begin, end),
        cmocka_unit_test_setup_teardown(test_levels, begin, end),
        cmocka_unit_test_setup_teardown(test_repeats, begin, end),
        cmocka_unit_test_setup_teardown(test_blocked, begin, end),
        cmocka_unit_test_setup_teardown(test_threads, begin, end),
        cmocka_unit_test_setup_teardown(test_page, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
