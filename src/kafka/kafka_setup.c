/* kafka_setup.c - see kafka_setup.h. */
#include "kafka/kafka_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "base/thread.h"

#define TOPIC_NAME_MAX 249

/* ---- properties ---------------------------------------------------------------------------- */

static const char *refusal_of(const kafka_refusal *refused, const char *name)
{
    for (; refused->name != NULL; refused++)
        if (strcmp(refused->name, name) == 0)
            return refused->reason;
    return NULL;
}

#define NAMES_MAX 1024

/* The known name nearest to one that is not, in `into`; "" where none is near. All names are in the
 * table that librdkafka prints: the first word of each line. */
static void nearest_name(const char *name, char *into, size_t size)
{
    const char *names[NAMES_MAX];
    char *table = NULL, *rest = NULL;
    size_t table_size = 0, n = 0;
    FILE *print = open_memstream(&table, &table_size);

    into[0] = '\0';
    if (print == NULL)
        return;
    rd_kafka_conf_properties_show(print);
    if (fclose(print) == 0)
        for (char *line = strtok_r(table, "\n", &rest); line != NULL && n < NAMES_MAX;
             line = strtok_r(NULL, "\n", &rest)) {
            line[strcspn(line, " |")] = '\0';
            if (strchr(line, '.') != NULL)
                names[n++] = line;
        }
    if (strncmp(name, "kafka.", 6) == 0) /* Spark's prefix */
        name += 6;
    const char *near = text_nearest(name, names, n);
    if (near != NULL)
        snprintf(into, size, "%s", near);
    free(table);
}

static void check_property(rd_kafka_conf_t *conf, const declared_property *property,
                           const kafka_refusal *refused, problems *problems)
{
    char said[512] = "";
    char near[128];
    const char *reason = refusal_of(refused, property->name);

    if (reason != NULL) {
        problem_add(problems, &property->name_at, "\"%s\" cannot be set here: %s", property->name,
                    reason);
        return;
    }
    switch (rd_kafka_conf_set(conf, property->name, property->value.value, said, sizeof said)) {
    case RD_KAFKA_CONF_OK: return;
    case RD_KAFKA_CONF_UNKNOWN:
        nearest_name(property->name, near, sizeof near);
        problem_add(problems, &property->name_at, "librdkafka has no property \"%.100s\"%s%s%s",
                    property->name, near[0] == '\0' ? "" : "; did you mean \"", near,
                    near[0] == '\0' ? "" : "\"?");
        return;
    default:
        if (property_is_secret(property->name))
            problem_add(problems, &property->value.at,
                        "\"%s\" cannot be what was given: librdkafka refuses it", property->name);
        else
            problem_add(problems, &property->value.at,
                        "\"%s\" cannot be \"%.60s\": librdkafka says: %s", property->name,
                        property->value.value, said);
    }
}

void kafka_check_properties(const declared_properties *properties, const kafka_refusal *refused,
                            problems *problems)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    for (uint32_t i = 0; i < properties->n; i++)
        check_property(conf, &properties->items[i], refused, problems);
    rd_kafka_conf_destroy(conf);
}

freshet_code kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, const char *at,
                       freshet_error *err)
{
    char said[400] = "";

    if (rd_kafka_conf_set(conf, name, value, said, sizeof said) == RD_KAFKA_CONF_OK)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                     "librdkafka refuses the property \"%s\": %s", name,
                     property_is_secret(name) ? "its value is not what it can be" : said);
}

freshet_code kafka_set_declared(rd_kafka_conf_t *conf, const declared_properties *properties,
                                const char *at, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    for (uint32_t i = 0; code == FRESHET_OK && i < properties->n; i++)
        code =
            kafka_set(conf, properties->items[i].name, properties->items[i].value.value, at, err);
    return code;
}

freshet_code kafka_make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *at,
                               rd_kafka_t **out, freshet_error *err)
{
    char said[512] = "";

    *out = rd_kafka_new(type, conf, said, sizeof said);
    if (*out != NULL)
        return FRESHET_OK;
    rd_kafka_conf_destroy(conf);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                     "librdkafka cannot begin with these options: %s; mend or remove what it names",
                     said);
}

/* ---- the end of a client ------------------------------------------------------------------- */

/* Shared by the one who wants the end and the thread that makes it. Who is last frees it. */
typedef struct ending {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rd_kafka_t *client;
    void *owned;
    bool is_over;
    bool is_left; /* nobody waits for it any more */
} ending;

static void free_ending(ending *ending)
{
    pthread_cond_destroy(&ending->changed);
    pthread_mutex_destroy(&ending->lock);
    free(ending);
}

static void destroy_client(rd_kafka_t *client, void *owned)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(owned);
}

static void *make_end(void *context)
{
    ending *ending = context;

    destroy_client(ending->client, ending->owned);
    pthread_mutex_lock(&ending->lock);
    ending->is_over = true;
    const bool is_left = ending->is_left;
    pthread_cond_signal(&ending->changed);
    pthread_mutex_unlock(&ending->lock);
    if (is_left)
        free_ending(ending);
    return NULL;
}

