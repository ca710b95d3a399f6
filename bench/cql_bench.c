/* Rows a second into a real Cassandra through the adapter alone, and our CPU for each.
 *
 *   cql_bench HOST:PORT [SECONDS [ROWS-OF-A-GROUP [GROUPS-IN-FLIGHT]]]      (10, 64, 16)
 *
 * Once as single requests and once as batches of one partition: a table of a bigint key, four
 * doubles and a text. User and password: CASSANDRA_USERNAME, CASSANDRA_PASSWORD. A server that has
 * just started is slow until its compiler has seen some 800,000 rows: the last of the lines
 * counts. */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/os.h"
#include "writers/cassandra/cql_load.h"

enum { COLUMNS = 7, GROUP_MAX = 4096, LINE_S = 2 };

typedef struct run {
    const cql_api *api;
    cql_session *session;
    cql_statement *insert;
    uint32_t group_rows;
    uint32_t groups_max;
    bool as_batch;
    uint64_t tag;
    uint64_t rows;
    uint64_t failed;
    uint32_t groups;
    uint64_t numbers[GROUP_MAX * COLUMNS];
    cql_value values[GROUP_MAX * COLUMNS];
} run;

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void submit(run *run)
{
    static const char word[] = "a category";
    for (uint32_t i = 0; i < run->group_rows; i++) {
        uint64_t *number = &run->numbers[(size_t)i * COLUMNS];
        cql_value *value = &run->values[(size_t)i * COLUMNS];
        for (uint32_t c = 0; c < COLUMNS; c++) {
            double amount = (double)run->tag + c;
            memcpy(&number[c], &amount, sizeof amount);
            number[c] = c == 0
                            ? (run->as_batch ? run->tag : run->tag * run->group_rows + i) % 500000
                        : c == 1 ? i
                                 : number[c];
            number[c] = htobe64(number[c]);
            value[c] = (cql_value){(const unsigned char *)&number[c], sizeof number[c]};
        }
        value[COLUMNS - 1] = (cql_value){(const unsigned char *)word, sizeof word - 1};
    }
    if (run->api->submit(run->session, run->insert, run->values, COLUMNS, run->group_rows,
                         run->as_batch, run->tag) != CQL_OK) {
        fprintf(stderr, "cql_bench: a group is refused\n");
        exit(1);
    }
    run->tag++;
    run->groups++;
}

static void take(run *run)
{
    static cql_completion done[64];
    struct pollfd fd = {.fd = run->api->fd(run->session), .events = POLLIN};
    poll(&fd, 1, 1000);
    uint32_t n;
    while ((n = run->api->completions(run->session, done, 64)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (done[i].row == CQL_GROUP) {
                run->groups--;
                run->rows += run->group_rows;
            } else if (run->failed++ == 0) {
                fprintf(stderr, "cql_bench: %s\n", done[i].text);
            }
        }
    }
}

static void measure(run *run, int seconds)
{
    int64_t end_us = os.monotonic_us() + (int64_t)seconds * 1000000;
    while (os.monotonic_us() < end_us) {
        int64_t from_us = os.monotonic_us();
        double cpu = cpu_s();
        uint64_t rows = run->rows;
        while (os.monotonic_us() < from_us + LINE_S * 1000000) {
            while (run->groups < run->groups_max) {
                submit(run);
            }
            take(run);
        }
        rows = run->rows - rows;
        printf("%s of %u: %8.0f rows/s, %5.2f us of CPU a row, %lu failed\n",
               run->as_batch ? "batches" : "singles", run->group_rows,
               (double)rows * 1e6 / (double)(os.monotonic_us() - from_us),
               (cpu_s() - cpu) * 1e6 / (double)(rows == 0 ? 1 : rows), (unsigned long)run->failed);
    }
    while (run->groups > 0) {
        take(run);
    }
}

static void ddl(run *run, const char *cql)
{
    char text[CQL_TEXT_MAX];
    cql_rows *rows;
    if (run->api->query(run->session, cql, NULL, NULL, 0, &rows, text) != CQL_OK) {
        fprintf(stderr, "cql_bench: %s\n", text);
        exit(1);
    }
    run->api->rows_free(rows);
}

static int number(int argc, char **argv, int at, int otherwise, int most)
{
    int n = argc > at ? (int)strtol(argv[at], NULL, 10) : otherwise;
    return n < 1 ? 1 : n > most ? most : n;
}

int main(int argc, char **argv)
{
    static run run;
    freshet_error err;
    char text[CQL_TEXT_MAX];
    if (argc < 2 || cql_load(&run.api, &err) != FRESHET_OK) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: cql_bench HOST:PORT [...]" : err.text);
        return 1;
    }
    run.group_rows = (uint32_t)number(argc, argv, 3, 64, GROUP_MAX);
    run.groups_max = (uint32_t)number(argc, argv, 4, 16, 1024);
    cql_options options = {.hosts = argv[1],
                           .user = getenv("CASSANDRA_USERNAME"),
                           .password = getenv("CASSANDRA_PASSWORD"),
                           .connect_timeout_ms = 10000,
                           .request_timeout_ms = 10000};
    if (run.api->connect(&options, &run.session, text) != CQL_OK) {
        fprintf(stderr, "cql_bench: %s\n", text);
        return 1;
    }
    ddl(&run, "CREATE KEYSPACE IF NOT EXISTS cql_bench WITH replication = "
              "{'class': 'SimpleStrategy', 'replication_factor': 1}");
    ddl(&run,
        "CREATE TABLE IF NOT EXISTS cql_bench.rows (id bigint, part bigint, a double, b double, "
        "c double, d double, word text, PRIMARY KEY (id, part))");
    run.api->await_schema(run.session, text);
    if (run.api->prepare(
            run.session,
            "INSERT INTO cql_bench.rows (id, part, a, b, c, d, word) VALUES (?, ?, ?, ?, ?, ?, ?)",
            CQL_LOCAL_QUORUM, &run.insert, text) != CQL_OK) {
        fprintf(stderr, "cql_bench: %s\n", text);
        return 1;
    }
    for (int as_batch = 0; as_batch < 2; as_batch++) {
        run.as_batch = as_batch == 1;
        measure(&run, number(argc, argv, 2, 10, 3600));
    }
    ddl(&run, "DROP KEYSPACE cql_bench");
    run.api->release(run.insert);
    run.api->close(run.session);
    return 0;
}
