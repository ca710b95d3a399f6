/* history_test.c - the writer `history`: what is in its files, how they are laid out, when they are
 * seen. */
#include "writers/history/history_testing.h"

static const field simple_fields[3] = {{"id", NULL}, {"timestamp", NULL}, {"x", NULL}};

typedef struct simple {
    field fields[3];
    rig *rig;
} simple;

static void make_simple(simple *simple, bool is_batch, const char *options)
{
    const type *types[] = {type_simple(TYPE_BIGINT), type_simple(TYPE_TIMESTAMP),
                           type_simple(TYPE_DOUBLE)};
    for (int i = 0; i < 3; i++)
        simple->fields[i] = (field){simple_fields[i].name, types[i]};
    simple->rig = rig_make(simple->fields, 3, is_batch, options);
}

/* n rows with ids from `first` on, the i-th at first_us + i * step_us; x is id / 2. */
static batch make_rows(rig *rig, int64_t first, uint32_t n, int64_t first_us, int64_t step_us)
{
    batch rows;
    assert_int_equal(batch_init(&rows, rig->arena, &rig->schema, n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows.columns[0].data)[i] = first + i;
        ((int64_t *)rows.columns[1].data)[i] = first_us + i * step_us;
        ((double *)rows.columns[2].data)[i] = (double)(first + i) / 2;
    }
    rows.n_rows = n;
    return rows;
}

static freshet_code write_rows(rig *rig, int64_t first, uint32_t n, int64_t first_us,
                               int64_t step_us)
{
    batch rows = make_rows(rig, first, n, first_us, step_us);
    return history_writer_ops.write(rig->writer, &rows, &rig->err);
}

static void good(rig *rig, freshet_code code)
{
    if (code != FRESHET_OK)
        fail_msg("%s", rig->err.text);
}

static freshet_code flush(rig *rig)
{
    return history_writer_ops.flush(rig->writer, &rig->err);
}

static freshet_code publish(rig *rig)
{
    writer_files files;
    freshet_code code = history_writer_ops.pending(rig->writer, rig->arena, &files, &rig->err);
    return code == FRESHET_OK ? history_writer_ops.publish(rig->writer, &files, &rig->err) : code;
}

/* ---- what is in the files -------------------------------------------------------------------- */

