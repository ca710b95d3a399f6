/* Tests of dead_letters.c: the lines, and that a failing disk leaves nothing half, lost or doubled.
 */
#define _GNU_SOURCE
#include "operate/dead_letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/os.h"

static char folder[] = "/tmp/freshet-dead-letters-XXXXXX";
static char path[64];
static arena *memory;

static int64_t fixed_now_us(void)
{
    return 1357016400000001;
}

static char *file_text(void)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t length = (size_t)ftell(file);
    rewind(file);
    char *text = arena_alloc(memory, length + 1);
    assert_int_equal(fread(text, 1, length, file), length);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void put_file(const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static dead_letters *letters_of(const char *pipeline, letters_kind kind, int64_t max_size)
{
    const dead_letters_options options = {
        .path = path, .pipeline = pipeline, .kind = kind, .max_size = max_size, .keep = 2};
    dead_letters *letters = NULL;
    assert_int_equal(dead_letters_open(&options, &letters, NULL), FRESHET_OK);
    return letters;
}

static dead_letters *letters_open(void)
{
    return letters_of("demo", LETTERS_STREAM, 0);
}

static rejects some(uint32_t n, const char *raw)
{
    rejects rejects = {.arena = memory};
    for (uint32_t i = 0; i < n; i++) {
        reject where = {.reader = "flights",
                        .partition = "data/01.jsonl",
                        .offset = 100 + i,
                        .raw = raw,
                        .raw_length = strlen(raw)};
        assert_true(
            rejects_add(&rejects, &where, REASON_BAD_CAST, "row %u: \"x\" is no double", i));
    }
    return rejects;
}

static void add(dead_letters *letters, const rejects *rejects)
{
    freshet_error err = {0};
    assert_int_equal(dead_letters_add(letters, rejects, &err), FRESHET_OK);
    assert_int_equal(err.code, FRESHET_OK);
}

/* The file's lines, each parsed as JSON; checks that there are n. */
static yyjson_doc **parsed(uint32_t n)
{
    yyjson_doc **docs = arena_zero(memory, n + 1, sizeof *docs);
    char *text = file_text();
    assert_non_null(text);
    for (uint32_t i = 0; i < n; i++) {
        char *end = strchr(text, '\n');
        assert_non_null(end);
        docs[i] = yyjson_read(text, (size_t)(end - text), 0);
        assert_non_null(docs[i]);
        text = end + 1;
    }
    assert_string_equal(text, "");
    return docs;
}

static void free_docs(yyjson_doc **docs)
{
    for (; *docs != NULL; docs++)
        yyjson_doc_free(*docs);
}

static void test_nothing_before_first(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    rejects none = {0};
    add(letters, &none);
    assert_null(file_text());
    dead_letters_close(letters);
    dead_letters_close(NULL);
}

static void test_line_to_the_letter(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    rejects one = some(1, "{\"a\": \"x\"}");
    add(letters, &one);
    assert_string_equal(
        file_text(),
        arena_format(memory,
                     "{\"at\":\"2013-01-01T05:00:00.000001Z\",\"pipeline\":\"demo\","
                     "\"run\":\"stream-2013-01-01T05:00:00.000001Z-%ld\",\"n\":1,\"reader\":"
                     "\"flights\",\"partition\":\"data/01.jsonl\",\"offset\":100,"
                     "\"code\":\"bad_cast\",\"reason\":\"row 0: \\\"x\\\" is no "
                     "double\",\"raw\":\"{\\\"a\\\": \\\"x\\\"}\"}\n",
                     (long)getpid()));
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    dead_letters_close(letters);
}

static bool is_field(const char *name)
{
    for (uint32_t i = 0; letter_fields[i] != NULL; i++)
        if (strcmp(letter_fields[i], name) == 0)
            return true;
    return false;
}

/* The names are those of the lines: of a whole letter, and of one with bytes that are no text. */
static void test_fields_are_named(void **state)
{
    (void)state;
    static const char long_raw[DEAD_LETTER_RAW_MAX + 10] = "";
    reject full = {.reader = "orders",
                   .partition = "orders/3",
                   .offset = 7,
                   .part = 1,
                   .parts = 2,
                   .stacked = {.copy = 1, .copies = 2},
                   .has_message = true,
                   .key = "\xff",
                   .key_length = 1,
                   .message_us = 5,
                   .raw = "\xff",
                   .raw_length = 1};
    reject plain = full;
    plain.key = plain.raw = long_raw;
    plain.raw_length = sizeof long_raw;
    dead_letters *letters = letters_open();
    rejects rejects = {.arena = memory};
    assert_true(rejects_add(&rejects, &full, REASON_BAD_CAST, "x"));
    assert_true(rejects_add(&rejects, &plain, REASON_BAD_CAST, "x"));
    add(letters, &rejects);
    uint32_t n_seen = 0, n_known = 0;
    const char *text = file_text();
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        yyjson_doc *doc = yyjson_read(line, (size_t)(end - line), 0);
        assert_non_null(doc);
        size_t i, n;
        yyjson_val *name, *value;
        yyjson_obj_foreach(yyjson_doc_get_root(doc), i, n, name, value)
        {
            if (!is_field(yyjson_get_str(name)))
                fail_msg("\"%s\" is not in letter_fields", yyjson_get_str(name));
            n_seen++;
        }
        yyjson_doc_free(doc);
        line = end + 1;
    }
    while (letter_fields[n_known] != NULL)
        n_known++;
    assert_int_equal(n_seen, 2 * n_known - 5); /* two fields of each pair, and raw_bytes, once */
    dead_letters_close(letters);
}

