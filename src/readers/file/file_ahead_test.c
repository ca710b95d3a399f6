/* file_ahead_test.c - a file that the crew reads ahead gives the same records at the same places as
 * one that nobody does: plain and gzip, with records longer than what is kept free in front of a
 * block, and than may be; with the beginning of the next file before the end of one. What was read
 * ahead and is not there any more is told; what comes to a file is read. */
/* tsan */
#include "readers/file/file_lines.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/crew.h"
#include "base/random_testing.h"
#include "base/text.h"

#define FILE_BYTES (9u << 20)
#define RECORD_BYTES_MAX (300u << 10)
#define PATH "a file"
#define AHEAD_BYTES (LINES_BLOCK_BYTES - (64u << 10)) /* of a piece: a number of short lines */

static char *texts;

/* Lines of all lengths; ended by a newline. */
static size_t make_lines(char *into, size_t most)
{
    size_t n = 0;
    while (n < most) {
        const uint32_t kind = random_below(1000);
        size_t length = random_below(200);
        if (kind == 0)
            length = (100u << 10) + random_below(100u << 10);
        else if (kind == 1 && random_below(4) == 0)
            length = RECORD_BYTES_MAX + random_below(2u << 20);
        if (length >= most - n)
            length = most - n - 1;
        memset(into + n, 'a' + (int)random_below(26), length);
        n += length;
        into[n++] = '\n';
    }
    return n;
}

static int open_temporary(void)
{
    char path[] = "/tmp/file_ahead_test.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void put_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t written = write(fd, bytes, n);
        assert_true(written > 0);
        bytes += written;
        n -= (size_t)written;
    }
}

static int make_file(const char *bytes, size_t n, bool gzip)
{
    const int fd = open_temporary();
    if (!gzip) {
        put_all(fd, bytes, n);
        return fd;
    }
    gzFile file = gzdopen(dup(fd), "wb1");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(file), Z_OK);
    return fd;
}

static lines *open_lines_of(struct crew *crew)
{
    static const lines_options options = {.format = &format_raw,
                                          .record_bytes_max = RECORD_BYTES_MAX};
    lines_options with = options;
    lines *lines;
    with.crew = crew;
    assert_int_equal(lines_open(&with, &lines, NULL), FRESHET_OK);
    return lines;
}

/* The records of a poll; false at the end. They are compared when all are there. */
static bool same_poll(lines *one, lines *twin, uint32_t n)
{
    static record records[2][3000];
    freshet_code code = FRESHET_OK;
    uint32_t found = 0;
    assert_true(n <= 3000);
    lines_begin(one);
    lines_begin(twin);
    for (; code == FRESHET_OK && found < n; found += code == FRESHET_OK) {
        code = lines_next(one, &records[0][found], NULL);
        assert_int_equal(lines_next(twin, &records[1][found], NULL), code);
    }
    assert_true(code == FRESHET_OK || code == FRESHET_END);
    for (uint32_t i = 0; i < found; i++) {
        const record *a = &records[0][i], *b = &records[1][i];
        assert_int_equal(a->offset, b->offset);
        assert_int_equal(a->size, b->size);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->length, b->length);
        assert_memory_equal(a->bytes, b->bytes, a->length);
    }
    assert_int_equal(lines_offset(one), lines_offset(twin));
    return code == FRESHET_OK;
}

/* From somewhere in the file, to its end or not. */
static void read_some(lines *one, lines *twin, const char *text, size_t size, bool gzip)
{
    const int fd = make_file(text, size, gzip);
    const int again = fd;
    size_t from = random_below(3) == 0 ? 0 : random_below((uint32_t)size);
    while (from > 0 && text[from - 1] != '\n')
        from--;
    const uint32_t most = random_below(3) == 0 ? 2 + random_below(20) : UINT32_MAX;
    assert_int_equal(lines_start(one, fd, PATH, gzip, (int64_t)from, NULL), FRESHET_OK);
    assert_int_equal(lines_start(twin, again, PATH, gzip, (int64_t)from, NULL), FRESHET_OK);
    bool more = true;
    for (uint32_t poll = 0; more && poll < most; poll++) {
        more = same_poll(one, twin, 1 + random_below(3000));
        if (more && random_below(4) == 0)
            assert_true(lines_are_there(one, (int64_t)size));
    }
    if (!more)
        assert_int_equal(lines_is_cut(one), lines_is_cut(twin));
    close(fd);
}

