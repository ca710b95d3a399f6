/* When rows become visible in Cassandra, for bench/cassandra_latency.py.
 *
 *   cassandra_watch HOST:PORT TABLE EVENTS EACH SECONDS TIMES
 *
 * Rows have the keys 0, 1, 2, ... to EVENTS - 1 in a column `id`, and come about in that order.
 * Every EACH-th is looked for: each question is one prepared SELECT ... WHERE id IN ? for the next
 * few that have not been seen, and what is in an answer was visible when the answer came. Where all
 * that was asked for is there, more is asked for at once (the rows are ahead of us); otherwise two,
 * after PAUSE_US. The time of each, in microseconds since 1970, goes into the file TIMES, a line
 * each. Rows that have not come SECONDS after the start are an error. Prints how many questions it
 * took, as JSON. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/os.h"
#include "writers/cassandra/cql_load.h"

enum { ASK_FIRST = 2, ASK_MAX = 64, PAUSE_US = 500, CQL_BYTES_MAX = 256 };

typedef struct watch {
    const cql_api *api;
    cql_session *session;
    cql_statement *select;
    long n; /* rows to be seen */
    long each;
    long first; /* all before it have been seen */
    int64_t *seen_us;
    long questions;
} watch;

static void die(const char *why)
{
    fprintf(stderr, "cassandra_watch: %s\n", why);
    exit(1);
}

static size_t put_int(unsigned char *into, uint32_t number)
{
    number = htobe32(number);
    memcpy(into, &number, sizeof number);
    return sizeof number;
}

static size_t put_bigint(unsigned char *into, uint64_t number)
{
    number = htobe64(number);
    memcpy(into, &number, sizeof number);
    return sizeof number;
}

/* The value of `IN ?`, a list<bigint>: the next rows that have not been seen; how many. */
static uint32_t choose(const watch *watch, uint32_t most, unsigned char *into, size_t *length)
{
    uint32_t n = 0;
    size_t at = 4;
    for (long i = watch->first; i < watch->n && n < most; i++) {
        if (watch->seen_us[i] != 0)
            continue;
        at += put_int(into + at, 8);
        at += put_bigint(into + at, (uint64_t)(i * watch->each));
        n++;
    }
    put_int(into, n);
    *length = at;
    return n;
}

/* How many of those asked for are there. */
static uint32_t ask(watch *watch, uint32_t most, uint32_t *asked)
{
    static unsigned char list[4 + ASK_MAX * 12];
    char text[CQL_TEXT_MAX];
    cql_rows *rows;
    size_t length;
    *asked = choose(watch, most, list, &length);
    const cql_value value = {.bytes = list, .length = (int32_t)length};
    if (watch->api->query(watch->session, NULL, watch->select, &value, 1, &rows, text) != CQL_OK)
        die(text);
    const int64_t now_us = os.now_us();
    const uint32_t n = watch->api->rows_count(rows);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id;
        memcpy(&id, watch->api->rows_value(rows, i, 0).bytes, sizeof id);
        watch->seen_us[be64toh(id) / (uint64_t)watch->each] = now_us;
    }
    watch->api->rows_free(rows);
    while (watch->first < watch->n && watch->seen_us[watch->first] != 0)
        watch->first++;
    watch->questions++;
    return n;
}

static void look_for_all(watch *watch, long seconds)
{
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000L};
    const int64_t end_us = os.monotonic_us() + seconds * INT64_C(1000000);
    uint32_t most = ASK_FIRST, asked;
    while (watch->first < watch->n) {
        const uint32_t found = ask(watch, most, &asked);
        if (os.monotonic_us() > end_us)
            die("not all rows came in time");
        if (found == asked) {
            most = most * 2 < ASK_MAX ? most * 2 : ASK_MAX;
            continue;
        }
        most = ASK_FIRST;
        nanosleep(&pause, NULL);
    }
}

static void save(const watch *watch, const char *path)
{
    FILE *file = fopen(path, "w");
    for (long i = 0; file != NULL && i < watch->n; i++)
        fprintf(file, "%" PRId64 "\n", watch->seen_us[i]);
    if (file == NULL || fclose(file) != 0)
        die("the times cannot be written");
}

static void connect_to(watch *watch, const char *host, const char *table)
{
    const cql_options options = {
        .hosts = host, .connect_timeout_ms = 10000, .request_timeout_ms = 10000};
    char text[CQL_TEXT_MAX], cql[CQL_BYTES_MAX];
    freshet_error err;
    if (cql_load(&watch->api, &err) != FRESHET_OK)
        die(err.text);
    if (watch->api->connect(&options, &watch->session, text) != CQL_OK)
        die(text);
    snprintf(cql, sizeof cql, "SELECT id FROM %.100s WHERE id IN ?", table);
    if (watch->api->prepare(watch->session, cql, CQL_LOCAL_ONE, &watch->select, text) != CQL_OK)
        die(text);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: cassandra_watch HOST:PORT TABLE EVENTS EACH SECONDS TIMES\n");
        return 2;
    }
    watch watch = {.each = strtol(argv[4], NULL, 10)};
    if (watch.each < 1)
        die("EACH is 1 or more");
    watch.n = (strtol(argv[3], NULL, 10) + watch.each - 1) / watch.each;
    watch.seen_us = calloc((size_t)watch.n + 1, sizeof(int64_t));
    if (watch.seen_us == NULL)
        die("out of memory");
    connect_to(&watch, argv[1], argv[2]);
    puts("READY");
    fflush(stdout);
    look_for_all(&watch, strtol(argv[5], NULL, 10));
    save(&watch, argv[6]);
    printf("{\"questions\": %ld}\n", watch.questions);
    watch.api->release(watch.select);
    watch.api->close(watch.session);
    free(watch.seen_us);
    return 0;
}