static void test_row_without_origin(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    rejects rejects = {.arena = memory};
    reject where = {.offset = -1};
    assert_true(rejects_add(&rejects, &where, REASON_BAD_KEY, "the key is null"));
    add(letters, &rejects);
    assert_non_null(strstr(file_text(),
                           "\"reader\":null,\"partition\":null,\"offset\":null,"
                           "\"code\":\"bad_key\",\"reason\":\"the key is null\",\"raw\":null}\n"));
    dead_letters_close(letters);
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    rejects rejects = {.arena = memory};
    reject where = {.reader = "r", .partition = "p", .raw = "\xFF\x00\x01", .raw_length = 3};
    assert_true(rejects_add(&rejects, &where, REASON_BAD_RECORD, "not UTF-8"));
    add(letters, &rejects);
    assert_non_null(strstr(file_text(), "\"raw_base64\":\"/wAB\"}\n"));
    dead_letters_close(letters);
}

/* A raw record at the limit, one past it, and one whose limit falls into a character. */
static void test_long_records_are_cut(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    size_t limit = DEAD_LETTER_RAW_MAX;
    char *raw = arena_alloc(memory, limit + 2);
    memset(raw, 'a', limit + 2);
    rejects rejects = {.arena = memory};
    reject where = {.reader = "r", .partition = "p", .raw = raw, .raw_length = limit};
    assert_true(rejects_add(&rejects, &where, REASON_BAD_RECORD, "long"));
    where.raw_length = limit + 1;
    assert_true(rejects_add(&rejects, &where, REASON_BAD_RECORD, "long"));
    char *split = arena_copy(memory, raw, limit + 2);
    memcpy(split + limit - 1, "\xC3\xA3", 2);
    where.raw = split;
    assert_true(rejects_add(&rejects, &where, REASON_BAD_RECORD, "long"));
    add(letters, &rejects);
    yyjson_doc **docs = parsed(3);
    size_t kept[] = {limit, limit, limit - 1};
    for (int i = 0; i < 3; i++) {
        yyjson_val *root = yyjson_doc_get_root(docs[i]);
        assert_int_equal(yyjson_get_len(yyjson_obj_get(root, "raw")), kept[i]);
        yyjson_val *bytes = yyjson_obj_get(root, "raw_bytes");
        if (i == 0)
            assert_null(bytes);
        else
            assert_int_equal(yyjson_get_uint(bytes), limit + 1);
    }
    free_docs(docs);
    dead_letters_close(letters);
}

static void test_follows_a_moved_file(void **state)
{
    (void)state;
    dead_letters *letters = letters_open();
    rejects one = some(1, "x");
    add(letters, &one);
    char moved[80];
    snprintf(moved, sizeof moved, "%s.1", path);
    assert_int_equal(rename(path, moved), 0);
    add(letters, &one);
    free_docs(parsed(1));
    unlink(moved);
    dead_letters_close(letters);
}

/* ---- a failing disk ------------------------------------------------------------------------ */

static size_t room;           /* bytes the disk still takes */
static int truncate_failures; /* ftruncate calls that fail */

static ssize_t full_write(int file, const void *from, size_t size)
{
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = write(file, from, size < room ? size : room);
    if (n > 0)
        room -= (size_t)n;
    return n;
}

static int failing_truncate(int file, off_t length)
{
    if (truncate_failures > 0) {
        truncate_failures--;
        errno = EIO;
        return -1;
    }
    return ftruncate(file, length);
}

