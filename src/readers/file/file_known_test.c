/* file_known_test.c - files that are known again by what was read of them: copied, put back,
 * replaced, compressed, cut. Each case stops and starts the reader at the moment in question, and
 * does not. */
#include <inttypes.h>

#include "formats/scan.h"
#include "readers/file/file_testing.h"
#include "sql/sql.h"

#define R1 "{\"n\":1}\n"
#define R2 "{\"n\":2}\n"
#define R3 "{\"n\":3}\n"
#define R4 "{\"n\":4}\n"
#define R5 "{\"n\":5}\n"

static char said[16384]; /* warnings */

static void note_warning(void *context, const char *line)
{
    (void)context;
    strncat(said, line, sizeof(said) - strlen(said) - 1);
}

static rig *follow_of(const char *name)
{
    rig *rig = rig_follow(name, "n: bigint");

    os.monotonic_us = rig_clock;
    log_configure(LOG_WARNING, LOG_TEXT);
    log_hook(note_warning, NULL);
    said[0] = '\0';
    rig_open(rig);
    return rig;
}

static void end(rig *rig)
{
    log_hook(NULL, NULL);
    rig_free(rig);
    os_restore();
}

static void wait_long(rig *rig)
{
    for (int i = 0; i < 12; i++) {
        rig_now_us += 1100000;
        rig_settle(rig);
    }
}

/* What is done while the reader looks on, or (stopped) while it does not. */
typedef void deed(rig *rig);

static void then(rig *rig, bool stopped, deed *deed)
{
    if (stopped) {
        rig_keep_positions(rig);
        rig_close(rig);
    }
    deed(rig);
    if (stopped)
        rig_open(rig);
    wait_long(rig);
}

static void replace_by_longer(rig *rig)
{
    rig_replace(rig, "a", R1 R2 R3);
}

static void replace_by_same(rig *rig)
{
    rig_replace(rig, "a", R1 R2 R3);
    rig_age(rig, "a", 5);
}

static void replace_by_other(rig *rig)
{
    rig_replace(rig, "a", R1 R4 R3 R5);
}

static void a_replaced_file_goes_on_where_its_text_was(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        rig *rig = follow_of("");
        rig_write(rig, "a", R1 R2);
        wait_long(rig);
        then(rig, stopped, replace_by_longer);
        rig_expect(rig, R1 R2 R3);
        then(rig, stopped, replace_by_same);
        rig_append(rig, "a", R4);
        wait_long(rig);
        rig_expect(rig, R1 R2 R3 R4);
        assert_string_equal(said, "");
        then(rig, stopped, replace_by_other);
        rig_expect(rig, R1 R2 R3 R4 R1 R4 R3 R5);
        assert_non_null(strstr(said, "of which 32 bytes were read before"));
        end(rig);
    }
}

static void write_half_in_place(rig *rig)
{
    rig_write(rig, "a", R1); /* as cp does: cut, then written from its beginning */
}

static void write_whole_in_place(rig *rig)
{
    rig_write(rig, "a", R1 R2 R3);
}

static void a_file_that_is_written_again_in_place_goes_on(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        rig *rig = follow_of("");
        rig_write(rig, "a", R1 R2);
        wait_long(rig);
        then(rig, stopped, write_half_in_place);
        rig_expect(rig, R1 R2);
        assert_non_null(strstr(said, "is shorter than what was read of it"));
        said[0] = '\0';
        then(rig, stopped, write_whole_in_place);
        rig_expect(rig, R1 R2 R3);
        assert_string_equal(said, "");
        end(rig);
    }
}

static void copy_below(rig *rig)
{
    mkdir(rig_path(rig, "other"), 0700);
    mkdir(rig_path(rig, "other/x"), 0700);
    rig_copy(rig, "in/a", 0, 1000, "other/a");
    rig_copy(rig, "in/x/a", 0, 1000, "other/x/a");
    rig_append(rig, "other/x/a", R4);
    snprintf(rig->path, sizeof(rig->path), "%s/other/**", rig->folder);
}

static void a_copied_folder_goes_on(void **state)
{
    rig *rig = follow_of("in/**");

    (void)state;
    mkdir(rig_path(rig, "in"), 0700);
    mkdir(rig_path(rig, "in/x"), 0700);
    rig_write(rig, "in/a", R1 R2);
    rig_write(rig, "in/x/a", R1 R3);
    wait_long(rig);
    assert_int_equal(rig->n_rows, 4);
    rig_forget(rig);
    said[0] = '\0';
    rig_keep_positions(rig);
    rig_close(rig);
    copy_below(rig);
    rig_open(rig);
    wait_long(rig);
    rig_expect(rig, R4);
    rig_append(rig, "in/a", R5); /* the old place is nobody's any more */
    wait_long(rig);
    rig_expect(rig, R4);
    assert_string_equal(said, "");
    end(rig);
}