static void every_type_comes_back(void **state)
{
    (void)state;
    arena *arena = arena_open();
    const field fields[] = {
        {"id", type_simple(TYPE_BIGINT)},
        {"timestamp", type_simple(TYPE_TIMESTAMP)},
        {"bool", type_simple(TYPE_BOOLEAN)},
        {"int", type_simple(TYPE_INTEGER)},
        {"float", type_simple(TYPE_FLOAT)},
        {"double", type_simple(TYPE_DOUBLE)},
        {"small", type_decimal(arena, 9, 2)},
        {"large", type_decimal(arena, 38, 10)},
        {"a \"text\"", type_simple(TYPE_STRING)},
        {"bytes", type_simple(TYPE_BINARY)},
        {"date", type_simple(TYPE_DATE)},
        {"numbers", type_array(arena, type_simple(TYPE_DOUBLE))},
        {"texts", type_array(arena, type_simple(TYPE_STRING))},
        {"times", type_array(arena, type_simple(TYPE_TIMESTAMP))},
    };
    const uint32_t n_fields = sizeof fields / sizeof *fields;
    rig *rig = rig_make(fields, n_fields, true, "");
    sql_statement *statement = NULL;
    batch rows;
    const char *sql =
        "select 1::bigint, timestamp '2024-05-01 12:00:00.000001', true, 7::integer, 1.5::float, "
        "2.25::double, 1.50::decimal(9,2), "
        "1234567890123456789012345678.0123456789::decimal(38,10), "
        "'a text longer than twelve', '\\x00\\xFFab'::blob, date '2024-02-29', "
        "[1.5::double, null, 3], ['short', null, 'and one that is longer'], "
        "[timestamp '1969-12-31 23:59:59.5'] "
        "union all select 2, timestamp '2024-05-01 12:00:00', null, null, null, null, null, null, "
        "null, null, null, null, null, null "
        "union all select 3, timestamp '2024-05-01 12:00:01', false, -1, 'nan'::float, "
        "'-inf'::double, 0, -1, '', ''::blob, date '1900-01-01', [], [], []";
    assert_int_equal(sql_prepare(rig->session, sql, &statement, NULL, NULL), FRESHET_OK);
    assert_int_equal(sql_run(statement, arena, &rows, NULL), FRESHET_OK);
    rows.schema = rig->schema;
    good(rig, history_writer_ops.write(rig->writer, &rows, &rig->err));
    good(rig, publish(rig));
    assert_string_equal(
        rig_query(rig, "select * exclude (year, month, day) from " AS_ONE_TABLE " order by id"),
        "{\"id\":1,\"timestamp\":\"2024-05-01T12:00:00.000001Z\",\"bool\":true,\"int\":7,"
        "\"float\":1.5,\"double\":2.25,\"small\":\"1.50\","
        "\"large\":\"1234567890123456789012345678.0123456789\","
        "\"a \\\"text\\\"\":\"a text longer than twelve\",\"bytes\":\"AP9hYg==\","
        "\"date\":\"2024-02-29\",\"numbers\":[1.5,null,3.0],"
        "\"texts\":[\"short\",null,\"and one that is longer\"],"
        "\"times\":[\"1969-12-31T23:59:59.500000Z\"]}\n"
        "{\"id\":2,\"timestamp\":\"2024-05-01T12:00:00.000000Z\",\"bool\":null,\"int\":null,"
        "\"float\":null,\"double\":null,\"small\":null,\"large\":null,\"a \\\"text\\\"\":null,"
        "\"bytes\":null,\"date\":null,\"numbers\":null,\"texts\":null,\"times\":null}\n"
        "{\"id\":3,\"timestamp\":\"2024-05-01T12:00:01.000000Z\",\"bool\":false,\"int\":-1,"
        "\"float\":\"NaN\",\"double\":\"-Infinity\",\"small\":\"0.00\","
        "\"large\":\"-1.0000000000\",\"a \\\"text\\\"\":\"\",\"bytes\":\"\","
        "\"date\":\"1900-01-01\",\"numbers\":[],\"texts\":[],\"times\":[]}\n");
    assert_string_equal(
        rig_query(rig, "select distinct column_type as t from (describe select timestamp, small, "
                       "bytes, texts from " AS_ONE_TABLE ") order by t"),
        "{\"t\":\"BLOB\"}\n{\"t\":\"DECIMAL(9,2)\"}\n{\"t\":\"TIMESTAMP WITH TIME ZONE\"}\n"
        "{\"t\":\"VARCHAR[]\"}\n");
    sql_statement_close(statement);
    rig_free(rig);
    arena_close(arena);
}

