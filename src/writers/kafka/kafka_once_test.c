/* kafka_once_test.c - the writer `kafka`, exactly once: brokers that are away or refuse, files that
 * are damaged, rows that are too large. */
#include "writers/kafka/kafka_rows.h"
#include "writers/kafka/kafka_writer_testing.h"

/* What needs a marker that is kept is in kafka_marker_test.c. */

static const char *more_options = "";

static const char *declare(void *self)
{
    return kafka_place_declare(self, more_options);
}

static writer_rig rig = {.ops = &kafka_once_writer_ops,
                         .make = kafka_place_make,
                         .free = kafka_place_free,
                         .declare = declare,
                         .read = kafka_place_read_rows};

static void files_go_when_they_are_sent(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_list(&trial);
    assert_int_equal(kafka_place_files(kafka_place_of(&trial), false), 1);
    assert_int_equal(trial.listed.n, 1);
    assert_int_equal(trial.listed.n_rows, 5);
    assert_int_equal(writer_counted(trial.writer, WRITER_WRITTEN), 0);
    trial_expect(&trial, 0, 5, 0, 0);
    trial_must(&trial, kafka_publish_once(&trial));
    trial_must(&trial, kafka_publish_once(&trial)); /* again: there already */
    assert_int_equal(kafka_place_files(kafka_place_of(&trial), false), 0);
    assert_int_equal(writer_counted(trial.writer, WRITER_WRITTEN), 5);
    trial_expect(&trial, 0, 5, 1, 1);
    trial_end(&trial);
}

/* The brokers go away: nothing more is taken; they come back, and each row is there once. */
static void brokers_are_away(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_checkpoint(&trial);
    trial_write(&trial, 5, 5, 0, 1);
    trial_list(&trial);
    rd_kafka_mock_broker_set_down(kafka_place_of(&trial)->cluster, 1);
    assert_int_equal(kafka_publish_once(&trial), FRESHET_TRY_AGAIN);
    assert_int_equal(trial.err.then, FRESHET_RETRY);
    assert_int_equal(trial_write_once(&trial, 10, 5, 0, 2), FRESHET_TRY_AGAIN);
    assert_int_equal(trial.err.then, FRESHET_RETRY);
    assert_non_null(kafka_once_writer_ops.trouble(trial.writer));
    rd_kafka_mock_broker_set_up(kafka_place_of(&trial)->cluster, 1);
    trial_write(&trial, 10, 5, 0, 2);
    assert_null(kafka_once_writer_ops.trouble(trial.writer));
    trial_checkpoint(&trial);
    trial_expect(&trial, 0, 15, 1, 1);
    trial_end(&trial);
}

/* A stream that begins while they are away takes up what waits as soon as they are there. */
static void brokers_are_away_at_the_start(void **state)
{
    trial trial;
    const patience wait = patience_of(KAFKA_TEST_WAIT_S);
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_list(&trial);
    trial_kill(&trial);
    rd_kafka_mock_broker_set_down(kafka_place_of(&trial)->cluster, 1);
    trial_start(&trial);
    assert_non_null(kafka_once_writer_ops.trouble(trial.writer));
    rd_kafka_mock_broker_set_up(kafka_place_of(&trial)->cluster, 1);
    while (kafka_place_files(kafka_place_of(&trial), false) > 0 && patience_lasts(&wait))
        trial_must(&trial, kafka_once_writer_ops.progress(trial.writer, &trial.err));
    trial_expect(&trial, 0, 5, 1, 1);
    trial_end(&trial);
}

/* How long the client waits for the answer to a request. */
static void expect_patience(const char *options, const char *expected)
{
    trial trial;
    char text[24];
    size_t size = sizeof text;
    more_options = options;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_checkpoint(&trial);
    const rd_kafka_t *client = ((kafka_rows *)trial.writer)->producer.client;
    assert_int_equal(
        rd_kafka_conf_get(rd_kafka_conf((rd_kafka_t *)client), "socket.timeout.ms", text, &size),
        RD_KAFKA_CONF_OK);
    assert_string_equal(text, expected);
    trial_end(&trial);
    more_options = "";
}

static void requests_are_waited_for_a_while(void **state)
{
    (void)state;
    expect_patience("", "59000");
    expect_patience(", options: {transaction.timeout.ms: 10000}", "9900");
    expect_patience(", options: {socket.timeout.ms: 30000}", "30000");
}

/* The coordinator is silent where it is told how far it is written: librdkafka's call for that goes
 * by the time of requests, whatever time it is given. */
static void a_coordinator_that_is_silent(void **state)
{
    trial trial;
    const int64_t limit_us = patient_us(20000000);
    (void)state;
    more_options = ", options: {socket.timeout.ms: 2000}";
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_list(&trial);
    rd_kafka_mock_broker_push_request_error_rtts(kafka_place_of(&trial)->cluster, 1, 25, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 45000);
    const int64_t began_us = patience_clock_us();
    assert_int_equal(kafka_publish_once(&trial), FRESHET_TRY_AGAIN);
    assert_int_equal(trial.err.then, FRESHET_RETRY);
    assert_true(patience_clock_us() - began_us < limit_us);
    trial_write(&trial, 5, 5, 0, 2);
    trial_checkpoint(&trial);
    trial_expect(&trial, 0, 10, 1, UINT32_MAX); /* the mock shows what was aborted, too */
    trial_end(&trial);
    more_options = "";
}

