/* kafka_connect.c - the way to the brokers: trouble, topics, partitions, and where each begins; see
 * kafka_internal.h.
 *
 * Everything is driven by kafka_tend(), which each poll calls first. An error that it returns is
 * final; what may pass is `trouble`, one sentence that the pipeline shows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/timestamp.h"
#include "declaration/value.h"
#include "readers/kafka/kafka_internal.h"

#define CONNECTING "connecting to Kafka"

/* ---- start --------------------------------------------------------------------------------- */

bool kafka_parse_start(const char *text, int64_t now_us, int64_t *out, bool *is_time)
{
    int64_t time_us = 0;

    *is_time = false;
    *out = RD_KAFKA_OFFSET_BEGINNING;
    if (strcmp(text, "earliest") == 0)
        return true;
    *out = RD_KAFKA_OFFSET_END;
    if (strcmp(text, "latest") == 0)
        return true;
    *is_time = true;
    if (text[0] == '-' &&
        value_number(OPTION_DURATION, text + 1 + strspn(text + 1, " "), &time_us) == NULL)
        time_us = now_us - time_us;
    else if (!timestamp_parse(text, strlen(text), &time_us))
        return false;
    *out = time_us < 0 ? 0 : time_us / 1000;
    return true;
}

/* ---- trouble ------------------------------------------------------------------------------- */

static void set_trouble(kafka_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_trouble(kafka_reader *reader, const char *format, ...)
{
    va_list arguments;

    if (reader->troubled_since_us == 0)
        reader->troubled_since_us = os.monotonic_us();
    va_start(arguments, format);
    vsnprintf(reader->trouble, sizeof reader->trouble, format, arguments);
    va_end(arguments);
    if (reader->next_try_us > os.monotonic_us() + KAFKA_PROBE_US)
        reader->next_try_us = os.monotonic_us() + KAFKA_PROBE_US;
}

static void trouble_unreachable(kafka_reader *reader)
{
    set_trouble(reader, "no broker of \"%.150s\" can be reached%s%.300s", reader->brokers,
                reader->last_error[0] == '\0' ? "" : ": ", reader->last_error);
}

static void trouble_denied(kafka_reader *reader)
{
    set_trouble(reader,
                "the brokers no longer allow this user to read the topic \"%.200s\"; grant it READ",
                reader->denied->name);
}

/* Called by rd_kafka_poll(), so in the pipeline's thread. */
static void on_error(rd_kafka_t *client, int number, const char *reason, void *opaque)
{
    kafka_reader *reader = ((const kafka_ear *)opaque)->reader;
    const rd_kafka_resp_err_t problem = (rd_kafka_resp_err_t)number;

    (void)client;
    log_event(CONSUMER_PROBLEM, kafka_id(reader), reason, rd_kafka_err2name(problem));
    if (problem == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        trouble_unreachable(reader);
        return;
    }
    snprintf(reader->last_error, sizeof reader->last_error, "%s", reason);
    if ((problem != RD_KAFKA_RESP_ERR__AUTHENTICATION && problem != RD_KAFKA_RESP_ERR__SSL) ||
        kafka_was_cut_off(reason))
        return;
    if (reader->fatal == RD_KAFKA_RESP_ERR_NO_ERROR)
        reader->fatal_since_us = os.monotonic_us();
    reader->fatal = problem;
    if (!reader->connected)
        trouble_unreachable(reader);
}

/* Called in librdkafka's threads. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    const kafka_ear *ear = rd_kafka_opaque(client);

    (void)level;
    log_event(CONSUMER_SAYS, ear->id, facility, text);
}

static freshet_code give_up(kafka_reader *reader, freshet_error *err)
{
    char waited[VALUE_TEXT_MAX];

    value_format(OPTION_DURATION, kafka_options_of(reader)->connect_timeout_us, waited);
    return error_set(
        err, FRESHET_TRY_AGAIN, FRESHET_STOP, reader->at,
        "Kafka could not be read for %s: %s; check the addresses in brokers, that this "
        "host can reach them, and security.protocol under options",
        waited, reader->trouble[0] == '\0' ? "no answer" : reader->trouble);
}

/* ---- the client ---------------------------------------------------------------------------- */

static freshet_code open_queue(kafka_reader *reader, freshet_error *err)
{
    static const uint64_t one = 1;

    reader->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reader->event_fd < 0)
        return error_system(err, "cannot make", "an eventfd");
    reader->queue = rd_kafka_queue_new(reader->client);
    reader->main_queue = rd_kafka_queue_get_main(reader->client);
    if (reader->queue == NULL || reader->main_queue == NULL)
        return error_memory(err, CONNECTING);
    rd_kafka_queue_io_event_enable(reader->queue, reader->event_fd, &one, sizeof one);
    rd_kafka_queue_io_event_enable(reader->main_queue, reader->event_fd, &one, sizeof one);
    return FRESHET_OK;
}