static void folders_are_named_by_day_without_zeros(void **state)
{
    (void)state;
    static const struct {
        const char *options, *files;
    } cases[] = {
        {"", "year=-44/month=3/day=15/part-0000000000000000-0000.parquet\n"
             "year=1969/month=12/day=31/part-0000000000000000-0000.parquet\n"
             "year=2024/month=1/day=1/part-0000000000000000-0000.parquet\n"},
        {", partition_by: [year, month]", "year=-44/month=3/part-0000000000000000-0000.parquet\n"
                                          "year=1969/month=12/part-0000000000000000-0000.parquet\n"
                                          "year=2024/month=1/part-0000000000000000-0000.parquet\n"},
        {", partition_by: year", "year=-44/part-0000000000000000-0000.parquet\n"
                                 "year=1969/part-0000000000000000-0000.parquet\n"
                                 "year=2024/part-0000000000000000-0000.parquet\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        simple simple;
        make_simple(&simple, true, cases[i].options);
        good(simple.rig, write_rows(simple.rig, 0, 2, NEW_YEAR_US, DAY_US - 1));
        good(simple.rig, write_rows(simple.rig, 2, 1, -1, 0));
        good(simple.rig, write_rows(simple.rig, 3, 1, date_days(-44, 3, 15) * DAY_US, 0));
        good(simple.rig, publish(simple.rig));
        assert_string_equal(rig_files(simple.rig), cases[i].files);
        rig_free(simple.rig);
    }
}

static void arrival_order_is_kept_within_a_day(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", rows: 200"); /* files of each piece, merged at the end */
    for (int64_t i = 0; i < 10; i++)           /* each row is of another day than the one before */
        good(simple.rig, write_rows(simple.rig, i * 90, 90, NEW_YEAR_US + i, DAY_US / 3 * 2));
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_query(simple.rig, "select count(*) as n, count(distinct id) as d, "
                                              "count(distinct day * 100 + month) as days "
                                              "from " AS_ONE_TABLE),
                        "{\"n\":900,\"d\":900,\"days\":60}\n");
    assert_int_equal(rig_count_files(simple.rig), 60);
    assert_string_equal(
        rig_query(
            simple.rig,
            "select count(*) as n from (select id, lag(id) over (partition by year, month, day "
            "order by filename, file_row_number) as before from read_parquet('%s/**/*.parquet', "
            "hive_partitioning = true, filename = true, file_row_number = true)) "
            "where id <= before"),
        "{\"n\":0}\n");
    rig_free(simple.rig);
}

static void files_end_at_their_limit(void **state)
{
    (void)state;
    static const uint32_t n_rows[] = {99, 100, 101, 200, 201};
    static const uint32_t n_files[] = {1, 1, 2, 2, 3};
    for (size_t i = 0; i < 5; i++) {
        simple simple;
        make_simple(&simple, true, ", rows: 100");
        for (uint32_t at = 0; at < n_rows[i]; at += 60)
            good(simple.rig, write_rows(simple.rig, at, n_rows[i] - at < 60 ? n_rows[i] - at : 60,
                                        NEW_YEAR_US, 1));
        good(simple.rig, publish(simple.rig));
        uint32_t found = rig_count_files(simple.rig);
        /* rows are gathered by whole micro-batches, so a file may end before its limit */
        assert_true(found >= n_files[i] && found <= 2 * n_files[i]);
        assert_string_equal(rig_query(simple.rig, "select max(num_rows) <= 100 as fits from "
                                                  "parquet_file_metadata('%s/**/*.parquet')"),
                            "{\"fits\":true}\n");
        assert_string_equal(rig_query(simple.rig, "select count(*) as n from " AS_ONE_TABLE),
                            arena_format(simple.rig->arena, "{\"n\":%u}\n", n_rows[i]));
        rig_free(simple.rig);
    }
}

static void memory_makes_files_too(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", memory: 1 MiB");
    for (int64_t i = 0; i < 10; i++) /* 24 bytes a row: more than 1 MiB after the fifth */
        good(simple.rig, write_rows(simple.rig, i * 10000, 10000, NEW_YEAR_US, 1));
    const char *aside = rig_path(simple.rig, ".freshet/year=2024~month=1~day=1~"
                                             "part-0000000000000000-0000.parquet.aside");
    assert_int_equal(access(aside, F_OK), 0);
    good(simple.rig, publish(simple.rig));
    assert_int_equal(rig_count_files(simple.rig), 1);
    assert_string_equal(rig_query(simple.rig, "select count(distinct id) as n from " AS_ONE_TABLE),
                        "{\"n\":100000}\n");
    rig_free(simple.rig);
}