/* Errors that pass, of each request of a transaction in turn. */
static void requests_fail_and_pass(void **state)
{
    static const struct {
        int16_t request;
        rd_kafka_resp_err_t problem;
    } cases[] = {
        {0, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},      /* Produce */
        {22, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},              /* InitProducerId */
        {24, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS}, /* AddPartitionsToTxn */
        {24, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS},
        {25, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},              /* AddOffsetsToTxn */
        {28, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS}, /* TxnOffsetCommit */
        {26, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},              /* EndTxn */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trial trial;
        trial_begin(&trial, &rig);
        rd_kafka_mock_push_request_errors(kafka_place_of(&trial)->cluster, cases[i].request, 2,
                                          cases[i].problem, cases[i].problem);
        trial_write(&trial, 0, 5, 0, 1);
        trial_checkpoint(&trial);
        trial_expect(&trial, 0, 5, 1, UINT32_MAX);
        trial_end(&trial);
    }
}

static void refused_for_good(void **state)
{
    static const struct {
        int16_t request;
        rd_kafka_resp_err_t problem;
        const char *said;
    } cases[] = {
        {22, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactional id"},
        {24, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "grant"},
        {28, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "grant"},
        {0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "max_message_bytes"},
        {22, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, "transaction.timeout.ms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trial trial;
        int tries = 0;
        trial_begin(&trial, &rig);
        rd_kafka_mock_push_request_errors(kafka_place_of(&trial)->cluster, cases[i].request, 4,
                                          cases[i].problem, cases[i].problem, cases[i].problem,
                                          cases[i].problem);
        trial_write(&trial, 0, 5, 0, 1);
        trial_list(&trial);
        while (kafka_publish_once(&trial) == FRESHET_TRY_AGAIN && ++tries < 20)
            ;
        if (trial.err.then != FRESHET_STOP || strstr(trial.err.text, cases[i].said) == NULL)
            fail_msg("%zu: %s", i, trial.err.text);
        trial_end(&trial);
    }
}

/* Cut at each length, or with a byte that is another: nothing of it is sent. */
static void a_file_that_is_damaged(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        trial trial;
        char path[600];
        trial_begin(&trial, &rig);
        trial_write(&trial, 0, 5, 0, 1);
        trial_checkpoint(&trial);
        trial_write(&trial, 5, 5, 0, 1);
        trial_list(&trial);
        snprintf(path, sizeof path, "%s/%s", kafka_place_of(&trial)->folder, trial.listed.paths[0]);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        if (how == 0) {
            assert_int_equal(fseek(file, 20, SEEK_SET), 0);
            fputc('!', file);
        } else {
            assert_int_equal(ftruncate(fileno(file), how == 1 ? 40 : 0), 0);
        }
        fclose(file);
        assert_int_equal(kafka_publish_once(&trial), FRESHET_FAILED);
        assert_non_null(strstr(trial.err.text, "is not what was written"));
        trial_end(&trial);
    }
}

static uint32_t n_refused;

static freshet_code count_refused(void *context, const char *raw, size_t raw_length,
                                  reason_code code, const char *reason, freshet_error *err)
{
    (void)context;
    (void)err;
    assert_int_equal(code, REASON_TOO_LARGE);
    assert_int_equal(raw[0], '{');
    assert_int_equal(raw[raw_length - 1], '}');
    assert_non_null(strstr(reason, "max_message_bytes"));
    n_refused++;
    return FRESHET_OK;
}

static void a_row_that_is_too_large(void **state)
{
    trial trial;
    (void)state;
    n_refused = 0;
    trial_begin(&trial, &rig);
    trial.writer->refuse = count_refused;
    ((kafka_rows *)trial.writer)->bytes_max = 57; /* less than the option allows: rows are short */
    trial_write(&trial, 0, 12, 0, 1);
    trial_checkpoint(&trial);
    assert_int_equal(n_refused, 2); /* the ids 10 and 11 */
    assert_int_equal(writer_counted(trial.writer, WRITER_REFUSED), 2);
    assert_int_equal(writer_counted(trial.writer, WRITER_WRITTEN), 10);
    trial_expect(&trial, 0, 10, 1, 1);
    trial_expect(&trial, 10, 2, 0, 0);
    trial_end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_go_when_they_are_sent),
        cmocka_unit_test(brokers_are_away),
        cmocka_unit_test(brokers_are_away_at_the_start),
        cmocka_unit_test(requests_are_waited_for_a_while),
        cmocka_unit_test(a_coordinator_that_is_silent),
        cmocka_unit_test(requests_fail_and_pass),
        cmocka_unit_test(refused_for_good),
        cmocka_unit_test(a_file_that_is_damaged),
        cmocka_unit_test(a_row_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
