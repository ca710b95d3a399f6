/* file_follow_test.c - the file reader as a stream: growing, renamed, cut, removed and
 * unreadable files. */
#include "readers/file/file_testing.h"

#include <poll.h>

static void wait_and_settle(rig *rig)
{
    rig_now_us += 2000000;
    rig_settle(rig);
}

static void what_is_added_is_read_by_whole_lines(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    rig_write(rig, "a", "{\"n\":1}\n{\"n\":");
    rig_open(rig);
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n");
    rig_append(rig, "a", "2");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n");
    rig_append(rig, "a", "}\n");
    rig_write(rig, "b", "{\"n\":3}\n");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_append(rig, "a", "{\"n\":4}\n");
    rig_settle(rig);
    rig_append(rig, "b", "{\"n\":5}\n");
    rig_write(rig, ".part", "{\"n\":99}\n");
    rig_settle(rig);
    rename(rig_path(rig, ".part"), rig_path(rig, "c"));
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n{\"n\":99}\n");
    assert_int_equal(rig->n_rejects, 0);
    rig_free(rig);
}

static void news_makes_the_descriptor_readable(void **state)
{
    rig *rig = rig_follow("", "n: bigint");
    struct pollfd watched = {.events = POLLIN};

    (void)state;
    rig_open(rig);
    rig_settle(rig);
    watched.fd = rig->ops->wake_fd(rig->reader);
    assert_true(watched.fd >= 0);
    assert_int_equal(poll(&watched, 1, 0), 0);
    rig_write(rig, "a", "{\"n\":1}\n");
    assert_int_equal(poll(&watched, 1, 1000), 1);
    rig_settle(rig);
    assert_int_equal(poll(&watched, 1, 0), 0);
    assert_int_equal(rig->n_rows, 1);
    rig_append(rig, "a", "{\"n\":2}\n");
    assert_int_equal(poll(&watched, 1, 1000), 1);
    assert_int_equal(rig->ops->lag(rig->reader), 0);
    rig_poll(rig, 1, SIZE_MAX);
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 2);
    rig_free(rig);
}

/* The file's bytes arrive in random pieces, polls come at random, with random limits; the reader is
 * closed and opened again now and then: each record comes once, in order. */
static void random_pieces_give_the_whole(void **state)
{
    unsigned seed = 3;

    (void)state;
    for (int round = 0; round < 24; round++) {
        bool csv = round % 2 == 1;
        rig *rig = rig_follow("", "n: bigint, s: string");
        text_buffer file, wanted;
        size_t at = 0;
        rig_format(rig, csv ? "csv" : "json");
        text_init(&file, TEXT_LIMIT_DEFAULT);
        text_init(&wanted, TEXT_LIMIT_DEFAULT);
        if (csv)
            text_append_c(&file, "s,n\r\n");
        for (int i = 0; i < 60; i++) {
            char text[300];
            size_t length = (size_t)(rand_r(&seed) % (i % 20 == 0 ? 250 : 20));
            for (size_t k = 0; k < length; k++)
                text[k] = "ab,\n\"\r x"[rand_r(&seed) % 8];
            if (csv) {
                text_append_char(&file, '"');
                for (size_t k = 0; k < length; k++) {
                    text_append_char(&file, text[k]);
                    if (text[k] == '"')
                        text_append_char(&file, '"');
                }
                text_format(&file, "\",%d%s", i, i % 3 == 0 ? "\r\n" : "\n");
            } else {
                text_format(&file, "{\"n\":%d,\"s\":", i);
                text_append_json(&file, text, length);
                text_append_c(&file, "}\n");
            }
            text_format(&wanted, "{\"n\":%d,\"s\":", i);
            text_append_json(&wanted, text, length);
            text_append_c(&wanted, "}\n");
        }
        rig_open(rig);
        while (at < file.length) {
            size_t n = (size_t)(rand_r(&seed) % 40);
            n = n > file.length - at ? file.length - at : n;
            rig_write_bytes(rig, "a", "a", file.bytes + at, n);
            at += n;
            if (rand_r(&seed) % 3 == 0)
                rig_poll(rig, 1 + (uint32_t)rand_r(&seed) % 4, 1 + (size_t)rand_r(&seed) % 500);
            if (rand_r(&seed) % 30 == 0)
                rig_reopen(rig);
        }
        rig_settle(rig);
        rig_expect(rig, wanted.bytes);
        assert_int_equal(rig->n_rejects, 0);
        text_release(&file);
        text_release(&wanted);
        rig_free(rig);
    }
}

