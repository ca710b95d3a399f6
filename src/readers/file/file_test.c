/* file_test.c - the file reader over what is there: order, formats, limits, bad input,
 * positions. */
#include "readers/file/file_testing.h"

static void files_come_by_time_then_by_name(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    rig_write(rig, "c.jsonl", "{\"n\":3}\n{\"n\":4}\n");
    rig_write(rig, "b.jsonl", "{\"n\":1}\n");
    rig_write(rig, "a.jsonl", "{\"n\":5}\n");
    rig_write(rig, "d.jsonl", "{\"n\":2}\n");
    rig_write(rig, "_hidden.jsonl", "{\"n\":99}\n");
    rig_write(rig, ".hidden.jsonl", "{\"n\":99}\n");
    rig_write(rig, "README.md", "not data\n");
    mkdir(rig_path(rig, "below.jsonl"), 0700);
    rig_write(rig, "below.jsonl/x.jsonl", "{\"n\":99}\n");
    rig_age(rig, "b.jsonl", 1000);
    rig_age(rig, "c.jsonl", 3000);
    rig_age(rig, "d.jsonl", 2000);
    rig_age(rig, "a.jsonl", 4000);
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
    rig_age(rig, "a.jsonl", 3000);
    rig_age(rig, "d.jsonl", 3000);
    rig_forget(rig);
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":5}\n{\"n\":3}\n{\"n\":4}\n{\"n\":2}\n");
    rig_free(rig);
}

static void files_come_by_name_where_that_is_said(void **state)
{
    rig *rig = rig_make("**/*.jsonl");
    static const char *const names[] = {"2/a.jsonl",      "2/a1.jsonl",  "2/a02.jsonl",
                                        "2/a2.jsonl",     "2/a10.jsonl", "2-x/a.jsonl",
                                        "10/a-3-2.jsonl", "10/b.jsonl",  "x/00.jsonl"};
    char text[32];

    (void)state;
    mkdir(rig_path(rig, "2"), 0700);
    mkdir(rig_path(rig, "2-x"), 0700);
    mkdir(rig_path(rig, "10"), 0700);
    mkdir(rig_path(rig, "x"), 0700);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "{\"n\":%d}\n", i + 1);
        rig_write(rig, names[i], text);
        rig_age(rig, names[i], 1000 - i);
    }
    rig->options.order = LIST_BY_NAME;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n{\"n\":6}\n{\"n\":7}\n"
                    "{\"n\":8}\n{\"n\":9}\n");
    rig_forget(rig);
    rig->options.order = LIST_BY_TIME;
    rig_read(rig);
    rig_expect(rig, "{\"n\":9}\n{\"n\":8}\n{\"n\":7}\n{\"n\":6}\n{\"n\":5}\n{\"n\":4}\n{\"n\":3}\n"
                    "{\"n\":2}\n{\"n\":1}\n");
    rig_free(rig);
}

