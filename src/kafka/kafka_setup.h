/* kafka_setup.h - what the reader `kafka` and the writer `kafka` share: the declared properties of
 * librdkafka, the brokers' addresses, names of topics, what an error of a connection means.
 *
 * Any property may be declared but those that Freshet's guarantees rest on, which each of the two
 * lists with its reasons. librdkafka itself says which properties there are and what they can be.
 *
 * Order of calls: the checks while the declaration is read; kafka_check_files, kafka_set,
 * kafka_set_declared and kafka_make_client when a client is made; kafka_end_client at its end.
 */
#ifndef FRESHET_KAFKA_KAFKA_SETUP_H
#define FRESHET_KAFKA_KAFKA_SETUP_H

#include <freshet/freshet.h>
#include <librdkafka/rdkafka.h>

#include "base/arena.h"
#include "declaration/declaration.h"
#include "declaration/option.h"

/* Butterfree's. */
#define KAFKA_BROKERS_VARIABLE "KAFKA_CONSUMER_CONNECTION_STRING"

/* A property that cannot be declared, and why; a list ends with one without a name. */
typedef struct kafka_refusal {
    const char *name;
    const char *reason;
} kafka_refusal;

/* Reports what is wrong with the declared properties. */
void kafka_check_properties(const declared_properties *properties, const kafka_refusal *refused,
                            problems *problems);

/* `at` is the place of the reader or writer. FRESHET_BAD_DECLARATION where librdkafka refuses. */
freshet_code kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, const char *at,
                       freshet_error *err);
freshet_code kafka_set_declared(rd_kafka_conf_t *conf, const declared_properties *properties,
                                const char *at, freshet_error *err);

/* A client by `conf`, which it takes, or which goes where librdkafka refuses. */
freshet_code kafka_make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *at,
                               rd_kafka_t **out, freshet_error *err);

/* Ends a client, of which nobody has a topic, a message or a queue any more, and frees `owned` (or
 * NULL), which its callbacks may use until then.
 *
 * librdkafka's own end waits for what is underway: an offset that is being written, for a minute
 * where the broker is frozen, or as long as `session.timeout.ms` where the group has no coordinator
 * yet. Nothing of Freshet's depends on it. So the end is waited for KAFKA_END_WAIT_US at most; a
 * client that takes longer ends beside us, in a thread of its own. */
#define KAFKA_END_WAIT_US INT64_C(2000000)
void kafka_end_client(rd_kafka_t *client, void *owned);

/* Can the files be read that properties name? */
freshet_code kafka_check_files(const declared_properties *properties, freshet_error *err);

/* What Kafka takes as a name, so that a mistake is found before a broker is asked. */
void kafka_check_topic(const declared_text *topic, problems *problems);

/* `is_given`: the option stands there. Without it the variable must say them. */
void kafka_check_brokers(const declared_list *brokers, bool is_given, const place *at,
                         problems *problems);

/* As librdkafka wants them; NULL where there are none, or memory is out. */
const char *kafka_join_brokers(const declared_list *brokers, arena *arena);

/* A connection that ended in the middle of the handshake is no refusal: the broker may be about to
 * start, or the one behind a load balancer be away; nor is a token that could not be fetched. */
bool kafka_was_cut_off(const char *reason);

/* The error of a connection that the brokers (RD_KAFKA_RESP_ERR__AUTHENTICATION), or TLS, refused
 * from the first, which is a matter of the declaration. `reason` is librdkafka's. */
freshet_code kafka_refuse_login(rd_kafka_resp_err_t problem, const char *reason, const char *at,
                                freshet_error *err);

#endif