static void files_are_merged_up_to_their_limit(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", rows: 100");
    static const uint32_t n_rows[] = {60, 40, 1, 50, 49, 100, 30}; /* 100, 100, 100, 30 together */
    int64_t id = 0;
    for (size_t i = 0; i < sizeof n_rows / sizeof *n_rows; i++) {
        good(simple.rig, write_rows(simple.rig, id, n_rows[i], NEW_YEAR_US, 1));
        id += n_rows[i];
        good(simple.rig, write_rows(simple.rig, 1000 + (int64_t)i, 100 - n_rows[i] % 100,
                                    NEW_YEAR_US + DAY_US, 1)); /* makes a spill due */
    }
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_query(simple.rig,
                                  "select num_rows as n from parquet_file_metadata("
                                  "'%s/year=2024/month=1/day=1/*.parquet') order by file_name"),
                        "{\"n\":100}\n{\"n\":100}\n{\"n\":100}\n{\"n\":30}\n");
    assert_string_equal(
        rig_query(
            simple.rig,
            "select count(*) as n, bool_and(id = row) as in_order from (select id, row_number() "
            "over (order by filename, file_row_number) - 1 as row from "
            "read_parquet('%s/year=2024/month=1/day=1/*.parquet', filename = true, "
            "file_row_number = true))"),
        "{\"n\":330,\"in_order\":true}\n");
    rig_free(simple.rig);
}

static void corrections_are_written_where_wanted(void **state)
{
    (void)state;
    static const char *const options[] = {"", ", corrections: true"};
    static const char *const found[] = {"{\"ids\":[0,3]}\n", "{\"ids\":[0,2,3,4]}\n"};
    for (int i = 0; i < 2; i++) {
        simple simple;
        make_simple(&simple, true, options[i]);
        batch rows = make_rows(simple.rig, 0, 5, NEW_YEAR_US, 1);
        uint8_t kinds[] = {ROW_NEW | ROW_ONLINE, ROW_ONLINE, ROW_CORRECTION | ROW_ONLINE, ROW_NEW,
                           ROW_CORRECTION};
        rows.row_kinds = kinds;
        const unsigned takes = writer_takes(&history_writer_ops, simple.rig->writer->options);
        good(simple.rig, writer_select(&rows, takes, &rows, &simple.rig->err));
        good(simple.rig, history_writer_ops.write(simple.rig->writer, &rows, &simple.rig->err));
        good(simple.rig, publish(simple.rig));
        assert_string_equal(
            rig_query(simple.rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE),
            found[i]);
        rig_free(simple.rig);
    }
}

/* ---- when they are seen ---------------------------------------------------------------------- */

static void a_batch_is_seen_at_its_end(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", rows: 10");
    for (int i = 0; i < 5; i++) {
        good(simple.rig, write_rows(simple.rig, i * 10, 10, NEW_YEAR_US, DAY_US));
        good(simple.rig, flush(simple.rig));
        assert_int_equal(rig_count_files(simple.rig), 0);
    }
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_query(simple.rig, "select count(*) as n from " AS_ONE_TABLE),
                        "{\"n\":50}\n");
    rig_free(simple.rig);
}

/* All that lies in the partitions of this run counts: what another wrote meanwhile, too. */
static void a_batch_is_validated(void **state)
{
    (void)state;
    simple simple;
    writer_files files;
    int64_t there = 0;
    make_simple(&simple, true, ", rows: 10");
    rig *rig = simple.rig;
    good(rig, write_rows(rig, 0, 30, NEW_YEAR_US, 1));
    good(rig, write_rows(rig, 100, 5, NEW_YEAR_US + DAY_US, 1));
    good(rig, history_writer_ops.pending(rig->writer, rig->arena, &files, &rig->err));
    good(rig, history_writer_ops.publish(rig->writer, &files, &rig->err));
    good(rig, history_writer_ops.validate(rig->writer, &files, &there, &rig->err));
    assert_int_equal(there, 35);
    const char *file = rig_path(rig, files.paths[files.n - 1]);
    const char *copy = rig_path(rig, "year=2024/month=1/day=2/other.parquet");
    assert_int_equal(link(file, copy), 0);
    there = 0;
    good(rig, history_writer_ops.validate(rig->writer, &files, &there, &rig->err));
    assert_int_equal(there, 40);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(unlink(copy), 0);
    there = 0;
    good(rig, history_writer_ops.validate(rig->writer, &files, &there, &rig->err));
    assert_int_equal(there, 30);
    rig_free(rig);
}

