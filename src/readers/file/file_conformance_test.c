/* file_conformance_test.c - files in each format as readers must be: three files, with bad
 * records. */
#include "readers/file/file_testing.h"

#include "formats/scan.h"
#include "readers/reader_conformance_testing.h"

static rig *make_lines(const char *name, const char *const files[3])
{
    char path[40];
    rig *rig = rig_make("");

    rig_schema(rig, "id: bigint, text: string");
    rig_format(rig, name);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%d.txt", i);
        rig_write(rig, path, files[i]);
        rig_age(rig, path, 1000 + i);
    }
    return rig;
}

static rig *make_json(void)
{
    static const char *const files[] = {"{\"id\":1,\"text\":\"a\"}\n\n{\"id\":2}\r\nbad\n{\"id\":3,"
                                        "\"text\":\"a longer text than fits\"}",
                                        "{\"id\":\"x\"}\n{\"id\":4}\n",
                                        "{\"id\":5}\n{\"id\":6}\n{\"id\":7}\n"};
    return make_lines("json", files);
}

static rig *make_csv(void)
{
    static const char *const files[] = {
        "id,text\n1,a\n2,\"two\nlines, and more of them\"\nx,y\n3,c", "text,id\na,4\n\nb,5\n",
        "id,text\n6,\n7,\"\"\n8,c,d\n"};
    return make_lines("csv", files);
}

static rig *make_gzip(void)
{
    rig *rig = make_json();
    unsigned char bytes[400];
    size_t n = sizeof bytes;

    rig_gzip("{\"id\":1,\"text\":\"a\"}\n{\"id\":2}\nbad\n{\"id\":3}\n", bytes, &n);
    rig_write_bytes(rig, "1.txt", "w", bytes, n);
    rig_age(rig, "1.txt", 1001);
    return rig;
}

static rig *make_parquet(void)
{
    rig *rig = rig_make("");
    scan *scan = NULL;
    char sql[400];

    rig_schema(rig, "id: integer, text: string"); /* one row's id is too large */
    rig_format(rig, "parquet");
    assert_int_equal(scan_open(&scan, &rig->err), FRESHET_OK);
    for (int i = 0; i < 3; i++) {
        snprintf(
            sql, sizeof sql,
            "COPY (SELECT CASE WHEN i = 5 THEN 3000000000 ELSE i END AS id, 'text of row ' || i AS "
            "text FROM range(%d, %d) t(i)) TO '%s/%d.parquet' (FORMAT parquet)",
            4 * i, 4 * i + 4, rig->folder, i);
        if (scan_execute(scan, sql, &rig->err) != FRESHET_OK)
            fail_msg("%s", rig->err.text);
        snprintf(sql, sizeof sql, "%d.parquet", i);
        rig_age(rig, sql, 1000 + i);
    }
    scan_close(scan);
    return rig;
}

static unsigned calls_left;

static bool fails_now(void)
{
    return calls_left-- == 0;
}

static ssize_t failing_pread(int fd, void *into, size_t size, off_t offset)
{
    if (!fails_now())
        return pread(fd, into, size, offset);
    errno = EIO;
    return -1;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    if (!fails_now())
        return open(path, flags | O_CLOEXEC, mode);
    errno = EMFILE;
    return -1;
}

/* A read, or an opening, fails. */
static void fault(rig *rig, unsigned k)
{
    (void)rig;
    calls_left = k / 2;
    if (k % 2 == 0)
        os.pread = failing_pread;
    else
        os.open = failing_open;
}

static const conformance json = {
    .name = "json", .n_rows = 9, .make = make_json, .free = rig_free, .fault = fault};
static const conformance csv = {
    .name = "csv", .n_rows = 9, .make = make_csv, .free = rig_free, .fault = fault};
static const conformance gzip = {
    .name = "gzip", .n_rows = 11, .make = make_gzip, .free = rig_free, .fault = fault};
static const conformance parquet = {
    .name = "parquet", .n_rows = 12, .make = make_parquet, .free = rig_free, .fault = fault};

int main(void)
{
    const struct CMUnitTest tests[] = {READER_CONFORMANCE(json), READER_CONFORMANCE(csv),
                                       READER_CONFORMANCE(gzip), READER_CONFORMANCE(parquet)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