static void a_renamed_file_is_read_once(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    rig_write(rig, "a", "{\"n\":1}\n");
    rig_open(rig);
    rig_settle(rig);
    rename(rig_path(rig, "a"), rig_path(rig, "b"));
    rig_append(rig, "b", "{\"n\":2}\n");
    rig_write(rig, "a", "{\"n\":3}\n");
    rig_settle(rig);
    rig_append(rig, "b", "{\"n\":4}\n");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    rig_keep_positions(rig);
    rig_close(rig);
    rename(rig_path(rig, "b"), rig_path(rig, "c")); /* while nobody looks */
    rename(rig_path(rig, "a"), rig_path(rig, "b"));
    rig_append(rig, "c", "{\"n\":5}\n");
    rig_append(rig, "b", "{\"n\":6}\n");
    rig_open(rig);
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 6);
    assert_non_null(strstr(rig->rows.bytes, "{\"n\":5}\n"));
    assert_non_null(strstr(rig->rows.bytes, "{\"n\":6}\n"));
    rig_free(rig);
}

static void finished_files_are_not_read_again(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    for (int i = 0; i < 200; i++) {
        char name[16], line[32];
        snprintf(name, sizeof(name), "%03d", i);
        snprintf(line, sizeof(line), "{\"n\":%d}\n", i);
        rig_write(rig, name, line);
    }
    rig_open(rig);
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 200);
    for (int i = 0; i < 3; i++) {
        rig_reopen(rig);
        assert_int_equal(rig->positions.n, 200);
        rig_settle(rig);
    }
    assert_int_equal(rig->n_rows, 200);
    rig_append(rig, "007", "{\"n\":1007}\n");
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 201);
    rig_free(rig);
}

static void a_cut_file_begins_anew(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    rig_write(rig, "a", "{\"n\":1}\n{\"n\":2}\n");
    rig_open(rig);
    rig_settle(rig);
    rig_write(rig, "a", "{\"n\":3}\n"); /* truncated and written, the same inode */
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_write(
        rig, "a",
        "{\"n\":4}\n{\"n\":5}\n{\"n\":6}\n"); /* longer than before, but it begins otherwise */
    rig_settle(rig);
    rig_append(rig, "a", "{\"n\":7}\n");
    rig_settle(rig);
    rig_expect(rig,
               "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n{\"n\":6}\n{\"n\":7}\n");
    rig_keep_positions(rig);
    rig_close(rig);
    rig_write(rig, "a", "{\"n\":8}\n"); /* while nobody looks */
    rig_open(rig);
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 8);
    rig_free(rig);
}

/* The next file may get the inode of a removed one, and begin with the same header. */
static void a_new_file_with_an_old_inode_is_new(void **state)
{
    rig *rig = rig_follow("", "n: bigint");
    char text[16];

    (void)state;
    rig_format(rig, "csv");
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "n\n%d\n", i);
        rig_write(rig, "a", text);
        if (i == 0)
            rig_open(rig);
        rig_settle(rig);
        if (i % 2 == 1)
            rig_reopen(rig);
        assert_int_equal(rig->n_rows, i + 1);
        unlink(rig_path(rig, "a"));
        if (i == 2)
            rig_settle(rig);
    }
    rig_free(rig);
}