static void a_batch_that_does_not_end_leaves_nothing(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", rows: 10");
    good(simple.rig, write_rows(simple.rig, 0, 30, NEW_YEAR_US, 1));
    good(simple.rig, write_rows(simple.rig, 0, 30, NEW_YEAR_US, 1));
    const char *aside = rig_path(simple.rig, ".freshet/year=2024~month=1~day=1~"
                                             "part-0000000000000000-0000.parquet.aside");
    assert_int_equal(access(aside, F_OK), 0);
    rig_close(simple.rig);
    assert_int_not_equal(access(aside, F_OK), 0);
    assert_int_equal(rig_count_files(simple.rig), 0);
    rig_free(simple.rig);
}

static void a_batch_replaces_the_partitions_it_has_rows_of(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", rows: 10");
    good(simple.rig, write_rows(simple.rig, 0, 30, NEW_YEAR_US, 1));
    good(simple.rig, write_rows(simple.rig, 100, 1, NEW_YEAR_US + DAY_US, 1));
    good(simple.rig, publish(simple.rig));
    assert_int_equal(rig_count_files(simple.rig), 4);
    rig_close(simple.rig);
    const char *foreign =
        rig_path(simple.rig, "year=2024/month=1/day=1/part-00000-abc.c000.parquet");
    assert_int_equal(close(open(foreign, O_CREAT | O_WRONLY, 0600)), 0);
    good(simple.rig, rig_open(simple.rig));
    good(simple.rig, write_rows(simple.rig, 7, 2, NEW_YEAR_US, 1));
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_query(simple.rig,
                                  "select day, array_agg(id order by id) as ids from " AS_ONE_TABLE
                                  " group by day order by day"),
                        "{\"day\":1,\"ids\":[7,8]}\n{\"day\":2,\"ids\":[100]}\n");
    assert_int_equal(rig_count_files(simple.rig), 2);
    rig_free(simple.rig);
}

/* Folders of other days, and of another depth, go with what lies in them; what is not in a folder
 * of the history's own kind stays. */
static void a_batch_replaces_all(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", partition_by: [year, month], interval_mode: false");
    good(simple.rig, write_rows(simple.rig, 0, 40, NEW_YEAR_US, DAY_US));
    good(simple.rig, publish(simple.rig));
    assert_int_equal(rig_count_files(simple.rig), 2);
    rig_close(simple.rig);
    const char *foreign = rig_path(simple.rig, "year=2024/month=2/part-00000-abc.c000.parquet");
    const char *beside = rig_path(simple.rig, "README");
    assert_int_equal(close(open(foreign, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(close(open(beside, O_CREAT | O_WRONLY, 0600)), 0);
    rig_declare(simple.rig, "h", ", rows: 2, interval_mode: false");
    good(simple.rig, rig_open(simple.rig));
    good(simple.rig, write_rows(simple.rig, 100, 3, NEW_YEAR_US + DAY_US, DAY_US));
    assert_int_equal(rig_count_files(simple.rig), 3);
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_query(simple.rig,
                                  "select day, array_agg(id order by id) as ids from " AS_ONE_TABLE
                                  " group by day order by day"),
                        "{\"day\":2,\"ids\":[100]}\n{\"day\":3,\"ids\":[101]}\n"
                        "{\"day\":4,\"ids\":[102]}\n");
    assert_int_not_equal(access(rig_path(simple.rig, "year=2024/month=2"), F_OK), 0);
    assert_int_equal(access(beside, F_OK), 0);
    rig_close(simple.rig);
    good(simple.rig, rig_open(simple.rig)); /* a batch without rows */
    good(simple.rig, write_rows(simple.rig, 0, 0, NEW_YEAR_US, 1));
    good(simple.rig, publish(simple.rig));
    assert_int_equal(rig_count_files(simple.rig), 3);
    rig_close(simple.rig);
    good(simple.rig, rig_open(simple.rig)); /* one that is broken off */
    good(simple.rig, write_rows(simple.rig, 7, 1, NEW_YEAR_US, 1));
    rig_close(simple.rig);
    assert_int_equal(rig_count_files(simple.rig), 3);
    rig_free(simple.rig);
}

static void a_batch_of_no_rows_replaces_nothing(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, "");
    good(simple.rig, write_rows(simple.rig, 0, 3, NEW_YEAR_US, 1));
    good(simple.rig, publish(simple.rig));
    rig_close(simple.rig);
    good(simple.rig, rig_open(simple.rig));
    good(simple.rig, write_rows(simple.rig, 0, 0, NEW_YEAR_US, 1));
    good(simple.rig, publish(simple.rig));
    assert_int_equal(rig_count_files(simple.rig), 1);
    rig_free(simple.rig);
}