static kafka_topic *find_topic(const kafka_reader *reader, const char *name)
{
    for (uint32_t i = 0; i < reader->n_topics; i++)
        if (strcmp(reader->topics[i]->name, name) == 0)
            return reader->topics[i];
    return NULL;
}

static kafka_topic *add_topic(kafka_reader *reader, const char *name, bool declared)
{
    kafka_topic *topic = find_topic(reader, name);

    if (topic != NULL) {
        topic->declared |= declared;
        return topic;
    }
    if (reader->n_topics == KAFKA_TOPICS_MAX ||
        !array_reserve(&reader->topics, &reader->topics_capacity, reader->n_topics + UINT64_C(1),
                       sizeof(kafka_topic *)))
        return NULL;
    topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return NULL;
    topic->declared = declared;
    topic->name = arena_text(reader->base.arena, name);
    rd_kafka_topic_conf_t *conf = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_opaque(conf, topic);
    rd_kafka_topic_conf_set(conf, "auto.offset.reset", "error", NULL, 0);
    if (topic->name != NULL)
        topic->handle = rd_kafka_topic_new(reader->client, topic->name, conf);
    if (topic->handle == NULL) {
        rd_kafka_topic_conf_destroy(conf);
        free(topic);
        return NULL;
    }
    reader->topics[reader->n_topics++] = topic;
    return topic;
}

static freshet_code refuse_topics(freshet_error *err)
{
    return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                     "there are more than %u topics or %u partitions, or memory is out; name fewer "
                     "topics, or divide them among several pipelines",
                     KAFKA_TOPICS_MAX, KAFKA_PARTITIONS_MAX);
}

static freshet_code add_declared_topics(kafka_reader *reader, freshet_error *err)
{
    const kafka_options *options = kafka_options_of(reader);

    if (options->pattern.value != NULL) {
        if (regcomp(&reader->pattern, options->pattern.value, REG_EXTENDED | REG_NOSUB) != 0)
            return error_memory(err, CONNECTING);
        reader->has_pattern = true;
    }
    if (options->topic.value != NULL && add_topic(reader, options->topic.value, true) == NULL)
        return error_memory(err, CONNECTING);
    for (uint32_t i = 0; i < options->topics.n; i++)
        if (add_topic(reader, options->topics.items[i].value, true) == NULL)
            return error_memory(err, CONNECTING);
    return FRESHET_OK;
}

/* A property as the client has it, whole; "none" where it is not set, NULL where memory is out. */
static const char *own_setting(const kafka_reader *reader, const char *name)
{
    const rd_kafka_conf_t *conf = rd_kafka_conf(reader->client);
    size_t size = 0;
    char *value;

    if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK)
        return "none";
    value = arena_alloc(reader->base.arena, size + 1);
    if (value != NULL && rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        return "none";
    return value;
}

freshet_code kafka_client_open(kafka_reader *reader, freshet_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    freshet_code code;

    reader->ear = calloc(1, sizeof *reader->ear);
    if (reader->ear == NULL)
        return error_memory(err, CONNECTING);
    reader->ear->reader = reader;
    snprintf(reader->ear->id, sizeof reader->ear->id, "%s", kafka_id(reader));
    code = kafka_configure(reader, &conf, err);
    if (code != FRESHET_OK)
        return code;
    rd_kafka_conf_set_opaque(conf, reader->ear);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_offset_commit_cb(conf, kafka_group_committed);
    code = kafka_make_client(RD_KAFKA_CONSUMER, conf, reader->at, &reader->client, err);
    if (code != FRESHET_OK)
        return code;
    reader->user = own_setting(reader, "sasl.username");
    reader->password = own_setting(reader, "sasl.password");
    if (reader->user == NULL || reader->password == NULL)
        return error_memory(err, CONNECTING);
    code = open_queue(reader, err);
    return code == FRESHET_OK ? add_declared_topics(reader, err) : code;
}