/* Whatever number of bytes fits, the file has the first batch only; the retry completes it. */
static void test_full_disk(void **state)
{
    (void)state;
    rejects first = some(2, "first"), second = some(3, "second");
    for (size_t fits = 0; fits < 600; fits += 37) {
        unlink(path);
        dead_letters *letters = letters_open();
        add(letters, &first);
        char *before = file_text();
        os.write = full_write;
        room = fits;
        freshet_error err = {0};
        freshet_code code = dead_letters_add(letters, &second, &err);
        os_restore();
        os.now_us = fixed_now_us;
        if (code == FRESHET_OK) {
            assert_true(fits > 400);
        } else {
            assert_int_equal(code, FRESHET_TRY_AGAIN);
            assert_int_equal(err.then, FRESHET_RETRY);
            assert_string_equal(err.at, path);
            assert_non_null(strstr(err.text, path));
            assert_non_null(strstr(err.text, "No space left"));
            assert_string_equal(file_text(), before);
            add(letters, &second);
        }
        free_docs(parsed(5));
        dead_letters_close(letters);
    }
}

/* The cut itself fails: it is done before anything else is added. */
static void test_full_disk_and_failing_cut(void **state)
{
    (void)state;
    rejects first = some(1, "first"), second = some(3, "second");
    dead_letters *letters = letters_open();
    add(letters, &first);
    os.write = full_write;
    os.ftruncate = failing_truncate;
    room = 250;
    truncate_failures = 2;
    assert_int_equal(dead_letters_add(letters, &second, NULL), FRESHET_TRY_AGAIN);
    freshet_error err = {0};
    room = 10000;
    assert_int_equal(dead_letters_add(letters, &second, &err), FRESHET_TRY_AGAIN);
    assert_non_null(strstr(err.text, "half-written"));
    add(letters, &second);
    os_restore();
    free_docs(parsed(4));
    dead_letters_close(letters);
}

static int failing_open(const char *name, int flags, mode_t mode)
{
    (void)name;
    (void)flags;
    (void)mode;
    errno = EMFILE;
    return -1;
}

static void test_file_cannot_be_opened(void **state)
{
    (void)state;
    rejects one = some(1, "x");
    dead_letters *letters = letters_open();
    os.open = failing_open;
    freshet_error err = {0};
    assert_int_equal(dead_letters_add(letters, &one, &err), FRESHET_TRY_AGAIN);
    assert_int_equal(err.then, FRESHET_RETRY);
    os_restore();
    add(letters, &one);
    free_docs(parsed(1));
    dead_letters_close(letters);
}

static void test_half_line_of_a_killed_process(void **state)
{
    (void)state;
    rejects one = some(1, "x");
    dead_letters *letters = letters_open();
    add(letters, &one);
    char *whole = file_text();
    char *half = arena_format(memory, "%s{\"at\":\"2013-01-01T05:00", whole);
    put_file(half);
    add(letters, &one);
    free_docs(parsed(2));
    put_file("{\"a");
    add(letters, &one);
    free_docs(parsed(1));
    put_file("somebody's notes");
    add(letters, &one);
    assert_non_null(strstr(file_text(), "somebody's notes\n{\"at\""));
    dead_letters_close(letters);
}

/* A half line longer than what is read at once. */
static void test_long_half_line(void **state)
{
    (void)state;
    rejects one = some(1, "x");
    dead_letters *letters = letters_open();
    char *half = arena_zero(memory, 1, 10001);
    memset(half, 'a', 10000);
    memcpy(half, "{}\n{\"at\":\"", 10);
    put_file(half);
    add(letters, &one);
    free_docs(parsed(2));
    dead_letters_close(letters);
}

static void test_refuses_bad_paths(void **state)
{
    (void)state;
    dead_letters *letters = NULL;
    freshet_error err = {0};
    assert_int_equal(dead_letters_open(&(dead_letters_options){.path = folder}, &letters, &err),
                     FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(err.text, "is a folder"));
    char *inside = arena_format(memory, "%s/no/where.jsonl", folder);
    assert_int_equal(dead_letters_open(&(dead_letters_options){.path = inside}, &letters, &err),
                     FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(err.text, "there is no folder"));
    assert_null(letters);
}

static void test_takes_a_device(void **state)
{
    (void)state;
    dead_letters *letters = NULL;
    assert_int_equal(
        dead_letters_open(&(dead_letters_options){.path = "/dev/null", .pipeline = "demo"},
                          &letters, NULL),
        FRESHET_OK);
    rejects one = some(1, "x");
    add(letters, &one);
    dead_letters_close(letters);
}