static void compress_it(rig *rig)
{
    rig_write_gzip(rig, "app.log.2.gz", R1 R2 R3);
    unlink(rig_path(rig, "app.log.1"));
}

static void rotate(rig *rig)
{
    rename(rig_path(rig, "app.log"), rig_path(rig, "app.log.1"));
    rig_write(rig, "app.log", R4);
    rig_append(rig, "app.log.1", R3);
}

static void rotate_and_compress(rig *rig)
{
    rotate(rig);
    compress_it(rig);
}

static void a_rotated_and_compressed_file_is_read_once(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 3; stopped++) {
        rig *rig = follow_of("");
        rig_write(rig, "app.log", R1 R2);
        wait_long(rig);
        if (stopped == 2) {
            then(rig, true, rotate_and_compress);
        } else {
            then(rig, stopped, rotate);
            then(rig, stopped, compress_it);
        }
        assert_int_equal(rig->n_rows, 4);
        rig_append(rig, "app.log", R5);
        wait_long(rig);
        assert_int_equal(rig->n_rows, 5);
        rename(rig_path(rig, "app.log.2.gz"), rig_path(rig, "app.log.3.gz"));
        rig_reopen(rig);
        wait_long(rig);
        assert_int_equal(rig->n_rows, 5);
        assert_string_equal(said, "");
        end(rig);
    }
}

/* As gzip(1) does: the compressed file grows beside the other, which goes at the end. */
static void compression_may_take_its_time(void **state)
{
    static char text[200000];
    unsigned char *bytes = malloc(sizeof(text));
    size_t n = sizeof(text);
    unsigned seed = 1;
    rig *rig = follow_of("");
    uint32_t rows = 0;

    (void)state;
    assert_non_null(bytes);
    for (size_t at = 0; at < sizeof(text) - 20; rows++)
        at += (size_t)sprintf(text + at, "{\"n\":%d}\n", rand_r(&seed));
    rig_write(rig, "app.log.1", text);
    wait_long(rig);
    assert_int_equal(rig->n_rows, rows);
    rig_gzip(text, bytes, &n);
    for (size_t at = 0; at < n; at += n / 3 + 1) {
        rig_write_bytes(rig, "app.log.1.gz", "a", bytes + at,
                        n - at < n / 3 + 1 ? n - at : n / 3 + 1);
        wait_long(rig);
        if (at > 0)
            rig_reopen(rig);
    }
    assert_int_equal(rig->n_rows, rows);
    assert_non_null(strstr(said, "it is left alone as long as that is there"));
    unlink(rig_path(rig, "app.log.1"));
    wait_long(rig);
    rig_write_gzip(rig, ".more", R1);
    rig_copy(rig, ".more", 0, 1000, "app.log.1.gz"); /* a member more */
    wait_long(rig);
    assert_int_equal(rig->n_rows, rows + 1);
    free(bytes);
    end(rig);
}

static void copy_and_cut(rig *rig)
{
    rig_copy(rig, "app.log", 0, 1000, "app.log.1");
    if (rig->reader != NULL)
        rig_settle(rig);
    rig_write(rig, "app.log", "");
    if (rig->reader != NULL)
        wait_long(rig);
    rig_append(rig, "app.log", R4);
}

/* logrotate's copytruncate. */
static void a_file_that_is_copied_and_cut_is_read_once(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        rig *rig = follow_of("");
        rig_write(rig, "app.log", R1 R2);
        wait_long(rig);
        then(rig, stopped, copy_and_cut);
        rig_expect(rig, R1 R2 R4);
        then(rig, stopped, rotate);
        rig_append(rig, "app.log", R5);
        wait_long(rig);
        assert_int_equal(rig->n_rows, 6);
        end(rig);
    }
}

static void a_copy_of_another_name_is_another_file(void **state)
{
    rig *rig = follow_of("");

    (void)state;
    rig_write(rig, "app.log", R1 R2);
    wait_long(rig);
    rig_write(rig, "app.log.1", R1 R2); /* and the other one is not cut */
    wait_long(rig);
    rig_expect(rig, R1 R2 R1 R2);
    assert_non_null(strstr(said, "begins with the same text as"));
    said[0] = '\0';
    unlink(rig_path(rig, "app.log"));
    unlink(rig_path(rig, "app.log.1"));
    rig_write(rig, "b", R1 R2 R3);
    wait_long(rig);
    rig_expect(rig, R1 R2 R1 R2 R1 R2 R3);
    assert_non_null(strstr(said, "of which 16 bytes were read: they are read again"));
    end(rig);
}