static void stop_partition(kafka_reader *reader, kafka_partition *partition)
{
    if (partition->paused) /* it would still be when it is started again */
        kafka_lanes_resume(reader, partition);
    if (partition->started)
        rd_kafka_consume_stop(partition->topic->handle, partition->number);
    partition->started = false;
}

/* Its client may live on for a while, and the number of event_fd be another file's then. */
static void close_queue(rd_kafka_queue_t *queue)
{
    if (queue == NULL)
        return;
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue);
}

void kafka_client_close(kafka_reader *reader)
{
    if (reader->client != NULL) {
        kafka_group_finish(reader);
        for (uint32_t i = 0; i < reader->n_partitions; i++)
            stop_partition(reader, &reader->partitions[i]);
    }
    for (uint32_t i = 0; i < reader->n_topics; i++) {
        rd_kafka_topic_destroy(reader->topics[i]->handle);
        free(reader->topics[i]->partitions);
        free(reader->topics[i]);
    }
    free(reader->topics);
    free(reader->partitions);
    if (reader->has_pattern)
        regfree(&reader->pattern);
    close_queue(reader->queue);
    close_queue(reader->main_queue);
    if (reader->client != NULL)
        kafka_end_client(reader->client, reader->ear);
    else
        free(reader->ear);
    if (reader->event_fd >= 0)
        os.close(reader->event_fd);
}

void kafka_wake(kafka_reader *reader)
{
    if (!reader->must_wake || rd_kafka_queue_length(reader->queue) >= reader->wake_below)
        return;
    /* The one call of these versions that wakes all brokers' threads; it changes nothing, since the
     * credentials are those that they have. */
    rd_kafka_error_destroy(
        rd_kafka_sasl_set_credentials(reader->client, reader->user, reader->password));
}

/* ---- partitions ---------------------------------------------------------------------------- */

static bool grow_numbers(kafka_topic *topic, uint32_t n)
{
    uint32_t *grown = realloc(topic->partitions, n * sizeof *grown);

    if (grown == NULL)
        return false;
    for (uint32_t i = topic->n_partitions; i < n; i++)
        grown[i] = KAFKA_NONE;
    topic->partitions = grown;
    topic->n_partitions = n;
    return true;
}

/* The partition of that number, made where it is not there; NULL where memory is out or there are
 * too many. A new one has no lane yet. */
static kafka_partition *add_partition(kafka_reader *reader, kafka_topic *topic, int32_t number)
{
    if (number < 0 || (uint32_t)number >= KAFKA_PARTITIONS_MAX)
        return NULL;
    if ((uint32_t)number >= topic->n_partitions && !grow_numbers(topic, (uint32_t)number + 1))
        return NULL;
    if (topic->partitions[number] != KAFKA_NONE)
        return &reader->partitions[topic->partitions[number]];
    if (reader->n_partitions == KAFKA_PARTITIONS_MAX ||
        !array_reserve(&reader->partitions, &reader->partitions_capacity,
                       reader->n_partitions + UINT64_C(1), sizeof *reader->partitions))
        return NULL;
    const char *name = arena_format(reader->base.arena, "%s/%" PRId32, topic->name, number);
    if (name == NULL)
        return NULL;
    kafka_partition *made = &reader->partitions[reader->n_partitions];
    *made = (kafka_partition){.topic = topic,
                              .number = number,
                              .lane = KAFKA_NONE,
                              .name = name,
                              .mark = {.offset = -1},
                              .check = {.offset = -1},
                              .stands_us = KAFKA_STANDS_US,
                              .group_wants = -1,
                              .group_has = -1,
                              .group_asked = -1};
    topic->partitions[number] = reader->n_partitions++;
    return made;
}

