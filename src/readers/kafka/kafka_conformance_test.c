/* kafka_conformance_test.c - a topic of librdkafka's mock cluster as readers must be. */
#include "readers/kafka/kafka_testing.h"

#include "readers/reader_conformance_testing.h"

static rig *make_topic(void)
{
    rig *rig = rig_make(1, 1);

    rig->mode = READ_ALL;
    rig_schema(rig, &rig->options.value, "id: bigint, text: string");
    for (int i = 0; i < 10; i++) {
        char value[64];
        snprintf(value, sizeof value, i == 4 ? "bad" : "{\"id\":%d,\"text\":\"text of row %d\"}", i,
                 i);
        rig_produce(rig, "orders", 0, "k", value);
    }
    rig_flush(rig);
    return rig;
}

/* A fetch fails, after some that do not. */
static void fault(rig *rig, unsigned k)
{
    enum { FETCH = 1 }; /* of Kafka's protocol */

    rd_kafka_mock_push_request_errors(rig->cluster, FETCH, 2,
                                      k % 2 == 0 ? RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
                                                 : RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_UNKNOWN);
}

static const conformance kafka = {.name = "kafka",
                                  .n_rows = 10,
                                  .make = make_topic,
                                  .free = rig_free,
                                  .fault = fault,
                                  .fault_passes = true};

int main(void)
{
    const struct CMUnitTest tests[] = {READER_CONFORMANCE(kafka)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