static void patterns_name_files_at_any_depth(void **state)
{
    static const char *const patterns[][2] = {
        {"*.jsonl", "1"},     {"**", "12345"},         {"**/*.jsonl", "1245"}, {"*/?.jsonl", "2"},
        {"d/e/*.jsonl", "4"}, {"d/**/*.jsonl", "245"}, {"[a-c].jsonl", "1"},   {"d", "23"},
        {"*", "123"},         {"d/e/f/d.jsonl", "5"},  {"nothing*", ""},       {"**/e/**/d*", "5"},
        {"_s*/*", "6"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        rig *rig = rig_make(patterns[i][0]);
        text_buffer wanted;
        mkdir(rig_path(rig, "d"), 0700);
        mkdir(rig_path(rig, "d/e"), 0700);
        mkdir(rig_path(rig, "d/e/f"), 0700);
        mkdir(rig_path(rig, "_s"), 0700);
        rig_write(rig, "a.jsonl", "{\"n\":1}\n");
        rig_write(rig, "d/b.jsonl", "{\"n\":2}\n");
        rig_write(rig, "d/data", "{\"n\":3}\n");
        rig_write(rig, "d/e/c.jsonl", "{\"n\":4}\n");
        rig_write(rig, "d/e/f/d.jsonl", "{\"n\":5}\n");
        rig_write(rig, "_s/x.jsonl", "{\"n\":6}\n");
        rig_age(rig, "a.jsonl", 1);
        rig_age(rig, "d/b.jsonl", 2);
        rig_age(rig, "d/data", 3);
        rig_age(rig, "d/e/c.jsonl", 4);
        rig_age(rig, "d/e/f/d.jsonl", 5);
        rig_format(rig, "json");
        rig_schema(rig, "n: bigint");
        text_init(&wanted, TEXT_LIMIT_DEFAULT);
        for (const char *c = patterns[i][1]; *c != '\0'; c++)
            text_format(&wanted, "{\"n\":%c}\n", *c);
        rig_read(rig);
        if (wanted.length != rig->rows.length)
            print_error("pattern %s\n", patterns[i][0]);
        rig_expect(rig, wanted.length == 0 ? "" : wanted.bytes);
        text_release(&wanted);
        rig_free(rig);
    }
}

static void lines_end_in_many_ways(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_write(rig, "a.jsonl", "\xef\xbb\xbf{\"n\":1}\r\n\n  \r\n\t\n{\"n\":2}\n\r\n{\"n\": 3}");
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_expect_reasons(rig, "");
    rig_free(rig);
    rig = rig_make("a.csv");
    rig_write(rig, "a.csv", "\xef\xbb\xbfn,s\r\n1,\"a\r\nb\"\r\n\r\n2,\"\"\"\"\r\n3,x");
    rig_read(rig);
    rig_expect(rig,
               "{\"n\":1,\"s\":\"a\\r\\nb\"}\n{\"n\":2,\"s\":\"\\\"\"}\n{\"n\":3,\"s\":\"x\"}\n");
    rig_free(rig);
}

static void the_unterminated_last_line(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_schema(rig, "n: bigint");
    rig_write(rig, "a.jsonl", "{\"n\":1}\n{\"n\":2");
    rig_read(rig); /* a batch: it is a bad record */
    rig_expect(rig, "{\"n\":1}\n");
    assert_int_equal(rig->n_rejects, 1);
    assert_non_null(strstr(rig->reasons.bytes, "8 the record is not valid JSON"));
    rig_forget(rig);
    rig->block.stream = true; /* a stream that ends: it is left for later, and found then */
    rig_open(rig);
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n");
    assert_int_equal(rig->n_rejects, 0);
    rig_append(rig, "a.jsonl", "2}\n{\"n\":3}");
    rig_reopen(rig);
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n{\"n\":22}\n{\"n\":3}\n");
    rig_free(rig);
}

static void too_long_a_line_is_refused_and_passed_by(void **state)
{
    char line[400], longer[20000];

    (void)state;
    for (int csv = 0; csv < 2; csv++) {
        rig *rig = rig_make("a");
        FILE *file;
        rig_format(rig, csv ? "csv" : "json");
        rig->options.format.csv.header = false;
        rig->options.max_record_bytes = 300;
        rig_schema(rig, "s: string");
        file = fopen(rig_path(rig, "a"), "w");
        assert_non_null(file);
        for (int length = 298; length <= 301; length++) { /* with the newline: 299 to 302 bytes */
            memset(line, 'x', sizeof(line));
            if (csv)
                fprintf(file, "%.*s\n", length, line);
            else
                fprintf(file, "{\"s\":\"%.*s\"}\n", length - 8, line);
        }
        memset(longer, 'y', sizeof(longer));
        for (int i = 0; i < 200; i++) /* 4 MB */
            fwrite(longer, 1, sizeof(longer), file);
        fprintf(file, "\n%s\n", csv ? "z" : "{\"s\":\"z\"}");
        fwrite(longer, 1, sizeof(longer), file);
        fclose(file);
        rig_read(rig);
        assert_int_equal(rig->n_rows, 3); /* 299, 300 and the short one */
        assert_non_null(strstr(rig->rows.bytes, "{\"s\":\"z\"}\n"));
        assert_int_equal(rig->n_rejects, 4);
        assert_non_null(strstr(rig->reasons.bytes, "599 the record has 301 bytes, more than "
                                                   "max_record_bytes (300); only its beginning"));
        assert_non_null(strstr(rig->reasons.bytes, "1202 the record has 4000001 bytes"));
        assert_non_null(strstr(rig->reasons.bytes, " the record has 20000 bytes"));
        rig_free(rig);
    }
}

static void a_quote_not_closed_costs_one_line(void **state)
{
    rig *rig = rig_make("a.csv");

    (void)state;
    rig->options.max_record_bytes = 64;
    rig_write(rig, "a.csv",
              "a,b\n1,\"x\ny\"\n2,\"open\n3,c\n4,dddddddddddddddddddddddddddddddddddddd"
              "dddd\n5,e\n6,\"f\n7,g");
    rig_schema(rig, "a: bigint, b: string");
    rig_read(rig);
    rig_expect(
        rig, "{\"a\":1,\"b\":\"x\\ny\"}\n{\"a\":3,\"b\":\"c\"}\n{\"a\":4,\"b\":\"ddddddddddddddddd"
             "ddddddddddddddddddddddddd\"}\n{\"a\":5,\"b\":\"e\"}\n{\"a\":7,\"b\":\"g\"}\n");
    assert_int_equal(rig->n_rejects, 2);
    assert_non_null(strstr(rig->reasons.bytes, "12 the record has a quoted field that is not"));
    rig_free(rig);
}

static void a_line_of_ten_megabytes(void **state)
{
    rig *rig = rig_make("a.jsonl");
    size_t n = 10 << 20;
    char *text = malloc(n);

    (void)state;
    memset(text, 'a', n);
    rig_write(rig, "a.jsonl", "{\"s\":\"first\"}\n{\"s\":\"");
    rig_write_bytes(rig, "a.jsonl", "a", text, n);
    rig_append(rig, "a.jsonl", "\"}\n{\"s\":\"last\"}\n");
    rig_read(rig);
    assert_int_equal(rig->n_rows, 3);
    assert_int_equal(rig->rows.length, n + 9 + 14 + 13);
    assert_non_null(strstr(rig->rows.bytes, "a\"}\n{\"s\":\"last\"}\n"));
    free(text);
    rig_free(rig);
}

static void bad_records_are_rejects_and_the_rest_is_read(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_schema(rig, "n: bigint");
    rig_write(rig, "a.jsonl", "{\"n\":1}\n{\"n\":\"x\"}\nnonsense\n\"\xff\"\n{\"n\":2}\n");
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n");
    assert_int_equal(rig->n_rejects, 3);
    assert_non_null(
        strstr(rig->reasons.bytes, "8 field \"n\" should be bigint, but is the string"));
    rig_forget(rig);
    rig->block.on_cast_error = ON_CAST_ERROR_NULL;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":null}\n{\"n\":2}\n");
    assert_int_equal(rig->n_rejects, 2);
    rig_free(rig);
}