freshet_code kafka_restore(kafka_reader *reader, const reader_positions *from, freshet_error *err)
{
    char name[512];

    reader->resumed = from != NULL && from->n > 0;
    for (uint32_t i = 0; reader->resumed && i < from->n; i++) {
        const reader_position *position = &from->items[i];
        const char *slash = strrchr(position->name, '/');
        if (slash == NULL || (size_t)(slash - position->name) >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(slash - position->name), position->name);
        kafka_topic *topic = add_topic(reader, name, false);
        kafka_partition *partition =
            topic == NULL ? NULL
                          : add_partition(reader, topic, (int32_t)strtol(slash + 1, NULL, 10));
        if (partition == NULL)
            return refuse_topics(err);
        topic->known = true;
        partition->next = position->offset;
        partition->has_place = true;
        partition->lane = position->lane;
        if (position->mark_length == sizeof partition->mark)
            memcpy(&partition->mark, position->mark, sizeof partition->mark);
        partition->check = partition->mark;
        if (position->lane >= reader->next_lane)
            reader->next_lane = position->lane + 1;
    }
    return FRESHET_OK;
}

kafka_partition *kafka_partition_of(const kafka_reader *reader, const rd_kafka_message_t *message)
{
    const kafka_topic *topic = message->rkt == NULL ? NULL : rd_kafka_topic_opaque(message->rkt);

    if (topic == NULL || message->partition < 0 ||
        (uint32_t)message->partition >= topic->n_partitions ||
        topic->partitions[message->partition] == KAFKA_NONE)
        return NULL;
    return &reader->partitions[topic->partitions[message->partition]];
}

void kafka_end_partition(kafka_reader *reader, kafka_partition *partition)
{
    if (partition->ended)
        return;
    partition->ended = true;
    reader->n_ended++;
    stop_partition(reader, partition);
}

void kafka_place_again(kafka_reader *reader, kafka_partition *partition, kafka_mark check)
{
    stop_partition(reader, partition);
    kafka_lanes_drop(reader, partition); /* they come again */
    partition->check = check;
    partition->verifies = false;
    reader->unplaced = true;
    reader->next_try_us = 0;
}

/* ---- looking for topics and partitions ----------------------------------------------------- */

/* What is told of a topic that has partitions. */
static freshet_code take_topic(kafka_reader *reader, const rd_kafka_metadata_topic_t *told,
                               freshet_error *err)
{
    const bool running = reader->state == KAFKA_RUNNING;
    kafka_topic *topic = add_topic(reader, told->topic, false);

    if (topic == NULL)
        return refuse_topics(err);
    topic->is_there = true;
    for (int i = 0; i < told->partition_cnt; i++) {
        kafka_partition *partition = add_partition(reader, topic, told->partitions[i].id);
        if (partition == NULL)
            return refuse_topics(err);
        /* A batch has its end: what comes later is not of it. */
        const bool later = !partition->found && running && reader->base.mode == READ_ALL;
        if (told->partitions[i].leader < 0 && !later && !partition->ended)
            set_trouble(reader, "%.200s has no leader: the brokers that have it are not there",
                        partition->name);
        if (partition->found || later)
            continue;
        partition->found = true;
        /* Where the topic was known, or we were running, it came behind our back. */
        partition->is_new = !partition->has_place &&
                            (running || topic->known || (reader->resumed && !topic->declared));
        reader->unplaced = true;
    }
    return FRESHET_OK;
}

static freshet_code refuse_denied(const kafka_reader *reader, const char *topic, freshet_error *err)
{
    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
        "the brokers do not allow this user to read the topic \"%s\"; grant it READ and "
        "DESCRIBE there",
        topic);
}

/* A declared topic without partitions: not there, not allowed, or not quite made (FRESHET_END). */
static freshet_code take_missing(kafka_reader *reader, const rd_kafka_metadata_topic_t *told,
                                 freshet_error *err)
{
    const int64_t now_us = os.monotonic_us();
    const bool denied = told->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    const bool wrong = denied || told->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                       told->err == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR;

    set_trouble(reader, "the topic \"%.200s\" cannot be read: %s", told->topic,
                told->err == RD_KAFKA_RESP_ERR_NO_ERROR ? "it has no partitions yet"
                                                        : rd_kafka_err2str(told->err));
    if (reader->state == KAFKA_RUNNING)
        return FRESHET_END;
    if (told->err != RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
        if (reader->unknown_since_us == 0)
            reader->unknown_since_us = now_us;
        if (!wrong || now_us - reader->unknown_since_us <= KAFKA_TOPIC_GRACE_US)
            return FRESHET_END;
    }
    if (denied)
        return refuse_denied(reader, told->topic, err);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "the topic \"%s\" cannot be read from \"%s\": %s; create it, or mend its name",
                     told->topic, reader->brokers, rd_kafka_err2str(told->err));
}

