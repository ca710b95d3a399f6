/* kafka_internal.h - what the files of the reader `kafka` share.
 *
 *   kafka.c           options, columns, opening and closing, positions
 *   kafka_settings.c  the declared properties, and ours, as librdkafka's configuration
 *   kafka_connect.c   the way to the brokers: trouble, topics, partitions, where each begins
 *   kafka_mark.c      is it still the topic that was read?
 *   kafka_read.c      messages into rows
 *   kafka_lanes.c     partitions that are read by choice
 *   kafka_group.c     the consumer group's offsets, for tools
 *
 * HOW. Freshet assigns the partitions itself: no consumer group has a say in who reads what. Each
 * partition is started at an explicit offset, which comes from the checkpoint or from `start`; all
 * of them pour into one queue, from which a poll takes messages without waiting. librdkafka's
 * threads fetch and unpack ahead, until the queue holds `memory`; so a slow sink stops the
 * fetching. Messages are decoded where they lie, and live until the next poll.
 *
 *     CONNECTING ── topics known, every partition's place found ──► RUNNING
 *         ▲  again, with growing pauses, until connect_timeout   │ each `discover`: new partitions
 *         └──────────── at start only ───────────────────────────┘ out of range: place it again
 *
 * Nothing here waits long: what asks the brokers has a timeout of a fraction of a second.
 *
 * A TRAP. librdkafka before 2.2 looks only once a second whether a queue that was full has room
 * again. kafka_wake() wakes its threads when the queue is half empty; later ones have a setting for
 * it.
 */
#ifndef FRESHET_READERS_KAFKA_KAFKA_INTERNAL_H
#define FRESHET_READERS_KAFKA_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <regex.h>

#include "base/crew.h"
#include "kafka/kafka_setup.h"
#include "readers/kafka/kafka.h"
#include "readers/slices.h"

#define KAFKA_TOPICS_MAX 10000u
#define KAFKA_PARTITIONS_MAX 200000u
#define KAFKA_BATCH_MAX 16384u /* messages taken from the queue at once */
#define KAFKA_NONE UINT32_MAX

#define KAFKA_TRY_FIRST_US INT64_C(20000) /* between tries to connect, doubling */
#define KAFKA_TRY_MAX_US INT64_C(5000000)
#define KAFKA_PROBE_US INT64_C(1000000)       /* while there is trouble: is it over? */
#define KAFKA_TOPIC_GRACE_US INT64_C(5000000) /* a topic just made is not known at once */
/* A broker that begins does not know all its users at once, or cannot ask who does. */
#define KAFKA_LOGIN_GRACE_US INT64_C(5000000)
#define KAFKA_LOOK_WAIT_MS 100 /* for an answer; doubled while answers come later than that */
#define KAFKA_LOOK_WAIT_MAX_MS 6400
#define KAFKA_LOOK_WAIT_RUNNING_MAX_MS 800 /* others wait with us */
#define KAFKA_SILENCE_US INT64_C(5000000)  /* without an answer: trouble */
#define KAFKA_OFFSETS_WAIT_MS 2000
/* A partition that others wait for gives nothing: the brokers are asked for its end; and later its
 * fetching begins anew, the next time after twice as long. */
#define KAFKA_SILENT_US INT64_C(1000000)
#define KAFKA_STANDS_US INT64_C(5000000)
#define KAFKA_STANDS_MAX_US INT64_C(300000000)
#define KAFKA_COMMIT_WAIT_MS 2000 /* at the end, for the group's offsets */

typedef struct kafka_topic {
    const char *name;
    rd_kafka_topic_t *handle;
    uint32_t *partitions; /* by partition number: index into reader->partitions, or KAFKA_NONE */
    uint32_t n_partitions;
    bool declared; /* by name, not by the pattern */
    bool is_there; /* the brokers had it at the last look */
    bool known;    /* had positions at open */
} kafka_topic;

