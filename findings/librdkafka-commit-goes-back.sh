#!/usr/bin/env bash
#
# librdkafka 2.0.2: the offset of a consumer group goes back, and stays there, though every commit was made in order, by one
# thread, and every one is told to have succeeded. A commit that the coordinator refuses for the moment (COORDINATOR_LOAD_IN_PROGRESS,
# as just after a broker's restart) is sent again by librdkafka after retry.backoff.ms, by then behind later ones, which it undoes.
# Whoever commits without waiting (`async`) and goes by the group's offsets after a restart reads messages twice; a tool that
# watches the group sees a lag that is none, until the next commit: for a topic that is silent from then on, for ever.
#
# Seen (Debian's librdkafka1 2.0.2-1, its mock cluster as the broker):
#   commit of offset 1: NO_ERROR
#   commit of offset 10: NO_ERROR
#   commit of offset 5: NO_ERROR
#   the last commit was of offset 10; the group is at 5

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
apt-get download --quiet=2 librdkafka1=2.0.2-1 librdkafka-dev=2.0.2-1 2>/dev/null
for package in *.deb; do dpkg-deb --extract "$package" kafka; done
cat >seen.c <<'C'
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
static void done(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *o, void *x)
{
    (void)rk; (void)x;
    printf("commit of offset %lld: %s\n", (long long)o->elems[0].offset, rd_kafka_err2name(err));
}
int main(void)
{
    char e[200];
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "test.mock.num.brokers", "1", e, sizeof e);
    rd_kafka_conf_set(c, "log_level", "0", e, sizeof e);
    rd_kafka_t *p = rd_kafka_new(RD_KAFKA_PRODUCER, c, e, sizeof e);
    rd_kafka_mock_cluster_t *m = rd_kafka_handle_mock_cluster(p);
    rd_kafka_mock_topic_create(m, "t", 1, 1);
    c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(m), e, sizeof e);
    rd_kafka_conf_set(c, "group.id", "g", e, sizeof e);
    rd_kafka_conf_set_offset_commit_cb(c, done);
    rd_kafka_t *k = rd_kafka_new(RD_KAFKA_CONSUMER, c, e, sizeof e);
    rd_kafka_topic_partition_list_t *o = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(o, "t", 0);
    one->offset = 1;
    rd_kafka_commit(k, o, 0); /* the coordinator is known now */
    rd_kafka_mock_push_request_errors(m, 8 /* OffsetCommit */, 1, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    for (int offset = 5; offset <= 10; offset += 5) {
        one->offset = offset;
        rd_kafka_commit(k, o, 1);
    }
    for (int i = 0; i < 20; i++)
        rd_kafka_poll(k, 100);
    rd_kafka_committed(k, o, 10000);
    printf("the last commit was of offset 10; the group is at %lld\n", (long long)one->offset);
    return 0;
}
C
lib=$(echo "$PWD"/kafka/usr/lib/*)
gcc -I kafka/usr/include -o seen seen.c "$lib/librdkafka.so.1" "-Wl,-rpath,$lib"
./seen | tee seen.txt
grep -q "the group is at 5" seen.txt