static void gzip_is_known_by_its_first_bytes(void **state)
{
    rig *rig = rig_make("a.jsonl.gz");
    unsigned char bytes[512];
    size_t n = sizeof(bytes);

    (void)state;
    rig_gzip("{\"n\":1}\n{\"n\":2}\n{\"n\":", bytes, &n);
    rig_write_bytes(rig, "a.jsonl.gz", "w", bytes, n);
    n = sizeof(bytes);
    rig_gzip("3}\n{\"n\":4}\n", bytes, &n); /* a second member, and padding */
    rig_write_bytes(rig, "a.jsonl.gz", "a", bytes, n);
    rig_write_bytes(rig, "a.jsonl.gz", "a", "\0\0\0\0", 4);
    rig_read(rig);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    rig_forget(rig);
    rig_open(rig); /* a place in it counts bytes of what it holds */
    for (int i = 0; i < 4; i++) {
        assert_int_not_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_FAILED);
        rig_reopen(rig);
    }
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    rig_free(rig);

    rig = rig_make("plain.jsonl");
    rig_schema(rig, "n: bigint");
    rig->options.compression = COMPRESSION_GZIP;
    rig_write(rig, "plain.jsonl", "{\"n\":1}\n");
    rig_open(rig);
    assert_int_equal(rig_poll(rig, RIG_ROWS, SIZE_MAX), FRESHET_FAILED);
    assert_non_null(strstr(rig->err.text, "gzip file is damaged"));
    rig_free(rig);
}