/* FRESHET_END: not all that is declared is there yet. */
static freshet_code take_metadata(kafka_reader *reader, const struct rd_kafka_metadata *metadata,
                                  freshet_error *err)
{
    bool complete = metadata->broker_cnt > 0;
    uint32_t n_declared = 0, n_seen = 0;
    freshet_code code = FRESHET_OK;

    for (uint32_t i = 0; i < reader->n_topics; i++) {
        n_declared += reader->topics[i]->declared;
        reader->topics[i]->is_there = false;
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *told = &metadata->topics[i];
        const kafka_topic *topic = find_topic(reader, told->topic);
        const bool wanted = topic != NULL && topic->declared;
        const bool matches = reader->has_pattern &&
                             regexec(&reader->pattern, told->topic, 0, NULL, 0) == 0 &&
                             strncmp(told->topic, "__", 2) != 0;
        n_seen += wanted;
        if (told->err == RD_KAFKA_RESP_ERR_NO_ERROR && told->partition_cnt > 0)
            code = wanted || matches ? take_topic(reader, told, err) : FRESHET_OK;
        else
            code = wanted ? take_missing(reader, told, err) : FRESHET_OK;
        if (code != FRESHET_OK && code != FRESHET_END)
            return code;
        complete = complete && code == FRESHET_OK;
    }
    kafka_suspect_absent(reader);
    return complete && n_seen >= n_declared ? FRESHET_OK : FRESHET_END;
}

static int compare_new(const void *a, const void *b)
{
    const kafka_partition *const *left = a, *const *right = b;
    const int order = strcmp((*left)->topic->name, (*right)->topic->name);

    if (order != 0)
        return order;
    return ((*left)->number > (*right)->number) - ((*left)->number < (*right)->number);
}

/* Lanes for partitions that have none: by name, so that one topic's are its partitions' numbers. */
static freshet_code give_lanes(kafka_reader *reader, freshet_error *err)
{
    kafka_partition **without =
        malloc((reader->n_partitions + (size_t)1) * sizeof(kafka_partition *));
    uint32_t n = 0;

    if (without == NULL)
        return error_memory(err, CONNECTING);
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        if (reader->partitions[i].lane == KAFKA_NONE)
            without[n++] = &reader->partitions[i];
    qsort(without, n, sizeof(kafka_partition *), compare_new);
    for (uint32_t i = 0; i < n; i++)
        without[i]->lane = reader->next_lane++;
    free(without);
    return FRESHET_OK;
}

/* Nobody has answered in time. */
static void take_silence(kafka_reader *reader, rd_kafka_resp_err_t problem)
{
    const bool running = reader->state == KAFKA_RUNNING;
    const int64_t now_us = os.monotonic_us();
    const int64_t limit_us = running ? KAFKA_SILENCE_US : KAFKA_PROBE_US;

    if (problem == RD_KAFKA_RESP_ERR__TIMED_OUT &&
        reader->look_wait_ms < (running ? KAFKA_LOOK_WAIT_RUNNING_MAX_MS : KAFKA_LOOK_WAIT_MAX_MS))
        reader->look_wait_ms *= 2;
    if (reader->silent_since_us == 0)
        reader->silent_since_us = running ? now_us : reader->opened_us;
    if (now_us - reader->silent_since_us > limit_us)
        reader->unknown_since_us = 0; /* who is away may know it when he comes back */
    if (reader->trouble[0] != '\0' || now_us - reader->silent_since_us <= limit_us)
        return;
    if (running)
        set_trouble(reader, "no broker of \"%.150s\" answers", reader->brokers);
    else
        trouble_unreachable(reader);
}

