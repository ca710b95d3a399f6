/* kafka_slices_test.c - messages decoded in slices by 2, 3 and 5 workers give what one worker
 * gives: the same rows, bad messages, reasons and positions, with keys, headers, metadata and
 * tombstones; partitions by choice, too. Against librdkafka's mock cluster. (Not under
 * ThreadSanitizer, which does not know the threads that librdkafka starts by C11's thrd_create, and
 * crashes in them; file_slices_test runs the slices under it.) */
#include "base/crew.h"
#include "base/random_testing.h"
#include "readers/kafka/kafka_testing.h"

#define MESSAGES 6000 /* of each partition */
#define ENOUGH 3000   /* wait, so that polls are large */
#define MESSAGE_BYTES_MAX 400

static void produce(rig *rig, int partition, int i)
{
    static const char text[] = "a text that may be longer than twelve bytes";
    char value[600], key[64];
    int n = snprintf(value, sizeof value, "{\"id\": %s%u, \"text\": \"%.*s\", \"n\": %s}",
                     random_below(30) == 0 ? "1." : "", random_below(100000),
                     (int)random_below(sizeof text), text, random_below(20) == 0 ? "null" : "7");
    const char *sent = value;

    if (random_below(60) == 0)
        snprintf(value + n, sizeof value - (size_t)n, "%*s", MESSAGE_BYTES_MAX, "");
    if (random_below(40) == 0)
        sent = random_below(2) == 0 ? "{" : NULL;
    snprintf(key, sizeof key, random_below(30) == 0 ? "{\"k\": x}" : "{\"k\": %d}", i);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "trace", -1, key, -1);
    const size_t length = sent == NULL ? 0 : strlen(sent);
    const size_t key_length = i % 9 == 0 ? 0 : strlen(key);
    const void *key_bytes = key_length == 0 ? NULL : key;
    void *bytes;
    memcpy(&bytes, &sent, sizeof bytes);
    assert_int_equal(rd_kafka_producev(
                         rig->producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(partition),
                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(bytes, length),
                         RD_KAFKA_V_KEY(key_bytes, key_length), RD_KAFKA_V_HEADERS(headers),
                         RD_KAFKA_V_TIMESTAMP(INT64_C(1700000000123)), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    if (i % 500 == 499)
        rd_kafka_poll(rig->producer, 0);
}

static rig *make_topic(int n_partitions, bool is_null)
{
    rig *it = rig_make(1, n_partitions);

    it->mode = READ_ALL;
    it->options.max_message_bytes = MESSAGE_BYTES_MAX;
    it->options.tombstones = is_null ? TOMBSTONES_NULL : TOMBSTONES_SKIP;
    it->block.on_cast_error = is_null ? ON_CAST_ERROR_NULL : ON_CAST_ERROR_DEAD_LETTER;
    rig_schema(it, &it->options.value, "id: bigint, text: string, n: integer");
    it->options.has_key = true;
    it->options.headers = true;
    rig_schema(it, &it->options.key, "k: bigint");
    for (int partition = 0; partition < n_partitions; partition++)
        for (int i = 0; i < MESSAGES; i++)
            produce(it, partition, i);
    rig_flush(it);
    return it;
}

/* Waits until many messages are there, or all that are left. */
static void wait_for_messages(rig *rig)
{
    const kafka_reader *reader = (const kafka_reader *)rig->reader;
    const patience wait = patience_of(RIG_WAIT_S);
    int64_t left = 0;

    if (reader->state != KAFKA_RUNNING)
        return;
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        left += MESSAGES - reader->partitions[i].next;
    left -= reader->n_messages - reader->next_message;
    while ((int64_t)rd_kafka_queue_length(reader->queue) < (left < ENOUGH ? left : ENOUGH) &&
           patience_lasts(&wait))
        usleep(1000);
}

static void read_topic(rig *rig)
{
    const patience wait = patience_of(RIG_WAIT_S);
    freshet_code code = FRESHET_OK;

    rig_forget(rig);
    rig_open(rig);
    while (code == FRESHET_OK && patience_lasts(&wait)) {
        wait_for_messages(rig);
        code = rig_poll(rig, 100000, SIZE_MAX);
        if (code == FRESHET_OK && !rig->more)
            rig_wait(rig);
    }
    assert_int_equal(code, FRESHET_END);
    rig_keep_positions(rig);
    for (uint32_t i = 0; i < rig->positions.n; i++)
        text_format(&rig->reasons, "%s reached %lld\n", rig->positions.items[i].label,
                    (long long)rig->positions.items[i].offset);
    rig_close(rig);
    rig->positions = (reader_positions){0};
}

/* As pipeline/merge.c: several partitions into one batch. */
static void read_lanes(rig *rig)
{
    const reader_choice none = {.partition = READER_NONE};
    const patience wait = patience_of(RIG_WAIT_S);
    freshet_code code = FRESHET_OK;

    rig_forget(rig);
    assert_int_equal(rig_describe(rig), FRESHET_OK);
    rig->reader->in_lanes = true;
    assert_int_equal(rig->ops->open(rig->reader, &rig->positions, &rig->err), FRESHET_OK);
    while (code == FRESHET_OK && patience_lasts(&wait)) {
        kafka_reader *reader = (kafka_reader *)rig->reader;
        batch batch;
        rejects bad = {.arena = rig->step};
        arena_reset(rig->step);
        assert_int_equal(batch_init(&batch, rig->step, &rig->reader->schema, 4, NULL), FRESHET_OK);
        for (uint32_t i = 0; i < reader->n_partitions; i++)
            reader->partitions[i].wanted = ENOUGH;
        rig->reader->choice = &none;
        code = rig->ops->poll(rig->reader, &batch, 0, SIZE_MAX, &bad, &rig->more, &rig->err);
        for (uint32_t i = 0; i < reader->n_partitions && code == FRESHET_OK; i++) {
            const reader_choice one = {.partition = i};
            const kafka_partition *partition = &reader->partitions[i];
            if (kafka_lanes_listed(partition) < ENOUGH &&
                partition->next + kafka_lanes_listed(partition) < MESSAGES)
                continue;
            rig->reader->choice = &one;
            code =
                rig->ops->poll(rig->reader, &batch, 100000, SIZE_MAX, &bad, &rig->more, &rig->err);
        }
        rig->reader->choice = NULL;
        for (uint32_t i = 0; i < batch.n_rows; i++)
            rig_note_row(rig, &batch, i);
        for (uint32_t i = 0; i < bad.n; i++)
            text_format(&rig->reasons, "%s@%lld %s\n", bad.items[i].partition,
                        (long long)bad.items[i].offset, bad.items[i].reason);
        rig->n_rows += batch.n_rows;
        if (code == FRESHET_OK && batch.n_rows == 0)
            rig_wait(rig);
    }
    assert_int_equal(code, FRESHET_END);
    rig_close(rig);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines of a text in the order of the alphabet: partitions come as they are fetched. */
static char *sorted(const char *text)
{
    char *copy = strdup(text), *out = calloc(1, strlen(text) + 2), *end = out;
    char **lines = calloc(strlen(text) + 1, sizeof *lines);
    size_t n = 0;

    assert_non_null(lines);
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n"))
        lines[n++] = line;
    qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++)
        end += sprintf(end, "%s\n", lines[i]);
    free(copy);
    free(lines);
    return out;
}

static void compare(int n_partitions, bool is_null, void (*read)(rig *rig))
{
    static const uint32_t workers[] = {2, 3, 5};
    rig *rig = make_topic(n_partitions, is_null);
    char *rows, *reasons;

    read(rig);
    assert_in_range(rig->n_rows, MESSAGES / 2, n_partitions * MESSAGES);
    rows = n_partitions == 1 ? strdup(rig->rows.bytes) : sorted(rig->rows.bytes);
    reasons = n_partitions == 1 ? strdup(rig->reasons.bytes) : sorted(rig->reasons.bytes);
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        assert_int_equal(crew_open(workers[i], &rig->crew, NULL), FRESHET_OK);
        read(rig);
        crew_close(rig->crew);
        rig->crew = NULL;
        char *found = n_partitions == 1 ? strdup(rig->rows.bytes) : sorted(rig->rows.bytes);
        char *said = n_partitions == 1 ? strdup(rig->reasons.bytes) : sorted(rig->reasons.bytes);
        assert_true(strcmp(found, rows) == 0);
        assert_true(strcmp(said, reasons) == 0);
        free(found);
        free(said);
    }
    free(rows);
    free(reasons);
    rig_free(rig);
}

static void slices_give_what_one_worker_gives(void **state)
{
    (void)state;
    compare(1, false, read_topic);
    compare(1, true, read_topic);
}

static void chosen_partitions_are_cut_too(void **state)
{
    (void)state;
    compare(2, true, read_lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_what_one_worker_gives),
        cmocka_unit_test(chosen_partitions_are_cut_too),
    };

    return cmocka_run_group_tests_name("kafka_slices", tests, NULL, NULL);
}