static void an_open_file_that_is_removed_is_read_to_its_end(void **state)
{
    rig *rig = rig_follow("", "n: bigint");
    FILE *file;

    (void)state;
    os.monotonic_us = rig_clock;
    rig_write(rig, "a", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    file = fopen(rig_path(rig, "a"), "a");
    rig_open(rig);
    rig_poll(rig, 1, SIZE_MAX);
    unlink(rig_path(rig, "a"));
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    fprintf(file, "{\"n\":4}\n"); /* its writer still has it open */
    fflush(file);
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    assert_int_equal(rig->ops->wake_fd(rig->reader), -1);
    rig_now_us += 61000000; /* let go at last */
    rig_settle(rig);
    wait_and_settle(rig);
    assert_true(rig->ops->wake_fd(rig->reader) >= 0);
    fclose(file);
    rig_free(rig);
}

static void a_deleted_folder_is_waited_for(void **state)
{
    rig *rig = rig_follow("in", "n: bigint");

    (void)state;
    os.monotonic_us = rig_clock;
    rig_open(rig); /* not there yet */
    rig_settle(rig);
    mkdir(rig_path(rig, "in"), 0700);
    rig_write(rig, "in/a", "{\"n\":1}\n");
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n");
    rig_remove(rig_path(rig, "in"));
    wait_and_settle(rig);
    mkdir(rig_path(rig, "in"), 0700);
    rig_write(rig, "in/b", "{\"n\":2}\n");
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n");
    rename(rig_path(rig, "in"), rig_path(rig, "out")); /* moved away, written to, and back */
    wait_and_settle(rig);
    rig_append(rig, "out/b", "{\"n\":3}\n");
    rename(rig_path(rig, "out"), rig_path(rig, "in"));
    wait_and_settle(rig);
    rig_append(rig, "in/b", "{\"n\":4}\n");
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    rig_free(rig);
}

static void folders_of_a_pattern_come_and_go(void **state)
{
    rig *rig = rig_follow("**/*.jsonl", "n: bigint");

    (void)state;
    os.monotonic_us = rig_clock;
    rig_open(rig);
    mkdir(rig_path(rig, "x"), 0700);
    mkdir(rig_path(rig, "x/y"), 0700);
    rig_write(rig, "x/y/a.jsonl", "{\"n\":1}\n");
    rig_settle(rig);
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n");
    rig_write(rig, "x/b.jsonl", "{\"n\":2}\n");
    rig_write(rig, "x/b.txt", "{\"n\":99}\n");
    rig_settle(rig);
    rig_append(rig, "x/y/a.jsonl", "{\"n\":3}\n");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_free(rig);
}

static int no_inotify(void)
{
    errno = EMFILE;
    return -1;
}

static void without_inotify_files_are_looked_at_each_second(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    os.monotonic_us = rig_clock;
    os.inotify = no_inotify;
    rig_open(rig);
    assert_int_equal(rig->ops->wake_fd(rig->reader), -1);
    assert_int_equal(rig->reader->idle_us, 1000000);
    rig_write(rig, "a", "{\"n\":1}\n");
    wait_and_settle(rig);
    rig_append(rig, "a", "{\"n\":2}\n{\"n\"");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n"); /* no second has passed */
    wait_and_settle(rig);
    rig_append(rig, "a", ":3}\n");
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_free(rig);
}

static int (*real_open)(const char *path, int flags, mode_t mode);
static const char *refused;

static int refusing_open(const char *path, int flags, mode_t mode)
{
    size_t n = strlen(path);

    if (refused != NULL && n > 1 && path[n - 2] == '/' && path[n - 1] == refused[0]) {
        errno = EACCES;
        return -1;
    }
    return real_open(path, flags, mode);
}

static int warnings;

static void count_warnings(void *context, const char *line)
{
    (void)context;
    warnings += strstr(line, "Permission denied") != NULL;
}

static void an_unreadable_file_holds_nobody_back(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    log_configure(LOG_WARNING, LOG_TEXT);
    log_hook(count_warnings, NULL);
    warnings = 0;
    os.monotonic_us = rig_clock;
    real_open = os.open;
    os.open = refusing_open;
    refused = "b";
    rig_write(rig, "a", "{\"n\":1}\n");
    rig_write(rig, "b", "{\"n\":2}\n");
    rig_write(rig, "c", "{\"n\":3}\n");
    rig_age(rig, "a", 1);
    rig_age(rig, "b", 2);
    rig_age(rig, "c", 3);
    rig_open(rig);
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":3}\n");
    assert_int_equal(rig->ops->wake_fd(rig->reader), -1);
    for (int i = 0; i < 20; i++)
        wait_and_settle(rig);
    assert_int_equal(warnings, 1);
    refused = NULL;
    rig_now_us += 61000000;
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":3}\n{\"n\":2}\n");
    rig_settle(rig);
    wait_and_settle(rig);
    assert_true(rig->ops->wake_fd(rig->reader) >= 0);
    log_hook(NULL, NULL);
    rig_free(rig);
}

static void a_replaced_file_is_not_read_twice(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    rig_write(rig, "a", "{\"n\":1}\n{\"n\":2}\n");
    rig_open(rig); /* queued, not opened */
    rig_write(rig, ".new", "{\"n\":3}\n");
    rename(rig_path(rig, ".new"), rig_path(rig, "a"));
    rig_settle(rig);
    rig_expect(rig, "{\"n\":3}\n"); /* the other one is gone, which is logged */
    rig_write(rig, ".new", "{\"n\":4}\n");
    rename(rig_path(rig, ".new"), rig_path(rig, "a"));
    rig_settle(rig);
    rig_expect(rig, "{\"n\":3}\n{\"n\":4}\n");
    rig_free(rig);
}