static void a_stream_without_checkpoints_adds_at_each_flush(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, false, "");
    for (int i = 0; i < 3; i++) {
        good(simple.rig, write_rows(simple.rig, i * 2, 2, NEW_YEAR_US, 1));
        good(simple.rig, flush(simple.rig));
        good(simple.rig, flush(simple.rig));
        assert_int_equal(rig_count_files(simple.rig), i + 1);
    }
    rig_close(simple.rig);
    good(simple.rig, rig_open(simple.rig));
    good(simple.rig, write_rows(simple.rig, 6, 2, NEW_YEAR_US, 1));
    good(simple.rig, flush(simple.rig));
    assert_string_equal(
        rig_query(simple.rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE),
        "{\"ids\":[0,1,2,3,4,5,6,7]}\n");
    rig_free(simple.rig);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void recover(rig *rig, uint64_t checkpoint, const writer_files *committed)
{
    rig->writer->checkpoint = checkpoint;
    good(rig, history_writer_ops.recover(rig->writer, committed, &rig->err));
}

static void pending(rig *rig, writer_files *files)
{
    good(rig, history_writer_ops.pending(rig->writer, rig->arena, files, &rig->err));
}

static void checkpoints_say_what_is_seen(void **state)
{
    (void)state;
    static const writer_files none;
    simple simple;
    make_simple(&simple, false, "");
    rig *rig = simple.rig;
    recover(rig, 1, &none);
    good(rig, write_rows(rig, 0, 2, NEW_YEAR_US, DAY_US));
    good(rig, flush(rig));
    assert_int_equal(rig_count_files(rig), 0);
    writer_files first, second;
    pending(rig, &first);
    assert_int_equal(first.n, 2);
    assert_string_equal(first.paths[0],
                        "year=2024/month=1/day=1/part-0000000000000001-0000.parquet");
    rig->writer->checkpoint = 2; /* rows may come before the first is published */
    good(rig, write_rows(rig, 2, 2, NEW_YEAR_US, DAY_US));
    good(rig, history_writer_ops.publish(rig->writer, &first, &rig->err));
    assert_int_equal(rig_count_files(rig), 2);
    pending(rig, &second);
    assert_int_equal(second.n, 2);
    assert_string_equal(second.paths[1],
                        "year=2024/month=1/day=2/part-0000000000000002-0000.parquet");
    good(rig, history_writer_ops.publish(rig->writer, &second, &rig->err));
    pending(rig, &second);
    assert_int_equal(second.n, 0);
    assert_string_equal(
        rig_query(rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE),
        "{\"ids\":[0,1,2,3]}\n");
    rig_free(rig);
}

/* Killed between two steps of a checkpoint: what it lists is seen once, the rest never was. */
static void after_a_crash_each_row_is_there_once(void **state)
{
    (void)state;
    static const writer_files none;
    for (int crash = 0; crash < 3; crash++) {
        simple simple;
        make_simple(&simple, false, "");
        rig *rig = simple.rig;
        writer_files files;
        recover(rig, 1, &none);
        good(rig, write_rows(rig, 0, 2, NEW_YEAR_US, DAY_US));
        pending(rig, &files);
        writer_files committed = crash == 0 ? none : files;
        committed.newest = crash == 0 ? NULL : files.paths[files.n - 1];
        if (crash == 2)
            good(rig, history_writer_ops.publish(rig->writer, &files, &rig->err));
        rig_close(rig);

        good(rig, rig_open(rig));
        recover(rig, crash == 0 ? 1 : 2, &committed);
        if (crash == 0) /* the source gives the rows again */
            good(rig, write_rows(rig, 0, 2, NEW_YEAR_US, DAY_US));
        good(rig, write_rows(rig, 2, 2, NEW_YEAR_US, DAY_US));
        pending(rig, &files);
        good(rig, history_writer_ops.publish(rig->writer, &files, &rig->err));
        good(rig, history_writer_ops.publish(rig->writer, &files, &rig->err));
        assert_string_equal(
            rig_query(rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE),
            "{\"ids\":[0,1,2,3]}\n");
        rig_free(rig);
    }
}

