/* needs: kafka */
/* kafka_marker_test.c - the writer `kafka`, exactly once, and what the brokers keep of it: a marker
 * of how far the topic is written. librdkafka's mock cluster keeps none, so this is a real one. */
#include "writers/kafka/kafka_writer_testing.h"

static const char *declare(void *self)
{
    return kafka_place_declare(self, "");
}

static writer_rig rig = {.ops = &kafka_once_writer_ops,
                         .make = kafka_place_make_real,
                         .free = kafka_place_free,
                         .declare = declare,
                         .read = kafka_place_read_rows};

/* A second run with the same transactional id: the first may send nothing more. */
static void another_run_takes_its_place(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_checkpoint(&trial);
    trial_write(&trial, 5, 5, 0, 2);
    trial_list(&trial);
    freshet_writer *first = trial.writer;
    char path[600], copy[600]; /* its folder is another one */
    snprintf(path, sizeof path, "%s/%s", kafka_place_of(&trial)->folder, trial.listed.paths[0]);
    snprintf(copy, sizeof copy, "%s/copy", kafka_place_of(&trial)->folder);
    assert_int_equal(link(path, copy), 0);
    const writer_files listed = trial.listed;
    trial.listed = (writer_files){0}; /* a state of its own */
    trial.checkpoint = 0;
    trial_start(&trial);
    assert_int_equal(rename(copy, path), 0);
    trial_write(&trial, 20, 5, 0, 3);
    trial_checkpoint(&trial);
    freshet_code code = FRESHET_TRY_AGAIN;
    freshet_error err = {0};
    const patience wait = patience_of(KAFKA_TEST_WAIT_S);
    while (code == FRESHET_TRY_AGAIN && patience_lasts(&wait))
        code = kafka_once_writer_ops.publish(first, &listed, &err);
    assert_int_equal(code, FRESHET_BAD_DECLARATION);
    assert_int_equal(err.then, FRESHET_STOP);
    assert_non_null(strstr(err.text, "has taken the place of this one"));
    kafka_once_writer_ops.close(first);
    trial_expect(&trial, 0, 5, 1, 1);
    trial_expect(&trial, 20, 5, 1, 1);
    trial_end(&trial);
}

/* The state was put back from a copy: its rows would be sent again. */
static void an_old_state_is_refused(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_checkpoint(&trial);
    const char *newest = trial.newest;
    trial_write(&trial, 5, 5, 0, 1);
    trial_checkpoint(&trial);
    trial_kill(&trial);
    trial.checkpoint = 1;
    trial.listed = (writer_files){.newest = newest, .shown_checkpoint = 1};
    trial_start(&trial);
    trial_write(&trial, 5, 5, 0, 1);
    trial.checkpoint = 1;
    freshet_code code = FRESHET_OK;
    const patience wait = patience_of(KAFKA_TEST_WAIT_S);
    while (code == FRESHET_OK && patience_lasts(&wait))
        code = kafka_once_writer_ops.progress(trial.writer, &trial.err);
    assert_int_equal(code, FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(trial.err.text, "up to checkpoint 2"));
    trial_end(&trial);
}

static void a_file_that_is_gone(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig);
    trial_write(&trial, 0, 5, 0, 1);
    trial_checkpoint(&trial);
    trial_write(&trial, 5, 5, 0, 1);
    trial_list(&trial);
    trial_kill(&trial);
    kafka_place_files(kafka_place_of(&trial), true);
    trial_start(&trial);
    freshet_code code = FRESHET_OK;
    const patience wait = patience_of(KAFKA_TEST_WAIT_S);
    while (code == FRESHET_OK && patience_lasts(&wait))
        code = kafka_once_writer_ops.progress(trial.writer, &trial.err);
    assert_int_equal(code, FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(trial.err.text, "in a file that is not there"));
    trial_end(&trial);
}

/* Sent, and killed before the checkpoint behind it: the file may be there still, or not. */
static void a_file_that_was_sent(void **state)
{
    (void)state;
    for (int is_there = 0; is_there < 2; is_there++) {
        trial trial;
        char path[600], copy[600];
        trial_begin(&trial, &rig);
        trial_write(&trial, 0, 5, 0, 1);
        trial_list(&trial);
        snprintf(path, sizeof path, "%s/%s", kafka_place_of(&trial)->folder, trial.listed.paths[0]);
        snprintf(copy, sizeof copy, "%s/copy", kafka_place_of(&trial)->folder);
        assert_int_equal(link(path, copy), 0);
        trial_must(&trial, kafka_publish_once(&trial));
        trial_kill(&trial);
        if (is_there)
            assert_int_equal(rename(copy, path), 0);
        trial_start(&trial);
        trial_write(&trial, 5, 5, 0, 1);
        trial_checkpoint(&trial);
        trial_expect(&trial, 0, 10, 1, 1);
        trial_end(&trial);
    }
}

static const char *declare_validated(void *self)
{
    kafka_place *place = self;
    static const char more[] = ", validate: true}";
    const size_t n = strlen(kafka_place_declare(place, ""));
    assert_true(n + 1 + sizeof more < sizeof place->declared);
    memmove(place->declared + 1, place->declared, n);
    place->declared[0] = '{';
    memcpy(place->declared + 1 + n, more, sizeof more);
    return place->declared;
}

/* What is there since the run began, and is committed: others' messages are counted, too. */
static void validated_by_reading_back(void **state)
{
    trial trial;
    (void)state;
    trial_begin(&trial, &rig); /* of a run before */
    trial_write(&trial, 0, 9, 0, 1);
    trial_checkpoint(&trial);
    freshet_declaration_close(trial.handle);
    const char *text = arena_format(
        trial.arena,
        "version: 1\npipeline: p\nsource:\n  readers: [{id: r, file: {path: x, format: json}}]\n"
        "  query: select * from r\nfeature_set:\n  name: demo\n  entity: thing\n  keys: [{name: "
        "id, type: bigint}]\n  timestamp: {}\n  features: [{name: x, type: double}]\nsink:\n  "
        "writers:\n    - %s\n",
        declare_validated(trial.self));
    trial_kill(&trial);
    trial_must(&trial, freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL,
                                                 &trial.handle, &trial.err));
    trial.checkpoint = 0;
    trial.listed = (writer_files){0};
    trial_start(&trial);
    trial.writer->is_batch = true;
    trial_write(&trial, 20, 5, 0, 1);
    trial_checkpoint(&trial);
    int64_t there = 0;
    trial_must(&trial,
               kafka_once_writer_ops.validate(trial.writer, &trial.listed, &there, &trial.err));
    assert_int_equal(there, 5);
    assert_int_equal(rd_kafka_producev(kafka_place_of(&trial)->client,
                                       RD_KAFKA_V_TOPIC(kafka_place_of(&trial)->topic),
                                       RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("x", 1),
                                       RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(kafka_place_of(&trial)->client, KAFKA_TEST_WAIT_S * 1000), 0);
    there = 0;
    trial_must(&trial,
               kafka_once_writer_ops.validate(trial.writer, &trial.listed, &there, &trial.err));
    assert_int_equal(there, 6);
    trial_end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_run_takes_its_place), cmocka_unit_test(an_old_state_is_refused),
        cmocka_unit_test(a_file_that_is_gone),         cmocka_unit_test(a_file_that_was_sent),
        cmocka_unit_test(validated_by_reading_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