static void append_to_days(rig *rig)
{
    rig_append(rig, "day3.csv", "2\n5\n");
    rig_append(rig, "day2.csv", "6\n");
}

static void write_another_day(rig *rig)
{
    rig_write(rig, "day2.csv", "n\n1\n1\n3\n");
    rig_write(rig, "day3.csv", "n\n1\n1\n");
    unlink(rig_path(rig, "day1.csv"));
}

/* The same header, the same first rows. */
static void files_that_begin_alike_are_two(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        rig *rig = rig_follow("", "n: bigint");
        rig_format(rig, "csv");
        rig_write(rig, "day1.csv", "n\n1\n1\n2\n");
        rig_open(rig);
        rig_settle(rig);
        then(rig, stopped, write_another_day);
        assert_int_equal(rig->n_rows, 8);
        then(rig, stopped, append_to_days);
        assert_int_equal(rig->n_rows, 11);
        rig_free(rig);
    }
}

/* A header longer than what is compared, and the next file of the name while it is short. */
static void a_long_header_makes_no_difference(void **state)
{
    char header[3000];
    char text[3100];
    rig *rig = rig_follow("", "n: bigint");

    (void)state;
    memset(header, 'x', sizeof(header));
    memcpy(header, "n,", 2);
    header[sizeof(header) - 1] = '\0';
    rig_format(rig, "csv");
    rig_open(rig);
    snprintf(text, sizeof(text), "%s\n1,1\n2,2\n3,3\n", header);
    rig_write(rig, "a", text);
    rig_settle(rig);
    rig_expect(rig, R1 R2 R3);
    snprintf(text, sizeof(text), "%s\n4,4\n", header);
    rig_replace(rig, "a", text);
    rig_settle(rig);
    rig_expect(rig, R1 R2 R3 R4);
    rig_free(rig);
}

/* ---- positions of builds without marks ------------------------------------------------------- */

static void set_old_position(rig *rig, const char *name, const char *begins, int64_t offset)
{
    struct stat info;
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < strlen(begins); i++)
        hash = (hash ^ (unsigned char)begins[i]) * UINT64_C(1099511628211);
    assert_int_equal(stat(rig_path(rig, name), &info), 0);
    rig->positions.items = arena_zero(rig->kept, 1, sizeof(*rig->positions.items));
    rig->positions.n = 1;
    rig->positions.items[0] = (reader_position){
        .name = arena_format(rig->kept, "%" PRIx64 ":%" PRIx64 ":0:%zx:%" PRIx64,
                             (uint64_t)info.st_dev, (uint64_t)info.st_ino, strlen(begins), hash),
        .label = arena_text(rig->kept, rig_path(rig, name)),
        .offset = offset};
}

static void old_positions_are_taken(void **state)
{
    static deed *const deeds[] = {replace_by_longer, replace_by_other};

    (void)state;
    for (int i = 0; i < 2; i++) {
        rig *rig = follow_of("");
        rig_close(rig);
        rig_write(rig, "a", R1 R2);
        set_old_position(rig, "a", R1 R2, 16);
        deeds[i](rig);
        rig_open(rig);
        wait_long(rig);
        rig_expect(rig, i == 0 ? R3 : R1 R4 R3 R5);
        rig_reopen(rig);
        rig_append(rig, "a", R2);
        wait_long(rig);
        rig_expect(rig, i == 0 ? R3 R2 : R1 R4 R3 R5 R2);
        assert_true((strstr(said, "of which 16 bytes were read before") != NULL) == (i == 1));
        end(rig);
    }
}

static void an_old_position_of_a_rotated_file_is_taken(void **state)
{
    rig *rig = follow_of("");

    (void)state;
    rig_close(rig);
    rig_write(rig, "app.log", R1 R2);
    set_old_position(rig, "app.log", R1 R2, 16);
    rotate_and_compress(rig);
    rig_open(rig);
    wait_long(rig);
    assert_int_equal(rig->n_rows, 2);
    assert_null(strstr(rig->rows.bytes, R1));
    end(rig);
}

/* ---- whole files ----------------------------------------------------------------------------- */