static void gives_what_it_would_without(void **state)
{
    (void)state;
    const size_t size = make_lines(texts, FILE_BYTES);
    for (uint32_t workers = 2; workers <= 3; workers++) {
        crew *crew;
        assert_int_equal(crew_open(workers, &crew, NULL), FRESHET_OK);
        lines *one = open_lines_of(crew), *twin = open_lines_of(NULL);
        for (int i = 0; i < 12; i++)
            read_some(one, twin, texts, size, i % 3 == 2);
        lines_close(one);
        lines_close(twin);
        crew_close(crew);
    }
}

/* Reads until several blocks must have been read ahead, or could have been. */
static void read_on(lines *lines, size_t bytes, int64_t *at)
{
    record record;
    lines_begin(lines);
    while (lines_offset(lines) < (int64_t)bytes)
        assert_int_equal(lines_next(lines, &record, NULL), FRESHET_OK);
    *at = lines_offset(lines);
}

static void put_short_lines(char *into, size_t n, char letter)
{
    memset(into, letter, n);
    for (size_t i = 15; i < n; i += 16)
        into[i] = '\n';
}

/* All that is behind the place was read ahead or not; then it is written anew. */
static void what_was_written_anew_is_told(void **state)
{
    (void)state;
    crew *crew;
    int64_t at;
    assert_int_equal(crew_open(2, &crew, NULL), FRESHET_OK);
    lines *lines = open_lines_of(crew);
    put_short_lines(texts, FILE_BYTES, 'a');
    const int fd = make_file(texts, FILE_BYTES, false);
    assert_int_equal(lines_start(lines, fd, PATH, false, 0, NULL), FRESHET_OK);
    read_on(lines, 4u << 20, &at);
    assert_true(lines_are_there(lines, FILE_BYTES));
    while (lines_are_there(lines, at)) /* where nothing was read behind the place yet */
        read_on(lines, (size_t)at + 16, &at);
    assert_int_equal(ftruncate(fd, at), 0);
    assert_false(lines_are_there(lines, at));
    put_short_lines(texts, FILE_BYTES, 'b');
    assert_int_equal(pwrite(fd, texts, FILE_BYTES, 0), FILE_BYTES);
    assert_false(lines_are_there(lines, FILE_BYTES));
    lines_close(lines);
    close(fd);
    crew_close(crew);
}

/* The same where all that was taken is used up, so that only what was read ahead can tell; or else
 * nothing was, and the new lines are read. */
static void what_was_read_ahead_is_looked_at(void **state)
{
    (void)state;
    crew *crew;
    record record;
    int64_t at;
    assert_int_equal(crew_open(2, &crew, NULL), FRESHET_OK);
    for (int i = 0; i < 20; i++) {
        lines *lines = open_lines_of(crew);
        put_short_lines(texts, FILE_BYTES, 'a');
        const int fd = make_file(texts, FILE_BYTES, false);
        assert_int_equal(lines_start(lines, fd, PATH, false, 0, NULL), FRESHET_OK);
        read_on(lines, LINES_BLOCK_BYTES + 3 * AHEAD_BYTES, &at);
        put_short_lines(texts, FILE_BYTES, 'b');
        assert_int_equal(pwrite(fd, texts, FILE_BYTES, 0), FILE_BYTES);
        const bool told = !lines_are_there(lines, FILE_BYTES);
        assert_int_equal(lines_next(lines, &record, NULL), FRESHET_OK);
        assert_true(told || record.bytes[0] == 'b');
        lines_close(lines);
        close(fd);
    }
    crew_close(crew);
}