/* What the brokers said of a partition when it was placed: offsets. */
enum kafka_edge { KAFKA_EARLIEST, KAFKA_LATEST, KAFKA_START, KAFKA_EDGES };

/* A message, by which a topic is known again (kafka_mark.c). Kept as it is with the position. */
typedef struct kafka_mark {
    int64_t offset; /* -1: none */
    int64_t timestamp;
    uint64_t hash;
} kafka_mark;

/* The first offset that the brokers have of a time (kafka_mark.c). */
typedef struct kafka_probe {
    int64_t timestamp; /* 0: none was asked for yet */
    int64_t offset;    /* negative: there was none */
    kafka_mark mark;   /* as it was then */
} kafka_probe;

typedef struct kafka_partition {
    kafka_topic *topic;
    int32_t number;
    uint32_t lane;
    const char *name; /* "orders/3" */
    int64_t next;     /* the offset to read next */
    int64_t began;    /* where this run began */
    int64_t end;      /* READ_ALL: where it ends */
    int64_t edges[KAFKA_EDGES];
    kafka_mark mark; /* the last message read */
    kafka_probe probe;
    kafka_mark check;        /* what is compared when it begins again: the mark, or the probe's */
    int64_t silent_since_us; /* others wait for it; 0: they do not */
    int64_t silent_at;       /* `next` at that time */
    int64_t stands_us;       /* how long until its fetching begins anew */
    int64_t group_wants;     /* the offset that the group is to have; -1: none */
    int64_t group_asked;     /* that the last commit was of */
    int64_t group_has;
    bool found;     /* the brokers have it; else we only remember its position */
    bool has_place; /* `next` is what a checkpoint says, or was read up to */
    bool is_new;    /* came while we were not looking: from its beginning */
    bool started;
    bool verifies;  /* the message of `check` comes first, to be compared */
    bool is_anew;   /* another message was there */
    bool is_behind; /* when it was started there were messages to come, which nobody was told yet */
    bool is_told;   /* whether there were */
    bool ended;
    bool moved;
    bool at_end; /* librdkafka has nothing more of it at the moment */
    bool paused;
    rd_kafka_message_t **listed; /* read by choice: [first_listed, n_listed) wait */
    uint32_t first_listed, n_listed, listed_capacity;
    size_t listed_bytes;
    uint32_t wanted; /* rows, by the last poll that chose it */
} kafka_partition;

struct kafka_reader;

/* Where messages become rows, and by which decoders: the batch of a poll, or a slice of it. */
typedef struct message_rows {
    struct kafka_reader *reader;
    batch *into;
    decoder *value, *key;
    batch value_rows, key_rows; /* of the decoders: columns of `into` */
} message_rows;

/* A message that is to be decoded. */
typedef struct kafka_found {
    const rd_kafka_message_t *message;
    kafka_partition *partition;
} kafka_found;

/* What the client's callbacks know. librdkafka's threads log, and a client may live on for a while
 * when its reader is closed (kafka_end_client); so it has what they need of its own. */
typedef struct kafka_ear {
    struct kafka_reader *reader; /* only for what rd_kafka_poll calls */
    char id[64];
} kafka_ear;

typedef enum kafka_state { KAFKA_CONNECTING, KAFKA_RUNNING } kafka_state;