/* Asks for topics and partitions. FRESHET_END: they are not all there. */
static freshet_code look_around(kafka_reader *reader, freshet_error *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (reader->look_wait_ms == 0)
        reader->look_wait_ms = KAFKA_LOOK_WAIT_MS;
    rd_kafka_resp_err_t problem = rd_kafka_metadata(reader->client, reader->has_pattern, NULL,
                                                    &metadata, reader->look_wait_ms);

    rd_kafka_poll(reader->client, 0);
    if (problem != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_silence(reader, problem);
        return FRESHET_END;
    }
    reader->silent_since_us = 0;
    reader->connected = true;
    reader->fatal = RD_KAFKA_RESP_ERR_NO_ERROR;
    reader->trouble[0] = '\0';
    if (reader->denied != NULL)
        trouble_denied(reader);
    freshet_code seen = take_metadata(reader, metadata, err);
    rd_kafka_metadata_destroy(metadata);
    if (seen == FRESHET_OK)
        reader->unknown_since_us = 0;
    if (seen != FRESHET_OK && seen != FRESHET_END)
        return seen;
    freshet_code code = give_lanes(reader, err);
    return code == FRESHET_OK ? seen : code;
}

/* ---- placing partitions -------------------------------------------------------------------- */

static bool needs_place(const kafka_partition *partition)
{
    return partition->found && !partition->started && !partition->ended;
}

/* Asks the brokers where `asked`, a time or an offset that librdkafka knows, is in the partitions
 * that need a place; false where some answer is missing. */
static bool ask_offsets(kafka_reader *reader, int64_t asked, enum kafka_edge edge)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->n_partitions);
    rd_kafka_resp_err_t problem = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!needs_place(partition))
            continue;
        rd_kafka_topic_partition_t *added =
            rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
        added->offset = asked;
        added->opaque = partition;
    }
    if (list->cnt > 0)
        problem = rd_kafka_offsets_for_times(reader->client, list, KAFKA_OFFSETS_WAIT_MS);
    for (int i = 0; i < list->cnt && problem == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        problem = list->elems[i].err;
        ((kafka_partition *)list->elems[i].opaque)->edges[edge] = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (problem != RD_KAFKA_RESP_ERR_NO_ERROR)
        set_trouble(reader, "the brokers do not say where the partitions begin and end: %s",
                    rd_kafka_err2str(problem));
    return problem == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What to do with a place that the brokers do not have. */
static freshet_code bridge_gap(kafka_reader *reader, kafka_partition *partition, freshet_error *err)
{
    const int64_t earliest = partition->edges[KAFKA_EARLIEST];
    const int64_t latest = partition->edges[KAFKA_LATEST];
    const int on_gap = kafka_options_of(reader)->on_gap;
    const bool lost = partition->next < earliest;

    if (on_gap == ON_GAP_FAIL && partition->is_anew)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
            "%s should go on at offset %" PRId64 ", but the message at offset %" PRId64
            " is not the one that was read there: the topic was made anew, and the brokers have "
            "%" PRId64 " to %" PRId64 " of it; say on_gap: earliest to read it from its first "
            "message, or latest for what comes from now on, or begin anew after `freshet state "
            "reset`",
            partition->name, partition->next, partition->check.offset, earliest, latest);
    if (on_gap == ON_GAP_FAIL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "%s should go on at offset %" PRId64 ", but the brokers have %" PRId64
                         " to %" PRId64 ": %s; say on_gap: earliest or latest to go on there, "
                         "which leaves out what is between, or "
                         "begin anew after `freshet state reset`",
                         partition->name, partition->next, earliest, latest,
                         lost ? "the messages between were deleted before they were read"
                              : "the topic was made anew, or lost its end");
    const int64_t place = on_gap == ON_GAP_EARLIEST ? earliest : latest;
    log_event(OFFSETS_GONE, kafka_id(reader), partition->name, partition->next,
              partition->is_anew ? "the topic was made anew, and " : "", earliest, latest, place);
    partition->next = place;
    partition->mark.offset = partition->check.offset = -1;
    partition->probe.timestamp = 0;
    partition->is_anew = false;
    return FRESHET_OK;
}

static freshet_code place_one(kafka_reader *reader, kafka_partition *partition, freshet_error *err)
{
    const int64_t *edges = partition->edges;

    if (!partition->has_place) {
        partition->next = edges[partition->is_new ? KAFKA_EARLIEST : KAFKA_START];
        if (partition->next < 0) /* no message since that time */
            partition->next = edges[KAFKA_LATEST];
        return FRESHET_OK;
    }
    if (!partition->is_anew && partition->next >= edges[KAFKA_EARLIEST] &&
        partition->next <= edges[KAFKA_LATEST])
        return FRESHET_OK;
    return bridge_gap(reader, partition, err);
}

