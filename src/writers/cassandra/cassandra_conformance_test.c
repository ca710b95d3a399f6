/* cassandra_conformance_test.c - the online store's writer does what every writer must, on a
 * cluster that is an array. */
#include "writers/cassandra/cassandra.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_testing.h"
#include "writers/writer_conformance_testing.h"

static int countdown;
static bool stays_down;

static cql_code judge(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)values;
    (void)n_values;
    (void)in_flight;
    if (countdown == 0 || --countdown > 0)
        return CQL_OK;
    if (stays_down)
        countdown = 1;
    return CQL_PASSING;
}

static void *make(void)
{
    fake_begin();
    cql_load_instead(&fake_cql_api);
    return &fake;
}

static void free_cluster(void *self)
{
    (void)self;
    cql_load_instead(NULL);
    fake_end();
}

static const char *declare(void *self)
{
    (void)self;
    return "online: {cassandra: {host: 127.0.0.1, keyspace: ks}}";
}

static void read_cluster(void *self, freshet_writer *writer, seen_rows *out)
{
    (void)self;
    (void)writer;
    for (uint32_t id = 0; id < IDS; id++) {
        const fake_row *row = fake_row_of(id);
        if (row == NULL)
            continue;
        const int64_t bits = fake_bigint(row->bytes[2]);
        out->times[id] = 1; /* a key is there once by nature */
        memcpy(&out->x[id], &bits, sizeof bits);
    }
}

static void break_at(void *self, int nth)
{
    (void)self;
    countdown = abs(nth);
    stays_down = nth < 0;
    fake.judge = judge;
}

static writer_rig rig = {.ops = &cassandra_writer_ops,
                         .make = make,
                         .free = free_cluster,
                         .declare = declare,
                         .read = read_cluster,
                         .breaks = break_at};

WRITER_CONFORMANCE(rig)