typedef struct kafka_reader {
    /* what describe has found */
    struct freshet_reader base;
    char at[232];
    const char *brokers;
    const char *group;
    uint32_t n_value_columns;
    uint32_t key_column; /* KAFKA_NONE: not declared */
    uint32_t headers_column;
    uint32_t metadata_column;
    schema value_schema;
    schema key_schema;

    /* what open has made: zero again when it is closed */
    rd_kafka_t *client;
    kafka_ear *ear;
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *main_queue;
    const char *user; /* for it: the SASL credentials as they are */
    const char *password;
    size_t wake_below;
    regex_t pattern;

    kafka_topic **topics;
    uint32_t n_topics, topics_capacity;
    kafka_partition *partitions;
    uint32_t n_partitions;
    uint32_t partitions_capacity;
    uint32_t next_lane;
    uint32_t n_ended;

    int64_t opened_us;
    int64_t next_try_us;
    int64_t pause_us;
    int64_t unknown_since_us; /* a topic is missing; 0: none is */
    int64_t silent_since_us;  /* nobody answers; 0: somebody does */
    int64_t troubled_since_us;
    char trouble[600]; /* "": none */
    char last_error[400];

    const kafka_topic *denied; /* it was read, and may no more */

    int64_t n_good; /* messages that gave a row */
    bool said_unseen;
    rd_kafka_message_t **messages;
    uint32_t n_messages;
    uint32_t next_message;
    uint32_t last_beside;                   /* the message that a dead letter was last about */
    uint32_t first_held;                    /* messages before this one are given back */
    const rd_kafka_message_t *last_message; /* read, and not its partition's mark yet; or NULL */
    kafka_partition *last_partition;        /* of it */

    rd_kafka_message_t **taken; /* read by choice: those that gave rows */
    uint32_t n_taken, taken_capacity;
    rd_kafka_message_t **given; /* taken before, and given back by the crew, if it comes to it */
    uint32_t n_given, given_capacity;
    crew_chore giving;
    uint32_t n_paused;
    size_t listed_bytes; /* of all partitions */
    int64_t watch_next_us;
    bool has_silent; /* some partition that others wait for */

    decoder *value;
    decoder *key;
    message_rows rows; /* of this poll */
    slices *slices;    /* NULL: messages are decoded one by one */
    bool cuts;         /* messages of this poll are found first, and decoded in slices */
    kafka_found *found;
    uint32_t n_found, found_capacity;

    kafka_state state;
    rd_kafka_resp_err_t fatal; /* what the brokers refused before the first connection */
    int64_t fatal_since_us;
    int event_fd;
    int look_wait_ms;
    uint32_t n_behind;
    int64_t commit_next_us; /* behind one that failed */
    int64_t commit_pause_us;
    int64_t uncommitted_since_us; /* 0: the last commit went well */
    bool has_pattern;
    bool must_wake;       /* see A TRAP */
    bool resumed;         /* there were positions at open */
    bool connected;       /* once at least */
    bool unplaced;        /* some partition waits for its place */
    bool group_moved;     /* some partition's group_wants is new */
    bool commit_underway; /* of the group's offsets */
    bool commit_failed;
} kafka_reader;

static inline const kafka_options *kafka_options_of(const kafka_reader *reader)
{
    return reader->base.options;
}

static inline const char *kafka_id(const kafka_reader *reader)
{
    return reader->base.block->id.value;
}

/* ---- kafka_settings.c ---- */

/* The properties that cannot be declared of a reader. */
extern const kafka_refusal kafka_reader_refused[];

/* The whole configuration; the caller owns it, and sets the callbacks. */
freshet_code kafka_configure(kafka_reader *reader, rd_kafka_conf_t **out, freshet_error *err);

/* ---- kafka_connect.c ---- */

/* `start`: an offset that librdkafka knows (RD_KAFKA_OFFSET_BEGINNING, _END), or, where *is_time,
 * milliseconds since
 * 1970. False where the text is none. */
bool kafka_parse_start(const char *text, int64_t now_us, int64_t *out, bool *is_time);

freshet_code kafka_client_open(kafka_reader *reader, freshet_error *err);
void kafka_client_close(kafka_reader *reader);

/* The partitions that a checkpoint knows. */
freshet_code kafka_restore(kafka_reader *reader, const reader_positions *from, freshet_error *err);

/* What is due: connecting, looking for partitions, starting them. Errors are final. */
freshet_code kafka_tend(kafka_reader *reader, freshet_error *err);

/* An error that came in place of a message. */
freshet_code kafka_message_error(kafka_reader *reader, const rd_kafka_message_t *message,
                                 freshet_error *err);