static void a_damaged_or_cut_gzip_file_fails_a_batch(void **state)
{
    unsigned char bytes[512];

    (void)state;
    for (int damage = 0; damage < 2; damage++) {
        rig *rig = rig_make("a.jsonl.gz");
        size_t n = sizeof(bytes);
        freshet_code code;
        rig_schema(rig, "n: bigint");
        rig_gzip("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", bytes, &n);
        if (damage)
            memset(bytes + 20, 0xff, n - 20);
        rig_write_bytes(rig, "a.jsonl.gz", "w", bytes, damage ? n : n - 10);
        rig_open(rig);
        do
            code = rig_poll(rig, RIG_ROWS, SIZE_MAX);
        while (code == FRESHET_OK);
        assert_int_equal(code, FRESHET_FAILED);
        assert_non_null(strstr(rig->err.text, damage ? "damaged" : "stops in the middle"));
        assert_non_null(strstr(rig->err.at, "a.jsonl.gz"));
        rig_free(rig);
    }
}

/* Stopping after each record and opening again gives each row once, in JSON and in CSV with a
 * header. */
static void positions_go_on_exactly_there(void **state)
{
    (void)state;
    for (int csv = 0; csv < 2; csv++) {
        rig *rig = rig_make("");
        char wanted[2048] = "";
        rig_schema(rig, "n: bigint, s: string");
        rig_format(rig, csv ? "csv" : "json");
        for (int file = 0; file < 3; file++) {
            char name[16];
            snprintf(name, sizeof(name), "f%d", file);
            rig_write(rig, name, csv ? "s,n\n" : "");
            for (int i = 0; i < 4; i++) {
                char line[128];
                int n = file * 4 + i;
                snprintf(line, sizeof(line),
                         csv ? "\"text\nnumber %d\",%d\n"
                             : "{\"s\":\"text\\nnumber %d\",\"n\":%d}\n",
                         n, n);
                rig_append(rig, name, line);
                snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted),
                         "{\"n\":%d,\"s\":\"text\\nnumber %d\"}\n", n, n);
            }
            rig_age(rig, name, 1000 + file);
        }
        rig_open(rig);
        for (int i = 0; i < 12; i++) {
            rig_poll(rig, 1, SIZE_MAX);
            assert_int_equal(rig->n_rows, i + 1);
            rig_reopen(rig);
        }
        rig_drain(rig, RIG_ROWS);
        rig_expect(rig, wanted);
        rig_free(rig);
    }
}

static void only_moved_positions_are_given_unless_all_are_asked_for(void **state)
{
    rig *rig = rig_make("");
    reader_positions moved;

    (void)state;
    rig_format(rig, "json");
    rig_schema(rig, "n: bigint");
    rig_write(rig, "a", "{\"n\":1}\n");
    rig_write(rig, "b", "{\"n\":2}\n{\"n\":3}\n");
    rig_age(rig, "a", 1);
    rig_age(rig, "b", 2);
    rig_open(rig);
    rig_poll(rig, 2, SIZE_MAX);
    assert_int_equal(rig->ops->positions(rig->reader, rig->arena, false, &moved, NULL), FRESHET_OK);
    assert_int_equal(moved.n, 2);
    assert_int_equal(moved.items[0].offset, 8);
    assert_string_equal(moved.items[1].label, rig_path(rig, "b"));
    rig_drain(rig, RIG_ROWS);
    assert_int_equal(rig->ops->positions(rig->reader, rig->arena, false, &moved, NULL), FRESHET_OK);
    assert_int_equal(moved.n, 1);
    assert_int_equal(moved.items[0].offset, 16);
    assert_int_equal(rig->ops->positions(rig->reader, rig->arena, false, &moved, NULL), FRESHET_OK);
    assert_int_equal(moved.n, 0);
    assert_int_equal(rig->ops->positions(rig->reader, rig->arena, true, &moved, NULL), FRESHET_OK);
    assert_int_equal(moved.n, 2);
    assert_string_equal(rig->ops->partition_label(rig->reader, 1), rig_path(rig, "b"));
    rig_free(rig);
}

static void a_position_of_something_else_is_refused(void **state)
{
    rig *rig = rig_make("a.jsonl");
    reader_position other = {.name = "orders/3", .label = "orders/3", .offset = 4};

    (void)state;
    rig_write(rig, "a.jsonl", "{\"n\":1}\n");
    rig->positions = (reader_positions){.items = &other, .n = 1};
    assert_int_equal(rig_try_open(rig), FRESHET_FAILED);
    assert_non_null(strstr(rig->err.text, "not one that a file reader gives"));
    rig_free(rig);
}