static freshet_code start_one(kafka_reader *reader, kafka_partition *partition, freshet_error *err)
{
    const int64_t latest = partition->edges[KAFKA_LATEST];

    partition->has_place = true;
    partition->began = partition->next;
    partition->moved = reader->base.moved = true;
    if (reader->base.mode == READ_ALL && reader->state == KAFKA_CONNECTING)
        partition->end = latest;
    const int64_t check = partition->check.offset;
    partition->verifies =
        check >= partition->edges[KAFKA_EARLIEST] && check < latest && check < partition->next;
    if (reader->base.mode == READ_ALL && partition->next >= partition->end &&
        !partition->verifies) {
        kafka_end_partition(reader, partition);
        return FRESHET_OK;
    }
    if (rd_kafka_consume_start_queue(partition->topic->handle, partition->number,
                                     partition->verifies ? check : partition->next,
                                     reader->queue) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, reader->at,
                         "reading of %s cannot begin: %s; start it again", partition->name,
                         rd_kafka_err2str(rd_kafka_last_error()));
    partition->started = true;
    partition->at_end = partition->next >= latest;
    if (!partition->is_told && partition->next < latest) {
        partition->is_behind = true;
        reader->n_behind++;
    }
    partition->is_told = true;
    return FRESHET_OK;
}

/* Starts the partitions that wait for it. FRESHET_END: not now. */
static freshet_code place_all(kafka_reader *reader, freshet_error *err)
{
    int64_t start = 0;
    bool is_time = false;
    freshet_code code = FRESHET_OK;

    kafka_parse_start(kafka_options_of(reader)->start.value, os.now_us(), &start, &is_time);
    reader->unplaced = true;
    if (!ask_offsets(reader, RD_KAFKA_OFFSET_BEGINNING, KAFKA_EARLIEST) ||
        !ask_offsets(reader, RD_KAFKA_OFFSET_END, KAFKA_LATEST) ||
        (is_time && !ask_offsets(reader, start, KAFKA_START)))
        return FRESHET_END;
    for (uint32_t i = 0; code == FRESHET_OK && i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!needs_place(partition))
            continue;
        if (!is_time)
            partition->edges[KAFKA_START] =
                partition->edges[start == RD_KAFKA_OFFSET_END ? KAFKA_LATEST : KAFKA_EARLIEST];
        code = place_one(reader, partition, err);
        if (code == FRESHET_OK)
            code = start_one(reader, partition, err);
    }
    reader->unplaced = code != FRESHET_OK;
    return code;
}

/* ---- what is due --------------------------------------------------------------------------- */

static void try_later(kafka_reader *reader)
{
    reader->pause_us = reader->pause_us == 0 ? KAFKA_TRY_FIRST_US : 2 * reader->pause_us;
    if (reader->pause_us > KAFKA_TRY_MAX_US)
        reader->pause_us = KAFKA_TRY_MAX_US;
    reader->next_try_us = os.monotonic_us() + reader->pause_us;
    reader->base.idle_us = reader->pause_us;
}

static void set_running(kafka_reader *reader)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < reader->n_partitions; i++)
        n += reader->partitions[i].found;
    if (reader->state == KAFKA_CONNECTING)
        log_event(TOPICS_READ, kafka_id(reader), n, n == 1 ? "" : "s", reader->brokers);
    if (reader->state == KAFKA_CONNECTING && n == 0 && reader->has_pattern)
        log_event(PATTERN_MATCHES_NONE, kafka_id(reader), kafka_options_of(reader)->pattern.value);
    reader->state = KAFKA_RUNNING;
    reader->pause_us = 0;
    const bool troubled = reader->trouble[0] != '\0';
    int64_t wait_us = kafka_options_of(reader)->discover_us;
    if (!troubled)
        reader->troubled_since_us = 0;
    if ((troubled || reader->silent_since_us != 0) && wait_us > KAFKA_PROBE_US)
        wait_us = KAFKA_PROBE_US;
    reader->next_try_us = os.monotonic_us() + wait_us;
    reader->base.idle_us = wait_us;
}

/* Has it lasted too long? A stream that has once begun never gives up; nor does one at its start,
 * unless its declaration says so. */
