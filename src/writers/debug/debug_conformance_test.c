/* debug_conformance_test.c - the debug table does what every writer must. */
#include "writers/debug/debug_writer.h"
#include "writers/writer_conformance_testing.h"

static void *make(void)
{
    return NULL;
}

static void free_nothing(void *self)
{
    (void)self;
}

static const char *declare(void *self)
{
    (void)self;
    return "online: {debug: true}";
}

static void read_table(void *self, freshet_writer *writer, seen_rows *out)
{
    freshet_result *result = NULL;
    freshet_error err;
    (void)self;
    if (writer->ops->query(writer, "select id, x from online_feature_store__demo", NULL, &result,
                           &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    while (freshet_result_next(result, NULL) == FRESHET_OK) {
        const int64_t id = freshet_result_int64(result, 0);
        assert_in_range(id, 0, IDS - 1);
        out->times[id]++;
        out->x[id] = freshet_result_double(result, 1);
    }
    freshet_result_close(result);
    uint64_t rows = 0;
    for (uint32_t id = 0; id < IDS; id++)
        rows += out->times[id];
    assert_int_equal(writer->ops->figure(writer, FRESHET_TABLE_ROWS), rows);
}

static writer_rig rig = {.ops = &debug_writer_ops,
                         .make = make,
                         .free = free_nothing,
                         .declare = declare,
                         .read = read_table};

WRITER_CONFORMANCE(rig)