/* True where it was over in time. */
static bool wait_for_end(ending *ending)
{
    const struct timespec until = thread_time_after(KAFKA_END_WAIT_US);
    int failed = 0;

    pthread_mutex_lock(&ending->lock);
    while (!ending->is_over && failed == 0)
        failed = pthread_cond_timedwait(&ending->changed, &ending->lock, &until);
    const bool is_over = ending->is_over;
    ending->is_left = !is_over;
    pthread_mutex_unlock(&ending->lock);
    return is_over;
}

void kafka_end_client(rd_kafka_t *client, void *owned)
{
    pthread_t thread;
    ending *made = calloc(1, sizeof *made);

    if (made == NULL) {
        destroy_client(client, owned);
        return;
    }
    pthread_mutex_init(&made->lock, NULL);
    thread_condition(&made->changed);
    made->client = client;
    made->owned = owned;
    if (!thread_start(&thread, make_end, made)) {
        destroy_client(client, owned);
        free_ending(made);
    } else if (wait_for_end(made)) {
        pthread_join(thread, NULL);
        free_ending(made);
    } else {
        pthread_detach(thread);
    }
}

/* ---- files --------------------------------------------------------------------------------- */

/* librdkafka says of a file that it cannot read only that TLS cannot begin. */
freshet_code kafka_check_files(const declared_properties *properties, freshet_error *err)
{
    static const char *const of_files[] = {"ssl.ca.location", "ssl.certificate.location",
                                           "ssl.key.location", "ssl.crl.location",
                                           "ssl.keystore.location"};
    char at[232];

    for (uint32_t i = 0; i < properties->n; i++) {
        const declared_property *property = &properties->items[i];
        const char *path = property->value.value;
        bool is_file = false;
        for (size_t k = 0; k < sizeof of_files / sizeof of_files[0]; k++)
            is_file |= strcmp(property->name, of_files[k]) == 0;
        if (!is_file || strcmp(path, "probe") == 0 || access(path, R_OK) == 0)
            continue;
        const int problem = errno;
        place_text(&property->value.at, at, sizeof at);
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "\"%s\" is the file \"%s\", which cannot be read: %s", property->name,
                         path, strerror(problem));
    }
    return FRESHET_OK;
}

/* ---- topics and brokers -------------------------------------------------------------------- */

void kafka_check_topic(const declared_text *topic, problems *problems)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *name = topic->value;

    if (name == NULL || name[0] == '\0')
        return; /* that is told */
    if (name[strspn(name, allowed)] != '\0')
        problem_add(problems, &topic->at,
                    "\"%.60s\" cannot be a topic: its name has ASCII letters, digits, \".\", \"_\" "
                    "and \"-\" "
                    "only; for several topics say \"topics\" or \"pattern\"",
                    name);
    else if (strlen(name) > TOPIC_NAME_MAX)
        problem_add(problems, &topic->at,
                    "\"%.60s...\" cannot be a topic: its name is longer than %d", name,
                    TOPIC_NAME_MAX);
}

static bool is_blank(const char *brokers)
{
    return brokers[strspn(brokers, " ,")] == '\0';
}

void kafka_check_brokers(const declared_list *brokers, bool is_given, const place *at,
                         problems *problems)
{
    const char *from_outside = getenv(KAFKA_BROKERS_VARIABLE);

    for (uint32_t i = 0; i < brokers->n; i++)
        if (brokers->items[i].value != NULL && is_blank(brokers->items[i].value))
            problem_add(problems, &brokers->items[i].at,
                        "\"brokers\" must not be empty: write for example \"localhost:9092\"");
    if (brokers->n > 0 || (is_given && problems_count(problems) > 0))
        return; /* what is wrong with it is told */
    if (is_given)
        problem_add(problems, at,
                    "\"brokers\" must not be empty: write for example \"localhost:9092\"");
    else if (from_outside == NULL)
        problem_add(problems, at,
                    "\"brokers\" is missing, and the environment variable " KAFKA_BROKERS_VARIABLE
                    " is not set: write for example brokers: \"localhost:9092\"");
    else if (is_blank(from_outside))
        problem_add(problems, at,
                    "\"brokers\" is missing, and the environment variable " KAFKA_BROKERS_VARIABLE
                    " is empty: set it to a list of host:port");
}

const char *kafka_join_brokers(const declared_list *brokers, arena *arena)
{
    const char *joined = brokers->n == 0 ? getenv(KAFKA_BROKERS_VARIABLE) : brokers->items[0].value;

    for (uint32_t i = 1; joined != NULL && i < brokers->n; i++)
        joined = arena_format(arena, "%s,%s", joined, brokers->items[i].value);
    return joined == NULL ? NULL : arena_text(arena, joined);
}

/* ---- errors -------------------------------------------------------------------------------- */

bool kafka_was_cut_off(const char *reason)
{
    static const char *const signs[] = {"unexpected eof", "Disconnected",     "transport failure",
                                        "timed out",      "Connection reset", "Failed to acquire"};

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strstr(reason, signs[i]) != NULL)
            return true;
    return false;
}

freshet_code kafka_refuse_login(rd_kafka_resp_err_t problem, const char *reason, const char *at,
                                freshet_error *err)
{
    if (problem == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
            "the brokers refuse the credentials: %s; check sasl.mechanism, sasl.username and "
            "sasl.password under options, and that this user exists there",
            reason);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                     "TLS fails: %s; check security.protocol, ssl.ca.location and the names in the "
                     "brokers' certificates",
                     reason);
}