static bool is_too_long(const kafka_reader *reader)
{
    const int64_t limit_us = kafka_options_of(reader)->connect_timeout_us;
    const int64_t now_us = os.monotonic_us();

    if (reader->state == KAFKA_CONNECTING)
        return now_us - reader->opened_us > limit_us &&
               (reader->base.mode == READ_ALL || kafka_options_of(reader)->has_connect_timeout);
    return reader->base.mode == READ_ALL && reader->troubled_since_us != 0 &&
           now_us - reader->troubled_since_us > limit_us;
}

/* Do the brokers refuse us for good? A stream asks for a while. */
static bool is_refused(const kafka_reader *reader)
{
    const bool may_pass =
        reader->base.mode == READ_FOLLOW && reader->fatal == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    return reader->fatal != RD_KAFKA_RESP_ERR_NO_ERROR &&
           (!may_pass || os.monotonic_us() - reader->fatal_since_us >= KAFKA_LOGIN_GRACE_US);
}

static freshet_code look_and_place(kafka_reader *reader, freshet_error *err)
{
    freshet_code code = look_around(reader, err);

    if (code == FRESHET_END && reader->state == KAFKA_CONNECTING) {
        if (!reader->connected && is_refused(reader))
            return kafka_refuse_login(reader->fatal, reader->last_error, reader->at, err);
    } else if (code == FRESHET_OK || code == FRESHET_END) {
        code = reader->unplaced ? place_all(reader, err) : FRESHET_OK;
    }
    if (code == FRESHET_END)
        try_later(reader);
    else if (code == FRESHET_OK)
        set_running(reader);
    return code == FRESHET_END ? FRESHET_OK : code;
}

freshet_code kafka_tend(kafka_reader *reader, freshet_error *err)
{
    rd_kafka_poll(reader->client, 0);
    kafka_group_tend(reader);
    if (is_too_long(reader))
        return give_up(reader, err);
    /* Messages at hand are read first: partitions may be placed again, and they came before. */
    if (os.monotonic_us() < reader->next_try_us || reader->next_message < reader->n_messages)
        return FRESHET_OK;
    if (reader->state == KAFKA_RUNNING && reader->trouble[0] == '\0' && !reader->unplaced)
        kafka_ask_probes(reader);
    return look_and_place(reader, err);
}

/* Has this run read anything of the topic? */
static bool was_read(const kafka_reader *reader, const kafka_topic *topic)
{
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        if (reader->partitions[i].topic == topic && reader->partitions[i].started &&
            reader->partitions[i].next > reader->partitions[i].began)
            return true;
    return false;
}

freshet_code kafka_message_error(kafka_reader *reader, const rd_kafka_message_t *message,
                                 freshet_error *err)
{
    kafka_partition *partition = kafka_partition_of(reader, message);
    const char *name = partition == NULL ? "a partition" : partition->name;

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (partition == NULL || reader->base.mode != READ_ALL)
            return FRESHET_OK;
        if (message->offset > partition->next) {
            partition->next = message->offset < partition->end ? message->offset : partition->end;
            partition->moved = reader->base.moved = true;
        }
        if (message->offset >= partition->end)
            kafka_end_partition(reader, partition);
        partition->verifies = false;
        return FRESHET_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (partition == NULL || !partition->started)
            return FRESHET_OK;
        kafka_place_again(reader, partition, partition->mark);
        return FRESHET_OK;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: /* librdkafka says it once */
        if (partition == NULL)
            return FRESHET_OK;
        if (reader->base.mode == READ_ALL || !was_read(reader, partition->topic))
            return refuse_denied(reader, partition->topic->name, err);
        reader->denied = partition->topic;
        trouble_denied(reader);
        return FRESHET_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, reader->at,
                         "%s cannot be read behind offset %" PRId64
                         ": %s; look at the messages there, and at the broker's limits",
                         name, partition == NULL ? -1 : partition->next,
                         rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        if (partition != NULL && partition->started)
            kafka_place_again(reader, partition, partition->mark);
        set_trouble(reader, "%.200s cannot be read now: %.300s", name,
                    rd_kafka_message_errstr(message));
        return FRESHET_OK;
    default:
        set_trouble(reader, "%.200s cannot be read now: %.300s", name,
                    rd_kafka_message_errstr(message));
        return FRESHET_OK;
    }
}