static void write_numbers(rig *rig, const char *name, int first, int last)
{
    freshet_error err;
    scan *scan = NULL;
    char sql[1024];

    assert_int_equal(scan_open(&scan, &err), FRESHET_OK);
    snprintf(sql, sizeof(sql),
             "COPY (select i as n from range(%d, %d) t(i)) TO '%s' (FORMAT parquet)", first, last,
             rig_path(rig, name));
    if (scan_execute(scan, sql, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    scan_close(scan);
}

static void copy_parquet(rig *rig)
{
    rig_copy(rig, "a.parquet", 0, 100000, ".copy");
    rename(rig_path(rig, ".copy"), rig_path(rig, "a.parquet"));
}

static void rewrite_parquet(rig *rig)
{
    write_numbers(rig, ".other", 0, 7);
    rename(rig_path(rig, ".other"), rig_path(rig, "a.parquet"));
}

static void a_parquet_file_is_known_by_all_of_it(void **state)
{
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        rig *rig = follow_of("");
        rig_close(rig);
        rig_format(rig, "parquet");
        write_numbers(rig, "a.parquet", 0, 6);
        rig_open(rig);
        rig_poll(rig, 2, SIZE_MAX);
        assert_int_equal(rig->n_rows, 2);
        then(rig, stopped, copy_parquet);
        assert_int_equal(rig->n_rows, 6);
        then(rig, stopped, copy_parquet);
        assert_int_equal(rig->n_rows, 6);
        assert_string_equal(said, "");
        then(rig, stopped, rewrite_parquet);
        assert_int_equal(rig->n_rows, 13);
        assert_non_null(strstr(said, "of which 6 rows were read before"));
        end(rig);
    }
}

/* ---- many ------------------------------------------------------------------------------------ */

/* Random deeds on random files, stops between them: each row once. Rows are told by their number;
 * all files begin with the same header and rows. */
static void random_deeds_give_each_row_once(void **state)
{
    enum { FILES = 4, DEEDS = 60 };
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 20; round++) {
        char texts[FILES][4096] = {{0}};
        int names[FILES];
        uint32_t rows = 0;
        rig *rig = rig_follow("", "n: bigint");
        rig_format(rig, "csv");
        os.monotonic_us = rig_clock;
        rig_open(rig);
        for (int i = 0; i < FILES; i++)
            names[i] = i;
        for (int i = 0; i < DEEDS; i++) {
            int file = rand_r(&seed) % FILES;
            char *text = texts[file];
            char name[16];
            char other[16];
            snprintf(name, sizeof(name), "f%d", names[file]);
            if (text[0] == '\0') {
                strcpy(text, "n\n1\n1\n");
                rows += 2;
                rig_write(rig, name, text);
            }
            switch (rand_r(&seed) % 6) {
            case 0:
            case 1:
                rows++;
                sprintf(text + strlen(text), "%d\n", 1000 + i);
                rig_write(rig, name, text); /* cut, and written again */
                break;
            case 2:
                rows++;
                sprintf(text + strlen(text), "%d\n", 1000 + i);
                rig_replace(rig, name, text);
                break;
            case 3:
                wait_long(rig); /* what is replaced and renamed before a look is another file */
                names[file] = 100 + i;
                snprintf(other, sizeof(other), "f%d", names[file]);
                rename(rig_path(rig, name), rig_path(rig, other));
                wait_long(rig);
                break;
            case 4: rig_reopen(rig); break;
            default: rig_now_us += 1100000; rig_drain(rig, 1 + (uint32_t)rand_r(&seed) % 5);
            }
        }
        wait_long(rig);
        assert_int_equal(rig->n_rows, rows);
        end(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_file_goes_on_where_its_text_was),
        cmocka_unit_test(a_file_that_is_written_again_in_place_goes_on),
        cmocka_unit_test(a_copied_folder_goes_on),
        cmocka_unit_test(a_rotated_and_compressed_file_is_read_once),
        cmocka_unit_test(compression_may_take_its_time),
        cmocka_unit_test(a_file_that_is_copied_and_cut_is_read_once),
        cmocka_unit_test(a_copy_of_another_name_is_another_file),
        cmocka_unit_test(files_that_begin_alike_are_two),
        cmocka_unit_test(a_long_header_makes_no_difference),
        cmocka_unit_test(old_positions_are_taken),
        cmocka_unit_test(an_old_position_of_a_rotated_file_is_taken),
        cmocka_unit_test(a_parquet_file_is_known_by_all_of_it),
        cmocka_unit_test(random_deeds_give_each_row_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