static void test_many_letters(void **state)
{
    (void)state;
    char raw[1000];
    memset(raw, 'r', sizeof raw - 1);
    raw[sizeof raw - 1] = '\0';
    rejects many = some(12000, raw);
    dead_letters *letters = letters_open();
    add(letters, &many);
    free_docs(parsed(12000));
    dead_letters_close(letters);
}

static dead_letters_mark keep(dead_letters *letters)
{
    dead_letters_mark mark;
    assert_int_equal(dead_letters_keep(letters, &mark, NULL), FRESHET_OK);
    return mark;
}

static bool cut(dead_letters *letters, const dead_letters_mark *mark)
{
    bool done = false;
    assert_int_equal(dead_letters_cut(letters, mark, &done, NULL), FRESHET_OK);
    return done;
}

/* What was added behind a checkpoint is taken back, and only that. */
static void test_cut_to_the_mark(void **state)
{
    (void)state;
    rejects two = some(2, "x");
    dead_letters *letters = letters_open();
    dead_letters_mark none = keep(letters);
    assert_int_equal(none.inode, 0);
    assert_true(cut(letters, &none));
    add(letters, &two);
    dead_letters_mark mark = keep(letters);
    assert_int_equal(mark.length, strlen(file_text()));
    const char *kept = file_text();
    add(letters, &two);
    add(letters, &two);
    assert_true(cut(letters, &mark));
    assert_string_equal(file_text(), kept);
    assert_true(cut(letters, &mark));
    assert_string_equal(file_text(), kept);
    assert_true(cut(letters, &none));
    assert_string_equal(file_text(), "");
    dead_letters_close(letters);
}

/* The letters of another pipeline, other text, and another file are left alone. */
static void test_cut_nothing_of_others(void **state)
{
    (void)state;
    rejects two = some(2, "x");
    dead_letters *letters = letters_open();
    add(letters, &two);
    dead_letters_mark mark = keep(letters);
    add(letters, &two);
    dead_letters *other = letters_of("demo2", LETTERS_STREAM, 0);
    add(other, &two);
    dead_letters_close(other);
    add(letters, &two);
    const char *all = file_text();
    assert_false(cut(letters, &mark));
    assert_string_equal(file_text(), all);

    char moved[80];
    snprintf(moved, sizeof moved, "%s.1", path);
    assert_int_equal(rename(path, moved), 0);
    add(letters, &two);
    all = file_text();
    assert_false(cut(letters, &mark));
    assert_string_equal(file_text(), all);
    unlink(moved);

    mark = keep(letters);
    add(letters, &two);
    FILE *file = fopen(path, "ab");
    fputs("a note of the operator\n", file);
    fclose(file);
    assert_false(cut(letters, &mark));
    assert_non_null(strstr(file_text(), "a note of the operator"));
    dead_letters_close(letters);
}

static int failing_fsync(int file)
{
    (void)file;
    errno = ENOSPC;
    return -1;
}

static void test_keep_says_when_it_cannot(void **state)
{
    (void)state;
    rejects two = some(2, "x");
    dead_letters_mark mark;
    freshet_error err = {0};
    dead_letters *letters = letters_open();
    add(letters, &two);
    os.fsync = failing_fsync;
    assert_int_equal(dead_letters_keep(letters, &mark, &err), FRESHET_TRY_AGAIN);
    assert_int_equal(err.then, FRESHET_RETRY);
    assert_int_equal(dead_letters_keep(letters, &mark, &err), FRESHET_TRY_AGAIN);
    os_restore();
    mark = keep(letters);
    assert_int_equal(mark.length, strlen(file_text()));
    dead_letters_close(letters);
}

static int set_up(void **state)
{
    (void)state;
    memory = arena_open();
    os.now_us = fixed_now_us;
    unlink(path);
    return memory == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(memory);
    os_restore();
    unlink(path);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_before_first),
        TEST(test_line_to_the_letter),
        TEST(test_fields_are_named),
        TEST(test_row_without_origin),
        TEST(test_bytes_that_are_no_text),
        TEST(test_long_records_are_cut),
        TEST(test_follows_a_moved_file),
        TEST(test_full_disk),
        TEST(test_full_disk_and_failing_cut),
        TEST(test_file_cannot_be_opened),
        TEST(test_half_line_of_a_killed_process),
        TEST(test_long_half_line),
        TEST(test_refuses_bad_paths),
        TEST(test_takes_a_device),
        TEST(test_many_letters),
        TEST(test_cut_to_the_mark),
        TEST(test_cut_nothing_of_others),
        TEST(test_keep_says_when_it_cannot),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/dead.jsonl", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