static void limits_of_a_poll_hold(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_schema(rig, "n: bigint");
    rig_write(rig, "a.jsonl", "");
    for (int i = 0; i < 100; i++)
        rig_append(rig, "a.jsonl", i % 3 == 0 ? "bad\n" : "{\"n\":1}\n");
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 10, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rig->n_rows + rig->n_rejects, 10);
    assert_true(rig->more);
    assert_int_equal(rig_poll(rig, 1000, 64), FRESHET_OK);
    assert_true(rig->n_rows + rig->n_rejects >= 18);
    assert_true(rig->n_rows + rig->n_rejects <= 22);
    assert_true(rig->more);
    rig_drain(rig, 7);
    assert_int_equal(rig->n_rows, 66);
    assert_int_equal(rig->n_rejects, 34);
    rig_free(rig);
}

static void columns_that_are_not_used_are_null(void **state)
{
    static const bool used[] = {false, true};

    (void)state;
    for (int csv = 0; csv < 2; csv++) {
        rig *rig = rig_make(csv ? "a.csv" : "a.jsonl");
        rig->used = used;
        rig_schema(rig, "a: bigint, b: string");
        rig_write(rig, csv ? "a.csv" : "a.jsonl",
                  csv ? "a,b\nx,1\n2,y\n" : "{\"a\":\"x\",\"b\":\"1\"}\n{\"a\":2,\"b\":\"y\"}\n");
        rig_read(rig);
        rig_expect(rig, "{\"a\":null,\"b\":\"1\"}\n{\"a\":null,\"b\":\"y\"}\n");
        rig_free(rig);
    }
}

static void what_is_missing_is_said(void **state)
{
    rig *rig = rig_make("gone.jsonl");

    (void)state;
    assert_int_equal(rig_describe(rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(rig->err.text, "there is no file or folder"));
    rig_close(rig);
    rig->block.stream = true;
    assert_int_equal(rig_describe(rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(rig->err.text, "yet to infer the columns from; declare schema"));
    rig_close(rig);
    rig_schema(rig, "n: bigint"); /* then a stream may begin with nothing */
    rig_read(rig);
    assert_int_equal(rig->n_rows, 0);
    rig_free(rig);
    rig = rig_make("");
    rig_schema(rig, "n: bigint");
    assert_int_equal(rig_describe(rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(rig->err.text, "say format: json, csv or parquet"));
    rig_close(rig);
    rig_format(rig, "json");
    rig_read(rig);
    assert_int_equal(rig->n_rows, 0);
    rig_write(rig, "empty", "");
    rig_write(rig, "blank", "\n\n");
    rig_read(rig);
    assert_int_equal(rig->n_rows + rig->n_rejects, 0);
    rig_format(rig, "csv");
    rig_schema(rig, "n: array<bigint>");
    assert_int_equal(rig_describe(rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(rig->err.text, "is an array or a struct, which CSV does not have"));
    rig_free(rig);
}

static void a_csv_file_without_a_column_is_null_there(void **state)
{
    rig *rig = rig_make("a.csv");

    (void)state;
    rig_schema(rig, "carrier: string, origin: string");
    rig_write(rig, "a.csv", "Carrier,dest\nUA,IAH\n");
    rig_read(rig);
    rig_expect(rig, "{\"carrier\":\"UA\",\"origin\":null}\n");
    rig_forget(rig);
    rig_schema(rig, "origin: string, id: bigint"); /* none of them: not the file that is meant */
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 10, SIZE_MAX), FRESHET_BAD_DECLARATION);
    assert_string_equal(rig->err.text, "the header has no column \"origin\"; it has Carrier, dest");
    assert_string_equal(rig->err.at, rig_path(rig, "a.csv"));
    rig_free(rig);
}

static int (*real_open)(const char *path, int flags, mode_t mode);

static int refuse_b(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "b.jsonl") != NULL) {
        errno = EACCES;
        return -1;
    }
    return real_open(path, flags, mode);
}