static void an_unreadable_folder_holds_nobody_back(void **state)
{
    rig *rig = rig_follow("**/*.jsonl", "n: bigint");

    (void)state;
    os.monotonic_us = rig_clock;
    real_open = os.open;
    os.open = refusing_open;
    refused = "b";
    mkdir(rig_path(rig, "a"), 0700);
    mkdir(rig_path(rig, "b"), 0700);
    rig_write(rig, "a/x.jsonl", "{\"n\":1}\n");
    rig_write(rig, "b/x.jsonl", "{\"n\":2}\n");
    rig_open(rig);
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n");
    assert_int_equal(rig->ops->wake_fd(rig->reader), -1);
    refused = NULL;
    wait_and_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n");
    rig_close(rig);
    refused = "b";
    rig->mode = READ_ALL;
    rig->block.stream = false;
    assert_int_equal(rig_try_open(rig), FRESHET_FAILED);
    assert_non_null(strstr(rig->err.text, "cannot be read: Permission denied"));
    refused = NULL;
    rig_free(rig);
}

static void a_gzip_file_that_is_still_written_is_waited_for(void **state)
{
    rig *rig = rig_follow("", "n: bigint");
    unsigned char bytes[128];
    size_t n = sizeof(bytes);

    (void)state;
    rig_gzip("{\"n\":1}\n{\"n\":2}\n", bytes, &n);
    rig_write_bytes(rig, "a", "w", bytes, 12);
    rig_open(rig);
    rig_settle(rig);
    assert_int_equal(rig->n_rows, 0);
    rig_write_bytes(rig, "a", "a", bytes + 12, n - 12);
    rig_settle(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n");
    assert_int_equal(rig->n_rejects, 0);
    rig_free(rig);
}

static void a_csv_header_may_come_late(void **state)
{
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    rig_format(rig, "csv");
    rig_write(rig, "a", "");
    rig_open(rig);
    rig_settle(rig);
    rig_append(rig, "a", "x,");
    rig_settle(rig);
    rig_append(rig, "a", "n");
    rig_settle(rig);
    rig_append(rig, "a", "\n1,2");
    rig_settle(rig);
    rig_append(rig, "a", "3\n");
    rig_write(rig, "b", "n,x\n7,8\n");
    rig_settle(rig);
    rig_append(rig, "a", "4,5\n");
    rig_settle(rig);
    rig_expect(rig, "{\"n\":23}\n{\"n\":7}\n{\"n\":5}\n");
    rig_free(rig);
}

static void more_growing_files_than_descriptors(void **state)
{
    rig *rig = rig_follow("", "n: bigint");
    char name[16];

    (void)state;
    rig_open(rig);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 150; i++) {
            snprintf(name, sizeof(name), "%03d", i);
            rig_append(rig, name, "{\"n\":1}\n");
        }
        rig_settle(rig);
        assert_int_equal(rig->n_rows, (round + 1) * 150);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_read_by_whole_lines),
        cmocka_unit_test(news_makes_the_descriptor_readable),
        cmocka_unit_test(random_pieces_give_the_whole),
        cmocka_unit_test(a_renamed_file_is_read_once),
        cmocka_unit_test(finished_files_are_not_read_again),
        cmocka_unit_test(a_cut_file_begins_anew),
        cmocka_unit_test(a_new_file_with_an_old_inode_is_new),
        cmocka_unit_test(an_open_file_that_is_removed_is_read_to_its_end),
        cmocka_unit_test(a_deleted_folder_is_waited_for),
        cmocka_unit_test(folders_of_a_pattern_come_and_go),
        cmocka_unit_test(without_inotify_files_are_looked_at_each_second),
        cmocka_unit_test(an_unreadable_file_holds_nobody_back),
        cmocka_unit_test(a_replaced_file_is_not_read_twice),
        cmocka_unit_test(an_unreadable_folder_holds_nobody_back),
        cmocka_unit_test(a_gzip_file_that_is_still_written_is_waited_for),
        cmocka_unit_test(a_csv_header_may_come_late),
        cmocka_unit_test(more_growing_files_than_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