static void a_file_that_is_gone_is_said(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "year=2024/month=1/day=1/part-0000000000000007-0000.parquet"};
    const writer_files committed = {.paths = paths, .n = 1, .newest = paths[0]};
    simple simple;
    make_simple(&simple, false, "");
    assert_int_equal(history_writer_ops.recover(simple.rig->writer, &committed, &simple.rig->err),
                     FRESHET_FAILED);
    assert_non_null(strstr(simple.rig->err.text, "is gone"));
    assert_non_null(strstr(simple.rig->err.text, "part-0000000000000007-0000.parquet"));
    rig_free(simple.rig);
}

/* A state that was lost, or is an older copy, would give its rows again. */
static void an_older_state_is_refused(void **state)
{
    (void)state;
    static const writer_files none;
    writer_files files;
    simple simple;
    make_simple(&simple, false, "");
    rig *rig = simple.rig;
    recover(rig, 1, &none);
    for (int i = 0; i < 3; i++) {
        good(rig, write_rows(rig, i, 1, NEW_YEAR_US, 1));
        pending(rig, &files);
        rig->writer->checkpoint++;
        good(rig, history_writer_ops.publish(rig->writer, &files, &rig->err));
    }
    rig_close(rig);
    const writer_files shown = {.newest = arena_text(rig->arena, files.paths[0])};
    for (uint64_t checkpoint = 4; checkpoint > 0; checkpoint--) {
        good(rig, rig_open(rig));
        rig->writer->checkpoint = checkpoint;
        freshet_code code = history_writer_ops.recover(rig->writer, &shown, &rig->err);
        assert_int_equal(code, checkpoint == 4 ? FRESHET_OK : FRESHET_BAD_DECLARATION);
        rig_close(rig);
    }
    assert_non_null(strstr(rig->err.text, "has rows up to checkpoint 3, and the state knows of "
                                          "checkpoint 0 only"));
    good(rig, rig_open(rig));
    rig_free(rig);
}

static void files_of_a_lost_state_are_not_written_over(void **state)
{
    (void)state;
    static const writer_files none;
    simple simple;
    make_simple(&simple, false, "");
    writer_files shown = {.newest = NULL};
    for (int run = 0; run < 2; run++) {
        writer_files files;
        recover(simple.rig, 1, &shown);
        good(simple.rig, write_rows(simple.rig, run, 1, NEW_YEAR_US, 1));
        freshet_code code = history_writer_ops.pending(simple.rig->writer, simple.rig->arena,
                                                       &files, &simple.rig->err);
        assert_int_equal(code, run == 0 ? FRESHET_OK : FRESHET_FAILED);
        if (run == 0)
            good(simple.rig,
                 history_writer_ops.publish(simple.rig->writer, &files, &simple.rig->err));
        rig_close(simple.rig);
        assert_int_equal(unlink(arena_format(simple.rig->arena, "%s/h/.freshet/checkpoint",
                                             simple.rig->folder)) != 0,
                         run);
        good(simple.rig, rig_open(simple.rig));
        shown.newest = "year=2024/month=1/day=1/part-0000000000000001-0000.parquet";
    }
    assert_non_null(strstr(simple.rig->err.text, "from a run whose state is gone"));
    assert_int_equal(history_writer_ops.recover(simple.rig->writer, &none, &simple.rig->err),
                     FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(simple.rig->err.text, "by a stream whose state is gone"));
    assert_string_equal(rig_query(simple.rig, "select id from " AS_ONE_TABLE), "{\"id\":0}\n");
    rig_free(simple.rig);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

static void one_run_at_a_time(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, false, "");
    freshet_writer *first = simple.rig->writer;
    assert_int_equal(rig_open(simple.rig), FRESHET_TRY_AGAIN);
    assert_non_null(strstr(simple.rig->err.text, "another run writes to the history in"));
    assert_int_equal(simple.rig->err.then, FRESHET_STOP);
    rig_close(simple.rig);
    history_writer_ops.close(first);
    good(simple.rig, rig_open(simple.rig));
    rig_free(simple.rig);
}