static void an_unreadable_file_fails_a_batch_by_name(void **state)
{
    rig *rig = rig_make("");
    freshet_code code;

    (void)state;
    rig_write(rig, "a.jsonl", "{\"n\":1}\n");
    rig_write(rig, "b.jsonl", "{\"n\":2}\n");
    rig_age(rig, "a.jsonl", 1);
    rig_schema(rig, "n: bigint");
    real_open = os.open;
    os.open = refuse_b;
    rig_open(rig);
    do
        code = rig_poll(rig, RIG_ROWS, SIZE_MAX);
    while (code == FRESHET_OK);
    assert_int_equal(code, FRESHET_FAILED);
    rig_expect(rig, "{\"n\":1}\n");
    assert_non_null(strstr(rig->err.at[0] == '\0' ? rig->err.text : rig->err.at, "b.jsonl"));
    assert_non_null(strstr(rig->err.text, "Permission denied"));
    rig_free(rig);
}

static ssize_t (*real_pread)(int fd, void *into, size_t size, off_t offset);
static int preads_until_failure;
static int failure;

static ssize_t failing_pread(int fd, void *into, size_t size, off_t offset)
{
    if (preads_until_failure-- == 0) {
        errno = failure;
        return -1;
    }
    return real_pread(fd, into, size < 100 ? size : 100, offset);
}

/* Whichever read fails, trying again gives each row once. */
static void a_failing_read_leaves_the_place(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_schema(rig, "n: bigint");
    rig_write(rig, "a.jsonl", "");
    for (int i = 0; i < 60; i++) {
        char line[32];
        snprintf(line, sizeof(line), "{\"n\":%d}\n", i);
        rig_append(rig, "a.jsonl", line);
    }
    for (failure = EAGAIN; failure != 0; failure = failure == EAGAIN ? EIO
                                                   : failure == EIO  ? EINTR
                                                                     : 0) {
        for (int at = 0; at < 10; at++) {
            char wanted[1024] = "";
            int errors = 0;
            for (int i = 0; i < 60; i++)
                snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "{\"n\":%d}\n",
                         i);
            rig_forget(rig);
            rig_open(rig);
            real_pread = os.pread;
            os.pread = failing_pread;
            preads_until_failure = at;
            for (;;) {
                freshet_code code = rig_poll(rig, 50, SIZE_MAX);
                if (code == FRESHET_END)
                    break;
                if (code == FRESHET_OK)
                    continue;
                errors++;
                assert_int_equal(rig->err.then, failure == EAGAIN ? FRESHET_RETRY : FRESHET_STOP);
            }
            rig_expect(rig, wanted);
            assert_true(errors <= 1 && (failure != EINTR || errors == 0));
            os_restore();
            rig_close(rig);
        }
    }
    rig_free(rig);
}

/* What a writer adds while a file is read belongs to the next run; a record begun before is
 * whole. */
static void no_further_than_what_was_there_at_open(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_write(rig, "a.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":");
    rig_schema(rig, "n: bigint");
    rig->block.stream = true;
    rig_open(rig);
    rig_append(rig, "a.jsonl", "3}\n{\"n\":4}\n{\"n\":5");
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    rig_append(rig, "a.jsonl", "}\n");
    rig_reopen(rig);
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
    rig_free(rig);
}

static void tabs_alone_are_fields(void **state)
{
    rig *rig = rig_make("a.csv");

    (void)state;
    rig->options.format.csv.delimiter.value = "\\t";
    rig_schema(rig, "a: string, b: string");
    rig_write(rig, "a.csv", "a\tb\n\t\n\n \t\n");
    rig_read(rig);
    rig_expect(rig, "{\"a\":null,\"b\":null}\n{\"a\":\" \",\"b\":null}\n");
    rig_free(rig);
}

static void a_static_reader_sees_changes(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    rig_write(rig, "a.jsonl", "{\"n\":1}\n");
    rig_open(rig);
    rig_drain(rig, RIG_ROWS);
    assert_false(rig->ops->changed(rig->reader));
    rig_append(rig, "a.jsonl", "{\"n\":2}\n");
    assert_true(rig->ops->changed(rig->reader));
    rig->ops->close(rig->reader); /* the loop opens the same reader again */
    rig_forget(rig);
    assert_int_equal(rig->ops->open(rig->reader, &rig->positions, NULL), FRESHET_OK);
    rig_drain(rig, RIG_ROWS);
    rig_expect(rig, "{\"n\":1}\n{\"n\":2}\n");
    assert_false(rig->ops->changed(rig->reader));
    rig_write(rig, "b.jsonl", "{\"n\":3}\n");
    assert_true(rig->ops->changed(rig->reader));
    unlink(rig_path(rig, "b.jsonl"));
    assert_false(rig->ops->changed(rig->reader));
    rig_age(rig, "a.jsonl", 77);
    assert_true(rig->ops->changed(rig->reader));
    rig_remove(rig->folder); /* gone: what was read stays */
    assert_false(rig->ops->changed(rig->reader));
    rig_free(rig);
}

static void more_files_than_descriptors(void **state)
{
    rig *rig = rig_make("");
    char name[32], line[64];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "%04d.jsonl", i);
        snprintf(line, sizeof(line), "{\"n\":%d}\n{\"n\":%d}\n", i, i);
        rig_write(rig, name, line);
        rig_age(rig, name, 1000);
    }
    rig_open(rig);
    rig_drain(rig, 7);
    assert_int_equal(rig->n_rows, 600);
    rig_free(rig);
}