/* The partition of a message, or NULL. */
kafka_partition *kafka_partition_of(const kafka_reader *reader, const rd_kafka_message_t *message);

/* Reading of the partition stops, and begins again at that mark, one of its own. */
void kafka_place_again(kafka_reader *reader, kafka_partition *partition, kafka_mark check);

/* READ_ALL: the partition has nothing left. */
void kafka_end_partition(kafka_reader *reader, kafka_partition *partition);

/* Lets librdkafka's threads see that the queue has room. */
void kafka_wake(kafka_reader *reader);

/* ---- kafka_lanes.c ---- */

uint32_t kafka_waiting(freshet_reader *base, uint32_t after);

/* Another thread has written the message: its head, which may lie in two cache lines, comes. */
static inline void kafka_prefetch_head(const rd_kafka_message_t *message)
{
    __builtin_prefetch(message);
    __builtin_prefetch(&message->offset);
}

/* Another thread has written the messages: of those from `next` on the ones that are soon to be
 * decoded come while others are. */
void kafka_prefetch(rd_kafka_message_t *const *messages, uint32_t next, uint32_t n);

/* Gives back what was taken before, and moves messages from the queue to the partitions' lists. */
freshet_code kafka_lanes_fill(kafka_reader *reader, freshet_error *err);
bool kafka_lanes_have_more(const kafka_reader *reader);
/* How many messages of the partition are in its list. */
uint32_t kafka_lanes_listed(const kafka_partition *partition);
/* The next message of the partition, which has one; NULL where memory is out. It lives until the
 * next kafka_lanes_fill. */
rd_kafka_message_t *kafka_lanes_take(kafka_reader *reader, kafka_partition *partition,
                                     freshet_error *err);
/* The partition's list is emptied. */
void kafka_lanes_drop(kafka_reader *reader, kafka_partition *partition);
/* It is fetched again, paused by us or not: for one that begins anew. */
void kafka_lanes_resume(kafka_reader *reader, kafka_partition *partition);
void kafka_lanes_release(kafka_reader *reader);

/* ---- kafka_mark.c ---- */

/* The last message read becomes its partition's mark: at the end of a poll, and before another
 * partition's is the last. */
void kafka_mark_take(kafka_reader *reader);

/* A message of a partition that verifies; true where it is to be read. */
bool kafka_verify(kafka_reader *reader, kafka_partition *partition,
                  const rd_kafka_message_t *message);

/* After a look at the topics: those that were not there may come back as others. */
void kafka_suspect_absent(kafka_reader *reader);

/* At each look while it runs. */
void kafka_ask_probes(kafka_reader *reader);

/* ---- kafka_group.c ---- */

/* See reader.h, ack. */
void kafka_group_ack(freshet_reader *base, const reader_positions *upto);
/* Writes what has moved, where nothing is underway. */
void kafka_group_tend(kafka_reader *reader);
/* At the end: waits a moment for what is on its way, and says what did not arrive. */
void kafka_group_finish(kafka_reader *reader);
/* Called by rd_kafka_poll(). */
void kafka_group_committed(rd_kafka_t *client, rd_kafka_resp_err_t problem,
                           rd_kafka_topic_partition_list_t *offsets, void *opaque);

/* ---- kafka_read.c ---- */

/* reader->value and reader->key, which are not there yet. */
freshet_code kafka_decoders_open(kafka_reader *reader, freshet_error *err);

/* See reader.h. */
void kafka_beside(freshet_reader *base, const origin *origin, reject *into);
freshet_code kafka_replay(freshet_reader *base, const reader_record *record, batch *into,
                          reason_code *refused, freshet_error *err);

freshet_code kafka_poll(freshet_reader *base, batch *into, uint32_t max_rows, size_t max_bytes,
                        rejects *rejects, bool *more, freshet_error *err);
void kafka_messages_release(kafka_reader *reader);

#endif
