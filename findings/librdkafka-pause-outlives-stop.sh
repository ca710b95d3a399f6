#!/usr/bin/env bash
#
# librdkafka 2.0.2: a partition that was paused is still paused when its consumer is stopped and started again, at whatever
# offset. rd_kafka_consume_stop() throws away what was fetched and the position, so a start behind it looks like a new
# beginning, and every call succeeds; but not one message comes, nor an error, nor the partition's end that was asked for. No
# call says that a partition is paused. Whoever stops a partition that he had paused, say to read it again from an offset
# after an error, must resume it by hand.
#
# Seen (Debian's librdkafka1 2.0.2-1, its mock cluster as the broker, 3 messages in the partition):
#   started at 0: 3 messages
#   paused, stopped, started at 0: NO_ERROR, 0 messages and 0 others within 5 s
#   resumed: 3 messages

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
apt-get download --quiet=2 librdkafka1=2.0.2-1 librdkafka-dev=2.0.2-1 2>/dev/null
for package in *.deb; do dpkg-deb --extract "$package" kafka; done
cat >seen.c <<'C'
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
static rd_kafka_topic_t *topic;
static int n_others; /* errors, and the partition's end */
static int read_all(int most_tries)
{
    int n = 0;
    for (int i = 0; i < most_tries && n < 3; i++) {
        rd_kafka_message_t *m = rd_kafka_consume(topic, 0, 100);
        n += m != NULL && m->err == 0;
        n_others += m != NULL && m->err != 0;
        if (m != NULL)
            rd_kafka_message_destroy(m);
    }
    return n;
}
int main(void)
{
    char e[200];
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "test.mock.num.brokers", "1", e, sizeof e);
    rd_kafka_conf_set(c, "log_level", "0", e, sizeof e);
    rd_kafka_t *p = rd_kafka_new(RD_KAFKA_PRODUCER, c, e, sizeof e);
    rd_kafka_mock_cluster_t *mock = rd_kafka_handle_mock_cluster(p);
    rd_kafka_mock_topic_create(mock, "t", 1, 1);
    for (int i = 0; i < 3; i++)
        rd_kafka_producev(p, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("m", 1), RD_KAFKA_V_END);
    rd_kafka_flush(p, 10000);
    c = rd_kafka_conf_new();
    rd_kafka_conf_set(c, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock), e, sizeof e);
    rd_kafka_conf_set(c, "enable.partition.eof", "true", e, sizeof e);
    rd_kafka_t *k = rd_kafka_new(RD_KAFKA_CONSUMER, c, e, sizeof e);
    topic = rd_kafka_topic_new(k, "t", NULL);
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(l, "t", 0);
    rd_kafka_consume_start(topic, 0, 0);
    printf("started at 0: %d messages\n", read_all(100));
    rd_kafka_pause_partitions(k, l);
    rd_kafka_consume_stop(topic, 0);
    int failed = rd_kafka_consume_start(topic, 0, 0);
    rd_kafka_resp_err_t err = failed ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR;
    n_others = 0;
    const int n = read_all(50);
    printf("paused, stopped, started at 0: %s, %d messages and %d others within 5 s\n", rd_kafka_err2name(err), n, n_others);
    rd_kafka_resume_partitions(k, l);
    printf("resumed: %d messages\n", read_all(100));
    return 0;
}
C
lib=$(echo "$PWD"/kafka/usr/lib/*)
gcc -I kafka/usr/include -o seen seen.c "$lib/librdkafka.so.1" "-Wl,-rpath,$lib"
./seen | tee seen.txt
diff - seen.txt <<'SEEN'
started at 0: 3 messages
paused, stopped, started at 0: NO_ERROR, 0 messages and 0 others within 5 s
resumed: 3 messages
SEEN