static void names_of_partitions_are_taken(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", partition_by: [year]");
    rig_close(simple.rig);
    simple.fields[2].name = "Month";
    good(simple.rig, rig_open(simple.rig));
    rig_close(simple.rig);
    simple.fields[2].name = "Year";
    assert_int_equal(rig_open(simple.rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(simple.rig->err.text, "\"year\" has the name of a partition"));
    rig_free(simple.rig);
}

static void butterfrees_folders(void **state)
{
    (void)state;
    simple simple;
    make_simple(&simple, true, ", layout: butterfree");
    good(simple.rig, write_rows(simple.rig, 0, 1, NEW_YEAR_US, 1));
    good(simple.rig, publish(simple.rig));
    assert_string_equal(rig_files(simple.rig), "historical/thing/set/year=2024/month=1/day=1/"
                                               "part-0000000000000000-0000.parquet\n");
    rig_free(simple.rig);
}

static void wrong_partitions_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"[day]", "[year, day]", "[year, month, day, hour]", "week"};
    for (size_t i = 0; i < 4; i++) {
        char text[600];
        freshet_declaration *handle = NULL;
        freshet_error err;
        snprintf(text, sizeof text,
                 "version: 1\npipeline: p\nsource:\n  readers: [{id: r, file: {path: x, format: "
                 "json}}]\n  query: select 1\nfeature_set:\n  name: s\n"
                 "  keys: [{name: id, type: bigint}]\n  timestamp: {}\n"
                 "  features: [{name: x, type: double}]\nsink:\n  writers:\n"
                 "    - history: {path: h, partition_by: %s}\n",
                 wrong[i]);
        assert_int_equal(
            freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL, &handle, &err),
            FRESHET_BAD_DECLARATION);
        assert_non_null(strstr(err.text, "[year, month, day]"));
        assert_non_null(strstr(err.at, "p.yaml:13:"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(folders_are_named_by_day_without_zeros),
        cmocka_unit_test(arrival_order_is_kept_within_a_day),
        cmocka_unit_test(files_end_at_their_limit),
        cmocka_unit_test(memory_makes_files_too),
        cmocka_unit_test(files_are_merged_up_to_their_limit),
        cmocka_unit_test(corrections_are_written_where_wanted),
        cmocka_unit_test(a_batch_is_seen_at_its_end),
        cmocka_unit_test(a_batch_is_validated),
        cmocka_unit_test(a_batch_that_does_not_end_leaves_nothing),
        cmocka_unit_test(a_batch_replaces_the_partitions_it_has_rows_of),
        cmocka_unit_test(a_batch_replaces_all),
        cmocka_unit_test(a_batch_of_no_rows_replaces_nothing),
        cmocka_unit_test(a_stream_without_checkpoints_adds_at_each_flush),
        cmocka_unit_test(checkpoints_say_what_is_seen),
        cmocka_unit_test(after_a_crash_each_row_is_there_once),
        cmocka_unit_test(a_file_that_is_gone_is_said),
        cmocka_unit_test(an_older_state_is_refused),
        cmocka_unit_test(files_of_a_lost_state_are_not_written_over),
        cmocka_unit_test(one_run_at_a_time),
        cmocka_unit_test(names_of_partitions_are_taken),
        cmocka_unit_test(butterfrees_folders),
        cmocka_unit_test(wrong_partitions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
