#!/usr/bin/env bash
#
# librdkafka 2.0.2: rd_kafka_send_offsets_to_transaction() takes a time-out in milliseconds, "maximum time allowed to block",
# and does not keep it where a broker is reachable and slow: the call blocks until the answer comes, whose own limit is
# socket.timeout.ms (which a transactional client sets near transaction.timeout.ms, a minute). rd_kafka_flush() of the same
# client, given the same time, keeps it. Whoever must stop within a second bounds socket.timeout.ms, not the call.
#
# Seen (Debian's librdkafka1 2.0.2-1, its mock cluster as the broker, whose answers take 6 s from some moment on):
#   flush, given 500 ms: kept; Local: Timed out
#   offsets to the transaction, given 500 ms: over 5 s

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
apt-get download --quiet=2 librdkafka1=2.0.2-1 librdkafka-dev=2.0.2-1 2>/dev/null
for package in *.deb; do dpkg-deb --extract "$package" kafka; done
cat >seen.c <<'C'
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static rd_kafka_t *client(const char *name, const char *value, const char *more, const char *its)
{
    char e[200];
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "log_level", "0", e, sizeof e);
    rd_kafka_conf_set(c, name, value, e, sizeof e);
    rd_kafka_conf_set(c, more, its, e, sizeof e);
    return rd_kafka_new(RD_KAFKA_PRODUCER, c, e, sizeof e);
}
static void must(const char *what, rd_kafka_error_t *e)
{
    if (e != NULL)
        printf("%s: %s\n", what, rd_kafka_error_string(e));
}
int main(void)
{
    rd_kafka_t *servers = client("test.mock.num.brokers", "1", "client.id", "servers");
    rd_kafka_mock_cluster_t *mock = rd_kafka_handle_mock_cluster(servers);
    rd_kafka_mock_topic_create(mock, "t", 1, 1);
    rd_kafka_t *p = client("bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock),
                           "transactional.id", "x");
    must("init", rd_kafka_init_transactions(p, 10000));
    must("begin", rd_kafka_begin_transaction(p));
    rd_kafka_producev(p, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("m", 1), RD_KAFKA_V_END);
    rd_kafka_flush(p, 10000);
    rd_kafka_mock_broker_set_rtt(mock, 1, 6000);
    rd_kafka_producev(p, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("m", 1), RD_KAFKA_V_END);
    double began = now();
    rd_kafka_resp_err_t flushed = rd_kafka_flush(p, 500);
    printf("flush, given 500 ms: %s; %s\n", now() - began < 2 ? "kept" : "not kept",
           rd_kafka_err2str(flushed));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", 0)->offset = 1;
    began = now();
    rd_kafka_send_offsets_to_transaction(p, list, rd_kafka_consumer_group_metadata_new("g"), 500);
    printf("offsets to the transaction, given 500 ms: %s\n",
           now() - began > 5 ? "over 5 s" : now() - began < 2 ? "kept" : "not kept");
    fflush(stdout);
    _exit(0);
}
C
lib=$(dirname "$(find kafka -name 'librdkafka.so.1')")
gcc -I kafka/usr/include seen.c -o seen -L"$lib" -l:librdkafka.so.1 -Wl,--allow-shlib-undefined
LD_LIBRARY_PATH="$lib" timeout 120 ./seen >seen.txt
cat seen.txt
diff - seen.txt <<'EXPECTED'
flush, given 500 ms: kept; Local: Timed out
offsets to the transaction, given 500 ms: over 5 s
EXPECTED