static void a_thousand_columns(void **state)
{
    rig *rig = rig_make("a.csv");
    text_buffer file;

    (void)state;
    text_init(&file, TEXT_LIMIT_DEFAULT);
    for (int row = 0; row < 3; row++)
        for (int i = 0; i < 1000; i++)
            text_format(&file, row == 0 ? "c%d%c" : "%d%c", row == 0 ? i : row * i,
                        i < 999 ? ',' : '\n');
    rig_write(rig, "a.csv", file.bytes);
    rig_read(rig);
    assert_int_equal(rig->n_rows, 2);
    assert_non_null(strstr(rig->rows.bytes, "\"c999\":1998}\n"));
    text_release(&file);
    rig_free(rig);
}

/* Any format, and any format's options, as with messages. */
static void lines_can_be_read_as_they_are(void **state)
{
    rig *rig = rig_make("a.log");

    (void)state;
    rig_write(rig, "a.log", "a line of text\n\n  {\"not\": parsed}\r\n\xff\nlast");
    rig_format(rig, "raw");
    rig_read(rig);
    rig_expect(rig, "{\"value\":\"a line of text\"}\n{\"value\":\"\"}\n"
                    "{\"value\":\"  {\\\"not\\\": parsed}\"}\n{\"value\":\"last\"}\n");
    rig_expect_reasons(
        rig, "35 the line is not valid UTF-8; say type: binary, or on_cast_error: null\n");
    rig_free(rig);
    rig = rig_make("a.jsonl");
    rig_write(rig, "a.jsonl", "{\"a\":1}\n{\"a\":2,\"b\":3}\n");
    rig_schema(rig, "a: bigint");
    rig->options.format.json.strict = true;
    rig_read(rig);
    rig_expect(rig, "{\"a\":1}\n");
    rig_expect_reasons(rig,
                       "8 field \"b\" is not in the schema, and strict: true wants the fields of "
                       "the schema and no others\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_by_time_then_by_name),
        cmocka_unit_test(files_come_by_name_where_that_is_said),
        cmocka_unit_test(patterns_name_files_at_any_depth),
        cmocka_unit_test(lines_end_in_many_ways),
        cmocka_unit_test(the_unterminated_last_line),
        cmocka_unit_test(too_long_a_line_is_refused_and_passed_by),
        cmocka_unit_test(a_quote_not_closed_costs_one_line),
        cmocka_unit_test(a_line_of_ten_megabytes),
        cmocka_unit_test(bad_records_are_rejects_and_the_rest_is_read),
        cmocka_unit_test(gzip_is_known_by_its_first_bytes),
        cmocka_unit_test(a_damaged_or_cut_gzip_file_fails_a_batch),
        cmocka_unit_test(positions_go_on_exactly_there),
        cmocka_unit_test(only_moved_positions_are_given_unless_all_are_asked_for),
        cmocka_unit_test(a_position_of_something_else_is_refused),
        cmocka_unit_test(limits_of_a_poll_hold),
        cmocka_unit_test(columns_that_are_not_used_are_null),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(a_csv_file_without_a_column_is_null_there),
        cmocka_unit_test(an_unreadable_file_fails_a_batch_by_name),
        cmocka_unit_test(a_failing_read_leaves_the_place),
        cmocka_unit_test(no_further_than_what_was_there_at_open),
        cmocka_unit_test(tabs_alone_are_fields),
        cmocka_unit_test(a_static_reader_sees_changes),
        cmocka_unit_test(more_files_than_descriptors),
        cmocka_unit_test(a_thousand_columns),
        cmocka_unit_test(lines_can_be_read_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