/* To the end, again and again. */
static void what_comes_to_a_file_is_read(void **state)
{
    (void)state;
    crew *crew;
    record record;
    assert_int_equal(crew_open(2, &crew, NULL), FRESHET_OK);
    lines *lines = open_lines_of(crew);
    const int fd = open_temporary();
    uint64_t written = 0, read = 0;
    put_short_lines(texts, FILE_BYTES, 'c');
    put_all(fd, texts, 16);
    assert_int_equal(lines_start(lines, fd, PATH, false, 0, NULL), FRESHET_OK);
    for (written = 16; written < 40u << 20;) {
        const size_t n = 16 + random_below(5u << 20) / 16 * 16;
        put_all(fd, texts, n - 5); /* the last line is not complete */
        while (lines_next(lines, &record, NULL) == FRESHET_OK) {
            assert_int_equal(record.offset, read);
            assert_int_equal(record.length, 15);
            assert_int_equal(record.bytes[14], 'c');
            read += 16;
        }
        assert_int_equal(read, written + n - 16);
        put_all(fd, texts + n - 5, 5);
        written += n;
        lines_begin(lines);
    }
    lines_close(lines);
    close(fd);
    crew_close(crew);
}

static uint32_t count_descriptors(void)
{
    uint32_t n = 0;
    for (int fd = 0; fd < 200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* The descriptor may go, and another file take its number. */
static void the_descriptor_may_be_closed(void **state)
{
    (void)state;
    crew *crew;
    int64_t at;
    assert_int_equal(crew_open(2, &crew, NULL), FRESHET_OK);
    lines *lines = open_lines_of(crew);
    const uint32_t before = count_descriptors();
    put_short_lines(texts, FILE_BYTES, 'd');
    for (int i = 0; i < 5; i++) {
        const int fd = make_file(texts, FILE_BYTES, false);
        assert_int_equal(lines_start(lines, fd, PATH, false, 0, NULL), FRESHET_OK);
        read_on(lines, 3u << 20, &at);
        close(fd);
    }
    lines_close(lines);
    assert_int_equal(count_descriptors(), before); /* none was left open */
    crew_close(crew);
}

/* A file that is read to its end may be deleted: nobody but its reader holds it then. */
static void at_the_end_nobody_holds_the_file(void **state)
{
    (void)state;
    crew *crew;
    record record;
    assert_int_equal(crew_open(2, &crew, NULL), FRESHET_OK);
    put_short_lines(texts, FILE_BYTES, 'e');
    for (int gzip = 0; gzip < 2; gzip++) {
        lines *lines = open_lines_of(crew);
        const int fd = make_file(texts, FILE_BYTES, gzip);
        const uint32_t before = count_descriptors();
        uint64_t n = 0;
        assert_int_equal(lines_start(lines, fd, PATH, gzip, 0, NULL), FRESHET_OK);
        for (lines_begin(lines); lines_next(lines, &record, NULL) == FRESHET_OK; n++)
            if (n % 1000 == 0)
                lines_begin(lines);
        assert_int_equal(n, FILE_BYTES / 16);
        assert_int_equal(count_descriptors(), before);
        lines_close(lines);
        close(fd);
    }
    crew_close(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_it_would_without),
        cmocka_unit_test(what_was_written_anew_is_told),
        cmocka_unit_test(what_was_read_ahead_is_looked_at),
        cmocka_unit_test(what_comes_to_a_file_is_read),
        cmocka_unit_test(the_descriptor_may_be_closed),
        cmocka_unit_test(at_the_end_nobody_holds_the_file),
    };
    texts = malloc(FILE_BYTES);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(texts);
    return failed;
}
